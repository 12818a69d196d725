/* Whole nodes as processes of their own, killed and frozen from outside: no process survives its node, nothing runs past
 * its lease, one data directory has one node at a time. The test itself is single-threaded and a subreaper: what a dead
 * node leaves becomes its child, so that waitpid() tells when the last of it is gone. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "harness.h"
#include "registry.h"

static int fifo;
static char data[128];   /* of the nodes */

static void on_done(void *ctx, struct attempt *list) {
  (void)ctx;
  for (struct attempt *next; list; list = next) {
    next = list->next;
    attempt_free(list);
  }
}

/* Three attempts, each with a deaf daemon; every process says "ready" when it stands. Two more wait for a place. */
static _Noreturn void be_node(int64_t lease_us) {
  struct wr_err err;
  struct spawner *s;
  struct worker *w;
  const struct spawner_opts so = {.data_dir = data};
  h_host();
  if (spawner_start(&so, &s, &err) != WR_OK) _exit(1);
  struct registry *executors = registry_new();
  registry_add_builtins(executors);
  const struct worker_opts wo = {.spawner = s, .executors = executors, .data_dir = data, .shell_allowed = true, .process_slots = 3, .done = on_done};
  atomic_store(&s->page->gate_wait_us, INT64_MAX / 2);
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* a test that is killed leaves nothing */
  if (worker_open(&wo, &w, &err) != WR_OK) _exit(1);
  worker_set_deadline(w, clock_boot_us() + lease_us);
  for (int i = 0; i < 3; i++) {
    struct buf b = BUF_INIT;
    buf_printf(&b, "exec 9> %s/tree; trap '' TERM HUP\n"
               "setsid sh -c 'setsid sh -c \"echo ready >&9; exec sleep 1000\" & exec sleep 1000' &\n"
               "while :; do sleep 1000; done", H.dir);
    worker_start(w, h_attempt("SHELL", b.data, NULL));
    buf_done(&b);
  }
  for (int i = 0; i < 2; i++) {
    struct buf b = BUF_INIT;
    buf_printf(&b, "exec sleep 1000 > %s/gated", H.dir);
    worker_start(w, h_attempt("SHELL", b.data, NULL));
    buf_done(&b);
  }
  for (;;) pause();
}

static bool as_nobody;
enum { NOBODY = 65534 };

static int become_nobody(void) { return setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY); }

static pid_t start_node(int64_t lease_us) {
  pid_t pid = fork();
  if (pid == 0 && as_nobody && become_nobody()) _exit(1);
  if (pid == 0) be_node(lease_us);
  char line[32];
  for (int i = 0; i < 3; i++) h_line(fifo, line, sizeof line);
  return pid;
}

/* The pid on the first line of DATA/lock. */
static pid_t lock_pid(void) {
  char path[128], b[32] = "";
  snprintf(path, sizeof path, "%s/lock", H.dir);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  assert_true(read(fd, b, sizeof b - 1) > 0);
  close(fd);
  return (pid_t)strtol(b, NULL, 10);
}

static bool lock_free(void) {
  char path[128];
  snprintf(path, sizeof path, "%s/lock", H.dir);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  bool yes = flock(fd, LOCK_EX | LOCK_NB) == 0;
  close(fd);
  return yes;
}

/* Nobody is left, and what waited for a place never got one. */
static void reap_all(void) {
  char path[128];
  snprintf(path, sizeof path, "%s/gated", H.dir);
  while (waitpid(-1, NULL, 0) > 0 || errno == EINTR) {}
  assert_int_equal(errno, ECHILD);
  assert_int_equal(access(path, F_OK), -1);
}

static void test_node_killed(void **st) {
  (void)st;
  for (int i = 0; i < 3; i++) {
    pid_t node = start_node(INT64_MAX / 2);
    assert_int_equal(lock_pid(), node);
    assert_false(lock_free());
    assert_false(h_all_dead(fifo));
    kill(node, SIGKILL);
    reap_all(); /* the node, its spawner, its spare; were a task's process alive, it would be ours, and this hang */
    assert_true(h_all_dead(fifo));
    assert_true(lock_free());
  }
}

/* Reads until all writers are dead. */
static void await_all_dead(void) {
  char b[64];
  fcntl(fifo, F_SETFL, 0);
  while (read(fifo, b, sizeof b) > 0) {}
  fcntl(fifo, F_SETFL, O_NONBLOCK);
}

/* The first number behind a word of /proc/PID/status; 0 = there is no such process. */
static long of_status(pid_t pid, const char *word) {
  char path[64], line[128];
  long n = 0;
  snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
  FILE *f = fopen(path, "r");
  while (f && fgets(line, sizeof line, f))
    if (strncmp(line, word, strlen(word)) == 0) n = strtol(line + strlen(word), NULL, 10);
  if (f) fclose(f);
  return n;
}

/* As the user whose process it is: that needs no privilege. soft 0 = as much as it may have. */
static void limit_processes(pid_t pid, rlim_t soft) {
  pid_t helper = fork();
  if (helper == 0) {
    struct rlimit l;
    if ((as_nobody && become_nobody()) || prlimit(pid, RLIMIT_NPROC, NULL, &l)) _exit(1);
    l.rlim_cur = soft ? soft : l.rlim_max;
    _exit(prlimit(pid, RLIMIT_NPROC, &l, NULL) ? 1 : 0);
  }
  int status = -1;
  assert_int_equal(waitpid(helper, &status, 0), helper);
  assert_int_equal(status, 0);
}

/* No room for a process when the spare is woken: it tries until there is. Root has no such bound, so the node is nobody's. */
static void test_no_room_for_the_next(void **st) {
  char home[128];
  (void)st;
  snprintf(home, sizeof home, "%s", data);
  snprintf(data, sizeof data, "%s/small", H.dir);
  as_nobody = geteuid() == 0;
  assert_int_equal(mkdir(data, 0700), 0);
  if (as_nobody) assert_true(chown(data, NOBODY, NOBODY) == 0 && chmod(H.dir, 0711) == 0);
  pid_t node = start_node(INT64_MAX / 2), spare = h_child(node, "weir-spare");
  limit_processes(spare, 1);
  long slept = of_status(spare, "voluntary_ctxt_switches:");
  kill(h_spawner(node), SIGKILL);
  for (long n = slept; n > 0 && n < slept + 4;) n = of_status(spare, "voluntary_ctxt_switches:"); /* woken, and some tries */
  assert_int_equal(of_status(spare, "Pid:"), spare);
  assert_int_equal(h_child(spare, "weir-spawner"), 0);
  limit_processes(spare, 0);
  while (!h_child(spare, "weir-spawner")) sched_yield();
  kill(node, SIGKILL);
  reap_all();
  as_nobody = false;
  snprintf(data, sizeof data, "%s", home);
}

/* A stop waits for nobody who was stopped. */
static void test_stopped_ones_end(void **st) {
  const struct spawner_opts so = {.data_dir = data};
  struct spawner *s;
  struct wr_err err;
  (void)st;
  assert_int_equal(spawner_start(&so, &s, &err), WR_OK);
  pid_t guard = h_child(getpid(), "weir-guard"), spawner = h_spawner(getpid());
  assert_true(kill(guard, SIGSTOP) == 0 && kill(spawner, SIGSTOP) == 0);
  spawner_end(s);
  assert_true(lock_free());
}

/* The two that waited for a place are known to the next node on the directory, once. */
static void test_never_started_are_told(void **st) {
  const struct spawner_opts so = {.data_dir = H.dir};
  struct spawner *s;
  struct wr_err err;
  size_t n;
  (void)st;
  pid_t node = start_node(INT64_MAX / 2);
  kill(node, SIGKILL);
  reap_all();
  assert_int_equal(spawner_start(&so, &s, &err), WR_OK);
  const struct never_started *v = spawner_never_started(s, &n);
  assert_int_equal(n, 2);
  assert_int_equal(v[1].ti, v[0].ti + 1);
  assert_int_equal(v[0].epoch, 1);
  assert_int_equal(lock_pid(), getpid());
  spawner_end(s);
  assert_int_equal(spawner_start(&so, &s, &err), WR_OK);
  (void)spawner_never_started(s, &n);
  assert_int_equal(n, 0);
  spawner_end(s);
}

/* Any two of node, guard and spawner at one instant: the third clears up. */
static void test_two_killed(void **st) {
  (void)st;
  for (int left = 0; left < 3; left++) {
    pid_t node = start_node(INT64_MAX / 2), family[] = {node, h_child(node, "weir-guard"), h_spawner(node)};
    for (int i = 0; i < 3; i++) assert_true(family[i] > 0 && kill(family[i], SIGSTOP) == 0);
    for (int i = 0; i < 3; i++) kill(family[i], i == left ? SIGCONT : SIGKILL);
    if (left == 0) {
      await_all_dead();
      kill(node, SIGKILL);
    }
    reap_all();
    assert_true(h_all_dead(fifo));
    assert_true(lock_free());
  }
}

/* A signal to the node's group, as a terminal or a supervisor sends it, leaves those who clear up alone. */
static void test_group_killed(void **st) {
  (void)st;
  pid_t node = start_node(INT64_MAX / 2);
  assert_int_equal(kill(-node, SIGKILL), 0);
  reap_all();
  assert_true(h_all_dead(fifo));
  assert_true(lock_free());
}

/* The guard alone: nothing is lost, and the spawner's end is seen all the same. */
static void test_guard_killed(void **st) {
  (void)st;
  pid_t node = start_node(INT64_MAX / 2), spawner = h_spawner(node);
  kill(h_child(node, "weir-guard"), SIGKILL);
  while (h_child(node, "weir-spawner") != spawner) sched_yield();
  assert_false(h_all_dead(fifo));
  kill(spawner, SIGKILL);
  await_all_dead();
  kill(node, SIGKILL);
  reap_all();
  assert_true(lock_free());
}

/* The spawner, and when the node has cleared up after it, the node. */
static void test_spawner_then_node_killed(void **st) {
  (void)st;
  pid_t node = start_node(INT64_MAX / 2);
  pid_t spawner = h_spawner(node);
  assert_true(spawner > 0 && h_child(node, "weir-spare") > 0);
  kill(spawner, SIGKILL);
  await_all_dead();
  assert_false(lock_free()); /* the spare has it */
  kill(node, SIGKILL);
  reap_all();
  assert_true(lock_free());
}

/* The spare alone: nothing is lost. */
static void test_spare_killed(void **st) {
  (void)st;
  pid_t node = start_node(INT64_MAX / 2);
  kill(h_child(node, "weir-spare"), SIGKILL);
  assert_false(h_all_dead(fifo));
  kill(node, SIGKILL);
  reap_all();
  assert_true(h_all_dead(fifo));
}

/* A frozen node cannot kill; its spawner does, at the deadline. */
static void test_node_frozen(void **st) {
  (void)st;
  pid_t node = start_node(500000);
  kill(node, SIGSTOP);
  await_all_dead();
  kill(node, SIGKILL);
  reap_all();
}

static void test_second_node_refused(void **st) {
  (void)st;
  pid_t node = start_node(INT64_MAX / 2);
  struct wr_err err;
  struct spawner *s;
  char want[128];
  const struct spawner_opts so = {.data_dir = H.dir};
  snprintf(want, sizeof want, "Another Weir process (pid %d) uses this data directory: stop it, or name another one with --data.", (int)node);
  assert_int_equal(spawner_start(&so, &s, &err), WR_IN_USE); /* within two seconds */
  assert_string_equal(err.msg, want);
  kill(node, SIGKILL);
  reap_all();
}

static void test_bad_options(void **st) {
  (void)st;
  struct wr_err err;
  struct spawner *s;
  assert_int_equal(spawner_start(&(struct spawner_opts){.data_dir = "/no/such/dir"}, &s, &err), WR_INTERNAL);
  assert_non_null(strstr(err.msg, "No such file or directory"));
  assert_int_equal(waitpid(-1, NULL, 0), -1);
}

int main(void) {
  h_dir();
  fifo = h_fifo("tree");
  snprintf(data, sizeof data, "%s", H.dir);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_bad_options), cmocka_unit_test(test_node_killed), cmocka_unit_test(test_two_killed), cmocka_unit_test(test_never_started_are_told),
    cmocka_unit_test(test_no_room_for_the_next), cmocka_unit_test(test_stopped_ones_end),
    cmocka_unit_test(test_group_killed), cmocka_unit_test(test_guard_killed), cmocka_unit_test(test_spawner_then_node_killed),
    cmocka_unit_test(test_spare_killed), cmocka_unit_test(test_node_frozen), cmocka_unit_test(test_second_node_refused)};
  int rc = cmocka_run_group_tests_name("node", tests, NULL, NULL);
  close(fifo);
  h_remove();
  return rc;
}
