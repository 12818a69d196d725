/* The drain of this node: a wish in its own row, beside the state (store_members.h). While it is wished the node claims nothing:
 * what waits here goes back to the queue, attempts that were claimed and not started come back without a try, what runs goes on
 * to its end or, when the wish has a time, is told to stop then as in a planned stop. It serves the API all the while.
 *
 * The row is read when somebody says that it has changed (a nudge, the API of this process), and on a store of several nodes once
 * a DRAIN_LOOK_US, by primary key. A node that joins again keeps what was wished of it.
 *
 * The runner thread's. What never happens: the node tells that it has read the wish while a claim of a batch under way may still
 * be committed; an attempt that a drain stops is counted as a try. */
#ifndef RUNNER_DRAIN_H
#define RUNNER_DRAIN_H
#include "admission.h"
#include "env.h"

#define DRAIN_LOOK_US 1000000

struct drain {
  struct env *env;
  const struct admission *admission;
  struct drain_wish wish;             /* as read last */
  int64_t at;                         /* boot time of the next look; INT64_MAX = only when asked */
  bool runs;                          /* this node has slots: a wish changes something here */
  bool stopped;                       /* what runs was told to stop, for this wish */
};

void drain_init(struct drain *d, struct env *env, const struct admission *admission);
void drain_now(struct drain *d);                      /* the row may have changed */
/* The node joins as another member: its new row is to have the wish of the old one. */
void drain_join(const struct drain *d, struct node_info *info);
enum store_rc drain_turn(struct drain *d) WR_MUST;    /* reads the row when that is due; tells what runs to stop */
void drain_figures(const struct drain *d);            /* what this node runs, for whoever asks */
int64_t drain_next(const struct drain *d);            /* boot time; INT64_MAX = nothing is due */
void drain_check(const struct drain *d);              /* aborts when a fact above does not hold; debug builds and tests */
#endif
