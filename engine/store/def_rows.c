/* Definitions from rows (def_rows.h). Any thread. What never happens: an index taken from a row without a check. */
#include "def_rows.h"
#include <stdlib.h>
#include "limits.h"
#include "map64.h"
#include "mem.h"
#include "text.h"

enum wr_rc def_row_task(const struct task_def *row, struct task_def **out, struct wr_err *err) {
  if (!row->name || !row->type) return wr_err_set(err, WR_INTERNAL, "The stored task %lld is not whole.", (long long)row->task_id);
  struct task_def *t = wr_new(struct task_def);
  *t = (struct task_def){.task_id = row->task_id, .version = row->version, .create_us = row->create_us, .update_us = row->update_us,
                         .deleted = row->deleted};
  atomic_init(&t->refs, 1);
  t->name = wr_strdup(row->name);
  t->description = wr_strdup(row->description);
  t->type = wr_strdup(row->type);
  t->content = wr_strdup(row->content);
  t->config = wr_strdup(row->config);
  t->create_user = wr_strdup(row->create_user);
  t->update_user = wr_strdup(row->update_user);
  enum wr_rc rc = def_task_derive(t, err);
  if (rc) def_task_unref(t);
  else *out = t;
  return rc;
}

struct flow_def *def_row_flow(const struct flow_def *row, int64_t n) {
  if (n < 0 || n > LIMIT_NODES || row->node_base < 0 || row->node_base > WR_ID_MAX || !row->name) return NULL;
  struct flow_def *f = wr_new(struct flow_def);
  *f = (struct flow_def){.flow_id = row->flow_id, .version = row->version, .create_us = row->create_us, .update_us = row->update_us,
                         .node_us = row->node_us, .deleted = row->deleted, .node_base = row->node_base};
  atomic_init(&f->refs, 1);
  f->name = wr_strdup(row->name);
  f->description = wr_strdup(row->description);
  f->config = wr_strdup(row->config);
  f->create_user = wr_strdup(row->create_user);
  f->update_user = wr_strdup(row->update_user);
  f->n = (uint32_t)n;
  f->node = wr_calloc(f->n + 1u, sizeof *f->node);
  return f;
}

enum wr_rc def_row_broken(const struct flow_def *f, struct wr_err *err) {
  return wr_err_set(err, WR_INTERNAL, "The stored flow %lld is not whole.", (long long)f->flow_id);
}

static bool ids_parse(struct node_def *n, const char *text) {
  uint32_t count = 1;
  for (const char *p = text; *p; p++) count += *p == ',';
  n->task_id = wr_calloc(count, sizeof *n->task_id);
  for (char *end; n->n_task_id < count; text = end + 1) {
    n->task_id[n->n_task_id++] = strtoll(text, &end, 10);
    if (end == text || *end != (n->n_task_id < count ? ',' : '\0')) return false;
  }
  return true;
}

enum wr_rc def_row_node(struct flow_def *f, uint32_t i, const struct def_node_cols *c, struct wr_err *err) {
  struct node_def *n = &f->node[i];
  if (!c->key || !c->type) return def_row_broken(f, err);
  n->node_id = c->node_id;
  n->key = wr_strdup(c->key);
  n->type = c->type[0] == 'S' ? NODE_TYPE_START : c->type[0] == 'E' ? NODE_TYPE_END : NODE_TYPE_TASK;
  n->config = wr_strdup(c->config);
  if (n->node_id != f->node_base + i || (c->ids && !ids_parse(n, c->ids))) return def_row_broken(f, err);
  return c->tasks ? def_inline_parse(n, c->tasks, c->n_tasks, err) : WR_OK;
}

bool def_row_edge(struct def_edges *e, int64_t node_id, int64_t prev_id) {
  struct flow_def *f = e->f;
  if (node_id < f->node_base || prev_id < f->node_base) return false;
  int64_t i = node_id - f->node_base, p = prev_id - f->node_base;
  if (i >= f->n || p >= f->n || (e->last != UINT32_MAX && i < e->last)) return false; /* they come in the order of the nodes */
  struct node_def *n = &f->node[i];
  if (i != e->last) { /* most have one parent: room for just that */
    e->last = (uint32_t)i;
    e->cap = 1;
    n->parent = wr_malloc(sizeof *n->parent);
  }
  *WR_PUSH(n->parent, n->n_parent, e->cap) = (uint32_t)p;
  return true;
}

struct def_plan def_plan(const struct flow_def *f) {
  struct def_plan p = {0};
  size_t n = 0;
  for (uint32_t i = 0; i < f->n; i++) {
    const struct node_def *d = &f->node[i];
    p.n_node_ins += d->type == NODE_TYPE_TASK;
    p.n_task_ins += def_node_tasks(d);
    for (uint32_t k = 0; k < d->n_task_id; k++) *WR_PUSH(p.use, p.n_use, p.cap_use) = d->task_id[k];
  }
  if (p.n_use > 0) qsort(p.use, p.n_use, sizeof *p.use, wr_by_id);
  for (size_t i = 0; i < p.n_use; i++)
    if (n == 0 || p.use[n - 1] != p.use[i]) p.use[n++] = p.use[i];
  p.n_use = n;
  return p;
}

void def_saved(struct flow_def *f, int64_t flow_id, int64_t version, int64_t node_base, int64_t create_us, int64_t now_us) {
  f->flow_id = flow_id;
  f->version = version;
  f->node_base = node_base;
  f->create_us = create_us;
  f->update_us = f->node_us = now_us;
  for (uint32_t i = 0; i < f->n; i++) f->node[i].node_id = node_base + i;
}
