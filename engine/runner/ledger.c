/* Requests that were taken and not answered: ledger.h. */
#include "ledger.h"
#include "err.h"

void ledger_init(struct ledger *l, size_t most) { *l = (struct ledger){.most = most}; }

bool ledger_post(struct ledger *l, struct req *q, int64_t boot_us) {
  if (l->n >= l->most) return false;
  q->next = NULL;
  q->prev = l->tail;
  q->place = REQ_MAIL;
  q->back = false;
  q->post_us = boot_us;
  if (l->tail) l->tail->next = q;
  else l->head = q;
  l->tail = q;
  if (l->mail == NULL) l->mail = q;
  l->n++;
  return true;
}

static void unlink_req(struct ledger *l, struct req *q) {
  if (l->mail == q) l->mail = q->next;
  if (q->prev) q->prev->next = q->next;
  else l->head = q->next;
  if (q->next) q->next->prev = q->prev;
  else l->tail = q->prev;
  if (q->back) l->n_back--;
  q->next = q->prev = NULL;
  q->place = REQ_NOWHERE;
  l->n--;
}

struct req *ledger_take(struct ledger *l) {
  struct req *first = l->mail;
  for (struct req *q = first; q != NULL; q = q->next) q->place = REQ_HELD;
  l->mail = NULL;
  return first;
}

enum req_back ledger_back(struct ledger *l, struct req *q) {
  enum req_place was = (enum req_place)q->place;
  switch (was) {
  case REQ_NOWHERE: return REQ_BACK_ANSWERED;
  case REQ_MAIL: unlink_req(l, q); return REQ_BACK_YOURS;
  case REQ_HELD: case REQ_SENT: break;
  }
  if (!q->back) l->n_back++;
  q->back = true;
  return was == REQ_SENT ? REQ_BACK_UNKNOWN : REQ_BACK_UNSENT;
}

bool ledger_send(struct ledger *l, struct req *q) {
  (void)l;
  wr_assert(q->place == REQ_HELD);
  if (q->back) return false;
  q->place = REQ_SENT;
  return true;
}

void ledger_hold(struct req *q) {
  if (q->place == REQ_SENT) q->place = REQ_HELD;
}

void ledger_done(struct ledger *l, struct req *q) {
  wr_assert(q->place != REQ_NOWHERE);
  unlink_req(l, q);
}

int64_t ledger_oldest(const struct ledger *l) { return l->head ? l->head->post_us : INT64_MAX; }

void ledger_check(const struct ledger *l) {
  size_t n = 0, back = 0;
  bool mail = false;
  for (const struct req *q = l->head, *before = NULL; q != NULL; before = q, q = q->next) {
    mail |= q == l->mail;
    wr_assert(q->prev == before && (q->place == REQ_MAIL) == mail && q->place != REQ_NOWHERE);
    wr_assert(q->next != NULL || q == l->tail);
    back += q->back;
    n++;
  }
  wr_assert(n == l->n && back == l->n_back && n <= l->most && (l->mail == NULL || mail));
}
