/* A site that answers late: every request gets 200 and "ok" so many milliseconds after it was read, one thread, any number of
 * connections. Prints its port, ends with its standard input.
 *
 *   late MILLISECONDS
 *
 * All wait equally long, so the answers are due in the order of the requests: a list is enough. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"
#include "mem.h"

enum { EVENTS = 256, BACKLOG = 8192 };

struct due { int fd; int64_t at_us; };
static struct due *due;
static size_t first, n, cap;

static int listen_here(void) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t len = sizeof at;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) || listen(fd, BACKLOG)) die("cannot listen");
  if (getsockname(fd, (struct sockaddr *)&at, &len)) die("cannot listen");
  printf("%u\n", ntohs(at.sin_port));
  fflush(stdout);
  return fd;
}

static void watch(int epoll, int fd) {
  struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e)) die("cannot watch a connection");
}

static void take_all(int epoll, int listener) {
  for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0;) watch(epoll, fd);
}

/* A request is one small packet here. */
static void read_one(int fd, int64_t at_us) {
  char bytes[4096];
  ssize_t got = read(fd, bytes, sizeof bytes);
  if (got <= 0) close(fd);
  else *WR_PUSH(due, n, cap) = (struct due){fd, at_us};
}

static void answer_due(void) {
  static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  for (; first < n && due[first].at_us <= now_us(); first++)
    if (write(due[first].fd, ok, sizeof ok - 1) < 0) close(due[first].fd);
  if (first == n) first = n = 0;
}

int main(int argc, char **argv) {
  struct epoll_event e[EVENTS];
  struct rlimit l;
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  if (argc != 2) die("usage: late MILLISECONDS");
  int64_t late_us = strtoll(argv[1], NULL, 10) * 1000;
  if (getrlimit(RLIMIT_NOFILE, &l) == 0) l.rlim_cur = l.rlim_max, (void)setrlimit(RLIMIT_NOFILE, &l);
  int listener = listen_here();
  watch(epoll, listener);
  watch(epoll, STDIN_FILENO);
  for (;;) {
    int64_t left = first < n ? (due[first].at_us - now_us() + 999) / 1000 : -1;
    int got = epoll_wait(epoll, e, EVENTS, first < n && left < 0 ? 0 : (int)left);
    for (int i = 0; i < got; i++) {
      if (e[i].data.fd == STDIN_FILENO) return 0;
      if (e[i].data.fd == listener) take_all(epoll, listener);
      else read_one(e[i].data.fd, now_us() + late_us);
    }
    answer_due();
  }
}
