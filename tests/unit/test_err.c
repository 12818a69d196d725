/* Unit tests of base/err. One thread; deterministic. */
#include "unit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "err.h"
#include "text.h"

static void test_list(void **st) {
  (void)st;
  static const struct { int num; const char *sym; } list[] = {
#define WR_ERROR(num, sym, text) {num, #sym},
#include "errors.def"
#undef WR_ERROR
  };
  for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
    enum wr_rc rc = (enum wr_rc)list[i].num;
    assert_string_equal(wr_err_symbol(rc), list[i].sym);
    assert_in_range(wr_err_status(rc), 400, 599);
    const char *text = wr_err_text(rc);
    assert_true(strlen(text) > 0 && text[strlen(text) - 1] == '.');
  }
  assert_string_equal(wr_err_symbol((enum wr_rc)12345), "INTERNAL");
  assert_string_equal(wr_err_text((enum wr_rc)12345), wr_err_text(WR_INTERNAL));
  assert_int_equal(wr_err_status(WR_OK), 200);
}

static void test_set(void **st) {
  (void)st;
  struct wr_err e;
  memset(&e, 'x', sizeof e);
  assert_int_equal(wr_err_set(&e, WR_BAD_JSON, NULL), WR_BAD_JSON);
  assert_string_equal(e.msg, "The body is not valid JSON.");
  assert_string_equal(e.path, "");
  assert_true(e.limit == -1 && e.got == -1);
  e.limit = 5;
  assert_int_equal(wr_err_at(&e, WR_OUT_OF_RANGE, "/a/0", "%d is too much.", 9), WR_OUT_OF_RANGE);
  assert_string_equal(e.msg, "9 is too much.");
  assert_string_equal(e.path, "/a/0");
  assert_true(e.limit == -1);
  wr_err_at(&e, WR_BAD_NAME, e.path, "In %s: %s", e.path, e.msg); /* its own text as argument */
  assert_string_equal(e.msg, "In /a/0: 9 is too much.");
  assert_string_equal(e.path, "/a/0");
  assert_int_equal(wr_err_set(NULL, WR_BUSY, NULL), WR_BUSY);
  assert_int_equal(wr_err_at(NULL, WR_BUSY, NULL, NULL), WR_BUSY);
  wr_err_clear(&e);
  assert_int_equal(e.code, WR_OK);
  assert_string_equal(e.msg, "");
  wr_err_clear(NULL);
}

static void test_cut(void **st) {
  (void)st;
  struct wr_err e;
  char big[1000];
  for (size_t shift = 0; shift < 3; shift++) { /* three-byte characters across the end of both fields */
    memset(big, 'a', shift);
    for (size_t i = shift; i + 3 < sizeof big; i += 3) memcpy(big + i, "\xE2\x82\xAC", 4);
    wr_err_at(&e, WR_BAD_NAME, big, "%s", big);
    assert_in_range(strlen(e.msg), sizeof e.msg - 3, sizeof e.msg - 1);
    assert_in_range(strlen(e.path), sizeof e.path - 3, sizeof e.path - 1);
    assert_true(text_utf8(e.msg, strlen(e.msg)) && text_utf8(e.path, strlen(e.path)));
  }
}

static void quote_is(const char *s, size_t n, const char *want) {
  char q[WR_QUOTE_MAX];
  assert_ptr_equal(wr_err_quote(q, s, n), q);
  assert_string_equal(q, want);
}

static void test_quote(void **st) {
  (void)st;
  quote_is("", 0, "\"\"");
  quote_is("abc", 3, "\"abc\"");
  quote_is("a\"\\\n\r\t\x01\x7f\0z", 10, "\"a\\\"\\\\\\n\\r\\t\\x01\\x7f\\x00z\"");
  quote_is("\xC3\xA9\xFF\xE2\x80\xAE", 6, "\"\xC3\xA9\\xff\\xe2\\x80\\xae\"");
  quote_is("\xC3", 1, "\"\\xc3\"");
  char s[80], want[WR_QUOTE_MAX];
  memset(s, 'a', sizeof s);
  snprintf(want, sizeof want, "\"%.64s\"", s);
  quote_is(s, 64, want);
  snprintf(want, sizeof want, "\"%.64s\"...", s);
  quote_is(s, 65, want);
  memcpy(s + 62, "\xE2\x82\xAC", 3); /* across the cut: left out whole */
  snprintf(want, sizeof want, "\"%.62s\"...", s);
  quote_is(s, 80, want);
  memset(s, 1, sizeof s);
  char q[WR_QUOTE_MAX];
  assert_int_equal(strlen(wr_err_quote(q, s, sizeof s)), 64 * 4 + 5);
}

static void test_assert(void **st) {
  (void)st;
  int out[2];
  char text[256] = "";
  assert_int_equal(pipe(out), 0);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal(SIGABRT, SIG_DFL);
    dup2(out[1], STDERR_FILENO);
    wr_assert(1 + 1 == 2);
    wr_assert(1 + 1 == 3);
    _exit(0);
  }
  close(out[1]);
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
  assert_true(read(out[0], text, sizeof text - 1) > 0);
  close(out[0]);
  assert_non_null(strstr(text, "test_err.c:"));
  assert_non_null(strstr(text, "1 + 1 == 3"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_list), cmocka_unit_test(test_set), cmocka_unit_test(test_cut),
                                     cmocka_unit_test(test_quote), cmocka_unit_test(test_assert)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
