/* Timers of rows, by id: one row has one timer at most, and what a row no longer waits for is stopped, so that nothing rings
 * for what has ended. They know ids and times, nothing of what they ring for: a cache may forget that meanwhile.
 *
 * At most `most` are kept. When there are more the later half goes, and from the first time that went on (`beyond_us`) none is
 * taken any more: rows may ring then of which nothing is known here. When that time comes timers_ask() says so, and whoever
 * owns the rows looks at them again: those that are due, and the timers of the others.
 * One owner, one thread. What never happens: two timers of one id, memory that grows with what has ended or beyond `most`, or
 * a timer that is dropped without a question that comes in its place, at its time. */
#ifndef RUNNER_TIMERS_H
#define RUNNER_TIMERS_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "heap.h"
#include "map64.h"

struct timers { struct heap heap; struct map64 by_id; size_t most; int64_t beyond_us; };
void timers_init(struct timers *t, size_t most);
void timers_set(struct timers *t, int64_t id, int64_t fi, int64_t at_us);  /* moves the one that there is */
void timers_stop(struct timers *t, int64_t id);
bool timers_ring(struct timers *t, int64_t now_us, int64_t *id, int64_t *fi); /* one that is due, gone with that */
/* True: the rows are to be looked at from the first to the last, timers_set() for each that waits. Asked once a time. */
bool timers_ask(struct timers *t, int64_t now_us);
int64_t timers_next(const struct timers *t);                               /* INT64_MAX = none */
static inline size_t timers_count(const struct timers *t) { return t->by_id.n; }
void timers_done(struct timers *t);
#endif
