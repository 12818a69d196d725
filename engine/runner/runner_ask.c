/* Asking the rows for what the queue has lost. The runner thread's; what pollers and pushers report comes by the mailbox.
 *
 *   a list is empty   a poller with a free slot popped nothing, a slot became free and nothing is known to wait, or hints could
 *                     not be sent: the list may have been lost (FLUSHALL, a restart), so every row that is QUEUED for a second or more gets its hint again. One node at a time does
 *                     it, the store says which; at most one look a second, and less often when a look takes long.
 *   the queue is away this node takes what it has free slots for from the rows, beginning anywhere, so that nodes do not meet
 *                     at the same ones.
 *
 * Both read pages of live rows without locks and only post events, each of which is decided again under the lock; a page a
 * turn. What never happens: a look while nothing was reported: a node that idles with an empty list costs nothing. */
#include "runner_int.h"

#define YOUNG_US 1000000              /* a row QUEUED for less: its hint is under way */
#define PAUSE_MIN_US 1000000          /* between two looks that send hints */
#define PAUSE_MAX_US 10000000         /* when what they send is lost again */
#define OTHER_US 300000               /* another node looks just now */
#define CLAIM_MIN_US 50000            /* between two looks that claim */
#define CLAIM_MAX_US 1000000          /* when they find nothing */
#define OTHERS_US 1000000             /* about how long a hint of others is kept */
#define SHARE 50                      /* a look takes at most this part of the time, unless that made the next one later than
                                         PAUSE_MAX_US */

static bool wants_claims(const struct runner *r) {
  for (int s = 0; s < SLOT__N; s++)
    if ((r->ask.away & 1u << s) && r->c.free[s] > 0) return true;
  return false;
}

void ask_mail(struct runner *r, const struct ask_mail *m) {
  struct ask *a = &r->ask;
  if (m->lost) {
    a->pause_us = a->pause_us * 2 > PAUSE_MAX_US ? PAUSE_MAX_US : a->pause_us * 2;
    if (a->push_at < r->boot_us + a->pause_us) a->push_at = r->boot_us + a->pause_us;
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

static void begin_push(struct runner *r) {
  struct ask *a = &r->ask;
  a->empty &= a->away | still_empty(r);
  a->classes = a->empty & (uint8_t)~a->away;
  if (a->classes == 0) return;
  if (!store_asker(r->s, true)) {
    a->push_at = r->boot_us + OTHER_US + (int64_t)(rand_next(&r->c.rnd) % OTHER_US);
    return;
  }
  a->what = ASK_PUSH;
  a->empty &= (uint8_t)~a->classes;
  a->young = false;
  a->began = r->boot_us;
  a->at = 0;
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
  ask_stop(r);
}

static void end_claim(struct runner *r) {
  struct ask *a = &r->ask;
  a->claim_us = a->found ? CLAIM_MIN_US : a->claim_us * 2 > CLAIM_MAX_US ? CLAIM_MAX_US : a->claim_us * 2;
  a->claim_at = a->found ? r->boot_us + a->claim_us : not_before(r, a->claim_us);
  a->what = ASK_NONE;
}

/* ---- a page ---- */

/* Most rows of a page that are tried: some belong to another class, some to a rival. */
static size_t wanted(const struct runner *r) {
  size_t n = 8;
  for (int s = 0; s < SLOT__N; s++)
    if (r->ask.away & 1u << s) n += 2 * (size_t)r->c.free[s];
  return n;
}

static void look(struct runner *r, const struct live_task *t, size_t *want) {
  struct ask *a = &r->ask;
  struct ev e = {.kind = EV_HINT, .fi = t->fi, .ti = t->ti};
  if (t->ti > a->top) a->top = t->ti;
  if (t->state != TASK_QUEUED) return;
  if (a->what == ASK_PUSH && r->wall_us - t->update_us < YOUNG_US) a->young = true;
  else if (a->what == ASK_PUSH) {
    e.refill = a->classes;
    ev_add(r, e);
  } else if (*want > 0) {
    --*want;
    a->found = e.rows = true;
    ev_add(r, e);
  }
}

static enum store_rc page(struct runner *r) {
  struct ask *a = &r->ask;
  size_t n = 0, want = wanted(r);
  arena_reset(&r->mem); /* no batch is under way */
  struct live_task *t = arena_alloc(&r->mem, PAGE * sizeof *t);
  enum store_rc rc = store_live_tasks(r->s, a->at, t, PAGE, &n);
  if (rc != STORE_OK) return rc;
  for (size_t i = 0; i < n; i++) look(r, &t[i], &want);
  bool past = a->what == ASK_CLAIM && a->wrapped && n > 0 && t[n - 1].ti >= a->from && a->from > 0;
  if (n > 0 && !past) a->at = t[n - 1].ti;
  else if (n == 0 && a->what == ASK_CLAIM && !a->wrapped) {
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
  if (a->what == ASK_NONE && (a->empty & ~a->away) && a->push_at <= r->boot_us) begin_push(r);
  if (a->what == ASK_NONE) return STORE_OK;
  enum store_rc rc = page(r);
  if (rc != STORE_OK) {
    a->empty |= a->what == ASK_PUSH ? a->classes : 0;
    a->push_at = a->claim_at = r->boot_us + PAUSE_MIN_US;
    ask_stop(r);
  }
  return rc;
}
