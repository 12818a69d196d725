/* The parts of one node put together: see node.h. Holds no policy of its own; every function here hands something on. */
#include "node.h"
#include "analysis.h"
#include "load.h"
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "analysis.h"
#include "clerk.h"
#include "clock.h"
#include "def_env.h"
#include "found.h"
#include "http_task.h"
#include "labels.h"
#include "log.h"
#include "node_trouble.h"
#include "own.h"
#include "pump.h"
#include "registry.h"
#include "text.h"
#include "wr_limits.h"

#define LEAVE_US 2000000          /* a planned stop: how long results may take to be stored, once all attempts have ended */
enum { ID_CHARS = 32, HOME_BYTES = 80 };
enum { MYSQL_USUAL_PORT = 3306, REDIS_USUAL_PORT = 6379 };
#define NUDGE_QUEUE SLOT_PROCESS  /* which of the queues carries nudges */

struct node {
  const struct node_opts *o;
  struct store *store;
  struct logs *logs;
  struct defs *defs;
  struct clerk *clerk;            /* what is registered at run time */
  struct registry *executors;
  struct registry *analyzers;     /* those that were registered: their names are no task types */
  struct def_site site;           /* what the tasks of an analyzer's answer are checked against */
  struct http *http;              /* the client of HTTP, and of all else that asks URLs here */
  struct backlog backlog;         /* results of the worker that the runner has not stored */
  struct queue *queue[SLOT__N];   /* one each, so that tasks that wait for a process never hold up the others */
  struct pump *pump[SLOT__N];     /* NULL with the queue in memory */
  struct hint_lists *lists;       /* the same */
  uint64_t lists_of;              /* what the pollers know of the registry; runner thread */
  pthread_mutex_t gate;           /* between the runner's calls and a worker that goes before it: node_close() */
  /* NULL: there is none, or none any more. The runner's thread, and who says that the store is gone, look with `gate` held. */
  struct worker *worker;
  struct runner *_Atomic runner;  /* NULL until it is made: the worker's threads, which are older, look */
  _Atomic bool failed;            /* it has no spawner any more */
  bool spawned;                   /* it has, or had, a spawner */
  bool running, left, stuck;      /* the runner thread runs; node_leave() was called; that thread hangs in the database */
  char host[256], home[HOME_BYTES], types[1024], users[1024];  /* read again whenever the runner joins */
  struct never_started *never; size_t n_never;  /* as the spawner found it */
};

/* It runs tasks. A node without this role has a worker for its calls of analyzers alone. */
static bool works(const struct node *n) { return (n->o->roles & NODE_WORKER) != 0; }

/* ---- ports: the runner asks ---- */

/* A runner that hung in the database may come back when its worker is gone. No call of a worker that is made here blocks. */
static struct worker *worker_in(struct node *n) {
  pthread_mutex_lock(&n->gate);
  return n->worker;
}
static void worker_out(struct node *n) { pthread_mutex_unlock(&n->gate); }

static void port_start(void *ctx, struct attempt *list) {
  struct worker *w = worker_in(ctx);
  if (w) worker_start(w, list);
  worker_out(ctx);
}

static void port_cancel(void *ctx, int64_t ti, uint32_t epoch, enum task_stop why) {
  struct worker *w = worker_in(ctx);
  if (w) worker_stop(w, ti, epoch, why);
  worker_out(ctx);
}

static void port_forget(void *ctx, int64_t ti) {
  struct worker *w = worker_in(ctx);
  if (w) worker_forget(w, ti);
  worker_out(ctx);
}

static void port_part(void *ctx, struct attempt *list) {
  struct worker *w = worker_in(ctx);
  if (w) worker_part(w, list);
  for (struct attempt *a; !w && (a = list);) list = a->next, attempt_free(a);
  worker_out(ctx);
}

static void port_hand_back(void *ctx, bool running) {
  struct worker *w = worker_in(ctx);
  if (w) worker_hand_back(w, running);
  worker_out(ctx);
}

static void port_kill_all(void *ctx) {
  struct worker *w = worker_in(ctx);
  if (w) worker_kill_all(w);
  worker_out(ctx);
}

static void port_deadline(void *ctx, int64_t boot_us) {
  struct worker *w = worker_in(ctx);
  if (w) worker_set_deadline(w, boot_us);
  worker_out(ctx);
}

/* Redis is behind a pump. Without Redis hints stay in the runner. */
static bool port_push(void *ctx, enum slot_class s, const struct hint *h, size_t n) {
  return pump_push(((struct node *)ctx)->pump[s], h, n);
}
static size_t port_backlog(void *ctx, enum slot_class s) { return pump_depth(((struct node *)ctx)->pump[s]); }

static void port_nudge(void *ctx, int64_t incarnation) {
  struct node *n = ctx;
  if (n->pump[NUDGE_QUEUE]) pump_nudge(n->pump[NUDGE_QUEUE], incarnation);
}

static void port_flow_done(void *ctx, int64_t fi, enum flow_state state) {
  struct node *n = ctx;
  if (n->o->flow_done) n->o->flow_done(n->o->ctx, fi, state);
}

/* The pollers look which lists are theirs, now: what waits in a pop is woken by a nudge. */
static void types_changed(struct node *n) {
  n->lists_of = registry_changes(n->executors);
  for (int s = 0; s < SLOT__N; s++) {
    queue_lists_changed(n->queue[s]);
    pump_nudge(n->pump[s], runner_incarnation(n->runner));
  }
}

static void port_free_slots(void *ctx, const uint32_t free[SLOT__N]) {
  struct node *n = ctx;
  if (n->lists && n->worker && n->lists_of != registry_changes(n->executors)) types_changed(n);
  for (int s = 0; s < SLOT__N; s++) {
    if (n->pump[s]) pump_free(n->pump[s], free[s]);
  }
  if (n->o->changed) n->o->changed(n->o->ctx);
}

/* ---- the worker reports ---- */

static void worker_done(void *ctx, struct attempt *list) { runner_post_results(((struct node *)ctx)->runner, list); }
static void worker_timed_out(void *ctx, int64_t fi, int64_t ti, uint32_t epoch) {
  runner_post_timeout(((struct node *)ctx)->runner, fi, ti, epoch);
}

/* The worker exists before the runner does, and still after it. */
static void worker_news(void *ctx) {
  struct node *n = ctx;
  struct runner *r = atomic_load(&n->runner);
  if (r) runner_news(r);
}

static void port_trouble(void *ctx, struct node_trouble *out) {
  struct node *n = ctx;
  const struct queue_opts *q = &n->o->queues;
  struct worker *w = worker_in(n);
  if (w) worker_trouble(w, out);
  worker_out(n);
  if (!w || !works(n)) return;
  out->cpu_budget = q->cpu_budget;
  (void)load_allows(q, out->load, sizeof out->load);
  if (q->serves_text) snprintf(out->serves, sizeof out->serves, "%s", q->serves_text);
}

static void worker_pause(void *ctx, int64_t boot_us) { runner_hold(((struct node *)ctx)->runner, SLOT_PROCESS, boot_us); }

static void worker_useless(void *ctx) {
  struct node *n = ctx;
  atomic_store(&n->failed, true);
  if (n->o->useless) n->o->useless(n->o->ctx);
}

/* If the host goes on: nothing counts any more that runs here. */
static void node_gone(struct node *n, enum node_gone what, const char *why) {
  n->o->gone(n->o->ctx, what, why);
  struct worker *w = worker_in(n);
  if (w) worker_kill_all(w);
  worker_out(n);
}

static void worker_gone(void *ctx, const char *why) { node_gone(ctx, NODE_GONE_LOCK, why); }
static void store_gone(void *ctx, const char *why) { node_gone(ctx, NODE_GONE_STORE, why); }

/* Pieces of one task often stand side by side: it is told once for these. */
static void logs_grew(const struct watcher *w, const struct log_piece *v, size_t n) {
  if (!w || !w->waits(w->ctx)) return;
  for (size_t i = 0; i < n; i++)
    if (i + 1 == n || v[i].ti != v[i + 1].ti) w->log(w->ctx, v[i].ti);
}

static enum log_rc kept(enum store_rc rc) {
  switch (rc) {
    case STORE_OK: return LOG_STORED;
    case STORE_RETRY: case STORE_UNKNOWN: case STORE_DOWN: return LOG_AGAIN;
    case STORE_NO_SPACE: return LOG_NO_SPACE;
    case STORE_FENCED: return LOG_FENCED;
    case STORE_STALE: case STORE_BAD: break;
  }
  return LOG_REFUSED;
}

static enum log_rc worker_log(void *ctx, const struct log_piece *v, size_t n) {
  struct log_chunk c[LOG_BATCH_PIECES];
  wr_assert(n <= LOG_BATCH_PIECES);
  for (size_t i = 0; i < n; i++)
    c[i] = (struct log_chunk){v[i].ti, v[i].epoch, v[i].seq, v[i].stream, v[i].offset, v[i].time_us, v[i].data, v[i].n};
  enum log_rc rc = kept(logs_write(((struct node *)ctx)->logs, c, n));
  if (rc == LOG_STORED) logs_grew(((struct node *)ctx)->o->watcher, v, n);
  return rc == LOG_FENCED ? LOG_REFUSED : rc;
}

static enum log_rc worker_context(void *ctx, int64_t ti, uint32_t epoch, int64_t owner, const char *text, size_t n) {
  return kept(logs_put_context(((struct node *)ctx)->logs, ti, epoch, owner, clock_wall_us(), text, n));
}

static enum log_rc worker_contexts(void *ctx, struct kept_context *v, size_t n) {
  struct context_put row[CONTEXT_BATCH];
  wr_assert(n <= CONTEXT_BATCH);
  for (size_t i = 0; i < n; i++)
    row[i] = (struct context_put){.ti = v[i].ti, .owner = v[i].owner, .epoch = v[i].epoch, .text = v[i].text, .len = v[i].n};
  enum log_rc rc = kept(logs_put_contexts(((struct node *)ctx)->logs, clock_wall_us(), row, n));
  for (size_t i = 0; i < n; i++) v[i].fenced = row[i].fenced;
  return rc;
}

static enum log_rc worker_progress(void *ctx, const struct kept_progress *v, size_t n) {
  struct progress_row row[LOG_BATCH_PIECES];
  wr_assert(n <= LOG_BATCH_PIECES);
  for (size_t i = 0; i < n; i++)
    row[i] = (struct progress_row){.ti = v[i].ti, .epoch = v[i].epoch, .owner = v[i].owner, .at_us = v[i].at_us,
                                   .total = v[i].total, .done = v[i].done, .speed = v[i].speed,
                                   .unit = *v[i].unit ? v[i].unit : NULL,
                                   .message = *v[i].message ? v[i].message : NULL};
  return kept(logs_put_progress(((struct node *)ctx)->logs, row, n));
}

static int run_epoch_of(void *ctx, const struct async_row *row) {
  *(uint32_t *)ctx = row->run_epoch;
  return 0;
}

/* What was left for the next attempt: context and progress. A former run's progress is over. */
static enum wr_rc read_left(struct reader *r, int64_t ti, struct buf *context, uint32_t *context_epoch, struct report_row *row,
                            struct arena *a) {
  struct wr_err err;
  uint32_t run_epoch = 0;
  enum wr_rc rc = reader_context(r, ti, context, context_epoch, &err);
  if (!rc || rc == WR_NOT_FOUND) rc = reader_reports(r, &ti, 1, row, a, &err);
  if (!rc) rc = reader_async(r, ti, run_epoch_of, &run_epoch, &err);
  if (rc == WR_NOT_FOUND) rc = WR_OK; /* of a node */
  if (!rc && row->progress.epoch <= run_epoch) row->has_progress = false;
  return rc;
}

static struct attempt_left *left_of(const struct buf *context, uint32_t context_epoch, const struct report_row *row) {
  const struct progress_row *p = &row->progress;
  struct attempt_left *l = wr_calloc(1, sizeof *l + context->len + 1);
  l->total = row->has_progress ? p->total : -1;
  l->done = row->has_progress ? p->done : -1;
  if (row->has_progress && p->unit) snprintf(l->unit, sizeof l->unit, "%s", p->unit);
  if (row->has_progress && p->message) snprintf(l->message, sizeof l->message, "%s", p->message);
  l->context_epoch = context_epoch;
  l->context_len = context->len;
  if (context->len) memcpy(l->context, context->data, context->len);
  return l;
}

static enum log_rc worker_recall(void *ctx, int64_t ti, struct attempt_left **out) {
  struct wr_err err;
  struct report_row row = {0};
  struct buf context = BUF_INIT;
  uint32_t epoch = 0;
  struct arena a;
  struct reader *r = reader_get(((struct node *)ctx)->store, &err);
  if (!r) return LOG_AGAIN;
  arena_init(&a, 0);
  enum wr_rc rc = read_left(r, ti, &context, &epoch, &row, &a);
  reader_put(r);
  if (!rc && (context.len || row.has_progress)) *out = left_of(&context, epoch, &row);
  buf_done(&context);
  arena_done(&a);
  return rc ? LOG_AGAIN : LOG_STORED;
}

static enum log_rc worker_forget_part(void *ctx, int64_t ti, bool *more) {
  return kept(logs_drop(((struct node *)ctx)->logs, ti, more));
}

/* ---- what analyses ask ---- */

struct found_row { struct evidence *e; bool any, log_is_result; };
static int take_row(void *ctx, const struct task_row *t) {
  struct found_row *f = ctx;
  f->any = true;
  f->log_is_result = t->log == LOG_IS_RESULT;
  f->e->exit_code = t->exit_code < 0 ? -1 : t->exit_code;
  f->e->status = t->exit_code < -1 ? -t->exit_code : 0;
  f->e->signal = t->signal;
  if (t->result) f->e->result = wr_memdup0(t->result, f->e->result_len = t->result_len);
  return 0;
}

/* From the beginning of a character on. */
static void take_tail(struct evidence *e, const char *p, size_t n) {
  size_t skip = 0;
  if (n == LIMIT_LOG_TAIL_BYTES)
    while (skip < n && skip < 4 && ((unsigned char)p[skip] & 0xC0) == 0x80) skip++;
  if (n > skip) e->log_tail = wr_memdup0(p + skip, e->log_len = n - skip);
}

static void tail_of_result(struct evidence *e) {
  size_t n = e->result_len < LIMIT_LOG_TAIL_BYTES ? e->result_len : LIMIT_LOG_TAIL_BYTES;
  if (e->result) take_tail(e, e->result + e->result_len - n, n);
}

static enum wr_rc read_tail(struct reader *r, int64_t ti, uint32_t epoch, struct evidence *e, struct wr_err *err) {
  struct buf b = BUF_INIT;
  int64_t size = 0;
  enum wr_rc rc = reader_log(r, ti, epoch, 0, 0, &b, &size, err);
  int64_t from = size > LIMIT_LOG_TAIL_BYTES ? size - LIMIT_LOG_TAIL_BYTES : 0;
  if (!rc && size > 0) rc = reader_log(r, ti, epoch, from, LIMIT_LOG_TAIL_BYTES, &b, &size, err);
  if (!rc) take_tail(e, b.data, b.len);
  buf_done(&b);
  return rc;
}

static enum log_rc analysis_evidence(void *ctx, int64_t ti, uint32_t epoch, struct evidence *out) {
  struct wr_err err;
  struct found_row f = {.e = out};
  struct reader *r = reader_get(((struct node *)ctx)->store, &err);
  if (!r) return LOG_AGAIN;
  enum wr_rc rc = reader_task_ins(r, ti, take_row, &f, &err);
  if (!rc && f.log_is_result) tail_of_result(out); /* such a log has no rows */
  else if (!rc && f.any) rc = read_tail(r, ti, epoch, out, &err);
  reader_put(r);
  if (rc == WR_NOT_FOUND || (!rc && !f.any)) return LOG_REFUSED;
  return rc ? LOG_AGAIN : LOG_STORED;
}

static enum wr_rc analysis_find(void *ctx, const char *name, const struct executor **out, struct wr_err *err) {
  return defs_analyzer_find(((struct node *)ctx)->defs, name, out, err);
}

static struct def_env analysis_env(void *ctx) { return def_env_at(&((struct node *)ctx)->site); }

static const struct worker_analysis worker_analysis = {analysis_evidence, analysis_find, analysis_env};

static const struct worker_keeps worker_keeps = {.context = worker_context, .contexts = worker_contexts,
                                                 .progress = worker_progress, .recall = worker_recall,
                                                 .forget = worker_forget_part};

static const char *worker_log_why(void *ctx) { return logs_why(((struct node *)ctx)->logs); }

/* ---- definitions ---- */

_Static_assert((int)SLOT_PROCESS == (int)WX_SLOT_PROCESS && (int)SLOT_ASYNC == (int)WX_SLOT_ASYNC, "a slot class has one number");

/* Does this node have the labels and the type, does it offer it, and may the task run as the user that it asks for? Asked once
 * for each version. */
static bool can_run(void *ctx, const struct task_def *t) {
  const struct node *n = ctx;
  if (t->labels && !labels_have(n->o->labels, t->labels)) return false;
  if (t->executor && t->executor->added && !atomic_load(&t->executor->added->offered)) return false;
  if (!t->executor || !(t->executor->ops.flags & WX_PROGRAMS)) return t->executor != NULL;
  if (n->o->shell != NODE_SHELL_ON) return false;
  json_t *config = t->config ? json_loads(t->config, 0, NULL) : NULL;
  bool ok = !n->o->run_as || run_as_allows(n->o->run_as, json_string_value(json_object_get(config, "user"))) == RUN_AS_ALLOWED;
  json_decref(config);
  return ok;
}

/* The same of a list of hints. Who a task runs as, and which queues this node serves, is not in its name. */
static bool runs_class(void *ctx, const char *type, const char *labels) {
  const struct node *n = ctx;
  const struct executor *x = registry_find(n->executors, type, 0);
  if (!x || !labels_have(n->o->labels, labels)) return false;
  if (x->added && !atomic_load(&x->added->offered)) return false;
  return !(x->ops.flags & WX_PROGRAMS) || n->o->shell == NODE_SHELL_ON;
}

static size_t own_lists(void *ctx, enum slot_class slot, uint16_t *out, size_t most) {
  const struct node *n = ctx;
  size_t got = 0;
  for (const struct executor *x = NULL; got < most && (x = registry_next(n->executors, x));)
    if (executor_slot(x) == slot && runs_class(ctx, x->ops.name, "")) out[got++] = hint_list(n->lists, x->ops.name, NULL);
  return got;
}
static size_t own_process(void *ctx, uint16_t *out, size_t most) { return own_lists(ctx, SLOT_PROCESS, out, most); }
static size_t own_async(void *ctx, uint16_t *out, size_t most) { return own_lists(ctx, SLOT_ASYNC, out, most); }

/* Analyses are all alike: they have the shared list. */
static size_t own_none(void *ctx, uint16_t *out, size_t most) {
  (void)ctx;
  (void)out;
  (void)most;
  return 0;
}

static uint16_t list_of(void *ctx, const struct task_def *t) {
  return hint_list(((struct node *)ctx)->lists, t->type, t->labels);
}

/* What this node offers, for engine_node: "ECHO,WAIT,SHELL", and the users of SHELL. The list is cut when it is full. The API may
 * then say "no executor" for a task that this node could run. */
static void add_word(char *list, size_t n, const char *word) {
  size_t at = strlen(list);
  if (at + strlen(word) + 2 < n) snprintf(list + at, n - at, "%s%s", at ? "," : "", word);
}

static void offers(struct node *n) {
  for (const struct executor *x = NULL; (x = registry_next(n->executors, x));)
    if (!x->added && (!(x->ops.flags & WX_PROGRAMS) || n->o->shell == NODE_SHELL_ON))
      add_word(n->types, sizeof n->types, x->ops.name);
  for (size_t i = 0; n->o->run_as && i < n->o->run_as->n; i++) add_word(n->users, sizeof n->users, n->o->run_as->v[i].name);
}

/* ---- life ---- */

enum wr_rc node_spawner(const struct node_opts *o, const struct found *found, struct spawner **out, struct wr_err *err) {
  const struct spawner_opts so = {.data_dir = o->data, .run_as = o->run_as, .found = found, .program = o->program,
                                  .helper = o->helper,
                                  .no_tasks = o->shell == NODE_SHELL_OFF};
  *out = NULL;
  return node_starts_programs(o) ? spawner_start(&so, out, err) : WR_OK;
}

static bool calls_analyzers(const struct node_opts *o) {
  return analysis_roles((o->roles & NODE_API) != 0, (o->roles & NODE_RUNNER) != 0);
}

static const char *why_no_spawner(const struct node *n) {
  const char *own = n->o->why_no_spawner;
  if (!works(n)) return "This member starts no programs: it has neither the role worker nor an --executor-dir.";
  return own ? own : "This member has no process that starts programs.";
}

static enum wr_rc open_worker(struct node *n, struct spawner *spawner, struct wr_err *err) {
  if (!works(n) && !calls_analyzers(n->o)) return WR_OK;
  struct worker_opts w = {.spawner = spawner, .executors = n->executors, .data_dir = n->o->data, .ctx = n,
                          .process_slots = n->o->slots,
                          .shell_allowed = n->o->shell == NODE_SHELL_ON,
                          .why_no_spawner = works(n) ? n->o->why_no_spawner : why_no_spawner(n),
                          .done = worker_done, .timed_out = worker_timed_out, .useless = worker_useless, .gone = worker_gone,
                          .pause = worker_pause, .news = worker_news, .log_write = worker_log, .log_why = worker_log_why,
                          .logs_apart = strncmp(n->o->store, "sqlite:", 7) == 0, /* a file of their own */
                          .keeps = &worker_keeps, .tools = n->o->tools, .backlog = &n->backlog,
                          .analysis = calls_analyzers(n->o) ? &worker_analysis : NULL};
  struct worker *made = NULL;
  enum wr_rc rc = worker_open(&w, &made, err);
  (void)worker_in(n);
  n->worker = made;
  worker_out(n);
  return rc;
}

/* A name that no other data directory has, not even a copy of this one. It is a secret that was made once, and the place of the
 * directory. Only the process whose spawner holds the directory's lock may use it. "" = no name could be made. */
static void home_of(const struct node *n, char out[HOME_BYTES]) {
  const struct node_opts *o = n->o;
  char id[ID_CHARS + 1] = "";
  uint64_t secret[2];
  struct stat st;
  struct wr_err err;
  *out = '\0';
  if (!n->spawned) return; /* it holds no lock */
  int fd = own_open(o->data, "id", O_RDWR | O_CREAT, &err);
  if (fd < 0) {
    log_warn("node.id", L_STR("why", err.msg)); /* without it, this node waits until the lease of its former self has ended */
    return;
  }
  bool known = pread(fd, id, ID_CHARS, 0) == ID_CHARS && strspn(id, "0123456789abcdef") == ID_CHARS;
  if (!known) {
    rand_secret(secret, sizeof secret);
    snprintf(id, sizeof id, "%016llx%016llx", (unsigned long long)secret[0], (unsigned long long)secret[1]);
    known = pwrite(fd, id, ID_CHARS, 0) == ID_CHARS && fsync(fd) == 0;
  }
  if (known && fstat(fd, &st) == 0)
    snprintf(out, HOME_BYTES, "%s.%llx.%llx", id, (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
  close(fd);
}

uint32_t node_ahead(const struct node_opts *o) {
  return o->routines && o->shell != NODE_SHELL_ON ? NODE_AHEAD_ROUTINES : NODE_AHEAD;
}

static enum wr_rc open_runner(struct node *n, struct wr_err *err) {
  const struct node_opts *o = n->o;
  gethostname(n->host, sizeof n->host - 1);
  home_of(n, n->home);
  struct runner_opts r = {.store = n->store, .defs = n->defs, .lease_us = o->lease_us, .own_only = o->own_only,
                          .request_us = o->request_us, .cache_bytes = o->cache_bytes, .queues = o->queues,
                          .max_depth = o->max_depth,
                          .info = {.host = n->host, .pid = getpid(), .slots = works(n) ? o->slots : 0, .roles = o->roles_text,
                                   .home = n->home, .types = n->types, .users = n->users, .labels = o->labels,
                                   .version = o->version}};
  rand_secret(&r.seed, sizeof r.seed);
  r.never = n->never;
  r.n_never = n->n_never;
  r.ports = (struct runner_ports){.ctx = n, .push = port_push, .nudge = port_nudge, .flow_done = port_flow_done,
                                  .trouble = port_trouble, .backlog = port_backlog, .free_slots = port_free_slots,
                                  .watcher = o->watcher};
  if (!n->queue[0]) r.ports.push = NULL, r.ports.backlog = NULL;
  if (n->worker) {
    if (works(n)) offers(n);
    /* 0: no hint for a process is popped either */
    r.slots[SLOT_PROCESS] = works(n) && (o->shell == NODE_SHELL_ON || o->routines) ? o->slots : 0;
    r.ahead = works(n) ? node_ahead(o) : 0;
    r.slots[SLOT_ASYNC] = works(n) ? o->async_slots : 0;
    r.slots[SLOT_ANALYSIS] = analysis_roles(o->roles & NODE_API, o->roles & NODE_RUNNER) ? LIMIT_ANALYSES_AT_ONCE : 0;
    r.ports.start = port_start;
    r.ports.cancel = port_cancel;
    r.ports.kill_all = port_kill_all;
    r.ports.forget = port_forget;
    r.ports.part = port_part;
    r.ports.hand_back = port_hand_back;
    r.ports.deadline = port_deadline;
  }
  struct runner *made = NULL;
  enum wr_rc rc = runner_new(&r, &made, err);
  atomic_store(&n->runner, made);
  return rc;
}

static enum wr_rc open_queue(struct node *n, int s, struct wr_err *err) {
  static const char *const suffix[SLOT__N] = {[SLOT_PROCESS] = "process", [SLOT_ASYNC] = "async",
                                               [SLOT_ANALYSIS] = "analysis"};
  static size_t (*const own[SLOT__N])(void *ctx, uint16_t *out, size_t most) = {
    [SLOT_PROCESS] = own_process, [SLOT_ASYNC] = own_async, [SLOT_ANALYSIS] = own_none};
  char prefix[QUEUE_PREFIX_MAX + 16];
  snprintf(prefix, sizeof prefix, "%s.%s", n->o->prefix, suffix[s]);
  enum wr_rc rc = queue_open(n->o->queue, prefix, n->o->max_queued, &n->queue[s], err);
  if (rc || !n->queue[s]) return rc;
  if (!n->lists) n->lists = hint_lists_new();
  queue_lists(n->queue[s], &(struct queue_of){.install = n->o->prefix, .lists = n->lists, .ctx = n, .runs = runs_class,
                                              .own = own[s]});
  return pump_new(n->queue[s], (enum slot_class)s, s == NUDGE_QUEUE ? PUMP_NUDGES : PUMP_HINTS_ONLY, &n->pump[s], err);
}

/* What was registered at run time is known before the runner begins. */
static void open_clerk(struct node *n, const struct spawner *spawner) {
  const struct node_opts *o = n->o;
  static const char shell_off[] = "SHELL is off on this member, and a program runs as SHELL runs.";
  const struct clerk_opts c = {
    .store = n->store, .defs = n->defs, .types = n->executors, .http = n->http,
    .dirs = {o->executor_dir, o->n_executor_dir},
    .why_none = works(n) ? NULL : "This member runs no tasks: it has not the role worker.",
    .why_no_program = o->shell == NODE_SHELL_ON ? NULL : shell_off,
    .why_no_call = o->shell != NODE_SHELL_ON ? shell_off : spawner ? NULL : why_no_spawner(n),
    .labels = o->labels, .analyzers = calls_analyzers(o) ? n->analyzers : NULL, .run_as = o->run_as};
  n->clerk = clerk_new(&c);
  const struct added_host host = clerk_host(n->clerk);
  defs_added(n->defs, n->executors, n->analyzers, &host);
  clerk_first(n->clerk);
}

/* A number for all that it can run (FNV-1a). Two kinds with one number would only wait for each other's looks. */
static uint32_t kind_of(const struct node *n) {
  const char *labels = n->o->labels ? n->o->labels : "";
  uint32_t h = text_fnv(TEXT_FNV, n->types, strlen(n->types));
  h = text_fnv(h, n->users, strlen(n->users));
  return text_fnv(h, labels, strlen(labels));
}

/* Deleted tasks whose logs a node that died had not deleted. Those that another node is just deleting are deleted twice. */
static void forget_the_rest(struct node *n) {
  int64_t ti[1000], after = 0;
  size_t got = 0, all = 0;
  struct wr_err err;
  struct reader *r = n->worker ? reader_get(n->store, &err) : NULL;
  enum wr_rc rc = WR_OK;
  if (!r) return;
  do {
    rc = reader_gone(r, after, ti, sizeof ti / sizeof *ti, &got, &err);
    for (size_t i = 0; rc == WR_OK && i < got; i++) worker_forget(n->worker, after = ti[i]);
    all += got;
  } while (rc == WR_OK && got == sizeof ti / sizeof *ti && all < LIMIT_FORGETS / 2);
  reader_put(r);
  if (rc != WR_OK) log_warn("node.forget", L_STR("why", err.msg));
}

/* Before any definition is checked. What is ours is refused, whatever a rule opens. */
static enum wr_rc open_http(struct node *n, struct wr_err *err) {
  struct http *h = n->http;
  enum wr_rc rc = WR_OK;
  for (size_t i = 0; i < n->o->n_http_allow && !rc; i++) rc = http_allow(h, n->o->http_allow[i], err);
  http_refuse_url(h, n->o->store, MYSQL_USUAL_PORT);
  http_refuse_url(h, n->o->queue, REDIS_USUAL_PORT);
  return rc;
}

static enum wr_rc open_parts(struct node *n, struct spawner *spawner, struct wr_err *err) {
  const struct node_opts *o = n->o;
  struct store_opts so = {.url = o->store, .lease_us = o->lease_us, .relaxed = o->durability == NODE_RELAXED,
                          .request_us = o->request_us, .home = n->spawned || !o->routines ? o->data : NULL, .gone = store_gone,
                              .gone_ctx = n,
                          .stopping = o->stopping, .stopping_ctx = o->ctx};
  bool first = works(n) || spawner; /* so that the spawner has an owner that ends it */
  enum wr_rc rc = first ? open_worker(n, spawner, err) : WR_OK;
  if (!rc) rc = open_http(n, err);
  if (!rc && o->add_types) rc = o->add_types(o->ctx, n->executors, err);
  if (!rc) rc = store_open(&so, &n->store, err);
  if (!rc && !first) rc = open_worker(n, spawner, err); /* whoever cannot open the store hears of the store */
  if (!rc) rc = logs_open(n->store, &n->logs, err);
  for (int s = 0; s < SLOT__N && !rc; s++) rc = open_queue(n, s, err);
  if (rc) return rc;
  n->defs = defs_new(n->store, NULL);
  defs_executors(n->defs, n->executors);
  defs_limit(n->defs, defs_share(o->cache_bytes));
  defs_can_run(n->defs, can_run, n);
  if (n->lists) defs_list_of(n->defs, list_of, n);
  n->site = (struct def_site){.store = n->store, .executors = n->executors, .shell_allowed = o->shell == NODE_SHELL_ON,
                              .run_as = works(n) ? o->run_as : NULL, .defs = n->defs};
  open_clerk(n, spawner);
  rc = open_runner(n, err);
  for (int s = 0; s < SLOT__N && !rc; s++) {
    if (n->queue[s]) queue_set_node(n->queue[s], runner_incarnation(n->runner));
    if (n->pump[s]) pump_attach(n->pump[s], n->runner);
    /* No queue joins the nodes of this store: each finds in the rows what others have made, as while a queue is away. */
    else if (!store_single(n->store)) runner_queue_away(n->runner, (enum slot_class)s, true);
    if ((s == SLOT_ANALYSIS ? calls_analyzers(n->o) : works(n)) && n->pump[s]) rc = pump_poll(n->pump[s], kind_of(n), err);
  }
  if (!rc) rc = clerk_start(n->clerk, n->runner, err); /* before anything runs whose file it may have to doubt */
  if (!rc) rc = runner_thread_start(n->runner, err);
  n->running = rc == WR_OK;
  if (n->running) forget_the_rest(n);
  return rc;
}

/* All threads of the node start in here, so that none of them takes a signal of the host. SIGBUS stays open, because a thread
 * causes it itself. */
static enum wr_rc open_deaf(struct node *n, struct spawner *spawner, struct wr_err *err) {
  sigset_t all, was;
  sigfillset(&all);
  sigdelset(&all, SIGBUS);
  pthread_sigmask(SIG_SETMASK, &all, &was);
  enum wr_rc rc = open_parts(n, spawner, err);
  pthread_sigmask(SIG_SETMASK, &was, NULL);
  return rc;
}

static void results_room(void *http) { http_room(http); }

/* Behind those that are built in. Its client has no thread before the first request. */
static void add_http(struct node *n) {
  struct wr_err err;
  n->http = http_new();
  n->backlog = (struct backlog){.most = LIMIT_RESULT_BACKLOG_BYTES, .room = results_room, .ctx = n->http};
  http_backlog(n->http, &n->backlog);
  const wx_ops type = http_type(n->http);
  enum wr_rc rc = registry_add(n->executors, &type, &err);
  wr_assert(rc == WR_OK);
}

enum wr_rc node_open(const struct node_opts *o, struct spawner *spawner, struct node **out, struct wr_err *err) {
  struct node *n = wr_new(struct node);
  pthread_mutex_init(&n->gate, NULL);
  n->o = o;
  n->executors = registry_new();
  n->analyzers = registry_new();
  registry_add_builtins(n->executors);
  add_http(n);
  const struct never_started *v = spawner ? spawner_never_started(spawner, &n->n_never) : NULL;
  if (n->n_never > 0) n->never = memcpy(wr_calloc(n->n_never, sizeof *v), v, n->n_never * sizeof *v);
  n->spawned = spawner != NULL;
  enum wr_rc rc = open_deaf(n, spawner, err);
  if (rc) {
    node_drain(n, 0);
    node_close(n);
    n = NULL;
  }
  *out = n;
  return rc;
}

void node_drain(struct node *n, int64_t grace_us) {
  clerk_stop(n->clerk);
  if (n->running) runner_drain(n->runner);
  for (int s = 0; s < SLOT__N; s++) {
    if (n->pump[s]) pump_stop_poll(n->pump[s]);
  }
  if (n->worker) worker_drain(n->worker, grace_us);
}

bool node_leave(struct node *n) {
  struct runner_stats st;
  if (!n || n->left) return true;
  n->left = true;
  n->stuck = n->running && !runner_thread_stop(n->runner, n->o->stop_us > 0 ? n->o->stop_us / 3 : LEAVE_US);
  if (n->stuck) return false;
  if (!n->runner) return true;
  runner_stats(n->runner, &st);
  bool ok = !st.store_down && store_leave(n->store) == STORE_OK;
  if (!ok) log_warn("store.leave", L_STR("why", "the database does not answer"));
  return ok;
}

static void close_worker(struct node *n) {
  struct worker *w = worker_in(n);
  n->worker = NULL;
  worker_out(n);
  worker_close(w);
}

bool node_close(struct node *n) {
  if (!n) return true;
  (void)node_leave(n);
  if (n->stuck) { /* the runner's thread may come back and use all this, so it stays until the process ends */
    close_worker(n);
    return false;
  }
  for (int s = 0; s < SLOT__N; s++) {
    pump_close(n->pump[s]);
    queue_close(n->queue[s]);
  }
  close_worker(n);
  runner_free(n->runner);
  if (n->logs) logs_close(n->logs);
  clerk_free(n->clerk);
  if (n->defs) defs_free(n->defs);
  if (n->store) store_close(n->store);
  hint_lists_free(n->lists);
  registry_free(n->executors);
  registry_free(n->analyzers);
  http_free(n->http);
  pthread_mutex_destroy(&n->gate);
  free(n->never);
  free(n);
  return true;
}

void node_bury(struct node *n) {
  runner_thread_await(n->runner);
  n->stuck = false;
  (void)node_close(n);
}

void node_health(struct node *n, struct health *out) {
  struct health_part room = {.ok = true}, logs = room;
  *out = (struct health){.queue = {.ok = true}, .processes = {.ok = true}};
  runner_health(n->runner, &out->store, &out->disk);
  if (n->worker) worker_health(n->worker, &out->processes);
  if (n->worker) worker_log_health(n->worker, &room, &logs);
  if (out->disk.ok) out->disk = room;
  if (out->store.ok) out->store = logs;
  for (int s = 0; s < SLOT__N && out->queue.ok; s++) {
    if (n->pump[s]) pump_health(n->pump[s], &out->queue);
  }
}

enum hints_told node_hints(struct node *n, hints_each *each, void *to) {
  if (!n->lists) return HINTS_NONE;
  return queue_lengths(n->queue[NUDGE_QUEUE], each, to) ? HINTS_KNOWN : HINTS_AWAY;
}

bool node_forget(struct node *n, const int64_t *ti, size_t n_ti) {
  return !n->lists || queue_forget(n->queue[NUDGE_QUEUE], ti, n_ti);
}

bool node_failed(const struct node *n) { return atomic_load(&n->failed); }
struct store *node_store(const struct node *n) { return n->store; }
struct defs *node_defs(const struct node *n) { return n->defs; }
const struct registry *node_executors(const struct node *n) { return n->executors; }
struct runner *node_runner(const struct node *n) { return n->runner; }
void node_listens(struct node *n, const char *address, uint16_t port) {
  http_refuse(n->http, address, port);
  clerk_listens(n->clerk, address, port);
}
