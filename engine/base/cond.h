/* Conditions whose waits have a limit: the wall clock may step, so they count by CLOCK_MONOTONIC. Nothing else sets that up. */
#ifndef COND_H
#define COND_H
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

void cond_mono(pthread_cond_t *c);
/* One wait on such a condition, with the lock held; false when that time is over. As with every condition: look again why. */
bool cond_until(pthread_cond_t *c, pthread_mutex_t *lock, int64_t until_us);
struct timespec mono_at(int64_t us); /* microseconds as the kernel takes them */
#endif
