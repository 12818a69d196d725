/* The ways from a node to the program of its spawner: execveat(); where that is not there, by the name of a descriptor; where
 * nothing can be executed, an error that names the cause. The kernel refuses calls of this process one by one: in this order. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "harness.h"

/* From now on that call fails with the errno, in this process and its children. */
static void take_away(long call, int err) {
  struct sock_filter rule[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)err),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const struct sock_fprog program = {sizeof rule / sizeof *rule, rule};
  assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

static void starts(void) {
  const struct spawner_opts so = {.data_dir = H.dir};
  struct spawner *s;
  struct wr_err err = {0};
  if (spawner_start(&so, &s, &err)) fail_msg("%s", err.msg);
  spawner_end(s);
}

static void test_first_way(void **st) {
  (void)st;
  starts();
}

static void test_second_way(void **st) {
  (void)st;
  take_away(SYS_execveat, ENOSYS);
  starts();
}

static void test_no_way(void **st) {
  (void)st;
#if defined(__SANITIZE_THREAD__) /* its vfork() is fork(), whose child cannot say in our memory why it failed */
  return;
#endif
  take_away(SYS_execve, EMFILE);
  assert_int_equal(spawner_exec(NULL, 0, 0, 0), -1);
  assert_int_equal(errno, ENOSYS);
}

int main(void) {
  h_dir();
  h_host();
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_first_way), cmocka_unit_test(test_second_way), cmocka_unit_test(test_no_way)};
  int rc = cmocka_run_group_tests_name("exec", tests, NULL, NULL);
  h_remove();
  return rc;
}
