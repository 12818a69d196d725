/* One event is applied to one cached run: the core says what changes, rows that it lacks are read, and each task that became
 * ready is admitted or left to the queue. The stepper holds the effects (`effects`) of the batch. The runner thread's, inside a
 * transaction.
 * What never happens: a task that is ready is neither taken nor left when a step ends. */
#ifndef RUNNER_STEP_H
#define RUNNER_STEP_H
#include "loader.h"
#include "queues.h"
#include "trees.h"

struct stepper {
  struct env *env;
  struct cache *cache;
  struct loader *loader;
  struct admission *admission;
  struct queues *queues;
  struct jobs *jobs;
  struct trees *trees;              /* NULL: no task has added others */
  struct run_ctx ctx;
  struct effects effects;
};

void stepper_init(struct stepper *s, struct env *env, struct cache *cache, struct loader *loader, struct jobs *jobs,
                  struct admission *admission, struct queues *queues, uint64_t seed);
void stepper_done(struct stepper *s);
void stepper_begin(struct stepper *s);              /* a batch begins */
static inline bool stepper_has_budget(const struct stepper *s) { return s->ctx.budget > 0; }

/* Applies ev and delivers what follows. *out: what run_step() said. */
enum store_rc step_event(struct stepper *s, struct cached *c, const struct run_event *ev, enum run_rc *out) WR_MUST;
enum store_rc step_slice(struct stepper *s, struct cached *c) WR_MUST;    /* a large flow goes on */
/* What a task instance costs and whether this node can run it, by the version of the definition that the instance has. The row of
 * its node is read only when there is capacity for a task of the current version. *own: room for the policy of a former
 * version. */
enum store_rc step_policy(struct stepper *s, struct cached *c, uint32_t task, struct task_policy *own,
                          const struct task_policy **out) WR_MUST;
/* A stand-alone task does not start now: its job, or the flow above its tree, is paused or ends. A clean-up may. */
bool step_held(const struct stepper *s, const struct cached *c);
/* After RUN_EV_RERUN: when a node that is kept had failed, the flow takes over the error of that node. */
enum store_rc step_blame_kept(struct stepper *s, struct cached *c) WR_MUST;
#endif
