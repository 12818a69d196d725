/* See report_line.h. A reader of JSON (RFC 8259) that goes over the text once and keeps nothing but one bit for each bracket that
 * is open. */
#include "report_line.h"

#include <stdlib.h>
#include <string.h>

#include "text.h"
#include "wr_limits.h"

/* The place in the line. why: the first fault; when it is set, at stands anywhere. */
struct scan { char *at, *end; const char *why; };

static bool fault(struct scan *s, const char *why) {
  if (!s->why) s->why = why;
  return false;
}

static bool broken(struct scan *s) { return fault(s, "it is not JSON"); }

static void blanks(struct scan *s) {
  while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\r' || *s->at == '\n')) s->at++;
}

/* The next character that is no blank; '\0' at the end, and for a NUL, which begins nothing. */
static char next(struct scan *s) {
  blanks(s);
  return s->at < s->end ? *s->at : '\0';
}

static bool take_char(struct scan *s, char c) {
  if (next(s) != c || s->at == s->end) return false;
  s->at++;
  return true;
}

/* ---- texts ---- */

static int hex4(const char *p, const char *end) {
  int v = 0;
  if (end - p < 4) return -1;
  for (int i = 0; i < 4; i++) {
    int h = text_hex(p[i]);
    if (h < 0) return -1;
    v = v << 4 | h;
  }
  return v;
}

static char *put_utf8(char *to, uint32_t c) {
  if (c < 0x80) {
    *to++ = (char)c;
    return to;
  }
  int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
  static const uint8_t first[] = {0, 0xC0, 0xE0, 0xF0};
  *to++ = (char)(first[more] | c >> (6 * more));
  while (more--) *to++ = (char)(0x80 | (c >> (6 * more) & 0x3F));
  return to;
}

/* at stands behind the 'u'. A pair of surrogates is one character; one of them alone is none. */
static bool unicode(struct scan *s, char **to) {
  int c = hex4(s->at, s->end);
  if (c < 0) return broken(s);
  s->at += 4;
  uint32_t cp = (uint32_t)c;
  if (c >= 0xD800 && c < 0xDC00) {
    int low = s->end - s->at >= 6 && s->at[0] == '\\' && s->at[1] == 'u' ? hex4(s->at + 2, s->end) : -1;
    if (low < 0xDC00 || low > 0xDFFF) return broken(s);
    s->at += 6;
    cp = 0x10000 + ((cp - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
  } else if (c >= 0xDC00 && c <= 0xDFFF) {
    return broken(s);
  }
  if (to) *to = put_utf8(*to, cp);
  return true;
}

/* at stands behind the backslash. */
static bool escape(struct scan *s, char **to) {
  static const char from[] = "\"\\/bfnrt", means[] = "\"\\/\b\f\n\r\t";
  if (s->at == s->end) return broken(s);
  char c = *s->at++;
  if (c == 'u') return unicode(s, to);
  const char *i = c ? strchr(from, c) : NULL;
  if (!i) return broken(s);
  if (to) *(*to)++ = means[i - from];
  return true;
}

/* The text at `at`, decoded in its place, which has room: no escape is shorter than what it means. out NULL: only passed by. */
static bool text(struct scan *s, struct report_text *out) {
  if (!take_char(s, '"')) return broken(s);
  char *from = s->at, *to = from, **put = out ? &to : NULL;
  for (;;) {
    if (s->at == s->end) return broken(s);
    char c = *s->at++;
    if (c == '"') break;
    if ((unsigned char)c < 0x20) return broken(s);
    if (c == '\\' && !escape(s, put)) return false;
    if (c != '\\' && put) *to++ = c;
  }
  if (out) *out = (struct report_text){from, (size_t)(to - from)};
  return true;
}

static bool text_without_nul(struct scan *s, struct report_text *out) {
  if (!text(s, out)) return false;
  return !memchr(out->s, '\0', out->n) || fault(s, "a text contains NUL");
}

/* ---- values that are passed by ---- */

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool digits(struct scan *s) {
  char *from = s->at;
  while (s->at < s->end && is_digit(*s->at)) s->at++;
  return s->at > from || broken(s);
}

static bool is_at(const struct scan *s, char c) { return s->at < s->end && *s->at == c; }

static bool number(struct scan *s, struct report_text *out) {
  char *from = s->at;
  if (is_at(s, '-')) s->at++;
  if (is_at(s, '0')) s->at++;
  else if (!digits(s)) return false;
  if (is_at(s, '.') && (s->at++, !digits(s))) return false;
  if (is_at(s, 'e') || is_at(s, 'E')) {
    s->at++;
    if (is_at(s, '+') || is_at(s, '-')) s->at++;
    if (!digits(s)) return false;
  }
  if (out) *out = (struct report_text){from, (size_t)(s->at - from)};
  return true;
}

static bool word(struct scan *s, const char *w) {
  size_t n = strlen(w);
  if ((size_t)(s->end - s->at) < n || memcmp(s->at, w, n) != 0) return broken(s);
  s->at += n;
  return true;
}

static bool scalar(struct scan *s) {
  switch (next(s)) {
    case '"': return text(s, NULL);
    case 't': return word(s, "true");
    case 'f': return word(s, "false");
    case 'n': return word(s, "null");
    default: return number(s, NULL);
  }
}

static bool key_and_colon(struct scan *s) { return text(s, NULL) && (take_char(s, ':') || broken(s)); }

_Static_assert(LIMIT_REPORT_DEPTH <= 64, "one bit for each open bracket");

/* What follows a value that has ended: brackets that close, or the comma before the next one. *depth 0: all are closed. */
static bool after_value(struct scan *s, uint64_t objects, int *depth) {
  while (*depth > 0) {
    bool object = objects >> (*depth - 1) & 1;
    if (take_char(s, ',')) return !object || key_and_colon(s);
    if (!take_char(s, object ? '}' : ']')) return broken(s);
    (*depth)--;
  }
  return true;
}

/* Any value. objects: which of the open brackets are braces, the outermost in bit 0. */
static bool pass(struct scan *s) {
  uint64_t objects = 0;
  int depth = 0;
  do {
    bool object = next(s) == '{', opens = object || next(s) == '[';
    if (!opens) {
      if (!scalar(s)) return false;
    } else {
      s->at++;
      if (depth == LIMIT_REPORT_DEPTH) return fault(s, "it is nested too deeply");
      uint64_t bit = 1ULL << depth++;
      objects = object ? objects | bit : objects & ~bit;
      if (take_char(s, object ? '}' : ']')) depth--; /* an empty one is a value that has ended */
      else if (object && !key_and_colon(s)) return false;
      else continue;
    }
    if (!after_value(s, objects, &depth)) return false;
  } while (depth > 0);
  return true;
}

/* The text of any value as it stands there. */
static bool raw(struct scan *s, struct report_text *out) {
  blanks(s);
  char *from = s->at;
  if (!pass(s)) return false;
  *out = (struct report_text){from, (size_t)(s->at - from)};
  return true;
}

/* ---- objects with known members ---- */

struct member { const char *name; bool (*read)(struct scan *s, struct report *r); };

static const struct member *find_member(const struct member *m, size_t n, struct report_text name) {
  for (size_t i = 0; i < n; i++)
    if (strlen(m[i].name) == name.n && memcmp(m[i].name, name.s, name.n) == 0) return &m[i];
  return NULL;
}

/* An object of these members, each once at most. *count: how many there were. */
static bool object(struct scan *s, const struct member *m, size_t n, struct report *r, const char *unknown, size_t *count) {
  uint32_t seen = 0;
  *count = 0;
  if (!take_char(s, '{')) return next(s) == '\0' ? broken(s) : fault(s, "its value must be an object");
  if (take_char(s, '}')) return true;
  do {
    struct report_text name;
    if (next(s) != '"') return broken(s);
    if (!text(s, &name)) return false;
    const struct member *one = find_member(m, n, name);
    if (!one) return fault(s, unknown);
    if (seen & 1u << (one - m)) return fault(s, "a member appears twice");
    seen |= 1u << (one - m);
    if (!take_char(s, ':')) return broken(s);
    blanks(s);
    if (!one->read(s, r)) return false;
    ++*count;
  } while (take_char(s, ','));
  return take_char(s, '}') || broken(s);
}
#define OBJECT(s, m, r, unknown, count) object(s, m, sizeof m / sizeof *m, r, unknown, count)

/* ---- progress ---- */

static bool null_value(struct scan *s, bool *yes) {
  *yes = next(s) == 'n';
  return !*yes || word(s, "null");
}

/* A whole number from 0 to 2^53, however it is written (3, 3.0, 3e0); null: -1. */
static bool count_value(struct scan *s, int64_t *out) {
  static const char what[] = "total and done must be whole numbers from 0 to 2^53";
  struct report_text t;
  char copy[64];
  bool null;
  if (!null_value(s, &null)) return false;
  *out = -1;
  if (null) return true;
  char c = next(s);
  if (c != '-' && !is_digit(c)) return fault(s, what);
  if (!number(s, &t)) return false;
  if (text_i64(t.s, t.n, out)) return (*out >= 0 && *out <= REPORT_COUNT_MAX) || fault(s, what);
  if (t.n >= sizeof copy) return fault(s, what);
  memcpy(copy, t.s, t.n);
  copy[t.n] = '\0';
  double v = strtod(copy, NULL);
  if (!(v >= 0 && v <= (double)REPORT_COUNT_MAX) || v != (double)(int64_t)v) return fault(s, what);
  *out = (int64_t)v;
  return true;
}

/* null: "". */
static bool short_text(struct scan *s, struct report_text *out) {
  bool null;
  if (!null_value(s, &null)) return false;
  *out = (struct report_text){"", 0};
  if (null) return true;
  return next(s) == '"' ? text_without_nul(s, out) : fault(s, "unit and message must be texts");
}

static bool read_total(struct scan *s, struct report *r) { return r->says |= SAYS_TOTAL, count_value(s, &r->total); }
static bool read_done(struct scan *s, struct report *r) { return r->says |= SAYS_DONE, count_value(s, &r->done); }
static bool read_unit(struct scan *s, struct report *r) { return r->says |= SAYS_UNIT, short_text(s, &r->unit); }
static bool read_message(struct scan *s, struct report *r) { return r->says |= SAYS_MESSAGE, short_text(s, &r->message); }

static bool read_progress(struct scan *s, struct report *r) {
  static const struct member m[] = {{"total", read_total}, {"done", read_done}, {"unit", read_unit}, {"message", read_message}};
  size_t count;
  r->kind = REPORT_PROGRESS;
  return OBJECT(s, m, r, "progress has the members total, done, unit and message, and no other", &count);
}

/* ---- fail, again ---- */

static bool read_fail_message(struct scan *s, struct report *r) {
  bool null;
  if (!null_value(s, &null)) return false;
  if (null) return true;
  return next(s) == '"' ? text_without_nul(s, &r->text) : fault(s, "message must be a text");
}

static bool read_retry(struct scan *s, struct report *r) {
  char c = next(s);
  if (c != 't' && c != 'f') return fault(s, "retry must be true or false");
  r->final = c == 'f';
  return word(s, r->final ? "false" : "true");
}

static bool read_fail(struct scan *s, struct report *r) {
  static const struct member m[] = {{"message", read_fail_message}, {"retry", read_retry}};
  size_t count;
  r->kind = REPORT_FAIL;
  return OBJECT(s, m, r, "fail has the members message and retry, and no other", &count);
}

static bool read_after(struct scan *s, struct report *r) {
  struct report_text t;
  if (next(s) == '"' ? !text(s, &t) : !number(s, &t)) return false;
  return text_duration(t.s, t.n, LIMIT_TIME_US, &r->after_us) || fault(s, "after must be a time such as \"30s\", at most 7 days");
}

static bool read_again(struct scan *s, struct report *r) {
  static const struct member m[] = {{"after", read_after}};
  size_t count;
  r->kind = REPORT_AGAIN;
  return OBJECT(s, m, r, "again has the member after, and no other", &count);
}

/* ---- context, result, log ---- */

static bool read_context(struct scan *s, struct report *r) {
  char c = next(s);
  r->kind = REPORT_CONTEXT;
  if (c != '"' && c != '{') return fault(s, "context must be a text or an object");
  if (c == '"' ? !text_without_nul(s, &r->text) : !raw(s, &r->text)) return false;
  return r->text.n <= LIMIT_CONTEXT_BYTES || fault(s, "the context is larger than 1 MiB; the last one stays");
}

/* A text is the result as it is, anything else as its JSON. */
static bool read_result(struct scan *s, struct report *r) {
  r->kind = REPORT_RESULT;
  return next(s) == '"' ? text(s, &r->text) : raw(s, &r->text);
}

static bool read_log(struct scan *s, struct report *r) {
  r->kind = REPORT_LOG;
  return next(s) == '"' ? text(s, &r->text) : fault(s, "log must be a text");
}

const char *report_read(char *line, size_t n, struct report *out) {
  static const struct member m[] = {{"progress", read_progress}, {"context", read_context}, {"result", read_result},
                                    {"fail", read_fail}, {"again", read_again}, {"log", read_log}};
  static const char unknown[] = "it has a member that is none of progress, context, result, fail, again and log";
  struct scan s = {line, line + n, NULL};
  size_t count;
  *out = (struct report){.after_us = -1, .total = -1, .done = -1};
  if (!text_utf8(line, n)) return "it is not UTF-8";
  if (next(&s) != '{') return "it is not a JSON object";
  if (!OBJECT(&s, m, out, unknown, &count)) return s.why;
  blanks(&s);
  if (s.at != s.end) return "something follows the JSON object";
  if (count != 1) return count ? "it has more than one member" : "it is an empty object";
  return NULL;
}
