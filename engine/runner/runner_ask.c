/* Asking the rows for what the queue has lost. The runner thread's; what pollers and pushers report comes by the mailbox.
 *
 *   a list is empty   a poller with a free slot popped nothing, a slot became free and nothing is known to wait, or hints could
 *                     not be sent: the list may have been lost (FLUSHALL, a restart), or one hint of it (with a node that popped
 *                     it and died, or froze). Every row that is QUEUED for YOUNG_US or more gets its hint again. One node at a
 *                     time does it, the store says which; less often when a look takes long. One that does not come to an end
 *                     holds up nobody: then this node takes what it has free slots for from the rows.
 *   the queue is away this node takes what it has free slots for from the rows, beginning anywhere, so that nodes do not meet
 *                     at the same ones.
 *
 * Both read pages of live rows without locks and only post events, each of which is decided again under the lock; a page a
 * turn. While nodes idle the queue tells one of them at a time that its list is empty (queue_turn()); that costs one small
 * statement, the pulse of the store: when it is that of a look that saw nothing QUEUED, nothing can have been lost since.
 * What never happens: a look while nothing was reported, or while nothing was written since one that found nothing. */
#include "runner_int.h"

#define YOUNG_US 400000               /* a row QUEUED for less: its hint is under way */
#define PAUSE_MIN_US 600000           /* between two looks that send hints */
#define PAUSE_MAX_US 10000000         /* when what they send is lost again */
#define SEND_MOST 2000                /* hints of one look, about: beside a large backlog a look stays small, and so the pause after it */
#define OTHER_US 300000               /* another node looks just now */
#define DENIED_US 900000              /* and does not come to an end: it may be frozen */
#define CLAIM_MIN_US 50000            /* between two looks that claim */
#define CLAIM_MAX_US 1000000          /* when they find nothing */
#define OTHERS_US 1000000             /* about how long a hint of others is kept */
#define SHARE 50                      /* a look takes at most this part of the time, unless that made the next one later than
                                         PAUSE_MAX_US */

/* Classes for which this node takes from the rows. */
static uint8_t claimed(const struct ask *a) { return a->away | a->alone; }

static bool wants_claims(const struct runner *r) {
  for (int s = 0; s < SLOT__N; s++)
    if ((claimed(&r->ask) & 1u << s) && r->c.free[s] > 0) return true;
  return false;
}

void ask_mail(struct runner *r, const struct ask_mail *m) {
  struct ask *a = &r->ask;
  if (m->lost) {
    a->pause_us = a->pause_us * 2 > PAUSE_MAX_US ? PAUSE_MAX_US : a->pause_us * 2;
    if (a->push_at < r->boot_us + a->pause_us) a->push_at = r->boot_us + a->pause_us;
    a->stale_until = 0;
  } else if (m->empty) {
    a->pause_us = PAUSE_MIN_US;
  }
  a->empty |= m->empty | m->lost;
  a->away = (uint8_t)((a->away | m->away) & ~m->back);
}

void ask_init(struct runner *r) { r->ask = (struct ask){.pause_us = PAUSE_MIN_US, .claim_us = CLAIM_MIN_US}; }

/* Fenced, or ended: whatever was under way is forgotten, what was reported is not. */
void ask_stop(struct runner *r) {
  if (r->ask.what == ASK_PUSH) store_asker(r->s, false);
  r->ask.what = ASK_NONE;
  r->ask.calm = false;
  r->ask.stale_until = 0;
}

int64_t ask_next(const struct runner *r) {
  const struct ask *a = &r->ask;
  int64_t at = r->others.n > 0 ? r->others.v[0].at : INT64_MAX;
  if (r->draining) return r->others.n > 0 ? r->boot_us : at;
  if (a->what != ASK_NONE) return r->boot_us;
  if (a->empty & ~a->away) at = a->push_at;
  if (wants_claims(r) && a->claim_at < at) at = a->claim_at;
  return at;
}

/* ---- hints of others ---- */

/* It must not go round in a circle of nodes that cannot run it, nor be lost: a few are kept for a while and sent back. What
 * this node found in the rows is left there, and so is what it has no room for: a node that can run it and has a slot free
 * asks the rows. A queue of this process alone has nobody else. */
void ask_elsewhere(struct runner *r, const struct ev *e, uint8_t slot) {
  struct others *o = &r->others;
  if (e->rows || e->refill || r->o.ports.pull) return;
  if (e->again || o->n == OTHERS_MAX) return;
  o->v[o->n].h = (struct hint){e->ti, e->fi};
  o->v[o->n].slot = slot;
  o->v[o->n++].at = r->boot_us + OTHERS_US / 2 + (int64_t)(rand_next(&r->c.rnd) % OTHERS_US);
}

static void send_back(struct runner *r) {
  struct others *o = &r->others;
  size_t k = 0;
  for (size_t i = 0; i < o->n; i++) {
    if (!r->draining && o->v[0].at > r->boot_us && o->v[i].at > r->boot_us) o->v[k++] = o->v[i];
    else if (r->o.ports.push) (void)r->o.ports.push(r->o.ports.ctx, (enum slot_class)o->v[i].slot, &o->v[i].h, 1);
  }
  o->n = k;
}

/* ---- beginnings and ends ---- */

/* Lists that are no longer empty were not lost, or another node has filled them again. */
static uint8_t still_empty(const struct runner *r) {
  uint8_t is = r->ask.empty & (uint8_t)~r->ask.away;
  for (int s = 0; s < SLOT__N; s++)
    if ((is & 1u << s) && r->o.ports.backlog && r->o.ports.backlog(r->o.ports.ctx, (enum slot_class)s) > 0) is &= (uint8_t)~(1u << s);
  return is;
}

/* Nothing was written since a look that saw nothing QUEUED; or nothing since hints were sent, and sent again: whoever has them
 * cannot run their tasks, or has no slot. */
static bool is_known(struct runner *r, int64_t pulse) {
  struct ask *a = &r->ask;
  bool same = pulse == a->pulse;
  if (same && (a->calm || r->boot_us < a->stale_until)) return true;
  a->stale_us = same && a->waits && a->stale_us > 0 ? a->stale_us * 2 : PAUSE_MIN_US;
  if (a->stale_us > PAUSE_MAX_US) a->stale_us = PAUSE_MAX_US;
  a->pulse = pulse;
  return false;
}

/* Another node looks: its hints will come. If not, what is here is not to wait. */
static void denied(struct runner *r) {
  struct ask *a = &r->ask;
  a->push_at = r->boot_us + OTHER_US + (int64_t)(rand_next(&r->c.rnd) % OTHER_US);
  if (a->denied_us == 0) a->denied_us = r->boot_us;
  if (r->boot_us - a->denied_us < DENIED_US) return;
  a->alone = a->classes;
  a->empty &= (uint8_t)~a->classes;
  a->claim_at = r->boot_us;
}

static enum store_rc begin_push(struct runner *r) {
  struct ask *a = &r->ask;
  int64_t pulse;
  a->empty &= a->away | still_empty(r);
  a->classes = a->empty & (uint8_t)~a->away;
  if (a->classes == 0) return STORE_OK;
  enum store_rc rc = store_pulse(r->s, &pulse);
  if (rc != STORE_OK) return rc;
  if (is_known(r, pulse)) {
    a->empty &= (uint8_t)~a->classes;
    a->push_at = r->boot_us + PAUSE_MIN_US;
  } else if (!store_asker(r->s, true)) {
    a->calm = a->waits = false; /* of that pulse this node knows nothing */
    a->stale_until = 0;
    denied(r);
  } else {
    a->what = ASK_PUSH;
    a->empty &= (uint8_t)~a->classes;
    a->young = a->waits = a->calm = false;
    a->denied_us = 0;
    a->began = r->boot_us;
    a->at = a->next;
    a->sent = 0;
  }
  return STORE_OK;
}

static void begin_claim(struct runner *r) {
  struct ask *a = &r->ask;
  a->what = ASK_CLAIM;
  a->began = r->boot_us;
  a->from = a->at = a->top > 0 ? (int64_t)(rand_next(&r->c.rnd) % (uint64_t)a->top) : 0;
  a->wrapped = a->from == 0;
  a->found = false;
}

/* The next look keeps a distance of many times what this one took. */
static int64_t not_before(const struct runner *r, int64_t least) {
  int64_t took = (r->boot_us - r->ask.began) * SHARE;
  if (took > PAUSE_MAX_US) took = PAUSE_MAX_US;
  return r->boot_us + (took > least ? took : least);
}

static void end_push(struct runner *r) {
  struct ask *a = &r->ask;
  a->push_at = not_before(r, a->pause_us);
  if (a->young) a->empty |= a->classes;
  bool cut = a->sent >= SEND_MOST, whole = !cut && a->next == 0, calm = whole && !a->young && !a->waits;
  a->next = cut ? a->at : 0;
  ask_stop(r);
  a->calm = calm;
  a->stale_until = whole && !a->young ? r->boot_us + a->stale_us : 0;
}

static void end_claim(struct runner *r) {
  struct ask *a = &r->ask;
  a->claim_us = a->found ? CLAIM_MIN_US : a->claim_us * 2 > CLAIM_MAX_US ? CLAIM_MAX_US : a->claim_us * 2;
  a->claim_at = a->found ? r->boot_us + a->claim_us : not_before(r, a->claim_us);
  a->what = ASK_NONE;
  if (!a->found) a->alone = 0;
}

/* ---- a page ---- */

/* Most rows of a page that are tried: some belong to another class, some to a rival. */
static size_t wanted(const struct runner *r) {
  size_t n = 8;
  for (int s = 0; s < SLOT__N; s++)
    if (claimed(&r->ask) & 1u << s) n += 2 * (size_t)r->c.free[s];
  return n;
}

static void look(struct runner *r, const struct live_task *t, size_t *want) {
  struct ask *a = &r->ask;
  struct ev e = {.kind = EV_HINT, .fi = t->fi, .ti = t->ti};
  if (t->ti > a->top) a->top = t->ti;
  if (t->state != TASK_QUEUED) return;
  if (a->what == ASK_PUSH && r->wall_us - t->update_us < YOUNG_US) a->young = true;
  else if (a->what == ASK_PUSH) {
    a->waits = true;
    a->sent++;
    e.refill = a->classes;
    ev_found(r, e);
  } else if (*want > 0) {
    --*want;
    a->found = e.rows = true;
    ev_found(r, e);
  }
}

static enum store_rc page(struct runner *r) {
  struct ask *a = &r->ask;
  size_t n = 0, want = wanted(r);
  arena_reset(&r->mem); /* no batch is under way */
  struct live_task *t = arena_alloc(&r->mem, PAGE * sizeof *t);
  enum store_rc rc = store_live_tasks(r->s, a->at, t, PAGE, &n);
  if (rc != STORE_OK) return rc;
  later_look(r);
  for (size_t i = 0; i < n; i++) look(r, &t[i], &want);
  bool past = a->what == ASK_CLAIM && a->wrapped && n > 0 && t[n - 1].ti >= a->from && a->from > 0;
  if (n > 0 && !past) a->at = t[n - 1].ti;
  if (n > 0 && !past && (a->what == ASK_CLAIM || a->sent < SEND_MOST)) return rc;
  if (n == 0 && a->what == ASK_CLAIM && !a->wrapped) {
    a->wrapped = true;
    a->at = 0;
  } else if (a->what == ASK_PUSH) end_push(r);
  else end_claim(r);
  return rc;
}

/* A slot has become free: hints may have been lost while nobody popped. */
static void note_free(struct runner *r) {
  for (int s = 0; s < SLOT__N && !r->o.ports.pull; s++) {
    uint8_t bit = (uint8_t)(1u << s);
    if (r->c.free[s] == 0) r->ask.full |= r->o.slots[s] ? bit : 0;
    else if (r->ask.full & bit) r->ask.full &= (uint8_t)~bit, r->ask.empty |= bit;
  }
}

enum store_rc ask_turn(struct runner *r) {
  struct ask *a = &r->ask;
  note_free(r);
  if (r->others.n > 0) send_back(r);
  if (r->draining || (a->what == ASK_CLAIM && !wants_claims(r))) {
    if (a->what == ASK_CLAIM) end_claim(r);
    else ask_stop(r);
    return STORE_OK;
  }
  if (r->n_ev >= LIMIT_BATCH_ROWS) return STORE_OK;
  if (a->what == ASK_NONE && wants_claims(r) && a->claim_at <= r->boot_us) begin_claim(r);
  enum store_rc rc = STORE_OK;
  if (a->what == ASK_NONE && (a->empty & ~a->away) && a->push_at <= r->boot_us) rc = begin_push(r);
  if (rc == STORE_OK && a->what != ASK_NONE) rc = page(r);
  if (rc != STORE_OK) {
    a->empty |= a->what == ASK_PUSH ? a->classes : 0;
    a->push_at = a->claim_at = r->boot_us + PAUSE_MIN_US;
    ask_stop(r);
  }
  return rc;
}
