/* What a node tells of its troubles: the way to text and back, whatever a process calls itself; the bound; texts of strangers. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "wr_limits.h"
#include "node_trouble.h"
#include "text.h"

static void test_nothing(void **st) {
  (void)st;
  struct node_trouble t = {0};
  struct buf b = BUF_INIT;
  buf_str(&b, "old");
  node_trouble_write(&t, &b);
  assert_int_equal(b.len, 0);
  assert_false(node_trouble_read("", &t));
  assert_false(node_trouble_read(NULL, &t));
  buf_done(&b);
}

static void test_there_and_back(void **st) {
  (void)st;
  struct node_trouble t = {.starts = "No \"room\" left in /täsks.", .starts_until_us = 1234567890123456, .n_stuck = 2, .n_aside = 2,
                           .stuck = {{7, 4711, 3, 2, "dd"}, {WR_ID_MAX, 4194304, UINT32_MAX, 1, "a\"\\\n\x80"}}, .aside = {5, WR_ID_MAX}}, u;
  struct buf b = BUF_INIT;
  node_trouble_write(&t, &b);
  for (size_t i = 0; i < b.len; i++) assert_in_range(b.data[i], 0x20, 0x7E);
  assert_true(node_trouble_read(b.data, &u));
  assert_string_equal(u.starts, t.starts);
  assert_int_equal(u.starts_until_us, t.starts_until_us);
  const struct stuck_attempt *s = node_trouble_stuck(&u, 7, 3);
  assert_non_null(s);
  assert_int_equal(s->pid, 4711);
  assert_int_equal(s->n, 2);
  assert_string_equal(s->name, "dd");
  assert_null(node_trouble_stuck(&u, 7, 4));
  assert_string_equal(node_trouble_stuck(&u, WR_ID_MAX, UINT32_MAX)->name, "a\"\\??");
  assert_true(node_trouble_aside(&u, 5) && node_trouble_aside(&u, WR_ID_MAX));
  assert_false(node_trouble_aside(&u, 6));
  assert_true(u.cpu_budget == 0 && u.cpu_used == 0 && !u.load[0] && !u.serves[0]);
  t = (struct node_trouble){.cpu_budget = 100000000, .cpu_used = 7, .cpu_kept_for = 9, .load = "it is \"hot\"", .serves = "ä/%2C,/g"};
  node_trouble_write(&t, &b);
  assert_true(node_trouble_read(b.data, &u));
  assert_true(u.cpu_budget == 100000000 && u.cpu_used == 7 && u.cpu_kept_for == 9 && u.n_stuck == 0);
  assert_string_equal(u.load, t.load);
  assert_string_equal(u.serves, t.serves);
  buf_done(&b);
}

/* As much as there can be, and as long as it can be. */
static void test_bound(void **st) {
  (void)st;
  struct node_trouble t = {.starts_until_us = INT64_MAX, .n_stuck = NODE_STUCK_MAX, .n_aside = NODE_ASIDE_MAX}, u;
  for (size_t i = 0; i + 2 < sizeof t.starts; i += 2) memcpy(t.starts + i, "\xC3\xA4", 2); /* six characters for two bytes */
  for (size_t i = 0; i + 2 < sizeof t.load; i += 2) memcpy(t.load + i, "\xC3\xA4", 2);
  for (size_t i = 0; i + 2 < sizeof t.serves; i += 2) memcpy(t.serves + i, "\xC3\xA4", 2);
  t.cpu_budget = t.cpu_used = LIMIT_CPU_BUDGET;
  t.cpu_kept_for = WR_ID_MAX;
  for (size_t i = 0; i < NODE_STUCK_MAX; i++) t.stuck[i] = (struct stuck_attempt){WR_ID_MAX, INT32_MAX, UINT32_MAX, UINT32_MAX, "\"\"\"\"\"\"\"\"\"\"\"\"\"\"\""};
  for (size_t i = 0; i < NODE_ASIDE_MAX; i++) t.aside[i] = WR_ID_MAX;
  struct buf b = BUF_INIT;
  node_trouble_write(&t, &b);
  assert_in_range(b.len, 1, LIMIT_NODE_TROUBLE_BYTES);
  assert_true(node_trouble_read(b.data, &u));
  assert_int_equal(u.n_stuck, NODE_STUCK_MAX);
  assert_int_equal(u.n_aside, NODE_ASIDE_MAX);
  buf_done(&b);
}

static void test_strangers(void **st) {
  (void)st;
  static const char *const odd[] = {"x", "[]", "7", "{\"starts\":7,\"until\":\"x\",\"stuck\":{},\"aside\":7}", "{\"stuck\":[7,[],[\"a\"],[[]]]}", "{\"new\":1}"};
  struct node_trouble t;
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
    (void)node_trouble_read(odd[i], &t);
    assert_int_equal(t.n_stuck + t.n_aside, 0);
    assert_string_equal(t.starts, "");
    assert_null(node_trouble_stuck(&t, 0, 0));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing), cmocka_unit_test(test_there_and_back), cmocka_unit_test(test_bound),
                                     cmocka_unit_test(test_strangers)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
