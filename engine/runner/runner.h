/* The runner takes everything that waits (starts, claims, results, cancels, timers), does it in one transaction with a handful of
 * multi-row statements, and commits. Only then it lets anything be seen: answers, pushes, process starts.
 *
 * runner_turn() is the whole of it: no thread, no clock of its own, so the simulator drives the same code. The thread in
 * runner_thread.c only waits and calls it. runner_post_*(): any thread. Everything else: the runner thread.
 *
 * What never happens: an answer, a hint or a start before its COMMIT; a cached run that survives anything but COMMIT OK;
 * a scan of the graph or of history per event. */
#ifndef RUNNER_H
#define RUNNER_H
#include <stdbool.h>
#include "ask.h"
#include "async.h"
#include "attempt.h"
#include "health.h"
#include "node_trouble.h"
#include "queue.h"
#include "queue_opts.h"
#include "store.h"

struct runner;
struct defs;      /* the cache of definitions: defs.h */

/* ---- requests of the API ---- */
enum req_kind { REQ_START, REQ_EXEC_TASK, REQ_RERUN, REQ_CANCEL_FLOW, REQ_PAUSE_FLOW, REQ_RESUME_FLOW, REQ_ASK, REQ_JOB };
struct req_start {
  int64_t flow_id; struct params *params;
  const struct queue_spec *queue;              /* whose its tasks are that do not say it themselves; NULL = nobody's */
  int64_t fi, create_us, flow_version;         /* out */
};
/* A stand-alone task that is to be made. */
struct req_task {
  int64_t task_id; struct task_def *def;       /* the id of its definition, or 0 and an inline one */
  struct params *params;
  const struct async_spec *spec;               /* NULL = nothing is asked for beside that */
  int64_t scope;                               /* the runner's: where its taskKey is unique */
  /* out: */
  int64_t ti;
  bool replayed;                               /* its taskKey is that of a task that was there: only ti is set */
  int64_t task_version, create_us, start_at_us;
  struct task t;                               /* as it is stored */
  uint32_t executor;                           /* version of its executor, 0 = none */
};
/* A wish about tasks. The same for all of them; each has its own answer. */
struct req_asked {
  int64_t ti;
  /* out: */
  enum wr_rc rc;
  bool changed;
  const char *state;                           /* as it is shown; NULL = there is no such task */
};
struct req_ask {
  enum ask ask;
  bool force;                                  /* ASK_DELETE */
  bool below;                                  /* the runner's: tasks that it added go first */
  const struct queue_spec *queue;              /* ASK_QUEUE; NULL = nothing changes */
  const char *context; size_t context_len;     /* ASK_RUN; NULL = keep */
  bool each;                                   /* each of `of` has its own answer and is a stand-alone task; false: n is 1 */
  struct req_asked *of; uint32_t n;
};
/* Of a job. MAKE and ADD are REQ_EXEC_TASK with the tasks, which may be none; the others are REQ_JOB. END takes the row of a
 * deleted job away when nothing else of it is left. */
enum job_op { JOB_OP_MAKE, JOB_OP_ADD, JOB_OP_ASK, JOB_OP_DELETE, JOB_OP_END };
/* What there was of a job when its deletion began, for as long as this node knows it: ids of its tasks, the first LIMIT_JOB_LOOK.
 * References are counted. */
struct job_had { _Atomic uint32_t refs; struct job_left first; size_t n; int64_t ti[]; };
struct job_had *job_had_ref(struct job_had *h);
void job_had_unref(struct job_had *h);         /* NULL is fine */
struct req_job {
  enum job_op op;
  int64_t job_id;                              /* MAKE: out */
  int64_t fresh_id;                            /* the runner's */
  const char *key, *name;                      /* MAKE; name: NULL = none */
  const uint8_t *hash;                         /* MAKE: KEY_HASH_BYTES of what was asked for */
  bool closed, ignore;                         /* MAKE */
  enum job_ask ask;                            /* ASK */
  uint8_t how;                                 /* DELETE */
  struct job now; bool gone;                   /* out of DELETE and END; gone: this took its row away */
  struct job_had *had;                         /* DELETE: what there is, or NULL; out of both: as this node kept it first */
};
/* A request and all that it points to belongs to the runner from runner_post() until done(). */
struct req {
  struct req *next, *prev; int64_t post_us;    /* the runner's: ledger.h */
  uint8_t place; _Atomic bool back;
  int64_t first_id;                            /* the runner's; the request keeps its ids when its batch is made again */
  enum req_kind kind;
  struct req_start *start; uint32_t n_start;   /* REQ_START: all or nothing */
  struct req_task *task; uint32_t n_task;      /* REQ_EXEC_TASK: all or nothing */
  bool listed;                                 /* they stand in a list, even a single one: for the place of an error */
  struct req_ask *ask;                         /* REQ_ASK */
  struct req_job *job;                         /* REQ_JOB; REQ_EXEC_TASK: NULL = tasks without a job */
  int64_t flow_id, fi, ni;          /* RERUN (ni 0 = what failed), CANCEL_FLOW, PAUSE_FLOW, RESUME_FLOW (fi) */
  bool checkpoint;                  /* PAUSE_FLOW: what runs is stopped too */
  const char *key;                  /* Idempotency-Key of a START or EXEC_TASK, NULL = none */
  const uint8_t *key_hash;          /* KEY_HASH_BYTES of method, path and body */
  /* out, set before done() is called: */
  enum wr_rc rc;
  struct wr_err err;
  const char *state;                /* of a 409 about an instance: the state that won; else NULL */
  bool changed;
  bool replayed;                    /* an earlier request with this key made the rows: only the ids of `out` are set */
  void (*done)(struct req *, void *ctx);       /* on the runner thread, after the commit; must not block */
  void *done_ctx;
};

/* Somebody outside who waits for ends. Called after the commit, on the runner's thread, and log() on that of the logs; none may
 * block. waits(): does anybody wait at all? Only then the others are called. */
struct watcher {
  void *ctx;
  bool (*waits)(void *ctx);
  void (*flow)(void *ctx, int64_t fi);          /* it became final */
  void (*task)(void *ctx, int64_t ti);          /* it became final, or is deleted */
  void (*log)(void *ctx, int64_t ti);           /* more of its output is stored */
  void (*job)(void *ctx, int64_t job_id);       /* it is final, or deleted; NULL = nobody asks */
};

/* What the runner asks of the process around it; none may block. NULL members are not called. */
struct runner_ports {
  void *ctx;
  void (*start)(void *ctx, struct attempt *list);                    /* takes them; after their commit */
  void (*cancel)(void *ctx, int64_t ti, uint32_t epoch, enum task_stop why);   /* of this node: worker_stop() */
  void (*kill_all)(void *ctx);                                       /* fenced */
  void (*forget)(void *ctx, int64_t ti);                             /* the task is deleted; after the commit */
  void (*part)(void *ctx, struct attempt *list);                     /* takes partings, and forgets for them; after the commit */
  void (*hand_back)(void *ctx, bool running);                        /* of this node: what has not started, or all; worker.h */
  void (*deadline)(void *ctx, int64_t boot_us);                      /* attempts may neither start nor live after it */
  /* One queue per slot class, so that tasks that wait for a process never hold up the others. */
  bool (*push)(void *ctx, enum slot_class s, const struct hint *h, size_t n);    /* to all nodes; false: the reconciler sends them
                                                                                    later. NULL = hints stay in this runner */
  void (*nudge)(void *ctx, int64_t incarnation);
  void (*flow_done)(void *ctx, int64_t fi, enum flow_state state);
  const struct watcher *watcher;                                     /* NULL = nobody waits */
  uint32_t (*width)(void *ctx, const struct run *r, uint32_t node);  /* how many tasks a growing node gets; NULL: none grows */
  size_t (*backlog)(void *ctx, enum slot_class s);                   /* hints that wait; > 0: a ready task goes behind them */
  void (*free_slots)(void *ctx, const uint32_t free[SLOT__N]);       /* after each turn: how many pollers may pop */
  int64_t (*boot_now)(void *ctx);                                    /* any thread; NULL = the machine's CLOCK_BOOTTIME */
  void (*trouble)(void *ctx, struct node_trouble *out);              /* of processes; starts_until_us: boot time; any thread */
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
  size_t waiting_bytes;             /* for tasks that wait for a slot; 0 = LIMIT_WAITING_TASKS_BYTES */
  struct queue_opts queues;         /* all 0: no budget, no ageing, every queue is served */
  int64_t request_us;               /* a request is answered after this time, whatever the store does; 0 = LIMIT_REQUEST_US */
  int64_t cache_bytes;              /* for flow instances, stand-alone tasks and definitions in memory; 0 = LIMIT_CACHE_BYTES */
  size_t timers;                    /* of tasks, and of flows, that are kept in memory; 0 = LIMIT_TIMERS */
  uint32_t max_depth;               /* of tasks that verdicts add; 0 = LIMIT_DEPTH */
  const struct never_started *never; size_t n_never; /* of the former node on this directory; stays until runner_free() */
};
/* Joins the store as a new incarnation. */
enum wr_rc runner_new(const struct runner_opts *o, struct runner **out, struct wr_err *err) WR_MUST;
void runner_free(struct runner *r);
int64_t runner_incarnation(const struct runner *r);

/* false: the mailbox is full, the runner is draining, or the store is known to be away; nothing was taken (q->rc and err say
 * which). */
bool runner_post(struct runner *r, struct req *q);
/* For a request that runner_post() refused because the store was away: runner_doubt() asks for a new look at the store, at most
 * once in WATCH_DOUBT_US. True: the look is under way. runner_look() waits for it, RUNNER_LOOK_US at most, and says whether the
 * store is well. */
#define RUNNER_LOOK_US 300000
bool runner_doubt(struct runner *r);
bool runner_look(struct runner *r);
/* The client of q has waited long enough. The call never waits, not even while the runner's thread is inside a call of the
 * store. */
enum req_back {
  REQ_BACK_ANSWERED,                /* done() was called, or is being called just now */
  REQ_BACK_YOURS,                   /* nothing was stored, nothing will be; done() will not be called */
  REQ_BACK_UNSENT,                  /* nothing was stored, nothing will be; but the request is the runner's until done() */
  REQ_BACK_UNKNOWN                  /* it was sent to the store and may be stored; it is the runner's until done() */
};
enum req_back runner_take_back(struct runner *r, struct req *q);
/* Can rows be written, and is there room? Asks for a write when there was none lately, and waits for it RUNNER_HEALTH_WAIT_US at
 * most. It never waits for a call of the store that is under way. */
#define RUNNER_HEALTH_WAIT_US 50000
void runner_health(struct runner *r, struct health_part *store, struct health_part *disk);
void runner_post_results(struct runner *r, struct attempt *list);   /* never refused: the slot reserved its room */
void runner_post_timeout(struct runner *r, int64_t fi, int64_t ti, uint32_t epoch); /* run timeout; from the worker */
void runner_post_hints(struct runner *r, enum slot_class s, const struct hint *h, size_t n);
/* What pollers and pushers find; the runner looks into the rows for hints that may have been lost: lost_hints.h. */
void runner_no_hints(struct runner *r, enum slot_class s);      /* a slot is free, and the list is empty */
void runner_hints_lost(struct runner *r, enum slot_class s);    /* some hints could not be sent */
void runner_queue_away(struct runner *r, enum slot_class s, bool away);
void runner_drain(struct runner *r);      /* no new starts or claims; results still count */
/* This node has set the flow aside (QUARANTINED): the store refuses its rows, and the flow is tried again later. */
bool runner_set_aside(struct runner *r, int64_t fi);
/* What goes wrong on this node, as it tells the others (starts_until_us: in the time that all nodes share). Returns its
 * incarnation. */
int64_t runner_trouble(struct runner *r, struct node_trouble *out);
/* What runner_trouble() tells has changed. Any thread, under no lock that ports.trouble() takes. */
void runner_news(struct runner *r);
/* Claims nothing of that class, and takes nothing of it home, before boot_us: this node cannot start it. Results still count. */
void runner_hold(struct runner *r, enum slot_class s, int64_t boot_us);
void runner_types_changed(struct runner *r);   /* what this node can run is not what it was: look at once */
void runner_queues_changed(struct runner *r);  /* a row of task_queue was written: look at once */
/* An attempt of that class waits for other tasks and gives n slots back meanwhile; n < 0: it goes on. Then more may run than
 * there are slots, until one ends. Any thread. */
void runner_lend(struct runner *r, enum slot_class s, int32_t n);
/* The same of what the task costs (cpuOverhead): lent, or taken back; then more than the budget may be in use. Any thread. */
void runner_lend_cost(struct runner *r, int64_t ti, bool lent);
void runner_nudge(struct runner *r);      /* look at the wishes of other nodes now */
void runner_nudge_other(struct runner *r, int64_t incarnation);   /* the same, of that node; may be lost */
void runner_wished(struct runner *r);     /* what is wished of this node (store_drain()) has changed */
int64_t runner_figures(struct runner *r, struct member_figures *out);   /* as it is now. Returns its incarnation. Any thread */

/* Does one batch. wall_us, boot_us: now. The wall clock decides nothing (store_time()); a step of it is logged. Returns the boot
 * time at which to call again at the latest (INT64_MAX = when something is posted). runner_pending(): something waits to be
 * done. */
int64_t runner_turn(struct runner *r, int64_t wall_us, int64_t boot_us);
bool runner_pending(struct runner *r);

/* ---- the thread shell ---- */
enum wr_rc runner_thread_start(struct runner *r, struct wr_err *err) WR_MUST;
/* The thread ends when the mailbox is empty, at once while the store is away, and in any case after within_us and half a second.
 * False: the thread is inside a call of the store that does not come back. Then nothing may be freed, and the process can only
 * end. */
bool runner_thread_stop(struct runner *r, int64_t within_us);
void runner_thread_await(struct runner *r);    /* after a stop that was false: until the thread ends after all */

/* ---- figures for /readyz and tests ---- */
struct runner_stats { uint64_t batches, events, rows, retries, stale, unknown, late; uint32_t cached_runs; bool store_down; };
void runner_stats(struct runner *r, struct runner_stats *out);   /* any thread */
#endif
