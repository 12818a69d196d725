/* The ledger alone: the order and the number of requests, and what a client that takes one back is told. */
#include "env_kit.h"
#include "ledger.h"

static void ledger_keeps_order_and_bound(void **st) {
  struct ledger l;
  struct req q[3] = {0};
  (void)st;
  ledger_init(&l, 2);
  assert_int_equal(ledger_oldest(&l), INT64_MAX);
  assert_true(ledger_post(&l, &q[0], 5));
  assert_true(ledger_post(&l, &q[1], 7));
  assert_false(ledger_post(&l, &q[2], 9)); /* full */
  assert_int_equal(ledger_oldest(&l), 5);
  assert_ptr_equal(ledger_take(&l), &q[0]);
  assert_null(ledger_take(&l));
  ledger_done(&l, &q[0]);
  assert_int_equal(ledger_oldest(&l), 7);
  assert_true(ledger_post(&l, &q[2], 9));
  assert_ptr_equal(ledger_take(&l), &q[2]);
  ledger_done(&l, &q[1]);
  ledger_done(&l, &q[2]);
  assert_int_equal(l.n, 0);
  assert_null(l.head);
  assert_null(l.tail);
}

static void ledger_tells_what_is_known(void **st) {
  struct ledger l;
  struct req q[4] = {0};
  (void)st;
  ledger_init(&l, 9);
  for (int i = 0; i < 3; i++) assert_true(ledger_post(&l, &q[i], i));
  (void)ledger_take(&l);
  assert_true(ledger_post(&l, &q[3], 3));
  assert_int_equal(ledger_back(&l, &q[3]), REQ_BACK_YOURS);     /* the runner never saw it */
  assert_int_equal(l.n_back, 0);
  assert_int_equal(ledger_back(&l, &q[3]), REQ_BACK_ANSWERED);
  assert_int_equal(ledger_back(&l, &q[0]), REQ_BACK_UNSENT);
  assert_int_equal(l.n_back, 1);
  assert_false(ledger_send(&l, &q[0]));                         /* so it is never sent */
  assert_true(ledger_send(&l, &q[1]));
  assert_int_equal(ledger_back(&l, &q[1]), REQ_BACK_UNKNOWN);
  ledger_hold(&q[1]);                                           /* rolled back */
  assert_false(ledger_send(&l, &q[1]));
  assert_true(ledger_send(&l, &q[2]));
  ledger_hold(&q[2]);
  assert_int_equal(ledger_back(&l, &q[2]), REQ_BACK_UNSENT);
  for (int i = 0; i < 3; i++) ledger_done(&l, &q[i]);
  assert_int_equal(l.n_back, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(ledger_keeps_order_and_bound), cmocka_unit_test(ledger_tells_what_is_known),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
