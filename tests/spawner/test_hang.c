/* A child that hangs in the kernel between clone and exec: its program is long in coming, or its directory lies on a file system of
 * the task's own user, whose server does not answer. The spawner goes on, what does not come at all fails, others see nothing of it but, for a while, those of the same user.
 * The file system: root only, where FUSE can be mounted. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

enum { STARTS = 16, MORE = 4 };    /* as many as one user may keep; and what it starts beside them */
static _Atomic int server = -1;    /* the file system's, -1 = it cannot be mounted here */
static char mountpoint[96];

/* Answers to its greeting, takes `reads` requests more and says nothing to any. */
static void *serve(void *reads) {
  static char b[1 << 17];
  const struct fuse_in_header *h = (const void *)b;
  struct { struct fuse_out_header h; struct fuse_init_out i; } hello = {{sizeof hello, 0, 0}, {.major = 7, .minor = 31, .max_write = 4096}};
  if (read(server, b, sizeof b) <= 0 || h->opcode != FUSE_INIT) return NULL;
  hello.h.unique = h->unique;
  (void)!write(server, &hello, sizeof hello);
  for (int i = 0; i < *(const int *)reads && read(server, b, sizeof b) > 0; i++) {}
  return NULL;
}

static void mount_it(void) {
  char how[96];
  int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  snprintf(how, sizeof how, "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
  if (mkdir(mountpoint, 0755) == 0 && mount("weir-test", mountpoint, "fuse", MS_NOSUID | MS_NODEV, how) == 0) server = fd;
  else close(fd);
}

static void unmount_it(pthread_t t) {
  umount2(mountpoint, MNT_DETACH | MNT_FORCE); /* what hangs is let go, and its server has nothing more to read */
  pthread_join(t, NULL);
  close(server);
  server = -1;
  rmdir(mountpoint);
}

static bool starts_again(void) {
  struct attempt *a = h_sh("true");
  bool ok = a->end == ATTEMPT_OK;
  attempt_free(a);
  return ok;
}

/* taken: the server has its request, so that no signal reaches who waits for the answer. */
static void hang(int taken) {
  char config[160];
  int64_t first = 0;
  pthread_t t;
  mount_it();
  if (server < 0) skip();
  assert_int_equal(pthread_create(&t, NULL, serve, &taken), 0);
  pid_t before = h_spawner(getpid());
  snprintf(config, sizeof config, "{\"cwd\":\"%s/x\"}", mountpoint);
  for (int i = 0; i < STARTS + MORE; i++) {
    struct attempt *a = h_attempt("SHELL", "true", i < STARTS ? config : NULL);
    if (i == 0) first = a->ti;
    worker_start(H.w, a);
  }
  h_expect("true", "{\"user\":\"nobody\"}", ATTEMPT_OK, NULL); /* behind them, and long before they are given up */
  for (int i = 0; i < STARTS; i++) {
    struct attempt *a = h_await(first + i);
    assert_int_equal(a->end, ATTEMPT_FAIL); /* the definition may let it be tried again */
    assert_string_equal(a->error, "Cannot start /bin/sh: the file system of its directory or its file does not answer.");
    attempt_free(a);
  }
  assert_int_equal(h_spawner(getpid()), before);
  unmount_it(t);
  for (int i = 0; i < MORE; i++) { /* nothing is wrong with them: they waited */
    struct attempt *a = h_await(first + STARTS + i);
    if (a->end != ATTEMPT_OK) fail_msg("%s", a->error ? a->error : "not OK");
    attempt_free(a);
  }
  while (!starts_again()) {} /* as soon as the kernel has let go of those that hung */
}

static void test_beyond_signals(void **st) {
  (void)st;
  hang(100);
}

static void test_killed(void **st) {
  (void)st;
  hang(0);
}

/* A lease that is not given back lets whoever opens the file wait. */
static void test_slow(void **st) {
  (void)st;
  char program[96], config[128], b[4096];
  snprintf(program, sizeof program, "%s/program", H.dir);
  snprintf(config, sizeof config, "{\"argv\":[\"%s\"]}", program);
  int from = open("/bin/true", O_RDONLY | O_CLOEXEC), to = open(program, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
  for (ssize_t n; (n = read(from, b, sizeof b)) > 0;) assert_int_equal(write(to, b, (size_t)n), n);
  assert_true(fchmod(to, 0755) == 0 && close(to) == 0 && close(from) == 0);
  to = open(program, O_RDONLY | O_CLOEXEC);
  signal(SIGIO, SIG_IGN);
  if (fcntl(to, F_SETLEASE, F_WRLCK)) skip();
  struct attempt *a = h_attempt("SHELL", NULL, config);
  int64_t ti = a->ti;
  worker_start(H.w, a);
  h_expect("true", NULL, ATTEMPT_OK, NULL); /* behind it */
  assert_int_equal(fcntl(to, F_SETLEASE, F_UNLCK), 0);
  a = h_await(ti);
  if (a->error) fail_msg("%s", a->error);
  assert_int_equal(a->end, ATTEMPT_OK);
  attempt_free(a);
  close(to);
}

int main(void) {
  if (geteuid() == 0 && unshare(CLONE_NEWNS) == 0) mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
  h_open(geteuid() == 0 ? "nobody" : NULL);
  snprintf(mountpoint, sizeof mountpoint, "%s/fuse", H.dir);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_slow), cmocka_unit_test(test_beyond_signals), cmocka_unit_test(test_killed)};
  int rc = cmocka_run_group_tests_name("hang", tests, NULL, NULL);
  if (server >= 0) umount2(mountpoint, MNT_DETACH | MNT_FORCE); /* a test failed: or who removes the directory hangs */
  h_close();
  return rc;
}
