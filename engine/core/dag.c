/* Compiled flows: built once, never changed. Pure but for memory. Any thread may hold a reference.
 * What never happens: recursion over the graph, or a pass that is not linear in nodes + edges. */
#include "dag.h"
#include <string.h>
#include "err.h"
#include "mem.h"

/* Kahn's algorithm; order[] gets the nodes that can be ordered; returns their number. */
static uint32_t topo(const struct dag *d, uint32_t *order, uint32_t *left) {
  uint32_t head = 0, tail = 0;
  for (uint32_t i = 0; i < d->n; i++) {
    left[i] = d->node[i].n_parent;
    if (left[i] == 0) order[tail++] = i;
  }
  while (head < tail) {
    uint32_t u = order[head++];
    for (uint32_t k = d->child_at[u]; k < d->child_at[u + 1]; k++)
      if (--left[d->child[k]] == 0) order[tail++] = d->child[k];
  }
  return tail;
}

/* Every node with left > 0 has a parent with left > 0, so a walk over such parents meets a node twice. */
static void find_cycle(const struct dag_spec_node *v, uint32_t n, const uint32_t *left, uint32_t *cycle, uint32_t *n_cycle) {
  uint32_t *seen = wr_calloc(n, sizeof *seen); /* 1 + step of the walk */
  uint32_t *walk = wr_calloc(n, sizeof *walk);
  uint32_t u = 0, steps = 0;
  while (left[u] == 0) u++;
  while (seen[u] == 0) {
    walk[steps++] = u;
    seen[u] = steps;
    for (uint32_t k = 0; k < v[u].n_parent; k++)
      if (left[v[u].parent[k]] > 0) { u = v[u].parent[k]; break; }
  }
  *n_cycle = 0;
  for (uint32_t i = steps; i >= seen[u]; i--) cycle[(*n_cycle)++] = walk[i - 1]; /* backwards: along the edges */
  wr_assert(*n_cycle > 0);
  for (uint32_t i = *n_cycle - 1; i > 0 && cycle[0] != u; i--) { /* start at u, for a stable message */
    uint32_t last = cycle[*n_cycle - 1];
    memmove(cycle + 1, cycle, (*n_cycle - 1) * sizeof *cycle);
    cycle[0] = last;
  }
  free(seen);
  free(walk);
}

static void count(struct dag *d, const struct dag_spec_node *v) {
  for (uint32_t i = 0; i < d->n; i++) {
    d->node[i] = (struct dag_node){.task_at = d->n_task, .n_task = v[i].n_task, .need = v[i].need,
                                   .n_parent = v[i].n_parent, .rest = v[i].rest, .expands = v[i].expands};
    wr_assert(v[i].n_task > 0 && v[i].need > 0 && v[i].need <= v[i].n_task && (!v[i].expands || v[i].n_task == 1));
    d->n_task += v[i].n_task;
    d->n_edge += v[i].n_parent;
    if (v[i].n_parent == 0) d->child_at[d->n + 1]++;
    for (uint32_t k = 0; k < v[i].n_parent; k++) {
      wr_assert(v[i].parent[k] < d->n && v[i].parent[k] != i);
      d->child_at[v[i].parent[k] + 1]++;
    }
  }
}

/* A counting sort by parent, which puts children in the order of their indices. */
static void link_children(struct dag *d, const struct dag_spec_node *v) {
  for (uint32_t i = 0; i <= d->n; i++) d->child_at[i + 1] += d->child_at[i];
  d->child = wr_calloc((size_t)d->child_at[d->n + 1] + 1, sizeof *d->child);
  uint32_t *at = wr_calloc((size_t)d->n + 1, sizeof *at);
  memcpy(at, d->child_at, ((size_t)d->n + 1) * sizeof *at);
  for (uint32_t i = 0; i < d->n; i++) {
    if (v[i].n_parent == 0) d->child[at[d->n]++] = i;
    for (uint32_t k = 0; k < v[i].n_parent; k++) d->child[at[v[i].parent[k]]++] = i;
  }
  free(at);
}

static void link_tasks(struct dag *d) {
  if (d->n_task == d->n) return;
  d->node_of = wr_calloc(d->n_task, sizeof *d->node_of);
  for (uint32_t i = 0; i < d->n; i++)
    for (uint32_t k = 0; k < d->node[i].n_task; k++) d->node_of[d->node[i].task_at + k] = i;
}

struct dag *dag_new(const struct dag_spec_node *v, uint32_t n, uint8_t on_failure, int64_t timeout_us, uint32_t *cycle,
                    uint32_t *n_cycle) {
  struct dag *d = wr_new(struct dag);
  atomic_init(&d->refs, 1);
  d->n = n;
  d->on_failure = on_failure;
  d->timeout_us = timeout_us;
  d->node = wr_calloc((size_t)n + 1, sizeof *d->node);
  d->child_at = wr_calloc((size_t)n + 2, sizeof *d->child_at);
  count(d, v);
  link_children(d, v);
  link_tasks(d);
  uint32_t *order = wr_calloc((size_t)n + 1, sizeof *order), *left = wr_calloc((size_t)n + 1, sizeof *left);
  if (topo(d, order, left) < n) {
    find_cycle(v, n, left, cycle, n_cycle);
    dag_unref(d);
    d = NULL;
  }
  free(order);
  free(left);
  return d;
}

struct dag *dag_one(void) {
  uint32_t n_cycle;
  return dag_new(&(struct dag_spec_node){.n_task = 1, .need = 1}, 1, FLOW_CONTINUE, 0, NULL, &n_cycle);
}

struct dag *dag_ref(struct dag *d) {
  atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
  return d;
}

void dag_unref(struct dag *d) {
  if (d == NULL || atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) != 1) return;
  free(d->node);
  free(d->child_at);
  free(d->child);
  free(d->node_of);
  free(d);
}

int64_t dag_critical_path(const struct dag *d, const int64_t *weight) {
  uint32_t *order = wr_calloc((size_t)d->n + 1, sizeof *order), *left = wr_calloc((size_t)d->n + 1, sizeof *left);
  int64_t *before = wr_calloc((size_t)d->n + 1, sizeof *before), best = 0;
  wr_assert(topo(d, order, left) == d->n);
  for (uint32_t i = 0; i < d->n; i++) {
    uint32_t u = order[i];
    int64_t until = before[u] + weight[u];
    if (until > best) best = until;
    for (uint32_t k = d->child_at[u]; k < d->child_at[u + 1]; k++)
      if (before[d->child[k]] < until) before[d->child[k]] = until;
  }
  free(order);
  free(left);
  free(before);
  return best;
}

void dag_close_down(const struct dag *d, uint8_t *set) {
  uint32_t *stack = wr_calloc((size_t)d->n + 1, sizeof *stack), n = 0;
  for (uint32_t i = 0; i < d->n; i++)
    if (set[i]) stack[n++] = i;
  while (n > 0) {
    uint32_t u = stack[--n];
    for (uint32_t k = d->child_at[u]; k < d->child_at[u + 1]; k++) {
      uint32_t c = d->child[k];
      if (!set[c]) { set[c] = 1; stack[n++] = c; }
    }
  }
  free(stack);
}
