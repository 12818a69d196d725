/* Flows that are set aside (`aside`): the store refuses what an event of such a flow writes, and will go on refusing it as far as
 * the store can tell. The flow waits, longer each time. It is tried again when its time is over, when a user cancels or resumes
 * it, and after a restart.
 *
 *   (none) -- the store refuses --> WAITS -- its time is over --> TRIAL -- a commit, or nothing was refused --> (none)
 *                                     ^-------- refused again -----/
 *
 * Results and run timeouts of such a flow are kept, without their slot; every other event is found in the rows again. When a
 * result is refused again and again, a failure of the attempt is stored in its place. If the store takes the failure, the result
 * was at fault. If the failure is refused as well, the fault lies elsewhere, and the result is kept.
 *
 * The runner thread's, except quarantine_has() and quarantine_list(). What never happens: a flow stays aside until somebody
 * repairs it; a flow that is aside holds up another. */
#ifndef RUNNER_QUARANTINE_H
#define RUNNER_QUARANTINE_H
#include <pthread.h>
#include "reconciler.h"

struct quarantine {
  struct env *env;
  struct events *events;
  const struct later *later;
  struct admission *admission;
  struct reconciler *reconciler;
  pthread_mutex_t mu;                 /* guards the map `flows` against threads that ask */
  struct map64 flows;                 /* fi -> struct aside */
};

void quarantine_init(struct quarantine *q, struct env *env, struct events *events, const struct later *later,
                     struct admission *admission, struct reconciler *reconciler);
void quarantine_done(struct quarantine *q);
void quarantine_check(const struct quarantine *q);

bool quarantine_waits(const struct quarantine *q, int64_t fi);    /* events of that flow are not handled just now */
void quarantine_put(struct quarantine *q, int64_t fi);
void quarantine_keep(struct quarantine *q, const struct ev *e);   /* takes e->a */
void quarantine_turn(struct quarantine *q);         /* begins trials of flows whose time is over; ends trials */
int64_t quarantine_next(const struct quarantine *q);              /* boot time; INT64_MAX = none waits */
void quarantine_committed(struct quarantine *q, int64_t fi);

/* The result of e was refused so often that a failure must be tried in its place; false while one is being tried. */
bool quarantine_blames(const struct quarantine *q, const struct ev *e);

/* ---- any thread ---- */
bool quarantine_has(struct quarantine *q, int64_t fi);
size_t quarantine_list(struct quarantine *q, int64_t *fi, size_t most);
#endif
