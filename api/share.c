/* Shares: see share.h. */
#include "share.h"
#include "clock.h"
#include "instance.h"

#define SMALL 100             /* nodes: counted anew each time */
#define LARGE 1000            /* from here on a count serves for a second at least */
#define FRESH_US 1000000
#define RARELY 50             /* a count is not repeated before this many times what it took: looks cost 2 % of a core at most */

void shares_init(struct shares *s) {
  *s = (struct shares){0};
  pthread_mutex_init(&s->mu, NULL);
}

void shares_end(struct shares *s) { pthread_mutex_destroy(&s->mu); }

static bool known_share(struct shares *s, const struct flow_row *row, int64_t *done) {
  const struct share *v = &s->v[(uint64_t)row->fi % SHARES];
  pthread_mutex_lock(&s->mu);
  bool ok = v->fi == row->fi && v->run_no == row->run_no && clock_mono_us() < v->until_us;
  if (ok) *done = v->done;
  pthread_mutex_unlock(&s->mu);
  return ok;
}

static void keep(struct shares *s, const struct flow_row *row, int64_t done, int64_t us) {
  pthread_mutex_lock(&s->mu);
  s->v[(uint64_t)row->fi % SHARES] = (struct share){row->fi, done, clock_mono_us() + us, row->run_no};
  pthread_mutex_unlock(&s->mu);
}

static enum wr_rc count(struct call *c, const struct flow_row *row, int64_t *done, int64_t *total) {
  int64_t began = clock_mono_us();
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  enum wr_rc rc = reader_nodes_ended(r, row->fi, row->run_no, done, total, &c->err);
  reader_put(r);
  int64_t us = RARELY * (clock_mono_us() - began) + (*total > LARGE ? FRESH_US : 0);
  if (rc == WR_OK && *total > SMALL) keep(&c->api->shares, row, *done, us);
  return rc;
}

/* total: TASK nodes, as in the definition when that is known. */
enum wr_rc share_write(struct call *c, const struct flow_read *in) {
  int64_t done = 0, total = in->def && in->def->dag ? (int64_t)in->def->dag->n : -1;
  enum wr_rc rc = WR_OK;
  if (total >= 0 && flow_final((enum flow_state)in->row.state)) done = total;
  else if (total <= (int64_t)SMALL || !known_share(&c->api->shares, &in->row, &done)) rc = count(c, &in->row, &done, &total);
  if (rc != WR_OK) return rc;
  j_key(c->out, "progress");
  j_open(c->out, '{');
  j_i64(c->out, "total", total);
  j_i64(c->out, "done", done);
  j_close(c->out, '}');
  return WR_OK;
}
