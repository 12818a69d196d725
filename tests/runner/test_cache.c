/* What is kept in memory, in bytes: a runner whose cache is small, over a file. The tests look at the bytes that the runner
 * counts, and at the heap, which must follow. What never happens: a fact about a machine's speed. */
#include "facts.h"
#include <malloc.h>
#include "file_store.h"
#include "defs.h"
#include "runner_int.h"

#define SEC 1000000LL

enum { CACHE = 1 << 20, PAGES = 33 << 20 /* the cache of SQLite */, FLOWS = 2000, PARAMS = 30000 /* 60 MB in all: far more than both */ };
static struct store *store;
static struct defs *defs;
static struct runner *runner;
static int64_t now, task_id, flow_id, timed_id;
static int answers, flows_done;
static size_t peak, most_timers;
static int64_t latest;

static uint8_t slot_of(const char *type) { return (void)type, SLOT_ASYNC; }
static int64_t boot_now(void *ctx) { return (void)ctx, now; }
static size_t counted(void) { return runner->cache.flows.bytes + runner->cache.alone.bytes; }
/* Called within a batch: everything that the batch has touched is still in memory. */
static bool waits(void *ctx) {
  (void)ctx;
  if (runner && counted() > peak) peak = counted();
  return false;
}
static const struct watcher watcher = {.waits = waits};
static void flow_done(void *ctx, int64_t fi, enum flow_state state) {
  (void)ctx, (void)fi;
  if (state != FLOW_FAILED) return;
  flows_done++;
  latest = now;
}
static void answered(struct req *q, void *ctx) {
  (void)ctx;
  assert_int_equal(q->rc, WR_OK);
  answers++;
}

static void turns(void) {
  for (int i = 0; i < 1000; i++) {
    now += 1000;
    if (runner_turn(runner, now, now) > now && !runner_pending(runner)) return;
  }
  fail_msg("it never ends");
}

static void open_runner(void) {
  struct wr_err err;
  defs = defs_new(store, slot_of);
  defs_limit(defs, CACHE / 4);
  const struct runner_opts o = {.store = store, .defs = defs, .info = {.host = "h", .pid = 1, .slots = 1, .roles = "runner"}, .seed = 7, .cache_bytes = CACHE,
                                .request_us = INT64_MAX / 4, .timers = most_timers,
                                .ports = {.watcher = &watcher, .boot_now = boot_now, .flow_done = flow_done}};
  if (runner_new(&o, &runner, &err)) fail_msg("%s", err.msg);
  turns();
}

static void close_runner(void) {
  runner_free(runner);
  runner = NULL;
  defs_free(defs);
}

static int64_t save_flow(bool timed) {
  struct wr_err err;
  struct flow_def *f = flow_parse("f", "{'nodeType':'TASK','nodeKey':'a','tasks':[{'taskName':'t','taskType':'ECHO'}]}");
  if (timed) f->config = wr_strdup("{\"timeout\":\"1h\"}");
  if (store_save_flow(store, f, -1, NULL, &err)) fail_msg("%s", err.msg);
  int64_t id = f->flow_id;
  def_flow_unref(f);
  return id;
}

/* Many starts, each with parameters of its own. */
static void start_many(int64_t flow, int n, bool alone) {
  char *text = wr_malloc(PARAMS + 1);
  memset(text, 'x', PARAMS);
  memcpy(text, "{\"k\":\"", 6);
  memcpy(text + PARAMS - 2, "\"}", 3);
  struct req *q = wr_calloc((size_t)n, sizeof *q);
  struct req_start *start = wr_calloc((size_t)n, sizeof *start);
  struct req_task *task = wr_calloc((size_t)n, sizeof *task);
  answers = 0;
  for (int i = 0; i < n; i++) {
    struct params *p = params_new(text);
    start[i] = (struct req_start){.flow_id = flow, .params = p};
    task[i] = (struct req_task){.task_id = task_id, .params = p};
    q[i] = alone ? (struct req){.kind = REQ_EXEC_TASK, .task = &task[i], .n_task = 1, .done = answered}
                 : (struct req){.kind = REQ_START, .start = &start[i], .n_start = 1, .done = answered};
    assert_true(runner_post(runner, &q[i]));
    if (i % 100 == 99) turns();
  }
  turns();
  assert_int_equal(answers, n);
  for (int i = 0; i < n; i++) params_unref(start[i].params);
  free(start);
  free(task);
  free(q);
  free(text);
}

static size_t heap(void) {
  struct mallinfo2 m = mallinfo2();
  return m.uordblks + m.hblkhd;
}

/* 60 MB of parameters; a flow timeout pins no entry, not even an old one. */
static void live_flows_are_flat(void **st) {
  (void)st;
  start_many(timed_id, 1, false);
  size_t before = heap();
  start_many(timed_id, FLOWS / 2, false);
  start_many(flow_id, FLOWS / 2, false);
  assert_true(counted() <= CACHE);
  assert_int_equal(timers_count(&runner->flow_timers), FLOWS / 2 + 1);
  assert_true(heap() < before + 3 * CACHE + PAGES);
}

static void lone_tasks_are_flat(void **st) {
  (void)st;
  size_t before = heap();
  start_many(0, FLOWS, true);
  assert_true(counted() <= CACHE);
  assert_true(heap() < before + 3 * CACHE + PAGES);
}

/* A restart looks at all rows, but keeps only a bounded part of them. */
static void restart_is_flat(void **st) {
  (void)st;
  size_t timed = timers_count(&runner->flow_timers);
  close_runner();
  size_t before = heap();
  peak = 0;
  open_runner();
  assert_true(counted() <= CACHE);
  assert_in_range(peak, 1, 3 * CACHE); /* a batch loads a part of the cache, however many hints it has */
  assert_int_equal(timers_count(&runner->flow_timers), timed);
  assert_true(heap() < before + 4 * CACHE + PAGES);
}

/* Most timers are dropped and set again from the rows: every flow ends at its time, and no row is looked at before. */
static void dropped_timers_ring(void **st) {
  enum { N = 500, MOST = 20 };
  (void)st;
  size_t timed = timers_count(&runner->flow_timers);
  close_runner();
  most_timers = MOST;
  open_runner();
  int64_t first = now;
  for (int i = 0; i < N; i++) {
    start_many(timed_id, 1, false);
    now += SEC;
  }
  assert_true(timers_count(&runner->flow_timers) <= MOST);
  flows_done = 0;
  int64_t end = now + 3600 * SEC, idle = 0;
  for (int64_t next = now; next <= end; now = next > now ? next : now + 1000) {
    next = runner_turn(runner, now, now);
    if (next > now) idle++;
  }
  assert_int_equal(flows_done, (int)timed + N);
  assert_in_range(latest, first + (3600 + N - 1) * SEC, first + (3600 + N + 10) * SEC);
  assert_true(idle < 20 * N); /* it sleeps between them */
  assert_int_equal(timers_count(&runner->flow_timers), 0);
  most_timers = 0;
}

/* Versions that are not held are dropped. */
static void definitions_are_flat(void **st) {
  struct wr_err err;
  (void)st;
  for (int i = 0; i < 1500; i++) {
    struct flow_def *f;
    int64_t id = save_flow(false);
    assert_int_equal(defs_flow(defs, id, 0, -1, &f, &err), WR_OK);
    def_flow_unref(f);
  }
  assert_true(defs_bytes(defs) <= CACHE / 4);
}

static int set_up(void **st) {
  (void)st;
  now = clock_boot_us(); /* the store reads that clock too */
  store = file_store_open();
  struct world w = {.s = store};
  task_id = task_save(&w, "t", "ECHO");
  flow_id = save_flow(false);
  timed_id = save_flow(true);
  open_runner();
  return 0;
}

static int tear_down(void **st) {
  (void)st;
  close_runner();
  file_store_close(store);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(live_flows_are_flat),
    cmocka_unit_test(lone_tasks_are_flat), cmocka_unit_test(restart_is_flat), cmocka_unit_test(dropped_timers_ring), cmocka_unit_test(definitions_are_flat),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
