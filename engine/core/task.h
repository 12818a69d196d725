/* The state machine of one task instance: pure, without allocation or clock.
 *
 *   CREATED -> QUEUED -> RUNNING -> SUCCESS | FAILED | TIMEOUT | CANCELED | DEAD       (final)
 *      BLOCKED -^  ^        |  \--> CANCELING -> as end_as says (a result OK that nobody asked for wins)
 *                  |        |  \--> PAUSING -> PAUSED
 *                  |        v                    |
 *                  +--- RETRY_WAIT               |
 *                  +-----------------------------+
 *
 * CREATED was submitted to be run later. BLOCKED waits for its start time, or is held by the pause of its flow. A final state is
 * left in two ways only, both asked for and both of stand-alone tasks: it is run again, or it is deleted.
 *
 * Some shown states have no number of their own, because 9 and above is final in rows and in SQL. DELETING is phase DELETE with
 * a state that is not final: the attempt that ran is stopped (CANCELING), or the clean-up waits (QUEUED, RETRY_WAIT) or runs
 * (RUNNING, CANCELING). DELETE_FAILED is phase DELETE with FAILED. ANALYZING is phase ANALYSE with any state but PAUSED
 * (analyse.c). WAITING_CHILDREN is phase CHILDREN, which is CANCELING once it was canceled (children.c). task_shown() gives the
 * word.
 *
 * Facts: owner != 0 exactly in RUNNING, PAUSING, CANCELING. epoch grows by one at each claim and only there. due != 0
 * in RETRY_WAIT, in BLOCKED when its time is known, and in QUEUED when there is a queue timeout. end_as != TASK_NONE only in
 * CANCELING and in a BLOCKED task that its flow's pause holds. Every cell of state x event is decided in task.c, every cell
 * of shown state x wish in ask.c (docs/explanation/protocol.md); task_apply() and task_ask() are the only writers of `state`. */
#ifndef CORE_TASK_H
#define CORE_TASK_H
#include <stdbool.h>
#include <stdint.h>

/* X(name, number, final, S2's word). Numbers are stored: never renumber. */
#define TASK_STATES(X)              \
  X(NONE, 0, 0, "RUNNING")          \
  X(CREATED, 1, 0, "RUNNING")       \
  X(BLOCKED, 2, 0, "RUNNING")       \
  X(QUEUED, 3, 0, "RUNNING")        \
  X(RUNNING, 4, 0, "RUNNING")       \
  X(RETRY_WAIT, 5, 0, "RUNNING")    \
  X(PAUSING, 6, 0, "RUNNING")       \
  X(PAUSED, 7, 0, "RUNNING")        \
  X(CANCELING, 8, 0, "RUNNING")     \
  X(SUCCESS, 9, 1, "SUCCESS")       \
  X(FAILED, 10, 1, "FAILED")        \
  X(TIMEOUT, 11, 1, "FAILED")       \
  X(CANCELED, 12, 1, "FAILED")      \
  X(DEAD, 13, 1, "FAILED")
enum task_state {
#define X(n, v, f, s) TASK_##n = v,
  TASK_STATES(X)
#undef X
  TASK__N
};
#define TASK_FINAL_MIN TASK_SUCCESS
static inline bool task_final(enum task_state s) { return s >= TASK_FINAL_MIN; }
const char *task_state_name(enum task_state s);   /* "RETRY_WAIT" */
const char *task_state_status(enum task_state s); /* S2's word */

/* What users see: the states above, by the same numbers, and the two of phase DELETE. Never stored. */
enum task_shown {
#define X(n, v, f, s) SHOWN_##n = v,
  TASK_STATES(X)
#undef X
  SHOWN_DELETING, SHOWN_DELETE_FAILED, SHOWN_ANALYZING, SHOWN_WAITING_CHILDREN, SHOWN__N
};
const char *shown_name(enum task_shown s);             /* "DELETE_FAILED" */

/* Stored. What the attempt that runs, or the next one, is for. */
enum task_phase { PHASE_RUN, PHASE_DELETE, PHASE_ANALYSE, PHASE_CHILDREN };
/* Stored. RUN: it is PAUSING, and a user asked to run it meanwhile: QUEUED as soon as it has stopped. FLOW: the pause of its flow
 * stops it (PAUSING) or has stopped it (PAUSED), so the flow's resume takes it up. A task that a user paused has NONE. */
enum task_resume { RESUME_NONE, RESUME_RUN, RESUME_FLOW };
/* Why an attempt is told to stop: the numbers of WEIR_STOP_* in weir.h. */
enum task_stop { STOP_NONE, STOP_PAUSE, STOP_CANCEL, STOP_DELETE, STOP_SHUTDOWN, STOP_TIMEOUT, STOP_FENCED };

enum task_ev {
  TASK_EV_CLAIM,        /* its hint was popped, or this node takes it at once */
  TASK_EV_OK,           /* result of the current attempt */
  TASK_EV_FAIL,
  TASK_EV_LOST,         /* the owner is dead or has restarted, or its deadline has passed */
  TASK_EV_HANDBACK,     /* planned stop: back to the queue, no loss counted */
  TASK_EV_NOT_NOW,      /* exit 75 or a report `again`, without a stop of ours: tried again later, not counted */
  TASK_EV_TIMEOUT,      /* run timeout, reported by the owner */
  TASK_EV_QUEUE_TIMEOUT,
  TASK_EV_DUE,          /* due_us has come: the start time, the end of RETRY_WAIT, or the queue timeout is over */
  TASK_EV_CANCEL,       /* a user's or the flow's wish */
  TASK_EV_REST_RUN_ON,  /* node decided, rest: run_on */
  TASK_EV_REST_CANCEL,  /* node decided, rest: cancel */
  TASK_EV_HOLD,         /* its flow is paused: nothing that waits starts */
  TASK_EV_CHECKPOINT,   /* its flow is paused, and what runs is stopped too */
  TASK_EV_TAKE_UP,      /* its flow goes on */
  TASK_EV_CHILDREN,     /* all that it added have ended; in phase DELETE: all that it added are gone */
  TASK_EV__N,
  TASK_ATTEMPT_PAUSED = TASK_EV__N  /* no event: how an attempt ended that stopped because it was asked to; "PAUSED" */
};
const char *task_ev_name(enum task_ev e);

/* What an analyzer has said of an attempt; numbers are stored. NOTHING: it gave no answer that counts. */
enum task_said { SAID_NOTHING, SAID_DONE, SAID_FAILED, SAID_RETRY, SAID__N };
const char *said_name(enum task_said s);   /* "done"; NULL: nothing */

enum on_lost { ON_LOST_RETRY, ON_LOST_FAIL };
enum jitter { JITTER_FULL, JITTER_EQUAL, JITTER_NONE };

/* What a task's definition says about its attempts. Immutable. */
struct task_policy {
  uint32_t attempts;          /* 1..101; 1 = no retry */
  int64_t backoff_base_us;    /* delay before attempt 2 */
  int64_t backoff_cap_us;
  double backoff_factor;      /* >= 1 */
  enum jitter jitter;
  enum on_lost on_lost;
  int64_t queue_timeout_us;   /* most time in QUEUED, 0 = none */
  uint8_t slot;               /* enum slot_class of the executor: what a running attempt occupies */
  uint16_t list;              /* where its hints go: hint_lists.h; 0 = the shared list */
  uint16_t cost;              /* how many slots of that class; 0 counts as 1 */
  uint8_t elsewhere;          /* this node cannot run it: it is neither taken home nor claimed here */
  const char *type;           /* the task type that its limits name: one that was registered at run time; NULL = no such one */
  uint8_t cleans_up;          /* its type, or its configuration, has a clean-up that a deletion runs */
  uint8_t parts;              /* somebody elsewhere may work for it between its attempts: told when it ends there (AFTER_PART) */
  uint8_t calls;              /* it has an analyzer: how often that is called for one attempt, 1..101; 0 = it has none */
};
/* What an attempt occupies while it runs: an entry of the process table, or memory only; an analysis is no task's attempt and has
 * a bound of its own. Each class has its own queue and capacity. */
enum slot_class { SLOT_PROCESS, SLOT_ASYNC, SLOT_ANALYSIS, SLOT__N };
extern const struct task_policy task_policy_analysis; /* what an analysis costs */
extern const struct task_policy task_policy_default; /* 1 attempt, 1 s, x2, 5 min, full jitter, retry on loss */

#define TASK_EPOCH_MAX 0x7fffffffu  /* a row with a greater epoch is damaged: no task is claimed this often */
/* The low bits of an epoch count attempts, the high ones the analyses of that attempt: so each claim has an epoch of its own, and
 * an analysis knows which attempt it is about. After 127 analyses of one attempt the numbers come again. */
#define TASK_ATTEMPT_MAX 0xffffffu
static inline uint32_t task_attempt_of(uint32_t epoch) { return epoch & TASK_ATTEMPT_MAX; }

/* The mutable part of a task instance: what every node must agree on. */
struct task {
  enum task_state state : 8;
  enum task_state end_as : 8; /* CANCELING: what it becomes; in phase DELETE: see ask.h. BLOCKED: what its flow's pause holds.
                                 Phase ANALYSE: how the attempt ended, SUCCESS or FAILED */
  uint8_t losses;
  uint8_t cancel_requested;
  uint8_t phase;              /* enum task_phase */
  uint8_t resume;             /* enum task_resume; NONE in all states but PAUSING and PAUSED */
  uint8_t again;              /* NOT_NOW answers in this run, at most LIMIT_AGAIN; in the clean-up they count anew. Phase ANALYSE:
                                 calls of the analyzer that failed */
  uint32_t epoch;             /* of the newest claim; 0 = never claimed. task_attempt_of() it is the number of the attempt */
  uint32_t tries;             /* user attempts that ended by FAIL or TIMEOUT */
  int64_t owner;              /* incarnation of the node that runs it, 0 = none */
  int64_t start_us;           /* newest claim that was none of an analysis, 0 = never */
  int64_t due_us;             /* end of RETRY_WAIT; BLOCKED: its start time; QUEUED: its queue timeout, 0 = none */
  int64_t version;            /* of its definition, pinned when the instance was made */
};

struct task_event {
  enum task_ev kind;
  int64_t now_us;
  int64_t owner;              /* CLAIM: the new owner. OK FAIL LOST HANDBACK NOT_NOW TIMEOUT: who reports */
  uint32_t epoch;             /* OK FAIL LOST HANDBACK NOT_NOW TIMEOUT: of the attempt */
  uint8_t fatal;              /* FAIL: no retry (exit 125, a report `fail` with retry:false ..) */
  uint8_t asked;              /* OK FAIL: it came after the attempt had been told to stop */
  uint8_t remove;             /* OK FAIL: when the task becomes final by it, its rows go in the same commit */
  uint8_t analyse;            /* OK FAIL: the attempt ended by itself, so its analyzer is asked first */
  uint8_t said;               /* phase ANALYSE, OK: enum task_said */
  uint8_t waits;              /* SAID_DONE: it has added tasks, and waits for them */
  uint8_t bad;                /* CHILDREN: some of them did not succeed, and that matters */
  uint8_t may_retry;          /* FAIL NOT_NOW TIMEOUT DUE: 0 = no further try: the node is decided, or nothing new may start */
  uint8_t may_requeue;        /* LOST: 0 = it is not run again, because the node is decided or the flow is cancelled */
  uint64_t rnd;               /* jitter */
  int64_t after_us;           /* NOT_NOW, SAID_RETRY: how long it waits, 0 = as the policy says */
};

/* What happened. Bits: the caller turns them into rows and messages. */
enum task_out {
  TASK_OUT_CHANGED = 1,       /* the row must be written */
  TASK_OUT_ENDED = 2,         /* became final */
  TASK_OUT_REQUEUED = 4,      /* became QUEUED: push its hint, or claim it at once */
  TASK_OUT_WAITS = 8,         /* became RETRY_WAIT or BLOCKED until due_us: set a timer */
  TASK_OUT_CLAIMED = 16,      /* became RUNNING: start it */
  TASK_OUT_KILL = 32,         /* an attempt that runs must stop: tell its owner; task_stop() says why */
  TASK_OUT_ATTEMPT_ENDED = 64,/* an attempt ended and the task goes on: keep it in task_attempt */
  TASK_OUT_LATE = 128,        /* a report of another attempt, or after the end: log only */
  TASK_OUT_REFUSED = 256,     /* a client asked for what the state does not allow */
  TASK_OUT_GONE = 512,        /* the rows of the task are deleted in this commit. Its struct says only how it ended */
  TASK_OUT_BELOW = 4096,      /* what it added is to follow it */
  TASK_OUT_GIVEN_UP = 2048,   /* with KILL: the call of an analyzer, whose end nobody waits for */
  TASK_OUT_RUN_AGAIN = 1024   /* it was final and is run again: runNo + 1, progress and result are cleared */
};

/* Applies ev; returns a set of enum task_out (0 = nothing to do). Never fails. */
unsigned task_apply(struct task *t, const struct task_event *ev, const struct task_policy *pol);
/* errorMsg of a task that has just changed from `was`. text: what the attempt itself says, NULL = nothing. Returns NULL = keep
 * the old text, "" = clear it (the error of a former try). */
const char *task_error(const struct task *t, const struct task *was, const char *text);
/* How the error of an attempt that ended by NOT_NOW begins; what it says itself follows. */
#define TASK_NOT_NOW "It asked to be tried again later"
/* Why an attempt ended that another one follows. Not always `kind`: an attempt that its run timeout killed reports FAIL. */
enum task_ev task_attempt_why(const struct task *was, enum task_ev kind);
/* The same for the last attempt of a final task that is run again or cleaned up. */
enum task_ev task_last_why(const struct task *was);
/* Becomes QUEUED for the first time. */
void task_queue(struct task *t, const struct task_policy *pol, int64_t now_us);
/* What a new instance becomes: CREATED (hold), BLOCKED until start_at_us, or QUEUED. Returns a set of enum task_out. */
struct task_start { int64_t at_us; uint8_t hold; };   /* at_us: 0 or past = now */
unsigned task_begin(struct task *t, const struct task_start *start, const struct task_policy *pol, int64_t now_us);
enum task_shown task_show(const struct task *t);
const char *task_shown(const struct task *t);         /* its name */
/* Why the attempt that runs is being stopped, as far as the row says; STOP_NONE: it is not. FENCED: its task is gone, so it is
 * killed without a grace. */
enum task_stop task_stop(const struct task *t);
/* It counts under maxRunning: an attempt of a run is there. The clean-up does not count. */
bool task_counts(const struct task *t);
/* The first fact above that does not hold, as in a damaged row; NULL = all hold. */
const char *task_fault(const struct task *t);
void task_check(const struct task *t);   /* aborts at a fault */
/* min(cap, base * factor^(n-1)), jittered; n = attempts that failed so far, >= 1. */
int64_t task_backoff(const struct task_policy *pol, uint32_t n, uint64_t rnd);
#endif
