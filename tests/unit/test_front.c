/* The front: the thread of /readyz stands still, and whoever waits for it takes no place for ever. */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
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

static int ask(uint16_t port, const char *path) {
  const struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof a), 0);
  assert_true(dprintf(fd, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path) > 0);
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

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_probes_that_wait)};
  return cmocka_run_group_tests_name("front", tests, NULL, NULL);
}
