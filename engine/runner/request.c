/* One request of the API each, turned into a step of the core. The runner thread's.
 * What never happens: an answer before the commit; a request that is refused leaves a trace in a row. */
#include "defs.h"
#include "runner_int.h"

static enum store_rc req_refuse(struct req *q, enum wr_rc code, const char *text) {
  req_fail(q, code, text);
  return STORE_OK;
}

static enum store_rc new_base(struct runner *r, const struct dag *dag, struct run_base *b) {
  enum store_rc rc = dag->n > 0 ? store_ids(r->env.store, ID_NI, dag->n, &b->ni) : STORE_OK;
  return rc == STORE_OK && dag->n > 0 ? store_ids(r->env.store, ID_TI, dag->n_task, &b->ti) : rc;
}

/* ---- starts ---- */

/* Finds the definitions of all starts first: all start, or none. */
static enum store_rc resolve_starts(struct runner *r, struct req *q, struct flow_def **def) {
  for (uint32_t i = 0; i < q->n_start; i++) {
    struct wr_err err;
    if (i > 0 && q->start[i].flow_id == q->start[i - 1].flow_id) { def[i] = def_flow_ref(def[i - 1]); continue; }
    enum wr_rc rc = defs_flow(r->env.defs, q->start[i].flow_id, 0, r->env.defs_version, &def[i], &err);
    if (rc == WR_OK && def[i]->deleted)
      rc = wr_err_set(&err, WR_NOT_STARTABLE, "Flow %lld was deleted.", (long long)q->start[i].flow_id);
    if (rc != WR_OK) return req_refuse_err(q, rc, &err);
  }
  return STORE_OK;
}

static enum store_rc start_one(struct runner *r, struct req_start *st, struct flow_def *def, int64_t fi) {
  struct run_base b = {0, 0};
  enum run_rc out;
  enum store_rc rc = new_base(r, def->dag, &b);
  if (rc != STORE_OK) return rc;
  struct run *run = run_new(def->dag, fi, b, FLOW_RUNNING);
  struct cached *c = cache_add_flow(&r->cache, run, def_flow_ref(def), st->params ? params_ref(st->params) : NULL);
  c->flow_id = def->flow_id;
  c->start_us = r->env.wall_us;
  st->fi = fi;
  st->create_us = r->env.wall_us;
  st->flow_version = def->version;
  if (st->queue) whose_said(r, c, 0, st->queue);
  rc = step_event(&r->step, c, &(struct run_event){.kind = RUN_EV_START}, &out);
  if (run->due_us != 0) timers_set(&r->flow_timers, fi, fi, run->due_us);
  return rc;
}

static enum store_rc do_start(struct runner *r, struct req *q) {
  struct flow_def **def = arena_zalloc(&r->env.mem, (q->n_start + 1) * sizeof *def);
  enum store_rc rc = resolve_starts(r, q, def);
  if (rc == STORE_OK && q->rc == WR_OK) rc = req_ids(r, q, ID_FI, q->n_start);
  if (rc == STORE_OK && q->n_start > 0) r->env.own_fi = q->first_id;
  for (uint32_t i = 0; rc == STORE_OK && q->rc == WR_OK && i < q->n_start; i++)
    rc = start_one(r, &q->start[i], def[i], q->first_id + i);
  for (uint32_t i = 0; i < q->n_start; i++) def_flow_unref(def[i]);
  if (rc == STORE_OK && q->rc == WR_OK && q->key) keys_take(&r->keys, q, q->first_id, q->n_start);
  q->changed = true;
  return rc;
}

/* ---- what names a flow instance ---- */

/* The flow instance of a request. NULL: the answer is set, or the event is put off because another node holds the flow. */
static struct cached *flow_of(struct runner *r, struct ev *e, enum store_rc *rc) {
  struct req *q = e->q;
  struct cached *c = cache_use(&r->cache, q->fi);
  uint8_t got = 0;
  struct flow_row row;
  *rc = STORE_OK;
  if (c) return c;
  if (quarantine_waits(&r->quarantine, q->fi)) { req_fail(q, WR_QUARANTINED, NULL); return NULL; }
  *rc = store_lock(r->env.store, &q->fi, 1, &row, &got);
  if (*rc == STORE_OK && got != 0) e->then = THEN_LATER;
  else if (*rc == STORE_OK) q->rc = wr_err_set(&q->err, WR_NOT_FOUND, "Flow instance %lld does not exist.", (long long)q->fi);
  return NULL;
}

/* The node index of a niId, whichever run made that row. */
static uint32_t node_of(const struct run *run, int64_t ni) {
  for (size_t b = 0; b < run->n_base; b++)
    if (ni >= run->base[b].ni && ni < run->base[b].ni + run->dag->n) return (uint32_t)(ni - run->base[b].ni);
  return UINT32_MAX;
}

static enum store_rc rerun_checked(struct runner *r, struct req *q, const struct cached *c, struct run_event *ev) {
  struct wr_err err;
  struct flow_def *now;
  const struct run *run = c->run;
  if (c->flow_id != q->flow_id) {
    q->rc = wr_err_set(&q->err, WR_NOT_RETRYABLE, "Flow instance %lld belongs to flow %lld.", (long long)q->fi,
                       (long long)c->flow_id);
    return STORE_OK;
  }
  enum wr_rc rc = defs_flow(r->env.defs, q->flow_id, 0, r->env.defs_version, &now, &err);
  bool deleted = rc == WR_OK && now->deleted;
  if (rc != WR_OK) return req_refuse_err(q, rc, &err);
  def_flow_unref(now);
  if (deleted) return req_refuse(q, WR_NOT_STARTABLE, "The flow was deleted.");
  ev->node = q->ni == 0 ? RERUN_FAILED : node_of(run, q->ni);
  if (q->ni != 0 && ev->node == UINT32_MAX) return req_refuse(q, WR_WRONG_NODE, NULL);
  if (!flow_final(run->state))
    q->rc = wr_err_set(&q->err, WR_NOT_RETRYABLE, "State is %s: wait for its end, or cancel it.",
                       flow_state_name((enum flow_state)run->state));
  else if (q->ni == 0 && run->state == FLOW_SUCCESS)
    q->rc = wr_err_set(&q->err, WR_NOT_RETRYABLE,
                       "State is SUCCESS: nothing is left to be run. Start the flow anew, or name a node (niId).");
  else if (run->n_base >= LIMIT_RUNS)
    q->rc = wr_err_set(&q->err, WR_NOT_RETRYABLE, "Flow instance %lld has run %d times, which is the most: start the flow anew.",
                       (long long)q->fi, LIMIT_RUNS);
  return STORE_OK;
}

static enum store_rc do_rerun(struct runner *r, struct ev *e) {
  struct req *q = e->q;
  enum store_rc rc;
  enum run_rc out = RUN_OK;
  struct run_event ev = {.kind = RUN_EV_RERUN};
  struct cached *c = flow_of(r, e, &rc);
  if (c == NULL) return rc;
  if (c->run->eff != 0) { /* the flow's rows of this batch belong to the old run, and are written first */
    e->then = THEN_LATER;
    return STORE_OK;
  }
  rc = rerun_checked(r, q, c, &ev);
  if (rc != STORE_OK || q->rc != WR_OK) return rc;
  rc = new_base(r, c->run->dag, &ev.base);
  if (rc == STORE_OK) rc = load_every_node(&r->loader, c); /* every task of the run, open or not: epochs go on */
  if (rc == STORE_OK) rc = step_event(&r->step, c, &ev, &out);
  if (rc == STORE_OK && out == RUN_REFUSED) return req_refuse(q, WR_NOT_RETRYABLE, NULL);
  if (rc == STORE_OK) rc = step_blame_kept(&r->step, c);
  if (rc == STORE_OK && c->run->due_us != 0) timers_set(&r->flow_timers, q->fi, q->fi, c->run->due_us);
  q->changed = true;
  return rc;
}

static void flow_refused(struct req *q, enum ask_no no, enum flow_state s) {
  q->state = flow_state_name(s);
  if (no == ASK_FINISHED) q->rc = wr_err_set(&q->err, WR_ALREADY_FINISHED, "It has already finished: %s.", q->state);
  else q->rc = wr_err_set(&q->err, WR_BUSY_STATE, "It is %s; wait.", q->state);
}

static enum store_rc do_cancel_flow(struct runner *r, struct ev *e) {
  struct req *q = e->q;
  enum store_rc rc;
  enum run_rc out = RUN_OK;
  struct cached *c = flow_of(r, e, &rc);
  if (c == NULL) return rc;
  enum flow_state was = (enum flow_state)c->run->state;
  rc = step_event(&r->step, c, &(struct run_event){.kind = RUN_EV_CANCEL}, &out);
  if (rc == STORE_OK && out == RUN_REFUSED)
    flow_refused(q, ASK_FINISHED, was);
  q->changed = was != (enum flow_state)c->run->state;
  return rc;
}

/* ---- pause and resume of a flow ---- */

static enum store_rc do_hold_flow(struct runner *r, struct ev *e) {
  struct req *q = e->q;
  enum store_rc rc;
  enum run_rc out = RUN_OK;
  struct run_event ev = {.kind = q->kind == REQ_PAUSE_FLOW ? RUN_EV_PAUSE : RUN_EV_RESUME, .checkpoint = q->checkpoint};
  struct cached *c = flow_of(r, e, &rc);
  if (c == NULL) return rc;
  rc = step_event(&r->step, c, &ev, &out);
  if (rc != STORE_OK) return rc;
  if (out == RUN_REFUSED) flow_refused(q, r->step.ctx.no, (enum flow_state)c->run->state);
  q->changed = out != RUN_REFUSED && r->step.ctx.no == ASK_OK;
  return STORE_OK;
}

enum store_rc handle_request(struct runner *r, struct ev *e) {
  struct req *q = e->q;
  q->rc = WR_OK;
  q->state = NULL;
  q->changed = q->replayed = false;
  bool wish = q->kind == REQ_CANCEL_FLOW || q->kind == REQ_ASK || q->kind == REQ_JOB;
  if (r->env.leaving && !wish) return req_refuse(q, WR_DRAINING, NULL);
  int64_t made = 0;
  if (q->key && keys_answer(&r->keys, e, &made)) {
    if (q->replayed && q->kind == REQ_EXEC_TASK) submit_replayed(r, q, made);
    return STORE_OK;
  }
  switch (q->kind) {
  case REQ_START: return do_start(r, q);
  case REQ_EXEC_TASK: return submit(r, e);
  case REQ_RERUN: return do_rerun(r, e);
  case REQ_CANCEL_FLOW: return do_cancel_flow(r, e);
  case REQ_PAUSE_FLOW: case REQ_RESUME_FLOW: return do_hold_flow(r, e);
  case REQ_ASK: return ask(r, e);
  case REQ_JOB: return job_request(r, e);
  }
  return STORE_OK;
}
