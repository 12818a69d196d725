/* What other threads say to the runner: mailbox.h. */
#include "mailbox.h"
#include "clock.h"
#include "cond.h"

#define SLEEP_PIECE_US 60000000
#define END_LOOK_US 10000             /* while it stops, the thread looks this often whether all is stored */

void mailbox_init(struct mailbox *m, size_t most_requests) {
  *m = (struct mailbox){0};
  m->results_tail = &m->results;
  ledger_init(&m->reqs, most_requests);
  pthread_mutex_init(&m->mu, NULL);
  cond_mono(&m->wake);
}

void mailbox_done(struct mailbox *m) {
  for (struct attempt *a; (a = m->results) != NULL;) {
    m->results = a->next;
    attempt_free(a);
  }
  events_done(&m->box);
  free(m->lent);
  pthread_cond_destroy(&m->wake);
  pthread_mutex_destroy(&m->mu);
}

static void mail_begin(struct mailbox *m) { pthread_mutex_lock(&m->mu); }

/* What was posted is seen by the next turn. */
static void mail_end(struct mailbox *m) {
  if (!m->posted) pthread_cond_signal(&m->wake);
  m->posted = true;
  pthread_mutex_unlock(&m->mu);
}

/* ---- any thread ---- */

void mailbox_wake(struct mailbox *m) {
  mail_begin(m);
  mail_end(m);
}

void mailbox_results(struct mailbox *m, struct attempt *list) {
  if (list == NULL) return;
  struct attempt *last = list;
  while (last->next != NULL) last = last->next;
  mail_begin(m);
  *m->results_tail = list;
  m->results_tail = &last->next;
  mail_end(m);
}

void mailbox_add(struct mailbox *m, const struct ev *e) {
  mail_begin(m);
  events_add(&m->box, *e);
  mail_end(m);
}

void mailbox_nudge(struct mailbox *m) {
  mail_begin(m);
  m->nudged = true;
  mail_end(m);
}

void mailbox_wish(struct mailbox *m) {
  mail_begin(m);
  m->wished = true;
  mail_end(m);
}

void mailbox_queue(struct mailbox *m, struct queue_news news) {
  mail_begin(m);
  m->queue.empty |= news.empty;
  m->queue.rows |= news.rows;
  m->queue.lost |= news.lost;
  m->queue.away = (uint8_t)((m->queue.away | news.away) & ~news.back);
  m->queue.back = (uint8_t)((m->queue.back | news.back) & ~news.away);
  mail_end(m);
}

void mailbox_lend(struct mailbox *m, int64_t ti, bool lent) {
  mail_begin(m);
  *WR_PUSH(m->lent, m->n_lent, m->cap_lent) = (struct cost_lent){ti, lent};
  mail_end(m);
}

void mailbox_drain(struct mailbox *m) {
  mail_begin(m);
  m->draining = true;
  mail_end(m);
}

void mailbox_stop(struct mailbox *m, int64_t at_mono_us) {
  pthread_mutex_lock(&m->mu);
  m->stopping = true;
  m->stop_at = at_mono_us;
  pthread_cond_signal(&m->wake);
  pthread_mutex_unlock(&m->mu);
}

enum wr_rc mailbox_request(struct mailbox *m, struct req *q, int64_t boot_us, enum wr_rc store) {
  pthread_mutex_lock(&m->mu);
  enum wr_rc rc = m->draining ? WR_DRAINING : store;
  if (rc == WR_OK && !ledger_post(&m->reqs, q, boot_us)) rc = WR_BUSY;
  if (rc == WR_OK) mail_end(m);
  else pthread_mutex_unlock(&m->mu);
  return rc;
}

enum req_back mailbox_take_back(struct mailbox *m, struct req *q) {
  pthread_mutex_lock(&m->mu);
  enum req_back got = ledger_back(&m->reqs, q);
  pthread_mutex_unlock(&m->mu);
  return got;
}

bool mailbox_waits(struct mailbox *m) {
  pthread_mutex_lock(&m->mu);
  bool yes = m->posted;
  pthread_mutex_unlock(&m->mu);
  return yes;
}

void mailbox_check(struct mailbox *m) {
  pthread_mutex_lock(&m->mu);
  struct attempt **end = &m->results;
  while (*end != NULL) end = &(*end)->next;
  wr_assert(end == m->results_tail);
  bool empty = m->results == NULL && m->box.n == 0 && m->n_lent == 0 && !m->nudged && !m->wished && m->reqs.mail == NULL;
  wr_assert(m->posted || empty); /* the thread is told of whatever waits */
  ledger_check(&m->reqs);
  pthread_mutex_unlock(&m->mu);
}

/* ---- the ledger ---- */

void mailbox_answered(struct mailbox *m, struct req *q) {
  pthread_mutex_lock(&m->mu);
  ledger_done(&m->reqs, q);
  pthread_mutex_unlock(&m->mu);
}

bool mailbox_batch_sent(struct mailbox *m, const struct events *l) {
  bool all = true;
  pthread_mutex_lock(&m->mu);
  for (size_t i = 0; all && i < l->taken; i++) {
    const struct ev *e = &l->v[i];
    if (e->q && e->then != THEN_LATER && e->then != THEN_AGAIN) all = ledger_send(&m->reqs, e->q);
  }
  pthread_mutex_unlock(&m->mu);
  return all;
}

void mailbox_batch_undone(struct mailbox *m, const struct events *l) {
  pthread_mutex_lock(&m->mu);
  for (size_t i = 0; i < l->taken; i++)
    if (l->v[i].q) ledger_hold(l->v[i].q);
  pthread_mutex_unlock(&m->mu);
}

bool mailbox_batch_over(struct mailbox *m, const struct events *l) {
  bool any = false;
  pthread_mutex_lock(&m->mu);
  for (size_t i = 0; i < l->taken; i++) {
    if (!ev_answers(&l->v[i])) continue;
    ledger_done(&m->reqs, l->v[i].q);
    any = true;
  }
  pthread_mutex_unlock(&m->mu);
  return any;
}

int64_t mailbox_oldest(struct mailbox *m, bool *back) {
  pthread_mutex_lock(&m->mu);
  int64_t oldest = ledger_oldest(&m->reqs);
  *back = m->reqs.n_back > 0;
  pthread_mutex_unlock(&m->mu);
  return oldest;
}

/* ---- the runner's thread ---- */

static void take_results(struct attempt *list, struct events *to) {
  for (struct attempt *a = list, *next; a != NULL; a = next) {
    next = a->next;
    a->next = NULL;
    events_add(to, (struct ev){.kind = EV_RESULT, .fi = a->fi, .ti = a->ti, .epoch = a->epoch, .owner = a->owner, .a = a});
  }
}

/* Of a wish about one task. */
static int64_t ti_of(const struct req *q) { return q->kind == REQ_ASK && q->ask->n == 1 ? q->ask->of[0].ti : 0; }

/* All under one lock, because a request in the mailbox may be taken back at any time. */
void mailbox_take(struct mailbox *m, struct events *to, struct mail *out) {
  pthread_mutex_lock(&m->mu);
  struct attempt *results = m->results;
  struct events box = m->box;
  *out = (struct mail){m->nudged, m->wished, m->draining, m->queue, m->lent, m->n_lent};
  m->lent = NULL;
  m->n_lent = m->cap_lent = 0;
  m->results = NULL;
  m->results_tail = &m->results;
  m->box = (struct events){0};
  m->queue = (struct queue_news){0};
  m->nudged = m->wished = m->posted = false;
  take_results(results, to);
  for (size_t i = 0; i < box.n; i++) events_add(to, box.v[i]);
  for (struct req *q = ledger_take(&m->reqs); q != NULL; q = q->next)
    events_add(to, (struct ev){.kind = EV_REQ, .fi = q->fi, .ti = ti_of(q), .q = q});
  pthread_mutex_unlock(&m->mu);
  free(box.v);
}

/* The clock of the wait stands still while the machine sleeps; the clock of the timers does not. A wait for a timer is cut in
 * pieces, so that the timer rings within a minute after a suspend. */
void mailbox_sleep(struct mailbox *m, int64_t until_boot_us) {
  pthread_mutex_lock(&m->mu);
  if (until_boot_us == INT64_MAX) {
    while (!m->posted && !m->stopping) pthread_cond_wait(&m->wake, &m->mu);
  } else {
    int64_t left = until_boot_us - clock_boot_us(), most = m->stopping ? END_LOOK_US : SLEEP_PIECE_US;
    bool stopping = m->stopping;
    if (left > most) left = most;
    int64_t at = clock_mono_us() + (left > 0 ? left : 0);
    while (left > 0 && !m->posted && m->stopping == stopping)
      if (!cond_until(&m->wake, &m->mu, at)) break;
  }
  pthread_mutex_unlock(&m->mu);
}

bool mailbox_may_end(struct mailbox *m, bool all, bool store_well) {
  pthread_mutex_lock(&m->mu);
  bool yes = m->stopping && ((all && !m->posted) || !store_well || clock_mono_us() >= m->stop_at);
  pthread_mutex_unlock(&m->mu);
  return yes;
}
