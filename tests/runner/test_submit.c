/* Submits of stand-alone tasks and wishes about them that share a batch: names (taskKey), all or nothing, deletions. */
#include "cluster.h"

static int64_t definition;
static int n_answered;
static void told(struct req *q, void *ctx) { (void)q, (void)ctx, n_answered++; }

/* Requests of one test: posted together, so that one batch takes them all. */
struct made { struct req q; struct req_task task[3]; struct async_spec spec[3]; };

static void submit(struct member *x, struct made *d, uint32_t n, const char *key, uint8_t content) {
  *d = (struct made){.q = {.kind = REQ_EXEC_TASK, .n_task = n, .done = told}};
  d->q.task = d->task;
  for (uint32_t i = 0; i < n; i++) {
    d->task[i] = (struct req_task){.task_id = definition, .spec = &d->spec[i]};
    d->spec[i].hold = true;
  }
  d->spec[n - 1].key = (char *)(uintptr_t)key;
  memset(d->spec[n - 1].hash, content, sizeof d->spec[n - 1].hash);
  assert_true(runner_post(x->r, &d->q));
}

struct wished { struct req q; struct req_ask ask; struct req_asked of[3]; };

static void post_wish(struct member *x, struct wished *d, enum ask ask, const int64_t *ti, uint32_t n, bool each) {
  *d = (struct wished){.q = {.kind = REQ_ASK, .done = told}, .ask = {.ask = ask, .each = each, .n = n}};
  d->q.ask = &d->ask;
  d->ask.of = d->of;
  for (uint32_t i = 0; i < n; i++) d->of[i].ti = ti[i];
  assert_true(runner_post(x->r, &d->q));
}

static void wish(struct member *x, struct wished *d, enum ask ask, const int64_t *ti, uint32_t n) {
  post_wish(x, d, ask, ti, n, n > 1);
}
static void wish_each(struct member *x, struct wished *d, enum ask ask, const int64_t *ti, uint32_t n) {
  post_wish(x, d, ask, ti, n, true);
}

static struct member *begin(void) {
  struct member *x = join(0, 0, 10);
  definition = memdb_save_task(db, 0, "{\"taskName\":\"t\",\"taskType\":\"ECHO\"}");
  n_answered = 0;
  return x;
}

static void one_name_is_one_task(void **st) {
  struct member *x = begin();
  struct made a, b, c, d;
  (void)st;
  submit(x, &a, 1, "name", 1);
  submit(x, &b, 1, "name", 1);
  submit(x, &c, 1, "name", 2);
  submit(x, &d, 1, "another", 2);
  one_turn(x);
  assert_int_equal(n_answered, 4);
  assert_int_equal(a.q.rc, WR_OK);
  assert_false(a.task[0].replayed);
  assert_true(b.task[0].replayed);
  assert_int_equal(b.task[0].ti, a.task[0].ti);
  assert_int_equal(c.q.rc, WR_KEY_REUSED);
  assert_int_equal(d.q.rc, WR_OK);
  assert_int_not_equal(d.task[0].ti, a.task[0].ti);
  submit(x, &b, 1, "name", 1);
  turns(x);
  assert_int_equal(b.task[0].ti, a.task[0].ti);
}

/* What a refused request had taken is free for the next one of the same batch. */
static void refused_ones_take_no_name(void **st) {
  struct member *x = begin();
  struct made there, bad, good;
  (void)st;
  submit(x, &there, 1, "there", 1);
  turns(x);
  size_t rows = db->task.n;
  submit(x, &bad, 3, "there", 2);
  bad.spec[0].key = (char *)(uintptr_t)"wanted";
  submit(x, &good, 1, "wanted", 9);
  one_turn(x);
  assert_int_equal(bad.q.rc, WR_KEY_REUSED);
  assert_int_equal(good.q.rc, WR_OK);
  assert_false(good.task[0].replayed);
  assert_int_equal(db->task.n, rows + 1);
}

static void twice_in_one_request_is_once(void **st) {
  struct member *x = begin();
  struct made a;
  (void)st;
  submit(x, &a, 3, "twice", 1);
  a.spec[0].key = (char *)(uintptr_t)"twice";
  memcpy(a.spec[0].hash, a.spec[2].hash, sizeof a.spec[0].hash);
  a.spec[2].if_exists = IF_EXISTS_FAIL;
  one_turn(x);
  assert_int_equal(a.q.rc, WR_OK);
  assert_int_equal(a.task[0].ti, a.task[2].ti);
  assert_int_not_equal(a.task[0].ti, a.task[1].ti);
}

/* The batch that deletes a task still has its name: the submit waits for the next one, and makes another task. */
static void deleted_name_is_free_in_the_next_batch(void **st) {
  struct member *x = begin();
  struct made a, b;
  struct wished w, again;
  (void)st;
  submit(x, &a, 1, "name", 1);
  turns(x);
  int64_t ti = a.task[0].ti;
  wish(x, &w, ASK_DELETE, &ti, 1);
  wish(x, &again, ASK_RUN, &ti, 1);
  submit(x, &b, 1, "name", 2);
  one_turn(x);
  assert_int_equal(w.q.rc, WR_OK);
  assert_true(w.of[0].changed);
  assert_int_equal(again.q.rc, WR_NOT_FOUND);
  turns(x);
  assert_int_equal(b.q.rc, WR_OK);
  assert_false(b.task[0].replayed);
  assert_int_not_equal(b.task[0].ti, ti);
  assert_null(memdb_task(db, ti));
}

static void each_of_many_has_its_answer(void **st) {
  struct member *x = begin();
  struct made a;
  struct wished w;
  (void)st;
  submit(x, &a, 2, "name", 1);
  turns(x);
  const int64_t ti[] = {a.task[0].ti, 999999, a.task[1].ti};
  wish(x, &w, ASK_CANCEL, ti, 1);
  turns(x);
  wish(x, &w, ASK_PAUSE, ti, 3);
  turns(x);
  assert_int_equal(w.q.rc, WR_OK);
  assert_int_equal(w.of[0].rc, WR_ALREADY_FINISHED);
  assert_string_equal(w.of[0].state, "CANCELED");
  assert_int_equal(w.of[1].rc, WR_NOT_FOUND);
  assert_int_equal(w.of[2].rc, WR_OK);
  assert_false(w.of[2].changed); /* CREATED waits for a user as it is */
  wish(x, &w, ASK_PAUSE, ti, 1);
  turns(x);
  assert_int_equal(w.q.rc, WR_ALREADY_FINISHED); /* of one, the answer is the request's */
  for (int i = 0; i < 2; i++) {
    wish_each(x, &w, ASK_PAUSE, &ti[i], 1);
    turns(x);
    assert_int_equal(w.q.rc, WR_OK); /* of many that happen to be one, it is not */
    assert_int_equal(w.of[0].rc, i == 0 ? WR_ALREADY_FINISHED : WR_NOT_FOUND);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test_setup_teardown(one_name_is_one_task, set_up, tear_down),
    cmocka_unit_test_setup_teardown(one_name_is_one_task, set_up_single, tear_down),
    cmocka_unit_test_setup_teardown(refused_ones_take_no_name, set_up, tear_down),
    cmocka_unit_test_setup_teardown(twice_in_one_request_is_once, set_up, tear_down),
    cmocka_unit_test_setup_teardown(deleted_name_is_free_in_the_next_batch, set_up, tear_down),
    cmocka_unit_test_setup_teardown(deleted_name_is_free_in_the_next_batch, set_up_single, tear_down),
    cmocka_unit_test_setup_teardown(each_of_many_has_its_answer, set_up, tear_down),
    cmocka_unit_test_setup_teardown(each_of_many_has_its_answer, set_up_single, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
