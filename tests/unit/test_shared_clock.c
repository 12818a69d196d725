/* The clock that nodes share: what the database said, plus the boot clock; never back. */
#include "unit.h"
#include "shared_clock.h"

#define SEC 1000000LL

static void without_a_reading_it_is_the_wall(void **st) {
  (void)st;
  struct shared_clock c = SHARED_CLOCK_INIT;
  assert_int_equal(shared_clock_at(&c, 5 * SEC, 77 * SEC), 77 * SEC);
}

static void the_wall_decides_nothing(void **st) {
  (void)st;
  struct shared_clock c = SHARED_CLOCK_INIT;
  shared_clock_read(&c, 1000 * SEC, 10 * SEC, 10 * SEC + 200);
  assert_int_equal(shared_clock_at(&c, 10 * SEC + 100, 5 * SEC), 1000 * SEC);       /* half of the round trip */
  assert_int_equal(shared_clock_at(&c, 11 * SEC + 100, 90000 * SEC), 1001 * SEC);
  assert_int_equal(shared_clock_at(&c, 12 * SEC + 100, -3 * SEC), 1002 * SEC);
}

static void it_never_goes_back(void **st) {
  (void)st;
  struct shared_clock c = SHARED_CLOCK_INIT;
  shared_clock_read(&c, 1000 * SEC, 10 * SEC, 10 * SEC);
  assert_int_equal(shared_clock_at(&c, 10 * SEC, 0), 1000 * SEC);
  shared_clock_read(&c, 400 * SEC, 20 * SEC, 20 * SEC);             /* the database's own clock was set back */
  int64_t t = shared_clock_at(&c, 20 * SEC, 0);
  assert_int_equal(t, 1005 * SEC);                                  /* half speed */
  for (int64_t i = 21, last = t; i < 3000; i++, last = t) {
    t = shared_clock_at(&c, i * SEC, 0);
    assert_true(t > last);
  }
  assert_int_equal(t, 2999 * SEC + 380 * SEC);                      /* and has been met again */
  assert_int_equal(shared_clock_at(&c, 100 * SEC, 0), t);           /* a thread that comes late */
}

static void a_slow_answer_spoils_nothing(void **st) {
  (void)st;
  struct shared_clock c = SHARED_CLOCK_INIT;
  shared_clock_read(&c, 1000 * SEC, 10 * SEC, 10 * SEC + 100);
  int64_t good = c.ahead;
  shared_clock_read(&c, 1005 * SEC + SEC / 2, 15 * SEC, 17 * SEC);  /* two seconds: somewhere in between */
  assert_int_equal(c.ahead, good);
  shared_clock_read(&c, 2000 * SEC, 20 * SEC, 22 * SEC);            /* but an hour is an hour */
  assert_int_equal(c.ahead, 2000 * SEC - 21 * SEC);
  shared_clock_read(&c, 2003 * SEC, 24 * SEC, 24 * SEC + 100);      /* a better one counts */
  assert_int_equal(c.ahead, 2003 * SEC - 24 * SEC - 50);
}

static void a_step_is_told_once(void **st) {
  (void)st;
  struct clock_watch w = {0};
  int64_t by;
  assert_false(clock_stepped(&w, 500 * SEC, 10 * SEC, &by));
  assert_false(clock_stepped(&w, 501 * SEC, 11 * SEC, &by));
  assert_true(clock_stepped(&w, 4102 * SEC, 12 * SEC, &by));
  assert_int_equal(by, 3600 * SEC);
  assert_false(clock_stepped(&w, 4103 * SEC, 13 * SEC, &by));
  assert_true(clock_stepped(&w, 504 * SEC, 14 * SEC, &by));
  assert_int_equal(by, -3600 * SEC);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(without_a_reading_it_is_the_wall), cmocka_unit_test(the_wall_decides_nothing),
    cmocka_unit_test(it_never_goes_back), cmocka_unit_test(a_slow_answer_spoils_nothing), cmocka_unit_test(a_step_is_told_once),
  };
  return cmocka_run_group_tests_name("shared_clock", tests, NULL, NULL);
}
