/* Attempts that this node has and does not start yet: one whose former attempt has not ended here (its process dies, its log is
 * being written); one for which something was left that the log thread has not read yet; and one whose program is just being
 * written (ETXTBSY) or whose user has too many starts that hang. Such a start is tried for a minute; then its attempt has failed.
 * Nothing of these attempts has begun. So a cancel, a stop, the end of the lease or too long a wait sends them back without a
 * count. Loop thread only. */
#include <stdlib.h>

#include "clock.h"
#include "log.h"
#include "worker_parting.h"

#define FORMER_US (LOG_LAST_US + 1000000)   /* the wait for a former attempt: longer than the wait for a log that does not grow */
#define LEFT_US 10000000                    /* the wait for what was left: the log thread gives up earlier, unless it is busy */
#define BUSY_FIRST_US 20000                 /* then twice that, and so on */
#define BUSY_MAX_US 5000000

struct later { struct timer t; struct attempt *a; const char *why; };

static struct attempt *later_take(struct worker *w, struct later *l) {
  struct attempt *a = l->a;
  worker_timer(w, &l->t, 0);
  map64_del(&w->later, a->ti);
  free(l);
  return a;
}

static void hand_back(struct worker *w, struct later *l) {
  const char *why = l->why;
  exec_refuse(w, later_take(w, l), ATTEMPT_HANDBACK, why);
}

static void former_due(struct worker *w, struct timer *t) { hand_back(w, (struct later *)t); }
static void left_due(struct worker *w, struct timer *t) { hand_back(w, (struct later *)t); }
static void busy_due(struct worker *w, struct timer *t) { exec_start(w, later_take(w, (struct later *)t)); }
_Static_assert(offsetof(struct later, t) == 0, "a timer is its wait");

static void later_put(struct worker *w, struct attempt *a, int64_t us, void (*fire)(struct worker *, struct timer *),
                      const char *why) {
  struct later *l = map64_get(&w->later, a->ti);
  if (l) hand_back(w, l); /* of a former incarnation */
  l = wr_new(struct later);
  *l = (struct later){.t.fire = fire, .a = a, .why = why};
  map64_put(&w->later, a->ti, l);
  worker_timer(w, &l->t, clock_mono_us() + us);
}

void later_former(struct worker *w, struct attempt *a) {
  later_put(w, a, FORMER_US, former_due, "A former attempt has not ended here yet.");
}

void later_former_ended(struct worker *w, int64_t ti) {
  struct later *l = w->later.n ? map64_get(&w->later, ti) : NULL;
  if (l && l->t.fire == former_due) exec_start(w, later_take(w, l));
}

static const char unread[] = "What an earlier attempt left for it cannot be read now.";

void later_left(struct worker *w, struct attempt *a) {
  int64_t ti = a->ti;
  uint32_t epoch = a->epoch;
  later_put(w, a, LEFT_US, left_due, unread);
  keeper_recall(w->keeper, ti, epoch);
}

/* It may have been called back meanwhile, or another attempt may wait in its place. Or it is no attempt. */
void later_recalled(struct worker *w, int64_t ti, uint32_t epoch, enum log_rc rc, struct attempt_left *left) {
  struct later *l = w->later.n ? map64_get(&w->later, ti) : NULL;
  if (parting_recalled(w, ti, epoch, rc, left)) return;
  if (!l || l->t.fire != left_due || l->a->epoch != epoch || rc != LOG_STORED) free(left), left = NULL;
  if (!l || l->t.fire != left_due || l->a->epoch != epoch) return;
  struct attempt *a = later_take(w, l);
  a->left = left;
  a->recalled = true;
  if (rc == LOG_STORED) exec_start(w, a);
  else exec_refuse(w, a, ATTEMPT_HANDBACK, unread);
}

bool later_busy(struct worker *w, struct attempt *a, uint32_t tries) {
  if (a->tries >= tries) return false;
  int64_t us = (int64_t)BUSY_FIRST_US << (a->tries < 10 ? a->tries : 10);
  if (a->tries == BUSY_SAID)
    log_warn("worker.start_waits", L_INT("task", a->ti), L_INT("attempt", a->epoch), L_STR("why", a->error ? a->error : ""));
  free(a->error); /* of this try; the next one says its own */
  free(a->result);
  a->error = a->result = NULL;
  attempt_weighs(a, NULL, 0);
  a->tries++;
  later_put(w, a, us < BUSY_MAX_US ? us : BUSY_MAX_US, busy_due, NULL);
  return true;
}

bool later_cancel(struct worker *w, int64_t ti, uint32_t epoch) {
  struct later *l = w->later.n ? map64_get(&w->later, ti) : NULL;
  if (!l || l->a->epoch != epoch) return false;
  l->why = NULL;
  hand_back(w, l);
  return true;
}

void later_recall(struct worker *w) {
  const struct map64_slot *m;
  for (size_t i; i = 0, (m = map64_next(&w->later, &i));) hand_back(w, m->val);
}
