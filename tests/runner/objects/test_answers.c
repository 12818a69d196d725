/* Answers alone: which client is told what, when, and under which lock. */
#include "env_kit.h"
#include "answers.h"

static struct answers answers;
static struct mailbox mail;
static struct watch watch;
static struct later later;
static struct req q[4];
static int told[4];

/* The client may send its next request at once, so the lock must be free. */
static void done(struct req *r, void *ctx) {
  assert_int_equal(pthread_mutex_trylock(&mail.mu), 0);
  pthread_mutex_unlock(&mail.mu);
  assert_int_equal(r->place, REQ_NOWHERE);
  ++*(int *)ctx;
}

static int set_up(void **st) {
  int rc = kit_up(st);
  mailbox_init(&mail, 10);
  watch_init(&watch, kit.env.boot_us);
  later_init(&later, &kit.env);
  answers_init(&answers, &kit.env, &mail, &watch, &kit.events, &later, 10 * SEC);
  memset(told, 0, sizeof told);
  for (int i = 0; i < 4; i++) q[i] = (struct req){.kind = REQ_START, .done = done, .done_ctx = &told[i]};
  return rc;
}
static int tear_down(void **st) {
  later_done(&later);
  watch_done(&watch);
  mailbox_done(&mail);
  return kit_down(st);
}

/* n requests that were posted now and taken by this turn. */
static void take(int n) {
  struct mail m;
  for (int i = 0; i < n; i++) assert_int_equal(mailbox_request(&mail, &q[i], kit.env.boot_us, WR_OK), WR_OK);
  mailbox_take(&mail, &kit.events, &m);
  assert_int_equal(kit.events.n, n);
}
static void is(int i, enum wr_rc rc) {
  assert_int_equal(told[i], 1);
  assert_int_equal(q[i].rc, rc);
}
static struct ev *ev_of(int i) {
  for (size_t k = 0; k < kit.events.n; k++)
    if (kit.events.v[k].q == &q[i]) return &kit.events.v[k];
  return NULL;
}

/* ---- a batch ---- */

/* Of the first n events. */
static bool batch_sent(size_t n) { kit.events.taken = n; return answers_send(&answers); }
static void batch_done(size_t n) { kit.events.taken = n; answers_done(&answers); }
static void batch_hold(size_t n) { kit.events.taken = n; answers_hold(&answers); }

static void a_batch_answers_those_it_is_through_with(void **st) {
  (void)st;
  take(4);
  kit.events.v[1].then = THEN_LATER;
  kit.events.v[2].then = THEN_AGAIN;
  assert_true(batch_sent(3));
  assert_int_equal(q[0].place, REQ_SENT);
  assert_int_equal(q[1].place, REQ_HELD); /* its rows are not in the batch */
  assert_int_equal(q[2].place, REQ_HELD);
  assert_int_equal(q[3].place, REQ_HELD);
  batch_done(3);
  is(0, WR_OK);
  for (int i = 1; i < 4; i++) assert_int_equal(told[i], 0);
  assert_int_equal(mail.reqs.n, 3);
  events_remove(&kit.events, 1);
  answers_end(&answers);
}

static void none_is_sent_that_was_taken_back(void **st) {
  (void)st;
  take(2);
  assert_int_equal(mailbox_take_back(&mail, &q[1]), REQ_BACK_UNSENT);
  assert_false(batch_sent(2));
  assert_int_equal(q[1].place, REQ_HELD);
  batch_hold(2);
  assert_int_equal(q[0].place, REQ_HELD);
  assert_int_equal(mailbox_take_back(&mail, &q[0]), REQ_BACK_UNSENT); /* nothing was stored */
  answers_turn(&answers);
  is(0, WR_DB_UNAVAILABLE);
  is(1, WR_DB_UNAVAILABLE);
  assert_int_equal(kit.events.n, 0);
}

static void once_sent_it_may_be_stored(void **st) {
  (void)st;
  take(1);
  assert_true(batch_sent(1));
  assert_int_equal(mailbox_take_back(&mail, &q[0]), REQ_BACK_UNKNOWN);
  batch_hold(1); /* rolled back */
  assert_false(batch_sent(1)); /* and it is not sent again after that answer */
  answers_end(&answers);
}

/* ---- those that wait ---- */

static void whoever_has_waited_for_long_is_told(void **st) {
  (void)st;
  take(2);
  ev_of(1)->then = THEN_LATER;
  later_put(&later, ev_of(1));
  kit.events.n = 1;
  events_add(&kit.events, (struct ev){.kind = EV_DUE, .ti = 9});
  kit_pass(10 * SEC - 1);
  answers_turn(&answers);
  assert_int_equal(told[0] + told[1], 0);
  kit_pass(1);
  answers_turn(&answers);
  is(0, WR_DB_UNAVAILABLE);
  is(1, WR_DB_UNAVAILABLE); /* wherever its event waits */
  assert_int_equal(later.wait.n, 0);
  assert_int_equal(kit.events.n, 1); /* an event that is no request stays */
  assert_int_equal(mail.reqs.n, 0);
}

static void while_the_store_is_away_nobody_waits(void **st) {
  (void)st;
  take(1);
  answers_turn(&answers);
  assert_int_equal(told[0], 0);
  watch_failed(&watch, kit.env.boot_us, STORE_DOWN, NULL);
  answers_turn(&answers);
  is(0, WR_DB_UNAVAILABLE);
}

static void a_full_disk_is_said(void **st) {
  (void)st;
  take(1);
  watch_failed(&watch, kit.env.boot_us, STORE_NO_SPACE, NULL);
  answers_turn(&answers);
  is(0, WR_NO_SPACE);
}

static void refused_for_any_reason(void **st) {
  (void)st;
  take(1);
  answers_refuse(&answers, WR_DRAINING);
  is(0, WR_DRAINING);
  assert_true(q[0].err.msg[0] != '\0');
}

/* ---- in doubt ---- */

/* The commit of the request is not resolved: the event stays in its batch, the client is told what is known. */
static void in_doubt_the_truth_is_that_nobody_knows(void **st) {
  (void)st;
  take(3);
  kit.events.v[1].then = THEN_LATER; /* in the batch, but not sent */
  assert_true(batch_sent(2));
  kit.events.in_doubt = true;
  watch_failed(&watch, kit.env.boot_us, STORE_DOWN, NULL);
  answers_turn(&answers);
  assert_int_equal(told[0] + told[1], 0); /* not at once, because the next look may resolve the commit */
  is(2, WR_DB_UNAVAILABLE);
  kit_pass(10 * SEC);
  answers_turn(&answers);
  is(0, WR_OUTCOME_UNKNOWN);
  is(1, WR_DB_UNAVAILABLE);
  assert_int_equal(kit.events.n, 2);
  assert_null(kit.events.v[0].q);
  kit.events.in_doubt = false;
  batch_done(2); /* it is resolved: no client is told twice */
  assert_int_equal(told[0] + told[1], 2);
}

static void the_end_tells_what_is_known(void **st) {
  (void)st;
  take(2);
  assert_int_equal(mailbox_request(&mail, &q[2], 1, WR_OK), WR_OK); /* the runner has not seen it */
  assert_true(batch_sent(1));
  answers_end(&answers);
  is(0, WR_OUTCOME_UNKNOWN);
  is(1, WR_DB_UNAVAILABLE);
  is(2, WR_DB_UNAVAILABLE);
  kit.events.n = 0;
}

/* ---- what the watch hears ---- */

static bool slow(void) {
  struct health_part store, disk;
  watch_health(&watch, kit.env.boot_us, &store, &disk);
  return !store.ok;
}

static void a_request_that_waits_for_long_is_news(void **st) {
  (void)st;
  take(2);
  for (int i = 0; i < 4; i++) kit_pass(SEC), answers_turn(&answers);
  assert_true(slow());
  batch_done(1); /* another one was stored */
  events_remove(&kit.events, 1);
  assert_false(slow());
  kit.events.v[0].wait.alone = true; /* it is tried alone, so it does not count */
  for (int i = 0; i < 4; i++) kit_pass(SEC), answers_turn(&answers);
  assert_false(slow());
  answers_end(&answers);
  kit.events.n = 0;
}

/* A request that is put off for an existing row does not count, because the row is locked and the store is well. A start has no
 * row yet, so it counts. */
static void held_rows_are_no_slow_store(void **st) {
  (void)st;
  q[0].kind = REQ_CANCEL_FLOW;
  take(1);
  ev_of(0)->then = THEN_LATER;
  later_put(&later, ev_of(0));
  kit.events.n = 0;
  for (int i = 0; i < 4; i++) kit_pass(SEC), answers_turn(&answers);
  assert_false(slow());
  q[0].kind = REQ_EXEC_TASK;
  for (int i = 0; i < 4; i++) kit_pass(SEC), answers_turn(&answers);
  assert_true(slow());
  answers_end(&answers);
  later.wait.n = 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
    OBJECT(a_batch_answers_those_it_is_through_with), OBJECT(none_is_sent_that_was_taken_back),
    OBJECT(once_sent_it_may_be_stored), OBJECT(whoever_has_waited_for_long_is_told),
    OBJECT(while_the_store_is_away_nobody_waits), OBJECT(a_full_disk_is_said), OBJECT(refused_for_any_reason),
    OBJECT(in_doubt_the_truth_is_that_nobody_knows), OBJECT(the_end_tells_what_is_known),
    OBJECT(a_request_that_waits_for_long_is_news), OBJECT(held_rows_are_no_slow_store),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
