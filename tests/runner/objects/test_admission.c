/* Admission alone: every reason, both books, costs, claims ahead. */
#include "env_kit.h"
#include "admission.h"

static struct admission a;
static const struct task_policy process = {.slot = SLOT_PROCESS}, async = {.slot = SLOT_ASYNC};

static int set_up(void **st) {
  int rc = kit_up(st);
  admission_init(&a, &kit.env, (const uint32_t[SLOT__N]){2, 3}, 0);
  admission_turn(&a);
  return rc;
}
static int tear_down(void **st) {
  admission_check(&a);
  admission_done(&a);
  return kit_down(st);
}

static const struct pool *pool(void) { return &a.pool[SLOT_PROCESS]; }

/* An attempt that was claimed in a batch that committed. */
static void started(int64_t ti, uint32_t epoch, uint16_t cost) {
  struct attempt at = {.ti = ti, .epoch = epoch, .owner = ME, .policy = {.slot = SLOT_PROCESS, .cost = cost}};
  admission_take(&a, &at.policy);
  admission_started(&a, &at);
}
static void ended(int64_t ti, uint32_t epoch, uint16_t cost, int64_t owner, bool slotless) {
  struct attempt at = {.ti = ti, .epoch = epoch, .owner = owner, .policy = {.slot = SLOT_PROCESS, .cost = cost}};
  at.end = ATTEMPT_OK;
  admission_ended(&a, &at, slotless);
}

/* ---- the reasons ---- */

static void now_until_it_is_full(void **st) {
  (void)st;
  for (int i = 0; i < 2; i++) {
    assert_int_equal(admission_ask(&a, &process, false), ADMIT_NOW);
    admission_take(&a, &process);
    assert_int_equal(pool()->used, 0); /* not committed yet */
  }
  assert_int_equal(admission_ask(&a, &process, false), ADMIT_FULL);
  assert_int_equal(admission_ask(&a, &process, true), ADMIT_FULL);
  assert_int_equal(admission_ask(&a, &async, false), ADMIT_NOW); /* a pool of its own */
}

static void nothing_while_draining(void **st) {
  (void)st;
  kit.env.draining = true;
  admission_turn(&a);
  assert_int_equal(admission_ask(&a, &process, true), ADMIT_DRAINING);
  assert_int_equal(admission_ask(&a, &async, false), ADMIT_DRAINING);
}

static void nothing_of_a_class_that_is_held(void **st) {
  (void)st;
  assert_int_equal(admission_next(&a), INT64_MAX);
  admission_hold(&a, SLOT_ASYNC, kit.env.boot_us + 9 * SEC);
  admission_hold(&a, SLOT_PROCESS, kit.env.boot_us + SEC);
  admission_turn(&a);
  assert_int_equal(admission_ask(&a, &process, true), ADMIT_HELD);
  assert_int_equal(admission_next(&a), kit.env.boot_us + SEC);
  kit_pass(SEC);
  admission_turn(&a);
  assert_int_equal(admission_ask(&a, &process, true), ADMIT_NOW);
  assert_int_equal(admission_ask(&a, &async, true), ADMIT_HELD);
  assert_int_equal(admission_next(&a), kit.env.boot_us + 8 * SEC);
}

static void behind_the_hints_that_wait(void **st) {
  (void)st;
  a.pool[SLOT_PROCESS].behind = true;
  assert_int_equal(admission_ask(&a, &process, false), ADMIT_BEHIND);
  assert_int_equal(admission_ask(&a, &process, true), ADMIT_NOW); /* the hint is one of those that wait */
  assert_int_equal(admission_ask(&a, &async, false), ADMIT_NOW);
}

/* Only another node can take the task, whatever else is true. */
static void elsewhere_before_all_else(void **st) {
  struct task_policy p = {.slot = SLOT_PROCESS, .elsewhere = 1};
  (void)st;
  for (unsigned how = 0; how < 8; how++) {
    a.pool[SLOT_PROCESS].behind = how & 1;
    kit.env.draining = how & 2;
    admission_hold(&a, SLOT_PROCESS, how & 4 ? kit.env.boot_us + SEC : 0);
    admission_turn(&a);
    assert_int_equal(admission_ask(&a, &p, how & 1), ADMIT_ELSEWHERE);
  }
}

/* ---- costs and books ---- */

static void costs_are_numbers(void **st) {
  struct task_policy two = {.slot = SLOT_ASYNC, .cost = 2}, none = {.slot = SLOT_ASYNC}, one = {.slot = SLOT_ASYNC, .cost = 1};
  (void)st;
  admission_take(&a, &two);
  assert_int_equal(admission_ask(&a, &two, true), ADMIT_FULL);
  assert_int_equal(admission_ask(&a, &one, true), ADMIT_NOW);
  admission_take(&a, &none); /* 0 counts as 1 */
  assert_int_equal(admission_ask(&a, &one, true), ADMIT_FULL);
  admission_return(&a, &two);
  assert_int_equal(admission_ask(&a, &two, true), ADMIT_NOW);
}

static void the_book_of_the_turn_is_forgotten(void **st) {
  (void)st;
  admission_take(&a, &process);
  admission_take(&a, &process);
  assert_int_equal(pool()->free, 0);
  admission_turn(&a); /* its batch did not commit */
  assert_int_equal(pool()->free, 2);
  assert_int_equal(admission_room(&a, SLOT_PROCESS), 2);
}

static void the_other_book_changes_with_commits(void **st) {
  (void)st;
  started(11, 5, 2);
  admission_turn(&a);
  assert_int_equal(pool()->used, 2);
  assert_int_equal(pool()->free, 0);
  admission_return(&a, &(struct task_policy){.slot = SLOT_PROCESS, .cost = 2});
  assert_int_equal(pool()->free, 2);
  admission_turn(&a); /* not stored */
  assert_int_equal(pool()->free, 0);
  ended(11, 5, 2, ME, false);
  admission_turn(&a);
  assert_int_equal(pool()->used, 0);
  assert_int_equal(pool()->free, 2);
}

/* More is used than is allowed: attempts that end pay for that before anything is free. */
static void results_pay_back_first(void **st) {
  (void)st;
  started(11, 1, 1);
  started(12, 1, 1);
  admission_hold(&a, SLOT_PROCESS, kit.env.boot_us + SEC);
  admission_turn(&a);
  assert_int_equal(pool()->over, 2);
  assert_int_equal(admission_room(&a, SLOT_PROCESS), -2);
  admission_return(&a, &process);
  admission_check(&a);
  assert_int_equal(pool()->over, 1);
  assert_int_equal(pool()->free, 0);
  admission_return(&a, &(struct task_policy){.slot = SLOT_PROCESS, .cost = 3}); /* it had taken all, which is two */
  assert_int_equal(pool()->over, 0);
  assert_int_equal(pool()->free, 1);
  admission_check(&a);
}

/* ---- attempts ---- */

static void an_attempt_is_known_by_its_epoch(void **st) {
  (void)st;
  assert_int_equal(admission_epoch(&a, 11), 0);
  started(11, 5, 1);
  assert_int_equal(admission_epoch(&a, 11), 5);
  ended(11, 4, 1, ME - 1, false); /* an attempt of a former incarnation costs nothing and ends nothing */
  assert_int_equal(admission_epoch(&a, 11), 5);
  assert_int_equal(pool()->used, 1);
  started(11, 6, 1);
  ended(11, 5, 1, ME, false);
  assert_int_equal(admission_epoch(&a, 11), 6); /* the newer one goes on */
  assert_int_equal(pool()->used, 1);
  ended(11, 6, 1, ME, false);
  assert_int_equal(admission_epoch(&a, 11), 0);
}

static void its_cost_may_come_back_before_its_end(void **st) {
  struct attempt at = {.ti = 11, .epoch = 5, .owner = ME, .policy = process};
  (void)st;
  started(11, 5, 1);
  admission_pay_back(&a, &at);
  assert_int_equal(pool()->used, 0);
  assert_int_equal(admission_epoch(&a, 11), 5); /* its result is not stored */
  ended(11, 5, 1, ME, true);
  assert_int_equal(admission_epoch(&a, 11), 0);
  at.owner = ME - 1;
  admission_pay_back(&a, &at); /* all of a former incarnation were given up */
  assert_int_equal(pool()->used, 0);
}

static void fenced_it_has_nothing(void **st) {
  (void)st;
  started(11, 5, 1);
  admission_reset(&a);
  admission_turn(&a);
  assert_int_equal(admission_epoch(&a, 11), 0);
  assert_int_equal(pool()->free, 2);
}

/* ---- ahead ---- */

static void believe(int64_t run_us) {
  struct attempt at = {.ti = 99, .owner = ME - 1, .policy = process, .end = ATTEMPT_OK, .run_us = run_us};
  admission_ended(&a, &at, false);
  admission_turn(&a);
}

static void short_attempts_are_claimed_ahead(void **st) {
  (void)st;
  a.ahead.most = 8;
  admission_turn(&a);
  assert_int_equal(pool()->free, 2); /* no average is known */
  believe(10 * MS); /* 2 slots, 30 ms */
  assert_int_equal(pool()->free, 2 + 6);
  assert_int_equal(a.pool[SLOT_ASYNC].free, 3);
  believe(1); /* as many as the option allows */
  for (int i = 0; i < 20; i++) believe(1);
  assert_int_equal(pool()->free, 2 + 8);
  struct attempt back = {.owner = ME - 1, .policy = process, .end = ATTEMPT_HANDBACK};
  admission_ended(&a, &back, false);
  admission_turn(&a);
  assert_int_equal(pool()->free, 2); /* it waited in vain */
}

static void a_slow_turn_claims_more(void **st) {
  struct ahead h = {.most = 1000};
  (void)st;
  ahead_result(&h, &(struct attempt){.policy = async, .end = ATTEMPT_OK, .run_us = 1});
  assert_int_equal(ahead_count(&h, 10), 0); /* no process */
  ahead_result(&h, &(struct attempt){.policy = process, .end = ATTEMPT_OK, .run_us = 10 * MS});
  assert_int_equal(ahead_count(&h, 10), 30);
  ahead_turn(&h, 0, SEC); /* idle in between: no length */
  assert_int_equal(ahead_count(&h, 10), 30);
  h.turned = true;
  ahead_turn(&h, 0, 40 * MS);
  assert_int_equal(ahead_count(&h, 10), 40);
  assert_false(h.turned);
  for (int i = 0; i < 50; i++) h.turned = true, ahead_turn(&h, 0, SEC);
  assert_int_equal(ahead_count(&h, 10), 60); /* never more than may wait at the worker's gate */
}

/* While every slot is taken, a few claims ahead are not worth a batch. */
static void few_are_not_offered(void **st) {
  uint32_t free[SLOT__N];
  (void)st;
  a.ahead.most = 8;
  believe(10 * MS); /* 6 ahead */
  admission_poppable(&a, free);
  assert_int_equal(free[SLOT_PROCESS], 8);
  for (int i = 0; i < 6; i++) admission_take(&a, &process);
  admission_poppable(&a, free);
  assert_int_equal(free[SLOT_PROCESS], 2); /* few, but slots are idle */
  admission_turn(&a);
  for (int64_t ti = 1; ti <= 5; ti++) started(ti, 1, 1);
  admission_turn(&a);
  admission_poppable(&a, free);
  assert_int_equal(free[SLOT_PROCESS], 3);
  started(6, 1, 1);
  admission_turn(&a);
  assert_int_equal(pool()->free, 2);
  admission_poppable(&a, free);
  assert_int_equal(free[SLOT_PROCESS], 0);
  assert_int_equal(free[SLOT_ASYNC], 3);
}

/* ---- attempts that cost more than is free ---- */

static void refused(int64_t ti, const struct task_policy *pol) {
  assert_int_equal(admission_ask(&a, pol, true), ADMIT_FULL);
  admission_refused(&a, pol, ti);
  admission_check(&a);
}

/* One of two slots is free: cheaper tasks take it. When there are none, no hint is taken in until two slots are free. */
static void what_comes_round_waits_for_room(void **st) {
  struct task_policy two = {.slot = SLOT_PROCESS, .cost = 2};
  uint32_t free[SLOT__N];
  (void)st;
  started(11, 1, 1);
  admission_turn(&a);
  refused(21, &two);
  refused(22, &two);
  assert_int_equal(admission_room(&a, SLOT_PROCESS), 1);
  admission_take(&a, &process); /* one that costs less */
  admission_turn(&a);
  refused(21, &two);
  assert_int_equal(admission_room(&a, SLOT_PROCESS), 1);
  refused(21, &two); /* its hint has come round */
  assert_int_equal(admission_room(&a, SLOT_PROCESS), 0);
  admission_poppable(&a, free);
  assert_int_equal(free[SLOT_PROCESS], 0);
  assert_true(free[SLOT_ASYNC] > 0);
  admission_turn(&a);
  assert_int_equal(admission_room(&a, SLOT_PROCESS), 0);
  ended(11, 1, 1, ME, false);
  admission_turn(&a);
  assert_int_equal(admission_room(&a, SLOT_PROCESS), 2);
  assert_int_equal(admission_ask(&a, &two, true), ADMIT_NOW);
}

/* Its task was canceled, for instance. The others come round all the same. */
static void the_first_that_was_refused_may_be_gone(void **st) {
  struct task_policy two = {.slot = SLOT_PROCESS, .cost = 2};
  int rounds = 0;
  (void)st;
  started(11, 1, 1);
  admission_turn(&a);
  refused(21, &two);
  for (; admission_room(&a, SLOT_PROCESS) > 0 && rounds < 100; rounds++)
    for (int64_t ti = 22; ti <= 24; ti++) refused(ti, &two);
  assert_in_range(rounds, 1, 4);
}

/* Otherwise the task would wait for ever. */
static void more_than_all_is_all(void **st) {
  struct task_policy many = {.slot = SLOT_PROCESS, .cost = 50};
  (void)st;
  assert_int_equal(admission_ask(&a, &many, true), ADMIT_NOW);
  started(11, 1, 50);
  admission_turn(&a);
  assert_int_equal(pool()->used, 2);
  assert_int_equal(pool()->free, 0);
  ended(11, 1, 50, ME, false);
  assert_int_equal(pool()->used, 0);
}

/* ---- what never happens ---- */

static void pay_back_twice(void) {
  started(11, 5, 1);
  ended(11, 5, 1, ME, false);
  ended(11, 5, 1, ME, false);
}
static void take_what_is_not_there(void) {
  for (int i = 0; i < 3; i++) admission_take(&a, &process);
}
static void an_average_below_nothing(void) {
  a.ahead.turn_avg_us = -1;
  admission_check(&a);
}
static void free_beside_a_debt(void) {
  a.pool[SLOT_PROCESS].over = 1;
  admission_check(&a);
}
static void facts_are_kept(void **st) {
  (void)st;
  assert_true(aborts(pay_back_twice));
  assert_true(aborts(take_what_is_not_there));
  assert_true(aborts(an_average_below_nothing));
  assert_true(aborts(free_beside_a_debt));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    OBJECT(now_until_it_is_full), OBJECT(nothing_while_draining), OBJECT(nothing_of_a_class_that_is_held),
    OBJECT(behind_the_hints_that_wait), OBJECT(elsewhere_before_all_else), OBJECT(costs_are_numbers),
    OBJECT(the_book_of_the_turn_is_forgotten), OBJECT(the_other_book_changes_with_commits), OBJECT(results_pay_back_first),
    OBJECT(an_attempt_is_known_by_its_epoch), OBJECT(its_cost_may_come_back_before_its_end), OBJECT(fenced_it_has_nothing),
    OBJECT(short_attempts_are_claimed_ahead), OBJECT(a_slow_turn_claims_more), OBJECT(few_are_not_offered),
    OBJECT(what_comes_round_waits_for_room), OBJECT(the_first_that_was_refused_may_be_gone), OBJECT(more_than_all_is_all),
    OBJECT(facts_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
