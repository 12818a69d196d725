/* Analyses and trees in a quarter of the worlds that have no jobs: every second saved task has an analyzer, which says anything and adds
 * tasks; and at every commit what a task has added is held against the rows. The other worlds are unchanged. This part draws random
 * numbers of its own. */
#include <stdio.h>
#include "analysis.h"
#include "sim.h"

enum { TREE_NAMES = 8, TREE_TASKS = 3, TREE_MOST = 60 };

static uint64_t rnd(struct world *w, uint64_t n) { return rand_next(&w->trees.rng) % n; }

void trees_setup(struct world *w) {
  w->trees.rng = w->seed * 0x9E3779B97F4A7C15ull ^ 0x7EEull;
  w->trees.on = !w->jobs.on && (w->seed * 0xA24BAED4963EE407ull) >> 62 == 1;
  w->db->analyses = w->trees.on;
}

void trees_end(struct world *w) { map64_done(&w->trees.parent); }

uintptr_t trees_wished(const struct world *w, int64_t ti) {
  uintptr_t all = 0;
  for (int64_t at = ti; w->trees.on && (at = (int64_t)(uintptr_t)map64_get(&w->trees.parent, at)) != 0;)
    all |= (uintptr_t)map64_get(&w->wished, at);
  return all;
}

int64_t trees_flow_of(const struct world *w, int64_t ti) {
  const struct mem_async *a = memdb_async(w->db, ti);
  const struct mem_task *first = a && a->r.job < 0 ? memdb_task(w->db, -a->r.job) : NULL;
  return first ? first->r.fi : 0;
}

/* ---- what an analyzer says ---- */

static void add_task(struct world *w, struct async_post *p) {
  char name[16];
  *p = (struct async_post){.def = memdb_task_def(w->db, 1 + (int64_t)rnd(w, w->db->n_tasks), 0), .spec = wr_new(struct async_spec)};
  if (rnd(w, 3) == 0) return;
  (void)snprintf(name, sizeof name, "c-%u", (unsigned)rnd(w, TREE_NAMES));
  p->spec->key = wr_strdup(name);
  memset(p->spec->hash, rnd(w, 10) ? 1 : 2, sizeof p->spec->hash);
}

enum attempt_end trees_answer(struct world *w, struct attempt *a) {
  struct verdict *v = &a->analysis->verdict;
  uint64_t k = rnd(w, 100);
  if (k < 12) return ATTEMPT_FAIL;
  if (k < 14) return ATTEMPT_FATAL;
  if (k < 17) return ATTEMPT_HANDBACK;
  v->kind = k < 70 ? VERDICT_DONE : k < 85 ? VERDICT_FAILED : VERDICT_RETRY;
  if (v->kind == VERDICT_RETRY && rnd(w, 2)) v->has_after = true, v->after_us = (int64_t)rnd(w, SEC);
  if (v->kind != VERDICT_DONE || w->trees.added > TREE_MOST || rnd(w, 5) < 2) return ATTEMPT_OK;
  v->n_task = 1 + (uint32_t)rnd(w, TREE_TASKS);
  v->task = wr_calloc(v->n_task, sizeof *v->task);
  for (uint32_t i = 0; i < v->n_task; i++) add_task(w, &v->task[i]);
  v->no_wait = rnd(w, 6) == 0;
  w->trees.added += v->n_task;
  return ATTEMPT_OK;
}

/* ---- the oracle ---- */

static const struct task_row *written(const struct batch *b, int64_t ti) {
  for (size_t i = 0; i < b->n_task; i++)
    if (b->task[i].row.ti == ti) return &b->task[i].row;
  return NULL;
}

static bool waits(const struct task *t) { return t->phase == PHASE_CHILDREN; }

/* Its tasks and its verdict come in one commit, and only from the analysis that has the claim. */
static void check_added(struct world *w, const struct async_row *a, const struct batch *b) {
  const struct mem_task *p = memdb_task(w->db, a->parent);
  const struct task_row *now = written(b, a->parent);
  if (!p || !now) sim_fail(w, "task %lld is stored without the verdict of %lld", (long long)a->ti, (long long)a->parent);
  const struct rec *rec = ledger_get(w, a->parent, p->r.t.epoch);
  bool claimed = p->r.t.phase == PHASE_ANALYSE && p->r.t.state == TASK_RUNNING;
  if (!claimed || now->t.phase == PHASE_ANALYSE) sim_fail(w, "task %lld is added by %lld, which is not analysed", (long long)a->ti, (long long)a->parent);
  if (!rec || !rec->reported || rec->outcome != ATTEMPT_OK) sim_fail(w, "task %lld is added by an analysis that did not say so", (long long)a->ti);
  (void)map64_put(&w->trees.parent, a->ti, (void *)(uintptr_t)a->parent);
}

static bool adds_to(const struct batch *b, int64_t ti) {
  for (size_t i = 0; i < b->n_async; i++)
    if (b->async[i].op == ROW_INSERT && b->async[i].row.parent == ti) return true;
  return false;
}

/* About to be committed. */
void trees_commit(struct world *w, const struct batch *b) {
  if (!w->trees.on) return;
  for (size_t i = 0; i < b->n_async; i++)
    if (b->async[i].op == ROW_INSERT && b->async[i].row.parent) check_added(w, &b->async[i].row, b);
  for (size_t i = 0; i < b->n_task; i++) {
    const struct mem_task *o = memdb_task(w->db, b->task[i].row.ti);
    bool begins = waits(&b->task[i].row.t) && !(o && waits(&o->r.t));
    const struct tree_row *had = memdb_tree(w->db, b->task[i].row.ti); /* of a former run */
    if (begins && !adds_to(b, b->task[i].row.ti) && !(had && had->total > 0)) sim_fail(w, "task %lld waits for tasks that are not stored", (long long)b->task[i].row.ti);
  }
}

/* The end of an analysis: it costs no loss, and at most one try. */
void trees_end_of(struct world *w, const struct task_row *or, const struct task_row *nr) {
  const struct task *o = &or->t, *n = &nr->t;
  const struct rec *rec = ledger_get(w, or->ti, o->epoch);
  long long ti = or->ti;
  if (n->losses != o->losses) sim_fail(w, "the analysis of task %lld counts as a loss", ti);
  if (n->tries > o->tries + 1) sim_fail(w, "the analysis of task %lld costs it %u tries", ti, n->tries - o->tries);
  bool said = rec && rec->reported && rec->outcome == ATTEMPT_OK;
  bool verdict = n->state == TASK_SUCCESS || waits(n) || n->tries != o->tries;
  if (verdict && !said) sim_fail(w, "task %lld has a verdict that nobody gave", ti);
}

static void recount(const struct world *w, int64_t ti, struct tree_row *out) {
  const struct map64_slot *s;
  for (size_t i = 0; (s = map64_next(&w->db->async, &i)) != NULL;) {
    const struct mem_async *a = s->val;
    if (a->r.parent != ti) continue;
    const struct task *t = &memdb_task(w->db, a->r.ti)->r.t;
    out->total++;
    out->live += !task_final(t->state);
    out->failed += task_final(t->state) && t->state != TASK_SUCCESS;
  }
}

static void check_tree(struct world *w, int64_t ti) {
  const struct tree_row *r = memdb_tree(w->db, ti);
  const struct mem_task *t = memdb_task(w->db, ti);
  struct tree_row is = {0};
  recount(w, ti, &is);
  if (!r && is.total == 0) return;
  if (!t) {
    if (is.total > 0 && is.live > 0 && !(trees_wished(w, ti) | (uintptr_t)map64_get(&w->wished, ti))) sim_fail(w, "task %lld is gone, and %lld that it added live", (long long)ti, (long long)is.live);
    return;
  }
  const struct mem_async *beside = memdb_async(w->db, ti);
  bool again = beside && beside->r.run_no > 1; /* what failed in a former run counts no more, unless it is named again */
  if (!r || r->total != is.total || r->live != is.live || (again ? r->failed > is.failed : r->failed != is.failed))
    sim_fail(w, "task %lld counts %lld/%lld/%lld of what it added, there are %lld/%lld/%lld", (long long)ti, r ? (long long)r->total : -1,
             r ? (long long)r->live : -1, r ? (long long)r->failed : -1, (long long)is.total, (long long)is.live, (long long)is.failed);
  bool of_node = t->r.fi != 0; /* it ends in a batch of its own */
  if (waits(&t->r.t) && is.live == 0 && !of_node) sim_fail(w, "task %lld waits, and nothing lives below it", (long long)ti);
}

void trees_committed(struct world *w, const struct batch *b) {
  if (!w->trees.on) return;
  for (size_t i = 0; i < b->n_tree; i++) check_tree(w, b->tree[i].ti);
  for (size_t i = 0; i < b->n_task; i++) {
    int64_t parent = (int64_t)(uintptr_t)map64_get(&w->trees.parent, b->task[i].row.ti);
    if (parent) check_tree(w, parent);
  }
}

/* A parent that waited ends with the last of what it added. */
void trees_parent_ends(struct world *w, const struct task_row *or, const struct batch *b) {
  struct tree_row is = {0};
  if (!waits(&or->t)) return;
  recount(w, or->ti, &is);
  for (size_t i = 0; i < b->n_task; i++) { /* those that end in this commit */
    const struct mem_task *o = memdb_task(w->db, b->task[i].row.ti);
    bool gone = false;
    for (size_t k = 0; k < b->n_gone; k++) gone |= b->gone[k] == b->task[i].row.ti;
    if (o && (int64_t)(uintptr_t)map64_get(&w->trees.parent, o->r.ti) == or->ti && !task_final(o->r.t.state) && (gone || task_final(b->task[i].row.t.state))) is.live--;
  }
  if (is.live > 0) sim_fail(w, "task %lld has ended, and %lld that it added live", (long long)or->ti, (long long)is.live);
}

void trees_quiet(struct world *w) {
  const struct map64_slot *s;
  for (size_t i = 0; w->trees.on && (s = map64_next(&w->db->tree, &i)) != NULL;) check_tree(w, s->key);
}
