/* Process trees: whatever a task leaves behind is dead before its result is given; cancel, timeout, deadline, and the death
 * of the spawner. A task's processes hold the writing end of a named pipe: its end-of-file proves that all are dead. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "harness.h"

static int fifo;

/* Descriptor 9 of the script and of all it starts is the pipe. */
static struct attempt *tree(const char *script, const char *config) {
  struct buf b = BUF_INIT;
  buf_printf(&b, "exec 9> %s/tree\n%s", H.dir, script);
  struct attempt *a = h_attempt("SHELL", b.data, config);
  buf_done(&b);
  return a;
}

static int64_t start(const char *script, const char *config) {
  struct attempt *a = tree(script, config);
  int64_t ti = a->ti;
  worker_start(H.w, a);
  return ti;
}

static void run_tree(const char *script, const char *config, enum attempt_end end) {
  struct attempt *a = h_await(start(script, config));
  assert_int_equal(a->end, end);
  assert_true(h_all_dead(fifo));
  attempt_free(a);
}

static void test_background_child(void **st) {
  (void)st;
  run_tree("sleep 1000 &", NULL, ATTEMPT_OK); /* holds stdout open too */
}

static void test_daemon(void **st) {
  (void)st;
  int64_t ti = start("(setsid sh -c 'echo $$ >&9; echo $$ > $WEIR_OUTPUT; exec sleep 1000' &)\n"
                            "while [ ! -s $WEIR_OUTPUT ]; do :; done", NULL);
  struct attempt *a = h_await(ti);
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_true(h_gone(a->result));
  assert_true(h_all_dead(fifo));
  attempt_free(a);
}

/* Daemons of daemons, with signals ignored, output closed, in sessions of their own, that start more as they go. */
static void test_stubborn_daemons(void **st) {
  (void)st;
  run_tree("for i in 1 2 3 4 5; do setsid sh -c \"trap '' TERM HUP INT; setsid sh -c 'while :; do setsid sleep 1000 & sleep 0.01; done' &"
           " exec >&- 2>&-; while :; do setsid sleep 1000 & sleep 0.01; done\" & done; sleep 0.1", NULL, ATTEMPT_OK);
}

static void test_fork_tree(void **st) {
  (void)st;
  run_tree("i=0; while [ $i -lt 200 ]; do setsid sleep 1000 & i=$((i+1)); done", NULL, ATTEMPT_OK);
}

static void test_closed_output(void **st) {
  (void)st;
  struct attempt *a = h_sh("echo before; exec >&- 2>&-; echo after; echo $? > $WEIR_OUTPUT; exit 4");
  assert_int_equal(a->exit_code, 4);
  assert_int_equal(a->log_bytes, 7);
  attempt_free(a);
}

static void test_kill_0(void **st) {
  (void)st;
  struct attempt *a = h_sh("kill -9 0");
  assert_int_equal(a->signal, SIGKILL);
  attempt_free(a);
  a = h_sh("sh -c 'kill 0'; echo not here");
  assert_int_equal(a->signal, SIGTERM);
  attempt_free(a);
  h_expect("true", NULL, ATTEMPT_OK, NULL); /* the spawner and this test are not of that group */
}

/* A running attempt's daemon stays its own: the end of another does not touch it. */
static void test_neighbours(void **st) {
  (void)st;
  char line[32];
  int64_t ti = start("sh -c 'setsid sh -c \"echo ready >&9; exec sleep 1000\" &'; sleep 1000", NULL);
  h_line(fifo, line, sizeof line);
  for (int i = 0; i < 20; i++) h_expect("setsid sleep 1000 &", NULL, ATTEMPT_OK, NULL);
  assert_false(h_all_dead(fifo));
  worker_cancel(H.w, ti, 1);
  struct attempt *a = h_await(ti);
  assert_int_equal(a->signal, SIGTERM);
  assert_true(h_all_dead(fifo));
  attempt_free(a);
}

static void test_cancel_term(void **st) {
  (void)st;
  char line[32];
  int64_t ti = start("trap 'echo bye; exit 5' TERM; echo ready >&9; exec 2>&-; while :; do sleep 0.01; done", NULL);
  h_line(fifo, line, sizeof line);
  worker_cancel(H.w, ti, 2); /* another attempt: nothing */
  worker_cancel(H.w, ti + 1000, 1);
  worker_cancel(H.w, ti, 1);
  struct attempt *a = h_await(ti);
  assert_int_equal(a->exit_code, 5);
  assert_string_equal(h_log(a->ti)->data, "bye\n");
  attempt_free(a);
}

/* Who exits with 0 after our TERM is known by it; who did before it, is not. */
static void test_cancel_polite(void **st) {
  (void)st;
  char line[32];
  int64_t ti = start("trap 'exit 0' TERM; echo ready >&9; while :; do sleep 0.01; done", NULL);
  h_line(fifo, line, sizeof line);
  worker_cancel(H.w, ti, 1);
  struct attempt *a = h_await(ti);
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_true(a->asked);
  attempt_free(a);
  a = h_sh("exit 0");
  assert_false(a->asked);
  attempt_free(a);
}

static void test_cancel_ladder(void **st) {
  (void)st;
  char line[32];
  int64_t ti = start("trap '' TERM; echo ready >&9; while :; do sleep 0.01; done", "{\"grace\":\"100ms\"}");
  h_line(fifo, line, sizeof line);
  worker_cancel(H.w, ti, 1);
  struct attempt *a = h_await(ti);
  assert_int_equal(a->signal, SIGKILL);
  assert_int_equal(a->end, ATTEMPT_FAIL);
  assert_true(h_all_dead(fifo));
  attempt_free(a);
}

static void test_cancel_stopped(void **st) {
  (void)st;
  char line[32];
  int64_t ti = start("echo ready >&9; kill -STOP $$", "{\"grace\":\"1h\"}");
  h_line(fifo, line, sizeof line);
  worker_cancel(H.w, ti, 1);
  struct attempt *a = h_await(ti);
  assert_int_equal(a->signal, SIGTERM);
  attempt_free(a);
}

static void test_run_timeout(void **st) {
  (void)st;
  size_t before = h_timeouts();
  struct attempt *a = tree("sleep 1000", NULL);
  a->timeout_us = 50000;
  int64_t ti = a->ti;
  worker_start(H.w, a);
  a = h_await(ti);
  assert_int_equal(h_timeouts() - before, 1);
  assert_int_equal(a->signal, SIGTERM);
  attempt_free(a);
}

/* The node's lease is over: all die and count as lost, nothing starts; then it is renewed. */
static void test_deadline(void **st) {
  (void)st;
  char line[32];
  int64_t ti = start("trap '' TERM; echo ready >&9; setsid sleep 1000", NULL);
  struct attempt *wait = h_attempt("WAIT", "1h", NULL);
  int64_t wait_ti = wait->ti;
  worker_start(H.w, wait);
  h_line(fifo, line, sizeof line);
  worker_set_deadline(H.w, clock_boot_us() + 20000);
  struct attempt *a = h_await(ti);
  assert_int_equal(a->end, ATTEMPT_LOST);
  assert_string_equal(a->error, "The node's lease is over.");
  assert_null(a->result);
  assert_true(h_all_dead(fifo));
  attempt_free(a);
  wait = h_await(wait_ti);
  assert_int_equal(wait->end, ATTEMPT_LOST);
  attempt_free(wait);
  h_expect("true", NULL, ATTEMPT_HANDBACK, "The node's lease is over."); /* these never began */
  wait = h_run("ECHO", "x", NULL);
  assert_int_equal(wait->end, ATTEMPT_HANDBACK);
  attempt_free(wait);
  worker_set_deadline(H.w, clock_boot_us() + 3600000000LL);
  h_expect("true", NULL, ATTEMPT_OK, NULL);
  worker_set_deadline(H.w, INT64_MAX);
}

static void test_kill_all_attempts(void **st) {
  (void)st;
  char line[32];
  int64_t ti = start("trap '' TERM; echo ready >&9; while :; do sleep 0.01; done", NULL);
  struct attempt *wait = h_attempt("WAIT", "1h", NULL);
  int64_t wait_ti = wait->ti;
  worker_start(H.w, wait);
  h_line(fifo, line, sizeof line);
  worker_kill_all(H.w);
  struct attempt *a = h_await(ti);
  wait = h_await(wait_ti);
  assert_int_equal(a->end, ATTEMPT_LOST);
  assert_int_equal(wait->end, ATTEMPT_LOST);
  assert_true(h_all_dead(fifo));
  attempt_free(a);
  attempt_free(wait);
  h_expect("true", NULL, ATTEMPT_OK, NULL);
}

/* Again and again: each spawner makes its successor. Its daemons must not outlive it either. */
static void test_spawner_killed(void **st) {
  (void)st;
  for (int i = 0; i < 4; i++) {
    char line[32];
    int64_t ti = start("setsid sh -c 'trap \"\" TERM; echo ready >&9; while :; do sleep 1000; done' & wait", NULL);
    h_line(fifo, line, sizeof line);
    pid_t old = h_spawner(getpid());
    assert_true(old > 0 && kill(old, SIGKILL) == 0);
    struct attempt *a = h_await(ti);
    assert_int_equal(a->end, ATTEMPT_LOST);
    assert_string_equal(a->error, "The spawner of this node died.");
    assert_true(h_all_dead(fifo));
    attempt_free(a);
    h_expect("exit 0", NULL, ATTEMPT_OK, NULL);
    assert_int_not_equal(h_spawner(getpid()), old);
  }
}

/* With 50 attempts under way, some not even forked. */
static void test_spawner_killed_busy(void **st) {
  (void)st;
  struct attempt *list = NULL;
  int64_t first = 0;
  for (int i = 0; i < 50; i++) {
    struct attempt *a = tree("sleep 0.02", NULL);
    if (i == 0) first = a->ti;
    a->next = list;
    list = a;
  }
  worker_start(H.w, list);
  attempt_free(h_await(first + 25));
  assert_int_equal(kill(h_spawner(getpid()), SIGKILL), 0);
  int lost = 0;
  for (int i = 0; i < 50; i++) {
    if (i == 25) continue;
    struct attempt *a = h_await(first + i);
    assert_true(a->end == ATTEMPT_OK || a->end == ATTEMPT_LOST || a->end == ATTEMPT_HANDBACK);
    lost += a->end == ATTEMPT_LOST;
    attempt_free(a);
  }
  h_expect("exit 0", NULL, ATTEMPT_OK, NULL);
  assert_true(h_all_dead(fifo));
  assert_in_range(lost, 0, 49);
}

/* Last: nothing starts afterwards. */
static void test_drain(void **st) {
  (void)st;
  char line[32];
  int64_t deaf = start("trap '' TERM; echo ready >&9; while :; do sleep 0.01; done", NULL);
  h_line(fifo, line, sizeof line);
  int64_t polite = start("trap 'exit 0' TERM; echo ready >&9; while :; do sleep 0.01; done", NULL);
  h_line(fifo, line, sizeof line);
  int64_t plain = start("echo ready >&9; sleep 1000", NULL);
  h_line(fifo, line, sizeof line);
  struct attempt *wait = h_attempt("WAIT", "1h", NULL);
  const int64_t ti[] = {deaf, polite, plain, wait->ti};
  worker_start(H.w, wait);
  worker_drain(H.w, 200000);
  assert_true(h_all_dead(fifo));
  for (int i = 0; i < 4; i++) {
    struct attempt *a = h_await(ti[i]);
    assert_int_equal(a->end, ATTEMPT_HANDBACK); /* the polite one too: it was told to stop */
    assert_null(a->error);
    assert_null(a->result);
    attempt_free(a);
  }
  h_expect("true", NULL, ATTEMPT_HANDBACK, NULL);
}

int main(void) {
  h_open(NULL);
  fifo = h_fifo("tree");
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_background_child), cmocka_unit_test(test_daemon), cmocka_unit_test(test_stubborn_daemons),
    cmocka_unit_test(test_fork_tree), cmocka_unit_test(test_closed_output), cmocka_unit_test(test_kill_0),
    cmocka_unit_test(test_neighbours), cmocka_unit_test(test_cancel_term), cmocka_unit_test(test_cancel_polite), cmocka_unit_test(test_cancel_ladder),
    cmocka_unit_test(test_cancel_stopped), cmocka_unit_test(test_run_timeout), cmocka_unit_test(test_deadline),
    cmocka_unit_test(test_kill_all_attempts), cmocka_unit_test(test_spawner_killed), cmocka_unit_test(test_spawner_killed_busy),
    cmocka_unit_test(test_drain)};
  int rc = cmocka_run_group_tests_name("tree", tests, NULL, NULL);
  close(fifo);
  h_close();
  return rc;
}
