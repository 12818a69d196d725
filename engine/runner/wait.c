/* Hints that come in, wait and go out: wait.h. */
#include "runner_int.h"
#include "load.h"

#define LOOK_US 500000                /* queue rows that others changed, while tasks wait here; the load of the machine */
#define ROOM_US 100000                /* what others run, while a limit holds back tasks here */
#define POP_MOST 20000                /* hints that pollers may bring at once */
#define WARY_US 10000000              /* no lock for what is made, after a lock was waited for in vain */

/* ---- in ---- */

int64_t wait_since(const struct runner *r, const struct cached *c) {
  int64_t at = run_alone(c->run) ? c->run->last_us : 0;
  return at > 0 && at < r->env.wall_us ? at : r->env.wall_us;
}

/* Names are for a policy, and of definitions that are at hand. */
struct waits wait_of(const struct runner *r, const struct cached *c, int64_t ti, int64_t fi, uint32_t task, int64_t since_us) {
  struct waits t = {.ti = ti, .fi = fi, .of = {"", "", 0, 0, NULL}, .since_us = since_us};
  if (c == NULL) return t;
  t.of = cached_queue(c, task);
  if (!queues_policy(&r->queues)) return t;
  const struct task_def *def = c->alone ? c->task : c->flow->ref[run_pattern(c->run, task)].inl;
  if (def) t.type = def->type, t.name = def->name;
  if (c->alone) t.key = c->alone->key;
  return t;
}

static bool by_default(const struct queue_view *of) {
  return !*of->user && !*of->group && of->priority == 0 && of->cpu == 0 && !of->type;
}

struct hint wait_hint(const struct waits *t) {
  return (struct hint){t->ti, by_default(&t->of) ? t->fi : t->fi | HINT_QUEUED, t->list};
}

static bool send(struct runner *r, enum slot_class s, const struct waits *t) {
  struct hint h = wait_hint(t);
  return !env_keeps(&r->env) && env_push(&r->env, s, &h, 1);
}

void wait_here(struct runner *r, enum slot_class s, const struct waits *t) {
  bool kept = !(r->env.draining && !env_keeps(&r->env)) && waiting_add(&r->waiting, s, t);
  if (!kept && !send(r, s, t)) reconciler_refused(&r->reconciler, s);
}

void wait_anywhere(struct runner *r, enum slot_class s, const struct waits *t) {
  if (env_keeps(&r->env)) wait_here(r, s, t);
  else if (!send(r, s, t)) reconciler_refused(&r->reconciler, s);
}

void wait_popped(struct runner *r, size_t from) {
  struct events *l = &r->events;
  size_t k = from;
  if (r->env.draining || queues_policy(&r->queues)) return; /* a policy shall know their names */
  for (size_t i = from; i < l->n; i++) {
    const struct ev *e = &l->v[i];
    struct waits t = wait_of(r, NULL, e->ti, e->fi, 0, r->env.wall_us);
    t.list = e->list;
    bool plain = e->kind == EV_HINT && e->from == HINT_POPPED && queues_serves(&r->queues, "", "");
    if (!plain || !waiting_add(&r->waiting, e->slot, &t)) l->v[k++] = *e;
  }
  l->n = k;
}

void wait_asked(struct runner *r, const struct cached *c, uint32_t task, int64_t ti, struct queue_view to) {
  const struct task *t = &c->run->task[task].t;
  bool elsewhere = task_counts(t) && t->owner != r->env.me;
  if (r->queues.holds.n > 0 || queues_limit(&r->queues)) queues_move(&r->queues, ti, to.user, to.group, elsewhere);
}

void wait_stray(struct runner *r, int64_t ti, uint32_t epoch) {
  const struct runner_ports *p = &r->env.ports;
  if (p->cancel) p->cancel(p->ctx, ti, epoch, STOP_FENCED);
  queues_move(&r->queues, ti, QUEUE_CLEAN_UP, "", false);
}

/* Its queue or its priority is another now: it moves where it waits. Where it does not wait here, a new hint goes out. */
void wait_moved(struct runner *r, const struct cached *c) {
  int64_t ti = run_ti(c->run, 0);
  const struct task *t = &c->run->task[0].t;
  enum slot_class s = (enum slot_class)c->bind.pol->slot;
  struct waits w = wait_of(r, c, ti, 0, 0, wait_since(r, c));
  w.list = c->bind.pol->list;
  if (waiting_has(&r->waiting, ti)) wait_here(r, s, &w);
  else if (t->state == TASK_QUEUED) (void)send(r, s, &w);
}

/* ---- out ---- */

/* Capacity that will be free when the events that wait are done: results give theirs back, and hints that were picked take
 * theirs. */
static void expect_room(const struct runner *r, int64_t room[SLOT__N]) {
  for (int s = 0; s < SLOT__N; s++) room[s] = admission_room(&r->admission, s);
  for (size_t i = 0; i < r->events.n; i++) {
    const struct ev *e = &r->events.v[i];
    if (e->kind == EV_RESULT && !e->slotless && !r->env.draining && e->a->owner == r->env.me)
      room[e->a->policy.slot] += admission_cost(&r->admission, &e->a->policy);
    if (e->kind == EV_HINT && e->from == HINT_PULLED) room[e->slot]--;
  }
}

/* What holds tasks back here, for the others to see. full: what waits for a slot may lack the budget too. */
static void say(struct runner *r, bool loaded, bool full) {
  struct queues *q = &r->queues;
  int64_t used = full || q->cpu.kept.n > 0 ? q->cpu_used : 0, kept_for = q->drains ? q->dear.ti : 0;
  bool same = used == atomic_load(&r->env.cpu_used) && kept_for == atomic_load(&r->env.cpu_kept_for);
  if (same && loaded == q->loaded) return;
  q->loaded = loaded;
  atomic_store(&r->env.cpu_used, used);
  atomic_store(&r->env.cpu_kept_for, kept_for);
  atomic_store(&r->env.news, true);
}

void wait_pull(struct runner *r) {
  struct hint h;
  int64_t room[SLOT__N];
  struct waiting *w = &r->waiting;
  char why[NODE_LOAD_BYTES];
  bool full = false, loaded = !load_allows(&r->queues.opts, why, sizeof why);
  queues_wake(&r->queues);
  expect_room(r, room);
  for (enum slot_class s = 0; s < SLOT__N; s++) {
    w->none[s] = false;
    while (!loaded && room[s] > 0 && waiting_pick(w, s, &h)) {
      events_add(&r->events, (struct ev){.kind = EV_HINT, .fi = h.fi, .ti = h.ti, .from = HINT_PULLED, .slot = s});
      room[s]--;
    }
    full |= room[s] <= 0;
    admission_behind(&r->admission, s, loaded || waiting_open(w, s) || queues_policy(&r->queues));
    r->queues.open[s] = waiting_open(w, s) ? waiting_count(w, s) : 0;
  }
  say(r, loaded, full);
}

void wait_give_back(struct runner *r) {
  struct hint h[256];
  if (!r->env.draining || env_keeps(&r->env)) return;
  for (enum slot_class s = 0; s < SLOT__N; s++)
    for (size_t n; (n = waiting_give(&r->waiting, s, h, 256)) > 0;)
      if (!env_push(&r->env, s, h, n)) reconciler_refused(&r->reconciler, s);
}

/* While nothing waits here and no slot is free, what is in the queue stays there for others. */
void wait_poppable(const struct runner *r, uint32_t free[SLOT__N]) {
  const struct waiting *w = &r->waiting;
  admission_poppable(&r->admission, free);
  for (int s = 0; s < SLOT__N; s++) {
    size_t room = r->queues.opts.n_serves > 0 || (w->short_of[s] && !w->dry[s]) ? 0 : waiting_room(w, s) / 256;
    if (r->env.draining || r->admission.pool[s].capacity == 0 || (free[s] == 0 && waiting_count(w, s) == 0)) continue;
    free[s] += room < POP_MOST ? (uint32_t)room : POP_MOST;
  }
}

/* ---- queue rows, and what others run ---- */

/* Of the task of a flow, as far as its flow is in memory. The memory of a flow whose tasks others run may be old. */
static void whose_runs(const struct runner *r, struct running_row *row) {
  bool mine = row->owner == r->env.me;
  if (row->fi == 0 || row->noted) return;
  const struct cached *c = mine || r->env.single ? cache_get(&r->cache, row->fi) : NULL;
  uint32_t task = c ? run_task_of(c->run, row->ti) : UINT32_MAX;
  if (!mine) row->user = NULL;
  if (task == UINT32_MAX) return;
  struct queue_view of = cached_queue(c, task);
  row->user = of.user;
  row->group = of.group;
  row->cpu = of.cpu;
}

/* What a wish said of that task, over what this node knew. As good as a note. */
static void say_moved(struct running_row *t, const struct hold *h, const struct whose_row *said, size_t n) {
  for (size_t k = 0; k < n; k++) {
    if (said[k].ti != t->ti) continue;
    t->user = said[k].user ? said[k].user : h->at->user->name;
    t->group = said[k].group ? said[k].group : h->at->group;
    t->noted = true;
  }
}

/* Before the first row of a queue came, another node may have moved tasks of flows that run here, and no note says so. */
static enum store_rc moved_before(struct runner *r, struct running_row *row, size_t n) {
  struct whose_row *said = NULL;
  size_t n_said = 0;
  int64_t of = 0;
  enum store_rc rc = STORE_OK;
  for (size_t i = 0; rc == STORE_OK && i < n; i++) {
    struct running_row *t = &row[i];
    const struct hold *h = t->fi != 0 && t->owner == r->env.me && !t->noted ? queues_held(&r->queues, t->ti) : NULL;
    if (h && t->fi != of) rc = store_whose(r->env.store, of = t->fi, &r->env.mem, &said, &n_said);
    if (h && rc == STORE_OK) say_moved(t, h, said, n_said);
  }
  return rc;
}

static enum store_rc read_running(struct runner *r) {
  struct running_row *row;
  size_t n;
  struct env *e = &r->env;
  bool all = e->single || r->queues.unsure;
  enum store_rc rc = all ? store_running(e->store, &e->mem, &row, &n) : store_counted(e->store, &e->mem, &row, &n);
  if (rc == STORE_OK && r->queues.owes) rc = moved_before(r, row, n);
  for (size_t i = 0; rc == STORE_OK && i < n; i++) whose_runs(r, &row[i]);
  if (rc == STORE_OK) queues_running(&r->queues, row, n);
  return rc;
}

enum store_rc wait_begin(struct runner *r) {
  struct queues *q = &r->queues;
  struct queue_row *row;
  int64_t version;
  size_t n;
  if (r->env.defs_version == q->defs_version) return STORE_OK;
  enum store_rc rc = store_queues(r->env.store, q->version, &version, &r->env.mem, &row, &n);
  if (rc != STORE_OK) return rc;
  if (version != q->version) {
    queues_load(q, row, n);
    waiting_ordered(&r->waiting);
    if (n > 0) rc = read_running(r);
  }
  if (rc != STORE_OK) return rc; /* read again, and what runs with it */
  q->version = version;
  q->defs_version = r->env.defs_version;
  return STORE_OK;
}

/* A node that only runs looks, too: what it runs counts for others once there is a row. */
static bool look_wanted(const struct runner *r) {
  return r->queues.asked || r->queues.unsure || (!r->env.single && r->queues.n[0] + r->queues.n[1] + r->admission.attempts.n > 0);
}

enum store_rc wait_look(struct runner *r) {
  struct queues *q = &r->queues;
  int64_t version = 0;
  if (!look_wanted(r) || (!q->asked && q->look_us > r->env.boot_us)) return STORE_OK;
  arena_reset(&r->env.mem);
  enum store_rc rc = store_begin(r->env.store, &version);
  if (rc == STORE_OK) {
    r->env.defs_version = version;
    rc = wait_begin(r);
    if (rc == STORE_OK && q->n_blockers > 0 && (q->unsure || !r->env.single)) rc = read_running(r);
    store_rollback(r->env.store);
  }
  if (rc == STORE_OK) q->asked = false;
  q->look_us = r->env.boot_us + (q->n_blockers > 0 ? ROOM_US : LOOK_US);
  return rc;
}

/* The rows that a batch locks, each once, and the slots that what it makes may find free. made: some are for that alone. */
struct locks { struct locked { int64_t id; struct limit *l; } *v; size_t n; uint64_t batch; int64_t room[SLOT__N]; bool made; };

static void note_limit(struct locks *k, struct limit *l) {
  if (!l || !limit_is_shared(l) || l->locked == k->batch) return;
  l->locked = k->batch;
  k->v[k->n++] = (struct locked){l->queue_id, l};
}

static void note_limits(struct locks *k, struct limit *const limit[4]) {
  for (int i = 0; i < 4; i++) note_limit(k, limit[i]);
}

static void note_kind(struct locks *k, const struct kind *kind) {
  if (kind) note_limit(k, kind->limit);
}

/* Where a wish moves tasks to; NULL: e moves none. */
static const struct queue_spec *moves(const struct ev *e) {
  bool asks = e->kind == EV_REQ && e->q && e->q->kind == REQ_ASK && e->q->ask->ask == ASK_QUEUE;
  const struct queue_spec *to = asks ? e->q->ask->queue : NULL;
  return to && (to->user || to->group) ? to : NULL;
}

/* A task that is made may start in the same commit, as far as slots are free and no limit holds others back. */
static void note_made(struct runner *r, const struct req_task *t, struct locks *k) {
  struct task_def *def = NULL;
  struct limit *limit[4];
  struct wr_err err;
  if (load_made_def(&r->loader, t, &def, &err) != WR_OK) return; /* it is refused, or the batch fails, when it is its turn */
  int64_t *room = def->policy.slot < SLOT__N ? &k->room[def->policy.slot] : NULL;
  if (room && *room > 0 && admission_ask(&r->admission, &def->policy, false) != ADMIT_BEHIND) {
    struct queue_view of = queue_view(t->spec ? t->spec->queue : NULL, def->queue);
    queues_limits(&r->queues, of.user, of.group, limit);
    const struct kind *kind = queues_limited_kind(&r->queues, def->policy.type);
    bool held = kind && kind->limit->at != 0;
    for (int i = 0; i < 4; i++) held |= limit[i] && (limit[i]->at != 0 || limit[i]->paused);
    if (!held) note_limits(k, limit), note_kind(k, kind), --*room, k->made = true;
  }
  def_task_unref(def);
}

/* A submit needs no lock of a limit: while somebody keeps one, it is stored, and what it makes waits for its turn. */
static void note_submit(struct runner *r, const struct ev *e, struct locks *k) {
  bool submits = e->kind == EV_REQ && e->q && e->q->kind == REQ_EXEC_TASK;
  if (e->wait.alone || r->env.boot_us < r->queues.wary_us) return;
  for (uint32_t i = 0; submits && i < e->q->n_task; i++) {
    const struct req_task *t = &e->q->task[i];
    if (!t->spec || (!t->spec->hold && t->spec->delay_us == 0 && t->spec->start_at_us == 0)) note_made(r, t, k);
  }
}

/* What e may claim, and what tasks that run may come under by it: no other node counts meanwhile. False: it moves tasks, and the
 * half of their queue that it does not name is not known yet. */
static bool note_event(struct runner *r, const struct ev *e, struct locks *k) {
  struct limit *limit[4];
  bool may_claim = e->kind == EV_HINT && e->from == HINT_PULLED, unpaid = e->kind == EV_RESULT && attempt_unpaid(e->a);
  const struct hold *h = may_claim || unpaid ? queues_held(&r->queues, e->ti) : NULL;
  const struct queue_spec *to = moves(e);
  if (h) note_limits(k, h->at->limit), note_kind(k, h->kind);
  note_submit(r, e, k);
  if (!to) return true;
  if (!to->user || !to->group) return false;
  queues_limits(&r->queues, to->user, to->group, limit);
  note_limits(k, limit);
  return true;
}

/* A row that was deleted meanwhile limits nothing: the batch is stale, which its write finds. */
enum store_rc wait_lock(struct runner *r, size_t most) {
  struct queues *q = &r->queues;
  struct locks k = {.batch = r->env.batch_no};
  if (q->n_row == 0 || r->env.single) return STORE_OK;
  bool known = true;
  k.v = arena_alloc(&r->env.mem, q->n_row * sizeof *k.v);
  expect_room(r, k.room);
  for (size_t i = 0; i < most; i++) known &= note_event(r, &r->events.v[i], &k);
  for (size_t i = 0; i < q->n_row && !known; i++) note_limit(&k, q->row[i]);
  if (k.n == 0) return STORE_OK;
  k.n = wr_distinct(k.v, k.n, sizeof *k.v);
  int64_t *id = arena_alloc(&r->env.mem, k.n * sizeof *id), *at = arena_alloc(&r->env.mem, k.n * sizeof *at);
  for (size_t i = 0; i < k.n; i++) id[i] = k.v[i].id;
  enum store_rc rc = store_queue_lock(r->env.store, id, k.n, at);
  if (rc == STORE_RETRY && k.made) { /* made again, without those that only a submit asked for */
    q->wary_us = r->env.boot_us + WARY_US;
    rc = STORE_STALE;
  }
  for (size_t i = 0; rc == STORE_OK && i < k.n; i++)
    if (at[i] >= 0) k.v[i].l->rate_us = k.v[i].l->rate_stored_us = at[i];
  return rc == STORE_OK ? read_running(r) : rc;
}

/* ---- claims ---- */

bool wait_claim(struct runner *r, const struct ev *e, const struct queue_view *of) {
  struct queues *q = &r->queues;
  const struct hold *h = queues_held(q, e->ti);
  bool there = h && strcmp(h->at->group, of->group) == 0 && strcmp(h->at->user->name, of->user) == 0;
  if (h && !there && !queues_counts(q, of)) queues_move(q, e->ti, of->user, of->group, false); /* it waited as an analysis */
  if (!queues_counts(q, of)) return true;
  if (e->from != HINT_PULLED && queues_policy(q)) return false; /* it waits here, until the policy wants it */
  if (e->from != HINT_PULLED || h == NULL || !h->picked) return queues_home(q, of, e->ti);
  return there && h->cpu == of->cpu && queues_is_of(q, e->ti, of->type) && queues_claim(q, e->ti);
}

void wait_over(struct runner *r, bool committed) {
  for (int s = 0; s < SLOT__N; s++) r->waiting.none[s] = false; /* something has changed: a policy is asked again */
  queues_batch_over(&r->queues, committed);
}

void wait_settle(struct runner *r, const struct ev *e) {
  if (e->kind == EV_HINT && e->from == HINT_PULLED) queues_release(&r->queues, e->ti);
}

int64_t wait_next(const struct runner *r) {
  int64_t at = look_wanted(r) ? r->queues.look_us : INT64_MAX, wall = queues_next(&r->queues);
  if (wall != INT64_MAX) {
    int64_t wake = r->env.boot_us + (wall > r->env.wall_us ? wall - r->env.wall_us : 0);
    if (wake < at) at = wake;
  }
  return r->queues.loaded && r->env.boot_us + LOOK_US < at ? r->env.boot_us + LOOK_US : at;
}
