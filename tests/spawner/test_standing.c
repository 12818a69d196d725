/* The spawner and who stands around it, disturbed: stopped, killed, flooded, with a process that nobody can kill. Others' attempts
 * go on all the while. Hostile users and the freezer need root: skipped without. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bare.h"
#include "clock.h"
#include "harness.h"
#include "spawner_link.h"

#ifdef __SANITIZE_THREAD__ /* its clone() leaves what the child needs on our stack, and we do not stand still */
int __clone(int (*main)(void *), void *stack, int flags, void *arg, ...);
#define clone __clone
#endif

enum { FLOOD = 2000, STARTS = 60, HELD_MS = 300, PARKED = 8192 };
static char self[256];

/* A program that makes siblings of itself, as fast as it can. */
static int be_flood(void) {
  for (int i = 0; i < FLOOD; i++)
    if (syscall(SYS_clone, 0x8000 /* CLONE_PARENT */ | SIGCHLD, 0, 0, 0, 0) == 0) pause();
  pause();
  return 0;
}

static int park(void *none) {
  setsid(); /* or the signal that ends one ends the storm */
  while (!none) pause();
  return 0;
}

/* On the same memory, for that is quick; more stacks than there may be children. */
static void *storm(void *say) {
  static char stack[PARKED][1024] __attribute__((aligned(64)));
  static _Atomic unsigned at;
  for (bool full = false;;)
    if (clone(park, stack[++at % PARKED] + sizeof *stack, CLONE_VM | CLONE_PARENT | SIGCHLD, NULL) < 0 && !full) {
      FILE *out = fopen(say, "we");
      if (out) fputs("full\n", out), fclose(out);
      full = true;
    }
  return NULL;
}

static int be_storm(char *say) {
  pthread_t t;
  for (int i = 0; i < 3; i++) pthread_create(&t, NULL, storm, say);
  while (pause() < 0) {}
  return 0;
}

/* Makes a sibling that bears the mark of the attempt that was started before this one, and says its number in a named pipe. */
static int be_forger(const char *say) {
  struct rlimit l;
  if (getrlimit(RLIMIT_LOCKS, &l)) return 1;
  l.rlim_cur = l.rlim_max = l.rlim_max - 1;
  if (setrlimit(RLIMIT_LOCKS, &l)) return 1;
  long pid = syscall(SYS_clone, 0x8000 /* CLONE_PARENT */ | SIGCHLD, 0, 0, 0, 0);
  FILE *out = pid > 0 ? fopen(say, "we") : NULL;
  if (out) fprintf(out, "%ld\n", pid), fclose(out);
  for (;;) pause();
}

static int64_t start(const char *script, const char *config) {
  struct attempt *a = h_attempt("SHELL", script, config);
  int64_t ti = a->ti;
  worker_start(H.w, a);
  return ti;
}

static pid_t await_other(pid_t (*which)(void), pid_t than) {
  for (int64_t end = clock_mono_us() + 60000000;;) {
    pid_t pid = which();
    if (pid > 0 && pid != than) return pid;
    if (clock_mono_us() > end) fail_msg("nobody came for %d", (int)than);
    sched_yield();
  }
}

static pid_t spawner(void) { return h_spawner(getpid()); }
static pid_t guard(void) { return h_child(getpid(), "weir-guard"); }
static pid_t spare(void) {
  pid_t s = spawner(), mine = h_child(getpid(), "weir-spare");
  return mine > 0 ? mine : s > 0 ? h_child(s, "weir-spare") : 0;
}

/* Replaced at once, and the one that comes is good for a spawner. */
static void test_spare_killed(void **st) {
  (void)st;
  for (int i = 0; i < 2; i++) {
    pid_t old = spare();
    assert_true(old > 0 && kill(old, SIGKILL) == 0);
    pid_t fresh = await_other(spare, old);
    h_expect("exit 0", NULL, ATTEMPT_OK, NULL);
    assert_true(fresh > 0 && kill(fresh, 0) == 0);
    pid_t was = spawner();
    assert_int_equal(kill(was, SIGKILL), 0);
    await_other(spawner, was);
    h_expect("exit 0", NULL, ATTEMPT_OK, NULL);
  }
}

/* There is no room for another just now: it is tried until there is. */
static void test_spare_later(void **st) {
  struct rlimit none = {3, 0}, was;
  (void)st;
  pid_t old = spare(), s = spawner();
  assert_true(old > 0 && s > 0 && prlimit(s, RLIMIT_NOFILE, NULL, &was) == 0);
  none.rlim_max = was.rlim_max;
  assert_int_equal(prlimit(s, RLIMIT_NOFILE, &none, NULL), 0);
  uint64_t turns = atomic_load(&H.page->turns);
  assert_int_equal(kill(old, SIGKILL), 0);
  for (int64_t end = clock_mono_us() + 60000000; atomic_load(&H.page->turns) < turns + 4;) { /* it was asked more than once */
    if (clock_mono_us() > end) fail_msg("nobody asks for a spare any more");
    sched_yield();
  }
  assert_int_equal(spare(), 0);
  assert_int_equal(prlimit(s, RLIMIT_NOFILE, &was, NULL), 0);
  await_other(spare, old);
  h_expect("exit 0", NULL, ATTEMPT_OK, NULL);
}

/* What runs runs on; when it has ended there is a guard again, with a spawner of its own. */
static void test_guard_killed(void **st) {
  char line[32];
  (void)st;
  int fifo = h_fifo("guard");
  struct buf b = BUF_INIT;
  buf_printf(&b, "echo ready > %s/guard; read x < %s/guard.go", H.dir, H.dir);
  int go = h_fifo("guard.go");
  int64_t ti = start(b.data, NULL);
  h_line(fifo, line, sizeof line);
  pid_t old = guard();
  assert_int_equal(kill(old, SIGKILL), 0);
  h_expect("exit 0", NULL, ATTEMPT_OK, NULL);
  assert_int_equal(guard(), 0);
  buf_clear(&b);
  buf_printf(&b, "%s/guard.go", H.dir);
  int in = open(b.data, O_WRONLY | O_CLOEXEC);
  assert_int_equal(write(in, "\n", 1), 1);
  struct attempt *a = h_await(ti);
  assert_int_equal(a->end, ATTEMPT_OK);
  attempt_free(a);
  await_other(guard, old);
  h_expect("exit 0", NULL, ATTEMPT_OK, NULL);
  close(in);
  close(go);
  close(fifo);
  buf_done(&b);
}

/* By a task of the same user: the guard, who would wake its spawner, then that. They are replaced. */
static void test_both_stopped(void **st) {
  (void)st;
  pid_t g = guard(), s = spawner();
  struct health_part part;
  assert_true(g > 0 && s > 0 && kill(g, SIGSTOP) == 0 && kill(s, SIGSTOP) == 0);
  struct attempt *a = h_sh("exit 0");
  assert_true(a->end == ATTEMPT_OK || a->end == ATTEMPT_HANDBACK || a->end == ATTEMPT_LOST);
  attempt_free(a);
  await_other(spawner, s);
  h_expect("exit 0", NULL, ATTEMPT_OK, NULL);
  worker_health(H.w, &part);
  assert_true(part.ok);
}

/* Who sleeps may have been stopped in its sleep: that is seen when it is woken, whether there is work or not. */
static void test_spare_stopped(void **st) {
  (void)st;
  for (int i = 0; i < 2; i++) {
    pid_t g = guard(), s = spawner(), asleep = await_other(spare, 0);
    assert_true(g > 0 && s > 0 && kill(asleep, SIGSTOP) == 0 && kill(i ? s : g, SIGKILL) == 0);
    await_other(spawner, s);
    assert_int_equal(guard(), asleep);
    h_expect("exit 0", NULL, ATTEMPT_OK, NULL);
  }
}

/* One runs before the other may end, again and again, unless it is held back. */
static void test_guard_of_a_busy_node(void **st) {
  char script[2][160], up[96];
  int out[2], go[2];
  int64_t ti[2], end = clock_mono_us() + 60000000;
  pid_t old = guard(), now = old;
  (void)st;
  for (int i = 0; i < 2; i++) {
    char name[8];
    snprintf(name, sizeof name, "busy%d", i);
    out[i] = h_fifo(name);
    snprintf(script[i], sizeof script[i], "%s/%s", H.dir, name);
    go[i] = open(script[i], O_WRONLY | O_CLOEXEC);
    snprintf(script[i], sizeof script[i], "echo > %s/up; read x < %s/%s", H.dir, H.dir, name);
  }
  struct pollfd begun = {.fd = h_fifo("up"), .events = POLLIN};
  snprintf(up, sizeof up, "%s/up", H.dir);
  int hold = open(up, O_WRONLY | O_CLOEXEC); /* so that poll() waits between two writers */
  ti[0] = start(script[0], NULL);
  h_line(begun.fd, up, sizeof up);
  assert_int_equal(kill(old, SIGKILL), 0);
  for (int i = 0; now == old || now == 0; i = !i) {
    ti[!i] = start(script[!i], NULL);
    if (poll(&begun, 1, HELD_MS) > 0) (void)!read(begun.fd, up, sizeof up);
    assert_int_equal(write(go[i], "\n", 1), 1);
    struct attempt *a = h_await(ti[i]);
    assert_int_equal(a->end, ATTEMPT_OK);
    attempt_free(a);
    now = guard();
    assert_true(clock_mono_us() < end);
    ti[0] = ti[!i]; /* the one that is left */
    ti[1] = ti[!i];
  }
  for (int i = 0; i < 2; i++) assert_int_equal(write(go[i], "\n", 1), 1);
  attempt_free(h_await(ti[0]));
  h_expect("exit 0", NULL, ATTEMPT_OK, NULL);
  for (int i = 0; i < 2; i++) close(go[i]), close(out[i]);
  close(hold);
  close(begun.fd);
}

/* A user's task stops all that is of that user, again and again: others of it may stand between setresuid() and exec(). */
static void test_hostile_stop(void **st) {
  int64_t ti[STARTS];
  (void)st;
  if (geteuid()) skip();
  static const char nobody[] = "{\"user\":\"nobody\",\"grace\":0}";
  int64_t hostile = start("while :; do kill -STOP -1; done", nobody);
  pid_t was = spawner();
  for (int i = 0; i < STARTS; i++) {
    ti[i] = start("exit 0", nobody);
    if (i % 10 == 0) h_expect("exit 0", NULL, ATTEMPT_OK, NULL);
  }
  worker_cancel(H.w, hostile, 1);
  attempt_free(h_await(hostile));
  for (int i = 0; i < STARTS; i++) worker_cancel(H.w, ti[i], 1);
  for (int i = 0; i < STARTS; i++) attempt_free(h_await(ti[i]));
  assert_int_equal(spawner(), was);
}

static void put_text(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text, strlen(text)) < 0) fail_msg("%s: %s", path, strerror(errno));
  close(fd);
}

/* The freezer stands for a network file system that hangs. */
static void test_unkillable(void **st) {
  static const char group[] = "/sys/fs/cgroup/freezer/weir-test";
  char line[32], path[96];
  (void)st;
  if (geteuid() || (mkdir(group, 0755) && errno != EEXIST)) skip();
  int fifo = h_fifo("frozen"), go = h_fifo("frozen.go");
  struct buf b = BUF_INIT;
  buf_printf(&b, "setsid sleep 1000 & echo $! > %s/frozen; read x < %s/frozen.go", H.dir, H.dir);
  int64_t ti = start(b.data, NULL);
  h_line(fifo, line, sizeof line);
  snprintf(path, sizeof path, "%s/cgroup.procs", group);
  put_text(path, line);
  snprintf(path, sizeof path, "%s/freezer.state", group);
  put_text(path, "FROZEN");
  buf_clear(&b);
  buf_printf(&b, "%s/frozen.go", H.dir);
  int in = open(b.data, O_WRONLY | O_CLOEXEC);
  assert_int_equal(write(in, "\n", 1), 1);
  for (int i = 0; i < 10; i++) h_expect("sleep 1000 & exit 0", NULL, ATTEMPT_OK, NULL);
  assert_false(h_gone(line));
  put_text(path, "THAWED");
  struct attempt *a = h_await(ti);
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_true(h_gone(line));
  attempt_free(a);
  while (rmdir(group) && errno == EBUSY) sched_yield();
  close(in);
  close(go);
  close(fifo);
  buf_done(&b);
}

/* Children of the spawner that one of its children makes: they hold up neither their own end nor those of others. */
static void test_siblings(void **st) {
  (void)st;
  char config[320];
  snprintf(config, sizeof config, "{\"argv\":[\"%s\",\"flood\"],\"grace\":0}", self);
  int64_t ti = start(NULL, config);
  for (int i = 0; i < 5; i++) h_expect("exit 0", NULL, ATTEMPT_OK, NULL);
  worker_cancel(H.w, ti, 1);
  struct attempt *a = h_await(ti);
  assert_int_equal(a->signal, SIGKILL);
  attempt_free(a);
  assert_int_equal(h_child(spawner(), "test_spawner_st"), 0);
}

/* Threads that make children of the spawner without end, as many as their user may have; they outrun a spawner that looks at some
 * hundred a turn. Others end all the same. */
static void test_endless_siblings(void **st) {
  (void)st;
  if (geteuid()) skip();
  char config[400];
  snprintf(config, sizeof config, "{\"argv\":[\"%s\",\"storm\",\"%s/storm\"],\"user\":\"nobody\",\"grace\":0,\"rlimits\":{\"nproc\":1500}}", self, H.dir);
  char line[32];
  int fifo = h_fifo("storm");
  int64_t ti = start(NULL, config);
  h_line(fifo, line, sizeof line);
  for (int i = 0; i < 10; i++) h_expect("sleep 1000 & exit 0", NULL, ATTEMPT_OK, NULL);
  close(fifo);
  worker_cancel(H.w, ti, 1);
  struct attempt *a = h_await(ti);
  assert_int_equal(a->signal, SIGKILL);
  attempt_free(a);
}

/* Until exec the spawner has its errno in common with its child. */
struct slain { unsigned calls; size_t n; };
static void count_slain(void *ctx, const pid_t *pid, size_t n) {
  struct slain *s = ctx;
  if (s->calls++ == 0) s->n = n;
  for (size_t i = 0; i < n; i++) kill(pid[i], SIGKILL);
}

/* In a process of its own: 0 = what it inherited was killed by one call, before any of it was waited for. */
static int reap_many(void) {
  enum { MANY = 100 };
  struct slain s = {0};
  int ready[2];
  char c;
  if (pipe(ready)) return 1;
  for (int i = 0; i < MANY; i++) {
    if (fork() != 0) continue;
    close(ready[0]);
    setsid();
    (void)!write(ready[1], "x", 1);
    for (;;) pause();
  }
  for (int i = 0; i < MANY; i++)
    if (read(ready[0], &c, 1) != 1) return 2;
  size_t left = reap_debris(false, count_slain, &s);
  if (s.n != MANY || s.calls == 0) return 3;
  while (left > 0) left = reap_debris(false, count_slain, &s);
  return waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD ? 0 : 4;
}

/* Whoever kills for a node that may not waits for an answer: once, not for each process. */
static void test_many_at_once(void **st) {
  int status;
  (void)st;
  pid_t pid = fork();
  if (pid == 0) _exit(reap_many());
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_errno_of_a_wait(void **st) {
  static _Atomic uint32_t word = 1;
  const struct timespec t = {0, 1000};
  (void)st;
  errno = EXDEV;
  assert_int_equal(bare_wait(&word, 1, &t), ETIMEDOUT);
  assert_int_equal(bare_wait(&word, 2, &t), EAGAIN);
  assert_int_equal(errno, EXDEV);
}

/* What bears the mark of another user's attempt does not hold up the end of that, whatever keeps it alive. */
static void test_forged_mark(void **st) {
  static const char group[] = "/sys/fs/cgroup/freezer/weir-test";
  char line[32], pid[32], config[400], path[96];
  (void)st;
  if (geteuid() || (mkdir(group, 0755) && errno != EEXIST)) skip();
  int fifo = h_fifo("forged"), go = h_fifo("forged.go");
  struct buf b = BUF_INIT;
  for (int i = 0; i < 2; i++) {
    snprintf(path, sizeof path, "%s/forged%s", H.dir, i ? ".go" : "");
    assert_int_equal(chmod(path, 0666), 0);
  }
  buf_printf(&b, "echo ready > %s/forged; read x < %s/forged.go", H.dir, H.dir);
  int64_t victim = start(b.data, "{\"user\":\"nobody\"}");
  h_line(fifo, line, sizeof line);
  snprintf(config, sizeof config, "{\"argv\":[\"%s\",\"forge\",\"%s/forged\"],\"grace\":0}", self, H.dir);
  int64_t forger = start(NULL, config);
  h_line(fifo, pid, sizeof pid);
  buf_clear(&b);
  buf_printf(&b, "%s/cgroup.procs", group);
  put_text(b.data, pid);
  buf_clear(&b);
  buf_printf(&b, "%s/freezer.state", group);
  put_text(b.data, "FROZEN");
  int in = open(path, O_WRONLY | O_CLOEXEC);
  assert_int_equal(write(in, "\n", 1), 1);
  struct attempt *a = h_await(victim);
  assert_int_equal(a->end, ATTEMPT_OK);
  assert_false(h_gone(pid));
  attempt_free(a);
  put_text(b.data, "THAWED");
  worker_cancel(H.w, forger, 1);
  attempt_free(h_await(forger));
  while (rmdir(group) && errno == EBUSY) sched_yield();
  close(in);
  close(go);
  close(fifo);
  buf_done(&b);
}

/* What the node raised or lowered for itself is not the tasks'. */
static void test_given_back(void **st) {
  (void)st;
  struct attempt *a = h_sh("umask; ulimit -Sn; ulimit -Sc; grep SigIgn /proc/self/status");
  assert_string_equal(h_log(a->ti)->data, "0027\n200\n0\nSigIgn:\t0000000000000001\n");
  attempt_free(a);
  a = h_run("SHELL", "ulimit -Sc; ulimit -Hc", "{\"rlimits\":{\"core\":1048576}}");
  assert_string_equal(h_log(a->ti)->data, "0\n0\n");
  attempt_free(a);
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "flood") == 0) return be_flood();
  if (argc > 2 && strcmp(argv[1], "storm") == 0) return be_storm(argv[2]);
  if (argc > 2 && strcmp(argv[1], "forge") == 0) return be_forger(argv[2]);
  ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
  if (n <= 0) return 1;
  struct rlimit l;
  getrlimit(RLIMIT_NOFILE, &l);
  l.rlim_cur = 200;
  setrlimit(RLIMIT_NOFILE, &l);
  getrlimit(RLIMIT_CORE, &l);
  l.rlim_cur = 0;
  setrlimit(RLIMIT_CORE, &l);
  umask(027);
  signal(SIGHUP, SIG_IGN);
  h_open(geteuid() == 0 ? "nobody" : NULL);
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_given_back), cmocka_unit_test(test_siblings), cmocka_unit_test(test_forged_mark),
    cmocka_unit_test(test_unkillable), cmocka_unit_test(test_hostile_stop),
    cmocka_unit_test(test_both_stopped), cmocka_unit_test(test_spare_killed), cmocka_unit_test(test_spare_later), cmocka_unit_test(test_guard_killed),
    cmocka_unit_test(test_endless_siblings), cmocka_unit_test(test_many_at_once), cmocka_unit_test(test_errno_of_a_wait), cmocka_unit_test(test_spare_stopped), cmocka_unit_test(test_guard_of_a_busy_node)};
  int rc = cmocka_run_group_tests_name("standing", tests, NULL, NULL);
  h_close();
  return rc;
}
