/* Looks for lost hints, alone: when one begins, what it sends, how it ends, hints of others. */
#include "env_kit.h"
#include "lost_hints.h"

static struct lost_hints lost;
static struct admission admission;
static struct later later;

enum { P = 1 << SLOT_PROCESS, A = 1 << SLOT_ASYNC };

static int set_up(void **st) {
  int rc = kit_up(st);
  later_init(&later, &kit.env);
  admission_init(&admission, &kit.env, (const uint32_t[SLOT__N]){2, 2}, 0);
  admission_turn(&admission);
  lost_hints_init(&lost, &kit.env, &kit.events, &later, &admission);
  return rc;
}
static int tear_down(void **st) {
  lost_hints_check(&lost);
  admission_done(&admission);
  later_done(&later);
  return kit_down(st);
}

static void turn(void) {
  assert_int_equal(lost_hints_turn(&lost), STORE_OK);
  lost_hints_check(&lost);
}
/* Turns to the end of the look that is under way or due. */
static void look(void) {
  int n = 0;
  do turn();
  while (lost.look != LOOK_NONE && ++n < 100);
  assert_int_equal(lost.look, LOOK_NONE);
}
static void says(struct queue_news n) { lost_hints_mail(&lost, &n); }
static unsigned pages(void) { return kit.store.calls[KIT_TASKS]; }
static void tasks(const struct live_task *t, size_t n) {
  kit.store.task = t;
  kit.store.n_task = n;
}
static struct live_task queued(int64_t ti, int64_t age_us) {
  return (struct live_task){.ti = ti, .fi = 1, .state = TASK_QUEUED, .update_us = kit.env.wall_us - age_us};
}
static int64_t next_in(void) { return lost_hints_next(&lost) - kit.env.boot_us; }

/* ---- looks that send hints ---- */

static void nothing_reported_nothing_asked(void **st) {
  (void)st;
  assert_int_equal(lost_hints_next(&lost), INT64_MAX);
  for (int i = 0; i < 100; i++) turn(), kit_pass(SEC);
  for (int c = 0; c < KIT__N; c++) assert_int_equal(kit.store.calls[c], 0);
}

static void an_empty_list_brings_a_look(void **st) {
  struct live_task t[] = {queued(10, 400 * MS), {.ti = 11, .fi = 1, .state = TASK_RUNNING}, queued(12, SEC)};
  (void)st;
  tasks(t, 3);
  kit.store.page = 2;
  says((struct queue_news){.empty = A});
  assert_true(lost_hints_next(&lost) <= kit.env.boot_us);
  turn();
  assert_int_equal(lost.look, LOOK_PUSH);
  assert_true(kit.store.asking);
  assert_int_equal(next_in(), 0);
  turn();
  assert_int_equal(pages(), 2); /* a page a turn */
  turn();
  assert_int_equal(lost.look, LOOK_NONE);
  assert_false(kit.store.asking); /* another node may look */
  assert_int_equal(kit.events.n, 2);
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(kit.events.v[i].kind, EV_HINT);
    assert_int_equal(kit.events.v[i].from, HINT_REFILL);
    assert_int_equal(kit.events.v[i].refill, A);
    assert_int_equal(kit.events.v[i].ti, 10 + 2 * (int64_t)i);
  }
  assert_int_equal(lost_hints_next(&lost), INT64_MAX); /* nothing was reported since */
  says((struct queue_news){.empty = A});
  assert_int_equal(next_in(), 600 * MS);
}

static void young_rows_are_looked_at_again(void **st) {
  struct live_task t[] = {queued(10, 399 * MS)};
  (void)st;
  tasks(t, 1);
  says((struct queue_news){.empty = P});
  look();
  assert_int_equal(kit.events.n, 0); /* its hint is under way */
  assert_int_equal(next_in(), 600 * MS);
  kit_pass(600 * MS);
  look();
  assert_int_equal(kit.events.n, 1);
}

/* While the pulse is that of a look that saw nothing, nothing can have been lost since. */
static void calm_costs_one_statement(void **st) {
  (void)st;
  says((struct queue_news){.empty = P});
  look();
  unsigned was = pages();
  for (int i = 0; i < 10; i++) {
    kit_pass(SEC);
    says((struct queue_news){.empty = P});
    turn();
    assert_int_equal(kit.store.calls[KIT_PULSE], i + 2);
  }
  assert_int_equal(pages(), was);
  kit.store.pulse++; /* some node has written */
  kit_pass(SEC);
  says((struct queue_news){.empty = P});
  look();
  assert_true(pages() > was);
  was = pages();
  kit_pass(SEC);
  says((struct queue_news){.empty = P});
  turn();
  assert_int_equal(pages(), was);
}

/* Hints were sent and nothing was written since, so the nodes that have them cannot run their tasks. The time between looks
 * doubles. */
static void what_nobody_takes_is_sent_less_often(void **st) {
  struct live_task t[] = {queued(10, SEC)};
  (void)st;
  tasks(t, 1);
  int64_t last = 0, gap = 0;
  for (int looks = 0; looks < 7;) {
    kit_forget_events();
    says((struct queue_news){.empty = P});
    turn();
    if (lost.look != LOOK_NONE) {
      look();
      if (looks++ > 1) assert_true(kit.env.boot_us - last >= 2 * gap - 200 * MS || kit.env.boot_us - last >= 9 * SEC);
      gap = last ? kit.env.boot_us - last : 0;
      last = kit.env.boot_us;
    }
    kit_pass(100 * MS);
  }
  assert_in_range(gap, 9 * SEC, 11 * SEC); /* ten seconds at most */
}

static void lists_that_are_not_empty_were_not_lost(void **st) {
  (void)st;
  says((struct queue_news){.empty = P});
  kit.backlog[SLOT_PROCESS] = 1;
  turn();
  assert_int_equal(kit.store.calls[KIT_PULSE], 0);
  assert_int_equal(lost_hints_next(&lost), INT64_MAX);
}

/* Hints that were sent are lost again: pauses grow until a list is empty for another reason. */
static void hints_that_are_lost_again_wait_longer(void **st) {
  (void)st;
  int64_t pause = 600 * MS;
  for (int i = 0; i < 8; i++) {
    says((struct queue_news){.lost = P});
    pause = pause * 2 > 10 * SEC ? 10 * SEC : pause * 2;
    assert_int_equal(next_in(), pause);
    kit_pass(pause);
    look();
  }
  says((struct queue_news){.empty = P});
  kit.store.pulse++;
  kit_pass(10 * SEC);
  look();
  says((struct queue_news){.empty = P});
  assert_int_equal(next_in(), 600 * MS);
}

/* With a large backlog a look stays small, and the next one goes on where it was cut. */
static void a_large_backlog_is_sent_in_pieces(void **st) {
  enum { N = 2500 };
  static struct live_task t[N];
  (void)st;
  for (int i = 0; i < N; i++) t[i] = queued(1 + i, SEC);
  tasks(t, N);
  says((struct queue_news){.empty = P});
  turn();
  assert_int_equal(kit.events.n, 1000);
  look();
  assert_int_equal(kit.events.n, 2000);
  kit_forget_events();
  says((struct queue_news){.empty = P});
  assert_int_equal(next_in(), 600 * MS); /* perhaps nobody here can run them */
  admission.taken++;
  says((struct queue_news){.empty = P}); /* they are used up */
  assert_int_equal(next_in(), 100 * MS);
  kit_pass(100 * MS);
  look();
  assert_int_equal(kit.events.n, 500);
  assert_int_equal(kit.events.v[0].ti, 2001);
}

static void a_full_batch_comes_first(void **st) {
  (void)st;
  for (int i = 0; i < LIMIT_BATCH_ROWS; i++) events_add(&kit.events, (struct ev){.kind = EV_DUE});
  says((struct queue_news){.empty = P});
  turn();
  assert_int_equal(kit.store.calls[KIT_PULSE], 0);
}

static void what_waits_already_is_not_added(void **st) {
  struct live_task t[] = {queued(10, SEC), queued(11, SEC)};
  struct ev e = {.kind = EV_HINT, .fi = 1, .ti = 10};
  (void)st;
  later_put(&later, &e);
  tasks(t, 2);
  says((struct queue_news){.empty = P});
  look();
  assert_int_equal(kit.events.n, 1);
  assert_int_equal(kit.events.v[0].ti, 11);
}

static void a_fault_is_no_look(void **st) {
  struct live_task t[] = {queued(10, SEC)};
  static const enum kit_call at[] = {KIT_PULSE, KIT_TASKS};
  (void)st;
  tasks(t, 1);
  for (int i = 0; i < 2; i++) {
    says((struct queue_news){.empty = P});
    kit.store.rc[at[i]] = STORE_DOWN;
    assert_int_equal(lost_hints_turn(&lost), STORE_DOWN);
    assert_int_equal(lost.look, LOOK_NONE);
    assert_false(kit.store.asking); /* the office is not kept */
    assert_int_equal(next_in(), 600 * MS); /* and reports are not forgotten */
    kit.store.rc[at[i]] = STORE_OK;
    kit_pass(600 * MS);
  }
  look();
  assert_int_equal(kit.events.n, 1);
}

static void a_slot_that_becomes_free_may_have_lost_a_hint(void **st) {
  (void)st;
  admission.pool[SLOT_ASYNC].free = 0;
  turn();
  assert_int_equal(lost_hints_next(&lost), INT64_MAX);
  admission.pool[SLOT_ASYNC].free = 1;
  look();
  assert_int_equal(kit.store.calls[KIT_PULSE], 1);
  assert_int_equal(lost.push.classes, A);
  turn();
  assert_int_equal(lost_hints_next(&lost), INT64_MAX);
  admission.pool[SLOT_PROCESS].capacity = admission.pool[SLOT_PROCESS].free = 0; /* no slots at all */
  kit_pulls(); /* and a queue in memory loses nothing */
  admission.pool[SLOT_ASYNC].free = 0;
  turn();
  admission.pool[SLOT_ASYNC].free = 1;
  turn();
  assert_int_equal(lost_hints_next(&lost), INT64_MAX);
}

/* ---- another node looks ---- */

static void one_node_at_a_time_looks(void **st) {
  (void)st;
  kit.store.rival_asks = true;
  says((struct queue_news){.empty = P});
  turn();
  assert_int_equal(pages(), 0);
  assert_in_range(next_in(), 300 * MS, 600 * MS);
  kit.store.rival_asks = false;
  kit_pass(600 * MS);
  look();
  assert_int_equal(pages(), 1);
}

/* A look that does not end holds up no other node. */
static void a_frozen_one_holds_up_nobody(void **st) {
  struct live_task t[] = {queued(10, SEC)};
  (void)st;
  tasks(t, 1);
  kit.store.rival_asks = true;
  says((struct queue_news){.empty = P});
  for (int64_t waited = 0; kit.events.n == 0; waited += 100 * MS) {
    assert_true(waited < 3 * SEC);
    if (waited < 900 * MS) assert_int_equal(kit.events.n, 0);
    turn();
    kit_pass(100 * MS);
  }
  assert_int_equal(kit.events.v[0].from, HINT_ROWS); /* this node wants the task itself */
  assert_int_equal(kit.events.v[0].ti, 10);
  look();
  tasks(NULL, 0);
  for (int i = 0; i < 50; i++) turn(), kit_pass(100 * MS);
  assert_int_equal(lost.claim.alone, 0); /* until nothing is found */
}

/* ---- looks that claim ---- */

static void while_the_queue_is_away_rows_are_taken(void **st) {
  enum { N = 40 };
  struct live_task t[N];
  (void)st;
  for (int i = 0; i < N; i++) t[i] = queued(1 + i, 0);
  tasks(t, N);
  says((struct queue_news){.away = P});
  turn();
  assert_int_equal(lost.look, LOOK_CLAIM);
  assert_int_equal(kit.events.n, 8 + 2 * 2); /* about as many as there are slots */
  for (size_t i = 0; i < kit.events.n; i++) assert_int_equal(kit.events.v[i].from, HINT_ROWS);
  look();
  assert_int_equal(next_in(), 50 * MS); /* something was found */
  assert_int_equal(kit.store.calls[KIT_ASKER], 0);
  says((struct queue_news){.back = P});
  assert_int_equal(lost_hints_next(&lost), INT64_MAX);
}

/* A look begins anywhere, goes past the last row, and ends where it began: each row is seen. */
static void it_begins_anywhere_and_sees_all(void **st) {
  enum { N = 30 };
  struct live_task t[N];
  bool began[N + 1] = {false};
  (void)st;
  for (int i = 0; i < N; i++) t[i] = queued(1 + i, 0);
  tasks(t, N);
  kit.store.page = 7;
  says((struct queue_news){.away = P | A});
  for (int i = 0; i < 40; i++) {
    bool seen[N + 1] = {false};
    kit_pass(2 * SEC);
    kit_forget_events();
    look();
    began[lost.page.from] = true;
    for (size_t k = 0; k < kit.events.n; k++) seen[kit.events.v[k].ti] = true;
    for (int k = 1; k <= N; k++) assert_true(seen[k]);
    assert_true(kit.events.n < N + 7); /* a page and no more is seen twice */
  }
  int places = 0;
  for (int k = 0; k <= N; k++) places += began[k];
  assert_true(places > 5);
}

static void found_nothing_it_looks_less_often(void **st) {
  static const int64_t pause[] = {100, 200, 400, 800, 1000, 1000};
  (void)st;
  says((struct queue_news){.away = A});
  for (size_t i = 0; i < 6; i++) {
    look();
    assert_int_equal(next_in(), pause[i] * MS);
    kit_pass(next_in());
  }
}

static void without_a_slot_nothing_is_taken(void **st) {
  struct live_task t[] = {queued(10, 0), queued(11, 0)};
  (void)st;
  tasks(t, 2);
  kit.store.page = 1;
  says((struct queue_news){.away = P});
  turn();
  assert_int_equal(lost.look, LOOK_CLAIM);
  admission.pool[SLOT_PROCESS].free = 0;
  turn(); /* the last slot was taken meanwhile */
  assert_int_equal(lost.look, LOOK_NONE);
  assert_int_equal(kit.events.n, 1);
  kit_pass(SEC);
  turn();
  assert_int_equal(lost.look, LOOK_NONE);
  assert_int_equal(lost_hints_next(&lost), INT64_MAX);
}

static void draining_it_looks_no_more(void **st) {
  struct live_task t[] = {queued(10, SEC), queued(11, SEC)};
  (void)st;
  tasks(t, 2);
  kit.store.page = 1;
  says((struct queue_news){.empty = P});
  turn();
  assert_true(kit.store.asking);
  kit.env.draining = true;
  turn();
  assert_int_equal(lost.look, LOOK_NONE);
  assert_false(kit.store.asking);
  says((struct queue_news){.empty = P, .away = A});
  unsigned was = pages();
  turn();
  assert_int_equal(pages(), was);
  assert_int_equal(lost_hints_next(&lost), INT64_MAX);
}

/* ---- hints of others ---- */

static void elsewhere(enum hint_from from, int64_t ti) {
  lost_hints_elsewhere(&lost, &(struct ev){.kind = EV_HINT, .fi = 1, .ti = ti, .from = (uint8_t)from}, SLOT_ASYNC, 7);
}

static void hints_of_others_are_kept_and_sent_back(void **st) {
  (void)st;
  elsewhere(HINT_POPPED, 10);
  assert_in_range(next_in(), 500 * MS, 1500 * MS);
  turn();
  assert_int_equal(kit.n_pushed, 0); /* otherwise it would come back at once */
  kit_pass(1500 * MS);
  turn();
  assert_int_equal(kit.n_pushed, 1);
  assert_int_equal(kit.pushed[0].h.ti, 10);
  assert_int_equal(kit.pushed[0].h.fi, 1);
  assert_int_equal(kit.pushed[0].slot, SLOT_ASYNC);
  assert_int_equal(kit.pushed[0].h.list, 7); /* the list of its class, wherever it came from */
  kit_pass(10 * SEC);
  turn();
  assert_int_equal(kit.n_pushed, 1);
  assert_int_equal(lost_hints_next(&lost), INT64_MAX);
}

static void what_rows_tell_is_left_in_the_rows(void **st) {
  (void)st;
  elsewhere(HINT_ROWS, 10);
  elsewhere(HINT_REFILL, 11);
  elsewhere(HINT_RESENT_EARLY, 12);
  assert_int_equal(lost.others.n, 0);
  elsewhere(HINT_RESENT, 13);
  assert_int_equal(lost.others.n, 1);
  lost.others.n = 0;
  kit_pulls(); /* no other node pops from the queue of this process */
  elsewhere(HINT_POPPED, 14);
  assert_int_equal(lost.others.n, 0);
}

static void they_are_bounded_and_go_at_the_end(void **st) {
  (void)st;
  for (int i = 0; i < 2 * OTHERS_MAX; i++) elsewhere(HINT_POPPED, 10 + i);
  assert_int_equal(lost.others.n, OTHERS_MAX);
  kit.env.draining = true;
  assert_int_equal(next_in(), 0);
  turn();
  assert_int_equal(kit.n_pushed, OTHERS_MAX);
  assert_int_equal(lost.others.n, 0);
}

/* ---- what never happens ---- */

static void pause_too_short(void) {
  lost.push.pause_us = 1;
  lost_hints_check(&lost);
}
static void claim_too_rare(void) {
  lost.claim.pause_us = 60 * SEC;
  lost_hints_check(&lost);
}
static void look_for_no_class(void) {
  lost.look = LOOK_PUSH;
  lost_hints_check(&lost);
}
static void too_many_others(void) {
  lost.others.n = OTHERS_MAX + 1;
  lost_hints_check(&lost);
}
static void facts_are_kept(void **st) {
  (void)st;
  assert_true(aborts(pause_too_short));
  assert_true(aborts(claim_too_rare));
  assert_true(aborts(look_for_no_class));
  assert_true(aborts(too_many_others));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    OBJECT(nothing_reported_nothing_asked), OBJECT(an_empty_list_brings_a_look), OBJECT(young_rows_are_looked_at_again),
    OBJECT(calm_costs_one_statement), OBJECT(what_nobody_takes_is_sent_less_often),
    OBJECT(lists_that_are_not_empty_were_not_lost), OBJECT(hints_that_are_lost_again_wait_longer),
    OBJECT(a_large_backlog_is_sent_in_pieces), OBJECT(a_full_batch_comes_first), OBJECT(what_waits_already_is_not_added),
    OBJECT(a_fault_is_no_look), OBJECT(a_slot_that_becomes_free_may_have_lost_a_hint), OBJECT(one_node_at_a_time_looks),
    OBJECT(a_frozen_one_holds_up_nobody), OBJECT(while_the_queue_is_away_rows_are_taken),
    OBJECT(it_begins_anywhere_and_sees_all), OBJECT(found_nothing_it_looks_less_often),
    OBJECT(without_a_slot_nothing_is_taken), OBJECT(draining_it_looks_no_more),
    OBJECT(hints_of_others_are_kept_and_sent_back), OBJECT(what_rows_tell_is_left_in_the_rows),
    OBJECT(they_are_bounded_and_go_at_the_end), OBJECT(facts_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
