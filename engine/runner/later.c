/* Events that wait for their turn: later.h. */
#include "later.h"

#define LATER_US 1000                 /* the first pause */
#define LATER_STEPS 10                /* a pause is doubled at most this often while the store refuses nothing: one second */

void later_init(struct later *l, struct env *env) { *l = (struct later){.env = env}; }
void later_done(struct later *l) { events_done(&l->wait); }

void later_check(const struct later *l) {
  for (size_t i = 0; i < l->wait.n; i++) {
    const struct ev *e = &l->wait.v[i];
    wr_assert(e->then == THEN_OVER && e->wait.times <= (e->wait.alone ? LATER_ALONE_MOST : LATER_STEPS));
    wr_assert(!e->wait.alone || e->wait.times >= LATER_ALONE);
  }
}

static int64_t pause_of(const struct ev *e) {
  if (e->then == THEN_AGAIN) return 0;
  return LATER_US << (e->wait.alone ? e->wait.times - LATER_ALONE : e->wait.times);
}

void later_put(struct later *l, struct ev *e) {
  int64_t pause = pause_of(e);
  if (e->then != THEN_AGAIN && e->wait.times < (e->wait.alone ? LATER_ALONE_MOST : LATER_STEPS)) e->wait.times++;
  e->wait.at_us = l->env->boot_us + pause;
  e->then = THEN_OVER;
  events_add(&l->wait, *e);
}

/* ---- alone ---- */

static void come_alone(struct ev *e) {
  if (e->wait.times < LATER_ALONE) e->wait.times = LATER_ALONE;
  e->wait.alone = true;
}

void later_put_alone(struct later *l, struct events *from) {
  come_alone(&from->v[0]);
  later_put(l, &from->v[0]);
  events_remove(from, 1);
}

void later_put_briefly(struct later *l, struct events *from) {
  struct ev_wait *w = &from->v[0].wait;
  if (w->times > LATER_ALONE + LATER_STEPS) w->times = LATER_ALONE + LATER_STEPS;
  later_put_alone(l, from);
}

void later_put_apart(struct later *l, struct events *from, size_t n) {
  for (size_t i = 0; i < n; i++) {
    come_alone(&from->v[i]);
    from->v[i].wait.at_us = l->env->boot_us;
    events_add(&l->wait, from->v[i]);
  }
  events_remove(from, n);
}

/* ---- locked by another process ---- */

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

/* The rows of a replayed request were made before: the request is answered, whoever locks them. */
static bool rows_held(const struct batch *b, const struct ev *e) {
  if (e->q && e->q->replayed) return false;
  for (uint32_t i = 0; e->q && e->q->kind == REQ_START && i < e->q->n_start; i++)
    if (flow_held(b, e->q->start[i].fi)) return true;
  for (uint32_t i = 0; e->q && e->q->kind == REQ_ASK && i < e->q->ask->n; i++)
    if (task_held(b, e->q->ask->of[i].ti)) return true;
  return e->fi != 0 ? flow_held(b, e->fi) : e->ti != 0 && task_held(b, e->ti);
}

static bool any_held(const struct batch *b) {
  for (size_t i = 0; i < b->n_flow; i++)
    if (b->flow[i].held) return true;
  for (size_t i = 0; i < b->n_task; i++)
    if (b->task[i].held) return true;
  return false;
}

bool later_put_held(struct later *l, struct events *from, size_t n, const struct batch *b) {
  size_t kept = 0, was = from->n;
  for (size_t i = 0; i < from->n; i++) {
    if (i < n && rows_held(b, &from->v[i])) later_put(l, &from->v[i]);
    else from->v[kept++] = from->v[i];
  }
  from->n = kept;
  return kept < was || !any_held(b);
}

/* ---- their turn ---- */

static bool alone_comes(const struct events *to) {
  for (size_t i = 0; i < to->n; i++)
    if (to->v[i].wait.alone) return true;
  return false;
}

/* The event that has waited longest of those that are tried alone. SIZE_MAX = none, or `to` has such an event already. */
static size_t first_alone(const struct later *l, const struct events *to) {
  size_t first = SIZE_MAX;
  for (size_t i = 0; i < l->wait.n; i++) {
    const struct ev_wait *w = &l->wait.v[i].wait;
    if (w->alone && w->at_us <= l->env->boot_us && (first == SIZE_MAX || w->at_us < l->wait.v[first].wait.at_us)) first = i;
  }
  return first != SIZE_MAX && alone_comes(to) ? SIZE_MAX : first;
}

void later_take(struct later *l, struct events *to) {
  size_t kept = 0, alone = first_alone(l, to);
  struct ev last;
  if (alone != SIZE_MAX) last = l->wait.v[alone];
  for (size_t i = 0; i < l->wait.n; i++) {
    const struct ev *e = &l->wait.v[i];
    if (i == alone) continue;
    if (!e->wait.alone && e->wait.at_us <= l->env->boot_us) events_add(to, *e);
    else l->wait.v[kept++] = *e;
  }
  l->wait.n = kept;
  if (alone != SIZE_MAX) events_add(to, last);
}

int64_t later_next(const struct later *l) {
  int64_t at = INT64_MAX;
  for (size_t i = 0; i < l->wait.n; i++)
    if (l->wait.v[i].wait.at_us < at) at = l->wait.v[i].wait.at_us;
  return at;
}

/* ---- for parts that find events in the rows ---- */

static int by_what(const void *a, const void *b) {
  const struct later_seen *x = a, *y = b;
  if (x->fi != y->fi) return x->fi < y->fi ? -1 : 1;
  if (x->ti != y->ti) return x->ti < y->ti ? -1 : 1;
  if (x->job != y->job) return x->job < y->job ? -1 : 1;
  return (x->kind > y->kind) - (x->kind < y->kind);
}

void later_look(struct later *l) {
  l->n_seen = 0;
  if (l->wait.n == 0) return;
  l->seen = arena_alloc(&l->env->mem, l->wait.n * sizeof *l->seen);
  for (size_t i = 0; i < l->wait.n; i++) {
    const struct ev *e = &l->wait.v[i];
    if (!e->q && !e->a) l->seen[l->n_seen++] = (struct later_seen){e->fi, e->ti, e->job, e->kind};
  }
  qsort(l->seen, l->n_seen, sizeof *l->seen, by_what);
}

bool later_has(const struct later *l, const struct ev *e) {
  const struct later_seen w = {e->fi, e->ti, e->job, e->kind};
  return l->n_seen > 0 && bsearch(&w, l->seen, l->n_seen, sizeof w, by_what) != NULL;
}
