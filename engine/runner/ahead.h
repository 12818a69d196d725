/* Claims ahead (`ahead`): process attempts that this node claims beyond its slots, so that the worker can start one the moment
 * another ends. Their number is what the slots use up before a claim that is made now can be started. A turn takes `turn` from
 * the result that frees a slot to the start that fills it. In that time slots * turn / run attempts end, when an attempt takes
 * `run`. The number is twice that, because the worker gathers results while the next half runs. AHEAD_US is added so that one
 * batch holds several results. Where attempts are long the number falls to 0 by itself. What a node has claimed and not started
 * is never more than AHEAD_MAX_US of its own work. That is too little to leave it to another node.
 *
 * Nothing is claimed ahead until the first attempt has ended. Its duration is then taken as the average. The average can be
 * wrong: then an attempt waits at the worker in vain and comes back as HANDBACK. After that almost nothing is claimed ahead until
 * many short attempts have ended. The runner thread's. What never happens: a decision here; admission.c decides. */
#ifndef RUNNER_AHEAD_H
#define RUNNER_AHEAD_H
#include "attempt.h"

struct ahead {
  uint32_t most;                      /* the limit of ahead_count() */
  int64_t run_avg_us, turn_avg_us;    /* of process attempts, 0 = not known; of turns that followed each other at once */
  bool turned;                        /* the last turn left something in the mailbox: the next turn follows at once */
};
void ahead_result(struct ahead *a, const struct attempt *done);            /* a result is stored */
void ahead_turn(struct ahead *a, int64_t last_boot_us, int64_t boot_us);   /* a turn begins; when the last one began */
void ahead_turned(struct ahead *a, bool more);                             /* a turn ends; more: the next one follows at once */
uint32_t ahead_count(const struct ahead *a, uint32_t slots);
void ahead_check(const struct ahead *a);  /* aborts at an impossible average; debug builds and tests */
#endif
