/* Facts of stand-alone tasks: their async rows, taskKeys, the delete of a task, and the lists. facts_reports.c has what attempts
 * report. */
#include "facts.h"
#include "mem.h"

static struct async_row async_of(const struct task_row *t) {
  return (struct async_row){.ti = t->ti, .create_us = t->create_us, .name = "n", .type = "ECHO", .run_no = 1};
}

static struct async_row full_async(const struct task_row *t) {
  struct async_row a = {.ti = t->ti, .create_us = t->create_us, .name = "na'me", .type = "SHELL", .content = "echo \\'1'", .config = "{\"a\":1}",
                        .user = "us\xc3\xa9r ", .group = "g", .priority = -100, .cpu = 1000000, .start_at_us = 1800000000000007,
                        .run_no = 3, .run_epoch = 4000000000u, .context = "c\xe2\x82\xac" "t", .context_len = 5, .context_epoch = 2};
  for (size_t i = 0; i < KEY_HASH_BYTES; i++) a.hash[i] = (uint8_t)(i * 7);
  return a;
}

static enum store_rc put(struct world *w, struct task_write *t, size_t n_t, struct async_write *a, size_t n_a, const int64_t *gone, size_t n_gone) {
  struct batch b = {.task = t, .n_task = n_t, .async = a, .n_async = n_a, .gone = gone, .n_gone = n_gone};
  return batch_do(w, &b);
}

/* A stand-alone task with its async row; what a points to is filled in. */
static struct task_row made(struct world *w, struct async_row *a, int64_t task_id) {
  struct task_row t = alone_row_of(w, task_id);
  a->ti = t.ti, a->create_us = t.create_us;
  if (!a->name) a->name = "n", a->type = "ECHO";
  struct task_write tw = {.op = ROW_INSERT, .expect_state = -1, .row = t};
  struct async_write aw = {ROW_INSERT, *a};
  OK(put(w, &tw, 1, &aw, 1, NULL, 0));
  return t;
}

static void text_is(const char *is, const char *want, const char *what) {
  if (!is || !want ? is != want : strcmp(is, want) != 0) fail_msg("%s: %s, not %s", what, is ? is : "NULL", want ? want : "NULL");
}
#define TEXT_IS(f) text_is(a->f, b->f, #f)
static void int_is(int64_t is, int64_t want, const char *what) {
  if (is != want) fail_msg("%s: %lld, not %lld", what, (long long)is, (long long)want);
}
#define INT_IS(f) int_is((int64_t)a->f, (int64_t)b->f, #f)
static void async_same(const struct async_row *a, const struct async_row *b, bool whole) {
  INT_IS(ti), INT_IS(create_us), TEXT_IS(name), TEXT_IS(type), INT_IS(priority), INT_IS(cpu), INT_IS(start_at_us), INT_IS(run_epoch);
  text_is(a->user, b->user ? b->user : "", "user"), text_is(a->group, b->group ? b->group : "", "group"), TEXT_IS(key);
  INT_IS(context_len), INT_IS(context_epoch);
  assert_int_equal(a->run_no, b->run_no ? b->run_no : 1);
  if (b->key) assert_memory_equal(a->hash, b->hash, KEY_HASH_BYTES);
  text_is(a->content, whole ? b->content : NULL, "content"), text_is(a->config, whole ? b->config : NULL, "config");
  assert_null(a->context);
}

static const struct async_row *wanted;
static int seen;
static int see_async(void *ctx, const struct async_row *a) {
  (void)ctx;
  async_same(a, wanted, true);
  seen++;
  return 0;
}

/* Both ways of reading. */
static void async_is(struct world *w, const struct async_row *want) {
  struct async_row got;
  struct wr_err err;
  size_t n = 9;
  int64_t defs;
  OK(store_begin(w->s, &defs));
  OK(store_async(w->s, &want->ti, 1, &got, &n));
  assert_int_equal(n, 1);
  async_same(&got, want, true);
  store_rollback(w->s);
  struct reader *r = reader_of(w);
  wanted = want, seen = 0;
  WR(reader_async(r, want->ti, see_async, NULL, &err));
  assert_int_equal(seen, 1);
  reader_put(r);
}

static bool there(struct world *w, int64_t ti) {
  struct wr_err err;
  struct reader *r = reader_of(w);
  struct ids v = {0};
  enum wr_rc rc = reader_task_ins(r, ti, ids_task, &v, &err);
  reader_put(r);
  return rc == WR_OK;
}

/* ---- rows ---- */
static void async_row_reads_back(struct world *w) {
  struct task_row t = alone_row_of(w, 0);
  t.t.version = 0;
  struct async_row a = full_async(&t), none = async_of(&t);
  a.key = "reads-back!~";
  struct task_write tw[2] = {{.op = ROW_INSERT, .expect_state = -1, .row = t}, {.op = ROW_INSERT, .expect_state = -1, .row = alone_row_of(w, 7)}};
  none.ti = tw[1].row.ti;
  struct async_write aw[2] = {{ROW_INSERT, a}, {ROW_INSERT, none}};
  OK(put(w, tw, 2, aw, 2, NULL, 0));
  async_is(w, &a);
  async_is(w, &none);
  struct task_row got = task_get(w, t.ti);
  assert_int_equal(got.task_id, 0);
  assert_int_equal(got.t.version, 0);
}

static void each_async_column_alone(struct world *w) {
  for (int i = 0; i < 9; i++) {
    struct async_row a = {.name = "n", .type = "T"};
    switch (i) {
    case 0: a.user = "u"; break;
    case 1: a.group = "g"; break;
    case 2: a.priority = 1; break;
    case 3: a.cpu = 1; break;
    case 4: a.key = "alone-key"; break;
    case 5: a.start_at_us = 5; break;
    case 6: a.content = ""; break;
    case 7: a.config = "{}"; break;
    default: a.context = "", a.context_len = 0; break;
    }
    made(w, &a, 0);
    async_is(w, &a);
  }
}

static void async_update_writes_its_columns(struct world *w) {
  struct async_row a = full_async(&(struct task_row){.ti = 0});
  struct task_row t = made(w, &a, 0);
  struct async_row u = {.ti = t.ti, .create_us = 9, .name = "other", .type = "other", .content = "other", .config = "other", .user = "u2", .key = "not-written",
                        .priority = 5, .cpu = 6, .start_at_us = 7, .run_no = 8, .run_epoch = 9};
  struct async_write aw = {ROW_UPDATE, u};
  OK(put(w, NULL, 0, &aw, 1, NULL, 0));
  a.user = "u2", a.group = "", a.priority = 5, a.cpu = 6, a.start_at_us = 7, a.run_no = 8, a.run_epoch = 9;
  async_is(w, &a); /* the context is kept, with its epoch */
  aw.row.context = "", aw.row.context_len = 0, aw.row.context_epoch = 9, aw.row.user = NULL, aw.row.start_at_us = 0;
  OK(put(w, NULL, 0, &aw, 1, NULL, 0));
  a.user = "", a.start_at_us = 0, a.context_len = 0, a.context_epoch = 9;
  async_is(w, &a);
}

static void async_row_that_is_missing(struct world *w) {
  struct wr_err err;
  struct async_row got;
  size_t n = 9;
  int64_t defs, ti;
  OK(store_ids(w->s, ID_TI, 1, &ti));
  OK(store_begin(w->s, &defs));
  OK(store_async(w->s, &ti, 1, &got, &n));
  assert_int_equal(n, 0);
  store_rollback(w->s);
  struct async_write aw = {ROW_UPDATE, {.ti = ti, .name = "n", .type = "t"}};
  IS(put(w, NULL, 0, &aw, 1, NULL, 0), STORE_BAD);
  struct reader *r = reader_of(w);
  assert_int_equal(reader_async(r, ti, see_async, NULL, &err), WR_NOT_FOUND);
  reader_put(r);
}

static void thousand_async_rows_at_once(struct world *w) {
  enum { N = 1200 };
  static struct task_write tw[N];
  static struct async_write aw[N];
  static struct async_row got[N];
  static int64_t ti[N];
  char *content = wr_calloc(1, 20001);
  memset(content, 'x', 20000);
  size_t n = 0;
  int64_t defs, first;
  OK(store_ids(w->s, ID_TI, N, &first));
  for (int i = 0; i < N; i++) {
    struct task_row t = {.ti = first + i, .create_us = 5, .update_us = 5, .exit_code = -1, .t = {.state = TASK_QUEUED}};
    ti[i] = t.ti;
    tw[i] = (struct task_write){.op = ROW_INSERT, .expect_state = -1, .row = t};
    aw[i] = (struct async_write){ROW_INSERT, async_of(&t)};
    if (i % 3 == 0) aw[i].row.content = content, aw[i].row.user = "many";
    if (i % 5 == 0) aw[i].row.group = "of many"; /* rows that name few columns stand between those that name all */
    if (i % 7 == 0) aw[i].row.config = "{}";
    if (i > N / 2 && i % 11 == 0) aw[i].row.priority = i, aw[i].row.start_at_us = i;
  }
  OK(put(w, tw, N, aw, N, NULL, 0));
  OK(store_begin(w->s, &defs));
  OK(store_async(w->s, ti, N, got, &n));
  assert_int_equal(n, N);
  for (int i = 0; i < N; i++) async_same(&got[i], &aw[i].row, true);
  store_rollback(w->s);
  free(content);
}

/* ---- taskKeys ---- */
static uint8_t ask(struct world *w, const char *key, struct async_key *out) {
  uint8_t got = 9;
  int64_t defs;
  OK(store_begin(w->s, &defs));
  OK(store_async_keys(w->s, &(struct key_name){key, 0}, 1, out, &got));
  store_rollback(w->s);
  return got;
}

static void task_key_is_found(struct world *w) {
  struct async_key got;
  struct async_row a = full_async(&(struct task_row){.ti = 0});
  a.key = "Found'\\%_";
  assert_int_equal(ask(w, a.key, &got), 0);
  struct task_row t = made(w, &a, 0);
  assert_int_equal(ask(w, a.key, &got), 1);
  assert_int_equal(got.ti, t.ti);
  assert_memory_equal(got.hash, a.hash, KEY_HASH_BYTES);
  assert_int_equal(ask(w, "found'\\%_", &got), 0);
}

static void task_key_twice_in_one_batch(struct world *w) {
  struct task_write tw[2] = {{.op = ROW_INSERT, .expect_state = -1, .row = alone_row_of(w, 0)}, {.op = ROW_INSERT, .expect_state = -1, .row = alone_row_of(w, 0)}};
  struct async_write aw[2] = {{ROW_INSERT, async_of(&tw[0].row)}, {ROW_INSERT, async_of(&tw[1].row)}};
  struct async_key got;
  aw[0].row.key = aw[1].row.key = "in-one";
  IS(put(w, tw, 2, aw, 2, NULL, 0), STORE_RETRY);
  assert_int_equal(ask(w, "in-one", &got), 0);
  assert_false(there(w, tw[0].row.ti));
  aw[1].row.key = NULL;
  OK(put(w, tw, 2, aw, 2, NULL, 0));
  assert_int_equal(ask(w, "in-one", &got), 1);
}

static void task_key_twice_in_two_batches(struct world *w) {
  struct async_row a = {.key = "in-two"};
  struct async_key got;
  struct task_row t = made(w, &a, 0);
  struct task_write tw = {.op = ROW_INSERT, .expect_state = -1, .row = alone_row_of(w, 0)};
  struct async_write aw = {ROW_INSERT, async_of(&tw.row)};
  aw.row.key = "in-two";
  IS(put(w, &tw, 1, &aw, 1, NULL, 0), STORE_RETRY);
  assert_int_equal(ask(w, "in-two", &got), 1);
  assert_int_equal(got.ti, t.ti);
  assert_false(there(w, tw.row.ti));
}

static void many_task_keys_at_once(struct world *w) {
  enum { N = 700 };
  static char text[2 * N][20];
  static struct key_name asked[2 * N];
  static struct task_write tw[N];
  static struct async_write aw[N];
  static struct async_key row[2 * N];
  static uint8_t got[2 * N];
  int64_t defs, first;
  OK(store_ids(w->s, ID_TI, N, &first));
  for (int i = 0; i < 2 * N; i++) {
    snprintf(text[i], sizeof text[i], "many-%06d", i);
    asked[i] = (struct key_name){text[i], 0};
    if (i % 2 == 0) continue;
    struct task_row t = {.ti = first + i / 2, .create_us = 5, .update_us = 5, .exit_code = -1, .t = {.state = TASK_QUEUED}};
    tw[i / 2] = (struct task_write){.op = ROW_INSERT, .expect_state = -1, .row = t};
    aw[i / 2] = (struct async_write){ROW_INSERT, async_of(&t)};
    aw[i / 2].row.key = text[i];
  }
  OK(put(w, tw, N, aw, N, NULL, 0));
  OK(store_begin(w->s, &defs));
  OK(store_async_keys(w->s, asked, 2 * N, row, got));
  store_rollback(w->s);
  for (int i = 0; i < 2 * N; i++) {
    assert_int_equal(got[i], i % 2);
    if (i % 2) assert_int_equal(row[i].ti, first + i / 2);
  }
}

/* ---- the end of a task that is deleted ---- */
static int see_run(void *ctx, const struct attempt_row *a) {
  uint32_t *v = ctx;
  v[a->epoch] = a->run_no;
  return 0;
}

static struct task_write ends(const struct task_row *t, uint8_t state) {
  struct task_write w = {.op = ROW_UPDATE, .expect_state = t->t.state, .expect_epoch = t->t.epoch, .row = *t};
  w.row.t.state = state, w.row.end_us = w.row.update_us;
  return w;
}

static bool alone_lives(struct world *w, int64_t ti) {
  struct live_task v[100];
  size_t n = 1;
  bool hit = false;
  for (int64_t after = 0; n; after = v[n - 1].ti) {
    OK(store_live_tasks(w->s, after, v, 100, &n));
    for (size_t i = 0; i < n; i++) hit |= v[i].ti == ti && v[i].state;
    if (!n) break;
  }
  return hit;
}

static void deleted_task_leaves_nothing(struct world *w) {
  struct async_row a = {.key = "to-be-gone", .user = "u"};
  struct async_key key;
  struct task_row t = made(w, &a, 0);
  struct attempt_row at = {.ti = t.ti, .epoch = 1, .why = "FAIL", .start_us = 1, .end_us = 2, .exit_code = -1, .run_no = 1};
  struct batch b = {.attempt = &at, .n_attempt = 1};
  OK(batch_do(w, &b));
  struct task_write tw = ends(&t, TASK_CANCELED);
  OK(put(w, &tw, 1, NULL, 0, &t.ti, 1));
  assert_false(there(w, t.ti));
  assert_false(alone_lives(w, t.ti));
  assert_int_equal(ask(w, "to-be-gone", &key), 0);
  struct reader *r = reader_of(w);
  uint32_t none[2] = {0};
  struct wr_err err;
  assert_int_equal(reader_async(r, t.ti, see_async, NULL, &err), WR_NOT_FOUND);
  WR(reader_attempts(r, t.ti, see_run, none, &err));
  assert_int_equal(none[1], 0);
  reader_put(r);
  IS(put(w, &tw, 1, NULL, 0, &t.ti, 1), STORE_STALE); /* another node would find it gone */
}

static void delete_of_a_task_that_moved_is_stale(struct world *w) {
  struct async_row a = {0};
  struct task_row t = made(w, &a, 0);
  struct task_write tw = ends(&t, TASK_CANCELED);
  tw.expect_epoch = 7;
  IS(put(w, &tw, 1, NULL, 0, &t.ti, 1), STORE_STALE);
  assert_true(tw.stale);
  assert_true(there(w, t.ti));
  async_is(w, &a);
}

/* A key may go from a task that is deleted to a new one within a batch. */
static void key_of_a_deleted_task_is_free(struct world *w) {
  struct async_row a = {.key = "passed-on"};
  struct async_key key;
  struct task_row t = made(w, &a, 0);
  struct task_write tw[2] = {ends(&t, TASK_CANCELED), {.op = ROW_INSERT, .expect_state = -1, .row = alone_row_of(w, 0)}};
  struct async_write aw = {ROW_INSERT, async_of(&tw[1].row)};
  aw.row.key = "passed-on";
  OK(put(w, tw, 2, &aw, 1, &t.ti, 1));
  assert_int_equal(ask(w, "passed-on", &key), 1);
  assert_int_equal(key.ti, tw[1].row.ti);
}

static void final_task_lives_again(struct world *w) {
  struct async_row a = {0};
  struct task_row t = made(w, &a, 0);
  struct task_write tw = ends(&t, TASK_FAILED);
  tw.finish = true, tw.row.error = "no", tw.row.result = "half", tw.row.result_len = 4, tw.row.exit_code = 3, tw.row.t.again = 9;
  OK(put(w, &tw, 1, NULL, 0, NULL, 0));
  assert_false(alone_lives(w, t.ti));
  struct task_write again = {.op = ROW_UPDATE, .finish = true, .clear_result = true, .expect_state = TASK_FAILED, .row = t};
  again.row.error = "", again.row.exit_code = -1;
  OK(put(w, &again, 1, NULL, 0, NULL, 0));
  assert_true(alone_lives(w, t.ti));
  struct task_row got = task_get(w, t.ti);
  assert_null(got.result);
  assert_int_equal(got.t.again, 0);
  assert_int_equal(got.exit_code, -1);
  assert_int_equal(got.t.state, TASK_QUEUED);
}

/* ---- phase, resume, again; who ran it ---- */
/* Of a task that stops, a wish changes no state. Alone in its batch, and beside another one. */
static void wish_of_another_node_is_seen(struct world *w) {
  int64_t id = task_save(w, "t", "ECHO");
  struct task_row r = alone_row_of(w, id), other = alone_row_of(w, id);
  r.t.state = TASK_PAUSING, r.t.epoch = 1, r.t.owner = w->me;
  OK(put_task(w, ROW_INSERT, &r));
  OK(put_task(w, ROW_INSERT, &other));
  struct task_row was = task_get(w, r.ti);
  struct task_write run = {.op = ROW_UPDATE, .expect_epoch = 1, .expect_state = TASK_PAUSING, .expect_wished = task_wished(&was.t), .row = r};
  struct task_write end[2] = {run, {.op = ROW_UPDATE, .expect_state = TASK_QUEUED, .row = other}};
  struct batch b = {.task = &run, .n_task = 1};
  run.row.t.resume = RESUME_RUN;
  end[0].row.t.state = TASK_PAUSED, end[0].row.t.owner = 0;
  OK(batch_do(w, &b));
  for (size_t n = 1; n <= 2; n++) {
    b = (struct batch){.task = end, .n_task = n};
    IS(batch_do(w, &b), STORE_STALE);
    assert_true(end[0].stale && !end[1].stale);
    assert_int_equal(task_get(w, r.ti).t.resume, RESUME_RUN);
  }
  struct task_row now = task_get(w, r.ti);
  for (size_t n = 2; n >= 1; n--) { /* read again: CANCELING, then the deletion of it */
    end[0].expect_wished = task_wished(&now.t), end[0].expect_state = now.t.state;
    end[0].row.t = now.t;
    end[0].row.t.state = TASK_CANCELING, end[0].row.t.end_as = TASK_CANCELED, end[0].row.t.resume = RESUME_NONE;
    b = (struct batch){.task = end, .n_task = n};
    OK(batch_do(w, &b));
    end[1].expect_state = end[1].row.t.state;
    now = task_get(w, r.ti);
  }
  struct task_write del = end[0];
  del.expect_state = now.t.state, del.expect_wished = task_wished(&now.t), del.row.t = now.t;
  del.row.t.phase = PHASE_DELETE, del.row.t.end_as = TASK_QUEUED;
  b = (struct batch){.task = &del, .n_task = 1};
  OK(batch_do(w, &b));
  end[0] = del;
  end[0].expect_wished = task_wished(&now.t);
  end[0].row.t = now.t, end[0].row.t.state = TASK_CANCELED, end[0].row.t.owner = 0;
  b = (struct batch){.task = end, .n_task = 1};
  IS(batch_do(w, &b), STORE_STALE);
  assert_int_equal(task_get(w, r.ti).t.phase, PHASE_DELETE);
}

static void what_a_task_carries(struct world *w) {
  struct async_row a = {0};
  struct task_row t = made(w, &a, 0), got;
  static const struct { uint8_t state, phase, resume, again; } step[] = {
    {TASK_RUNNING, 0, 0, 1}, {TASK_PAUSING, 0, 1, 1}, {TASK_PAUSING, 0, 0, 1}, {TASK_PAUSED, 0, 0, 1}, {TASK_QUEUED, 1, 0, 100}, {TASK_FAILED, 1, 0, 100}};
  for (size_t i = 0; i < sizeof step / sizeof *step; i++) {
    struct task_row was = t;
    t.t.state = step[i].state, t.t.phase = step[i].phase, t.t.resume = step[i].resume, t.t.again = step[i].again;
    t.t.epoch = 1, t.t.owner = step[i].state == TASK_RUNNING || step[i].state == TASK_PAUSING ? w->me : 0;
    struct task_write tw = {.op = ROW_UPDATE, .expect_state = was.t.state, .expect_epoch = was.t.epoch,
                            .expect_wished = task_wished(&was.t), .row = t};
    OK(put(w, &tw, 1, NULL, 0, NULL, 0));
    got = task_get(w, t.ti);
    task_same(&got, &t);
    assert_int_equal(got.ran_by, w->me);
  }
}

/* PAUSING with a wish to run, then its end by itself: the wish is over. */
static void a_wish_to_resume_ends_with_pausing(struct world *w) {
  struct async_row a = {0};
  struct task_row t = made(w, &a, 0), got;
  t.t.state = TASK_PAUSING, t.t.resume = 1, t.t.epoch = 1, t.t.owner = w->me;
  OK(put_task(w, ROW_UPDATE, &t));
  t.t.state = TASK_SUCCESS, t.t.resume = 0, t.t.owner = 0, t.error = "", t.end_us = 5;
  OK(put_finish(w, &t));
  got = task_get(w, t.ti);
  assert_int_equal(got.t.resume, 0);
  t.t.state = TASK_PAUSING, t.t.owner = w->me, t.t.epoch = 2;
  OK(put_task(w, ROW_UPDATE, &t));
  got = task_get(w, t.ti);
  assert_int_equal(got.t.resume, 0);
}

static int64_t ran_by(struct world *w, int64_t ti) { return task_get(w, ti).ran_by; }

static void who_ran_it_last_is_known(struct world *w) {
  struct flow_def *f = flow_save(w, "f", "{'nodeKey':'a','tasks':[{'taskName':'t','taskType':'ECHO'},{'taskName':'t','taskType':'ECHO'},{'taskName':'t','taskType':'ECHO'}]}");
  struct started s = flow_start(w, f);
  struct task_row t[3];
  for (uint32_t i = 0; i < 3; i++) {
    t[i] = task_row_of(w, &s, 0, i);
    if (i == 1) t[i].t.state = TASK_SUCCESS, t[i].t.epoch = 1, t[i].end_us = 9; /* claimed and ended within a batch */
    OK(put_task(w, ROW_INSERT, &t[i]));
  }
  assert_int_equal(ran_by(w, t[0].ti), 0);
  assert_int_equal(ran_by(w, t[1].ti), w->me);
  t[0].t.state = TASK_RUNNING, t[0].t.epoch = 1, t[0].t.owner = 77;
  OK(put_task(w, ROW_UPDATE, &t[0]));
  assert_int_equal(ran_by(w, t[0].ti), 77);
  t[0].t.state = TASK_QUEUED, t[0].t.owner = 0; /* handed back, or lost */
  OK(put_task(w, ROW_UPDATE, &t[0]));
  assert_int_equal(ran_by(w, t[0].ti), 77);
  assert_int_equal(task_get(w, t[0].ti).t.owner, 0);
  t[0].t.state = TASK_SUCCESS, t[0].t.epoch = 2, t[0].error = "", t[0].end_us = 9;
  OK(put_finish(w, &t[0]));
  assert_int_equal(ran_by(w, t[0].ti), w->me);
  t[2].t.state = TASK_CANCELED, t[2].end_us = 9; /* nobody ever did */
  OK(put_task(w, ROW_UPDATE, &t[2]));
  assert_int_equal(ran_by(w, t[2].ti), 0);
  def_flow_unref(f);
}

static void attempts_say_their_run(struct world *w) {
  struct async_row a = {0};
  struct task_row t = made(w, &a, 0);
  struct attempt_row at[2] = {{.ti = t.ti, .epoch = 1, .why = "FAIL", .exit_code = -1}, {.ti = t.ti, .epoch = 2, .why = "NOT_NOW", .exit_code = -1, .run_no = 4}};
  struct batch b = {.attempt = at, .n_attempt = 2};
  uint32_t run[3] = {0};
  struct wr_err err;
  OK(batch_do(w, &b));
  struct reader *r = reader_of(w);
  WR(reader_attempts(r, t.ti, see_run, run, &err));
  reader_put(r);
  assert_int_equal(run[1], 1);
  assert_int_equal(run[2], 4);
}

/* A final task that is run again puts its last attempt there, which may be history already. */
static void attempt_twice_stands_as_it_was(struct world *w) {
  struct async_row a = {0};
  struct task_row t = made(w, &a, 0);
  struct attempt_row first = {.ti = t.ti, .epoch = 1, .why = "FAIL", .exit_code = -1, .run_no = 7};
  struct attempt_row again[2] = {{.ti = t.ti, .epoch = 1, .why = "PAUSED", .exit_code = -1, .run_no = 8},
                                 {.ti = t.ti, .epoch = 2, .why = "PAUSED", .exit_code = -1, .run_no = 9}};
  uint32_t run[3] = {0};
  struct wr_err err;
  OK(batch_do(w, &(struct batch){.attempt = &first, .n_attempt = 1}));
  OK(batch_do(w, &(struct batch){.attempt = again, .n_attempt = 2}));
  struct reader *r = reader_of(w);
  WR(reader_attempts(r, t.ti, see_run, run, &err));
  reader_put(r);
  assert_int_equal(run[1], 7);
  assert_int_equal(run[2], 9);
}

struct heard { uint8_t said; char error[40]; };
static int hear(void *ctx, const struct attempt_row *a) {
  struct heard *h = (struct heard *)ctx + a->epoch;
  h->said = a->said;
  snprintf(h->error, sizeof h->error, "%s", a->error ? a->error : "-");
  return 0;
}

/* Its row stands when the verdict comes; without a message what the attempt itself said stays. */
static void attempts_keep_what_was_said_of_them(struct world *w) {
  struct async_row a = {0};
  struct task_row t = made(w, &a, 0);
  struct attempt_row at[3] = {{.ti = t.ti, .epoch = 1, .why = "OK", .exit_code = -1, .error = ""},
                              {.ti = t.ti, .epoch = 2, .why = "FAIL", .exit_code = 1, .error = "own"}, {.ti = t.ti, .epoch = 3, .why = "OK", .exit_code = -1, .error = ""}};
  const struct attempt_said said[2] = {{t.ti, 1, SAID_RETRY, "h'alf"}, {t.ti, 2, SAID_FAILED, NULL}};
  struct heard h[4] = {0};
  struct wr_err err;
  OK(batch_do(w, &(struct batch){.attempt = at, .n_attempt = 3}));
  OK(batch_do(w, &(struct batch){.said = said, .n_said = 2}));
  struct reader *r = reader_of(w);
  WR(reader_attempts(r, t.ti, hear, h, &err));
  reader_put(r);
  assert_true(h[1].said == SAID_RETRY && h[2].said == SAID_FAILED && h[3].said == SAID_NOTHING);
  assert_string_equal(h[1].error, "h'alf");
  assert_string_equal(h[2].error, "own");
}

const struct fact facts_async[] = {
  FACT(async_row_reads_back), FACT(attempts_keep_what_was_said_of_them), FACT(each_async_column_alone), FACT(async_update_writes_its_columns), FACT(async_row_that_is_missing),
  FACT(thousand_async_rows_at_once), FACT(task_key_is_found), FACT(task_key_twice_in_one_batch), FACT(task_key_twice_in_two_batches),
  FACT(many_task_keys_at_once), FACT_FRESH(deleted_task_leaves_nothing), FACT(delete_of_a_task_that_moved_is_stale),
  FACT(key_of_a_deleted_task_is_free), FACT_FRESH(final_task_lives_again), FACT(what_a_task_carries), FACT_SEVERAL(wish_of_another_node_is_seen), FACT(a_wish_to_resume_ends_with_pausing),
  FACT(who_ran_it_last_is_known), FACT(attempts_say_their_run),
  FACT(attempt_twice_stands_as_it_was),
};
const size_t n_facts_async = sizeof facts_async / sizeof *facts_async;
