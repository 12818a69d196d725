/* Requests at the runner: posted, answered, taken back; and what it says of its store (ledger.h, watch.h).
 *
 * A request is answered in bounded time, whatever the store does. While the runner's thread turns it answers by itself: at
 * once when the store is known to be away, else after request_us. While the thread is inside a call of the store, the client
 * takes its request back. Any thread: runner_post(), runner_take_back(), runner_health(). All else: the runner's.
 * What never happens: "nothing was stored" for a request that was sent to the store, or one that is sent after that word. */
#include <string.h>
#include "runner_int.h"

int64_t runner_now(const struct runner *r) { return r->o.ports.boot_now ? r->o.ports.boot_now(r->o.ports.ctx) : clock_boot_us(); }

void req_fail(struct req *q, enum wr_rc code, const char *text) {
  q->rc = wr_err_set(&q->err, code, text ? "%s" : NULL, text);
}

static void reset(struct req *q) {
  q->rc = WR_OK;
  q->changed = q->replayed = false;
  wr_err_clear(&q->err);
}

/* ---- any thread ---- */

bool runner_post(struct runner *r, struct req *q) {
  int64_t now = runner_now(r);
  enum wr_rc rc = watch_admits(&r->watch, now);
  q->first_id = 0;
  q->place = REQ_NOWHERE;
  reset(q);
  pthread_mutex_lock(&r->mu);
  if (r->draining) rc = WR_DRAINING;
  if (rc == WR_OK && !ledger_post(&r->reqs, q, now)) rc = WR_BUSY;
  if (rc == WR_OK) mail_posted(r);
  pthread_mutex_unlock(&r->mu);
  if (rc != WR_OK) req_fail(q, rc, NULL);
  return rc == WR_OK;
}

bool runner_doubt(struct runner *r) {
  if (!watch_doubt(&r->watch, runner_now(r))) return false;
  pthread_mutex_lock(&r->mu);
  mail_posted(r);
  pthread_mutex_unlock(&r->mu);
  return true;
}

bool runner_look(struct runner *r) {
  watch_wait(&r->watch, RUNNER_LOOK_US);
  return watch_state(&r->watch) == WATCH_WELL;
}

enum req_back runner_take_back(struct runner *r, struct req *q) {
  pthread_mutex_lock(&r->mu);
  enum req_back got = ledger_back(&r->reqs, q);
  pthread_mutex_unlock(&r->mu);
  return got;
}

void runner_health(struct runner *r, struct health_part *store, struct health_part *disk) {
  if (watch_ask(&r->watch, runner_now(r))) {
    pthread_mutex_lock(&r->mu);
    mail_posted(r);
    pthread_mutex_unlock(&r->mu);
    watch_wait(&r->watch, RUNNER_HEALTH_WAIT_US);
  }
  watch_health(&r->watch, runner_now(r), store, disk);
}

/* ---- the runner's thread ---- */

void beat(struct runner *r) { watch_busy(&r->watch, runner_now(r)); }

/* It had its place among those that wait until now: what waits for the store counts as well. */
void req_answer(struct runner *r, struct req *q) {
  pthread_mutex_lock(&r->mu);
  ledger_done(&r->reqs, q);
  pthread_mutex_unlock(&r->mu);
  q->done(q, q->done_ctx);
}

static bool is_over(const struct ev *e) { return e->q && !e->defer && !e->keep; }

/* One lock for all: each client that hears its answer comes back for that lock with its next request. */
void reqs_done(struct runner *r) {
  pthread_mutex_lock(&r->mu);
  for (size_t i = 0; i < r->n_take; i++) {
    if (!is_over(&r->ev[i])) continue;
    watch_took(&r->watch, r->boot_us);
    ledger_done(&r->reqs, r->ev[i].q);
  }
  pthread_mutex_unlock(&r->mu);
  for (size_t i = 0; i < r->n_take; i++)
    if (is_over(&r->ev[i])) r->ev[i].q->done(r->ev[i].q, r->ev[i].q->done_ctx);
}

/* Those of ev[from..n) for which what() has a code get it and leave; the rest moves up. */
typedef enum wr_rc what_fn(const struct runner *r, const struct req *q, enum wr_rc code);
static size_t answer_some(struct runner *r, struct ev *ev, size_t from, size_t n, what_fn *what, enum wr_rc code) {
  size_t kept = from;
  for (size_t i = from; i < n; i++) {
    struct req *q = ev[i].q;
    enum wr_rc rc = q ? what(r, q, code) : WR_OK;
    if (rc == WR_OK) { ev[kept++] = ev[i]; continue; }
    req_fail(q, rc, NULL);
    req_answer(r, q);
  }
  return kept;
}

/* The events of a batch whose outcome is not known stay where they are. */
static size_t unsent(const struct runner *r) { return r->unknown ? r->n_take : 0; }

static void answer_waiting(struct runner *r, what_fn *what, enum wr_rc code) {
  r->n_ev = answer_some(r, r->ev, unsent(r), r->n_ev, what, code);
  r->n_later = answer_some(r, r->later, 0, r->n_later, what, code);
}

static enum wr_rc all_of_them(const struct runner *r, const struct req *q, enum wr_rc code) { return (void)r, (void)q, code; }
static enum wr_rc those_too_old(const struct runner *r, const struct req *q, enum wr_rc code) {
  return r->boot_us - q->post_us >= r->o.request_us ? code : WR_OK;
}
static enum wr_rc those_taken_back(const struct runner *r, const struct req *q, enum wr_rc code) { return (void)r, q->back ? code : WR_OK; }

/* Sent, and not known whether it is stored. Its event stays in its batch, without it. */
static void answer_unknown(struct runner *r) {
  for (size_t i = 0; i < unsent(r); i++) {
    struct req *q = r->ev[i].q;
    if (q == NULL || those_too_old(r, q, WR_OUTCOME_UNKNOWN) == WR_OK) continue;
    r->ev[i].q = NULL;
    req_fail(q, q->place == REQ_SENT ? WR_OUTCOME_UNKNOWN : WR_DB_UNAVAILABLE, NULL);
    req_answer(r, q);
  }
}

/* Since when one waits that should be stored by now. Put off for a row that is there already, or alone because of what it is, it
 * says nothing of the others. */
static int64_t waits_since(const struct runner *r) {
  int64_t at = INT64_MAX;
  for (size_t i = 0; i < r->n_ev; i++)
    if (r->ev[i].q && !r->ev[i].alone && r->ev[i].q->post_us < at) at = r->ev[i].q->post_us;
  for (size_t i = 0; i < r->n_later; i++) {
    const struct ev *e = &r->later[i];
    if (e->q && !e->alone && (e->q->kind == REQ_START || e->q->kind == REQ_EXEC_TASK) && e->q->post_us < at) at = e->q->post_us;
  }
  return at;
}

/* After each answer: the next turn may be far away. */
static void tell_waits(struct runner *r) {
  pthread_mutex_lock(&r->mu);
  int64_t oldest = ledger_oldest(&r->reqs);
  pthread_mutex_unlock(&r->mu);
  watch_waits(&r->watch, oldest <= r->boot_us - WATCH_SLOW_US / 2 ? waits_since(r) : INT64_MAX);
}

void reqs_refuse(struct runner *r, enum wr_rc code) { answer_waiting(r, all_of_them, code); }

void reqs_turn(struct runner *r) {
  pthread_mutex_lock(&r->mu);
  int64_t oldest = ledger_oldest(&r->reqs);
  bool back = r->reqs.n_back > 0, late = oldest <= r->boot_us - r->o.request_us;
  pthread_mutex_unlock(&r->mu);
  enum watch_state s = watch_state(&r->watch);
  if (s != WATCH_WELL) reqs_refuse(r, s == WATCH_FULL ? WR_NO_SPACE : WR_DB_UNAVAILABLE);
  if (back) answer_waiting(r, those_taken_back, WR_DB_UNAVAILABLE);
  if (late) answer_waiting(r, those_too_old, WR_DB_UNAVAILABLE);
  if (late) answer_unknown(r);
  tell_waits(r);
}

bool reqs_send(struct runner *r) {
  bool all = true;
  pthread_mutex_lock(&r->mu);
  for (size_t i = 0; all && i < r->n_take; i++)
    if (r->ev[i].q && !r->ev[i].defer) all = ledger_send(&r->reqs, r->ev[i].q);
  pthread_mutex_unlock(&r->mu);
  return all;
}

void reqs_hold(struct runner *r) {
  pthread_mutex_lock(&r->mu);
  for (size_t i = 0; i < r->n_take; i++)
    if (r->ev[i].q) ledger_hold(r->ev[i].q);
  pthread_mutex_unlock(&r->mu);
}

/* At the end: whoever still waits is told what is known. */
void reqs_end(struct runner *r) {
  for (struct req *q; (q = r->reqs.head) != NULL;) {
    req_fail(q, q->place == REQ_SENT ? WR_OUTCOME_UNKNOWN : WR_DB_UNAVAILABLE, NULL);
    req_answer(r, q);
  }
}
