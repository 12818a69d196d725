/* Queues: the rows of task_queue, one for each (user, group) that somebody has set, and what the runner counts and asks to keep
 * their limits. Part of store.h, which alone includes it.
 *
 * A queue changes by the definition writer (store_queue_set(), store_queue_delete()), which raises definitions.version and
 * queues_version with it; so a batch that was decided by older rows is refused as stale. Only rate_at, the state of a rate's
 * bucket, is the runner's: it reads it under the row's lock (store_queue_lock()) and writes it with its batch. Counts are never
 * stored: they are read from the rows of tasks.
 *
 * On a server each batch that claims under a limit counts, among all the rows that live. So while there is a row of task_queue,
 * the runners note each task that counts (task_counts()) in a table of its own, with its queue: in the commit that makes the
 * task count, or moves it, and out again in the commit that ends that. A note says where to look, and whose the task of a flow
 * is; that the task counts is still said by its own row. When the first row of task_queue comes, all notes are dropped, and each
 * runner notes what it runs already; until all have, a count looks at all that lives (running_row.noted). */
#ifndef STORE_QUEUES_H
#define STORE_QUEUES_H
#include "queue_post.h"   /* the fields of a queue, the words of its order */

struct store;
struct reader;
/* The limits of a task type that was registered at run time (POST /executor) stand in a row like those of a queue: of this user,
 * which nobody can be, and of the type as its group. It is written with the executor (store_executors.h), no list shows it, and
 * it is none of the LIMIT_QUEUES. A note under the negative id says of which type the task is, in the same way. */
#define QUEUE_OF_TYPE "\2type"
struct queue_row {
  int64_t queue_id;
  const char *user, *group;       /* never NULL; "" = any (a row of task_queue), or none (a task's) */
  int64_t max_running;            /* these five: -1 = not set */
  int64_t rate_count, rate_per_us;/* both or none */
  int32_t weight, order, paused;  /* enum queue_order; 0, 1 */
  int64_t rate_at;                /* the runner's; 0 = nothing was taken yet */
};

/* ---- the definition writer: any thread ---- */
/* The row of exactly (row->user, row->group) is made, or its `fields` (QUEUE_..) are changed: the others keep what they have,
 * -1 in a new row. *row is filled in as it is then (but for user and group, which stay the caller's, and the id of a new row,
 * which only a runner needs). A new rate takes over the bucket of the old one, at most emptied. TOO_LARGE: there are
 * LIMIT_QUEUES. */
enum wr_rc store_queue_set(struct store *s, struct queue_row *row, uint32_t fields, struct wr_err *err) WR_MUST;
enum wr_rc store_queue_delete(struct store *s, const char *user, const char *group, struct wr_err *err) WR_MUST;  /* NOT_FOUND */

/* ---- the runner's thread, inside a batch: after store_begin() ---- */
/* All rows, by queue_id, when they have changed since known_version (0 = not known). *version is that of the rows, or
 * known_version: then nothing was asked of the store, *rows is NULL and *n 0. */
enum store_rc store_queues(struct store *s, int64_t known_version, int64_t *version, struct arena *a, struct queue_row **rows,
                           size_t *n) WR_MUST;
/* Locks the rows, ascending by id, until the transaction ends; behind tasks in the order of locks. rate_at[i]: -1 = there is no
 * such row. */
enum store_rc store_queue_lock(struct store *s, const int64_t *id, size_t n, int64_t *rate_at) WR_MUST;

/* ---- the runner's thread, inside a batch or outside of one ---- */
/* Every task that counts now, of flows too; ascending by ti. User, group and cpu of stand-alone tasks; of a task of a flow user
 * and group are those of its note, "" when there is none, and cpu is 0. added: its type was registered at run time; type: which
 * one, as far as a note says so, else NULL. */
struct running_row {
  int64_t ti, fi;
  const char *user, *group;
  int32_t cpu;
  int64_t owner;
  bool noted, added;
  const char *type;
};
enum store_rc store_running(struct store *s, struct arena *a, struct running_row **out, size_t *n) WR_MUST;
/* The same of those that are noted; cpu is 0. Not for a store of one process, which has no notes. */
enum store_rc store_counted(struct store *s, struct arena *a, struct running_row **out, size_t *n) WR_MUST;

/* ---- readers: any thread with a reader of its own ---- */
/* Rows, and the queues that live stand-alone tasks are in, by user and group. set: there is a row. blocked: CREATED, BLOCKED,
 * RETRY_WAIT, PAUSED; clean-ups are nowhere. since_us: of the QUEUED task that waits longest, 0 = none waits. Return 0 to go
 * on. */
struct queue_shown { struct queue_row row; bool set; int64_t queued, running, blocked, since_us; };
typedef int queue_shown_fn(void *ctx, const struct queue_shown *q);
enum wr_rc reader_list_queues(struct reader *r, queue_shown_fn *fn, void *ctx, struct wr_err *err) WR_MUST;
/* The rows that hold for a task of this user and group: of both, of each alone, of neither; QUEUE_RULES at most. */
enum { QUEUE_RULES = 4 };
enum wr_rc reader_queue_rows(struct reader *r, const char *user, const char *group, struct arena *a,
                             struct queue_row out[QUEUE_RULES], size_t *n, struct wr_err *err) WR_MUST;
/* How many stand-alone tasks count, of each user and group that has any. */
typedef int queue_running_fn(void *ctx, const char *user, const char *group, int64_t n);
enum wr_rc reader_queue_running(struct reader *r, queue_running_fn *fn, void *ctx, struct wr_err *err) WR_MUST;

/* Part of a batch: ids ascending, of rows that this batch has locked. */
struct queue_rate { int64_t queue_id, rate_at; };
/* The same: a note, in place of the one that is there. Whoever is in batch.unnote, too, is not noted. */
struct count_note { int64_t ti; const char *user, *group; };
#endif
