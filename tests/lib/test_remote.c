/* A handle of a server's URL, against a server that answers as no Weir does, or not at all. What a real one answers is in http_client.c. */
#include "kit.h"
#include <arpa/inet.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- the server ---- */

static int door;
static char url[64];
static _Atomic(const char *) body;   /* of each answer but that to weir_open(); NULL: it does not answer for now */
static atomic_int status, held, asked;   /* requests that wait for an answer; all */
static atomic_bool keeps;            /* connections stay open after the answer to a look */
static atomic_int changes, drops;    /* requests that change something; so many end their connection without an answer */

static void answer(int fd, int code, const char *text, bool keep) {
  char all[2000];
  int n = snprintf(all, sizeof all, "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n%s\r\n%s", code, strlen(text),
                   keep ? "" : "Connection: close\r\n", text);
  assert_int_equal(write(fd, all, (size_t)n), n);
}

/* Until there is something to say, or the other side has gone. */
static const char *hold(int fd) {
  struct pollfd p = {.fd = fd, .events = POLLIN};
  const char *text = atomic_load(&body);
  char in[4000];
  if (text) return text;
  atomic_fetch_add(&held, 1);
  while (!(text = atomic_load(&body)))
    if (poll(&p, 1, 5) > 0 && read(fd, in, sizeof in) <= 0) break;
  atomic_fetch_sub(&held, 1);
  return text;
}

/* Reads until the head is there; bodies are small, and come with it or are left unread. True: another one may follow. */
static bool serve_one(int fd) {
  char in[4000] = "";
  size_t n = 0;
  for (ssize_t got; !strstr(in, "\r\n\r\n") && (got = read(fd, in + n, sizeof in - 1 - n)) > 0;) in[n += (size_t)got] = '\0';
  if (!n) return false;
  bool looks = strncmp(in, "GET ", 4) == 0, keep = looks && atomic_load(&keeps);
  atomic_fetch_add(&asked, 1);
  if (strncmp(in, "GET /monitor/task?limit=1 ", 26) == 0) return answer(fd, 200, "{\"code\":\"200\",\"data\":[]}", keep), keep;
  if (!looks) {
    atomic_fetch_add(&changes, 1);
    if (atomic_fetch_sub(&drops, 1) > 0) return false;
    atomic_store(&drops, 0);
  }
  const char *text = hold(fd);
  if (text) answer(fd, atomic_load(&status), text, keep);
  return text && keep;
}

static void *serve(void *arg) {
  int fd = *(int *)arg;
  char in[4000];
  free(arg);
  while (serve_one(fd)) {}
  shutdown(fd, SHUT_WR);
  while (read(fd, in, sizeof in) > 0) {}
  close(fd);
  return NULL;
}

static void *accept_all(void *arg) {
  (void)arg;
  for (int fd; (fd = accept(door, NULL, NULL)) >= 0;) {
    pthread_t t;
    int *own = malloc(sizeof *own);
    *own = fd;
    assert_int_equal(pthread_create(&t, NULL, serve, own), 0);
    pthread_detach(t);
  }
  return NULL;
}

static int begin(void **st) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t n = sizeof at;
  pthread_t t;
  (void)st;
  door = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(door, (struct sockaddr *)&at, n) || listen(door, 16) || getsockname(door, (struct sockaddr *)&at, &n)) return -1;
  snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(at.sin_port));
  if (pthread_create(&t, NULL, accept_all, NULL)) return -1;
  return pthread_detach(t);
}

static void says(int code, const char *text) {
  atomic_store(&status, code);
  atomic_store(&body, text);
}

static weir_t *open_it(void) {
  char err[300];
  weir_t *h = NULL;
  if (weir_open(&h, url, NULL, err, sizeof err)) fail_msg("weir_open: %s", err);
  return h;
}

static void soon(const atomic_int *what, int n) {
  for (int ms = 0; atomic_load(what) < n; ms += 2) {
    if (ms > SOON_MS) fail_msg("it does not come");
    (void)poll(NULL, 0, 2);
  }
}

#define TASK "\"tiId\":7,\"taskType\":\"ECHO\",\"execStatus\":\"SUCCESS\",\"state\":\"SUCCESS\""
#define OF(data) "{\"code\":\"200\",\"message\":\"SUCCESS\",\"data\":" data "}"

/* ---- a close ---- */

struct inside { weir_t *h; pthread_t thread; int rc, code; };

static void *wait_inside(void *arg) {
  struct inside *w = arg;
  weir_task_t *t = NULL;
  w->rc = weir_wait(w->h, 1, -1, &t);
  w->code = weir_error_code(w->h);
  if (t) w->rc = 1;
  return NULL;
}

static void *list_inside(void *arg) {
  struct inside *w = arg;
  weir_task_t **v;
  size_t n;
  w->rc = weir_list(w->h, NULL, &v, &n, NULL);
  return NULL;
}

/* It ends within the 5 s, which are much less than the time of a request. */
static void ended(const struct inside *w) {
  struct timespec at;
  clock_gettime(CLOCK_REALTIME, &at);
  at.tv_sec += 5;
  if (pthread_timedjoin_np(w->thread, NULL, &at)) fail_msg("it is still inside");
  IS(w->rc, WEIR_ERR_UNAVAILABLE);
}

static void test_close_ends_waits(void **st) {
  struct inside w[3] = {{0}};
  weir_t *h = open_it();
  (void)st;
  says(200, NULL);
  for (int i = 0; i < 3; i++) {
    w[i].h = h;
    assert_int_equal(pthread_create(&w[i].thread, NULL, i < 2 ? wait_inside : list_inside, &w[i]), 0);
  }
  soon(&held, 3);
  OK(weir_close(h));
  for (int i = 0; i < 3; i++) ended(&w[i]);
  IS(w[0].code, 50304);
}

static int64_t made;
static void *create_inside(void *arg) {
  struct inside *w = arg;
  const weir_spec_t s = {.size = sizeof s, .type = "ECHO"};
  w->rc = weir_create(w->h, &s, &made);
  return NULL;
}

static atomic_bool closed;
static void *close_it(void *arg) {
  int rc = weir_close(arg);
  atomic_store(&closed, true);
  return rc ? arg : NULL;
}

/* What changes something is not cut off: a close waits for it. */
static void test_close_waits_for_changes(void **st) {
  struct inside w = {.h = open_it()};
  pthread_t t;
  void *bad;
  (void)st;
  says(200, NULL);
  assert_int_equal(pthread_create(&w.thread, NULL, create_inside, &w), 0);
  soon(&held, 1);
  assert_int_equal(pthread_create(&t, NULL, close_it, w.h), 0);
  (void)poll(NULL, 0, 1500); /* more than the second in which a wait ends */
  assert_false(atomic_load(&closed));
  says(200, OF("[7]"));
  pthread_join(w.thread, NULL);
  pthread_join(t, &bad);
  IS(w.rc, WEIR_OK);
  IS(made, 7);
  assert_null(bad);
}

/* The server is away, and the wait sleeps until it asks again. */
static void test_close_ends_sleeps(void **st) {
  struct inside w = {.h = open_it()};
  int before = atomic_load(&asked);
  (void)st;
  says(503, "{\"code\":\"50301\",\"message\":\"away\"}");
  assert_int_equal(pthread_create(&w.thread, NULL, wait_inside, &w), 0);
  soon(&asked, before + 2); /* it was asked again: that did not end the wait */
  (void)poll(NULL, 0, 50);
  OK(weir_close(w.h));
  ended(&w);
}

/* ---- answers ---- */

static int get(weir_t *h) {
  weir_task_t *t;
  int rc = weir_get(h, 7, &t);
  if (rc) assert_null(t);
  weir_task_free(t);
  return rc;
}

static void test_known_task(void **st) {
  weir_t *h = open_it();
  weir_task_t *t;
  (void)st;
  says(200, OF("{" TASK ",\"attempt\":2,\"result\":null,\"resultBase64\":\"/w==\",\"progress\":{\"total\":3,\"speed\":1}}"));
  OK(weir_wait(h, 7, SOON_MS, &t));
  IS(t->state, WEIR_STATE_FINISHED);
  IS(t->attempt, 2);
  IS(t->total, 3);
  IS(t->result_len, 1);
  weir_task_free(t);
  OK(weir_close(h));
}

static void test_odd_tasks(void **st) {
  static const char *const odd[] = {
    "", "nonsense", "[]", "{}", "{\"data\":{" TASK "}}", "{\"code\":\"200\"}", OF("null"), OF("[]"), OF("7"), OF("{}"),
    OF("{\"tiId\":8,\"taskType\":\"ECHO\",\"execStatus\":\"SUCCESS\",\"state\":\"SUCCESS\"}"),
    OF("{\"tiId\":7,\"execStatus\":\"MELTED\",\"state\":\"MELTED\"}"), OF("{\"tiId\":\"7\",\"execStatus\":\"SUCCESS\",\"state\":\"SUCCESS\"}"),
    OF("{" TASK ",\"attempt\":\"2\"}"), OF("{" TASK ",\"attempt\":4294967296}"), OF("{" TASK ",\"contextBytes\":-1}"),
    OF("{" TASK ",\"result\":{}}"), OF("{" TASK ",\"resultBase64\":\"*\"}"), OF("{" TASK ",\"createdAt\":\"soon\"}"),
    OF("{" TASK ",\"progress\":[]}")};
  weir_t *h = open_it();
  (void)st;
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
    says(200, odd[i]);
    if (get(h) != WEIR_ERR_UNAVAILABLE || weir_error_code(h) != 50001) fail_msg("get takes %s", odd[i]);
    if (weir_wait(h, 7, -1, NULL) != WEIR_ERR_UNAVAILABLE) fail_msg("wait takes %s", odd[i]);
    assert_non_null(strstr(weir_error(h), "cannot be read"));
  }
  OK(weir_close(h));
}

static void test_odd_lists(void **st) {
  static const char *const odd[] = {"{}", OF("{}"), OF("[1]"), OF("[{" TASK "},{}]"), OF("null")};
  weir_t *h = open_it();
  weir_task_t **v;
  size_t n;
  (void)st;
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
    says(200, odd[i]);
    if (weir_list(h, NULL, &v, &n, NULL) != WEIR_ERR_UNAVAILABLE || v || n) fail_msg("list takes %s", odd[i]);
  }
  says(200, OF("[{" TASK "}]"));
  OK(weir_list(h, NULL, &v, &n, NULL));
  IS(n, 1);
  weir_list_free(v, n);
  OK(weir_close(h));
}

/* Nobody knows whether it was done. */
static void test_odd_answers_to_changes(void **st) {
  static const char *const odd[] = {"", "{}", "{\"code\":\"200\"}", OF("null"), OF("\"x\""), OF("[\"7\"]"), OF("[0]"), OF("[7,8]")};
  const weir_spec_t s = {.size = sizeof s, .type = "ECHO"};
  const weir_queue_t q = {.size = sizeof q, .max_running = 1, .weight = -1, .paused = -1, .rate_count = -1, .order = -1, .rate_per_ms = -1};
  weir_t *h = open_it();
  int64_t id = -1;
  (void)st;
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
    says(200, odd[i]);
    if (weir_create(h, &s, &id) != WEIR_ERR_OUTCOME_UNKNOWN || id != -1) fail_msg("create takes %s", odd[i]);
    if (weir_pause(h, 7) != WEIR_ERR_OUTCOME_UNKNOWN) fail_msg("pause takes %s", odd[i]);
    if (weir_queue_set(h, &q) != WEIR_ERR_OUTCOME_UNKNOWN) fail_msg("queue_set takes %s", odd[i]);
    if (weir_queue_delete(h, "", "") != WEIR_ERR_OUTCOME_UNKNOWN) fail_msg("queue_delete takes %s", odd[i]);
  }
  says(200, OF("[7]"));
  OK(weir_create(h, &s, &id));
  IS(id, 7);
  says(200, OF("{}"));
  OK(weir_pause(h, 7));
  OK(weir_close(h));
}

/* A gateway on the way that has no answer of the server's may have passed a change on. */
static void test_gateways(void **st) {
  static const struct { int status; const char *body; } all[] = {{502, "<html>Bad Gateway</html>"}, {504, ""}, {502, "{\"code\":502}"}};
  const weir_spec_t s = {.size = sizeof s, .type = "ECHO"};
  weir_t *h = open_it();
  (void)st;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    says(all[i].status, all[i].body);
    IS(weir_create(h, &s, NULL), WEIR_ERR_OUTCOME_UNKNOWN);
    IS(weir_error_code(h), 50303);
    IS(weir_delete(h, 7), WEIR_ERR_OUTCOME_UNKNOWN);
    IS(get(h), WEIR_ERR_UNAVAILABLE);
  }
  says(503, "{\"code\":\"50301\",\"message\":\"away\"}"); /* a Weir says that nothing was stored */
  IS(weir_create(h, &s, NULL), WEIR_ERR_UNAVAILABLE);
  IS(weir_error_code(h), 50301);
  OK(weir_close(h));
}

/* The server keeps connections, and ends one at a change without an answer: the change is not sent again, as libcurl would. */
static void test_changes_are_sent_once(void **st) {
  const weir_spec_t s = {.size = sizeof s, .type = "ECHO"};
  int64_t id = -1;
  (void)st;
  atomic_store(&keeps, true);
  weir_t *h = open_it();
  says(200, OF("{" TASK "}"));
  OK(get(h)); /* a connection stays behind it */
  says(200, OF("[7]"));
  atomic_store(&changes, 0);
  atomic_store(&drops, 1);
  IS(weir_create(h, &s, &id), WEIR_ERR_OUTCOME_UNKNOWN);
  IS(weir_error_code(h), 50303);
  IS(atomic_load(&changes), 1);
  IS(id, -1);
  OK(weir_create(h, &s, &id)); /* whoever wants it again says so */
  IS(atomic_load(&changes), 2);
  OK(weir_close(h));
  atomic_store(&keeps, false);
}

/* Nobody stands between who has the token and the server. */
static void test_no_proxy(void **st) {
  static const char *const of[] = {"http_proxy", "all_proxy", "ALL_PROXY"};
  weir_t *h;
  (void)st;
  unsetenv("no_proxy");
  unsetenv("NO_PROXY");
  says(200, OF("{" TASK "}"));
  for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
    setenv(of[i], "http://127.0.0.1:1", 1); /* nobody listens there */
    h = open_it();
    OK(get(h));
    OK(weir_close(h));
    unsetenv(of[i]);
  }
}

/* Room for no byte: the same answers. */
static void test_log_without_room(void **st) {
  weir_t *h = open_it();
  size_t n = 9;
  (void)st;
  says(404, "{\"code\":\"40402\",\"message\":\"Task instance 7 does not exist.\"}");
  IS(weir_log_read(h, 7, 0, 0, NULL, 0, &n), WEIR_ERR_NOT_FOUND);
  says(200, OF("{" TASK "}"));
  OK(weir_log_read(h, 7, 0, 0, NULL, 0, &n));
  IS(n, 0);
  OK(weir_close(h));
}

/* Which of several specs is wrong; nothing of them is sent. */
static void test_bad_spec_of_many(void **st) {
  const weir_spec_t good = {.size = sizeof good, .type = "ECHO"}, bad = {.size = sizeof bad, .type = "ECHO", .params = "{bad"};
  const weir_spec_t *const three[] = {&good, &good, &bad};
  weir_t *h = open_it();
  int before = atomic_load(&asked);
  (void)st;
  IS(weir_create_many(h, three, 3, NULL), WEIR_ERR_INVALID);
  if (strncmp(weir_error(h), "spec[2]: params", 15) != 0) fail_msg("%s", weir_error(h));
  IS(weir_create(h, &bad, NULL), WEIR_ERR_INVALID);
  assert_int_equal(strncmp(weir_error(h), "params", 6), 0);
  IS(atomic_load(&asked), before);
  OK(weir_close(h));
}

/* The last one: the server takes no more connections, and nothing was sent. One that was kept is no way round that. */
static void test_nobody_listens(void **st) {
  const weir_spec_t s = {.size = sizeof s, .type = "ECHO"};
  int fd;
  (void)st;
  atomic_store(&keeps, true);
  weir_t *h = open_it();
  says(200, OF("{" TASK "}"));
  OK(get(h));
  atomic_store(&changes, 0);
  says(200, OF("[7]"));
  shutdown(door, SHUT_RDWR);
  while ((fd = accept(door, NULL, NULL)) >= 0) close(fd);
  close(door);
  IS(weir_create(h, &s, NULL), WEIR_ERR_UNAVAILABLE);
  IS(weir_error_code(h), 50301);
  IS(atomic_load(&changes), 0);
  OK(weir_close(h));
}

/* What is not sent cannot be taken for something else there. */
static void test_bad_texts(void **st) {
  weir_t *h = open_it();
  int before = atomic_load(&asked);
  (void)st;
  says(200, OF("[]"));
  kit_bad_texts(h);
  kit_refused(h);
  IS(atomic_load(&asked), before);
  OK(weir_close(h));
}

int main(void) {
  const struct CMUnitTest all[] = {
    cmocka_unit_test(test_known_task), cmocka_unit_test(test_odd_tasks), cmocka_unit_test(test_odd_lists),
    cmocka_unit_test(test_odd_answers_to_changes), cmocka_unit_test(test_close_ends_sleeps), cmocka_unit_test(test_close_waits_for_changes),
    cmocka_unit_test(test_close_ends_waits), cmocka_unit_test(test_bad_texts), cmocka_unit_test(test_gateways),
    cmocka_unit_test(test_changes_are_sent_once), cmocka_unit_test(test_no_proxy), cmocka_unit_test(test_log_without_room),
    cmocka_unit_test(test_bad_spec_of_many),
    cmocka_unit_test(test_nobody_listens)};
  return cmocka_run_group_tests_name("remote", all, begin, NULL);
}
