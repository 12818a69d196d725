/* A look at the rows for hints that the queue has lost. Reports of pollers and pushers come by the mailbox.
 *
 *   a list is empty   One of three things was reported: a poller with a free slot popped nothing; a slot became free and no hint
 *                     is known; hints could not be sent. The list may have been lost (FLUSHALL, a restart), or one hint of it
 *                     (with a node that popped the hint and died, or froze). Every row that is QUEUED for YOUNG_US or more gets
 *                     its hint again (LOOK_PUSH). One node at a time looks, and the store says which. Looks come less often
 *                     when a look takes long. A node whose look does not end holds up no other node: after DENIED_US the others
 *                     claim from the rows.
 *   the queue is away Or it takes no hint, though it gives those that it has (a Redis whose memory is full). This node claims
 *                     from the rows what it has free slots for (LOOK_CLAIM). It begins at a random row, so that nodes do not
 *                     meet at the same rows.
 *
 *            reported, and its time has come        the last page
 *     NONE ----------------------------------> PUSH --------------> NONE
 *          \---- away, and a slot is free ---> CLAIM --- the last page, or no slot is free any more ---> NONE
 *
 * Both read pages of live rows without locks, a page a turn, and only append events. Each event is decided again under the lock.
 * While nodes idle, the queue tells one of them at a time that its list is empty (queue_turn()). That costs one small statement,
 * the pulse of the store. When the pulse is the same as at a look that saw no QUEUED row, nothing can have been lost since.
 *
 * Hints of tasks that this node cannot run are kept here for a while, and then sent back for a node that can.
 * The runner thread's. What never happens: a look while nothing was reported; a look while nothing was written since one that
 * found nothing. */
#ifndef RUNNER_LOST_HINTS_H
#define RUNNER_LOST_HINTS_H
#include "admission.h"
#include "later.h"
#include "mailbox.h"

#define OTHERS_MAX 64

struct lost_hints {
  struct env *env;
  struct events *events;
  struct later *later;
  const struct admission *admission;
  uint8_t empty, away;                /* reported: lists that may have been lost; classes whose queue cannot be reached. Bits */
  uint8_t full;                       /* classes that had no slot free */

  enum look_kind { LOOK_NONE, LOOK_PUSH, LOOK_CLAIM } look;     /* under way */
  struct { int64_t began_us, cursor, from, top; } page;   /* boot time; where it is; where it began; the greatest id seen */

  struct {                            /* looks that send hints */
    int64_t at, pause_us;             /* boot time before which none begins; the pause between two */
    uint8_t classes;
    bool young, waits;                /* the look has seen rows that became QUEUED just now; rows QUEUED for longer */
    int64_t next;                     /* where the next look begins, when this one has sent as many hints as a look may */
    uint32_t sent;                    /* how many this one has sent so far */
    int64_t cut_us;                   /* the newest one ended then, because it had sent so many; 0 = it did not */
    uint64_t taken;                   /* admission.taken at its end */
  } push;
  struct {                            /* looks that claim */
    int64_t at, pause_us;
    uint8_t alone;  /* classes for which this node claims because the look of another node does not end */
    bool wrapped, found;              /* gone past the last row; something to claim */
    bool found_before;                /* so it was at the look before */
    uint64_t taken;                   /* admission.taken at its end */
  } claim;
  struct {                            /* what the newest looks that send hints have shown */
    int64_t pulse;                    /* of the store, before that look */
    bool calm;                        /* that look saw no row QUEUED at all */
    int64_t stale_us, stale_until;    /* no other look before stale_until while the pulse stays the same */
    int64_t denied_us;                /* when another node was first found looking; 0 = none was */
  } known;
  struct { struct { struct hint h; uint8_t slot; int64_t at; } v[OTHERS_MAX]; size_t n; } others;  /* hints for other nodes */
};

void lost_hints_init(struct lost_hints *l, struct env *env, struct events *events, struct later *later,
                     const struct admission *admission);
void lost_hints_check(const struct lost_hints *l);
void lost_hints_mail(struct lost_hints *l, const struct queue_news *m);
enum store_rc lost_hints_turn(struct lost_hints *l) WR_MUST;     /* a page, when one is due */
void lost_hints_stop(struct lost_hints *l);                      /* the look under way is given up */
/* e is the hint of a task that this node cannot run; list: where it belongs. */
void lost_hints_elsewhere(struct lost_hints *l, const struct ev *e, uint8_t slot, uint16_t list);
int64_t lost_hints_next(const struct lost_hints *l);             /* boot time; INT64_MAX = nothing is due */
#endif
