/* Condition variables whose waits have a limit. They count by CLOCK_MONOTONIC, since the wall clock may step. No other file
 * sets up such a condition. */
#ifndef COND_H
#define COND_H
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

void cond_mono(pthread_cond_t *c);
/* Waits once, with the lock held; false when until_us has passed. The caller then checks its condition again, as always. */
bool cond_until(pthread_cond_t *c, pthread_mutex_t *lock, int64_t until_us);
struct timespec mono_at(int64_t us); /* microseconds as the kernel takes them */
#endif
