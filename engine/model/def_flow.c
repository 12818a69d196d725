/* Flows: from the JSON of POST /flow to a compiled definition.
 * Pure but for what struct def_env answers; any thread. One pass over the nodes, then keys and edges (def_graph.c), then
 * compiling; never quadratic, never recursive. Whether task ids exist is asked once, for all of them together. */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "wr_limits.h"
#include "map64.h"
#include "model.h"
#include "text.h"

enum { FL_ID, FL_NAME, FL_DESCRIPTION, FL_NODES, FL_ON_FAILURE, FL_TIMEOUT, FL_FLOW_TIMEOUT, FL_VERSION, FL__USED,
      FL__N = FL__USED + 7 };
static const struct field flow_field[FL__N] = {
    [FL_ID] = FIELD("flowId", F_ANY), [FL_NAME] = FIELD("flowName", F_TEXT),
    [FL_DESCRIPTION] = FIELD("flowDescription", F_TEXT), [FL_NODES] = FIELD("flowNodes", F_ARRAY),
    [FL_ON_FAILURE] = FIELD("onFailure", F_TEXT), [FL_TIMEOUT] = FIELD("timeout", F_ANY),
    [FL_FLOW_TIMEOUT] = FIELD("flowTimeout", F_ANY), [FL_VERSION] = FIELD("flowVersion", F_ANY),
    FIELD("createTime", F_OURS), FIELD("updateTime", F_OURS), FIELD("createUser", F_OURS), FIELD("updateUser", F_OURS),
    FIELD("createdAt", F_OURS), FIELD("updatedAt", F_OURS), FIELD("warnings", F_OURS)};

/* The settings stand together, in the order of enum S_*. */
enum { N_TYPE, N_KEY, N_PREV, N_TASK_IDS, N_TASKS, N_SETTINGS, N__USED = N_SETTINGS + S__N, N__N = N__USED + 8 };
static const struct field node_field[N__N] = {
    [N_TYPE] = FIELD("nodeType", F_TEXT), [N_KEY] = FIELD("nodeKey", F_TEXT), [N_PREV] = FIELD("prevNodes", F_ARRAY),
    [N_TASK_IDS] = FIELD("taskIds", F_TEXT), [N_TASKS] = FIELD("tasks", F_ARRAY),
    [N_SETTINGS + S_COMPLETE] = FIELD("complete", F_ANY), [N_SETTINGS + S_REST] = FIELD("rest", F_ANY),
    [N_SETTINGS + S_ATTEMPTS] = FIELD("attempts", F_ANY), [N_SETTINGS + S_BACKOFF] = FIELD("backoff", F_ANY),
    [N_SETTINGS + S_TIMEOUT] = FIELD("timeout", F_ANY),
    [N__USED] = FIELD("nodeId", F_OURS), FIELD("prevNode", F_OURS),
    FIELD("createTime", F_OURS), FIELD("updateTime", F_OURS), FIELD("createUser", F_OURS), FIELD("updateUser", F_OURS),
    FIELD("createdAt", F_OURS), FIELD("updatedAt", F_OURS)};

/* One flow on its way in. */
struct flow_in {
  const struct def_env *env;
  struct flow_def *f;
  json_t **prev;                          /* prevNodes of each node, borrowed, NULL = absent */
  int64_t *id; size_t n_id, cap_id;       /* all task ids, as they come */
  size_t n_task;
  struct intern intern;
  struct wr_err *err;
};

/* ---- the tasks of a node ---- */
/* Sorts; returns an id that stands twice, or 0. */
static int64_t sort_ids(int64_t *id, size_t n) {
  qsort(id, n, sizeof *id, wr_by_id);
  for (size_t i = 1; i < n; i++)
    if (id[i] == id[i - 1]) return id[i];
  return 0;
}

static enum wr_rc fail_many(struct flow_in *c, const struct jpath *at, size_t got) {
  enum wr_rc rc = fail_at(c->err, WR_BAD_TASK_IDS, at, "A node can have at most %d tasks, not %zu.", LIMIT_TASKS_PER_NODE, got);
  if (c->err) { c->err->limit = LIMIT_TASKS_PER_NODE; c->err->got = (int64_t)got; }
  return rc;
}

/* Takes id[]. */
static enum wr_rc ids_take(struct flow_in *c, struct node_def *n, int64_t *id, size_t count, const struct jpath *at) {
  int64_t *sorted = wr_malloc(count * sizeof *sorted);
  memcpy(sorted, id, count * sizeof *sorted);
  int64_t twice = sort_ids(sorted, count);
  free(sorted);
  n->task_id = id;
  n->n_task_id = (uint32_t)count;
  if (twice) return fail_at(c->err, WR_BAD_TASK_IDS, at, "Task %lld appears twice in one node.", (long long)twice);
  for (size_t i = 0; i < count; i++) *WR_PUSH(c->id, c->n_id, c->cap_id) = id[i];
  return WR_OK;
}

/* "1,2,3" */
static enum wr_rc ids_text(struct flow_in *c, struct node_def *n, const json_t *v, const struct jpath *at) {
  const char *s = json_string_value(v), *end = s + json_string_length(v);
  size_t count = 1, i = 0;
  char q[WR_QUOTE_MAX];
  for (const char *p = s; p < end; p++) count += *p == ',';
  if (count > LIMIT_TASKS_PER_NODE) return fail_many(c, at, count);
  int64_t *id = wr_calloc(count, sizeof *id);
  for (; i < count; i++) {
    const char *comma = memchr(s, ',', (size_t)(end - s)), *stop = comma ? comma : end;
    if (!text_id(s, (size_t)(stop - s), &id[i])) break;
    s = stop + 1;
  }
  if (i == count) return ids_take(c, n, id, count, at);
  free(id);
  wr_err_quote(q, json_string_value(v), json_string_length(v));
  return fail_at(c->err, WR_BAD_TASK_IDS, at, "taskIds must be different task ids, separated by commas, not %s.", q);
}

/* "tasks" that all have a taskId, as GET answers them. Their other fields mean nothing here. When taskIds stands beside it,
 * both must say the same. */
static enum wr_rc ids_array(struct flow_in *c, struct node_def *n, const json_t *tasks, const struct jpath *at) {
  size_t count = json_array_size(tasks);
  int64_t *id = wr_calloc(count, sizeof *id);
  enum wr_rc rc = WR_OK;
  for (size_t i = 0; !rc && i < count; i++) {
    const json_t *v = json_object_get(json_array_get(tasks, i), "taskId");
    rc = field_id(v, JKEY(JELEM(at, i), "taskId"), &id[i], c->err);
  }
  if (!rc && !n->n_task_id) return ids_take(c, n, id, count, at);
  if (!rc && (count != n->n_task_id || memcmp(id, n->task_id, count * sizeof *id) != 0))
    rc = fail_at(c->err, WR_BAD_TASK_IDS, at, "taskIds and tasks name different tasks; give one of them.");
  free(id);
  return rc;
}

static enum wr_rc inline_one(struct flow_in *c, const json_t *o, const struct jpath *at, struct task_def **out) {
  json_t *v[T__N];
  struct task_in in = {0};
  enum wr_rc rc = field_read(o, task_field, T__N, v, at, c->err);
  if (!rc) rc = task_in_read(v, at, &in, c->err);
  if (!rc && !in.key.type) rc = fail_at(c->err, WR_UNKNOWN_TYPE, JKEY(at, "taskType"), "taskType is required.");
  if (!rc) {
    if (!in.key.name) in.key.name = in.key.type; /* a task of a node needs no name of its own */
    *out = intern_find(&c->intern, &in.key);
    if (!*out) rc = task_in_make(&in, c->env, at, out, c->err);
    if (!rc) intern_add(&c->intern, *out);
  }
  task_in_done(&in);
  return rc;
}

static enum wr_rc tasks_inline(struct flow_in *c, struct node_def *n, const json_t *tasks, const struct jpath *at) {
  size_t count = json_array_size(tasks);
  if (n->n_task_id) return fail_at(c->err, WR_BAD_TASK_IDS, at, "A node has taskIds or inline tasks, not both.");
  n->task = wr_calloc(count, sizeof(struct task_def *));
  for (size_t i = 0; i < count; i++) {
    enum wr_rc rc = inline_one(c, json_array_get(tasks, i), JELEM(at, i), &n->task[i]);
    if (rc) return rc;
    n->n_task = (uint32_t)i + 1;
  }
  return WR_OK;
}

static enum wr_rc tasks_array(struct flow_in *c, struct node_def *n, const json_t *tasks, const struct jpath *at) {
  size_t count = json_array_size(tasks), refs = 0;
  if (count == 0) return fail_at(c->err, WR_BAD_TASK_IDS, at, "A TASK node needs at least one task.");
  if (count > LIMIT_TASKS_PER_NODE) return fail_many(c, at, count);
  for (size_t i = 0; i < count; i++) {
    const json_t *o = json_array_get(tasks, i);
    if (!json_is_object(o)) return fail_at(c->err, WR_WRONG_TYPE, JELEM(at, i), "A task must be an object.");
    refs += json_object_get(o, "taskId") != NULL;
  }
  if (refs == count) return ids_array(c, n, tasks, at);
  if (refs == 0) return tasks_inline(c, n, tasks, at);
  return fail_at(c->err, WR_BAD_TASK_IDS, at, "The tasks of one node must all have a taskId or all be inline.");
}

/* ---- one node ---- */
static enum wr_rc node_type(const json_t *v, const struct jpath *at, enum node_type *out, struct wr_err *err) {
  static const struct word_list words = {WR_BAD_SHAPE,
      {[NODE_TYPE_START] = "START", [NODE_TYPE_TASK] = "TASK", [NODE_TYPE_END] = "END"}};
  int word = NODE_TYPE_TASK;
  enum wr_rc rc = v ? field_word(v, &words, JKEY(at, "nodeType"), &word, err) : WR_OK;
  *out = (enum node_type)word;
  return rc;
}

static enum wr_rc node_key(const json_t *v, const struct jpath *at, char **out, struct wr_err *err) {
  if (!v) return WR_OK;
  if (!text_node_key(json_string_value(v), json_string_length(v)))
    return fail_at(err, WR_BAD_NAME, JKEY(at, "nodeKey"), "nodeKey must be 1 to 128 of A-Z a-z 0-9 _ . : -");
  *out = wr_memdup0(json_string_value(v), json_string_length(v));
  return WR_OK;
}

static enum wr_rc node_work(struct flow_in *c, struct node_def *n, json_t *const *v, const struct jpath *at) {
  struct node_settings s;
  enum wr_rc rc = WR_OK;
  if (!v[N_TASK_IDS] && !v[N_TASKS]) return fail_at(c->err, WR_BAD_TASK_IDS, at, "A TASK node needs taskIds or tasks.");
  if (v[N_TASK_IDS]) rc = ids_text(c, n, v[N_TASK_IDS], JKEY(at, "taskIds"));
  if (!rc && v[N_TASKS]) rc = tasks_array(c, n, v[N_TASKS], JKEY(at, "tasks"));
  if (!rc) rc = node_settings_read(v + N_SETTINGS, node_n_task(n), at, &s, c->err);
  if (rc) return rc;
  n->need = s.need;
  n->rest = s.rest;
  n->config = node_settings_text(v + N_SETTINGS);
  c->n_task += node_n_task(n);
  return c->n_task <= LIMIT_FLOW_TASKS ? WR_OK : fail_flow_large(c->err, at, "Tasks of the flow", c->n_task, LIMIT_FLOW_TASKS);
}

static enum wr_rc node_read(struct flow_in *c, const json_t *o, uint32_t i, const struct jpath *at) {
  struct node_def *n = &c->f->node[i];
  json_t *v[N__N];
  if (!json_is_object(o)) return fail_at(c->err, WR_WRONG_TYPE, at, "A node must be an object.");
  enum wr_rc rc = field_read(o, node_field, N__N, v, at, c->err);
  if (!rc) rc = node_type(v[N_TYPE], at, &n->type, c->err);
  if (!rc) rc = node_key(v[N_KEY], at, &n->key, c->err);
  if (rc) return rc;
  c->prev[i] = v[N_PREV];
  if (n->type == NODE_TYPE_TASK) return node_work(c, n, v, at);
  for (int k = N_TASK_IDS; k < N__USED; k++)
    if (v[k]) return fail_at(c->err, WR_BAD_SHAPE, JKEY(at, node_field[k].name), "START and END have no %s.", node_field[k].name);
  return WR_OK;
}

/* ---- all nodes ---- */
static bool uses(const struct node_def *n, int64_t task_id) {
  for (uint32_t k = 0; k < n->n_task_id; k++)
    if (n->task_id[k] == task_id) return true;
  return false;
}

/* The first node that names the task. */
static void say_where(const struct flow_def *f, int64_t task_id, struct wr_err *err) {
  static const struct jpath nodes = {NULL, "flowNodes", 0};
  uint32_t i = 0;
  while (i < f->n && !uses(&f->node[i], task_id)) i++;
  char at[JPATH_MAX];
  snprintf(err->path, sizeof err->path, "%s", jpath_text(at, JELEM(&nodes, i)));
}

static enum wr_rc ids_exist(struct flow_in *c) {
  size_t n = 0;
  if (c->n_id == 0) return WR_OK;
  (void)sort_ids(c->id, c->n_id); /* several nodes may use one task */
  for (size_t i = 0; i < c->n_id; i++)
    if (n == 0 || c->id[n - 1] != c->id[i]) c->id[n++] = c->id[i];
  size_t bad = 0;
  enum wr_rc rc = c->env->tasks_exist(c->env->ctx, c->id, n, &bad, c->err);
  if (rc == WR_NO_SUCH_TASK) say_where(c->f, c->id[bad], c->err);
  return rc;
}

static enum wr_rc nodes_read(struct flow_in *c, const json_t *nodes) {
  static const struct jpath at = {NULL, "flowNodes", 0};
  size_t n = json_array_size(nodes);
  enum wr_rc rc = WR_OK;
  if (n > LIMIT_NODES) return fail_flow_large(c->err, &at, "Nodes", n, LIMIT_NODES);
  c->f->node = wr_calloc(n, sizeof *c->f->node);
  c->prev = wr_calloc(n, sizeof(json_t *));
  c->f->n = (uint32_t)n; /* an unread node is all zero: safe to free */
  for (size_t i = 0; !rc && i < n; i++) rc = node_read(c, json_array_get(nodes, i), (uint32_t)i, JELEM(&at, i));
  if (!rc) rc = graph_link(c->f, c->prev, c->err);
  if (!rc) rc = flow_compile(c->f, c->err);
  if (!rc) rc = graph_reach(c->f, c->err);
  return rc ? rc : ids_exist(c);
}

/* ---- the flow ---- */
static enum wr_rc head_read(json_t *const *v, struct flow_post *out, struct wr_err *err) {
  struct flow_def *f = out->def;
  json_t *set[FS__N] = {[FS_ON_FAILURE] = v[FL_ON_FAILURE], [FS_TIMEOUT] = v[FL_TIMEOUT] ? v[FL_TIMEOUT] : v[FL_FLOW_TIMEOUT]};
  enum wr_rc rc = WR_OK;
  if (v[FL_ID]) rc = field_id(v[FL_ID], JKEY(NULL, "flowId"), &out->flow_id, err);
  if (!rc && v[FL_VERSION]) rc = field_id(v[FL_VERSION], JKEY(NULL, "flowVersion"), &out->version, err);
  if (!rc && v[FL_NAME]) rc = field_name(v[FL_NAME], JKEY(NULL, "flowName"), err);
  if (!rc && v[FL_DESCRIPTION]) rc = field_description(v[FL_DESCRIPTION], JKEY(NULL, "flowDescription"), err);
  if (!rc && v[FL_TIMEOUT] && v[FL_FLOW_TIMEOUT])
    rc = fail_at(err, WR_OUT_OF_RANGE, JKEY(NULL, "flowTimeout"), "timeout and flowTimeout are the same; give one of them.");
  if (!rc) rc = flow_settings_read(set, NULL, f, err);
  if (!rc && !out->flow_id && !v[FL_NAME]) rc = fail_at(err, WR_BAD_NAME, JKEY(NULL, "flowName"), "flowName is required.");
  if (!rc && !out->flow_id && !v[FL_NODES]) rc = fail_at(err, WR_BAD_SHAPE, JKEY(NULL, "flowNodes"), "flowNodes is required.");
  if (rc) return rc;
  f->flow_id = out->flow_id;
  f->name = wr_strdup(json_string_value(v[FL_NAME]));
  f->description = wr_strdup(json_string_value(v[FL_DESCRIPTION]));
  f->config = flow_settings_text(set);
  out->has = (v[FL_NAME] ? DEF_HAS_NAME : 0u) | (v[FL_DESCRIPTION] ? DEF_HAS_DESCRIPTION : 0u) |
             (v[FL_NODES] ? DEF_HAS_NODES : 0u) | (set[FS_ON_FAILURE] ? DEF_HAS_ON_FAILURE : 0u) |
             (set[FS_TIMEOUT] ? DEF_HAS_TIMEOUT : 0u) | (v[FL_VERSION] ? DEF_HAS_VERSION : 0u);
  return WR_OK;
}

enum wr_rc def_flow_parse(const json_t *body, const struct def_env *env, struct flow_post *out, struct wr_err *err) {
  json_t *v[FL__N];
  *out = (struct flow_post){.def = flow_new()};
  struct flow_in c = {.env = env, .f = out->def, .err = err};
  intern_init(&c.intern);
  enum wr_rc rc = field_read(body, flow_field, FL__N, v, NULL, err);
  if (!rc) rc = head_read(v, out, err);
  if (!rc && v[FL_NODES]) rc = nodes_read(&c, v[FL_NODES]);
  intern_done(&c.intern);
  free(c.prev);
  free(c.id);
  if (!rc) return WR_OK;
  def_flow_unref(out->def);
  out->def = NULL;
  return rc;
}
