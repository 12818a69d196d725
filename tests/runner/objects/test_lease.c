/* The lease alone: joining, renewing, contact, and when others may be buried. */
#include "env_kit.h"
#include "lease.h"

static struct lease lease;
static struct watch watch;
static const struct node_info info = {.host = "h"};

static int set_up(void **st) {
  int rc = kit_up(st);
  watch_init(&watch, kit.env.boot_us);
  lease_init(&lease, &kit.env, &watch);
  return rc;
}
static int tear_down(void **st) {
  watch_done(&watch);
  return kit_down(st);
}

static void join(void) {
  struct wr_err err;
  assert_int_equal(lease_join(&lease, &info, &err), WR_OK);
}
static unsigned renewals(void) { return kit.store.calls[KIT_RENEW]; }
static void turn(void) { assert_int_equal(lease_turn(&lease), STORE_OK); }

/* ---- joining ---- */

static void it_joins_as_who_the_store_says(void **st) {
  (void)st;
  kit.store.me = 42;
  join();
  assert_int_equal(kit.env.me, 42);
  assert_int_equal(lease_next(&lease), 0); /* the first renewal is due */
  assert_false(lease_may_bury(&lease));
}

static void a_refusal_says_why(void **st) {
  struct wr_err err;
  (void)st;
  kit.store.rc[KIT_JOIN] = STORE_DOWN;
  assert_int_equal(lease_join(&lease, &info, &err), WR_DB_UNAVAILABLE);
  assert_non_null(strstr(err.msg, "DOWN"));
  (void)snprintf(kit.store.s.why, sizeof kit.store.s.why, "nobody listens there");
  assert_int_equal(lease_join(&lease, &info, &err), WR_DB_UNAVAILABLE);
  assert_non_null(strstr(err.msg, "nobody listens there"));
}

static void a_single_process_needs_none(void **st) {
  (void)st;
  kit.env.single = true;
  join();
  assert_int_equal(lease_next(&lease), INT64_MAX);
  for (int i = 0; i < 10; i++) kit_pass(60 * SEC), turn();
  lease_sent(&lease);
  lease_ok(&lease);
  assert_int_equal(renewals(), 0);
  assert_int_equal(kit.deadline, 0);
  lease.contact_us = 0;
  assert_false(lease_may_bury(&lease));
}

/* ---- renewing ---- */

static void each_sixth_of_a_lease(void **st) {
  (void)st;
  join();
  turn();
  assert_int_equal(renewals(), 1);
  for (int i = 0; i < 60; i++) kit_pass(SEC), turn();
  assert_int_equal(renewals(), 7);
  assert_int_equal(lease_next(&lease), kit.env.boot_us + 10 * SEC);
}

/* Batches renew as well; the shared clock is read all the same. */
static void batches_renew_and_the_clock_is_read(void **st) {
  (void)st;
  join();
  turn();
  for (int i = 0; i < 60; i++) {
    kit_pass(SEC);
    lease_sent(&lease);
    lease_ok(&lease); /* a batch */
    turn();
  }
  assert_int_equal(renewals(), 7);
}

/* Three quarters of the lease, and from before the commit was sent. */
static void children_may_live_until_before_the_lease_ends(void **st) {
  (void)st;
  join();
  turn();
  int64_t sent = kit.env.boot_us;
  assert_int_equal(kit.deadline, sent + 45 * SEC);
  kit_pass(3 * SEC);
  sent = kit.env.boot_us;
  lease_sent(&lease);
  assert_int_equal(kit.deadline, sent - 3 * SEC + 45 * SEC); /* not committed */
  kit_pass(20 * SEC); /* its commit took so long */
  lease_ok(&lease);
  assert_int_equal(kit.deadline, sent + 45 * SEC);
}

static void a_renewal_that_fails_moves_nothing(void **st) {
  (void)st;
  join();
  turn();
  int64_t was = kit.deadline;
  kit_pass(10 * SEC);
  for (enum store_rc rc = STORE_OK + 1; rc <= STORE_NO_SPACE; rc++) {
    kit.store.rc[KIT_RENEW] = rc;
    assert_int_equal(lease_turn(&lease), rc);
    assert_int_equal(kit.deadline, was);
  }
  kit.store.rc[KIT_RENEW] = STORE_OK;
  unsigned n = renewals();
  turn(); /* it is due still */
  assert_int_equal(renewals(), n + 1);
  assert_int_equal(kit.deadline, was + 10 * SEC);
}

/* Somebody wants to know whether the store is well. */
static void it_renews_when_it_is_asked(void **st) {
  (void)st;
  join();
  turn();
  watch_failed(&watch, kit.env.boot_us, STORE_DOWN, NULL);
  kit_pass(1);
  turn();
  assert_int_equal(renewals(), 2);
  assert_int_equal(watch_state(&watch), WATCH_WELL);
  kit_pass(1);
  turn();
  assert_int_equal(renewals(), 2);
}

/* ---- contact ---- */

static void renew_for(int64_t us, int64_t every) {
  for (int64_t end = kit.env.boot_us + us; kit.env.boot_us < end;) {
    kit_pass(every);
    lease_sent(&lease);
    lease_ok(&lease);
  }
}

static void only_a_whole_lease_of_contact_buries(void **st) {
  (void)st;
  join();
  turn();
  kit_pass(59 * SEC);
  assert_false(lease_may_bury(&lease));
  join(); /* it begins anew with each incarnation, and with its first commit */
  kit_pass(120 * SEC);
  turn();
  assert_false(lease_may_bury(&lease));
  renew_for(50 * SEC, 10 * SEC);
  assert_false(lease_may_bury(&lease));
  renew_for(10 * SEC, 10 * SEC);
  assert_true(lease_may_bury(&lease));
}

static void an_outage_gives_all_others_time(void **st) {
  (void)st;
  join();
  turn();
  renew_for(90 * SEC, 30 * SEC); /* half a lease is no gap */
  assert_true(lease_may_bury(&lease));
  kit_pass(30 * SEC + 1);
  assert_true(lease_may_bury(&lease)); /* nothing was renewed yet: the pass that buries comes behind the renewal of its turn */
  turn();
  assert_false(lease_may_bury(&lease));
  renew_for(60 * SEC, 10 * SEC);
  assert_true(lease_may_bury(&lease));
}

/* ---- time ---- */

static void time_never_runs_backwards(void **st) {
  (void)st;
  int64_t wall = kit.env.wall_us, boot = kit.env.boot_us;
  lease_clocks(&lease, wall + SEC, boot + SEC);
  assert_int_equal(kit.env.wall_us, wall + SEC);
  lease_clocks(&lease, wall - 3600 * SEC, boot + 2 * SEC);
  assert_in_range(kit.env.wall_us, wall + SEC, wall + 2 * SEC);
  assert_int_equal(kit.env.boot_us, boot + 2 * SEC);
  shared_clock_read(&kit.store.s.clock, wall + 500 * SEC, boot + 3 * SEC, boot + 3 * SEC);
  lease_clocks(&lease, wall, boot + 4 * SEC); /* what all nodes share is what counts */
  assert_int_equal(kit.env.wall_us, wall + 501 * SEC);
  kit.env.wall_us = wall + 900 * SEC;
  lease_clocks(&lease, wall, boot + 5 * SEC);
  assert_int_equal(kit.env.wall_us, wall + 900 * SEC);
}

/* Fenced, and it cannot join: it asks again with the next turn. */
static void without_membership_each_turn_asks(void **st) {
  struct wr_err err;
  (void)st;
  for (int single = 0; single < 2; single++) {
    kit.env.single = single != 0;
    kit.store.rc[KIT_JOIN] = STORE_OK;
    join();
    kit.store.rc[KIT_JOIN] = STORE_DOWN;
    assert_int_equal(lease_join(&lease, &info, &err), WR_DB_UNAVAILABLE);
    lease_check(&lease);
    assert_int_equal(lease_next(&lease), 0);
    kit.store.rc[KIT_RENEW] = STORE_FENCED;
    assert_int_equal(lease_turn(&lease), STORE_FENCED);
  }
}

/* ---- the check ---- */
static void sent_in_the_future(void) {
  lease.sent_us = lease.env->boot_us + 1;
  lease_check(&lease);
}
static void renewed_too_late(void) {
  lease.renew_at = lease.env->boot_us + lease.env->lease_us;
  lease_check(&lease);
}
static void facts_are_kept(void **st) {
  (void)st;
  lease_check(&lease);
  assert_true(aborts(sent_in_the_future));
  assert_true(aborts(renewed_too_late));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    OBJECT(it_joins_as_who_the_store_says), OBJECT(a_refusal_says_why), OBJECT(a_single_process_needs_none),
    OBJECT(each_sixth_of_a_lease), OBJECT(batches_renew_and_the_clock_is_read),
    OBJECT(children_may_live_until_before_the_lease_ends), OBJECT(a_renewal_that_fails_moves_nothing),
    OBJECT(it_renews_when_it_is_asked), OBJECT(only_a_whole_lease_of_contact_buries), OBJECT(an_outage_gives_all_others_time),
    OBJECT(time_never_runs_backwards), OBJECT(without_membership_each_turn_asks),
    OBJECT(facts_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
