/* Private to core: marking what a step changed. See run.h. */
#ifndef CORE_EFFECTS_H
#define CORE_EFFECTS_H
#include "run.h"
void eff_mark_flow(struct run *r, struct run_ctx *c, const char *error);
void eff_blame_node(struct run *r, struct run_ctx *c, uint32_t node, const char *error);  /* the flow's error is that of a node */
void eff_mark_node(struct run *r, struct run_ctx *c, uint32_t node, const char *error);
void eff_mark_task(struct run *r, struct run_ctx *c, uint32_t task, const char *error, const void *result);
void eff_after(struct run *r, struct run_ctx *c, enum after_kind kind, uint32_t task, const struct task_policy *pol);
/* Private to core: shared between run.c and rerun.c */
void run_push(struct run *r, uint32_t node, uint32_t pos);
enum run_rc run_rerun(struct run *r, const struct run_event *ev, struct run_ctx *c);
/* wide.c: a further range of tasks, without content. */
void run_wide_add(struct run *r, struct run_wide w);
/* run.c: the node starts. end: it is over at once. */
void run_node_start(struct run *r, struct run_ctx *c, uint32_t node);
void run_node_end(struct run *r, struct run_ctx *c, uint32_t node, enum node_state state, const char *error);
/* The token for the k-th out-edge of a node that has ended. */
enum token run_token(const struct run_node *v, uint32_t k);
/* Notes an unknown node; true when it is unknown. */
bool run_need(const struct run *r, uint32_t node, struct run_ctx *c);
#endif
