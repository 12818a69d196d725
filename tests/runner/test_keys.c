/* Idempotency keys in the runner: requests in one batch and in two, commits whose answer is lost, and rivals that are faster. A
 * real SQLite store whose calls can be made to lie. No thread, no clock: one runner_turn() is one batch. */
#include "facts.h"
#include "file_store.h"
#include "defs.h"
#include "runner.h"
#include "store_backend.h"

static struct store *store;
static struct defs *defs;
static struct runner *runner;
static int64_t now = 1700000000000000, flow_id, task_id;

/* ---- a store that lies once ---- */
enum lie { NO_LIE, COMMIT_DONE_UNKNOWN, COMMIT_UNDONE_UNKNOWN, KEYS_FREE, KEYS_HELD };
static enum lie lie;
static const struct store_ops *real;
static struct store_ops ops;

static enum store_rc lying_commit(struct store *s) {
  enum lie l = lie;
  if (l != COMMIT_DONE_UNKNOWN && l != COMMIT_UNDONE_UNKNOWN) return real->commit(s);
  lie = NO_LIE;
  if (l == COMMIT_DONE_UNKNOWN) OK(real->commit(s));
  else real->rollback(s);
  return STORE_UNKNOWN;
}

static enum store_rc lying_keys(struct store *s, const char *const *key, size_t n, struct key_row *out, uint8_t *got) {
  enum lie l = lie;
  if (l != KEYS_FREE && l != KEYS_HELD) return real->keys(s, key, n, out, got);
  lie = NO_LIE;
  memset(got, l == KEYS_HELD ? 2 : 0, n);
  return STORE_OK;
}

/* ---- requests ---- */
struct asked { struct req q; struct req_task one; struct req_start start[3]; uint8_t hash[KEY_HASH_BYTES]; int answers; };

static void answered(struct req *q, void *ctx) {
  (void)q;
  ((struct asked *)ctx)->answers++;
}

static void post(struct asked *a, const char *key, char body) {
  memset(a->hash, body, sizeof a->hash);
  a->q.key = key;
  a->q.key_hash = a->hash;
  a->q.done = answered;
  a->q.done_ctx = a;
  assert_true(runner_post(runner, &a->q));
}

static void start(struct asked *a, const char *key, char body, uint32_t n) {
  *a = (struct asked){.q = {.kind = REQ_START, .n_start = n}};
  a->q.start = a->start;
  for (uint32_t i = 0; i < n; i++) a->start[i].flow_id = flow_id;
  post(a, key, body);
}

static void exec_task(struct asked *a, const char *key, char body) {
  *a = (struct asked){.q = {.kind = REQ_EXEC_TASK, .n_task = 1}, .one = {.task_id = task_id}};
  a->q.task = &a->one;
  post(a, key, body);
}

static int64_t boot_now(void *ctx) { return (void)ctx, now; }

/* Turns until nothing waits. Pauses after a failure pass at once. */
static void turns(void) {
  for (int i = 0; i < 50; i++) {
    now += 10000000;
    (void)runner_turn(runner, now, now);
    if (!runner_pending(runner)) return;
  }
  fail_msg("it never ends");
}

static void is(const struct asked *a, enum wr_rc rc, bool replayed) {
  assert_int_equal(a->answers, 1);
  assert_int_equal(a->q.rc, rc);
  assert_int_equal(a->q.replayed, replayed);
}

static int64_t n_runs(void) {
  struct world w = {.s = store};
  struct list_filter f = ANY;
  return list_ins(&w, &f, (struct page){.limit = 1, .want_total = true}).total;
}

/* ---- facts ---- */
static void one_batch_starts_once(void **st) {
  struct asked a, b, c, other, bulk, task;
  int64_t before = n_runs();
  (void)st;
  start(&a, "one-batch", 'x', 1);
  start(&other, "another", 'x', 1);
  start(&b, "one-batch", 'x', 1);
  start(&c, "one-batch", 'y', 1);
  start(&bulk, "one-batch", 'x', 2); /* cannot have that hash; must not be believed */
  exec_task(&task, "one-batch", 'x');
  now += 1000;
  (void)runner_turn(runner, now, now);
  is(&a, WR_OK, false);
  is(&other, WR_OK, false);
  is(&b, WR_OK, true);
  is(&c, WR_KEY_REUSED, false);
  is(&bulk, WR_KEY_REUSED, false);
  is(&task, WR_KEY_REUSED, false);
  assert_int_equal(b.start[0].fi, a.start[0].fi);
  assert_int_not_equal(other.start[0].fi, a.start[0].fi);
  assert_int_equal(n_runs(), before + 2);
  turns();
}

static void later_batch_finds_it(void **st) {
  struct asked a, b, c;
  (void)st;
  start(&a, "later", 'x', 3);
  turns();
  is(&a, WR_OK, false);
  start(&b, "later", 'x', 3);
  start(&c, "later", 'y', 3);
  turns();
  is(&b, WR_OK, true);
  is(&c, WR_KEY_REUSED, false);
  for (int i = 0; i < 3; i++) assert_int_equal(b.start[i].fi, a.start[i].fi);
}

static void tasks_too(void **st) {
  struct asked a, b, c;
  (void)st;
  exec_task(&a, "a-task", 'x');
  exec_task(&b, "a-task", 'x');
  turns();
  exec_task(&c, "a-task", 'x');
  turns();
  is(&a, WR_OK, false);
  is(&b, WR_OK, true);
  is(&c, WR_OK, true);
  assert_int_equal(b.one.ti, a.one.ti);
  assert_int_equal(c.one.ti, a.one.ti);
}

static void refused_start_leaves_it_free(void **st) {
  struct asked a, b;
  (void)st;
  start(&a, "refused", 'x', 2);
  a.start[1].flow_id = 4711;
  start(&b, "refused", 'y', 1);
  turns();
  is(&a, WR_NOT_FOUND, false);
  is(&b, WR_OK, false);
}

static void lost_commit_that_was_done(void **st) {
  struct asked a, b;
  int64_t before = n_runs();
  (void)st;
  lie = COMMIT_DONE_UNKNOWN;
  start(&a, "lost-done", 'x', 1);
  turns();
  is(&a, WR_OK, false);
  start(&b, "lost-done", 'x', 1);
  turns();
  is(&b, WR_OK, true);
  assert_int_equal(b.start[0].fi, a.start[0].fi);
  assert_int_equal(n_runs(), before + 1);
}

static void lost_commit_that_was_not(void **st) {
  struct asked a, b;
  int64_t before = n_runs();
  (void)st;
  lie = COMMIT_UNDONE_UNKNOWN;
  start(&a, "lost-undone", 'x', 1);
  start(&b, "lost-undone", 'x', 1);
  turns();
  is(&a, WR_OK, false);
  is(&b, WR_OK, true);
  assert_int_equal(b.start[0].fi, a.start[0].fi);
  assert_int_equal(n_runs(), before + 1);
}

/* The look-up found nothing, then a rival committed: the whole batch is done again. */
static void faster_rival(void **st) {
  struct asked rival, a, b;
  int64_t before = n_runs();
  (void)st;
  start(&rival, "rival", 'x', 1);
  turns();
  lie = KEYS_FREE;
  start(&a, "rival", 'x', 1);
  start(&b, "no-rival", 'x', 1);
  turns();
  is(&a, WR_OK, true);
  is(&b, WR_OK, false);
  assert_int_equal(a.start[0].fi, rival.start[0].fi);
  assert_int_equal(n_runs(), before + 2);
}

static void held_elsewhere_waits_alone(void **st) {
  struct asked a, free;
  (void)st;
  lie = KEYS_HELD;
  start(&a, "held", 'x', 1);
  start(&free, NULL, 'x', 1);
  now += 1000;
  (void)runner_turn(runner, now, now);
  assert_int_equal(a.answers, 0);
  is(&free, WR_OK, false);
  turns();
  is(&a, WR_OK, false);
}

static void bulk_of_none_is_kept_too(void **st) {
  struct asked a, b, c;
  (void)st;
  start(&a, "none", 'x', 0);
  turns();
  start(&b, "none", 'x', 0);
  start(&c, "none", 'y', 1);
  turns();
  is(&a, WR_OK, false);
  is(&b, WR_OK, true);
  is(&c, WR_KEY_REUSED, false);
}

/* ---- set up ---- */
static uint8_t async(const char *type) {
  (void)type;
  return SLOT_ASYNC;
}

static int set_up(void **st) {
  struct wr_err err;
  struct flow_def *f;
  (void)st;
  store = file_store_open();
  real = store->ops;
  ops = *real;
  ops.commit = lying_commit;
  ops.keys = lying_keys;
  store->ops = &ops;
  f = flow_parse("f", NODE("a"));
  if (store_save_flow(store, f, -1, NULL, &err)) fail_msg("%s", err.msg);
  flow_id = f->flow_id;
  def_flow_unref(f);
  struct world w = {.s = store};
  task_id = task_save(&w, "t", "ECHO");
  defs = defs_new(store, async);
  const struct runner_opts o = {.store = store, .defs = defs, .info = {.host = "h", .pid = 1, .slots = 1, .roles = "runner"}, .seed = 7, .request_us = INT64_MAX / 4, .ports = {.boot_now = boot_now}};
  if (runner_new(&o, &runner, &err)) fail_msg("%s", err.msg);
  turns();
  return 0;
}

static int tear_down(void **st) {
  (void)st;
  runner_free(runner);
  defs_free(defs);
  file_store_close(store);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(one_batch_starts_once), cmocka_unit_test(later_batch_finds_it), cmocka_unit_test(tasks_too),
    cmocka_unit_test(refused_start_leaves_it_free), cmocka_unit_test(lost_commit_that_was_done),
    cmocka_unit_test(lost_commit_that_was_not), cmocka_unit_test(faster_rival), cmocka_unit_test(held_elsewhere_waits_alone),
    cmocka_unit_test(bulk_of_none_is_kept_too),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
