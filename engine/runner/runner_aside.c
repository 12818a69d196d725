/* Flows that are set aside: the store refuses what an event of them writes, for good as far as it can tell. They wait, longer
 * each time, and are tried again: by themselves, by a user's cancel or resume at once, by a restart. The runner thread's;
 * runner_set_aside(): any thread.
 *
 * Results and run timeouts of such a flow are kept, without their slot; all else is found in the rows again. A result
 * that is refused again and again is taken as a failure of its attempt, when that failure can be stored in the same moment:
 * then it is the result itself that cannot be. When it is refused as well the fault is not the result's, which stays.
 * A commit ends the matter, or a trial in which nothing was refused: another node may have gone on with the flow.
 * What never happens: a flow that stays aside until somebody repairs it, or holds up another. */
#include <stdlib.h>
#include "runner_int.h"

#define ASIDE_MIN_US 15000000   /* longer than HINT_AGE_US: its QUEUED rows get their hints when it is over */
#define ASIDE_MAX_US 600000000
#define RESULT_REFUSALS 5        /* the fifth comes after four minutes */
#define LONE_REFUSALS PUT_OFF_MOST    /* of a task without a flow, which waits alone: after half a minute */

struct aside {
  bool trial;                   /* its events count */
  int64_t wait_us, until;       /* boot time: then comes the trial, or the end of it */
  uint32_t times;
  struct ev *ev; size_t n, cap; /* kept */
};

static struct aside *of(const struct runner *r, int64_t fi) { return r->aside.n == 0 || fi == 0 ? NULL : map64_get(&r->aside, fi); }

bool aside_now(const struct runner *r, int64_t fi) {
  const struct aside *a = of(r, fi);
  return a && !a->trial;
}

void aside_put(struct runner *r, int64_t fi) {
  struct aside *a = of(r, fi);
  if (a == NULL) {
    a = wr_new(struct aside);
    pthread_mutex_lock(&r->mu);
    (void)map64_put(&r->aside, fi, a);
    pthread_mutex_unlock(&r->mu);
    atomic_store(&r->tell.news, true);
  }
  a->wait_us = a->times < 6 ? ASIDE_MIN_US << a->times : ASIDE_MAX_US;
  a->times++;
  a->trial = false;
  a->until = r->boot_us + a->wait_us;
}

/* ---- results that are refused ---- */

struct spare { enum attempt_end end; char *result, *error; size_t result_len; };

bool result_replace(const struct runner *r, struct ev *e) {
  const struct aside *a = of(r, e->fi);
  bool often = e->fi == 0 ? e->put_off >= LONE_REFUSALS : a && a->times + 1 >= RESULT_REFUSALS;
  struct attempt *t = e->a;
  if (t == NULL || e->spare || !often) return false;
  e->spare = wr_new(struct spare);
  *e->spare = (struct spare){t->end, t->result, t->error, t->result_len};
  t->result = NULL;
  t->result_len = 0;
  t->end = ATTEMPT_FAIL;
  t->error = wr_strdup("The database refuses its result.");
  return true;
}

void result_restore(struct ev *e) {
  struct spare *s = e->spare;
  if (s == NULL) return;
  free(e->a->error);
  e->a->end = s->end;
  e->a->result = s->result;
  e->a->result_len = s->result_len;
  e->a->error = s->error;
  free(s);
  e->spare = NULL;
}

void result_forget(struct ev *e) {
  if (e->spare) free(e->spare->result), free(e->spare->error);
  free(e->spare);
  e->spare = NULL;
}

void aside_keep(struct runner *r, const struct ev *e) {
  struct aside *a = of(r, e->fi);
  struct ev kept = *e;
  kept.keep = false;
  if (a == NULL) { /* a request of its batch has ended the matter */
    ev_add(r, kept);
    return;
  }
  if (e->a && !e->slotless) {
    attempt_slot(r, e->a);
    kept.slotless = true;
  }
  *WR_PUSH(a->ev, a->n, a->cap) = kept;
}

/* It is tried again: what was kept counts first, what was dropped is looked for in the rows. */
static void on_trial(struct runner *r, int64_t fi, struct aside *a) {
  a->trial = true;
  a->until = r->boot_us + a->wait_us;
  for (size_t i = 0; i < a->n; i++) ev_add(r, a->ev[i]);
  a->n = 0;
  lease_recover(r, fi);
}

static void forget(struct aside *a) {
  for (size_t i = 0; i < a->n; i++) attempt_free(a->ev[i].a);
  free(a->ev);
  free(a);
}

static void over(struct runner *r, int64_t fi) {
  log_info("runner.quarantine_over", L_INT("fi", fi));
  pthread_mutex_lock(&r->mu);
  struct aside *a = map64_del(&r->aside, fi);
  pthread_mutex_unlock(&r->mu);
  atomic_store(&r->tell.news, true);
  forget(a);
}

/* The one whose time comes first. */
static const struct map64_slot *first(const struct runner *r) {
  const struct map64_slot *s, *least = NULL;
  for (size_t i = 0; r->aside.n > 0 && (s = map64_next(&r->aside, &i)) != NULL;)
    if (!least || ((const struct aside *)s->val)->until < ((const struct aside *)least->val)->until) least = s;
  return least;
}

int64_t aside_next(const struct runner *r) {
  const struct map64_slot *s = first(r);
  return s ? ((const struct aside *)s->val)->until : INT64_MAX;
}

/* What is on trial may not have been tried yet. */
static bool busy(const struct runner *r) { return r->n_ev + r->n_later > 0 || r->scan_ti >= 0 || r->scan_fi >= 0 || r->anew_next.n > 0; }

void aside_turn(struct runner *r) {
  for (const struct map64_slot *s; aside_next(r) <= r->boot_us;) {
    s = first(r);
    struct aside *a = s->val;
    if (!a->trial) on_trial(r, s->key, a);
    else if (busy(r)) a->until = r->boot_us + a->wait_us;
    else over(r, s->key);
  }
}

void aside_committed(struct runner *r, int64_t fi) {
  struct aside *a = of(r, fi);
  if (a == NULL) return;
  if (!a->trial) on_trial(r, fi, a); /* it was a user's request that came through */
  over(r, fi);
}

void aside_done(struct runner *r) {
  const struct map64_slot *s;
  for (size_t i = 0; (s = map64_next(&r->aside, &i)) != NULL;) forget(s->val);
  map64_done(&r->aside);
}

bool runner_set_aside(struct runner *r, int64_t fi) {
  pthread_mutex_lock(&r->mu);
  bool yes = of(r, fi) != NULL;
  pthread_mutex_unlock(&r->mu);
  return yes;
}
