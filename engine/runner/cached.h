/* What the runner keeps of live rows between two batches: flow instances and stand-alone tasks. The runner thread owns them;
 * runner_load.c makes and drops them. Each counts in the budget of bytes. What never happens: one that is used after a batch that
 * touched it did not commit. */
#ifndef RUNNER_CACHED_H
#define RUNNER_CACHED_H
#include <stdbool.h>
#include <stdint.h>
#include "attempt.h"
#include "budget.h"
#include "run.h"
#include "task.h"

/* A cached flow instance. */
struct live {
  struct budget_item used;
  struct run *r;
  struct flow_def *def;
  struct params *params;
  int64_t flow_id, start_us;
  uint64_t touched, locked;           /* batch numbers: dropped when that one does not commit; locked by store_lock() in it */
  bool more_queued;
  uint8_t shared;                     /* another node may have touched it: so many batches more lock its head first */
  uint64_t sliced;                    /* batch that took it off `more`: put back when that one does not commit */
};

/* A cached stand-alone task. */
struct solo {
  struct budget_item used;
  int64_t ti, create_us, update_us;
  struct task t;
  struct task_def *def;
  struct params *params;
  bool row, dirty;
  uint32_t epoch_was; enum task_state state_was;  /* as stored: the row is its own lock */
  const char *error;
  enum task_ev why;                   /* of the attempt that ended in this batch, */
  struct task was;                    /* and the task before that end */
  struct attempt *result;
  unsigned out;
};
#endif
