/* Timers of rows, by id: one row has one timer at most, and what a row no longer waits for is stopped, so that nothing rings
 * for what has ended. They know ids and times, nothing of what they ring for: a cache may forget that meanwhile.
 * One owner, one thread. What never happens: two timers of one id, or memory that grows with what has ended. */
#ifndef RUNNER_TIMERS_H
#define RUNNER_TIMERS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "heap.h"
#include "map64.h"

struct timers { struct heap heap; struct map64 by_id; };
void timers_set(struct timers *t, int64_t id, int64_t fi, int64_t at_us);  /* moves the one that there is */
void timers_stop(struct timers *t, int64_t id);
bool timers_ring(struct timers *t, int64_t now_us, int64_t *id, int64_t *fi); /* one that is due, gone with that */
int64_t timers_next(const struct timers *t);                               /* INT64_MAX = none */
static inline size_t timers_count(const struct timers *t) { return t->by_id.n; }
void timers_done(struct timers *t);
#endif
