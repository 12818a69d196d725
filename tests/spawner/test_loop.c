/* The worker's loop without processes: WAIT, ECHO, EXCEPTION, cancels, floods, drain. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "harness.h"
#include "wr_limits.h"

static void test_echo(void **st) {
  (void)st;
  struct attempt *a = h_run("ECHO", "hello", NULL);
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_int_equal(a->result_len, 5);
  assert_string_equal(a->result, "hello");
  assert_int_equal(a->log, LOG_IS_RESULT);
  assert_int_equal(a->log_bytes, 5);
  assert_int_equal(a->exit_code, -1);
  assert_int_equal(h_log(a->ti)->len, 0);
  attempt_free(a);
  a = h_run("ECHO", NULL, NULL);
  assert_string_equal(a->result, "");
  assert_int_equal(a->result_len, 0);
  attempt_free(a);
}

static void test_exception(void **st) {
  (void)st;
  struct attempt *a = h_run("EXCEPTION", "out of paper", NULL);
  assert_int_equal(a->end, ATTEMPT_FAIL);
  assert_string_equal(a->error, "out of paper");
  assert_null(a->result);
  assert_int_equal(a->log, LOG_NONE);
  attempt_free(a);
  a = h_run("EXCEPTION", NULL, NULL);
  assert_string_equal(a->error, "Internal Exception.");
  attempt_free(a);
}

/* A long error is cut with a mark, between two characters. */
static void test_long_error(void **st) {
  (void)st;
  for (size_t shift = 0; shift < 3; shift++) {
    char text[3000];
    memset(text, 'x', shift);
    for (size_t i = shift; i + 3 < sizeof text; i += 3) memcpy(text + i, "\xE2\x82\xAC", 4);
    struct attempt *a = h_run("EXCEPTION", text, NULL);
    size_t n = strlen(a->error);
    assert_in_range(n, LIMIT_ERROR_BYTES - 4, LIMIT_ERROR_BYTES);
    assert_string_equal(a->error + n - 3, "...");
    assert_int_equal((n - 3 - shift) % 3, 0);
    attempt_free(a);
  }
}

static void test_unknown_type(void **st) {
  (void)st;
  struct attempt *a = h_run("NOPE", NULL, NULL);
  assert_int_equal(a->end, ATTEMPT_FATAL);
  assert_string_equal(a->error, "There is no task type \"NOPE\" here.");
  attempt_free(a);
}

/* Never early: a logical claim about two readings of one clock, not about speed. */
static void test_wait_not_early(void **st) {
  (void)st;
  static const char *const text[] = {"0", "1e-6", "0.001", "1ms", "0.0333333", "50ms"};
  static const int64_t us[] = {0, 1, 1000, 1000, 33333, 50000};
  for (size_t i = 0; i < sizeof us / sizeof *us; i++) {
    int64_t t = clock_mono_us();
    struct attempt *a = h_run("WAIT", text[i], NULL);
    assert_true(clock_mono_us() - t >= us[i]);
    assert_int_equal(a->end, ATTEMPT_OK);
    assert_null(a->result);
    attempt_free(a);
  }
}

static void test_wait_bad(void **st) {
  (void)st;
  struct attempt *a = h_run("WAIT", "soon", NULL);
  assert_int_equal(a->end, ATTEMPT_FATAL);
  attempt_free(a);
}

static void test_wait_cancel(void **st) {
  (void)st;
  struct attempt *a = h_attempt("WAIT", NULL, NULL); /* ten seconds */
  int64_t ti = a->ti;
  worker_start(H.w, a);
  worker_cancel(H.w, ti, 1);
  worker_cancel(H.w, ti, 1);
  a = h_await(ti);
  assert_int_equal(a->end, ATTEMPT_FAIL);
  attempt_free(a);
}

/* Ten thousand attempts that wait are not ten thousand times 64 KiB; what looks at them keeps them to its end. */
static void test_no_params_held(void **st) {
  (void)st;
  static const char *const type[] = {"WAIT", "SHELL"};
  for (size_t i = 0; i < sizeof type / sizeof *type; i++) {
    struct attempt *a = h_attempt(type[i], i == 0 ? "0" : "true", NULL);
    int64_t ti = a->ti;
    a->params = params_new("{\"a\":\"x\"}");
    worker_start(H.w, a);
    a = h_await(ti);
    assert_true((a->params != NULL) == (i == 1));
    attempt_free(a);
  }
}

static void test_wait_timeout(void **st) {
  (void)st;
  size_t before = h_timeouts();
  struct attempt *a = h_attempt("WAIT", "1d", NULL);
  a->timeout_us = 10000;
  int64_t ti = a->ti, t = clock_mono_us();
  worker_start(H.w, a);
  attempt_free(h_await(ti));
  assert_true(clock_mono_us() - t >= 10000);
  assert_int_equal(h_timeouts() - before, 1);
}

static struct attempt *many(const char *type, const char *content, int n) {
  struct attempt *list = NULL;
  for (int i = 0; i < n; i++) {
    struct attempt *a = h_attempt(type, content, NULL);
    a->next = list;
    list = a;
  }
  return list;
}

static void await_all(int64_t last, int n, enum attempt_end end) {
  for (int i = 0; i < n; i++) {
    struct attempt *a = h_await(last - i);
    assert_int_equal(a->end, end);
    attempt_free(a);
  }
}

static void test_ten_thousand_waits(void **st) {
  (void)st;
  struct attempt *list = many("WAIT", "0.05", 10000);
  int64_t last = list->ti, t = clock_mono_us();
  worker_start(H.w, list);
  await_all(last, 10000, ATTEMPT_OK);
  assert_true(clock_mono_us() - t >= 50000);
}

static void test_echo_flood(void **st) {
  (void)st;
  struct attempt *list = many("ECHO", "x", 20000);
  int64_t last = list->ti;
  worker_start(H.w, list);
  await_all(last, 20000, ATTEMPT_OK);
}

static void expect_epoch(int64_t ti, uint32_t epoch, enum attempt_end end) {
  struct attempt *a = h_await(ti);
  assert_int_equal(a->epoch, epoch);
  assert_int_equal(a->end, end);
  attempt_free(a);
}

/* The same instance again while its former attempt has not ended: it waits for that, and a cancel, too long a wait or a lost
 * lease send it back; never is that a loss. */
static void test_twice(void **st) {
  (void)st;
  struct attempt *a[5];
  for (uint32_t i = 0; i < 5; i++) {
    a[i] = h_attempt("WAIT", i == 0 ? "1h" : "0", NULL);
    a[i]->ti = a[0]->ti;
    a[i]->epoch = i + 1;
  }
  int64_t ti = a[0]->ti;
  worker_start(H.w, a[0]);
  worker_start(H.w, a[1]);
  worker_cancel(H.w, ti, 2);
  expect_epoch(ti, 2, ATTEMPT_HANDBACK);
  worker_start(H.w, a[2]);
  expect_epoch(ti, 3, ATTEMPT_HANDBACK); /* waited long enough */
  worker_start(H.w, a[3]);
  worker_cancel(H.w, ti, 1);
  struct attempt *one = h_await(ti), *other = h_await(ti); /* in whatever order */
  if (one->epoch == 4) { struct attempt *t = one; one = other; other = t; }
  assert_int_equal(one->epoch, 1);
  assert_int_equal(one->end, ATTEMPT_FAIL);
  assert_int_equal(other->epoch, 4);
  assert_int_equal(other->end, ATTEMPT_OK);
  attempt_free(one);
  attempt_free(other);
  worker_start(H.w, a[4]);
  expect_epoch(ti, 5, ATTEMPT_OK);
}

/* SHELL needs leave and a spawner; everything else works without. */
static void test_no_shell(void **st) {
  (void)st;
  for (int shell = 0; shell < 2; shell++) {
    struct worker *w = h_second(shell);
    struct attempt *a = h_attempt("SHELL", "true", NULL), *b = h_attempt("ECHO", "x", NULL);
    int64_t ti = a->ti;
    a->next = b;
    worker_start(w, a);
    a = h_await(ti);
    assert_int_equal(a->end, ATTEMPT_FATAL);
    assert_string_equal(a->error, "SHELL is off on this node.");
    attempt_free(a);
    b = h_await(ti + 1);
    assert_int_equal(b->end, ATTEMPT_OK);
    attempt_free(b);
    worker_close(w);
  }
}

static void test_drain(void **st) {
  (void)st;
  struct attempt *list = many("WAIT", "1d", 5000);
  int64_t last = list->ti;
  worker_start(H.w, list);
  worker_drain(H.w, 10000000);
  await_all(last, 5000, ATTEMPT_HANDBACK);
  list = many("ECHO", "x", 3);
  last = list->ti;
  worker_start(H.w, list);
  await_all(last, 3, ATTEMPT_HANDBACK);
}

int main(void) {
  h_open(NULL);
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_echo), cmocka_unit_test(test_exception), cmocka_unit_test(test_long_error),
    cmocka_unit_test(test_unknown_type), cmocka_unit_test(test_wait_not_early), cmocka_unit_test(test_wait_bad),
    cmocka_unit_test(test_wait_cancel), cmocka_unit_test(test_no_params_held), cmocka_unit_test(test_wait_timeout), cmocka_unit_test(test_ten_thousand_waits),
    cmocka_unit_test(test_echo_flood), cmocka_unit_test(test_twice), cmocka_unit_test(test_no_shell), cmocka_unit_test(test_drain)};
  int rc = cmocka_run_group_tests_name("loop", tests, NULL, NULL);
  h_close();
  return rc;
}
