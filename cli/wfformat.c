/* WfFormat to flow: see wfformat.h. Main thread; every reference is resolved here, every rule of flows is checked by
 * the flow parser that gets the result. */
#include "wfformat.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "wr_limits.h"
#include "mem.h"
#include "text.h"

#define KEY_CHARS 112            /* of a cleaned id; room for a suffix within 128 */

struct edge { uint32_t child, parent; };
struct load {
  const json_t *tasks;           /* array */
  json_t *runs;                  /* id -> entry of execution.tasks, or NULL (older schemas) */
  json_t *ids, *names;           /* -> place in tasks; an ambiguous name is -1 */
  struct edge *edge; size_t n_edge, cap_edge;
  char **key;                    /* nodeKey of each */
  struct wf *out;
  double scale;
  struct wr_err *err;
};

static enum wr_rc fail(struct load *l, const char *what, const char *name) {
  char q[WR_QUOTE_MAX];
  return wr_err_set(l->err, WR_BAD_REQUEST, "Not a WfFormat workflow: %s%s%s.", what, name ? " " : "",
                    name ? wr_err_quote(q, name, strlen(name)) : "");
}

static const json_t *object(const json_t *o, const char *key) {
  const json_t *v = json_object_get(o, key);
  return json_is_object(v) ? v : NULL;
}
static const json_t *array(const json_t *o, const char *key) {
  const json_t *v = json_object_get(o, key);
  return json_is_array(v) ? v : NULL;
}
static const char *member_text(const json_t *o, const char *key) { return json_string_value(json_object_get(o, key)); }
/* Older schemas have no id: there the name takes its place. */
static const char *id_of(const json_t *task) {
  const char *id = member_text(task, "id");
  return id ? id : member_text(task, "name");
}

/* ---- where the tasks are ---- */

static enum wr_rc index_runs(struct load *l, const json_t *list) {
  l->runs = json_object();
  size_t i;
  json_t *v;
  json_array_foreach(list, i, v) {
    const char *id = id_of(v);
    if (!id) return fail(l, "an entry of execution.tasks has no id", NULL);
    if (json_object_get(l->runs, id)) return fail(l, "execution.tasks names twice", id);
    json_object_set(l->runs, id, v);
  }
  return WR_OK;
}

static enum wr_rc find_tasks(struct load *l, const json_t *doc) {
  const json_t *w = object(doc, "workflow");
  if (!w) return fail(l, "the object \"workflow\" is missing", NULL);
  const json_t *spec = object(w, "specification");
  if (!spec) {
    l->tasks = array(w, "tasks");
    if (!l->tasks) l->tasks = array(w, "jobs");
    return l->tasks ? WR_OK : fail(l, "workflow.tasks is missing", NULL);
  }
  l->tasks = array(spec, "tasks");
  if (!l->tasks) return fail(l, "workflow.specification.tasks is missing", NULL);
  const json_t *exec = object(w, "execution"), *list = exec ? array(exec, "tasks") : NULL;
  return list ? index_runs(l, list) : fail(l, "workflow.execution.tasks is missing", NULL);
}

static enum wr_rc index_tasks(struct load *l) {
  size_t i;
  json_t *v;
  json_array_foreach(l->tasks, i, v) {
    const char *id = json_is_object(v) ? id_of(v) : NULL, *name = json_is_object(v) ? member_text(v, "name") : NULL;
    if (!id) return fail(l, "a task has neither id nor name", NULL);
    if (json_object_get(l->ids, id)) return fail(l, "two tasks have the id", id);
    json_object_set_new(l->ids, id, json_integer((json_int_t)i));
    if (name) json_object_set_new(l->names, name, json_integer(json_object_get(l->names, name) ? -1 : (json_int_t)i));
  }
  return WR_OK;
}

/* ---- run times ---- */

static enum wr_rc run_time(struct load *l, size_t i, const json_t *task) {
  const json_t *from = l->runs ? json_object_get(l->runs, id_of(task)) : task;
  const json_t *v = json_object_get(from, "runtimeInSeconds");
  if (!v) v = json_object_get(from, "runtime");
  if (!json_is_number(v)) return fail(l, "no run time is recorded for", id_of(task));
  double us = json_number_value(v) * l->scale * 1e6;
  if (!(us >= 0)) return fail(l, "a negative run time is recorded for", id_of(task));
  if (us > (double)LIMIT_TIME_US) return fail(l, "the scaled run time is longer than seven days:", id_of(task));
  l->out->run_us[i] = llround(us);
  l->out->work_us += l->out->run_us[i];
  return WR_OK;
}

/* ---- edges ---- */

static int64_t place_of(struct load *l, const char *ref) {
  const json_t *v = json_object_get(l->ids, ref);
  if (!v) v = json_object_get(l->names, ref);
  return v ? json_integer_value(v) : -1;
}

static enum wr_rc refs(struct load *l, size_t i, const json_t *task, const char *field) {
  const json_t *list = json_object_get(task, field);
  bool parents = field[0] == 'p';
  if (!list || json_is_null(list)) return WR_OK;
  if (!json_is_array(list)) return fail(l, parents ? "parents is not an array in" : "children is not an array in", id_of(task));
  size_t k;
  json_t *v;
  json_array_foreach(list, k, v) {
    const char *ref = json_string_value(v);
    if (!ref) return fail(l, parents ? "a parent is not a text in" : "a child is not a text in", id_of(task));
    int64_t at = place_of(l, ref);
    if (at < 0) return fail(l, parents ? "there is no such parent:" : "there is no such child:", ref);
    if (l->n_edge >= 2 * (size_t)LIMIT_EDGES) return fail(l, "it has too many edges", NULL);
    struct edge e = parents ? (struct edge){(uint32_t)i, (uint32_t)at} : (struct edge){(uint32_t)at, (uint32_t)i};
    *WR_PUSH(l->edge, l->n_edge, l->cap_edge) = e;
  }
  return WR_OK;
}

static int by_child(const void *a, const void *b) {
  const struct edge *x = a, *y = b;
  if (x->child != y->child) return x->child < y->child ? -1 : 1;
  return x->parent < y->parent ? -1 : x->parent > y->parent;
}

/* Most files name each edge twice: as a parent and as a child. */
static void unite_edges(struct load *l) {
  if (!l->n_edge) return;
  qsort(l->edge, l->n_edge, sizeof *l->edge, by_child);
  size_t k = 1;
  for (size_t i = 1; i < l->n_edge; i++) {
    if (by_child(&l->edge[i], &l->edge[k - 1]) != 0) l->edge[k++] = l->edge[i];
  }
  l->n_edge = k;
}

/* ---- the flow ---- */

/* The id with other characters than a nodeKey's replaced; the same key again gets -2, -3 ... used: key -> last suffix. */
static char *unique_key(json_t *used, const char *id) {
  char base[KEY_CHARS + 1], key[KEY_CHARS + 24];
  size_t n = 0;
  for (; id[n] && n < KEY_CHARS; n++) base[n] = text_node_key(id + n, 1) ? id[n] : '_';
  if (n == 0) base[n++] = '_';
  base[n] = 0;
  memcpy(key, base, n + 1);
  for (json_int_t k = json_integer_value(json_object_get(used, base)); json_object_get(used, key);) {
    snprintf(key, sizeof key, "%s-%lld", base, (long long)++k + 1);
    json_object_set_new(used, base, json_integer(k));
  }
  json_object_set_new(used, key, json_integer(0));
  return wr_strdup(key);
}

static json_t *task_node(const struct load *l, size_t i, json_t *prev) {
  char content[32];
  int64_t us = l->out->run_us[i];
  snprintf(content, sizeof content, "%lld.%06lld", (long long)us / 1000000, (long long)us % 1000000);
  return json_pack("{s:s, s:s, s:o, s:[{s:s, s:s, s:s}]}", "nodeKey", l->key[i], "nodeType", "TASK", "prevNodes", prev, "tasks",
                   "taskName", l->key[i],
                   "taskType", "WAIT", "taskContent", content);
}

/* Without any edge, the order of flowNodes would mean a chain: a START then says that all nodes are roots. */
static void add_nodes(struct load *l, json_t *nodes, const char *start) {
  size_t e = 0;
  if (start) json_array_append_new(nodes, json_pack("{s:s, s:s}", "nodeKey", start, "nodeType", "START"));
  for (size_t i = 0; i < l->out->n; i++) {
    json_t *prev = json_array();
    if (start) json_array_append_new(prev, json_string(start));
    for (; e < l->n_edge && l->edge[e].child == i; e++) json_array_append_new(prev, json_string(l->key[l->edge[e].parent]));
    json_array_append_new(nodes, task_node(l, i, prev));
  }
}

static void build(struct load *l, const json_t *doc) {
  json_t *used = json_object(), *nodes = json_array();
  const char *name = member_text(doc, "name");
  l->key = wr_calloc(l->out->n + 1, sizeof *l->key);
  for (size_t i = 0; i < l->out->n; i++) l->key[i] = unique_key(used, id_of(json_array_get(l->tasks, i)));
  char *start = unique_key(used, "START");
  add_nodes(l, nodes, l->n_edge ? NULL : start);
  json_t *names = json_object();
  char *flow = unique_key(names, name && *name ? name : "wfformat");
  l->out->body = json_pack("{s:s, s:o}", "flowName", flow, "flowNodes", nodes);
  free(flow);
  free(start);
  json_decref(names);
  json_decref(used);
}

static enum wr_rc load_all(struct load *l, const json_t *doc) {
  enum wr_rc rc = find_tasks(l, doc);
  if (!rc) rc = index_tasks(l);
  if (rc) return rc;
  size_t n = json_array_size(l->tasks);
  if (n == 0) return fail(l, "it has no tasks", NULL);
  if (n > LIMIT_NODES) return fail(l, "it has too many tasks", NULL);
  l->out->n = (uint32_t)n;
  l->out->run_us = wr_calloc(n, sizeof *l->out->run_us);
  for (size_t i = 0; i < n && !rc; i++) {
    const json_t *task = json_array_get(l->tasks, i);
    rc = run_time(l, i, task);
    if (!rc) rc = refs(l, i, task, "parents");
    if (!rc) rc = refs(l, i, task, "children");
  }
  if (rc) return rc;
  unite_edges(l);
  build(l, doc);
  return WR_OK;
}

enum wr_rc wf_load(const json_t *doc, double scale, struct wf *out, struct wr_err *err) {
  *out = (struct wf){0};
  struct load l = {.ids = json_object(), .names = json_object(), .out = out, .scale = scale, .err = err};
  enum wr_rc rc = load_all(&l, doc);
  for (size_t i = 0; l.key && i < out->n; i++) free(l.key[i]);
  free(l.key);
  free(l.edge);
  json_decref(l.ids);
  json_decref(l.names);
  json_decref(l.runs);
  if (rc) wf_done(out);
  return rc;
}

void wf_done(struct wf *w) {
  json_decref(w->body);
  free(w->run_us);
  *w = (struct wf){0};
}
