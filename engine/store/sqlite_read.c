/* Readers: read-only connections, lent by a pool. Nothing here can write. At most SQ_READERS at once, and one more for the
 * runner. */
#include <stdlib.h>
#include "clock.h"
#include "sqlite_priv.h"

/* A fifth of what a request may wait in all. */
int64_t sq_until(const struct sq *s) { return clock_mono_us() + s->request_us / 5; }

static struct sq_reader *reader_new(struct sq *s, enum reader_whose whose, struct wr_err *err) {
  struct sq_reader *r = wr_new(struct sq_reader);
  r->c.base.ops = r->log.base.ops = &sq_db_ops;
  r->log.late = s->log_path;
  r->base = (struct reader){.ops = &sq_ops, .s = &s->base, .db = &r->c.base, .log = &r->log.base, .whose = whose};
  int rc = sq_conn_open(&r->c, s->path, SQ_READ, sq_sql, sq_sql_n);
  if (rc == SQLITE_OK) return r;
  (void)sq_err(&r->c, rc, err);
  free(r);
  return NULL;
}

struct reader *sq_reader_get(struct store *st, enum reader_whose whose, struct wr_err *err) {
  struct sq *s = sq_of(st);
  bool make;
  struct reader *r = pool_take(&s->readers, whose, sq_until(s), &make);
  if (r) return r;
  if (!make) {
    wr_err_set(err, WR_BUSY, NULL);
    return NULL;
  }
  struct sq_reader *made = reader_new(s, whose, err);
  if (made) return &made->base;
  pool_forget(&s->readers, whose);
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
  if (!r->c.failed && !r->log.failed && sqlite3_get_autocommit(r->c.db)) {
    pool_give(&s->readers, rd);
    return;
  }
  pool_forget(&s->readers, rd->whose);
  reader_free(r);
  sq_ckpt_look(s); /* the error may come from the file */
}

void sq_readers_close(struct sq *s) {
  for (struct reader *r; (r = pool_close(&s->readers));) reader_free(sq_reader_of(r));
}
