/* The list of events, and results for which a failure stands in. */
#include "env_kit.h"

static struct events l;
static int set_up(void **st) { return kit_up(st); }

static struct ev result_of(int64_t fi) {
  struct attempt *a = kit_attempt(fi, 51, 2, SLOT_PROCESS);
  a->result = wr_strdup("out");
  a->result_len = 3;
  return (struct ev){.kind = EV_RESULT, .fi = fi, .ti = 51, .a = a};
}

static int tear_down(void **st) {
  events_done(&l);
  return kit_down(st);
}

static void a_failure_stands_in(void **st) {
  struct ev e = result_of(7);
  (void)st;
  ev_restore(&e); /* nothing stands in */
  assert_int_equal(e.a->end, ATTEMPT_OK);
  ev_stand_in(&e, "refused");
  assert_int_equal(e.a->end, ATTEMPT_FAIL);
  assert_null(e.a->result);
  assert_int_equal(e.a->result_len, 0);
  assert_string_equal(e.a->error, "refused");
  ev_restore(&e);
  assert_int_equal(e.a->end, ATTEMPT_OK);
  assert_string_equal(e.a->result, "out");
  assert_int_equal(e.a->result_len, 3);
  assert_null(e.a->error);
  assert_null(e.spare);
  ev_free(&e);
  assert_null(e.a);
}

/* Whatever of it stands in: the sanitizers see what is left. */
static void a_list_owns_what_its_events_own(void **st) {
  (void)st;
  events_add(&l, result_of(7));
  events_add(&l, (struct ev){.kind = EV_DUE, .fi = 7, .ti = 52});
  events_add(&l, result_of(8));
  ev_stand_in(&l.v[0], "refused");
  events_check(&l);
  events_done(&l);
  assert_int_equal(l.n, 0);
  assert_null(l.v);
}

static void they_leave_in_front(void **st) {
  (void)st;
  for (int64_t ti = 1; ti <= 5; ti++) events_add(&l, (struct ev){.kind = EV_DUE, .ti = ti});
  events_remove(&l, 2);
  assert_int_equal(l.n, 3);
  assert_int_equal(l.v[0].ti, 3);
  events_remove(&l, 3);
  assert_int_equal(l.n, 0);
}

/* Only a batch in doubt holds its events between two turns. */
static void in_doubt_the_batch_stays(void **st) {
  (void)st;
  for (int64_t ti = 1; ti <= 3; ti++) events_add(&l, (struct ev){.kind = EV_DUE, .ti = ti});
  assert_int_equal(events_held(&l), 0);
  l.taken = 2;
  assert_int_equal(events_held(&l), 0);
  l.in_doubt = true;
  assert_int_equal(events_held(&l), 2);
  l.v[1].then = THEN_LATER;
  events_check(&l);
}

/* ---- what never happens ---- */

static void one(void) { events_add(&l, (struct ev){.kind = EV_DUE, .ti = 1}); }
static void more_are_taken_than_there_are(void) { one(); l.in_doubt = true; l.taken = 2; events_check(&l); }
static void a_batch_between_two_turns(void) { one(); l.taken = 1; events_check(&l); }
static void decided_but_not_taken(void) { one(); l.v[0].then = THEN_LATER; events_check(&l); }
static void no_result_owns_an_attempt(void) { one(); l.v[0].a = kit_attempt(7, 51, 2, SLOT_PROCESS); events_check(&l); }
static void a_stand_in_behind_others(void) { one(); events_add(&l, result_of(7)); ev_stand_in(&l.v[1], "x"); events_check(&l); }
static void two_stand_ins(void) { struct ev e = result_of(7); ev_stand_in(&e, "x"); ev_stand_in(&e, "y"); }

static void the_check_sees(void **st) {
  (void)st;
  assert_true(aborts(more_are_taken_than_there_are));
  assert_true(aborts(a_batch_between_two_turns));
  assert_true(aborts(decided_but_not_taken));
  assert_true(aborts(no_result_owns_an_attempt));
  assert_true(aborts(a_stand_in_behind_others));
  assert_true(aborts(two_stand_ins));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    OBJECT(a_failure_stands_in), OBJECT(a_list_owns_what_its_events_own), OBJECT(they_leave_in_front), OBJECT(in_doubt_the_batch_stays),
    OBJECT(the_check_sees),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
