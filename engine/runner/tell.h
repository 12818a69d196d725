/* What goes wrong on this node. This node tells the other nodes in its own row, so that each of them can say why a task waits.
 *
 * The row is written with a renewal of its own: at once when its text changes, and at most once in TELL_US, so that a node whose
 * starts fail again and again costs the database little. The same write has the figures of this node; where others read them and
 * they alone have changed, it comes at most once in FIGURES_US. The row of a dead node does not count, so nothing has to be taken
 * back.
 * The runner thread's, except tell_trouble(). What never happens: a call of the store under a lock; a thread that asks waits for
 * the store. */
#ifndef RUNNER_TELL_H
#define RUNNER_TELL_H
#include "quarantine.h"

struct tell {
  struct env *env;
  struct quarantine *quarantine;
  struct lease *lease;
  struct watch *watch;
  _Atomic int64_t me;                 /* incarnation, for threads that ask */
  int64_t at;                         /* boot time before which the row is not written */
  struct buf sent, next;              /* the text in the row; the text that is to be there */
  struct member_figures told, figures;   /* the figures in the row; those that are to be there */
};

void tell_init(struct tell *t, struct env *env, struct quarantine *quarantine, struct lease *lease, struct watch *watch);
void tell_done(struct tell *t);
void tell_join(struct tell *t);                     /* this node has a new row, which is empty */
enum store_rc tell_turn(struct tell *t) WR_MUST;    /* writes the row when its text has changed; OK also when nothing was to do */
int64_t tell_next(const struct tell *t);            /* boot time; INT64_MAX = nothing is new */
/* Any thread, under no lock that ports.trouble() takes. Returns the incarnation. */
int64_t tell_trouble(struct tell *t, struct node_trouble *out);
int64_t tell_figures(struct tell *t, struct member_figures *out);   /* the same */
#endif
