/* Unit tests of base/text. One thread; deterministic. */
#include "unit.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "text.h"

#define DAY_US (86400LL * 1000000)

static int64_t i64(const char *s, bool want) {
  int64_t v = -77;
  assert_int_equal(text_i64(s, strlen(s), &v), want);
  return v;
}

static void test_i64(void **st) {
  (void)st;
  assert_int_equal(i64("0", true), 0);
  assert_int_equal(i64("-12", true), -12);
  assert_true(i64("9223372036854775807", true) == INT64_MAX);
  assert_true(i64("-9223372036854775808", true) == INT64_MIN);
  static const char *const bad[] = {"", "-", "+1", " 1", "1 ", "1.0", "0x1", "9223372036854775808",
                                    "-9223372036854775809", "99999999999999999999", "--1", "1e3"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(i64(bad[i], false), -77);
  int64_t v;
  assert_true(text_i64("123", 2, &v)); /* never beyond n */
  assert_int_equal(v, 12);
  assert_false(text_i64("1\0", 2, &v));
}

static void test_id(void **st) {
  (void)st;
  int64_t v = 0;
  assert_true(text_id("1", 1, &v));
  assert_true(text_id("9007199254740991", 16, &v));
  assert_true(v == WR_ID_MAX);
  static const char *const bad[] = {"", "0", "01", "-1", "9007199254740992", "1a", "99999999999999999999"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(text_id(bad[i], strlen(bad[i]), &v));
}

static void dur(const char *s, int64_t want) {
  int64_t us = -1;
  bool ok = text_duration(s, strlen(s), 7 * DAY_US, &us);
  if (ok != (want >= 0) || us != want) fail_msg("\"%s\": %d %lld, not %lld", s, ok, (long long)us, (long long)want);
}

static void test_duration(void **st) {
  (void)st;
  dur("2", 2000000); dur("0", 0); dur("0.5", 500000); dur("500ms", 500000); dur("2s", 2000000);
  dur("5m", 300000000); dur("1h", 3600000000); dur("1d", DAY_US); dur("7d", 7 * DAY_US);
  dur("1e-3", 1000); dur("1E3", 1000000000); dur("1e+2", 100000000); dur("1.5e1s", 15000000); dur("0.1", 100000);
  dur("0.0000005", 1); dur("0.00000049999999999999999999999999999", 0); dur("1e-7", 0); dur("5e-7", 1);
  dur("0.0000014999", 1); dur("0.0000015", 2); dur("604800", 7 * DAY_US);
  dur("604800.0000004", 7 * DAY_US); dur("604800.0000005", -1); dur("604800.000001", -1);
  dur("0.00001157407407407407d", 1000000); dur("0.001ms", 1); dur("0.0004ms", 0); dur("0.0005ms", 1);
  dur("1e-999999999999999999999", 0); dur("0e999999999999999999999", 0); dur("1e99999999999999999999", -1);
  dur("0.000000000000000000000000000001e30", 1000000); dur("1000000000000000000000e-21", 1000000);
  dur("00000000000000000000000000000000000001", 1000000);
  static const char *const bad[] = {"", "-1", "-0", "+1", "s", "ms", ".5", "5.", "1e", "1e+", "1 s", " 1", "1 ", "nan",
                                    "inf", "0x10", "1,5", "1ss", "1M", "1S", "1us", "8d", "1e6", "1.2.3", "1d1h",
                                    "9223372036854775807d", "99999999999999999999999999"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) dur(bad[i], -1);
}

/* Against long arithmetic in 128 bits: value = whole.frac(9 digits) units. */
static void test_duration_random(void **st) {
  (void)st;
  static const struct { const char *name; int64_t us; } unit[] = {
      {"ms", 1000}, {"s", 1000000}, {"", 1000000}, {"m", 60000000}, {"h", 3600000000}, {"d", DAY_US}};
  uint64_t seed = 1;
  for (int i = 0; i < 20000; i++) {
    int64_t whole = (int64_t)(rand_next(&seed) % 5000), frac = (int64_t)(rand_next(&seed) % 1000000000);
    size_t u = rand_next(&seed) % 6;
    __int128 nano = ((__int128)whole * 1000000000 + frac) * unit[u].us;
    int64_t want = (int64_t)((nano + 500000000) / 1000000000), got = -1;
    char s[64];
    int shift = (int)(rand_next(&seed) % 3);
    int n = shift == 0   ? snprintf(s, sizeof s, "%lld.%09lld%s", (long long)whole, (long long)frac, unit[u].name)
            : shift == 1 ? snprintf(s, sizeof s, "%lld%09llde-9%s", (long long)whole, (long long)frac, unit[u].name)
                         : snprintf(s, sizeof s, "0.%04lld%09llde4%s", (long long)whole, (long long)frac, unit[u].name);
    assert_true(text_duration(s, (size_t)n, INT64_MAX, &got));
    if (got != want) fail_msg("%s: %lld, not %lld", s, (long long)got, (long long)want);
    assert_true(text_duration(s, (size_t)n, want, &got));
    if (want > 0) assert_false(text_duration(s, (size_t)n, want - 1, &got));
  }
}

static size_t encode(char *o, uint32_t c) {
  if (c < 0x80) return o[0] = (char)c, 1;
  size_t len = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (size_t i = len - 1; i > 0; i--, c >>= 6) o[i] = (char)(0x80 | (c & 0x3F));
  o[0] = (char)((0xF00u >> len & 0xF0u) | c);
  return len;
}

static void test_utf8(void **st) {
  (void)st;
  char s[16];
  for (uint32_t c = 0; c <= 0x10FFFF; c++) {
    size_t n = encode(s, c);
    bool surrogate = c >= 0xD800 && c <= 0xDFFF;
    if (text_utf8(s, n) == surrogate) fail_msg("U+%04X", c);
    if (n > 1 && text_utf8(s, n - 1)) fail_msg("cut U+%04X", c);
    if (!surrogate && text_utf8_len(s, n) != 1) fail_msg("length of U+%04X", c);
  }
  static const char *const bad[] = {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80",
                                    "\xF5\x80\x80\x80", "\xFF", "\xED\xA0\x80", "abcdefgh\xC3", "abcdefg\xC3(", "\xE2\x28\xA1"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(text_utf8(bad[i], strlen(bad[i])));
  assert_true(text_utf8("", 0));
  assert_true(text_utf8("abcdefgh\xC3\xA9xyz12345678\xF0\x9F\x98\x80", 25));
  assert_int_equal(text_utf8_len("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 10), 4);
}

static void test_control(void **st) {
  (void)st;
  static const char *const bad[] = {"a\n", "\t", "\x1b[0m", "x\x7f", "\xC2\x85", "\xE2\x80\xAE", "\xE2\x81\xA6", "\xD8\x9C"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_true(text_has_control(bad[i], strlen(bad[i])));
  assert_true(text_has_control("a\0b", 3));
  static const char good[] = "plain \xC3\xA9 \xE4\xB8\xAD \xF0\x9F\x98\x80 \xC2\xA0";
  assert_false(text_has_control(good, sizeof good - 1));
  assert_false(text_has_control("", 0));
}

static void test_plain(void **st) {
  (void)st;
  static const struct { const char *in, *out; } is[] = {
    {"", ""}, {"plain \xC3\xA9", "plain \xC3\xA9"}, {"a\033[31mb\r\n", "a?[31mb??"}, {"\xC2\x9B" "31m", "?31m"},
    {"x\xE2\x80\xAEy\xE2\x81\xA6", "x?y?"}, {"\x9B" "31m\xC3", "?31m?"}, {"\177\xC2\xA0", "?\xC2\xA0"}};
  for (size_t i = 0; i < sizeof is / sizeof *is; i++) {
    char s[32];
    snprintf(s, sizeof s, "%s", is[i].in);
    s[text_plain(s, strlen(s), '?')] = '\0';
    assert_string_equal(s, is[i].out);
    assert_int_equal(text_has_control(is[i].in, strlen(is[i].in)), strchr(is[i].out, '?') != NULL);
  }
  size_t len;
  uint32_t cp;
  assert_int_equal(text_control_at("ab\xC2\x9B", 4, &len, &cp), 2);
  assert_int_equal(len, 2);
  assert_int_equal(cp, 0x9B);
}

static void test_names(void **st) {
  (void)st;
  char s[130];
  memset(s, 'a', sizeof s);
  assert_true(text_node_key(s, 128));
  assert_false(text_node_key(s, 129));
  assert_false(text_node_key(s, 0));
  assert_true(text_node_key("A-z_0.9:", 8));
  assert_true(text_env_name(s, 128));
  assert_false(text_env_name(s, 129));
  assert_false(text_env_name(s, 0));
  for (int c = 0; c < 256; c++) {
    char ch = (char)c;
    bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    assert_int_equal(text_node_key(&ch, 1), alnum || (c && strchr("_.:-", c)));
    assert_int_equal(text_env_name(&ch, 1), (alnum && c > '9') || c == '_');
    char two[2] = {'A', ch};
    assert_int_equal(text_env_name(two, 2), alnum || c == '_');
  }
}

static int distance_slow(const char *a, const char *b) {
  int d[16][16];
  int n = (int)strlen(a), m = (int)strlen(b);
  for (int i = 0; i <= n; i++)
    for (int j = 0; j <= m; j++) {
      if (i == 0 || j == 0) { d[i][j] = i + j; continue; }
      int v = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      if (d[i - 1][j] + 1 < v) v = d[i - 1][j] + 1;
      if (d[i][j - 1] + 1 < v) v = d[i][j - 1] + 1;
      d[i][j] = v;
    }
  return d[n][m] > 4 ? 4 : d[n][m];
}

static void test_distance(void **st) {
  (void)st;
  uint64_t seed = 7;
  assert_int_equal(text_distance("timeout", "timeuot"), 2);
  for (int i = 0; i < 50000; i++) {
    char s[2][16];
    for (int k = 0; k < 2; k++) {
      size_t n = rand_next(&seed) % 11;
      for (size_t j = 0; j < n; j++) s[k][j] = (char)('a' + rand_next(&seed) % 3);
      s[k][n] = '\0';
    }
    if (text_distance(s[0], s[1]) != distance_slow(s[0], s[1])) fail_msg("%s %s", s[0], s[1]);
  }
}

static void test_sizes(void **state) {
  (void)state;
  int64_t v = -1;
  assert_true(text_size("65536", 5, INT64_MAX, &v));
  assert_int_equal(v, 65536);
  assert_true(text_size("64MiB", 5, INT64_MAX, &v));
  assert_int_equal(v, 64 << 20);
  assert_true(text_size("1GiB", 4, 1 << 30, &v));
  assert_false(text_size("2GiB", 4, 1 << 30, &v));
  assert_false(text_size("9223372036854775807KiB", 22, INT64_MAX, &v));
  assert_false(text_size("64MB", 4, INT64_MAX, &v));
  assert_false(text_size("MiB", 3, INT64_MAX, &v));
  assert_false(text_size("-1", 2, INT64_MAX, &v) && v < 0);
}

static void test_percent(void **state) {
  (void)state;
  for (int c = 0; c < 256; c++) {
    char one[4];
    snprintf(one, sizeof one, c & 1 ? "%%%02x" : "%%%02X", (unsigned)c);
    assert_int_equal(text_percent(one, 3), c);
    assert_int_equal(text_percent(one, 2), -1); /* never beyond n */
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *digit = c ? strchr(digits, c) : NULL;
    int place = digit ? (int)(digit - digits) : -1;
    assert_int_equal(text_hex((char)c), place < 16 ? place : place - 6);
  }
  char out[16];
  assert_true(text_unpercent(out, "a%20b%c3%A9%25", 14));
  assert_string_equal(out, "a b\xC3\xA9%");
  assert_true(text_unpercent(out, "", 0));
  assert_string_equal(out, "");
  static const char *const bad[] = {"%", "%4", "a%4", "%zz", "%4z", "%-1", "%00", "% 4", "%%20"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_false(text_unpercent(out, bad[i], strlen(bad[i])));
  assert_false(text_unpercent(out, "a\0b", 3));
  assert_false(text_unpercent(out, "%41", 2));
}

static const char *cut(char *out, const char *s, size_t max) {
  memset(out, '!', max + 2);
  size_t n = text_cut(out, s, max);
  assert_int_equal(n, strlen(out));
  assert_int_equal(out[max + 1], '!'); /* never beyond max + 1 */
  return out;
}

static void test_cut(void **state) {
  (void)state;
  char s[16];
  assert_string_equal(cut(s, "", 3), "");
  assert_string_equal(cut(s, "abc", 3), "abc");
  assert_string_equal(cut(s, "abcd", 3), "...");
  assert_string_equal(cut(s, "abcdefgh", 8), "abcdefgh");
  assert_string_equal(cut(s, "abcdefghi", 8), "abcde...");
  assert_string_equal(cut(s, "abcd\xC3\xA9xyz", 8), "abcd..."); /* never within a character */
  assert_string_equal(cut(s, "abc\xC3\xA9xyzw", 8), "abc\xC3\xA9...");
  assert_string_equal(cut(s, "\xF0\x9F\x98\x80\xF0\x9F\x98\x80", 6), "...");
}

static void test_stop(void **state) {
  (void)state;
  assert_string_equal(text_stop(""), ".");
  assert_string_equal(text_stop("a part"), ".");
  assert_string_equal(text_stop("A sentence."), "");
  assert_string_equal(text_stop("is it up?"), "");
  assert_string_equal(text_stop("cut..."), "");
}

static void test_pointer(void **state) {
  (void)state;
  char s[10];
  assert_string_equal(text_pointer(s, sizeof s, "", "name"), "/name");
  assert_string_equal(text_pointer(s, sizeof s, "/a", ""), "/a/");
  assert_string_equal(text_pointer(s, sizeof s, "/a", "b/c~"), "/a/b~1c~0");
  assert_string_equal(text_pointer(s, sizeof s, "/a", "bcdefghij"), "/a/bcdef");
  assert_string_equal(text_pointer(s, sizeof s, "/a", "bcd\xC3\xA9x"), "/a/bcd\xC3\xA9");
  assert_string_equal(text_pointer(s, sizeof s, "/a", "bcde\xC3\xA9x"), "/a/bcde"); /* never within a character */
  assert_string_equal(text_pointer(s, sizeof s, "/a/longer than that", "b"), "/a/longer");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_i64), cmocka_unit_test(test_id), cmocka_unit_test(test_duration),
      cmocka_unit_test(test_duration_random), cmocka_unit_test(test_utf8), cmocka_unit_test(test_control), cmocka_unit_test(test_plain),
      cmocka_unit_test(test_names), cmocka_unit_test(test_sizes), cmocka_unit_test(test_cut), cmocka_unit_test(test_stop),
      cmocka_unit_test(test_pointer),
      cmocka_unit_test(test_percent), cmocka_unit_test(test_distance)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
