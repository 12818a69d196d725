/* Made-up nodes that no executor offers yet: some grow when they start (their tasks get ids of their own), some choose which of their
 * out-edges go on. Random flows are played to their end, from memory and from rows, over several runs. What a run must come to is
 * read here once more, from the rules. */
#include "unit.h"
#include "admit.h"
#include <string.h>
#include "clock.h"
#include "wr_limits.h"
#include "mem.h"
#include "run.h"

enum { MAXN = 7, MAX_WIDTH = 4, RUNS = 3, IDS = 4000 };
static const struct task_policy once = {.attempts = 1, .backoff_base_us = 10, .backoff_cap_us = 100, .backoff_factor = 2, .slot = SLOT_ASYNC};

/* What is stored: rows by their ids, and the columns of the flow. */
struct rows {
  struct { bool there; uint16_t base; struct run_node v; } node[MAXN * (RUNS + 1)];   /* by ni */
  struct { bool there; struct task t; } task[IDS];                    /* by ti */
  struct run head;
  struct buf bases, more;
};

struct world {
  uint64_t seed;
  struct dag *dag;
  uint32_t parents[MAXN][MAXN], n_parents[MAXN];
  struct task_bind bind[MAXN];
  struct run *run;
  struct rows rows;
  struct effects eff;
  struct run_ctx c;
  int64_t version, next_ti;
  uint32_t claimed[MAXN][MAX_WIDTH];  /* newest epoch of each task of a node, over all runs */
  uint32_t grown, skipped;            /* how often each thing happened, over all seeds */
};

static uint32_t pick(struct world *w, uint32_t n) { return (uint32_t)(rand_next(&w->seed) % n); }

static void make_dag(struct world *w) {
  struct dag_spec_node v[MAXN];
  uint32_t n = 1 + pick(w, MAXN), cycle[MAXN], n_cycle;
  for (uint32_t i = 0; i < n; i++) {
    w->n_parents[i] = 0;
    for (uint32_t j = 0; j < i; j++)
      if (pick(w, 3) == 0) w->parents[i][w->n_parents[i]++] = j;
    v[i] = (struct dag_spec_node){.n_task = 1, .need = 1, .parent = w->parents[i], .n_parent = w->n_parents[i], .expands = pick(w, 2) == 0};
    w->bind[i] = (struct task_bind){&once, 1, NULL, 0};
  }
  w->dag = dag_new(v, n, FLOW_CONTINUE, 0, cycle, &n_cycle);
  assert_non_null(w->dag);
}

/* ---- rows ---- */

static void store_rows(struct world *w) {
  struct rows *s = &w->rows;
  for (size_t i = 0; i < w->eff.n_node; i++) {
    uint32_t n = w->eff.node[i].node;
    int64_t ni = run_ni(w->run, n);
    s->node[ni].there = true;
    s->node[ni].base = w->run->node[n].base;
    s->node[ni].v = w->run->node[n];
  }
  for (size_t i = 0; i < w->eff.n_task; i++) {
    uint32_t t = w->eff.task[i].task;
    int64_t ti = run_ti(w->run, t);
    assert_true(ti > 0 && ti < w->next_ti);
    assert_int_equal(s->task[ti].there, w->run->task[t].row); /* an insert is one, an update too */
    s->task[ti].there = true;
    s->task[ti].t = w->run->task[t].t;
  }
  for (size_t i = 0; i < w->eff.n_after; i++) {
    const struct eff_after *f = &w->eff.after[i];
    if (f->kind != AFTER_START) continue;
    uint32_t n = run_node_of(w->run, f->task), k = f->task - run_node_tasks(w->run, n).at;
    assert_true(f->epoch > w->claimed[n][k]); /* epochs go on over re-runs */
    w->claimed[n][k] = f->epoch;
  }
  if (w->eff.n_flow) {
    s->head = *w->run;
    buf_clear(&s->bases);
    buf_clear(&s->more);
    run_bases_text(w->run, &s->bases);
    run_more_text(w->run, &s->more);
  }
  effects_commit(&w->eff, ++w->version);
}

/* As the loader does it: of each run, oldest first, the tasks and then the node. */
static void load_node(struct world *w, struct run *r, uint32_t n) {
  run_load_none(r, n);
  for (size_t b = 0; b < r->n_base; b++) {
    struct run_ids ids = run_task_ids(r, (uint16_t)b, n);
    int64_t ni = r->base[b].ni + n;
    for (uint32_t k = 0; k < ids.n; k++)
      if (w->rows.task[ids.ti + k].there) assert_true(run_load_task(r, run_task_in(r, (uint16_t)b, ids.ti + k), &w->rows.task[ids.ti + k].t));
    if (w->rows.node[ni].there) {
      struct run_node v = w->rows.node[ni].v;
      v.base = (uint16_t)b;
      v.wide = 0; /* no column */
      assert_true(run_load_node(r, n, &v));
    }
  }
}

static struct run *load_head(struct world *w) {
  const struct rows *s = &w->rows;
  struct run *r = run_new(w->dag, 7, (struct run_base){0, 0}, (enum flow_state)s->head.state);
  assert_true(run_bases_parse(r, s->bases.data));
  assert_true(run_more_parse(r, s->more.len ? s->more.data : "", s->more.len));
  r->wish = s->head.wish;
  r->live = s->head.live;
  r->failed = s->head.failed;
  r->text_error = s->head.text_error;
  r->last_us = s->head.last_us;
  r->version = w->version;
  r->row = 1;
  r->bind = w->bind;
  run_forget(r);
  return r;
}

static void check_rows(struct world *w) {
  struct run *r = load_head(w);
  struct buf bases = BUF_INIT;
  for (uint32_t i = 0; i < w->dag->n; i++) load_node(w, r, i);
  run_check(r);
  run_bases_text(r, &bases);
  assert_string_equal(bases.data, w->rows.bases.data);
  buf_done(&bases);
  run_free(r);
}

/* ---- steps ---- */

static void feed(struct world *w) {
  for (size_t i = 0; i < w->c.n_need; i++) load_node(w, w->run, w->c.need[i]);
  w->c.n_need = 0;
}

static void widen(struct world *w) {
  uint32_t n = pick(w, MAX_WIDTH + 1);
  assert_true(w->dag->node[w->c.widen].expands);
  int64_t ti = w->next_ti;
  w->next_ti += n;
  w->grown += n > 1;
  run_widen(w->run, &w->c, n, ti);
}

static void event(struct world *w, struct run_event *ev) {
  uint32_t free[SLOT__N] = {[SLOT_ASYNC] = pick(w, 4)};
  enum run_rc rc, d;
  w->c.now_us++;
  w->c.budget = 1 + pick(w, 4);
  while ((rc = run_step(w->run, ev, &w->c)) == RUN_NEED) feed(w);
  assert_true(rc == RUN_OK || rc == RUN_LATE);
  do {
    while ((d = run_drain(w->run, &w->c)) == RUN_NEED || d == RUN_WIDEN) {
      if (d == RUN_NEED) feed(w);
      else widen(w);
    }
    admit_ready(&w->c, 0, free);
    store_rows(w);
    w->c.budget = 1 + pick(w, 4);
    if (pick(w, 3) == 0) {
      run_free(w->run);
      w->run = load_head(w);
    }
  } while (d == RUN_MORE);
  check_rows(w);
}

/* One task after the other ends, in any order; now and then one fails. */
static void play(struct world *w) {
  for (int guard = 0; !flow_final((enum flow_state)w->run->state); guard++) {
    assert_true(guard < 3000);
    int64_t ti = 1 + (int64_t)pick(w, (uint32_t)w->next_ti - 1);
    const struct task *t = &w->rows.task[ti].t;
    if (!w->rows.task[ti].there || task_final(t->state)) continue;
    struct run_event ev = {.kind = RUN_EV_TASK, .task = run_task_of(w->run, ti), .error = "it failed", .skip_edges = pick(w, 2) ? pick(w, 8) : 0};
    assert_int_not_equal(ev.task, UINT32_MAX); /* what was replaced by a new run had ended */
    ev.ev = (struct task_event){.kind = t->state == TASK_QUEUED ? TASK_EV_CLAIM : pick(w, 8) == 0 ? TASK_EV_FAIL : TASK_EV_OK,
                                .owner = t->owner ? t->owner : 5, .epoch = t->epoch};
    event(w, &ev);
  }
}

/* ---- what it must have come to ---- */

static uint32_t edge_of(const struct world *w, uint32_t from, uint32_t to) {
  const struct dag *d = w->dag;
  for (uint32_t k = d->child_at[from]; k < d->child_at[from + 1]; k++)
    if (d->child[k] == to) return k - d->child_at[from];
  fail_msg("no such edge");
  return 0;
}

static void check_outcome(struct world *w) {
  uint32_t failed = 0;
  for (uint32_t i = 0; i < w->dag->n; i++)
    if (!run_known(w->run, i)) load_node(w, w->run, i);
  for (uint32_t i = 0; i < w->dag->n; i++) {
    const struct run_node *v = &w->run->node[i];
    uint32_t fail = 0, skip = 0;
    for (uint32_t k = 0; k < w->n_parents[i]; k++) {
      const struct run_node *p = &w->run->node[w->parents[i][k]];
      if (p->state == NODE_SKIPPED) skip++;
      else if (p->state != NODE_SUCCESS) fail++;
      else if (p->skip_edges >> edge_of(w, w->parents[i][k], i) & 1) skip++;
    }
    enum node_state s = (enum node_state)v->state;
    struct run_tasks its = run_node_tasks(w->run, i);
    uint32_t bad = 0;
    if (v->wide) assert_int_equal(run_task_of(w->run, w->run->base[v->base].ti + w->dag->node[i].task_at), UINT32_MAX); /* a pattern only */
    for (uint32_t k = its.at; k < its.at + its.n; k++) bad += w->run->task[k].t.state != TASK_SUCCESS;
    if (fail + skip > 0) assert_true(s == NODE_UPSTREAM_FAILED || s == NODE_SKIPPED);
    if (fail + skip > 0 && (fail == 0 || skip == 0)) assert_int_equal(s, fail ? NODE_UPSTREAM_FAILED : NODE_SKIPPED);
    if (fail + skip == 0 && !(w->dag->node[i].expands && v->wide == 0)) assert_int_equal(s, bad ? NODE_FAILED : NODE_SUCCESS);
    if (fail + skip == 0 && w->dag->node[i].expands && v->wide == 0) assert_int_equal(s, NODE_SKIPPED); /* it had no tasks */
    if (fail + skip == 0 && bad == 0 && s == NODE_SUCCESS) assert_int_equal(v->t_ok, its.n);
    failed += s == NODE_FAILED || s == NODE_UPSTREAM_FAILED;
    w->skipped += s == NODE_SKIPPED && skip > 0;
  }
  assert_int_equal(w->run->state, failed ? FLOW_FAILED : FLOW_SUCCESS);
}

static void one(struct world *w, uint64_t seed) {
  w->seed = seed;
  make_dag(w);
  w->next_ti = 1 + w->dag->n_task;
  w->run = run_new(w->dag, 7, (struct run_base){0, 1}, FLOW_RUNNING);
  w->run->bind = w->bind;
  w->c = (struct run_ctx){.now_us = 1000, .me = 5, .rnd = seed, .out = &w->eff};
  event(w, &(struct run_event){.kind = RUN_EV_START});
  for (uint32_t runs = 1;; runs++) {
    play(w);
    check_outcome(w);
    if (runs == RUNS) break;
    struct run_event ev = {.kind = RUN_EV_RERUN, .node = pick(w, w->dag->n), .base = {(int64_t)runs * MAXN, w->next_ti}};
    w->next_ti += w->dag->n_task;
    event(w, &ev);
  }
  run_free(w->run);
  dag_unref(w->dag);
  effects_done(&w->eff);
  free(w->c.need);
  buf_done(&w->rows.bases);
  buf_done(&w->rows.more);
}

static void grows_and_chooses(void **st) {
  uint32_t grown = 0, skipped = 0;
  (void)st;
  for (uint64_t seed = 1; seed <= 3000; seed++) {
    struct world *w = wr_new(struct world);
    one(w, seed * 7919);
    grown += w->grown;
    skipped += w->skipped;
    free(w);
  }
  assert_true(grown > 1000 && skipped > 1000);
}

/* ---- limits and damaged texts ---- */

static struct run *one_that_grows(struct dag **d, struct effects *eff, struct run_ctx *c, const struct task_bind *bind) {
  uint32_t n_cycle;
  *d = dag_new(&(struct dag_spec_node){.n_task = 1, .need = 1, .expands = 1}, 1, FLOW_CONTINUE, 0, NULL, &n_cycle);
  struct run *r = run_new(*d, 1, (struct run_base){1, 1}, FLOW_RUNNING);
  *c = (struct run_ctx){.now_us = 1, .me = 1, .budget = 10, .out = eff};
  r->bind = bind;
  assert_int_equal(run_step(r, &(struct run_event){.kind = RUN_EV_START}, c), RUN_OK);
  assert_int_equal(run_drain(r, c), RUN_WIDEN);
  assert_int_equal(c->widen, 0);
  return r;
}

static void too_wide_fails(void **st) {
  const struct task_bind bind = {&once, 1, NULL, 0};
  (void)st;
  for (uint32_t n = LIMIT_WIDTH; n <= LIMIT_WIDTH + 1; n++) {
    struct dag *d;
    struct effects eff = {0};
    struct run_ctx c;
    struct run *r = one_that_grows(&d, &eff, &c, &bind);
    run_widen(r, &c, n, 100);
    assert_int_equal(run_drain(r, &c), RUN_OK);
    assert_int_equal(r->state, n > LIMIT_WIDTH ? FLOW_FAILED : FLOW_RUNNING);
    for (size_t i = 0; i < eff.n_after; i++)
      if (eff.after[i].kind == AFTER_READY) run_leave(&c, i);
    effects_commit(&eff, 2);
    run_check(r);
    run_free(r);
    dag_unref(d);
    effects_done(&eff);
  }
}

static void damaged_texts(void **st) {
  static const char *const bad[] = {"1:1+", "1:1+0", "1:1+0:2", "1:1+0:2:", "1:1+1:2:5", "1:1+0:0:5", "1:1+0:10001:5", "1:1+0:2:-5", "1:1+0:2:9007199254740992",
                                    "1:1+0:2:5x", "1:1+0:2:5+", "+0:2:5", "1:1+-1:2:5", "1:1+4294967296:2:5", "1:1+0:2:5;1:2"};
  const struct task_bind bind = {&once, 1, NULL, 0};
  struct dag *d;
  struct effects eff = {0};
  struct run_ctx c;
  (void)st;
  run_free(one_that_grows(&d, &eff, &c, &bind));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    struct run *r = run_new(d, 1, (struct run_base){1, 1}, FLOW_RUNNING);
    if (run_bases_parse(r, bad[i])) fail_msg("%s was taken", bad[i]);
    run_free(r);
  }
  struct run *r = run_new(d, 1, (struct run_base){1, 1}, FLOW_RUNNING);
  assert_true(run_bases_parse(r, "1:1+0:2:50,7:7+0:3:90"));
  run_forget(r);
  assert_int_equal(run_task_of(r, 92), 1 + 2 + 2);
  assert_int_equal(run_task_in(r, 0, 51), 2);
  assert_int_equal(run_task_in(r, 1, 51), -1);
  const char *p = "1:1+0:2:50,7:7+0:3:90";
  struct run_wide w;
  assert_true(run_wide_next(&p, &w) && w.n == 2 && w.ti == 50);
  assert_true(run_wide_next(&p, &w) && w.n == 3 && w.ti == 90);
  assert_false(run_wide_next(&p, &w));
  run_free(r);
  dag_unref(d);
  effects_done(&eff);
}

/* All runs of an instance together: one task of the graph, and so many of nodes that grew. */
static void an_instance_has_a_million_tasks(void **st) {
  const struct task_bind bind = {&once, 1, NULL, 0};
  struct dag *d;
  struct effects eff = {0};
  struct run_ctx c;
  struct buf text = BUF_INIT;
  (void)st;
  run_free(one_that_grows(&d, &eff, &c, &bind));
  buf_str(&text, "1:1");
  for (uint32_t left = LIMIT_FLOW_TASKS - d->n_task, n; left > 0; left -= n) {
    n = left < LIMIT_WIDTH ? left : LIMIT_WIDTH;
    buf_printf(&text, "+0:%u:%u", n, 1000u + left);
  }
  struct run *r = run_new(d, 1, (struct run_base){1, 1}, FLOW_RUNNING);
  assert_true(run_bases_parse(r, text.data));
  assert_int_equal(r->n_task, LIMIT_FLOW_TASKS);
  run_free(r);
  buf_str(&text, "+0:1:7");
  r = run_new(d, 1, (struct run_base){1, 1}, FLOW_RUNNING);
  assert_false(run_bases_parse(r, text.data));
  run_free(r);
  buf_done(&text);
  dag_unref(d);
  effects_done(&eff);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(grows_and_chooses), cmocka_unit_test(too_wide_fails), cmocka_unit_test(damaged_texts),
                                     cmocka_unit_test(an_instance_has_a_million_tasks)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
