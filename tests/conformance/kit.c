/* The tools of the facts: a world, definitions from short texts, batches of one row, rows compared column by column. */
#include "facts.h"
#include "mem.h"

const struct backend *facts_backend;

/* Texts that rows point to, for the whole run of the program. */
static struct arena texts;
static const char *keep(const char *s) { return arena_strdup(&texts, s); }

/* ---- world ---- */
static void join(struct world *w) {
  const struct node_info info = {.host = "h'ost", .pid = 4711, .slots = 8, .roles = "api,runner"};
  OK(store_join(w->s, &info, &w->me));
  if (!w->now) w->now = 1700000000000000LL;
  w->batches = 0;
}

void world_fresh(struct world *w) {
  *w = (struct world){.s = facts_backend->fresh()};
  assert_non_null(w->s);
  join(w);
}

void world_again(struct world *w) {
  store_close(w->s);
  w->s = facts_backend->again();
  assert_non_null(w->s);
  join(w);
}

struct world world_second(struct world *w) {
  const struct node_info info = {.host = "other", .pid = 4712, .slots = 8, .roles = "api,runner"};
  struct world o = {.s = facts_backend->again(), .now = w->now};
  OK(store_join(o.s, &info, &o.me));
  return o;
}

void world_end(struct world *w) {
  OK(store_leave(w->s));
  store_close(w->s);
  w->s = NULL;
}

int64_t world_now(struct world *w) { return w->now += 1001; }
int64_t world_batch_id(struct world *w) { return w->me << 32 | ++w->batches; }

/* ---- definitions ---- */
static enum wr_rc any_type(void *ctx, const char *type, const char *content, const json_t *config, const char *path,
                           uint8_t *slot, struct wr_err *err) {
  (void)ctx, (void)type, (void)content, (void)config, (void)path, (void)err;
  *slot = SLOT_ASYNC;
  return WR_OK;
}

static enum wr_rc any_task(void *ctx, const int64_t *ids, size_t n, size_t *bad, struct wr_err *err) {
  (void)ctx, (void)ids, (void)n, (void)bad, (void)err;
  return WR_OK;
}

struct flow_def *flow_parse(const char *name, const char *nodes) {
  const struct def_env env = {.check_type = any_type, .tasks_exist = any_task};
  struct flow_post p;
  struct wr_err err;
  json_t *v = NULL;
  struct buf b = BUF_INIT;
  buf_printf(&b, "{'flowName':'-','flowNodes':[%s]}", nodes);
  for (char *c = b.data; *c; c++)
    if (*c == '\'') *c = '"';
  if (json_load_strict(b.data, b.len, LIMIT_FLOW_JSON_VALUES, &v, &err)) fail_msg("%s: %s", b.data, err.msg);
  if (def_flow_parse(v, &env, &p, &err)) fail_msg("%s: %s", b.data, err.msg);
  json_decref(v);
  buf_done(&b);
  free(p.def->name);
  p.def->name = wr_strdup(name);
  return p.def;
}

struct flow_def *flow_save(struct world *w, const char *name, const char *nodes) {
  struct wr_err err;
  struct flow_def *f = flow_parse(name, nodes);
  if (store_save_flow(w->s, f, -1, NULL, &err)) fail_msg("%s", err.msg);
  return f;
}

int64_t task_save(struct world *w, const char *name, const char *type) {
  struct wr_err err;
  struct task_def t = {.name = (char *)(uintptr_t)keep(name), .type = (char *)(uintptr_t)keep(type)};
  atomic_init(&t.refs, 1);
  if (store_save_task(w->s, &t, -1, NULL, &err)) fail_msg("%s", err.msg);
  return t.task_id;
}

/* ---- batches ---- */
enum store_rc batch_do(struct world *w, struct batch *b) {
  int64_t defs;
  b->id = world_batch_id(w);
  enum store_rc rc = store_begin(w->s, &defs);
  if (rc == STORE_OK) rc = store_write(w->s, b);
  if (rc == STORE_OK) rc = store_commit(w->s);
  if (rc != STORE_OK) store_rollback(w->s);
  return rc;
}

struct started flow_start(struct world *w, const struct flow_def *f) {
  struct started s = {.flow_id = f->flow_id, .flow_version = f->version};
  OK(store_ids(w->s, ID_FI, 1, &s.fi));
  OK(store_ids(w->s, ID_NI, f->dag->n ? f->dag->n : 1, &s.ni));
  OK(store_ids(w->s, ID_TI, f->dag->n_task ? f->dag->n_task : 1, &s.ti));
  snprintf(s.bases, sizeof s.bases, "%lld:%lld", (long long)s.ni, (long long)s.ti);
  struct flow_row r = flow_row_of(w, &s);
  OK(put_flow(w, ROW_INSERT, 0, &r));
  s.version = flow_get(w, s.fi).version;
  return s;
}

struct flow_row flow_row_of(struct world *w, const struct started *s) {
  int64_t now = world_now(w);
  return (struct flow_row){.fi = s->fi, .flow_id = s->flow_id, .flow_version = s->flow_version, .state = FLOW_RUNNING, .run_no = 1,
                           .create_us = now, .start_us = now, .update_us = now, .bases = s->bases};
}

struct node_row node_row_of(struct world *w, const struct started *s, int64_t node_id, uint32_t index) {
  int64_t now = world_now(w);
  return (struct node_row){.ni = s->ni + index, .fi = s->fi, .node_id = node_id, .run_no = 1, .state = NODE_RUNNING, .t_open = 1,
                           .create_us = now, .start_us = now, .update_us = now};
}

struct task_row task_row_of(struct world *w, const struct started *s, uint32_t node, uint32_t task) {
  int64_t now = world_now(w);
  return (struct task_row){.ti = s->ti + task, .ni = s->ni + node, .fi = s->fi, .create_us = now, .update_us = now,
                           .t = {.state = TASK_QUEUED, .version = 1}, .exit_code = -1};
}

struct task_row alone_row_of(struct world *w, int64_t task_id) {
  int64_t now = world_now(w);
  struct task_row r = {.task_id = task_id, .create_us = now, .update_us = now, .t = {.state = TASK_QUEUED, .version = 1}, .exit_code = -1};
  OK(store_ids(w->s, ID_TI, 1, &r.ti));
  return r;
}

enum store_rc put_flow(struct world *w, enum row_op op, int64_t expect, const struct flow_row *r) {
  struct flow_write fw = {.op = op, .expect = expect, .row = *r};
  struct batch b = {.flow = &fw, .n_flow = 1};
  enum store_rc rc = batch_do(w, &b);
  assert_int_equal(fw.stale, rc == STORE_STALE);
  return rc;
}

enum store_rc put_node(struct world *w, enum row_op op, const struct node_row *r) {
  struct node_write nw = {op, *r};
  struct batch b = {.node = &nw, .n_node = 1};
  return batch_do(w, &b);
}

enum store_rc put_task(struct world *w, enum row_op op, const struct task_row *r) {
  struct task_write tw = {.op = op, .expect_state = -1, .row = *r};
  struct batch b = {.task = &tw, .n_task = 1};
  return batch_do(w, &b);
}

enum store_rc put_finish(struct world *w, const struct task_row *r) {
  struct task_write tw = {.op = ROW_UPDATE, .finish = true, .expect_state = -1, .row = *r};
  struct batch b = {.task = &tw, .n_task = 1};
  return batch_do(w, &b);
}

void flow_end(struct world *w, struct started *s, uint8_t state) {
  struct flow_row r = flow_get(w, s->fi);
  r.state = state;
  r.end_us = r.update_us = world_now(w);
  OK(put_flow(w, ROW_UPDATE, s->version, &r));
  s->version = flow_get(w, s->fi).version;
}

/* ---- the runner's reads ---- */
struct flow_row flow_get(struct world *w, int64_t fi) {
  struct flow_row r = {0};
  uint8_t got = 9;
  int64_t defs;
  OK(store_begin(w->s, &defs));
  OK(store_lock(w->s, &fi, 1, &r, &got));
  assert_int_equal(got, 1);
  r.error = keep(r.error), r.params = keep(r.params), r.bases = keep(r.bases), r.more = keep(r.more);
  store_rollback(w->s);
  return r;
}

struct node_row node_get(struct world *w, int64_t ni) {
  struct node_row r = {0};
  size_t n = 9;
  int64_t defs;
  OK(store_begin(w->s, &defs));
  OK(store_nodes(w->s, &ni, 1, &r, &n));
  assert_int_equal(n, 1);
  r.error = keep(r.error);
  store_rollback(w->s);
  return r;
}

struct task_row task_get(struct world *w, int64_t ti) {
  struct task_row r = {0};
  size_t n = 9;
  int64_t defs;
  OK(store_begin(w->s, &defs));
  OK(store_tasks(w->s, &ti, 1, &r, &n));
  assert_int_equal(n, 1);
  r.error = keep(r.error);
  r.params = keep(r.params);
  if (r.result) r.result = arena_memdup0(&texts, r.result, r.result_len);
  store_rollback(w->s);
  return r;
}

/* ---- column by column ---- */
static void same_text(const char *a, const char *b, const char *what) {
  if (!a || !b ? a != b : strcmp(a, b) != 0) fail_msg("%s: %.100s, not %.100s", what, a ? a : "NULL", b ? b : "NULL");
}
static void same_int(int64_t a, int64_t b, const char *what) {
  if (a != b) fail_msg("%s: %lld, not %lld", what, (long long)a, (long long)b);
}
#define SAME(f) same_int((int64_t)a->f, (int64_t)b->f, #f)
#define SAME_TEXT(f) same_text(a->f, b->f, #f)

void flow_same(const struct flow_row *a, const struct flow_row *b) {
  SAME(fi), SAME(flow_id), SAME(flow_version), SAME(state), SAME(wish), SAME(run_no), SAME(live), SAME(failed), SAME(create_us);
  SAME(start_us), SAME(end_us), SAME(update_us), SAME(due_us), SAME_TEXT(error), SAME_TEXT(params), SAME_TEXT(bases), SAME_TEXT(more);
}

void node_same(const struct node_row *a, const struct node_row *b) {
  SAME(ni), SAME(fi), SAME(node_id), SAME(run_no), SAME(state), SAME(ok), SAME(fail), SAME(skip), SAME(t_ok), SAME(t_bad);
  SAME(t_open), SAME(t_canceled), SAME(skip_edges), SAME(create_us), SAME(start_us), SAME(end_us), SAME(update_us), SAME_TEXT(error);
}

void task_same(const struct task_row *a, const struct task_row *b) {
  SAME(ti), SAME(ni), SAME(fi), SAME(task_id), SAME(create_us), SAME(update_us), SAME(end_us), SAME(t.state), SAME(t.end_as);
  SAME(t.losses), SAME(t.cancel_requested), SAME(t.phase), SAME(t.resume), SAME(t.again), SAME(t.epoch), SAME(t.tries), SAME(t.owner), SAME(t.start_us), SAME(t.due_us);
  SAME(t.version), SAME_TEXT(error), SAME(result_len), SAME(log), SAME(exit_code), SAME(signal), SAME(utime_us), SAME(stime_us);
  SAME(maxrss_kib), SAME(log_bytes), SAME(log_lost), SAME(log_lost_why);
  assert_int_equal(!a->result, !b->result);
  if (a->result) assert_memory_equal(a->result, b->result, a->result_len);
}

/* ---- readers ---- */
struct reader *reader_of(struct world *w) {
  struct wr_err err;
  struct reader *r = reader_get(w->s, &err);
  if (!r) fail_msg("%s", err.msg);
  return r;
}

static int ids_add(struct ids *v, int64_t id, uint32_t run) {
  assert_true(v->n < sizeof v->v / sizeof *v->v);
  v->run[v->n] = run;
  v->v[v->n++] = id;
  return v->stop_after && v->n == v->stop_after;
}
int ids_flow(void *ctx, const struct flow_row *r) { return ids_add(ctx, r->fi, r->run_no); }
int ids_node(void *ctx, const struct node_row *r) { return ids_add(ctx, r->ni, r->run_no); }
int ids_task(void *ctx, const struct task_row *r) { return ids_add(ctx, r->ti, r->t.epoch); }
int ids_task_def(void *ctx, const struct task_def *t) { return ids_add(ctx, t->task_id, (uint32_t)t->version); }
int ids_flow_def(void *ctx, const struct flow_def *f) { return ids_add(ctx, f->flow_id, (uint32_t)f->version); }

void ids_are(const struct ids *got, const int64_t *want, size_t n) {
  for (size_t i = 0; i < n && i < got->n; i++)
    if (got->v[i] != want[i]) fail_msg("place %zu: %lld, not %lld", i, (long long)got->v[i], (long long)want[i]);
  assert_int_equal(got->n, n);
}

#define LIST(call)                              \
  struct ids v = {0};                           \
  struct wr_err err;                            \
  struct reader *r = reader_of(w);              \
  if (call) fail_msg("%s", err.msg);            \
  reader_put(r);                                \
  return v
struct ids list_ins(struct world *w, const struct list_filter *f, struct page p) {
  LIST(reader_list_flow_ins(r, f, &p, ids_flow, &v, &v.more, &v.total, &err));
}
struct ids list_flows(struct world *w, const struct list_filter *f, struct page p) {
  LIST(reader_list_flows(r, f, &p, ids_flow_def, &v, &v.more, &v.total, &err));
}
struct ids list_tasks(struct world *w, const struct list_filter *f, struct page p) {
  LIST(reader_list_tasks(r, f, &p, ids_task_def, &v, &v.more, &v.total, &err));
}
struct ids list_nodes(struct world *w, int64_t fi, bool all_runs, struct page p) { return list_nodes_of(w, fi, UINT32_MAX, all_runs, p); }
struct ids list_nodes_of(struct world *w, int64_t fi, uint32_t run_no, bool all_runs, struct page p) {
  LIST(reader_nodes(r, fi, run_no, all_runs, &p, ids_node, &v, &v.more, &v.total, &err));
}

/* ---- running ---- */
static struct world common;

/* One store at a time: a backend may have only one database. */
static void run_fact(void **st) {
  const struct fact *f = *st;
  struct world own;
  if (!f->fresh) {
    if (!common.s) world_fresh(&common);
    f->run(&common);
    return;
  }
  if (common.s) world_end(&common);
  world_fresh(&own);
  f->run(&own);
  world_end(&own);
}

static int tear_down(void **st) {
  (void)st;
  if (common.s) world_end(&common);
  arena_done(&texts);
  return 0;
}

int facts_run(const char *name, const struct backend *b, const struct CMUnitTest *more, size_t n) {
  const struct { const struct fact *v; size_t n; } all[] = {
    {facts_rows, n_facts_rows}, {facts_batch, n_facts_batch}, {facts_live, n_facts_live}, {facts_defs, n_facts_defs},
    {facts_lists, n_facts_lists}, {facts_ins, n_facts_ins}, {facts_logs, n_facts_logs}, {facts_keys, n_facts_keys}, {facts_token, n_facts_token},
    {facts_async, n_facts_async}, {facts_jobs, n_facts_jobs}, {facts_trees, n_facts_trees}, {facts_alone, n_facts_alone}, {facts_reports, n_facts_reports},
    {facts_views, n_facts_views}, {facts_queues, n_facts_queues}, {facts_executors, n_facts_executors}};
  struct CMUnitTest *t = NULL;
  size_t count = 0, cap = 0;
  facts_backend = b;
  for (size_t i = 0; i < n; i++) {
    struct CMUnitTest *u = WR_PUSH(t, count, cap);
    *u = more[i];
  }
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    for (size_t k = 0; k < all[i].n; k++) {
      if (all[i].v[k].several && !b->several) continue;
      struct CMUnitTest *u = WR_PUSH(t, count, cap);
      *u = (struct CMUnitTest){all[i].v[k].name, run_fact, NULL, NULL, (void *)(uintptr_t)&all[i].v[k]};
    }
  int bad = _cmocka_run_group_tests(name, t, count, NULL, tear_down);
  free(t);
  return bad;
}
