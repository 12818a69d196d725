/* ANALYZING: an attempt has ended by itself and what it left is stored; its analyzer says what that end is worth. An analysis is
 * an attempt of its own kind, with owner and epoch, and is no try of the task. Pure; owns nothing; any thread.
 *
 *   phase ANALYSE, QUEUED       it waits for a member that analyses
 *   phase ANALYSE, RUNNING      the analyzer is called
 *   phase ANALYSE, RETRY_WAIT   a call has failed; another one follows
 *   phase ANALYSE, PAUSED       a user paused it; when it is run, it is analysed again, and does not run again
 *
 * What never happens: the end of an analysis is counted twice; an analysis that is lost costs anything; an attempt runs again
 * because its analyzer failed. */
#include "err.h"
#include "moves.h"
#include "wr_limits.h"

const char *said_name(enum task_said s) {
  switch (s) {
  case SAID_DONE: return "done";
  case SAID_FAILED: return "failed";
  case SAID_RETRY: return "retry";
  case SAID_NOTHING: case SAID__N: break;
  }
  return NULL;
}

/* ---- moves ---- */

unsigned analyse_begin(struct task *t, enum task_state ended) {
  t->phase = PHASE_ANALYSE;
  t->state = TASK_QUEUED;
  t->end_as = ended;
  t->resume = RESUME_NONE;
  t->again = 0;
  t->owner = 0;
  t->due_us = 0;
  return TASK_OUT_CHANGED | TASK_OUT_REQUEUED | TASK_OUT_ATTEMPT_ENDED;
}

unsigned analyse_give_up(const struct task *t) { return t->owner != 0 ? TASK_OUT_KILL | TASK_OUT_GIVEN_UP : 0; }

static void leave(struct task *t) {
  t->phase = PHASE_RUN;
  t->end_as = TASK_NONE;
  t->again = 0;
}

static unsigned end(struct task *t, enum task_state s) {
  leave(t);
  return move_end(t, s);
}

static unsigned queue_again(const struct step *s) { return move_queue(s->t, s->pol, s->ev->now_us); }

/* The analysis of an attempt is no attempt that another one follows: that one stands in the history already. */
static unsigned wait(struct task *t, int64_t due_us) {
  enum task_state ended = t->end_as;
  unsigned out = move_retry_wait(t, due_us) & ~(unsigned)TASK_OUT_ATTEMPT_ENDED;
  if (t->phase == PHASE_ANALYSE) t->end_as = ended;
  return out;
}

static unsigned give_up(const struct step *s) {
  unsigned out = analyse_give_up(s->t);
  s->t->cancel_requested = 1;
  return out | end(s->t, TASK_CANCELED);
}

/* ---- what comes back ---- */

/* A try of the task, whatever its own end said. */
static unsigned try_failed(const struct step *s) {
  struct task *t = s->t;
  leave(t);
  if (s->ev->said == SAID_RETRY && s->ev->after_us > 0 && s->ev->may_retry && t->tries + 1 < s->pol->attempts) {
    t->tries++;
    return wait(t, s->ev->now_us + (s->ev->after_us < LIMIT_AGAIN_US ? s->ev->after_us : LIMIT_AGAIN_US));
  }
  return move_try_failed(s, TASK_FAILED) & ~(unsigned)TASK_OUT_ATTEMPT_ENDED;
}

static unsigned call_failed(const struct step *s) {
  struct task *t = s->t;
  if (s->ev->fatal || t->again + 1u >= s->pol->calls || t->again >= LIMIT_AGAIN) return end(t, TASK_FAILED);
  t->again++;
  return wait(t, s->ev->now_us + task_backoff(s->pol, t->again, s->ev->rnd));
}

static unsigned on_said(const struct step *s) {
  switch ((enum task_said)s->ev->said) {
  case SAID_DONE:
    if (!s->ev->waits) return end(s->t, TASK_SUCCESS);
    s->t->again = 0;
    return children_begin(s->t);
  case SAID_FAILED: case SAID_RETRY: return try_failed(s);
  case SAID_NOTHING: case SAID__N: break;
  }
  return call_failed(s);
}

/* A call that a planned stop ended has failed for nobody. */
static unsigned on_failed(const struct step *s) { return s->ev->asked ? queue_again(s) : call_failed(s); }

/* When its time is over, the end that follows says so. */
static unsigned on_report(const struct step *s) {
  static const task_fn on[TASK_EV__N] = {[TASK_EV_OK] = on_said, [TASK_EV_FAIL] = on_failed, [TASK_EV_NOT_NOW] = on_failed,
    [TASK_EV_LOST] = queue_again, [TASK_EV_HANDBACK] = queue_again};
  if (s->t->state != TASK_RUNNING) return TASK_OUT_LATE;
  return on[s->ev->kind] ? on[s->ev->kind](s) : 0;
}

/* ---- events ---- */

static unsigned on_claim(const struct step *s) {
  struct task *t = s->t;
  if (t->state != TASK_QUEUED) return 0;
  uint32_t n = t->epoch / (TASK_ATTEMPT_MAX + 1), most = TASK_EPOCH_MAX / (TASK_ATTEMPT_MAX + 1);
  t->state = TASK_RUNNING;
  t->owner = s->ev->owner;
  t->epoch = task_attempt_of(t->epoch) | (n % most + 1) * (TASK_ATTEMPT_MAX + 1);
  return TASK_OUT_CHANGED | TASK_OUT_CLAIMED;
}

static unsigned on_due(const struct step *s) {
  return s->t->state == TASK_RETRY_WAIT && s->t->due_us <= s->ev->now_us ? queue_again(s) : 0;
}

/* The pause of a flow lets an analysis that runs come to its end, and begins none. Its hint may have come meanwhile. */
static unsigned on_take_up(const struct step *s) {
  return s->t->state == TASK_QUEUED ? TASK_OUT_CHANGED | TASK_OUT_REQUEUED : 0;
}

unsigned analyse_apply(const struct step *s) {
  switch (s->ev->kind) {
  case TASK_EV_CLAIM: return on_claim(s);
  case TASK_EV_OK: case TASK_EV_FAIL: case TASK_EV_LOST: case TASK_EV_HANDBACK: case TASK_EV_NOT_NOW: case TASK_EV_TIMEOUT:
    return on_report(s);
  case TASK_EV_DUE: return on_due(s);
  case TASK_EV_CANCEL: case TASK_EV_REST_CANCEL: return give_up(s);
  case TASK_EV_TAKE_UP: return on_take_up(s);
  case TASK_EV_QUEUE_TIMEOUT: case TASK_EV_REST_RUN_ON: case TASK_EV_HOLD: case TASK_EV_CHECKPOINT: case TASK_EV_CHILDREN:
  case TASK_EV__N: break;
  }
  return 0;
}

/* ---- texts and facts ---- */

/* Which sentence it is that came with a report is decided where the report is read. */
const char *analyse_error(const struct task *t, const struct task *was, const char *text) {
  if (was->phase == PHASE_RUN) return t->end_as == TASK_SUCCESS ? "" : text;
  if (t->phase == PHASE_ANALYSE) return t->state == TASK_RETRY_WAIT ? text : NULL; /* a call failed */
  if (t->state == TASK_SUCCESS) return "";
  return t->state == TASK_CANCELED ? "Canceled." : text;
}

#define FACT(x) if (!(x)) return #x

const char *analyse_fault(const struct task *t) {
  FACT(t->end_as == TASK_SUCCESS || t->end_as == TASK_FAILED);
  FACT(t->state == TASK_QUEUED || t->state == TASK_RUNNING || t->state == TASK_RETRY_WAIT || t->state == TASK_PAUSED);
  FACT(t->state != TASK_QUEUED || t->due_us == 0);
  FACT(t->epoch > 0);
  return NULL;
}
