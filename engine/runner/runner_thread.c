/* The runner's thread: waits until something is posted or due, then calls runner_turn(). Nothing else lives here.
 * What never happens: a wake-up with nothing to do, other than renewals. */
#include <errno.h>
#include "runner_int.h"

static void wait_until(struct runner *r, int64_t boot_us) {
  pthread_mutex_lock(&r->mu);
  if (boot_us == INT64_MAX) {
    while (!r->posted && !r->stopping) pthread_cond_wait(&r->wake, &r->mu);
  } else {
    int64_t left = boot_us - clock_boot_us(), at = clock_mono_us() + (left > 0 ? left : 0);
    struct timespec ts = {.tv_sec = at / 1000000, .tv_nsec = at % 1000000 * 1000};
    while (left > 0 && !r->posted && !r->stopping)
      if (pthread_cond_timedwait(&r->wake, &r->mu, &ts) == ETIMEDOUT) break;
  }
  pthread_mutex_unlock(&r->mu);
}

static void *run_thread(void *arg) {
  struct runner *r = arg;
  for (;;) {
    int64_t next = runner_turn(r, clock_wall_us(), clock_boot_us());
    pthread_mutex_lock(&r->mu);
    bool stop = r->stopping && ((!r->posted && r->n_ev + r->n_later == 0 && !r->unknown) || watch_state(&r->watch) != WATCH_WELL);
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

void runner_thread_stop(struct runner *r) {
  pthread_mutex_lock(&r->mu);
  r->stopping = true;
  pthread_cond_signal(&r->wake);
  pthread_mutex_unlock(&r->mu);
  pthread_join(r->thread, NULL);
}
