/* Logs of attempts, in a file of their own (PATH-log), so that a flood of output never holds up a batch. One writer, the
 * log thread, with its own connection; readers have a second handle. A chunk written twice stands once. */
#include <stdlib.h>
#include "attempt.h"
#include "sqlite_rd.h"

struct sq_logs { struct logs base; struct sq *s; struct sq_conn c; };

enum { LOG_BEGIN, LOG_COMMIT, LOG_ROLLBACK, LOG_PUT, LOG__N };
static const char *const log_sql[] = {
  [LOG_BEGIN] = "BEGIN IMMEDIATE", [LOG_COMMIT] = "COMMIT", [LOG_ROLLBACK] = "ROLLBACK",
  [LOG_PUT] = "INSERT OR IGNORE INTO task_log (ti_id, epoch, byte_offset, seq, n_bytes, stream, time, bytes) VALUES (?1,?2,?3,?4,?5,?6,?7,?8)",
};

enum { LR_NEWEST, LR_SIZE, LR_BYTES, LR_STREAM, LR__N };
#define LR_LAST "(SELECT byte_offset FROM task_log WHERE ti_id=?1 AND epoch=?2 AND byte_offset<=?3 ORDER BY byte_offset DESC LIMIT 1)"
static const char *const read_sql[] = {
  [LR_NEWEST] = "SELECT max(epoch) FROM task_log WHERE ti_id=?1",
  [LR_SIZE] = "SELECT byte_offset + n_bytes FROM task_log WHERE ti_id=?1 AND epoch=?2 ORDER BY byte_offset DESC, seq DESC LIMIT 1",
  [LR_BYTES] = "SELECT byte_offset, bytes FROM task_log WHERE ti_id=?1 AND epoch=?2 AND byte_offset>=coalesce(" LR_LAST ", 0) "
               "ORDER BY byte_offset, seq",
  [LR_STREAM] = "SELECT n_bytes, bytes FROM task_log WHERE ti_id=?1 AND epoch=?2 AND stream=?3 ORDER BY byte_offset, seq",
};

/* ---- writer ---- */
enum wr_rc sq_logs_open(struct store *st, struct logs **out, struct wr_err *err) {
  struct sq *s = sq_of(st);
  struct sq_logs *l = wr_new(struct sq_logs);
  l->base.ops = &sq_ops;
  l->s = s;
  l->c.told = l->base.why;
  int rc = sq_conn_open(&l->c, s->log_path, SQ_WRITE, log_sql, LOG__N);
  if (rc == SQLITE_OK) rc = sq_exec(&l->c, "PRAGMA wal_autocheckpoint=4000"); /* its own thread may wait */
  if (rc == SQLITE_OK) {
    sq_files_logs(s, true);
    *out = &l->base;
    return WR_OK;
  }
  enum wr_rc wr = sq_err(&l->c, rc, err);
  sq_conn_close(&l->c);
  free(l);
  return wr;
}

void sq_logs_close(struct logs *lg) {
  struct sq_logs *l = (struct sq_logs *)lg;
  sq_files_logs(l->s, false);
  sq_conn_close(&l->c);
  free(l);
}

static int put(struct sq_logs *l, const struct log_chunk *c) {
  sqlite3_stmt *w = sq_stmt(&l->c, LOG_PUT);
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, c->ti);
  sq_int(w, 2, c->epoch);
  sq_int(w, 3, c->offset);
  sq_int(w, 4, c->seq);
  sq_int(w, 5, (int64_t)c->n);
  sq_int(w, 6, c->stream);
  sq_int(w, 7, c->time_us);
  if (c->n) sqlite3_bind_blob64(w, 8, c->data, c->n, SQLITE_STATIC);
  else sqlite3_bind_zeroblob(w, 8, 0);
  return sq_run(w);
}

/* Chunks may be written twice, so a COMMIT whose answer is lost is simply done again: RETRY, never UNKNOWN. No repeat mends a
 * damaged file: BAD, for programs must not wait for it without end. */
enum store_rc sq_logs_write(struct logs *lg, const struct log_chunk *c, size_t n) {
  struct sq_logs *l = (struct sq_logs *)lg;
  int rc = sq_run(sq_stmt(&l->c, LOG_BEGIN));
  for (size_t i = 0; i < n && rc == SQLITE_OK; i++) rc = put(l, &c[i]);
  if (rc == SQLITE_OK) rc = sq_run(sq_stmt(&l->c, LOG_COMMIT));
  if (rc == SQLITE_OK) return STORE_OK;
  if (rc == SQLITE_ERROR) rc = sqlite3_errcode(l->c.db); /* of a statement that could not be made */
  enum store_rc out = sq_rc(&l->c, rc);
  if (!sqlite3_get_autocommit(l->c.db)) (void)sq_run(sq_stmt(&l->c, LOG_ROLLBACK));
  if (sq_damaged(rc)) return STORE_BAD;
  return out == STORE_DOWN ? STORE_RETRY : out;
}

/* ---- readers ---- */
static enum wr_rc log_failed(struct sq_reader *r, int rc, struct wr_err *err) {
  r->bad = true;
  return sq_err(&r->log, rc == SQLITE_OK ? sqlite3_errcode(r->log.db) : rc, err);
}

/* One number by (ti, epoch); 0 when there is none. */
static enum wr_rc number(struct sq_reader *r, size_t which, int64_t ti, uint32_t epoch, int64_t *out, struct wr_err *err) {
  sqlite3_stmt *q = sq_stmt(&r->log, which);
  if (!q) return log_failed(r, SQLITE_OK, err);
  sq_int(q, 1, ti);
  if (which != LR_NEWEST) sq_int(q, 2, epoch);
  *out = sqlite3_step(q) == SQLITE_ROW ? sq_col(q, 0) : 0;
  int rc = sqlite3_reset(q);
  return rc == SQLITE_OK ? WR_OK : log_failed(r, rc, err);
}

/* What is wanted, and what there is. */
struct ask { int64_t ti; uint32_t epoch; int64_t offset; size_t left; struct buf *out; int64_t *size; bool done; };

/* What of a piece at `at` falls into the wanted range is added. */
static void take(struct ask *a, const char *p, int64_t at, int64_t len) {
  int64_t skip = a->offset > at ? a->offset - at : 0;
  if (skip >= len) return;
  size_t k = (size_t)(len - skip) < a->left ? (size_t)(len - skip) : a->left;
  buf_add(a->out, p + skip, k);
  a->left -= k;
}

/* The bytes of a row are read only when they are wanted. */
static enum wr_rc stream_rows(struct sq_reader *r, struct ask *a, uint8_t stream, struct wr_err *err) {
  sqlite3_stmt *q = sq_stmt(&r->log, LR_STREAM);
  int64_t at = 0;
  if (!q) return log_failed(r, SQLITE_OK, err);
  sq_int(q, 1, a->ti);
  sq_int(q, 2, a->epoch);
  sq_int(q, 3, stream);
  for (int64_t n; sqlite3_step(q) == SQLITE_ROW; at += n) {
    n = sq_col(q, 0);
    const void *p = a->left && at + n > a->offset ? sqlite3_column_blob(q, 1) : NULL;
    if (p) take(a, p, at, sqlite3_column_bytes(q, 1));
  }
  *a->size = at;
  int rc = sqlite3_reset(q);
  return rc == SQLITE_OK ? WR_OK : log_failed(r, rc, err);
}

static enum wr_rc rows(struct sq_reader *r, struct ask *a, struct wr_err *err) {
  sqlite3_stmt *q = sq_stmt(&r->log, LR_BYTES);
  if (!q) return log_failed(r, SQLITE_OK, err);
  sq_int(q, 1, a->ti);
  sq_int(q, 2, a->epoch);
  sq_int(q, 3, a->offset);
  while (a->left && sqlite3_step(q) == SQLITE_ROW) {
    const void *p = sqlite3_column_blob(q, 1);
    if (p) take(a, p, sq_col(q, 0), sqlite3_column_bytes(q, 1));
  }
  int rc = sqlite3_reset(q);
  return rc == SQLITE_OK ? WR_OK : log_failed(r, rc, err);
}

/* A log that equals the result is kept only there. */
static enum wr_rc from_result(struct sq_reader *r, struct ask *a, struct wr_err *err) {
  sqlite3_stmt *q = sq_rd(r, RD_RESULT_LOG, err);
  if (!q) return r->why;
  sq_int(q, 1, a->ti);
  if (sqlite3_step(q) == SQLITE_ROW && sq_col(q, 1) == LOG_IS_RESULT && (a->epoch == 0 || a->epoch == (uint32_t)sq_col(q, 0))) {
    const void *p = sqlite3_column_blob(q, 2);
    a->done = true;
    *a->size = sqlite3_column_bytes(q, 2);
    if (p) take(a, p, 0, *a->size);
  }
  return sq_rd_end(r, q, err);
}

static enum wr_rc from_rows(struct sq_reader *r, struct ask *a, uint8_t stream, struct wr_err *err) {
  int64_t newest = a->epoch;
  enum wr_rc rc = WR_OK;
  if (!r->log.db) {
    int sql = sq_conn_open(&r->log, sq_of(r->base.s)->log_path, SQ_READ, read_sql, LR__N);
    if (sql != SQLITE_OK) return log_failed(r, sql, err);
  }
  if (a->epoch == 0) rc = number(r, LR_NEWEST, a->ti, 0, &newest, err);
  if (rc || newest == 0) return rc;
  a->epoch = (uint32_t)newest;
  if (stream) return stream_rows(r, a, stream, err);
  rc = number(r, LR_SIZE, a->ti, a->epoch, a->size, err);
  return rc || a->left == 0 ? rc : rows(r, a, err);
}

enum wr_rc sq_reader_log(struct reader *rd, int64_t ti, uint32_t epoch, int64_t offset, size_t n, struct buf *out, int64_t *size,
                         struct wr_err *err) {
  struct sq_reader *r = sq_reader_of(rd);
  struct ask a = {ti, epoch, offset, n, out, size, false};
  *size = 0;
  enum wr_rc rc = from_result(r, &a, err);
  return rc || a.done ? rc : from_rows(r, &a, 0, err);
}

enum wr_rc sq_reader_log_stream(struct reader *rd, int64_t ti, uint32_t epoch, uint8_t stream, int64_t offset, size_t n, struct buf *out,
                                int64_t *size, struct wr_err *err) {
  struct ask a = {ti, epoch, offset, n, out, size, false};
  *size = 0;
  return from_rows(sq_reader_of(rd), &a, stream, err);
}
