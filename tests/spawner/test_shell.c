/* SHELL against real processes: how programs are started, what they get, how they end, what comes back. */
#include <errno.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "wr_limits.h"

static void assert_log(const struct attempt *a, const char *text) {
  struct buf *b = h_log(a->ti);
  assert_int_equal(a->log, *text ? LOG_ROWS : LOG_NONE);
  assert_int_equal(a->log_bytes, b->len);
  assert_int_equal(b->len, strlen(text));
  if (*text) assert_memory_equal(b->data, text, b->len);
}

static void test_ok(void **st) {
  (void)st;
  struct attempt *a = h_sh("echo hello");
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_int_equal(a->exit_code, 0);
  assert_int_equal(a->signal, 0);
  assert_null(a->error);
  assert_null(a->result);
  assert_true(a->maxrss_kib > 0);
  assert_log(a, "hello\n");
  attempt_free(a);
  a = h_sh("true");
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_log(a, "");
  attempt_free(a);
}

static void test_every_exit_code(void **st) {
  (void)st;
  struct attempt *list = NULL;
  int64_t first = 0;
  for (int i = 0; i < 256; i++) {
    char script[32];
    snprintf(script, sizeof script, "exit %d", i);
    struct attempt *a = h_attempt("SHELL", script, NULL);
    if (i == 0) first = a->ti;
    a->next = list;
    list = a;
  }
  worker_start(H.w, list);
  for (int i = 0; i < 256; i++) {
    struct attempt *a = h_await(first + i);
    char error[32];
    snprintf(error, sizeof error, "Exit code %d.", i);
    assert_int_equal(a->exit_code, i);
    assert_int_equal(a->end, i == 0 ? ATTEMPT_OK : i == 75 ? ATTEMPT_NOT_NOW : i == 125 ? ATTEMPT_FATAL : ATTEMPT_FAIL);
    if (i && i != 75) assert_string_equal(a->error, error);
    attempt_free(a);
  }
}

/* Those whose default is to end the process. */
static void test_every_signal(void **st) {
  (void)st;
  static const int quiet[] = {SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH};
  for (int s = 1; s < 32; s++) {
    bool skip = false;
    for (size_t i = 0; i < sizeof quiet / sizeof *quiet; i++) skip |= quiet[i] == s;
    if (skip) continue;
    char script[32], error[64];
    snprintf(script, sizeof script, "kill -%d $$", s);
    snprintf(error, sizeof error, "Killed by signal %d (SIG%s).", s, sigabbrev_np(s));
    struct attempt *a = h_sh(script);
    assert_int_equal(a->signal, s);
    assert_int_equal(a->exit_code, -1);
    assert_int_equal(a->end, ATTEMPT_FAIL);
    assert_string_equal(a->error, error);
    attempt_free(a);
  }
}

/* The child's signals are as new, whatever the node blocks. */
static void test_signals_are_reset(void **st) {
  (void)st;
  struct attempt *a = h_sh("grep -E '^Sig(Blk|Ign):' /proc/self/status | tr -d '[:space:]0'");
  assert_log(a, "SigBlk:SigIgn:");
  attempt_free(a);
}

static void write_file(const char *name, const char *text, mode_t mode) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", H.dir, name);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
  assert_int_equal(chmod(path, mode), 0);
}

static void expect_start(const char *name, const char *fmt) {
  char config[256], error[512];
  snprintf(config, sizeof config, "{\"argv\":[\"%s/%s\"]}", H.dir, name);
  snprintf(error, sizeof error, "Cannot start %s/%s: %s", H.dir, name, fmt);
  h_expect_argv(config, ATTEMPT_FATAL, error);
}

/* Of a path the whole is shown, not its beginning. */
static void long_paths(void) {
  char path[401], config[512], error[512];
  memset(path, 'a', sizeof path - 1);
  path[400] = '\0';
  for (int i = 0; i < 400; i += 40) path[i] = '/';
  snprintf(config, sizeof config, "{\"argv\":[\"%s\"]}", path);
  snprintf(error, sizeof error, "Cannot start %s: No such file or directory.", path);
  h_expect_argv(config, ATTEMPT_FATAL, error);
  snprintf(config, sizeof config, "{\"cwd\":\"%s\"}", path);
  snprintf(error, sizeof error, "Cannot change to directory %s: No such file or directory.", path);
  h_expect("true", config, ATTEMPT_FATAL, error);
}

static void test_cannot_start(void **st) {
  (void)st;
  h_expect_argv("{\"argv\":[\"/no/such\"]}", ATTEMPT_FATAL, "Cannot start /no/such: No such file or directory.");
  h_expect_argv("{\"argv\":[\"no-such-program\"]}", ATTEMPT_FATAL, "Cannot start no-such-program: No such file or directory (in any folder of PATH).");
  h_expect_argv("{\"argv\":[\"./no-such\"],\"cwd\":\"/usr\"}", ATTEMPT_FATAL, "Cannot start ./no-such in /usr: No such file or directory.");
  h_expect_argv("{\"argv\":[\"/etc/passwd/x\"]}", ATTEMPT_FATAL, "Cannot start /etc/passwd/x: Not a directory.");
  long_paths();
  h_expect("true", "{\"cwd\":\"/no/such\"}", ATTEMPT_FATAL, "Cannot change to directory /no/such: No such file or directory.");
  h_expect("true", "{\"user\":\"no such user\"}", ATTEMPT_FATAL, "This node does not run SHELL tasks as \"no such user\" (see --run-as-also).");
  write_file("plain", "#!/bin/sh\n", 0644);
  expect_start("plain", "Permission denied.");
  write_file("crlf", "#!/bin/sh\r\ntrue\r\n", 0755);
  expect_start("crlf", "what its first line names does not exist (does it end in a carriage return?).");
  write_file("text", "true\n", 0755);
  expect_start("text", "Exec format error.");
  write_file("good", "#!/bin/sh\nexit 0\n", 0755);
  char config[128];
  snprintf(config, sizeof config, "{\"argv\":[\"%s/good\"]}", H.dir);
  h_expect_argv(config, ATTEMPT_OK, NULL);
}

/* Refused by start() too: a definition may be older than the rule. */
static void test_bad_config(void **st) {
  (void)st;
  h_expect("true", "{\"argv\":[\"true\"]}", ATTEMPT_FATAL, "Give a script in taskContent or taskConfig.argv, not both.");
  h_expect("true", "{\"env\":{\"LD_PRELOAD\":\"x\"}}", ATTEMPT_FATAL, "env: \"LD_PRELOAD\" may not be set.");
  h_expect("true", "{\"attempts\":3,\"timeout\":\"1h\",\"backoff\":{},\"onLost\":\"fail\"}", ATTEMPT_OK, NULL);
}

static char *long_config(size_t n) {
  struct buf b = BUF_INIT;
  buf_str(&b, "{\"argv\":[\"/bin/echo\",\"");
  memset(buf_reserve(&b, n), 'x', n);
  b.len += n;
  buf_str(&b, "\"]}");
  return b.data;
}

static void test_big_request(void **st) {
  (void)st;
  char *config = long_config(200000); /* one argument may have 128 KiB */
  h_expect_argv(config, ATTEMPT_FATAL, "Cannot start /bin/echo: Argument list too long.");
  free(config);
  config = long_config(100000);       /* more than a packet holds */
  struct attempt *a = h_run("SHELL", NULL, config);
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_int_equal(a->log_bytes, 100001);
  attempt_free(a);
  free(config);
}

static void test_path_search(void **st) {
  (void)st;
  write_file("tool", "#!/bin/sh\necho tool $1\n", 0755);
  char config[256];
  snprintf(config, sizeof config, "{\"argv\":[\"tool\",\"a b\"],\"env\":{\"PATH\":\"/no/such:%s:/bin\"}}", H.dir);
  struct attempt *a = h_run("SHELL", NULL, config);
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_log(a, "tool a b\n");
  attempt_free(a);
}

/* Nothing of the node's environment, nothing of its descriptors. */
static void test_clean_env(void **st) {
  (void)st;
  struct attempt *a = h_attempt("SHELL", "env | sort; ls /proc/self/fd | tr '\\n' ' '", "{\"env\":{\"B\":\"1\",\"LANG\":\"C\",\"W_q\":\"mine\"}}");
  a->params = params_new("{\"a\":\"x y\",\"n\":1.5,\"q\":\"theirs\",\"t\":true}");
  a->epoch = 7;
  int64_t ti = a->ti;
  worker_start(H.w, a);
  a = h_await(ti);
  assert_int_equal(a->end, ATTEMPT_OK);
  struct passwd *pw = getpwuid(geteuid());
  struct buf want = BUF_INIT;
  char cwd[256];
  assert_non_null(getcwd(cwd, sizeof cwd));
  buf_printf(&want, "B=1\nHOME=%s\nLANG=C\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/opt/weir tools\nPWD=%s\nUSER=%s\n",
             pw->pw_dir, cwd, pw->pw_name);
  buf_printf(&want, "WEIR_ATTEMPT=7\nWEIR_CONTEXT=%s/run/x", H.dir);
  struct buf *got = h_log(ti);
  assert_true(got->len > want.len);
  assert_memory_equal(got->data, want.data, want.len);
  const char *name = got->data + want.len; /* random */
  assert_int_equal(strcspn(name, "\n"), 31);
  name += 31;
  buf_clear(&want);
  buf_printf(&want, "\nWEIR_FENCE=t:%lld:7\nWEIR_OUTPUT=%s/run/", (long long)ti, H.dir);
  assert_memory_equal(name, want.data, want.len);
  name += want.len;
  buf_clear(&want);
  buf_printf(&want, "\nWEIR_REPORT_FD=3\nWEIR_RUN_KEY=t:%lld\nWEIR_WORKDIR=%s/run/%.32s\nW_a=x y\nW_n=1.5\nW_q=mine\nW_t=true\n0 1 2 3 4 ",
             (long long)ti, H.dir, name); /* 4: ls itself */
  char *tail = strstr(got->data, "\nWEIR_REPORT_FD");
  assert_non_null(tail);
  assert_string_equal(tail, want.data);
  buf_done(&want);
  attempt_free(a);
}

static void test_no_secret_leaks(void **st) {
  (void)st;
  struct attempt *a = h_sh("env; cat /proc/self/environ"); /* main() put the token into the node's environment */
  assert_null(strstr(h_log(a->ti)->data, "s3cr3t"));
  attempt_free(a);
}

static void test_stdin(void **st) {
  (void)st;
  struct attempt *a = h_run("SHELL", "cat; readlink /proc/self/fd/0 | cut -c1-7", "{\"stdin\":\"one\\ntwo\"}");
  assert_log(a, "one\ntwo/memfd:\n");
  attempt_free(a);
  a = h_sh("cat; readlink /proc/self/fd/0");
  assert_log(a, "/dev/null\n");
  attempt_free(a);
}


static void test_output(void **st) {
  (void)st;
  struct attempt *a = h_sh("printf 'a\\0b\\377' > $WEIR_OUTPUT");
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_int_equal(a->result_len, 4);
  assert_memory_equal(a->result, "a\0b\xFF", 4);
  assert_int_equal(a->log, LOG_NONE);
  attempt_free(a);
  a = h_sh(": > $WEIR_OUTPUT");
  assert_non_null(a->result);
  assert_int_equal(a->result_len, 0);
  attempt_free(a);
  a = h_sh("echo moved > $WEIR_OUTPUT.new; mv $WEIR_OUTPUT.new $WEIR_OUTPUT");
  assert_string_equal(a->result, "moved\n");
  attempt_free(a);
  a = h_sh("echo partly > $WEIR_OUTPUT; exit 3");
  assert_string_equal(a->result, "partly\n");
  assert_string_equal(a->error, "Exit code 3.");
  attempt_free(a);
}

static void test_output_limits(void **st) {
  (void)st;
  struct attempt *a = h_sh("head -c 1048576 /dev/zero > $WEIR_OUTPUT");
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_int_equal(a->result_len, LIMIT_RESULT_BYTES);
  attempt_free(a);
  h_expect("head -c 1048577 /dev/zero > $WEIR_OUTPUT", NULL, ATTEMPT_FAIL,
           "RESULT_TOO_LARGE: the result is larger than 1048576 bytes.");
  static const char odd[] = "What stands at WEIR_OUTPUT is not a plain file of the task.";
  h_expect("ln -s /etc/passwd $WEIR_OUTPUT", NULL, ATTEMPT_FAIL, odd);
  h_expect("echo x > $WEIR_OUTPUT; ln $WEIR_OUTPUT $WEIR_OUTPUT.2; rm -f $WEIR_OUTPUT.3", NULL, ATTEMPT_FAIL, odd);
  h_expect("mkfifo $WEIR_OUTPUT", NULL, ATTEMPT_FAIL, odd);
  h_expect("mkdir $WEIR_OUTPUT", NULL, ATTEMPT_FAIL, odd);
}

static void test_limits(void **st) {
  (void)st;
  struct attempt *a = h_run("SHELL", "ulimit -n; ulimit -Sc; ulimit -Ss; ulimit -Hs",
                            "{\"rlimits\":{\"nofile\":64,\"stack\":{\"soft\":1048576,\"hard\":2097152}}}");
  assert_log(a, "64\n0\n1024\n2048\n");
  attempt_free(a);
  a = h_run("SHELL", "head -c 100000 /dev/zero > big", "{\"cwd\":\"/tmp\",\"rlimits\":{\"fsize\":0}}");
  assert_int_equal(a->end, ATTEMPT_FAIL);
  attempt_free(a);
}

static void test_ties(void **st) {
  (void)st;
  struct attempt *a = h_sh("grep NoNewPrivs /proc/self/status; umask; [ $(cut -d' ' -f6 /proc/$$/stat) = $$ ] && echo own session");
  assert_log(a, "NoNewPrivs:\t1\n0027\nown session\n");
  attempt_free(a);
}

static void test_user(void **st) {
  (void)st;
  if (geteuid() != 0) {
    h_expect("true", "{\"user\":\"root\"}", ATTEMPT_FATAL, "This node does not run SHELL tasks as \"root\" (see --run-as-also).");
    return;
  }
  struct attempt *a = h_run("SHELL", "id -un; id -G; echo $USER; echo as nobody > $WEIR_OUTPUT", "{\"user\":\"nobody\"}");
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_log(a, "nobody\n65534\nnobody\n");
  assert_string_equal(a->result, "as nobody\n");
  attempt_free(a);
  h_expect("ln -s /etc/shadow $WEIR_OUTPUT; cat /etc/shadow", "{\"user\":\"nobody\"}", ATTEMPT_FAIL, "Exit code 1.");
}

/* One pipe: the order of what was said where is kept, as on a terminal. */
static void test_order_of_output(void **st) {
  (void)st;
  struct attempt *a = h_sh("echo 1; echo 2 >&2; echo 3; echo 4 >&2; echo 5; set -x; echo 6");
  assert_string_equal(h_log(a->ti)->data, "1\n2\n3\n4\n5\n+ echo 6\n6\n");
  attempt_free(a);
}

static void test_umask(void **st) {
  (void)st;
  struct attempt *a = h_run("SHELL", "umask", "{\"umask\":\"031\"}");
  assert_string_equal(h_log(a->ti)->data, "0031\n");
  attempt_free(a);
}

/* A script may begin with what looks like an option. */
static void test_hyphen(void **st) {
  (void)st;
  struct attempt *a = h_sh("-e 2>&-; exit 7");
  assert_int_equal(a->exit_code, 7);
  attempt_free(a);
}

int main(void) {
  for (int n = 1; n < 32; n++) signal(n, SIG_DFL); /* whoever started the tests */
  setenv("WEIR_TOKEN", "s3cr3t", 1);
  umask(027); /* given to tasks again; the spawner has its own */
  h_open(geteuid() == 0 ? "nobody" : NULL);
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_ok), cmocka_unit_test(test_every_exit_code), cmocka_unit_test(test_every_signal),
    cmocka_unit_test(test_signals_are_reset), cmocka_unit_test(test_cannot_start), cmocka_unit_test(test_bad_config),
    cmocka_unit_test(test_big_request), cmocka_unit_test(test_path_search), cmocka_unit_test(test_clean_env),
    cmocka_unit_test(test_no_secret_leaks), cmocka_unit_test(test_stdin), cmocka_unit_test(test_output),
    cmocka_unit_test(test_output_limits), cmocka_unit_test(test_limits), cmocka_unit_test(test_ties),
    cmocka_unit_test(test_order_of_output), cmocka_unit_test(test_umask), cmocka_unit_test(test_hyphen), cmocka_unit_test(test_user)};
  int rc = cmocka_run_group_tests_name("shell", tests, NULL, NULL);
  h_close();
  return rc;
}
