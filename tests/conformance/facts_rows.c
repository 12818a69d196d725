/* Facts of the runner's rows: ids, rows written and read back, expectations, guards. */
#include "facts.h"

/* ---- ids ---- */
static void ids_start_at_one(struct world *w) {
  const enum id_kind kind[] = {ID_FI, ID_NI, ID_TI};
  for (size_t i = 0; i < 3; i++) {
    int64_t id = 0;
    OK(store_ids(w->s, kind[i], 1, &id));
    assert_int_equal(id, 1);
  }
}

static void ids_rise_without_overlap(struct world *w) {
  int64_t last = 0;
  for (uint32_t n = 1; n < 3000; n = n * 3 + 1) {
    int64_t first = 0;
    OK(store_ids(w->s, ID_TI, n, &first));
    assert_true(first > last);
    last = first + n - 1;
  }
}

static void ids_of_kinds_are_apart(struct world *w) {
  int64_t a, b, c;
  OK(store_ids(w->s, ID_FI, 1, &a));
  OK(store_ids(w->s, ID_NI, 1000, &b));
  OK(store_ids(w->s, ID_FI, 1, &c));
  assert_int_equal(c, a + 1);
}

static void ids_used_never_come_again(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started a = flow_start(w, f);
  world_again(w);
  struct started b = flow_start(w, f);
  assert_true(b.fi > a.fi && b.ni > a.ni && b.ti > a.ti);
  def_flow_unref(f);
}

static void incarnations_rise(struct world *w) {
  int64_t before = w->me;
  world_again(w);
  assert_true(w->me > before);
  assert_true(w->me < INT64_C(1) << 31);
}

/* ---- flow rows ---- */
static void flow_reads_back(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct flow_row r = {.flow_id = f->flow_id, .flow_version = f->version, .state = FLOW_CANCELING, .wish = WISH_TIMEOUT, .run_no = 3,
                       .live = 7, .failed = 4000000000u, .create_us = 1700000000123456, .start_us = 1700000000123457,
                       .end_us = 1700000000123458, .update_us = 1700000000123459, .due_us = 1700000000123460, .error = "it's \"broken\"",
                       .params = "{\"a\":1}", .bases = "1:2,30:40", .more = "5:2000,17:0"};
  OK(store_ids(w->s, ID_FI, 1, &r.fi));
  OK(put_flow(w, ROW_INSERT, 0, &r));
  struct flow_row got = flow_get(w, r.fi);
  flow_same(&got, &r);
  def_flow_unref(f);
}

static void flow_nulls_read_back(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct flow_row got = flow_get(w, s.fi);
  assert_int_equal(got.end_us, 0);
  assert_int_equal(got.due_us, 0);
  assert_null(got.error);
  assert_null(got.params);
  assert_null(got.more);
  assert_string_equal(got.bases, s.bases);
  def_flow_unref(f);
}

static void flow_update_writes_its_columns(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct flow_row r = flow_get(w, s.fi);
  r.state = FLOW_FAILED, r.wish = WISH_STOP, r.run_no = 2, r.live = 5, r.failed = 6;
  r.start_us += 11, r.end_us = r.start_us + 1, r.update_us = r.start_us + 2, r.due_us = r.start_us + 3;
  r.bases = "1:2,3:4", r.more = "1:1", r.error = "no";
  OK(put_flow(w, ROW_UPDATE, s.version, &r));
  struct flow_row got = flow_get(w, s.fi);
  flow_same(&got, &r);
  r.more = NULL, r.due_us = 0, r.state = FLOW_RUNNING, r.end_us = 0;
  OK(put_flow(w, ROW_UPDATE, got.version, &r));
  got = flow_get(w, s.fi);
  flow_same(&got, &r);
  def_flow_unref(f);
}

static void flow_update_leaves_what_was_made(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct flow_row was = flow_get(w, s.fi), r = was;
  r.flow_id += 5, r.flow_version += 5, r.create_us += 5, r.params = "{\"x\":1}";
  OK(put_flow(w, ROW_UPDATE, s.version, &r));
  struct flow_row got = flow_get(w, s.fi);
  flow_same(&got, &was);
  def_flow_unref(f);
}

static void flow_error_kept_set_cleared(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct flow_row r = flow_get(w, s.fi);
  r.error = "first";
  OK(put_flow(w, ROW_UPDATE, 0, &r));
  r.error = NULL;
  OK(put_flow(w, ROW_UPDATE, 0, &r));
  assert_string_equal(flow_get(w, s.fi).error, "first");
  r.error = "";
  OK(put_flow(w, ROW_UPDATE, 0, &r));
  const char *e = flow_get(w, s.fi).error;
  assert_true(!e || !*e);
  def_flow_unref(f);
}

static void flow_version_is_the_batch(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  assert_int_equal(s.version, w->me << 32 | w->batches);
  struct flow_row r = flow_get(w, s.fi);
  OK(put_flow(w, ROW_UPDATE, s.version, &r));
  assert_int_equal(flow_get(w, s.fi).version, w->me << 32 | w->batches);
  assert_int_not_equal(flow_get(w, s.fi).version, s.version);
  def_flow_unref(f);
}

static void flow_wrong_version_is_stale(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct flow_row was = flow_get(w, s.fi), r = was;
  r.live = 99;
  IS(put_flow(w, ROW_UPDATE, s.version + 1, &r), STORE_STALE);
  r.state = FLOW_SUCCESS;
  IS(put_flow(w, ROW_UPDATE, s.version - 1, &r), STORE_STALE);
  struct flow_row got = flow_get(w, s.fi);
  flow_same(&got, &was);
  def_flow_unref(f);
}

static void flow_zero_expects_nothing(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct flow_row r = flow_get(w, s.fi);
  r.live = 3;
  OK(put_flow(w, ROW_UPDATE, 0, &r));
  assert_int_equal(flow_get(w, s.fi).live, 3);
  def_flow_unref(f);
}

static void flow_missing_is_not_updated(struct world *w) {
  struct flow_row r = {.fi = WR_ID_MAX - 5, .state = FLOW_RUNNING, .bases = "1:1", .update_us = 1};
  assert_int_not_equal(put_flow(w, ROW_UPDATE, 77, &r), STORE_OK);
}

static void one_stale_flow_undoes_all(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s[3];
  struct flow_write fw[3];
  for (int i = 0; i < 3; i++) s[i] = flow_start(w, f);
  for (int i = 0; i < 3; i++) {
    fw[i] = (struct flow_write){.op = ROW_UPDATE, .expect = s[i].version + (i == 1), .row = flow_get(w, s[i].fi)};
    fw[i].row.live = 42;
  }
  struct node_write nw = {ROW_INSERT, node_row_of(w, &s[0], f->node[0].node_id, 0)};
  struct batch b = {.flow = fw, .n_flow = 3, .node = &nw, .n_node = 1};
  IS(batch_do(w, &b), STORE_STALE);
  assert_false(fw[0].stale);
  assert_true(fw[1].stale);
  assert_false(fw[2].stale);
  for (int i = 0; i < 3; i++) assert_int_equal(flow_get(w, s[i].fi).live, 0);
  size_t n = 9;
  struct node_row got;
  int64_t defs;
  OK(store_begin(w->s, &defs));
  OK(store_nodes(w->s, &nw.row.ni, 1, &got, &n));
  store_rollback(w->s);
  assert_int_equal(n, 0);
  fw[1].expect = s[1].version;
  OK(batch_do(w, &b));
  assert_int_equal(flow_get(w, s[1].fi).live, 42);
  def_flow_unref(f);
}

/* A rival was faster: the rows that this batch inserts are there already, and only the stale head says why. */
static void stale_head_explains_a_row_that_is_there(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  for (int n = 1; n <= 3; n++) {
    struct started s[3];
    struct flow_write fw[3];
    for (int i = 0; i < n; i++) {
      s[i] = flow_start(w, f);
      fw[i] = (struct flow_write){.op = ROW_UPDATE, .expect = s[i].version, .row = flow_get(w, s[i].fi)};
    }
    struct node_write nw = {ROW_INSERT, node_row_of(w, &s[0], f->node[0].node_id, 0)};
    struct batch b = {.flow = fw, .n_flow = (size_t)n, .node = &nw, .n_node = 1};
    OK(batch_do(w, &b));
    b.id = 0;
    IS(batch_do(w, &b), STORE_STALE);
    assert_true(fw[0].stale);
    for (int i = 0; i < n; i++) fw[i].expect = flow_get(w, s[i].fi).version;
    b.id = 0;
    IS(batch_do(w, &b), STORE_BAD); /* the head is as expected, and the row is there all the same */
  }
  def_flow_unref(f);
}

static void flow_twice_is_bad(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct flow_row r = flow_row_of(w, &s);
  IS(put_flow(w, ROW_INSERT, 0, &r), STORE_BAD);
  assert_int_equal(flow_get(w, s.fi).version, s.version);
  def_flow_unref(f);
}

static void start_guards_unknown_flow(struct world *w) {
  struct started s = {.flow_id = WR_ID_MAX - 9, .flow_version = 1, .bases = "1:1"};
  OK(store_ids(w->s, ID_FI, 1, &s.fi));
  struct flow_row r = flow_row_of(w, &s);
  IS(put_flow(w, ROW_INSERT, 0, &r), STORE_STALE);
}

static void start_guards_old_version(struct world *w) {
  struct wr_err err;
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = {.flow_id = f->flow_id, .flow_version = f->version, .bases = "1:1"};
  WR(store_save_flow(w->s, f, -1, NULL, &err));
  OK(store_ids(w->s, ID_FI, 1, &s.fi));
  struct flow_row r = flow_row_of(w, &s);
  IS(put_flow(w, ROW_INSERT, 0, &r), STORE_STALE);
  r.flow_version = f->version;
  OK(put_flow(w, ROW_INSERT, 0, &r));
  def_flow_unref(f);
}

static void start_guards_deleted_flow(struct world *w) {
  struct wr_err err;
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  WR(store_delete_flow(w->s, f->flow_id, &err));
  struct started s = {.flow_id = f->flow_id, .flow_version = f->version, .bases = "1:1"};
  OK(store_ids(w->s, ID_FI, 1, &s.fi));
  struct flow_row r = flow_row_of(w, &s);
  IS(put_flow(w, ROW_INSERT, 0, &r), STORE_STALE);
  def_flow_unref(f);
}

static void lock_tells_what_is_there(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started a = flow_start(w, f), b = flow_start(w, f);
  int64_t fi[4] = {a.fi, b.fi, b.fi + 1, WR_ID_MAX}, defs;
  struct flow_row r[4];
  uint8_t got[4] = {9, 9, 9, 9};
  OK(store_begin(w->s, &defs));
  OK(store_lock(w->s, fi, 4, r, got));
  assert_int_equal(got[0], 1);
  assert_int_equal(got[1], 1);
  assert_int_equal(got[2], 0);
  assert_int_equal(got[3], 0);
  assert_int_equal(r[0].fi, a.fi);
  assert_int_equal(r[1].fi, b.fi);
  assert_string_equal(r[1].bases, b.bases);
  assert_int_equal(r[1].version, b.version);
  store_rollback(w->s);
  def_flow_unref(f);
}

static void locked_rows_are_written_in_the_same_batch(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct flow_row r;
  uint8_t got;
  int64_t defs;
  OK(store_begin(w->s, &defs));
  OK(store_lock(w->s, &s.fi, 1, &r, &got));
  struct flow_write fw = {.op = ROW_UPDATE, .row = r}; /* texts of r are valid until the end */
  fw.row.live = 8;
  struct batch b = {.id = world_batch_id(w), .flow = &fw, .n_flow = 1};
  OK(store_write(w->s, &b));
  OK(store_commit(w->s));
  struct flow_row now = flow_get(w, s.fi);
  assert_int_equal(now.live, 8);
  assert_string_equal(now.bases, s.bases);
  def_flow_unref(f);
}

static void long_texts_stay_whole(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = {.flow_id = f->flow_id, .flow_version = f->version, .bases = "1:1"};
  OK(store_ids(w->s, ID_FI, 1, &s.fi));
  struct flow_row r = flow_row_of(w, &s);
  struct buf params = BUF_INIT, bases = BUF_INIT;
  buf_str(&params, "{\"k\":\"");
  while (params.len < LIMIT_PARAMS_BYTES - 2) buf_ch(&params, 'x');
  buf_str(&params, "\"}");
  for (int i = 0; i < 100; i++) buf_printf(&bases, "%s%lld:%lld", i ? "," : "", WR_ID_MAX - i, WR_ID_MAX - 1000 - i);
  r.params = params.data, r.bases = bases.data;
  OK(put_flow(w, ROW_INSERT, 0, &r));
  struct flow_row got = flow_get(w, s.fi);
  flow_same(&got, &r);
  buf_done(&params);
  buf_done(&bases);
  def_flow_unref(f);
}

static void ids_near_2_53(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = {.fi = WR_ID_MAX - 1, .ni = WR_ID_MAX - 1, .ti = WR_ID_MAX - 1, .flow_id = f->flow_id, .flow_version = f->version,
                      .bases = "9007199254740990:9007199254740990"};
  struct flow_row r = flow_row_of(w, &s), got;
  OK(put_flow(w, ROW_INSERT, 0, &r));
  struct node_row n = node_row_of(w, &s, f->node[0].node_id, 0);
  OK(put_node(w, ROW_INSERT, &n));
  struct task_row t = task_row_of(w, &s, 0, 0), t2;
  t.t.state = TASK_RUNNING, t.t.owner = WR_ID_MAX, t.t.epoch = UINT32_MAX, t.t.tries = UINT32_MAX, t.task_id = WR_ID_MAX, t.t.version = WR_ID_MAX;
  OK(put_task(w, ROW_INSERT, &t));
  got = flow_get(w, s.fi);
  flow_same(&got, &r);
  t2 = task_get(w, t.ti);
  task_same(&t2, &t);
  assert_int_equal(node_get(w, n.ni).ni, WR_ID_MAX - 1);
  flow_end(w, &(struct started){.fi = s.fi, .version = got.version}, FLOW_SUCCESS);
  def_flow_unref(f);
}

/* ---- node rows ---- */
static void node_reads_back(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct node_row r = {.ni = s.ni, .fi = s.fi, .node_id = f->node[0].node_id, .run_no = 2, .state = NODE_UPSTREAM_FAILED, .ok = 1, .fail = 2,
                       .skip = 3, .t_ok = 4, .t_bad = 5, .t_open = 4000000000u, .t_canceled = 3, .create_us = 11, .start_us = 12, .end_us = 13,
                       .update_us = 14, .skip_edges = 1ull << 63 | 5, .error = "e"};
  OK(put_node(w, ROW_INSERT, &r));
  struct node_row got = node_get(w, r.ni);
  node_same(&got, &r);
  def_flow_unref(f);
}

static void node_update_writes_its_columns(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct node_row r = node_row_of(w, &s, f->node[0].node_id, 0);
  OK(put_node(w, ROW_INSERT, &r));
  r.state = NODE_FAILED, r.ok = 9, r.fail = 8, r.skip = 7, r.t_ok = 6, r.t_bad = 5, r.t_open = 0, r.t_canceled = 2, r.skip_edges = 7;
  r.start_us++, r.end_us = r.start_us + 5, r.update_us = r.start_us + 6, r.error = "why";
  OK(put_node(w, ROW_UPDATE, &r));
  struct node_row got = node_get(w, r.ni);
  node_same(&got, &r);
  struct node_row other = r;
  other.fi++, other.node_id++, other.run_no++, other.create_us++, other.error = NULL;
  OK(put_node(w, ROW_UPDATE, &other));
  got = node_get(w, r.ni);
  node_same(&got, &r);
  r.error = "";
  OK(put_node(w, ROW_UPDATE, &r));
  const char *e = node_get(w, r.ni).error;
  assert_true(!e || !*e);
  def_flow_unref(f);
}

/* Sets one column that most rows leave at its default; a store may have statements of its own for rows that set none. */
enum { NODE_RARE = 8, TASK_RARE = 19 };
static void node_rare(struct node_row *r, int i) {
  uint32_t *const count[] = {&r->fail, &r->skip, &r->t_ok, &r->t_bad, &r->t_open, &r->t_canceled};
  if (i < 6) *count[i] = 1;
  else if (i == 6) r->skip_edges = 1;
  else r->error = "why";
}

static void each_node_column_alone(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct node_row full = {.ni = s.ni, .fi = s.fi, .node_id = f->node[0].node_id, .run_no = 1, .state = NODE_CANCELED, .ok = 1, .fail = 2, .skip = 3,
                          .t_ok = 4, .t_bad = 5, .t_open = 6, .t_canceled = 3, .create_us = 11, .start_us = 12, .end_us = 13, .update_us = 14, .skip_edges = 9,
                          .error = "e"};
  OK(put_node(w, ROW_INSERT, &full));
  for (int i = -1; i < NODE_RARE; i++) {
    struct node_row fresh = {.fi = s.fi, .node_id = full.node_id, .run_no = 1, .state = NODE_RUNNING, .create_us = 21, .update_us = 22};
    struct node_row end = {.ni = s.ni, .fi = s.fi, .node_id = full.node_id, .run_no = 1, .state = NODE_SUCCESS, .create_us = 11, .end_us = 31, .update_us = 32};
    OK(store_ids(w->s, ID_NI, 1, &fresh.ni));
    node_rare(&fresh, i < 0 ? 2 : i);
    OK(put_node(w, ROW_INSERT, &fresh));
    struct node_row got = node_get(w, fresh.ni);
    node_same(&got, &fresh);
    OK(put_node(w, ROW_UPDATE, &full)); /* of what stood there nothing is left */
    end.error = "";
    if (i >= 0) node_rare(&end, i);
    OK(put_node(w, ROW_UPDATE, &end));
    got = node_get(w, s.ni);
    if (!*end.error) end.error = NULL;
    node_same(&got, &end);
  }
  def_flow_unref(f);
}

static void node_missing_is_not_updated(struct world *w) {
  struct node_row r = {.ni = WR_ID_MAX - 77, .state = NODE_RUNNING, .update_us = 1};
  assert_int_not_equal(put_node(w, ROW_UPDATE, &r), STORE_OK);
}

static void node_twice_is_bad(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct node_row r = node_row_of(w, &s, f->node[0].node_id, 0);
  OK(put_node(w, ROW_INSERT, &r));
  IS(put_node(w, ROW_INSERT, &r), STORE_BAD);
  def_flow_unref(f);
}

static void nodes_by_key_and_range(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a") "," NODE("b") "," NODE("c") "," NODE("d"));
  struct started s = flow_start(w, f);
  const uint32_t have[] = {0, 1, 3};
  struct node_row out[4];
  size_t n;
  int64_t defs, ask[4] = {s.ni, s.ni + 1, s.ni + 2, s.ni + 3};
  for (int i = 0; i < 3; i++) {
    struct node_row r = node_row_of(w, &s, f->node[have[i]].node_id, have[i]);
    OK(put_node(w, ROW_INSERT, &r));
  }
  OK(store_begin(w->s, &defs));
  OK(store_nodes(w->s, ask, 4, out, &n));
  assert_int_equal(n, 3);
  for (int i = 0; i < 3; i++) assert_int_equal(out[i].ni, s.ni + have[i]);
  OK(store_node_range(w->s, s.ni, s.ni + 3, out, 4, &n));
  assert_int_equal(n, 3);
  for (int i = 0; i < 3; i++) assert_int_equal(out[i].ni, s.ni + have[i]);
  OK(store_node_range(w->s, s.ni + 1, s.ni + 2, out, 4, &n));
  assert_int_equal(n, 1);
  OK(store_node_range(w->s, s.ni, s.ni + 3, out, 2, &n)); /* no more than there is room for */
  assert_int_equal(n, 2);
  OK(store_node_range(w->s, s.ni + 2, s.ni + 2, out, 4, &n));
  assert_int_equal(n, 0);
  store_rollback(w->s);
  def_flow_unref(f);
}

/* ---- task rows ---- */
static struct task_row full_task(const struct started *s) {
  return (struct task_row){
    .ti = s->ti, .ni = s->ni, .fi = s->fi, .task_id = 17, .create_us = 1, .update_us = 2, .end_us = 3,
    .t = {.state = TASK_TIMEOUT, .end_as = TASK_CANCELED, .losses = 2, .cancel_requested = 1, .epoch = 5, .tries = 6,
          .start_us = 8, .due_us = 9, .version = 10},
    .error = "err", .result = "res", .result_len = 3, .log = 1, .exit_code = 255, .signal = 9, .utime_us = 100, .stime_us = 200,
    .maxrss_kib = 300, .log_bytes = 400, .log_lost = 5000000000, .log_lost_why = LOG_LOST_DISK_FULL};
}

static void task_reads_back(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct task_row r = full_task(&s), got;
  OK(put_task(w, ROW_INSERT, &r));
  got = task_get(w, r.ti);
  task_same(&got, &r);
  def_flow_unref(f);
}

static void task_nulls_read_back(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct task_row r = task_row_of(w, &s, 0, 0), got;
  OK(put_task(w, ROW_INSERT, &r));
  got = task_get(w, r.ti);
  task_same(&got, &r);
  assert_int_equal(got.exit_code, -1);
  assert_int_equal(got.task_id, 0);
  assert_null(got.result);
  def_flow_unref(f);
}

/* Of what a finish writes, an update writes only the reason: a task may end without an attempt (canceled in the queue, lost too
 * often). */
static void task_update_is_not_a_finish(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct task_row r = full_task(&s), got;
  OK(put_task(w, ROW_INSERT, &r));
  struct task_row u = r;
  u.t = (struct task){.state = TASK_RUNNING, .end_as = 0, .losses = 1, .cancel_requested = 0, .epoch = 6, .tries = 7, .owner = w->me,
                      .start_us = 80, .due_us = 0, .version = 99};
  u.update_us = 70, u.end_us = 0, u.error = "other", u.result = "other", u.result_len = 5, u.log = 2, u.exit_code = 1, u.signal = 2;
  u.utime_us = u.stime_us = u.maxrss_kib = u.log_bytes = u.log_lost = 1, u.task_id = 5, u.create_us = 5, u.ni++, u.fi++;
  OK(put_task(w, ROW_UPDATE, &u));
  got = task_get(w, r.ti);
  r.t = u.t, r.t.version = 10, r.update_us = 70, r.end_us = 0, r.error = "other";
  task_same(&got, &r);
  u.error = NULL;
  OK(put_task(w, ROW_UPDATE, &u));
  got = task_get(w, r.ti);
  task_same(&got, &r); /* no text is given: the old one stays */
  def_flow_unref(f);
}

static void task_finish_writes_the_result(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct task_row r = task_row_of(w, &s, 0, 0), full = full_task(&s), got;
  OK(put_task(w, ROW_INSERT, &r));
  full.t.version = r.t.version, full.task_id = 0, full.create_us = r.create_us;
  OK(put_finish(w, &full));
  got = task_get(w, r.ti);
  task_same(&got, &full);
  struct task_row later = full;
  later.error = NULL, later.result = NULL, later.result_len = 0, later.exit_code = -1;
  OK(put_finish(w, &later));
  got = task_get(w, r.ti);
  full.exit_code = -1; /* texts are kept, numbers are not */
  task_same(&got, &full);
  def_flow_unref(f);
}

static void task_rare(struct task_row *r, int i) {
  int64_t *const us[] = {&r->utime_us, &r->stime_us, &r->maxrss_kib, &r->log_bytes, &r->log_lost, &r->t.due_us};
  switch (i) {
  case 0: case 1: case 2: case 3: case 4: case 5: *us[i] = 1; break;
  case 6: r->exit_code = 0; break;
  case 7: r->signal = 1; break;
  case 8: r->log = 1; break;
  case 9: r->log_lost_why = 1; break;
  case 10: r->t.end_as = TASK_FAILED; break;
  case 11: r->t.losses = 1; break;
  case 12: r->t.cancel_requested = 1; break;
  case 13: r->error = "why"; break;
  case 14: r->result = "r", r->result_len = 1; break;
  case 15: r->end_us = 41; break;
  case 16: r->t.tries = 1; break;
  case 17: r->t.phase = 1; break;
  case 18: r->t.again = 1; break;
  default: break;
  }
}

static void each_task_column_alone(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct task_row full = full_task(&s), got;
  OK(put_task(w, ROW_INSERT, &full));
  for (int i = -1; i < TASK_RARE; i++) {
    struct task_row end = {.ti = s.ti, .ni = s.ni, .fi = s.fi, .task_id = 17, .create_us = 1, .update_us = 31, .exit_code = -1,
                           .error = "", .result = "", .t = {.state = TASK_SUCCESS, .epoch = 8, .version = 10}};
    OK(put_finish(w, &full)); /* of what stood there nothing is left */
    task_rare(&end, i);
    OK(put_finish(w, &end));
    got = task_get(w, s.ti);
    if (!*end.error) end.error = NULL;
    task_same(&got, &end);
    struct task_row fresh = {.ni = s.ni, .fi = s.fi, .create_us = 21, .update_us = 22, .exit_code = -1, .t = {.state = TASK_QUEUED, .version = 1}};
    bool of_process = i < 5 || (i >= 7 && i <= 9); /* this column comes with the end of an attempt */
    OK(store_ids(w->s, ID_TI, 1, &fresh.ti));
    task_rare(&fresh, i);
    if (of_process && i >= 0) fresh.exit_code = 0;
    OK(put_task(w, ROW_INSERT, &fresh));
    got = task_get(w, fresh.ti);
    task_same(&got, &fresh);
  }
  def_flow_unref(f);
}

static void result_is_bytes(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  static char bytes[256];
  for (int i = 0; i < 256; i++) bytes[i] = (char)i;
  struct task_row r = full_task(&s), got;
  r.result = bytes, r.result_len = sizeof bytes;
  OK(put_task(w, ROW_INSERT, &r));
  got = task_get(w, r.ti);
  task_same(&got, &r);
  r.result = "", r.result_len = 0;
  OK(put_finish(w, &r));
  got = task_get(w, r.ti);
  assert_int_equal(got.result_len, 0);
  assert_non_null(got.result);
  def_flow_unref(f);
}

static void result_of_the_greatest_size(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct task_row r = full_task(&s), got;
  char *big = malloc(LIMIT_RESULT_BYTES);
  assert_non_null(big);
  for (size_t i = 0; i < LIMIT_RESULT_BYTES; i++) big[i] = (char)(i * 7 + i / 251);
  r.result = big, r.result_len = LIMIT_RESULT_BYTES;
  OK(put_task(w, ROW_INSERT, &r));
  got = task_get(w, r.ti);
  task_same(&got, &r);
  free(big);
  def_flow_unref(f);
}

static void alone_task_expects_its_row(struct world *w) {
  int64_t id = task_save(w, "t", "ECHO");
  struct task_row r = alone_row_of(w, id);
  OK(put_task(w, ROW_INSERT, &r));
  struct task_row got = task_get(w, r.ti);
  task_same(&got, &r);
  assert_int_equal(got.ni, 0);
  assert_int_equal(got.fi, 0);
  struct task_write tw = {.op = ROW_UPDATE, .expect_state = TASK_QUEUED, .expect_epoch = 0, .row = r};
  struct batch b = {.task = &tw, .n_task = 1};
  tw.row.t.state = TASK_RUNNING, tw.row.t.epoch = 1, tw.row.t.owner = w->me;
  tw.expect_epoch = 1;
  IS(batch_do(w, &b), STORE_STALE);
  assert_true(tw.stale);
  tw.expect_epoch = 0, tw.expect_state = TASK_BLOCKED;
  IS(batch_do(w, &b), STORE_STALE);
  got = task_get(w, r.ti);
  task_same(&got, &r);
  tw.expect_state = TASK_QUEUED;
  OK(batch_do(w, &b));
  assert_false(tw.stale);
  assert_int_equal(task_get(w, r.ti).t.epoch, 1);
  IS(batch_do(w, &b), STORE_STALE); /* the same again: state and epoch have moved on */
  tw.expect_state = TASK_RUNNING, tw.expect_epoch = 1, tw.finish = true, tw.row.t.state = TASK_SUCCESS, tw.row.t.owner = 0;
  OK(batch_do(w, &b));
}

/* One task of several in a batch has params, and keeps them whatever is written later. */
static void alone_task_keeps_its_params(struct world *w) {
  static const char params[] = "{\"a\":\"it's \\\\ 😀\"}";
  int64_t id = task_save(w, "t", "ECHO");
  struct task_write tw[3];
  memset(tw, 0, sizeof tw);
  for (int i = 0; i < 3; i++) tw[i] = (struct task_write){.op = ROW_INSERT, .expect_state = -1, .row = alone_row_of(w, id)};
  tw[1].row.params = params;
  struct batch b = {.task = tw, .n_task = 3};
  OK(batch_do(w, &b));
  assert_null(task_get(w, tw[0].row.ti).params);
  assert_string_equal(task_get(w, tw[1].row.ti).params, params);
  assert_null(task_get(w, tw[2].row.ti).params);
  tw[1].row.params = NULL;
  tw[1].row.t.state = TASK_SUCCESS, tw[1].row.result = "r", tw[1].row.result_len = 1;
  OK(put_finish(w, &tw[1].row));
  assert_string_equal(task_get(w, tw[1].row.ti).params, params);
}

static void one_stale_task_undoes_all(struct world *w) {
  int64_t id = task_save(w, "t", "ECHO");
  struct task_row a = alone_row_of(w, id), z = alone_row_of(w, id);
  OK(put_task(w, ROW_INSERT, &a));
  OK(put_task(w, ROW_INSERT, &z));
  struct task_write tw[2] = {{.op = ROW_UPDATE, .expect_state = TASK_QUEUED, .row = a}, {.op = ROW_UPDATE, .expect_state = TASK_RUNNING, .row = z}};
  tw[0].row.t.state = tw[1].row.t.state = TASK_CANCELED;
  struct batch b = {.task = tw, .n_task = 2};
  IS(batch_do(w, &b), STORE_STALE);
  assert_false(tw[0].stale);
  assert_true(tw[1].stale);
  assert_int_equal(task_get(w, a.ti).t.state, TASK_QUEUED);
  tw[1].expect_state = TASK_QUEUED;
  OK(batch_do(w, &b));
}

static void task_missing_is_not_updated(struct world *w) {
  struct task_row r = {.ti = WR_ID_MAX - 77, .ni = 1, .fi = 1, .t = {.state = TASK_RUNNING}, .update_us = 1, .exit_code = -1};
  assert_int_not_equal(put_task(w, ROW_UPDATE, &r), STORE_OK);
}

static void task_twice_is_bad(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct task_row r = task_row_of(w, &s, 0, 0);
  OK(put_task(w, ROW_INSERT, &r));
  IS(put_task(w, ROW_INSERT, &r), STORE_BAD);
  def_flow_unref(f);
}

static void tasks_by_key_and_range(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a") "," NODE("b") "," NODE("c"));
  struct started s = flow_start(w, f);
  struct task_row out[3], a = task_row_of(w, &s, 0, 0), c = task_row_of(w, &s, 2, 2);
  int64_t defs, ask[3] = {s.ti, s.ti + 1, s.ti + 2};
  size_t n;
  OK(put_task(w, ROW_INSERT, &a));
  OK(put_task(w, ROW_INSERT, &c));
  OK(store_begin(w->s, &defs));
  OK(store_tasks(w->s, ask, 3, out, &n));
  assert_int_equal(n, 2);
  task_same(&out[0], &a);
  task_same(&out[1], &c);
  OK(store_task_range(w->s, s.ti, s.ti + 2, out, 3, &n));
  assert_int_equal(n, 2);
  OK(store_task_range(w->s, s.ti, s.ti + 2, out, 1, &n));
  assert_int_equal(n, 1);
  OK(store_task_range(w->s, s.ti + 1, s.ti + 1, out, 3, &n));
  assert_int_equal(n, 0);
  store_rollback(w->s);
  def_flow_unref(f);
}

static void everything_survives_a_reopen(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct node_row n = node_row_of(w, &s, f->node[0].node_id, 0), n2;
  struct task_row t = full_task(&s), t2;
  OK(put_node(w, ROW_INSERT, &n));
  OK(put_task(w, ROW_INSERT, &t));
  struct flow_row was = flow_get(w, s.fi), got;
  int64_t defs, defs2;
  OK(store_begin(w->s, &defs));
  store_rollback(w->s);
  world_again(w);
  got = flow_get(w, s.fi);
  flow_same(&got, &was);
  assert_int_equal(got.version, was.version);
  n2 = node_get(w, n.ni);
  node_same(&n2, &n);
  t2 = task_get(w, t.ti);
  task_same(&t2, &t);
  OK(store_begin(w->s, &defs2));
  store_rollback(w->s);
  assert_int_equal(defs2, defs);
  def_flow_unref(f);
}

/* What a start or a wish said of whose the tasks of a flow are: a later row of the same task replaces the earlier one. */
static void whose_rows_read_back(struct world *w) {
  const int64_t fi = 900000001;
  struct whose_row row[] = {{.fi = fi, .ti = 7, .user = "u ", .group = NULL, .priority = -100, .has_priority = true},
                            {.fi = fi, .ti = 0, .user = "", .group = "gr\xc3\xbc"}, {.fi = fi + 1, .ti = 0, .user = "other"},
                            {.fi = fi, .ti = 9, .group = "x"}, {.fi = fi, .ti = 7, .user = "U", .group = "g", .has_priority = true}};
  struct whose_row *got;
  struct arena a;
  size_t n = 0;
  int64_t defs;
  OK(batch_do(w, &(struct batch){.whose = row, .n_whose = 4}));
  OK(batch_do(w, &(struct batch){.whose = &row[4], .n_whose = 1}));
  arena_init(&a, 0);
  OK(store_begin(w->s, &defs));
  OK(store_whose(w->s, fi, &a, &got, &n));
  assert_int_equal(n, 3);
  assert_true(got[0].ti == 0 && got[1].ti == 7 && got[2].ti == 9);
  assert_string_equal(got[0].user, "");
  assert_string_equal(got[0].group, "gr\xc3\xbc");
  assert_false(got[0].has_priority);
  assert_string_equal(got[1].user, "U");
  assert_true(got[1].has_priority && got[1].priority == 0);
  assert_null(got[2].user);
  OK(store_whose(w->s, fi + 2, &a, &got, &n));
  assert_int_equal(n, 0);
  store_rollback(w->s);
  arena_done(&a);
}

const struct fact facts_rows[] = {
  FACT(whose_rows_read_back), FACT_FRESH(ids_start_at_one), FACT(ids_rise_without_overlap), FACT(ids_of_kinds_are_apart), FACT_FRESH(ids_used_never_come_again),
  FACT_FRESH(incarnations_rise), FACT(flow_reads_back), FACT(flow_nulls_read_back), FACT(flow_update_writes_its_columns),
  FACT(flow_update_leaves_what_was_made), FACT(flow_error_kept_set_cleared), FACT(flow_version_is_the_batch),
  FACT(flow_wrong_version_is_stale), FACT(flow_zero_expects_nothing), FACT(flow_missing_is_not_updated), FACT(one_stale_flow_undoes_all),
  FACT(stale_head_explains_a_row_that_is_there), FACT(flow_twice_is_bad), FACT(start_guards_unknown_flow), FACT(start_guards_old_version), FACT(start_guards_deleted_flow),
  FACT(lock_tells_what_is_there), FACT(locked_rows_are_written_in_the_same_batch), FACT(long_texts_stay_whole), FACT_FRESH(ids_near_2_53),
  FACT(node_reads_back), FACT(node_update_writes_its_columns), FACT(node_missing_is_not_updated), FACT(node_twice_is_bad),
  FACT(each_node_column_alone), FACT(each_task_column_alone),
  FACT(nodes_by_key_and_range), FACT(task_reads_back), FACT(task_nulls_read_back), FACT(task_update_is_not_a_finish),
  FACT(task_finish_writes_the_result), FACT(result_is_bytes), FACT(result_of_the_greatest_size), FACT(alone_task_expects_its_row),
  FACT(alone_task_keeps_its_params),
  FACT(one_stale_task_undoes_all), FACT(task_missing_is_not_updated), FACT(task_twice_is_bad), FACT(tasks_by_key_and_range),
  FACT_FRESH(everything_survives_a_reopen),
};
const size_t n_facts_rows = sizeof facts_rows / sizeof *facts_rows;
