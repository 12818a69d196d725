/* /livez, /readyz, /version: open to everyone, and no more than they must say. */
#include "call.h"

static void ok(struct call *c) {
  j_open(c->out, '{');
  j_bool(c->out, "ok", true);
  j_close(c->out, '}');
}

enum wr_rc h_livez(struct call *c) {
  ok(c);
  return WR_OK;
}

enum wr_rc h_readyz(struct call *c) {
  const struct api_opts *o = &c->api->o;
  if (atomic_load(&c->api->draining)) return call_fail(c, WR_DRAINING, NULL);
  struct health h = {.store = {.ok = true}};
  if (o->health) o->health(o->ctx, &h);
  if (!h.store.ok) return call_fail(c, WR_DB_UNAVAILABLE, "Not ready: %s.", h.store.why);
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  int64_t version;
  enum wr_rc rc = reader_defs_version(r, &version, &c->err);
  reader_put(r);
  if (rc == WR_OK) ok(c);
  return rc;
}

enum wr_rc h_version(struct call *c) {
  j_open(c->out, '{');
  j_text(c->out, "name", "weir");
  j_text(c->out, "version", c->api->o.version);
  j_close(c->out, '}');
  return WR_OK;
}
