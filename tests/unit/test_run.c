/* The core by brute force: random flows, random outcomes, every invariant after every step, with the run thrown away
 * and loaded again from its "rows" at any moment (whole, or node by node as run_step asks for them). */
#include "unit.h"
#include "admit.h"
#include <string.h>
#include "clock.h"
#include "wr_limits.h"
#include "mem.h"
#include "run.h"

#define MAXN 14
#define MAXT 3

static const struct task_policy plain = {.attempts = 1, .backoff_base_us = 10, .backoff_cap_us = 100, .backoff_factor = 2, .slot = SLOT_ASYNC};
static const struct task_policy twice = {.attempts = 2, .backoff_base_us = 10, .backoff_cap_us = 100, .backoff_factor = 2, .slot = SLOT_ASYNC};

/* The stored rows: what effects said, nothing else. */
struct rows {
  struct run_node node[MAXN];
  struct task task[MAXN * MAXT];
  uint8_t has_node[MAXN], has_task[MAXN * MAXT];
  struct run head;
};

struct world {
  uint64_t seed;
  struct dag *dag;
  uint32_t parents[MAXN][MAXN], n_parents[MAXN];
  struct task_bind bind[MAXN * MAXT];
  struct run *run;
  struct rows rows;
  struct effects eff;
  struct run_ctx c;
  uint32_t starts[MAXN * MAXT];   /* claims seen per task */
  uint32_t done;                  /* AFTER_FLOW_DONE seen */
  bool slices;
  uint8_t by_user[MAXN * MAXT];   /* a user's pause of the task stands */
  uint32_t seen[3];               /* ends of flows that were paused, tasks that stayed paused over a resume, nodes that were held */
  int64_t version;
};

static uint32_t pick(struct world *w, uint32_t n) { return (uint32_t)(rand_next(&w->seed) % n); }

static void make_dag(struct world *w) {
  struct dag_spec_node v[MAXN];
  uint32_t n = 1 + pick(w, MAXN - 1), cycle[MAXN], n_cycle;
  for (uint32_t i = 0; i < n; i++) {
    w->n_parents[i] = 0;
    for (uint32_t j = 0; j < i; j++)
      if (pick(w, 3) == 0) w->parents[i][w->n_parents[i]++] = j;
    uint32_t t = 1 + pick(w, MAXT);
    v[i] = (struct dag_spec_node){.n_task = t, .need = 1 + pick(w, t), .rest = (uint8_t)pick(w, 2), .parent = w->parents[i], .n_parent = w->n_parents[i]};
  }
  w->dag = dag_new(v, n, (uint8_t)pick(w, 3), 0, cycle, &n_cycle);
  assert_non_null(w->dag);
  for (uint32_t i = 0; i < w->dag->n_task; i++) w->bind[i] = (struct task_bind){pick(w, 2) ? &plain : &twice, 1, NULL, 0};
}

static void store_rows(struct world *w) {
  struct rows *s = &w->rows;
  for (size_t i = 0; i < w->eff.n_node; i++) {
    uint32_t n = w->eff.node[i].node;
    s->node[n] = w->run->node[n];
    s->has_node[n] = 1;
  }
  for (size_t i = 0; i < w->eff.n_task; i++) {
    uint32_t t = w->eff.task[i].task;
    s->task[t] = w->run->task[t].t;
    s->has_task[t] = 1;
  }
  for (size_t i = 0; i < w->eff.n_after; i++) {
    if (w->eff.after[i].kind == AFTER_START) {
      w->starts[w->eff.after[i].task]++;
      assert_int_not_equal(w->run->state, FLOW_PAUSED);
    }
    if (w->eff.after[i].kind == AFTER_FLOW_DONE) w->done++;
  }
  if (w->eff.n_flow) s->head = *w->run; /* counters only; pointers are not used */
  effects_commit(&w->eff, ++w->version);
}

static void load_node(struct world *w, uint32_t n) {
  const struct dag_node *d = &w->dag->node[n];
  if (!w->rows.has_node[n]) { run_load_none(w->run, n); return; }
  for (uint32_t t = d->task_at; t < d->task_at + d->n_task; t++)
    if (w->rows.has_task[t]) run_load_task(w->run, t, &w->rows.task[t]);
  run_load_node(w->run, n, &w->rows.node[n]);
}

/* Forget memory; keep what the rows and the head's columns say. */
static void reload(struct world *w) {
  struct run *old = w->run;
  struct buf more = BUF_INIT;
  w->run = run_new(w->dag, 7, old->base[0], (enum flow_state)old->state);
  for (size_t i = 1; i < old->n_base; i++) run_base_add(w->run, old->base[i]);
  run_more_text(old, &more);
  assert_true(run_more_parse(w->run, more.data ? more.data : "", more.len));
  buf_done(&more);
  assert_true(run_wish_load(w->run, run_wish_column(&w->rows.head)));
  w->run->live = w->rows.head.live;
  w->run->failed = w->rows.head.failed;
  w->run->text_error = w->rows.head.text_error;
  w->run->last_us = w->rows.head.last_us;
  w->run->version = w->version;
  w->run->row = 1;
  w->run->bind = w->bind;
  run_forget(w->run);
  run_free(old);
}

static void feed(struct world *w) {
  for (size_t i = 0; i < w->c.n_need; i++) load_node(w, w->c.need[i]);
  w->c.n_need = 0;
}

static void check(struct world *w) {
  for (uint32_t i = 0; i < w->dag->n; i++)
    if (!run_known(w->run, i)) load_node(w, i);
  run_check(w->run);
}

/* One event, drained in batches of a tiny budget, committed (and perhaps reloaded) after each. NULL: a slice alone. When w->slices
 * is set, the next event may come before the last slice. */
static enum run_rc event(struct world *w, struct run_event *ev) {
  enum run_rc rc = RUN_OK, d;
  w->c.now_us++;
  w->c.budget = 1 + pick(w, 4);
  uint32_t free[SLOT__N] = {[SLOT_ASYNC] = pick(w, 3)};
  while (ev && (rc = run_step(w->run, ev, &w->c)) == RUN_NEED) feed(w);
  do {
    while ((d = run_drain(w->run, &w->c)) == RUN_NEED) feed(w);
    admit_ready(&w->c, 0, free);
    store_rows(w);
    w->c.budget = 1 + pick(w, 4);
    if (pick(w, 3) == 0) reload(w);
  } while (d == RUN_MORE && !(w->slices && pick(w, 2)));
  check(w);
  return rc;
}

static void start(struct world *w, uint64_t seed) {
  memset(w, 0, sizeof *w);
  w->seed = seed;
  make_dag(w);
  w->run = run_new(w->dag, 7, (struct run_base){100, 1000}, FLOW_RUNNING);
  w->run->bind = w->bind;
  w->c = (struct run_ctx){.now_us = 1000, .me = 5, .rnd = seed, .out = &w->eff};
  assert_int_equal(event(w, &(struct run_event){.kind = RUN_EV_START}), RUN_OK);
}

static void stop(struct world *w) {
  run_free(w->run);
  dag_unref(w->dag);
  effects_done(&w->eff);
  free(w->c.need);
}

static enum task_ev next_event(struct world *w, const struct task *t) {
  switch (t->state) {
  case TASK_QUEUED: return TASK_EV_CLAIM;
  case TASK_RETRY_WAIT: case TASK_BLOCKED: return TASK_EV_DUE;
  case TASK_RUNNING: case TASK_CANCELING: case TASK_PAUSING: {
    static const enum task_ev v[] = {TASK_EV_OK, TASK_EV_OK, TASK_EV_OK, TASK_EV_FAIL, TASK_EV_LOST, TASK_EV_HANDBACK, TASK_EV_TIMEOUT};
    return v[pick(w, sizeof v / sizeof *v)];
  }
  case TASK_NONE: case TASK_CREATED: case TASK_PAUSED: case TASK_SUCCESS:
  case TASK_FAILED: case TASK_TIMEOUT: case TASK_CANCELED: case TASK_DEAD: case TASK__N: break;
  }
  return TASK_EV__N;
}

/* Random events until the flow is final; it must become so. */
static void finish(struct world *w, uint32_t cancel_one_in) {
  for (int guard = 0; !flow_final(w->run->state); guard++) {
    assert_true(guard < 5000);
    uint32_t k = pick(w, w->dag->n_task);
    const struct task *t = &w->run->task[k].t;
    struct run_event ev = {.kind = RUN_EV_TASK, .task = k, .error = "it failed"};
    ev.ev = (struct task_event){.kind = next_event(w, t), .owner = t->owner, .epoch = t->epoch};
    if (ev.ev.kind == TASK_EV_CLAIM) ev.ev.owner = 5;
    if (cancel_one_in && pick(w, cancel_one_in) == 0) ev.kind = RUN_EV_CANCEL;
    else if (ev.ev.kind == TASK_EV__N) continue;
    (void)event(w, &ev);
  }
}

/* ---- pauses and wishes ---- */

static void check_outcome(struct world *w);

static void ask_task(struct world *w, uint32_t k, enum ask ask) {
  struct task was = w->run->task[k].t;
  bool cut = w->run->wish > WISH_STOP;
  enum run_rc rc = event(w, &(struct run_event){.kind = RUN_EV_ASK, .task = k, .ask = ask});
  enum ask_no no = w->c.no;
  enum task_state now = w->run->task[k].t.state;
  assert_int_equal(rc, no > ASK_SAME ? RUN_REFUSED : RUN_OK);
  if (ask == ASK_DELETE) assert_int_equal(no, ASK_OF_A_FLOW);
  else if (task_final(was.state)) assert_true(ask == ASK_RUN ? no == ASK_OF_A_FLOW : no == ASK_FINISHED || was.state == TASK_CANCELED);
  else if (was.state == TASK_CANCELING || was.state == TASK_NONE) assert_true(no == ASK_BUSY || ask == ASK_CANCEL || ask == ASK_QUEUE);
  else assert_true(no <= ASK_SAME || (ask == ASK_RUN && (cut || w->run->wish == WISH_STOP || was.state == TASK_RETRY_WAIT || was.state == TASK_BLOCKED)));
  if (ask == ASK_PAUSE && no <= ASK_SAME && was.state != TASK_NONE) w->by_user[k] = now == TASK_PAUSED || now == TASK_PAUSING;
  if (ask == ASK_RUN && no == ASK_OK) w->by_user[k] = 0;
}

static void pause_or_resume(struct world *w, uint32_t what) {
  static const enum run_ev kind[] = {RUN_EV_PAUSE, RUN_EV_PAUSE, RUN_EV_RESUME};
  uint8_t was = w->run->state, hold = w->run->hold;
  struct run_event ev = {.kind = kind[what], .checkpoint = what == 1};
  enum task_state before[MAXN * MAXT];
  for (uint32_t k = 0; k < w->dag->n_task; k++) before[k] = w->run->task[k].t.state;
  enum run_rc rc = event(w, &ev);
  enum ask_no no = w->c.no;
  if (flow_final(was)) assert_int_equal(no, ASK_FINISHED);
  else if (was == FLOW_CANCELING) assert_int_equal(no, ASK_BUSY);
  else if (what == 2) assert_int_equal(no, was == FLOW_PAUSED ? ASK_OK : ASK_SAME);
  else assert_int_equal(no, was == FLOW_RUNNING || (what == 1 && !(hold & HOLD_CHECKPOINT)) ? ASK_OK : ASK_SAME);
  assert_int_equal(rc, no > ASK_SAME ? RUN_REFUSED : RUN_OK);
  if (no == ASK_OK && !flow_final(w->run->state)) assert_int_equal(w->run->state, what == 2 ? FLOW_RUNNING : FLOW_PAUSED);
  w->seen[2] += what == 2 && (hold & HOLD_NODES);
  for (uint32_t k = 0; k < w->dag->n_task; k++) {
    if (before[k] != TASK_PAUSED || !w->by_user[k] || w->run->wish > WISH_STOP) continue;
    assert_int_equal(w->run->task[k].t.state, TASK_PAUSED);
    w->seen[1] += what == 2 && no == ASK_OK;
  }
}

/* One thing that can happen next to a task, by a healthy or a dying worker. */
static bool task_moves(struct world *w, uint32_t k) {
  const struct task *t = &w->run->task[k].t;
  struct run_event ev = {.kind = RUN_EV_TASK, .task = k, .error = "it failed"};
  ev.ev = (struct task_event){.kind = next_event(w, t), .owner = t->owner, .epoch = t->epoch, .asked = pick(w, 2) && t->state == TASK_PAUSING};
  if (ev.ev.kind == TASK_EV__N) return false;
  if (ev.ev.kind == TASK_EV_CLAIM) ev.ev.owner = 5;
  if (ev.ev.kind == TASK_EV_DUE && t->due_us > w->c.now_us) w->c.now_us = t->due_us;
  (void)event(w, &ev);
  enum task_state now = w->run->task[k].t.state;
  if (now != TASK_PAUSING && now != TASK_PAUSED) w->by_user[k] = 0; /* it ended, or its run timeout came first */
  return true;
}

/* For a while all may happen; then the flow is resumed, what users paused is run, and it must come to its end. */
static void finish_with_wishes(struct world *w, uint32_t cancel_one_in) {
  w->slices = true;
  for (int i = 0; !flow_final(w->run->state); i++) {
    uint32_t k = pick(w, w->dag->n_task), roll = pick(w, 8);
    bool was_paused = w->run->state == FLOW_PAUSED;
    assert_true(i < 5000);
    if (i > 200 && was_paused) pause_or_resume(w, 2);
    else if (i > 200 && (w->run->task[k].t.state == TASK_PAUSED)) ask_task(w, k, ASK_RUN);
    else if (cancel_one_in && pick(w, cancel_one_in) == 0) (void)event(w, &(struct run_event){.kind = RUN_EV_CANCEL});
    else if (i <= 200 && roll == 0) pause_or_resume(w, pick(w, 3));
    else if (i <= 200 && roll == 1) ask_task(w, k, (enum ask)(pick(w, 20) == 0 ? ASK_CANCEL : pick(w, 2) ? ASK_PAUSE : ASK_RUN));
    else if (roll == 3) (void)event(w, NULL);
    else if (i <= 200 && roll == 2) ask_task(w, k, pick(w, 2) ? ASK_QUEUE : ASK_DELETE);
    else (void)task_moves(w, k);
    w->seen[0] += was_paused && flow_final(w->run->state);
  }
}

static void test_random_pauses(void **state) {
  (void)state;
  uint32_t seen[3] = {0};
  for (uint64_t seed = 1; seed <= 3000; seed++) {
    struct world w;
    start(&w, seed * 104729);
    finish_with_wishes(&w, seed % 3 == 0 ? 40 : 0);
    check_outcome(&w);
    assert_int_equal(w.done, 1);
    for (int k = 0; k < 3; k++) seen[k] += w.seen[k];
    stop(&w);
  }
  for (int k = 0; k < 3; k++) assert_true(seen[k] > 20);
}

/* Independent reading of the rules, for on_failure: continue and no cancel. */
static void check_outcome(struct world *w) {
  uint32_t failed = 0;
  for (uint32_t i = 0; i < w->dag->n; i++) {
    const struct run_node *v = &w->run->node[i];
    uint32_t bad_parents = 0, ok = 0;
    for (uint32_t k = 0; k < w->n_parents[i]; k++) bad_parents += w->run->node[w->parents[i][k]].state != NODE_SUCCESS;
    for (uint32_t t = 0; t < w->dag->node[i].n_task; t++) ok += w->run->task[w->dag->node[i].task_at + t].t.state == TASK_SUCCESS;
    assert_true(node_final(v->state));
    if (w->dag->on_failure == FLOW_CONTINUE && w->run->wish == WISH_NONE) {
      if (bad_parents > 0) assert_int_equal(v->state, NODE_UPSTREAM_FAILED);
      else assert_true((v->state == NODE_SUCCESS) == (ok >= w->dag->node[i].need));
    }
    if (v->state == NODE_SUCCESS) assert_int_equal(bad_parents, 0);
    failed += v->state != NODE_SUCCESS;
  }
  assert_int_equal(w->run->failed, failed);
  if (w->run->wish != WISH_CANCEL) assert_int_equal(w->run->state, failed ? FLOW_FAILED : FLOW_SUCCESS);
  else assert_int_equal(w->run->state, FLOW_CANCELED);
}

static void test_random_flows(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 3000; seed++) {
    struct world w;
    start(&w, seed);
    finish(&w, seed % 3 == 0 ? 20 : 0);
    check_outcome(&w);
    assert_int_equal(w.done, 1);
    stop(&w);
  }
}

static void test_reruns(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 2000; seed++) {
    struct world w;
    start(&w, seed * 7919);
    finish(&w, seed % 4 == 0 ? 10 : 0);
    for (int again = 1; again <= 3; again++) {
      uint32_t from = pick(&w, 2) ? RERUN_FAILED : pick(&w, w.dag->n);
      bool refused = from == RERUN_FAILED && w.run->state == FLOW_SUCCESS;
      uint32_t epoch = w.run->task[0].t.epoch;
      struct run_node before[MAXN];
      memcpy(before, w.run->node, w.dag->n * sizeof *before);
      /* rows of nodes that are run again are new rows */
      struct run_event ev = {.kind = RUN_EV_RERUN, .node = from, .base = {100 + 1000 * again, 1000 + 1000 * again}};
      assert_int_equal(event(&w, &ev), refused ? RUN_REFUSED : RUN_OK);
      if (refused) continue;
      finish(&w, 0);
      assert_true(w.run->task[0].t.epoch >= epoch);
      for (uint32_t i = 0; i < w.dag->n; i++) {
        bool kept = w.run->node[i].base != w.run->n_base - 1;
        if (kept) assert_memory_equal(&before[i].end_us, &w.run->node[i].end_us, sizeof before[i].end_us);
        if (from == RERUN_FAILED && before[i].state != NODE_SUCCESS) assert_false(kept);
        if (i == from) assert_false(kept);
      }
      assert_int_equal(w.done, w.run->n_base);
    }
    stop(&w);
  }
}

/* A flow row names each of its runs, and all of them are looked at when it is loaded. */
static void test_runs_are_bounded(void **state) {
  (void)state;
  struct world w;
  start(&w, 5);
  int runs = 1;
  for (enum run_rc rc = RUN_OK; rc == RUN_OK; runs += rc == RUN_OK) {
    struct run_event ev = {.kind = RUN_EV_RERUN, .node = 0, .base = {100 + 1000 * runs, 1000 + 1000 * runs}};
    finish(&w, 0);
    assert_true(runs <= LIMIT_RUNS);
    rc = event(&w, &ev);
    assert_true(rc == RUN_OK || rc == RUN_REFUSED);
  }
  assert_int_equal(runs, LIMIT_RUNS);
  assert_int_equal(w.run->n_base, LIMIT_RUNS);
  struct buf b = BUF_INIT;
  run_bases_text(w.run, &b);
  assert_true(b.len <= LIMIT_RUNS * (2 * sizeof "9007199254740991" + 1)); /* two ids and two marks each */
  buf_done(&b);
  stop(&w);
}

static void test_wide_and_long(void **state) {
  (void)state;
  enum { N = 5000 };
  struct dag_spec_node *v = wr_calloc(N, sizeof *v);
  uint32_t *p = wr_calloc(N, sizeof *p), cycle[1], n_cycle;
  struct task_bind *bind = wr_calloc(N, sizeof *bind);
  for (uint32_t i = 0; i < N; i++) {
    p[i] = i == 0 ? 0 : i - 1;
    v[i] = (struct dag_spec_node){.n_task = 1, .need = 1, .parent = &p[i], .n_parent = i > 0};
    bind[i].pol = &plain;
  }
  struct dag *d = dag_new(v, N, FLOW_CONTINUE, 0, cycle, &n_cycle);
  struct effects eff = {0};
  struct run *r = run_new(d, 1, (struct run_base){1, 1}, FLOW_RUNNING);
  struct run_ctx c = {.now_us = 1, .me = 1, .budget = 1 << 20, .out = &eff};
  r->bind = bind;
  assert_int_equal(run_step(r, &(struct run_event){.kind = RUN_EV_START}, &c), RUN_OK);
  assert_int_equal(run_drain(r, &c), RUN_OK);
  admit_ready(&c, 0, (uint32_t[SLOT__N]){1, 1});
  struct run_event ev = {.kind = RUN_EV_TASK, .task = 0, .ev = {.kind = TASK_EV_FAIL, .owner = 1, .epoch = 1, .remove = 1}};
  assert_int_equal(run_step(r, &ev, &c), RUN_OK);
  for (size_t i = 0; i < eff.n_task; i++) assert_false(eff.task[i].gone); /* a node keeps the rows of its tasks */
  assert_int_equal(run_drain(r, &c), RUN_OK); /* 4,999 nodes below it end at once, the stack stays short */
  assert_true(r->cap_more <= 16);
  assert_int_equal(r->state, FLOW_FAILED);
  assert_int_equal(r->failed, N);
  run_check(r);
  effects_done(&eff);
  run_free(r);
  dag_unref(d);
  free(v);
  free(p);
  free(bind);
}

static void test_rules(void **state) {
  (void)state;
  for (uint32_t n = 0; n <= 5; n++)
    for (uint32_t ok = 0; ok <= n; ok++)
      for (uint32_t fail = 0; ok + fail <= n; fail++)
        for (uint32_t skip = 0; ok + fail + skip <= n; skip++) {
          enum ruling want = fail + skip > 0 ? VERDICT_FALSE : ok == n ? VERDICT_TRUE : VERDICT_UNKNOWN;
          assert_int_equal(rule_all_success(n, ok, fail, skip), want);
        }
  for (uint32_t n = 1; n <= 6; n++)
    for (uint32_t need = 1; need <= n; need++)
      for (uint32_t ok = 0; ok <= n; ok++)
        for (uint32_t bad = 0; ok + bad <= n; bad++) {
          uint32_t best = n - bad; /* if all the rest succeeded */
          enum ruling want = ok >= need ? VERDICT_TRUE : best < need ? VERDICT_FALSE : VERDICT_UNKNOWN;
          assert_int_equal(rule_complete(n, need, ok, bad), want);
        }
}

/* A stand-alone task: a run of one node that writes its task's row only. Played to each end, and made again from that row. */
static void test_alone(void **state) {
  static const enum task_ev ends[] = {TASK_EV_OK, TASK_EV_FAIL, TASK_EV_CANCEL, TASK_EV_LOST, TASK_EV_HANDBACK, TASK_EV_TIMEOUT};
  (void)state;
  struct dag *one = dag_one();
  const struct task_bind bind = {&plain, 3, NULL, 0};
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    struct effects eff = {0};
    struct run_ctx c = {.now_us = 10, .me = 5, .budget = 10, .out = &eff};
    struct run *r = run_new_alone(one, 77);
    r->bind = &bind;
    assert_int_equal(run_step(r, &(struct run_event){.kind = RUN_EV_START}, &c), RUN_OK);
    assert_int_equal(run_drain(r, &c), RUN_OK);
    assert_int_equal(eff.n_after, 1);
    assert_true(run_take(&c, 0));
    assert_int_equal(eff.after[0].kind, AFTER_START);
    assert_int_equal(run_ti(r, 0), 77);
    assert_int_equal(r->task[0].t.version, 3);
    effects_commit(&eff, 1);
    run_check(r);
    struct run_event ev = {.kind = RUN_EV_TASK, .ev = {.kind = ends[i], .owner = 5, .epoch = 1}};
    assert_int_equal(run_step(r, &ev, &c), RUN_OK);
    assert_int_equal(run_drain(r, &c), RUN_OK);
    assert_int_equal(eff.n_task, 1);
    for (size_t k = 0; k < eff.n_after; k++) {
      assert_int_not_equal(eff.after[k].kind, AFTER_FLOW_DONE);
      if (eff.after[k].kind == AFTER_READY) run_leave(&c, k);
    }
    effects_commit(&eff, 2);
    run_check(r);
    struct run *again = run_load_alone(one, 77, &r->task[0].t);
    run_check(again);
    assert_int_equal(again->state, r->state);
    assert_int_equal(again->live, r->live);
    assert_int_equal(again->node[0].state, r->node[0].state);
    run_free(again);
    run_free(r);
    effects_done(&eff);
  }
  struct task bad = {.state = TASK__N};
  assert_null(run_load_alone(one, 77, &bad));
  dag_unref(one);
}

/* What became ready in a step that then canceled it is neither claimed nor queued. */
static void test_ready_and_canceled(void **state) {
  (void)state;
  struct dag *one = dag_one();
  const struct task_bind bind = {&plain, 1, NULL, 0};
  struct effects eff = {0};
  struct run_ctx c = {.now_us = 10, .me = 5, .budget = 10, .out = &eff};
  struct run *r = run_new(one, 1, (struct run_base){1, 1}, FLOW_RUNNING);
  r->bind = &bind;
  assert_int_equal(run_step(r, &(struct run_event){.kind = RUN_EV_START}, &c), RUN_OK);
  assert_int_equal(run_drain(r, &c), RUN_OK);
  assert_int_equal(run_step(r, &(struct run_event){.kind = RUN_EV_CANCEL}, &c), RUN_OK);
  assert_false(run_take(&c, 0)); /* the sweep has not come to it yet */
  assert_int_equal(eff.after[0].kind, AFTER_NONE);
  assert_int_equal(run_drain(r, &c), RUN_OK);
  assert_int_equal(r->state, FLOW_CANCELED);
  assert_int_equal(r->task[0].t.epoch, 0);
  run_check(r);
  effects_done(&eff);
  run_free(r);
  dag_unref(one);
}

/* The same with a pause: what waits when the batch is decided is held, and the resume makes it ready again. */
static void test_ready_and_paused(void **state) {
  (void)state;
  struct dag *one = dag_one();
  const struct task_bind bind = {&plain, 1, NULL, 0};
  for (int sweep = 0; sweep < 2; sweep++) { /* decided before the pass has come to it, and after */
    struct effects eff = {0};
    struct run_ctx c = {.now_us = 10, .me = 5, .budget = 10, .out = &eff};
    struct run *r = run_new(one, 1, (struct run_base){1, 1}, FLOW_RUNNING);
    r->bind = &bind;
    assert_int_equal(run_step(r, &(struct run_event){.kind = RUN_EV_START}, &c), RUN_OK);
    assert_int_equal(run_drain(r, &c), RUN_OK);
    assert_int_equal(run_step(r, &(struct run_event){.kind = RUN_EV_PAUSE}, &c), RUN_OK);
    if (sweep) assert_int_equal(run_drain(r, &c), RUN_OK);
    assert_false(run_take(&c, 0));
    struct run_event claim = {.kind = RUN_EV_TASK, .ev = {.kind = TASK_EV_CLAIM, .owner = 5}};
    assert_int_equal(run_step(r, &claim, &c), RUN_OK); /* its hint, which was sent before */
    assert_int_equal(run_drain(r, &c), RUN_OK);
    assert_int_equal(r->task[0].t.state, TASK_BLOCKED);
    assert_int_equal(r->task[0].t.epoch, 0);
    effects_commit(&eff, 1);
    run_check(r);
    assert_int_equal(run_step(r, &(struct run_event){.kind = RUN_EV_RESUME}, &c), RUN_OK);
    assert_int_equal(run_drain(r, &c), RUN_OK);
    assert_int_equal(eff.after[0].kind, AFTER_TREES);
    assert_true(run_take(&c, 1));
    assert_int_equal(r->task[0].t.state, TASK_RUNNING);
    effects_done(&eff);
    run_free(r);
  }
  dag_unref(one);
}

/* A task that is taken up has the definition that it was made with; its hint goes to the queue when another one is bound now. */
static void test_taken_up_by_a_former_version(void **state) {
  (void)state;
  struct dag *one = dag_one();
  struct task_bind bind = {&plain, 1, NULL, 0};
  struct effects eff = {0};
  struct run_ctx c = {.now_us = 10, .me = 5, .budget = 10, .out = &eff};
  struct run *r = run_new(one, 1, (struct run_base){1, 1}, FLOW_RUNNING);
  r->bind = &bind;
  static const struct run_event ev[] = {{.kind = RUN_EV_START}, {.kind = RUN_EV_PAUSE}, {.kind = RUN_EV_RESUME}};
  for (int i = 0; i < 3; i++) {
    assert_int_equal(run_step(r, &ev[i], &c), RUN_OK);
    assert_int_equal(run_drain(r, &c), RUN_OK);
    for (size_t k = 0; i == 0 && k < eff.n_after; k++) run_leave(&c, k);
    if (i < 2) effects_commit(&eff, i + 1);
    bind.version = 2;
  }
  assert_int_equal(eff.n_after, 2);
  assert_int_equal(eff.after[0].kind, AFTER_TREES);
  assert_int_equal(eff.after[1].kind, AFTER_PUSH);
  effects_done(&eff);
  run_free(r);
  dag_unref(one);
}

/* The column `wish` holds how a flow is paused, too, and whether somebody said whose its tasks are. */
static void test_wish_column(void **state) {
  (void)state;
  struct dag *one = dag_one();
  for (int column = 0; column < 256; column++)
    for (int st = FLOW_RUNNING; st < FLOW__N; st++) {
      struct run *r = run_new(one, 1, (struct run_base){1, 1}, (enum flow_state)st);
      bool good = (column & 15) <= WISH_TIMEOUT && (column >> 4 & ~4) <= (st == FLOW_PAUSED ? 3 : 0);
      assert_int_equal(run_wish_load(r, (uint8_t)column), good);
      if (good) assert_int_equal(run_wish_column(r), column);
      if (good) assert_int_equal(r->whose, (column & RUN_WHOSE_BIT) != 0);
      run_free(r);
    }
  dag_unref(one);
}

static void drained(struct run *r, const struct run_event *ev, struct run_ctx *c) {
  c->now_us++;
  c->budget = 100;
  assert_int_equal(run_step(r, ev, c), RUN_OK);
  assert_int_equal(run_drain(r, c), RUN_OK);
  effects_commit(c->out, c->now_us);
  run_check(r);
}

/* A node that was skipped (no rule does that yet) sends SKIP: what stands below it is skipped too, and nothing failed. */
static void test_skip_goes_on(void **state) {
  (void)state;
  static const uint32_t parent[] = {0, 1};
  const struct dag_spec_node v[3] = {{.n_task = 1, .need = 1}, {.n_task = 1, .need = 1, .parent = &parent[0], .n_parent = 1},
                                     {.n_task = 1, .need = 1, .parent = &parent[1], .n_parent = 1}};
  uint32_t cycle[3], n_cycle;
  struct dag *d = dag_new(v, 3, FLOW_CANCEL, 0, cycle, &n_cycle);
  struct task_bind bind[3] = {{&plain, 1, NULL, 0}, {&plain, 1, NULL, 0}, {&plain, 1, NULL, 0}};
  struct effects eff = {0};
  struct run_ctx c = {.now_us = 5, .me = 1, .out = &eff};
  struct run *r = run_new(d, 1, (struct run_base){1, 1}, FLOW_SUCCESS);
  r->bind = bind;
  for (uint32_t i = 0; i < 3; i++) run_load_node(r, i, &(struct run_node){.state = NODE_SKIPPED, .skip = i > 0, .end_us = 1});
  assert_int_equal(run_task_of(r, 3), 2);
  assert_int_equal(run_task_of(r, 4), UINT32_MAX);
  drained(r, &(struct run_event){.kind = RUN_EV_RERUN, .node = 1, .base = {11, 11}}, &c);
  for (uint32_t i = 0; i < 3; i++) assert_int_equal(r->node[i].state, NODE_SKIPPED);
  for (uint32_t i = 0; i < 3; i++) assert_int_equal(r->node[i].end_us, i == 0 ? 1 : 6);
  assert_int_equal(r->state, FLOW_SUCCESS);
  assert_int_equal(run_kept_failure(r), UINT32_MAX);
  assert_int_equal(run_task_of(r, 3), UINT32_MAX); /* replaced by a row of the new run */
  assert_int_equal(run_task_of(r, 13), 2);
  run_free(r);
  effects_done(&eff);
  free(c.need);
  dag_unref(d);
}

/* What a damaged row says is looked at before it is used. */
static void test_damaged_rows_are_refused(void **state) {
  (void)state;
  const struct dag_spec_node v[2] = {{.n_task = 2, .need = 2}, {.n_task = 1, .need = 1}};
  uint32_t cycle[2], n_cycle;
  struct dag *d = dag_new(v, 2, FLOW_CANCEL, 0, cycle, &n_cycle);
  struct run *r = run_new(d, 1, (struct run_base){1, 1}, FLOW_RUNNING);
  const struct task good = {.state = TASK_QUEUED};
  static const int64_t bad_task[] = {-1, 3, 4294967296, INT64_MAX, INT64_MIN}, bad_node[] = {-1, 2, 4294967296, INT64_MAX, INT64_MIN};
  for (size_t i = 0; i < 5; i++) assert_false(run_load_task(r, bad_task[i], &good));
  for (size_t i = 0; i < 5; i++) assert_false(run_load_node(r, bad_node[i], &(struct run_node){.state = NODE_WAITING}));
  assert_false(run_load_task(r, 0, &(struct task){.state = TASK__N}));
  assert_false(run_load_task(r, 0, &(struct task){.state = TASK_CANCELING, .end_as = TASK__N}));
  assert_false(run_load_task(r, 0, &(struct task){.state = TASK_QUEUED, .epoch = UINT32_MAX})); /* the next claim would begin anew */
  assert_false(run_load_node(r, 0, &(struct run_node){.state = NODE__N}));
  assert_false(run_load_node(r, 0, &(struct run_node){.state = NODE_WAITING, .base = 1}));
  for (uint32_t k = 0; k < 3; k++) assert_true(run_load_task(r, k, &good));
  for (uint32_t k = 0; k < 2; k++)
    assert_true(run_load_node(r, k, &(struct run_node){.state = NODE_RUNNING, .t_open = 2 - k}));
  r->live = 3;
  assert_null(run_fault(r));
  r->live = 4;
  assert_non_null(run_fault(r));
  r->live = 3, r->node[0].t_open = UINT32_MAX;
  assert_non_null(run_fault(r));
  r->node[0].t_open = 2, r->wish = 200;
  assert_non_null(run_fault(r));
  static const char *const more[] = {"0:1", "0:0,1:1", "2:3", "0:-1", "3:0", "0", "0:", "x:0"}; /* node 0 has no child, 2 is the start */
  for (size_t i = 0; i < sizeof more / sizeof *more; i++) assert_false(run_more_parse(r, more[i], strlen(more[i])));
  assert_true(run_more_parse(r, "2:1", 3));
  assert_true(run_more_parse(r, "", 0));
  static const char *const bases[] = {"", "-1:1", "1:-1", "9007199254740992:1", "1", "1:", ":1", "1:1,", "1:1;2:2", "99999999999999999999:1"};
  size_t refused = 0;
  for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) refused += !run_bases_parse(r, bases[i]);
  assert_true(refused >= 9); /* "1:1," is read as one pair */
  run_free(r);
  dag_unref(d);
}

static void test_bases_tell_whose_an_id_is(void **state) {
  (void)state;
  static const char two[] = "100:1000,300:2000";
  struct run_base b = {0, 0};
  assert_true(run_base_of_node(two, 10, 309, &b));
  assert_true(b.ni == 300 && b.ti == 2000);
  assert_false(run_base_of_node(two, 10, 310, &b) || run_base_of_node(two, 10, 99, &b) || run_base_of_node("", 10, 100, &b));
  assert_true(run_base_of_task(two, 1999) == 1000 && run_base_of_task(two, 2000) == 2000 && run_base_of_task("300:2000,100:1000", 2001) == 2000);
  assert_true(run_base_of_task(two, 999) == -1 && run_base_of_task(NULL, 1) == -1);
}

static void test_flow_without_nodes(void **state) {
  (void)state;
  uint32_t cycle[1], n_cycle;
  struct dag *d = dag_new(NULL, 0, FLOW_CONTINUE, 0, cycle, &n_cycle);
  struct effects eff = {0};
  struct run_ctx c = {.now_us = 5, .me = 1, .out = &eff};
  struct run *r = run_new(d, 1, (struct run_base){0, 0}, FLOW_RUNNING);
  drained(r, &(struct run_event){.kind = RUN_EV_START}, &c);
  assert_int_equal(r->state, FLOW_SUCCESS);
  run_free(r);
  effects_done(&eff);
  dag_unref(d);
}

/* Against every path, walked one by one. */
static int64_t longest(const struct world *w, uint32_t node, const int64_t *weight) {
  int64_t best = 0;
  for (uint32_t k = 0; k < w->n_parents[node]; k++) {
    int64_t before = longest(w, w->parents[node][k], weight);
    if (before > best) best = before;
  }
  return best + weight[node];
}

static void test_critical_path(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 200; seed++) {
    struct world w = {.seed = seed};
    int64_t weight[MAXN], want = 0;
    make_dag(&w);
    for (uint32_t i = 0; i < w.dag->n; i++) weight[i] = pick(&w, 50);
    for (uint32_t i = 0; i < w.dag->n; i++)
      if (longest(&w, i, weight) > want) want = longest(&w, i, weight);
    assert_int_equal(dag_critical_path(w.dag, weight), want);
    dag_unref(w.dag);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_rules), cmocka_unit_test(test_alone), cmocka_unit_test(test_ready_and_canceled), cmocka_unit_test(test_ready_and_paused),
                                     cmocka_unit_test(test_taken_up_by_a_former_version), cmocka_unit_test(test_wish_column),
                                     cmocka_unit_test(test_random_flows), cmocka_unit_test(test_random_pauses),
                                     cmocka_unit_test(test_reruns), cmocka_unit_test(test_runs_are_bounded), cmocka_unit_test(test_wide_and_long),
                                     cmocka_unit_test(test_skip_goes_on), cmocka_unit_test(test_damaged_rows_are_refused), cmocka_unit_test(test_flow_without_nodes),
                                     cmocka_unit_test(test_critical_path), cmocka_unit_test(test_bases_tell_whose_an_id_is)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
