/* The drain alone: when its row is read, what the wish changes, and when what runs is told to stop. */
#include "env_kit.h"
#include "drain.h"

static struct drain drain;
static struct admission admission;

static void make(bool single, uint32_t slots) {
  kit.env.single = single;
  admission_init(&admission, &kit.env, (const uint32_t[SLOT__N]){slots, slots}, 0);
  admission_turn(&admission);
  drain_init(&drain, &kit.env, &admission);
}
static int set_up(void **st) {
  int rc = kit_up(st);
  make(false, 2);
  return rc;
}
static int tear_down(void **st) {
  drain_check(&drain);
  admission_done(&admission);
  return kit_down(st);
}

static void turn(void) {
  assert_int_equal(drain_turn(&drain), STORE_OK);
  drain_check(&drain);
  admission_turn(&admission);
}
static unsigned looks(void) { return kit.store.calls[KIT_WISH]; }
static void wish(int64_t at_us, int64_t stop_us) { kit.store.wish = (struct drain_wish){at_us, stop_us}; }
static void started(int64_t ti) {
  struct attempt at = {.ti = ti, .epoch = 1, .owner = ME, .policy = {.slot = SLOT_PROCESS}};
  admission_take(&admission, &at.policy);
  admission_started(&admission, &at);
}

static void the_row_is_read_once_a_second(void **st) {
  (void)st;
  assert_int_equal(drain_next(&drain), 0);
  turn();
  turn();
  assert_int_equal(looks(), 1);
  assert_int_equal(drain_next(&drain), kit.env.boot_us + DRAIN_LOOK_US);
  kit_pass(DRAIN_LOOK_US);
  turn();
  assert_int_equal(looks(), 2);
  drain_now(&drain);
  turn();
  assert_int_equal(looks(), 3);
}

static void a_single_process_is_told(void **st) {
  (void)st;
  make(true, 2);
  assert_int_equal(drain_next(&drain), INT64_MAX);
  turn();
  assert_int_equal(looks(), 0);
  drain_now(&drain);
  turn();
  assert_int_equal(looks(), 1);
  assert_int_equal(drain_next(&drain), INT64_MAX);
}

static void a_node_without_slots_looks_as_it_renews(void **st) {
  (void)st;
  make(false, 0);
  turn();
  assert_int_equal(drain_next(&drain), kit.env.boot_us + kit.env.lease_us / RENEW_PART);
}

static void a_wish_stops_claims_until_it_is_taken_back(void **st) {
  (void)st;
  started(5);
  turn();
  assert_false(kit.env.draining);
  wish(77, 0);
  drain_now(&drain);
  turn();
  assert_true(kit.env.draining && kit.env.wished && !kit.env.leaving);
  assert_int_equal(kit.env.drain_seen_us, 77);
  assert_true(kit.env.news);
  assert_int_equal(admission_ask(&admission, &(struct task_policy){.slot = SLOT_PROCESS}, true), ADMIT_DRAINING);
  assert_int_equal(kit.back_waiting, 1);
  drain_now(&drain);
  turn(); /* the same wish: nothing new */
  assert_int_equal(kit.back_waiting, 1);
  kit_pass(1000 * SEC);
  turn();
  assert_int_equal(kit.back_all, 0); /* it has no time */
  wish(0, 0);
  drain_now(&drain);
  turn();
  assert_false(kit.env.draining || kit.env.wished);
  assert_int_equal(kit.env.drain_seen_us, 0);
  assert_int_equal(admission_ask(&admission, &(struct task_policy){.slot = SLOT_PROCESS}, true), ADMIT_NOW);
}

static void a_planned_stop_goes_on(void **st) {
  (void)st;
  kit.env.leaving = kit.env.draining = true;
  wish(77, 0);
  turn();
  wish(0, 0);
  drain_now(&drain);
  turn();
  assert_true(kit.env.draining);
}

static void what_runs_is_told_to_stop_once(void **st) {
  (void)st;
  started(5);
  wish(77, kit.env.wall_us + 500 * MS);
  turn();
  assert_int_equal(kit.back_all, 0);
  assert_int_equal(drain_next(&drain), kit.env.boot_us + 500 * MS);
  kit_pass(500 * MS);
  turn();
  turn();
  assert_int_equal(kit.back_all, 1);
  wish(77, kit.env.wall_us - 1); /* another time */
  drain_now(&drain);
  turn();
  assert_int_equal(kit.back_all, 2);
}

static void a_fault_leaves_the_wish_as_it_was(void **st) {
  (void)st;
  wish(77, 0);
  turn();
  kit.store.rc[KIT_WISH] = STORE_DOWN;
  wish(0, 0);
  drain_now(&drain);
  assert_int_equal(drain_turn(&drain), STORE_DOWN);
  assert_true(kit.env.draining);
  kit.store.rc[KIT_WISH] = STORE_OK;
  turn();
  assert_false(kit.env.draining);
}

static void a_node_that_joins_again_keeps_it(void **st) {
  (void)st;
  struct node_info info = {.host = "h"};
  wish(77, 88);
  turn();
  drain_join(&drain, &info);
  assert_int_equal(info.drain_at_us, 77);
  assert_int_equal(info.drain_stop_us, 88);
}

static void what_runs_is_counted(void **st) {
  (void)st;
  started(5);
  started(6);
  drain_figures(&drain);
  assert_int_equal(kit.env.running, 2);
  assert_int_equal(kit.env.slots_used, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    OBJECT(the_row_is_read_once_a_second), OBJECT(a_single_process_is_told), OBJECT(a_node_without_slots_looks_as_it_renews),
    OBJECT(a_wish_stops_claims_until_it_is_taken_back), OBJECT(a_planned_stop_goes_on), OBJECT(what_runs_is_told_to_stop_once),
    OBJECT(a_fault_leaves_the_wish_as_it_was), OBJECT(a_node_that_joins_again_keeps_it), OBJECT(what_runs_is_counted)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
