/* Runs as memory: making them, loading what was stored, ids, and the check of every fact. Pure but for memory. */
#include <stdlib.h>
#include <string.h>
#include "err.h"
#include "mem.h"
#include "run.h"
#include "text.h"

struct run *run_new(struct dag *d, int64_t fi, struct run_base base, enum flow_state state) {
  struct run *r = wr_new(struct run);
  r->fi = fi;
  r->dag = dag_ref(d);
  r->state = (uint8_t)state;
  r->node = wr_calloc((size_t)d->n + 1, sizeof *r->node);
  r->task = wr_calloc((size_t)d->n_task + 1, sizeof *r->task);
  *WR_PUSH(r->base, r->n_base, r->cap_base) = base;
  r->whole = 1;
  return r;
}

void run_free(struct run *r) {
  if (r == NULL) return;
  dag_unref(r->dag);
  free(r->more);
  free(r->base);
  free(r->node);
  free(r->task);
  free(r);
}

void run_forget(struct run *r) { r->whole = 0; }

void run_load_none(struct run *r, uint32_t node) {
  r->node[node] = (struct run_node){.known = 1};
}

void run_load_task(struct run *r, uint32_t task, const struct task *t) {
  r->task[task] = (struct run_task){.t = *t, .row = 1};
}

/* A node that has not started in its newest run has no tasks there yet: of those loaded only the epochs go on. */
void run_load_node(struct run *r, uint32_t node, const struct run_node *v) {
  const struct dag_node *d = &r->dag->node[node];
  for (uint32_t k = d->task_at; v->t_ok + v->t_bad + v->t_open == 0 && k < d->task_at + d->n_task; k++)
    r->task[k] = (struct run_task){.t = {.epoch = r->task[k].t.epoch}};
  r->node[node] = *v;
  r->node[node].known = 1;
  r->node[node].row = 1;
  r->node[node].eff = 0;
}

int64_t run_ti(const struct run *r, uint32_t task) {
  return r->base[r->node[dag_node_of_task(r->dag, task)].base].ti + task;
}

uint32_t run_task_of(const struct run *r, int64_t ti) {
  for (size_t b = r->n_base; b-- > 0;) {
    int64_t d = ti - r->base[b].ti;
    if (d < 0 || d >= r->dag->n_task) continue;
    uint32_t node = dag_node_of_task(r->dag, (uint32_t)d);
    return run_known(r, node) && r->node[node].base != b ? UINT32_MAX : (uint32_t)d;
  }
  return UINT32_MAX;
}

void run_bases_text(const struct run *r, struct buf *out) {
  for (size_t i = 0; i < r->n_base; i++) {
    if (i > 0) buf_ch(out, ',');
    buf_i64(out, r->base[i].ni);
    buf_ch(out, ':');
    buf_i64(out, r->base[i].ti);
  }
}

bool run_base_next(const char **p, struct run_base *b) {
  const char *s = *p;
  size_t n = s ? strcspn(s, ",") : 0;
  const char *colon = n > 0 ? memchr(s, ':', n) : NULL;
  if (!colon || !text_i64(s, (size_t)(colon - s), &b->ni) || !text_i64(colon + 1, n - (size_t)(colon + 1 - s), &b->ti)) return false;
  *p = s + n + (s[n] == ',');
  return true;
}

bool run_bases_parse(struct run *r, const char *s) {
  struct run_base b;
  r->n_base = 0;
  while (run_base_next(&s, &b)) *WR_PUSH(r->base, r->n_base, r->cap_base) = b;
  return r->n_base > 0 && *s == '\0';
}

void run_more_text(const struct run *r, struct buf *out) {
  for (size_t i = 0; i < r->n_more; i++) {
    if (i > 0) buf_ch(out, ',');
    buf_i64(out, r->more[i].node);
    buf_ch(out, ':');
    buf_i64(out, r->more[i].pos);
  }
}

static bool more_valid(const struct run *r, int64_t node, int64_t pos) {
  if (node == MORE_SWEEP || node == MORE_EVAL) return pos <= r->dag->n;
  return node <= r->dag->n && pos >= r->dag->child_at[node] && pos <= r->dag->child_at[node + 1];
}

bool run_more_parse(struct run *r, const char *s, size_t n) {
  r->n_more = 0;
  while (n > 0) {
    const char *comma = memchr(s, ',', n);
    size_t len = comma ? (size_t)(comma - s) : n;
    const char *colon = memchr(s, ':', len);
    int64_t node, pos;
    if (!colon || !text_i64(s, (size_t)(colon - s), &node) || !text_i64(colon + 1, len - (size_t)(colon + 1 - s), &pos)) return false;
    if (node < 0 || pos < 0 || !more_valid(r, node, pos)) return false;
    *WR_PUSH(r->more, r->n_more, r->cap_more) = (struct run_more){(uint32_t)node, (uint32_t)pos};
    s += len + (comma != NULL);
    n -= len + (comma != NULL);
  }
  return true;
}

static void check_node(const struct run *r, uint32_t i, uint64_t *live, uint32_t *failed) {
  const struct run_node *v = &r->node[i];
  const struct dag_node *d = &r->dag->node[i];
  uint32_t ok = 0, bad = 0, canceled = 0, open = 0;
  wr_assert(run_known(r, i) && v->state < NODE__N);
  wr_assert((uint64_t)v->ok + v->fail + v->skip <= d->n_parent);
  wr_assert(v->base < r->n_base);
  bool started = v->t_ok + v->t_bad + v->t_open > 0;
  wr_assert(!started || v->t_ok + v->t_bad + v->t_open == d->n_task);
  wr_assert(v->state != NODE_RUNNING || (started && v->t_open > 0));
  wr_assert(v->state != NODE_WAITING || !started);
  for (uint32_t k = d->task_at; started && k < d->task_at + d->n_task; k++) {
    const struct task *t = &r->task[k].t;
    task_check(t);
    if (t->state == TASK_SUCCESS) ok++; else if (task_final(t->state)) bad++; else open++;
    canceled += t->state == TASK_CANCELED;
  }
  if (started) wr_assert(ok == v->t_ok && bad == v->t_bad && open == v->t_open && canceled == v->t_canceled);
  if (v->state == NODE_SUCCESS) wr_assert(v->t_ok >= d->need && v->ok == d->n_parent);
  *live += v->t_open;
  *failed += v->state == NODE_FAILED || v->state == NODE_UPSTREAM_FAILED || v->state == NODE_CANCELED;
}

void run_check(const struct run *r) {
  uint64_t live = 0;
  uint32_t failed = 0;
  for (uint32_t i = 0; i < r->dag->n; i++) {
    check_node(r, i, &live, &failed);
    if (flow_final(r->state)) wr_assert(node_final(r->node[i].state) && r->node[i].t_open == 0);
  }
  wr_assert(live == r->live && failed == r->failed);
  wr_assert(!flow_final(r->state) || r->n_more == 0);
  wr_assert(r->n_more > 0 || r->live > 0 || flow_final(r->state));
}
