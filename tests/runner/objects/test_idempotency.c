/* Idempotency keys of a batch, alone (keys.h): known, held, new, with another body. */
#include "env_kit.h"
#include "keys.h"

static struct keys keys;
static uint8_t hash_a[KEY_HASH_BYTES], hash_b[KEY_HASH_BYTES];

static int set_up(void **st) {
  int rc = kit_up(st);
  memset(hash_a, 'a', sizeof hash_a);
  memset(hash_b, 'b', sizeof hash_b);
  keys_init(&keys, &kit.env);
  return rc;
}
static int tear_down(void **st) { return kit_down(st); }

/* A start of n flows, or (n = 0) a stand-alone task. */
struct asked { struct req q; struct req_start start[3]; struct req_task task; };
static int64_t made;   /* what keys_answer() says was made first */
static void ask(struct asked *a, const char *key, const uint8_t *hash, uint32_t n) {
  *a = (struct asked){.q = {.kind = n ? REQ_START : REQ_EXEC_TASK, .n_start = n, .n_task = !n, .key = key, .key_hash = hash}};
  a->q.start = a->start;
  a->q.task = &a->task;
  events_add(&kit.events, (struct ev){.kind = EV_REQ, .q = &a->q});
}

static void load(void) { assert_int_equal(keys_load(&keys, kit.events.v, kit.events.n), STORE_OK); }
static bool answered(size_t i) { return keys_answer(&keys, &kit.events.v[i], &made); }

static void row(const char *key, uint8_t got, const uint8_t *hash, enum key_kind kind, int64_t first, uint32_t n) {
  size_t i = kit.store.n_key++;
  kit.store.key[i].key = key;
  kit.store.key[i].got = got;
  kit.store.key[i].row = (struct key_row){.kind = kind, .first_id = first, .n = n};
  memcpy(kit.store.key[i].row.hash, hash, KEY_HASH_BYTES);
}

static void without_keys_the_store_is_not_asked(void **st) {
  struct asked a;
  (void)st;
  ask(&a, NULL, NULL, 1);
  events_add(&kit.events, (struct ev){.kind = EV_DUE, .ti = 3});
  load();
  assert_int_equal(kit.store.calls[KIT_KEYS_READ], 0);
  assert_null(kit.env.mem.head); /* nothing was allocated */
  assert_int_equal(keys.n, 0);
}

/* The store checks the order, and that each comes once. */
static void all_are_asked_for_at_once(void **st) {
  struct asked a[4];
  (void)st;
  ask(&a[0], "m", hash_a, 1);
  events_add(&kit.events, (struct ev){.kind = EV_DUE, .ti = 3});
  ask(&a[1], "b", hash_a, 1);
  ask(&a[2], "m", hash_a, 1);
  ask(&a[3], "z", hash_a, 0);
  load();
  assert_int_equal(kit.store.calls[KIT_KEYS_READ], 1);
  assert_int_equal(keys.n, 3);
  for (size_t i = 0; i < keys.n; i++) assert_int_equal(keys.v[i].state, KEY_FREE);
  assert_false(answered(0));
  keys_forget(&keys);
  assert_int_equal(keys.n, 0);
}

static void a_known_key_replays(void **st) {
  struct asked a, t;
  (void)st;
  row("k", 1, hash_a, KEY_STARTS, 70, 3);
  row("t", 1, hash_b, KEY_TASK_INS, 90, 1);
  ask(&a, "k", hash_a, 3);
  ask(&t, "t", hash_b, 0);
  load();
  assert_true(answered(0));
  assert_true(a.q.replayed);
  assert_int_equal(a.q.rc, WR_OK);
  for (int i = 0; i < 3; i++) assert_int_equal(a.start[i].fi, 70 + i);
  assert_int_equal(kit.events.v[0].then, THEN_OVER);
  assert_true(answered(1));
  assert_true(t.q.replayed);
  assert_int_equal(made, 90);
}

/* Another body, another kind, another number of flows: each is another request. */
static void a_known_key_of_another_request_is_refused(void **st) {
  struct asked body, kind, many;
  (void)st;
  row("b", 1, hash_a, KEY_STARTS, 70, 1);
  row("k", 1, hash_a, KEY_TASK_INS, 71, 1);
  row("m", 1, hash_a, KEY_STARTS, 72, 2);
  ask(&body, "b", hash_b, 1);
  ask(&kind, "k", hash_a, 1);
  ask(&many, "m", hash_a, 1);
  load();
  struct asked *const all[] = {&body, &kind, &many};
  for (size_t i = 0; i < 3; i++) {
    assert_true(answered(i));
    assert_int_equal(all[i]->q.rc, WR_KEY_REUSED);
    assert_false(all[i]->q.replayed);
    assert_int_equal(all[i]->start[0].fi, 0);
  }
}

static void a_held_key_waits(void **st) {
  struct asked a;
  (void)st;
  row("k", 2, hash_a, KEY_STARTS, 0, 0);
  ask(&a, "k", hash_a, 1);
  load();
  assert_true(answered(0));
  assert_int_equal(kit.events.v[0].then, THEN_LATER);
  assert_false(a.q.replayed);
  assert_int_equal(a.q.rc, WR_OK);
}

/* In one batch the second sees the first. */
static void a_new_key_is_known_to_those_behind(void **st) {
  struct asked a[3], other;
  (void)st;
  ask(&a[0], "k", hash_a, 2);
  ask(&a[1], "k", hash_a, 2);
  ask(&other, "k", hash_b, 2);
  load();
  assert_false(answered(0));
  keys_take(&keys, &a[0].q, 40, 2);
  assert_int_equal(keys.v[0].state, KEY_NEW);
  const struct key_row *w = &keys.v[0].w.row;
  assert_int_equal(w->first_id, 40);
  assert_int_equal(w->n, 2);
  assert_int_equal(w->kind, KEY_STARTS);
  assert_int_equal(w->create_us, kit.env.wall_us);
  assert_memory_equal(w->hash, hash_a, KEY_HASH_BYTES);
  assert_string_equal(keys.v[0].w.key, "k");
  assert_true(answered(1));
  assert_true(a[1].q.replayed);
  assert_int_equal(a[1].start[1].fi, 41);
  assert_true(answered(2));
  assert_int_equal(other.q.rc, WR_KEY_REUSED);
}

static void what_the_store_says_is_passed_on(void **st) {
  struct asked a;
  (void)st;
  ask(&a, "k", hash_a, 1);
  kit.store.rc[KIT_KEYS_READ] = STORE_RETRY;
  assert_int_equal(keys_load(&keys, kit.events.v, kit.events.n), STORE_RETRY);
  assert_int_equal(keys.n, 0);
}

static void unseen(void) {
  struct asked a, b;
  ask(&a, "k", hash_a, 1);
  load();
  ask(&b, "x", hash_a, 1);
  (void)answered(1);
}
static void none_is_answered_unseen(void **st) {
  (void)st;
  assert_true(aborts(unseen));
}

/* ---- the check ---- */
static void out_of_order(void) {
  struct batch_key v[2] = {{.w.key = "b"}, {.w.key = "a"}};
  keys.v = v;
  keys.n = 2;
  keys_check(&keys);
}
static void new_without_rows(void) {
  struct batch_key v = {.w.key = "b", .state = KEY_NEW};
  keys.v = &v;
  keys.n = 1;
  keys_check(&keys);
}
static void facts_are_kept(void **st) {
  (void)st;
  keys_check(&keys);
  assert_true(aborts(out_of_order));
  assert_true(aborts(new_without_rows));
}

int main(void) {
  const struct CMUnitTest tests[] = {
    OBJECT(without_keys_the_store_is_not_asked), OBJECT(all_are_asked_for_at_once), OBJECT(a_known_key_replays),
    OBJECT(a_known_key_of_another_request_is_refused), OBJECT(a_held_key_waits), OBJECT(a_new_key_is_known_to_those_behind),
    OBJECT(what_the_store_says_is_passed_on), OBJECT(none_is_answered_unseen),
    OBJECT(facts_are_kept),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
