/* The connections of the Redis queue: dialing in a thread of its own, so that neither pusher nor poller ever waits for a
 * Redis that does not answer, and the reading of replies with a bound. The dialer's thread owns the connection that it makes;
 * a finished one belongs to the thread that took it.
 *
 * What never happens: a wait without a bound, a second log line for one outage, a password in a log line. */
#include "redis_int.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "mem.h"
#include "resolve.h"

/* ---- one connection: replies ---- */

enum await redis_await(redisContext *c, int64_t until_us, int wake_fd, redisReply **out) {
  for (;;) {
    void *reply = NULL;
    if (redisGetReplyFromReader(c, &reply) != REDIS_OK) return BROKEN;
    if ((*out = reply)) return GOT;
    if (c->reader->len - c->reader->pos > REPLY_BYTES) return BROKEN;
    int64_t left = until_us - clock_mono_us();
    struct timespec ts = mono_at(left > 0 ? left : 0);
    struct pollfd fd[2] = {{.fd = c->fd, .events = POLLIN}, {.fd = wake_fd, .events = POLLIN}};
    int n = ppoll(fd, 2, &ts, NULL);
    if (n < 0 && errno != EINTR) return BROKEN;
    if (n > 0 && fd[0].revents) {
      if (redisBufferRead(c) != REDIS_OK) return BROKEN;
    } else if (n > 0) {
      return WOKEN;
    } else if (n == 0 && left <= 0) {
      return TIMED_OUT;
    }
  }
}

bool redis_flush(redisContext *c) {
  int done = 0;
  while (!done)
    if (redisBufferWrite(c, &done) != REDIS_OK) return false;
  return true;
}

bool redis_append(redisContext *c, int argc, const char **argv) {
  return redisAppendCommandArgv(c, argc, argv, NULL) == REDIS_OK;
}

/* ---- dialing ---- */

static int finish_connect(int fd, const struct sockaddr *to, socklen_t n) {
  if (connect(fd, to, n) == 0) return 0;
  if (errno != EINPROGRESS) return -1;
  struct pollfd p = {.fd = fd, .events = POLLOUT};
  int64_t until = redis_after(CONNECT_US), left;
  int got = 0, e = ETIMEDOUT;
  while ((left = until - clock_mono_us()) > 0) {
    struct timespec ts = mono_at(left);
    got = ppoll(&p, 1, &ts, NULL);
    if (got >= 0 || errno != EINTR) break;
  }
  socklen_t len = sizeof e;
  if (got > 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &e, &len) != 0) e = errno;
  errno = e;
  return e ? -1 : 0;
}

/* Makes the socket known to close while it connects. False: closing. */
static bool dial_fd_set(struct redis_queue *q, int fd) {
  pthread_mutex_lock(&q->mu);
  bool ok = !q->closing;
  q->dial_fd = ok ? fd : -1;
  pthread_mutex_unlock(&q->mu);
  return ok;
}

/* A connected, blocking socket with time-outs, or -1. */
static int dial_one(struct redis_queue *q, int family, const struct sockaddr *to, socklen_t n) {
  int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  if (!dial_fd_set(q, fd)) goto fail;
  if (finish_connect(fd, to, n) != 0) goto fail;
  int flags = fcntl(fd, F_GETFL), on = 1;
  if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) != 0) goto fail;
  struct timeval tv = {.tv_sec = COMMAND_US / 1000000, .tv_usec = COMMAND_US % 1000000};
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) != 0) goto fail;
  if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv) != 0) goto fail;
  if (family != AF_UNIX) {
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* slower without, not wrong */
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  }
  return fd;
fail:;
  int e = errno;
  (void)dial_fd_set(q, -1); /* before another file can get the number */
  close(fd);
  errno = e;
  return -1;
}

static int dial_unix(struct redis_queue *q) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  memcpy(to.sun_path, q->where.path, strlen(q->where.path)); /* queue.c has checked the length */
  return dial_one(q, AF_UNIX, (const struct sockaddr *)&to, sizeof to);
}

static int dial_tcp(struct redis_queue *q, const char **why) {
  struct addresses to;
  int fd = -1;
  *why = resolve(q->where.host, (uint16_t)q->where.port, redis_after(CONNECT_US), &to);
  for (size_t i = 0; !*why && i < to.n && fd < 0; i++)
    fd = dial_one(q, to.a[i].at.ss_family, (const struct sockaddr *)&to.a[i].at, to.a[i].len);
  return fd;
}

/* One command of the handshake; true when the answer is +want. */
static bool handshake_step(redisContext *c, int argc, const char **argv, const char *want, char why[WHY_BYTES]) {
  redisReply *r = NULL;
  if (!redis_append(c, argc, argv) || !redis_flush(c) || redis_await(c, redis_after(CONNECT_US), -1, &r) != GOT) {
    snprintf(why, WHY_BYTES, "no answer to %s", argv[0]);
    return false;
  }
  bool ok = r->type == REDIS_REPLY_STATUS && strcmp(r->str, want) == 0;
  if (!ok) snprintf(why, WHY_BYTES, "%s: %.100s", argv[0], r->type == REDIS_REPLY_ERROR ? r->str : "unexpected answer");
  freeReplyObject(r);
  return ok;
}

/* The number of this connection; old servers have none, and some do not let everybody ask. */
static int64_t client_number(redisContext *c) {
  redisReply *r = NULL;
  if (!redis_append(c, 2, (const char *[]){"CLIENT", "ID"}) || !redis_flush(c) ||
      redis_await(c, redis_after(CONNECT_US), -1, &r) != GOT) return 0;
  int64_t id = r->type == REDIS_REPLY_INTEGER ? r->integer : 0;
  freeReplyObject(r);
  return id;
}

static bool handshake(const struct redis_where *w, redisContext *c, char why[WHY_BYTES]) {
  const char *auth[3] = {"AUTH", w->user ? w->user : w->password, w->password};
  char db[16];
  snprintf(db, sizeof db, "%d", w->db);
  if (w->password && !handshake_step(c, w->user ? 3 : 2, auth, "OK", why)) return false;
  if (w->db && !handshake_step(c, 2, (const char *[]){"SELECT", db}, "OK", why)) return false;
  return handshake_step(c, 1, (const char *[]){"PING"}, "PONG", why);
}

/* prove: a Redis that answers the handshake may still refuse what is sent to it. */
static redisContext *dial(struct redis_queue *q, bool prove, int64_t *client, char why[WHY_BYTES]) {
  const char *text = NULL;
  int fd = q->where.path ? dial_unix(q) : dial_tcp(q, &text);
  if (fd < 0) {
    char b[96];
    snprintf(why, WHY_BYTES, "connect: %s", text ? text : strerror_r(errno, b, sizeof b));
    return NULL;
  }
  redisContext *c = redisConnectFd(fd);
  bool ok = c && handshake(&q->where, c, why) && (!prove || redis_lists_prove(q, c, why));
  *client = ok ? client_number(c) : 0;
  (void)dial_fd_set(q, -1); /* the dialer checks `closing` itself */
  if (!c) {
    close(fd);
    snprintf(why, WHY_BYTES, "no memory");
  } else if (!ok) {
    redisFree(c);
    c = NULL;
  }
  return c;
}

/* ---- links: all under mu, except the use of c by its owner ---- */

static int64_t backoff(unsigned tries) {
  uint64_t r;
  int64_t top = tries < 8 ? (int64_t)BACKOFF_MIN_US << tries : BACKOFF_MAX_US;
  if (top > BACKOFF_MAX_US) top = BACKOFF_MAX_US;
  rand_secret(&r, sizeof r);
  return top / 2 + (int64_t)(r % (uint64_t)(top / 2));
}

/* A failure: the next dial waits a little longer. Says so once per outage. */
static void link_failed(struct redis_queue *q, struct link *l, const char *why) {
  l->wanted = true;
  l->at_us = clock_mono_us() + backoff(l->tries);
  l->tries++;
  l->failed = true;
  snprintf(q->why, sizeof q->why, "%s", why);
  if (!q->told) log_warn("queue.away", L_STR("queue", q->prefix), L_STR("why", why));
  q->told = true;
  pthread_cond_broadcast(&q->cv);
}

/* Under mu. */
static void is_back(struct redis_queue *q, struct link *l) {
  l->failed = l->refused = false;
  if (q->told && !q->push.failed && !q->pop.failed) {
    q->told = false;
    log_info("queue.back", L_STR("queue", q->prefix));
  }
}

void redis_link_good(struct redis_queue *q, struct link *l) {
  pthread_mutex_lock(&q->mu);
  l->tries = 0;
  is_back(q, l);
  pthread_mutex_unlock(&q->mu);
}

void redis_link_lost(struct redis_queue *q, struct link *l, enum loss loss, const char *why) {
  pthread_mutex_lock(&q->mu);
  redisContext *c = l->c;
  l->c = NULL;
  l->refused = loss == LOSS_AWAY;
  if (loss == LOSS_AWAY || l->tries) {
    link_failed(q, l, why);
  } else {
    l->wanted = true;
    l->at_us = 0;
    l->tries = 1;
    pthread_cond_broadcast(&q->cv);
  }
  pthread_mutex_unlock(&q->mu);
  if (c) redisFree(c);
}

static bool cv_wait_until(struct redis_queue *q, int64_t until_us) {
  if (clock_mono_us() >= until_us) return false;
  (void)cond_until(&q->cv, &q->mu, until_us);
  return true;
}

redisContext *redis_link_get(struct redis_queue *q, struct link *l, int64_t wait_us, const bool *woken) {
  int64_t until = redis_after(wait_us);
  pthread_mutex_lock(&q->mu);
  if (!l->c && !l->fresh && !l->wanted) {
    l->wanted = true;
    pthread_cond_broadcast(&q->cv);
  }
  while (!l->c && !l->fresh && !l->failed && !q->closing && !(woken && *woken))
    if (!cv_wait_until(q, until)) break;
  if (!l->c && l->fresh) {
    l->c = l->fresh;
    l->fresh = NULL;
  }
  redisContext *c = l->c;
  pthread_mutex_unlock(&q->mu);
  return c;
}

/* Dials one link; called and returns with mu held. Nobody may push for a long time, so the dialer itself proves that a push
 * that was refused would be taken now; a poller never rests. */
static void dial_link(struct redis_queue *q, struct link *l) {
  char why[WHY_BYTES] = "";
  int64_t client = 0;
  bool prove = l == &q->push && l->refused;
  pthread_mutex_unlock(&q->mu);
  redisContext *c = dial(q, prove, &client, why);
  pthread_mutex_lock(&q->mu);
  if (!c) {
    link_failed(q, l, why);
    return;
  }
  l->fresh = c;
  l->client = client;
  l->wanted = false;
  if (prove || !l->refused) is_back(q, l);
  pthread_cond_broadcast(&q->cv);
}

void *redis_dialer(void *arg) {
  struct redis_queue *q = arg;
  struct link *links[2] = {&q->push, &q->pop};
  pthread_mutex_lock(&q->mu);
  while (!q->closing) {
    int64_t now = clock_mono_us(), next = INT64_MAX;
    struct link *due = NULL;
    for (int i = 0; i < 2; i++) {
      if (!links[i]->wanted) continue;
      if (links[i]->at_us <= now) due = links[i];
      else if (links[i]->at_us < next) next = links[i]->at_us;
    }
    if (due) dial_link(q, due);
    else if (next == INT64_MAX) pthread_cond_wait(&q->cv, &q->mu);
    else (void)cv_wait_until(q, next);
  }
  pthread_mutex_unlock(&q->mu);
  return NULL;
}
