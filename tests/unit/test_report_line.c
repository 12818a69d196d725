/* Unit tests of model/report_line: every kind, every refusal, and all bytes that a line may hold. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "report_line.h"
#include "wr_limits.h"

static char *line;                 /* of the last call; the report points into it */
static struct report got;

/* In memory of exactly that size. */
static const char *read_n(const char *text, size_t n) {
  free(line);
  line = wr_malloc(n ? n : 1);
  if (n) memcpy(line, text, n);
  return report_read(line, n, &got);
}

static void good(const char *text, enum report_kind kind) {
  const char *why = read_n(text, strlen(text));
  if (why) fail_msg("%s: %s", text, why);
  if (got.kind != kind) fail_msg("%s: kind %d", text, (int)got.kind);
}

static void bad(const char *text, const char *want) {
  const char *why = read_n(text, strlen(text));
  if (!why) fail_msg("%s: taken", text);
  assert_string_equal(why, want);
}

static void is(struct report_text t, const char *want) {
  if (t.n != strlen(want) || memcmp(t.s, want, t.n) != 0) fail_msg("\"%.*s\" is not \"%s\"", (int)t.n, t.s, want);
}

static void test_progress(void **st) {
  (void)st;
  good("{\"progress\":{\"total\":10,\"done\":3,\"unit\":\"files\",\"message\":\"a\\u00e9\"}}", REPORT_PROGRESS);
  assert_int_equal(got.says, SAYS_TOTAL | SAYS_DONE | SAYS_UNIT | SAYS_MESSAGE);
  assert_int_equal(got.total, 10);
  assert_int_equal(got.done, 3);
  is(got.unit, "files");
  is(got.message, "a\303\251");
  good(" { \"progress\" : { \"done\" : 4 } } \r", REPORT_PROGRESS);
  assert_int_equal(got.says, SAYS_DONE);
  good("{\"progress\":{}}", REPORT_PROGRESS);
  assert_int_equal(got.says, 0);
  good("{\"progress\":{\"total\":null,\"unit\":null}}", REPORT_PROGRESS);
  assert_int_equal(got.total, -1);
  is(got.unit, "");
}

static void test_counts(void **st) {
  static const struct { const char *text; int64_t want; } v[] = {{"0", 0}, {"9007199254740992", REPORT_COUNT_MAX}, {"3.0", 3},
    {"3e2", 300}, {"1.5e1", 15}, {"9007199254740993", -2}, {"-1", -2}, {"3.5", -2}, {"1e300", -2}, {"-0.0", 0}, {"99999999999999999999", -2},
    {"\"3\"", -2}, {"true", -2}, {"{}", -2}, {"[1]", -2}};
  char text[128];
  (void)st;
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    snprintf(text, sizeof text, "{\"progress\":{\"done\":%s}}", v[i].text);
    if (v[i].want == -2) {
      bad(text, "total and done must be whole numbers from 0 to 2^53");
    } else {
      good(text, REPORT_PROGRESS);
      assert_int_equal(got.done, v[i].want);
    }
  }
  bad("{\"progress\":{\"done\":03}}", "it is not JSON");
  bad("{\"progress\":{\"done\":1.}}", "it is not JSON");
  bad("{\"progress\":{\"done\":+1}}", "total and done must be whole numbers from 0 to 2^53");
}

static void test_texts(void **st) {
  (void)st;
  good("{\"context\":\"plain\"}", REPORT_CONTEXT);
  is(got.text, "plain");
  good("{\"context\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u20ac\\ud83d\\ude00\"}", REPORT_CONTEXT);
  is(got.text, "\"\\/\b\f\n\r\tA\342\202\254\360\237\230\200");
  good("{\"context\":\"\"}", REPORT_CONTEXT);
  is(got.text, "");
  good("{\"context\": {\"i\": [1, {\"a\": null}], \"s\": \"\\u0000\"} }", REPORT_CONTEXT);
  is(got.text, "{\"i\": [1, {\"a\": null}], \"s\": \"\\u0000\"}"); /* the text of an object is as it was written */
  bad("{\"context\":\"a\\u0000b\"}", "a text contains NUL");
  bad("{\"context\":5}", "context must be a text or an object");
  bad("{\"context\":[1]}", "context must be a text or an object");
  bad("{\"context\":null}", "context must be a text or an object");
  bad("{\"context\":\"\\ud83d\"}", "it is not JSON");
  bad("{\"context\":\"\\ude00\"}", "it is not JSON");
  bad("{\"context\":\"\\ud83d\\u0041\"}", "it is not JSON");
  bad("{\"context\":\"\\ud83d\\ue000\"}", "it is not JSON");
  bad("{\"context\":\"\\x41\"}", "it is not JSON");
  bad("{\"context\":\"\\u12g4\"}", "it is not JSON");
  bad("{\"context\":\"a\tb\"}", "it is not JSON");
  bad("{\"context\":\"\xff\"}", "it is not UTF-8");
  bad("{\"context\":\"\xed\xa0\x80\"}", "it is not UTF-8");
}

static void test_others(void **st) {
  (void)st;
  good("{\"result\":\"text\"}", REPORT_RESULT);
  is(got.text, "text");
  good("{\"result\": [1, \"a\"] }", REPORT_RESULT);
  is(got.text, "[1, \"a\"]");
  good("{\"result\":-1.5e-3}", REPORT_RESULT);
  is(got.text, "-1.5e-3");
  good("{\"result\":null}", REPORT_RESULT);
  is(got.text, "null");
  good("{\"fail\":{\"message\":\"no\",\"retry\":false}}", REPORT_FAIL);
  is(got.text, "no");
  assert_true(got.final);
  good("{\"fail\":{\"retry\":true}}", REPORT_FAIL);
  assert_false(got.final);
  assert_null(got.text.s);
  good("{\"fail\":{}}", REPORT_FAIL);
  assert_false(got.final);
  good("{\"again\":{}}", REPORT_AGAIN);
  assert_int_equal(got.after_us, -1);
  good("{\"again\":{\"after\":\"30s\"}}", REPORT_AGAIN);
  assert_int_equal(got.after_us, 30000000);
  good("{\"again\":{\"after\":1.5}}", REPORT_AGAIN);
  assert_int_equal(got.after_us, 1500000);
  good("{\"again\":{\"after\":0}}", REPORT_AGAIN);
  assert_int_equal(got.after_us, 0);
  good("{\"log\":\"a line\"}", REPORT_LOG);
  is(got.text, "a line");
  bad("{\"again\":{\"after\":\"8d\"}}", "after must be a time such as \"30s\", at most 7 days");
  bad("{\"again\":{\"after\":-1}}", "after must be a time such as \"30s\", at most 7 days");
  bad("{\"again\":true}", "its value must be an object");
  bad("{\"fail\":\"no\"}", "its value must be an object");
  bad("{\"fail\":{\"retry\":1}}", "retry must be true or false");
  bad("{\"fail\":{\"message\":1}}", "message must be a text");
  bad("{\"fail\":{\"why\":1}}", "fail has the members message and retry, and no other");
  bad("{\"log\":1}", "log must be a text");
  bad("{\"progress\":{\"doen\":1}}", "progress has the members total, done, unit and message, and no other");
  bad("{\"progress\":{\"done\":1,\"done\":2}}", "a member appears twice");
  bad("{\"progress\":{\"unit\":1}}", "unit and message must be texts");
}

static void test_no_report(void **st) {
  (void)st;
  bad("", "it is not a JSON object");
  bad("   ", "it is not a JSON object");
  bad("hello", "it is not a JSON object");
  bad("[1]", "it is not a JSON object");
  bad("{}", "it is an empty object");
  bad("{\"context\":\"a\",\"log\":\"b\"}", "it has more than one member");
  bad("{\"log\":\"a\"} x", "something follows the JSON object");
  bad("{\"log\":\"a\"}{\"log\":\"b\"}", "something follows the JSON object");
  bad("{\"contex\":\"a\"}", "it has a member that is none of progress, context, result, fail, again and log");
  bad("{\"log\":\"a\"", "it is not JSON");
  bad("{\"log\":", "log must be a text");
  bad("{\"log\"", "it is not JSON");
  bad("{log:1}", "it is not JSON");
  bad("{\"result\":[1,]}", "it is not JSON");
  bad("{\"result\":{\"a\":1,}}", "it is not JSON");
  bad("{\"result\":[1}", "it is not JSON");
  bad("{\"result\":{\"a\"}}", "it is not JSON");
  bad("{\"result\":tru}", "it is not JSON");
  bad("{\"result\":[", "it is not JSON");
  assert_string_equal(read_n("{\"log\":\"a\0b\"}", 13), "it is not JSON");
  assert_string_equal(read_n("\0", 1), "it is not a JSON object");
  assert_string_equal(read_n("{\"log\":\"a\"}\0", 12), "something follows the JSON object");
}

/* One deeper than the limit, and a million brackets. */
static void test_deep(void **st) {
  (void)st;
  for (int extra = 0; extra < 2; extra++) {
    struct buf b = BUF_INIT;
    int n = LIMIT_REPORT_DEPTH + extra;
    buf_str(&b, "{\"result\":");
    for (int i = 0; i < n; i++) buf_str(&b, i % 2 ? "{\"a\":" : "[");
    buf_str(&b, "1");
    for (int i = n; i-- > 0;) buf_ch(&b, i % 2 ? '}' : ']');
    buf_ch(&b, '}');
    const char *why = read_n(b.data, b.len);
    if (extra) assert_string_equal(why, "it is nested too deeply");
    else assert_null(why);
    buf_done(&b);
  }
  struct buf b = BUF_INIT;
  buf_str(&b, "{\"result\":");
  for (int i = 0; i < 1000000; i++) buf_ch(&b, '[');
  assert_string_equal(read_n(b.data, b.len), "it is nested too deeply");
  buf_done(&b);
}

static void test_sizes(void **st) {
  (void)st;
  for (size_t n = LIMIT_CONTEXT_BYTES; n <= LIMIT_CONTEXT_BYTES + 1; n++) {
    struct buf b = BUF_INIT;
    buf_str(&b, "{\"context\":\"");
    for (size_t i = 0; i < n; i++) buf_ch(&b, 'x');
    buf_str(&b, "\"}");
    const char *why = read_n(b.data, b.len);
    if (n > LIMIT_CONTEXT_BYTES) assert_string_equal(why, "the context is larger than 1 MiB; the last one stays");
    else assert_null(why);
    assert_int_equal(got.text.n, n);
    buf_done(&b);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_progress), cmocka_unit_test(test_counts), cmocka_unit_test(test_texts), cmocka_unit_test(test_others),
    cmocka_unit_test(test_no_report), cmocka_unit_test(test_deep), cmocka_unit_test(test_sizes)};
  int rc = cmocka_run_group_tests_name("report_line", tests, NULL, NULL);
  free(line);
  return rc;
}
