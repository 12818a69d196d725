/* Trees: the verdict about an attempt adds tasks, all of them in the commit of the verdict, and the task that added them ends
 * when the last of them has ended. What is wanted of a task is wanted of all below it: of a whole tree its head says so (job.c),
 * of a part of it a pass goes over what that task added, in slices. The runner thread's.
 * What never happens: tasks without their verdict, or a verdict without its tasks; a parent that ends before its last child. */
#include "analysis.h"
#include "runner_int.h"

enum { TREES_AT_ONCE = 100 };          /* trees of one flow that follow its pause in one batch */

/* ---- a verdict that adds tasks ---- */

struct adding {
  struct runner *r; struct ev *e; struct cached *c; uint32_t task;
  struct req_task *t; struct task_def **def; uint32_t n, fresh;   /* fresh: of n, those that are made */
  struct tree_slot *slot;                  /* of its task */
  uint32_t again, bad;                     /* of those that its former runs added: named again; of these, failed */
};

static const struct verdict *verdict_of(const struct ev *e) { return &e->a->analysis->verdict; }

/* The claim of the analysis is the newest of its task: the report of any other changes nothing. */
static bool stands(const struct adding *a) {
  const struct task *t = &a->c->run->task[a->task].t;
  const struct attempt *by = a->e->a;
  return t->phase == PHASE_ANALYSE && t->state == TASK_RUNNING && t->owner == by->owner && t->epoch == by->epoch;
}

/* The analyzer has failed: nothing of its answer is stored. */
static void refuse(struct adding *a, struct run_event *ev, const char *text) {
  size_t n = strlen(text) + 32;
  char *s = arena_alloc(&a->r->env.mem, n);
  (void)snprintf(s, n, "Analyzer failed: %s", text);
  ev->ev.kind = TASK_EV_FAIL;
  ev->ev.said = SAID_NOTHING;
  ev->error = s;
  a->n = a->fresh = a->again = a->bad = 0;
}

/* The key of the first task of the tree counts, too; it stands in the scope of all tasks without a job. */
static enum store_rc key_of_root(const struct adding *a, const char **key) {
  struct async_row row;
  size_t got = 0;
  *key = NULL;
  if (!a->c->alone) return STORE_OK;
  if (a->c->alone->job == 0) { *key = a->c->alone->key; return STORE_OK; }
  if (a->c->alone->job > 0) return STORE_OK;
  int64_t root = -a->c->alone->job;
  enum store_rc rc = store_async(a->r->env.store, &root, 1, &row, &got);
  if (rc == STORE_OK && got == 1 && row.key) *key = arena_strdup(&a->r->env.mem, row.key);
  return rc;
}

/* Which of them are there already: the first wins. */
static enum store_rc decide(struct adding *a, int64_t first) {
  const struct verdict *v = verdict_of(a->e);
  const char *root;
  enum store_rc rc = key_of_root(a, &root);
  for (uint32_t i = 0; rc == STORE_OK && i < a->n; i++) {
    struct req_task *t = &a->t[i];
    t->def = v->task[i].def;
    t->spec = v->task[i].spec;
    t->scope = a->e->a->scope;
    t->replayed = root && t->spec && t->spec->key && strcmp(root, t->spec->key) == 0;
    struct alone_key *key = t->replayed ? NULL : alone_key_of(&a->r->alone_keys, t);
    t->ti = first + i;
    if (key && key->state == KEY_HELD) { a->e->then = THEN_LATER; return STORE_OK; }
    if (key && key->state != KEY_FREE) t->replayed = true;
    else if (key) alone_key_take(key, t);
    if (!t->replayed) a->fresh++;
  }
  return rc;
}

/* Names that were taken are free again. */
static void give_back(struct adding *a) {
  for (uint32_t i = 0; i < a->n; i++) {
    struct alone_key *key = a->t[i].replayed || !a->t[i].spec ? NULL : alone_key_of(&a->r->alone_keys, &a->t[i]);
    if (key && key->state == KEY_NEW && key->ti == a->t[i].ti) *key = (struct alone_key){.of = key->of, .state = KEY_FREE};
  }
}

static enum store_rc read_defs(struct adding *a, struct run_event *ev) {
  struct wr_err err;
  for (uint32_t i = 0; i < a->n; i++) {
    if (a->t[i].replayed) continue;
    if (a->e->a->scope > 0) def_in_job(a->t[i].def);
    enum wr_rc rc = load_made_def(&a->r->loader, &a->t[i], &a->def[i], &err);
    if (rc == WR_OK) continue;
    enum store_rc got = defs_store_rc(rc);
    if (got != STORE_OK && got != STORE_BAD && rc != WR_UNKNOWN_TYPE) return got;
    give_back(a);
    refuse(a, ev, err.msg);
    return STORE_OK;
  }
  return STORE_OK;
}

/* Of the task of a node: it may be paused, as far as the verdict's own batch knows. */
static void with_its_flow(const struct adding *a, struct job_head *h) {
  const struct run *run = a->c->run;
  if (!run_alone(run)) jobs_follow_flow(h, run->state == FLOW_PAUSED, (run->hold & HOLD_CHECKPOINT) != 0);
}

/* The row that is the lock of a tree without a job; the first verdict that adds tasks makes it. What was wanted of a former run
 * is forgotten. */
static void head_begins(struct adding *a) {
  int64_t id = a->e->a->scope;
  struct job_head *h = jobs_head(&a->r->jobs, id);
  if (id > 0) return;
  if (h == NULL || h->got != 1) {
    h = jobs_make(&a->r->jobs, id);
    h->row.key = jobs_tree_key(&a->r->env.mem, id, a->e->fi);
    h->row.name = "";
    h->row.create_us = a->r->env.wall_us;
    h->row.j.state = JOB_RUNNING;
    h->fi = a->e->fi;
    with_its_flow(a, h);
    return;
  }
  bool first = a->c->alone == NULL || a->c->alone->job == 0;
  if (!first || h->row.j.wish == JOB_WISH_DELETE) return;
  h->row.j.closed = 0;
  h->row.j.wish = JOB_WISH_NONE;
  h->row.j.how = 0;
  h->row.j.pass = false;
  job_decide(&h->row.j);
  h->changed = true;
  with_its_flow(a, h);
}

static struct submit_below below_of(const struct adding *a) {
  const struct alone *x = a->c->alone;
  int64_t ti = run_ti(a->c->run, a->task);
  struct submit_below b = {.job = a->e->a->scope, .parent = ti, .root = x && x->root ? x->root : ti,
                           .depth = (x ? x->depth : 0) + 1, .since_us = a->c->run->task[a->task].t.start_us};
  if (x) b.of = (struct queue_view){x->user, x->group, 0, 0, NULL};
  else b.of = cached_queue(a->c, a->task);
  return b;
}

static enum store_rc make_all(struct adding *a, const struct submit_below *below) {
  const struct verdict *v = verdict_of(a->e);
  enum store_rc rc = STORE_OK;
  for (uint32_t i = 0; rc == STORE_OK && i < a->n; i++) {
    if (a->t[i].replayed) continue;
    a->t[i].params = v->task[i].params ? params_new(v->task[i].params) : NULL;
    rc = submit_below(a->r, &a->t[i], a->def[i], below);
    if (a->t[i].params) params_unref(a->t[i].params);
  }
  return rc;
}

/* ---- what former runs have added ---- */

/* The tasks that the verdict names and that were there, ascending. */
static size_t named(const struct adding *a, int64_t **out) {
  int64_t *ti = arena_alloc(&a->r->env.mem, (a->n + 1) * sizeof *ti);
  size_t n = 0;
  for (uint32_t i = 0; i < a->n; i++) {
    const struct alone_key *key = a->t[i].replayed ? alone_key_of(&a->r->alone_keys, &a->t[i]) : NULL;
    if (key && key->state == KEY_KNOWN) ti[n++] = key->ti;
  }
  *out = ti;
  return wr_distinct(ti, n, sizeof *ti);
}

/* As this batch has left it. */
static const struct task *now_of(const struct adding *a, const struct task_row *row) {
  const struct cached *c = cache_get(&a->r->cache, run_key(0, row->ti));
  return c ? &c->run->task[0].t : &row->t;
}

static enum store_rc count_named(struct adding *a, const int64_t *ti, size_t n) {
  struct arena *mem = &a->r->env.mem;
  struct async_row *beside = arena_zalloc(mem, n * sizeof *beside);
  struct task_row *row = arena_zalloc(mem, n * sizeof *row);
  int64_t *own = arena_alloc(mem, n * sizeof *own);
  size_t got = 0, m = 0;
  enum store_rc rc = store_async(a->r->env.store, ti, n, beside, &got);
  for (size_t i = 0; rc == STORE_OK && i < got; i++)
    if (beside[i].parent == a->e->ti) own[m++] = beside[i].ti;
  a->again += (uint32_t)m;
  if (rc == STORE_OK && m > 0) rc = store_tasks(a->r->env.store, own, wr_distinct(own, m, sizeof *own), row, &got);
  for (size_t i = 0; rc == STORE_OK && m > 0 && i < got; i++) {
    const struct task *t = now_of(a, &row[i]);
    a->bad += task_final(t->state) && t->state != TASK_SUCCESS;
  }
  return rc;
}

/* Its task was run before, and had added some. They may end elsewhere meanwhile, unless the tree is locked here. */
static enum store_rc read_former(struct adding *a) {
  int64_t *ti, scope = a->e->a->scope;
  enum store_rc rc = trees_of(&a->r->trees, a->e->ti, &a->slot);
  if (rc != STORE_OK || !a->slot->there || a->slot->row.total == 0) return rc;
  if (!jobs_head(&a->r->jobs, scope)) rc = jobs_need(&a->r->jobs, scope);
  if (rc == STORE_OK && jobs_held(&a->r->jobs, scope)) a->e->then = THEN_LATER;
  size_t n = rc == STORE_OK && a->e->then == THEN_OVER ? named(a, &ti) : 0;
  for (size_t i = 0; rc == STORE_OK && i < n; i += JOB_SLICE) rc = count_named(a, ti + i, n - i < JOB_SLICE ? n - i : JOB_SLICE);
  return rc;
}

/* It waits for all that it added and that lives, of whatever run. What failed counts when this verdict has named it. */
static bool has_to_wait(const struct adding *a) {
  bool fails = a->bad > 0 && a->e->a->def->child_failure != CHILD_IGNORE;
  return !verdict_of(a->e)->no_wait && (a->fresh > 0 || a->slot->row.live > 0 || fails);
}

/* The slot is there from now on, so that what is made is counted. */
static void note_verdict(const struct adding *a, uint32_t known) {
  struct tree_slot *s = a->slot;
  struct tree_row *r = &s->row;
  const struct verdict *v = verdict_of(a->e);
  s->there = s->changed = true;
  r->verdict = (uint8_t)v->kind;
  r->known += known;
  if (v->kind != VERDICT_DONE) return;
  r->ignore = a->e->a->def->child_failure == CHILD_IGNORE ? TREE_IGNORE : 0;
  if (r->total > 0 && a->again == 0) r->ignore |= TREE_FORMER;
  r->failed = a->bad;
  if (tree_wish(r) == JOB_WISH_DELETE) return;
  r->wish = JOB_WISH_NONE; /* what was wanted of a former run is forgotten */
  r->pass = false;
}

static enum store_rc apply(struct adding *a, struct run_event *ev) {
  enum run_rc out = RUN_OK;
  struct submit_below below = below_of(a); /* before the step: whose it is depends on its phase */
  if (!a->c->alone) { /* of the queue of its definition, not of that of analyses */
    const struct queue_spec *of = a->c->run->bind ? a->c->run->bind[run_pattern(a->c->run, a->task)].queue : NULL;
    below.of = whose_view(a->c->whose, run_ti(a->c->run, a->task), of);
  }
  uint32_t known = a->n - a->fresh;
  enum store_rc rc = read_former(a);
  if (rc != STORE_OK || a->e->then != THEN_OVER) return rc;
  ev->ev.waits = has_to_wait(a);
  if (a->fresh > 0) head_begins(a);
  rc = step_event(&a->r->step, a->c, ev, &out);
  if (rc == STORE_OK && out == RUN_OK && ev->ev.said != SAID_NOTHING) note_verdict(a, known);
  if (a->fresh == 0 && ev->ev.waits) trees_settle(&a->r->trees, a->slot); /* what it named has failed, perhaps */
  return rc == STORE_OK && out == RUN_OK && a->fresh > 0 ? make_all(a, &below) : rc;
}

/* So that answers cannot fill the database. Requests may give a job more. */
static bool too_many(const struct adding *a) {
  const struct job_head *h = jobs_head(&a->r->jobs, a->e->a->scope);
  int64_t there = h && h->got == 1 ? job_total(&h->row.j) : 0;
  return a->fresh > 0 && there + a->fresh > LIMIT_TREE_TASKS;
}

static void refuse_many(struct adding *a, struct run_event *ev) {
  char text[120];
  (void)snprintf(text, sizeof text, "with its tasks there would be more than %d in %s.", LIMIT_TREE_TASKS,
                 a->e->a->scope > 0 ? "the job" : "the tree");
  give_back(a);
  refuse(a, ev, text);
}

static enum store_rc add(struct adding *a, struct run_event *ev) {
  struct runner *r = a->r;
  const struct alone *x = a->c->alone;
  int64_t first = 0;
  a->n = verdict_of(a->e)->n_task;
  a->t = arena_zalloc(&r->env.mem, (a->n + 1) * sizeof *a->t);
  a->def = arena_zalloc(&r->env.mem, (a->n + 1) * sizeof *a->def);
  if (a->n > 0 && (x ? x->depth : 0) + 1 > r->env.max_depth) {
    char why[100];
    (void)snprintf(why, sizeof why, "its tasks would stand deeper than --max-depth %u allows.", r->env.max_depth);
    refuse(a, ev, why);
    return apply(a, ev);
  }
  enum store_rc rc = a->n > 0 ? store_ids(r->env.store, ID_TI, a->n, &first) : STORE_OK;
  if (rc == STORE_OK) rc = decide(a, first);
  if (rc == STORE_OK && a->e->then != THEN_OVER) { give_back(a); return STORE_OK; }
  if (rc == STORE_OK && too_many(a)) refuse_many(a, ev);
  else if (rc == STORE_OK) rc = read_defs(a, ev);
  if (rc == STORE_OK) rc = apply(a, ev);
  if (rc == STORE_OK && a->e->then != THEN_OVER) give_back(a);
  return rc;
}

enum store_rc tree_verdict(struct runner *r, struct ev *e, struct run_event *ev) {
  struct adding a = {.r = r, .e = e};
  enum store_rc rc = STORE_OK;
  if (e->fi == 0) rc = load_alone(&r->loader, e->ti, true, &a.c);
  else a.c = cache_use(&r->cache, e->fi);
  if (rc != STORE_OK || a.c == NULL) return rc;
  if (a.c->alone && a.c->alone->write == ALONE_KEPT && verdict_of(e)->n_task > 0) rc = load_alone(&r->loader, e->ti, false, &a.c);
  if (rc != STORE_OK || a.c == NULL) return rc;
  a.task = run_task_of(a.c->run, e->ti);
  if (a.task == UINT32_MAX) return STORE_OK;
  uint32_t node = run_node_of(a.c->run, a.task);
  if (!run_known(a.c->run, node)) rc = load_nodes(&r->loader, a.c, &node, 1);
  if (rc != STORE_OK || !stands(&a)) return rc;
  ev->kind = RUN_EV_TASK;
  ev->task = a.task;
  rc = add(&a, ev);
  for (uint32_t i = 0; a.def && i < verdict_of(e)->n_task; i++) def_task_unref(a.def[i]);
  return rc == STORE_OK ? ask_obey(r, a.c, false) : rc;
}

/* ---- the end of a parent ---- */

static bool waits(const struct task *t) {
  return t->phase == PHASE_CHILDREN || (t->phase == PHASE_DELETE && t->state == TASK_CREATED);
}

static const struct job_head *head_of(const struct runner *r, const struct cached *c, int64_t ti) {
  return jobs_head(&r->jobs, c->alone && c->alone->job != 0 ? c->alone->job : -ti);
}

/* Nothing lives below it; or, where it is deleted, nothing is left below it. */
static bool may_end(const struct runner *r, const struct cached *c, const struct task *t, const struct tree_slot *s) {
  if (t->phase == PHASE_CHILDREN) return s->row.live == 0;
  const struct job_head *h = head_of(r, c, s->row.ti);
  bool first = !c->alone || c->alone->job == 0;
  return first ? h == NULL || h->got != 1 || job_total(&h->row.j) == 0 : s->row.total == 0;
}

/* A wish about its job or tree that has not come to it yet comes first: it is CANCELED with what it added, or goes with it. */
static enum store_rc end_parent(struct runner *r, struct cached *c, uint32_t task, const struct tree_slot *s) {
  enum run_rc out;
  enum store_rc rc = ask_obey(r, c, false);
  if (rc != STORE_OK || (c->alone && c->alone->gone) || !waits(&c->run->task[task].t)) return rc;
  struct run_event ev = {.kind = RUN_EV_TASK, .task = task,
                         .ev = {.kind = TASK_EV_CHILDREN, .bad = s->row.failed > 0 && !(s->row.ignore & TREE_IGNORE)}};
  const struct job_head *h = head_of(r, c, s->row.ti);
  if (h && c->run->last_us < h->row.update_us) c->run->last_us = h->row.update_us; /* not before the last that it added */
  return step_event(&r->step, c, &ev, &out);
}

/* The task of a node ends in a batch of its own, under the lock of its flow. */
static enum store_rc settle_one(struct runner *r, int64_t ti) {
  struct cached *c;
  struct tree_slot *s;
  struct task_row row;
  size_t got = 0;
  enum store_rc rc = trees_of(&r->trees, ti, &s);
  if (rc != STORE_OK) return rc;
  s->listed = false;
  if (s->row.live > 0 || !s->there) return STORE_OK;
  rc = load_alone(&r->loader, ti, false, &c);
  if (rc != STORE_OK) return rc;
  if (c == NULL) {
    rc = store_tasks(r->env.store, &ti, 1, &row, &got);
    if (rc == STORE_OK && got == 1 && row.fi != 0) trees_next(&r->trees, ti, row.fi);
    return rc;
  }
  const struct task *t = &c->run->task[0].t;
  return waits(t) && may_end(r, c, t, s) ? end_parent(r, c, 0, s) : STORE_OK;
}

enum store_rc tree_settle(struct runner *r) {
  enum store_rc rc = STORE_OK;
  while (rc == STORE_OK && r->trees.n_settle > 0) rc = settle_one(r, r->trees.settle[--r->trees.n_settle]);
  return rc;
}

/* ---- what is wanted of all below ---- */

/* What the parent wants of one of them; false: nothing. */
static bool wants(enum job_wish wish, const struct task *t, enum ask *out) {
  struct job j = {.wish = (uint8_t)wish, .how = wish == JOB_WISH_DELETE ? JOB_FORCE : 0};
  return job_wants(&j, t, true, out);
}

static enum store_rc ask_child(struct runner *r, int64_t ti, enum job_wish wish, const struct queue_spec *to, bool *later) {
  struct cached *c;
  struct ask_answer got;
  struct tree_slot *s = NULL;
  enum ask ask;
  enum store_rc rc = load_alone(&r->loader, ti, false, &c);
  if (rc != STORE_OK || c == NULL) return rc;
  bool wanted = wants(wish, &c->run->task[0].t, &ask), moves = to->user || to->group || to->has_priority;
  *later = (wanted || moves) && ask_waits(c, ASK_RUN);
  if (*later) return STORE_OK;
  if (moves) rc = ask_move(r, c, to, false);
  if (rc != STORE_OK || !wanted) return rc;
  if (ask == ASK_DELETE) rc = trees_of(&r->trees, ti, &s);
  if (rc != STORE_OK) return rc;
  rc = ask_apply(r, c, 0, &(struct req_ask){.ask = ask, .below = s && s->there && s->row.total > 0}, &got);
  return rc == STORE_OK ? ask_obey(r, c, false) : rc; /* what is wanted of the whole tree stands */
}

/* Of a task within a tree; *more: it goes on. */
static enum store_rc pass(struct runner *r, int64_t ti, struct tree_slot *s, bool *more) {
  int64_t *child = arena_alloc(&r->env.mem, JOB_SLICE * sizeof *child);
  size_t n = 0, done = 0;
  bool later = false;
  struct queue_spec to;
  enum store_rc rc = store_children(r->env.store, ti, s->row.pass_at, child, JOB_SLICE, &n);
  if (rc == STORE_OK) rc = ask_queue_of(r, ti, s->row.wish, &to);
  if (rc == STORE_OK) rc = load_alone_ahead(&r->loader, child, n);
  while (rc == STORE_OK && done < n) {
    rc = ask_child(r, child[done], tree_wish(&s->row), &to, &later);
    if (rc != STORE_OK || later) break;
    s->row.pass_at = child[done++];
  }
  r->step.ctx.budget -= (int64_t)n;
  *more = later || n == JOB_SLICE;
  s->row.pass = *more;
  if (!*more) s->row.wish = (uint8_t)tree_wish(&s->row);
  s->changed = true;
  return rc;
}

/* A wish that only the row of the task knows: a flow was canceled, or whoever took it died. */
static void adopt(const struct task *t, struct tree_slot *s) {
  enum job_wish wish = t->phase == PHASE_DELETE ? JOB_WISH_DELETE : t->end_as == TASK_CANCELED ? JOB_WISH_CANCEL : JOB_WISH_NONE;
  if (wish == JOB_WISH_NONE || tree_wish(&s->row) == wish) return;
  s->row.wish = (uint8_t)(wish | (s->row.wish & JOB_MOVES));
  s->row.pass = s->changed = true;
  s->row.pass_at = 0;
}

static enum store_rc follow(struct runner *r, const struct cached *c, uint32_t task, int64_t ti, struct tree_slot *s) {
  const struct task *t = &c->run->task[task].t;
  bool more = false, first = !c->alone || c->alone->job == 0;
  struct job_head *h = jobs_head(&r->jobs, first ? -ti : c->alone->job);
  if (first) {
    if (!h || h->got != 1) return STORE_OK;
    struct job *j = &h->row.j;
    if (t->phase == PHASE_DELETE && j->wish != JOB_WISH_DELETE) h->changed |= job_delete(j, JOB_FORCE) == ASK_OK;
    else if (t->end_as == TASK_CANCELED && j->wish != JOB_WISH_CANCEL) h->changed |= job_asked(j, JOB_ASK_CANCEL) == ASK_OK;
    return STORE_OK;
  }
  adopt(t, s);
  enum store_rc rc = s->row.pass ? pass(r, ti, s, &more) : STORE_OK;
  if (rc == STORE_OK && more) trees_next(&r->trees, ti, 0);
  return rc;
}

enum store_rc tree_event(struct runner *r, struct ev *e) {
  struct cached *c = NULL;
  struct tree_slot *s;
  enum store_rc rc = STORE_OK;
  if (e->fi == 0) rc = load_alone(&r->loader, e->ti, false, &c);
  else c = cache_use(&r->cache, e->fi);
  if (rc != STORE_OK || c == NULL) return rc;
  uint32_t task = run_task_of(c->run, e->ti);
  if (task == UINT32_MAX) return STORE_OK;
  uint32_t node = run_node_of(c->run, task);
  if (!run_known(c->run, node)) rc = load_nodes(&r->loader, c, &node, 1);
  if (rc != STORE_OK || !waits(&c->run->task[task].t)) return rc;
  int64_t lock = c->alone && c->alone->job != 0 ? c->alone->job : -e->ti;
  rc = jobs_need(&r->jobs, lock);
  if (rc == STORE_OK && jobs_held(&r->jobs, lock)) { e->then = THEN_LATER; return STORE_OK; }
  if (rc == STORE_OK) rc = trees_of(&r->trees, e->ti, &s);
  if (rc != STORE_OK) return rc;
  if (c->alone && ask_waits(c, ASK_PAUSE)) { e->then = THEN_AGAIN; return STORE_OK; }
  const struct task *t = &c->run->task[task].t;
  return may_end(r, c, t, s) ? end_parent(r, c, task, s) : follow(r, c, task, e->ti, s);
}

/* Whoever locks the head of a tree looks at its flow: so each is only touched here. When this is lost with its node, the passes
 * that wait, and the tasks that wait for what they added, are found in the rows. */
enum store_rc tree_flow_event(struct runner *r, const struct ev *e) {
  int64_t id[TREES_AT_ONCE];
  size_t n = 0;
  enum store_rc rc = jobs_of_flow(&r->jobs, e->fi, e->job, id, TREES_AT_ONCE, &n);
  for (size_t i = 0; rc == STORE_OK && i < n; i++) trees_follow(&r->trees, id[i]);
  if (rc == STORE_OK && n == TREES_AT_ONCE) trees_flow(&r->trees, e->fi, id[n - 1]);
  return rc;
}

static struct ev next_event(const struct tree_next *n) {
  if (n->ti != 0) return (struct ev){.kind = EV_TREE, .ti = n->ti, .fi = n->fi};
  return (struct ev){.kind = n->fi != 0 ? EV_TREES : EV_JOB, .fi = n->fi, .job = n->job};
}

void tree_after(struct runner *r) {
  for (size_t i = 0; i < r->trees.n_next; i++) events_add(&r->events, next_event(&r->trees.next[i]));
  r->trees.n_next = 0;
}
