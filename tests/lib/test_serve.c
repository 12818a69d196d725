/* listen=: a handle that serves the HTTP API. What clients get before, while and after the handle starts and closes. */
#include "kit.h"
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TOKEN "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct gate gate;

static int greet(weir_attempt_t *a, void *user) {
  (void)user;
  OK(weir_report_result(a, "hello", 5));
  return WEIR_PHASE_FINISHED;
}

/* Says a line, and goes on when the gate is open. */
static int talker(weir_attempt_t *a, void *user) {
  (void)user;
  OK(weir_log(a, "first\n", 6));
  return gate_pass(&gate, a) ? WEIR_PHASE_FINISHED : WEIR_PHASE_NORMAL;
}

/* Does not look at its stop until the gate is open. */
static struct gate after;
static int late[5];
static int deaf(weir_attempt_t *a, void *user) {
  (void)user;
  gate_come(&gate);
  pthread_mutex_lock(&gate.mu);
  while (!gate.open) pthread_cond_wait(&gate.moved, &gate.mu);
  pthread_mutex_unlock(&gate.mu);
  late[0] = weir_report_context(a, "x", 1);
  late[1] = weir_report_progress(a, 1, 1, NULL, NULL);
  late[2] = weir_log(a, "x", 1);
  late[3] = weir_report_result(a, "x", 1);
  late[4] = weir_attempt_stop_reason(a);
  gate_come(&after);
  return WEIR_PHASE_FINISHED;
}

/* What HTTP shows as text, and what it cannot; each with a NUL. */
static int binary(weir_attempt_t *a, void *user) {
  (void)user;
  OK(weir_report_result(a, weir_attempt_content(a) ? "\xff\0b" : "a\0b", 3));
  return WEIR_PHASE_FINISHED;
}

static const weir_type_t bytes = {.size = sizeof bytes, .name = "bytes", .run = binary};
static const weir_type_t hears_nothing = {.size = sizeof hears_nothing, .name = "deaf", .run = deaf};
static const weir_type_t greeter = {.size = sizeof greeter, .name = "greet", .run = greet},
                         talks = {.size = sizeof talks, .name = "talk", .run = talker};

static weir_t *serve(const char *a, const char *b) {
  char err[300];
  weir_t *h = NULL;
  int rc = kit_try(&h, (const char *[]){"listen=127.0.0.1:0", "slots=2", a, b, NULL}, err);
  if (rc) fail_msg("weir_open: %s: %s", weir_strerror(rc), err);
  assert_true(weir_port(h) > 0);
  OK(weir_register(h, &greeter));
  OK(weir_register(h, &talks));
  OK(weir_register(h, &hears_nothing));
  OK(weir_register(h, &bytes));
  return h;
}

/* A handle of the same by its URL; NULL: the library was built without libcurl. */
static weir_t *client_of(weir_t *h) {
  char err[300], url[64];
  weir_t *r = NULL;
  snprintf(url, sizeof url, "http://127.0.0.1:%d", weir_port(h));
  int rc = weir_open(&r, url, NULL, err, sizeof err);
  if (rc && rc != WEIR_ERR_UNSUPPORTED) fail_msg("weir_open: %s: %s", weir_strerror(rc), err);
  return r;
}

/* ---- a client ---- */

static int dial(int port) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  const struct timeval patience = {.tv_sec = SOON_MS / 1000};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) || connect(fd, (struct sockaddr *)&a, sizeof a))
    return close(fd), -1;
  return fd;
}

/* Sends one request whose connection closes after the answer. token: NULL = none. */
static int ask(int port, const char *method, const char *path, const char *token, const char *body) {
  char text[1024];
  int fd = dial(port), n;
  if (fd < 0) fail_msg("nobody listens on %d", port);
  n = snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s%s%sContent-Type: application/json\r\n"
               "Content-Length: %zu\r\n\r\n%s", method, path, token ? "Authorization: Bearer " : "", token ? token : "",
               token ? "\r\n" : "", body ? strlen(body) : 0, body ? body : "");
  IS(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
  return fd;
}

/* The whole answer, to the end of its connection. Returns the status; -1 = there was none. */
static int answer(int fd, char *out, size_t size) {
  size_t n = 0;
  ssize_t got;
  while (n + 1 < size && (got = recv(fd, out + n, size - n - 1, 0)) > 0) n += (size_t)got;
  out[n] = '\0';
  close(fd);
  return n > 12 ? atoi(out + 9) : -1;
}

static char last[16384];
static int get(int port, const char *path, const char *token) { return answer(ask(port, "GET", path, token, NULL), last, sizeof last); }

static int64_t post(int port, const char *path, const char *body, const char *id) {
  int got = answer(ask(port, "POST", path, NULL, body), last, sizeof last);
  const char *at = strstr(last, id);
  if (got != 200 || !at) fail_msg("%s: %d %s", path, got, last);
  return strtoll(at + strlen(id), NULL, 10);
}

static int64_t submit(int port, const char *type, const char *token) {
  char body[100];
  snprintf(body, sizeof body, "{\"taskType\": \"%s\"}", type);
  int status = answer(ask(port, "POST", "/exec/task", token, body), last, sizeof last);
  const char *id = strstr(last, "\"tiId\":");
  if (status != 200 || !id) fail_msg("%d %s", status, last);
  return strtoll(id + 7, NULL, 10);
}

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- tests ---- */

static void test_submit(void **st) {
  weir_t *h = serve("dev=on", NULL);
  weir_task_t *t;
  (void)st;
  int port = weir_port(h);
  IS(get(port, "/readyz", NULL), 200);
  OK(weir_start(h));
  IS(weir_port(h), port);
  int64_t id = submit(port, "greet", NULL);
  OK(weir_wait(h, id, SOON_MS, &t));
  assert_string_equal(t->state_name, "SUCCESS");
  assert_string_equal(t->result, "hello");
  weir_task_free(t);
  IS(answer(ask(port, "POST", "/exec/task?wait=20", NULL, "{\"taskType\": \"greet\"}"), last, sizeof last), 200);
  assert_non_null(strstr(last, "\"state\":\"SUCCESS\""));
  IS(get(port, "/readyz", NULL), 200);
  OK(weir_close(h));
  IS(dial(port), -1);
}

static void is_result(weir_task_t *t, const char *want) {
  IS(t->result_len, 3);
  assert_memory_equal(t->result, want, 3);
  weir_task_free(t);
}

/* A result with a NUL is the same by HTTP as in the process, and its task can be steered and listed. */
static void test_result_with_nul(void **st) {
  weir_t *h = serve("dev=on", NULL), *r = client_of(h);
  weir_spec_t s = {.size = sizeof s, .type = "bytes"};
  weir_task_t *t, **v;
  int64_t id;
  size_t n;
  (void)st;
  OK(weir_start(h));
  for (int i = 0; i < 2 && r; i++) {
    const char *want = i ? "\xff\0b" : "a\0b";
    s.content = i ? "no text" : NULL;
    OK(weir_create(r, &s, &id));
    OK(weir_wait(r, id, SOON_MS, &t));
    is_result(t, want);
    OK(weir_get(r, id, &t));
    is_result(t, want);
    OK(weir_get(h, id, &t));
    is_result(t, want);
    OK(weir_list(r, NULL, &v, &n, NULL));
    IS(n, 1);
    IS(v[0]->result_len, 3);
    weir_list_free(v, n);
    IS(weir_run(r, id), WEIR_ERR_CONFLICT);
    IS(weir_error_code(r), 40912);
    OK(weir_delete(r, id));
    kit_state(h, id, "");
  }
  OK(weir_close(r));
  OK(weir_close(h));
}

/* Whose the task of a node is, what it is called, and of which run: as its flow was started, in the process and by HTTP alike. */
static void is_of_flow(weir_t *h, int64_t id) {
  weir_task_t *t;
  OK(weir_get(h, id, &t));
  assert_non_null(t->type);
  assert_string_equal(t->type, "ECHO");
  assert_string_equal(t->name, "first");
  assert_string_equal(t->user, "alice");
  assert_string_equal(t->group, "g");
  IS(t->priority, 7);
  IS(t->run_no, 1);
  IS(t->attempt, 1);
  assert_string_equal(t->state_name, "SUCCESS");
  assert_string_equal(t->result, "x");
  weir_task_free(t);
}

static void test_task_of_a_node(void **st) {
  char path[80];
  weir_t *h = serve("dev=on", NULL), *r = client_of(h);
  int port = weir_port(h);
  weir_task_t *t;
  (void)st;
  OK(weir_start(h));
  int64_t flow = post(port, "/flow", "{\"flowName\":\"f\",\"flowNodes\":[{\"tasks\":[{\"taskName\":\"first\",\"taskType\":\"ECHO\","
                      "\"taskContent\":\"x\"}]}]}", "\"flowId\":");
  snprintf(path, sizeof path, "/exec/flow/%lld?wait=20", (long long)flow);
  (void)post(port, path, "{\"user\":\"alice\",\"group\":\"g\",\"priority\":7}", "\"fiId\":");
  IS(get(port, "/monitor/task?alone=false&limit=1", NULL), 200);
  const char *at = strstr(last, "\"tiId\":");
  if (!at) fail_msg("%s", last);
  int64_t id = strtoll(at + 7, NULL, 10);
  is_of_flow(h, id);
  if (r) is_of_flow(r, id);
  OK(weir_get(h, id, &t));
  assert_string_equal(t->content, "x");
  weir_task_free(t);
  OK(weir_close(r));
  OK(weir_close(h));
}

/* Whoever waits for a job is answered when its last task ends, long before the time is up. */
static void job_is_waited_for(int port, const char *task, struct gate *g) {
  char body[400], path[80];
  snprintf(body, sizeof body, "{\"jobKey\":\"k\",\"closed\":true,\"tasks\":[%s]}", task);
  int64_t job = post(port, "/job", body, "\"jobId\":");
  snprintf(path, sizeof path, "/job/%lld?wait=60", (long long)job);
  if (g) gate_await(g, 1);
  int fd = ask(port, "GET", path, NULL, NULL);
  (void)poll(NULL, 0, 100);
  if (g) gate_open(g);
  IS(answer(fd, last, sizeof last), 200);
  assert_non_null(strstr(last, "\"state\":\"SUCCESS\""));
}

static void test_wait_for_a_job(void **st) {
  weir_t *h = serve("dev=on", NULL);
  (void)st;
  gate_init(&gate);
  OK(weir_start(h));
  job_is_waited_for(weir_port(h), "{\"taskType\":\"talk\"}", &gate);
  OK(weir_close(h));
}

static void test_token(void **st) {
  weir_t *h = serve("token=" TOKEN, NULL);
  char wrong[] = TOKEN, folder[100], file[120], text[80] = "";
  (void)st;
  int port = weir_port(h);
  IS(get(port, "/readyz", NULL), 200); /* open to everyone, as a server's */
  IS(get(port, "/monitor/task", NULL), 401);
  wrong[63] = 'e';
  IS(get(port, "/monitor/task", wrong), 401);
  IS(get(port, "/monitor/task", TOKEN), 200);
  OK(weir_close(h));
  snprintf(folder, sizeof folder, "data=%s", kit_dir()); /* that of the installation, made here */
  h = serve(folder, NULL);
  IS(get(weir_port(h), "/monitor/task", TOKEN), 401);
  snprintf(file, sizeof file, "%s/weir.token", kit_dir());
  FILE *f = fopen(file, "re");
  assert_non_null(f);
  struct stat of;
  assert_true(fscanf(f, "%64s", text) == 1 && fstat(fileno(f), &of) == 0);
  fclose(f);
  IS(of.st_mode & 0777, 0600);
  IS(get(weir_port(h), "/monitor/task", text), 200);
  OK(weir_start(h));
  IS(get(weir_port(h), "/monitor/task", text), 200);
  IS(get(weir_port(h), "/monitor/task", NULL), 401);
  OK(weir_close(h));
  remove(file);
}

static void refused(int want, const char *why, const char *a, const char *b) {
  char err[300];
  weir_t *h = NULL;
  int rc = kit_try(&h, (const char *[]){a, b, NULL}, err);
  if (rc != want || !strstr(err, why) || h) fail_msg("%s: %d \"%s\", not %d \"%s\"", a, rc, err, want, why);
}

static void test_refused(void **st) {
  char taken[40];
  (void)st;
  refused(WEIR_ERR_INVALID, "listen must be IPV4-ADDRESS:PORT", "listen=8088", "dev=on");
  refused(WEIR_ERR_REFUSED, "trusted-proxy", "listen=0.0.0.0:0", "token=" TOKEN);
  refused(WEIR_ERR_REFUSED, "loopback only", "listen=0.0.0.0:0", "dev=on");
  refused(WEIR_ERR_INVALID, "token: 32 to 256", "listen=127.0.0.1:0", "token=guessable");
  refused(WEIR_ERR_UNSUPPORTED, "run-as", "run-as=nobody", NULL);
  refused(WEIR_ERR_INVALID, "max-load", "max-load=high", NULL);
  refused(WEIR_ERR_INVALID, "queues", "queues=nogroup", NULL);
  refused(WEIR_ERR_INVALID, "wait-share", "wait-share=91", NULL);
  refused(WEIR_ERR_INVALID, "cpu-budget", "cpu-budget=0", NULL);
  refused(WEIR_ERR_REFUSED, "cannot be read", "plugin=/no/where.so", NULL);
  refused(WEIR_ERR_REFUSED, "is no regular file", "plugin=/tmp", NULL);
  if (!kit_one_process()) refused(WEIR_ERR_INVALID, "needs token=", "listen=127.0.0.1:0", NULL);
  weir_t *h = NULL;
  IS(weir_open(&h, "http://127.0.0.1:1", (const char *[]){"listen=127.0.0.1:0", NULL}, NULL, 0), WEIR_ERR_UNSUPPORTED);
  h = serve("dev=on", NULL);
  snprintf(taken, sizeof taken, "listen=127.0.0.1:%d", weir_port(h));
  if (!kit_one_process()) refused(WEIR_ERR_REFUSED, "in use", taken, "dev=on");
  int port = weir_port(h);
  OK(weir_close(h));
  int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  assert_true(bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 1) == 0);
  refused(WEIR_ERR_REFUSED, "Address already in use", taken, "dev=on");
  close(fd);
  h = kit_open("slots=1", "max-load=64"); /* nothing was left behind */
  IS(weir_port(h), 0);
  OK(weir_close(h));
}

/* Clients that wait for a task and follow its log when the handle begins to run tasks: the same connections get what comes. */
static void test_start_while_waiting(void **st) {
  weir_t *h = serve("dev=on", NULL);
  char path[80], body[2000];
  (void)st;
  int port = weir_port(h), fd[20], n = 20, log;
  int64_t id = submit(port, "greet", NULL), said = submit(port, "talk", NULL);
  snprintf(path, sizeof path, "/monitor/task/%lld?wait=20", (long long)id);
  for (int i = 0; i < n; i++) fd[i] = ask(port, "GET", path, NULL, NULL);
  snprintf(path, sizeof path, "/monitor/task/%lld/log?follow=true", (long long)said);
  gate_init(&gate);
  log = ask(port, "GET", path, NULL, NULL);
  (void)poll(NULL, 0, 100);
  OK(weir_start(h));
  for (int i = 0; i < n; i++) {
    IS(answer(fd[i], body, sizeof body), 200);
    assert_non_null(strstr(body, "\"state\":\"SUCCESS\""));
  }
  gate_await(&gate, 1);
  gate_open(&gate);
  IS(answer(log, body, sizeof body), 200);
  assert_non_null(strstr(body, "first\n"));
  OK(weir_close(h));
}

struct crowd { pthread_t thread; int port, failed; atomic_bool over; };
static void *crowd_run(void *p) {
  struct crowd *c = p;
  char out[4000];
  while (!atomic_load(&c->over)) c->failed += answer(ask(c->port, "GET", "/monitor/task?limit=1", NULL, NULL), out, sizeof out) != 200;
  return NULL;
}

/* Requests that come in while the node is opened anew wait, and are answered. */
static void test_start_under_load(void **st) {
  weir_t *h = serve("dev=on", NULL);
  struct crowd c[4] = {0};
  (void)st;
  for (int i = 0; i < 4; i++) {
    c[i].port = weir_port(h);
    IS(pthread_create(&c[i].thread, NULL, crowd_run, &c[i]), 0);
  }
  (void)poll(NULL, 0, 50);
  OK(weir_start(h));
  IS(get(weir_port(h), "/readyz", NULL), 200);
  for (int i = 0; i < 4; i++) atomic_store(&c[i].over, true);
  for (int i = 0; i < 4; i++) {
    pthread_join(c[i].thread, NULL);
    IS(c[i].failed, 0);
  }
  OK(weir_close(h));
}

/* A close while a client follows a log, one waits, and one keeps its connection: each gets its end, and the close its time. */
static void test_close_while_following(void **st) {
  weir_t *h = serve("dev=on", "stop-timeout=2s");
  char path[80], body[2000];
  (void)st;
  int port = weir_port(h), idle = dial(port);
  gate_init(&gate);
  OK(weir_start(h));
  int64_t id = submit(port, "talk", NULL);
  gate_await(&gate, 1);
  snprintf(path, sizeof path, "/monitor/task/%lld/log?follow=true", (long long)id);
  int log = ask(port, "GET", path, NULL, NULL);
  snprintf(path, sizeof path, "/monitor/task/%lld?wait=60", (long long)id);
  int wait = ask(port, "GET", path, NULL, NULL);
  (void)poll(NULL, 0, 300);
  int64_t began = now_ms();
  OK(weir_close(h));
  assert_true(now_ms() - began < 8000);
  IS(answer(log, body, sizeof body), 200);
  assert_non_null(strstr(body, "first\n"));
  IS(answer(wait, body, sizeof body), 200);
  assert_non_null(strstr(body, "\"state\":\"")); /* RUNNING, or handed back already */
  close(idle);
}

static int delete(int port, int64_t id, const char *how) {
  char path[80];
  snprintf(path, sizeof path, "/exec/task-ins/%lld%s", (long long)id, how);
  return answer(ask(port, "DELETE", path, NULL, NULL), last, sizeof last);
}

static char said[400];
static void sink(int level, const char *line, void *user) {
  (void)user;
  if (level <= 1 && strstr(line, "library.routine_given_up")) snprintf(said, sizeof said, "%s", line);
}

/* Deleted by force, a routine that hears nothing cannot be killed. Nothing that it says counts from then on, no limit counts it, and
 * after the time of a stop its slot is another one's. */
static void deleted_by_force(bool again_first) {
  const weir_queue_t one = {.size = sizeof one, .user = "", .group = "", .max_running = 2, .weight = -1, .paused = -1, .rate_count = -1,
                            .order = -1, .rate_per_ms = -1};
  weir_t *h = serve("dev=on", "stop-timeout=1s");
  int64_t id[2];
  weir_task_t *t;
  int port = weir_port(h);
  gate_init(&gate);
  gate_init(&after);
  said[0] = '\0';
  OK(weir_set_log(h, sink, NULL));
  OK(weir_queue_set(h, &one));
  OK(weir_start(h));
  for (int i = 0; i < 2; i++) id[i] = submit(port, "deaf", NULL);
  gate_await(&gate, 2);
  for (int i = 0; i < 2; i++) {
    IS(delete(port, id[i], ""), 200);
    if (again_first) (void)poll(NULL, 0, 100); /* it has been told */
    IS(delete(port, id[i], "?force=true"), 200);
    IS(weir_get(h, id[i], &t), WEIR_ERR_NOT_FOUND);
  }
  OK(weir_wait(h, submit(port, "greet", NULL), SOON_MS, NULL));
  assert_non_null(strstr(said, "type=deaf"));
  gate_open(&gate);
  gate_await(&after, 2);
  for (int i = 0; i < 4; i++) IS(late[i], WEIR_ERR_FENCED);
  IS(late[4], WEIR_STOP_FENCED);
  for (int i = 0; i < 3; i++) OK(weir_wait(h, submit(port, "greet", NULL), SOON_MS, NULL));
  OK(weir_close(h));
}

static void test_deleted_by_force(void **st) {
  deleted_by_force(true);
  kit_fresh(st);
  deleted_by_force(false);
}

/* Two that serve in one process: on one MariaDB, or on two files; one closes, and the other goes on. */
static void test_two(void **st) {
  weir_t *a = serve("dev=on", NULL), *b;
  weir_task_t *t;
  if (kit_one_process()) kit_fresh(st);
  b = serve("token=" TOKEN, NULL);
  OK(weir_start(a));
  OK(weir_start(b));
  assert_true(weir_port(a) != weir_port(b));
  IS(get(weir_port(b), "/monitor/task", NULL), 401);
  OK(weir_wait(b, submit(weir_port(b), "greet", TOKEN), SOON_MS, &t));
  assert_string_equal(t->state_name, "SUCCESS");
  weir_task_free(t);
  OK(weir_wait(a, submit(weir_port(a), "greet", NULL), SOON_MS, NULL));
  OK(weir_close(a));
  OK(weir_wait(b, submit(weir_port(b), "greet", TOKEN), SOON_MS, NULL));
  OK(weir_close(b));
}

/* Chunks that do not come are given up after their time, and a stop does not wait for them. */
static void test_slow_body(void **st) {
  static const char head[] = "POST /exec/task HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
                             "Content-Type: application/json\r\n\r\n5\r\n{\"tas";
  weir_t *h = serve("dev=on", NULL);
  (void)st;
  int fd = dial(weir_port(h));
  IS(send(fd, head, sizeof head - 1, MSG_NOSIGNAL), sizeof head - 1);
  (void)poll(NULL, 0, 200);
  int64_t began = now_ms();
  OK(weir_close(h));
  assert_true(now_ms() - began < 5000);
  close(fd);
}

/* What is the process's stays as it was: handlers of all signals, SIGPIPE among them, and its own sockets. */
static void test_process_is_the_hosts(void **st) {
  struct sigaction before[NSIG], now;
  int pair[2], n = 0;
  char c;
  (void)st;
  signal(SIGPIPE, SIG_DFL); /* whatever started this test */
  for (int i = 1; i < NSIG; i++) sigaction(i, NULL, &before[i]);
  weir_t *h = serve("dev=on", NULL);
  OK(weir_start(h));
  IS(get(weir_port(h), "/readyz", NULL), 200);
  int cut = ask(weir_port(h), "GET", "/monitor/task", NULL, NULL); /* nobody reads the answer */
  close(cut);
  for (int i = 1; i < NSIG; i++)
    if (sigaction(i, NULL, &now) == 0 && ++n && now.sa_handler != before[i].sa_handler) fail_msg("signal %d has a handler", i);
  assert_true(n > 30 && before[SIGPIPE].sa_handler == SIG_DFL);
  IS(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  assert_true(send(pair[0], "x", 1, 0) == 1 && recv(pair[1], &c, 1, 0) == 1 && c == 'x');
  close(pair[0]), close(pair[1]);
  OK(weir_close(h));
}

/* What would be stored now might never be read: clients are refused, as calls of the process are. */
static void test_file_is_removed(void **st) {
  weir_t *h = serve("dev=on", NULL);
  int status = 0;
  (void)st;
  if (kit_one_process()) {
    IS(get(weir_port(h), "/monitor/task", NULL), 200);
    IS(remove(strchr(kit_url(), ':') + 1), 0);
    for (int ms = 0; status != 503 && ms < SOON_MS; ms += 50) {
      (void)poll(NULL, 0, 50);
      status = get(weir_port(h), "/monitor/task", NULL);
    }
    IS(status, 503);
    IS(get(weir_port(h), "/readyz", NULL), 503);
    IS(get(weir_port(h), "/livez", NULL), 200);
  }
  (void)weir_close(h);
}

static void test_plugin(void **st) {
  char plugin[400];
  const char *so = getenv("WEIR_TEST_PLUGIN");
  const weir_spec_t s = {.size = sizeof s, .type = "count.words", .content = "to be or not"};
  weir_task_t *t;
  int64_t id;
  (void)st;
  assert_non_null(so);
  snprintf(plugin, sizeof plugin, "plugin=%s", so);
  refused(WEIR_ERR_REFUSED, "There is a task type \"count.words\" already", plugin, plugin);
  weir_t *h = serve("dev=on", plugin);
  OK(weir_create(h, &s, &id));
  OK(weir_start(h));
  OK(weir_wait(h, id, SOON_MS, &t));
  assert_string_equal(t->state_name, "SUCCESS");
  assert_string_equal(t->result, "4");
  weir_task_free(t);
  OK(weir_close(h));
}

/* `weir server` in a process of its own, which ends with the test. Returns its port. */
static int start_server(const char *const *argv, pid_t *pid, FILE **says) {
  int out[2], port = 0;
  char line[1000];
  IS(pipe(out), 0);
  *pid = fork();
  assert_true(*pid >= 0);
  if (*pid == 0) {
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (dup2(out[1], 1) >= 0 && dup2(out[1], 2) >= 0 && close(out[0]) == 0) execv(argv[0], (char *const *)(uintptr_t)argv);
    _exit(127);
  }
  close(out[1]);
  *says = fdopen(out[0], "r");
  assert_non_null(*says);
  while (!port && fgets(line, sizeof line, *says)) {
    const char *at = strstr(line, "http://127.0.0.1:");
    if (at) port = atoi(at + 17);
  }
  return port;
}

/* The routines of a server's plug-in wait for tasks too, and leave to the API what it waits for. */
static void test_wait_for_a_job_beside_a_plugin(void **st) {
  char data[100];
  const char *weir = getenv("WEIR_TEST_SERVER"), *so = getenv("WEIR_TEST_PLUGIN");
  pid_t pid;
  FILE *said_there;
  int ended = -1;
  (void)st;
  if (!kit_one_process()) return; /* the store has no part in it */
  assert_true(weir && so);
  snprintf(data, sizeof data, "%s/server", kit_dir());
  const char *const argv[] = {weir, "server", "--dev", "--listen", "127.0.0.1:0", "--data", data, "--plugin", so, NULL};
  int port = start_server(argv, &pid, &said_there);
  if (!port) fail_msg("weir server does not listen");
  job_is_waited_for(port, "{\"taskType\":\"count.slowly\",\"taskContent\":\"100\"}", NULL);
  IS(kill(pid, SIGTERM), 0);
  IS(waitpid(pid, &ended, 0), pid);
  fclose(said_there);
  IS(ended, 0);
}

int main(int argc, char **argv) {
  const struct CMUnitTest all[] = {
    KIT_TEST(test_submit), KIT_TEST(test_token), KIT_TEST(test_refused), KIT_TEST(test_start_while_waiting),
    KIT_TEST(test_start_under_load), KIT_TEST(test_close_while_following), KIT_TEST(test_two), KIT_TEST(test_slow_body), KIT_TEST(test_deleted_by_force),
    KIT_TEST(test_process_is_the_hosts), KIT_TEST(test_file_is_removed), KIT_TEST(test_plugin),
    KIT_TEST(test_result_with_nul), KIT_TEST(test_task_of_a_node), KIT_TEST(test_wait_for_a_job), KIT_TEST(test_wait_for_a_job_beside_a_plugin)};
  return kit_main(argc, argv, "serve", all, sizeof all / sizeof *all);
}
