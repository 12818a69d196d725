/* JSON text from outside: what jansson does not bound is looked at first, and each failure gets its own code.
 * Pure; any thread. The scan allocates nothing and knows no grammar: jansson alone decides what is valid JSON. */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "wr_limits.h"
#include "model.h"
#include "attempt.h"
#include "text.h"

/* ---- tokens, as far as the scan needs them ---- */
enum tok { TOK_END, TOK_STRING, TOK_WORD, TOK_OPEN, TOK_CLOSE, TOK_COLON, TOK_COMMA };
struct lex { const char *s; size_t n, at, start; bool escapes; };

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

static bool ends_word(char c) {
  switch (c) {
  case ' ': case '\n': case '\r': case '\t': case '{': case '}': case '[': case ']': case ',': case ':': case '"': return true;
  default: return false;
  }
}

static void lex_string(struct lex *x) {
  x->escapes = false;
  for (x->at++; x->at < x->n; x->at++) {
    if (x->s[x->at] == '"') { x->at++; return; }
    if (x->s[x->at] != '\\') continue;
    x->escapes = true;
    x->at++;
  }
  x->at = x->n; /* no end: jansson reports it */
}

static enum tok lex_next(struct lex *x) {
  while (x->at < x->n && is_space(x->s[x->at])) x->at++;
  x->start = x->at;
  if (x->at == x->n) return TOK_END;
  switch (x->s[x->at]) {
  case '"': lex_string(x); return TOK_STRING;
  case '{': case '[': x->at++; return TOK_OPEN;
  case '}': case ']': x->at++; return TOK_CLOSE;
  case ':': x->at++; return TOK_COLON;
  case ',': x->at++; return TOK_COMMA;
  default: break;
  }
  while (x->at < x->n && !ends_word(x->s[x->at])) x->at++;
  return TOK_WORD;
}

/* ---- places in the text: only after a failure ---- */
struct place { size_t line, column; };

static struct place place_of(const char *s, size_t at) {
  struct place p = {1, 1};
  size_t from = 0;
  for (size_t i = 0; i < at; i++) {
    if (s[i] != '\n') continue;
    p.line++;
    from = i + 1;
  }
  p.column += text_utf8_len(s + from, at - from);
  return p;
}

static enum wr_rc fail_place(struct wr_err *err, enum wr_rc code, const char *what, struct place p) {
  return wr_err_set(err, code, "%s (line %zu, column %zu).", what, p.line, p.column);
}

static size_t first_bad_utf8(const char *s, size_t n) {
  size_t i = 0;
  while (i < n) {
    unsigned char c = (unsigned char)s[i];
    size_t len = c < 0x80 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;
    if (len > n - i || !text_utf8(s + i, len)) break;
    i += len;
  }
  return i;
}

/* ---- the scan ---- */
static int hex4(const char *s, size_t n) {
  int v = 0;
  if (n < 4) return -1;
  for (int i = 0; i < 4; i++) {
    int d = text_hex(s[i]);
    if (d < 0) return -1;
    v = v * 16 + d;
  }
  return v;
}

/* Code unit of "\uXXXX" at s, or -1. */
static int escape_unit(const char *s, size_t n) { return n >= 6 && s[0] == '\\' && s[1] == 'u' ? hex4(s + 2, n - 2) : -1; }

/* Refuses escapes that spell what the text itself may not hold. *at moves to the escape at fault. */
static enum wr_rc escapes_check(const char *s, size_t end, size_t *at) {
  for (size_t i = *at; i + 1 < end; i++) {
    if (s[i] != '\\') continue;
    int u = escape_unit(s + i, end - i);
    bool pair = u >= 0xD800 && u < 0xDC00;
    *at = i;
    if (u == 0) return WR_NUL_IN_TEXT;
    if (u >= 0xDC00 && u < 0xE000) return WR_BAD_UTF8;
    if (pair) {
      int low = escape_unit(s + i + 6, end - i - 6);
      if (low < 0xDC00 || low >= 0xE000) return WR_BAD_UTF8;
    }
    i += pair ? 11 : 1;
  }
  return WR_OK;
}

static enum wr_rc string_check(const struct lex *x, bool has_nul, size_t *at) {
  *at = x->start;
  if (has_nul) {
    const char *nul = memchr(x->s + x->start, 0, x->at - x->start);
    if (nul) {
      *at = (size_t)(nul - x->s);
      return WR_NUL_IN_TEXT;
    }
  }
  return x->escapes ? escapes_check(x->s, x->at, at) : WR_OK;
}

/* Depth, NUL, surrogates; counts values. A string is no value when a colon follows: either it is a key, or the text is
 * broken right there and jansson goes no further. */
static enum wr_rc scan(const char *s, size_t n, size_t *values, size_t *at) {
  struct lex x = {.s = s, .n = n};
  bool has_nul = memchr(s, 0, n) != NULL;
  size_t depth = 0;
  enum tok last = TOK_END;
  *values = 0;
  for (enum tok t = lex_next(&x); t != TOK_END; last = t, t = lex_next(&x)) {
    if (t == TOK_STRING || t == TOK_WORD || t == TOK_OPEN) ++*values;
    if (t == TOK_COLON && last == TOK_STRING) --*values;
    if (t == TOK_CLOSE && depth) depth--;
    if (t == TOK_OPEN && ++depth > LIMIT_JSON_DEPTH) {
      *at = x.start;
      return WR_TOO_DEEP;
    }
    if (t != TOK_STRING) continue;
    enum wr_rc rc = string_check(&x, has_nul, at);
    if (rc) return rc;
  }
  return WR_OK;
}

static enum wr_rc scan_fail(const char *s, size_t at, enum wr_rc code, struct wr_err *err) {
  if (code == WR_TOO_DEEP) return fail_place(err, code, "Nesting is deeper than 32", place_of(s, at));
  if (code == WR_NUL_IN_TEXT) return fail_place(err, code, "NUL is not allowed in text", place_of(s, at));
  return fail_place(err, code, "Text is not valid UTF-8", place_of(s, at));
}

/* ---- jansson's verdict ---- */
static bool is_not_finite(const char *s, size_t n) {
  static const char *const word[] = {"NaN", "nan", "Infinity", "-Infinity", "+Infinity", "inf", "-inf"};
  for (size_t i = 0; i < sizeof word / sizeof *word; i++)
    if (strlen(word[i]) == n && memcmp(word[i], s, n) == 0) return true;
  return false;
}

static enum wr_rc twice_fail(const struct lex *x, struct wr_err *err) {
  struct place p = place_of(x->s, x->start);
  char q[WR_QUOTE_MAX];
  json_t *key = json_loadb(x->s + x->start, x->at - x->start, JSON_DECODE_ANY, NULL);
  wr_err_quote(q, key ? json_string_value(key) : "?", key ? json_string_length(key) : 1);
  json_decref(key);
  return wr_err_set(err, WR_DUPLICATE_KEY, "Key %s appears twice (line %zu, column %zu).", q, p.line, p.column);
}

/* jansson reports most failures of memory as a wrong token, so they are noted here. */
static _Thread_local bool no_memory;

static void *watched_malloc(size_t n) {
  void *p = malloc(n);
  if (!p) no_memory = true;
  return p;
}

void json_watch_memory(void) { json_set_alloc_funcs(watched_malloc, free); }

/* jansson tells where it stopped reading; the token that it read last began before that. */
static enum wr_rc load_fail(const char *s, size_t n, const json_error_t *je, struct wr_err *err) {
  enum json_error_code code = json_error_code(je);
  struct lex x = {.s = s, .n = n};
  size_t stop = je->position > 0 ? (size_t)je->position : 0;
  enum tok t;
  if (no_memory || code == json_error_out_of_memory)
    return wr_err_set(err, WR_BUSY, "There is not enough memory for this body now. Try again later.");
  do t = lex_next(&x);
  while (t != TOK_END && x.at < stop);
  if (code == json_error_duplicate_key) return twice_fail(&x, err);
  struct place p = place_of(s, x.start);
  if (code == json_error_numeric_overflow || (t == TOK_WORD && is_not_finite(s + x.start, x.at - x.start)))
    return fail_place(err, WR_NUMBER_RANGE, "A number is out of range", p);
  /* jansson takes a raw NUL for the end, too. */
  bool ended = code == json_error_premature_end_of_input && !memchr(s + x.start, 0, x.at - x.start);
  if (ended || t == TOK_END) {
    p = place_of(s, n);
    return wr_err_set(err, WR_BAD_JSON, "Line %zu, column %zu: unexpected end of the text.", p.line, p.column);
  }
  return wr_err_set(err, WR_BAD_JSON, "Line %zu, column %zu: unexpected token.", p.line, p.column);
}

enum wr_rc json_load_any(const char *text, size_t n, size_t max_values, json_t **out, struct wr_err *err) {
  size_t values, at = 0;
  json_error_t je;
  *out = NULL;
  while (at < n && is_space(text[at])) at++;
  if (at == n) return wr_err_set(err, WR_BODY_MISSING, NULL);
  if (!text_utf8(text, n)) return scan_fail(text, first_bad_utf8(text, n), WR_BAD_UTF8, err);
  enum wr_rc rc = scan(text, n, &values, &at);
  if (rc) return scan_fail(text, at, rc, err);
  if (values > max_values) {
    rc = wr_err_set(err, WR_TOO_MANY_VALUES, "The body has %zu JSON values, at most %zu are allowed.", values, max_values);
    if (err) { err->limit = (int64_t)max_values; err->got = (int64_t)values; }
    return rc;
  }
  no_memory = false;
  json_t *v = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &je);
  if (!v) return load_fail(text, n, &je, err);
  *out = v;
  return WR_OK;
}

enum wr_rc json_load_strict(const char *text, size_t n, size_t max_values, json_t **out, struct wr_err *err) {
  enum wr_rc rc = json_load_any(text, n, max_values, out, err);
  if (rc || json_is_object(*out)) return rc;
  json_decref(*out);
  *out = NULL;
  return wr_err_set(err, WR_NOT_OBJECT, NULL);
}

/* ---- text of our own ---- */
json_t *json_must(json_t *v) {
  wr_assert(v);
  return v;
}

json_t *json_reparse(const char *text, size_t n) { return json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL); }

size_t json_text_depth(const char *text, size_t n) {
  struct lex x = {.s = text, .n = n};
  size_t depth = 0, max = 0;
  for (enum tok t = lex_next(&x); t != TOK_END; t = lex_next(&x)) {
    if (t == TOK_CLOSE) depth--;
    if (t == TOK_OPEN && ++depth > max) max = depth;
  }
  return max;
}

/* A real number in jansson's output has a digit before its point or exponent. */
static bool may_hold_real(const char *s) {
  for (; *s; s++)
    if (*s >= '0' && *s <= '9' && (s[1] == '.' || s[1] == 'e')) return true;
  return false;
}

/* jansson writes 0.1 as 0.10000000000000001; the fewest digits that read back as the same value are wanted. */
char *json_text(const json_t *v, size_t flags) {
  flags |= JSON_COMPACT | JSON_ENCODE_ANY;
  for (size_t digits = 15;; digits++) {
    char *text = json_dumps(v, flags | JSON_REAL_PRECISION(digits));
    wr_assert(text);
    if (digits == 17 || !may_hold_real(text)) return text;
    json_t *back = json_loads(text, JSON_DECODE_ANY, NULL); /* NULL: the largest double, rounded up, is no double any more */
    int same = back && json_equal(v, back);
    json_decref(back);
    if (same) return text;
    free(text);
  }
}

void params_each(const struct params *p, param_fn *fn, void *ctx) {
  if (!p) return;
  json_t *root = json_must(json_reparse(p->text, strlen(p->text))), *v;
  const char *name;
  json_object_foreach(root, name, v) {
    char *text = json_is_string(v) ? NULL : json_text(v, 0);
    fn(ctx, name, text ? text : json_string_value(v));
    free(text);
  }
  json_decref(root);
}
