/* One flow instance in memory. It changes only by run_step(), by run_drain(), and by the caller's decision about each task that
 * these made ready. Pure: time, randomness and definitions come in with the call. What must be written, and what may be done
 * after the commit, goes out as effects (`eff`). One owner (the runner thread).
 *
 *   node:  NONE -> WAITING (has tokens) -> RUNNING -> SUCCESS | FAILED
 *            \________\-> UPSTREAM_FAILED | SKIPPED | CANCELED
 *   flow:  RUNNING <-> PAUSED -> SUCCESS | FAILED;  both -> CANCELING -> CANCELED   (only a re-run leaves a final state)
 *
 * When a node ends, each out-edge gets exactly one token (OK, FAIL or SKIP). The rule of a node decides it by its tokens: all are
 * in and OK = it starts, once; one is FAIL = UPSTREAM_FAILED; otherwise SKIPPED. When one event makes more ready than the batch
 * may write, the rest stays on `more`. This is a stack of (node, next child), stored in the flow row.
 *
 * Partial runs: a node is unknown until its row was read. When run_step() or run_drain() needs unknown nodes, it lists them and
 * answers RUN_NEED. The caller reads their rows, hands them in by run_load_*() and calls again. A run that was started here knows
 * all its nodes. run_check() checks the facts that hold between calls.
 *
 * A stand-alone task is a run of one node (run_new_alone()): its fi is 0, its own row is its lock, and its flow and node have no
 * rows. The core says what is ready and never counts slots: each task that became ready is an effect AFTER_READY, and the caller
 * decides before the rows are written whether this node takes it (run_take()) or its hint goes to the queue (run_leave()). */
#ifndef CORE_RUN_H
#define CORE_RUN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "ask.h"
#include "bases.h"
#include "dag.h"
#include "mem.h"
#include "states.h"
#include "task.h"

struct run_task {
  struct task t;
  uint32_t eff;        /* 1 + its place in effects.task of the batch under way, 0 = it has no effect */
  uint32_t row : 8, executor : 24;   /* its row exists in the store; version of its executor when it was made, 0 = it has none */
};

struct run_node {
  uint8_t state;       /* enum node_state */
  uint8_t known;       /* its row was read; see run_known() */
  uint8_t row;         /* its row exists in the store */
  uint16_t base;       /* index into run.base: which run its rows belong to */
  uint16_t wide;       /* 1 + index into run.wide, which says its tasks; 0 = the tasks of the dag */
  uint32_t ok, fail, skip;            /* tokens */
  uint32_t t_ok, t_bad, t_open;       /* its tasks: SUCCESS, ended otherwise, not ended */
  uint32_t t_canceled;                /* of t_bad */
  uint32_t eff;        /* as in run_task */
  int64_t start_us, end_us;
  uint64_t skip_edges; /* after SUCCESS: the out-edges (bit k: the k-th) that get SKIP instead of OK */
};
#define SKIP_EDGES_MAX 64             /* only the first out-edges of a node, this many, can be left out */
struct run_more { uint32_t node, pos; };  /* node: emit to its children from pos on; n = the root's */
#define MORE_SWEEP UINT32_MAX             /* pos..n-1: end what has not started, cancel what has */
#define MORE_EVAL (UINT32_MAX - 1)        /* pos..n-1: decide nodes whose tokens were there before a re-run */
#define MORE_HOLD (UINT32_MAX - 2)        /* pos..n-1: the flow is paused (pause.c): hold what waits */
#define MORE_CHECKPOINT (UINT32_MAX - 3)  /* the same, and stop what runs */
#define MORE_TAKE_UP (UINT32_MAX - 4)     /* pos..n-1: the flow goes on: take up what its pause stopped */
#define MORE_LAST MORE_TAKE_UP            /* less than that: a node */

/* The definition that a task of the dag is bound to now, and the version of its executor (or 0). queue: the caller's. */
struct task_bind { const struct task_policy *pol; int64_t version; const struct queue_spec *queue; uint32_t executor; };

struct run {
  int64_t fi;
  struct dag *dag;                /* a reference */
  const struct task_bind *bind;   /* dag->n_task entries, the caller's; valid during a step */
  int64_t version;                /* of the flow row, as last read or committed */
  uint8_t state, wish, row;       /* enum flow_state, enum wish */
  uint8_t whole;                  /* started here: every node is known */
  uint8_t text_error;             /* the flow row has an error text */
  uint8_t hold;                   /* bits of enum run_hold; 0 in every state but PAUSED */
  uint8_t whose;                  /* 1: somebody said whose its tasks are, and the store has more of it; the caller's */
  uint32_t live;                  /* tasks that have not ended */
  uint32_t failed;                /* nodes in FAILED, UPSTREAM_FAILED, CANCELED */
  int64_t create_us, end_us;
  int64_t last_us;                /* the newest time that was written: time never runs backwards within a flow */
  int64_t due_us;                 /* flow timeout, 0 = none */
  uint32_t eff;                   /* 1 + place in effects.flow */
  struct run_more *more; size_t n_more, cap_more;
  struct run_base *base; size_t n_base, cap_base;
  struct run_wide *wide; size_t n_wide, cap_wide;   /* nodes that were made wider: bases.h */
  uint32_t widen;                 /* 1 + the node that starts when its width is known; only within a step */
  struct run_node *node;          /* dag->n */
  struct run_task *task;          /* n_task: those of the dag, then those of each wide node */
  uint32_t n_task, cap_task;
  struct run_more more_room[2];   /* first memory of `more` and `base`: most runs need no other */
  struct run_base base_room[1];
};
/* What ran was stopped too; nodes are ready, and start at the resume. */
enum run_hold { HOLD_CHECKPOINT = 1, HOLD_NODES = 2 };
/* The column `wish` holds all three: wish, hold and whose. false: the number is damaged. */
enum { RUN_WHOSE_BIT = 64 };
static inline uint8_t run_wish_column(const struct run *r) { return (uint8_t)(r->wish | r->hold << 4 | r->whose << 6); }
bool run_wish_load(struct run *r, uint8_t column);
static inline bool run_alone(const struct run *r) { return r->fi == 0; }   /* a stand-alone task */

enum after_kind {
  AFTER_READY,        /* QUEUED: the caller decides, by run_take() or run_leave(); none is left when the rows are written */
  AFTER_NONE,         /* it was ready, and no longer is */
  AFTER_START,        /* this node claimed it: execute */
  AFTER_PUSH,         /* QUEUED: push its hint; set a timer when it has a queue timeout */
  AFTER_BELOW, AFTER_KILL, /* what it added is to follow it; CANCELING, PAUSING or gone: tell its owner; task_stop() says why */
  AFTER_TIMER,        /* RETRY_WAIT, BLOCKED: set a timer, which rings TASK_EV_DUE at due_us */
  AFTER_FLOW_DONE, AFTER_TREES, AFTER_PART /* the flow is final; its trees follow it; a task ended: its work elsewhere is told */
};

/* error: NULL = keep, "" = clear. of_node: 1 + the node whose error it is; 0 = it is not the error of a node. */
struct eff_flow { struct run *r; const char *error; uint32_t of_node; };
struct eff_node { struct run *r; uint32_t node; const char *error; };
/* gone: its rows are deleted, and its run leaves the cache. analysed: its row says what the attempt was. parts: of the runner. */
struct eff_task { struct run *r; uint32_t task; const char *error; const void *result; uint8_t gone, analysed, parts; };
struct eff_attempt { struct run *r; uint32_t task, epoch; int64_t owner, start_us, end_us; enum task_ev why; const char *error;
                     const void *result; };
struct eff_after {
  enum after_kind kind;
  struct run *r;
  uint32_t task, epoch, tries;    /* tries: PART: before it ended */
  int64_t owner;
  const struct task_policy *pol;  /* READY, START: what it costs; valid during the step */
  uint8_t slot, given_up; uint16_t list;   /* READY, START, PUSH; KILL of a call of an analyzer, without a grace; PUSH: whither */
};

/* The effects of one batch, over all its runs. Arrays are grown as needed and kept for the next batch. A row appears once,
 * with its newest content; run_node.row and run_task.row tell an insert from an update. Texts are borrowed. */
struct effects {
  struct eff_flow *flow; size_t n_flow, cap_flow;
  struct eff_node *node; size_t n_node, cap_node;
  struct eff_task *task; size_t n_task, cap_task;
  struct eff_attempt *attempt; size_t n_attempt, cap_attempt;
  struct eff_after *after; size_t n_after, cap_after;
};
/* After COMMIT OK: marks rows as stored, sets versions to `version`, and empties the lists. */
void effects_commit(struct effects *e, int64_t version);
/* Empties the lists only: the caller drops their runs. */
void effects_clear(struct effects *e);
void effects_done(struct effects *e);

struct run_ctx {
  int64_t now_us;
  int64_t me;                     /* incarnation of this node */
  int64_t budget;                 /* how many more rows this batch may make ready */
  uint64_t rnd;                   /* state of rand_next() */
  struct effects *out;
  uint32_t *need; size_t n_need, cap_need;  /* nodes to read, after RUN_NEED */
  uint32_t widen;                 /* after RUN_WIDEN: the node that needs its width */
  enum ask_no no;                 /* after RUN_EV_ASK, PAUSE, RESUME: the answer; RUN_REFUSED when it is beyond ASK_SAME */
  unsigned did;                   /* after RUN_EV_ASK that was not refused: what it did, a set of enum task_out */
};

enum run_rc {
  RUN_OK,
  RUN_NEED,      /* run_step did nothing, or run_drain did a part: read ctx->need, call again */
  RUN_WIDEN,     /* run_drain: a node needs its width to start: run_widen() for ctx->widen, call again */
  RUN_MORE,      /* run_drain: the budget is used up; go on in a later batch */
  RUN_LATE,      /* a report that no longer counts, or anything of a task that is gone in this batch; nothing changed */
  RUN_REFUSED    /* the state does not allow it; nothing changed */
};

enum run_ev {
  RUN_EV_START, RUN_EV_TASK, RUN_EV_CANCEL, RUN_EV_TIMEOUT, RUN_EV_RERUN,
  RUN_EV_ASK,                     /* a user's wish for one task */
  RUN_EV_PAUSE, RUN_EV_RESUME     /* a user's wish for the flow */
};
struct run_event {
  enum run_ev kind;
  uint32_t task;                  /* RUN_EV_TASK, RUN_EV_ASK: index */
  struct task_event ev;           /* RUN_EV_TASK; now_us is taken from the context */
  const struct task_policy *pol;  /* RUN_EV_TASK, _ASK: that of the instance's version; NULL = the one bound now */
  const char *error;              /* RUN_EV_TASK, RUN_EV_TIMEOUT: text for errorMsg, NULL = none; borrowed by the effects */
  const void *result;             /* RUN_EV_TASK: passed through to the effect */
  uint64_t skip_edges;            /* RUN_EV_TASK: if its node succeeds by this event, these out-edges get SKIP */
  uint32_t node;                  /* RUN_EV_RERUN: from this node; RERUN_FAILED = what failed */
  uint8_t checkpoint;             /* RUN_EV_PAUSE: what runs is stopped too */
  uint8_t force, below;           /* RUN_EV_ASK: of a deletion */
  enum ask ask;                   /* RUN_EV_ASK */
  struct run_base base;           /* RUN_EV_RERUN: ids of the new run */
  const struct task_start *start; /* RUN_EV_START of a stand-alone task; NULL = at once */
};
#define RERUN_FAILED UINT32_MAX

/* A new run, all nodes known and NONE. base: the ids of node 0 and task 0. Takes its own reference of d. */
struct run *run_new(struct dag *d, int64_t fi, struct run_base base, enum flow_state state);
/* The run of a stand-alone task, not started. one: dag_one(). */
struct run *run_new_alone(struct dag *one, int64_t ti);
/* The same, from its row; NULL: the row is damaged. */
struct run *run_load_alone(struct dag *one, int64_t ti, const struct task *t);
void run_free(struct run *r); /* NULL is fine */
/* Right after run_new(), for a run whose rows are in the store: no node is known. Costs nothing per node. */
void run_forget(struct run *r);
static inline bool run_known(const struct run *r, uint32_t node) { return r->whole || r->node[node].known; }

/* Applies one event. RUN_EV_RERUN needs every node known. After RUN_OK call run_drain().
 * A stand-alone task that is final may be asked to run again or to be deleted: its run then goes on, or its rows are gone. */
enum run_rc run_step(struct run *r, const struct run_event *ev, struct run_ctx *c);
/* Delivers tokens, starts nodes, ends the flow. RUN_OK = nothing is left to do now. */
enum run_rc run_drain(struct run *r, struct run_ctx *c);

/* After RUN_WIDEN: the node has n tasks, whose ids begin at ti. With n = 0 the node is skipped. When n or the number of wide
 * nodes is beyond its limit (LIMIT_WIDTH, LIMIT_WIDE_NODES) the node fails and says so. In both cases ti is not used. */
void run_widen(struct run *r, struct run_ctx *c, uint32_t n, int64_t ti);

/* Decides effects.after[i], which is AFTER_READY. run_take: this node claims the task. run_leave: its hint goes to the queue.
 * Neither changes a task that no longer waits (its flow was canceled in the same batch): the effect becomes AFTER_NONE, and
 * run_take() returns false. */
bool run_take(struct run_ctx *c, size_t i);
void run_leave(struct run_ctx *c, size_t i);

/* After RUN_EV_RERUN: the kept node whose failure came first, UINT32_MAX = none. The caller reads its error text and passes it to
 * run_blame(): the flow takes this error over. */
uint32_t run_kept_failure(const struct run *r);
void run_blame(struct run *r, struct run_ctx *c, uint32_t node, const char *error);

/* These take what was read. run_load_none(): the node has no row. Tasks of a node must be loaded before the node. */
void run_load_none(struct run *r, uint32_t node);
/* The index of task instance ti in that run of the flow; -1 = it is not of that run. */
int64_t run_task_in(const struct run *r, uint16_t base, int64_t ti);
/* The ids of a node's tasks in that run. */
struct run_ids { int64_t ti; uint32_t n; };
struct run_ids run_task_ids(const struct run *r, uint16_t base, uint32_t node);
/* false: the row is damaged (an impossible index or state); nothing was taken. */
bool run_load_task(struct run *r, int64_t task, const struct task *t);
bool run_load_node(struct run *r, int64_t node, const struct run_node *v);

/* The tasks of a node: index of the first, and how many. */
struct run_tasks { uint32_t at, n; };
static inline struct run_tasks run_node_tasks(const struct run *r, uint32_t node) {
  const struct dag_node *d = &r->dag->node[node];
  const struct run_wide *w = r->node[node].wide ? &r->wide[r->node[node].wide - 1] : NULL;
  return w ? (struct run_tasks){w->at, w->n} : (struct run_tasks){d->task_at, d->n_task};
}
const struct run_wide *run_wide_at(const struct run *r, uint32_t task);   /* task: an index after those of the dag */
static inline uint32_t run_node_of(const struct run *r, uint32_t task) {
  return task < r->dag->n_task ? dag_node_of_task(r->dag, task) : run_wide_at(r, task)->node;
}
/* The task of the dag by which it is defined: itself, or the pattern of its wide node. */
static inline uint32_t run_pattern(const struct run *r, uint32_t task) {
  return task < r->dag->n_task ? task : r->dag->node[run_wide_at(r, task)->node].task_at;
}
static inline int64_t run_ni(const struct run *r, uint32_t node) { return r->base[r->node[node].base].ni + node; }
int64_t run_ti(const struct run *r, uint32_t task);
/* The index of task instance ti. UINT32_MAX = it is not of this flow instance, or a newer run has replaced its row. */
uint32_t run_task_of(const struct run *r, int64_t ti);
void run_base_add(struct run *r, struct run_base b);
/* `more` as stored: "5:2000,17:0"; false when the text is not of that form, or a number is out of range. */
void run_more_text(const struct run *r, struct buf *out);
bool run_more_parse(struct run *r, const char *s, size_t n);
/* The first fact of a fully known run that does not hold, as when its rows are damaged; NULL = all hold. */
const char *run_fault(const struct run *r);
void run_check(const struct run *r);   /* aborts at a fault */
#endif
