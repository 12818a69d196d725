/* The simulator: a whole cluster in one thread. Real runners over an in-memory database, with virtual clocks, fake workers, a
 * queue that loses hints, and nodes that crash, freeze and drain. After every commit the rows are checked.
 *
 * All that happens is a function of the seed. Each node is a coroutine that may be left in any call of its store.
 * What never happens: real time, real randomness, or a check that is skipped. */
#ifndef SIM_H
#define SIM_H
#include <ucontext.h>
#include "memstore.h"
#include "defs.h"
#include "runner_int.h"

#define SIM_NODES 3
#define SEC 1000000LL
#define REQUEST_US (10 * SEC)

/* One attempt as it really happened, whatever the rows say. */
struct rec {
  struct rec *next;                 /* of the same ti, newest first */
  int64_t ti, fi, me;               /* me: incarnation that claimed it */
  uint32_t epoch;
  bool analysis;                    /* of a task, not an attempt of it */
  bool claimed, given, executing, executed, ended, reported, excused, timed_out, asked, told;
  enum attempt_end outcome;
  int64_t t0, t1;
  int64_t gone_at, gone_by;         /* its task was deleted by force, by that incarnation; 0 = it was not */
};

enum work_state { WORK_WAITS, WORK_RUNS };
struct work {                       /* an attempt at a node's worker */
  struct work *next;
  struct attempt *a;
  struct rec *rec;
  enum work_state state;
  int64_t start_at, end_at, timeout_at; /* INT64_MAX = never */
  enum attempt_end end;
  bool killed, doomed;              /* cancelled; past the deadline of its node */
  bool asked;                       /* it ends because it was cancelled, whatever it reports */
  bool gated;                       /* claimed ahead: waits for a slot, until start_at */
};
struct orphan { struct rec *rec; int64_t end_at; int node; }; /* a child whose node is gone */

#define SIM_KEYS 40
enum { KEY_BODIES = 2 };            /* a key, and the bodies that it is sent with: mostly body 0 */
struct intent {
  char key[16];
  uint8_t hash[KEY_BODIES][KEY_HASH_BYTES];
  char body[KEY_BODIES][32];        /* params of its flows; no other flow has them */
  enum req_kind kind;
  int64_t id;                       /* of the flow or task */
  uint32_t n;
  int won;                          /* the body that was accepted, -1 = not known yet */
  int64_t first_id;                 /* the first id that it made */
};

enum { ASK_MOST = 4, SIM_NAMES = 12, JOB_TASKS = 3 };
struct op {                         /* a request of a client */
  struct req q;
  struct req_task task; struct async_spec spec; char name[8];     /* REQ_EXEC_TASK */
  struct req_ask ask; struct req_asked of[ASK_MOST]; struct queue_spec queue;   /* REQ_ASK */
  struct req_job job; struct req_task job_task[JOB_TASKS]; struct async_spec job_spec[JOB_TASKS];   /* q.job */
  char job_key[8], job_name[JOB_TASKS][8]; uint8_t job_hash[KEY_HASH_BYTES];
  struct op *next;
  struct node *node;
  struct intent *intent; int body;  /* it has a key */
  uint32_t run_no;                  /* of the flow when it was sent */
  uint64_t life;
  int64_t post_at;
  bool patient;                     /* waits for the runner's answer; otherwise it takes the request back when its time is over */
  bool gave_up, never;              /* it took the request back; it was told that nothing is stored, nor will be */
  bool answered, final, there;      /* answered; when it was sent, the flow was final; when it was sent, its target had a row */
};

/* Faults of the store that last: for one node, every call. BAD: every write is refused, as if each row were at fault. */
enum long_fault { FAULT_DOWN, FAULT_RETRY, FAULT_UNKNOWN, FAULT_FULL, FAULT_BAD, FAULT_STUCK, FAULT__N };

struct node {
  struct world *w;
  int id;
  bool up, dead, draining;          /* dead: it crashed in the middle of a turn, which only unwinds */
  int64_t up_at;
  struct store *store;
  struct defs *defs;
  struct runner *runner;
  ucontext_t ctx;
  char *stack;
  void *fake_stack;
  bool in_turn;
  int64_t resume_at, frozen_until, down_until;
  enum long_fault fault;
  int64_t fault_from, fault_until;
  int64_t out_until;                /* until then it could answer no client: frozen, or inside a call that did not come back */
  bool machine_frozen;
  double rate;                      /* the speed of its clocks against the true time */
  int64_t boot_off, wall_off, true_off;
  int64_t next_boot;                /* when its thread wakes by itself */
  int64_t deadline;                 /* of its worker, boot time */
  uint32_t slots[SLOT__N], told[SLOT__N], ahead;
  bool empty_told[SLOT__N], away_told; /* its pollers have reported this */
  int64_t free_since[SLOT__N];      /* INT64_MAX: no slot is free */
  struct held { struct hint *v; size_t n, cap; } held[SLOT__N];   /* hints that found no room in the queue, in their order */
  struct work *work;
  struct attempt *done;             /* ended, not reported yet */
  uint64_t life;                    /* which start of the node this is */
};

/* The session of a stranger: sim_rival.c. only: nothing else goes wrong in this world. wide: it has locked rows that every start
 * may need. */
struct rival { bool on, only, wide; uint64_t rng; int64_t at, until, narrow_from; };

/* Queues: sim_queues.c. seen: by queue_id - 1. */
enum { SEEN_MOST = 64 };
struct seen_queue { int64_t at[SEEN_MOST]; size_t n; int64_t changed; };   /* start times of its newest starts; its last change */
struct world_queues { bool on, costs; uint64_t rng; struct seen_queue *seen; size_t n_seen, cap_seen; };

/* Jobs: sim_jobs.c. wished: job_id -> what users have asked of all its tasks. of: ti -> its job, also when it is gone. */
struct world_jobs { bool on; uint64_t rng; struct map64 wished, of; };

/* Trees: sim_trees.c. parent: ti -> the task that added it, also when that is gone. */
struct world_trees { bool on; uint64_t rng, added; struct map64 parent; };

struct queued { struct hint h; int64_t at; };
struct world {
  uint64_t seed, rng, hash, step;
  int64_t now;
  bool single, calm;
  int n_node;
  int64_t lease_us;
  int verbose;
  struct memdb *db;
  struct node node[SIM_NODES];
  struct node *current;             /* the node whose coroutine runs */
  ucontext_t main;
  void *main_stack; size_t main_stack_n;
  struct world_queue { struct queued *v; size_t n, cap; } q[SLOT__N];
  size_t queue_cap;                 /* of one process: tasks that wait there; of a cluster: hints in its queue, all classes together */
  int64_t away_until;               /* the queue of the cluster cannot be reached */
  uint32_t batch_rows;              /* LIMIT_BATCH_ROWS of the runner under test */
  struct map64 ledger;              /* ti -> struct rec */
  struct map64 keys;                /* key of (fi, task) -> last claimed epoch */
  struct map64 wished;              /* ti -> set of wish_bit(): what users have asked of it so far, whatever became of it */
  int64_t wake_at;                  /* in the calm, tasks that wait for a user are run */
  struct rec **claim; size_t n_claim, cap_claim; /* of the commit under way */
  struct map64 fdefs, tdefs;        /* (id << 20 | version) -> definition */
  struct orphan *orphan; size_t n_orphan, cap_orphan;
  struct op *ops;
  struct op **open; size_t n_open, cap_open;  /* those that wait */
  struct intent intent[SIM_KEYS]; size_t n_intent;
  uint32_t p_key;                   /* per 1000 starts */
  bool small_cache;                 /* almost nothing stays in memory */
  bool quick;                       /* programs of a few milliseconds: nodes claim ahead */
  int64_t op_at, chaos_at, calm_at;
  int64_t turn_until[SLOT__N];      /* some node has looked for lost hints just now */
  int64_t idle_from;                /* since then no slot may be free for long while a task waits for it */
  int64_t bad_fi;
  struct rival rival;
  struct world_queues queues;
  struct { bool on; uint64_t rng; int64_t at; } drains;   /* sim_drain.c */
  struct world_jobs jobs;
  struct world_trees trees;
  uint32_t p_fault, p_yield, p_slow; /* per 1000 */
  uint64_t n_ops, n_commit, n_crash, n_unknown, n_done, n_gated, n_replay, n_back;
};

/* sim.c */
_Noreturn void sim_fail(struct world *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_trace(struct world *w, const char *what, int64_t a, int64_t b, int64_t c);
uint64_t sim_rnd(struct world *w, uint64_t n);               /* 0 .. n-1 */
/* Something waits in that runner, posted or not. */
static inline bool runner_busy(struct runner *r) { return mailbox_waits(&r->mail) || r->events.n + r->later.wait.n > 0 || batch_in_doubt(r); }
static inline bool sim_chance(struct world *w, uint32_t per_mille) { return sim_rnd(w, 1000) < per_mille; }
static inline int64_t sim_between(struct world *w, int64_t lo, int64_t hi) { return lo + (int64_t)sim_rnd(w, (uint64_t)(hi - lo + 1)); }
uint8_t sim_slot_of(const char *type);
enum mem_fate sim_store_call(void *ctx, void *node, enum mem_call what, const struct batch *b);

uint32_t sim_width(int64_t fi, uint32_t node);               /* of a node that grows */

/* sim_node.c: nodes, workers, queues */
void node_start(struct node *n);
void node_crash(struct node *n);
void node_clocks(void *ctx, void *node, int64_t *wall, int64_t *boot);
void node_stop(struct node *n);                              /* frees what is left, without reports */
void node_yield(struct node *n, int64_t for_us);
bool node_ready(const struct node *n);
void node_run(struct node *n);                               /* a turn, or the rest of one */
void node_drain(struct node *n);
bool node_drained(struct node *n);
int64_t node_next(const struct node *n);                     /* true time of its next wake-up */
int64_t node_boot(const struct node *n);
bool node_asleep(const struct node *n);
int64_t work_next(const struct node *n);
void work_run(struct node *n);                               /* all that is due */
void orphans_run(struct world *w);
bool queue_ready(const struct world *w, const struct node *n);
void queue_poll(struct node *n);
int64_t queue_next(const struct world *w);
struct rec *ledger_get(struct world *w, int64_t ti, uint32_t epoch);
struct rec *ledger_add(struct world *w, int64_t ti, uint32_t epoch);

static inline uintptr_t wish_bit(enum ask a) { return (uintptr_t)1 << a; }
enum { WISH_FORCE = 1 << ASK__N };
uintptr_t jobs_wished(const struct world *w, int64_t ti);    /* sim_jobs.c */
uintptr_t trees_wished(const struct world *w, int64_t ti);   /* sim_trees.c: of those above it */
static inline uintptr_t wished(const struct world *w, int64_t ti) {
  return (uintptr_t)map64_get(&w->wished, ti) | jobs_wished(w, ti) | trees_wished(w, ti);
}

/* sim_load.c: definitions and requests */
void load_setup(struct world *w);
void load_send(struct world *w, struct op *o);               /* to any node */
void load_op(struct world *w);                               /* one request or change of a definition */
void load_idle_op(struct world *w);
void load_wake(struct world *w);                             /* in the calm: a user runs a task that waits for one */
void load_done(struct world *w);
int64_t load_next(const struct world *w);                    /* when the next client takes its request back */
bool load_ready(const struct world *w);
void load_back(struct world *w);                             /* clients whose time is over take their requests back */
void load_check(struct world *w);                            /* no client waits longer than promised */

/* sim_rival.c */
void rival_setup(struct world *w);                           /* the last part of a world's setup */
void rival_step(struct world *w);
int64_t rival_next(const struct world *w);
void rival_calm(struct world *w);
int64_t rival_wait(const struct world *w);                   /* how much longer a look at a lock takes */
void rival_answer(struct world *w, const struct op *o);
void rival_check(struct world *w, const struct op *o);       /* o waits */

/* sim_queues.c */
void drains_setup(struct world *w);
void drains_step(struct world *w);
void drains_calm(struct world *w);
void queues_setup(struct world *w);
struct queue_opts queues_opts(const struct world *w);
void queues_start(struct world *w, struct op *o);
void queues_task(struct world *w, struct op *o);             /* whose it is */
void queues_op(struct world *w);                             /* perhaps a row changes */
void queues_calm(struct world *w);
void queues_committed(struct world *w, const struct batch *b);                      /* the claims of this batch */
void queues_node(struct node *n);                            /* between two turns */
void queues_quiet(struct world *w);
void queues_end(struct world *w);

/* sim_jobs.c */
void jobs_setup(struct world *w);
void jobs_op(struct world *w);                               /* perhaps a request about a job */
void jobs_wake(struct world *w);
void jobs_commit(struct world *w, const struct batch *b);
/* The flow whose task is the first of the tree of ti; 0: there is none. */
int64_t trees_flow_of(const struct world *w, int64_t ti);
void jobs_claimed(struct world *w, int64_t ti, const struct batch *b);
#define LONG_LEASES 20                                       /* an attempt takes at most so many leases */
bool jobs_pause(const struct world *w, int64_t ti, const struct batch *b);   /* its job is to be paused, as of this batch */
uint32_t jobs_attempts(const struct world *w, int64_t ti, const struct task_def *def);
void jobs_committed_check(struct world *w, const struct batch *b);
void jobs_answer(struct world *w, const struct op *o);
bool jobs_live(const struct world *w);
void jobs_idle(struct world *w);
void jobs_quiet(struct world *w);
void jobs_end(struct world *w);

/* sim_trees.c */
void trees_setup(struct world *w);                           /* after that of jobs */
enum attempt_end trees_answer(struct world *w, struct attempt *a);
void trees_commit(struct world *w, const struct batch *b);
void trees_committed(struct world *w, const struct batch *b);
void trees_end_of(struct world *w, const struct task_row *o, const struct task_row *n);
void trees_parent_ends(struct world *w, const struct task_row *o, const struct batch *b);
void trees_quiet(struct world *w);
void trees_end(struct world *w);

/* sim_oracle.c, sim_rebuild.c */
void oracle_commit(void *ctx, int64_t me, const struct batch *b);
void oracle_committed(void *ctx, int64_t me, const struct batch *b);
void oracle_broken(void *ctx, const char *what, int64_t id);
void oracle_answer(struct world *w, const struct op *o);
void oracle_start(struct node *n, const struct attempt *a);
void oracle_push(struct node *n, const struct hint *h);
void oracle_cache(struct node *n);                           /* cached runs of the last turn = their rows */
void oracle_gone(struct world *w);                           /* an attempt whose task is gone is killed at once */
void oracle_idle(struct world *w);                           /* in the calm: no slot is free for long while a task waits for it */
void oracle_quiet(struct world *w);                          /* all is over: nothing may be left */
bool oracle_live(const struct world *w);                     /* something is not final yet */
void oracle_done(struct world *w);
struct flow_def *oracle_flow_def(struct world *w, int64_t id, int64_t version);   /* borrowed */
struct task_def *oracle_task_def(struct world *w, int64_t id, int64_t version);

/* A run rebuilt from committed rows, fully known; freed by run_free(). base: base of each node, newest that has a row. */
struct run *rebuild(struct world *w, const struct mem_flow *f, struct flow_def *def);
void rebuild_check(struct world *w, const struct mem_flow *f);       /* counters, run_check() */
void rebuild_final(struct world *w, const struct mem_flow *f);       /* the outcome follows from the rows */
#endif
