/* The ways of tasks that wait: hints come in (from a batch, from pollers, from looks at rows), wait in waiting.h, and go out as
 * events, one for each slot that is free. Where other nodes work on the store, limits are locked in the batch that claims, so
 * that no two nodes use the same room; and in a batch that makes stand-alone tasks, so that these can start with it.
 *
 * The runner thread's. What never happens: a hint that came here is in no list and in no event, unless its row is found again
 * (reconciler_refused()); a claim beyond a limit. */
#ifndef RUNNER_WAIT_H
#define RUNNER_WAIT_H
#include "cache.h"
#include "lost_hints.h"
#include "reconciler.h"
#include "waiting.h"

struct runner;
/* When a task of that run became QUEUED, as far as is known without another read. */
int64_t wait_since(const struct runner *r, const struct cached *c);
/* A task of that run, as it waits. The caller says which list its hint belongs to. */
struct waits wait_of(const struct runner *r, const struct cached *c, int64_t ti, int64_t fi, uint32_t task, int64_t since_us);
struct hint wait_hint(const struct waits *t);         /* as it goes to other nodes */
/* A task whose hint finds no slot waits here; when this node claims nothing any more, or has no room, its hint goes to others. */
void wait_here(struct runner *r, enum slot_class s, const struct waits *t);
void wait_anywhere(struct runner *r, enum slot_class s, const struct waits *t);   /* any node may take it */
/* Hints of pollers in events[from ..) wait here, but for those whose queue is not known. */
void wait_popped(struct runner *r, size_t from);
/* A task is in another queue with this batch: what counts moves. A stand-alone one that waits moves after the commit; the task
 * of a node gets a new hint. */
void wait_asked(struct runner *r, const struct cached *c, uint32_t task, int64_t ti, struct queue_view to);
void wait_moved(struct runner *r, const struct cached *c);
/* The task of an attempt of this node is gone: the attempt is killed. It costs until it has ended, and no limit counts it. */
void wait_stray(struct runner *r, int64_t ti, uint32_t epoch);
void wait_pull(struct runner *r);                     /* as many as find capacity become events */
void wait_give_back(struct runner *r);                /* this node claims nothing any more: others do */
/* How many hints pollers may pop, beside those for free slots. */
void wait_poppable(const struct runner *r, uint32_t free[SLOT__N]);
enum store_rc wait_look(struct runner *r) WR_MUST;    /* outside a batch, when it is due: queue rows, and what others run */
enum store_rc wait_begin(struct runner *r) WR_MUST;   /* a batch begins: queue rows that have changed */
enum store_rc wait_lock(struct runner *r, size_t most) WR_MUST;   /* the limits of the first `most` events */
/* May the hint that e is claim its task? Then what counts is counted. */
bool wait_claim(struct runner *r, const struct ev *e, const struct queue_view *of);
void wait_over(struct runner *r, bool committed);     /* the batch is over */
void wait_settle(struct runner *r, const struct ev *e); /* e is over */
int64_t wait_next(const struct runner *r);            /* boot time of the next look or wake */
#endif
