/* Following one flow instance: see follow.h. */
#include "follow.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "clock.h"
#include "text.h"

#define PAGE_NODES 10000
#define TREE_GAP_US 200000       /* at most five looks a second */
#define LINES_GAP_US 50000
#define LOOK_NODES 256           /* how many running nodes one look reads the tasks of */

/* Depth of each node: flowNodes need not be in topological order, so the roots are peeled off. */
static void depths(struct follow *f) {
  const struct dag *d = f->flow->dag;
  uint32_t *open = wr_calloc(d->n + 1, sizeof *open), *ready = wr_calloc(d->n + 1, sizeof *ready), n_ready = 0;
  for (uint32_t i = 0; i < d->n; i++) {
    open[i] = d->node[i].n_parent;
    if (!open[i]) ready[n_ready++] = i;
  }
  for (uint32_t at = 0; at < n_ready; at++) {
    uint32_t i = ready[at], depth = f->node[f->flow->dag_node[i]].depth + 1;
    for (uint32_t k = d->child_at[i]; k < d->child_at[i + 1]; k++) {
      struct follow_node *c = &f->node[f->flow->dag_node[d->child[k]]];
      if (c->depth < depth) c->depth = depth;
      if (--open[d->child[k]] == 0) ready[n_ready++] = d->child[k];
    }
  }
  free(open);
  free(ready);
}

void follow_init(struct follow *f, struct store *s, const struct flow_def *flow, int64_t fi) {
  *f = (struct follow){.store = s, .flow = flow, .fi = fi, .to = stdout, .state = FLOW_RUNNING};
  f->node = wr_calloc(flow->n + 1, sizeof *f->node);
  depths(f);
}

/* ---- reading ---- */

static void keep_text(char **to, const char *text) {
  if (!text || !*text || (*to && strcmp(*to, text) == 0)) return;
  free(*to);
  *to = wr_strdup(text);
}

static int on_flow(void *ctx, const struct flow_row *row) {
  struct follow *f = ctx;
  f->state = row->state;
  f->start_us = row->start_us;
  f->end_us = row->end_us;
  f->create_us = row->create_us;
  f->update_us = row->update_us;
  keep_text(&f->error, row->error);
  keep_text(&f->bases, row->bases);
  return 0;
}

static int on_node(void *ctx, const struct node_row *row) {
  struct follow *f = ctx;
  int64_t at = row->node_id - f->flow->node_base;
  if (at < 0 || at >= f->flow->n) return 0;
  struct follow_node *n = &f->node[at];
  n->state = row->state;
  n->ni = row->ni;
  n->run_no = row->run_no;
  n->start_us = row->start_us;
  n->end_us = row->end_us;
  n->create_us = row->create_us;
  n->update_us = row->update_us;
  n->t_ok = row->t_ok;
  n->t_bad = row->t_bad;
  n->t_open = row->t_open;
  n->t_canceled = row->t_canceled;
  keep_text(&n->error, row->error);
  return 0;
}

static enum wr_rc read_all(struct follow *f, struct reader *r, struct wr_err *err) {
  /* The flow is read first: if it is final, the nodes that are read after it are final too. */
  enum wr_rc rc = reader_flow_ins(r, f->fi, on_flow, f, err);
  struct page p = {.limit = PAGE_NODES};
  int64_t total; /* not asked for */
  for (bool more = true; !rc && more; p.offset += PAGE_NODES)
    rc = reader_nodes(r, f->fi, UINT32_MAX, false, &p, on_node, f, &more, &total, err);
  return rc;
}

/* ---- lines ---- */

void follow_text(FILE *to, const char *text, size_t n) {
  size_t len;
  uint32_t cp;
  while (n > 0) {
    size_t good = text_control_at(text, n, &len, &cp);
    fwrite(text, 1, good, to);
    if (good == n) return;
    fputc(' ', to);
    text += good + len;
    n -= good + len;
  }
}

static void line(struct follow *f, uint32_t i) {
  struct follow_node *n = &f->node[i];
  const char *key = f->flow->node[i].key;
  uint32_t tasks = n->t_ok + n->t_bad + n->t_open;
  n->shown = n->state;
  n->told_bad = follow_failed(n);
  fprintf(f->to, "%s %s", key, node_state_name((enum node_state)n->state));
  if (n->start_us && n->end_us) fprintf(f->to, " %.3fs", (double)(n->end_us - n->start_us) / 1e6);
  if (tasks > 1 && n->told_bad > 0) fprintf(f->to, " (%u of %u tasks failed)", n->told_bad, tasks);
  if (n->error && node_final((enum node_state)n->state)) {
    fputc(' ', f->to);
    follow_text(f->to, n->error, strlen(n->error));
  }
  fputc('\n', f->to);
}

/* Are the tasks of the node worth a look? A node that waits or never started has none. Those of a node that succeeded are read
 * only for their logs and, while there is time, for the attempts that they took. */
static bool tasks_matter(const struct follow *f, const struct follow_node *n, uint32_t *budget) {
  if (n->t_ok + n->t_bad + n->t_open == 0) return false;
  if (n->t_open == 0 && (f->logs || follow_failed(n) > 0)) return true;
  if (*budget == 0) return false;
  --*budget;
  return true;
}

/* One node: its start, what its tasks did, its end, in this order. */
static enum wr_rc tell(struct follow *f, struct reader *r, uint32_t i, uint32_t *budget, struct wr_err *err) {
  struct follow_node *n = &f->node[i];
  bool lines = f->style == FOLLOW_LINES, over = node_final((enum node_state)n->state) && n->t_open == 0;
  enum wr_rc rc = WR_OK;
  if (lines && n->state == NODE_RUNNING && n->shown != NODE_RUNNING) line(f, i);
  if (tasks_matter(f, n, budget)) rc = steps_look(f, r, i, err);
  if (lines && node_final((enum node_state)n->state) && (n->state != n->shown || (over && follow_failed(n) != n->told_bad)))
    line(f, i);
  if (!rc && lines && over && follow_failed(n) > 0) rc = steps_tail(f, r, i, err);
  n->settled = over;
  return rc;
}

static enum wr_rc tell_all(struct follow *f, struct reader *r, struct wr_err *err) {
  uint32_t budget = LOOK_NODES;
  enum wr_rc rc = WR_OK;
  for (uint32_t i = 0; i < f->flow->n && !rc; i++)
    if (f->node[i].ni && !f->node[i].settled) rc = tell(f, r, i, &budget, err);
  fflush(f->to);
  return rc;
}

static void count(struct follow *f) {
  memset(f->count, 0, sizeof f->count);
  for (uint32_t i = 0; i < f->flow->n; i++) {
    if (f->flow->node[i].type == NODE_TYPE_TASK && f->node[i].state < NODE__N) f->count[f->node[i].state]++;
  }
}

enum wr_rc follow_look(struct follow *f, struct wr_err *err) {
  int64_t began = clock_mono_us();
  struct reader *r = reader_get(f->store, err);
  if (!r) return err->code;
  enum wr_rc rc = read_all(f, r, err);
  if (!rc) rc = tell_all(f, r, err);
  reader_put(r);
  if (rc) return rc;
  count(f);
  if (f->style == FOLLOW_TREE) tree_draw(f, false);
  int64_t now = clock_mono_us(), gap = f->style == FOLLOW_TREE ? TREE_GAP_US : LINES_GAP_US;
  f->next_us = now + (10 * (now - began) > gap ? 10 * (now - began) : gap);
  return WR_OK;
}

void follow_tick(struct follow *f) {
  if (f->style == FOLLOW_TREE) tree_draw(f, false);
}

static void tell_untold(const struct follow *f) {
  if (f->untold) fprintf(f->to, "(the output of %u more failed tasks is not shown; --logs shows all)\n", f->untold);
}

enum wr_rc follow_failures(struct follow *f, struct reader *r, struct wr_err *err) {
  enum wr_rc rc = read_all(f, r, err);
  for (uint32_t i = 0; i < f->flow->n && !rc; i++) {
    if (f->node[i].state != NODE_FAILED && follow_failed(&f->node[i]) == 0) continue;
    line(f, i);
    if (follow_failed(&f->node[i]) > 0) rc = steps_tail(f, r, i, err);
  }
  tell_untold(f);
  fflush(f->to);
  return rc;
}

enum wr_rc follow_end(struct follow *f, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  if (f->style == FOLLOW_TREE) {
    tree_draw(f, true);
    struct reader *r = reader_get(f->store, err);
    if (!r) return err->code;
    for (uint32_t i = 0; i < f->flow->n && !rc; i++)
      if (follow_failed(&f->node[i]) > 0) rc = steps_tail(f, r, i, err);
    reader_put(r);
  }
  tell_untold(f);
  return rc;
}

void follow_done(struct follow *f) {
  for (uint32_t i = 0; f->node && i < f->flow->n; i++) {
    free(f->node[i].error);
    steps_done(f, i);
  }
  free(f->node);
  free(f->bases);
  free(f->drawn.width);
  free(f->error);
  *f = (struct follow){0};
}
