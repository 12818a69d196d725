/* Unit tests of base/map64 against a plain list. One thread; deterministic. */
#include "unit.h"

#include "clock.h"
#include "map64.h"

enum { KEYS = 300 };

static int64_t key_of(size_t i, int kind) {
  if (kind == 0) return (int64_t)i + 1;
  if (kind == 1) return ((int64_t)i + 1) << 32;
  return i % 2 ? INT64_MIN + (int64_t)i : INT64_MAX - (int64_t)i;
}

static void check_all(const struct map64 *m, char *const list[KEYS], int kind) {
  size_t n = 0, seen = 0, i = 0;
  for (size_t k = 0; k < KEYS; k++) {
    assert_ptr_equal(map64_get(m, key_of(k, kind)), list[k]);
    n += list[k] != NULL;
  }
  assert_int_equal(m->n, n);
  const struct map64_slot *s;
  while ((s = map64_next(m, &i))) {
    assert_ptr_equal(s->val, map64_get(m, s->key));
    seen++;
  }
  assert_int_equal(seen, n);
}

static void test_random(void **st) {
  (void)st;
  static char vals[16];
  for (int kind = 0; kind < 3; kind++) {
    struct map64 m = MAP64_INIT;
    char *list[KEYS] = {0};
    uint64_t seed = (uint64_t)kind;
    for (int op = 0; op < 60000; op++) {
      /* Fills up for a while, then empties, so that both long runs and few entries occur. */
      bool put = rand_next(&seed) % 10 < (op / 5000 % 2 ? 3u : 7u);
      size_t k = rand_next(&seed) % KEYS;
      char *val = put ? &vals[rand_next(&seed) % sizeof vals] : NULL;
      void *was = put ? map64_put(&m, key_of(k, kind), val) : map64_del(&m, key_of(k, kind));
      assert_ptr_equal(was, list[k]);
      list[k] = val;
      if (op % 100 == 0) check_all(&m, list, kind);
    }
    map64_done(&m);
    assert_int_equal(m.n, 0);
  }
}

static void test_many(void **st) {
  (void)st;
  static char vals[200001];
  struct map64 m = MAP64_INIT;
  for (int64_t i = 1; i <= 200000; i++) assert_null(map64_put(&m, i, &vals[i]));
  for (int64_t i = 1; i <= 200000; i++) assert_ptr_equal(map64_get(&m, i), &vals[i]);
  for (int64_t i = 1; i <= 200000; i += 2) assert_ptr_equal(map64_del(&m, i), &vals[i]);
  for (int64_t i = 1; i <= 200000; i++) assert_ptr_equal(map64_get(&m, i), i % 2 ? NULL : &vals[i]);
  assert_int_equal(m.n, 100000);
  map64_done(&m);
}

/* Each id once, in order, with a value that came with it. */
static void test_distinct(void **st) {
  (void)st;
  struct { int64_t id, ten; } v[] = {{5, 50}, {-1, -10}, {5, 50}, {5, 50}, {INT64_MAX, 7}, {-1, -10}, {0, 0}};
  static const int64_t want[] = {-1, 0, 5, INT64_MAX};
  size_t n = wr_distinct(v, sizeof v / sizeof *v, sizeof *v);
  assert_int_equal(n, 4);
  for (size_t i = 0; i < n; i++) assert_true(v[i].id == want[i] && v[i].ten == (want[i] == INT64_MAX ? 7 : want[i] * 10));
  assert_int_equal(wr_distinct(v, n, sizeof *v), 4);
  assert_int_equal(wr_distinct(v, 1, sizeof *v), 1);
  assert_int_equal(wr_distinct(NULL, 0, sizeof *v), 0);
}

static void test_empty(void **st) {
  (void)st;
  struct map64 m = MAP64_INIT;
  size_t i = 0;
  assert_null(map64_get(&m, 1));
  assert_null(map64_get(&m, 0));
  assert_null(map64_del(&m, 1));
  assert_null(map64_next(&m, &i));
  char c;
  map64_put(&m, 7, &c);
  assert_null(map64_get(&m, 0));
  assert_null(map64_del(&m, 0));
  map64_done(&m);
  map64_done(&m);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random), cmocka_unit_test(test_many), cmocka_unit_test(test_distinct),
                                     cmocka_unit_test(test_empty)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
