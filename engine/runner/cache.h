/* What the runner keeps of live rows between two batches: flow instances, and stand-alone tasks (runs of one node). Each entry
 * counts in a budget of bytes.
 *
 * A cached flow instance is valid while the version of its row equals run.version; each write checks the version. The row of a
 * stand-alone task is the task's own lock: epoch and state must be as they were. On a store with rivals (other nodes) only a
 * stand-alone task that runs here stays beyond its batch, for the report of its end alone: as long as epoch and state are what
 * they were nobody has changed its row, but the row beside it may be another. Whoever asks for more reads both again. A large
 * flow that goes on in slices stands in `slices`. When the flow leaves the cache, its turn is remembered.
 *
 * The runner thread's. Appends EV_MORE events; sets and stops the timers of flows.
 * What never happens: an entry that a batch has touched survives anything but COMMIT OK of that batch; a slice is forgotten. */
#ifndef RUNNER_CACHE_H
#define RUNNER_CACHE_H
#include "alone.h"
#include "budget.h"
#include "def.h"
#include "env.h"
#include "event.h"
#include "map64.h"
#include "run.h"
#include "timers.h"
#include "whose.h"

#define SHARED_FOR 8                  /* a shared flow counts as ours again after this many batches found it unchanged */

struct cached {
  struct budget_item used;
  struct run *run;
  struct params *params;
  uint64_t touched;                   /* the last batch that used the entry: it is dropped when that batch does not commit */
  uint64_t locked;                    /* the batch in which store_lock() locked its row */
  /* A flow instance: */
  struct flow_def *flow;
  int64_t flow_id, start_us;
  uint64_t sliced;  /* the batch that took it off `slices`: the flow is put back when that batch does not commit */
  bool in_slices;
  struct whose *whose;                /* NULL: nobody has said whose its tasks are, beside their definitions */
  uint8_t shared;  /* how many more batches lock the flow's head first, because another node may have touched the flow */
  /* A stand-alone task: */
  struct task_def *task;              /* its own, when it is inline: then no other cache has it */
  struct task_bind bind;
  struct alone *alone;
  struct task_policy *own;            /* of a saved definition in a job, or with a former executor; else NULL */
  uint32_t stored_epoch; enum task_state stored_state; struct task_wished stored_wished;   /* as its row says */
};
/* The user of all clean-ups and analyses: no name that a user may have, so no row matches. Clean-ups cost, and are not limited;
 * analyses have a bound of their own. The group of an analysis is the user of its task, so that users take turns. */
#define QUEUE_CLEAN_UP "\1clean-up"
/* Whose a task is, how urgent it is and what it costs: of a task of a node by the version of its definition that is bound now. No
 * read, no lock. Texts are borrowed, and valid as long as the entry is and no wish moves the task. */
struct queue_view cached_queue(const struct cached *c, uint32_t task);
/* The same by the policy of its own version, which is not that of the newest. */
struct queue_view cached_queue_as(const struct cached *c, uint32_t task, const struct task_policy *pol);
/* A version of its executor that is not the newest takes slots of its own class. */
void cached_in_slot(struct cached *c, uint8_t slot);
/* Of a task of a job: `attempts` is what a job says, where its definition says nothing. */
void cached_of_job(struct cached *c);
/* It stays for its report alone, and this batch has not changed it. */
static inline bool cached_kept(const struct cached *c) {
  return c->alone && c->alone->write == ALONE_KEPT && c->run->task[0].eff == 0;
}
static inline int64_t cached_key(const struct cached *c) { return run_key(c->run->fi, c->run->base[0].ti); }

struct cache {
  struct env *env;
  struct events *events;
  struct timers *flow_timers;
  struct dag *one;                    /* the graph of every stand-alone task */
  struct map64 by_key;                /* run_key() */
  struct budget flows, alone;         /* each has an order of its own: the entry that was used last comes first */
  struct { struct cached **v; size_t n, cap; } slices;
  struct map64 parked;                /* fi of flows that left the cache before their last slice; they go on when there is room */
};

void cache_init(struct cache *c, struct env *env, struct events *events, struct timers *flow_timers, size_t most_bytes);
void cache_done(struct cache *c);
void cache_check(const struct cache *c);            /* aborts when a fact above does not hold; debug builds and tests */

struct cached *cache_get(const struct cache *c, int64_t key);
struct cached *cache_use(struct cache *c, int64_t key);              /* the same; the batch under way depends on the entry */
void cache_touch(struct cache *c, struct cached *e);
/* Takes run, def and alone, and a reference of params (may be NULL). */
struct cached *cache_add_flow(struct cache *c, struct run *run, struct flow_def *def, struct params *params);
struct cached *cache_add_alone(struct cache *c, struct run *run, struct task_def *def, struct params *params,
                               struct alone *alone);
void cache_grew(struct cache *c, struct cached *e);  /* a node of its run has more tasks now: they count */
void cache_drop(struct cache *c, struct cached *e);
void cache_drop_flows(struct cache *c);             /* this node was fenced: what it ran is not its own any more */
void cache_forget(struct cache *c);                 /* between two batches: what was known of types is old, all is read again */
void cache_undo(struct cache *c);                   /* the batch did not commit: drops what it touched */
/* The batch has committed. Drops stand-alone tasks that ended, and those of a store with rivals that do not run here, then the
 * oldest entries until the budget holds. */
void cache_committed(struct cache *c);

/* Another node may have touched the flow: the batches that follow lock its head first. */
static inline void cached_share(struct cached *e) { e->shared = SHARED_FOR; }

/* The flow that was used last, and the one that was used before e. Flows of the batch under way come first. */
struct cached *cache_newest(const struct cache *c);
struct cached *cache_older(const struct cache *c, const struct cached *e);
/* How many more entries a batch can load: at least `least`, however large they seem. */
static inline size_t cache_room(const struct cache *c, bool alone, size_t least) {
  return budget_room(alone ? &c->alone : &c->flows, least);
}

/* ---- large flows go on in slices ---- */
void cache_slice_later(struct cache *c, struct cached *e);           /* the flow goes on in later batches */
struct cached *cache_slice_now(struct cache *c);                     /* the flow whose turn it is, taken off the list */
void cache_unpark(struct cache *c);                 /* loads a parked flow when no other flow goes on in slices */
/* A flow has slices left: its turn comes by itself, or a parked one must be loaded. The runner does not sleep before. */
static inline bool cache_slices_wait(const struct cache *c) { return c->slices.n + c->parked.n > 0; }
#endif
