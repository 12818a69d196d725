/* One task instance: the table of state x event (docs/explanation/protocol.md). Pure; owns nothing; any thread. What users ask
 * for is in ask.c, the events of a deletion are in delete.c, those of an analysis in analyse.c.
 * What never happens: an event leaves a final state, or a report of another attempt changes anything. */
#include "task.h"
#include "clock.h"
#include "err.h"
#include "moves.h"
#include "wr_limits.h"

const struct task_policy task_policy_default = {
  .attempts = 1, .backoff_base_us = 1000000, .backoff_cap_us = 300 * 1000000LL, .backoff_factor = 2.0,
  .jitter = JITTER_FULL, .on_lost = ON_LOST_RETRY, .slot = SLOT_ASYNC
};
const struct task_policy task_policy_analysis = {.attempts = 1, .slot = SLOT_ANALYSIS, .cost = 1};

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

const char *shown_name(enum task_shown s) {
  if (s == SHOWN_DELETING) return "DELETING";
  if (s == SHOWN_ANALYZING) return "ANALYZING";
  if (s == SHOWN_WAITING_CHILDREN) return "WAITING_CHILDREN";
  return s == SHOWN_DELETE_FAILED ? "DELETE_FAILED" : task_state_name((enum task_state)s);
}

enum task_shown task_show(const struct task *t) {
  if (t->phase == PHASE_RUN) return (enum task_shown)t->state;
  if (t->phase == PHASE_ANALYSE) return t->state == TASK_PAUSED ? SHOWN_PAUSED : SHOWN_ANALYZING;
  if (t->phase == PHASE_CHILDREN) return t->end_as == TASK_CANCELED ? SHOWN_CANCELING : SHOWN_WAITING_CHILDREN;
  return task_final(t->state) ? SHOWN_DELETE_FAILED : SHOWN_DELETING;
}

const char *task_shown(const struct task *t) { return shown_name(task_show(t)); }

static bool is_owned(enum task_state s) { return s == TASK_RUNNING || s == TASK_PAUSING || s == TASK_CANCELING; }

/* A deletion that stops the attempt of a run, whether or not a user has cancelled the deletion meanwhile. */
static bool deletion_stops(const struct task *t) {
  return t->phase == PHASE_DELETE && (t->end_as == TASK_QUEUED || t->end_as == TASK_FAILED);
}

enum task_stop task_stop(const struct task *t) {
  if (t->phase == PHASE_DELETE && t->state == TASK_CANCELED) return STOP_FENCED; /* it is gone: nothing is left to wait for */
  if (t->state == TASK_PAUSING) return STOP_PAUSE;
  if (t->state != TASK_CANCELING) return STOP_NONE;
  if (deletion_stops(t)) return STOP_DELETE;
  return t->end_as == TASK_TIMEOUT ? STOP_TIMEOUT : STOP_CANCEL;
}

bool task_counts(const struct task *t) { return is_owned(t->state) && (t->phase == PHASE_RUN || deletion_stops(t)); }

static const char *const ev_name[TASK_EV__N] = {
  [TASK_EV_CLAIM] = "CLAIM", [TASK_EV_OK] = "OK", [TASK_EV_FAIL] = "FAIL", [TASK_EV_LOST] = "LOST",
  [TASK_EV_HANDBACK] = "HANDBACK", [TASK_EV_NOT_NOW] = "NOT_NOW", [TASK_EV_TIMEOUT] = "TIMEOUT",
  [TASK_EV_QUEUE_TIMEOUT] = "QUEUE_TIMEOUT", [TASK_EV_DUE] = "DUE", [TASK_EV_CANCEL] = "CANCEL",
  [TASK_EV_REST_RUN_ON] = "REST_RUN_ON", [TASK_EV_REST_CANCEL] = "REST_CANCEL", [TASK_EV_HOLD] = "HOLD",
  [TASK_EV_CHECKPOINT] = "CHECKPOINT", [TASK_EV_TAKE_UP] = "TAKE_UP", [TASK_EV_CHILDREN] = "CHILDREN"
};
const char *task_ev_name(enum task_ev e) {
  if (e == TASK_ATTEMPT_PAUSED) return "PAUSED";
  return (unsigned)e < TASK_EV__N ? ev_name[e] : "?";
}

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

unsigned move_end(struct task *t, enum task_state s) {
  t->state = s;
  t->owner = 0;
  t->due_us = 0;
  t->end_as = TASK_NONE;
  t->resume = RESUME_NONE;
  return TASK_OUT_CHANGED | TASK_OUT_ENDED;
}

/* The clean-up of a deletion has no queue timeout: what users see is DELETING, not QUEUED. */
void task_queue(struct task *t, const struct task_policy *pol, int64_t now_us) {
  t->state = TASK_QUEUED;
  if (t->phase != PHASE_ANALYSE) t->end_as = TASK_NONE;
  t->resume = RESUME_NONE;
  t->owner = 0;
  t->due_us = pol->queue_timeout_us > 0 && t->phase == PHASE_RUN ? now_us + pol->queue_timeout_us : 0;
}

unsigned move_queue(struct task *t, const struct task_policy *pol, int64_t now_us) {
  task_queue(t, pol, now_us);
  return TASK_OUT_CHANGED | TASK_OUT_REQUEUED;
}

static unsigned to_queue(const struct step *s) { return move_queue(s->t, s->pol, s->ev->now_us); }

unsigned move_stop(struct task *t, enum task_state end_as) {
  t->state = TASK_CANCELING;
  t->end_as = end_as;
  t->resume = RESUME_NONE;
  return TASK_OUT_CHANGED | TASK_OUT_KILL;
}

unsigned move_pause(struct task *t) {
  t->state = TASK_PAUSED;
  if (t->phase != PHASE_ANALYSE) t->end_as = TASK_NONE;
  t->owner = 0;
  t->due_us = 0;
  return TASK_OUT_CHANGED;
}

unsigned move_pausing(struct task *t, enum task_resume resume) {
  t->state = TASK_PAUSING;
  t->resume = resume;
  return TASK_OUT_CHANGED | TASK_OUT_KILL;
}

unsigned task_begin(struct task *t, const struct task_start *start, const struct task_policy *pol, int64_t now_us) {
  if (!start->hold && start->at_us <= now_us) return move_queue(t, pol, now_us);
  t->state = start->hold ? TASK_CREATED : TASK_BLOCKED;
  t->due_us = start->hold ? 0 : start->at_us;
  return TASK_OUT_CHANGED | (start->hold ? 0 : TASK_OUT_WAITS);
}

unsigned move_retry_wait(struct task *t, int64_t due_us) {
  t->state = TASK_RETRY_WAIT;
  t->end_as = TASK_NONE;
  t->owner = 0;
  t->due_us = due_us;
  return TASK_OUT_CHANGED | TASK_OUT_WAITS | TASK_OUT_ATTEMPT_ENDED;
}

/* A try of the user's program failed: the task is tried again after a pause, or it ends as `as`. */
unsigned move_try_failed(const struct step *s, enum task_state as) {
  struct task *t = s->t;
  t->tries++;
  if (s->ev->fatal || !s->ev->may_retry || t->tries >= s->pol->attempts) return move_end(t, as);
  return move_retry_wait(t, s->ev->now_us + task_backoff(s->pol, t->tries, s->ev->rnd));
}

unsigned move_not_now(const struct step *s) {
  int64_t after = s->ev->after_us > 0 ? s->ev->after_us : s->pol->backoff_base_us;
  s->t->again++;
  return move_retry_wait(s->t, s->ev->now_us + (after < LIMIT_AGAIN_US ? after : LIMIT_AGAIN_US));
}

static unsigned do_none(const struct step *s) { (void)s; return 0; }
static unsigned do_late(const struct step *s) { (void)s; return TASK_OUT_LATE; }
static unsigned do_refuse(const struct step *s) { (void)s; return TASK_OUT_REFUSED; }

unsigned move_claim(const struct step *s) {
  struct task *t = s->t;
  t->state = TASK_RUNNING;
  t->owner = s->ev->owner;
  t->epoch = task_attempt_of(t->epoch) + 1;
  t->due_us = 0;
  t->start_us = s->ev->now_us;
  return TASK_OUT_CHANGED | TASK_OUT_CLAIMED;
}

static unsigned do_handback(const struct step *s) { return to_queue(s) | TASK_OUT_ATTEMPT_ENDED; }

/* What its analyzer will say counts, not how it ended. */
static bool is_analysed(const struct step *s) { return s->pol->calls > 0 && s->ev->analyse && !s->ev->asked; }

/* An OK counts when the program ended by itself before it was told to stop. After that an OK only means that the program tidied
 * up. A task that is RUNNING is told to stop by a planned stop alone. */
static unsigned do_ok(const struct step *s) {
  if (s->ev->asked) return do_handback(s);
  return is_analysed(s) ? analyse_begin(s->t, TASK_SUCCESS) : move_end(s->t, TASK_SUCCESS);
}

static unsigned do_fail(const struct step *s) {
  return is_analysed(s) ? analyse_begin(s->t, TASK_FAILED) : move_try_failed(s, TASK_FAILED);
}

static unsigned do_lost(const struct step *s) {
  struct task *t = s->t;
  t->losses++;
  if (t->losses >= LIMIT_LOSSES) return move_end(t, TASK_DEAD);
  if (s->pol->on_lost == ON_LOST_FAIL || !s->ev->may_requeue) return move_end(t, TASK_FAILED);
  return to_queue(s) | TASK_OUT_ATTEMPT_ENDED;
}

/* Beyond the limit "not now" is a failure like any other. Where nothing may be tried again, no later moment will come. */
static unsigned do_not_now(const struct step *s) {
  if (s->t->again >= LIMIT_AGAIN) return do_fail(s);
  return s->ev->may_retry ? move_not_now(s) : move_end(s->t, TASK_FAILED);
}

/* The attempt ended after it was asked to save its work and stop: no try is counted, and no loss. */
static unsigned do_stopped(const struct step *s) {
  if (s->t->resume == RESUME_RUN) return to_queue(s) | TASK_OUT_ATTEMPT_ENDED;
  return move_pause(s->t) | TASK_OUT_ATTEMPT_ENDED;
}

static unsigned do_ok_pausing(const struct step *s) { return s->ev->asked ? do_stopped(s) : do_ok(s); }

/* A failure by itself is one: before our request came, or by the word of the program that no further try makes sense. */
static unsigned do_fail_pausing(const struct step *s) {
  if (s->ev->asked && !s->ev->fatal) return do_stopped(s);
  if (is_analysed(s)) return analyse_begin(s->t, TASK_FAILED);
  s->t->tries++;
  return move_end(s->t, TASK_FAILED);
}

/* The end of CANCELING: TIMEOUT is a failed try like any other, CANCELED is final. */
static unsigned do_end_as(const struct step *s) {
  return s->t->end_as == TASK_TIMEOUT ? move_try_failed(s, TASK_TIMEOUT) : move_end(s->t, s->t->end_as);
}

/* An OK whose analyzer is not asked any more says nothing. */
static unsigned do_ok_canceling(const struct step *s) { return s->ev->asked || is_analysed(s) ? do_end_as(s) : do_ok(s); }

/* A program that says that it cannot be tried again has failed, whoever asked it to stop. */
static unsigned do_fail_canceling(const struct step *s) {
  if (!s->ev->fatal || s->t->end_as != TASK_CANCELED) return do_end_as(s);
  s->t->tries++;
  return move_end(s->t, TASK_FAILED);
}

static unsigned do_timeout(const struct step *s) { return move_stop(s->t, TASK_TIMEOUT); }
static unsigned do_queue_timeout(const struct step *s) { return move_end(s->t, TASK_TIMEOUT); }
/* A timer of an earlier wait rings too soon; the timer of this wait rings later. If nothing new may start, a sweep ends the
 * task. */
static unsigned do_due(const struct step *s) { return s->ev->may_retry && s->t->due_us <= s->ev->now_us ? to_queue(s) : 0; }

/* What the pause of its flow holds is not queued: a retry whose time has come waits for the resume alone. */
static unsigned do_due_blocked(const struct step *s) {
  struct task *t = s->t;
  if (t->end_as == TASK_NONE) return do_due(s);
  if (t->end_as == TASK_QUEUED || t->due_us > s->ev->now_us || !s->ev->may_retry) return 0;
  t->end_as = TASK_QUEUED;
  t->due_us = 0;
  return TASK_OUT_CHANGED;
}

static unsigned do_due_queued(const struct step *s) {
  return s->t->due_us != 0 && s->t->due_us <= s->ev->now_us ? do_queue_timeout(s) : 0;
}

static unsigned do_cancel(const struct step *s) {
  s->t->cancel_requested = 1;
  return move_end(s->t, TASK_CANCELED);
}

static unsigned do_cancel_running(const struct step *s) {
  s->t->cancel_requested = 1;
  return move_stop(s->t, TASK_CANCELED);
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

static unsigned do_rest_failed(const struct step *s) { return move_end(s->t, TASK_FAILED); }
static unsigned do_rest_blocked(const struct step *s) { return s->t->end_as == TASK_RETRY_WAIT ? do_rest_failed(s) : 0; }

/* ---- the pause of its flow ---- */

/* It keeps the time of its retry. The clock of a queue timeout begins anew, as whenever it is queued. */
static unsigned do_hold(const struct step *s) {
  struct task *t = s->t;
  t->end_as = t->state;
  if (t->state == TASK_QUEUED) t->due_us = 0;
  t->state = TASK_BLOCKED;
  return TASK_OUT_CHANGED;
}

static unsigned do_checkpoint(const struct step *s) { return move_pausing(s->t, RESUME_FLOW); }

/* The pass of the pause had not come to it. Its hint may have come all the same, to somebody who found the flow paused; so it
 * gets another one. */
static unsigned do_take_up_queued(const struct step *s) { (void)s; return TASK_OUT_CHANGED | TASK_OUT_REQUEUED; }

static unsigned do_take_up_blocked(const struct step *s) {
  struct task *t = s->t;
  if (t->end_as == TASK_NONE) return 0; /* its start time has not come */
  if (t->end_as == TASK_QUEUED) return to_queue(s);
  t->state = t->end_as;
  t->end_as = TASK_NONE;
  return TASK_OUT_CHANGED | TASK_OUT_WAITS;
}

static unsigned do_take_up_paused(const struct step *s) { return s->t->resume == RESUME_FLOW ? to_queue(s) : 0; }

static unsigned do_take_up_pausing(const struct step *s) {
  if (s->t->resume != RESUME_FLOW) return 0;
  s->t->resume = RESUME_RUN;
  return TASK_OUT_CHANGED;
}

/* ---- the table ---- */

#define FINAL(f) [TASK_SUCCESS] = f, [TASK_FAILED] = f, [TASK_TIMEOUT] = f, [TASK_CANCELED] = f, [TASK_DEAD] = f
#define REPORT(run, pausing, canceling)                                                                     \
  { [TASK_NONE] = do_late, [TASK_CREATED] = do_late, [TASK_BLOCKED] = do_late, [TASK_QUEUED] = do_late, \
    [TASK_RUNNING] = run, [TASK_RETRY_WAIT] = do_late, [TASK_PAUSING] = pausing, [TASK_PAUSED] = do_late,   \
    [TASK_CANCELING] = canceling, FINAL(do_late) }

static const task_fn table[TASK_EV__N][TASK__N] = {
  [TASK_EV_CLAIM] = { [TASK_NONE] = do_none, [TASK_CREATED] = do_none, [TASK_BLOCKED] = do_none, [TASK_QUEUED] = move_claim,
    [TASK_RUNNING] = do_none, [TASK_RETRY_WAIT] = do_none, [TASK_PAUSING] = do_none, [TASK_PAUSED] = do_none,
    [TASK_CANCELING] = do_none, FINAL(do_none) },
  [TASK_EV_OK] = REPORT(do_ok, do_ok_pausing, do_ok_canceling),
  [TASK_EV_FAIL] = REPORT(do_fail, do_fail_pausing, do_fail_canceling),
  [TASK_EV_LOST] = REPORT(do_lost, do_stopped, do_end_as),
  [TASK_EV_HANDBACK] = REPORT(do_handback, do_stopped, do_end_as),
  [TASK_EV_NOT_NOW] = REPORT(do_not_now, do_stopped, do_end_as),
  [TASK_EV_TIMEOUT] = { [TASK_NONE] = do_late, [TASK_CREATED] = do_late, [TASK_BLOCKED] = do_late, [TASK_QUEUED] = do_late,
    [TASK_RUNNING] = do_timeout, [TASK_RETRY_WAIT] = do_late, [TASK_PAUSING] = do_timeout, [TASK_PAUSED] = do_late,
    [TASK_CANCELING] = do_none, FINAL(do_late) },
  [TASK_EV_QUEUE_TIMEOUT] = { [TASK_NONE] = do_none, [TASK_CREATED] = do_none, [TASK_BLOCKED] = do_none,
    [TASK_QUEUED] = do_queue_timeout, [TASK_RUNNING] = do_none, [TASK_RETRY_WAIT] = do_none, [TASK_PAUSING] = do_none,
    [TASK_PAUSED] = do_none, [TASK_CANCELING] = do_none, FINAL(do_none) },
  [TASK_EV_DUE] = { [TASK_NONE] = do_none, [TASK_CREATED] = do_none, [TASK_BLOCKED] = do_due_blocked,
    [TASK_QUEUED] = do_due_queued, [TASK_RUNNING] = do_none, [TASK_RETRY_WAIT] = do_due, [TASK_PAUSING] = do_none,
    [TASK_PAUSED] = do_none, [TASK_CANCELING] = do_none, FINAL(do_none) },
  [TASK_EV_CANCEL] = { [TASK_NONE] = do_refuse, [TASK_CREATED] = do_cancel, [TASK_BLOCKED] = do_cancel,
    [TASK_QUEUED] = do_cancel, [TASK_RUNNING] = do_cancel_running, [TASK_RETRY_WAIT] = do_cancel,
    [TASK_PAUSING] = do_cancel_running, [TASK_PAUSED] = do_cancel, [TASK_CANCELING] = do_cancel_again, FINAL(do_cancel_final) },
  [TASK_EV_REST_RUN_ON] = { [TASK_NONE] = do_none, [TASK_CREATED] = do_none, [TASK_BLOCKED] = do_rest_blocked,
    [TASK_QUEUED] = do_none,
    [TASK_RUNNING] = do_none, [TASK_RETRY_WAIT] = do_rest_failed, [TASK_PAUSING] = do_none, [TASK_PAUSED] = do_none,
    [TASK_CANCELING] = do_none, FINAL(do_none) },
  [TASK_EV_REST_CANCEL] = { [TASK_NONE] = do_none, [TASK_CREATED] = do_cancel, [TASK_BLOCKED] = do_cancel,
    [TASK_QUEUED] = do_cancel, [TASK_RUNNING] = do_cancel_running, [TASK_RETRY_WAIT] = do_cancel,
    [TASK_PAUSING] = do_cancel_running, [TASK_PAUSED] = do_cancel, [TASK_CANCELING] = do_none, FINAL(do_none) },
  [TASK_EV_HOLD] = { [TASK_NONE] = do_none, [TASK_CREATED] = do_none, [TASK_BLOCKED] = do_none, [TASK_QUEUED] = do_hold,
    [TASK_RUNNING] = do_none, [TASK_RETRY_WAIT] = do_hold, [TASK_PAUSING] = do_none, [TASK_PAUSED] = do_none,
    [TASK_CANCELING] = do_none, FINAL(do_none) },
  [TASK_EV_CHECKPOINT] = { [TASK_NONE] = do_none, [TASK_CREATED] = do_none, [TASK_BLOCKED] = do_none, [TASK_QUEUED] = do_hold,
    [TASK_RUNNING] = do_checkpoint, [TASK_RETRY_WAIT] = do_hold, [TASK_PAUSING] = do_none, [TASK_PAUSED] = do_none,
    [TASK_CANCELING] = do_none, FINAL(do_none) },
  [TASK_EV_TAKE_UP] = { [TASK_NONE] = do_none, [TASK_CREATED] = do_none, [TASK_BLOCKED] = do_take_up_blocked,
    [TASK_QUEUED] = do_take_up_queued, [TASK_RUNNING] = do_none, [TASK_RETRY_WAIT] = do_none, [TASK_PAUSING] = do_take_up_pausing,
    [TASK_PAUSED] = do_take_up_paused, [TASK_CANCELING] = do_none, FINAL(do_none) },
  [TASK_EV_CHILDREN] = { [TASK_NONE] = do_none, [TASK_CREATED] = do_none, [TASK_BLOCKED] = do_none, [TASK_QUEUED] = do_none,
    [TASK_RUNNING] = do_none, [TASK_RETRY_WAIT] = do_none, [TASK_PAUSING] = do_none, [TASK_PAUSED] = do_none,
    [TASK_CANCELING] = do_none, FINAL(do_none) },
};

const char *task_error(const struct task *t, const struct task *was, const char *text) {
  if (t->phase == PHASE_ANALYSE || (was->phase == PHASE_ANALYSE && t->phase == PHASE_RUN)) return analyse_error(t, was, text);
  if (t->phase == PHASE_CHILDREN || (was->phase == PHASE_CHILDREN && t->phase == PHASE_RUN)) return children_error(t, text);
  if (t->phase != PHASE_RUN) return task_final(t->state) ? delete_error(t, was, text) : NULL;
  if (was->state == TASK_PAUSING && !task_final(t->state)) return NULL; /* it stopped when asked: that is no error */
  if (task_final(was->state)) return "";
  switch (t->state) {
  case TASK_TIMEOUT: return was->state == TASK_QUEUED ? "Timed out in the queue." : "Timed out.";
  case TASK_CANCELED: return "Canceled.";
  case TASK_DEAD: return "Lost three times; given up. Its history says how.";
  case TASK_SUCCESS: return "";
  /* A paused flow holds its retries as BLOCKED. */
  case TASK_RETRY_WAIT: case TASK_BLOCKED: return was->end_as == TASK_TIMEOUT ? "Timed out." : text;
  case TASK_NONE: case TASK_CREATED: case TASK_QUEUED: case TASK_RUNNING: case TASK_PAUSING:
  case TASK_PAUSED: case TASK_CANCELING: case TASK_FAILED: case TASK__N: break;
  }
  return text;
}

enum task_ev task_attempt_why(const struct task *was, enum task_ev kind) {
  if (was->end_as == TASK_TIMEOUT) return TASK_EV_TIMEOUT;
  if (kind == TASK_EV_LOST) return kind;
  if (was->state == TASK_PAUSING || was->state == TASK_CANCELING) return TASK_ATTEMPT_PAUSED;
  return kind == TASK_EV_OK ? TASK_EV_HANDBACK : kind; /* an OK that another attempt follows: it did as a planned stop told it */
}

enum task_ev task_last_why(const struct task *was) {
  switch (was->state) {
  case TASK_TIMEOUT: return TASK_EV_TIMEOUT;
  case TASK_DEAD: return TASK_EV_LOST;
  case TASK_CANCELED: return TASK_ATTEMPT_PAUSED;
  case TASK_NONE: case TASK_CREATED: case TASK_BLOCKED: case TASK_QUEUED: case TASK_RUNNING: case TASK_RETRY_WAIT:
  case TASK_PAUSING: case TASK_PAUSED: case TASK_CANCELING: case TASK_SUCCESS: case TASK_FAILED: case TASK__N: break;
  }
  return TASK_EV_FAIL;
}

static bool is_report(enum task_ev e) { return e >= TASK_EV_OK && e <= TASK_EV_TIMEOUT; }

unsigned task_apply(struct task *t, const struct task_event *ev, const struct task_policy *pol) {
  struct step s = {t, ev, pol};
  if (is_report(ev->kind) && (ev->owner != t->owner || ev->epoch != t->epoch)) return TASK_OUT_LATE;
  if (t->phase == PHASE_CHILDREN) return children_apply(&s);
  if (t->phase != PHASE_RUN) return t->phase == PHASE_ANALYSE ? analyse_apply(&s) : delete_apply(&s);
  unsigned out = table[ev->kind][t->state](&s);
  return ev->remove && out & TASK_OUT_ENDED ? out | TASK_OUT_GONE : out;
}

#define FACT(x) if (!(x)) return #x

const char *task_fault(const struct task *t) {
  FACT(t->state < TASK__N && t->end_as < TASK__N && t->phase <= PHASE_CHILDREN && t->resume <= RESUME_FLOW);
  bool owned = is_owned(t->state), held = t->state == TASK_BLOCKED && t->end_as != TASK_NONE, judged = t->phase == PHASE_ANALYSE;
  FACT((t->owner != 0) == owned);
  if (t->phase == PHASE_CHILDREN) return children_fault(t);
  bool waits = t->state == TASK_RETRY_WAIT || (t->state == TASK_BLOCKED && t->end_as != TASK_QUEUED);
  FACT(waits ? t->due_us != 0 : t->due_us == 0 || t->state == TASK_QUEUED);
  FACT(!held || t->end_as == TASK_QUEUED || t->end_as == TASK_RETRY_WAIT);
  FACT((t->end_as != TASK_NONE) == (t->state == TASK_CANCELING || held || judged));
  FACT(t->resume == RESUME_NONE || t->state == TASK_PAUSING || (t->state == TASK_PAUSED && t->resume == RESUME_FLOW));
  FACT(!owned || t->epoch > 0);
  FACT(t->losses <= LIMIT_LOSSES && t->again <= LIMIT_AGAIN);
  if (t->phase == PHASE_DELETE) return delete_fault(t);
  if (judged) return analyse_fault(t);
  FACT(t->state != TASK_CANCELING || t->end_as == TASK_CANCELED || t->end_as == TASK_TIMEOUT);
  return NULL;
}

void task_check(const struct task *t) {
  const char *fault = task_fault(t);
  if (fault) wr_assert_fail(fault, __FILE__, __LINE__);
}
