/* What the loop of a worker waits for: descriptors and times. Included by worker_int.h. Loop thread, but for worker_poke(). */
#ifndef WORKER_LOOP_H
#define WORKER_LOOP_H
#include <stdint.h>
#include "heap.h"

struct worker;

/* A descriptor in the epoll set. Stays in memory until the end of the turn that closed it. */
struct source { void (*ready)(struct worker *w, struct source *s); int fd; };
/* First member of what it belongs to, or found by offset; set .fire once. */
struct timer { struct heap_item it; void (*fire)(struct worker *w, struct timer *t); };

void worker_watch(struct worker *w, struct source *s, uint32_t events);  /* EPOLL_CTL_ADD */
void worker_rewatch(struct worker *w, struct source *s, uint32_t events);
void worker_timer(struct worker *w, struct timer *t, int64_t at_us);     /* monotonic; 0 = off */
void worker_poke(struct worker *w);                                      /* any thread */
#endif
