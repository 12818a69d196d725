/* taskConfig.analyzer: analysis.h. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "analysis.h"
#include "executor_post.h"
#include "model.h"
#include "pointer.h"
#include "regex.h"
#include "text.h"
#include "wr_limits.h"

enum { ANALYZER_EXITS = 256, EXIT_NOT_NOW = 75, EXIT_FATAL = 125 };

/* ---- types that a result may add ---- */

enum wr_rc task_types_read(const json_t *v, const struct jpath *at, char **out, struct wr_err *err) {
  struct buf list = BUF_INIT;
  size_t n = json_array_size(v);
  *out = NULL;
  if (!json_is_array(v)) return fail_at(err, WR_WRONG_TYPE, at, "taskTypes must be an array of task types.");
  if (n > LIMIT_ANALYZER_TYPES)
    return fail_at(err, WR_OUT_OF_RANGE, at, "taskTypes must have at most %d types.", LIMIT_ANALYZER_TYPES);
  for (size_t i = 0; i < n; i++) {
    const json_t *one = json_array_get(v, i);
    const char *s = json_string_value(one);
    size_t len = json_string_length(one);
    bool ok = len >= 1 && len <= LIMIT_NAME_CHARS && !text_has_control(s, len);
    if (!ok) {
      buf_done(&list);
      return fail_at(err, s ? WR_OUT_OF_RANGE : WR_WRONG_TYPE, JELEM(at, i),
                     "taskTypes must be an array of task types, such as [\"HTTP\"].");
    }
    buf_str(&list, json_string_value(one));
    buf_ch(&list, '\n');
  }
  *out = wr_memdup0(list.data ? list.data : "", list.len);
  buf_done(&list);
  return WR_OK;
}

/* ---- the built-in ones ---- */

enum { A_TYPE, A_POINTER, A_EQUALS, A_PATTERN, A_ON, A_OK, A_TASK_TYPES, A__N };
static const struct field analyzer_field[A__N] = {[A_TYPE] = FIELD("type", F_TEXT), [A_POINTER] = FIELD("pointer", F_TEXT),
    [A_EQUALS] = FIELD("equals", F_ANY), [A_PATTERN] = FIELD("pattern", F_TEXT), [A_ON] = FIELD("on", F_TEXT),
    [A_OK] = FIELD("ok", F_ANY), [A_TASK_TYPES] = FIELD("taskTypes", F_ANY)};
static const unsigned has_field[] = {[ANALYZER_EXIT_CODE] = 1u << A_OK, [ANALYZER_POINTER] = 1u << A_POINTER | 1u << A_EQUALS,
    [ANALYZER_REGEX] = 1u << A_PATTERN | 1u << A_ON, [ANALYZER_SUBTASKS] = 1u << A_POINTER | 1u << A_TASK_TYPES};

static enum wr_rc read_ok(const json_t *v, const struct jpath *at, struct analyzer *a, struct wr_err *err) {
  size_t n = json_array_size(v);
  if (!v) return fail_at(err, WR_OUT_OF_RANGE, at, "ok is required: the exit codes that are fine, such as [0].");
  if (!json_is_array(v)) return fail_at(err, WR_WRONG_TYPE, at, "ok must be an array of exit codes, such as [0, 3].");
  if (n < 1 || n > ANALYZER_EXITS) return fail_at(err, WR_OUT_OF_RANGE, at, "ok must have 1 to %d exit codes.", ANALYZER_EXITS);
  for (size_t i = 0; i < n; i++) {
    int64_t code = 0;
    enum wr_rc rc = field_int(json_array_get(v, i), 0, ANALYZER_EXITS - 1, JELEM(at, i), &code, err);
    if (rc) return rc;
    if (code == EXIT_NOT_NOW || code == EXIT_FATAL)
      return fail_at(err, WR_OUT_OF_RANGE, JELEM(at, i), "An attempt that ends with 75 or 125 is not analysed: leave out %lld.",
                     (long long)code);
    a->ok[code / 8] |= (uint8_t)(1u << code % 8);
  }
  return WR_OK;
}

static enum wr_rc read_pointer(const json_t *v, const struct jpath *at, struct analyzer *a, struct wr_err *err) {
  if (!v) return fail_at(err, WR_OUT_OF_RANGE, at, "pointer is required: a JSON pointer such as /ok; \"\" is the whole result.");
  a->text = wr_strdup(json_string_value(v));
  return pointer_form(a->text) ? WR_OK : fail_at(err, WR_OUT_OF_RANGE, at, "pointer is no JSON pointer such as /items/0/name.");
}

static enum wr_rc read_pattern(const json_t *v, const struct jpath *at, struct analyzer *a, struct wr_err *err) {
  char why[REGEX_WHY];
  size_t n = json_string_length(v);
  if (!v) return fail_at(err, WR_OUT_OF_RANGE, at, "pattern is required: a regular expression of PCRE2.");
  if (n > LIMIT_PATTERN_BYTES)
    return fail_at(err, WR_OUT_OF_RANGE, at, "pattern must have at most %d bytes.", LIMIT_PATTERN_BYTES);
  enum regex_rc rc = regex_check(json_string_value(v), n, why);
  if (rc != REGEX_MATCH) return fail_at(err, WR_OUT_OF_RANGE, at, "%s", why);
  a->text = wr_strdup(json_string_value(v));
  return WR_OK;
}

static enum wr_rc read_on(const json_t *v, const struct jpath *at, struct analyzer *a, struct wr_err *err) {
  static const struct word_list words = {WR_OUT_OF_RANGE, {"result", "log"}};
  int word = 0;
  enum wr_rc rc = v ? field_word(v, &words, at, &word, err) : WR_OK;
  a->on_log = word == 1;
  return rc;
}

/* A field of another built-in one would be silently without effect. */
static enum wr_rc only_its_own(json_t *const *v, enum analyzer_kind kind, const struct jpath *at, struct wr_err *err) {
  for (int i = A_TYPE + 1; i < A__N; i++)
    if (v[i] && !(has_field[kind] & 1u << i))
      return fail_at(err, WR_UNKNOWN_FIELD, JKEY(at, analyzer_field[i].name), "The analyzer %s has no field %s.",
                     json_string_value(v[A_TYPE]), analyzer_field[i].name);
  return WR_OK;
}

static enum wr_rc read_built_in(const json_t *o, const struct jpath *at, struct analyzer *a, struct wr_err *err) {
  static const struct word_list types = {WR_OUT_OF_RANGE, {"exit-code", "json-pointer", "regex", "subtasks"}};
  json_t *v[A__N];
  int word = 0;
  enum wr_rc rc = field_read(o, analyzer_field, A__N, v, at, err);
  if (!rc && !v[A_TYPE])
    rc = fail_at(err, WR_OUT_OF_RANGE, JKEY(at, "type"), "type is required: exit-code, json-pointer, regex or subtasks.");
  if (!rc) rc = field_word(v[A_TYPE], &types, JKEY(at, "type"), &word, err);
  a->kind = (enum analyzer_kind)(ANALYZER_EXIT_CODE + word);
  if (!rc) rc = only_its_own(v, a->kind, at, err);
  if (!rc && a->kind == ANALYZER_EXIT_CODE) rc = read_ok(v[A_OK], JKEY(at, "ok"), a, err);
  if (!rc && has_field[a->kind] & 1u << A_POINTER) rc = read_pointer(v[A_POINTER], JKEY(at, "pointer"), a, err);
  if (!rc && a->kind == ANALYZER_REGEX) rc = read_pattern(v[A_PATTERN], JKEY(at, "pattern"), a, err);
  if (!rc && a->kind == ANALYZER_REGEX) rc = read_on(v[A_ON], JKEY(at, "on"), a, err);
  if (!rc && v[A_TASK_TYPES]) rc = task_types_read(v[A_TASK_TYPES], JKEY(at, "taskTypes"), &a->task_types, err);
  if (!rc && v[A_EQUALS]) a->equals = json_must(json_deep_copy(v[A_EQUALS])); /* no other thread counts its references */
  return rc;
}

/* ---- the whole ---- */

enum wr_rc analyzer_read(const json_t *v, const struct jpath *at, struct analyzer **out, struct wr_err *err) {
  struct analyzer *a = wr_new(struct analyzer);
  enum wr_rc rc = WR_OK;
  *out = NULL;
  if (json_is_string(v)) {
    if (type_form(json_string_value(v), json_string_length(v))) a->name = wr_strdup(json_string_value(v));
    else rc = fail_at(err, WR_OUT_OF_RANGE, at, "analyzer must be the name of a registered analyzer: a letter, then up to "
                      "%d of A-Z, a-z, 0-9, _, . and -.", LIMIT_EXECUTOR_TYPE_CHARS - 1);
  } else if (json_is_object(v)) {
    rc = read_built_in(v, at, a, err);
  } else {
    rc = fail_at(err, WR_WRONG_TYPE, at, "analyzer must be the name of a registered one, or an object such as "
                 "{\"type\": \"exit-code\", \"ok\": [0, 3]}.");
  }
  if (rc) analyzer_free(a);
  else *out = a;
  return rc;
}

void analyzer_free(struct analyzer *a) {
  if (!a) return;
  free(a->name);
  free(a->text);
  json_decref(a->equals);
  free(a->task_types);
  free(a);
}
