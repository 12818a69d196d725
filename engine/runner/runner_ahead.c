/* How many process attempts are claimed beyond the slots: as many as the slots will use up until a claim made now can have
 * been started, and no more. A turn takes `turn` from the result that frees a slot to the start that fills it; meanwhile
 * the slots end slots * turn / run attempts. Twice that, for the worker gathers ends while the next half runs, and
 * AHEAD_US on top, so that a batch holds several. So it falls to nothing by itself where attempts are long, and what a
 * node has claimed and not started is never more than AHEAD_MAX_US of its own work: nothing that another node should have.
 * The runner thread's.
 *
 * Nothing before the first attempt has ended; that one is believed. An average can be wrong: what waited at the worker in
 * vain comes back as HANDBACK, and nothing (with dozens of slots: next to nothing) is claimed ahead until many short attempts
 * have been seen again. */
#include "runner_int.h"

#define LONG_RUN_US 1000000           /* what is believed after a handback */
#define AHEAD_US 30000                /* also what a busy machine may take to wake three threads */
#define AHEAD_MAX_US 60000            /* below the patience of the worker's gate */

void ahead_init(struct runner *r) { r->run_avg_us = 0; /* not known */ }

void ahead_result(struct runner *r, const struct attempt *a) {
  if (a->policy.slot != SLOT_PROCESS) return;
  if (a->end == ATTEMPT_HANDBACK) r->run_avg_us = LONG_RUN_US;
  else if (a->run_us > 0) r->run_avg_us = r->run_avg_us ? r->run_avg_us + (a->run_us - r->run_avg_us) / 4 : a->run_us;
}

/* Only a turn that the next one followed at once has a length; else the time between them was idle. */
void ahead_turn(struct runner *r, int64_t boot_us) {
  if (r->turned && boot_us > r->boot_us) r->turn_avg_us += (boot_us - r->boot_us - r->turn_avg_us) / 8;
  r->turned = false;
}

uint32_t ahead_count(const struct runner *r) {
  int64_t us = 2 * r->turn_avg_us + AHEAD_US, n;
  if (us > AHEAD_MAX_US) us = AHEAD_MAX_US;
  if (r->run_avg_us == 0) return 0;
  n = (int64_t)r->o.slots[SLOT_PROCESS] * us / r->run_avg_us;
  return n < r->o.ahead ? (uint32_t)n : r->o.ahead;
}

uint32_t ahead_few(const struct runner *r) { return ahead_count(r) / 2; }
