/* Tasks: from JSON to a definition, on their own (POST /task) and inline in a flow's node, and back to stored text.
 * Pure but for what struct def_env answers; any thread. A definition that left this file never changes. */
#include <stdlib.h>
#include <string.h>

#include "analysis.h"
#include "err.h"
#include "labels.h"
#include "json_write.h"
#include "wr_limits.h"
#include "model.h"

/* Server-made fields are accepted and ignored: what GET answers can be edited and posted back. */
const struct field task_field[T__N] = {
    [T_ID] = FIELD("taskId", F_ANY), [T_NAME] = FIELD("taskName", F_TEXT), [T_TYPE] = FIELD("taskType", F_TEXT),
    [T_DESCRIPTION] = FIELD("taskDescription", F_TEXT), [T_CONTENT] = FIELD("taskContent", F_TEXT),
    [T_CONFIG] = FIELD("taskConfig", F_ANY), [T_VERSION] = FIELD("taskVersion", F_ANY),
    FIELD("createTime", F_OURS), FIELD("updateTime", F_OURS), FIELD("createUser", F_OURS), FIELD("updateUser", F_OURS),
    FIELD("createdAt", F_OURS), FIELD("updatedAt", F_OURS)};

/* ---- taskConfig ---- */
/* The keys that mean the same for every type; all others are the executor's. */
/* Those from C__SHARED on make sense for some types only, so the executor sees them too, and refuses them where they do not. */
enum { C_ATTEMPTS, C_BACKOFF, C_TIMEOUT, C_RUN_TIMEOUT, C_QUEUE_TIMEOUT, C_ON_LOST, C_QUEUE, C_LABELS, C_ANALYZER,
       C_ANALYZER_ATTEMPTS, C_ANALYZER_TIMEOUT, C_CHILD_FAILURE, C__SHARED,
       C_HEARTBEAT = C__SHARED, C_ON_DELETE, C__N };
static const char *const config_key[C__N] = {[C_ATTEMPTS] = "attempts", [C_BACKOFF] = "backoff", [C_TIMEOUT] = "timeout",
    [C_RUN_TIMEOUT] = "runTimeout", [C_QUEUE_TIMEOUT] = "queueTimeout", [C_ON_LOST] = "onLost",
    [C_QUEUE] = "queue", [C_LABELS] = "labels", [C_ANALYZER] = "analyzer", [C_ANALYZER_ATTEMPTS] = "analyzerAttempts",
    [C_ANALYZER_TIMEOUT] = "analyzerTimeout", [C_CHILD_FAILURE] = "childFailure",
    [C_HEARTBEAT] = "heartbeatTimeout", [C_ON_DELETE] = "onDelete"};

bool task_setting(const char *key) {
  static const char *const shell[] = {"argv", "env", "cwd", "stdin", "grace", "log", "stderr", "umask", "rlimits"};
  for (size_t i = 0; i < C__N; i++)
    if (strcmp(config_key[i], key) == 0) return true;
  for (size_t i = 0; i < sizeof shell / sizeof *shell; i++)
    if (strcmp(shell[i], key) == 0) return true;
  return false;
}

/* What else it says is the executor's to read. */
static enum wr_rc on_delete_read(const json_t *v, const struct jpath *at, int64_t *out_us, struct wr_err *err) {
  const json_t *timeout = json_object_get(v, "timeout");
  *out_us = LIMIT_CLEANUP_US;
  if (!json_is_object(v)) return fail_at(err, WR_WRONG_TYPE, at, "onDelete must be an object.");
  return timeout ? field_timeout(timeout, JKEY(at, "timeout"), out_us, err) : WR_OK;
}

/* What the analyzer of t is, and what its children mean for it. v: the values of config_key. */
static enum wr_rc analyzer_settings(json_t *const *v, const struct jpath *at, struct task_def *t, struct wr_err *err) {
  static const struct word_list words = {WR_OUT_OF_RANGE, {[CHILD_FAIL] = "fail", [CHILD_IGNORE] = "ignore"}};
  enum wr_rc rc = WR_OK;
  int64_t attempts = LIMIT_ANALYSES_DEFAULT;
  int word = CHILD_FAIL;
  analyzer_free(t->analyzer);
  t->analyzer = NULL;
  t->analyzer_timeout_us = LIMIT_ANALYSIS_US;
  if (v[C_ANALYZER]) rc = analyzer_read(v[C_ANALYZER], JKEY(at, "analyzer"), &t->analyzer, err);
  if (!rc && v[C_ANALYZER_ATTEMPTS])
    rc = field_int(v[C_ANALYZER_ATTEMPTS], 1, LIMIT_ANALYSES, JKEY(at, "analyzerAttempts"), &attempts, err);
  if (!rc && v[C_ANALYZER_TIMEOUT])
    rc = field_timeout(v[C_ANALYZER_TIMEOUT], JKEY(at, "analyzerTimeout"), &t->analyzer_timeout_us, err);
  if (!rc && v[C_CHILD_FAILURE]) rc = field_word(v[C_CHILD_FAILURE], &words, JKEY(at, "childFailure"), &word, err);
  t->analyzer_attempts = (uint32_t)attempts;
  t->child_failure = (uint8_t)word;
  return rc;
}

/* Policy, timeouts and queue of t; policy.slot is left alone. cfg NULL: the defaults. at: of the config. */
static enum wr_rc settings_read(const json_t *cfg, const struct jpath *at, struct task_def *t, struct wr_err *err) {
  static const struct word_list on_lost = {WR_OUT_OF_RANGE, {[ON_LOST_RETRY] = "retry", [ON_LOST_FAIL] = "fail"}};
  json_t *v[C__N];
  enum wr_rc rc = WR_OK;
  uint8_t slot = t->policy.slot;
  int64_t attempts = t->of_job ? LIMIT_JOB_ATTEMPTS : 1;
  int lost = ON_LOST_RETRY;
  for (int i = 0; i < C__N; i++) v[i] = json_object_get(cfg, config_key[i]);
  t->policy = task_policy_default;
  t->policy.slot = slot;
  t->timeout_us = t->heartbeat_us = t->clean_up_us = 0;
  if (v[C_ATTEMPTS]) rc = field_int(v[C_ATTEMPTS], 1, LIMIT_ATTEMPTS, JKEY(at, "attempts"), &attempts, err);
  if (!rc && v[C_BACKOFF]) rc = field_backoff(v[C_BACKOFF], JKEY(at, "backoff"), &t->policy, err);
  if (!rc && v[C_TIMEOUT] && v[C_RUN_TIMEOUT])
    rc = fail_at(err, WR_OUT_OF_RANGE, JKEY(at, "runTimeout"), "timeout and runTimeout are the same; give one of them.");
  if (!rc && v[C_TIMEOUT]) rc = field_timeout(v[C_TIMEOUT], JKEY(at, "timeout"), &t->timeout_us, err);
  if (!rc && v[C_RUN_TIMEOUT]) rc = field_timeout(v[C_RUN_TIMEOUT], JKEY(at, "runTimeout"), &t->timeout_us, err);
  if (!rc && v[C_QUEUE_TIMEOUT])
    rc = field_timeout(v[C_QUEUE_TIMEOUT], JKEY(at, "queueTimeout"), &t->policy.queue_timeout_us, err);
  if (!rc && v[C_ON_LOST]) rc = field_word(v[C_ON_LOST], &on_lost, JKEY(at, "onLost"), &lost, err);
  if (!rc && v[C_HEARTBEAT]) rc = field_timeout(v[C_HEARTBEAT], JKEY(at, "heartbeatTimeout"), &t->heartbeat_us, err);
  if (!rc && v[C_ON_DELETE]) rc = on_delete_read(v[C_ON_DELETE], JKEY(at, "onDelete"), &t->clean_up_us, err);
  free(t->queue);
  t->queue = NULL;
  if (!rc && v[C_QUEUE]) rc = queue_read(v[C_QUEUE], QUEUE_OF_CONFIG, JKEY(at, "queue"), &t->queue, err);
  free(t->labels);
  t->labels = NULL;
  if (!rc && v[C_LABELS]) rc = labels_read(v[C_LABELS], JKEY(at, "labels"), &t->labels, err);
  if (!rc) rc = analyzer_settings(v, at, t, err);
  t->policy.attempts = (uint32_t)attempts;
  t->has_attempts = v[C_ATTEMPTS] != NULL;
  t->policy.on_lost = (enum on_lost)lost;
  return rc;
}

enum wr_rc config_check(const json_t *cfg, const struct jpath *at, struct wr_err *err) {
  struct task_def t = {0};
  enum wr_rc rc = settings_read(cfg, at, &t, err);
  free(t.queue);
  free(t.labels);
  analyzer_free(t.analyzer);
  return rc;
}

/* cfg without the keys that are the model's alone; a new reference, NULL when nothing is left. */
static json_t *executor_part(const json_t *cfg) {
  if (!cfg) return NULL;
  json_t *part = json_must(json_copy(json_mutable(cfg)));
  for (int i = 0; i < C__SHARED; i++) (void)json_object_del(part, config_key[i]); /* -1: was not there */
  if (json_object_size(part) > 0) return part;
  json_decref(part);
  return NULL;
}

/* An object, or a string that holds one. {} and "" mean none. */
static enum wr_rc config_read(const json_t *v, const struct jpath *at, struct task_in *in, struct wr_err *err) {
  struct wr_err why;
  json_t *cfg = NULL;
  if (json_is_string(v) && json_string_length(v) == 0) return WR_OK;
  if (json_is_string(v)) {
    enum wr_rc rc = json_load_strict(json_string_value(v), json_string_length(v), LIMIT_JSON_VALUES, &cfg, &why);
    if (rc == WR_BUSY) return wr_err_set(err, rc, "%s", why.msg);
    if (rc != WR_OK)
      return fail_at(err, WR_WRONG_TYPE, at, "taskConfig must be a JSON object, or a text that holds one: %s", why.msg);
  } else {
    if (!json_is_object(v)) return fail_at(err, WR_WRONG_TYPE, at, "taskConfig must be a JSON object, or a text that holds one.");
    cfg = json_incref(json_mutable(v));
  }
  if (json_object_size(cfg) == 0) {
    json_decref(cfg);
    return WR_OK;
  }
  in->cfg = cfg;
  in->config = json_text(cfg, 0);
  in->key.config = in->config;
  size_t n = strlen(in->config), depth = json_text_depth(in->config, n);
  if (n > LIMIT_CONFIG_BYTES) return fail_large(err, at, "Bytes of taskConfig", n, LIMIT_CONFIG_BYTES);
  if (depth > LIMIT_CONFIG_DEPTH) return fail_large(err, at, "Nesting of taskConfig", depth, LIMIT_CONFIG_DEPTH);
  return WR_OK;
}

/* ---- one task ---- */
enum wr_rc task_in_read(json_t *const *v, const struct jpath *at, struct task_in *in, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  *in = (struct task_in){0};
  if (v[T_NAME]) {
    rc = field_name(v[T_NAME], JKEY(at, "taskName"), err);
    in->key.name = json_string_value(v[T_NAME]);
    in->has |= DEF_HAS_NAME;
  }
  if (!rc && v[T_DESCRIPTION]) {
    rc = field_description(v[T_DESCRIPTION], JKEY(at, "taskDescription"), err);
    in->key.description = json_string_value(v[T_DESCRIPTION]);
    in->has |= DEF_HAS_DESCRIPTION;
  }
  if (v[T_TYPE]) {
    in->key.type = json_string_value(v[T_TYPE]);
    in->has |= DEF_HAS_TYPE;
  }
  if (v[T_CONTENT]) {
    in->key.content = json_string_value(v[T_CONTENT]);
    in->has |= DEF_HAS_CONTENT;
  }
  if (!rc && v[T_CONFIG]) {
    rc = config_read(v[T_CONFIG], JKEY(at, "taskConfig"), in, err);
    in->has |= DEF_HAS_CONFIG;
  }
  return rc;
}

void task_in_done(struct task_in *in) {
  json_decref(in->cfg);
  free(in->config);
  *in = (struct task_in){0};
}

static enum wr_rc type_check(const struct task_in *in, const struct def_env *env, const struct jpath *at, uint8_t *slot,
                             struct wr_err *err) {
  char path[JPATH_MAX];
  json_t *part = executor_part(in->cfg);
  enum wr_rc rc = env->check_type(env->ctx, in->key.type, in->key.content, part, jpath_text(path, at), slot, err);
  json_decref(part);
  return rc;
}

/* A registered one: is it there? */
static enum wr_rc analyzer_check(const struct analyzer *a, const struct def_env *env, const struct jpath *at,
                                 struct wr_err *err) {
  const struct added *there = NULL;
  if (a->kind != ANALYZER_NAMED) return WR_OK;
  enum wr_rc rc = env->analyzer_find ? env->analyzer_find(env->ctx, a->name, &there, err) : WR_OK;
  if (rc || there) return rc;
  return fail_at(err, WR_OUT_OF_RANGE, at,
                 "There is no analyzer %s: register it (POST /analyzer), or give a built-in one, such as "
                 "{\"type\": \"exit-code\", \"ok\": [0]}.", a->name);
}

enum wr_rc task_in_make(const struct task_in *in, const struct def_env *env, const struct jpath *at, struct task_def **out,
                        struct wr_err *err) {
  const struct task_key *k = &in->key;
  struct task_def *t = wr_new(struct task_def);
  atomic_init(&t->refs, 1);
  t->name = wr_strdup(k->name);
  t->description = wr_strdup(k->description);
  t->type = wr_strdup(k->type);
  t->content = wr_strdup(k->content);
  t->config = wr_strdup(k->config);
  enum wr_rc rc = settings_read(in->cfg, JKEY(at, "taskConfig"), t, err);
  if (!rc && env) rc = type_check(in, env, at, &t->policy.slot, err);
  if (!rc && env && t->analyzer) rc = analyzer_check(t->analyzer, env, JKEY(JKEY(at, "taskConfig"), "analyzer"), err);
  /* After the type's own check: a script that is too long has an error of its own. */
  size_t most = in->alone ? LIMIT_ASYNC_CONTENT_BYTES : LIMIT_CONTENT_BYTES;
  bool large = !rc && k->content && strlen(k->content) > most;
  if (large && env && t->policy.slot == SLOT_PROCESS)
    rc = fail_at(err, WR_BAD_COMMAND, JKEY(at, "taskContent"), "The script is larger than %zu bytes.", most);
  else if (large)
    rc = fail_large(err, JKEY(at, "taskContent"), "Bytes of taskContent", strlen(k->content), most);
  if (rc) {
    def_task_unref(t);
    return rc;
  }
  *out = t;
  return WR_OK;
}

/* An update may leave fields open: what it has is kept as it came, unchecked until def_task_merge(). */
static struct task_def *task_partial(const struct task_in *in) {
  struct task_def *t = wr_new(struct task_def);
  atomic_init(&t->refs, 1);
  t->name = wr_strdup(in->key.name);
  t->description = wr_strdup(in->key.description);
  t->type = wr_strdup(in->key.type);
  t->content = wr_strdup(in->key.content);
  t->config = wr_strdup(in->key.config);
  t->policy = task_policy_default;
  return t;
}

static enum wr_rc task_post_make(const struct task_in *in, const struct def_env *env, struct task_post *p, struct wr_err *err) {
  if (p->task_id) {
    p->def = task_partial(in);
    p->def->task_id = p->task_id;
    return WR_OK;
  }
  if (!in->key.name) return fail_at(err, WR_BAD_NAME, JKEY(NULL, "taskName"), "taskName is required.");
  if (!in->key.type) return fail_at(err, WR_UNKNOWN_TYPE, JKEY(NULL, "taskType"), "taskType is required.");
  return task_in_make(in, env, NULL, &p->def, err);
}

enum wr_rc def_task_parse(const json_t *body, const struct def_env *env, struct task_post *out, struct wr_err *err) {
  json_t *v[T__N];
  struct task_in in = {0};
  *out = (struct task_post){0};
  enum wr_rc rc = field_read(body, task_field, T__N, v, NULL, err);
  if (!rc && v[T_ID]) rc = field_id(v[T_ID], JKEY(NULL, "taskId"), &out->task_id, err);
  if (!rc && v[T_VERSION]) rc = field_id(v[T_VERSION], JKEY(NULL, "taskVersion"), &out->version, err);
  if (!rc) rc = task_in_read(v, NULL, &in, err);
  out->has = in.has | (v[T_VERSION] ? DEF_HAS_VERSION : 0);
  if (!rc) rc = task_post_make(&in, env, out, err);
  task_in_done(&in);
  return rc;
}

enum wr_rc def_task_merge(const struct task_post *p, const struct task_def *old, const struct def_env *env, struct task_def **out,
                          struct wr_err *err) {
  const struct task_def *d = p->def;
  if ((p->has & DEF_HAS_VERSION) && p->version != old->version)
    return wr_err_at(err, WR_STALE, "/taskVersion", "You have version %lld, current is %lld.", (long long)p->version,
                     (long long)old->version);
  struct task_in in = {.key = {
      .name = (p->has & DEF_HAS_NAME ? d : old)->name,
      .description = (p->has & DEF_HAS_DESCRIPTION ? d : old)->description,
      .type = (p->has & DEF_HAS_TYPE ? d : old)->type,
      .content = (p->has & DEF_HAS_CONTENT ? d : old)->content,
      .config = (p->has & DEF_HAS_CONFIG ? d : old)->config}};
  if (in.key.config) in.cfg = json_must(json_reparse(in.key.config, strlen(in.key.config)));
  enum wr_rc rc = task_in_make(&in, env, NULL, out, err);
  task_in_done(&in);
  if (rc) return rc;
  struct task_def *t = *out;
  t->task_id = old->task_id;
  t->version = old->version;
  t->create_us = old->create_us;
  t->update_us = old->update_us;
  t->create_user = wr_strdup(old->create_user);
  t->update_user = wr_strdup(d->update_user ? d->update_user : old->update_user);
  return WR_OK;
}

enum wr_rc def_task_derive(struct task_def *t, struct wr_err *err) {
  json_t *cfg = t->config ? json_reparse(t->config, strlen(t->config)) : NULL;
  bool broken = t->config && !json_is_object(cfg);
  if (!broken) broken = settings_read(cfg, NULL, t, NULL) != WR_OK;
  json_decref(cfg);
  if (!broken) return WR_OK;
  return wr_err_set(err, WR_INTERNAL, "The stored configuration of task %lld cannot be read.", (long long)t->task_id);
}

int64_t config_timeout_us(const char *config) {
  int64_t us = 0;
  json_t *cfg = config && strstr(config, "imeout\"") ? json_reparse(config, strlen(config)) : NULL;
  for (int k = C_TIMEOUT; k <= C_RUN_TIMEOUT; k++) {
    const json_t *v = json_object_get(cfg, config_key[k]);
    if (v && us == 0 && field_timeout(v, NULL, &us, NULL) != WR_OK) us = 0;
  }
  json_decref(cfg);
  return us;
}

/* ---- the inline tasks of a node, as the store keeps them ---- */
char *def_inline_text(const struct node_def *n) {
  struct buf b = BUF_INIT;
  if (n->n_task == 0) return NULL;
  j_open(&b, '[');
  for (uint32_t i = 0; i < n->n_task; i++) {
    const struct task_def *t = n->task[i];
    j_open(&b, '{');
    j_text(&b, "taskName", t->name);
    j_text(&b, "taskDescription", t->description);
    j_text(&b, "taskType", t->type);
    j_text(&b, "taskContent", t->content);
    j_raw(&b, "taskConfig", t->config);
    j_close(&b, '}');
  }
  j_close(&b, ']');
  return b.data;
}

static enum wr_rc inline_one(const json_t *o, struct task_def **out, struct wr_err *err) {
  json_t *v[T__N];
  struct task_in in = {0};
  if (!json_is_object(o)) return WR_INTERNAL;
  enum wr_rc rc = field_read(o, task_field, T__N, v, NULL, err);
  if (!rc) rc = task_in_read(v, NULL, &in, err);
  if (!rc && (!in.key.name || !in.key.type)) rc = WR_INTERNAL;
  if (!rc) rc = task_in_make(&in, NULL, NULL, out, err);
  task_in_done(&in);
  return rc;
}

enum wr_rc def_inline_parse(struct node_def *n, const char *text, size_t len, struct wr_err *err) {
  json_t *a = json_reparse(text, len);
  size_t count = json_array_size(a); /* 0 when it is no array */
  enum wr_rc rc = count ? WR_OK : WR_INTERNAL;
  if (count) n->task = wr_calloc(count, sizeof(struct task_def *));
  for (size_t i = 0; !rc && i < count; i++) {
    rc = inline_one(json_array_get(a, i), &n->task[i], NULL);
    if (!rc) n->n_task = (uint32_t)i + 1;
  }
  json_decref(a);
  return rc ? wr_err_set(err, WR_INTERNAL, "The stored tasks of node %lld cannot be read.", (long long)n->node_id) : WR_OK;
}

void def_in_job(struct task_def *t) {
  t->of_job = 1; /* def_task_derive() may come again */
  if (!t->has_attempts) t->policy.attempts = LIMIT_JOB_ATTEMPTS;
}
