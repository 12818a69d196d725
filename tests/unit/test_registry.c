/* Unit tests of the registry of executors: what may be added, what is found, and that nothing moves while others read. */
#include "unit.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wr_limits.h"
#include "registry.h"

static int starts(const wx_host *h, wx_exec *x, char *err, size_t err_n) {
  (void)h, (void)x, (void)err, (void)err_n;
  return -1;
}

static wx_ops ops_of(const char *name, int64_t version) {
  return (wx_ops){.abi = WX_ABI, .size = sizeof(wx_ops), .name = name, .slot = WX_SLOT_ASYNC, .start = starts,
                  .version = version};
}

static void add(struct registry *r, const char *name, int64_t version) {
  struct wr_err err;
  const wx_ops o = ops_of(name, version);
  if (registry_add(r, &o, &err)) fail_msg("%s", err.msg);
}

static void refused(struct registry *r, const wx_ops *o, const char *words) {
  struct wr_err err = {0};
  uint64_t before = registry_changes(r);
  assert_int_equal(registry_add(r, o, &err), WR_INTERNAL);
  if (!strstr(err.msg, words)) fail_msg("%s: %s", words, err.msg);
  assert_int_equal(err.msg[strlen(err.msg) - 1], '.');
  assert_int_equal(registry_changes(r), before);
}

static void test_versions(void **st) {
  struct registry *r = registry_new();
  (void)st;
  assert_null(registry_next(r, NULL));
  assert_null(registry_find(r, "A", 0));
  assert_int_equal(registry_changes(r), 0);
  add(r, "A", 0);
  const struct executor *one = registry_find(r, "A", 0);
  assert_int_equal(one->version, 1);
  add(r, "B", 7);
  add(r, "A", 3);
  add(r, "A", 2);
  assert_int_equal(registry_changes(r), 4);
  assert_int_equal(registry_find(r, "A", 0)->version, 3);
  assert_int_equal(registry_find(r, "A", 2)->version, 2);
  assert_ptr_equal(registry_find(r, "A", 1), one); /* it stays where it is */
  assert_null(registry_find(r, "A", 4));
  assert_null(registry_find(r, "a", 0));
  const struct executor *x = registry_next(r, NULL);
  assert_ptr_equal(x, registry_find(r, "A", 3));
  x = registry_next(r, x);
  assert_ptr_equal(x, registry_find(r, "B", 7));
  assert_null(registry_next(r, x));
  registry_free(r);
  registry_free(NULL);
}

static void test_refusals(void **st) {
  struct registry *r = registry_new();
  char longest[130] = "";
  wx_ops o = ops_of("A", 1);
  (void)st;
  refused(r, NULL, "no table of calls");
  o.abi = WX_ABI + 1;
  refused(r, &o, "was made for ABI 2, and this program has ABI 1");
  o = ops_of("A", 1), o.size = 8;
  refused(r, &o, "has 8 bytes");
  o = ops_of(NULL, 1);
  refused(r, &o, "is no task type");
  o = ops_of("", 1);
  refused(r, &o, "is no task type");
  o = ops_of("A,B", 1); /* a node's row says what it can run, with commas between */
  refused(r, &o, "is no task type");
  memset(longest, 'x', 129);
  o = ops_of(longest, 1);
  refused(r, &o, "is no task type");
  o = ops_of("A", 1), o.slot = 2;
  refused(r, &o, "slot class 2");
  o = ops_of("A", 1), o.start = NULL;
  refused(r, &o, "no start()");
  o = ops_of("A", -1);
  refused(r, &o, "version below 0");
  add(r, "A", 1);
  o = ops_of("A", 0);
  refused(r, &o, "executor A of version 1 already");
  registry_free(r);
}

static void test_full(void **st) {
  struct registry *r = registry_new();
  (void)st;
  for (int i = 1; i <= LIMIT_EXECUTORS; i++) add(r, "A", i);
  const wx_ops o = ops_of("B", 1);
  refused(r, &o, "which is the most");
  assert_int_equal(registry_find(r, "A", 0)->version, LIMIT_EXECUTORS);
  registry_free(r);
}

/* One that was compiled with the first header of the ABI: its table ends before `version`, and what lies behind is not its own.
 * One that was compiled with a later header: what this program does not know of its table is left alone. */
static void test_size(void **st) {
  struct registry *r = registry_new();
  struct wr_err err;
  struct { wx_ops o; char more[64]; } later = {ops_of("NEW", 1), {1}};
  wx_ops old = ops_of("OLD", 4711);
  (void)st;
  old.size = offsetof(wx_ops, version);
  later.o.size = sizeof later;
  assert_int_equal(registry_add(r, &old, &err), WR_OK);
  assert_int_equal(registry_add(r, &later.o, &err), WR_OK);
  assert_int_equal(registry_find(r, "OLD", 0)->version, 1);
  assert_int_equal(registry_find(r, "OLD", 0)->ops.version, 0);
  assert_int_equal(registry_find(r, "NEW", 0)->ops.size, sizeof(wx_ops));
  registry_free(r);
}

static int check(const char *content, const char *config, int *code, char *err, size_t err_n) {
  (void)config;
  if (content) *code = (int)strtol(content, NULL, 10);
  snprintf(err, err_n, "No.");
  return content ? -1 : 0;
}

/* A plugin's code is believed where it is one of a body that was understood; a task is refused with no other. */
static void test_check(void **st) {
  struct registry *r = registry_new();
  struct wr_err err;
  wx_ops o = ops_of("A", 1);
  char why[8];
  enum wr_rc code;
  (void)st;
  assert_int_equal(registry_add(r, &o, &err), WR_OK);
  o = ops_of("B", 1), o.check = check;
  assert_int_equal(registry_add(r, &o, &err), WR_OK);
  const struct executor *all = registry_find(r, "A", 0), *b = registry_find(r, "B", 0);
  assert_int_equal(executor_check(all, "x", NULL, &code, why, sizeof why), 0);
  assert_int_equal(executor_check(b, NULL, NULL, &code, why, sizeof why), 0);
  assert_int_equal(executor_check(b, "42201", NULL, &code, why, sizeof why), -1);
  assert_int_equal(code, WR_WRONG_TYPE);
  static const char *const strange[] = {"0", "-1", "40101", "42299", "50001", "99999999"};
  for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
    assert_int_equal(executor_check(b, strange[i], NULL, &code, why, sizeof why), -1);
    assert_int_equal(code, WR_OUT_OF_RANGE);
  }
  registry_free(r);
}

/* Readers beside a writer: what one sees is whole, and the number grows no later than the list. */
static void *reader(void *ctx) {
  const struct registry *r = ctx;
  for (uint64_t seen = 0; seen < LIMIT_EXECUTORS;) {
    seen = registry_changes(r);
    const struct executor *x = registry_find(r, "A", 0);
    if ((x ? x->version : 0) < (int64_t)seen || (x && !x->ops.start)) return ctx;
  }
  return NULL;
}

static void test_beside_readers(void **st) {
  struct registry *r = registry_new();
  pthread_t t[2];
  void *bad;
  (void)st;
  for (int i = 0; i < 2; i++) assert_int_equal(pthread_create(&t[i], NULL, reader, r), 0);
  for (int i = 1; i <= LIMIT_EXECUTORS; i++) add(r, "A", i);
  for (int i = 0; i < 2; i++) {
    pthread_join(t[i], &bad);
    assert_null(bad);
  }
  registry_free(r);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_versions), cmocka_unit_test(test_refusals), cmocka_unit_test(test_full),
                                     cmocka_unit_test(test_size), cmocka_unit_test(test_check), cmocka_unit_test(test_beside_readers)};
  return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
