/* See mysql_proxy.h. Bytes are relayed as they come. A cut looks at the first bytes that a client sends. The small packets of
 * interest arrive whole: 3 bytes length, 1 byte number, 3 = COM_QUERY, text. */
#include "mysql_proxy.h"
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "err.h"

enum { PAIRS = 32 };
struct pair { int client, server; bool mute; };   /* -1 = closed; mute: the server's answer is lost, then both are closed */
struct proxy {
  int listen_fd, wake[2];
  char listen_path[108], server_path[108];
  struct pair v[PAIRS];
  atomic_int cut, slow_ms;
  atomic_bool did, let_go, silent;
  pthread_t thread;
};

static int unix_socket(const char *path, struct sockaddr_un *a) {
  *a = (struct sockaddr_un){.sun_family = AF_UNIX};
  wr_assert(strlen(path) < sizeof a->sun_path);
  memcpy(a->sun_path, path, strlen(path) + 1);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  wr_assert(fd >= 0);
  return fd;
}

static void shut(int *fd) {
  if (*fd >= 0) close(*fd);
  *fd = -1;
}

static bool send_all(int fd, const char *p, ssize_t n) {
  while (n > 0) {
    ssize_t k = send(fd, p, (size_t)n, MSG_NOSIGNAL);
    if (k <= 0) return false;
    p += k, n -= k;
  }
  return true;
}

static void take_client(struct proxy *p) {
  struct sockaddr_un a;
  struct pair *free_one = NULL;
  int fd = accept(p->listen_fd, NULL, NULL);
  for (int i = 0; i < PAIRS; i++)
    if (p->v[i].client < 0 && p->v[i].server < 0) free_one = &p->v[i];
  wr_assert(fd >= 0 && free_one);
  *free_one = (struct pair){fd, unix_socket(p->server_path, &a), false};
  if (connect(free_one->server, (struct sockaddr *)&a, sizeof a)) shut(&free_one->client), shut(&free_one->server);
}

static enum cut wanted(struct proxy *p, const char *data, ssize_t n) {
  enum cut c = (enum cut)atomic_load(&p->cut);
  bool query = n > 5 && data[4] == 3;
  bool commit = query && n == 11 && memcmp(data + 5, "COMMIT", 6) == 0;
  bool batch = query && n > 22 && memcmp(data + 5, "START TRANSACTION", 17) == 0;
  bool clock = query && n > 26 && memcmp(data + 5, "SELECT TIMESTAMPDIFF", 20) == 0;
  if (c == CUT_NOTHING || (c == CUT_CLOCK_ANSWER ? !clock : c == CUT_WRITE_ANSWER ? !batch : !commit)) return CUT_NOTHING;
  atomic_store(&p->cut, CUT_NOTHING);
  return c;
}

/* Bytes from a client. */
static void up(struct proxy *p, struct pair *v) {
  char data[65536];
  ssize_t n = recv(v->client, data, sizeof data, 0);
  enum cut c = n > 0 ? wanted(p, data, n) : CUT_NOTHING;
  if (c == CUT_COMMIT || c == CUT_COMMIT_HALF) {
    atomic_store(&p->did, true);
    if (c == CUT_COMMIT) shut(&v->server);
    shut(&v->client);
    return;
  }
  v->mute |= c != CUT_NOTHING;
  if (n <= 0 || !send_all(v->server, data, n)) shut(&v->client), shut(&v->server);
}

/* Bytes from the server. */
static void down(struct proxy *p, struct pair *v) {
  char data[65536];
  ssize_t n = recv(v->server, data, sizeof data, 0);
  poll(NULL, 0, atomic_load(&p->slow_ms));
  if (v->mute) {
    atomic_store(&p->did, true);
    shut(&v->client), shut(&v->server);
    return;
  }
  if (n <= 0 || v->client < 0 || !send_all(v->client, data, n)) shut(&v->client), shut(&v->server);
}

static void drop_halves(struct proxy *p) {
  if (!atomic_exchange(&p->let_go, false)) return;
  for (int i = 0; i < PAIRS; i++)
    if (p->v[i].client < 0) shut(&p->v[i].server);
}

static void *relay(void *arg) {
  struct proxy *p = arg;
  for (;;) {
    struct pollfd f[2 + 2 * PAIRS];
    f[0] = (struct pollfd){p->listen_fd, POLLIN, 0};
    f[1] = (struct pollfd){p->wake[0], POLLIN, 0};
    for (int i = 0; i < PAIRS; i++) {
      f[2 + 2 * i] = (struct pollfd){p->v[i].client, POLLIN, 0};
      f[3 + 2 * i] = (struct pollfd){p->v[i].server, POLLIN, 0};
    }
    bool silent = atomic_load(&p->silent);
    if (silent) f[0].fd = -1;
    if (poll(f, silent ? 2 : 2 + 2 * PAIRS, -1) < 0) continue;
    char c = 0;
    if (f[1].revents && (read(p->wake[0], &c, 1) != 1 || c == 'q')) return NULL;
    if (silent) continue;
    drop_halves(p);
    for (int i = 0; i < PAIRS; i++) {
      if (f[2 + 2 * i].revents && p->v[i].client >= 0) up(p, &p->v[i]);
      if (f[3 + 2 * i].revents && p->v[i].server >= 0) down(p, &p->v[i]);
    }
    if (f[0].revents) take_client(p);
  }
}

struct proxy *proxy_new(const char *listen_path, const char *server_path) {
  struct sockaddr_un a;
  struct proxy *p = calloc(1, sizeof *p);
  wr_assert(p && strlen(server_path) < sizeof p->server_path && strlen(listen_path) < sizeof p->listen_path);
  memcpy(p->server_path, server_path, strlen(server_path) + 1);
  memcpy(p->listen_path, listen_path, strlen(listen_path) + 1);
  for (int i = 0; i < PAIRS; i++) p->v[i] = (struct pair){-1, -1, false};
  p->listen_fd = unix_socket(listen_path, &a);
  (void)unlink(listen_path); /* from a run that was killed */
  wr_assert(bind(p->listen_fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(p->listen_fd, 16) == 0);
  wr_assert(pipe(p->wake) == 0);
  wr_assert(pthread_create(&p->thread, NULL, relay, p) == 0);
  return p;
}

static void wake(struct proxy *p, char c) { wr_assert(write(p->wake[1], &c, 1) == 1); }

void proxy_free(struct proxy *p) {
  wake(p, 'q');
  pthread_join(p->thread, NULL);
  for (int i = 0; i < PAIRS; i++) shut(&p->v[i].client), shut(&p->v[i].server);
  shut(&p->listen_fd);
  (void)unlink(p->listen_path);
  close(p->wake[0]);
  close(p->wake[1]);
  free(p);
}

void proxy_cut(struct proxy *p, enum cut c) {
  atomic_store(&p->did, false);
  atomic_store(&p->cut, c);
}

void proxy_slow(struct proxy *p, int ms) { atomic_store(&p->slow_ms, ms); }
bool proxy_did(struct proxy *p) { return atomic_load(&p->did); }

void proxy_let_go(struct proxy *p) {
  atomic_store(&p->let_go, true);
  wake(p, 'g');
}

void proxy_silent(struct proxy *p, bool on) {
  atomic_store(&p->silent, on);
  wake(p, 's');
}
