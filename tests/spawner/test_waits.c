/* What waits for a log or a context, to the microsecond: the clock of the worker stands still until the test moves it. Types of the
 * test's own run on the worker's loop, and one says when a turn of the loop is over. Before that, while the clock goes: contexts for
 * which there is no room. */
#include <pthread.h>
#include <stdio.h>

#include "clock.h"
#include "harness.h"
#include "registry.h"

#define SECOND 1000000LL

/* ---- the clock ---- */
static _Atomic int64_t stopped_at;   /* 0: it goes */
int64_t __real_clock_mono_us(void);
int64_t __wrap_clock_mono_us(void);
int64_t __wrap_clock_mono_us(void) {
  int64_t at = atomic_load(&stopped_at);
  return at ? at : __real_clock_mono_us();
}

/* ---- types ---- */
static atomic_int rooms, cancels, answers[2];   /* answers: how often contexts were refused, and stored */
static atomic_int stored_count;

static int end_at_once(const wx_host *h, wx_exec *x, char *err, size_t n) {
  (void)err, (void)n;
  h->done(x, &(wx_result){.size = sizeof(wx_result), .exit_code = -1});
  return 0;
}

static int log_and_end(const wx_host *h, wx_exec *x, char *err, size_t n) {
  h->log(x, WX_STDOUT, "a line\n", 7);
  return end_at_once(h, x, err, n);
}

/* It has a log, and goes on. */
static int log_and_stay(const wx_host *h, wx_exec *x, char *err, size_t n) {
  (void)err, (void)n;
  h->log(x, WX_STDOUT, "a line\n", 7);
  return 0;
}

/* Until the log takes no more. */
static int talk(const wx_host *h, wx_exec *x, char *err, size_t n) {
  static const char text[4096] = "text";
  (void)err, (void)n;
  while (!h->log_behind(x)) h->log(x, WX_STDOUT, text, sizeof text);
  return 0;
}

/* It leaves a context, and ends within start(). */
static int leave_and_end(const wx_host *h, wx_exec *x, char *err, size_t n) {
  h->note(x, WX_NOTE_CONTEXT, 0, "left", 4);
  return end_at_once(h, x, err, n);
}

/* It reports a context, and goes on until that is stored. */
static int tell_and_stay(const wx_host *h, wx_exec *x, char *err, size_t n) {
  (void)err, (void)n;
  h->note(x, WX_NOTE_CONTEXT, 0, "told", 4);
  return 0;
}

static void noted(const wx_host *h, wx_exec *x, uint32_t count, int answer) {
  wx_result r = {.size = sizeof r, .exit_code = -1};
  atomic_fetch_add(&answers[answer == WX_KEPT], 1);
  atomic_store(&stored_count, (int)count);
  if (answer == WX_KEPT) h->done(x, &r);
  else h->log(x, WX_STDOUT, "not\n", 4);
}

static void has_room(const wx_host *h, wx_exec *x) {
  (void)h, (void)x;
  atomic_fetch_add(&rooms, 1);
}

static void stop(const wx_host *h, wx_exec *x, int how) {
  (void)how;
  atomic_fetch_add(&cancels, 1);
  h->done(x, &(wx_result){.size = sizeof(wx_result), .end = WX_FAIL, .exit_code = -1});
}

#define OPS(type, begin) {.abi = WX_ABI, .size = sizeof(wx_ops), .name = type, .slot = WX_SLOT_ASYNC, .start = begin, .cancel = stop, .woken = has_room}
static const wx_ops types[] = {OPS("TURN", end_at_once), OPS("LINE", log_and_end), OPS("STAY", log_and_stay), OPS("TALK", talk),
  OPS("LEAVE", leave_and_end),
  {.abi = WX_ABI, .size = sizeof(wx_ops), .name = "TELL", .slot = WX_SLOT_ASYNC, .start = tell_and_stay,
   .cancel = stop, .noted = noted}};

/* ---- the test and the loop ---- */

/* All that was posted before has been done, and every timer that is due has rung: an attempt of this type comes back at the end of
 * the turn that starts it. */
static void turn_over(void) { attempt_free(h_run("TURN", NULL, NULL)); }

static void pass(int64_t us) {
  atomic_fetch_add(&stopped_at, us);
  turn_over();
}

static int64_t begin(const char *type, int64_t heartbeat_us) {
  struct attempt *a = h_attempt(type, NULL, NULL);
  int64_t ti = a->ti;
  a->heartbeat_us = heartbeat_us;
  worker_start(H.w, a);
  turn_over();
  return ti;
}

static void comes_back(int64_t ti, enum attempt_end end, int64_t bytes, int64_t lost) {
  struct attempt *a = h_await(ti);
  assert_int_equal(a->end, end);
  assert_int_equal(a->log_bytes, bytes);
  assert_int_equal(a->log_lost, lost);
  attempt_free(a);
}

/* Not before, and then at once. */
static void comes_back_after(int64_t ti, int64_t us) {
  pass(us - 1);
  assert_false(h_came_back(ti));
  pass(1);
  assert_true(h_came_back(ti));
}

/* ---- no room for contexts, while the clock goes ---- */

static bool refused_often(const struct h_kept *k) { return k->no_room > 2; }

/* The executor learns that it is not stored, and later that it is. */
static void test_no_room_is_told(void **st) {
  (void)st;
  h_full_keeps(1);
  struct attempt *a = h_attempt("TELL", NULL, NULL);
  int64_t ti = a->ti;
  worker_start(H.w, a);
  h_log_reaches(ti, 4);
  assert_true(atomic_load(&answers[0]) > 0);
  assert_int_equal(atomic_load(&stored_count), 1);
  assert_int_equal(atomic_load(&answers[1]), 0);
  assert_null(h_kept(ti).context);
  h_full_keeps(0);
  attempt_free(h_await(ti));
  assert_int_equal(atomic_load(&answers[1]), 1);
  assert_int_equal(atomic_load(&stored_count), 1);
  assert_string_equal(h_kept(ti).context, "told");
}

/* The node stops meanwhile, and ends all the same; what waited for room goes with it. */
static void test_no_room_at_the_end(void **st) {
  struct worker *w = H.w;
  (void)st;
  H.w = h_second(0);
  h_full_keeps(1);
  struct attempt *a = h_attempt("LEAVE", NULL, NULL);
  int64_t ti = a->ti;
  worker_start(H.w, a);
  (void)h_kept_when(ti, refused_often);
  assert_false(h_came_back(ti));
  worker_close(H.w);
  a = h_await(ti);
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_null(h_kept(ti).context);
  attempt_free(a);
  h_full_keeps(0);
  H.w = w;
}

/* ---- an ended attempt and its log ---- */

static int stand_still(void **st) {
  (void)st;
  atomic_store(&stopped_at, clock_mono_us());
  return 0;
}

/* The store is away, so it could not take the end of the task either: a minute. What is on its way counts as stored. */
static void test_a_minute(void **st) {
  (void)st;
  h_block_logs(1);
  int64_t ti = begin("LINE", 0);
  for (int s = 3; s < 60; s += 3) {
    pass(3 * SECOND);
    if (h_came_back(ti)) fail_msg("it came back after %d s", s);
  }
  comes_back_after(ti, 3 * SECOND);
  comes_back(ti, ATTEMPT_OK, 7, 0);
  h_block_logs(0);
  h_log_reaches(ti, 7);
}

/* The store comes again meanwhile. */
static void test_store_comes_again(void **st) {
  (void)st;
  h_block_logs(1);
  int64_t ti = begin("LINE", 0);
  pass(3 * SECOND);
  pass(50 * SECOND);
  assert_false(h_came_back(ti));
  h_block_logs(0);
  comes_back(ti, ATTEMPT_OK, 7, 0);
  assert_string_equal(h_log(ti)->data, "a line\n");
}

/* Whoever told it to stop waits for that: three seconds. */
static void test_told_to_stop(void **st) {
  (void)st;
  h_block_logs(1);
  int64_t ti = begin("STAY", 0);
  worker_stop(H.w, ti, 1, STOP_PAUSE);
  turn_over();
  assert_false(h_came_back(ti));
  comes_back_after(ti, 3 * SECOND);
  attempt_free(h_await(ti));
  h_block_logs(0);
}

/* Its log does not grow, and the end of the task can be stored all the same, as on SQLite, whose logs are a file of their own. */
static void test_logs_of_their_own(void **st) {
  struct worker *w = H.w;
  (void)st;
  H.w = h_second(0);
  h_block_logs(1);
  int64_t ti = begin("LINE", 0);
  comes_back_after(ti, 3 * SECOND);
  attempt_free(h_await(ti));
  h_block_logs(0);
  worker_close(H.w);
  H.w = w;
}

/* ---- an ended attempt and its context ---- */

/* The store takes nothing: ten minutes, in which whoever follows this one would begin with an older context. */
static void test_context_waits(void **st) {
  (void)st;
  h_block_keeps(1);
  int64_t ti = begin("LEAVE", 0);
  for (int s = 15; s < 600; s += 15) {
    pass(15 * SECOND);
    if (h_came_back(ti)) fail_msg("it came back after %d s", s);
  }
  comes_back_after(ti, 15 * SECOND);
  comes_back(ti, ATTEMPT_OK, 0, 0);
  h_block_keeps(0);
}

static void test_context_is_stored_late(void **st) {
  (void)st;
  h_block_keeps(1);
  int64_t ti = begin("LEAVE", 0);
  pass(599 * SECOND);
  assert_false(h_came_back(ti));
  assert_null(h_kept(ti).context);
  h_block_keeps(0);
  comes_back(ti, ATTEMPT_OK, 0, 0);
  assert_string_equal(h_kept(ti).context, "left");
}

/* Its task was deleted, or has another attempt: what it left is of no use. */
static void test_context_of_a_lost_one(void **st) {
  (void)st;
  h_block_keeps(1);
  int64_t ti = begin("LEAVE", 0);
  pass(100 * SECOND);
  worker_stop(H.w, ti, 1, STOP_FENCED);
  turn_over();
  assert_false(h_came_back(ti));
  comes_back_after(ti, 3 * SECOND);
  comes_back(ti, ATTEMPT_LOST, 0, 0);
  h_block_keeps(0);
}

static int64_t drain_grace;
static void *drain(void *p) {
  worker_drain(H.w, drain_grace); /* until nothing runs */
  return p;
}

/* From then on what is started is handed back. */
static void until_it_drains(void) {
  for (bool draining = false; !draining;) {
    struct attempt *a = h_run("TURN", NULL, NULL);
    draining = a->end == ATTEMPT_HANDBACK;
    attempt_free(a);
  }
}

/* A planned stop: as long as programs have to end and a bit, half of that at most, but three seconds in any case. */
static void test_context_at_a_planned_stop(void **st) {
  static const struct { int64_t grace, waits; } v[] = {{20 * SECOND, 22500000}, {4 * SECOND, 6 * SECOND}, {SECOND, 3 * SECOND}, {0, 3 * SECOND}};
  struct worker *w = H.w;
  (void)st;
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    H.w = h_second(0);
    h_block_keeps(1);
    int64_t ti = begin("LEAVE", 0);
    pass(100 * SECOND);
    assert_false(h_came_back(ti));
    pthread_t by;
    drain_grace = v[i].grace;
    assert_int_equal(pthread_create(&by, NULL, drain, NULL), 0);
    until_it_drains();
    assert_false(h_came_back(ti));
    comes_back_after(ti, v[i].waits);
    assert_int_equal(pthread_join(by, NULL), 0);
    comes_back(ti, ATTEMPT_OK, 0, 0);
    h_block_keeps(0);
    worker_close(H.w);
  }
  H.w = w;
}

/* ---- heartbeats ---- */

/* What the log keeps from reporting is not silent: it has all of its time from when there is room. */
static void test_heartbeat_while_the_log_is_behind(void **st) {
  (void)st;
  atomic_store(&rooms, 0);
  atomic_store(&cancels, 0);
  h_block_logs(1);
  int64_t ti = begin("TALK", 5 * SECOND);
  for (int i = 0; i < 20; i++) pass(5 * SECOND);
  pass(2 * SECOND);
  assert_int_equal(atomic_load(&cancels), 0);
  assert_int_equal(atomic_load(&rooms), 0);
  h_block_logs(0);
  h_log_reaches(ti, 1);
  while (!atomic_load(&rooms)) turn_over(); /* the log thread tells the loop */
  pass(5 * SECOND - 1);
  assert_int_equal(atomic_load(&cancels), 0);
  pass(1);
  assert_int_equal(atomic_load(&cancels), 1);
  struct attempt *a = h_await(ti);
  assert_int_equal(a->end, ATTEMPT_LOST);
  assert_string_equal(a->error, "It reported nothing for 5 s (heartbeatTimeout).");
  attempt_free(a);
}

/* The same without a log that is behind. */
static void test_heartbeat(void **st) {
  (void)st;
  atomic_store(&cancels, 0);
  int64_t ti = begin("STAY", 5 * SECOND);
  pass(5 * SECOND - 1);
  assert_int_equal(atomic_load(&cancels), 0);
  pass(1);
  assert_int_equal(atomic_load(&cancels), 1);
  struct attempt *a = h_await(ti);
  assert_int_equal(a->end, ATTEMPT_LOST);
  attempt_free(a);
}

int main(void) {
  struct wr_err err;
  registry_add_builtins(H.executors = registry_new());
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    if (registry_add(H.executors, &types[i], &err) != WR_OK) fprintf(stderr, "%s\n", err.msg), abort();
  H.logs_with_rows = true;
  h_open(NULL);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_no_room_is_told), cmocka_unit_test(test_no_room_at_the_end),
                                     cmocka_unit_test_setup(test_a_minute, stand_still), cmocka_unit_test(test_store_comes_again), cmocka_unit_test(test_told_to_stop),
                                     cmocka_unit_test(test_logs_of_their_own), cmocka_unit_test(test_context_waits),
                                     cmocka_unit_test(test_context_is_stored_late), cmocka_unit_test(test_context_of_a_lost_one),
                                     cmocka_unit_test(test_context_at_a_planned_stop),
                                     cmocka_unit_test(test_heartbeat_while_the_log_is_behind),
                                     cmocka_unit_test(test_heartbeat)};
  int rc = cmocka_run_group_tests_name("waits", tests, NULL, NULL);
  atomic_store(&stopped_at, 0);
  h_close();
  return rc;
}
