/* The core against any order of events: bytes become a graph and a list of events, some of them late, doubled or wrong.
 *
 * Beside the run in memory stand its rows: what the effects said, nothing else. At every commit memory and rows must say
 * the same; a batch may fail, and the run is then made again from the rows and loaded node by node as run_step() asks.
 * After every step the rows, loaded as a whole, pass run_check(). Whatever happened, the flow comes to its end. */
#include "../unit/admit.h"
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "fuzz.h"
#include "mem.h"
#include "run.h"

enum { MAXN = 12, MAXT = 3, MAX_TASK = MAXN * MAXT, MAX_BASE = 8, END_STEPS = 2000, ME = 5 };

static const struct task_policy policy[] = {
    {.attempts = 1, .backoff_base_us = 10, .backoff_cap_us = 100, .backoff_factor = 2, .slot = SLOT_ASYNC},
    {.attempts = 2, .backoff_base_us = 10, .backoff_cap_us = 100, .backoff_factor = 2, .slot = SLOT_PROCESS},
    {.attempts = 3, .backoff_base_us = 1, .backoff_cap_us = 9, .backoff_factor = 3, .on_lost = ON_LOST_FAIL, .slot = SLOT_ASYNC},
    {.attempts = 1, .backoff_base_us = 10, .backoff_cap_us = 10, .backoff_factor = 1, .jitter = JITTER_NONE, .slot = SLOT_PROCESS},
};

struct rows {
  struct run_node node[MAXN];
  struct task task[MAX_TASK];
  uint8_t has_node[MAXN], has_task[MAX_TASK];
  uint16_t base[MAX_TASK];        /* of the newest row of each task */
  struct run head;                /* plain columns; its pointers are not used */
  struct run_base bases[MAX_BASE]; size_t n_base;
  struct buf more;
};

struct world {
  struct fuzz_in in;
  struct dag *dag;
  struct task_bind bind[MAX_TASK];
  struct run *run;
  struct rows rows;
  struct effects eff;
  struct run_ctx c;
  uint32_t free[SLOT__N];
  uint32_t claimed[MAX_TASK];     /* newest epoch that was started */
  uint8_t succeeded[MAX_TASK];    /* in this run of the task */
  size_t done;                    /* AFTER_FLOW_DONE committed */
  bool paused_in_batch;           /* a pause came in the batch under way: before it tasks may have started */
  int64_t version;
};

/* ---- the graph ---- */

static struct dag *make_dag(struct fuzz_in *in) {
  struct dag_spec_node v[MAXN];
  uint32_t parent[MAXN][MAXN], cycle[MAXN], n_cycle, n = 1 + in_below(in, MAXN);
  for (uint32_t i = 0; i < n; i++) {
    uint32_t mask = in_u8(in) | (uint32_t)in_u8(in) << 8, shape = in_u8(in), tasks = 1 + shape % MAXT;
    v[i] = (struct dag_spec_node){.n_task = tasks, .need = 1 + (shape >> 2) % tasks, .rest = shape >> 7, .parent = parent[i]};
    for (uint32_t k = 0; k < i; k++)
      if (mask >> k & 1) parent[i][v[i].n_parent++] = k;
  }
  uint32_t kind = in_u8(in);
  return dag_new(v, n, (uint8_t)(kind % 3), kind & 64 ? 50 : 0, cycle, &n_cycle);
}

/* ---- rows ---- */

static bool same_task(const struct task *a, const struct task *b) {
  return a->state == b->state && a->end_as == b->end_as && a->losses == b->losses && a->cancel_requested == b->cancel_requested &&
         a->epoch == b->epoch && a->tries == b->tries && a->owner == b->owner && a->start_us == b->start_us &&
         a->due_us == b->due_us && a->version == b->version && a->phase == b->phase && a->resume == b->resume && a->again == b->again;
}

static bool same_node(const struct run_node *a, const struct run_node *b) {
  return a->state == b->state && a->base == b->base && a->ok == b->ok && a->fail == b->fail && a->skip == b->skip &&
         a->t_ok == b->t_ok && a->t_bad == b->t_bad && a->t_open == b->t_open && a->t_canceled == b->t_canceled &&
         a->start_us == b->start_us && a->end_us == b->end_us;
}

static bool same_head(const struct run *a, const struct run *b) {
  return a->state == b->state && run_wish_column(a) == run_wish_column(b) && a->live == b->live && a->failed == b->failed &&
         a->text_error == b->text_error && a->due_us == b->due_us && a->end_us == b->end_us && a->create_us == b->create_us;
}

static void save_head(struct rows *s, const struct run *r) {
  s->head = *r;
  wr_assert(r->n_base <= MAX_BASE);
  s->n_base = r->n_base;
  memcpy(s->bases, r->base, r->n_base * sizeof *r->base);
  buf_clear(&s->more);
  run_more_text(r, &s->more);
}

/* Insert or update is told by `row`: it must be true. A new run's rows start from the epoch of the former ones. */
static void compare_task(const struct world *w, uint32_t t, uint16_t base) {
  const struct run_task *m = &w->run->task[t];
  const struct rows *s = &w->rows;
  bool here = s->has_task[t] && s->base[t] == base;
  wr_assert(m->row == here);
  if (here) wr_assert(same_task(&m->t, &s->task[t]));
  else wr_assert(m->t.state == TASK_NONE && m->t.epoch == (s->has_task[t] ? s->task[t].epoch : 0));
}

/* What is known in memory is what the rows say: no change goes unmarked. */
static void compare(const struct world *w) {
  const struct run *r = w->run;
  const struct rows *s = &w->rows;
  struct buf more = BUF_INIT;
  for (uint32_t i = 0; i < r->dag->n; i++) {
    if (!run_known(r, i)) continue;
    wr_assert(r->node[i].row == s->has_node[i]);
    if (s->has_node[i]) wr_assert(same_node(&r->node[i], &s->node[i]));
    else wr_assert(r->node[i].state == NODE_NONE);
    for (uint32_t t = r->dag->node[i].task_at; t < r->dag->node[i].task_at + r->dag->node[i].n_task; t++)
      compare_task(w, t, r->node[i].base);
  }
  wr_assert(same_head(r, &s->head) && r->n_base == s->n_base);
  run_more_text(r, &more);
  wr_assert(more.len == s->more.len && (more.len == 0 || memcmp(more.data, s->more.data, more.len) == 0));
  buf_done(&more);
}

static void see_after(struct world *w, const struct eff_after *a) {
  if (a->kind == AFTER_FLOW_DONE) w->done++;
  if (a->kind != AFTER_START) return;
  wr_assert(a->owner == ME || a->owner == ME + 1);
  wr_assert(a->epoch > w->claimed[a->task]);
  wr_assert(!w->succeeded[a->task]);
  wr_assert(w->run->state != FLOW_PAUSED || w->paused_in_batch);
  w->claimed[a->task] = a->epoch;
}

static void new_run(struct world *w, uint32_t node) {
  const struct dag_node *d = &w->dag->node[node];
  memset(w->succeeded + d->task_at, 0, d->n_task);
}

/* Each row once, in a run that is the one; a row that is there is not inserted again, one that is not is not updated. */
static void commit(struct world *w) {
  struct rows *s = &w->rows;
  struct effects *e = &w->eff;
  for (size_t i = 0; i < e->n_node; i++) {
    uint32_t n = e->node[i].node;
    const struct run_node *v = &w->run->node[n];
    wr_assert(e->node[i].r == w->run && v->row == (s->has_node[n] && s->node[n].base == v->base));
    if (!v->row) new_run(w, n);
    s->node[n] = *v;
    s->has_node[n] = 1;
  }
  for (size_t i = 0; i < e->n_after; i++) see_after(w, &e->after[i]);
  for (size_t i = 0; i < e->n_task; i++) {
    uint32_t t = e->task[i].task;
    uint16_t base = w->run->node[dag_node_of_task(w->dag, t)].base;
    wr_assert(w->run->task[t].row == (s->has_task[t] && s->base[t] == base));
    s->task[t] = w->run->task[t].t;
    s->has_task[t] = 1;
    s->base[t] = base;
    w->succeeded[t] = s->task[t].state == TASK_SUCCESS;
  }
  wr_assert(e->n_flow <= 1 && (e->n_flow == 1 || e->n_node + e->n_task == 0));
  if (e->n_flow) save_head(s, w->run);
  effects_commit(e, ++w->version);
  w->paused_in_batch = false;
  compare(w);
}

/* As the runner does it: the newest row of each task, of whichever run, then the node. */
static void load_node(const struct world *w, struct run *r, uint32_t n) {
  const struct dag_node *d = &w->dag->node[n];
  if (!w->rows.has_node[n]) {
    run_load_none(r, n);
    return;
  }
  for (uint32_t t = d->task_at; t < d->task_at + d->n_task; t++)
    if (w->rows.has_task[t]) run_load_task(r, t, &w->rows.task[t]);
  run_load_node(r, n, &w->rows.node[n]);
}

static struct run *load_head(struct world *w) {
  const struct rows *s = &w->rows;
  struct run *r = run_new(w->dag, 7, s->bases[0], (enum flow_state)s->head.state);
  for (size_t i = 1; i < s->n_base; i++) run_base_add(r, s->bases[i]);
  wr_assert(run_more_parse(r, s->more.len ? s->more.data : "", s->more.len));
  wr_assert(run_wish_load(r, run_wish_column(&s->head)));
  r->live = s->head.live;
  r->failed = s->head.failed;
  r->text_error = s->head.text_error;
  r->create_us = s->head.create_us;
  r->end_us = s->head.end_us;
  r->due_us = s->head.due_us;
  r->last_us = s->head.last_us;
  r->version = w->version;
  r->row = 1;
  r->bind = w->bind;
  run_forget(r);
  return r;
}

/* The batch failed, or the cache was dropped. */
static void reload(struct world *w) {
  effects_clear(&w->eff);
  run_free(w->run);
  w->run = load_head(w);
}

static void check_rows(struct world *w) {
  struct run *full = load_head(w);
  for (uint32_t i = 0; i < w->dag->n; i++) load_node(w, full, i);
  run_check(full);
  wr_assert(!flow_final(full->state) || w->done == full->n_base);
  run_free(full);
}

/* ---- steps ---- */

static void feed(struct world *w) {
  wr_assert(w->c.n_need > 0);
  for (size_t i = 0; i < w->c.n_need; i++) {
    wr_assert(w->c.need[i] < w->dag->n && !run_known(w->run, w->c.need[i]));
    load_node(w, w->run, w->c.need[i]);
  }
  w->c.n_need = 0;
}

static void room(struct world *w, uint32_t byte) {
  w->c.budget = 1 + byte % 4;
  w->free[SLOT_ASYNC] = byte >> 2 & 3;
  w->free[SLOT_PROCESS] = byte >> 4 & 1;
}

static enum run_rc step(struct world *w, struct run_event *ev) {
  enum run_rc rc;
  int asked = 0;
  do {
    struct run before = *w->run;
    size_t rows = w->eff.n_flow + w->eff.n_node + w->eff.n_task + w->eff.n_attempt + w->eff.n_after;
    rc = run_step(w->run, ev, &w->c);
    wr_assert(rc != RUN_MORE);
    if (rc == RUN_OK) break;
    /* Nothing was done. */
    wr_assert(same_head(&before, w->run) && before.n_more == w->run->n_more && before.n_base == w->run->n_base);
    wr_assert(rows == w->eff.n_flow + w->eff.n_node + w->eff.n_task + w->eff.n_attempt + w->eff.n_after);
    if (rc == RUN_NEED) feed(w);
    wr_assert(asked++ <= MAXN);
  } while (rc == RUN_NEED);
  return rc;
}

/* Until all that the batch can do is done, a commit after each slice; byte decides about failures in between. */
static void drain(struct world *w, uint32_t byte) {
  for (int slice = 0;; slice++) {
    enum run_rc rc;
    wr_assert(slice < END_STEPS);
    while ((rc = run_drain(w->run, &w->c)) == RUN_NEED) feed(w);
    wr_assert(rc == RUN_OK || rc == RUN_MORE);
    admit_ready(&w->c, 0, w->free); /* those decided before are counted again: fewer are free */
    if (rc == RUN_OK && byte & 1) return; /* the next event shares this batch */
    commit(w);
    if (byte & 2) reload(w);
    check_rows(w);
    if (rc == RUN_OK) return;
    room(w, byte >> 2);
  }
}

static void start(struct world *w) {
  w->run = run_new(w->dag, 7, (struct run_base){100, 1000}, FLOW_RUNNING);
  w->run->bind = w->bind;
  room(w, in_u8(&w->in));
  wr_assert(run_step(w->run, &(struct run_event){.kind = RUN_EV_START}, &w->c) == RUN_OK);
  drain(w, in_u8(&w->in) & 0xFE);
}

/* ---- events ---- */

static const struct task *task_now(struct world *w, uint32_t t) {
  uint32_t node = dag_node_of_task(w->dag, t);
  if (!run_known(w->run, node)) load_node(w, w->run, node);
  return &w->run->task[t].t;
}

static struct run_event task_event(struct world *w) {
  static const enum task_ev kind[] = {TASK_EV_CLAIM, TASK_EV_OK, TASK_EV_FAIL, TASK_EV_LOST, TASK_EV_HANDBACK, TASK_EV_TIMEOUT,
                                      TASK_EV_QUEUE_TIMEOUT, TASK_EV_DUE, TASK_EV_CANCEL, TASK_EV_OK, TASK_EV_CLAIM,
                                      TASK_EV_NOT_NOW};
  struct fuzz_in *in = &w->in;
  uint32_t t = in_below(in, w->dag->n_task), k = in_u8(in), how = in_u8(in);
  /* Who reports knows owner and epoch from a claim that was committed. */
  const struct task *now = w->rows.has_task[t] ? &w->rows.task[t] : NULL;
  struct run_event ev = {.kind = RUN_EV_TASK, .task = t, .error = how & 8 ? "it failed" : NULL};
  ev.ev = (struct task_event){.kind = kind[k % (sizeof kind / sizeof *kind)], .fatal = (how & 16) != 0, .asked = (how & 32) != 0, .remove = (how & 64) != 0};
  if (now) ev.ev.owner = now->owner, ev.ev.epoch = now->epoch;
  if (ev.ev.kind == TASK_EV_CLAIM) ev.ev.owner = ME + (how & 1);
  else if ((how & 7) == 7) ev.ev.owner++; /* another's */
  else if ((how & 7) == 6) ev.ev.epoch--; /* of a former attempt */
  return ev;
}

/* A user's wish for the flow or for one task. */
static struct run_event wish_event(struct world *w) {
  uint32_t what = in_u8(&w->in);
  switch (what % 8) {
  case 0: return (struct run_event){.kind = RUN_EV_CANCEL};
  case 1: return (struct run_event){.kind = RUN_EV_RESUME};
  case 2: case 3: return (struct run_event){.kind = RUN_EV_PAUSE, .checkpoint = what % 8 == 3};
  default: break;
  }
  return (struct run_event){.kind = RUN_EV_ASK, .task = in_below(&w->in, w->dag->n_task), .ask = (enum ask)((what >> 3) % ASK__N), .force = what >> 7};
}

static bool rerun_event(struct world *w, struct run_event *ev) {
  uint32_t from = in_u8(&w->in);
  int64_t base = (int64_t)w->run->n_base * 1000;
  if (w->run->n_base == MAX_BASE) return false;
  *ev = (struct run_event){.kind = RUN_EV_RERUN, .node = from & 128 ? RERUN_FAILED : from % w->dag->n, .base = {100 + base, 1000 + base}};
  return true;
}

static void event(struct world *w) {
  uint32_t what = in_u8(&w->in), byte = in_u8(&w->in);
  struct run_event ev;
  w->c.now_us += (int64_t)(what >> 4) * 3 - 6; /* clocks may step back */
  if (what % 16 == 13) w->c.now_us += 60;
  if (what % 16 < 13) ev = task_event(w);
  else if (what % 16 == 13) ev = (struct run_event){.kind = RUN_EV_TIMEOUT};
  else if (what % 16 == 15) ev = wish_event(w);
  else if (!rerun_event(w, &ev)) return;
  if (byte & 128 && byte & 64) reload(w); /* the batch before this one failed */
  if (ev.kind == RUN_EV_RERUN) commit(w); /* new rows replace the old in memory: those must be written before */
  room(w, byte);
  if (ev.kind == RUN_EV_PAUSE) w->paused_in_batch = true;
  (void)step(w, &ev);
  drain(w, byte);
}

/* ---- the end ---- */

/* What a healthy worker would say next. */
static bool next(struct world *w, uint32_t t, struct run_event *ev) {
  const struct task *now = task_now(w, t);
  *ev = (struct run_event){.kind = RUN_EV_TASK, .task = t, .ev = {.owner = now->owner, .epoch = now->epoch}};
  switch (now->state) {
  case TASK_QUEUED: ev->ev.kind = TASK_EV_CLAIM; ev->ev.owner = ME; return true;
  case TASK_RETRY_WAIT:
    ev->ev.kind = TASK_EV_DUE;
    if (w->c.now_us < now->due_us) w->c.now_us = now->due_us;
    return true;
  case TASK_RUNNING: ev->ev.kind = TASK_EV_OK; return true;
  case TASK_CANCELING: ev->ev.kind = TASK_EV_FAIL; return true;
  case TASK_PAUSING: ev->ev.kind = TASK_EV_FAIL; ev->ev.asked = 1; return true;
  case TASK_PAUSED: *ev = (struct run_event){.kind = RUN_EV_ASK, .task = t, .ask = ASK_RUN}; return true;
  case TASK_NONE: case TASK_CREATED: case TASK_BLOCKED: case TASK_SUCCESS:
  case TASK_FAILED: case TASK_TIMEOUT: case TASK_CANCELED: case TASK_DEAD: case TASK__N: break;
  }
  return false;
}

static void finish(struct world *w) {
  struct run_event ev;
  drain(w, 0);
  for (int guard = 0; !flow_final(w->run->state); guard++) {
    bool moved = false;
    wr_assert(guard < END_STEPS);
    if (w->run->state == FLOW_PAUSED) {
      ev = (struct run_event){.kind = RUN_EV_RESUME};
      wr_assert(step(w, &ev) == RUN_OK);
      drain(w, 0);
      moved = true;
    }
    for (uint32_t t = 0; t < w->dag->n_task && !flow_final(w->run->state); t++) {
      if (!next(w, t, &ev)) continue;
      room(w, 0xFF);
      wr_assert(step(w, &ev) == RUN_OK);
      drain(w, 0);
      moved = true;
    }
    wr_assert(moved || flow_final(w->run->state)); /* else it hangs */
  }
  wr_assert(w->done == w->run->n_base);
}

/* ---- the stack as text ---- */

static void more_text(struct fuzz_in *in) {
  struct dag *d = make_dag(in);
  struct run *r = run_new(d, 7, (struct run_base){1, 1}, FLOW_RUNNING);
  struct buf text = BUF_INIT;
  if (run_more_parse(r, (const char *)in->p, in->n)) {
    run_more_text(r, &text);
    size_t before = r->n_more;
    wr_assert(run_more_parse(r, text.data ? text.data : "", text.len) && r->n_more == before);
    for (size_t i = 0; i < r->n_more; i++)
      wr_assert(r->more[i].node <= d->n ? r->more[i].pos <= d->child_at[d->n + 1] : r->more[i].pos <= d->n);
  }
  buf_done(&text);
  run_free(r);
  dag_unref(d);
}

int fuzz_run_events(const uint8_t *data, size_t n) {
  struct world w = {.in = {data, n}};
  uint32_t first = in_u8(&w.in);
  if (first == 0xFF) {
    more_text(&w.in);
    return 0;
  }
  w.dag = make_dag(&w.in);
  wr_assert(w.dag); /* parents have lower numbers: no cycle */
  for (uint32_t t = 0; t < w.dag->n_task; t++) w.bind[t] = (struct task_bind){&policy[(first >> (t % 4)) & 3], 1, NULL, 0};
  w.c = (struct run_ctx){.now_us = 1000, .me = ME, .rnd = first, .out = &w.eff};
  start(&w);
  for (int i = 0; i < 400 && w.in.n > 0; i++) event(&w);
  finish(&w);
  run_free(w.run);
  dag_unref(w.dag);
  effects_done(&w.eff);
  free(w.c.need);
  buf_done(&w.rows.more);
  return 0;
}
