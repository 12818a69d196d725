/* The runner's outside: its mailbox, and the turn that takes what waits and makes one batch of it (runner.h).
 *
 * Threads: runner_post*(), runner_drain(), runner_stats(): any, under mu. All else: the runner thread.
 * Order in a turn: results (they free slots), then hints, requests and timers as they came, then the unfinished rest of
 * large flows, so that a fan-out of 100,000 never holds up a flow of three nodes.
 * What never happens: mu is held over I/O, or an event is lost when its batch does not commit: it stays in ev[]. */
#include <stdlib.h>
#include <string.h>
#include "cond.h"
#include "runner_int.h"

enum wr_rc runner_new(const struct runner_opts *o, struct runner **out, struct wr_err *err) {
  struct runner *r = wr_new(struct runner);
  r->o = *o;
  if (r->o.lease_us == 0) r->o.lease_us = 60 * 1000000LL;
  if (r->o.request_us == 0) r->o.request_us = LIMIT_REQUEST_US;
  ledger_init(&r->reqs, o->mailbox ? o->mailbox : LIMIT_MAILBOX);
  r->s = o->store;
  r->single = store_single(o->store);
  r->c.rnd = o->seed;
  r->c.out = &r->eff;
  r->limit = SIZE_MAX;
  ahead_init(r);
  ask_init(r);
  timers_init(&r->timers, o->timers ? o->timers : LIMIT_TIMERS);
  timers_init(&r->flow_timers, r->timers.most);
  budget_init(&r->cache, RUNS_SHARE((size_t)(o->cache_bytes ? o->cache_bytes : LIMIT_CACHE_BYTES)));
  budget_init(&r->lone, r->cache.most);
  r->res_tail = &r->res_head;
  arena_init(&r->mem, 0);
  pthread_mutex_init(&r->mu, NULL);
  cond_mono(&r->wake);
  watch_init(&r->watch, runner_now(r));
  enum wr_rc rc = lease_join(r, err);
  if (rc != WR_OK) { runner_free(r); return rc; }
  *out = r;
  return WR_OK;
}

static void free_lists(struct runner *r) {
  const struct map64_slot *s;
  for (struct live *l; (l = live_newest(r)) != NULL;) live_drop(r, l);
  for (size_t i = 0; (s = map64_next(&r->solos, &i)) != NULL;) solo_free(s->val);
  for (struct attempt *next; r->starts != NULL; r->starts = next) { /* of a COMMIT that was never resolved */
    next = r->starts->next;
    attempt_free(r->starts);
  }
  for (size_t i = 0; i < r->n_ev; i++) result_forget(&r->ev[i]), attempt_free(r->ev[i].a);
  for (size_t i = 0; i < r->n_later; i++) attempt_free(r->later[i].a);
  while (r->res_head != NULL) {
    struct attempt *a = r->res_head;
    r->res_head = a->next;
    attempt_free(a);
  }
}

void runner_free(struct runner *r) {
  if (r == NULL) return;
  reqs_end(r);
  free_lists(r);
  map64_done(&r->runs);
  map64_done(&r->solos);
  map64_done(&r->inflight);
  map64_done(&r->anew);
  map64_done(&r->anew_next);
  aside_done(r);
  tell_done(r);
  timers_done(&r->timers);
  timers_done(&r->flow_timers);
  effects_done(&r->eff);
  free(r->c.need);
  free(r->ev);
  free(r->later);
  free(r->box);
  free(r->more);
  free(r->parked);
  free(r->dirty);
  free(r->b.flow);
  free(r->b.node);
  free(r->b.task);
  free(r->b.attempt);
  free(r->b.key);
  arena_done(&r->mem);
  watch_done(&r->watch);
  pthread_cond_destroy(&r->wake);
  pthread_mutex_destroy(&r->mu);
  free(r);
}

int64_t runner_incarnation(const struct runner *r) { return r->me; }

/* ---- mailbox: any thread ---- */

void mail_posted(struct runner *r) {
  if (r->posted) return;
  r->posted = true;
  pthread_cond_signal(&r->wake);
}

void runner_post_results(struct runner *r, struct attempt *list) {
  if (list == NULL) return;
  struct attempt *last = list;
  while (last->next != NULL) last = last->next;
  pthread_mutex_lock(&r->mu);
  *r->res_tail = list;
  r->res_tail = &last->next;
  mail_posted(r);
  pthread_mutex_unlock(&r->mu);
}

static void box_add(struct runner *r, const struct ev *e, size_t n) {
  pthread_mutex_lock(&r->mu);
  for (size_t i = 0; i < n; i++) *WR_PUSH(r->box, r->n_box, r->cap_box) = e[i];
  mail_posted(r);
  pthread_mutex_unlock(&r->mu);
}

void runner_post_timeout(struct runner *r, int64_t fi, int64_t ti, uint32_t epoch) {
  box_add(r, &(struct ev){.kind = EV_TIMEOUT, .fi = fi, .ti = ti, .epoch = epoch, .owner = r->me}, 1);
}

void runner_post_hints(struct runner *r, const struct hint *h, size_t n) {
  for (size_t i = 0; i < n; i++) {
    struct ev e = {.kind = EV_HINT, .fi = h[i].fi, .ti = h[i].ti};
    if (h[i].ti == 0) runner_nudge(r);
    else box_add(r, &e, 1);
  }
}

void runner_drain(struct runner *r) {
  pthread_mutex_lock(&r->mu);
  r->draining = true;
  mail_posted(r);
  pthread_mutex_unlock(&r->mu);
}

void runner_nudge(struct runner *r) {
  pthread_mutex_lock(&r->mu);
  r->nudged = true;
  mail_posted(r);
  pthread_mutex_unlock(&r->mu);
}

void runner_hold(struct runner *r, enum slot_class s, int64_t boot_us) {
  pthread_mutex_lock(&r->mu);
  atomic_store(&r->hold_until[s], boot_us);
  mail_posted(r);
  pthread_mutex_unlock(&r->mu);
}

static void post_ask(struct runner *r, struct ask_mail m) {
  pthread_mutex_lock(&r->mu);
  r->asks.empty |= m.empty;
  r->asks.lost |= m.lost;
  r->asks.away = (uint8_t)((r->asks.away | m.away) & ~m.back);
  r->asks.back = (uint8_t)((r->asks.back | m.back) & ~m.away);
  mail_posted(r);
  pthread_mutex_unlock(&r->mu);
}

static uint8_t bit(enum slot_class s) { return (uint8_t)(1u << s); }
void runner_no_hints(struct runner *r, enum slot_class s) { post_ask(r, (struct ask_mail){.empty = bit(s)}); }
void runner_hints_lost(struct runner *r, enum slot_class s) { post_ask(r, (struct ask_mail){.lost = bit(s)}); }
void runner_queue_away(struct runner *r, enum slot_class s, bool away) {
  post_ask(r, away ? (struct ask_mail){.away = bit(s)} : (struct ask_mail){.back = bit(s)});
}

static bool mail_waits(struct runner *r) {
  pthread_mutex_lock(&r->mu);
  bool yes = r->posted;
  pthread_mutex_unlock(&r->mu);
  return yes;
}

bool runner_pending(struct runner *r) {
  return mail_waits(r) || r->n_ev + r->n_later > 0 || r->n_more > 0 || r->unknown;
}

void runner_stats(struct runner *r, struct runner_stats *out) {
  pthread_mutex_lock(&r->mu);
  *out = r->stats;
  pthread_mutex_unlock(&r->mu);
  out->store_down = watch_state(&r->watch) != WATCH_WELL;
}

/* ---- what waits ---- */

void ev_add(struct runner *r, struct ev e) { *WR_PUSH(r->ev, r->n_ev, r->cap_ev) = e; }

static void take_results(struct runner *r, struct attempt *res) {
  for (struct attempt *next; res != NULL; res = next) {
    next = res->next;
    res->next = NULL;
    ev_add(r, (struct ev){.kind = EV_RESULT, .fi = res->fi, .ti = res->ti, .epoch = res->epoch, .owner = res->owner, .a = res});
  }
}

/* All under one lock: a request in it may be taken back at any time. */
static void take_mail(struct runner *r) {
  pthread_mutex_lock(&r->mu);
  struct attempt *res = r->res_head;
  struct ev *box = r->box;
  size_t n_box = r->n_box;
  bool nudged = r->nudged;
  struct ask_mail asks = r->asks;
  r->asks = (struct ask_mail){0};
  r->res_head = NULL;
  r->res_tail = &r->res_head;
  r->box = NULL;
  r->n_box = r->cap_box = 0;
  r->nudged = r->posted = false;
  take_results(r, res);
  for (size_t i = 0; i < n_box; i++) ev_add(r, box[i]);
  for (struct req *q = ledger_take(&r->reqs); q != NULL; q = q->next) ev_add(r, (struct ev){.kind = EV_REQ, .fi = q->fi, .ti = q->ti, .q = q});
  pthread_mutex_unlock(&r->mu);
  free(box);
  if (nudged) r->reconcile_at = 0;
  ask_mail(r, &asks);
}

static void take_timers(struct runner *r) {
  int64_t ti, fi;
  while (timers_ring(&r->timers, r->wall_us, &ti, &fi)) ev_add(r, (struct ev){.kind = EV_DUE, .fi = fi, .ti = ti});
  while (timers_ring(&r->flow_timers, r->wall_us, &fi, &fi)) ev_add(r, (struct ev){.kind = EV_FLOW_TIMEOUT, .fi = fi});
  bool tasks = timers_ask(&r->timers, r->wall_us), flows = timers_ask(&r->flow_timers, r->wall_us);
  if (tasks || flows) lease_timers(r);
}

/* One at a time, when nothing else of its kind is under way. */
static void take_parked(struct runner *r) {
  if (r->n_parked > 0 && r->n_more == 0) ev_add(r, (struct ev){.kind = EV_MORE, .fi = r->parked[--r->n_parked]});
}

/* Slots that will be free when the events that wait are done: results give theirs back, pulled hints have theirs. */
static void expect_slots(const struct runner *r, int64_t free[SLOT__N]) {
  for (int s = 0; s < SLOT__N; s++) free[s] = (int64_t)r->c.free[s] - r->over[s];
  for (size_t i = 0; i < r->n_ev; i++) {
    if (r->ev[i].kind == EV_RESULT && !r->ev[i].slotless && !r->draining && r->ev[i].a->owner == r->me) free[r->ev[i].a->policy.slot]++;
    if (r->ev[i].kind == EV_HINT && r->ev[i].pulled) free[r->ev[i].slot]--;
  }
}

/* Hints of the memory queue, as many as will find a slot. */
static void take_hints(struct runner *r) {
  struct hint h[256];
  int64_t free[SLOT__N];
  expect_slots(r, free);
  for (uint8_t s = 0; s < SLOT__N; s++) {
    size_t backlog = r->o.ports.backlog ? r->o.ports.backlog(r->o.ports.ctx, (enum slot_class)s) : 0;
    while (backlog > 0 && free[s] > 0 && r->o.ports.pull) {
      size_t n = r->o.ports.pull(r->o.ports.ctx, (enum slot_class)s, h, free[s] < 256 ? (size_t)free[s] : 256);
      for (size_t i = 0; i < n; i++)
        ev_add(r, (struct ev){.kind = EV_HINT, .fi = h[i].fi, .ti = h[i].ti, .pulled = true, .slot = s});
      free[s] -= (int64_t)n;
      backlog = n == 0 ? 0 : r->o.ports.backlog(r->o.ports.ctx, (enum slot_class)s);
    }
    r->hold[s] = backlog > 0;
  }
}

static void count_slots(struct runner *r) {
  for (int s = 0; s < SLOT__N; s++) {
    uint32_t slots = r->o.slots[s] + (s == SLOT_PROCESS ? ahead_count(r) : 0);
    if (atomic_load(&r->hold_until[s]) > r->boot_us) slots = 0;
    r->over[s] = r->used[s] > slots ? r->used[s] - slots : 0;
    r->c.free[s] = r->draining || r->used[s] >= slots ? 0 : slots - r->used[s];
  }
}

/* ---- one batch ---- */

void ev_remove(struct runner *r, size_t n) {
  memmove(r->ev, r->ev + n, (r->n_ev - n) * sizeof *r->ev);
  r->n_ev -= n;
}

/* The batch is through, or each of its events has been answered. */
static void events_done(struct runner *r) {
  reqs_done(r);
  for (size_t i = 0; i < r->n_take; i++) {
    struct ev *e = &r->ev[i];
    if (e->defer) { put_off(r, e); continue; }
    if (e->keep) { aside_keep(r, e); continue; }
    attempt_free(e->a);
    result_forget(e);
  }
  ev_remove(r, r->n_take);
  r->n_take = 0;
}

void stats_count(struct runner *r, uint64_t *stat) {
  pthread_mutex_lock(&r->mu);
  ++*stat;
  pthread_mutex_unlock(&r->mu);
}

/* Pauses grow; until it is known whether the fault lasts they stay short. */
static void pause_store(struct runner *r) {
  int64_t most = watch_state(&r->watch) == WATCH_WELL ? RETRY_MAX_US / 8 : RETRY_MAX_US;
  r->pause_us = r->pause_us == 0 ? 1000 : r->pause_us * 2 > most ? most : r->pause_us * 2;
  r->again_us = r->boot_us + r->pause_us / 2 + (int64_t)(rand_next(&r->c.rnd) % (uint64_t)(r->pause_us / 2 + 1));
}

void store_failed(struct runner *r, enum store_rc rc) {
  watch_failed(&r->watch, runner_now(r), rc, store_why(r->s));
  pause_store(r);
  enum watch_state s = watch_state(&r->watch);
  if (s != WATCH_WELL) reqs_refuse(r, s == WATCH_FULL ? WR_NO_SPACE : WR_DB_UNAVAILABLE);
}

enum store_rc defs_store_rc(enum wr_rc rc) {
  switch ((unsigned)rc) {
  case WR_OK: return STORE_OK;
  case WR_NOT_FOUND: case WR_INTERNAL: return STORE_BAD; /* it is not there; what is there is not whole */
  case WR_NO_SPACE: return STORE_NO_SPACE;
  case WR_DB_UNAVAILABLE: return STORE_DOWN;
  default: return STORE_RETRY;
  }
}

/* One event alone is refused for good: a request gets the error, the flow of another is set aside, what happened to a task
 * without a flow waits alone (but a hint, which comes again); all else goes on. */
static void set_aside(struct runner *r) {
  struct ev *e = &r->ev[0];
  if (e->spare) result_restore(e);
  else if (result_replace(r, e)) return; /* at once, alone again */
  log_error("runner.quarantined", L_INT("fi", e->fi), L_INT("ti", e->ti), L_INT("event", e->kind), L_STR("why", store_why(r->s)));
  if (e->fi == 0 && !e->q && e->kind != EV_HINT) { put_off_alone(r); return; }
  r->n_take = 1;
  if (e->q) req_fail(e->q, WR_QUARANTINED, NULL);
  if (e->fi != 0 && (e->q == NULL || runner_set_aside(r, e->fi))) aside_put(r, e->fi);
  if (e->fi != 0 && (e->a || e->kind == EV_TIMEOUT)) {
    aside_keep(r, e);
    e->a = NULL;
  }
  events_done(r);
  r->limit = SIZE_MAX;
}

/* How many events come into the batch: up to the first that comes alone, or the one for which too much were to be loaded:
 * what a batch has touched stays until its end, and its rows are in memory twice while they are read. */
static size_t events_wanted(const struct runner *r) {
  size_t most = r->n_ev < r->limit ? r->n_ev : r->limit;
  size_t flows = budget_room(&r->cache, LOAD_LEAST), lone = budget_room(&r->lone, LOAD_LEAST);
  if (most > LIMIT_BATCH_ROWS) most = LIMIT_BATCH_ROWS;
  int64_t last = 0;
  for (size_t i = 0; i < most; i++) {
    const struct ev *e = &r->ev[i];
    if (e->alone) return i > 0 ? i : 1;
    bool loads = e->fi == 0 ? loads_solo(r, e) : e->fi != last && live_get(r, e->fi) == NULL;
    last = e->fi;
    if (!loads) continue;
    size_t *room = e->fi != 0 ? &flows : &lone;
    if (*room == 0) return i;
    --*room;
  }
  return most;
}

/* The store takes other writes, so it is not away: something in this batch cannot be written now. Each comes alone then, and
 * what is found waits longer. It is not refused for good: no result becomes a failure by this. */
static void isolate(struct runner *r, size_t n) {
  r->n_retry = 0;
  if (n == 0) n = events_wanted(r); /* it came no further than reading what they need */
  const struct ev *e = &r->ev[0];
  if (n > 1) apart(r, n);
  else if (store_lost_streak(r->s) > 0) set_aside(r); /* it breaks each connection: the server takes it no other way */
  else {
    log_warn("runner.put_off", L_INT("fi", e->fi), L_INT("ti", e->ti), L_INT("event", e->kind), L_STR("why", store_why(r->s)));
    put_off_briefly(r);
  }
}

/* A server may refuse one batch and take all else: after a failure each turn begins with a renewal, which tells. One that came
 * alone says nothing of the store: it waits, and the others go on. */
static void batch_retry(struct runner *r, size_t n) {
  stats_count(r, &r->stats.retries);
  if (!r->single && r->n_ev > 0 && r->ev[0].alone && store_lost_streak(r->s) == 0) {
    r->n_retry = 0;
    put_off_briefly(r);
    return;
  }
  if (r->n_retry++ == 0) r->retry_us = r->boot_us;
  if (!r->single && r->n_retry >= ISOLATE_AFTER && r->seen_us > r->retry_us && r->n_ev > 0) isolate(r, n);
  store_failed(r, STORE_RETRY);
}

static void batch_failed(struct runner *r, enum store_rc rc) {
  if (rc == STORE_UNKNOWN) { r->unknown = true; store_failed(r, rc); return; }
  size_t n = r->n_take;
  batch_undo(r);
  if (rc != STORE_BAD && r->n_ev > 0) result_restore(&r->ev[0]); /* nothing is known of it */
  switch (rc) {
  case STORE_STALE:
    stats_count(r, &r->stats.stale);
    put_off_held(r, n);
    break;
  case STORE_BAD:
    if (r->limit == 1 && r->n_ev > 0) set_aside(r);
    else r->limit = n > 1 ? n / 2 : 1; /* one event was not alone: there were slices */
    break;
  case STORE_NO_SPACE: case STORE_DOWN: store_failed(r, rc); break;
  case STORE_FENCED: lease_fenced(r); break;
  case STORE_OK: case STORE_RETRY: case STORE_UNKNOWN: batch_retry(r, n); break;
  }
}

static void batch_ok(struct runner *r) {
  r->unknown = false;
  r->pause_us = r->again_us = 0;
  r->n_retry = 0;
  if (r->limit != SIZE_MAX) r->limit = r->limit < LIMIT_BATCH_ROWS ? r->limit * 2 : SIZE_MAX; /* a bad event was found or is gone */
  bool wrote = r->b.n_flow + r->b.n_task + r->b.n_key > 0;
  if (wrote) lease_ok(r); /* else nothing was sent, the fence neither */
  if (wrote) watch_ok(&r->watch, r->boot_us);
  batch_after(r);
  pthread_mutex_lock(&r->mu);
  r->stats.batches++;
  r->stats.events += r->n_take;
  r->stats.rows += r->b.n_task + r->b.n_node + r->b.n_flow;
  r->stats.cached_runs = (uint32_t)r->runs.n;
  pthread_mutex_unlock(&r->mu);
  events_done(r);
  live_evict(r);
}

static void resolve(struct runner *r) {
  bool committed = false;
  enum store_rc rc = store_resolve(r->s, r->b.id, &committed);
  if (rc != STORE_OK) { store_failed(r, STORE_UNKNOWN); return; }
  stats_count(r, &r->stats.unknown);
  log_warn("runner.commit_resolved", L_INT("batch", r->b.id), L_INT("committed", committed));
  if (committed) { batch_ok(r); return; }
  r->unknown = false;
  batch_undo(r);
  if (r->n_ev > 0) result_restore(&r->ev[0]);
}

/* Large flows go on, one slice each, while the budget lasts. */
static enum store_rc slices(struct runner *r) {
  size_t n = r->n_more;
  enum store_rc rc = STORE_OK;
  for (size_t i = 0; i < n && rc == STORE_OK && r->c.budget > 0; i++) {
    struct live *l = r->more[0];
    memmove(r->more, r->more + 1, --r->n_more * sizeof *r->more);
    l->more_queued = false;
    l->sliced = r->batch_no;
    rc = do_more(r, l);
  }
  return rc;
}

static enum store_rc do_batch(struct runner *r) {
  enum store_rc rc = store_begin(r->s, &r->defs_version);
  size_t most = events_wanted(r);
  if (rc == STORE_OK) rc = load_batch(r, most);
  for (r->n_take = 0; rc == STORE_OK && r->n_take < most && r->c.budget > 0; r->n_take++) {
    if (r->n_take % 16 == 0) beat(r);
    rc = do_event(r, &r->ev[r->n_take]);
  }
  if (rc == STORE_OK && r->limit == SIZE_MAX && (most == 0 || !r->ev[0].alone)) rc = slices(r);
  if (rc == STORE_OK) rc = batch_write(r);
  return rc;
}

static void one_batch(struct runner *r) {
  r->batch_no++;
  r->c.me = r->me;
  r->c.budget = LIMIT_BATCH_ROWS;
  r->n_held = r->n_ahead = 0; /* their arrays go with the arena */
  r->b.n_flow = r->b.n_task = 0;
  arena_reset(&r->mem);
  enum store_rc rc = do_batch(r);
  if (rc == STORE_OK) batch_ok(r);
  else batch_failed(r, rc);
}

static void look_at_queues(struct runner *r) {
  for (uint8_t s = 0; s < SLOT__N; s++)
    if (r->full[s] && r->o.ports.backlog(r->o.ports.ctx, (enum slot_class)s) == 0) lease_refill(r, s);
}

/* What may be claimed now. While every slot has its attempt, a few claims ahead are not worth a batch of their own: the next
 * result brings one. */
static void worth_claiming(const struct runner *r, uint32_t free[SLOT__N]) {
  for (int s = 0; s < SLOT__N; s++) free[s] = r->used[s] >= r->o.slots[s] && r->c.free[s] < ahead_few(r) ? 0 : r->c.free[s];
}

/* A slot is free and a hint waits: those pulled before it were stale. */
static bool hints_wait(const struct runner *r, const uint32_t free[SLOT__N]) {
  for (int s = 0; s < SLOT__N; s++)
    if (free[s] > 0 && r->o.ports.pull && r->o.ports.backlog(r->o.ports.ctx, (enum slot_class)s) > 0) return true;
  return false;
}

static int64_t next_wake(struct runner *r) {
  if (r->again_us > r->boot_us) return r->again_us;
  if (r->n_ev > 0 || r->n_more > 0 || r->unknown || watch_asked(&r->watch)) return r->boot_us;
  int64_t at = lease_next(r), asks = ask_next(r);
  if (asks < at) at = asks;
  for (int s = 0; s < SLOT__N; s++) {
    int64_t held = atomic_load(&r->hold_until[s]);
    if (held > r->boot_us && held < at) at = held;
  }
  int64_t aside = aside_next(r);
  if (aside < at) at = aside;
  if (tell_next(r) < at) at = tell_next(r);
  if (later_next(r) < at) at = later_next(r);
  int64_t t = timers_next(&r->timers), f = timers_next(&r->flow_timers), wall = t < f ? t : f;
  if (wall != INT64_MAX && r->boot_us + (wall - r->wall_us) < at) at = r->boot_us + (wall - r->wall_us);
  return at;
}

/* With the store, once it may be asked. */
static int64_t turn(struct runner *r) {
  if (r->unknown) {
    resolve(r);
    return next_wake(r);
  }
  aside_turn(r);
  enum store_rc rc = lease_turn(r);
  if (rc == STORE_OK) rc = ask_turn(r);
  if (rc != STORE_OK) {
    if (rc == STORE_FENCED) lease_fenced(r);
    else store_failed(r, rc);
    return next_wake(r);
  }
  take_later(r);
  take_timers(r);
  take_parked(r);
  count_slots(r);
  take_hints(r);
  if (r->n_ev > 0 || r->n_more > 0) one_batch(r);
  count_slots(r);
  look_at_queues(r);
  uint32_t free[SLOT__N];
  worth_claiming(r, free);
  if (r->o.ports.free_slots) r->o.ports.free_slots(r->o.ports.ctx, free);
  r->turned = mail_waits(r);
  int64_t next = next_wake(r);
  return next > r->boot_us && r->again_us <= r->boot_us && hints_wait(r, free) ? r->boot_us : next;
}

int64_t runner_turn(struct runner *r, int64_t wall_us, int64_t boot_us) {
  int64_t by, now = store_time(r->s, boot_us, wall_us);
  ahead_turn(r, boot_us);
  if (now > r->wall_us) r->wall_us = now;
  if (clock_stepped(&r->steps, wall_us, boot_us, &by))
    log_warn("clock.jump", L_INT("by_us", by), L_STR("effect", "none: times are the database's"));
  r->boot_us = boot_us;
  take_mail(r);
  reqs_turn(r);
  if (watch_hurried(&r->watch)) r->again_us = boot_us;
  if (r->again_us > boot_us) return r->again_us;
  watch_busy(&r->watch, boot_us);
  int64_t next = turn(r);
  watch_idle(&r->watch);
  return next;
}

/* One of a former incarnation has none: all were given up when that was fenced. */
void attempt_slot(struct runner *r, const struct attempt *a) {
  if (a->owner != r->me) return;
  wr_assert(r->used[a->policy.slot] > 0);
  r->used[a->policy.slot]--;
}

void attempt_gone(struct runner *r, const struct ev *e) {
  const struct attempt *a = e->a;
  if (a->owner != r->me) return;
  if (!e->slotless) attempt_slot(r, a);
  if ((uint32_t)(uintptr_t)map64_get(&r->inflight, a->ti) == a->epoch) (void)map64_del(&r->inflight, a->ti);
}
