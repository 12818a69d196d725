/* The cache of definitions over a real SQLite store whose reads are counted: after a change only changed definitions are read. */
#include "defs.h"
#include "facts.h"
#include "registry.h"
#include "store_backend.h"
#include "file_store.h"

static struct store *store;
static struct world w;
static struct defs *defs;

/* ---- a store that counts ---- */
static const struct store_ops *real;
static struct store_ops ops;
static struct { int flow, task, tasks, heads; } n;

static enum wr_rc count_flow(struct reader *r, int64_t id, int64_t version, struct flow_def **out, struct wr_err *err) {
  n.flow++;
  return real->reader_flow(r, id, version, out, err);
}
static enum wr_rc count_task(struct reader *r, int64_t id, int64_t version, struct task_def **out, struct wr_err *err) {
  n.task++;
  return real->reader_task(r, id, version, out, err);
}
static enum wr_rc count_tasks(struct reader *r, const int64_t *ids, size_t k, struct task_def **out, struct wr_err *err) {
  n.tasks += (int)k; /* rows */
  return real->reader_tasks(r, ids, k, out, err);
}
static enum wr_rc count_heads(struct reader *r, enum head_kind kind, const int64_t *ids, size_t k, struct def_head *out, struct wr_err *err) {
  n.heads++;
  return real->reader_heads(r, kind, ids, k, out, err);
}
static struct reader *count_get(struct store *s, enum reader_whose whose, struct wr_err *err) {
  struct reader *r = real->reader_get(s, whose, err);
  if (r) r->ops = &ops;
  return r;
}
#define READ(f, t, ts, h) do { assert_int_equal(n.flow, f); assert_int_equal(n.task, t); assert_int_equal(n.tasks, ts); \
    assert_int_equal(n.heads, h); memset(&n, 0, sizeof n); } while (0)

static int64_t version_now(void) {
  int64_t v = 0;
  OK(store_begin(store, &v));
  store_rollback(store);
  return v;
}

static void edit(int64_t task_id) {
  struct task_def *t = NULL;
  struct wr_err err;
  struct reader *r = reader_of(&w);
  WR(real->reader_task(r, task_id, 0, &t, &err));
  reader_put(r);
  WR(store_save_task(store, t, -1, NULL, &err));
  def_task_unref(t);
}

static struct flow_def *flow_of(int64_t id, int64_t version, int64_t at) {
  struct flow_def *f = NULL;
  struct wr_err err;
  WR(defs_flow(defs, id, version, at, &f, &err));
  return f;
}

/* A flow of `many` nodes with one task each. */
enum { MANY = 100 };
static int64_t wide(int64_t ids[MANY]) {
  struct buf b = BUF_INIT;
  for (int i = 0; i < MANY; i++) {
    ids[i] = task_save(&w, "t", "ECHO");
    buf_printf(&b, "%s{'nodeType':'TASK','taskIds':'%lld'}", i ? "," : "", (long long)ids[i]);
  }
  struct flow_def *f = flow_save(&w, "wide", b.data);
  int64_t id = f->flow_id;
  def_flow_unref(f);
  buf_done(&b);
  return id;
}

/* ---- facts ---- */
static void a_change_elsewhere_reads_a_head(void **st) {
  (void)st;
  struct flow_def *f = flow_save(&w, "f", NODE("a"));
  int64_t id = f->flow_id;
  def_flow_unref(f);
  memset(&n, 0, sizeof n);
  struct flow_def *one = flow_of(id, 0, version_now());
  READ(1, 0, 0, 1);
  (void)task_save(&w, "other", "ECHO");
  struct flow_def *two = flow_of(id, 0, version_now());
  READ(0, 0, 0, 1);
  struct flow_def *three = flow_of(id, 0, version_now()), *exact = flow_of(id, 1, -1);
  READ(0, 0, 0, 0);
  struct flow_def *api = flow_of(id, 0, -1); /* the API looks each time, at a head */
  READ(0, 0, 0, 1);
  def_flow_unref(flow_of(id, 0, version_now())); /* and the runner's entries stay known */
  READ(0, 0, 0, 0);
  assert_true(one == two && one == three && one == exact && one == api);
  for (int i = 0; i < 5; i++) def_flow_unref(one);
}

static void a_new_version_is_read(void **st) {
  struct wr_err err;
  (void)st;
  struct flow_def *f = flow_save(&w, "f", NODE("a"));
  int64_t id = f->flow_id;
  struct flow_def *one = flow_of(id, 0, version_now());
  WR(store_save_flow(store, f, -1, NULL, &err));
  memset(&n, 0, sizeof n);
  struct flow_def *two = flow_of(id, 0, version_now());
  READ(1, 0, 0, 1);
  assert_int_equal(two->version, 2);
  WR(store_delete_flow(store, id, &err));
  struct flow_def *gone = flow_of(id, 0, version_now());
  assert_true(gone->deleted && !two->deleted);
  def_flow_unref(gone);
  def_flow_unref(two);
  def_flow_unref(one);
  def_flow_unref(f);
}

static void what_is_not_there(void **st) {
  struct flow_def *f;
  struct task_def *t;
  struct wr_err err;
  (void)st;
  assert_int_equal(defs_flow(defs, 4711, 0, version_now(), &f, &err), WR_NOT_FOUND);
  assert_int_equal(defs_task(defs, 4711, 0, -1, &t, &err), WR_NOT_FOUND);
  assert_int_equal(defs_task(defs, 4711, 3, -1, &t, &err), WR_NOT_FOUND);
  assert_null(f);
  assert_null(t);
}

static void binding_reads_in_bulk(void **st) {
  int64_t ids[MANY];
  const struct task_bind *bind;
  struct wr_err err;
  (void)st;
  int64_t id = wide(ids), at = version_now();
  struct flow_def *f = flow_of(id, 0, at);
  memset(&n, 0, sizeof n);
  WR(defs_bind(defs, f, at, &bind, &err));
  READ(0, 0, MANY, 1);
  WR(defs_bind(defs, f, at, &bind, &err));
  READ(0, 0, 0, 0);
  edit(ids[7]);
  memset(&n, 0, sizeof n);
  WR(defs_bind(defs, f, version_now(), &bind, &err));
  READ(0, 0, 1, 1);
  for (int i = 0; i < MANY; i++) assert_int_equal(bind[i].version, i == 7 ? 2 : 1);
  struct task_def *t;
  WR(defs_task(defs, ids[7], 1, version_now(), &t, &err)); /* the former version stays for those that hold it */
  READ(0, 0, 0, 0);
  assert_int_equal(t->version, 1);
  def_task_unref(t);
  def_flow_unref(f);
}

/* ---- which executor runs a task ---- */
static int starts(const wx_host *h, wx_exec *x, char *err, size_t err_n) {
  (void)h, (void)x, (void)err, (void)err_n;
  return -1;
}

static uint8_t async(const char *type) {
  (void)type;
  return SLOT_ASYNC;
}

static void type_add(struct registry *r, int64_t version, int slot) {
  struct wr_err err;
  const wx_ops o = {.abi = WX_ABI, .size = sizeof o, .name = "ECHO", .slot = slot, .start = starts, .version = version};
  WR(registry_add(r, &o, &err));
}

/* Looked up once for each version of a task, and again when the registry has changed; a holder of the former version keeps it. */
static void a_new_executor_is_seen(void **st) {
  struct registry *r = registry_new();
  defs_free(defs); /* a store has one reader for one runner */
  struct defs *own = defs_new(store, NULL);
  struct task_def *t[4];
  struct wr_err err;
  (void)st;
  defs_executors(own, r);
  int64_t id = task_save(&w, "t", "ECHO"), at = version_now();
  WR(defs_task(own, id, 0, at, &t[0], &err));
  assert_null(t[0]->executor);
  assert_int_equal(t[0]->policy.slot, SLOT_ASYNC);
  type_add(r, 1, WX_SLOT_PROCESS);
  WR(defs_task(own, id, 0, at, &t[1], &err));
  assert_ptr_equal(t[1]->executor, registry_find(r, "ECHO", 1));
  assert_int_equal(t[1]->policy.slot, SLOT_PROCESS);
  memset(&n, 0, sizeof n);
  WR(defs_task(own, id, 0, at, &t[2], &err));
  READ(0, 0, 0, 0);
  assert_ptr_equal(t[2], t[1]);
  type_add(r, 2, WX_SLOT_ASYNC);
  WR(defs_task(own, id, 1, at, &t[3], &err));
  assert_ptr_equal(t[3]->executor, registry_find(r, "ECHO", 2));
  assert_int_equal(t[3]->policy.slot, SLOT_ASYNC);
  assert_ptr_equal(t[1]->executor, registry_find(r, "ECHO", 1));
  for (int i = 0; i < 4; i++) def_task_unref(t[i]);
  defs_free(own);
  registry_free(r);
  defs = defs_new(store, async);
}

/* ---- set up ---- */

static int set_up(void **st) {
  (void)st;
  store = file_store_open();
  real = store->ops;
  ops = *real;
  ops.reader_get = count_get;
  ops.reader_flow = count_flow;
  ops.reader_task = count_task;
  ops.reader_tasks = count_tasks;
  ops.reader_heads = count_heads;
  store->ops = &ops;
  w = (struct world){.s = store};
  defs = defs_new(store, async);
  return 0;
}

static int tear_down(void **st) {
  (void)st;
  defs_free(defs);
  file_store_close(store);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_change_elsewhere_reads_a_head), cmocka_unit_test(a_new_version_is_read), cmocka_unit_test(what_is_not_there),
    cmocka_unit_test(binding_reads_in_bulk), cmocka_unit_test(a_new_executor_is_seen),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
