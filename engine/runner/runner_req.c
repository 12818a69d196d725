/* One event each: results, timers, hints and the requests of the API, turned into steps of the core. The runner
 * thread's. What never happens: an answer before the commit; a request that is refused leaves a trace in a row. */
#include <stdlib.h>
#include <string.h>
#include "runner_int.h"

/* ---- steps of a run, with what they need ---- */

static enum store_rc feed(struct runner *r, struct live *l) {
  enum store_rc rc = load_nodes(r, l, r->c.need, r->c.n_need);
  r->c.n_need = 0;
  return rc;
}

/* Free slots as a step may see them: none of a class whose hints wait, unless this is a hint. */
static void show_slots(struct runner *r, uint32_t real[SLOT__N], bool hint) {
  for (int s = 0; s < SLOT__N; s++) {
    real[s] = r->c.free[s];
    if (r->hold[s] && !hint) r->c.free[s] = 0;
  }
}

static void hide_slots(struct runner *r, const uint32_t real[SLOT__N], const uint32_t seen[SLOT__N]) {
  for (int s = 0; s < SLOT__N; s++) r->c.free[s] = real[s] - (seen[s] - r->c.free[s]);
}

static enum store_rc bind(struct runner *r, struct live *l) {
  struct wr_err err;
  enum wr_rc rc = defs_bind(r->o.defs, l->def, r->defs_version, &l->r->bind, &err);
  if (rc == WR_OK) return STORE_OK;
  enum store_rc s = defs_store_rc(rc);
  if (s == STORE_BAD) log_warn("runner.bind", L_INT("fi", l->r->fi), L_STR("error", err.msg));
  return s;
}

static enum store_rc drain(struct runner *r, struct live *l) {
  for (;;) {
    r->c.now_us = r->wall_us;
    enum run_rc rc = run_drain(l->r, &r->c);
    if (rc == RUN_MORE) { live_more(r, l); return STORE_OK; }
    if (rc != RUN_NEED) return STORE_OK;
    enum store_rc s = feed(r, l);
    if (s != STORE_OK) return s;
  }
}

/* The policy of an instance whose task was changed after it was made: it keeps its version, so its class of slots too.
 * *out stays NULL when that is the version bound now, or nothing is known of it yet. */
static enum store_rc pinned(struct runner *r, const struct live *l, uint32_t task, struct task_policy *own, const struct task_policy **out) {
  const struct task_ref *ref = &l->def->ref[task];
  const struct task *t = &l->r->task[task].t;
  struct task_def *def;
  struct wr_err err;
  if (ref->inl || t->state == TASK_NONE || t->version == l->r->bind[task].version) return STORE_OK;
  enum store_rc rc = defs_store_rc(defs_task(r->o.defs, ref->task_id, t->version, r->defs_version, &def, &err));
  if (rc != STORE_OK) return rc;
  *own = def_policy(ref, def);
  *out = own;
  def_task_unref(def);
  return STORE_OK;
}

/* Applies ev and delivers what follows. *out tells what run_step() said. */
static enum store_rc step(struct runner *r, struct live *l, const struct run_event *ev, enum run_rc *out) {
  uint32_t real[SLOT__N], seen[SLOT__N];
  struct run_event e = *ev;
  struct task_policy own;
  enum store_rc rc = bind(r, l);
  if (rc != STORE_OK) return rc;
  live_touch(r, l);
  show_slots(r, real, ev->kind == RUN_EV_TASK && ev->ev.kind == TASK_EV_CLAIM);
  memcpy(seen, r->c.free, sizeof seen);
  for (*out = RUN_NEED; rc == STORE_OK && *out == RUN_NEED;) {
    if (ev->kind == RUN_EV_TASK && ev->pol == NULL) rc = pinned(r, l, ev->task, &own, &e.pol);
    if (rc != STORE_OK) break;
    r->c.now_us = r->wall_us;
    *out = run_step(l->r, &e, &r->c);
    if (*out == RUN_NEED) rc = feed(r, l);
  }
  if (rc == STORE_OK && *out == RUN_OK) rc = drain(r, l);
  hide_slots(r, real, seen);
  return rc;
}

enum store_rc do_more(struct runner *r, struct live *l) {
  uint32_t real[SLOT__N], seen[SLOT__N];
  enum store_rc rc = bind(r, l);
  if (rc != STORE_OK) return rc;
  live_touch(r, l);
  show_slots(r, real, false);
  memcpy(seen, r->c.free, sizeof seen);
  rc = drain(r, l);
  hide_slots(r, real, seen);
  return rc;
}

/* ---- attempts, hints, timers ---- */

static enum task_ev result_kind(const struct attempt *a) {
  switch (a->end) {
  case ATTEMPT_OK: return TASK_EV_OK;
  case ATTEMPT_FAIL: case ATTEMPT_FATAL: return TASK_EV_FAIL;
  case ATTEMPT_HANDBACK: return TASK_EV_HANDBACK;
  case ATTEMPT_NONE: case ATTEMPT_LOST: break;
  }
  return TASK_EV_LOST;
}

static void late(struct runner *r, const struct ev *e) {
  stats_count(r, &r->stats.late);
  log_info("runner.late", L_INT("fi", e->fi), L_INT("ti", e->ti), L_INT("epoch", e->epoch), L_INT("kind", e->kind));
}

static enum store_rc solo_event(struct runner *r, const struct ev *e, const struct task_event *te, const char *error, struct solo **out) {
  enum store_rc rc = load_solo(r, e->ti, out);
  struct solo *s = *out;
  if (rc != STORE_OK || s == NULL) return rc;
  struct task_event ev = *te;
  ev.now_us = r->wall_us > s->update_us ? r->wall_us : s->update_us;
  ev.rnd = rand_next(&r->c.rnd);
  ev.may_retry = ev.may_requeue = 1;
  uint8_t slot = s->def->policy.slot;
  struct task was = s->t;
  unsigned o = task_apply(&s->t, &ev, &s->def->policy);
  if ((o & TASK_OUT_REQUEUED) && r->c.free[slot] > 0 && !r->hold[slot] && !s->def->policy.elsewhere)
    o |= task_apply(&s->t, &(struct task_event){.kind = TASK_EV_CLAIM, .now_us = ev.now_us, .owner = r->me}, &s->def->policy);
  if (o & TASK_OUT_CLAIMED) r->c.free[slot]--;
  if (o & TASK_OUT_LATE) late(r, e);
  if (!(o & (TASK_OUT_CHANGED | TASK_OUT_KILL))) { /* nothing to write or to tell: a final row stays as it is */
    if (!s->dirty && (task_final(s->t.state) || !r->single)) {
      solo_drop(r, s);
      *out = NULL;
    }
    return STORE_OK;
  }
  if (!s->dirty) *WR_PUSH(r->dirty, r->n_dirty, r->cap_dirty) = s;
  s->dirty = true;
  s->out |= o;
  s->update_us = ev.now_us;
  if (o & TASK_OUT_ATTEMPT_ENDED) {
    s->why = task_attempt_why(&was, te->kind);
    s->was = was;
  }
  if (!(o & TASK_OUT_CHANGED)) return STORE_OK;
  error = task_error(&s->t, &was, error);
  if (e->a) s->result = e->a;
  if (error) s->error = error;
  return STORE_OK;
}

static enum store_rc task_event(struct runner *r, struct ev *e, struct run_event *ev) {
  if (e->fi == 0) {
    struct solo *s;
    return solo_event(r, e, &ev->ev, ev->error, &s);
  }
  struct live *l = live_use(r, e->fi);
  if (l == NULL) return STORE_OK; /* gone, or set aside */
  enum run_rc out = RUN_OK;
  ev->kind = RUN_EV_TASK;
  ev->task = run_task_of(l->r, e->ti);
  if (ev->task == UINT32_MAX) { late(r, e); return STORE_OK; }
  enum store_rc rc = step(r, l, ev, &out);
  if (rc == STORE_OK && out == RUN_LATE) late(r, e);
  return rc;
}

static void slot_back(struct runner *r, uint8_t slot) {
  if (r->over[slot] > 0) r->over[slot]--;
  else r->c.free[slot]++;
}

static enum store_rc do_result(struct runner *r, struct ev *e) {
  struct attempt *a = e->a;
  struct run_event ev = {.ev = {.kind = result_kind(a), .owner = a->owner, .epoch = a->epoch, .fatal = a->end == ATTEMPT_FATAL, .asked = a->asked},
                         .pol = &a->policy, .error = a->error};
  if (a->end == ATTEMPT_OK || a->end == ATTEMPT_FAIL || a->end == ATTEMPT_FATAL) ev.result = a;
  if (a->error == NULL && ev.ev.kind == TASK_EV_FAIL) ev.error = "Failed.";
  if (a->error == NULL && ev.ev.kind == TASK_EV_LOST) ev.error = "Lost with its node.";
  if (!r->draining && a->owner == r->me && !e->slotless) slot_back(r, a->policy.slot);
  return task_event(r, e, &ev);
}

/* The class of slots that an instance takes. Its row is read only when there is one for what the task is now. */
static enum store_rc slot_of(struct runner *r, struct live *l, uint32_t task, uint8_t *slot, bool *elsewhere) {
  uint32_t node = dag_node_of_task(l->r->dag, task);
  struct task_policy own;
  const struct task_policy *pol = NULL;
  enum store_rc rc = STORE_OK;
  *slot = l->r->bind[task].pol->slot;
  if (r->c.free[*slot] > 0 && !run_known(l->r, node)) rc = load_nodes(r, l, &node, 1);
  if (rc == STORE_OK) rc = pinned(r, l, task, &own, &pol);
  if (rc != STORE_OK) return rc;
  if (pol == NULL) pol = l->r->bind[task].pol;
  *slot = pol->slot;
  *elsewhere = pol->elsewhere;
  return rc;
}

static void hint_back(struct runner *r, const struct ev *e, uint8_t slot) {
  const struct hint h = {e->ti, e->fi};
  if (!r->o.ports.push || !r->o.ports.push(r->o.ports.ctx, (enum slot_class)slot, &h, 1)) lease_look(r, slot);
}

/* It was read only to see what it is: one that has ended is not looked at again, and a rival may change any. */
static void solo_unused(struct runner *r, const struct ev *e) {
  struct solo *s = e->fi == 0 ? map64_get(&r->solos, e->ti) : NULL;
  if (s && !s->dirty && (task_final(s->t.state) || !r->single)) solo_drop(r, s);
}

/* The class of a hint is known only now; with no slot left it goes back behind the others. */
static enum store_rc do_hint(struct runner *r, struct ev *e) {
  uint8_t slot = SLOT__N;
  bool elsewhere = false;
  if (e->fi == 0) {
    struct solo *s;
    enum store_rc rc = load_solo(r, e->ti, &s);
    if (rc != STORE_OK || s == NULL) return rc;
    slot = s->def->policy.slot;
    elsewhere = s->def->policy.elsewhere;
  } else {
    struct live *l = live_use(r, e->fi);
    uint32_t task = l ? run_task_of(l->r, e->ti) : UINT32_MAX;
    if (task == UINT32_MAX) return STORE_OK;
    enum store_rc rc = bind(r, l);
    if (rc == STORE_OK) rc = slot_of(r, l, task, &slot, &elsewhere);
    if (rc != STORE_OK) return rc;
  }
  bool other = e->refill && !(e->refill & 1u << slot); /* most likely it is in its queue; if not, it is found when that is empty */
  if (other && r->o.ports.pull && r->o.ports.backlog(r->o.ports.ctx, (enum slot_class)slot) > 0) {
    lease_look(r, slot);
    solo_unused(r, e);
    return STORE_OK;
  }
  if (r->c.free[slot] == 0 || elsewhere || (other && !r->o.ports.pull)) {
    if (elsewhere) ask_elsewhere(r, e, slot);
    else if (!other && !e->rows) hint_back(r, e, slot);
    solo_unused(r, e);
    return STORE_OK;
  }
  struct run_event ev = {.ev = {.kind = TASK_EV_CLAIM, .owner = r->me}};
  return task_event(r, e, &ev);
}

static enum store_rc do_flow_timeout(struct runner *r, const struct ev *e) {
  struct live *l = live_use(r, e->fi);
  enum run_rc out;
  if (l == NULL) return STORE_OK;
  return step(r, l, &(struct run_event){.kind = RUN_EV_TIMEOUT, .error = "The flow timed out."}, &out);
}

/* ---- requests ---- */

static enum store_rc refuse(struct req *q, enum wr_rc code, const char *text) {
  req_fail(q, code, text);
  return STORE_OK;
}

static enum store_rc refuse_err(struct req *q, enum wr_rc rc, const struct wr_err *err) {
  enum store_rc s = defs_store_rc(rc);
  bool final = s == STORE_BAD || rc == WR_NOT_STARTABLE;
  if (!final) return s;
  q->rc = rc;
  q->err = *err;
  return STORE_OK;
}

/* Resolves every start first: all or nothing. */
static enum store_rc resolve_starts(struct runner *r, struct req *q, struct flow_def **def) {
  for (uint32_t i = 0; i < q->n_start; i++) {
    struct wr_err err;
    if (i > 0 && q->start[i].flow_id == q->start[i - 1].flow_id) { def[i] = def_flow_ref(def[i - 1]); continue; }
    enum wr_rc rc = defs_flow(r->o.defs, q->start[i].flow_id, 0, r->defs_version, &def[i], &err);
    if (rc == WR_OK && def[i]->deleted) rc = wr_err_set(&err, WR_NOT_STARTABLE, "Flow %lld was deleted.", (long long)q->start[i].flow_id);
    if (rc != WR_OK) return refuse_err(q, rc, &err);
  }
  return STORE_OK;
}

static enum store_rc start_one(struct runner *r, struct req_start *st, struct flow_def *def, int64_t fi) {
  struct run_base b = {0, 0};
  enum run_rc out;
  enum store_rc rc = def->dag->n > 0 ? store_ids(r->s, ID_NI, def->dag->n, &b.ni) : STORE_OK;
  if (rc == STORE_OK && def->dag->n > 0) rc = store_ids(r->s, ID_TI, def->dag->n_task, &b.ti);
  if (rc != STORE_OK) return rc;
  struct run *run = run_new(def->dag, fi, b, FLOW_RUNNING);
  struct live *l = live_add(r, run, def_flow_ref(def), st->params ? params_ref(st->params) : NULL);
  l->flow_id = def->flow_id;
  l->start_us = r->wall_us;
  st->fi = fi;
  st->create_us = r->wall_us;
  st->flow_version = def->version;
  rc = step(r, l, &(struct run_event){.kind = RUN_EV_START}, &out);
  if (run->due_us != 0) timers_set(&r->flow_timers, fi, fi, run->due_us);
  return rc;
}

static enum store_rc take_ids(struct runner *r, struct req *q, enum id_kind kind, uint32_t n) {
  return q->first_id == 0 && n > 0 ? store_ids(r->s, kind, n, &q->first_id) : STORE_OK;
}

static enum store_rc do_start(struct runner *r, struct req *q) {
  struct flow_def **def = arena_zalloc(&r->mem, (q->n_start + 1) * sizeof *def);
  enum store_rc rc = resolve_starts(r, q, def);
  if (rc == STORE_OK && q->rc == WR_OK) rc = take_ids(r, q, ID_FI, q->n_start);
  if (rc == STORE_OK && q->n_start > 0) r->own_fi = q->first_id;
  for (uint32_t i = 0; rc == STORE_OK && q->rc == WR_OK && i < q->n_start; i++) rc = start_one(r, &q->start[i], def[i], q->first_id + i);
  for (uint32_t i = 0; i < q->n_start; i++) def_flow_unref(def[i]);
  if (rc == STORE_OK && q->rc == WR_OK && q->key) key_take(r, q, q->first_id, q->n_start);
  q->changed = true;
  return rc;
}

static enum store_rc do_exec_task(struct runner *r, struct req *q) {
  struct task_def *def;
  struct wr_err err;
  enum wr_rc wrc = defs_task(r->o.defs, q->task_id, 0, r->defs_version, &def, &err);
  if (wrc != WR_OK) return refuse_err(q, wrc, &err);
  if (def->deleted) {
    def_task_unref(def);
    return refuse(q, WR_NOT_STARTABLE, "The task was deleted.");
  }
  enum store_rc rc = take_ids(r, q, ID_TI, 1);
  q->ti = q->first_id;
  if (rc != STORE_OK) { def_task_unref(def); return rc; }
  struct solo *s = wr_new(struct solo);
  *s = (struct solo){.ti = q->ti, .create_us = r->wall_us, .def = def, .params = q->params ? params_ref(q->params) : NULL, .out = TASK_OUT_CHANGED,
                     .t = {.state = TASK_RETRY_WAIT, .due_us = r->wall_us, .version = def->version}};
  solo_keep(r, s);
  if (q->key) key_take(r, q, q->ti, 1);
  q->changed = true;
  return solo_event(r, &(struct ev){.ti = s->ti}, &(struct task_event){.kind = TASK_EV_DUE}, NULL, &s); /* -> QUEUED, or taken home */
}

/* The flow instance of a request; NULL with the answer set, or the event deferred when another node holds it. */
static struct live *flow_of(struct runner *r, struct ev *e, enum store_rc *rc) {
  struct req *q = e->q;
  struct live *l = live_use(r, q->fi);
  uint8_t got = 0;
  struct flow_row row;
  *rc = STORE_OK;
  if (l) return l;
  if (aside_now(r, q->fi)) { req_fail(q, WR_QUARANTINED, NULL); return NULL; }
  *rc = store_lock(r->s, &q->fi, 1, &row, &got);
  if (*rc == STORE_OK && got != 0) e->defer = true;
  else if (*rc == STORE_OK) q->rc = wr_err_set(&q->err, WR_NOT_FOUND, "Flow instance %lld does not exist.", (long long)q->fi);
  return NULL;
}

/* niId -> node index, in whichever run it was made. */
static uint32_t node_of(const struct run *run, int64_t ni) {
  for (size_t b = 0; b < run->n_base; b++)
    if (ni >= run->base[b].ni && ni < run->base[b].ni + run->dag->n) return (uint32_t)(ni - run->base[b].ni);
  return UINT32_MAX;
}

static enum store_rc rerun_checked(struct runner *r, struct req *q, struct live *l, struct run_event *ev) {
  struct wr_err err;
  struct flow_def *now;
  if (l->flow_id != q->flow_id) {
    q->rc = wr_err_set(&q->err, WR_NOT_RETRYABLE, "Flow instance %lld belongs to flow %lld.", (long long)q->fi, (long long)l->flow_id);
    return STORE_OK;
  }
  enum wr_rc rc = defs_flow(r->o.defs, q->flow_id, 0, r->defs_version, &now, &err);
  bool deleted = rc == WR_OK && now->deleted;
  if (rc != WR_OK) return refuse_err(q, rc, &err);
  def_flow_unref(now);
  if (deleted) return refuse(q, WR_NOT_STARTABLE, "The flow was deleted.");
  ev->node = q->ni == 0 ? RERUN_FAILED : node_of(l->r, q->ni);
  if (q->ni != 0 && ev->node == UINT32_MAX) return refuse(q, WR_WRONG_NODE, NULL);
  if (!flow_final(l->r->state))
    q->rc = wr_err_set(&q->err, WR_NOT_RETRYABLE, "State is %s: wait for its end, or cancel it.", flow_state_name((enum flow_state)l->r->state));
  else if (q->ni == 0 && l->r->state == FLOW_SUCCESS)
    q->rc = wr_err_set(&q->err, WR_NOT_RETRYABLE, "State is SUCCESS: nothing is left to be run. Start the flow anew, or name a node (niId).");
  else if (l->r->n_base >= LIMIT_RUNS)
    q->rc = wr_err_set(&q->err, WR_NOT_RETRYABLE, "Flow instance %lld has run %d times, which is the most: start the flow anew.", (long long)q->fi, LIMIT_RUNS);
  return STORE_OK;
}

/* A re-run reads every task of the run, open or not: epochs go on. */
static enum store_rc load_all(struct runner *r, struct live *l) {
  uint32_t n = l->r->dag->n;
  uint32_t *all = arena_alloc(&r->mem, ((size_t)n + 1) * sizeof *all);
  for (uint32_t i = 0; i < n; i++) all[i] = i;
  return n == 0 ? STORE_OK : load_nodes(r, l, all, n);
}

/* A kept node had failed: the flow says what that says, whatever its former run ended with. */
static enum store_rc blame_kept(struct runner *r, struct live *l) {
  uint32_t node = run_kept_failure(l->r);
  struct node_row row;
  size_t got = 0;
  if (node == UINT32_MAX) return STORE_OK;
  int64_t ni = run_ni(l->r, node);
  enum store_rc rc = store_nodes(r->s, &ni, 1, &row, &got);
  if (rc == STORE_OK) run_blame(l->r, &r->c, node, got == 1 && row.error ? arena_strdup(&r->mem, row.error) : "Failed.");
  return rc;
}

static enum store_rc do_rerun(struct runner *r, struct ev *e) {
  struct req *q = e->q;
  enum store_rc rc;
  enum run_rc out = RUN_OK;
  struct run_event ev = {.kind = RUN_EV_RERUN};
  struct live *l = flow_of(r, e, &rc);
  if (l == NULL) return rc;
  if (l->r->eff != 0) { /* its rows of this batch belong to the old run: they are written first */
    e->defer = true;
    return STORE_OK;
  }
  rc = rerun_checked(r, q, l, &ev);
  if (rc != STORE_OK || q->rc != WR_OK) return rc;
  if (l->r->dag->n > 0) rc = store_ids(r->s, ID_NI, l->r->dag->n, &ev.base.ni);
  if (rc == STORE_OK && l->r->dag->n > 0) rc = store_ids(r->s, ID_TI, l->r->dag->n_task, &ev.base.ti);
  if (rc == STORE_OK) rc = load_all(r, l);
  if (rc == STORE_OK) rc = step(r, l, &ev, &out);
  if (rc == STORE_OK && out == RUN_REFUSED) return refuse(q, WR_NOT_RETRYABLE, NULL);
  if (rc == STORE_OK) rc = blame_kept(r, l);
  if (rc == STORE_OK && l->r->due_us != 0) timers_set(&r->flow_timers, q->fi, q->fi, l->r->due_us);
  q->changed = true;
  return rc;
}

static enum store_rc do_cancel_flow(struct runner *r, struct ev *e) {
  struct req *q = e->q;
  enum store_rc rc;
  enum run_rc out = RUN_OK;
  struct live *l = flow_of(r, e, &rc);
  if (l == NULL) return rc;
  enum flow_state was = (enum flow_state)l->r->state;
  rc = step(r, l, &(struct run_event){.kind = RUN_EV_CANCEL}, &out);
  if (rc == STORE_OK && out == RUN_REFUSED)
    q->rc = wr_err_set(&q->err, WR_ALREADY_FINISHED, "It has already finished: %s.", flow_state_name(was));
  q->changed = was != (enum flow_state)l->r->state;
  return rc;
}

static enum store_rc finished(struct req *q, enum task_state s) {
  if (s != TASK_CANCELED)
    q->rc = wr_err_set(&q->err, WR_ALREADY_FINISHED, "It has already finished: %s.", task_state_name(s));
  return STORE_OK;
}

/* It may have ended since the row was looked at: what counts is what the event meets. */
static enum store_rc cancel_solo(struct runner *r, struct ev *e) {
  struct req *q = e->q;
  struct solo *s;
  enum store_rc rc = load_solo(r, q->ti, &s);
  if (rc != STORE_OK) return rc;
  if (s == NULL) return refuse(q, WR_INTERNAL, NULL); /* its definition cannot be read */
  enum task_state was = s->t.state;
  if (task_final(was)) {
    if (!s->dirty) solo_drop(r, s);
    return finished(q, was);
  }
  rc = solo_event(r, e, &(struct task_event){.kind = TASK_EV_CANCEL}, NULL, &s);
  q->changed = rc == STORE_OK && s && s->t.state != was;
  return rc;
}

static enum store_rc do_cancel_task(struct runner *r, struct ev *e) {
  struct req *q = e->q;
  struct task_row row;
  size_t got = 0;
  enum run_rc out = RUN_OK;
  struct run_event ev = {.kind = RUN_EV_TASK, .ev = {.kind = TASK_EV_CANCEL}};
  enum store_rc rc = store_tasks(r->s, &q->ti, 1, &row, &got);
  if (rc != STORE_OK) return rc;
  if (got == 0 && map64_get(&r->solos, q->ti) == NULL) {
    q->rc = wr_err_set(&q->err, WR_NOT_FOUND, "Task instance %lld does not exist.", (long long)q->ti);
    return STORE_OK;
  }
  if (got == 0 || row.fi == 0) return cancel_solo(r, e);
  if (task_final(row.t.state)) return finished(q, row.t.state); /* of an older run, perhaps: the new one is another row */
  bool tried = e->fi != 0;
  e->fi = row.fi;
  struct live *l = live_use(r, row.fi);
  if (l == NULL) { /* its flow is loaded with the next batch */
    if (tried && aside_now(r, row.fi)) return refuse(q, WR_QUARANTINED, NULL);
    e->defer = e->at_once = true;
    return STORE_OK;
  }
  ev.task = run_task_of(l->r, q->ti);
  if (ev.task == UINT32_MAX) return finished(q, row.t.state);
  enum task_state was = l->r->task[ev.task].t.state;
  rc = step(r, l, &ev, &out);
  q->changed = rc == STORE_OK && was != l->r->task[ev.task].t.state;
  return rc == STORE_OK && out == RUN_REFUSED ? finished(q, l->r->task[ev.task].t.state) : rc;
}

static enum store_rc do_req(struct runner *r, struct ev *e) {
  struct req *q = e->q;
  q->rc = WR_OK;
  q->changed = q->replayed = false;
  if (r->draining && q->kind != REQ_CANCEL_FLOW && q->kind != REQ_CANCEL_TASK) return refuse(q, WR_DRAINING, NULL);
  if (q->key && key_answers(r, e)) return STORE_OK;
  switch (q->kind) {
  case REQ_START: return do_start(r, q);
  case REQ_EXEC_TASK: return do_exec_task(r, q);
  case REQ_RERUN: return do_rerun(r, e);
  case REQ_CANCEL_FLOW: return do_cancel_flow(r, e);
  case REQ_CANCEL_TASK: return do_cancel_task(r, e);
  }
  return STORE_OK;
}

static enum store_rc dispatch(struct runner *r, struct ev *e) {
  struct run_event ev = {.ev = {.owner = e->owner, .epoch = e->epoch}};
  switch (e->kind) {
  case EV_RESULT: return do_result(r, e);
  case EV_REQ: return e->q ? do_req(r, e) : STORE_OK; /* answered while its commit was not known */
  case EV_HINT: return do_hint(r, e);
  case EV_FLOW_TIMEOUT: return do_flow_timeout(r, e);
  case EV_TIMEOUT: ev.ev.kind = TASK_EV_TIMEOUT; return task_event(r, e, &ev);
  case EV_DUE: ev.ev.kind = TASK_EV_DUE; return task_event(r, e, &ev);
  case EV_LOST:
    ev.ev.kind = e->handback ? TASK_EV_HANDBACK : TASK_EV_LOST;
    ev.error = e->handback ? NULL : "Lost with its node.";
    return task_event(r, e, &ev);
  case EV_MORE: {
    struct live *l = live_use(r, e->fi);
    return l && !flow_final(l->r->state) ? do_more(r, l) : STORE_OK;
  }
  }
  return STORE_OK;
}

static bool held(const struct runner *r, int64_t fi) {
  return r->n_held > 0 && bsearch(&fi, r->held, r->n_held, sizeof fi, wr_by_id) != NULL;
}

enum store_rc do_event(struct runner *r, struct ev *e) {
  if (e->q == NULL && aside_now(r, e->fi)) { /* all else is found in the rows again */
    e->keep = e->kind == EV_RESULT || e->kind == EV_TIMEOUT;
    return STORE_OK;
  }
  if (!held(r, e->fi)) return dispatch(r, e);
  e->defer = true; /* by another node: its turn comes again */
  return STORE_OK;
}
