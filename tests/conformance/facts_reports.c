/* Facts of what attempts report: contexts, progress, what is dropped with a task. */
#include "facts.h"
#include <unistd.h>
#include "mem.h"

static struct logs *logs_of(struct world *w) {
  struct wr_err err;
  struct logs *l = NULL;
  if (logs_open(w->s, &l, &err)) fail_msg("%s", err.msg);
  return l;
}

/* A stand-alone task whose attempt `epoch` runs here. */
static struct task_row running(struct world *w, uint32_t epoch, const char *context) {
  struct task_row t = alone_row_of(w, 0);
  t.t.state = TASK_RUNNING, t.t.epoch = epoch, t.t.owner = w->me;
  struct task_write tw = {.op = ROW_INSERT, .expect_state = -1, .row = t};
  struct async_write aw = {ROW_INSERT, {.ti = t.ti, .create_us = t.create_us, .name = "n", .type = "ECHO", .context = context,
                                        .context_len = context ? strlen(context) : 0}};
  struct batch b = {.task = &tw, .n_task = 1, .async = &aw, .n_async = 1};
  OK(batch_do(w, &b));
  return t;
}

/* A new attempt, as after a loss. */
static void claimed(struct world *w, struct task_row *t, uint32_t epoch, int64_t owner) {
  t->t.state = TASK_RUNNING, t->t.epoch = epoch, t->t.owner = owner;
  OK(put_task(w, ROW_UPDATE, t));
}

static void context_is(struct world *w, int64_t ti, const char *want, uint32_t want_epoch) {
  struct buf b = BUF_INIT;
  struct wr_err err;
  uint32_t epoch = 99;
  struct reader *r = reader_of(w);
  enum wr_rc rc = reader_context(r, ti, &b, &epoch, &err);
  reader_put(r);
  assert_int_equal(rc, want ? WR_OK : WR_NOT_FOUND);
  if (want) {
    assert_int_equal(b.len, strlen(want));
    if (b.len) assert_memory_equal(b.data, want, b.len);
    assert_int_equal(epoch, want_epoch);
  }
  buf_done(&b);
}

static struct report_row report_of(struct world *w, int64_t ti, struct arena *a) {
  struct report_row out[3];
  struct wr_err err;
  struct reader *r = reader_of(w);
  const int64_t asked[3] = {ti + 1000000, ti, ti + 7};
  WR(reader_reports(r, asked, 3, out, a, &err));
  reader_put(r);
  return out[1];
}

static void context_is_kept(struct world *w) {
  struct logs *l = logs_of(w);
  struct task_row t = running(w, 1, NULL);
  struct arena a;
  context_is(w, t.ti, NULL, 0);
  OK(logs_put_context(l, t.ti, 1, w->me, world_now(w), "one", 3));
  context_is(w, t.ti, "one", 1);
  OK(logs_put_context(l, t.ti, 1, w->me, world_now(w), "", 0));
  context_is(w, t.ti, "", 1);
  OK(logs_put_context(l, t.ti, 1, w->me, world_now(w), "it's \\ \xe2\x82\xac", 10));
  context_is(w, t.ti, "it's \\ \xe2\x82\xac", 1);
  arena_init(&a, 0);
  struct report_row r = report_of(w, t.ti, &a);
  assert_int_equal(r.context_len, 10);
  assert_int_equal(r.context_epoch, 1);
  assert_false(r.has_progress);
  arena_done(&a);
  logs_close(l);
}

static void context_of_a_mebibyte(struct world *w) {
  struct logs *l = logs_of(w);
  struct task_row t = running(w, 1, NULL);
  char *text = wr_calloc(1, (1 << 20) + 1);
  memset(text, '\'', 1 << 20);
  OK(logs_put_context(l, t.ti, 1, w->me, 5, text, 1 << 20));
  context_is(w, t.ti, text, 1);
  free(text);
  logs_close(l);
}

/* What was given counts until an attempt of a greater epoch reports. */
static void context_that_was_given(struct world *w) {
  struct logs *l = logs_of(w);
  struct task_row t = running(w, 1, "given");
  context_is(w, t.ti, "given", 0);
  OK(logs_put_context(l, t.ti, 1, w->me, 5, "said", 4));
  context_is(w, t.ti, "said", 1);
  struct async_write aw = {ROW_UPDATE, {.ti = t.ti, .name = "n", .type = "t", .context = "anew", .context_len = 4, .context_epoch = 1}};
  struct batch b = {.async = &aw, .n_async = 1};
  OK(batch_do(w, &b));
  context_is(w, t.ti, "anew", 1);
  claimed(w, &t, 2, w->me);
  context_is(w, t.ti, "anew", 1);
  OK(logs_put_context(l, t.ti, 2, w->me, 6, "second", 6));
  context_is(w, t.ti, "second", 2);
  logs_close(l);
}

static void context_of_an_older_attempt_is_fenced(struct world *w) {
  struct logs *l = logs_of(w);
  struct task_row t = running(w, 1, NULL);
  claimed(w, &t, 2, w->me);
  OK(logs_put_context(l, t.ti, 2, w->me, 5, "new", 3));
  IS(logs_put_context(l, t.ti, 1, w->me, 6, "old", 3), STORE_FENCED);
  context_is(w, t.ti, "new", 2);
  logs_close(l);
}

/* A server compares with the row of the task. */
static void context_of_who_does_not_run_is_fenced(struct world *w) {
  struct logs *l = logs_of(w);
  struct task_row t = running(w, 1, NULL);
  IS(logs_put_context(l, t.ti, 1, w->me + 1, 5, "other", 5), STORE_FENCED);
  IS(logs_put_context(l, t.ti + 100000, 1, w->me, 5, "none", 4), STORE_FENCED);
  t.t.state = TASK_QUEUED, t.t.owner = 0; /* lost: the next attempt has not begun */
  OK(put_task(w, ROW_UPDATE, &t));
  IS(logs_put_context(l, t.ti, 1, w->me, 5, "late", 4), STORE_FENCED);
  context_is(w, t.ti, NULL, 0);
  logs_close(l);
}

static void progress_is(struct world *w, const struct progress_row *want) {
  struct arena a;
  arena_init(&a, 0);
  struct report_row r = report_of(w, want->ti, &a);
  assert_true(r.has_progress);
  const struct progress_row *p = &r.progress;
  assert_true(p->ti == want->ti && p->epoch == want->epoch && p->at_us == want->at_us && p->total == want->total && p->done == want->done);
  double off = p->speed - want->speed;
  if (!(want->speed < 0 ? p->speed < 0 : off < 1e-5 && off > -1e-5)) fail_msg("the speed is %f, not %f", p->speed, want->speed);
  assert_true(!p->unit == !want->unit && (!p->unit || strcmp(p->unit, want->unit) == 0));
  assert_true(!p->message == !want->message && (!p->message || strcmp(p->message, want->message) == 0));
  arena_done(&a);
}

static void progress_is_kept(struct world *w) {
  enum { N = 250 };
  struct logs *l = logs_of(w);
  struct task_row t = running(w, 1, NULL);
  struct progress_row p = {.ti = t.ti, .epoch = 1, .owner = w->me, .at_us = 7, .total = -1, .done = 0, .speed = -1};
  OK(logs_put_progress(l, &p, 1));
  progress_is(w, &p);
  p.total = 1LL << 53, p.done = 3, p.speed = 2.5, p.unit = "f\xc3\xa9s", p.message = "it's", p.at_us = 1700000000000001;
  OK(logs_put_progress(l, &p, 1));
  progress_is(w, &p);
  p.speed = 1e300;
  OK(logs_put_progress(l, &p, 1));
  static struct progress_row many[N];
  for (int i = 0; i < N; i++) {
    struct task_row k = running(w, 1, NULL);
    many[i] = (struct progress_row){.ti = k.ti, .epoch = 1, .owner = w->me, .at_us = i + 1, .total = N, .done = i, .speed = i};
  }
  OK(logs_put_progress(l, many, N));
  for (int i = 0; i < N; i += 83) progress_is(w, &many[i]);
  OK(logs_put_progress(l, many, 0));
  logs_close(l);
}

static void progress_of_an_older_attempt_is_left_out(struct world *w) {
  struct logs *l = logs_of(w);
  struct task_row t = running(w, 1, NULL), u = running(w, 1, NULL);
  claimed(w, &t, 2, w->me);
  struct progress_row p[2] = {{.ti = t.ti, .epoch = 2, .owner = w->me, .at_us = 5, .total = 9, .done = 1, .speed = -1},
                              {.ti = u.ti, .epoch = 1, .owner = w->me, .at_us = 5, .total = 9, .done = 1, .speed = -1}};
  OK(logs_put_progress(l, p, 2));
  struct progress_row old[2] = {p[0], p[1]};
  old[0].epoch = 1, old[0].done = 8, old[1].done = 7;
  OK(logs_put_progress(l, old, 2));
  progress_is(w, &p[0]);
  progress_is(w, &old[1]);
  u.t.state = TASK_SUCCESS, u.t.owner = 0, u.end_us = 9; /* the last values may come behind the end */
  OK(put_task(w, ROW_UPDATE, &u));
  old[1].done = 9;
  OK(logs_put_progress(l, &old[1], 1));
  progress_is(w, &old[1]);
  logs_close(l);
}

/* When no attempt runs, the speed is what is done in the time of all attempts of the run; one of them may be no history yet. */
static void speed_at_the_end_is_of_all_attempts(struct world *w) {
  enum { S = 1000000 };
  struct logs *l = logs_of(w);
  struct task_row t = running(w, 1, NULL);
  struct progress_row p = {.ti = t.ti, .epoch = 3, .owner = w->me, .at_us = 5, .total = 50, .done = 40, .speed = 3.5};
  struct attempt_row at[] = {{.ti = t.ti, .epoch = 1, .owner = w->me, .start_us = 1 * S, .end_us = 2 * S, .why = "PAUSED", .run_no = 1},
                             {.ti = t.ti, .epoch = 2, .owner = w->me, .start_us = 30 * S, .end_us = 31 * S, .why = "LOST", .run_no = 1}};
  OK(batch_do(w, &(struct batch){.attempt = at, .n_attempt = 2}));
  t.t.start_us = 50 * S;
  claimed(w, &t, 3, w->me);
  OK(logs_put_progress(l, &p, 1));
  progress_is(w, &p); /* while it runs: as the worker says */
  t.t.state = TASK_SUCCESS, t.t.owner = 0, t.end_us = 52 * S;
  OK(put_task(w, ROW_UPDATE, &t));
  p.speed = 10;
  progress_is(w, &p);
  at[0].epoch = 3, at[0].start_us = 50 * S, at[0].end_us = 56 * S;
  OK(batch_do(w, &(struct batch){.attempt = at, .n_attempt = 1}));
  p.speed = 5;
  progress_is(w, &p);
  logs_close(l);
}

/* Several in one commit, also two attempts of one task: each is compared with its own row. */
static void contexts_share_a_commit(struct world *w) {
  struct logs *l = logs_of(w);
  struct task_row a = running(w, 2, NULL), b = running(w, 1, NULL);
  struct context_put v[] = {{a.ti, w->me, 1, "old", 3, true}, {a.ti, w->me, 2, "new", 3, true}, {b.ti, w->me, 1, "", 0, true}};
  OK(logs_put_contexts(l, world_now(w), v, 3));
  assert_false(v[1].fenced || v[2].fenced);
  context_is(w, a.ti, "new", 2);
  context_is(w, b.ti, "", 1);
  v[0] = (struct context_put){a.ti, w->me, 1, "late", 4, false};
  OK(logs_put_contexts(l, world_now(w), v, 1));
  assert_true(v[0].fenced);
  context_is(w, a.ti, "new", 2);
  logs_close(l);
}

static void dropped_task_leaves_no_report(struct world *w) {
  enum { N = LIMIT_DROP_CHUNKS * 2 + 1 };
  static struct log_chunk c[N];
  struct logs *l = logs_of(w);
  struct task_row t = running(w, 1, NULL), other = running(w, 1, NULL);
  struct arena a;
  struct wr_err err;
  struct buf b = BUF_INIT;
  int64_t size = 9;
  for (int i = 0; i < N; i++)
    c[i] = (struct log_chunk){.ti = t.ti, .epoch = 1 + (uint32_t)i % 2, .seq = (uint32_t)i, .stream = 1, .offset = i, .time_us = 1, .data = "x", .n = 1};
  OK(logs_write(l, c, N));
  c[0].ti = other.ti;
  OK(logs_write(l, c, 1));
  struct progress_row p = {.ti = t.ti, .epoch = 1, .owner = w->me, .at_us = 7, .total = -1, .done = 0, .speed = -1};
  OK(logs_put_progress(l, &p, 1));
  OK(logs_put_context(l, t.ti, 1, w->me, 5, "x", 1));
  OK(logs_put_context(l, other.ti, 1, w->me, 5, "y", 1));
  int calls = 0;
  for (bool more = true; more; calls++) OK(logs_drop(l, t.ti, &more));
  assert_int_equal(calls, 3);
  context_is(w, t.ti, NULL, 0);
  context_is(w, other.ti, "y", 1);
  arena_init(&a, 0);
  assert_false(report_of(w, t.ti, &a).has_progress);
  arena_done(&a);
  struct reader *r = reader_of(w);
  WR(reader_log(r, t.ti, 1, 0, 10, &b, &size, &err));
  assert_int_equal(size, 0);
  WR(reader_log(r, other.ti, 1, 0, 10, &b, &size, &err));
  assert_int_equal(size, 1);
  reader_put(r);
  buf_done(&b);
  logs_close(l);
}

/* A task that was there, in the batch that deletes it. */
static int64_t deleted(struct world *w) {
  struct task_row t = running(w, 1, NULL);
  struct task_write tw = {.op = ROW_UPDATE, .expect_epoch = t.t.epoch, .expect_state = (int)t.t.state, .row = t};
  OK(batch_do(w, &(struct batch){.task = &tw, .n_task = 1, .gone = &t.ti, .n_gone = 1}));
  return t.ti;
}

/* Until the last of what it left is dropped, a start finds it. */
static void deleted_tasks_are_found_again(struct world *w) {
  struct wr_err err;
  struct logs *l = logs_of(w);
  int64_t ti[3], found[4];
  size_t n = 0;
  bool more;
  for (int i = 0; i < 3; i++) ti[i] = deleted(w);
  struct reader *r = reader_of(w);
  WR(reader_gone(r, ti[0] - 1, found, 4, &n, &err));
  assert_int_equal(n, 3);
  assert_memory_equal(found, ti, sizeof ti);
  WR(reader_gone(r, ti[0], found, 1, &n, &err));
  assert_true(n == 1 && found[0] == ti[1]);
  OK(logs_drop(l, ti[0], &more));
  OK(logs_drop(l, ti[2], &more));
  int64_t last = deleted(w); /* the next deletion, at the latest, writes that these two are over */
  WR(reader_gone(r, ti[0] - 1, found, 4, &n, &err));
  assert_true(n == 2 && found[0] == ti[1] && found[1] == last);
  reader_put(r);
  logs_close(l);
}

/* Nobody deletes anything afterwards. */
static void what_is_dropped_leaves_no_row(struct world *w) {
  struct wr_err err;
  struct logs *l = logs_of(w);
  int64_t ti[3], found[4];
  size_t n = 3;
  bool more;
  for (int i = 0; i < 3; i++) ti[i] = deleted(w);
  for (int i = 0; i < 3; i++) OK(logs_drop(l, ti[i], &more));
  for (int i = 0; n > 0; i++) {
    struct reader *r = reader_of(w);
    WR(reader_gone(r, ti[0] - 1, found, 4, &n, &err));
    reader_put(r);
    if (n > 0 && i == 30000) fail_msg("%zu rows are left", n);
    if (n > 0) usleep(1000);
  }
  logs_close(l);
}

static void members_are_known_by_number(struct world *w) {
  char host[256];
  bool dead = true;
  struct wr_err err;
  struct reader *r = reader_of(w);
  WR(reader_member(r, w->me, host, &dead, &err));
  assert_string_equal(host, "h'ost");
  assert_false(dead);
  assert_int_equal(reader_member(r, w->me + 1000, host, &dead, &err), WR_NOT_FOUND);
  reader_put(r);
}

const struct fact facts_reports[] = {
  FACT(context_is_kept), FACT(context_of_a_mebibyte), FACT(context_that_was_given), FACT(context_of_an_older_attempt_is_fenced),
  FACT_SEVERAL(context_of_who_does_not_run_is_fenced), FACT(progress_is_kept), FACT(progress_of_an_older_attempt_is_left_out),
  FACT(contexts_share_a_commit), FACT(speed_at_the_end_is_of_all_attempts), FACT(dropped_task_leaves_no_report), FACT(deleted_tasks_are_found_again),
  FACT(what_is_dropped_leaves_no_row),
  FACT(members_are_known_by_number),
};
const size_t n_facts_reports = sizeof facts_reports / sizeof *facts_reports;
