/* Flows that are set aside: the store refuses what an event of such a flow writes, for good as far as the store can tell. The flow
 * waits, longer each time, and is tried again: when its time is over, at once by a user's cancel or resume, and by a restart.
 *
 *   (none) -- the store refuses --> WAITS -- its time is over --> TRIAL -- a commit, or nothing was refused --> (none)
 *                                     ^-------- refused again -----/
 *
 * Results and run timeouts of such a flow are kept, without their slot; every other event is found in the rows again. A result
 * that is refused again and again is taken as a failure of its attempt, when that failure can be stored in the same moment: this
 * shows that the fault is the result's. When the failure is refused as well, the fault lies elsewhere, and the result is kept.
 *
 * The runner thread's, except quarantine_has() and quarantine_list(). What never happens: a flow that stays aside until somebody
 * repairs it, or holds up another. */
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

void quarantine_init(struct quarantine *q, struct env *env, struct events *events, const struct later *later, struct admission *admission,
                     struct reconciler *reconciler);
void quarantine_done(struct quarantine *q);
void quarantine_check(const struct quarantine *q);

bool quarantine_waits(const struct quarantine *q, int64_t fi);    /* events of that flow do not count just now */
void quarantine_put(struct quarantine *q, int64_t fi);
void quarantine_keep(struct quarantine *q, const struct ev *e);   /* takes e->a */
void quarantine_turn(struct quarantine *q);         /* flows whose time is over are tried again; trials may end */
int64_t quarantine_next(const struct quarantine *q);              /* boot time; INT64_MAX = none waits */
void quarantine_committed(struct quarantine *q, int64_t fi);

/* The result of e was refused so often that a failure is to be tried in its place; false while one is being tried. */
bool quarantine_blames(const struct quarantine *q, const struct ev *e);

/* ---- any thread ---- */
bool quarantine_has(struct quarantine *q, int64_t fi);
size_t quarantine_list(struct quarantine *q, int64_t *fi, size_t most);
#endif
