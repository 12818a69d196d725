/* Cached runs: cache.h. */
#include "cache.h"
#include "defs.h"

static size_t params_bytes(const struct params *p) { return p ? sizeof *p + strlen(p->text) + 1 : 0; }

/* An inline task's definition is nobody else's. */
static size_t own_def_bytes(const struct task_def *t) {
  if (t == NULL || t->task_id != 0) return 0;
  const char *const text[] = {t->name, t->type, t->content, t->config};
  size_t n = sizeof *t;
  for (size_t i = 0; i < sizeof text / sizeof *text; i++) n += text[i] ? strlen(text[i]) + 1 + sizeof(size_t) : 0;
  return n;
}

/* Counts the whole entry, although pages of nodes that have not begun take no memory yet. */
static size_t bytes_of(const struct cached *e) {
  const struct dag *d = e->run->dag;
  return sizeof *e + sizeof *e->run + (run_alone(e->run) ? 32 : 256) + (d->n + 1u) * sizeof *e->run->node +
         (d->n_task + 1u) * sizeof *e->run->task + (e->run->cap_task > d->n_task ? e->run->cap_task : 0) * sizeof *e->run->task +
         params_bytes(e->params) + (e->alone ? alone_bytes(e->alone) : 0) + own_def_bytes(e->task) +
         whose_bytes(e->whose);
}

void cache_init(struct cache *c, struct env *env, struct events *events, struct timers *flow_timers, size_t most_bytes) {
  *c = (struct cache){.env = env, .events = events, .flow_timers = flow_timers, .one = dag_one()};
  budget_init(&c->flows, most_bytes);
  budget_init(&c->alone, most_bytes);
}

static struct budget *budget_of(struct cache *c, const struct cached *e) { return run_alone(e->run) ? &c->alone : &c->flows; }
static struct cached *of_item(struct budget_item *it) { return (struct cached *)(void *)it; }

static void free_entry(struct cached *e) {
  run_free(e->run);
  def_flow_unref(e->flow);
  def_task_unref(e->task);
  params_unref(e->params);
  alone_free(e->alone);
  free(e->own);
  whose_free(e->whose);
  free(e);
}

void cache_done(struct cache *c) {
  const struct map64_slot *s;
  for (size_t i = 0; (s = map64_next(&c->by_key, &i)) != NULL;) free_entry(s->val);
  map64_done(&c->by_key);
  free(c->slices.v);
  map64_done(&c->parked);
  dag_unref(c->one);
}

void cache_check(const struct cache *c) {
  const struct map64_slot *s;
  size_t flows = 0, alone = 0, sliced = 0;
  for (size_t i = 0; (s = map64_next(&c->by_key, &i)) != NULL;) {
    const struct cached *e = s->val;
    bool lone = run_alone(e->run);
    wr_assert(cached_key(e) == s->key && (e->task != NULL) == lone && (e->alone != NULL) == lone && (e->flow != NULL) != lone);
    *(run_alone(e->run) ? &alone : &flows) += e->used.bytes;
    sliced += e->in_slices;
    wr_assert(c->parked.n == 0 || !map64_get(&c->parked, s->key));
  }
  wr_assert(flows == c->flows.bytes && alone == c->alone.bytes && sliced == c->slices.n);
  budget_check(&c->flows);
  budget_check(&c->alone);
}

struct cached *cache_get(const struct cache *c, int64_t key) { return map64_get(&c->by_key, key); }

void cache_touch(struct cache *c, struct cached *e) {
  e->touched = c->env->batch_no;
  budget_use(budget_of(c, e), &e->used);
}

struct cached *cache_use(struct cache *c, int64_t key) {
  struct cached *e = cache_get(c, key);
  if (e && e->touched != c->env->batch_no) cache_touch(c, e);
  return e;
}

static struct cached *cache_add(struct cache *c, struct run *run, struct params *params, struct task_def *task,
                                struct alone *alone) {
  struct cached *e = wr_new(struct cached);
  e->run = run;
  e->task = task;
  e->alone = alone;
  e->params = params;
  e->touched = c->env->batch_no;
  (void)map64_put(&c->by_key, cached_key(e), e);
  budget_add(budget_of(c, e), &e->used, bytes_of(e));
  return e;
}

static struct queue_view queue_of(const struct cached *c, uint32_t task) {
  struct queue_view of = {"", "", 0, 0, NULL};
  const struct task_bind *b = c->run->bind;
  if (c->alone && c->run->task[0].t.phase == PHASE_DELETE) return (struct queue_view){QUEUE_CLEAN_UP, "", 0, c->alone->cpu, NULL};
  if (c->alone) return (struct queue_view){c->alone->user, c->alone->group, c->alone->priority, c->alone->cpu, c->bind.pol->type};
  if (b) b += run_pattern(c->run, task);
  if (c->whose != NULL || (b && b->queue)) of = whose_view(c->whose, run_ti(c->run, task), b ? b->queue : NULL);
  of.type = b ? b->pol->type : NULL;
  return of;
}

struct queue_view cached_queue(const struct cached *c, uint32_t task) {
  struct queue_view of = queue_of(c, task);
  if (c->run->task[task].t.phase == PHASE_ANALYSE) return (struct queue_view){QUEUE_CLEAN_UP, of.user, 0, 0, NULL};
  return of;
}

struct queue_view cached_queue_as(const struct cached *c, uint32_t task, const struct task_policy *pol) {
  struct queue_view of = cached_queue(c, task);
  if (*of.user != *QUEUE_CLEAN_UP) of.type = pol->type;
  return of;
}

void cache_grew(struct cache *c, struct cached *e) { budget_grow(budget_of(c, e), &e->used, bytes_of(e) - e->used.bytes); }

struct cached *cache_add_flow(struct cache *c, struct run *run, struct flow_def *def, struct params *params) {
  struct cached *e = cache_add(c, run, params, NULL, NULL);
  e->flow = def;
  if (c->parked.n > 0) (void)map64_del(&c->parked, run->fi); /* it is in memory again, and goes on by itself */
  if (run->due_us != 0) timers_set(c->flow_timers, run->fi, run->fi, run->due_us);
  return e;
}

struct cached *cache_add_alone(struct cache *c, struct run *run, struct task_def *def, struct params *params,
                               struct alone *alone) {
  struct cached *e = cache_add(c, run, params, def, alone);
  e->bind = (struct task_bind){&def->policy, def->version, NULL,
                                c->env->defs ? (uint32_t)defs_added_now(c->env->defs, def) : 0};
  run->bind = &e->bind;
  return e;
}

static struct task_policy *own_policy(struct cached *c) {
  if (!c->own) {
    c->own = wr_new(struct task_policy);
    *c->own = c->task->policy;
    c->bind.pol = c->own;
  }
  return c->own;
}

void cached_of_job(struct cached *c) {
  if (c->alone->job <= 0 || c->task->has_attempts || c->task->task_id == 0) return;
  own_policy(c)->attempts = LIMIT_JOB_ATTEMPTS;
}

void cached_in_slot(struct cached *c, uint8_t slot) {
  if (slot != c->bind.pol->slot) own_policy(c)->slot = slot;
}

static void slice_forget(struct cache *c, struct cached *e) {
  size_t k = 0;
  for (size_t i = 0; i < c->slices.n; i++)
    if (c->slices.v[i] != e) c->slices.v[k++] = c->slices.v[i];
  c->slices.n = k;
  e->in_slices = false;
}

void cache_drop(struct cache *c, struct cached *e) {
  if (e->in_slices) {
    slice_forget(c, e);
    events_add(c->events, (struct ev){.kind = EV_MORE, .fi = e->run->fi}); /* loads the flow again */
  }
  /* a flow that was never stored; the timer of any other flow stays, cached or not */
  if (!run_alone(e->run) && !e->run->row) timers_stop(c->flow_timers, e->run->fi);
  (void)map64_del(&c->by_key, cached_key(e));
  budget_remove(budget_of(c, e), &e->used);
  free_entry(e);
}

static struct cached *newest_of(const struct budget *b) { return b->ends.older == &b->ends ? NULL : of_item(b->ends.older); }
static struct cached *older_of(const struct budget *b, const struct cached *e) {
  return e->used.older == &b->ends ? NULL : of_item(e->used.older);
}

void cache_drop_flows(struct cache *c) {
  for (struct cached *e; (e = cache_newest(c)) != NULL;) cache_drop(c, e);
  for (struct cached *e = newest_of(&c->alone), *next; e != NULL; e = next) {
    next = older_of(&c->alone, e);
    if (cached_kept(e)) cache_drop(c, e); /* it runs here no more */
  }
}

void cache_forget(struct cache *c) {
  for (struct cached *e; (e = newest_of(&c->flows)) != NULL;) cache_drop(c, e);
  for (struct cached *e; (e = newest_of(&c->alone)) != NULL;) cache_drop(c, e);
}

/* ---- the end of a batch ---- */

struct cached *cache_newest(const struct cache *c) { return newest_of(&c->flows); }
struct cached *cache_older(const struct cache *c, const struct cached *e) { return older_of(&c->flows, e); }

static void undo_kind(struct cache *c, const struct budget *b) {
  for (struct cached *e = newest_of(b), *next; e != NULL && e->touched == c->env->batch_no; e = next) {
    next = older_of(b, e);
    if (e->sliced == c->env->batch_no && !e->in_slices) events_add(c->events, (struct ev){.kind = EV_MORE, .fi = e->run->fi});
    cache_drop(c, e);
  }
}

void cache_undo(struct cache *c) {
  undo_kind(c, &c->alone);
  undo_kind(c, &c->flows);
}

/* The row of a parked flow says how far the flow has come. */
static void park(struct cache *c, struct cached *e) {
  slice_forget(c, e);
  (void)map64_put(&c->parked, e->run->fi, c);
}

static bool cache_over(const struct cache *c) { return c->flows.bytes + c->alone.bytes > c->flows.most; }

/* Drops the oldest entries first and those of the batch last, because a batch may touch more than the cache may hold. Stand-alone
 * tasks never keep more than an eighth: a million that only wait need no memory, and one is read again at the price of a look at
 * its row. Two flows always stay, however large they are: the flow that was used last, and the flow whose slice is next. */
static void evict(struct cache *c) {
  size_t share = c->flows.most / 8; /* of stand-alone tasks */
  for (struct budget_item *it = budget_oldest(&c->alone), *next; it && c->alone.bytes > share; it = next) {
    next = budget_newer(&c->alone, it);
    cache_drop(c, of_item(it));
  }
  for (struct budget_item *it = budget_oldest(&c->flows), *next; it != NULL && cache_over(c); it = next) {
    struct cached *e = of_item(it);
    next = budget_newer(&c->flows, it);
    if (e == cache_newest(c) || (c->slices.n > 0 && e == c->slices.v[0])) continue;
    if (e->in_slices) park(c, e);
    cache_drop(c, e);
  }
}

/* Of a stand-alone task: does it stay beyond its batch? */
static bool stays(const struct cache *c, struct cached *e) {
  const struct task *t = &e->run->task[0].t;
  if (e->alone->gone || flow_final((enum flow_state)e->run->state)) return false;
  if (c->env->single) return true;
  e->alone->write = ALONE_KEPT;
  return t->state == TASK_RUNNING && t->owner == c->env->me;
}

void cache_committed(struct cache *c) {
  for (struct cached *e = newest_of(&c->alone), *next; e != NULL && e->touched == c->env->batch_no; e = next) {
    next = older_of(&c->alone, e);
    e->stored_epoch = e->run->task[0].t.epoch;
    e->stored_state = e->run->task[0].t.state;
    e->stored_wished = task_wished(&e->run->task[0].t);
    alone_stored(e->alone);
    if (!stays(c, e)) cache_drop(c, e);
  }
  evict(c);
}

/* ---- slices ---- */

void cache_slice_later(struct cache *c, struct cached *e) {
  if (e->in_slices) return;
  e->in_slices = true;
  *WR_PUSH(c->slices.v, c->slices.n, c->slices.cap) = e;
}

struct cached *cache_slice_now(struct cache *c) {
  struct cached *e = c->slices.v[0];
  memmove(c->slices.v, c->slices.v + 1, --c->slices.n * sizeof *c->slices.v);
  e->in_slices = false;
  e->sliced = c->env->batch_no;
  return e;
}

void cache_unpark(struct cache *c) {
  size_t i = 0;
  if (c->parked.n == 0 || c->slices.n > 0) return;
  int64_t fi = map64_next(&c->parked, &i)->key;
  (void)map64_del(&c->parked, fi);
  events_add(c->events, (struct ev){.kind = EV_MORE, .fi = fi});
}
