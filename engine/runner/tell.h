/* What goes wrong on this node, told to the other nodes in its own row, so that each of them can say why a task waits. Private to
 * the runner; `news` and `me`: any thread; the rest is the runner thread's. */
#ifndef RUNNER_TELL_H
#define RUNNER_TELL_H
#include <stdatomic.h>
#include "mem.h"

struct runner;
struct tell {
  atomic_bool news;                   /* it may be another than what stands in the row */
  _Atomic int64_t me;                 /* incarnation, for those who ask */
  int64_t at;                         /* boot time: not before */
  struct buf sent, next;              /* what stands in the row; what is to stand there */
};

void tell_join(struct runner *r);             /* a new row, in which nothing stands */
void tell_done(struct runner *r);
enum store_rc tell_turn(struct runner *r);    /* writes it when it has changed; OK when there was nothing to do, too */
int64_t tell_next(const struct runner *r);    /* boot time; INT64_MAX = nothing is new */
#endif
