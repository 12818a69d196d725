/* /livez, /readyz, /version: open to everyone, so they say no more than they must. None asks the database; when there was no
 * write lately, /readyz waits a moment (RUNNER_HEALTH_WAIT_US) for the runner's word on the database. */
#include "call.h"
#include "clock.h"
#include "text.h"

enum wr_rc h_livez(struct call *c) {
  j_open(c->out, '{');
  j_bool(c->out, "ok", true);
  j_close(c->out, '}');
  return WR_OK;
}

const struct health_part *health_bad(const struct health *h, const char **name) {
  const struct { const char *name; const struct health_part *part; } v[] = {
    {"store", &h->store}, {"processes", &h->processes}, {"disk", &h->disk}};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    *name = v[i].name;
    if (!v[i].part->ok) return v[i].part;
  }
  return NULL;
}

/* A bad queue alone does not make a node unready: the node takes rows instead of hints. */
enum wr_rc h_readyz(struct call *c) {
  const struct api_opts *o = &c->api->o;
  struct health h = {{.ok = true}, {.ok = true}, {.ok = true}, {.ok = true}};
  atomic_store(&c->api->asked_us, clock_mono_us());
  if (o->health) o->health(o->ctx, &h);
  c->health = h;
  c->has_health = true;
  if (atomic_load(&c->api->draining)) return call_fail(c, WR_DRAINING, NULL);
  const char *name;
  const struct health_part *bad = health_bad(&h, &name);
  const char *why = bad && bad->why[0] ? bad->why : "no cause was given"; /* some are sentences, others a part of one */
  if (bad) return call_fail(c, WR_DB_UNAVAILABLE, "Not ready: %s: %s%s", name, why, text_stop(why));
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
