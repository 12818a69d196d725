/* Fields of a JSON body: known names, right types, right values, and where in the body something is wrong.
 * Pure; any thread; borrows all it reads. Formats a place only for an error, never recurses. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "wr_limits.h"
#include "meant.h"
#include "model.h"
#include "text.h"

/* ---- places ---- */
enum { PATH_DEPTH = 16 }; /* of the frames in this program, not of the body */

static void pointer_add(struct buf *b, const struct jpath *at) {
  buf_ch(b, '/');
  if (!at->key) {
    buf_i64(b, (int64_t)at->i);
    return;
  }
  for (const char *k = at->key; *k; k++) {
    if (*k == '~') buf_str(b, "~0");
    else if (*k == '/') buf_str(b, "~1");
    else buf_ch(b, *k);
  }
}

const char *jpath_text(char out[JPATH_MAX], const struct jpath *at) {
  const struct jpath *up[PATH_DEPTH];
  int n = 0;
  for (; at; at = at->up) {
    wr_assert(n < PATH_DEPTH);
    up[n++] = at;
  }
  struct buf b = BUF_INIT;
  buf_reserve(&b, 0);
  while (n > 0) pointer_add(&b, up[--n]);
  size_t len = b.len < JPATH_MAX ? b.len : JPATH_MAX - 1;
  while (len < b.len && len > 0 && ((unsigned char)b.data[len] & 0xC0) == 0x80) len--; /* never half a character */
  memcpy(out, b.data, len);
  out[len] = '\0';
  buf_done(&b);
  return out;
}

enum wr_rc fail_at(struct wr_err *err, enum wr_rc code, const struct jpath *at, const char *fmt, ...) {
  char path[JPATH_MAX], msg[512];
  va_list ap;
  if (!err) return code;
  va_start(ap, fmt);
  int n = vsnprintf(msg, sizeof msg, fmt, ap);
  va_end(ap);
  return wr_err_at(err, code, jpath_text(path, at), "%s", n < 0 ? wr_err_text(code) : msg);
}

static enum wr_rc large(struct wr_err *err, enum wr_rc code, const struct jpath *at, const char *what, size_t got, size_t limit) {
  enum wr_rc rc = fail_at(err, code, at, "%s: %zu, at most %zu are allowed.", what, got, limit);
  if (err) { err->limit = (int64_t)limit; err->got = (int64_t)got; }
  return rc;
}

enum wr_rc fail_large(struct wr_err *err, const struct jpath *at, const char *what, size_t got, size_t limit) {
  return large(err, WR_TOO_LARGE, at, what, got, limit);
}

enum wr_rc fail_flow_large(struct wr_err *err, const struct jpath *at, const char *what, size_t got, size_t limit) {
  return large(err, WR_FLOW_TOO_LARGE, at, what, got, limit);
}

/* ---- names and types of fields ---- */
static const char *label(const struct jpath *at) { return at && at->key ? at->key : "The element"; }

static bool known(const char *const *name, size_t n, const char *key) {
  for (size_t i = 0; i < n; i++)
    if (strcmp(name[i], key) == 0) return true;
  return false;
}

static enum wr_rc fail_unknown(const char *key, size_t len, const struct field *f, size_t n, const struct jpath *at,
                               struct wr_err *err) {
  char q[WR_QUOTE_MAX], all[MEANT_LIST];
  const char *name[MEANT_MAX] = {0};
  size_t theirs = 0;
  for (size_t i = 0; i < n; i++)
    if (f[i].type != F_OURS) name[theirs++] = f[i].name;
  const char *best = meant(key, name, theirs);
  wr_err_quote(q, key, len);
  if (known(name, theirs, "taskConfig") && task_setting(key))
    return fail_at(err, WR_UNKNOWN_FIELD, JKEY(at, key), "Unknown field %s. It belongs in taskConfig.", q);
  if (!best) return fail_at(err, WR_UNKNOWN_FIELD, JKEY(at, key), "Unknown field %s.%s", q, meant_list(all, key, name, theirs));
  return fail_at(err, WR_UNKNOWN_FIELD, JKEY(at, key), "Unknown field %s. Did you mean \"%s\"?", q, best);
}

static enum wr_rc type_check(const json_t *v, const struct field *f, const struct jpath *at, struct wr_err *err) {
  static const char *const name[] = {[F_INT] = "an integer", [F_TEXT] = "a string", [F_ARRAY] = "an array"};
  bool ok = f->type == F_ANY || f->type == F_OURS || (f->type == F_INT && json_is_integer(v)) ||
            (f->type == F_TEXT && json_is_string(v)) || (f->type == F_ARRAY && json_is_array(v));
  return ok ? WR_OK : fail_at(err, WR_WRONG_TYPE, JKEY(at, f->name), "%s must be %s.", f->name, name[f->type]);
}

enum wr_rc field_read(const json_t *obj, const struct field *f, size_t n, json_t **v, const struct jpath *at,
                      struct wr_err *err) {
  json_t *o = json_mutable(obj);
  memset(v, 0, n * sizeof *v);
  for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it)) {
    const char *key = json_object_iter_key(it);
    size_t len = json_object_iter_key_len(it), i = 0;
    while (i < n && (f[i].len != len || memcmp(f[i].name, key, len) != 0)) i++;
    if (i == n) return fail_unknown(key, len, f, n, at, err);
    v[i] = json_object_iter_value(it);
    enum wr_rc rc = type_check(v[i], &f[i], at, err);
    if (rc) return rc;
  }
  return WR_OK;
}

/* ---- values ---- */
enum wr_rc field_id(const json_t *v, const struct jpath *at, int64_t *out, struct wr_err *err) {
  if (!json_is_integer(v)) return fail_at(err, WR_WRONG_TYPE, at, "%s must be an integer.", label(at));
  *out = json_integer_value(v);
  if (*out < 1 || *out > WR_ID_MAX)
    return fail_at(err, WR_OUT_OF_RANGE, at, "%s must be an integer from 1 to %lld.", label(at), WR_ID_MAX);
  return WR_OK;
}

/* 1.0 and 1e3 are of the wrong type; 0.5 and 1e30 are wrong as numbers, too. */
enum wr_rc field_int(const json_t *v, int64_t lo, int64_t hi, const struct jpath *at, int64_t *out, struct wr_err *err) {
  double d = json_real_value(v); /* 0 when v is no real number */
  bool whole = json_is_real(v) && d >= (double)lo && d <= (double)hi && d == (double)(int64_t)d;
  if (!json_is_number(v) || whole) return fail_at(err, WR_WRONG_TYPE, at, "%s must be an integer.", label(at));
  *out = json_integer_value(v);
  if (json_is_real(v) || *out < lo || *out > hi)
    return fail_at(err, WR_OUT_OF_RANGE, at, "%s must be an integer from %lld to %lld.", label(at), (long long)lo, (long long)hi);
  return WR_OK;
}

enum wr_rc field_timeout(const json_t *v, const struct jpath *at, int64_t *out_us, struct wr_err *err) {
  if (json_is_string(v)) {
    if (text_duration(json_string_value(v), json_string_length(v), LIMIT_TIME_US, out_us) && *out_us > 0) return WR_OK;
    return fail_at(err, WR_OUT_OF_RANGE, at, "%s must be a time like \"500ms\", \"2s\" or \"5m\", above 0 and at most 7 days.",
                   label(at));
  }
  if (!json_is_number(v))
    return fail_at(err, WR_WRONG_TYPE, at, "%s must be whole seconds or a text like \"500ms\".", label(at));
  enum wr_rc rc = field_int(v, 1, LIMIT_TIME_US / 1000000, at, out_us, err);
  if (rc == WR_OUT_OF_RANGE)
    return fail_at(err, rc, at, "%s must be seconds, at least 1 and at most 7 days, or a text like \"500ms\".", label(at));
  if (rc) return rc;
  *out_us *= 1000000;
  return WR_OK;
}

/* Seconds, fractions too, or a text. */
static enum wr_rc delay_read(const json_t *v, const struct jpath *at, int64_t *out_us, struct wr_err *err) {
  if (!json_is_real(v)) return field_timeout(v, at, out_us, err);
  double us = json_real_value(v) * 1e6;
  if (!(us >= 1 && us <= (double)LIMIT_TIME_US))
    return fail_at(err, WR_OUT_OF_RANGE, at, "%s must be above 0 and at most 7 days.", label(at));
  *out_us = (int64_t)(us + 0.5);
  return WR_OK;
}

static enum wr_rc factor_read(const json_t *v, const struct jpath *at, double *out, struct wr_err *err) {
  if (!json_is_number(v)) return fail_at(err, WR_WRONG_TYPE, at, "%s must be a number.", label(at));
  *out = json_number_value(v);
  if (!(*out >= 1 && *out <= 100)) return fail_at(err, WR_OUT_OF_RANGE, at, "%s must be from 1 to 100.", label(at));
  return WR_OK;
}

enum { B_BASE, B_FACTOR, B_MAX, B_JITTER, B__N };

enum wr_rc field_backoff(const json_t *v, const struct jpath *at, struct task_policy *pol, struct wr_err *err) {
  static const struct field field[B__N] = {[B_BASE] = FIELD("base", F_ANY), [B_FACTOR] = FIELD("factor", F_ANY),
                                           [B_MAX] = FIELD("max", F_ANY), [B_JITTER] = FIELD("jitter", F_TEXT)};
  static const struct word_list jitter = {
      WR_OUT_OF_RANGE, {[JITTER_FULL] = "full", [JITTER_EQUAL] = "equal", [JITTER_NONE] = "none"}};
  const struct task_policy *def = &task_policy_default;
  json_t *b[B__N];
  if (!json_is_object(v)) return fail_at(err, WR_WRONG_TYPE, at, "%s must be an object.", label(at));
  enum wr_rc rc = field_read(v, field, B__N, b, at, err);
  int word = def->jitter;
  pol->backoff_base_us = def->backoff_base_us;
  pol->backoff_factor = def->backoff_factor;
  if (!rc && b[B_BASE]) rc = delay_read(b[B_BASE], JKEY(at, "base"), &pol->backoff_base_us, err);
  pol->backoff_cap_us = def->backoff_cap_us > pol->backoff_base_us ? def->backoff_cap_us : pol->backoff_base_us;
  if (!rc && b[B_MAX]) rc = delay_read(b[B_MAX], JKEY(at, "max"), &pol->backoff_cap_us, err);
  if (!rc && b[B_FACTOR]) rc = factor_read(b[B_FACTOR], JKEY(at, "factor"), &pol->backoff_factor, err);
  if (!rc && b[B_JITTER]) rc = field_word(b[B_JITTER], &jitter, JKEY(at, "jitter"), &word, err);
  if (rc) return rc;
  if (pol->backoff_cap_us < pol->backoff_base_us)
    return fail_at(err, WR_OUT_OF_RANGE, JKEY(at, "max"), "max must not be below base.");
  pol->jitter = (enum jitter)word;
  return WR_OK;
}

enum wr_rc field_word(const json_t *v, const struct word_list *w, const struct jpath *at, int *out, struct wr_err *err) {
  struct buf list = BUF_INIT;
  if (!json_is_string(v)) return fail_at(err, WR_WRONG_TYPE, at, "%s must be a string.", label(at));
  for (int i = 0; w->word[i]; i++) {
    if (strcmp(json_string_value(v), w->word[i]) == 0) {
      *out = i;
      buf_done(&list);
      return WR_OK;
    }
    buf_printf(&list, "%s%s", i == 0 ? "" : w->word[i + 1] ? ", " : " or ", w->word[i]);
  }
  enum wr_rc rc = fail_at(err, w->code, at, "%s must be %s.", label(at), list.data);
  buf_done(&list);
  return rc;
}

/* ---- names ---- */
/* True when either end has a character that trim() of some language removes. */
static bool has_edge_space(const char *s, size_t n) {
  static const char *const space[] = {" ", "\xC2\xA0", "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82",
      "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87", "\xE2\x80\x88", "\xE2\x80\x89",
      "\xE2\x80\x8A", "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80", "\xEF\xBB\xBF"};
  for (size_t i = 0; i < sizeof space / sizeof *space; i++) {
    size_t k = strlen(space[i]);
    if (k <= n && (memcmp(s, space[i], k) == 0 || memcmp(s + n - k, space[i], k) == 0)) return true;
  }
  return false;
}

enum wr_rc field_name(const json_t *v, const struct jpath *at, struct wr_err *err) {
  const char *s = json_string_value(v);
  size_t n = json_string_length(v), chars = text_utf8_len(s, n);
  if (chars < 1 || chars > LIMIT_NAME_CHARS)
    return fail_at(err, WR_BAD_NAME, at, "%s must have 1 to %d characters.", label(at), LIMIT_NAME_CHARS);
  if (text_has_control(s, n)) return fail_at(err, WR_BAD_NAME, at, "%s must not have control characters.", label(at));
  if (has_edge_space(s, n)) return fail_at(err, WR_BAD_NAME, at, "%s must not begin or end with a space.", label(at));
  return WR_OK;
}

enum wr_rc field_description(const json_t *v, const struct jpath *at, struct wr_err *err) {
  size_t n = json_string_length(v);
  return n <= LIMIT_DESCRIPTION_BYTES ? WR_OK : fail_large(err, at, "Bytes of description", n, LIMIT_DESCRIPTION_BYTES);
}
