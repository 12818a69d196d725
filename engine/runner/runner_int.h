/* Private to the runner: its parts in one place, and the files that put the parts together. Each of these files calls only those
 * above it in this list, which a test proves (tests/lint):
 *
 *   wait.c      hints come in, wait and go out; limits
 *   req.c       what all requests share
 *   ask.c       wishes about tasks
 *   job.c       jobs: made, asked, carried on
 *   submit.c    stand-alone tasks are made
 *   tree.c      tasks that a verdict adds, and what follows for the task that added them
 *   request.c   one request of the API of any kind
 *   handle.c    one event of any kind
 *   rows.c      effects of a batch -> its rows, and the attempts that will start
 *   after.c     the batch has committed: what may be seen now goes out
 *   batch.c     one batch, and what follows from its outcome
 *   runner.c    the turn
 *   post.c      what other threads may call
 *   runner_thread.c   the thread */
#ifndef RUNNER_INT_H
#define RUNNER_INT_H
#include "admission.h"
#include "alone_keys.h"
#include "answers.h"
#include "cache.h"
#include "drain.h"
#include "env.h"
#include "event.h"
#include "keys.h"
#include "jobs.h"
#include "later.h"
#include "lease.h"
#include "loader.h"
#include "lost_hints.h"
#include "mailbox.h"
#include "quarantine.h"
#include "reconciler.h"
#include "step.h"
#include "tell.h"
#include "timers.h"
#include "trees.h"
#include "wait.h"
#include "watch.h"

/* The rows of a batch, and the attempts that start when it has committed. */
struct writer {
  struct batch b;
  size_t cap_flow, cap_node, cap_task, cap_attempt, cap_key, cap_async, cap_job;
  int64_t *gone; size_t cap_gone;     /* batch.gone */
  struct tree_row *trees; size_t cap_tree;     /* batch.tree */
  struct queue_rate *rates; size_t cap_rate;   /* batch.rate */
  struct count_note *notes; size_t cap_note;   /* batch.note; names are those of runs and queues */
  int64_t *unnotes; size_t cap_unnote;         /* batch.unnote */
  struct attempt_said *said; size_t cap_said;  /* batch.said */
  struct attempt_row *former; size_t n_former, cap_former;  /* last attempts of tasks that are run again, in env.mem */
  struct whose_row *whose; size_t n_whose, cap_whose;   /* batch.whose; texts in env.mem */
  struct attempt *starts, **starts_tail;
  struct attempt *partings, **partings_tail;
  struct buf text;                    /* the text of a row that is being built */
  struct cached *last;                /* the last answer of cached_of(), within one rows_make() */
  uint64_t seq;                       /* the number in the id of the last batch */
};

/* When the next batch may be tried, and how large it may be. */
struct pace {
  size_t limit;                       /* most events of the next batch; halved while the store refuses them for good */
  uint32_t n_retry; int64_t retry_us; /* batches in a row that ended with "try again"; boot time of the first */
  int64_t pause_us, again_us;         /* the store is away: the pause, and boot time of the next try */
};

struct runner {
  struct env env;
  struct mailbox mail;
  struct watch watch;
  struct events events;               /* what waits, in order */
  struct timers timers, flow_timers;  /* by ti; by fi */
  struct admission admission;
  struct queues queues;
  struct waiting waiting;
  struct cache cache;
  struct later later;
  struct keys keys;
  struct alone_keys alone_keys;
  struct jobs jobs;
  struct trees trees;
  struct lease lease;
  struct drain drain;
  struct reconciler reconciler;
  struct quarantine quarantine;
  struct lost_hints lost;
  struct tell tell;
  struct loader loader;
  struct stepper step;
  struct answers answers;
  struct writer writer;
  struct pace pace;
  struct node_info info;
  uint64_t types;                    /* defs_types() when the cache of runs was emptied for it last */
  pthread_t thread;
  atomic_bool thread_over;           /* its last word */
};

/* req.c. The ids of a request stay its own when its batch is made again. A failure to read a definition is an answer, or ends the
 * batch. */
enum store_rc req_ids(struct runner *r, struct req *q, enum id_kind kind, uint32_t n) WR_MUST;
enum store_rc req_refuse_err(struct req *q, enum wr_rc rc, const struct wr_err *err);

/* req.c. Of a flow: somebody says whose its tasks are (ti 0), or one of them is; goes out with this batch. */
void whose_said(struct runner *r, struct cached *c, int64_t ti, const struct queue_spec *q);

/* submit.c, ask.c, request.c, handle.c: an answer other than OK ends the batch. */
enum store_rc handle_request(struct runner *r, struct ev *e) WR_MUST;
enum store_rc handle_event(struct runner *r, struct ev *e) WR_MUST;
enum store_rc submit(struct runner *r, struct ev *e) WR_MUST;
void submit_replayed(struct runner *r, struct req *q, int64_t first_id);
enum store_rc ask(struct runner *r, struct ev *e) WR_MUST;
/* A wish about a cached task, and what it changes beside its state. */
struct ask_answer { enum ask_no no; enum task_shown shown; };
/* This batch makes the task, or ends the run that another one is to follow: the wish comes again with the next batch. */
bool ask_waits(const struct cached *c, enum ask ask);
enum wr_rc ask_no_code(enum ask_no no);   /* of a wish about a task or a job; WR_OK: nothing refuses it */
enum store_rc ask_apply(struct runner *r, struct cached *c, uint32_t task, const struct req_ask *a,
                        struct ask_answer *got) WR_MUST;

/* ask.c: what is wanted of all tasks of its job is done with this one, as far as an event of its own, or the pass, has to. */
enum store_rc ask_obey(struct runner *r, struct cached *c, bool pass) WR_MUST;
/* ask.c: what of the queue of ti these JOB_MOVE_ name, in the arena of the batch; and a task below it gets that, if its state
 * allows. itself: whoever asks goes over what is below that one, too. */
enum store_rc ask_queue_of(struct runner *r, int64_t ti, uint8_t moves, struct queue_spec *out) WR_MUST;
enum store_rc ask_move(struct runner *r, struct cached *c, const struct queue_spec *q, bool itself) WR_MUST;
/* job.c. open: q->rc or q->replayed says when nothing is to be made. after: the batch has committed. */
enum store_rc job_open(struct runner *r, struct req *q, bool adds) WR_MUST;
enum store_rc job_make(struct runner *r, struct req *q) WR_MUST;
enum store_rc job_request(struct runner *r, struct ev *e) WR_MUST;
enum store_rc job_pass(struct runner *r, struct ev *e) WR_MUST;
void job_after(struct runner *r);

/* submit.c: a task that a verdict has added; its def, and what the tree says of it. */
struct submit_below { struct queue_view of; int64_t job, parent, root, since_us; uint32_t depth; };
enum store_rc submit_below(struct runner *r, struct req_task *t, struct task_def *def, const struct submit_below *b) WR_MUST;

/* tree.c. verdict: of an analysis that adds tasks; it is applied with them. settle: parents that may end by what this batch did.
 * event: what a task has added follows it. after: the batch has committed. */
enum store_rc tree_verdict(struct runner *r, struct ev *e, struct run_event *ev) WR_MUST;
enum store_rc tree_settle(struct runner *r) WR_MUST;
enum store_rc tree_event(struct runner *r, struct ev *e) WR_MUST;
enum store_rc tree_flow_event(struct runner *r, const struct ev *e) WR_MUST;
void tree_after(struct runner *r);

/* rows.c: fills writer.b. *any: there is something to write. */
enum store_rc rows_make(struct runner *r, bool *any) WR_MUST;
void rows_forget(struct runner *r);                  /* also the attempts that were to start */

/* after.c */
void after_commit(struct runner *r);

/* batch.c */
void batch_turn(struct runner *r);                   /* makes a batch of what waits */
void batch_resolve(struct runner *r);                /* asks about a batch whose COMMIT is in doubt */
static inline bool batch_in_doubt(const struct runner *r) { return r->events.in_doubt; }
/* A call of the store ended with rc: pauses, and refuses requests when the fault lasts. */
void runner_store_failed(struct runner *r, enum store_rc rc);
void runner_fenced(struct runner *r);                /* this node was declared dead */

/* runner.c */
void runner_check(struct runner *r);                 /* the facts of every part; debug builds, tests and the simulator */
#endif
