/* The runner: its parts, made and freed; and the turn, which is the whole of its life (runner.h).
 *
 * Order in a turn: results (they free slots), then hints, requests and timers as they came, then the slices of large flows, so
 * that a fan-out of 100,000 never holds up a flow of three nodes. The runner thread's.
 * What never happens: a part calls another that stands above it. */
#include "defs.h"
#include "runner_int.h"

/* The part of --cache-memory that is not for definitions. */
static size_t runs_share(int64_t cache_bytes) {
  return (size_t)(cache_bytes ? cache_bytes : LIMIT_CACHE_BYTES) - defs_share(cache_bytes);
}

static void parts_init(struct runner *r, const struct runner_opts *o) {
  struct env *e = &r->env;
  mailbox_init(&r->mail, o->mailbox ? o->mailbox : LIMIT_MAILBOX);
  watch_init(&r->watch, env_now(e));
  timers_init(&r->timers, o->timers ? o->timers : LIMIT_TIMERS);
  timers_init(&r->flow_timers, r->timers.most);
  admission_init(&r->admission, e, o->slots, o->ahead);
  queues_init(&r->queues, e, &o->queues);
  waiting_init(&r->waiting, &r->queues, o->waiting_bytes ? o->waiting_bytes : LIMIT_WAITING_TASKS_BYTES);
  e->waits = r->queues.open;
  e->kept = r->queues.n;
  e->dry = r->waiting.dry;
  cache_init(&r->cache, e, &r->events, &r->flow_timers, runs_share(o->cache_bytes));
  later_init(&r->later, e);
  keys_init(&r->keys, e);
  alone_keys_init(&r->alone_keys, e);
  lease_init(&r->lease, e, &r->watch);
  drain_init(&r->drain, e, &r->admission);
  reconciler_init(&r->reconciler, &(struct reconciler){.env = e, .events = &r->events, .later = &r->later, .timers = &r->timers,
    .flow_timers = &r->flow_timers, .cache = &r->cache, .admission = &r->admission, .lease = &r->lease,
    .never = o->never, .n_never = o->n_never});
  quarantine_init(&r->quarantine, e, &r->events, &r->later, &r->admission, &r->reconciler);
  lost_hints_init(&r->lost, e, &r->events, &r->later, &r->admission);
  tell_init(&r->tell, e, &r->quarantine, &r->lease, &r->watch);
  jobs_init(&r->jobs, e);
  trees_init(&r->trees, e);
  loader_init(&r->loader, e, &r->cache, &r->quarantine, &r->jobs);
  stepper_init(&r->step, e, &r->cache, &r->loader, &r->jobs, &r->admission, &r->queues, o->seed);
  r->step.trees = &r->trees;
  answers_init(&r->answers, e, &r->mail, &r->watch, &r->events, &r->later, o->request_us ? o->request_us : LIMIT_REQUEST_US);
  r->writer.starts_tail = &r->writer.starts;
  r->pace.limit = SIZE_MAX;
}

enum wr_rc runner_new(const struct runner_opts *o, struct runner **out, struct wr_err *err) {
  struct runner *r = wr_new(struct runner);
  struct env *e = &r->env;
  e->store = o->store;
  e->defs = o->defs;
  e->ports = o->ports;
  e->single = store_single(o->store);
  e->own_only = o->own_only;
  e->max_depth = o->max_depth ? o->max_depth : LIMIT_DEPTH;
  e->lease_us = o->lease_us ? o->lease_us : 60 * 1000000LL;
  e->rnd = o->seed;
  arena_init(&e->mem, 0);
  r->info = o->info;
  r->types = o->defs ? defs_types(o->defs) : 0;
  parts_init(r, o);
  enum wr_rc rc = lease_join(&r->lease, &r->info, err);
  if (rc != WR_OK) { runner_free(r); return rc; }
  tell_join(&r->tell);
  reconciler_join(&r->reconciler);
  *out = r;
  return WR_OK;
}

void runner_free(struct runner *r) {
  if (r == NULL) return;
  answers_end(&r->answers);
  rows_forget(r); /* attempts of a COMMIT that was never resolved */
  free(r->writer.b.flow);
  free(r->writer.b.node);
  free(r->writer.b.task);
  free(r->writer.b.attempt);
  free(r->writer.b.key);
  free(r->writer.b.async);
  free(r->writer.b.job);
  free(r->writer.rates);
  free(r->writer.gone);
  free(r->writer.former);
  free(r->writer.said);
  free(r->writer.whose);
  free(r->writer.trees);
  free(r->writer.notes);
  free(r->writer.unnotes);
  buf_done(&r->writer.text);
  stepper_done(&r->step);
  jobs_done(&r->jobs);
  trees_done(&r->trees);
  tell_done(&r->tell);
  quarantine_done(&r->quarantine);
  reconciler_done(&r->reconciler);
  later_done(&r->later);
  cache_done(&r->cache);
  waiting_done(&r->waiting);
  queues_done(&r->queues);
  admission_done(&r->admission);
  timers_done(&r->timers);
  timers_done(&r->flow_timers);
  events_done(&r->events);
  watch_done(&r->watch);
  mailbox_done(&r->mail);
  arena_done(&r->env.mem);
  free(r);
}

void runner_check(struct runner *r) {
  events_check(&r->events);
  watch_check(&r->watch);
  timers_check(&r->timers);
  timers_check(&r->flow_timers);
  admission_check(&r->admission);
  queues_check(&r->queues);
  waiting_check(&r->waiting);
  cache_check(&r->cache);
  reconciler_check(&r->reconciler);
  quarantine_check(&r->quarantine);
  lost_hints_check(&r->lost);
  mailbox_check(&r->mail);
  later_check(&r->later);
  lease_check(&r->lease);
  drain_check(&r->drain);
  keys_check(&r->keys);
  alone_keys_check(&r->alone_keys);
}

/* ---- what comes into a turn ---- */

static void take_mail(struct runner *r) {
  struct mail m;
  size_t before = r->events.n;
  mailbox_take(&r->mail, &r->events, &m);
  r->env.leaving = m.draining;
  r->env.draining = r->env.leaving || r->env.wished;
  if (m.nudged) reconciler_now(&r->reconciler);
  if (m.nudged || m.wished) drain_now(&r->drain);
  lost_hints_mail(&r->lost, &m.queue);
  r->queues.asked |= m.queue.rows;
  for (size_t i = 0; i < m.n_lent; i++) queues_lend(&r->queues, m.lent[i].ti, m.lent[i].lent);
  free(m.lent);
  if (r->events.n > before) wait_popped(r, before);
}

static void take_timers(struct runner *r) {
  int64_t ti, fi, now = r->env.wall_us;
  while (timers_ring(&r->timers, now, &ti, &fi)) events_add(&r->events, (struct ev){.kind = EV_DUE, .fi = fi, .ti = ti});
  while (timers_ring(&r->flow_timers, now, &fi, &fi)) events_add(&r->events, (struct ev){.kind = EV_FLOW_TIMEOUT, .fi = fi});
  bool tasks = timers_ask(&r->timers, now), flows = timers_ask(&r->flow_timers, now);
  if (tasks || flows) reconciler_timers(&r->reconciler);
}

/* A run that is kept knows its definitions as they were: which version of an executor is current, and whether it runs here. */
static void take_types(struct runner *r) {
  uint64_t now = r->env.defs ? defs_types(r->env.defs) : 0;
  if (now == r->types) return;
  r->types = now;
  cache_forget(&r->cache);
  reconciler_types(&r->reconciler);
}

/* ---- and what comes out ---- */

/* A task waits that may start, although there is capacity: the hints that were picked before it were stale. */
static bool hints_wait(const struct runner *r) {
  uint32_t free[SLOT__N];
  admission_poppable(&r->admission, free);
  for (int s = 0; s < SLOT__N; s++)
    if (free[s] > 0 && !r->queues.loaded && waiting_some(&r->waiting, s)) return true;
  return false;
}

/* There is something for a batch to do. */
static bool batch_waits(const struct runner *r) { return r->events.n > 0 || cache_slices_wait(&r->cache) || r->queues.owes; }

static int64_t earlier(int64_t a, int64_t b) { return a < b ? a : b; }

static int64_t next_wake(struct runner *r) {
  int64_t now = r->env.boot_us, at = INT64_MAX;
  if (r->pace.again_us > now) return r->pace.again_us;
  if (batch_waits(r) || batch_in_doubt(r) || watch_asked(&r->watch)) return now;
  at = earlier(lease_next(&r->lease), reconciler_next(&r->reconciler));
  at = earlier(at, lost_hints_next(&r->lost));
  at = earlier(at, admission_next(&r->admission));
  at = earlier(at, quarantine_next(&r->quarantine));
  at = earlier(at, tell_next(&r->tell));
  at = earlier(at, drain_next(&r->drain));
  at = earlier(at, later_next(&r->later));
  at = earlier(at, wait_next(r));
  int64_t wall = earlier(timers_next(&r->timers), timers_next(&r->flow_timers));
  return wall == INT64_MAX ? at : earlier(at, now + (wall - r->env.wall_us));
}

/* Pollers may pop as many hints as this node can claim. True: a hint waits that can be claimed now. */
static bool offer_capacity(struct runner *r) {
  uint32_t free[SLOT__N];
  const struct runner_ports *p = &r->env.ports;
  admission_turn(&r->admission);
  drain_figures(&r->drain);
  atomic_store_explicit(&r->env.cpu_running, r->queues.cpu_used, memory_order_relaxed);
  reconciler_emptied(&r->reconciler);
  wait_poppable(r, free);
  if (p->free_slots) p->free_slots(p->ctx, free);
  return hints_wait(r);
}

/* ---- the turn ---- */

/* Membership, and the looks at live rows: each a statement or a page, when it is due. */
static enum store_rc housekeeping(struct runner *r) {
  enum store_rc rc = lease_turn(&r->lease);
  if (rc == STORE_OK) rc = drain_turn(&r->drain);
  if (rc == STORE_OK) rc = tell_turn(&r->tell);
  if (rc == STORE_OK) rc = reconciler_turn(&r->reconciler);
  if (rc == STORE_OK) rc = lost_hints_turn(&r->lost);
  if (rc == STORE_OK) rc = wait_look(r);
  return rc;
}

/* The part of a turn that asks the store. */
static int64_t store_turn(struct runner *r) {
  if (batch_in_doubt(r)) {
    batch_resolve(r);
    return next_wake(r);
  }
  take_types(r);
  quarantine_turn(&r->quarantine);
  enum store_rc rc = housekeeping(r);
  if (rc != STORE_OK) {
    if (rc == STORE_FENCED) runner_fenced(r);
    else runner_store_failed(r, rc);
    return next_wake(r);
  }
  later_take(&r->later, &r->events);
  take_timers(r);
  cache_unpark(&r->cache);
  admission_turn(&r->admission);
  wait_give_back(r);
  wait_pull(r);
  if (batch_waits(r)) batch_turn(r);
  bool more = offer_capacity(r);
  ahead_turned(&r->admission.ahead, mailbox_waits(&r->mail));
  int64_t next = next_wake(r);
  return more && r->pace.again_us <= r->env.boot_us ? r->env.boot_us : next;
}

int64_t runner_turn(struct runner *r, int64_t wall_us, int64_t boot_us) {
  ahead_turn(&r->admission.ahead, r->env.boot_us, boot_us);
  lease_clocks(&r->lease, wall_us, boot_us);
  take_mail(r);
  answers_turn(&r->answers);
  if (watch_hurried(&r->watch)) r->pace.again_us = boot_us;
  if (r->pace.again_us > boot_us) return r->pace.again_us;
  watch_busy(&r->watch, boot_us);
  int64_t next = store_turn(r);
  watch_idle(&r->watch);
#ifdef WEIR_CHECK
  runner_check(r);
#endif
  return next;
}
