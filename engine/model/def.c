/* Definitions as the engine holds them: references, compiling, merging an update, parameters of an instance.
 * Any thread; immutable once made, but for def_flow_compile() on a definition that nobody else has yet. No I/O. */
#include "def.h"

#include <stdlib.h>
#include <string.h>

#include "analysis.h"
#include "err.h"
#include "wr_limits.h"
#include "model.h"
#include "text.h"

/* ---- references ---- */
struct task_def *def_task_ref(struct task_def *t) {
  if (t) atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
  return t;
}

void def_task_unref(struct task_def *t) {
  if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1) return;
  free(t->name);
  free(t->description);
  free(t->type);
  free(t->content);
  free(t->config);
  free(t->create_user);
  free(t->update_user);
  free(t->queue);
  free(t->labels);
  analyzer_free(t->analyzer);
  free(t);
}

struct flow_def *flow_new(void) {
  struct flow_def *f = wr_new(struct flow_def);
  atomic_init(&f->refs, 1);
  return f;
}

static void node_done(struct node_def *n) {
  for (uint32_t i = 0; i < n->n_task; i++) def_task_unref(n->task[i]);
  free(n->key);
  free(n->task_id);
  free(n->task);
  free(n->parent);
  free(n->config);
}

static void compiled_done(struct flow_def *f) {
  dag_unref(f->dag);
  free(f->dag_node);
  free(f->ref);
  free(f->over);
  f->dag = NULL;
  f->dag_node = NULL;
  f->ref = NULL;
  f->over = NULL;
}

struct flow_def *def_flow_ref(struct flow_def *f) {
  if (f) atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
  return f;
}

void def_flow_unref(struct flow_def *f) {
  if (!f || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1) return;
  compiled_done(f);
  for (uint32_t i = 0; i < f->n; i++) node_done(&f->node[i]);
  free(f->node);
  free(f->name);
  free(f->description);
  free(f->config);
  free(f->create_user);
  free(f->update_user);
  free(f);
}

uint32_t node_n_task(const struct node_def *n) { return n->n_task_id ? n->n_task_id : n->n_task; }

/* ---- settings out of the stored text ---- */
static enum wr_rc broken(const struct flow_def *f, struct wr_err *err) {
  return wr_err_set(err, WR_INTERNAL, "The stored definition of flow %lld cannot be read.", (long long)f->flow_id);
}

static enum wr_rc flow_settings(struct flow_def *f, struct wr_err *err) {
  json_t *v[FS__N] = {0}, *cfg = f->config ? json_reparse(f->config, strlen(f->config)) : NULL;
  bool ok = !f->config || json_is_object(cfg);
  if (ok && cfg) ok = field_read(cfg, flow_setting_field, FS__N, v, NULL, NULL) == WR_OK;
  if (ok) ok = flow_settings_read(v, NULL, f, NULL) == WR_OK;
  json_decref(cfg);
  return ok ? WR_OK : broken(f, err);
}

/* over: where the node's overrides go; *used when there are any. */
static enum wr_rc node_settings(struct flow_def *f, struct node_def *n, struct node_override *over, bool *used,
                                struct wr_err *err) {
  json_t *v[S__N] = {0}, *cfg = json_reparse(n->config, strlen(n->config));
  struct node_settings s;
  bool ok = json_is_object(cfg) && field_read(cfg, node_setting_field, S__N, v, NULL, NULL) == WR_OK &&
            node_settings_read(v, node_n_task(n), NULL, &s, NULL) == WR_OK;
  json_decref(cfg);
  if (!ok) return broken(f, err);
  n->need = s.need;
  n->rest = s.rest;
  *over = s.over;
  *used = s.over.has_attempts || s.over.has_backoff || s.over.has_timeout;
  return WR_OK;
}

/* ---- compile ---- */
/* The nodes as dag_new() wants them, and the way to them from the nodes of the flow. */
struct spec {
  struct dag_spec_node *node;
  uint32_t *parent;    /* of all nodes, one array */
  uint32_t *index;     /* flow node -> dag node */
  uint32_t n, n_task;
};

static void spec_done(struct spec *s) {
  free(s->node);
  free(s->parent);
  free(s->index);
}

/* Indices first: a parent may stand behind its child. START is dropped as a parent: its children are the roots. */
static bool spec_fill(struct flow_def *f, struct spec *s) {
  size_t edges = 0, at = 0;
  uint64_t tasks = 0;
  for (uint32_t i = 0; i < f->n; i++) edges += f->node[i].n_parent;
  s->node = wr_calloc(f->n, sizeof *s->node);
  s->index = wr_calloc(f->n, sizeof *s->index);
  s->parent = wr_calloc(edges, sizeof *s->parent);
  f->dag_node = wr_calloc(f->n, sizeof *f->dag_node);
  for (uint32_t i = 0; i < f->n; i++) {
    if (f->node[i].type != NODE_TYPE_TASK) continue;
    f->dag_node[s->n] = i;
    s->index[i] = s->n++;
  }
  for (uint32_t i = 0; i < s->n; i++) {
    const struct node_def *n = &f->node[f->dag_node[i]];
    struct dag_spec_node *d = &s->node[i];
    *d = (struct dag_spec_node){.n_task = node_n_task(n), .rest = n->rest, .parent = s->parent + at};
    d->need = n->need ? n->need : d->n_task;
    tasks += d->n_task;
    if (d->n_task == 0 || tasks > LIMIT_FLOW_TASKS) return false;
    for (uint32_t k = 0; k < n->n_parent; k++) {
      uint32_t p = n->parent[k];
      if (p >= f->n || f->node[p].type == NODE_TYPE_END || p == f->dag_node[i]) return false;
      if (f->node[p].type == NODE_TYPE_TASK) s->parent[at++] = s->index[p];
    }
    d->n_parent = (uint32_t)(s->parent + at - d->parent);
  }
  s->n_task = (uint32_t)tasks;
  return true;
}

enum { CYCLE_KEY = 32, CYCLE_TEXT = 140 };

static void cycle_key(struct buf *b, const char *key) {
  buf_printf(b, "%.*s%s", CYCLE_KEY, key, strlen(key) > CYCLE_KEY ? "..." : "");
}

static enum wr_rc cycle_fail(const struct flow_def *f, const uint32_t *cycle, uint32_t n, struct wr_err *err) {
  struct buf b = BUF_INIT;
  for (uint32_t i = 0; i < n; i++) {
    if (b.len > CYCLE_TEXT) {
      buf_str(&b, "... -> ");
      break;
    }
    cycle_key(&b, f->node[f->dag_node[cycle[i]]].key);
    buf_str(&b, " -> ");
  }
  cycle_key(&b, f->node[f->dag_node[cycle[0]]].key);
  enum wr_rc rc = wr_err_at(err, WR_CYCLE, "/flowNodes", "Cycle: %s.", b.data);
  buf_done(&b);
  return rc;
}

static void refs_fill(struct flow_def *f, uint32_t n_task, struct node_override *const *over) {
  uint32_t at = 0;
  f->ref = wr_calloc(n_task, sizeof *f->ref);
  for (uint32_t i = 0; i < f->dag->n; i++) {
    const struct node_def *n = &f->node[f->dag_node[i]];
    for (uint32_t k = 0; k < n->n_task_id; k++) f->ref[at++] = (struct task_ref){n->task_id[k], NULL, over[f->dag_node[i]]};
    for (uint32_t k = 0; k < n->n_task; k++) f->ref[at++] = (struct task_ref){0, n->task[k], over[f->dag_node[i]]};
  }
}

static enum wr_rc all_settings(struct flow_def *f, struct node_override **over, struct wr_err *err) {
  size_t count = 0, at = 0;
  enum wr_rc rc = flow_settings(f, err);
  for (uint32_t i = 0; i < f->n; i++) count += f->node[i].config != NULL;
  f->over = count ? wr_calloc(count, sizeof *f->over) : NULL;
  for (uint32_t i = 0; !rc && i < f->n; i++) {
    bool used = false;
    f->node[i].need = 1;
    f->node[i].rest = REST_RUN_ON;
    if (f->node[i].config) rc = node_settings(f, &f->node[i], &f->over[at], &used, err);
    if (used) over[i] = &f->over[at++];
  }
  return rc;
}

enum wr_rc flow_compile(struct flow_def *f, struct wr_err *err) {
  struct spec s = {0};
  struct node_override **over = wr_calloc(f->n, sizeof(struct node_override *));
  uint32_t n_cycle = 0;
  compiled_done(f);
  enum wr_rc rc = all_settings(f, over, err);
  if (!rc && !spec_fill(f, &s)) rc = broken(f, err);
  if (!rc) {
    uint32_t *cycle = wr_calloc(s.n, sizeof *cycle);
    f->dag = dag_new(s.node, s.n, f->on_failure, f->timeout_us, cycle, &n_cycle);
    if (!f->dag) rc = cycle_fail(f, cycle, n_cycle, err);
    free(cycle);
  }
  if (!rc) refs_fill(f, s.n_task, over);
  if (rc) compiled_done(f);
  free(over);
  spec_done(&s);
  return rc;
}

/* Rows come one by one from the store, so equal inline tasks find each other only here. */
static void share_tasks(struct flow_def *f) {
  struct intern t;
  intern_init(&t);
  for (uint32_t i = 0; i < f->n; i++) {
    for (uint32_t k = 0; k < f->node[i].n_task; k++) {
      struct task_def **at = &f->node[i].task[k];
      struct task_key key = task_key_of(*at);
      struct task_def *same = intern_find(&t, &key);
      if (!same) {
        intern_add(&t, *at);
        continue;
      }
      def_task_unref(*at);
      *at = same;
    }
  }
  intern_done(&t);
}

enum wr_rc def_flow_compile(struct flow_def *f, struct wr_err *err) {
  share_tasks(f);
  return flow_compile(f, err);
}

/* ---- update ---- */
static void node_copy(struct node_def *to, const struct node_def *from) {
  *to = (struct node_def){.type = from->type, .need = from->need, .rest = from->rest, .n_task_id = from->n_task_id,
                          .n_task = from->n_task, .n_parent = from->n_parent};
  to->key = wr_strdup(from->key);
  to->config = wr_strdup(from->config);
  if (from->n_task_id) {
    to->task_id = wr_calloc(from->n_task_id, sizeof *to->task_id);
    memcpy(to->task_id, from->task_id, from->n_task_id * sizeof *to->task_id);
  }
  if (from->n_parent) {
    to->parent = wr_calloc(from->n_parent, sizeof *to->parent);
    memcpy(to->parent, from->parent, from->n_parent * sizeof *to->parent);
  }
  if (from->n_task) to->task = wr_calloc(from->n_task, sizeof(struct task_def *));
  for (uint32_t i = 0; i < from->n_task; i++) to->task[i] = def_task_ref(from->task[i]);
}

static char *config_merge(const struct flow_post *p, const struct flow_def *old) {
  static const unsigned has[FS__N] = {[FS_ON_FAILURE] = DEF_HAS_ON_FAILURE, [FS_TIMEOUT] = DEF_HAS_TIMEOUT};
  const char *mine = p->def->config, *was = old->config;
  json_t *a = mine ? json_reparse(mine, strlen(mine)) : NULL, *b = was ? json_reparse(was, strlen(was)) : NULL;
  json_t *v[FS__N];
  for (int i = 0; i < FS__N; i++) v[i] = json_object_get(p->has & has[i] ? a : b, flow_setting_field[i].name);
  char *text = flow_settings_text(v);
  json_decref(a);
  json_decref(b);
  return text;
}

enum wr_rc def_flow_merge(const struct flow_post *p, const struct flow_def *old, struct flow_def **out, struct wr_err *err) {
  const struct flow_def *d = p->def;
  const struct flow_def *nodes = p->has & DEF_HAS_NODES ? d : old;
  if ((p->has & DEF_HAS_VERSION) && p->version != old->version)
    return wr_err_at(err, WR_STALE, "/flowVersion", "You have version %lld, current is %lld.", (long long)p->version,
                     (long long)old->version);
  struct flow_def *f = flow_new();
  f->flow_id = old->flow_id;
  f->version = old->version;
  f->create_us = old->create_us;
  f->update_us = old->update_us;
  f->create_user = wr_strdup(old->create_user);
  f->update_user = wr_strdup(d->update_user ? d->update_user : old->update_user);
  f->name = wr_strdup((p->has & DEF_HAS_NAME ? d : old)->name);
  f->description = wr_strdup((p->has & DEF_HAS_DESCRIPTION ? d : old)->description);
  f->config = config_merge(p, old);
  f->n = nodes->n;
  f->node = wr_calloc(nodes->n, sizeof *f->node);
  for (uint32_t i = 0; i < nodes->n; i++) node_copy(&f->node[i], &nodes->node[i]);
  enum wr_rc rc = flow_compile(f, err);
  if (rc) def_flow_unref(f);
  else *out = f;
  return rc;
}

/* ---- policies ---- */
struct task_policy def_policy(const struct task_ref *ref, const struct task_def *t) {
  struct task_policy p = t->policy;
  const struct node_override *o = ref->over;
  if (!o) return p;
  if (o->has_attempts) p.attempts = o->attempts;
  if (!o->has_backoff) return p;
  p.backoff_base_us = o->backoff.backoff_base_us;
  p.backoff_cap_us = o->backoff.backoff_cap_us;
  p.backoff_factor = o->backoff.backoff_factor;
  p.jitter = o->backoff.jitter;
  return p;
}

int64_t def_timeout_us(const struct task_ref *ref, const struct task_def *t) {
  return ref->over && ref->over->has_timeout ? ref->over->timeout_us : t->timeout_us;
}

/* ---- parameters ---- */
static enum wr_rc param_check(const char *name, size_t len, const json_t *v, const char *path, struct wr_err *err) {
  char q[WR_QUOTE_MAX];
  wr_err_quote(q, name, len);
  if (!text_env_name(name, len))
    return wr_err_at(err, WR_BAD_NAME, path, "%s cannot name a parameter: A-Z a-z 0-9 _, no digit first, at most 128.", q);
  if (json_is_string(v) || json_is_number(v) || json_is_boolean(v)) return WR_OK;
  return wr_err_at(err, WR_WRONG_TYPE, path, "Parameter %s must be a string, a number or a boolean.", q);
}

static enum wr_rc params_large(struct wr_err *err, const char *path, const char *what, size_t got, size_t limit) {
  enum wr_rc rc = wr_err_at(err, WR_TOO_LARGE, path, "%s: %zu, at most %zu are allowed.", what, got, limit);
  if (err) { err->limit = (int64_t)limit; err->got = (int64_t)got; }
  return rc;
}

enum wr_rc def_params_parse(const json_t *params, const char *path, char **out, struct wr_err *err) {
  json_t *o = json_mutable(params);
  *out = NULL;
  if (!params) return WR_OK;
  if (!json_is_object(params)) return wr_err_at(err, WR_WRONG_TYPE, path, "params must be an object.");
  if (json_object_size(params) > LIMIT_PARAMS)
    return params_large(err, path, "Parameters", json_object_size(params), LIMIT_PARAMS);
  for (void *it = json_object_iter(o); it; it = json_object_iter_next(o, it)) {
    enum wr_rc rc = param_check(json_object_iter_key(it), json_object_iter_key_len(it), json_object_iter_value(it), path, err);
    if (rc) return rc;
  }
  if (json_object_size(params) == 0) return WR_OK;
  char *text = json_text(params, JSON_SORT_KEYS);
  size_t n = strlen(text);
  if (n > LIMIT_PARAMS_BYTES) {
    free(text);
    return params_large(err, path, "Bytes of parameters", n, LIMIT_PARAMS_BYTES);
  }
  *out = text;
  return WR_OK;
}
