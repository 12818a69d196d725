/* `weir run --resume`: goes on with all runs that a store holds unfinished, until none is left. Main thread. */
#ifndef CLI_RESUME_H
#define CLI_RESUME_H
#include <stdatomic.h>
#include "node.h"

/* poked: set, and the main thread woken, whenever the runner has done something. Returns the exit status: 0 = all runs
 * succeeded, 1 = one did not, 130 or 6 = a signal came, and what still runs is handed back. -1: err says why. */
int resume(struct node *n, bool json, atomic_int *poked, struct wr_err *err);
#endif
