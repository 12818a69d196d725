/* Facts of the lists of stand-alone tasks: each filter, their order, pages, and the bound of what they look at. */
#include "bases.h"
#include "dag.h"
#include "facts.h"
#include "mem.h"

static struct task_row made(struct world *w, const struct async_row *like, uint8_t state, uint8_t phase) {
  struct task_row t = alone_row_of(w, 0);
  struct async_row a = *like;
  a.ti = t.ti, a.create_us = t.create_us;
  if (!a.name) a.name = "n";
  if (!a.type) a.type = "ECHO";
  t.t.state = state, t.t.phase = phase, t.t.epoch = state == TASK_RUNNING ? 1 : 0, t.t.owner = state == TASK_RUNNING ? w->me : 0;
  t.end_us = state >= TASK_FINAL_MIN ? t.create_us : 0;
  struct task_write tw = {.op = ROW_INSERT, .expect_state = -1, .row = t};
  struct async_write aw = {ROW_INSERT, a};
  struct batch b = {.task = &tw, .n_task = 1, .async = &aw, .n_async = 1};
  tw.row.t.state = TASK_QUEUED; /* a row begins live, as the runner makes it */
  OK(batch_do(w, &b));
  if (state == TASK_QUEUED && !phase) return t;
  struct task_write end = {.op = ROW_UPDATE, .expect_state = TASK_QUEUED, .expect_epoch = tw.row.t.epoch, .row = t};
  OK(batch_do(w, &(struct batch){.task = &end, .n_task = 1}));
  return t;
}

struct got { struct ids ids; int nodes, texts; };
static int see(void *ctx, const struct task_row *t, const struct async_row *a) {
  struct got *g = ctx;
  g->nodes += a == NULL;
  g->texts += t->result || (a && (a->content || a->config || a->context));
  return ids_task(&g->ids, t);
}

static struct got list(struct world *w, struct alone_filter f, uint32_t limit, uint64_t offset, bool total) {
  struct got g = {.nodes = 0};
  struct wr_err err;
  const struct page p = {limit, offset, total};
  struct reader *r = reader_of(w);
  f.alone_only = !f.alone_only; /* true is the rule here */
  if (reader_list_alone(r, &f, &p, see, &g, &g.ids.more, &g.ids.total, &err)) fail_msg("%s", err.msg);
  reader_put(r);
  assert_int_equal(g.texts, 0);
  return g;
}

/* All that fit, newest first, are want[0..n): as one page, and one by one. */
static void lists(struct world *w, struct alone_filter f, const int64_t *want, size_t n) {
  struct got g = list(w, f, 100, 0, true);
  ids_are(&g.ids, want, n);
  assert_false(g.ids.more);
  assert_int_equal(g.ids.total, n);
  for (size_t i = 0; i < n; i++) {
    g = list(w, f, 1, i, i % 2);
    ids_are(&g.ids, want + i, 1);
    assert_int_equal(g.ids.more, i + 1 < n);
    assert_int_equal(g.ids.total, i % 2 ? (int64_t)n : -1);
  }
  struct alone_pos pos = {0, 0};
  f.pos = &pos;
  for (size_t i = 0; i < n; i++) {
    g = list(w, f, 1, 0, false);
    ids_are(&g.ids, want + i, 1);
  }
  g = list(w, f, 1, 0, false);
  assert_int_equal(g.ids.n, 0);
}

static void each_filter_of_alone_tasks(struct world *w) {
  static const struct async_row like[] = {
    {.user = "u", .group = "g"}, {.user = "u", .group = "h", .type = "SHELL"}, {.user = "u"}, {.user = "u "}, {.group = "g"}, {.key = "job_1"},
    {.key = "jobx1"}, {.key = "job%2", .user = "u"}, {.key = "Job_1"}, {.content = "long", .config = "{}", .context = "c", .context_len = 1}};
  int64_t ti[10], us[10];
  for (int i = 0; i < 10; i++) {
    struct task_row t = made(w, &like[i], TASK_QUEUED, 0);
    ti[i] = t.ti, us[i] = t.create_us;
  }
#define COMMA ,
#define LIST_IS(filter, ...) lists(w, (struct alone_filter){filter}, (int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
  LIST_IS(.user = "u", ti[7], ti[2], ti[1], ti[0]);
  LIST_IS(.user = "u " COMMA .group = NULL, ti[3]);
  LIST_IS(.user = "u" COMMA .group = "g", ti[0]);
  LIST_IS(.user = "u" COMMA .group = "", ti[7], ti[2]);
  LIST_IS(.user = "" COMMA .group = "g", ti[4]);
  LIST_IS(.user = "" COMMA .group = "", ti[9], ti[8], ti[6], ti[5]);
  LIST_IS(.user = "", ti[9], ti[8], ti[6], ti[5], ti[4]);
  LIST_IS(.group = "g", ti[4], ti[0]);
  LIST_IS(.type = "SHELL", ti[1]);
  LIST_IS(.key = "job_1", ti[5]);
  LIST_IS(.key = "job_" COMMA .key_prefix = true, ti[5]);
  LIST_IS(.key = "job" COMMA .key_prefix = true, ti[7], ti[6], ti[5]);
  LIST_IS(.key = "job%" COMMA .key_prefix = true, ti[7]);
  LIST_IS(.key = "" COMMA .key_prefix = true, ti[8], ti[7], ti[6], ti[5]);
  LIST_IS(.key = "job" COMMA .key_prefix = true COMMA .user = "u", ti[7]);
  LIST_IS(.from_us = us[3] COMMA .to_us = us[5], ti[5], ti[4], ti[3]);
  LIST_IS(.from_us = us[1] COMMA .to_us = us[7] COMMA .user = "u", ti[7], ti[2], ti[1]);
  lists(w, (struct alone_filter){.user = "nobody"}, NULL, 0);
  lists(w, (struct alone_filter){.user = "u", .group = "none"}, NULL, 0);
  lists(w, (struct alone_filter){.key = "job*"}, NULL, 0);
  lists(w, (struct alone_filter){.key = "\xc3\xa9", .key_prefix = true}, NULL, 0);
  lists(w, (struct alone_filter){.key = ""}, NULL, 0);
  lists(w, (struct alone_filter){.task_id = 99}, NULL, 0);
  lists(w, (struct alone_filter){.to_us = us[0] - 1}, NULL, 0);
  lists(w, (struct alone_filter){.from_us = us[9] + 1}, NULL, 0);
}

static void each_state_of_alone_tasks(struct world *w) {
  int64_t ti[TASK__N + 2];
  for (uint8_t s = TASK_CREATED; s < TASK__N; s++) ti[s] = made(w, &(struct async_row){.user = "states"}, s, 0).ti;
  ti[TASK__N] = made(w, &(struct async_row){.user = "states"}, TASK_RUNNING, 1).ti;
  ti[TASK__N + 1] = made(w, &(struct async_row){.user = "states"}, TASK_FAILED, 1).ti;
  for (int s = TASK_CREATED; s < TASK__N + 2; s++) {
    lists(w, (struct alone_filter){.states = 1u << s}, &ti[s], 1);
    lists(w, (struct alone_filter){.states = 1u << s, .user = "states"}, &ti[s], 1);
  }
  assert_int_equal(ALONE_DELETING, 1u << TASK__N);
  LIST_IS(.states = ALONE_STATE(TASK_QUEUED) COMMA .status = 1, ti[TASK_QUEUED]);
  LIST_IS(.states = ALONE_STATE(TASK_PAUSED) | ALONE_DELETE_FAILED, ti[TASK__N + 1], ti[TASK_PAUSED]);
  LIST_IS(.status = 2, ti[TASK_SUCCESS]);
  LIST_IS(.status = 3, ti[TASK__N + 1], ti[TASK_DEAD], ti[TASK_CANCELED], ti[TASK_TIMEOUT], ti[TASK_FAILED]);
  LIST_IS(.status = 1, ti[TASK__N], ti[8], ti[7], ti[6], ti[5], ti[4], ti[3], ti[2], ti[1]);
  lists(w, (struct alone_filter){.states = ALONE_STATE(TASK_QUEUED), .status = 2}, NULL, 0);
}

/* A user with many groups is a merge of them. */
static void user_of_many_groups(struct world *w) {
  enum { GROUPS = 40, N = 400 };
  static int64_t ti[N], first;
  static char group[GROUPS][8];
  static struct task_write tw[N];
  static struct async_write aw[N];
  OK(store_ids(w->s, ID_TI, N, &first));
  for (int i = 0; i < GROUPS; i++) snprintf(group[i], sizeof group[i], "g%02d", i);
  for (int i = 0; i < N; i++) {
    ti[N - 1 - i] = first + i;
    int64_t us = world_now(w) + 1000 * i;
    tw[i] = (struct task_write){.op = ROW_INSERT, .expect_state = -1, .row = {.ti = first + i, .create_us = us, .update_us = us, .exit_code = -1,
      .t = {.state = TASK_QUEUED}}};
    aw[i] = (struct async_write){ROW_INSERT, {.ti = first + i, .create_us = us, .name = "n", .type = "t", .user = "grouped",
                                              .group = i % 7 ? group[(i * 13) % GROUPS] : ""}};
  }
  struct batch b = {.task = tw, .n_task = N, .async = aw, .n_async = N};
  OK(batch_do(w, &b));
  struct got g = list(w, (struct alone_filter){.user = "grouped"}, N, 0, true);
  ids_are(&g.ids, ti, N);
  assert_int_equal(g.ids.total, N);
  struct alone_pos pos = {0, 0};
  for (int at = 0; at < N; at += 130) {
    g = list(w, (struct alone_filter){.user = "grouped", .pos = &pos}, 130, 0, false);
    ids_are(&g.ids, ti + at, N - at < 130 ? (size_t)(N - at) : 130);
    assert_int_equal(g.ids.more, at + 130 < N);
  }
}

/* What definitions say, as whoever asks the store knows them. */
struct node_said { struct flow_def *flow; int asked, with_bases; enum wr_rc fails; };
static enum wr_rc said(void *ctx, struct reader *r, const struct node_task *t, struct task_def **out, struct wr_err *err) {
  struct node_said *k = ctx;
  k->asked++;
  if (k->fails) return wr_err_set(err, k->fails, "away");
  if (t->task_id) return reader_task(r, t->task_id, t->version, out, err);
  k->with_bases += t->bases != NULL;
  assert_int_equal(t->flow_id, k->flow->flow_id);
  assert_int_equal(t->flow_version, k->flow->version);
  *out = def_task_ref(k->flow->ref[t->ti - run_base_of_task(t->bases, t->ti)].inl);
  return WR_OK;
}

#define QUEUE_OF(user, group) "'taskConfig':{'queue':{'user':'" user "','group':'" group "'}}"
/* Three tasks of each flow: one says nothing, one has a queue, one is a saved task of a type of its own. */
static void whose_tasks_of_nodes(struct world *w) {
  int64_t task = task_save(w, "saved", "SAVED");
  struct task_row a = made(w, &(struct async_row){.user = "own", .group = "own", .type = "SAVED"}, TASK_QUEUED, 0);
  struct flow_def *f = flow_save(w, "f", "{'nodeKey':'a','tasks':[{'taskName':'t','taskType':'ECHO'},{'taskName':'t','taskType':'SLOW'," QUEUE_OF("own", "g")
                                         "},{'taskName':'t','taskType':'ECHO'}]}");
  struct started s[2] = {flow_start(w, f), flow_start(w, f)};
  struct task_row t[6];
  for (int i = 0; i < 6; i++) {
    t[i] = task_row_of(w, &s[i / 3], 0, (uint32_t)i % 3);
    if (i % 3 == 2) t[i].task_id = task, t[i].t.version = 1;
    OK(put_task(w, ROW_INSERT, &t[i]));
  }
  /* the second flow's start said something, and a wish about its second task */
  struct whose_row row[] = {{s[1].fi, 0, "start", "all", 0, false}, {s[1].fi, t[4].ti, NULL, "moved", 0, false}};
  OK(batch_do(w, &(struct batch){.whose = row, .n_whose = 2}));
  struct node_said k = {.flow = f};
#define NODES_ARE(filter, ...) lists(w, (struct alone_filter){.alone_only = true, .def_of = said, .def_ctx = &k, filter}, \
                                     (int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t))
  NODES_ARE(.user = "own", t[4].ti, t[1].ti, a.ti);
  NODES_ARE(.user = "own" COMMA .group = "g", t[1].ti);
  NODES_ARE(.group = "moved", t[4].ti);
  NODES_ARE(.user = "start", t[5].ti, t[3].ti);
  NODES_ARE(.user = "start" COMMA .group = "all" COMMA .type = "ECHO", t[3].ti);
  NODES_ARE(.user = "" COMMA .group = "", t[2].ti, t[0].ti);
  NODES_ARE(.type = "SAVED", t[5].ti, t[2].ti, a.ti);
  NODES_ARE(.type = "SLOW", t[4].ti, t[1].ti);
  NODES_ARE(.type = "ECHO" COMMA .states = ALONE_STATE(TASK_QUEUED), t[3].ti, t[0].ti);
  assert_true(k.with_bases > 0);
  lists(w, (struct alone_filter){.alone_only = true, .def_of = said, .def_ctx = &k, .user = "nobody"}, NULL, 0);
  /* nobody is asked about a task that cannot fit */
  k.asked = 0;
  lists(w, (struct alone_filter){.alone_only = true, .def_of = said, .def_ctx = &k, .user = "own", .states = ALONE_STATE(TASK_FAILED)}, NULL, 0);
  lists(w, (struct alone_filter){.def_of = said, .def_ctx = &k, .user = "start"}, NULL, 0);
  assert_int_equal(k.asked, 0);
  /* an error is no answer */
  struct got g = {.nodes = 0};
  struct wr_err err;
  struct reader *r = reader_of(w);
  k.fails = WR_DB_UNAVAILABLE;
  const struct alone_filter by = {.user = "own", .def_of = said, .def_ctx = &k};
  assert_int_equal(reader_list_alone(r, &by, &(struct page){10, 0, false}, see, &g, &g.ids.more, &g.ids.total, &err), WR_DB_UNAVAILABLE);
  reader_put(r);
  for (int i = 0; i < 2; i++) flow_end(w, &s[i], FLOW_FAILED);
  def_flow_unref(f);
}

static void tasks_of_nodes_too(struct world *w) {
  int64_t task = task_save(w, "saved", "SAVED");
  struct task_row a = made(w, &(struct async_row){.user = "u"}, TASK_QUEUED, 0);
  struct flow_def *f = flow_save(w, "f", "{'nodeKey':'a','tasks':[{'taskName':'t','taskType':'ECHO'},{'taskName':'t','taskType':'ECHO'}]}");
  struct started s = flow_start(w, f);
  struct task_row t[2] = {task_row_of(w, &s, 0, 0), task_row_of(w, &s, 0, 1)};
  t[1].task_id = task;
  for (int i = 0; i < 2; i++) OK(put_task(w, ROW_INSERT, &t[i]));
  struct got g = list(w, (struct alone_filter){.alone_only = true}, 10, 0, true);
  ids_are(&g.ids, (int64_t[]){t[1].ti, t[0].ti, a.ti}, 3);
  assert_int_equal(g.nodes, 2);
  LIST_IS(.alone_only = true COMMA .user = "u", a.ti);
  LIST_IS(.alone_only = true COMMA .type = "ECHO", a.ti); /* nobody knows definitions here */
  LIST_IS(.alone_only = true COMMA .task_id = task, t[1].ti);
  LIST_IS(.alone_only = true COMMA .from_us = t[0].create_us, t[1].ti, t[0].ti);
  LIST_IS(.alone_only = false, a.ti);
  flow_end(w, &s, FLOW_FAILED);
  def_flow_unref(f);
}

/* More than a list looks at: it says so, and goes on from where it was. */
static void list_looks_at_so_many(struct world *w) {
  enum { N = 2000, ROUNDS = LIMIT_ALONE_LOOK / N + 1 };
  static struct task_write tw[N];
  static struct async_write aw[N];
  int64_t last = 0, oldest = made(w, &(struct async_row){.type = "OLDEST"}, TASK_QUEUED, 0).ti;
  for (int k = 0; k < ROUNDS; k++) {
    int64_t first;
    OK(store_ids(w->s, ID_TI, N, &first));
    for (int i = 0; i < N; i++) {
      last = first + i;
      int64_t us = world_now(w);
      tw[i] = (struct task_write){.op = ROW_INSERT, .expect_state = -1, .row = {.ti = last, .create_us = us, .update_us = us, .exit_code = -1,
        .t = {.state = TASK_QUEUED}}};
      aw[i] = (struct async_write){ROW_INSERT, {.ti = last, .create_us = us, .name = "n", .type = "t"}};
    }
    struct batch b = {.task = tw, .n_task = N, .async = aw, .n_async = N};
    OK(batch_do(w, &b));
  }
  struct got g = list(w, (struct alone_filter){.user = ""}, 1, 0, true);
  ids_are(&g.ids, &last, 1);
  assert_true(g.ids.more);
  assert_int_equal(g.ids.total, -1); /* not all were looked at */
  for (int live = 0; live < 2; live++) {
    struct alone_pos pos = {0, 0};
    struct alone_filter f = {.type = "OLDEST", .pos = &pos, .status = live};
    g = list(w, f, 5, 0, false);
    assert_int_equal(g.ids.n, 0);
    assert_true(g.ids.more);
    g = list(w, f, 5, 0, false);
    ids_are(&g.ids, &oldest, 1);
    assert_false(g.ids.more);
  }
}

const struct fact facts_alone[] = {
  FACT_FRESH(each_filter_of_alone_tasks), FACT_FRESH(each_state_of_alone_tasks), FACT(user_of_many_groups), FACT_FRESH(tasks_of_nodes_too),
  FACT_FRESH(whose_tasks_of_nodes),
  FACT_FRESH(list_looks_at_so_many),
};
const size_t n_facts_alone = sizeof facts_alone / sizeof *facts_alone;
