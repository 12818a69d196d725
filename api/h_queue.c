/* /queue: what somebody has set of queues, and which are in use. Any API thread; the definition writer stores what is set, one
 * change at a time. What never happens: a count that is stored; a row that is not of exactly the user and group that were
 * named. */
#include "call.h"
#include "queue_post.h"

/* What is set of a queue; what is not is left out. */
static void row_fields(struct buf *b, const struct queue_row *q) {
  char per[QUEUE_PER_BYTES];
  j_text(b, "user", q->user);
  j_text(b, "group", q->group);
  if (q->max_running >= 0) j_i64(b, "maxRunning", q->max_running);
  if (q->weight >= 0) j_i64(b, "weight", q->weight);
  if (q->rate_count >= 0) {
    queue_per_text(per, q->rate_per_us);
    j_key(b, "rate");
    j_open(b, '{');
    j_i64(b, "count", q->rate_count);
    j_text(b, "per", per);
    j_close(b, '}');
  }
  j_text(b, "order", queue_order_word(q->order));
  if (q->paused >= 0) j_bool(b, "paused", q->paused);
}

enum wr_rc h_queue_set(struct call *c) {
  struct queue_post p;
  enum wr_rc rc = queue_post_parse(c->body, &p, &c->err);
  struct queue_row row = {.user = p.user, .group = p.group, .max_running = p.max_running, .rate_count = p.rate_count,
                          .rate_per_us = p.rate_per_us, .weight = p.weight, .order = p.order, .paused = p.paused};
  if (rc == WR_OK) rc = store_queue_set(c->api->o.store, &row, p.fields, &c->err);
  if (rc != WR_OK) return rc;
  j_open(c->out, '{');
  row_fields(c->out, &row);
  j_close(c->out, '}');
  return WR_OK;
}

struct listing { struct buf *out; int64_t now_us; };

static int list_queue(void *ctx, const struct queue_shown *q) {
  const struct listing *l = ctx;
  int64_t waits = q->since_us && l->now_us > q->since_us ? (l->now_us - q->since_us) / 1000000 : 0;
  j_open(l->out, '{');
  row_fields(l->out, &q->row);
  j_i64(l->out, "queued", q->queued);
  j_i64(l->out, "running", q->running);
  j_i64(l->out, "blocked", q->blocked);
  j_i64(l->out, "oldestSeconds", waits);
  j_close(l->out, '}');
  return 0;
}

enum wr_rc h_queue_list(struct call *c) {
  struct listing l = {c->out, store_now(c->api->o.store)};
  struct page p = {(uint32_t)c->q.limit, (uint64_t)c->q.offset, c->q.total};
  c->page.on = true;
  c->page.limit = p.limit;
  c->page.offset = p.offset;
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  j_open(c->out, '[');
  enum wr_rc rc = reader_list_queues(r, &p, list_queue, &l, &c->page.more, &c->page.total, &c->err);
  reader_put(r);
  j_close(c->out, ']');
  return rc;
}

enum wr_rc h_queue_delete(struct call *c) {
  enum wr_rc rc = store_queue_delete(c->api->o.store, c->q.user, c->q.group, &c->err);
  if (rc != WR_OK) return rc;
  j_open(c->out, '{');
  j_text(c->out, "user", c->q.user);
  j_text(c->out, "group", c->q.group);
  j_close(c->out, '}');
  return WR_OK;
}
