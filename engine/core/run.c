/* How a flow instance changes: events in, effects out (run.h has the picture). Pure; the runner thread owns the run.
 *
 * Order inside a step: first the event changes one task, or the wish of the flow. A node that is decided by its tasks ends and
 * goes on the `more` stack. Then run_drain() delivers tokens depth first, so the stack is never deeper than the path.
 * What never happens: recursion over the graph, a scan of all nodes (except a sweep, which has to touch every node that has not
 * ended), or a node that starts twice. */
#include "run.h"
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "effects.h"
#include "err.h"
#include "mem.h"
#include "wr_limits.h"

#define NEED_AHEAD 1000 /* unknown nodes that are asked for at once */

void run_push(struct run *r, uint32_t node, uint32_t pos) {
  if (r->n_more == r->cap_more && r->more == r->more_room) {
    r->more = wr_calloc(r->cap_more *= 4, sizeof *r->more);
    memcpy(r->more, r->more_room, sizeof r->more_room);
  }
  *WR_PUSH(r->more, r->n_more, r->cap_more) = (struct run_more){node, pos};
}

bool run_need(const struct run *r, uint32_t node, struct run_ctx *c) {
  if (run_known(r, node)) return false;
  *WR_PUSH(c->need, c->n_need, c->cap_need) = node;
  return true;
}

static bool failed_state(enum node_state s) {
  return s == NODE_FAILED || s == NODE_UPSTREAM_FAILED || s == NODE_CANCELED;
}

/* Nothing new starts from here on: a sweep ends everything that waits. A stop lets the tasks that there are go on, so the pass of
 * a pause or a resume goes on as well. */
static void set_wish(struct run *r, struct run_ctx *c, enum wish w, const char *error) {
  const struct run_more *under_way = w == WISH_STOP ? run_pass(r) : NULL;
  struct run_more pass = under_way ? *under_way : (struct run_more){0, 0};
  if (w == WISH_CANCEL && r->state == FLOW_PAUSED) eff_after(r, c, AFTER_TREES, UINT32_MAX, NULL);
  r->wish = (uint8_t)w;
  r->hold &= (uint8_t)~HOLD_NODES; /* the sweep ends them */
  r->n_more = 0;
  run_push(r, MORE_SWEEP, 0);
  if (under_way) run_push(r, pass.node, pass.pos);
  if (w == WISH_CANCEL) {
    r->state = FLOW_CANCELING;
    r->hold = 0;
  }
  if (error && !r->text_error) {
    r->text_error = 1;
    eff_mark_flow(r, c, error);
  }
  eff_mark_flow(r, c, NULL);
}

void run_node_end(struct run *r, struct run_ctx *c, uint32_t node, enum node_state state, const char *error) {
  struct run_node *v = &r->node[node];
  v->state = (uint8_t)state;
  v->end_us = c->now_us;
  eff_mark_node(r, c, node, error);
  if (failed_state(state)) {
    r->failed++;
    if (!r->text_error) {
      r->text_error = 1;
      eff_blame_node(r, c, node, error);
    }
    /* UPSTREAM_FAILED is a consequence: onFailure has answered its cause before, or a re-run keeps the cause. */
    if (state != NODE_UPSTREAM_FAILED && r->wish == WISH_NONE && r->dag->on_failure != FLOW_CONTINUE)
      set_wish(r, c, r->dag->on_failure == FLOW_STOP_NEW ? WISH_STOP : WISH_FAIL, NULL);
  }
  if (r->wish == WISH_NONE && r->dag->child_at[node] < r->dag->child_at[node + 1]) run_push(r, node, r->dag->child_at[node]);
}

/* ---- tasks ---- */

/* pol: NULL = the one bound now. */
unsigned run_task_apply(struct run *r, struct run_ctx *c, uint32_t task, struct task_event *ev, const struct task_policy *pol) {
  const struct run_node *v = &r->node[run_node_of(r, task)];
  bool open = !node_final(v->state);
  ev->now_us = c->now_us;
  ev->rnd = rand_next(&c->rnd);
  ev->may_retry = open && r->wish == WISH_NONE;
  ev->may_requeue = open && r->wish <= WISH_STOP;
  return task_apply(&r->task[task].t, ev, pol ? pol : r->bind[run_pattern(r, task)].pol);
}

/* What it occupies, and where it waits: an analysis is no attempt of its type. */
static const struct task_policy *cost_of(const struct task *t, const struct task_policy *pol) {
  return t->phase == PHASE_ANALYSE ? &task_policy_analysis : pol;
}

/* The task is QUEUED: the caller decides where it goes. */
static void task_ready(struct run *r, struct run_ctx *c, uint32_t task, const struct task_policy *pol) {
  if (r->wish > WISH_STOP) return; /* the sweep will end it */
  eff_after(r, c, AFTER_READY, task, cost_of(&r->task[task].t, pol));
}

/* Is the task that was made ready still waiting? Since then a sweep may have ended it, or a pause holds it, or will. */
static bool waits(const struct run *r, uint32_t task) {
  return r->task[task].t.state == TASK_QUEUED && r->wish <= WISH_STOP && r->state != FLOW_PAUSED;
}

bool run_take(struct run_ctx *c, size_t i) {
  struct eff_after *f = &c->out->after[i];
  struct run *r = f->r;
  struct task *t = &r->task[f->task].t;
  struct run_node *v = &r->node[run_node_of(r, f->task)];
  wr_assert(f->kind == AFTER_READY);
  f->kind = AFTER_NONE;
  if (!waits(r, f->task)) return false;
  (void)task_apply(t, &(struct task_event){.kind = TASK_EV_CLAIM, .now_us = r->last_us, .owner = c->me}, f->pol);
  if (v->start_us == 0) { /* a task that was paused before it ever ran may be the first of its node */
    v->start_us = r->last_us;
    eff_mark_node(r, c, (uint32_t)(v - r->node), NULL);
  }
  f->kind = AFTER_START;
  f->owner = t->owner;
  f->epoch = t->epoch;
  return true;
}

void run_leave(struct run_ctx *c, size_t i) {
  struct eff_after *f = &c->out->after[i];
  wr_assert(f->kind == AFTER_READY);
  f->kind = waits(f->r, f->task) ? AFTER_PUSH : AFTER_NONE;
}

static void keep_attempt(struct run *r, struct run_ctx *c, const struct run_event *ev, const struct task *was,
                         const char *error) {
  struct effects *e = c->out;
  bool analysed = was->phase == PHASE_RUN && r->task[ev->task].t.phase == PHASE_ANALYSE; /* it ended as it says itself */
  enum task_ev why = analysed ? ev->ev.kind : task_attempt_why(was, ev->ev.kind);
  *WR_PUSH(e->attempt, e->n_attempt, e->cap_attempt) = (struct eff_attempt){
      r, ev->task, was->epoch, was->owner, was->start_us, c->now_us, why, error, ev->result};
}

static void task_ended(struct run *r, uint32_t task) {
  struct run_node *v = &r->node[run_node_of(r, task)];
  enum task_state s = r->task[task].t.state;
  if (s == TASK_SUCCESS) v->t_ok++; else v->t_bad++;
  if (s == TASK_CANCELED) v->t_canceled++;
  v->t_open--;
  r->live--;
}

/* A "not now" beyond the limit is a failure, and says why. */
static const char *error_of(const struct task *t, const struct task *was, const struct run_event *ev) {
  _Static_assert(LIMIT_AGAIN == 100, "the texts name it");
  bool beyond = ev->ev.kind == TASK_EV_NOT_NOW && was->state == TASK_RUNNING && was->again >= LIMIT_AGAIN;
  if (!beyond) return task_error(t, was, ev->error);
  static const char run[] = "It asked more than 100 times in this run to be tried again later; from then on that is a failure.";
  static const char clean_up[] = "The clean-up failed: it asked more than 100 times to be tried again later.";
  return task_error(t, was, was->phase == PHASE_DELETE ? clean_up : run);
}

/* Turns the outcome of one task event into rows and messages. The node's decision comes after. */
/* A call of an analyzer that this batch has claimed and given up is not made. */
static bool not_begun(const struct run *r, const struct run_ctx *c, uint32_t task, uint32_t epoch) {
  for (size_t i = c->out->n_after; i-- > 0;) {
    struct eff_after *f = &c->out->after[i];
    if (f->r != r || f->task != task || f->kind != AFTER_START || f->epoch != epoch) continue;
    f->kind = AFTER_NONE;
    return true;
  }
  return false;
}

/* It ends while no attempt of it runs, or with one that could not end by itself: its node is dead, or it had not begun. What an
 * earlier attempt began elsewhere goes on. */
static bool parts(const struct task_policy *pol, const struct task *was, const struct run_event *ev, unsigned out) {
  if (!pol->parts || !(out & (TASK_OUT_ENDED | TASK_OUT_GONE)) || was->epoch == 0 || task_final(was->state)) return false;
  if (was->owner == 0) return was->phase == PHASE_RUN;
  bool cut = ev->kind == RUN_EV_TASK && (ev->ev.kind == TASK_EV_LOST || ev->ev.kind == TASK_EV_HANDBACK);
  return cut && was->state == TASK_CANCELING && (was->phase == PHASE_RUN || was->phase == PHASE_DELETE);
}

void run_task_did(struct run *r, struct run_ctx *c, const struct run_event *ev, const struct task *was, unsigned out) {
  const struct task *t = &r->task[ev->task].t;
  const struct task_policy *pol = ev->pol ? ev->pol : r->bind[run_pattern(r, ev->task)].pol;
  const char *error = error_of(t, was, ev);
  if (out & (TASK_OUT_CHANGED | TASK_OUT_GONE)) eff_mark_task(r, c, ev->task, error, ev->result);
  bool analysed = was->phase == PHASE_ANALYSE || was->phase == PHASE_CHILDREN;
  if (out & TASK_OUT_CHANGED && analysed) c->out->task[r->task[ev->task].eff - 1].analysed = 1;
  if (out & TASK_OUT_GONE) c->out->task[r->task[ev->task].eff - 1].gone = 1;
  if (out & TASK_OUT_ATTEMPT_ENDED) keep_attempt(r, c, ev, was, error ? error : ev->error);
  if (out & TASK_OUT_WAITS) eff_after(r, c, AFTER_TIMER, ev->task, pol);
  if (out & TASK_OUT_GIVEN_UP && not_begun(r, c, ev->task, was->epoch)) out &= ~(unsigned)TASK_OUT_KILL;
  if (out & TASK_OUT_KILL) { /* marked even if no column changes: an effect after the commit must belong to a run of the batch */
    if (run_alone(r)) eff_mark_task(r, c, ev->task, NULL, NULL);
    else eff_mark_flow(r, c, NULL);
    eff_after(r, c, AFTER_KILL, ev->task, pol);
    struct eff_after *f = &c->out->after[c->out->n_after - 1];
    f->owner = was->owner; /* it has none any more when it is gone */
    f->given_up = (out & TASK_OUT_GIVEN_UP) != 0;
  }
  if (parts(pol, was, ev, out)) {
    eff_after(r, c, AFTER_PART, ev->task, pol);
    c->out->after[c->out->n_after - 1].tries = was->tries;
  }
  if (out & TASK_OUT_BELOW) {
    if (run_alone(r)) eff_mark_task(r, c, ev->task, NULL, NULL);
    else eff_mark_flow(r, c, NULL);
    eff_after(r, c, AFTER_BELOW, ev->task, pol);
  }
  if (out & TASK_OUT_REQUEUED) task_ready(r, c, ev->task, pol);
  if (out & TASK_OUT_CLAIMED) {
    struct run_node *v = &r->node[run_node_of(r, ev->task)];
    if (v->start_us == 0) {
      v->start_us = c->now_us;
      eff_mark_node(r, c, (uint32_t)(v - r->node), NULL);
    }
    eff_after(r, c, AFTER_START, ev->task, cost_of(t, pol));
  }
  if (out & TASK_OUT_ENDED) task_ended(r, ev->task);
}

/* Sends ev to every task of the node that has not ended. */
static void tasks_all(struct run *r, struct run_ctx *c, uint32_t node, enum task_ev kind) {
  struct run_tasks its = run_node_tasks(r, node);
  for (uint32_t i = its.at; i < its.at + its.n; i++) {
    if (task_final(r->task[i].t.state)) continue;
    struct run_event ev = {.kind = RUN_EV_TASK, .task = i, .ev = {.kind = kind}};
    struct task was = r->task[i].t;
    run_task_did(r, c, &ev, &was, run_task_apply(r, c, i, &ev.ev, NULL));
    c->budget--;
  }
  eff_mark_node(r, c, node, NULL);
}

/* The task that ended last in its node: its state, its error, and the out-edges that it leaves out. */
struct last { enum task_state state; const char *error; uint64_t skip_edges; };

/* After a task of the node ended: the node may be decided now, once. A wide node needs all its tasks. */
static void node_decide(struct run *r, struct run_ctx *c, uint32_t node, const struct last *last) {
  const struct dag_node *d = &r->dag->node[node];
  uint32_t n = run_node_tasks(r, node).n;
  struct run_node *v = &r->node[node];
  eff_mark_node(r, c, node, NULL);
  if (node_final(v->state)) return;
  enum ruling verdict = rule_complete(n, d->expands ? n : d->need, v->t_ok, v->t_bad);
  if (verdict == VERDICT_UNKNOWN) return;
  if (verdict == VERDICT_TRUE) {
    v->skip_edges = last->skip_edges;
    run_node_end(r, c, node, NODE_SUCCESS, NULL);
  } else {
    enum node_state state = last->state == TASK_CANCELED ? NODE_CANCELED : NODE_FAILED;
    run_node_end(r, c, node, state, last->error ? last->error : "Failed.");
  }
  if (v->t_open > 0) tasks_all(r, c, node, d->rest == REST_CANCEL ? TASK_EV_REST_CANCEL : TASK_EV_REST_RUN_ON);
}

/* Its rows are deleted by the batch under way: for everybody who comes later it does not exist. */
static bool is_gone(const struct run *r, const struct run_ctx *c, uint32_t task) {
  uint32_t eff = run_alone(r) ? r->task[task].eff : 0;
  return eff != 0 && c->out->task[eff - 1].gone;
}

/* After a cancel the sweep ends the task; in a paused flow the resume makes it ready again. */
static bool no_claims(const struct run *r) { return r->wish > WISH_STOP || r->state == FLOW_PAUSED; }

static enum run_rc step_task(struct run *r, const struct run_event *ev, struct run_ctx *c) {
  uint32_t node = run_node_of(r, ev->task);
  if (is_gone(r, c, ev->task)) return RUN_LATE;
  if (run_need(r, node, c)) return RUN_NEED;
  if (ev->ev.kind == TASK_EV_CLAIM && no_claims(r)) return RUN_OK;
  struct task was = r->task[ev->task].t;
  struct task_event e = ev->ev;
  if (!run_alone(r)) e.remove = 0; /* a node keeps the rows of its tasks */
  unsigned out = run_task_apply(r, c, ev->task, &e, ev->pol);
  if (out & TASK_OUT_LATE) return RUN_LATE;
  if (out & TASK_OUT_REFUSED) return RUN_REFUSED;
  if (r->state == FLOW_PAUSED) out = run_hold_task(r, ev->task, out);
  run_task_did(r, c, ev, &was, out);
  const struct task *t = &r->task[ev->task].t;
  if (out & TASK_OUT_ENDED) node_decide(r, c, node, &(struct last){t->state, error_of(t, &was, ev), ev->skip_edges});
  return RUN_OK;
}

/* ---- wishes for one task ---- */

/* A stand-alone task that was final has something to do again: it is run again, or its clean-up runs. */
static void reopen_alone(struct run *r) {
  r->state = FLOW_RUNNING;
  r->end_us = 0;
  r->failed = 0;
  r->live = 1;
  r->node[0] = (struct run_node){.state = NODE_RUNNING, .known = 1, .row = r->node[0].row, .t_open = 1, .eff = r->node[0].eff,
                                 .start_us = r->node[0].start_us};
}

static enum run_rc step_ask(struct run *r, const struct run_event *ev, struct run_ctx *c) {
  uint32_t node = run_node_of(r, ev->task);
  if (is_gone(r, c, ev->task)) return RUN_LATE;
  if (run_need(r, node, c)) return RUN_NEED;
  struct task was = r->task[ev->task].t, *t = &r->task[ev->task].t;
  bool open = !node_final(r->node[node].state);
  struct task_wish w = {.ask = ev->ask, .now_us = c->now_us, .force = ev->force, .below = ev->below, .of_node = !run_alone(r),
                        .may_retry = open && r->wish == WISH_NONE, .may_requeue = r->wish <= WISH_STOP};
  unsigned out = task_ask(t, &w, ev->pol ? ev->pol : r->bind[run_pattern(r, ev->task)].pol, &c->no);
  if (c->no > ASK_SAME) return RUN_REFUSED;
  if (task_final(was.state) && !task_final(t->state)) reopen_alone(r);
  if (r->state == FLOW_PAUSED) out = run_hold_task(r, ev->task, out);
  c->did = out;
  run_task_did(r, c, ev, &was, out);
  if (out & TASK_OUT_ENDED) node_decide(r, c, node, &(struct last){t->state, task_error(t, &was, NULL), 0});
  return RUN_OK;
}

/* ---- nodes ---- */

void run_node_start(struct run *r, struct run_ctx *c, uint32_t node) {
  struct run_tasks its = run_node_tasks(r, node);
  struct run_node *v = &r->node[node];
  v->state = NODE_RUNNING;
  v->t_open = its.n;
  r->live += its.n;
  eff_mark_node(r, c, node, NULL);
  for (uint32_t i = its.at; i < its.at + its.n; i++) {
    const struct task_bind *bind = &r->bind[run_pattern(r, i)];
    r->task[i].t = (struct task){.epoch = r->task[i].t.epoch, .version = bind->version};
    r->task[i].executor = bind->executor & LIMIT_EXECUTOR_VERSION;
    task_queue(&r->task[i].t, bind->pol, c->now_us);
    eff_mark_task(r, c, i, NULL, NULL);
    task_ready(r, c, i, bind->pol);
  }
  c->budget -= its.n;
}

/* A growing node waits for its width. The caller sets it before anything else happens to this run. */
static void node_ready(struct run *r, struct run_ctx *c, uint32_t node) {
  if (!r->dag->node[node].expands) { run_node_start(r, c, node); return; }
  r->node[node].state = NODE_WAITING;
  eff_mark_node(r, c, node, NULL);
  r->widen = node + 1;
}

/* A node that is ready in a paused flow keeps its tokens, and starts at the resume. */
static void node_held(struct run *r, struct run_ctx *c, uint32_t node) {
  r->hold |= HOLD_NODES;
  r->node[node].state = NODE_WAITING;
  eff_mark_node(r, c, node, NULL);
  c->budget--;
}

void run_node_eval(struct run *r, struct run_ctx *c, uint32_t node) {
  struct run_node *v = &r->node[node];
  switch (rule_all_success(r->dag->node[node].n_parent, v->ok, v->fail, v->skip)) {
  case VERDICT_TRUE:
    if (r->state == FLOW_PAUSED) node_held(r, c, node);
    else node_ready(r, c, node);
    break;
  case VERDICT_FALSE:
    if (v->fail > 0) run_node_end(r, c, node, NODE_UPSTREAM_FAILED, "A node before it did not succeed.");
    else run_node_end(r, c, node, NODE_SKIPPED, NULL);
    c->budget--;
    break;
  case VERDICT_UNKNOWN:
    v->state = NODE_WAITING;
    eff_mark_node(r, c, node, NULL);
    c->budget--;
    break;
  }
}

enum token run_token(const struct run_node *v, uint32_t k) {
  if (v->state != NODE_SUCCESS) return v->state == NODE_SKIPPED ? TOKEN_SKIP : TOKEN_FAIL;
  return k < SKIP_EDGES_MAX && (v->skip_edges >> k & 1) ? TOKEN_SKIP : TOKEN_OK;
}

/* Delivers one token over child[pos]. Tokens that come after the decision change nothing (a re-run counts them again from the
 * parents). */
static void deliver(struct run *r, struct run_ctx *c, uint32_t from, uint32_t pos) {
  uint32_t to = r->dag->child[pos];
  struct run_node *v = &r->node[to];
  if (v->state != NODE_NONE && v->state != NODE_WAITING) return;
  if (from < r->dag->n) {
    switch (run_token(&r->node[from], pos - r->dag->child_at[from])) {
    case TOKEN_OK: v->ok++; break;
    case TOKEN_FAIL: v->fail++; break;
    case TOKEN_SKIP: v->skip++; break;
    }
  }
  run_node_eval(r, c, to);
}

static enum run_rc drain_emit(struct run *r, struct run_ctx *c, struct run_more *m) {
  const struct dag *d = r->dag;
  uint32_t u = m->node, end = d->child_at[u + 1];
  if (u < d->n && run_need(r, u, c)) return RUN_NEED;
  while (m->pos < end && c->budget > 0) {
    if (!run_known(r, d->child[m->pos])) {
      for (uint32_t k = m->pos; k < end && k < m->pos + NEED_AHEAD; k++) (void)run_need(r, d->child[k], c);
      return RUN_NEED;
    }
    uint32_t pos = m->pos++;
    bool last = m->pos == end;
    if (last) r->n_more--; /* popped before the delivery, so that the stack of a chain stays one deep */
    size_t depth = r->n_more;
    deliver(r, c, u, pos);
    if (last || r->widen || r->n_more != depth || r->wish != WISH_NONE) return RUN_OK; /* m may have moved */
  }
  return RUN_OK;
}

static void sweep_node(struct run *r, struct run_ctx *c, uint32_t node) {
  struct run_node *v = &r->node[node];
  if (v->state == NODE_NONE || v->state == NODE_WAITING) {
    const char *why = r->wish == WISH_STOP ? "Not started: another node failed." : "Canceled before it started.";
    run_node_end(r, c, node, NODE_CANCELED, why);
    c->budget--;
    return;
  }
  if (v->t_open == 0) return;
  bool stop = r->wish == WISH_STOP;
  const struct last last = {stop ? TASK_FAILED : TASK_CANCELED, stop ? "Not tried again: another node failed." : "Canceled.", 0};
  tasks_all(r, c, node, stop ? TASK_EV_REST_RUN_ON : TASK_EV_CANCEL);
  if (v->t_open < run_node_tasks(r, node).n) node_decide(r, c, node, &last);
}

/* What the entry `what` of the stack does to one node. */
static void pass_node(struct run *r, struct run_ctx *c, uint32_t what, uint32_t node) {
  if (what == MORE_SWEEP) sweep_node(r, c, node);
  else if (what != MORE_EVAL) run_pass_node(r, c, what, node);
  else if (r->node[node].state == NODE_WAITING) run_node_eval(r, c, node);
}

static enum run_rc drain_all(struct run *r, struct run_ctx *c, struct run_more *m) {
  uint32_t n = r->dag->n, what = m->node;
  while (m->pos < n && c->budget > 0) {
    if (!run_known(r, m->pos)) {
      for (uint32_t k = m->pos; k < n && k < m->pos + NEED_AHEAD; k++) (void)run_need(r, k, c);
      return RUN_NEED;
    }
    uint32_t node = m->pos++;
    size_t depth = r->n_more;
    pass_node(r, c, what, node);
    if (r->widen || r->n_more != depth || r->more[r->n_more - 1].node != what) return RUN_OK; /* the stack changed under m */
  }
  if (m->pos >= n) r->n_more--;
  return RUN_OK;
}

static void finish(struct run *r, struct run_ctx *c) {
  if (r->state == FLOW_PAUSED) eff_after(r, c, AFTER_TREES, UINT32_MAX, NULL);
  if (r->wish == WISH_CANCEL) r->state = FLOW_CANCELED;
  else if (r->failed > 0 || r->wish != WISH_NONE) r->state = FLOW_FAILED;
  else r->state = FLOW_SUCCESS;
  r->hold = 0;
  r->end_us = c->now_us;
  r->due_us = 0;
  eff_mark_flow(r, c, NULL);
  if (!run_alone(r)) eff_after(r, c, AFTER_FLOW_DONE, UINT32_MAX, NULL);
}

enum run_rc run_drain(struct run *r, struct run_ctx *c) {
  if (c->now_us < r->last_us) c->now_us = r->last_us;
  r->last_us = c->now_us;
  c->n_need = 0;
  if (r->n_more > 0) eff_mark_flow(r, c, NULL); /* the stack in the row changes, even when no other row does */
  while (r->n_more > 0 || r->widen) {
    if (r->widen) { c->widen = r->widen - 1; return RUN_WIDEN; }
    if (c->budget <= 0) return RUN_MORE;
    struct run_more *m = &r->more[r->n_more - 1];
    enum run_rc rc = m->node >= MORE_LAST ? drain_all(r, c, m) : drain_emit(r, c, m);
    if (rc != RUN_OK) return rc;
  }
  if (r->live == 0 && !flow_final(r->state) && !(r->hold & HOLD_NODES)) finish(r, c);
  return RUN_OK;
}

/* ---- events of the flow ---- */

/* A stand-alone task that is not run at once. */
static enum run_rc start_later(struct run *r, const struct task_start *start, struct run_ctx *c) {
  struct run_event ev = {.kind = RUN_EV_START};
  struct task none = {.state = TASK_NONE};
  r->task[0].t = (struct task){.version = r->bind[0].version};
  r->task[0].executor = r->bind[0].executor & LIMIT_EXECUTOR_VERSION;
  r->node[0].state = NODE_RUNNING;
  r->node[0].t_open = 1;
  r->live = 1;
  eff_mark_node(r, c, 0, NULL);
  run_task_did(r, c, &ev, &none, task_begin(&r->task[0].t, start, r->bind[0].pol, c->now_us));
  return RUN_OK;
}

static enum run_rc step_start(struct run *r, const struct run_event *ev, struct run_ctx *c) {
  r->create_us = c->now_us;
  if (ev->start && (ev->start->hold || ev->start->at_us > c->now_us)) return start_later(r, ev->start, c);
  if (r->dag->timeout_us > 0) r->due_us = c->now_us + r->dag->timeout_us;
  if (r->dag->child_at[r->dag->n] < r->dag->child_at[r->dag->n + 1]) run_push(r, r->dag->n, r->dag->child_at[r->dag->n]);
  eff_mark_flow(r, c, NULL);
  return RUN_OK;
}

static enum run_rc step_cancel(struct run *r, struct run_ctx *c) {
  if (flow_final(r->state)) return r->state == FLOW_CANCELED ? RUN_OK : RUN_REFUSED;
  if (r->wish == WISH_NONE || r->wish == WISH_STOP) set_wish(r, c, WISH_CANCEL, "Canceled.");
  return RUN_OK;
}

static enum run_rc step_timeout(struct run *r, const struct run_event *ev, struct run_ctx *c) {
  if (flow_final(r->state) || r->due_us == 0 || r->due_us > c->now_us) return RUN_LATE;
  r->due_us = 0;
  if (r->wish == WISH_NONE || r->wish == WISH_STOP) set_wish(r, c, WISH_TIMEOUT, ev->error ? ev->error : "The flow timed out.");
  eff_mark_flow(r, c, NULL);
  return RUN_OK;
}

enum run_rc run_step(struct run *r, const struct run_event *ev, struct run_ctx *c) {
  if (c->now_us < r->last_us) c->now_us = r->last_us;
  c->n_need = 0;
  switch (ev->kind) {
  case RUN_EV_START: return step_start(r, ev, c);
  case RUN_EV_TASK: return step_task(r, ev, c);
  case RUN_EV_CANCEL: return step_cancel(r, c);
  case RUN_EV_TIMEOUT: return step_timeout(r, ev, c);
  case RUN_EV_RERUN: return run_rerun(r, ev, c);
  case RUN_EV_ASK: return step_ask(r, ev, c);
  case RUN_EV_PAUSE: return run_pause(r, ev, c);
  case RUN_EV_RESUME: return run_resume(r, c);
  }
  return RUN_REFUSED;
}
