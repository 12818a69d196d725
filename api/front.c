/* The front: see front.h. Lists of connections by state, oldest first, under one lock that is never held over a call that
 * can wait. Only the front's thread moves a connection out of HEAD, BODY and LINGER. */
#include "front.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "clock.h"
#include "head.h"
#include "log_place.h"
#include "wr_limits.h"
#include "log.h"
#include "mem.h"
#include "text.h"
#include "turn.h"

enum {
  EVENTS = 64,
  ACCEPTS = 64,             /* in one turn */
  WHOLE_BYTES = 48 << 10,   /* the largest head and body that are waited for: both fit into what a socket holds by default */
  LOOK_BYTES = LIMIT_HEADER_BYTES + 1,
  JUNK_BYTES = 64 << 10,    /* read in one turn from a connection that is read empty */
  BACKLOG = 512,
  BUCKETS = 1024            /* of addresses */
};
#define HEAD_US 5000000
#define BODY_US 10000000
#define LINGER_US 1000000
#define PROBE_US 5000000    /* how long a probe waits for the thread of /readyz, which may be busy with another probe */
#define PAUSE_US 50000      /* between two tries to accept when there is no room */
#define TICK_US 1000000
#define LOG_EVERY_US 10000000

/* HEAD, BODY: not whole. READY: whole, no thread yet. PROBE: waits for the thread of /readyz. ASKING: that thread has it.
 * SERVED: a thread of the library has it. */
enum state { C_FREE, C_HEAD, C_BODY, C_READY, C_PROBE, C_ASKING, C_SERVED, C_LINGER, C__N };
static const uint32_t NONE = UINT32_MAX;
#define KEY_LISTENER UINT64_MAX
#define KEY_WAKE (UINT64_MAX - 1)

struct conn {
  int fd;
  uint32_t prev, next;      /* in the list of its state */
  uint32_t addr;            /* of the client, network order */
  uint32_t age;             /* tells it apart from others that had this place */
  uint8_t state;
  bool polled, late, low;   /* it is in the epoll; its body did not come in time; SO_RCVLOWAT is set */
  uint16_t seen;            /* HEAD: how many bytes have been looked at */
  int64_t at_us;            /* when its time is over; SERVED: since when it was whole */
};
struct list { uint32_t first, last, n; };
static _Thread_local bool own_thread; /* true on the front's thread, which looks at all deadlines before it sleeps */

struct front {
  struct front_opts o;
  int ep, wake, ready;      /* ready: readable while a thread may take a connection */
  uint32_t n_conn;
  struct conn *conn;
  struct list list[C__N];
  uint32_t whence[BUCKETS]; /* connections that are not whole, by a hash of their address: an address has at most these */
  pthread_mutex_t lock;
  pthread_cond_t probes;
  pthread_t thread[FRONT__N];
  bool running[FRONT__N];
  bool stop, closed;        /* under the lock */
  bool paused;              /* the listener is not in the epoll; front's thread */
  int64_t resume_us, said_us, unsaid;
  char look[FRONT__N][LOOK_BYTES + 1];
};

/* ---- lists; the lock is held ---- */

static uint32_t *whence(struct front *f, uint32_t addr) { return &f->whence[addr * 2654435761U >> 22]; }
_Static_assert(BUCKETS == 1 << 10, "32 - 22 bits");

static void take_out(struct front *f, struct conn *c) {
  struct list *l = &f->list[c->state];
  if (c->state == C_HEAD || c->state == C_BODY) --*whence(f, c->addr);
  if (c->prev != NONE) f->conn[c->prev].next = c->next;
  else l->first = c->next;
  if (c->next != NONE) f->conn[c->next].prev = c->prev;
  else l->last = c->prev;
  l->n--;
}

static void put_in(struct front *f, struct conn *c, enum state to) {
  struct list *l = &f->list[to];
  uint32_t i = (uint32_t)(c - f->conn);
  c->state = (uint8_t)to;
  if (to == C_HEAD || to == C_BODY) ++*whence(f, c->addr);
  c->prev = l->last;
  c->next = NONE;
  if (l->last != NONE) f->conn[l->last].next = i;
  else l->first = i;
  l->last = i;
  l->n++;
}

static struct conn *list_first(struct front *f, enum state s) {
  return f->list[s].first == NONE ? NULL : &f->conn[f->list[s].first];
}

static void signal_fd(int fd) {
  uint64_t one = 1;
  ssize_t ignored = write(fd, &one, sizeof one);
  (void)ignored;
}

static void clear_fd(int fd) {
  uint64_t n;
  ssize_t ignored = read(fd, &n, sizeof n);
  (void)ignored;
}

static bool may_give(const struct front *f) { return f->list[C_READY].n > 0 && f->list[C_SERVED].n < f->o.threads; }

/* The front's thread sleeps until the earliest deadline that it knows, so an earlier one wakes it. */
static void move_locked(struct front *f, struct conn *c, enum state to, int64_t at_us) {
  bool earlier = f->list[to].n == 0;
  take_out(f, c);
  c->at_us = at_us;
  put_in(f, c, to);
  if (earlier && !own_thread && to != C_FREE && to != C_SERVED && to != C_ASKING) signal_fd(f->wake);
  if (to == C_READY && may_give(f)) signal_fd(f->ready);
  if (to == C_PROBE) pthread_cond_signal(&f->probes);
}

static void move(struct front *f, struct conn *c, enum state to, int64_t at_us) {
  pthread_mutex_lock(&f->lock);
  move_locked(f, c, to, at_us);
  pthread_mutex_unlock(&f->lock);
}

/* ---- one connection; front's thread, or that of the probes for one in ASKING ---- */

static void poll_it(struct front *f, struct conn *c, uint32_t events) {
  struct epoll_event ev = {.events = events, .data.u64 = (uint64_t)c->age << 32 | (uint32_t)(c - f->conn)};
  if (epoll_ctl(f->ep, c->polled ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, c->fd, &ev) == 0) c->polled = true;
}

static void unpoll(struct front *f, struct conn *c) {
  if (c->polled) epoll_ctl(f->ep, EPOLL_CTL_DEL, c->fd, NULL);
  c->polled = false;
}

static void low_water(struct conn *c, int bytes) {
  setsockopt(c->fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
  c->low = bytes > 1;
}

static void conn_drop(struct front *f, struct conn *c) {
  close(c->fd); /* which takes it out of the epoll */
  c->fd = -1;
  c->polled = false;
  c->age++;
  move(f, c, C_FREE, 0);
}

static void make_ready(struct front *f, struct conn *c, bool late) {
  unpoll(f, c);
  if (c->low) low_water(c, 1);
  c->late = late;
  move(f, c, C_READY, clock_mono_us() + f->o.wait_us);
}

/* In one step, since the call may come from another thread than the front's: no event is lost, none comes too early. */
static void watch(struct front *f, struct conn *c, enum state to, int64_t at_us, uint32_t events) {
  pthread_mutex_lock(&f->lock);
  move_locked(f, c, to, at_us);
  poll_it(f, c, events);
  pthread_mutex_unlock(&f->lock);
}

/* We send nothing more. What the client still sends is read, so that it gets our answer instead of a reset. */
static void linger(struct front *f, struct conn *c) {
  shutdown(c->fd, SHUT_WR);
  if (c->low) low_water(c, 1);
  watch(f, c, C_LINGER, clock_mono_us() + LINGER_US, EPOLLIN | EPOLLRDHUP);
}

static void conn_refuse(struct front *f, struct conn *c, size_t n, enum wr_rc why) {
  f->o.answer(f->o.ctx, FRONT_SELF, c->fd, f->look[FRONT_SELF], n, why);
  linger(f, c);
}

static void wait_for_head(struct front *f, struct conn *c, int64_t at_us) {
  if (c->low) low_water(c, 1);
  c->seen = 0;
  watch(f, c, C_HEAD, at_us, EPOLLIN | EPOLLRDHUP | EPOLLET);
}

/* Answers a probe at once (its head is n bytes), or passes it to a thread like any other request. */
static void answer_probe(struct front *f, struct conn *c, enum front_who who, size_t n) {
  char taken[LOOK_BYTES];
  enum front_then then = f->o.answer(f->o.ctx, who, c->fd, f->look[who], n, WR_OK);
  if (then == FRONT_PASS) make_ready(f, c, false);
  else if (recvfrom(c->fd, taken, n, MSG_DONTWAIT, NULL, NULL) != (ssize_t)n || then == FRONT_CLOSE) linger(f, c);
  else wait_for_head(f, c, clock_mono_us() + HEAD_US);
}

static int peek(struct front *f, struct conn *c, enum front_who who) {
  ssize_t n = recvfrom(c->fd, f->look[who], LOOK_BYTES, MSG_PEEK | MSG_DONTWAIT, NULL, NULL);
  return n < 0 && (errno == EAGAIN || errno == EINTR) ? -1 : n < 0 ? 0 : (int)n;
}

/* The head is there; its body may not be. */
static void look_at_body(struct front *f, struct conn *c, size_t head, bool over) {
  int64_t body = head_body(f->look[FRONT_SELF], head), all = (int64_t)head + body;
  int got = 0;
  if (body <= 0 || all > WHOLE_BYTES || over || ioctl(c->fd, FIONREAD, &got) != 0 || got >= all) {
    make_ready(f, c, false);
    return;
  }
  low_water(c, (int)all);
  watch(f, c, C_BODY, clock_mono_us() + BODY_US, EPOLLIN | EPOLLRDHUP | EPOLLET);
}

/* Looks at what has arrived of a request. over: the client sends no more. */
static void conn_look(struct front *f, struct conn *c, bool over) {
  int n = peek(f, c, FRONT_SELF);
  if (n == 0) {
    conn_drop(f, c);
    return;
  }
  char *p = f->look[FRONT_SELF];
  int head = n > 0 ? head_length(p, (size_t)n, c->seen) : 0;
  if (head == 0 && n > LIMIT_HEADER_BYTES) {
    conn_refuse(f, c, (size_t)n, WR_HEADERS_TOO_LARGE);
  } else if (head == 0 && !over) {
    if (n > 0) c->seen = (uint16_t)n, low_water(c, n + 1);
    if (!c->polled) poll_it(f, c, EPOLLIN | EPOLLRDHUP | EPOLLET);
  } else if (head <= 0) {
    make_ready(f, c, false); /* half a request, or none, and no more comes: the library answers what is wrong */
  } else {
    enum head_probe probe = head_probe(p, (size_t)head);
    if (probe == HEAD_LIVEZ) answer_probe(f, c, FRONT_SELF, (size_t)head);
    else if (probe == HEAD_READYZ) unpoll(f, c), move(f, c, C_PROBE, clock_mono_us() + PROBE_US);
    else look_at_body(f, c, (size_t)head, over);
  }
}

static void read_empty(struct front *f, struct conn *c) {
  char junk[8192];
  for (int i = 0; i < JUNK_BYTES / (int)sizeof junk; i++) {
    ssize_t n = recvfrom(c->fd, junk, sizeof junk, MSG_DONTWAIT, NULL, NULL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n > 0) continue;
    conn_drop(f, c);
    return;
  }
}

static void on_event(struct front *f, uint64_t key, uint32_t events) {
  struct conn *c = &f->conn[(uint32_t)key];
  pthread_mutex_lock(&f->lock);
  enum state s = c->age == (uint32_t)(key >> 32) ? (enum state)c->state : C_FREE;
  pthread_mutex_unlock(&f->lock);
  if (s != C_HEAD && s != C_BODY && s != C_LINGER) return; /* an event of a connection that had this place before */
  if (events & (EPOLLERR | EPOLLHUP)) conn_drop(f, c);
  else if (s == C_HEAD) conn_look(f, c, events & EPOLLRDHUP);
  else if (s == C_BODY) make_ready(f, c, false); /* it is whole, or cut, or the socket can hold no more */
  else read_empty(f, c);
}

/* ---- new connections ---- */

/* Room for one more: the oldest that is not whole goes, else the oldest that has its answer, else the oldest that waits for
 * /readyz. */
static bool make_room(struct front *f) {
  pthread_mutex_lock(&f->lock);
  static const enum state order[] = {C_FREE, C_HEAD, C_BODY, C_LINGER, C_PROBE};
  struct conn *c = NULL;
  for (size_t i = 0; i < sizeof order / sizeof *order && !c; i++) c = list_first(f, order[i]);
  bool room = c != NULL;
  if (c && c->state == C_FREE) c = NULL;
  if (c && c->state == C_PROBE) move_locked(f, c, C_LINGER, 0); /* so that its thread does not take it */
  pthread_mutex_unlock(&f->lock);
  if (c) conn_drop(f, c);
  return room;
}

/* Bounds how many connections that are not whole one address may have; loopback has no bound. */
static void bound_address(struct front *f, uint32_t addr) {
  struct conn *oldest = NULL;
  uint32_t n = 0;
  if (ntohl(addr) >> 24 == 127) return;
  pthread_mutex_lock(&f->lock);
  for (int s = C_HEAD; s <= C_BODY && *whence(f, addr) >= LIMIT_CONNECTIONS_ADDRESS; s++) {
    for (uint32_t i = f->list[s].first; i != NONE; i = f->conn[i].next) {
      if (f->conn[i].addr != addr) continue;
      n++;
      if (!oldest) oldest = &f->conn[i];
    }
  }
  pthread_mutex_unlock(&f->lock);
  if (n >= LIMIT_CONNECTIONS_ADDRESS) conn_drop(f, oldest);
}

static void greet(struct front *f, int fd, uint32_t addr) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  bound_address(f, addr);
  pthread_mutex_lock(&f->lock);
  struct conn *c = list_first(f, C_FREE);
  if (!c) { /* a thread that had its answer sent took the place that was made, for the rest of its connection */
    pthread_mutex_unlock(&f->lock);
    close(fd);
    return;
  }
  c->fd = fd;
  c->addr = addr;
  c->polled = c->late = c->low = false;
  c->seen = 0;
  move_locked(f, c, C_HEAD, clock_mono_us() + HEAD_US);
  pthread_mutex_unlock(&f->lock);
  conn_look(f, c, false);
}

static void listen_on(struct front *f, bool on) {
  struct epoll_event ev = {.events = EPOLLIN, .data.u64 = KEY_LISTENER};
  epoll_ctl(f->ep, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, f->o.listener, &ev);
  f->paused = !on;
}

/* No descriptor, no memory, or no place: new connections wait in the kernel for a moment. */
static void pause_accepting(struct front *f, const char *why) {
  int64_t now = clock_mono_us();
  listen_on(f, false);
  f->resume_us = now + PAUSE_US;
  f->unsaid++;
  if (f->said_us != 0 && now - f->said_us < LOG_EVERY_US) return;
  log_warn("http.full", L_STR("why", why), L_INT("n", f->unsaid));
  f->said_us = now;
  f->unsaid = 0;
}

/* Asked when every place is taken: a connection is closed only if another one really waits to come in. */
static bool knocks(struct front *f) {
  struct pollfd p = {.fd = f->o.listener, .events = POLLIN};
  pthread_mutex_lock(&f->lock);
  bool full = list_first(f, C_FREE) == NULL;
  pthread_mutex_unlock(&f->lock);
  return !full || poll(&p, 1, 0) == 1;
}

static void accept_some(struct front *f) {
  for (int i = 0; i < ACCEPTS && knocks(f); i++) {
    struct sockaddr_in a = {0};
    socklen_t n = sizeof a;
    if (!make_room(f)) {
      pause_accepting(f, "every connection waits for a thread");
      return;
    }
    int fd = accept4(f->o.listener, (struct sockaddr *)&a, &n, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      greet(f, fd, a.sin_addr.s_addr);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      pause_accepting(f, strerror(errno));
      return;
    } else if (errno == EAGAIN) {
      return;
    }
  }
}

/* ---- time ---- */

static int64_t next_deadline(struct front *f) {
  static const enum state timed[] = {C_HEAD, C_BODY, C_READY, C_PROBE, C_LINGER};
  int64_t at = f->paused ? f->resume_us : INT64_MAX;
  pthread_mutex_lock(&f->lock);
  for (size_t i = 0; i < sizeof timed / sizeof *timed; i++) {
    struct conn *c = list_first(f, timed[i]);
    if (c && c->at_us < at) at = c->at_us;
  }
  pthread_mutex_unlock(&f->lock);
  return at;
}

/* The first of a list whose time is over. A connection that a thread might take goes to LINGER at once. */
static struct conn *overdue(struct front *f, enum state s, int64_t now) {
  pthread_mutex_lock(&f->lock);
  struct conn *c = list_first(f, s);
  if (c && c->at_us > now) c = NULL;
  if (c && (s == C_READY || s == C_PROBE)) move_locked(f, c, C_LINGER, now + LINGER_US);
  pthread_mutex_unlock(&f->lock);
  return c;
}

static void expire(struct front *f) {
  int64_t now = clock_mono_us();
  struct conn *c;
  while ((c = overdue(f, C_HEAD, now))) conn_drop(f, c);
  while ((c = overdue(f, C_BODY, now))) make_ready(f, c, true);
  while ((c = overdue(f, C_LINGER, now))) conn_drop(f, c);
  while ((c = overdue(f, C_READY, now)) || (c = overdue(f, C_PROBE, now))) {
    int n = peek(f, c, FRONT_SELF);
    conn_refuse(f, c, n > 0 ? (size_t)n : 0, WR_BUSY);
  }
  if (f->paused && f->o.listener >= 0 && f->resume_us <= now) listen_on(f, true);
}

/* ---- threads ---- */

static bool stopping(struct front *f) {
  pthread_mutex_lock(&f->lock);
  bool s = f->stop;
  pthread_mutex_unlock(&f->lock);
  return s;
}

static struct conn *incomplete(struct front *f) {
  pthread_mutex_lock(&f->lock);
  struct conn *c = !f->closed ? NULL : list_first(f, C_HEAD) ? list_first(f, C_HEAD) : list_first(f, C_BODY);
  pthread_mutex_unlock(&f->lock);
  return c;
}

static bool to_close(struct front *f) {
  pthread_mutex_lock(&f->lock);
  bool s = f->closed;
  pthread_mutex_unlock(&f->lock);
  return s && f->o.listener >= 0;
}

static void close_now(struct front *f) {
  struct conn *c;
  if (!f->paused) listen_on(f, false);
  close(f->o.listener);
  f->o.listener = -1;
  f->resume_us = INT64_MAX;
  while ((c = incomplete(f))) conn_drop(f, c);
}

static void *front_run(void *p) {
  struct front *f = p;
  struct epoll_event ev[EVENTS];
  own_thread = true;
  while (!stopping(f)) {
    if (to_close(f)) close_now(f);
    int64_t at = next_deadline(f), left = at == INT64_MAX ? 0 : at - clock_mono_us();
    int n = epoll_wait(f->ep, ev, EVENTS, at == INT64_MAX ? -1 : left <= 0 ? 0 : (int)(left / 1000) + 1);
    for (int i = 0; i < n; i++) {
      if (ev[i].data.u64 == KEY_WAKE) clear_fd(f->wake);
      else if (ev[i].data.u64 == KEY_LISTENER) accept_some(f);
      else on_event(f, ev[i].data.u64, ev[i].events);
    }
    expire(f);
  }
  return NULL;
}

static struct conn *next_probe(struct front *f, int64_t until_us) {
  pthread_mutex_lock(&f->lock);
  if (!f->stop && !list_first(f, C_PROBE)) (void)cond_until(&f->probes, &f->lock, until_us);
  struct conn *c = f->stop ? NULL : list_first(f, C_PROBE);
  if (c) move_locked(f, c, C_ASKING, 0);
  pthread_mutex_unlock(&f->lock);
  return c;
}

static void *probe_run(void *p) {
  struct front *f = p;
  int64_t tick = clock_mono_us();
  while (!stopping(f)) {
    struct conn *c = next_probe(f, tick);
    int n = c ? peek(f, c, FRONT_PROBE) : 0, head = n > 0 ? head_length(f->look[FRONT_PROBE], (size_t)n, 0) : 0;
    if (c && head > 0) answer_probe(f, c, FRONT_PROBE, (size_t)head);
    else if (c) linger(f, c); /* the connection is gone */
    if (clock_mono_us() < tick) continue;
    f->o.tick(f->o.ctx);
    tick = clock_mono_us() + TICK_US;
  }
  return NULL;
}

/* ---- for the threads that serve ---- */

int front_ready_fd(const struct front *f) { return f->ready; }

int front_give(struct front *f, struct sockaddr *addr, socklen_t *len) {
  pthread_mutex_lock(&f->lock);
  struct conn *c = may_give(f) ? list_first(f, C_READY) : NULL;
  in_addr_t addr_of = 0;
  int fd = -1;
  if (c) {
    fd = c->fd;
    addr_of = c->addr;
    move_locked(f, c, C_SERVED, c->at_us - f->o.wait_us);
  }
  if (!may_give(f)) clear_fd(f->ready);
  pthread_mutex_unlock(&f->lock);
  if (!c) {
    errno = EAGAIN;
    return -1;
  }
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = addr_of};
  memcpy(addr, &a, *len < sizeof a ? *len : sizeof a);
  *len = sizeof a;
  return fd;
}

static struct conn *served(struct front *f, int fd) {
  uint32_t i = f->list[C_SERVED].first;
  while (i != NONE && f->conn[i].fd != fd) i = f->conn[i].next;
  return i == NONE ? NULL : &f->conn[i];
}

struct front_first front_first(struct front *f, int fd) {
  struct front_first out = {clock_mono_us(), false};
  pthread_mutex_lock(&f->lock);
  struct conn *c = served(f, fd);
  if (c) out = (struct front_first){c->at_us, c->late};
  pthread_mutex_unlock(&f->lock);
  return out;
}

/* The library reads at once what it was given, unless it is being stopped: then a thread may end that has read nothing and does
 * not know its descriptor. Any place is given back for it, since only the number of places counts: no whole request is given out
 * any more, so no thread asks for the times of a place that is another's, and each thread gives back one of the places left. */
void front_back(struct front *f, int fd) {
  pthread_mutex_lock(&f->lock);
  struct conn *c = served(f, fd);
  if (!c) c = list_first(f, C_SERVED);
  wr_assert(c);
  c->fd = -1;
  c->age++;
  move_locked(f, c, C_FREE, 0);
  if (may_give(f)) signal_fd(f->ready);
  pthread_mutex_unlock(&f->lock);
}

void front_linger(struct front *f, int fd) {
  pthread_mutex_lock(&f->lock);
  struct conn *c = f->stop ? NULL : list_first(f, C_FREE);
  if (c) {
    c->fd = fd;
    c->polled = c->late = c->low = false;
    move_locked(f, c, C_LINGER, clock_mono_us() + LINGER_US);
    poll_it(f, c, EPOLLIN | EPOLLRDHUP);
  }
  pthread_mutex_unlock(&f->lock);
  if (!c) close(fd);
}

void front_keep(struct front *f, int fd) {
  struct sockaddr_in a = {0};
  socklen_t n = sizeof a;
  (void)getpeername(fd, (struct sockaddr *)&a, &n);
  pthread_mutex_lock(&f->lock);
  struct conn *c = f->stop || f->closed ? NULL : list_first(f, C_FREE);
  if (c) {
    c->fd = fd;
    c->addr = a.sin_addr.s_addr;
    c->polled = c->late = c->low = false;
    c->seen = 0;
    move_locked(f, c, C_HEAD, clock_mono_us() + HEAD_US);
    poll_it(f, c, EPOLLIN | EPOLLRDHUP | EPOLLET);
  }
  pthread_mutex_unlock(&f->lock);
  if (!c) close(fd);
}

bool front_may_keep(struct front *f) {
  pthread_mutex_lock(&f->lock);
  bool keep = f->list[C_SERVED].n * 4 <= f->o.threads * 3;
  pthread_mutex_unlock(&f->lock);
  return keep;
}

bool front_waits(struct front *f) {
  pthread_mutex_lock(&f->lock);
  bool w = f->list[C_READY].n > 0;
  pthread_mutex_unlock(&f->lock);
  return w;
}

/* ---- start and stop ---- */

static enum wr_rc read_address(const char *s, struct sockaddr_in *a, struct wr_err *err) {
  char addr[INET_ADDRSTRLEN];
  int64_t port;
  const char *colon = strrchr(s, ':');
  size_t n = colon ? (size_t)(colon - s) : 0;
  *a = (struct sockaddr_in){.sin_family = AF_INET};
  bool ok = n > 0 && n < sizeof addr && text_i64(colon + 1, strlen(colon + 1), &port) && port >= 0 && port <= 65535;
  if (ok) {
    memcpy(addr, s, n);
    addr[n] = '\0';
    a->sin_port = htons((uint16_t)port);
    ok = inet_pton(AF_INET, addr, &a->sin_addr) == 1;
  }
  return ok ? WR_OK : wr_err_set(err, WR_BAD_REQUEST, "The address to listen at must be IPV4-ADDRESS:PORT.");
}

enum wr_rc front_listen(const char *addr, int *out, uint16_t *port, struct wr_err *err) {
  struct sockaddr_in a;
  socklen_t n = sizeof a;
  int on = 1;
  enum wr_rc rc = read_address(addr, &a, err);
  if (rc != WR_OK) return rc;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
            bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && (!out || listen(fd, BACKLOG) == 0) &&
            getsockname(fd, (struct sockaddr *)&a, &n) == 0;
  if (!ok) rc = wr_err_set(err, WR_INTERNAL, "Cannot listen on %s: %s. Name another address (listen).", addr, strerror(errno));
  if (fd >= 0 && (!ok || !out)) close(fd);
  if (!ok || !out) return rc;
  *port = ntohs(a.sin_port);
  *out = fd;
  return WR_OK;
}

struct front *front_new(const struct front_opts *o) {
  struct front *f = wr_new(struct front);
  f->o = *o;
  f->ep = epoll_create1(EPOLL_CLOEXEC);
  f->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  f->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  f->n_conn = o->most + o->threads;
  f->conn = wr_calloc(f->n_conn, sizeof *f->conn);
  pthread_mutex_init(&f->lock, NULL);
  cond_mono(&f->probes);
  for (int s = 0; s < C__N; s++) f->list[s] = (struct list){NONE, NONE, 0};
  for (uint32_t i = 0; i < f->n_conn; i++) {
    f->conn[i].fd = -1;
    put_in(f, &f->conn[i], C_FREE);
  }
  return f;
}

enum wr_rc front_start(struct front *f, struct wr_err *err) {
  static void *(*const run[])(void *) = {[FRONT_SELF] = front_run, [FRONT_PROBE] = probe_run};
  struct epoll_event ev = {.events = EPOLLIN, .data.u64 = KEY_WAKE};
  if (f->ep < 0 || f->wake < 0 || f->ready < 0 || epoll_ctl(f->ep, EPOLL_CTL_ADD, f->wake, &ev) != 0)
    return wr_err_set(err, WR_INTERNAL, "The API cannot start: %s.", strerror(errno));
  listen_on(f, true);
  for (int i = 0; i < FRONT__N; i++) {
    int failed = log_thread(&f->thread[i], NULL, run[i], f);
    if (failed)
      return wr_err_set(err, WR_INTERNAL, "The API cannot start its threads: %s. Raise the limit of processes (ulimit -u).",
                        strerror(failed));
    f->running[i] = true;
    pthread_setname_np(f->thread[i], i == FRONT_SELF ? "weir-front" : "weir-probes");
  }
  return WR_OK;
}

void front_close(struct front *f) {
  pthread_mutex_lock(&f->lock);
  f->closed = true;
  pthread_mutex_unlock(&f->lock);
  signal_fd(f->wake);
}

void front_free(struct front *f) {
  pthread_mutex_lock(&f->lock);
  f->stop = true;
  pthread_cond_signal(&f->probes);
  pthread_mutex_unlock(&f->lock);
  signal_fd(f->wake);
  for (int i = 0; i < FRONT__N; i++)
    if (f->running[i]) pthread_join(f->thread[i], NULL);
  for (uint32_t i = 0; i < f->n_conn; i++)
    if (f->conn[i].fd >= 0 && f->conn[i].state != C_SERVED) close(f->conn[i].fd);
  if (f->o.listener >= 0) close(f->o.listener);
  if (f->ep >= 0) close(f->ep);
  if (f->wake >= 0) close(f->wake);
  if (f->ready >= 0) close(f->ready);
  pthread_mutex_destroy(&f->lock);
  pthread_cond_destroy(&f->probes);
  free(f->conn);
  free(f);
}
