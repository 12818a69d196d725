/* The heads of the jobs of a batch: jobs.h. */
#include "jobs.h"
#include "run.h"
#include <stdio.h>

void jobs_init(struct jobs *j, struct env *env) { *j = (struct jobs){.env = env, .heads = MAP64_INIT}; }

struct job_had *job_had_ref(struct job_had *h) {
  if (h) atomic_fetch_add(&h->refs, 1);
  return h;
}

void job_had_unref(struct job_had *h) {
  if (h && atomic_fetch_sub(&h->refs, 1) == 1) free(h);
}

static void had_none(struct jobs *j) {
  const struct map64_slot *s;
  for (size_t i = 0; j->had.n > 0 && (s = map64_next(&j->had, &i)) != NULL;) job_had_unref(s->val);
  map64_done(&j->had);
}

struct job_had *jobs_had(struct jobs *j, int64_t id, struct job_had *now) {
  struct job_had *h = j->had.n > 0 ? map64_get(&j->had, id) : NULL;
  if (h || !now) return job_had_ref(h);
  if (j->had.n == JOBS_HAD) had_none(j);
  (void)map64_put(&j->had, id, job_had_ref(now));
  return job_had_ref(now);
}

void jobs_had_over(struct jobs *j, int64_t id) {
  job_had_unref(j->had.n > 0 ? map64_del(&j->had, id) : NULL);
}

void jobs_done(struct jobs *j) {
  had_none(j);
  map64_done(&j->heads);
  free(j->wanted);
}

void jobs_begin(struct jobs *j) {
  if (j->heads.n > 0) map64_done(&j->heads);
}

void jobs_committed(struct jobs *j) { j->n_wanted = 0; }

static struct job_head *add(struct jobs *j, int64_t id) {
  struct job_head *h = arena_zalloc(&j->env->mem, sizeof *h);
  h->row.job_id = id;
  (void)map64_put(&j->heads, id, h);
  return h;
}

static void take(struct jobs *j, int64_t id, const struct job_row *row, uint8_t got) {
  struct job_head *h = add(j, id);
  bool damaged = got == 1 && (!job_state_known(row->j.state) || row->j.wish >= JOB_WISH__N);
  if (damaged) log_error("runner.damaged_row", L_STR("row", "job"), L_INT("id", id));
  h->got = damaged ? 0 : got; /* its tasks are left as they are */
  if (h->got != 1) return;
  h->row = *row;
  h->row.key = arena_strdup(&j->env->mem, row->key);
  h->row.name = arena_strdup(&j->env->mem, row->name);
  h->was_final = job_final((enum job_state)row->j.state);
  h->was_empty = job_empty(&row->j);
}

/* ---- trees below the tasks of a flow ---- */

#define TREE_KEY "\ttree "
#define FLOW_KEY "\tflow "

static char *flow_key(struct arena *a, int64_t fi, const char *end) {
  enum { ROOM = 64 };
  char *key = arena_alloc(a, ROOM);
  (void)snprintf(key, ROOM, FLOW_KEY "%lld tree %s", (long long)fi, end);
  return key;
}

char *jobs_tree_key(struct arena *a, int64_t id, int64_t fi) {
  char of[24], *key = arena_alloc(a, 32);
  (void)snprintf(of, sizeof of, "%lld", (long long)-id);
  if (fi != 0) return flow_key(a, fi, of);
  (void)snprintf(key, 32, TREE_KEY "%s", of);
  return key;
}

static int64_t flow_of(const struct job_head *h) {
  bool tree = h->row.job_id < 0 && strncmp(h->row.key, FLOW_KEY, strlen(FLOW_KEY)) == 0;
  return tree ? strtoll(h->row.key + strlen(FLOW_KEY), NULL, 10) : 0;
}

enum store_rc jobs_of_flow(const struct jobs *j, int64_t fi, int64_t after_id, int64_t *id, size_t n, size_t *n_out) {
  struct arena *a = &j->env->mem;
  const char *from = after_id != 0 ? jobs_tree_key(a, after_id, fi) : flow_key(a, fi, "");
  return store_job_keys(j->env->store, from, flow_key(a, fi, ":"), id, n, n_out); /* ':' follows the digits */
}

void jobs_follow_flow(struct job_head *h, bool paused, bool checkpoint) {
  h->flow_paused = paused;
  h->changed |= job_follow_flow(&h->row.j, paused, checkpoint);
}

/* A flow that is gone is over. */
static void look_at_flow(struct jobs *j, int64_t fi, const struct flow_row *row, uint8_t got) {
  const struct map64_slot *s;
  bool paused = got == 1 && row->state == FLOW_PAUSED, stops = paused && (row->wish >> 4 & HOLD_CHECKPOINT);
  for (size_t i = 0; (s = map64_next(&j->heads, &i)) != NULL;) {
    struct job_head *h = s->val;
    if (h->fi != fi) continue;
    h->flow_held = got == 2;
    if (got != 2) jobs_follow_flow(h, paused, stops);
  }
}

/* Nothing below a flow starts while that is paused, so the head of the flow is locked, too, behind those of all jobs. */
static enum store_rc lock_flows(struct jobs *j, const int64_t *id, size_t n) {
  int64_t *fi = arena_alloc(&j->env->mem, n * sizeof *fi);
  size_t m = 0;
  for (size_t i = 0; i < n; i++) {
    struct job_head *h = jobs_head(j, id[i]);
    h->fi = h->got == 1 ? flow_of(h) : 0;
    if (h->fi != 0) fi[m++] = h->fi;
  }
  if (m == 0) return STORE_OK;
  m = wr_distinct(fi, m, sizeof *fi);
  struct flow_row *row = arena_zalloc(&j->env->mem, m * sizeof *row);
  uint8_t *got = arena_zalloc(&j->env->mem, m);
  enum store_rc rc = store_lock(j->env->store, fi, m, row, got);
  for (size_t i = 0; rc == STORE_OK && i < m; i++) look_at_flow(j, fi[i], &row[i], got[i]);
  return rc;
}

/* ids: ascending, each once. */
static enum store_rc lock_new(struct jobs *j, const int64_t *id, size_t n) {
  struct job_row *row = arena_zalloc(&j->env->mem, n * sizeof *row);
  uint8_t *got = arena_zalloc(&j->env->mem, n);
  enum store_rc rc = store_job_lock(j->env->store, id, n, row, got);
  for (size_t i = 0; rc == STORE_OK && i < n; i++) take(j, id[i], &row[i], got[i]);
  return rc == STORE_OK ? lock_flows(j, id, n) : rc;
}

enum store_rc jobs_lock(struct jobs *j, int64_t *id, size_t n) {
  if (n + j->n_wanted == 0) return STORE_OK;
  int64_t *all = arena_alloc(&j->env->mem, (n + j->n_wanted) * sizeof *all);
  for (size_t i = 0; i < n; i++) all[i] = id[i];
  for (size_t i = 0; i < j->n_wanted; i++) all[n + i] = j->wanted[i];
  n = wr_distinct(all, n + j->n_wanted, sizeof *all);
  return lock_new(j, all, n);
}

struct job_head *jobs_head(const struct jobs *j, int64_t id) { return j->heads.n > 0 ? map64_get(&j->heads, id) : NULL; }

bool jobs_held(const struct jobs *j, int64_t id) {
  const struct job_head *h = id != 0 ? jobs_head(j, id) : NULL;
  return h && h->got == 2;
}

/* One process needs no order of locks. */
enum store_rc jobs_need(struct jobs *j, int64_t id) {
  if (jobs_head(j, id)) return STORE_OK;
  if (j->env->single) return lock_new(j, &id, 1);
  *WR_PUSH(j->wanted, j->n_wanted, j->cap_wanted) = id;
  return STORE_STALE;
}

struct job_head *jobs_make(struct jobs *j, int64_t id) {
  struct job_head *h = add(j, id);
  h->got = 1;
  h->fresh = h->changed = true;
  return h;
}

const struct job_head *jobs_fresh(const struct jobs *j, const char *key) {
  const struct map64_slot *s;
  for (size_t i = 0; j->heads.n > 0 && (s = map64_next(&j->heads, &i)) != NULL;) {
    const struct job_head *h = s->val;
    if (h->fresh && strcmp(h->row.key, key) == 0) return h;
  }
  return NULL;
}

static void job_move(struct job *j, const struct job_step *s) {
  job_moved(j, job_class(s->was), s->gone ? JOB_NONE : job_class(s->now));
}

/* A clean-up is no execution of the task. */
void jobs_moved(struct job_head *h, const struct job_step *s) {
  struct job *j = &h->row.j;
  bool claimed = task_attempt_of(s->now->epoch) > task_attempt_of(s->was->epoch) && s->now->phase == PHASE_RUN;
  job_move(j, s);
  j->executions += claimed;
  j->losses += s->lost;
  j->timeouts += s->timed_out;
  j->gone_tasks += s->gone;
  if (s->gone) j->gone_attempts += task_attempt_of(s->now->epoch);
  h->changed = true;
}

bool jobs_no_clean_up(const struct job_head *h) {
  return h->row.j.wish == JOB_WISH_DELETE && (h->row.j.how & JOB_NO_CLEAN_UP);
}

bool jobs_hold(const struct job_head *h) {
  enum job_wish w = (enum job_wish)h->row.j.wish;
  return w == JOB_WISH_PAUSE || w == JOB_WISH_CHECKPOINT || w == JOB_WISH_CANCEL || w == JOB_WISH_DELETE;
}
