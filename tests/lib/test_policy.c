/* A policy of the host: it alone chooses, it may want none, and it may go. */
#include <stdatomic.h>
#include "kit.h"
#include <poll.h>

static atomic_int calls, wanted;                 /* wanted: the id of the task that may run; 0 = none, -1 = a wrong index, -2 = any */
static weir_candidate_t seen;
static char seen_type[64], seen_name[64], seen_user[64], seen_key[64];
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;

static long pick(const weir_candidate_t *const *c, size_t n, void *user) {
  int want = atomic_load(&wanted);
  atomic_fetch_add(&calls, 1);
  assert_ptr_equal(user, &calls);
  pthread_mutex_lock(&mu);
  seen = *c[0];
  snprintf(seen_type, sizeof seen_type, "%s", c[0]->type ? c[0]->type : "");
  snprintf(seen_name, sizeof seen_name, "%s", c[0]->name ? c[0]->name : "");
  snprintf(seen_user, sizeof seen_user, "%s", c[0]->user);
  snprintf(seen_key, sizeof seen_key, "%s", c[0]->key ? c[0]->key : "");
  pthread_mutex_unlock(&mu);
  if (want == -1) return (long)n;
  if (want == -2) return 0;
  for (size_t i = 0; i < n; i++)
    if (c[i]->id == want) return (long)i;
  return -1;
}

static int run(weir_attempt_t *a, void *user) { return (void)a, (void)user, WEIR_PHASE_FINISHED; }

static weir_t *begin(void) {
  const weir_type_t type = {.size = sizeof type, .name = "p", .run = run};
  weir_t *h = kit_open("slots=2", NULL);
  atomic_store(&calls, 0);
  OK(weir_register(h, &type));
  OK(weir_set_policy(h, pick, &calls));
  OK(weir_start(h));
  return h;
}

static int64_t create(weir_t *h, const char *name) {
  const weir_spec_t s = {.size = sizeof s, .type = "p", .name = name, .key = name, .user = "ann", .priority = 7, .cpu_overhead = 3};
  int64_t id;
  OK(weir_create(h, &s, &id));
  return id;
}

static void finished(weir_t *h, int64_t id) {
  weir_task_t *t;
  OK(weir_wait(h, id, SOON_MS, &t));
  IS(t->state, WEIR_STATE_FINISHED);
  weir_task_free(t);
}

/* "None" is no busy loop, and holds until something changes; no free slot takes a task past it. */
static void none_now(weir_t *h, int64_t id) {
  weir_task_t *t;
  int before = atomic_load(&calls);
  IS(weir_wait(h, id, 300, NULL), WEIR_ERR_TIMEOUT);
  assert_in_range(atomic_load(&calls) - before, 0, 50);
  OK(weir_get(h, id, &t));
  assert_string_equal(t->state_name, "QUEUED");
  weir_task_free(t);
}

static void test_it_alone_chooses(void **st) {
  (void)st;
  weir_t *h = begin();
  atomic_store(&wanted, 0);
  int64_t a = create(h, "a"), b = create(h, "b");
  none_now(h, a);
  assert_true(atomic_load(&calls) > 0);
  pthread_mutex_lock(&mu);
  assert_int_equal(seen.size, sizeof seen);
  assert_string_equal(seen_user, "ann");
  assert_string_equal(seen_type, "p");
  assert_true(strcmp(seen_key, "a") == 0 || strcmp(seen_key, "b") == 0); /* whichever came first in its last question */
  assert_string_equal(seen_key, seen_name);
  assert_int_equal(seen.priority, 7);
  assert_int_equal(seen.cpu_overhead, 3);
  assert_true(seen.queued_us > 0);
  pthread_mutex_unlock(&mu);
  atomic_store(&wanted, (int)b);
  int64_t c = create(h, "c"); /* something changes */
  finished(h, b);
  none_now(h, a);
  atomic_store(&wanted, -1);
  int64_t d = create(h, "d");
  none_now(h, d);
  OK(weir_set_policy(h, NULL, NULL));
  finished(h, a);
  finished(h, c);
  finished(h, d);
  int before = atomic_load(&calls);
  finished(h, create(h, "e"));
  assert_int_equal(atomic_load(&calls), before);
  OK(weir_close(h));
}

static void test_many(void **st) {
  enum { N = 500 };
  weir_spec_t s = {.size = sizeof s, .type = "p"};
  const weir_spec_t *at[N];
  int64_t id[N];
  (void)st;
  weir_t *h = begin();
  atomic_store(&wanted, -2);
  for (int i = 0; i < N; i++) at[i] = &s;
  OK(weir_create_many(h, at, N, id));
  for (int i = 0; i < N; i++) finished(h, id[i]);
  assert_in_range(atomic_load(&calls), N, 10 * N);
  OK(weir_close(h));
}

static void still_queued(weir_t *h, int64_t id) {
  weir_task_t *t;
  OK(weir_get(h, id, &t));
  assert_string_equal(t->state_name, "QUEUED");
  weir_task_free(t);
}

/* Options of the command line: tasks of other queues, and those that are too dear, are not this process's. */
static void test_options(void **st) {
  const weir_type_t type = {.size = sizeof type, .name = "p", .run = run};
  weir_spec_t s = {.size = sizeof s, .type = "p", .user = "bob"};
  int64_t bobs, dear;
  weir_t *h = NULL;
  char err[300];
  (void)st;
  OK(kit_try(&h, (const char *[]){"slots=2", "queues=ann/", "cpu-budget=100", "max-load=1000", "min-free-memory=1MiB", NULL}, err));
  OK(weir_register(h, &type));
  OK(weir_start(h));
  OK(weir_create(h, &s, &bobs));
  s.user = "ann", s.cpu_overhead = 200;
  OK(weir_create(h, &s, &dear));
  finished(h, create(h, "cheap"));
  still_queued(h, bobs);
  still_queued(h, dear);
  OK(weir_close(h));
}

/* What the lines of a handle are counted in. */
struct lines { pthread_mutex_t mu; int bad, all; };

static void count_line(int level, const char *line, void *user) {
  struct lines *l = user;
  (void)level;
  pthread_mutex_lock(&l->mu);
  l->bad += strstr(line, "event=queues.policy") != NULL;
  l->all++;
  pthread_mutex_unlock(&l->mu);
}

static int lines_of(struct lines *l, bool all) {
  pthread_mutex_lock(&l->mu);
  int n = all ? l->all : l->bad;
  pthread_mutex_unlock(&l->mu);
  return n;
}

static long pick_nobody(const weir_candidate_t *const *c, size_t n, void *user) {
  (void)c, (void)user;
  return (long)n + 7; /* the log says that once */
}

static weir_t *open_counted(struct lines *l, const char *level, const char *shell) {
  char err[300];
  weir_t *h = NULL;
  if (kit_one_process()) kit_fresh(NULL);
  pthread_mutex_init(&l->mu, NULL);
  if (kit_try(&h, (const char *[]){"slots=1", level, shell, NULL}, err)) fail_msg("open: %s", err);
  OK(weir_set_log(h, count_line, l));
  OK(weir_start(h));
  return h;
}

static void say_it(weir_t *h, struct lines *l) {
  OK(weir_set_policy(h, pick_nobody, NULL));
  for (int ms = 0; lines_of(l, false) == 0; ms += 5) {
    if (ms % 500 == 0) (void)kit_create(h, "ECHO"); /* on a queue that is shared, the other handle may take it */
    if (ms > SOON_MS) fail_msg("no line comes");
    (void)poll(NULL, 0, 5);
  }
}

/* Each handle has its own sink and level, whatever thread of it a line comes from. */
static void test_logs_apart(void **st) {
  struct lines one = {0}, two = {0}, none = {0}, warns = {0}, other = {0};
  weir_t *a = open_counted(&one, NULL, NULL);
  (void)st;
  weir_t *b = open_counted(&two, NULL, NULL);
  say_it(a, &one);
  IS(lines_of(&two, true), 0);
  say_it(b, &two);
  IS(lines_of(&one, false), 1);
  OK(weir_set_log(a, count_line, &other)); /* b keeps its own */
  OK(weir_close(b));
  int said = lines_of(&two, true);
  setenv("WEIR_HELPER", "/bin/true", 1); /* so a start warns */
  weir_t *c = open_counted(&none, "log-level=error", "shell=on"), *d = open_counted(&warns, "log-level=warn", "shell=on");
  OK(weir_close(a));
  IS(lines_of(&none, true), 0);
  IS(lines_of(&warns, true), 1);
  IS(lines_of(&two, true), said); /* none after its close */
  IS(lines_of(&one, false), 1);
  OK(weir_close(c));
  OK(weir_close(d));
}

int main(int argc, char **argv) {
  const struct CMUnitTest all[] = {KIT_TEST(test_it_alone_chooses), KIT_TEST(test_many), KIT_TEST(test_options), KIT_TEST(test_logs_apart)};
  return kit_main(argc, argv, "policy", all, sizeof all / sizeof *all);
}
