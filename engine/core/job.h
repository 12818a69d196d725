/* A job: a set of tasks that grows while it runs, and the counters of its tasks by class. Pure; owns nothing; any thread.
 *
 * The row of a job is the lock of all its tasks (docs/explanation/protocol.md, rules 34 to 37): each change of one of them goes
 * through job_moved() under that lock and in the same commit, so the counters equal the rows at every commit. Whether the job
 * is final follows from the counters and from `closed`, in the commit of whatever changed last: job_decide().
 *
 * A wish about all tasks is carried out by a pass over them in slices; the wish stands in the row meanwhile, and each task that
 * an event touches before the pass has come to it obeys at once: job_wants().
 * What never happens: a job is final with a live task below it; the end of a job is found by looking at its tasks. */
#ifndef CORE_JOB_H
#define CORE_JOB_H
#include "ask.h"

/* X(name, number, final). Numbers are stored: never renumber. 9 and above is final, as of tasks. */
#define JOB_STATES(X) \
  X(RUNNING, 1, 0) X(PAUSED, 2, 0) X(CANCELING, 3, 0) X(DELETING, 4, 0) X(SUCCESS, 9, 1) X(FAILED, 10, 1) X(CANCELED, 12, 1)
enum job_state {
#define X(n, v, f) JOB_##n = v,
  JOB_STATES(X)
#undef X
  JOB__STATES
};
static inline bool job_final(enum job_state s) { return s >= JOB_SUCCESS; }
const char *job_state_name(enum job_state s);
bool job_state_known(uint8_t s);

/* What a task counts as. The first five live. RETRYING: it waits, and failed or was lost before. WAITING: for what it
 * added. */
enum job_class { JOB_NOT_STARTED, JOB_RETRYING, JOB_BUSY, JOB_ANALYZING, JOB_WAITING, JOB_OK, JOB_BAD, JOB_STOPPED, JOB__CLASSES,
                 JOB_NONE = JOB__CLASSES /* no row */ };
enum job_class job_class(const struct task *t);

/* Stored. What is wanted of all tasks. RESUME and RETRY last as long as their pass. A wish takes the place of the one before, but
 * not of a retry: that one runs tasks again, which no later wish but CANCEL and DELETE undoes. */
enum job_wish { JOB_WISH_NONE, JOB_WISH_PAUSE, JOB_WISH_CHECKPOINT, JOB_WISH_CANCEL, JOB_WISH_RESUME, JOB_WISH_RETRY,
                JOB_WISH_DELETE, JOB_WISH__N };
enum { JOB_FORCE = 1, JOB_NO_CLEAN_UP = 2,        /* how a deletion goes: bits of job.how */
       JOB_OF_FLOW = 4,                           /* of a tree: the pause, or its end, is that of the flow above */
       JOB_FLOW_ALL = 8,                          /* its end resumes what a user has paused, too: he had asked for that */
       JOB_MOVE_USER = 16, JOB_MOVE_GROUP = 32, JOB_MOVE_PRIORITY = 64, /* of a tree: all below get what its first has */
       JOB_MOVES = 112,
       JOB_RETRIES = 128,                         /* a retry is under way beside PAUSE, CHECKPOINT or RESUME, and comes first */
       JOB_AGAIN = JOB_FORCE };                   /* of a retry, never of a deletion: another lap of it comes */
#define JOB_PASS_WAITS INT64_MAX                  /* pass_at: the pause is carried out, and its flow will end it */

struct job {
  uint8_t state, wish, how;
  uint8_t closed;                 /* takes no more tasks from requests */
  uint8_t ignore;                 /* childFailure: ignore */
  bool pass;                      /* the wish's pass is under way: it has come to pass_at */
  int64_t pass_at;                /* ti */
  int64_t count[JOB__CLASSES];
  int64_t executions, timeouts, losses;
  int64_t gone_tasks, gone_attempts;   /* what the deletion has removed; attempts with those of clean-ups */
};
int64_t job_live(const struct job *j);
int64_t job_total(const struct job *j);

/* A task of the job has changed: from was to now; JOB_NONE = it had, or has, no row. */
void job_moved(struct job *j, enum job_class was, enum job_class now);
/* The state that follows from all else. A pass that has nothing left to do is over. */
void job_decide(struct job *j);

/* What a request wants. */
enum job_ask { JOB_ASK_CLOSE, JOB_ASK_CANCEL, JOB_ASK_PAUSE, JOB_ASK_CHECKPOINT, JOB_ASK_RESUME, JOB_ASK_RETRY, JOB_ASK__N };
/* The answer, by the state of the job; *j is changed and decided when it is ASK_OK. A pass begins where one is needed. */
enum ask_no job_asked(struct job *j, enum job_ask ask);

/* Of a tree: the task that added all others is run: what is paused below it goes on, whoever has paused it. flow_paused: it
 * waits for its flow. */
void job_run_below(struct job *j, bool flow_paused);
/* Of a tree: the first task has got another queue, as these JOB_MOVE_ say, and so has what lives below it. */
void job_move_below(struct job *j, uint8_t moves);
/* Of a tree below a task of a node: it is paused with its flow, and goes on with it. A pause that a user asked of the tree
 * stands. True: *j has changed. */
bool job_follow_flow(struct job *j, bool paused, bool checkpoint);

/* A deletion begins, goes on, or tries again what failed; how: JOB_FORCE, JOB_NO_CLEAN_UP, as this call says. ASK_BUSY: some of
 * it lives, and it is not forced. ASK_SAME: it is under way, and nothing is to be tried again. */
enum ask_no job_delete(struct job *j, uint8_t how);
/* It is deleted, and none of its tasks is left: only its own row is. */
static inline bool job_empty(const struct job *j) { return j->state == JOB_DELETING && job_total(j) == 0; }
/* Nothing of the deletion goes on by itself: all is gone, or what is left has failed. */
static inline bool job_stuck(const struct job *j) {
  return j->state == JOB_DELETING && job_live(j) == 0 && (job_empty(j) || !j->pass);
}

/* Its pass waits for its flow, and has nothing to do. */
static inline bool job_pass_waits(const struct job *j) { return j->pass && j->pass_at == JOB_PASS_WAITS; }
/* The pass has looked at every task; it begins anew for what came while a retry was under way. */
void job_pass_over(struct job *j);
/* What the wish wants of this task now; false: nothing. pass: the pass asks; else an event of the task itself, which RESUME and
 * RETRY do not concern. */
bool job_wants(const struct job *j, const struct task *t, bool pass, enum ask *out);
/* The same, where it is no wish of a user but the pause of the flow above, or the end of that. */
bool job_flow_wants(const struct job *j, const struct task *t, bool pass, enum task_ev *out);
#endif
