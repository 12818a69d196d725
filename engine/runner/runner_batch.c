/* From effects to rows to the world: one transaction, then what may be seen after it. The runner thread's.
 *
 * Everything that can fail is done before the write: the attempts that will start are made here with their definitions,
 * so that after COMMIT OK nothing is left that could refuse. What never happens: a hint, a start, a kill or an answer
 * before COMMIT OK. */
#include <stdlib.h>
#include <string.h>
#include "runner_int.h"
#include "text.h"

/* ---- rows ---- */

/* errorMsg as stored: cut at a character, with a mark. */
static const char *cut(struct runner *r, const char *s) {
  if (!s || strlen(s) <= LIMIT_ERROR_BYTES) return s;
  char *t = arena_alloc(&r->mem, LIMIT_ERROR_BYTES + 1);
  text_cut(t, s, LIMIT_ERROR_BYTES);
  return t;
}

/* Which node failed stands before what it says. */
static const char *flow_error(struct runner *r, const struct eff_flow *e, const struct flow_def *def) {
  struct buf b = BUF_INIT;
  if (!e->error || !e->of_node) return cut(r, e->error);
  buf_printf(&b, "node %s: %s", def->node[def->dag_node[e->of_node - 1]].key, e->error);
  const char *s = cut(r, arena_memdup0(&r->mem, b.data, b.len));
  buf_done(&b);
  return s;
}

static const char *bases_text(struct runner *r, const struct run *run) {
  struct buf b = BUF_INIT;
  run_bases_text(run, &b);
  char *s = arena_memdup0(&r->mem, b.data, b.len);
  buf_done(&b);
  return s;
}

static const char *more_text(struct runner *r, const struct run *run) {
  struct buf b = BUF_INIT;
  if (run->n_more == 0) return NULL;
  run_more_text(run, &b);
  char *s = arena_memdup0(&r->mem, b.data, b.len);
  buf_done(&b);
  return s;
}

static void flow_rows(struct runner *r) {
  for (size_t i = 0; i < r->eff.n_flow; i++) {
    const struct eff_flow *e = &r->eff.flow[i];
    const struct run *run = e->r;
    const struct live *l = live_get(r, run->fi);
    struct flow_write *w = WR_PUSH(r->b.flow, r->b.n_flow, r->cap_bf);
    *w = (struct flow_write){.op = run->row ? ROW_UPDATE : ROW_INSERT, .expect = l->locked == r->batch_no ? 0 : run->version,
      .row = {.fi = run->fi, .flow_id = l->flow_id, .flow_version = l->def->version, .version = r->b.id, .state = run->state,
              .wish = run->wish, .run_no = (uint32_t)run->n_base, .live = run->live, .failed = run->failed,
              .create_us = run->create_us, .start_us = l->start_us, .end_us = run->end_us, .update_us = run->last_us,
              .due_us = run->due_us, .error = flow_error(r, e, l->def), .params = l->params ? l->params->text : NULL,
              .bases = bases_text(r, run), .more = more_text(r, run)}};
  }
}

static void node_rows(struct runner *r) {
  for (size_t i = 0; i < r->eff.n_node; i++) {
    const struct eff_node *e = &r->eff.node[i];
    const struct run_node *v = &e->r->node[e->node];
    const struct flow_def *def = live_get(r, e->r->fi)->def;
    struct node_write *w = WR_PUSH(r->b.node, r->b.n_node, r->cap_bn);
    *w = (struct node_write){.op = v->row ? ROW_UPDATE : ROW_INSERT,
      .row = {.ni = run_ni(e->r, e->node), .fi = e->r->fi, .node_id = def->node_base + def->dag_node[e->node],
              .run_no = v->base + 1u, .state = v->state, .ok = v->ok, .fail = v->fail, .skip = v->skip, .t_ok = v->t_ok,
              .t_bad = v->t_bad, .t_open = v->t_open, .t_canceled = v->t_canceled, .create_us = e->r->last_us, .start_us = v->start_us,
              .end_us = v->end_us, .update_us = e->r->last_us, .error = cut(r, e->error)}};
  }
}

static void result_fields(struct task_write *w, const struct attempt *a) {
  w->row.exit_code = -1;
  w->finish = w->row.error != NULL; /* a cancel, a loss: a text, but no attempt that says more */
  if (a == NULL) return;
  w->finish = true;
  w->row.result = a->end == ATTEMPT_OK && w->row.t.state == TASK_SUCCESS ? a->result : NULL;
  w->row.result_len = w->row.result ? a->result_len : 0;
  w->row.log = (uint8_t)a->log;
  w->row.exit_code = a->exit_code;
  w->row.signal = a->signal;
  w->row.utime_us = a->utime_us;
  w->row.stime_us = a->stime_us;
  w->row.maxrss_kib = a->maxrss_kib;
  w->row.log_bytes = a->log_bytes;
  w->row.log_lost = a->log_lost;
  w->row.log_lost_why = (uint8_t)a->log_lost_why;
}

static void task_rows(struct runner *r) {
  for (size_t i = 0; i < r->eff.n_task; i++) {
    const struct eff_task *e = &r->eff.task[i];
    const struct run_task *t = &e->r->task[e->task];
    const struct live *l = live_get(r, e->r->fi);
    struct task_write *w = WR_PUSH(r->b.task, r->b.n_task, r->cap_bt);
    *w = (struct task_write){.op = t->row ? ROW_UPDATE : ROW_INSERT, .expect_state = -1,
      .row = {.ti = run_ti(e->r, e->task), .ni = run_ni(e->r, dag_node_of_task(e->r->dag, e->task)), .fi = e->r->fi,
              .task_id = l->def->ref[e->task].task_id, .create_us = e->r->last_us, .update_us = e->r->last_us,
              .end_us = task_final(t->t.state) ? e->r->last_us : 0, .t = t->t, .error = cut(r, e->error)}};
    result_fields(w, e->result);
  }
}

static void solo_rows(struct runner *r) {
  for (size_t i = 0; i < r->n_dirty; i++) {
    const struct solo *s = r->dirty[i];
    struct task_write *w = WR_PUSH(r->b.task, r->b.n_task, r->cap_bt);
    *w = (struct task_write){.op = s->row ? ROW_UPDATE : ROW_INSERT, .expect_epoch = s->epoch_was, .expect_state = s->state_was,
      .row = {.ti = s->ti, .task_id = s->def->task_id, .create_us = s->create_us, .update_us = s->update_us,
              .end_us = task_final(s->t.state) ? s->update_us : 0, .t = s->t, .error = cut(r, s->error),
              .params = s->params ? s->params->text : NULL}};
    result_fields(w, s->result && s->result->end != ATTEMPT_LOST && s->result->end != ATTEMPT_HANDBACK ? s->result : NULL);
  }
}

/* a: what its process left, NULL = nothing. */
static void attempt_row(struct runner *r, const struct attempt_row *row, const struct attempt *a) {
  struct attempt_row *w = WR_PUSH(r->b.attempt, r->b.n_attempt, r->cap_ba);
  *w = *row;
  w->error = cut(r, row->error);
  w->exit_code = a ? a->exit_code : -1;
  w->signal = a ? a->signal : 0;
}

static void attempt_rows(struct runner *r) {
  for (size_t i = 0; i < r->eff.n_attempt; i++) {
    const struct eff_attempt *e = &r->eff.attempt[i];
    attempt_row(r, &(struct attempt_row){.ti = run_ti(e->r, e->task), .epoch = e->epoch, .owner = e->owner, .start_us = e->start_us,
                .end_us = e->end_us, .why = task_ev_name(e->why), .error = e->error}, e->result);
  }
  for (size_t i = 0; i < r->n_dirty; i++) {
    const struct solo *s = r->dirty[i];
    if (s->out & TASK_OUT_ATTEMPT_ENDED)
      attempt_row(r, &(struct attempt_row){.ti = s->ti, .epoch = s->was.epoch, .owner = s->was.owner, .start_us = s->was.start_us,
                  .end_us = s->update_us, .why = task_ev_name(s->why), .error = s->error}, s->result);
  }
}

#define SORT(name, type, field)                                         \
  static int cmp_##name(const void *a, const void *b) {                 \
    int64_t x = ((const type *)a)->row.field, y = ((const type *)b)->row.field; \
    return x < y ? -1 : x > y;                                          \
  }                                                                     \
  static void sort_##name(type *v, size_t n) {                          \
    for (size_t i = 1; i < n; i++)                                      \
      if (v[i - 1].row.field > v[i].row.field) { qsort(v, n, sizeof *v, cmp_##name); return; } \
  }
SORT(flow, struct flow_write, fi)
SORT(node, struct node_write, ni)
SORT(task, struct task_write, ti)

/* ---- attempts ---- */

/* "s<store>:": no other database makes the same keys. */
static void key_begin(const struct runner *r, struct buf *key) {
  buf_ch(key, 's');
  buf_str(key, store_id(r->s));
  buf_ch(key, ':');
}

static enum store_rc new_attempt(struct runner *r, const struct eff_after *f) {
  struct live *l = live_get(r, f->r->fi);
  const struct task_ref *ref = &l->def->ref[f->task];
  const struct task *t = &f->r->task[f->task].t;
  uint32_t node = dag_node_of_task(f->r->dag, f->task);
  struct task_def *def = NULL;
  struct wr_err err;
  if (ref->inl) def = def_task_ref(ref->inl);
  else {
    enum store_rc rc = defs_store_rc(defs_task(r->o.defs, ref->task_id, t->version, r->defs_version, &def, &err));
    if (rc == STORE_BAD)
      log_error("runner.task_definition", L_INT("task_id", ref->task_id), L_INT("version", t->version), L_STR("error", err.msg));
    if (rc != STORE_OK) return rc;
  }
  struct attempt *a = wr_new(struct attempt);
  struct buf key = BUF_INIT;
  key_begin(r, &key);
  buf_i64(&key, f->r->fi);
  buf_ch(&key, ':');
  buf_str(&key, l->def->node[l->def->dag_node[node]].key);
  buf_ch(&key, ':');
  buf_i64(&key, f->task - f->r->dag->node[node].task_at);
  *a = (struct attempt){.fi = f->r->fi, .ti = run_ti(f->r, f->task), .ni = run_ni(f->r, node), .task = f->task, .epoch = f->epoch,
    .owner = r->me, .def = def, .timeout_us = def_timeout_us(ref, def), .policy = def_policy(ref, def), .key = key.data,
    .params = l->params ? params_ref(l->params) : NULL, .exit_code = -1, .start_us = f->r->last_us};
  a->policy.slot = f->slot; /* of this version: the one that the step counted */
  *r->starts_tail = a;
  r->starts_tail = &a->next;
  return STORE_OK;
}

static void solo_attempt(struct runner *r, const struct solo *s) {
  struct attempt *a = wr_new(struct attempt);
  struct buf key = BUF_INIT;
  key_begin(r, &key);
  buf_printf(&key, "t:%lld", (long long)s->ti);
  *a = (struct attempt){.ti = s->ti, .epoch = s->t.epoch, .owner = r->me, .def = def_task_ref(s->def), .timeout_us = s->def->timeout_us,
    .policy = s->def->policy, .key = key.data,
    .params = s->params ? params_ref(s->params) : NULL, .exit_code = -1, .start_us = s->update_us};
  *r->starts_tail = a;
  r->starts_tail = &a->next;
}

static enum store_rc make_starts(struct runner *r) {
  r->starts = NULL;
  r->starts_tail = &r->starts;
  for (size_t i = 0; i < r->eff.n_after; i++) {
    enum store_rc rc = r->eff.after[i].kind == AFTER_START ? new_attempt(r, &r->eff.after[i]) : STORE_OK;
    if (rc != STORE_OK) return rc;
  }
  for (size_t i = 0; i < r->n_dirty; i++)
    if (r->dirty[i]->out & TASK_OUT_CLAIMED) solo_attempt(r, r->dirty[i]);
  return STORE_OK;
}

static void drop_starts(struct runner *r) {
  for (struct attempt *next; r->starts != NULL; r->starts = next) {
    next = r->starts->next;
    attempt_free(r->starts);
  }
}

/* What was decided on a cached run, and changed nothing, was decided right only if its row is still the same: else a loss
 * or a result that a stale memory calls late is dropped for ever. Runs that changed are checked by the write itself. */
static enum store_rc confirm(struct runner *r) {
  size_t n = 0, cap = 0;
  int64_t *fi = NULL;
  for (struct live *l = live_newest(r); l != NULL && l->touched == r->batch_no; l = live_older(r, l))
    if (l->r->eff == 0 && l->locked != r->batch_no) *WR_PUSH(fi, n, cap) = l->r->fi;
  if (n == 0) return STORE_OK;
  struct flow_row *row = arena_zalloc(&r->mem, n * sizeof *row);
  uint8_t *got = arena_zalloc(&r->mem, n);
  qsort(fi, n, sizeof *fi, wr_by_id);
  enum store_rc rc = store_lock(r->s, fi, n, row, got);
  for (size_t i = 0; rc == STORE_OK && i < n; i++)
    if (got[i] != 1 || row[i].version != live_get(r, fi[i])->r->version) rc = STORE_STALE;
  free(fi);
  return rc;
}

enum store_rc batch_write(struct runner *r) {
  struct batch *b = &r->b;
  b->n_flow = b->n_node = b->n_task = b->n_attempt = b->n_key = 0;
  enum store_rc rc = r->single ? STORE_OK : confirm(r);
  if (rc != STORE_OK) return rc;
  key_rows(r);
  if (r->eff.n_flow == 0 && r->n_dirty == 0 && b->n_key == 0) { /* nothing changed: refusals, late reports */
    store_rollback(r->s);
    return STORE_OK;
  }
  rc = make_starts(r);
  if (rc != STORE_OK) return rc;
  b->id = r->me << 32 | (int64_t)(++r->batch_seq & 0xffffffff);
  flow_rows(r);
  node_rows(r);
  task_rows(r);
  solo_rows(r);
  attempt_rows(r);
  sort_flow(b->flow, b->n_flow);
  sort_node(b->node, b->n_node);
  sort_task(b->task, b->n_task);
  r->sent_us = r->boot_us;
  if (!reqs_send(r)) return STORE_STALE; /* a client took his back: the batch is made again, without it */
  beat(r);
  rc = store_write(r->s, b);
  if (rc == STORE_OK) beat(r);
  return rc == STORE_OK ? store_commit(r->s) : rc;
}

/* ---- after COMMIT OK ---- */

struct pushes { struct hint *h; size_t n, cap; };

static void count_results(struct runner *r) {
  for (size_t i = 0; i < r->n_take; i++) {
    const struct ev *e = &r->ev[i];
    if (e->a == NULL || e->defer || e->keep) continue;
    attempt_gone(r, e);
    ahead_result(r, e->a);
  }
}

static void give_starts(struct runner *r) {
  for (const struct attempt *a = r->starts; a != NULL; a = a->next) {
    r->used[a->policy.slot]++;
    (void)map64_put(&r->inflight, a->ti, (void *)(uintptr_t)a->epoch);
  }
  if (r->starts && r->o.ports.start) r->o.ports.start(r->o.ports.ctx, r->starts);
  r->starts = NULL;
}

static void kill_attempt(struct runner *r, int64_t owner, int64_t ti, uint32_t epoch) {
  if (owner == r->me) {
    if (r->o.ports.cancel) r->o.ports.cancel(r->o.ports.ctx, ti, epoch);
  } else if (r->o.ports.nudge) {
    r->o.ports.nudge(r->o.ports.ctx, owner);
  }
}

static void one_after(struct runner *r, const struct eff_after *f, struct pushes p[SLOT__N]) {
  switch (f->kind) {
  case AFTER_START: break; /* given already */
  case AFTER_PUSH: {
    struct pushes *q = &p[f->slot];
    *WR_PUSH(q->h, q->n, q->cap) = (struct hint){run_ti(f->r, f->task), f->r->fi};
    if (!r->single) live_get(r, f->r->fi)->shared = SHARED_FOR;
    break;
  }
  case AFTER_KILL: kill_attempt(r, f->owner, run_ti(f->r, f->task), f->epoch); break;
  case AFTER_TIMER: timers_set(&r->timers, run_ti(f->r, f->task), f->r->fi, f->r->task[f->task].t.due_us); break;
  case AFTER_FLOW_DONE:
    if (r->o.ports.flow_done) r->o.ports.flow_done(r->o.ports.ctx, f->r->fi, (enum flow_state)f->r->state);
    break;
  }
}

static void solos_after(struct runner *r, struct pushes p[SLOT__N]) {
  for (size_t i = 0; i < r->n_dirty; i++) {
    struct solo *s = r->dirty[i];
    struct pushes *q = &p[s->def->policy.slot];
    if ((s->out & TASK_OUT_REQUEUED) && s->t.state == TASK_QUEUED) *WR_PUSH(q->h, q->n, q->cap) = (struct hint){s->ti, 0};
    if (s->t.due_us != 0 && (s->out & (TASK_OUT_WAITS | TASK_OUT_REQUEUED))) timers_set(&r->timers, s->ti, 0, s->t.due_us);
    else if (s->t.due_us == 0) timers_stop(&r->timers, s->ti);
    if (s->out & TASK_OUT_KILL) kill_attempt(r, s->t.owner, s->ti, s->t.epoch);
    s->row = true;
    s->dirty = false;
    s->out = 0;
    s->error = NULL;
    s->result = NULL;
    s->epoch_was = s->t.epoch;
    s->state_was = s->t.state;
    if (task_final(s->t.state) || !r->single) solo_drop(r, s); /* a rival may change its row */
  }
  r->n_dirty = 0;
}

static void send_pushes(struct runner *r, struct pushes p[SLOT__N]) {
  for (int s = 0; s < SLOT__N; s++) {
    if (p[s].n > 0 && (!r->o.ports.push || !r->o.ports.push(r->o.ports.ctx, (enum slot_class)s, p[s].h, p[s].n)))
      lease_look(r, (uint8_t)s);
    free(p[s].h);
  }
}

/* What waits no more is not rung for. */
static void stop_timers(struct runner *r) {
  for (size_t i = 0; i < r->eff.n_flow; i++) {
    const struct run *run = r->eff.flow[i].r;
    if (run->due_us == 0 || flow_final((enum flow_state)run->state)) timers_stop(&r->flow_timers, run->fi);
  }
  for (size_t i = 0; timers_count(&r->timers) > 0 && i < r->eff.n_task; i++) {
    const struct eff_task *e = &r->eff.task[i];
    if (e->r->task[e->task].t.due_us == 0) timers_stop(&r->timers, run_ti(e->r, e->task));
  }
}

void batch_after(struct runner *r) {
  struct pushes p[SLOT__N] = {{0}};
  struct live **done = NULL;
  size_t n_done = 0, cap_done = 0;
  count_results(r);
  give_starts(r);
  stop_timers(r);
  for (size_t i = 0; i < r->eff.n_after; i++) one_after(r, &r->eff.after[i], p);
  solos_after(r, p);
  send_pushes(r, p);
  for (size_t i = 0; i < r->eff.n_flow; i++)
    if (flow_final(r->eff.flow[i].r->state)) *WR_PUSH(done, n_done, cap_done) = live_get(r, r->eff.flow[i].r->fi);
  for (size_t i = 0; i < r->eff.n_flow && r->aside.n > 0; i++) aside_committed(r, r->eff.flow[i].r->fi);
  effects_commit(&r->eff, r->b.id);
  for (size_t i = 0; i < n_done; i++) live_drop(r, done[i]);
  free(done);
}

void batch_undo(struct runner *r) {
  store_rollback(r->s);
  drop_starts(r);
  effects_clear(&r->eff);
  for (size_t i = 0; i < r->n_dirty; i++) solo_drop(r, r->dirty[i]);
  r->n_dirty = 0;
  live_drop_touched(r);
  r->n_key = 0;
  reqs_hold(r);
  for (size_t i = 0; i < r->n_take; i++) r->ev[i].defer = r->ev[i].keep = false;
  r->n_take = 0;
}
