/* A handle from its opening to its start; its end is in close.c. What never happens: the node goes while a call uses it; an exit
 * of the process. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "lib_int.h"
#include "log.h"
#include "log_place.h"
#include "plugins.h"
#include "remote.h"
#include "text.h"

/* ---- the node ---- */

static void node_gone(void *ctx, enum node_gone what, const char *why) {
  weir_t *h = ctx;
  (void)what;
  if (!atomic_exchange(&h->gone, true)) log_error("library.store_gone", L_STR("why", why));
  serve_gone(h);
  until_look(&h->until);
}

static enum wr_rc add_types(void *ctx, struct registry *r, struct wr_err *err) { return routines_add(ctx, r, err); }

/* What was made of specs points to the types of this node. life is held for writing. */
static enum wr_rc open_node(weir_t *h, unsigned roles, struct wr_err *err) {
  static const char *const text[2][2] = {{"runner", "runner,worker"}, {"api,runner", "api,runner,worker"}};
  h->opts.roles = roles;
  h->opts.roles_text = text[serves(h)][(roles & NODE_WORKER) != 0];
  struct spawner *spawner = NULL;
  enum wr_rc rc = roles & NODE_WORKER ? shell_begin(h, &spawner, err) : WR_OK;
  if (!rc) rc = node_open(&h->opts, spawner, &h->node, err);
  if (rc) return rc;
  h->shapes = shapes_new();
  h->view = (struct view){node_store(h->node), node_defs(h->node), node_runner(h->node), node_executors(h->node), &h->offers};
  return WR_OK;
}

bool close_node(weir_t *h, bool *left) {
  struct node *n = h->node;
  h->node = NULL;
  *left = true;
  if (!n) return true;
  shapes_free(h->shapes);
  h->shapes = NULL;
  *left = node_leave(n);
  if (node_close(n)) return true;
  h->hung = n;
  h->stuck = true;
  return false;
}

/* ---- open ---- */

static void handle_free(weir_t *h) {
  offers_end(&h->offers);
  pthread_mutex_destroy(&h->registering);
  pthread_mutex_destroy(&h->mu);
  remote_free(h->remote);
  serve_free(h);
  shell_end(h);
  plugin_files_free(h->plugins);
  options_done(h);
  use_done(h);
  (void)log_here(NULL);
  log_place_unref(h->log);
  free(h);
}

static weir_t *handle_new(void) {
  weir_t *h = wr_new(weir_t);
  use_init(h);
  h->free = handle_free;
  pthread_mutex_init(&h->mu, NULL);
  pthread_mutex_init(&h->registering, NULL);
  offers_init(&h->offers);
  arena_init(&h->names, 0);
  h->watcher = until_watcher(h);
  return h;
}

static bool is_server(const char *url) { return strncmp(url, "http:", 5) == 0 || strncmp(url, "https:", 6) == 0; }

static enum wr_rc known_scheme(const char *url, struct wr_err *err) {
  if (!url) return wr_err_set(err, WR_BAD_REQUEST, "There is no URL.");
#ifndef WEIR_REMOTE
  if (is_server(url)) return wr_err_set(err, WR_UNKNOWN_FIELD, "This library was built without HTTP (libcurl).");
#endif
  return WR_OK;
}

/* Is there a Weir that lets us in? */
static enum wr_rc open_remote(weir_t *h, struct wr_err *err) {
  if (h->given[OPT_LISTEN].from > FROM_DEFAULT || h->given[OPT_PLUGIN].n_many > 0)
    return wr_err_set(err, WR_UNKNOWN_FIELD, "listen= and plugin= are for a database, not for the URL of a server.");
  h->remote = remote_new(h->store, h->given[OPT_TOKEN].text, h->opts.request_us);
  return remote_ask(h->remote, "GET", "/monitor/task?limit=1", NULL, JSON_ARRAY, NULL, err);
}

static enum wr_rc add_plugins(weir_t *h, struct wr_err *err) {
  const struct opt_value *v = &h->given[OPT_PLUGIN];
  if (v->n_many == 0) return WR_OK;
  h->plugins = plugin_files_new("plugin");
  enum wr_rc rc = plugin_files_load(h->plugins, h, (const char *const *)v->many, v->n_many, h->view.executors, err);
  return rc ? rc : types_tell(h, err);
}

/* What goes wrong from the node on leaves nothing behind. */
static enum wr_rc open_here(weir_t *h, struct wr_err *err) {
  h->opts.ctx = h;
  h->opts.gone = node_gone;
  h->opts.watcher = &h->watcher;
  h->opts.add_types = add_types;
  enum wr_rc rc = serve_prepare(h, err);
  if (!rc) rc = open_node(h, NODE_API | NODE_RUNNER, err);
  if (!rc) rc = add_plugins(h, err);
  if (!rc) rc = serve_begin(h, err);
  if (!rc || !h->node) return rc;
  bool left;
  node_drain(h->node, 0);
  (void)close_node(h, &left);
  return rc;
}

int weir_open(weir_t **out, const char *url, const char *const *options, char *err, size_t err_n) {
  struct wr_err e = {0};
  if (!out) {
    if (err && err_n) snprintf(err, err_n, "There is no place for the handle.");
    return WEIR_ERR_INVALID;
  }
  *out = NULL;
  struct log_place *outside = log_where();
  enum wr_rc rc = known_scheme(url, &e);
  weir_t *h = rc ? NULL : handle_new();
  if (!rc) rc = options_read(h, url, options, &e);
  if (!rc && is_server(url)) rc = open_remote(h, &e);
  else if (!rc) rc = open_here(h, &e);
  if (rc && h && !h->stuck) handle_free(h);
  (void)log_here(outside);
  if (!rc) {
    *out = h;
    return WEIR_OK;
  }
  e.code = rc;
  (void)failed(NULL, &e);
  if (err && err_n) snprintf(err, err_n, "%s", e.msg[0] ? e.msg : wr_err_text(rc));
  if (rc == WR_UNKNOWN_FIELD) return WEIR_ERR_UNSUPPORTED;
  return rc == WR_INTERNAL || rc == WR_STORE_REFUSED ? WEIR_ERR_REFUSED : rc_of(rc);
}

/* ---- register and start ---- */

static int register_one(weir_t *h, const weir_type_t *t) {
  struct wr_err err = {0};
  pthread_mutex_lock(&h->mu);
  bool late = h->started || h->closing;
  pthread_mutex_unlock(&h->mu);
  if (late) return fail(h, WEIR_ERR_INVALID, WR_OUT_OF_RANGE, "Types are registered before weir_start().");
  if (type_check(h, h->view.executors, t, &err)) return failed(h, &err);
  const struct known_type row = {t->name, t->deleting != NULL};
  if (store_know_types(h->view.store, &row, 1, &err) != WR_OK) return failed(h, &err);
  defs_type_learn(h->view.defs, row.name, row.cleans_up);
  type_keep(h, t);
  return WEIR_OK;
}

static int not_here(const weir_t *h) {
  return fail(h, WEIR_ERR_UNSUPPORTED, WR_NO_ROUTE,
              "Tasks run in processes that open the database, not in those of a server's URL.");
}

/* One at a time, and none beside a start: it holds what a start waits for. */
int weir_register(weir_t *h, const weir_type_t *type) {
  weir_type_t t = {0};
  struct wr_err err = {0};
  if (SIZED(t, type, "type", &err)) return failed(h, &err);
  if (h->remote) return not_here(h);
  pthread_mutex_lock(&h->registering);
  int rc = WEIR_ERR_UNAVAILABLE;
  if (enter(h)) {
    rc = register_one(h, &t);
    leave(h);
  }
  pthread_mutex_unlock(&h->registering);
  return rc;
}

/* There is no node any more. Whoever waits hears of it. */
static void broken(weir_t *h) {
  atomic_store(&h->broken, true);
  until_look(&h->until);
}

/* The node joins anew, as one that runs tasks. If that fails, it is again one that does not. */
static enum wr_rc begin_work(weir_t *h, struct wr_err *err) {
  struct wr_err again;
  serve_hold(h);
  bool left;
  node_drain(h->node, 0);
  if (!close_node(h, &left)) {
    broken(h);
    return wr_err_set(err, WR_DB_UNAVAILABLE, "The database does not answer; this handle can only be closed.");
  }
  if (!h->pool) h->pool = pool_new(h, h->opts.slots, types_stack(h));
  enum wr_rc rc = open_node(h, NODE_API | NODE_RUNNER | NODE_WORKER, err);
  if (rc && open_node(h, NODE_API | NODE_RUNNER, &again)) {
    log_error("library.closed", L_STR("why", again.msg));
    broken(h);
  }
  return rc;
}

int weir_start(weir_t *h) {
  struct wr_err err = {0};
  if (h->remote) return not_here(h);
  if (in_routine()) return fail(h, WEIR_ERR_INVALID, WR_OUT_OF_RANGE, "A routine cannot start its handle.");
  pthread_rwlock_wrlock(&h->life);
  pthread_mutex_lock(&h->mu);
  bool may = h->node && !h->started && !h->closing;
  h->started |= may;
  pthread_mutex_unlock(&h->mu);
  struct log_place *outside = log_here(h->log);
  enum wr_rc rc = may ? begin_work(h, &err) : WR_OK;
  if (may) serve_go_on(h);
  if (rc) {
    pthread_mutex_lock(&h->mu);
    h->started = false;
    pthread_mutex_unlock(&h->mu);
  }
  pthread_rwlock_unlock(&h->life);
  (void)log_here(outside);
  if (atomic_load(&h->broken) && !may) return unusable(h);
  if (!may) return fail(h, WEIR_ERR_INVALID, WR_OUT_OF_RANGE, "The handle has started already, or closes.");
  return rc ? failed(h, &err) : WEIR_OK;
}
