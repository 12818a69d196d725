/* The last line: a spawner is asked by packets, past all that a node checks, for starts as users that are not on its list. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "run_as.h"

enum { WAIT_MS = 60000 };
static struct spawner *spawner;
static int64_t last_id;

/* What it answers to a START of `exit 0`; group 0 = none beside gid. */
static struct sw_exit ask(bool change, uid_t uid, gid_t gid, const gid_t *group) {
  static const char words[] = "/bin/sh\0-c\0exit 0"; /* its last NUL too */
  struct { struct sw_start m; char text[64]; } p = {.m = {.kind = SW_START, .id = ++last_id, .umask = -1, .n_argv = 3}};
  struct sw_exit r[SW_REPORTS];
  uint32_t kind;
  size_t at = 0;
  if (change) p.m.flags = SW_USER, p.m.uid = uid, p.m.gid = gid, p.m.n_group = group ? 1 : 0;
  if (group) memcpy(p.text, group, at = sizeof *group);
  memcpy(p.text + at, words, sizeof words);
  p.m.text_bytes = at + sizeof words;
  int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  assert_int_equal(spawner_send(spawner, &p, sizeof p.m + p.m.text_bytes, &null, 1), 0);
  close(null);
  for (;;) {
    struct pollfd f = {.fd = spawner->sock, .events = POLLIN};
    assert_int_equal(poll(&f, 1, WAIT_MS), 1);
    ssize_t n = spawner_recv(spawner, r, sizeof r, &kind);
    if (n == 0) fail_msg("the spawner died");
    if (n > 0 && kind == SW_EXIT && r[0].id == last_id) return r[0];
  }
}

static void refused(bool change, uid_t uid, gid_t gid, const gid_t *group) {
  struct sw_exit r = ask(change, uid, gid, group);
  assert_int_equal(r.step, STEP_NOT_ALLOWED);
  assert_true(r.start_us == 0); /* it was never forked */
}

static void test_root(void **st) {
  static const gid_t root = 0;
  (void)st;
  refused(true, 0, 0, NULL);
  refused(true, 0, 65534, NULL);
  refused(true, 65534, 0, NULL);
  refused(true, 65534, 65534, &root);
}

static void test_others(void **st) {
  (void)st;
  refused(true, (uid_t)-1, (gid_t)-1, NULL);
  refused(true, 1, 1, NULL);
  refused(true, geteuid() + 1, getegid(), NULL);
  if (geteuid() == 0) refused(false, 0, 0, NULL); /* as itself: root is not on this list */
}

static void test_listed(void **st) {
  (void)st;
  struct passwd *nobody = geteuid() == 0 ? getpwnam("nobody") : NULL;
  struct sw_exit r = nobody ? ask(true, nobody->pw_uid, nobody->pw_gid, NULL) : ask(false, 0, 0, NULL);
  assert_int_equal(r.step, STEP_NONE);
  assert_int_equal(r.status, 0);
}

int main(void) {
  struct wr_err err;
  struct run_as *list;
  const struct run_as_opts root = {.user = "nobody", .self = 0, .can_change = true}, own = {.personal = true, .self = geteuid()};
  h_dir();
  h_host();
  if (run_as_new(geteuid() == 0 ? &root : &own, &list, &err)) return fprintf(stderr, "%s\n", err.msg), 1;
  const struct spawner_opts so = {.data_dir = H.dir, .run_as = list};
  if (spawner_start(&so, &spawner, &err)) return fprintf(stderr, "%s\n", err.msg), 1;
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_root), cmocka_unit_test(test_others), cmocka_unit_test(test_listed)};
  int rc = cmocka_run_group_tests_name("allowed", tests, NULL, NULL);
  spawner_end(spawner);
  run_as_free(list);
  h_remove();
  return rc;
}
