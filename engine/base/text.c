/* Strict parsing and checks of text.
 * Pure, any thread, no allocation; never looks at the locale, never reads past n. */
#include "text.h"

#include <string.h>

#include "utf8.h"

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool text_i64(const char *s, size_t n, int64_t *out) {
  bool neg = n > 0 && s[0] == '-';
  size_t i = neg ? 1 : 0;
  int64_t v = 0; /* counts downwards from 0, so that the minimum fits */
  if (i == n) return false;
  for (; i < n; i++) {
    if (!is_digit(s[i])) return false;
    if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, s[i] - '0', &v)) return false;
  }
  if (!neg && __builtin_sub_overflow(0, v, &v)) return false;
  *out = v;
  return true;
}

bool text_id(const char *s, size_t n, int64_t *out) {
  int64_t v;
  if (n == 0 || s[0] < '1' || s[0] > '9' || !text_i64(s, n, &v) || v > WR_ID_MAX) return false;
  *out = v;
  return true;
}

/* A decimal as written: the digits of s[0..len) with a dot perhaps, and where the point belongs. */
struct decimal {
  const char *s;
  size_t len;    /* mantissa with its dot */
  size_t digits; /* without it */
  int64_t point; /* digits before the point, exponent counted; may be negative or beyond digits */
};

/* Digits, "." digits, exponent. Returns how much of s it took, 0 when it is not a number. */
static size_t decimal_read(struct decimal *d, const char *s, size_t n) {
  size_t i = 0;
  while (i < n && is_digit(s[i])) i++;
  if (i == 0) return 0;
  *d = (struct decimal){s, i, i, (int64_t)i};
  if (i < n && s[i] == '.') {
    size_t from = ++i;
    while (i < n && is_digit(s[i])) i++;
    if (i == from) return 0;
    d->len = i;
    d->digits = i - 1;
  }
  if (i == n || (s[i] != 'e' && s[i] != 'E')) return i;
  i++;
  bool neg = i < n && s[i] == '-';
  if (i < n && (s[i] == '-' || s[i] == '+')) i++;
  size_t from = i;
  int64_t e = 0;
  for (; i < n && is_digit(s[i]); i++)
    if (e < INT64_MAX / 100) e = e * 10 + (s[i] - '0'); /* any larger exponent means the same */
  if (i == from) return 0;
  d->point += neg ? -e : e;
  return i;
}

/* Microseconds of one unit = mul * 10^zeros. */
static bool unit_read(const char *s, size_t n, int *mul, int *zeros) {
  static const struct { char name[3]; int mul, zeros; } unit[] = {
      {"", 1, 6}, {"s", 1, 6}, {"ms", 1, 3}, {"m", 6, 7}, {"h", 36, 8}, {"d", 864, 8}};
  for (size_t i = 0; i < sizeof unit / sizeof *unit; i++) {
    if (strlen(unit[i].name) != n || memcmp(unit[i].name, s, n) != 0) continue;
    *mul = unit[i].mul;
    *zeros = unit[i].zeros;
    return true;
  }
  return false;
}

/* The digits before the point as an integer; false when above max. */
static bool decimal_whole(const struct decimal *d, int64_t max, int64_t *out) {
  int64_t v = 0, seen = 0;
  for (size_t i = 0; i < d->len && seen < d->point; i++) {
    if (d->s[i] == '.') continue;
    seen++;
    if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, d->s[i] - '0', &v) || v > max) return false;
  }
  for (; v && seen < d->point; seen++)
    if (__builtin_mul_overflow(v, 10, &v) || v > max) return false;
  *out = v;
  return true;
}

/* The digits behind the point times mul, rounded half up. Multiplied by hand from the last digit on: all that
 * matters is the carry and the tenth, so any length is exact. */
static int decimal_rest(const struct decimal *d, int mul) {
  int carry = 0, tenth = 0;
  int64_t at = (int64_t)d->digits;
  for (size_t i = d->len; i-- > 0 && at > d->point;) {
    if (d->s[i] == '.') continue;
    at--;
    int v = (d->s[i] - '0') * mul + carry;
    tenth = v % 10;
    carry = v / 10;
  }
  /* Zeros between the point and the digits; the carry is below 1000 and gone after four. */
  for (int i = 0; i < 4 && at > d->point; i++, at--) {
    tenth = carry % 10;
    carry /= 10;
  }
  return carry + (tenth >= 5);
}

bool text_duration(const char *s, size_t n, int64_t max_us, int64_t *out_us) {
  struct decimal d;
  int mul, zeros;
  int64_t us;
  size_t used = decimal_read(&d, s, n);
  if (used == 0 || !unit_read(s + used, n - used, &mul, &zeros)) return false;
  d.point += zeros;
  if (!decimal_whole(&d, max_us, &us)) return false;
  if (__builtin_mul_overflow(us, mul, &us) || __builtin_add_overflow(us, decimal_rest(&d, mul), &us)) return false;
  if (us > max_us) return false;
  *out_us = us;
  return true;
}

bool text_size(const char *s, size_t n, int64_t max, int64_t *out) {
  static const struct { char name[4]; int shift; } unit[] = {{"", 0}, {"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
  size_t digits = 0;
  int64_t v;
  while (digits < n && s[digits] >= '0' && s[digits] <= '9') digits++;
  if (!text_i64(s, digits, &v)) return false; /* no digit: false */
  for (size_t i = 0; i < sizeof unit / sizeof *unit; i++) {
    if (strlen(unit[i].name) != n - digits || memcmp(unit[i].name, s + digits, n - digits) != 0) continue;
    if (v > max >> unit[i].shift) return false;
    *out = v << unit[i].shift;
    return true;
  }
  return false;
}

bool text_utf8(const char *s, size_t n) {
  size_t i = 0;
  while (i < n) {
    uint64_t eight;
    if (n - i >= 8 && (memcpy(&eight, s + i, 8), (eight & 0x8080808080808080u) == 0)) {
      i += 8; /* most text is ASCII */
      continue;
    }
    uint32_t cp;
    size_t len = utf8_next(s + i, n - i, &cp);
    if (len == 0) return false;
    i += len;
  }
  return true;
}

size_t text_utf8_len(const char *s, size_t n) {
  size_t count = 0;
  for (size_t i = 0; i < n; i++) count += ((unsigned char)s[i] & 0xC0) != 0x80;
  return count;
}

size_t text_control_at(const char *s, size_t n, size_t *len, uint32_t *cp) {
  for (size_t i = 0; i < n; i += *len) {
    *len = utf8_next(s + i, n - i, cp);
    if (*len > 0 && !utf8_is_control(*cp)) continue;
    if (*len == 0) *cp = 0xFFFD, *len = 1; /* a terminal could take a stray byte for C1 */
    return i;
  }
  return n;
}

bool text_has_control(const char *s, size_t n) {
  size_t len;
  uint32_t cp;
  return text_control_at(s, n, &len, &cp) < n;
}

size_t text_plain(char *s, size_t n, char by) {
  size_t to = 0, len;
  uint32_t cp;
  for (size_t at = 0; at < n;) {
    size_t good = text_control_at(s + at, n - at, &len, &cp);
    memmove(s + to, s + at, good);
    to += good;
    at += good;
    if (at == n) break;
    s[to++] = by;
    at += len;
  }
  return to;
}

bool text_node_key(const char *s, size_t n) {
  if (n < 1 || n > 128) return false;
  for (size_t i = 0; i < n; i++)
    if (!is_alpha(s[i]) && !is_digit(s[i]) && s[i] != '_' && s[i] != '.' && s[i] != ':' && s[i] != '-') return false;
  return true;
}

bool text_env_name(const char *s, size_t n) {
  if (n < 1 || n > 128 || is_digit(s[0])) return false;
  for (size_t i = 0; i < n; i++)
    if (!is_alpha(s[i]) && !is_digit(s[i]) && s[i] != '_') return false;
  return true;
}

uint32_t text_fnv(uint32_t h, const char *s, size_t n) {
  for (size_t i = 0; i < n; i++) h = (h ^ (unsigned char)s[i]) * 16777619u;
  return h;
}

int64_t text_pair_hash(uint64_t salt, const char *a, const char *b) {
  uint64_t h = salt ^ 0xcbf29ce484222325u;
  for (const char *p = a; *p; p++) h = (h ^ (uint8_t)*p) * 0x100000001b3u;
  h = (h ^ 0x100u) * 0x100000001b3u;
  for (const char *p = b; *p; p++) h = (h ^ (uint8_t)*p) * 0x100000001b3u;
  h ^= h >> 29;
  return h == 0 ? 1 : (int64_t)h;
}

bool text_visible(const char *s, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (s[i] <= ' ' || s[i] > '~') return false;
  return true;
}

int text_hex(char c) {
  if (is_digit(c)) return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int text_percent(const char *s, size_t n) {
  int hi = n > 2 && s[0] == '%' ? text_hex(s[1]) : -1, lo = hi < 0 ? -1 : text_hex(s[2]);
  return lo < 0 ? -1 : hi * 16 + lo;
}

bool text_unpercent(char *out, const char *s, size_t n) {
  for (size_t i = 0; i < n; i++) {
    int c = (unsigned char)s[i];
    if (c == '%') {
      c = text_percent(s + i, n - i);
      if (c < 0) return false;
      i += 2;
    }
    if (c == 0) return false;
    *out++ = (char)c;
  }
  *out = '\0';
  return true;
}

size_t text_cut(char *out, const char *s, size_t max) {
  static const char mark[] = "...";
  size_t n = strnlen(s, max + 1), n_mark = 0;
  if (n > max) {
    n_mark = sizeof mark - 1;
    n = max - n_mark;
    while (n > 0 && ((unsigned char)s[n] & 0xC0) == 0x80) n--;
  }
  memcpy(out, s, n);
  memcpy(out + n, mark, n_mark);
  out[n + n_mark] = '\0';
  return n + n_mark;
}

enum { FAR = 4, BAND = 7 }; /* cells at most 3 off the diagonal */

static int min2(int a, int b) { return a < b ? a : b; }

int text_distance(const char *a, const char *b) {
  size_t la = strnlen(a, INT32_MAX / 2), lb = strnlen(b, INT32_MAX / 2);
  int n = (int)la, m = (int)lb;
  if (n - m >= FAR || m - n >= FAR) return FAR;
  int prev[BAND + 1], cur[BAND + 1];
  for (int k = 0; k <= BAND; k++) prev[k] = k >= 3 && k < BAND ? k - 3 : FAR;
  for (int i = 1; i <= n; i++) {
    int best = FAR;
    for (int k = 0; k < BAND; k++) {
      int j = i + k - 3; /* cell k of row i is column j; the cell above it is k + 1 */
      int v = FAR;
      if (j == 0) v = i;
      if (j > 0 && j <= m) {
        v = min2(prev[k] + (a[i - 1] != b[j - 1]), prev[k + 1] + 1);
        if (k > 0) v = min2(v, cur[k - 1] + 1);
      }
      cur[k] = min2(v, FAR);
      best = min2(best, cur[k]);
    }
    if (best == FAR) return FAR;
    cur[BAND] = FAR;
    memcpy(prev, cur, sizeof prev);
  }
  return prev[m - n + 3];
}

const char *text_stop(const char *s) {
  size_t n = strlen(s);
  return n > 0 && strchr(".!?", s[n - 1]) ? "" : ".";
}

const char *text_pointer(char *out, size_t size, const char *up, const char *name) {
  const char *s = name;
  size_t n = (size_t)snprintf(out, size, "%s/", up);
  for (; *s && n + 3 <= size; s++) {
    bool escape = *s == '~' || *s == '/';
    if (escape) out[n++] = '~';
    out[n++] = escape ? (*s == '~' ? '0' : '1') : *s;
    out[n] = '\0';
  }
  if (n >= size || ((unsigned char)*s & 0xC0) != 0x80) return out;
  while (((unsigned char)out[--n] & 0xC0) == 0x80) {} /* back to where the cut character begins */
  out[n] = '\0';
  return out;
}
