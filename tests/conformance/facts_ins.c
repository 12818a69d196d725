/* Facts of one instance read back: the flow, its nodes over several runs, its tasks. */
#include "facts.h"

static struct flow_row flow_seen;
static char seen_name[64], seen_error[64];
static int see_flow(void *ctx, const struct flow_row *r) {
  ++*(int *)ctx;
  flow_seen = *r;
  snprintf(seen_name, sizeof seen_name, "%s", r->flow_name);
  snprintf(seen_error, sizeof seen_error, "%s", r->error ? r->error : "NULL");
  return 0;
}

static void flow_instance(struct world *w) {
  struct wr_err err;
  int n = 0;
  struct flow_def *f = flow_save(w, "the name", NODE("a"));
  struct started s = flow_start(w, f);
  flow_end(w, &s, FLOW_SUCCESS);
  struct flow_row want = flow_get(w, s.fi);
  struct reader *r = reader_of(w);
  WR(reader_flow_ins(r, s.fi, see_flow, &n, &err));
  assert_int_equal(n, 1);
  assert_int_equal(flow_seen.fi, s.fi);
  assert_int_equal(flow_seen.version, want.version);
  assert_int_equal(flow_seen.state, FLOW_SUCCESS);
  assert_int_equal(flow_seen.start_us, want.start_us);
  assert_int_equal(flow_seen.end_us, want.end_us);
  assert_string_equal(seen_name, "the name");
  assert_string_equal(seen_error, "NULL");
  assert_int_equal(reader_flow_ins(r, WR_ID_MAX - 3, see_flow, &n, &err), WR_NOT_FOUND);
  assert_int_equal(n, 1);
  reader_put(r);
  def_flow_unref(f);
}

/* Four nodes; the rows of `have` (indices) exist. */
#define FOUR NODE("a") "," NODE("b") "," NODE("c") "," NODE("d")
static void put_nodes(struct world *w, const struct flow_def *f, const struct started *s, uint32_t run, const char *have) {
  for (; *have; have++) {
    struct node_row r = node_row_of(w, s, f->node[*have - '0'].node_id, (uint32_t)(*have - '0'));
    r.run_no = run;
    OK(put_node(w, ROW_INSERT, &r));
  }
}

/* Adds a run with new ids; returns where its rows stand. */
static struct started run_add(struct world *w, struct started *s, uint32_t nodes) {
  struct started again = *s;
  OK(store_ids(w->s, ID_NI, nodes, &again.ni));
  OK(store_ids(w->s, ID_TI, nodes, &again.ti));
  struct flow_row r = flow_get(w, s->fi);
  int n = snprintf(again.bases, sizeof again.bases, "%s,%lld:%lld", r.bases, (long long)again.ni, (long long)again.ti);
  assert_true(n > 0 && (size_t)n < sizeof again.bases);
  r.bases = again.bases;
  r.run_no++;
  OK(put_flow(w, ROW_UPDATE, 0, &r));
  return again;
}

static void nodes_in_order_and_pages(struct world *w) {
  struct flow_def *f = flow_save(w, "f", "{'nodeType':'START'}," FOUR ",{'nodeType':'END'}");
  struct flow_def tasks = *f;
  tasks.node = f->node + 1; /* START and END have no instances */
  struct started s = flow_start(w, f), next = flow_start(w, f);
  put_nodes(w, &tasks, &next, 1, "0"); /* a neighbour whose ids follow */
  put_nodes(w, &tasks, &s, 1, "310");
  const int64_t want[] = {s.ni, s.ni + 1, s.ni + 3};
  for (uint32_t limit = 1; limit < 5; limit++)
    for (uint64_t at = 0; at < 5; at += limit) {
      struct ids v = list_nodes(w, s.fi, false, (struct page){.limit = limit, .offset = at, .want_total = true});
      ids_are(&v, want + (at < 3 ? at : 0), at >= 3 ? 0 : 3 - at < limit ? (size_t)(3 - at) : limit);
      assert_int_equal(v.more, at + limit < 3);
      assert_int_equal(v.total, 3);
    }
  struct ids v = list_nodes(w, s.fi, true, (struct page){.limit = 9});
  ids_are(&v, want, 3);
  assert_int_equal(v.total, -1);
  v = list_nodes(w, s.fi, false, (struct page){.limit = UINT32_MAX});
  ids_are(&v, want, 3);
  def_flow_unref(f);
}

static void nodes_of_several_runs(struct world *w) {
  struct flow_def *f = flow_save(w, "f", FOUR);
  struct started s = flow_start(w, f);
  put_nodes(w, f, &s, 1, "0123");
  struct started other = flow_start(w, f); /* ids of other instances stand between the runs */
  put_nodes(w, f, &other, 1, "0123");
  struct started r2 = run_add(w, &s, 4);
  put_nodes(w, f, &r2, 2, "23");
  struct started r3 = run_add(w, &s, 4);
  put_nodes(w, f, &r3, 3, "3");
  const int64_t newest[] = {s.ni, s.ni + 1, r2.ni + 2, r3.ni + 3};
  const int64_t all[] = {s.ni, s.ni + 1, s.ni + 2, r2.ni + 2, s.ni + 3, r2.ni + 3, r3.ni + 3};
  struct ids v = list_nodes(w, s.fi, false, (struct page){.limit = 9, .want_total = true});
  ids_are(&v, newest, 4);
  assert_int_equal(v.total, 4);
  assert_int_equal(v.run[2], 2);
  assert_int_equal(v.run[3], 3);
  v = list_nodes(w, s.fi, true, (struct page){.limit = 9, .want_total = true});
  ids_are(&v, all, 7);
  assert_int_equal(v.total, 7);
  v = list_nodes(w, s.fi, false, (struct page){.limit = 2, .offset = 1});
  ids_are(&v, newest + 1, 2);
  assert_true(v.more);
  v = list_nodes(w, s.fi, true, (struct page){.limit = 3, .offset = 4});
  ids_are(&v, all + 4, 3);
  assert_false(v.more);
  const int64_t second[] = {s.ni, s.ni + 1, r2.ni + 2, r2.ni + 3}; /* as it was before the third */
  v = list_nodes_of(w, s.fi, 2, false, (struct page){.limit = 9, .want_total = true});
  ids_are(&v, second, 4);
  assert_int_equal(v.total, 4);
  v = list_nodes_of(w, s.fi, 1, true, (struct page){.limit = 3, .want_total = true});
  ids_are(&v, (const int64_t[]){s.ni, s.ni + 1, s.ni + 2}, 3);
  assert_true(v.more);
  assert_int_equal(v.total, 4);
  v = list_nodes(w, s.fi, true, (struct page){.limit = 3, .offset = 40});
  ids_are(&v, NULL, 0);
  assert_false(v.more);
  def_flow_unref(f);
}

static void nodes_of_no_instance(struct world *w) {
  struct wr_err err;
  struct ids v = {0};
  const struct page p = {.limit = 9};
  struct reader *r = reader_of(w);
  assert_int_equal(reader_nodes(r, WR_ID_MAX - 3, 1, false, &p, ids_node, &v, &v.more, &v.total, &err), WR_NOT_FOUND);
  assert_int_equal(reader_node(r, WR_ID_MAX - 3, ids_node, &v, &err), WR_NOT_FOUND);
  assert_int_equal(reader_node_tasks(r, WR_ID_MAX - 3, ids_task, &v, &err), WR_NOT_FOUND);
  assert_int_equal(reader_task_ins(r, WR_ID_MAX - 3, ids_task, &v, &err), WR_NOT_FOUND);
  assert_int_equal(v.n, 0);
  reader_put(r);
  struct flow_def *f = flow_save(w, "f", FOUR);
  struct started s = flow_start(w, f);
  v = list_nodes(w, s.fi, false, (struct page){.limit = 9, .want_total = true});
  assert_int_equal(v.n, 0); /* the instance is there, but no node has a token yet */
  assert_int_equal(v.total, 0);
  def_flow_unref(f);
}

static struct node_row node_seen;
static int see_node(void *ctx, const struct node_row *r) {
  ++*(int *)ctx;
  node_seen = *r;
  snprintf(seen_error, sizeof seen_error, "%s", r->error ? r->error : "NULL");
  return 0;
}

static void node_instance(struct world *w) {
  struct wr_err err;
  int n = 0;
  struct flow_def *f = flow_save(w, "f", FOUR);
  struct started s = flow_start(w, f);
  struct node_row want = node_row_of(w, &s, f->node[2].node_id, 2);
  want.error = "why";
  OK(put_node(w, ROW_INSERT, &want));
  struct reader *r = reader_of(w);
  WR(reader_node(r, s.ni + 2, see_node, &n, &err));
  assert_int_equal(n, 1);
  assert_string_equal(seen_error, "why");
  node_seen.error = want.error;
  node_same(&node_seen, &want);
  assert_int_equal(reader_node(r, s.ni + 1, see_node, &n, &err), WR_NOT_FOUND);
  reader_put(r);
  def_flow_unref(f);
}

static struct ids node_tasks(struct world *w, int64_t ni) {
  struct wr_err err;
  struct ids v = {0};
  struct reader *r = reader_of(w);
  WR(reader_node_tasks(r, ni, ids_task, &v, &err));
  reader_put(r);
  return v;
}

static void tasks_of_a_node(struct world *w) {
#define T "{'taskName':'t','taskType':'ECHO'}"
  struct flow_def *f = flow_save(w, "f", "{'nodeKey':'a','tasks':[" T "]},{'nodeKey':'b','tasks':[" T "," T "," T "]},{'nodeKey':'c','tasks':[" T "," T "]}");
#undef T
  assert_int_equal(f->dag->n_task, 6);
  struct started s = flow_start(w, f), next = flow_start(w, f);
  put_nodes(w, f, &s, 1, "012");
  put_nodes(w, f, &next, 1, "0");
  const uint32_t node_of[] = {0, 1, 1, 1, 2, 2};
  for (uint32_t t = 0; t < 6; t++) {
    if (t == 2) continue; /* this one has no row */
    struct task_row r = task_row_of(w, &s, node_of[t], t);
    OK(put_task(w, ROW_INSERT, &r));
  }
  struct ids v = node_tasks(w, s.ni);
  ids_are(&v, (int64_t[]){s.ti}, 1);
  v = node_tasks(w, s.ni + 1);
  ids_are(&v, (int64_t[]){s.ti + 1, s.ti + 3}, 2);
  v = node_tasks(w, s.ni + 2);
  ids_are(&v, (int64_t[]){s.ti + 4, s.ti + 5}, 2);
  v = node_tasks(w, next.ni);
  assert_int_equal(v.n, 0);
  struct started again = run_add(w, &s, 6);
  put_nodes(w, f, &again, 2, "2");
  struct task_row r = task_row_of(w, &again, 2, 5);
  OK(put_task(w, ROW_INSERT, &r));
  v = node_tasks(w, again.ni + 2);
  ids_are(&v, (int64_t[]){again.ti + 5}, 1);
  v = node_tasks(w, s.ni + 2);
  assert_int_equal(v.n, 2); /* the older run keeps its own rows */
  def_flow_unref(f);
}

static struct task_row task_seen;
static char seen_result[64];
static int see_task(void *ctx, const struct task_row *r) {
  ++*(int *)ctx;
  task_seen = *r;
  assert_true(r->result_len < sizeof seen_result);
  memcpy(seen_result, r->result, r->result_len);
  snprintf(seen_error, sizeof seen_error, "%s", r->error);
  return 0;
}

static void task_instance(struct world *w) {
  struct wr_err err;
  int n = 0;
  int64_t id = task_save(w, "t", "ECHO");
  struct task_row r = alone_row_of(w, id);
  OK(put_task(w, ROW_INSERT, &r));
  r.t.state = TASK_FAILED, r.t.epoch = 1, r.t.tries = 1, r.end_us = world_now(w), r.error = "exit 3", r.result = "a\0b", r.result_len = 3;
  r.exit_code = 3, r.utime_us = 5, r.log = 1, r.log_bytes = 77;
  OK(put_finish(w, &r));
  struct reader *rd = reader_of(w);
  WR(reader_task_ins(rd, r.ti, see_task, &n, &err));
  reader_put(rd);
  assert_int_equal(n, 1);
  task_seen.error = seen_error, task_seen.result = seen_result;
  task_same(&task_seen, &r);
}

/* A row alone, among rows with equal results, and among rows with other results: every form of the update. A row without a result
 * keeps what is there. */
static void results_of_any_length(struct world *w) {
  enum { N = 12 };
  static const size_t len[N] = {0, 1, 39, 40, 41, 100, 40, 40, 40, 0, 3000, 1};
  static char text[3000];
  struct flow_def *f = flow_save(w, "f", NODE("a") "," NODE("b") "," NODE("c"));
  struct task_write u[N];
  struct started s[N];
  memset(u, 0, sizeof u);
  for (size_t i = 0; i < sizeof text; i++) text[i] = (char)(i % 7 == 3 ? 0 : i % 5 == 4 ? 0xff : '\'' + i % 80);
  for (int i = 0; i < N; i++) {
    s[i] = flow_start(w, f);
    struct task_row r = task_row_of(w, &s[i], 0, 0);
    OK(put_task(w, ROW_INSERT, &r));
    r.t.state = TASK_SUCCESS, r.end_us = r.update_us = 1700000000000000, r.result = text, r.result_len = len[i], r.exit_code = 0;
    u[i] = (struct task_write){.op = ROW_UPDATE, .finish = true, .expect_state = -1, .row = r};
    if (i % 4 == 0) OK(put_finish(w, &r));
  }
  struct batch b = {.id = world_batch_id(w), .task = u, .n_task = N};
  for (int again = 0; again < 2; again++) {
    OK(batch_do(w, &b));
    for (int i = 0; i < N; i++) {
      struct task_row got = task_get(w, u[i].row.ti);
      assert_non_null(got.result);
      assert_int_equal(got.result_len, len[i]);
      assert_memory_equal(got.result, text, len[i]);
      u[i].row.result = NULL, u[i].row.result_len = 0;
      u[i].row.utime_us = i % 3; /* some alike, some not */
    }
    b.id = world_batch_id(w);
  }
  u[5].row.result = "ab", u[5].row.result_len = 2; /* a long one becomes short, a short one long */
  u[3].row.result = text, u[3].row.result_len = 41;
  OK(batch_do(w, &b));
  assert_memory_equal(task_get(w, u[5].row.ti).result, "ab", 2);
  assert_int_equal(task_get(w, u[5].row.ti).result_len, 2);
  assert_memory_equal(task_get(w, u[3].row.ti).result, text, 41);
  def_flow_unref(f);
}

static void ended_is(struct world *w, const struct started *s, uint32_t run_no, int64_t want) {
  struct wr_err err;
  int64_t ended = -1, n = -1;
  struct reader *r = reader_of(w);
  WR(reader_nodes_ended(r, s->fi, run_no, &ended, &n, &err));
  reader_put(r);
  assert_int_equal(ended, want);
  assert_int_equal(n, 4);
}

/* By the newest row of each node, as they were up to that run. */
static void nodes_that_ended(struct world *w) {
  static const uint8_t state[] = {NODE_SUCCESS, NODE_RUNNING, NODE_WAITING, NODE_CANCELED};
  struct wr_err err;
  int64_t ended, n;
  struct flow_def *f = flow_save(w, "f", FOUR);
  struct started s = flow_start(w, f), next = flow_start(w, f);
  put_nodes(w, f, &next, 1, "0123"); /* a neighbour whose ids follow */
  ended_is(w, &s, 1, 0);
  for (uint32_t i = 0; i < 4; i++) {
    struct node_row row = node_row_of(w, &s, f->node[i].node_id, i);
    row.state = state[i];
    OK(put_node(w, ROW_INSERT, &row));
  }
  ended_is(w, &s, 1, 2);
  struct started r2 = run_add(w, &s, 4);
  for (uint32_t i = 1; i < 4; i++) {
    struct node_row row = node_row_of(w, &r2, f->node[i].node_id, i);
    row.run_no = 2;
    row.state = i == 3 ? NODE_RUNNING : NODE_SKIPPED;
    OK(put_node(w, ROW_INSERT, &row));
  }
  ended_is(w, &s, 2, 3);
  ended_is(w, &s, 1, 2);
  struct reader *r = reader_of(w);
  assert_int_equal(reader_nodes_ended(r, WR_ID_MAX - 3, 1, &ended, &n, &err), WR_NOT_FOUND);
  reader_put(r);
  def_flow_unref(f);
}

static void states_of_many(struct world *w) {
  enum { N = 5 };
  struct wr_err err;
  struct ins_state got[N + 1];
  int64_t fi[N + 1], ti[N + 1];
  size_t n = 9;
  struct flow_def *f = flow_save(w, "f", FOUR);
  for (int i = 0; i < N; i++) {
    struct started s = flow_start(w, f);
    struct task_row row = task_row_of(w, &s, 0, 0);
    row.t.state = i == 3 ? TASK_DEAD : TASK_QUEUED;
    row.t.epoch = (uint32_t)i;
    OK(put_task(w, ROW_INSERT, &row));
    fi[i] = s.fi, ti[i] = s.ti;
  }
  fi[N] = ti[N] = WR_ID_MAX - 3;
  struct reader *r = reader_of(w);
  WR(reader_states(r, INS_FLOW, fi, N + 1, got, &n, &err));
  assert_int_equal(n, N);
  for (int i = 0; i < N; i++) assert_true(got[i].id == fi[i] && got[i].state == FLOW_RUNNING);
  for (int k = 0; k < 2; k++) {
    WR(reader_states(r, k ? INS_TASK_LOG : INS_TASK, ti, N + 1, got, &n, &err));
    assert_int_equal(n, N);
    for (int i = 0; i < N; i++) {
      assert_true(got[i].id == ti[i] && got[i].epoch == (uint32_t)i && got[i].log_top == 0);
      assert_int_equal(got[i].state, i == 3 ? TASK_DEAD : TASK_QUEUED);
    }
  }
  WR(reader_states(r, INS_TASK, ti, 0, got, &n, &err));
  assert_int_equal(n, 0);
  reader_put(r);
  def_flow_unref(f);
}

const struct fact facts_ins[] = {
  FACT(flow_instance), FACT(nodes_in_order_and_pages), FACT(nodes_of_several_runs), FACT(nodes_of_no_instance), FACT(node_instance),
  FACT(tasks_of_a_node), FACT(task_instance), FACT(results_of_any_length), FACT(nodes_that_ended), FACT(states_of_many),
};
const size_t n_facts_ins = sizeof facts_ins / sizeof *facts_ins;
