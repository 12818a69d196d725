/* The effects of one batch: each changed row once, with its newest content. Pure, except that its lists grow. One owner (the
 * runner thread). What never happens: a row is listed twice; the order is another than that of the first change. */
#include "effects.h"
#include <stdlib.h>
#include "mem.h"

void eff_mark_flow(struct run *r, struct run_ctx *c, const char *error) {
  struct effects *e = c->out;
  if (r->eff == 0) {
    *WR_PUSH(e->flow, e->n_flow, e->cap_flow) = (struct eff_flow){r, NULL, 0};
    r->eff = (uint32_t)e->n_flow;
  }
  if (!error) return;
  e->flow[r->eff - 1].error = error;
  e->flow[r->eff - 1].of_node = 0;
}

void eff_blame_node(struct run *r, struct run_ctx *c, uint32_t node, const char *error) {
  eff_mark_flow(r, c, error);
  if (error) c->out->flow[r->eff - 1].of_node = node + 1;
}

void eff_mark_node(struct run *r, struct run_ctx *c, uint32_t node, const char *error) {
  struct effects *e = c->out;
  struct run_node *v = &r->node[node];
  if (v->eff == 0) {
    eff_mark_flow(r, c, NULL);
    *WR_PUSH(e->node, e->n_node, e->cap_node) = (struct eff_node){r, node, NULL};
    v->eff = (uint32_t)e->n_node;
  }
  if (error) e->node[v->eff - 1].error = error;
}

void eff_mark_task(struct run *r, struct run_ctx *c, uint32_t task, const char *error, const void *result) {
  struct effects *e = c->out;
  struct run_task *t = &r->task[task];
  if (t->eff == 0) {
    eff_mark_flow(r, c, NULL);
    *WR_PUSH(e->task, e->n_task, e->cap_task) = (struct eff_task){.r = r, .task = task};
    t->eff = (uint32_t)e->n_task;
  }
  if (error) e->task[t->eff - 1].error = error;
  if (result) e->task[t->eff - 1].result = result;
}

void eff_after(struct run *r, struct run_ctx *c, enum after_kind kind, uint32_t task, const struct task_policy *pol) {
  struct effects *e = c->out;
  const struct task *t = task < r->n_task ? &r->task[task].t : NULL;
  *WR_PUSH(e->after, e->n_after, e->cap_after) =
      (struct eff_after){kind, r, task, t ? t->epoch : 0, t ? t->tries : 0, t ? t->owner : 0, pol,
                         pol ? pol->slot : 0, 0, pol ? pol->list : 0};
}

void effects_clear(struct effects *e) {
  e->n_flow = e->n_node = e->n_task = e->n_attempt = e->n_after = 0;
}

void effects_commit(struct effects *e, int64_t version) {
  for (size_t i = 0; i < e->n_flow; i++) {
    e->flow[i].r->version = version;
    e->flow[i].r->row = 1;
    e->flow[i].r->eff = 0;
  }
  for (size_t i = 0; i < e->n_node; i++) {
    struct run_node *v = &e->node[i].r->node[e->node[i].node];
    v->row = 1;
    v->eff = 0;
  }
  for (size_t i = 0; i < e->n_task; i++) {
    struct run_task *t = &e->task[i].r->task[e->task[i].task];
    t->row = 1;
    t->eff = 0;
  }
  effects_clear(e);
}

void effects_done(struct effects *e) {
  free(e->flow);
  free(e->node);
  free(e->task);
  free(e->attempt);
  free(e->after);
  *e = (struct effects){0};
}
