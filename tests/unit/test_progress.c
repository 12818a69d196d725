/* Unit tests of model/progress: speed and what is left, with times that the test gives. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "progress.h"

#define S 1000000LL
static struct progress p;

static void begin(void) { progress_begin(&p, 100 * S); }

static void done_at(double seconds, int64_t done) {
  const struct report r = {.kind = REPORT_PROGRESS, .says = SAYS_DONE, .done = done};
  progress_report(&p, &r, 100 * S + (int64_t)(seconds * 1e6));
}

static void speed_at(double seconds, double want) {
  (void)progress_second(&p, 100 * S + (int64_t)(seconds * 1e6));
  if (p.speed < want - 1e-9 || p.speed > want + 1e-9) fail_msg("after %g s: %g, not %g", seconds, p.speed, want);
}

static void test_samples(void **st) {
  (void)st;
  begin();
  done_at(0.1, 3);
  speed_at(0.999999, 0);      /* no second is full */
  done_at(0.5, 10);
  speed_at(1, 10);            /* the first as it is */
  done_at(1.2, 14);
  speed_at(1.9, 10);
  speed_at(2, 7);             /* half of 10, half of 4 */
  done_at(2.5, 20);
  speed_at(3.7, 6.5);
  done_at(3.8, 30);
  speed_at(4, 8.25);
}

/* A report belongs to the second in which it came, whenever somebody looks. */
static void test_late_look(void **st) {
  (void)st;
  begin();
  done_at(0.5, 8);
  done_at(3.5, 10);           /* counts 8, 0, 0 first */
  assert_int_equal(p.seconds, 3);
  speed_at(3.9, 2);
  speed_at(4, 2);             /* (2 + 2) / 2 */
}

static void test_first_second_without(void **st) {
  (void)st;
  begin();
  done_at(5.5, 40);           /* five samples of 0 */
  speed_at(6, 20);
}

static void test_stands_still(void **st) {
  (void)st;
  begin();
  done_at(0.5, 1000);
  speed_at(1, 1000);
  speed_at(2, 500);
  speed_at(11, 1000.0 / 1024);
  assert_true(progress_moves(&p));
  speed_at(60, 0);
  assert_false(progress_moves(&p));
  done_at(60.5, 1001);
  assert_true(progress_moves(&p));
  speed_at(1e9, 0);           /* at once, however long it was */
}

/* Less than before is no negative speed, and what comes after it counts. */
static void test_back(void **st) {
  (void)st;
  begin();
  done_at(0.5, 100);
  speed_at(1, 100);
  done_at(1.1, 10);
  done_at(1.2, 20);
  speed_at(2, 55);            /* (100 + 10) / 2 */
}

static void test_goes_on(void **st) {
  (void)st;
  begin();
  progress_goes_on(&p, 1000, 500, "rows", "half");
  assert_int_equal(p.total, 1000);
  assert_string_equal(p.unit, "rows");
  done_at(0.5, 510);
  speed_at(1, 10);            /* the 500 are not of this attempt */
  progress_end(&p, 102 * S);
  speed_at(0, 5);
  begin();
  progress_goes_on(&p, 1000, 500, NULL, NULL);
  done_at(0.5, 20);           /* it began anew */
  progress_end(&p, 104 * S);
  speed_at(0, 5);
}

static void test_end(void **st) {
  (void)st;
  begin();
  done_at(0.5, 10);
  speed_at(3, 2.5);
  progress_end(&p, 100 * S + 4 * S);
  assert_true(p.speed > 2.49 && p.speed < 2.51); /* 10 in 4 s */
  begin();
  progress_end(&p, 100 * S);
  speed_at(0, 0);
}

static void test_values(void **st) {
  char text[3000];
  struct report r = {.says = SAYS_TOTAL | SAYS_UNIT | SAYS_MESSAGE, .total = 7, .unit = {"files", 5}, .message = {"go", 2}};
  (void)st;
  begin();
  assert_int_equal(p.total, -1);
  progress_report(&p, &r, 100 * S);
  done_at(0.1, 1);            /* what is left out stays */
  assert_int_equal(p.total, 7);
  assert_string_equal(p.unit, "files");
  assert_string_equal(p.message, "go");
  memset(text, 'x', sizeof text);
  r = (struct report){.says = SAYS_TOTAL | SAYS_UNIT | SAYS_MESSAGE, .total = -1, .unit = {text, sizeof text}, .message = {text, sizeof text}};
  progress_report(&p, &r, 100 * S);
  assert_int_equal(p.total, -1);
  assert_int_equal(strlen(p.unit), LIMIT_UNIT_BYTES);
  assert_int_equal(strlen(p.message), LIMIT_MESSAGE_BYTES);
  assert_string_equal(p.message + LIMIT_MESSAGE_BYTES - 4, "x...");
  r = (struct report){.says = SAYS_UNIT, .unit = {"", 0}};
  progress_report(&p, &r, 100 * S);
  assert_string_equal(p.unit, "");
}

static void test_eta(void **st) {
  (void)st;
  assert_true(progress_eta(10, 4, 2) > 2.99 && progress_eta(10, 4, 2) < 3.01);
  assert_true(progress_eta(-1, 4, 2) < 0);
  assert_true(progress_eta(10, 4, 0) < 0);
  assert_true(progress_eta(10, 4, -1) < 0);
  assert_true(progress_eta(10, 12, 2) >= 0 && progress_eta(10, 12, 2) <= 0);
  assert_true(progress_eta(10, -1, 2) > 4.99 && progress_eta(10, -1, 2) < 5.01);
  assert_true(progress_eta(0, 0, 2) >= 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_samples), cmocka_unit_test(test_late_look), cmocka_unit_test(test_first_second_without),
    cmocka_unit_test(test_stands_still), cmocka_unit_test(test_back), cmocka_unit_test(test_goes_on), cmocka_unit_test(test_end),
    cmocka_unit_test(test_values), cmocka_unit_test(test_eta)};
  return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
