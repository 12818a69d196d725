/* Opening, registering, making and looking: what each call answers, and to what it is refused. */
#include "kit.h"

static int finish(weir_attempt_t *a, void *user) {
  (void)a, (void)user;
  return WEIR_PHASE_FINISHED;
}

static const weir_type_t plain = {.size = sizeof plain, .name = "plain", .run = finish};

static void test_open_refused(void **st) {
  char err[200];
  weir_t *h = (weir_t *)&err;
  (void)st;
  IS(weir_open(&h, kit_url(), (const char *[]){"slotz=3", NULL}, err, sizeof err), WEIR_ERR_INVALID);
  assert_null(h);
  assert_string_equal(err, "There is no option \"slotz\".");
  assert_string_equal(weir_error(NULL), err); /* there is no handle to ask */
  assert_true(weir_error_code(NULL) / 100 == 400 || weir_error_code(NULL) / 100 == 422);
  IS(weir_open(&h, kit_url(), (const char *[]){"slots=0", NULL}, err, sizeof err), WEIR_ERR_INVALID);
  IS(weir_open(&h, kit_url(), (const char *[]){"run-as=nobody", NULL}, err, sizeof err), WEIR_ERR_UNSUPPORTED);
  int rc = weir_open(&h, "http://127.0.0.1:1", NULL, err, sizeof err); /* nobody listens there */
  assert_true(rc == WEIR_ERR_UNAVAILABLE || rc == WEIR_ERR_UNSUPPORTED);
  IS(weir_open(&h, "sqlite:/nowhere/at/all.db", NULL, err, sizeof err), WEIR_ERR_UNAVAILABLE);
  assert_string_equal(weir_error(NULL), err);
  IS(weir_error_code(NULL), 50301);
  IS(weir_open(&h, "fish:", NULL, NULL, 0), WEIR_ERR_INVALID);
  IS(weir_close(NULL), WEIR_OK);
}

static int releases;
static void release(void *user) {
  assert_ptr_equal(user, &releases);
  releases++;
}

static void test_register(void **st) {
  weir_t *h = kit_open("slots=2", NULL);
  weir_type_t t = plain;
  (void)st;
  t.user = &releases;
  t.release = release;
  OK(weir_register(h, &t));
  IS(weir_register(h, &plain), WEIR_ERR_CONFLICT);
  IS(weir_error_code(h), 40918);
  t.name = "SHELL";
  IS(weir_register(h, &t), WEIR_ERR_CONFLICT);
  t.name = "two words";
  IS(weir_register(h, &t), WEIR_ERR_INVALID);
  t.name = "fine", t.run = NULL;
  IS(weir_register(h, &t), WEIR_ERR_INVALID);
  OK(weir_start(h));
  IS(weir_start(h), WEIR_ERR_INVALID);
  IS(weir_register(h, &plain), WEIR_ERR_INVALID);
  IS(releases, 0);
  OK(weir_close(h));
  IS(releases, 1);
}

/* The threads are shared: with a stack that cannot be had, no type would run. */
static void test_stack(void **st) {
  static const size_t odd[] = {((size_t)1 << 30) + 1, (size_t)1 << 50, SIZE_MAX};
  weir_t *h = kit_open("slots=2", NULL);
  weir_type_t t = {.size = sizeof t, .name = "greedy", .run = finish};
  (void)st;
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
    t.stack = odd[i];
    IS(weir_register(h, &t), WEIR_ERR_INVALID);
    assert_non_null(strstr(weir_error(h), "stack is"));
  }
  OK(weir_register(h, &plain));
  OK(weir_start(h));
  OK(weir_wait(h, kit_create(h, "plain"), SOON_MS, NULL));
  OK(weir_close(h));
}

static size_t count_tasks(weir_t *h, const weir_filter_t *f, int64_t *total) {
  weir_task_t **v;
  size_t n;
  OK(weir_list(h, f, &v, &n, total));
  for (size_t i = 1; i < n; i++) assert_true(v[i]->id < v[i - 1]->id);
  weir_list_free(v, n);
  return n;
}

/* A struct of a later header, and one of an older one. */
static void test_sizes(void **st) {
  struct { weir_spec_t s; int64_t later; } s = {.s = {.size = sizeof s, .type = "ECHO"}};
  weir_t *h = kit_open("slots=2", NULL);
  int64_t id;
  (void)st;
  OK(weir_create(h, &s.s, &id));
  s.later = 1;
  IS(weir_create(h, &s.s, &id), WEIR_ERR_INVALID);
  s.s.size = offsetof(weir_spec_t, delay_ms);
  s.s.delay_ms = -5; /* beyond its size: not looked at */
  OK(weir_create(h, &s.s, &id));
  s.s.size = 1;
  IS(weir_create(h, &s.s, &id), WEIR_ERR_INVALID);
  /* members of an older header are as if they were not set: garbage behind its end says nothing */
  weir_queue_t q = {.size = offsetof(weir_queue_t, paused), .user = "old", .max_running = 3, .weight = 7, .paused = 9};
  OK(weir_queue_set(h, &q));
  weir_filter_t f = {.size = offsetof(weir_filter_t, limit), .limit = 0};
  IS(count_tasks(h, &f, NULL), 2);
  OK(weir_close(h));
}

/* Half a member cannot be had. What the bytes behind such a size hold is not looked at. */
static void test_odd_sizes(void **st) {
  static const size_t odd[] = {0, 1, sizeof(size_t) - 1, sizeof(size_t) * 3 / 2, sizeof(size_t) * 5 / 2};
  weir_t *h = kit_open("slots=2", NULL);
  weir_spec_t s = {.type = "ECHO"};
  weir_type_t t = {.name = "plain", .run = finish};
  weir_filter_t f = {.limit = -1};
  weir_queue_t q = {.user = "u", .max_running = 1, .weight = -1, .paused = -1, .rate_count = -1, .order = -1, .rate_per_ms = -1};
  weir_task_t **v;
  size_t n;
  char want[40];
  (void)st;
#define ODD(call) do { IS(call, WEIR_ERR_INVALID); if (!strstr(weir_error(h), want)) fail_msg("%s: %s", #call, weir_error(h)); } while (0)
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
    s.size = t.size = f.size = q.size = odd[i];
    snprintf(want, sizeof want, " is %zu: it must be sizeof", odd[i]);
    ODD(weir_create(h, &s, NULL));
    ODD(weir_register(h, &t));
    ODD(weir_list(h, &f, &v, &n, NULL));
    ODD(weir_queue_set(h, &q));
  }
#undef ODD
  OK(weir_close(h));
}

/* Which member is wrong, and of several specs, which one. */
static void test_sentences(void **st) {
  static const char *const odd[] = {"[1]", "{bad", ""};
  weir_t *h = kit_open("slots=2", NULL);
  weir_spec_t good = {.size = sizeof good, .type = "ECHO"}, bad = good;
  const weir_spec_t *const three[] = {&good, &good, &bad};
  (void)st;
  for (size_t i = 0; i < 2 * sizeof odd / sizeof *odd; i++) { /* with a key another code reads them */
    bad.params = odd[i / 2];
    bad.key = i % 2 ? "k" : NULL;
    IS(weir_create(h, &bad, NULL), WEIR_ERR_INVALID);
    if (!strstr(weir_error(h), "params")) fail_msg("params \"%s\": %s", odd[i / 2], weir_error(h));
    assert_null(strstr(weir_error(h), "Spec"));
    IS(weir_create_many(h, three, 3, NULL), WEIR_ERR_INVALID);
    if (strncmp(weir_error(h), "spec[2]: ", 9) != 0 || !strstr(weir_error(h), "params")) fail_msg("%s", weir_error(h));
  }
  bad.params = bad.key = NULL, bad.priority = 200;
  IS(weir_create_many(h, three, 3, NULL), WEIR_ERR_INVALID);
  assert_int_equal(strncmp(weir_error(h), "spec[2]: ", 9), 0);
  bad.priority = 0, bad.type = "nobody";
  IS(weir_create_many(h, three, 3, NULL), WEIR_ERR_UNKNOWN_TYPE); /* the code stays that of its mistake */
  OK(weir_close(h));
}

static void test_create(void **st) {
  weir_t *h = kit_open("slots=2", NULL);
  int64_t id = 0, again = 0, ids[2] = {0};
  weir_spec_t s = {.size = sizeof s, .type = "nobody"}, bad = {.size = sizeof bad, .type = "ECHO", .params = "[1]"};
  (void)st;
  IS(weir_create(h, &s, &id), WEIR_ERR_UNKNOWN_TYPE);
  IS(weir_error_code(h), 42220);
  assert_non_null(strstr(weir_error(h), "nobody"));
  s.type = NULL;
  IS(weir_create(h, &s, &id), WEIR_ERR_INVALID);
  s.type = "ECHO", s.name = "\xff";
  IS(weir_create(h, &s, &id), WEIR_ERR_INVALID);
  s.name = "one", s.content = "hi", s.key = "k1", s.user = "ann", s.group = "g", s.priority = 5;
  OK(weir_create(h, &s, &id));
  OK(weir_create(h, &s, &again)); /* the same key again adds nothing */
  assert_true(id == again);
  s.content = "other";
  IS(weir_create(h, &s, &again), WEIR_ERR_CONFLICT);
  IS(weir_error_code(h), 40911);
  s.key = NULL, s.priority = 101;
  IS(weir_create(h, &s, &again), WEIR_ERR_INVALID);
  s.priority = 0;
  const weir_spec_t *const both[] = {&s, &bad};
  IS(weir_create_many(h, both, 2, ids), WEIR_ERR_INVALID); /* all or nothing */
  IS(weir_create_many(h, both, 0, ids), WEIR_ERR_INVALID);
  int64_t total;
  weir_task_t **v;
  size_t n;
  OK(weir_list(h, NULL, &v, &n, &total));
  IS(n, 1);
  IS(total, 1);
  assert_string_equal(v[0]->user, "ann");
  assert_string_equal(v[0]->key, "k1");
  weir_list_free(v, n);
  OK(weir_close(h));
}

static void test_get(void **st) {
  weir_t *h = kit_open("slots=2", NULL);
  weir_task_t *t;
  int64_t id;
  char log[10];
  size_t got;
  const weir_spec_t s = {.size = sizeof s, .type = "ECHO", .content = "hello", .params = "{\"b\":1, \"a\":\"x\"}", .context = "before"};
  (void)st;
  OK(weir_start(h));
  OK(weir_create(h, &s, &id));
  OK(weir_wait(h, id, SOON_MS, &t));
  assert_string_equal(t->state_name, "SUCCESS");
  IS(t->state, WEIR_STATE_FINISHED);
  assert_string_equal(t->result, "hello");
  IS(t->result_len, 5);
  assert_string_equal(t->type, "ECHO");
  assert_string_equal(t->name, "ECHO");
  assert_string_equal(t->content, "hello");
  assert_string_equal(t->context, "before");
  assert_string_equal(t->user, "");
  IS(t->run_no, 1);
  IS(t->attempt, 1);
  IS(t->total, -1);
  assert_non_null(t->host);
  assert_null(t->why);
  assert_true(t->created_us > 0 && t->started_us >= t->created_us && t->ended_us >= t->started_us);
  weir_task_free(t);
  OK(weir_log_read(h, id, 0, 1, log, 3, &got));
  assert_memory_equal(log, "ell", 3);
  OK(weir_log_read(h, id, -1, 4, log, sizeof log, &got));
  IS(got, 1);
  OK(weir_log_read(h, id, 1, 99, log, sizeof log, &got));
  IS(got, 0);
  IS(weir_log_read(h, id, 2, 0, log, sizeof log, &got), WEIR_ERR_NOT_FOUND);
  IS(weir_get(h, 999999, &t), WEIR_ERR_NOT_FOUND);
  IS(weir_wait(h, 999999, 0, &t), WEIR_ERR_NOT_FOUND);
  IS(weir_run(h, 999999), WEIR_ERR_NOT_FOUND);
  IS(weir_run(h, id), WEIR_ERR_CONFLICT);
  IS(weir_error_code(h), 40912);
  OK(weir_close(h));
}

/* malloc gives the memory of a handle that is closed to the next one. */
static void test_error_is_the_handles(void **st) {
  (void)st;
  for (int i = 0; i < 20; i++) {
    weir_t *h = kit_open("slots=2", NULL);
    assert_string_equal(weir_error(h), "");
    IS(weir_error_code(h), 0);
    IS(weir_cancel(h, 77), WEIR_ERR_NOT_FOUND);
    IS(weir_error_code(h), 40402);
    assert_string_equal(weir_error(NULL), weir_error(h)); /* of any handle */
    IS(weir_error_code(NULL), 40402);
    OK(weir_close(h));
  }
}

static void test_bad_texts(void **st) {
  weir_t *h = kit_open("slots=2", NULL);
  (void)st;
  kit_bad_texts(h);
  kit_refused(h);
  IS(weir_register(h, NULL), WEIR_ERR_INVALID);
  IS(weir_open(NULL, kit_url(), NULL, NULL, 0), WEIR_ERR_INVALID);
  OK(weir_close(h));
}

static void test_list(void **st) {
  weir_t *h = kit_open("slots=2", NULL);
  const char *types[] = {"ECHO", "WAIT"};
  int32_t init = WEIR_STATE_INIT, pending = WEIR_STATE_PENDING, odd = 9;
  int64_t total, id;
  (void)st;
  OK(weir_register(h, &plain));
  for (int i = 0; i < 1205; i++) { /* more than a page */
    weir_spec_t s = {.size = sizeof s, .type = i % 3 == 0 ? "ECHO" : i % 3 == 1 ? "WAIT" : "plain", .user = i % 2 ? "u" : NULL, .hold = i < 5};
    OK(weir_create(h, &s, &id));
  }
  weir_filter_t f = {.size = sizeof f, .limit = -1};
  IS(count_tasks(h, &f, &total), 1205);
  f.types = types, f.n_types = 2;
  IS(count_tasks(h, &f, &total), 804);
  IS(total, 804);
  f.limit = 10, f.offset = 800;
  IS(count_tasks(h, &f, &total), 4);
  IS(total, 804);
  IS(count_tasks(h, &f, NULL), 4);
  f = (weir_filter_t){.size = sizeof f, .states = &init, .n_states = 1, .limit = -1};
  IS(count_tasks(h, &f, NULL), 5);
  f.states = &pending, f.user = "u";
  IS(count_tasks(h, &f, NULL), 600);
  f.states = &odd;
  weir_task_t **v;
  size_t n;
  IS(weir_list(h, &f, &v, &n, NULL), WEIR_ERR_INVALID);
  OK(weir_close(h));
}

static void test_move(void **st) {
  weir_t *h = kit_open("slots=2", NULL);
  int64_t id = kit_create(h, "ECHO"); /* nothing runs here: it stays */
  const int32_t seven = 7;
  weir_task_t *t;
  (void)st;
  OK(weir_change_group(h, id, "green"));
  OK(weir_change_queue(h, id, "bob", NULL, &seven));
  OK(weir_get(h, id, &t));
  assert_string_equal(t->user, "bob");
  assert_string_equal(t->group, "green");
  IS(t->priority, 7);
  assert_string_equal(t->why, "NO_EXECUTOR");
  weir_task_free(t);
  IS(weir_change_group(h, id, NULL), WEIR_ERR_INVALID);
  weir_queue_t q = {.size = sizeof q, .user = "bob", .max_running = 3, .weight = -1, .paused = -1, .rate_count = 10, .order = 0,
                    .rate_per_ms = 1500};
  IS(weir_queue_delete(h, "bob", NULL), WEIR_ERR_NOT_FOUND);
  OK(weir_queue_set(h, &q));
  q.weight = 1001;
  IS(weir_queue_set(h, &q), WEIR_ERR_INVALID);
  q.weight = -1, q.rate_count = -1;
  IS(weir_queue_set(h, &q), WEIR_ERR_INVALID); /* half a rate */
  OK(weir_queue_delete(h, "bob", NULL));
  OK(weir_close(h));
}

int main(int argc, char **argv) {
  const struct CMUnitTest all[] = {
    KIT_TEST(test_open_refused), KIT_TEST(test_register), KIT_TEST(test_stack), KIT_TEST(test_sizes), KIT_TEST(test_odd_sizes),
    KIT_TEST(test_sentences), KIT_TEST(test_create), KIT_TEST(test_get),
    KIT_TEST(test_list), KIT_TEST(test_move), KIT_TEST(test_bad_texts), KIT_TEST(test_error_is_the_handles)};
  return kit_main(argc, argv, "calls", all, sizeof all / sizeof *all);
}
