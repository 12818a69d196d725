/* Looks for lost hints: lost_hints.h. */
#include "lost_hints.h"

#define YOUNG_US 400000               /* the hint of a row that is QUEUED for less is under way */
#define PAUSE_MIN_US 600000           /* between two looks that send hints */
#define PAUSE_MAX_US 10000000         /* the same, when hints are lost again and again */
#define SEND_MOST 2000                /* about how many hints one look sends, so that it stays short beside a large backlog */
#define PAUSE_CUT_US 100000           /* after a look that sent so many, and whose hints this node has used */
#define OTHER_US 300000               /* the wait while another node looks */
#define DENIED_US 900000              /* the look of another node takes longer than this: that node may be frozen */
#define CLAIM_MIN_US 50000            /* between two looks that claim */
#define CLAIM_MAX_US 1000000          /* the same, when they find nothing */
#define OTHERS_US 1000000             /* about how long a hint for another node is kept */
#define SHARE 50                      /* looks take at most 1/SHARE of the time; but the pause after a look is never longer than
                                         PAUSE_MAX_US */

/* Classes for which this node claims from the rows. */
static uint8_t claimed(const struct lost_hints *l) { return l->away | l->claim.alone; }

static bool wants_claims(const struct lost_hints *l) {
  for (int s = 0; s < SLOT__N; s++)
    if ((claimed(l) & slot_bit(s)) && admission_open(l->admission, s) > 0) return true;
  return false;
}

/* The list is empty again after a look that was cut, and this node has claimed tasks since: the next look goes on soon. Where it
 * has not, what was found may be nothing that it can run. */
static void go_on_soon(struct lost_hints *l) {
  if (l->push.cut_us == 0 || l->admission->taken == l->push.taken) return;
  if (l->push.at > l->push.cut_us + PAUSE_CUT_US) l->push.at = l->push.cut_us + PAUSE_CUT_US;
  l->push.cut_us = 0;
}

void lost_hints_mail(struct lost_hints *l, const struct queue_news *m) {
  if (m->lost) {
    l->push.pause_us = l->push.pause_us * 2 > PAUSE_MAX_US ? PAUSE_MAX_US : l->push.pause_us * 2;
    if (l->push.at < l->env->boot_us + l->push.pause_us) l->push.at = l->env->boot_us + l->push.pause_us;
    l->known.stale_until = 0;
  } else if (m->empty) {
    l->push.pause_us = PAUSE_MIN_US;
    go_on_soon(l);
  }
  l->empty |= m->empty | m->lost;
  l->away = (uint8_t)((l->away | m->away) & ~m->back);
}

void lost_hints_init(struct lost_hints *l, struct env *env, struct events *events, struct later *later,
                     const struct admission *admission) {
  *l = (struct lost_hints){.env = env, .events = events, .later = later, .admission = admission,
                           .push.pause_us = PAUSE_MIN_US, .claim.pause_us = CLAIM_MIN_US};
}

void lost_hints_check(const struct lost_hints *l) {
  wr_assert(l->others.n <= OTHERS_MAX && l->push.pause_us >= PAUSE_MIN_US && l->push.pause_us <= PAUSE_MAX_US);
  wr_assert(l->claim.pause_us >= CLAIM_MIN_US && l->claim.pause_us <= CLAIM_MAX_US);
  wr_assert(l->look != LOOK_PUSH || l->push.classes != 0);
}

/* Called when this node was fenced or the look has ended. The look is forgotten; reports stay. */
void lost_hints_stop(struct lost_hints *l) {
  if (l->look == LOOK_PUSH) store_asker(l->env->store, false);
  l->look = LOOK_NONE;
  l->known.calm = false;
  l->known.stale_until = 0;
}

int64_t lost_hints_next(const struct lost_hints *l) {
  int64_t at = l->others.n > 0 ? l->others.v[0].at : INT64_MAX;
  if (l->env->draining) return l->others.n > 0 ? l->env->boot_us : at;
  if (l->look != LOOK_NONE) return l->env->boot_us;
  if (l->empty & ~l->away) at = l->push.at;
  if (wants_claims(l) && l->claim.at < at) at = l->claim.at;
  return at;
}

/* ---- hints of others ---- */

/* The hint of a task that this node cannot run must not go round among nodes that cannot run it, and must not be lost. So a few
 * such hints are kept for a while and then sent back. A hint that a look at the rows found is dropped, and so is one for which
 * there is no room here: a node that can run the task and has a free slot looks into the rows. The queue in memory belongs to
 * this process alone, so no other node could pop the hint. */
void lost_hints_elsewhere(struct lost_hints *l, const struct ev *e, uint8_t slot, uint16_t list) {
  bool queued = e->from == HINT_POPPED || e->from == HINT_MARKED || e->from == HINT_PULLED || e->from == HINT_RESENT;
  size_t n = l->others.n;
  if (!queued || env_keeps(l->env) || n == OTHERS_MAX) return;
  bool marked = e->from == HINT_MARKED || e->from == HINT_PULLED;
  l->others.v[n].h = (struct hint){e->ti, marked ? e->fi | HINT_QUEUED : e->fi, list};
  l->others.v[n].slot = slot;
  l->others.v[n].at = l->env->boot_us + OTHERS_US / 2 + (int64_t)env_rnd(l->env, OTHERS_US);
  l->others.n++;
}

static void send_back(struct lost_hints *l) {
  int64_t now = l->env->boot_us;
  size_t k = 0;
  bool all = l->env->draining || l->others.v[0].at <= now;
  for (size_t i = 0; i < l->others.n; i++) {
    if (!all && l->others.v[i].at > now) l->others.v[k++] = l->others.v[i];
    else (void)env_push(l->env, l->others.v[i].slot, &l->others.v[i].h, 1);
  }
  l->others.n = k;
}

/* ---- beginnings and ends ---- */

/* Lists that are no longer empty were not lost, or another node has filled them again. */
static uint8_t still_empty(const struct lost_hints *l) {
  uint8_t is = l->empty & (uint8_t)~l->away;
  for (int s = 0; s < SLOT__N; s++)
    if ((is & slot_bit(s)) && env_backlog(l->env, s) > 0) is &= (uint8_t)~slot_bit(s);
  return is;
}

/* A new look would find nothing: nothing was written since a look that saw no QUEUED row, or since a look that sent hints. Nodes
 * have those hints, but cannot run the tasks or have no free slot. */
static bool is_known(struct lost_hints *l, int64_t pulse) {
  bool same = pulse == l->known.pulse;
  if (same && (l->known.calm || l->env->boot_us < l->known.stale_until)) return true;
  l->known.stale_us = same && l->push.waits && l->known.stale_us > 0 ? l->known.stale_us * 2 : PAUSE_MIN_US;
  if (l->known.stale_us > PAUSE_MAX_US) l->known.stale_us = PAUSE_MAX_US;
  l->known.pulse = pulse;
  return false;
}

/* Another node looks, and its hints will come. If they do not, the slots of this node must not wait for them. */
static void look_denied(struct lost_hints *l) {
  l->push.at = l->env->boot_us + OTHER_US + (int64_t)env_rnd(l->env, OTHER_US);
  if (l->known.denied_us == 0) l->known.denied_us = l->env->boot_us;
  if (l->env->boot_us - l->known.denied_us < DENIED_US) return;
  l->claim.alone = l->push.classes;
  l->empty &= (uint8_t)~l->push.classes;
  l->claim.at = l->env->boot_us;
}

static enum store_rc begin_push(struct lost_hints *l) {
  int64_t pulse;
  l->empty &= l->away | still_empty(l);
  l->push.classes = l->empty & (uint8_t)~l->away;
  if (l->push.classes == 0) return STORE_OK;
  enum store_rc rc = store_pulse(l->env->store, &pulse);
  if (rc != STORE_OK) return rc;
  if (is_known(l, pulse)) {
    l->empty &= (uint8_t)~l->push.classes;
    l->push.at = l->env->boot_us + PAUSE_MIN_US;
  } else if (!store_asker(l->env->store, true)) {
    l->known.calm = l->push.waits = false; /* this node has not looked at that pulse */
    l->known.stale_until = 0;
    look_denied(l);
  } else {
    l->look = LOOK_PUSH;
    l->empty &= (uint8_t)~l->push.classes;
    l->push.young = l->push.waits = l->known.calm = false;
    l->known.denied_us = 0;
    l->page.began_us = l->env->boot_us;
    l->page.cursor = l->push.next;
    l->push.sent = 0;
  }
  return STORE_OK;
}

static void begin_claim(struct lost_hints *l) {
  l->look = LOOK_CLAIM;
  l->page.began_us = l->env->boot_us;
  l->page.from = l->page.cursor = l->page.top > 0 ? (int64_t)env_rnd(l->env, l->page.top) : 0;
  l->claim.wrapped = l->page.from == 0;
  l->claim.found = false;
}

/* The next look begins after SHARE times the time that this one took. */
static int64_t not_before(const struct lost_hints *l, int64_t least) {
  int64_t took = (l->env->boot_us - l->page.began_us) * SHARE;
  if (took > PAUSE_MAX_US) took = PAUSE_MAX_US;
  return l->env->boot_us + (took > least ? took : least);
}

static void end_push(struct lost_hints *l) {
  bool cut = l->push.sent >= SEND_MOST;
  l->push.at = not_before(l, l->push.pause_us);
  l->push.cut_us = cut ? l->env->boot_us : 0;
  l->push.taken = l->admission->taken;
  if (l->push.young) l->empty |= l->push.classes;
  bool whole = !cut && l->push.next == 0, calm = whole && !l->push.young && !l->push.waits;
  l->push.next = cut ? l->page.cursor : 0;
  lost_hints_stop(l);
  l->known.calm = calm;
  l->known.stale_until = whole && !l->push.young ? l->env->boot_us + l->known.stale_us : 0;
}

/* Rows that were found, and of which none was claimed, may wait for another node for ever: they are no reason to hurry. */
static void end_claim(struct lost_hints *l) {
  bool in_vain = l->claim.found && l->claim.found_before && l->admission->taken == l->claim.taken;
  l->claim.found_before = l->claim.found;
  l->claim.taken = l->admission->taken;
  if (in_vain) l->claim.found = false;
  l->claim.pause_us = l->claim.found ? CLAIM_MIN_US : l->claim.pause_us * 2 > CLAIM_MAX_US ? CLAIM_MAX_US : l->claim.pause_us * 2;
  l->claim.at = l->claim.found ? l->env->boot_us + l->claim.pause_us : not_before(l, l->claim.pause_us);
  l->look = LOOK_NONE;
  if (!l->claim.found && !in_vain) l->claim.alone = 0;
}

/* ---- a page ---- */

/* How many rows of a page are tried at most: more than there are free slots, because some rows belong to another class or to a
 * rival. */
static size_t rows_wanted(const struct lost_hints *l) {
  size_t n = 8;
  for (int s = 0; s < SLOT__N; s++)
    if (claimed(l) & slot_bit(s)) n += 2 * (size_t)admission_open(l->admission, s);
  return n;
}

/* The hint of a row, unless the same hint waits already. */
static void add_hint(struct lost_hints *l, struct ev e) {
  if (!later_has(l->later, &e)) events_add(l->events, e);
}

static void look_at(struct lost_hints *l, const struct live_task *t, size_t *want) {
  struct ev e = {.kind = EV_HINT, .fi = t->fi, .ti = t->ti};
  if (t->ti > l->page.top) l->page.top = t->ti;
  if (t->state != TASK_QUEUED) return;
  if (l->look == LOOK_PUSH && l->env->wall_us - t->update_us < YOUNG_US) l->push.young = true;
  else if (l->look == LOOK_PUSH) {
    l->push.waits = true;
    l->push.sent++;
    e.from = HINT_REFILL;
    e.refill = l->push.classes;
    add_hint(l, e);
  } else if (*want > 0) {
    --*want;
    l->claim.found = true;
    e.from = HINT_ROWS;
    add_hint(l, e);
  }
}

static enum store_rc look_page(struct lost_hints *l) {
  size_t n = 0, want = rows_wanted(l);
  arena_reset(&l->env->mem); /* no batch is under way */
  struct live_task *t = arena_alloc(&l->env->mem, PAGE * sizeof *t);
  enum store_rc rc = store_live_tasks(l->env->store, l->page.cursor, t, PAGE, &n);
  if (rc != STORE_OK) return rc;
  later_look(l->later);
  for (size_t i = 0; i < n; i++) look_at(l, &t[i], &want);
  bool past = l->look == LOOK_CLAIM && l->claim.wrapped && n > 0 && t[n - 1].ti >= l->page.from && l->page.from > 0;
  if (n > 0 && !past) l->page.cursor = t[n - 1].ti;
  if (n > 0 && !past && (l->look == LOOK_CLAIM || l->push.sent < SEND_MOST)) return rc;
  if (n == 0 && l->look == LOOK_CLAIM && !l->claim.wrapped) {
    l->claim.wrapped = true;
    l->page.cursor = 0;
  } else if (l->look == LOOK_PUSH) end_push(l);
  else end_claim(l);
  return rc;
}

/* A slot has become free: hints may have been lost while no poller popped. */
static void note_free(struct lost_hints *l) {
  for (int s = 0; s < SLOT__N && !env_keeps(l->env); s++) {
    uint8_t bit = slot_bit(s);
    if (l->admission->pool[s].free == 0) l->full |= l->admission->pool[s].capacity ? bit : 0;
    else if (l->full & bit) l->full &= (uint8_t)~bit, l->empty |= bit;
  }
}

enum store_rc lost_hints_turn(struct lost_hints *l) {
  note_free(l);
  if (l->others.n > 0) send_back(l);
  if (l->env->draining || (l->look == LOOK_CLAIM && !wants_claims(l))) {
    if (l->look == LOOK_CLAIM) end_claim(l);
    else lost_hints_stop(l);
    return STORE_OK;
  }
  if (l->events->n >= LIMIT_BATCH_ROWS) return STORE_OK;
  if (l->look == LOOK_NONE && wants_claims(l) && l->claim.at <= l->env->boot_us) begin_claim(l);
  enum store_rc rc = STORE_OK;
  if (l->look == LOOK_NONE && (l->empty & ~l->away) && l->push.at <= l->env->boot_us) rc = begin_push(l);
  if (rc == STORE_OK && l->look != LOOK_NONE) rc = look_page(l);
  if (rc != STORE_OK) {
    l->empty |= l->look == LOOK_PUSH ? l->push.classes : 0;
    l->push.at = l->claim.at = l->env->boot_us + PAUSE_MIN_US;
    lost_hints_stop(l);
  }
  return rc;
}
