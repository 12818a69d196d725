/* The reconciler alone: its states, a pass of every kind, every combination of wishes, and the event of each row. */
#include "env_kit.h"
#include "reconciler.h"

static struct reconciler rec;
static struct admission admission;
static struct later later;
static struct timers timers, flow_timers;
static struct cache cache;
static struct lease lease;
static struct watch watch;
static const struct never_started never[] = {{.ti = 13, .epoch = 2}};

static int set_up(void **st) {
  int rc = kit_up(st);
  later_init(&later, &kit.env);
  timers_init(&timers, 100);
  timers_init(&flow_timers, 100);
  watch_init(&watch, 0);
  lease_init(&lease, &kit.env, &watch);
  lease.contact_us = INT64_MAX;
  cache_init(&cache, &kit.env, &kit.events, &flow_timers, 1 << 20);
  admission_init(&admission, &kit.env, (const uint32_t[SLOT__N]){2, 2}, 0);
  reconciler_init(&rec, &(struct reconciler){.env = &kit.env, .events = &kit.events, .later = &later, .timers = &timers,
    .flow_timers = &flow_timers, .cache = &cache, .admission = &admission, .lease = &lease, .never = never, .n_never = 1});
  reconciler_join(&rec);
  return rc;
}
static int tear_down(void **st) {
  reconciler_check(&rec);
  reconciler_done(&rec);
  admission_done(&admission);
  cache_done(&cache);
  watch_done(&watch);
  timers_done(&timers);
  timers_done(&flow_timers);
  later_done(&later);
  return kit_down(st);
}

static void turn(void) {
  assert_int_equal(reconciler_turn(&rec), STORE_OK);
  reconciler_check(&rec);
}

/* Makes the pass that is due, to its end; returns the number of turns. */
static int pass(void) {
  int n = 0;
  kit_forget_events();
  assert_true(rec.at <= kit.env.boot_us);
  do turn(), n++;
  while (rec.state != REC_IDLE && n < 100);
  assert_int_equal(rec.state, REC_IDLE);
  return n;
}

/* The first pass is over, and no other has anything to do. */
static void after_the_first(void) {
  (void)pass();
  rec.wanted.soon = false;
  kit_forget_events();
}

static void tasks(const struct live_task *t, size_t n) {
  kit.store.task = t;
  kit.store.n_task = n;
}
static void flows(const struct live_flow *f, size_t n) {
  kit.store.flow = f;
  kit.store.n_flow = n;
}
static int64_t ago(int64_t us) { return kit.env.wall_us - us; }
static void jobs(const int64_t *id, size_t n) {
  kit.store.job = id;
  kit.store.n_job = n;
}
static struct live_task queued(int64_t ti, int64_t age_us) {
  return (struct live_task){.ti = ti, .fi = 1, .state = TASK_QUEUED, .update_us = ago(age_us), .owner_live = true};
}

/* One pass over one task, `gap` after the last pass. Returns the event of the task, if any. */
static const struct ev *look_after(struct live_task t, int64_t gap_us) {
  tasks(&t, 1);
  rec.pass.began_us = kit.env.boot_us - gap_us;
  reconciler_now(&rec);
  (void)pass();
  tasks(NULL, 0);
  assert_true(kit.events.n <= 1);
  return kit.events.n ? &kit.events.v[0] : NULL;
}
static const struct ev *look(struct live_task t) { return look_after(t, 10 * SEC); }

/* ---- states ---- */

static void a_page_a_turn(void **st) {
  struct live_task t[5];
  struct live_flow f[3] = {{.fi = 1}, {.fi = 2}, {.fi = 3}};
  (void)st;
  for (int i = 0; i < 5; i++) t[i] = queued(10 + i, 0);
  tasks(t, 5);
  flows(f, 3);
  kit.store.page = 2;
  for (unsigned i = 1; i <= 3; i++) {
    turn();
    assert_int_equal(rec.state, REC_TASKS);
    assert_int_equal(kit.store.calls[KIT_TASKS], i);
    assert_int_equal(kit.events.n, i < 3 ? 2 * i : 5);
    assert_int_equal(reconciler_next(&rec), kit.env.boot_us); /* goes on at once */
    assert_true(reconciler_busy(&rec));
  }
  turn(); /* there is no row after the last one */
  assert_int_equal(rec.state, REC_FLOWS);
  for (unsigned i = 1; i <= 2; i++) {
    turn();
    assert_int_equal(kit.store.calls[KIT_FLOWS], i);
    assert_int_equal(rec.state, REC_FLOWS);
  }
  turn();
  assert_int_equal(rec.state, REC_JOBS);
  turn();
  assert_int_equal(rec.state, REC_IDLE);
  assert_false(reconciler_busy(&rec));
  assert_int_equal(kit.store.calls[KIT_TASKS], 4);
  turn(); /* not due */
  assert_int_equal(kit.store.calls[KIT_TASKS], 4);
}

static void at_a_fault_it_stays_where_it_is(void **st) {
  struct live_task t[2] = {queued(10, 0), queued(11, 0)};
  struct live_flow f[1] = {{.fi = 1, .state = FLOW_RUNNING, .due_us = 1}};
  (void)st;
  tasks(t, 2);
  flows(f, 1);
  kit.store.page = 1;
  turn();
  for (enum store_rc rc = STORE_RETRY; rc <= STORE_DOWN; rc++) {
    kit.store.rc[KIT_TASKS] = rc;
    assert_int_equal(reconciler_turn(&rec), rc);
    assert_int_equal(kit.events.n, 1);
    assert_int_equal(rec.pass.cursor, 10);
  }
  kit.store.rc[KIT_TASKS] = STORE_OK;
  kit.store.rc[KIT_FLOWS] = STORE_DOWN;
  turn();
  turn();
  assert_int_equal(kit.events.n, 2);
  assert_int_equal(rec.state, REC_FLOWS);
  assert_int_equal(reconciler_turn(&rec), STORE_DOWN);
  kit.store.rc[KIT_FLOWS] = STORE_OK;
  turn();
  turn();
  assert_int_equal(rec.state, REC_JOBS);
  turn();
  assert_int_equal(rec.state, REC_IDLE);
  assert_int_equal(kit_count(EV_FLOW_TIMEOUT), 1);
}

/* Each of them, however many there are, and after the flows. */
static void jobs_go_page_by_page(void **st) {
  const int64_t id[] = {3, 4, 9, 10, 77};
  const struct live_flow f = {.fi = 1, .state = FLOW_RUNNING, .due_us = 1};
  (void)st;
  flows(&f, 1);
  jobs(id, 5);
  kit.store.page = 2;
  while (rec.state != REC_JOBS) turn();
  assert_int_equal(kit_count(EV_FLOW_TIMEOUT), 1);
  assert_int_equal(kit.store.calls[KIT_JOBS], 0);
  for (unsigned i = 1; i <= 3; i++) {
    turn();
    assert_int_equal(kit.store.calls[KIT_JOBS], i);
    assert_int_equal(kit_count(EV_JOB), i < 3 ? 2 * i : 5);
    assert_int_equal(rec.state, REC_JOBS);
    assert_true(reconciler_busy(&rec));
    if (i > 1) continue;
    for (enum store_rc rc = STORE_RETRY; rc <= STORE_DOWN; rc++) { /* at a fault it stays where it is */
      kit.store.rc[KIT_JOBS] = rc;
      assert_int_equal(reconciler_turn(&rec), rc);
      assert_int_equal(kit_count(EV_JOB), 2);
      assert_int_equal(rec.state, REC_JOBS);
      assert_int_equal(rec.pass.cursor, 4);
    }
    kit.store.rc[KIT_JOBS] = STORE_OK;
    kit.store.calls[KIT_JOBS] = 1;
  }
  turn();
  assert_int_equal(rec.state, REC_IDLE);
  size_t n = 0;
  for (size_t i = 0; i < kit.events.n; i++)
    if (kit.events.v[i].kind == EV_JOB) assert_int_equal(kit.events.v[i].job, id[n++]);
  assert_int_equal(n, 5);
}

/* A node without the office never; a single process only at its start: it knows its own. */
static void who_looks_at_jobs(void **st) {
  const int64_t id = 3;
  (void)st;
  jobs(&id, 1);
  kit.store.office = false;
  (void)pass();
  assert_int_equal(kit.store.calls[KIT_JOBS], 0);
  kit.store.office = true;
  reconciler_now(&rec);
  (void)pass();
  assert_int_equal(kit_count(EV_JOB), 1);
  kit.env.single = true;
  reconciler_now(&rec);
  (void)pass();
  assert_int_equal(kit_count(EV_JOB), 0);
  reconciler_join(&rec);
  (void)pass();
  assert_int_equal(kit_count(EV_JOB), 1);
}

static void it_waits_while_the_batch_is_full(void **st) {
  (void)st;
  for (int i = 0; i < LIMIT_BATCH_ROWS; i++) events_add(&kit.events, (struct ev){.kind = EV_DUE});
  turn();
  assert_int_equal(kit.store.calls[KIT_TASKS], 0);
  kit.events.n--;
  turn();
  assert_int_equal(kit.store.calls[KIT_TASKS], 1);
}

static void when_the_next_pass_comes(void **st) {
  (void)st;
  (void)pass();
  assert_int_equal(reconciler_next(&rec) - kit.env.boot_us, 10 * SEC);
  kit.env.lease_us = 30 * SEC;
  reconciler_now(&rec);
  (void)pass();
  assert_int_equal(reconciler_next(&rec) - kit.env.boot_us, 5 * SEC); /* lease/6 */
  kit.env.lease_us = 600 * SEC;
  reconciler_now(&rec);
  (void)pass();
  assert_int_equal(reconciler_next(&rec) - kit.env.boot_us, 10 * SEC);
  kit.env.single = true;
  reconciler_now(&rec);
  (void)pass();
  assert_int_equal(reconciler_next(&rec), INT64_MAX); /* no other node works here */
  reconciler_now(&rec);
  struct live_task young = queued(10, SEC);
  tasks(&young, 1);
  (void)pass();
  assert_int_equal(reconciler_next(&rec) - kit.env.boot_us, 10 * SEC); /* something is not old enough */
  tasks(NULL, 0);
  reconciler_now(&rec);
  (void)pass();
  assert_int_equal(reconciler_next(&rec), INT64_MAX); /* and that row is gone */
}

static void a_new_incarnation_begins_again(void **st) {
  (void)st;
  after_the_first();
  assert_int_equal(rec.pass.kind, PASS_LOOK);
  reconciler_flow(&rec, 7);
  turn();
  assert_int_equal(rec.pass.flows.n, 1);
  reconciler_join(&rec);
  reconciler_check(&rec);
  assert_int_equal(rec.state, REC_IDLE);
  turn();
  assert_int_equal(rec.pass.kind, PASS_RECOVER);
}

/* ---- kinds ---- */

static struct live_task retry_wait(int64_t ti, int64_t fi, int64_t in_us) {
  return (struct live_task){.ti = ti, .fi = fi, .state = TASK_RETRY_WAIT, .due_us = kit.env.wall_us + in_us, .update_us = ago(0)};
}

static void the_first_sets_every_timer_and_sends_every_hint(void **st) {
  struct live_task t[] = {queued(10, 0), retry_wait(11, 1, SEC), queued(12, 0)};
  struct live_flow f[] = {{.fi = 1, .state = FLOW_RUNNING, .due_us = ago(-5 * SEC), .update_us = ago(0), .more = true}};
  (void)st;
  t[2].due_us = kit.env.wall_us + 9 * SEC; /* its queue timeout */
  tasks(t, 3);
  flows(f, 1);
  assert_int_equal(rec.pass.kind, PASS_RECOVER);
  (void)pass();
  assert_int_equal(kit_count(EV_HINT), 2);
  assert_int_equal(timers_count(&timers), 2);
  assert_int_equal(timers_next(&timers), kit.env.wall_us + SEC);
  assert_int_equal(timers_next(&flow_timers), kit.env.wall_us + 5 * SEC);
  assert_int_equal(kit_count(EV_MORE), 1);
  timers_stop(&timers, 11);
  timers_stop(&timers, 12);
  timers_stop(&flow_timers, 1);
  reconciler_now(&rec);
  (void)pass(); /* a look sends no young hint, sets no timer, and leaves young slices alone */
  assert_int_equal(kit.events.n, 0);
  assert_int_equal(timers_count(&timers) + timers_count(&flow_timers), 0);
}

static void what_is_due_is_due_in_every_pass(void **st) {
  struct live_task t[] = {retry_wait(11, 1, 0), queued(12, 0)};
  struct live_flow f[] = {{.fi = 1, .state = FLOW_RUNNING, .due_us = kit.env.wall_us, .update_us = ago(0)}};
  (void)st;
  after_the_first();
  t[1].due_us = ago(1);
  tasks(t, 2);
  flows(f, 1);
  reconciler_now(&rec);
  (void)pass();
  assert_int_equal(kit_count(EV_DUE), 2);
  assert_int_equal(kit_count(EV_FLOW_TIMEOUT), 1);
}

/* The queue in memory has refused hints, and has run empty since. */
static void full_and_emptied(int slot) {
  kit.backlog[slot] = 3;
  reconciler_refused(&rec, slot);
  reconciler_emptied(&rec);
  assert_int_equal(rec.wanted.refill & slot_bit(slot), 0);
  kit.backlog[slot] = 0;
  reconciler_emptied(&rec);
  assert_int_equal(rec.wanted.refill & slot_bit(slot), slot_bit(slot));
  assert_int_equal(reconciler_next(&rec), kit.env.boot_us);
}

static void a_refill_sends_hints_until_it_is_full(void **st) {
  struct live_task t[] = {queued(10, 0), queued(11, 0), queued(12, 0)};
  (void)st;
  kit_pulls();
  kit.env.single = true;
  after_the_first();
  full_and_emptied(SLOT_ASYNC);
  tasks(t, 3);
  kit.store.page = 1;
  unsigned flow_pages = kit.store.calls[KIT_FLOWS];
  turn();
  assert_int_equal(rec.pass.kind, PASS_REFILL);
  const struct ev *e = kit_event(EV_HINT);
  assert_int_equal(e->from, HINT_REFILL);
  assert_int_equal(e->refill, slot_bit(SLOT_ASYNC));
  turn();
  reconciler_refused(&rec, SLOT_ASYNC); /* full again */
  reconciler_check(&rec);
  turn();
  assert_int_equal(rec.state, REC_IDLE);
  assert_int_equal(kit.events.n, 2);
  assert_int_equal(reconciler_next(&rec), INT64_MAX); /* until it has run empty */
  full_and_emptied(SLOT_ASYNC);
  full_and_emptied(SLOT_PROCESS);
  (void)pass();
  assert_int_equal(kit.events.n, 3);
  assert_int_equal(rec.wanted.refill, 0); /* it came to the last row */
  assert_int_equal(kit.store.calls[KIT_FLOWS], flow_pages); /* flows have no hints */
}

static void one_class_that_is_full_stops_no_other(void **st) {
  struct live_task t[] = {queued(10, 0), queued(11, 0)};
  (void)st;
  kit_pulls();
  kit.env.single = true;
  after_the_first();
  full_and_emptied(SLOT_ASYNC);
  full_and_emptied(SLOT_PROCESS);
  tasks(t, 2);
  kit.store.page = 1;
  turn();
  reconciler_refused(&rec, SLOT_PROCESS);
  turn();
  assert_int_equal(kit.events.n, 2);
  assert_int_equal(kit.events.v[1].refill, slot_bit(SLOT_ASYNC));
}

/* ---- what is wanted ---- */

/* Every combination of wishes after a pass of every kind: which pass comes, and that nothing is left to do after two passes. */
static void every_combination_is_done_within_two_passes(void **st) {
  enum { FLOWS = 1, TIMERS = 2, HINTS = 4, REFILL = 8, ALL = 16 };
  struct live_task t[] = {retry_wait(11, 7, SEC), retry_wait(12, 8, SEC), queued(13, 11 * SEC)};
  struct live_flow f[] = {{.fi = 7, .state = FLOW_RUNNING, .due_us = ago(-SEC), .update_us = ago(0)},
                          {.fi = 8, .state = FLOW_RUNNING, .due_us = ago(-SEC), .update_us = ago(0)}};
  (void)st;
  kit_pulls();
  kit.env.single = true;
  kit.backlog[SLOT_PROCESS] = 1; /* some list is not empty, so an old row alone gets no hint */
  after_the_first();
  tasks(t, 3);
  flows(f, 2);
  for (enum pass_kind was = PASS_RECOVER; was <= PASS_REFILL; was++) {
    for (unsigned want = 0; want < ALL; want++) {
      for (int64_t i = 0; i < 2; i++) timers_stop(&timers, 11 + i), timers_stop(&flow_timers, 7 + i);
      kit_forget_events();
      rec.state = REC_IDLE;
      rec.pass.kind = was;
      rec.pass.began_us = kit.env.boot_us - SEC / 2;
      rec.wanted.soon = rec.wanted.at_once = rec.wanted.timers = rec.wanted.hints = false;
      if (want & FLOWS) reconciler_flow(&rec, 7);
      if (want & TIMERS) reconciler_timers(&rec);
      rec.wanted.hints = want & HINTS;
      rec.wanted.refill = want & REFILL ? slot_bit(SLOT_ASYNC) : 0;
      reconciler_now(&rec);
      turn();
      bool others = want & (FLOWS | TIMERS), refill = (want & REFILL) && was != PASS_RECOVER && !(others && was == PASS_REFILL);
      assert_int_equal(rec.pass.kind, refill ? PASS_REFILL : was == PASS_RECOVER ? PASS_RECOVER : PASS_LOOK);
      assert_int_equal(rec.wanted.hints, false);
      while (rec.state != REC_IDLE) turn();
      bool again = (want & REFILL) && (others || was == PASS_RECOVER); /* the pass that had to wait follows at once */
      assert_int_equal(rec.at == kit.env.boot_us, again && (refill ? others : true));
      if (rec.at == kit.env.boot_us) (void)pass();
      assert_int_equal(rec.wanted.flows.n + rec.pass.flows.n, 0);
      assert_false(rec.wanted.timers);
      assert_int_equal(rec.wanted.refill | rec.pass.refill, 0);
      bool all_timers = (want & TIMERS) || was == PASS_RECOVER;
      assert_int_equal(timers_count(&timers), all_timers ? 2 : want & FLOWS ? 1 : 0);
      assert_int_equal(timers_count(&flow_timers), timers_count(&timers));
      assert_true(rec.at > kit.env.boot_us);
    }
  }
}

static void hints_that_were_refused_go_once_more(void **st) {
  struct live_task t = queued(10, 11 * SEC);
  (void)st;
  after_the_first();
  kit.backlog[SLOT_ASYNC] = 1;
  reconciler_refused(&rec, SLOT_ASYNC);
  assert_int_equal(reconciler_next(&rec), kit.env.boot_us + 10 * SEC);
  kit_pass(SEC);
  reconciler_refused(&rec, SLOT_ASYNC);
  assert_int_equal(reconciler_next(&rec), kit.env.boot_us + 9 * SEC); /* not put off by the next one */
  kit_pass(9 * SEC);
  rec.pass.began_us = kit.env.boot_us;
  t.update_us = ago(14 * SEC); /* out of its turn */
  tasks(&t, 1);
  (void)pass();
  assert_int_equal(kit_count(EV_HINT), 1);
}

/* Flows whose events were dropped are looked at as after a start; no other is. */
static void flows_that_were_asked_for(void **st) {
  struct live_task t[] = {queued(10, 0), queued(11, 0), retry_wait(12, 7, SEC), retry_wait(13, 8, SEC)};
  struct live_flow f[] = {{.fi = 7, .state = FLOW_RUNNING, .update_us = ago(0), .more = true},
                          {.fi = 8, .state = FLOW_RUNNING, .update_us = ago(0), .more = true}};
  (void)st;
  after_the_first();
  t[0].fi = 7;
  t[1].fi = 8;
  tasks(t, 4);
  flows(f, 2);
  reconciler_flow(&rec, 7);
  assert_true(reconciler_busy(&rec));
  (void)pass();
  assert_int_equal(kit_count(EV_HINT), 1);
  assert_int_equal(kit_event(EV_HINT)->ti, 10);
  assert_int_equal(kit_count(EV_MORE), 1);
  assert_int_equal(kit_event(EV_MORE)->fi, 7);
  assert_int_equal(timers_count(&timers), 1);
  assert_false(reconciler_busy(&rec));
}

static void asked_for_while_a_pass_is_under_way(void **st) {
  struct live_task t = queued(10, 0);
  (void)st;
  after_the_first();
  tasks(&t, 1);
  reconciler_now(&rec);
  turn();
  reconciler_flow(&rec, 1); /* its row was passed already */
  kit_forget_events();
  while (rec.state != REC_IDLE) turn();
  assert_true(reconciler_busy(&rec));
  assert_int_equal(reconciler_next(&rec), kit.env.boot_us);
  (void)pass();
  assert_int_equal(kit_count(EV_HINT), 1);
}

/* In a single process no hint is lost when timers are dropped. */
static void a_pass_for_timers_alone_sends_nothing(void **st) {
  struct live_task t[] = {queued(10, 3600 * SEC), retry_wait(11, 1, SEC)};
  struct live_flow f[] = {{.fi = 1, .state = FLOW_RUNNING, .update_us = 1, .due_us = kit.env.wall_us + SEC, .more = true}};
  (void)st;
  kit.env.single = true;
  after_the_first();
  tasks(t, 2);
  flows(f, 1);
  reconciler_timers(&rec);
  (void)pass();
  assert_int_equal(kit.events.n, 0);
  assert_int_equal(timers_count(&timers), 1);
  assert_int_equal(timers_count(&flow_timers), 1);
  kit.env.single = false; /* with rivals it is a look like any other */
  reconciler_timers(&rec);
  (void)pass();
  assert_int_equal(kit_count(EV_HINT), 1);
  assert_int_equal(kit_count(EV_MORE), 1);
}

/* ---- attempts ---- */

static struct live_task running(int64_t ti, int64_t owner, bool live) {
  return (struct live_task){.ti = ti, .fi = 1, .state = TASK_RUNNING, .epoch = 2, .owner = owner, .owner_live = live,
                            .update_us = ago(0)};
}

static void attempts_of_the_dead_are_lost(void **st) {
  (void)st;
  after_the_first();
  for (int s = 0; s < 3; s++) {
    struct live_task t = running(10, ME + 1, false);
    t.state = (uint8_t[]){TASK_RUNNING, TASK_PAUSING, TASK_CANCELING}[s];
    const struct ev *e = look(t);
    assert_non_null(e);
    assert_int_equal(e->kind, EV_LOST);
    assert_int_equal(e->owner, ME + 1);
    assert_int_equal(e->epoch, 2);
    assert_int_equal(e->fi, 1);
    assert_false(e->handback);
  }
  assert_null(look(running(10, ME + 1, true))); /* the owner is alive */
  assert_null(look(running(10, 0, false)));     /* no node has it */
  const struct ev *e = look(running(13, ME + 1, false));
  assert_int_equal(e->kind, EV_LOST);
  assert_true(e->handback); /* its spawner says that it never began */
  struct live_task other = running(13, ME + 1, false);
  other.epoch = 3;
  assert_false(look(other)->handback);
}

static void my_own_that_the_worker_does_not_have(void **st) {
  struct attempt at = {.ti = 10, .epoch = 2, .owner = ME};
  (void)st;
  after_the_first();
  assert_int_equal(look(running(10, ME, true))->kind, EV_LOST);
  admission_started(&admission, &at);
  assert_null(look(running(10, ME, true)));
  struct live_task canceling = running(10, ME, true);
  assert_int_equal(kit.canceled_ti, 0);
  canceling.state = TASK_CANCELING;
  assert_null(look(canceling));
  assert_int_equal(kit.canceled_ti, 10); /* it is told again */
  assert_int_equal(kit.canceled_why, STOP_CANCEL);
  canceling.end_as = TASK_TIMEOUT;
  assert_null(look(canceling));
  assert_int_equal(kit.canceled_why, STOP_TIMEOUT);
  canceling.phase = PHASE_DELETE, canceling.end_as = TASK_QUEUED; /* another node deletes it */
  assert_null(look(canceling));
  assert_int_equal(kit.canceled_why, STOP_DELETE);
  canceling.state = TASK_PAUSING, canceling.phase = PHASE_RUN, canceling.end_as = 0;
  assert_null(look(canceling));
  assert_int_equal(kit.canceled_why, STOP_PAUSE);
  at.epoch = 1; /* a former one, which is killed */
  admission_started(&admission, &at);
  const struct live_task newer = running(10, ME, true);
  tasks(&newer, 1);
  reconciler_now(&rec);
  (void)pass();
  tasks(NULL, 0);
  assert_int_equal(kit_event(EV_LOST)->epoch, 2);
  assert_int_equal(kit_event(EV_STRAY)->epoch, 1);
  assert_int_equal(kit.events.n, 2);
}

/* An attempt of this node that has no row: its task was deleted by another node. */
static void my_own_that_has_no_row(void **st) {
  struct attempt at = {.ti = 10, .epoch = 2, .owner = ME}, late = {.ti = 11, .epoch = 1, .owner = ME};
  (void)st;
  after_the_first();
  admission_started(&admission, &at);
  assert_null(look(running(10, ME, true)));
  const struct ev *e = look(running(12, ME + 1, true));
  assert_int_equal(e->kind, EV_STRAY);
  assert_true(e->ti == 10 && e->epoch == 2 && e->owner == ME);
  struct live_task other = running(10, ME + 1, true); /* it was taken over */
  assert_int_equal(look(other)->kind, EV_STRAY);
  const struct live_task two[] = {running(8, ME + 1, true), running(10, ME, true)};
  tasks(two, 2);
  kit.store.page = 1;
  kit_forget_events();
  reconciler_now(&rec);
  turn();
  admission_started(&admission, &late); /* of a row that the pass has passed by */
  (void)pass();
  assert_int_equal(kit_count(EV_STRAY), 0);
  admission_ended(&admission, &late, true);
  reconciler_now(&rec);
  tasks(two, 1);
  kit_forget_events();
  turn();
  admission_ended(&admission, &at, true); /* its end is stored */
  (void)pass();
  assert_int_equal(kit_count(EV_STRAY), 0);
  tasks(NULL, 0);
}

static void what_does_not_move_is_left_alone(void **st) {
  (void)st;
  after_the_first();
  for (int s = 0; s < TASK__N; s++) {
    struct live_task t = {.ti = 10, .fi = 1, .state = (uint8_t)s, .update_us = 1, .due_us = 1, .owner_live = true};
    bool moves = s == TASK_RUNNING || s == TASK_PAUSING || s == TASK_CANCELING || s == TASK_QUEUED || s == TASK_RETRY_WAIT ||
                 s == TASK_BLOCKED;
    if (!moves) assert_null(look(t));
  }
  /* its flow is paused: there is no time that it waits for */
  assert_null(look((struct live_task){.ti = 10, .fi = 1, .state = TASK_BLOCKED, .update_us = 1, .owner_live = true}));
}

/* ---- hints and the office ---- */

static const struct ev *look_at_age(int64_t age_us) { return look_after(queued(10, age_us), SEC); }

static void hints_go_again_in_their_turns(void **st) {
  (void)st;
  after_the_first();
  kit.backlog[SLOT_ASYNC] = 1;
  assert_null(look_at_age(9 * SEC));
  assert_true(rec.wanted.soon);
  for (int64_t at = 10; at <= 640; at *= 2) { /* a pass each second and a bit */
    assert_int_equal(look_at_age(at * SEC)->from, HINT_RESENT);
    assert_int_equal(look_at_age(at * SEC + SEC)->kind, EV_HINT);
    assert_null(look_at_age(at * SEC + 3 * SEC));
    assert_null(look_at_age(at * SEC + at * SEC / 2));
  }
  kit.backlog[SLOT_ASYNC] = 0; /* nothing waits in any list: it was lost */
  assert_int_equal(look_at_age(15 * SEC)->from, HINT_RESENT_EARLY);
  assert_int_equal(look_at_age(20 * SEC)->from, HINT_RESENT);
  assert_null(look_at_age(9 * SEC));
}

static void only_the_office_sends_hints_and_goes_on_with_slices(void **st) {
  struct live_flow f[] = {{.fi = 7, .state = FLOW_RUNNING, .update_us = 1, .more = true}};
  (void)st;
  kit.store.office = false;
  after_the_first();
  flows(f, 1);
  assert_null(look(queued(10, 3600 * SEC)));
  assert_int_equal(look(running(10, ME + 1, false))->kind, EV_LOST); /* every node looks for losses */
  kit.store.office = true;
  flows(NULL, 0);
  kit.backlog[SLOT_ASYNC] = 1;
  assert_non_null(look_at_age(14 * SEC)); /* it is not known which hints the former holder has sent */
  assert_null(look_at_age(14 * SEC));
  flows(f, 1);
  reconciler_now(&rec);
  (void)pass();
  assert_int_equal(kit_count(EV_MORE), 1);
}

static void slices_that_are_cached_go_on_here(void **st) {
  struct live_flow f[] = {{.fi = 7, .state = FLOW_RUNNING, .update_us = 1, .more = true}};
  struct flow_def *def = wr_new(struct flow_def);
  struct dag *dag = dag_one();
  (void)st;
  after_the_first();
  flows(f, 1);
  atomic_store(&def->refs, 1);
  def->dag = dag;
  (void)cache_add_flow(&cache, run_new(dag, 7, (struct run_base){1, 1}, FLOW_RUNNING), def, NULL);
  for (int single = 0; single < 2; single++) { /* with rivals the cache may be stale */
    kit.env.single = single;
    reconciler_now(&rec);
    (void)pass();
    assert_int_equal(kit_count(EV_MORE), !single);
  }
}

static void what_waits_already_is_not_added(void **st) {
  struct ev lost = {.kind = EV_LOST, .fi = 1, .ti = 10};
  (void)st;
  after_the_first();
  later_put(&later, &lost);
  assert_null(look(running(10, ME + 1, false)));
  assert_true(rec.wanted.soon); /* and is looked at again */
  assert_non_null(look(running(11, ME + 1, false)));
}

static void rows_of_others_are_left_alone(void **st) {
  struct live_flow f[] = {{.fi = 1, .state = FLOW_RUNNING, .due_us = 1}, {.fi = 2, .state = FLOW_RUNNING, .due_us = 1}};
  (void)st;
  kit.env.own_only = true;
  kit.env.own_fi = 2;
  flows(f, 2);
  struct live_task t[] = {queued(10, 0), queued(11, 0), running(12, ME + 1, false)};
  t[1].fi = 2;
  tasks(t, 3);
  (void)pass();
  assert_int_equal(kit_count(EV_HINT), 1);
  assert_int_equal(kit_event(EV_HINT)->ti, 11);
  assert_int_equal(kit_count(EV_LOST), 0);
  assert_int_equal(kit_event(EV_FLOW_TIMEOUT)->fi, 2);
  assert_int_equal(kit.store.calls[KIT_OFFICE], 0); /* a node with own_only must not have the office */
}

static void the_dead_are_buried_before_a_pass(void **st) {
  (void)st;
  (void)pass();
  assert_int_equal(kit.store.calls[KIT_REAP], 0); /* no contact yet */
  lease.contact_us = kit.env.boot_us - kit.env.lease_us;
  kit.store.dead = 1;
  reconciler_now(&rec);
  (void)pass();
  assert_int_equal(kit.store.calls[KIT_REAP], 1); /* once a pass */
  kit.store.rc[KIT_REAP] = STORE_DOWN;
  unsigned pages = kit.store.calls[KIT_TASKS];
  reconciler_now(&rec);
  assert_int_equal(reconciler_turn(&rec), STORE_DOWN);
  assert_int_equal(kit.store.calls[KIT_TASKS], pages);
}

/* ---- what never happens ---- */

static void idle_with_flows(void) {
  (void)map64_put(&rec.pass.flows, 7, &rec);
  reconciler_check(&rec);
}
static void flows_of_a_refill(void) {
  rec.pass.kind = PASS_REFILL;
  rec.state = REC_FLOWS;
  reconciler_check(&rec);
}
static void refill_of_a_look(void) {
  rec.pass.kind = PASS_LOOK;
  rec.pass.refill = rec.wanted.refill = 1;
  reconciler_check(&rec);
}
static void refill_that_nobody_wants(void) {
  rec.pass.kind = PASS_REFILL;
  rec.pass.refill = 1;
  reconciler_check(&rec);
}
static void before_the_first_row(void) {
  rec.state = REC_TASKS;
  rec.pass.cursor = -1;
  reconciler_check(&rec);
}
static void facts_are_kept(void **st) {
  (void)st;
  void (*const broken[])(void) = {idle_with_flows, flows_of_a_refill, refill_of_a_look, refill_that_nobody_wants,
                                  before_the_first_row};
  for (size_t i = 0; i < 5; i++) assert_true(aborts(broken[i]));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    OBJECT(a_page_a_turn), OBJECT(at_a_fault_it_stays_where_it_is), OBJECT(jobs_go_page_by_page),
    OBJECT(who_looks_at_jobs), OBJECT(it_waits_while_the_batch_is_full),
    OBJECT(when_the_next_pass_comes), OBJECT(a_new_incarnation_begins_again),
    OBJECT(the_first_sets_every_timer_and_sends_every_hint), OBJECT(what_is_due_is_due_in_every_pass),
    OBJECT(a_refill_sends_hints_until_it_is_full), OBJECT(one_class_that_is_full_stops_no_other),
    OBJECT(every_combination_is_done_within_two_passes), OBJECT(hints_that_were_refused_go_once_more),
    OBJECT(flows_that_were_asked_for), OBJECT(asked_for_while_a_pass_is_under_way),
    OBJECT(a_pass_for_timers_alone_sends_nothing), OBJECT(attempts_of_the_dead_are_lost),
    OBJECT(my_own_that_the_worker_does_not_have), OBJECT(my_own_that_has_no_row), OBJECT(what_does_not_move_is_left_alone),
    OBJECT(hints_go_again_in_their_turns), OBJECT(only_the_office_sends_hints_and_goes_on_with_slices),
    OBJECT(slices_that_are_cached_go_on_here), OBJECT(what_waits_already_is_not_added), OBJECT(rows_of_others_are_left_alone),
    OBJECT(the_dead_are_buried_before_a_pass), OBJECT(facts_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
