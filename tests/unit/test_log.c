/* Unit tests of base/log: stderr is turned into a pipe for each line. One thread; deterministic but for the time. */
#include "unit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "text.h"

static char line[8192];
static int saved_err, ends[2];

static void begin(enum log_level level, enum log_format format) {
  log_setup(level, format);
  assert_int_equal(pipe(ends), 0);
  saved_err = dup(STDERR_FILENO);
  dup2(ends[1], STDERR_FILENO);
}

/* The line without its time stamp. */
static const char *end(void) {
  dup2(saved_err, STDERR_FILENO);
  close(saved_err);
  close(ends[1]);
  size_t n = 0;
  ssize_t got;
  while ((got = read(ends[0], line + n, sizeof line - 1 - n)) > 0) n += (size_t)got;
  close(ends[0]);
  line[n] = '\0';
  assert_true(n <= 4096 && text_utf8(line, n));
  const char *at = strstr(line, "level");
  return at ? at : line;
}

static void test_logfmt(void **st) {
  (void)st;
  const char *none = NULL;
  char array[] = "x y";
  begin(LOG_INFO, LOG_LOGFMT);
  errno = 77;
  log_info("task.finished", L_INT("run", -12), L_STR("result", "SUCCESS"), L_STR("none", none), L_STR("two", array),
           L_STR("evil", "a\"\n\\\x1b[0m\xFF\xE2\x80\xAE"));
  assert_int_equal(errno, 77);
  assert_string_equal(end(), "level=info event=task.finished run=-12 result=SUCCESS none=\"\" two=\"x y\" "
                             "evil=\"a\\\"\\n\\\\\\u001b[0m\xEF\xBF\xBD\\u202e\"\n");
  assert_memory_equal(line, "ts=20", 5);
}

static void test_json(void **st) {
  (void)st;
  begin(LOG_DEBUG, LOG_JSON);
  log_debug("x", L_STR("s", "a\"\n\t\x01"), L_INT("n", INT64_MIN));
  assert_string_equal(end(), "level\":\"debug\",\"event\":\"x\",\"s\":\"a\\\"\\n\\t\\u0001\",\"n\":-9223372036854775808}\n");
  assert_memory_equal(line, "{\"ts\":\"20", 9);
}

static void test_level(void **st) {
  (void)st;
  begin(LOG_WARN, LOG_LOGFMT);
  log_info("x", L_INT("a", 1));
  assert_string_equal(end(), "");
  begin(LOG_WARN, LOG_LOGFMT);
  log_write(LOG_ERROR, "bare", NULL, 0);
  assert_string_equal(end(), "level=error event=bare\n");
}

static void test_cut(void **st) {
  (void)st;
  static char big[5000], wide[5000];
  memset(big, 'a', sizeof big - 1);
  memset(wide, 1, sizeof wide - 1);
  begin(LOG_INFO, LOG_LOGFMT);
  log_info("x", L_STR("big", big), L_INT("after", 1));
  const char *got = end();
  assert_non_null(strstr(got, "aaa...\" after=1\n"));
  assert_int_equal(strspn(strchr(got, '"') + 1, "a"), 1024);
  for (int format = LOG_LOGFMT; format <= LOG_JSON; format++) {
    begin(LOG_INFO, (enum log_format)format);
    log_info("x", L_STR("a", wide), L_STR("b", big), L_STR("c", wide), L_STR("d", big), L_STR("e", big));
    got = end();
    assert_non_null(strstr(got, "...\""));
    assert_non_null(strstr(got, format == LOG_JSON ? ",\"cut\":1}\n" : " cut=1\n"));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_logfmt), cmocka_unit_test(test_json),
                                     cmocka_unit_test(test_level), cmocka_unit_test(test_cut)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
