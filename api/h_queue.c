/* /queue: what somebody has set of queues, and which are in use. Any API thread; the definition writer stores what is set, one
 * change at a time. What never happens: a count that is stored; a row that is not of exactly the user and group that were
 * named. */
#include <string.h>
#include "call.h"
#include "flow_counts.h"
#include "queue_post.h"
#include "wr_limits.h"

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
  runner_queues_changed(c->api->o.runner);
  j_open(c->out, '{');
  row_fields(c->out, &row);
  j_close(c->out, '}');
  return WR_OK;
}

/* A page of what two sorted lists have together: queues that are set or that stand-alone tasks are in, and those of tasks of
 * flows. */
struct listing {
  struct buf *out;
  int64_t now_us;
  const struct flow_counts *flows; size_t at;   /* those before `at` have been shown */
  uint64_t first, end, seen;                    /* the page; how many queues came so far */
  bool all;                                     /* goes on behind the page, to count */
};

/* True: no more is needed. */
static bool list_one(struct listing *l, const struct queue_shown *q) {
  uint64_t place = l->seen++;
  if (place >= l->end) return !l->all;
  if (place < l->first) return false;
  int64_t waits = q->since_us && l->now_us > q->since_us ? (l->now_us - q->since_us) / 1000000 : 0;
  j_open(l->out, '{');
  row_fields(l->out, &q->row);
  j_i64(l->out, "queued", q->queued);
  j_i64(l->out, "running", q->running);
  j_i64(l->out, "blocked", q->blocked);
  j_i64(l->out, "oldestSeconds", waits);
  j_close(l->out, '}');
  return false;
}

static bool list_flows_one(struct listing *l, const struct flow_count *f) {
  if (strcmp(f->user, QUEUE_OF_TYPE) == 0) return false; /* no queue: it counts those of a type */
  return list_one(l, &(struct queue_shown){
    .row = {.user = f->user, .group = f->group, .max_running = -1, .rate_count = -1, .weight = -1, .order = -1, .paused = -1},
    .queued = f->queued, .running = f->running, .blocked = f->blocked, .since_us = f->since_us});
}

static int order(const struct flow_count *f, const struct queue_row *q) {
  int user = strcmp(f->user, q->user);
  return user ? user : strcmp(f->group, q->group);
}

static int list_queue(void *ctx, const struct queue_shown *row) {
  struct listing *l = ctx;
  struct queue_shown q = *row;
  int way = 1;
  while (l->at < l->flows->n && (way = order(l->flows->v[l->at], &q.row)) < 0)
    if (list_flows_one(l, l->flows->v[l->at++])) return 1;
  if (l->at < l->flows->n && way == 0) {
    const struct flow_count *f = l->flows->v[l->at++];
    q.queued += f->queued, q.running += f->running, q.blocked += f->blocked;
    if (f->since_us && (!q.since_us || f->since_us < q.since_us)) q.since_us = f->since_us;
  }
  return list_one(l, &q);
}

static enum wr_rc list_page(struct call *c, struct listing *l) {
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  enum wr_rc rc = reader_list_queues(r, list_queue, l, &c->err);
  reader_put(r);
  while (rc == WR_OK && l->at < l->flows->n && !list_flows_one(l, l->flows->v[l->at++])) {}
  c->page.more = l->seen > l->end;
  if (rc == WR_OK && c->q.total) c->page.total = (int64_t)l->seen;
  return rc;
}

enum wr_rc h_queue_list(struct call *c) {
  struct flow_counts flows;
  struct listing l = {.out = c->out, .now_us = store_now(c->api->o.store), .flows = &flows, .all = c->q.total};
  c->page.on = true;
  c->page.limit = (uint32_t)c->q.limit;
  c->page.offset = l.first = (uint64_t)c->q.offset;
  l.end = l.first + c->page.limit;
  enum wr_rc rc = flow_counts_read(c->api->o.store, c->api->o.defs, LIMIT_FLOW_LOOK, &flows, &c->err);
  j_open(c->out, '[');
  if (rc == WR_OK) rc = list_page(c, &l);
  j_close(c->out, ']');
  flow_counts_done(&flows);
  return rc;
}

enum wr_rc h_queue_delete(struct call *c) {
  enum wr_rc rc = store_queue_delete(c->api->o.store, c->q.user, c->q.group, &c->err);
  if (rc != WR_OK) return rc;
  runner_queues_changed(c->api->o.runner);
  j_open(c->out, '{');
  j_text(c->out, "user", c->q.user);
  j_text(c->out, "group", c->q.group);
  j_close(c->out, '}');
  return WR_OK;
}
