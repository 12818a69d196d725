/* What waits, and limits: how many run, rates, pauses, and what others run. */
#include "waiting_kit.h"

/* ---- limits ---- */

static void a_limit_holds_back_its_own_only(void **st) {
  struct queue_row r = row(1, "u", "");
  (void)st;
  r.max_running = 2;
  load(&r, 1);
  many("u", "x", 1, 5);
  many("u", "y", 11, 5);
  many("v", "", 101, 2);
  int u = 0, v = 0;
  for (int64_t ti; (ti = starts()) != 0;) *(ti > 100 ? &v : &u) += 1;
  assert_int_equal(u, 2);
  assert_int_equal(v, 2);
  queues_ended(&q, 1);
  assert_true(starts() != 0);
  assert_int_equal(starts(), 0);
}

static void all_rows_must_have_room(void **st) {
  struct queue_row r[4] = {row(1, "u", "g"), row(2, "u", ""), row(3, "", "g"), row(4, "", "")};
  (void)st;
  for (int i = 0; i < 4; i++) {
    r[i].max_running = 1;
    load(&r[i], 1);
    many("u", "g", 1, 2);
    int64_t ti = starts();
    assert_true(ti != 0);
    assert_int_equal(starts(), 0);
    queues_ended(&q, ti);
    ti = starts();
    assert_true(ti != 0);
    queues_ended(&q, ti);
  }
  load(r, 4);
  many("u", "g", 1, 1);
  many("v", "g", 2, 1);
  many("v", "", 3, 1);
  assert_true(starts() != 0);
  assert_int_equal(starts(), 0);
}

static void a_paused_queue_starts_nothing(void **st) {
  struct queue_row r = row(1, "", "g");
  (void)st;
  r.paused = 1;
  load(&r, 1);
  many("u", "g", 1, 1);
  many("v", "g", 2, 1);
  assert_int_equal(next(), 0);
  r.paused = 0;
  load(&r, 1);
  assert_true(starts() != 0);
  assert_true(starts() != 0);
}

/* Lowered below what runs: nothing is stopped, nothing starts until there is room. A row that goes lets all start. */
static void limits_change(void **st) {
  struct queue_row r = row(1, "u", "");
  (void)st;
  r.max_running = 3;
  load(&r, 1);
  many("u", "", 1, 10);
  for (int i = 0; i < 3; i++) assert_true(starts() != 0);
  r.max_running = 1;
  load(&r, 1);
  queues_ended(&q, 1);
  queues_ended(&q, 2);
  assert_int_equal(starts(), 0);
  queues_ended(&q, 3);
  assert_int_equal(starts(), 4);
  load(NULL, 0);
  for (int i = 0; i < 6; i++) assert_true(starts() != 0);
}

/* What ran before the row was written counts, and so does what others run. */
static void what_runs_already_counts(void **st) {
  struct queue_row r = row(1, "u", "");
  struct running_row run[2] = {{.ti = 91, .user = "u", .group = "x", .owner = ME}, {.ti = 92, .user = "u", .group = "", .owner = ME + 1}};
  (void)st;
  kit.env.single = false;
  r.max_running = 3;
  load(&r, 1);
  queues_running(&q, run, 2);
  many("u", "", 1, 3);
  assert_true(starts() != 0);
  assert_int_equal(starts(), 0);
  queues_running(&q, run, 1); /* the other node's has ended */
  assert_true(starts() != 0);
  queues_ended(&q, 91);
  assert_true(starts() != 0);
}

/* A task of another node of which nobody knows whose it is counts everywhere, until that node has said so. */
static void what_nobody_knows_counts_everywhere(void **st) {
  struct queue_row r[2] = {row(1, "u", ""), row(2, "v", "")};
  struct running_row run[2] = {{.ti = 91, .fi = 7, .owner = ME + 1}, {.ti = 92, .user = "v", .group = "", .owner = ME + 1}};
  (void)st;
  kit.env.single = false;
  r[0].max_running = r[1].max_running = 2;
  load(r, 2);
  assert_true(q.owes && q.unsure);
  queues_running(&q, run, 2);
  assert_true(q.unsure);
  many("u", "", 1, 3);
  many("v", "", 11, 1);
  assert_int_equal(starts(), 1); /* of u; of v two others run */
  run[0].user = "u", run[0].group = "g", run[0].noted = run[1].noted = true;
  queues_running(&q, run, 2);
  assert_false(q.unsure);
  assert_int_equal(starts(), 11);
  assert_int_equal(starts(), 0);
}

/* This node runs it, and another one has moved it. */
static void a_task_is_moved_by_another_node(void **st) {
  struct queue_row r[2] = {row(1, "u", ""), row(2, "v", "")};
  struct running_row run = {.ti = 91, .fi = 7, .user = "u", .group = "", .owner = ME, .noted = true};
  (void)st;
  kit.env.single = false;
  r[0].max_running = r[1].max_running = 1;
  load(r, 2);
  queues_running(&q, &run, 1);
  many("u", "", 1, 1);
  many("v", "", 11, 1);
  assert_int_equal(starts(), 11);
  queues_ended(&q, 11);
  run.user = "v";
  queues_running(&q, &run, 1);
  many("v", "", 12, 1);
  assert_int_equal(starts(), 1);
  assert_int_equal(starts(), 0);
  queues_ended(&q, 91);
  assert_int_equal(starts(), 12);
}

/* Notes of what ran before the first row are owed again when all rows went and others came. */
static void notes_are_owed(void **st) {
  struct queue_row r = row(1, "u", ""), other = row(2, "u", "");
  struct running_row run = {.ti = 91, .user = "u", .group = "g", .owner = ME};
  struct count_note n;
  (void)st;
  kit.env.single = false;
  load(&r, 1);
  queues_running(&q, &run, 1);
  assert_int_equal(queues_notes(&q, &n, 1), 1);
  assert_true(n.ti == 91 && strcmp(n.user, "u") == 0 && strcmp(n.group, "g") == 0);
  queues_batch_over(&q, false);
  assert_true(q.owes);
  queues_batch_over(&q, true);
  assert_false(q.owes);
  r.max_running = 5;
  load(&r, 1);
  assert_false(q.owes);
  load(&other, 1);
  assert_true(q.owes && q.unsure);
  queues_ended(&q, 91);
}

/* A hint that comes to nothing gives its place back, and so does a batch that does not commit. */
static void a_pick_that_is_lost_gives_back(void **st) {
  struct queue_row r = row(1, "u", "");
  (void)st;
  r.max_running = 1;
  load(&r, 1);
  many("u", "", 1, 2);
  assert_int_equal(next(), 1);
  assert_int_equal(next(), 0);
  queues_release(&q, 1);
  assert_int_equal(next(), 2);
  queues_release(&q, 2);
  assert_true(queues_home(&q, &(struct queue_view){"u", "", 0, 0, NULL}, 3));
  assert_false(queues_home(&q, &(struct queue_view){"u", "", 0, 0, NULL}, 4));
  queues_batch_over(&q, false);
  assert_true(queues_home(&q, &(struct queue_view){"u", "", 0, 0, NULL}, 4));
  queues_started(&q, 4);
  queues_batch_over(&q, true);
  assert_false(queues_home(&q, &(struct queue_view){"u", "", 0, 0, NULL}, 5));
  queues_ended(&q, 4);
  assert_int_equal(q.holds.n, 0);
}

static void a_task_that_runs_moves(void **st) {
  struct queue_row r[2] = {row(1, "u", ""), row(2, "v", "")};
  (void)st;
  r[0].max_running = r[1].max_running = 1;
  load(r, 2);
  many("u", "", 1, 2);
  assert_int_equal(starts(), 1);
  queues_move(&q, 1, "v", "x", false);
  queues_batch_over(&q, false); /* not committed: it is where it was */
  assert_int_equal(starts(), 0);
  queues_move(&q, 1, "v", "x", false);
  queues_batch_over(&q, true);
  many("v", "", 11, 1);
  assert_int_equal(starts(), 2);
  assert_int_equal(starts(), 0);
  queues_ended(&q, 1);
  assert_int_equal(starts(), 11);
}

/* Of any stretch of length T no more than count * (1 + T/per) starts. */
static void a_rate_is_kept(void **st) {
  struct queue_row r = row(1, "u", "");
  (void)st;
  r.rate_count = 3;
  r.rate_per_us = SEC;
  load(&r, 1);
  many("u", "", 1, 100);
  int got = 0;
  while (starts()) got++;
  assert_int_equal(got, 3);
  assert_in_range(queues_next(&q), kit.env.wall_us + 1, kit.env.wall_us + SEC / 3 + 1);
  for (int i = 1; i <= 30; i++) {
    kit_pass(100 * MS);
    while (starts()) got++;
    assert_true(got <= 3 + 3 * i / 10);
  }
  assert_in_range(got, 11, 12);
  queues_batch_over(&q, true);
}

/* A batch that does not commit takes nothing from the bucket. */
static void a_rate_is_paid_with_the_commit(void **st) {
  struct queue_row r = row(1, "u", "");
  struct queue_rate out[2];
  (void)st;
  r.rate_count = 1;
  r.rate_per_us = 10 * SEC;
  load(&r, 1);
  many("u", "", 1, 2);
  assert_int_equal(next(), 1);
  assert_true(queues_claim(&q, 1));
  assert_int_equal(queues_rates(&q, out, 2), 1);
  assert_int_equal(out[0].rate_at, kit.env.wall_us + 10 * SEC);
  queues_batch_over(&q, false);
  assert_int_equal(queues_rates(&q, out, 2), 0);
  assert_true(queues_claim(&q, 1));
  queues_started(&q, 1);
  queues_batch_over(&q, true);
  queues_ended(&q, 1);
  assert_int_equal(next(), 0);
  kit_pass(10 * SEC);
  assert_int_equal(next(), 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    OBJECT(a_limit_holds_back_its_own_only), OBJECT(all_rows_must_have_room), OBJECT(a_paused_queue_starts_nothing),
    OBJECT(limits_change), OBJECT(what_runs_already_counts), OBJECT(a_pick_that_is_lost_gives_back),
    OBJECT(what_nobody_knows_counts_everywhere), OBJECT(a_task_is_moved_by_another_node), OBJECT(notes_are_owed),
    OBJECT(a_task_that_runs_moves), OBJECT(a_rate_is_kept), OBJECT(a_rate_is_paid_with_the_commit)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
