/* How many process attempts are claimed beyond the slots: as many as the slots will use up until a claim made now can have
 * been started, and no more. A turn takes `turn` from the result that frees a slot to the start that fills it; meanwhile
 * the slots end slots * turn / run attempts. Twice that, for the worker gathers ends while the next half runs, and
 * AHEAD_US on top, so that a batch holds several. So the number falls to nothing by itself where attempts are long. What a node
 * has claimed and not started is never more than AHEAD_MAX_US of its own work: so little that no other node should have it.
 *
 * The first attempt that ends is believed; before that one nothing is claimed ahead. An average can be wrong: an attempt that waited
 * at the worker in vain comes back as HANDBACK, and nothing (with dozens of slots: next to nothing) is claimed ahead until many short
 * attempts have been seen again. The runner thread's. What never happens: a decision here; admission.c decides. */
#ifndef RUNNER_AHEAD_H
#define RUNNER_AHEAD_H
#include "attempt.h"

struct ahead {
  uint32_t most;                      /* never more than so many */
  int64_t run_avg_us, turn_avg_us;    /* of process attempts, 0 = not known; of turns that came one after the other */
  bool turned;                        /* the last turn left something in the mailbox: the next comes at once */
};
void ahead_result(struct ahead *a, const struct attempt *done);            /* a result is stored */
void ahead_turn(struct ahead *a, int64_t last_boot_us, int64_t boot_us);   /* a turn begins; when the last one began */
void ahead_turned(struct ahead *a, bool more);                             /* a turn ends; more: the next one follows at once */
uint32_t ahead_count(const struct ahead *a, uint32_t slots);
void ahead_check(const struct ahead *a);                                   /* aborts when an average cannot be; debug builds and tests */
#endif
