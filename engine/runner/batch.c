/* One batch: what its events need is read, the events are handled, and what they change is written and committed, all in one
 * transaction. Then what follows from the outcome. The runner thread's.
 *
 *   OK       what may be seen now goes out (after.c)
 *   STALE    another node was faster, or holds a row: the batch is made again; events that need a held row wait (later.c)
 *   RETRY    made again after a pause; when that repeats while renewals succeed, each event is tried alone
 *   BAD      halved until the guilty event stands alone; then that event is set aside (quarantine.c)
 *   UNKNOWN  the store is asked until it says whether the batch was committed (rule 9)
 *   DOWN, NO_SPACE   a pause; requests are refused when the fault lasts
 *   FENCED   this node was declared dead
 *
 * What never happens: an event is lost when its batch does not commit. It stays in `events`. */
#include "defs.h"
#include "runner_int.h"

#define LOAD_LEAST 32                 /* a batch may load this many flows, and stand-alone tasks, however large they seem */
#define RETRY_MAX_US 2000000          /* longest pause while the store is away */
#define ISOLATE_AFTER 3               /* tries of a batch that ended with RETRY, while renewals come through */
#define BEAT_EVENTS 16                /* events after which the watch is told again that the batch goes on */

/* ---- pauses and errors ---- */

static void beat(struct runner *r) { watch_busy(&r->watch, env_now(&r->env)); }

/* Pauses grow. They stay short until the watch says that the fault lasts. */
static void pause_store(struct runner *r) {
  struct pace *p = &r->pace;
  int64_t most = watch_state(&r->watch) == WATCH_WELL ? RETRY_MAX_US / 8 : RETRY_MAX_US;
  p->pause_us = p->pause_us == 0 ? 1000 : p->pause_us * 2 > most ? most : p->pause_us * 2;
  p->again_us = r->env.boot_us + p->pause_us / 2 + (int64_t)env_rnd(&r->env, p->pause_us / 2 + 1);
}

void runner_store_failed(struct runner *r, enum store_rc rc) {
  watch_failed(&r->watch, env_now(&r->env), rc, store_why(r->env.store));
  pause_store(r);
  enum watch_state s = watch_state(&r->watch);
  if (s != WATCH_WELL) answers_refuse(&r->answers, s == WATCH_FULL ? WR_NO_SPACE : WR_DB_UNAVAILABLE);
}

static void drop_late_results(struct events *l) {
  size_t k = 0;
  for (size_t i = 0; i < l->n; i++) {
    if (l->v[i].kind == EV_RESULT) ev_free(&l->v[i]);
    else if (l->v[i].kind != EV_TIMEOUT) l->v[k++] = l->v[i];
  }
  l->n = k;
}

/* Nothing of this incarnation may be written any more: kill all attempts, forget all, and join as a new one. */
void runner_fenced(struct runner *r) {
  struct wr_err err;
  const struct runner_ports *p = &r->env.ports;
  log_error("runner.fenced", L_INT("incarnation", r->env.me));
  if (p->kill_all) p->kill_all(p->ctx);
  cache_drop_flows(&r->cache);
  drop_late_results(&r->events);
  lost_hints_stop(&r->lost);
  admission_reset(&r->admission);
  queues_reset(&r->queues);
  drain_join(&r->drain, &r->info);
  if (lease_join(&r->lease, &r->info, &err) != WR_OK) {
    log_error("runner.join", L_STR("error", err.msg));
    runner_store_failed(r, STORE_DOWN);
    return;
  }
  tell_join(&r->tell);
  reconciler_join(&r->reconciler);
}

/* ---- a batch that did not commit ---- */

static void batch_undo(struct runner *r) {
  store_rollback(r->env.store);
  rows_forget(r);
  effects_clear(&r->step.effects);
  cache_undo(&r->cache);
  wait_over(r, false);
  keys_forget(&r->keys);
  answers_hold(&r->answers);
  alone_keys_forget(&r->alone_keys);
  for (size_t i = 0; i < r->events.taken; i++) r->events.v[i].then = THEN_OVER;
  r->events.taken = 0;
}

/* The batch has committed, or each of its events has been answered. */
static void events_over(struct runner *r) {
  answers_done(&r->answers);
  for (size_t i = 0; i < r->events.taken; i++) {
    struct ev *e = &r->events.v[i];
    if (e->then == THEN_OVER) wait_settle(r, e);
    if (e->then != THEN_OVER) ev_restore(e); /* the failure that stood in for its result was not stored */
    switch ((enum ev_then)e->then) {
    case THEN_LATER: case THEN_AGAIN: later_put(&r->later, e); break;
    case THEN_KEPT: { struct ev kept = *e; quarantine_keep(&r->quarantine, &kept); break; } /* a copy: the list may move */
    case THEN_OVER: ev_free(e); break;
    }
  }
  events_remove(&r->events, r->events.taken);
  r->events.taken = 0;
}

/* One event alone is refused for good. A request is answered with the error. The flow of any other event is set aside. An event
 * of a stand-alone task waits and is tried alone (a hint that comes again is dropped). All other events go on. */
static void set_aside(struct runner *r) {
  struct ev *e = &r->events.v[0];
  if (quarantine_blames(&r->quarantine, e)) {
    ev_stand_in(e, "The database refuses its result.");
    return; /* the event is tried again at once, alone */
  }
  ev_restore(e);
  log_error("runner.quarantined", L_INT("fi", e->fi), L_INT("ti", e->ti), L_INT("event", e->kind),
            L_STR("why", store_why(r->env.store)));
  r->pace.limit = SIZE_MAX;
  bool again = e->kind == EV_HINT && !env_keeps(&r->env); /* some node sends it again */
  if (e->fi == 0 && !e->q && !again) { later_put_alone(&r->later, &r->events); return; }
  r->events.taken = 1;
  if (e->q) req_fail(e->q, WR_QUARANTINED, NULL);
  if (e->fi != 0 && (e->q == NULL || quarantine_has(&r->quarantine, e->fi))) quarantine_put(&r->quarantine, e->fi);
  if (e->fi != 0 && (e->a || e->kind == EV_TIMEOUT)) {
    struct ev kept = *e;
    e->a = NULL;
    quarantine_keep(&r->quarantine, &kept);
  }
  events_over(r);
}

/* How many events the batch takes: up to the first that is tried alone, or the first for which too much would have to be loaded.
 * What a batch has touched stays in memory until the batch ends, and its rows are in memory twice while they are read. */
static size_t events_wanted(const struct runner *r) {
  size_t most = r->events.n < r->pace.limit ? r->events.n : r->pace.limit;
  size_t flows = cache_room(&r->cache, false, LOAD_LEAST), alone = cache_room(&r->cache, true, LOAD_LEAST);
  if (most > LIMIT_BATCH_ROWS) most = LIMIT_BATCH_ROWS;
  int64_t last = 0;
  for (size_t i = 0; i < most; i++) {
    const struct ev *e = &r->events.v[i];
    if (e->wait.alone) return i > 0 ? i : 1;
    bool loads = e->fi == 0 ? loader_reads_alone(&r->loader, e) : e->fi != last && cache_get(&r->cache, e->fi) == NULL;
    last = e->fi;
    if (!loads) continue;
    size_t *room = e->fi != 0 ? &flows : &alone;
    if (*room == 0) return i;
    --*room;
  }
  return most;
}

/* The first event waits, longer each time, up to a second. The others go on. */
static void put_off_briefly(struct runner *r) {
  later_put_briefly(&r->later, &r->events);
  r->pace.limit = SIZE_MAX;
}

/* One of n events needs a row that is locked, and which of them is not known: each is tried alone. */
static void put_apart(struct runner *r, size_t n) {
  if (n > 1) later_put_apart(&r->later, &r->events, n);
  else if (n == 1) put_off_briefly(r);
}

/* The store takes other writes, so it is not away: something in this batch cannot be written now. Each event is then tried alone,
 * and the guilty one waits longer each time. The store has not refused it for good, so its result does not become a failure here
 * (unless it breaks every connection). */
static void isolate(struct runner *r, size_t n) {
  r->pace.n_retry = 0;
  if (n == 0) n = events_wanted(r); /* the batch failed while it read what its events need */
  const struct ev *e = &r->events.v[0];
  if (n > 1) later_put_apart(&r->later, &r->events, n);
  else if (store_lost_streak(r->env.store) > 0) set_aside(r); /* it breaks every connection, so the server will never take it */
  else {
    log_warn("runner.put_off", L_INT("fi", e->fi), L_INT("ti", e->ti), L_INT("event", e->kind),
             L_STR("why", store_why(r->env.store)));
    put_off_briefly(r);
  }
}

/* A server may refuse one batch and accept everything else. After a failure each turn begins with a renewal, which shows whether
 * that is so. A failure of an event that came alone tells nothing about the store. That event waits, and the others go on. */
static void batch_retry(struct runner *r, size_t n) {
  struct pace *p = &r->pace;
  bool rivals = !r->env.single && r->events.n > 0;
  env_count(&r->env.n.retries);
  if (rivals && r->events.v[0].wait.alone && store_lost_streak(r->env.store) == 0) {
    p->n_retry = 0;
    put_off_briefly(r);
    return;
  }
  if (p->n_retry++ == 0) p->retry_us = r->env.boot_us;
  if (rivals && p->n_retry >= ISOLATE_AFTER && r->lease.seen_us > p->retry_us) isolate(r, n);
  runner_store_failed(r, STORE_RETRY);
}

static void batch_failed(struct runner *r, enum store_rc rc) {
  if (rc == STORE_UNKNOWN) {
    r->events.in_doubt = true;
    runner_store_failed(r, rc);
    return;
  }
  size_t n = r->events.taken;
  batch_undo(r);
  if (rc != STORE_BAD && r->events.n > 0) ev_restore(&r->events.v[0]); /* it is not known whether its result can be stored */
  switch (rc) {
  case STORE_STALE:
    env_count(&r->env.n.stale);
    if (!later_put_held(&r->later, &r->events, n, &r->writer.b)) put_apart(r, n);
    break;
  case STORE_BAD:
    if (r->pace.limit == 1 && r->events.n > 0) set_aside(r);
    else r->pace.limit = n > 1 ? n / 2 : 1; /* a single event may have shared its batch with slices */
    break;
  case STORE_NO_SPACE: case STORE_DOWN: runner_store_failed(r, rc); break;
  case STORE_FENCED: runner_fenced(r); break;
  case STORE_OK: case STORE_RETRY: case STORE_UNKNOWN: batch_retry(r, n); break;
  }
}

/* ---- a batch that did ---- */

static void batch_ok(struct runner *r) {
  struct pace *p = &r->pace;
  const struct batch *b = &r->writer.b;
  struct counters *n = &r->env.n;
  p->pause_us = p->again_us = 0;
  p->n_retry = 0;
  /* a bad event was found or is gone */
  if (p->limit != SIZE_MAX) p->limit = p->limit < LIMIT_BATCH_ROWS ? p->limit * 2 : SIZE_MAX;
  bool wrote = b->n_flow + b->n_task + b->n_key + b->n_job + b->n_tree > 0;
  if (wrote) lease_ok(&r->lease); /* else nothing was sent, not even the fence */
  if (wrote) watch_ok(&r->watch, r->env.boot_us);
  after_commit(r);
  wait_over(r, true);
  env_count(&n->batches);
  atomic_fetch_add_explicit(&n->events, r->events.taken, memory_order_relaxed);
  atomic_fetch_add_explicit(&n->rows, b->n_task + b->n_node + b->n_flow, memory_order_relaxed);
  atomic_store_explicit(&n->cached_runs, (uint32_t)r->cache.by_key.n, memory_order_relaxed);
  keys_forget(&r->keys);
  alone_keys_forget(&r->alone_keys);
  events_over(r);
  job_after(r);
  tree_after(r);
}

void batch_resolve(struct runner *r) {
  bool committed = false;
  enum store_rc rc = store_resolve(r->env.store, r->writer.b.id, &committed);
  if (rc != STORE_OK) { runner_store_failed(r, STORE_UNKNOWN); return; }
  env_count(&r->env.n.unknown);
  log_warn("runner.commit_resolved", L_INT("batch", r->writer.b.id), L_INT("committed", committed));
  r->events.in_doubt = false;
  if (committed) { batch_ok(r); return; }
  batch_undo(r);
  if (r->events.n > 0) ev_restore(&r->events.v[0]);
}

/* ---- one batch ---- */

/* Large flows go on, one slice each, while the budget lasts. */
static enum store_rc slices(struct runner *r) {
  enum store_rc rc = STORE_OK;
  for (size_t n = r->cache.slices.n; n > 0 && rc == STORE_OK && stepper_has_budget(&r->step); n--)
    rc = step_slice(&r->step, cache_slice_now(&r->cache));
  return rc;
}

/* When an event changed nothing in a cached run, that was right only if the run's row is still the same. Otherwise a loss or a
 * result that seems late to a stale cache would be dropped for ever. Runs that changed are checked by the write itself. */
static enum store_rc confirm(struct runner *r) {
  size_t n = 0, cap = 0;
  int64_t *fi = NULL;
  for (struct cached *c = cache_newest(&r->cache); c != NULL && c->touched == r->env.batch_no; c = cache_older(&r->cache, c))
    if (c->run->eff == 0 && c->locked != r->env.batch_no) *WR_PUSH(fi, n, cap) = c->run->fi;
  if (n == 0) return STORE_OK;
  struct flow_row *row = arena_zalloc(&r->env.mem, n * sizeof *row);
  uint8_t *got = arena_zalloc(&r->env.mem, n);
  qsort(fi, n, sizeof *fi, wr_by_id);
  enum store_rc rc = store_lock(r->env.store, fi, n, row, got);
  for (size_t i = 0; rc == STORE_OK && i < n; i++)
    if (got[i] != 1 || row[i].version != cache_get(&r->cache, fi[i])->run->version) rc = STORE_STALE;
  free(fi);
  return rc;
}

static enum store_rc batch_write(struct runner *r) {
  bool any;
  enum store_rc rc = r->env.single ? STORE_OK : confirm(r);
  if (rc == STORE_OK) rc = rows_make(r, &any);
  if (rc != STORE_OK) return rc;
  if (!any) { /* nothing changed: refusals, late reports */
    store_rollback(r->env.store);
    return STORE_OK;
  }
  lease_sent(&r->lease);
  if (!answers_send(&r->answers)) return STORE_STALE; /* a client took a request back: the batch is made again, without it */
  beat(r);
  rc = store_write(r->env.store, &r->writer.b);
  if (rc == STORE_OK) beat(r);
  return rc == STORE_OK ? store_commit(r->env.store) : rc;
}

/* A batch that makes tasks says by which version of an executor they run. */
static enum store_rc know_executors(struct runner *r) {
  struct wr_err err;
  return defs_store_rc(defs_added_since(r->env.defs, r->env.defs_version, &err));
}

static enum store_rc batch_make(struct runner *r) {
  struct events *l = &r->events;
  enum store_rc rc = store_begin(r->env.store, &r->env.defs_version);
  size_t most = events_wanted(r);
  if (rc == STORE_OK) rc = know_executors(r);
  if (rc == STORE_OK) rc = wait_begin(r);
  if (rc == STORE_OK) rc = keys_load(&r->keys, l->v, most);
  if (rc == STORE_OK) rc = alone_keys_load(&r->alone_keys, l->v, most);
  if (rc == STORE_OK) rc = load_batch(&r->loader, l, most);
  if (rc == STORE_OK) rc = wait_lock(r, most);
  for (l->taken = 0; rc == STORE_OK && l->taken < most && stepper_has_budget(&r->step); l->taken++) {
    if (l->taken % BEAT_EVENTS == 0) beat(r);
    rc = handle_event(r, &l->v[l->taken]);
  }
  if (rc == STORE_OK && r->pace.limit == SIZE_MAX && (most == 0 || !l->v[0].wait.alone)) rc = slices(r);
  return rc == STORE_OK ? batch_write(r) : rc;
}

void batch_turn(struct runner *r) {
  r->env.batch_no++;
  arena_reset(&r->env.mem);
  loader_begin(&r->loader);
  jobs_begin(&r->jobs);
  trees_begin(&r->trees);
  keys_forget(&r->keys);
  alone_keys_forget(&r->alone_keys);
  stepper_begin(&r->step);
  r->writer.b.n_flow = r->writer.b.n_task = r->writer.b.n_job = r->writer.b.n_tree = 0;
  r->writer.n_former = r->writer.n_whose = 0;
  enum store_rc rc = batch_make(r);
  if (rc == STORE_OK) batch_ok(r);
  else batch_failed(r, rc);
}
