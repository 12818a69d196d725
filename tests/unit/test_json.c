/* Unit tests of model/json: every refusal of a text (40001 to 40008, 41302) with its code and place. One thread; deterministic. */
#include "model_env.h"
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model.h"

static enum wr_rc load(const char *s, size_t n, size_t max, struct wr_err *err) {
  json_t *v = NULL;
  wr_err_clear(err);
  enum wr_rc rc = json_load_strict(s, n, max, &v, err);
  assert_true((rc == WR_OK) == (v != NULL));
  if (rc) assert_true(err->code == rc && err->msg[0]);
  json_decref(v);
  return rc;
}

struct row { const char *text; enum wr_rc code; const char *words; };

static void check_rows(const struct row *row, size_t n) {
  for (size_t i = 0; i < n; i++) {
    struct wr_err err;
    enum wr_rc rc = load(row[i].text, strlen(row[i].text), 1000, &err);
    expect_err(row[i].text, rc, &err, row[i].code, NULL, row[i].words);
  }
}
#define ROWS(r) check_rows(r, sizeof(r) / sizeof *(r))

static void test_good(void **st) {
  (void)st;
  static const struct row rows[] = {{"{}", WR_OK, NULL}, {" \r\n\t{\"a\" : [1, -0, 2.5e3, true, null]} \n", WR_OK, NULL},
      {"{\"a\":9223372036854775807,\"b\":-9223372036854775808}", WR_OK, NULL}, {"{\"\":\"\"}", WR_OK, NULL},
      {"{\"a\":\"\\uD83D\\uDE00\\\\u0000\"}", WR_OK, NULL}, {"{\"a\":\"\xF0\x9F\x98\x80 ' OR 1=1 -- % _ ;\"}", WR_OK, NULL},
      {"{\"a\":1e-400}", WR_OK, NULL}, {"{\"a\":{\"a\":{\"a\":1}}}", WR_OK, NULL}};
  ROWS(rows);
}

static void test_c1_missing(void **st) {
  (void)st;
  static const struct row rows[] = {{"", WR_BODY_MISSING, "required"}, {" \n\t ", WR_BODY_MISSING, "required"}};
  ROWS(rows);
}

static void test_c2_broken(void **st) {
  (void)st;
  static const struct row rows[] = {
      {"{\n  \"a\": 1,\n  \"bcde\": x\n}", WR_BAD_JSON, "Line 3, column 11: unexpected token."},
      {"{\n \"a\": 1,\n     /* no */\n}", WR_BAD_JSON, "Line 3, column 6: unexpected token."},
      {"{\"a\":1,}", WR_BAD_JSON, "Line 1, column 8: unexpected token."},
      {"[1,]", WR_BAD_JSON, "Line 1, column 4: unexpected token."},
      {"\xEF\xBB\xBF{}", WR_BAD_JSON, "Line 1, column 1: unexpected token."},
      {"{} {}", WR_BAD_JSON, "Line 1, column 4: unexpected token."},
      {"{}\nx", WR_BAD_JSON, "Line 2, column 1: unexpected token."},
      {"{\"\xC3\xA9\xE2\x82\xAC\": x}", WR_BAD_JSON, "Line 1, column 8: unexpected token."},
      {"{\"a\" 1}", WR_BAD_JSON, "Line 1, column 6: unexpected token."},
      {"{a:1}", WR_BAD_JSON, "Line 1, column 2: unexpected token."},
      {"{'a':1}", WR_BAD_JSON, "Line 1, column 2: unexpected token."},
      {"{\"a\":01}", WR_BAD_JSON, "Line 1, column 6: unexpected token."},
      {"{\"a\":.5}", WR_BAD_JSON, "column 6"}, {"{\"a\":+1}", WR_BAD_JSON, "column 6"}, {"{\"a\":True}", WR_BAD_JSON, "column 6"},
      {"{\"a\":\"x\ny\"}", WR_BAD_JSON, "Line 1, column 6: unexpected token."},
      {"{\"a\":\"\\q\"}", WR_BAD_JSON, "Line 1, column 6: unexpected token."},
      {"{\"a\":\"\\u12\"}", WR_BAD_JSON, "unexpected token."},
      {"{\"a\":", WR_BAD_JSON, "Line 1, column 6: unexpected end"}, {"{\"a\":[1,\n", WR_BAD_JSON, "Line 2, column 1: unexpected end"},
      {"{\"a\":\"x", WR_BAD_JSON, "unexpected end"}, {"{\"a\"", WR_BAD_JSON, "unexpected end"}, {"{", WR_BAD_JSON, "unexpected end"},
      {"]", WR_BAD_JSON, "Line 1, column 1"}, {"abc", WR_BAD_JSON, "Line 1, column 1"}, {"1 2", WR_BAD_JSON, "Line 1, column 3"}};
  ROWS(rows);
}

static void test_c3_not_object(void **st) {
  (void)st;
  static const struct row rows[] = {{"[]", WR_NOT_OBJECT, "object"}, {"1", WR_NOT_OBJECT, NULL}, {"\"{}\"", WR_NOT_OBJECT, NULL},
                                    {"null", WR_NOT_OBJECT, NULL}, {" true ", WR_NOT_OBJECT, NULL}, {"[{}]", WR_NOT_OBJECT, NULL}};
  ROWS(rows);
}

static void test_c4_twice(void **st) {
  (void)st;
  static const struct row rows[] = {
      {"{\"flowName\":\"a\",\n\"flowName\":\"b\"}", WR_DUPLICATE_KEY, "Key \"flowName\" appears twice (line 2, column 1)."},
      {"{\"a\":[{\"b\":1,\"b\":1}]}", WR_DUPLICATE_KEY, "Key \"b\" appears twice"},
      {"{\"ab\":1,\"\\u0061b\":1}", WR_DUPLICATE_KEY, "Key \"ab\" appears twice"},
      {"{\"\":1,\"\":1}", WR_DUPLICATE_KEY, "Key \"\" appears twice"},
      {"{\"\\n\":1,\"\\n\":1}", WR_DUPLICATE_KEY, "Key \"\\n\" appears twice"},
      {"{\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":1,"
       "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":1}",
       WR_DUPLICATE_KEY, "aaaa\"... appears twice"}};
  ROWS(rows);
}

static void test_c5_depth(void **st) {
  (void)st;
  struct buf b = BUF_INIT;
  struct wr_err err;
  for (int depth = 30; depth <= 36; depth++) {
    buf_clear(&b);
    buf_str(&b, "{\"a\":");
    for (int i = 1; i < depth; i++) buf_ch(&b, '[');
    for (int i = 1; i < depth; i++) buf_ch(&b, ']');
    buf_ch(&b, '}');
    assert_int_equal(load(b.data, b.len, 1000, &err), depth <= LIMIT_JSON_DEPTH ? WR_OK : WR_TOO_DEEP);
  }
  assert_non_null(strstr(err.msg, "Nesting is deeper than 32 (line 1, column 37)."));
  buf_clear(&b);
  for (int i = 0; i < 100000; i++) buf_str(&b, "{\"a\":"); /* and no end: jansson must not see it */
  assert_int_equal(load(b.data, b.len, 1000, &err), WR_TOO_DEEP);
  buf_clear(&b);
  buf_str(&b, "{\"a\":[");
  for (int i = 0; i < 100; i++) buf_str(&b, i ? ",[]" : "[]"); /* wide is not deep */
  buf_str(&b, "],\"b\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}");
  assert_int_equal(load(b.data, b.len, 1000, &err), WR_OK);
  buf_done(&b);
}

static void test_c6_values(void **st) {
  (void)st;
  static const struct { const char *text; size_t n; } row[] = {
      {"{}", 1}, {"{\"a\":1}", 2}, {"{\"a\":[1,\"x\",{}]}", 5}, {"{\"a\":\"b\",\"c\":\"d:e\"}", 3}, {"{\"a\" : \"b\"}", 2},
      {"{\"a\":[[],[],{\"b\":null}]}", 6}};
  struct wr_err err;
  for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
    assert_int_equal(load(row[i].text, strlen(row[i].text), row[i].n, &err), WR_OK);
    assert_int_equal(load(row[i].text, strlen(row[i].text), row[i].n - 1, &err), WR_TOO_MANY_VALUES);
    assert_int_equal(err.limit, row[i].n - 1);
    assert_int_equal(err.got, row[i].n);
  }
  /* Colons that name nothing must not make room. */
  static const char cheat[] = "[0,0,0,0,0,0,0,0,0,0,::::::::]";
  assert_int_equal(load(cheat, strlen(cheat), 5, &err), WR_TOO_MANY_VALUES);
}

static void test_c7_utf8(void **st) {
  (void)st;
  static const struct row rows[] = {
      {"{\"a\":\"\xFF\"}", WR_BAD_UTF8, "Text is not valid UTF-8 (line 1, column 7)."},
      {"{\"a\":\n \"\xC3\xA9\xC3\"}", WR_BAD_UTF8, "(line 2, column 4)"}, {"{\"a\":\"\xED\xA0\x80\"}", WR_BAD_UTF8, NULL},
      {"{\"a\":\"\xC0\x80\"}", WR_BAD_UTF8, NULL}, {"{\"a\":\"\xF4\x90\x80\x80\"}", WR_BAD_UTF8, NULL}, {"\xFF{}", WR_BAD_UTF8, NULL},
      {"{\"a\":\"\\uD83D\"}", WR_BAD_UTF8, "column 7"}, {"{\"a\":\"\\uDE00\"}", WR_BAD_UTF8, NULL},
      {"{\"a\":\"\\uD83D\\u0041\"}", WR_BAD_UTF8, NULL}, {"{\"a\":\"\\uD83Dx\"}", WR_BAD_UTF8, NULL},
      {"{\"\\ud83d\":1}", WR_BAD_UTF8, NULL}, {"{\"a\":\"\\uD83D\\uD83D\\uDE00\"}", WR_BAD_UTF8, NULL}};
  ROWS(rows);
}

static void test_c8_nul(void **st) {
  (void)st;
  static const struct row rows[] = {{"{\"a\":\"x\\u0000y\"}", WR_NUL_IN_TEXT, "NUL is not allowed in text (line 1, column 8)."},
                                    {"{\"\\u0000\":1}", WR_NUL_IN_TEXT, NULL}};
  static const char raw[] = "{\"a\":\"x\0y\"}", outside[] = "{\"a\":\0 1}";
  struct wr_err err;
  ROWS(rows);
  assert_int_equal(load(raw, sizeof raw - 1, 10, &err), WR_NUL_IN_TEXT);
  assert_int_equal(load(outside, sizeof outside - 1, 10, &err), WR_BAD_JSON);
  assert_string_equal(err.msg, "Line 1, column 6: unexpected token.");
}

static void test_c9_range(void **st) {
  (void)st;
  static const struct row rows[] = {
      {"{\"a\":9223372036854775808}", WR_NUMBER_RANGE, "A number is out of range (line 1, column 6)."},
      {"{\"a\":-9223372036854775809}", WR_NUMBER_RANGE, NULL}, {"{\"a\":1e400}", WR_NUMBER_RANGE, NULL},
      {"{\"a\":-1e400}", WR_NUMBER_RANGE, NULL}, {"{\"a\":NaN}", WR_NUMBER_RANGE, NULL}, {"{\"a\":Infinity}", WR_NUMBER_RANGE, NULL},
      {"{\"a\":-Infinity}", WR_NUMBER_RANGE, NULL}, {"{\"a\":99999999999999999999999}", WR_NUMBER_RANGE, NULL}};
  ROWS(rows);
}

/* jansson alone decides about grammar; the scan may only add refusals it has a code for. */
static void test_mutations(void **st) {
  (void)st;
  static const char seed[] = "{\"a\":[1,-2.5e3,\"x\\u00e9\\n\",{\"b\":null,\"c\":true}],\"d\":\"\xE2\x82\xAC\",\"e\":{}}";
  static const char junk[] = "{}[]:,\"\\u0d8 \n1-.eEtfn\xC3\xA9\xFF";
  size_t good = 0, bad = 0;
  for (int i = 0; i < 60000; i++) {
    char t[sizeof seed];
    size_t n = sizeof seed - 1 - rnd(3) * rnd(20);
    struct wr_err err;
    memcpy(t, seed, sizeof seed);
    for (uint32_t k = rnd(3); k-- > 0;) t[rnd((uint32_t)n)] = junk[rnd(sizeof junk - 1)];
    json_t *v = json_loadb(t, n, JSON_REJECT_DUPLICATES, NULL);
    enum wr_rc rc = load(t, n, 100, &err);
    assert_true((rc == WR_OK) == (v && json_is_object(v)));
    json_decref(v);
    if (rc) bad++;
    else good++;
  }
  assert_true(good > 1000 && bad > 1000);
}

static void test_text_of_numbers(void **st) {
  (void)st;
  static const struct row rows[] = {{"{\"a\":0.1,\"b\":[2.5,1.0]}", 0, "{\"a\":0.1,\"b\":[2.5,1.0]}"},
      {"{\"a\":3.141592653589793}", 0, "{\"a\":3.141592653589793}"}, {"{\"a\":0.30000000000000004}", 0, "{\"a\":0.30000000000000004}"},
      {"{ \"b\" : 1 , \"a\" : \"1.5\" }", 0, "{\"b\":1,\"a\":\"1.5\"}"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    json_t *v = json_of(rows[i].text);
    char *t = json_text(v, 0);
    assert_string_equal(t, rows[i].words);
    free(t);
    json_decref(v);
  }
  assert_int_equal(json_text_depth("{\"a\":[{},\"[[[\"]}", 16), 3);
}

/* In a process of its own, whose address space ends before the tree is whole: not under sanitizers, which need all of it. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NO_MEMORY
#else
#define NO_MEMORY , cmocka_unit_test(test_no_memory)
static void test_no_memory(void **st) {
  (void)st;
  size_t cap = 4 * 90000;
  char *text = malloc(cap);
  size_t at = (size_t)snprintf(text, cap, "{\"a\":[0");
  for (int i = 0; i < 90000; i++) at += (size_t)snprintf(text + at, cap - at, ",[]");
  snprintf(text + at, cap - at, "]}");
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    json_t *v = NULL;
    struct wr_err err;
    json_watch_memory();
    struct rlimit l = {1, 1};
    setrlimit(RLIMIT_AS, &l);
    enum wr_rc rc = json_load_strict(text, strlen(text), 100000, &v, &err);
    _exit(rc == WR_BUSY && !v ? 0 : 1);
  }
  int status;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  free(text);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_good), cmocka_unit_test(test_c1_missing), cmocka_unit_test(test_c2_broken),
      cmocka_unit_test(test_c3_not_object), cmocka_unit_test(test_c4_twice), cmocka_unit_test(test_c5_depth),
      cmocka_unit_test(test_c6_values), cmocka_unit_test(test_c7_utf8), cmocka_unit_test(test_c8_nul),
      cmocka_unit_test(test_c9_range), cmocka_unit_test(test_mutations), cmocka_unit_test(test_text_of_numbers) NO_MEMORY};
  return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
