/* The runner: takes everything that waits (starts, claims, results, cancels, timers), does it in one transaction with
 * a handful of multi-row statements, commits, and only then lets anything be seen: answers, pushes, process starts.
 *
 * runner_turn() is the whole of it: no thread, no clock of its own, so the simulator drives the same code. The thread
 * shell in runner_thread.c only waits and calls it. runner_post_*(): any thread. Everything else: the runner thread.
 *
 * What never happens: an answer, a hint or a start before its COMMIT; a cached run that survives anything but COMMIT OK;
 * a scan of the graph or of history per event. */
#ifndef RUNNER_H
#define RUNNER_H
#include <stdbool.h>
#include "attempt.h"
#include "health.h"
#include "node_trouble.h"
#include "queue.h"
#include "store.h"

struct runner;
struct defs;      /* the cache of definitions: defs.h */

/* ---- requests of the API ---- */
enum req_kind { REQ_START, REQ_EXEC_TASK, REQ_RERUN, REQ_CANCEL_FLOW, REQ_CANCEL_TASK };
struct req_start {
  int64_t flow_id; struct params *params;
  int64_t fi, create_us, flow_version;         /* out */
};
/* It and all that it points to belongs to the runner from runner_post() until done(). */
struct req {
  struct req *next, *prev; int64_t post_us;    /* the runner's: ledger.h */
  uint8_t place; _Atomic bool back;
  int64_t first_id;                            /* the runner's; the ids that it takes stay its own when its batch is made again */
  enum req_kind kind;
  struct req_start *start; uint32_t n_start;   /* REQ_START: all or nothing */
  int64_t task_id; struct params *params;      /* REQ_EXEC_TASK */
  int64_t flow_id, fi, ni;          /* RERUN (ni 0 = what failed), CANCEL_FLOW (fi) */
  int64_t ti;                       /* CANCEL_TASK; out: EXEC_TASK */
  const char *key;                  /* Idempotency-Key of a START or EXEC_TASK, NULL = none */
  const uint8_t *key_hash;          /* KEY_HASH_BYTES of method, path and body */
  /* out, set before done() is called: */
  enum wr_rc rc;
  struct wr_err err;
  bool changed;
  bool replayed;                    /* an earlier request with this key made it: of `out` only the ids are set */
  void (*done)(struct req *, void *ctx);       /* on the runner thread, after the commit; must not block */
  void *done_ctx;
};

/* What the runner asks of the process around it; none may block. NULL members are not called. */
struct runner_ports {
  void *ctx;
  void (*start)(void *ctx, struct attempt *list);                    /* takes them; after their commit */
  void (*cancel)(void *ctx, int64_t ti, uint32_t epoch);             /* an attempt of this node */
  void (*kill_all)(void *ctx);                                       /* fenced */
  void (*deadline)(void *ctx, int64_t boot_us);                      /* start nothing after, die at */
  /* One queue per slot class, so that tasks that wait for a process never hold up the others. */
  bool (*push)(void *ctx, enum slot_class s, const struct hint *h, size_t n);    /* false = the reconciler will */
  size_t (*pull)(void *ctx, enum slot_class s, struct hint *h, size_t n);        /* memory queue: oldest hints; NULL = pollers post them */
  void (*nudge)(void *ctx, int64_t incarnation);
  void (*flow_done)(void *ctx, int64_t fi, enum flow_state state);
  uint32_t (*width)(void *ctx, const struct run *r, uint32_t node);  /* of a node that grows when it starts; NULL: there is none */
  size_t (*backlog)(void *ctx, enum slot_class s);                   /* hints that wait: > 0 = do not take home */
  void (*free_slots)(void *ctx, const uint32_t free[SLOT__N]);       /* after each turn: pollers may pop so many */
  int64_t (*boot_now)(void *ctx);                                    /* any thread; NULL = the machine's CLOCK_BOOTTIME */
  void (*trouble)(void *ctx, struct node_trouble *out);              /* of its processes, starts_until_us in boot time; any thread */
};

struct runner_opts {
  struct store *store;
  struct defs *defs;
  struct runner_ports ports;
  uint32_t slots[SLOT__N];          /* attempts this node runs at once, per class; 0,0 = no worker role */
  uint32_t ahead;                   /* most process attempts claimed beyond the slots while attempts are short: the worker
                                       starts them the moment a process ends, before the commit of its result */
  int64_t lease_us;                 /* L; 0 = 60 s */
  struct node_info info;
  bool own_only;                    /* touches only what was started here (`weir run` on a store that holds more) */
  uint64_t seed;                    /* jitter */
  size_t mailbox;                   /* requests that may wait; 0 = LIMIT_MAILBOX */
  int64_t request_us;               /* a request that has waited so long is answered, whatever the store does; 0 = LIMIT_REQUEST_US */
  int64_t cache_bytes;              /* of flow instances and lone tasks that are kept in memory; 0 = LIMIT_CACHE_BYTES */
  size_t timers;                    /* of tasks, and of flows, that are kept in memory; 0 = LIMIT_TIMERS */
  const struct never_started *never; size_t n_never; /* of the former node on this directory; stays until runner_free() */
};
/* Joins the store as a new incarnation. */
enum wr_rc runner_new(const struct runner_opts *o, struct runner **out, struct wr_err *err) WR_MUST;
void runner_free(struct runner *r);
int64_t runner_incarnation(const struct runner *r);

/* false: the mailbox is full, the runner is draining, or the store is known to be away; nothing was taken (q->rc and err say which). */
bool runner_post(struct runner *r, struct req *q);
/* runner_post() refused a request because the store was away a while ago: runner_doubt() has the store looked at now, at most once in
 * WATCH_DOUBT_US. True: the look is under way; runner_look() waits for it, RUNNER_LOOK_US at most, and says whether the store is well. */
#define RUNNER_LOOK_US 300000
bool runner_doubt(struct runner *r);
bool runner_look(struct runner *r);
/* The client of q has waited long enough. The call never waits, not even while the runner's thread is inside a call of the store. */
enum req_back {
  REQ_BACK_ANSWERED,                /* done() was called, or is being called just now */
  REQ_BACK_YOURS,                   /* nothing was stored, nothing will be; done() will not be called */
  REQ_BACK_UNSENT,                  /* nothing was stored, nothing will be; it is the runner's until done() all the same */
  REQ_BACK_UNKNOWN                  /* it was sent to the store: it may be stored; the runner's until done() */
};
enum req_back runner_take_back(struct runner *r, struct req *q);
/* Can rows be written, and is there room? Asks for a write when there was none lately, and waits for it RUNNER_HEALTH_WAIT_US at
 * most. It never waits for a call of the store that is under way. */
#define RUNNER_HEALTH_WAIT_US 50000
void runner_health(struct runner *r, struct health_part *store, struct health_part *disk);
void runner_post_results(struct runner *r, struct attempt *list);   /* never refused: the slot reserved its room */
void runner_post_timeout(struct runner *r, int64_t fi, int64_t ti, uint32_t epoch); /* run timeout; from the worker */
void runner_post_hints(struct runner *r, const struct hint *h, size_t n);
/* What pollers and pushers find; the runner looks into the rows for hints that may have been lost: lost_hints.h. */
void runner_no_hints(struct runner *r, enum slot_class s);      /* a slot is free, and the list is empty */
void runner_hints_lost(struct runner *r, enum slot_class s);    /* some could not be sent */
void runner_queue_away(struct runner *r, enum slot_class s, bool away);
void runner_drain(struct runner *r);      /* no new starts, claims; results still count */
/* This node has set the flow aside (QUARANTINED): the store refuses its rows, and the flow is tried again later. */
bool runner_set_aside(struct runner *r, int64_t fi);
/* What goes wrong on this node, as it tells the others, starts_until_us in their common time; returns its incarnation. */
int64_t runner_trouble(struct runner *r, struct node_trouble *out);
void runner_news(struct runner *r);       /* what runner_trouble() tells has changed; any thread, under no lock that ports.trouble() takes */
/* Claims nothing of that class, and takes nothing of it home, before boot_us: this node cannot start it. Results still count. */
void runner_hold(struct runner *r, enum slot_class s, int64_t boot_us);
void runner_nudge(struct runner *r);      /* look at the wishes of other nodes now */

/* Does one batch. wall_us, boot_us: now. The wall clock decides nothing (store_time()); a step of it is logged. Returns the boot time at
 * which to call again at the latest (INT64_MAX = when something is posted).
 * runner_pending(): something waits to be done. */
int64_t runner_turn(struct runner *r, int64_t wall_us, int64_t boot_us);
bool runner_pending(struct runner *r);

/* ---- the thread shell ---- */
enum wr_rc runner_thread_start(struct runner *r, struct wr_err *err) WR_MUST;
/* The thread ends when the mailbox is empty, or at once while the store is away; in any case after within_us and half a second. False:
 * the thread is inside a call of the store that does not come back. Nothing may be freed then; the process can only end. */
bool runner_thread_stop(struct runner *r, int64_t within_us);

/* ---- figures for /readyz and tests ---- */
struct runner_stats { uint64_t batches, events, rows, retries, stale, unknown, late; uint32_t cached_runs; bool store_down; };
void runner_stats(struct runner *r, struct runner_stats *out);   /* any thread */
#endif
