/* Starts that this node cannot make: they go back without a count, the node says why and takes none for a while, and is well
 * again with the next start that it can make. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "harness.h"

static void expect_back(const char *error) {
  struct attempt *a = h_sh("exit 0");
  assert_int_equal(a->end, ATTEMPT_HANDBACK);
  assert_non_null(a->error);
  if (!strstr(a->error, error)) fail_msg("\"%s\" does not say \"%s\"", a->error, error);
  attempt_free(a);
}

static void expect_trouble(const char *why) {
  struct health_part p;
  worker_health(H.w, &p);
  assert_false(p.ok);
  if (!strstr(p.why, why)) fail_msg("\"%s\" does not say \"%s\"", p.why, why);
}

/* The first start after the pause that can be made. */
static void expect_well(void) {
  struct health_part p;
  do {
    h_expect("exit 0", NULL, ATTEMPT_OK, NULL);
    worker_health(H.w, &p);
  } while (!p.ok); /* one that was made while the pause lasts says nothing */
  assert_true(clock_boot_us() >= h_paused());
}

static void limit_files(pid_t pid, rlim_t n, struct rlimit *was) {
  struct rlimit l;
  if (prlimit(pid, RLIMIT_NOFILE, NULL, was)) abort();
  l = (struct rlimit){n, was->rlim_max};
  if (prlimit(pid, RLIMIT_NOFILE, &l, NULL)) abort();
}

static void test_no_descriptor_here(void **st) {
  (void)st;
  struct rlimit was;
  int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);
  assert_true(lowest >= 0);
  close(lowest);
  limit_files(0, (rlim_t)lowest, &was);
  for (int i = 0; i < 3; i++) expect_back("no descriptor");
  if (setrlimit(RLIMIT_NOFILE, &was)) abort();
  expect_trouble("no descriptor");
  assert_true(h_paused() > clock_boot_us() - 60000000);
  expect_well();
}

/* Its packets come without their descriptors, which is not the task's fault. */
static void test_no_descriptor_at_the_spawner(void **st) {
  (void)st;
  struct rlimit was, ignored;
  pid_t spawner = h_spawner(getpid());
  limit_files(spawner, 8, &was);
  expect_back("Cannot prepare a process");
  expect_trouble("Cannot prepare a process");
  limit_files(spawner, was.rlim_cur, &ignored);
  expect_well();
}

/* Limits that the definition sets itself are its own affair: neither tried again for ever nor this node's trouble. */
static void test_own_limits(void **st) {
  (void)st;
  struct health_part p;
  struct attempt *a = h_run("SHELL", NULL, "{\"argv\":[\"/bin/sh\",\"-c\",\"exit 0\"],\"rlimits\":{\"as\":4096}}");
  assert_int_not_equal(a->end, ATTEMPT_HANDBACK);
  attempt_free(a);
  worker_health(H.w, &p);
  assert_true(p.ok);
}

/* A program that is just being written is started when it has been, by the same attempt, and nobody pauses for it. */
static void test_busy_program(void **st) {
  (void)st;
  struct buf path = BUF_INIT, config = BUF_INIT;
  struct health_part p;
  int64_t before = h_paused();
  buf_printf(&path, "%s/program", H.dir);
  buf_printf(&config, "{\"argv\":[\"%s\"]}", path.data);
  int to = open(path.data, O_WRONLY | O_CREAT | O_CLOEXEC, 0755), from = open("/bin/true", O_RDONLY | O_CLOEXEC);
  char b[4096];
  assert_true(to >= 0 && from >= 0 && fchmod(to, 0755) == 0);
  for (ssize_t n; (n = read(from, b, sizeof b)) > 0;) assert_int_equal(write(to, b, (size_t)n), n);
  close(from);
  struct attempt *a = h_attempt("SHELL", NULL, config.data);
  int64_t ti = a->ti;
  worker_start(H.w, a);
  h_expect("exit 0", NULL, ATTEMPT_OK, NULL); /* behind it: it was tried */
  worker_health(H.w, &p);
  assert_true(p.ok);
  close(to);
  a = h_await(ti);
  if (a->error) fail_msg("%s", a->error);
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_true(a->tries > 0);
  assert_int_equal(a->epoch, 1);
  assert_int_equal(h_paused(), before);
  attempt_free(a);
  buf_done(&path);
  buf_done(&config);
}

/* One that is always being written is not tried for ever: its own failure, by name, and another attempt may follow. */
static void test_always_busy(void **st) {
  (void)st;
  char path[96], config[128];
  struct health_part p;
  int64_t before = h_paused();
  snprintf(path, sizeof path, "%s/busy", H.dir);
  snprintf(config, sizeof config, "{\"argv\":[\"%s\"]}", path);
  int to = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
  assert_true(to >= 0 && fchmod(to, 0755) == 0);
  struct attempt *a = h_attempt("SHELL", NULL, config);
  a->tries = 1000;                                            /* as after a minute */
  int64_t ti = a->ti;
  worker_start(H.w, a);
  a = h_await(ti);
  assert_int_equal(a->end, ATTEMPT_FAIL);
  if (!a->error || !strstr(a->error, path) || !strstr(a->error, "Text file busy")) fail_msg("%s", a->error ? a->error : "no error");
  worker_health(H.w, &p);
  assert_true(p.ok);
  assert_int_equal(h_paused(), before);
  attempt_free(a);
  close(to);
}

int main(void) {
  h_open(NULL);
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_busy_program), cmocka_unit_test(test_always_busy), cmocka_unit_test(test_own_limits), cmocka_unit_test(test_no_descriptor_here),
    cmocka_unit_test(test_no_descriptor_at_the_spawner)};
  int rc = cmocka_run_group_tests_name("trouble", tests, NULL, NULL);
  h_close();
  return rc;
}
