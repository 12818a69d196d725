/* Why a task waits in its queue, over a real store: by what is set of the queue, by how many run, by the bucket of its rate; and by
 * what nodes say of their budget and load. And which tasks of flows are counted. */
#include "defs.h"
#include "facts.h"
#include "file_store.h"
#include "flow_counts.h"
#include "offers.h"
#include "why_queue.h"

static struct world w;
static struct offers offers;
static struct view view;

static void set(const char *user, const char *group, uint32_t fields, struct queue_row r) {
  r.user = user, r.group = group;
  WR(store_queue_set(w.s, &r, fields, &e_));
}
#define SET(user, group, fields, ...) set(user, group, fields, (struct queue_row){__VA_ARGS__})

static int64_t now_us = 1800000000000000;
static const char *says(const char *user, const char *group, char *text) {
  struct why_queue q = {0};
  bool known;
  const struct queue_view of = {user, group, 0, 0, NULL};
  text[0] = '\0';
  offers.counts.last.tried_us = INT64_MIN / 2; /* what was read a moment ago is old */
  const char *code = why_queue_holds(&q, &view, &of, now_us, text, 1024, &known);
  assert_true(known);
  why_queue_done(&q);
  return code ? code : "-";
}

static void pauses_of_each_kind(void **st) {
  static const char *const pair[][2] = {{"u", "g"}, {"u", ""}, {"", "g"}, {"", ""}};
  static const char *const said[] = {"(user \"u\", group \"g\")", "(all of user \"u\")", "(group \"g\" of all users)", "(all tasks)"};
  char text[1024];
  (void)st;
  assert_string_equal(says("u", "g", text), "-");
  for (int i = 0; i < 4; i++) {
    SET(pair[i][0], pair[i][1], QUEUE_PAUSED, .paused = 1);
    assert_string_equal(says("u", "g", text), "QUEUE_PAUSED");
    assert_non_null(strstr(text, said[i]));
    assert_string_equal(says("U", "G", text), i == 3 ? "QUEUE_PAUSED" : "-");
    SET(pair[i][0], pair[i][1], QUEUE_PAUSED, .paused = 0);
    assert_string_equal(says("u", "g", text), "-");
  }
}

static void limits_count_what_runs(void **st) {
  enum { N = 3 };
  static const char *const group[N] = {"g", "g", "h"};
  struct task_write tw[N];
  struct async_write aw[N];
  char text[1024];
  (void)st;
  for (int i = 0; i < N; i++) {
    struct task_row t = alone_row_of(&w, 0);
    t.t.version = 0, t.t.state = TASK_RUNNING, t.t.epoch = 1, t.t.owner = w.me, t.t.start_us = 5;
    tw[i] = (struct task_write){.op = ROW_INSERT, .expect_state = -1, .row = t};
    aw[i] = (struct async_write){ROW_INSERT, {.ti = t.ti, .create_us = 5, .name = "n", .type = "T", .user = "l", .group = group[i]}};
  }
  struct batch b = {.task = tw, .n_task = N, .async = aw, .n_async = N};
  OK(batch_do(&w, &b));
  SET("l", "g", QUEUE_MAX_RUNNING, .max_running = 3);
  assert_string_equal(says("l", "g", text), "-");
  SET("l", "g", QUEUE_MAX_RUNNING, .max_running = 2);
  assert_string_equal(says("l", "g", text), "QUEUE_LIMIT");
  assert_string_equal(text, "As many tasks of its queue run as may (user \"l\", group \"g\"): 2, and maxRunning there is 2. It begins when one of them has ended.");
  assert_string_equal(says("l", "h", text), "-");
  SET("l", "", QUEUE_MAX_RUNNING, .max_running = 3);
  assert_string_equal(says("l", "h", text), "QUEUE_LIMIT");
  assert_non_null(strstr(text, ": 3, and"));
  SET("l", "", QUEUE_MAX_RUNNING, .max_running = 0);
  assert_string_equal(says("l", "", text), "QUEUE_LIMIT");
  assert_non_null(strstr(text, "No task of its queue may run (all of user \"l\"): maxRunning there is 0."));
  SET("l", "g", QUEUE_PAUSED, .paused = 1);
  assert_string_equal(says("l", "g", text), "QUEUE_PAUSED"); /* the first that applies */
}

/* Inside a batch. */
static int64_t id_of(const char *user) {
  struct queue_row *row;
  struct arena a;
  int64_t version, id = 0;
  size_t n;
  arena_init(&a, 0);
  OK(store_queues(w.s, 0, &version, &a, &row, &n));
  for (size_t i = 0; i < n; i++)
    if (strcmp(row[i].user, user) == 0) id = row[i].queue_id;
  arena_done(&a);
  return id;
}

static void rates_say_when(void **st) {
  char text[1024];
  int64_t defs, at, id;
  (void)st;
  struct queue_row q = {.user = "r", .group = "", .rate_count = 4, .rate_per_us = 4000000};
  WR(store_queue_set(w.s, &q, QUEUE_RATE, &e_));
  assert_string_equal(says("r", "g", text), "-");
  OK(store_begin(w.s, &defs));
  id = id_of("r");
  OK(store_queue_lock(w.s, &id, 1, &at));
  const struct queue_rate r = {id, now_us + 4000000}; /* full in 4 s, so it is empty, and has one start in 1 s */
  struct batch b = {.id = world_batch_id(&w), .rate = &r, .n_rate = 1};
  OK(store_write(w.s, &b));
  OK(store_commit(w.s));
  assert_string_equal(says("r", "g", text), "RATE");
  assert_non_null(strstr(text, "(all of user \"r\") is 4 starts in 4s; the next one may be at 2027-01-15T"));
  now_us += 999999;
  assert_string_equal(says("r", "g", text), "RATE");
  now_us += 1;
  assert_string_equal(says("r", "g", text), "-");
}

static void nodes_say_what_holds(void **st) {
  struct node_trouble small = {.cpu_budget = 100}, busy = {.cpu_budget = 400, .cpu_used = 350}, loaded = {.cpu_budget = 400, .load = "it is hot"};
  char text[1024];
  (void)st;
  struct why_busy b = {0};
  assert_null(why_busy_says(&b, 0, text, sizeof text)); /* no node at all */
  why_busy_add(&b, &small, "s", 200);
  assert_string_equal(why_busy_says(&b, 200, text, sizeof text), "TOO_COSTLY");
  assert_non_null(strstr(text, "Its cpuOverhead is 200, and the greatest --cpu-budget of the nodes that could run it (1) is 100"));
  why_busy_add(&b, &busy, "b", 200);
  assert_string_equal(why_busy_says(&b, 200, text, sizeof text), "CPU_BUDGET");
  assert_non_null(strstr(text, "on host b has 350 of the --cpu-budget of 400"));
  why_busy_add(&b, &loaded, "l", 200);
  assert_string_equal(why_busy_says(&b, 200, text, sizeof text), "CPU_BUDGET");
  why_busy_add(&b, NULL, "free", 200);
  assert_null(why_busy_says(&b, 200, text, sizeof text));
  b = (struct why_busy){0};
  why_busy_add(&b, &loaded, "l", 0);
  assert_string_equal(why_busy_says(&b, 0, text, sizeof text), "LOAD");
  assert_string_equal(text, "No node that could run it (1) starts anything now: on host l, it is hot.");
  b = (struct why_busy){0};
  why_busy_add(&b, &busy, "b", 50);
  assert_null(why_busy_says(&b, 50, text, sizeof text)); /* it fits */
  busy.cpu_kept_for = 17;
  b = (struct why_busy){0};
  why_busy_add(&b, &busy, "b", 50);
  assert_string_equal(why_busy_says(&b, 50, text, sizeof text), "CPU_BUDGET");
  assert_non_null(strstr(text, "Task 17, which costs more, has waited so long that host b keeps the --cpu-budget of 400 for it"));
  b = (struct why_busy){0};
  why_busy_add(&b, &busy, "b", 0);
  assert_null(why_busy_says(&b, 0, text, sizeof text)); /* it costs nothing */
}

static void nodes_serve_some_queues(void **st) {
  struct node_trouble t = {.serves = "u/g,w/"};
  (void)st;
  assert_true(why_served(NULL, &(struct queue_view){"x", "y", 0, 0, NULL}));
  assert_true(why_served(&t, &(struct queue_view){"u", "g", 0, 0, NULL}) && why_served(&t, &(struct queue_view){"w", "", 0, 0, NULL}));
  assert_false(why_served(&t, &(struct queue_view){"", "", 0, 0, NULL}));
}

static uint8_t one_slot(const char *type) {
  (void)type;
  return 0;
}

/* Three flows of one task each. The one in the middle has ended, so its task stands for any that lies among those of the look. */
static void counts_of_flows_are_of_the_look(void **st) {
  enum { N = 3 };
  static const struct { size_t most; bool whole; int64_t queued; } want[] = {{N, true, 2}, {2, true, 2}, {1, false, 1}};
  struct flow_def *f = flow_save(&w, "counted", "{'nodeKey':'a','tasks':[{'taskName':'t','taskType':'ECHO','taskConfig':{'queue':{'user':'of'}}}]}");
  struct defs *d = defs_new(w.s, one_slot);
  struct started s[N];
  (void)st;
  for (int i = 0; i < N; i++) {
    s[i] = flow_start(&w, f);
    struct task_row t = task_row_of(&w, &s[i], 0, 0);
    OK(put_task(&w, ROW_INSERT, &t));
  }
  flow_end(&w, &s[1], FLOW_FAILED);
  for (int i = 0; i < 3; i++) {
    struct flow_counts c;
    WR(flow_counts_read(w.s, d, want[i].most, &c, &e_));
    assert_true(c.whole == want[i].whole);
    assert_int_equal(c.n, 1);
    assert_string_equal(c.v[0]->user, "of");
    assert_int_equal(c.v[0]->queued, want[i].queued);
    flow_counts_done(&c);
  }
  defs_free(d);
  def_flow_unref(f);
}

int main(void) {
  w.s = file_store_open();
  if (store_join(w.s, &(struct node_info){.host = "h", .pid = 1, .slots = 1, .roles = "runner"}, &w.me) != STORE_OK) return 1;
  w.now = 1700000000000000LL;
  offers_init(&offers);
  view = (struct view){.store = w.s, .offers = &offers};
  const struct CMUnitTest tests[] = {cmocka_unit_test(pauses_of_each_kind), cmocka_unit_test(limits_count_what_runs), cmocka_unit_test(rates_say_when),
                                     cmocka_unit_test(nodes_say_what_holds), cmocka_unit_test(nodes_serve_some_queues),
                                     cmocka_unit_test(counts_of_flows_are_of_the_look)};
  int failed = cmocka_run_group_tests_name("why_queue", tests, NULL, NULL);
  offers_end(&offers);
  file_store_close(w.s);
  return failed;
}
