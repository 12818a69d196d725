/* The deletion of a stand-alone task: what runs is stopped, the clean-up of its type runs as an attempt of its own, and then the
 * rows are gone (ask.h has the states). Pure; owns nothing; any thread.
 * What never happens: a clean-up beside an attempt that may still run; a task that is gone although its clean-up failed. */
#include "ask.h"
#include "err.h"
#include "moves.h"
#include "wr_limits.h"

/* ---- moves ---- */

/* The struct is left as that of a task that has ended; its row is deleted in this commit. */
unsigned delete_gone(struct task *t) {
  if (task_final(t->state)) return TASK_OUT_GONE;
  unsigned out = TASK_OUT_GONE | TASK_OUT_ENDED | (t->owner != 0 ? TASK_OUT_KILL : 0);
  t->phase = PHASE_DELETE;
  (void)move_end(t, TASK_CANCELED);
  return out;
}

/* A deletion that is tried again begins like the first one. */
unsigned delete_begin(struct task *t, const struct task_policy *pol, int64_t now_us) {
  if (!pol->cleans_up) return delete_gone(t);
  t->phase = PHASE_DELETE;
  t->losses = 0;
  t->again = 0;
  t->cancel_requested = 0;
  return move_queue(t, pol, now_us);
}

unsigned delete_below(struct task *t) {
  t->phase = PHASE_DELETE;
  t->state = TASK_CREATED;
  t->end_as = TASK_NONE;
  t->owner = 0;
  t->due_us = 0;
  return TASK_OUT_CHANGED | TASK_OUT_BELOW;
}

unsigned delete_stop(struct task *t) {
  t->phase = PHASE_DELETE;
  return move_stop(t, TASK_QUEUED);
}

/* Of an attempt that has ended itself: its owner need not be told. */
static unsigned end_gone(const struct step *s) { return delete_gone(s->t) & ~(unsigned)TASK_OUT_KILL; }
static unsigned timed_out(const struct step *s) { return move_stop(s->t, TASK_TIMEOUT); }
static unsigned failed(const struct step *s) { return move_end(s->t, TASK_FAILED); }
static unsigned queue_again(const struct step *s) { return move_queue(s->t, s->pol, s->ev->now_us) | TASK_OUT_ATTEMPT_ENDED; }

/* ---- events ---- */

static unsigned on_claim(const struct step *s) {
  struct task *t = s->t;
  if (t->state != TASK_QUEUED) return 0;
  return move_claim(s);
}

/* The attempt of a run that had to stop first: how it ended does not matter. */
static unsigned run_stopped(const struct step *s) {
  if (!s->pol->cleans_up) return end_gone(s);
  return delete_begin(s->t, s->pol, s->ev->now_us) | TASK_OUT_ATTEMPT_ENDED;
}

static unsigned clean_up_lost(const struct step *s) {
  s->t->losses++;
  return s->t->losses >= LIMIT_LOSSES ? failed(s) : queue_again(s);
}

static unsigned clean_up_not_now(const struct step *s) { return s->t->again >= LIMIT_AGAIN ? failed(s) : move_not_now(s); }

/* An OK of one that was told to stop by a planned stop says only that it tidied up. */
static unsigned clean_up_ok(const struct step *s) { return s->ev->asked ? queue_again(s) : end_gone(s); }

static unsigned clean_up_ended(const struct step *s) {
  static const task_fn on[TASK_EV__N] = {[TASK_EV_OK] = clean_up_ok, [TASK_EV_FAIL] = failed, [TASK_EV_LOST] = clean_up_lost,
    [TASK_EV_HANDBACK] = queue_again, [TASK_EV_NOT_NOW] = clean_up_not_now, [TASK_EV_TIMEOUT] = timed_out};
  return on[s->ev->kind](s);
}

static unsigned stop_ended(const struct step *s) {
  if (s->ev->kind == TASK_EV_TIMEOUT) return 0; /* it is being stopped already */
  if (s->t->end_as == TASK_QUEUED) return run_stopped(s);
  /* The clean-up had done its work before it was told to stop. */
  bool done = s->t->end_as != TASK_FAILED && s->ev->kind == TASK_EV_OK && !s->ev->asked;
  return done ? end_gone(s) : failed(s);
}

static unsigned on_report(const struct step *s) {
  if (s->t->state == TASK_RUNNING) return clean_up_ended(s);
  return s->t->state == TASK_CANCELING ? stop_ended(s) : TASK_OUT_LATE;
}

static unsigned on_due(const struct step *s) {
  if (s->t->state != TASK_RETRY_WAIT || s->t->due_us > s->ev->now_us) return 0;
  return move_queue(s->t, s->pol, s->ev->now_us);
}

/* Only stand-alone tasks are deleted, so the events of a node or a flow never come here. */
unsigned delete_apply(const struct step *s) {
  switch (s->ev->kind) {
  case TASK_EV_CLAIM: return on_claim(s);
  case TASK_EV_OK: case TASK_EV_FAIL: case TASK_EV_LOST: case TASK_EV_HANDBACK: case TASK_EV_NOT_NOW: case TASK_EV_TIMEOUT:
    return on_report(s);
  case TASK_EV_DUE: return on_due(s);
  case TASK_EV_CHILDREN: return s->t->state == TASK_CREATED ? delete_begin(s->t, s->pol, s->ev->now_us) : 0;
  case TASK_EV_QUEUE_TIMEOUT: case TASK_EV_CANCEL: case TASK_EV_REST_RUN_ON: case TASK_EV_REST_CANCEL: case TASK_EV_HOLD:
  case TASK_EV_CHECKPOINT: case TASK_EV_TAKE_UP: case TASK_EV__N: break;
  }
  return 0;
}

/* ---- texts and facts ---- */

const char *delete_error(const struct task *t, const struct task *was, const char *text) {
  if (t->losses > was->losses) return "The clean-up was lost three times; given up. Its history says how.";
  if (was->state == TASK_CANCELING && was->end_as == TASK_TIMEOUT) return "The clean-up timed out.";
  if (was->state != TASK_RUNNING) return "The deletion was canceled.";
  return text ? text : "The clean-up failed.";
}

#define FACT(x) if (!(x)) return #x

const char *delete_fault(const struct task *t) {
  bool stops = t->state == TASK_CANCELING, below = t->state == TASK_CREATED;
  bool ends = t->state == TASK_FAILED || t->state == TASK_CANCELED; /* CANCELED: it is gone */
  FACT(stops || ends || below || t->state == TASK_QUEUED || t->state == TASK_RUNNING || t->state == TASK_RETRY_WAIT);
  FACT(t->state != TASK_QUEUED || t->due_us == 0);
  FACT(!stops || t->end_as == TASK_QUEUED || t->end_as == TASK_FAILED || t->end_as == TASK_CANCELED || t->end_as == TASK_TIMEOUT);
  return NULL;
}
