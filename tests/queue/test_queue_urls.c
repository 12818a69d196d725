/* The URLs that queue_open() takes and refuses. */
#include <string.h>

#include "queue_facts.h"

static void test_no_queue(void **st) {
  struct queue *q = (void *)st; /* anything but NULL */
  assert_int_equal(queue_open("memory:", NULL, 0, &q, NULL), WR_OK);
  assert_null(q);
  queue_close(q);
}

static void test_bad_urls(void **st) {
  (void)st;
  static const char *const bad[] = {
      "", "memory", "memory:x", "redis:", "redis://", "redis:///0", "redis://:6379", "redis://h:0", "redis://h:65536",
      "redis://h:x", "redis://h:6379x/0", "redis://h/x", "redis://h/-1", "redis://h/65536", "redis://[::1", "redis://[::1]x",
      "redis://user@h", "redis://:%@h", "redis://:%4@h", "redis://:%zz@h", "redis://:%00@h", "redis+unix://", "redis+unix://x",
      "redis+unix:///x?db=", "redis+unix:///x?db=a", "redis+unix:///x?y=1", "http://h", "rediss://h",
  };
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct queue *q = NULL;
    struct wr_err err = {0};
    if (queue_open(bad[i], NULL, 0, &q, &err) != WR_BAD_REQUEST) fail_msg("taken: %s", bad[i]);
    assert_null(q);
    assert_true(err.msg[0] != 0);
  }
}

/* Taken or refused, no message holds the password. */
static void test_password_not_told(void **st) {
  (void)st;
  struct queue *q = NULL;
  struct wr_err err = {0};
  assert_int_equal(queue_open("redis://:sesame@h:bad", NULL, 0, &q, &err), WR_BAD_REQUEST);
  assert_null(strstr(err.msg, "sesame"));
}

static void test_good_urls(void **st) {
  (void)st;
  static const char *const good[] = {
      "redis+unix:///nowhere/r.sock", "redis+unix:///nowhere/r.sock?db=3", "redis+unix://:p%40w@/nowhere/r.sock",
      "redis://127.0.0.1:1", "redis://127.0.0.1:1/15", "redis://:pw@127.0.0.1:1/0", "redis://u:p@127.0.0.1:1", "redis://[::1]:1/2",
  };
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    struct queue *q = open_url(good[i], "some-prefix_1.x", 0);
    const struct hint h = {1, 1, 0};
    struct hint out;
    bool away = false;
    assert_false(push_all(q, &h, 1)); /* nobody listens there */
    assert_int_equal(queue_pop(q, &out, 1, FOREVER_US, &away), 0);
    assert_true(away);
    assert_int_equal(queue_depth(q), 0);
    queue_close(q);
  }
}

static void test_bad_prefixes(void **st) {
  (void)st;
  static const char *const bad[] = {"a b", "a:b", "a{b}", "a\n", "\xc3\xa9",
                                    "12345678901234567890123456789012345678901234567890123456789012345"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct queue *q = NULL;
    assert_int_equal(queue_open("memory:", bad[i], 0, &q, NULL), WR_BAD_NAME);
    assert_null(q);
  }
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_no_queue), cmocka_unit_test(test_bad_urls), cmocka_unit_test(test_good_urls),
      cmocka_unit_test(test_password_not_told), cmocka_unit_test(test_bad_prefixes),
  };
  return cmocka_run_group_tests_name("queue_urls", tests, NULL, NULL);
}
