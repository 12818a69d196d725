/* The look at live rows: reconciler.h. */
#include "reconciler.h"

void reconciler_init(struct reconciler *c, const struct reconciler *parts) {
  *c = *parts;
  c->state = REC_IDLE;
}

void reconciler_done(struct reconciler *c) {
  map64_done(&c->pass.flows);
  map64_done(&c->pass.strays);
  map64_done(&c->wanted.flows);
}

void reconciler_check(const struct reconciler *c) {
  wr_assert(c->state == REC_IDLE || c->state == REC_JOBS || c->pass.cursor >= 0);
  wr_assert(c->state != REC_FLOWS || c->pass.kind != PASS_REFILL);
  wr_assert(c->pass.kind == PASS_REFILL || c->pass.refill == 0);
  wr_assert((c->pass.refill & ~c->wanted.refill) == 0);
  wr_assert(c->state != REC_IDLE || c->pass.flows.n == 0);
}

void reconciler_join(struct reconciler *c) {
  c->at = 0;
  c->state = REC_IDLE;
  c->pass.kind = PASS_RECOVER;
  c->pass.refill = 0;
  map64_done(&c->pass.flows);
  map64_done(&c->pass.strays);
}

/* ---- what others ask for ---- */

void reconciler_now(struct reconciler *c) { c->at = 0; }

static void pass_again(struct reconciler *c) {
  c->wanted.at_once = true;
  c->at = c->env->boot_us;
}

void reconciler_refused(struct reconciler *c, int slot) {
  int64_t at = c->env->boot_us + HINT_AGE_US;
  if (env_keeps(c->env)) { /* a refill follows when the queue has run empty; a refill under way may have passed this row */
    c->queue_full[slot] = true;
    c->wanted.refill &= (uint8_t)~slot_bit(slot);
    c->pass.refill &= (uint8_t)~slot_bit(slot);
    return;
  }
  c->wanted.hints = c->wanted.soon = true; /* soon: the end of a pass under way sets `at` anew */
  if (at < c->at) c->at = at;
}

void reconciler_types(struct reconciler *c) {
  for (int s = 0; env_keeps(c->env) && s < SLOT__N; s++) c->wanted.refill |= slot_bit(s);
  c->wanted.hints = true;
  c->at = c->env->boot_us;
}

/* Nothing waits any more, or a group whose tasks found no room has run empty. */
static bool has_room_again(const struct env *e, int slot) {
  return (e->dry && e->dry[slot]) || (e->kept ? e->kept[slot] == 0 : env_backlog(e, slot) == 0);
}

void reconciler_emptied(struct reconciler *c) {
  for (int s = 0; s < SLOT__N; s++) {
    if (!c->queue_full[s] || !has_room_again(c->env, s)) continue;
    c->queue_full[s] = false;
    c->wanted.refill |= slot_bit(s);
    c->at = c->env->boot_us;
  }
}

void reconciler_timers(struct reconciler *c) {
  c->wanted.timers = true;
  pass_again(c);
}

void reconciler_flow(struct reconciler *c, int64_t fi) {
  (void)map64_put(&c->wanted.flows, fi, c);
  pass_again(c);
}

/* ---- a row ---- */

/* Adds the event of a row. If the same event waits already, the row is looked at again soon. */
static void row_event(struct reconciler *c, struct ev e) {
  if (later_has(c->later, &e)) c->wanted.soon = true;
  else events_add(c->events, e);
}

/* Nothing waits in any list, as far as this node knows. */
static bool lists_empty(const struct reconciler *c) {
  size_t n = 0;
  for (int s = 0; s < SLOT__N; s++) n += env_backlog(c->env, s);
  return n == 0;
}

/* A hint is sent again when its row is 10, 20, 40 .. s old: a row that only waits for its turn gets few hints, and a lost hint is
 * replaced soon. While the queue is full it refuses hints, so their number is bounded. When all lists are empty, an old QUEUED
 * row must have lost its hint. */
static bool hint_turn(const struct reconciler *c, int64_t age) {
  for (int64_t at = HINT_AGE_US; at <= age; at *= 2)
    if (age - at < c->pass.gap_us) return true;
  return false;
}

static bool hint_due(const struct reconciler *c, int64_t age) {
  return c->pass.hints || (age > HINT_AGE_US && lists_empty(c)) ? age > HINT_AGE_US : hint_turn(c, age);
}

/* Are the timers and hints of that flow made again? */
static bool as_after_a_start(const struct reconciler *c, int64_t fi) {
  return c->pass.kind == PASS_RECOVER || (c->pass.flows.n > 0 && fi != 0 && map64_get(&c->pass.flows, fi));
}

static bool sets_timers(const struct reconciler *c, int64_t fi) { return c->pass.timers || as_after_a_start(c, fi); }

/* The pass is for timers alone: in a single process no hint was lost, and the slices of a large flow are listed or parked. */
static bool timers_only(const struct reconciler *c, int64_t fi) {
  return c->pass.timers && c->env->single && !as_after_a_start(c, fi);
}

/* The spawner of the dead node said that this attempt never began. */
static bool never_started(const struct reconciler *c, const struct live_task *t) {
  for (size_t i = 0; i < c->n_never; i++)
    if (c->never[i].ti == t->ti && c->never[i].epoch == t->epoch) return true;
  return false;
}

/* With own_only the rows of other flows are left as they are, for a node that may run them. */
static bool not_ours(const struct reconciler *c, int64_t fi) { return c->env->own_only && fi != c->env->own_fi; }

/* Another node has written why: this one may not have heard of it. */
static enum task_stop stop_of(const struct live_task *t) {
  const struct task row = {.state = t->state, .phase = t->phase, .end_as = t->end_as};
  return task_stop(&row);
}

static void look_at_attempt(struct reconciler *c, const struct live_task *t) {
  struct ev lost = {.kind = EV_LOST, .fi = t->fi, .ti = t->ti, .epoch = t->epoch, .owner = t->owner};
  const struct env *e = c->env;
  bool owned = t->owner != 0, mine = t->owner == e->me;
  if (owned && !mine && !t->owner_live) {
    lost.handback = never_started(c, t);
    row_event(c, lost);
  }
  if (!mine) return;
  if (admission_epoch(c->admission, t->ti) != t->epoch) {
    row_event(c, lost);
    return;
  }
  (void)map64_del(&c->pass.strays, t->ti);
  if (t->state != TASK_RUNNING && e->ports.cancel) e->ports.cancel(e->ports.ctx, t->ti, t->epoch, stop_of(t));
}

static void look_at_queued(struct reconciler *c, const struct live_task *t) {
  int64_t age = c->env->wall_us - t->update_us;
  if (t->due_us != 0 && t->due_us <= c->env->wall_us) row_event(c, (struct ev){.kind = EV_DUE, .fi = t->fi, .ti = t->ti});
  else if (t->due_us != 0 && sets_timers(c, t->fi)) timers_set(c->timers, t->ti, t->fi, t->due_us);
  if (timers_only(c, t->fi)) return;
  if (!c->office || !(as_after_a_start(c, t->fi) || c->pass.refill || hint_due(c, age))) { c->wanted.soon = true; return; }
  uint8_t from = c->pass.refill ? HINT_REFILL : hint_turn(c, age) ? HINT_RESENT : HINT_RESENT_EARLY;
  row_event(c, (struct ev){.kind = EV_HINT, .fi = t->fi, .ti = t->ti, .from = from, .refill = c->pass.refill});
}

/* It waits for tasks that it added: whoever was to go on with them, or to end it, may be dead. */
static void look_at_parent(struct reconciler *c, const struct live_task *t) {
  bool old = as_after_a_start(c, t->fi) || c->env->wall_us - t->update_us > HINT_AGE_US;
  if (t->phase == PHASE_RUN || !c->office || !old || timers_only(c, t->fi)) return;
  row_event(c, (struct ev){.kind = EV_TREE, .fi = t->fi, .ti = t->ti});
}

static void look_at_task(struct reconciler *c, const struct live_task *t) {
  if (not_ours(c, t->fi)) return;
  switch ((enum task_state)t->state) {
  case TASK_RUNNING: case TASK_PAUSING: case TASK_CANCELING: look_at_attempt(c, t); break;
  case TASK_QUEUED: look_at_queued(c, t); break;
  case TASK_BLOCKED: case TASK_RETRY_WAIT:
    if (t->due_us == 0) break; /* its flow is paused */
    if (t->due_us <= c->env->wall_us) row_event(c, (struct ev){.kind = EV_DUE, .fi = t->fi, .ti = t->ti});
    else if (sets_timers(c, t->fi)) timers_set(c->timers, t->ti, t->fi, t->due_us);
    break;
  case TASK_CREATED: look_at_parent(c, t); break;
  case TASK_NONE: case TASK_PAUSED: case TASK_SUCCESS: case TASK_FAILED:
  case TASK_TIMEOUT: case TASK_CANCELED: case TASK_DEAD: case TASK__N: break;
  }
}

static void look_at_flow(struct reconciler *c, const struct live_flow *f) {
  const struct env *e = c->env;
  if (not_ours(c, f->fi)) return;
  bool old = as_after_a_start(c, f->fi) || f->update_us + HINT_AGE_US < e->wall_us;
  if (f->more && old && c->office && !timers_only(c, f->fi) && (!e->single || cache_get(c->cache, f->fi) == NULL))
    row_event(c, (struct ev){.kind = EV_MORE, .fi = f->fi});
  if (f->due_us == 0) return;
  if (f->due_us <= e->wall_us) row_event(c, (struct ev){.kind = EV_FLOW_TIMEOUT, .fi = f->fi});
  else if (sets_timers(c, f->fi)) timers_set(c->flow_timers, f->fi, f->fi, f->due_us);
}

/* ---- a pass ---- */

/* What the pass has not come to has ended meanwhile, or its task is deleted, by another node that could not kill it. On a
 * single-process store there is no other node. */
static void strays_begin(struct reconciler *c) {
  const struct map64_slot *s;
  map64_done(&c->pass.strays);
  for (size_t i = 0; !c->env->single && (s = map64_next(&c->admission->attempts, &i)) != NULL;)
    (void)map64_put(&c->pass.strays, s->key, s->val);
}

static void strays_end(struct reconciler *c) {
  const struct map64_slot *s;
  for (size_t i = 0; (s = map64_next(&c->pass.strays, &i)) != NULL;) {
    uint32_t epoch = (uint32_t)(uintptr_t)s->val;
    if (admission_epoch(c->admission, s->key) == epoch)
      row_event(c, (struct ev){.kind = EV_STRAY, .ti = s->key, .epoch = epoch, .owner = c->env->me});
  }
  map64_done(&c->pass.strays);
}

static enum rec_state state_after(const struct reconciler *c) {
  if (c->pass.kind == PASS_REFILL) return REC_IDLE;
  if (c->state == REC_TASKS) return REC_FLOWS;
  bool jobs = c->office && !(c->env->single && c->pass.kind != PASS_RECOVER); /* a single process knows its own */
  return c->state == REC_FLOWS && jobs ? REC_JOBS : REC_IDLE;
}

static void pass_next_state(struct reconciler *c) {
  if (c->state == REC_TASKS && c->pass.kind != PASS_REFILL) strays_end(c);
  c->state = state_after(c);
  c->pass.cursor = c->state == REC_JOBS ? INT64_MIN : 0; /* those of trees are negative */
}

static enum store_rc tasks_page(struct reconciler *c) {
  size_t n = 0;
  struct live_task *t = arena_alloc(&c->env->mem, PAGE * sizeof *t);
  enum store_rc rc = store_live_tasks(c->env->store, c->pass.cursor, t, PAGE, &n);
  if (rc != STORE_OK) return rc;
  for (size_t i = 0; i < n; i++) look_at_task(c, &t[i]);
  if (n > 0) c->pass.cursor = t[n - 1].ti;
  else pass_next_state(c);
  return rc;
}

/* Passes of jobs that nobody may be going on with. */
static enum store_rc jobs_page(struct reconciler *c) {
  int64_t *id = arena_alloc(&c->env->mem, PAGE * sizeof *id);
  size_t n = 0;
  enum store_rc rc = store_live_jobs(c->env->store, c->pass.cursor, id, PAGE, &n);
  if (rc != STORE_OK) return rc;
  for (size_t i = 0; i < n; i++) row_event(c, (struct ev){.kind = EV_JOB, .job = id[i]});
  if (n > 0) c->pass.cursor = id[n - 1];
  else pass_next_state(c);
  return rc;
}

static enum store_rc flows_page(struct reconciler *c) {
  size_t n = 0;
  struct live_flow *f = arena_alloc(&c->env->mem, PAGE * sizeof *f);
  enum store_rc rc = store_live_flows(c->env->store, c->pass.cursor, f, PAGE, &n);
  if (rc != STORE_OK) return rc;
  for (size_t i = 0; i < n; i++) look_at_flow(c, &f[i]);
  if (n > 0) c->pass.cursor = f[n - 1].fi;
  else pass_next_state(c);
  return rc;
}

static enum store_rc bury(const struct reconciler *c) {
  uint32_t dead = 0;
  enum store_rc rc = lease_may_bury(c->lease) ? store_reap(c->env->store, &dead) : STORE_OK;
  if (dead > 0) log_warn("runner.reaped", L_INT("nodes", dead));
  return rc;
}

/* What is wanted becomes the pass. A node that begins to hold the office does not know which hints the former holder has sent. */
static void pass_begin(struct reconciler *c) {
  struct pass *p = &c->pass;
  struct wanted *w = &c->wanted;
  bool before = c->office, refilled = p->kind == PASS_REFILL, others = w->flows.n > 0 || w->timers;
  c->office = c->env->own_only || store_reconciler(c->env->store); /* a node with own_only must not hold the office */
  bool refill = w->refill != 0 && p->kind != PASS_RECOVER && (!others || !refilled);
  p->kind = refill ? PASS_REFILL : p->kind == PASS_RECOVER ? PASS_RECOVER : PASS_LOOK;
  p->hints = w->hints || (c->office && !before);
  p->refill = refill ? w->refill : 0;
  p->timers = w->timers && !refill;
  p->gap_us = c->env->boot_us - p->began_us + HINT_AGE_US / 10;
  p->began_us = c->env->boot_us;
  p->cursor = 0;
  map64_done(&p->flows); /* left by a pass that did not end */
  if (!refill) {
    strays_begin(c);
    p->flows = w->flows;
    w->flows = (struct map64)MAP64_INIT;
  }
  if (p->timers) w->timers = false;
  w->hints = w->soon = false;
  w->at_once = refill && others;
  c->state = REC_TASKS;
}

static int64_t pass_every(const struct reconciler *c) {
  int64_t part = c->env->lease_us / RENEW_PART;
  return part < HINT_AGE_US ? part : HINT_AGE_US;
}

static void pass_end(struct reconciler *c) {
  struct wanted *w = &c->wanted;
  int64_t now = c->env->boot_us;
  map64_done(&c->pass.flows);
  w->refill &= (uint8_t)~c->pass.refill;
  c->pass.refill = 0;
  if (c->pass.kind == PASS_RECOVER) c->pass.kind = PASS_LOOK;
  c->at = w->refill || w->at_once ? now : c->env->single ? INT64_MAX : now + pass_every(c);
  if (w->soon && now + HINT_AGE_US < c->at) c->at = now + HINT_AGE_US;
}

/* When the store fails, the pass stays where it is. */
enum store_rc reconciler_turn(struct reconciler *c) {
  if (c->at > c->env->boot_us || c->events->n >= LIMIT_BATCH_ROWS) return STORE_OK;
  if (c->state == REC_IDLE) {
    pass_begin(c);
    enum store_rc rc = bury(c);
    if (rc != STORE_OK) return rc;
  }
  arena_reset(&c->env->mem); /* no batch is under way */
  later_look(c->later);
  enum store_rc rc = STORE_OK;
  if (c->pass.kind == PASS_REFILL && c->pass.refill == 0) pass_next_state(c); /* every queue is full again */
  else if (c->state == REC_TASKS) rc = tasks_page(c);
  else if (c->state == REC_FLOWS) rc = flows_page(c);
  else rc = jobs_page(c);
  if (rc != STORE_OK) return rc;
  if (c->state == REC_IDLE) pass_end(c);
  else c->at = c->env->boot_us;
  return rc;
}
