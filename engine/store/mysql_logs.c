/* Logs of attempts and what they report: one writer, the log thread, with a connection of its own, so that a flood of output
 * never holds up a batch. log_read.c and reports.c read them. A chunk written twice stands once. The statement that stores a
 * report compares with the task's row, so what a fenced attempt says changes nothing. */
#include "mysql_priv.h"
#include <stdlib.h>
#include <string.h>
#include "reports.h"
#include "wr_limits.h"

enum { STATEMENT_ROWS = 500, STATEMENT_REPORTS = 100 };
struct my_logs { struct logs base; struct my *s; struct my_conn c; struct sql sql; };

enum wr_rc my_logs_open(struct store *st, struct logs **out, struct wr_err *err) {
  struct my *s = my_of(st);
  struct my_logs *l = wr_new(struct my_logs);
  l->base.ops = st->ops;
  l->s = s;
  my_conn_init(&l->c, s, MY_LOG);
  unsigned e = my_conn_ready(&l->c);
  if (!e) {
    *out = &l->base;
    return WR_OK;
  }
  free(l);
  return my_err(e, err);
}

void my_logs_close(struct logs *lg) {
  struct my_logs *l = (struct my_logs *)lg;
  my_conn_close(&l->c);
  sql_done(&l->sql);
  free(l);
}

static void chunk_text(struct my_logs *l, const struct log_chunk *c) {
  struct sql *q = &l->sql;
  sql_ch(q, '('), sql_i64(q, c->ti);
  sql_ch(q, ','), sql_i64(q, c->epoch);
  sql_ch(q, ','), sql_i64(q, c->offset);
  sql_ch(q, ','), sql_i64(q, c->seq);
  sql_ch(q, ','), sql_i64(q, (int64_t)c->n);
  sql_ch(q, ','), sql_i64(q, c->stream);
  sql_ch(q, ','), sql_us(q, c->time_us ? c->time_us : 1);
  sql_ch(q, ','), sql_blob(q, l->c.m, c->n ? c->data : "", c->n);
  sql_ch(q, ')');
}

/* One statement from *i on. A repeated key keeps what stands there, and unlike INSERT IGNORE hides no other error. */
static unsigned chunks_put(struct my_logs *l, const struct log_chunk *c, size_t n, size_t *i) {
  size_t from = *i;
  sql_clear(&l->sql);
  sql_str(&l->sql, "INSERT INTO task_log(ti_id,epoch,byte_offset,seq,n_bytes,stream,time,bytes)VALUES");
  for (; *i < n && *i - from < STATEMENT_ROWS && l->sql.b.len < l->c.packet / 2; ++*i) {
    sql_sep(&l->sql, *i - from, ",");
    chunk_text(l, &c[*i]);
  }
  sql_str(&l->sql, "ON DUPLICATE KEY UPDATE seq=seq");
  return my_query(&l->c, l->sql.b.data, l->sql.b.len);
}

static enum store_rc logs_told(struct my_logs *l, unsigned e) {
  memcpy(l->base.why, l->c.why, sizeof l->base.why);
  return my_rc(e);
}

static enum store_rc not_ready(struct my_logs *l, unsigned e) {
  return logs_told(l, e) == STORE_RETRY ? STORE_DOWN : my_rc(e);
}

/* Ends the transaction. e: of the work in it. What is written here may be written twice, so a COMMIT whose answer is lost is
 * simply done again: RETRY, never UNKNOWN. */
static enum store_rc ended(struct my_logs *l, unsigned e) {
  if (!e) {
    e = my_exec(&l->c, "COMMIT");
    if (!e) return STORE_OK;
    (void)logs_told(l, e);
    my_conn_close(&l->c);
    return STORE_RETRY;
  }
  (void)logs_told(l, e);
  if (l->c.m && my_exec(&l->c, "ROLLBACK")) my_conn_close(&l->c);
  return my_rc(e);
}

enum store_rc my_logs_write(struct logs *lg, const struct log_chunk *c, size_t n) {
  struct my_logs *l = (struct my_logs *)lg;
  unsigned e = my_conn_ready(&l->c);
  if (e) return not_ready(l, e);
  e = my_exec(&l->c, "START TRANSACTION");
  for (size_t i = 0; i < n && !e;) e = chunks_put(l, c, n, &i);
  return ended(l, e);
}

/* ---- reports ---- */
/* The share lock makes a batch that fences the attempt come before it or after it. */
static unsigned context_put(struct my_logs *l, int64_t now_us, struct context_put *p) {
  struct sql *q = &l->sql;
  sql_clear(q);
  sql_str(q, "INSERT INTO task_context(ti_id,epoch,update_time,n_bytes,context)SELECT ti_id,epoch,");
  sql_us(q, now_us ? now_us : 1);
  sql_ch(q, ','), sql_i64(q, (int64_t)p->len);
  sql_ch(q, ','), sql_blob(q, l->c.m, p->len ? p->text : "", p->len);
  buf_printf(&q->b, " FROM task_ins WHERE ti_id=%lld AND epoch=%u AND owner=%lld AND state IN " STATES_OWNED
             " LOCK IN SHARE MODE ON DUPLICATE KEY UPDATE epoch=VALUES(epoch),update_time=VALUES(update_time),"
             "n_bytes=VALUES(n_bytes),context=VALUES(context)", (long long)p->ti, p->epoch, (long long)p->owner);
  unsigned e = my_query(&l->c, q->b.data, q->b.len);
  p->fenced = !e && my_affected(&l->c) == 0;
  return e;
}

/* One statement commits by itself: when its answer is lost, it is done again. */
enum store_rc my_logs_put_contexts(struct logs *lg, int64_t now_us, struct context_put *v, size_t n) {
  struct my_logs *l = (struct my_logs *)lg;
  unsigned e = my_conn_ready(&l->c);
  if (e) return not_ready(l, e);
  if (n == 1) {
    e = context_put(l, now_us, v);
    if (!e) return STORE_OK;
    return logs_told(l, e) == STORE_UNKNOWN ? STORE_RETRY : my_rc(e);
  }
  e = my_exec(&l->c, "START TRANSACTION");
  for (size_t i = 0; i < n && !e; i++) e = context_put(l, now_us, &v[i]);
  enum store_rc rc = ended(l, e);
  return rc == STORE_UNKNOWN ? STORE_RETRY : rc;
}

static void number_or_null(struct sql *q, int64_t v) {
  if (v < 0) sql_str(q, ",NULL");
  else sql_ch(q, ','), sql_i64(q, v);
}

/* As a SELECT without a table; the first one names the columns. */
static void progress_text(struct my_logs *l, const struct progress_row *p) {
  struct sql *q = &l->sql;
  sql_str(q, "SELECT "), sql_i64(q, p->ti), sql_str(q, " AS ti,"), sql_i64(q, p->epoch);
  sql_str(q, " AS ep,"), sql_i64(q, p->owner);
  sql_str(q, " AS own,"), sql_us(q, p->at_us ? p->at_us : 1);
  sql_str(q, " AS up"), number_or_null(q, p->total);
  sql_str(q, " AS total"), number_or_null(q, p->done);
  sql_str(q, " AS done"), number_or_null(q, p->speed < 0 ? -1 : speed_micro(p->speed));
  sql_str(q, " AS speed,"), sql_text(q, l->c.m, p->unit);
  sql_str(q, " AS unit,"), sql_text(q, l->c.m, p->message), sql_str(q, " AS message");
}

/* One statement from *i on. A node that was fenced has no task any more. The end of an attempt may come before its last
 * report. */
static unsigned progress_put(struct my_logs *l, const struct progress_row *row, size_t n, size_t *i) {
  size_t from = *i;
  sql_clear(&l->sql);
  sql_str(&l->sql, "INSERT INTO task_progress(ti_id,epoch,update_time,total,done,speed_micro,unit,message)"
                   "SELECT STRAIGHT_JOIN v.ti,v.ep,v.up,v.total,v.done,v.speed,v.unit,v.message FROM(");
  for (; *i < n && *i - from < STATEMENT_REPORTS && l->sql.b.len < l->c.packet / 2; ++*i) {
    sql_sep(&l->sql, *i - from, " UNION ALL ");
    progress_text(l, &row[*i]);
  }
  sql_str(&l->sql, ")v JOIN task_ins t ON t.ti_id=v.ti AND t.epoch=v.ep AND t.owner=v.own AND "
                   "(t.state>=9 OR t.state IN " STATES_OWNED ")ON DUPLICATE KEY UPDATE epoch=VALUES(epoch),"
                   "update_time=VALUES(update_time),total=VALUES(total),done=VALUES(done),speed_micro=VALUES(speed_micro),"
                   "unit=VALUES(unit),message=VALUES(message)");
  return my_query(&l->c, l->sql.b.data, l->sql.b.len);
}

enum store_rc my_logs_put_progress(struct logs *lg, const struct progress_row *row, size_t n) {
  struct my_logs *l = (struct my_logs *)lg;
  unsigned e = my_conn_ready(&l->c);
  if (e) return not_ready(l, e);
  e = my_exec(&l->c, "START TRANSACTION");
  for (size_t i = 0; i < n && !e;) e = progress_put(l, row, n, &i);
  return ended(l, e);
}

/* ---- tasks that are gone ---- */
enum store_rc my_logs_drop(struct logs *lg, int64_t ti, bool *more) {
  static const char *const rest[] = {"task_context", "task_progress"};
  struct my_logs *l = (struct my_logs *)lg;
  unsigned e = my_conn_ready(&l->c);
  *more = false;
  if (e) return not_ready(l, e);
  e = my_exec(&l->c, "START TRANSACTION");
  sql_clear(&l->sql);
  buf_printf(&l->sql.b, "DELETE FROM task_log WHERE ti_id=%lld ORDER BY ti_id,epoch,byte_offset,seq LIMIT %d", (long long)ti,
             LIMIT_DROP_CHUNKS);
  if (!e) e = my_query(&l->c, l->sql.b.data, l->sql.b.len);
  bool full = !e && my_affected(&l->c) == LIMIT_DROP_CHUNKS;
  for (size_t i = 0; i < sizeof rest / sizeof *rest && !e; i++) {
    sql_clear(&l->sql);
    buf_printf(&l->sql.b, "DELETE FROM %s WHERE ti_id=%lld", rest[i], (long long)ti);
    e = my_query(&l->c, l->sql.b.data, l->sql.b.len);
  }
  if (!e && !full) { /* its row of task_gone goes with the rest */
    sql_clear(&l->sql);
    buf_printf(&l->sql.b, "DELETE FROM task_gone WHERE ti_id=%lld", (long long)ti);
    e = my_query(&l->c, l->sql.b.data, l->sql.b.len);
  }
  enum store_rc rc = ended(l, e);
  *more = rc == STORE_OK && full;
  return rc;
}
