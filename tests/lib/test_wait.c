/* Slots: how many routines run at once, and routines that wait for tasks that they made. */
#include "kit.h"

static struct gate gate;
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static int at_once, most;

static void in(void) {
  pthread_mutex_lock(&mu);
  if (++at_once > most) most = at_once;
  pthread_mutex_unlock(&mu);
}

static void out(void) {
  pthread_mutex_lock(&mu);
  at_once--;
  pthread_mutex_unlock(&mu);
}

static int gated(weir_attempt_t *a, void *user) {
  (void)user;
  in();
  bool on = gate_pass(&gate, a);
  out();
  return on ? WEIR_PHASE_FINISHED : WEIR_PHASE_NORMAL;
}

/* Makes as many of itself below as its depth says, waits for them, and counts them. */
static int tree(weir_attempt_t *a, void *user) {
  weir_t *h = *(weir_t **)user;
  int depth = weir_attempt_content(a) ? atoi(weir_attempt_content(a)) : 0;
  char below[12];
  int64_t id[3];
  snprintf(below, sizeof below, "%d", depth - 1);
  const weir_spec_t s = {.size = sizeof s, .type = "tree", .content = below};
  const weir_spec_t *const all[] = {&s, &s, &s};
  in();
  if (depth > 0) {
    OK(weir_create_many(h, all, 3, id));
    out();
    OK(weir_attempt_wait(a, id, 3, SOON_MS));
    in();
  }
  out();
  return WEIR_PHASE_FINISHED;
}

static int answer;
static int waits(weir_attempt_t *a, void *user) {
  int64_t *id = user;
  pthread_mutex_lock(&gate.mu);
  gate.came++;
  pthread_cond_broadcast(&gate.moved);
  pthread_mutex_unlock(&gate.mu);
  answer = weir_attempt_wait(a, id, 1, -1);
  return weir_attempt_stopping(a) ? WEIR_PHASE_NORMAL : WEIR_PHASE_FINISHED;
}

static weir_t *handle;
static int64_t never;

/* Makes a task that costs the whole budget, as it does itself, and waits for that. */
static int dear(weir_attempt_t *a, void *user) {
  weir_t *h = *(weir_t **)user;
  int32_t cost = atoi(weir_attempt_content(a));
  const weir_spec_t s = {.size = sizeof s, .type = "ECHO", .cpu_overhead = cost};
  int64_t id;
  OK(weir_create(h, &s, &id));
  OK(weir_attempt_wait(a, &id, 1, SOON_MS));
  return WEIR_PHASE_FINISHED;
}

static weir_t *open_with(const char *slots, const char *more) {
  const weir_type_t v[] = {{.size = sizeof *v, .name = "gated", .run = gated}, {.size = sizeof *v, .name = "tree", .run = tree, .user = &handle},
                           {.size = sizeof *v, .name = "waits", .run = waits, .user = &never},
                           {.size = sizeof *v, .name = "dear", .run = dear, .user = &handle},
                           {.size = sizeof *v, .name = "two", .run = gated, .concurrency = 2}};
  gate_init(&gate);
  at_once = most = 0;
  handle = kit_open(slots, more);
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) OK(weir_register(handle, &v[i]));
  OK(weir_start(handle));
  return handle;
}

static weir_t *open_all(const char *slots) { return open_with(slots, NULL); }

static void test_slots(void **st) {
  weir_t *h = open_all("slots=3");
  int64_t id[10];
  (void)st;
  for (int i = 0; i < 10; i++) id[i] = kit_create(h, "gated");
  gate_await(&gate, 3);
  gate_open(&gate);
  for (int i = 0; i < 10; i++) OK(weir_wait(h, id[i], SOON_MS, NULL));
  IS(most, 3);
  OK(weir_close(h));
}

/* With one slot, four levels deep: each that waits lets another one run. Never two at once. */
static void test_tree(void **st) {
  weir_t *h = open_all("slots=1");
  const weir_spec_t s = {.size = sizeof s, .type = "tree", .content = "3"};
  int64_t id;
  weir_filter_t f = {.size = sizeof f, .states = (const int32_t[]){WEIR_STATE_FINISHED}, .n_states = 1, .limit = 0};
  weir_task_t **v;
  size_t n;
  int64_t total;
  (void)st;
  OK(weir_create(h, &s, &id));
  OK(weir_wait(h, id, SOON_MS, NULL));
  OK(weir_list(h, &f, &v, &n, &total));
  IS(total, 40);
  weir_list_free(v, n);
  IS(most, 1);
  OK(weir_close(h));
}

static void test_cost_is_lent(void **st) {
  weir_t *h = open_with("slots=2", "cpu-budget=100");
  const weir_spec_t s = {.size = sizeof s, .type = "dear", .content = "100", .cpu_overhead = 100};
  weir_task_t *t;
  int64_t id[3];
  (void)st;
  for (int i = 0; i < 3; i++) OK(weir_create(h, &s, &id[i]));
  for (int i = 0; i < 3; i++) {
    OK(weir_wait(h, id[i], SOON_MS, &t));
    assert_string_equal(t->state_name, "SUCCESS");
    weir_task_free(t);
  }
  OK(weir_close(h));
}

static void test_wait_is_stopped(void **st) {
  weir_t *h = open_all("slots=1");
  const weir_spec_t s = {.size = sizeof s, .type = "ECHO", .hold = 1};
  int64_t id;
  (void)st;
  OK(weir_create(h, &s, &never));
  id = kit_create(h, "waits");
  gate_await(&gate, 1);
  IS(weir_wait(h, id, 20, NULL), WEIR_ERR_TIMEOUT);
  OK(weir_pause(h, id));
  kit_state(h, id, "PAUSED");
  IS(answer, WEIR_ERR_REFUSED);
  OK(weir_delete(h, never)); /* what is gone is not waited for */
  OK(weir_run(h, id));
  OK(weir_wait(h, id, SOON_MS, NULL));
  IS(answer, WEIR_OK);
  OK(weir_close(h));
}

/* A type at its concurrency does not hold up others: their slots are not taken. */
static void test_concurrency(void **st) {
  weir_t *h = open_all("slots=4");
  int64_t id[6], other;
  (void)st;
  for (int i = 0; i < 6; i++) id[i] = kit_create(h, "two");
  gate_await(&gate, 2);
  other = kit_create(h, "ECHO");
  OK(weir_wait(h, other, SOON_MS, NULL));
  other = kit_create(h, "gated");
  gate_await(&gate, 3);
  IS(gate_came(&gate), 3);
  OK(weir_pause(h, id[5])); /* claimed or not, it has not begun */
  kit_state(h, id[5], "PAUSED");
  gate_open(&gate);
  for (int i = 0; i < 5; i++) OK(weir_wait(h, id[i], SOON_MS, NULL));
  IS(most, 3);
  OK(weir_close(h));
}

static void *waiter(void *arg) {
  weir_task_t *t = NULL;
  OK(weir_wait(handle, *(int64_t *)arg, SOON_MS, &t));
  IS(t->state, WEIR_STATE_FINISHED);
  weir_task_free(t);
  return NULL;
}

static void test_many_waiters(void **st) {
  weir_t *h = open_all("slots=2");
  int64_t id = kit_create(h, "gated");
  pthread_t t[20];
  (void)st;
  gate_await(&gate, 1);
  for (int i = 0; i < 20; i++) assert_int_equal(pthread_create(&t[i], NULL, waiter, &id), 0);
  gate_open(&gate);
  for (int i = 0; i < 20; i++) pthread_join(t[i], NULL);
  OK(weir_close(h));
}

int main(int argc, char **argv) {
  const struct CMUnitTest all[] = {
    KIT_TEST(test_slots), KIT_TEST(test_tree), KIT_TEST(test_cost_is_lent), KIT_TEST(test_wait_is_stopped), KIT_TEST(test_concurrency),
    KIT_TEST(test_many_waiters)};
  return kit_main(argc, argv, "wait", all, sizeof all / sizeof *all);
}
