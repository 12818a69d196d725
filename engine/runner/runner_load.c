/* Cached flow instances and stand-alone tasks: looked up, loaded under the lock, evicted. The runner thread's.
 *
 * A cached run is valid while the version of its row equals run.version; store_write() checks that. It is dropped on
 * every outcome but COMMIT OK. On a store with rivals a miss reads the head only; nodes come when a step needs them
 * (rule 2). On a single-process store a miss reads the whole run at once, unless that is large.
 * What never happens: a text of the store is kept beyond its transaction. */
#include <stdlib.h>
#include <string.h>
#include "runner_int.h"

/* ---- the cache ---- */

static size_t params_bytes(const struct params *p) { return p ? sizeof *p + strlen(p->text) + 1 : 0; }

/* All of it, though pages of a large flow whose nodes have not begun take no memory yet. */
static size_t bytes_of(const struct live *l) {
  const struct dag *d = l->r->dag;
  return sizeof *l + sizeof *l->r + 256 + (d->n + 1u) * sizeof *l->r->node + (d->n_task + 1u) * sizeof *l->r->task + params_bytes(l->params);
}

struct live *live_get(const struct runner *r, int64_t fi) { return map64_get(&r->runs, fi); }

void live_touch(struct runner *r, struct live *l) {
  l->touched = r->batch_no;
  budget_use(&r->cache, &l->used);
}

struct live *live_use(struct runner *r, int64_t fi) {
  struct live *l = live_get(r, fi);
  if (l && l->touched != r->batch_no) live_touch(r, l);
  return l;
}

/* Takes run, a reference of def and one of params (may be NULL). */
struct live *live_add(struct runner *r, struct run *run, struct flow_def *def, struct params *params) {
  struct live *l = wr_new(struct live);
  l->r = run;
  l->def = def;
  l->params = params;
  l->touched = r->batch_no;
  (void)map64_put(&r->runs, run->fi, l);
  budget_add(&r->cache, &l->used, bytes_of(l));
  if (run->due_us != 0) timers_set(&r->flow_timers, run->fi, run->fi, run->due_us);
  return l;
}

void live_more(struct runner *r, struct live *l) {
  if (l->more_queued) return;
  l->more_queued = true;
  *WR_PUSH(r->more, r->n_more, r->cap_more) = l;
}

static void more_forget(struct runner *r, const struct live *l) {
  size_t k = 0;
  for (size_t i = 0; i < r->n_more; i++)
    if (r->more[i] != l) r->more[k++] = r->more[i];
  r->n_more = k;
}

void live_drop(struct runner *r, struct live *l) {
  if (l->more_queued) {
    more_forget(r, l);
    ev_add(r, (struct ev){.kind = EV_MORE, .fi = l->r->fi}); /* loads it again */
  }
  if (!l->r->row) timers_stop(&r->flow_timers, l->r->fi); /* it was never stored; else the timer stays, whoever is cached */
  (void)map64_del(&r->runs, l->r->fi);
  budget_remove(&r->cache, &l->used);
  run_free(l->r);
  def_flow_unref(l->def);
  params_unref(l->params);
  free(l);
}

void live_drop_touched(struct runner *r) {
  for (struct live *l = live_newest(r), *next; l != NULL && l->touched == r->batch_no; l = next) {
    next = live_older(r, l);
    if (l->sliced == r->batch_no && !l->more_queued) ev_add(r, (struct ev){.kind = EV_MORE, .fi = l->r->fi});
    live_drop(r, l);
  }
}

/* Its row says what is left of it. */
static void park(struct runner *r, struct live *l) {
  more_forget(r, l);
  l->more_queued = false;
  *WR_PUSH(r->parked, r->n_parked, r->cap_parked) = l->r->fi;
}

static bool cache_over(const struct runner *r) { return r->cache.bytes + r->lone.bytes > r->cache.most; }

/* After a commit: the oldest go, those of the batch last, which may be more than all the cache may hold. Two stay, however
 * large: the newest, and of those that go on in slices the one whose turn is next. */
void live_evict(struct runner *r) {
  for (struct budget_item *it = budget_oldest(&r->lone), *next; it != NULL && cache_over(r) && r->lone.bytes > r->cache.most / 4; it = next) {
    struct solo *s = (struct solo *)(void *)it;
    next = budget_newer(&r->lone, it);
    if (!s->dirty) solo_drop(r, s);
  }
  for (struct budget_item *it = budget_oldest(&r->cache), *next; it != NULL && cache_over(r); it = next) {
    struct live *l = live_of(it);
    next = budget_newer(&r->cache, it);
    if (l == live_newest(r) || (r->n_more > 0 && l == r->more[0])) continue;
    if (l->more_queued) park(r, l);
    live_drop(r, l);
  }
}

/* ---- loading ---- */

/* Takes def. NULL when the row cannot be understood: the flow is set aside. */
static struct live *from_row(struct runner *r, const struct flow_row *row, struct flow_def *def) {
  struct run *run = run_new(def->dag, row->fi, (struct run_base){0, 0}, (enum flow_state)row->state);
  if (row->state >= FLOW__N || row->wish > WISH_TIMEOUT || !run_bases_parse(run, row->bases) || !run_more_parse(run, row->more ? row->more : "", row->more ? strlen(row->more) : 0)) {
    run_free(run);
    def_flow_unref(def);
    return NULL;
  }
  run->version = row->version;
  run->row = 1;
  run->wish = row->wish;
  run->live = row->live;
  run->failed = row->failed;
  run->text_error = row->error != NULL && row->error[0] != 0;
  run->create_us = row->create_us;
  run->end_us = row->end_us;
  run->last_us = row->update_us;
  run->due_us = row->due_us;
  run_forget(run);
  struct live *l = live_add(r, run, def, row->params ? params_new(row->params) : NULL);
  l->flow_id = row->flow_id;
  l->start_us = row->start_us;
  l->locked = r->batch_no;
  if (!r->single) l->shared = SHARED_FOR;
  if (run->n_more > 0) live_more(r, l);
  return l;
}

/* A row that cannot be: the file is damaged, or somebody wrote into it. */
static enum store_rc damaged(const struct run *run, const char *what, int64_t id) {
  log_error("runner.damaged_row", L_INT("fi", run->fi), L_STR("row", what), L_INT("id", id));
  return STORE_BAD;
}

static bool put_node(struct run *run, int64_t node, uint16_t base, const struct node_row *row) {
  return run_load_node(run, node, &(struct run_node){.state = row->state, .base = base, .ok = row->ok, .fail = row->fail,
    .skip = row->skip, .t_ok = row->t_ok, .t_bad = row->t_bad, .t_open = row->t_open,
    .t_canceled = row->t_canceled, .start_us = row->start_us, .end_us = row->end_us});
}

/* All rows of one run number, newest run last: later ones replace. */
static enum store_rc load_run(struct runner *r, struct run *run, uint16_t base) {
  uint32_t n = run->dag->n, m = run->dag->n_task;
  struct node_row *nr = wr_calloc((size_t)n + 1, sizeof *nr);
  struct task_row *tr = wr_calloc((size_t)m + 1, sizeof *tr);
  size_t got_n = 0, got_t = 0;
  struct run_base b = run->base[base];
  enum store_rc rc = store_node_range(r->s, b.ni, b.ni + n - 1, nr, n, &got_n);
  if (rc == STORE_OK) rc = store_task_range(r->s, b.ti, b.ti + m - 1, tr, m, &got_t);
  for (size_t i = 0; rc == STORE_OK && i < got_t; i++)
    if (!run_load_task(run, tr[i].ti - b.ti, &tr[i].t)) rc = damaged(run, "task_ins", tr[i].ti);
  for (size_t i = 0; rc == STORE_OK && i < got_n; i++)
    if (!put_node(run, nr[i].ni - b.ni, base, &nr[i])) rc = damaged(run, "task_node_ins", nr[i].ni);
  free(nr);
  free(tr);
  return rc;
}

/* At once, where no rival can change it. */
static bool loads_whole(const struct runner *r, const struct run *run) { return r->single && run->dag->n <= WHOLE_NODES; }

static enum store_rc load_whole(struct runner *r, struct run *run) {
  if (run->dag->n == 0) return STORE_OK;
  for (uint32_t i = 0; i < run->dag->n; i++) run_load_none(run, i);
  for (size_t b = 0; b < run->n_base; b++) {
    enum store_rc rc = load_run(r, run, (uint16_t)b);
    if (rc != STORE_OK) return rc;
  }
  return STORE_OK;
}

/* A node whose row is to be read, as one of the runs of its flow made it. */
struct want { int64_t ni; struct live *l; const struct node_row *row; uint32_t node; uint16_t base; };
struct wants { struct want *v; size_t n, cap; };

static void want_node(struct wants *w, struct live *l, uint32_t node) {
  if (run_known(l->r, node)) return;
  for (size_t b = 0; b < l->r->n_base; b++)
    *WR_PUSH(w->v, w->n, w->cap) = (struct want){.ni = l->r->base[b].ni + node, .l = l, .node = node, .base = (uint16_t)b};
}

/* In the order of their ids, each once. */
static void wants_sort(struct wants *w) {
  size_t k = 0;
  qsort(w->v, w->n, sizeof *w->v, wr_by_id);
  for (size_t i = 0; i < w->n; i++)
    if (k == 0 || w->v[k - 1].ni != w->v[i].ni) w->v[k++] = w->v[i];
  w->n = k;
}

static struct want *want_of(const struct wants *w, int64_t ni) {
  struct want key = {.ni = ni};
  return bsearch(&key, w->v, w->n, sizeof *w->v, wr_by_id);
}

static enum store_rc want_rows(struct runner *r, struct wants *w) {
  int64_t *ni = arena_alloc(&r->mem, w->n * sizeof *ni);
  struct node_row *row = arena_zalloc(&r->mem, w->n * sizeof *row);
  size_t got = 0;
  for (size_t i = 0; i < w->n; i++) ni[i] = w->v[i].ni;
  enum store_rc rc = store_nodes(r->s, ni, w->n, row, &got);
  for (size_t i = 0; rc == STORE_OK && i < got; i++) {
    struct want *v = want_of(w, row[i].ni);
    if (v) v->row = &row[i];
  }
  return rc;
}

/* The tasks of those nodes that have a row, each in the run of that row. */
static enum store_rc want_tasks(struct runner *r, const struct wants *w, struct task_row **row, size_t *got) {
  size_t m = 0, cap = 0;
  int64_t *ti = NULL;
  for (const struct want *v = w->v; v < w->v + w->n; v++) {
    const struct dag_node *d = &v->l->r->dag->node[v->node];
    for (uint32_t k = 0; v->row && k < d->n_task; k++) *WR_PUSH(ti, m, cap) = v->l->r->base[v->base].ti + d->task_at + k;
  }
  *got = 0;
  *row = arena_zalloc(&r->mem, (m + 1) * sizeof **row);
  enum store_rc rc = m == 0 ? STORE_OK : store_tasks(r->s, ti, m, *row, got);
  free(ti);
  return rc;
}

/* Puts what was read where it belongs, oldest run first: rows come in no order, and ids of two runs stand in none. */
static enum store_rc place(const struct wants *w, const struct task_row *t, size_t n_task) {
  size_t bases = 0;
  for (const struct want *v = w->v; v < w->v + w->n; v++) {
    run_load_none(v->l->r, v->node);
    if (v->base >= bases) bases = v->base + 1u;
  }
  for (size_t b = 0; b < bases; b++) {
    for (size_t i = 0; i < n_task; i++) {
      const struct want *v = want_of(w, t[i].ni);
      if (v && v->base == b && !run_load_task(v->l->r, t[i].ti - v->l->r->base[b].ti, &t[i].t)) return damaged(v->l->r, "task_ins", t[i].ti);
    }
    for (const struct want *v = w->v; v < w->v + w->n; v++)
      if (v->row && v->base == b && !put_node(v->l->r, v->node, v->base, v->row)) return damaged(v->l->r, "task_node_ins", v->ni);
  }
  return STORE_OK;
}

/* Reads the rows of all these nodes, of all runs of their flows: the newest that has one counts. */
static enum store_rc load_wants(struct runner *r, struct wants *w) {
  struct task_row *t;
  size_t n_task;
  if (w->n == 0) return STORE_OK;
  wants_sort(w);
  enum store_rc rc = want_rows(r, w);
  if (rc == STORE_OK) rc = want_tasks(r, w, &t, &n_task);
  return rc == STORE_OK ? place(w, t, n_task) : rc;
}

enum store_rc load_nodes(struct runner *r, struct live *l, const uint32_t *node, size_t n) {
  struct wants w = {0};
  if (loads_whole(r, l->r) || n == l->r->dag->n) return load_whole(r, l->r);
  for (size_t i = 0; i < n; i++) want_node(&w, l, node[i]);
  enum store_rc rc = load_wants(r, &w);
  free(w.v);
  return rc;
}

/* ---- what a batch needs ---- */

/* Is its head to be locked first? One that another node may have touched lately, too: then it never makes the batch stale. */
static bool head_wanted(struct runner *r, const struct ev *e) {
  const struct live *l = e->fi != 0 ? live_get(r, e->fi) : NULL;
  if (l) return l->shared > 0;
  return e->fi != 0 && (e->q != NULL || !aside_now(r, e->fi));
}

static size_t wanted_heads(struct runner *r, size_t n, int64_t **out) {
  int64_t *fi = arena_alloc(&r->mem, (n + 1) * sizeof *fi);
  size_t m = 0, k = 0;
  for (size_t i = 0; i < n; i++)
    if (head_wanted(r, &r->ev[i])) fi[m++] = r->ev[i].fi;
  qsort(fi, m, sizeof *fi, wr_by_id);
  for (size_t i = 0; i < m; i++)
    if (k == 0 || fi[k - 1] != fi[i]) fi[k++] = fi[i];
  *out = fi;
  return k;
}

/* What is cached is right when its version is; else it is made anew. */
static bool still_right(struct runner *r, const struct flow_row *row) {
  struct live *l = live_get(r, row->fi);
  if (l == NULL) return false;
  if (l->r->version != row->version) { live_drop(r, l); return false; }
  l->locked = r->batch_no;
  l->shared--;
  return true;
}

static enum store_rc load_head(struct runner *r, const struct flow_row *row) {
  struct flow_def *def;
  struct wr_err err;
  if (still_right(r, row)) return STORE_OK;
  enum wr_rc rc = defs_flow(r->o.defs, row->flow_id, row->flow_version, r->defs_version, &def, &err);
  enum store_rc s = defs_store_rc(rc);
  if (s != STORE_OK && s != STORE_BAD) return s;
  struct live *l = rc == WR_OK ? from_row(r, row, def) : NULL;
  if (l && !loads_whole(r, l->r)) return STORE_OK;
  enum store_rc got = l ? load_whole(r, l->r) : STORE_BAD;
  const char *fault = got == STORE_OK ? run_fault(l->r) : NULL; /* a row may be damaged and still look like one */
  if (got != STORE_BAD && !fault) return got;
  if (l) live_drop(r, l);
  log_error("runner.unreadable_flow", L_INT("fi", row->fi), L_STR("error", rc != WR_OK ? err.msg : fault ? fault : "Its rows are damaged."));
  aside_put(r, row->fi);
  return STORE_OK;
}

static enum store_rc load_heads(struct runner *r, size_t n) {
  int64_t *fi;
  size_t m = wanted_heads(r, n, &fi);
  if (m == 0) return STORE_OK;
  struct flow_row *row = arena_zalloc(&r->mem, m * sizeof *row);
  uint8_t *got = arena_zalloc(&r->mem, m);
  r->held = arena_alloc(&r->mem, m * sizeof *r->held);
  enum store_rc rc = store_lock(r->s, fi, m, row, got);
  for (size_t i = 0; rc == STORE_OK && i < m; i++) {
    if (got[i] == 2) r->held[r->n_held++] = fi[i];
    if (got[i] == 1) rc = load_head(r, &row[i]);
  }
  return rc;
}

/* Nodes that the event is about, and those that may follow. What else a step needs it asks for. */
static void want_event(struct runner *r, struct wants *w, const struct ev *e) {
  struct live *l = e->fi != 0 ? live_get(r, e->fi) : NULL;
  uint32_t task = l && e->ti != 0 && !loads_whole(r, l->r) ? run_task_of(l->r, e->ti) : UINT32_MAX;
  if (task == UINT32_MAX) return;
  const struct dag *d = l->r->dag;
  uint32_t node = dag_node_of_task(d, task);
  want_node(w, l, node);
  for (uint32_t k = d->child_at[node]; e->kind == EV_RESULT && k < d->child_at[node + 1] && k < d->child_at[node] + CHILDREN_AHEAD; k++)
    want_node(w, l, d->child[k]);
}

/* A batch of n events over n flows costs a handful of reads, not n round trips. */
static enum store_rc load_ahead(struct runner *r, size_t n) {
  struct wants w = {0};
  for (size_t i = 0; i < n; i++) want_event(r, &w, &r->ev[i]);
  enum store_rc rc = load_wants(r, &w);
  free(w.v);
  return rc;
}

bool loads_solo(const struct runner *r, const struct ev *e) {
  return e->fi == 0 && e->ti != 0 && e->kind != EV_REQ && !map64_get(&r->solos, e->ti);
}

/* Rows of stand-alone tasks that are not cached; load_solo() finds them there. */
static enum store_rc load_solos(struct runner *r, size_t n) {
  int64_t *ti = arena_alloc(&r->mem, (n + 1) * sizeof *ti);
  size_t m = 0;
  for (size_t i = 0; i < n; i++) {
    const struct ev *e = &r->ev[i];
    if (loads_solo(r, e)) ti[m++] = e->ti;
  }
  if (m < 2) return STORE_OK;
  r->ahead = arena_zalloc(&r->mem, m * sizeof *r->ahead);
  enum store_rc rc = store_tasks(r->s, ti, m, r->ahead, &r->n_ahead);
  if (rc == STORE_OK) qsort(r->ahead, r->n_ahead, sizeof *r->ahead, wr_by_id);
  return rc;
}

enum store_rc load_batch(struct runner *r, size_t n) {
  enum store_rc rc = keys_load(r, n);
  if (rc == STORE_OK) rc = load_heads(r, n);
  if (rc == STORE_OK) rc = load_ahead(r, n);
  if (rc == STORE_OK) rc = load_solos(r, n);
  return rc;
}

/* ---- stand-alone tasks ---- */

enum store_rc load_solo(struct runner *r, int64_t ti, struct solo **out) {
  struct task_row row = {.ti = ti};
  size_t got = 1;
  *out = map64_get(&r->solos, ti);
  if (*out) return STORE_OK;
  const struct task_row *ahead = r->n_ahead > 0 ? bsearch(&row, r->ahead, r->n_ahead, sizeof row, wr_by_id) : NULL;
  if (ahead) row = *ahead;
  enum store_rc rc = ahead ? STORE_OK : store_tasks(r->s, &ti, 1, &row, &got);
  if (rc != STORE_OK || got == 0 || row.ni != 0) return rc;
  if (row.t.state >= TASK__N || row.t.end_as >= TASK__N) {
    log_error("runner.damaged_row", L_STR("row", "task_ins"), L_INT("id", ti));
    return STORE_OK;
  }
  struct task_def *def;
  struct wr_err err;
  rc = defs_store_rc(defs_task(r->o.defs, row.task_id, row.t.version, r->defs_version, &def, &err));
  if (rc == STORE_BAD)
    log_error("runner.task_definition", L_INT("ti", ti), L_INT("task_id", row.task_id), L_INT("version", row.t.version), L_STR("error", err.msg));
  if (rc != STORE_OK) return rc;
  struct solo *s = wr_new(struct solo);
  *s = (struct solo){.ti = ti, .create_us = row.create_us, .update_us = row.update_us, .t = row.t, .def = def, .row = true,
                     .params = row.params ? params_new(row.params) : NULL,
                     .epoch_was = row.t.epoch, .state_was = row.t.state};
  solo_keep(r, s);
  *out = s;
  return STORE_OK;
}

void solo_keep(struct runner *r, struct solo *s) {
  (void)map64_put(&r->solos, s->ti, s);
  budget_add(&r->lone, &s->used, sizeof *s + 32 + params_bytes(s->params));
}

void solo_free(struct solo *s) {
  def_task_unref(s->def);
  params_unref(s->params);
  free(s);
}

void solo_drop(struct runner *r, struct solo *s) {
  (void)map64_del(&r->solos, s->ti);
  budget_remove(&r->lone, &s->used);
  solo_free(s);
}
