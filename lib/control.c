/* Wishes about one task: the runner decides each pair of state and wish, and answers after its commit. Any thread. */
#include <stdlib.h>
#include <string.h>
#include "async.h"
#include "lib_int.h"

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

/* Numbers of tasks begin at 1. */
static int wish_id(weir_t *h, enum ask ask, int64_t id) {
  if (id < 1) return fail(h, WEIR_ERR_NOT_FOUND, WR_NOT_FOUND, "Task instance %lld does not exist.", (long long)id);
  return wish(h, ask, id, NULL);
}

int weir_run(weir_t *h, int64_t id) { return wish_id(h, ASK_RUN, id); }
int weir_pause(weir_t *h, int64_t id) { return wish_id(h, ASK_PAUSE, id); }
int weir_cancel(weir_t *h, int64_t id) { return wish_id(h, ASK_CANCEL, id); }
int weir_delete(weir_t *h, int64_t id) { return wish_id(h, ASK_DELETE, id); }

int weir_change_queue(weir_t *h, int64_t id, const char *user, const char *group, const int32_t *priority) {
  struct queue_spec *queue = NULL;
  struct wr_err err = {0};
  json_t *o = json_object(), *u = user ? json_string(user) : NULL, *g = group ? json_string(group) : NULL;
  bool broken = (user && !u) || (group && !g);
  if (u) (void)json_object_set_new(o, "user", u);
  if (g) (void)json_object_set_new(o, "group", g);
  if (priority) (void)json_object_set_new(o, "priority", json_integer(*priority));
  enum wr_rc rc = broken ? wr_err_set(&err, WR_BAD_UTF8, NULL) : queue_parse(o, QUEUE_OF_ASK, &queue, &err);
  json_decref(o);
  if (rc) return failed(h, &err);
  if (id < 1) return free(queue), wish_id(h, ASK_QUEUE, id);
  return wish(h, ASK_QUEUE, id, queue);
}

int weir_change_group(weir_t *h, int64_t id, const char *group) {
  if (!group) return fail(h, WEIR_ERR_INVALID, WR_WRONG_TYPE, "There is no group.");
  return weir_change_queue(h, id, NULL, group, NULL);
}

/* ---- queues ---- */

static int no_queues(const weir_t *h) {
  return fail(h, WEIR_ERR_UNSUPPORTED, WR_NO_ROUTE, "This build of the library has no queues.");
}

int weir_queue_set(weir_t *h, const weir_queue_t *q) {
  (void)q;
  return no_queues(h);
}

int weir_queue_delete(weir_t *h, const char *user, const char *group) {
  (void)user;
  (void)group;
  return no_queues(h);
}

int weir_set_policy(weir_t *h, long (*pick)(const weir_candidate_t *const *, size_t n, void *user), void *user) {
  (void)pick;
  (void)user;
  return no_queues(h);
}
