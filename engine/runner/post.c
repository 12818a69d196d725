/* What other threads may call: each call posts into the mailbox, or asks a part that has a lock of its own (runner.h).
 * What never happens: a call here waits for the store. Only runner_look() and runner_health() wait, for a report of the watch. */
#include "runner_int.h"

int64_t runner_incarnation(const struct runner *r) { return r->env.me; }

/* ---- requests ---- */

bool runner_post(struct runner *r, struct req *q) {
  int64_t now = env_now(&r->env);
  q->first_id = 0;
  q->place = REQ_NOWHERE;
  q->rc = WR_OK;
  q->changed = q->replayed = false;
  wr_err_clear(&q->err);
  enum wr_rc rc = mailbox_request(&r->mail, q, now, watch_admits(&r->watch, now));
  if (rc != WR_OK) req_fail(q, rc, NULL);
  return rc == WR_OK;
}

enum req_back runner_take_back(struct runner *r, struct req *q) { return mailbox_take_back(&r->mail, q); }

/* ---- the store's health ---- */

bool runner_doubt(struct runner *r) {
  if (!watch_doubt(&r->watch, env_now(&r->env))) return false;
  mailbox_wake(&r->mail);
  return true;
}

bool runner_look(struct runner *r) {
  watch_wait(&r->watch, RUNNER_LOOK_US);
  return watch_state(&r->watch) == WATCH_WELL;
}

void runner_health(struct runner *r, struct health_part *store, struct health_part *disk) {
  if (watch_ask(&r->watch, env_now(&r->env))) {
    mailbox_wake(&r->mail);
    watch_wait(&r->watch, RUNNER_HEALTH_WAIT_US);
  }
  watch_health(&r->watch, env_now(&r->env), store, disk);
}

/* ---- the worker ---- */

void runner_post_results(struct runner *r, struct attempt *list) { mailbox_results(&r->mail, list); }

void runner_post_timeout(struct runner *r, int64_t fi, int64_t ti, uint32_t epoch) {
  mailbox_add(&r->mail, &(struct ev){.kind = EV_TIMEOUT, .fi = fi, .ti = ti, .epoch = epoch, .owner = r->env.me});
}

void runner_hold(struct runner *r, enum slot_class s, int64_t boot_us) {
  admission_hold(&r->admission, s, boot_us);
  mailbox_wake(&r->mail);
}

void runner_lend(struct runner *r, enum slot_class s, int32_t n) {
  admission_lend(&r->admission, s, n);
  if (n > 0) mailbox_wake(&r->mail);
}

void runner_lend_cost(struct runner *r, int64_t ti, bool lent) { mailbox_lend(&r->mail, ti, lent); }

/* ---- the queue ---- */

void runner_post_hints(struct runner *r, enum slot_class s, const struct hint *h, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (h[i].ti == 0) mailbox_nudge(&r->mail);
    else mailbox_add(&r->mail, &(struct ev){.kind = EV_HINT, .fi = h[i].fi & ~HINT_QUEUED, .ti = h[i].ti,
                                               .from = h[i].fi & HINT_QUEUED ? HINT_MARKED : HINT_POPPED, .slot = s,
                                               .list = h[i].list});
  }
}

void runner_types_changed(struct runner *r) { mailbox_wake(&r->mail); }
void runner_queues_changed(struct runner *r) { mailbox_queue(&r->mail, (struct queue_news){.rows = true}); }
void runner_wished(struct runner *r) { mailbox_wish(&r->mail); }
void runner_nudge(struct runner *r) { mailbox_nudge(&r->mail); }
void runner_nudge_other(struct runner *r, int64_t incarnation) {
  if (r->env.ports.nudge) r->env.ports.nudge(r->env.ports.ctx, incarnation);
}
void runner_no_hints(struct runner *r, enum slot_class s) { mailbox_queue(&r->mail, (struct queue_news){.empty = slot_bit(s)}); }
void runner_hints_lost(struct runner *r, enum slot_class s) { mailbox_queue(&r->mail, (struct queue_news){.lost = slot_bit(s)}); }
void runner_queue_away(struct runner *r, enum slot_class s, bool away) {
  mailbox_queue(&r->mail, away ? (struct queue_news){.away = slot_bit(s)} : (struct queue_news){.back = slot_bit(s)});
}

/* ---- the process ---- */

void runner_drain(struct runner *r) { mailbox_drain(&r->mail); }

bool runner_pending(struct runner *r) {
  return mailbox_waits(&r->mail) || r->events.n + r->later.wait.n > 0 || cache_slices_wait(&r->cache) || batch_in_doubt(r);
}

bool runner_set_aside(struct runner *r, int64_t fi) { return quarantine_has(&r->quarantine, fi); }
int64_t runner_trouble(struct runner *r, struct node_trouble *out) { return tell_trouble(&r->tell, out); }

int64_t runner_figures(struct runner *r, struct member_figures *out) { return tell_figures(&r->tell, out); }

void runner_news(struct runner *r) {
  atomic_store(&r->env.news, true);
  mailbox_wake(&r->mail);
}

void runner_stats(struct runner *r, struct runner_stats *out) {
  const struct counters *n = &r->env.n;
  *out = (struct runner_stats){.batches = n->batches, .events = n->events, .rows = n->rows, .retries = n->retries,
                               .stale = n->stale, .unknown = n->unknown, .late = n->late, .cached_runs = n->cached_runs,
                               .store_down = watch_state(&r->watch) != WATCH_WELL};
}
