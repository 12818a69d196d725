/* The time that all nodes share: see shared_clock.h. */
#include "shared_clock.h"

#define DRIFT_PER_S 200               /* microseconds by which two quartz clocks may drift apart in a second */

void shared_clock_read(struct shared_clock *c, int64_t us, int64_t before_us, int64_t after_us) {
  int64_t error = (after_us - before_us) / 2, at = before_us + error, ahead = us - at;
  pthread_mutex_lock(&c->mu);
  int64_t was = c->error_us + (after_us - c->read_us) / 1000000 * DRIFT_PER_S;
  int64_t apart = ahead > c->ahead ? ahead - c->ahead : c->ahead - ahead;
  if (!c->set || error <= was || apart > error + was) {
    c->set = true;
    c->ahead = ahead;
    c->error_us = error;
    c->read_us = after_us;
  }
  pthread_mutex_unlock(&c->mu);
}

int64_t shared_clock_at(struct shared_clock *c, int64_t boot_us, int64_t wall_us) {
  pthread_mutex_lock(&c->mu);
  int64_t t = c->set ? boot_us + c->ahead : wall_us;
  int64_t passed = boot_us > c->last_boot_us ? (boot_us - c->last_boot_us) / 2 : 0;
  if (c->last_us != 0 && t < c->last_us + passed) t = c->last_us + passed;
  c->last_us = t;
  if (boot_us > c->last_boot_us) c->last_boot_us = boot_us;
  pthread_mutex_unlock(&c->mu);
  return t;
}

bool clock_stepped(struct clock_watch *w, int64_t wall_us, int64_t boot_us, int64_t *by) {
  int64_t ahead = wall_us - boot_us, step = ahead - w->ahead;
  bool stepped = w->known && (step >= CLOCK_STEP_US || step <= -CLOCK_STEP_US);
  *w = (struct clock_watch){true, ahead};
  *by = stepped ? step : 0;
  return stepped;
}
