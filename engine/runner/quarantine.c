/* Flows that are set aside: quarantine.h. */
#include "quarantine.h"

#define ASIDE_MIN_US 15000000   /* longer than HINT_AGE_US, so that QUEUED rows of the flow get their hints after the wait */
#define ASIDE_MAX_US 600000000
#define RESULT_REFUSALS 5        /* the fifth comes after four minutes */
#define ALONE_REFUSALS LATER_ALONE_MOST   /* for the result of a stand-alone task, which is tried alone: after half a minute */

struct aside {
  bool trial;                   /* events of the flow are handled */
  int64_t wait_us, until;       /* boot time at which the trial begins, or ends */
  uint32_t times;
  struct events kept;
};

void quarantine_init(struct quarantine *q, struct env *env, struct events *events, const struct later *later,
                     struct admission *admission, struct reconciler *reconciler) {
  *q = (struct quarantine){.env = env, .events = events, .later = later, .admission = admission, .reconciler = reconciler};
  pthread_mutex_init(&q->mu, NULL);
}

static void aside_free(struct aside *a) {
  events_done(&a->kept);
  free(a);
}

void quarantine_done(struct quarantine *q) {
  const struct map64_slot *s;
  for (size_t i = 0; (s = map64_next(&q->flows, &i)) != NULL;) aside_free(s->val);
  map64_done(&q->flows);
  pthread_mutex_destroy(&q->mu);
}

void quarantine_check(const struct quarantine *q) {
  const struct map64_slot *s;
  for (size_t i = 0; (s = map64_next(&q->flows, &i)) != NULL;) {
    const struct aside *a = s->val;
    wr_assert(s->key > 0 && a->times > 0 && a->wait_us >= ASIDE_MIN_US && a->wait_us <= ASIDE_MAX_US);
    wr_assert(!a->trial || a->kept.n == 0);
    for (size_t k = 0; k < a->kept.n; k++) wr_assert(a->kept.v[k].fi == s->key && a->kept.v[k].q == NULL);
  }
}

static struct aside *aside_of(const struct quarantine *q, int64_t fi) {
  return q->flows.n == 0 || fi == 0 ? NULL : map64_get(&q->flows, fi);
}

bool quarantine_waits(const struct quarantine *q, int64_t fi) {
  const struct aside *a = aside_of(q, fi);
  return a && !a->trial;
}

void quarantine_put(struct quarantine *q, int64_t fi) {
  struct aside *a = aside_of(q, fi);
  if (a == NULL) {
    a = wr_new(struct aside);
    pthread_mutex_lock(&q->mu);
    (void)map64_put(&q->flows, fi, a);
    pthread_mutex_unlock(&q->mu);
    atomic_store(&q->env->news, true);
  }
  a->wait_us = a->times < 6 ? ASIDE_MIN_US << a->times : ASIDE_MAX_US;
  a->times++;
  a->trial = false;
  a->until = q->env->boot_us + a->wait_us;
}

/* ---- results that are refused ---- */

bool quarantine_blames(const struct quarantine *q, const struct ev *e) {
  const struct aside *a = aside_of(q, e->fi);
  bool often = e->fi == 0 ? e->wait.times >= ALONE_REFUSALS : a && a->times + 1 >= RESULT_REFUSALS;
  return e->a && !e->spare && often;
}

void quarantine_keep(struct quarantine *q, const struct ev *e) {
  struct aside *a = aside_of(q, e->fi);
  struct ev kept = *e;
  kept.then = THEN_OVER;
  if (a == NULL) { /* a request in the same batch was committed, so the flow is no longer set aside */
    events_add(q->events, kept);
    return;
  }
  if (e->a && !e->slotless) {
    admission_pay_back(q->admission, e->a);
    kept.slotless = true;
    attempt_weighs(kept.a, NULL, 0); /* it may wait for days: nobody else's result is held up by it */
  }
  events_add(&a->kept, kept);
}

/* ---- trials ---- */

/* The flow is tried again: events that were kept are handled first, and events that were dropped are looked for in the rows. */
static void on_trial(struct quarantine *q, int64_t fi, struct aside *a) {
  a->trial = true;
  a->until = q->env->boot_us + a->wait_us;
  for (size_t i = 0; i < a->kept.n; i++) events_add(q->events, a->kept.v[i]);
  a->kept.n = 0;
  reconciler_flow(q->reconciler, fi);
}

static void aside_over(struct quarantine *q, int64_t fi) {
  log_info("runner.quarantine_over", L_INT("fi", fi));
  pthread_mutex_lock(&q->mu);
  struct aside *a = map64_del(&q->flows, fi);
  pthread_mutex_unlock(&q->mu);
  atomic_store(&q->env->news, true);
  aside_free(a);
}

/* The flow whose time comes first. */
static const struct map64_slot *first_aside(const struct quarantine *q) {
  const struct map64_slot *s, *least = NULL;
  for (size_t i = 0; q->flows.n > 0 && (s = map64_next(&q->flows, &i)) != NULL;)
    if (!least || ((const struct aside *)s->val)->until < ((const struct aside *)least->val)->until) least = s;
  return least;
}

int64_t quarantine_next(const struct quarantine *q) {
  const struct map64_slot *s = first_aside(q);
  return s ? ((const struct aside *)s->val)->until : INT64_MAX;
}

/* Something waits, so a flow on trial may not have been tried yet. */
static bool trials_wait(const struct quarantine *q) {
  return q->events->n + q->later->wait.n > 0 || reconciler_busy(q->reconciler);
}

void quarantine_turn(struct quarantine *q) {
  for (const struct map64_slot *s; quarantine_next(q) <= q->env->boot_us;) {
    s = first_aside(q);
    struct aside *a = s->val;
    if (!a->trial) on_trial(q, s->key, a);
    else if (trials_wait(q)) a->until = q->env->boot_us + a->wait_us;
    else aside_over(q, s->key);
  }
}

void quarantine_committed(struct quarantine *q, int64_t fi) {
  struct aside *a = aside_of(q, fi);
  if (a == NULL) return;
  if (!a->trial) on_trial(q, fi, a); /* a user's request was committed */
  aside_over(q, fi);
}

/* ---- any thread ---- */

bool quarantine_has(struct quarantine *q, int64_t fi) {
  pthread_mutex_lock(&q->mu);
  bool yes = aside_of(q, fi) != NULL;
  pthread_mutex_unlock(&q->mu);
  return yes;
}

size_t quarantine_list(struct quarantine *q, int64_t *fi, size_t most) {
  const struct map64_slot *s;
  size_t n = 0;
  pthread_mutex_lock(&q->mu);
  for (size_t i = 0; q->flows.n > 0 && n < most && (s = map64_next(&q->flows, &i)) != NULL;) fi[n++] = s->key;
  pthread_mutex_unlock(&q->mu);
  return n;
}
