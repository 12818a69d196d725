/* Facts of jobs: their rows and their lock, the list of their tasks, taskKeys within a job. */
#include "facts.h"
#include "mem.h"

static int64_t new_id(struct world *w) {
  int64_t id;
  OK(store_ids(w->s, ID_JOB, 1, &id));
  return id;
}

static struct job_row job_of(struct world *w, const char *key) {
  struct job_row r = {.job_id = new_id(w), .create_us = world_now(w), .update_us = world_now(w), .key = key, .name = "na'me \xc3\xa9",
                      .j = {.state = JOB_RUNNING, .ignore = 1, .executions = 5000000000, .timeouts = 7, .losses = 8,
                            .gone_tasks = 6000000000, .gone_attempts = 7000000000}};
  for (int i = 0; i < JOB__CLASSES; i++) r.j.count[i] = (i + 1) * 3000000000;
  for (size_t i = 0; i < KEY_HASH_BYTES; i++) r.hash[i] = (uint8_t)(i * 5);
  return r;
}

static enum store_rc put(struct world *w, struct job_write *j, size_t n, struct task_write *t, struct async_write *a, size_t n_t) {
  struct batch b = {.job = j, .n_job = n, .task = t, .n_task = n_t, .async = a, .n_async = n_t};
  return batch_do(w, &b);
}

static void make(struct world *w, const struct job_row *r) {
  struct job_write j = {ROW_INSERT, false, *r};
  OK(put(w, &j, 1, NULL, NULL, 0));
}

static void same(const struct job_row *a, const struct job_row *b) {
  assert_int_equal(a->job_id, b->job_id);
  assert_int_equal(a->create_us, b->create_us);
  assert_int_equal(a->update_us, b->update_us);
  assert_int_equal(a->end_us, b->end_us);
  assert_memory_equal(a->hash, b->hash, KEY_HASH_BYTES);
  assert_string_equal(a->key, b->key);
  assert_string_equal(a->name, b->name);
  assert_int_equal(a->j.state, b->j.state);
  assert_int_equal(a->j.wish, b->j.wish);
  assert_int_equal(a->j.how, b->j.how);
  assert_int_equal(a->j.closed, b->j.closed);
  assert_int_equal(a->j.ignore, b->j.ignore);
  assert_int_equal(a->j.pass, b->j.pass);
  if (b->j.pass) assert_int_equal(a->j.pass_at, b->j.pass_at);
  assert_memory_equal(a->j.count, b->j.count, sizeof a->j.count);
  assert_int_equal(a->j.executions, b->j.executions);
  assert_int_equal(a->j.timeouts, b->j.timeouts);
  assert_int_equal(a->j.losses, b->j.losses);
  assert_int_equal(a->j.gone_tasks, b->j.gone_tasks);
  assert_int_equal(a->j.gone_attempts, b->j.gone_attempts);
}

static uint8_t lock(struct world *w, int64_t id, struct job_row *out) {
  uint8_t got = 9;
  int64_t defs;
  OK(store_begin(w->s, &defs));
  OK(store_job_lock(w->s, &id, 1, out, &got));
  return got;
}

static void a_job_is_kept(struct world *w) {
  struct job_row r = job_of(w, "kept'\\%_"), got;
  uint8_t hash[KEY_HASH_BYTES];
  int64_t id, defs;
  assert_int_equal(lock(w, r.job_id, &got), 0);
  store_rollback(w->s);
  make(w, &r);
  assert_int_equal(lock(w, r.job_id, &got), 1);
  same(&got, &r);
  int64_t first = got.version;
  r.j = (struct job){.state = JOB_CANCELED, .wish = JOB_WISH_CANCEL, .how = 2, .closed = 1, .ignore = 1, .pass = true, .pass_at = 0,
                     .gone_tasks = 5, .gone_attempts = 9};
  r.end_us = r.update_us = world_now(w);
  struct job_write j = {ROW_UPDATE, false, r};
  struct batch b = {.job = &j, .n_job = 1, .id = world_batch_id(w)};
  OK(store_write(w->s, &b));
  OK(store_commit(w->s));
  assert_int_equal(lock(w, r.job_id, &got), 1);
  same(&got, &r);
  assert_true(got.version == b.id && got.version != first);
  store_rollback(w->s);
  OK(store_begin(w->s, &defs));
  OK(store_job_find(w->s, r.key, &id, hash));
  assert_int_equal(id, r.job_id);
  assert_memory_equal(hash, r.hash, KEY_HASH_BYTES);
  OK(store_job_find(w->s, "KEPT'\\%_", &id, hash));
  assert_int_equal(id, 0);
  store_rollback(w->s);
}

static void a_key_has_one_job(struct world *w) {
  struct job_row a = job_of(w, "one"), b = job_of(w, "one");
  make(w, &a);
  struct job_write j = {ROW_INSERT, false, b};
  assert_int_equal(put(w, &j, 1, NULL, NULL, 0), STORE_RETRY);
}

static void a_deleted_job_is_gone(struct world *w) {
  struct job_row r = job_of(w, "gone"), got;
  make(w, &r);
  assert_int_equal(lock(w, r.job_id, &got), 1);
  struct job_write j = {ROW_UPDATE, true, r};
  struct batch b = {.job = &j, .n_job = 1, .id = world_batch_id(w)};
  OK(store_write(w->s, &b));
  OK(store_commit(w->s));
  assert_int_equal(lock(w, r.job_id, &got), 0);
  store_rollback(w->s);
  make(w, &(struct job_row){.job_id = new_id(w), .create_us = 5, .update_us = 5, .key = "gone", .name = "", .j.state = JOB_RUNNING});
}

/* A task of the job (0: of none), perhaps with a taskKey. */
static enum store_rc add(struct world *w, int64_t job, const char *key, int64_t *ti) {
  struct task_row t = alone_row_of(w, 0);
  struct async_row a = {.ti = t.ti, .create_us = t.create_us, .name = "n", .type = "ECHO", .key = key, .job = job, .scope = job};
  struct task_write tw = {.op = ROW_INSERT, .expect_state = -1, .row = t};
  struct async_write aw = {ROW_INSERT, a};
  *ti = t.ti;
  return put(w, NULL, 0, &tw, &aw, 1);
}

static void a_job_lists_its_tasks(struct world *w) {
  struct job_row one = job_of(w, "lists"), two = job_of(w, "lists too");
  int64_t ti[5], other, got[8], defs;
  size_t n;
  make(w, &one), make(w, &two);
  for (int i = 0; i < 5; i++) OK(add(w, one.job_id, NULL, &ti[i]));
  OK(add(w, two.job_id, NULL, &other));
  OK(store_begin(w->s, &defs));
  OK(store_job_tasks(w->s, one.job_id, 0, got, 8, &n));
  assert_int_equal(n, 5);
  assert_memory_equal(got, ti, sizeof ti);
  OK(store_job_tasks(w->s, one.job_id, ti[1], got, 2, &n));
  assert_int_equal(n, 2);
  assert_int_equal(got[0], ti[2]);
  struct async_row row;
  OK(store_async(w->s, &ti[0], 1, &row, &n));
  assert_int_equal(n, 1);
  assert_int_equal(row.job, one.job_id);
  store_rollback(w->s);
}

static void names_are_those_of_their_job(struct world *w) {
  struct job_row one = job_of(w, "names"), two = job_of(w, "names too");
  int64_t a, b, c, none, defs;
  make(w, &one), make(w, &two);
  OK(add(w, one.job_id, "same name", &a));
  OK(add(w, two.job_id, "same name", &b));
  OK(add(w, 0, "same name", &c));
  assert_int_equal(add(w, one.job_id, "same name", &none), STORE_RETRY);
  const struct key_name key[] = {{"same name", 0}, {"other", one.job_id}, {"same name", one.job_id}, {"same name", two.job_id}};
  struct async_key out[4];
  uint8_t got[4];
  OK(store_begin(w->s, &defs));
  OK(store_async_keys(w->s, key, 4, out, got));
  store_rollback(w->s);
  assert_memory_equal(got, ((uint8_t[]){1, 0, 1, 1}), 4);
  assert_int_equal(out[0].ti, c);
  assert_int_equal(out[2].ti, a);
  assert_int_equal(out[3].ti, b);
}

static void passes_are_found(struct world *w) {
  struct job_row r = job_of(w, "pass"), none = job_of(w, "no pass");
  int64_t id[4];
  size_t n;
  r.j.pass = true;
  make(w, &none), make(w, &r);
  OK(store_live_jobs(w->s, r.job_id - 1, id, 4, &n));
  assert_true(n >= 1 && id[0] == r.job_id);
  OK(store_live_jobs(w->s, r.job_id, id, 4, &n));
  assert_int_equal(n, 0);
}

static void readers_see_jobs(struct world *w) {
  struct job_row r = job_of(w, "read"), got, page[2];
  struct wr_err err;
  struct arena a;
  size_t n;
  int64_t total;
  arena_init(&a, 0);
  make(w, &r);
  struct reader *reader = reader_get(w->s, &err);
  assert_non_null(reader);
  assert_int_equal(reader_job(reader, r.job_id, &a, &got, &err), WR_OK);
  same(&got, &r);
  assert_int_equal(reader_job(reader, r.job_id + 1000, &a, &got, &err), WR_NOT_FOUND);
  assert_int_equal(reader_list_jobs(reader, &(struct page){.limit = 2, .want_total = true}, &a, page, &n, &total, &err), WR_OK);
  assert_int_equal(page[0].job_id, r.job_id); /* the newest */
  assert_true(total >= (int64_t)n && n >= 1);
  struct ins_state state;
  assert_int_equal(reader_states(reader, INS_JOB, &r.job_id, 1, &state, &n, &err), WR_OK);
  assert_int_equal(n, 1);
  assert_int_equal(state.state, JOB_RUNNING);
  reader_put(reader);
  arena_done(&a);
}

/* Who waits for a deletion is told when all is gone, and when what is left goes on no more. */
static void waiting_for_a_deletion(struct world *w) {
  static const struct { struct job j; int state; } want[] = {
    {{.state = JOB_DELETING, .pass = true}, JOB_CANCELED}, {{.state = JOB_DELETING, .count = {[JOB_BAD] = 1}}, JOB_CANCELED},
    {{.state = JOB_DELETING, .count = {[JOB_BAD] = 1}, .pass = true}, JOB_DELETING},
    {{.state = JOB_DELETING, .count = {[JOB_BUSY] = 1}}, JOB_DELETING}};
  static const char *const key[] = {"ends 0", "ends 1", "ends 2", "ends 3"};
  for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
    struct job_row r = job_of(w, key[i]);
    struct ins_state state;
    struct wr_err err;
    size_t n;
    r.j = want[i].j;
    assert_int_equal(job_stuck(&r.j), want[i].state == JOB_CANCELED);
    make(w, &r);
    struct reader *reader = reader_get(w->s, &err);
    assert_non_null(reader);
    assert_int_equal(reader_states(reader, INS_JOB, &r.job_id, 1, &state, &n, &err), WR_OK);
    assert_int_equal(state.state, want[i].state);
    reader_put(reader);
  }
}

/* ---- what is left of a job ---- */

static enum job_runs_in runs_in(const void *ctx, const char *type) {
  assert_ptr_equal(ctx, &runs_in);
  assert_non_null(type);
  return strcmp(type, "PROGRAM") == 0 ? JOB_RUNS_PROCESS : strcmp(type, "PAGE") == 0 ? JOB_RUNS_URL : JOB_RUNS_INSIDE;
}

struct a_task { const char *type, *context; enum task_state state; uint32_t epoch; };

static int64_t task_of(struct world *w, int64_t job, int64_t parent, const struct a_task *is) {
  struct task_row t = alone_row_of(w, 0);
  bool owned = is->state == TASK_RUNNING;
  t.t.state = (uint8_t)is->state;
  t.t.epoch = is->epoch;
  t.t.owner = owned ? w->me : 0;
  t.t.start_us = is->epoch ? world_now(w) : 0;
  t.end_us = task_final(is->state) ? world_now(w) : 0;
  struct task_write tw = {.op = ROW_INSERT, .expect_state = -1, .row = t};
  struct async_write aw = {ROW_INSERT, {.ti = t.ti, .create_us = t.create_us, .name = "n", .type = is->type, .job = job, .scope = job,
    .parent = parent, .root = parent, .depth = parent ? 1 : 0, .context = is->context, .context_len = is->context ? strlen(is->context) : 0}};
  OK(put(w, NULL, 0, &tw, &aw, 1));
  return t.ti;
}

static struct job_left left_of(struct world *w, int64_t job, int64_t *ti, size_t *n) {
  static const struct job_look how = {runs_in, &runs_in};
  struct job_left left;
  struct wr_err err;
  struct reader *r = reader_get(w->s, &err);
  assert_non_null(r);
  assert_int_equal(reader_job_left(r, job, &how, &left, ti, n, &err), WR_OK);
  reader_put(r);
  return left;
}

static struct job_left rows_of(struct world *w, const int64_t *ti, size_t n) {
  struct job_left rows;
  struct wr_err err;
  struct reader *r = reader_get(w->s, &err);
  assert_non_null(r);
  assert_int_equal(reader_job_rows(r, ti, n, &rows, &err), WR_OK);
  reader_put(r);
  return rows;
}

/* Of its own tasks alone; how often one was analysed is no attempt of it. */
static void what_is_left_of_a_job(struct world *w) {
  static const struct a_task is[] = {
    {"ECHO", "given", TASK_QUEUED, 0}, {"PROGRAM", NULL, TASK_RUNNING, 2}, {"PAGE", NULL, TASK_RUNNING, 1},
    {"PROGRAM", NULL, TASK_SUCCESS, 3 + 2 * (TASK_ATTEMPT_MAX + 1)}, {"PAGE", NULL, TASK_FAILED, 1}};
  struct job_row one = job_of(w, "left"), two = job_of(w, "left too"), none = job_of(w, "left none");
  int64_t ti[5], *got = wr_calloc(LIMIT_JOB_LOOK, sizeof *got);
  size_t n = 0;
  make(w, &one), make(w, &two), make(w, &none);
  for (int i = 0; i < 5; i++) ti[i] = task_of(w, one.job_id, i == 4 ? ti[3] : 0, &is[i]);
  int64_t other = task_of(w, two.job_id, ti[3], &is[1]); /* below it, and of another job: no answer of an analyzer makes one */
  struct logs *l;
  struct wr_err err;
  assert_int_equal(logs_open(w->s, &l, &err), WR_OK);
  const struct log_chunk c[] = {{.ti = ti[1], .epoch = 1, .seq = 1, .data = "a", .n = 1}, {.ti = ti[1], .epoch = 2, .seq = 1, .data = "b", .n = 1},
                                {.ti = ti[3], .epoch = 3, .seq = 1, .data = "c", .n = 1}, {.ti = other, .epoch = 1, .seq = 1, .data = "d", .n = 1}};
  OK(logs_write(l, c, 4));
  OK(logs_put_context(l, ti[1], 2, w->me, world_now(w), "reported", 8));
  logs_close(l);
  struct job_left left = left_of(w, one.job_id, got, &n);
  assert_int_equal(n, 5);
  assert_memory_equal(got, ti, sizeof ti);
  assert_int_equal(left.tasks, 5);
  assert_int_equal(left.attempts, 0 + 2 + 1 + 3 + 1);
  assert_int_equal(left.hints, 1);
  assert_int_equal(left.processes, 1);
  assert_int_equal(left.unconfirmed, 1);
  assert_int_equal(left.logs, 2);
  assert_int_equal(left.contexts, 2);
  assert_int_equal(left.children, 1);
  left = left_of(w, two.job_id, NULL, NULL);
  assert_true(left.tasks == 1 && left.processes == 1 && left.logs == 1 && left.children == 0 && left.contexts == 0);
  left = left_of(w, none.job_id, got, &n);
  assert_int_equal(n, 0);
  assert_memory_equal(&left, &(struct job_left){0}, sizeof left);
  struct job_left rows = rows_of(w, ti, 5);
  assert_true(rows.tasks >= 5 && rows.logs == 2 && rows.contexts == 1 && rows.children >= 1); /* not none: that is asked */
  int64_t never = new_id(w) + (INT64_C(1) << 60);
  rows = rows_of(w, &never, 1);
  assert_memory_equal(&rows, &(struct job_left){0}, sizeof rows);
  free(got);
}

const struct fact facts_jobs[] = {
  FACT(a_job_is_kept), FACT(a_key_has_one_job), FACT(a_deleted_job_is_gone), FACT(a_job_lists_its_tasks),
  FACT(names_are_those_of_their_job), FACT(readers_see_jobs), FACT(waiting_for_a_deletion), FACT_FRESH(passes_are_found), FACT(what_is_left_of_a_job),
};
const size_t n_facts_jobs = sizeof facts_jobs / sizeof *facts_jobs;
