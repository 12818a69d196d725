/* Torture: one run of every kind of request against a real store, done again and again with call N of the runner failing
 * before or after its effect, for every N. Whatever fails: each acknowledged request is there once, every flow ends as it
 * should, no attempt runs twice, nothing is live at the end, and a new runner on the same rows finds nothing to do.
 *
 * The runner is the real one, turned by hand with a clock of its own; the worker is a list. */
#include "../unit/unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "defs.h"
#include "faulty.h"
#include "map64.h"
#include "mem.h"
#include "runner.h"

struct world {
  char dir[64], url[128];
  struct store *s;
  struct defs *defs;
  struct runner *r;
  struct attempt *work, **tail;   /* given by the runner, not ended */
  struct map64 epochs;            /* ti -> newest epoch that ran */
  int64_t now;
  uint32_t done_flows, refused, answers;
};

static struct fault fault;

/* ---- definitions ---- */

static enum wr_rc check_type(void *ctx, const char *type, const char *content, const json_t *config, const char *path, uint8_t *slot, struct wr_err *err) {
  (void)ctx, (void)type, (void)content, (void)config, (void)path, (void)err;
  *slot = SLOT_ASYNC;
  return WR_OK;
}
static enum wr_rc tasks_exist(void *ctx, const int64_t *ids, size_t n, size_t *bad, struct wr_err *err) {
  (void)ctx, (void)ids, (void)n, (void)bad, (void)err;
  return WR_OK;
}
static const struct def_env env = {.check_type = check_type, .tasks_exist = tasks_exist};
static uint8_t slot_of(const char *type) {
  (void)type;
  return SLOT_ASYNC;
}

static json_t *json(const char *text) {
  json_t *j = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
  assert_non_null(j);
  return j;
}

static int64_t save_flow(struct world *w, const char *text) {
  struct flow_post p;
  struct wr_err err;
  json_t *j = json(text);
  if (def_flow_parse(j, &env, &p, &err) != WR_OK) fail_msg("%s", err.msg);
  assert_int_equal(store_save_flow(w->s, p.def, -1, NULL, &err), WR_OK);
  int64_t id = p.def->flow_id;
  def_flow_unref(p.def);
  json_decref(j);
  return id;
}

static int64_t save_task(struct world *w, const char *text) {
  struct task_post p;
  struct wr_err err;
  json_t *j = json(text);
  if (def_task_parse(j, &env, &p, &err) != WR_OK) fail_msg("%s", err.msg);
  assert_int_equal(store_save_task(w->s, p.def, -1, NULL, &err), WR_OK);
  int64_t id = p.def->task_id;
  def_task_unref(p.def);
  json_decref(j);
  return id;
}

/* ---- the worker ---- */

static void port_start(void *ctx, struct attempt *list) {
  struct world *w = ctx;
  for (struct attempt *a = list; a != NULL; a = a->next) {
    uint32_t before = (uint32_t)(uintptr_t)map64_get(&w->epochs, a->ti);
    assert_true(a->epoch > before); /* no attempt starts twice, none goes back */
    (void)map64_put(&w->epochs, a->ti, (void *)(uintptr_t)a->epoch);
    *w->tail = a;
    w->tail = &a->next;
  }
}

static void end_attempt(struct world *w, struct attempt *a, enum attempt_end end, const char *error) {
  a->next = NULL;
  a->end = end;
  a->error = wr_strdup(error);
  if (end == ATTEMPT_OK) {
    a->result = wr_strdup("x");
    a->result_len = 1;
  }
  runner_post_results(w->r, a);
}

/* HOLD stays until it is cancelled; BAD fails; all else succeeds. */
static void do_work(struct world *w) {
  struct attempt *list = w->work;
  w->work = NULL;
  w->tail = &w->work;
  for (struct attempt *a = list, *next; a != NULL; a = next) {
    next = a->next;
    if (strcmp(a->def->type, "HOLD") == 0) {
      a->next = NULL;
      *w->tail = a;
      w->tail = &a->next;
    } else {
      bool bad = strcmp(a->def->type, "BAD") == 0;
      end_attempt(w, a, bad ? ATTEMPT_FAIL : ATTEMPT_OK, bad ? "bad" : NULL);
    }
  }
}

static void port_cancel(void *ctx, int64_t ti, uint32_t epoch, enum task_stop why) {
  (void)why;
  struct world *w = ctx;
  for (struct attempt **p = &w->work; *p != NULL; p = &(*p)->next) {
    struct attempt *a = *p;
    if (a->ti != ti || a->epoch != epoch) continue;
    *p = a->next;
    if (a->next == NULL) w->tail = p;
    end_attempt(w, a, ATTEMPT_FAIL, "stopped");
    return;
  }
}

static void port_flow_done(void *ctx, int64_t fi, enum flow_state state) {
  (void)fi, (void)state;
  ((struct world *)ctx)->done_flows++;
}

/* ---- driving ---- */

static int64_t boot_now(void *ctx) { return ((struct world *)ctx)->now; }

static void answered(struct req *q, void *ctx) {
  (void)q;
  ((struct world *)ctx)->answers++;
}

/* Turns until nothing is left to do now; the clock jumps to what is due. */
static void turn(struct world *w) {
  int64_t next = runner_turn(w->r, w->now, w->now);
  do_work(w);
  if (runner_pending(w->r) && next <= w->now) return;
  if (next != INT64_MAX && next > w->now) w->now = next;
}

static void settle(struct world *w) {
  for (int i = 0; i < 400; i++) {
    turn(w);
    w->now += 1000;
  }
}

/* Posts until it is taken and not refused for the store's sake. */
static void request(struct world *w, struct req *q) {
  for (int tries = 0; tries < 10; tries++) {
    uint32_t before = w->answers;
    q->done = answered;
    q->done_ctx = w;
    bool taken = runner_post(w->r, q);
    if (!taken) { /* it is known that the store is away: until it has been tried again */
      assert_int_equal(q->rc, WR_DB_UNAVAILABLE);
      w->refused++;
      settle(w);
      continue;
    }
    for (int i = 0; w->answers == before; i++) {
      assert_true(i < 2000);
      turn(w);
    }
    if (q->rc != WR_DB_UNAVAILABLE) return;
    w->refused++; /* "Nothing was stored": so it may be sent again */
  }
  fail_msg("refused for ever");
}

static int64_t start(struct world *w, int64_t flow, uint32_t n) {
  struct req_start st[8];
  for (uint32_t i = 0; i < n; i++) st[i] = (struct req_start){.flow_id = flow};
  struct req q = {.kind = REQ_START, .start = st, .n_start = n};
  request(w, &q);
  assert_int_equal(q.rc, WR_OK);
  for (uint32_t i = 1; i < n; i++) assert_int_equal(st[i].fi, st[0].fi + i);
  return st[0].fi;
}

static void open_runner(struct world *w) {
  struct wr_err err;
  struct runner_opts o = {.store = w->s, .defs = w->defs, .slots = {8, 8}, .info = {.host = "test", .pid = 1, .slots = 8, .roles = "all"}, .seed = 5};
  o.ports = (struct runner_ports){.ctx = w, .start = port_start, .cancel = port_cancel, .flow_done = port_flow_done, .boot_now = boot_now};
  assert_int_equal(runner_new(&o, &w->r, &err), WR_OK);
}

static void open_world(struct world *w) {
  struct wr_err err;
  *w = (struct world){.now = 1700000000000000};
  w->tail = &w->work;
  (void)snprintf(w->dir, sizeof w->dir, "%s/weir-torture-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
  assert_non_null(mkdtemp(w->dir));
  (void)snprintf(w->url, sizeof w->url, "faulty:sqlite:%s/t.db", w->dir);
  if (store_open(&(struct store_opts){.url = w->url}, &w->s, &err) != WR_OK) fail_msg("%s", err.msg);
  w->defs = defs_new(w->s, slot_of);
  open_runner(w);
}

static void close_world(struct world *w) {
  static const char *const file[] = {"t.db", "t.db-wal", "t.db-shm", "t.db.lock", "t.db-log", "t.db-log-wal", "t.db-log-shm"};
  char path[160];
  while (w->work != NULL) {
    struct attempt *a = w->work;
    w->work = a->next;
    attempt_free(a);
  }
  runner_free(w->r);
  defs_free(w->defs);
  store_close(w->s);
  map64_done(&w->epochs);
  for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
    (void)snprintf(path, sizeof path, "%s/%s", w->dir, file[i]);
    (void)unlink(path);
  }
  (void)rmdir(w->dir);
}

/* ---- what must be true ---- */

struct seen { int64_t fi; uint8_t state; uint32_t n; };
static int see_flow(void *ctx, const struct flow_row *f) {
  ((struct seen *)ctx)->state = f->state;
  ((struct seen *)ctx)->n++;
  return 0;
}

static void expect_flow(struct world *w, int64_t fi, enum flow_state want) {
  struct wr_err err;
  struct seen s = {0};
  struct reader *r = reader_get(w->s, &err);
  assert_non_null(r);
  assert_int_equal(reader_flow_ins(r, fi, see_flow, &s, &err), WR_OK);
  reader_put(r);
  assert_string_equal(flow_state_name((enum flow_state)s.state), flow_state_name(want));
}

static void expect_count(struct world *w, uint32_t want) {
  struct wr_err err;
  struct seen s = {0};
  bool more;
  int64_t total;
  struct reader *r = reader_get(w->s, &err);
  assert_non_null(r);
  struct list_filter any = {.state = -1};
  assert_int_equal(reader_list_flow_ins(r, &any, &(struct page){.limit = 500}, see_flow, &s, &more, &total, &err), WR_OK);
  reader_put(r);
  assert_int_equal(s.n, want);
}

static void expect_nothing_live(struct world *w) {
  struct live_task t[4];
  struct live_flow f[4];
  size_t n = 9;
  fault.fail_at = 0;
  assert_int_equal(store_live_tasks(w->s, 0, t, 4, &n), STORE_OK);
  assert_int_equal(n, 0);
  assert_int_equal(store_live_flows(w->s, 0, f, 4, &n), STORE_OK);
  assert_int_equal(n, 0);
}

/* ---- the scenario ---- */

/* Returns how many calls the runner made. */
static uint64_t play(struct world *w) {
  int64_t task = save_task(w, "{\"taskName\":\"t\",\"taskType\":\"ECHO\"}");
  int64_t chain = save_flow(w, "{\"flowName\":\"c\",\"flowNodes\":[{\"taskIds\":\"1\"},{\"taskIds\":\"1\"},{\"taskIds\":\"1\"}]}");
  int64_t join = save_flow(w, "{\"flowName\":\"j\",\"flowNodes\":[{\"nodeKey\":\"a\",\"taskIds\":\"1\"},{\"nodeKey\":\"b\",\"taskIds\":\"1\"},"
                              "{\"nodeKey\":\"c\",\"prevNodes\":[\"a\",\"b\"],\"tasks\":[{\"taskType\":\"ECHO\"},{\"taskType\":\"HOLD\"}],\"rest\":\"cancel\"}]}");
  int64_t retry = save_flow(w, "{\"flowName\":\"r\",\"flowNodes\":[{\"taskIds\":\"1\"},{\"attempts\":2,\"backoff\":{\"base\":\"1ms\",\"max\":\"1ms\"},"
                               "\"tasks\":[{\"taskType\":\"BAD\"}]},{\"taskIds\":\"1\"}]}");
  int64_t hold = save_flow(w, "{\"flowName\":\"h\",\"flowNodes\":[{\"tasks\":[{\"taskType\":\"HOLD\"}]},{\"taskIds\":\"1\"}]}");
  int64_t a = start(w, chain, 1), b = start(w, join, 1), c = start(w, retry, 1), d = start(w, hold, 1), e = start(w, chain, 5);
  struct req_task one = {.task_id = task};
  struct req q = {.kind = REQ_EXEC_TASK, .task = &one, .n_task = 1};
  request(w, &q);
  assert_int_equal(q.rc, WR_OK);
  settle(w);
  struct req cancel = {.kind = REQ_CANCEL_FLOW, .fi = d};
  request(w, &cancel);
  assert_int_equal(cancel.rc, WR_OK);
  settle(w);
  struct req again = {.kind = REQ_RERUN, .flow_id = retry, .fi = c};
  request(w, &again);
  assert_int_equal(again.rc, WR_OK);
  settle(w);
  expect_flow(w, a, FLOW_SUCCESS);
  expect_flow(w, b, FLOW_SUCCESS);
  expect_flow(w, c, FLOW_FAILED);
  expect_flow(w, d, FLOW_CANCELED);
  for (int i = 0; i < 5; i++) expect_flow(w, e + i, FLOW_SUCCESS);
  expect_count(w, 9);
  assert_int_equal(w->done_flows, 10); /* c ended twice */
  uint64_t calls = fault.calls;
  expect_nothing_live(w);
  return calls;
}

static uint64_t play_once(uint64_t fail_at, enum fault_when when) {
  struct world w;
  fault = (struct fault){.fail_at = fail_at, .when = when};
  open_world(&w);
  uint64_t calls = play(&w);
  runner_free(w.r); /* a new one on the same rows has nothing to do */
  w.now += 60000000;
  open_runner(&w);
  settle(&w);
  assert_null(w.work);
  expect_nothing_live(&w);
  close_world(&w);
  if (fail_at != 0) assert_true(fault.hit);
  return calls;
}

static void test_every_call_fails_once(void **state) {
  (void)state;
  uint64_t calls = play_once(0, FAULT_BEFORE);
  assert_true(calls > 50);
  for (uint64_t n = 1; n <= calls; n++)
    for (int when = FAULT_BEFORE; when <= FAULT_AFTER; when++) {
      (void)play_once(n, (enum fault_when)when);
    }
  print_message("# %llu calls, each failed before and after its effect\n", (unsigned long long)calls);
}

int main(void) {
  faulty_register(&fault);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_call_fails_once)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
