/* The list of events that were put off (later.h), by itself: growing pauses, events that are tried alone, events whose rows are
 * locked, the look. */
#include "env_kit.h"
#include "later.h"

static struct later later;

static int set_up(void **st) {
  int rc = kit_up(st);
  later_init(&later, &kit.env);
  return rc;
}
static int tear_down(void **st) {
  later_done(&later);
  return kit_down(st);
}

static struct ev due(int64_t ti) { return (struct ev){.kind = EV_DUE, .fi = 1, .ti = ti}; }
static int64_t pause_left(void) { return later_next(&later) - kit.env.boot_us; }

/* Takes the event that waits, when its time has come. */
static struct ev come(void) {
  kit_pass(pause_left());
  kit_forget_events();
  later_take(&later, &kit.events);
  assert_int_equal(kit.events.n, 1);
  kit.events.n = 0;
  return kit.events.v[0];
}

/* ---- pauses ---- */

static void pauses_grow_to_a_second(void **st) {
  (void)st;
  struct ev e = due(5);
  assert_int_equal(later_next(&later), INT64_MAX);
  for (int i = 0; i < 14; i++) {
    e.then = THEN_LATER;
    later_put(&later, &e);
    assert_int_equal(pause_left(), MS << (i < 10 ? i : 10));
    e = come();
    assert_int_equal(e.then, THEN_OVER);
    assert_false(e.wait.alone);
  }
  assert_int_equal(later_next(&later), INT64_MAX);
}

static void what_is_only_read_anew_has_no_pause(void **st) {
  (void)st;
  struct ev e = due(5);
  for (int i = 0; i < 20; i++) {
    e.then = THEN_AGAIN;
    later_put(&later, &e);
    assert_int_equal(pause_left(), 0);
    e = come();
    assert_int_equal(e.wait.times, 0);
  }
}

static void alone_the_pauses_grow_to_sixteen_seconds(void **st) {
  (void)st;
  struct ev e = due(5);
  for (int i = 0; i < 20; i++) {
    struct events from = {0};
    events_add(&from, e);
    events_add(&from, due(6));
    later_put_alone(&later, &from);
    assert_int_equal(from.n, 1); /* the others go on */
    assert_int_equal(from.v[0].ti, 6);
    assert_int_equal(pause_left(), MS << (i < 14 ? i : 14));
    events_done(&from);
    e = come();
    assert_true(e.wait.alone);
    assert_true(e.wait.times <= LATER_ALONE_MOST);
  }
  assert_int_equal(e.wait.times, LATER_ALONE_MOST);
}

/* An event that has waited long with others keeps its count of tries when it is tried alone. */
static void alone_counts_from_where_it_was(void **st) {
  (void)st;
  struct ev e = due(5);
  e.wait.times = LATER_ALONE + 2;
  events_add(&kit.events, e);
  later_put_alone(&later, &kit.events);
  assert_int_equal(pause_left(), MS << 2);
}

static void briefly_is_a_second_at_most(void **st) {
  (void)st;
  struct ev e = due(5);
  for (int i = 0; i < 20; i++) {
    kit_forget_events();
    events_add(&kit.events, e);
    later_put_briefly(&later, &kit.events);
    assert_int_equal(pause_left(), MS << (i < 10 ? i : 10));
    e = come();
  }
}

/* ---- alone ---- */

static void one_alone_a_turn_the_longest_wait_first(void **st) {
  (void)st;
  for (int64_t ti = 1; ti <= 3; ti++) events_add(&kit.events, due(ti));
  events_add(&kit.events, due(9));
  kit.events.v[0].wait.at_us = 1;
  later_put_apart(&later, &kit.events, 3);
  assert_int_equal(kit.events.n, 1);
  assert_int_equal(kit.events.v[0].ti, 9);
  later.wait.v[1].wait.at_us -= 5; /* has waited for longest */
  struct ev e = due(4);
  later_put(&later, &e); /* comes with the others */
  kit_pass(MS);
  later_take(&later, &kit.events);
  assert_int_equal(kit.events.n, 3);
  assert_int_equal(kit.events.v[1].ti, 4);
  assert_int_equal(kit.events.v[2].ti, 2); /* after all events that came meanwhile */
  assert_true(kit.events.v[2].wait.alone);
  later_take(&later, &kit.events);
  assert_int_equal(kit.events.n, 3); /* one such event is on its way */
  kit_forget_events();
  later_take(&later, &kit.events);
  later_take(&later, &kit.events);
  assert_int_equal(kit.events.n, 1);
  assert_int_equal(kit.events.v[0].ti, 1);
  assert_int_equal(later.wait.n, 1);
}

static void alone_it_waits_for_its_time_too(void **st) {
  (void)st;
  struct ev e = due(5);
  e.wait.times = LATER_ALONE + 4;
  events_add(&kit.events, e);
  later_put_alone(&later, &kit.events);
  kit_pass(MS << 3);
  later_take(&later, &kit.events);
  assert_int_equal(kit.events.n, 0);
}

static void only_those_whose_time_has_come(void **st) {
  (void)st;
  for (uint8_t i = 0; i < 4; i++) {
    struct ev e = due(i + 1);
    e.wait.times = i;
    later_put(&later, &e);
  }
  kit_pass(2 * MS);
  later_take(&later, &kit.events);
  assert_int_equal(kit.events.n, 2);
  assert_int_equal(kit.events.v[0].ti, 1);
  assert_int_equal(kit.events.v[1].ti, 2);
  assert_int_equal(pause_left(), 2 * MS);
}

/* ---- locked by another process ---- */

static void only_what_needs_a_held_row_waits(void **st) {
  struct flow_write flow[] = {{.row = {.fi = 3}}, {.row = {.fi = 5}, .held = true}, {.row = {.fi = 8}}};
  struct task_write task[] = {{.row = {.ti = 30}, .held = true}, {.row = {.ti = 31}}};
  struct batch b = {.flow = flow, .n_flow = 3, .task = task, .n_task = 2};
  struct req_start bulk[] = {{.fi = 3}, {.fi = 5}};
  struct req start = {.kind = REQ_START, .start = bulk, .n_start = 2}, known = start, cancel = {.kind = REQ_CANCEL_FLOW};
  struct req other = {.kind = REQ_START, .start = bulk, .n_start = 1};
  (void)st;
  known.replayed = true;
  const struct ev all[] = {
    {.kind = EV_DUE, .fi = 5, .ti = 1}, {.kind = EV_DUE, .fi = 3, .ti = 2}, {.kind = EV_DUE, .fi = 4, .ti = 30},
    {.kind = EV_RESULT, .ti = 30}, {.kind = EV_RESULT, .ti = 31}, {.kind = EV_REQ, .q = &start}, {.kind = EV_REQ, .q = &known},
    {.kind = EV_REQ, .q = &other}, {.kind = EV_REQ, .fi = 5, .q = &cancel}, {.kind = EV_DUE, .fi = 5, .ti = 9},
  };
  for (size_t i = 0; i < 10; i++) events_add(&kit.events, all[i]);
  assert_true(later_put_held(&later, &kit.events, 9, &b)); /* the tenth was not in the batch */
  assert_int_equal(later.wait.n, 4);
  assert_int_equal(later.wait.v[0].ti, 1);
  assert_int_equal(later.wait.v[1].ti, 30);
  assert_ptr_equal(later.wait.v[2].q, &start); /* one of its flows */
  assert_int_equal(later.wait.v[3].q->kind, REQ_CANCEL_FLOW);
  assert_int_equal(kit.events.n, 6);
  assert_int_equal(kit.events.v[5].ti, 9);
  assert_int_equal(kit.events.v[0].ti, 2); /* in their order */
  assert_int_equal(pause_left(), MS);
}

/* A wish about a job changes tasks that its event does not name. */
static void a_held_row_that_no_event_names_is_told(void **st) {
  struct task_write task[] = {{.row = {.ti = 30}}, {.row = {.ti = 31}}};
  struct batch b = {.task = task, .n_task = 2};
  (void)st;
  events_add(&kit.events, (struct ev){.kind = EV_DUE, .ti = 30});
  events_add(&kit.events, (struct ev){.kind = EV_MORE});
  assert_true(later_put_held(&later, &kit.events, 2, &b)); /* none is locked */
  assert_int_equal(kit.events.n, 2);
  task[1].held = true;
  assert_false(later_put_held(&later, &kit.events, 2, &b));
  assert_int_equal(kit.events.n, 2);
  assert_int_equal(later.wait.n, 0);
}

/* ---- the look ---- */

static void the_look_knows_what_waits(void **st) {
  struct req q = {.kind = REQ_CANCEL_FLOW};
  (void)st;
  struct ev wait[] = {{.kind = EV_DUE, .fi = 1, .ti = 5}, {.kind = EV_LOST, .fi = 1, .ti = 7}, {.kind = EV_MORE, .fi = 2},
                      {.kind = EV_REQ, .fi = 9, .q = &q},
                      {.kind = EV_RESULT, .fi = 1, .ti = 8, .a = kit_attempt(1, 8, 1, SLOT_PROCESS)}};
  later_look(&later);
  assert_false(later_has(&later, &wait[0]));
  for (size_t i = 0; i < 5; i++) later_put(&later, &wait[i]);
  later_look(&later);
  for (size_t i = 0; i < 3; i++) assert_true(later_has(&later, &wait[i]));
  for (size_t i = 3; i < 5; i++) assert_false(later_has(&later, &wait[i])); /* no row would tell these */
  assert_false(later_has(&later, &(struct ev){.kind = EV_LOST, .fi = 1, .ti = 5}));
  assert_false(later_has(&later, &(struct ev){.kind = EV_DUE, .fi = 2, .ti = 5}));
  assert_false(later_has(&later, &(struct ev){.kind = EV_DUE, .fi = 1, .ti = 6}));
}

/* ---- the check ---- */
static void alone_too_soon(void) {
  struct ev e = due(1);
  e.wait = (struct ev_wait){.alone = true, .times = LATER_ALONE - 1};
  events_add(&later.wait, e);
  later_check(&later);
}
static void with_a_fate(void) {
  struct ev e = due(1);
  e.then = THEN_KEPT;
  events_add(&later.wait, e);
  later_check(&later);
}
static void facts_are_kept(void **st) {
  (void)st;
  struct ev e = due(1);
  later_put(&later, &e);
  later_check(&later);
  assert_true(aborts(alone_too_soon));
  assert_true(aborts(with_a_fate));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    OBJECT(pauses_grow_to_a_second), OBJECT(what_is_only_read_anew_has_no_pause),
    OBJECT(alone_the_pauses_grow_to_sixteen_seconds), OBJECT(alone_counts_from_where_it_was),
    OBJECT(briefly_is_a_second_at_most), OBJECT(one_alone_a_turn_the_longest_wait_first),
    OBJECT(alone_it_waits_for_its_time_too), OBJECT(only_those_whose_time_has_come), OBJECT(only_what_needs_a_held_row_waits),
    OBJECT(a_held_row_that_no_event_names_is_told), OBJECT(the_look_knows_what_waits),
    OBJECT(facts_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
