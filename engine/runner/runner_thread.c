/* The runner's thread: waits until something is posted or due, then calls runner_turn(). Nothing else lives here.
 * What never happens: a wake-up with nothing to do, other than renewals. */
#include <poll.h>
#include "cond.h"
#include "log_place.h"
#include "runner_int.h"

#define STUCK_US 500000               /* at the end a call of the store that takes longer is not waited for */

static bool all_stored(const struct runner *r) { return r->events.n + r->later.wait.n == 0 && !batch_in_doubt(r); }

static void *run_thread(void *arg) {
  struct runner *r = arg;
  for (;;) {
    int64_t next = runner_turn(r, clock_wall_us(), clock_boot_us());
    if (mailbox_may_end(&r->mail, all_stored(r), watch_state(&r->watch) == WATCH_WELL)) break;
    mailbox_sleep(&r->mail, next);
  }
  atomic_store(&r->thread_over, true);
  return NULL;
}

enum wr_rc runner_thread_start(struct runner *r, struct wr_err *err) {
  if (log_thread(&r->thread, NULL, run_thread, r) != 0)
    return wr_err_set(err, WR_INTERNAL, "The runner thread cannot be started.");
  pthread_setname_np(r->thread, "weir-runner");
  return WR_OK;
}

/* ThreadSanitizer does not know pthread_clockjoin_np(): it would take the next thread of that number for a second one. */
static bool join_until(struct runner *r, int64_t at_us) {
#ifdef __SANITIZE_THREAD__
  while (!atomic_load(&r->thread_over) && clock_mono_us() < at_us) (void)poll(NULL, 0, 1);
  return atomic_load(&r->thread_over) && pthread_join(r->thread, NULL) == 0;
#else
  struct timespec ts = mono_at(at_us);
  return pthread_clockjoin_np(r->thread, NULL, CLOCK_MONOTONIC, &ts) == 0;
#endif
}

bool runner_thread_stop(struct runner *r, int64_t within_us) {
  int64_t at = clock_mono_us() + within_us;
  mailbox_stop(&r->mail, at);
  if (join_until(r, at + STUCK_US)) return true;
  log_warn("runner.stuck",
           L_STR("why", "the database does not answer; what is not stored is found in the rows by the next node"));
  return false;
}

void runner_thread_await(struct runner *r) { pthread_join(r->thread, NULL); }
