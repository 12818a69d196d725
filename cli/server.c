/* `weir server`: a node with an API in front, until SIGTERM or SIGINT. Main thread; see node.h for the order of things.
 *
 * After the first signal: the API takes nothing new, running attempts are handed back, results are committed, the node
 * leaves, exit 0; a second Ctrl-C ends it at once. What never happens: an exit later than --stop-timeout. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "api.h"
#include "clock.h"
#include "executor_post.h"
#include "log.h"
#include "plugins.h"
#include "process.h"
#include "say.h"
#include "signals.h"
#include "verbs.h"
#include "wait.h"
#include "wr_limits.h"

#define STOP_REST_US 5000000      /* part of --stop-timeout kept for what comes after the tasks are dead, at most a half */
#define STOP_EXIT_US 500000       /* and for the exit itself, at most a twentieth */

struct server {
  struct config cfg;
  struct node_opts opts;
  struct identity who;
  char store[512], listen[OPT_LISTEN_ROOM];
  struct node *node;
  struct waits *waits;            /* older than the node, which tells it what ends */
  struct watcher watcher, watchers;   /* of waits; of waits and plug-ins */
  struct plugins *plugins;        /* NULL: none */
  struct api *api;
  pthread_mutex_t mu;             /* guards `stop`: the thread that ends a late stop reads it too */
  enum { STOP_TASKS, STOP_STORE, STOP_MEMORY } stop;  /* what the stop waits for: tasks, the database, nothing */
};

/* How long tasks have between TERM and KILL. */
static int64_t grace_us(const struct server *s) {
  int64_t all = s->opts.stop_us;
  return all > 2 * STOP_REST_US ? all - STOP_REST_US : all / 2;
}

/* ---- options ---- */

static enum wr_rc read_roles(struct node_opts *o, const char *list, struct wr_err *err) {
  static const struct { const char *name; unsigned bit; } all[] = {
    {"api", NODE_API}, {"runner", NODE_RUNNER}, {"worker", NODE_WORKER}};
  char q[WR_QUOTE_MAX];
  o->roles_text = list;
  for (const char *p = list; *p;) {
    size_t n = strcspn(p, ","), i = 0;
    while (i < 3 && !(strlen(all[i].name) == n && memcmp(all[i].name, p, n) == 0)) i++;
    if (i == 3) return wr_err_set(err, WR_BAD_REQUEST, "--roles: %s is not one of api, runner, worker.", wr_err_quote(q, p, n));
    o->roles |= all[i].bit;
    p += n + (p[n] == ',');
  }
  return WR_OK;
}

/* DATA, and the store that goes with it: what was named, else the defaults. */
static enum wr_rc read_places(const struct config *c, struct node_opts *o, char *room, size_t n, struct wr_err *err) {
  o->data = config_text(c, OPT_DATA);
  if (!o->data) o->data = config_num(c, OPT_DEV) ? "./data" : "/var/lib/weir";
  o->store = config_text(c, OPT_STORE);
  if (o->store) return WR_OK;
  o->store = room;
  if (snprintf(room, n, "sqlite:%s/weir.db", o->data) < (int)n) return WR_OK;
  return wr_err_set(err, WR_BAD_REQUEST, "--data: the path is too long.");
}

/* A '/' at the end is taken off. */
static enum wr_rc read_dirs(struct config *c, struct node_opts *o, struct wr_err *err) {
  struct opt_value *v = &c->v[OPT_EXECUTOR_DIR];
  char q[WR_QUOTE_MAX];
  if (v->n_many > LIMIT_EXECUTOR_DIRS)
    return wr_err_set(err, WR_BAD_REQUEST, "--executor-dir: at most %d folders.", LIMIT_EXECUTOR_DIRS);
  for (size_t i = 0; i < v->n_many; i++) {
    size_t n = strlen(v->many[i]);
    while (n > 1 && v->many[i][n - 1] == '/') v->many[i][--n] = '\0';
    if (v->many[i][0] != '/' || (n > 1 && !program_path_form(v->many[i], n)))
      return wr_err_set(err, WR_BAD_REQUEST, "--executor-dir: %s is no absolute path without .. in it.",
                        wr_err_quote(q, v->many[i], n));
  }
  o->executor_dir = (const char *const *)v->many;
  o->n_executor_dir = v->n_many;
  return WR_OK;
}

static enum wr_rc read_options(struct server *s, struct wr_err *err) {
  struct config *c = &s->cfg;
  struct node_opts *o = &s->opts;
  if (c->n_args)
    return wr_err_set(err, WR_BAD_REQUEST, "Unexpected argument \"%.64s\".",
                      strstr(c->args[0], "://") ? "(a URL)" : c->args[0]); /* a URL may hold a password */
  enum wr_rc rc = read_roles(o, config_text(c, OPT_ROLES), err);
  if (!rc) rc = opt_listen(c->v, "--", s->listen, err);
  if (!rc) rc = read_dirs(c, o, err);
  if (!rc) rc = read_places(c, o, s->store, sizeof s->store, err);
  enum shell_mode mode = config_num(c, OPT_DEV) ? SHELL_PERSONAL : SHELL_SERVICE;
  if (!rc) rc = setup_common(c, mode, LOG_INFO, o, &s->who, err);
  if (!rc) setup_tell_shell(o, mode);
  const struct waits_opts w = {(uint32_t)config_num(c, OPT_WAIT_SHARE), config_num(c, OPT_FOLLOW_TIMEOUT)};
  s->waits = waits_new(&w);
  s->watcher = waits_watcher(s->waits);
  if (o->roles & NODE_API) o->watcher = &s->watcher;
  o->gone = process_gone;
  o->useless = process_useless;
  o->stopping = process_stopping;
  o->queue = config_text(c, OPT_QUEUE);
  o->prefix = config_text(c, OPT_PREFIX);
  o->max_queued = (uint32_t)config_num(c, OPT_MAX_QUEUED);
  o->max_depth = (uint32_t)config_num(c, OPT_MAX_DEPTH);
  o->lease_us = config_num(c, OPT_LEASE);
  o->durability = config_num(c, OPT_DURABILITY) ? NODE_RELAXED : NODE_STRICT;
  return rc;
}

/* ---- life ---- */

/* Says in one line who this is: the first question of somebody who reads the log of a stranger's node. */
static void say_start(const struct server *s) {
  const struct node_opts *o = &s->opts;
  const struct run_as *who = o->run_as;
  struct run_as_user me = {0};
  run_as_self(&me);
  log_info("server.start", L_STR("version", WEIR_VERSION),
           L_STR("store", strncmp(o->store, "sqlite:", 7) == 0 ? "sqlite" : "mysql"),
           L_STR("queue", strncmp(o->queue, "memory:", 7) == 0 ? "memory" : "redis"), L_STR("roles", o->roles_text),
           L_INT("slots", o->slots), L_INT("async_slots", o->async_slots), L_STR("shell", who && who->n ? "on" : "off"),
           L_STR("user", me.name),
           L_STR("run_as", who && who->n ? who->v[0].name : ""), L_STR("data", o->data), L_INT("pid", getpid()));
  run_as_user_done(&me);
}

/* It may be mounted later, so that is no error. */
static void tell_dirs(const struct server *s) {
  char text[300], q[WR_QUOTE_MAX];
  for (size_t i = 0; i < s->opts.n_executor_dir; i++) {
    const char *dir = s->opts.executor_dir[i];
    struct stat st;
    int why = stat(dir, &st) != 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
    if (!why) continue;
    snprintf(text, sizeof text, "--executor-dir %s: %s. This node offers no programs of it until that is mended",
             wr_err_quote(q, dir, strlen(dir)), strerrordesc_np(why));
    say_warning(text);
  }
}

static void health(void *ctx, struct health *out) { node_health(((const struct server *)ctx)->node, out); }

static enum hints_told hints(void *ctx, hints_each *each, void *to) {
  return node_hints(((const struct server *)ctx)->node, each, to);
}

static bool forget(void *ctx, const int64_t *ti, size_t n) {
  return node_forget(((const struct server *)ctx)->node, ti, n);
}

static enum wr_rc start_api(struct server *s, struct wr_err *err) {
  const struct config *c = &s->cfg;
  struct api_opts a = {.listen = s->listen, .host = (const char *const *)c->v[OPT_HOST].many,
                       .n_host = c->v[OPT_HOST].n_many, .store = node_store(s->node), .defs = node_defs(s->node),
                       .executors = node_executors(s->node),
                       .runner = node_runner(s->node), .waits = s->waits, .data_dir = s->opts.data, .dev = config_num(c, OPT_DEV),
                       .allow_executors = config_num(c, OPT_DEV) || config_num(c, OPT_ALLOW_EXECUTORS),
                       .shell_allowed = s->opts.shell == NODE_SHELL_ON,
                       .run_as = s->opts.roles & NODE_WORKER ? s->opts.run_as : NULL, .version = WEIR_VERSION,
                       .request_us = s->opts.request_us, .health = health, .hints = hints, .forget = forget, .ctx = s};
  enum wr_rc rc = api_start(&a, &s->api, err);
  if (rc) return rc;
  char address[OPT_LISTEN_ROOM];
  snprintf(address, sizeof address, "%.*s", (int)strcspn(s->listen, ":"), s->listen);
  node_listens(s->node, address, api_port(s->api));
  say_start(s); /* nothing refuses it any more */
  const char *token = api_token_path(s->api);
  char url[64];
  snprintf(url, sizeof url, "http://%.*s:%u", (int)strcspn(s->listen, ":"), s->listen, api_port(s->api));
  if (token) say(LOG_INFO, "server.token", "path", "the token is in ", token);
  else if (api_token_at(s->api)) say(LOG_INFO, "server.token", "at", "the token lies where it was made, ", api_token_at(s->api));
  say(LOG_INFO, "server.listening", "url", "listening on ", url);
  return WR_OK;
}

static enum wr_rc add_types(void *ctx, struct registry *r, struct wr_err *err) {
  struct server *s = ctx;
  const struct opt_value *v = &s->cfg.v[OPT_PLUGIN];
  return plugins_load(s->plugins, (const char *const *)v->many, v->n_many, r, err);
}

static void want_plugins(struct server *s) {
  if (s->cfg.v[OPT_PLUGIN].n_many == 0) return;
  s->plugins = plugins_new(&s->opts, grace_us(s));
  s->watchers = plugins_watcher(s->plugins, s->opts.watcher);
  s->opts.watcher = &s->watchers;
  s->opts.ctx = s;
  s->opts.add_types = add_types;
  s->opts.routines = (s->opts.roles & NODE_WORKER) != 0;
}

static enum wr_rc start(struct server *s, struct wr_err *err) {
  struct spawner *spawner;
  enum wr_rc rc = s->opts.roles & NODE_API ? api_try_listen(s->listen, err) : WR_OK; /* before anything is made */
  if (!rc) rc = process_prepare(&s->opts, &s->who, &spawner, err);
  if (!rc) want_plugins(s);
  if (!rc) rc = node_open(&s->opts, spawner, &s->node, err);
  if (!rc) rc = plugins_begin(s->plugins, s->node, err);
  if (rc) return rc;
  tell_dirs(s); /* as the user who looks for programs there */
  if (s->opts.roles & NODE_API) return start_api(s, err);
  say_start(s);
  say(LOG_INFO, "server.ready", NULL, "ready", "");
  return WR_OK;
}

static void set_stop(struct server *s, int what) {
  pthread_mutex_lock(&s->mu);
  s->stop = what;
  pthread_mutex_unlock(&s->mu);
}

static void stop(struct server *s) {
  if (s->api) api_drain(s->api);
  if (s->node) node_drain(s->node, grace_us(s));
  plugins_stop(s->plugins);
  set_stop(s, STOP_STORE);
  if (s->api) api_stop(s->api);
  (void)node_leave(s->node);
  set_stop(s, STOP_MEMORY);
  if (node_close(s->node)) plugins_end(s->plugins);
}

/* The time of the stop is over. Nobody can hand back to a database that is away: that is no fault of this stop, and other nodes
 * take over what ran here, as from any node that is gone. */
static int late_status(void *ctx) {
  struct server *s = ctx;
  struct health h;
  pthread_mutex_lock(&s->mu); /* never unlocked: the process ends */
  if (s->stop == STOP_MEMORY) return EXIT_OK;
  node_health(s->node, &h);
  if (h.store.ok && s->stop == STOP_TASKS) return EXIT_RUN_FAILED;
  log_warn("server.stop_unsaved", L_STR("why", h.store.ok ? "the database does not answer" : h.store.why));
  return EXIT_OK;
}

static int serve(struct server *s) {
  struct wr_err err = {0};
  enum wr_rc rc = start(s, &err);
  if (rc) {
    stop(s);
    int code = complain("server", &err, exit_of(rc));
    return signals_stopping() ? EXIT_OK : code; /* nobody waits for it to start any more */
  }
  int sig = 0;
  while (sig == 0) sig = signals_wait();
  log_info("server.stop", L_INT("signal", sig));
  int64_t rest = s->opts.stop_us / 20;
  signals_exit_after(s->opts.stop_us - (rest < STOP_EXIT_US ? rest : STOP_EXIT_US), late_status, s);
  bool failed = node_failed(s->node);
  stop(s);
  if (!failed) return EXIT_OK;
  (void)wr_err_set(&err, WR_INTERNAL, "The processes that start tasks were killed and none is left to start another: "
                                      "this node has ended. Start it again, or let a supervisor do that.");
  return complain("server", &err, EXIT_RUN_FAILED);
}

/* ---- what the options come to ---- */

static void put_number(char *out, size_t n, uint32_t v) { snprintf(out, n, "%u", v); }

void server_effective(const struct config *c, enum opt_id id, char *out, size_t n) {
  struct node_opts o = {.roles = NODE_WORKER};
  struct identity me = {0};
  struct wr_err err;
  char room[512];
  *out = '\0';
  enum shell_mode mode = config_num(c, OPT_DEV) ? SHELL_PERSONAL : SHELL_SERVICE;
  if (read_places(c, &o, room, sizeof room, &err) || setup_quietly(c, mode, &o, &me, &err)) {
    setup_done(&o, &me);
    return;
  }
  switch ((int)id) {
  case OPT_STORE: snprintf(out, n, "%s", o.store); break;
  case OPT_DATA: snprintf(out, n, "%s", o.data); break;
  case OPT_SLOTS: put_number(out, n, o.slots); break;
  case OPT_CPU_BUDGET: snprintf(out, n, "%lld", (long long)o.queues.cpu_budget); break;
  case OPT_SHELL: snprintf(out, n, "%s", o.run_as && o.run_as->n ? "on" : "off"); break;
  case OPT_RUN_AS: snprintf(out, n, "%s", o.run_as && o.run_as->n ? o.run_as->v[0].name : "-"); break;
  case OPT_LOG_LEVEL: snprintf(out, n, "info"); break;
  case OPT_ZONE: snprintf(out, n, "the system's"); break;
  case OPT_USER: snprintf(out, n, "%s", me.user.name); break;
  default: break;
  }
  setup_done(&o, &me);
}

int verb_server(int argc, char **argv) {
  static struct server s = {.mu = PTHREAD_MUTEX_INITIALIZER}; /* a runner that hangs in the database may still tell s.waits */
  struct wr_err err = {0};
  enum wr_rc rc = config_load(&s.cfg, VERB_SERVER, argc, argv, &err);
  int code;
  if (!rc && s.cfg.help) {
    puts("Usage: weir server [options]\n\nServes the API and runs flows and their tasks, until SIGTERM or SIGINT.\n\n"
         "  weir server --dev                            for one person, on this machine\n"
         "  weir server --config /etc/weir/weir.conf     as a service\n");
    config_help(stdout, VERB_SERVER);
    code = EXIT_OK;
  } else {
    if (!rc) rc = read_options(&s, &err);
    code = rc ? complain("server", &err, exit_of(rc)) : serve(&s);
  }
  setup_done(&s.opts, &s.who);
  config_done(&s.cfg);
  return code;
}
