/* Nodes that are made wider when they start: their tasks have their own range of ids and of indices, after those of the dag. Pure
 * but for memory. What never happens: a task moves to another index; the range of a former run is forgotten. */
#include <stdlib.h>
#include <string.h>
#include "effects.h"
#include "err.h"
#include "wr_limits.h"
#include "mem.h"

/* Ranges are sorted by their indices. */
const struct run_wide *run_wide_at(const struct run *r, uint32_t task) {
  size_t lo = 0, hi = r->n_wide;
  while (hi - lo > 1) {
    size_t mid = lo + (hi - lo) / 2;
    if (r->wide[mid].at <= task) lo = mid;
    else hi = mid;
  }
  return &r->wide[lo];
}

int64_t run_ti(const struct run *r, uint32_t task) {
  if (task >= r->dag->n_task) {
    const struct run_wide *w = run_wide_at(r, task);
    return w->ti + (task - w->at);
  }
  return r->base[r->node[dag_node_of_task(r->dag, task)].base].ti + task;
}

int64_t run_task_in(const struct run *r, uint16_t base, int64_t ti) {
  int64_t d = ti - r->base[base].ti;
  if (d >= 0 && d < r->dag->n_task) return d;
  for (const struct run_wide *w = r->wide; w < r->wide + r->n_wide; w++)
    if (w->base == base && ti >= w->ti && ti - w->ti < w->n) return w->at + (ti - w->ti);
  return -1;
}

struct run_ids run_task_ids(const struct run *r, uint16_t base, uint32_t node) {
  const struct dag_node *d = &r->dag->node[node];
  for (const struct run_wide *w = r->wide; d->expands && w < r->wide + r->n_wide; w++)
    if (w->base == base && w->node == node) return (struct run_ids){w->ti, w->n};
  return (struct run_ids){r->base[base].ti + d->task_at, d->expands ? 0 : d->n_task};
}

uint32_t run_task_of(const struct run *r, int64_t ti) {
  for (size_t b = r->n_base; b-- > 0;) {
    int64_t task = run_task_in(r, (uint16_t)b, ti);
    if (task < 0) continue;
    uint32_t node = run_node_of(r, (uint32_t)task);
    if (!run_known(r, node)) return (uint32_t)task;
    struct run_tasks now = run_node_tasks(r, node);
    bool current = r->node[node].base == b && (uint32_t)task >= now.at && (uint32_t)task - now.at < now.n;
    return current ? (uint32_t)task : UINT32_MAX;
  }
  return UINT32_MAX;
}

void run_wide_add(struct run *r, struct run_wide w) {
  struct run_task *room = r->task;
  w.at = r->n_task;
  if (r->n_task + w.n > r->cap_task) {
    bool own = r->cap_task > r->dag->n_task;
    r->cap_task = (r->n_task + w.n) * 2;
    room = wr_calloc(r->cap_task, sizeof *room);
    memcpy(room, r->task, r->n_task * sizeof *room);
    if (own) free(r->task);
    r->task = room;
  }
  memset(&r->task[w.at], 0, w.n * sizeof *r->task);
  r->n_task += w.n;
  *WR_PUSH(r->wide, r->n_wide, r->cap_wide) = w;
}

/* Each task goes on with the greatest epoch that a former run had at its index. All former runs are looked at, because one in
 * between may have been narrower. */
static void wide_epochs(struct run *r, const struct run_wide *w) {
  for (const struct run_wide *was = r->wide; was < w; was++)
    for (uint32_t k = 0; was->node == w->node && k < was->n && k < w->n; k++) {
      uint32_t *epoch = &r->task[w->at + k].t.epoch, before = r->task[was->at + k].t.epoch;
      if (task_attempt_of(before) > task_attempt_of(*epoch)) *epoch = before;
    }
}

void run_widen(struct run *r, struct run_ctx *c, uint32_t n, int64_t ti) {
  uint32_t node = r->widen - 1;
  wr_assert(r->widen > 0);
  r->widen = 0;
  if (n == 0) { run_node_end(r, c, node, NODE_SKIPPED, NULL); return; }
  bool many = r->n_wide >= LIMIT_WIDE_NODES || n > LIMIT_FLOW_TASKS - r->n_task;
  if (n > LIMIT_WIDTH || many) {
    run_node_end(r, c, node, NODE_FAILED, n > LIMIT_WIDTH ? "It would have more tasks than a node may have."
                                                          : "The flow has too many nodes that grew.");
    return;
  }
  run_wide_add(r, (struct run_wide){.node = node, .n = n, .base = r->node[node].base, .ti = ti});
  r->node[node].wide = (uint16_t)r->n_wide;
  wide_epochs(r, &r->wide[r->n_wide - 1]);
  run_node_start(r, c, node);
}
