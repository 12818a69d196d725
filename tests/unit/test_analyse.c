/* ANALYZING: every cell of phase ANALYSE x event, written down by hand; which ends begin it; what a verdict makes of the task; and
 * that an analysis costs nothing but calls. */
#include "unit.h"
#include <string.h>
#include "ask.h"
#include "job.h"
#include "wr_limits.h"

enum { NOW = 1000, ME = 9, CALLS = 3 };
static const struct task_policy pol = {.attempts = 2, .backoff_base_us = 10, .backoff_cap_us = 100, .backoff_factor = 2,
                                       .jitter = JITTER_NONE, .slot = SLOT_PROCESS, .calls = CALLS};

static struct task in(enum task_state s, enum task_state ended) {
  struct task t = {.state = s, .phase = PHASE_ANALYSE, .end_as = ended, .epoch = 4, .again = 1, .start_us = 70};
  if (s == TASK_RUNNING) t.owner = ME;
  if (s == TASK_RETRY_WAIT) t.due_us = 50;
  task_check(&t);
  return t;
}

static unsigned happens(struct task *t, const struct task_event *how) {
  struct task_event ev = *how;
  ev.now_us = NOW;
  ev.owner = ev.kind == TASK_EV_CLAIM || t->owner == 0 ? ME : t->owner;
  ev.epoch = t->epoch;
  ev.may_retry = ev.may_requeue = 1;
  unsigned out = task_apply(t, &ev, &pol);
  task_check(t);
  return out;
}

/* Columns: QUEUED RUNNING RETRY_WAIT PAUSED. "-": nothing; "log": a late report; a word with *: still ANALYZING. OK: without a
 * verdict, as from an analyzer that the store refused. */
static const struct { enum task_ev ev; const char *cell[4]; } want[TASK_EV__N] = {
  {TASK_EV_CLAIM,         {"RUNNING*", "-", "-", "-"}},
  {TASK_EV_OK,            {"log", "RETRY_WAIT*", "log", "log"}},
  {TASK_EV_FAIL,          {"log", "RETRY_WAIT*", "log", "log"}},
  {TASK_EV_LOST,          {"log", "QUEUED*", "log", "log"}},
  {TASK_EV_HANDBACK,      {"log", "QUEUED*", "log", "log"}},
  {TASK_EV_NOT_NOW,       {"log", "RETRY_WAIT*", "log", "log"}},
  {TASK_EV_TIMEOUT,       {"log", "-", "log", "log"}},
  {TASK_EV_QUEUE_TIMEOUT, {"-", "-", "-", "-"}},
  {TASK_EV_DUE,           {"-", "-", "QUEUED*", "-"}},
  {TASK_EV_CANCEL,        {"CANCELED", "CANCELED", "CANCELED", "CANCELED"}},
  {TASK_EV_REST_CANCEL,   {"CANCELED", "CANCELED", "CANCELED", "CANCELED"}},
  {TASK_EV_REST_RUN_ON,   {"-", "-", "-", "-"}},
  {TASK_EV_HOLD,          {"-", "-", "-", "-"}},
  {TASK_EV_CHECKPOINT,    {"-", "-", "-", "-"}},
  {TASK_EV_TAKE_UP,       {"QUEUED*", "-", "-", "-"}},
  {TASK_EV_CHILDREN,      {"-", "-", "-", "-"}},
};
static const enum task_state column[4] = {TASK_QUEUED, TASK_RUNNING, TASK_RETRY_WAIT, TASK_PAUSED};

static void check_cell(enum task_ev k, enum task_state s, const char *cell) {
  struct task t = in(s, TASK_FAILED), was = t;
  unsigned out = happens(&t, &(struct task_event){.kind = k});
  if (cell[0] == '-' || cell[0] == 'l') {
    assert_int_equal(out, cell[0] == '-' ? 0 : TASK_OUT_LATE);
    assert_memory_equal(&t, &was, sizeof t);
    return;
  }
  bool still = strchr(cell, '*') != NULL, given_up = !still && was.owner != 0;
  const char *name = task_state_name(t.state);
  assert_int_equal(strncmp(name, cell, strlen(name)), 0);
  assert_int_equal(t.phase == PHASE_ANALYSE, still);
  assert_int_equal(t.end_as, still ? TASK_FAILED : TASK_NONE);
  assert_int_equal(!!(out & TASK_OUT_ENDED), task_final(t.state));
  assert_int_equal(!!(out & TASK_OUT_REQUEUED), t.state == TASK_QUEUED);
  assert_int_equal(!!(out & TASK_OUT_WAITS), t.state == TASK_RETRY_WAIT);
  assert_int_equal(!!(out & TASK_OUT_KILL), given_up);
  assert_int_equal(!!(out & TASK_OUT_GIVEN_UP), given_up);
  assert_false(out & TASK_OUT_ATTEMPT_ENDED); /* it stands in the history since its own end */
  assert_int_equal(t.tries + t.losses, 0);
  assert_int_equal(t.start_us, was.start_us);
}

static void test_table(void **state) {
  (void)state;
  for (int i = 0; i < TASK_EV__N; i++)
    for (int c = 0; c < 4; c++) check_cell(want[i].ev, column[c], want[i].cell[c]);
}

/* ---- which ends are analysed ---- */

static void check_end(enum task_state s, enum task_ev ev, const struct task_event *how, const char *shown, enum task_state ended) {
  struct task t = {.state = s, .epoch = 3, .owner = ME, .again = 5, .start_us = 70};
  if (s == TASK_CANCELING) t.end_as = TASK_CANCELED;
  struct task_event e = *how;
  e.kind = ev;
  unsigned out = happens(&t, &e);
  assert_string_equal(task_shown(&t), shown);
  if (t.phase != PHASE_ANALYSE) return;
  assert_int_equal(t.end_as, ended);
  assert_int_equal(out, TASK_OUT_CHANGED | TASK_OUT_REQUEUED | TASK_OUT_ATTEMPT_ENDED);
  assert_int_equal(t.again + t.tries, 0);
  assert_int_equal(t.owner, 0);
  assert_int_equal(task_attempt_of(t.epoch), 3);
}

static void test_which_ends(void **state) {
  (void)state;
  const struct task_event by_itself = {.analyse = 1}, asked = {.analyse = 1, .asked = 1}, says = {0};
  check_end(TASK_RUNNING, TASK_EV_OK, &by_itself, "ANALYZING", TASK_SUCCESS);
  check_end(TASK_RUNNING, TASK_EV_FAIL, &by_itself, "ANALYZING", TASK_FAILED);
  check_end(TASK_PAUSING, TASK_EV_OK, &by_itself, "ANALYZING", TASK_SUCCESS);
  check_end(TASK_PAUSING, TASK_EV_FAIL, &by_itself, "ANALYZING", TASK_FAILED);
  check_end(TASK_PAUSING, TASK_EV_OK, &asked, "PAUSED", 0);
  check_end(TASK_RUNNING, TASK_EV_OK, &asked, "QUEUED", 0);
  check_end(TASK_RUNNING, TASK_EV_FAIL, &says, "RETRY_WAIT", 0);    /* exit 125, or it could not start */
  check_end(TASK_RUNNING, TASK_EV_NOT_NOW, &says, "RETRY_WAIT", 0);
  check_end(TASK_RUNNING, TASK_EV_LOST, &says, "QUEUED", 0);
  check_end(TASK_CANCELING, TASK_EV_OK, &by_itself, "CANCELED", 0);
  check_end(TASK_CANCELING, TASK_EV_FAIL, &by_itself, "CANCELED", 0);
  struct task timed_out = {.state = TASK_CANCELING, .end_as = TASK_TIMEOUT, .epoch = 3, .owner = ME};
  (void)happens(&timed_out, &(struct task_event){.kind = TASK_EV_FAIL, .analyse = 1, .asked = 1});
  assert_string_equal(task_shown(&timed_out), "RETRY_WAIT");
}

static void test_without_an_analyzer(void **state) {
  (void)state;
  struct task t = {.state = TASK_RUNNING, .epoch = 3, .owner = ME};
  struct task_event ev = {.kind = TASK_EV_OK, .owner = ME, .epoch = 3, .now_us = NOW, .analyse = 1};
  (void)task_apply(&t, &ev, &task_policy_default);
  assert_int_equal(t.state, TASK_SUCCESS);
}

/* ---- verdicts ---- */

static struct task after(enum task_said said, uint32_t tries, int64_t after_us, unsigned *out) {
  struct task t = in(TASK_RUNNING, TASK_FAILED);
  t.tries = tries;
  *out = happens(&t, &(struct task_event){.kind = TASK_EV_OK, .said = (uint8_t)said, .after_us = after_us});
  return t;
}

static void test_verdicts(void **state) {
  (void)state;
  unsigned out;
  struct task t = after(SAID_DONE, 0, 0, &out);
  assert_int_equal(t.state, TASK_SUCCESS); /* whatever the attempt itself said */
  assert_int_equal(t.tries, 0);
  t = after(SAID_FAILED, 0, 0, &out);
  assert_int_equal(t.state, TASK_RETRY_WAIT);
  assert_int_equal(t.phase, PHASE_RUN);
  assert_int_equal(t.tries, 1);
  assert_int_equal(t.due_us, NOW + pol.backoff_base_us);
  assert_int_equal(t.again, 0);
  t = after(SAID_FAILED, 1, 0, &out);
  assert_int_equal(t.state, TASK_FAILED);
  t = after(SAID_RETRY, 0, 555, &out);
  assert_int_equal(t.due_us, NOW + 555);
  assert_int_equal(t.tries, 1);
  t = after(SAID_RETRY, 0, INT64_MAX, &out);
  assert_int_equal(t.due_us, NOW + LIMIT_AGAIN_US);
  t = after(SAID_RETRY, 1, 555, &out); /* it uses one of `attempts` */
  assert_int_equal(t.state, TASK_FAILED);
}

/* Calls that fail are made again without another try of the task; the last one ends it. */
static void test_calls(void **state) {
  (void)state;
  struct task t = in(TASK_RUNNING, TASK_SUCCESS);
  t.again = 0;
  for (int i = 1; i < CALLS; i++) {
    (void)happens(&t, &(struct task_event){.kind = TASK_EV_FAIL});
    assert_int_equal(t.again, i);
    assert_int_equal(t.due_us, NOW + 10 * i);
    t.due_us = NOW;
    (void)happens(&t, &(struct task_event){.kind = TASK_EV_DUE});
    (void)happens(&t, &(struct task_event){.kind = TASK_EV_CLAIM});
    (void)happens(&t, &(struct task_event){.kind = TASK_EV_LOST}); /* costs nothing */
    (void)happens(&t, &(struct task_event){.kind = TASK_EV_CLAIM});
    assert_int_equal(t.again, i);
  }
  struct task was = t;
  (void)happens(&t, &(struct task_event){.kind = TASK_EV_FAIL});
  assert_int_equal(t.state, TASK_FAILED);
  assert_int_equal(t.tries + t.losses, 0);
  assert_string_equal(task_error(&t, &was, "Analyzer failed: x."), "Analyzer failed: x.");
  t = in(TASK_RUNNING, TASK_SUCCESS);
  t.again = 0;
  (void)happens(&t, &(struct task_event){.kind = TASK_EV_FAIL, .fatal = 1}); /* 125, an answered 4xx */
  assert_int_equal(t.state, TASK_FAILED);
}

/* Each claim has an epoch of its own, and the number of the attempt stays. */
static void test_epochs(void **state) {
  (void)state;
  struct task t = in(TASK_QUEUED, TASK_SUCCESS);
  uint32_t seen = 0;
  for (int i = 0; i < 300; i++) {
    (void)happens(&t, &(struct task_event){.kind = TASK_EV_CLAIM});
    assert_int_not_equal(t.epoch, seen);
    assert_int_equal(task_attempt_of(t.epoch), 4);
    assert_true(t.epoch > 4 && t.epoch <= TASK_EPOCH_MAX);
    seen = t.epoch;
    (void)happens(&t, &(struct task_event){.kind = TASK_EV_LOST});
  }
  (void)happens(&t, &(struct task_event){.kind = TASK_EV_CLAIM});
  (void)happens(&t, &(struct task_event){.kind = TASK_EV_OK, .said = SAID_RETRY});
  (void)happens(&t, &(struct task_event){.kind = TASK_EV_DUE, .now_us = t.due_us});
  t.due_us = NOW;
  (void)happens(&t, &(struct task_event){.kind = TASK_EV_DUE});
  (void)happens(&t, &(struct task_event){.kind = TASK_EV_CLAIM});
  assert_int_equal(t.epoch, 5); /* the next attempt */
}

/* Run after a pause analyses, and does not run the task. */
static void test_pause_and_run(void **state) {
  (void)state;
  struct task t = in(TASK_RUNNING, TASK_SUCCESS);
  enum ask_no no;
  unsigned out = task_ask(&t, &(struct task_wish){.ask = ASK_PAUSE, .now_us = NOW}, &pol, &no);
  assert_int_equal(out, TASK_OUT_CHANGED | TASK_OUT_KILL | TASK_OUT_GIVEN_UP);
  assert_string_equal(task_shown(&t), "PAUSED");
  assert_int_equal(job_class(&t), JOB_NOT_STARTED);
  out = task_ask(&t, &(struct task_wish){.ask = ASK_RUN, .now_us = NOW}, &pol, &no);
  assert_int_equal(out, TASK_OUT_CHANGED | TASK_OUT_REQUEUED);
  assert_string_equal(task_shown(&t), "ANALYZING");
  assert_int_equal(job_class(&t), JOB_ANALYZING);
  assert_false(task_counts(&t));
  assert_int_equal(t.end_as, TASK_SUCCESS);
}

/* ---- WAITING_CHILDREN ---- */

static struct task waiting(bool canceled) {
  struct task t = {.state = TASK_CREATED, .phase = PHASE_CHILDREN, .epoch = 4, .end_as = canceled ? TASK_CANCELED : TASK_NONE};
  t.cancel_requested = canceled;
  task_check(&t);
  return t;
}

static void test_waits_for_children(void **state) {
  (void)state;
  struct task t = in(TASK_RUNNING, TASK_SUCCESS);
  unsigned out = happens(&t, &(struct task_event){.kind = TASK_EV_OK, .said = SAID_DONE, .waits = 1});
  assert_string_equal(task_shown(&t), "WAITING_CHILDREN");
  assert_int_equal(out, TASK_OUT_CHANGED);
  assert_int_equal(t.owner, 0);
  assert_int_equal(job_class(&t), JOB_WAITING);
  assert_false(task_counts(&t));
  for (int k = 0; k < TASK_EV__N; k++) { /* nothing but a cancel and the end of what it added moves it */
    struct task u = t;
    if (k == TASK_EV_CANCEL || k == TASK_EV_REST_CANCEL || k == TASK_EV_CHILDREN) continue;
    out = happens(&u, &(struct task_event){.kind = (enum task_ev)k});
    assert_int_equal(out & ~(unsigned)TASK_OUT_LATE, 0);
    assert_memory_equal(&u, &t, sizeof t);
  }
}

static void test_end_of_a_parent(void **state) {
  (void)state;
  static const struct { bool canceled, bad; const char *end, *error; } v[] = {
    {0, 0, "SUCCESS", ""}, {0, 1, "FAILED", "A task that it added did not succeed."}, {1, 0, "CANCELED", "Canceled."},
    {1, 1, "CANCELED", "Canceled."}};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    struct task t = waiting(v[i].canceled), was = t;
    unsigned out = happens(&t, &(struct task_event){.kind = TASK_EV_CHILDREN, .bad = v[i].bad});
    assert_int_equal(out, TASK_OUT_CHANGED | TASK_OUT_ENDED);
    assert_string_equal(task_shown(&t), v[i].end);
    assert_string_equal(task_error(&t, &was, NULL), v[i].error);
  }
}

static void test_wishes_of_a_parent(void **state) {
  (void)state;
  struct task t = waiting(false);
  enum ask_no no;
  unsigned out = task_ask(&t, &(struct task_wish){.ask = ASK_CANCEL, .now_us = NOW}, &pol, &no);
  assert_int_equal(no, ASK_OK);
  assert_int_equal(out, TASK_OUT_CHANGED | TASK_OUT_BELOW);
  assert_string_equal(task_shown(&t), "CANCELING");
  assert_int_equal(job_class(&t), JOB_BUSY);
  assert_false(out & TASK_OUT_ENDED); /* CANCELED comes with the last of them */
  (void)task_ask(&t, &(struct task_wish){.ask = ASK_CANCEL, .now_us = NOW}, &pol, &no);
  assert_int_equal(no, ASK_SAME);
  (void)task_ask(&t, &(struct task_wish){.ask = ASK_RUN, .now_us = NOW}, &pol, &no);
  assert_int_equal(no, ASK_BUSY);
  t = waiting(false);
  out = task_ask(&t, &(struct task_wish){.ask = ASK_DELETE, .now_us = NOW, .below = 1}, &pol, &no);
  assert_int_equal(out, TASK_OUT_CHANGED | TASK_OUT_BELOW);
  assert_string_equal(task_shown(&t), "DELETING");
  out = task_ask(&t, &(struct task_wish){.ask = ASK_DELETE, .now_us = NOW, .below = 1, .force = 1}, &pol, &no);
  assert_int_equal(out, TASK_OUT_BELOW); /* forced or not: what it added goes first */
  assert_int_equal(no, ASK_SAME);
  assert_true(task_apply(&t, &(struct task_event){.kind = TASK_EV_CHILDREN, .now_us = NOW}, &pol) & TASK_OUT_GONE);
  struct task ended = {.state = TASK_SUCCESS, .epoch = 4};
  out = task_ask(&ended, &(struct task_wish){.ask = ASK_DELETE, .now_us = NOW, .below = 1}, &pol, &no);
  assert_string_equal(task_shown(&ended), "DELETING");
  assert_int_equal(ended.state, TASK_CREATED);
  task_check(&ended);
}

static void test_texts(void **state) {
  (void)state;
  struct task run = {.state = TASK_RUNNING, .epoch = 3, .owner = ME}, ok = in(TASK_QUEUED, TASK_SUCCESS), bad = in(TASK_QUEUED, TASK_FAILED);
  assert_string_equal(task_error(&ok, &run, NULL), ""); /* the error of a former try */
  assert_string_equal(task_error(&bad, &run, "exit code 3"), "exit code 3");
  struct task waits = in(TASK_RETRY_WAIT, TASK_FAILED), calls = in(TASK_RUNNING, TASK_FAILED), end = {.state = TASK_SUCCESS, .epoch = 4};
  struct task again = in(TASK_QUEUED, TASK_FAILED);
  assert_string_equal(task_error(&waits, &calls, "Analyzer failed: x."), "Analyzer failed: x.");
  assert_null(task_error(&again, &calls, "Lost with its node.")); /* it cost nothing, and says nothing */
  assert_string_equal(task_error(&end, &calls, NULL), "");
  end.state = TASK_CANCELED;
  assert_string_equal(task_error(&end, &calls, NULL), "Canceled.");
  assert_string_equal(said_name(SAID_DONE), "done");
  assert_string_equal(said_name(SAID_FAILED), "failed");
  assert_string_equal(said_name(SAID_RETRY), "retry");
  assert_null(said_name(SAID_NOTHING));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_table), cmocka_unit_test(test_which_ends), cmocka_unit_test(test_without_an_analyzer),
    cmocka_unit_test(test_verdicts), cmocka_unit_test(test_calls), cmocka_unit_test(test_epochs),
    cmocka_unit_test(test_pause_and_run), cmocka_unit_test(test_waits_for_children),
    cmocka_unit_test(test_end_of_a_parent), cmocka_unit_test(test_wishes_of_a_parent), cmocka_unit_test(test_texts)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
