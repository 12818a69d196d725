/* One call of an analyzer, and what it answers: analysis.h. */
#include "analysis.h"
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include "attempt.h"
#include "model.h"
#include "text.h"
#include "wr_limits.h"

_Static_assert(SHA256_DIGEST_LENGTH == ASYNC_HASH_BYTES, "one hash for all");

/* ---- owners ---- */

struct analysis *analysis_new(const struct analyzer *analyzer, uint32_t attempt, bool failed) {
  struct analysis *a = wr_new(struct analysis);
  a->analyzer = analyzer;
  a->attempt = attempt;
  a->failed = failed;
  return a;
}

void evidence_done(struct evidence *e) {
  free(e->result);
  free(e->log_tail);
  *e = (struct evidence){0};
}

void analysis_free(struct analysis *a) {
  if (!a) return;
  evidence_done(&a->evidence);
  verdict_done(&a->verdict);
  free(a->user);
  free(a);
}

const char *verdict_name(enum verdict_kind k) {
  static const char *const name[] = {[VERDICT_DONE] = "done", [VERDICT_FAILED] = "failed", [VERDICT_RETRY] = "retry"};
  return k > VERDICT_NONE && k <= VERDICT_RETRY ? name[k] : "";
}

void verdict_done(struct verdict *v) {
  for (uint32_t i = 0; i < v->n_task; i++) async_post_done(&v->task[i]);
  free(v->task);
  free(v->message);
  free(v->result);
  *v = (struct verdict){0};
}

void verdict_take(struct verdict *v, uint32_t i, struct async_post *out) {
  *out = v->task[i];
  v->task[i] = (struct async_post){0};
}

/* ---- the tasks that it adds ---- */

static bool in_list(const char *list, const char *type) {
  size_t n = strlen(type);
  for (const char *p = list; *p; p += strcspn(p, "\n"), p += *p == '\n')
    if (strcspn(p, "\n") == n && memcmp(p, type, n) == 0) return true;
  return false;
}

static bool may_add(const struct analysis_rule *rule, const char *type) {
  if (rule->task_types) return in_list(rule->task_types, type);
  return strcmp(type, "SHELL") != 0 && strcmp(type, rule->parent_type) == 0;
}

static enum wr_rc type_allowed(const char *type, const struct analysis_rule *rule, const struct jpath *at, struct wr_err *err) {
  char q[WR_QUOTE_MAX];
  if (may_add(rule, type)) return WR_OK;
  wr_err_quote(q, type, strlen(type));
  if (rule->task_types)
    return fail_at(err, WR_OUT_OF_RANGE, JKEY(at, "taskType"),
                   "Tasks of type %s may not be added: taskTypes does not name it.", q);
  return fail_at(err, WR_OUT_OF_RANGE, JKEY(at, "taskType"), "Tasks of type %s may not be added: %s.", q,
                 strcmp(type, "SHELL") == 0 ? "SHELL must be named in taskTypes"
                                            : "without taskTypes only the task's own type may be");
}

/* What the analyzer of an added task may add. NULL: what is of that task's own type. */
static enum wr_rc types_of(const struct analyzer *a, const struct def_env *env, const char **types, struct wr_err *err) {
  const struct added *there = NULL;
  *types = a->task_types;
  if (a->kind != ANALYZER_NAMED || !env->analyzer_find) return WR_OK;
  enum wr_rc rc = env->analyzer_find(env->ctx, a->name, &there, err);
  if (!rc && there) *types = there->task_types;
  return rc;
}

/* A task that is added brings an analyzer of its own, whose answer comes from outside, too. It may add no more than the one that
 * adds it: else two answers would get what one cannot. The analyzer of an executor is the word of whoever registered that. */
static enum wr_rc analyzer_allowed(const struct task_def *t, const struct analysis_rule *rule, const struct def_env *env,
                                   const struct jpath *at, struct wr_err *err) {
  const char *types = NULL, *p;
  enum wr_rc rc = t->analyzer ? types_of(t->analyzer, env, &types, err) : WR_OK;
  for (p = types; !rc && p && *p; p += strcspn(p, "\n"), p += *p == '\n') {
    char type[LIMIT_NAME_CHARS + 1], q[WR_QUOTE_MAX];
    size_t n = strcspn(p, "\n");
    wr_assert(n < sizeof type);
    memcpy(type, p, n);
    type[n] = 0;
    if (may_add(rule, type)) continue;
    wr_err_quote(q, type, n);
    rc = fail_at(err, WR_OUT_OF_RANGE, JKEY(JKEY(at, "taskConfig"), "analyzer"),
                 "Its analyzer may add tasks of type %s, and the analyzer that adds this task may not.", q);
  }
  return rc;
}

/* taskConfig may be a text, so it is looked at when it was read. */
static enum wr_rc whose(const struct async_post *p, const struct jpath *at, struct wr_err *err) {
  const struct queue_spec *own = p->spec->queue, *def = p->def->queue;
  const char *what = NULL;
  if ((own && own->user) || (def && def->user)) what = "user";
  else if ((own && own->group) || (def && def->group)) what = "group";
  if (!what) return WR_OK;
  return fail_at(err, WR_OUT_OF_RANGE, JKEY(at, what),
                 "A task that an analyzer adds has the %s of its parent, and cannot set it.", what);
}

/* Whom a program runs as is the parent's, too. A type without programs refuses the field itself. */
static enum wr_rc run_as(struct task_def *t, const struct analysis_rule *rule, const struct jpath *at, struct wr_err *err) {
  json_t *cfg = t->config ? json_reparse(t->config, strlen(t->config)) : NULL;
  const char *user = json_string_value(json_object_get(cfg, "user"));
  bool programs = strcmp(t->type, "SHELL") == 0 || strcmp(t->type, rule->parent_type) == 0;
  enum wr_rc rc = WR_OK;
  if (user && (!rule->run_as || strcmp(user, rule->run_as) != 0)) {
    rc = fail_at(err, WR_OUT_OF_RANGE, JKEY(JKEY(at, "taskConfig"), "user"),
                 "A task that an analyzer adds runs as the user that its parent runs as, and cannot set it.");
  } else if (!user && rule->run_as && programs) {
    if (!cfg) cfg = json_must(json_object());
    wr_assert(json_object_set_new(cfg, "user", json_must(json_string(rule->run_as))) == 0);
    free(t->config);
    t->config = json_text(cfg, 0);
  }
  json_decref(cfg);
  return rc;
}

/* The environment of a program decides what it does as much as its arguments. A script of SHELL, which was named, sets it
 * anyway. */
static enum wr_rc no_env(const struct task_def *t, const struct jpath *at, struct wr_err *err) {
  json_t *cfg = t->config && strcmp(t->type, "SHELL") != 0 ? json_reparse(t->config, strlen(t->config)) : NULL;
  bool env = json_object_get(cfg, "env") != NULL;
  json_decref(cfg);
  if (!env) return WR_OK;
  return fail_at(err, WR_OUT_OF_RANGE, JKEY(JKEY(at, "taskConfig"), "env"),
                 "A task that an analyzer adds cannot set env, unless it is of type SHELL: taskContent and params reach its "
                 "program.");
}

static void hash_task(const json_t *body, struct async_spec *s) {
  struct buf b = BUF_INIT;
  if (!s->key) return;
  async_text(body, 0, &b);
  (void)SHA256((const unsigned char *)b.data, b.len, s->hash);
  buf_done(&b);
}

static enum wr_rc read_task(const json_t *body, size_t i, const struct analysis_rule *rule, const struct def_env *env,
                            struct async_post *out, struct wr_err *err) {
  const struct jpath *at = JELEM(JKEY(NULL, "tasks"), i);
  if (!json_is_object(body)) return fail_at(err, WR_WRONG_TYPE, at, "A task must be an object.");
  const char *type = json_string_value(json_object_get(body, "taskType"));
  enum wr_rc rc = type ? type_allowed(type, rule, at, err) : WR_OK; /* what is no text is refused with its own sentence */
  if (!rc) rc = async_parse(body, ASYNC_INLINE, env, (int64_t)i, out, err);
  if (!rc) rc = analyzer_allowed(out->def, rule, env, at, err);
  if (!rc) rc = whose(out, at, err);
  if (!rc) rc = no_env(out->def, at, err);
  if (!rc) rc = run_as(out->def, rule, at, err);
  if (!rc) hash_task(body, out->spec);
  return rc;
}

static enum wr_rc read_tasks(const json_t *list, const struct analysis_rule *rule, const struct def_env *env, struct verdict *v,
                             struct wr_err *err) {
  size_t n = json_array_size(list);
  if (!json_is_array(list)) return fail_at(err, WR_WRONG_TYPE, JKEY(NULL, "tasks"), "tasks must be an array.");
  if (n > LIMIT_ANALYSIS_TASKS) return fail_large(err, JKEY(NULL, "tasks"), "Tasks", n, LIMIT_ANALYSIS_TASKS);
  if (n > 0) v->task = wr_calloc(n, sizeof *v->task);
  enum wr_rc rc = WR_OK;
  for (size_t i = 0; !rc && i < n; i++) {
    v->n_task = (uint32_t)i + 1; /* a task that was read in part is released, too */
    rc = read_task(json_array_get(list, i), i, rule, env, &v->task[i], err);
  }
  return rc;
}

/* ---- the verdict ---- */

enum { V_VERDICT, V_MESSAGE, V_AFTER, V_RESULT, V_TASKS, V_WAIT, V__N };
static const struct field verdict_field[V__N] = {[V_VERDICT] = FIELD("verdict", F_TEXT), [V_MESSAGE] = FIELD("message", F_TEXT),
    [V_AFTER] = FIELD("after", F_ANY), [V_RESULT] = FIELD("result", F_ANY), [V_TASKS] = FIELD("tasks", F_ANY),
    [V_WAIT] = FIELD("wait", F_ANY)};

static enum wr_rc read_kind(const json_t *v, struct verdict *out, struct wr_err *err) {
  static const struct word_list words = {WR_OUT_OF_RANGE, {"done", "failed", "retry"}};
  int word = 0;
  if (!v) return fail_at(err, WR_OUT_OF_RANGE, JKEY(NULL, "verdict"), "verdict is required: done, failed or retry.");
  enum wr_rc rc = field_word(v, &words, JKEY(NULL, "verdict"), &word, err);
  out->kind = (enum verdict_kind)(VERDICT_DONE + word);
  return rc;
}

/* Seconds, fractions too, or a text such as "5m". */
static enum wr_rc read_after(const json_t *v, struct verdict *out, struct wr_err *err) {
  static const char form[] = "after must be a time like \"500ms\" or \"5m\", or a number of seconds, at most 365 days.";
  const struct jpath *at = JKEY(NULL, "after");
  double us = json_number_value(v) * 1e6;
  bool ok = json_is_string(v) ? text_duration(json_string_value(v), json_string_length(v), LIMIT_AGAIN_US, &out->after_us)
                              : json_is_number(v) && us >= 0 && us <= (double)LIMIT_AGAIN_US;
  if (!ok) return fail_at(err, json_is_string(v) || json_is_number(v) ? WR_OUT_OF_RANGE : WR_WRONG_TYPE, at, form);
  if (json_is_number(v)) out->after_us = (int64_t)(us + 0.5);
  out->has_after = true;
  return WR_OK;
}

/* A text as it is, any other value as JSON: as the result of a task is shown. */
static enum wr_rc read_result(const json_t *v, struct verdict *out, struct wr_err *err) {
  if (json_is_string(v)) out->result = wr_memdup0(json_string_value(v), out->result_len = json_string_length(v));
  else out->result = json_text(v, 0), out->result_len = strlen(out->result);
  if (out->result_len <= LIMIT_RESULT_BYTES) return WR_OK;
  return fail_large(err, JKEY(NULL, "result"), "Bytes of result", out->result_len, LIMIT_RESULT_BYTES);
}

static enum wr_rc fits_kind(json_t *const *v, const struct verdict *out, struct wr_err *err) {
  static const struct { int field; enum verdict_kind of; } only[] = {
    {V_AFTER, VERDICT_RETRY}, {V_TASKS, VERDICT_DONE}, {V_WAIT, VERDICT_DONE}};
  for (size_t i = 0; i < sizeof only / sizeof *only; i++)
    if (v[only[i].field] && out->kind != only[i].of)
      return fail_at(err, WR_OUT_OF_RANGE, JKEY(NULL, verdict_field[only[i].field].name), "%s goes with the verdict %s alone.",
                     verdict_field[only[i].field].name, verdict_name(only[i].of));
  return WR_OK;
}

static enum wr_rc read_verdict(const json_t *o, const struct analysis_rule *rule, const struct def_env *env, struct verdict *out,
                               struct wr_err *err) {
  json_t *v[V__N];
  enum wr_rc rc = field_read(o, verdict_field, V__N, v, NULL, err);
  if (!rc) rc = read_kind(v[V_VERDICT], out, err);
  if (!rc) rc = fits_kind(v, out, err);
  if (!rc && v[V_AFTER]) rc = read_after(v[V_AFTER], out, err);
  if (!rc && v[V_WAIT] && !json_is_boolean(v[V_WAIT]))
    rc = fail_at(err, WR_WRONG_TYPE, JKEY(NULL, "wait"), "wait must be true or false.");
  if (!rc && v[V_RESULT] && !json_is_null(v[V_RESULT])) rc = read_result(v[V_RESULT], out, err);
  if (!rc && v[V_TASKS]) rc = read_tasks(v[V_TASKS], rule, env, out, err);
  if (rc) return rc;
  out->no_wait = json_is_false(v[V_WAIT]);
  if (v[V_MESSAGE]) {
    char text[LIMIT_ERROR_BYTES + 1];
    out->message = wr_memdup0(text, text_cut(text, json_string_value(v[V_MESSAGE]), LIMIT_ERROR_BYTES));
  }
  return WR_OK;
}

/* What the analyzer did wrong keeps its sentence, with its place; what the server could not do is BUSY. */
static enum wr_rc refused(enum wr_rc rc, struct wr_err *err) {
  struct wr_err was = *err;
  bool ours = rc == WR_BUSY || wr_err_status(rc) >= 500;
  return wr_err_set(err, ours ? WR_BUSY : WR_OUT_OF_RANGE, "%s%s%s", was.path, *was.path ? ": " : "", was.msg);
}

enum wr_rc analysis_answer_parse(const char *text, size_t n, const struct analysis_rule *rule, const struct def_env *env,
                                 struct verdict *out, struct wr_err *err) {
  json_t *o = NULL;
  struct wr_err why = {0};
  *out = (struct verdict){0};
  enum wr_rc rc = n <= LIMIT_ANALYSIS_BYTES ? json_load_strict(text, n, LIMIT_ANALYSIS_VALUES, &o, &why)
                                            : fail_large(&why, NULL, "Bytes of the answer", n, LIMIT_ANALYSIS_BYTES);
  if (!rc) rc = read_verdict(o, rule, env, out, &why);
  json_decref(o);
  if (!rc) return WR_OK;
  verdict_done(out);
  *err = why;
  return refused(rc, err);
}

enum wr_rc analysis_tasks(const json_t *list, const struct analysis_rule *rule, const struct def_env *env, struct verdict *out,
                          struct wr_err *err) {
  enum wr_rc rc = read_tasks(list, rule, env, out, err);
  if (!rc) return WR_OK;
  verdict_done(out);
  return refused(rc, err);
}
