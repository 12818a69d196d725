/* What waits, and limits of a type over all users. */
#include "waiting_kit.h"

/* ---- limits of a type ---- */

/* Over all users and groups; and what stands behind one that is held goes on, in the same group and in the other class of slots. */
static void a_type_holds_back_its_own_only(void **st) {
  struct queue_row r[2] = {type_row(1, "X", 2), type_row(2, "Y", 0)};
  struct hint h;
  (void)st;
  load(r, 2);
  for (int64_t i = 1; i <= 4; i++) typed("X", i % 2 ? "u" : "v", i, 0, 0);
  typed("Y", "u", 5, 0, 0);
  many("u", "", 6, 2);
  many("v", "", 8, 1);
  assert_true(waiting_add(&w, SLOT_ASYNC, &(struct waits){20, 0, {"u", "", 0, 0, "Z"}, kit.env.wall_us, NULL, NULL, NULL, 0}));
  int of_x = 0, others = 0;
  for (int64_t ti; (ti = next()) != 0;) {
    assert_true(queues_claim(&q, ti));
    queues_started(&q, ti);
    queues_batch_over(&q, true);
    assert_int_not_equal(ti, 5);
    of_x += ti <= 4, others += ti > 5;
  }
  assert_int_equal(of_x, 2);
  assert_int_equal(others, 3);
  assert_true(waiting_pick(&w, SLOT_ASYNC, &h) && h.ti == 20);
  queues_release(&q, 20);
  queues_ended(&q, 6); /* of no type: nothing of these comes */
  assert_int_equal(next(), 0);
  queues_ended(&q, queues_held(&q, 1) ? 1 : 2);
  assert_in_range(starts(), 1, 4);
  assert_int_equal(starts(), 0);
  r[1].max_running = 1;
  load(r, 2);
  assert_int_equal(starts(), 5);
  load(NULL, 0);
  assert_in_range(starts(), 1, 4);
}

/* A queue and a type hold each by itself. */
static void a_task_is_under_its_queue_and_its_type(void **st) {
  struct queue_row r[2] = {row(1, "u", ""), type_row(2, "X", 1)};
  (void)st;
  r[0].max_running = 1;
  load(r, 2);
  typed("X", "u", 1, 0, 0);
  typed("X", "v", 2, 0, 0);
  many("u", "", 3, 1);
  assert_int_equal(starts(), 1);
  assert_int_equal(starts(), 0); /* 2: its type; 3: its queue */
  queues_ended(&q, 1);
  assert_true(starts() > 1 && starts() > 1);
}

static void a_type_has_a_rate(void **st) {
  struct queue_row r = type_row(1, "X", -1);
  struct queue_rate out;
  (void)st;
  r.rate_count = 2;
  r.rate_per_us = 10 * SEC;
  load(&r, 1);
  for (int64_t i = 1; i <= 4; i++) typed("X", "u", i, 7, 0);
  many("u", "", 5, 1);
  int got = 0;
  for (int64_t ti; (ti = next()) != 0; got++) {
    assert_true(queues_claim(&q, ti));
    assert_int_equal(queues_rates(&q, &out, 1), ti != 5);
    queues_started(&q, ti);
    queues_batch_over(&q, true);
  }
  assert_int_equal(got, 3);
  assert_int_not_equal(queues_next(&q), INT64_MAX);
  kit_pass(5 * SEC);
  assert_in_range(starts(), 1, 4);
  assert_int_equal(starts(), 0);
  kit_pass(5 * SEC);
  assert_in_range(starts(), 1, 4);
}

/* What waits already when its type gets a limit is found to be of it at its claim. */
static void a_type_gets_its_limit_later(void **st) {
  struct queue_row r = type_row(1, "X", 1);
  (void)st;
  typed("X", "", 1, 0, 0);
  typed("X", "", 2, 0, 0);
  assert_true(queues_home(&q, &(struct queue_view){"", "", 0, 0, "X"}, 9)); /* runs, and nothing limits it yet */
  queues_started(&q, 9);
  queues_batch_over(&q, true);
  load(&r, 1);
  assert_int_equal(q.row[0]->held, 1);
  for (int64_t i = 1; i <= 2; i++) {
    assert_int_equal(starts_as("X"), -i);
    typed("X", "", i, 0, 0);
  }
  assert_int_equal(starts_as("X"), 0);
  assert_false(queues_home(&q, &(struct queue_view){"", "", 0, 0, "X"}, 10));
  queues_ended(&q, 9);
  assert_int_equal(starts_as("X"), 1);
  assert_int_equal(starts_as("X"), 0);
}

/* A task of another node whose type nobody has said counts for each type; a plain one for none. */
static void what_others_run_counts_under_its_type(void **st) {
  struct queue_row r[2] = {type_row(1, "X", 2), type_row(2, "Y", 1)};
  struct running_row run[3] = {{.ti = 91, .user = "u", .group = "", .owner = ME + 1, .noted = true, .added = true, .type = "X"},
                               {.ti = 92, .fi = 7, .user = "", .group = "", .owner = ME + 1, .noted = true},
                               {.ti = 93, .fi = 7, .user = "", .group = "", .owner = ME + 1, .noted = true, .added = true}};
  struct count_note note[2];
  (void)st;
  kit.env.single = false;
  load(r, 2);
  queues_running(&q, run, 3);
  typed("X", "", 1, 0, 0);
  typed("X", "", 2, 0, 0);
  typed("Y", "", 3, 0, 0);
  assert_int_equal(starts(), 0); /* 91 and 93 run of X, 93 of Y */
  queues_running(&q, run, 2);
  assert_in_range(starts(), 1, 3);
  assert_in_range(starts(), 1, 3);
  assert_int_equal(starts(), 0);
  assert_int_equal(queues_notes(&q, NULL, 0), 4);
  queues_ended(&q, 3);
  assert_int_equal(queues_notes(&q, note, 2), 2);
  assert_true(note[0].ti == 1 && note[1].ti == -1 && strcmp(note[1].user, QUEUE_OF_TYPE) == 0 && strcmp(note[1].group, "X") == 0);
}

/* What a former process left on the one node of its store: its type is not known, so each type waits for it. */
static void what_was_left_counts_under_each_type(void **st) {
  struct queue_row r[2] = {type_row(1, "X", 1), type_row(2, "Y", 1)};
  struct running_row run = {.ti = 91, .fi = 7, .user = "", .group = "", .owner = ME + 1, .added = true};
  (void)st;
  load(r, 2);
  queues_running(&q, &run, 1);
  typed("X", "", 1, 0, 0);
  typed("Y", "", 2, 0, 0);
  many("", "", 3, 1);
  assert_int_equal(starts(), 3);
  assert_int_equal(starts(), 0);
  queues_ended(&q, 91);
  assert_true(starts() != 0 && starts() != 0);
}

/* A lane that the budget and one that a type hold back, in one group. */
static void a_type_and_the_budget(void **st) {
  struct queue_row r = type_row(1, "X", 0);
  (void)st;
  load(&r, 1);
  typed("X", "", 1, 0, 0);
  add("", "", 2, 0, 0, 150);
  add("", "", 3, 0, 0, 150);
  assert_int_equal(starts(), 2);
  assert_int_equal(starts(), 0);
  r.max_running = 1;
  load(&r, 1);
  assert_int_equal(starts(), 1);
  assert_int_equal(starts(), 0);
  queues_ended(&q, 2);
  assert_int_equal(starts(), 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    OBJECT(a_type_holds_back_its_own_only), OBJECT(a_task_is_under_its_queue_and_its_type), OBJECT(a_type_has_a_rate),
    OBJECT(a_type_gets_its_limit_later), OBJECT(what_others_run_counts_under_its_type),
    OBJECT(what_was_left_counts_under_each_type), OBJECT(a_type_and_the_budget)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
