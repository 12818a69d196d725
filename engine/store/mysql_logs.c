/* Logs of attempts: one writer, the log thread, with a connection of its own, so that a flood of output never holds up a
 * batch; readers read. A chunk written twice stands once. */
#include "mysql_rd.h"
#include <stdlib.h>
#include <string.h>
#include "attempt.h"

enum { STATEMENT_ROWS = 500 };
struct my_logs { struct logs base; struct my *s; struct my_conn c; struct sql sql; };

/* ---- writer ---- */
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

static void put(struct my_logs *l, const struct log_chunk *c) {
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
static unsigned put_some(struct my_logs *l, const struct log_chunk *c, size_t n, size_t *i) {
  size_t from = *i;
  sql_clear(&l->sql);
  sql_str(&l->sql, "INSERT INTO task_log(ti_id,epoch,byte_offset,seq,n_bytes,stream,time,bytes)VALUES");
  for (; *i < n && *i - from < STATEMENT_ROWS && l->sql.b.len < l->c.packet / 2; ++*i) {
    sql_sep(&l->sql, *i - from, ",");
    put(l, &c[*i]);
  }
  sql_str(&l->sql, "ON DUPLICATE KEY UPDATE seq=seq");
  return my_query(&l->c, l->sql.b.data, l->sql.b.len);
}

static enum store_rc told(struct my_logs *l, unsigned e) {
  memcpy(l->base.why, l->c.why, sizeof l->base.why);
  return my_rc(e);
}

/* Chunks may be written twice, so a COMMIT whose answer is lost is simply done again: RETRY, never UNKNOWN. */
enum store_rc my_logs_write(struct logs *lg, const struct log_chunk *c, size_t n) {
  struct my_logs *l = (struct my_logs *)lg;
  unsigned e = my_conn_ready(&l->c);
  if (e) return told(l, e) == STORE_RETRY ? STORE_DOWN : my_rc(e);
  e = my_exec(&l->c, "START TRANSACTION");
  for (size_t i = 0; i < n && !e;) e = put_some(l, c, n, &i);
  if (!e) {
    e = my_exec(&l->c, "COMMIT");
    if (!e) return STORE_OK;
    (void)told(l, e);
    my_conn_close(&l->c);
    return STORE_RETRY;
  }
  (void)told(l, e);
  if (l->c.m && my_exec(&l->c, "ROLLBACK")) my_conn_close(&l->c);
  return my_rc(e);
}

/* ---- readers ---- */
/* What is wanted, and what there is. */
struct ask { int64_t ti; uint32_t epoch; int64_t offset; size_t left; struct buf *out; int64_t *size; bool done; };

/* What of a piece at `at` falls into the wanted range is added. */
static void take(struct ask *a, const struct my_cell *c, int64_t at) {
  int64_t len = (int64_t)c->n, skip = a->offset > at ? a->offset - at : 0;
  if (c->kind != MY_TEXT || skip >= len) return;
  size_t k = (size_t)(len - skip) < a->left ? (size_t)(len - skip) : a->left;
  buf_add(a->out, c->s + skip, k);
  a->left -= k;
}

/* A log that equals the result is kept only there. */
static enum wr_rc from_result(struct my_reader *r, struct ask *a, struct wr_err *err) {
  struct my_rows q;
  unsigned e = my_select(&r->c, &q, "SELECT epoch, GREATEST(result_len, 0), " MY_RESULT " FROM task_ins WHERE ti_id=? AND log=? AND (?=0 OR epoch=?)",
                         MY_ARGS(my_ai(a->ti), my_ai(LOG_IS_RESULT), my_ai(a->epoch), my_ai(a->epoch)));
  if (e) return my_err(e, err);
  if (my_next(&q)) {
    a->done = true;
    *a->size = my_int(&q.cell[1]);
    take(a, &q.cell[2], 0);
  }
  return my_rd_end(&q, WR_OK, err);
}

/* Pieces do not overlap, so those that end before the offset are all but the last one that begins before it. */
static enum wr_rc pieces(struct my_reader *r, struct ask *a, struct wr_err *err) {
  struct my_rows q;
  int64_t first = 0;
  enum wr_rc rc = my_rd_int(r, "SELECT byte_offset FROM task_log WHERE ti_id=? AND epoch=? AND byte_offset<=? ORDER BY byte_offset DESC LIMIT 1",
                            MY_ARGS(my_ai(a->ti), my_ai(a->epoch), my_ai(a->offset)), &first, err);
  if (rc) return rc;
  int64_t end = a->left > (size_t)(INT64_MAX - a->offset) ? INT64_MAX : a->offset + (int64_t)a->left;
  unsigned e = my_select(&r->c, &q, "SELECT byte_offset, bytes FROM task_log WHERE ti_id=? AND epoch=? AND byte_offset BETWEEN ? AND ? "
                         "ORDER BY byte_offset, seq", MY_ARGS(my_ai(a->ti), my_ai(a->epoch), my_ai(first), my_ai(end)));
  if (e) return my_err(e, err);
  while (a->left && my_next(&q)) take(a, &q.cell[1], my_int(&q.cell[0]));
  return my_rd_end(&q, WR_OK, err);
}

/* First only their lengths, for the place of the wanted ones: a log may be a gigabyte. */
static enum wr_rc stream_pieces(struct my_reader *r, struct ask *a, uint8_t stream, struct wr_err *err) {
  struct my_rows q;
  int64_t at = 0, first = -1, last = -1, first_at = 0, end = a->left > (size_t)(INT64_MAX - a->offset) ? INT64_MAX : a->offset + (int64_t)a->left;
  unsigned e = my_select(&r->c, &q, "SELECT byte_offset, n_bytes FROM task_log WHERE ti_id=? AND epoch=? AND stream=? ORDER BY byte_offset, seq",
                         MY_ARGS(my_ai(a->ti), my_ai(a->epoch), my_ai(stream)));
  if (e) return my_err(e, err);
  for (int64_t n; my_next(&q); at += n) {
    n = my_int(&q.cell[1]);
    if (at + n <= a->offset || at >= end) continue;
    last = my_int(&q.cell[0]);
    if (first < 0) first = last, first_at = at;
  }
  enum wr_rc rc = my_rd_end(&q, WR_OK, err);
  *a->size = at;
  if (rc || first < 0) return rc;
  e = my_select(&r->c, &q, "SELECT bytes FROM task_log WHERE ti_id=? AND epoch=? AND byte_offset BETWEEN ? AND ? AND stream=? ORDER BY byte_offset, seq",
                MY_ARGS(my_ai(a->ti), my_ai(a->epoch), my_ai(first), my_ai(last), my_ai(stream)));
  if (e) return my_err(e, err);
  for (; a->left && my_next(&q); first_at += (int64_t)q.cell[0].n) take(a, &q.cell[0], first_at);
  return my_rd_end(&q, WR_OK, err);
}

static enum wr_rc from_rows(struct my_reader *r, struct ask *a, uint8_t stream, struct wr_err *err) {
  int64_t newest = a->epoch;
  enum wr_rc rc = WR_OK;
  if (!newest) rc = my_rd_int(r, "SELECT MAX(epoch) FROM task_log WHERE ti_id=?", MY_ARGS(my_ai(a->ti)), &newest, err);
  if (rc || !newest) return rc;
  a->epoch = (uint32_t)newest;
  if (stream) return stream_pieces(r, a, stream, err);
  rc = my_rd_int(r, "SELECT byte_offset + n_bytes FROM task_log WHERE ti_id=? AND epoch=? ORDER BY byte_offset DESC, seq DESC LIMIT 1",
                 MY_ARGS(my_ai(a->ti), my_ai(a->epoch)), a->size, err);
  return rc || a->left == 0 ? rc : pieces(r, a, err);
}

enum wr_rc my_reader_log(struct reader *rd, int64_t ti, uint32_t epoch, int64_t offset, size_t n, struct buf *out, int64_t *size,
                         struct wr_err *err) {
  struct my_reader *r = my_reader_of(rd);
  struct ask a = {ti, epoch, offset, n, out, size, false};
  *size = 0;
  enum wr_rc rc = from_result(r, &a, err);
  return rc || a.done ? rc : from_rows(r, &a, 0, err);
}

enum wr_rc my_reader_log_stream(struct reader *rd, int64_t ti, uint32_t epoch, uint8_t stream, int64_t offset, size_t n, struct buf *out,
                                int64_t *size, struct wr_err *err) {
  struct ask a = {ti, epoch, offset, n, out, size, false};
  *size = 0;
  return from_rows(my_reader_of(rd), &a, stream, err);
}
