/* Rows that another process has locked: only events that need them wait, other commands are stored at once, and when the rows are
 * free again all goes on. */
#include "cluster.h"
#include "health.h"

static uint32_t waits(const struct member *x) { return x->calls[MEM_WAIT]; }

/* A request that does not wait for an answer here. */
static int posted;
static void start_one(struct member *x, struct req *q, struct req_start *st, int64_t flow) {
  *st = (struct req_start){.flow_id = flow};
  *q = (struct req){.kind = REQ_START, .start = st, .n_start = 1, .done = answered, .done_ctx = &posted};
  posted = 0;
  assert_true(runner_post(x->r, q));
}

static int64_t first_task(int64_t fi) {
  const struct map64_slot *s;
  int64_t ti = 0;
  for (size_t i = 0; (s = map64_next(&db->task, &i)) != NULL;)
    if (((struct mem_task *)s->val)->r.fi == fi && (ti == 0 || s->key < ti)) ti = s->key;
  return ti;
}

static void until_all_final(struct member *x, int64_t seconds) {
  for (int64_t end = now + seconds * SEC; now < end && !all_final(); now += SEC / 10) {
    finish_work(x);
    one_turn(x);
  }
  assert_true(all_final());
}

/* Results of n flows, of which one task each is locked. */
static int64_t with_locked_tasks(struct member *x, int64_t flow, uint32_t n) {
  pass(1, 0, 1);
  int64_t fi = start(x, flow, n);
  for (uint32_t i = 0; i < n; i++) assert_true(memdb_hold(db, MEM_ROW_TASK, first_task(fi + i)));
  finish_work(x);
  return fi;
}

static void start_goes_on_beside_locked_tasks(void **st) {
  struct member *a = join(0, 0, 60);
  int64_t flow = memdb_save_flow(db, 0, CHAIN, 2);
  (void)st;
  with_locked_tasks(a, flow, 50);
  for (int i = 0; i < 20; i++) {
    start(a, flow, 1); /* answered OK within its turns */
    now += SEC;
  }
  assert_true(waits(a) <= 45); /* one wait in vain shows all locked rows */
  struct health_part store, disk;
  runner_health(a->r, &store, &disk);
  assert_true(store.ok);
  memdb_release(db);
  until_all_final(a, 3);
}

static void start_goes_on_beside_locked_heads(void **st) {
  struct member *a = join(0, 0, 600);
  int64_t flow = memdb_save_flow(db, 0, CHAIN, 2);
  (void)st;
  pass(1, 0, 1);
  int64_t fi = start(a, flow, 500);
  for (int i = 0; i < 500; i++) assert_true(memdb_hold(db, MEM_ROW_FLOW, fi + i));
  finish_work(a);
  for (int64_t end = now + 60 * SEC; now < end; now += SEC / 10) one_turn(a);
  struct req q;
  struct req_start s;
  start_one(a, &q, &s, flow);
  for (int i = 0; i < 3 && !posted; i++) one_turn(a); /* it does not wait for each of those that wait */
  assert_int_equal(posted, 1);
  assert_int_equal(q.rc, WR_OK);
  memdb_release(db);
  until_all_final(a, 3);
}

static void scans_do_not_pile_up_what_waits(void **st) {
  struct member *a = join(0, 0, 10);
  int64_t flow = memdb_save_flow(db, 0, CHAIN, 2);
  struct runner_stats before, after;
  (void)st;
  pass(1, 0, 1);
  int64_t fi = start(a, flow, 200);
  for (int i = 0; i < 200; i++) assert_true(memdb_hold(db, MEM_ROW_FLOW, fi + i));
  pass(200, 0, 1);
  runner_stats(a->r, &before);
  memdb_release(db);
  pass(2, 0, 1);
  runner_stats(a->r, &after);
  assert_true(after.events - before.events < 2000); /* two hundred rows, looked at twenty times */
}

static void locked_definition_holds_up_its_starts_only(void **st) {
  struct member *a = join(0, 0, 10);
  int64_t one = memdb_save_flow(db, 0, CHAIN, 2), two = memdb_save_flow(db, 0, CHAIN, 2);
  struct req q;
  struct req_start s;
  (void)st;
  pass(1, 0, 1);
  assert_true(memdb_hold(db, MEM_ROW_DEF, one));
  start_one(a, &q, &s, one);
  for (int i = 0; i < 15; i++) {
    start(a, two, 1);
    now += SEC / 2;
  }
  assert_int_equal(posted, 0);
  memdb_release(db);
  pass(2, 0, 1);
  assert_int_equal(posted, 1);
  assert_int_equal(q.rc, WR_OK);
}

/* Nothing is stored for its sake, and nobody has said that the store is away. */
static void ready_is_not_said_while_starts_wait(void **st) {
  struct member *a = join(0, 0, 10);
  int64_t flow = memdb_save_flow(db, 0, CHAIN, 2);
  struct health_part store, disk;
  struct req q;
  struct req_start s;
  (void)st;
  pass(1, 0, 1);
  assert_true(memdb_hold(db, MEM_ROW_DEF, flow));
  start_one(a, &q, &s, flow);
  pass(5, 0, 1);
  runner_health(a->r, &store, &disk);
  assert_false(store.ok);
  assert_non_null(strstr(store.why, "wait"));
  pass(7, 0, 1);
  assert_int_equal(posted, 1);
  assert_int_equal(q.rc, WR_DB_UNAVAILABLE);
  memdb_release(db);
  start(a, flow, 1);
  one_turn(a);
  runner_health(a->r, &store, &disk);
  assert_true(store.ok);
}

/* The turn that stores what has waited is the last one for a while: what it said before does not stand until the next. */
static void ready_is_said_again_with_the_first_that_is_stored(void **st) {
  struct member *a = join(0, 0, 10);
  int64_t flow = memdb_save_flow(db, 0, CHAIN, 2);
  struct health_part store, disk;
  struct req q;
  struct req_start s;
  (void)st;
  pass(1, 0, 1);
  assert_true(memdb_hold(db, MEM_ROW_DEF, flow));
  start_one(a, &q, &s, flow);
  pass(5, 0, 1);
  runner_health(a->r, &store, &disk);
  assert_false(store.ok);
  memdb_release(db);
  for (int i = 0; i < 20 && !posted; i++, now += SEC / 10) one_turn(a);
  assert_int_equal(q.rc, WR_OK);
  runner_health(a->r, &store, &disk);
  assert_true(store.ok);
}

/* No request waits any more after the last has been refused, and the next turn may be far away. */
static void ready_is_said_again_with_the_last_that_is_refused(void **st) {
  struct member *a = join(0, 0, 10);
  int64_t flow = memdb_save_flow(db, 0, CHAIN, 2);
  struct health_part store, disk;
  struct req q;
  struct req_start s;
  (void)st;
  pass(1, 0, 1);
  assert_true(memdb_hold(db, MEM_ROW_DEF, flow));
  start_one(a, &q, &s, flow);
  for (int i = 0; i < 600 && !posted; i++, now += SEC / 10) one_turn(a);
  assert_int_equal(q.rc, WR_DB_UNAVAILABLE);
  runner_health(a->r, &store, &disk);
  assert_true(store.ok);
}

/* A request that is sent while the runner waits for a lock. */
static struct req meanwhile;
static struct req_task meanwhile_task;
static bool sent;
static enum mem_fate (*call)(void *ctx, void *node, enum mem_call what, const struct batch *b);
static enum mem_fate send_meanwhile(void *ctx, void *node, enum mem_call what, const struct batch *b) {
  if (what == MEM_WAIT && !sent) sent = runner_post(((struct member *)node)->r, &meanwhile);
  return call(ctx, node, what, b);
}

/* The server cannot say who holds a gap: each try costs a wait, but at most one while other commands can be stored. */
static void closed_table_does_not_stop_other_tables(void **st) {
  struct member *a = join(0, 0, 10);
  int64_t task = memdb_save_task(db, 0, "{\"taskName\":\"t\",\"taskType\":\"ECHO\"}");
  (void)st;
  pass(1, 0, 1);
  start(a, memdb_save_flow(db, 0, CHAIN, 2), 5);
  db->closed[MEM_ROW_NODE] = true; /* only the gap is locked: the rows are free */
  finish_work(a); /* each makes a node */
  for (int64_t end = now + 60 * SEC; now < end; now += SEC / 10) one_turn(a);
  call = db->hooks.call;
  db->hooks.call = send_meanwhile;
  for (int i = 0; i < 30; i++) {
    meanwhile_task = (struct req_task){.task_id = task};
    meanwhile = (struct req){.kind = REQ_EXEC_TASK, .task = &meanwhile_task, .n_task = 1, .done = answered, .done_ctx = &posted};
    int64_t before = now;
    posted = 0;
    for (sent = false; !posted && now - before < 30 * SEC; now += SEC / 50) one_turn(a);
    assert_int_equal(posted, 1);
    assert_int_equal(meanwhile.rc, WR_OK);
    assert_true(now - before < 8 * SEC);
  }
  db->hooks.call = call;
  memdb_release(db);
  until_all_final(a, 5);
}

static void lone_task_that_is_locked_waits(void **st) {
  struct member *a = join(0, 0, 10);
  (void)st;
  pass(1, 0, 1);
  struct req_task one = {.task_id = memdb_save_task(db, 0, "{\"taskName\":\"t\",\"taskType\":\"ECHO\"}")};
  struct req q = {.kind = REQ_EXEC_TASK, .task = &one, .n_task = 1};
  request(a, &q);
  assert_true(memdb_hold(db, MEM_ROW_TASK, one.ti));
  finish_work(a);
  pass(100, 0, 1);
  assert_int_equal(memdb_task(db, one.ti)->r.t.state, TASK_RUNNING);
  memdb_release(db);
  pass(2, 0, 1);
  assert_int_equal(memdb_task(db, one.ti)->r.t.state, TASK_SUCCESS);
}

/* A replayed request needs no lock on the rows that its key names. */
static void repeat_is_answered_whoever_holds_the_flow(void **st) {
  static const uint8_t hash[KEY_HASH_BYTES] = {1};
  struct member *a = join(0, 0, 10);
  struct req q[2];
  struct req_start s[2];
  int64_t flow = memdb_save_flow(db, 0, CHAIN, 2);
  (void)st;
  pass(1, 0, 1);
  for (int i = 0; i < 2; i++) {
    s[i] = (struct req_start){.flow_id = flow};
    q[i] = (struct req){.kind = REQ_START, .start = &s[i], .n_start = 1, .key = "k", .key_hash = hash, .done = answered, .done_ctx = &posted};
  }
  request(a, &q[0]);
  assert_true(memdb_hold(db, MEM_ROW_TASK, first_task(s[0].fi)));
  finish_work(a);
  pass(5, 0, 1);
  now += 2 * SEC; /* the result comes again, in the batch of the repeat */
  posted = 0;
  q[1].done_ctx = &posted;
  assert_true(runner_post(a->r, &q[1]));
  for (int i = 0; i < 3 && !posted; i++) one_turn(a);
  assert_int_equal(posted, 1);
  assert_int_equal(s[1].fi, s[0].fi);
  memdb_release(db);
  until_all_final(a, 3);
}

int main(void) {
#define CLUSTER(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
  const struct CMUnitTest tests[] = {
    CLUSTER(start_goes_on_beside_locked_tasks), CLUSTER(start_goes_on_beside_locked_heads), CLUSTER(scans_do_not_pile_up_what_waits),
    CLUSTER(locked_definition_holds_up_its_starts_only), CLUSTER(ready_is_not_said_while_starts_wait), CLUSTER(ready_is_said_again_with_the_first_that_is_stored),
    CLUSTER(ready_is_said_again_with_the_last_that_is_refused),
    CLUSTER(closed_table_does_not_stop_other_tables), CLUSTER(lone_task_that_is_locked_waits),
    CLUSTER(repeat_is_answered_whoever_holds_the_flow),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
