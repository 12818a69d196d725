/* What the tasks of a batch have added: the rows of task_tree that it reads and writes, and the parents that may end by it. Under
 * the lock of their tree (docs/explanation/protocol.md, rules 39 to 43). Nothing is kept between two batches but what goes on
 * after the commit. The runner thread's.
 * What never happens: a count changes without the row of the task that it is about; a row is written for a task without one. */
#ifndef RUNNER_TREES_H
#define RUNNER_TREES_H
#include "env.h"
#include "map64.h"

struct tree_slot {
  struct tree_row row;
  bool there;                         /* it has a row, or this batch makes it */
  bool changed;
  bool gone;                          /* its task is deleted by this batch */
  bool listed;                        /* in `settle` */
};
/* Its wish; the bits JOB_MOVES beside it say what of the queue of its task the pass gives to all that it added. */
static inline enum job_wish tree_wish(const struct tree_row *r) { return (enum job_wish)(r->wish & ~JOB_MOVES); }
struct tree_next { int64_t ti, fi, job; };         /* of a task; or ti 0: of the trees of a flow, or of one of them */
struct trees {
  struct env *env;
  struct map64 rows;                  /* ti: struct tree_slot, in env->mem; of the batch */
  int64_t *settle; size_t n_settle, cap_settle;          /* parents of whom something has ended or is gone; of the batch */
  struct tree_next *next; size_t n_next, cap_next;       /* what goes on when the batch has committed */
};

void trees_init(struct trees *t, struct env *env);
void trees_done(struct trees *t);
void trees_begin(struct trees *t);                          /* a batch begins */
/* Never NULL when OK; `there` says whether there is a row. */
enum store_rc trees_of(struct trees *t, int64_t ti, struct tree_slot **out) WR_MUST;
/* One task of those that it added has become `now`; a task that is made was NONE. counts: it matters when it fails. */
void trees_moved(struct trees *t, struct tree_slot *s, const struct task *was, const struct task *now, bool gone, bool counts);
void trees_settle(struct trees *t, struct tree_slot *s);    /* its parent is looked at before the batch ends */
void trees_gone(struct trees *t, int64_t ti);
void trees_next(struct trees *t, int64_t ti, int64_t fi);   /* an event about it follows the commit */
/* The trees of that flow behind after_id are told of its pause; the tree `id` follows. */
void trees_flow(struct trees *t, int64_t fi, int64_t after_id);
void trees_follow(struct trees *t, int64_t id);
#endif
