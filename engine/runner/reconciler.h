/* The reconciler is the safety net: it looks at live rows, and appends an event for each row that needs one. Such rows are
 * attempts whose owner is dead, tasks whose hint was lost, rows whose time has come, and flows whose slices no node goes on with
 * (rules 14, 19). It reads pages without locks; each event is decided again under the lock.
 *
 *           at its time                  the last page                  the last page
 *    IDLE ---------------> TASKS ------------------------> FLOWS ------------------------> IDLE
 *                            \--- a refill: no queue has room any more, or the last page --/
 *
 * A pass goes over all live tasks, then all live flows, a page a turn. What it is for stands in struct pass:
 *
 *   RECOVER  the first after a start: every timer is set, every QUEUED row gets its hint
 *   LOOK     every 10 s (or lease/6) while other nodes may work on this store; on a single-process store only when asked for
 *   REFILL   the queue in memory has refused hints and has run empty since: QUEUED rows get their hints until it is full
 *
 * struct wanted says what else the next pass has to do. It sets timers that were dropped (timers.h) again. It looks at some flows
 * as after a start, because their events were dropped (quarantine.h). Refills and such looks take turns.
 *
 * Every node looks for attempts that are lost, its own and those of dead nodes, and for attempts of its own that have no row any
 * more (rule 10). Only one node at a time sends hints again and goes on with slices. The store says which one (it holds the
 * office), and names another when that node dies.
 *
 * The runner thread's. What never happens: a loop over all rows in one turn; an event is added that waits in later.c already. */
#ifndef RUNNER_RECONCILER_H
#define RUNNER_RECONCILER_H
#include "admission.h"
#include "cache.h"
#include "later.h"
#include "lease.h"

enum rec_state { REC_IDLE, REC_TASKS, REC_FLOWS, REC_JOBS };
enum pass_kind { PASS_RECOVER, PASS_LOOK, PASS_REFILL };

struct pass {
  enum pass_kind kind;
  int64_t cursor;                     /* the greatest id seen */
  int64_t began_us, gap_us;           /* boot time; the time since the last pass began, and a margin */
  uint8_t refill;                     /* REFILL: classes whose queue is not full again; bits */
  bool timers;                        /* sets every timer */
  bool hints;                         /* sends the hint of every row that is old enough, not only when its age is in turn */
  struct map64 flows;                 /* flows that are looked at as after a start */
  struct map64 strays;                /* attempts of this node whose rows it has not come to; ti -> epoch */
};
struct wanted {                       /* of the passes to come */
  struct map64 flows;
  bool timers;
  bool hints;                         /* the queue has refused some */
  uint8_t refill;                     /* classes; bits */
  bool at_once;                       /* a pass follows the one under way */
  bool soon;                          /* another look in HINT_AGE_US: a row is not old enough, or its event waits */
};

struct reconciler {
  struct env *env;
  struct events *events;
  struct later *later;
  struct timers *timers, *flow_timers;
  const struct cache *cache;
  const struct admission *admission;
  const struct lease *lease;
  const struct never_started *never; size_t n_never;
  enum rec_state state;
  int64_t at;                         /* IDLE: boot time of the next pass; INT64_MAX = none is needed */
  struct pass pass;
  struct wanted wanted;
  bool office;                        /* this node is the one that sends hints again */
  bool queue_full[SLOT__N];           /* the queue in memory has refused hints */
};

void reconciler_init(struct reconciler *c, const struct reconciler *parts);  /* parts: the pointers */
void reconciler_done(struct reconciler *c);
void reconciler_check(const struct reconciler *c);
void reconciler_join(struct reconciler *c);               /* this node has a new incarnation: a RECOVER pass is due */
enum store_rc reconciler_turn(struct reconciler *c) WR_MUST;    /* a page, when a pass is due or under way */
static inline int64_t reconciler_next(const struct reconciler *c) { return c->at; }
static inline bool reconciler_busy(const struct reconciler *c) { return c->state != REC_IDLE || c->wanted.flows.n > 0; }

/* ---- what others ask for ---- */
void reconciler_now(struct reconciler *c);                /* another node has nudged: a pass now */
void reconciler_refused(struct reconciler *c, int slot);  /* a hint was not pushed */
void reconciler_emptied(struct reconciler *c);            /* looks whether a queue in memory that was full is empty */
void reconciler_types(struct reconciler *c);              /* this node can run more: what is QUEUED gets its hint again */
void reconciler_timers(struct reconciler *c);             /* timers were dropped, and their time has come */
void reconciler_flow(struct reconciler *c, int64_t fi);   /* events of that flow were dropped: look at it as after a start */
#endif
