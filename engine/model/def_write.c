/* Definitions as JSON, in S2's words and order. A hundred thousand nodes are one pass into one buffer: no tree is built.
 * Any thread; reads only. */
#include <string.h>

#include "clock.h"
#include "def_json.h"
#include "model.h"

static void comma(struct buf *b) {
  if (b->data[b->len - 1] != '{' && b->data[b->len - 1] != '[') buf_ch(b, ',');
}

static void name(struct buf *b, const char *k) {
  comma(b);
  buf_ch(b, '"');
  buf_str(b, k);
  buf_str(b, "\":");
}

static void text(struct buf *b, const char *k, const char *v) {
  if (!v) return;
  name(b, k);
  buf_json(b, v, strlen(v));
}

static void number(struct buf *b, const char *k, int64_t v) {
  name(b, k);
  buf_i64(b, v);
}

static void number_if(struct buf *b, const char *k, int64_t v) {
  if (v) number(b, k, v);
}

static void time_if(struct buf *b, const char *k, int64_t us) {
  char s[CLOCK_S2_LEN];
  if (!us) return;
  clock_s2(s, us);
  text(b, k, s);
}

/* The kept settings, of which `first` is always shown. They stand in the order of their fields, so that it comes first. */
static void settings(struct buf *b, const char *config, const char *first, const char *value) {
  size_t k = strlen(first), n = config ? strlen(config) : 0;
  if (n < k + 3 || strncmp(config + 2, first, k) != 0 || config[k + 2] != '"') text(b, first, value);
  if (n < 3) return;
  comma(b);
  buf_add(b, config + 1, n - 2);
}

static void task_fields(struct buf *b, const struct task_def *t) {
  number_if(b, "taskId", t->task_id);
  text(b, "taskName", t->name);
  text(b, "taskDescription", t->description);
  text(b, "taskType", t->type);
  text(b, "taskContent", t->content);
  if (t->config) {
    name(b, "taskConfig");
    buf_str(b, t->config);
  }
  number_if(b, "taskVersion", t->version);
}

void def_task_write(struct buf *b, const struct task_def *t) {
  buf_ch(b, '{');
  time_if(b, "createTime", t->create_us);
  time_if(b, "updateTime", t->update_us);
  task_fields(b, t);
  buf_ch(b, '}');
}

static void node_tasks(struct buf *b, const struct node_def *n, def_task_of *task, void *ctx) {
  if (n->n_task_id) {
    name(b, "taskIds");
    for (uint32_t i = 0; i < n->n_task_id; i++) {
      buf_ch(b, i ? ',' : '"');
      buf_i64(b, n->task_id[i]);
    }
    buf_ch(b, '"');
  }
  name(b, "tasks");
  buf_ch(b, '[');
  for (uint32_t i = 0; i < n->n_task_id; i++) {
    const struct task_def *t = task ? task(ctx, n->task_id[i]) : NULL;
    comma(b);
    if (t) {
      def_task_write(b, t);
      continue;
    }
    buf_ch(b, '{');
    number(b, "taskId", n->task_id[i]);
    buf_ch(b, '}');
  }
  for (uint32_t i = 0; i < n->n_task; i++) {
    comma(b);
    def_task_write(b, n->task[i]);
  }
  buf_ch(b, ']');
}

static int64_t node_id(const struct flow_def *f, uint32_t i) {
  if (f->node[i].node_id) return f->node[i].node_id;
  return f->node_base ? f->node_base + i : 0;
}

/* parentless: say so, for no edge anywhere would mean a chain. */
static void node_parents(struct buf *b, const struct flow_def *f, const struct node_def *n, bool parentless) {
  if (n->n_parent) number_if(b, "prevNode", node_id(f, n->parent[0]));
  if (!n->n_parent && !parentless) return;
  name(b, "prevNodes");
  buf_ch(b, '[');
  for (uint32_t k = 0; k < n->n_parent; k++) {
    comma(b);
    buf_json(b, f->node[n->parent[k]].key, strlen(f->node[n->parent[k]].key));
  }
  buf_ch(b, ']');
}

struct flow_writer { struct buf *b; const struct flow_def *f; def_task_of *task; void *ctx; bool edgeless; };

static void node_write(const struct flow_writer *w, uint32_t i, const char *when) {
  static const char *const type[] = {[NODE_TYPE_START] = "START", [NODE_TYPE_TASK] = "TASK", [NODE_TYPE_END] = "END"};
  const struct node_def *n = &w->f->node[i];
  struct buf *b = w->b;
  comma(b);
  buf_ch(b, '{');
  number_if(b, "nodeId", node_id(w->f, i));
  text(b, "nodeKey", n->key);
  if (n->type == NODE_TYPE_TASK) node_tasks(b, n, w->task, w->ctx);
  text(b, "nodeType", type[n->type]);
  node_parents(b, w->f, n, w->edgeless);
  if (n->type == NODE_TYPE_TASK) settings(b, n->config, "complete", "any");
  text(b, "createTime", when);
  text(b, "updateTime", when);
  buf_ch(b, '}');
}

static void nodes_write(struct flow_writer *w) {
  char when[CLOCK_S2_LEN]; /* the nodes of a version are made together */
  w->edgeless = w->f->n > 1;
  for (uint32_t i = 0; i < w->f->n && w->edgeless; i++) w->edgeless = w->f->node[i].n_parent == 0;
  if (w->f->node_us) clock_s2(when, w->f->node_us);
  name(w->b, "flowNodes");
  buf_ch(w->b, '[');
  for (uint32_t i = 0; i < w->f->n; i++) node_write(w, i, w->f->node_us ? when : NULL);
  buf_ch(w->b, ']');
}

static void head_write(struct buf *b, const struct flow_def *f) {
  buf_ch(b, '{');
  number_if(b, "flowId", f->flow_id);
  text(b, "flowName", f->name);
  text(b, "flowDescription", f->description);
  number_if(b, "flowVersion", f->version);
  settings(b, f->config, "onFailure", "continue");
}

static void tail_write(struct buf *b, const struct flow_def *f) {
  time_if(b, "createTime", f->create_us);
  time_if(b, "updateTime", f->update_us);
  buf_ch(b, '}');
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
