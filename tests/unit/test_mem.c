/* Unit tests of base/mem. One thread; deterministic. */
#include "unit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "mem.h"

static void test_alloc(void **st) {
  (void)st;
  char *z = wr_calloc(3, 5);
  for (int i = 0; i < 15; i++) assert_int_equal(z[i], 0);
  free(z);
  assert_null(wr_strdup(NULL));
  char *s = wr_strdup("abc"), *d = wr_memdup0("a\0b", 3), *e = wr_memdup0(NULL, 0);
  assert_string_equal(s, "abc");
  assert_memory_equal(d, "a\0b\0", 4);
  assert_string_equal(e, "");
  free(s);
  free(d);
  free(e);
  void *p = wr_malloc(0);
  assert_non_null(p);
  free(wr_realloc(p, 0));
}

static void test_push(void **st) {
  (void)st;
  int64_t *v = NULL;
  size_t n = 0, cap = 0, moves = 0;
  for (int i = 0; i < 10000; i++) {
    size_t was = cap;
    *WR_PUSH(v, n, cap) = i;
    moves += cap != was;
    assert_true(cap >= n);
  }
  assert_in_range(moves, 5, 15);
  for (int i = 0; i < 10000; i++) assert_int_equal(v[i], i);
  free(v);
}

static void test_arena(void **st) {
  (void)st;
  struct arena a;
  arena_init(&a, 256);
  assert_null(a.head);
  arena_reset(&a);
  uint64_t seed = 3;
  unsigned char *p[500];
  size_t len[500];
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 500; i++) {
      len[i] = rand_next(&seed) % (i % 50 == 0 ? 2000 : 60);
      p[i] = i % 2 ? arena_alloc(&a, len[i]) : arena_zalloc(&a, len[i]);
      assert_int_equal((uintptr_t)p[i] % 16, 0);
      for (size_t k = 0; i % 2 == 0 && k < len[i]; k++) assert_int_equal(p[i][k], 0);
      memset(p[i], i & 0xFF, len[i]);
    }
    for (int i = 0; i < 500; i++)
      for (size_t k = 0; k < len[i]; k++) assert_int_equal(p[i][k], i & 0xFF);
    arena_reset(&a);
    assert_non_null(a.head);
  }
  assert_string_equal(arena_strdup(&a, "hello"), "hello");
  assert_null(arena_strdup(&a, NULL));
  assert_memory_equal(arena_memdup0(&a, "x\0y", 3), "x\0y\0", 4);
  assert_string_equal(arena_memdup0(&a, NULL, 0), "");
  arena_done(&a);
  assert_null(a.head);
}

static void test_buf(void **st) {
  (void)st;
  struct buf b = BUF_INIT;
  buf_clear(&b);
  buf_add(&b, NULL, 0);
  assert_string_equal(b.data, "");
  buf_str(&b, "ab");
  buf_ch(&b, 'c');
  buf_i64(&b, -7);
  buf_printf(&b, "<%s|%d>", "x", 42);
  assert_string_equal(b.data, "abc-7<x|42>");
  assert_int_equal(b.len, strlen(b.data));
  buf_clear(&b);
  assert_string_equal(b.data, "");
  memcpy(buf_reserve(&b, 3), "xyz", 3);
  b.len += 3;
  buf_ch(&b, '!');
  assert_string_equal(b.data, "xyz!");
  buf_done(&b);
  assert_null(b.data);
  buf_done(&b);
}

static void test_buf_grow(void **st) {
  (void)st;
  struct buf b = BUF_INIT;
  static char want[200000];
  size_t n = 0;
  uint64_t seed = 9;
  while (n < sizeof want - 1000) {
    char piece[700];
    size_t len = rand_next(&seed) % sizeof piece;
    for (size_t i = 0; i < len; i++) piece[i] = (char)('a' + rand_next(&seed) % 26);
    if (rand_next(&seed) % 2) buf_add(&b, piece, len);
    else buf_printf(&b, "%.*s", (int)len, piece);
    memcpy(want + n, piece, len);
    n += len;
    assert_int_equal(b.data[b.len], 0);
  }
  assert_int_equal(b.len, n);
  assert_memory_equal(b.data, want, n);
  buf_done(&b);
}

static void test_buf_i64(void **st) {
  (void)st;
  struct buf b = BUF_INIT;
  uint64_t seed = 5;
  for (int i = 0; i < 1000; i++) {
    int64_t v = i == 0 ? INT64_MIN : i == 1 ? INT64_MAX : i == 2 ? 0 : (int64_t)rand_next(&seed) >> (i % 64);
    char want[32];
    snprintf(want, sizeof want, "%" PRId64, v);
    buf_clear(&b);
    buf_i64(&b, v);
    assert_string_equal(b.data, want);
  }
  buf_done(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_alloc), cmocka_unit_test(test_push), cmocka_unit_test(test_arena),
      cmocka_unit_test(test_buf), cmocka_unit_test(test_buf_grow), cmocka_unit_test(test_buf_i64)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
