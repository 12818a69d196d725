/* Definitions of tasks of nodes for whoever lists them: each from the cache, the flow's only once while its tasks follow each
 * other. One thread's, for one list; the defs are borrowed.
 *
 * What never happens: a second reader beside that of the list, so that no list waits for another one; an error of a stored
 * definition that hides rows of others: it says nothing, as everywhere where rows are shown. */
#ifndef CLIENT_NODE_DEFS_H
#define CLIENT_NODE_DEFS_H
#include "mem.h"
#include "store.h"

struct defs;
struct node_defs {
  struct defs *d;
  int64_t fi;                 /* the flow instance that was asked for last, 0 = none */
  struct flow_def *flow;      /* NULL = not known */
  char *bases;                /* of it, read because they are long */
};
void node_defs_init(struct node_defs *n, struct defs *d);
void node_defs_done(struct node_defs *n);
node_def_fn node_def_of;      /* ctx: a struct node_defs */

/* The definition of a task that is defined in its node, a reference; NULL: f (NULL too) has no such task. */
struct task_def *node_def_inline(const struct flow_def *f, const char *bases, int64_t ti);
#endif
