/* See cond.h. */
#include "cond.h"
#include <errno.h>

void cond_mono(pthread_cond_t *c) {
  pthread_condattr_t mono;
  pthread_condattr_init(&mono);
  pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
  pthread_cond_init(c, &mono);
  pthread_condattr_destroy(&mono);
}

struct timespec mono_at(int64_t us) { return (struct timespec){us / 1000000, us % 1000000 * 1000}; }

bool cond_until(pthread_cond_t *c, pthread_mutex_t *lock, int64_t until_us) {
  struct timespec until = mono_at(until_us);
  return pthread_cond_timedwait(c, lock, &until) != ETIMEDOUT;
}
