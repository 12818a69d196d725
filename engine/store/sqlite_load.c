/* What the runner reads: heads, rows by primary key, live rows. The runner's thread and connection; texts are copied into
 * an arena that lives until the transaction ends. Everything is reached by rowid; nothing here scans history. */
#include "sqlite_priv.h"
#include <stdlib.h>
#include "ins_rows.h"
#include "sqlite_run.h"

/* ---- rows ---- */
static const char *kept_text(sqlite3_stmt *q, int i, struct arena *a) {
  const char *s = sq_col_text(q, i);
  return s ? arena_memdup0(a, s, (size_t)sqlite3_column_bytes(q, i)) : NULL;
}

#define I(n) sq_col(q, n)
#define T(n) kept_text(q, n, a)
#define N(n) (sqlite3_column_type(q, n) == SQLITE_NULL ? -1 : sq_col(q, n))
static void get_flow(sqlite3_stmt *q, struct flow_row *r, struct arena *a) { *r = (struct flow_row)FLOW_ROW(I, I, T); }
static void get_node(sqlite3_stmt *q, struct node_row *r, struct arena *a) { *r = (struct node_row)NODE_ROW(I, I, T); }
static void get_task(sqlite3_stmt *q, struct task_row *r, struct arena *a) {
  *r = (struct task_row)TASK_ROW(I, I, T, N);
  if (sqlite3_column_type(q, TASK_RESULT_CELL) == SQLITE_NULL) return;
  const void *p = sqlite3_column_blob(q, TASK_RESULT_CELL); /* NULL also for zero bytes */
  r->result_len = (size_t)sqlite3_column_bytes(q, TASK_RESULT_CELL);
  r->result = p ? arena_memdup0(a, p, r->result_len) : "";
}
#undef I
#undef T
#undef N

/* ---- rows by key ---- */
enum store_rc sq_lock(struct store *st, const int64_t *fi, size_t n, struct flow_row *out, uint8_t *got) {
  struct sq *s = sq_of(st);
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_FLOW);
  if (!q) return sq_rc(&s->run, sqlite3_errcode(s->run.db));
  for (size_t i = 0; i < n; i++) {
    sq_int(q, 1, fi[i]);
    got[i] = sqlite3_step(q) == SQLITE_ROW;
    if (got[i]) get_flow(q, &out[i], &s->texts);
    int rc = sqlite3_reset(q);
    if (rc != SQLITE_OK) return sq_rc(&s->run, rc);
  }
  return STORE_OK;
}

/* A query over lo..hi. */
static sqlite3_stmt *range_query(struct sq *s, enum run_stmt which, int64_t lo, int64_t hi) {
  sqlite3_stmt *q = sq_stmt(&s->run, which);
  if (!q) return NULL;
  sq_int(q, 1, lo);
  sq_int(q, 2, hi);
  return q;
}

struct into { enum run_stmt what; void *out; size_t n; };  /* what: RUN_NODES or RUN_TASKS */

/* At most cap rows more. */
static enum store_rc read_range(struct sq *s, int64_t lo, int64_t hi, size_t cap, struct into *to) {
  sqlite3_stmt *q = range_query(s, to->what, lo, hi);
  if (!q) return sq_rc(&s->run, sqlite3_errcode(s->run.db));
  for (; cap > 0 && sqlite3_step(q) == SQLITE_ROW; cap--, to->n++) {
    if (to->what == RUN_NODES) get_node(q, (struct node_row *)to->out + to->n, &s->texts);
    else get_task(q, (struct task_row *)to->out + to->n, &s->texts);
  }
  return sq_rc(&s->run, sqlite3_reset(q));
}

static enum store_rc by_ids(struct store *st, const int64_t *id, size_t n, struct into to, size_t *n_out) {
  enum store_rc rc = STORE_OK;
  for (size_t i = 0; i < n && rc == STORE_OK; i++) rc = read_range(sq_of(st), id[i], id[i], 1, &to);
  *n_out = to.n;
  return rc;
}

static enum store_rc by_range(struct store *st, int64_t lo, int64_t hi, size_t cap, struct into to, size_t *n_out) {
  enum store_rc rc = read_range(sq_of(st), lo, hi, cap, &to);
  *n_out = to.n;
  return rc;
}

enum store_rc sq_nodes(struct store *st, const int64_t *ni, size_t n, struct node_row *out, size_t *n_out) {
  return by_ids(st, ni, n, (struct into){RUN_NODES, out, 0}, n_out);
}
enum store_rc sq_tasks(struct store *st, const int64_t *ti, size_t n, struct task_row *out, size_t *n_out) {
  return by_ids(st, ti, n, (struct into){RUN_TASKS, out, 0}, n_out);
}
enum store_rc sq_node_range(struct store *st, int64_t lo, int64_t hi, struct node_row *out, size_t cap, size_t *n_out) {
  return by_range(st, lo, hi, cap, (struct into){RUN_NODES, out, 0}, n_out);
}
enum store_rc sq_task_range(struct store *st, int64_t lo, int64_t hi, struct task_row *out, size_t cap, size_t *n_out) {
  return by_range(st, lo, hi, cap, (struct into){RUN_TASKS, out, 0}, n_out);
}

/* ---- live rows: a pass notes the id ranges of live flows, then reads them page by page ---- */
/* Every run of every live flow, and the stand-alone tasks. */
static int find_tasks(struct sq *s) {
  struct sweep *w = &s->tasks;
  w->n = 0;
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_LIVE_BASES);
  while (q && sqlite3_step(q) == SQLITE_ROW) sweep_runs(w, sq_col_text(q, 0), sq_col(q, 1));
  int rc = q ? sqlite3_reset(q) : sqlite3_errcode(s->run.db);
  if (rc != SQLITE_OK || !(q = sq_stmt(&s->run, RUN_LIVE_ALONE))) return rc ? rc : sqlite3_errcode(s->run.db);
  while (sqlite3_step(q) == SQLITE_ROW) sweep_id(w, sq_col(q, 0));
  sweep_sort(w);
  return sqlite3_reset(q);
}

static int live_range(struct sq *s, int64_t lo, int64_t hi, struct live_task *out, size_t cap, size_t *n) {
  sqlite3_stmt *q = range_query(s, RUN_LIVE_TASKS, lo, hi);
  if (!q) return sqlite3_errcode(s->run.db);
  while (*n < cap && sqlite3_step(q) == SQLITE_ROW) {
    int64_t owner = task_owned(fit_u8(sq_col(q, 2))) ? sq_col(q, 4) : 0;
    out[(*n)++] = (struct live_task){
      .ti = sq_col(q, 0), .fi = sq_col(q, 1), .state = fit_u8(sq_col(q, 2)), .epoch = fit_u32(sq_col(q, 3)), .owner = owner,
      .due_us = sq_col(q, 5), .update_us = sq_col(q, 6), .owner_live = owner == 0 || owner == s->me,
      .phase = fit_u8(sq_col(q, 7)), .end_as = fit_u8(sq_col(q, 8))};
  }
  return sqlite3_reset(q);
}

enum store_rc sq_live_tasks(struct store *st, int64_t after_ti, struct live_task *out, size_t n, size_t *n_out) {
  struct sq *s = sq_of(st);
  int rc = SQLITE_OK;
  *n_out = 0;
  if (after_ti == 0 || s->tasks.n == 0) rc = find_tasks(s);
  for (size_t i = sweep_find(&s->tasks, after_ti); i < s->tasks.n && *n_out < n && rc == SQLITE_OK; i++) {
    int64_t lo = s->tasks.v[i].lo > after_ti ? s->tasks.v[i].lo : after_ti + 1;
    rc = live_range(s, lo, s->tasks.v[i].hi, out, n, n_out);
  }
  if (*n_out == 0 || rc != SQLITE_OK) sweep_done(&s->tasks);
  else if (*n_out < n) sweep_cut(&s->tasks, out[*n_out - 1].ti);
  return sq_rc(&s->run, rc);
}

static int find_flows(struct sq *s) {
  s->flows.n = 0;
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_LIVE_FLOWS);
  if (!q) return sqlite3_errcode(s->run.db);
  while (sqlite3_step(q) == SQLITE_ROW) sweep_add(&s->flows, sq_col(q, 0), sq_col(q, 0));
  sweep_sort(&s->flows);
  return sqlite3_reset(q);
}

enum store_rc sq_live_flows(struct store *st, int64_t after_fi, struct live_flow *out, size_t n, size_t *n_out) {
  struct sq *s = sq_of(st);
  size_t got = 0;
  int rc = SQLITE_OK;
  if (after_fi == 0 || s->flows.n == 0) rc = find_flows(s);
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_LIVE_FLOW);
  if (rc == SQLITE_OK && !q) rc = sqlite3_errcode(s->run.db);
  for (size_t i = sweep_find(&s->flows, after_fi); i < s->flows.n && got < n && rc == SQLITE_OK; i++) {
    sq_int(q, 1, s->flows.v[i].lo);
    if (sqlite3_step(q) == SQLITE_ROW)
      out[got++] = (struct live_flow){.fi = sq_col(q, 0), .state = fit_u8(sq_col(q, 1)), .due_us = sq_col(q, 2),
                                      .update_us = sq_col(q, 3), .more = sq_col(q, 4) != 0};
    rc = sqlite3_reset(q);
  }
  *n_out = got;
  if (got == 0 || rc != SQLITE_OK) sweep_done(&s->flows);
  return sq_rc(&s->run, rc);
}
