/* Rows that another program has locked: after one wait in vain the store says which flows they belong to, and waits no more. */
#include "mysql_kit.h"

static struct world a;
static struct flow_def *flow;

static int setup(void **st) {
  const struct node_info info = {.host = "h", .pid = 1, .slots = 1, .roles = ""};
  (void)st;
  kit_wipe();
  a = (struct world){.s = kit_open(kit_url(), 0), .now = 1700000000000000LL};
  OK(store_join(a.s, &info, &a.me));
  flow = flow_save(&a, "f", NODE("a") "," NODE("b"));
  return 0;
}

static int teardown(void **st) {
  (void)st;
  kit_sql("ROLLBACK");
  def_flow_unref(flow);
  store_close(a.s);
  return 0;
}

static int64_t waits(void) { return kit_int("SELECT variable_value FROM information_schema.global_status WHERE variable_name='INNODB_ROW_LOCK_WAITS'"); }

/* Two flows, each with its node and its task; all of it is written again. */
struct two { struct started s[2]; struct flow_write fw[2]; struct node_write nw[2]; struct task_write tw[2]; struct batch b; };
static void two_flows(struct two *t) {
  for (int i = 0; i < 2; i++) t->s[i] = flow_start(&a, flow);
  for (int i = 0; i < 2; i++) {
    t->fw[i] = (struct flow_write){.op = ROW_UPDATE, .expect = t->s[i].version, .row = flow_get(&a, t->s[i].fi)};
    t->nw[i] = (struct node_write){ROW_INSERT, node_row_of(&a, &t->s[i], flow->node[0].node_id, 0)};
    t->tw[i] = (struct task_write){.op = ROW_INSERT, .expect_state = -1, .row = task_row_of(&a, &t->s[i], 0, 0)};
  }
  t->b = (struct batch){.flow = t->fw, .n_flow = 2, .node = t->nw, .n_node = 2, .task = t->tw, .n_task = 2};
  OK(batch_do(&a, &t->b));
  for (int i = 0; i < 2; i++) {
    t->fw[i].expect = t->b.id;
    t->nw[i].op = t->tw[i].op = ROW_UPDATE;
  }
}

/* The first write waits in vain, and says only this. The next one says without a wait that it is the second flow. */
static void second_is_held(struct two *t) {
  IS(batch_do(&a, &t->b), STORE_STALE);
  assert_false(t->fw[0].held || t->fw[1].held);
  int64_t before = waits();
  IS(batch_do(&a, &t->b), STORE_STALE);
  assert_false(t->fw[0].held);
  assert_true(t->fw[1].held);
  assert_int_equal(waits(), before);
  t->b.n_flow = t->b.n_node = t->b.n_task = 1; /* the first flow goes on */
  t->fw[0].row.live = 3;
  OK(batch_do(&a, &t->b));
  assert_int_equal(waits(), before);
  t->fw[0].expect = t->b.id;
  kit_sql("ROLLBACK");
  t->b.n_flow = t->b.n_node = t->b.n_task = 2;
  t->fw[1].held = false;
  OK(batch_do(&a, &t->b));
}

static void held(void (*lock)(const struct two *t)) {
  struct two t;
  two_flows(&t);
  kit_sql("BEGIN");
  lock(&t);
  second_is_held(&t);
}

static void a_head(const struct two *t) { kit_sql("SELECT * FROM task_flow_ins WHERE fi_id=%lld FOR UPDATE", (long long)t->s[1].fi); }
static void a_node(const struct two *t) { kit_sql("SELECT * FROM task_node_ins WHERE ni_id=%lld FOR UPDATE", (long long)t->nw[1].row.ni); }
static void a_task(const struct two *t) { kit_sql("SELECT * FROM task_ins WHERE ti_id=%lld FOR UPDATE", (long long)t->tw[1].row.ti); }
static void held_head_is_told(void **st) { (void)st, held(a_head); }
static void held_node_is_told(void **st) { (void)st, held(a_node); }
static void held_task_is_told(void **st) { (void)st, held(a_task); }

static void held_definition_is_told(void **st) {
  (void)st;
  struct flow_def *other = flow_save(&a, "g", NODE("a"));
  struct flow_write fw[2];
  struct started s = {0};
  for (int i = 0; i < 2; i++) {
    const struct flow_def *f = i ? other : flow;
    OK(store_ids(a.s, ID_FI, 1, &s.fi));
    s.flow_id = f->flow_id, s.flow_version = f->version;
    fw[i] = (struct flow_write){.op = ROW_INSERT, .row = flow_row_of(&a, &s)};
    fw[i].row.bases = "1:1";
  }
  struct batch b = {.flow = fw, .n_flow = 2};
  kit_sql("BEGIN");
  kit_sql("SELECT * FROM task_flow WHERE flow_id=%lld FOR UPDATE", (long long)other->flow_id);
  IS(batch_do(&a, &b), STORE_STALE);
  IS(batch_do(&a, &b), STORE_STALE);
  assert_false(fw[0].held);
  assert_true(fw[1].held);
  b.n_flow = 1;
  OK(batch_do(&a, &b));
  def_flow_unref(other);
}

static void held_lone_task_is_told(void **st) {
  (void)st;
  struct task_row row = alone_row_of(&a, task_save(&a, "t", "ECHO"));
  OK(put_task(&a, ROW_INSERT, &row));
  struct task_write w = {.op = ROW_UPDATE, .expect_epoch = row.t.epoch, .expect_state = row.t.state, .row = row};
  struct batch b = {.task = &w, .n_task = 1};
  kit_sql("BEGIN");
  kit_sql("SELECT * FROM task_ins WHERE ti_id=%lld FOR UPDATE", (long long)row.ti);
  IS(batch_do(&a, &b), STORE_STALE);
  IS(batch_do(&a, &b), STORE_STALE);
  assert_true(w.held);
  kit_sql("ROLLBACK");
  w.held = false;
  OK(batch_do(&a, &b));
}

/* An inserted row cannot be asked for: each write waits for it, and says so. */
static void gap_is_a_retry(void **st) {
  (void)st;
  struct two t;
  two_flows(&t);
  kit_sql("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ");
  kit_sql("BEGIN");
  kit_sql("SELECT COUNT(*) FROM task_node_ins FORCE INDEX(PRIMARY) WHERE ni_id>%lld FOR UPDATE", (long long)t.nw[1].row.ni);
  t.nw[0] = (struct node_write){ROW_INSERT, node_row_of(&a, &t.s[1], flow->node[1].node_id, 1)};
  t.nw[0].row.ni = t.nw[1].row.ni + 1000;
  t.b.n_node = 1;
  IS(batch_do(&a, &t.b), STORE_STALE);
  IS(batch_do(&a, &t.b), STORE_RETRY);
  assert_false(t.fw[0].held || t.fw[1].held);
}

int main(void) {
  if (!kit_begin("held")) return 0;
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
    T(held_head_is_told), T(held_node_is_told), T(held_task_is_told), T(held_definition_is_told), T(held_lone_task_is_told), T(gap_is_a_retry),
  };
  int bad = cmocka_run_group_tests_name("mysql_held", tests, NULL, NULL);
  kit_end();
  return bad;
}
