/* Unit tests of base/json_write. One thread; deterministic. */
#include "unit.h"

#include "json_write.h"

static void test_string(void **st) {
  (void)st;
  struct buf b = BUF_INIT;
  buf_json(&b, "a\"\\\b\f\n\r\t\x01\x1f\x7f/\xC3\xA9\0z", 16);
  assert_string_equal(b.data, "\"a\\\"\\\\\\b\\f\\n\\r\\t\\u0001\\u001f\x7f/\xC3\xA9\\u0000z\"");
  buf_clear(&b);
  buf_json(&b, NULL, 0);
  assert_string_equal(b.data, "\"\"");
  buf_done(&b);
}

static void test_fields(void **st) {
  (void)st;
  struct buf b = BUF_INIT;
  j_open(&b, '{');
  j_text(&b, "a", "x\"y");
  j_text(&b, "none", NULL);
  j_i64(&b, "b", -7);
  j_raw(&b, "raw", "{\"k\":[]}");
  j_raw(&b, "none", NULL);
  j_key(&b, "list");
  j_open(&b, '[');
  j_string(&b, "one");
  j_string(&b, "[");
  j_open(&b, '{');
  j_close(&b, '}');
  j_open(&b, '{');
  j_bool(&b, "yes", true);
  j_close(&b, '}');
  j_close(&b, ']');
  j_members(&b, "{\"m\":1,\"n\":2}");
  j_members(&b, "{}");
  j_members(&b, NULL);
  j_time(&b, "t", "at", 0);
  j_time(&b, "t", "at", 1500000000123456);
  j_close(&b, '}');
  const char *at = strstr(b.data, ",\"at\":");
  assert_non_null(at);
  assert_string_equal(at, ",\"at\":\"2017-07-14T02:40:00.123456Z\"}");
  static const char start[] = "{\"a\":\"x\\\"y\",\"b\":-7,\"raw\":{\"k\":[]},\"list\":[\"one\",\"[\",{},{\"yes\":true}],\"m\":1,\"n\":2,\"t\":\"";
  assert_memory_equal(b.data, start, sizeof start - 1);
  buf_done(&b);
}

/* Bytes that are no text come as base64, under a name that says so. */
static void test_bytes(void **st) {
  (void)st;
  static const struct { const char *s; size_t n; const char *want; } v[] = {
      {"", 0, "{\"k\":\"\"}"}, {"h\xC3\xA9", 3, "{\"k\":\"h\xC3\xA9\"}"}, {"\xFF", 1, "{\"kBase64\":\"/w==\"}"},
      {"\xFF\x01", 2, "{\"kBase64\":\"/wE=\"}"}, {"\xFF\x01\x02", 3, "{\"kBase64\":\"/wEC\"}"}, {NULL, 0, "{}"}};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    struct buf b = BUF_INIT;
    j_open(&b, '{');
    j_bytes(&b, "k", v[i].s, v[i].n);
    j_close(&b, '}');
    assert_string_equal(b.data, v[i].want);
    buf_done(&b);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_string), cmocka_unit_test(test_fields), cmocka_unit_test(test_bytes)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
