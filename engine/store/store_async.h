/* What a stand-alone task has and the task of a node has not: one row in task_async, as long as the task exists. Part of
 * store.h, which alone includes it; the runner's writer. State, attempts and result stay in task_ins, live tasks are in
 * task_alone.
 *
 * A row is INSERTed in the batch that inserts the task, and goes with the task (batch.gone). Few tasks have texts here beside
 * name and type, so most rows are some 40 bytes. */
#ifndef STORE_ASYNC_H
#define STORE_ASYNC_H

struct async_row {
  int64_t ti;                     /* the first member, as in other rows */
  int64_t create_us;              /* as in its task_row */
  const char *name, *type;        /* never NULL */
  const char *content, *config;   /* of an inline task (task_id 0) only; NULL = none */
  const char *user, *group;       /* NULL is written as "", read as "" */
  int32_t priority, cpu;
  const char *key;                /* taskKey: 1 to LIMIT_KEY_CHARS visible ASCII characters; NULL = none */
  uint8_t hash[KEY_HASH_BYTES];   /* of the submit, when there is a key; else zeroes */
  int64_t start_at_us;            /* 0 = none */
  uint32_t run_no;                /* 1, 2 ..; 0 is written as 1 */
  uint32_t run_epoch;             /* the task's epoch when this run began, 0 in the first one: progress that an attempt of no
                                     greater epoch reported belongs to a former run */
  /* The context that a submit or a run gave: NULL = none (read, insert), keep (update; context_epoch is kept with it).
   * context_epoch: the task's epoch when it was given, 0 at the submit. What an attempt of a greater epoch reports comes in
   * its place (store_logs.h). UTF-8 without NUL. */
  const char *context; size_t context_len;
  uint32_t context_epoch;
  int64_t job;                    /* 0 = none; insert and read only */
  int64_t scope;                  /* in which the key is unique: 0, its job, or minus the first task of its tree; insert only */
  int64_t parent, root; uint32_t depth;   /* of a task that a verdict added, else 0; insert and read only */
};
/* UPDATE writes user group priority cpu start_at run_no run_epoch, and context with its epoch when not NULL. The row must be
 * there. INSERT: a key that another row has (of a task that is not deleted, or of this batch): STORE_RETRY, as with
 * idempotency keys.
 *
 * gone: the rows of these tasks in task_ins, task_alone, task_async, task_attempt, task_tree, task_child are deleted.
 * So the batch must also
 * UPDATE the task with the state and epoch that it must have (task_write.expect_state): the delete comes after that check, in
 * the same commit, and before the inserts of async rows, so the batch may give the key of such a task to another one. No
 * async row of it, and no task that the same batch inserts. What the task's attempts reported and logged is not touched here:
 * logs_drop(). */
struct async_write { enum row_op op; struct async_row row; };
struct async_key { int64_t ti; uint8_t hash[KEY_HASH_BYTES]; };
struct key_name { const char *key; int64_t scope; };   /* a taskKey, and where it is unique */
#endif
