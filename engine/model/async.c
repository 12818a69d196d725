/* Submits of stand-alone tasks: see async.h. One table of fields for both forms; a place is formatted only for an error. */
#include "async.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "model.h"
#include "text.h"
#include "wr_limits.h"

/* ---- queue ---- */
enum { Q_USER, Q_GROUP, Q_PRIORITY, Q_CPU, Q__N };
static const struct field queue_field[Q__N] = {[Q_USER] = FIELD("user", F_TEXT), [Q_GROUP] = FIELD("group", F_TEXT),
    [Q_PRIORITY] = FIELD("priority", F_ANY), [Q_CPU] = FIELD("cpuOverhead", F_ANY)};

enum wr_rc queue_name_check(const json_t *v, const struct jpath *at, struct wr_err *err) {
  const char *s = json_string_value(v);
  size_t n = json_string_length(v);
  if (text_utf8_len(s, n) <= LIMIT_QUEUE_NAME_CHARS && !text_has_control(s, n)) return WR_OK;
  return fail_at(err, WR_OUT_OF_RANGE, at, "%s must have 0 to %d characters, and no control characters.", at->key,
                 LIMIT_QUEUE_NAME_CHARS);
}

static char *put_text(char *to, const json_t *v, const char **out) {
  size_t n = json_string_length(v) + 1;
  if (!v) return to;
  *out = memcpy(to, json_string_value(v), n);
  return to + n;
}

/* The values of queue_field. at: of the object that holds them. */
static enum wr_rc queue_make(json_t *const *v, const struct jpath *at, struct queue_spec **out, struct wr_err *err) {
  int64_t priority = 0, cpu = 0;
  enum wr_rc rc = WR_OK;
  *out = NULL;
  if (!v[Q_USER] && !v[Q_GROUP] && !v[Q_PRIORITY] && !v[Q_CPU]) return WR_OK;
  if (v[Q_USER]) rc = queue_name_check(v[Q_USER], JKEY(at, "user"), err);
  if (!rc && v[Q_GROUP]) rc = queue_name_check(v[Q_GROUP], JKEY(at, "group"), err);
  if (!rc && v[Q_PRIORITY])
    rc = field_int(v[Q_PRIORITY], -LIMIT_PRIORITY, LIMIT_PRIORITY, JKEY(at, "priority"), &priority, err);
  if (!rc && v[Q_CPU]) rc = field_int(v[Q_CPU], 0, LIMIT_CPU_OVERHEAD, JKEY(at, "cpuOverhead"), &cpu, err);
  if (rc) return rc;
  struct queue_spec *q = wr_malloc(sizeof *q + json_string_length(v[Q_USER]) + json_string_length(v[Q_GROUP]) + 2);
  *q = (struct queue_spec){.priority = (int32_t)priority, .cpu = (int32_t)cpu, .has_priority = v[Q_PRIORITY] != NULL,
                           .has_cpu = v[Q_CPU] != NULL};
  put_text(put_text((char *)(q + 1), v[Q_USER], &q->user), v[Q_GROUP], &q->group);
  *out = q;
  return WR_OK;
}

enum wr_rc queue_read(const json_t *v, enum queue_form form, const struct jpath *at, struct queue_spec **out,
                      struct wr_err *err) {
  json_t *f[Q__N] = {0};
  *out = NULL;
  if (!json_is_object(v)) return fail_at(err, WR_WRONG_TYPE, at, "%s must be an object.", at && at->key ? at->key : "The body");
  enum wr_rc rc = field_read(v, queue_field, form == QUEUE_OF_ASK ? (size_t)Q_CPU : (size_t)Q__N, f, at, err);
  return rc ? rc : queue_make(f, at, out, err);
}

enum wr_rc queue_parse(const json_t *obj, enum queue_form form, struct queue_spec **out, struct wr_err *err) {
  return queue_read(obj, form, NULL, out, err);
}

static const struct queue_spec nothing = {0};

/* Texts are those of a or b. */
static struct queue_spec over(const struct queue_spec *a, const struct queue_spec *b) {
  if (!a) a = &nothing;
  if (!b) b = &nothing;
  return (struct queue_spec){.user = a->user ? a->user : b->user, .group = a->group ? a->group : b->group,
                             .priority = a->has_priority ? a->priority : b->priority, .cpu = a->has_cpu ? a->cpu : b->cpu,
                             .has_priority = a->has_priority || b->has_priority, .has_cpu = a->has_cpu || b->has_cpu};
}

static char *put_copy(char *to, const char **text) {
  if (!*text) return to;
  size_t n = strlen(*text) + 1;
  *text = memcpy(to, *text, n);
  return to + n;
}

struct queue_spec *queue_spec_over(const struct queue_spec *a, const struct queue_spec *b) {
  struct queue_spec q = over(a, b), *out;
  size_t n = (q.user ? strlen(q.user) + 1 : 0) + (q.group ? strlen(q.group) + 1 : 0);
  out = wr_malloc(sizeof *out + n);
  *out = q;
  (void)put_copy(put_copy((char *)(out + 1), &out->user), &out->group);
  return out;
}

struct queue_view queue_view_of(const struct queue_spec *own, const struct queue_spec *of_def, const struct queue_spec *of_flow) {
  const struct queue_spec said = over(own, of_def), q = over(&said, of_flow);
  return (struct queue_view){.user = q.user ? q.user : "", .group = q.group ? q.group : "", .priority = q.priority, .cpu = q.cpu};
}

struct queue_view queue_view(const struct queue_spec *own, const struct queue_spec *of_def) {
  return queue_view_of(own, of_def, NULL);
}

/* ---- one submit ---- */
enum { A_PARAMS, A_KEY, A_CONTEXT, A_USER, A_GROUP, A_PRIORITY, A_CPU, A_AUTO_RUN, A_DELAY, A_START_AT, A_IF_EXISTS, A__SHARED,
       A_TYPE = A__SHARED, A_NAME, A_CONTENT, A_CONFIG, A__N };
/* A submit of a definition has the first A__SHARED of them. */
static const struct field async_field[A__N] = {
    [A_PARAMS] = FIELD("params", F_ANY), [A_KEY] = FIELD("taskKey", F_TEXT), [A_CONTEXT] = FIELD("context", F_TEXT),
    [A_USER] = FIELD("user", F_TEXT), [A_GROUP] = FIELD("group", F_TEXT), [A_PRIORITY] = FIELD("priority", F_ANY),
    [A_CPU] = FIELD("cpuOverhead", F_ANY), [A_AUTO_RUN] = FIELD("autoRun", F_ANY), [A_DELAY] = FIELD("delay", F_ANY),
    [A_START_AT] = FIELD("startAt", F_TEXT), [A_IF_EXISTS] = FIELD("ifExists", F_TEXT), [A_TYPE] = FIELD("taskType", F_TEXT),
    [A_NAME] = FIELD("taskName", F_TEXT), [A_CONTENT] = FIELD("taskContent", F_TEXT), [A_CONFIG] = FIELD("taskConfig", F_ANY)};

static enum wr_rc read_key(const json_t *v, const struct jpath *at, char **out, struct wr_err *err) {
  const char *s = json_string_value(v);
  size_t n = json_string_length(v);
  bool ok = n >= 1 && n <= LIMIT_KEY_CHARS;
  for (size_t i = 0; ok && i < n; i++) ok = s[i] > ' ' && s[i] <= '~';
  if (!ok) return fail_at(err, WR_OUT_OF_RANGE, at, "taskKey must be 1 to %d visible ASCII characters.", LIMIT_KEY_CHARS);
  *out = wr_strdup(s);
  return WR_OK;
}

static enum wr_rc read_context(const json_t *v, const struct jpath *at, struct async_spec *s, struct wr_err *err) {
  size_t n = json_string_length(v);
  if (n > LIMIT_CONTEXT_BYTES) return fail_large(err, at, "Bytes of context", n, LIMIT_CONTEXT_BYTES);
  s->context = wr_memdup0(json_string_value(v), n);
  s->context_len = n;
  return WR_OK;
}

/* Seconds, fractions too, or a text such as "5m". */
static enum wr_rc read_delay(const json_t *v, const struct jpath *at, int64_t *out_us, struct wr_err *err) {
  static const char form[] = "delay must be a time like \"500ms\", \"5m\" or \"30d\", or a number of seconds, at most 365 days.";
  if (json_is_string(v))
    return text_duration(json_string_value(v), json_string_length(v), LIMIT_DELAY_US, out_us)
               ? WR_OK : fail_at(err, WR_OUT_OF_RANGE, at, form);
  if (!json_is_number(v)) return fail_at(err, WR_WRONG_TYPE, at, form);
  double us = json_number_value(v) * 1e6;
  if (!(us >= 0 && us <= (double)LIMIT_DELAY_US)) return fail_at(err, WR_OUT_OF_RANGE, at, form);
  *out_us = (int64_t)(us + 0.5);
  return WR_OK;
}

static enum wr_rc read_start_at(const json_t *v, const struct jpath *at, int64_t *out_us, struct wr_err *err) {
  const char *s = json_string_value(v);
  size_t n = json_string_length(v);
  bool ok = n > 19 && s[10] != ' ' && clock_parse(s, n, out_us); /* the form with a blank has no zone */
  if (!ok) return fail_at(err, WR_OUT_OF_RANGE, at, "startAt must be a time with its zone, such as 2026-11-29T18:00:00Z.");
  if (*out_us < 1) *out_us = 1; /* 0 would mean "not given" */
  return WR_OK;
}

static enum wr_rc read_when(json_t *const *v, const struct jpath *at, struct async_spec *s, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  if (v[A_AUTO_RUN] && !json_is_boolean(v[A_AUTO_RUN]))
    return fail_at(err, WR_WRONG_TYPE, JKEY(at, "autoRun"), "autoRun must be true or false.");
  s->hold = json_is_false(v[A_AUTO_RUN]);
  if (v[A_DELAY]) rc = read_delay(v[A_DELAY], JKEY(at, "delay"), &s->delay_us, err);
  if (!rc && v[A_START_AT]) rc = read_start_at(v[A_START_AT], JKEY(at, "startAt"), &s->start_at_us, err);
  if (rc) return rc;
  if (v[A_DELAY] && v[A_START_AT])
    return fail_at(err, WR_OUT_OF_RANGE, JKEY(at, "startAt"), "delay and startAt both say when it starts; give one of them.");
  if (s->hold && (v[A_DELAY] || v[A_START_AT]))
    return fail_at(err, WR_OUT_OF_RANGE, JKEY(at, "autoRun"), "A task with autoRun false has no time to start: leave out %s.",
                   v[A_DELAY] ? "delay" : "startAt");
  return WR_OK;
}

static enum wr_rc read_if_exists(const json_t *v, const struct jpath *at, struct async_spec *s, struct wr_err *err) {
  static const struct word_list words = {WR_OUT_OF_RANGE,
    {[IF_EXISTS_RETURN] = "return", [IF_EXISTS_FAIL] = "fail", [IF_EXISTS_RERUN] = "rerunFailed"}};
  int word = IF_EXISTS_RETURN;
  enum wr_rc rc = field_word(v, &words, at, &word, err);
  s->if_exists = (enum if_exists)word;
  return rc;
}

static enum wr_rc spec_make(json_t *const *v, const struct jpath *at, struct async_spec *s, struct wr_err *err) {
  json_t *const queue[Q__N] = {[Q_USER] = v[A_USER], [Q_GROUP] = v[A_GROUP], [Q_PRIORITY] = v[A_PRIORITY], [Q_CPU] = v[A_CPU]};
  enum wr_rc rc = queue_make(queue, at, &s->queue, err);
  if (!rc && v[A_KEY]) rc = read_key(v[A_KEY], JKEY(at, "taskKey"), &s->key, err);
  if (!rc && v[A_CONTEXT]) rc = read_context(v[A_CONTEXT], JKEY(at, "context"), s, err);
  if (!rc) rc = read_when(v, at, s, err);
  if (!rc && v[A_IF_EXISTS]) rc = read_if_exists(v[A_IF_EXISTS], JKEY(at, "ifExists"), s, err);
  return rc;
}

static enum wr_rc inline_make(json_t *const *v, const struct def_env *env, const struct jpath *at, struct task_def **out,
                              struct wr_err *err) {
  json_t *t[T__N] = {[T_NAME] = v[A_NAME] ? v[A_NAME] : v[A_TYPE], [T_TYPE] = v[A_TYPE], [T_CONTENT] = v[A_CONTENT],
                     [T_CONFIG] = v[A_CONFIG]};
  struct task_in in;
  if (!v[A_TYPE]) return fail_at(err, WR_UNKNOWN_TYPE, JKEY(at, "taskType"), "taskType is required.");
  enum wr_rc rc = task_in_read(t, at, &in, err);
  in.alone = true;
  if (!rc) rc = task_in_make(&in, env, at, out, err);
  task_in_done(&in);
  return rc;
}

enum wr_rc async_parse(const json_t *body, enum async_form form, const struct def_env *env, int64_t element,
                       struct async_post *out, struct wr_err *err) {
  const struct jpath list = {NULL, "tasks", 0}, place = {&list, NULL, (size_t)element}, *at = element >= 0 ? &place : NULL;
  json_t *v[A__N] = {0};
  *out = (struct async_post){.spec = wr_new(struct async_spec)};
  if (!body) return WR_OK; /* of a definition, with nothing to add */
  if (!json_is_object(body)) return fail_at(err, WR_WRONG_TYPE, at, "A task must be an object.");
  enum wr_rc rc = field_read(body, async_field, form == ASYNC_INLINE ? (size_t)A__N : (size_t)A__SHARED, v, at, err);
  if (!rc && form == ASYNC_INLINE) rc = inline_make(v, env, at, &out->def, err);
  if (!rc && v[A_PARAMS]) {
    char path[JPATH_MAX];
    rc = def_params_parse(v[A_PARAMS], jpath_text(path, JKEY(at, "params")), &out->params, err);
  }
  return rc ? rc : spec_make(v, at, out->spec, err);
}

static void async_spec_free(struct async_spec *s) {
  if (!s) return;
  free(s->queue);
  free(s->key);
  free(s->context);
  free(s);
}

void async_post_done(struct async_post *p) {
  def_task_unref(p->def);
  free(p->params);
  async_spec_free(p->spec);
  *p = (struct async_post){0};
}

/* ---- equal content ---- */
static int text_add(const char *text, size_t n, void *b) {
  buf_add(b, text, n);
  return 0;
}

void async_text(const json_t *body, int64_t task_id, struct buf *out) {
  json_t *same = body ? json_must(json_copy(json_mutable(body))) : json_must(json_object());
  (void)json_object_del(same, "ifExists"); /* -1: was not there */
  buf_i64(out, task_id);
  buf_ch(out, ' ');
  wr_assert(json_dump_callback(same, text_add, out, JSON_COMPACT | JSON_SORT_KEYS) == 0);
  json_decref(same);
}

/* ---- from the store ---- */
enum wr_rc async_def(const char *name, const char *type, const char *content, const char *config, struct task_def **out,
                     struct wr_err *err) {
  struct task_def *t = wr_new(struct task_def);
  atomic_init(&t->refs, 1);
  t->name = wr_strdup(name);
  t->type = wr_strdup(type);
  t->content = wr_strdup(content);
  t->config = wr_strdup(config);
  enum wr_rc rc = def_task_derive(t, err);
  if (rc == WR_OK) *out = t;
  else def_task_unref(t);
  return rc;
}
