/* What waits for a slot, and which of it is next: waiting.h. */
#include "waiting.h"
#include <stddef.h>
#include <stdlib.h>
#include "log.h"

#define LOOK_AT 16                    /* lines, and entries of a line, that are looked at for one that the budget has room for */
#define LOOK_BACK 64                  /* so far from the front a task finds its place again */
#define AGE_MOST 100
#define LANES_EXACT 256               /* so many lanes of a group have one cost each; further ones have a class of costs */

struct line;
struct entry {
  int64_t ti, fi;                     /* ti 0: it was dropped, and goes when its line comes to it */
  struct line *in;
  int64_t since_us : 53;              /* to the year 2112 */
  uint64_t list : 11;                 /* of its hint */
  uint32_t next;                      /* of its line, from 1 */
  int32_t cpu : 21;
  int32_t priority : 8;
};
struct line {
  struct lane *lane;
  int64_t fi;                         /* 0: stand-alone tasks, or all of a "fifo" */
  struct line *same, *prev, *next;    /* of the same flow in another lane; the ring of its lane */
  uint32_t first, last, n;            /* n: without those that were dropped */
  int64_t turn_us;                    /* its last turn */
};
struct lane {
  struct lane_head head;              /* first: a limit knows it by that */
  int priority, cost;                 /* cost: the same of all, or a class as a negative number */
  struct line *ring, *alone;          /* the line whose turn it is; the one of fi 0 */
};

#define ENTRY_BYTES (sizeof(struct entry) + 2 * sizeof(struct map64_slot))
#define PLACE_BYTES (sizeof(struct place) + sizeof(struct person) + 4 * sizeof(struct map64_slot))

static int cost_class(int32_t cpu) {
  int c = 0;
  for (; cpu > 0; cpu >>= 1) c++;
  return c;
}

static bool is_fifo(const struct place *p) {
  for (int i = 0; i < 4; i++)
    if (p->limit[i] && p->limit[i]->order >= 0) return p->limit[i]->order == QUEUE_ORDER_FIFO;
  return false;
}

/* ---- memory ---- */

size_t waiting_room(const struct waiting *w, int s) { return w->bytes[s] < w->most ? w->most - w->bytes[s] : 0; }

static bool room_for(const struct waiting *w, const struct place *p, enum slot_class s, size_t bytes) {
  return p->bytes[s] + bytes <= waiting_room(w, s);
}

static void account(struct waiting *w, struct place *p, enum slot_class s, size_t bytes, bool more) {
  w->bytes[s] += more ? bytes : -bytes;
  p->bytes[s] += more ? bytes : -bytes;
}

static uint32_t entry_make(struct waiting *w) {
  uint32_t i = w->unused;
  if (i) {
    w->unused = w->v[i - 1].next;
    return i;
  }
  (void)*WR_PUSH(w->v, w->n_v, w->cap_v);
  return w->n_v;
}

static void entry_free(struct waiting *w, uint32_t i) {
  w->v[i - 1] = (struct entry){.next = w->unused};
  w->unused = i;
}

/* All that was needed for a long queue is given back when nothing waits any more. */
static void give_back(struct waiting *w) {
  if (w->by_ti.n > 0 || w->cap_v < 4096) return;
  map64_done(&w->by_ti);
  free(w->v);
  w->v = NULL;
  w->n_v = w->unused = 0;
  w->cap_v = 0;
}

/* ---- names, for a policy ---- */

struct told { size_t bytes; const char *type, *name, *key; char text[]; };

static size_t text_bytes(const char *s) { return s ? strlen(s) + 1 : 0; }

static size_t told_bytes(const struct waiting *w, const struct waits *t) {
  if (!queues_policy(w->q) || !t->type) return 0;
  return sizeof(struct told) + 2 * sizeof(struct map64_slot) + text_bytes(t->type) + text_bytes(t->name) + text_bytes(t->key);
}

/* NULL stays NULL. *at moves on. */
static const char *tell(char **at, const char *s) {
  char *here = *at;
  size_t n = text_bytes(s);
  if (s) memcpy(here, s, n);
  *at += n;
  return s ? here : NULL;
}

static void told_add(struct waiting *w, struct place *p, enum slot_class s, const struct waits *t) {
  size_t bytes = told_bytes(w, t);
  if (bytes == 0) return;
  struct told *k = wr_calloc(1, bytes);
  k->bytes = bytes;
  char *at = k->text;
  k->type = tell(&at, t->type);
  k->name = tell(&at, t->name);
  k->key = tell(&at, t->key);
  (void)map64_put(&w->told, t->ti, k);
  account(w, p, s, bytes, true);
}

static void told_drop(struct waiting *w, struct place *p, enum slot_class s, int64_t ti) {
  struct told *k = w->told.n > 0 ? map64_del(&w->told, ti) : NULL;
  if (k) account(w, p, s, k->bytes, false);
  free(k);
}

/* ---- lanes and lines ---- */

static struct lane *lane_of(struct waiting *w, struct place *p, enum slot_class s, int priority, int32_t cpu, struct kind *kind) {
  int cost = p->n_lane[s] < LANES_EXACT ? cpu : -cost_class(cpu);
  for (uint32_t i = 0; i < p->n_lane[s]; i++) {
    const struct lane *l = p->lane[s][i];
    if (l->priority == priority && l->head.kind == kind && (l->cost == cpu || l->cost == cost)) return p->lane[s][i];
  }
  struct lane *l = wr_new(struct lane);
  *l = (struct lane){.head = {.kept.what = KEPT_LANE, .of = p, .slot = s, .kind = kind}, .priority = priority, .cost = cost};
  size_t n = p->n_lane[s], cap = p->cap_lane[s];
  *WR_PUSH(p->lane[s], n, cap) = l;
  p->n_lane[s] = (uint32_t)n;
  p->cap_lane[s] = (uint32_t)cap;
  account(w, p, s, sizeof *l, true);
  return l;
}

static void ring_add(struct lane *l, struct line *n) {
  if (l->ring == NULL) {
    n->prev = n->next = n;
    l->ring = n;
    return;
  }
  n->next = l->ring;
  n->prev = l->ring->prev;
  n->prev->next = n;
  l->ring->prev = n;
}

static void ring_remove(struct lane *l, struct line *n) {
  if (l->ring == n) l->ring = n->next == n ? NULL : n->next;
  n->prev->next = n->next;
  n->next->prev = n->prev;
}

static struct line *line_of(struct waiting *w, struct lane *l, int64_t fi) {
  struct line *n = fi == 0 ? l->alone : map64_get(&l->head.of->lines, fi);
  while (n && n->lane != l) n = n->same;
  if (n) return n;
  n = wr_new(struct line);
  *n = (struct line){.lane = l, .fi = fi, .turn_us = w->q->env->wall_us};
  if (fi == 0) l->alone = n;
  else n->same = map64_put(&l->head.of->lines, fi, n);
  ring_add(l, n);
  account(w, l->head.of, l->head.slot, sizeof *n, true);
  return n;
}

static void lane_free(struct waiting *w, struct lane *l) {
  struct place *p = l->head.of;
  struct lane **v = p->lane[l->head.slot];
  uint32_t i = 0;
  while (v[i] != l) i++;
  v[i] = v[--p->n_lane[l->head.slot]];
  queues_lane_gone(w->q, &l->head);
  account(w, p, l->head.slot, sizeof *l, false);
  free(l);
}

static void line_free(struct waiting *w, struct line *n) {
  struct lane *l = n->lane;
  ring_remove(l, n);
  if (n->fi == 0) l->alone = NULL;
  else map64_unchain(&l->head.of->lines, n->fi, n, offsetof(struct line, same));
  account(w, l->head.of, l->head.slot, sizeof *n, false);
  free(n);
  if (l->ring == NULL) lane_free(w, l);
}

/* Entries that were dropped go once they stand first. */
static void trim(struct waiting *w, struct line *n) {
  while (n->first && w->v[n->first - 1].ti == 0) {
    uint32_t i = n->first;
    n->first = w->v[i - 1].next;
    entry_free(w, i);
    account(w, n->lane->head.of, n->lane->head.slot, ENTRY_BYTES, false);
  }
  if (n->first == 0) line_free(w, n);
}

/* ---- in and out ---- */

/* It was picked and could not be claimed, or it came back without a try: it stands where it stood, if that is near the front. */
static bool put_back(struct waiting *w, struct line *n, uint32_t i) {
  uint32_t *at = &n->first;
  for (int k = 0; k < LOOK_BACK && *at && w->v[*at - 1].ti < w->v[i - 1].ti; k++) at = &w->v[*at - 1].next;
  if (*at && w->v[*at - 1].ti < w->v[i - 1].ti) return false;
  w->v[i - 1].next = *at;
  *at = i;
  return true;
}

static void line_push(struct waiting *w, struct line *n, uint32_t i) {
  n->n++;
  if (n->first && n->fi == 0 && w->v[i - 1].ti < w->v[n->last - 1].ti && put_back(w, n, i)) return;
  if (n->first == 0) n->first = i;
  else w->v[n->last - 1].next = i;
  n->last = i;
}

static void put_entry(struct waiting *w, struct place *p, enum slot_class s, struct kind *kind, uint32_t i) {
  struct entry *e = &w->v[i - 1];
  struct lane *l = lane_of(w, p, s, p->is_fifo ? 0 : e->priority, e->cpu, kind);
  e->in = line_of(w, l, p->is_fifo ? 0 : e->fi);
  e->next = 0;
  line_push(w, e->in, i);
}

static void refuse_hint(struct waiting *w, struct place *p, enum slot_class s) {
  w->short_of[s] = p->short_of[s] = true;
  w->dry[s] = false;
  queues_leave(w->q, p);
}

/* It is here already, where it belongs. */
static bool in_place(const struct waiting *w, enum slot_class s, const struct waits *t) {
  uint32_t i = (uint32_t)(uintptr_t)map64_get(&w->by_ti, t->ti);
  const struct entry *e = i ? &w->v[i - 1] : NULL;
  if (e == NULL || e->in->lane->head.slot != s || e->in->lane->head.kind != queues_limited_kind(w->q, t->of.type) ||
      e->priority != t->of.priority || e->cpu != t->of.cpu)
    return false;
  const struct place *p = e->in->lane->head.of;
  return strcmp(p->group, t->of.group) == 0 && strcmp(p->user->name, t->of.user) == 0;
}

bool waiting_add(struct waiting *w, enum slot_class s, const struct waits *t) {
  if (w->by_ti.n > 0 && in_place(w, s, t)) return true;
  (void)waiting_drop(w, t->ti);
  struct place *p = queues_place(w->q, t->of.user, t->of.group);
  bool first = p->n[SLOT_PROCESS] + p->n[SLOT_ASYNC] + p->n[SLOT_ANALYSIS] == 0;
  size_t anew = p->n[s] > 0 ? 0 : PLACE_BYTES + strlen(t->of.user) + strlen(t->of.group);
  bool alone = w->q->n[s] == 0; /* it is the only one: it always finds room, or nothing would ever ask for it again */
  if (!alone && !room_for(w, p, s, ENTRY_BYTES + sizeof(struct line) + sizeof(struct lane) + anew + told_bytes(w, t))) {
    refuse_hint(w, p, s);
    return false;
  }
  if (first) p->is_fifo = is_fifo(p);
  uint32_t i = entry_make(w);
  w->v[i - 1] = (struct entry){.ti = t->ti, .fi = t->fi, .since_us = t->since_us, .list = t->list, .cpu = t->of.cpu,
                                .priority = t->of.priority};
  account(w, p, s, ENTRY_BYTES + anew, true);
  told_add(w, p, s, t);
  put_entry(w, p, s, queues_limited_kind(w->q, t->of.type), i);
  (void)map64_put(&w->by_ti, t->ti, (void *)(uintptr_t)i);
  p->n[s]++;
  w->q->n[s]++;
  if (p->kept.by == &w->q->cpu) queues_let_go(w->q, &p->kept); /* it may be cheaper than those that wait */
  queues_enter(w->q, p, s);
  return true;
}

/* The entry is out of all counts; its place may be gone. */
static void left(struct waiting *w, struct place *p, enum slot_class s) {
  struct queues *q = w->q;
  q->n[s]--;
  if (--p->n[s] > 0) return;
  account(w, p, s, PLACE_BYTES + strlen(p->user->name) + strlen(p->group), false);
  if (p->short_of[s] || (w->short_of[s] && w->bytes[s] <= w->most / 2)) w->dry[s] = true;
  p->short_of[s] = false;
  heap_remove(&p->user->order[s], &p->turn[s]);
  if (p->user->order[s].n == 0) heap_remove(&q->order[s], &p->user->turn[s]);
  queues_leave(q, p);
}

bool waiting_drop(struct waiting *w, int64_t ti) {
  uint32_t i = (uint32_t)(uintptr_t)(w->by_ti.n ? map64_get(&w->by_ti, ti) : NULL);
  if (i == 0) return false;
  struct entry *e = &w->v[i - 1];
  struct line *n = e->in;
  struct place *p = n->lane->head.of;
  enum slot_class s = n->lane->head.slot;
  (void)map64_del(&w->by_ti, ti);
  if (w->q->dear.ti == ti) queues_dear_gone(w->q); /* the budget drains for what waits, no longer */
  told_drop(w, p, s, ti);
  e->ti = 0;
  n->n--;
  trim(w, n);
  left(w, p, s);
  give_back(w);
  return true;
}

/* ---- the choice ---- */

static int64_t since(const struct waiting *w, const struct line *n) {
  int64_t s = w->v[n->first - 1].since_us;
  return n->fi != 0 && n->turn_us > s ? n->turn_us : s;
}

/* Of a task that waits since then. */
static int64_t aged(const struct waiting *w, const struct lane *l, int64_t since_us) {
  int64_t every = w->q->opts.ageing_us, age = w->q->env->wall_us - since_us, more = every > 0 && age > 0 ? age / every : 0;
  return l->priority + (more > AGE_MOST ? AGE_MOST : more);
}

struct choice { uint32_t entry; int64_t aged, since_us; };

/* The first entry of a line that the budget has room for, among the first few. */
static uint32_t affordable_in(struct waiting *w, const struct line *n) {
  struct limit *by;
  int looked = 0;
  for (uint32_t i = n->first; i && looked < LOOK_AT; i = w->v[i - 1].next) {
    const struct entry *e = &w->v[i - 1];
    if (e->ti == 0) continue;
    looked++;
    if (e->cpu == 0) return i;
    enum held_by no = queues_ask(w->q, n->lane->head.of, e->ti, e->cpu, &by);
    if (no != HELD_CPU && no != HELD_COSTLY) return i;
    if (no == HELD_CPU) queues_dear(w->q, e->ti, e->since_us);
  }
  return 0;
}

static void better(const struct waiting *w, struct choice *c, const struct line *n, uint32_t i) {
  int64_t s = since(w, n), a = aged(w, n->lane, s);
  if (c->entry && (a < c->aged || (a == c->aged && s >= c->since_us))) return;
  *c = (struct choice){i, a, s};
}

static void choose_in(struct waiting *w, const struct lane *l, struct choice *c) {
  struct line *n = l->ring;
  for (int k = 0; k < LOOK_AT; k++) {
    uint32_t i = affordable_in(w, n);
    if (i) {
      better(w, c, n, i);
      break;
    }
    n = n->next;
    if (n == l->ring) break;
  }
  if (l->alone && l->alone != n) { /* its tasks may have become more urgent by their age than the flow whose turn it is */
    uint32_t i = affordable_in(w, l->alone);
    if (i && aged(w, l, since(w, l->alone)) > c->aged) better(w, c, l->alone, i);
  }
}

/* The limit of its type holds it back: it leaves its place until there is room. */
static bool shut(struct waiting *w, struct lane *l) {
  if (l->head.kept.by) return true;
  if (!queues_kind_holds(w->q, l->head.kind)) return false;
  queues_keep(w->q, &l->head.kept, l->head.kind->limit);
  return true;
}

static bool all_shut(const struct place *p, enum slot_class s) { return p->n_shut[s] == p->n_lane[s]; }

static uint32_t choose(struct waiting *w, const struct place *p, enum slot_class s) {
  struct choice c = {0};
  for (uint32_t i = 0; i < p->n_lane[s]; i++)
    if (!shut(w, p->lane[s][i])) choose_in(w, p->lane[s][i], &c);
  return c.entry;
}

static void take_entry(struct waiting *w, uint32_t i, struct hint *out) {
  struct entry e = w->v[i - 1];
  struct queues *q = w->q;
  struct line *n = e.in;
  struct lane *l = n->lane;
  struct place *p = l->head.of;
  *out = (struct hint){e.ti, e.fi, e.list};
  queues_pay(q, p, l->head.slot, e.cpu);
  if (queues_counts(q, &(struct queue_view){p->user->name, p->group, 0, e.cpu, NULL}))
    queues_hold(q, p, l->head.kind, e.ti, e.cpu);
  n->turn_us = q->env->wall_us;
  l->ring = l->ring == n ? n->next : l->ring;
  ring_remove(l, n);
  ring_add(l, n);
  (void)waiting_drop(w, e.ti);
}

/* The task for which the budget drains comes first, once there is room. */
static bool take_dear(struct waiting *w, enum slot_class s, struct hint *out) {
  struct queues *q = w->q;
  uint32_t i = q->drains ? (uint32_t)(uintptr_t)map64_get(&w->by_ti, q->dear.ti) : 0;
  struct limit *by;
  if (q->drains && i == 0) queues_dear_gone(q);
  if (i == 0 || w->v[i - 1].in->lane->head.slot != s) return false;
  const struct entry *e = &w->v[i - 1];
  enum held_by no = queues_ask(q, e->in->lane->head.of, e->ti, e->cpu, &by);
  if (queues_kind_holds(q, e->in->lane->head.kind)) no = HELD_LIMIT;
  if (no != HELD_NOT && no != HELD_CPU) queues_dear_gone(q); /* a limit holds it: the budget does not drain for that */
  if (no != HELD_NOT) return false;
  take_entry(w, i, out);
  return true;
}

static struct person *person_of(struct heap_item *it, enum slot_class s) {
  return (struct person *)(void *)((char *)it - offsetof(struct person, turn) - (size_t)s * sizeof *it);
}

static struct place *place_of(struct heap_item *it, enum slot_class s) {
  return (struct place *)(void *)((char *)it - offsetof(struct place, turn) - (size_t)s * sizeof *it);
}

/* Who holds back a place: its user as a whole leaves the order, when the limit is the user's. */
static void keep(struct queues *q, struct place *p, struct limit *by) {
  queues_keep(q, by == p->limit[1] || by == q->everything ? &p->user->kept : &p->kept, by);
}

/* ---- a policy of the host ---- */

/* A heap from its least item on, without a change: `edge` are the positions whose parents were seen. */
struct walk { const struct heap *h; size_t n; uint32_t edge[OFFER_MOST + 1]; };
struct offers {
  size_t n;
  struct candidate v[OFFER_MOST];
  uint32_t entry[OFFER_MOST];
  size_t n_at;
  struct place *at[OFFER_MOST];
  struct walk people, places;
};

static void walk_begin(struct walk *k, const struct heap *h) {
  k->h = h;
  k->n = h->n > 0;
  k->edge[0] = 0;
}

static struct heap_item *walk_next(struct walk *k) {
  size_t least = 0;
  if (k->n == 0) return NULL;
  for (size_t i = 1; i < k->n; i++) {
    const struct heap_item *a = k->h->v[k->edge[i]], *b = k->h->v[k->edge[least]];
    if (a->at < b->at || (a->at == b->at && a->seq < b->seq)) least = i;
  }
  size_t at = k->edge[least];
  k->edge[least] = k->edge[--k->n];
  for (size_t kid = 2 * at + 1; kid <= 2 * at + 2 && kid < k->h->n; kid++)
    if (k->n < OFFER_MOST + 1) k->edge[k->n++] = (uint32_t)kid;
  return k->h->v[at];
}

/* The groups whose turn comes first, enough for OFFER_MOST tasks. */
static void walk_places(struct waiting *w, enum slot_class s) {
  struct offers *o = w->offers;
  struct heap_item *it, *in;
  size_t tasks = 0;
  o->n_at = 0;
  walk_begin(&o->people, &w->q->order[s]);
  while (tasks < OFFER_MOST && (it = walk_next(&o->people))) {
    walk_begin(&o->places, &person_of(it, s)->order[s]);
    while (tasks < OFFER_MOST && (in = walk_next(&o->places))) {
      o->at[o->n_at++] = place_of(in, s);
      tasks += o->at[o->n_at - 1]->n[s] < OFFER_EACH ? o->at[o->n_at - 1]->n[s] : OFFER_EACH;
    }
  }
}

/* The next of a line that is there; what was dropped between goes. 0: no more. */
static uint32_t live_after(struct waiting *w, struct line *n, uint32_t before) {
  for (uint32_t i; (i = w->v[before - 1].next);) {
    if (w->v[i - 1].ti) return i;
    w->v[before - 1].next = w->v[i - 1].next;
    if (n->last == i) n->last = before;
    entry_free(w, i);
    account(w, n->lane->head.of, n->lane->head.slot, ENTRY_BYTES, false);
  }
  return 0;
}

static bool affordable(const struct waiting *w, const struct place *p, uint32_t i) {
  struct limit *by;
  return w->v[i - 1].cpu == 0 || queues_ask(w->q, p, w->v[i - 1].ti, w->v[i - 1].cpu, &by) == HELD_NOT;
}

/* The first ones of a lane: lines take turns. */
static size_t first_of_lane(struct waiting *w, const struct lane *l, uint32_t *out) {
  struct line *line[OFFER_EACH], *at = l->ring;
  uint32_t next[OFFER_EACH];
  size_t n = 0, n_line = 0, open = 1;
  do {
    line[n_line] = at;
    next[n_line++] = at->first;
    at = at->next;
  } while (at != l->ring && n_line < OFFER_EACH);
  for (int round = 0; round < 2 * OFFER_EACH && open > 0; round++) {
    open = 0;
    for (size_t k = 0; k < n_line && n < OFFER_EACH; k++) {
      if (next[k] == 0) continue;
      if (affordable(w, l->head.of, next[k])) out[n++] = next[k];
      next[k] = live_after(w, line[k], next[k]);
      open++;
    }
  }
  return n;
}

static bool comes_first(const struct waiting *w, uint32_t a, uint32_t b) {
  const struct entry *x = &w->v[a - 1], *y = &w->v[b - 1];
  int64_t p = aged(w, x->in->lane, x->since_us), q = aged(w, y->in->lane, y->since_us);
  return p != q ? p > q : x->since_us < y->since_us;
}

/* The first ones of a group, about as it would start them by itself. */
static size_t first_of(struct waiting *w, const struct place *p, enum slot_class s, uint32_t *out) {
  uint32_t lane[OFFER_EACH], both[OFFER_EACH];
  size_t n = 0;
  for (uint32_t k = 0; k < p->n_lane[s]; k++) {
    if (shut(w, p->lane[s][k])) continue;
    if (n == OFFER_EACH && !comes_first(w, p->lane[s][k]->ring->first, out[n - 1])) continue;
    size_t m = first_of_lane(w, p->lane[s][k], lane), i = 0, j = 0, got = 0;
    while (got < OFFER_EACH && (i < n || j < m)) {
      bool former = j == m || (i < n && !comes_first(w, lane[j], out[i]));
      both[got++] = former ? out[i++] : lane[j++];
    }
    n = got;
    memcpy(out, both, n * sizeof *out);
  }
  return n;
}

static void offer(struct waiting *w, const struct place *p, const uint32_t *first, size_t n) {
  struct offers *o = w->offers;
  uint32_t of_user = 0;
  for (const struct place *k = p->user->places; k; k = k->next) of_user += k->n_held;
  for (size_t i = 0; i < n && o->n < OFFER_MOST; i++) {
    const struct entry *e = &w->v[first[i] - 1];
    const struct told *t = w->told.n > 0 ? map64_get(&w->told, e->ti) : NULL;
    o->entry[o->n] = first[i];
    o->v[o->n++] = (struct candidate){e->ti, e->since_us, p->user->name, p->group, t ? t->type : NULL, t ? t->name : NULL,
                                      t ? t->key : NULL, e->priority, e->cpu, (int32_t)of_user, (int32_t)p->n_held};
  }
}

/* Gathers what may start. False: groups that a limit holds back have left the order, and it is to be done again. */
static bool gather(struct waiting *w, enum slot_class s) {
  struct offers *o = w->offers;
  struct queues *q = w->q;
  uint32_t first[OFFER_EACH];
  bool again = false;
  o->n = 0;
  walk_places(w, s);
  for (size_t i = 0; i < o->n_at; i++) {
    struct place *p = o->at[i];
    struct limit *by = NULL;
    if (p->kept.by || p->user->kept.by) continue;
    enum held_by no = q->n_row ? queues_ask(q, p, 0, 0, &by) : HELD_NOT;
    size_t n = no == HELD_NOT ? first_of(w, p, s, first) : 0;
    if (n > 0) offer(w, p, first, n);
    else if (no != HELD_NOT) keep(q, p, by);
    else if (!all_shut(p, s)) queues_keep(q, &p->kept, &q->cpu);
    again |= n == 0;
  }
  return !again;
}

static bool pick_by_policy(struct waiting *w, enum slot_class s, struct hint *out) {
  const struct queue_policy *own = w->q->opts.policy;
  if (w->none[s]) return false;
  if (!w->offers) w->offers = wr_new(struct offers);
  while (!gather(w, s) || (w->offers->n == 0 && w->q->ripe)) queues_wake(w->q);
  if (w->offers->n == 0) return false;
  long i = own->pick(own->ctx, w->offers->v, w->offers->n);
  if (i >= 0 && (size_t)i < w->offers->n) {
    take_entry(w, w->offers->entry[i], out);
    return true;
  }
  if (i != -1 && !w->odd)
    log_error("queues.policy", L_INT("index", i), L_INT("of", (int64_t)w->offers->n),
              L_STR("effect", "it counts as -1, none now; said once"));
  w->odd |= i != -1;
  w->none[s] = true;
  return false;
}

bool waiting_pick(struct waiting *w, enum slot_class s, struct hint *out) {
  struct queues *q = w->q;
  struct heap_item *it;
  if (q->n[s] == 0) return false;
  queues_wake(q);
  if (queues_policy(q)) return pick_by_policy(w, s, out);
  if (take_dear(w, s, out)) return true;
  for (;;) {
    it = heap_top(&q->order[s]);
    if (it == NULL && !q->ripe) return false;
    if (it == NULL) {
      queues_wake(q);
      continue;
    }
    struct place *p = place_of(heap_top(&person_of(it, s)->order[s]), s);
    struct limit *by = NULL;
    enum held_by no = q->n_row ? queues_ask(q, p, 0, 0, &by) : HELD_NOT;
    if (no != HELD_NOT) {
      keep(q, p, by);
      continue;
    }
    uint32_t i = choose(w, p, s);
    if (i) {
      take_entry(w, i, out);
      return true;
    }
    if (!all_shut(p, s)) queues_keep(q, &p->kept, &q->cpu);
  }
}

size_t waiting_give(struct waiting *w, enum slot_class s, struct hint *out, size_t n) {
  const struct map64_slot *m;
  size_t got = 0;
  for (size_t i = 0; got < n && (m = map64_next(&w->by_ti, &i)) != NULL;) {
    const struct entry *e = &w->v[(uintptr_t)m->val - 1];
    const struct place *p = e->in->lane->head.of;
    bool plain = !*p->group && !*p->user->name && e->priority == 0 && e->cpu == 0 && !e->in->lane->head.kind;
    if (e->in->lane->head.slot == s) out[got++] = (struct hint){e->ti, plain ? e->fi : e->fi | HINT_QUEUED, e->list};
  }
  for (size_t i = 0; i < got; i++) (void)waiting_drop(w, out[i].ti);
  return got;
}

struct aged_entry { int64_t since_us, ti; struct kind *kind; uint32_t at; };

static int older_first(const void *a, const void *b) {
  const struct aged_entry *x = a, *y = b;
  if (x->since_us != y->since_us) return x->since_us < y->since_us ? -1 : 1;
  return x->ti < y->ti ? -1 : x->ti > y->ti;
}

/* Takes all lines of a place apart and puts their entries in order again, the oldest first. */
static void order_again(struct waiting *w, struct place *p, enum slot_class s) {
  struct aged_entry *v = NULL;
  size_t n = 0, cap = 0;
  while (p->n_lane[s] > 0) {
    struct line *l = p->lane[s][0]->ring;
    while (l->first) {
      uint32_t i = l->first;
      l->first = w->v[i - 1].next;
      if (w->v[i - 1].ti) {
        *WR_PUSH(v, n, cap) = (struct aged_entry){w->v[i - 1].since_us, w->v[i - 1].ti, l->lane->head.kind, i};
      } else {
        entry_free(w, i);
        account(w, p, s, ENTRY_BYTES, false);
      }
    }
    line_free(w, l);
  }
  if (n > 1) qsort(v, n, sizeof *v, older_first);
  for (size_t i = 0; i < n; i++) put_entry(w, p, s, v[i].kind, v[i].at);
  queues_enter(w->q, p, s); /* no lane of these is shut any more */
  free(v);
}

void waiting_ordered(struct waiting *w) {
  const struct map64_slot *m;
  for (size_t i = 0; (m = map64_next(&w->q->people, &i)) != NULL;)
    for (struct person *u = m->val; u; u = u->same)
      for (struct place *p = u->places; p; p = p->next) {
        if (p->is_fifo == is_fifo(p)) continue;
        p->is_fifo = !p->is_fifo;
        for (enum slot_class s = 0; s < SLOT__N; s++) order_again(w, p, s);
      }
}

/* ---- life ---- */

void waiting_init(struct waiting *w, struct queues *q, size_t most_bytes) {
  *w = (struct waiting){.q = q, .most = most_bytes / SLOT__N};
}

void waiting_done(struct waiting *w) {
  const struct map64_slot *m;
  int64_t *ti = wr_calloc(w->by_ti.n + 1, sizeof *ti);
  size_t n = 0;
  for (size_t i = 0; (m = map64_next(&w->by_ti, &i)) != NULL;) ti[n++] = m->key;
  for (size_t i = 0; i < n; i++) (void)waiting_drop(w, ti[i]);
  free(ti);
  map64_done(&w->by_ti);
  map64_done(&w->told);
  free(w->offers);
  free(w->v);
}

void waiting_check(const struct waiting *w) {
  const struct map64_slot *m;
  wr_assert(w->by_ti.n == (size_t)w->q->n[SLOT_PROCESS] + w->q->n[SLOT_ASYNC] + w->q->n[SLOT_ANALYSIS]);
  for (size_t i = 0; (m = map64_next(&w->by_ti, &i)) != NULL;) {
    const struct entry *e = &w->v[(uintptr_t)m->val - 1];
    wr_assert(e->ti == m->key && e->in->n > 0 && e->in->lane->head.of->n[e->in->lane->head.slot] > 0);
  }
}
