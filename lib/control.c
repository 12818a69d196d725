/* Wishes about one task: the runner decides each pair of state and wish, and answers after its commit. Any thread. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "async.h"
#include "lib_int.h"
#include "queue_post.h"
#include "remote.h"

struct asking { struct load load; struct queue_spec *queue; struct req_ask ask; struct req_asked of[1]; };

static void wish_free(struct load *l) {
  struct asking *w = (struct asking *)(void *)l;
  free(w->queue);
  free(w);
}

/* Takes queue. */
static int wish(weir_t *h, enum ask ask, int64_t id, struct queue_spec *queue) {
  if (!enter(h)) return free(queue), WEIR_ERR_UNAVAILABLE;
  struct asking *w = wr_new(struct asking);
  atomic_init(&w->load.refs, 1);
  w->load.free = wish_free;
  w->queue = queue;
  w->of[0].ti = id;
  w->ask = (struct req_ask){.ask = ask, .queue = queue, .of = w->of, .n = 1};
  const struct ask_opts o = {.runner = h->view.runner, .until_us = call_until(h), .ending = &h->ending};
  struct req q = {.kind = REQ_ASK, .ask = &w->ask};
  ask_runner(&o, &q, &w->load);
  load_unref(&w->load);
  leave(h);
  if (q.rc == WR_OK) return WEIR_OK;
  if (q.err.code != q.rc) (void)wr_err_set(&q.err, q.rc, NULL);
  return failed(h, &q.err);
}

static int wish_id(weir_t *h, enum ask ask, int64_t id) {
  static const char *const word[] = {[ASK_RUN] = "/run", [ASK_PAUSE] = "/pause", [ASK_CANCEL] = "/cancel", [ASK_DELETE] = ""};
  if (id < 1) return no_task(h, id);
  if (h->remote) return remote_wish(h, ask == ASK_DELETE ? "DELETE" : "POST", id, word[ask], NULL);
  return wish(h, ask, id, NULL);
}

int weir_run(weir_t *h, int64_t id) { return wish_id(h, ASK_RUN, id); }
int weir_pause(weir_t *h, int64_t id) { return wish_id(h, ASK_PAUSE, id); }
int weir_cancel(weir_t *h, int64_t id) { return wish_id(h, ASK_CANCEL, id); }
int weir_delete(weir_t *h, int64_t id) { return wish_id(h, ASK_DELETE, id); }

int weir_change_queue(weir_t *h, int64_t id, const char *user, const char *group, const int32_t *priority) {
  struct queue_spec *queue = NULL;
  struct wr_err err = {0};
  if (bad_text(h, "user", user) || bad_text(h, "group", group)) return WEIR_ERR_INVALID;
  json_t *o = json_object();
  if (user) (void)json_object_set_new(o, "user", json_string(user));
  if (group) (void)json_object_set_new(o, "group", json_string(group));
  if (priority) (void)json_object_set_new(o, "priority", json_integer(*priority));
  enum wr_rc rc = queue_parse(o, QUEUE_OF_ASK, &queue, &err);
  int sent = !rc && h->remote && id >= 1 ? remote_wish(h, "POST", id, "/queue", o) : WEIR_OK;
  json_decref(o);
  if (rc) return failed(h, &err);
  if (id < 1 || h->remote) free(queue);
  if (id < 1) return no_task(h, id);
  if (h->remote) return sent;
  return wish(h, ASK_QUEUE, id, queue);
}

int weir_change_group(weir_t *h, int64_t id, const char *group) {
  if (!group) return fail(h, WEIR_ERR_INVALID, WR_WRONG_TYPE, "There is no group.");
  return weir_change_queue(h, id, NULL, group, NULL);
}

/* ---- queues ---- */

/* The body of POST /queue that says the same, of texts that are UTF-8 (jansson would leave another out). A member that is not
 * set becomes null, which clears it. */
static json_t *queue_body(const weir_queue_t *q) {
  json_t *o = json_object();
  const bool rated = q->rate_count >= 0 || q->rate_per_ms >= 0;
  const char *order = queue_order_word(q->order);
  char per[32];
  (void)json_object_set_new(o, "user", json_string(q->user ? q->user : ""));
  (void)json_object_set_new(o, "group", json_string(q->group ? q->group : ""));
  (void)json_object_set_new(o, "maxRunning", q->max_running < 0 ? json_null() : json_integer(q->max_running));
  (void)json_object_set_new(o, "weight", q->weight < 0 ? json_null() : json_integer(q->weight));
  (void)json_object_set_new(o, "paused", q->paused < 0 ? json_null() : json_boolean(q->paused));
  (void)json_object_set_new(o, "order", q->order < 0 ? json_null() : order ? json_string(order) : json_integer(q->order));
  snprintf(per, sizeof per, "%lldms", (long long)q->rate_per_ms);
  json_t *rate = rated ? json_pack("{s:I,s:s}", "count", (json_int_t)q->rate_count, "per", per) : json_null();
  (void)json_object_set_new(o, "rate", rate);
  return o;
}

/* Between enter() and leave(). */
static enum wr_rc queue_put(const weir_t *h, const json_t *body, struct wr_err *err) {
  struct queue_post p;
  enum wr_rc rc = queue_post_parse(body, &p, err);
  if (rc) return rc;
  struct queue_row row = {.user = p.user, .group = p.group, .max_running = p.max_running, .rate_count = p.rate_count,
                          .rate_per_us = p.rate_per_us, .weight = p.weight, .order = p.order, .paused = p.paused};
  rc = store_queue_set(h->view.store, &row, p.fields, err);
  if (rc == WR_OK) runner_queues_changed(h->view.runner);
  return rc;
}

/* Below -1 nothing is said by the body of a queue, which has no -1. */
static bool odd_number(const weir_t *h, const weir_queue_t *q) {
  const struct { const char *name; int64_t v; } all[] = {
    {"max_running", q->max_running}, {"weight", q->weight}, {"paused", q->paused > 1 ? INT64_MIN : q->paused},
    {"rate_count", q->rate_count}, {"order", q->order}, {"rate_per_ms", q->rate_per_ms}};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (all[i].v < -1) return fail(h, WEIR_ERR_INVALID, WR_OUT_OF_RANGE, "%s is out of its range; -1: not set.", all[i].name);
  return false;
}

int weir_queue_set(weir_t *h, const weir_queue_t *queue) {
  struct wr_err err = {0};
  weir_queue_t q = {.max_running = -1, .weight = -1, .paused = -1, .rate_count = -1, .order = -1, .rate_per_ms = -1};
  if (SIZED(q, queue, "queue", &err)) return failed(h, &err);
  if (odd_number(h, &q)) return WEIR_ERR_INVALID;
  if (bad_text(h, "user", q.user) || bad_text(h, "group", q.group)) return WEIR_ERR_INVALID;
  if (h->remote) {
    json_t *o = queue_body(&q);
    int sent = remote_queue(h, o);
    json_decref(o);
    return sent;
  }
  if (!enter(h)) return WEIR_ERR_UNAVAILABLE;
  json_t *body = queue_body(&q);
  enum wr_rc rc = queue_put(h, body, &err);
  json_decref(body);
  leave(h);
  return rc ? failed(h, &err) : WEIR_OK;
}

int weir_queue_delete(weir_t *h, const char *user, const char *group) {
  struct wr_err err = {0};
  if (bad_text(h, "user", user) || bad_text(h, "group", group)) return WEIR_ERR_INVALID;
  if (h->remote) return remote_queue_delete(h, user, group);
  if (!enter(h)) return WEIR_ERR_UNAVAILABLE;
  enum wr_rc rc = store_queue_delete(h->view.store, user ? user : "", group ? group : "", &err);
  if (rc == WR_OK) runner_queues_changed(h->view.runner);
  leave(h);
  return rc ? failed(h, &err) : WEIR_OK;
}

int weir_set_policy(weir_t *h, long (*pick)(const weir_candidate_t *const *, size_t n, void *user), void *user) {
  if (h->remote)
    return fail(h, WEIR_ERR_UNSUPPORTED, WR_NO_ROUTE, "A policy is of a process that opens the database, not of a server's URL.");
  if (!enter(h)) return WEIR_ERR_UNAVAILABLE;
  chooser_set(h->chooser, pick, user);
  runner_news(h->view.runner); /* it looks at once */
  leave(h);
  return WEIR_OK;
}
