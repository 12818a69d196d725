/* Facts of lists: every filter, every page, newest first. */
#include "facts.h"
#include "store_token.h"

static struct page page(uint32_t limit, uint64_t offset) { return (struct page){.limit = limit, .offset = offset, .want_total = true}; }

/* ---- definitions ---- */
static void tasks_newest_first(struct world *w) {
  const struct list_filter any = ANY;
  int64_t a = task_save(w, "a", "ECHO"), b = task_save(w, "b", "ECHO"), c = task_save(w, "c", "ECHO");
  struct ids v = list_tasks(w, &any, page(3, 0));
  ids_are(&v, (int64_t[]){c, b, a}, 3);
  v = list_tasks(w, &any, page(1, 1));
  ids_are(&v, (int64_t[]){b}, 1);
  assert_true(v.more);
}

static void tasks_by_type(struct world *w) {
  struct list_filter f = {.state = -1, .type = "TYPE1"};
  int64_t a = task_save(w, "a", "TYPE1");
  task_save(w, "b", "TYPE2");
  int64_t c = task_save(w, "c", "TYPE1");
  struct ids v = list_tasks(w, &f, page(9, 0));
  ids_are(&v, (int64_t[]){c, a}, 2);
  assert_false(v.more);
  assert_int_equal(v.total, 2);
  /* types are compared byte by byte */
  static const char *const other[] = {"TYPE", "TYPE1 ", "type1", "TYPE1\t", " TYPE1", "TYPE%", "TYPE_"};
  for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
    f.type = other[i];
    v = list_tasks(w, &f, page(9, 0));
    assert_int_equal(v.n, 0);
    assert_int_equal(v.total, 0);
  }
}

/* A name matches in either case of A to Z, and of no other letter. */
static void names_fold_a_to_z_only(struct world *w) {
  struct list_filter f = {.state = -1, .type = "FOLD"};
  int64_t a = task_save(w, "fo ÄbCö", "FOLD"), b = task_save(w, "fo É", "FOLD"), c = task_save(w, "fo İx", "FOLD"), d = task_save(w, "fo ß ſ \xE2\x84\xAA", "FOLD");
  int64_t e = task_save(w, "FO [\\]^_`{|}~@", "FOLD"), g = task_save(w, "fo xyZ", "FOLD");
  const struct { const char *like; int64_t id[6]; size_t n; } cases[] = {
    {"Fo ", {g, e, d, c, b, a}, 6}, {"ÄBcö", {a}, 1}, {"äbcö", {0}, 0}, {"ÄbCÖ", {0}, 0}, {"é", {0}, 0}, {"É", {b}, 1}, {"i", {0}, 0},
    {"İX", {c}, 1}, {"SS", {0}, 0}, {"s", {0}, 0}, {"k", {0}, 0}, {"XYz", {g}, 1}, {"[\\]^_`{|}~@", {e}, 1}, {"{\\}", {0}, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    f.name_like = cases[i].like;
    struct ids v = list_tasks(w, &f, page(50, 0));
    ids_are(&v, cases[i].id, cases[i].n);
    assert_int_equal(v.total, cases[i].n);
  }
  struct flow_def *x = flow_save(w, "ff ÄÖz", NODE("a"));
  f = (struct list_filter){.state = -1, .name_like = "FF ÄÖZ"};
  assert_int_equal(list_flows(w, &f, page(9, 0)).n, 1);
  f.name_like = "ff äöz";
  assert_int_equal(list_flows(w, &f, page(9, 0)).n, 0);
  def_flow_unref(x);
}

static void tasks_by_name(struct world *w) {
  struct list_filter f = {.state = -1};
  int64_t a = task_save(w, "nm 100% sure", "ECHO"), b = task_save(w, "nm 1000 sure", "ECHO"), c = task_save(w, "nm a_b", "ECHO");
  int64_t d = task_save(w, "nm axb", "ECHO"), e = task_save(w, "nm back\\slash", "ECHO"), g = task_save(w, "nm it's 😀 日本", "ECHO");
  const struct { const char *like; int64_t id[6]; size_t n; } cases[] = {
    {"nm ", {g, e, d, c, b, a}, 6}, {"100%", {a}, 1}, {"nm 100", {b, a}, 2}, {"a_b", {c}, 1}, {"k\\s", {e}, 1}, {"\\", {e}, 1},
    {"m it's", {g}, 1}, {"s 😀", {g}, 1}, {"😀 日本", {g}, 1}, {"nm %", {0}, 0}, {"nm zzz", {0}, 0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    f.name_like = cases[i].like;
    struct ids v = list_tasks(w, &f, page(50, 0));
    ids_are(&v, cases[i].id, cases[i].n);
    assert_int_equal(v.total, cases[i].n);
  }
  f.name_like = "nm ", f.type = "ECHO";
  assert_int_equal(list_tasks(w, &f, page(50, 0)).n, 6);
}

static void tasks_in_pages(struct world *w) {
  struct list_filter f = {.state = -1, .type = "PAGED"};
  int64_t id[7];
  for (int i = 0; i < 7; i++) id[6 - i] = task_save(w, "p", "PAGED");
  for (uint32_t limit = 1; limit <= 8; limit++)
    for (uint64_t at = 0; at < 9; at += limit) {
      struct ids v = list_tasks(w, &f, page(limit, at));
      size_t n = at >= 7 ? 0 : 7 - at < limit ? (size_t)(7 - at) : limit;
      ids_are(&v, id + at, n);
      assert_int_equal(v.more, at + limit < 7);
      assert_int_equal(v.total, 7);
    }
  struct ids v = list_tasks(w, &f, (struct page){.limit = 3});
  assert_int_equal(v.total, -1); /* the total was not asked for */
}

static void deleted_are_not_listed(struct world *w) {
  struct wr_err err;
  struct list_filter f = {.state = -1, .type = "GONE"}, n = {.state = -1, .name_like = "goneflow"};
  int64_t a = task_save(w, "a", "GONE"), b = task_save(w, "b", "GONE");
  struct flow_def *x = flow_save(w, "goneflow", NODE("a")), *y = flow_save(w, "goneflow", NODE("a"));
  WR(store_delete_task(w->s, a, &err));
  WR(store_delete_flow(w->s, y->flow_id, &err));
  struct ids v = list_tasks(w, &f, page(9, 0));
  ids_are(&v, &b, 1);
  assert_int_equal(v.total, 1);
  v = list_flows(w, &n, page(9, 0));
  ids_are(&v, &x->flow_id, 1);
  assert_int_equal(v.total, 1);
  def_flow_unref(x);
  def_flow_unref(y);
}

static int see_task(void *ctx, const struct task_def *t) {
  assert_string_equal(t->name, "seen");
  assert_string_equal(t->type, "SEEN");
  assert_null(t->content);
  assert_int_equal(t->version, 1);
  assert_true(t->create_us > 0 && t->update_us > 0);
  ++*(int *)ctx;
  return 0;
}

static int see_flow(void *ctx, const struct flow_def *f) {
  assert_string_equal(f->name, "seenflow");
  assert_int_equal(f->version, 2);
  assert_true(f->create_us > 0 && f->update_us >= f->create_us);
  ++*(int *)ctx;
  return 0;
}

static void listed_rows_tell_their_columns(struct world *w) {
  struct wr_err err;
  bool more;
  int64_t total;
  int tasks = 0, flows = 0;
  struct list_filter ft = {.state = -1, .type = "SEEN"}, ff = {.state = -1, .name_like = "seenflow"};
  const struct page p = {.limit = 5};
  task_save(w, "seen", "SEEN");
  struct flow_def *f = flow_save(w, "seenflow", NODE("a"));
  WR(store_save_flow(w->s, f, -1, NULL, &err));
  struct reader *r = reader_of(w);
  WR(reader_list_tasks(r, &ft, &p, see_task, &tasks, &more, &total, &err));
  WR(reader_list_flows(r, &ff, &p, see_flow, &flows, &more, &total, &err));
  reader_put(r);
  assert_int_equal(tasks, 1);
  assert_int_equal(flows, 1);
  def_flow_unref(f);
}

static void flows_by_name_and_page(struct world *w) {
  struct list_filter f = {.state = -1, .name_like = "fl_w%"};
  int64_t id[4];
  for (int i = 0; i < 4; i++) {
    struct flow_def *d = flow_save(w, "my fl_w% x", NODE("a"));
    id[3 - i] = d->flow_id;
    def_flow_unref(d);
  }
  def_flow_unref(flow_save(w, "my flow x", NODE("a")));
  struct ids v = list_flows(w, &f, page(3, 0));
  ids_are(&v, id, 3);
  assert_true(v.more);
  assert_int_equal(v.total, 4);
  v = list_flows(w, &f, page(3, 3));
  ids_are(&v, id + 3, 1);
  assert_false(v.more);
  f.name_like = NULL, f.flow_id = id[2];
  v = list_flows(w, &f, page(3, 0));
  ids_are(&v, id + 2, 1);
}

/* ---- flow instances: twelve of one flow, two in each state, started in order ---- */
enum { INS = 12 };
struct history { struct flow_def *f; struct started s[INS]; int64_t start[INS]; };

static void history_make(struct world *w, struct history *h) {
  h->f = flow_save(w, "history", NODE("a"));
  for (int i = 0; i < INS; i++) {
    h->s[i] = flow_start(w, h->f);
    h->start[i] = flow_get(w, h->s[i].fi).start_us;
    uint8_t state = (uint8_t)(FLOW_RUNNING + i % 6);
    if (state != FLOW_RUNNING) flow_end(w, &h->s[i], state);
  }
}

/* The instances of h that keep() takes, newest first. */
typedef bool keep_fn(const struct history *h, int i, int64_t arg);
static void expect_ins(struct world *w, const struct history *h, const struct list_filter *f, keep_fn *keep, int64_t arg) {
  int64_t want[INS];
  size_t n = 0;
  for (int i = INS - 1; i >= 0; i--)
    if (keep(h, i, arg)) want[n++] = h->s[i].fi;
  struct ids v = list_ins(w, f, page(50, 0));
  ids_are(&v, want, n);
  assert_false(v.more);
  assert_int_equal(v.total, n);
  for (uint32_t limit = 1; limit < 6; limit++)
    for (uint64_t at = 0; at < n + 2; at += limit) {
      v = list_ins(w, f, page(limit, at));
      size_t k = at >= n ? 0 : n - at < limit ? (size_t)(n - at) : limit;
      ids_are(&v, want + at, k);
      assert_int_equal(v.more, at + limit < n);
      assert_int_equal(v.total, n);
    }
}

static int state_of(int i) { return FLOW_RUNNING + i % 6; }
static int status_of(int i) { return state_of(i) < FLOW_SUCCESS ? 1 : state_of(i) == FLOW_SUCCESS ? 2 : 3; }
static bool keep_all(const struct history *h, int i, int64_t arg) { return h && i >= 0 && arg == 0; }
static bool keep_state(const struct history *h, int i, int64_t arg) { return h && state_of(i) == arg; }
static bool keep_status(const struct history *h, int i, int64_t arg) { return h && status_of(i) == arg; }
static bool keep_from(const struct history *h, int i, int64_t arg) { return h->start[i] >= arg; }
static bool keep_to(const struct history *h, int i, int64_t arg) { return h->start[i] <= arg; }
static bool keep_failed_to(const struct history *h, int i, int64_t arg) { return h->start[i] <= arg && status_of(i) == 3; }
static bool keep_none(const struct history *h, int i, int64_t arg) { return h && i < 0 && arg; }

static void ins_by_flow(struct world *w) {
  struct history h;
  history_make(w, &h);
  const struct list_filter f = {.state = -1, .flow_id = h.f->flow_id}, none = {.state = -1, .flow_id = WR_ID_MAX - 3};
  expect_ins(w, &h, &f, keep_all, 0);
  expect_ins(w, &h, &none, keep_none, 0);
  def_flow_unref(h.f);
}

static void ins_by_state_and_status(struct world *w) {
  struct history h;
  history_make(w, &h);
  for (int i = 0; i < 6; i++) {
    const struct list_filter f = {.state = state_of(i), .flow_id = h.f->flow_id};
    expect_ins(w, &h, &f, keep_state, state_of(i));
  }
  for (int st = 1; st <= 3; st++) {
    const struct list_filter f = {.state = -1, .status = st, .flow_id = h.f->flow_id};
    expect_ins(w, &h, &f, keep_status, st);
  }
  const struct list_filter both = {.state = FLOW_SUCCESS, .status = 3, .flow_id = h.f->flow_id};
  expect_ins(w, &h, &both, keep_none, 0);
  def_flow_unref(h.f);
}

static void ins_by_time(struct world *w) {
  struct history h;
  history_make(w, &h);
  for (int i = 0; i < INS; i += 3) {
    struct list_filter f = {.state = -1, .flow_id = h.f->flow_id, .from_us = h.start[i]}; /* inclusive */
    expect_ins(w, &h, &f, keep_from, h.start[i]);
    f.from_us++;
    expect_ins(w, &h, &f, keep_from, h.start[i] + 1);
    f = (struct list_filter){.state = -1, .flow_id = h.f->flow_id, .to_us = h.start[i]};
    expect_ins(w, &h, &f, keep_to, h.start[i]);
    f.to_us--;
    expect_ins(w, &h, &f, keep_to, h.start[i] - 1);
    f = (struct list_filter){.state = -1, .status = 3, .flow_id = h.f->flow_id, .from_us = 1, .to_us = h.start[i]};
    expect_ins(w, &h, &f, keep_failed_to, h.start[i]);
  }
  const struct list_filter none = {.state = -1, .flow_id = h.f->flow_id, .from_us = h.start[5], .to_us = h.start[4]};
  expect_ins(w, &h, &none, keep_none, 0);
  def_flow_unref(h.f);
}

static void ins_without_flow(struct world *w) {
  struct history h;
  history_make(w, &h);
  const struct list_filter any = ANY;
  int64_t newest[INS];
  for (int i = 0; i < INS; i++) newest[i] = h.s[INS - 1 - i].fi;
  struct ids v = list_ins(w, &any, (struct page){.limit = INS});
  ids_are(&v, newest, INS);
  /* The clock of this world only rises, so these are all instances from the first of them on. */
  const struct list_filter from = {.state = -1, .from_us = h.start[0]};
  expect_ins(w, &h, &from, keep_all, 0);
  for (int st = 1; st <= 3; st++) {
    const struct list_filter f = {.state = -1, .status = st, .from_us = h.start[0], .to_us = h.start[INS - 1]};
    expect_ins(w, &h, &f, keep_status, st);
  }
  const struct list_filter canceled = {.state = FLOW_CANCELED};
  v = list_ins(w, &canceled, (struct page){.limit = 2});
  ids_are(&v, (int64_t[]){h.s[11].fi, h.s[5].fi}, 2);
  def_flow_unref(h.f);
}

static void ins_by_id(struct world *w) {
  struct history h;
  history_make(w, &h);
  struct list_filter f = {.state = -1, .fi = h.s[3].fi};
  struct ids v = list_ins(w, &f, page(9, 0));
  ids_are(&v, &h.s[3].fi, 1);
  assert_int_equal(v.total, 1);
  assert_false(v.more);
  assert_int_equal(list_ins(w, &f, page(9, 1)).n, 0);
  const struct list_filter not[] = {
    {.state = -1, .fi = h.s[3].fi, .flow_id = h.f->flow_id + 1}, {.state = -1, .fi = h.s[3].fi, .status = 1},
    {.state = FLOW_FAILED, .fi = h.s[3].fi}, {.state = -1, .fi = h.s[3].fi, .from_us = h.start[3] + 1},
    {.state = -1, .fi = h.s[3].fi, .to_us = h.start[3] - 1}, {.state = -1, .fi = WR_ID_MAX - 8}};
  for (size_t i = 0; i < sizeof not / sizeof *not; i++) {
    v = list_ins(w, &not[i], page(9, 0));
    assert_int_equal(v.n, 0);
    assert_int_equal(v.total, 0);
  }
  const struct list_filter yes = {.state = FLOW_SUCCESS, .status = 2, .fi = h.s[3].fi, .flow_id = h.f->flow_id, .from_us = h.start[3], .to_us = h.start[3]};
  assert_int_equal(list_ins(w, &yes, page(9, 0)).n, 1);
  def_flow_unref(h.f);
}

static void equal_times_sort_by_id(struct world *w) {
  struct flow_def *f = flow_save(w, "same", NODE("a"));
  struct started s[4];
  int64_t us = world_now(w), want[4];
  for (int i = 0; i < 4; i++) {
    s[i] = (struct started){.flow_id = f->flow_id, .flow_version = f->version, .bases = "1:1"};
    OK(store_ids(w->s, ID_FI, 1, &s[i].fi));
    struct flow_row r = flow_row_of(w, &s[i]);
    r.create_us = r.start_us = us;
    r.state = (uint8_t)(i % 2 ? FLOW_SUCCESS : FLOW_RUNNING);
    OK(put_flow(w, ROW_INSERT, 0, &r));
    want[3 - i] = s[i].fi;
  }
  const struct list_filter of = {.state = -1, .flow_id = f->flow_id};
  struct ids v = list_ins(w, &of, page(9, 0));
  ids_are(&v, want, 4);
  def_flow_unref(f);
}

static void an_instance_moves_with_its_state(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  const uint8_t way[] = {FLOW_PAUSED, FLOW_CANCELING, FLOW_CANCELED, FLOW_RUNNING, FLOW_FAILED, FLOW_RUNNING, FLOW_SUCCESS};
  for (size_t i = 0; i < sizeof way; i++) {
    struct flow_row r = flow_get(w, s.fi);
    r.state = way[i];
    OK(put_flow(w, ROW_UPDATE, 0, &r));
    for (int st = FLOW_RUNNING; st < FLOW__N; st++) {
      const struct list_filter of = {.state = st, .flow_id = f->flow_id};
      assert_int_equal(list_ins(w, &of, page(9, 0)).n, st == way[i]);
    }
  }
  def_flow_unref(f);
}

static void a_callback_may_stop_the_list(struct world *w) {
  struct history h;
  history_make(w, &h);
  const struct list_filter of = {.state = -1, .flow_id = h.f->flow_id}, types = {.state = -1};
  const struct page p = {.limit = 10};
  struct wr_err err;
  struct ids v = {.stop_after = 2}, t = {.stop_after = 1}, again = {0};
  struct reader *r = reader_of(w);
  WR(reader_list_flow_ins(r, &of, &p, ids_flow, &v, &v.more, &v.total, &err));
  assert_int_equal(v.n, 2);
  task_save(w, "a", "ECHO"), task_save(w, "b", "ECHO");
  WR(reader_list_tasks(r, &types, &p, ids_task_def, &t, &t.more, &t.total, &err));
  assert_int_equal(t.n, 1);
  WR(reader_list_flow_ins(r, &of, &p, ids_flow, &again, &again.more, &again.total, &err));
  assert_int_equal(again.n, 10);
  reader_put(r);
  def_flow_unref(h.f);
}

static void four_readers_at_once(struct world *w) {
  struct history h;
  history_make(w, &h);
  const struct list_filter of = {.state = -1, .flow_id = h.f->flow_id};
  const struct page p = {.limit = 50};
  struct reader *r[4];
  struct wr_err err;
  for (int i = 0; i < 4; i++) r[i] = reader_of(w);
  flow_end(w, &h.s[0], FLOW_SUCCESS); /* readers do not hold up the writer */
  for (int i = 0; i < 4; i++) {
    struct ids v = {0};
    WR(reader_list_flow_ins(r[i], &of, &p, ids_flow, &v, &v.more, &v.total, &err));
    assert_int_equal(v.n, INS);
  }
  for (int i = 0; i < 4; i++) reader_put(r[i]);
  def_flow_unref(h.f);
}

/* The runner gets its reader however many the API has taken, and gets it again after giving it back. */
static void the_runner_has_a_reader_of_its_own(struct world *w) {
  enum { MOST = 64 };
  struct reader *r[MOST], *own = NULL;
  struct wr_err err;
  size_t n = 0;
  while (n < MOST && (r[n] = reader_get(w->s, &err)) != NULL) n++;
  assert_true(n >= 4 && n < MOST);
  assert_int_equal(err.code, WR_BUSY);
  for (int i = 0; i < 2; i++) {
    own = reader_of_runner(w->s, &err);
    assert_non_null(own);
    WR(reader_token(own, &(struct store_token){0}, &err));
    reader_put(own);
  }
  while (n > 0) reader_put(r[--n]);
}

const struct fact facts_lists[] = {
  FACT(tasks_newest_first), FACT(tasks_by_type), FACT(tasks_by_name), FACT(names_fold_a_to_z_only), FACT(tasks_in_pages), FACT(deleted_are_not_listed),
  FACT(listed_rows_tell_their_columns), FACT(flows_by_name_and_page), FACT(ins_by_flow), FACT(ins_by_state_and_status),
  FACT(ins_by_time), FACT(ins_without_flow), FACT(ins_by_id), FACT(equal_times_sort_by_id), FACT(an_instance_moves_with_its_state),
  FACT(a_callback_may_stop_the_list), FACT(four_readers_at_once), FACT(the_runner_has_a_reader_of_its_own),
};
const size_t n_facts_lists = sizeof facts_lists / sizeof *facts_lists;
