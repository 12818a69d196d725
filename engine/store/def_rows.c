/* Definitions from rows (def_rows.h). Any thread. What never happens: an index taken from a row without a check. */
#include "def_rows.h"
#include <stdlib.h>
#include "wr_limits.h"
#include "map64.h"
#include "mem.h"
#include "text.h"

/* A definition that is only shown never changes its texts. */
static char *borrowed(const struct cell *c) { return (char *)(uintptr_t)cell_text(c, NULL); }

void def_row_task_show(const struct cell *c, struct task_def *t) {
  *t = (struct task_def){
    .task_id = cell_i64(&c[0]), .version = cell_i64(&c[1]), .name = borrowed(&c[2]), .description = borrowed(&c[3]),
    .type = borrowed(&c[4]), .content = borrowed(&c[5]), .config = borrowed(&c[6]), .update_user = borrowed(&c[7]),
    .update_us = cell_us(&c[8]), .create_user = borrowed(&c[9]), .create_us = cell_us(&c[10]), .deleted = cell_u8(&c[11])};
  atomic_init(&t->refs, 1);
}

void def_row_flow_show(const struct cell *c, struct flow_def *f) {
  *f = (struct flow_def){
    .flow_id = cell_i64(&c[0]), .version = cell_i64(&c[1]), .name = borrowed(&c[2]), .description = borrowed(&c[3]),
    .config = borrowed(&c[4]), .create_user = borrowed(&c[5]), .update_user = borrowed(&c[6]), .create_us = cell_us(&c[7]),
    .update_us = cell_us(&c[8]), .node_us = cell_us(&c[8]), .deleted = cell_u8(&c[9]), .node_base = cell_i64(&c[10])};
  atomic_init(&f->refs, 1);
}

enum wr_rc def_row_task(const struct cell *c, struct task_def **out, struct wr_err *err) {
  struct task_def shown, *row = &shown;
  def_row_task_show(c, row);
  if (!row->name || !row->type)
    return wr_err_set(err, WR_INTERNAL, "The stored task %lld is not whole.", (long long)row->task_id);
  struct task_def *t = wr_new(struct task_def);
  *t = (struct task_def){.task_id = row->task_id, .version = row->version, .create_us = row->create_us,
                         .update_us = row->update_us, .deleted = row->deleted};
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

struct flow_def *def_row_flow(const struct cell *c) {
  struct flow_def shown, *row = &shown;
  int64_t n = cell_i64(&c[11]);
  def_row_flow_show(c, row);
  if (n < 0 || n > LIMIT_NODES || row->node_base < 0 || row->node_base > WR_ID_MAX || !row->name) return NULL;
  struct flow_def *f = wr_new(struct flow_def);
  *f = (struct flow_def){.flow_id = row->flow_id, .version = row->version, .create_us = row->create_us,
                         .update_us = row->update_us, .node_us = row->node_us, .deleted = row->deleted,
                         .node_base = row->node_base};
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

enum wr_rc def_row_node(struct flow_def *f, uint32_t i, const struct cell *c, struct wr_err *err) {
  struct node_def *n = &f->node[i];
  const char *key = cell_text(&c[1], NULL), *type = cell_text(&c[2], NULL), *ids = cell_text(&c[3], NULL),
             *tasks = cell_text(&c[4], NULL);
  if (!key || !type) return def_row_broken(f, err);
  n->node_id = cell_i64(&c[0]);
  n->key = wr_strdup(key);
  n->type = type[0] == 'S' ? NODE_TYPE_START : type[0] == 'E' ? NODE_TYPE_END : NODE_TYPE_TASK;
  n->config = wr_strdup(cell_text(&c[5], NULL));
  if (n->node_id != f->node_base + i || (ids && !ids_parse(n, ids))) return def_row_broken(f, err);
  return tasks ? def_inline_parse(n, tasks, cell_bytes(&c[4]), err) : WR_OK;
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
