/* WAITING_CHILDREN: the verdict about an attempt has added tasks, and the task ends when all of them have ended. It has neither
 * an owner nor a slot; its state is CREATED, so that nothing but that end moves it. Who counts what it added is the caller. Pure;
 * owns nothing; any thread.
 * What never happens: it ends while something lives below it; a cancel ends it before what it added. */
#include "err.h"
#include "moves.h"

unsigned children_begin(struct task *t) {
  t->phase = PHASE_CHILDREN;
  t->state = TASK_CREATED;
  t->end_as = TASK_NONE;
  t->resume = RESUME_NONE;
  t->owner = 0;
  t->due_us = 0;
  return TASK_OUT_CHANGED;
}

static unsigned ended(const struct step *s) {
  struct task *t = s->t;
  enum task_state as = t->end_as == TASK_CANCELED ? TASK_CANCELED : s->ev->bad ? TASK_FAILED : TASK_SUCCESS;
  t->phase = PHASE_RUN;
  return move_end(t, as);
}

/* What it added is canceled by whoever reads this in its row, in slices; with the last of them it is CANCELED. */
static unsigned cancel(const struct step *s) {
  struct task *t = s->t;
  if (t->end_as == TASK_CANCELED) return TASK_OUT_BELOW;
  t->end_as = TASK_CANCELED;
  t->cancel_requested = 1;
  return TASK_OUT_CHANGED | TASK_OUT_BELOW;
}

unsigned children_apply(const struct step *s) {
  switch (s->ev->kind) {
  case TASK_EV_CHILDREN: return ended(s);
  case TASK_EV_CANCEL: case TASK_EV_REST_CANCEL: return cancel(s);
  case TASK_EV_OK: case TASK_EV_FAIL: case TASK_EV_LOST: case TASK_EV_HANDBACK: case TASK_EV_NOT_NOW: case TASK_EV_TIMEOUT:
    return TASK_OUT_LATE;
  case TASK_EV_CLAIM: case TASK_EV_QUEUE_TIMEOUT: case TASK_EV_DUE: case TASK_EV_REST_RUN_ON: case TASK_EV_HOLD:
  case TASK_EV_CHECKPOINT: case TASK_EV_TAKE_UP: case TASK_EV__N: break;
  }
  return 0;
}

const char *children_error(const struct task *t, const char *text) {
  switch (t->state) {
  case TASK_SUCCESS: return "";
  case TASK_CANCELED: return "Canceled.";
  case TASK_FAILED: return text ? text : "A task that it added did not succeed.";
  case TASK_NONE: case TASK_CREATED: case TASK_BLOCKED: case TASK_QUEUED: case TASK_RUNNING: case TASK_RETRY_WAIT:
  case TASK_PAUSING: case TASK_PAUSED: case TASK_CANCELING: case TASK_TIMEOUT: case TASK_DEAD: case TASK__N: break;
  }
  return ""; /* whatever the attempt said: its analyzer calls it done */
}

#define FACT(x) if (!(x)) return #x

const char *children_fault(const struct task *t) {
  FACT(t->state == TASK_CREATED);
  FACT(t->end_as == TASK_NONE || t->end_as == TASK_CANCELED);
  FACT(t->due_us == 0 && t->resume == RESUME_NONE && t->epoch > 0);
  return NULL;
}
