/* Later (`later`): events that were put off, because what they need is locked by another process, or because they are tried
 * alone.
 *
 * An event that waits for a lock comes again with the others, after pauses that grow to a second. A try does not wait, because
 * the store skips rows that are locked. An event that failed together with others, while the store took other writes, is tried
 * alone: one such event a turn, after all events that have come meanwhile, so that no event waits for more than one of them.
 *
 * The runner thread's. What never happens: a lock of another process delays an event that does not need the locked row; an event
 * found in the rows is added while the same event waits here. */
#ifndef RUNNER_LATER_H
#define RUNNER_LATER_H
#include "env.h"
#include "event.h"
#include "store.h"

#define LATER_ALONE 3                 /* `times` of an event that is tried alone begins here */
#define LATER_ALONE_MOST (LATER_ALONE + 14)   /* the longest pause between its tries: 16 s */

struct later_seen { int64_t fi, ti, job; enum ev_kind kind; };
struct later {
  struct env *env;
  struct events wait;
  /* Waiting events that a look at rows would find again, sorted; valid for one look, in env->mem. */
  struct later_seen *seen; size_t n_seen;
};

void later_init(struct later *l, struct env *env);
void later_done(struct later *l);
int64_t later_next(const struct later *l);      /* boot time; INT64_MAX = nothing waits */
void later_check(const struct later *l);        /* aborts when a fact above does not hold; debug builds and tests */

/* The caller takes e out of its list. */
void later_put(struct later *l, struct ev *e);
/* from->v[0] comes again in a batch of its own, each time after a longer pause; briefly: after a second at most. */
void later_put_alone(struct later *l, struct events *from);
void later_put_briefly(struct later *l, struct events *from);
/* Takes from from->v[0 .. n) the events whose rows in b are locked by another process. False: there is none, and yet a row of b
 * is locked, which one of them has found (the tasks of a job, what a task has added). */
bool later_put_held(struct later *l, struct events *from, size_t n, const struct batch *b);
void later_put_apart(struct later *l, struct events *from, size_t n);  /* from->v[0 .. n) are tried one by one */
void later_take(struct later *l, struct events *to);                   /* those whose time has come */

/* For a part that finds events in the rows. It calls later_look() once for each page. Then later_has() says of each event found
 * whether the same event waits here. */
void later_look(struct later *l);
bool later_has(const struct later *l, const struct ev *e);
#endif
