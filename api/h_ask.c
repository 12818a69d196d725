/* Wishes about task instances: run, pause, cancel, delete, queue; of one by its id, and of many stand-alone tasks by a filter.
 * The runner decides each pair of state and wish (ask.h) and answers after its commit. Any API thread. */
#include <stdlib.h>
#include <string.h>
#include "call.h"
#include "clock.h"
#include "instance.h"
#include "map64.h"
#include "wr_limits.h"

/* A wish with all that it points to. like: the one whose queue and context it borrows, NULL = its own. */
struct asking {
  struct load load;
  struct asking *like;
  struct queue_spec *queue;
  char *context;
  struct req_ask ask;
  struct req_asked of[];
};

static void wish_free(struct load *l) {
  struct asking *w = (struct asking *)(void *)l;
  if (w->like) load_unref(&w->like->load);
  free(w->queue);
  free(w->context);
  free(w);
}

static struct asking *wish_new(enum ask ask, uint32_t n) {
  struct asking *w = wr_calloc(1, sizeof *w + n * sizeof *w->of);
  atomic_init(&w->load.refs, 1);
  w->load.free = wish_free;
  w->ask = (struct req_ask){.ask = ask, .of = w->of, .n = n};
  return w;
}

/* The same wish, about n others. */
static struct asking *wish_like(struct asking *like, uint32_t n) {
  struct asking *w = wish_new(like->ask.ask, n);
  struct req_asked *of = w->ask.of;
  w->ask = like->ask;
  w->ask.of = of;
  w->ask.n = n;
  w->like = like;
  atomic_fetch_add(&like->load.refs, 1);
  return w;
}

static enum wr_rc wish_post(struct call *c, struct asking *w) {
  return call_post(c, &(struct req){.kind = REQ_ASK, .ask = &w->ask}, &w->load);
}

/* ---- what the body of a wish says ---- */

static void set_queue(struct asking *w, struct queue_spec *q) {
  w->queue = q;
  w->ask.queue = q;
}

static enum wr_rc set_context(struct call *c, struct asking *w, const json_t *v) {
  size_t n = json_string_length(v);
  if (!v) return WR_OK;
  if (n > LIMIT_CONTEXT_BYTES) {
    enum wr_rc rc = wr_err_at(&c->err, WR_TOO_LARGE, "/context", "Bytes of context: %zu, at most %d are allowed.", n,
                              LIMIT_CONTEXT_BYTES);
    c->err.limit = LIMIT_CONTEXT_BYTES;
    c->err.got = (int64_t)n;
    return rc;
  }
  w->context = wr_memdup0(json_string_value(v), n);
  w->ask.context = w->context;
  w->ask.context_len = n;
  return WR_OK;
}

/* ---- one ---- */

static enum wr_rc wish_one(struct call *c, struct asking *w) {
  w->of[0].ti = c->id;
  enum wr_rc rc = wish_post(c, w);
  return rc == WR_OK ? instance_tell_task(c, c->id, &w->of[0].changed) : rc;
}

static enum wr_rc plain(struct call *c, enum ask ask) {
  enum wr_rc rc = c->body ? call_fields(c, c->body, "", NULL, 0, NULL) : WR_OK;
  if (rc != WR_OK) return rc;
  struct asking *w = wish_new(ask, 1);
  rc = wish_one(c, w);
  load_unref(&w->load);
  return rc;
}

enum wr_rc ask_cancel(struct call *c, int64_t ti) {
  struct asking *w = wish_new(ASK_CANCEL, 1);
  w->of[0].ti = ti;
  enum wr_rc rc = wish_post(c, w);
  load_unref(&w->load);
  return rc;
}

enum wr_rc h_task_pause(struct call *c) { return plain(c, ASK_PAUSE); }
enum wr_rc h_task_cancel(struct call *c) { return plain(c, ASK_CANCEL); }

enum wr_rc h_task_run(struct call *c) {
  static const struct body_field field[] = {{"context", JSON_STRING, false}};
  json_t *context = NULL;
  enum wr_rc rc = c->body ? call_fields(c, c->body, "", field, 1, &context) : WR_OK;
  if (rc != WR_OK) return rc;
  struct asking *w = wish_new(ASK_RUN, 1);
  rc = set_context(c, w, context);
  if (rc == WR_OK) rc = wish_one(c, w);
  load_unref(&w->load);
  return rc;
}

enum wr_rc h_task_queue(struct call *c) {
  struct queue_spec *queue;
  enum wr_rc rc = queue_parse(c->body, QUEUE_OF_ASK, &queue, &c->err);
  if (rc != WR_OK) return rc;
  struct asking *w = wish_new(ASK_QUEUE, 1);
  set_queue(w, queue);
  rc = wish_one(c, w);
  load_unref(&w->load);
  return rc;
}

/* Answers the row as it was: afterwards it may be gone. */
enum wr_rc h_task_remove(struct call *c) {
  struct asking *w = wish_new(ASK_DELETE, 1);
  struct task_read was;
  w->ask.force = c->q.force;
  w->of[0].ti = c->id;
  enum wr_rc rc = instance_read_task(c, c->id, TASK_PLAIN, &was);
  if (rc == WR_OK) rc = wish_post(c, w);
  if (rc == WR_OK) rc = instance_write_task(c, &was, &w->of[0].changed);
  task_read_done(&was);
  load_unref(&w->load);
  return rc;
}

/* ---- many ---- */

/* Tasks for which the wish has something to do, `most` of them; how many would refuse it; there are more of the former. */
struct found {
  const struct asking *like;
  int64_t *ti; size_t n, cap, most;
  struct map64 seen;          /* ti: one that ends between two looks is found by both */
  int64_t refused;
  bool more;
};

/* It is where it is to be. */
static bool is_there(const struct queue_spec *q, const struct async_row *row) {
  return (!q->user || strcmp(q->user, row->user) == 0) && (!q->group || strcmp(q->group, row->group) == 0) &&
         (!q->has_priority || q->priority == row->priority);
}

/* What has nothing to change takes no place, so that a wish that is repeated comes to its end. */
static int find_one(void *ctx, const struct task_row *row, const struct async_row *alone) {
  struct found *f = ctx;
  struct task t = row->t;
  struct task_wish wish = {.ask = f->like->ask.ask, .force = f->like->ask.force};
  enum ask_no no;
  if (map64_get(&f->seen, row->ti)) return 0;
  (void)task_ask(&t, &wish, &task_policy_default, &no);
  if (alone && alone->job && wish.ask == ASK_DELETE) no = ASK_BUSY; /* 40922: it is deleted with its job */
  if (no == ASK_SAME || (no == ASK_OK && f->like->queue && alone && is_there(f->like->queue, alone))) return 0;
  if (no != ASK_OK) f->refused++;
  else if (f->n == f->most) f->more = true;
  else *WR_PUSH(f->ti, f->n, f->cap) = row->ti, (void)map64_put(&f->seen, row->ti, f);
  return f->more;
}

/* Fills c->q from "filter", which must be there with one field at least: nobody moves every task by forgetting it. */
static enum wr_rc read_filter(struct call *c, const json_t *filter) {
  char path[sizeof c->err.path];
  if (!filter || json_object_size(filter) == 0)
    return wr_err_at(&c->err, WR_BAD_FILTER, "/filter",
                     "filter needs one field at least: user, group, type, state, taskKey or jobId.");
  enum wr_rc rc = query_body(&c->q, filter, Q_USER | Q_GROUP | Q_TYPE | Q_TASK_STATES | Q_TASK_KEY | Q_JOB_ID, 0, &c->err);
  if (rc == WR_OK) return rc;
  snprintf(path, sizeof path, "/filter%.150s", c->err.path);
  memcpy(c->err.path, path, sizeof path);
  return rc;
}

/* Look by look, until there are enough or none is left. until_us: time for the wishes themselves must be left. */
static enum wr_rc find_in(struct call *c, struct found *f, struct alone_filter *filter, int64_t until_us) {
  struct alone_pos at = {0};
  struct page page = {.limit = LIMIT_ALONE_LOOK};
  int64_t total = -1;
  bool more = true;
  enum wr_rc rc = WR_OK;
  filter->pos = &at;
  while (rc == WR_OK && more && !f->more) {
    struct reader *r = call_reader(c);
    if (!r) return c->err.code;
    rc = reader_list_alone(r, filter, &page, find_one, f, &more, &total, &c->err);
    reader_put(r);
    if (more && clock_mono_us() > until_us) f->more = true;
  }
  return rc;
}

/* Live tasks first: they are few, and most wishes are for them, however many have ended. */
static enum wr_rc find_all(struct call *c, struct found *f) {
  struct alone_filter filter = alone_filter_of(&c->q);
  const uint32_t wanted = filter.states ? filter.states : UINT32_MAX, live = ALONE_LIVE;
  int64_t now = clock_mono_us(), until = now + (call_deadline(c) - now) / 2;
  enum wr_rc rc = WR_OK;
  filter.states = wanted & live;
  if (filter.states) rc = find_in(c, f, &filter, until);
  filter.states = wanted & ~live;
  if (rc == WR_OK && filter.states && !f->more) rc = find_in(c, f, &filter, until);
  return rc;
}

/* Of a commit each: a request of ten thousand would make one batch too large. */
enum { AT_ONCE = 1000 };

/* A task that ended or vanished since it was found counts as refused. */
static enum wr_rc wish_some(struct call *c, struct asking *like, const int64_t *ti, uint32_t n, int64_t count[2]) {
  struct asking *w = wish_like(like, n);
  for (uint32_t i = 0; i < n; i++) w->of[i].ti = ti[i];
  w->ask.each = true;
  enum wr_rc rc = wish_post(c, w);
  for (uint32_t i = 0; rc == WR_OK && i < n; i++) {
    if (w->of[i].rc != WR_OK) count[1]++;
    else if (w->of[i].changed) count[0]++;
  }
  load_unref(&w->load);
  return rc;
}

static enum wr_rc wish_all(struct call *c, struct asking *like, int64_t limit) {
  struct found f = {.like = like, .most = (size_t)limit};
  enum wr_rc rc = find_all(c, &f);
  int64_t count[2] = {0, f.refused};
  for (size_t at = 0; rc == WR_OK && at < f.n; at += AT_ONCE)
    rc = wish_some(c, like, f.ti + at, (uint32_t)(f.n - at < AT_ONCE ? f.n - at : AT_ONCE), count);
  free(f.ti);
  map64_done(&f.seen);
  if (rc != WR_OK) return rc;
  j_open(c->out, '{');
  j_i64(c->out, "changed", count[0]);
  j_i64(c->out, "refused", count[1]);
  j_bool(c->out, "more", f.more);
  j_close(c->out, '}');
  return WR_OK;
}

/* What every body of many has: "filter" and "limit". */
static enum wr_rc read_many(struct call *c, const json_t *filter, const json_t *limit, int64_t *out) {
  *out = limit ? json_integer_value(limit) : LIMIT_ASKS_DEFAULT;
  if (*out < 1 || *out > LIMIT_ASKS) return wr_err_at(&c->err, WR_OUT_OF_RANGE, "/limit", "limit must be 1 to %d.", LIMIT_ASKS);
  return read_filter(c, filter);
}

enum { M_FILTER, M_LIMIT, M_MORE, M__N };
#define MANY {"filter", JSON_OBJECT, false}, {"limit", JSON_INTEGER, false}

/* The wish with what else its body says. */
static enum wr_rc many(struct call *c, enum ask ask, const struct body_field *field, size_t n) {
  json_t *v[M__N] = {0};
  int64_t limit;
  enum wr_rc rc = call_fields(c, c->body, "", field, n, v);
  if (rc == WR_OK) rc = read_many(c, v[M_FILTER], v[M_LIMIT], &limit);
  if (rc != WR_OK) return rc;
  struct asking *w = wish_new(ask, 0);
  w->ask.force = json_is_true(v[M_MORE]);
  if (ask == ASK_RUN) rc = set_context(c, w, v[M_MORE]);
  if (rc == WR_OK) rc = wish_all(c, w, limit);
  load_unref(&w->load);
  return rc;
}

enum wr_rc h_tasks_run(struct call *c) {
  static const struct body_field field[M__N] = {MANY, {"context", JSON_STRING, false}};
  return many(c, ASK_RUN, field, M__N);
}

static enum wr_rc many_plain(struct call *c, enum ask ask) {
  static const struct body_field field[M_MORE] = {MANY};
  return many(c, ask, field, M_MORE);
}
enum wr_rc h_tasks_pause(struct call *c) { return many_plain(c, ASK_PAUSE); }
enum wr_rc h_tasks_cancel(struct call *c) { return many_plain(c, ASK_CANCEL); }

enum wr_rc h_tasks_remove(struct call *c) {
  static const struct body_field field[M__N] = {MANY, {"force", JSON_TRUE, false}};
  return many(c, ASK_DELETE, field, M__N);
}

/* The fields of the queue stand beside "filter" and "limit". */
enum wr_rc h_tasks_queue(struct call *c) {
  static const struct body_field field[] = {MANY, {"user", JSON_STRING, false}, {"group", JSON_STRING, false},
                                            {"priority", JSON_INTEGER, false}};
  json_t *v[sizeof field / sizeof *field];
  struct queue_spec *queue;
  int64_t limit;
  enum wr_rc rc = call_fields(c, c->body, "", field, sizeof field / sizeof *field, v);
  if (rc == WR_OK) rc = read_many(c, v[M_FILTER], v[M_LIMIT], &limit);
  if (rc != WR_OK) return rc;
  (void)json_object_del(c->body, "filter");
  (void)json_object_del(c->body, "limit"); /* -1: was not there */
  rc = queue_parse(c->body, QUEUE_OF_ASK, &queue, &c->err);
  if (rc != WR_OK) return rc;
  struct asking *w = wish_new(ASK_QUEUE, 0);
  set_queue(w, queue);
  rc = wish_all(c, w, limit);
  load_unref(&w->load);
  return rc;
}
