/* Unit tests of base/clock, against the C library's calendar. One thread; deterministic but for the clocks. */
#include "unit.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"

#define US 1000000LL
#define SEC_MIN (-62167219200LL)
#define SEC_MAX 253402300799LL

static int64_t parse(const char *s) {
  int64_t us = -1;
  if (!clock_parse(s, strlen(s), &us)) fail_msg("\"%s\" refused", s);
  return us;
}

static void s2_is(const char *rfc, const char *want) {
  char got[CLOCK_S2_LEN];
  clock_s2(got, parse(rfc));
  assert_string_equal(got, want);
}

static void test_clocks(void **st) {
  (void)st;
  int64_t a = clock_mono_us(), b = clock_boot_us();
  assert_true(clock_wall_us() > 1700000000 * US);
  assert_true(clock_mono_us() >= a);
  assert_true(clock_boot_us() >= b);
}

static void test_rand(void **st) {
  (void)st;
  uint64_t x = 1234567, y = 1234567;
  assert_true(rand_next(&x) == 6457827717110365317u); /* the published first value of splitmix64 for this seed */
  rand_next(&y);
  assert_true(x == y);
  unsigned char p[64] = {0}, zero[64] = {0};
  rand_secret(p, sizeof p);
  assert_memory_not_equal(p, zero, sizeof p);
  rand_secret(p, 0);
}

/* Random instants of all four-digit years, in UTC, there and back. */
static void test_utc_random(void **st) {
  (void)st;
  uint64_t seed = 11;
  for (int i = 0; i < 200000; i++) {
    int64_t span = i % 2 ? SEC_MAX - SEC_MIN + 1 : 4102444800;
    int64_t sec = (i % 2 ? SEC_MIN : 0) + (int64_t)(rand_next(&seed) % (uint64_t)span);
    int64_t us = sec * US + (int64_t)(rand_next(&seed) % 1000000), back = -1;
    time_t t = (time_t)sec;
    struct tm tm;
    char want[64], sql[CLOCK_SQL_LEN], rfc[CLOCK_RFC_LEN];
    assert_non_null(gmtime_r(&t, &tm));
    snprintf(want, sizeof want, "%04d-%02d-%02d %02d:%02d:%02d.%06d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
             tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(us - sec * US));
    clock_sql(sql, us);
    clock_rfc3339(rfc, us);
    if (strcmp(sql, want) != 0) fail_msg("%s, not %s", sql, want);
    assert_true(clock_parse_sql(sql, strlen(sql), &back));
    assert_true(back == us);
    assert_true(parse(rfc) == us);
  }
}

static void test_limits(void **st) {
  (void)st;
  char s[CLOCK_RFC_LEN], q[CLOCK_SQL_LEN], z[CLOCK_S2_LEN];
  clock_rfc3339(s, INT64_MAX);
  assert_string_equal(s, "9999-12-31T23:59:59.999999Z");
  clock_sql(q, INT64_MIN);
  assert_string_equal(q, "0000-01-01 00:00:00.000000");
  clock_rfc3339(s, -1);
  assert_string_equal(s, "1969-12-31T23:59:59.999999Z");
  assert_true(clock_zone("Asia/Tokyo"));
  clock_s2(z, INT64_MAX);
  assert_string_equal(z, "9999-12-31 23:59:59");
  assert_true(clock_zone("America/New_York"));
  clock_s2(z, INT64_MIN);
  assert_string_equal(z, "0000-01-01 00:00:00");
}

static void test_parse(void **st) {
  (void)st;
  assert_true(clock_zone("Europe/Berlin"));
  int64_t noon = 1795192200 * US; /* 2026-11-20T16:30:00Z */
  assert_true(parse("2026-11-20T16:30:00Z") == noon);
  assert_true(parse("2026-11-20t16:30:00.5z") == noon + 500000);
  assert_true(parse("2026-11-20T16:30:00.123456Z") == noon + 123456);
  assert_true(parse("2026-11-20T16:30:00.123456999Z") == noon + 123456);
  assert_true(parse("2026-11-20T18:00:00.000001+01:30") == noon + 1);
  assert_true(parse("2026-11-20T11:30:00-05:00") == noon);
  assert_true(parse("2026-11-20 17:30:00") == noon);
  assert_true(parse("2024-02-29T00:00:00Z") == 1709164800 * US);
  static const char *const bad[] = {
      "", "2026-11-20", "2026-11-20T16:30:00", "2026-11-20 16:30:00Z", "2026-11-20 16:30:00.5", "2026-11-20T16:30:00.Z",
      "2026-11-20T16:30:00.1234567", "2026-11-20T16:30:60Z", "2026-11-20T24:00:00Z", "2026-02-29T00:00:00Z",
      "1900-02-29T00:00:00Z", "2026-04-31T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
      "2026-01-00T00:00:00Z", "2026-11-20T16:30:00+1:00", "2026-11-20T16:30:00+24:00", "2026-11-20T16:30:00+0100",
      "2026-11-20T16:30:00Z ", " 2026-11-20T16:30:00Z", "2026/11/20 16:30:00", "2026-11-20x16:30:00Z",
      "2026-11-20T16:30:00.5", "0000-01-01T00:00:00+01:00", "9999-12-31T23:59:59-00:01", "+026-11-20T16:30:00Z"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    int64_t us = 5;
    if (clock_parse(bad[i], strlen(bad[i]), &us)) fail_msg("\"%s\" accepted", bad[i]);
    assert_true(us == 5);
  }
  int64_t us;
  assert_true(clock_parse_sql("2026-11-20 16:30:00", 19, &us) && us == noon);
  assert_true(clock_parse_sql("2026-11-20 16:30:00.25", 22, &us) && us == noon + 250000);
  assert_false(clock_parse_sql("0000-00-00 00:00:00", 19, &us));
  assert_false(clock_parse_sql("2026-11-20T16:30:00", 19, &us));
  assert_false(clock_parse_sql("2026-11-20 16:30:00.", 20, &us));
  assert_false(clock_parse_sql("2026-11-20 16:30:00Z", 20, &us));
}

static void test_dst(void **st) {
  (void)st;
  assert_true(clock_zone("Europe/Berlin"));
  s2_is("2026-03-29T00:59:59.999999Z", "2026-03-29 01:59:59");
  s2_is("2026-03-29T01:00:00Z", "2026-03-29 03:00:00");
  s2_is("2026-10-25T00:59:59Z", "2026-10-25 02:59:59");
  s2_is("2026-10-25T01:00:00Z", "2026-10-25 02:00:00");
  assert_true(parse("2026-10-25 02:30:00") == parse("2026-10-25T00:30:00Z")); /* said twice: the first */
  assert_true(parse("2026-03-29 02:30:00") == parse("2026-03-29T01:30:00Z")); /* skipped: an hour on */
  assert_true(clock_zone("America/New_York"));
  s2_is("2026-03-08T06:59:59Z", "2026-03-08 01:59:59");
  s2_is("2026-03-08T07:00:00Z", "2026-03-08 03:00:00");
  assert_true(parse("2026-11-01 01:30:00") == parse("2026-11-01T05:30:00Z"));
  assert_true(clock_zone("Australia/Lord_Howe")); /* half an hour, on the half hour */
  s2_is("2026-10-03T15:29:59Z", "2026-10-04 01:59:59");
  s2_is("2026-10-03T15:30:00Z", "2026-10-04 02:30:00");
  assert_true(clock_zone("Pacific/Apia")); /* a day was left out */
  s2_is("2011-12-30T09:59:59Z", "2011-12-29 23:59:59");
  s2_is("2011-12-30T10:00:00Z", "2011-12-31 00:00:00");
  assert_true(parse("2011-12-31 00:30:00") == parse("2011-12-30T10:30:00Z"));
}

static const char *const zones[] = {"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",
                                    "Pacific/Apia", "Africa/Monrovia", "America/St_Johns", "Africa/Casablanca"};

static void check_zone(const char *zone, int64_t sec) {
  time_t t = (time_t)sec;
  struct tm tm;
  char want[64], got[CLOCK_S2_LEN], again[CLOCK_S2_LEN];
  localtime_r(&t, &tm);
  strftime(want, sizeof want, "%Y-%m-%d %H:%M:%S", &tm);
  clock_s2(got, sec * US + 999999);
  if (strcmp(got, want) != 0) fail_msg("%s: %s, not %s", zone, got, want);
  /* What was shown reads back as an instant that shows the same, the first of them. */
  int64_t back = parse(got);
  clock_s2(again, back);
  assert_string_equal(again, got);
  assert_true(back <= sec * US);
}

static long offset_of(int64_t sec) {
  time_t t = (time_t)sec;
  struct tm tm;
  localtime_r(&t, &tm);
  return tm.tm_gmtoff;
}

/* The offset changes somewhere in (lo, hi]: finds the second, looks at those around it. */
static void check_change(const char *zone, int64_t lo, int64_t hi) {
  while (hi - lo > 1) {
    int64_t mid = lo + (hi - lo) / 2;
    if (offset_of(mid) == offset_of(hi)) hi = mid;
    else lo = mid;
  }
  for (int64_t s = hi - 7200; s < hi + 7200; s += 599) check_zone(zone, s);
  for (int64_t s = hi - 3; s < hi + 3; s++) check_zone(zone, s);
  for (int64_t s = hi + 2; s > hi - 3; s--) check_zone(zone, s); /* the kept hour the other way round */
}

static void test_zones_random(void **st) {
  (void)st;
  uint64_t seed = 21;
  for (size_t z = 0; z < sizeof zones / sizeof *zones; z++) {
    assert_true(clock_zone(zones[z]));
    for (int i = 0; i < 5000; i++) check_zone(zones[z], (int64_t)(rand_next(&seed) % 2500000000u));
    for (int64_t sec = 6 * 3600; sec < 2500000000; sec += 6 * 3600)
      if (offset_of(sec) != offset_of(sec - 6 * 3600)) check_change(zones[z], sec - 6 * 3600, sec);
  }
}

static void test_zone_names(void **st) {
  (void)st;
  static const char *const bad[] = {"Nowhere/Town", "../etc/passwd", "/usr/share/zoneinfo/UTC", "zone.tab", "Europe",
                                    "CET-1CEST", ":UTC", "Europe/Berlin ", "leapseconds"};
  assert_true(clock_zone("Europe/Berlin"));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (clock_zone(bad[i])) fail_msg("\"%s\" accepted", bad[i]);
  s2_is("2026-07-01T00:00:00Z", "2026-07-01 02:00:00"); /* a refusal changes nothing */
  assert_true(clock_zone(""));
  assert_true(clock_zone(NULL));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_clocks), cmocka_unit_test(test_rand), cmocka_unit_test(test_utc_random),
      cmocka_unit_test(test_limits), cmocka_unit_test(test_parse), cmocka_unit_test(test_dst),
      cmocka_unit_test(test_zones_random), cmocka_unit_test(test_zone_names)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
