/* Re-runs: choose the nodes, open new rows for them, and give them the tokens of nodes that are kept (rule 28). Pure.
 * What never happens: a kept node loses its row, result or times; a chosen node waits for a token that no node sends. */
#include <stdlib.h>
#include "effects.h"
#include "err.h"
#include "wr_limits.h"
#include "mem.h"

static bool kept_by_resume(enum node_state s) { return s == NODE_SUCCESS || s == NODE_SKIPPED; }

/* The nodes that run again. `from` is a node: that node, all CANCELED nodes, and all below these. RERUN_FAILED: all nodes that
 * did not succeed, and all below these. */
static uint8_t *choose(const struct run *r, uint32_t from) {
  uint8_t *set = wr_calloc((size_t)r->dag->n + 1, 1);
  for (uint32_t i = 0; i < r->dag->n; i++) {
    enum node_state s = r->node[i].state;
    set[i] = from == RERUN_FAILED ? !kept_by_resume(s) : i == from || s == NODE_CANCELED;
  }
  dag_close_down(r->dag, set);
  return set;
}

static void reset_node(struct run *r, uint32_t i) {
  struct run_tasks its = run_node_tasks(r, i);
  r->node[i] = (struct run_node){.state = NODE_WAITING, .known = 1, .base = (uint16_t)(r->n_base - 1), .eff = r->node[i].eff};
  for (uint32_t k = its.at; !r->dag->node[i].expands && k < its.at + its.n; k++)
    r->task[k] = (struct run_task){.t = {.epoch = r->task[k].t.epoch}, .eff = r->task[k].eff};
}

static void keep_tokens(struct run *r, uint32_t u, const uint8_t *set) {
  const struct dag *d = r->dag;
  for (uint32_t k = d->child_at[u]; k < d->child_at[u + 1]; k++) {
    struct run_node *v = &r->node[d->child[k]];
    if (!set[d->child[k]]) continue;
    switch (run_token(&r->node[u], k - d->child_at[u])) {
    case TOKEN_OK: v->ok++; break;
    case TOKEN_SKIP: v->skip++; break;
    case TOKEN_FAIL: v->fail++; break;
    }
  }
}

enum run_rc run_rerun(struct run *r, const struct run_event *ev, struct run_ctx *c) {
  uint32_t n = r->dag->n;
  if (!flow_final(r->state) || r->n_base >= LIMIT_RUNS) return RUN_REFUSED;
  if (ev->node == RERUN_FAILED && r->state == FLOW_SUCCESS) return RUN_REFUSED;
  for (uint32_t i = 0; i < n; i++) (void)run_need(r, i, c);
  if (c->n_need > 0) return RUN_NEED;
  uint8_t *set = choose(r, ev->node);
  run_base_add(r, ev->base);
  for (uint32_t i = 0; i < n; i++)
    if (set[i]) reset_node(r, i);
  r->failed = 0;
  for (uint32_t i = 0; i < n; i++) {
    if (set[i]) { eff_mark_node(r, c, i, NULL); continue; }
    keep_tokens(r, i, set);
    if (!kept_by_resume(r->node[i].state)) r->failed++;
  }
  free(set);
  r->state = FLOW_RUNNING;
  r->wish = WISH_NONE;
  r->end_us = 0;
  r->due_us = r->dag->timeout_us > 0 ? c->now_us + r->dag->timeout_us : 0;
  r->text_error = 0;
  r->n_more = 0;
  run_push(r, MORE_EVAL, 0);
  eff_mark_flow(r, c, "");
  return RUN_OK;
}

/* Of nodes that ended at the same moment the one that failed itself counts, because the others stand below it. */
uint32_t run_kept_failure(const struct run *r) {
  uint32_t first = UINT32_MAX;
  for (uint32_t i = 0; i < r->dag->n; i++) {
    const struct run_node *v = &r->node[i], *best = first == UINT32_MAX ? NULL : &r->node[first];
    if (v->base + 1u == r->n_base || kept_by_resume(v->state)) continue;
    bool cause = best && v->end_us == best->end_us && v->state == NODE_FAILED && best->state != NODE_FAILED;
    if (!best || v->end_us < best->end_us || cause) first = i;
  }
  return first;
}

void run_blame(struct run *r, struct run_ctx *c, uint32_t node, const char *error) {
  r->text_error = 1;
  eff_blame_node(r, c, node, error);
}
