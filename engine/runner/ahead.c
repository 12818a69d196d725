/* Claims beyond the slots: ahead.h. */
#include "ahead.h"
#include "err.h"

#define LONG_RUN_US 1000000           /* the average that is assumed after a handback */
#define AHEAD_US 30000                /* a busy machine may also take this long to wake three threads */
#define AHEAD_MAX_US 60000            /* less than an attempt may wait at the worker's gate */

void ahead_result(struct ahead *a, const struct attempt *done) {
  if (done->policy.slot != SLOT_PROCESS) return;
  if (done->end == ATTEMPT_HANDBACK) a->run_avg_us = LONG_RUN_US;
  else if (done->run_us > 0) a->run_avg_us = a->run_avg_us ? a->run_avg_us + (done->run_us - a->run_avg_us) / 4 : done->run_us;
}

/* A turn is measured only when the next one follows at once. Otherwise the time between the two was idle. */
void ahead_turn(struct ahead *a, int64_t last_boot_us, int64_t boot_us) {
  if (a->turned && boot_us > last_boot_us) a->turn_avg_us += (boot_us - last_boot_us - a->turn_avg_us) / 8;
  a->turned = false;
}

uint32_t ahead_count(const struct ahead *a, uint32_t slots) {
  int64_t us = 2 * a->turn_avg_us + AHEAD_US, n;
  if (us > AHEAD_MAX_US) us = AHEAD_MAX_US;
  if (a->run_avg_us == 0) return 0;
  n = (int64_t)slots * us / a->run_avg_us;
  return n < a->most ? (uint32_t)n : a->most;
}

void ahead_turned(struct ahead *a, bool more) { a->turned = more; }

void ahead_check(const struct ahead *a) {
  wr_assert(a->run_avg_us >= 0 && a->turn_avg_us >= 0 && ahead_count(a, UINT32_MAX) <= a->most);
}
