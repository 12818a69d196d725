/* The table of wish x shown state: ask.h. */
#include "ask.h"
#include "moves.h"

static const char *const name[ASK__N] = {
  [ASK_RUN] = "run", [ASK_PAUSE] = "pause", [ASK_CANCEL] = "cancel", [ASK_DELETE] = "delete", [ASK_QUEUE] = "queue"
};
const char *ask_name(enum ask a) { return (unsigned)a < ASK__N ? name[a] : "?"; }

/* `no` is the answer of the cell; a move may turn it into another one, and then changes nothing that users see. */
struct asking { struct task *t; const struct task_wish *w; const struct task_policy *pol; enum ask_no no; };

/* ---- run ---- */

static unsigned now_queued(struct asking *a) { return move_queue(a->t, a->pol, a->w->now_us); }

static unsigned may_run(struct asking *a, bool may) {
  if (!may) { a->no = ASK_BUSY; return 0; }
  return now_queued(a);
}

static unsigned run_waiting(struct asking *a) { return may_run(a, !a->w->of_node || a->w->may_requeue); }
static unsigned run_retry(struct asking *a) { return may_run(a, !a->w->of_node || a->w->may_retry); }

/* What the pause of its flow holds goes on with its flow. A retry that it holds is not waited for any more. */
static unsigned run_blocked(struct asking *a) {
  if (a->t->end_as == TASK_RETRY_WAIT) return run_retry(a);
  if (a->t->end_as == TASK_NONE) return run_waiting(a);
  a->no = ASK_SAME;
  return 0;
}

static unsigned run_pausing(struct asking *a) {
  if (a->t->resume == RESUME_RUN) { a->no = ASK_SAME; return 0; }
  a->t->resume = RESUME_RUN;
  return TASK_OUT_CHANGED;
}

/* A new budget of tries and losses; the count of claims goes on. */
static unsigned run_again(struct asking *a) {
  struct task *t = a->t;
  t->tries = 0;
  t->losses = 0;
  t->again = 0;
  t->cancel_requested = 0;
  return now_queued(a) | TASK_OUT_RUN_AGAIN;
}

/* ---- pause ---- */

static unsigned pause_waiting(struct asking *a) { return move_pause(a->t); }
static unsigned pause_running(struct asking *a) { return move_pausing(a->t, RESUME_NONE); }

/* The owner is told again, because a message may have been lost. Of a task that the pause of its flow stops, the user's own pause
 * stands from now on. */
static unsigned pause_pausing(struct asking *a) {
  if (a->t->resume == RESUME_NONE) { a->no = ASK_SAME; return TASK_OUT_KILL; }
  a->no = a->t->resume == RESUME_RUN ? ASK_OK : ASK_SAME;
  return move_pausing(a->t, RESUME_NONE);
}

static unsigned pause_paused(struct asking *a) {
  if (a->t->resume == RESUME_NONE) return 0;
  a->t->resume = RESUME_NONE;
  return TASK_OUT_CHANGED;
}

/* The call is given up; run analyses again. */
static unsigned pause_analysis(struct asking *a) {
  unsigned out = analyse_give_up(a->t);
  return out | move_pause(a->t);
}

/* ---- cancel ---- */

static unsigned cancel(struct asking *a) {
  return task_apply(a->t, &(struct task_event){.kind = TASK_EV_CANCEL, .now_us = a->w->now_us}, a->pol);
}

/* What runs is stopped first; then the deletion has failed. */
static unsigned cancel_deletion(struct asking *a) {
  struct task *t = a->t;
  bool first = t->state == TASK_CANCELING && t->end_as == TASK_QUEUED, stops = t->state == TASK_CANCELING;
  if (stops && (t->end_as == TASK_CANCELED || t->end_as == TASK_FAILED)) { a->no = ASK_SAME; return TASK_OUT_KILL; }
  t->cancel_requested = 1;
  if (t->owner == 0) return move_end(t, TASK_FAILED);
  return move_stop(t, first ? TASK_FAILED : TASK_CANCELED);
}

/* ---- delete ---- */

static unsigned delete_now(struct asking *a) {
  return a->w->below ? delete_below(a->t) : delete_begin(a->t, a->pol, a->w->now_us);
}
/* What waits for others runs nothing that could be stopped first. */
static unsigned delete_running(struct asking *a) { return a->t->phase == PHASE_CHILDREN ? delete_now(a) : delete_stop(a->t); }

static unsigned delete_analysis(struct asking *a) {
  unsigned out = analyse_give_up(a->t);
  return out | delete_now(a);
}

static unsigned delete_deleting(struct asking *a) {
  if (a->t->state == TASK_CREATED) { /* what it added goes on going; forced or not, it comes last */
    if (!a->w->below) return delete_now(a);
    a->no = ASK_SAME;
    return TASK_OUT_BELOW;
  }
  if (a->w->force) return delete_gone(a->t);
  a->no = ASK_SAME;
  return a->t->state == TASK_CANCELING ? TASK_OUT_KILL : 0; /* its owner is told again */
}

static unsigned delete_failed(struct asking *a) { return a->w->force && !a->w->below ? delete_gone(a->t) : delete_now(a); }

/* ---- what waits for tasks that it added ---- */

static unsigned below(struct asking *a) { (void)a; return TASK_OUT_CHANGED | TASK_OUT_BELOW; }
static unsigned run_below(struct asking *a) { (void)a; return TASK_OUT_BELOW; }

/* ---- queue ---- */

static unsigned queue_any(struct asking *a) { (void)a; return TASK_OUT_CHANGED; }
static unsigned queue_queued(struct asking *a) { (void)a; return TASK_OUT_CHANGED | TASK_OUT_REQUEUED; }

/* ---- the table ---- */

struct cell { unsigned (*move)(struct asking *); enum ask_no no; };   /* move NULL: nothing happens */
#define C(f) {f, ASK_OK}
#define SAME {NULL, ASK_SAME}
#define AGAIN(f) {f, ASK_SAME}
#define NO(code) {NULL, ASK_##code}
#define ENDED(c) [SHOWN_FAILED] = c, [SHOWN_TIMEOUT] = c, [SHOWN_DEAD] = c

static const struct cell table[ASK__N][SHOWN__N] = {
  [ASK_RUN] = {
    [SHOWN_NONE] = NO(BUSY), [SHOWN_CREATED] = C(run_waiting), [SHOWN_BLOCKED] = C(run_blocked), [SHOWN_QUEUED] = SAME,
    [SHOWN_RUNNING] = SAME, [SHOWN_RETRY_WAIT] = C(run_retry), [SHOWN_PAUSING] = C(run_pausing), [SHOWN_PAUSED] = C(run_waiting),
    [SHOWN_CANCELING] = NO(BUSY), [SHOWN_SUCCESS] = NO(NOT_RETRYABLE), ENDED(C(run_again)), [SHOWN_CANCELED] = C(run_again),
    [SHOWN_DELETING] = NO(BUSY), [SHOWN_DELETE_FAILED] = NO(BUSY), [SHOWN_ANALYZING] = SAME,
    [SHOWN_WAITING_CHILDREN] = AGAIN(run_below) },
  [ASK_PAUSE] = {
    [SHOWN_NONE] = NO(BUSY), [SHOWN_CREATED] = SAME, [SHOWN_BLOCKED] = C(pause_waiting), [SHOWN_QUEUED] = C(pause_waiting),
    [SHOWN_RUNNING] = C(pause_running), [SHOWN_RETRY_WAIT] = C(pause_waiting), [SHOWN_PAUSING] = AGAIN(pause_pausing),
    [SHOWN_PAUSED] = AGAIN(pause_paused), [SHOWN_CANCELING] = NO(BUSY), [SHOWN_SUCCESS] = NO(FINISHED), ENDED(NO(FINISHED)),
    [SHOWN_CANCELED] = NO(FINISHED), [SHOWN_DELETING] = NO(BUSY), [SHOWN_DELETE_FAILED] = NO(BUSY),
    [SHOWN_ANALYZING] = C(pause_analysis), [SHOWN_WAITING_CHILDREN] = C(below) },
  [ASK_CANCEL] = {
    [SHOWN_NONE] = NO(BUSY), [SHOWN_CREATED] = C(cancel), [SHOWN_BLOCKED] = C(cancel), [SHOWN_QUEUED] = C(cancel),
    [SHOWN_RUNNING] = C(cancel), [SHOWN_RETRY_WAIT] = C(cancel), [SHOWN_PAUSING] = C(cancel), [SHOWN_PAUSED] = C(cancel),
    [SHOWN_CANCELING] = AGAIN(cancel), [SHOWN_SUCCESS] = NO(FINISHED), ENDED(NO(FINISHED)), [SHOWN_CANCELED] = SAME,
    [SHOWN_DELETING] = C(cancel_deletion), [SHOWN_DELETE_FAILED] = NO(BUSY), [SHOWN_ANALYZING] = C(cancel),
    [SHOWN_WAITING_CHILDREN] = C(cancel) },
  [ASK_DELETE] = {
    [SHOWN_NONE] = NO(BUSY), [SHOWN_CREATED] = C(delete_now), [SHOWN_BLOCKED] = C(delete_now), [SHOWN_QUEUED] = C(delete_now),
    [SHOWN_RUNNING] = C(delete_running), [SHOWN_RETRY_WAIT] = C(delete_now), [SHOWN_PAUSING] = C(delete_running),
    [SHOWN_PAUSED] = C(delete_now), [SHOWN_CANCELING] = C(delete_running), [SHOWN_SUCCESS] = C(delete_now), ENDED(C(delete_now)),
    [SHOWN_CANCELED] = C(delete_now), [SHOWN_DELETING] = C(delete_deleting), [SHOWN_DELETE_FAILED] = C(delete_failed),
    [SHOWN_ANALYZING] = C(delete_analysis), [SHOWN_WAITING_CHILDREN] = C(delete_now) },
  [ASK_QUEUE] = {
    [SHOWN_NONE] = NO(BUSY), [SHOWN_CREATED] = C(queue_any), [SHOWN_BLOCKED] = C(queue_any), [SHOWN_QUEUED] = C(queue_queued),
    [SHOWN_RUNNING] = C(queue_any), [SHOWN_RETRY_WAIT] = C(queue_any), [SHOWN_PAUSING] = C(queue_any),
    [SHOWN_PAUSED] = C(queue_any), [SHOWN_CANCELING] = C(queue_any), [SHOWN_SUCCESS] = NO(FINISHED), ENDED(NO(FINISHED)),
    [SHOWN_CANCELED] = NO(FINISHED), [SHOWN_DELETING] = NO(BUSY), [SHOWN_DELETE_FAILED] = NO(BUSY), [SHOWN_ANALYZING] = NO(BUSY),
    [SHOWN_WAITING_CHILDREN] = C(below) },
};

/* A node decides about its tasks: when they have ended, only the node itself is run again, and their rows go with their flow. */
static bool of_a_flow(const struct task *t, const struct task_wish *w) {
  return w->of_node && (w->ask == ASK_DELETE || (w->ask == ASK_RUN && task_final(t->state)));
}

unsigned task_ask(struct task *t, const struct task_wish *w, const struct task_policy *pol, enum ask_no *no) {
  const struct cell *c = &table[w->ask][task_show(t)];
  struct asking a = {t, w, pol, of_a_flow(t, w) ? ASK_OF_A_FLOW : c->no};
  unsigned out = c->move && a.no <= ASK_SAME ? c->move(&a) : 0;
  *no = a.no;
  return out;
}
