/* Flows whose rows the store refuses are set aside and tried again; the results of others are kept. */
#include "cluster.h"
#include "runner_int.h"

/* The result of a flow's first task is refused; another flow goes on. */
static int64_t aside(struct member *x) {
  int64_t flow = memdb_save_flow(db, 0, CHAIN, 2), fi = start(x, flow, 1);
  bad_fi = fi;
  finish_work(x);
  turns(x);
  assert_true(runner_set_aside(x->r, fi));
  start(x, flow, 1);
  for (int i = 0; i < 2; i++) {
    finish_work(x);
    turns(x);
  }
  assert_int_equal(memdb_flow(db, fi + 1)->r.state, FLOW_SUCCESS);
  return fi;
}

static void set_aside_is_tried_again(void **st) {
  struct member *a = join(0, 0, 2);
  (void)st;
  turns(a);
  int64_t fi = aside(a);
  pass(100, 0, 1); /* again, longer each time */
  assert_true(runner_set_aside(a->r, fi));
  assert_int_equal(a->n_work, 0);
  bad_fi = 0;
  pass(150, 0, 1);
  assert_false(runner_set_aside(a->r, fi));
  assert_int_equal(a->n_work, 1); /* the second node: its first result was kept */
  finish_work(a);
  turns(a);
  assert_int_equal(memdb_flow(db, fi)->r.state, FLOW_SUCCESS);
}

static void cancel_ends_what_was_set_aside(void **st) {
  struct member *a = join(0, 0, 2);
  (void)st;
  turns(a);
  int64_t fi = aside(a), before = now;
  struct req q = {.kind = REQ_CANCEL_FLOW, .fi = fi, .done = answered, .done_ctx = &(int){0}};
  assert_true(runner_post(a->r, &q));
  turns(a);
  assert_int_equal(q.rc, WR_QUARANTINED); /* it is still refused */
  bad_fi = 0;
  request(a, &(struct req){.kind = REQ_CANCEL_FLOW, .fi = fi});
  turns(a);
  assert_false(runner_set_aside(a->r, fi));
  assert_true(flow_final((enum flow_state)memdb_flow(db, fi)->r.state));
  assert_true(now - before < SEC);
}

/* The first task of a flow has ended, and no result can be stored. */
static int64_t with_a_bad_result(struct member *a) {
  turns(a);
  int64_t fi = start(a, memdb_save_flow(db, 0, CHAIN, 2), 1);
  bad_result = true;
  finish_work(a);
  return fi;
}

static void result_that_is_never_stored_is_a_failure(void **st) {
  struct member *a = join(0, 0, 2);
  (void)st;
  int64_t fi = with_a_bad_result(a);
  pass(500, 0, 1);
  assert_false(runner_set_aside(a->r, fi));
  assert_int_equal(memdb_flow(db, fi)->r.state, FLOW_FAILED);
  assert_string_equal(memdb_flow(db, fi)->r.error, "node n1: The database refuses its result.");
}

/* A fault of the whole server that looks like a fault of each row: it may not turn any result into a failure. */
static void lasting_fault_of_the_server_spares_results(void **st) {
  struct member *a = join(0, 0, 3);
  (void)st;
  turns(a);
  int64_t fi = start(a, memdb_save_flow(db, 0, CHAIN, 2), 2);
  struct req_task one = {.task_id = memdb_save_task(db, 0, "{\"taskName\":\"t\",\"taskType\":\"ECHO\"}")};
  struct req q = {.kind = REQ_EXEC_TASK, .task = &one, .n_task = 1};
  request(a, &q);
  bad_end = true;
  finish_work(a);
  pass(1500, 0, 1);
  bad_end = false;
  pass(700, 0, 1);
  for (int i = 0; i < 3; i++) {
    finish_work(a);
    pass(30, 0, 1);
  }
  assert_int_equal(memdb_flow(db, fi)->r.state, FLOW_SUCCESS);
  assert_int_equal(memdb_flow(db, fi + 1)->r.state, FLOW_SUCCESS);
  assert_int_equal(memdb_task(db, one.ti)->r.t.state, TASK_SUCCESS);
  assert_int_equal(memdb_task(db, one.ti)->r.t.losses, 0);
}

/* The store is away whenever the trial begins: earlier refusals still count. */
static void outages_do_not_renew_its_chances(void **st) {
  struct member *a = join(0, 0, 2);
  (void)st;
  int64_t fi = with_a_bad_result(a);
  turns(a);
  for (int i = 0; i < 6; i++) {
    gone = true;
    for (int64_t end = now + (40LL << i) * SEC; now < end; now += SEC) one_turn(a);
    gone = false;
    for (int k = 0; k < 20; k++, now += SEC) one_turn(a); /* the pause passes */
  }
  assert_int_equal(memdb_flow(db, fi)->r.state, FLOW_FAILED);
}

/* The result of a neighbour waits with it, and is stored unchanged. */
static void only_the_result_that_is_refused_is_given_up(void **st) {
  static const char *const echo[] = {"ECHO"};
  struct member *a = join(0, 0, 2);
  (void)st;
  turns(a);
  int64_t fi = start(a, wide_flow(2, echo, 1), 1), good = a->work->next->ti;
  bad_ti = a->work->ti;
  finish_work(a);
  pass(500, 0, 1);
  assert_false(runner_set_aside(a->r, fi));
  assert_int_equal(memdb_task(db, bad_ti)->r.t.state, TASK_FAILED);
  assert_int_equal(memdb_task(db, good)->r.t.state, TASK_SUCCESS);
}

/* Turns until a failure stands in for the result, in front of the batch. */
static void until_it_stands_in(struct member *a) {
  const struct events *l = &a->r->events;
  for (int64_t end = now + 600 * SEC; now < end && !(l->n > 0 && l->v[0].spare); now += SEC / 100) one_turn(a);
  assert_true(l->n > 0 && l->v[0].spare);
}

/* The failure could not be stored in that moment, because another process held the flow: the result counts when the store accepts
 * it again. */
static void held_while_a_failure_stands_in(void **st) {
  struct member *a = join(0, 0, 2);
  (void)st;
  int64_t fi = with_a_bad_result(a);
  until_it_stands_in(a);
  assert_true(memdb_hold(db, MEM_ROW_FLOW, fi));
  one_turn(a);
  bad_result = false;
  memdb_release(db);
  for (int i = 0; i < 3; i++) {
    pass(30, 0, 1);
    finish_work(a);
  }
  pass(30, 0, 1);
  assert_int_equal(memdb_flow(db, fi)->r.state, FLOW_SUCCESS);
}

/* The node is declared dead in between: everything is forgotten, also the result that was put by (ASan would tell). */
static void fenced_while_a_failure_stands_in(void **st) {
  struct member *a = join(0, 0, 2);
  (void)st;
  int64_t fi = with_a_bad_result(a), me = runner_incarnation(a->r);
  const struct events *l = &a->r->events;
  until_it_stands_in(a);
  memdb_member(db, me)->state = MEMBER_DEAD;
  now = a->r->lease.renew_at; /* the next turn begins with a renewal */
  one_turn(a);
  assert_int_not_equal(runner_incarnation(a->r), me);
  assert_int_equal(l->n, 0);
  bad_result = false;
  for (int i = 0; i < 3; i++) {
    pass(30, 0, 1);
    finish_work(a);
  }
  pass(30, 0, 1);
  assert_int_equal(memdb_flow(db, fi)->r.state, FLOW_SUCCESS);
}

/* A run timeout rings once. */
static void timeout_of_what_was_set_aside_is_kept(void **st) {
  static const char *const echo[] = {"ECHO"};
  struct member *a = join(0, 0, 2);
  (void)st;
  turns(a);
  int64_t fi = start(a, wide_flow(2, echo, 1), 1);
  struct attempt *other = a->work->next;
  a->work->next = NULL;
  bad_fi = fi;
  finish_work(a);
  turns(a);
  assert_true(runner_set_aside(a->r, fi));
  runner_post_timeout(a->r, fi, other->ti, other->epoch);
  turns(a);
  bad_fi = 0;
  pass(20, 0, 1);
  assert_false(runner_set_aside(a->r, fi));
  assert_int_equal(memdb_task(db, other->ti)->r.t.state, TASK_CANCELING);
  attempt_free(other);
}

static void what_another_node_has_ended_is_aside_no_more(void **st) {
  struct member *a = join(0, 0, 2), *b = join(1, 0, 2), *c = join(2, 0, 0);
  (void)st;
  pass(1, 0, 3);
  int64_t fi = bad_fi = start(c, memdb_save_flow(db, 0, CHAIN, 2), 1);
  hand_hints(a);
  turns(a);
  bad_fi = 0;
  n_hint = 1; /* once more */
  hand_hints(b);
  for (int step = 0; step < 2; step++) {
    finish_work(b);
    turns(b);
  }
  assert_true(all_final());
  assert_true(runner_set_aside(a->r, fi)); /* it does not know */
  pass(40, 0, 2);
  assert_false(runner_set_aside(a->r, fi));
}

/* The hints of these flows are out: only hints of the flow on trial are sent again. */
static void a_trial_leaves_other_flows_alone(void **st) {
  struct member *a = join(0, 0, 2);
  (void)st;
  turns(a);
  (void)aside(a);
  pass(13, 0, 1);
  start(a, memdb_save_flow(db, 0, CHAIN, 2), 5);
  assert_int_equal(a->n_work, 2);
  assert_int_equal(a->pushed, 3);
  bad_fi = 0;
  pass(4, 0, 1); /* the trial */
  assert_int_equal(a->pushed, 4);
}

/* A stand-alone task is never set aside: its result waits alone. */
static void lone_result_that_is_never_stored_is_a_failure(void **st) {
  struct member *a = join(0, 0, 2);
  (void)st;
  turns(a);
  struct req_task one = {.task_id = memdb_save_task(db, 0, "{\"taskName\":\"t\",\"taskType\":\"ECHO\"}")};
  struct req q = {.kind = REQ_EXEC_TASK, .task = &one, .n_task = 1};
  request(a, &q);
  bad_result = true;
  finish_work(a);
  pass(20, 0, 1);
  assert_int_equal(memdb_task(db, one.ti)->r.t.state, TASK_RUNNING);
  pass(100, 0, 1);
  assert_int_equal(memdb_task(db, one.ti)->r.t.state, TASK_FAILED);
  assert_string_equal(memdb_task(db, one.ti)->r.error, "The database refuses its result.");
}

int main(void) {
#define CLUSTER(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
#define SINGLE(f) {#f "_single", f, set_up_single, tear_down, NULL}
  const struct CMUnitTest tests[] = {
    CLUSTER(set_aside_is_tried_again), CLUSTER(cancel_ends_what_was_set_aside),
    CLUSTER(result_that_is_never_stored_is_a_failure), CLUSTER(only_the_result_that_is_refused_is_given_up),
    CLUSTER(held_while_a_failure_stands_in), CLUSTER(fenced_while_a_failure_stands_in), SINGLE(only_the_result_that_is_refused_is_given_up), CLUSTER(timeout_of_what_was_set_aside_is_kept),
    SINGLE(timeout_of_what_was_set_aside_is_kept), CLUSTER(lone_result_that_is_never_stored_is_a_failure),
    SINGLE(lone_result_that_is_never_stored_is_a_failure), CLUSTER(lasting_fault_of_the_server_spares_results),
    SINGLE(lasting_fault_of_the_server_spares_results), CLUSTER(what_another_node_has_ended_is_aside_no_more),
    SINGLE(a_trial_leaves_other_flows_alone), SINGLE(outages_do_not_renew_its_chances), SINGLE(set_aside_is_tried_again),
    SINGLE(cancel_ends_what_was_set_aside), SINGLE(result_that_is_never_stored_is_a_failure),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
