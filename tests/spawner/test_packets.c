/* What a spawner and a spare make of packets that no node of their build sends: descriptors too many, too few or twice, and sizes
 * that are not those of their kind. They do nothing of what such a packet says, keep none of its descriptors, and live. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fds.h"
#include "harness.h"

enum { WAIT_MS = 20000, IDS = 512 };
static struct spawner *spawner;
static int64_t last_id;
static struct sw_exit ended[IDS];      /* by id; kind 0 = not yet */
static int n_ready;                    /* READY packets */

static void new_pipe(int fd[2]) { assert_int_equal(pipe2(fd, O_CLOEXEC), 0); }

/* Nobody holds the other end any more, and nothing was written there. */
static void is_closed(int fd) {
  struct pollfd p = {.fd = fd, .events = POLLIN};
  char c;
  assert_int_equal(poll(&p, 1, WAIT_MS), 1);
  assert_int_equal(read(fd, &c, 1), 0);
  close(fd);
}

/* A START of the script; its id. A context, and a text that goes in a file, take the places from the fifth descriptor on. */
static int64_t start(const char *script, uint32_t flags, const int *given, size_t n_fd) {
  struct { struct sw_start m; char text[512]; } p = {
    .m = {.kind = SW_START, .flags = flags, .id = ++last_id, .umask = -1, .n_argv = 3}};
  int fd[FDS_MAX], file = memfd_create("text", MFD_CLOEXEC);
  assert_true(last_id < IDS);
  memcpy(p.text, "/bin/sh\0-c", 11);
  p.m.text_bytes = 11 + (size_t)snprintf(p.text + 11, sizeof p.text - 11, "%s", script) + 1;
  assert_int_equal(write(file, p.text, p.m.text_bytes), p.m.text_bytes);
  for (size_t i = 0; i < n_fd; i++) fd[i] = flags & SW_TEXT_FD && i >= 4 ? file : given[i];
  size_t size = sizeof p.m + (flags & SW_TEXT_FD ? 0 : p.m.text_bytes);
  assert_int_equal(fds_send(spawner->sock, &p, size, fd, n_fd, MSG_NOSIGNAL), size);
  close(file);
  return last_id;
}

static struct sw_exit await(int64_t id) {
  while (!ended[id].kind) {
    struct sw_exit r[SW_REPORTS];
    struct pollfd f = {.fd = spawner->sock, .events = POLLIN};
    uint32_t kind;
    assert_int_equal(poll(&f, 1, WAIT_MS), 1);
    ssize_t n = spawner_recv(spawner, r, sizeof r, &kind);
    if (n == 0) fail_msg("the spawner died");
    n_ready += kind == SW_READY;
    for (size_t i = 0; kind == SW_EXIT && i < (size_t)n / sizeof *r; i++) ended[r[i].id] = r[i];
  }
  return ended[id];
}

/* Everything that was sent before has been looked at, and the spawner starts tasks. */
static void spawner_works(void) {
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  struct sw_exit r = await(start("exit 0", 0, &null, 1));
  close(null);
  assert_int_equal(r.step, STEP_NONE);
  assert_int_equal(r.status, 0);
}

/* A START with n descriptors, all of them the writing end of one pipe. */
static int64_t start_with(size_t n, uint32_t flags, int *reader) {
  int out[2], fd[FDS_MAX];
  new_pipe(out);
  for (size_t i = 0; i < n; i++) fd[i] = out[1];
  int64_t id = start("exit 0", flags, fd, n);
  close(out[1]);
  *reader = out[0];
  return id;
}

static void refused(size_t n, uint32_t flags) {
  int reader;
  struct sw_exit r = await(start_with(n, flags, &reader));
  assert_int_equal(r.step, STEP_REQUEST);
  assert_true(r.start_us == 0); /* it was never forked */
  is_closed(reader);
}

static void runs(size_t n, uint32_t flags) {
  int reader;
  assert_int_equal(await(start_with(n, flags, &reader)).step, STEP_NONE);
  is_closed(reader);
}

enum { ALL = SW_APART | SW_NOTES | SW_STDIN | SW_CONTEXT | SW_SCRIPT | SW_TEXT_FD };  /* asks for SW_FDS descriptors */

/* Too many are refused although the first of them would do. */
static void test_number(void **st) {
  (void)st;
  for (size_t n = 0; n <= FDS_MAX; n++) {
    (n == 1 ? runs : refused)(n, 0);
    (n == SW_FDS ? runs : refused)(n, ALL);
  }
}

/* The same descriptor twice is fine, where two are asked for. */
static void test_twice(void **st) {
  (void)st;
  refused(2, 0);
  runs(2, SW_APART);
  runs(3, SW_APART | SW_NOTES);
}

/* A running attempt that takes the only place: it ends with status 3 when its input is closed. */
static int64_t start_waiting(int *input) {
  int in[2], null = open("/dev/null", O_RDWR | O_CLOEXEC);
  new_pipe(in);
  int64_t id = start("read x; exit 3", SW_STDIN, (const int[]){null, in[0]}, 2);
  close(null);
  close(in[0]);
  *input = in[1];
  return id;
}

static void ends_by_itself(int64_t id, int input) {
  close(input);
  struct sw_exit r = await(id);
  assert_int_equal(r.step, STEP_NONE);
  assert_true(WIFEXITED(r.status));
  assert_int_equal(WEXITSTATUS(r.status), 3);
}

static void only_one_place(void) {
  atomic_store(&spawner->page->gate_wait_us, WAIT_MS * 1000LL);
  atomic_store(&spawner->page->slots, 1);
}

static void all_places(void) {
  atomic_store(&spawner->page->slots, 0);
  spawner_works();
}

/* Such a START may wait for a place first, with others before and behind it. */
static void test_number_at_the_gate(void **st) {
  int input, reader[6], null = open("/dev/null", O_RDWR | O_CLOEXEC);
  int64_t id[6];
  (void)st;
  only_one_place();
  int64_t first = start_waiting(&input), good = start("exit 0", 0, &null, 1);
  for (size_t i = 0; i < 6; i++) id[i] = start_with((const size_t[]){0, 5, 6, 8, 9, 32}[i], ALL, &reader[i]);
  int64_t last = start("exit 0", 0, &null, 1);
  close(null);
  ends_by_itself(first, input);
  assert_int_equal(await(good).step, STEP_NONE);
  for (size_t i = 0; i < 6; i++) {
    assert_int_equal(await(id[i]).step, STEP_REQUEST);
    is_closed(reader[i]);
  }
  assert_int_equal(await(last).step, STEP_NONE);
  all_places();
}

/* The first n bytes of that packet: alone, and with a descriptor. */
static void send_part(int sock, const void *packet, size_t n) {
  int out[2];
  new_pipe(out);
  assert_int_equal(send(sock, packet, n, MSG_NOSIGNAL), n);
  assert_int_equal(fds_send(sock, packet, n, &out[1], 1, MSG_NOSIGNAL), n);
  close(out[1]);
  is_closed(out[0]);
}

/* One byte more or fewer than the packet has, and so few that only the kind, or not even that, is there. */
static void send_wrong_sizes(int sock, const void *packet, size_t size) {
  char longer[2 * sizeof(struct sw_start)] = {0};
  memcpy(longer, packet, size);
  for (size_t n = 1; n <= 24 && n < size; n++) send_part(sock, longer, n);
  send_part(sock, longer, size - 1);
  send_part(sock, longer, size + 1);
}

/* The packet before is a START with the id of what runs, where a KILL has it too. */
static void test_short_kill(void **st) {
  int input;
  (void)st;
  int64_t id = start_waiting(&input);
  const struct sw_kill m = {.kind = SW_KILL, .force = 1, .id = id};
  send_wrong_sizes(spawner->sock, &m, sizeof m);
  spawner_works();
  ends_by_itself(id, input);
}

static void test_short_start(void **st) {
  const struct sw_start m = {.kind = SW_START, .id = last_id + 1, .umask = -1, .n_argv = 3, .text_bytes = 1};
  (void)st;
  for (size_t n = 1; n < sizeof m; n++) send_part(spawner->sock, &m, n);
  spawner_works();
  assert_int_equal(ended[last_id].step, STEP_NONE); /* the only answer with this id */
}

static void test_short_recall(void **st) {
  const struct sw_plain m = {.kind = SW_RECALL};
  int input, null = open("/dev/null", O_RDWR | O_CLOEXEC);
  (void)st;
  only_one_place();
  int64_t first = start_waiting(&input), second = start("exit 0", 0, &null, 1);
  close(null);
  send_wrong_sizes(spawner->sock, &m, sizeof m);
  ends_by_itself(first, input);
  assert_int_equal(await(second).step, STEP_NONE);
  all_places();
}

/* A SPARE is answered by a READY; a LOOK and unknown kinds by nothing. */
static void test_short_plain(void **st) {
  (void)st;
  n_ready = 0;
  for (uint32_t kind = 0; kind <= SW_SLAY + 1; kind++) {
    const struct sw_plain m = {.kind = kind};
    if (kind != SW_START && kind != SW_KILL && kind != SW_RECALL) send_wrong_sizes(spawner->sock, &m, sizeof m);
  }
  spawner_works();
  assert_int_equal(n_ready, 0);
}

/* A child in a group of its own, because a SLAY kills groups. */
static pid_t victim(void) {
  pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) pause();
  }
  assert_true(pid > 0);
  assert_int_equal(setpgid(pid, pid), 0);
  return pid;
}

static void slay(pid_t pid, uint32_t n) {
  const struct sw_slay m = {.kind = SW_SLAY, .n = n, .pid = {pid}};
  assert_int_equal(send(spawner->spare, &m, sizeof m, MSG_NOSIGNAL), sizeof m);
}

/* Answers of the spare that are there now: one for each SLAY of the right size. */
static int spare_answers(void) {
  struct sw_plain m;
  int n = 0;
  for (; recv(spawner->spare, &m, sizeof m, MSG_DONTWAIT) == (ssize_t)sizeof m; n++) assert_int_equal(m.kind, SW_SLAY);
  return n;
}

/* A spare is not woken, and kills nobody, by part of a packet. The death of the second process shows that all packets before that
 * one were looked at. */
static void test_short_for_the_spare(void **st) {
  const struct sw_plain wake = {.kind = SW_ACTIVATE};
  pid_t spared = victim(), last = victim();
  const struct sw_slay m = {.kind = SW_SLAY, .n = 1, .pid = {spared}};
  (void)st;
  assert_true(spawner->spare >= 0);
  slay(spared, 0); /* the spare has the pid in its memory now */
  send_wrong_sizes(spawner->spare, &m, sizeof m);
  send_wrong_sizes(spawner->spare, &wake, sizeof wake);
  slay(last, 1);
  assert_int_equal(waitpid(last, NULL, 0), last);
  assert_in_range(spare_answers(), 1, 2); /* the last one may be on its way */
  assert_int_equal(waitpid(spared, NULL, WNOHANG), 0);
  kill(spared, SIGKILL);
  assert_int_equal(waitpid(spared, NULL, 0), spared);
}

/* ---- fds.c alone ---- */

static void receive(const int pair[2], size_t sent, size_t room, size_t want, bool cut) {
  struct fds f;
  char b[4];
  const int fd[] = {0, 0, 0, 0, 0, 0, 0, 0};
  assert_int_equal(fds_send(pair[0], "abcd", 4, fd, sent, MSG_NOSIGNAL), 4);
  assert_int_equal(fds_recv(pair[1], b, sizeof b, MSG_DONTWAIT, room, &f), 4);
  assert_int_equal(f.n, want);
  assert_true(f.cut == cut);
  fds_close(&f, 0);
  assert_int_equal(f.n, 0);
}

static void test_room(void **st) {
  int pair[2], lowest;
  struct fds f;
  char b[2];
  (void)st;
  assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
  lowest = dup(0);
  close(lowest);
  for (size_t sent = 0; sent <= 8; sent++)
    for (size_t room = 0; room <= 8; room++) receive(pair, sent, room, sent < room ? sent : room, sent > room);
  assert_int_equal(send(pair[0], "abcd", 4, 0), 4); /* more bytes than there is room for */
  assert_int_equal(fds_recv(pair[1], b, sizeof b, 0, 1, &f), 2);
  assert_true(f.cut);
  struct rlimit was, few;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
  few = was;
  few.rlim_cur = (rlim_t)lowest + 1; /* of two descriptors this process can have one */
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
  receive(pair, 2, 2, 1, true);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
  assert_int_equal(fds_recv(pair[1], b, sizeof b, MSG_DONTWAIT, 1, &f), -1);
  assert_int_equal(errno, EAGAIN);
  assert_true(f.n == 0 && !f.cut);
  int last = dup(0);
  assert_int_equal(last, lowest); /* nothing was kept */
  close(last);
  close(pair[0]);
  assert_int_equal(fds_recv(pair[1], b, sizeof b, 0, 1, &f), 0);
  close(pair[1]);
}

int main(void) {
  struct wr_err err;
  h_dir();
  h_host();
  const struct spawner_opts so = {.data_dir = H.dir};
  if (spawner_start(&so, &spawner, &err)) return fprintf(stderr, "%s\n", err.msg), 1;
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_room), cmocka_unit_test(test_number), cmocka_unit_test(test_twice), cmocka_unit_test(test_number_at_the_gate),
    cmocka_unit_test(test_short_start), cmocka_unit_test(test_short_kill), cmocka_unit_test(test_short_recall),
    cmocka_unit_test(test_short_plain), cmocka_unit_test(test_short_for_the_spare)};
  int rc = cmocka_run_group_tests_name("packets", tests, NULL, NULL);
  spawner_end(spawner);
  h_remove();
  return rc;
}
