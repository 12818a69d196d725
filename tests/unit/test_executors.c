/* Unit tests of the built-in executors: every rule of check(), and start() and the end against a host made of records. */
#include "unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attempt.h"
#include "err.h"
#include "json_out.h"
#include "lib.h"
#include "wr_limits.h"
#include "mem.h"
#include "registry.h"

static struct registry *executors;
#define OPS(name) (&registry_find(executors, name, 0)->ops)

struct wx_exec { int stop; const char *tools; char noted[64]; wx_task task; void *data; int64_t at; int n_done; wx_result r; char result[64], error[128]; char *env; wx_spawn sp; int killed; };

static int64_t now(wx_exec *x) { return (void)x, 1000; }
static void **data(wx_exec *x) { return &x->data; }
static const wx_task *task(wx_exec *x) { return &x->task; }
static void timer(wx_exec *x, int64_t at) { x->at = at; }
static void kill_it(wx_exec *x, int how) { x->killed = how + 1; }

static void done(wx_exec *x, const wx_result *r) {
  x->n_done++;
  x->r = *r;
  snprintf(x->result, sizeof x->result, "%.*s", (int)r->result_len, r->result ? r->result : "");
  snprintf(x->error, sizeof x->error, "%s", r->error ? r->error : "");
}

static int spawn(wx_exec *x, const wx_spawn *sp, char *err, size_t n) {
  struct buf b = BUF_INIT;
  (void)err;
  (void)n;
  for (const char *const *a = sp->argv; *a; a++) buf_printf(&b, "[%s]", *a);
  for (const char *const *e = sp->env; *e; e++) buf_printf(&b, "|%s", *e);
  x->env = b.data;
  x->sp = *sp;
  return 0;
}

static void params(wx_exec *x, void (*fn)(void *ctx, const char *name, const char *text), void *ctx) {
  struct params *p = x->task.params ? params_new(x->task.params) : NULL;
  params_each(p, fn, ctx);
  params_unref(p);
}

static int stop_reason(wx_exec *x) { return x->stop; }
static const char *tools(wx_exec *x) { return x->tools; }

static int note(wx_exec *x, int kind, int stream, const void *p, size_t n) {
  (void)stream;
  snprintf(x->noted, sizeof x->noted, "%d %.*s", kind, (int)n, (const char *)p);
  return 0;
}

static const wx_host host = {.abi = WX_ABI, .size = sizeof(wx_host), .now_us = now, .data = data, .task = task, .timer = timer,
                             .spawn = spawn, .kill = kill_it, .done = done, .params = params, .lib = &executor_lib, .note = note,
                             .stop_reason = stop_reason, .tools = tools};

static void test_table(void **st) {
  (void)st;
  static const char *const names[] = {"ECHO", "WAIT", "EXCEPTION", "SHELL"};
  const struct executor *x = NULL;
  for (size_t i = 0; i < 4; i++) {
    x = registry_next(executors, x);
    assert_string_equal(x->ops.name, names[i]);
    assert_ptr_equal(x, registry_find(executors, names[i], 1));
    assert_int_equal(x->ops.slot, i == 3 ? WX_SLOT_PROCESS : WX_SLOT_ASYNC);
    assert_int_equal(executor_slot(x), x->ops.slot);
  }
  assert_null(registry_next(executors, x));
  assert_null(registry_find(executors, "echo", 0));
  assert_null(registry_find(executors, "", 0));
}

struct rule { const char *type, *content, *config; int code; };
static const struct rule rules[] = {
  {"ECHO", NULL, NULL, 0}, {"ECHO", "x", "{}", 0}, {"ECHO", "x", "{\"a\":1}", WR_UNKNOWN_FIELD},
  {"EXCEPTION", NULL, NULL, 0}, {"EXCEPTION", "x", "{\"env\":{}}", WR_UNKNOWN_FIELD},
  {"WAIT", NULL, NULL, 0}, {"WAIT", "", NULL, 0}, {"WAIT", "0", NULL, 0}, {"WAIT", "2", NULL, 0}, {"WAIT", "0.5", NULL, 0},
  {"WAIT", "500ms", NULL, 0}, {"WAIT", "7d", NULL, 0}, {"WAIT", "604800", NULL, 0}, {"WAIT", "604800.000001", NULL, WR_OUT_OF_RANGE},
  {"WAIT", "-1", NULL, WR_OUT_OF_RANGE}, {"WAIT", "soon", NULL, WR_OUT_OF_RANGE}, {"WAIT", "1 s", NULL, WR_OUT_OF_RANGE},
  {"WAIT", "nan", NULL, WR_OUT_OF_RANGE}, {"WAIT", "1", "{\"x\":1}", WR_UNKNOWN_FIELD},
  {"SHELL", "true", "{\"umask\":\"0\"}", 0}, {"SHELL", "true", "{\"umask\":\"0777\"}", 0}, {"SHELL", "true", "{\"umask\":\"1000\"}", WR_OUT_OF_RANGE},
  {"SHELL", "true", "{\"umask\":\"\"}", WR_OUT_OF_RANGE}, {"SHELL", "true", "{\"umask\":\"08\"}", WR_OUT_OF_RANGE},
  {"SHELL", "true", "{\"umask\":\"00022\"}", WR_OUT_OF_RANGE}, {"SHELL", "true", "{\"umask\":22}", WR_WRONG_TYPE},
  {"SHELL", "true", "{\"stderr\":\"with\"}", 0}, {"SHELL", "true", "{\"stderr\":\"apart\"}", 0}, {"SHELL", "true", "{\"stderr\":\"\"}", WR_OUT_OF_RANGE},
  {"SHELL", "true", "{\"stderr\":true}", WR_WRONG_TYPE},
  {"SHELL", "true", "{\"onDelete\":{\"content\":\"x\",\"timeout\":\"1m\"}}", 0}, {"SHELL", "true", "{\"onDelete\":{\"argv\":[\"x\"]}}", 0},
  {"SHELL", "true", "{\"onDelete\":{}}", WR_BAD_COMMAND}, {"SHELL", "true", "{\"onDelete\":{\"content\":\"x\",\"argv\":[\"x\"]}}", WR_BAD_COMMAND},
  {"SHELL", "true", "{\"onDelete\":{\"content\":\"\"}}", WR_BAD_COMMAND}, {"SHELL", "true", "{\"onDelete\":{\"content\":1}}", WR_WRONG_TYPE},
  {"SHELL", "true", "{\"onDelete\":{\"argv\":[]}}", WR_BAD_COMMAND}, {"SHELL", "true", "{\"onDelete\":{\"argv\":[\"\"]}}", WR_BAD_COMMAND},
  {"SHELL", "true", "{\"onDelete\":{\"contents\":\"x\"}}", WR_UNKNOWN_FIELD}, {"SHELL", "true", "{\"onDelete\":\"x\"}", WR_WRONG_TYPE},
  {"SHELL", "true", "{\"heartbeatTimeout\":5}", 0}, {"WAIT", "1", "{\"heartbeatTimeout\":5}", WR_UNKNOWN_FIELD},
  {"ECHO", "x", "{\"onDelete\":{\"content\":\"x\"}}", WR_UNKNOWN_FIELD},
  {"SHELL", "true", NULL, 0}, {"SHELL", NULL, NULL, WR_BAD_COMMAND}, {"SHELL", "", "{}", WR_BAD_COMMAND},
  {"SHELL", NULL, "{\"argv\":[\"true\"]}", 0}, {"SHELL", "", "{\"argv\":[\"true\",\"\"]}", 0},
  {"SHELL", "true", "{\"argv\":[\"true\"]}", WR_BAD_COMMAND}, {"SHELL", NULL, "{\"argv\":[]}", WR_BAD_COMMAND},
  {"SHELL", NULL, "{\"argv\":[\"\"]}", WR_BAD_COMMAND}, {"SHELL", NULL, "{\"argv\":[1]}", WR_WRONG_TYPE},
  {"SHELL", NULL, "{\"argv\":\"true\"}", WR_WRONG_TYPE}, {"SHELL", NULL, "{\"argv\":[\"a\\u0000b\"]}", WR_BAD_COMMAND},
  {"SHELL", "true", "{\"env\":{\"A_1\":\"x\",\"_b\":\"\"}}", 0}, {"SHELL", "true", "{\"env\":{\"1A\":\"x\"}}", WR_BAD_COMMAND},
  {"SHELL", "true", "{\"env\":{\"A=B\":\"x\"}}", WR_BAD_COMMAND}, {"SHELL", "true", "{\"env\":{\"\":\"x\"}}", WR_BAD_COMMAND},
  {"SHELL", "true", "{\"env\":{\"LD_PRELOAD\":\"x\"}}", WR_BAD_COMMAND}, {"SHELL", "true", "{\"env\":{\"WEIR_FENCE\":\"x\"}}", WR_BAD_COMMAND},
  {"SHELL", "true", "{\"env\":{\"A\":1}}", WR_WRONG_TYPE}, {"SHELL", "true", "{\"env\":[]}", WR_WRONG_TYPE},
  {"SHELL", "true", "{\"cwd\":\"/tmp\"}", 0}, {"SHELL", "true", "{\"cwd\":\"tmp\"}", WR_BAD_COMMAND},
  {"SHELL", "true", "{\"cwd\":1}", WR_WRONG_TYPE}, {"SHELL", "true", "{\"stdin\":\"x\"}", 0}, {"SHELL", "true", "{\"stdin\":1}", WR_WRONG_TYPE},
  {"SHELL", "true", "{\"grace\":0}", 0}, {"SHELL", "true", "{\"grace\":1.5}", 0}, {"SHELL", "true", "{\"grace\":\"1h\"}", 0},
  {"SHELL", "true", "{\"grace\":3600.1}", WR_OUT_OF_RANGE}, {"SHELL", "true", "{\"grace\":-1}", WR_OUT_OF_RANGE},
  {"SHELL", "true", "{\"grace\":true}", WR_WRONG_TYPE}, {"SHELL", "true", "{\"user\":\"nobody\"}", 0},
  {"SHELL", "true", "{\"user\":\"\"}", WR_BAD_COMMAND}, {"SHELL", "true", "{\"user\":0}", WR_WRONG_TYPE},
  {"SHELL", "true", "{\"log\":0}", 0}, {"SHELL", "true", "{\"log\":1073741824}", 0}, {"SHELL", "true", "{\"log\":1073741825}", WR_OUT_OF_RANGE},
  {"SHELL", "true", "{\"log\":-1}", WR_OUT_OF_RANGE}, {"SHELL", "true", "{\"log\":\"1\"}", WR_WRONG_TYPE},
  {"SHELL", "true", "{\"rlimits\":{\"cpu\":1,\"as\":{\"soft\":1,\"hard\":2}}}", 0}, {"SHELL", "true", "{\"rlimits\":{\"cpus\":1}}", WR_UNKNOWN_FIELD},
  {"SHELL", "true", "{\"rlimits\":{\"cpu\":{\"soft\":2,\"hard\":1}}}", WR_OUT_OF_RANGE}, {"SHELL", "true", "{\"rlimits\":{\"cpu\":-1}}", WR_OUT_OF_RANGE},
  {"SHELL", "true", "{\"rlimits\":{\"cpu\":{\"soft\":1}}}", WR_OUT_OF_RANGE}, {"SHELL", "true", "{\"rlimits\":1}", WR_WRONG_TYPE},
  {"SHELL", "true", "{\"shell\":\"bash\"}", WR_UNKNOWN_FIELD}, {"SHELL", "true", "{\"CWD\":\"/\"}", WR_UNKNOWN_FIELD}};

static void test_rules(void **st) {
  (void)st;
  for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
    const struct rule *r = &rules[i];
    enum wr_rc code;
    char err[256] = "";
    int rc = executor_check(registry_find(executors, r->type, 0), r->content, r->config, &code, err, sizeof err);
    if ((rc == 0) != (r->code == 0) || (rc && (int)code != r->code))
      fail_msg("%s %s %s: %d, %d %s", r->type, r->content ? r->content : "-", r->config ? r->config : "-", rc, (int)code, err);
    if (rc) assert_int_equal(err[strlen(err) - 1] == '.' || err[strlen(err) - 1] == '?', 1);
  }
}

static int shell_check(const char *content, const char *config, enum wr_rc *code, char *err, size_t n) {
  return executor_check(registry_find(executors, "SHELL", 0), content, config, code, err, n);
}

static void test_long_script(void **st) {
  (void)st;
  char *text = wr_calloc(LIMIT_ASYNC_CONTENT_BYTES + 2, 1), err[256];
  enum wr_rc code;
  memset(text, ' ', LIMIT_ASYNC_CONTENT_BYTES);
  assert_int_equal(shell_check(text, NULL, &code, err, sizeof err), 0);
  text[LIMIT_ASYNC_CONTENT_BYTES] = ' ';
  assert_int_equal(shell_check(text, NULL, &code, err, sizeof err), -1);
  assert_int_equal(code, WR_BAD_COMMAND);
  free(text);
}

static void test_did_you_mean(void **st) {
  (void)st;
  char err[256];
  enum wr_rc code;
  assert_int_equal(shell_check("true", "{\"rlimit\":{}}", &code, err, sizeof err), -1);
  assert_string_equal(err, "taskConfig has no field \"rlimit\"; did you mean rlimits?");
}

static void start(struct wx_exec *x, const wx_ops *ops, const char *content, const char *config, const char *params) {
  char err[256] = "";
  *x = (struct wx_exec){.task = {.size = sizeof(wx_task), .content = content, .config = config, .params = params}};
  assert_int_equal(ops->start(&host, x, err, sizeof err), 0);
}

static void test_wait(void **st) {
  (void)st;
  struct wx_exec x;
  start(&x, OPS("WAIT"), NULL, NULL, NULL);
  assert_int_equal(x.at, 1000 + 10000000 + 1);
  start(&x, OPS("WAIT"), "0", NULL, NULL);
  assert_int_equal(x.n_done, 1);
  start(&x, OPS("WAIT"), "1ms", NULL, NULL);
  assert_int_equal(x.at, 2001);
  assert_int_equal(x.n_done, 0);
  OPS("WAIT")->timer(&host, &x);
  assert_int_equal(x.n_done, 1);
  assert_int_equal(x.r.end, WX_OK);
  assert_null(x.r.result);
}

/* What is left when it is stopped for a while, and from where it goes on. */
static void test_wait_left(void **st) {
  static const struct { int why; const char *noted, *error; } v[] = {
    {WX_STOP_PAUSE, "2 8.500000s", "Stopped."}, {WX_STOP_SHUTDOWN, "2 8.500000s", "Stopped."}, {WX_STOP_CANCEL, "", "Canceled."},
    {WX_STOP_DELETE, "", "Canceled."}, {WX_STOP_TIMEOUT, "", "Canceled."}, {WX_STOP_FENCED, "", "Canceled."}};
  (void)st;
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    struct wx_exec x;
    start(&x, OPS("WAIT"), "8.5", NULL, NULL);
    x.stop = v[i].why;
    OPS("WAIT")->cancel(&host, &x, WX_CANCEL_ASK);
    assert_string_equal(x.noted, v[i].noted);
    assert_string_equal(x.error, v[i].error);
    assert_int_equal(x.r.end, WX_FAIL);
  }
  char err[64];
  struct wx_exec x = {.task = {.size = sizeof(wx_task), .content = "8", .context = "2.5s", .context_len = 4}};
  assert_int_equal(OPS("WAIT")->start(&host, &x, err, sizeof err), 0);
  assert_int_equal(x.at, 1000 + 2500000 + 1);
  x = (struct wx_exec){.task = {.size = sizeof(wx_task), .content = "8", .context = "later", .context_len = 5}};
  assert_int_equal(OPS("WAIT")->start(&host, &x, err, sizeof err), 0);
  assert_int_equal(x.at, 1000 + 8000000 + 1);
}

static void test_echo(void **st) {
  (void)st;
  struct wx_exec x;
  start(&x, OPS("ECHO"), "hi", "{\"attempts\":2}", NULL);
  assert_string_equal(x.result, "hi");
  assert_int_equal(x.r.log_is_result, 1);
  start(&x, OPS("EXCEPTION"), "", NULL, NULL);
  assert_string_equal(x.error, "Internal Exception.");
  assert_int_equal(x.r.end, WX_FAIL);
}

static void test_shell_start(void **st) {
  (void)st;
  struct wx_exec x;
  start(&x, OPS("SHELL"), "echo $W_a", "{\"env\":{\"W_b\":\"own\",\"LANG\":\"C\"},\"timeout\":3,\"grace\":\"2s\",\"log\":7}",
        "{\"a\":\"$(reboot)\",\"b\":true,\"c\":1.25,\"d\":-3}");
  assert_string_equal(x.env, "[/bin/sh][-c][--][echo $W_a]|PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
                             "|W_a=$(reboot)|W_c=1.25|W_d=-3|W_b=own|LANG=C");
  assert_int_equal(x.sp.grace_us, 2000000);
  assert_int_equal(x.sp.log_cap, 7);
  free(x.env);
  start(&x, OPS("SHELL"), NULL, "{\"argv\":[\"a b\",\"$x\"],\"rlimits\":{\"nofile\":{\"soft\":5,\"hard\":6}}}", NULL);
  assert_non_null(strstr(x.env, "[a b][$x]|PATH="));
  assert_int_equal(x.sp.grace_us, -1);
  assert_int_equal(x.sp.n_rlimit, 1);
  assert_int_equal(x.sp.rlimit[0].hard, 6);
  assert_int_equal(x.sp.log_cap, -1);
  assert_int_equal(x.sp.umask, -1);
  assert_false(x.sp.apart);
  OPS("SHELL")->cancel(&host, &x, WX_CANCEL_FORCE);
  assert_int_equal(x.killed, WX_CANCEL_FORCE + 1);
  free(x.env);
}

/* The clean-up has the surroundings of the task, but no stdin. */
static void test_shell_clean_up(void **st) {
  static const char config[] = "{\"stdin\":\"in\",\"env\":{\"A\":\"b\"},\"umask\":\"077\",\"onDelete\":{\"content\":\"rm x\"}}";
  char err[256];
  (void)st;
  struct wx_exec x = {.task = {.size = sizeof(wx_task), .content = "true", .config = config, .cleanup = 1}};
  assert_int_equal(OPS("SHELL")->start(&host, &x, err, sizeof err), 0);
  assert_non_null(strstr(x.env, "[/bin/sh][-c][--][rm x]|PATH="));
  assert_non_null(strstr(x.env, "|A=b"));
  assert_int_equal(x.sp.umask, 077);
  assert_int_equal(x.sp.stdin_len, 0);
  free(x.env);
  x = (struct wx_exec){.task = {.size = sizeof(wx_task), .content = "true", .config = "{\"onDelete\":{\"argv\":[\"rm\",\"y\"]}}", .cleanup = 1}};
  assert_int_equal(OPS("SHELL")->start(&host, &x, err, sizeof err), 0);
  assert_non_null(strstr(x.env, "[rm][y]|PATH="));
  free(x.env);
  x = (struct wx_exec){.task = {.size = sizeof(wx_task), .content = "true", .cleanup = 1}};
  assert_int_equal(OPS("SHELL")->start(&host, &x, err, sizeof err), -1);
  assert_string_equal(err, "There is no onDelete in taskConfig.");
}

/* As the API shows them, not with the digits that a double needs at most; and a time may be such a number. */
static void test_shell_numbers(void **st) {
  (void)st;
  struct wx_exec x;
  start(&x, OPS("SHELL"), "true", "{\"grace\":0.1,\"log\":0,\"umask\":\"027\",\"stderr\":\"apart\"}",
        "{\"big\":1e+300,\"list\":[0.1,null],\"price\":19.99,\"rate\":0.1,\"tiny\":2e-5,\"whole\":9007199254740993}");
  assert_non_null(strstr(x.env, "|W_big=1e300|W_list=[0.1,null]|W_price=19.99|W_rate=0.1|W_tiny=2e-5|W_whole=9007199254740993"));
  assert_int_equal(x.sp.grace_us, 100000);
  assert_int_equal(x.sp.log_cap, 0);
  assert_int_equal(x.sp.umask, 027);
  assert_true(x.sp.apart);
  free(x.env);
}

/* The folder of `weir` is the last one of PATH, when it can be one. */
static void test_shell_tools(void **st) {
  static const struct { const char *tools, *end; } v[] = {{"/opt/weir", ":/sbin:/bin:/opt/weir|"}, {"", ":/sbin:/bin|"}, {"/a:b", ":/sbin:/bin|"}};
  char err[256];
  (void)st;
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    struct wx_exec x = {.tools = v[i].tools, .task = {.size = sizeof(wx_task), .content = "true"}};
    assert_int_equal(OPS("SHELL")->start(&host, &x, err, sizeof err), 0);
    assert_non_null(strstr(x.env, v[i].end));
    free(x.env);
  }
}

struct verdict { wx_exit e; int end; const char *error; };

static void test_shell_end(void **st) {
  (void)st;
  static const struct verdict v[] = {
    {{.exit_code = 0}, WX_OK, ""}, {{.exit_code = 125}, WX_FATAL, "Exit code 125."}, {{.exit_code = 75}, WX_NOT_NOW, "It asked to be tried again later."},
    {{.exit_code = 1, .said = WX_SAID_AGAIN, .after_us = 7}, WX_NOT_NOW, "It asked to be tried again later."},
    {{.exit_code = 125, .said = WX_SAID_AGAIN}, WX_FATAL, "Exit code 125."}, {{.said = WX_SAID_FAIL, .said_text = "m"}, WX_FAIL, "m"},
    {{.said = WX_SAID_FATAL}, WX_FATAL, "It reported a failure."}, {{.exit_code = 125, .said = WX_SAID_FAIL}, WX_FATAL, "It reported a failure."},
    {{.failed_step = 5, .said = WX_SAID_FAIL, .error = "Cannot."}, WX_FATAL, "Cannot."},
    {{.exit_code = 3, .output_error = 1}, WX_FAIL, "Exit code 3."}, {{.exit_code = -1, .signal = 9}, WX_FAIL, "Killed by signal 9 (SIGKILL)."},
    {{.exit_code = -1, .signal = 40}, WX_FAIL, "Killed by signal 40."}, {{.failed_step = 5, .error = "Cannot."}, WX_FATAL, "Cannot."},
    {{.output_error = 1}, WX_FAIL, "RESULT_TOO_LARGE: the result is larger than 1048576 bytes."},
    {{.output_error = 2}, WX_FAIL, "What stands at WEIR_OUTPUT is not a plain file of the task."}};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    struct wx_exec x = {0};
    OPS("SHELL")->child_done(&host, &x, &v[i].e);
    assert_int_equal(x.r.end, v[i].end);
    assert_string_equal(x.error, v[i].error);
  }
}

int main(void) {
  registry_add_builtins(executors = registry_new());
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_table), cmocka_unit_test(test_rules), cmocka_unit_test(test_long_script), cmocka_unit_test(test_did_you_mean),
    cmocka_unit_test(test_wait), cmocka_unit_test(test_wait_left), cmocka_unit_test(test_shell_tools),
    cmocka_unit_test(test_echo), cmocka_unit_test(test_shell_start), cmocka_unit_test(test_shell_clean_up), cmocka_unit_test(test_shell_numbers), cmocka_unit_test(test_shell_end)};
  int rc = cmocka_run_group_tests_name("executors", tests, NULL, NULL);
  registry_free(executors);
  return rc;
}
