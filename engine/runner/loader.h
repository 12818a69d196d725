/* Reads what a batch needs into the cache: heads (rows) of flows under their lock, then only the rows that its events touch.
 *
 * On a store with rivals a flow that is not cached costs its head only; its nodes are read when a step needs them (rule 2). On a
 * single-process store the whole run is read at once, unless it is large. A batch of n events over n flows costs a handful of
 * reads.
 *
 * The runner thread's, inside a transaction. What never happens: a text of the store is kept beyond its transaction; a flow whose
 * rows cannot be understood stops the batch (the flow is set aside). */
#ifndef RUNNER_LOADER_H
#define RUNNER_LOADER_H
#include "cache.h"
#include "jobs.h"
#include "quarantine.h"

#define WHOLE_NODES 1000              /* of a larger flow only needed nodes are read, on a single-process store too */

/* Both rows of some stand-alone tasks, ascending, in env->mem. */
struct alone_rows { struct task_row *row; struct async_row *beside; size_t n, n_beside; };

struct loader {
  struct env *env;
  struct cache *cache;
  struct quarantine *quarantine;
  struct jobs *jobs;
  int64_t *held; size_t n_held;       /* flows that another node holds, ascending; of this batch, in env->mem */
  struct alone_rows ahead, asked;     /* of stand-alone tasks: read for all events of this batch, and for one request of it */
};

void loader_init(struct loader *l, struct env *env, struct cache *cache, struct quarantine *quarantine, struct jobs *jobs);
void loader_begin(struct loader *l);                                /* a batch begins */
/* Does this event read the row of a stand-alone task? */
bool loader_reads_alone(const struct loader *l, const struct ev *e);
/* Locks and reads the rows that the events e->v[0..n) need and that are not cached. */
enum store_rc load_batch(struct loader *l, const struct events *e, size_t n) WR_MUST;
enum store_rc load_nodes(struct loader *l, struct cached *c, const uint32_t *node, size_t n) WR_MUST;
enum store_rc load_every_node(struct loader *l, struct cached *c) WR_MUST;
/* The job of the task of e, or of the request that e is, as far as it is known; 0 = none. */
int64_t loader_job_of(const struct loader *l, const struct ev *e);
/* A task of a job: its head is locked, or held elsewhere (jobs_held()). STALE: see jobs_need().
 * *out NULL: there is no such stand-alone task (any more), or it cannot be understood. report: for the end of its attempt. */
enum store_rc load_alone(struct loader *l, int64_t ti, bool report, struct cached **out) WR_MUST;
/* Reads all of these at once, for load_alone(). ti: any order; those that are cached are not read. */
enum store_rc load_alone_ahead(struct loader *l, const int64_t *ti, size_t n) WR_MUST;
bool loader_held(const struct loader *l, int64_t fi);               /* another node holds that flow in this batch */
/* A reference of the definition of a task that is to be made, as this node runs it; it may be deleted. */
enum wr_rc load_made_def(struct loader *l, const struct req_task *t, struct task_def **def, struct wr_err *err) WR_MUST;
/* What the outcome of reading a definition means for the batch. BAD = the definition does not exist, or is damaged. */
enum store_rc defs_store_rc(enum wr_rc rc);
#endif
