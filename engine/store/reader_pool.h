/* Readers that are lent, a limited number at once: a thread that finds none waits for one, for a while. Any thread takes one,
 * uses it alone and gives it back. The runner has one more for itself, so that the runner never waits behind the API. Private to
 * engine/store; its lock is a leaf. */
#ifndef STORE_READER_POOL_H
#define STORE_READER_POOL_H
#include <pthread.h>
#include <stdbool.h>
#include "store_backend.h"

struct reader_pool { pthread_mutex_t mu; pthread_cond_t cond; struct reader *idle, *runners; unsigned n, max, n_runners; };
void pool_init(struct reader_pool *p, unsigned max);
void pool_done(struct reader_pool *p);                /* all were closed */
/* NULL: *make tells whether one more may be made; then it is counted already. until_us: CLOCK_MONOTONIC; the runner does not
 * wait. */
struct reader *pool_take(struct reader_pool *p, enum reader_whose whose, int64_t until_us, bool *make);
void pool_give(struct reader_pool *p, struct reader *r);
void pool_forget(struct reader_pool *p, enum reader_whose whose);   /* a reader that counted is gone */
struct reader *pool_close(struct reader_pool *p);     /* at the end, when all were given back: one after the other, then NULL */
#endif
