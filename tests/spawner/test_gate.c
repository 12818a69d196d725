/* Attempts beyond the places of a node: they wait at the spawner's gate in order, start without a word from the node, and
 * can be had back as if they had never been. One place; the patience of the gate is set by each test. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "harness.h"

static int said;                 /* what scripts say: a line each to H.dir/said */

/* Says its name, then holds the place until release(). */
static int64_t start_holder(void) {
  struct buf b = BUF_INIT;
  char line[16];
  buf_printf(&b, "echo holds > %s/said; read x < %s/hold; echo lets > %s/said", H.dir, H.dir, H.dir);
  struct attempt *a = h_attempt("SHELL", b.data, NULL);
  int64_t ti = a->ti;
  worker_start(H.w, a);
  buf_done(&b);
  h_line(said, line, sizeof line);
  assert_string_equal(line, "holds");
  return ti;
}

static void release(void) {
  char path[128];
  snprintf(path, sizeof path, "%s/hold", H.dir);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs("go\n", f);
  fclose(f);
}

static struct attempt *sayer(const char *word, const char *more) {
  struct buf b = BUF_INIT;
  buf_printf(&b, "echo %s > %s/said; %s", word, H.dir, more);
  struct attempt *a = h_attempt("SHELL", b.data, NULL);
  buf_done(&b);
  return a;
}

static void says(const char *word) {
  char line[16];
  h_line(said, line, sizeof line);
  assert_string_equal(line, word);
}

static void ends(int64_t ti, enum attempt_end end, bool ran) {
  struct attempt *a = h_await(ti);
  assert_int_equal(a->end, end);
  assert_int_equal(a->run_us > 0, ran);
  attempt_free(a);
}

static void patience(int64_t us) { atomic_store(&H.page->gate_wait_us, us); }

/* Oldest first, none before the place is free. */
static void test_order(void **st) {
  (void)st;
  patience(INT64_MAX / 2);
  int64_t ti = start_holder();
  struct attempt *one = sayer("one", ":"), *two = sayer("two", ":");
  one->next = two;
  worker_start(H.w, one);
  release();
  says("lets");
  says("one");
  says("two");
  for (int i = 0; i < 3; i++) ends(ti + i, ATTEMPT_OK, true);
}

/* Canceled before it started: it never does, and the one behind it does. */
static void test_cancel(void **st) {
  (void)st;
  patience(INT64_MAX / 2);
  int64_t ti = start_holder();
  struct attempt *one = sayer("never", ":"), *two = sayer("two", ":");
  one->next = two;
  worker_start(H.w, one);
  worker_cancel(H.w, ti + 1, 1);
  ends(ti + 1, ATTEMPT_HANDBACK, false);
  release();
  says("lets");
  says("two");
  ends(ti, ATTEMPT_OK, true);
  ends(ti + 2, ATTEMPT_OK, true);
}

/* The run timeout counts from the start of the process, not from the claim. One that is so short may end a shell before it says
 * a word. */
static void test_timeout(void **st) {
  (void)st;
  patience(INT64_MAX / 2);
  size_t before = h_timeouts();
  int64_t ti = start_holder(), t;
  struct attempt *one = h_attempt("SHELL", "exec sleep 1000", NULL);
  one->timeout_us = 30000;
  worker_start(H.w, one);
  attempt_free(h_run("WAIT", "90ms", NULL));
  assert_int_equal(h_timeouts(), before);
  t = clock_mono_us();
  release();
  says("lets");
  ends(ti + 1, ATTEMPT_FAIL, true);
  assert_true(clock_mono_us() - t >= 30000);
  assert_int_equal(h_timeouts(), before + 1);
  ends(ti, ATTEMPT_OK, true);
}

/* One that waits too long goes back unharmed, with no help from outside. */
static void test_handback(void **st) {
  (void)st;
  patience(1000);
  int64_t ti = start_holder();
  worker_start(H.w, sayer("never", ":"));
  ends(ti + 1, ATTEMPT_HANDBACK, false);
  release();
  says("lets");
  ends(ti, ATTEMPT_OK, true);
}

/* Each comes back once, though their reports share packets. */
static void test_many(void **st) {
  (void)st;
  enum { N = 300 };
  patience(INT64_MAX / 2);
  struct attempt *list = NULL;
  for (int i = 0; i < N; i++) {
    struct attempt *a = h_attempt("SHELL", NULL, i % 10 ? "{\"argv\":[\"/bin/true\"]}" : "{\"argv\":[\"/no/such/program\"]}");
    if (i % 7 == 0) a->timeout_us = 3600000000LL;
    a->next = list;
    list = a;
  }
  int64_t first = list->ti - N + 1;
  worker_start(H.w, list);
  for (int i = 0; i < N; i++) ends(first + i, i % 10 ? ATTEMPT_OK : ATTEMPT_FATAL, i % 10);
}

/* Until ti, the newest, has reached the spawner: one that is started and cancelled behind it has come back. */
static void at_the_gate(int64_t ti) {
  worker_start(H.w, sayer("last", ":"));
  worker_cancel(H.w, ti + 1, 1);
  attempt_free(h_await(ti + 1));
}

/* The gate dies with its spawner; the next one keeps the same places. */
static void test_spawner_killed(void **st) {
  (void)st;
  patience(INT64_MAX / 2);
  int64_t ti = start_holder();
  worker_start(H.w, sayer("never", ":"));
  at_the_gate(ti + 1);
  assert_int_equal(kill(h_spawner(getpid()), SIGKILL), 0);
  ends(ti, ATTEMPT_LOST, false);
  ends(ti + 1, ATTEMPT_HANDBACK, false); /* certainly never begun */
  test_order(st);
}

/* The node lost its lease. */
static void test_kill_all(void **st) {
  (void)st;
  patience(INT64_MAX / 2);
  int64_t ti = start_holder();
  worker_start(H.w, sayer("never", ":"));
  worker_kill_all(H.w);
  ends(ti, ATTEMPT_LOST, true);
  ends(ti + 1, ATTEMPT_HANDBACK, false); /* certainly never begun */
}

/* Past the deadline nothing starts, from the gate neither. */
static void test_deadline(void **st) {
  (void)st;
  patience(INT64_MAX / 2);
  int64_t ti = start_holder();
  worker_start(H.w, sayer("never", ":"));
  worker_set_deadline(H.w, clock_boot_us() - 1);
  ends(ti, ATTEMPT_LOST, true);
  ends(ti + 1, ATTEMPT_HANDBACK, false); /* certainly never begun */
  worker_set_deadline(H.w, INT64_MAX);
}

/* Planned stop, last: what waits goes back at once and is not started in the place that the others leave. */
static void test_drain(void **st) {
  (void)st;
  patience(INT64_MAX / 2);
  int64_t ti = start_holder();
  worker_start(H.w, sayer("never", ":"));
  worker_drain(H.w, 1000000);
  ends(ti, ATTEMPT_HANDBACK, true);
  ends(ti + 1, ATTEMPT_HANDBACK, false);
  char b[16];
  assert_true(read(said, b, sizeof b) <= 0); /* nobody said "never" */
}

int main(void) {
  h_open(NULL);
  atomic_store(&H.page->slots, 1);
  said = h_fifo("said");
  close(h_fifo("hold"));
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_order), cmocka_unit_test(test_cancel), cmocka_unit_test(test_timeout), cmocka_unit_test(test_handback),
    cmocka_unit_test(test_many), cmocka_unit_test(test_spawner_killed), cmocka_unit_test(test_kill_all),
    cmocka_unit_test(test_deadline), cmocka_unit_test(test_drain)};
  int rc = cmocka_run_group_tests_name("gate", tests, NULL, NULL);
  close(said);
  h_close();
  return rc;
}
