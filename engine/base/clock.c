/* Clocks, random numbers and times as text.
 * Any thread; clock_zone() once before threads. Owns the process's TZ and, per thread, the last zone offset.
 * Never uses strftime or the locale: the formats run for every row that is written. */
#include "clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "err.h"
#include "mem.h"

enum { SEC_US = 1000000, DAY_S = 86400, HOUR_S = 3600 };

/* The times whose year has four digits. */
#define SEC_MIN (-62167219200LL) /* 0000-01-01 00:00:00 */
#define SEC_MAX (CLOCK_LAST_US / SEC_US)

static int64_t read_clock(clockid_t id) {
  struct timespec ts;
  wr_assert(clock_gettime(id, &ts) == 0);
  return (int64_t)ts.tv_sec * SEC_US + ts.tv_nsec / 1000;
}

int64_t clock_wall_us(void) { return read_clock(CLOCK_REALTIME); }
int64_t clock_mono_us(void) { return read_clock(CLOCK_MONOTONIC); }
int64_t clock_boot_us(void) { return read_clock(CLOCK_BOOTTIME); }

uint64_t rand_next(uint64_t *state) {
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

void rand_secret(void *p, size_t n) {
  char *at = p;
  while (n > 0) {
    ssize_t got = getrandom(at, n, 0);
    if (got < 0 && errno == EINTR) continue;
    wr_assert(got > 0);
    at += got;
    n -= (size_t)got;
  }
}

/* ---- the calendar ---- */

struct civil { int year, month, day, hour, min, sec; };

/* Years start in March here, so that the leap day is the last; day 0 is -0400-03-01, so that no number is negative. */
enum { CYCLE_DAYS = 146097, EPOCH_DAY = 865565 };

static void civil_of(struct civil *c, int64_t sec) {
  uint64_t abs = (uint64_t)(sec + (int64_t)EPOCH_DAY * DAY_S);
  unsigned day = (unsigned)(abs / DAY_S), in_day = (unsigned)(abs % DAY_S);
  unsigned cycle = day / CYCLE_DAYS, d = day % CYCLE_DAYS;
  unsigned cent = (4 * d + 3) / CYCLE_DAYS;
  d -= CYCLE_DAYS * cent / 4;
  unsigned year = (4 * d + 3) / 1461;
  d -= 1461 * year / 4;
  unsigned month = (5 * d + 2) / 153; /* March = 0; five months have 153 days */
  c->day = (int)(d - (153 * month + 2) / 5 + 1);
  c->month = (int)(month < 10 ? month + 3 : month - 9);
  c->year = (int)(cycle * 400 + cent * 100 + year) - 400 + (month >= 10);
  c->hour = (int)(in_day / HOUR_S);
  c->min = (int)(in_day / 60 % 60);
  c->sec = (int)(in_day % 60);
}

static int64_t civil_sec(const struct civil *c) {
  int y = c->year + 400 - (c->month <= 2);
  int month = c->month > 2 ? c->month - 3 : c->month + 9;
  int64_t day = 365LL * y + y / 4 - y / 100 + y / 400 + (153 * month + 2) / 5 + c->day - 1 - EPOCH_DAY;
  return day * DAY_S + c->hour * HOUR_S + c->min * 60 + c->sec;
}

static bool civil_ok(const struct civil *c) {
  static const char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  if (c->month < 1 || c->month > 12 || c->day < 1 || c->hour > 23 || c->min > 59 || c->sec > 59) return false;
  bool leap = c->month == 2 && c->year % 4 == 0 && (c->year % 100 != 0 || c->year % 400 == 0);
  return c->day <= days[c->month - 1] + leap;
}

/* ---- the zone ---- */

static unsigned g_zone_gen; /* changes with the zone: makes the threads' caches stale */
static char *g_first_tz;    /* TZ as the process got it; NULL = it had none */
static bool g_first_known;

static int offset_ask(int64_t sec) {
  time_t t = (time_t)sec;
  struct tm tm;
  return localtime_r(&t, &tm) ? (int)tm.tm_gmtoff : 0;
}

/* Local minus UTC in seconds. Kept for an hour of time when it is the same at both ends of the hour: some
 * zones change at odd minutes, but none changes twice within an hour. */
static int offset_at(int64_t sec) {
  static _Thread_local struct { int64_t from, to; int off; unsigned gen; } kept;
  if (sec >= kept.from && sec < kept.to && kept.gen == g_zone_gen) return kept.off;
  int64_t from = sec - ((sec % HOUR_S) + HOUR_S) % HOUR_S;
  int a = offset_ask(from), b = offset_ask(from + HOUR_S - 1);
  if (a != b) return offset_ask(sec);
  kept.from = from;
  kept.to = from + HOUR_S;
  kept.off = a;
  kept.gen = g_zone_gen;
  return a;
}

/* True for a plain name below the zone directory that leads to a zone file, not to one of the tables that lie there too. */
static bool zone_exists(const char *name) {
  static const char ok[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-/";
  const char *dir = getenv("TZDIR");
  char path[512], magic[4];
  if (name[0] == '/' || name[strspn(name, ok)] != '\0') return false;
  int n = snprintf(path, sizeof path, "%s/%s", dir && dir[0] ? dir : "/usr/share/zoneinfo", name);
  if (n < 0 || (size_t)n >= sizeof path) return false;
  FILE *f = fopen(path, "re");
  if (!f) return false;
  bool is_zone = fread(magic, 1, sizeof magic, f) == sizeof magic && memcmp(magic, "TZif", 4) == 0;
  fclose(f);
  return is_zone;
}

bool clock_zone(const char *iana) {
  bool system_zone = !iana || !iana[0];
  if (!g_first_known) {
    g_first_tz = wr_strdup(getenv("TZ"));
    g_first_known = true;
  }
  if (!system_zone && !zone_exists(iana)) return false;
  const char *tz = system_zone ? g_first_tz : iana;
  wr_assert((tz ? setenv("TZ", tz, 1) : unsetenv("TZ")) == 0);
  tzset();
  g_zone_gen++;
  return true;
}

/* The instant of a local time. A time that comes twice (autumn) means the first one. A time that is skipped (spring) is read
 * as if the clock had not yet been put forward. mktime() is not used, since it guesses from what it was asked before. */
static int64_t local_to_utc(int64_t local) {
  int before = offset_at(local - DAY_S), after = offset_at(local + DAY_S);
  int64_t a = local - before, b = local - after;
  if (offset_at(a) == before) return a;
  return offset_at(b) == after ? b : a;
}

/* ---- to text ---- */

/* Clamps to the years that have four digits, so that the widths always hold. *us gets the fraction of the second. */
static int64_t split(int64_t wall_us, unsigned *us) {
  int64_t sec = wall_us / SEC_US, rest = wall_us % SEC_US;
  if (rest < 0) rest += SEC_US, sec--;
  *us = (unsigned)rest;
  if (sec < SEC_MIN) return *us = 0, SEC_MIN;
  if (sec > SEC_MAX) return *us = SEC_US - 1, SEC_MAX;
  return sec;
}

static void two(char *o, unsigned v) {
  o[0] = (char)('0' + v / 10);
  o[1] = (char)('0' + v % 10);
}

/* "YYYY-MM-DD?HH:MM:SS", 19 bytes without an end. */
static void put_civil(char *o, int64_t sec, char between) {
  struct civil c;
  civil_of(&c, sec);
  two(o, (unsigned)c.year / 100);
  two(o + 2, (unsigned)c.year % 100);
  o[4] = o[7] = '-';
  two(o + 5, (unsigned)c.month);
  two(o + 8, (unsigned)c.day);
  o[10] = between;
  two(o + 11, (unsigned)c.hour);
  o[13] = o[16] = ':';
  two(o + 14, (unsigned)c.min);
  two(o + 17, (unsigned)c.sec);
}

static void put_micros(char *o, unsigned us) {
  o[0] = '.';
  two(o + 1, us / 10000);
  two(o + 3, us / 100 % 100);
  two(o + 5, us % 100);
}

void clock_s2(char out[CLOCK_S2_LEN], int64_t wall_us) {
  unsigned us;
  int64_t sec = split(wall_us, &us);
  sec += offset_at(sec);
  put_civil(out, sec < SEC_MIN ? SEC_MIN : sec > SEC_MAX ? SEC_MAX : sec, ' ');
  out[19] = '\0';
}

void clock_rfc3339(char out[CLOCK_RFC_LEN], int64_t wall_us) {
  unsigned us;
  put_civil(out, split(wall_us, &us), 'T');
  put_micros(out + 19, us);
  out[26] = 'Z';
  out[27] = '\0';
}

void clock_sql(char out[CLOCK_SQL_LEN], int64_t wall_us) {
  unsigned us;
  put_civil(out, split(wall_us, &us), ' ');
  put_micros(out + 19, us);
  out[26] = '\0';
}

/* ---- from text ---- */

static bool digits(const char *s, size_t n, int *out) {
  int v = 0;
  for (size_t i = 0; i < n; i++) {
    if (s[i] < '0' || s[i] > '9') return false;
    v = v * 10 + (s[i] - '0');
  }
  *out = v;
  return true;
}

/* Date and time of the first 19 bytes; s[10] is the caller's. */
static bool get_civil(const char *s, size_t n, int64_t *sec) {
  struct civil c;
  if (n < 19 || s[4] != '-' || s[7] != '-' || s[13] != ':' || s[16] != ':') return false;
  if (!digits(s, 4, &c.year) || !digits(s + 5, 2, &c.month) || !digits(s + 8, 2, &c.day)) return false;
  if (!digits(s + 11, 2, &c.hour) || !digits(s + 14, 2, &c.min) || !digits(s + 17, 2, &c.sec)) return false;
  if (!civil_ok(&c)) return false;
  *sec = civil_sec(&c);
  return true;
}

/* Reads "", or "." and as many digits as there are; what is finer than a microsecond is cut off. Returns the bytes used,
 * n + 1 when the text is wrong. */
static size_t get_micros(const char *s, size_t n, int *us) {
  static const int scale[] = {0, 100000, 10000, 1000, 100, 10, 1};
  *us = 0;
  if (n == 0 || s[0] != '.') return 0;
  size_t k = 0;
  while (1 + k < n && s[1 + k] >= '0' && s[1 + k] <= '9') k++;
  size_t used = k < 6 ? k : 6;
  if (k < 1 || !digits(s + 1, used, us)) return n + 1;
  *us *= scale[used];
  return 1 + k;
}

/* "Z" or "+HH:MM", to the end of the text. */
static bool get_offset(const char *s, size_t n, int *off) {
  int h, m;
  *off = 0;
  if (n == 1) return s[0] == 'Z' || s[0] == 'z';
  if (n != 6 || (s[0] != '+' && s[0] != '-') || s[3] != ':') return false;
  if (!digits(s + 1, 2, &h) || !digits(s + 4, 2, &m) || h > 23 || m > 59) return false;
  *off = (h * 60 + m) * (s[0] == '-' ? -60 : 60);
  return true;
}

bool clock_parse_sql(const char *s, size_t n, int64_t *wall_us) {
  int64_t sec;
  int us;
  if (!get_civil(s, n, &sec) || s[10] != ' ' || get_micros(s + 19, n - 19, &us) != n - 19) return false;
  *wall_us = sec * SEC_US + us;
  return true;
}

bool clock_parse(const char *s, size_t n, int64_t *wall_us) {
  int64_t sec;
  int us = 0, off;
  if (!get_civil(s, n, &sec)) return false;
  if (s[10] == ' ') {
    if (n != 19) return false;
    sec = local_to_utc(sec);
  } else {
    size_t used = s[10] == 'T' || s[10] == 't' ? get_micros(s + 19, n - 19, &us) : n;
    if (used > n - 19 || !get_offset(s + 19 + used, n - 19 - used, &off)) return false;
    sec -= off;
  }
  if (sec < SEC_MIN || sec > SEC_MAX) return false; /* its year in UTC has not four digits */
  *wall_us = sec * SEC_US + us;
  return true;
}
