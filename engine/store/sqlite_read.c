/* Readers: the pool, and definitions read back. Any thread takes a reader, uses it alone and puts it back. Read-only
 * connections: nothing here can write. At most SQ_READERS at once; who comes then waits, up to WAIT_S. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "limits.h"
#include "sqlite_rd.h"

enum { WAIT_S = 5 };

static const char *const rd_sql[] = {
#define X(n, s) [n] = s,
  RD_STMTS(X)
#undef X
};

/* ---- the pool ---- */
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
  struct timespec until;
  int late = 0;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += WAIT_S;
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
  if (!keep) reader_free(r);
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
  struct task_def *t = wr_new(struct task_def);
  sq_rd_task(st, t);
  t->name = wr_strdup(t->name);
  t->description = wr_strdup(t->description);
  t->type = wr_strdup(t->type);
  t->content = wr_strdup(t->content);
  t->config = wr_strdup(t->config);
  t->create_user = wr_strdup(t->create_user);
  t->update_user = wr_strdup(t->update_user);
  enum wr_rc rc = def_task_derive(t, err);
  if (rc) def_task_unref(t);
  else *out = t;
  return rc;
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
  return wr_err_set(err, WR_NOT_FOUND, "There is no task %lld.", (long long)task_id);
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

enum wr_rc sq_reader_tasks_exist(struct reader *rd, const int64_t *ids, size_t n, struct wr_err *err) {
  struct sq_reader *r = sq_reader_of(rd);
  sqlite3_stmt *q = sq_rd(r, RD_TASK_IS, err);
  if (!q) return r->why;
  for (size_t i = 0; i < n; i++) {
    sq_int(q, 1, ids[i]);
    int found = sqlite3_step(q) == SQLITE_ROW;
    enum wr_rc rc = sq_rd_end(r, q, err);
    if (rc) return rc;
    if (!found) return wr_err_set(err, WR_NO_SUCH_TASK, "Task %lld does not exist.", (long long)ids[i]);
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
  struct flow_def *f = wr_new(struct flow_def);
  sq_rd_flow(st, f);
  f->name = wr_strdup(f->name);
  f->description = wr_strdup(f->description);
  f->config = wr_strdup(f->config);
  f->create_user = wr_strdup(f->create_user);
  f->update_user = wr_strdup(f->update_user);
  int64_t n = sq_col(st, RD_FLOW_N_NODE);
  wr_assert(n >= 0 && n <= LIMIT_NODES);
  f->n = (uint32_t)n;
  f->node = wr_calloc(f->n + 1u, sizeof *f->node);
  return f;
}

static bool ids_parse(struct node_def *n, const char *text) {
  uint32_t count = 1;
  for (const char *p = text; *p; p++) count += *p == ',';
  n->task_id = wr_calloc(count, sizeof *n->task_id);
  for (char *end; n->n_task_id < count; text = end + 1) {
    n->task_id[n->n_task_id++] = strtoll(text, &end, 10);
    if (end == text || *end != (n->n_task_id < count ? ',' : '\0')) return false;
  }
  return true;
}

static enum wr_rc broken(struct wr_err *err, const struct flow_def *f) {
  return wr_err_set(err, WR_INTERNAL, "The stored flow %lld is not whole.", (long long)f->flow_id);
}

static enum wr_rc node_own(sqlite3_stmt *st, struct flow_def *f, uint32_t i, struct wr_err *err) {
  struct node_def *n = &f->node[i];
  const char *type = sq_col_text(st, 2, NULL), *ids = sq_col_text(st, 3, NULL), *tasks = sq_col_text(st, 4, NULL);
  n->node_id = sq_col(st, 0);
  n->key = wr_strdup(sq_col_text(st, 1, NULL));
  n->type = type[0] == 'S' ? NODE_TYPE_START : type[0] == 'E' ? NODE_TYPE_END : NODE_TYPE_TASK;
  n->config = wr_strdup(sq_col_text(st, 5, NULL));
  if (n->node_id != f->node_base + i || (ids && !ids_parse(n, ids))) return broken(err, f);
  return tasks ? def_inline_parse(n, tasks, (size_t)sqlite3_column_bytes(st, 4), err) : WR_OK;
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
  return i == f->n ? WR_OK : broken(err, f);
}

/* Edges come grouped by node, in the order of mention. */
static enum wr_rc edges_read(struct sq_reader *r, struct flow_def *f, struct wr_err *err) {
  size_t cap = 0;
  bool whole = true;
  uint32_t last = UINT32_MAX;
  sqlite3_stmt *q = sq_rd(r, RD_EDGES, err);
  if (!q) return r->why;
  sq_int(q, 1, f->flow_id);
  sq_int(q, 2, f->version);
  sq_int(q, 3, f->node_base);
  sq_int(q, 4, f->node_base + f->n - 1);
  while (whole && sqlite3_step(q) == SQLITE_ROW) {
    uint32_t i = (uint32_t)(sq_col(q, 0) - f->node_base);
    int64_t p = sq_col(q, 1) - f->node_base;
    whole = i < f->n && p >= 0 && p < f->n;
    if (!whole) break;
    if (i != last) cap = 0, last = i;
    struct node_def *n = &f->node[i];
    n->parent = n->parent ? wr_grow(n->parent, &cap, n->n_parent + 1u, sizeof *n->parent) : wr_malloc(sizeof *n->parent * (cap = 1));
    n->parent[n->n_parent++] = (uint32_t)p;
  }
  enum wr_rc rc = sq_rd_end(r, q, err);
  return rc || whole ? rc : broken(err, f);
}

static enum wr_rc head_read(struct sq_reader *r, int64_t flow_id, int64_t version, struct flow_def **out, struct wr_err *err) {
  *out = NULL;
  sqlite3_stmt *q = sq_rd(r, RD_FLOW, err);
  if (!q) return r->why;
  sq_int(q, 1, flow_id);
  sq_int(q, 2, version);
  if (sqlite3_step(q) == SQLITE_ROW) *out = flow_own(q);
  enum wr_rc rc = sq_rd_end(r, q, err);
  if (!rc && !*out) rc = wr_err_set(err, WR_NOT_FOUND, "There is no flow %lld.", (long long)flow_id);
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
