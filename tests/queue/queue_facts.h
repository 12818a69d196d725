/* What is true of every queue, on every backend. A backend's test opens queues for it and adds its own facts.
 *
 * Nothing here measures time. A blocked call that never returns is caught by the time limit of the test runner. */
#ifndef QUEUE_FACTS_H
#define QUEUE_FACTS_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>

#include "queue.h"

#define FOREVER_US (600LL * 1000000)

/* The backend under test: an empty queue of its own, bounded to max (0 = default), with node 1. */
extern struct queue *(*facts_open)(size_t max);

struct queue *open_url(const char *url, const char *prefix, size_t max);
bool push_all(struct queue *q, const struct hint *h, size_t n);      /* false: not all of them are in it */
void push_range(struct queue *q, int64_t lo, int64_t hi);           /* ti lo..hi, fi = 2 * ti, one push; must work */
size_t pop_some(struct queue *q, struct hint *out, size_t n);       /* waits until there is something */
void pop_range(struct queue *q, int64_t lo, int64_t hi);            /* exactly these, in this order */
void pop_nothing(struct queue *q);

/* A poller blocked, or about to be, in one long pop. */
struct popper { struct queue *q; pthread_t thread; _Atomic int tid; size_t n, got; bool away; struct hint out[16]; };
void popper_start(struct popper *p, struct queue *q, size_t n);
void popper_blocked(struct popper *p);                              /* returns once it sleeps in its pop */
void popper_join(struct popper *p);

extern const struct CMUnitTest queue_facts[];
extern const size_t n_queue_facts;
/* Runs the facts and then more[0..n). */
int facts_run(const char *name, const struct CMUnitTest *more, size_t n);
#endif
