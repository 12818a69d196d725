/* Logs of attempts and what they report, in a file of their own (PATH-log), so that a flood of output never holds up a batch.
 * One writer, the log thread, with its own connection; readers have a second one (log_read.c, reports.c). A chunk written
 * twice stands once. A report of an older attempt than the one that reported last changes nothing. */
#include <stdlib.h>
#include "reports.h"
#include "sqlite_priv.h"
#include "wr_limits.h"

#define LOG_BUSY_MS 200    /* for a lock: it is tried again all the same, and a node that ends waits for this call */

struct sq_logs { struct logs base; struct sq *s; struct sq_conn c; };

enum { LOG_BEGIN, LOG_COMMIT, LOG_ROLLBACK, LOG_PUT, LOG_CONTEXT_PUT, LOG_PROGRESS_PUT, LOG_DROP, LOG_DROP_CONTEXT,
       LOG_DROP_PROGRESS, LOG__N };
static const char *const log_sql[] = {
  [LOG_BEGIN] = "BEGIN IMMEDIATE", [LOG_COMMIT] = "COMMIT", [LOG_ROLLBACK] = "ROLLBACK",
  [LOG_PUT] = ("INSERT OR IGNORE INTO task_log (ti_id, epoch, byte_offset, seq, n_bytes, stream, time, bytes) "
               "VALUES (?1,?2,?3,?4,?5,?6,?7,?8)"),
  [LOG_CONTEXT_PUT] = ("INSERT INTO task_context (ti_id, epoch, update_time, n_bytes, context) VALUES (?1,?2,?3,?4,?5) "
                       "ON CONFLICT (ti_id) DO UPDATE SET epoch=?2, update_time=?3, n_bytes=?4, context=?5 WHERE epoch<=?2"),
  [LOG_PROGRESS_PUT] = ("INSERT INTO task_progress (ti_id, epoch, update_time, total, done, speed_micro, unit, message) "
                        "VALUES (?1,?2,?3,?4,?5,?6,?7,?8) ON CONFLICT (ti_id) DO UPDATE SET epoch=?2, update_time=?3, total=?4, "
                        "done=?5, speed_micro=?6, unit=?7, message=?8 WHERE epoch<=?2"),
  [LOG_DROP] = ("DELETE FROM task_log WHERE (ti_id, epoch, byte_offset, seq) IN "
                "(SELECT ti_id, epoch, byte_offset, seq FROM task_log WHERE ti_id=?1 LIMIT ?2)"),
  [LOG_DROP_CONTEXT] = "DELETE FROM task_context WHERE ti_id=?1",
  [LOG_DROP_PROGRESS] = "DELETE FROM task_progress WHERE ti_id=?1",
};

enum wr_rc sq_logs_open(struct store *st, struct logs **out, struct wr_err *err) {
  struct sq *s = sq_of(st);
  struct sq_logs *l = wr_new(struct sq_logs);
  l->base.ops = &sq_ops;
  l->s = s;
  l->c.told = l->base.why;
  int rc = sq_conn_open(&l->c, s->log_path, SQ_WRITE, log_sql, LOG__N);
  if (rc == SQLITE_OK) sqlite3_busy_timeout(l->c.db, LOG_BUSY_MS);
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

/* What is written here may be written twice, so a COMMIT whose answer is lost is simply done again: RETRY, never UNKNOWN. A
 * damaged file is BAD: no repeat mends it, and programs must not wait for it without end. rc: of the work so far. */
static enum store_rc ended(struct sq_logs *l, int rc) {
  if (rc == SQLITE_OK && !sqlite3_get_autocommit(l->c.db)) rc = sq_run(sq_stmt(&l->c, LOG_COMMIT));
  if (rc == SQLITE_OK) return sq_files_there(l->s) ? STORE_OK : STORE_BAD; /* nobody will open them again */
  if (rc == SQLITE_ERROR) rc = sqlite3_errcode(l->c.db); /* of a statement that could not be made */
  enum store_rc out = sq_rc(&l->c, rc);
  if (!sqlite3_get_autocommit(l->c.db)) (void)sq_run(sq_stmt(&l->c, LOG_ROLLBACK));
  if (sq_damaged(rc)) return STORE_BAD;
  return out == STORE_DOWN ? STORE_RETRY : out;
}

enum store_rc sq_logs_write(struct logs *lg, const struct log_chunk *c, size_t n) {
  struct sq_logs *l = (struct sq_logs *)lg;
  int rc = sq_run(sq_stmt(&l->c, LOG_BEGIN));
  for (size_t i = 0; i < n && rc == SQLITE_OK; i++) rc = chunk_put(l, &c[i]);
  return ended(l, rc);
}

/* ---- reports ---- */
/* One process owns the file, so it knows which of its attempts run. */
static int context_put(struct sq_logs *l, int64_t now_us, struct context_put *p) {
  sqlite3_stmt *w = sq_stmt(&l->c, LOG_CONTEXT_PUT);
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, p->ti);
  sq_int(w, 2, p->epoch);
  sq_int(w, 3, now_us);
  sq_int(w, 4, (int64_t)p->len);
  sqlite3_bind_text64(w, 5, p->len ? p->text : "", p->len, SQLITE_STATIC, SQLITE_UTF8);
  int rc = sq_run(w);
  p->fenced = rc == SQLITE_OK && sqlite3_changes(l->c.db) == 0;
  return rc;
}

enum store_rc sq_logs_put_contexts(struct logs *lg, int64_t now_us, struct context_put *v, size_t n) {
  struct sq_logs *l = (struct sq_logs *)lg;
  int rc = sq_run(sq_stmt(&l->c, LOG_BEGIN));
  for (size_t i = 0; i < n && rc == SQLITE_OK; i++) rc = context_put(l, now_us, &v[i]);
  return ended(l, rc);
}

static void bind_or_null(sqlite3_stmt *w, int i, int64_t v) {
  if (v < 0) sqlite3_bind_null(w, i);
  else sq_int(w, i, v);
}

static int progress_put(struct sq_logs *l, const struct progress_row *p) {
  sqlite3_stmt *w = sq_stmt(&l->c, LOG_PROGRESS_PUT);
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, p->ti);
  sq_int(w, 2, p->epoch);
  sq_int(w, 3, p->at_us);
  bind_or_null(w, 4, p->total);
  bind_or_null(w, 5, p->done);
  bind_or_null(w, 6, p->speed < 0 ? -1 : speed_micro(p->speed));
  sq_text(w, 7, p->unit);
  sq_text(w, 8, p->message);
  return sq_run(w);
}

enum store_rc sq_logs_put_progress(struct logs *lg, const struct progress_row *row, size_t n) {
  struct sq_logs *l = (struct sq_logs *)lg;
  int rc = sq_run(sq_stmt(&l->c, LOG_BEGIN));
  for (size_t i = 0; i < n && rc == SQLITE_OK; i++) rc = progress_put(l, &row[i]);
  return ended(l, rc);
}

/* ---- tasks that are gone ---- */
static int drop_by(struct sq_logs *l, int which, int64_t ti) {
  sqlite3_stmt *w = sq_stmt(&l->c, (size_t)which);
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, ti);
  if (which == LOG_DROP) sq_int(w, 2, LIMIT_DROP_CHUNKS);
  return sq_run(w);
}

enum store_rc sq_logs_drop(struct logs *lg, int64_t ti, bool *more) {
  struct sq_logs *l = (struct sq_logs *)lg;
  int rc = sq_run(sq_stmt(&l->c, LOG_BEGIN));
  if (rc == SQLITE_OK) rc = drop_by(l, LOG_DROP, ti);
  *more = rc == SQLITE_OK && sqlite3_changes(l->c.db) == LIMIT_DROP_CHUNKS;
  if (rc == SQLITE_OK) rc = drop_by(l, LOG_DROP_CONTEXT, ti);
  if (rc == SQLITE_OK) rc = drop_by(l, LOG_DROP_PROGRESS, ti);
  enum store_rc out = ended(l, rc);
  if (out == STORE_OK && !*more) sq_dropped_put(l->s, ti);   /* its row of task_gone is in the other file */
  return out;
}
