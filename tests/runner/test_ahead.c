/* How many process attempts the runner claims beyond its slots. A real SQLite store, no thread, no clock: the test is the worker.
 * It says how long each attempt ran and how long each turn takes. */
#include "facts.h"
#include "file_store.h"
#include "defs.h"
#include "node.h"
#include "runner_int.h"

enum { SLOTS = 2, AHEAD = 16, TASKS = 800 };
static uint32_t most;                /* AHEAD, or that of a node which runs routines alone */

static struct store *store;
static struct defs *defs;
static struct runner *runner;
static int64_t now = 1700000000000000, task_id;
static struct attempt *running, **running_tail = &running;
static size_t n_running;

/* ---- the process around the runner ---- */

static size_t waits(void) { return waiting_count(&runner->waiting, SLOT_PROCESS); }

static void (*runner_turn_over)(void);

static void port_free_slots(void *ctx, const uint32_t free[SLOT__N]) {
  (void)ctx;
  (void)free;
  if (runner_turn_over) runner_turn_over();
}

static void port_start(void *ctx, struct attempt *list) {
  (void)ctx;
  for (struct attempt *next; list; list = next) {
    next = list->next;
    list->next = NULL;
    *running_tail = list;
    running_tail = &list->next;
    n_running++;
  }
}

static int64_t boot_now(void *ctx) { return (void)ctx, now; }

static void settle(void) {
  int64_t next;
  do {
    now += 50000;
    next = runner_turn(runner, now, now);
  } while (runner_pending(runner) || next <= now);
}

/* The oldest attempt ends. */
static void end_one(enum attempt_end end, int64_t run_us) {
  struct attempt *a = running;
  if (!a) fail_msg("nothing runs");
  if (!(running = a->next)) running_tail = &running;
  n_running--;
  a->next = NULL;
  a->end = end;
  a->run_us = run_us;
  runner_post_results(runner, a);
}

static void answered(struct req *q, void *ctx) {
  (void)ctx;
  assert_int_equal(q->rc, WR_OK);
}

static void asks_for(int n) {
  static struct req q[TASKS];
  static struct req_task one[TASKS];
  for (int i = 0; i < n; i++) {
    one[i] = (struct req_task){.task_id = task_id};
    q[i] = (struct req){.kind = REQ_EXEC_TASK, .task = &one[i], .n_task = 1, .done = answered};
    assert_true(runner_post(runner, &q[i]));
  }
  settle();
}

static void run_some(int n, int64_t run_us) {
  for (int i = 0; i < n; i++) {
    end_one(ATTEMPT_OK, run_us);
    settle();
    if (waits()) assert_in_range(n_running, SLOTS, SLOTS + most);
  }
}

/* Ends an attempt while a turn is under way: its result is in the mailbox when the turn is over. */
static void slow(void) { end_one(ATTEMPT_OK, 9900); }

/* ---- facts ---- */

/* Nothing is claimed without a slot until an attempt has ended. Its duration is then taken as the average. */
static void first_none(void **st) {
  (void)st;
  asks_for(TASKS);
  assert_int_equal(n_running, SLOTS);
  run_some(1, 9900);
  assert_int_equal(n_running, SLOTS + SLOTS * 30 / 10);
}

/* Short attempts: as many are claimed ahead as the slots use up in 30 ms, never more than the option. */
static void short_many(void **st) {
  (void)st;
  run_some(60, 4900);
  assert_int_equal(n_running, SLOTS + SLOTS * 30 / 5);
  run_some(40, 500);
  assert_int_equal(n_running, SLOTS + AHEAD);
}

/* A turn takes 20 ms, and results wait whenever it is over: more attempts are used up meanwhile. */
static void slow_store_more(void **st) {
  (void)st;
  run_some(60, 9900);
  assert_int_equal(n_running, SLOTS + SLOTS * 30 / 10);
  runner_turn_over = slow;
  for (int i = 0; i < 60; i++) {
    now += 20000;
    (void)runner_turn(runner, now, now);
  }
  runner_turn_over = NULL;
  settle();
  assert_int_equal(n_running, SLOTS + SLOTS * 60 / 10); /* claims ahead are bounded by time, too */
  run_some(60, 9900);
  assert_int_equal(n_running, SLOTS + SLOTS * 60 / 10); /* no turn was measured since */
}

/* While all slots are taken, a few claims ahead are not worth a batch: they come with the next result. */
static void few_wait(void **st) {
  (void)st;
  run_some(60, 4900);
  size_t n = n_running;
  end_one(ATTEMPT_OK, 2000);
  settle();
  assert_int_equal(n_running, n);
  end_one(ATTEMPT_OK, 4100);
  settle();
  assert_int_equal(n_running, n + 2);
}

/* An attempt that was claimed ahead and waited in vain is queued again without a loss. None is claimed ahead until many short
 * attempts have ended. */
static void handback_stops(void **st) {
  (void)st;
  run_some(40, 500);
  assert_int_equal(n_running, SLOTS + AHEAD);
  size_t before = waits();
  int64_t ti = running->ti;
  end_one(ATTEMPT_HANDBACK, 0);
  settle();
  assert_int_equal(waits(), before); /* the hint is there, and its place was given to another */
  struct world w = {.s = store};
  struct task_row row = task_get(&w, ti);
  assert_int_equal(row.t.state, TASK_QUEUED);
  assert_int_equal(row.t.losses, 0);
  assert_int_equal(row.t.tries, 0);
  for (int i = 0; i < AHEAD; i++) end_one(ATTEMPT_HANDBACK, 0);
  settle();
  assert_int_equal(n_running, SLOTS);
  run_some(5, 500);
  assert_int_equal(n_running, SLOTS);
  run_some(40, 500);
  assert_int_equal(n_running, SLOTS + AHEAD);
}

/* This node cannot start attempts of a class just now: nothing of that class is claimed, not even in place of an attempt that
 * ends, until the time is over. */
static void hold_takes_none(void **st) {
  (void)st;
  run_some(40, 60000000);
  runner_hold(runner, SLOT_PROCESS, now + 10000000);
  while (n_running) {
    end_one(n_running == 1 ? ATTEMPT_HANDBACK : ATTEMPT_OK, 1000);
    settle();
  }
  assert_true(waits() > 0);
  int64_t next = runner_turn(runner, now, now);
  assert_in_range(next, now + 1, now + 10000000);
  now += 10000000;
  settle();
  assert_int_equal(n_running, SLOTS);
}

/* Long attempts: none is claimed ahead, although the average began with short ones. */
static void long_none(void **st) {
  (void)st;
  run_some(40, 60000000);
  assert_int_equal(n_running, SLOTS);
}

/* A node that stops claims nothing, and its claims ahead go back to the queue. */
static void drain_takes_none(void **st) {
  (void)st;
  run_some(40, 500);
  runner_drain(runner);
  settle();
  while (n_running) end_one(ATTEMPT_HANDBACK, 0);
  settle();
  assert_int_equal(n_running, 0);
}

/* ---- a node that runs routines alone, as a library ---- */

/* Which nodes these are: routines wait in a list, programs at the spawner's gate. */
static void routines_alone(void **st) {
  (void)st;
  assert_int_equal(node_ahead(&(struct node_opts){.routines = true}), 512);
  assert_int_equal(node_ahead(&(struct node_opts){.routines = true, .shell = NODE_SHELL_ON}), 128);
  assert_int_equal(node_ahead(&(struct node_opts){.shell = NODE_SHELL_ON}), 128);
  assert_int_equal(node_ahead(&(struct node_opts){.shell = NODE_SHELL_OFF}), 128);
}

/* Routines of 30 us: 2,000 of them end on two slots in 30 ms, so the limit holds, exactly, at each end. */
static void routines_many(void **st) {
  (void)st;
  asks_for(TASKS);
  assert_int_equal(n_running, SLOTS);
  run_some(1, 30);
  assert_int_equal(n_running, SLOTS + 512);
  for (int i = 0; i < TASKS - SLOTS - 512 - 1; i++) {
    end_one(ATTEMPT_OK, 30);
    settle();
    assert_in_range(n_running, SLOTS + 512 / 2, SLOTS + 512);
  }
  assert_int_equal(n_running + waits(), SLOTS + 512);
}

/* ---- set up ---- */
static uint8_t process(const char *type) {
  (void)type;
  return SLOT_PROCESS;
}

static int set_up_most(uint32_t ahead) {
  struct wr_err err;
  most = ahead;
  store = file_store_open();
  struct world w = {.s = store};
  task_id = task_save(&w, "t", "SHELL");
  defs = defs_new(store, process);
  const struct runner_opts o = {.store = store, .defs = defs, .info = {.host = "h", .pid = 1, .slots = 1, .roles = "runner"}, .seed = 7, .ahead = most,
    .slots = {[SLOT_PROCESS] = SLOTS},
    .ports = {.start = port_start, .free_slots = port_free_slots, .boot_now = boot_now}};
  if (runner_new(&o, &runner, &err)) fail_msg("%s", err.msg);
  settle();
  return 0;
}

static int set_up(void **st) { return (void)st, set_up_most(AHEAD); }
static int set_up_routines(void **st) { return (void)st, set_up_most(node_ahead(&(struct node_opts){.routines = true})); }

static int tear_down(void **st) {
  (void)st;
  for (struct attempt *a; (a = running);) running = a->next, attempt_free(a);
  running_tail = &running;
  n_running = 0;
  runner_free(runner);
  defs_free(defs);
  file_store_close(store);
  return 0;
}

int main(int argc, char **argv) {
  (void)argv;
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(first_none), cmocka_unit_test(short_many), cmocka_unit_test(few_wait), cmocka_unit_test(slow_store_more),
    cmocka_unit_test(handback_stops), cmocka_unit_test(hold_takes_none), cmocka_unit_test(long_none), cmocka_unit_test(drain_takes_none)};
  const struct CMUnitTest routines[] = {cmocka_unit_test(routines_alone), cmocka_unit_test(routines_many)};
  if (argc > 1) return cmocka_run_group_tests_name("ahead of routines", routines, set_up_routines, tear_down);
  return cmocka_run_group_tests_name("ahead", tests, set_up, tear_down);
}
