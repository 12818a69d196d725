/* Requests are answered: answers.h. */
#include "answers.h"

void answers_init(struct answers *a, const struct env *env, struct mailbox *mail, struct watch *watch, struct events *events,
                  struct later *later, int64_t request_us) {
  *a = (struct answers){.env = env, .mail = mail, .watch = watch, .events = events, .later = later, .request_us = request_us};
}

void req_fail(struct req *q, enum wr_rc code, const char *text) {
  q->state = NULL; /* what a batch saw that was not stored */
  q->rc = wr_err_set(&q->err, code, text ? "%s" : NULL, text);
}

static void req_answer(struct answers *a, struct req *q) {
  mailbox_answered(a->mail, q);
  q->done(q, q->done_ctx);
}

void answers_done(struct answers *a) {
  const struct events *l = a->events;
  if (mailbox_batch_over(a->mail, l)) watch_took(a->watch, a->env->boot_us);
  for (size_t i = 0; i < l->taken; i++)
    if (ev_answers(&l->v[i])) l->v[i].q->done(l->v[i].q, l->v[i].q->done_ctx);
}

/* Answers the requests of v[from..n) for which code_of() returns a code, and removes their events. The others move up. */
typedef enum wr_rc code_fn(const struct answers *a, const struct req *q, enum wr_rc code);
static size_t answer_some(struct answers *a, struct ev *v, size_t from, size_t n, code_fn *code_of, enum wr_rc code) {
  size_t kept = from;
  for (size_t i = from; i < n; i++) {
    struct req *q = v[i].q;
    enum wr_rc rc = q ? code_of(a, q, code) : WR_OK;
    if (rc == WR_OK) { v[kept++] = v[i]; continue; }
    req_fail(q, rc, NULL);
    req_answer(a, q);
  }
  return kept;
}

/* The events of a batch whose outcome is not known stay where they are. */
static void answer_waiting(struct answers *a, code_fn *code_of, enum wr_rc code) {
  a->events->n = answer_some(a, a->events->v, events_held(a->events), a->events->n, code_of, code);
  a->later->wait.n = answer_some(a, a->later->wait.v, 0, a->later->wait.n, code_of, code);
}

static enum wr_rc each(const struct answers *a, const struct req *q, enum wr_rc code) { return (void)a, (void)q, code; }
static enum wr_rc if_too_old(const struct answers *a, const struct req *q, enum wr_rc code) {
  return a->env->boot_us - q->post_us >= a->request_us ? code : WR_OK;
}
static enum wr_rc if_taken_back(const struct answers *a, const struct req *q, enum wr_rc code) {
  return (void)a, q->back ? code : WR_OK;
}

static enum wr_rc in_doubt_code(const struct req *q) { return q->place == REQ_SENT ? WR_OUTCOME_UNKNOWN : WR_DB_UNAVAILABLE; }

/* Answers a request that was sent when it is not known whether it was stored. Its event stays in the batch without the
 * request. */
static void answer_in_doubt(struct answers *a) {
  for (size_t i = 0; i < events_held(a->events); i++) {
    struct req *q = a->events->v[i].q;
    if (q == NULL || if_too_old(a, q, WR_OUTCOME_UNKNOWN) == WR_OK) continue;
    a->events->v[i].q = NULL;
    req_fail(q, in_doubt_code(q), NULL);
    req_answer(a, q);
  }
}

/* When the oldest request was posted that should be stored by now; INT64_MAX = there is none. Two kinds of waiting requests do
 * not count: those put off because an existing row is locked, and those that are tried alone. */
static int64_t waits_since(const struct answers *a) {
  int64_t at = INT64_MAX;
  for (size_t i = 0; i < a->events->n; i++) {
    const struct ev *e = &a->events->v[i];
    if (e->q && !e->wait.alone && e->q->post_us < at) at = e->q->post_us;
  }
  for (size_t i = 0; i < a->later->wait.n; i++) {
    const struct ev *e = &a->later->wait.v[i];
    bool makes = e->q && (e->q->kind == REQ_START || e->q->kind == REQ_EXEC_TASK);
    if (makes && !e->wait.alone && e->q->post_us < at) at = e->q->post_us;
  }
  return at;
}

/* Called after each turn's answers: until the next turn, which may be far away, an answered request must not seem to wait. */
static void tell_waits(struct answers *a) {
  bool back;
  int64_t oldest = mailbox_oldest(a->mail, &back);
  watch_waits(a->watch, oldest <= a->env->boot_us - WATCH_SLOW_US / 2 ? waits_since(a) : INT64_MAX);
}

void answers_refuse(struct answers *a, enum wr_rc code) { answer_waiting(a, each, code); }

void answers_turn(struct answers *a) {
  bool back, late = mailbox_oldest(a->mail, &back) <= a->env->boot_us - a->request_us;
  enum watch_state s = watch_state(a->watch);
  if (s != WATCH_WELL) answers_refuse(a, s == WATCH_FULL ? WR_NO_SPACE : WR_DB_UNAVAILABLE);
  if (back) answer_waiting(a, if_taken_back, WR_DB_UNAVAILABLE);
  if (late) answer_waiting(a, if_too_old, WR_DB_UNAVAILABLE);
  if (late) answer_in_doubt(a);
  tell_waits(a);
}

bool answers_send(struct answers *a) { return mailbox_batch_sent(a->mail, a->events); }
void answers_hold(struct answers *a) { mailbox_batch_undone(a->mail, a->events); }

void answers_end(struct answers *a) {
  for (struct req *q; (q = a->mail->reqs.head) != NULL;) {
    req_fail(q, in_doubt_code(q), NULL);
    req_answer(a, q);
  }
}
