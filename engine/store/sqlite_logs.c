/* Logs of attempts, in a file of their own (PATH-log), so that a flood of output never holds up a batch. One writer, the
 * log thread, with its own connection; readers have a second one (log_read.c). A chunk written twice stands once. */
#include <stdlib.h>
#include "sqlite_priv.h"

struct sq_logs { struct logs base; struct sq *s; struct sq_conn c; };

enum { LOG_BEGIN, LOG_COMMIT, LOG_ROLLBACK, LOG_PUT, LOG__N };
static const char *const log_sql[] = {
  [LOG_BEGIN] = "BEGIN IMMEDIATE", [LOG_COMMIT] = "COMMIT", [LOG_ROLLBACK] = "ROLLBACK",
  [LOG_PUT] = ("INSERT OR IGNORE INTO task_log (ti_id, epoch, byte_offset, seq, n_bytes, stream, time, bytes) "
               "VALUES (?1,?2,?3,?4,?5,?6,?7,?8)"),
};

enum wr_rc sq_logs_open(struct store *st, struct logs **out, struct wr_err *err) {
  struct sq *s = sq_of(st);
  struct sq_logs *l = wr_new(struct sq_logs);
  l->base.ops = &sq_ops;
  l->s = s;
  l->c.told = l->base.why;
  int rc = sq_conn_open(&l->c, s->log_path, SQ_WRITE, log_sql, LOG__N);
  if (rc == SQLITE_OK) rc = sq_exec(&l->c, "PRAGMA wal_autocheckpoint=4000"); /* the log thread may wait for it */
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

static int chunk_put(struct sq_logs *l, const struct log_chunk *c) {
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

/* Chunks may be written twice, so a COMMIT whose answer is lost is simply done again: RETRY, never UNKNOWN. A damaged file is
 * BAD: no repeat mends it, and programs must not wait for it without end. */
enum store_rc sq_logs_write(struct logs *lg, const struct log_chunk *c, size_t n) {
  struct sq_logs *l = (struct sq_logs *)lg;
  int rc = sq_run(sq_stmt(&l->c, LOG_BEGIN));
  for (size_t i = 0; i < n && rc == SQLITE_OK; i++) rc = chunk_put(l, &c[i]);
  if (rc == SQLITE_OK) rc = sq_run(sq_stmt(&l->c, LOG_COMMIT));
  if (rc == SQLITE_OK) return STORE_OK;
  if (rc == SQLITE_ERROR) rc = sqlite3_errcode(l->c.db); /* of a statement that could not be made */
  enum store_rc out = sq_rc(&l->c, rc);
  if (!sqlite3_get_autocommit(l->c.db)) (void)sq_run(sq_stmt(&l->c, LOG_ROLLBACK));
  if (sq_damaged(rc)) return STORE_BAD;
  return out == STORE_DOWN ? STORE_RETRY : out;
}
