/* Admission stands between "ready" and "claimed": it says whether this node takes a task now, and if not, why not. It also
 * knows what this node has taken: each attempt of the worker, and how much of the capacity of its class that attempt costs.
 *
 *   ready -- admission_ask() -- ADMIT_NOW --> claimed in this batch (admission_take),
 *                           \                 started after the commit (admission_started),
 *                            \                paid back when its result is stored (admission_ended)
 *                             - any other --> its hint goes to the queue; a hint that was popped goes back
 *
 * A pool is the capacity of one class of slots. Costs are numbers: an attempt may take more than one. Policies to come (queues
 * with limits, priorities, labels, budgets) are further reasons for "not now", and will stand here.
 *
 * When a task costs more than is free, cheaper tasks may take the rest: the hint of that task goes behind the others. If
 * nothing was claimed before this hint comes round again, no hint of its class is taken in until there is room for the task
 * (`short_of`).
 *
 * There are two books. `used` changes with commits only. `free` and `over` belong to one turn: they count what the current
 * batch claims and gives back, and admission_turn() computes them again.
 *
 * The runner thread's, except admission_hold() and admission_lend(). What never happens: more is taken than is free; an attempt
 * is paid back twice. */
#ifndef RUNNER_ADMISSION_H
#define RUNNER_ADMISSION_H
#include "ahead.h"
#include "env.h"
#include "map64.h"

enum admit {
  ADMIT_NOW,
  ADMIT_FULL,         /* no capacity is left */
  ADMIT_DRAINING,     /* this node claims nothing any more */
  ADMIT_HELD,         /* this node cannot start attempts of that class just now */
  ADMIT_BEHIND,       /* hints of that class wait: a task that became ready goes behind them */
  ADMIT_QUEUE,        /* its queue, or what it costs, holds it back: queues.h */
  ADMIT_ELSEWHERE     /* this node cannot run it at all */
};

struct pool {
  uint32_t capacity;                  /* as configured */
  uint32_t used;                      /* by attempts whose claim is committed and whose result is not */
  uint32_t free;                      /* this turn: may still be taken */
  uint32_t over;                      /* this turn: taken beyond what may be; results pay this back before they free anything */
  bool behind;                        /* this turn: hints of this class wait */
  uint32_t n_refused;                 /* hints that found too little free since something was claimed */
  int64_t refused;                    /* one of them, a later one each time their number has doubled; 0 = none */
  uint32_t short_of;                  /* that hint came round again: what it costs; 0 = hints are taken in */
  _Atomic int64_t hold_until;         /* boot time; any thread writes */
  _Atomic int32_t lent;               /* capacity that attempts give back while they wait for other tasks; any thread writes */
};

struct admission {
  const struct env *env;
  struct pool pool[SLOT__N];
  struct ahead ahead;
  struct map64 attempts;              /* of the worker: ti -> epoch */
  uint64_t taken;                     /* claims so far, also of batches that were not stored */
};

void admission_init(struct admission *a, const struct env *env, const uint32_t capacity[SLOT__N], uint32_t ahead_most);
void admission_done(struct admission *a);
void admission_check(const struct admission *a);                  /* aborts when a fact above does not hold; debug builds */

void admission_turn(struct admission *a);                         /* computes `free` and `over` */
/* hinted: the hint of the task was popped, so the task stands behind no other. */
enum admit admission_ask(const struct admission *a, const struct task_policy *pol, bool hinted);
uint32_t admission_cost(const struct admission *a, const struct task_policy *pol);  /* at most the whole capacity */
void admission_refused(struct admission *a, const struct task_policy *pol, int64_t ti);  /* its hint found too little free */
void admission_take(struct admission *a, const struct task_policy *pol);    /* claimed in the batch under way */
void admission_return(struct admission *a, const struct task_policy *pol);  /* its attempt has ended in the batch under way */

/* ---- after a commit ---- */
void admission_started(struct admission *a, const struct attempt *at);
void admission_ended(struct admission *a, const struct attempt *at, bool slotless);  /* slotless: the cost was paid back before */
void admission_pay_back(struct admission *a, const struct attempt *at);     /* the cost alone: the result is not stored yet */
uint32_t admission_epoch(const struct admission *a, int64_t ti);  /* of the attempt that the worker has; 0 = none */
void admission_reset(struct admission *a);  /* this node was fenced: the worker runs nothing of ours any more */

/* ---- the queue ---- */
/* How much of the free capacity hints may take. */
static inline uint32_t admission_open(const struct admission *a, int slot) {
  const struct pool *p = &a->pool[slot];
  return p->free >= p->short_of ? p->free : 0;
}
static inline int64_t admission_room(const struct admission *a, int slot) {
  return (int64_t)admission_open(a, slot) - a->pool[slot].over;
}
void admission_behind(struct admission *a, enum slot_class s, bool hints_wait);
/* What pollers may pop. While every slot is taken, a few claims ahead are not worth a batch of their own: the next result causes
 * a batch anyway. */
void admission_poppable(const struct admission *a, uint32_t free[SLOT__N]);
void admission_hold(struct admission *a, enum slot_class s, int64_t until_boot_us);   /* any thread */
void admission_lend(struct admission *a, enum slot_class s, int32_t n);   /* any thread; n < 0: taken back */
int64_t admission_next(const struct admission *a);                /* boot time at which a hold ends; INT64_MAX = none */
#endif
