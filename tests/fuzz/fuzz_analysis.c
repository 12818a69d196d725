/* Answers of result analyzers: whatever one says, it is a verdict that is right to its last task, or nothing and a sentence. Data:
 * the task types that may be added ("" = not said), then the answer, behind a NUL; and the answer once more as the definition of an
 * analyzer, and as a result that the built-in ones look at. */
#include <stdlib.h>
#include <string.h>
#include "analysis.h"
#include "fuzz.h"
#include "json_out.h"
#include "mem.h"
#include "text.h"
#include "wr_limits.h"

static bool named(const char *list, const char *type) {
  size_t n = strlen(type);
  for (const char *p = list; *p; p += strcspn(p, "\n"), p += *p == '\n')
    if (strcspn(p, "\n") == n && memcmp(p, type, n) == 0) return true;
  return false;
}

static bool has_whose(const struct queue_spec *q) { return q && (q->user || q->group); }

static void check_task(const struct async_post *p, const struct analysis_rule *rule) {
  wr_assert(p->def && p->spec && p->def->type);
  if (rule->task_types) wr_assert(named(rule->task_types, p->def->type));
  else wr_assert(strcmp(p->def->type, rule->parent_type) == 0 && strcmp(p->def->type, "SHELL") != 0);
  wr_assert(!has_whose(p->def->queue) && !has_whose(p->spec->queue));
}

static void check_verdict(enum wr_rc rc, const struct verdict *v, const struct analysis_rule *rule, const struct wr_err *err) {
  static const struct verdict none;
  if (rc) {
    wr_assert(memcmp(v, &none, sizeof none) == 0);
    wr_assert(rc == WR_OUT_OF_RANGE || rc == WR_BUSY);
    wr_assert(*err->msg && text_utf8(err->msg, strnlen(err->msg, sizeof err->msg)));
    return;
  }
  wr_assert(v->kind >= VERDICT_DONE && v->kind <= VERDICT_RETRY);
  wr_assert(v->n_task <= LIMIT_ANALYSIS_TASKS && (v->n_task == 0 || v->kind == VERDICT_DONE));
  wr_assert(v->result_len <= LIMIT_RESULT_BYTES && (!v->has_after || (v->after_us >= 0 && v->after_us <= LIMIT_AGAIN_US)));
  if (v->message) wr_assert(strlen(v->message) <= LIMIT_ERROR_BYTES && text_utf8(v->message, strlen(v->message)));
  for (uint32_t i = 0; i < v->n_task; i++) check_task(&v->task[i], rule);
}

static void as_result(const struct analyzer *a, const char *text, size_t n, const struct analysis_rule *rule) {
  struct verdict v;
  struct wr_err err = {0};
  char *copy = wr_memdup0(text, n);
  const struct evidence e = {.exit_code = (int)(n % 300) - 1, .failed = n % 3 == 0, .result = copy, .result_len = n};
  struct analysis_rule own = *rule;
  own.task_types = a->task_types;
  enum wr_rc rc = analysis_built_in(a, &e, rule, &fuzz_env, &v, &err);
  check_verdict(rc, &v, &own, &err);
  verdict_done(&v);
  free(copy);
}

int fuzz_analysis(const uint8_t *data, size_t n) {
  const uint8_t *end = memchr(data, '\0', n);
  size_t len = end ? (size_t)(end - data) : 0, skip = end ? len + 1 : 0;
  char *types = wr_memdup0(data, len);
  const char *text = (const char *)data + skip;
  size_t text_n = n - skip;
  const struct analysis_rule rule = {.parent_type = "ECHO", .task_types = len ? types : NULL};
  struct verdict v;
  struct wr_err err = {0};
  enum wr_rc rc = analysis_answer_parse(text_n ? text : "", text_n, &rule, &fuzz_env, &v, &err);
  check_verdict(rc, &v, &rule, &err);
  verdict_done(&v);
  json_t *def = text_n ? json_loadb(text, text_n, JSON_DECODE_ANY, NULL) : NULL;
  struct analyzer *a = NULL;
  err = (struct wr_err){0};
  rc = def ? analyzer_read(def, NULL, &a, &err) : WR_NOT_FOUND;
  if (def && rc) fuzz_check_err(rc, &err);
  if (a && a->kind != ANALYZER_NAMED) as_result(a, text, text_n, &rule);
  analyzer_free(a);
  json_decref(def);
  free(types);
  return 0;
}
