/* What waits, and which of it is next: shares, priorities, turns, the budget, and the memory of all that. */
#include "waiting_kit.h"

/* ---- order ---- */

static void first_come_first_served(void **st) {
  (void)st;
  many("", "", 1, 100);
  for (int64_t i = 1; i <= 100; i++) assert_int_equal(next(), i);
  assert_int_equal(next(), 0);
}

static void urgent_ones_come_first(void **st) {
  (void)st;
  add("", "", 1, 0, -100, 0);
  add("", "", 2, 0, 0, 0);
  add("", "", 3, 0, 100, 0);
  add("", "", 4, 0, 0, 0);
  static const int64_t want[] = {3, 2, 4, 1};
  for (int i = 0; i < 4; i++) assert_int_equal(next(), want[i]);
}

static void waiting_makes_urgent(void **st) {
  (void)st;
  add("", "", 1, 0, -2, 0);
  kit_pass(100 * SEC);
  add("", "", 2, 0, 0, 0);
  assert_int_equal(next(), 2); /* -2 + 1 */
  kit_pass(21 * SEC);
  add("", "", 3, 0, 0, 0);
  assert_int_equal(next(), 1); /* -2 + 2, and the older one */
  assert_int_equal(next(), 3);
  add("", "", 4, 0, -100, 0);
  kit_pass(60 * 101 * SEC);
  add("", "", 5, 0, 1, 0);
  assert_int_equal(next(), 5); /* a hundred at most */
  assert_int_equal(next(), 4);
}

/* A flow of three beside one of 100,000, whatever its age. */
static void flows_take_turns(void **st) {
  (void)st;
  for (int64_t i = 1; i <= 1000; i++) add("", "", i, 7, 0, 0);
  kit_pass(3600 * SEC);
  for (int i = 0; i < 10; i++) assert_in_range(next(), 1, 1000);
  for (int64_t i = 0; i < 3; i++) add("", "", 2001 + i, 8, 0, 0);
  int got = 0;
  for (int i = 0; i < 7; i++) got += next() > 2000;
  assert_int_equal(got, 3);
}

static void fifo_knows_no_turns(void **st) {
  struct queue_row r = row(1, "u", "");
  (void)st;
  add("u", "", 1, 7, 0, 0);
  add("u", "", 2, 7, 5, 0);
  kit_pass(1);
  add("u", "", 3, 8, 9, 0);
  r.order = QUEUE_ORDER_FIFO;
  load(&r, 1);
  kit_pass(1);
  add("u", "", 4, 9, 100, 0);
  for (int64_t i = 1; i <= 4; i++) assert_int_equal(next(), i);
}

/* ---- shares ---- */

/* The bound of the issue: with U users waiting each one's next task starts before U others have started. */
static void a_small_user_waits_for_no_large_one(void **st) {
  (void)st;
  many("large", "", 1, 10000);
  for (int i = 0; i < 500; i++) assert_in_range(next(), 1, 10000);
  many("small", "", 20001, 3);
  int after = 0;
  for (int left = 3; left > 0; after++) left -= next() > 20000;
  assert_true(after <= 6);
}

static void weights_are_kept(void **st) {
  struct queue_row r[3] = {row(1, "a", ""), row(2, "b", "y"), row(3, "b", "z")};
  int got[4] = {0};
  (void)st;
  r[0].weight = 300;
  r[1].weight = 100;
  r[2].weight = 200;
  load(r, 3);
  many("a", "", 10000, 900);
  many("b", "y", 20000, 900);
  many("b", "z", 30000, 900);
  for (int i = 0; i < 1200; i++) got[next() / 10000]++;
  assert_in_range(got[1], 899, 900);
  assert_in_range(got[2], 99, 101);
  assert_in_range(got[3], 199, 201);
}

static void nobody_saves_up(void **st) {
  (void)st;
  many("busy", "", 1, 2000);
  for (int i = 0; i < 1000; i++) (void)next();
  many("late", "", 5001, 100);
  int late = 0;
  for (int i = 0; i < 100; i++) late += next() > 5000;
  assert_in_range(late, 49, 51);
}

static void dear_starts_count_more(void **st) {
  int dear = 0;
  (void)st;
  opts.cpu_budget = 1000000;
  q.opts.cpu_budget = 1000000;
  for (int i = 0; i < 100; i++) add("dear", "", 1 + i, 0, 0, 400);
  many("cheap", "", 1001, 400);
  for (int i = 0; i < 100; i++) dear += next() < 1000;
  assert_in_range(dear, 19, 21);
}

/* ---- cost ---- */

static void what_is_too_dear_is_passed_by(void **st) {
  (void)st;
  add("", "", 1, 0, 0, 150);
  add("", "", 2, 0, 0, 100);
  add("", "", 3, 0, 0, 50);
  add("", "", 4, 0, 0, 0);
  add("", "", 5, 0, 0, 201);
  assert_int_equal(starts(), 1);
  assert_int_equal(starts(), 3);
  assert_int_equal(starts(), 4);
  assert_int_equal(starts(), 0);
  queues_ended(&q, 1);
  assert_int_equal(starts(), 2);
  assert_int_equal(starts(), 0); /* 201 never fits */
}

/* A stream of small ones does not hold up a large one for ever. */
static void the_budget_drains_for_the_oldest(void **st) {
  int64_t ti, last = 0, ran[64];
  size_t n = 0;
  (void)st;
  for (int i = 0; i < 4; i++) add("", "", 10 + i, 0, 0, 50);
  for (int i = 0; i < 4; i++) ran[n++] = starts();
  add("", "", 1, 0, 0, 200);
  for (int second = 0; second < 60 && last != 1; second++) {
    kit_pass(SEC);
    add("", "", 100 + second, 0, 0, 50);
    if (second % 2 == 0 && n > 0) queues_ended(&q, ran[--n]);
    while ((ti = starts()) != 0) {
      last = ti;
      if (ti == 1) {
        assert_true(second >= 29);
        break;
      }
      ran[n++] = ti;
    }
  }
  assert_int_equal(last, 1);
  queues_ended(&q, 1);
  assert_true(starts() != 0); /* and the others go on */
}

/* Nor for one that is gone. */
static void the_budget_drains_for_what_waits(void **st) {
  (void)st;
  add("x", "", 10, 0, 0, 100);
  assert_int_equal(starts(), 10);
  add("u", "", 1, 0, 0, 200);
  assert_int_equal(starts(), 0);
  kit_pass(31 * SEC);
  add("y", "", 2, 0, 0, 10);
  assert_int_equal(starts(), 0);
  assert_true(waiting_drop(&w, 1));
  assert_true(waiting_some(&w, SLOT_PROCESS)); /* so that somebody asks */
  assert_int_equal(starts(), 2);
}

/* ---- memory ---- */

/* A group that has filled its part leaves room for others; when it has run empty, what was refused may come again. */
static void one_group_leaves_room_for_others(void **st) {
  int64_t n = 0;
  (void)st;
  waiting_done(&w);
  waiting_init(&w, &q, 100000);
  while (add("large", "", 1 + n, 0, 0, 0)) n++;
  assert_true(n > 100);
  for (int64_t i = 0; i < 3; i++) assert_true(add("small", "", 10001 + i, 0, 0, 0));
  assert_false(w.dry[SLOT_PROCESS]);
  for (int64_t i = 0, ti; i < n + 3; i++) {
    ti = next();
    assert_true(ti != 0);
    queues_release(&q, ti);
  }
  assert_true(w.dry[SLOT_PROCESS]);
  assert_int_equal(w.bytes[SLOT_PROCESS], 0);
  assert_int_equal(q.people.n, 0);
}

static void a_task_is_here_once(void **st) {
  (void)st;
  add("u", "", 1, 0, 0, 0);
  add("u", "", 1, 0, 0, 0);
  assert_int_equal(waiting_count(&w, SLOT_PROCESS), 1);
  add("v", "", 1, 0, 3, 0); /* it was moved */
  assert_int_equal(waiting_count(&w, SLOT_PROCESS), 1);
  assert_true(waiting_drop(&w, 1));
  assert_false(waiting_drop(&w, 1));
  assert_int_equal(next(), 0);
}

/* Random adds, drops, picks, ends and limits; the checks of both objects hold after each, and all memory comes back. */
static void anything_goes(void **st) {
  uint64_t rnd = 5;
  static const char *const name[] = {"", "a", "b", "c"}, *const type[] = {NULL, "X", "Y"};
  struct queue_row r[7];
  (void)st;
  for (int i = 0; i < 20000; i++) {
    const char *u = name[rand_next(&rnd) % 4], *g = name[rand_next(&rnd) % 4];
    int64_t ti = 1 + (int64_t)(rand_next(&rnd) % 300);
    switch (rand_next(&rnd) % 12) {
    case 0: case 1: case 2: case 3:
      if (!queues_held(&q, ti)) {
        struct queue_view of = {u, g, (int32_t)(rand_next(&rnd) % 5), (int32_t)(rand_next(&rnd) % 3) * 70, type[rand_next(&rnd) % 3]};
        (void)waiting_add(&w, SLOT_PROCESS, &(struct waits){ti, (int64_t)(rand_next(&rnd) % 4), of, kit.env.wall_us, NULL, NULL, NULL, 0});
      }
      break;
    case 4: (void)waiting_drop(&w, ti); break;
    case 5: case 6: (void)starts(); break;
    case 7: if ((ti = next()) != 0) queues_release(&q, ti); break;
    case 8: case 9: queues_ended(&q, ti); break;
    case 10: if (queues_held(&q, ti)) {
      queues_move(&q, ti, u, g, false);
      queues_batch_over(&q, rand_next(&rnd) % 2);
    } break;
    case 11:
      for (int k = 0; k < 7; k++) {
        r[k] = row(k + 1, k > 4 ? QUEUE_OF_TYPE : name[k < 4 ? k : 1], k > 4 ? type[k - 4] : k < 4 ? "" : "b");
        r[k].max_running = (int64_t)(rand_next(&rnd) % 4) - 1;
        r[k].paused = k < 5 && rand_next(&rnd) % 8 == 0;
        r[k].order = (int32_t)(rand_next(&rnd) % 3) - 1;
        if (rand_next(&rnd) % 4 == 0) r[k].rate_count = 2, r[k].rate_per_us = SEC;
      }
      load(r + rand_next(&rnd) % 3, rand_next(&rnd) % 6);
      break;
    }
    kit_pass((int64_t)(rand_next(&rnd) % (100 * MS)));
    waiting_check(&w);
    queues_check(&q);
  }
  queues_reset(&q);
  load(NULL, 0);
  int64_t n = waiting_count(&w, SLOT_PROCESS);
  for (int64_t i = 0; i < n; i++) {
    int64_t ti = next();
    assert_true(ti != 0);
    queues_release(&q, ti);
  }
  assert_int_equal(w.bytes[SLOT_PROCESS], 0);
  assert_int_equal(q.people.n, 0);
}

/* Whoever takes a hint out knows the list that it goes back to. */
static void a_hint_keeps_its_list(void **st) {
  struct hint h;
  (void)st;
  for (uint16_t i = 1; i <= 2; i++)
    assert_true(waiting_add(&w, SLOT_PROCESS, &(struct waits){i, 9, {"", "", 0, 0, NULL}, kit.env.wall_us, NULL, NULL, NULL, (uint16_t)(LIMIT_HINT_CLASSES * i / 2)}));
  assert_true(waiting_pick(&w, SLOT_PROCESS, &h));
  assert_true(h.ti == 1 && h.list == LIMIT_HINT_CLASSES / 2);
  assert_int_equal(waiting_give(&w, SLOT_PROCESS, &h, 1), 1);
  assert_true(h.ti == 2 && h.fi == 9 && h.list == LIMIT_HINT_CLASSES);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    OBJECT(first_come_first_served), OBJECT(urgent_ones_come_first), OBJECT(waiting_makes_urgent), OBJECT(flows_take_turns),
    OBJECT(fifo_knows_no_turns), OBJECT(a_small_user_waits_for_no_large_one), OBJECT(weights_are_kept), OBJECT(nobody_saves_up),
    OBJECT(dear_starts_count_more), OBJECT(what_is_too_dear_is_passed_by), OBJECT(the_budget_drains_for_the_oldest),
    OBJECT(the_budget_drains_for_what_waits), OBJECT(one_group_leaves_room_for_others), OBJECT(a_task_is_here_once),
    OBJECT(anything_goes), OBJECT(a_hint_keeps_its_list)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
