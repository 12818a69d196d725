/* What a stand-alone task has and the task of a node has not: whose it is, how urgent, its times, its run number. One object for
 * each cached stand-alone task; its row is written only when one of these changes.
 *
 * The runner thread's; the cache owns it. What never happens: a text of a request is kept beyond the batch that stores it. */
#ifndef RUNNER_ALONE_H
#define RUNNER_ALONE_H
#include "runner.h"

/* What the batch does to the row. KEPT: nothing, and another node may have written it since it was read or written here. */
enum alone_write { ALONE_SAME, ALONE_INSERT, ALONE_UPDATE, ALONE_KEPT };
struct alone {
  char *user, *group;                 /* never NULL */
  char *key;                          /* taskKey; NULL = none, or its row was not read */
  int64_t job;                        /* 0 = none; of a task that another one has added in no job: minus the first task of its
                                         tree, whose row among those of jobs is the lock. Never changes */
  int64_t parent, root; uint32_t depth;   /* the task whose verdict added it, the first one above it, how many there are; or 0 */
  int32_t priority, cpu;
  int64_t start_at_us;
  uint32_t run_no, run_epoch;
  bool given;                         /* a context was given with its submit or a run of it */
  /* of the batch under way: */
  enum alone_write write;
  bool anew;                          /* it was final and is run again: its result goes */
  bool moved;                         /* its queue or its priority is another */
  bool gone;                          /* its rows are deleted: nothing may happen to it any more */
  const struct req_task *made_by;     /* INSERT: the request that makes it, for its key and context */
  const struct req_ask *context_of; uint32_t context_epoch;   /* the run that gives it a context; NULL = the context stays */
};

struct alone *alone_new(const struct queue_view *q, const char *key);
struct alone *alone_read(const struct async_row *row);
void alone_free(struct alone *a);                                  /* NULL is fine */
size_t alone_bytes(const struct alone *a);
void alone_move(struct alone *a, const struct queue_spec *q);      /* what q does not name stays */
void alone_run_again(struct alone *a, uint32_t epoch);             /* the next run begins behind that epoch */
void alone_context(struct alone *a, const struct req_ask *ask, uint32_t epoch);
void alone_stored(struct alone *a);                                /* the batch has committed */
/* Its row as it is written, but for ti and create_us. def: of the task. */
struct async_row alone_row(const struct alone *a, const struct task_def *def);
#endif
