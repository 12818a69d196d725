/* The quarantine alone: waits that grow, trials and their end, what is kept, results that are given up. */
#include "env_kit.h"
#include "quarantine.h"

static struct quarantine quarantine;
static struct admission admission;
static struct later later;
static struct reconciler reconciler;
static struct timers timers;

static int set_up(void **st) {
  int rc = kit_up(st);
  later_init(&later, &kit.env);
  timers_init(&timers, 100);
  admission_init(&admission, &kit.env, (const uint32_t[SLOT__N]){2, 2}, 0);
  reconciler_init(&reconciler, &(struct reconciler){.env = &kit.env, .events = &kit.events, .later = &later, .timers = &timers,
                                                     .flow_timers = &timers, .admission = &admission});
  reconciler.at = INT64_MAX;
  quarantine_init(&quarantine, &kit.env, &kit.events, &later, &admission, &reconciler);
  return rc;
}
static int tear_down(void **st) {
  quarantine_check(&quarantine);
  quarantine_done(&quarantine);
  reconciler_done(&reconciler);
  admission_done(&admission);
  timers_done(&timers);
  later_done(&later);
  return kit_down(st);
}

enum { FI = 5 };
static int64_t wait_left(void) { return quarantine_next(&quarantine) - kit.env.boot_us; }
static bool waits(void) { return quarantine_waits(&quarantine, FI); }
static bool has(void) { return quarantine_has(&quarantine, FI); }

static void turn(void) {
  quarantine_turn(&quarantine);
  quarantine_check(&quarantine);
}
static void to_its_time(void) {
  kit_pass(wait_left());
  turn();
}
/* The pass that was asked for has been made. */
static void rows_are_looked_at(void) {
  map64_done(&reconciler.wanted.flows);
  kit_forget_events();
}

/* ---- states ---- */

static void it_waits_longer_each_time(void **st) {
  static const int64_t wait[] = {15, 30, 60, 120, 240, 480, 600, 600, 600};
  (void)st;
  assert_false(waits() || has());
  assert_int_equal(quarantine_next(&quarantine), INT64_MAX);
  for (size_t i = 0; i < sizeof wait / sizeof *wait; i++) {
    quarantine_put(&quarantine, FI);
    assert_int_equal(wait_left(), wait[i] * SEC);
    assert_true(waits() && has());
    kit_pass(wait_left() - 1);
    turn();
    assert_true(waits());
    kit_pass(1);
    turn();
    assert_true(!waits() && has()); /* on trial: its events are handled */
    assert_int_equal(wait_left(), wait[i] * SEC);
    rows_are_looked_at();
  }
}

static void its_trial_looks_at_its_rows(void **st) {
  (void)st;
  quarantine_put(&quarantine, FI);
  assert_false(reconciler_busy(&reconciler));
  to_its_time();
  assert_non_null(map64_get(&reconciler.wanted.flows, FI));
  assert_int_equal(reconciler_next(&reconciler), kit.env.boot_us);
}

/* A flow on trial may not have been tried yet: its events may wait, or its rows were not looked at. */
static void a_trial_is_over_when_nothing_waits(void **st) {
  struct ev e = {.kind = EV_DUE, .fi = 9, .ti = 4};
  (void)st;
  quarantine_put(&quarantine, FI);
  to_its_time();
  to_its_time();
  assert_true(has()); /* its rows wait */
  rows_are_looked_at();
  events_add(&kit.events, e);
  to_its_time();
  assert_true(has());
  kit_forget_events();
  later_put(&later, &e);
  to_its_time();
  assert_true(has());
  later.wait.n = 0;
  reconciler.state = REC_TASKS;
  to_its_time();
  assert_true(has());
  reconciler.state = REC_IDLE;
  atomic_store(&kit.env.news, false);
  to_its_time();
  assert_true(!has() && !waits());
  assert_true(atomic_load(&kit.env.news));
  assert_int_equal(quarantine_next(&quarantine), INT64_MAX);
  quarantine_put(&quarantine, FI); /* begins anew */
  assert_int_equal(wait_left(), 15 * SEC);
}

static void a_commit_ends_a_trial(void **st) {
  (void)st;
  quarantine_put(&quarantine, FI);
  to_its_time();
  quarantine_committed(&quarantine, 77); /* another flow's */
  assert_true(has());
  quarantine_committed(&quarantine, FI);
  assert_false(has());
}

/* A request of a user was committed while the flow waited. */
static void a_commit_ends_a_wait(void **st) {
  (void)st;
  quarantine_put(&quarantine, FI);
  quarantine_keep(&quarantine, &(struct ev){.kind = EV_TIMEOUT, .fi = FI, .ti = 3});
  quarantine_committed(&quarantine, FI);
  assert_false(has());
  assert_int_equal(kit_event(EV_TIMEOUT)->ti, 3);
  assert_non_null(map64_get(&reconciler.wanted.flows, FI)); /* events that were dropped are looked for */
}

static void flows_wait_for_themselves(void **st) {
  int64_t fi[4];
  (void)st;
  quarantine_put(&quarantine, FI);
  assert_true(atomic_load(&kit.env.news));
  kit_pass(5 * SEC);
  quarantine_put(&quarantine, 6);
  assert_int_equal(wait_left(), 10 * SEC);
  assert_int_equal(quarantine_list(&quarantine, fi, 4), 2);
  assert_int_equal(fi[0] + fi[1], 11);
  assert_int_equal(quarantine_list(&quarantine, fi, 1), 1);
  to_its_time();
  assert_false(waits());
  assert_true(quarantine_waits(&quarantine, 6));
  assert_false(quarantine_waits(&quarantine, 7) || quarantine_waits(&quarantine, 0));
}

/* ---- what is kept ---- */

static void started(const struct attempt *at) {
  admission_started(&admission, at);
}

static void results_are_kept_without_their_slot(void **st) {
  struct attempt *at = kit_attempt(FI, 51, 2, SLOT_PROCESS);
  (void)st;
  started(at);
  quarantine_put(&quarantine, FI);
  quarantine_keep(&quarantine, &(struct ev){.kind = EV_RESULT, .fi = FI, .ti = 51, .a = at, .then = THEN_KEPT});
  quarantine_keep(&quarantine, &(struct ev){.kind = EV_TIMEOUT, .fi = FI, .ti = 52});
  assert_int_equal(admission.pool[SLOT_PROCESS].used, 0);
  assert_int_equal(admission_epoch(&admission, 51), 2); /* it is not lost */
  assert_int_equal(kit.events.n, 0);
  to_its_time();
  assert_int_equal(kit.events.n, 2); /* in their order */
  struct ev e = kit.events.v[0];
  assert_ptr_equal(e.a, at);
  assert_true(e.slotless);
  assert_int_equal(e.then, THEN_OVER);
  assert_int_equal(kit.events.v[1].ti, 52);
  kit.events.n = 0;
  started(&(struct attempt){.ti = 60, .epoch = 1, .owner = ME, .policy = at->policy}); /* another attempt has that slot now */
  quarantine_put(&quarantine, FI); /* refused again */
  quarantine_keep(&quarantine, &e);
  assert_int_equal(admission.pool[SLOT_PROCESS].used, 1); /* the slot is not paid back twice */
  turn();
}

static void kept_until_the_end_is_freed(void **st) {
  (void)st; /* under ASan */
  quarantine_put(&quarantine, FI);
  struct attempt *at = kit_attempt(FI, 51, 2, SLOT_PROCESS);
  quarantine_keep(&quarantine, &(struct ev){.kind = EV_RESULT, .fi = FI, .ti = 51, .slotless = true, .a = at});
}

static void nothing_is_kept_of_what_is_not_aside(void **st) {
  (void)st;
  quarantine_keep(&quarantine, &(struct ev){.kind = EV_TIMEOUT, .fi = FI, .ti = 52, .then = THEN_KEPT});
  assert_int_equal(kit.events.n, 1);
  assert_int_equal(kit.events.v[0].then, THEN_OVER);
}

/* ---- results that are given up ---- */

static struct ev result_of(int64_t fi) {
  struct attempt *at = kit_attempt(fi, 51, 2, SLOT_PROCESS);
  at->result = wr_strdup("out");
  at->result_len = 3;
  return (struct ev){.kind = EV_RESULT, .fi = fi, .ti = 51, .a = at, .slotless = true};
}

static void the_fifth_refusal_blames_the_result(void **st) {
  struct ev e = result_of(FI);
  (void)st;
  assert_false(quarantine_blames(&quarantine, &e)); /* the flow is not set aside */
  for (int i = 0; i < 4; i++) {
    assert_false(quarantine_blames(&quarantine, &e));
    quarantine_put(&quarantine, FI);
  }
  assert_true(quarantine_blames(&quarantine, &e));
  ev_stand_in(&e, "refused");
  assert_false(quarantine_blames(&quarantine, &e)); /* the failure is refused as well: the fault is not the result's */
  ev_restore(&e);
  assert_true(quarantine_blames(&quarantine, &e));
  ev_free(&e);
  assert_false(quarantine_blames(&quarantine, &e)); /* no result */
}

/* A stand-alone task is never set aside. Its result is tried alone. */
static void a_lone_result_counts_its_waits(void **st) {
  struct ev e = result_of(0);
  (void)st;
  e.wait.times = LATER_ALONE_MOST - 1;
  assert_false(quarantine_blames(&quarantine, &e));
  e.wait.times++;
  assert_true(quarantine_blames(&quarantine, &e));
  ev_free(&e);
}

/* ---- what never happens ---- */

static void of_no_flow(void) {
  quarantine_put(&quarantine, -1);
  quarantine_check(&quarantine);
}
static void of_another_flow(void) {
  struct ev e = {.kind = EV_TIMEOUT, .fi = FI};
  quarantine_put(&quarantine, FI);
  quarantine_keep(&quarantine, &e);
  void *aside = map64_del(&quarantine.flows, FI);
  (void)map64_put(&quarantine.flows, 6, aside);
  quarantine_check(&quarantine);
}
static void kept_on_trial(void) {
  quarantine_put(&quarantine, FI);
  to_its_time();
  quarantine_keep(&quarantine, &(struct ev){.kind = EV_TIMEOUT, .fi = FI});
  quarantine_check(&quarantine);
}
static void facts_are_kept(void **st) {
  (void)st;
  assert_true(aborts(of_no_flow));
  assert_true(aborts(of_another_flow));
  assert_true(aborts(kept_on_trial));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    OBJECT(it_waits_longer_each_time), OBJECT(its_trial_looks_at_its_rows), OBJECT(a_trial_is_over_when_nothing_waits),
    OBJECT(a_commit_ends_a_trial), OBJECT(a_commit_ends_a_wait), OBJECT(flows_wait_for_themselves),
    OBJECT(results_are_kept_without_their_slot), OBJECT(kept_until_the_end_is_freed),
    OBJECT(nothing_is_kept_of_what_is_not_aside), OBJECT(the_fifth_refusal_blames_the_result),
    OBJECT(a_lone_result_counts_its_waits), OBJECT(facts_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
