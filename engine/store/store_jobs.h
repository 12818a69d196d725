/* Jobs: one row each, which is the lock of its tasks and holds their counters (core/job.h). Part of store.h, which alone
 * includes it.
 *
 * Which job a task has stands in its async row and never changes, so it may be read before anything is locked. A batch that
 * changes a task of a job locks the job first, and writes it once. job_task lists the tasks of a job in order of their numbers;
 * a row of it comes and goes with the async row. */
#ifndef STORE_JOBS_H
#define STORE_JOBS_H
#include "job.h"
#include "store_trees.h"

struct store;
struct reader;
struct arena;
struct job_row {
  int64_t job_id;                 /* the first member, as in other rows */
  int64_t version;                /* the batch that changed it last */
  struct job j;
  int64_t create_us, end_us, update_us;
  uint8_t hash[KEY_HASH_BYTES];   /* of the request that made it */
  const char *key, *name;         /* never NULL */
};
/* UPDATE writes all but create_us, hash, key and name. gone: the row is deleted. INSERT: a key that another row has: RETRY. */
struct job_write { enum row_op op; bool gone; struct job_row row; };

/* ---- the runner's writer, inside a batch ---- */
/* Locks the rows, ascending, each once; behind idempotency keys and before flows in the order of locks. Waits for a row that
 * another batch holds. got[i]: 1 = locked and out[i] filled, 0 = no such row, 2 = held elsewhere (only for a while after a wait
 * in vain: protocol.md, rule 3). Texts in out are valid until the transaction ends. */
enum store_rc store_job_lock(struct store *s, const int64_t *id, size_t n, struct job_row *out, uint8_t *got) WR_MUST;
/* By its key, without a lock. *id 0: there is none. */
enum store_rc store_job_find(struct store *s, const char *key, int64_t *id, uint8_t hash[KEY_HASH_BYTES]) WR_MUST;
/* Up to n tasks of the job behind after_ti, ascending. */
enum store_rc store_job_tasks(struct store *s, int64_t id, int64_t after_ti, int64_t *ti, size_t n, size_t *n_out) WR_MUST;
/* Up to n jobs whose keys lie between these two, neither of them included, in the order of their keys. */
enum store_rc store_job_keys(struct store *s, const char *from, const char *to, int64_t *id, size_t n, size_t *n_out) WR_MUST;
/* ---- outside of a batch ---- */
/* Up to n jobs behind after_id whose pass is under way, ascending. */
enum store_rc store_live_jobs(struct store *s, int64_t after_id, int64_t *id, size_t n, size_t *n_out) WR_MUST;

/* ---- readers ---- */
/* *out: texts are kept in a. NOT_FOUND: there is none. */
enum wr_rc reader_job(struct reader *r, int64_t id, struct arena *a, struct job_row *out, struct wr_err *err) WR_MUST;
/* What there is of the tasks of a job, and beside them, just now: hints of those that are QUEUED, processes of those that run,
 * attempts that run behind a URL (unconfirmed: whoever is asked there is told to stop, and nobody sees that it does). Logs and
 * contexts are counted of the first LIMIT_JOB_LOOK tasks; their ids are kept in ti, when that is not NULL, ascending. */
struct job_left { int64_t tasks, attempts, logs, contexts, children, hints, processes, unconfirmed; };
enum job_runs_in { JOB_RUNS_INSIDE, JOB_RUNS_PROCESS, JOB_RUNS_URL };
struct job_look { enum job_runs_in (*runs_in)(const void *ctx, const char *type /* may be NULL */); const void *ctx; };
enum wr_rc reader_job_left(struct reader *r, int64_t id, const struct job_look *how, struct job_left *out, int64_t *ti,
                           size_t *n, struct wr_err *err) WR_MUST;
/* How many of these tasks have rows, in each table: what is left of a job that is gone. */
enum wr_rc reader_job_rows(struct reader *r, const int64_t *ti, size_t n, struct job_left *out, struct wr_err *err) WR_MUST;
/* A page of all, newest first; out: p->limit of them. *total: how many there are, when p asks; else -1. */
struct page;
enum wr_rc reader_list_jobs(struct reader *r, const struct page *p, struct arena *a, struct job_row *out, size_t *n_out,
                            int64_t *total, struct wr_err *err) WR_MUST;
#endif
