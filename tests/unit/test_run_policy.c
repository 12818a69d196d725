/* onFailure and re-runs by brute force: every flow of up to four nodes, every outcome of every node, the three policies,
 * every point to run again from. Against the rules read once more: a node that failed by its own tasks stops the flow as
 * its policy says; one that only stands below a failure (of this run, or kept from a former one) never does. */
#include "unit.h"
#include "admit.h"
#include <string.h>
#include "wr_limits.h"
#include "run.h"

enum { MAXN = 4, ME = 1, MANY = 100 };
enum outcome { OK, FAIL, CANCEL, OUTCOME__N }; /* CANCEL: a user's, of this one task */

static const struct task_policy once = {.attempts = 1, .slot = SLOT_ASYNC};

struct flow {
  uint32_t n, parent[MAXN][MAXN], n_parent[MAXN];
  bool edge[MAXN][MAXN];          /* [parent][child] */
  struct task_bind bind[MAXN];
  struct dag *dag;
  struct run *run;
  struct effects eff;
  struct run_ctx c;
  bool backwards;                 /* which of the running ones ends first */
  uint8_t own[MAXN];              /* ran in this run and did not succeed */
};

static void make(struct flow *f, uint32_t n, uint32_t edges, uint8_t on_failure, bool backwards) {
  struct dag_spec_node v[MAXN];
  uint32_t cycle[MAXN], n_cycle;
  *f = (struct flow){.n = n, .backwards = backwards};
  for (uint32_t i = 0; i < n; i++) {
    for (uint32_t k = 0; k < i; k++, edges >>= 1)
      if (edges & 1) {
        f->parent[i][f->n_parent[i]++] = k;
        f->edge[k][i] = true;
      }
    v[i] = (struct dag_spec_node){.n_task = 1, .need = 1, .parent = f->parent[i], .n_parent = f->n_parent[i]};
    f->bind[i].pol = &once;
  }
  f->dag = dag_new(v, n, on_failure, 0, cycle, &n_cycle);
  f->run = run_new(f->dag, 1, (struct run_base){1, 1}, FLOW_RUNNING);
  f->run->bind = f->bind;
  f->c = (struct run_ctx){.now_us = 1, .me = ME, .out = &f->eff};
}

static void done(struct flow *f) {
  run_free(f->run);
  dag_unref(f->dag);
  effects_done(&f->eff);
  free(f->c.need);
}

static void event(struct flow *f, const struct run_event *ev) {
  f->c.now_us++;
  f->c.budget = MANY;
  assert_int_equal(run_step(f->run, ev, &f->c), RUN_OK);
  assert_int_equal(run_drain(f->run, &f->c), RUN_OK);
  admit_ready(&f->c, 0, (uint32_t[SLOT__N]){[SLOT_ASYNC] = MANY});
  effects_commit(&f->eff, f->c.now_us);
  run_check(f->run);
}

static void end_task(struct flow *f, uint32_t k, enum outcome how) {
  const struct task *t = &f->run->task[k].t;
  struct run_event ev = {.kind = RUN_EV_TASK, .task = k, .error = "it failed", .ev = {.owner = t->owner, .epoch = t->epoch}};
  ev.ev.kind = how == OK && t->state == TASK_RUNNING ? TASK_EV_OK : how == CANCEL && t->state == TASK_RUNNING ? TASK_EV_CANCEL : TASK_EV_FAIL;
  bool only_asks = ev.ev.kind == TASK_EV_CANCEL, asked = t->state == TASK_CANCELING && f->run->wish != WISH_NONE;
  event(f, &ev);
  f->own[k] |= how != OK && !only_asks && !asked;
}

/* Until it is final: outcome digit k of `how` is that of node k. */
static void play(struct flow *f, uint32_t how) {
  memset(f->own, 0, sizeof f->own);
  while (!flow_final(f->run->state)) {
    uint32_t pick = MAXN, digit[MAXN], rest = how;
    for (uint32_t i = 0; i < f->n; i++, rest /= OUTCOME__N) {
      bool runs = f->run->task[i].t.owner != 0;
      digit[i] = rest % OUTCOME__N;
      if (runs && (pick == MAXN || f->backwards)) pick = i;
    }
    assert_true(pick < MAXN); /* else it hangs */
    end_task(f, pick, (enum outcome)digit[pick]);
  }
}

static bool any_own(const struct flow *f) {
  for (uint32_t i = 0; i < f->n; i++)
    if (f->own[i]) return true;
  return false;
}

/* What a run must come to. in[]: the nodes that it runs (again). */
static void check(const struct flow *f, const bool *in) {
  bool stopped = f->dag->on_failure != FLOW_CONTINUE && any_own(f);
  assert_int_equal(f->run->wish, !stopped ? WISH_NONE : f->dag->on_failure == FLOW_STOP_NEW ? WISH_STOP : WISH_FAIL);
  uint32_t failed = 0;
  for (uint32_t i = 0; i < f->n; i++) {
    enum node_state s = (enum node_state)f->run->node[i].state;
    bool ready = true;
    failed += s != NODE_SUCCESS;
    if (!in[i]) continue;
    for (uint32_t k = 0; k < f->n_parent[i]; k++) ready &= f->run->node[f->parent[i][k]].state == NODE_SUCCESS;
    if (s == NODE_SUCCESS) assert_true(ready && !f->own[i]);
    if (f->own[i]) assert_true(ready && (s == NODE_FAILED || s == NODE_CANCELED));
    if (!stopped && !f->own[i]) assert_int_equal(s, ready ? NODE_SUCCESS : NODE_UPSTREAM_FAILED);
    if (stopped && !f->own[i]) assert_true(s == NODE_SUCCESS || s == NODE_CANCELED || (s == NODE_UPSTREAM_FAILED && !ready));
  }
  assert_int_equal(f->run->failed, failed);
  assert_int_equal(f->run->state, failed ? FLOW_FAILED : FLOW_SUCCESS);
}

/* Rule 28, read once more. */
static void choose(const struct flow *f, uint32_t from, bool *in) {
  for (uint32_t i = 0; i < f->n; i++) { /* parents have lower numbers */
    enum node_state s = (enum node_state)f->run->node[i].state;
    in[i] = from == RERUN_FAILED ? s != NODE_SUCCESS : i == from || s == NODE_CANCELED;
    for (uint32_t k = 0; k < i; k++) in[i] |= f->edge[k][i] && in[k];
  }
}

static void rerun(struct flow *f, uint32_t from, uint32_t how) {
  bool in[MAXN];
  struct run_node was[MAXN];
  choose(f, from, in);
  memcpy(was, f->run->node, f->n * sizeof *was);
  event(f, &(struct run_event){.kind = RUN_EV_RERUN, .node = from, .base = {100, 100}});
  play(f, how);
  check(f, in);
  for (uint32_t i = 0; i < f->n; i++) {
    assert_int_equal(f->run->node[i].base, in[i]);
    if (!in[i]) assert_memory_equal(&was[i], &f->run->node[i], sizeof *was);
  }
}

/* Outcomes 0 .. n_how-1 in the first run, and in the second. */
static uint32_t power(uint32_t b, uint32_t e) { return e == 0 ? 1 : b * power(b, e - 1); }

static bool uses(uint32_t how, uint32_t n, enum outcome most) {
  for (uint32_t i = 0; i < n; i++, how /= OUTCOME__N)
    if (how % OUTCOME__N > most) return false;
  return true;
}

static void both_runs(uint32_t n, uint32_t edges, uint8_t policy, uint32_t first, enum outcome most, bool backwards) {
  static const bool all[MAXN] = {true, true, true, true};
  for (uint32_t again = 0; again <= n; again++)
    for (uint32_t how = 0; how < power(OUTCOME__N, n); how++) {
      struct flow f;
      if (!uses(how, n, most)) continue;
      make(&f, n, edges, policy, backwards);
      event(&f, &(struct run_event){.kind = RUN_EV_START});
      play(&f, first);
      check(&f, all);
      for (uint32_t i = 0; i < n && policy != FLOW_CONTINUE; i++) /* in a first run the policy always comes first */
        assert_int_not_equal(f.run->node[i].state, NODE_UPSTREAM_FAILED);
      if (again < n || f.run->state != FLOW_SUCCESS) rerun(&f, again < n ? again : RERUN_FAILED, how);
      done(&f);
    }
}

static void all_flows(uint32_t n, enum outcome most) {
  for (uint32_t edges = 0; edges < 1u << (n * (n - 1) / 2); edges++)
    for (uint8_t policy = FLOW_CONTINUE; policy <= FLOW_CANCEL; policy++)
      for (uint32_t first = 0; first < power(OUTCOME__N, n); first++)
        for (int backwards = 0; backwards < 2 && uses(first, n, most); backwards++) both_runs(n, edges, policy, first, most, backwards);
}

static void test_three_nodes_and_cancels(void **state) {
  (void)state;
  for (uint32_t n = 1; n <= 3; n++) all_flows(n, CANCEL);
}

static void test_four_nodes(void **state) {
  (void)state;
  all_flows(4, FAIL);
}

/* Rows say which run they belong to in 16 bits: the run after the last one that fits is refused, nothing is changed. */
static void test_runs_are_counted(void **state) {
  (void)state;
  struct flow f;
  struct run_event again = {.kind = RUN_EV_RERUN, .node = 0};
  make(&f, 1, 0, FLOW_CONTINUE, false);
  event(&f, &(struct run_event){.kind = RUN_EV_START});
  play(&f, OK);
  for (int64_t i = 1; i < LIMIT_RUNS; i++) {
    again.base = (struct run_base){1 + i, 1 + i};
    event(&f, &again);
    play(&f, OK);
    assert_int_equal(run_ni(f.run, 0), 1 + i);
  }
  assert_int_equal(run_step(f.run, &again, &f.c), RUN_REFUSED);
  assert_int_equal(f.eff.n_flow + f.eff.n_node, 0);
  assert_int_equal(f.run->task[0].t.epoch, LIMIT_RUNS);
  done(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_three_nodes_and_cancels), cmocka_unit_test(test_four_nodes),
                                     cmocka_unit_test(test_runs_are_counted)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
