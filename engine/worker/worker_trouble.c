/* What keeps this node from starting processes, and for how long it takes none: the words of /readyz and of the log, and the
 * pause. Also what this node cannot end: attempts that keep their slot, because SIGKILL does not end a process of theirs.
 *
 * A start that this node could not make (no descriptor, no memory, no process, no spawner) is no start: its attempt goes back
 * without a count. The node then takes no process work at all for 1 s, 2 s, .. 30 s, until it has made a start again; otherwise
 * the node that fails fastest would take the most work. It logs one line when the trouble begins and one when it ends.
 *
 * Threads: trouble_begin(), trouble_end(), worker_health(), worker_trouble(): any. start_*(), stuck_*(): the loop. What never
 * happens: a lock held over a call, a pause of the node for the fault of one executor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "spawner_link.h"
#include "worker_int.h"

#define PAUSE_FIRST_US 1000000
#define PAUSE_MAX_US 30000000

static void news(struct worker *w) {
  if (w->o.news) w->o.news(w->o.ctx);
}

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
void worker_log_health(struct worker *w, struct health_part *room, struct health_part *store) {
  first_of(w, TROUBLE_DISK, TROUBLE_DISK, room);
  first_of(w, TROUBLE_LOGS, TROUBLE_LOGS, store);
}

/* The pause is over, and nobody has asked for a start for as long again: nothing is known against this node. */
static void quiet(struct worker *w, struct timer *t) {
  (void)t;
  w->troubles.pause_us = 0; /* the next failure begins anew */
  trouble_end(w, TROUBLE_START);
  news(w);
}

void troubles_init(struct worker *w) {
  struct troubles *t = &w->troubles;
  pthread_mutex_init(&t->lock, NULL);
  for (int i = 0; i < TROUBLE__N; i++) t->now[i].ok = true;
  t->quiet.fire = quiet;
}

void troubles_done(struct worker *w) {
  const struct map64_slot *m;
  for (size_t i = 0; (m = map64_next(&w->troubles.stuck, &i));) free(m->val);
  map64_done(&w->troubles.stuck);
  pthread_mutex_destroy(&w->troubles.lock);
}

void start_failed(struct worker *w, const char *why) {
  struct troubles *t = &w->troubles;
  int64_t now = clock_boot_us();
  trouble_begin(w, TROUBLE_START, why);
  if (now < t->until_us) return; /* this start was asked for before the pause */
  t->pause_us = t->pause_us == 0 ? PAUSE_FIRST_US : t->pause_us * 2 < PAUSE_MAX_US ? t->pause_us * 2 : PAUSE_MAX_US;
  t->until_us = now + t->pause_us;
  pthread_mutex_lock(&t->lock);
  t->held_us = t->until_us;
  pthread_mutex_unlock(&t->lock);
  worker_timer(w, &t->quiet, clock_mono_us() + 2 * t->pause_us);
  if (w->o.pause) w->o.pause(w->o.ctx, t->until_us);
  news(w);
}

/* A start that was under way when the pause began says nothing of the time after that. */
void start_made(struct worker *w) {
  struct troubles *t = &w->troubles;
  if (t->pause_us == 0 || clock_boot_us() < t->until_us) return;
  t->pause_us = 0;
  worker_timer(w, &t->quiet, 0);
  trouble_end(w, TROUBLE_START);
  news(w);
}

/* ---- what does not end ---- */

/* An attempt that does not end keeps a slot of this node, so there are never many of them. */
void stuck_add(struct worker *w, int64_t id, const struct attempt *a, const struct sw_exit *m) {
  struct troubles *t = &w->troubles;
  pthread_mutex_lock(&t->lock);
  struct stuck_attempt *s = map64_get(&t->stuck, id);
  if (!s) {
    s = wr_new(struct stuck_attempt);
    *s = (struct stuck_attempt){.ti = a->ti, .epoch = a->epoch, .pid = m->status};
    memcpy(s->name, m->name, sizeof s->name);
    (void)map64_put(&t->stuck, id, s);
  }
  s->n++;
  pthread_mutex_unlock(&t->lock);
  news(w);
}

void stuck_end(struct worker *w, int64_t id) {
  struct troubles *t = &w->troubles;
  if (t->stuck.n == 0) return; /* only this thread changes it */
  pthread_mutex_lock(&t->lock);
  struct stuck_attempt *s = map64_del(&t->stuck, id);
  pthread_mutex_unlock(&t->lock);
  if (!s) return;
  free(s);
  news(w);
}

void worker_trouble(struct worker *w, struct node_trouble *out) {
  struct troubles *t = &w->troubles;
  const struct map64_slot *m;
  pthread_mutex_lock(&t->lock);
  const struct health_part *start = &t->now[TROUBLE_START];
  (void)snprintf(out->starts, sizeof out->starts, "%s", start->ok ? "" : start->why);
  out->starts_until_us = start->ok ? 0 : t->held_us;
  out->n_stuck = 0;
  for (size_t i = 0; out->n_stuck < NODE_STUCK_MAX && (m = map64_next(&t->stuck, &i));)
    out->stuck[out->n_stuck++] = *(struct stuck_attempt *)m->val;
  pthread_mutex_unlock(&t->lock);
}
