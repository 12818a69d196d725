/* Timers of rows alone: one for each row, dropped timers, and timers_ask() in their place. */
#include "env_kit.h"
#include "timers.h"

static void one_timer_each(void **st) {
  struct timers t;
  int64_t id = 0, fi = 0;
  (void)st;
  timers_init(&t, 10);
  timers_set(&t, 7, 70, 500);
  timers_set(&t, 7, 70, 300);
  timers_set(&t, 8, 80, 400);
  assert_int_equal(timers_count(&t), 2);
  assert_int_equal(timers_next(&t), 300);
  assert_false(timers_ring(&t, 299, &id, &fi));
  assert_true(timers_ring(&t, 1000, &id, &fi));
  assert_int_equal(id, 7);
  assert_int_equal(fi, 70);
  timers_stop(&t, 8);
  timers_stop(&t, 8);
  assert_int_equal(timers_count(&t), 0);
  assert_int_equal(timers_next(&t), INT64_MAX);
  timers_set(&t, 9, 9, 1);
  timers_done(&t);
}

/* Rows that wait, and a read of all rows when timers were dropped: each row rings once, at its time. */
static void dropped_timers_come_back(void **st) {
  enum { N = 1000, MOST = 10 };
  (void)st;
  for (int width = 1; width <= N; width *= 10) { /* how many different times */
    struct timers t;
    int rang[N] = {0}, asked = 0;
    timers_init(&t, MOST);
    for (int i = 0; i < N; i++) {
      timers_set(&t, i + 1, i + 1, 1000 + i * 7 % width);
      assert_true(timers_count(&t) <= MOST);
      assert_true(timers_next(&t) <= 1000 + width);
    }
    for (int64_t id, fi, at; (at = timers_next(&t)) != INT64_MAX;) {
      while (timers_ring(&t, at, &id, &fi)) {
        assert_int_equal(at, 1000 + (id - 1) * 7 % width);
        rang[id - 1]++;
      }
      if (!timers_ask(&t, at)) continue;
      asked++;
      for (int i = 0; i < N; i++) {
        int64_t due = 1000 + i * 7 % width;
        if (!rang[i] && due <= at) rang[i]++;
        else if (!rang[i]) timers_set(&t, i + 1, i + 1, due);
      }
    }
    for (int i = 0; i < N; i++) assert_int_equal(rang[i], 1);
    assert_true(asked <= 2 * N / (MOST / 2) && asked > 0);
    timers_done(&t);
  }
}

/* Rows that are not known here may be due then. */
static void beyond_the_first_that_was_dropped_none_is_taken(void **st) {
  struct timers t;
  (void)st;
  timers_init(&t, 4);
  for (int i = 1; i <= 5; i++) timers_set(&t, i, i, i * 100);
  assert_int_equal(timers_count(&t), 2);
  assert_int_equal(t.beyond_us, 300);
  timers_set(&t, 6, 6, 300);
  assert_int_equal(timers_count(&t), 2);
  timers_set(&t, 1, 1, 900); /* moved beyond: it would ring too early */
  assert_int_equal(timers_count(&t), 1);
  timers_set(&t, 7, 7, 299);
  assert_int_equal(timers_count(&t), 2);
  assert_false(timers_ask(&t, 299));
  assert_true(timers_ask(&t, 300));
  assert_false(timers_ask(&t, 300)); /* only once for that time */
  timers_set(&t, 6, 6, 900);
  assert_int_equal(timers_count(&t), 3);
  timers_done(&t);
}

/* ---- what never happens ---- */

static struct timers bad;
static void two_timers(void) {
  timers_init(&bad, 4);
  timers_set(&bad, 7, 70, 500);
  timers_set(&bad, 8, 70, 600);
}
static void more_than_may_be(void) { two_timers(); bad.most = 1; timers_check(&bad); }
static void one_that_is_not_asked_for(void) { two_timers(); bad.beyond_us = 550; timers_check(&bad); }
static void one_that_nobody_finds(void) { two_timers(); (void)map64_del(&bad.by_id, 7); timers_check(&bad); }
static void one_out_of_order(void) { two_timers(); bad.heap.v[0]->at = 900; timers_check(&bad); }
static void facts_are_kept(void **st) {
  (void)st;
  two_timers();
  timers_check(&bad);
  timers_done(&bad);
  assert_true(aborts(more_than_may_be));
  assert_true(aborts(one_that_is_not_asked_for));
  assert_true(aborts(one_that_nobody_finds));
  assert_true(aborts(one_out_of_order));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(one_timer_each), cmocka_unit_test(dropped_timers_come_back),
    cmocka_unit_test(beyond_the_first_that_was_dropped_none_is_taken), cmocka_unit_test(facts_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
