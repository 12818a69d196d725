/* What keeps this node from starting processes, and for how long it takes none: what /readyz and the log say, and the pause.
 *
 * A start that this node could not make (no descriptor, no memory, no process, no spawner) was none: its attempt goes back
 * without a count. So that the node that fails fastest is not the one that takes the most, it then takes no process work at
 * all: 1 s, 2 s, .. 30 s, until a start has been made again. One line when it turns and one when it turns back.
 *
 * Threads: trouble_begin(), trouble_end(), worker_health(): any. start_*(): the loop. What never happens: a lock held over a
 * call, a pause of one executor's fault. */
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "worker_int.h"

#define PAUSE_FIRST_US 1000000
#define PAUSE_MAX_US 30000000

void trouble_begin(struct worker *w, enum trouble what, const char *why) {
  struct troubles *t = &w->troubles;
  pthread_mutex_lock(&t->lock);
  bool was = t->now[what].ok;
  t->now[what].ok = false;
  snprintf(t->now[what].why, sizeof t->now[what].why, "%s", why);
  pthread_mutex_unlock(&t->lock);
  if (was) log_error("worker.trouble", L_STR("why", why));
}

void trouble_end(struct worker *w, enum trouble what) {
  struct troubles *t = &w->troubles;
  pthread_mutex_lock(&t->lock);
  struct health_part was = t->now[what];
  t->now[what] = (struct health_part){.ok = true};
  pthread_mutex_unlock(&t->lock);
  if (!was.ok) log_warn("worker.trouble_over", L_STR("was", was.why));
}

static void first_of(struct worker *w, enum trouble from, enum trouble to, struct health_part *out) {
  struct troubles *t = &w->troubles;
  *out = (struct health_part){.ok = true};
  pthread_mutex_lock(&t->lock);
  for (enum trouble i = from; i <= to && out->ok; i++) *out = t->now[i];
  pthread_mutex_unlock(&t->lock);
}

void worker_health(struct worker *w, struct health_part *out) { first_of(w, TROUBLE_START, TROUBLE_SPAWNER, out); }
void worker_log_health(struct worker *w, struct health_part *out) { first_of(w, TROUBLE_DISK, TROUBLE_DISK, out); }

/* The pause is over, and for as long again nobody has asked for a start: nothing is known against this node. */
static void quiet(struct worker *w, struct timer *t) {
  (void)t;
  trouble_end(w, TROUBLE_START);
}

void troubles_init(struct worker *w) {
  struct troubles *t = &w->troubles;
  pthread_mutex_init(&t->lock, NULL);
  for (int i = 0; i < TROUBLE__N; i++) t->now[i].ok = true;
  t->quiet.fire = quiet;
}

void troubles_done(struct worker *w) { pthread_mutex_destroy(&w->troubles.lock); }

void start_failed(struct worker *w, const char *why) {
  struct troubles *t = &w->troubles;
  int64_t now = clock_boot_us();
  trouble_begin(w, TROUBLE_START, why);
  if (now < t->until_us) return; /* asked for before this pause */
  t->pause_us = t->pause_us == 0 ? PAUSE_FIRST_US : t->pause_us * 2 < PAUSE_MAX_US ? t->pause_us * 2 : PAUSE_MAX_US;
  t->until_us = now + t->pause_us;
  worker_timer(w, &t->quiet, clock_mono_us() + 2 * t->pause_us);
  if (w->o.pause) w->o.pause(w->o.ctx, t->until_us);
}

/* What was under way when the pause began says nothing of the time after it. */
void start_made(struct worker *w) {
  struct troubles *t = &w->troubles;
  if (t->pause_us == 0 || clock_boot_us() < t->until_us) return;
  t->pause_us = 0;
  worker_timer(w, &t->quiet, 0);
  trouble_end(w, TROUBLE_START);
}
