/* Measures what the pure core costs: large flows go through run_step() and run_drain() in batches, as in the runner, but without
 * a store. Prints nanoseconds per event of each shape and end.
 *
 *   bench_core [NODES]      default 200,000 (LIMIT_NODES; the web has five edges a node: LIMIT_EDGES)
 *
 * One thread. What never happens: a decision that depends on time. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "err.h"
#include "wr_limits.h"
#include "mem.h"
#include "run.h"

enum { ME = 1, EDGES_A_NODE = 5 };
static const struct task_policy once = {.attempts = 1, .slot = SLOT_ASYNC};

struct graph {
  struct dag_spec_node *v;
  uint32_t *parent;               /* of all nodes, one after the other */
  uint32_t n;
  size_t n_edge;
};

struct bench {
  struct dag *dag;
  struct run *run;
  struct task_bind *bind;
  struct effects eff;
  struct run_ctx c;
  uint32_t *fifo; size_t head, tail;   /* started, not ended */
  uint64_t events, batches, rows;
  size_t deepest;
  struct buf text;
};

/* ---- shapes ---- */

enum shape { CHAIN, FAN_OUT, FAN_IN, DIAMOND, COMB, WEB, TEAMS, SHAPE__N };
static const char *const shape_name[SHAPE__N] = {"chain", "fan-out", "fan-in", "diamond", "comb", "web of 5 edges a node", "fan-in, 5 tasks a node"};

static void edge(struct graph *g, uint32_t child, uint32_t parent) {
  (void)child;
  g->parent[g->n_edge++] = parent;
}

static void edges_of(struct graph *g, enum shape s, uint32_t i, uint64_t *seed) {
  uint32_t last = g->n - 1;
  switch (s) {
  case CHAIN: if (i > 0) edge(g, i, i - 1); break;
  case FAN_OUT: if (i > 0) edge(g, i, 0); break;
  case FAN_IN: case TEAMS: for (uint32_t k = 0; i == last && k < last; k++) edge(g, i, k); break;
  case DIAMOND:
    if (i > 0 && i < last) edge(g, i, 0);
    for (uint32_t k = 1; i == last && k < last; k++) edge(g, i, k);
    break;
  case COMB: /* a spine, then a tooth at each node of the spine: the deepest stack when everything fails */
    if (i > 0) edge(g, i, i < g->n / 2 ? i - 1 : i - g->n / 2);
    break;
  case WEB:
    for (uint32_t k = 1; k <= EDGES_A_NODE && k <= i; k++) edge(g, i, i - k - (uint32_t)(rand_next(seed) % 3) * (i > 1000 ? 7 * k : 0));
    break;
  case SHAPE__N: break;
  }
}

static struct dag *compile(enum shape s, uint32_t n) {
  struct graph g = {.n = n, .v = wr_calloc(n, sizeof *g.v), .parent = wr_calloc((size_t)n * EDGES_A_NODE + 1, sizeof *g.parent)};
  uint32_t cycle[1], n_cycle;
  uint64_t seed = 1;
  for (uint32_t i = 0; i < n; i++) {
    size_t at = g.n_edge;
    edges_of(&g, s, i, &seed);
    g.v[i] = (struct dag_spec_node){.n_task = s == TEAMS ? 5 : 1, .need = 1, .parent = g.parent + at, .n_parent = (uint32_t)(g.n_edge - at)};
  }
  struct dag *d = dag_new(g.v, n, FLOW_CONTINUE, 0, cycle, &n_cycle);
  wr_assert(d != NULL);
  free(g.v);
  free(g.parent);
  return d;
}

/* ---- batches ---- */

static void batch_begin(struct bench *b) {
  b->c.budget = LIMIT_BATCH_ROWS;
  b->c.now_us++;
}

static void batch_end(struct bench *b) {
  struct effects *e = &b->eff;
  for (size_t i = 0; i < e->n_after; i++)
    if (e->after[i].kind == AFTER_READY) (void)run_take(&b->c, i);
  for (size_t i = 0; i < e->n_after; i++)
    if (e->after[i].kind == AFTER_START) b->fifo[b->tail++] = e->after[i].task;
  if (b->run->n_more > b->deepest) b->deepest = b->run->n_more;
  buf_clear(&b->text);
  if (e->n_flow) run_more_text(b->run, &b->text);
  b->rows += e->n_flow + e->n_node + e->n_task;
  b->batches++;
  effects_commit(e, (int64_t)b->batches);
}

static void step(struct bench *b, const struct run_event *ev) {
  wr_assert(run_step(b->run, ev, &b->c) != RUN_NEED);
  (void)run_drain(b->run, &b->c);
  b->events++;
}

static void alone(struct bench *b, const struct run_event *ev) {
  batch_begin(b);
  step(b, ev);
  batch_end(b);
}

/* A batch: takes results while there is room, then drains what is left of the flow. */
static void batch(struct bench *b, enum task_ev how) {
  batch_begin(b);
  for (uint32_t k = 0; k < LIMIT_BATCH_ROWS && b->c.budget > 0 && b->head < b->tail; k++) {
    uint32_t task = b->fifo[b->head++];
    const struct task *t = &b->run->task[task].t;
    step(b, &(struct run_event){.kind = RUN_EV_TASK, .task = task, .ev = {.kind = how, .owner = ME, .epoch = t->epoch}, .error = "no"});
  }
  (void)run_drain(b->run, &b->c);
  batch_end(b);
}

static void play(struct bench *b, enum task_ev how) {
  while (!flow_final(b->run->state)) batch(b, how);
}

static void begin(struct bench *b, struct dag *d) {
  *b = (struct bench){.dag = d, .bind = wr_calloc(d->n_task, sizeof *b->bind), .fifo = wr_calloc((size_t)d->n_task * 3 + 1, sizeof *b->fifo)};
  for (uint32_t i = 0; i < d->n_task; i++) b->bind[i] = (struct task_bind){&once, 1, NULL, 0};
  b->c = (struct run_ctx){.now_us = 1, .me = ME, .out = &b->eff};
  b->run = run_new(d, 1, (struct run_base){1, 1}, FLOW_RUNNING);
  b->run->bind = b->bind;
}

static void end(struct bench *b) {
  run_check(b->run);
  run_free(b->run);
  effects_done(&b->eff);
  free(b->c.need);
  free(b->bind);
  free(b->fifo);
  buf_done(&b->text);
}

/* ---- what is measured ---- */

static void report(const char *shape, const char *what, const struct bench *b, int64_t us, uint64_t per) {
  (void)printf("%-24s %-22s %9" PRIu64 " events %8" PRIu64 " rows %6" PRIu64 " batches %8.1f ms %7.0f ns/event, stack %zu\n", shape, what,
               b->events, b->rows, b->batches, (double)us / 1000, (double)us * 1000 / (double)(per ? per : 1), b->deepest);
}

enum finish { ALL_OK, ROOT_FAILS, CANCELED, AGAIN, FINISH__N };
static const char *const finish_name[FINISH__N] = {"all succeed", "all roots fail", "cancelled", "then run again"};

static void measure(enum shape s, struct dag *d, enum finish f) {
  struct bench b;
  begin(&b, d);
  int64_t t0 = clock_mono_us();
  alone(&b, &(struct run_event){.kind = RUN_EV_START});
  if (f == CANCELED) {
    alone(&b, &(struct run_event){.kind = RUN_EV_CANCEL});
    play(&b, TASK_EV_FAIL);
  } else {
    play(&b, f == ALL_OK ? TASK_EV_OK : TASK_EV_FAIL);
  }
  if (f == AGAIN) {
    t0 = clock_mono_us();
    b.events = b.rows = b.batches = 0;
    alone(&b, &(struct run_event){.kind = RUN_EV_RERUN, .node = RERUN_FAILED, .base = {1 << 20, 1 << 24}});
    play(&b, TASK_EV_OK);
  }
  int64_t us = clock_mono_us() - t0;
  report(shape_name[s], finish_name[f], &b, us, b.events > d->n ? b.events : d->n);
  end(&b);
}

/* As after a cache miss on a store with rivals: the run is made, and only the rows that a step asks for are read. */
static void measure_miss(struct dag *d) {
  enum { TIMES = 20 };
  int64_t t0 = clock_mono_us();
  for (int i = 0; i < TIMES; i++) {
    struct run *r = run_new(d, 1, (struct run_base){1, 1}, FLOW_RUNNING);
    run_forget(r);
    run_free(r);
  }
  (void)printf("%-24s %-22s %.3f ms each\n", "any", "cache miss", (double)(clock_mono_us() - t0) / 1000 / TIMES);
}

int main(int argc, char **argv) {
  uint32_t n = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : LIMIT_NODES;
  if (n < 10 || n > LIMIT_NODES) return 2;
  for (enum shape s = 0; s < SHAPE__N; s++) {
    int64_t t0 = clock_mono_us();
    struct dag *d = compile(s, n);
    (void)printf("%-24s %-22s %u nodes, %u tasks, %u edges: %.1f ms\n", shape_name[s], "compiled", d->n, d->n_task, d->n_edge, (double)(clock_mono_us() - t0) / 1000);
    for (enum finish f = 0; f < FINISH__N; f++) measure(s, d, f);
    if (s == WEB) measure_miss(d);
    dag_unref(d);
  }
  return 0;
}
