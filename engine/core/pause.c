/* Pause and resume of a flow (run.h). The flow is PAUSED at once; a pass over its nodes then holds what waits, and stops what
 * runs when that was asked for. The resume is a pass as well. Pure; the runner thread owns the run.
 *
 * While it is paused, tokens are delivered as always: nodes end, and that there are some that are ready is remembered
 * (HOLD_NODES). What becomes QUEUED or waits for a retry is held at once. So a paused flow becomes final when its last task ends
 * and no node is ready.
 * What never happens: a task starts in a paused flow; a resume forgets what the pause has held, or takes up what a user
 * paused. */
#include <string.h>
#include "effects.h"
#include "err.h"

struct run_more *run_pass(const struct run *r) {
  for (size_t i = r->n_more; i-- > 0;) {
    uint32_t what = r->more[i].node;
    if (what == MORE_HOLD || what == MORE_CHECKPOINT || what == MORE_TAKE_UP) return &r->more[i];
  }
  return NULL;
}

/* Instead of the pass that is under way, if any. A flow that is being ended is swept, which is all that it needs. */
static void begin_pass(struct run *r, uint32_t what) {
  struct run_more *old = run_pass(r);
  if (old) {
    memmove(old, old + 1, (size_t)(r->more + r->n_more - (old + 1)) * sizeof *old);
    r->n_more--;
  }
  if (r->wish <= WISH_STOP) run_push(r, what, 0);
}

unsigned run_hold_task(struct run *r, uint32_t task, unsigned out) {
  if (!(out & (TASK_OUT_REQUEUED | TASK_OUT_WAITS)) || r->wish > WISH_STOP) return out;
  if (r->task[task].t.phase == PHASE_ANALYSE) return out & ~(unsigned)TASK_OUT_REQUEUED; /* it waits, and its time goes on */
  unsigned held = task_apply(&r->task[task].t, &(struct task_event){.kind = TASK_EV_HOLD}, NULL);
  return (out | held) & ~(unsigned)(TASK_OUT_REQUEUED | TASK_OUT_WAITS);
}

bool run_node_is_ready(const struct run *r, uint32_t node) {
  const struct run_node *v = &r->node[node];
  return v->state == NODE_WAITING && rule_all_success(r->dag->node[node].n_parent, v->ok, v->fail, v->skip) == VERDICT_TRUE;
}

/* A pause that comes before the resume is over finds nodes that are still ready. */
static void node_again(struct run *r, struct run_ctx *c, uint32_t node) {
  if (!run_node_is_ready(r, node)) return;
  if (r->state == FLOW_PAUSED) r->hold |= HOLD_NODES;
  else run_node_eval(r, c, node);
}

/* A task that is taken up has the version of the definition that it was made with, and another version may be bound now: then its
 * hint goes to the queue, and whoever pops it reads what that version costs. */
static void leave_former(struct run *r, struct run_ctx *c, uint32_t task) {
  struct eff_after *f = &c->out->after[c->out->n_after - 1];
  if (f->kind == AFTER_READY && r->task[task].t.version != r->bind[run_pattern(r, task)].version) f->kind = AFTER_PUSH;
}

void run_pass_node(struct run *r, struct run_ctx *c, uint32_t pass, uint32_t node) {
  enum task_ev kind = pass == MORE_HOLD ? TASK_EV_HOLD : pass == MORE_CHECKPOINT ? TASK_EV_CHECKPOINT : TASK_EV_TAKE_UP;
  struct run_tasks its = run_node_tasks(r, node);
  c->budget--;
  if (r->node[node].t_open == 0) {
    if (r->wish == WISH_NONE) node_again(r, c, node);
    return;
  }
  for (uint32_t i = its.at; i < its.at + its.n; i++) {
    struct run_event ev = {.kind = RUN_EV_TASK, .task = i, .ev = {.kind = kind}};
    struct task was = r->task[i].t;
    unsigned out = run_task_apply(r, c, i, &ev.ev, NULL);
    if (out != 0) run_task_did(r, c, &ev, &was, out);
    if (out & TASK_OUT_REQUEUED) leave_former(r, c, i);
    c->budget--;
  }
}

static enum run_rc answer(struct run_ctx *c, enum ask_no no) {
  c->no = no;
  return no > ASK_SAME ? RUN_REFUSED : RUN_OK;
}

/* What a flow answers that is neither RUNNING nor PAUSED. */
static enum run_rc refuse_pause(const struct run *r, struct run_ctx *c) {
  return answer(c, flow_final(r->state) ? ASK_FINISHED : ASK_BUSY);
}

enum run_rc run_pause(struct run *r, const struct run_event *ev, struct run_ctx *c) {
  bool more = ev->checkpoint && !(r->hold & HOLD_CHECKPOINT);
  if (r->state != FLOW_RUNNING && r->state != FLOW_PAUSED) return refuse_pause(r, c);
  if (r->state == FLOW_PAUSED && !more) return answer(c, ASK_SAME);
  r->state = FLOW_PAUSED;
  if (ev->checkpoint) r->hold |= HOLD_CHECKPOINT;
  begin_pass(r, ev->checkpoint ? MORE_CHECKPOINT : MORE_HOLD);
  eff_after(r, c, AFTER_TREES, UINT32_MAX, NULL);
  eff_mark_flow(r, c, NULL);
  return answer(c, ASK_OK);
}

enum run_rc run_resume(struct run *r, struct run_ctx *c) {
  if (r->state == FLOW_RUNNING) return answer(c, ASK_SAME);
  if (r->state != FLOW_PAUSED) return refuse_pause(r, c);
  r->state = FLOW_RUNNING;
  r->hold = 0;
  begin_pass(r, MORE_TAKE_UP);
  eff_after(r, c, AFTER_TREES, UINT32_MAX, NULL);
  eff_mark_flow(r, c, NULL);
  return answer(c, ASK_OK);
}
