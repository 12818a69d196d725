/* Every cell of state x event, against the table of docs/explanation/protocol.md written down once more by hand. */
#include "unit.h"
#include <string.h>
#include "clock.h"
#include "task.h"

/* Columns: CREATED BLOCKED QUEUED RUNNING RETRY_WAIT PAUSING PAUSED CANCELING(as CANCELED) final(SUCCESS) final(CANCELED).
 * "-": nothing; "log": late report; "409": refused; "kill": stays, owner told; else the new state. */
static const struct { enum task_ev ev; const char *cell[10]; } want[] = {
  {TASK_EV_CLAIM,         {"-", "-", "RUNNING", "-", "-", "-", "-", "-", "-", "-"}},
  {TASK_EV_OK,            {"log", "log", "log", "SUCCESS", "log", "SUCCESS", "log", "SUCCESS", "log", "log"}},
  {TASK_EV_FAIL,          {"log", "log", "log", "FAILED", "log", "FAILED", "log", "CANCELED", "log", "log"}},
  {TASK_EV_LOST,          {"log", "log", "log", "QUEUED", "log", "PAUSED", "log", "CANCELED", "log", "log"}},
  {TASK_EV_HANDBACK,      {"log", "log", "log", "QUEUED", "log", "PAUSED", "log", "CANCELED", "log", "log"}},
  {TASK_EV_NOT_NOW,       {"log", "log", "log", "RETRY_WAIT", "log", "PAUSED", "log", "CANCELED", "log", "log"}},
  {TASK_EV_TIMEOUT,       {"log", "log", "log", "CANCELING", "log", "CANCELING", "log", "-", "log", "log"}},
  {TASK_EV_QUEUE_TIMEOUT, {"-", "-", "TIMEOUT", "-", "-", "-", "-", "-", "-", "-"}},
  {TASK_EV_DUE,           {"-", "QUEUED", "-", "-", "QUEUED", "-", "-", "-", "-", "-"}},
  {TASK_EV_CANCEL,        {"CANCELED", "CANCELED", "CANCELED", "CANCELING", "CANCELED", "CANCELING", "CANCELED", "kill", "409", "-"}},
  {TASK_EV_REST_CANCEL,   {"CANCELED", "CANCELED", "CANCELED", "CANCELING", "CANCELED", "CANCELING", "CANCELED", "-", "-", "-"}},
  {TASK_EV_REST_RUN_ON,   {"-", "-", "-", "-", "FAILED", "-", "-", "-", "-", "-"}},
  {TASK_EV_HOLD,          {"-", "-", "BLOCKED", "-", "BLOCKED", "-", "-", "-", "-", "-"}},
  {TASK_EV_CHECKPOINT,    {"-", "-", "BLOCKED", "PAUSING", "BLOCKED", "-", "-", "-", "-", "-"}},
  {TASK_EV_TAKE_UP,       {"-", "-", "QUEUED", "-", "-", "-", "-", "-", "-", "-"}},
  {TASK_EV_CHILDREN,      {"-", "-", "-", "-", "-", "-", "-", "-", "-", "-"}},
};
static const enum task_state column[10] = {TASK_CREATED, TASK_BLOCKED, TASK_QUEUED, TASK_RUNNING, TASK_RETRY_WAIT, TASK_PAUSING,
                                           TASK_PAUSED, TASK_CANCELING, TASK_SUCCESS, TASK_CANCELED};

static struct task in_state(enum task_state s) {
  struct task t = {.state = s, .epoch = 3};
  if (s == TASK_RUNNING || s == TASK_PAUSING || s == TASK_CANCELING) t.owner = 9;
  if (s == TASK_CANCELING) t.end_as = TASK_CANCELED;
  if (s == TASK_RETRY_WAIT || s == TASK_BLOCKED) t.due_us = 50;
  return t;
}

static struct task_event event_for(enum task_ev k, const struct task *t) {
  return (struct task_event){.kind = k, .now_us = 1000, .owner = k == TASK_EV_CLAIM ? 11 : t->owner, .epoch = t->epoch,
                             .may_retry = 1, .may_requeue = 1, .rnd = 7};
}

static void check_cell(enum task_ev k, enum task_state s, const char *cell) {
  struct task t = in_state(s), was = t;
  struct task_event ev = event_for(k, &t);
  if (t.owner == 0 && k != TASK_EV_CLAIM) ev.owner = 9; /* a report of an attempt that is no longer the current one */
  unsigned out = task_apply(&t, &ev, &task_policy_default);
  task_check(&t);
  if (strcmp(cell, "-") == 0) { assert_int_equal(out, 0); assert_memory_equal(&t, &was, sizeof t); }
  else if (strcmp(cell, "log") == 0) { assert_int_equal(out, TASK_OUT_LATE); assert_memory_equal(&t, &was, sizeof t); }
  else if (strcmp(cell, "409") == 0) { assert_int_equal(out, TASK_OUT_REFUSED); assert_memory_equal(&t, &was, sizeof t); }
  else if (strcmp(cell, "kill") == 0) { assert_true(out & TASK_OUT_KILL); assert_int_equal(t.state, s); }
  else {
    assert_string_equal(task_state_name(t.state), cell);
    assert_true(out & TASK_OUT_CHANGED);
    assert_int_equal(!!(out & TASK_OUT_ENDED), task_final(t.state));
    assert_int_equal(!!(out & TASK_OUT_REQUEUED), t.state == TASK_QUEUED);
    assert_int_equal(t.epoch, was.epoch + (k == TASK_EV_CLAIM));
  }
}

static void test_table(void **state) {
  (void)state;
  assert_int_equal(sizeof want / sizeof *want, TASK_EV__N);
  for (size_t i = 0; i < sizeof want / sizeof *want; i++)
    for (size_t c = 0; c < 10; c++) check_cell(want[i].ev, column[c], want[i].cell[c]);
}

static void test_reports_are_fenced(void **state) {
  (void)state;
  static const enum task_ev reports[] = {TASK_EV_OK, TASK_EV_FAIL, TASK_EV_LOST, TASK_EV_HANDBACK, TASK_EV_NOT_NOW,
                                          TASK_EV_TIMEOUT};
  for (size_t i = 0; i < sizeof reports / sizeof *reports; i++)
    for (int wrong = 0; wrong < 2; wrong++) {
      struct task t = in_state(TASK_RUNNING), was = t;
      struct task_event ev = event_for(reports[i], &t);
      if (wrong == 0) ev.epoch--; else ev.owner++;
      assert_int_equal(task_apply(&t, &ev, &task_policy_default), TASK_OUT_LATE);
      assert_memory_equal(&t, &was, sizeof t);
    }
}

static void test_attempts(void **state) {
  (void)state;
  struct task_policy p = task_policy_default;
  for (p.attempts = 1; p.attempts <= 5; p.attempts++) {
    struct task t = in_state(TASK_QUEUED);
    uint32_t ran = 0;
    while (!task_final(t.state)) {
      struct task_event ev = event_for(t.state == TASK_QUEUED ? TASK_EV_CLAIM : t.state == TASK_RUNNING ? TASK_EV_FAIL : TASK_EV_DUE, &t);
      if (ev.kind == TASK_EV_DUE) {
        ev.now_us = t.due_us - 1; /* too soon */
        assert_int_equal(task_apply(&t, &ev, &p), 0);
        ev.now_us = t.due_us;
      }
      ran += ev.kind == TASK_EV_CLAIM;
      (void)task_apply(&t, &ev, &p);
      task_check(&t);
    }
    assert_int_equal(ran, p.attempts);
    assert_int_equal(t.tries, p.attempts);
    assert_int_equal(t.state, TASK_FAILED);
  }
}

static void test_fatal_and_decided_are_not_retried(void **state) {
  (void)state;
  struct task_policy p = task_policy_default;
  p.attempts = 9;
  for (int fatal = 0; fatal < 2; fatal++) {
    struct task t = in_state(TASK_RUNNING);
    struct task_event ev = event_for(TASK_EV_FAIL, &t);
    if (fatal) ev.fatal = 1; else ev.may_retry = 0;
    assert_true(task_apply(&t, &ev, &p) & TASK_OUT_ENDED);
    assert_int_equal(t.state, TASK_FAILED);
  }
}

static void test_losses(void **state) {
  (void)state;
  struct task t = in_state(TASK_QUEUED);
  for (int i = 1; i <= 3; i++) {
    struct task_event claim = event_for(TASK_EV_CLAIM, &t);
    (void)task_apply(&t, &claim, &task_policy_default);
    struct task_event lost = event_for(TASK_EV_LOST, &t);
    unsigned out = task_apply(&t, &lost, &task_policy_default);
    assert_int_equal(t.state, i < 3 ? TASK_QUEUED : TASK_DEAD);
    assert_int_equal(!!(out & TASK_OUT_ATTEMPT_ENDED), i < 3);
    assert_int_equal(t.tries, 0); /* a loss is not a try */
  }
  struct task_policy fail = task_policy_default;
  fail.on_lost = ON_LOST_FAIL;
  t = in_state(TASK_RUNNING);
  struct task_event lost = event_for(TASK_EV_LOST, &t);
  (void)task_apply(&t, &lost, &fail);
  assert_int_equal(t.state, TASK_FAILED);
}

static void test_timeout_then_end(void **state) {
  (void)state;
  struct task_policy p = task_policy_default;
  for (p.attempts = 1; p.attempts <= 2; p.attempts++) {
    struct task t = in_state(TASK_RUNNING);
    struct task_event ev = event_for(TASK_EV_TIMEOUT, &t);
    assert_true(task_apply(&t, &ev, &p) & TASK_OUT_KILL);
    assert_int_equal(t.state, TASK_CANCELING);
    ev = event_for(TASK_EV_FAIL, &t);
    (void)task_apply(&t, &ev, &p);
    assert_int_equal(t.state, p.attempts == 1 ? TASK_TIMEOUT : TASK_RETRY_WAIT);
    task_check(&t);
  }
  struct task t = in_state(TASK_RUNNING); /* a user's cancel on top: CANCELED */
  struct task_event ev = event_for(TASK_EV_TIMEOUT, &t);
  (void)task_apply(&t, &ev, &p);
  ev = event_for(TASK_EV_CANCEL, &t);
  (void)task_apply(&t, &ev, &p);
  ev = event_for(TASK_EV_FAIL, &t);
  (void)task_apply(&t, &ev, &p);
  assert_int_equal(t.state, TASK_CANCELED);
}

/* After the node was decided, a time-out that is under way stays one; a user's cancel replaces it. */
static void test_first_wish_of_canceling(void **state) {
  (void)state;
  static const struct { enum task_ev then; enum task_state end; bool told; } v[] = {
    {TASK_EV_REST_CANCEL, TASK_TIMEOUT, false}, {TASK_EV_REST_RUN_ON, TASK_TIMEOUT, false}, {TASK_EV_CANCEL, TASK_CANCELED, true}};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    struct task t = in_state(TASK_RUNNING);
    struct task_event ev = event_for(TASK_EV_TIMEOUT, &t);
    (void)task_apply(&t, &ev, &task_policy_default);
    ev = event_for(v[i].then, &t);
    assert_int_equal(task_apply(&t, &ev, &task_policy_default) != 0, v[i].told);
    assert_int_equal(t.end_as, v[i].end);
    task_check(&t);
    ev = event_for(TASK_EV_FAIL, &t);
    ev.may_retry = 0;
    (void)task_apply(&t, &ev, &task_policy_default);
    assert_int_equal(t.state, v[i].end);
    assert_int_equal(t.cancel_requested, v[i].told);
  }
}

/* Nothing new may start: a retry whose time has come does not, and a time-out in the queue counts all the same. */
static void test_no_retry_after_the_stop(void **state) {
  (void)state;
  struct task t = in_state(TASK_RETRY_WAIT), was = t;
  struct task_event ev = event_for(TASK_EV_DUE, &t);
  ev.may_retry = 0;
  assert_int_equal(task_apply(&t, &ev, &task_policy_default), 0);
  assert_memory_equal(&t, &was, sizeof t);
  t = in_state(TASK_QUEUED);
  t.due_us = 50;
  (void)task_apply(&t, &ev, &task_policy_default);
  assert_int_equal(t.state, TASK_TIMEOUT);
}

static void test_texts(void **state) {
  (void)state;
  struct task t = in_state(TASK_QUEUED);
  t.due_us = 50;
  struct task was = t;
  struct task_event ev = event_for(TASK_EV_DUE, &t);
  (void)task_apply(&t, &ev, &task_policy_default);
  assert_string_equal(task_error(&t, &was, NULL), "Timed out in the queue."); /* also when it ran before */
  t = in_state(TASK_CANCELING);
  t.end_as = TASK_TIMEOUT;
  ev = event_for(TASK_EV_FAIL, &t);
  (void)task_apply(&t, &ev, &task_policy_default);
  was = in_state(TASK_CANCELING);
  was.end_as = TASK_TIMEOUT;
  assert_string_equal(task_error(&t, &was, "Killed."), "Timed out.");
  t.state = TASK_RETRY_WAIT;
  assert_string_equal(task_error(&t, &was, NULL), "Timed out."); /* it may end there, when another task decides the node */
  t.state = TASK_BLOCKED;
  assert_string_equal(task_error(&t, &was, NULL), "Timed out."); /* the same, held by a paused flow */
  was = in_state(TASK_RUNNING);
  t.state = TASK_FAILED;
  assert_string_equal(task_error(&t, &was, "boom"), "boom");
  assert_null(task_error(&t, &was, NULL));
  t.state = TASK_SUCCESS;
  assert_string_equal(task_error(&t, &was, "boom"), "");
}

/* "All is well" after our own TERM is no result: the task ends as it was told to, a timeout is tried again. */
static void test_ok_that_was_asked_for(void **state) {
  (void)state;
  struct task_policy p = task_policy_default;
  p.attempts = 2;
  for (int i = 0; i < 2; i++) {
    struct task t = in_state(TASK_CANCELING);
    struct task_event ev = event_for(TASK_EV_OK, &t);
    ev.asked = 1;
    t.tries = (uint32_t)i;
    t.end_as = TASK_TIMEOUT;
    (void)task_apply(&t, &ev, &p);
    task_check(&t);
    assert_int_equal(t.state, i == 0 ? TASK_RETRY_WAIT : TASK_TIMEOUT);
    t = in_state(TASK_CANCELING);
    assert_true(task_apply(&t, &ev, &p) & TASK_OUT_ENDED);
    assert_int_equal(t.state, TASK_CANCELED);
    t = in_state(TASK_CANCELING);
    ev.asked = 0;
    (void)task_apply(&t, &ev, &p);
    assert_int_equal(t.state, TASK_SUCCESS);
  }
}

/* What a pause of the flow stops, its resume takes up; what a user paused, it does not. */
static void test_pause_of_the_flow(void **state) {
  (void)state;
  static const struct { enum task_state from; enum task_ev pause; const char *paused, *resumed; int64_t due_us; } v[] = {
    {TASK_QUEUED, TASK_EV_HOLD, "BLOCKED", "QUEUED", 0}, {TASK_RETRY_WAIT, TASK_EV_HOLD, "BLOCKED", "RETRY_WAIT", 50},
    {TASK_RUNNING, TASK_EV_CHECKPOINT, "PAUSING", "PAUSING", 0}, {TASK_QUEUED, TASK_EV_CHECKPOINT, "BLOCKED", "QUEUED", 0},
    {TASK_BLOCKED, TASK_EV_HOLD, "BLOCKED", "BLOCKED", 50}, {TASK_PAUSED, TASK_EV_CHECKPOINT, "PAUSED", "PAUSED", 0},
    {TASK_PAUSING, TASK_EV_CHECKPOINT, "PAUSING", "PAUSING", 0}};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    struct task t = in_state(v[i].from);
    struct task_event ev = event_for(v[i].pause, &t);
    if (v[i].from == TASK_QUEUED) t.due_us = 70; /* its queue timeout stops, and begins anew */
    (void)task_apply(&t, &ev, &task_policy_default);
    task_check(&t);
    assert_string_equal(task_state_name(t.state), v[i].paused);
    assert_int_equal(t.due_us, v[i].due_us);
    ev = event_for(TASK_EV_TAKE_UP, &t);
    (void)task_apply(&t, &ev, &task_policy_default);
    task_check(&t);
    assert_string_equal(task_state_name(t.state), v[i].resumed);
    assert_int_equal(t.due_us, v[i].due_us);
    if (t.state != TASK_PAUSING) continue;
    ev = event_for(TASK_EV_FAIL, &t); /* stopped at last: what the flow stopped is queued, what a user paused is PAUSED */
    ev.asked = 1;
    (void)task_apply(&t, &ev, &task_policy_default);
    assert_string_equal(task_state_name(t.state), v[i].from == TASK_RUNNING ? "QUEUED" : "PAUSED");
  }
}

/* The time of a retry goes on while its flow is paused, and no retry follows once the node is decided. */
static void test_a_retry_that_is_held(void **state) {
  (void)state;
  struct task t = in_state(TASK_RETRY_WAIT);
  struct task_event ev = event_for(TASK_EV_HOLD, &t);
  (void)task_apply(&t, &ev, &task_policy_default);
  struct task rest = t;
  ev = event_for(TASK_EV_DUE, &t);
  ev.now_us = 49;
  assert_int_equal(task_apply(&t, &ev, &task_policy_default), 0);
  ev.now_us = 50;
  assert_int_equal(task_apply(&t, &ev, &task_policy_default), TASK_OUT_CHANGED);
  task_check(&t);
  assert_int_equal(t.state, TASK_BLOCKED);
  assert_int_equal(task_apply(&t, &ev, &task_policy_default), 0);
  ev = event_for(TASK_EV_TAKE_UP, &t);
  (void)task_apply(&t, &ev, &task_policy_default);
  assert_int_equal(t.state, TASK_QUEUED);
  ev = event_for(TASK_EV_REST_RUN_ON, &rest);
  (void)task_apply(&rest, &ev, &task_policy_default);
  assert_int_equal(rest.state, TASK_FAILED);
  task_check(&rest);
}

static void test_queue_timeout(void **state) {
  (void)state;
  struct task_policy p = task_policy_default;
  p.queue_timeout_us = 500;
  struct task t = {0};
  task_queue(&t, &p, 1000);
  assert_int_equal(t.due_us, 1500);
  struct task_event ev = event_for(TASK_EV_DUE, &t);
  ev.now_us = 1499; /* an early ring changes nothing */
  assert_int_equal(task_apply(&t, &ev, &p), 0);
  struct task claimed = t;
  struct task_event claim = event_for(TASK_EV_CLAIM, &claimed);
  (void)task_apply(&claimed, &claim, &p);
  task_check(&claimed);
  assert_int_equal(claimed.due_us, 0); /* the clock runs only in the queue */
  ev.now_us = 1500;
  assert_true(task_apply(&t, &ev, &p) & TASK_OUT_ENDED);
  assert_int_equal(t.state, TASK_TIMEOUT);
  task_check(&t);
}

static void test_backoff_bounds(void **state) {
  (void)state;
  uint64_t seed = 1;
  for (int i = 0; i < 20000; i++) {
    struct task_policy p = {.backoff_base_us = (int64_t)(rand_next(&seed) % 1000000), .backoff_factor = 1 + (double)(rand_next(&seed) % 30) / 10,
                            .backoff_cap_us = (int64_t)(rand_next(&seed) % 10000000), .jitter = (enum jitter)(rand_next(&seed) % 3)};
    uint32_t n = 1 + (uint32_t)(rand_next(&seed) % 120);
    double full = (double)p.backoff_base_us;
    for (uint32_t k = 1; k < n && full < 1e18; k++) full *= p.backoff_factor;
    if (full > (double)p.backoff_cap_us) full = (double)p.backoff_cap_us;
    int64_t d = task_backoff(&p, n, rand_next(&seed));
    assert_true(d >= 0 && (double)d <= full);
    if (p.jitter == JITTER_NONE) assert_int_equal(d, (int64_t)full);
    if (p.jitter == JITTER_EQUAL) assert_true(d >= (int64_t)full / 2);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_table), cmocka_unit_test(test_reports_are_fenced), cmocka_unit_test(test_attempts),
    cmocka_unit_test(test_fatal_and_decided_are_not_retried), cmocka_unit_test(test_losses), cmocka_unit_test(test_timeout_then_end), cmocka_unit_test(test_ok_that_was_asked_for), cmocka_unit_test(test_queue_timeout),
    cmocka_unit_test(test_first_wish_of_canceling), cmocka_unit_test(test_no_retry_after_the_stop), cmocka_unit_test(test_texts),
    cmocka_unit_test(test_pause_of_the_flow), cmocka_unit_test(test_a_retry_that_is_held), cmocka_unit_test(test_backoff_bounds)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
