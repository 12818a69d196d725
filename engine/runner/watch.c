/* Whether the store can be written: watch.h. */
#include "watch.h"
#include "err.h"
#include <stdio.h>
#include <string.h>
#include "clock.h"
#include "cond.h"
#include "log.h"

#define FORGET_US 5000000             /* failures further apart than this are not one fault */

void watch_init(struct watch *w, int64_t boot_us) {
  memset(w, 0, sizeof *w);
  atomic_store(&w->ok_us, boot_us);
  pthread_mutex_init(&w->mu, NULL);
  cond_mono(&w->news);
}

void watch_done(struct watch *w) {
  pthread_cond_destroy(&w->news);
  pthread_mutex_destroy(&w->mu);
}

static const char *words(enum store_rc rc) {
  switch (rc) {
  case STORE_NO_SPACE: return "the database has no space left";
  case STORE_UNKNOWN: return "it is not known yet whether a commit was stored";
  case STORE_RETRY: return "the database lets nothing be written: a lock is held elsewhere, or its connections break";
  case STORE_OK: case STORE_STALE: case STORE_FENCED: case STORE_BAD: case STORE_DOWN: break;
  }
  return "the database does not answer";
}

/* ---- reports ---- */

void watch_busy(struct watch *w, int64_t boot_us) { atomic_store_explicit(&w->busy_us, boot_us, memory_order_relaxed); }
void watch_idle(struct watch *w) { atomic_store_explicit(&w->busy_us, 0, memory_order_relaxed); }

/* Clears slow_us as well: the next turn may be far away, and until then no request is known to wait in vain. */
void watch_took(struct watch *w, int64_t boot_us) {
  atomic_store_explicit(&w->took_us, boot_us, memory_order_relaxed);
  atomic_store_explicit(&w->slow_us, 0, memory_order_relaxed);
}

void watch_waits(struct watch *w, int64_t since_us) {
  int64_t took = atomic_load_explicit(&w->took_us, memory_order_relaxed), slow = since_us > took ? since_us : took;
  atomic_store_explicit(&w->slow_us, since_us == INT64_MAX ? 0 : slow, memory_order_relaxed);
}

/* mu held. Threads that wait for a report are woken. */
static void report(struct watch *w) {
  w->asked = false;
  w->reports++;
  pthread_cond_broadcast(&w->news);
}

static void longer(struct watch *w) {
  w->steady_us = w->steady_us < WATCH_STEADY_MIN_US ? WATCH_STEADY_MIN_US : w->steady_us * 2;
  if (w->steady_us > WATCH_STEADY_MAX_US) w->steady_us = WATCH_STEADY_MAX_US;
}

/* mu held. The store is ill. True: the turn must be logged. */
static bool turn_ill(struct watch *w, int64_t boot_us, enum watch_state to) {
  bool relapse = w->well_us != 0, was_well = w->shown == WATCH_WELL, same = w->shown == to;
  w->well_us = 0;
  w->shown = to;
  if (relapse) w->relapses++;
  if (was_well) {
    w->down_us = w->bad_us ? w->bad_us : boot_us;
    w->relapses = 0;
  }
  if (relapse || (was_well && w->back_us != 0 && boot_us - w->back_us < WATCH_FLAP_US)) longer(w);
  else if (was_well) w->steady_us = 0;
  return !relapse && !same;
}

/* What is logged of a turn back, after mu was released. */
struct turned { bool back; int64_t after_us; uint32_t relapses; };

static void say_turned(const struct turned *t) {
  if (t->back && t->relapses) log_info("store.back", L_INT("after_ms", t->after_us / 1000), L_INT("relapses", t->relapses));
  else if (t->back) log_info("store.back", L_INT("after_ms", t->after_us / 1000));
}

/* mu held. The store is well. Shows it as well when that has lasted long enough. */
static struct turned turn_well(struct watch *w, int64_t boot_us) {
  if (w->shown == WATCH_WELL) return (struct turned){0};
  if (w->well_us == 0) w->well_us = boot_us;
  if (boot_us - w->well_us < w->steady_us) return (struct turned){0};
  struct turned t = {true, w->well_us - w->down_us, w->relapses};
  w->shown = WATCH_WELL;
  w->back_us = boot_us;
  w->well_us = 0;
  return t;
}

/* While the store is well and still shown as ill, each write counts, and no further write is asked for. */
void watch_ok(struct watch *w, int64_t boot_us) {
  atomic_store_explicit(&w->ok_us, boot_us, memory_order_relaxed);
  if (!atomic_load_explicit(&w->ill, memory_order_relaxed)) return;
  pthread_mutex_lock(&w->mu);
  w->state = WATCH_WELL;
  w->bad_us = w->last_us = 0;
  w->stuck = false;
  struct turned t = turn_well(w, boot_us);
  if (w->shown == WATCH_WELL) w->why[0] = '\0';
  atomic_store(&w->ill, w->shown != WATCH_WELL);
  report(w);
  pthread_mutex_unlock(&w->mu);
  say_turned(&t);
}

static enum watch_state verdict(const struct watch *w, int64_t boot_us, enum store_rc rc) {
  if (rc == STORE_NO_SPACE) return WATCH_FULL;
  if (rc == STORE_DOWN || boot_us - w->bad_us >= WATCH_PATIENCE_US) return WATCH_AWAY;
  return w->state;
}

void watch_failed(struct watch *w, int64_t boot_us, enum store_rc rc, const char *why) {
  char said[HEALTH_WHY_BYTES];
  int64_t since = atomic_load_explicit(&w->busy_us, memory_order_relaxed); /* nothing was written while the call waited */
  pthread_mutex_lock(&w->mu);
  if (w->bad_us == 0 || (w->state == WATCH_WELL && boot_us - w->last_us > FORGET_US)) w->bad_us = since ? since : boot_us;
  w->last_us = boot_us;
  enum watch_state was = w->state;
  w->state = verdict(w, boot_us, rc);
  (void)snprintf(w->why, sizeof w->why, "%s", why && *why ? why : words(rc));
  memcpy(said, w->why, sizeof said);
  bool turned = w->state != was && turn_ill(w, boot_us, w->state);
  atomic_store(&w->ill, true);
  report(w);
  pthread_mutex_unlock(&w->mu);
  if (turned) log_warn(rc == STORE_NO_SPACE ? "store.full" : "store.down", L_STR("rc", store_rc_name(rc)), L_STR("why", said));
}

bool watch_asked(struct watch *w) {
  if (!atomic_load_explicit(&w->ill, memory_order_relaxed)) return false;
  pthread_mutex_lock(&w->mu);
  bool due = w->asked || w->bad_us != 0; /* after a failure a write is due until one succeeds */
  pthread_mutex_unlock(&w->mu);
  return due;
}

bool watch_hurried(const struct watch *w) {
  struct watch *m = (struct watch *)(uintptr_t)w; /* only its lock changes */
  if (!atomic_load_explicit(&m->ill, memory_order_relaxed)) return false;
  pthread_mutex_lock(&m->mu);
  bool yes = m->asked && m->state != WATCH_WELL;
  pthread_mutex_unlock(&m->mu);
  return yes;
}

/* ---- questions ---- */

bool watch_doubt(struct watch *w, int64_t boot_us) {
  pthread_mutex_lock(&w->mu);
  bool first = !w->asked && w->state != WATCH_WELL && boot_us - w->last_us >= WATCH_DOUBT_US;
  if (first) w->asked = true;
  pthread_mutex_unlock(&w->mu);
  return first;
}

enum watch_state watch_state(const struct watch *w) {
  struct watch *m = (struct watch *)(uintptr_t)w; /* only its lock changes */
  if (!atomic_load_explicit(&m->ill, memory_order_relaxed)) return WATCH_WELL;
  pthread_mutex_lock(&m->mu);
  enum watch_state s = m->state;
  pthread_mutex_unlock(&m->mu);
  return s;
}

static int64_t busy_for(const struct watch *w, int64_t boot_us) {
  int64_t since = atomic_load_explicit(&w->busy_us, memory_order_relaxed);
  return since == 0 ? 0 : boot_us - since;
}

enum wr_rc watch_admits(const struct watch *w, int64_t boot_us) {
  switch (watch_state(w)) {
  case WATCH_AWAY: return WR_DB_UNAVAILABLE;
  case WATCH_FULL: return WR_NO_SPACE;
  case WATCH_WELL: break;
  }
  return busy_for(w, boot_us) > WATCH_REFUSE_US ? WR_DB_UNAVAILABLE : WR_OK;
}

bool watch_ask(struct watch *w, int64_t boot_us) {
  if (boot_us - atomic_load(&w->ok_us) < WATCH_FRESH_US) return false;
  pthread_mutex_lock(&w->mu);
  bool first = !w->asked && w->state == WATCH_WELL && boot_us - w->last_us >= WATCH_FRESH_US;
  if (first) w->asked = true;
  if (first) atomic_store(&w->ill, true); /* so that the report of a good write is not passed over */
  pthread_mutex_unlock(&w->mu);
  return first;
}

void watch_wait(struct watch *w, int64_t us) {
  int64_t at = clock_mono_us() + us;
  pthread_mutex_lock(&w->mu);
  uint64_t was = w->reports;
  while (w->asked && w->reports == was && cond_until(&w->news, &w->mu, at)) {}
  pthread_mutex_unlock(&w->mu);
}

void watch_health(struct watch *w, int64_t boot_us, struct health_part *store, struct health_part *disk) {
  int64_t busy = busy_for(w, boot_us);
  struct turned t = {0};
  pthread_mutex_lock(&w->mu);
  bool stuck = busy > WATCH_STUCK_US, first = stuck && !w->stuck && w->state == WATCH_WELL, told = false;
  if (stuck) {
    w->stuck = true;
    if (w->bad_us == 0) w->bad_us = boot_us - busy;
    atomic_store(&w->ill, true);
  }
  if (first) told = turn_ill(w, boot_us, WATCH_AWAY);
  else if (!stuck && w->state == WATCH_WELL && w->well_us != 0) t = turn_well(w, boot_us);
  store->ok = w->shown != WATCH_AWAY && !stuck;
  disk->ok = w->shown != WATCH_FULL;
  const char *often = w->well_us ? "it comes and goes: " : "";
  store->why[0] = disk->why[0] = '\0';
  if (w->shown == WATCH_AWAY)
    (void)snprintf(store->why, sizeof store->why, "%s%.150s", often, w->why[0] ? w->why : words(STORE_DOWN));
  if (w->shown == WATCH_FULL) (void)snprintf(disk->why, sizeof disk->why, "%s%.150s", often, w->why);
  if (stuck && w->state != WATCH_AWAY)
    (void)snprintf(store->why, sizeof store->why, "the database has not answered a statement for %lld s",
                   (long long)(busy / 1000000));
  pthread_mutex_unlock(&w->mu);
  int64_t slow = atomic_load_explicit(&w->slow_us, memory_order_relaxed);
  if (store->ok && slow != 0 && boot_us - slow > WATCH_SLOW_US) {
    store->ok = false;
    (void)snprintf(store->why, sizeof store->why,
                   "commands wait, and none was stored for %lld s: rows that they need are locked, or the database is slow",
                   (long long)((boot_us - slow) / 1000000));
  }
  say_turned(&t);
  if (told) log_warn("store.down", L_STR("rc", "STUCK"), L_STR("why", store->why));
}

void watch_check(struct watch *w) {
  pthread_mutex_lock(&w->mu);
  wr_assert((w->state == WATCH_WELL && w->bad_us == 0 && !w->asked && w->shown == WATCH_WELL) || atomic_load(&w->ill));
  wr_assert(w->state == WATCH_WELL || (w->bad_us != 0 && w->bad_us <= w->last_us && w->why[0]));
  wr_assert(w->well_us == 0 || w->shown != WATCH_WELL);
  wr_assert(w->steady_us <= WATCH_STEADY_MAX_US);
  pthread_mutex_unlock(&w->mu);
}
