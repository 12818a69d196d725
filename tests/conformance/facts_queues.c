/* Facts of queues: their rows and both versions, the state of a rate under its lock, what counts, whose a waiting task is. */
#include "facts.h"
#include "mem.h"

#define NOTHING .max_running = -1, .rate_count = -1, .rate_per_us = -1, .weight = -1, .order = -1, .paused = -1

static struct arena arena;   /* of one fact after the other; small */

static struct queue_row set(struct world *w, struct queue_row r, uint32_t fields) {
  WR(store_queue_set(w->s, &r, fields, &e_));
  return r;
}

static int64_t defs_of(struct world *w) {
  int64_t defs;
  OK(store_begin(w->s, &defs));
  store_rollback(w->s);
  return defs;
}

/* All rows; asserts that they are read again only when something has changed. */
static struct queue_row *all(struct world *w, int64_t *version, size_t *n) {
  struct queue_row *rows, *none;
  size_t zero = 9;
  int64_t defs, again;
  OK(store_begin(w->s, &defs));
  OK(store_queues(w->s, *version, version, &arena, &rows, n));
  OK(store_queues(w->s, *version, &again, &arena, &none, &zero));
  assert_true(again == *version && none == NULL && zero == 0);
  store_rollback(w->s);
  return rows;
}

static const struct queue_row *find(const struct queue_row *v, size_t n, const char *user, const char *group) {
  for (size_t i = 0; i < n; i++)
    if (strcmp(v[i].user, user) == 0 && strcmp(v[i].group, group) == 0) return &v[i];
  return NULL;
}

/* The row of this queue as it is now; NULL: there is none. */
static const struct queue_row *now(struct world *w, int64_t *version, const char *user, const char *group) {
  size_t n;
  const struct queue_row *v = all(w, version, &n);
  return find(v, n, user, group);
}

/* With its id, which a batch needs. */
static struct queue_row set_known(struct world *w, struct queue_row r, uint32_t fields) {
  int64_t version = 0;
  r = set(w, r, fields);
  r.queue_id = now(w, &version, r.user, r.group)->queue_id;
  return r;
}

static void queue_same(const struct queue_row *a, const struct queue_row *b) {
  assert_non_null(a);
  assert_true(a->queue_id == b->queue_id && a->max_running == b->max_running && a->rate_count == b->rate_count &&
              a->rate_per_us == b->rate_per_us && a->weight == b->weight && a->order == b->order && a->paused == b->paused &&
              a->rate_at == b->rate_at);
}

/* ---- rows ---- */
static void queue_reads_back(struct world *w) {
  int64_t version = 0, was, defs = defs_of(w);
  size_t n;
  struct queue_row full = {.user = "us'er\\ ", .group = "\xc3\xa9", .max_running = 1000000, .rate_count = 3, .rate_per_us = 86400000000, .weight = 7,
                           .order = QUEUE_ORDER_FIFO, .paused = 1};
  struct queue_row a = set_known(w, full, 31), b = set_known(w, (struct queue_row){.user = "", .group = "", .max_running = 0}, QUEUE_MAX_RUNNING);
  assert_true(a.queue_id > 0 && b.queue_id > a.queue_id && a.rate_at == 0);
  assert_true(b.max_running == 0 && b.rate_count == -1 && b.rate_per_us == -1 && b.weight == -1 && b.order == -1 && b.paused == -1);
  assert_true(defs_of(w) >= defs + 2);
  const struct queue_row *rows = all(w, &version, &n);
  queue_same(find(rows, n, full.user, full.group), &a);
  queue_same(find(rows, n, "", ""), &b);
  /* a field that is not named keeps what it has; -1 clears */
  was = version;
  b = set(w, (struct queue_row){.user = "", .group = "", NOTHING}, QUEUE_MAX_RUNNING | QUEUE_PAUSED);
  assert_int_equal(b.max_running, -1);
  a = set(w, (struct queue_row){.user = full.user, .group = full.group, 
                                   .max_running = -1, .rate_count = -1, .rate_per_us = -1, .order = -1, .paused = -1, .weight = 1000}, QUEUE_WEIGHT);
  assert_true(a.weight == 1000 && a.max_running == 1000000 && a.paused == 1 && a.order == 0 && a.rate_count == 3);
  rows = all(w, &version, &n);
  assert_true(version > was);
  queue_same(find(rows, n, full.user, full.group), &a);
  queue_same(find(rows, n, "", ""), &b);
}

static void names_of_queues_are_bytes(struct world *w) {
  static const char *const name[] = {"byte", "BYTE", "byte ", "byt\xc3\xa9", "byte\xcc\x81"};
  int64_t version = 0;
  size_t n, before;
  (void)all(w, &version, &before);
  for (size_t i = 0; i < 5; i++) set(w, (struct queue_row){.user = name[i], .group = "g", .weight = (int32_t)i + 1}, QUEUE_WEIGHT);
  const struct queue_row *rows = all(w, &version, &n);
  assert_int_equal(n, before + 5);
  for (size_t i = 0; i < 5; i++) assert_int_equal(find(rows, n, name[i], "g")->weight, i + 1);
}

static void queue_is_deleted(struct world *w) {
  struct wr_err err;
  int64_t version = 0, defs = defs_of(w);
  set(w, (struct queue_row){.user = "gone", .group = "", .paused = 1}, QUEUE_PAUSED);
  assert_non_null(now(w, &version, "gone", ""));
  assert_int_equal(store_queue_delete(w->s, "gone", "g", &err), WR_NOT_FOUND);
  WR(store_queue_delete(w->s, "gone", "", &e_));
  assert_true(defs_of(w) >= defs + 2);
  assert_null(now(w, &version, "gone", ""));
  assert_int_equal(store_queue_delete(w->s, "gone", "", &err), WR_NOT_FOUND);
}

static void change_of_a_task_is_none_of_queues(struct world *w) {
  struct queue_row *rows;
  int64_t version = 0, defs, same;
  size_t n;
  (void)all(w, &version, &n);
  defs = defs_of(w);
  task_save(w, "t", "ECHO");
  assert_true(defs_of(w) > defs);
  OK(store_begin(w->s, &defs));
  OK(store_queues(w->s, version, &same, &arena, &rows, &n));
  store_rollback(w->s);
  assert_true(same == version && rows == NULL && n == 0);
}

/* Each change makes every node read all rows. */
static void what_changes_nothing_is_no_change(struct world *w) {
  const struct queue_row full = {.user = "same", .group = "g", .max_running = 5, .rate_count = 3, .rate_per_us = 1000000, .weight = 7,
                                 .order = QUEUE_ORDER_FIFO, .paused = 1};
  int64_t version = 0, was;
  size_t n;
  struct queue_row a = set_known(w, full, 31);
  (void)all(w, &was, &n);
  int64_t defs = defs_of(w);
  struct queue_row again = set(w, full, 31);
  again.queue_id = a.queue_id;
  queue_same(&again, &a);
  set(w, (struct queue_row){.user = "same", .group = "g", .weight = 7}, QUEUE_WEIGHT);
  set(w, (struct queue_row){.user = "same", .group = "g"}, 0);
  (void)all(w, &version, &n);
  assert_true(version == was && defs_of(w) == defs);
  for (int i = 0; i < 5; i++) { /* one field alone is a change */
    struct queue_row b = {.user = "same", .group = "g", .max_running = 6, .rate_count = 4, .rate_per_us = 1000000, .weight = 8,
                          .order = QUEUE_ORDER_PRIORITY, .paused = 0};
    was = version;
    set(w, b, 1u << i);
    (void)all(w, &version, &n);
    if (version <= was) fail_msg("field %d", i);
  }
  set(w, (struct queue_row){.user = "same", .group = "new"}, 0); /* so is a new row, with nothing in it */
  was = version;
  (void)all(w, &version, &n);
  assert_true(version > was);
}

static void queues_survive(struct world *w) {
  int64_t version = 0;
  struct queue_row a = set_known(w, (struct queue_row){.user = "stays", .group = "g", .max_running = 5}, QUEUE_MAX_RUNNING);
  world_again(w);
  queue_same(now(w, &version, "stays", "g"), &a);
}

/* ---- rates ---- */
static enum store_rc put_rates(struct world *w, const struct queue_rate *r, size_t n) {
  struct batch b = {.rate = r, .n_rate = n};
  int64_t id[600], at[600], defs;
  b.id = world_batch_id(w);
  enum store_rc rc = store_begin(w->s, &defs);
  for (size_t i = 0; i < n; i++) id[i] = r[i].queue_id;
  if (rc == STORE_OK) rc = store_queue_lock(w->s, id, n, at);
  if (rc == STORE_OK) rc = store_write(w->s, &b);
  return rc == STORE_OK ? store_commit(w->s) : rc;
}

static void rate_is_written_and_locked(struct world *w) {
  int64_t version = 0, defs, at[3] = {9, 9, 9};
  struct queue_row a = set_known(w, (struct queue_row){.user = "rate-a", .group = ""}, 0), b = set_known(w, (struct queue_row){.user = "rate-b", .group = ""}, 0);
  size_t n;
  (void)all(w, &version, &n);
  const struct queue_rate r[] = {{a.queue_id, 1800000000000007}, {b.queue_id, 5}};
  const int64_t id[] = {a.queue_id, b.queue_id, b.queue_id + 1000000};
  OK(put_rates(w, r, 2));
  OK(store_begin(w->s, &defs));
  OK(store_queue_lock(w->s, id, 3, at));
  store_rollback(w->s);
  assert_true(at[0] == r[0].rate_at && at[1] == 5 && at[2] == -1);
  int64_t was = version;
  (void)all(w, &version, &n);
  assert_int_equal(version, was); /* the state of a bucket is no change */
}

static void many_rates_at_once(struct world *w) {
  static struct queue_rate r[600];
  static int64_t id[600], at[600];
  char name[20];
  int64_t defs, version = 0;
  size_t n, k = 0;
  for (size_t i = 0; i < 600; i++) {
    snprintf(name, sizeof name, "many-%03zu", i);
    set(w, (struct queue_row){.user = name, .group = ""}, 0);
  }
  const struct queue_row *rows = all(w, &version, &n);
  for (size_t i = 0; i < n; i++) {
    if (strncmp(rows[i].user, "many-", 5) != 0) continue;
    assert_true(k < 600);
    id[k] = r[k].queue_id = rows[i].queue_id;
    r[k].rate_at = 1000000 + (int64_t)k, k++;
  }
  assert_int_equal(k, 600);
  OK(put_rates(w, r, 600));
  OK(store_begin(w->s, &defs));
  OK(store_queue_lock(w->s, id, 600, at));
  store_rollback(w->s);
  for (size_t i = 0; i < 600; i++) assert_int_equal(at[i], r[i].rate_at);
}

static int64_t rate_at(struct world *w, int64_t id) {
  int64_t at, defs;
  OK(store_begin(w->s, &defs));
  OK(store_queue_lock(w->s, &id, 1, &at));
  store_rollback(w->s);
  return at;
}

/* A new rate begins with the old one's bucket, but never has to wait longer than for an empty one of its own. */
static void new_rate_takes_over_the_bucket(struct world *w) {
  struct queue_row a = set_known(w, (struct queue_row){.user = "bucket", .group = "", .rate_count = 1, .rate_per_us = 86400000000}, QUEUE_RATE);
  int64_t far = store_now(w->s) + 86400000000, near = store_now(w->s) + 400000;
  OK(put_rates(w, &(struct queue_rate){a.queue_id, far}, 1));
  set(w, (struct queue_row){.user = "bucket", .group = "", .weight = 5}, QUEUE_WEIGHT);
  assert_int_equal(rate_at(w, a.queue_id), far);
  set(w, (struct queue_row){.user = "bucket", .group = "", .rate_count = 5, .rate_per_us = 1000000}, QUEUE_RATE);
  assert_true(rate_at(w, a.queue_id) < far && rate_at(w, a.queue_id) <= store_now(w->s) + 1000000);
  OK(put_rates(w, &(struct queue_rate){a.queue_id, near}, 1));
  set(w, (struct queue_row){.user = "bucket", .group = "", .rate_count = 7, .rate_per_us = 60000000}, QUEUE_RATE);
  assert_int_equal(rate_at(w, a.queue_id), near);
  set(w, (struct queue_row){.user = "bucket", .group = "", .rate_count = -1, .rate_per_us = -1}, QUEUE_RATE);
  assert_int_equal(rate_at(w, a.queue_id), 0);
}

/* ---- several nodes ---- */
static void batch_decided_by_older_queues_is_stale(struct world *w) {
  struct world o = world_second(w);
  int64_t defs, version = 0;
  size_t n;
  struct queue_row *rows;
  OK(store_begin(w->s, &defs));
  OK(store_queues(w->s, 0, &version, &arena, &rows, &n));
  set(&o, (struct queue_row){.user = "other", .group = "node", .paused = 1}, QUEUE_PAUSED);
  struct batch b = {.id = world_batch_id(w)};
  IS(store_write(w->s, &b), STORE_STALE);
  int64_t was = version;
  assert_non_null(now(w, &version, "other", "node"));
  assert_true(version > was);
  world_end(&o);
}

static void second_node_waits_for_the_lock(struct world *w) {
  struct world o = world_second(w);
  struct queue_row a = set_known(w, (struct queue_row){.user = "locked", .group = ""}, 0);
  int64_t defs, at, id = a.queue_id;
  struct queue_rate r = {id, 4711};
  struct batch b = {.id = world_batch_id(w), .rate = &r, .n_rate = 1};
  OK(store_begin(w->s, &defs));
  OK(store_queue_lock(w->s, &id, 1, &at));
  OK(store_write(w->s, &b));
  assert_int_equal(at, 0);
  OK(store_begin(o.s, &defs));
  enum store_rc rc = store_queue_lock(o.s, &id, 1, &at); /* waits in vain */
  IS(rc, STORE_RETRY);
  OK(store_commit(w->s));
  assert_int_equal(rate_at(&o, id), 4711);
  world_end(&o);
}

/* ---- what counts, and whose it is ---- */
static const struct running_row *running_of(const struct running_row *v, size_t n, int64_t ti) {
  for (size_t i = 0; i < n; i++) {
    assert_true(i == 0 || v[i - 1].ti < v[i].ti);
    if (v[i].ti == ti) return &v[i];
  }
  return NULL;
}

static struct task_row in_state(struct task_row t, int64_t me, enum task_state state, enum task_phase phase, enum task_state end_as) {
  bool owned = state == TASK_RUNNING || state == TASK_PAUSING || state == TASK_CANCELING;
  t.t.state = state, t.t.phase = phase, t.t.end_as = end_as;
  t.t.epoch = owned, t.t.owner = owned ? me : 0, t.t.start_us = owned ? t.create_us : 0;
  return t;
}

static void what_counts_is_found(struct world *w) {
  static const struct { enum task_state state; enum task_phase phase; enum task_state end_as; bool counts; } is[] = {
    {TASK_RUNNING, PHASE_RUN, TASK_NONE, true}, {TASK_PAUSING, PHASE_RUN, TASK_NONE, true}, {TASK_CANCELING, PHASE_RUN, TASK_CANCELED, true},
    {TASK_CANCELING, PHASE_DELETE, TASK_QUEUED, true}, {TASK_CANCELING, PHASE_DELETE, TASK_FAILED, true},
    {TASK_RUNNING, PHASE_DELETE, TASK_NONE, false}, {TASK_CANCELING, PHASE_DELETE, TASK_CANCELED, false}, {TASK_QUEUED, PHASE_RUN, TASK_NONE, false},
    {TASK_QUEUED, PHASE_DELETE, TASK_NONE, false}, {TASK_PAUSED, PHASE_RUN, TASK_NONE, false}, {TASK_RETRY_WAIT, PHASE_RUN, TASK_NONE, false}};
  enum { N = sizeof is / sizeof *is };
  struct task_write tw[N];
  struct async_write aw[N];
  struct running_row *v;
  size_t n;
  int64_t defs;
  for (int i = 0; i < N; i++) {
    struct task_row t = in_state(alone_row_of(w, 0), w->me, is[i].state, is[i].phase, is[i].end_as);
    t.t.version = 0;
    tw[i] = (struct task_write){.op = ROW_INSERT, .expect_state = -1, .row = t};
    aw[i] = (struct async_write){ROW_INSERT, {.ti = t.ti, .create_us = t.create_us, .name = "n", .type = "T", .user = i ? "counts" : NULL, .group = i ? "g " : NULL, .cpu = i}};
  }
  struct batch b = {.task = tw, .n_task = N, .async = aw, .n_async = N};
  OK(batch_do(w, &b));
  for (int inside = 0; inside < 2; inside++) {
    if (inside) OK(store_begin(w->s, &defs));
    OK(store_running(w->s, &arena, &v, &n));
    if (inside) store_rollback(w->s);
    for (int i = 0; i < N; i++) {
      const struct running_row *r = running_of(v, n, tw[i].row.ti);
      assert_int_equal(r != NULL, is[i].counts);
      if (!r) continue;
      assert_string_equal(r->user, i ? "counts" : "");
      assert_string_equal(r->group, i ? "g " : "");
      assert_true(r->cpu == i && r->owner == w->me && r->fi == 0);
    }
  }
}

static void tasks_of_flows_count_too(struct world *w) {
  struct flow_def *f = flow_save(w, "counts", NODE("a") "," NODE("b"));
  struct started s[2];
  struct task_row t[2];
  struct running_row *v;
  size_t n;
  for (int i = 0; i < 2; i++) {
    s[i] = flow_start(w, f);
    t[i] = in_state(task_row_of(w, &s[i], 0, 0), w->me, i ? TASK_QUEUED : TASK_RUNNING, PHASE_RUN, TASK_NONE);
    OK(put_task(w, ROW_INSERT, &t[i]));
  }
  OK(store_running(w->s, &arena, &v, &n));
  const struct running_row *r = running_of(v, n, t[0].ti);
  assert_non_null(r);
  assert_true(r->fi == s[0].fi && r->owner == w->me && r->cpu == 0 && !*r->user && !*r->group);
  assert_null(running_of(v, n, t[1].ti));
  flow_end(w, &s[0], FLOW_FAILED); /* whatever its rows say: it is not live any more */
  OK(store_running(w->s, &arena, &v, &n));
  assert_null(running_of(v, n, t[0].ti));
  def_flow_unref(f);
}

/* ---- notes ---- */
static void note(struct world *w, const struct count_note *v, size_t n, const int64_t *un, size_t n_un) {
  struct batch b = {.note = v, .n_note = n, .unnote = un, .n_unnote = n_un};
  OK(batch_do(w, &b));
}

/* NULL: it is not among what is counted. */
static const struct running_row *counted(struct world *w, int64_t ti) {
  struct running_row *v;
  size_t n;
  OK(store_counted(w->s, &arena, &v, &n));
  return running_of(v, n, ti);
}

static const struct running_row *among_all(struct world *w, int64_t ti) {
  struct running_row *v;
  size_t n;
  OK(store_running(w->s, &arena, &v, &n));
  return running_of(v, n, ti);
}

static void same_row(const struct running_row *r, const struct task_row *t, const char *user, const char *group, bool noted) {
  assert_non_null(r);
  assert_true(r->fi == t->fi && r->owner == t->t.owner && r->noted == noted);
  assert_string_equal(r->user, user);
  assert_string_equal(r->group, group);
}

static void no_queues(struct world *w) {
  int64_t version = 0;
  size_t n;
  const struct queue_row *v = all(w, &version, &n);
  for (size_t i = 0; i < n; i++) WR(store_queue_delete(w->s, v[i].user, v[i].group, &e_));
}

static void note_says_whose_a_task_is(struct world *w) {
  struct world o = world_second(w);
  struct flow_def *f = flow_save(w, "noted", NODE("a"));
  struct started s = flow_start(w, f);
  struct task_row t = in_state(task_row_of(w, &s, 0, 0), w->me, TASK_RUNNING, PHASE_RUN, TASK_NONE);
  set(w, (struct queue_row){.user = "noted", .group = "", .paused = 1}, QUEUE_PAUSED);
  OK(put_task(w, ROW_INSERT, &t));
  assert_null(counted(w, t.ti));
  same_row(among_all(w, t.ti), &t, "", "", false);
  note(w, &(struct count_note){t.ti, "us'er\\ ", "\xc3\xa9"}, 1, NULL, 0);
  same_row(counted(w, t.ti), &t, "us'er\\ ", "\xc3\xa9", true);
  same_row(counted(&o, t.ti), &t, "us'er\\ ", "\xc3\xa9", true);
  same_row(among_all(&o, t.ti), &t, "us'er\\ ", "\xc3\xa9", true);
  note(w, &(struct count_note){t.ti, "", "other"}, 1, NULL, 0);
  same_row(counted(&o, t.ti), &t, "", "other", true);
  set(w, (struct queue_row){.user = "noted", .group = "g", .paused = 1}, QUEUE_PAUSED); /* there is a row already: notes stay */
  same_row(counted(w, t.ti), &t, "", "other", true);
  note(w, &(struct count_note){t.ti, "", "g"}, 1, &t.ti, 1);
  assert_null(counted(w, t.ti));
  note(w, &(struct count_note){t.ti, "", "g"}, 1, NULL, 0);
  no_queues(w);
  set(w, (struct queue_row){.user = "noted", .group = "", .paused = 1}, QUEUE_PAUSED);
  assert_null(counted(w, t.ti));
  same_row(among_all(w, t.ti), &t, "", "", false);
  flow_end(w, &s, FLOW_FAILED);
  def_flow_unref(f);
  world_end(&o);
}

/* ---- limits of types ---- */
static int see_any(void *ctx, const struct queue_shown *q) {
  *(bool *)ctx |= strcmp(q->row.user, QUEUE_OF_TYPE) == 0;
  return 0;
}

static const struct queue_row *type_row(struct world *w, const char *type) {
  int64_t version = 0;
  size_t n;
  const struct queue_row *v = all(w, &version, &n);
  return find(v, n, QUEUE_OF_TYPE, type);
}

static void type_is(struct world *w, const char *body, const struct type_limits *limits) {
  struct executor_row row = {.type = "q.type", .body = body};
  WR(store_executor_save(w->s, &row, &(struct executor_put){.replace = true, .limits = limits}, &e_));
}

/* They come, change and go with the executor, in its transaction, and no list of queues has them. */
static void limits_of_a_type(struct world *w) {
  const struct type_limits three = {3, -1, -1}, rate = {-1, 5, 1000000}, none = {-1, -1, -1};
  int64_t version = 0, before;
  bool shown = false;
  size_t n;
  struct wr_err err;
  (void)all(w, &version, &n);
  before = version;
  type_is(w, "{\"maxRunning\":3}", &three);
  const struct queue_row *r = type_row(w, "q.type");
  assert_non_null(r);
  assert_true(r->max_running == 3 && r->rate_count == -1 && r->weight == -1 && r->paused == -1);
  (void)all(w, &version, &n);
  assert_true(version > before);
  struct executor_row other = {.type = "q.type", .body = "{}"};
  assert_int_equal(store_executor_save(w->s, &other, &(struct executor_put){.limits = &none}, &err), WR_EXISTS);
  assert_int_equal(type_row(w, "q.type")->max_running, 3); /* refused whole */
  struct reader *rd = reader_of(w);
  WR(reader_list_queues(rd, see_any, &shown, &e_));
  reader_put(rd);
  assert_false(shown);
  type_is(w, "{\"rate\":5}", &rate);
  r = type_row(w, "q.type");
  assert_true(r && r->max_running == -1 && r->rate_count == 5 && r->rate_per_us == 1000000);
  type_is(w, "{}", &none);
  assert_null(type_row(w, "q.type"));
  type_is(w, "{\"maxRunning\":3}", &three);
  WR(store_executor_delete(w->s, ADDED_EXECUTOR, "q.type", &e_));
  assert_null(type_row(w, "q.type"));
}

/* The first row of all may be that of a type: notes are dropped. A note under the negative id says the type. */
static void note_says_the_type(struct world *w) {
  const struct type_limits one = {1, -1, -1};
  struct flow_def *f = flow_save(w, "typed", NODE("a"));
  struct started s = flow_start(w, f);
  struct task_row t = in_state(task_row_of(w, &s, 0, 0), w->me, TASK_RUNNING, PHASE_RUN, TASK_NONE);
  no_queues(w);
  t.executor = 7;
  OK(put_task(w, ROW_INSERT, &t));
  note(w, &(struct count_note){t.ti, "u", "g"}, 1, NULL, 0);
  type_is(w, "{\"maxRunning\":1}", &one);
  const struct running_row *r = among_all(w, t.ti);
  assert_true(r && r->added && !r->type && !r->noted && !counted(w, t.ti));
  const struct count_note both[] = {{-t.ti, QUEUE_OF_TYPE, "q.type"}, {t.ti, "u", "g"}};
  note(w, both, 2, NULL, 0);
  const struct running_row *(*const look[])(struct world *, int64_t) = {counted, among_all};
  for (int i = 0; i < 2; i++) {
    r = look[i](w, t.ti);
    assert_true(r && r->added && r->noted && strcmp(r->type, "q.type") == 0 && strcmp(r->user, "u") == 0);
    assert_null(look[i](w, -t.ti));
  }
  const int64_t out[] = {-t.ti, t.ti};
  note(w, NULL, 0, out, 2);
  assert_null(counted(w, t.ti));
  assert_null(among_all(w, t.ti)->type);
  flow_end(w, &s, FLOW_FAILED);
  WR(store_executor_delete(w->s, ADDED_EXECUTOR, "q.type", &e_));
  def_flow_unref(f);
}

/* What a note says counts for nothing when the task does not. */
static void note_of_a_task_that_does_not_count(struct world *w) {
  struct flow_def *f = flow_save(w, "noted", NODE("a"));
  struct started s = flow_start(w, f);
  struct task_row t = in_state(task_row_of(w, &s, 0, 0), w->me, TASK_PAUSED, PHASE_RUN, TASK_NONE);
  OK(put_task(w, ROW_INSERT, &t));
  note(w, &(struct count_note){t.ti, "u", "g"}, 1, NULL, 0);
  assert_null(counted(w, t.ti));
  t = in_state(t, w->me, TASK_CANCELING, PHASE_RUN, TASK_CANCELED);
  OK(put_task(w, ROW_UPDATE, &t));
  same_row(counted(w, t.ti), &t, "u", "g", true);
  flow_end(w, &s, FLOW_FAILED);
  def_flow_unref(f);
}

/* More than one statement takes, with the longest names; and out again. */
static void many_notes_at_once(struct world *w) {
  enum { N = 5000 };
  static struct count_note v[N];
  static int64_t ti[N];
  char name[513];
  for (int i = 0; i < 512; i++) name[i] = (char)('a' + i % 26);
  name[512] = '\0';
  struct task_row t = in_state(alone_row_of(w, 0), w->me, TASK_RUNNING, PHASE_RUN, TASK_NONE);
  OK(put_task(w, ROW_INSERT, &t));
  for (int i = 0; i < N; i++) v[i] = (struct count_note){ti[i] = i == 0 ? t.ti : t.ti + 1000000 + i, name, name};
  note(w, v, N, NULL, 0);
  assert_string_equal(counted(w, t.ti)->user, name);
  note(w, NULL, 0, ti, N);
  assert_null(counted(w, t.ti));
}

/* ---- as readers show them ---- */
struct shown { struct queue_shown q[64]; char user[64][40], group[64][40]; size_t n; };
static int see_queue(void *ctx, const struct queue_shown *q) {
  struct shown *s = ctx;
  if (strncmp(q->row.user, "shown", 5) != 0 || s->n == 64) return 0;
  snprintf(s->user[s->n], 40, "%s", q->row.user), snprintf(s->group[s->n], 40, "%s", q->row.group);
  s->q[s->n++] = *q;
  return 0;
}
static int see_one(void *ctx, const struct queue_shown *q) {
  (void)q;
  return ++*(size_t *)ctx > 0;
}
static int see_running(void *ctx, const char *user, const char *group, int64_t n) {
  if (strcmp(user, "shown-b") == 0 && strcmp(group, "g") == 0) *(int64_t *)ctx = n;
  return 0;
}

static void queues_are_listed_with_their_counts(struct world *w) {
  static const struct { const char *user, *group; enum task_state state; enum task_phase phase; } is[] = {
    {"shown-b", "g", TASK_RUNNING, PHASE_RUN}, {"shown-b", "g", TASK_CANCELING, PHASE_RUN}, {"shown-b", "g", TASK_QUEUED, PHASE_RUN},
    {"shown-b", "g", TASK_QUEUED, PHASE_RUN}, {"shown-b", "g", TASK_PAUSED, PHASE_RUN}, {"shown-b", "g", TASK_CREATED, PHASE_RUN},
    {"shown-b", "g", TASK_BLOCKED, PHASE_RUN}, {"shown-b", "g", TASK_RETRY_WAIT, PHASE_RUN}, {"shown-b", "g", TASK_QUEUED, PHASE_DELETE},
    {"shown-b", "g", TASK_SUCCESS, PHASE_RUN}, {"shown-b", "G", TASK_RUNNING, PHASE_RUN}, {"shown-c", "", TASK_QUEUED, PHASE_DELETE}, {"shown-d", "", TASK_FAILED, PHASE_RUN}};
  enum { N = sizeof is / sizeof *is };
  struct task_write tw[N];
  struct async_write aw[N];
  for (int i = 0; i < N; i++) {
    struct task_row t = in_state(alone_row_of(w, 0), w->me, is[i].state, is[i].phase, TASK_NONE);
    t.t.version = 0, t.update_us = t.create_us + i;
    tw[i] = (struct task_write){.op = ROW_INSERT, .expect_state = -1, .row = t};
    aw[i] = (struct async_write){ROW_INSERT, {.ti = t.ti, .create_us = t.create_us, .name = "n", .type = "T", .user = is[i].user, .group = is[i].group}};
  }
  struct batch b = {.task = tw, .n_task = N, .async = aw, .n_async = N};
  OK(batch_do(w, &b));
  set(w, (struct queue_row){.user = "shown-a", .group = "z", .max_running = 3}, QUEUE_MAX_RUNNING);
  set(w, (struct queue_row){.user = "shown-b", .group = "g", .rate_count = 2, .rate_per_us = 1000000}, QUEUE_RATE);
  struct reader *r = reader_of(w);
  static struct shown s;
  int64_t running = 0;
  s.n = 0;
  WR(reader_list_queues(r, see_queue, &s, &e_));
  assert_int_equal(s.n, 4); /* a deleted or final task is in no queue; a clean-up is in one, but counts nowhere */
  static const struct { const char *user, *group; bool set; int64_t queued, running, blocked; } want[] = {
    {"shown-a", "z", true, 0, 0, 0}, {"shown-b", "G", false, 0, 1, 0}, {"shown-b", "g", true, 2, 2, 4}, {"shown-c", "", false, 0, 0, 0}};
  for (int i = 0; i < 4; i++) {
    assert_string_equal(s.user[i], want[i].user);
    assert_string_equal(s.group[i], want[i].group);
    assert_true(s.q[i].set == want[i].set && s.q[i].queued == want[i].queued && s.q[i].running == want[i].running && s.q[i].blocked == want[i].blocked);
    assert_true(s.q[i].since_us == (want[i].queued ? tw[2].row.update_us : 0));
  }
  assert_true(s.q[0].row.max_running == 3 && s.q[1].row.max_running == -1 && s.q[2].row.rate_count == 2 && s.q[2].row.weight == -1);
  size_t seen = 0;
  WR(reader_list_queues(r, see_one, &seen, &e_));
  assert_int_equal(seen, 1); /* who has seen enough is asked no more */
  WR(reader_queue_running(r, see_running, &running, &e_));
  assert_int_equal(running, 2);
  reader_put(r);
}

static void rules_of_a_task_are_found(struct world *w) {
  static const char *const name[][2] = {{"rules", "g"}, {"rules", ""}, {"", "rules-g"}, {"rules", "rules-g"}, {"", ""}, {"rulesx", "g"}};
  struct queue_row v[QUEUE_RULES];
  size_t n;
  for (size_t i = 0; i < 6; i++) set(w, (struct queue_row){.user = name[i][0], .group = name[i][1], .weight = (int32_t)i + 1}, QUEUE_WEIGHT);
  struct reader *r = reader_of(w);
  static const struct { const char *user, *group; int32_t weight[5]; } want[] = {
    {"rules", "rules-g", {2, 3, 4, 5}}, {"rules", "g", {1, 2, 5}}, {"rules", "", {2, 5}}, {"", "rules-g", {3, 5}}, {"", "", {5}}, {"RULES", "G", {5}}};
  for (size_t i = 0; i < 6; i++) {
    WR(reader_queue_rows(r, want[i].user, want[i].group, &arena, v, &n, &e_));
    int sum = 0, all = 0;
    size_t rows = 0;
    for (size_t k = 0; k < n; k++) all |= 1 << v[k].weight;
    for (; want[i].weight[rows]; rows++) sum |= 1 << want[i].weight[rows];
    assert_int_equal(all, sum);
    assert_int_equal(n, rows);
  }
  reader_put(r);
}

/* ---- tasks of flows ---- */
static void live_tasks_of_flows_are_found(struct world *w) {
  enum { FLOWS = 3, TASKS = 2 };
  static const enum task_state is[FLOWS][TASKS] = {{TASK_RUNNING, TASK_QUEUED}, {TASK_RETRY_WAIT, TASK_SUCCESS}, {TASK_PAUSING, TASK_RUNNING}};
  struct flow_def *f = flow_save(w, "look", NODE("a") "," NODE("b"));
  struct started s[FLOWS];
  struct task_row t[FLOWS][TASKS];
  for (int i = 0; i < FLOWS; i++) {
    s[i] = flow_start(w, f);
    for (int k = 0; k < TASKS; k++) {
      t[i][k] = in_state(task_row_of(w, &s[i], (uint32_t)k, (uint32_t)k), w->me, is[i][k], PHASE_RUN, TASK_NONE);
      OK(put_task(w, ROW_INSERT, &t[i][k]));
    }
  }
  flow_end(w, &s[2], FLOW_FAILED);
  for (size_t cap = 1; cap <= 1000; cap *= 10) {
    static struct flow_task got[1000];
    struct flow_look *l = flow_look_new(LIMIT_FLOW_LOOK);
    struct reader *r = reader_of(w);
    size_t n, hits = 0;
    int64_t last = 0;
    bool whole = false;
    WR(reader_flow_look(r, l, &whole, &e_));
    assert_true(whole);
    for (;;) {
      WR(reader_flow_tasks(r, l, got, cap, &n, &e_));
      if (n == 0) break;
      assert_true(n <= cap);
      for (size_t j = 0; j < n; last = got[j++].ti) {
        assert_true(got[j].ti > last);
        for (int i = 0; i < FLOWS; i++)
          for (int k = 0; k < TASKS; k++) {
            if (got[j].ti != t[i][k].ti) continue;
            hits++;
            assert_true(i < 2 && !task_final(is[i][k]) && got[j].fi == s[i].fi && got[j].update_us == t[i][k].update_us);
            assert_int_equal(got[j].is, is[i][k] == TASK_RUNNING ? FLOW_TASK_COUNTS : is[i][k] == TASK_QUEUED ? FLOW_TASK_QUEUED : FLOW_TASK_BLOCKED);
          }
      }
    }
    assert_int_equal(hits, 3);
    const struct flow_at *at = flow_look_find(l, s[0].fi);
    assert_true(at && at->flow_id == s[0].flow_id && at->version == s[0].flow_version && !at->said);
    assert_string_equal(at->bases, s[0].bases);
    assert_null(flow_look_find(l, s[2].fi));
    flow_look_free(l);
    reader_put(r);
  }
  flow_end(w, &s[0], FLOW_FAILED), flow_end(w, &s[1], FLOW_FAILED);
  def_flow_unref(f);
}

static void look_says_whether_it_is_whole(struct world *w) {
  enum { FLOWS = 3 };
  struct flow_def *f = flow_save(w, "look", NODE("a"));
  struct started s[FLOWS];
  struct reader *r = reader_of(w);
  for (int i = 0; i < FLOWS; i++) s[i] = flow_start(w, f);
  for (size_t most = 1; most <= FLOWS + 1; most++) {
    struct flow_look *l = flow_look_new(most);
    bool whole;
    size_t hits = 0;
    WR(reader_flow_look(r, l, &whole, &e_));
    assert_true(whole == (most >= FLOWS));
    for (int i = 0; i < FLOWS; i++) hits += flow_look_find(l, s[i].fi) != NULL;
    assert_int_equal(hits, most < FLOWS ? most : FLOWS);
    flow_look_free(l);
  }
  reader_put(r);
  def_flow_unref(f);
}

const struct fact facts_queues[] = {
  FACT(queue_reads_back), FACT(names_of_queues_are_bytes), FACT(queue_is_deleted), FACT(change_of_a_task_is_none_of_queues),
  FACT(what_changes_nothing_is_no_change), FACT(queues_survive),
  FACT(rate_is_written_and_locked), FACT(many_rates_at_once), FACT(new_rate_takes_over_the_bucket), FACT_SEVERAL(batch_decided_by_older_queues_is_stale),
  FACT_SEVERAL(second_node_waits_for_the_lock), FACT(what_counts_is_found), FACT(tasks_of_flows_count_too),
  FACT(limits_of_a_type), FACT_SEVERAL(note_says_the_type), FACT_SEVERAL(note_says_whose_a_task_is), FACT_SEVERAL(note_of_a_task_that_does_not_count), FACT_SEVERAL(many_notes_at_once),
  FACT(queues_are_listed_with_their_counts), FACT(rules_of_a_task_are_found), FACT(live_tasks_of_flows_are_found),
  FACT_FRESH(look_says_whether_it_is_whole)};
const size_t n_facts_queues = sizeof facts_queues / sizeof *facts_queues;
