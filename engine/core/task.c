/* One task instance: the table of state x event (docs/explanation/protocol.md). Pure; owns nothing; any thread.
 * What never happens: a final state is left, or a report of another attempt changes anything. */
#include "task.h"
#include "clock.h"
#include "err.h"
#include "wr_limits.h"

const struct task_policy task_policy_default = {
  .attempts = 1, .backoff_base_us = 1000000, .backoff_cap_us = 300 * 1000000LL, .backoff_factor = 2.0,
  .jitter = JITTER_FULL, .on_lost = ON_LOST_RETRY, .slot = SLOT_ASYNC
};

static const char *const state_name[TASK__N] = {
#define X(n, v, f, s) [TASK_##n] = #n,
  TASK_STATES(X)
#undef X
};
static const char *const state_status[TASK__N] = {
#define X(n, v, f, s) [TASK_##n] = s,
  TASK_STATES(X)
#undef X
};
const char *task_state_name(enum task_state s) { return (unsigned)s < TASK__N ? state_name[s] : "?"; }
const char *task_state_status(enum task_state s) { return (unsigned)s < TASK__N ? state_status[s] : "?"; }

static const char *const ev_name[TASK_EV__N] = {
  [TASK_EV_CLAIM] = "CLAIM", [TASK_EV_OK] = "OK", [TASK_EV_FAIL] = "FAIL", [TASK_EV_LOST] = "LOST",
  [TASK_EV_HANDBACK] = "HANDBACK", [TASK_EV_TIMEOUT] = "TIMEOUT", [TASK_EV_QUEUE_TIMEOUT] = "QUEUE_TIMEOUT",
  [TASK_EV_DUE] = "DUE", [TASK_EV_CANCEL] = "CANCEL", [TASK_EV_REST_RUN_ON] = "REST_RUN_ON",
  [TASK_EV_REST_CANCEL] = "REST_CANCEL"
};
const char *task_ev_name(enum task_ev e) { return (unsigned)e < TASK_EV__N ? ev_name[e] : "?"; }

int64_t task_backoff(const struct task_policy *pol, uint32_t n, uint64_t rnd) {
  double d = (double)pol->backoff_base_us;
  double cap = (double)pol->backoff_cap_us;
  for (uint32_t i = 1; i < n && d < cap; i++) d *= pol->backoff_factor;
  int64_t us = d < cap ? (int64_t)d : pol->backoff_cap_us;
  if (us <= 0) return 0;
  uint64_t r = rand_next(&rnd);
  switch (pol->jitter) {
  case JITTER_FULL: return (int64_t)(r % ((uint64_t)us + 1));
  case JITTER_EQUAL: return us / 2 + (int64_t)(r % ((uint64_t)(us - us / 2) + 1));
  case JITTER_NONE: break;
  }
  return us;
}

/* ---- moves: each returns the outcome bits ---- */

struct step { struct task *t; const struct task_event *ev; const struct task_policy *pol; };

static unsigned end(struct task *t, enum task_state s) {
  t->state = s;
  t->owner = 0;
  t->due_us = 0;
  t->end_as = TASK_NONE;
  return TASK_OUT_CHANGED | TASK_OUT_ENDED;
}

void task_queue(struct task *t, const struct task_policy *pol, int64_t now_us) {
  t->state = TASK_QUEUED;
  t->owner = 0;
  t->due_us = pol->queue_timeout_us > 0 ? now_us + pol->queue_timeout_us : 0;
}

static unsigned to_queue(const struct step *s) {
  task_queue(s->t, s->pol, s->ev->now_us);
  return TASK_OUT_CHANGED | TASK_OUT_REQUEUED;
}

static unsigned to_canceling(struct task *t, enum task_state end_as) {
  t->state = TASK_CANCELING;
  t->end_as = end_as;
  return TASK_OUT_CHANGED | TASK_OUT_KILL;
}

/* A try of the user's program failed: the task is tried again after a pause, or it ends as `as`. */
static unsigned try_failed(const struct step *s, enum task_state as) {
  struct task *t = s->t;
  t->tries++;
  if (s->ev->fatal || !s->ev->may_retry || t->tries >= s->pol->attempts) return end(t, as);
  t->state = TASK_RETRY_WAIT;
  t->end_as = TASK_NONE;
  t->owner = 0;
  t->due_us = s->ev->now_us + task_backoff(s->pol, t->tries, s->ev->rnd);
  return TASK_OUT_CHANGED | TASK_OUT_WAITS | TASK_OUT_ATTEMPT_ENDED;
}

static unsigned do_none(const struct step *s) { (void)s; return 0; }
static unsigned do_late(const struct step *s) { (void)s; return TASK_OUT_LATE; }
static unsigned do_refuse(const struct step *s) { (void)s; return TASK_OUT_REFUSED; }

static unsigned do_claim(const struct step *s) {
  struct task *t = s->t;
  t->state = TASK_RUNNING;
  t->owner = s->ev->owner;
  t->epoch++;
  t->due_us = 0;
  t->start_us = s->ev->now_us;
  return TASK_OUT_CHANGED | TASK_OUT_CLAIMED;
}

static unsigned do_ok(const struct step *s) { return end(s->t, TASK_SUCCESS); }
static unsigned do_fail(const struct step *s) { return try_failed(s, TASK_FAILED); }

static unsigned do_lost(const struct step *s) {
  struct task *t = s->t;
  t->losses++;
  if (t->losses >= LIMIT_LOSSES) return end(t, TASK_DEAD);
  if (s->pol->on_lost == ON_LOST_FAIL || !s->ev->may_requeue) return end(t, TASK_FAILED);
  return to_queue(s) | TASK_OUT_ATTEMPT_ENDED;
}

static unsigned do_handback(const struct step *s) { return to_queue(s) | TASK_OUT_ATTEMPT_ENDED; }

/* The attempt ended after it was asked to save its work and stop. */
static unsigned do_paused(const struct step *s) {
  s->t->state = TASK_PAUSED;
  s->t->owner = 0;
  return TASK_OUT_CHANGED | TASK_OUT_ATTEMPT_ENDED;
}

static unsigned do_fail_pausing(const struct step *s) {
  s->t->tries++;
  return end(s->t, TASK_FAILED);
}

/* The end of CANCELING: TIMEOUT is a failed try like any other, CANCELED is final. */
static unsigned do_end_as(const struct step *s) {
  return s->t->end_as == TASK_TIMEOUT ? try_failed(s, TASK_TIMEOUT) : end(s->t, s->t->end_as);
}

/* An OK counts when the program ended by itself before it was told to stop. After that an OK only means that the program tidied
 * up. */
static unsigned do_ok_canceling(const struct step *s) { return s->ev->asked ? do_end_as(s) : do_ok(s); }

static unsigned do_timeout(const struct step *s) { return to_canceling(s->t, TASK_TIMEOUT); }
static unsigned do_queue_timeout(const struct step *s) { return end(s->t, TASK_TIMEOUT); }
/* A timer of an earlier wait rings too soon; the timer of this wait rings later. If nothing new may start, a sweep ends the
 * task. */
static unsigned do_due(const struct step *s) { return s->ev->may_retry && s->t->due_us <= s->ev->now_us ? to_queue(s) : 0; }

static unsigned do_due_queued(const struct step *s) {
  return s->t->due_us != 0 && s->t->due_us <= s->ev->now_us ? do_queue_timeout(s) : 0;
}

static unsigned do_cancel(const struct step *s) {
  s->t->cancel_requested = 1;
  return end(s->t, TASK_CANCELED);
}

static unsigned do_cancel_running(const struct step *s) {
  s->t->cancel_requested = 1;
  return to_canceling(s->t, TASK_CANCELED);
}

/* The task is being canceled already: this wish replaces the reason, and the owner is told again, because a nudge may have been
 * lost. */
static unsigned do_cancel_again(const struct step *s) {
  unsigned out = s->t->cancel_requested ? TASK_OUT_KILL : TASK_OUT_CHANGED | TASK_OUT_KILL;
  (void)do_cancel_running(s);
  return out;
}

static unsigned do_cancel_final(const struct step *s) {
  return s->t->state == TASK_CANCELED ? 0 : TASK_OUT_REFUSED;
}

static unsigned do_rest_failed(const struct step *s) { return end(s->t, TASK_FAILED); }

typedef unsigned (*task_fn)(const struct step *);
#define FINAL(f) [TASK_SUCCESS] = f, [TASK_FAILED] = f, [TASK_TIMEOUT] = f, [TASK_CANCELED] = f, [TASK_DEAD] = f
#define REPORT(run, pausing, canceling)                                                                     \
  { [TASK_NONE] = do_late, [TASK_CREATED] = do_late, [TASK_BLOCKED] = do_late, [TASK_QUEUED] = do_late, \
    [TASK_RUNNING] = run, [TASK_RETRY_WAIT] = do_late, [TASK_PAUSING] = pausing, [TASK_PAUSED] = do_late,   \
    [TASK_CANCELING] = canceling, FINAL(do_late) }

static const task_fn table[TASK_EV__N][TASK__N] = {
  [TASK_EV_CLAIM] = { [TASK_NONE] = do_none, [TASK_CREATED] = do_none, [TASK_BLOCKED] = do_none, [TASK_QUEUED] = do_claim,
    [TASK_RUNNING] = do_none, [TASK_RETRY_WAIT] = do_none, [TASK_PAUSING] = do_none, [TASK_PAUSED] = do_none,
    [TASK_CANCELING] = do_none, FINAL(do_none) },
  [TASK_EV_OK] = REPORT(do_ok, do_ok, do_ok_canceling),
  [TASK_EV_FAIL] = REPORT(do_fail, do_fail_pausing, do_end_as),
  [TASK_EV_LOST] = REPORT(do_lost, do_paused, do_end_as),
  [TASK_EV_HANDBACK] = REPORT(do_handback, do_paused, do_end_as),
  [TASK_EV_TIMEOUT] = { [TASK_NONE] = do_late, [TASK_CREATED] = do_late, [TASK_BLOCKED] = do_late, [TASK_QUEUED] = do_late,
    [TASK_RUNNING] = do_timeout, [TASK_RETRY_WAIT] = do_late, [TASK_PAUSING] = do_timeout, [TASK_PAUSED] = do_late,
    [TASK_CANCELING] = do_none, FINAL(do_late) },
  [TASK_EV_QUEUE_TIMEOUT] = { [TASK_NONE] = do_none, [TASK_CREATED] = do_none, [TASK_BLOCKED] = do_none,
    [TASK_QUEUED] = do_queue_timeout, [TASK_RUNNING] = do_none, [TASK_RETRY_WAIT] = do_none, [TASK_PAUSING] = do_none,
    [TASK_PAUSED] = do_none, [TASK_CANCELING] = do_none, FINAL(do_none) },
  [TASK_EV_DUE] = { [TASK_NONE] = do_none, [TASK_CREATED] = do_none, [TASK_BLOCKED] = do_none, [TASK_QUEUED] = do_due_queued,
    [TASK_RUNNING] = do_none, [TASK_RETRY_WAIT] = do_due, [TASK_PAUSING] = do_none, [TASK_PAUSED] = do_none,
    [TASK_CANCELING] = do_none, FINAL(do_none) },
  [TASK_EV_CANCEL] = { [TASK_NONE] = do_refuse, [TASK_CREATED] = do_cancel, [TASK_BLOCKED] = do_cancel,
    [TASK_QUEUED] = do_cancel, [TASK_RUNNING] = do_cancel_running, [TASK_RETRY_WAIT] = do_cancel,
    [TASK_PAUSING] = do_cancel_running, [TASK_PAUSED] = do_cancel, [TASK_CANCELING] = do_cancel_again, FINAL(do_cancel_final) },
  [TASK_EV_REST_RUN_ON] = { [TASK_NONE] = do_none, [TASK_CREATED] = do_none, [TASK_BLOCKED] = do_none, [TASK_QUEUED] = do_none,
    [TASK_RUNNING] = do_none, [TASK_RETRY_WAIT] = do_rest_failed, [TASK_PAUSING] = do_none, [TASK_PAUSED] = do_none,
    [TASK_CANCELING] = do_none, FINAL(do_none) },
  [TASK_EV_REST_CANCEL] = { [TASK_NONE] = do_none, [TASK_CREATED] = do_cancel, [TASK_BLOCKED] = do_cancel,
    [TASK_QUEUED] = do_cancel, [TASK_RUNNING] = do_cancel_running, [TASK_RETRY_WAIT] = do_cancel,
    [TASK_PAUSING] = do_cancel_running, [TASK_PAUSED] = do_cancel, [TASK_CANCELING] = do_none, FINAL(do_none) },
};

const char *task_error(const struct task *t, const struct task *was, const char *text) {
  switch (t->state) {
  case TASK_TIMEOUT: return was->state == TASK_QUEUED ? "Timed out in the queue." : "Timed out.";
  case TASK_CANCELED: return "Canceled.";
  case TASK_DEAD: return "Lost three times; given up. Its history says how.";
  case TASK_SUCCESS: return "";
  case TASK_RETRY_WAIT: return was->end_as == TASK_TIMEOUT ? "Timed out." : text;
  case TASK_NONE: case TASK_CREATED: case TASK_BLOCKED: case TASK_QUEUED: case TASK_RUNNING: case TASK_PAUSING:
  case TASK_PAUSED: case TASK_CANCELING: case TASK_FAILED: case TASK__N: break;
  }
  return text;
}

enum task_ev task_attempt_why(const struct task *was, enum task_ev kind) {
  return was->end_as == TASK_TIMEOUT ? TASK_EV_TIMEOUT : kind;
}

static bool is_report(enum task_ev e) {
  return e == TASK_EV_OK || e == TASK_EV_FAIL || e == TASK_EV_LOST || e == TASK_EV_HANDBACK || e == TASK_EV_TIMEOUT;
}

unsigned task_apply(struct task *t, const struct task_event *ev, const struct task_policy *pol) {
  struct step s = {t, ev, pol};
  if (is_report(ev->kind) && (ev->owner != t->owner || ev->epoch != t->epoch)) return TASK_OUT_LATE;
  return table[ev->kind][t->state](&s);
}

#define FACT(x) if (!(x)) return #x

const char *task_fault(const struct task *t) {
  FACT(t->state < TASK__N && t->end_as < TASK__N);
  bool owned = t->state == TASK_RUNNING || t->state == TASK_PAUSING || t->state == TASK_CANCELING;
  FACT((t->owner != 0) == owned);
  FACT(t->state == TASK_RETRY_WAIT ? t->due_us != 0 : t->due_us == 0 || t->state == TASK_QUEUED);
  FACT((t->end_as != TASK_NONE) == (t->state == TASK_CANCELING));
  FACT(!owned || t->epoch > 0);
  FACT(t->losses <= LIMIT_LOSSES);
  return NULL;
}

void task_check(const struct task *t) {
  const char *fault = task_fault(t);
  if (fault) wr_assert_fail(fault, __FILE__, __LINE__);
}
