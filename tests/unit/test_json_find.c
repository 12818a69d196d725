/* A pointer that is followed in a text, beside the same in a tree. */
#include "unit.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "json_find.h"
#include "mem.h"
#include "pointer.h"
#include "wr_limits.h"

static const char *const name[] = {[JSON_THERE] = "THERE", [JSON_ABSENT] = "ABSENT", [JSON_BROKEN] = "BROKEN", [JSON_TOO_DEEP] = "TOO_DEEP"};

static void test_table(void **st) {
  (void)st;
  static const struct { const char *text, *pointer; enum json_found rc; const char *out; } v[] = {
    {"1", "", JSON_THERE, "1"}, {" {} ", "", JSON_THERE, "{}"}, {"[]", "/0", JSON_ABSENT, NULL}, {"[ 1 , 2 ]", "/1", JSON_THERE, "2"}, {"[[],[[7]]]", "/1/0/0", JSON_THERE, "7"},
    {"{\"a\":1,\"b\":{\"a\":[2]}}", "/b/a", JSON_THERE, "[2]"}, {"{\"a\":1}", "/a/b", JSON_ABSENT, NULL}, {"{\"a\":{}}", "/a/b", JSON_ABSENT, NULL}, {"[1]", "/01", JSON_ABSENT, NULL},
    {"[1]", "/-", JSON_ABSENT, NULL}, {"[1]", "/+0", JSON_ABSENT, NULL}, {"[1]", "/", JSON_ABSENT, NULL}, {"{\"\":3}", "/", JSON_THERE, "3"}, {"{\"\":{\"\":4}}", "//", JSON_THERE, "4"},
    {"{\"a\":1,\"a\":2}", "/a", JSON_THERE, "2"}, {"{\"a\":{\"b\":1},\"a\":{}}", "/a/b", JSON_ABSENT, NULL}, {"{\"a\":{\"b\":1},\"a\":{\"b\":[]}}", "/a/b", JSON_THERE, "[]"},
    {"{\"\\u00e4\\ud83d\\ude00\":5}", "/\xc3\xa4\xf0\x9f\x98\x80", JSON_THERE, "5"}, {"{\"a/b~\\n\":6}", "/a~1b~0\n", JSON_THERE, "6"}, {"{\"\\u002f\":6}", "/~1", JSON_THERE, "6"},
    {"{\"ab\":1,\"a\":2,\"abc\":3}", "/a", JSON_THERE, "2"}, {"{\"a\\u0000\":1}", "/a", JSON_ABSENT, NULL}, {"\"\\u0000\"", "", JSON_THERE, "\"\\u0000\""},
    {"[-0,0.5e-3,1E+9,-12.0]", "/2", JSON_THERE, "1E+9"}, {"[99999999999999999999999999]", "/0", JSON_THERE, "99999999999999999999999999"}, {"[true,false,null]", "/2", JSON_THERE, "null"},
    {"{\"a\":1}x", "/a", JSON_BROKEN, NULL}, {"{\"a\":1", "/a", JSON_BROKEN, NULL}, {"[1,]", "/0", JSON_BROKEN, NULL}, {"[1}", "/0", JSON_BROKEN, NULL}, {"{\"a\"}", "", JSON_BROKEN, NULL},
    {"{a:1}", "", JSON_BROKEN, NULL}, {"{1:1}", "", JSON_BROKEN, NULL}, {"[1 2]", "", JSON_BROKEN, NULL}, {"", "", JSON_BROKEN, NULL}, {" ", "", JSON_BROKEN, NULL}, {"1 2", "", JSON_BROKEN, NULL},
    {"01", "", JSON_BROKEN, NULL}, {"-", "", JSON_BROKEN, NULL}, {"1.", "", JSON_BROKEN, NULL}, {".5", "", JSON_BROKEN, NULL}, {"1e", "", JSON_BROKEN, NULL}, {"+1", "", JSON_BROKEN, NULL},
    {"tru", "", JSON_BROKEN, NULL}, {"truex", "", JSON_BROKEN, NULL}, {"NaN", "", JSON_BROKEN, NULL}, {"\"", "", JSON_BROKEN, NULL}, {"\"\\\"", "", JSON_BROKEN, NULL}, {"\"\\x\"", "", JSON_BROKEN, NULL},
    {"\"\\u12\"", "", JSON_BROKEN, NULL}, {"\"\\ud800\"", "", JSON_BROKEN, NULL}, {"\"\\ud800\\u0041\"", "", JSON_BROKEN, NULL}, {"\"\\udc00\"", "", JSON_BROKEN, NULL}, {"\"\n\"", "", JSON_BROKEN, NULL},
    {"\"\xff\"", "", JSON_BROKEN, NULL}, {"\"\xed\xa0\x80\"", "", JSON_BROKEN, NULL}, {"]", "", JSON_BROKEN, NULL}, {"[", "", JSON_BROKEN, NULL}, {",", "", JSON_BROKEN, NULL}, {"{,}", "", JSON_BROKEN, NULL}};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    size_t from, len;
    enum json_found rc = json_find(v[i].text, strlen(v[i].text), v[i].pointer, &from, &len);
    if (rc != v[i].rc) fail_msg("%s at \"%s\": %s", v[i].text, v[i].pointer, name[rc]);
    if (rc != JSON_THERE) continue;
    char *out = wr_memdup0(v[i].text + from, len);
    assert_string_equal(out, v[i].out);
    free(out);
  }
}

static void test_nul(void **st) {
  (void)st;
  size_t from, len;
  assert_int_equal(json_find("[1]\0", 4, "/0", &from, &len), JSON_BROKEN);
  assert_int_equal(json_find("\"a\0\"", 4, "", &from, &len), JSON_BROKEN);
}

static void test_deep(void **st) {
  (void)st;
  size_t n = LIMIT_PICK_DEPTH + 1, from, len;
  char *text = wr_calloc(1, 2 * n + 1);
  memset(text, '[', n);
  memset(text + n, ']', n);
  assert_int_equal(json_find(text, 2 * n, "/0", &from, &len), JSON_TOO_DEEP);
  assert_int_equal(json_find(text + 1, 2 * n - 2, "/0", &from, &len), JSON_THERE);
  assert_int_equal(len, 2 * n - 4);
  free(text);
}

static void test_squeeze(void **st) {
  (void)st;
  static const char text[] = " { \"a \\\" b\\\\\" : [ 1 ,\n\t2 ] , \"\" : \" \" } ";
  char out[sizeof text];
  size_t n = json_squeeze(text, sizeof text - 1, out);
  out[n] = '\0';
  assert_string_equal(out, "{\"a \\\" b\\\\\":[1,2],\"\":\" \"}");
}

/* ---- beside a tree ---- */

static uint32_t seed;
static uint32_t any(uint32_t n) { return (seed = seed * 1664525u + 1013904223u) / 65536u % n; }

/* Texts that are JSON nearly always, of few names, so that pointers lead somewhere. */
static void put(struct buf *b, int depth) {
  static const char *const plain[] = {"1", "-0.5e1", "true", "null", "\"x\"", "\"\\u00e4\\n\"", "\"\xc3\xa4\"", " 7 ", "\"\\ud83d\\ude00\"", "[]", "{}"};
  static const char *const key[] = {"\"a\"", "\"b\"", "\"\\u0061\"", "\"\"", "\"a/b\"", "\"~\""};
  static const char *const odd[] = {",", "]", "}", "\"", "\\", "01", "{", ":"};
  uint32_t kind = depth > 4 ? 0 : any(3);
  if (any(60) == 0) buf_str(b, odd[any(8)]);
  if (kind == 0) {
    buf_str(b, plain[any(11)]);
    return;
  }
  buf_ch(b, kind == 1 ? '[' : '{');
  for (uint32_t i = 0, n = any(4); i < n; i++) {
    if (i > 0) buf_ch(b, ',');
    if (kind == 2) buf_str(b, key[any(6)]), buf_ch(b, ':');
    put(b, depth + 1);
  }
  buf_ch(b, kind == 1 ? ']' : '}');
}

static void test_like_a_tree(void **st) {
  (void)st;
  static const char *const part[] = {"/a", "/b", "/0", "/1", "/", "/a~1b", "/~0", "/2"};
  size_t there = 0, broken = 0;
  seed = 1;
  for (int round = 0; round < 100000; round++) {
    struct buf text = BUF_INIT, pointer = BUF_INIT;
    put(&text, 0);
    buf_str(&pointer, "");
    for (uint32_t i = 0, n = any(4); i < n; i++) buf_str(&pointer, part[any(8)]);
    size_t from, len;
    const char *p = pointer.data ? pointer.data : "";
    json_t *tree = json_loadb(text.data, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    const json_t *want = tree ? pointer_follow(tree, p) : NULL;
    enum json_found rc = json_find(text.data, text.len, p, &from, &len), expected = !tree ? JSON_BROKEN : want ? JSON_THERE : JSON_ABSENT;
    if (rc != expected) fail_msg("%s at \"%s\": %s", text.data, p, name[rc]);
    there += rc == JSON_THERE;
    broken += rc == JSON_BROKEN;
    if (want) {
      json_t *got = json_loadb(text.data + from, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
      if (!got || !json_same(got, want)) fail_msg("%s at \"%s\"", text.data, p);
      json_decref(got);
    }
    json_decref(tree);
    buf_done(&text);
    buf_done(&pointer);
  }
  assert_true(there > 10000 && broken > 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_table), cmocka_unit_test(test_nul), cmocka_unit_test(test_deep), cmocka_unit_test(test_squeeze),
                                     cmocka_unit_test(test_like_a_tree)};
  return cmocka_run_group_tests_name("json_find", tests, NULL, NULL);
}
