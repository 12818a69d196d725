/* Analyses on a worker: built-in ones, programs and URLs as analyzers, over results that a store of this file has; each way in which
 * a call may end; what a stop, a store that is away, and an analyzer that says nothing, too much or the wrong thing, do. */
#include "harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "added.h"
#include "added_ops.h"
#include "analysis.h"
#include "def.h"
#include "executor_post.h"
#include "http_client.h"
#include "program_file.h"

/* ---- a store and a registry ---- */

static struct registry *analyzers;
static struct http *http;
static struct program_dirs dirs;
static const char *dir_list[1];
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t let_go = PTHREAD_COND_INITIALIZER;
static int away;                   /* so many more reads are answered AGAIN */
static int64_t held;               /* the read of this task waits; 0 = none */
static int64_t order[16]; static size_t n_order;   /* tasks, as they were read */
static struct { const char *result; size_t n; const char *log; int exit_code; } kept;

static enum log_rc evidence(void *ctx, int64_t ti, uint32_t epoch, struct evidence *out) {
  (void)ctx, (void)epoch;
  pthread_mutex_lock(&mu);
  if (n_order < sizeof order / sizeof *order) order[n_order++] = ti;
  while (held == ti) pthread_cond_wait(&let_go, &mu);
  enum log_rc rc = away > 0 && away-- ? LOG_AGAIN : LOG_STORED;
  pthread_mutex_unlock(&mu);
  if (rc) return rc;
  out->exit_code = kept.exit_code;
  if (kept.result) out->result = wr_memdup0(kept.result, out->result_len = kept.n);
  if (kept.log) out->log_tail = wr_memdup0(kept.log, out->log_len = strlen(kept.log));
  return LOG_STORED;
}

static enum wr_rc find(void *ctx, const char *name, const struct executor **out, struct wr_err *err) {
  (void)ctx, (void)err;
  *out = registry_find(analyzers, name, 0);
  return WR_OK;
}

static enum wr_rc any_type(void *ctx, const char *type, const char *content, const json_t *config, const char *path, uint8_t *slot,
                           struct wr_err *err) {
  (void)ctx, (void)type, (void)content, (void)config, (void)path, (void)err;
  *slot = SLOT_ASYNC;
  return WR_OK;
}

static struct def_env env_of(void *ctx) { return (void)ctx, (struct def_env){.check_type = any_type}; }
static const struct worker_analysis calls = {evidence, find, env_of};

static void put(const char *body) {
  struct added *a;
  struct wr_err err;
  assert_int_equal(executor_read(body, ADDED_ANALYZER, &a, &err), WR_OK);
  a->dirs = &dirs;
  a->http = http;
  assert_int_equal(registry_add_added(analyzers, added_ops(a->mode), a, 1, true, &err), WR_OK);
}

/* A program of that name in the folder, and an analyzer of that name. */
static void program(const char *name, const char *script) {
  char path[128], body[256];
  snprintf(path, sizeof path, "%s/bin/%s", H.dir, name);
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
  assert_true(fd >= 0 && dprintf(fd, "#!/bin/sh\n%s\n", script) > 0);
  close(fd);
  snprintf(body, sizeof body, "{\"analyzerType\":\"%s\",\"mode\":\"program\",\"location\":[\"%s\"],\"taskTypes\":[\"ECHO\"]}", name, name);
  put(body);
}

/* ---- one analysis ---- */

/* of: what taskConfig.analyzer would say, with ' for ". */
static struct attempt *make(const char *of, const char *timeout, const char *user) {
  char config[512];
  struct wr_err err;
  struct attempt *a = h_attempt("ECHO", "x", NULL);
  snprintf(config, sizeof config, "%s", of);
  for (char *p = config; *p; p++)
    if (*p == '\'') *p = '"';
  json_t *v = json_loads(config, JSON_DECODE_ANY, NULL);
  assert_int_equal(analyzer_read(v, NULL, &a->def->analyzer, &err), WR_OK);
  a->def->analyzer_timeout_us = timeout ? 200000 : LIMIT_ANALYSIS_US;
  json_decref(v);
  a->epoch = 7;
  a->analysis = analysis_new(a->def->analyzer, 6, false);
  a->analysis->user = wr_strdup(user);
  return a;
}

static struct attempt *begin(const char *of, const char *timeout) {
  struct attempt *a = make(of, timeout, NULL);
  worker_start(H.w, a);
  return a;
}

static struct attempt *look(const char *of) { return h_await(begin(of, NULL)->ti); }

static void ends(const char *of, enum attempt_end end, const char *words) {
  struct attempt *a = look(of);
  if (a->end != end || !a->error || !strstr(a->error, words) || strncmp(a->error, "Analyzer ", 9) != 0)
    fail_msg("%s: %d %s; not %d %s", of, (int)a->end, a->error ? a->error : "-", (int)end, words);
  assert_int_equal(a->analysis->verdict.kind, VERDICT_NONE);
  assert_null(a->result);
  attempt_free(a);
}

static void says(const char *of, enum verdict_kind kind, uint32_t n_task) {
  struct attempt *a = look(of);
  if (a->end != ATTEMPT_OK || a->analysis->verdict.kind != kind || a->analysis->verdict.n_task != n_task)
    fail_msg("%s: %d %s, %s, %u tasks", of, (int)a->end, a->error ? a->error : "-", verdict_name(a->analysis->verdict.kind),
             a->analysis->verdict.n_task);
  assert_int_equal(a->log, LOG_NONE);
  attempt_free(a);
}

static void keep(const char *result, const char *log, int exit_code) {
  kept.result = result;
  kept.n = result ? strlen(result) : 0;
  kept.log = log;
  kept.exit_code = exit_code;
}

/* ---- tests ---- */

static void built_in_ones(void **state) {
  (void)state;
  keep("{\"ok\":true,\"tasks\":[{\"taskType\":\"ECHO\"},{\"taskType\":\"ECHO\"}]}", "all is well\n", 3);
  says("{'type':'exit-code','ok':[0,3]}", VERDICT_DONE, 0);
  says("{'type':'exit-code','ok':[0]}", VERDICT_FAILED, 0);
  says("{'type':'json-pointer','pointer':'/ok','equals':true}", VERDICT_DONE, 0);
  says("{'type':'regex','pattern':'is well$','on':'log'}", VERDICT_DONE, 0);
  says("{'type':'regex','pattern':'is ill','on':'log'}", VERDICT_FAILED, 0);
  says("{'type':'subtasks','pointer':'/tasks'}", VERDICT_DONE, 2);
  ends("{'type':'subtasks','pointer':'/tasks','taskTypes':['WAIT']}", ATTEMPT_FATAL, "Analyzer subtasks: /tasks/0/taskType");
}

/* Others go on while a pattern is given up. */
static void a_pattern_holds_up_nobody(void **state) {
  char *text = wr_malloc(100001);
  (void)state;
  memset(text, 'a', 100000);
  text[100000] = '\0';
  keep(text, NULL, 0);
  struct attempt *slow = begin("{'type':'regex','pattern':'(a+)+!'}", NULL);
  h_expect("exit 0", NULL, ATTEMPT_OK, NULL);
  struct attempt *a = h_await(slow->ti);
  assert_int_equal(a->end, ATTEMPT_OK);      /* the text has no !, which the library sees at once, */
  attempt_free(a);
  ends("{'type':'regex','pattern':'(a+)+$(?!\\\\n|$)'}", ATTEMPT_FATAL, "given up");
  free(text);
}

static void hold(int64_t ti) {
  pthread_mutex_lock(&mu);
  held = ti;
  if (ti) n_order = 0;
  pthread_cond_signal(&let_go);
  pthread_mutex_unlock(&mu);
}

/* While a pattern of a user is looked for, others go on; and the next pattern is that of the user who has had fewer. */
static void users_take_turns(void **state) {
  static const char pattern[] = "{'type':'regex','pattern':'r'}";
  static const char *const user[] = {"many", "many", "many", "one"};
  static const int expect[] = {0, 3, 1, 2};
  int64_t ti[4];
  (void)state;
  keep("r", NULL, 0);
  for (int i = 0; i < 4; i++) {
    struct attempt *a = make(pattern, NULL, user[i]);
    ti[i] = a->ti;
    if (i == 0) hold(a->ti);
    worker_start(H.w, a);
  }
  says("{'type':'exit-code','ok':[0]}", VERDICT_DONE, 0);   /* it came last: the others have been posted */
  hold(0);
  for (int i = 0; i < 4; i++) attempt_free(h_await(ti[i]));
  pthread_mutex_lock(&mu);
  size_t k = 0;
  for (size_t i = 0; i < n_order; i++)
    if (k < 4 && order[i] == ti[expect[k]]) k++;
  assert_int_equal(n_order, 5);   /* the quick one among them */
  assert_int_equal(k, 4);
  pthread_mutex_unlock(&mu);
}

static void a_store_that_is_away_is_waited_for(void **state) {
  (void)state;
  keep("{}", NULL, 0);
  pthread_mutex_lock(&mu);
  away = 1;
  pthread_mutex_unlock(&mu);
  says("{'type':'json-pointer','pointer':''}", VERDICT_DONE, 0);
}

static void programs_answer(void **state) {
  (void)state;
  keep("the result", "the log", 4);
  program("by-file", "printf '{\"verdict\":\"done\",\"tasks\":[{\"taskType\":\"ECHO\",\"taskKey\":\"k\"}]}' >\"$WEIR_OUTPUT\"");
  says("'by-file'", VERDICT_DONE, 1);
  program("by-line", "echo '{\"result\":{\"verdict\":\"retry\",\"after\":\"5s\"}}' >&3");
  says("'by-line'", VERDICT_RETRY, 0);
  /* what it gets: the task as its attempt had it */
  program("gets", "cat >\"$HOME_DIR/got\" 2>/dev/null; cat >/dev/null; echo noise; printf '{\"verdict\":\"failed\"}' >\"$WEIR_OUTPUT\"");
  says("'gets'", VERDICT_FAILED, 0);
}

static void the_request(void **state) {
  (void)state;
  keep("the \"result\"", "the log", 4);
  program("echoes", "r=$(cat | sed 's/[\\\\\"]/\\\\&/g'); printf '{\"verdict\":\"done\",\"result\":\"%s\"}' \"$r\" >\"$WEIR_OUTPUT\"");
  struct attempt *a = look("'echoes'");
  if (a->end != ATTEMPT_OK) fail_msg("%s", a->error);
  json_t *got = json_loads(a->analysis->verdict.result, 0, NULL), *task = json_object_get(got, "task");
  assert_non_null(got);
  assert_int_equal(json_integer_value(json_object_get(got, "exitCode")), 4);
  assert_string_equal(json_string_value(json_object_get(got, "result")), "the \"result\"");
  assert_string_equal(json_string_value(json_object_get(got, "logTail")), "the log");
  assert_int_equal(json_integer_value(json_object_get(task, "tiId")), a->ti);
  assert_int_equal(json_integer_value(json_object_get(task, "attempt")), 6);   /* that is looked at, not this one */
  const char *fence = json_string_value(json_object_get(task, "fence"));
  assert_true(fence && strlen(fence) > 2 && strcmp(fence + strlen(fence) - 2, ":6") == 0);
  json_decref(got);
  attempt_free(a);
}

static void programs_fail(void **state) {
  (void)state;
  keep("r", NULL, 0);
  program("silent", "exit 0");
  ends("'silent'", ATTEMPT_FAIL, "Analyzer silent: its program answered nothing");
  program("prints", "echo one; echo '{\"verdict\":\"done\"}'");
  ends("'prints'", ATTEMPT_FAIL, "reports a result. It said last \"{\\\"verdict\\\":\\\"done\\\"}\"");
  program("broken", "echo one; echo 'no such thing' >&2; exit 9");
  ends("'broken'", ATTEMPT_FAIL, "ended with 9. It said last \"no such thing\"");
  program("fatal", "exit 125");
  ends("'fatal'", ATTEMPT_FATAL, "ended with 125");
  program("later", "exit 75");
  ends("'later'", ATTEMPT_FAIL, "ended with 75");
  program("says", "echo '{\"fail\":{\"message\":\"not mine\",\"retry\":false}}' >&3");
  ends("'says'", ATTEMPT_FATAL, "not mine");
  program("killed", "kill -9 $$");
  ends("'killed'", ATTEMPT_FAIL, "signal 9");
  program("wrong", "printf 'done' >\"$WEIR_OUTPUT\"");
  ends("'wrong'", ATTEMPT_FAIL, "unexpected token");
  program("steals", "printf '{\"verdict\":\"done\",\"tasks\":[{\"taskType\":\"ECHO\"},{\"taskType\":\"SHELL\"}]}' >\"$WEIR_OUTPUT\"");
  ends("'steals'", ATTEMPT_FAIL, "/tasks/1/taskType");
  ends("'nobody'", ATTEMPT_FAIL, "there is no analyzer of this name");
  put("{\"analyzerType\":\"gone\",\"mode\":\"program\",\"location\":[\"gone\"]}");
  struct attempt *a = look("'gone'"); /* another member may have the file */
  assert_int_equal(a->end, ATTEMPT_HANDBACK);
  assert_false(a->asked);
  attempt_free(a);
  assert_true(atomic_load(&registry_find(analyzers, "gone", 0)->added->doubted));
}

/* Context and progress are the task's: an analyzer has none. */
static void an_analyzer_reports_nothing_of_the_task(void **state) {
  (void)state;
  keep("r", NULL, 0);
  program("reports", "echo '{\"context\":\"mine\"}' >&3; echo '{\"progress\":{\"total\":2,\"done\":1}}' >&3; "
                     "printf '{\"verdict\":\"done\"}' >\"$WEIR_OUTPUT\"");
  struct attempt *a = look("'reports'");
  assert_int_equal(a->end, ATTEMPT_OK);
  struct h_kept k = h_kept(a->ti);
  assert_true(k.contexts == 0 && k.progresses == 0);
  attempt_free(a);
}

static void large_answers(void **state) {
  (void)state;
  keep("r", NULL, 0);
  program("large", "{ printf '{\"verdict\":\"done\",\"message\":\"'; head -c 9000000 /dev/zero | tr '\\0' x; printf '\"}'; } >\"$WEIR_OUTPUT\"");
  says("'large'", VERDICT_DONE, 0);
  program("line", "{ printf '{\"result\":{\"verdict\":\"done\",\"message\":\"'; head -c 3000000 /dev/zero | tr '\\0' x; printf '\"}}\\n'; } >&3");
  says("'line'", VERDICT_DONE, 0);
  program("larger", "head -c 16777217 /dev/zero >\"$WEIR_OUTPUT\"");
  ends("'larger'", ATTEMPT_FAIL, "larger than 16 MiB");
  /* what a task may answer is as it was */
  struct attempt *a = h_sh("head -c 1048577 /dev/zero >\"$WEIR_OUTPUT\"");
  assert_true(a->end == ATTEMPT_FATAL || a->end == ATTEMPT_FAIL);
  attempt_free(a);
}

static void a_call_has_its_time(void **state) {
  (void)state;
  keep("r", NULL, 0);
  program("sleeps", "exec sleep 1000");
  struct attempt *a = h_await(begin("'sleeps'", "short")->ti);
  assert_int_equal(a->end, ATTEMPT_FAIL);
  assert_non_null(strstr(a->error, "Analyzer sleeps: it did not answer within 0.2 s (analyzerTimeout)"));
  assert_false(a->asked);            /* the call has failed, and counts: nobody has asked it to stop */
  attempt_free(a);
}

static void a_stop_gives_the_call_up(void **state) {
  char line[64], body[160];
  (void)state;
  keep("r", NULL, 0);
  int fd = h_fifo("stopped");
  snprintf(body, sizeof body, "echo up >%s/stopped; exec sleep 1000", H.dir);
  program("waits", body);
  struct attempt *a = begin("'waits'", NULL);
  h_line(fd, line, sizeof line);
  worker_stop(H.w, a->ti, 7, STOP_CANCEL);
  a = h_await(a->ti);
  assert_int_equal(a->end, ATTEMPT_HANDBACK);
  attempt_free(a);
  a = begin("'waits'", NULL);
  h_line(fd, line, sizeof line);
  worker_stop(H.w, a->ti, 7, STOP_FENCED);
  a = h_await(a->ti);
  assert_true(a->end == ATTEMPT_LOST || a->end == ATTEMPT_HANDBACK);
  attempt_free(a);
  close(fd);
}

/* ---- a site ---- */

static int site;
static char asked[65536];
static const char *answer;

/* One request at a time, each on its own connection. */
static void *serve(void *arg) {
  (void)arg;
  for (int fd; (fd = accept(site, NULL, NULL)) >= 0; close(fd)) {
    size_t n = 0, want = sizeof asked - 1;
    for (ssize_t got; n < want && (got = read(fd, asked + n, want - n)) > 0;) {
      n += (size_t)got;
      asked[n] = '\0';
      const char *body = strstr(asked, "\r\n\r\n"), *len = strcasestr(asked, "Content-Length:");
      if (body && len) want = (size_t)(body + 4 - asked) + (size_t)strtoul(len + 15, NULL, 10);
    }
    if (answer && dprintf(fd, "HTTP/1.1 %s", answer) < 0) break;
    if (!answer) pause(); /* until the program ends: it never answers */
  }
  return NULL;
}

static void on_site(const char *text, const char *body, char out[512]) {
  snprintf(out, 512, "%s\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s", text, strlen(body), body);
  answer = out;
}

static void urls_answer(void **state) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  pthread_t thread;
  char body[256], text[512];
  static const struct { const char *status; enum attempt_end end; const char *words; } bad[] = {
    {"400 Bad Request", ATTEMPT_FATAL, "answered 400. It says \"no\""}, {"404 Not Found", ATTEMPT_FATAL, "answered 404"},
    {"408 Timeout", ATTEMPT_FAIL, "408"}, {"425 Early", ATTEMPT_FAIL, "425"}, {"429 Many", ATTEMPT_FAIL, "429"}, {"500 Oops", ATTEMPT_FAIL, "500"},
    {"503 Later\r\nRetry-After: 1", ATTEMPT_FAIL, "503"}, {"202 Accepted\r\nLocation: /x", ATTEMPT_FAIL, "202"}, {"201 Made", ATTEMPT_FAIL, "201"},
    {"302 Found\r\nLocation: http://127.0.0.1:1/", ATTEMPT_FAIL, "302"}, {"200 OK", ATTEMPT_FAIL, "unexpected token"}};
  (void)state;
  site = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(site >= 0 && bind(site, (struct sockaddr *)&at, sizeof at) == 0 && listen(site, 8) == 0);
  assert_int_equal(getsockname(site, (struct sockaddr *)&at, &len), 0);
  assert_int_equal(pthread_create(&thread, NULL, serve, NULL), 0);
  snprintf(body, sizeof body, "{\"analyzerType\":\"site\",\"mode\":\"url\",\"location\":[\"http://127.0.0.1:%d/a\"],\"config\":"
           "{\"headers\":{\"X-Own\":\"1\"}}}", ntohs(at.sin_port));
  put(body);
  keep("r", NULL, 0);
  on_site("200 OK", "{\"verdict\":\"done\",\"tasks\":[{\"taskType\":\"ECHO\"}]}", text);
  struct attempt *a = look("'site'");
  if (a->end != ATTEMPT_OK) fail_msg("%s", a->error);
  assert_int_equal(a->analysis->verdict.n_task, 1);
  char key[300];
  snprintf(key, sizeof key, "Idempotency-Key: %s:6:analysis\r\n", a->key ? a->key : "");
  if (!strstr(asked, key) || !strstr(asked, "X-Own: 1\r\n") || !strstr(asked, "Content-Type: application/json\r\n") ||
      strncmp(asked, "POST /a HTTP/1.1\r\n", 18) != 0)
    fail_msg("%s", asked);
  attempt_free(a);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    on_site(bad[i].status, "no", text);
    ends("'site'", bad[i].end, bad[i].words);
  }
  put("{\"analyzerType\":\"inside\",\"mode\":\"url\",\"location\":[\"http://10.0.0.1/\"]}");
  ends("'inside'", ATTEMPT_FATAL, "URL_BLOCKED");
  put("{\"analyzerType\":\"closed\",\"mode\":\"url\",\"location\":[\"http://127.0.0.1:1/\"]}");
  ends("'closed'", ATTEMPT_FAIL, "no answer");
  answer = NULL;
  a = h_await(begin("'site'", "short")->ti);
  assert_int_equal(a->end, ATTEMPT_FAIL);
  assert_non_null(strstr(a->error, "analyzerTimeout"));
  attempt_free(a);
}

/* ---- */

static void a_worker_of_tasks_alone_hands_it_back(void **state) {
  struct worker *other = h_second(1);
  struct attempt *a = h_attempt("ECHO", "x", NULL);
  struct wr_err err;
  (void)state;
  json_t *name = json_string("silent");
  assert_int_equal(analyzer_read(name, NULL, &a->def->analyzer, &err), WR_OK);
  json_decref(name);
  a->analysis = analysis_new(a->def->analyzer, 1, false);
  worker_start(other, a);
  a = h_await(a->ti);
  assert_int_equal(a->end, ATTEMPT_HANDBACK);
  attempt_free(a);
  worker_close(other);
}

int main(void) {
  char bin[96];
  struct wr_err err;
  analyzers = registry_new();
  http = http_new();
  if (http_allow(http, "127.0.0.0/8:*", &err)) return 1;
  H.analysis = &calls;
  h_open(NULL);
  snprintf(bin, sizeof bin, "%s/bin", H.dir);
  if (mkdir(bin, 0755)) return 1;
  dir_list[0] = bin;
  dirs = (struct program_dirs){dir_list, 1};
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(built_in_ones), cmocka_unit_test(a_pattern_holds_up_nobody), cmocka_unit_test(users_take_turns), cmocka_unit_test(a_store_that_is_away_is_waited_for),
    cmocka_unit_test(programs_answer), cmocka_unit_test(the_request), cmocka_unit_test(programs_fail),
    cmocka_unit_test(an_analyzer_reports_nothing_of_the_task), cmocka_unit_test(large_answers), cmocka_unit_test(a_call_has_its_time),
    cmocka_unit_test(a_stop_gives_the_call_up), cmocka_unit_test(a_worker_of_tasks_alone_hands_it_back), cmocka_unit_test(urls_answer)};
  int rc = cmocka_run_group_tests(tests, NULL, NULL);
  h_close();
  registry_free(analyzers);
  http_free(http);
  return rc;
}
