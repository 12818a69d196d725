/* Jobs in a quarter of all worlds: clients make them, add tasks, close, cancel, pause, resume, retry and delete them, and at every
 * commit their counters are held against the rows. A deleted job leaves no row. The other worlds are unchanged. This part draws random numbers of its own. */
#include <stdio.h>
#include "sim.h"

enum { JOB_KEYS = 5, JOB_NAMES = 6 };

static uint64_t rnd(struct world *w, uint64_t n) { return rand_next(&w->jobs.rng) % n; }

void jobs_setup(struct world *w) {
  w->jobs.rng = w->seed * 0x9E3779B97F4A7C15ull ^ 0x52ull;
  w->jobs.on = (w->seed * 0xA24BAED4963EE407ull) >> 62 == 0;
}

void jobs_end(struct world *w) {
  map64_done(&w->jobs.wished);
  map64_done(&w->jobs.of);
}

uintptr_t jobs_wished(const struct world *w, int64_t ti) {
  int64_t job = w->jobs.on ? (int64_t)(uintptr_t)map64_get(&w->jobs.of, ti) : 0;
  return job ? (uintptr_t)map64_get(&w->jobs.wished, job) : 0;
}

static void wish(struct world *w, int64_t id, enum ask a) {
  (void)map64_put(&w->jobs.wished, id, (void *)((uintptr_t)map64_get(&w->jobs.wished, id) | wish_bit(a)));
  if (id < 0) /* the lock of a tree: of its first task, and so of all below it */
    (void)map64_put(&w->wished, -id, (void *)((uintptr_t)map64_get(&w->wished, -id) | wish_bit(a)));
}

/* ---- requests ---- */

static void add_tasks(struct world *w, struct op *o, uint32_t n) {
  o->q.kind = REQ_EXEC_TASK;
  o->q.listed = true;
  o->q.task = o->job_task;
  o->q.n_task = n;
  for (uint32_t i = 0; i < n; i++) {
    struct async_spec *s = &o->job_spec[i];
    o->job_task[i] = (struct req_task){.task_id = 1 + (int64_t)rnd(w, w->db->n_tasks), .spec = s};
    s->hold = rnd(w, 12) == 0;
    if (!s->hold && rnd(w, 6) == 0) s->delay_us = 1 + (int64_t)rnd(w, 10 * SEC);
    if (rnd(w, 2)) continue;
    (void)snprintf(o->job_name[i], sizeof o->job_name[i], "t-%u", (unsigned)rnd(w, JOB_NAMES));
    s->key = o->job_name[i];
    memset(s->hash, rnd(w, 20) ? 1 : 2, sizeof s->hash);
  }
}

static void fill_make(struct world *w, struct op *o) {
  add_tasks(w, o, (uint32_t)rnd(w, JOB_TASKS + 1));
  (void)snprintf(o->job_key, sizeof o->job_key, "j-%u", (unsigned)rnd(w, JOB_KEYS));
  memset(o->job_hash, rnd(w, 10) ? 1 : 2, sizeof o->job_hash);
  o->job = (struct req_job){.op = JOB_OP_MAKE, .key = o->job_key, .hash = o->job_hash, .closed = rnd(w, 6) == 0, .ignore = rnd(w, 5) == 0};
}

static void fill_wish(struct world *w, struct op *o, enum job_ask ask) {
  static const enum ask as[JOB_ASK__N] = {[JOB_ASK_CLOSE] = ASK_QUEUE, [JOB_ASK_CANCEL] = ASK_CANCEL, [JOB_ASK_PAUSE] = ASK_PAUSE,
                                          [JOB_ASK_CHECKPOINT] = ASK_PAUSE, [JOB_ASK_RESUME] = ASK_RUN, [JOB_ASK_RETRY] = ASK_RUN};
  o->q.kind = REQ_JOB;
  o->job.ask = ask;
  wish(w, o->job.job_id, as[ask]);
}

/* Forced with no clean-up, what still runs is gone at once. */
static void fill_delete(struct world *w, struct op *o, uint8_t how) {
  o->q.kind = REQ_JOB;
  o->job.op = JOB_OP_DELETE;
  o->job.how = how;
  wish(w, o->job.job_id, ASK_DELETE);
  if (how == (JOB_FORCE | JOB_NO_CLEAN_UP))
    (void)map64_put(&w->jobs.wished, o->job.job_id, (void *)((uintptr_t)map64_get(&w->jobs.wished, o->job.job_id) | WISH_FORCE));
}

/* Seldom one that is not there. */
static int64_t any_job(struct world *w) {
  const struct map64_slot *s = NULL;
  size_t at = 0;
  if (w->db->job.n == 0 || rnd(w, 50) == 0) return 1 << 20;
  for (uint64_t n = rnd(w, w->db->job.n) + 1; n > 0; n--) s = map64_next(&w->db->job, &at);
  return s->key;
}

void jobs_op(struct world *w) {
  static const enum job_ask asks[] = {JOB_ASK_CLOSE, JOB_ASK_CANCEL, JOB_ASK_PAUSE, JOB_ASK_CHECKPOINT, JOB_ASK_RESUME, JOB_ASK_RESUME,
                                      JOB_ASK_RETRY, JOB_ASK_RETRY};
  if (!w->jobs.on || rnd(w, 2)) return;
  struct op *o = wr_new(struct op);
  uint64_t k = rnd(w, 100);
  o->q.job = &o->job;
  if (k < 20) fill_make(w, o);
  else {
    o->job = (struct req_job){.op = k < 65 ? JOB_OP_ADD : JOB_OP_ASK, .job_id = any_job(w)};
    if (k >= 93) fill_delete(w, o, (uint8_t)rnd(w, 4));
    else if (k < 65) add_tasks(w, o, 1 + (uint32_t)rnd(w, JOB_TASKS));
    else fill_wish(w, o, asks[rnd(w, sizeof asks / sizeof *asks)]);
  }
  load_send(w, o);
}

/* In the calm a user resumes what is paused, and forces a deletion that has failed, so that all comes to its end. */
void jobs_wake(struct world *w) {
  const struct map64_slot *s;
  for (size_t i = 0; (s = map64_next(&w->db->job, &i)) != NULL;) {
    const struct mem_job *j = s->val;
    bool failed = job_stuck(&j->r.j) && !job_empty(&j->r.j);
    if (j->deleted || (j->r.j.state != JOB_PAUSED && !failed)) continue;
    struct op *o = wr_new(struct op);
    o->q.job = &o->job;
    o->job = (struct req_job){.op = JOB_OP_ASK, .job_id = j->r.job_id};
    if (failed) fill_delete(w, o, JOB_FORCE);
    else fill_wish(w, o, JOB_ASK_RESUME);
    load_send(w, o);
    return;
  }
}

/* ---- the oracle ---- */

static bool holds(const struct job *j) {
  return j->wish == JOB_WISH_PAUSE || j->wish == JOB_WISH_CHECKPOINT || j->wish == JOB_WISH_CANCEL || j->wish == JOB_WISH_DELETE;
}

static bool goes_on_now(const struct world *w, int64_t id) {
  for (const struct op *o = w->ops; o != NULL; o = o->next)
    if (!o->answered && o->q.kind == REQ_JOB && o->job.job_id == id && (o->job.ask == JOB_ASK_RESUME || o->job.ask == JOB_ASK_RETRY)) return true;
  return false;
}

/* About to be committed. */
void jobs_commit(struct world *w, const struct batch *b) {
  for (size_t i = 0; i < b->n_async; i++) {
    const struct async_row *a = &b->async[i].row;
    if (b->async[i].op == ROW_INSERT && a->job && w->jobs.on) (void)map64_put(&w->jobs.of, a->ti, (void *)(uintptr_t)a->job);
    const struct mem_job *j = b->async[i].op == ROW_INSERT && a->job ? memdb_job(w->db, a->job) : NULL;
    if (j && j->r.j.closed && !a->parent) sim_fail(w, "task %lld is added to job %lld, which is closed", (long long)a->ti, (long long)a->job);
  }
}

/* The claim of ti is about to be committed. */
void jobs_claimed(struct world *w, int64_t ti, const struct batch *b) {
  const struct mem_async *a = memdb_async(w->db, ti);
  const struct mem_job *j = a && a->r.job ? memdb_job(w->db, a->r.job) : NULL;
  if (!j || !holds(&j->r.j)) return;
  for (size_t i = 0; i < b->n_job; i++)
    if (b->job[i].row.job_id == a->r.job && !holds(&b->job[i].row.j)) return;
  /* a task that a user runs again makes a canceled job go on */
  if (job_final((enum job_state)j->r.j.state) || goes_on_now(w, a->r.job)) return;
  sim_fail(w, "task %lld is claimed, its job %lld is %s", (long long)ti, (long long)a->r.job, job_state_name((enum job_state)j->r.j.state));
}

static bool pauses(const struct job *j) { return j->wish == JOB_WISH_PAUSE || j->wish == JOB_WISH_CHECKPOINT; }

bool jobs_pause(const struct world *w, int64_t ti, const struct batch *b) {
  const struct mem_async *a = memdb_async(w->db, ti);
  const struct mem_job *j = a && a->r.job ? memdb_job(w->db, a->r.job) : NULL;
  for (size_t i = 0; j && i < b->n_job; i++)
    if (b->job[i].row.job_id == a->r.job) return pauses(&b->job[i].row.j);
  return j && pauses(&j->r.j);
}

uint32_t jobs_attempts(const struct world *w, int64_t ti, const struct task_def *def) {
  const struct mem_async *a = memdb_async(w->db, ti);
  return a && a->r.job > 0 && !def->has_attempts ? LIMIT_JOB_ATTEMPTS : def->policy.attempts;
}

/* As the rows say. */
static void count(const struct world *w, int64_t id, struct job *out) {
  const struct map64_slot *s;
  for (size_t i = 0; (s = map64_next(&w->db->async, &i)) != NULL;) {
    const struct mem_async *a = s->val;
    if (a->r.job != id) continue;
    const struct mem_task *x = memdb_task(w->db, a->r.ti);
    const struct task *t = &x->r.t;
    out->count[job_class(t)]++;
    out->executions += (int64_t)task_attempt_of(t->epoch) - x->handed_back;
  }
}

static void check_one(struct world *w, const struct mem_job *j) {
  const struct job *is = &j->r.j;
  struct job rows = {.wish = is->wish, .closed = is->closed, .ignore = is->ignore};
  long long id = j->r.job_id;
  count(w, j->r.job_id, &rows);
  for (int c = 0; c < JOB__CLASSES; c++)
    if (rows.count[c] != is->count[c]) sim_fail(w, "job %lld counts %lld of class %d, there are %lld", id, (long long)is->count[c], c, (long long)rows.count[c]);
  bool one_by_one = id < 0; /* of a tree single tasks may be deleted */
  if (is->wish != JOB_WISH_DELETE && !one_by_one && rows.executions != is->executions) sim_fail(w, "job %lld counts %lld executions, there were %lld", id, (long long)is->executions, (long long)rows.executions);
  bool over = is->closed && job_live(&rows) == 0 && is->wish != JOB_WISH_RETRY && is->wish != JOB_WISH_DELETE;
  if (job_final((enum job_state)is->state) != over)
    sim_fail(w, "job %lld is %s, closed %d, with %lld live tasks", id, job_state_name((enum job_state)is->state), is->closed, (long long)job_live(&rows));
  bool fails = !is->ignore && is->wish != JOB_WISH_CANCEL && rows.count[JOB_BAD] > 0;
  if (over && (is->state == JOB_FAILED) != fails) sim_fail(w, "job %lld is %s, %lld of its tasks failed", id, job_state_name((enum job_state)is->state), (long long)rows.count[JOB_BAD]);
  if (over && is->wish == JOB_WISH_CANCEL && is->state != JOB_CANCELED) sim_fail(w, "job %lld was canceled and is %s", id, job_state_name((enum job_state)is->state));
  if ((j->r.end_us != 0) != over) sim_fail(w, "job %lld: its end is said, or not said, when it is %s", id, job_state_name((enum job_state)is->state));
}

/* A deleted job leaves no row. */
static void check_left(struct world *w, int64_t id) {
  struct job rows = {0};
  count(w, id, &rows);
  if (job_total(&rows) > 0) sim_fail(w, "job %lld is deleted, and %lld of its tasks are left", (long long)id, (long long)job_total(&rows));
}

void jobs_committed_check(struct world *w, const struct batch *b) {
  for (size_t i = 0; i < b->n_job; i++) {
    const struct mem_job *j = memdb_job(w->db, b->job[i].row.job_id);
    if (!j) check_left(w, b->job[i].row.job_id);
    if (!j) continue;
    sim_trace(w, "job", j->r.job_id, j->r.j.state, job_live(&j->r.j));
    check_one(w, j);
  }
}

static void answered(struct world *w, const struct op *o) {
  const struct mem_job *j = memdb_job(w->db, o->job.job_id);
  long long id = o->job.job_id;
  bool deleted = (uintptr_t)map64_get(&w->jobs.wished, o->job.job_id) & wish_bit(ASK_DELETE);
  if (!j && deleted) return;
  if (!j) sim_fail(w, "job %lld is acknowledged, but has no row", id);
  if (o->job.op == JOB_OP_DELETE && j->r.j.wish != JOB_WISH_DELETE) sim_fail(w, "the deletion of job %lld is acknowledged, but not stored", id);
  if (o->job.op == JOB_OP_DELETE && o->job.gone) sim_fail(w, "job %lld is said to be deleted, and is there", id);
  if (o->job.op == JOB_OP_MAKE && strcmp(j->r.key, o->job_key) != 0) sim_fail(w, "job %lld has the key %s", id, j->r.key);
  if (o->job.op == JOB_OP_MAKE && memcmp(j->r.hash, o->job_hash, KEY_HASH_BYTES) != 0) sim_fail(w, "job %lld: other content is taken for the same", id);
  if (o->job.op == JOB_OP_ASK && o->job.ask == JOB_ASK_CLOSE && !j->r.j.closed) sim_fail(w, "the close of job %lld is acknowledged, but not stored", id);
  if (o->job.op == JOB_OP_ASK && o->job.ask == JOB_ASK_CANCEL && !j->r.j.closed) sim_fail(w, "the cancel of job %lld is acknowledged, but not stored", id);
  bool made = o->job.op == JOB_OP_ADD || (o->job.op == JOB_OP_MAKE && !o->q.replayed);
  for (uint32_t i = 0; made && i < o->q.n_task; i++) {
    const struct mem_async *a = memdb_async(w->db, o->job_task[i].ti);
    if (!a && deleted) continue;
    if (!a || a->r.job != o->job.job_id) sim_fail(w, "task %lld is acknowledged, and is no task of job %lld", (long long)o->job_task[i].ti, id);
  }
}

void jobs_answer(struct world *w, const struct op *o) {
  const struct mem_job *j = memdb_job(w->db, o->job.job_id);
  switch ((unsigned)o->q.rc) {
  case WR_OK: answered(w, o); return;
  case WR_CLOSED:
    if (j ? !j->r.j.closed : !((uintptr_t)map64_get(&w->jobs.wished, o->job.job_id) & wish_bit(ASK_DELETE)))
      sim_fail(w, "job %lld is said to be closed", (long long)o->job.job_id);
    return;
  case WR_NOT_FOUND:
    if (o->job.op != JOB_OP_MAKE && o->there && !((uintptr_t)map64_get(&w->jobs.wished, o->job.job_id) & wish_bit(ASK_DELETE)))
      sim_fail(w, "job %lld is said not to exist", (long long)o->job.job_id);
    return;
  case WR_ACTIVE:
    if (o->job.op != JOB_OP_DELETE || (o->job.how & JOB_FORCE)) sim_fail(w, "job %lld is said to be live", (long long)o->job.job_id);
    return;
  case WR_KEY_REUSED: case WR_BUSY_STATE: case WR_ALREADY_FINISHED: case WR_NOT_RETRYABLE: case WR_OUTCOME_UNKNOWN: case WR_DB_UNAVAILABLE:
  case WR_NO_SPACE: case WR_DRAINING: case WR_QUARANTINED: case WR_NOT_STARTABLE: return;
  default: sim_fail(w, "a request about job %lld is answered %d %s", (long long)o->job.job_id, (int)o->q.rc, o->q.err.msg);
  }
}

bool jobs_live(const struct world *w) {
  const struct map64_slot *s;
  for (size_t i = 0; (s = map64_next(&w->db->job, &i)) != NULL;) {
    const struct mem_job *j = s->val;
    if (!j->deleted && (j->r.j.pass || j->r.j.state == JOB_PAUSED || j->r.j.state == JOB_DELETING)) return true;
  }
  return false;
}

/* In the calm each pass comes to its end, whoever has begun it; a deletion when the last attempt has ended. */
void jobs_idle(struct world *w) {
  const struct map64_slot *s;
  int64_t longest = LONG_LEASES * w->lease_us;
  for (size_t i = 0; w->now - w->calm_at > 600 * SEC && (s = map64_next(&w->db->job, &i)) != NULL;) {
    const struct mem_job *j = s->val;
    if (!j->deleted && j->r.j.pass && w->now - w->calm_at > 600 * SEC + longest + (int64_t)w->db->n_live * SEC)
      sim_fail(w, "what is wanted of job %lld is not carried out: it has come to task %lld", (long long)j->r.job_id, (long long)j->r.j.pass_at);
  }
}

void jobs_quiet(struct world *w) {
  const struct map64_slot *s;
  for (size_t i = 0; (s = map64_next(&w->db->job, &i)) != NULL;)
    if (!((struct mem_job *)s->val)->deleted) check_one(w, s->val);
}
