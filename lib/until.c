/* Who waits for ends of tasks. What this node ends, its runner says at once (struct watcher). What other nodes end is seen by a
 * look at the rows, each LOOK_US; on a store of one process there are no others, and nobody looks.
 *
 * Any thread. What never happens: a read under the lock; a wait that misses an end between its look and its sleep, because it
 * stands in the map before it looks. */
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "cond.h"
#include "lib_int.h"
#include "task.h"

#define LOOK_US 500000

/* One thread that waits for n tasks. */
struct until_link { int64_t ti; struct until_wait *of; struct until_link *next, *prev; bool ended; };
struct until_wait { pthread_cond_t cond; struct until_link *v; size_t n, open; };

void until_init(struct until *u) {
  *u = (struct until){0};
  pthread_mutex_init(&u->mu, NULL);
  pthread_cond_init(&u->none, NULL);
}

void until_done(struct until *u) {
  map64_done(&u->map);
  pthread_cond_destroy(&u->none);
  pthread_mutex_destroy(&u->mu);
}

/* ---- the lock is held ---- */

static void link_in(struct until *u, struct until_link *l) {
  l->next = map64_put(&u->map, l->ti, l);
  if (l->next) l->next->prev = l;
}

static void link_out(struct until *u, const struct until_link *l) {
  if (l->next) l->next->prev = l->prev;
  if (l->prev) l->prev->next = l->next;
  else if (l->next) map64_put(&u->map, l->ti, l->next);
  else map64_del(&u->map, l->ti);
}

static void ended(struct until_link *l) {
  if (l->ended) return;
  l->ended = true;
  if (--l->of->open == 0) pthread_cond_signal(&l->of->cond);
}

/* ---- the watcher: the runner's thread ---- */

static const struct watcher *others(const weir_t *h) { return h->also && h->also->waits(h->also->ctx) ? h->also : NULL; }

static bool anybody(void *ctx) {
  const weir_t *h = ctx;
  return atomic_load(&h->until.n) > 0 || others(h);
}

static void flow_ended(void *ctx, int64_t fi) {
  const struct watcher *w = others(ctx);
  if (w) w->flow(w->ctx, fi);
}

static void task_ended(void *ctx, int64_t ti) {
  weir_t *h = ctx;
  struct until *u = &h->until;
  const struct watcher *w = others(h);
  pthread_mutex_lock(&u->mu);
  for (struct until_link *l = map64_get(&u->map, ti); l; l = l->next) ended(l);
  pthread_mutex_unlock(&u->mu);
  if (w) w->task(w->ctx, ti);
}

static void log_grew(void *ctx, int64_t ti) {
  const struct watcher *w = others(ctx);
  if (w) w->log(w->ctx, ti);
}

static void job_ended(void *ctx, int64_t job_id) {
  const struct watcher *w = others(ctx);
  if (w) w->job(w->ctx, job_id);
}

struct watcher until_watcher(weir_t *h) {
  return (struct watcher){.ctx = h, .waits = anybody, .flow = flow_ended, .task = task_ended, .log = log_grew, .job = job_ended};
}

void until_look(struct until *u) {
  const struct map64_slot *s;
  pthread_mutex_lock(&u->mu);
  for (size_t i = 0; (s = map64_next(&u->map, &i));)
    for (struct until_link *l = s->val; l; l = l->next) pthread_cond_signal(&l->of->cond);
  pthread_mutex_unlock(&u->mu);
}

void until_in(struct until *u) { atomic_fetch_add(&u->n, 1); }

void until_out(struct until *u) {
  pthread_mutex_lock(&u->mu);
  if (atomic_fetch_sub(&u->n, 1) == 1) pthread_cond_broadcast(&u->none);
  pthread_mutex_unlock(&u->mu);
}

void until_end_all(struct until *u) {
  pthread_mutex_lock(&u->mu);
  u->ending = true;
  pthread_mutex_unlock(&u->mu);
  until_look(u);
  pthread_mutex_lock(&u->mu);
  while (atomic_load(&u->n) > 0) pthread_cond_wait(&u->none, &u->mu);
  pthread_mutex_unlock(&u->mu);
}

/* ---- one who waits ---- */

static bool over(const struct ins_state *s, size_t n, int64_t ti) {
  const struct ins_state *at = bsearch(&ti, s, n, sizeof *s, wr_by_id);
  return !at || task_final((enum task_state)at->state); /* it is gone, or it was never there */
}

/* Reads the states of all that are open. */
static enum wr_rc look(weir_t *h, struct until_wait *w, struct wr_err *err) {
  int64_t *id = wr_calloc(w->n + 1, sizeof *id);
  struct ins_state *s = wr_calloc(w->n + 1, sizeof *s);
  size_t n = 0, got = 0;
  pthread_mutex_lock(&h->until.mu);
  for (size_t i = 0; i < w->n; i++)
    if (!w->v[i].ended) id[n++] = w->v[i].ti;
  pthread_mutex_unlock(&h->until.mu);
  struct reader *r = lib_reader(h, err);
  enum wr_rc rc = r ? reader_states(r, INS_TASK, id, n, s, &got, err) : err->code;
  if (r) reader_put(r);
  pthread_mutex_lock(&h->until.mu);
  for (size_t i = 0; i < w->n && !rc; i++)
    if (!w->v[i].ended && over(s, got, w->v[i].ti)) ended(&w->v[i]);
  pthread_mutex_unlock(&h->until.mu);
  free(s);
  free(id);
  return rc;
}

static int look_once(weir_t *h, struct until_wait *w, bool *others) {
  struct wr_err err = {0};
  if (!enter(h)) return WEIR_ERR_UNAVAILABLE;
  *others = !store_single(h->view.store);
  enum wr_rc rc = look(h, w, &err);
  leave(h);
  return rc ? failed(h, &err) : WEIR_OK;
}

static bool stopped(const struct stopper *s) { return s && atomic_load(&s->reason) != WEIR_STOP_NONE; }

/* The lock is held. */
static bool no_more_ends(const weir_t *h) { return h->until.ending || atomic_load(&h->gone) || atomic_load(&h->broken); }

/* Sleeps until all have ended, it is stopped, or at_us. */
static void sleep_until(weir_t *h, struct until_wait *w, int64_t at_us, const struct stopper *stop) {
  struct until *u = &h->until;
  pthread_mutex_lock(&u->mu);
  while (w->open > 0 && !no_more_ends(h) && !stopped(stop)) {
    if (at_us == INT64_MAX) pthread_cond_wait(&w->cond, &u->mu);
    else if (!cond_until(&w->cond, &u->mu, at_us)) break;
  }
  pthread_mutex_unlock(&u->mu);
}

static int answer(weir_t *h, struct until_wait *w, int64_t until_us, const struct stopper *stop) {
  pthread_mutex_lock(&h->until.mu);
  bool all = w->open == 0, ends = no_more_ends(h);
  pthread_mutex_unlock(&h->until.mu);
  if (all) return WEIR_OK;
  if (stopped(stop)) return WEIR_ERR_REFUSED;
  if (ends) return WEIR_ERR_UNAVAILABLE;
  return clock_mono_us() >= until_us ? WEIR_ERR_TIMEOUT : 1; /* 1: not yet */
}

/* A store that is away for a moment does not end a wait. */
static int wait_all(weir_t *h, struct until_wait *w, int64_t until_us, const struct stopper *stop) {
  bool others = false;
  int rc = look_once(h, w, &others), first = rc;
  while ((rc = answer(h, w, until_us, stop)) == 1) {
    int64_t now = clock_mono_us(), next = others || first ? now + LOOK_US : INT64_MAX;
    sleep_until(h, w, next < until_us ? next : until_us, stop);
    if (clock_mono_us() >= next) first = look_once(h, w, &others);
  }
  return rc;
}

int until_ended(weir_t *h, const int64_t *ids, size_t n, int64_t until_us, const struct stopper *stop) {
  struct until *u = &h->until;
  if (n == 0) return WEIR_OK;
  int64_t *id = memcpy(wr_calloc(n, sizeof *id), ids, n * sizeof *id);
  struct until_wait w = {.n = wr_distinct(id, n, sizeof *id)};
  w.open = w.n;
  w.v = wr_calloc(w.n, sizeof *w.v);
  cond_mono(&w.cond);
  until_in(u);
  pthread_mutex_lock(&u->mu);
  for (size_t i = 0; i < w.n; i++) {
    w.v[i] = (struct until_link){.ti = id[i], .of = &w, .ended = id[i] < 1};
    if (id[i] < 1) w.open--; /* there is no such task */
    else link_in(u, &w.v[i]);
  }
  pthread_mutex_unlock(&u->mu);
  int rc = wait_all(h, &w, until_us, stop);
  pthread_mutex_lock(&u->mu);
  for (size_t i = 0; i < w.n; i++)
    if (w.v[i].ti >= 1) link_out(u, &w.v[i]);
  pthread_mutex_unlock(&u->mu);
  until_out(u);
  pthread_cond_destroy(&w.cond);
  free(w.v);
  free(id);
  return rc;
}
