/* The end of a handle. Order: routines are told to stop, and the node drains; then nobody may come in any more; then the node
 * leaves and goes.
 *
 * Each of these steps may wait for a store that does not answer, so a thread of the handle does them, and weir_close() waits for
 * it no longer than it has said. That thread then goes on by itself: the calls of the store that it waits for come to their own
 * ends, and it frees the handle.
 * What never happens: the handle goes while a call uses it; weir_close() waits for the store longer than OVERTIME_US. */
#include <signal.h>
#include <stdlib.h>
#include "clock.h"
#include "cond.h"
#include "lib_int.h"
#include "log.h"
#include "log_place.h"
#include "mem.h"
#include "remote.h"

#define OVERTIME_US 5000000       /* weir.h names it, and the docs; serve_end() takes up to 4 s of it */

/* Of weir_close() and its thread; the second of them that needs it no more frees it. */
struct closing {
  weir_t *h;                      /* valid until drained, for weir_close() */
  pthread_mutex_t mu;             /* guards the rest */
  pthread_cond_t moved;
  bool drained, known;            /* the routines have stopped or were given up; rc is what weir_close() answers */
  bool over, alone;               /* the handle is gone; nobody waits */
  int64_t from_us;                /* OVERTIME_US counts from here */
  int rc;
};

static void closing_free(struct closing *c) {
  pthread_cond_destroy(&c->moved);
  pthread_mutex_destroy(&c->mu);
  free(c);
}

static void drain(weir_t *h) {
  serve_drain(h);
  if (h->node) node_drain(h->node, h->opts.stop_us); /* routines still make their calls meanwhile */
}

static uint32_t given_up(weir_t *h) { return h->pool ? pool_given_up(h->pool) : 0; }

/* rc is what weir_close() answers, unless it has answered. */
static void known(struct closing *c, int rc) {
  pthread_mutex_lock(&c->mu);
  c->rc = rc;
  c->known = true;
  pthread_cond_signal(&c->moved);
  pthread_mutex_unlock(&c->mu);
}

/* False: the store does not answer. Nobody uses the node any more, unless it hangs. */
static bool end_node(weir_t *h) {
  bool left;
  atomic_store(&h->ending, true);
  until_end_all(&h->until);
  if (h->remote) remote_end(h->remote);
  serve_end(h);
  pthread_rwlock_wrlock(&h->life);
  bool ok = close_node(h, &left) && left && !h->stuck;
  pthread_rwlock_unlock(&h->life);
  return ok;
}

static int end_handle(weir_t *h, bool ok) {
  uint32_t n = h->pool ? pool_end(h->pool) : 0;
  if (n) {
    log_error("library.given_up", L_INT("routines", n),
              L_STR("effect", "they did not stop in time and still run; their tasks go on elsewhere"));
    return WEIR_ERR_TIMEOUT; /* the last of them frees the handle */
  }
  if (!h->stuck) h->free(h); /* what a node may still use stays until the process ends */
  return ok ? WEIR_OK : WEIR_ERR_UNAVAILABLE;
}

static void *close_thread(void *arg) {
  struct closing *c = arg;
  weir_t *h = c->h;
  drain(h);
  int sick = given_up(h) ? WEIR_ERR_TIMEOUT : WEIR_ERR_UNAVAILABLE;
  pthread_mutex_lock(&c->mu);
  int64_t now = clock_mono_us();
  if (now < c->from_us) c->from_us = now;
  c->rc = sick; /* if nobody waits for more */
  c->drained = true;
  pthread_cond_signal(&c->moved);
  pthread_mutex_unlock(&c->mu);
  bool ok = end_node(h);
  if (h->hung) {
    known(c, sick);
    node_bury(h->hung);
    h->hung = NULL;
    h->stuck = false;
  }
  int rc = end_handle(h, ok);
  pthread_mutex_lock(&c->mu);
  if (!c->known) c->rc = rc;
  c->known = c->over = true;
  bool alone = c->alone;
  pthread_cond_signal(&c->moved);
  pthread_mutex_unlock(&c->mu);
  if (alone) closing_free(c);
  return NULL;
}

/* With the signals that the threads of a node have. */
static bool begin(struct closing *c, pthread_t *t) {
  sigset_t all, was;
  sigfillset(&all);
  sigdelset(&all, SIGBUS);
  pthread_sigmask(SIG_SETMASK, &all, &was);
  bool ok = log_thread(t, NULL, close_thread, c) == 0;
  pthread_sigmask(SIG_SETMASK, &was, NULL);
  return ok;
}

/* The lock is held. */
static void wait_for_it(struct closing *c) {
  while (!c->known && clock_mono_us() < c->from_us + OVERTIME_US)
    (void)cond_until(&c->moved, &c->mu, c->from_us + OVERTIME_US);
  c->alone = !c->over;
  if (c->known) return;
  if (!c->drained) c->rc = given_up(c->h) ? WEIR_ERR_TIMEOUT : WEIR_ERR_UNAVAILABLE;
  log_error("library.closing", L_STR("why", "the database does not answer"),
            L_STR("effect", "the handle is closed; what belongs to it goes as soon as the calls of the database have ended"));
}

static int close_bounded(weir_t *h) {
  pthread_t t;
  struct closing *c = wr_new(struct closing);
  c->h = h;
  c->from_us = clock_mono_us() + h->opts.stop_us;
  pthread_mutex_init(&c->mu, NULL);
  cond_mono(&c->moved);
  if (!begin(c, &t)) { /* no thread is to be had, so it takes as long as it takes */
    closing_free(c);
    drain(h);
    return end_handle(h, end_node(h));
  }
  pthread_mutex_lock(&c->mu);
  wait_for_it(c);
  int rc = c->rc;
  bool alone = c->alone;
  pthread_mutex_unlock(&c->mu);
  if (alone) {
    (void)pthread_detach(t); /* c is the thread's */
    return rc;
  }
  (void)pthread_join(t, NULL);
  closing_free(c);
  return rc;
}

static bool begin_close(weir_t *h) {
  pthread_mutex_lock(&h->mu);
  bool may = !h->closing;
  h->closing = true;
  pthread_mutex_unlock(&h->mu);
  return may;
}

int weir_close(weir_t *h) {
  if (!h) return WEIR_OK;
  if (in_routine()) return fail(h, WEIR_ERR_INVALID, WR_OUT_OF_RANGE, "A routine cannot close its handle.");
  if (!begin_close(h)) return fail(h, WEIR_ERR_INVALID, WR_OUT_OF_RANGE, "Another thread closes this handle.");
  struct log_place *own = log_place_ref(h->log), *outside = log_here(own);
  int rc = close_bounded(h);
  log_place_shut(own);
  (void)log_here(outside);
  log_place_unref(own);
  if (rc == WEIR_ERR_TIMEOUT) /* the handle is gone: of any */
    (void)fail(NULL, rc, WR_BUSY,
               "The handle is closed. A routine did not stop in time; it still runs, and its task goes on elsewhere.");
  if (rc == WEIR_ERR_UNAVAILABLE)
    (void)fail(NULL, rc, WR_DB_UNAVAILABLE,
               "The handle is closed. The store did not answer; tasks go on elsewhere after the lease.");
  return rc;
}
