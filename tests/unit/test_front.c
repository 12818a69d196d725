/* The front: the thread of /readyz stands still, and whoever waits for it takes no place for ever. And a thread takes the place that
 * was made for a new connection, in the moment in which that comes in. */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "front.h"
#include "unit.h"

enum { MOST = 4, WAIT_MS = 60000 };
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static bool hold = true, asked;

static enum front_then answer(void *ctx, enum front_who who, int fd, char *head, size_t n, enum wr_rc why) {
  (void)ctx;
  (void)head;
  (void)n;
  pthread_mutex_lock(&mu);
  if (who == FRONT_PROBE) asked = true;
  pthread_cond_broadcast(&changed);
  while (who == FRONT_PROBE && hold) pthread_cond_wait(&changed, &mu);
  pthread_mutex_unlock(&mu);
  dprintf(fd, "%s", why == WR_OK ? "well" : "busy");
  return FRONT_CLOSE;
}

static void tick(void *ctx) { (void)ctx; }

/* ---- the moment ---- */
static struct front *robbed;         /* by the connection that comes in as the ROBBED_BY-th */
static int loot = -1;                /* what takes its place */
static atomic_int came_in;
enum { ROBBED_BY = MOST + 2 };
int __real_accept4(int fd, struct sockaddr *addr, socklen_t *n, int flags);
int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *n, int flags);
int __wrap_accept4(int fd, struct sockaddr *addr, socklen_t *n, int flags) {
  int got = __real_accept4(fd, addr, n, flags);
  if (got >= 0 && robbed && atomic_fetch_add(&came_in, 1) + 1 == ROBBED_BY) front_linger(robbed, loot);
  return got;
}

/* ---- a client ---- */

static int half_ask(uint16_t port) {
  const struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof a), 0);
  assert_true(dprintf(fd, "GET ") > 0);
  return fd;
}

static int ask(uint16_t port, const char *path) {
  int fd = half_ask(port);
  assert_true(dprintf(fd, "%s HTTP/1.1\r\nHost: x\r\n\r\n", path) > 0);
  return fd;
}

static void expect(int fd, const char *text) {
  char b[64] = "";
  struct pollfd p = {.fd = fd, .events = POLLIN};
  if (poll(&p, 1, WAIT_MS) != 1) fail_msg("no answer");
  ssize_t n = read(fd, b, sizeof b - 1); /* -1: it had to go for another one */
  if (text) assert_true(n >= 0);
  if (text) assert_string_equal(b, text);
  close(fd);
}

static void test_probes_that_wait(void **st) {
  (void)st;
  struct wr_err err;
  struct front_opts o = {.threads = 1, .most = MOST, .wait_us = 1000000, .answer = answer, .tick = tick};
  uint16_t port;
  int fd[MOST + 1];
  assert_int_equal(front_listen("127.0.0.1:0", &o.listener, &port, &err), WR_OK);
  struct front *f = front_new(&o);
  assert_int_equal(front_start(f, &err), WR_OK);
  fd[0] = ask(port, "/readyz");
  pthread_mutex_lock(&mu);
  while (!asked) pthread_cond_wait(&changed, &mu);
  pthread_mutex_unlock(&mu);
  for (int i = 1; i <= MOST; i++) fd[i] = ask(port, "/readyz"); /* all places are taken now: MOST, and that of a thread */
  expect(ask(port, "/livez"), "well");
  expect(fd[MOST], "busy"); /* its time was over */
  for (int i = 1; i < MOST; i++) expect(fd[i], NULL);
  pthread_mutex_lock(&mu);
  hold = false;
  pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&mu);
  expect(fd[0], "well");
  front_close(f);
  front_free(f);
}

/* A thread whose answer is sent keeps its connection for the rest of what the client sends. */
static void test_the_place_that_was_made_is_gone(void **st) {
  (void)st;
  struct wr_err err;
  struct front_opts o = {.threads = 1, .most = MOST, .wait_us = 1000000, .answer = answer, .tick = tick};
  uint16_t port;
  int fd[ROBBED_BY], other[2];
  assert_int_equal(front_listen("127.0.0.1:0", &o.listener, &port, &err), WR_OK);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, other), 0);
  loot = other[0];
  robbed = front_new(&o);
  assert_int_equal(front_start(robbed, &err), WR_OK);
  for (int i = 0; i < ROBBED_BY; i++) fd[i] = half_ask(port); /* the last one has the place of the first, which it does not get */
  expect(fd[0], NULL);
  expect(fd[ROBBED_BY - 1], NULL);
  expect(ask(port, "/livez"), "well");
  assert_true(atomic_load(&came_in) > ROBBED_BY);
  front_close(robbed);
  front_free(robbed);
  robbed = NULL;
  for (int i = 1; i < ROBBED_BY - 1; i++) close(fd[i]);
  close(other[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_probes_that_wait), cmocka_unit_test(test_the_place_that_was_made_is_gone)};
  return cmocka_run_group_tests_name("front", tests, NULL, NULL);
}
