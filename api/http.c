/* The seam to civetweb 1.15: see http.h. Facts of its source that this file answers to:
 *
 *  - it reads a header block into one buffer per thread and cuts it up in place: the gate checks the gaps;
 *  - it skips blanks before the first line, but finds the end of the headers in them: a request must begin where the
 *    buffer does (buffer_start());
 *  - its body timeout restarts with every byte: a timer of ours interrupts its poll() (watch_*());
 *  - after a handler it reads on until the body is over: not when the connection is told to close;
 *  - a target that is "*" or names another host gets no answer at all: it gets one when the connection closes;
 *  - it closes without reading the rest, which makes the kernel send RST and the client lose our answer: linger();
 *  - on stop it writes nothing any more: http_stop() first waits for requests under way. */
#include "http.h"
#include <arpa/inet.h>
#include <civetweb.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "clock.h"
#include "limits.h"
#include "log.h"
#include "text.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum {
  BUFFER_BYTES = 120 << 10,  /* civetweb's header buffer: above the gate's limit, so that 431 can be said */
  HEAD_ROOM = 640,           /* in front of the answer's body, for its headers: one write for both */
  PIECE = 64 << 10,
  KEEP_BYTES = 256 << 10,    /* scratch memory above this is given back after the answer */
  SPARE_THREADS = 8
};
#define STUCK_US 1000000     /* a request that runs for so long counts as stuck */
#define LINGER_US 1000000
#define WATCH_AGAIN_US 20000
#define STOP_WAIT_US 2000000

struct http_thread {
  struct http_scratch scratch;
  const char *base;          /* lowest first byte of a request seen: civetweb's buffer starts there */
  _Atomic int64_t busy_us;   /* since when it handles a request, 0 = it does not */
  timer_t timer;
  bool has_timer;
  int64_t date_s;
  char date[40];
};

struct http {
  struct http_opts o;
  struct mg_context *mg;
  uint32_t threads;
  uint16_t port;
  _Atomic uint64_t serial;
  _Atomic uint32_t open;     /* connections that have a thread */
  _Atomic uint32_t busy;     /* requests under way */
  pthread_mutex_t lock;      /* guards thread[], n_thread */
  struct http_thread **thread;
  uint32_t n_thread;
  char said[160];            /* the last thing civetweb said while it started */
  bool started;
};

/* ---- the watch: ends a blocking read of civetweb at a deadline ---- */

static int wake_signal(void) { return SIGRTMIN + 4; }
static void on_wake(int sig) { (void)sig; } /* only so that poll() returns EINTR */

static void watch_open(struct http_thread *t) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, wake_signal());
  pthread_sigmask(SIG_UNBLOCK, &set, NULL);
  struct sigevent ev = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = wake_signal()};
  ev.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
  t->has_timer = timer_create(CLOCK_MONOTONIC, &ev, &t->timer) == 0;
}

/* Again and again from the deadline on: the first signal may fall between two polls. at_us 0 = off. */
static void watch_set(struct http_thread *t, int64_t at_us) {
  struct itimerspec it = {0};
  if (at_us > 0) {
    it.it_value = (struct timespec){at_us / 1000000, at_us % 1000000 * 1000};
    it.it_interval.tv_nsec = WATCH_AGAIN_US * 1000L;
  }
  if (t->has_timer) timer_settime(t->timer, TIMER_ABSTIME, &it, NULL);
}

/* ---- threads ---- */

/* The accepting thread (kind 0) gets one too: its poll() must end when the server stops. */
static void *thread_new(const struct mg_context *mg, int kind) {
  if (kind != 0 && kind != 1) return NULL;
  struct http *h = mg_get_user_data(mg);
  struct http_thread *t = wr_new(struct http_thread);
  pthread_mutex_init(&t->scratch.lock, NULL);
  pthread_cond_init(&t->scratch.cond, NULL);
  watch_open(t);
  pthread_mutex_lock(&h->lock);
  wr_assert(h->n_thread <= h->threads);
  h->thread[h->n_thread++] = t;
  pthread_mutex_unlock(&h->lock);
  return t;
}

static void thread_end(const struct mg_context *mg, int kind, void *p) {
  struct http_thread *t = p;
  (void)mg;
  (void)kind;
  if (t && t->has_timer) timer_delete(t->timer);
  /* The memory goes in http_stop(): others may still look at busy_us. */
}

static void thread_free(struct http_thread *t) {
  buf_done(&t->scratch.out);
  buf_done(&t->scratch.body);
  buf_done(&t->scratch.text);
  pthread_mutex_destroy(&t->scratch.lock);
  pthread_cond_destroy(&t->scratch.cond);
  free(t);
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

/* ---- the answer ---- */

struct buf *http_out(struct http_req *q) { return &q->scratch->out; }

void http_out_again(struct http_req *q) {
  struct buf *b = &q->scratch->out;
  buf_clear(b);
  buf_reserve(b, HEAD_ROOM + 1024);
  b->len = HEAD_ROOM;
}

static const char *reason(int status) {
  switch (status) {
  case 200: return "OK";
  case 400: return "Bad Request";
  case 401: return "Unauthorized";
  case 403: return "Forbidden";
  case 404: return "Not Found";
  case 405: return "Method Not Allowed";
  case 408: return "Request Timeout";
  case 409: return "Conflict";
  case 412: return "Precondition Failed";
  case 413: return "Content Too Large";
  case 415: return "Unsupported Media Type";
  case 416: return "Range Not Satisfiable";
  case 421: return "Misdirected Request";
  case 422: return "Unprocessable Content";
  case 429: return "Too Many Requests";
  case 431: return "Request Header Fields Too Large";
  case 500: return "Internal Server Error";
  case 503: return "Service Unavailable";
  case 507: return "Insufficient Storage";
  default: return "Error";
  }
}

static const char *date(struct http_thread *t) {
  int64_t s = clock_wall_us() / 1000000;
  if (s != t->date_s) {
    static const char day[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char month[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm;
    time_t at = (time_t)s;
    if (!gmtime_r(&at, &tm)) return "Thu, 01 Jan 1970 00:00:00 GMT";
    snprintf(t->date, sizeof t->date, "%s, %02d %s %04d %02d:%02d:%02d GMT", day[tm.tm_wday], tm.tm_mday,
             month[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    t->date_s = s;
  }
  return t->date;
}

static void trim(struct buf *b) {
  if (b->cap > KEEP_BYTES) buf_done(b);
}

/* Reads what the client still sends, for a moment, so that it gets to read our answer instead of a reset. */
static void linger(struct http_req *q) {
  char junk[8192];
  int64_t end = clock_mono_us() + LINGER_US;
  watch_set(q->thread, end);
  while (mg_read(q->conn, junk, sizeof junk) > 0 && clock_mono_us() < end) {}
  watch_set(q->thread, 0);
}

void http_send(struct http_req *q, int status, const char *type, const char *headers) {
  struct buf *b = &q->scratch->out;
  wr_assert(!q->answered && b->len >= HEAD_ROOM);
  q->answered = true;
  if (status != 200 || q->unread) q->keep = false;
  if (!q->keep) mg_disable_connection_keep_alive(q->conn);
  size_t n = b->len - HEAD_ROOM;
  char head[HEAD_ROOM];
  int len = snprintf(head, sizeof head,
                     "HTTP/1.1 %d %s\r\nDate: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
                     "X-Content-Type-Options: nosniff\r\nX-Request-Id: %s\r\nConnection: %s\r\n%s\r\n",
                     status, reason(status), date(q->thread), type, n, q->id, q->keep ? "keep-alive" : "close", headers);
  wr_assert(len > 0 && len < HEAD_ROOM);
  char *start = b->data + HEAD_ROOM - len;
  memcpy(start, head, (size_t)len);
  if (q->head) n = 0;
  if (mg_write(q->conn, start, (size_t)len + n) < len) mg_disable_connection_keep_alive(q->conn);
  if (q->unread && !q->framing.expect) linger(q);
  trim(b);
  trim(&q->scratch->body);
  trim(&q->scratch->text);
}

/* ---- the body ---- */

static enum wr_rc too_large(size_t limit, int64_t got, struct wr_err *err) {
  enum wr_rc rc = wr_err_set(err, WR_BODY_TOO_LARGE, "The body is larger than %zu bytes.", limit);
  if (err) err->limit = (int64_t)limit, err->got = got;
  return rc;
}

/* Appends until the length is reached, or until the end of a chunked body. */
static enum wr_rc read_pieces(struct http_req *q, size_t limit, int64_t end, struct wr_err *err) {
  struct buf *b = &q->scratch->body;
  bool chunked = q->framing.length == GATE_CHUNKED;
  while (chunked || b->len < (size_t)q->framing.length) {
    size_t want = chunked ? PIECE : (size_t)q->framing.length - b->len;
    if (want > PIECE) want = PIECE;
    int n = mg_read(q->conn, buf_reserve(b, want), want);
    if (n > 0) b->len += (size_t)n;
    if (chunked && n == 0) break;
    if (b->len > limit) return too_large(limit, (int64_t)b->len, err);
    /* 0 is a silence of civetweb's own timeout, less than 0 a closed connection or our watch. */
    bool late = clock_mono_us() >= end;
    if (late || (n < 0 && !chunked)) {
      q->unread = false;
      return wr_err_set(err, WR_BODY_TIMEOUT, NULL);
    }
    if (n < 0) return wr_err_set(err, WR_BAD_FRAMING, "The chunks of the body are broken.");
  }
  buf_reserve(b, 1)[0] = '\0';
  return WR_OK;
}

enum wr_rc http_body(struct http_req *q, size_t limit, int64_t allow_us, struct wr_err *err) {
  struct buf *b = &q->scratch->body;
  buf_clear(b);
  int64_t length = q->framing.length;
  if (length > 0 && (uint64_t)length > limit) return too_large(limit, length, err);
  if (q->framing.expect && length != 0) {
    static const char go[] = "HTTP/1.1 100 Continue\r\n\r\n";
    q->framing.expect = false;
    if (mg_write(q->conn, go, sizeof go - 1) < 0) return wr_err_set(err, WR_BODY_TIMEOUT, NULL);
  }
  if (length > 0) buf_reserve(b, (size_t)length + 1);
  int64_t end = clock_mono_us() + allow_us;
  watch_set(q->thread, end);
  enum wr_rc rc = read_pieces(q, limit, end, err);
  watch_set(q->thread, 0);
  if (rc == WR_OK) q->unread = false;
  return rc;
}

/* ---- requests ---- */

/* Blanks in front of the first line have moved it away from the start of the buffer, and civetweb may have taken an
 * empty line among them for the end of the headers. The buffer is the thread's own and never moves. */
static bool buffer_start(struct http_thread *t, const char *first) {
  if ((uintptr_t)first % 16 != 0) return false;
  if (!t->base || first < t->base) t->base = first;
  return first == t->base;
}

static void req_init(struct http_req *q, struct mg_connection *conn) {
  const struct mg_request_info *ri = mg_get_request_info(conn);
  *q = (struct http_req){.http = mg_get_user_context_data(conn), .thread = mg_get_thread_pointer(conn), .conn = conn};
  q->scratch = &q->thread->scratch;
  snprintf(q->id, sizeof q->id, "%016llx", (unsigned long long)atomic_fetch_add(&q->http->serial, 1));
  q->in.method = ri->request_method;
  q->in.target = ri->request_uri;
  q->in.query = ri->query_string;
  q->in.version = ri->http_version;
  q->head = ri->request_method && strcmp(ri->request_method, "HEAD") == 0;
  http_out_again(q);
}

static void refuse(struct http_req *q, const struct wr_err *err) {
  q->keep = false;
  q->http->o.refuse(q->http->o.ctx, q, err);
}

static int begin_request(struct mg_connection *conn) {
  const struct mg_request_info *ri = mg_get_request_info(conn);
  _Static_assert(sizeof(struct gate_header) == sizeof(struct mg_header), "the same two pointers");
  struct gate_header header[MG_MAX_HEADERS];
  struct http_req q;
  req_init(&q, conn);
  struct http *h = q.http;
  int64_t now = clock_mono_us();
  atomic_store_explicit(&q.thread->busy_us, now, memory_order_relaxed);
  atomic_fetch_add(&h->busy, 1);
  for (int i = 0; i < ri->num_headers; i++) header[i] = (struct gate_header){ri->http_headers[i].name, ri->http_headers[i].value};
  q.in.header = header;
  q.in.n = (size_t)ri->num_headers;
  struct wr_err err;
  wr_err_clear(&err);
  enum wr_rc rc = WR_BAD_FRAMING;
  if (!buffer_start(q.thread, q.in.method)) wr_err_set(&err, WR_BAD_FRAMING, NULL);
  else rc = gate_framing(&q.in, &q.framing, &err);
  if (rc != WR_OK) {
    refuse(&q, &err);
  } else {
    q.in.target = ri->local_uri_raw; /* of "http://this-host/path" the path */
    q.unread = q.framing.length != 0;
    q.keep = q.framing.keep_alive && atomic_load(&h->open) * 4 <= h->threads * 3;
    q.crowded = crowded(h, now);
    h->o.handle(h->o.ctx, &q);
  }
  wr_assert(q.answered);
  atomic_store_explicit(&q.thread->busy_us, 0, memory_order_relaxed);
  atomic_fetch_sub(&h->busy, 1);
  return 200;
}

/* What civetweb itself refuses. conn_data says that the connection got its last answer. */
static int http_error(struct mg_connection *conn, int status, const char *text) {
  const struct mg_request_info *ri = mg_get_request_info(conn);
  struct http_req q;
  struct wr_err err;
  (void)text;
  req_init(&q, conn);
  if (status == 411 || ri->num_headers < 0) /* a wrong Content-Length; a line that is no header */
    wr_err_set(&err, WR_BAD_FRAMING, NULL);
  else if (status == 505)
    wr_err_set(&err, WR_BAD_REQUEST, "HTTP/1.1 or HTTP/1.0 is required.");
  else if (status == 400 && ri->http_version && strncmp(ri->http_version, "1.", 2) == 0 && ri->num_headers == 0)
    wr_err_set(&err, WR_METHOD, NULL); /* it parses headers only behind a method that it knows */
  else
    wr_err_set(&err, WR_BAD_REQUEST, "The request is malformed, its headers are too large, or they came too late.");
  refuse(&q, &err);
  mg_set_user_connection_data(conn, conn);
  return 0;
}

static int connection_new(const struct mg_connection *conn, void **data) {
  struct http *h = mg_get_user_context_data(conn);
  *data = NULL;
  atomic_fetch_add(&h->open, 1);
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
    req_init(&q, conn);
    wr_err_set(&err, WR_BAD_REQUEST, "The target of the request must be a path of this server.");
    refuse(&q, &err);
  }
  atomic_fetch_sub(&h->open, 1);
}

static int log_message(const struct mg_connection *conn, const char *message) {
  struct http *h = conn ? mg_get_user_context_data(conn) : NULL;
  if (h && !h->started) snprintf(h->said, sizeof h->said, "%s", message);
  log_debug("http.civetweb", L_STR("text", message));
  return 1;
}

/* ---- start and stop ---- */

static enum wr_rc check_listen(const char *s, struct wr_err *err) {
  char addr[INET_ADDRSTRLEN];
  struct in_addr in;
  int64_t port;
  const char *colon = strrchr(s, ':');
  size_t n = colon ? (size_t)(colon - s) : 0;
  if (n == 0 || n >= sizeof addr || !text_i64(colon + 1, strlen(colon + 1), &port) || port < 0 || port > 65535)
    return wr_err_set(err, WR_BAD_REQUEST, "--listen must be IPV4-ADDRESS:PORT.");
  memcpy(addr, s, n);
  addr[n] = '\0';
  if (inet_pton(AF_INET, addr, &in) != 1) return wr_err_set(err, WR_BAD_REQUEST, "--listen must be IPV4-ADDRESS:PORT.");
  return WR_OK;
}

static void http_free(struct http *h) {
  for (uint32_t i = 0; i < h->n_thread; i++) thread_free(h->thread[i]);
  pthread_mutex_destroy(&h->lock);
  free(h->thread);
  free(h);
}

static struct mg_context *start_civetweb(struct http *h, struct mg_error_data *why) {
  char threads[16], buffer[16];
  snprintf(threads, sizeof threads, "%u", h->threads);
  snprintf(buffer, sizeof buffer, "%d", BUFFER_BYTES);
  const char *options[] = {
    "listening_ports", h->o.listen, "num_threads", threads, "max_request_size", buffer,
    "enable_keep_alive", "yes", "keep_alive_timeout_ms", "5000", "request_timeout_ms", "5000",
    "tcp_nodelay", "1", "connection_queue", "128", "listen_backlog", "512",
    "decode_url", "no", "decode_query_string", "no", "enable_auth_domain_check", "no",
    "enable_directory_listing", "no", "access_control_allow_origin", "", "access_control_allow_methods", "",
    "access_control_allow_headers", "", NULL};
  struct mg_callbacks cb = {.begin_request = begin_request, .http_error = http_error, .log_message = log_message,
                            .init_thread = thread_new, .exit_thread = thread_end, .init_connection = connection_new,
                            .connection_close = connection_close};
  struct mg_init_data init = {.callbacks = &cb, .user_data = h, .configuration_options = options};
  return mg_start2(&init, why);
}

enum wr_rc http_start(const struct http_opts *o, struct http **out, struct wr_err *err) {
  enum wr_rc rc = check_listen(o->listen, err);
  if (rc != WR_OK) return rc;
  struct sigaction sa = {.sa_handler = on_wake};
  sigaction(wake_signal(), &sa, NULL);
  struct http *h = wr_new(struct http);
  h->o = *o;
  h->threads = o->threads ? o->threads : HTTP_THREADS;
  h->thread = wr_calloc(h->threads + 1, sizeof *h->thread);
  pthread_mutex_init(&h->lock, NULL);
  uint64_t serial;
  rand_secret(&serial, sizeof serial);
  h->serial = serial & ~0xffffffffULL; /* told apart over restarts, counted up within one */
  char text[160] = "";
  struct mg_error_data why = {.text = text, .text_buffer_size = sizeof text};
  mg_init_library(MG_FEATURES_DEFAULT);
  h->mg = start_civetweb(h, &why);
  struct mg_server_port port;
  if (!h->mg || mg_get_server_ports(h->mg, 1, &port) != 1) {
    rc = wr_err_set(err, WR_INTERNAL, "Cannot listen on %s: %s", o->listen, h->said[0] ? h->said : text);
    if (h->mg) mg_stop(h->mg);
    http_free(h);
    return rc;
  }
  h->port = (uint16_t)port.port;
  h->started = true;
  *out = h;
  return WR_OK;
}

uint16_t http_port(const struct http *h) { return h->port; }

void http_stop(struct http *h) {
  if (!h) return;
  int64_t end = clock_mono_us() + STOP_WAIT_US;
  while (atomic_load(&h->busy) > 0 && clock_mono_us() < end) usleep(1000);
  /* Whoever waits for a request or a connection looks up from now on; else the library takes its two seconds. */
  pthread_mutex_lock(&h->lock);
  for (uint32_t i = 0; i < h->n_thread; i++) watch_set(h->thread[i], clock_mono_us() + WATCH_AGAIN_US);
  pthread_mutex_unlock(&h->lock);
  mg_stop(h->mg);
  mg_exit_library();
  http_free(h);
}
