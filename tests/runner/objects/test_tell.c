/* What this node tells the others, by itself: when the row is written, what is in it, and that nothing is lost at a fault. */
#include "env_kit.h"
#include "node_trouble.h"
#include "tell.h"

static struct tell tell;
static struct quarantine quarantine;
static struct admission admission;
static struct later later;
static struct reconciler reconciler;
static struct lease lease;
static struct watch watch;

static int set_up(void **st) {
  int rc = kit_up(st);
  later_init(&later, &kit.env);
  admission_init(&admission, &kit.env, (const uint32_t[SLOT__N]){1, 1}, 0);
  reconciler_init(&reconciler, &(struct reconciler){.env = &kit.env, .events = &kit.events, .later = &later, .admission = &admission});
  quarantine_init(&quarantine, &kit.env, &kit.events, &later, &admission, &reconciler);
  watch_init(&watch, kit.env.boot_us);
  lease_init(&lease, &kit.env, &watch);
  tell_init(&tell, &kit.env, &quarantine, &lease, &watch);
  tell_join(&tell);
  return rc;
}
static int tear_down(void **st) {
  tell_done(&tell);
  watch_done(&watch);
  quarantine_done(&quarantine);
  reconciler_done(&reconciler);
  admission_done(&admission);
  later_done(&later);
  return kit_down(st);
}

static unsigned told(void) { return kit.store.calls[KIT_TELL]; }
static void turn(void) { assert_int_equal(tell_turn(&tell), STORE_OK); }

static void a_node_that_is_well_writes_nothing(void **st) {
  (void)st;
  assert_true(tell_next(&tell) <= kit.env.boot_us); /* it has joined: it looks once */
  for (int i = 0; i < 10; i++) turn(), kit_pass(SEC);
  assert_int_equal(told(), 0);
  assert_int_equal(tell_next(&tell), INT64_MAX);
}

static void what_changes_is_told_at_once(void **st) {
  struct node_trouble out;
  (void)st;
  turn();
  quarantine_put(&quarantine, 5);
  assert_true(tell_next(&tell) <= kit.env.boot_us);
  turn();
  assert_int_equal(told(), 1);
  assert_non_null(strstr(kit.store.told, "5"));
  assert_int_equal(kit.deadline, kit.env.boot_us + 45 * SEC); /* it renews the lease as well */
  for (int i = 0; i < 10; i++) turn(), kit_pass(SEC);
  assert_int_equal(told(), 1);
  assert_int_equal(tell_trouble(&tell, &out), ME);
  assert_int_equal(out.n_aside, 1);
  assert_int_equal(out.aside[0], 5);
}

static void at_most_once_a_second(void **st) {
  (void)st;
  for (int64_t fi = 1; fi <= 30; fi++) {
    quarantine_put(&quarantine, fi);
    turn();
    kit_pass(100 * MS);
  }
  assert_int_equal(told(), 3);
  assert_int_equal(tell_next(&tell), tell.at); /* the rest waits for its time */
  kit_pass(SEC);
  turn();
  assert_int_equal(told(), 4);
}

/* The same text again: there is news, but nothing to write. */
static void what_is_the_same_is_not_written(void **st) {
  (void)st;
  quarantine_put(&quarantine, 5);
  turn();
  kit_pass(2 * SEC);
  atomic_store(&kit.env.news, true);
  turn();
  assert_int_equal(told(), 1);
  tell_join(&tell); /* another row, which is empty */
  turn();
  assert_int_equal(told(), 2);
}

static void a_fault_forgets_nothing(void **st) {
  (void)st;
  quarantine_put(&quarantine, 5);
  for (enum store_rc rc = STORE_RETRY; rc <= STORE_DOWN; rc++) {
    if (rc == STORE_BAD) continue;
    kit.store.rc[KIT_TELL] = rc;
    assert_int_equal(tell_turn(&tell), rc);
    assert_true(tell_next(&tell) <= kit.env.boot_us);
  }
  assert_int_equal(kit.deadline, 0);
  kit.store.rc[KIT_TELL] = STORE_OK;
  unsigned n = told();
  turn();
  assert_int_equal(told(), n + 1);
}

/* A table that has no such column: the runner goes on without it, but this has not renewed the lease. */
static void a_row_that_is_refused_holds_up_nothing(void **st) {
  (void)st;
  quarantine_put(&quarantine, 5);
  kit.store.rc[KIT_TELL] = STORE_BAD;
  lease.renew_at = kit.env.boot_us + 3 * SEC;
  int64_t renew_at = lease_next(&lease);
  turn();
  assert_int_equal(kit.deadline, 0);
  assert_int_equal(lease_next(&lease), renew_at);
  kit_pass(10 * SEC);
  turn();
  assert_int_equal(told(), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    OBJECT(a_node_that_is_well_writes_nothing), OBJECT(what_changes_is_told_at_once), OBJECT(at_most_once_a_second),
    OBJECT(what_is_the_same_is_not_written), OBJECT(a_fault_forgets_nothing), OBJECT(a_row_that_is_refused_holds_up_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
