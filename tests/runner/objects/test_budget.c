/* The budget of a cache alone: bytes, order, and how many more entries it can take. */
#include "env_kit.h"
#include "budget.h"

static void budget_counts_and_orders(void **st) {
  struct budget b;
  struct budget_item a = {0}, c = {0}, d = {0};
  (void)st;
  budget_init(&b, 100);
  assert_null(budget_oldest(&b));
  budget_add(&b, &a, 40);
  budget_add(&b, &c, 50);
  budget_add(&b, &d, 20);
  assert_true(budget_over(&b));
  assert_int_equal(budget_room(&b, 3), 3); /* few entries are known yet */
  assert_ptr_equal(budget_oldest(&b), &a);
  budget_use(&b, &a);
  assert_ptr_equal(budget_oldest(&b), &c);
  assert_ptr_equal(budget_newer(&b, &c), &d);
  assert_ptr_equal(budget_newer(&b, &d), &a);
  assert_null(budget_newer(&b, &a));
  budget_remove(&b, &c);
  assert_int_equal(b.bytes, 60);
  budget_grow(&b, &d, 5);
  budget_remove(&b, &d);
  budget_remove(&b, &a);
  assert_int_equal(b.bytes, 0);
  assert_null(budget_oldest(&b));
  budget_init(&b, 1 << 20);
  for (int i = 0; i < 1000; i++) budget_add(&b, &a, 1000), budget_remove(&b, &a);
  assert_in_range(budget_room(&b, 1), 200, 300); /* a quarter of it */
}

static struct budget bad;
static struct budget_item one, two;
static void both(void) {
  budget_init(&bad, 100);
  budget_add(&bad, &one, 10);
  budget_add(&bad, &two, 20);
}
static void another_sum(void) { both(); one.bytes++; budget_check(&bad); }
static void another_order(void) { both(); two.older = &bad.ends; budget_check(&bad); }
static void facts_are_kept(void **st) {
  (void)st;
  both();
  budget_check(&bad);
  assert_true(aborts(another_sum));
  assert_true(aborts(another_order));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(budget_counts_and_orders), cmocka_unit_test(facts_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
