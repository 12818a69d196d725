/* Reads rows into the cache: loader.h. */
#include "loader.h"
#include "analysis.h"
#include "defs.h"

#define CHILDREN_AHEAD 64             /* children of a node that may end, which are read with it */

void loader_init(struct loader *l, struct env *env, struct cache *cache, struct quarantine *quarantine, struct jobs *jobs) {
  *l = (struct loader){.env = env, .cache = cache, .quarantine = quarantine, .jobs = jobs};
}

void loader_begin(struct loader *l) {
  l->n_held = 0;
  l->ahead = l->asked = (struct alone_rows){0};
}

enum store_rc defs_store_rc(enum wr_rc rc) {
  switch ((unsigned)rc) {
  case WR_OK: return STORE_OK;
  case WR_NOT_FOUND: case WR_INTERNAL: return STORE_BAD; /* it does not exist; it is damaged */
  case WR_NO_SPACE: return STORE_NO_SPACE;
  case WR_DB_UNAVAILABLE: return STORE_DOWN;
  default: return STORE_RETRY;
  }
}

/* ---- a flow's row ---- */

static enum store_rc load_whose(struct loader *l, struct cached *c) {
  struct whose_row *row;
  size_t n;
  if (!c->run->whose) return STORE_OK;
  enum store_rc rc = store_whose(l->env->store, c->run->fi, &l->env->mem, &row, &n);
  if (rc != STORE_OK) return rc;
  c->whose = whose_new();
  for (size_t i = 0; i < n; i++) (void)whose_hear(c->whose, &row[i]);
  cache_grew(l->cache, c);
  return STORE_OK;
}

/* Takes def. NULL when the row cannot be understood. */
static struct cached *from_row(struct loader *l, const struct flow_row *row, struct flow_def *def) {
  struct run *run = run_new(def->dag, row->fi, (struct run_base){0, 0}, (enum flow_state)row->state);
  if (row->state >= FLOW__N || !run_wish_load(run, row->wish) || !run_bases_parse(run, row->bases) ||
      !run_more_parse(run, row->more ? row->more : "", row->more ? strlen(row->more) : 0)) {
    run_free(run);
    def_flow_unref(def);
    return NULL;
  }
  run->version = row->version;
  run->row = 1;
  run->live = row->live;
  run->failed = row->failed;
  run->text_error = row->error != NULL && row->error[0] != 0;
  run->create_us = row->create_us;
  run->end_us = row->end_us;
  run->last_us = row->update_us;
  run->due_us = row->due_us;
  run_forget(run);
  struct cached *c = cache_add_flow(l->cache, run, def, row->params ? params_new(row->params) : NULL);
  c->flow_id = row->flow_id;
  c->start_us = row->start_us;
  c->locked = l->env->batch_no;
  if (!l->env->single) cached_share(c);
  if (run->n_more > 0) cache_slice_later(l->cache, c);
  return c;
}

/* The engine never writes such a row: the file is damaged, or somebody else wrote into it. */
static enum store_rc damaged(const struct run *run, const char *what, int64_t id) {
  log_error("runner.damaged_row", L_INT("fi", run->fi), L_STR("row", what), L_INT("id", id));
  return STORE_BAD;
}

/* `bases` says which rows belong to the run, and the rows must say the same. */
static bool put_task(struct run *run, int64_t task, const struct task_row *row) {
  if (row->fi != run->fi || !run_load_task(run, task, &row->t)) return false;
  run->task[task].executor = row->executor & LIMIT_EXECUTOR_VERSION;
  return true;
}

static bool put_node(struct run *run, int64_t node, uint16_t base, const struct node_row *row) {
  return row->fi == run->fi && run_load_node(run, node, &(struct run_node){.state = row->state, .base = base,
    .ok = row->ok, .fail = row->fail, .skip = row->skip, .t_ok = row->t_ok, .t_bad = row->t_bad, .t_open = row->t_open,
    .t_canceled = row->t_canceled, .start_us = row->start_us, .end_us = row->end_us, .skip_edges = row->skip_edges});
}

/* ---- a whole run ---- */

static enum store_rc load_wide(struct loader *l, struct run *run, const struct run_wide *w) {
  struct task_row *row = wr_calloc(w->n, sizeof *row);
  size_t got = 0;
  enum store_rc rc = store_task_range(l->env->store, w->ti, w->ti + w->n - 1, row, w->n, &got);
  for (size_t i = 0; rc == STORE_OK && i < got; i++)
    if (!put_task(run, w->at + (row[i].ti - w->ti), &row[i])) rc = damaged(run, "task_ins", row[i].ti);
  free(row);
  return rc;
}

/* Reads all rows of one run number. The newest run is read last, so its rows replace older ones. */
static enum store_rc load_run(struct loader *l, struct run *run, uint16_t base) {
  uint32_t n = run->dag->n, m = run->dag->n_task;
  struct node_row *nr = wr_calloc((size_t)n + 1, sizeof *nr);
  struct task_row *tr = wr_calloc((size_t)m + 1, sizeof *tr);
  size_t got_n = 0, got_t = 0;
  struct run_base b = run->base[base];
  enum store_rc rc = store_node_range(l->env->store, b.ni, b.ni + n - 1, nr, n, &got_n);
  if (rc == STORE_OK) rc = store_task_range(l->env->store, b.ti, b.ti + m - 1, tr, m, &got_t);
  for (size_t i = 0; rc == STORE_OK && i < got_t; i++)
    if (!put_task(run, tr[i].ti - b.ti, &tr[i])) rc = damaged(run, "task_ins", tr[i].ti);
  for (const struct run_wide *w = run->wide; rc == STORE_OK && w < run->wide + run->n_wide; w++)
    if (w->base == base) rc = load_wide(l, run, w);
  for (size_t i = 0; rc == STORE_OK && i < got_n; i++)
    if (!put_node(run, nr[i].ni - b.ni, base, &nr[i])) rc = damaged(run, "task_node_ins", nr[i].ni);
  free(nr);
  free(tr);
  return rc;
}

/* A whole run is read at once where no rival can change it. */
static bool loads_whole(const struct loader *l, const struct run *run) { return l->env->single && run->dag->n <= WHOLE_NODES; }

static enum store_rc load_whole(struct loader *l, struct run *run) {
  if (run->dag->n == 0) return STORE_OK;
  for (uint32_t i = 0; i < run->dag->n; i++) run_load_none(run, i);
  for (size_t b = 0; b < run->n_base; b++) {
    enum store_rc rc = load_run(l, run, (uint16_t)b);
    if (rc != STORE_OK) return rc;
  }
  return STORE_OK;
}

/* ---- some nodes ---- */

/* A node whose row must be read, in one of the runs of its flow. */
struct want { int64_t ni; struct cached *c; const struct node_row *row; uint32_t node; uint16_t base; };
struct wants { struct want *v; size_t n, cap; };

static void want_node(struct wants *w, struct cached *c, uint32_t node) {
  if (run_known(c->run, node)) return;
  for (size_t b = 0; b < c->run->n_base; b++)
    *WR_PUSH(w->v, w->n, w->cap) = (struct want){.ni = c->run->base[b].ni + node, .c = c, .node = node, .base = (uint16_t)b};
}

/* In the order of their ids, each once. */
static void wants_sort(struct wants *w) { w->n = wr_distinct(w->v, w->n, sizeof *w->v); }

static struct want *want_of(const struct wants *w, int64_t ni) {
  struct want key = {.ni = ni};
  return bsearch(&key, w->v, w->n, sizeof *w->v, wr_by_id);
}

static enum store_rc want_rows(struct loader *l, struct wants *w) {
  int64_t *ni = arena_alloc(&l->env->mem, w->n * sizeof *ni);
  struct node_row *row = arena_zalloc(&l->env->mem, w->n * sizeof *row);
  size_t got = 0;
  for (size_t i = 0; i < w->n; i++) ni[i] = w->v[i].ni;
  enum store_rc rc = store_nodes(l->env->store, ni, w->n, row, &got);
  for (size_t i = 0; rc == STORE_OK && i < got; i++) {
    struct want *v = want_of(w, row[i].ni);
    if (v) v->row = &row[i];
  }
  return rc;
}

/* The tasks of those nodes that have a row, each in the run of that row. */
static enum store_rc want_tasks(struct loader *l, const struct wants *w, struct task_row **row, size_t *got) {
  size_t m = 0, cap = 0;
  int64_t *ti = NULL;
  for (const struct want *v = w->v; v < w->v + w->n; v++) {
    struct run_ids its = run_task_ids(v->c->run, v->base, v->node);
    for (uint32_t k = 0; v->row && k < its.n; k++) *WR_PUSH(ti, m, cap) = its.ti + k;
  }
  *got = 0;
  *row = arena_zalloc(&l->env->mem, (m + 1) * sizeof **row);
  enum store_rc rc = m == 0 ? STORE_OK : store_tasks(l->env->store, ti, m, *row, got);
  free(ti);
  return rc;
}

/* Puts the rows that were read where they belong, oldest run first: the store returns rows in any order, and ids do not tell
 * which run is older. */
static enum store_rc put_wants(const struct wants *w, const struct task_row *t, size_t n_task) {
  size_t bases = 0;
  for (const struct want *v = w->v; v < w->v + w->n; v++) {
    run_load_none(v->c->run, v->node);
    if (v->base >= bases) bases = v->base + 1u;
  }
  for (size_t b = 0; b < bases; b++) {
    for (size_t i = 0; i < n_task; i++) {
      const struct want *v = want_of(w, t[i].ni);
      if (v && v->base == b && !put_task(v->c->run, run_task_in(v->c->run, v->base, t[i].ti), &t[i]))
        return damaged(v->c->run, "task_ins", t[i].ti);
    }
    for (const struct want *v = w->v; v < w->v + w->n; v++)
      if (v->row && v->base == b && !put_node(v->c->run, v->node, v->base, v->row))
        return damaged(v->c->run, "task_node_ins", v->ni);
  }
  return STORE_OK;
}

/* Reads the rows of all these nodes, in all runs of their flows: the newest run that has a row counts. */
static enum store_rc load_wants(struct loader *l, struct wants *w) {
  struct task_row *t;
  size_t n_task;
  if (w->n == 0) return STORE_OK;
  wants_sort(w);
  enum store_rc rc = want_rows(l, w);
  if (rc == STORE_OK) rc = want_tasks(l, w, &t, &n_task);
  return rc == STORE_OK ? put_wants(w, t, n_task) : rc;
}

enum store_rc load_nodes(struct loader *l, struct cached *c, const uint32_t *node, size_t n) {
  struct wants w = {0};
  if (loads_whole(l, c->run) || n == c->run->dag->n) return load_whole(l, c->run);
  for (size_t i = 0; i < n; i++) want_node(&w, c, node[i]);
  enum store_rc rc = load_wants(l, &w);
  free(w.v);
  return rc;
}

enum store_rc load_every_node(struct loader *l, struct cached *c) { return load_whole(l, c->run); }

/* ---- the heads of a batch ---- */

/* Is the head of the event's flow to be locked first? The head of a cached flow is locked too when another node may have touched
 * it lately. Otherwise that flow would make the batch stale. */
static bool head_wanted(const struct loader *l, const struct ev *e) {
  if (e->kind == EV_TREES) return false; /* of the flow itself nothing is asked */
  const struct cached *c = e->fi != 0 ? cache_get(l->cache, e->fi) : NULL;
  if (c) return c->shared > 0;
  return e->fi != 0 && (e->q != NULL || !quarantine_waits(l->quarantine, e->fi));
}

static size_t wanted_heads(struct loader *l, const struct events *e, size_t n, int64_t **out) {
  int64_t *fi = arena_alloc(&l->env->mem, (n + 1) * sizeof *fi);
  size_t m = 0;
  for (size_t i = 0; i < n; i++)
    if (head_wanted(l, &e->v[i])) fi[m++] = e->v[i].fi;
  *out = fi;
  return wr_distinct(fi, m, sizeof *fi);
}

/* A cached flow is right when its version is that of the row. Otherwise it is dropped and loaded again. */
static bool still_right(struct loader *l, const struct flow_row *row) {
  struct cached *c = cache_get(l->cache, row->fi);
  if (c == NULL) return false;
  if (c->run->version != row->version) { cache_drop(l->cache, c); return false; }
  c->locked = l->env->batch_no;
  c->shared--;
  return true;
}

static enum store_rc load_head(struct loader *l, const struct flow_row *row) {
  struct flow_def *def;
  struct wr_err err;
  if (still_right(l, row)) return STORE_OK;
  enum wr_rc rc = defs_flow(l->env->defs, row->flow_id, row->flow_version, l->env->defs_version, &def, &err);
  enum store_rc s = defs_store_rc(rc);
  if (s != STORE_OK && s != STORE_BAD) return s;
  struct cached *c = rc == WR_OK ? from_row(l, row, def) : NULL;
  s = c ? load_whose(l, c) : STORE_OK;
  if (s != STORE_OK) return s;
  if (c && !loads_whole(l, c->run)) return STORE_OK;
  enum store_rc got = c ? load_whole(l, c->run) : STORE_BAD;
  const char *fault = got == STORE_OK ? run_fault(c->run) : NULL; /* a row may be damaged and still look right by itself */
  if (got != STORE_BAD && !fault) return got;
  if (c) cache_drop(l->cache, c);
  log_error("runner.unreadable_flow", L_INT("fi", row->fi),
            L_STR("error", rc != WR_OK ? err.msg : fault ? fault : "Its rows are damaged."));
  quarantine_put(l->quarantine, row->fi);
  return STORE_OK;
}

static enum store_rc load_heads(struct loader *l, const struct events *e, size_t n) {
  int64_t *fi;
  size_t m = wanted_heads(l, e, n, &fi);
  if (m == 0) return STORE_OK;
  struct flow_row *row = arena_zalloc(&l->env->mem, m * sizeof *row);
  uint8_t *got = arena_zalloc(&l->env->mem, m);
  l->held = arena_alloc(&l->env->mem, m * sizeof *l->held);
  enum store_rc rc = store_lock(l->env->store, fi, m, row, got);
  for (size_t i = 0; rc == STORE_OK && i < m; i++) {
    if (got[i] == 2) l->held[l->n_held++] = fi[i];
    if (got[i] == 1) rc = load_head(l, &row[i]);
  }
  return rc;
}

bool loader_held(const struct loader *l, int64_t fi) {
  return l->n_held > 0 && bsearch(&fi, l->held, l->n_held, sizeof fi, wr_by_id) != NULL;
}

/* Wants the node that the event is about and nodes that may follow. A step asks for whatever else it needs. */
static void want_event(const struct loader *l, struct wants *w, const struct ev *e) {
  struct cached *c = e->fi != 0 ? cache_get(l->cache, e->fi) : NULL;
  uint32_t task = c && e->ti != 0 && !loads_whole(l, c->run) ? run_task_of(c->run, e->ti) : UINT32_MAX;
  if (task == UINT32_MAX) return;
  const struct dag *d = c->run->dag;
  uint32_t node = run_node_of(c->run, task);
  want_node(w, c, node);
  if (e->kind != EV_RESULT) return;
  uint32_t from = d->child_at[node], end = d->child_at[node + 1];
  for (uint32_t k = from; k < end && k < from + CHILDREN_AHEAD; k++) want_node(w, c, d->child[k]);
}

static enum store_rc load_ahead(struct loader *l, const struct events *e, size_t n) {
  struct wants w = {0};
  for (size_t i = 0; i < n; i++) want_event(l, &w, &e->v[i]);
  enum store_rc rc = load_wants(l, &w);
  free(w.v);
  return rc;
}

/* ---- stand-alone tasks ---- */

/* What is cached serves the report of an end even when only that; else it is read again. */
static bool stands(const struct cached *c, bool report) { return c && (report || !cached_kept(c)); }

bool loader_reads_alone(const struct loader *l, const struct ev *e) {
  return e->fi == 0 && e->ti != 0 && e->kind != EV_REQ && !stands(cache_get(l->cache, ev_key(e)), e->kind == EV_RESULT);
}

static enum store_rc read_alone(struct loader *l, int64_t *ti, size_t n, struct alone_rows *out) {
  n = wr_distinct(ti, n, sizeof *ti);
  *out = (struct alone_rows){.row = arena_zalloc(&l->env->mem, (n + 1) * sizeof *out->row),
                             .beside = arena_zalloc(&l->env->mem, (n + 1) * sizeof *out->beside)};
  enum store_rc rc = store_tasks(l->env->store, ti, n, out->row, &out->n);
  if (rc == STORE_OK) rc = store_async(l->env->store, ti, n, out->beside, &out->n_beside);
  if (rc != STORE_OK) return rc;
  qsort(out->row, out->n, sizeof *out->row, wr_by_id); /* the store returns rows in any order */
  qsort(out->beside, out->n_beside, sizeof *out->beside, wr_by_id);
  return STORE_OK;
}

/* Reads the rows of all stand-alone tasks of the batch at once. load_alone() finds them in `ahead`. */
static enum store_rc load_alone_rows(struct loader *l, const struct events *e, size_t n) {
  int64_t *ti = arena_alloc(&l->env->mem, (n + 1) * sizeof *ti);
  size_t m = 0;
  for (size_t i = 0; i < n; i++)
    if (loader_reads_alone(l, &e->v[i])) ti[m++] = e->v[i].ti;
  return m < 1 ? STORE_OK : read_alone(l, ti, m, &l->ahead);
}

/* ---- the jobs of a batch ---- */

static const struct async_row *beside_in(const struct alone_rows *a, int64_t ti) {
  struct async_row key = {.ti = ti};
  return a->n_beside > 0 ? bsearch(&key, a->beside, a->n_beside, sizeof key, wr_by_id) : NULL;
}

int64_t loader_job_of(const struct loader *l, const struct ev *e) {
  if (e->kind == EV_JOB) return e->job;
  if (e->q) return e->q->job && e->q->job->op != JOB_OP_MAKE ? e->q->job->job_id : 0;
  if (e->a && e->a->analysis && e->a->analysis->verdict.n_task > 0) return e->a->scope;
  if (e->fi != 0 || e->ti == 0) return 0;
  const struct cached *c = cache_get(l->cache, ev_key(e));
  if (c) return c->alone->job;
  const struct async_row *row = beside_in(&l->ahead, e->ti);
  return row ? row->job : 0;
}

/* What is kept here of a task knows its job, too. */
static enum store_rc lock_jobs(struct loader *l, const struct events *e, size_t n) {
  int64_t *id = arena_alloc(&l->env->mem, (n + 1) * sizeof *id);
  size_t m = 0;
  for (size_t i = 0; i < n; i++) {
    int64_t job = loader_job_of(l, &e->v[i]);
    if (job != 0) id[m++] = job;
  }
  return jobs_lock(l->jobs, id, m);
}

/* All their jobs at once, so that the batch is made again only once. */
static enum store_rc need_jobs(struct loader *l, const struct alone_rows *a) {
  enum store_rc rc = STORE_OK;
  for (size_t i = 0; i < a->n_beside && (rc == STORE_OK || rc == STORE_STALE); i++) {
    enum store_rc one = a->beside[i].job != 0 ? jobs_need(l->jobs, a->beside[i].job) : STORE_OK;
    if (one != STORE_OK) rc = one;
  }
  return rc;
}

enum store_rc load_alone_ahead(struct loader *l, const int64_t *ti, size_t n) {
  int64_t *missing = arena_alloc(&l->env->mem, (n + 1) * sizeof *missing);
  size_t m = 0;
  for (size_t i = 0; i < n; i++)
    if (!stands(cache_get(l->cache, run_key(0, ti[i])), false)) missing[m++] = ti[i];
  enum store_rc rc = m < 2 ? STORE_OK : read_alone(l, missing, m, &l->asked);
  return rc == STORE_OK && m >= 2 ? need_jobs(l, &l->asked) : rc;
}

/* The list of events may move meanwhile: a flow that leaves the cache may add an event. */
enum store_rc load_batch(struct loader *l, const struct events *e, size_t n) {
  enum store_rc rc = load_alone_rows(l, e, n);
  if (rc == STORE_OK) rc = lock_jobs(l, e, n);
  if (rc == STORE_OK) rc = load_heads(l, e, n);
  if (rc == STORE_OK) rc = load_ahead(l, e, n);
  return rc;
}

/* The definition of a stand-alone task: a version in the cache, or its own, which is made again from its row. */
static enum store_rc alone_def(struct loader *l, const struct task_row *row, const struct async_row *beside,
                               struct task_def **def) {
  struct wr_err err;
  enum wr_rc rc;
  if (row->task_id != 0) rc = defs_task(l->env->defs, row->task_id, row->t.version, l->env->defs_version, def, &err);
  else if (beside == NULL) rc = wr_err_set(&err, WR_INTERNAL, "It has no row in task_async.");
  else rc = async_def(beside->name, beside->type, beside->content, beside->config, def, &err);
  if (rc == WR_OK && row->task_id == 0 && beside->job > 0) def_in_job(*def);
  if (rc == WR_OK && row->task_id == 0) {
    rc = defs_place(l->env->defs, *def, row->executor & LIMIT_EXECUTOR_VERSION, &err);
    if (rc != WR_OK) def_task_unref(*def);
  }
  if (defs_store_rc(rc) == STORE_BAD)
    log_error("runner.task_definition", L_INT("ti", row->ti), L_INT("task_id", row->task_id), L_INT("version", row->t.version),
              L_STR("error", err.msg));
  return defs_store_rc(rc);
}

enum wr_rc load_made_def(struct loader *l, const struct req_task *t, struct task_def **def, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  if (!t->def) return defs_task(l->env->defs, t->task_id, 0, l->env->defs_version, def, err);
  const struct executor *x = t->def->executor; /* of a batch that was undone: another version may be current by now */
  if (t->def->policy.slot >= SLOT__N || x == NULL || x->added) rc = defs_place(l->env->defs, t->def, 0, err);
  if (rc == WR_OK && !defs_knows(l->env->defs, t->def)) /* it was known when the request was read */
    rc = wr_err_set(err, WR_UNKNOWN_TYPE, "The executor %.64s was deleted a moment ago.", t->def->type);
  if (rc == WR_OK) *def = def_task_ref(t->def);
  return rc;
}

/* A saved definition stands in the cache with the newest version of its executor. */
static enum store_rc own_slot(struct loader *l, const struct task_row *row, const struct task_def *def, uint8_t *slot) {
  struct wr_err err;
  uint32_t version = row->executor & LIMIT_EXECUTOR_VERSION;
  *slot = def->policy.slot;
  if (row->task_id == 0 || version == 0 || version == (uint32_t)defs_added_now(l->env->defs, def)) return STORE_OK;
  return defs_store_rc(defs_slot(l->env->defs, def->type, version, slot, &err));
}

static enum store_rc from_task_row(struct loader *l, const struct task_row *row, const struct async_row *beside,
                                   struct cached **out) {
  static const struct queue_view nothing = {"", "", 0, 0, NULL};
  struct task_def *def;
  uint8_t slot = 0;
  enum store_rc rc = alone_def(l, row, beside, &def);
  if (rc != STORE_OK) return rc;
  rc = own_slot(l, row, def, &slot);
  if (rc != STORE_OK) {
    def_task_unref(def);
    return rc;
  }
  struct run *run = run_load_alone(l->cache->one, row->ti, &row->t);
  if (run == NULL) {
    log_error("runner.damaged_row", L_STR("row", "task_ins"), L_INT("id", row->ti));
    def_task_unref(def);
    return STORE_OK;
  }
  run->task[0].executor = row->executor & LIMIT_EXECUTOR_VERSION;
  run->create_us = row->create_us;
  run->last_us = row->update_us;
  *out = cache_add_alone(l->cache, run, def, row->params ? params_new(row->params) : NULL,
                         beside ? alone_read(beside) : alone_new(&nothing, NULL));
  (*out)->stored_epoch = row->t.epoch;
  (*out)->stored_state = row->t.state;
  (*out)->stored_wished = task_wished(&row->t);
  cached_of_job(*out);
  cached_in_slot(*out, slot);
  return STORE_OK;
}

static const struct task_row *row_in(const struct alone_rows *a, int64_t ti) {
  struct task_row key = {.ti = ti};
  return a->n > 0 ? bsearch(&key, a->row, a->n, sizeof key, wr_by_id) : NULL;
}

/* *out NULL: there is none. */
static enum store_rc find_alone(struct loader *l, int64_t ti, bool report, struct cached **out) {
  struct cached *c = cache_get(l->cache, run_key(0, ti));
  if (c && !stands(c, report)) cache_drop(l->cache, c);
  c = cache_use(l->cache, run_key(0, ti));
  *out = c && c->alone->gone ? NULL : c; /* gone: this batch deletes it */
  if (c) return STORE_OK;
  struct alone_rows single;
  const struct alone_rows *from = row_in(&l->asked, ti) ? &l->asked : &l->ahead;
  if (row_in(from, ti) == NULL) {
    enum store_rc rc = read_alone(l, &(int64_t){ti}, 1, &single);
    if (rc != STORE_OK) return rc;
    from = &single;
  }
  const struct task_row *row = row_in(from, ti);
  return row && row->ni == 0 ? from_task_row(l, row, beside_in(from, ti), out) : STORE_OK;
}

enum store_rc load_alone(struct loader *l, int64_t ti, bool report, struct cached **out) {
  enum store_rc rc = find_alone(l, ti, report, out);
  if (rc != STORE_OK || *out == NULL || (*out)->alone->job == 0) return rc;
  rc = jobs_need(l->jobs, (*out)->alone->job);
  if (rc != STORE_OK || jobs_head(l->jobs, (*out)->alone->job)->got != 0) return rc;
  if (cached_kept(*out)) { /* another node has deleted it with its job, perhaps, while it ran here */
    cache_drop(l->cache, *out);
    rc = find_alone(l, ti, false, out);
    if (rc != STORE_OK || *out == NULL) return rc;
  }
  log_error("runner.damaged_row", L_STR("row", "job"), L_INT("ti", ti), L_INT("job", (*out)->alone->job));
  *out = NULL;
  return STORE_OK;
}
