/* Readers: the pool, and definitions read back. Any thread takes a reader, uses it alone and puts it back. Read-only
 * connections: nothing here can write. At most SQ_READERS at once; who comes then waits, up to a fifth of what a request may wait. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "clock.h"
#include "def_rows.h"
#include "sqlite_rd.h"

static const char *const rd_sql[] = {
#define X(n, s) [n] = s,
  RD_STMTS(X)
#undef X
};

/* ---- the pool ---- */
/* A fifth of what a request may wait in all. */
int64_t sq_until(const struct sq *s) { return clock_mono_us() + s->request_us / 5; }

static struct sq_reader *reader_new(struct sq *s, struct wr_err *err) {
  struct sq_reader *r = wr_new(struct sq_reader);
  r->base = (struct reader){&sq_ops, &s->base};
  int rc = sq_conn_open(&r->c, s->path, SQ_READ, rd_sql, RD__N);
  if (rc == SQLITE_OK) return r;
  (void)sq_err(&r->c, rc, err);
  free(r);
  return NULL;
}

struct reader *sq_reader_get(struct store *st, struct wr_err *err) {
  struct sq *s = sq_of(st);
  struct sq_reader *r = NULL;
  struct timespec until = mono_at(sq_until(s));
  int late = 0;
  pthread_mutex_lock(&s->pool_mu);
  while (!s->idle && s->n_readers >= SQ_READERS && !late) late = pthread_cond_timedwait(&s->pool_cond, &s->pool_mu, &until);
  bool make = !s->idle && s->n_readers < SQ_READERS;
  if (make) s->n_readers++;
  else if ((r = s->idle)) s->idle = r->next;
  pthread_mutex_unlock(&s->pool_mu);
  if (r) return &r->base;
  if (!make) {
    wr_err_set(err, WR_BUSY, NULL);
    return NULL;
  }
  r = reader_new(s, err);
  if (r) return &r->base;
  pthread_mutex_lock(&s->pool_mu);
  s->n_readers--;
  pthread_cond_signal(&s->pool_cond);
  pthread_mutex_unlock(&s->pool_mu);
  return NULL;
}

static void reader_free(struct sq_reader *r) {
  sq_conn_close(&r->c);
  sq_conn_close(&r->log);
  free(r);
}

/* A connection that met an error is not used again: the next one is opened fresh. */
void sq_reader_put(struct reader *rd) {
  struct sq_reader *r = sq_reader_of(rd);
  struct sq *s = sq_of(rd->s);
  bool keep = !r->bad && sqlite3_get_autocommit(r->c.db);
  pthread_mutex_lock(&s->pool_mu);
  if (keep) r->next = s->idle, s->idle = r;
  else s->n_readers--;
  pthread_cond_signal(&s->pool_cond);
  pthread_mutex_unlock(&s->pool_mu);
  if (keep) return;
  reader_free(r);
  sq_ckpt_look(s); /* it may be the file */
}

void sq_readers_close(struct sq *s) {
  while (s->idle) {
    struct sq_reader *r = s->idle;
    s->idle = r->next;
    s->n_readers--;
    reader_free(r);
  }
  wr_assert(s->n_readers == 0); /* all were put back */
}

/* ---- statements ---- */
sqlite3_stmt *sq_rd(struct sq_reader *r, enum rd_stmt i, struct wr_err *err) {
  sqlite3_stmt *st = sq_stmt(&r->c, i);
  if (!st) {
    r->bad = true;
    r->why = sq_err(&r->c, sqlite3_errcode(r->c.db), err);
  }
  return st;
}

enum wr_rc sq_rd_end(struct sq_reader *r, sqlite3_stmt *st, struct wr_err *err) {
  int rc = sqlite3_reset(st);
  if (rc == SQLITE_OK) return WR_OK;
  r->bad = true;
  return sq_err(&r->c, rc, err);
}

enum wr_rc sq_rd_snapshot(struct sq_reader *r, struct wr_err *err) {
  sqlite3_stmt *st = sq_rd(r, RD_BEGIN, err);
  if (!st) return r->why;
  sqlite3_step(st);
  return sq_rd_end(r, st, err);
}

enum wr_rc sq_rd_release(struct sq_reader *r, enum wr_rc rc, struct wr_err *err) {
  sqlite3_stmt *st = sq_rd(r, RD_END, rc ? NULL : err);
  if (!st) return rc ? rc : r->why;
  sqlite3_step(st);
  enum wr_rc end = sq_rd_end(r, st, rc ? NULL : err);
  return rc ? rc : end;
}

enum wr_rc sq_reader_defs_version(struct reader *rd, int64_t *v, struct wr_err *err) {
  struct sq_reader *r = sq_reader_of(rd);
  sqlite3_stmt *q = sq_rd(r, RD_DEFS, err);
  if (!q) return r->why;
  if (sqlite3_step(q) == SQLITE_ROW) *v = sq_col(q, 0);
  return sq_rd_end(r, q, err);
}

/* ---- tasks ---- */
/* Texts borrowed, for a row that is only shown. */
static char *borrow(sqlite3_stmt *st, int i) { return (char *)(uintptr_t)sq_col_text(st, i, NULL); }

void sq_rd_task(sqlite3_stmt *st, struct task_def *t) {
  *t = (struct task_def){
    .task_id = sq_col(st, 0), .version = sq_col(st, 1), .name = borrow(st, 2), .description = borrow(st, 3),
    .type = borrow(st, 4), .content = borrow(st, 5), .config = borrow(st, 6), .update_user = borrow(st, 7),
    .update_us = sq_col(st, 8), .create_user = borrow(st, 9), .create_us = sq_col(st, 10), .deleted = (uint8_t)sq_col(st, 11)};
  atomic_init(&t->refs, 1);
}

static enum wr_rc task_own(sqlite3_stmt *st, struct task_def **out, struct wr_err *err) {
  struct task_def row;
  sq_rd_task(st, &row);
  return def_row_task(&row, out, err);
}

static enum wr_rc task_read(struct sq_reader *r, int64_t task_id, int64_t version, struct task_def **out, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  *out = NULL;
  sqlite3_stmt *q = sq_rd(r, version ? RD_TASK_AT : RD_TASK, err);
  if (!q) return r->why;
  sq_int(q, 1, task_id);
  if (version) sq_int(q, 2, version);
  if (sqlite3_step(q) == SQLITE_ROW) rc = task_own(q, out, err);
  enum wr_rc end = sq_rd_end(r, q, rc ? NULL : err);
  return rc ? rc : end;
}

enum wr_rc sq_reader_task(struct reader *rd, int64_t task_id, int64_t version, struct task_def **out, struct wr_err *err) {
  enum wr_rc rc = task_read(sq_reader_of(rd), task_id, version, out, err);
  if (rc || *out) return rc;
  return wr_err_set(err, WR_NOT_FOUND, "Task %lld does not exist.", (long long)task_id);
}

enum wr_rc sq_reader_tasks(struct reader *rd, const int64_t *ids, size_t n, struct task_def **out, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  memset(out, 0, n * sizeof *out);
  for (size_t i = 0; i < n && !rc; i++) rc = task_read(sq_reader_of(rd), ids[i], 0, &out[i], err);
  for (size_t i = 0; i < n && rc; i++) {
    if (out[i]) def_task_unref(out[i]);
    out[i] = NULL;
  }
  return rc;
}

enum wr_rc sq_reader_heads(struct reader *rd, enum head_kind kind, const int64_t *ids, size_t n, struct def_head *out, struct wr_err *err) {
  struct sq_reader *r = sq_reader_of(rd);
  sqlite3_stmt *q = sq_rd(r, kind == HEAD_TASK ? RD_TASK_HEAD : RD_FLOW_HEAD, err);
  if (!q) return r->why;
  for (size_t i = 0; i < n; i++) {
    sq_int(q, 1, ids[i]);
    out[i] = (struct def_head){0};
    if (sqlite3_step(q) == SQLITE_ROW) out[i] = (struct def_head){sq_col(q, 0), sq_col(q, 1) != 0};
    enum wr_rc rc = sq_rd_end(r, q, err);
    if (rc) return rc;
  }
  return WR_OK;
}

/* ---- flows ---- */
void sq_rd_flow(sqlite3_stmt *st, struct flow_def *f) {
  *f = (struct flow_def){
    .flow_id = sq_col(st, 0), .version = sq_col(st, 1), .name = borrow(st, 2), .description = borrow(st, 3),
    .config = borrow(st, 4), .create_user = borrow(st, 5), .update_user = borrow(st, 6), .create_us = sq_col(st, 7),
    .update_us = sq_col(st, 8), .node_us = sq_col(st, 8), .deleted = (uint8_t)sq_col(st, 9), .node_base = sq_col(st, 10)};
  atomic_init(&f->refs, 1);
}

static struct flow_def *flow_own(sqlite3_stmt *st) {
  struct flow_def row;
  sq_rd_flow(st, &row);
  return def_row_flow(&row, sq_col(st, RD_FLOW_N_NODE));
}

static enum wr_rc node_own(sqlite3_stmt *st, struct flow_def *f, uint32_t i, struct wr_err *err) {
  const struct def_node_cols c = {
    .node_id = sq_col(st, 0), .key = sq_col_text(st, 1, NULL), .type = sq_col_text(st, 2, NULL), .ids = sq_col_text(st, 3, NULL),
    .tasks = sq_col_text(st, 4, NULL), .config = sq_col_text(st, 5, NULL), .n_tasks = (size_t)sqlite3_column_bytes(st, 4)};
  return def_row_node(f, i, &c, err);
}

static enum wr_rc nodes_read(struct sq_reader *r, struct flow_def *f, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  uint32_t i = 0;
  sqlite3_stmt *q = sq_rd(r, RD_NODES, err);
  if (!q) return r->why;
  sq_int(q, 1, f->node_base);
  sq_int(q, 2, f->node_base + f->n - 1);
  for (; !rc && i < f->n && sqlite3_step(q) == SQLITE_ROW; i++) rc = node_own(q, f, i, err);
  enum wr_rc end = sq_rd_end(r, q, rc ? NULL : err);
  if (rc || end) return rc ? rc : end;
  return i == f->n ? WR_OK : def_row_broken(f, err);
}

static enum wr_rc edges_read(struct sq_reader *r, struct flow_def *f, struct wr_err *err) {
  struct def_edges e = {.f = f, .last = UINT32_MAX};
  bool whole = true;
  sqlite3_stmt *q = sq_rd(r, RD_EDGES, err);
  if (!q) return r->why;
  sq_int(q, 1, f->flow_id);
  sq_int(q, 2, f->version);
  sq_int(q, 3, f->node_base);
  sq_int(q, 4, f->node_base + f->n - 1);
  while (whole && sqlite3_step(q) == SQLITE_ROW) whole = def_row_edge(&e, sq_col(q, 0), sq_col(q, 1));
  enum wr_rc rc = sq_rd_end(r, q, err);
  return rc || whole ? rc : def_row_broken(f, err);
}

static enum wr_rc head_read(struct sq_reader *r, int64_t flow_id, int64_t version, struct flow_def **out, struct wr_err *err) {
  *out = NULL;
  sqlite3_stmt *q = sq_rd(r, RD_FLOW, err);
  if (!q) return r->why;
  sq_int(q, 1, flow_id);
  sq_int(q, 2, version);
  bool found = sqlite3_step(q) == SQLITE_ROW;
  if (found) *out = flow_own(q);
  enum wr_rc rc = sq_rd_end(r, q, err);
  if (!rc && found && !*out) return wr_err_set(err, WR_INTERNAL, "The stored flow %lld is not whole.", (long long)flow_id);
  if (!rc && !*out) rc = wr_err_set(err, WR_NOT_FOUND, "Flow %lld does not exist.", (long long)flow_id);
  return rc;
}

/* A version never changes once its head is there, so the three reads need no common view. */
enum wr_rc sq_reader_flow(struct reader *rd, int64_t flow_id, int64_t version, struct flow_def **out, struct wr_err *err) {
  struct sq_reader *r = sq_reader_of(rd);
  struct flow_def *f;
  enum wr_rc rc = head_read(r, flow_id, version, &f, err);
  if (!rc) rc = nodes_read(r, f, err);
  if (!rc) rc = edges_read(r, f, err);
  if (!rc) rc = def_flow_compile(f, err);
  *out = rc ? NULL : f;
  if (rc && f) def_flow_unref(f);
  return rc;
}
