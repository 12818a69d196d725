/* Facts of analyses and trees: the row of a task that was analysed, what its row keeps meanwhile, and the list of what it added. */
#include "facts.h"
#include "mem.h"

static enum store_rc put(struct world *w, struct task_write *t, struct async_write *a, size_t n_a, const struct tree_row *tree) {
  struct batch b = {.task = t, .n_task = t ? 1 : 0, .async = a, .n_async = n_a, .tree = tree, .n_tree = tree ? 1 : 0};
  return batch_do(w, &b);
}

static struct task_row make(struct world *w, int64_t parent, int64_t root, int64_t job) {
  struct task_row t = alone_row_of(w, 0);
  struct task_write tw = {.op = ROW_INSERT, .expect_state = -1, .row = t};
  struct async_write aw = {ROW_INSERT, {.ti = t.ti, .create_us = t.create_us, .name = "n", .type = "ECHO", .parent = parent, .root = root,
                                        .depth = parent ? 1 : 0, .job = job, .scope = job}};
  OK(put(w, &tw, &aw, 1, NULL));
  return t;
}

static struct task_row now(struct world *w, int64_t ti) {
  struct task_row row;
  size_t n = 0;
  int64_t defs;
  OK(store_begin(w->s, &defs));
  OK(store_tasks(w->s, &ti, 1, &row, &n));
  assert_int_equal(n, 1);
  static char result[64], error[64];
  struct task_row out = row;
  assert_true(row.result_len < sizeof result);
  if (row.result) out.result = memcpy(result, row.result, row.result_len);
  if (row.error) out.error = (snprintf(error, sizeof error, "%s", row.error), error);
  store_rollback(w->s);
  return out;
}

/* What the attempt left stays as it is until the verdict; then phase and calls are 0 again, and the verdict may bring a result. */
static void an_analysis_keeps_what_the_attempt_left(struct world *w) {
  struct task_row t = make(w, 0, 0, 0);
  struct task_write u = {.op = ROW_UPDATE, .expect_state = TASK_QUEUED, .expect_epoch = t.t.epoch, .row = t, .finish = true};
  u.row.t.epoch++;
  u.row.t.state = TASK_QUEUED;
  u.row.t.phase = PHASE_ANALYSE;
  u.row.t.end_as = TASK_FAILED;
  u.row.result = "first", u.row.result_len = 5;
  u.row.exit_code = 3, u.row.signal = 0, u.row.log_bytes = 77, u.row.error = "code 3";
  OK(put(w, &u, NULL, 0, NULL));
  struct task_row is = now(w, t.ti);
  assert_int_equal(is.t.phase, PHASE_ANALYSE);
  assert_int_equal(is.t.end_as, TASK_FAILED);
  u = (struct task_write){.op = ROW_UPDATE, .expect_state = TASK_QUEUED, .expect_epoch = is.t.epoch, .row = is, .analysed = true};
  u.row.result = NULL;
  u.row.t.state = TASK_RETRY_WAIT, u.row.t.due_us = 5, u.row.t.again = 2, u.row.error = NULL;
  OK(put(w, &u, NULL, 0, NULL));
  is = now(w, t.ti);
  assert_int_equal(is.t.again, 2);
  assert_int_equal(is.exit_code, 3);
  assert_int_equal(is.log_bytes, 77);
  u = (struct task_write){.op = ROW_UPDATE, .expect_state = TASK_RETRY_WAIT, .expect_epoch = is.t.epoch, .row = is, .analysed = true,
                          .new_result = "better", .new_result_len = 6};
  u.row.result = NULL;
  u.row.t = (struct task){.state = TASK_SUCCESS, .epoch = is.t.epoch, .start_us = is.t.start_us, .version = is.t.version};
  u.row.error = "";
  OK(put(w, &u, NULL, 0, NULL));
  is = now(w, t.ti);
  assert_int_equal(is.t.phase, PHASE_RUN);
  assert_int_equal(is.t.again, 0);
  assert_int_equal(is.exit_code, 3);
  assert_int_equal(is.log_bytes, 77);
  assert_null(is.error);
  assert_int_equal(is.result_len, 6);
  assert_memory_equal(is.result, "better", 6);
}

static void another_try_begins_without_its_result(struct world *w) {
  struct task_row t = make(w, 0, 0, 0);
  struct task_write u = {.op = ROW_UPDATE, .expect_state = TASK_QUEUED, .expect_epoch = t.t.epoch, .row = t, .finish = true};
  u.row.t.phase = PHASE_ANALYSE, u.row.t.end_as = TASK_SUCCESS;
  u.row.result = "first", u.row.result_len = 5;
  OK(put(w, &u, NULL, 0, NULL));
  u.finish = false, u.analysed = true, u.clear_result = true;
  u.row.result = NULL;
  u.row.t.phase = PHASE_RUN, u.row.t.end_as = TASK_NONE, u.row.t.state = TASK_RETRY_WAIT, u.row.t.due_us = 5;
  OK(put(w, &u, NULL, 0, NULL));
  struct task_row is = now(w, t.ti);
  assert_null(is.result);
  assert_int_equal(is.t.phase, PHASE_RUN);
}

static void same_tree(const struct tree_row *a, const struct tree_row *b) {
  assert_int_equal(a->ti, b->ti);
  assert_int_equal(a->verdict, b->verdict);
  assert_int_equal(a->ignore, b->ignore);
  assert_int_equal(a->wish, b->wish);
  assert_int_equal(a->pass, b->pass);
  if (b->pass) assert_int_equal(a->pass_at, b->pass_at);
  assert_int_equal(a->total, b->total);
  assert_int_equal(a->live, b->live);
  assert_int_equal(a->failed, b->failed);
  assert_int_equal(a->known, b->known);
}

static void a_tree_row_is_replaced(struct world *w) {
  struct task_row t = make(w, 0, 0, 0);
  struct tree_row r = {.ti = t.ti, .verdict = SAID_RETRY, .ignore = 1, .wish = 3, .pass = true, .pass_at = 0, .total = 3000000000, .live = 4,
                       .failed = 5, .known = 6}, got;
  bool there;
  int64_t defs;
  struct wr_err err;
  OK(store_begin(w->s, &defs));
  OK(store_tree(w->s, t.ti, &got, &there));
  assert_false(there);
  store_rollback(w->s);
  for (int i = 0; i < 2; i++) {
    struct task_row is = now(w, t.ti);
    struct task_write u = {.op = ROW_UPDATE, .expect_state = is.t.state, .expect_epoch = is.t.epoch, .row = is};
    u.row.result = NULL;
    OK(put(w, &u, NULL, 0, &r));
    OK(store_begin(w->s, &defs));
    OK(store_tree(w->s, t.ti, &got, &there));
    store_rollback(w->s);
    assert_true(there);
    same_tree(&got, &r);
    struct reader *rd = reader_get(w->s, &err);
    assert_int_equal(reader_tree(rd, t.ti, &got, &there, &err), WR_OK);
    reader_put(rd);
    assert_true(there);
    same_tree(&got, &r);
    r.verdict = SAID_DONE, r.live = 0, r.pass = false, r.ignore = 0;
  }
}

static void a_task_lists_what_it_added(struct world *w) {
  struct task_row p = make(w, 0, 0, 0), child[4];
  int64_t got[8], defs;
  size_t n;
  for (int i = 0; i < 4; i++) child[i] = make(w, p.ti, p.ti, -p.ti);
  (void)make(w, child[0].ti, p.ti, -p.ti);
  OK(store_begin(w->s, &defs));
  OK(store_children(w->s, p.ti, 0, got, 8, &n));
  assert_int_equal(n, 4);
  for (int i = 0; i < 4; i++) assert_int_equal(got[i], child[i].ti);
  OK(store_children(w->s, p.ti, child[1].ti, got, 1, &n));
  assert_int_equal(n, 1);
  assert_int_equal(got[0], child[2].ti);
  struct async_row row;
  OK(store_async(w->s, &child[3].ti, 1, &row, &n));
  assert_int_equal(n, 1);
  assert_int_equal(row.parent, p.ti);
  assert_int_equal(row.root, p.ti);
  assert_int_equal(row.depth, 1);
  assert_int_equal(row.job, -p.ti);
  store_rollback(w->s);
}

/* What was added goes from the list, and its own row of the tree with it. */
static void a_deleted_task_leaves_its_tree(struct world *w) {
  struct task_row p = make(w, 0, 0, 0), c = make(w, p.ti, p.ti, -p.ti);
  struct tree_row r = {.ti = c.ti, .verdict = SAID_DONE}, got;
  struct job_row j = {.job_id = -p.ti, .key = "\ttree of a fact", .name = "", .create_us = 5, .update_us = 5, .j.state = JOB_RUNNING};
  struct job_write jw = {ROW_INSERT, false, j};
  struct task_write u = {.op = ROW_UPDATE, .expect_state = TASK_QUEUED, .expect_epoch = c.t.epoch, .row = c};
  struct batch b = {.job = &jw, .n_job = 1, .task = &u, .n_task = 1, .tree = &r, .n_tree = 1};
  int64_t ids[2], defs;
  size_t n;
  bool there;
  OK(batch_do(w, &b));
  jw.op = ROW_UPDATE;
  struct batch gone = {.job = &jw, .n_job = 1, .task = &u, .n_task = 1, .gone = &c.ti, .n_gone = 1};
  uint8_t got_job;
  struct job_row locked;
  OK(store_begin(w->s, &defs));
  OK(store_job_lock(w->s, &j.job_id, 1, &locked, &got_job));
  assert_int_equal(got_job, 1);
  gone.id = world_batch_id(w);
  OK(store_write(w->s, &gone));
  OK(store_commit(w->s));
  OK(store_begin(w->s, &defs));
  OK(store_children(w->s, p.ti, 0, ids, 2, &n));
  assert_int_equal(n, 0);
  OK(store_tree(w->s, c.ti, &got, &there));
  assert_false(there);
  OK(store_job_tasks(w->s, -p.ti, 0, ids, 2, &n));
  assert_int_equal(n, 0);
  store_rollback(w->s);
}

/* The lock of a tree is among jobs, and nobody sees it there; its pass is found like that of a job. */
static void the_lock_of_a_tree_is_no_job(struct world *w) {
  int64_t id = -alone_row_of(w, 0).ti, found[8], total;
  struct job_write jw = {ROW_INSERT, false, {.job_id = id, .key = "\ttree that nobody lists", .name = "", .create_us = 5, .update_us = 5,
                                             .j = {.state = JOB_RUNNING, .wish = JOB_WISH_CANCEL, .pass = true}}};
  struct batch b = {.job = &jw, .n_job = 1};
  struct job_row list[4];
  struct wr_err err;
  struct arena a;
  size_t n = 0;
  OK(batch_do(w, &b));
  arena_init(&a, 0);
  struct reader *r = reader_get(w->s, &err);
  struct page p = {.limit = 4, .want_total = true};
  assert_int_equal(reader_list_jobs(r, &p, &a, list, &n, &total, &err), WR_OK);
  for (size_t i = 0; i < n; i++) assert_true(list[i].job_id > 0);
  assert_true(total >= (int64_t)n);
  reader_put(r);
  arena_done(&a);
  OK(store_live_jobs(w->s, INT64_MIN, found, 8, &n));
  bool there = false;
  for (size_t i = 0; i < n; i++) there |= found[i] == id;
  assert_true(there);
}

/* The trees below the tasks of one flow are found by their keys, page by page. */
static void trees_are_found_by_their_keys(struct world *w) {
  struct job_write jw[4];
  int64_t id[4], found[4];
  size_t n = 0;
  static const char *const key[] = {"\tflow 12 tree 7", "\tflow 12 tree 80", "\tflow 120 tree 9", "\ttree 12"};
  for (int i = 0; i < 4; i++) id[i] = -alone_row_of(w, 0).ti;
  for (int i = 0; i < 4; i++) { /* in the order of their numbers, the lowest first */
    jw[i] = (struct job_write){ROW_INSERT, false, {.job_id = id[3 - i], .key = key[3 - i], .name = "", .create_us = 5, .update_us = 5, .j.state = JOB_RUNNING}};
  }
  struct batch b = {.job = jw, .n_job = 4};
  int64_t defs;
  OK(batch_do(w, &b));
  OK(store_begin(w->s, &defs));
  OK(store_job_keys(w->s, "\tflow 12 tree ", "\tflow 12 tree :", found, 4, &n));
  assert_int_equal(n, 2);
  assert_true(found[0] == id[0] && found[1] == id[1]);
  OK(store_job_keys(w->s, "\tflow 12 tree ", "\tflow 12 tree :", found, 1, &n));
  assert_true(n == 1 && found[0] == id[0]);
  OK(store_job_keys(w->s, "\tflow 12 tree 7", "\tflow 12 tree :", found, 4, &n));
  assert_true(n == 1 && found[0] == id[1]);
  OK(store_job_keys(w->s, "\tflow 1 tree ", "\tflow 1 tree :", found, 4, &n));
  assert_int_equal(n, 0);
  store_rollback(w->s);
}

const struct fact facts_trees[] = {
  FACT(an_analysis_keeps_what_the_attempt_left), FACT(another_try_begins_without_its_result), FACT(a_tree_row_is_replaced),
  FACT(a_task_lists_what_it_added), FACT(a_deleted_task_leaves_its_tree), FACT(the_lock_of_a_tree_is_no_job),
  FACT(trees_are_found_by_their_keys)};
const size_t n_facts_trees = sizeof facts_trees / sizeof *facts_trees;
