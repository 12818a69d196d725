/* What goes wrong on this node, for the rows and for the API: see tell.h.
 *
 * It is written with a renewal of its own, at once when it changes, and at most once in TELL_US: so that a node whose starts fail
 * in turn costs the database no more than that. A row of a dead node does not count, so nothing has to be taken back.
 * What never happens: a call of the store under a lock; a wait for it by those who ask. */
#include "runner_int.h"
#include "node_trouble.h"
#include "tell.h"

#define TELL_US 1000000

void runner_news(struct runner *r) {
  atomic_store(&r->tell.news, true);
  pthread_mutex_lock(&r->mu);
  mail_posted(r);
  pthread_mutex_unlock(&r->mu);
}

int64_t runner_trouble(struct runner *r, struct node_trouble *out) {
  const struct map64_slot *s;
  *out = (struct node_trouble){0};
  if (r->o.ports.trouble) r->o.ports.trouble(r->o.ports.ctx, out);
  if (out->starts_until_us) out->starts_until_us += store_now(r->s) - clock_boot_us();
  pthread_mutex_lock(&r->mu);
  for (size_t i = 0; r->aside.n > 0 && out->n_aside < NODE_ASIDE_MAX && (s = map64_next(&r->aside, &i)) != NULL;) out->aside[out->n_aside++] = s->key;
  pthread_mutex_unlock(&r->mu);
  return atomic_load(&r->tell.me);
}

/* ---- the row ---- */

void tell_join(struct runner *r) {
  atomic_store(&r->tell.me, r->me);
  buf_clear(&r->tell.sent);
  r->tell.at = 0;
  atomic_store(&r->tell.news, true);
}

void tell_done(struct runner *r) {
  buf_done(&r->tell.sent);
  buf_done(&r->tell.next);
}

static bool same(const struct buf *a, const struct buf *b) { return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0); }

/* The shared clock moves a little against ours: a pause that ends within the same second is the same. */
static void compose(struct runner *r) {
  struct node_trouble t;
  (void)runner_trouble(r, &t);
  t.starts_until_us = (t.starts_until_us + 999999) / 1000000 * 1000000;
  node_trouble_write(&t, &r->tell.next);
}

enum store_rc tell_turn(struct runner *r) {
  if (tell_next(r) > r->boot_us) return STORE_OK;
  atomic_store(&r->tell.news, false); /* what changes from here on is news again */
  compose(r);
  if (same(&r->tell.sent, &r->tell.next)) return STORE_OK;
  r->sent_us = r->boot_us;
  enum store_rc rc = store_tell(r->s, r->tell.next.len ? r->tell.next.data : "");
  if (rc == STORE_BAD) log_error("runner.tell", L_STR("why", store_why(r->s))); /* a table that is not ours: all else goes on */
  else if (rc != STORE_OK) {
    atomic_store(&r->tell.news, true);
    return rc;
  }
  struct buf was = r->tell.sent;
  r->tell.sent = r->tell.next;
  r->tell.next = was;
  r->tell.at = r->boot_us + TELL_US;
  lease_ok(r);
  watch_ok(&r->watch, runner_now(r));
  return STORE_OK;
}

int64_t tell_next(const struct runner *r) { return atomic_load(&r->tell.news) ? r->tell.at : INT64_MAX; }
