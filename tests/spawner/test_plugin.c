/* Executors out of the tree: SHELL itself, compiled alone with nothing but the header of the ABI, loaded as a plugin and run by a
 * real worker that has no other executor; and plugins that are refused. */
#include <dlfcn.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"
#include "plugin.h"

extern char **environ;
static char dir[] = "/tmp/weir-plugin-XXXXXX";

/* `cc` as an author of executors calls it: the header's directory is all of Weir that it gets. */
static void compile(const char *source, const char *name, char out[128]) {
  static char std[] = "-std=c99", warn[] = "-Wall", pedantic[] = "-Wpedantic", werror[] = "-Werror";
  static char shared[] = "-shared", pic[] = "-fPIC";
  static char inc[] = "-I" WEIR_SOURCE "/executors/abi", o[] = "-o", cc[] = "cc";
  int status;
  pid_t pid;
  snprintf(out, 128, "%s/%s", dir, name);
  char from[512];
  snprintf(from, sizeof from, "%s", source);
  char *argv[] = {cc, std, warn, pedantic, werror, shared, pic, inc, o, out, from, NULL};
  if (posix_spawnp(&pid, cc, NULL, NULL, argv, environ) != 0 || waitpid(pid, &status, 0) != pid || status != 0) {
    fprintf(stderr, "cc does not compile %s\n", source);
    abort();
  }
}

/* A plugin of a few lines. */
static void make(const char *text, const char *name, char out[128]) {
  char source[160];
  snprintf(source, sizeof source, "%s/%s.c", dir, name);
  FILE *f = fopen(source, "w");
  if (!f || fputs(text, f) < 0 || fclose(f) != 0) abort();
  compile(source, name, out);
}

/* ---- SHELL ---- */

static void load_shell(void) {
  char path[128];
  struct wr_err err;
  compile(WEIR_SOURCE "/executors/shell.c", "shell.so", path);
  H.executors = registry_new();
  if (plugin_load(H.executors, path, &err)) {
    fprintf(stderr, "%s\n", err.msg);
    abort();
  }
}

static void test_it_is_the_plugin(void **st) {
  Dl_info where;
  void *code;
  (void)st;
  const struct executor *x = registry_next(H.executors, NULL);
  assert_string_equal(x->ops.name, "SHELL");
  assert_int_equal(x->version, 1);
  assert_null(registry_next(H.executors, x));
  memcpy(&code, &x->ops.start, sizeof code);
  assert_int_not_equal(dladdr(code, &where), 0);
  assert_non_null(strstr(where.dli_fname, "shell.so"));
}

static void test_it_runs(void **st) {
  (void)st;
  struct attempt *a = h_attempt("SHELL", "echo said $A $W_b; echo apart >&2; printf done > \"$WEIR_OUTPUT\"",
                                "{\"env\":{\"A\":\"own\"},\"stderr\":\"apart\",\"rlimits\":{\"nofile\":64},\"umask\":\"077\"}");
  int64_t ti = a->ti;
  a->params = params_new("{\"b\":1.5}");
  worker_start(H.w, a);
  a = h_await(ti);
  assert_null(a->error);
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_int_equal(a->result_len, 4);
  assert_string_equal(a->result, "done");
  assert_string_equal(h_log_of(ti, WX_STDOUT), "said own 1.5\n");
  assert_string_equal(h_log_of(ti, WX_STDERR), "apart\n");
  attempt_free(a);
}

static void test_how_it_ends(void **st) {
  (void)st;
  h_expect("exit 3", NULL, ATTEMPT_FAIL, "Exit code 3.");
  h_expect("exit 125", NULL, ATTEMPT_FATAL, "Exit code 125.");
  h_expect("kill -9 $$", NULL, ATTEMPT_FAIL, "Killed by signal 9 (SIGKILL).");
  h_expect_argv("{\"argv\":[\"cat\"],\"stdin\":\"x\"}", ATTEMPT_OK, NULL);
  h_expect("true", "{\"cwd\":\"tmp\"}", ATTEMPT_FATAL, "cwd must be an absolute path.");
}

static void test_cancel(void **st) {
  char line[8];
  (void)st;
  int fd = h_fifo("begun");
  struct buf b = BUF_INIT;
  buf_printf(&b, "echo up > %s/begun; exec sleep 1000", H.dir);
  struct attempt *a = h_attempt("SHELL", b.data, NULL);
  int64_t ti = a->ti;
  worker_start(H.w, a);
  h_line(fd, line, sizeof line);
  worker_cancel(H.w, ti, 1);
  a = h_await(ti);
  assert_string_equal(a->error, "Killed by signal 15 (SIGTERM).");
  attempt_free(a);
  buf_done(&b);
  close(fd);
}

/* As at save time: by the API's threads, with the sentences that the built-in one has. */
static void test_check(void **st) {
  const struct executor *x = registry_find(H.executors, "SHELL", 0);
  char err[256];
  enum wr_rc code;
  (void)st;
  assert_int_equal(executor_check(x, "true", "{\"rlimit\":{}}", &code, err, sizeof err), -1);
  assert_int_equal(code, WR_UNKNOWN_FIELD);
  assert_string_equal(err, "taskConfig has no field \"rlimit\"; did you mean rlimits?");
  assert_int_equal(executor_check(x, "true", "{\"a\":\"\\u0000\"}", &code, err, sizeof err), -1);
  assert_int_equal(code, WR_BAD_COMMAND);
  assert_int_equal(executor_check(x, "true", NULL, &code, err, sizeof err), 0);
}

/* ---- those that are refused ---- */

static void refused(const char *path, const char *words) {
  struct wr_err err = {0};
  uint64_t before = registry_changes(H.executors);
  assert_int_equal(plugin_load(H.executors, path, &err), WR_INTERNAL);
  if (!strstr(err.msg, words)) fail_msg("%s: %s", words, err.msg);
  assert_int_equal(registry_changes(H.executors), before);
}

#define HEAD "#include <weir_executor.h>\nstatic int start(const wx_host *h, wx_exec *x, char *e, size_t n) {\n" \
             "  (void)h; (void)x; (void)e; (void)n;\n  return -1;\n}\nstatic const wx_ops ops = {"
#define TAIL ".start = start};\nWX_EXECUTOR(x) { return &ops; }\n"

static void test_refused(void **st) {
  char path[128];
  (void)st;
  refused("shell.so", "The plugin \"shell.so\" needs its whole path");
  refused("/nowhere/none.so", "The plugin \"none.so\" cannot be loaded: /nowhere/none.so");
  refused(WEIR_SOURCE "/executors/shell.c", "cannot be loaded");
  make("int nothing(void);\nint nothing(void) { return 0; }\n", "empty.so", path);
  refused(path, "The plugin \"empty.so\" cannot be used. It has no symbol weir_executor, so it is no executor.");
  make("int nowhere(void);\nint f(void);\nint f(void) { return nowhere(); }\n", "undefined.so", path); /* only a call asks for it */
  refused(path, "undefined symbol: nowhere");
  make(HEAD ".abi = 2, .size = sizeof ops, .name = \"X\", .slot = WX_SLOT_ASYNC, " TAIL, "abi.so", path);
  refused(path, "The plugin \"abi.so\" cannot be used. The executor was made for ABI 2");
  make(HEAD ".abi = WX_ABI, .size = 8, .name = \"X\", .slot = WX_SLOT_ASYNC, " TAIL, "small.so", path);
  refused(path, "has 8 bytes");
  make("#include <weir_executor.h>\nWX_EXECUTOR(x) { return NULL; }\n", "null.so", path);
  refused(path, "has no table of calls");
  make(HEAD ".abi = WX_ABI, .size = sizeof ops, .name = \"SHELL\", .slot = WX_SLOT_ASYNC, " TAIL, "twice.so", path);
  refused(path, "There is an executor SHELL of version 1 already");
}

/* One more that comes while the worker runs, in a version of its own: what starts from now on is run by it, unless its definition
 * knows the former one. */
static void test_newer_version(void **st) {
  char path[128];
  struct wr_err err = {0};
  (void)st;
  make("#include <weir_executor.h>\n"
       "static int start(const wx_host *h, wx_exec *x, char *e, size_t n) {\n"
       "  wx_result r = {.size = sizeof r, .end = WX_OK, .result = \"two\", .result_len = 3, .exit_code = -1};\n"
       "  (void)e; (void)n;\n  h->done(x, &r);\n  return 0;\n}\n"
       "static const wx_ops ops = {.abi = WX_ABI, .size = sizeof ops, .name = \"SHELL\", .slot = WX_SLOT_ASYNC, .version = 2, " TAIL,
       "newer.so", path);
  if (plugin_load(H.executors, path, &err)) fail_msg("%s", err.msg);
  struct attempt *a = h_run("SHELL", "exit 1", NULL);
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_string_equal(a->result, "two");
  attempt_free(a);
  a = h_attempt("SHELL", "exit 1", NULL);
  int64_t ti = a->ti;
  a->def->executor = registry_find(H.executors, "SHELL", 1);
  worker_start(H.w, a);
  a = h_await(ti);
  assert_string_equal(a->error, "Exit code 1.");
  attempt_free(a);
}

int main(void) {
  if (!mkdtemp(dir)) return 1;
  load_shell();
  h_open(NULL);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_it_is_the_plugin), cmocka_unit_test(test_it_runs),
                                     cmocka_unit_test(test_how_it_ends), cmocka_unit_test(test_cancel),
                                     cmocka_unit_test(test_check), cmocka_unit_test(test_refused),
                                     cmocka_unit_test(test_newer_version)};
  int rc = cmocka_run_group_tests_name("plugin", tests, NULL, NULL);
  h_close();
  h_remove_tree(dir);
  return rc;
}
