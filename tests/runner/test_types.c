/* What a node knows of types that it does not have, over a real SQLite store: looks at the table of types are counted, made to
 * fail and made to wait, and the clock moves only when a test says so. */
#include "async.h"
#include "defs.h"
#include "facts.h"
#include "registry.h"
#include "file_store.h"
#include <pthread.h>
#include <unistd.h>

static struct store *store;
static struct world w;
static struct registry *none;
static struct defs *defs;

/* ---- looks ---- */
static struct { _Atomic int n; bool fails; useconds_t takes_us; } looks;

enum wr_rc __real_reader_known_types(struct reader *r, known_type_fn *fn, void *ctx, struct wr_err *err);
enum wr_rc __wrap_reader_known_types(struct reader *r, known_type_fn *fn, void *ctx, struct wr_err *err);
enum wr_rc __wrap_reader_known_types(struct reader *r, known_type_fn *fn, void *ctx, struct wr_err *err) {
  looks.n++;
  (void)defs_bytes(defs); /* would wait for ever beside a lock of the cache */
  if (looks.takes_us) (void)usleep(looks.takes_us);
  return looks.fails ? wr_err_set(err, WR_DB_UNAVAILABLE, NULL) : __real_reader_known_types(r, fn, ctx, err);
}
#define LOOKS(want) do { assert_int_equal(looks.n, want); looks.n = 0; } while (0)

static int64_t now_us; /* real when a test begins, since waits count by it too */
int64_t __real_clock_mono_us(void);
int64_t __wrap_clock_mono_us(void);
int64_t __wrap_clock_mono_us(void) { return now_us; }
static void later(void) { now_us += 1000000; }

/* ---- */

/* As another node does. */
static void registers(const char *type, bool cleans_up) {
  struct wr_err err;
  WR(store_know_types(store, &(struct known_type){type, cleans_up}, 1, &err));
}

static enum wr_rc asked(const char *type, bool *known) {
  struct wr_err err = {0};
  enum wr_rc rc = defs_type_known(defs, type, known, &err);
  assert_int_equal(rc, err.code);
  return rc;
}

static bool is_known(const char *type) {
  bool known = false;
  assert_int_equal(asked(type, &known), WR_OK);
  return known;
}

/* As the runner sees it. */
static int64_t version_now(void) {
  int64_t v = 0;
  OK(store_begin(store, &v));
  store_rollback(store);
  return v;
}

static bool cleans_up(int64_t task_id) {
  struct task_def *t = NULL;
  struct wr_err err;
  WR(defs_task(defs, task_id, 0, version_now(), &t, &err));
  bool yes = t->policy.cleans_up;
  def_task_unref(t);
  return yes;
}

/* ---- facts ---- */
static void a_look_that_failed_says_nothing(void **st) {
  bool known;
  (void)st;
  looks.fails = true;
  assert_int_equal(asked("away", &known), WR_DB_UNAVAILABLE);
  assert_int_equal(asked("away", &known), WR_DB_UNAVAILABLE); /* and not: there is no such type */
  looks.fails = false;
  assert_false(is_known("away"));
  LOOKS(3);
  assert_false(is_known("away")); /* that one counts */
  registers("away", false);
  assert_false(is_known("away"));
  LOOKS(0);
  later();
  assert_true(is_known("away"));
  LOOKS(1);
}

enum { MANY = 8 }; /* more than there are readers */
static struct { bool known; enum wr_rc rc; } answer[MANY];

static void *asks(void *at) {
  size_t i = (size_t)(uintptr_t)at;
  struct wr_err err;
  answer[i].rc = defs_type_known(defs, "together", &answer[i].known, &err);
  return NULL;
}

static void all_ask(void) {
  pthread_t t[MANY];
  for (size_t i = 0; i < MANY; i++) assert_int_equal(pthread_create(&t[i], NULL, asks, (void *)(uintptr_t)i), 0);
  for (size_t i = 0; i < MANY; i++) (void)pthread_join(t[i], NULL);
}

static void who_comes_during_a_look_gets_its_result(void **st) {
  (void)st;
  registers("together", false);
  looks.takes_us = 300000;
  all_ask();
  LOOKS(1);
  for (int i = 0; i < MANY; i++) assert_true(answer[i].rc == WR_OK && answer[i].known);
}

static void a_failure_is_everybodys(void **st) {
  (void)st;
  looks.takes_us = 300000;
  looks.fails = true;
  all_ask();
  for (int i = 0; i < MANY; i++) assert_int_equal(answer[i].rc, WR_DB_UNAVAILABLE);
  assert_in_range(looks.n, 1, MANY - 1); /* those that had no reader yet look anew */
}

static void what_became_known_is_seen_in_versions(void **st) {
  (void)st;
  int64_t id = task_save(&w, "t", "new");
  assert_false(cleans_up(id));
  registers("new", true);
  assert_false(cleans_up(id)); /* not within a second */
  LOOKS(1);
  later();
  assert_false(is_known("another")); /* whoever looks, and for what */
  assert_true(cleans_up(id));
  LOOKS(1);
}

static void a_known_type_may_change(void **st) {
  (void)st;
  registers("changes", false);
  int64_t id = task_save(&w, "t", "changes");
  assert_false(cleans_up(id));
  registers("changes", true);
  later();
  assert_true(cleans_up(id));
  registers("changes", false);
  later();
  looks.fails = true;
  assert_true(cleans_up(id)); /* what was known last */
  looks.fails = false;
  assert_false(cleans_up(id));
  LOOKS(4);
}

static bool no_lock_held(void *ctx, const struct task_def *t) {
  (void)ctx, (void)t;
  (void)defs_bytes(defs);
  return true;
}

static void what_is_read_in_bulk_is_looked_up(void **st) {
  char nodes[200];
  const struct task_bind *bind;
  struct wr_err err;
  (void)st;
  registers("bulk", true);
  defs_can_run(defs, no_lock_held, NULL);
  long long a = task_save(&w, "a", "bulk"), b = task_save(&w, "b", "bulk");
  snprintf(nodes, sizeof nodes, "{'nodeType':'TASK','taskIds':'%lld'},{'nodeType':'TASK','taskIds':'%lld'}", a, b);
  struct flow_def *saved = flow_save(&w, "f", nodes), *f;
  WR(defs_flow(defs, saved->flow_id, 0, version_now(), &f, &err));
  looks.fails = true;
  assert_int_equal(defs_bind(defs, f, version_now(), &bind, &err), WR_DB_UNAVAILABLE);
  looks.fails = false;
  WR(defs_bind(defs, f, version_now(), &bind, &err));
  assert_true(bind[0].pol->cleans_up && bind[1].pol->cleans_up);
  LOOKS(2);
  def_flow_unref(f);
  def_flow_unref(saved);
}

/* The definition of an inline task, as the runner places it. */
static void a_failure_places_nothing(void **st) {
  struct task_def *t = NULL;
  struct wr_err err;
  (void)st;
  registers("inline", true);
  WR(async_def("t", "inline", NULL, NULL, &t, &err));
  looks.fails = true;
  assert_int_equal(defs_place(defs, t, 0, &err), WR_DB_UNAVAILABLE); /* and not: it has no clean-up */
  looks.fails = false;
  WR(defs_place(defs, t, 0, &err));
  assert_true(t->policy.cleans_up);
  registers("inline", false);
  later();
  WR(defs_place(defs, t, 0, &err));
  assert_false(t->policy.cleans_up);
  def_task_unref(t);
}

/* ---- set up ---- */

static int fresh(void **st) {
  (void)st;
  (void)alarm(60); /* a thread that waits for itself */
  now_us = __real_clock_mono_us();
  looks.n = 0;
  looks.fails = false;
  looks.takes_us = 0;
  defs = defs_new(store, NULL);
  defs_executors(defs, none);
  return 0;
}

static int over(void **st) {
  (void)st;
  defs_free(defs);
  return 0;
}

static int set_up(void **st) {
  (void)st;
  store = file_store_open();
  w = (struct world){.s = store};
  none = registry_new();
  return 0;
}

static int tear_down(void **st) {
  (void)st;
  registry_free(none);
  file_store_close(store);
  return 0;
}

int main(void) {
#define FRESH(f) cmocka_unit_test_setup_teardown(f, fresh, over)
  const struct CMUnitTest tests[] = {
    FRESH(a_look_that_failed_says_nothing), FRESH(who_comes_during_a_look_gets_its_result), FRESH(a_failure_is_everybodys),
    FRESH(a_failure_places_nothing), FRESH(what_became_known_is_seen_in_versions), FRESH(a_known_type_may_change), FRESH(what_is_read_in_bulk_is_looked_up),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
