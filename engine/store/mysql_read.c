/* Readers: connections lent by a pool; their server may be read-only. At most MY_READERS at once, and one more for the runner.
 * Every statement sees what is committed. */
#include "mysql_priv.h"
#include <stdlib.h>
#include "clock.h"

/* A fifth of what a request may wait in all. */
int64_t my_until(const struct my *s) { return clock_mono_us() + s->request_us / 5; }

static struct reader *reader_new(struct my *s, enum reader_whose whose) {
  struct my_reader *r = wr_new(struct my_reader);
  my_conn_init(&r->c, s, MY_READ);
  r->base = (struct reader){.ops = s->base.ops, .s = &s->base, .db = &r->c.base, .log = &r->c.base, .whose = whose};
  return &r->base;
}

struct reader *my_reader_get(struct store *st, enum reader_whose whose, struct wr_err *err) {
  struct my *s = my_of(st);
  bool make;
  struct reader *r = pool_take(&s->readers, whose, my_until(s), &make);
  if (make) r = reader_new(s, whose);
  if (!r) {
    wr_err_set(err, WR_BUSY, NULL);
    return NULL;
  }
  struct my_conn *c = &my_reader_of(r)->c;
  unsigned e = my_conn_ready(c);
  if (!e) return r;
  (void)my_conn_err(c, e, err);
  my_reader_put(r);
  return NULL;
}

void my_reader_put(struct reader *r) { pool_give(&my_of(r->s)->readers, r); }

void my_readers_close(struct my *s) {
  for (struct reader *r; (r = pool_close(&s->readers));) {
    my_conn_close(&my_reader_of(r)->c);
    free(r);
  }
}
