/* The simulated nodes. Each has a real runner, whose turns run as a coroutine, a worker that only pretends, and a queue that
 * forgets. See sim.h. What never happens: a port does anything for a node that has crashed. */
#include <stdlib.h>
#include "analysis.h"
#include "sim.h"
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define FIBER_START(save, to, n) __sanitizer_start_switch_fiber((save), (to), (n))
#define FIBER_DONE(save, to, n) __sanitizer_finish_switch_fiber((save), (to), (n))
#else
#define FIBER_START(save, to, n) ((void)0)
#define FIBER_DONE(save, to, n) ((void)0)
#endif

#define STACK_BYTES (256 << 10)
#define GATE_WAIT_US 50000 /* the same as in the worker */
#define QUEUE_MAX 4000 /* hints that a node holds, per class */
#define HELD_FEW 20    /* the same where the queue is tiny */
#define TURN (600 * SEC / 1000) /* the same as in the pollers */

/* ---- clocks ---- */

static int64_t scaled(const struct node *n, int64_t t) { return (int64_t)((double)(t - n->true_off) * n->rate); }
int64_t node_boot(const struct node *n) { return n->boot_off + scaled(n, n->w->now); }
static int64_t node_wall(const struct node *n) { return n->wall_off + scaled(n, n->w->now); }
void node_clocks(void *ctx, void *node, int64_t *wall, int64_t *boot) {
  const struct node *n = node;
  (void)ctx;
  *wall = node_wall(n);
  *boot = node_boot(n);
}
static int64_t true_time(const struct node *n, int64_t boot) {
  if (boot == INT64_MAX) return INT64_MAX;
  return n->true_off + (int64_t)((double)(boot - n->boot_off) / n->rate) + 1;
}
bool node_asleep(const struct node *n) { return n->frozen_until > n->w->now; }

/* ---- the ledger ---- */

struct rec *ledger_get(struct world *w, int64_t ti, uint32_t epoch) {
  for (struct rec *r = map64_get(&w->ledger, ti); r != NULL; r = r->next)
    if (r->epoch == epoch) return r;
  return NULL;
}

struct rec *ledger_add(struct world *w, int64_t ti, uint32_t epoch) {
  struct rec *r = wr_new(struct rec);
  r->ti = ti;
  r->epoch = epoch;
  r->next = map64_put(&w->ledger, ti, r);
  return r;
}

static void exec_start(struct node *n, struct rec *rec) {
  struct world *w = n->w;
  if (rec->executed) sim_fail(w, "attempt %lld:%u is executed twice", (long long)rec->ti, rec->epoch);
  for (const struct rec *o = map64_get(&w->ledger, rec->ti); o != NULL; o = o->next)
    if (o->executing && !o->excused && !o->analysis && !rec->analysis) /* a call that was given up may still go on */
      sim_fail(w, "attempts %u and %u of %lld overlap", o->epoch, rec->epoch, (long long)rec->ti);
  rec->executing = rec->executed = true;
  uint32_t kids = 0;
  for (const struct work *k = n->work; k != NULL; k = k->next) kids += k->rec->executing && k->a->policy.slot == SLOT_PROCESS;
  if (kids > n->slots[SLOT_PROCESS]) sim_fail(w, "node %d runs %u programs at once", n->id, kids);
  rec->t0 = w->now;
  sim_trace(w, "exec", rec->ti, rec->epoch, rec->me);
}

static void exec_end(struct world *w, struct rec *rec, enum attempt_end end) {
  rec->outcome = end;
  rec->ended = true;
  rec->executing = false;
  rec->t1 = w->now;
  sim_trace(w, "end", rec->ti, rec->epoch, end);
}

/* ---- ports: what the runner asks of its process ---- */

uint32_t sim_width(int64_t fi, uint32_t node) { return (uint32_t)((uint64_t)fi * 7 + node * 3) % 5; }
static uint32_t port_width(void *ctx, const struct run *r, uint32_t node) { return (void)ctx, sim_width(r->fi, node); }

/* Which of the first out-edges the attempt leaves out. */
static uint64_t any_choice(const struct world *w, const struct attempt *a) {
  return w->db->made_up && a->fi != 0 && a->ti % 3 == 0 ? (uint64_t)a->ti % 8 : 0;
}

static enum attempt_end any_end(struct world *w, const struct attempt *a) {
  uint64_t k = sim_rnd(w, 100);
  if (k < 70) return ATTEMPT_OK;
  if (k < 86) return ATTEMPT_FAIL;
  if (k < 91) return ATTEMPT_FATAL;
  if (k < 94) return ATTEMPT_LOST;
  return a->timeout_us > 0 ? ATTEMPT_NONE : ATTEMPT_OK; /* NONE: the attempt never ends by itself */
}

static int64_t any_length(struct world *w) {
  if (w->quick && sim_chance(w, 995)) return sim_between(w, 0, 8000);
  uint64_t k = sim_rnd(w, 100);
  if (k < 60) return sim_between(w, 0, 20000);
  if (k < 85) return sim_between(w, 0, w->calm ? SEC / 2 : 2 * SEC);
  return sim_between(w, 0, w->calm ? 2 * SEC : w->lease_us * 2);
}

/* Some stand-alone tasks outlast the faults: what nobody tells them must not go unseen. */
static int64_t length_of(struct world *w, const struct attempt *a) {
  return a->fi == 0 && !w->calm && !w->rival.only && sim_chance(w, 200) ? sim_between(w, 0, w->lease_us * LONG_LEASES) : any_length(w);
}

static uint32_t kids_of(const struct node *n) {
  uint32_t m = 0;
  for (const struct work *k = n->work; k != NULL; k = k->next) m += k->a->policy.slot == SLOT_PROCESS && !k->gated;
  return m;
}

static void port_start(void *ctx, struct attempt *list) {
  struct node *n = ctx;
  struct world *w = n->w;
  uint32_t busy[SLOT__N] = {0};
  for (struct attempt *a = list, *next; a != NULL; a = next) {
    next = a->next;
    a->next = NULL;
    if (n->dead) { attempt_free(a); continue; }
    oracle_start(n, a);
    struct work *k = wr_new(struct work);
    k->a = a;
    k->rec = ledger_get(w, a->ti, a->epoch);
    k->rec->analysis = a->analysis != NULL;
    k->gated = a->policy.slot == SLOT_PROCESS && kids_of(n) >= n->slots[SLOT_PROCESS];
    w->n_gated += k->gated;
    k->start_at = w->now + (k->gated ? GATE_WAIT_US : sim_between(w, 0, sim_chance(w, 50) ? SEC : 500));
    k->end_at = k->timeout_at = INT64_MAX;
    k->next = n->work;
    n->work = k;
  }
  for (const struct work *k = n->work; k != NULL; k = k->next)
    if (++busy[k->a->policy.slot] > n->slots[k->a->policy.slot] + (k->a->policy.slot == SLOT_PROCESS ? n->ahead : 0))
      sim_fail(w, "node %d has claimed more than it has slots", n->id);
}

static void finish(struct node *n, struct work *k, enum attempt_end end);

static void port_cancel(void *ctx, int64_t ti, uint32_t epoch, enum task_stop why) {
  struct node *n = ctx;
  for (struct work *k = n->dead ? NULL : n->work; k != NULL; k = k->next) {
    if (k->a->ti != ti || k->a->epoch != epoch) continue;
    if (k->gated) { finish(n, k, ATTEMPT_HANDBACK); return; } /* never started */
    if (why == STOP_FENCED) { finish(n, k, ATTEMPT_LOST); return; }
    if (k->killed) continue;
    k->killed = true;
    if (k->state == WORK_RUNS && k->end_at < INT64_MAX && sim_chance(n->w, 100)) return; /* it hears nothing, and ends by itself */
    int64_t at = n->w->now + sim_between(n->w, 0, 2 * SEC);
    if (at < k->end_at) { k->end_at = at; k->end = sim_chance(n->w, 300) ? ATTEMPT_OK : ATTEMPT_FAIL; k->asked = true; }
    sim_trace(n->w, "kill", ti, epoch, at);
  }
}

/* A program has ended. The attempt that has waited longest for a slot starts now, whatever becomes of the result. */
static void open_gate(struct node *n) {
  struct work *first = NULL;
  for (struct work *k = n->work; k != NULL; k = k->next)
    if (k->gated) first = k; /* the newest is first in the list */
  if (!first || kids_of(n) >= n->slots[SLOT_PROCESS]) return;
  first->gated = false;
  first->start_at = n->w->now;
}

static void finish(struct node *n, struct work *k, enum attempt_end end) {
  struct work **p = &n->work;
  while (*p != k) p = &(*p)->next;
  *p = k->next;
  if (k->rec->executed && k->a->policy.slot == SLOT_PROCESS) k->a->run_us = n->w->now - k->rec->t0 + 1;
  if (k->a->analysis && end != ATTEMPT_LOST && end != ATTEMPT_HANDBACK) end = trees_answer(n->w, k->a);
  exec_end(n->w, k->rec, end);
  k->a->end = end;
  k->a->asked = k->asked;
  k->rec->told = k->asked;
  k->rec->asked = k->asked && end == ATTEMPT_OK;
  if (end == ATTEMPT_FAIL || end == ATTEMPT_FATAL) k->a->error = wr_strdup("boom");
  if (end == ATTEMPT_OK && !k->a->analysis) { k->a->result = wr_strdup("fine"); k->a->result_len = 4; k->a->exit_code = 0; }
  if (end == ATTEMPT_OK) k->a->skip_edges = any_choice(n->w, k->a);
  if (end == ATTEMPT_LOST && sim_chance(n->w, 500)) k->a->error = wr_strdup("Not started in time.");
  k->a->next = n->done;
  n->done = k->a;
  free(k);
  open_gate(n);
}

static void hand_back(struct node *n, bool running) {
  for (struct work *k = n->work, *next; k != NULL; k = next) {
    next = k->next;
    int64_t at = running ? n->w->now + sim_between(n->w, 0, 5 * SEC) : INT64_MAX;
    if (k->state == WORK_WAITS) finish(n, k, ATTEMPT_HANDBACK);
    else if (at < k->end_at) { k->end_at = at; k->end = ATTEMPT_HANDBACK; }
  }
}

static void port_hand_back(void *ctx, bool running) {
  struct node *n = ctx;
  if (!n->dead) hand_back(n, running);
}

static void port_kill_all(void *ctx) {
  struct node *n = ctx;
  if (n->dead) return;
  while (n->work) finish(n, n->work, ATTEMPT_LOST);
}

static void port_deadline(void *ctx, int64_t boot_us) {
  struct node *n = ctx;
  if (!n->dead) n->deadline = boot_us;
}

/* Sorted by time of arrival; nearly always at the end. */
static void queue_add(struct world_queue *q, struct queued e) {
  (void)WR_PUSH(q->v, q->n, q->cap);
  size_t i = q->n - 1;
  for (; i > 0 && q->v[i - 1].at > e.at; i--) q->v[i] = q->v[i - 1];
  q->v[i] = e;
}

static size_t queue_room(const struct world *w) {
  size_t n = 0;
  for (int s = 0; s < SLOT__N; s++) n += w->q[s].n;
  return n < w->queue_cap ? w->queue_cap - n : 0;
}

/* One hint: in the calm it comes once; else it may be lost or doubled. False: there is no room. */
static bool queue_push_one(struct world *w, enum slot_class s, struct hint h) {
  int copies = w->calm || sim_chance(w, 900) ? 1 : (int)sim_rnd(w, 3); /* 0 = lost */
  if (queue_room(w) == 0) return false;
  for (int c = 0; c < copies && queue_room(w) > 0; c++)
    queue_add(&w->q[s], (struct queued){h, w->now + sim_between(w, 100, sim_chance(w, 30) ? 5 * SEC : 1000)});
  return true;
}

/* As much of what a node holds as there is room for. */
static void queue_refill(struct node *n) {
  for (int s = 0; s < SLOT__N; s++) {
    struct held *k = &n->held[s];
    size_t i = 0;
    while (i < k->n && queue_push_one(n->w, (enum slot_class)s, k->v[i])) i++;
    if (i > 0) memmove(k->v, k->v + i, (k->n -= i) * sizeof *k->v);
  }
}

static bool refill_ready(const struct node *n) {
  return n->held[0].n + n->held[1].n > 0 && queue_room(n->w) > 0;
}

static bool port_push(void *ctx, enum slot_class s, const struct hint *h, size_t m) {
  struct node *n = ctx;
  struct world *w = n->w;
  if (n->dead) return false;
  for (size_t i = 0; i < m; i++) oracle_push(n, &h[i]);
  if (!w->calm && sim_chance(w, 30)) return false;
  if (w->away_until > w->now) {
    runner_hints_lost(n->runner, s);
    return true; /* the pusher took them */
  }
  struct held *k = &n->held[s];
  if (k->n + m > (w->queue_cap < QUEUE_MAX ? HELD_FEW : QUEUE_MAX)) return false;
  for (size_t i = 0; i < m; i++)
    if (k->n > 0 || !queue_push_one(w, s, h[i])) *WR_PUSH(k->v, k->n, k->cap) = h[i];
  return true;
}

static size_t port_backlog(void *ctx, enum slot_class s) {
  const struct node *n = ctx;
  return n->w->single ? 0 : n->w->q[s].n + n->held[s].n;
}

static void port_nudge(void *ctx, int64_t incarnation) {
  struct node *n = ctx;
  if (n->dead || (!n->w->calm && sim_chance(n->w, 300))) return;
  for (int i = 0; i < n->w->n_node; i++) {
    struct node *to = &n->w->node[i];
    if (to->up && !to->dead && runner_incarnation(to->runner) == incarnation) runner_nudge(to->runner);
  }
}

static void port_flow_done(void *ctx, int64_t fi, enum flow_state state) {
  struct node *n = ctx;
  const struct mem_flow *f = memdb_flow(n->w->db, fi);
  if (n->dead) return;
  n->w->n_done++;
  if (!f) sim_fail(n->w, "flow %lld is said to be done, but has no row", (long long)fi);
  if (!flow_final(state)) sim_fail(n->w, "flow %lld is said to be done in state %s", (long long)fi, flow_state_name(state));
}

static void port_free_slots(void *ctx, const uint32_t free[SLOT__N]) {
  struct node *n = ctx;
  if (n->dead) return;
  uint32_t slots[SLOT__N]; /* without what may be popped to wait here */
  memcpy(n->told, free, sizeof n->told);
  admission_poppable(&n->runner->admission, slots);
  for (int s = 0; s < SLOT__N; s++) {
    if (slots[s] == 0 || n->draining) n->free_since[s] = INT64_MAX;
    else if (n->free_since[s] > n->w->now) n->free_since[s] = n->w->now;
  }
}

static int64_t port_boot_now(void *ctx) { return node_boot(ctx); }

/* ---- life of a node ---- */

void node_start(struct node *n) {
  struct world *w = n->w;
  struct wr_err err;
  if (w->single && w->n_orphan > 0) { n->up_at = w->now + 1000; return; } /* the spawner's lock is still held */
  n->store = memdb_connect(w->db, n);
  n->defs = defs_new(n->store, sim_slot_of);
  int64_t cache = w->small_cache ? sim_between(w, 4000, 200000) : LIMIT_CACHE_BYTES;
  defs_limit(n->defs, (size_t)cache / 4);
  n->deadline = w->single ? INT64_MAX : 0;
  n->dead = n->draining = false;
  n->next_boot = 0;
  n->life++;
  memset(n->told, 0, sizeof n->told);
  for (int s = 0; s < SLOT__N; s++) n->empty_told[s] = false, n->free_since[s] = INT64_MAX;
  n->away_told = false;
  struct runner_opts o = {.store = n->store, .defs = n->defs, .lease_us = w->lease_us, .info = {.host = "sim", .pid = n->id, .slots = 1, .roles = "all"},
    .request_us = REQUEST_US, .cache_bytes = cache, .timers = w->small_cache ? 2 : 0, .seed = sim_rnd(w, UINT64_MAX),
    .mailbox = 1 + sim_rnd(w, 50), .queues = queues_opts(w), .waiting_bytes = w->single ? w->queue_cap * 128 + 4096 : 0,
    .ports = {.ctx = n, .start = port_start, .cancel = port_cancel, .kill_all = port_kill_all, .hand_back = port_hand_back, .deadline = port_deadline,
              .push = w->single ? NULL : port_push, .nudge = port_nudge, .flow_done = port_flow_done,
              .backlog = port_backlog, .free_slots = port_free_slots, .width = port_width, .boot_now = port_boot_now}};
  memcpy(o.slots, n->slots, sizeof o.slots);
  o.ahead = n->ahead;
  n->up = runner_new(&o, &n->runner, &err) == WR_OK;
  if (n->up) {
    if (w->quick) n->runner->admission.ahead.run_avg_us = 0; /* as after some dozen programs, because few seeds get that far */
    sim_trace(w, "join", n->id, runner_incarnation(n->runner), 0);
    return;
  }
  defs_free(n->defs);
  store_close(n->store);
  n->up_at = w->now + SEC;
}

static void free_list(struct attempt *a) {
  for (struct attempt *next; a != NULL; a = next) {
    next = a->next;
    attempt_free(a);
  }
}

void node_stop(struct node *n) {
  if (!n->up) return;
  n->dead = true;
  if (n->in_turn) node_run(n); /* every call of the store fails now, so that the turn unwinds */
  wr_assert(!n->in_turn);
  for (struct work *k = n->work, *next; k != NULL; k = next) {
    next = k->next;
    attempt_free(k->a);
    free(k);
  }
  n->work = NULL;
  free_list(n->done);
  n->done = NULL;
  for (int s = 0; s < SLOT__N; s++) free(n->held[s].v), n->held[s] = (struct held){0};
  runner_free(n->runner);
  defs_free(n->defs);
  store_close(n->store);
  n->up = n->dead = n->draining = false;
  n->frozen_until = 0;
  n->machine_frozen = false;
}

/* kill -9: the spawner ends its children within two seconds. */
void node_crash(struct node *n) {
  struct world *w = n->w;
  sim_trace(w, "crash", n->id, n->in_turn, runner_incarnation(n->runner));
  for (const struct work *k = n->work; k != NULL; k = k->next) {
    if (!k->rec->executing) continue;
    int64_t at = w->now + sim_between(w, 0, w->lease_us / 30);
    *WR_PUSH(w->orphan, w->n_orphan, w->cap_orphan) = (struct orphan){k->rec, at, n->id};
  }
  node_stop(n);
  w->n_crash++;
  n->up_at = sim_chance(w, 700) ? w->now : w->now + sim_between(w, 0, w->lease_us * 2);
}

void orphans_run(struct world *w) {
  for (size_t i = 0; i < w->n_orphan;) {
    if (w->orphan[i].end_at > w->now) { i++; continue; }
    exec_end(w, w->orphan[i].rec, ATTEMPT_LOST);
    w->orphan[i] = w->orphan[--w->n_orphan];
  }
}

void node_drain(struct node *n) {
  sim_trace(n->w, "drain", n->id, 0, 0);
  n->draining = true;
  runner_drain(n->runner);
  hand_back(n, true);
}

/* The last result of the node is committed: it leaves, as the server does. */
bool node_drained(struct node *n) {
  const struct map64_slot *s;
  struct runner *r = n->runner;
  if (!n->draining || n->in_turn || n->work || n->done || runner_busy(r)) return false;
  for (size_t i = 0; r->quarantine.flows.n == 0 && (s = map64_next(&n->w->db->task, &i)) != NULL;) {
    const struct mem_task *t = s->val;
    if (t->r.t.owner == r->env.me) sim_fail(n->w, "node %d leaves and still owns task %lld", n->id, (long long)t->r.ti);
  }
  if (store_leave(n->store) != STORE_OK) return false;
  node_stop(n);
  n->up_at = n->w->now + sim_between(n->w, 0, 10 * SEC);
  return true;
}

/* ---- turns ---- */

static void turn_entry(unsigned hi, unsigned lo) {
  struct node *n = (struct node *)((uintptr_t)hi << 32 | (uintptr_t)lo);
  FIBER_DONE(NULL, (const void **)&n->w->main_stack, &n->w->main_stack_n);
  n->next_boot = runner_turn(n->runner, node_wall(n), node_boot(n));
  n->in_turn = false;
  FIBER_START(NULL, n->w->main_stack, n->w->main_stack_n);
  (void)setcontext(&n->w->main);
}

void node_yield(struct node *n, int64_t for_us) {
  struct world *w = n->w;
  if (w->current != n) return; /* called from outside a turn */
  n->resume_at = w->now + for_us;
  w->current = NULL;
  FIBER_START(&n->fake_stack, w->main_stack, w->main_stack_n);
  (void)swapcontext(&n->ctx, &w->main);
  FIBER_DONE(n->fake_stack, (const void **)&w->main_stack, &w->main_stack_n);
}

/* The thread sleeps until something is posted or due. Events that wait in a paused runner do not wake it. */
bool node_ready(const struct node *n) {
  if (!n->up || node_asleep(n)) return false;
  if (n->in_turn) return n->resume_at <= n->w->now;
  return mailbox_waits(&n->runner->mail) || n->next_boot <= node_boot(n);
}

int64_t node_next(const struct node *n) {
  if (!n->up) return n->up_at;
  if (node_asleep(n)) return n->frozen_until;
  return n->in_turn ? n->resume_at : true_time(n, n->next_boot);
}

void node_run(struct node *n) {
  struct world *w = n->w;
  uintptr_t p = (uintptr_t)n;
  void *fake = NULL;
  if (!n->in_turn) {
    if (!n->stack) n->stack = wr_malloc(STACK_BYTES);
    (void)getcontext(&n->ctx);
    n->ctx.uc_stack.ss_sp = n->stack;
    n->ctx.uc_stack.ss_size = STACK_BYTES;
    n->ctx.uc_link = NULL;
    makecontext(&n->ctx, (void (*)(void))turn_entry, 2, (unsigned)((uint64_t)p >> 32), (unsigned)p);
    n->in_turn = true;
  }
  w->current = n;
  FIBER_START(&fake, n->stack, STACK_BYTES);
  (void)swapcontext(&w->main, &n->ctx);
  FIBER_DONE(fake, NULL, NULL);
  (void)fake;
  w->current = NULL;
  if (!n->in_turn && !n->dead) oracle_cache(n), queues_node(n);
}

/* ---- the worker ---- */

static int64_t due_of(const struct node *n, const struct work *k) {
  int64_t at = k->state == WORK_WAITS ? k->start_at : k->end_at < k->timeout_at ? k->end_at : k->timeout_at;
  int64_t dead = n->deadline == INT64_MAX ? INT64_MAX : true_time(n, n->deadline);
  return k->state == WORK_RUNS && !k->doomed && dead < at ? dead : at;
}

int64_t work_next(const struct node *n) {
  int64_t at = INT64_MAX;
  if (n->machine_frozen && node_asleep(n)) return n->frozen_until;
  for (const struct work *k = n->work; k != NULL; k = k->next)
    if (due_of(n, k) < at) at = due_of(n, k);
  if (n->done && !node_asleep(n)) return n->w->now;
  return at;
}

static void work_begin(struct node *n, struct work *k) {
  struct world *w = n->w;
  if (node_asleep(n)) { k->start_at = n->frozen_until; return; } /* the loop that would start the attempt sleeps */
  if (node_boot(n) >= n->deadline) { finish(n, k, ATTEMPT_HANDBACK); return; } /* it certainly never began */
  exec_start(n, k->rec);
  k->state = WORK_RUNS;
  if (k->a->timeout_us > 0) k->timeout_at = w->now + k->a->timeout_us;
  enum attempt_end end = any_end(w, k->a);
  int64_t at = end == ATTEMPT_NONE ? INT64_MAX : w->now + length_of(w, k->a);
  if (at <= k->end_at) { k->end_at = at; k->end = end; k->asked = false; }
}

/* After the deadline the spawner kills, whatever the node does: all children are dead L/6 later, by its clock. */
static void work_deadline(struct node *n, struct work *k) {
  int64_t at = n->w->now + sim_between(n->w, 0, n->w->lease_us / 7);
  k->doomed = true;
  k->timeout_at = INT64_MAX;
  if (at < k->end_at) { k->end_at = at; k->end = ATTEMPT_LOST; }
}

static void work_one(struct node *n, struct work *k) {
  struct world *w = n->w;
  if (k->gated && !node_asleep(n)) { finish(n, k, ATTEMPT_HANDBACK); return; } /* so that another node may run it */
  if (k->state == WORK_WAITS) { work_begin(n, k); return; }
  if (k->end_at <= w->now) { finish(n, k, k->end); return; }
  if (k->timeout_at <= w->now) {
    if (node_asleep(n)) { k->timeout_at = n->frozen_until; return; }
    k->timeout_at = INT64_MAX;
    k->rec->timed_out = true;
    sim_trace(w, "timeout", k->a->ti, k->a->epoch, 0);
    runner_post_timeout(n->runner, k->a->fi, k->a->ti, k->a->epoch);
  }
}

void work_run(struct node *n) {
  struct world *w = n->w;
  if (n->machine_frozen && node_asleep(n)) return;
  for (struct work *k = n->work, *next; k != NULL; k = next) {
    next = k->next;
    if (k->state == WORK_RUNS && !k->doomed && node_boot(n) >= n->deadline && k->end_at > w->now) work_deadline(n, k);
    else if (due_of(n, k) <= w->now) work_one(n, k);
  }
  if (node_asleep(n) || !n->done) return;
  for (struct attempt *a = n->done; a != NULL; a = a->next) {
    struct rec *rec = ledger_get(w, a->ti, a->epoch);
    rec->reported = true;
  }
  struct attempt *list = n->done;
  n->done = NULL;
  runner_post_results(n->runner, list);
}

/* ---- the queue of a cluster ---- */

/* A poller pops again and again, in turns with other pollers, and reports each time that the list is empty. A report makes a
 * difference only while a task waits, so the simulator leaves out the others. */
static bool says_again(const struct world *w, int s) { return w->db->n_queued > 0 && w->turn_until[s] <= w->now; }

bool queue_ready(const struct world *w, const struct node *n) {
  if (!n->up || node_asleep(n) || w->single) return false;
  if (w->away_until <= w->now && refill_ready(n)) return true;
  if (n->draining) return false;
  if (n->away_told != (w->away_until > w->now)) return true;
  if (n->away_told) return false;
  for (int s = 0; s < SLOT__N; s++) {
    bool some = w->q[s].n > 0 && w->q[s].v[0].at <= w->now;
    if (n->told[s] > 0 && (some || !n->empty_told[s] || says_again(w, s))) return true;
  }
  return false;
}

int64_t queue_next(const struct world *w) {
  int64_t at = INT64_MAX;
  for (int s = 0; s < SLOT__N; s++)
    if (w->q[s].n > 0 && w->q[s].v[w->q[s].n - 1].at > w->now) { /* otherwise none is still under way */
      size_t i = w->q[s].n - 1;
      while (i > 0 && w->q[s].v[i - 1].at > w->now) i--;
      if (w->q[s].v[i].at < at) at = w->q[s].v[i].at;
    }
  for (int s = 0; s < SLOT__N && w->db->n_queued > 0 && !w->single; s++)
    if (w->turn_until[s] > w->now && w->turn_until[s] < at) at = w->turn_until[s];
  return at;
}

/* A poller takes as many hints as there are free slots, and not always the oldest. */
void queue_poll(struct node *n) {
  struct world *w = n->w;
  bool away = w->away_until > w->now;
  if (!away) queue_refill(n);
  if (n->draining) return;
  if (away != n->away_told)
    for (int s = 0; s < SLOT__N; s++) {
      runner_queue_away(n->runner, (enum slot_class)s, away);
      n->empty_told[s] = false;
    }
  n->away_told = away;
  for (int s = 0; s < SLOT__N && !away; s++) {
    bool some = w->q[s].n > 0 && w->q[s].v[0].at <= w->now;
    struct held *k = &n->held[s];
    if (n->told[s] > 0 && w->q[s].n == 0 && k->n > 0) { /* the queue is full of another class: it takes its own */
      n->told[s]--;
      runner_post_hints(n->runner, (enum slot_class)s, k->v, 1);
      memmove(k->v, k->v + 1, --k->n * sizeof *k->v);
      some = true;
    }
    if (n->told[s] > 0 && !some && (!n->empty_told[s] || says_again(w, s))) {
      if (n->empty_told[s]) w->turn_until[s] = w->now + TURN;
      runner_no_hints(n->runner, (enum slot_class)s);
    }
    n->empty_told[s] = n->told[s] > 0 && !some;
    for (size_t i = 0; i < w->q[s].n && n->told[s] > 0 && w->q[s].v[i].at <= w->now;) {
      if (!w->calm && sim_chance(w, 100)) { i++; continue; }
      struct hint h = w->q[s].v[i].h;
      memmove(&w->q[s].v[i], &w->q[s].v[i + 1], (--w->q[s].n - i) * sizeof *w->q[s].v);
      n->told[s]--;
      runner_post_hints(n->runner, (enum slot_class)s, &h, 1);
    }
  }
}
