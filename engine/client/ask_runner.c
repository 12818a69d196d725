/* One request to the runner, and the thread that waits for its answer: see ask_runner.h. */
#include "ask_runner.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "cond.h"
#include "mem.h"
#include "wr_limits.h"

#define WAIT_LOOK_US 250000        /* a thread that waits for the runner looks this often whether the node ends */
#define DRAIN_WAIT_US 1500000      /* and then waits no longer than this: api_stop() waits 2 s */

/* A request with all that it points to: the thread that waits may give up, and the runner may come back to it much later. */
struct asked {
  struct req q;
  atomic_uint refs;               /* the thread that waits, and the runner until done() */
  pthread_mutex_t lock;
  pthread_cond_t cond;
  bool done;
  char key[LIMIT_KEY_CHARS + 1];
  uint8_t key_hash[KEY_HASH_BYTES];
  struct load *load;
  struct req_start start[];
};

void load_unref(struct load *l) {
  if (l && atomic_fetch_sub(&l->refs, 1) == 1) l->free(l);
}

static void asked_unref(struct asked *a) {
  if (atomic_fetch_sub(&a->refs, 1) > 1) return;
  for (uint32_t i = 0; i < a->q.n_start; i++) params_unref(a->start[i].params);
  load_unref(a->load);
  pthread_cond_destroy(&a->cond);
  pthread_mutex_destroy(&a->lock);
  free(a);
}

/* On the runner's thread. */
static void answered(struct req *q, void *ctx) {
  struct asked *a = ctx;
  (void)q;
  pthread_mutex_lock(&a->lock);
  a->done = true;
  pthread_mutex_unlock(&a->lock);
  pthread_cond_signal(&a->cond); /* unlocked, so that the woken thread finds the lock free. We still hold a reference to `a` */
  asked_unref(a);
}

static struct asked *asked_new(const struct ask_opts *o, const struct req *q, struct load *load) {
  struct asked *a = wr_malloc(sizeof *a + q->n_start * sizeof *a->start);
  memset(a, 0, sizeof *a);
  a->q = *q;
  a->q.done = answered;
  a->q.done_ctx = a;
  a->load = load;
  if (load) atomic_fetch_add(&load->refs, 1);
  if (q->n_start > 0) a->q.start = memcpy(a->start, q->start, q->n_start * sizeof *a->start);
  for (uint32_t i = 0; i < q->n_start; i++)
    if (a->start[i].params) params_ref(a->start[i].params);
  if (o->key) {
    snprintf(a->key, sizeof a->key, "%s", o->key);
    a->q.key = a->key;
    a->q.key_hash = memcpy(a->key_hash, o->key_hash, sizeof a->key_hash);
  }
  atomic_init(&a->refs, 2);
  pthread_mutex_init(&a->lock, NULL);
  cond_mono(&a->cond);
  return a;
}

/* Waits until it is done, or until `until`; INT64_MAX = for as long as it takes. A node that ends does not wait so long, so
 * each wait is cut to see whether this one does. */
static bool wait_done(const struct ask_opts *o, struct asked *a, int64_t until) {
  int64_t now = clock_mono_us();
  pthread_mutex_lock(&a->lock);
  while (!a->done && now < until) {
    int64_t at = now + WAIT_LOOK_US < until ? now + WAIT_LOOK_US : until;
    (void)cond_until(&a->cond, &a->lock, at);
    now = clock_mono_us();
    if (until != INT64_MAX && o->ending && atomic_load(o->ending) && until > now + DRAIN_WAIT_US) until = now + DRAIN_WAIT_US;
  }
  bool done = a->done;
  pthread_mutex_unlock(&a->lock);
  return done;
}

/* The request has waited long enough. What it points to stays with the runner, unless the runner never saw it. WR_OK: it is
 * answered. */
static enum wr_rc give_up(const struct ask_opts *o, struct asked *a) {
  switch (runner_take_back(o->runner, &a->q)) {
  case REQ_BACK_ANSWERED: (void)wait_done(o, a, INT64_MAX); return WR_OK; /* the answer is on its way */
  case REQ_BACK_YOURS: asked_unref(a); return WR_DB_UNAVAILABLE;
  case REQ_BACK_UNSENT: return WR_DB_UNAVAILABLE;
  case REQ_BACK_UNKNOWN: break;
  }
  return WR_OUTCOME_UNKNOWN;
}

static void take_answer(struct req *q, const struct asked *a) {
  struct req_start *start = q->start;
  q->fi = a->q.fi;
  q->rc = a->q.rc;
  q->err = a->q.err;
  q->state = a->q.state;
  q->changed = a->q.changed;
  q->replayed = a->q.replayed;
  for (uint32_t i = 0; i < q->n_start; i++)
    start[i].fi = a->start[i].fi, start[i].create_us = a->start[i].create_us, start[i].flow_version = a->start[i].flow_version;
}

/* A request that is refused for what the store did a while ago makes the runner look again, and is admitted when that is over. */
static bool post(struct runner *r, struct req *q) {
  if (runner_post(r, q)) return true;
  bool away = q->rc == WR_DB_UNAVAILABLE || q->rc == WR_NO_SPACE;
  return away && runner_doubt(r) && runner_look(r) && runner_post(r, q);
}

void ask_runner(const struct ask_opts *o, struct req *q, struct load *load) {
  struct asked *a = asked_new(o, q, load);
  enum wr_rc rc = WR_OK;
  if (!post(o->runner, &a->q)) asked_unref(a); /* the runner's reference: the runner has not taken the request */
  else if (!wait_done(o, a, o->until_us)) rc = give_up(o, a);
  if (rc == WR_OK) take_answer(q, a);
  else q->rc = wr_err_set(&q->err, rc, NULL);
  asked_unref(a);
}
