/* Planned stops, routines that do not stop, and several handles on one store. */
#include "kit.h"
#include "clock.h"
#include "mysql_proxy.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>

static struct gate gate;
static int late[4];                  /* what the given-up routine was answered */
static struct gate after;            /* it has tried */

static int stepper(weir_attempt_t *a, void *user) {
  size_t n = 0;
  const char *c = weir_attempt_context(a, &n);
  (void)user;
  if (c) {
    OK(weir_report_result(a, c, n));
    return WEIR_PHASE_FINISHED;
  }
  OK(weir_report_progress(a, 3, 10, "pages", NULL));
  if (gate_pass(&gate, a)) return WEIR_PHASE_FINISHED;
  IS(weir_attempt_stop_reason(a), WEIR_STOP_SHUTDOWN);
  OK(weir_report_context(a, "page 3", 6));
  return WEIR_PHASE_NORMAL;
}

/* Does not look at its stop until the gate is open. */
static int deaf(weir_attempt_t *a, void *user) {
  (void)user;
  gate_come(&gate);
  pthread_mutex_lock(&gate.mu);
  while (!gate.open) pthread_cond_wait(&gate.moved, &gate.mu);
  pthread_mutex_unlock(&gate.mu);
  late[0] = weir_report_context(a, "x", 1);
  late[1] = weir_report_progress(a, 1, 1, NULL, NULL);
  late[2] = weir_log(a, "x", 1);
  late[3] = weir_attempt_stop_reason(a);
  gate_come(&after);
  return WEIR_PHASE_FINISHED;
}

static int quick(weir_attempt_t *a, void *user) {
  (void)a, (void)user;
  return WEIR_PHASE_FINISHED;
}

static weir_t *open_with(const char *type, int (*run)(weir_attempt_t *, void *), const char *more) {
  const weir_type_t t = {.size = sizeof t, .name = type, .run = run};
  weir_t *h = kit_open("slots=2", more);
  OK(weir_register(h, &t));
  OK(weir_start(h));
  return h;
}

static void test_hand_over(void **st) {
  gate_init(&gate);
  weir_t *h = open_with("stepper", stepper, NULL);
  int64_t id = kit_create(h, "stepper");
  weir_task_t *t;
  (void)st;
  gate_await(&gate, 1);
  OK(weir_close(h));
  h = kit_open("slots=1", NULL); /* it does not run tasks */
  OK(weir_get(h, id, &t));
  assert_string_equal(t->state_name, "QUEUED");
  assert_string_equal(t->context, "page 3");
  IS(t->failures, 0);
  IS(t->done, 3);
  weir_task_free(t);
  OK(weir_close(h));
  h = open_with("stepper", stepper, NULL);
  OK(weir_wait(h, id, SOON_MS, &t));
  assert_string_equal(t->state_name, "SUCCESS");
  assert_string_equal(t->result, "page 3");
  IS(t->failures, 0);
  IS(t->losses, 0);
  weir_task_free(t);
  OK(weir_close(h));
}

static char said[400];
static void sink(int level, const char *line, void *user) {
  (void)user;
  if (level <= 1 && strstr(line, "library.routine_given_up")) snprintf(said, sizeof said, "%s", line);
}

static void test_given_up(void **st) {
  gate_init(&gate);
  gate_init(&after);
  weir_t *h = open_with("deaf", deaf, "stop-timeout=1s");
  int64_t id = kit_create(h, "deaf");
  weir_task_t *t;
  (void)st;
  OK(weir_set_log(h, sink, NULL));
  gate_await(&gate, 1);
  IS(weir_close(h), WEIR_ERR_TIMEOUT);
  assert_non_null(strstr(weir_error(NULL), "A routine did not stop in time")); /* the handle is gone */
  IS(weir_error_code(NULL), 50302);
  assert_non_null(strstr(said, "type=deaf"));
  h = open_with("deaf", quick, NULL); /* it goes on elsewhere */
  OK(weir_wait(h, id, SOON_MS, &t));
  assert_string_equal(t->state_name, "SUCCESS");
  IS(t->failures, 0);
  weir_task_free(t);
  gate_open(&gate); /* nothing of the former attempt counts */
  gate_await(&after, 1);
  IS(late[0], WEIR_ERR_FENCED);
  IS(late[1], WEIR_ERR_FENCED);
  IS(late[2], WEIR_ERR_FENCED);
  IS(late[3], WEIR_STOP_SHUTDOWN);
  OK(weir_get(h, id, &t));
  assert_null(t->context);
  weir_task_free(t);
  OK(weir_close(h));
}

static int closes(weir_attempt_t *a, void *user) {
  (void)a;
  weir_t *h = *(weir_t **)user;
  return weir_close(h) == WEIR_ERR_INVALID && weir_start(h) == WEIR_ERR_INVALID ? WEIR_PHASE_FINISHED : WEIR_PHASE_FAILED;
}

static void test_not_from_inside(void **st) {
  weir_t *h = kit_open("slots=1", NULL);
  const weir_type_t t = {.size = sizeof t, .name = "closes", .run = closes, .user = &h};
  weir_task_t *k;
  (void)st;
  OK(weir_register(h, &t));
  OK(weir_start(h));
  OK(weir_wait(h, kit_create(h, "closes"), SOON_MS, &k));
  assert_string_equal(k->state_name, "SUCCESS");
  weir_task_free(k);
  OK(weir_close(h));
}

/* Of a type that some node has registered, tasks are made by all, and wait for a node that has it. */
static void test_type_elsewhere(void **st) {
  weir_t *a = open_with("foreign", quick, NULL), *b;
  weir_task_t *t;
  (void)st;
  OK(weir_close(a));
  b = kit_open("slots=2", NULL);
  OK(weir_start(b));
  int64_t id = kit_create(b, "foreign");
  OK(weir_get(b, id, &t));
  assert_string_equal(t->state_name, "QUEUED");
  assert_string_equal(t->why, "NO_EXECUTOR");
  weir_task_free(t);
  if (kit_one_process()) OK(weir_close(b));
  a = open_with("foreign", quick, NULL);
  OK(weir_wait(a, id, SOON_MS, NULL));
  if (!kit_one_process()) { /* the other way round, and waited for on the node that does not run it */
    id = kit_create(b, "foreign");
    OK(weir_wait(b, id, SOON_MS, &t));
    assert_string_equal(t->state_name, "SUCCESS");
    weir_task_free(t);
    OK(weir_close(b));
  }
  OK(weir_close(a));
}

/* A start opens the node anew, with its types; tasks that are made before and after it are of equal specs. */
static void test_same_spec_after_start(void **st) {
  weir_t *h = kit_open("slots=1", NULL);
  int64_t before = kit_create(h, "ECHO");
  (void)st;
  OK(weir_start(h));
  OK(weir_wait(h, kit_create(h, "ECHO"), SOON_MS, NULL));
  OK(weir_wait(h, before, SOON_MS, NULL));
  OK(weir_close(h));
}

struct waiting { weir_t *h; int64_t id; int answer; char why[200]; };
static void *wait_for_ever(void *arg) {
  struct waiting *w = arg;
  w->answer = weir_wait(w->h, w->id, -1, NULL);
  snprintf(w->why, sizeof w->why, "%s", weir_error(w->h));
  return NULL;
}

static struct gate told;
static int answers[6];               /* of what it says once it is fenced */

/* The first attempt goes on although it is fenced; the next one ends at once. */
static int goes_on(weir_attempt_t *a, void *user) {
  struct pollfd stop = {.fd = weir_attempt_stop_fd(a), .events = POLLIN};
  (void)user;
  if (weir_attempt_number(a) > 1) return WEIR_PHASE_FINISHED;
  OK(weir_log(a, "before\n", 7));
  OK(weir_report_progress(a, 1, 2, NULL, "before"));
  OK(weir_report_context(a, "before", 6));
  gate_come(&gate);
  if (poll(&stop, 1, SOON_MS) != 1 || weir_attempt_stop_reason(a) != WEIR_STOP_FENCED) return WEIR_PHASE_FAILED;
  answers[0] = weir_report_context(a, "after", 5);
  answers[1] = weir_report_progress(a, 2, 2, NULL, "after");
  answers[2] = weir_report_result(a, "after", 5);
  answers[3] = weir_report_error(a, "after", 0);
  answers[4] = weir_log(a, "after\n", 6);
  answers[5] = weir_log(a, "", 0);
  gate_come(&told);
  (void)gate_pass(&told, a);
  return WEIR_PHASE_FINISHED;
}

/* The database falls silent for longer than the lease. others: a node that reaches it takes the task over; otherwise the same
 * process runs it again. */
static void fenced(bool others) {
  char socket[100], log[100];
  weir_task_t *t;
  size_t n;
  gate_init(&gate);
  gate_init(&told);
  snprintf(socket, sizeof socket, "%s/lease.sock", kit_dir());
  struct proxy *p = proxy_new(socket, kit_socket());
  kit_through(socket);
  weir_t *h = open_with("goes.on", goes_on, "lease=2s"), *other = NULL;
  int64_t id = kit_create(h, "goes.on");
  gate_await(&gate, 1);
  kit_through(kit_socket());
  if (others) other = open_with("goes.on", goes_on, "lease=2s");
  proxy_silent(p, true);
  gate_await(&told, 1);
  if (others) OK(weir_wait(other, id, SOON_MS, NULL));
  proxy_silent(p, false);
  gate_open(&told);
  OK(weir_wait(h, id, SOON_MS, &t));
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) IS(answers[i], WEIR_ERR_FENCED);
  assert_string_equal(t->state_name, "SUCCESS");
  IS(t->attempt, 2);
  assert_string_equal(t->context, "before");
  if (t->message) assert_string_equal(t->message, "before");
  IS(t->result_len, 0);
  weir_task_free(t);
  OK(weir_log_read(h, id, -1, 0, log, sizeof log - 1, &n));
  log[n] = '\0';
  assert_null(strstr(log, "after"));
  (void)weir_close(h); /* its store may still count as away */
  if (others) OK(weir_close(other));
  proxy_free(p);
}

static void test_fenced(void **st) {
  (void)st;
  if (!kit_one_process()) fenced(true); /* a file does not fall silent */
}

static void test_fenced_alone(void **st) {
  (void)st;
  if (!kit_one_process()) fenced(false);
}

/* No wait outlives the database. */
static void test_file_is_removed(void **st) {
  struct waiting w = {.answer = WEIR_OK};
  const weir_spec_t s = {.size = sizeof s, .type = "ECHO", .hold = 1};
  pthread_t t;
  (void)st;
  if (!kit_one_process()) return; /* a server's database is no file */
  w.h = kit_open("slots=1", NULL);
  OK(weir_create(w.h, &s, &w.id));
  IS(pthread_create(&t, NULL, wait_for_ever, &w), 0);
  IS(remove(strchr(kit_url(), ':') + 1), 0);
  (void)weir_create(w.h, &s, NULL); /* whoever stores something sees it; else it is looked for each ten seconds */
  pthread_join(t, NULL);
  IS(w.answer, WEIR_ERR_UNAVAILABLE);
  assert_non_null(strstr(w.why, "was removed"));
  (void)weir_close(w.h);
}

/* Says something until it is told to stop. */
static int removes(weir_attempt_t *a, void *user) {
  struct pollfd stop = {.fd = weir_attempt_stop_fd(a), .events = POLLIN};
  OK(weir_report_context(a, "before", 6));
  IS(remove(strchr(kit_url(), ':') + 1), 0);
  answers[0] = weir_report_context(a, "after", 5);
  answers[1] = poll(&stop, 1, SOON_MS);
  answers[2] = weir_attempt_stop_reason(a);
  answers[3] = weir_log(a, "x", 1);
  snprintf(user, 200, "%s", weir_error(NULL));
  gate_come(&told);
  return WEIR_PHASE_FINISHED;
}

static void test_file_is_removed_meanwhile(void **st) {
  char why[200] = "";
  const weir_type_t t = {.size = sizeof t, .name = "removes", .run = removes, .user = why};
  (void)st;
  if (!kit_one_process()) return;
  gate_init(&told);
  weir_t *h = kit_open("slots=2", NULL);
  OK(weir_register(h, &t));
  OK(weir_start(h));
  (void)kit_create(h, "removes");
  gate_await(&told, 1);
  IS(answers[0], WEIR_ERR_UNAVAILABLE);
  IS(answers[1], 1);
  IS(answers[2], WEIR_STOP_FENCED);
  IS(answers[3], WEIR_ERR_UNAVAILABLE);
  assert_non_null(strstr(why, "was removed"));
  (void)weir_close(h);
}

static int until_stopped(weir_attempt_t *a, void *user) {
  (void)user;
  return gate_pass(&gate, a) ? WEIR_PHASE_FINISHED : WEIR_PHASE_NORMAL;
}

/* Its log comes when nobody can store it. */
static int logs_at_its_end(weir_attempt_t *a, void *user) {
  (void)user;
  if (gate_pass(&gate, a)) return WEIR_PHASE_FINISHED;
  (void)weir_log(a, "bye\n", 4);
  return WEIR_PHASE_NORMAL;
}

/* It hears the stop, and holds the close up until the gate is open. */
struct holder { weir_t *h; char why[200]; };
static int holds_up(weir_attempt_t *a, void *user) {
  struct holder *of = user;
  struct pollfd stop = {.fd = weir_attempt_stop_fd(a), .events = POLLIN};
  gate_come(&gate);
  answers[0] = poll(&stop, 1, SOON_MS);
  answers[1] = weir_close(of->h);
  snprintf(of->why, sizeof of->why, "%s", weir_error(NULL));
  gate_come(&told);
  pthread_mutex_lock(&told.mu);
  while (!told.open) pthread_cond_wait(&told.moved, &told.mu);
  pthread_mutex_unlock(&told.mu);
  return WEIR_PHASE_NORMAL;
}

static void *close_it(void *arg) { return weir_close(arg) ? arg : NULL; }

/* Neither a routine may close its handle, nor a second thread; each is told why. */
static void test_closed_once(void **st) {
  struct holder of = {NULL, ""};
  const weir_type_t t = {.size = sizeof t, .name = "holds.up", .run = holds_up, .user = &of};
  void *bad;
  pthread_t thread;
  (void)st;
  gate_init(&gate);
  gate_init(&told);
  weir_t *h = kit_open("slots=1", "stop-timeout=60s");
  of.h = h;
  OK(weir_register(h, &t));
  OK(weir_start(h));
  (void)kit_create(h, "holds.up");
  gate_await(&gate, 1);
  IS(pthread_create(&thread, NULL, close_it, h), 0);
  gate_await(&told, 1);
  IS(answers[0], 1);
  IS(answers[1], WEIR_ERR_INVALID);
  assert_string_equal(of.why, "A routine cannot close its handle.");
  IS(weir_close(h), WEIR_ERR_INVALID);
  assert_string_equal(weir_error(NULL), "Another thread closes this handle.");
  gate_open(&told);
  pthread_join(thread, &bad);
  assert_null(bad);
}

/* Nothing that the store was asked comes back, neither for what runs nor for the handle's own end. */
static void test_close_while_the_store_hangs(void **st) {
  static const struct { const char *type; int (*run)(weir_attempt_t *, void *); int tasks, answer; } all[] = {
    {"idle", quick, 0, WEIR_ERR_UNAVAILABLE}, {"stops", until_stopped, 2, WEIR_ERR_UNAVAILABLE},
    {"logs", logs_at_its_end, 2, WEIR_ERR_UNAVAILABLE}, {"deaf", deaf, 1, WEIR_ERR_TIMEOUT}};
  char socket[100];
  (void)st;
  if (kit_one_process()) return; /* a file does not hang */
  snprintf(socket, sizeof socket, "%s/silent.sock", kit_dir());
  struct proxy *p = proxy_new(socket, kit_socket());
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    gate_init(&gate);
    gate_init(&after);
    kit_through(socket);
    weir_t *h = open_with(all[i].type, all[i].run, "stop-timeout=1s");
    for (int k = 0; k < all[i].tasks; k++) (void)kit_create(h, all[i].type);
    gate_await(&gate, all[i].tasks);
    if (!all[i].tasks) OK(weir_wait(h, kit_create(h, all[i].type), SOON_MS, NULL)); /* now there is nothing to do */
    proxy_silent(p, true);
    int64_t from = clock_mono_us();
    IS(weir_close(h), all[i].answer);
    bool silent = all[i].answer == WEIR_ERR_UNAVAILABLE;
    assert_non_null(strstr(weir_error(NULL), silent ? "The store did not answer" : "A routine did not stop in time"));
    IS(weir_error_code(NULL), silent ? 50301 : 50302);
    int64_t took = clock_mono_us() - from;
    if (took > 8000000) fail_msg("%s: the close took %lld ms", all[i].type, (long long)took / 1000); /* 1 s, 5 s, and a busy machine */
    gate_open(&gate);
    proxy_silent(p, false);
  }
  gate_await(&after, 1); /* a routine that was given up goes on */
  IS(late[0], WEIR_ERR_FENCED);
  kit_through(kit_socket());
  weir_t *h = open_with("other", quick, NULL); /* and the system does */
  OK(weir_wait(h, kit_create(h, "other"), SOON_MS, NULL));
  OK(weir_close(h));
  proxy_free(p);
}

/* Three equal nodes; one closes while its tasks run. */
static void test_nodes(void **st) {
  weir_t *h[3];
  int64_t id[30];
  weir_task_t *t;
  (void)st;
  if (kit_one_process()) return; /* several nodes need a database that several may use */
  gate_init(&gate);
  for (int i = 0; i < 3; i++) h[i] = open_with("stepper", stepper, NULL);
  for (int i = 0; i < 30; i++) id[i] = kit_create(h[i % 3], "stepper");
  gate_await(&gate, 6);
  OK(weir_close(h[0]));
  OK(weir_pause(h[1], id[29]));
  kit_state(h[2], id[29], "PAUSED");
  OK(weir_run(h[2], id[29]));
  gate_open(&gate);
  for (int i = 0; i < 30; i++) {
    OK(weir_wait(h[1 + i % 2], id[i], SOON_MS, &t));
    assert_string_equal(t->state_name, "SUCCESS");
    IS(t->losses, 0);
    weir_task_free(t);
  }
  OK(weir_close(h[1]));
  OK(weir_close(h[2]));
}

/* Descriptors that a program which the host starts would get. */
static int inherited(void) {
  int n = 0;
  for (int fd = 0; fd < 1024; fd++) {
    int flags = fcntl(fd, F_GETFD);
    n += flags >= 0 && !(flags & FD_CLOEXEC);
  }
  return n;
}

/* What is the process's stays as it was: handlers of signals, who takes signals, what its programs get. */
static void test_process_is_the_hosts(void **st) {
  struct sigaction before[NSIG], now;
  int given = inherited();
  (void)st;
  for (int i = 1; i < NSIG; i++) sigaction(i, NULL, &before[i]);
  weir_t *h = open_with("quick", quick, NULL);
  OK(weir_wait(h, kit_create(h, "quick"), SOON_MS, NULL));
  for (int i = 1; i < NSIG; i++)
    if (sigaction(i, NULL, &now) == 0) assert_true(now.sa_handler == before[i].sa_handler);
  IS(inherited(), given);
  OK(weir_close(h));
}

int main(int argc, char **argv) {
  const struct CMUnitTest all[] = {
    KIT_TEST(test_hand_over), KIT_TEST(test_given_up), KIT_TEST(test_not_from_inside), KIT_TEST(test_type_elsewhere),
    KIT_TEST(test_nodes), KIT_TEST(test_same_spec_after_start), KIT_TEST(test_file_is_removed), KIT_TEST(test_close_while_the_store_hangs),
    KIT_TEST(test_process_is_the_hosts), KIT_TEST(test_fenced), KIT_TEST(test_fenced_alone), KIT_TEST(test_file_is_removed_meanwhile),
    KIT_TEST(test_closed_once)};
  return kit_main(argc, argv, "life", all, sizeof all / sizeof *all);
}
