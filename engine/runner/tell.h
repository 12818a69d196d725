/* What goes wrong on this node, told to the other nodes in its own row, so that each of them can say why a task waits.
 *
 * It is written with a renewal of its own, at once when it changes, and at most once in TELL_US: so that a node whose starts fail
 * in turn costs the database no more than that. A row of a dead node does not count, so nothing has to be taken back.
 * The runner thread's, but tell_trouble(). What never happens: a call of the store under a lock; a wait for it by those who ask. */
#ifndef RUNNER_TELL_H
#define RUNNER_TELL_H
#include "quarantine.h"

struct tell {
  struct env *env;
  struct quarantine *quarantine;
  struct lease *lease;
  struct watch *watch;
  _Atomic int64_t me;                 /* incarnation, for those who ask */
  int64_t at;                         /* boot time: not before */
  struct buf sent, next;              /* what stands in the row; what is to stand there */
};

void tell_init(struct tell *t, struct env *env, struct quarantine *quarantine, struct lease *lease, struct watch *watch);
void tell_done(struct tell *t);
void tell_join(struct tell *t);                     /* a new row, in which nothing stands */
enum store_rc tell_turn(struct tell *t) WR_MUST;    /* writes the row when it has changed; OK when there was nothing to do, too */
int64_t tell_next(const struct tell *t);            /* boot time; INT64_MAX = nothing is new */
/* Any thread, under no lock that ports.trouble() takes. Returns the incarnation. */
int64_t tell_trouble(struct tell *t, struct node_trouble *out);
#endif
