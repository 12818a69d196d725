/* Jobs of a batch: their heads are locked before any other row of the batch, stay locked until its end, and are written once with
 * it, however many of their tasks it changes (docs/explanation/protocol.md, rules 34 to 37). Nothing is kept between two batches.
 *
 * Which jobs a batch needs is known before it locks anything, from the async rows of its tasks, which never change in this. A job
 * that is found later (a wish about one of its tasks) is noted, and the batch is made again with its lock in its place.
 * The runner thread's. What never happens: a task of a job changes while the head is not locked; a scan over the tasks of a job
 * outside of its pass. A batch without jobs costs nothing here. */
#ifndef RUNNER_JOBS_H
#define RUNNER_JOBS_H
#include "env.h"
#include "map64.h"

#define JOB_SLICE 500                 /* tasks that one step of a pass looks at */
#define JOB_SHOWN_US 2000000          /* the row of a deleted job stays so long, for those who wait for what was removed */

struct job_head {
  struct job_row row;                 /* as it will be written; texts in env.mem */
  uint8_t got;                        /* as store_job_lock() says */
  bool fresh;                         /* this batch makes it */
  bool changed;                       /* this batch writes it */
  bool gone;                          /* this batch deletes it */
  bool was_final;
  bool was_empty;                     /* before this batch; job_empty() */
  int64_t fi;                         /* of a tree below a task of a node: its flow, whose head is locked behind it */
  bool flow_paused;
  bool flow_held;                     /* another node has that head: nothing of the tree starts in this batch */
};
struct jobs {
  struct env *env;
  struct map64 heads;                 /* job_id: struct job_head, in env->mem; of the batch */
  int64_t *wanted; size_t n_wanted, cap_wanted;   /* found too late; until a batch has committed */
  struct map64 had;                   /* job_id: struct job_had, of jobs that are deleted; at JOBS_HAD all are dropped */
};

void jobs_init(struct jobs *j, struct env *env);
void jobs_done(struct jobs *j);
void jobs_begin(struct jobs *j);                            /* a batch begins */
void jobs_committed(struct jobs *j);
/* What there was of a job whose deletion began: kept when nothing is yet, and returned with a reference. now may be NULL. */
enum { JOBS_HAD = 16 };
struct job_had;
struct job_had *jobs_had(struct jobs *j, int64_t id, struct job_had *now);
void jobs_had_over(struct jobs *j, int64_t id);             /* its row is gone */
/* Locks these, in any order, and those that were found too late before. */
enum store_rc jobs_lock(struct jobs *j, int64_t *id, size_t n) WR_MUST;
/* NULL: it was not asked for in this batch. */
struct job_head *jobs_head(const struct jobs *j, int64_t id);
bool jobs_held(const struct jobs *j, int64_t id);           /* another node holds it: its events wait */
/* Is it locked? If not, the batch has to be made again: STALE. */
enum store_rc jobs_need(struct jobs *j, int64_t id) WR_MUST;
struct job_head *jobs_make(struct jobs *j, int64_t id);     /* a new one, to be filled in */
/* The job with that key that this batch makes; NULL: none. */
const struct job_head *jobs_fresh(const struct jobs *j, const char *key);
/* A batch writes the task of this head: a step has made of `was` what is now. gone: its row is deleted. */
struct job_step { const struct task *was, *now; bool gone, lost, timed_out; };
void jobs_moved(struct job_head *h, const struct job_step *s);
/* It is deleted, and without clean-ups: none comes any more. */
bool jobs_no_clean_up(const struct job_head *h);
/* Nothing of this job starts: it is paused or being ended. */
bool jobs_hold(const struct job_head *h);
/* The key of the row that is the lock of a tree says whose it is; no key of a job has a tab. fi 0: of no flow. */
char *jobs_tree_key(struct arena *a, int64_t id, int64_t fi);
/* Up to n trees of a flow behind after_id (0: all), in the order of their keys. */
enum store_rc jobs_of_flow(const struct jobs *j, int64_t fi, int64_t after_id, int64_t *id, size_t n, size_t *n_out) WR_MUST;
void jobs_follow_flow(struct job_head *h, bool paused, bool checkpoint);
#endif
