/* What users may ask of a task: every cell of wish x shown state, written down once more by hand from the table of
 * docs/explanation/protocol.md; the ways through a deletion; and by brute force over all states that can be reached, that none of
 * them is a dead end. */
#include "unit.h"
#include <stdlib.h>
#include <string.h>
#include "ask.h"
#include "mem.h"
#include "wr_limits.h"

enum { NOW = 1000, LATER = 1000000, ME = 9, COLUMNS = 17 };
static const struct task_policy plain = {.attempts = 2, .backoff_base_us = 10, .backoff_cap_us = 100, .backoff_factor = 2, .slot = SLOT_ASYNC};
static const struct task_policy tidy = {.attempts = 2, .backoff_base_us = 10, .backoff_cap_us = 100, .backoff_factor = 2, .slot = SLOT_ASYNC, .cleans_up = 1};

/* Columns: CREATED BLOCKED QUEUED RUNNING RETRY_WAIT PAUSING PAUSED CANCELING SUCCESS FAILED TIMEOUT CANCELED DEAD ANALYZING
 * WAITING_CHILDREN DELETING DELETE_FAILED. A word: the new shown state, changed. "-": 200, not changed. A number: 409 with that code. "gone": its rows are
 * deleted. "=": 200, changed, the state stays. */
#define FOUR(c) c, c, c, c
static const struct { enum ask ask; bool force, cleans_up; const char *cell[COLUMNS]; } want[] = {
  {ASK_RUN, 0, 0, {"QUEUED", "QUEUED", "-", "-", "QUEUED", "=", "QUEUED", "40916", "40912", "QUEUED", "QUEUED", "QUEUED", "QUEUED",
                   "-", "-", "40916", "40916"}},
  {ASK_PAUSE, 0, 0, {"-", "PAUSED", "PAUSED", "PAUSING", "PAUSED", "-", "-", "40916", "40913", FOUR("40913"), "PAUSED", "=", "40916", "40916"}},
  {ASK_CANCEL, 0, 0, {"CANCELED", "CANCELED", "CANCELED", "CANCELING", "CANCELED", "CANCELING", "CANCELED", "-", "40913", "40913",
                      "40913", "-", "40913", "CANCELED", "CANCELING", "DELETE_FAILED", "40916"}},
  {ASK_DELETE, 0, 0, {"gone", "gone", "gone", "DELETING", "gone", "DELETING", "gone", "DELETING", "gone", FOUR("gone"), "gone", "gone", "-", "gone"}},
  {ASK_DELETE, 0, 1, {"DELETING", "DELETING", "DELETING", "DELETING", "DELETING", "DELETING", "DELETING", "DELETING", "DELETING",
                      FOUR("DELETING"), "DELETING", "DELETING", "-", "DELETING"}},
  {ASK_DELETE, 1, 0, {"gone", "gone", "gone", "DELETING", "gone", "DELETING", "gone", "DELETING", "gone", FOUR("gone"), "gone", "gone", "gone", "gone"}},
  {ASK_DELETE, 1, 1, {"DELETING", "DELETING", "DELETING", "DELETING", "DELETING", "DELETING", "DELETING", "DELETING", "DELETING",
                      FOUR("DELETING"), "DELETING", "DELETING", "gone", "gone"}},
  {ASK_QUEUE, 0, 0, {"=", "=", "=", "=", "=", "=", "=", "=", "40913", FOUR("40913"), "40916", "=", "40916", "40916"}},
};
/* The same of the task of a node. */
static const struct { enum ask ask; const char *cell[COLUMNS - 2]; } of_node[] = {
  {ASK_RUN, {"QUEUED", "QUEUED", "-", "-", "QUEUED", "=", "QUEUED", "40916", "40917", FOUR("40917"), "-", "-"}},
  {ASK_PAUSE, {"-", "PAUSED", "PAUSED", "PAUSING", "PAUSED", "-", "-", "40916", "40913", FOUR("40913"), "PAUSED", "="}},
  {ASK_CANCEL, {"CANCELED", "CANCELED", "CANCELED", "CANCELING", "CANCELED", "CANCELING", "CANCELED", "-", "40913", "40913", "40913",
                "-", "40913", "CANCELED", "CANCELING"}},
  {ASK_DELETE, {"40917", "40917", "40917", "40917", "40917", "40917", "40917", "40917", "40917", FOUR("40917"), "40917", "40917"}},
  {ASK_QUEUE, {"=", "=", "=", "=", "=", "=", "=", "=", "40913", FOUR("40913"), "40916", "="}},
};
static const enum task_shown column[COLUMNS] = {SHOWN_CREATED, SHOWN_BLOCKED, SHOWN_QUEUED, SHOWN_RUNNING, SHOWN_RETRY_WAIT, SHOWN_PAUSING,
  SHOWN_PAUSED, SHOWN_CANCELING, SHOWN_SUCCESS, SHOWN_FAILED, SHOWN_TIMEOUT, SHOWN_CANCELED, SHOWN_DEAD, SHOWN_ANALYZING,
  SHOWN_WAITING_CHILDREN, SHOWN_DELETING, SHOWN_DELETE_FAILED};

static struct task in_state(enum task_shown s) {
  struct task t = {.state = (enum task_state)s, .epoch = 3, .tries = 1, .losses = 1, .again = 5};
  if (s == SHOWN_DELETING || s == SHOWN_DELETE_FAILED) {
    t.phase = PHASE_DELETE;
    t.state = s == SHOWN_DELETING ? TASK_QUEUED : TASK_FAILED;
  }
  if (s == SHOWN_ANALYZING) t.phase = PHASE_ANALYSE, t.state = TASK_RUNNING, t.end_as = TASK_SUCCESS;
  if (s == SHOWN_WAITING_CHILDREN) t.phase = PHASE_CHILDREN, t.state = TASK_CREATED;
  if (s == SHOWN_RUNNING || s == SHOWN_PAUSING || s == SHOWN_CANCELING || s == SHOWN_ANALYZING) t.owner = ME;
  if (s == SHOWN_CANCELING) t.end_as = TASK_CANCELED, t.cancel_requested = 1;
  if (s == SHOWN_RETRY_WAIT || s == SHOWN_BLOCKED) t.due_us = NOW + 50;
  task_check(&t);
  return t;
}

static const char *code(enum ask_no no) {
  switch (no) {
  case ASK_OK: case ASK_SAME: break;
  case ASK_BUSY: return "40916";
  case ASK_FINISHED: return "40913";
  case ASK_NOT_RETRYABLE: return "40912";
  case ASK_OF_A_FLOW: return "40917";
  }
  return "200";
}

static enum ask_no asks(struct task *t, enum ask a, bool force, const struct task_policy *pol, unsigned *out) {
  enum ask_no no;
  *out = task_ask(t, &(struct task_wish){.ask = a, .now_us = NOW, .force = force}, pol, &no);
  if (!(*out & TASK_OUT_GONE)) task_check(t);
  return no;
}

static void check_bits(const struct task *t, const struct task *was, unsigned out) {
  bool gone = out & TASK_OUT_GONE, ended = task_final(t->state) && !task_final(was->state);
  assert_int_equal(!!(out & TASK_OUT_ENDED), ended);
  if (!gone && was->state != TASK_QUEUED) assert_int_equal(!!(out & TASK_OUT_REQUEUED), t->state == TASK_QUEUED);
  assert_int_equal(!!(out & TASK_OUT_RUN_AGAIN), task_final(was->state) && t->state == TASK_QUEUED && t->phase == PHASE_RUN);
  assert_int_equal(!!(out & TASK_OUT_KILL), was->owner != 0 && (gone || t->state != was->state || t->phase != was->phase));
  assert_false(out & (TASK_OUT_LATE | TASK_OUT_REFUSED | TASK_OUT_CLAIMED | TASK_OUT_ATTEMPT_ENDED | TASK_OUT_WAITS));
  assert_int_equal(t->epoch, was->epoch);
}

static void check_cell(const struct task_wish *w, enum task_shown s, const struct task_policy *pol, const char *cell) {
  struct task t = in_state(s), was = t;
  enum ask_no no;
  unsigned out = task_ask(&t, w, pol, &no);
  if (cell[0] == '4') {
    assert_string_equal(code(no), cell);
    assert_int_equal(out, 0);
    assert_memory_equal(&t, &was, sizeof t);
    return;
  }
  task_check(&t);
  if (cell[0] == '-') { /* at most the owner is told again */
    assert_int_equal(no, ASK_SAME);
    assert_int_equal(out & ~(unsigned)(TASK_OUT_KILL | TASK_OUT_BELOW), 0);
    assert_true(out == 0 || was.owner != 0 || was.phase == PHASE_CHILDREN);
    assert_memory_equal(&t, &was, sizeof t);
    return;
  }
  assert_int_equal(no, ASK_OK);
  assert_true(out & (TASK_OUT_CHANGED | TASK_OUT_GONE));
  assert_int_equal(!!(out & TASK_OUT_GONE), strcmp(cell, "gone") == 0);
  if (cell[0] == '=') assert_int_equal(task_show(&t), s);
  else if (strcmp(cell, "gone") != 0) assert_string_equal(task_shown(&t), cell);
  if (w->ask != ASK_QUEUE) check_bits(&t, &was, out);
}

static void test_table(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof want / sizeof *want; i++)
    for (size_t c = 0; c < COLUMNS; c++)
      for (int clean = want[i].cleans_up; clean <= (want[i].cleans_up || want[i].ask != ASK_DELETE); clean++)
        check_cell(&(struct task_wish){.ask = want[i].ask, .now_us = NOW, .force = want[i].force}, column[c], clean ? &tidy : &plain,
                   want[i].cell[c]);
}

static void test_table_of_a_node(void **state) {
  (void)state;
  assert_int_equal(sizeof of_node / sizeof *of_node, ASK__N);
  for (size_t i = 0; i < ASK__N; i++)
    for (size_t c = 0; c < COLUMNS - 2; c++)
      check_cell(&(struct task_wish){.ask = of_node[i].ask, .now_us = NOW, .of_node = 1, .may_retry = 1, .may_requeue = 1}, column[c],
                 &plain, of_node[i].cell[c]);
}

/* A flow that is being ended starts nothing; one that only stops goes on with what was there, but tries nothing again. */
static void test_run_where_nothing_may_start(void **state) {
  (void)state;
  static const struct { enum task_shown s; bool retry, requeue; const char *cell; } v[] = {
    {SHOWN_PAUSED, 0, 0, "40916"}, {SHOWN_PAUSED, 0, 1, "QUEUED"}, {SHOWN_BLOCKED, 0, 0, "40916"}, {SHOWN_BLOCKED, 0, 1, "QUEUED"},
    {SHOWN_RETRY_WAIT, 0, 1, "40916"}, {SHOWN_RETRY_WAIT, 1, 1, "QUEUED"}};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++)
    check_cell(&(struct task_wish){.ask = ASK_RUN, .now_us = NOW, .of_node = 1, .may_retry = v[i].retry, .may_requeue = v[i].requeue},
               v[i].s, &plain, v[i].cell);
}

static void test_names(void **state) {
  (void)state;
  static const char *const word[ASK__N] = {"run", "pause", "cancel", "delete", "queue"};
  for (int a = 0; a < ASK__N; a++) assert_string_equal(ask_name((enum ask)a), word[a]);
  assert_string_equal(ask_name(ASK__N), "?");
  assert_string_equal(shown_name(SHOWN_DELETING), "DELETING");
  assert_string_equal(shown_name(SHOWN_DELETE_FAILED), "DELETE_FAILED");
  assert_string_equal(shown_name(SHOWN_ANALYZING), "ANALYZING");
  assert_string_equal(shown_name(SHOWN_WAITING_CHILDREN), "WAITING_CHILDREN");
  for (int s = 0; s < TASK__N; s++) assert_string_equal(shown_name((enum task_shown)s), task_state_name((enum task_state)s));
  assert_string_equal(shown_name(SHOWN__N), "?");
}

/* ---- reports ---- */

static unsigned happens(struct task *t, enum task_ev kind, const struct task_event *how, const struct task_policy *pol) {
  struct task_event ev = how ? *how : (struct task_event){.kind = kind};
  ev.kind = kind;
  ev.now_us = kind == TASK_EV_DUE ? t->due_us : LATER;
  ev.owner = kind == TASK_EV_CLAIM ? ME : t->owner;
  ev.epoch = t->epoch;
  ev.may_retry = ev.may_requeue = 1;
  unsigned out = task_apply(t, &ev, pol);
  if (!(out & TASK_OUT_GONE)) task_check(t);
  return out;
}

/* After our stop: what the attempt says, and what becomes of the task. Columns: PAUSING, PAUSING with a run wish, CANCELING, a
 * deletion that stops it first (with a clean-up). */
static void test_reports_after_our_stop(void **state) {
  (void)state;
  static const struct { enum task_ev ev; bool asked, fatal; const char *cell[4]; } v[] = {
    {TASK_EV_OK, 0, 0, {"SUCCESS", "SUCCESS", "SUCCESS", "DELETING"}},          /* it had ended before */
    {TASK_EV_OK, 1, 0, {"PAUSED", "QUEUED", "CANCELED", "DELETING"}},           /* it only tidied up */
    {TASK_EV_FAIL, 0, 0, {"FAILED", "FAILED", "CANCELED", "DELETING"}},         /* a failure by itself */
    {TASK_EV_FAIL, 1, 0, {"PAUSED", "QUEUED", "CANCELED", "DELETING"}},         /* any other code, any signal */
    {TASK_EV_FAIL, 0, 1, {"FAILED", "FAILED", "FAILED", "DELETING"}},
    {TASK_EV_FAIL, 1, 1, {"FAILED", "FAILED", "FAILED", "DELETING"}},           /* exit 125, retry:false */
    {TASK_EV_NOT_NOW, 0, 0, {"PAUSED", "QUEUED", "CANCELED", "DELETING"}},      /* exit 75 */
    {TASK_EV_HANDBACK, 0, 0, {"PAUSED", "QUEUED", "CANCELED", "DELETING"}},
    {TASK_EV_LOST, 0, 0, {"PAUSED", "QUEUED", "CANCELED", "DELETING"}}};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++)
    for (int c = 0; c < 4; c++) {
      struct task t = in_state(SHOWN_RUNNING), was;
      unsigned out;
      assert_int_equal(asks(&t, c < 2 ? ASK_PAUSE : c == 2 ? ASK_CANCEL : ASK_DELETE, false, &tidy, &out), ASK_OK);
      if (c == 1) assert_int_equal(asks(&t, ASK_RUN, false, &tidy, &out), ASK_OK);
      was = t;
      out = happens(&t, v[i].ev, &(struct task_event){.asked = v[i].asked, .fatal = v[i].fatal}, &tidy);
      assert_string_equal(task_shown(&t), v[i].cell[c]);
      assert_int_equal(!!(out & TASK_OUT_ATTEMPT_ENDED), !task_final(t.state));
      if (!task_final(t.state)) assert_int_equal(t.tries, was.tries); /* no failure counted */
      if (c < 3) assert_int_equal(t.losses, was.losses);
      if (!task_final(t.state)) assert_string_equal(task_ev_name(task_attempt_why(&was, v[i].ev)), v[i].ev == TASK_EV_LOST ? "LOST" : "PAUSED");
    }
}

/* A planned stop: the task is RUNNING, and nobody outside sees more than a short QUEUED. */
static void test_planned_stop(void **state) {
  (void)state;
  static const struct { enum task_ev ev; bool asked, fatal; const char *end, *why; } v[] = {
    {TASK_EV_OK, 0, 0, "SUCCESS", NULL}, {TASK_EV_OK, 1, 0, "QUEUED", "HANDBACK"}, {TASK_EV_HANDBACK, 0, 0, "QUEUED", "HANDBACK"},
    {TASK_EV_FAIL, 1, 1, "FAILED", NULL}};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    struct task t = in_state(SHOWN_RUNNING), was = t;
    (void)happens(&t, v[i].ev, &(struct task_event){.asked = v[i].asked, .fatal = v[i].fatal}, &plain);
    assert_string_equal(task_shown(&t), v[i].end);
    assert_int_equal(t.losses, was.losses);
    if (v[i].why) assert_string_equal(task_ev_name(task_attempt_why(&was, v[i].ev)), v[i].why);
    if (v[i].why) assert_int_equal(t.tries, was.tries);
  }
}

static void test_not_now(void **state) {
  (void)state;
  struct task t = in_state(SHOWN_RUNNING);
  t.again = t.tries = 0;
  for (int i = 1; i <= LIMIT_AGAIN; i++) {
    struct task was = t;
    int64_t after = i % 2 ? 0 : 30;
    assert_true(happens(&t, TASK_EV_NOT_NOW, &(struct task_event){.after_us = after}, &plain) & TASK_OUT_WAITS);
    assert_int_equal(t.due_us, LATER + (after ? after : plain.backoff_base_us));
    assert_int_equal(t.again, i);
    assert_int_equal(t.tries, 0);
    assert_int_equal(task_attempt_why(&was, TASK_EV_NOT_NOW), TASK_EV_NOT_NOW);
    (void)happens(&t, TASK_EV_DUE, NULL, &plain);
    (void)happens(&t, TASK_EV_CLAIM, NULL, &plain);
    assert_int_equal(t.state, TASK_RUNNING);
  }
  (void)happens(&t, TASK_EV_NOT_NOW, NULL, &plain); /* the 101st is a failure like any other */
  assert_int_equal(t.state, TASK_RETRY_WAIT);
  assert_int_equal(t.tries, 1);
  (void)happens(&t, TASK_EV_DUE, NULL, &plain);
  (void)happens(&t, TASK_EV_CLAIM, NULL, &plain);
  assert_true(happens(&t, TASK_EV_NOT_NOW, NULL, &plain) & TASK_OUT_ENDED);
  assert_int_equal(t.state, TASK_FAILED);
  unsigned out;
  assert_int_equal(asks(&t, ASK_RUN, false, &plain, &out), ASK_OK); /* a new budget */
  assert_int_equal(t.again + t.tries + t.losses, 0);
  assert_true(out & TASK_OUT_RUN_AGAIN);
  t = in_state(SHOWN_RUNNING);
  struct task_event far = {.kind = TASK_EV_NOT_NOW, .owner = ME, .epoch = 3, .now_us = NOW, .may_retry = 1, .after_us = INT64_MAX};
  (void)task_apply(&t, &far, &plain);
  assert_int_equal(t.due_us, NOW + LIMIT_AGAIN_US);
  t = in_state(SHOWN_RUNNING);
  far.may_retry = 0; /* no later moment will come */
  (void)task_apply(&t, &far, &plain);
  assert_int_equal(t.state, TASK_FAILED);
}

static void test_start(void **state) {
  (void)state;
  static const struct { struct task_start s; const char *shown; unsigned out; } v[] = {
    {{0, 0}, "QUEUED", TASK_OUT_CHANGED | TASK_OUT_REQUEUED}, {{NOW, 0}, "QUEUED", TASK_OUT_CHANGED | TASK_OUT_REQUEUED},
    {{0, 1}, "CREATED", TASK_OUT_CHANGED}, {{NOW + 1, 0}, "BLOCKED", TASK_OUT_CHANGED | TASK_OUT_WAITS}};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    struct task t = {0};
    assert_int_equal(task_begin(&t, &v[i].s, &plain, NOW), v[i].out);
    task_check(&t);
    assert_string_equal(task_shown(&t), v[i].shown);
    struct task_event early = {.kind = TASK_EV_DUE, .now_us = NOW, .may_retry = 1};
    assert_int_equal(task_apply(&t, &early, &plain), 0); /* its time has not come */
    early.now_us = NOW + 1;
    if (t.state == TASK_BLOCKED) assert_int_equal(task_apply(&t, &early, &plain), TASK_OUT_CHANGED | TASK_OUT_REQUEUED);
    task_check(&t);
  }
}

/* A run that is asked of a task that stops, taken back, asked again. */
static void test_resuming(void **state) {
  (void)state;
  struct task t = in_state(SHOWN_RUNNING);
  unsigned out;
  assert_int_equal(asks(&t, ASK_PAUSE, false, &plain, &out), ASK_OK);
  assert_int_equal(task_stop(&t), STOP_PAUSE);
  assert_int_equal(asks(&t, ASK_PAUSE, false, &plain, &out), ASK_SAME);
  assert_int_equal(out, TASK_OUT_KILL);
  assert_int_equal(asks(&t, ASK_RUN, false, &plain, &out), ASK_OK);
  assert_int_equal(t.resume, RESUME_RUN);
  assert_int_equal(asks(&t, ASK_RUN, false, &plain, &out), ASK_SAME);
  assert_int_equal(out, 0);
  assert_int_equal(asks(&t, ASK_PAUSE, false, &plain, &out), ASK_OK); /* takes the run back */
  assert_int_equal(t.resume, RESUME_NONE);
  struct task paused = t;
  (void)happens(&paused, TASK_EV_HANDBACK, NULL, &plain);
  assert_int_equal(paused.state, TASK_PAUSED);
  assert_int_equal(asks(&t, ASK_RUN, false, &plain, &out), ASK_OK);
  (void)happens(&t, TASK_EV_FAIL, &(struct task_event){.asked = 1}, &plain);
  assert_int_equal(t.state, TASK_QUEUED);
  assert_int_equal(t.resume, RESUME_NONE);
}

/* ---- deletion ---- */

static struct task deleting(const struct task_policy *pol, bool claimed) {
  struct task t = in_state(SHOWN_PAUSED);
  unsigned out;
  assert_int_equal(asks(&t, ASK_DELETE, false, pol, &out), ASK_OK);
  if (claimed) assert_true(happens(&t, TASK_EV_CLAIM, NULL, pol) & TASK_OUT_CLAIMED);
  return t;
}

/* What the clean-up says, and what becomes of the deletion. */
static void test_clean_up(void **state) {
  (void)state;
  static const struct { enum task_ev ev; bool asked; const char *end; } v[] = {
    {TASK_EV_OK, 0, "gone"}, {TASK_EV_OK, 1, "DELETING"}, {TASK_EV_FAIL, 0, "DELETE_FAILED"}, {TASK_EV_FAIL, 1, "DELETE_FAILED"},
    {TASK_EV_LOST, 0, "DELETING"}, {TASK_EV_HANDBACK, 0, "DELETING"}, {TASK_EV_NOT_NOW, 0, "DELETING"}, {TASK_EV_TIMEOUT, 0, "DELETING"}};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    struct task t = deleting(&tidy, true);
    unsigned out = happens(&t, v[i].ev, &(struct task_event){.asked = v[i].asked}, &tidy);
    assert_int_equal(!!(out & TASK_OUT_GONE), strcmp(v[i].end, "gone") == 0);
    if (!(out & TASK_OUT_GONE)) assert_string_equal(task_shown(&t), v[i].end);
    assert_false(out & TASK_OUT_KILL && v[i].ev != TASK_EV_TIMEOUT);
  }
  struct task t = deleting(&tidy, true);
  assert_false(task_counts(&t)); /* it counts under slots and cost, not under maxRunning */
  (void)happens(&t, TASK_EV_TIMEOUT, NULL, &tidy);
  assert_int_equal(task_stop(&t), STOP_TIMEOUT);
  struct task was = t;
  (void)happens(&t, TASK_EV_FAIL, &(struct task_event){.asked = 1}, &tidy);
  assert_string_equal(task_shown(&t), "DELETE_FAILED");
  assert_string_equal(task_error(&t, &was, "Killed."), "The clean-up timed out.");
}

/* What waits is DELETING, not QUEUED: the clock of the queue does not run. */
static void test_clean_up_has_no_queue_timeout(void **state) {
  (void)state;
  struct task_policy p = tidy;
  p.queue_timeout_us = 5;
  assert_int_equal(deleting(&p, false).due_us, 0);
}

/* The pause of its flow has stopped it, or stops it: a user's own pause stands from then on, and a run brings it back. */
static void test_pause_on_top_of_the_flows(void **state) {
  (void)state;
  for (int stopped = 0; stopped < 2; stopped++) {
    struct task t = in_state(SHOWN_RUNNING);
    unsigned out;
    (void)happens(&t, TASK_EV_CHECKPOINT, NULL, &plain);
    if (stopped) (void)happens(&t, TASK_EV_HANDBACK, NULL, &plain);
    assert_int_equal(t.resume, RESUME_FLOW);
    assert_int_equal(asks(&t, ASK_PAUSE, false, &plain, &out), ASK_SAME); /* nothing that users see has changed */
    assert_true(out & TASK_OUT_CHANGED);
    assert_int_equal(t.resume, RESUME_NONE);
    assert_int_equal(happens(&t, TASK_EV_TAKE_UP, NULL, &plain), 0);
    assert_int_equal(asks(&t, ASK_RUN, false, &plain, &out), ASK_OK);
  }
}

/* What the pause of its flow holds goes on with its flow; a retry that it holds is not waited for any more. */
static void test_run_of_what_is_held(void **state) {
  (void)state;
  static const enum task_shown from[] = {SHOWN_QUEUED, SHOWN_RETRY_WAIT};
  for (int i = 0; i < 2; i++) {
    struct task t = in_state(from[i]);
    unsigned out;
    (void)happens(&t, TASK_EV_HOLD, NULL, &plain);
    assert_int_equal(asks(&t, ASK_RUN, false, &plain, &out), i == 0 ? ASK_SAME : ASK_OK);
    assert_int_equal(t.state, i == 0 ? TASK_BLOCKED : TASK_QUEUED);
  }
}

static void test_clean_up_is_lost(void **state) {
  (void)state;
  struct task t = deleting(&tidy, false), was = t;
  for (int i = 1; i <= LIMIT_LOSSES; i++) {
    (void)happens(&t, TASK_EV_CLAIM, NULL, &tidy);
    was = t;
    unsigned out = happens(&t, TASK_EV_LOST, NULL, &tidy);
    assert_string_equal(task_shown(&t), i < LIMIT_LOSSES ? "DELETING" : "DELETE_FAILED");
    assert_int_equal(!!(out & TASK_OUT_ATTEMPT_ENDED), i < LIMIT_LOSSES);
  }
  assert_string_equal(task_error(&t, &was, "Lost with its node."), "The clean-up was lost three times; given up. Its history says how.");
  unsigned out;
  assert_int_equal(asks(&t, ASK_DELETE, false, &tidy, &out), ASK_OK); /* tries again, with a new budget */
  assert_int_equal(t.losses, 0);
  for (int i = 0; i < 10; i++) { /* planned stops are not counted */
    (void)happens(&t, TASK_EV_CLAIM, NULL, &tidy);
    (void)happens(&t, TASK_EV_HANDBACK, NULL, &tidy);
    assert_string_equal(task_shown(&t), "DELETING");
  }
  (void)happens(&t, TASK_EV_CLAIM, NULL, &tidy);
  was = t;
  (void)happens(&t, TASK_EV_FAIL, NULL, &tidy);
  assert_string_equal(task_error(&t, &was, "exit 3"), "exit 3");
  assert_string_equal(task_error(&t, &was, NULL), "The clean-up failed.");
  assert_int_equal(asks(&t, ASK_DELETE, true, &tidy, &out), ASK_OK);
  assert_int_equal(out, TASK_OUT_GONE); /* it was final already */
}

/* The attempt of the run stops first, however it ends; without a clean-up the task is gone then. */
static void test_delete_stops_first(void **state) {
  (void)state;
  static const enum task_ev end[] = {TASK_EV_OK, TASK_EV_FAIL, TASK_EV_LOST, TASK_EV_HANDBACK, TASK_EV_NOT_NOW};
  static const enum task_shown from[] = {SHOWN_RUNNING, SHOWN_PAUSING, SHOWN_CANCELING};
  for (size_t i = 0; i < sizeof end / sizeof *end; i++)
    for (size_t k = 0; k < 3; k++)
      for (int clean = 0; clean < 2; clean++) {
        const struct task_policy *pol = clean ? &tidy : &plain;
        struct task t = in_state(from[k]);
        unsigned out;
        assert_int_equal(asks(&t, ASK_DELETE, false, pol, &out), ASK_OK);
        assert_true(out & TASK_OUT_KILL);
        assert_int_equal(task_stop(&t), STOP_DELETE);
        assert_true(task_counts(&t)); /* until it has stopped */
        assert_int_equal(happens(&t, TASK_EV_TIMEOUT, NULL, pol), 0);
        struct task cancelled = t;
        out = happens(&t, end[i], NULL, pol);
        assert_int_equal(out & (TASK_OUT_GONE | TASK_OUT_REQUEUED), clean ? TASK_OUT_REQUEUED : TASK_OUT_GONE);
        assert_int_equal(asks(&cancelled, ASK_CANCEL, false, pol, &out), ASK_OK);
        assert_string_equal(task_shown(&cancelled), "DELETING");
        assert_true(task_counts(&cancelled));
        assert_int_equal(asks(&cancelled, ASK_CANCEL, false, pol, &out), ASK_SAME);
        assert_false(happens(&cancelled, end[i], NULL, pol) & TASK_OUT_GONE);
        assert_string_equal(task_shown(&cancelled), "DELETE_FAILED");
      }
}

static void test_cancel_of_a_clean_up(void **state) {
  (void)state;
  unsigned out;
  struct task t = deleting(&tidy, true);
  assert_int_equal(asks(&t, ASK_CANCEL, false, &tidy, &out), ASK_OK);
  assert_true(out & TASK_OUT_KILL);
  assert_int_equal(task_stop(&t), STOP_CANCEL);
  struct task done = t, was = t;
  (void)happens(&t, TASK_EV_OK, &(struct task_event){.asked = 1}, &tidy);
  assert_string_equal(task_shown(&t), "DELETE_FAILED");
  assert_string_equal(task_error(&t, &was, NULL), "The deletion was canceled.");
  assert_true(happens(&done, TASK_EV_OK, NULL, &tidy) & TASK_OUT_GONE); /* it had done its work before */
  t = deleting(&tidy, true);
  assert_int_equal(asks(&t, ASK_DELETE, true, &tidy, &out), ASK_OK); /* force: its owner is told that it is gone */
  assert_int_equal(out, TASK_OUT_GONE | TASK_OUT_ENDED | TASK_OUT_KILL);
  assert_int_equal(task_stop(&t), STOP_FENCED); /* at once: its grace is over */
  t = in_state(SHOWN_RUNNING);
  (void)asks(&t, ASK_DELETE, false, &plain, &out);
  assert_int_equal(task_stop(&t), STOP_DELETE);
  (void)asks(&t, ASK_DELETE, true, &plain, &out);
  assert_int_equal(task_stop(&t), STOP_FENCED);
}

static void test_remove_with_the_end(void **state) {
  (void)state;
  struct task t = in_state(SHOWN_RUNNING);
  t.tries = 0;
  unsigned out = happens(&t, TASK_EV_FAIL, &(struct task_event){.remove = 1}, &plain);
  assert_false(out & TASK_OUT_GONE); /* it is tried again */
  t = in_state(SHOWN_RUNNING);
  assert_int_equal(happens(&t, TASK_EV_OK, &(struct task_event){.remove = 1}, &plain), TASK_OUT_CHANGED | TASK_OUT_ENDED | TASK_OUT_GONE);
}

/* ---- no dead end ---- */

enum { SLOTS = 1 << 19 };
struct all { struct task *v; size_t n, cap; uint32_t *slot; uint32_t (*edge)[2]; size_t n_edge, cap_edge; };
enum { GONE = 0 }; /* v[0] stands for all tasks that are gone */

/* Only what decides about the next step. */
static struct task norm(struct task t) {
  t.epoch = t.epoch > 0;
  t.start_us = 0;
  if (t.due_us) t.due_us = 50;
  if (t.owner) t.owner = ME;
  if (t.again > 1 && t.again < LIMIT_AGAIN - 1) t.again = LIMIT_AGAIN - 1; /* one that is far from the limit is like the others */
  return t;
}

static uint32_t key(const struct task *t) {
  uint32_t h = (uint32_t)t->state | (uint32_t)t->end_as << 4 | (uint32_t)t->phase << 8 | (uint32_t)t->resume << 10 | (uint32_t)t->losses << 12;
  return (h | (uint32_t)t->cancel_requested << 14 | t->tries << 15 | (uint32_t)t->again << 18 | t->epoch << 26 | (uint32_t)(t->due_us != 0) << 27) + 1;
}

static uint32_t number(struct all *a, struct task t, unsigned out) {
  if (out & TASK_OUT_GONE) return GONE;
  t = norm(t);
  task_check(&t);
  uint32_t k = key(&t), i = k * 2654435761u >> 13;
  while (a->slot[i] && key(&a->v[a->slot[i]]) != k) i = (i + 1) % SLOTS;
  if (a->slot[i] == 0) {
    a->slot[i] = (uint32_t)a->n;
    *WR_PUSH(a->v, a->n, a->cap) = t;
    assert_true(a->n < SLOTS / 2);
  }
  return a->slot[i];
}

static void edge(struct all *a, uint32_t from, uint32_t to) {
  uint32_t (*e)[2] = WR_PUSH(a->edge, a->n_edge, a->cap_edge);
  (*e)[0] = from;
  (*e)[1] = to;
}

static void all_asks(struct all *a, uint32_t i, const struct task_policy *pol) {
  for (int k = 0; k < ASK__N * 4; k++) {
    struct task t = a->v[i];
    enum ask_no no;
    unsigned out = task_ask(&t, &(struct task_wish){.ask = (enum ask)(k / 4), .now_us = NOW, .force = k % 2, .below = k / 2 % 2}, pol, &no);
    edge(a, i, number(a, t, out));
  }
}

static void all_events(struct all *a, uint32_t i, const struct task_policy *pol) {
  for (int k = 0; k < TASK_EV__N; k++)
    for (int how = 0; how < 32; how++) {
      struct task t = a->v[i];
      struct task_event ev = {.kind = (enum task_ev)k, .now_us = NOW, .owner = k == TASK_EV_CLAIM ? ME : t.owner, .epoch = t.epoch,
                              .asked = how & 1, .fatal = how >> 1 & 1, .remove = how >> 2 & 1, .analyse = how >> 3 & 1,
                              .said = (uint8_t)(how >> 3), .waits = how >> 2 & 1, .bad = how & 1, .may_retry = 1, .may_requeue = 1};
      if (k == TASK_EV_CANCEL || (k >= TASK_EV_REST_RUN_ON && k != TASK_EV_CHILDREN)) continue; /* an ask; of flows */
      unsigned out = task_apply(&t, &ev, pol);
      edge(a, i, number(a, t, out));
    }
}

/* Marks all from which one of the marked can be reached. */
static void close_up(const struct all *a, uint8_t *mark) {
  for (bool more = true; more;) {
    more = false;
    for (size_t e = a->n_edge; e-- > 0;)
      if (mark[a->edge[e][1]] && !mark[a->edge[e][0]]) mark[a->edge[e][0]] = more = true;
  }
}

static void explore(struct all *a, const struct task_policy *pol) {
  static const struct task_start start[] = {{0, 0}, {0, 1}, {NOW + 5, 0}};
  *a = (struct all){.slot = wr_calloc(SLOTS, sizeof(uint32_t))};
  *WR_PUSH(a->v, a->n, a->cap) = (struct task){.state = TASK_NONE};
  for (size_t i = 0; i < 3; i++) {
    struct task t = {0};
    (void)number(a, t, task_begin(&t, &start[i], pol, NOW));
  }
  for (size_t i = 0; i < 3; i++) {
    struct task t = {0};
    (void)task_begin(&t, &start[i], pol, NOW);
    (void)number(a, t, 0);
  }
  for (uint32_t i = 1; i < a->n; i++) {
    if (a->v[i].state == TASK_NONE) continue;
    all_asks(a, i, pol);
    all_events(a, i, pol);
  }
}

static void explored(struct all *a) {
  free(a->v);
  free(a->slot);
  free(a->edge);
}

/* From every state that can be reached: to a final state or to GONE; and to GONE, which needs a deletion at most. */
static void test_no_dead_end(void **state) {
  (void)state;
  for (int clean = 0; clean < 2; clean++) {
    struct all a;
    uint32_t seen = 0;
    struct task_policy pol = clean ? tidy : plain;
    pol.calls = 2;
    explore(&a, &pol);
    uint8_t *over = wr_calloc(a.n, 1), *gone = wr_calloc(a.n, 1);
    over[GONE] = gone[GONE] = 1;
    for (size_t i = 1; i < a.n; i++) {
      over[i] = task_final(a.v[i].state);
      if (a.v[i].state != TASK_NONE) seen |= 1u << task_show(&a.v[i]);
    }
    close_up(&a, over);
    close_up(&a, gone);
    for (size_t i = 1; i < a.n; i++) assert_true(a.v[i].state == TASK_NONE || (over[i] && gone[i]));
    for (int s = SHOWN_CREATED; s < SHOWN__N; s++) assert_true(seen >> s & 1);
    assert_true(a.n > 200);
    free(over);
    free(gone);
    explored(&a);
  }
}

/* What nobody asks for: an attempt that ends, a timer that rings, a claim. So a state that waits for nothing of this kind waits for a
 * user: CREATED and PAUSED alone do. */
static void test_who_waits_for_a_user(void **state) {
  (void)state;
  struct all a;
  explore(&a, &tidy);
  for (uint32_t i = 1; i < a.n; i++) {
    const struct task *t = &a.v[i];
    if (t->state == TASK_NONE || task_final(t->state)) continue;
    size_t before = a.n_edge;
    bool moves = false;
    all_events(&a, i, &tidy);
    for (size_t e = before; e < a.n_edge; e++) moves |= a.edge[e][1] != i;
    a.n_edge = before;
    bool below = t->state == TASK_CREATED && t->phase != PHASE_RUN; /* it waits for others */
    if (t->state == TASK_QUEUED || t->owner || t->due_us || below) assert_true(moves);
    else assert_true(!moves && (t->state == TASK_CREATED || t->state == TASK_PAUSED));
  }
  explored(&a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_table), cmocka_unit_test(test_table_of_a_node), cmocka_unit_test(test_run_where_nothing_may_start),
    cmocka_unit_test(test_names), cmocka_unit_test(test_reports_after_our_stop), cmocka_unit_test(test_planned_stop),
    cmocka_unit_test(test_not_now), cmocka_unit_test(test_start), cmocka_unit_test(test_resuming), cmocka_unit_test(test_clean_up),
    cmocka_unit_test(test_clean_up_has_no_queue_timeout), cmocka_unit_test(test_pause_on_top_of_the_flows),
    cmocka_unit_test(test_run_of_what_is_held), cmocka_unit_test(test_clean_up_is_lost), cmocka_unit_test(test_delete_stops_first), cmocka_unit_test(test_cancel_of_a_clean_up),
    cmocka_unit_test(test_remove_with_the_end), cmocka_unit_test(test_no_dead_end), cmocka_unit_test(test_who_waits_for_a_user)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
