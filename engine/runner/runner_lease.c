/* Membership and the safety net: joining, renewing, being fenced, reclaiming, and the reconciler that looks at live rows.
 * The runner thread's (rules 10, 12-16, 19).
 *
 * The reconciler reads pages of live rows without locks and only posts events: each is decided again under the lock.
 * It runs whole at the start, then every 10 s (or lease/6) while live rows exist. Every node looks for what is lost, its
 * own and that of the dead; one node at a time sends hints again and goes on with what a large flow has left: the store
 * says which, and when that one dies it says another. On a single-process store it runs again only when the queue in
 * memory has refused hints and has run empty since: then it fills the queue, and ends when that is full; or when timers that
 * were dropped (timers.h) are due: then it makes the next ones.
 * What never happens: a loop over all rows in one turn: a page a turn, others in between. */
#include <stdlib.h>
#include "runner_int.h"

/* An idle node renews at the same time. */
static void clock_next(struct runner *r) { r->clock_at = r->single ? INT64_MAX : r->boot_us + r->o.lease_us / RENEW_PART; }

enum wr_rc lease_join(struct runner *r, struct wr_err *err) {
  enum store_rc rc = store_join(r->s, &r->o.info, &r->me);
  if (rc != STORE_OK && store_why(r->s)[0]) return wr_err_set(err, WR_DB_UNAVAILABLE, "This node cannot join: %s", store_why(r->s));
  if (rc != STORE_OK) return wr_err_set(err, WR_DB_UNAVAILABLE, "This node cannot join: %s.", store_rc_name(rc));
  r->sent_us = r->boot_us;
  r->renew_at = r->single ? INT64_MAX : 0;
  clock_next(r);
  tell_join(r);
  r->reconcile_at = 0;
  r->scan_ti = r->scan_fi = -1;
  r->recovering = true;
  r->seen_us = INT64_MIN / 2; /* contact begins with the first commit */
  return WR_OK;
}

/* Every commit renews the lease: the children may live until 3/4 of it after the batch was sent. Renewals come every
 * sixth of it, so a gap of a half says that the database was away or that we slept: contact is not unbroken. */
void lease_ok(struct runner *r) {
  if (r->single) return;
  if (r->boot_us - r->seen_us > r->o.lease_us / 2) r->contact_us = r->boot_us;
  r->seen_us = r->boot_us;
  r->renew_at = r->boot_us + r->o.lease_us / RENEW_PART;
  if (r->o.ports.deadline) r->o.ports.deadline(r->o.ports.ctx, r->sent_us + r->o.lease_us / 4 * 3);
}

static void drop_late_results(struct runner *r) {
  size_t k = 0;
  for (size_t i = 0; i < r->n_ev; i++) {
    if (r->ev[i].kind == EV_RESULT) attempt_free(r->ev[i].a);
    else if (r->ev[i].kind != EV_TIMEOUT) r->ev[k++] = r->ev[i];
  }
  r->n_ev = k;
}

/* This node was declared dead: nothing of it may be written any more. Kill all, forget all, join as another. */
void lease_fenced(struct runner *r) {
  struct wr_err err;
  log_error("runner.fenced", L_INT("incarnation", r->me));
  if (r->o.ports.kill_all) r->o.ports.kill_all(r->o.ports.ctx);
  for (struct live *l; (l = live_newest(r)) != NULL;) live_drop(r, l);
  drop_late_results(r);
  ask_stop(r);
  map64_done(&r->inflight);
  for (int s = 0; s < SLOT__N; s++) r->used[s] = 0;
  if (lease_join(r, &err) != WR_OK) {
    log_error("runner.join", L_STR("error", err.msg));
    store_failed(r, STORE_DOWN);
    r->renew_at = 0;
  }
}

int64_t lease_next(const struct runner *r) {
  int64_t at = r->renew_at < r->reconcile_at ? r->renew_at : r->reconcile_at;
  return at;
}

void lease_look(struct runner *r, uint8_t slot) {
  int64_t at = r->boot_us + HINT_AGE_US;
  if (r->o.ports.pull) { /* when it has run empty lease_refill() follows; a refill under way may have passed this row */
    r->full[slot] = true;
    r->refill &= (uint8_t)~(1u << slot);
    r->filling &= (uint8_t)~(1u << slot);
    return;
  }
  r->refused = r->look_again = true; /* a scan under way would forget it */
  if (at < r->reconcile_at) r->reconcile_at = at;
}

void lease_again(struct runner *r) {
  r->scan_again = true;
  r->reconcile_at = r->boot_us;
}

void lease_timers(struct runner *r) {
  r->due_wanted = true;
  lease_again(r);
}

void lease_recover(struct runner *r, int64_t fi) {
  (void)map64_put(&r->anew_next, fi, r);
  lease_again(r);
}

void lease_refill(struct runner *r, uint8_t slot) {
  r->full[slot] = false;
  r->refill |= (uint8_t)(1u << slot);
  r->reconcile_at = r->boot_us;
}

/* ---- the reconciler ---- */

/* Nothing waits in any list, as far as this node knows. */
static bool lists_empty(const struct runner *r) {
  size_t n = 0;
  for (int s = 0; s < SLOT__N && r->o.ports.backlog; s++) n += r->o.ports.backlog(r->o.ports.ctx, (enum slot_class)s);
  return n == 0;
}

/* A hint is sent again when its row is 10, 20, 40 .. s old: what only waits for its turn gets few, a lost one comes soon.
 * While the queue is full its refusals bound them, and whoever finds room is welcome; beside empty lists an old row has
 * lost its hint. */
static bool hint_turn(const struct runner *r, int64_t age) {
  for (int64_t at = HINT_AGE_US; at <= age; at *= 2)
    if (age - at < r->scan_gap) return true;
  return false;
}

static bool hint_due(const struct runner *r, int64_t age) {
  return r->scan_all || (age > HINT_AGE_US && lists_empty(r)) ? age > HINT_AGE_US : hint_turn(r, age);
}

/* Are its timers and hints made again? */
static bool is_anew(const struct runner *r, int64_t fi) { return r->recovering || (r->anew.n > 0 && fi != 0 && map64_get(&r->anew, fi)); }

/* Does this scan make timers again? */
static bool sets_timers(const struct runner *r, int64_t fi) { return r->scan_due || is_anew(r, fi); }

/* It came for timers alone: in a single process no hint was lost, and what a large flow has left is on `more` or parked. */
static bool timers_only(const struct runner *r, int64_t fi) { return r->scan_due && r->single && !is_anew(r, fi); }

/* An attempt of a dead node of which its spawner said that it never began. */
static bool never_started(const struct runner *r, const struct live_task *t) {
  for (size_t i = 0; i < r->o.n_never; i++)
    if (r->o.never[i].ti == t->ti && r->o.never[i].epoch == t->epoch) return true;
  return false;
}

/* With own_only the rows of others are left as they are: a node that may run them comes by, or not. */
static bool not_ours(const struct runner *r, int64_t fi) { return r->o.own_only && fi != r->own_fi; }

static void look_at_task(struct runner *r, const struct live_task *t) {
  if (not_ours(r, t->fi)) return;
  struct ev lost = {.kind = EV_LOST, .fi = t->fi, .ti = t->ti, .epoch = t->epoch, .owner = t->owner};
  bool owned = t->owner != 0, mine = t->owner == r->me;
  uint32_t mine_epoch = (uint32_t)(uintptr_t)map64_get(&r->inflight, t->ti);
  switch ((enum task_state)t->state) {
  case TASK_RUNNING: case TASK_PAUSING: case TASK_CANCELING:
    if (owned && !mine && !t->owner_live) {
      lost.handback = never_started(r, t);
      ev_found(r, lost);
    } else if (mine && mine_epoch != t->epoch) ev_found(r, lost);
    else if (mine && t->state == TASK_CANCELING && r->o.ports.cancel) r->o.ports.cancel(r->o.ports.ctx, t->ti, t->epoch);
    break;
  case TASK_QUEUED:
    if (t->due_us != 0 && t->due_us <= r->wall_us) ev_found(r, (struct ev){.kind = EV_DUE, .fi = t->fi, .ti = t->ti});
    else if (t->due_us != 0 && sets_timers(r, t->fi)) timers_set(&r->timers, t->ti, t->fi, t->due_us);
    if (timers_only(r, t->fi)) break;
    if (r->resend && (is_anew(r, t->fi) || r->filling || hint_due(r, r->wall_us - t->update_us)))
      ev_found(r, (struct ev){.kind = EV_HINT, .fi = t->fi, .ti = t->ti, .refill = r->filling, .again = !hint_turn(r, r->wall_us - t->update_us)});
    else r->look_again = true;
    break;
  case TASK_RETRY_WAIT:
    if (t->due_us <= r->wall_us) ev_found(r, (struct ev){.kind = EV_DUE, .fi = t->fi, .ti = t->ti});
    else if (sets_timers(r, t->fi)) timers_set(&r->timers, t->ti, t->fi, t->due_us);
    break;
  case TASK_NONE: case TASK_CREATED: case TASK_BLOCKED: case TASK_PAUSED: case TASK_SUCCESS: case TASK_FAILED:
  case TASK_TIMEOUT: case TASK_CANCELED: case TASK_DEAD: case TASK__N: break;
  }
}

static void look_at_flow(struct runner *r, const struct live_flow *f) {
  if (not_ours(r, f->fi)) return;
  bool anew = is_anew(r, f->fi), old = anew || f->update_us + HINT_AGE_US < r->wall_us;
  if (f->more && old && r->resend && !timers_only(r, f->fi) && (!r->single || live_get(r, f->fi) == NULL)) ev_found(r, (struct ev){.kind = EV_MORE, .fi = f->fi});
  if (f->due_us == 0) return;
  if (f->due_us <= r->wall_us) ev_found(r, (struct ev){.kind = EV_FLOW_TIMEOUT, .fi = f->fi});
  else if (sets_timers(r, f->fi)) timers_set(&r->flow_timers, f->fi, f->fi, f->due_us);
}

static enum store_rc scan_page(struct runner *r) {
  size_t n = 0;
  later_look(r);
  if (r->scan_ti >= 0) {
    struct live_task *t = arena_alloc(&r->mem, PAGE * sizeof *t);
    enum store_rc rc = store_live_tasks(r->s, r->scan_ti, t, PAGE, &n);
    for (size_t i = 0; rc == STORE_OK && i < n; i++) look_at_task(r, &t[i]);
    if (rc == STORE_OK) r->scan_ti = n > 0 ? t[n - 1].ti : -1;
    return rc;
  }
  struct live_flow *f = arena_alloc(&r->mem, PAGE * sizeof *f);
  enum store_rc rc = store_live_flows(r->s, r->scan_fi, f, PAGE, &n);
  for (size_t i = 0; rc == STORE_OK && i < n; i++) look_at_flow(r, &f[i]);
  if (rc == STORE_OK) r->scan_fi = n > 0 ? f[n - 1].fi : -1;
  return rc;
}

static int64_t scan_every(const struct runner *r) {
  return r->o.lease_us / RENEW_PART < HINT_AGE_US ? r->o.lease_us / RENEW_PART : HINT_AGE_US;
}

/* Who begins to send hints again does not know which of them the former one has sent. */
static enum store_rc scan_begin(struct runner *r) {
  uint32_t dead = 0;
  bool before = r->resend, filled = r->scan_fill;
  r->resend = r->o.own_only || store_reconciler(r->s); /* who cares for his own only must not have that office */
  r->scan_all = r->refused || (r->resend && !before);
  r->refused = false;
  /* Refills and looks at rows anew take turns. */
  bool others = r->anew_next.n > 0 || r->due_wanted;
  r->scan_fill = r->refill != 0 && !r->recovering && (!others || !filled);
  r->filling = r->scan_fill ? r->refill : 0;
  r->scan_again = r->scan_fill && others;
  r->scan_due = r->due_wanted && !r->scan_fill;
  if (r->scan_due) r->due_wanted = false;
  map64_done(&r->anew); /* of a scan that was cut off */
  if (!r->scan_fill) {
    r->anew = r->anew_next;
    r->anew_next = (struct map64)MAP64_INIT;
  }
  r->scan_ti = 0;
  r->scan_fi = r->scan_fill ? -1 : 0;
  r->scan_gap = r->boot_us - r->scan_began + HINT_AGE_US / 10;
  r->scan_began = r->boot_us;
  r->look_again = false;
  /* After an outage everybody gets the time to renew (rule 15). */
  bool may_reap = !r->single && r->boot_us - r->contact_us >= r->o.lease_us;
  enum store_rc rc = may_reap ? store_reap(r->s, &dead) : STORE_OK;
  if (dead > 0) log_warn("runner.reaped", L_INT("nodes", dead));
  return rc;
}

static enum store_rc reconcile(struct runner *r) {
  enum store_rc rc = r->scan_ti < 0 && r->scan_fi < 0 ? scan_begin(r) : STORE_OK;
  if (rc != STORE_OK) return rc;
  arena_reset(&r->mem); /* no batch is under way */
  if (r->scan_fill && r->filling == 0) r->scan_ti = -1; /* full again */
  else rc = scan_page(r);
  if (rc != STORE_OK) return rc;
  if (r->scan_ti >= 0 || r->scan_fi >= 0) { r->reconcile_at = r->boot_us; return rc; }
  r->recovering = false;
  map64_done(&r->anew);
  r->refill &= (uint8_t)~r->filling;
  r->filling = 0;
  r->reconcile_at = r->refill || r->scan_again ? r->boot_us : r->single ? INT64_MAX : r->boot_us + scan_every(r);
  if (r->look_again && r->boot_us + HINT_AGE_US < r->reconcile_at) r->reconcile_at = r->boot_us + HINT_AGE_US;
  return rc;
}

enum store_rc lease_turn(struct runner *r) {
  enum store_rc rc = STORE_OK;
  if (r->renew_at <= r->boot_us || r->clock_at <= r->boot_us || watch_asked(&r->watch)) {
    r->sent_us = r->boot_us;
    rc = store_renew(r->s);
    if (rc != STORE_OK) return rc;
    lease_ok(r);
    watch_ok(&r->watch, runner_now(r));
    clock_next(r);
  }
  rc = tell_turn(r);
  if (rc == STORE_OK && r->reconcile_at <= r->boot_us && r->n_ev < LIMIT_BATCH_ROWS) rc = reconcile(r);
  return rc;
}
