/* Limits on several nodes: a stand-alone task that is made starts in the same commit, as far as its limits have room. */
#include "cluster.h"

enum { MOST = 4 };
static int64_t definition;
static int n_answered;
static void told(struct req *q, void *ctx) { (void)q, (void)ctx, n_answered++; }

struct made { struct req q; struct req_task task[MOST]; struct async_spec spec; struct queue_spec queue; };

/* Tasks of user u, in one request. */
static void post(struct member *x, struct made *d, uint32_t n) {
  *d = (struct made){.q = {.kind = REQ_EXEC_TASK, .n_task = n, .done = told}, .queue = {.user = (char *)(uintptr_t)"u"}};
  d->q.task = d->task;
  d->spec.queue = &d->queue;
  for (uint32_t i = 0; i < n; i++) d->task[i] = (struct req_task){.task_id = definition, .spec = &d->spec};
  assert_true(runner_post(x->r, &d->q));
}

static void submit(struct member *x, struct made *d, uint32_t n) {
  int before = n_answered;
  post(x, d, n);
  turns(x);
  assert_int_equal(n_answered, before + 1);
  assert_int_equal(d->q.rc, WR_OK);
}

static struct queue_row row(const char *user) {
  return (struct queue_row){.user = user, .group = "", .max_running = -1, .rate_count = -1, .rate_per_us = -1, .weight = -1, .order = -1, .paused = -1};
}

static void limit(const char *user, int64_t most) {
  struct queue_row r = row(user);
  r.max_running = most;
  assert_true(memdb_set_queue(db, &r));
}

static void begin(void) {
  definition = memdb_save_task(db, 0, "{\"taskName\":\"t\",\"taskType\":\"ECHO\"}");
  n_answered = 0;
}

static bool runs(const struct made *d, uint32_t i) { return memdb_task(db, d->task[i].ti)->r.t.state == TASK_RUNNING; }

static void what_is_made_starts_in_the_same_commit(void **st) {
  struct member *a = join(0, 0, 10), *b = join(1, 0, 10);
  struct made one, three;
  (void)st;
  begin();
  limit("u", 2);
  turns(a);
  submit(b, &one, 1);
  assert_int_equal(b->n_work, 1);
  memset(a->calls, 0, sizeof a->calls);
  post(a, &three, 3);
  one_turn(a);
  assert_int_equal(a->calls[MEM_WRITE], 1);
  assert_int_equal(a->calls[MEM_LOCK], 1); /* the row of the limit */
  assert_int_equal(a->n_work, 1); /* what the other node runs counts */
  assert_int_equal(runs(&three, 0) + runs(&three, 1) + runs(&three, 2), 1);
  assert_int_equal(n_hint, 2);
  assert_non_null(memdb_note(db, three.task[0].ti));
  assert_null(memdb_note(db, three.task[1].ti));
  finish_work(a);
  turns(a);
  assert_null(memdb_note(db, three.task[0].ti));
}

/* A rate is taken from by the commit that makes the task. */
static void what_is_made_takes_from_the_rate(void **st) {
  struct member *a = join(0, 0, 10), *b = join(1, 0, 10);
  struct queue_row r = row("u");
  struct made two, one;
  (void)st;
  begin();
  r.rate_count = 3;
  r.rate_per_us = 3600 * SEC;
  assert_true(memdb_set_queue(db, &r));
  submit(a, &two, 2);
  assert_int_equal(a->n_work, 2);
  submit(b, &one, 2);
  assert_int_equal(b->n_work, 1);
  assert_int_equal(n_hint, 1);
}

/* The attempts at hand come back; run_us 0: they have never begun. */
static void hand_back(struct member *x, int64_t run_us) {
  struct attempt *list = x->work;
  for (struct attempt *a = list; a; a = a->next) a->end = ATTEMPT_HANDBACK, a->run_us = run_us;
  x->work = NULL;
  x->tail = &x->work;
  x->n_work = 0;
  runner_post_results(x->r, list);
}

/* A claim that came to nothing was no start. One that ran, and was told to stop, was. */
static void what_never_began_gives_its_rate_back(void **st) {
  struct member *a = join(0, 10, 0), *b = join(1, 10, 0);
  struct queue_row r = row("u");
  struct made one;
  (void)st;
  definition = memdb_save_task(db, 0, "{\"taskName\":\"t\",\"taskType\":\"SHELL\",\"taskContent\":\"true\"}");
  r.rate_count = 1;
  r.rate_per_us = 3600 * SEC;
  assert_true(memdb_set_queue(db, &r));
  submit(a, &one, 1);
  assert_int_equal(a->n_work, 1);
  for (int i = 0; i < 3; i++) {
    hand_back(a->n_work ? a : b, 0);
    for (int k = 0; k < 20 && a->n_work + b->n_work == 0; k++, now += SEC / 10) turns(a), turns(b), hand_hints(k & 1 ? b : a);
    assert_int_equal(a->n_work + b->n_work, 1);
  }
  hand_back(a->n_work ? a : b, SEC);
  for (int k = 0; k < 20; k++, now += SEC / 10) turns(a), turns(b), hand_hints(k & 1 ? b : a);
  assert_int_equal(a->n_work + b->n_work, 0);
}

/* What waits for room starts before what is made later, whoever made the room. */
static void what_a_limit_holds_back_is_not_overtaken(void **st) {
  struct member *a = join(0, 0, 10), *b = join(1, 0, 10);
  struct made first, waits, later;
  (void)st;
  begin();
  limit("", 1);
  turns(a);
  submit(b, &first, 1);
  submit(a, &waits, 1);
  assert_int_equal(a->n_work, 0);
  hand_hints(a);
  turns(a);
  assert_int_equal(a->n_work, 0);
  finish_work(b);
  turns(b);
  post(a, &later, 1); /* before a knows that there is room */
  one_turn(a);
  assert_false(runs(&later, 0));
  for (int i = 0; i < 20 && a->n_work == 0; i++, now += SEC / 10) turns(a);
  assert_int_equal(a->n_work, 1);
  assert_int_equal(a->work->ti, waits.task[0].ti);
}

/* A full node has nothing to gain from the lock, nor has a task that does not start at once. */
static void only_what_may_start_locks_limits(void **st) {
  struct member *a = join(0, 0, 1);
  struct made d;
  (void)st;
  begin();
  limit("u", 100);
  turns(a);
  submit(a, &d, 2);
  assert_int_equal(a->n_work, 1);
  memset(a->calls, 0, sizeof a->calls);
  submit(a, &d, 2);
  assert_int_equal(a->calls[MEM_LOCK], 0);
  finish_work(a);
  turns(a);
  memset(a->calls, 0, sizeof a->calls);
  post(a, &d, 2);
  d.spec.hold = true;
  turns(a);
  assert_int_equal(a->calls[MEM_LOCK], 0);
}

/* Somebody keeps the row of a limit locked. One batch waits for it. Then tasks are made at once, and wait for their turn. */
static void locked_limit_stops_no_submit(void **st) {
  struct member *a = join(0, 0, 100);
  struct made d;
  (void)st;
  begin();
  limit("u", 100);
  turns(a);
  assert_true(memdb_hold(db, MEM_ROW_QUEUE, 1));
  int64_t since = now;
  for (int i = 0; i < 5; i++) {
    post(a, &d, 2);
    for (int k = 0; k < 100 && n_answered <= i; k++, now += SEC / 100) one_turn(a);
    assert_int_equal(n_answered, i + 1);
    assert_int_equal(d.q.rc, WR_OK);
  }
  assert_true(now - since < 4 * SEC);
  assert_int_equal(a->n_work, 0);
  assert_int_equal(n_hint, 10);
  memdb_release(db);
  now += 11 * SEC;
  turns(a); /* it finds the ten in their rows */
  post(a, &d, 2);
  one_turn(a);
  assert_true(runs(&d, 0) && runs(&d, 1));
}

int main(void) {
#define CLUSTER(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
  const struct CMUnitTest tests[] = {
    CLUSTER(what_is_made_starts_in_the_same_commit), CLUSTER(what_is_made_takes_from_the_rate),
    CLUSTER(what_never_began_gives_its_rate_back),
    CLUSTER(what_a_limit_holds_back_is_not_overtaken), CLUSTER(only_what_may_start_locks_limits),
    CLUSTER(locked_limit_stops_no_submit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
