/* Descriptor 3 of a child: a pipe for what it notes while it runs. A spawner is asked by packets, since no executor asks for it
 * yet. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "run_as.h"

enum { WAIT_MS = 60000 };
static struct spawner *spawner;
static int64_t last_id;

/* Runs the script to its end with these descriptors, in the order of the protocol. */
static struct sw_exit run(const char *script, uint32_t flags, const int *fd, int n_fd) {
  struct { struct sw_start m; char text[512]; } p = {
    .m = {.kind = SW_START, .flags = flags, .id = ++last_id, .umask = -1, .n_argv = 3}};
  struct sw_exit r[SW_REPORTS];
  uint32_t kind;
  memcpy(p.text, "/bin/sh\0-c", 11);
  int n = snprintf(p.text + 11, sizeof p.text - 11, "%s", script);
  p.m.text_bytes = 11 + (size_t)n + 1;
  assert_int_equal(spawner_send(spawner, &p, sizeof p.m + p.m.text_bytes, fd, n_fd), 0);
  for (;;) {
    struct pollfd f = {.fd = spawner->sock, .events = POLLIN};
    assert_int_equal(poll(&f, 1, WAIT_MS), 1);
    ssize_t got = spawner_recv(spawner, r, sizeof r, &kind);
    if (got == 0) fail_msg("the spawner died");
    if (got > 0 && kind == SW_EXIT && r[0].id == last_id) return r[0];
  }
}

/* All that was written there by a child that has ended, and by nobody else. */
static void said(int fd[2], const char *want) {
  char b[256];
  close(fd[1]);
  ssize_t n = read(fd[0], b, sizeof b - 1);
  b[n > 0 ? n : 0] = '\0';
  assert_string_equal(b, want);
  assert_int_equal(read(fd[0], b, 1), 0); /* its end: nobody holds the other one any more */
  close(fd[0]);
}

static void new_pipe(int fd[2]) { assert_int_equal(pipe2(fd, O_CLOEXEC), 0); }

static void test_notes(void **st) {
  int out[2], notes[2];
  (void)st;
  new_pipe(out);
  new_pipe(notes);
  const int fd[] = {out[1], notes[1]};
  struct sw_exit r = run("echo a note >&3; echo output; ls /proc/self/fd | wc -w", SW_NOTES, fd, 2);
  assert_int_equal(r.step, STEP_NONE);
  assert_int_equal(r.status, 0);
  said(notes, "a note\n");
  said(out, "output\n5\n"); /* 0-3, and that with which ls looks */
}

/* Beside all else that a start may bring. */
static void test_all_together(void **st) {
  int out[2], err[2], notes[2], in[2];
  (void)st;
  new_pipe(out);
  new_pipe(err);
  new_pipe(notes);
  new_pipe(in);
  assert_int_equal(write(in[1], "input\n", 6), 6);
  const int fd[] = {out[1], err[1], notes[1], in[0]};
  struct sw_exit r = run("read x; echo $x; echo wrong >&2; echo a note >&3", SW_APART | SW_NOTES | SW_STDIN, fd, 4);
  assert_int_equal(r.status, 0);
  said(out, "input\n");
  said(err, "wrong\n");
  said(notes, "a note\n");
  close(in[0]);
  close(in[1]);
}

/* Who does not ask has three. */
static void test_not_asked(void **st) {
  int out[2];
  (void)st;
  new_pipe(out);
  const int fd[] = {out[1]};
  struct sw_exit r = run("[ -e /proc/self/fd/3 ] && echo there; exit 0", 0, fd, 1);
  assert_int_equal(r.status, 0);
  said(out, "");
}

/* One descriptor too few, or too many, is no start. */
static void test_wrong_number(void **st) {
  int out[2];
  (void)st;
  new_pipe(out);
  const int fd[] = {out[1], out[1]};
  assert_int_equal(run("exit 0", SW_NOTES, fd, 1).step, STEP_REQUEST);
  assert_int_equal(run("exit 0", 0, fd, 2).step, STEP_REQUEST);
  said(out, "");
}

int main(void) {
  struct wr_err err;
  h_dir();
  h_host();
  const struct spawner_opts so = {.data_dir = H.dir};
  if (spawner_start(&so, &spawner, &err)) return fprintf(stderr, "%s\n", err.msg), 1;
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_notes), cmocka_unit_test(test_all_together), cmocka_unit_test(test_not_asked),
                                     cmocka_unit_test(test_wrong_number)};
  int rc = cmocka_run_group_tests_name("notes", tests, NULL, NULL);
  spawner_end(spawner);
  h_remove();
  return rc;
}
