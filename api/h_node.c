/* /livez, /readyz, /version: open to everyone, and no more than they must say. None of them waits, nor asks the database. */
#include "call.h"

enum wr_rc h_livez(struct call *c) {
  j_open(c->out, '{');
  j_bool(c->out, "ok", true);
  j_close(c->out, '}');
  return WR_OK;
}

/* The queue alone does not make a node unready: it takes rows instead of hints. */
enum wr_rc h_readyz(struct call *c) {
  const struct api_opts *o = &c->api->o;
  struct health h = {{.ok = true}, {.ok = true}, {.ok = true}, {.ok = true}};
  if (o->health) o->health(o->ctx, &h);
  c->health = h;
  c->has_health = true;
  if (atomic_load(&c->api->draining)) return call_fail(c, WR_DRAINING, NULL);
  const struct health_part *bad = !h.store.ok ? &h.store : !h.processes.ok ? &h.processes : !h.disk.ok ? &h.disk : NULL;
  if (bad) return call_fail(c, WR_DB_UNAVAILABLE, "Not ready: %s.", bad->why[0] ? bad->why : "no cause was given");
  j_open(c->out, '{');
  j_health(c->out, true, &h);
  j_close(c->out, '}');
  return WR_OK;
}

enum wr_rc h_version(struct call *c) {
  j_open(c->out, '{');
  j_text(c->out, "name", "weir");
  j_text(c->out, "version", c->api->o.version);
  j_close(c->out, '}');
  return WR_OK;
}
