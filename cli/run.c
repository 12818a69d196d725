/* `weir run FILE`: one flow to its end in this process, with no server and no HTTP. Main thread.
 *
 * The flow is saved, started and followed through the same store and runner as a server's. Nothing is polled: the
 * runner wakes the main thread after its turns, and the look at the rows that follows is spaced by follow.c. The store is
 * a temporary SQLite file unless --store names one. First Ctrl-C cancels the flow and waits until its processes are
 * dead; another ends at once, and the spawner kills them. */
#include <ftw.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include "clock.h"
#include "input.h"
#include "log.h"
#include "report.h"
#include "signals.h"
#include "verbs.h"

#define GRACE_US 5000000
#define TICK_US 1000000           /* a tree shows passing seconds */

struct job {
  struct config cfg;
  struct node_opts opts;
  char dir[256], store[300];      /* temporary; dir[0] = 0: none */
  json_t *doc;
  struct wf wf;                   /* of --from wfformat */
  struct params *params;
  struct node *node;
  struct flow_def *flow;
  struct follow view;
  int64_t fi;
  int sig;                        /* first signal taken, 0 = none */
  struct req cancel;
  atomic_int poked;               /* a turn has ended since we looked */
};

static bool replaying(const struct job *j) { return config_num(&j->cfg, OPT_FROM) != 0; }
static bool as_json(const struct job *j) { return config_num(&j->cfg, OPT_OUTPUT) != 0; }

/* ---- the temporary directory ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at) {
  (void)st;
  (void)type;
  (void)at;
  (void)remove(path); /* what cannot be removed stays in the temp directory */
  return 0;
}

static void remove_dir(struct job *j) {
  if (j->dir[0]) nftw(j->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  j->dir[0] = 0;
}

static enum wr_rc make_dir(struct job *j, struct wr_err *err) {
  const char *tmp = getenv("TMPDIR");
  int n = snprintf(j->dir, sizeof j->dir, "%s/weir-run-XXXXXX", tmp && *tmp ? tmp : "/tmp");
  if (n >= (int)sizeof j->dir || !mkdtemp(j->dir)) {
    j->dir[0] = 0;
    return wr_err_set(err, WR_NO_SPACE, "No temporary directory can be made; see TMPDIR.");
  }
  chmod(j->dir, 0711); /* a run-as user gets through to its WEIR_OUTPUT; nobody may list it */
  snprintf(j->store, sizeof j->store, "sqlite:%s/weir.db", j->dir);
  return WR_OK;
}

/* ---- options ---- */

static enum wr_rc read_options(struct job *j, struct wr_err *err) {
  struct node_opts *o = &j->opts;
  if (j->cfg.n_args != 1)
    return wr_err_set(err, WR_BAD_REQUEST, j->cfg.n_args ? "One FILE only." : "FILE is missing; - reads standard input.");
  if (isnan(input_scale(config_text(&j->cfg, OPT_TIME_SCALE))))
    return wr_err_set(err, WR_BAD_REQUEST, "--time-scale: expected a number of 0 or more.");
  o->roles = NODE_RUNNER | NODE_WORKER;
  o->roles_text = "run";
  enum wr_rc rc = setup_common(&j->cfg, SHELL_PERSONAL, o, err);
  if (!rc) rc = input_params(&j->cfg.v[OPT_PARAM], &j->params, err);
  o->queue = "memory:";
  o->prefix = "run";
  if (replaying(j)) o->async_slots = o->slots;
  return rc;
}

/* The file, before anything is made. */
static int read_input(struct job *j, struct wr_err *err) {
  int code;
  if (input_json(j->cfg.args[0], &j->doc, &code, err)) return code;
  if (!replaying(j)) return EXIT_OK;
  return wf_load(j->doc, input_scale(config_text(&j->cfg, OPT_TIME_SCALE)), &j->wf, err) ? EXIT_REFUSED : EXIT_OK;
}

/* ---- the runner answers ---- */

static void on_changed(void *ctx) {
  struct job *j = ctx;
  if (atomic_exchange(&j->poked, 1) == 0) signals_wake();
}
static void on_flow_done(void *ctx, int64_t fi, enum flow_state state) {
  (void)fi;
  (void)state;
  on_changed(ctx);
}

struct answer { pthread_mutex_t lock; pthread_cond_t cond; bool done; };
static void on_answer(struct req *q, void *ctx) {
  struct answer *a = ctx;
  (void)q;
  pthread_mutex_lock(&a->lock);
  a->done = true;
  pthread_cond_signal(&a->cond);
  pthread_mutex_unlock(&a->lock);
}

static enum wr_rc start_flow(struct job *j, struct wr_err *err) {
  struct answer a = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false};
  struct req_start one = {.flow_id = j->flow->flow_id, .params = j->params};
  struct req q = {.kind = REQ_START, .start = &one, .n_start = 1, .done = on_answer, .done_ctx = &a};
  if (runner_post(node_runner(j->node), &q)) {
    pthread_mutex_lock(&a.lock);
    while (!a.done) pthread_cond_wait(&a.cond, &a.lock);
    pthread_mutex_unlock(&a.lock);
  }
  if (q.rc) *err = q.err;
  j->fi = one.fi;
  return q.rc;
}

static void nobody_waits(struct req *q, void *ctx) {
  (void)q;
  (void)ctx;
}

/* ---- following ---- */

static void take_signal(struct job *j, int sig) {
  if (signals_haste(sig)) {
    remove_dir(j);
    _exit(EXIT_INTERRUPTED);
  }
  if (j->sig) return;
  j->sig = sig;
  fputs("cancelling; Ctrl-C again ends at once\n", stderr);
  j->cancel = (struct req){.kind = REQ_CANCEL_FLOW, .fi = j->fi, .done = nobody_waits};
  (void)runner_post(node_runner(j->node), &j->cancel); /* refused: the second signal remains */
}

/* Until there is something to look at; seconds that pass are drawn meanwhile. */
static void wait_change(struct job *j) {
  while (!atomic_exchange(&j->poked, 0)) {
    int sig = j->view.style == FOLLOW_TREE ? signals_wait_until(clock_mono_us() + TICK_US) : signals_wait();
    if (sig) take_signal(j, sig);
    else follow_tick(&j->view);
  }
  while (clock_mono_us() < j->view.next_us) {
    int sig = signals_wait_until(j->view.next_us);
    if (sig) take_signal(j, sig);
  }
}

static enum wr_rc follow(struct job *j, struct wr_err *err) {
  struct follow *f = &j->view;
  follow_init(f, node_store(j->node), j->flow, j->fi);
  f->to = as_json(j) ? stderr : stdout;
  f->style = tree_possible(f->to) ? FOLLOW_TREE : FOLLOW_LINES;
  f->colour = f->style == FOLLOW_TREE && !getenv("NO_COLOR");
  for (;;) {
    enum wr_rc rc = follow_look(f, err);
    if (rc || flow_final((enum flow_state)f->state)) return rc;
    wait_change(j);
  }
}

/* ---- all of it ---- */

static int exit_code(const struct job *j) {
  if (j->sig == SIGINT) return EXIT_INTERRUPTED;
  if (j->view.state == FLOW_SUCCESS) return EXIT_OK;
  return j->view.state == FLOW_CANCELED ? EXIT_STOPPED : EXIT_RUN_FAILED;
}

static void report(const struct job *j) {
  const struct follow *f = &j->view;
  if (replaying(j)) {
    struct replay r = replay_of(f, &j->wf, j->opts.slots);
    if (as_json(j)) report_replay_json(stdout, f, &r);
    else report_replay(stdout, f, &r);
  } else if (as_json(j)) {
    report_flow_json(stdout, f);
  } else {
    report_flow(stdout, f);
  }
}

static enum wr_rc open_node(struct job *j, struct wr_err *err) {
  struct node_opts *o = &j->opts;
  struct spawner *spawner;
  enum wr_rc rc = make_dir(j, err);
  if (rc) return rc;
  o->data = j->dir;
  o->store = config_text(&j->cfg, OPT_STORE) ? config_text(&j->cfg, OPT_STORE) : j->store;
  o->ctx = j;
  o->changed = on_changed;
  o->flow_done = on_flow_done;
  rc = node_prepare(o, &spawner, err);
  return rc ? rc : node_open(o, spawner, &j->node, err);
}

static int run_job(struct job *j) {
  struct wr_err err = {0};
  int code = read_input(j, &err);
  if (code) return complain("run", &err, (enum exit_code)code);
  enum wr_rc rc = open_node(j, &err);
  if (rc) return complain("run", &err, exit_of(rc));
  rc = input_flow(j->node, replaying(j) ? j->wf.body : j->doc, &j->flow, &err);
  if (!rc) rc = start_flow(j, &err);
  if (!rc) rc = follow(j, &err);
  if (!rc) report(j);
  code = rc ? complain("run", &err, rc == WR_DB_UNAVAILABLE ? EXIT_UNREACHABLE : EXIT_REFUSED) : exit_code(j);
  node_drain(j->node, GRACE_US);
  return code;
}

static void job_done(struct job *j) {
  node_close(j->node);
  follow_done(&j->view);
  def_flow_unref(j->flow);
  params_unref(j->params);
  wf_done(&j->wf);
  json_decref(j->doc);
  setup_done(&j->opts);
  remove_dir(j);
  config_done(&j->cfg);
}

int verb_run(int argc, char **argv) {
  struct job j = {0};
  struct wr_err err = {0};
  int code;
  enum wr_rc rc = config_load(&j.cfg, VERB_RUN, argc, argv, &err);
  if (!rc && j.cfg.help) {
    puts("Usage: weir run [options] FILE\n\nRuns the flow in FILE (the body of POST /flow; - = standard input) to its end, with no server.\n"
         "Exit status: 0 success, 1 failed, 2 usage, 3 no such file, 4 refused, 5 database away, 6 cancelled, 130 Ctrl-C.\n");
    config_help(stdout, VERB_RUN);
    code = EXIT_OK;
  } else {
    if (!rc) rc = read_options(&j, &err);
    code = rc ? complain("run", &err, exit_of(rc)) : run_job(&j);
  }
  job_done(&j);
  return code;
}
