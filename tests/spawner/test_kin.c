/* A host has children of its own, in sessions of their own, and may itself be a task of another node, whose mark it and they
 * carry. When its spawner and guard die at once, it inherits what attempts have left: that is killed, and nothing else. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness.h"

enum { OUTER = 1000000 };          /* the number that another node gave this process; those of its own attempts are lower */

static pid_t kin(rlim_t mark) {
  int ready[2];
  char c;
  assert_int_equal(pipe(ready), 0);
  pid_t pid = fork();
  if (pid == 0) {
    const struct rlimit l = {mark, mark};
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* a test that fails leaves nothing */
    if (setsid() < 0 || setrlimit(RLIMIT_LOCKS, &l) || write(ready[1], "", 1) != 1) _exit(1);
    for (;;) pause();
  }
  assert_int_equal(read(ready[0], &c, 1), 1);
  close(ready[0]);
  close(ready[1]);
  return pid;
}

static void end_kin(pid_t pid) {
  int status;
  assert_int_equal(waitpid(pid, &status, WNOHANG), 0); /* it lives, and is ours to wait for */
  kill(pid, SIGKILL);
  assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void test_kin_live(void **st) {
  char line[32];
  struct buf b = BUF_INIT;
  (void)st;
  pid_t marked = kin(MARK_BASE + OUTER), unmarked = kin(1000);
  int fifo = h_fifo("tree");
  buf_printf(&b, "exec 9> %s/tree; setsid sh -c 'echo ready >&9; exec sleep 1000' & exec sleep 1000", H.dir);
  struct attempt *a = h_attempt("SHELL", b.data, "{\"onLost\":\"fail\"}");
  int64_t ti = a->ti;
  worker_start(H.w, a);
  h_line(fifo, line, sizeof line);
  pid_t guard = h_child(getpid(), "weir-guard"), spawner = h_spawner(getpid());
  assert_true(guard > 0 && spawner > 0);
  kill(guard, SIGSTOP);
  kill(spawner, SIGSTOP);
  kill(guard, SIGKILL);
  kill(spawner, SIGKILL);
  a = h_await(ti);
  assert_int_equal(a->end, ATTEMPT_LOST);
  attempt_free(a);
  assert_true(h_all_dead(fifo));
  h_expect("exit 0", NULL, ATTEMPT_OK, NULL); /* with the next spawner */
  end_kin(marked);
  end_kin(unmarked);
  close(fifo);
  buf_done(&b);
}

int main(void) {
  const struct rlimit mark = {MARK_BASE + OUTER, MARK_BASE + OUTER};
  if (setrlimit(RLIMIT_LOCKS, &mark)) return 1;
  h_open(NULL);
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_kin_live)};
  int rc = cmocka_run_group_tests_name("kin", tests, NULL, NULL);
  h_close();
  return rc;
}
