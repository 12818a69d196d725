/* Runs as memory: making them, loading what was stored, ids, and the check of every fact. Pure but for memory. */
#include <stdlib.h>
#include <string.h>
#include "err.h"
#include "effects.h"
#include "mem.h"
#include "run.h"
#include "text.h"

struct run *run_new(struct dag *d, int64_t fi, struct run_base base, enum flow_state state) {
  size_t nodes = ((size_t)d->n + 1) * sizeof(struct run_node), tasks = ((size_t)d->n_task + 1) * sizeof(struct run_task);
  struct run *r = wr_calloc(1, sizeof *r + nodes + tasks); /* one block: its pages take no memory until nodes begin */
  r->fi = fi;
  r->dag = dag_ref(d);
  r->state = (uint8_t)state;
  r->node = (struct run_node *)(void *)(r + 1);
  r->task = (struct run_task *)(void *)((char *)(r + 1) + nodes);
  r->n_task = r->cap_task = d->n_task;
  r->more = r->more_room;
  r->cap_more = sizeof r->more_room / sizeof *r->more_room;
  r->base = r->base_room;
  r->cap_base = sizeof r->base_room / sizeof *r->base_room;
  run_base_add(r, base);
  r->whole = 1;
  return r;
}

struct run *run_new_alone(struct dag *one, int64_t ti) { return run_new(one, 0, (struct run_base){0, ti}, FLOW_RUNNING); }

static enum node_state node_of_task(enum task_state s) {
  if (!task_final(s)) return NODE_RUNNING;
  return s == TASK_SUCCESS ? NODE_SUCCESS : s == TASK_CANCELED ? NODE_CANCELED : NODE_FAILED;
}

struct run *run_load_alone(struct dag *one, int64_t ti, const struct task *t) {
  struct run *r = run_new_alone(one, ti);
  if (!run_load_task(r, 0, t) || task_fault(t)) { run_free(r); return NULL; }
  bool ended = task_final(t->state), ok = t->state == TASK_SUCCESS;
  r->row = 1;
  r->live = !ended;
  r->failed = ended && !ok;
  r->state = !ended ? FLOW_RUNNING : ok ? FLOW_SUCCESS : FLOW_FAILED;
  r->node[0] = (struct run_node){.state = (uint8_t)node_of_task(t->state), .known = 1, .row = 1, .t_ok = ok,
                                 .t_bad = ended && !ok, .t_open = !ended,
                                 .t_canceled = t->state == TASK_CANCELED, .start_us = t->start_us};
  return r;
}

void run_base_add(struct run *r, struct run_base b) {
  if (r->n_base == r->cap_base && r->base == r->base_room) {
    r->base = wr_calloc(r->cap_base *= 4, sizeof *r->base);
    memcpy(r->base, r->base_room, sizeof r->base_room);
  }
  *WR_PUSH(r->base, r->n_base, r->cap_base) = b;
}

void run_free(struct run *r) {
  if (r == NULL) return;
  if (r->more != r->more_room) free(r->more);
  if (r->base != r->base_room) free(r->base);
  if (r->cap_task > r->dag->n_task) free(r->task);
  free(r->wide);
  dag_unref(r->dag);
  free(r);
}

void run_forget(struct run *r) { r->whole = 0; }

void run_load_none(struct run *r, uint32_t node) {
  r->node[node] = (struct run_node){.known = 1};
}

bool run_load_task(struct run *r, int64_t task, const struct task *t) {
  if (task < 0 || task >= r->n_task || t->state >= TASK__N || t->end_as >= TASK__N || t->epoch > TASK_EPOCH_MAX) return false;
  if (t->phase > PHASE_CHILDREN || t->resume > RESUME_FLOW) return false;
  r->task[task] = (struct run_task){.t = *t, .row = 1};
  return true;
}

/* A node that has not started in its newest run has no tasks there yet. Then only the epochs of the loaded tasks are kept. */
bool run_load_node(struct run *r, int64_t node, const struct run_node *v) {
  if (node < 0 || node >= r->dag->n || v->state >= NODE__N || v->base >= r->n_base) return false;
  r->node[node] = *v;
  r->node[node].wide = 0;
  for (size_t i = 0; r->dag->node[node].expands && i < r->n_wide; i++)
    if (r->wide[i].node == node && r->wide[i].base == v->base) r->node[node].wide = (uint16_t)(i + 1);
  struct run_tasks its = run_node_tasks(r, (uint32_t)node);
  for (uint32_t k = its.at; v->t_ok + v->t_bad + v->t_open == 0 && k < its.at + its.n; k++)
    r->task[k] = (struct run_task){.t = {.epoch = r->task[k].t.epoch}};
  r->node[node].known = 1;
  r->node[node].row = 1;
  r->node[node].eff = 0;
  return true;
}

bool run_wish_load(struct run *r, uint8_t column) {
  r->wish = column & 15;
  r->hold = column >> 4 & ~(RUN_WHOSE_BIT >> 4);
  r->whose = (column & RUN_WHOSE_BIT) != 0;
  bool paused = r->state == FLOW_PAUSED;
  return r->wish <= WISH_TIMEOUT && r->hold <= (HOLD_CHECKPOINT | HOLD_NODES) && (paused || r->hold == 0);
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
  if (node >= MORE_LAST && node <= MORE_SWEEP) return pos <= r->dag->n;
  if (node > r->dag->n) return false;
  return pos >= r->dag->child_at[node] && pos < r->dag->child_at[node + 1]; /* an entry is popped with its last child */
}

bool run_more_parse(struct run *r, const char *s, size_t n) {
  r->n_more = 0;
  while (n > 0) {
    const char *comma = memchr(s, ',', n);
    size_t len = comma ? (size_t)(comma - s) : n;
    const char *colon = memchr(s, ':', len);
    int64_t node, pos;
    if (!colon || !text_i64(s, (size_t)(colon - s), &node)) return false;
    if (!text_i64(colon + 1, len - (size_t)(colon + 1 - s), &pos)) return false;
    if (node < 0 || pos < 0 || !more_valid(r, node, pos)) return false;
    run_push(r, (uint32_t)node, (uint32_t)pos);
    s += len + (comma != NULL);
    n -= len + (comma != NULL);
  }
  return true;
}

/* Returns the first fact that does not hold, as its text. */
#define FACT(x) if (!(x)) return #x

/* When no pass is under way, a paused flow holds what waits, and one that is not paused has taken everything up. */
static bool pause_holds(const struct run *r, const struct task *t) {
  if (run_pass(r) || r->wish > WISH_STOP) return true;
  if (r->state == FLOW_PAUSED) return t->state != TASK_QUEUED && t->state != TASK_RETRY_WAIT;
  return t->resume != RESUME_FLOW && (t->state != TASK_BLOCKED || t->end_as == TASK_NONE);
}

struct sums { uint64_t live; uint32_t failed; };

static const char *node_fault(const struct run *r, uint32_t i, struct sums *sum) {
  const struct run_node *v = &r->node[i];
  const struct dag_node *d = &r->dag->node[i];
  struct run_tasks its = run_node_tasks(r, i);
  uint32_t ok = 0, bad = 0, canceled = 0, open = 0;
  FACT(run_known(r, i) && v->state < NODE__N);
  FACT((uint64_t)v->ok + v->fail + v->skip <= d->n_parent);
  FACT(v->base < r->n_base);
  uint64_t tasks = (uint64_t)v->t_ok + v->t_bad + v->t_open;
  bool started = tasks > 0;
  FACT(!started || tasks == its.n);
  FACT(!started || !d->expands || v->wide > 0);
  FACT(v->state != NODE_RUNNING || (started && v->t_open > 0));
  FACT(v->state != NODE_WAITING || !started);
  FACT(!run_node_is_ready(r, i) || r->n_more > 0 || r->hold & HOLD_NODES);
  for (uint32_t k = its.at; started && k < its.at + its.n; k++) {
    const struct task *t = &r->task[k].t;
    const char *fault = task_fault(t);
    if (fault) return fault;
    FACT(run_alone(r) || t->phase == PHASE_ANALYSE || t->phase == PHASE_CHILDREN || (t->phase == PHASE_RUN && pause_holds(r, t)));
    if (t->state == TASK_SUCCESS) ok++; else if (task_final(t->state)) bad++; else open++;
    canceled += t->state == TASK_CANCELED;
  }
  FACT(!started || (ok == v->t_ok && bad == v->t_bad && open == v->t_open && canceled == v->t_canceled));
  FACT(v->state != NODE_SUCCESS || (v->t_ok >= (d->expands ? its.n : d->need) && v->ok == d->n_parent));
  sum->live += v->t_open;
  sum->failed += v->state == NODE_FAILED || v->state == NODE_UPSTREAM_FAILED || v->state == NODE_CANCELED;
  return NULL;
}

const char *run_fault(const struct run *r) {
  struct sums sum = {0};
  FACT(r->state < FLOW__N && r->wish <= WISH_TIMEOUT && r->widen == 0);
  for (uint32_t i = 0; i < r->dag->n; i++) {
    const char *fault = node_fault(r, i, &sum);
    if (fault) return fault;
    FACT(!flow_final(r->state) || (node_final(r->node[i].state) && r->node[i].t_open == 0));
  }
  FACT(sum.live == r->live && sum.failed == r->failed);
  FACT(!flow_final(r->state) || r->n_more == 0);
  FACT(r->hold == 0 || r->state == FLOW_PAUSED);
  FACT(!(r->hold & HOLD_NODES) || r->wish == WISH_NONE);
  FACT(r->n_more > 0 || r->live > 0 || flow_final(r->state) || r->hold & HOLD_NODES);
  return NULL;
}

void run_check(const struct run *r) {
  const char *fault = run_fault(r);
  if (fault) wr_assert_fail(fault, __FILE__, __LINE__);
}
