/* Counters, state and wishes of a job: job.h. */
#include "job.h"
#include <stddef.h>
#include "err.h"

const char *job_state_name(enum job_state s) {
  switch (s) {
#define X(n, v, f) case JOB_##n: return #n;
  JOB_STATES(X)
#undef X
  case JOB__STATES: break;
  }
  return "?";
}

bool job_state_known(uint8_t s) {
  static const uint16_t known = 0
#define X(n, v, f) | (uint16_t)(1u << (v))
  JOB_STATES(X)
#undef X
  ;
  return s < 16 && (known >> s & 1) != 0;
}

/* ---- counters ---- */

static enum job_class waiting_class(const struct task *t) {
  return t->phase == PHASE_DELETE ? JOB_BUSY : t->tries > 0 || t->losses > 0 ? JOB_RETRYING : JOB_NOT_STARTED;
}

/* A clean-up, waiting or running, is shown as DELETING, which counts as running. */
enum job_class job_class(const struct task *t) {
  if (task_show(t) == SHOWN_ANALYZING) return JOB_ANALYZING;
  if (t->phase == PHASE_CHILDREN) return t->end_as == TASK_CANCELED ? JOB_BUSY : JOB_WAITING;
  switch ((enum task_state)t->state) {
  case TASK_NONE: case TASK__N: return JOB_NONE;
  case TASK_CREATED: case TASK_BLOCKED: case TASK_QUEUED: case TASK_PAUSED: return waiting_class(t);
  case TASK_RETRY_WAIT: return t->phase == PHASE_DELETE ? JOB_BUSY : JOB_RETRYING;
  case TASK_RUNNING: case TASK_PAUSING: case TASK_CANCELING: return JOB_BUSY;
  case TASK_SUCCESS: return JOB_OK;
  case TASK_FAILED: case TASK_TIMEOUT: case TASK_DEAD: return JOB_BAD;
  case TASK_CANCELED: return JOB_STOPPED;
  }
  return JOB_NONE;
}

int64_t job_live(const struct job *j) {
  int64_t n = 0;
  for (int c = JOB_NOT_STARTED; c < JOB_OK; c++) n += j->count[c];
  return n;
}

int64_t job_total(const struct job *j) {
  return job_live(j) + j->count[JOB_OK] + j->count[JOB_BAD] + j->count[JOB_STOPPED];
}

void job_moved(struct job *j, enum job_class was, enum job_class now) {
  if (was != JOB_NONE) j->count[was]--;
  if (now != JOB_NONE) j->count[now]++;
}

/* ---- the state ---- */

static enum job_state end_of(const struct job *j) {
  if (j->wish == JOB_WISH_CANCEL) return JOB_CANCELED;
  if (j->ignore) return JOB_SUCCESS;
  if (j->count[JOB_BAD] > 0) return JOB_FAILED;
  return j->count[JOB_STOPPED] > 0 ? JOB_CANCELED : JOB_SUCCESS;
}

/* Its tasks are about to live. */
static bool retries(const struct job *j) {
  return j->wish == JOB_WISH_RETRY || (j->how & JOB_RETRIES) != 0;
}

static enum job_state state_of(const struct job *j) {
  if (j->wish == JOB_WISH_DELETE) return JOB_DELETING;
  if (j->closed && job_live(j) == 0 && !retries(j)) return end_of(j);
  if (j->wish == JOB_WISH_CANCEL) return JOB_CANCELING;
  return j->wish == JOB_WISH_PAUSE || j->wish == JOB_WISH_CHECKPOINT ? JOB_PAUSED : JOB_RUNNING;
}

void job_decide(struct job *j) {
  j->state = (uint8_t)state_of(j);
  if (job_empty(j)) j->pass = true; /* so that whoever looks for passes takes the row away */
  if (!job_final((enum job_state)j->state)) return;
  j->pass = false;
  if (j->wish != JOB_WISH_CANCEL) j->wish = JOB_WISH_NONE;
}

/* Where the retry has come to stays: a task that has failed again behind it is not run once more. */
static void want(struct job *j, enum job_wish wish) {
  bool beside = retries(j) && wish != JOB_WISH_CANCEL && wish != JOB_WISH_DELETE;
  if (beside) j->how |= JOB_RETRIES;
  j->wish = (uint8_t)wish;
  j->pass = job_total(j) > 0;
  if (!beside) j->pass_at = 0;
  if (!j->pass) job_pass_over(j);
}

static bool pauses_all(const struct job *j) { return j->wish == JOB_WISH_PAUSE || j->wish == JOB_WISH_CHECKPOINT; }

/* Another lap: of the retry, or of what came while it was under way. */
static bool lap(struct job *j) {
  bool again = retries(j) && j->how & JOB_AGAIN, beside = (j->how & JOB_RETRIES) != 0;
  if (again) j->how &= (uint8_t)~JOB_AGAIN;
  else if (beside) j->how &= (uint8_t)~JOB_RETRIES;
  if (again || beside) j->pass_at = 0;
  return again || beside;
}

/* A pause of a flow stays among the passes, so that its end is seen even when nobody tells. */
void job_pass_over(struct job *j) {
  if (lap(j)) return;
  j->how &= (uint8_t)~JOB_MOVES;
  j->pass = pauses_all(j) && j->how & JOB_OF_FLOW;
  j->pass_at = j->pass ? JOB_PASS_WAITS : 0;
  if (j->wish != JOB_WISH_RESUME && j->wish != JOB_WISH_RETRY) return;
  j->wish = JOB_WISH_NONE;
  j->how = 0;
}

/* ---- what requests ask ---- */

static enum ask_no refused(const struct job *j) {
  return job_final((enum job_state)j->state) ? ASK_FINISHED : ASK_BUSY;
}

static enum ask_no close_it(struct job *j) {
  if (j->state == JOB_DELETING) return ASK_BUSY;
  if (j->closed) return ASK_SAME;
  j->closed = 1;
  return ASK_OK;
}

/* What is canceled takes no more tasks. */
static enum ask_no cancel_it(struct job *j) {
  if (j->state == JOB_CANCELING || j->state == JOB_CANCELED) return ASK_SAME;
  if (j->state != JOB_RUNNING && j->state != JOB_PAUSED) return refused(j);
  j->closed = 1;
  j->how &= JOB_MOVES; /* what the retry has not come to stays as it has ended */
  want(j, JOB_WISH_CANCEL);
  return ASK_OK;
}

static enum ask_no pause_it(struct job *j, enum job_wish wish) {
  if (j->state != JOB_RUNNING && j->state != JOB_PAUSED) return refused(j);
  bool flows = (j->how & JOB_OF_FLOW) != 0; /* from now on it is the user's */
  if (!flows && (j->wish == wish || j->wish == JOB_WISH_CHECKPOINT)) return ASK_SAME;
  j->how &= JOB_MOVES | JOB_RETRIES | JOB_AGAIN;
  want(j, wish);
  return ASK_OK;
}

static enum ask_no resume_it(struct job *j) {
  if (j->state == JOB_RUNNING) return ASK_SAME;
  if (j->state != JOB_PAUSED) return refused(j);
  if (j->how & JOB_OF_FLOW) return ASK_SAME;
  want(j, JOB_WISH_RESUME);
  return ASK_OK;
}

static enum ask_no retry_it(struct job *j) {
  bool any = j->count[JOB_BAD] + j->count[JOB_STOPPED] > 0;
  if (j->state == JOB_SUCCESS && !any) return ASK_NOT_RETRYABLE;
  if (j->state != JOB_RUNNING && !job_final((enum job_state)j->state)) return ASK_BUSY;
  if (!any || (retries(j) && (j->pass_at == 0 || j->how & JOB_AGAIN))) return ASK_SAME;
  if (retries(j)) j->how |= JOB_AGAIN; /* some have failed again behind it, perhaps */
  else if (j->wish == JOB_WISH_RESUME) j->how |= JOB_RETRIES, j->pass_at = 0; /* what is PAUSED goes on, too */
  else want(j, JOB_WISH_RETRY);
  return ASK_OK;
}

static enum ask_no change(struct job *j, enum job_ask ask) {
  switch (ask) {
  case JOB_ASK_CLOSE: return close_it(j);
  case JOB_ASK_CANCEL: return cancel_it(j);
  case JOB_ASK_PAUSE: return pause_it(j, JOB_WISH_PAUSE);
  case JOB_ASK_CHECKPOINT: return pause_it(j, JOB_WISH_CHECKPOINT);
  case JOB_ASK_RESUME: return resume_it(j);
  case JOB_ASK_RETRY: return retry_it(j);
  case JOB_ASK__N: break;
  }
  return ASK_BUSY;
}

enum ask_no job_asked(struct job *j, enum job_ask ask) {
  job_decide(j); /* its last task may have ended in this batch */
  enum ask_no no = change(j, ask);
  if (no == ASK_OK) job_decide(j);
  return no;
}

void job_run_below(struct job *j, bool flow_paused) {
  job_decide(j);
  if (j->state != JOB_RUNNING && j->state != JOB_PAUSED) return;
  if (flow_paused) {
    j->how |= JOB_OF_FLOW | JOB_FLOW_ALL;
    return;
  }
  j->how &= JOB_MOVES;
  want(j, JOB_WISH_RESUME);
  job_decide(j);
}

/* What is wanted of them besides goes on: the pass begins anew. */
void job_move_below(struct job *j, uint8_t moves) {
  if (j->wish == JOB_WISH_DELETE || job_total(j) == 0) return;
  j->how |= moves;
  j->pass = true;
  j->pass_at = 0;
}

/* ---- the flow above ---- */

static bool flow_pauses(struct job *j, enum job_wish wish) {
  bool flows = (j->how & JOB_OF_FLOW) != 0, all = flows ? j->how & JOB_FLOW_ALL : j->wish == JOB_WISH_RESUME && j->pass;
  if (pauses_all(j) && (!flows || j->wish == wish || j->wish == JOB_WISH_CHECKPOINT)) return false;
  j->how = (uint8_t)((j->how & JOB_MOVES) | JOB_OF_FLOW | (all ? JOB_FLOW_ALL : 0));
  want(j, wish);
  return true;
}

static bool flow_goes_on(struct job *j) {
  if (!pauses_all(j) || !(j->how & JOB_OF_FLOW)) return false;
  j->how = (uint8_t)((j->how & JOB_MOVES) | (j->how & JOB_FLOW_ALL ? 0 : JOB_OF_FLOW));
  want(j, JOB_WISH_RESUME);
  return true;
}

bool job_follow_flow(struct job *j, bool paused, bool checkpoint) {
  if (j->wish == JOB_WISH_CANCEL || j->wish == JOB_WISH_DELETE || job_final((enum job_state)j->state)) return false;
  bool changed = paused ? flow_pauses(j, checkpoint ? JOB_WISH_CHECKPOINT : JOB_WISH_PAUSE) : flow_goes_on(j);
  if (changed) job_decide(j);
  return changed;
}

/* ---- deletion ---- */

/* A call that says the same finds the pass under way, or nothing that failed. */
static bool again(const struct job *j, uint8_t how) {
  if (j->pass) return how != j->how;
  return j->count[JOB_BAD] > 0 || ((how & JOB_NO_CLEAN_UP) && job_live(j) > 0);
}

enum ask_no job_delete(struct job *j, uint8_t how) {
  job_decide(j); /* its last task may have ended in this batch */
  bool deleting = j->wish == JOB_WISH_DELETE, lives = job_live(j) > 0 || retries(j);
  if (!deleting && lives && !(how & JOB_FORCE)) return ASK_BUSY;
  if (deleting && (job_empty(j) || !again(j, how))) return ASK_SAME;
  j->how = how;
  j->closed = 1;
  want(j, JOB_WISH_DELETE);
  job_decide(j);
  return ASK_OK;
}

/* A clean-up that waits or runs is left alone, unless there is to be none. */
static bool deletes(const struct job *j, const struct task *t, bool pass) {
  if (t->phase != PHASE_DELETE) return true;
  if (!pass) return false;
  if (task_final(t->state)) return true;
  return (j->how & JOB_NO_CLEAN_UP) && (t->owner == 0 || (j->how & JOB_FORCE));
}

/* ---- what a wish wants of one task ---- */

static bool waits(const struct task *t) {
  return t->state == TASK_BLOCKED || t->state == TASK_QUEUED || t->state == TASK_RETRY_WAIT;
}

/* What runs goes on to its end after a soft pause. */
static bool pauses(const struct task *t, bool stops) {
  if (task_show(t) == SHOWN_ANALYZING) return stops;
  return t->phase == PHASE_RUN && (waits(t) || (stops && t->state == TASK_RUNNING));
}

static bool say(enum ask ask, enum ask *out) {
  *out = ask;
  return true;
}

static bool held(const struct task *t) { return t->state == TASK_BLOCKED && t->end_as != TASK_NONE; }

/* What the pause of its flow has held or stopped; and what waits may have lost its hint, as in a flow. */
static bool takes_up(const struct task *t, bool flows) {
  if (t->phase == PHASE_ANALYSE) return flows && t->state == TASK_QUEUED;
  if (t->phase != PHASE_RUN) return false;
  return held(t) || t->resume == RESUME_FLOW || (flows && t->state == TASK_QUEUED);
}

bool job_flow_wants(const struct job *j, const struct task *t, bool pass, enum task_ev *out) {
  bool flows = (j->how & JOB_OF_FLOW) != 0, stops = j->wish == JOB_WISH_CHECKPOINT;
  if (j->wish == JOB_WISH_RESUME) {
    *out = TASK_EV_TAKE_UP;
    return pass && takes_up(t, flows);
  }
  *out = stops ? TASK_EV_CHECKPOINT : TASK_EV_HOLD;
  if (!flows || !pauses_all(j) || t->phase != PHASE_RUN) return false;
  return t->state == TASK_QUEUED || t->state == TASK_RETRY_WAIT || (stops && t->state == TASK_RUNNING);
}

bool job_wants(const struct job *j, const struct task *t, bool pass, enum ask *out) {
  if (j->how & JOB_OF_FLOW) return false; /* job_flow_wants() */
  bool ended = task_final(t->state), runs = t->phase != PHASE_DELETE;
  if (pass && retries(j) && runs && ended && t->state != TASK_SUCCESS) return say(ASK_RUN, out);
  switch ((enum job_wish)j->wish) {
  case JOB_WISH_PAUSE: return pauses(t, false) && say(ASK_PAUSE, out);
  case JOB_WISH_CHECKPOINT: return pauses(t, true) && say(ASK_PAUSE, out);
  case JOB_WISH_CANCEL: return runs && !ended && task_show(t) != SHOWN_CANCELING && say(ASK_CANCEL, out);
  case JOB_WISH_RESUME:
    return pass && runs && (t->state == TASK_PAUSED || t->state == TASK_PAUSING) && say(ASK_RUN, out);
  case JOB_WISH_DELETE: return deletes(j, t, pass) && say(ASK_DELETE, out);
  case JOB_WISH_NONE: case JOB_WISH_RETRY: case JOB_WISH__N: break;
  }
  return false;
}
