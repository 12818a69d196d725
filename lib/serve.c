/* The HTTP API of a handle that was opened with listen=. It stands in front of the handle's node, and stays while that is closed
 * and opened anew: requests wait meanwhile, and the connections of clients that wait are kept.
 *
 * What is the process's stays its own: threads of the API take no signals but SIGBUS, no handler is set, and nobody else's
 * socket calls change (api/hook.h). What never happens: a request that meets a node which goes. */
#include <signal.h>
#include "api.h"
#include "clock.h"
#include "cond.h"
#include "lib_int.h"
#include "wait.h"

#define HEALTH_WAIT_US 1000000    /* /readyz waits so long while the node is opened anew */
enum { THREADS = 32 };            /* requests at once; those that wait for a task hold none */

struct serving {
  char listen[OPT_LISTEN_ROOM];
  int port;
  struct waits *waits;
  struct watcher waiting;         /* of waits */
  pthread_mutex_t mu;             /* guards api against serve_gone() of the node's threads; door.mu is taken under it */
  struct api *api;                /* NULL: not yet, or no more */
};

/* ---- for the API ---- */

static void is_unready(struct health *out, const char *why) {
  *out = (struct health){.queue = {.ok = true}, .processes = {.ok = true}, .disk = {.ok = true}};
  snprintf(out->store.why, sizeof out->store.why, "%s", why);
}

/* Whoever asks uses the node by the door, so it stays meanwhile. */
static enum hints_told hints(void *ctx, hints_each *each, void *to) {
  const weir_t *h = ctx;
  return h->node ? node_hints(h->node, each, to) : HINTS_AWAY;
}

static bool forget(void *ctx, const int64_t *ti, size_t n) {
  const weir_t *h = ctx;
  return h->node && node_forget(h->node, ti, n);
}

static void health(void *ctx, struct health *out) {
  weir_t *h = ctx;
  struct timespec until = mono_at(clock_mono_us() + HEALTH_WAIT_US);
  if (pthread_rwlock_clockrdlock(&h->life, CLOCK_MONOTONIC, &until) != 0) {
    is_unready(out, "this process is about to run tasks");
    return;
  }
  if (atomic_load(&h->gone)) is_unready(out, "the file of the database was removed or replaced");
  else if (h->node) node_health(h->node, out);
  else is_unready(out, "this process has no node any more");
  pthread_rwlock_unlock(&h->life);
}

/* A token of the installation lies in a directory that was meant for it, or beside the database. */
static enum wr_rc has_token(const weir_t *h, struct wr_err *err) {
  const struct opt_value *v = h->given;
  if (v[OPT_DEV].num || v[OPT_TOKEN].text || h->own_data || strncmp(h->store, "sqlite:", 7) == 0) return WR_OK;
  return wr_err_set(err, WR_BAD_REQUEST, "listen= needs token=, or data= with a directory for the token's file, or dev=on.");
}

enum wr_rc serve_prepare(weir_t *h, struct wr_err *err) {
  const struct opt_value *v = h->given;
  if (v[OPT_LISTEN].from <= FROM_DEFAULT) return WR_OK;
  struct serving *s = h->serving = wr_new(struct serving);
  pthread_mutex_init(&s->mu, NULL);
  enum wr_rc rc = opt_listen(v, "", s->listen, err);
  if (!rc) rc = has_token(h, err);
  if (!rc) rc = api_try_listen(s->listen, err); /* before anything is made */
  if (rc) return rc;
  const struct waits_opts w = {(uint32_t)v[OPT_WAIT_SHARE].num, v[OPT_FOLLOW_TIMEOUT].num};
  s->waits = waits_new(&w);
  s->waiting = waits_watcher(s->waits);
  h->also = &s->waiting;
  return WR_OK;
}

/* No task of the node asks the API of its own process. */
static void tell_port(weir_t *h) {
  char address[OPT_LISTEN_ROOM];
  struct serving *s = h->serving;
  snprintf(address, sizeof address, "%.*s", (int)strcspn(s->listen, ":"), s->listen);
  if (h->node && s->port) node_listens(h->node, address, (uint16_t)s->port);
}

/* All threads of the API start in here. */
enum wr_rc serve_begin(weir_t *h, struct wr_err *err) {
  struct serving *s = h->serving;
  const struct opt_value *v = h->given;
  sigset_t all, was;
  if (!s) return WR_OK;
  const struct api_opts o = {.listen = s->listen, .host = (const char *const *)v[OPT_HOST].many, .n_host = v[OPT_HOST].n_many,
                             .store = h->view.store, .defs = h->view.defs, .executors = h->view.executors,
                             .runner = h->view.runner, .waits = s->waits, .token = v[OPT_TOKEN].text, .data_dir = h->data,
                             .dev = v[OPT_DEV].num, .allow_executors = v[OPT_DEV].num,
                             .shell_allowed = h->opts.shell == NODE_SHELL_ON, .version = WEIR_VERSION,
                             .guest = true, .threads = THREADS, .request_us = h->opts.request_us, .health = health,
                             .hints = hints, .forget = forget, .ctx = h};
  sigfillset(&all);
  sigdelset(&all, SIGBUS);
  pthread_sigmask(SIG_SETMASK, &all, &was);
  struct api *a = NULL;
  enum wr_rc rc = api_start(&o, &a, err);
  pthread_sigmask(SIG_SETMASK, &was, NULL);
  s->port = a ? api_port(a) : 0;
  tell_port(h);
  pthread_mutex_lock(&s->mu);
  s->api = a;
  pthread_mutex_unlock(&s->mu);
  if (atomic_load(&h->gone)) serve_gone(h);
  return rc;
}

void serve_gone(weir_t *h) {
  struct serving *s = h->serving;
  if (!s) return;
  pthread_mutex_lock(&s->mu);
  if (s->api) api_go_on(s->api, NULL);
  pthread_mutex_unlock(&s->mu);
}

void serve_hold(weir_t *h) {
  if (h->serving) api_hold(h->serving->api);
}

void serve_go_on(weir_t *h) {
  if (!h->serving) return;
  tell_port(h);
  api_go_on(h->serving->api, h->node ? &h->view : NULL);
  if (atomic_load(&h->gone)) serve_gone(h);
}

void serve_drain(weir_t *h) {
  if (h->serving) api_drain(h->serving->api);
}

void serve_end(weir_t *h) {
  struct serving *s = h->serving;
  if (!s) return;
  pthread_mutex_lock(&s->mu);
  struct api *a = s->api;
  s->api = NULL;
  pthread_mutex_unlock(&s->mu);
  api_stop(a);
}

void serve_free(weir_t *h) {
  if (!h->serving) return;
  waits_free(h->serving->waits);
  pthread_mutex_destroy(&h->serving->mu);
  free(h->serving);
  h->serving = NULL;
}

bool serves(const weir_t *h) { return h->serving != NULL; }

int weir_port(weir_t *h) { return h->serving ? h->serving->port : 0; }
