/* Start and stop of the API: see api.h. One owner, the main thread; what the other threads read is set before they start. */
#include <stdlib.h>
#include <string.h>
#include "call.h"
#include "clock.h"
#include "def.h"
#include "wr_limits.h"
#include "log.h"

#define READY_ASKED_US 60000000   /* after a question to /readyz the node is looked at each second for this long */
#define READY_LOOK_US 10000000

/* Lower case is not needed: names are compared without case. */
static void make_hosts(struct api *a) {
  static const char *const always[] = {"localhost", "127.0.0.1", "[::1]"};
  size_t n = 0;
  a->host_name = wr_calloc(a->o.n_host + 4, sizeof *a->host_name);
  for (size_t i = 0; i < 3; i++) a->host_name[n++] = always[i];
  snprintf(a->listen_host, sizeof a->listen_host, "%.*s", (int)strcspn(a->o.listen, ":"), a->o.listen);
  a->host_name[n++] = a->listen_host;
  for (size_t i = 0; i < a->o.n_host; i++) a->host_name[n++] = a->o.host[i];
  a->hosts = (struct gate_hosts){a->host_name, n, strcmp(a->listen_host, "0.0.0.0") == 0};
}

static void api_free(struct api *a) {
  auth_stop(&a->auth);
  door_done(&a->door);
  turn_done(&a->merge);
  turn_done(&a->large);
  offers_end(&a->offers);
  shares_end(&a->shares);
  free(a->host_name);
  free(a);
}

/* A look may cost a write, since an idle node has to try a write to know. */
static bool look_is_due(struct api *a) {
  int64_t now = clock_mono_us();
  bool close = a->unready_us || now - atomic_load(&a->asked_us) < READY_ASKED_US;
  if (!close && now < a->look_us) return false;
  a->look_us = now + READY_LOOK_US;
  return true;
}

/* Logs when the answer of /readyz changes: within a second while somebody asks it or the node is not ready, else within
 * READY_LOOK_US. */
static void tick(void *ctx) {
  struct api *a = ctx;
  struct health h;
  if (!a->o.health || atomic_load(&a->draining) || !look_is_due(a)) return;
  a->o.health(a->o.ctx, &h);
  const char *name;
  const struct health_part *bad = health_bad(&h, &name);
  if (bad && !a->unready_us) {
    log_warn("ready.lost", L_STR("part", name), L_STR("why", bad->why));
    a->unready_us = clock_mono_us();
  } else if (!bad && a->unready_us) {
    log_info("ready.back", L_INT("after_ms", (clock_mono_us() - a->unready_us) / 1000));
    a->unready_us = 0;
  }
}

enum wr_rc api_try_listen(const char *listen, struct wr_err *err) { return http_try(listen, err); }

static enum wr_rc start_auth(struct api *a, struct wr_err *err) {
  if (a->o.dev) return WR_OK;
  if (a->o.token) return auth_start_with(&a->auth, a->o.token, err);
  return auth_start(&a->auth, a->o.store, &a->door, a->o.data_dir, err);
}

enum wr_rc api_start(const struct api_opts *o, struct api **out, struct wr_err *err) {
  struct api *a = wr_new(struct api);
  a->o = *o;
  if (a->o.request_us <= 0) a->o.request_us = LIMIT_REQUEST_US;
  turn_init(&a->merge);
  turn_init(&a->large);
  offers_init(&a->offers);
  door_init(&a->door);
  a->single = store_single(o->store);
  a->view = (struct view){o->store, o->defs, o->runner, o->executors, &a->offers};
  shares_init(&a->shares);
  make_hosts(a);
  if (!o->guest) json_watch_memory();
  a->auth.open = o->dev;
  enum wr_rc rc = start_auth(a, err);
  struct http_opts h = {.listen = o->listen, .threads = o->threads, .ctx = a, .handle = call_handle, .refuse = call_refuse,
                        .wait_us = a->o.request_us / 2, .tick = tick};
  if (rc == WR_OK) rc = waits_start(o->waits, a, err);
  if (rc == WR_OK) rc = http_start(&h, &a->http, err);
  if (rc != WR_OK) {
    waits_stop(o->waits);
    api_free(a);
    return rc;
  }
  *out = a;
  return WR_OK;
}

void api_hold(struct api *a) { door_shut(&a->door); }

void api_go_on(struct api *a, const struct view *node) {
  if (!node) {
    door_gone(&a->door);
    return;
  }
  a->o.store = a->auth.store = node->store;
  a->o.defs = node->defs;
  a->o.runner = node->runner;
  a->o.executors = node->executors;
  a->view = (struct view){node->store, node->defs, node->runner, node->executors, &a->offers};
  door_open(&a->door);
}

uint16_t api_port(const struct api *a) { return http_port(a->http); }
const char *api_token_path(const struct api *a) { return a->auth.path[0] ? a->auth.path : NULL; }
const char *api_token_at(const struct api *a) { return a->auth.at[0] ? a->auth.at : NULL; }
void api_drain(struct api *a) {
  atomic_store(&a->draining, true);
  waits_drain(a->o.waits);
}

void api_stop(struct api *a) {
  if (!a) return;
  waits_stop(a->o.waits);
  http_stop(a->http);
  api_free(a);
}
