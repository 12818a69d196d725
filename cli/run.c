/* `weir run FILE`: one flow to its end in this process, with no server and no HTTP. Main thread.
 *
 * The flow is saved, started and followed through the same store and runner as a server's. Nothing is polled: the
 * runner wakes the main thread after its turns, and the look at the rows that follows is spaced by follow.c. The store is
 * a temporary SQLite file unless --store names one. The first Ctrl-C cancels the flow and waits until its processes
 * are dead; another one ends this process at once, and the spawner kills them. */
#include <errno.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>
#include "clock.h"
#include "input.h"
#include "log.h"
#include "process.h"
#include "report.h"
#include "resume.h"
#include "run_dir.h"
#include "say.h"
#include "signals.h"
#include "verbs.h"

#define GRACE_US 5000000
#define START_US 10000000         /* the longest wait for the answer that the start of the flow is stored */
#define TICK_US 1000000           /* a tree shows passing seconds */
#define LOGS_US 200000            /* output of steps wakes nobody, so with --logs it is looked for this often */
#define OTHERS_NAMED 3            /* of the unfinished runs that a store holds */

struct run_job {
  struct config cfg;
  struct node_opts opts;
  struct identity who;
  struct run_dir dir;             /* temporary */
  char store[300];
  json_t *doc;
  struct wf wf;                   /* of --from wfformat */
  struct params *params;
  struct node *node;
  struct flow_def *flow;
  struct follow view;
  int64_t fi;
  int sig;                        /* first signal taken, 0 = none */
  struct req start, cancel;       /* members of the job, since the runner may answer them late */
  struct req_start one;
  atomic_bool started;            /* `start` is answered */
  atomic_int poked;               /* a turn has ended since we looked */
};

static bool replaying(const struct run_job *j) { return config_num(&j->cfg, OPT_FROM) != 0; }
static bool as_json(const struct run_job *j) { return config_num(&j->cfg, OPT_OUTPUT) != 0; }
static bool resuming(const struct run_job *j) { return config_num(&j->cfg, OPT_RESUME) != 0; }

/* ---- options ---- */

/* A missing file is made when a flow begins, but not when one is to go on: then its name must be mistyped. */
static bool sqlite_missing(const char *url) {
  struct stat st;
  return strncmp(url, "sqlite:", 7) == 0 && stat(url + 7, &st) != 0 && errno == ENOENT;
}

static enum wr_rc read_options(struct run_job *j, struct wr_err *err) {
  struct node_opts *o = &j->opts;
  bool resume = resuming(j);
  if (resume && (j->cfg.n_args || !config_text(&j->cfg, OPT_STORE)))
    return wr_err_set(err, WR_BAD_REQUEST,
                      "--resume goes on with what is unfinished in a store: it takes --store URL and no FILE.");
  if (resume && (j->cfg.v[OPT_PARAM].n_many || config_num(&j->cfg, OPT_LOGS) || replaying(j)))
    return wr_err_set(err, WR_BAD_REQUEST,
                      "--resume goes on with runs as they were started: -p, --logs and --from are for those of a FILE.");
  if (resume && sqlite_missing(config_text(&j->cfg, OPT_STORE)))
    return wr_err_set(err, WR_NOT_FOUND, "There is no database %.200s: nothing to go on with.", config_text(&j->cfg, OPT_STORE));
  if (!resume && j->cfg.n_args != 1)
    return wr_err_set(err, WR_BAD_REQUEST, j->cfg.n_args ? "Expected one FILE." : "FILE is missing; - reads standard input.");
  if (isnan(input_scale(config_text(&j->cfg, OPT_TIME_SCALE))))
    return wr_err_set(err, WR_BAD_REQUEST, "--time-scale: expected a number of 0 or more.");
  if (!replaying(j) && j->cfg.v[OPT_TIME_SCALE].from == FROM_FLAG)
    return wr_err_set(err, WR_BAD_REQUEST, "--time-scale is for a recorded workflow: it needs --from wfformat.");
  o->roles = NODE_RUNNER | NODE_WORKER;
  o->roles_text = "run";
  o->queue = "memory:";
  o->prefix = "run";
  o->own_only = !resume;
  return input_params(&j->cfg.v[OPT_PARAM], &j->params, err);
}

/* Called after the file was read: a person who mistyped its name then gets no other warning. */
static enum wr_rc read_setup(struct run_job *j, struct wr_err *err) {
  enum wr_rc rc = setup_common(&j->cfg, SHELL_PERSONAL, LOG_WARN, &j->opts, &j->who, err);
  if (replaying(j)) j->opts.async_slots = j->opts.slots;
  return rc;
}

/* Reads the file, before anything is made. */
static int read_input(struct run_job *j, struct wr_err *err) {
  int code;
  if (resuming(j)) return EXIT_OK;
  if (input_json(j->cfg.args[0], &j->doc, &code, err)) return code;
  if (!replaying(j)) return EXIT_OK;
  return wf_load(j->doc, input_scale(config_text(&j->cfg, OPT_TIME_SCALE)), &j->wf, err) ? EXIT_REFUSED : EXIT_OK;
}

/* ---- the runner answers ---- */

static void on_changed(void *ctx) {
  struct run_job *j = ctx;
  if (atomic_exchange(&j->poked, 1) == 0) signals_wake();
}
static void on_flow_done(void *ctx, int64_t fi, enum flow_state state) {
  (void)fi;
  (void)state;
  on_changed(ctx);
}

static void nobody_waits(struct req *q, void *ctx) {
  (void)q;
  (void)ctx;
}

/* ---- signals ---- */

/* A flow that has not begun yet is canceled once it has. */
static void cancel(struct run_job *j) {
  if (!j->fi) return;
  j->cancel = (struct req){.kind = REQ_CANCEL_FLOW, .fi = j->fi, .done = nobody_waits};
  (void)runner_post(node_runner(j->node), &j->cancel); /* refused: the second signal remains */
}

static void take_signal(struct run_job *j, int sig) {
  if (signals_haste(sig)) {
    process_leaves_nothing();
    run_dir_remove(&j->dir);
    _exit(EXIT_INTERRUPTED);
  }
  if (j->sig) return;
  j->sig = sig;
  fputs("canceling; Ctrl-C again ends at once\n", stderr);
  cancel(j);
}

/* ---- the start ---- */

static void on_answer(struct req *q, void *ctx) {
  struct run_job *j = ctx;
  (void)q;
  atomic_store(&j->started, true);
  signals_wake();
}

static enum wr_rc start_flow(struct run_job *j, struct wr_err *err) {
  j->one = (struct req_start){.flow_id = j->flow->flow_id, .params = j->params};
  j->start = (struct req){.kind = REQ_START, .start = &j->one, .n_start = 1, .done = on_answer, .done_ctx = j};
  int64_t until = clock_mono_us() + START_US;
  bool posted = runner_post(node_runner(j->node), &j->start);
  while (posted && !atomic_load(&j->started)) {
    if (clock_mono_us() >= until)
      return wr_err_set(err, WR_DB_UNAVAILABLE,
                        "The database has not answered for %d s: whether the flow has begun is not known.", START_US / 1000000);
    int sig = signals_wait_until(until);
    if (sig) take_signal(j, sig);
  }
  if (j->start.rc) *err = j->start.err;
  j->fi = j->one.fi;
  if (j->sig && !j->start.rc) cancel(j);
  return j->start.rc;
}

/* ---- following ---- */

/* Waits until there is something to look at, and draws the passing seconds meanwhile. */
static void wait_change(struct run_job *j) {
  while (!atomic_exchange(&j->poked, 0)) {
    int64_t tick = j->view.logs ? LOGS_US : j->view.style == FOLLOW_TREE ? TICK_US : 0;
    int sig = tick ? signals_wait_until(clock_mono_us() + tick) : signals_wait();
    if (sig) take_signal(j, sig);
    else if (j->view.logs) break;
    else follow_tick(&j->view);
  }
  while (clock_mono_us() < j->view.next_us) {
    int sig = signals_wait_until(j->view.next_us);
    if (sig) take_signal(j, sig);
  }
}

static enum wr_rc follow(struct run_job *j, struct wr_err *err) {
  struct follow *f = &j->view;
  follow_init(f, node_store(j->node), j->flow, j->fi);
  f->to = as_json(j) ? stderr : stdout;
  f->logs = config_num(&j->cfg, OPT_LOGS);
  f->style = tree_possible(f->to) && !f->logs ? FOLLOW_TREE : FOLLOW_LINES;
  f->colour = f->style == FOLLOW_TREE && !getenv("NO_COLOR");
  for (;;) {
    enum wr_rc rc = follow_look(f, err);
    if (!rc && flow_final((enum flow_state)f->state)) return follow_end(f, err);
    if (rc) return rc;
    wait_change(j);
  }
}

/* ---- all of it ---- */

static int exit_code(const struct run_job *j) {
  if (j->sig == SIGINT) return EXIT_INTERRUPTED;
  if (j->view.state == FLOW_SUCCESS) return EXIT_OK;
  return j->view.state == FLOW_CANCELED ? EXIT_STOPPED : EXIT_RUN_FAILED;
}

static enum wr_rc report(const struct run_job *j, struct wr_err *err) {
  const struct follow *f = &j->view;
  if (replaying(j)) {
    struct replay r = replay_of(f, &j->wf, j->opts.slots);
    if (as_json(j)) report_replay_json(stdout, f, &r);
    else report_replay(stdout, f, &r);
  } else if (as_json(j)) {
    return report_flow_json(stdout, f, node_defs(j->node), err);
  } else {
    report_flow(stdout, f);
  }
  return WR_OK;
}

/* ---- what else is in the store ---- */

static void warn_of(void *ctx, const char *text) {
  (void)ctx;
  say_warning(text);
}

struct others { struct buf text; int n; };
static int name_one(void *ctx, const struct flow_row *row) {
  struct others *o = ctx;
  if (o->n++ < OTHERS_NAMED) buf_printf(&o->text, "%s%lld", o->n > 1 ? ", " : "", (long long)row->fi);
  return 0;
}

/* Names the unfinished runs in the store. They do not go on only because somebody uses the same file: nobody asked for that. */
static enum wr_rc tell_others(struct run_job *j, struct wr_err *err) {
  if (!config_text(&j->cfg, OPT_STORE)) return WR_OK;
  struct reader *r = reader_get(node_store(j->node), err);
  if (!r) return err->code;
  struct others o = {0};
  struct list_filter unfinished = {.state = -1, .status = 1};
  struct page p = {.limit = OTHERS_NAMED, .want_total = true};
  bool more;
  int64_t total = 0;
  enum wr_rc rc = reader_list_flow_ins(r, &unfinished, &p, name_one, &o, &more, &total, err);
  reader_put(r);
  if (!rc && total > 0)
    fprintf(stderr, "the store holds %lld unfinished run%s (fiId %s%s), left alone; "
                    "`weir run --resume --store ..` goes on with %s\n",
            (long long)total, total == 1 ? "" : "s", o.text.data, more ? ", .." : "", total == 1 ? "it" : "them");
  buf_done(&o.text);
  return rc;
}

static enum wr_rc open_node(struct run_job *j, struct wr_err *err) {
  struct node_opts *o = &j->opts;
  struct spawner *spawner;
  enum wr_rc rc = run_dir_make(&j->dir, err);
  if (rc) return rc;
  snprintf(j->store, sizeof j->store, "sqlite:%s/weir.db", j->dir.path);
  o->data = j->dir.path;
  o->store = config_text(&j->cfg, OPT_STORE) ? config_text(&j->cfg, OPT_STORE) : j->store;
  o->ctx = j;
  o->changed = on_changed;
  o->flow_done = on_flow_done;
  o->gone = process_gone;
  o->stopping = process_stopping;
  o->useless = process_useless;
  rc = process_prepare(o, &j->who, &spawner, err);
  return rc ? rc : node_open(o, spawner, &j->node, err);
}

/* Why there is no run: for a person on stderr, and with -o json for a program on stdout. */
static int job_refuse(const struct run_job *j, const struct wr_err *err, int code) {
  if (as_json(j)) report_refusal_json(stdout, err);
  return complain("run", err, (enum exit_code)code);
}

/* A person whose flow has no SHELL task is not told what such a task could do. */
static bool has_shell(const struct run_job *j) {
  struct wr_err ignored;
  bool found = false;
  for (uint32_t i = 0; i < j->flow->n && !found; i++) {
    const struct node_def *n = &j->flow->node[i];
    for (uint32_t k = 0; k < n->n_task && !found; k++) found = strcmp(n->task[k]->type, "SHELL") == 0;
    for (uint32_t k = 0; k < n->n_task_id && !found; k++) {
      struct task_def *t = NULL;
      found = defs_task(node_defs(j->node), n->task_id[k], 0, -1, &t, &ignored) == WR_OK && strcmp(t->type, "SHELL") == 0;
      def_task_unref(t);
    }
  }
  return found;
}

static enum wr_rc run_flow(struct run_job *j, struct wr_err *err) {
  enum wr_rc rc = tell_others(j, err);
  struct def_site site = {node_store(j->node), node_executors(j->node), j->opts.shell == NODE_SHELL_ON, j->opts.run_as,
                          node_defs(j->node)};
  if (!rc) rc = input_flow(&site, replaying(j) ? j->wf.body : j->doc, &j->flow, err);
  if (rc == WR_SHELL_NOT_ALLOWED || (!rc && has_shell(j))) setup_tell_shell(&j->opts, SHELL_PERSONAL);
  if (rc) return rc;
  if (!replaying(j)) (void)def_flow_warn(j->flow, warn_of, NULL);
  rc = start_flow(j, err);
  if (!rc) rc = follow(j, err);
  return rc ? rc : report(j, err);
}

static int run_job(struct run_job *j) {
  struct wr_err err = {0};
  int code = read_input(j, &err);
  if (code) return job_refuse(j, &err, code);
  enum wr_rc rc = read_setup(j, &err);
  if (!rc) rc = open_node(j, &err);
  if (rc) return job_refuse(j, &err, exit_of(rc));
  if (resuming(j)) {
    setup_tell_shell(&j->opts, SHELL_PERSONAL); /* a store may hold tasks of any type */
    code = resume(j->node, as_json(j), &j->poked, &err);
    if (code < 0) code = job_refuse(j, &err, exit_of(err.code));
  } else {
    rc = run_flow(j, &err);
    enum exit_code refused = j->sig == SIGINT ? EXIT_INTERRUPTED : rc == WR_DB_UNAVAILABLE ? EXIT_UNREACHABLE : EXIT_REFUSED;
    code = rc ? job_refuse(j, &err, refused) : exit_code(j);
  }
  node_drain(j->node, GRACE_US);
  return code;
}

static void job_done(struct run_job *j) {
  node_close(j->node);
  follow_done(&j->view);
  def_flow_unref(j->flow);
  params_unref(j->params);
  wf_done(&j->wf);
  json_decref(j->doc);
  setup_done(&j->opts, &j->who);
  run_dir_remove(&j->dir);
  config_done(&j->cfg);
}

int verb_run(int argc, char **argv) {
  struct run_job j = {0};
  struct wr_err err = {0};
  int code;
  enum wr_rc rc = config_load(&j.cfg, VERB_RUN, argc, argv, &err);
  if (!rc && j.cfg.help) {
    puts("Usage: weir run [options] FILE\n       weir run --resume --store URL\n\n"
         "Runs the flow in FILE (JSON, the body of POST /flow; - = standard input) to its\n"
         "end, with no server.\n\n"
         "  weir run examples/retries.json\n"
         "  weir run --logs backup.json -p from=/srv/shop -p to=/backup\n"
         "  weir run -o json flow.json | jq '.nodes[] | {nodeKey, state}'\n\n"
         "Exit status: 0 success, 1 failed, 2 usage, 3 no such file, 4 refused,\n"
         "5 database away, 6 canceled, 130 Ctrl-C.\n");
    config_help(stdout, VERB_RUN);
    code = EXIT_OK;
  } else {
    if (!rc) rc = read_options(&j, &err);
    code = rc ? job_refuse(&j, &err, rc == WR_NOT_FOUND ? EXIT_NOT_FOUND : exit_of(rc)) : run_job(&j);
  }
  job_done(&j);
  return code;
}
