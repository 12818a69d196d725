/* Logs of attempts: one writer, the log thread, with a connection of its own, so that a flood of output never holds up a
 * batch. log_read.c reads them. A chunk written twice stands once. */
#include "mysql_priv.h"
#include <stdlib.h>
#include <string.h>

enum { STATEMENT_ROWS = 500 };
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

/* Chunks may be written twice, so a COMMIT whose answer is lost is simply done again: RETRY, never UNKNOWN. */
enum store_rc my_logs_write(struct logs *lg, const struct log_chunk *c, size_t n) {
  struct my_logs *l = (struct my_logs *)lg;
  unsigned e = my_conn_ready(&l->c);
  if (e) return logs_told(l, e) == STORE_RETRY ? STORE_DOWN : my_rc(e);
  e = my_exec(&l->c, "START TRANSACTION");
  for (size_t i = 0; i < n && !e;) e = chunks_put(l, c, n, &i);
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
