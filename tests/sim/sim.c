/* The simulator's world: the clock, which jumps from event to event, the faults of the store, and the accidents of nodes.
 *
 *   sim --seed N [--steps M] [-v]     one seed, twice: the traces must be the same
 *   sim --seeds N [--from A]          seeds A .. A+N-1, every tenth twice; the first that fails is printed, exit 1
 *   sim --file LIST                   the seeds of a file, one a line, # begins a comment
 * In a build with planted bugs: --plant K selects one.
 *
 * A world begins with faults and requests for some thousand steps. Then it is calm, and every flow must become final within
 * bounded virtual time.
 * What never happens: a failure without its seed on stderr. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "memdb_int.h"
#include "sim.h"
#ifdef WEIR_PLANTED /* copies of core and runner, by plants.py: with bugs to choose from, and sizes that vary */
int weir_plant;
size_t weir_batch_rows, weir_page;
#define BATCH_ROWS weir_batch_rows
#else
#define BATCH_ROWS LIMIT_BATCH_ROWS
#endif

static uint64_t seed_now;
static uint64_t steps_asked;
static struct world *tracing; /* the world whose log lines count */

/* ---- failing ---- */

static void on_abort(int sig) {
  char b[64];
  int n = snprintf(b, sizeof b, "sim: seed %llu: aborted\n", (unsigned long long)seed_now);
  (void)!write(2, b, (size_t)n);
  (void)signal(sig, SIG_DFL);
  (void)raise(sig);
}

void sim_fail(struct world *w, const char *fmt, ...) {
  va_list ap;
  (void)fflush(stdout);
  (void)fprintf(stderr, "sim: seed %llu, step %llu, t=%lld.%06lld: ", (unsigned long long)w->seed, (unsigned long long)w->step,
                (long long)(w->now / SEC), (long long)(w->now % SEC));
  va_start(ap, fmt);
  (void)vfprintf(stderr, fmt, ap);
  va_end(ap);
  (void)fputc('\n', stderr);
  _exit(1);
}

/* ---- chance and trace ---- */

uint64_t sim_rnd(struct world *w, uint64_t n) { return n == 0 ? 0 : rand_next(&w->rng) % n; }

static void mix(struct world *w, uint64_t x) {
  w->hash ^= x + 0x9E3779B97F4A7C15ull;
  w->hash *= 0x100000001B3ull;
  w->hash ^= w->hash >> 29;
}

void sim_trace(struct world *w, const char *what, int64_t a, int64_t b, int64_t c) {
  for (const char *s = what; *s; s++) mix(w, (uint64_t)(unsigned char)*s);
  mix(w, (uint64_t)w->now);
  mix(w, (uint64_t)a);
  mix(w, (uint64_t)b);
  mix(w, (uint64_t)c);
  if (w->verbose)
    (void)printf("%6llu %6lld.%06lld n%d %-10s %lld %lld %lld\n", (unsigned long long)w->step, (long long)(w->now / SEC), (long long)(w->now % SEC),
                 w->current ? w->current->id : -1, what, (long long)a, (long long)b, (long long)c);
}

/* The log of the code under test. It replaces base/log.c, so that log lines are part of the trace. */
void log_setup(enum log_level level, enum log_format format) { (void)level; (void)format; }
void log_write(enum log_level level, const char *event, const struct log_field *f, int n) {
  struct world *w = tracing;
  if (!w || level == LOG_DEBUG) return;
  if (w->calm && w->now - w->calm_at > 2 * w->lease_us && strcmp(event, "runner.fenced") == 0) sim_fail(w, "a healthy node is fenced");
  if (strcmp(event, "runner.quarantine_over") == 0) w->idle_from = w->now; /* the tasks of the flow have waited for this */
  sim_trace(w, event, n > 0 ? f[0].num : 0, n > 1 ? f[1].num : 0, n > 2 ? f[2].num : 0);
}

/* ---- faults of the store ---- */

static bool holds_bad(const struct world *w, const struct batch *b) {
  for (size_t i = 0; w->bad_fi != 0 && b && i < b->n_flow; i++)
    if (b->flow[i].row.fi == w->bad_fi) return true;
  return false;
}

static enum mem_fate lost_answer(struct world *w) {
  uint64_t k = sim_rnd(w, 4);
  w->n_unknown++;
  if (w->single || k < 2) return sim_chance(w, 500) ? MEM_LOST_DONE : MEM_LOST_UNDONE;
  return k == 2 ? MEM_LATE_DONE : MEM_LATE_UNDONE;
}

static enum mem_fate lasting(struct world *w, const struct node *n, enum mem_call what) {
  switch (n->fault) {
  case FAULT_DOWN: return what == MEM_COMMIT ? lost_answer(w) : MEM_DOWN;
  case FAULT_RETRY: return MEM_RETRY;
  case FAULT_UNKNOWN: return what == MEM_COMMIT ? lost_answer(w) : what == MEM_RESOLVE ? MEM_RETRY : MEM_GO;
  case FAULT_FULL: return what == MEM_WRITE || what == MEM_COMMIT || what == MEM_RENEW ? MEM_NO_SPACE : MEM_GO;
  case FAULT_BAD: return what == MEM_WRITE ? MEM_BAD : MEM_GO;
  case FAULT_STUCK: case FAULT__N: break;
  }
  return MEM_GO;
}

static enum mem_fate fault_of(struct world *w, struct node *n, enum mem_call what, const struct batch *b) {
  if (w->calm) return MEM_GO;
  if (n->fault_until > w->now && what != MEM_WAIT) return lasting(w, n, what);
  if (n->down_until > w->now) return what == MEM_COMMIT ? lost_answer(w) : MEM_DOWN;
  if (what == MEM_WRITE && holds_bad(w, b)) return MEM_BAD;
  if (what == MEM_WAIT || !sim_chance(w, w->p_fault)) return MEM_GO;
  uint64_t k = sim_rnd(w, 100);
  if (what == MEM_COMMIT && k < 70) return lost_answer(w);
  if (what == MEM_RESOLVE) return MEM_RETRY;
  if (k < 80) return MEM_RETRY;
  if (k < 90) return MEM_NO_SPACE;
  n->down_until = w->now + sim_between(w, 0, sim_chance(w, 100) ? w->lease_us * 2 : SEC);
  return what == MEM_COMMIT ? MEM_RETRY : MEM_DOWN;
}

/* The coroutine may be left in any call for a while, and the node may be dead when the call goes on. */
enum mem_fate sim_store_call(void *ctx, void *node, enum mem_call what, const struct batch *b) {
  struct world *w = ctx;
  struct node *n = node;
  if (n->dead) return MEM_DOWN;
  bool wait = what == MEM_WAIT;
  if (n->fault == FAULT_STUCK && n->fault_until > w->now && !wait) {
    node_yield(n, n->fault_until - w->now);
    if (n->dead) return MEM_DOWN;
  }
  int64_t most = w->calm ? 100 : sim_chance(w, w->p_slow) ? 300000 : 3000;
  if (wait || sim_chance(w, w->p_yield)) node_yield(n, wait ? 1000 + most + rival_wait(w) : sim_between(w, 0, most));
  if (n->dead) return MEM_DOWN;
  enum mem_fate f = fault_of(w, n, what, b);
  if (w->verbose > 1 || f != MEM_GO) sim_trace(w, mem_call_name[what], f, 0, 0);
  return f;
}

/* ---- accidents of nodes ---- */

static void freeze(struct world *w, struct node *n) {
  int64_t most = sim_chance(w, 500) ? w->lease_us * 2 : w->lease_us / 10;
  n->frozen_until = w->now + sim_between(w, 0, most);
  n->machine_frozen = sim_chance(w, 150);
  if (n->out_until < n->frozen_until) n->out_until = n->frozen_until;
  for (struct work *k = n->work; n->machine_frozen && k != NULL; k = k->next) k->rec->excused = true;
  sim_trace(w, "freeze", n->id, n->frozen_until - w->now, n->machine_frozen);
}

static void jump(struct world *w, struct node *n) {
  int64_t by = sim_between(w, -600 * SEC, 600 * SEC);
  n->wall_off += sim_chance(w, 800) ? by / 1000 : by;
  sim_trace(w, "jump", n->id, by, 0);
}

static void flush_queue(struct world *w) {
  for (int s = 0; s < SLOT__N && !w->single; s++) w->q[s].n = 0;
}

static void begin_fault(struct world *w, struct node *n) {
  n->fault = (enum long_fault)sim_rnd(w, FAULT__N);
  n->fault_from = w->now;
  n->fault_until = w->now + sim_between(w, SEC, 120 * SEC);
  if (n->fault == FAULT_STUCK && n->out_until < n->fault_until) n->out_until = n->fault_until;
  sim_trace(w, "fault", n->id, (int64_t)n->fault, n->fault_until - w->now);
}

static void chaos(struct world *w) {
  struct node *n = &w->node[sim_rnd(w, (uint64_t)w->n_node)];
  uint64_t k = sim_rnd(w, 100);
  if (k < 10) w->bad_fi = w->bad_fi == 0 && sim_chance(w, 200) && w->db->max_fi > 0 ? 1 + (int64_t)sim_rnd(w, (uint64_t)w->db->max_fi) : 0;
  else if (k < 17) flush_queue(w);
  else if (k < 20) w->away_until = w->now + sim_between(w, 0, 60 * SEC);
  if (!n->up || node_asleep(n)) return;
  if (k >= 20 && k < 45) node_crash(n);
  else if (k < 65 && !w->single) freeze(w, n);
  else if (k < 75 && !n->draining) node_drain(n);
  else if (k < 83) jump(w, n);
  else if (k < 92) begin_fault(w, n);
  else n->down_until = w->now + sim_between(w, 0, sim_chance(w, 500) ? w->lease_us * 2 : 3 * SEC); /* cut off from the database */
}

/* Faults stop. A flow that was set aside is tried again without help. */
static void become_calm(struct world *w) {
  w->calm = true;
  w->calm_at = w->idle_from = w->now;
  if (sim_chance(w, 500)) w->op_at = INT64_MAX;
  w->bad_fi = 0;
  rival_calm(w);
  queues_calm(w);
  drains_calm(w);
  w->away_until = 0;
  if (sim_chance(w, 500)) flush_queue(w);
  sim_trace(w, "calm", 0, 0, 0);
  for (int i = 0; i < w->n_node; i++) {
    struct node *n = &w->node[i];
    n->frozen_until = n->down_until = n->fault_until = 0;
    if (n->in_turn && n->resume_at > w->now + SEC) n->resume_at = w->now + SEC;
    n->machine_frozen = false;
    if (!n->up && n->up_at > w->now + SEC) n->up_at = w->now + SEC;
  }
}

/* ---- one step ---- */

enum act { ACT_NODE, ACT_WORK, ACT_POLL, ACT_OP, ACT_CHAOS, ACT_ORPHAN, ACT_BACK };
struct ready { enum act act; int node; };

static size_t what_is_ready(struct world *w, struct ready *out) {
  size_t n = 0;
  for (int i = 0; i < w->n_node; i++) {
    struct node *x = &w->node[i];
    if ((!x->up && x->up_at <= w->now) || node_ready(x)) out[n++] = (struct ready){ACT_NODE, i};
    if (x->up && work_next(x) <= w->now) out[n++] = (struct ready){ACT_WORK, i};
    if (queue_ready(w, x)) out[n++] = (struct ready){ACT_POLL, i};
  }
  if (w->op_at <= w->now) out[n++] = (struct ready){ACT_OP, 0};
  if (load_ready(w)) out[n++] = (struct ready){ACT_BACK, 0};
  if (!w->calm && w->chaos_at <= w->now) out[n++] = (struct ready){ACT_CHAOS, 0};
  for (size_t i = 0; i < w->n_orphan; i++)
    if (w->orphan[i].end_at <= w->now) { out[n++] = (struct ready){ACT_ORPHAN, 0}; break; }
  return n;
}

static int64_t soonest(int64_t a, int64_t b) { return a < b ? a : b; }

static void to_next_event(struct world *w) {
  int64_t at = queue_next(w);
  for (int i = 0; i < w->n_node; i++) {
    at = soonest(at, node_next(&w->node[i]));
    if (w->node[i].up) at = soonest(at, work_next(&w->node[i]));
  }
  for (size_t i = 0; i < w->n_orphan; i++) at = soonest(at, w->orphan[i].end_at);
  for (const struct mem_tx *tx = w->db->txs; tx != NULL; tx = tx->next) at = soonest(at, w->now + SEC);
  at = soonest(soonest(at, w->op_at), load_next(w));
  at = soonest(at, rival_next(w));
  if (!w->calm) at = soonest(at, w->chaos_at);
  if (at == INT64_MAX) at = w->now + SEC;
  if (at > w->now) w->now = at;
}

static void act(struct world *w, struct ready r) {
  struct node *n = &w->node[r.node];
  switch (r.act) {
  case ACT_NODE:
    if (!n->up) node_start(n);
    else if (!n->draining || !node_drained(n)) node_run(n);
    break;
  case ACT_WORK: work_run(n); break;
  case ACT_POLL: queue_poll(n); break;
  case ACT_OP:
    if (w->calm) load_idle_op(w);
    else load_op(w);
    if (!w->calm) queues_op(w);
    if (!w->calm) jobs_op(w);
    w->op_at = w->now + (w->calm ? w->lease_us / 20 : sim_between(w, 0, sim_chance(w, 100) ? 20 * SEC : SEC));
    break;
  case ACT_CHAOS:
    chaos(w);
    w->chaos_at = w->now + sim_between(w, SEC / 10, 30 * SEC);
    break;
  case ACT_ORPHAN: orphans_run(w); break;
  case ACT_BACK: load_back(w); break;
  }
}

static void step(struct world *w) {
  struct ready r[SIM_NODES * 3 + 4];
  w->step++;
  w->now += sim_between(w, 0, 200);
  size_t n = what_is_ready(w, r);
  if (n == 0) {
    to_next_event(w);
    n = what_is_ready(w, r);
  }
  w->db->now_us = w->now;
  memdb_tick(w->db);
  rival_step(w);
  drains_step(w);
  for (int i = 0; i < w->n_node; i++)
    if (w->node[i].draining && node_drained(&w->node[i])) return;
  if (n > 0) act(w, r[sim_rnd(w, n)]);
  load_check(w);
}

/* ---- one seed ---- */

static void node_setup(struct world *w, int i) {
  struct node *n = &w->node[i];
  *n = (struct node){.w = w, .id = i, .rate = 0.95 + (double)sim_rnd(w, 1001) / 10000};
  n->boot_off = sim_between(w, SEC, 100000 * SEC);
  n->wall_off = 1700000000 * SEC + sim_between(w, -5 * SEC, 5 * SEC);
  for (int s = 0; s < SLOT__N; s++) n->slots[s] = 1 + (uint32_t)sim_rnd(w, 6);
  n->ahead = sim_chance(w, 700) ? n->slots[SLOT_PROCESS] : 0;
  if (i > 0 && sim_chance(w, 150)) n->ahead = n->slots[0] = n->slots[1] = 0; /* no worker role */
}

static void world_setup(struct world *w, uint64_t seed, int verbose) {
  *w = (struct world){.seed = seed, .rng = seed * 0x9E3779B97F4A7C15ull + 1, .verbose = verbose, .now = SEC};
  w->single = sim_chance(w, 350);
  w->n_node = w->single ? 1 : 1 + (int)sim_rnd(w, SIM_NODES);
  w->lease_us = sim_chance(w, 500) ? 60 * SEC : 6 * SEC;
  w->p_fault = sim_chance(w, 300) ? 0 : (uint32_t)sim_rnd(w, 60);
  w->p_yield = (uint32_t)sim_rnd(w, 800);
  w->p_slow = (uint32_t)sim_rnd(w, 30);
  w->p_key = sim_chance(w, 500) ? 0 : (uint32_t)sim_rnd(w, 800);
  w->quick = sim_chance(w, 300);
  w->small_cache = sim_chance(w, 300);
#ifdef WEIR_PLANTED
  weir_batch_rows = sim_chance(w, 200) ? LIMIT_BATCH_ROWS : 2 + sim_rnd(w, 40);
  weir_page = sim_chance(w, 200) ? PAGE : 1 + sim_rnd(w, 20);
#endif
  w->batch_rows = (uint32_t)BATCH_ROWS;
  w->queue_cap = sim_chance(w, 300) ? 1 + sim_rnd(w, 20) : 100000;
  w->chaos_at = sim_chance(w, 150) ? INT64_MAX : w->now + sim_between(w, 0, 60 * SEC);
  const struct mem_hooks h = {w, sim_store_call, oracle_commit, oracle_committed, oracle_broken, node_clocks};
  w->db = memdb_new(&h, w->single, w->lease_us, sim_slot_of);
  w->db->made_up = seed * 11400714819323198485ull >> 61 == 0; /* an eighth of all worlds; the other worlds are unchanged */
  w->db->now_us = w->now;
  tracing = w;
  load_setup(w);
  for (int i = 0; i < w->n_node; i++) node_setup(w, i);
  rival_setup(w);
  queues_setup(w);
  drains_setup(w);
  jobs_setup(w);
  trees_setup(w);
}

static void world_done(struct world *w) {
  for (int i = 0; i < w->n_node; i++) {
    node_stop(&w->node[i]);
    free(w->node[i].stack);
  }
  load_done(w);
  queues_end(w);
  jobs_end(w);
  trees_end(w);
  oracle_done(w);
  memdb_free(w->db);
  for (int s = 0; s < SLOT__N; s++) free(w->q[s].v);
  free(w->orphan);
  tracing = NULL;
}

static bool settled(struct world *w) {
  if (oracle_live(w) || w->n_orphan > 0) return false;
  for (int i = 0; i < w->n_node; i++) {
    const struct node *n = &w->node[i];
    if (n->up && (n->in_turn || n->work || n->done || runner_busy(n->runner))) return false;
  }
  return true;
}

#define CALM_LIMIT (24 * 3600 * SEC) /* some worlds have 200,000 tasks and one slot */
#define CALM_STEPS 3000000

_Noreturn static void hangs(struct world *w) {
  const struct map64_slot *s;
  int shown = 0;
  for (size_t k = 0; (s = map64_next(&w->db->task, &k)) != NULL;) {
    const struct task_row *t = &((struct mem_task *)s->val)->r;
    if (!task_final(t->t.state) && shown++ < 5)
      (void)fprintf(stderr, "sim: task %lld of flow %lld: %s phase %u epoch %u owner %lld\n", (long long)t->ti, (long long)t->fi, task_state_name(t->t.state), t->t.phase,
                    t->t.epoch, (long long)t->t.owner);
  }
  for (int i = 0; i < w->n_node; i++) {
    const struct node *n = &w->node[i];
    if (n->up) (void)fprintf(stderr, "sim: node %d: incarnation %lld, %zu events, %zu later, used %u %u, next wake in %lld us\n", i,
                             (long long)runner_incarnation(n->runner), n->runner->events.n, n->runner->later.wait.n,
                             n->runner->admission.pool[0].used, n->runner->admission.pool[1].used,
                             (long long)(n->next_boot - node_boot(n)));
    if (n->up) (void)fprintf(stderr, "sim: %u %u wait, %u %u in order, %zu held, %zu limits hold something back, budget %lld of %lld%s\n",
                             n->runner->queues.n[0], n->runner->queues.n[1], (unsigned)n->runner->queues.order[0].n,
                             (unsigned)n->runner->queues.order[1].n, n->runner->queues.holds.n, n->runner->queues.n_blockers,
                             (long long)n->runner->queues.cpu_used, (long long)n->runner->queues.opts.cpu_budget,
                             n->runner->queues.drains ? ", drains" : "");
  }
  for (size_t k = 0; (s = map64_next(&w->db->flow, &k)) != NULL;) {
    const struct flow_row *f = &((struct mem_flow *)s->val)->r;
    if (!flow_final((enum flow_state)f->state))
      sim_fail(w, "flow %lld hangs: %s live %u more '%s'", (long long)f->fi, flow_state_name((enum flow_state)f->state), f->live, f->more ? f->more : "");
  }
  sim_fail(w, "a task or a node hangs");
}

static uint64_t run_seed(uint64_t seed, int verbose) {
  struct world *w = wr_new(struct world);
  seed_now = seed;
  world_setup(w, seed, verbose);
  uint64_t steps = steps_asked ? steps_asked : 300 + sim_rnd(w, 2500);
  while (w->step < steps) {
    step(w);
    oracle_gone(w);
  }
  become_calm(w);
  int64_t since = w->now;
  /* The end is looked for now and then, after a number of steps that is no multiple of a short cycle. Otherwise the same part of
   * the cycle would always be seen. */
  int64_t least = w->op_at == INT64_MAX ? since : since + 4 * w->lease_us;
  for (uint64_t i = 0; i % 17 != 0 || w->now < least || !settled(w); i++) {
    step(w);
    if (i % 17 == 0) oracle_idle(w);
    if (i % 17 == 0 && w->jobs.on) jobs_idle(w);
    if (i % 17 == 0) oracle_gone(w);
    if (i % 17 == 0) load_wake(w);
    if (w->now - since < CALM_LIMIT && i < CALM_STEPS) continue;
    hangs(w);
  }
  oracle_quiet(w);
  uint64_t hash = w->hash;
  if (verbose)
    (void)printf("seed %llu: %s, %d nodes, %llu steps, %llu commits, %llu requests, %llu crashes, %llu unknown, %llu replayed, %llu ahead, %lld flows, hash %016llx\n",
                 (unsigned long long)seed, w->single ? "single" : "cluster", w->n_node, (unsigned long long)w->step, (unsigned long long)w->n_commit,
                 (unsigned long long)w->n_ops, (unsigned long long)w->n_crash, (unsigned long long)w->n_unknown, (unsigned long long)w->n_replay, (unsigned long long)w->n_gated, (long long)w->db->max_fi, (unsigned long long)hash);
  world_done(w);
  free(w);
  return hash;
}

static int one_seed(uint64_t seed, int verbose, bool twice) {
  uint64_t a = run_seed(seed, verbose), b = twice ? run_seed(seed, 0) : a;
  if (a == b) return 0;
  (void)fprintf(stderr, "sim: seed %llu: two runs differ: %016llx %016llx\n", (unsigned long long)seed, (unsigned long long)a, (unsigned long long)b);
  return 1;
}

static int seed_file(const char *path) {
  char line[128];
  FILE *f = fopen(path, "r");
  int bad = f ? 0 : 1;
  if (!f) perror(path);
  while (f && !bad && fgets(line, sizeof line, f))
    if (line[0] >= '0' && line[0] <= '9') bad = one_seed(strtoull(line, NULL, 10), 0, false);
  if (f) (void)fclose(f);
  return bad;
}

int main(int argc, char **argv) {
  uint64_t seed = 0, seeds = 0, from = 1;
  const char *file = NULL;
  int verbose = 0;
  for (int i = 1; i < argc; i++) {
    const char *next = i + 1 < argc ? argv[i + 1] : "0";
    if (strcmp(argv[i], "-v") == 0) verbose++;
    else if (strcmp(argv[i], "--seed") == 0) seed = strtoull(next, NULL, 10), i++;
    else if (strcmp(argv[i], "--seeds") == 0) seeds = strtoull(next, NULL, 10), i++;
    else if (strcmp(argv[i], "--from") == 0) from = strtoull(next, NULL, 10), i++;
    else if (strcmp(argv[i], "--steps") == 0) steps_asked = strtoull(next, NULL, 10), i++;
    else if (strcmp(argv[i], "--file") == 0) file = next, i++;
#ifdef WEIR_PLANTED
    else if (strcmp(argv[i], "--plant") == 0) weir_plant = (int)strtol(next, NULL, 10), i++;
#endif
    else { (void)fprintf(stderr, "sim: what is %s?\n", argv[i]); return 2; }
  }
  (void)signal(SIGABRT, on_abort);
  (void)signal(SIGSEGV, on_abort);
  if (file) return seed_file(file);
  if (seed) return one_seed(seed, verbose, !verbose);
  if (!seeds) { (void)fprintf(stderr, "usage: sim --seed N [--steps M] [-v] | --seeds N [--from A] | --file LIST\n"); return 2; }
  for (uint64_t s = from; s < from + seeds; s++)
    if (one_seed(s, 0, s % 10 == 0)) return 1;
  (void)printf("%llu seeds, no failure\n", (unsigned long long)seeds);
  return 0;
}
