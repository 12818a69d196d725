/* The contract of a task behind a URL against a client of our own, which takes the answer away in the very moment in which it is
 * given back: whoever still reads it then, or goes on with an attempt that has ended, is seen. */
#include "unit.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "http_task.h"

/* ---- the client ---- */

struct http_call { struct http_answer answer; bool done; char method[8], url[256]; };
static struct http_call *open_call;
static int n_asked;
static char asked[256], method[8];

struct http_call *http_begin(struct http *h, const struct http_ask *q, void (*wake)(void *ctx), void *ctx) {
  (void)h, (void)wake, (void)ctx;
  assert_null(open_call);
  n_asked++;
  snprintf(asked, sizeof asked, "%s", q->url);
  snprintf(method, sizeof method, "%s", q->method);
  return open_call = wr_new(struct http_call);
}

struct http_answer *http_done(struct http_call *c) { return c->done ? &c->answer : NULL; }

void http_end(struct http_call *c) {
  if (!c) return;
  assert_ptr_equal(c, open_call);
  open_call = NULL;
  answer_done(&c->answer);
  free(c);
}

/* ---- the host ---- */

struct wx_exec {
  void *data;
  wx_task task;
  int64_t timer_us;
  int ends, end;
  char error[512], context[512];
};

static int64_t now(wx_exec *x) { return (void)x, 1000; }
static void **data(wx_exec *x) { return &x->data; }
static const wx_task *task(wx_exec *x) { return &x->task; }

static void timer(wx_exec *x, int64_t at_us) {
  assert_true(at_us == 0 || x->ends == 0);
  x->timer_us = at_us;
}

static void done(wx_exec *x, const wx_result *r) {
  x->ends++;
  x->end = r->end;
  snprintf(x->error, sizeof x->error, "%s", r->error ? r->error : "");
}

static int note(wx_exec *x, int kind, int stream, const void *p, size_t n) {
  (void)stream;
  assert_int_equal(kind, WX_NOTE_CONTEXT);
  assert_int_equal(x->ends, 0);
  assert_true(n < sizeof x->context);
  memcpy(x->context, p, n);
  x->context[n] = '\0';
  return 0;
}

static int stopped_for;
static int stop_reason(wx_exec *x) { return (void)x, stopped_for; }
static const wx_host host = {.abi = WX_ABI, .size = sizeof host, .now_us = now, .data = data, .task = task, .timer = timer,
                             .done = done, .note = note, .stop_reason = stop_reason};

/* ---- a task ---- */

static void begin(wx_exec *x, const char *url) {
  struct http_spec s = {.method = "GET"};
  *x = (wx_exec){.task = x->task};
  x->task.run_key = "k";
  x->task.fence = "k:1";
  n_asked = 0;
  stopped_for = WX_STOP_NONE;
  arena_init(&s.a, 64);
  s.url = arena_strdup(&s.a, url);
  assert_int_equal(http_task_start(&host, x, NULL, &s), 0);
}

static void answer(wx_exec *x, int status, const char *location, const char *body) {
  assert_non_null(open_call);
  open_call->answer.status = status;
  open_call->answer.location = location ? wr_strdup(location) : NULL;
  open_call->answer.body = body ? wr_strdup(body) : NULL;
  open_call->answer.len = body ? strlen(body) : 0;
  open_call->done = true;
  http_task_woken(&host, x);
}

static void over(wx_exec *x, int how, const char *text) {
  assert_int_equal(x->ends, 1);
  assert_int_equal(x->end, how);
  if (!strstr(x->error, text)) fail_msg("%s", x->error);
  assert_int_equal(x->timer_us, 0);
  http_task_release(&host, x);
  assert_null(open_call);
}

/* ---- tests ---- */

static void test_bad_location(void **st) {
  (void)st;
  static const char *const bad[] = {"http://other.test/x", "https://site.test/x", "ftp://site.test/", "http://site.test:1/", "a b", "\\x", ""};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    wx_exec x = {0};
    begin(&x, "http://site.test/work");
    answer(&x, 202, bad[i], "x");
    over(&x, WX_FATAL, "URL_BLOCKED: The Location of the answer 202");
    assert_int_equal(n_asked, 1);
    assert_string_equal(x.context, "");
  }
}

/* The same of an answer to a poll. */
static void test_bad_location_later(void **st) {
  (void)st;
  wx_exec x = {0};
  begin(&x, "http://site.test/work");
  answer(&x, 202, "/job/1", NULL);
  assert_null(open_call);
  assert_non_null(strstr(x.context, "http://site.test/job/1"));
  http_task_noted(&host, &x, 1, WX_KEPT);
  assert_true(x.timer_us > 0);
  http_task_timer(&host, &x);
  assert_string_equal(asked, "http://site.test/job/1");
  answer(&x, 202, "http://other.test/", NULL);
  over(&x, WX_FATAL, "URL_BLOCKED");
}

static void test_ends(void **st) {
  (void)st;
  wx_exec x = {0};
  begin(&x, "http://site.test/work");
  answer(&x, 200, NULL, "fine");
  over(&x, WX_OK, "");
  begin(&x, "http://site.test/work");
  answer(&x, 404, NULL, "none here");
  over(&x, WX_FATAL, "The URL answered 404. It says \"none here\"");
  begin(&x, "http://site.test/work");
  answer(&x, 500, NULL, NULL);
  over(&x, WX_FAIL, "The URL answered 500");
  begin(&x, "http://site.test/work");
  answer(&x, 202, "/job/1", NULL);
  http_task_noted(&host, &x, 1, WX_KEPT_FENCED);
  over(&x, WX_LOST, "Another attempt");
}

/* A Location that waits to be stored, or to be asked, is deleted at a cancel; whatever that answers is the end. */
static void test_stop(void **st) {
  (void)st;
  wx_exec x = {0};
  begin(&x, "http://site.test/work");
  answer(&x, 202, "/job/1", NULL);
  stopped_for = WX_STOP_CANCEL;
  http_task_cancel(&host, &x, WX_CANCEL_ASK);
  assert_string_equal(method, "DELETE");
  http_task_noted(&host, &x, 1, WX_KEPT); /* it comes too late to change anything */
  answer(&x, 202, "http://other.test/", NULL);
  over(&x, WX_FAIL, "Canceled.");
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_bad_location), cmocka_unit_test(test_bad_location_later),
                                     cmocka_unit_test(test_ends), cmocka_unit_test(test_stop)};
  return cmocka_run_group_tests_name("http_task", tests, NULL, NULL);
}
