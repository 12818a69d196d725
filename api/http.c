/* The seam to civetweb 1.15: see http.h. Facts of its source that this file answers to:
 *
 *  - it spends a thread on every connection it accepts: it accepts from the front, which has whole requests (front.h). Its
 *    own listening socket is bound to nothing that matters, never listens, and gives its number to the front's eventfd;
 *  - it reads a header block into one buffer per thread and cuts it up in place: the gate checks the gaps;
 *  - it skips blanks before and CR or LF behind the first line, and finds the end of the headers in them: the raw bytes
 *    that it received are looked at too (hook.h, raw_head());
 *  - its body timeout restarts with every byte: a body of known length is waited for here, and read when it is there; for
 *    chunks its poll() ends at our deadline (struct nap);
 *  - after a handler it reads on until the body is over, except when the connection is told to close;
 *  - a target that is "*" or names another host gets no answer at all: it gets one when the connection closes;
 *  - it closes without reading the rest, which makes the kernel send RST and the client lose our answer: the front reads it;
 *  - a thread that it cannot make is a line in its log: http_start() counts them;
 *  - on stop it writes nothing any more: http_stop() first waits for requests under way. */
#include "http.h"
#include <civetweb.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "clock.h"
#include "cond.h"
#include "front.h"
#include "head.h"
#include "http_int.h"
#include "text.h"
#include "wr_limits.h"
#include "log.h"
#include "log_place.h"

enum {
  BUFFER_BYTES = 120 << 10,  /* civetweb's header buffer: above the gate's limit, so that 431 can be said */
  PIECE = 64 << 10,
  SPARE_THREADS = 8,
  HOLD_STEP = 256 << 10,     /* bodies are counted in steps of this, small ones not at all */
  SPARE_FILES = 64           /* descriptors for connections, at least */
};
#define STUCK_US 1000000     /* a request that runs for so long counts as stuck */
#define SLOW_US 200000       /* a body that takes longer is slow: only so many threads wait for slow bodies */
#define PUT_US 20000000      /* a file of the program must have gone out by then */
#define PUT_LOOK_US 250000   /* a thread that waits for a reader looks this often whether the server stops */
#define STOP_WAIT_US 2000000
#define THREADS_WAIT_US 20000000
#define TRIM_BYTES (32 << 20)

struct http {
  struct http_opts o;
  struct mg_context *mg;
  struct front *front;
  struct http_thread *own[FRONT__N]; /* what the front's threads answer with */
  uint32_t threads;
  uint16_t port;
  int listen_fd;             /* the library's: the front's eventfd takes its number */
  int stop_fd;               /* readable: threads of the library that poll wake up */
  int nobody;                /* a socket without a peer: takes the number of a connection that is parked */
  uint32_t most;             /* connections that the front keeps */
  _Atomic uint64_t serial;
  _Atomic uint32_t busy;     /* requests under way */
  _Atomic uint32_t slow;     /* of these, waiting for bodies that are slow, or for readers that are */
  _Atomic int64_t body_bytes;/* of bodies at rest */
  _Atomic int64_t trim_bytes;/* of bodies that were handled since memory went back to the system */
  atomic_bool stopping;
  pthread_mutex_t lock;      /* guards thread[], n_thread */
  struct http_thread **thread;
  uint32_t n_thread;
  char said[160];            /* the last thing civetweb said while it started */
  struct log_place *log;     /* of who started it */
  bool started, refused;     /* refused: a thread could not be made */
};

static _Thread_local struct http_thread *self; /* of a thread of the library */

/* ---- threads ---- */

/* The accepting thread (kind 0) gets one too: its poll() must end when the server stops. It has not polled yet. */
static void *thread_new(const struct mg_context *mg, int kind) {
  if (kind != 0 && kind != 1) return NULL;
  struct http *h = mg_get_user_data(mg);
  struct http_thread *t = thread_make();
  (void)log_here(h->log);
  if (kind == 0) {
    hook_front = h->front;
    dup3(front_ready_fd(h->front), h->listen_fd, O_CLOEXEC);
  } else {
    self = t;
    hook_wire = &t->wire;
  }
  t->nap.stop_fd = h->stop_fd;
  hook_nap = &t->nap;
  pthread_mutex_lock(&h->lock);
  wr_assert(h->n_thread <= h->threads);
  h->thread[h->n_thread++] = t;
  pthread_mutex_unlock(&h->lock);
  return t;
}

static void thread_end(const struct mg_context *mg, int kind, void *p) {
  (void)mg;
  (void)kind;
  (void)p;
  hook_nap = NULL; /* the memory goes in http_stop(): others may still look at busy_us */
}

/* Most threads have been in their request for long: a database that hangs, or clients that send slowly. */
static bool crowded(struct http *h, int64_t now) {
  if (atomic_load(&h->busy) + SPARE_THREADS <= h->threads) return false;
  uint32_t stuck = 0;
  pthread_mutex_lock(&h->lock);
  for (uint32_t i = 0; i < h->n_thread; i++) {
    int64_t since = atomic_load_explicit(&h->thread[i]->busy_us, memory_order_relaxed);
    stuck += since != 0 && now - since > STUCK_US;
  }
  pthread_mutex_unlock(&h->lock);
  return stuck * 2 > h->threads;
}

/* ---- the body ---- */

static enum wr_rc too_large(size_t limit, int64_t got, struct wr_err *err) {
  enum wr_rc rc = wr_err_set(err, WR_BODY_TOO_LARGE, "The body is larger than %zu bytes.", limit);
  if (err) err->limit = (int64_t)limit, err->got = got;
  return rc;
}

/* Counts the memory of the body before it is taken. BUSY: bodies at rest take all they may. */
static enum wr_rc hold(struct http_req *q, size_t bytes, struct wr_err *err) {
  if (bytes <= PIECE || bytes <= q->held) return WR_OK;
  size_t more = (bytes - q->held + HOLD_STEP - 1) / HOLD_STEP * HOLD_STEP;
  if (atomic_fetch_add(&q->http->body_bytes, (int64_t)more) + (int64_t)more > LIMIT_BODIES_BYTES) {
    atomic_fetch_sub(&q->http->body_bytes, (int64_t)more);
    return wr_err_set(err, WR_BUSY, "Other large bodies take all the memory there is for them. Try again.");
  }
  q->held += more;
  return WR_OK;
}

static enum wr_rc slow_begin(struct http_req *q, struct wr_err *err) {
  if (q->slow) return WR_OK;
  if (atomic_fetch_add(&q->http->slow, 1) >= (q->http->threads + 2) / 3) {
    atomic_fetch_sub(&q->http->slow, 1);
    return wr_err_set(err, WR_BUSY, "Too many bodies arrive slowly. Try again.");
  }
  q->slow = true;
  return WR_OK;
}

/* Waits until *n bytes can be read, at the longest until `end`; *n may be 0. */
static enum wr_rc body_wait(struct http_req *q, int64_t end, size_t *n, struct wr_err *err) {
  int fd = q->thread->wire.fd, got = 0;
  int64_t patient = q->slow ? end : clock_mono_us() + SLOW_US;
  for (;;) {
    if (ioctl(fd, FIONREAD, &got) != 0) return wr_err_set(err, WR_BODY_TIMEOUT, NULL);
    *n = (size_t)got;
    if (got > 0) return WR_OK;
    int64_t now = clock_mono_us(), until = patient < end ? patient : end;
    if (now >= end || atomic_load(&q->http->stopping)) return wr_err_set(err, WR_BODY_TIMEOUT, NULL);
    if (now >= until) {
      enum wr_rc rc = slow_begin(q, err);
      if (rc != WR_OK) return rc;
      patient = end;
      continue;
    }
    struct pollfd p = {fd, POLLIN | POLLRDHUP, 0};
    if (poll(&p, 1, (int)((until - now) / 1000) + 1) > 0 && ioctl(fd, FIONREAD, &got) == 0 && got == 0)
      return wr_err_set(err, WR_BODY_TIMEOUT, NULL); /* the client ended the body before it was whole */
  }
}

/* A body of known length. The library has some of it in its buffer; the rest is read as it arrives. */
static enum wr_rc read_length(struct http_req *q, int64_t end, struct wr_err *err) {
  struct buf *b = &q->scratch->body;
  size_t length = (size_t)q->framing.length, behind = q->thread->wire.raw.len - q->n_head;
  while (b->len < length) {
    size_t want = length - b->len, n = behind > b->len ? behind - b->len : 0;
    enum wr_rc rc = n > 0 ? WR_OK : body_wait(q, end, &n, err);
    if (want > n) want = n;
    if (want > PIECE) want = PIECE;
    if (rc == WR_OK) rc = hold(q, b->len + want, err);
    if (rc != WR_OK) return rc;
    int got = mg_read(q->conn, buf_reserve(b, want), want);
    if (got <= 0) return wr_err_set(err, WR_BODY_TIMEOUT, NULL);
    b->len += (size_t)got;
  }
  return WR_OK;
}

/* Reads chunks, which the library takes apart, until the last one. */
static enum wr_rc read_chunks(struct http_req *q, size_t limit, int64_t end, struct wr_err *err) {
  struct buf *b = &q->scratch->body;
  enum wr_rc rc = slow_begin(q, err);
  int n = 1;
  q->thread->nap.until_us = end;
  while (rc == WR_OK && n > 0) {
    rc = hold(q, b->len + PIECE + 1, err);
    if (rc != WR_OK) break;
    n = mg_read(q->conn, buf_reserve(b, PIECE), PIECE);
    if (n > 0) b->len += (size_t)n;
    /* 0 is the end, or a silence of civetweb's own timeout; less than 0 a closed connection, broken chunks or our watch. */
    if (b->len > limit) rc = too_large(limit, (int64_t)b->len, err);
    else if (clock_mono_us() >= end) rc = wr_err_set(err, WR_BODY_TIMEOUT, NULL);
    else if (n < 0) rc = wr_err_set(err, WR_BAD_FRAMING, "The chunks of the body are broken.");
  }
  q->thread->nap.until_us = 0;
  return rc;
}

enum wr_rc http_body(struct http_req *q, size_t limit, int64_t allow_us, struct wr_err *err) {
  struct buf *b = &q->scratch->body;
  buf_clear(b);
  int64_t length = q->framing.length, now = clock_mono_us();
  if (length > 0 && (uint64_t)length > limit) return too_large(limit, length, err);
  if (q->framing.expect && length != 0) {
    static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";
    q->framing.expect = false;
    if (mg_write(q->conn, go, sizeof go - 1) < 0) return wr_err_set(err, WR_BODY_TIMEOUT, NULL);
  }
  if (length > 0 && length <= PIECE) buf_reserve(b, (size_t)length + 1);
  int64_t end = q->late ? now : now + allow_us;
  enum wr_rc rc = length == GATE_CHUNKED ? read_chunks(q, limit, end, err) : read_length(q, end, err);
  if (q->slow) atomic_fetch_sub(&q->http->slow, 1);
  q->slow = false;
  if (rc != WR_OK) return rc;
  buf_reserve(b, 1)[0] = '\0';
  q->unread = false;
  q->since_us = clock_mono_us();
  return WR_OK;
}

/* ---- requests ---- */

/* The length of the request's head among the raw bytes; 0 when something stands in front of it, or a line is not sound. */
static size_t raw_head(const struct wire *w, const char *method) {
  size_t n = method ? strlen(method) : 0;
  int head = head_length(w->raw.data, w->raw.len, 0);
  bool ok = head > 0 && n > 0 && w->raw.len > n && memcmp(w->raw.data, method, n) == 0 && w->raw.data[n] == ' ';
  return ok && head_sound(w->raw.data, (size_t)head) ? (size_t)head : 0;
}

static bool put_library(struct http_req *q, const void *p, size_t n) { return mg_write(q->conn, p, n) == (int)n; }

/* Waits until the client has room again. False: its time is over, the server stops, or too many are slow already. */
static bool put_wait(struct http_req *q, int64_t patient, int64_t end) {
  int64_t now = clock_mono_us(), until = q->slow ? end : patient;
  if (now >= end || atomic_load(&q->http->stopping)) return false;
  if (now >= until) return slow_begin(q, NULL) == WR_OK;
  int64_t wait = until - now < PUT_LOOK_US ? until - now : PUT_LOOK_US;
  struct pollfd p = {q->thread->wire.fd, POLLOUT, 0};
  return poll(&p, 1, (int)(wait / 1000) + 1) >= 0 || errno == EINTR;
}

/* Strangers may ask for files, so these do not go through mg_write(), whose bound begins anew with every byte that is taken. */
bool http_put_slow(struct http_req *q, const void *data, size_t n) {
  const char *p = data;
  int64_t now = clock_mono_us(), patient = now + SLOW_US, end = now + PUT_US;
  bool ok = true;
  wr_assert(q->conn);
  while (ok && n > 0) {
    ssize_t k = send(q->thread->wire.fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (k > 0) {
      p += k;
      n -= (size_t)k;
    }
    if (k < 0 && errno != EAGAIN && errno != EINTR) ok = false;
    else if (n > 0) ok = put_wait(q, patient, end);
  }
  if (q->slow) atomic_fetch_sub(&q->http->slow, 1);
  q->slow = false;
  return ok;
}

static void req_init(struct http_req *q, struct http *h, struct http_thread *t) {
  *q = (struct http_req){.http = h, .thread = t, .scratch = &t->scratch};
  snprintf(q->id, sizeof q->id, "%016llx", (unsigned long long)atomic_fetch_add(&h->serial, 1));
  q->since_us = clock_mono_us();
  http_out_again(q);
}

static void req_library(struct http_req *q, struct mg_connection *conn) {
  const struct mg_request_info *ri = mg_get_request_info(conn);
  req_init(q, mg_get_user_context_data(conn), self);
  q->conn = conn;
  q->put = put_library;
  q->in.method = ri->request_method;
  q->in.target = ri->request_uri;
  q->in.query = ri->query_string;
  q->in.version = ri->http_version;
  q->head = ri->request_method && strcmp(ri->request_method, "HEAD") == 0;
}

static void req_refuse(struct http_req *q, const struct wr_err *err) {
  q->keep = false;
  q->http->o.refuse(q->http->o.ctx, q, err);
}

/* malloc keeps what bodies, their trees and their answers took, several times their size: now and then it goes back. */
static void body_over(struct http *h, int64_t bytes) {
  atomic_fetch_sub(&h->body_bytes, bytes);
  if (atomic_fetch_add(&h->trim_bytes, bytes) + bytes < TRIM_BYTES) return;
  atomic_store(&h->trim_bytes, 0);
  malloc_trim(0);
}

/* After the answer of a thread of the library. The front reads what is unread, on a second descriptor. */
static void req_done(struct http_req *q) {
  struct wire *w = &q->thread->wire;
  wr_assert(q->answered != q->parked);
  if (q->held) body_over(q->http, (int64_t)q->held);
  if (q->keep) {
    size_t used = q->n_head + (q->framing.length > 0 ? (size_t)q->framing.length : 0);
    if (used > w->raw.len) used = w->raw.len;
    w->raw.len -= used;
    memmove(w->raw.data, w->raw.data + used, w->raw.len);
    w->head = true;
    return;
  }
  mg_disable_connection_keep_alive(q->conn);
  bool read_on = q->unread && !q->framing.expect && !q->parked && w->fd >= 0;
  int fd = read_on ? fcntl(w->fd, F_DUPFD_CLOEXEC, 3) : -1;
  if (fd >= 0) front_linger(q->http->front, fd);
}

/* The library closes what it accepted, so the connection gets a second number, and a socket without a peer the first one. */
bool http_park(struct http_req *q, struct http_parked *p) {
  const struct wire *w = &q->thread->wire;
  size_t used = q->n_head + (q->framing.length > 0 ? (size_t)q->framing.length : 0);
  *p = (struct http_parked){.http = q->http, .keep = q->keep && w->raw.len <= used, .head = q->head,
                            .chunks = q->in.version && strcmp(q->in.version, "1.1") == 0};
  memcpy(p->id, q->id, sizeof p->id);
  p->fd = q->conn && w->fd >= 0 && q->http->nobody >= 0 ? fcntl(w->fd, F_DUPFD_CLOEXEC, 3) : -1;
  if (p->fd < 0) return false;
  if (dup3(q->http->nobody, w->fd, O_CLOEXEC) < 0) {
    close(p->fd);
    return false;
  }
  q->parked = true;
  q->keep = false;
  return true;
}

void http_resume(struct http_thread *t, const struct http_parked *p, struct http_req *q) {
  req_init(q, p->http, t);
  memcpy(q->id, p->id, sizeof q->id);
  q->fd = p->fd;
  q->keep = p->keep;
  q->head = p->head;
}

void http_unpark(const struct http_parked *p) {
  if (p->keep) {
    front_keep(p->http->front, p->fd);
    return;
  }
  shutdown(p->fd, SHUT_WR);
  front_linger(p->http->front, p->fd);
}

uint32_t http_connections(const struct http *h) { return h->most; }

/* The times of the request that the thread is about to handle: for the first one of a connection the front knows them. */
static void req_time(struct http_req *q) {
  struct http_thread *t = q->thread;
  if (!t->first) return;
  t->first = false;
  struct front_first f = front_first(q->http->front, t->wire.fd);
  q->since_us = f.since_us;
  q->late = f.late;
}

static int begin_request(struct mg_connection *conn) {
  const struct mg_request_info *ri = mg_get_request_info(conn);
  _Static_assert(sizeof(struct gate_header) == sizeof(struct mg_header), "the same two pointers");
  struct gate_header header[MG_MAX_HEADERS];
  struct http_req q;
  req_library(&q, conn);
  struct http *h = q.http;
  int64_t now = q.since_us;
  atomic_store_explicit(&q.thread->busy_us, now, memory_order_relaxed);
  atomic_fetch_add(&h->busy, 1);
  q.thread->wire.head = false;
  req_time(&q);
  for (int i = 0; i < ri->num_headers; i++) header[i] = (struct gate_header){ri->http_headers[i].name, ri->http_headers[i].value};
  q.in.header = header;
  q.in.n = (size_t)ri->num_headers;
  struct wr_err err;
  wr_err_clear(&err);
  q.n_head = raw_head(&q.thread->wire, q.in.method);
  enum wr_rc rc = gate_framing(&q.in, &q.framing, &err);
  if (rc == WR_OK && q.n_head == 0) rc = wr_err_set(&err, WR_BAD_FRAMING, NULL);
  if (rc != WR_OK) {
    req_refuse(&q, &err);
  } else {
    q.in.target = ri->local_uri_raw; /* the path of "http://this-host/path" */
    q.unread = q.framing.length != 0;
    q.keep = q.framing.keep_alive && front_may_keep(h->front);
    q.crowded = crowded(h, now);
    h->o.handle(h->o.ctx, &q);
  }
  req_done(&q);
  atomic_store_explicit(&q.thread->busy_us, 0, memory_order_relaxed);
  atomic_fetch_sub(&h->busy, 1);
  return 200;
}

/* Answers what civetweb itself refuses. conn_data says that the connection got its last answer. */
static int http_error(struct mg_connection *conn, int status, const char *text) {
  const struct mg_request_info *ri = mg_get_request_info(conn);
  struct http_req q;
  struct wr_err err;
  (void)text;
  req_library(&q, conn);
  if (status == 411 || ri->num_headers < 0) /* a wrong Content-Length; a line that is no header */
    wr_err_set(&err, WR_BAD_FRAMING, NULL);
  else if (status == 505)
    wr_err_set(&err, WR_BAD_REQUEST, "HTTP/1.1 or HTTP/1.0 is required.");
  else if (status == 400 && ri->http_version && strncmp(ri->http_version, "1.", 2) == 0 && ri->num_headers == 0)
    wr_err_set(&err, WR_METHOD, NULL); /* civetweb parses headers only behind a method that it knows */
  else
    wr_err_set(&err, WR_BAD_REQUEST, "The request is malformed, its headers are too large, or they came too late.");
  q.unread = true;
  req_refuse(&q, &err);
  req_done(&q);
  mg_set_user_connection_data(conn, conn);
  return 0;
}

static int connection_new(const struct mg_connection *conn, void **data) {
  *data = NULL;
  (void)conn;
  self->wire.fd = -1;
  self->first = true;
  self->wire.head = true;
  buf_clear(&self->wire.raw);
  return 0;
}

/* Before the socket closes. A parsed request without a path of ours was dropped without an answer. */
static void connection_close(const struct mg_connection *cc) {
  struct mg_connection *conn = (struct mg_connection *)(uintptr_t)cc;
  struct http *h = mg_get_user_context_data(conn);
  const struct mg_request_info *ri = mg_get_request_info(conn);
  if (ri && ri->request_method && ri->http_version && !ri->local_uri_raw && !mg_get_user_connection_data(conn)) {
    struct http_req q;
    struct wr_err err;
    req_library(&q, conn);
    q.unread = true;
    wr_err_set(&err, WR_BAD_REQUEST, "The target of the request must be a path of this server.");
    req_refuse(&q, &err);
    req_done(&q);
  }
  if (self->wire.raw.cap > BUFFER_BYTES) buf_done(&self->wire.raw);
  front_back(h->front, self->wire.fd);
}

/* ---- what the front answers itself: probes, and refusals of what no thread has seen ---- */

static bool put_front(struct http_req *q, const void *p, size_t n) {
  return send(q->fd, p, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n;
}

static enum front_then front_answer(void *ctx, enum front_who who, int fd, char *head, size_t n, enum wr_rc why) {
  struct http *h = ctx;
  struct gate_header header[LIMIT_HEADERS];
  struct http_req q;
  struct wr_err err;
  req_init(&q, h, h->own[who]);
  q.fd = fd;
  q.put = put_front;
  q.head = n > 5 && memcmp(head, "HEAD ", 5) == 0;
  wr_err_clear(&err);
  if (why != WR_OK) {
    wr_err_set(&err, why, NULL);
    if (why == WR_HEADERS_TOO_LARGE) err.limit = LIMIT_HEADER_BYTES, err.got = (int64_t)n;
    req_refuse(&q, &err);
    return FRONT_CLOSE;
  }
  if (!head_cut(head, n, header, &q.in) || gate_framing(&q.in, &q.framing, &err) != WR_OK) return FRONT_PASS;
  q.keep = q.framing.keep_alive;
  h->o.handle(h->o.ctx, &q);
  return q.keep ? FRONT_KEEP : FRONT_CLOSE;
}

static void front_tick(void *ctx) {
  struct http *h = ctx;
  if (h->o.tick) h->o.tick(h->o.ctx);
}

static int log_message(const struct mg_connection *conn, const char *message) {
  struct http *h = conn ? mg_get_user_context_data(conn) : NULL;
  if (h && !h->started) {
    pthread_mutex_lock(&h->lock);
    snprintf(h->said, sizeof h->said, "%s", message);
    if (strstr(message, "Cannot start worker thread")) h->refused = true;
    pthread_mutex_unlock(&h->lock);
  }
  log_debug("http.civetweb", L_STR("text", message));
  return 1;
}

/* ---- start and stop ---- */

static void http_free(struct http *h) {
  if (h->front) front_free(h->front);
  for (uint32_t i = 0; i < h->n_thread; i++) thread_free(h->thread[i]);
  for (int i = 0; i < FRONT__N; i++) thread_free(h->own[i]);
  pthread_mutex_destroy(&h->lock);
  if (h->nobody >= 0) close(h->nobody);
  if (h->stop_fd >= 0) close(h->stop_fd);
  log_place_unref(h->log);
  free(h->thread);
  free(h);
}

static struct mg_context *start_civetweb(struct http *h, struct mg_error_data *why) {
  char threads[16], buffer[16];
  snprintf(threads, sizeof threads, "%u", h->threads);
  snprintf(buffer, sizeof buffer, "%d", BUFFER_BYTES);
  const char *options[] = {
    "listening_ports", "127.0.0.1:0", "num_threads", threads, "max_request_size", buffer,
    "enable_keep_alive", "yes", "keep_alive_timeout_ms", "5000", "request_timeout_ms", "5000",
    "tcp_nodelay", "1", "connection_queue", "128", "listen_backlog", "1",
    "decode_url", "no", "decode_query_string", "no", "enable_auth_domain_check", "no",
    "enable_directory_listing", "no", "access_control_allow_origin", "", "access_control_allow_methods", "",
    "access_control_allow_headers", "", NULL};
  struct mg_callbacks cb = {.begin_request = begin_request, .http_error = http_error, .log_message = log_message,
                            .init_thread = thread_new, .exit_thread = thread_end, .init_connection = connection_new,
                            .connection_close = connection_close};
  struct mg_init_data init = {.callbacks = &cb, .user_data = h, .configuration_options = options};
  hook_listen = &h->listen_fd;
  struct mg_context *mg = mg_start2(&init, why);
  hook_listen = NULL;
  return mg;
}

/* Do all threads run? The library goes on without threads that it could not make, even without the one that accepts. */
static bool all_threads(struct http *h) {
  int64_t end = clock_mono_us() + THREADS_WAIT_US;
  for (;;) {
    pthread_mutex_lock(&h->lock);
    bool all = h->n_thread == h->threads + 1, refused = h->refused;
    pthread_mutex_unlock(&h->lock);
    if (all || refused || clock_mono_us() > end) return all;
    usleep(1000);
  }
}

/* How many connections may wait: what the limit of open files leaves. 0 = too little for the threads. */
static uint32_t connections_that_fit(const struct http *h, struct wr_err *err) {
  struct rlimit l;
  uint64_t open = 0;
  if (getrlimit(RLIMIT_NOFILE, &l) != 0) return LIMIT_CONNECTIONS;
  DIR *d = opendir("/proc/self/fd");
  while (d && readdir(d)) open++;
  if (d) closedir(d);
  uint64_t need = open + h->threads + SPARE_FILES;
  if (l.rlim_cur < need) {
    (void)wr_err_set(err, WR_INTERNAL, "The API needs %llu open files, %llu are allowed. Raise the limit (ulimit -n).",
                     (unsigned long long)need,
                     (unsigned long long)l.rlim_cur);
    return 0;
  }
  uint64_t half = (l.rlim_cur - open - h->threads) / 2;
  return half < SPARE_FILES ? SPARE_FILES : half < LIMIT_CONNECTIONS ? (uint32_t)half : LIMIT_CONNECTIONS;
}

static enum wr_rc start_front(struct http *h, struct wr_err *err) {
  struct front_opts o = {.threads = h->threads, .wait_us = h->o.wait_us, .ctx = h, .answer = front_answer, .tick = front_tick};
  o.most = h->most = connections_that_fit(h, err);
  if (o.most == 0) return err->code;
  enum wr_rc rc = front_listen(h->o.listen, &o.listener, &h->port, err);
  if (rc == WR_OK) h->front = front_new(&o);
  return rc;
}

/* The library counts who uses it, and does so without a lock; a process may have several servers. */
static void library_use(bool use) {
  static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&mu);
  if (use) mg_init_library(MG_FEATURES_DEFAULT);
  else mg_exit_library();
  pthread_mutex_unlock(&mu);
}

static enum wr_rc start_threads(struct http *h, struct wr_err *err) {
  char text[160] = "";
  struct mg_error_data why = {.text = text, .text_buffer_size = sizeof text};
  library_use(true);
  h->mg = start_civetweb(h, &why);
  if (!h->mg) library_use(false);
  const char *cause = h->said[0] ? h->said : text;
  if (!h->mg) return wr_err_set(err, WR_INTERNAL, "The API cannot start: %s%s", cause, text_stop(cause));
  if (all_threads(h)) return front_start(h->front, err);
  return wr_err_set(err, WR_INTERNAL, "The API cannot start its %u threads. Raise the limit of processes (ulimit -u).",
                    h->threads);
}

enum wr_rc http_start(const struct http_opts *o, struct http **out, struct wr_err *err) {
  enum wr_rc rc = hook_begin((const void *)(uintptr_t)mg_start2, err);
  if (rc != WR_OK) return rc;
  struct http *h = wr_new(struct http);
  h->o = *o;
  h->log = log_where();
  if (h->log) (void)log_place_ref(h->log);
  h->listen_fd = -1;
  h->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  h->nobody = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  h->threads = o->threads ? o->threads : HTTP_THREADS;
  h->thread = wr_calloc(h->threads + 1, sizeof *h->thread);
  for (int i = 0; i < FRONT__N; i++) h->own[i] = thread_make();
  pthread_mutex_init(&h->lock, NULL);
  uint64_t serial;
  rand_secret(&serial, sizeof serial);
  h->serial = serial & ~0xffffffffULL; /* told apart over restarts, counted up within one */
  rc = start_front(h, err);
  if (rc == WR_OK) rc = start_threads(h, err);
  if (rc != WR_OK) {
    if (!h->mg) http_free(h); /* else its threads still use h, and nothing comes to them any more */
    return rc;
  }
  h->started = true;
  *out = h;
  return WR_OK;
}

enum wr_rc http_try(const char *listen, struct wr_err *err) { return front_listen(listen, NULL, NULL, err); }

uint16_t http_port(const struct http *h) { return h->port; }

void http_stop(struct http *h) {
  if (!h) return;
  int64_t end = clock_mono_us() + STOP_WAIT_US;
  front_close(h->front);
  while ((atomic_load(&h->busy) > 0 || front_waits(h->front)) && clock_mono_us() < end) usleep(1000);
  atomic_store(&h->stopping, true);
  /* Threads that wait for a request or a connection wake up from now on; else the library takes its two seconds. */
  uint64_t one = 1;
  (void)!write(h->stop_fd, &one, sizeof one);
  mg_stop(h->mg);
  library_use(false);
  http_free(h);
}
