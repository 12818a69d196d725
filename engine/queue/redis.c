/* The queue on Redis or Valkey: the only file that knows hiredis.
 *
 * Two connections. `push`: under push_mu, by whoever pushes or nudges. `pop`: by the one poller. A dialer thread makes
 * both, so that nobody ever waits for a Redis that is away:
 *
 *   AWAY --link_get--> wanted --dialer: connect, AUTH, SELECT, PING--> fresh --link_get--> in use --any error--> AWAY
 *
 * Between failures the dialer backs off with jitter, up to BACKOFF_MAX_US, and forgets the failures only when a real
 * command has worked: a Redis that answers PING but refuses every write (READONLY, WRONGTYPE, LOADING) is away too.
 *
 * A pop is a request that may outlive the call: queue_wake returns while BLMPOP is on its way, and the next pop reads
 * its answer (`owed`, `spare`). All waiting is poll(2) with a deadline; a read or write never waits longer than
 * COMMAND_US. What never happens: user text as a format, a reply used before its type and size were checked. */
#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "mem.h"
#include "queue_backend.h"
#include "text.h"

enum {
  CONNECT_US = 1000000,      /* connect(2), and each answer of the handshake */
  COMMAND_US = 2000000,      /* any other answer; a blocking pop has this much beyond its own time-out */
  FIRST_DIAL_US = 250000,    /* a push, and a hasty pop, wait so long for a dial that has not failed yet */
  BACKOFF_MIN_US = 20000,
  BACKOFF_MAX_US = 2000000,
  EMPTY_AFTER_US = 5000,     /* no answer to a pop for so long: the list is empty */
  BAD_LOG_US = 10000000,
  PUSH_CHUNK = 500,          /* hints per LPUSH */
  POP_MAX = 1024,            /* hints per pop */
  POP_SINGLE = 64,           /* the same where there is no BLMPOP */
  REPLY_BYTES = 1 << 20,     /* unread bytes of one connection */
  POP_MIN_US = 5000,         /* an answer takes a moment, even if the caller has none */
  NUDGE_LOOK_US = 200000,    /* a node with no free slot looks for nudges so often */
  HINT_BYTES = 44,           /* "ti:fi" */
  KEY_BYTES = QUEUE_PREFIX_MAX + 64,
  NUDGE_TTL_S = 60,
};

struct link {
  const char *name;
  redisContext *c;           /* its user's; NULL = away */
  redisContext *fresh;       /* from here on under mu: made, not taken yet */
  bool wanted, failed, told; /* failed: the dial of this outage did not work */
  unsigned tries;
  int64_t at_us;             /* not before */
};

struct redis_queue {
  struct queue base;
  struct redis_where where;
  char prefix[QUEUE_PREFIX_MAX + 1], list[KEY_BYTES];
  size_t max;
  _Atomic int64_t node;
  pthread_t dialer;
  pthread_mutex_t mu;        /* guards links (see there), woken, closing, popping, dial_fd; inside push_mu */
  pthread_cond_t cv;
  bool woken, closing;
  unsigned popping;
  int dial_fd;               /* -1, or what the dialer is connecting: shut down by close */
  int wake_fd;               /* readable exactly while woken or closing */
  pthread_mutex_t push_mu;   /* guards the push connection and seen */
  struct link push, pop;
  size_t seen;               /* length of the list after our last command */
  _Atomic size_t known;      /* the same as depth tells it */
  atomic_bool blocked;       /* the poller waits at an empty list */
  /* Of the poller: */
  struct hint *spare;        /* popped, not handed out yet */
  size_t spare_at, n_spare;
  bool nudged, no_blmpop;
  unsigned owed, asked;      /* replies to come of the pop under way; hints it may bring */
  bool first;                /* the next reply is the blocking one */
  int64_t dead_us;           /* when that must have come */
  uint64_t bad;              /* malformed hints since bad_us */
  int64_t bad_us;
};

static struct redis_queue *self(struct queue *q) { return (struct redis_queue *)q; }

static int64_t after(int64_t wait_us) {
  int64_t now = clock_mono_us();
  if (wait_us <= 0) return now;
  return wait_us > INT64_MAX - now ? INT64_MAX : now + wait_us;
}

static struct timespec timespec_of(int64_t us) {
  return (struct timespec){.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
}

/* ---- one connection: replies ---- */

enum await { GOT, TIMED_OUT, WOKEN, BROKEN };

/* The next reply by until_us; wake_fd (or -1) ends the wait. Data that has come is preferred to everything else. */
static enum await await(redisContext *c, int64_t until_us, int wake_fd, redisReply **out) {
  for (;;) {
    void *reply = NULL;
    if (redisGetReplyFromReader(c, &reply) != REDIS_OK) return BROKEN;
    if ((*out = reply)) return GOT;
    if (c->reader->len - c->reader->pos > REPLY_BYTES) return BROKEN;
    int64_t left = until_us - clock_mono_us();
    struct timespec ts = timespec_of(left > 0 ? left : 0);
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

static bool flush(redisContext *c) {
  int done = 0;
  while (!done)
    if (redisBufferWrite(c, &done) != REDIS_OK) return false;
  return true;
}

static bool append(redisContext *c, int argc, const char **argv) {
  return redisAppendCommandArgv(c, argc, argv, NULL) == REDIS_OK;
}

/* ---- dialing ---- */

static int finish_connect(int fd, const struct sockaddr *to, socklen_t n) {
  if (connect(fd, to, n) == 0) return 0;
  if (errno != EINPROGRESS) return -1;
  struct pollfd p = {.fd = fd, .events = POLLOUT};
  int64_t until = after(CONNECT_US), left;
  int got = 0, e = ETIMEDOUT;
  while ((left = until - clock_mono_us()) > 0) {
    struct timespec ts = timespec_of(left);
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
  (void)dial_fd_set(q, -1); /* before the number can be another file's */
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
  struct addrinfo hint = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list = NULL;
  char port[16];
  snprintf(port, sizeof port, "%d", q->where.port);
  int rc = getaddrinfo(q->where.host, port, &hint, &list), fd = -1;
  if (rc != 0) {
    *why = gai_strerror(rc);
    return -1;
  }
  for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next) fd = dial_one(q, a->ai_family, a->ai_addr, a->ai_addrlen);
  int e = errno;
  freeaddrinfo(list);
  errno = e;
  return fd;
}

/* One command of the handshake; true when the answer is +want. */
static bool handshake_step(redisContext *c, int argc, const char **argv, const char *want, char why[128]) {
  redisReply *r = NULL;
  if (!append(c, argc, argv) || !flush(c) || await(c, after(CONNECT_US), -1, &r) != GOT) {
    snprintf(why, 128, "no answer to %s", argv[0]);
    return false;
  }
  bool ok = r->type == REDIS_REPLY_STATUS && strcmp(r->str, want) == 0;
  if (!ok) snprintf(why, 128, "%s: %.100s", argv[0], r->type == REDIS_REPLY_ERROR ? r->str : "unexpected answer");
  freeReplyObject(r);
  return ok;
}

static bool handshake(const struct redis_where *w, redisContext *c, char why[128]) {
  const char *auth[3] = {"AUTH", w->user ? w->user : w->password, w->password};
  char db[16];
  snprintf(db, sizeof db, "%d", w->db);
  if (w->password && !handshake_step(c, w->user ? 3 : 2, auth, "OK", why)) return false;
  if (w->db && !handshake_step(c, 2, (const char *[]){"SELECT", db}, "OK", why)) return false;
  return handshake_step(c, 1, (const char *[]){"PING"}, "PONG", why);
}

static redisContext *dial(struct redis_queue *q, char why[128]) {
  const char *text = NULL;
  int fd = q->where.path ? dial_unix(q) : dial_tcp(q, &text);
  if (fd < 0) {
    char b[96];
    snprintf(why, 128, "connect: %s", text ? text : strerror_r(errno, b, sizeof b));
    return NULL;
  }
  redisContext *c = redisConnectFd(fd);
  bool ok = c && handshake(&q->where, c, why);
  (void)dial_fd_set(q, -1); /* closing is looked at by the dialer */
  if (!c) {
    close(fd);
    snprintf(why, 128, "no memory");
  } else if (!ok) {
    redisFree(c);
    c = NULL;
  }
  return c;
}

/* ---- links (all under mu but link_get's and link_lost's use of c) ---- */

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
  if (!l->told) log_warn("queue.away", L_STR("connection", l->name), L_STR("why", why));
  l->told = true;
  pthread_cond_broadcast(&q->cv);
}

/* A command has worked. */
static void link_good(struct redis_queue *q, struct link *l) {
  pthread_mutex_lock(&q->mu);
  if (l->told) log_info("queue.back", L_STR("connection", l->name));
  l->told = l->failed = false;
  l->tries = 0;
  pthread_mutex_unlock(&q->mu);
}

enum loss { LOSS_BROKEN, LOSS_AWAY };

/* Drops the connection. One that broke after good use is dialed again at once, and that may be waited for: a Redis that
 * was restarted is not away. */
static void link_lost(struct redis_queue *q, struct link *l, enum loss loss, const char *why) {
  pthread_mutex_lock(&q->mu);
  redisContext *c = l->c;
  l->c = NULL;
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
  struct timespec ts = timespec_of(until_us);
  pthread_cond_timedwait(&q->cv, &q->mu, &ts);
  return true;
}

/* The connection, or NULL when it is away. Waits for a dial that has not failed yet, at most wait_us; woken ends it. */
static redisContext *link_get(struct redis_queue *q, struct link *l, int64_t wait_us, const bool *woken) {
  int64_t until = after(wait_us);
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

/* Dials one link; called and returns with mu held. */
static void dial_link(struct redis_queue *q, struct link *l) {
  char why[128] = "";
  pthread_mutex_unlock(&q->mu);
  redisContext *c = dial(q, why);
  pthread_mutex_lock(&q->mu);
  if (!c) {
    link_failed(q, l, why);
    return;
  }
  l->fresh = c;
  l->wanted = false;
  pthread_cond_broadcast(&q->cv);
}

static void *dialer_main(void *arg) {
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

/* ---- push ---- */

/* Reads one integer of the push connection. False: the connection is gone. */
static bool push_answer(struct redis_queue *q, long long *out) {
  redisReply *r = NULL;
  enum await how = await(q->push.c, after(COMMAND_US), -1, &r);
  if (how != GOT) {
    if (how == TIMED_OUT) link_lost(q, &q->push, LOSS_AWAY, "no answer");
    else link_lost(q, &q->push, LOSS_BROKEN, "connection lost");
    return false;
  }
  bool ok = r->type == REDIS_REPLY_INTEGER && r->integer >= 0;
  *out = ok ? r->integer : 0;
  if (!ok) link_lost(q, &q->push, LOSS_AWAY, r->type == REDIS_REPLY_ERROR ? r->str : "unexpected answer");
  freeReplyObject(r);
  return ok;
}

static bool push_send(struct redis_queue *q, bool appended) {
  if (appended && flush(q->push.c)) return true;
  link_lost(q, &q->push, LOSS_BROKEN, "connection lost");
  return false;
}

/* How many of n fit. Asks Redis only when the last known length says that they do not. */
static bool push_room(struct redis_queue *q, size_t n, size_t *room) {
  long long len = (long long)q->seen;
  if (q->seen + n > q->max) {
    if (!push_send(q, append(q->push.c, 2, (const char *[]){"LLEN", q->list})) || !push_answer(q, &len)) return false;
    q->seen = (size_t)len;
  }
  *room = q->seen < q->max ? q->max - q->seen : 0;
  return true;
}

static bool push_chunk(struct redis_queue *q, const struct hint *h, size_t n) {
  char text[PUSH_CHUNK][HINT_BYTES];
  const char *argv[PUSH_CHUNK + 2] = {"LPUSH", q->list};
  for (size_t i = 0; i < n; i++) {
    snprintf(text[i], HINT_BYTES, "%lld:%lld", (long long)h[i].ti, (long long)h[i].fi);
    argv[i + 2] = text[i];
  }
  return append(q->push.c, (int)n + 2, argv);
}

enum pushed { PUSHED, FULL, LOST };

/* LPUSH of all that fits, in chunks, one flush. */
static enum pushed push_all(struct redis_queue *q, const struct hint *h, size_t n) {
  size_t room, chunks = 0;
  long long len = 0;
  if (!push_room(q, n, &room)) return LOST;
  size_t todo = n < room ? n : room;
  bool ok = true;
  for (size_t at = 0; ok && at < todo; at += PUSH_CHUNK, chunks++)
    ok = push_chunk(q, h + at, todo - at < PUSH_CHUNK ? todo - at : PUSH_CHUNK);
  if (chunks && !push_send(q, ok)) return LOST;
  for (size_t i = 0; i < chunks; i++)
    if (!push_answer(q, &len)) return LOST;
  if (chunks) {
    link_good(q, &q->push);
    q->seen = (size_t)len;
    atomic_store(&q->known, (size_t)len);
  }
  return todo == n ? PUSHED : FULL;
}

/* A connection that broke is tried once more on its successor, if that comes soon; hints may be doubled by it. */
static bool redis_push(struct queue *base, const struct hint *h, size_t n) {
  struct redis_queue *q = self(base);
  enum pushed how = LOST;
  pthread_mutex_lock(&q->push_mu);
  for (int i = 0; i < 2 && how == LOST && link_get(q, &q->push, FIRST_DIAL_US, NULL); i++) how = push_all(q, h, n);
  pthread_mutex_unlock(&q->push_mu);
  return how == PUSHED;
}

static void nudge_key(const struct redis_queue *q, int64_t incarnation, char out[KEY_BYTES]) {
  snprintf(out, KEY_BYTES, "weir:%s:n:%lld", q->prefix, (long long)incarnation);
}

/* One element is enough, and a node that never comes leaves nothing behind. */
static bool redis_nudge(struct queue *base, int64_t incarnation) {
  struct redis_queue *q = self(base);
  char key[KEY_BYTES], ttl[16];
  long long n;
  bool ok = false;
  nudge_key(q, incarnation, key);
  snprintf(ttl, sizeof ttl, "%d", NUDGE_TTL_S);
  pthread_mutex_lock(&q->push_mu);
  if (link_get(q, &q->push, FIRST_DIAL_US, NULL)) {
    ok = push_send(q, append(q->push.c, 3, (const char *[]){"LPUSH", key, "1"}) &&
                          append(q->push.c, 3, (const char *[]){"EXPIRE", key, ttl})) &&
         push_answer(q, &n) && push_answer(q, &n);
    if (ok) link_good(q, &q->push);
  }
  pthread_mutex_unlock(&q->push_mu);
  return ok;
}

/* ---- pop ---- */

static void bad_hint(struct redis_queue *q, const char *s, size_t n) {
  int64_t now = clock_mono_us();
  char quoted[WR_QUOTE_MAX];
  q->bad++;
  if (q->bad_us && now - q->bad_us < BAD_LOG_US) return;
  log_warn("queue.bad_hint", L_STR("hint", wr_err_quote(quoted, s, n)), L_INT("count", q->bad));
  q->bad_us = now;
  q->bad = 0;
}

static bool parse_hint(const char *s, size_t n, struct hint *out) {
  const char *colon = memchr(s, ':', n);
  if (!colon) return false;
  size_t head = (size_t)(colon - s), tail = n - head - 1;
  if (!text_id(s, head, &out->ti)) return false;
  if (tail == 1 && colon[1] == '0') {
    out->fi = 0;
    return true;
  }
  return text_id(colon + 1, tail, &out->fi);
}

/* False: more than was asked for, or not a string. */
static bool pop_value(struct redis_queue *q, const redisReply *r) {
  if (r->type != REDIS_REPLY_STRING || q->n_spare == POP_MAX) return false;
  if (parse_hint(r->str, r->len, &q->spare[q->n_spare])) q->n_spare++;
  else bad_hint(q, r->str, r->len);
  return true;
}

/* [key, value] of BRPOP or [key, [values]] of BLMPOP. */
static bool pop_first(struct redis_queue *q, const redisReply *r) {
  if (r->type == REDIS_REPLY_NIL) return true;
  if (r->type != REDIS_REPLY_ARRAY || r->elements != 2) return false;
  const redisReply *key = r->element[0], *v = r->element[1];
  if (key->type != REDIS_REPLY_STRING) return false;
  if (strcmp(key->str, q->list) != 0) {
    q->nudged = true;
    return true;
  }
  if (v->type != REDIS_REPLY_ARRAY) return pop_value(q, v);
  if (v->elements > q->asked) return false;
  for (size_t i = 0; i < v->elements; i++)
    if (!pop_value(q, v->element[i])) return false;
  return true;
}

/* Sorts one reply of the pop under way: the blocking one, then single pops, then the length. NULL, or what is wrong. */
static const char *pop_reply(struct redis_queue *q, const redisReply *r) {
  bool first = q->first, last = q->owed == 1, ok;
  q->first = false;
  q->owed--;
  if (r->type == REDIS_REPLY_ERROR) {
    if (!first || q->no_blmpop || strncmp(r->str, "ERR unknown command", 19) != 0) return r->str;
    q->no_blmpop = true; /* older than Redis 7 */
    return NULL;
  }
  if (first) ok = pop_first(q, r);
  else if (last) ok = r->type == REDIS_REPLY_INTEGER && r->integer >= 0;
  else ok = r->type == REDIS_REPLY_NIL || pop_value(q, r);
  if (ok && last) atomic_store(&q->known, (size_t)r->integer);
  return ok ? NULL : "unexpected answer";
}

/* BLMPOP of up to n, or BRPOP and single RPOPs; LLEN behind it tells what is left. The nudge list comes first. */
static bool pop_send(struct redis_queue *q, redisContext *c, size_t n, int64_t wait_us) {
  char nudge[KEY_BYTES], count[16], wait[32];
  int64_t node = atomic_load(&q->node), ms = wait_us / 1000;
  size_t limit = q->no_blmpop ? POP_SINGLE : POP_MAX;
  if (ms < 1) ms = 1;
  if (ms > 60000) ms = 60000;
  nudge_key(q, node, nudge);
  q->asked = (unsigned)(n < limit ? n : limit);
  snprintf(count, sizeof count, "%u", q->asked);
  bool ok;
  if (q->no_blmpop) {
    ms = (ms + 999) / 1000 * 1000; /* whole seconds before Redis 6 */
    snprintf(wait, sizeof wait, "%lld", (long long)ms / 1000);
    ok = append(c, 4, (const char *[]){"BRPOP", nudge, q->list, wait});
    for (unsigned i = 1; ok && i < q->asked; i++) ok = append(c, 2, (const char *[]){"RPOP", q->list});
    q->owed = q->asked + 1;
  } else {
    snprintf(wait, sizeof wait, "%lld.%03lld", (long long)ms / 1000, (long long)ms % 1000);
    ok = append(c, 8, (const char *[]){"BLMPOP", wait, "2", nudge, q->list, "RIGHT", "COUNT", count});
    q->owed = 2;
  }
  ok = ok && append(c, 2, (const char *[]){"LLEN", q->list}) && flush(c);
  q->first = true;
  q->dead_us = after(ms * 1000 + COMMAND_US);
  return ok;
}

static void pop_lost(struct redis_queue *q, enum loss loss, const char *why) {
  q->owed = 0;
  q->no_blmpop = false; /* the next one may be newer */
  atomic_store(&q->known, 0);
  link_lost(q, &q->pop, loss, why);
}

/* Waits for one reply until until_us, telling depth meanwhile whether the list is empty. */
static enum await pop_await(struct redis_queue *q, redisContext *c, int64_t until_us, redisReply **r) {
  int64_t end = until_us < q->dead_us ? until_us : q->dead_us, soon = after(EMPTY_AFTER_US);
  enum await how = TIMED_OUT;
  if (atomic_load(&q->known) > 0) how = await(c, soon < end ? soon : end, q->wake_fd, r);
  if (how == TIMED_OUT && q->first) {
    atomic_store(&q->known, 0);
    atomic_store(&q->blocked, true);
  }
  if (how == TIMED_OUT) how = await(c, end, q->wake_fd, r);
  atomic_store(&q->blocked, false);
  return how;
}

/* Runs pops until one brings something, the time is over or it is woken. False: away. */
static bool pop_run(struct redis_queue *q, redisContext *c, size_t n, int64_t wait_us) {
  int64_t until = after(wait_us > POP_MIN_US ? wait_us : POP_MIN_US);
  do {
    redisReply *r = NULL;
    if (q->owed == 0 && !pop_send(q, c, n, until - clock_mono_us())) {
      pop_lost(q, LOSS_BROKEN, "connection lost");
      return false;
    }
    enum await how = pop_await(q, c, until, &r);
    if (how == WOKEN) return true;
    if (how == TIMED_OUT && clock_mono_us() < q->dead_us) return true;
    if (how != GOT) {
      if (how == TIMED_OUT) pop_lost(q, LOSS_AWAY, "no answer");
      else pop_lost(q, LOSS_BROKEN, "connection lost");
      return false;
    }
    const char *why = pop_reply(q, r);
    if (why) pop_lost(q, LOSS_AWAY, why);
    freeReplyObject(r);
    if (why) return false;
    if (q->owed == 0) link_good(q, &q->pop);
  } while (q->owed || (!q->n_spare && !q->nudged && clock_mono_us() < until));
  return true;
}

static size_t take_spare(struct redis_queue *q, struct hint *out, size_t n) {
  size_t left = q->n_spare - q->spare_at, got = n < left ? n : left;
  memcpy(out, q->spare + q->spare_at, got * sizeof *out);
  q->spare_at += got;
  if (q->spare_at == q->n_spare) q->spare_at = q->n_spare = 0;
  return got;
}

/* Under mu: was it woken? Not any more. */
static bool take_wake(struct redis_queue *q) {
  bool woken = q->woken;
  if (woken && !q->closing) {
    uint64_t n;
    (void)!read(q->wake_fd, &n, sizeof n); /* readable: it was set */
  }
  q->woken = false;
  return woken;
}

static bool pop_enter(struct redis_queue *q) {
  pthread_mutex_lock(&q->mu);
  bool ok = !q->closing && !take_wake(q);
  if (ok) q->popping++;
  pthread_mutex_unlock(&q->mu);
  return ok;
}

/* True: it was woken meanwhile, or is closing. */
static bool pop_leave(struct redis_queue *q) {
  pthread_mutex_lock(&q->mu);
  q->popping--;
  bool woken = take_wake(q) || q->closing;
  if (q->closing) pthread_cond_broadcast(&q->cv);
  pthread_mutex_unlock(&q->mu);
  return woken;
}

static size_t redis_pop(struct queue *base, struct hint *out, size_t n, int64_t wait_us, bool *away) {
  struct redis_queue *q = self(base);
  *away = false;
  if (!pop_enter(q)) return 0;
  if (q->n_spare == 0 && !q->nudged) {
    redisContext *c = link_get(q, &q->pop, wait_us > FIRST_DIAL_US ? wait_us : FIRST_DIAL_US, &q->woken);
    *away = c ? !pop_run(q, c, n, wait_us) : true;
  }
  size_t got = 0;
  if (q->nudged) {
    q->nudged = false;
    out[got++] = (struct hint){0, 0};
  }
  got += take_spare(q, out + got, n - got);
  if (pop_leave(q) || got) *away = false;
  return got;
}

/* Asks the nudge list, then waits to be woken, in turns. */
static void nudge_run(struct redis_queue *q, redisContext *c, int64_t until_us) {
  char key[KEY_BYTES];
  nudge_key(q, atomic_load(&q->node), key);
  for (int woken = 0; !woken && !q->nudged;) {
    redisReply *r = NULL;
    enum await how = BROKEN;
    if (append(c, 2, (const char *[]){"RPOP", key}) && flush(c)) how = await(c, after(COMMAND_US), -1, &r);
    bool ok = how == GOT && (r->type == REDIS_REPLY_STRING || r->type == REDIS_REPLY_NIL);
    q->nudged = ok && r->type == REDIS_REPLY_STRING;
    if (!ok) pop_lost(q, how == BROKEN ? LOSS_BROKEN : LOSS_AWAY, r && r->type == REDIS_REPLY_ERROR ? r->str : "no answer");
    if (r) freeReplyObject(r);
    int64_t left = until_us - clock_mono_us();
    if (!ok || left <= 0) return;
    struct timespec ts = timespec_of(left < NUDGE_LOOK_US ? left : NUDGE_LOOK_US);
    struct pollfd p = {.fd = q->wake_fd, .events = POLLIN};
    if (!q->nudged) woken = ppoll(&p, 1, &ts, NULL) > 0;
  }
}

/* A pop already under way brings nudges first; otherwise the nudge list is asked alone, which takes no hints. */
static bool redis_pop_nudge(struct queue *base, int64_t wait_us) {
  struct redis_queue *q = self(base);
  int64_t until = after(wait_us);
  if (!pop_enter(q)) return false;
  redisContext *c = q->nudged ? NULL : link_get(q, &q->pop, wait_us, &q->woken);
  if (c && q->owed) (void)pop_run(q, c, 1, until - clock_mono_us());
  else if (c) nudge_run(q, c, until);
  bool nudged = q->nudged;
  q->nudged = false;
  (void)pop_leave(q);
  return nudged;
}

static void redis_wake(struct queue *base) {
  struct redis_queue *q = self(base);
  const uint64_t one = 1;
  pthread_mutex_lock(&q->mu);
  if (!q->woken && !q->closing) (void)!write(q->wake_fd, &one, sizeof one); /* an eventfd far from full */
  q->woken = true;
  pthread_cond_broadcast(&q->cv);
  pthread_mutex_unlock(&q->mu);
}

static void redis_set_node(struct queue *base, int64_t incarnation) { atomic_store(&self(base)->node, incarnation); }

static size_t redis_depth(struct queue *base) {
  struct redis_queue *q = self(base);
  return atomic_load(&q->blocked) ? 0 : atomic_load(&q->known);
}

/* ---- life ---- */

/* Popped and never handed out: back to where they were, if Redis is there. */
static void give_back(struct redis_queue *q) {
  if (!q->push.c) return;
  for (size_t i = q->n_spare; i > q->spare_at; i--) {
    char text[HINT_BYTES];
    snprintf(text, sizeof text, "%lld:%lld", (long long)q->spare[i - 1].ti, (long long)q->spare[i - 1].fi);
    if (!append(q->push.c, 3, (const char *[]){"RPUSH", q->list, text})) return;
  }
  (void)flush(q->push.c); /* a lost hint costs latency only */
}

static void redis_done(struct redis_queue *q) {
  struct link *links[2] = {&q->push, &q->pop};
  for (int i = 0; i < 2; i++) {
    if (links[i]->c) redisFree(links[i]->c);
    if (links[i]->fresh) redisFree(links[i]->fresh);
  }
  if (q->wake_fd >= 0) close(q->wake_fd);
  pthread_cond_destroy(&q->cv);
  pthread_mutex_destroy(&q->mu);
  pthread_mutex_destroy(&q->push_mu);
  redis_where_done(&q->where);
  free(q->spare);
  free(q);
}

static void redis_close(struct queue *base) {
  struct redis_queue *q = self(base);
  const uint64_t one = 1;
  pthread_mutex_lock(&q->mu);
  q->closing = true;
  (void)!write(q->wake_fd, &one, sizeof one);
  if (q->dial_fd >= 0) (void)shutdown(q->dial_fd, SHUT_RDWR); /* ends its connect or handshake */
  pthread_cond_broadcast(&q->cv);
  while (q->popping) pthread_cond_wait(&q->cv, &q->mu);
  pthread_mutex_unlock(&q->mu);
  pthread_join(q->dialer, NULL);
  give_back(q);
  redis_done(q);
}

static const struct queue_ops redis_ops = {
    .set_node = redis_set_node, .close = redis_close, .push = redis_push, .pop = redis_pop,
    .pop_nudge = redis_pop_nudge, .wake = redis_wake, .nudge = redis_nudge, .depth = redis_depth,
};

static void cond_init_mono(pthread_cond_t *cv) {
  pthread_condattr_t attr;
  pthread_condattr_init(&attr);
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  pthread_cond_init(cv, &attr);
  pthread_condattr_destroy(&attr);
}

enum wr_rc queue_redis_new(struct redis_where *w, const char *prefix, size_t max_hints, struct queue **out,
                           struct wr_err *err) {
  struct redis_queue *q = wr_new(struct redis_queue);
  q->base.ops = &redis_ops;
  q->where = *w;
  q->max = max_hints;
  q->push.name = "push";
  q->pop.name = "pop";
  q->dial_fd = -1;
  q->spare = wr_calloc(POP_MAX, sizeof *q->spare);
  snprintf(q->prefix, sizeof q->prefix, "%s", prefix);
  snprintf(q->list, sizeof q->list, "weir:%s:q:default:0", q->prefix);
  pthread_mutex_init(&q->mu, NULL);
  pthread_mutex_init(&q->push_mu, NULL);
  cond_init_mono(&q->cv);
  q->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (q->wake_fd < 0 || pthread_create(&q->dialer, NULL, dialer_main, q) != 0) {
    redis_done(q);
    return wr_err_set(err, WR_INTERNAL, "No file or thread is left for the queue.");
  }
  *out = &q->base;
  return WR_OK;
}
