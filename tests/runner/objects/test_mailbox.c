/* The mailbox alone: its order, what it refuses, when it wakes the thread. */
#include "env_kit.h"
#include <sched.h>
#include "clock.h"
#include "mailbox.h"

static struct mailbox mail;

static int set_up(void **st) {
  mailbox_init(&mail, 2);
  return kit_up(st);
}
static int tear_down(void **st) {
  mailbox_done(&mail);
  return kit_down(st);
}

static struct mail take(void) {
  struct mail m;
  mailbox_take(&mail, &kit.events, &m);
  return m;
}

static void results_come_first_and_requests_last(void **st) {
  struct req q[2] = {{.fi = 4}, {.fi = 5}};
  struct attempt *one = kit_attempt(1, 11, 3, SLOT_PROCESS), *two = kit_attempt(1, 12, 3, SLOT_PROCESS);
  struct attempt *three = kit_attempt(0, 13, 9, SLOT_ASYNC);
  (void)st;
  one->next = two;
  for (int i = 0; i < 2; i++) assert_int_equal(mailbox_request(&mail, &q[i], 1, WR_OK), WR_OK);
  mailbox_add(&mail, &(struct ev){.kind = EV_HINT, .ti = 7});
  mailbox_results(&mail, one);
  mailbox_add(&mail, &(struct ev){.kind = EV_TIMEOUT, .ti = 8});
  mailbox_results(&mail, three);
  mailbox_results(&mail, NULL);
  (void)take();
  const struct ev *v = kit.events.v;
  assert_int_equal(kit.events.n, 7);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(v[i].kind, EV_RESULT);
    assert_int_equal(v[i].ti, 11 + i);
    assert_null(v[i].a->next);
  }
  assert_int_equal(v[2].epoch, 9);
  assert_int_equal(v[2].owner, ME);
  assert_int_equal(v[0].fi, 1);
  assert_int_equal(v[3].kind, EV_HINT);
  assert_int_equal(v[4].kind, EV_TIMEOUT);
  for (int i = 0; i < 2; i++) {
    assert_ptr_equal(v[5 + i].q, &q[i]);
    assert_int_equal(v[5 + i].fi, 4 + i);
    assert_int_equal(q[i].place, REQ_HELD);
  }
}

static void each_is_taken_once(void **st) {
  (void)st;
  assert_false(mailbox_waits(&mail));
  mailbox_results(&mail, kit_attempt(1, 11, 3, SLOT_PROCESS));
  mailbox_nudge(&mail);
  assert_true(mailbox_waits(&mail));
  assert_true(take().nudged);
  assert_false(mailbox_waits(&mail));
  assert_false(take().nudged);
  assert_int_equal(kit.events.n, 1);
  mailbox_results(&mail, kit_attempt(1, 12, 3, SLOT_PROCESS)); /* after a list that was taken */
  (void)take();
  assert_int_equal(kit.events.n, 2);
  mailbox_wake(&mail);
  assert_true(mailbox_waits(&mail)); /* nothing new, but a turn is due */
}

static void requests_are_bounded_and_results_are_not(void **st) {
  struct req q[3] = {0};
  (void)st;
  assert_int_equal(mailbox_request(&mail, &q[0], 1, WR_NO_SPACE), WR_NO_SPACE);
  assert_false(mailbox_waits(&mail)); /* a refused request wakes no thread */
  assert_int_equal(mailbox_request(&mail, &q[0], 1, WR_OK), WR_OK);
  assert_int_equal(mailbox_request(&mail, &q[1], 1, WR_OK), WR_OK);
  assert_int_equal(mailbox_request(&mail, &q[2], 1, WR_OK), WR_BUSY);
  (void)take();
  assert_int_equal(mailbox_request(&mail, &q[2], 1, WR_OK), WR_BUSY); /* requests count until they are answered */
  for (int i = 0; i < 50; i++) mailbox_results(&mail, kit_attempt(1, 100 + i, 1, SLOT_PROCESS));
  mailbox_drain(&mail);
  mailbox_results(&mail, kit_attempt(1, 200, 1, SLOT_PROCESS));
  assert_true(take().draining);
  assert_true(take().draining); /* for ever */
  assert_int_equal(kit_count(EV_RESULT), 51);
  ledger_done(&mail.reqs, &q[0]);
  assert_int_equal(mailbox_request(&mail, &q[2], 1, WR_OK), WR_DRAINING);
}

static void taken_back_before_it_was_seen(void **st) {
  struct req q[2] = {0};
  (void)st;
  for (int i = 0; i < 2; i++) assert_int_equal(mailbox_request(&mail, &q[i], 1, WR_OK), WR_OK);
  assert_int_equal(mailbox_take_back(&mail, &q[0]), REQ_BACK_YOURS);
  (void)take();
  assert_int_equal(kit.events.n, 1);
  assert_ptr_equal(kit.events.v[0].q, &q[1]);
  assert_int_equal(mailbox_take_back(&mail, &q[1]), REQ_BACK_UNSENT);
  assert_int_equal(mailbox_take_back(&mail, &q[0]), REQ_BACK_ANSWERED);
}

/* For each class the later of "away" and "back" holds. */
static void news_of_the_queue_are_gathered(void **st) {
  (void)st;
  mailbox_queue(&mail, (struct queue_news){.empty = 1, .away = 3});
  mailbox_queue(&mail, (struct queue_news){.lost = 2, .back = 1});
  struct queue_news n = take().queue;
  assert_int_equal(n.empty, 1);
  assert_int_equal(n.lost, 2);
  assert_int_equal(n.away, 2);
  assert_int_equal(n.back, 1);
  n = take().queue;
  assert_int_equal(n.empty | n.lost | n.away | n.back, 0);
  mailbox_queue(&mail, (struct queue_news){.back = 2});
  mailbox_queue(&mail, (struct queue_news){.away = 2});
  n = take().queue;
  assert_int_equal(n.away, 2);
  assert_int_equal(n.back, 0);
}

/* ---- the sleeper ---- */

static void *sleeper(void *until) {
  mailbox_sleep(&mail, *(int64_t *)until);
  return NULL;
}

/* If the thread were not woken this would never end: meson stops it. */
static void who_sleeps_is_woken(void **st) {
  static int64_t for_ever = INT64_MAX, long_us;
  pthread_t t;
  (void)st;
  long_us = clock_boot_us() + 24 * 3600 * SEC;
  for (int i = 0; i < 50; i++) {
    assert_int_equal(pthread_create(&t, NULL, sleeper, i % 2 ? &for_ever : &long_us), 0);
    mailbox_nudge(&mail);
    assert_int_equal(pthread_join(t, NULL), 0);
    (void)take();
  }
  for (int i = 0; i < 200; i++) { /* in some rounds the thread sleeps already */
    assert_int_equal(pthread_create(&t, NULL, sleeper, &for_ever), 0);
    if (i % 2) sched_yield();
    mailbox_stop(&mail, INT64_MAX);
    assert_int_equal(pthread_join(t, NULL), 0);
    mailbox_done(&mail);
    mailbox_init(&mail, 2);
  }
}

static void a_sleep_has_an_end(void **st) {
  (void)st;
  mailbox_sleep(&mail, 1); /* long ago */
  int64_t until = clock_boot_us() + 5 * MS;
  mailbox_sleep(&mail, until);
  assert_true(clock_boot_us() >= until);
}

static void it_ends_when_all_is_stored_or_cannot_be(void **st) {
  (void)st;
  assert_false(mailbox_may_end(&mail, true, true)); /* nobody has asked it to stop */
  mailbox_stop(&mail, INT64_MAX);
  assert_true(mailbox_may_end(&mail, true, true));
  assert_false(mailbox_may_end(&mail, false, true));
  assert_true(mailbox_may_end(&mail, false, false));
  mailbox_nudge(&mail);
  assert_false(mailbox_may_end(&mail, true, true)); /* something came */
  mailbox_stop(&mail, clock_mono_us());
  assert_true(mailbox_may_end(&mail, false, true));
}

static void what_is_left_is_freed(void **st) {
  (void)st; /* under ASan: by tear_down() */
  mailbox_results(&mail, kit_attempt(1, 11, 3, SLOT_PROCESS));
  mailbox_add(&mail, &(struct ev){.kind = EV_RESULT, .a = kit_attempt(1, 12, 3, SLOT_PROCESS)});
}

/* ---- what never happens ---- */

static struct req never;
static void answer_twice(void) {
  (void)mailbox_request(&mail, &never, 1, WR_OK);
  (void)take();
  ledger_done(&mail.reqs, &never);
  ledger_done(&mail.reqs, &never);
}
static void send_unseen(void) {
  (void)mailbox_request(&mail, &never, 1, WR_OK);
  (void)ledger_send(&mail.reqs, &never);
}
static void a_request_has_one_place(void **st) {
  (void)st;
  assert_true(aborts(answer_twice));
  assert_true(aborts(send_unseen));
}

/* ---- the check ---- */
static void unannounced(void) {
  mail.nudged = true;
  mail.posted = false;
  mailbox_check(&mail);
}
static void end_of_another_list(void) {
  struct attempt *other = NULL;
  mail.results_tail = &other;
  mailbox_check(&mail);
}
static void one_too_many(void) {
  mail.reqs.n++;
  mailbox_check(&mail);
}
static void facts_are_kept(void **st) {
  (void)st;
  mailbox_check(&mail);
  assert_true(aborts(unannounced));
  assert_true(aborts(end_of_another_list));
  assert_true(aborts(one_too_many));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    OBJECT(results_come_first_and_requests_last), OBJECT(each_is_taken_once),
    OBJECT(requests_are_bounded_and_results_are_not), OBJECT(taken_back_before_it_was_seen),
    OBJECT(news_of_the_queue_are_gathered), OBJECT(who_sleeps_is_woken), OBJECT(a_sleep_has_an_end),
    OBJECT(it_ends_when_all_is_stored_or_cannot_be), OBJECT(what_is_left_is_freed), OBJECT(a_request_has_one_place),
    OBJECT(facts_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
