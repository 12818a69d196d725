/* Definitions as JSON, in S2's words and order. A hundred thousand nodes are one pass into one buffer: no tree is built.
 * Any thread; reads only. */
#include <string.h>

#include "clock.h"
#include "def_json.h"
#include "json_write.h"
#include "model.h"

/* 0 = not given yet. */
static void id(struct buf *b, const char *k, int64_t v) {
  if (v) j_i64(b, k, v);
}

/* The stored settings; `first` is shown even when it was not given. They stand in the order of their fields: `first` leads. */
static void settings(struct buf *b, const char *config, const char *first, const char *value) {
  size_t k = strlen(first), n = config ? strlen(config) : 0;
  if (n < k + 3 || strncmp(config + 2, first, k) != 0 || config[k + 2] != '"') j_text(b, first, value);
  j_members(b, config);
}

static void task_fields(struct buf *b, const struct task_def *t) {
  id(b, "taskId", t->task_id);
  j_text(b, "taskName", t->name);
  j_text(b, "taskDescription", t->description);
  j_text(b, "taskType", t->type);
  j_text(b, "taskContent", t->content);
  j_raw(b, "taskConfig", t->config);
  id(b, "taskVersion", t->version);
}

void def_task_write(struct buf *b, const struct task_def *t) {
  j_open(b, '{');
  j_time(b, "createTime", NULL, t->create_us);
  j_time(b, "updateTime", NULL, t->update_us);
  task_fields(b, t);
  j_close(b, '}');
}

static void node_tasks(struct buf *b, const struct node_def *n, def_task_of *task, void *ctx) {
  if (n->n_task_id) {
    j_key(b, "taskIds");
    for (uint32_t i = 0; i < n->n_task_id; i++) {
      buf_ch(b, i ? ',' : '"');
      buf_i64(b, n->task_id[i]);
    }
    buf_ch(b, '"');
  }
  j_key(b, "tasks");
  j_open(b, '[');
  for (uint32_t i = 0; i < n->n_task_id; i++) {
    const struct task_def *t = task ? task(ctx, n->task_id[i]) : NULL;
    if (t) {
      def_task_write(b, t);
      continue;
    }
    j_open(b, '{');
    j_i64(b, "taskId", n->task_id[i]);
    j_close(b, '}');
  }
  for (uint32_t i = 0; i < n->n_task; i++) def_task_write(b, n->task[i]);
  j_close(b, ']');
}

static int64_t node_id(const struct flow_def *f, uint32_t i) {
  if (f->node[i].node_id) return f->node[i].node_id;
  return f->node_base ? f->node_base + i : 0;
}

/* parentless: say so, since a flow without any edge would mean a chain. */
static void node_parents(struct buf *b, const struct flow_def *f, const struct node_def *n, bool parentless) {
  if (n->n_parent) id(b, "prevNode", node_id(f, n->parent[0]));
  if (!n->n_parent && !parentless) return;
  j_key(b, "prevNodes");
  j_open(b, '[');
  for (uint32_t k = 0; k < n->n_parent; k++) j_string(b, f->node[n->parent[k]].key);
  j_close(b, ']');
}

struct flow_writer { struct buf *b; const struct flow_def *f; def_task_of *task; void *ctx; bool edgeless; };

static void node_write(const struct flow_writer *w, uint32_t i, const char *when) {
  static const char *const type[] = {[NODE_TYPE_START] = "START", [NODE_TYPE_TASK] = "TASK", [NODE_TYPE_END] = "END"};
  const struct node_def *n = &w->f->node[i];
  struct buf *b = w->b;
  j_open(b, '{');
  id(b, "nodeId", node_id(w->f, i));
  j_text(b, "nodeKey", n->key);
  if (n->type == NODE_TYPE_TASK) node_tasks(b, n, w->task, w->ctx);
  j_text(b, "nodeType", type[n->type]);
  node_parents(b, w->f, n, w->edgeless);
  if (n->type == NODE_TYPE_TASK) settings(b, n->config, "complete", "any");
  j_text(b, "createTime", when);
  j_text(b, "updateTime", when);
  j_close(b, '}');
}

static void nodes_write(struct flow_writer *w) {
  char when[CLOCK_S2_LEN]; /* the nodes of a version are made together */
  w->edgeless = w->f->n > 1;
  for (uint32_t i = 0; i < w->f->n && w->edgeless; i++) w->edgeless = w->f->node[i].n_parent == 0;
  if (w->f->node_us) clock_s2(when, w->f->node_us);
  j_key(w->b, "flowNodes");
  j_open(w->b, '[');
  for (uint32_t i = 0; i < w->f->n; i++) node_write(w, i, w->f->node_us ? when : NULL);
  j_close(w->b, ']');
}

static void head_write(struct buf *b, const struct flow_def *f) {
  j_open(b, '{');
  id(b, "flowId", f->flow_id);
  j_text(b, "flowName", f->name);
  j_text(b, "flowDescription", f->description);
  id(b, "flowVersion", f->version);
  settings(b, f->config, "onFailure", "continue");
}

static void tail_write(struct buf *b, const struct flow_def *f) {
  j_time(b, "createTime", NULL, f->create_us);
  j_time(b, "updateTime", NULL, f->update_us);
  j_close(b, '}');
}

void def_flow_write_head(struct buf *b, const struct flow_def *f) {
  head_write(b, f);
  tail_write(b, f);
}

void def_flow_write(struct buf *b, const struct flow_def *f, def_task_of *task, void *ctx) {
  struct flow_writer w = {b, f, task, ctx, false};
  head_write(b, f);
  nodes_write(&w);
  tail_write(b, f);
}
