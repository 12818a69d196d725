/* Small parsers: times, durations, ids, UTF-8, quotes and log lines, each against what it must mean. The first byte
 * chooses one. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "clock.h"
#include "fuzz.h"
#include "wr_limits.h"
#include "log.h"
#include "json_write.h"
#include "mem.h"
#include "text.h"

/* What is understood is in the range of four-digit years, and means the same once written out. */
static void times(const char *s, size_t n) {
  char rfc[CLOCK_RFC_LEN], sql[CLOCK_SQL_LEN], s2[CLOCK_S2_LEN];
  int64_t us, back;
  if (clock_parse(s, n, &us)) {
    clock_rfc3339(rfc, us);
    wr_assert(strlen(rfc) == CLOCK_RFC_LEN - 1 && clock_parse(rfc, CLOCK_RFC_LEN - 1, &back) && back == us);
    clock_sql(sql, us);
    wr_assert(strlen(sql) == CLOCK_SQL_LEN - 1 && clock_parse_sql(sql, CLOCK_SQL_LEN - 1, &back) && back == us);
    clock_s2(s2, us);
    wr_assert(strlen(s2) == CLOCK_S2_LEN - 1);
  }
  if (clock_parse_sql(s, n, &us)) {
    clock_sql(sql, us);
    wr_assert(clock_parse_sql(sql, CLOCK_SQL_LEN - 1, &back) && back == us && n <= CLOCK_SQL_LEN - 1);
    wr_assert(memcmp(s, sql, 19) == 0);
  }
  memcpy(&us, s, n < sizeof us ? n : 0);
  if (n < sizeof us) return;
  memcpy(&us, s, sizeof us);
  clock_rfc3339(rfc, us);
  wr_assert(strlen(rfc) == CLOCK_RFC_LEN - 1 && clock_parse(rfc, CLOCK_RFC_LEN - 1, &back));
  clock_s2(s2, us);
  wr_assert(strlen(s2) == CLOCK_S2_LEN - 1);
}

/* Against strtold where that is exact enough: 64 bits of mantissa, results below 2^40. */
static void durations(const char *s, size_t n) {
  int64_t us = -1, again = -1;
  bool ok = text_duration(s, n, LIMIT_TIME_US, &us);
  wr_assert(ok == (us != -1));
  if (!ok) return;
  wr_assert(us >= 0 && us <= LIMIT_TIME_US && s[0] >= '0' && s[0] <= '9');
  wr_assert(text_duration(s, n, us, &again) && again == us);
  wr_assert(us == 0 || !text_duration(s, n, us - 1, &again));
  char *z = wr_memdup0(s, n), *end;
  long double want = strtold(z, &end);
  want *= !strcmp(end, "ms") ? 1e3L : !strcmp(end, "m") ? 6e7L : !strcmp(end, "h") ? 36e8L : !strcmp(end, "d") ? 864e8L : 1e6L;
  wr_assert(want - (long double)us <= 0.5001L && (long double)us - want <= 0.5001L);
  free(z);
}

static void numbers(const char *s, size_t n) {
  int64_t v, id;
  struct buf b = BUF_INIT;
  bool ok = text_i64(s, n, &v), is_id = text_id(s, n, &id);
  if (ok) {
    char *z = wr_memdup0(s, n);
    wr_assert(strtoll(z, NULL, 10) == v);
    free(z);
    buf_i64(&b, v);
    wr_assert(b.len <= n);
  }
  wr_assert(!is_id || (ok && id == v && id >= 1 && id <= WR_ID_MAX && b.len == n && memcmp(b.data, s, n) == 0));
  buf_done(&b);
  if (text_node_key(s, n)) wr_assert(n >= 1 && n <= 128 && text_utf8(s, n) && !text_has_control(s, n));
  if (text_env_name(s, n)) wr_assert(text_node_key(s, n) && !memchr(s, ':', n) && !memchr(s, '.', n) && !memchr(s, '-', n));
}

/* A quote is clean whatever was quoted; a JSON string reads back. */
static void quotes(const char *s, size_t n) {
  char q[WR_QUOTE_MAX];
  wr_err_quote(q, s, n);
  size_t len = strlen(q);
  wr_assert(len < sizeof q && text_utf8(q, len) && !text_has_control(q, len) && q[0] == '"');
  if (!text_utf8(s, n)) return;
  struct buf b = BUF_INIT;
  buf_json(&b, s, n);
  json_t *v = json_loadb(b.data, b.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
  wr_assert(v && json_string_length(v) == n && (n == 0 || memcmp(json_string_value(v), s, n) == 0));
  json_decref(v);
  buf_done(&b);
}

/* Distance: symmetric, 0 only for the same, at least the difference of the lengths. */
static void distances(const char *s, size_t n) {
  size_t half = n / 2;
  char *a = wr_memdup0(s, half), *b = wr_memdup0(s + half, n - half);
  int d = text_distance(a, b);
  size_t la = strlen(a), lb = strlen(b), more = la > lb ? la - lb : lb - la;
  wr_assert(d >= 0 && d <= 4 && d == text_distance(b, a) && (d == 0) == (strcmp(a, b) == 0));
  wr_assert((size_t)d >= (more < 4 ? more : 4));
  free(a);
  free(b);
}

/* One line, printable, of bounded length, whatever the fields hold. */
static void log_lines(const char *s, size_t n) {
  char line[8192], *text = wr_memdup0(s, n);
  int file = memfd_create("line", MFD_CLOEXEC), err = dup(STDERR_FILENO);
  wr_assert(file >= 0 && err >= 0);
  enum log_format format = n & 1 ? LOG_JSON : LOG_LOGFMT;
  log_setup(LOG_INFO, format);
  wr_assert(dup2(file, STDERR_FILENO) >= 0);
  log_info("fuzz", L_STR("a", text), L_INT("n", n), L_STR("b", text), L_STR("c", text), L_STR("d", text), L_STR("e", text));
  wr_assert(dup2(err, STDERR_FILENO) >= 0);
  close(err);
  ssize_t got = pread(file, line, sizeof line, 0);
  close(file);
  free(text);
  wr_assert(got > 1 && got <= 4096 && line[got - 1] == '\n');
  wr_assert(text_utf8(line, (size_t)got - 1) && !text_has_control(line, (size_t)got - 1));
  if (format == LOG_LOGFMT) return;
  json_t *v = json_loadb(line, (size_t)got, JSON_REJECT_DUPLICATES, NULL);
  wr_assert(json_is_object(v));
  json_decref(v);
}

int fuzz_text(const uint8_t *data, size_t n) {
  static void (*const part[])(const char *, size_t) = {times, durations, numbers, quotes, distances, log_lines};
  if (n == 0) return 0;
  /* A letter, so that kept inputs can be written by hand: t d n q x l. */
  const char *which = strchr("tdnqxl", data[0]), *all = "tdnqxl";
  size_t k = which && *which ? (size_t)(strchr(all, data[0]) - all) : data[0] % 6;
  part[k]((const char *)data + 1, n - 1);
  return 0;
}
