/* Facts of the runner's batches: transactions, attempts, receipts, membership. */
#include "facts.h"

/* ---- transactions ---- */
static void rollback_leaves_nothing(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct flow_write fw = {.op = ROW_UPDATE, .expect = s.version, .row = flow_get(w, s.fi)};
  struct node_write nw = {ROW_INSERT, node_row_of(w, &s, f->node[0].node_id, 0)};
  struct task_write tw = {.op = ROW_INSERT, .expect_state = -1, .row = task_row_of(w, &s, 0, 0)};
  struct attempt_row ar = {.ti = s.ti, .epoch = 1, .owner = w->me, .start_us = 1, .end_us = 2, .why = "LOST", .exit_code = -1};
  struct batch b = {.id = world_batch_id(w), .flow = &fw, .n_flow = 1, .node = &nw, .n_node = 1, .task = &tw, .n_task = 1, .attempt = &ar, .n_attempt = 1};
  int64_t defs;
  size_t n = 9;
  fw.row.live = 1;
  OK(store_begin(w->s, &defs));
  OK(store_write(w->s, &b));
  store_rollback(w->s);
  assert_int_equal(flow_get(w, s.fi).version, s.version);
  assert_int_equal(flow_get(w, s.fi).live, 0);
  struct node_row node;
  struct task_row task;
  OK(store_begin(w->s, &defs));
  OK(store_nodes(w->s, &s.ni, 1, &node, &n));
  assert_int_equal(n, 0);
  OK(store_tasks(w->s, &s.ti, 1, &task, &n));
  assert_int_equal(n, 0);
  store_rollback(w->s);
  OK(batch_do(w, &b)); /* and does no harm */
  def_flow_unref(f);
}

static void rollback_twice_or_without_begin(struct world *w) {
  int64_t defs;
  store_rollback(w->s);
  OK(store_begin(w->s, &defs));
  store_rollback(w->s);
  store_rollback(w->s);
  OK(store_begin(w->s, &defs));
  store_rollback(w->s);
}

static void write_without_begin(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct flow_write fw = {.op = ROW_UPDATE, .expect = s.version, .row = flow_get(w, s.fi)};
  struct batch b = {.id = world_batch_id(w), .flow = &fw, .n_flow = 1};
  fw.row.live = 4;
  OK(store_write(w->s, &b));
  OK(store_commit(w->s));
  assert_int_equal(flow_get(w, s.fi).live, 4);
  def_flow_unref(f);
}

static void empty_batch_commits(struct world *w) {
  struct batch b = {0};
  bool done = false;
  OK(batch_do(w, &b));
  OK(store_resolve(w->s, b.id, &done));
  assert_true(done);
}

static void commit_is_seen_by_readers(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct flow_write fw = {.op = ROW_UPDATE, .expect = s.version, .row = flow_get(w, s.fi)};
  struct batch b = {.id = world_batch_id(w), .flow = &fw, .n_flow = 1};
  const struct list_filter running = {.state = FLOW_RUNNING, .flow_id = s.flow_id}, ended = {.state = FLOW_SUCCESS, .flow_id = s.flow_id};
  int64_t defs;
  fw.row.state = FLOW_SUCCESS;
  OK(store_begin(w->s, &defs));
  OK(store_write(w->s, &b));
  assert_int_equal(list_ins(w, &running, (struct page){.limit = 9}).n, 1); /* not yet committed */
  assert_int_equal(list_ins(w, &ended, (struct page){.limit = 9}).n, 0);
  OK(store_commit(w->s));
  assert_int_equal(list_ins(w, &running, (struct page){.limit = 9}).n, 0);
  assert_int_equal(list_ins(w, &ended, (struct page){.limit = 9}).n, 1);
  def_flow_unref(f);
}

static void bad_row_undoes_all_and_harms_nothing(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a") "," NODE("b"));
  struct started s = flow_start(w, f);
  struct node_row a = node_row_of(w, &s, f->node[0].node_id, 0);
  OK(put_node(w, ROW_INSERT, &a));
  struct node_write nw[2] = {{ROW_INSERT, a}, {ROW_INSERT, node_row_of(w, &s, f->node[1].node_id, 1)}};
  struct flow_write fw = {.op = ROW_UPDATE, .expect = s.version, .row = flow_get(w, s.fi)};
  struct batch b = {.flow = &fw, .n_flow = 1, .node = nw, .n_node = 2};
  fw.row.live = 3;
  IS(batch_do(w, &b), STORE_BAD);
  assert_int_equal(flow_get(w, s.fi).version, s.version);
  b.node = nw + 1, b.n_node = 1;
  OK(batch_do(w, &b));
  assert_int_equal(flow_get(w, s.fi).live, 3);
  def_flow_unref(f);
}

enum { MANY = 2000 };
static void two_thousand_rows_at_once(struct world *w) {
  struct buf nodes = BUF_INIT;
  for (int i = 0; i < MANY; i++)
    buf_printf(&nodes, "%s{'nodeKey':'k%d','prevNodes':[],'tasks':[{'taskName':'t','taskType':'ECHO'}]}", i ? "," : "", i);
  struct flow_def *f = flow_save(w, "many", nodes.data);
  struct started s = flow_start(w, f);
  struct node_write *nw = calloc(MANY, sizeof *nw);
  struct task_write *tw = calloc(MANY, sizeof *tw);
  struct flow_write fw = {.op = ROW_UPDATE, .expect = s.version, .row = flow_get(w, s.fi)};
  assert_true(nw && tw);
  for (uint32_t i = 0; i < MANY; i++) {
    nw[i] = (struct node_write){ROW_INSERT, node_row_of(w, &s, f->node[i].node_id, i)};
    tw[i] = (struct task_write){.op = ROW_INSERT, .expect_state = -1, .row = task_row_of(w, &s, i, i)};
  }
  struct batch b = {.flow = &fw, .n_flow = 1, .node = nw, .n_node = MANY, .task = tw, .n_task = MANY};
  fw.row.live = MANY;
  OK(batch_do(w, &b));
  for (uint32_t i = 0; i < MANY; i++) {
    nw[i].op = tw[i].op = ROW_UPDATE;
    nw[i].row.state = NODE_SUCCESS;
    tw[i].row.t.state = TASK_SUCCESS, tw[i].row.t.epoch = i, tw[i].finish = true, tw[i].row.result = "r", tw[i].row.result_len = 1;
  }
  fw.expect = 0, fw.row.live = 0, fw.row.state = FLOW_SUCCESS;
  OK(batch_do(w, &b));
  struct task_row *out = calloc(MANY, sizeof *out);
  size_t n;
  int64_t defs;
  OK(store_begin(w->s, &defs));
  OK(store_task_range(w->s, s.ti, s.ti + MANY - 1, out, MANY, &n));
  assert_int_equal(n, MANY);
  for (uint32_t i = 0; i < MANY; i++) task_same(&out[i], &tw[i].row);
  store_rollback(w->s);
  free(out);
  free(nw);
  free(tw);
  buf_done(&nodes);
  def_flow_unref(f);
}

/* Rows that change alike; one row between them is not of the batch. */
static void equal_updates_spare_what_stands_between(struct world *w) {
  enum { N = 7, SPARED = 3 };
  struct buf nodes = BUF_INIT;
  for (int i = 0; i < N; i++) buf_printf(&nodes, "%s{'nodeKey':'k%d','prevNodes':[],'tasks':[{'taskType':'ECHO'}]}", i ? "," : "", i);
  struct flow_def *f = flow_save(w, "gap", nodes.data);
  struct started s = flow_start(w, f);
  struct task_write tw[N];
  for (uint32_t i = 0; i < N; i++) {
    tw[i] = (struct task_write){.op = ROW_INSERT, .expect_state = -1, .row = task_row_of(w, &s, i, i)};
    OK(put_task(w, ROW_INSERT, &tw[i].row));
  }
  struct task_row was = task_get(w, tw[SPARED].row.ti);
  memmove(tw + SPARED, tw + SPARED + 1, (N - SPARED - 1) * sizeof *tw);
  for (int i = 0; i < N - 1; i++) {
    tw[i].op = ROW_UPDATE;
    tw[i].row.t.state = TASK_RUNNING, tw[i].row.t.epoch = 9, tw[i].row.update_us = was.update_us + 1;
  }
  struct flow_write fw = {.op = ROW_UPDATE, .expect = s.version, .row = flow_get(w, s.fi)};
  OK(batch_do(w, &(struct batch){.flow = &fw, .n_flow = 1, .task = tw, .n_task = N - 1}));
  struct task_row got = task_get(w, was.ti);
  task_same(&got, &was);
  for (int i = 0; i < N - 1; i++) assert_int_equal(task_get(w, tw[i].row.ti).t.epoch, 9);
  buf_done(&nodes);
  def_flow_unref(f);
}

static void texts_are_stored_plainly(struct world *w) {
  static const char *const nasty[] = {
    "'; DROP TABLE task_ins; --", "\"\"''``", "100% _under_ \\back\\slash\\", "tab\tnewline\nreturn\r", "日本語 Ελληνικά ñ", "😀👩‍👩‍👧‍👦🏳️‍🌈",
    "\xef\xbf\xbd\xc2\xa0", "NULL", "?1 :a @b $c %s %n", "0", " lead and trail "};
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct task_row t = task_row_of(w, &s, 0, 0);
  OK(put_task(w, ROW_INSERT, &t));
  for (size_t i = 0; i < sizeof nasty / sizeof *nasty; i++) {
    struct flow_row r = flow_get(w, s.fi), got;
    r.error = nasty[i];
    OK(put_flow(w, ROW_UPDATE, 0, &r));
    got = flow_get(w, s.fi);
    assert_string_equal(got.error, nasty[i]);
    t.error = nasty[i], t.result = nasty[i], t.result_len = strlen(nasty[i]);
    OK(put_finish(w, &t));
    struct task_row back = task_get(w, t.ti);
    task_same(&back, &t);
  }
  def_flow_unref(f);
}

/* ---- attempts ---- */
static struct attempt_row seen[8];
static char seen_why[8][16], seen_error[8][64];
static int see_attempt(void *ctx, const struct attempt_row *r) {
  size_t *n = ctx;
  assert_true(*n < 8);
  seen[*n] = *r;
  snprintf(seen_why[*n], 16, "%s", r->why);
  snprintf(seen_error[*n], 64, "%s", r->error ? r->error : "NULL");
  ++*n;
  return 0;
}

static void attempts_in_order(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct attempt_row a[3] = {{.ti = s.ti, .epoch = 1, .owner = w->me, .start_us = 10, .end_us = 20, .why = "FAIL", .error = "it's bad", .exit_code = 255},
                             {.ti = s.ti, .epoch = 2, .owner = w->me, .start_us = 30, .end_us = 40, .why = "LOST", .exit_code = -1, .signal = 9},
                             {.ti = s.ti, .epoch = 4000000000u, .owner = WR_ID_MAX, .why = "HANDBACK", .start_us = 1, .end_us = 2}};
  struct batch b = {.attempt = a, .n_attempt = 3};
  struct wr_err err;
  size_t n = 0;
  OK(batch_do(w, &b));
  struct reader *r = reader_of(w);
  WR(reader_attempts(r, s.ti, see_attempt, &n, &err));
  assert_int_equal(n, 3);
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(seen[i].ti, s.ti);
    assert_int_equal(seen[i].epoch, a[i].epoch);
    assert_int_equal(seen[i].owner, a[i].owner);
    assert_int_equal(seen[i].start_us, a[i].start_us);
    assert_int_equal(seen[i].end_us, a[i].end_us);
    assert_int_equal(seen[i].exit_code, a[i].exit_code);
    assert_int_equal(seen[i].signal, a[i].signal);
    assert_string_equal(seen_why[i], a[i].why);
    assert_string_equal(seen_error[i], a[i].error ? a[i].error : "NULL");
  }
  n = 0;
  WR(reader_attempts(r, s.ti + 1, see_attempt, &n, &err));
  assert_int_equal(n, 0);
  reader_put(r);
  def_flow_unref(f);
}

/* ---- receipts, membership ---- */
static void receipt_tells_the_newest_batch(struct world *w) {
  struct batch a = {0}, b = {0};
  bool done;
  OK(batch_do(w, &a));
  OK(batch_do(w, &b));
  OK(store_resolve(w->s, b.id, &done));
  assert_true(done);
  OK(store_resolve(w->s, b.id + 1, &done));
  assert_false(done);
  OK(store_resolve(w->s, b.id, &done)); /* asking changes nothing */
  assert_true(done);
}

static void receipt_of_a_rollback_is_no(struct world *w) {
  struct batch b = {.id = world_batch_id(w)};
  int64_t defs;
  bool done = true;
  OK(store_begin(w->s, &defs));
  OK(store_write(w->s, &b));
  store_rollback(w->s);
  OK(store_resolve(w->s, b.id, &done));
  assert_false(done);
}

static void who_left_is_fenced(struct world *w) {
  struct batch b = {0};
  int64_t before = w->me;
  OK(store_leave(w->s));
  IS(batch_do(w, &b), STORE_FENCED);
  IS(store_renew(w->s), STORE_FENCED);
  const struct node_info info = {.host = "h", .pid = 1, .slots = 1, .roles = ""};
  OK(store_join(w->s, &info, &w->me));
  assert_true(w->me > before);
  OK(batch_do(w, &b));
  OK(store_renew(w->s));
}

static void renew_and_reap_of_the_living(struct world *w) {
  uint32_t n = 9;
  struct batch b = {0};
  OK(store_renew(w->s));
  OK(store_reap(w->s, &n));
  assert_int_equal(n, 0);
  OK(batch_do(w, &b));
}

static void begin_tells_the_definitions_version(struct world *w) {
  int64_t a, b, c;
  OK(store_begin(w->s, &a));
  store_rollback(w->s);
  task_save(w, "t", "ECHO");
  OK(store_begin(w->s, &b));
  store_rollback(w->s);
  assert_int_not_equal(a, b);
  OK(store_begin(w->s, &c));
  store_rollback(w->s);
  assert_int_equal(b, c);
}

const struct fact facts_batch[] = {
  FACT(rollback_leaves_nothing), FACT(rollback_twice_or_without_begin), FACT(write_without_begin), FACT(empty_batch_commits),
  FACT(commit_is_seen_by_readers), FACT(bad_row_undoes_all_and_harms_nothing), FACT(two_thousand_rows_at_once),
  FACT(equal_updates_spare_what_stands_between),
  FACT(texts_are_stored_plainly), FACT(attempts_in_order), FACT(receipt_tells_the_newest_batch), FACT(receipt_of_a_rollback_is_no),
  FACT_FRESH(who_left_is_fenced), FACT(renew_and_reap_of_the_living), FACT(begin_tells_the_definitions_version),
};
const size_t n_facts_batch = sizeof facts_batch / sizeof *facts_batch;
