/* The built-in analyzers: analysis.h. Pure; any thread, but none that others wait for. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "analysis.h"
#include "model.h"
#include "pointer.h"
#include "regex.h"
#include "wr_limits.h"

enum { WHY_BYTES = 256, SHOWN_BYTES = 80 };

static enum wr_rc say(struct verdict *v, enum verdict_kind kind, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static enum wr_rc say(struct verdict *v, enum verdict_kind kind, const char *fmt, ...) {
  char text[WHY_BYTES];
  va_list ap;
  va_start(ap, fmt);
  (void)vsnprintf(text, sizeof text, fmt, ap);
  va_end(ap);
  *v = (struct verdict){.kind = kind, .message = *text ? wr_strdup(text) : NULL};
  return WR_OK;
}

static enum wr_rc is_done(struct verdict *v) {
  *v = (struct verdict){.kind = VERDICT_DONE};
  return WR_OK;
}

/* ---- exit-code ---- */

/* What has no exit code is no program: as it ended. */
static enum wr_rc exit_code(const struct analyzer *a, const struct evidence *e, struct verdict *v) {
  int code = e->exit_code;
  if (e->signal > 0) return say(v, VERDICT_FAILED, "It was ended by signal %d.", (int)e->signal);
  if (code < 0) return e->failed ? say(v, VERDICT_FAILED, "It failed, and has no exit code.") : is_done(v);
  bool ok = code <= UINT8_MAX && a->ok[code / 8] & 1u << code % 8;
  return ok ? is_done(v) : say(v, VERDICT_FAILED, "The exit code %d is none of those that are fine.", code);
}

/* ---- json-pointer, subtasks ---- */

static json_t *result_json(const struct evidence *e) {
  return json_loadb(e->result ? e->result : "", e->result_len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

static enum wr_rc nothing_there(const struct analyzer *a, const json_t *root, struct verdict *v) {
  if (!root) return say(v, VERDICT_FAILED, "The result is not JSON.");
  return say(v, VERDICT_FAILED, "The result has nothing at %.*s.", SHOWN_BYTES, a->text);
}

static enum wr_rc other_value(const struct analyzer *a, const json_t *got, struct verdict *v) {
  char q[WR_QUOTE_MAX], *text = json_text(got, 0);
  wr_err_quote(q, text, strlen(text));
  free(text);
  return say(v, VERDICT_FAILED, "The result has %s at %.*s, which is not what it should be.", q, SHOWN_BYTES,
             *a->text ? a->text : "\"\"");
}

static enum wr_rc json_pointer(const struct analyzer *a, const struct evidence *e, struct verdict *v) {
  json_t *root = result_json(e);
  const json_t *got = root ? pointer_follow(root, a->text) : NULL;
  enum wr_rc rc = WR_OK;
  if (!got) rc = nothing_there(a, root, v);
  else if (!a->equals || json_same(got, a->equals)) rc = is_done(v);
  else rc = other_value(a, got, v);
  json_decref(root);
  return rc;
}

/* What the result says goes through the same checks as the answer of a registered analyzer: one that is refused is refused by
 * each further call, too. */
static enum wr_rc subtasks(const struct analyzer *a, const struct evidence *e, const struct analysis_rule *rule,
                           const struct def_env *env, struct verdict *v, struct wr_err *err) {
  struct analysis_rule own = *rule;
  json_t *root = NULL;
  own.task_types = a->task_types;
  if (e->result_len > 0) {
    enum wr_rc rc = json_load_any(e->result, e->result_len, LIMIT_ANALYSIS_VALUES, &root, err);
    if (rc == WR_BUSY) return rc;
    if (rc) return say(v, VERDICT_FAILED, "The result cannot be read: %s", err->msg);
  }
  const json_t *list = root ? pointer_follow(root, a->text) : NULL;
  enum wr_rc rc = list ? WR_OK : nothing_there(a, root, v);
  bool array = json_is_array(list);
  if (list && !array) rc = say(v, VERDICT_FAILED, "The result has no array at %.*s.", SHOWN_BYTES, *a->text ? a->text : "\"\"");
  if (array) rc = analysis_tasks(list, &own, env, v, err);
  if (array && !rc) v->kind = VERDICT_DONE;
  json_decref(root);
  return rc;
}

/* ---- regex ---- */

static enum wr_rc regex(const struct analyzer *a, const struct evidence *e, struct verdict *v, struct wr_err *err) {
  char why[REGEX_WHY];
  const char *text = a->on_log ? e->log_tail : e->result;
  size_t n = a->on_log ? e->log_len : e->result_len;
  switch (regex_match(a->text, strlen(a->text), text ? text : "", text ? n : 0, why)) {
  case REGEX_MATCH: return is_done(v);
  case REGEX_NO_MATCH: return say(v, VERDICT_FAILED, "The pattern does not match the %s.", a->on_log ? "log" : "result");
  case REGEX_UNABLE: return wr_err_set(err, WR_BUSY, "%s", why);
  case REGEX_BAD: case REGEX_LIMIT: break;
  }
  return wr_err_set(err, WR_OUT_OF_RANGE, "%s", why);
}

/* ---- all of them ---- */

enum wr_rc analysis_built_in(const struct analyzer *a, const struct evidence *e, const struct analysis_rule *rule,
                             const struct def_env *env, struct verdict *out, struct wr_err *err) {
  *out = (struct verdict){0};
  if (a->kind == ANALYZER_EXIT_CODE) return exit_code(a, e, out);
  if (e->failed) return say(out, VERDICT_FAILED, "%s", "");
  switch (a->kind) {
  case ANALYZER_POINTER: return json_pointer(a, e, out);
  case ANALYZER_REGEX: return regex(a, e, out, err);
  case ANALYZER_SUBTASKS: return subtasks(a, e, rule, env, out, err);
  case ANALYZER_EXIT_CODE: case ANALYZER_NAMED: break;
  }
  return wr_err_set(err, WR_INTERNAL, "The analyzer %s is not built in.", a->name ? a->name : "");
}
