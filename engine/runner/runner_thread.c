/* The runner's thread: waits until something is posted or due, then calls runner_turn(). Nothing else lives here.
 * What never happens: a wake-up with nothing to do, other than renewals. */
#include <errno.h>
#include "runner_int.h"

#define PIECE_US 60000000
#define END_LOOK_US 10000             /* so often it is looked whether all is stored, at the end */
#define STUCK_US 500000               /* a call of the store that takes longer after the end is not waited for */

/* The clock of the wait stands still while the machine sleeps, that of the timers does not: a wait for one of them is cut
 * in pieces, so that it rings within a minute after a suspend. */
static void wait_until(struct runner *r, int64_t boot_us) {
  pthread_mutex_lock(&r->mu);
  if (boot_us == INT64_MAX) {
    while (!r->posted && !r->stopping) pthread_cond_wait(&r->wake, &r->mu);
  } else {
    int64_t left = boot_us - clock_boot_us(), most = r->stopping ? END_LOOK_US : PIECE_US;
    bool stopping = r->stopping;
    if (left > most) left = most;
    int64_t at = clock_mono_us() + (left > 0 ? left : 0);
    struct timespec ts = {.tv_sec = at / 1000000, .tv_nsec = at % 1000000 * 1000};
    while (left > 0 && !r->posted && r->stopping == stopping)
      if (pthread_cond_timedwait(&r->wake, &r->mu, &ts) == ETIMEDOUT) break;
  }
  pthread_mutex_unlock(&r->mu);
}

/* All is stored that was posted, or it cannot be, or there is no more time. */
static bool may_end(struct runner *r) { /* mu held */
  bool all = !r->posted && r->n_ev + r->n_later == 0 && !r->unknown;
  return r->stopping && (all || watch_state(&r->watch) != WATCH_WELL || clock_mono_us() >= r->stop_at);
}

static void *run_thread(void *arg) {
  struct runner *r = arg;
  for (;;) {
    int64_t next = runner_turn(r, clock_wall_us(), clock_boot_us());
    pthread_mutex_lock(&r->mu);
    bool stop = may_end(r);
    pthread_mutex_unlock(&r->mu);
    if (stop) return NULL;
    wait_until(r, next);
  }
}

enum wr_rc runner_thread_start(struct runner *r, struct wr_err *err) {
  if (pthread_create(&r->thread, NULL, run_thread, r) != 0)
    return wr_err_set(err, WR_INTERNAL, "The runner thread cannot be started.");
  pthread_setname_np(r->thread, "weir-runner");
  return WR_OK;
}

bool runner_thread_stop(struct runner *r, int64_t within_us) {
  int64_t at = clock_mono_us() + within_us, end = at + STUCK_US;
  struct timespec ts = {.tv_sec = end / 1000000, .tv_nsec = end % 1000000 * 1000};
  pthread_mutex_lock(&r->mu);
  r->stopping = true;
  r->stop_at = at;
  pthread_cond_signal(&r->wake);
  pthread_mutex_unlock(&r->mu);
  if (pthread_clockjoin_np(r->thread, NULL, CLOCK_MONOTONIC, &ts) == 0) return true;
  log_warn("runner.stuck", L_STR("why", "the database does not answer; what is not stored is found in the rows by the next node"));
  return false;
}
