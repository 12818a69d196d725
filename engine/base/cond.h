/* Conditions whose waits have a limit: the wall clock may step, so they count by CLOCK_MONOTONIC. The only place that sets that up. */
#ifndef COND_H
#define COND_H
#include <pthread.h>
#include <stdint.h>
#include <time.h>

void cond_mono(pthread_cond_t *c);
struct timespec mono_at(int64_t us); /* for pthread_cond_timedwait() on such a one */
#endif
