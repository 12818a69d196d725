/* Whose tasks may start, and whose turn it is: queues.h. */
#include "queues.h"
#include <stddef.h>
#include <stdlib.h>
#include "text.h"

#define WEIGHT_DEFAULT 100
#define PAID_UNIT 65536               /* what a start of cost 1 pays at weight 1, before the hundred of a core is taken out */
#define WAKE_AT_ONCE 64               /* members that a limit lets go of in one turn; the others follow */

/* ---- names ---- */

static struct limit *limit_find(const struct queues *q, const char *user, const char *group) {
  if (q->n_row == 0) return NULL;
  struct limit *l = map64_get(&q->limits, text_pair_hash(q->salt, user, group));
  while (l && (strcmp(l->user, user) != 0 || strcmp(l->group, group) != 0)) l = l->same;
  return l;
}

void queues_limits(const struct queues *q, const char *user, const char *group, struct limit *out[4]) {
  out[0] = *group ? limit_find(q, user, group) : NULL;
  out[1] = *user ? limit_find(q, user, "") : NULL;
  out[2] = *group && *user && *user != '\1' ? limit_find(q, "", group) : NULL; /* clean-ups, analyses: cache.h */
  out[3] = *user == '\1' ? NULL : q->everything;
}

static void leave_list(struct queues *q, struct kept *k);
static void ripen(struct queues *q, struct limit *l);

/* Types are few (LIMIT_ADDED_ROWS), so none is forgotten. */
static struct kind *kind_of(struct queues *q, const char *type) {
  if (!type) return NULL;
  int64_t hash = text_pair_hash(q->salt, QUEUE_OF_TYPE, type);
  struct kind *first = map64_get(&q->kinds, hash), *k = first;
  while (k && strcmp(k->type, type) != 0) k = k->same;
  if (k) return k;
  k = wr_new(struct kind);
  k->type = wr_strdup(type);
  k->limit = limit_find(q, QUEUE_OF_TYPE, type);
  k->same = map64_put(&q->kinds, hash, k);
  return k;
}

struct kind *queues_limited_kind(struct queues *q, const char *type) {
  struct kind *k = q->n_row > 0 ? kind_of(q, type) : NULL;
  return k && k->limit ? k : NULL;
}

static struct person *person_make(struct queues *q, const char *name) {
  int64_t hash = text_pair_hash(q->salt, name, "");
  struct person *u = map64_get(&q->people, hash);
  while (u && strcmp(u->name, name) != 0) u = u->same;
  if (u) return u;
  u = wr_new(struct person);
  u->name = wr_strdup(name);
  u->hash = hash;
  u->kept.what = KEPT_PERSON;
  u->same = map64_put(&q->people, hash, u);
  return u;
}

struct place *queues_place(struct queues *q, const char *user, const char *group) {
  int64_t hash = text_pair_hash(q->salt, user, group);
  struct place *p = map64_get(&q->places, hash);
  while (p && (strcmp(p->group, group) != 0 || strcmp(p->user->name, user) != 0)) p = p->same;
  if (p) return p;
  struct person *u = person_make(q, user);
  p = wr_new(struct place);
  p->user = u;
  p->group = wr_strdup(group);
  p->next = u->places;
  if (u->places) u->places->prev = p;
  u->places = p;
  p->hash = hash;
  p->same = map64_put(&q->places, hash, p);
  queues_limits(q, user, group, p->limit);
  return p;
}

static void place_unlink(struct queues *q, struct place *p) {
  map64_unchain(&q->places, p->hash, p, offsetof(struct place, same));
  if (p->prev) p->prev->next = p->next;
  else p->user->places = p->next;
  if (p->next) p->next->prev = p->prev;
}

static void person_free(struct queues *q, struct person *u) {
  map64_unchain(&q->people, u->hash, u, offsetof(struct person, same));
  leave_list(q, &u->kept);
  for (int s = 0; s < SLOT__N; s++) {
    heap_remove(&q->order[s], &u->turn[s]);
    heap_done(&u->order[s]);
  }
  free(u->name);
  free(u);
}

void queues_leave(struct queues *q, struct place *p) {
  struct person *u = p->user;
  if (p->n_held > 0) return;
  for (int s = 0; s < SLOT__N; s++)
    if (p->n[s] > 0 || p->n_lane[s] > 0) return;
  place_unlink(q, p);
  leave_list(q, &p->kept);
  for (int s = 0; s < SLOT__N; s++) {
    heap_remove(&u->order[s], &p->turn[s]);
    free(p->lane[s]);
  }
  map64_done(&p->lines);
  free(p->group);
  free(p);
  if (person_is_idle(u)) person_free(q, u);
}

bool queues_serves(const struct queues *q, const char *user, const char *group) {
  return *user == '\1' || queue_served(q->opts.serves, q->opts.n_serves, user, group);
}

/* ---- what a limit says ---- */

static bool limits_starts(const struct limit *l) { return l->max_running >= 0 || l->count > 0 || l->paused; }

/* Does a row that matches say more than a weight or an order? */
static bool place_limited(const struct place *p) {
  for (int i = 0; i < 4; i++)
    if (p->limit[i] && limits_starts(p->limit[i])) return true;
  return false;
}

/* Are the rows that limit it locked by this batch, so that no other node counts meanwhile? Nothing that such a row holds back is
 * overtaken. */
static bool is_locked(const struct queues *q, const struct limit *l) {
  return !limit_is_shared(l) || l->locked == q->env->batch_no;
}

static bool place_locked(const struct queues *q, const struct place *p) {
  for (int i = 0; i < 4; i++) {
    const struct limit *l = p->limit[i];
    if (l && (l->at != 0 || !is_locked(q, l))) return false;
  }
  return true;
}

static uint64_t weight_of(const struct limit *l) { return l && l->weight > 0 ? (uint64_t)l->weight : WEIGHT_DEFAULT; }

/* The bucket as this node knows it, less what is picked and not claimed yet. */
static int64_t rate_ready(const struct limit *l, int64_t now) {
  int64_t full = l->rate_us > now ? l->rate_us : now;
  return full + (int64_t)l->picked * l->each_us - (l->count - 1) * l->each_us;
}

/* own: the task is counted here already. */
static enum held_by limit_ask(const struct queues *q, const struct limit *l, bool own) {
  int64_t now = q->env->wall_us;
  uint64_t others = (uint64_t)l->held + l->foreign + (l->of_type ? q->untold : 0) - own;
  if (l->paused) return HELD_PAUSED;
  if (l->max_running >= 0 && others >= (uint64_t)l->max_running) return HELD_LIMIT;
  if (l->count > 0 && !own && rate_ready(l, now) > now) return HELD_RATE;
  return HELD_NOT;
}

bool queues_kind_holds(const struct queues *q, const struct kind *k) {
  return k && k->limit && limit_ask(q, k->limit, false) != HELD_NOT;
}

static bool affordable(const struct queues *q, int64_t ti, int32_t cpu) {
  if (cpu == 0) return true;
  if (q->drains && q->dear.ti != ti) return false;
  return q->cpu_used + cpu <= q->opts.cpu_budget;
}

enum held_by queues_ask(const struct queues *q, const struct place *p, int64_t ti, int32_t cpu, struct limit **by) {
  for (int i = 3; i >= 0 && q->n_row > 0; i--) {
    enum held_by no = p->limit[i] ? limit_ask(q, p->limit[i], false) : HELD_NOT;
    *by = p->limit[i];
    if (no != HELD_NOT) return no;
  }
  *by = NULL;
  if (cpu > q->opts.cpu_budget) return HELD_COSTLY;
  return affordable(q, ti, cpu) ? HELD_NOT : HELD_CPU;
}

static int64_t price(int32_t cpu, uint64_t weight) { return (int64_t)(cpu > 100 ? cpu : 100) * PAID_UNIT / (int64_t)weight; }

static uint64_t weight_of_person(const struct queues *q, const struct person *u) {
  return weight_of(u->places && *u->name ? u->places->limit[1] : q->everything);
}

/* The clock is what the one that is served had paid: who comes anew begins one start behind that, as if it were served now. So
 * who comes and goes all the time gets no more than its share. */
void queues_pay(struct queues *q, struct place *p, enum slot_class s, int32_t cpu) {
  struct person *u = p->user;
  if (u->paid[s] > q->clock[s]) q->clock[s] = u->paid[s];
  if (p->paid[s] > u->clock[s]) u->clock[s] = p->paid[s];
  u->paid[s] += price(cpu, weight_of_person(q, u));
  p->paid[s] += price(cpu, weight_of(p->limit[0]));
  if (u->turn[s].pos) heap_push(&q->order[s], &u->turn[s], u->paid[s]);
  if (p->turn[s].pos) heap_push(&u->order[s], &p->turn[s], p->paid[s]);
}

/* ---- the order ---- */

static void person_enter(struct queues *q, struct person *u, enum slot_class s) {
  if (u->kept.by || u->turn[s].pos || u->order[s].n == 0) return;
  int64_t from = q->clock[s] + price(100, weight_of_person(q, u));
  if (u->paid[s] < from) u->paid[s] = from;
  heap_push(&q->order[s], &u->turn[s], u->paid[s]);
}

void queues_enter(struct queues *q, struct place *p, enum slot_class s) {
  struct person *u = p->user;
  if (p->kept.by || p->n[s] == 0 || p->n_shut[s] == p->n_lane[s]) return;
  if (!p->turn[s].pos) {
    int64_t from = u->clock[s] + price(100, weight_of(p->limit[0]));
    if (p->paid[s] < from) p->paid[s] = from;
    heap_push(&u->order[s], &p->turn[s], p->paid[s]);
  }
  person_enter(q, u, s);
}

static int64_t least(const int64_t paid[SLOT__N]) {
  int64_t n = paid[0];
  for (int s = 1; s < SLOT__N; s++)
    if (paid[s] < n) n = paid[s];
  return n;
}

static struct lane_head *lane_of(struct kept *k) { return (struct lane_head *)(void *)k; }
static struct place *place_of(struct kept *k) { return k->what == KEPT_LANE ? lane_of(k)->of : (struct place *)(void *)k; }

static void kept_link(struct limit *l, struct kept *k) {
  k->by = l;
  heap_push(&l->kept, &k->at, least(k->what == KEPT_PERSON ? ((struct person *)(void *)k)->paid : place_of(k)->paid));
}

static void kept_unlink(struct kept *k) {
  heap_remove(&k->by->kept, &k->at);
  k->by = NULL;
}

static struct kept *kept_first(const struct limit *l) { return (struct kept *)(void *)heap_top(&l->kept); }

static bool rate_holds(const struct queues *q, const struct limit *l) { return limit_ask(q, l, false) == HELD_RATE; }

static void blocker_add(struct queues *q, struct limit *l) {
  if (l->at) return;
  *WR_PUSH(q->blockers, q->n_blockers, q->cap_blockers) = l;
  l->at = q->n_blockers;
}

static void blocker_remove(struct queues *q, struct limit *l) {
  if (!l->at) return;
  struct limit *last = q->blockers[--q->n_blockers];
  q->blockers[l->at - 1] = last;
  last->at = l->at;
  l->at = 0;
  l->ripe = false;
  l->ripe_at = INT64_MAX;
}

static void place_exit(struct queues *q, struct place *p, int s) {
  heap_remove(&p->user->order[s], &p->turn[s]);
  if (p->user->order[s].n == 0) heap_remove(&q->order[s], &p->user->turn[s]);
}

static void exit_if_shut(struct queues *q, struct place *p, int s) {
  if (p->n_lane[s] > 0 && p->n_shut[s] == p->n_lane[s]) place_exit(q, p, s);
}

void queues_keep(struct queues *q, struct kept *k, struct limit *by) {
  for (int s = 0; s < SLOT__N; s++) {
    if (k->what == KEPT_PERSON) heap_remove(&q->order[s], &((struct person *)(void *)k)->turn[s]);
    if (k->what == KEPT_PLACE) place_exit(q, place_of(k), s);
  }
  if (k->what == KEPT_LANE) place_of(k)->n_shut[lane_of(k)->slot]++, exit_if_shut(q, place_of(k), lane_of(k)->slot);
  kept_link(by, k);
  blocker_add(q, by);
  by->ripe_at = rate_holds(q, by) ? rate_ready(by, q->env->wall_us) : INT64_MAX;
  if (by->ripe_at < q->rate_at) q->rate_at = by->ripe_at;
}

static void leave_list(struct queues *q, struct kept *k) {
  struct limit *l = k->by;
  if (l == NULL) return;
  kept_unlink(k);
  if (l->kept.n == 0) blocker_remove(q, l);
}

static void lane_open(struct queues *q, struct lane_head *l) {
  struct place *p = l->of;
  p->n_shut[l->slot]--;
  if (p->kept.by == &q->cpu) queues_let_go(q, &p->kept); /* the budget may have room for what is in this lane */
  queues_enter(q, p, l->slot);
}

void queues_let_go(struct queues *q, struct kept *k) {
  leave_list(q, k);
  if (k->what == KEPT_LANE) lane_open(q, lane_of(k));
  for (enum slot_class s = 0; s < SLOT__N; s++) {
    if (k->what == KEPT_PERSON) person_enter(q, (struct person *)(void *)k, s);
    if (k->what == KEPT_PLACE) queues_enter(q, place_of(k), s);
  }
}

void queues_lane_gone(struct queues *q, struct lane_head *l) {
  if (l->kept.by) l->of->n_shut[l->slot]--;
  leave_list(q, &l->kept);
  exit_if_shut(q, l->of, l->slot);
}

static void ripen(struct queues *q, struct limit *l) {
  if (l->at) q->ripe = l->ripe = true;
}

static void rates_wake(struct queues *q) {
  int64_t now = q->env->wall_us;
  if (q->rate_at > now) return;
  q->rate_at = INT64_MAX;
  for (size_t i = 0; i < q->n_blockers; i++) {
    struct limit *l = q->blockers[i];
    if (l->ripe_at <= now) ripen(q, l);
    else if (l->ripe_at < q->rate_at) q->rate_at = l->ripe_at;
  }
}

static bool drain_due(const struct queues *q) {
  return q->dear.ti != 0 && q->env->wall_us - q->dear.since_us >= q->opts.cost_wait_us;
}

void queues_dear_gone(struct queues *q) {
  q->dear.ti = 0;
  q->drains = false;
  ripen(q, &q->cpu);
}

void queues_wake(struct queues *q) {
  rates_wake(q);
  q->drains = q->drains || drain_due(q);
  if (!q->ripe) return;
  q->ripe = false;
  for (size_t i = q->n_blockers; i-- > 0;) {
    struct limit *l = q->blockers[i];
    if (!l->ripe) continue;
    l->ripe = false;
    if (l != &q->cpu && limit_ask(q, l, false) != HELD_NOT) {
      l->ripe_at = rate_holds(q, l) ? rate_ready(l, q->env->wall_us) : INT64_MAX;
      if (l->ripe_at < q->rate_at) q->rate_at = l->ripe_at;
      continue;
    }
    size_t most = l == &q->cpu ? l->kept.n : WAKE_AT_ONCE;
    for (size_t n = 0; n < most && l->kept.n > 0; n++) queues_let_go(q, kept_first(l));
    if (l->kept.n > 0) q->ripe = l->ripe = true; /* the others follow */
  }
}

/* ---- what counts ---- */

bool queues_counts(const struct queues *q, const struct queue_view *of) {
  return q->n_row > 0 || of->cpu > 0 || *of->user || *of->group || of->type || queues_policy(q);
}

/* The limits of its queues, then that of its type; each may be NULL. A clean-up counts nowhere. */
enum { LIMITS_OF_ONE = 5 };
static struct limit *limit_of(const struct hold *h, int i) {
  if (i < 4) return h->at->limit[i];
  return h->kind && *h->at->user->name != '\1' ? h->kind->limit : NULL;
}

static void untold(struct queues *q, const struct hold *h, bool up) {
  const struct map64_slot *s;
  if (!h->untold) return;
  q->untold += up ? 1u : -1u;
  for (size_t i = 0; !up && (s = map64_next(&q->kinds, &i)) != NULL;)
    for (const struct kind *k = s->val; k; k = k->same)
      if (k->limit) ripen(q, k->limit);
}

static void count_up(struct queues *q, const struct hold *h) {
  for (int i = 0; i < LIMITS_OF_ONE; i++)
    if (limit_of(h, i)) limit_of(h, i)->held++;
  h->at->n_held++;
  untold(q, h, true);
}

static void count_down(struct queues *q, const struct hold *h) {
  for (int i = 0; i < LIMITS_OF_ONE; i++) {
    struct limit *l = limit_of(h, i);
    if (!l) continue;
    l->held--;
    ripen(q, l);
  }
  h->at->n_held--;
  untold(q, h, false);
}

static void count_picked(const struct hold *h, bool up) {
  for (int i = 0; i < LIMITS_OF_ONE; i++)
    if (limit_of(h, i)) limit_of(h, i)->picked += up ? 1u : -1u;
}

static struct hold *hold_make(struct queues *q, const struct hold *as, int64_t ti) {
  struct hold *h = map64_get(&q->holds, ti);
  if (h) return h;
  h = wr_new(struct hold);
  *h = *as;
  count_up(q, h);
  q->cpu_used += h->cpu;
  (void)map64_put(&q->holds, ti, h);
  if (q->dear.ti == ti) queues_dear_gone(q);
  return h;
}

static void set_cost(struct queues *q, struct hold *h, int32_t cpu, bool lent) {
  q->cpu_used += (lent ? 0 : cpu) - hold_cost(h);
  h->cpu = cpu;
  h->lent = lent;
}

static void hold_over(struct queues *q, int64_t ti, struct hold *h) {
  struct place *p = h->at;
  if (h->picked || h->running > 0) return;
  q->cpu_used -= hold_cost(h);
  if (h->cpu > 0) ripen(q, &q->cpu);
  count_down(q, h);
  (void)map64_del(&q->holds, ti);
  free(h);
  queues_leave(q, p);
}

static bool is_at(const struct hold *h, const char *user, const char *group) {
  return strcmp(h->at->user->name, user) == 0 && strcmp(h->at->group, group) == 0;
}

static void move(struct queues *q, struct hold *h, const char *user, const char *group) {
  struct place *from = h->at, *to = queues_place(q, user, group);
  if (h->picked) count_picked(h, false);
  count_down(q, h);
  h->at = to;
  h->paid_us = 0;
  count_up(q, h);
  if (h->picked) count_picked(h, true);
  queues_leave(q, from);
}

static void set_kind(struct queues *q, struct hold *h, struct kind *kind) {
  if (h->picked) count_picked(h, false);
  count_down(q, h);
  h->kind = kind;
  h->paid_us = 0;
  h->untold = false;
  count_up(q, h);
  if (h->picked) count_picked(h, true);
}

/* An attempt of a former node may still be held here, which costs nothing and may be in another queue. */
static void hold_again(struct queues *q, struct hold *h, const struct place *p, struct kind *kind, int32_t cpu) {
  set_cost(q, h, cpu, false);
  if (h->at != p) move(q, h, p->user->name, p->group);
  if (h->kind != kind || h->untold) set_kind(q, h, kind);
}

static void note_move(struct queues *q, int64_t ti, const struct hold *h) {
  *WR_PUSH(q->moved, q->n_moved, q->cap_moved) =
    (struct queue_moved){ti, wr_strdup(h->at->user->name), wr_strdup(h->at->group), h->kind, h->cpu};
}

void queues_hold(struct queues *q, struct place *p, struct kind *kind, int64_t ti, int32_t cpu) {
  struct hold *h = hold_make(q, &(struct hold){.at = p, .kind = kind, .cpu = cpu}, ti);
  if (h->picked) return;
  if (h->running > 0 && h->at != p) note_move(q, ti, h); /* its attempt ends and its analysis begins, if the batch commits */
  hold_again(q, h, p, kind, cpu);
  h->picked = true;
  count_picked(h, true);
}

bool queues_is_of(struct queues *q, int64_t ti, const char *type) {
  struct hold *h = map64_get(&q->holds, ti);
  struct kind *k = kind_of(q, type);
  if (!h || h->kind == k) return true;
  if (k && k->limit) return false;
  set_kind(q, h, k);
  return true;
}

bool queues_home(struct queues *q, const struct queue_view *of, int64_t ti) {
  struct place *p = queues_place(q, of->user, of->group);
  struct kind *kind = kind_of(q, of->type);
  struct limit *by;
  bool here = q->env->single || !place_limited(p) || place_locked(q, p);
  if (here && kind && kind->limit) here = kind->limit->at == 0 && (q->env->single || is_locked(q, kind->limit));
  if (!here || queues_kind_holds(q, kind) || queues_ask(q, p, ti, of->cpu, &by) != HELD_NOT) {
    queues_leave(q, p);
    return false;
  }
  queues_hold(q, p, kind, ti, of->cpu);
  *WR_PUSH(q->fresh, q->n_fresh, q->cap_fresh) = ti;
  return queues_claim(q, ti);
}

bool queues_claim(struct queues *q, int64_t ti) {
  struct hold *h = map64_get(&q->holds, ti);
  int64_t now = q->env->wall_us;
  if (h == NULL) return true;
  for (int i = 0; i < LIMITS_OF_ONE; i++) {
    const struct limit *l = limit_of(h, i);
    if (l && limit_ask(q, l, true) != HELD_NOT) return false;
    if (l && l->count > 0 && l->rate_us - (l->count - 1) * l->each_us > now) return false;
  }
  h->paid_us = now;
  for (int i = 0; i < LIMITS_OF_ONE; i++) {
    struct limit *l = limit_of(h, i);
    if (!l || l->count == 0) continue;
    l->rate_us = (l->rate_us > now ? l->rate_us : now) + l->each_us;
    q->rates = l->rate_dirty = true;
  }
  return true;
}

void queues_unpaid(struct queues *q, int64_t ti) {
  struct hold *h = map64_get(&q->holds, ti);
  if (h == NULL || h->running == 0 || h->paid_us == 0) return;
  for (int i = 0; i < LIMITS_OF_ONE; i++) {
    struct limit *l = limit_of(h, i);
    if (!l || l->count == 0 || l->since_us > h->paid_us || !(q->env->single || is_locked(q, l))) continue;
    l->rate_us -= l->each_us;
    q->rates = l->rate_dirty = true;
    ripen(q, l);
  }
}

static void unpick(struct hold *h) {
  if (h->picked) count_picked(h, false);
  h->picked = false;
}

void queues_release(struct queues *q, int64_t ti) {
  struct hold *h = map64_get(&q->holds, ti);
  if (h == NULL) return;
  unpick(h);
  hold_over(q, ti, h);
}

void queues_started(struct queues *q, int64_t ti) {
  struct hold *h = map64_get(&q->holds, ti);
  if (h == NULL) return;
  unpick(h), h->running++;
}

void queues_lend(struct queues *q, int64_t ti, bool lent) {
  struct hold *h = map64_get(&q->holds, ti);
  if (h == NULL || h->lent == lent) return;
  set_cost(q, h, h->cpu, lent);
  if (lent && h->cpu > 0) ripen(q, &q->cpu);
}

void queues_ended(struct queues *q, int64_t ti) {
  struct hold *h = q->holds.n > 0 ? map64_get(&q->holds, ti) : NULL;
  if (h == NULL || h->running == 0) return;
  h->running--;
  hold_over(q, ti, h);
}

static void count_foreign(const struct queues *q, const char *user, const char *group) {
  struct limit *l[4];
  queues_limits(q, user, group, l);
  for (int i = 0; i < 4; i++)
    if (l[i]) l[i]->foreign++;
}

void queues_move(struct queues *q, int64_t ti, const char *user, const char *group, bool elsewhere) {
  struct hold *h = map64_get(&q->holds, ti);
  if (h) {
    note_move(q, ti, h);
    move(q, h, user, group);
  } else if (elsewhere) { /* until what others run is read again */
    count_foreign(q, user, group);
  }
}

static void moves_over(struct queues *q, bool committed) {
  while (q->n_moved > 0) {
    struct queue_moved *m = &q->moved[--q->n_moved];
    struct hold *h = committed ? NULL : map64_get(&q->holds, m->ti);
    if (h) move(q, h, m->user, m->group);
    if (h && h->kind != m->kind) set_kind(q, h, m->kind);
    if (h && h->cpu != m->cpu) set_cost(q, h, m->cpu, h->lent);
    free(m->user);
    free(m->group);
  }
}

void queues_reset(struct queues *q) {
  const struct map64_slot *s;
  while (q->holds.n > 0) {
    size_t i = 0;
    s = map64_next(&q->holds, &i);
    struct hold *h = s->val;
    unpick(h);
    h->running = 0;
    hold_over(q, s->key, h);
  }
}

/* ---- rows ---- */

static struct limit *limit_make(struct queues *q, const struct queue_row *row) {
  struct limit *l = limit_find(q, row->user, row->group);
  if (l) return l;
  l = wr_new(struct limit);
  l->user = wr_strdup(row->user);
  l->group = wr_strdup(row->group);
  l->ripe_at = INT64_MAX;
  l->of_type = strcmp(row->user, QUEUE_OF_TYPE) == 0;
  l->same = map64_put(&q->limits, text_pair_hash(q->salt, l->user, l->group), l);
  *WR_PUSH(q->row, q->n_row, q->cap_row) = l;
  return l;
}

static void limit_set(const struct queues *q, struct limit *l, const struct queue_row *row) {
  int64_t count = l->count, each_us = l->each_us;
  l->seen = true;
  l->max_running = row->max_running;
  l->weight = row->weight > 0 ? row->weight : 0;
  l->order = row->order;
  l->paused = row->paused > 0;
  l->count = row->rate_count > 0 && row->rate_per_us > 0 ? row->rate_count : 0;
  l->each_us = l->count ? (row->rate_per_us + l->count - 1) / l->count : 0;
  if (l->since_us == 0 || l->count != count || l->each_us != each_us) l->since_us = q->env->wall_us;
  l->rate_us = l->rate_stored_us = row->rate_at; /* nothing newer is committed: rows are read before claims */
  l->queue_id = row->queue_id;
}

/* No name leads to it any more. */
static void limit_unlist(struct queues *q, struct limit *l) {
  map64_unchain(&q->limits, text_pair_hash(q->salt, l->user, l->group), l, offsetof(struct limit, same));
}

/* Nothing points to it but what it holds back. */
static void limit_free(struct queues *q, struct limit *l) {
  while (l->kept.n > 0) queues_let_go(q, kept_first(l));
  heap_done(&l->kept);
  free(l->user);
  free(l->group);
  free(l);
}

/* Each place and type finds its limits again, and each limit counts again what is held under it. */
static void bind_again(struct queues *q) {
  const struct map64_slot *s;
  q->untold = 0;
  for (size_t i = 0; i < q->n_row; i++) q->row[i]->held = q->row[i]->picked = 0;
  for (size_t i = 0; (s = map64_next(&q->kinds, &i)) != NULL;)
    for (struct kind *k = s->val; k; k = k->same) k->limit = limit_find(q, QUEUE_OF_TYPE, k->type);
  for (size_t i = 0; (s = map64_next(&q->people, &i)) != NULL;)
    for (struct person *u = s->val; u; u = u->same)
      for (struct place *p = u->places; p; p = p->next) {
        queues_limits(q, u->name, p->group, p->limit);
        p->n_held = 0;
      }
  for (size_t i = 0; (s = map64_next(&q->holds, &i)) != NULL;) {
    const struct hold *h = s->val;
    count_up(q, h);
    if (h->picked) count_picked(h, true);
  }
}

/* The first row of all drops what was noted before (store_queues.h). While one row stayed, no row was the first. */
static bool notes_are_gone(const struct queues *q, const struct queue_row *row, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const struct limit *l = limit_find(q, row[i].user, row[i].group);
    if (l && l->queue_id == row[i].queue_id) return false;
  }
  return n > 0;
}

void queues_load(struct queues *q, const struct queue_row *row, size_t n) {
  size_t k = 0;
  bool first = notes_are_gone(q, row, n);
  for (size_t i = 0; i < q->n_row; i++) q->row[i]->seen = false;
  for (size_t i = 0; i < n; i++) limit_set(q, limit_make(q, &row[i]), &row[i]);
  struct limit **gone = wr_calloc(q->n_row + 1, sizeof *gone);
  size_t n_gone = 0;
  for (size_t i = 0; i < q->n_row; i++) {
    if (q->row[i]->seen) q->row[k++] = q->row[i];
    else limit_unlist(q, gone[n_gone++] = q->row[i]);
  }
  q->n_row = k;
  q->owes = q->unsure = !q->env->single && k > 0 && (first || q->owes || q->unsure);
  q->everything = limit_find(q, "", "");
  bind_again(q);
  for (size_t i = 0; i < n_gone; i++) limit_free(q, gone[i]);
  free(gone);
  for (size_t i = 0; i < q->n_row; i++) ripen(q, q->row[i]);
}

/* Of a type that was registered at run time, and it is not said which. */
static bool is_untold(const struct running_row *t) { return t->added && t->type == NULL; }

/* What counts under types, of other nodes. */
static void count_kind(struct queues *q, const struct running_row *t, uint32_t *untold_n) {
  const struct kind *k = queues_limited_kind(q, t->type);
  *untold_n += is_untold(t);
  if (k) k->limit->foreign++;
}

void queues_running(struct queues *q, const struct running_row *row, size_t n) {
  uint32_t unknown = 0, untold_n = 0;
  q->unsure = false;
  for (size_t i = 0; i < q->n_row; i++) q->row[i]->foreign = 0;
  for (size_t i = 0; i < n; i++) {
    const struct running_row *t = &row[i];
    struct hold *h = map64_get(&q->holds, t->ti);
    if (t->owner != q->env->me && !q->env->single) count_kind(q, t, &untold_n);
    if (t->user == NULL) { /* some node knows it and will say so, or its flow is loaded */
      unknown++;
      q->unsure = true;
      continue;
    }
    if (t->owner == q->env->me || q->env->single) { /* what a former node left here ends as an event of this one */
      bool told = t->noted || t->fi == 0; /* else its row does not say whose the task is */
      if (h && told && !is_at(h, t->user, t->group)) move(q, h, t->user, t->group); /* another node has moved it */
      if (h) continue;
      hold_make(q, &(struct hold){.at = queues_place(q, t->user, t->group), .kind = kind_of(q, t->type),
                                  .cpu = t->owner == q->env->me ? t->cpu : 0, .running = 1, .untold = is_untold(t)}, t->ti);
      continue;
    }
    q->unsure |= !t->noted;
    count_foreign(q, t->user, t->group);
  }
  for (size_t i = 0; i < q->n_row; i++) {
    q->row[i]->foreign += q->row[i]->of_type ? untold_n : unknown;
    ripen(q, q->row[i]);
  }
}

size_t queues_notes(const struct queues *q, struct count_note *out, size_t n) {
  const struct map64_slot *s;
  size_t k = 0;
  for (size_t i = 0; (s = map64_next(&q->holds, &i)) != NULL;) {
    const struct hold *h = s->val;
    if (h->running > 0 && k++ < n) out[k - 1] = (struct count_note){s->key, h->at->user->name, h->at->group};
    if (h->running > 0 && h->kind && k++ < n) out[k - 1] = (struct count_note){-s->key, QUEUE_OF_TYPE, h->kind->type};
  }
  return k;
}

/* ---- a batch ---- */

void queues_batch_over(struct queues *q, bool committed) {
  moves_over(q, committed);
  for (size_t i = 0; i < q->n_row && q->rates; i++) {
    struct limit *l = q->row[i];
    if (!l->rate_dirty) continue;
    l->rate_dirty = false;
    if (committed) l->rate_stored_us = l->rate_us;
    else l->rate_us = l->rate_stored_us;
  }
  q->rates = false;
  q->owes &= !committed;
  for (size_t i = 0; i < q->n_fresh; i++) queues_release(q, q->fresh[i]);
  q->n_fresh = 0;
}

/* ---- life ---- */

void queues_init(struct queues *q, struct env *env, const struct queue_opts *opts) {
  *q = (struct queues){.env = env, .opts = *opts, .version = 1, .defs_version = -1, .rate_at = INT64_MAX};
  q->cpu.ripe_at = INT64_MAX;
  q->cpu.max_running = -1;
  if (q->opts.cpu_budget == 0) q->opts.cpu_budget = INT64_MAX;
  rand_secret(&q->salt, sizeof q->salt);
}

static void kinds_done(struct queues *q) {
  const struct map64_slot *s;
  for (size_t i = 0; (s = map64_next(&q->kinds, &i)) != NULL;)
    for (struct kind *k = s->val, *next; k; k = next) {
      next = k->same;
      free(k->type), free(k);
    }
  map64_done(&q->kinds);
}

void queues_done(struct queues *q) {
  moves_over(q, true);
  queues_reset(q);
  for (size_t i = 0; i < q->n_row; i++) limit_free(q, q->row[i]);
  free(q->row);
  heap_done(&q->cpu.kept);
  free(q->blockers);
  free(q->fresh);
  free(q->moved);
  for (int s = 0; s < SLOT__N; s++) heap_done(&q->order[s]);
  kinds_done(q);
  map64_done(&q->limits);
  map64_done(&q->people);
  map64_done(&q->places);
  map64_done(&q->holds);
}
