/* Rebuilds a flow instance from its committed rows, by code that shares nothing with the runner's loader, and checks it. See
 * sim.h. What never happens: a row is taken from memory instead of the database. */
#include <stdlib.h>
#include <string.h>
#include "sim.h"

struct bases { struct run_base *v; size_t n, cap; };

static struct bases bases_of(struct world *w, const struct mem_flow *f) {
  struct bases b = {0};
  const char *s = f->r.bases;
  while (s && *s) {
    char *end;
    struct run_base one;
    one.ni = strtoll(s, &end, 10);
    if (*end != ':') sim_fail(w, "flow %lld has bases '%s'", (long long)f->r.fi, f->r.bases);
    one.ti = strtoll(end + 1, &end, 10);
    *WR_PUSH(b.v, b.n, b.cap) = one;
    end += strcspn(end, ","); /* ranges of nodes that grew */
    s = *end ? end + 1 : end;
  }
  return b;
}

/* The tasks of a node that grew, in every run up to this one. */
static void rebuild_wide(struct world *w, struct run *r, uint32_t node, size_t base) {
  for (size_t b = 0; b <= base; b++) {
    struct run_ids ids = run_task_ids(r, (uint16_t)b, node);
    for (uint32_t k = 0; k < ids.n; k++) {
      const struct mem_task *t = memdb_task(w->db, ids.ti + k);
      if (t) run_load_task(r, run_task_in(r, (uint16_t)b, ids.ti + k), &t->r.t);
    }
  }
}

/* The tasks of a node, from rows of the run to which the row of the node belongs. A task without such a row has only the greatest
 * epoch of its rows in former runs. */
static void rebuild_tasks(struct world *w, struct run *r, uint32_t node, size_t base) {
  const struct dag_node *d = &r->dag->node[node];
  if (d->expands) { rebuild_wide(w, r, node, base); return; }
  for (uint32_t k = d->task_at; k < d->task_at + d->n_task; k++) {
    struct task epoch_only = {0};
    bool row = false;
    for (size_t b = 0; b <= base; b++) {
      const struct mem_task *t = memdb_task(w->db, r->base[b].ti + k);
      if (!t) continue;
      if (b == base) { run_load_task(r, k, &t->r.t); row = true; }
      else if (task_attempt_of(t->r.t.epoch) > task_attempt_of(epoch_only.epoch)) epoch_only.epoch = t->r.t.epoch;
    }
    if (row) continue;
    run_load_task(r, k, &epoch_only);
    r->task[k].row = 0;
  }
}

static void rebuild_node(struct world *w, struct run *r, uint32_t node) {
  run_load_none(r, node);
  for (size_t b = r->n_base; b-- > 0;) {
    const struct mem_node *n = memdb_node(w->db, r->base[b].ni + node);
    if (!n) continue;
    rebuild_tasks(w, r, node, b);
    run_load_node(r, node, &(struct run_node){.state = n->r.state, .base = (uint16_t)b, .ok = n->r.ok, .fail = n->r.fail,
      .skip = n->r.skip, .t_ok = n->r.t_ok, .t_bad = n->r.t_bad, .t_open = n->r.t_open, .t_canceled = n->r.t_canceled,
      .start_us = n->r.start_us, .end_us = n->r.end_us, .skip_edges = n->r.skip_edges});
    return;
  }
}

struct run *rebuild(struct world *w, const struct mem_flow *f, struct flow_def *def) {
  struct bases b = bases_of(w, f);
  struct run *r = run_new(def->dag, f->r.fi, (struct run_base){0, 0}, (enum flow_state)f->r.state);
  if (!run_bases_parse(r, f->r.bases) || r->n_base != b.n || memcmp(r->base, b.v, b.n * sizeof *b.v) != 0)
    sim_fail(w, "flow %lld has bases '%s'", (long long)f->r.fi, f->r.bases);
  free(b.v);
  r->row = 1;
  r->version = f->r.version;
  if (!run_wish_load(r, f->r.wish)) sim_fail(w, "flow %lld: wish %u", (long long)f->r.fi, f->r.wish);
  r->live = f->r.live;
  r->failed = f->r.failed;
  r->due_us = f->r.due_us;
  r->end_us = f->r.end_us;
  if (!run_more_parse(r, f->r.more ? f->r.more : "", f->r.more ? strlen(f->r.more) : 0))
    sim_fail(w, "flow %lld has more '%s'", (long long)f->r.fi, f->r.more);
  for (uint32_t i = 0; i < def->dag->n; i++) rebuild_node(w, r, i);
  return r;
}

/* ---- at every commit ---- */

static void check_counters(struct world *w, const struct run *r) {
  uint32_t live = 0, failed = 0;
  for (uint32_t i = 0; i < r->dag->n; i++) {
    struct run_tasks its = run_node_tasks(r, i);
    enum node_state s = (enum node_state)r->node[i].state;
    for (uint32_t k = its.at; k < its.at + its.n; k++)
      live += r->task[k].row && !task_final(r->task[k].t.state);
    failed += s == NODE_FAILED || s == NODE_UPSTREAM_FAILED || s == NODE_CANCELED;
  }
  if (live != r->live) sim_fail(w, "flow %lld says %u live tasks, its rows say %u", (long long)r->fi, r->live, live);
  if (failed != r->failed) sim_fail(w, "flow %lld says %u failed nodes, its rows say %u", (long long)r->fi, r->failed, failed);
}

void rebuild_check(struct world *w, const struct mem_flow *f) {
  struct run *r = rebuild(w, f, oracle_flow_def(w, f->r.flow_id, f->r.flow_version));
  check_counters(w, r);
  run_check(r);
  run_free(r);
}

/* ---- when it is final: every state follows from the tasks and the edges ---- */

struct tally { uint32_t ok, fail, skip; };

/* The parent succeeded and left this edge out. */
static bool left_out(const struct run *r, uint32_t parent, uint32_t child) {
  const struct dag *d = r->dag;
  for (uint32_t k = d->child_at[parent]; k < d->child_at[parent + 1]; k++)
    if (d->child[k] == child) return k - d->child_at[parent] < 64 && (r->node[parent].skip_edges >> (k - d->child_at[parent]) & 1);
  return false;
}

static struct tally parents_of(const struct flow_def *def, const struct run *r, uint32_t node) {
  const struct node_def *d = &def->node[def->dag_node[node]];
  struct tally t = {0};
  for (uint32_t k = 0; k < d->n_parent; k++)
    for (uint32_t i = 0; i < r->dag->n; i++) {
      if (def->dag_node[i] != d->parent[k]) continue;
      if (r->node[i].state == NODE_SKIPPED || (r->node[i].state == NODE_SUCCESS && left_out(r, i, node))) t.skip++;
      else if (r->node[i].state == NODE_SUCCESS) t.ok++;
      else t.fail++;
    }
  return t;
}

static void final_node(struct world *w, const struct flow_def *def, const struct run *r, uint32_t i) {
  const struct run_node *v = &r->node[i];
  const struct dag_node *d = &r->dag->node[i];
  struct tally p = parents_of(def, r, i);
  struct run_tasks its = run_node_tasks(r, i);
  uint32_t ok = 0, rows = 0, need = d->expands ? its.n : d->need;
  bool none = d->expands && sim_width(r->fi, i) == 0; /* it grew to nothing */
  for (uint32_t k = its.at; k < its.at + its.n; k++) {
    rows += r->task[k].row;
    ok += r->task[k].row && r->task[k].t.state == TASK_SUCCESS;
  }
  const char *name = node_state_name((enum node_state)v->state);
  long long fi = r->fi;
  if (!node_final((enum node_state)v->state)) sim_fail(w, "flow %lld is final, its node %u is %s", fi, i, name);
  if (rows != 0 && rows != its.n) sim_fail(w, "node %u of flow %lld started %u of %u tasks", i, fi, rows, its.n);
  if (rows != 0 && d->expands && rows != sim_width(r->fi, i)) sim_fail(w, "node %u of flow %lld grew to %u tasks", i, fi, rows);
  if (rows > 0 && p.ok != d->n_parent) sim_fail(w, "node %u of flow %lld started though a parent had not succeeded", i, fi);
  if (v->state == NODE_SUCCESS && ok < need) sim_fail(w, "node %u of flow %lld: SUCCESS with %u of %u", i, fi, ok, need);
  bool no_more = d->expands && r->n_wide >= LIMIT_WIDE_NODES; /* it could not grow */
  if (v->state == NODE_FAILED && !(rows == 0 && no_more) && (rows == 0 || ok >= need)) sim_fail(w, "node %u of flow %lld: FAILED with %u of %u", i, fi, ok, need);
  if (v->state == NODE_UPSTREAM_FAILED && p.fail == 0) sim_fail(w, "node %u of flow %lld: UPSTREAM_FAILED, no parent failed", i, fi);
  if (v->state == NODE_SKIPPED && p.skip == 0 && !(none && p.ok == d->n_parent)) sim_fail(w, "node %u of flow %lld: SKIPPED", i, fi);
  if (rows == 0 && p.ok == d->n_parent && r->wish == WISH_NONE && !none) sim_fail(w, "node %u of flow %lld never started: %s", i, fi, name);
}

/* onFailure answers only a node that failed by its own tasks in this run. */
static void final_cause(struct world *w, const struct run *r) {
  bool cause = r->wish != WISH_STOP && r->wish != WISH_FAIL;
  for (uint32_t i = 0; !cause && i < r->dag->n; i++) {
    const struct run_node *v = &r->node[i];
    cause = v->base + 1u == r->n_base && v->t_ok + v->t_bad > 0 && (v->state == NODE_FAILED || v->state == NODE_CANCELED);
  }
  if (!cause) sim_fail(w, "flow %lld was stopped (wish %u), but nothing failed in its run %zu", (long long)r->fi, r->wish, r->n_base);
}

/* The text is "node KEY: " and the error of the node. */
static bool says(const char *flow, const char *key, const char *node) {
  size_t n = strlen(key);
  return flow && node && strncmp(flow, "node ", 5) == 0 && strncmp(flow + 5, key, n) == 0 && strncmp(flow + 5 + n, ": ", 2) == 0 &&
         strcmp(flow + n + 7, node) == 0;
}

static bool good_end(const struct run_node *v) { return v->state == NODE_SUCCESS || v->state == NODE_SKIPPED; }

/* The error of a flow is that of the first failed node, of this run or kept. */
static void final_reason(struct world *w, const struct mem_flow *f, const struct flow_def *def, const struct run *r) {
  int64_t first = INT64_MAX;
  bool same = false;
  if (f->r.state != FLOW_FAILED || r->wish == WISH_TIMEOUT) return;
  for (uint32_t i = 0; i < r->dag->n; i++)
    if (!good_end(&r->node[i]) && r->node[i].end_us < first) first = r->node[i].end_us;
  for (uint32_t i = 0; i < r->dag->n && !same; i++) {
    const struct mem_node *n = memdb_node(w->db, run_ni(r, i));
    same = !good_end(&r->node[i]) && r->node[i].end_us == first && says(f->r.error, def->node[def->dag_node[i]].key, n->r.error);
  }
  if (!same) sim_fail(w, "flow %lld says '%s', its first failed node does not", (long long)r->fi, f->r.error ? f->r.error : "");
}

static void final_texts(struct world *w, const struct mem_flow *f, const struct run *r) {
  if (f->r.state != FLOW_SUCCESS && !f->r.error) sim_fail(w, "flow %lld: %s without a reason", (long long)r->fi, flow_state_name((enum flow_state)f->r.state));
  if (f->r.state == FLOW_SUCCESS && f->r.error) sim_fail(w, "flow %lld: SUCCESS with error '%s'", (long long)r->fi, f->r.error);
  for (uint32_t i = 0; i < r->dag->n; i++) {
    const struct mem_node *n = memdb_node(w->db, run_ni(r, i));
    bool good = n->r.state == NODE_SUCCESS || n->r.state == NODE_SKIPPED;
    if (good == (n->r.error != NULL)) sim_fail(w, "node %lld: %s with error '%s'", (long long)n->r.ni, node_state_name((enum node_state)n->r.state), n->r.error ? n->r.error : "");
  }
  for (uint32_t k = 0; k < r->n_task; k++) {
    const struct mem_task *t = r->task[k].row ? memdb_task(w->db, run_ti(r, k)) : NULL;
    if (t && (t->r.t.state == TASK_SUCCESS) == (t->r.error != NULL))
      sim_fail(w, "task %lld: %s with error '%s'", (long long)t->r.ti, task_state_name(t->r.t.state), t->r.error ? t->r.error : "");
  }
}

void rebuild_final(struct world *w, const struct mem_flow *f) {
  struct flow_def *def = oracle_flow_def(w, f->r.flow_id, f->r.flow_version);
  struct run *r = rebuild(w, f, def);
  enum flow_state want = r->wish == WISH_CANCEL ? FLOW_CANCELED : r->failed > 0 || r->wish != WISH_NONE ? FLOW_FAILED : FLOW_SUCCESS;
  if (f->r.state != want) sim_fail(w, "flow %lld is %s, should be %s", (long long)f->r.fi, flow_state_name((enum flow_state)f->r.state), flow_state_name(want));
  bool wide = r->dag->n > 100; /* parents_of() is quadratic */
  for (uint32_t i = 0; i < r->dag->n; i += wide ? 1 + (uint32_t)sim_rnd(w, 200) : 1) final_node(w, def, r, i);
  final_cause(w, r);
  final_reason(w, f, def, r);
  final_texts(w, f, r);
  run_free(r);
}
