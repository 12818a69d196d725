/* Effects (`eff`): what a step changed and what follows from it, as lists of the batch (run.h). Private to core. */
#ifndef CORE_EFFECTS_H
#define CORE_EFFECTS_H
#include "run.h"
void eff_mark_flow(struct run *r, struct run_ctx *c, const char *error);
void eff_blame_node(struct run *r, struct run_ctx *c, uint32_t node, const char *error);  /* its error is the flow's */
void eff_mark_node(struct run *r, struct run_ctx *c, uint32_t node, const char *error);
void eff_mark_task(struct run *r, struct run_ctx *c, uint32_t task, const char *error, const void *result);
void eff_after(struct run *r, struct run_ctx *c, enum after_kind kind, uint32_t task, const struct task_policy *pol);
/* Shared by run.c, rerun.c, pause.c and wide.c: */
void run_push(struct run *r, uint32_t node, uint32_t pos);
enum run_rc run_rerun(struct run *r, const struct run_event *ev, struct run_ctx *c);
/* wide.c: adds a range of tasks without content. */
void run_wide_add(struct run *r, struct run_wide w);
/* run.c: the node starts; the node has ended. */
void run_node_start(struct run *r, struct run_ctx *c, uint32_t node);
void run_node_end(struct run *r, struct run_ctx *c, uint32_t node, enum node_state state, const char *error);
/* run.c: what a task event did becomes rows and messages; decides a node that has not started, by its tokens. */
void run_task_did(struct run *r, struct run_ctx *c, const struct run_event *ev, const struct task *was, unsigned out);
void run_node_eval(struct run *r, struct run_ctx *c, uint32_t node);
unsigned run_task_apply(struct run *r, struct run_ctx *c, uint32_t task, struct task_event *ev, const struct task_policy *pol);
/* pause.c: the events; one node of a pass; a pass of that kind is under way. */
enum run_rc run_pause(struct run *r, const struct run_event *ev, struct run_ctx *c);
enum run_rc run_resume(struct run *r, struct run_ctx *c);
void run_pass_node(struct run *r, struct run_ctx *c, uint32_t pass, uint32_t node);
/* Of a paused flow, where nothing new starts: what became QUEUED or waits for a retry is held. Returns what is left to do. */
unsigned run_hold_task(struct run *r, uint32_t task, unsigned out);
/* The pass of a pause or a resume that is not over; NULL = none. */
struct run_more *run_pass(const struct run *r);
bool run_node_is_ready(const struct run *r, uint32_t node);   /* it waits, and all its tokens are OK */
/* The token for the k-th out-edge of a node that has ended. */
enum token run_token(const struct run_node *v, uint32_t k);
/* True when the node is unknown; then notes it in c->need. */
bool run_need(const struct run *r, uint32_t node, struct run_ctx *c);
#endif
