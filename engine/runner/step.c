/* Events are applied to runs: step.h. */
#include "step.h"
#include "defs.h"

void stepper_init(struct stepper *s, struct env *env, struct cache *cache, struct loader *loader, struct jobs *jobs,
                  struct admission *admission, struct queues *queues, uint64_t seed) {
  *s = (struct stepper){.env = env, .cache = cache, .loader = loader, .admission = admission, .queues = queues, .jobs = jobs,
                        .ctx.rnd = seed};
  s->ctx.out = &s->effects;
}

void stepper_done(struct stepper *s) {
  effects_done(&s->effects);
  free(s->ctx.need);
}

void stepper_begin(struct stepper *s) {
  s->ctx.me = s->env->me;
  s->ctx.budget = LIMIT_BATCH_ROWS;
}

static enum store_rc feed(struct stepper *s, struct cached *c) {
  enum store_rc rc = load_nodes(s->loader, c, s->ctx.need, s->ctx.n_need);
  s->ctx.n_need = 0;
  return rc;
}

static enum store_rc bind(struct stepper *s, struct cached *c) {
  struct wr_err err;
  if (run_alone(c->run)) return STORE_OK; /* bound to its version when it was made or read */
  enum wr_rc rc = defs_bind(s->env->defs, c->flow, s->env->defs_version, &c->run->bind, &err);
  if (rc == WR_OK) return STORE_OK;
  enum store_rc got = defs_store_rc(rc);
  if (got == STORE_BAD) log_warn("runner.bind", L_INT("fi", c->run->fi), L_STR("error", err.msg));
  return got;
}

/* Tells a growing node how many tasks it has, and gives them ids of their own. */
static enum store_rc widen(struct stepper *s, struct cached *c) {
  const struct runner_ports *p = &s->env->ports;
  uint32_t n = p->width ? p->width(p->ctx, c->run, s->ctx.widen) : 0;
  int64_t ti = 0;
  enum store_rc rc = n > 0 && n <= LIMIT_WIDTH ? store_ids(s->env->store, ID_TI, n, &ti) : STORE_OK;
  if (rc != STORE_OK) return rc;
  run_widen(c->run, &s->ctx, n, ti);
  cache_grew(s->cache, c);
  return rc;
}

static enum store_rc drain(struct stepper *s, struct cached *c) {
  for (;;) {
    s->ctx.now_us = s->env->wall_us;
    enum run_rc rc = run_drain(c->run, &s->ctx);
    if (rc == RUN_MORE) { cache_slice_later(s->cache, c); return STORE_OK; }
    if (rc != RUN_NEED && rc != RUN_WIDEN) return STORE_OK;
    enum store_rc got = rc == RUN_NEED ? feed(s, c) : widen(s, c);
    if (got != STORE_OK) return got;
  }
}

/* The policy of a task instance whose definition, or whose executor, was changed after the instance was made: the instance keeps
 * its version, and so its class of slots. *out is not set when its versions are those bound now, or when nothing is known of the
 * instance yet. */
static enum store_rc pinned(struct stepper *s, const struct cached *c, uint32_t task, struct task_policy *own,
                            const struct task_policy **out) {
  if (run_alone(c->run)) return STORE_OK;
  uint32_t pattern = run_pattern(c->run, task);
  const struct task_ref *ref = &c->flow->ref[pattern];
  const struct task *t = &c->run->task[task].t;
  const struct task_bind *b = &c->run->bind[pattern];
  uint32_t executor = c->run->task[task].executor;
  struct task_def *def;
  struct wr_err err;
  bool other = !ref->inl && t->version != b->version, former = executor != 0 && executor != b->executor;
  if (t->state == TASK_NONE || (!other && !former)) return STORE_OK;
  enum wr_rc got = other ? defs_task(s->env->defs, ref->task_id, t->version, s->env->defs_version, &def, &err) : WR_OK;
  enum store_rc rc = defs_store_rc(got);
  if (rc != STORE_OK) return rc;
  *own = other ? def_policy(ref, def) : *b->pol;
  *out = own;
  if (executor != 0 && own->type) rc = defs_store_rc(defs_slot(s->env->defs, own->type, executor, &own->slot, &err));
  if (other) def_task_unref(def);
  return rc;
}

/* The task is ANALYZING. An analyzer that this node cannot call (a program that it lacks, or may not start) is left to a member
 * that can. What cannot be found out is claimed: the call says what is wrong. */
static bool can_call(const struct stepper *s, const struct cached *c, uint32_t task) {
  struct defs *d = s->env->defs;
  const struct task *t = &c->run->task[task].t;
  const struct task_ref *ref = run_alone(c->run) ? NULL : &c->flow->ref[run_pattern(c->run, task)];
  struct task_def *own = NULL;
  const struct task_def *def = ref ? ref->inl : c->task;
  struct wr_err err;
  if (!d) return true;
  if (!def && ref && defs_task(d, ref->task_id, t->version, s->env->defs_version, &own, &err) == WR_OK) def = own;
  bool can = !def || defs_analyzer_here(d, defs_analyzer_of(d, def, c->run->task[task].executor));
  def_task_unref(own);
  return can;
}

/* Of a task of a job that is paused or ends: nothing starts but clean-ups. */
bool step_held(const struct stepper *s, const struct cached *c) {
  const struct job_head *h = c->alone && c->alone->job != 0 ? jobs_head(s->jobs, c->alone->job) : NULL;
  if (!h || c->run->task[0].t.phase == PHASE_DELETE) return false;
  if (h->flow_held || h->flow_paused) return true;
  const struct cached *flow = h->fi != 0 ? cache_get(s->cache, h->fi) : NULL;
  if (flow && flow->run->eff != 0 && flow->run->state == FLOW_PAUSED) return true; /* this very batch pauses it */
  return jobs_hold(h) && c->run->task[0].t.phase == PHASE_RUN;
}

static bool may_take(const struct stepper *s, const struct cached *c, const struct eff_after *f) {
  if (step_held(s, c)) return false;
  if (admission_ask(s->admission, f->pol, false) != ADMIT_NOW) return false;
  if (c->run->task[f->task].t.phase == PHASE_ANALYSE && !can_call(s, c, f->task)) return false;
  struct queue_view of = cached_queue_as(c, f->task, f->pol);
  if (!queues_counts(s->queues, &of)) return s->queues->opts.n_serves == 0 || queues_serves(s->queues, of.user, of.group);
  return queues_serves(s->queues, of.user, of.group) && queues_home(s->queues, &of, run_ti(f->r, f->task));
}

/* The tasks that this step made ready, after[from..], find capacity or go to the queue, in the order in which they became
 * ready. */
static void admit_ready(struct stepper *s, const struct cached *c, size_t from) {
  for (size_t i = from; i < s->effects.n_after; i++) {
    const struct eff_after *f = &s->effects.after[i];
    if (f->kind == AFTER_START) admission_take(s->admission, f->pol); /* its hint has claimed it */
    if (f->kind != AFTER_READY) continue;
    if (!may_take(s, c, f)) run_leave(&s->ctx, i);
    else if (run_take(&s->ctx, i)) admission_take(s->admission, f->pol);
  }
}

/* This batch deletes the task: for every event that follows it does not exist. The lock of the tree that it was the first of goes
 * with it. */
static void note_gone(const struct stepper *s, struct cached *c) {
  uint32_t eff = c->run->task[0].eff;
  int64_t ti = run_ti(c->run, 0);
  if (eff == 0 || !s->effects.task[eff - 1].gone) return;
  c->alone->gone = true;
  if (s->trees) trees_gone(s->trees, ti);
  struct job_head *h = c->alone->job == 0 ? jobs_head(s->jobs, -ti) : NULL;
  if (h && h->got == 1) h->gone = h->changed = true;
}

/* The head of its job is locked: whoever loads the task sees to that. */
static void note_job(const struct stepper *s, const struct cached *c, const struct run_event *ev, const struct task *was,
                     enum run_rc out) {
  struct job_head *h = jobs_head(s->jobs, c->alone->job);
  const struct task *now = &c->run->task[0].t;
  bool event = ev->kind == RUN_EV_TASK && out == RUN_OK && was->phase == PHASE_RUN;
  wr_assert(h && h->got == 1);
  if (now->state == was->state && c->run->task[0].eff == 0) return; /* nothing of it changes */
  if (h->row.update_us < c->run->last_us) h->row.update_us = c->run->last_us;
  jobs_moved(h, &(struct job_step){.was = was, .now = now, .gone = c->alone->gone,
    .lost = event && ev->ev.kind == TASK_EV_LOST,
    .handed_back = event && was->state == TASK_RUNNING && now->phase == PHASE_RUN && !task_final(now->state) &&
      task_attempt_why(was, ev->ev.kind) == TASK_EV_HANDBACK,
    .timed_out = event && ev->ev.kind == TASK_EV_TIMEOUT && now->state == TASK_CANCELING && was->state != TASK_CANCELING});
}

/* Its parent was run again, and has named none of those that it had added: they were made before this run of it began. */
static enum store_rc of_former_run(const struct stepper *s, const struct cached *c, bool *former) {
  struct task_row row;
  size_t got = 0;
  int64_t ti = c->alone->parent;
  const struct cached *p = cache_get(s->cache, run_key(0, ti));
  enum store_rc rc = p ? STORE_OK : store_tasks(s->env->store, &ti, 1, &row, &got);
  int64_t since = p ? p->run->task[0].t.start_us : got == 1 ? row.t.start_us : 0;
  *former = rc == STORE_OK && c->run->create_us < since;
  return rc;
}

static bool failed(const struct task *t) { return task_final(t->state) && t->state != TASK_SUCCESS; }

/* What it is counts for the task that added it. The last of a tree that is deleted lets the first one go. */
static enum store_rc note_parent(const struct stepper *s, const struct cached *c, const struct task *was) {
  const struct task *now = &c->run->task[0].t;
  struct tree_slot *of;
  if (now->state == was->state && c->run->task[0].eff == 0) return STORE_OK;
  enum store_rc rc = trees_of(s->trees, c->alone->parent, &of);
  bool former = false;
  if (rc == STORE_OK && of->row.ignore & TREE_FORMER && failed(was) != failed(now)) rc = of_former_run(s, c, &former);
  if (rc != STORE_OK) return rc;
  trees_moved(s->trees, of, was, now, c->alone->gone, !former);
  const struct job_head *h = c->alone->gone && c->alone->job < 0 ? jobs_head(s->jobs, c->alone->job) : NULL;
  if (!h || job_total(&h->row.j) > 0) return STORE_OK;
  rc = trees_of(s->trees, -c->alone->job, &of);
  if (rc == STORE_OK) trees_settle(s->trees, of);
  return rc;
}

/* Of a job that is deleted without clean-ups: *pol (NULL: the one bound) as that of a type that has none. */
static void without_clean_up(const struct stepper *s, const struct cached *c, struct task_policy *bare,
                             const struct task_policy **pol) {
  const struct job_head *h = jobs_head(s->jobs, c->alone->job);
  if (!h || !jobs_no_clean_up(h)) return;
  *bare = *pol ? **pol : *c->bind.pol;
  bare->cleans_up = 0;
  *pol = bare;
}

enum store_rc step_event(struct stepper *s, struct cached *c, const struct run_event *ev, enum run_rc *out) {
  struct run_event e = *ev;
  struct task_policy own, bare;
  size_t from = s->effects.n_after;
  bool of_job = c->alone && c->alone->job != 0;
  struct task was = of_job ? c->run->task[0].t : (struct task){0};
  enum store_rc rc = bind(s, c);
  if (rc != STORE_OK) return rc;
  cache_touch(s->cache, c);
  for (*out = RUN_NEED; rc == STORE_OK && *out == RUN_NEED;) {
    if ((ev->kind == RUN_EV_TASK || ev->kind == RUN_EV_ASK) && ev->pol == NULL) rc = pinned(s, c, ev->task, &own, &e.pol);
    if (rc != STORE_OK) break;
    if (of_job) without_clean_up(s, c, &bare, &e.pol);
    s->ctx.now_us = s->env->wall_us;
    *out = run_step(c->run, &e, &s->ctx);
    if (*out == RUN_NEED) rc = feed(s, c);
  }
  if (rc == STORE_OK && *out == RUN_OK) rc = drain(s, c);
  if (rc == STORE_OK) admit_ready(s, c, from);
  if (rc == STORE_OK && run_alone(c->run)) note_gone(s, c);
  if (rc == STORE_OK && of_job) note_job(s, c, ev, &was, *out);
  return rc == STORE_OK && of_job && c->alone->parent != 0 ? note_parent(s, c, &was) : rc;
}

enum store_rc step_slice(struct stepper *s, struct cached *c) {
  size_t from = s->effects.n_after;
  cache_touch(s->cache, c); /* first: what is undone looks for slices among what was touched */
  enum store_rc rc = bind(s, c);
  if (rc == STORE_OK) rc = drain(s, c);
  if (rc == STORE_OK) admit_ready(s, c, from);
  return rc;
}

enum store_rc step_policy(struct stepper *s, struct cached *c, uint32_t task, struct task_policy *own,
                          const struct task_policy **out) {
  uint32_t node = run_node_of(c->run, task);
  enum store_rc rc = bind(s, c);
  if (rc != STORE_OK) return rc;
  const struct task_policy *now = c->run->bind[run_pattern(c->run, task)].pol;
  *out = NULL;
  bool room = s->admission->pool[now->slot].free > 0 || (now->calls > 0 && s->admission->pool[SLOT_ANALYSIS].free > 0);
  if (room && !run_known(c->run, node)) rc = load_nodes(s->loader, c, &node, 1);
  bool analysed = rc == STORE_OK && c->run->task[task].t.phase == PHASE_ANALYSE;
  if (analysed) {
    *own = task_policy_analysis;
    own->elsewhere = !can_call(s, c, task);
    *out = own;
  } else if (rc == STORE_OK) rc = pinned(s, c, task, own, out);
  if (*out == NULL) *out = now;
  return rc;
}

enum store_rc step_blame_kept(struct stepper *s, struct cached *c) {
  uint32_t node = run_kept_failure(c->run);
  struct node_row row;
  size_t got = 0;
  if (node == UINT32_MAX) return STORE_OK;
  int64_t ni = run_ni(c->run, node);
  enum store_rc rc = store_nodes(s->env->store, &ni, 1, &row, &got);
  if (rc == STORE_OK) run_blame(c->run, &s->ctx, node, got == 1 && row.error ? arena_strdup(&s->env->mem, row.error) : "Failed.");
  return rc;
}
