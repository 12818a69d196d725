/* What every part of a runner sees: its store and ports, who this node is, what time the turn began, scratch memory of the batch.
 * runner.c and lease.c write it; the other parts read it. It is the runner thread's, except the atomic members and env_now().
 * What never happens: a part on the runner's thread reads another clock than env_now(), except to sleep; a port that is NULL is
 * called. */
#ifndef RUNNER_ENV_H
#define RUNNER_ENV_H
#include <stdatomic.h>
#include "clock.h"
#include "wr_limits.h"
#include "log.h"
#include "mem.h"
#include "runner.h"

#define RENEW_PART 6                  /* a renewal each lease/6 */
#define HINT_AGE_US 10000000          /* a QUEUED row this old gets its hint again */
#define PAGE 1000                     /* live rows that a look reads at once */

/* Figures for /readyz and tests; any thread reads them. */
struct counters { _Atomic uint64_t batches, events, rows, retries, stale, unknown, late; _Atomic uint32_t cached_runs; };

struct env {
  struct store *store;
  struct defs *defs;
  struct runner_ports ports;
  bool single;                        /* no other node works on this store */
  uint32_t max_depth;                 /* so many tasks at most stand above one that a verdict adds */
  bool own_only;                      /* this node touches only what was started here */
  bool leaving;                       /* a planned stop has begun; as of this turn */
  bool wished;                        /* it is wished that this node drains: drain.h */
  bool draining;                      /* either: nothing is claimed */
  int64_t me;                         /* incarnation */
  int64_t own_fi;                     /* own_only: the flow that was started here last; 0 = none so far */
  int64_t lease_us;
  int64_t wall_us, boot_us;           /* of this turn; wall is the time that all nodes share and never runs backwards */
  uint64_t batch_no;                  /* of the batch under way, or the last one */
  int64_t defs_version;               /* read in that batch */
  uint64_t rnd;                       /* state of the generator for random pauses */
  const uint32_t *waits;              /* tasks that wait on this node and may start, per class (waiting.h); NULL = none */
  const uint32_t *kept;               /* the same, with those that a limit holds back */
  const bool *dry;                    /* per class: what was refused there may find room again */
  struct arena mem;                   /* of the batch, or of the look at live rows under way */
  _Atomic int64_t cpu_used;           /* of the budget, while it holds a task back or no slot is free; else 0 */
  _Atomic int64_t cpu_kept_for;       /* the task for which the budget drains; 0 = none */
  _Atomic int64_t running, slots_used, cpu_running, drain_seen_us;   /* what this node tells of itself: struct member_figures */
  atomic_bool news;                   /* what this node tells of itself may have changed: tell.h */
  struct counters n;
};

static inline int64_t env_now(const struct env *e) {
  return e->ports.boot_now ? e->ports.boot_now(e->ports.ctx) : clock_boot_us();
}
static inline uint64_t env_rnd(struct env *e, int64_t below) { return rand_next(&e->rnd) % (uint64_t)below; }
static inline void env_count(_Atomic uint64_t *n) { atomic_fetch_add_explicit(n, 1, memory_order_relaxed); }

/* Hints stay in this process. Any other queue has pushers and pollers. */
static inline bool env_keeps(const struct env *e) { return e->ports.push == NULL; }
static inline size_t env_backlog(const struct env *e, int slot) {
  size_t here = e->waits ? e->waits[slot] : 0;
  return here + (e->ports.backlog ? e->ports.backlog(e->ports.ctx, (enum slot_class)slot) : 0);
}
static inline bool env_push(const struct env *e, int slot, const struct hint *h, size_t n) {
  return e->ports.push && e->ports.push(e->ports.ctx, (enum slot_class)slot, h, n);
}
static inline uint8_t slot_bit(int slot) { return (uint8_t)(1u << slot); }
#endif
