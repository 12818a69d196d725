/* What waits, and the policy of a host that chooses among it. */
#include "waiting_kit.h"

/* ---- a policy of the host ---- */

static struct asked { size_t calls, n; struct candidate v[OFFER_MOST]; long (*pick)(const struct candidate *v, size_t n); } asked;
static long ask_policy(void *ctx, const struct candidate *v, size_t n) {
  assert_ptr_equal(ctx, &asked);
  assert_in_range(n, 1, OFFER_MOST);
  asked.calls++;
  asked.n = n;
  memcpy(asked.v, v, n * sizeof *v);
  return asked.pick(v, n);
}
static struct queue_policy own = {.ctx = &asked, .pick = ask_policy};
static void policy(long (*pick)(const struct candidate *v, size_t n)) {
  asked.calls = 0;
  asked.pick = pick;
  atomic_store(&own.on, true);
  q.opts.policy = &own;
}
static long the_last(const struct candidate *v, size_t n) { return (void)v, (long)n - 1; }
static long the_first(const struct candidate *v, size_t n) { return (void)v, (void)n, 0; }
/* Texts of a candidate are valid during the call. */
static long the_named(const struct candidate *v, size_t n) {
  (void)n;
  if (v->ti != 1) return 0;
  assert_string_equal(v->type, "count");
  assert_string_equal(v->name, "a name");
  assert_string_equal(v->key, "a key");
  return 0;
}
static long none_now(const struct candidate *v, size_t n) { return (void)v, (void)n, -1; }
static long beyond(const struct candidate *v, size_t n) { return (void)v, (long)n; }
static long least_running(const struct candidate *v, size_t n) {
  size_t best = 0;
  for (size_t i = 1; i < n; i++)
    if (v[i].running_user < v[best].running_user) best = i;
  return (long)best;
}

static void a_policy_sees_the_first_of_each_group(void **st) {
  (void)st;
  policy(the_last);
  many("a", "x", 1, 100);
  many("a", "y", 1001, 3);
  many("b", "", 2001, 20);
  assert_int_not_equal(next(), 0);
  assert_int_equal(asked.n, 16 + 3 + 16);
  size_t of[3] = {0};
  for (size_t i = 0; i < asked.n; i++) {
    assert_in_range(asked.v[i].ti % 1000, 1, 16);
    of[asked.v[i].ti / 1000]++;
  }
  assert_int_equal(of[0], 16);
  assert_int_equal(of[1], 3);
  assert_int_equal(of[2], 16);
}

/* Its word is the last one, whatever priority and age say; what it passes by stays, in its order. */
static void a_policy_chooses(void **st) {
  (void)st;
  policy(the_last);
  add("", "", 1, 0, 100, 0);
  many("", "", 2, 40);
  for (int64_t i = 0; i < 26; i++) assert_int_equal(next(), 16 + i);
  for (int64_t i = 15; i >= 1; i--) assert_int_equal(next(), i);
  assert_int_equal(next(), 0);
  assert_int_equal(w.bytes[SLOT_PROCESS], 0);
}

static void a_policy_sees_what_is_urgent_first(void **st) {
  (void)st;
  policy(the_first);
  many("", "", 1, 30);
  add("", "", 31, 7, 5, 0);
  add("", "", 32, 8, -5, 0);
  add("", "", 33, 9, 5, 20);
  assert_int_equal(next(), 31);
  assert_int_equal(next(), 33);
  assert_int_equal(next(), 1);
}

/* At most 1,024 in all, of the groups whose turn it is. */
static void a_policy_sees_a_bounded_list(void **st) {
  char name[16];
  (void)st;
  policy(the_first);
  for (int u = 0; u < 2000; u++) {
    snprintf(name, sizeof name, "u%d", u);
    many(name, "", 1 + 10 * u, 2);
  }
  assert_int_not_equal(next(), 0);
  assert_int_equal(asked.n, OFFER_MOST);
  while (next()) continue;
  assert_int_equal(asked.calls, 4000);
}

/* Limits were checked before; what they hold back is not offered. */
static void a_policy_sees_only_what_may_start(void **st) {
  struct queue_row r[2] = {row(1, "full", ""), row(2, "", "paused")};
  (void)st;
  r[0].max_running = 1;
  r[1].paused = 1;
  load(r, 2);
  policy(the_first);
  many("full", "", 1, 3);
  many("u", "paused", 11, 3);
  add("dear", "", 21, 0, 0, 150);
  add("dear", "", 22, 0, 0, 100);
  int64_t got = 0;
  for (int i = 0; i < 2; i++) got += starts();
  assert_int_equal(got, 22); /* 1 and 21 */
  assert_int_equal(starts(), 0);
  queues_ended(&q, 1);
  assert_int_equal(starts(), 2);
  assert_int_equal(asked.n, 2); /* 2 and 3 */
  queues_ended(&q, 21);
  assert_int_equal(starts(), 22);
}

static void a_policy_knows_what_runs(void **st) {
  (void)st;
  policy(least_running);
  many("a", "x", 1, 4);
  many("a", "y", 11, 4);
  many("b", "", 21, 4);
  int of_b = 0;
  for (int i = 0; i < 8; i++) of_b += starts() > 20;
  assert_int_equal(of_b, 4);
  queues_ended(&q, 21);
  assert_in_range(starts(), 1, 20);
  for (size_t i = 0; i < asked.n; i++) {
    assert_int_equal(asked.v[i].running_user, 4);
    assert_true(asked.v[i].running_group <= 4);
  }
}

/* "None" holds until the next turn, and so does an index that is none. */
static void a_policy_may_want_none(void **st) {
  (void)st;
  policy(none_now);
  many("", "", 1, 3);
  for (int i = 0; i < 5; i++) assert_int_equal(next(), 0);
  assert_int_equal(asked.calls, 1);
  assert_false(waiting_some(&w, SLOT_PROCESS));
  w.none[SLOT_PROCESS] = false; /* a turn begins: wait_pull() */
  asked.pick = beyond;
  for (int i = 0; i < 5; i++) assert_int_equal(next(), 0);
  assert_int_equal(asked.calls, 2);
  assert_true(w.odd);
  w.none[SLOT_PROCESS] = false;
  asked.pick = the_first;
  assert_int_equal(next(), 1);
  atomic_store(&own.on, false);
  assert_int_equal(next(), 2);
  assert_int_equal(asked.calls, 3);
}

static void a_policy_knows_names(void **st) {
  (void)st;
  policy(the_named);
  size_t empty = w.bytes[SLOT_PROCESS];
  assert_true(waiting_add(&w, SLOT_PROCESS, &(struct waits){1, 0, {"u", "g", 3, 10, NULL}, 77, "count", "a name", "a key", 0}));
  assert_true(waiting_add(&w, SLOT_PROCESS, &(struct waits){2, 0, {"u", "g", 3, 10, NULL}, 78, NULL, NULL, NULL, 0}));
  assert_int_equal(next(), 1);
  assert_string_equal(asked.v[0].user, "u");
  assert_string_equal(asked.v[0].group, "g");
  assert_int_equal(asked.v[0].priority, 3);
  assert_int_equal(asked.v[0].cpu, 10);
  assert_int_equal(asked.v[0].since_us, 77);
  assert_null(asked.v[1].type);
  assert_int_equal(w.told.n, 0);
  assert_int_equal(next(), 2);
  assert_int_equal(w.bytes[SLOT_PROCESS], empty);
}

static void a_policy_sees_no_type_that_is_held(void **st) {
  struct queue_row r = type_row(1, "X", 1);
  (void)st;
  load(&r, 1);
  policy(the_first);
  typed("X", "", 1, 0, 0);
  typed("X", "", 2, 0, 0);
  many("", "", 3, 1);
  assert_true(starts() != 0 && starts() != 0);
  assert_int_equal(starts(), 0);
  queues_ended(&q, queues_held(&q, 1) ? 1 : 2);
  assert_true(starts() != 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    OBJECT(a_policy_sees_the_first_of_each_group), OBJECT(a_policy_chooses), OBJECT(a_policy_sees_what_is_urgent_first),
    OBJECT(a_policy_sees_a_bounded_list), OBJECT(a_policy_sees_only_what_may_start), OBJECT(a_policy_knows_what_runs),
    OBJECT(a_policy_may_want_none), OBJECT(a_policy_knows_names), OBJECT(a_policy_sees_no_type_that_is_held)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
