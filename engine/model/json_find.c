/* A walk over a JSON text: json_find.h. */
#include "json_find.h"
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "text.h"
#include "wr_limits.h"

/* An array or object that is open. rest: where the pointer goes on inside of it; NULL = it does not lead through it. index, want:
 * of an array, where the walk is and which element is asked for, which NOWHERE is not. */
#define NOWHERE UINT32_MAX
struct level { const char *rest; uint32_t index, want; bool object; };
struct walk {
  const char *s; size_t n, at;
  size_t depth;
  struct level level[LIMIT_PICK_DEPTH];
  bool inside;                     /* of the value that the pointer means; it began at depth `out` */
  size_t out, from, len;
  enum json_found found;
};

static int peek(const struct walk *w) { return w->at < w->n ? (unsigned char)w->s[w->at] : -1; }
static bool is_blank(int c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
static bool is_digit(int c) { return c >= '0' && c <= '9'; }

static void blanks(struct walk *w) {
  while (is_blank(peek(w))) w->at++;
}

/* ---- strings ---- */

static int hex(char c) { return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1; }

/* Four hexadecimal digits; -1: they are not there. */
static int32_t unit(const char *s, size_t n) {
  int32_t v = 0;
  for (size_t i = 0; i < 4; i++) {
    if (i >= n || hex(s[i]) < 0) return -1;
    v = v * 16 + hex(s[i]);
  }
  return v;
}

/* What an escape says, from behind its backslash on, and how long it is; 0: it is none. Half of a pair is none. */
static size_t escape(const char *s, size_t n, uint32_t *out) {
  static const char name[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
  const char *at = n ? memchr(name, s[0], sizeof name - 1) : NULL;
  if (at) return *out = (unsigned char)meant[at - name], 1;
  int32_t v = n && s[0] == 'u' ? unit(s + 1, n - 1) : -1, low;
  if (v < 0 || (v >= 0xdc00 && v < 0xe000)) return 0;
  *out = (uint32_t)v;
  if (v < 0xd800 || v >= 0xe000) return 5;
  if (n < 11 || s[5] != '\\' || s[6] != 'u' || (low = unit(s + 7, n - 7)) < 0xdc00 || low >= 0xe000) return 0;
  *out = 0x10000 + (((uint32_t)v - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
  return 11;
}

/* From its quote on. That it is UTF-8 was looked at before. */
static bool string(struct walk *w) {
  uint32_t ignored;
  for (w->at++; peek(w) != '"'; w->at++) {
    if (peek(w) < ' ') return false; /* also its end is missing */
    if (peek(w) == '\\') {
      size_t m = escape(w->s + w->at + 1, w->n - w->at - 1, &ignored);
      if (m == 0) return false;
      w->at += m;
    }
  }
  w->at++;
  return true;
}

static size_t utf8(uint32_t v, unsigned char b[4]) {
  if (v < 0x80) return b[0] = (unsigned char)v, 1;
  size_t n = v < 0x800 ? 2 : v < 0x10000 ? 3 : 4;
  for (size_t i = n; --i > 0; v >>= 6) b[i] = (unsigned char)(0x80 | (v & 0x3f));
  b[0] = (unsigned char)((n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | v);
  return n;
}

/* ---- parts of the pointer ---- */

/* The next byte of a part; -1 = its end. */
static int part_byte(const char **p) {
  if (**p == '\0' || **p == '/') return -1;
  if (**p != '~') return (unsigned char)*(*p)++;
  *p += 2;
  return (*p)[-1] == '1' ? '/' : '~';
}

/* s: what stands between the quotes. Returns what the pointer says behind the part, NULL: the key is another. */
static const char *key_is(const char *s, size_t n, const char *part) {
  for (size_t i = 0; i < n;) {
    unsigned char b[4] = {(unsigned char)s[i]};
    uint32_t v;
    size_t m = 1, taken = 1;
    if (s[i] == '\\') taken = 1 + escape(s + i + 1, n - i - 1, &v), m = utf8(v, b);
    for (size_t k = 0; k < m; k++)
      if (part_byte(&part) != b[k]) return NULL;
    i += taken;
  }
  return *part == '\0' || *part == '/' ? part : NULL;
}

static const char *behind(const char *part) { return part + strcspn(part, "/"); }

static uint32_t index_of(const char *part) {
  size_t n = (size_t)(behind(part) - part);
  int64_t i;
  bool plain = n > 0 && is_digit(part[0]) && !(part[0] == '0' && n > 1);
  return plain && text_i64(part, n, &i) && i < NOWHERE ? (uint32_t)i : NOWHERE;
}

/* ---- values ---- */

static bool digits(struct walk *w) {
  size_t from = w->at;
  while (is_digit(peek(w))) w->at++;
  return w->at > from;
}

static bool number(struct walk *w) {
  if (peek(w) == '-') w->at++;
  if (peek(w) == '0') w->at++;
  else if (!digits(w)) return false;
  if (peek(w) == '.' && (w->at++, !digits(w))) return false;
  if (peek(w) != 'e' && peek(w) != 'E') return true;
  w->at++;
  if (peek(w) == '+' || peek(w) == '-') w->at++;
  return digits(w);
}

static bool word(struct walk *w, const char *text) {
  size_t n = strlen(text);
  if (w->n - w->at < n || memcmp(w->s + w->at, text, n) != 0) return false;
  w->at += n;
  return true;
}

static bool scalar(struct walk *w) {
  switch (peek(w)) {
  case '"': return string(w);
  case 't': return word(w, "true");
  case 'f': return word(w, "false");
  case 'n': return word(w, "null");
  default: return number(w);
  }
}

/* Up to the value of a member, or of an element. *rest: what the pointer says behind it, NULL: it does not lead there. */
static bool entry(struct walk *w, const char **rest) {
  const struct level *l = &w->level[w->depth - 1];
  const char *part = l->rest ? l->rest + 1 : NULL;
  *rest = NULL;
  if (l->object) {
    size_t from = w->at + 1;
    if (peek(w) != '"' || !string(w)) return false;
    if (part) *rest = key_is(w->s + from, w->at - 1 - from, part);
    blanks(w);
    if (peek(w) != ':') return false;
    w->at++;
    blanks(w);
  } else if (part && l->index == l->want) {
    *rest = behind(part);
  }
  if (*rest) w->found = JSON_ABSENT; /* an earlier member of this name counts no more */
  return true;
}

static char closer(const struct level *l) { return l->object ? '}' : ']'; }

/* All that ends where the value has ended. True: another one follows. */
static bool ends(struct walk *w) {
  for (;;) {
    if (w->inside && w->depth == w->out) {
      w->inside = false;
      w->found = JSON_THERE;
      w->len = w->at - w->from;
    }
    blanks(w);
    if (w->depth == 0 || peek(w) != closer(&w->level[w->depth - 1])) break;
    w->at++;
    w->depth--;
  }
  return w->depth > 0 && peek(w) == ',';
}

static void open_level(struct walk *w, const char *rest, bool object) {
  if (rest && !*rest) rest = NULL; /* all of it is asked for */
  w->level[w->depth++] = (struct level){rest, 0, rest && !object ? index_of(rest + 1) : NOWHERE, object};
  w->at++;
  blanks(w);
}

/* BROKEN or TOO_DEEP; else what was found. */
static enum json_found walk(struct walk *w, const char *rest) {
  for (;;) {
    int c = peek(w);
    if (rest && !*rest) w->inside = true, w->out = w->depth, w->from = w->at;
    bool opens = c == '{' || c == '[';
    if (opens) {
      if (w->depth == LIMIT_PICK_DEPTH) return JSON_TOO_DEEP;
      open_level(w, rest, c == '{');
    } else if (!scalar(w)) {
      return JSON_BROKEN;
    }
    if (!opens || peek(w) == closer(&w->level[w->depth - 1])) {
      if (!ends(w)) return w->depth == 0 && w->at == w->n ? w->found : JSON_BROKEN;
      w->at++;
      w->level[w->depth - 1].index++;
      blanks(w);
    }
    if (!entry(w, &rest)) return JSON_BROKEN;
  }
}

enum json_found json_find(const char *s, size_t n, const char *pointer, size_t *from, size_t *len) {
  struct walk w;
  w.s = s, w.n = n, w.at = w.depth = w.out = w.from = w.len = 0;
  w.inside = false;
  w.found = JSON_ABSENT;
  if (!text_utf8(s, n)) return JSON_BROKEN;
  blanks(&w);
  enum json_found rc = walk(&w, pointer);
  *from = w.from;
  *len = w.len;
  return rc;
}

size_t json_squeeze(const char *s, size_t n, char *out) {
  size_t m = 0;
  bool quoted = false;
  for (size_t i = 0; i < n; i++) {
    if (!quoted && is_blank((unsigned char)s[i])) continue;
    if (s[i] == '"') quoted = !quoted;
    if (s[i] == '\\') out[m++] = s[i++]; /* only in a string, and never its end */
    out[m++] = s[i];
  }
  return m;
}
