/* Timers of rows, by id. One row has one timer at most, and a timer is stopped when its row no longer waits, so that nothing
 * rings for a row that has ended. A timer knows an id and a time, and nothing of the row, which a cache may have forgotten
 * meanwhile.
 *
 * At most `most` timers are kept. When there are more, the later half is dropped. From the first dropped time on (`beyond_us`) no
 * timer is taken any more, because rows that are not known here may be due then. When that time comes, timers_ask() returns true.
 * The owner then reads the rows again, rings for those that are due, and sets timers for the rest.
 * One owner, one thread. What never happens: an id with two timers; more than `most` timers; a timer is dropped without
 * timers_ask() returning true at its time. */
#ifndef RUNNER_TIMERS_H
#define RUNNER_TIMERS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "heap.h"
#include "map64.h"

struct timers { struct heap heap; struct map64 by_id; size_t most; int64_t beyond_us; };
void timers_init(struct timers *t, size_t most);
void timers_set(struct timers *t, int64_t id, int64_t fi, int64_t at_us);  /* moves the timer of id, if there is one */
void timers_stop(struct timers *t, int64_t id);
bool timers_ring(struct timers *t, int64_t now_us, int64_t *id, int64_t *fi); /* a timer that is due; takes it out */
/* True once for each dropped range: the caller reads all rows and calls timers_set() for each row that waits. */
bool timers_ask(struct timers *t, int64_t now_us);
int64_t timers_next(const struct timers *t);                               /* INT64_MAX = none */
static inline size_t timers_count(const struct timers *t) { return t->by_id.n; }
void timers_done(struct timers *t);
void timers_check(const struct timers *t);  /* aborts when a fact above does not hold; debug builds and tests */
#endif
