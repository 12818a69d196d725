/* Events whose turn comes later: what they need is held elsewhere, or they come alone. The runner thread's.
 *
 * What waits for a lock comes again with the others, after pauses that grow to a second: to look costs no wait, because the store
 * leaves out what is held. What failed together with others, while the store took other writes, comes alone: one a turn, behind all
 * that has come meanwhile, so that nobody waits behind more than one of them.
 * What never happens: a stranger's lock delays what does not need its row; the reconciler adds what waits here already. */
#include <stdlib.h>
#include "runner_int.h"

#define LATER_US 1000                 /* the first pause */
#define LATER_STEPS 10                /* doubled so often at most while the store refuses nothing: one second */

static int64_t pause_of(const struct ev *e) {
  if (e->at_once) return 0;
  return LATER_US << (e->alone ? e->put_off - ALONE_AFTER : e->put_off);
}

void put_off(struct runner *r, struct ev *e) {
  int64_t pause = pause_of(e);
  if (!e->at_once && e->put_off < (e->alone ? PUT_OFF_MOST : LATER_STEPS)) e->put_off++;
  e->again_us = r->boot_us + pause;
  e->defer = e->at_once = false;
  *WR_PUSH(r->later, r->n_later, r->cap_later) = *e;
}

/* ---- alone ---- */

static void come_alone(struct ev *e) {
  if (e->put_off < ALONE_AFTER) e->put_off = ALONE_AFTER;
  e->alone = true;
}

void put_off_alone(struct runner *r) {
  come_alone(&r->ev[0]);
  put_off(r, &r->ev[0]);
  ev_remove(r, 1);
  r->limit = SIZE_MAX;
}

void put_off_briefly(struct runner *r) {
  if (r->ev[0].put_off > ALONE_AFTER + LATER_STEPS) r->ev[0].put_off = ALONE_AFTER + LATER_STEPS;
  put_off_alone(r);
}

void apart(struct runner *r, size_t n) {
  for (size_t i = 0; i < n; i++) {
    come_alone(&r->ev[i]);
    r->ev[i].again_us = r->boot_us;
    *WR_PUSH(r->later, r->n_later, r->cap_later) = r->ev[i];
  }
  ev_remove(r, n);
}

/* ---- held by a stranger ---- */

static bool flow_held(const struct batch *b, int64_t fi) {
  size_t lo = 0, hi = b->n_flow;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (b->flow[mid].row.fi < fi) lo = mid + 1;
    else hi = mid;
  }
  return lo < b->n_flow && b->flow[lo].row.fi == fi && b->flow[lo].held;
}

static bool task_held(const struct batch *b, int64_t ti) {
  size_t lo = 0, hi = b->n_task;
  while (lo < hi) {
    size_t mid = lo + (hi - lo) / 2;
    if (b->task[mid].row.ti < ti) lo = mid + 1;
    else hi = mid;
  }
  return lo < b->n_task && b->task[lo].row.ti == ti && b->task[lo].held;
}

/* What a key stands for was made before: it is told, whoever holds it. */
static bool is_held(const struct batch *b, const struct ev *e) {
  if (e->q && e->q->replayed) return false;
  for (uint32_t i = 0; e->q && e->q->kind == REQ_START && i < e->q->n_start; i++)
    if (flow_held(b, e->q->start[i].fi)) return true;
  return e->fi != 0 ? flow_held(b, e->fi) : e->ti != 0 && task_held(b, e->ti);
}

void put_off_held(struct runner *r, size_t n) {
  size_t kept = 0;
  for (size_t i = 0; i < r->n_ev; i++) {
    if (i < n && is_held(&r->b, &r->ev[i])) put_off(r, &r->ev[i]);
    else r->ev[kept++] = r->ev[i];
  }
  r->n_ev = kept;
}

/* ---- their turn ---- */

static bool one_comes(const struct runner *r) {
  for (size_t i = 0; i < r->n_ev; i++)
    if (r->ev[i].alone) return true;
  return false;
}

/* Of those that come alone the one that has waited longest, when none is on its way: SIZE_MAX = none. */
static size_t first_alone(const struct runner *r) {
  size_t first = SIZE_MAX;
  for (size_t i = 0; i < r->n_later; i++) {
    const struct ev *e = &r->later[i];
    if (e->alone && e->again_us <= r->boot_us && (first == SIZE_MAX || e->again_us < r->later[first].again_us)) first = i;
  }
  return first != SIZE_MAX && one_comes(r) ? SIZE_MAX : first;
}

void take_later(struct runner *r) {
  size_t kept = 0, alone = first_alone(r);
  struct ev last;
  if (alone != SIZE_MAX) last = r->later[alone];
  for (size_t i = 0; i < r->n_later; i++) {
    if (i == alone) continue;
    if (!r->later[i].alone && r->later[i].again_us <= r->boot_us) ev_add(r, r->later[i]);
    else r->later[kept++] = r->later[i];
  }
  r->n_later = kept;
  if (alone != SIZE_MAX) ev_add(r, last);
}

int64_t later_next(const struct runner *r) {
  int64_t at = INT64_MAX;
  for (size_t i = 0; i < r->n_later; i++)
    if (r->later[i].again_us < at) at = r->later[i].again_us;
  return at;
}

/* ---- for those who read rows to find what is to be done ---- */

static int by_what(const void *a, const void *b) {
  const struct waits *x = a, *y = b;
  if (x->fi != y->fi) return x->fi < y->fi ? -1 : 1;
  if (x->ti != y->ti) return x->ti < y->ti ? -1 : 1;
  return (x->kind > y->kind) - (x->kind < y->kind);
}

void later_look(struct runner *r) {
  r->n_waits = 0;
  if (r->n_later == 0) return;
  r->waits = arena_alloc(&r->mem, r->n_later * sizeof *r->waits);
  for (size_t i = 0; i < r->n_later; i++) {
    const struct ev *e = &r->later[i];
    if (!e->q && !e->a) r->waits[r->n_waits++] = (struct waits){e->fi, e->ti, e->kind};
  }
  qsort(r->waits, r->n_waits, sizeof *r->waits, by_what);
}

void ev_found(struct runner *r, struct ev e) {
  const struct waits w = {e.fi, e.ti, e.kind};
  if (r->n_waits > 0 && bsearch(&w, r->waits, r->n_waits, sizeof w, by_what)) r->look_again = true;
  else ev_add(r, e);
}
