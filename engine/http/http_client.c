/* The thread of the client, and the calls of others: see http_client.h. One turn: what sockets brought, libcurl's timer, the
 * mailbox, names that were resolved; then what has ended, and what may begin. It sleeps in epoll_wait() and nowhere else. */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>
#include "clock.h"
#include "http_int.h"
#include "log_place.h"

#undef curl_easy_getinfo
#undef curl_multi_setopt

enum { EVENTS = 256, FILES_KEPT = 512 };
#define LOOK_US 1000000

/* ---- lists ---- */

void calls_add(struct call_list *l, struct http_call *c) {
  c->list = l;
  c->next = NULL;
  c->at = l->tail;
  *l->tail = c;
  l->tail = &c->next;
  l->n++;
}

void calls_leave(struct http_call *c) {
  struct call_list *l = c->list;
  if (!l) return;
  *c->at = c->next;
  if (c->next) c->next->at = c->at;
  else l->tail = c->at;
  l->n--;
  c->list = NULL;
}

void room_take(struct call_list *l, struct http_call *c) {
  room_leave(c);
  c->place = l;
  c->next_place = NULL;
  c->at_place = l->tail;
  *l->tail = c;
  l->tail = &c->next_place;
  l->n++;
}

void room_leave(struct http_call *c) {
  struct call_list *l = c->place;
  if (!l) return;
  *c->at_place = c->next_place;
  if (c->next_place) c->next_place->at_place = c->at_place;
  else l->tail = c->at_place;
  l->n--;
  c->place = NULL;
}

static void list_init(struct call_list *l) { l->tail = &l->first; }

/* ---- libcurl asks ---- */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *of_socket) {
  struct http *h = ctx;
  struct epoll_event e = {.data.fd = fd};
  (void)easy, (void)of_socket;
  if (what == CURL_POLL_REMOVE) {
    (void)epoll_ctl(h->epoll, EPOLL_CTL_DEL, fd, &e);
    return 0;
  }
  if (what & CURL_POLL_IN) e.events |= EPOLLIN;
  if (what & CURL_POLL_OUT) e.events |= EPOLLOUT;
  if (epoll_ctl(h->epoll, EPOLL_CTL_MOD, fd, &e) != 0) (void)epoll_ctl(h->epoll, EPOLL_CTL_ADD, fd, &e);
  return 0;
}

static int on_timer(CURLM *multi, long ms, void *ctx) {
  (void)multi;
  ((struct http *)ctx)->curl_at_us = ms < 0 ? INT64_MAX : clock_mono_us() + ms * 1000LL;
  return 0;
}

/* ---- the thread ---- */

static void poke(void *ctx) { (void)eventfd_write(((struct http *)ctx)->wake_fd, 1); }

void client_over(struct http_call *c) {
  struct http *h = c->h;
  c->state = CALL_OVER;
  pthread_mutex_lock(&h->mu);
  atomic_store(&c->done, true);
  if (!c->given_up) c->wake(c->ctx);
  pthread_mutex_unlock(&h->mu);
}

/* Begun before given up: one that is both is in both lists. */
static bool take_mail(struct http *h) {
  pthread_mutex_lock(&h->mu);
  struct http_call *in = h->in, *over = h->over, *c;
  h->in = h->over = NULL;
  h->in_tail = &h->in;
  h->poked = false;
  bool stop = h->stop;
  pthread_mutex_unlock(&h->mu);
  for (; (c = in);) {
    in = c->next_in;
    fetch_begin(c);
  }
  for (; (c = over);) {
    over = c->next_over;
    fetch_drop(c);
  }
  return !stop;
}

static void look_at_ends(struct http *h) {
  int left;
  for (CURLMsg *m; (m = h->curl->curl_multi_info_read(h->multi, &left));) {
    struct http_call *c = NULL;
    if (m->msg != CURLMSG_DONE) continue;
    CURLcode rc = m->data.result; /* gone with the handle */
    (void)h->curl->curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &c);
    fetch_ended(c, rc);
  }
}

/* Of the small places each counts as if it were full already. The few vast ones wait only while there is no room at all: else
 * whoever wants much would wait for as long as others want a little. */
bool client_has_room(const struct http *h, const struct call_list *places) {
  size_t most = places == &h->vast ? LIMIT_ANALYSIS_LARGE : LIMIT_HTTP_LARGE;
  size_t bytes = places == &h->vast ? 1 : (places->n + 1) * LIMIT_HTTP_ANSWER_BYTES;
  return places->n < most && (!h->backlog || backlog_room(h->backlog, bytes));
}

static void give_places(struct http *h, struct call_list *places, struct call_list *queue) {
  for (struct http_call *c; (c = queue->first) && client_has_room(h, places);) {
    room_take(places, c);
    c->since_us = clock_mono_us();
    c->silenced = false;
    (void)h->curl->curl_easy_pause(c->easy, CURLPAUSE_CONT);
  }
}

static void act(struct http *h, int fd, uint32_t events) {
  int running, mask = 0;
  if (events & EPOLLIN) mask |= CURL_CSELECT_IN;
  if (events & EPOLLOUT) mask |= CURL_CSELECT_OUT;
  if (events & (EPOLLERR | EPOLLHUP)) mask |= CURL_CSELECT_ERR;
  (void)h->curl->curl_multi_socket_action(h->multi, fd, mask, &running);
}

/* Somebody waits who is looked at by the clock. */
static bool waits(const struct http *h) { return h->naming.n || h->paused.n || h->vast_paused.n; }

static int sleep_ms(const struct http *h) {
  int64_t at = h->curl_at_us, now = clock_mono_us();
  if (waits(h) && at > now + LOOK_US) at = now + LOOK_US;
  if (at == INT64_MAX) return -1;
  return at <= now ? 0 : (int)((at - now + 999) / 1000 > 1000000 ? 1000000 : (at - now + 999) / 1000);
}

static void advance(struct http *h) {
  int64_t now = clock_mono_us();
  if (h->curl_at_us <= now) {
    h->curl_at_us = INT64_MAX;
    act(h, CURL_SOCKET_TIMEOUT, 0);
  }
  look_at_ends(h);
  if (names_turn(h->names, now))
    for (struct http_call *c = h->naming.first, *next; c; c = next) next = c->next, fetch_named(c);
  if (waits(h)) fetch_look(h, now);
  give_places(h, &h->holding, &h->paused);
  give_places(h, &h->vast, &h->vast_paused);
  while (h->n_active < h->most_active && h->waiting.first) fetch_send(h->waiting.first);
}

static bool turn(struct http *h) {
  struct epoll_event e[EVENTS];
  int n = epoll_wait(h->epoll, e, EVENTS, sleep_ms(h));
  for (int i = 0; i < n; i++) {
    eventfd_t ignored;
    if (e[i].data.fd == h->wake_fd) (void)eventfd_read(h->wake_fd, &ignored);
    else act(h, e[i].data.fd, e[i].events);
  }
  bool goes_on = take_mail(h);
  if (h->curl) advance(h);
  return goes_on;
}

static void open_multi(struct http *h) {
  struct rlimit l = {.rlim_cur = 1024};
  h->multi = h->curl->curl_multi_init();
  wr_assert(h->multi);
  (void)h->curl->curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
  (void)h->curl->curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
  (void)h->curl->curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer);
  (void)h->curl->curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
  (void)h->curl->curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)IDLE_CONNECTIONS);
  (void)getrlimit(RLIMIT_NOFILE, &l);
  size_t files = l.rlim_cur > 4 * FILES_KEPT ? l.rlim_cur - FILES_KEPT : l.rlim_cur / 2;
  h->most_active = files < LIMIT_HTTP_CONNECTIONS ? files : LIMIT_HTTP_CONNECTIONS;
}

static void *run(void *arg) {
  struct http *h = arg;
  h->curl = curl_calls(&h->unable);
  h->names = names_new(h->lookup, poke, h);
  if (h->curl) open_multi(h);
  while (turn(h)) {}
  names_free(h->names);
  if (h->multi) (void)h->curl->curl_multi_cleanup(h->multi);
  return NULL;
}

/* ---- calls of others ---- */

struct http *http_new(void) {
  struct http *h = wr_new(struct http);
  pthread_mutex_init(&h->mu, NULL);
  h->in_tail = &h->in;
  h->wake_fd = h->epoll = -1;
  h->curl_at_us = INT64_MAX;
  h->lookup = resolve_here;
  list_init(&h->naming);
  list_init(&h->waiting);
  list_init(&h->paused);
  list_init(&h->holding);
  list_init(&h->vast_paused);
  list_init(&h->vast);
  return h;
}

void http_backlog(struct http *h, struct backlog *b) { h->backlog = b; }

/* No lock is taken: whoever gives room may hold one. */
void http_room(struct http *h) {
  if (atomic_load(&h->runs)) poke(h);
}

void http_lookup(struct http *h, lookup_fn *fn) { h->lookup = fn; }

void http_free(struct http *h) {
  if (!h) return;
  if (h->started) {
    pthread_mutex_lock(&h->mu);
    h->stop = true;
    pthread_mutex_unlock(&h->mu);
    poke(h);
    pthread_join(h->thread, NULL);
  }
  if (h->wake_fd >= 0) close(h->wake_fd);
  if (h->epoll >= 0) close(h->epoll);
  for (size_t i = 0; i < h->n_refused; i++) free(h->refused[i].host);
  free(h->member);
  pthread_mutex_destroy(&h->mu);
  free(h->rule);
  free(h);
}

/* Under the lock. */
static bool start(struct http *h) {
  if (h->started) return true;
  if (h->epoll < 0) h->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (h->wake_fd < 0) h->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  struct epoll_event e = {.events = EPOLLIN, .data.fd = h->wake_fd};
  if (h->epoll < 0 || h->wake_fd < 0) return false;
  (void)epoll_ctl(h->epoll, EPOLL_CTL_ADD, h->wake_fd, &e); /* a second time, after a thread that could not be made: EEXIST */
  h->started = log_thread(&h->thread, NULL, run, h) == 0;
  atomic_store(&h->runs, h->started);
  return h->started;
}

static char *put(char *at, const char *s, size_t n, const char **where) {
  *where = at;
  if (n) memcpy(at, s, n);
  at[n] = '\0';
  return at + n + 1;
}

static struct http_call *call_new(struct http *h, const struct http_ask *q) {
  size_t n = strlen(q->method) + strlen(q->url) + q->body_len + 4 + (q->pointer ? strlen(q->pointer) : 0);
  const char *ignored;
  for (size_t i = 0; i < q->n_header; i++) n += strlen(q->header[i]) + 1;
  struct http_call *c = wr_calloc(1, sizeof *c + n);
  c->h = h;
  c->limit_us = q->limit_us;
  c->may_be_vast = q->vast;
  c->n_header = (uint32_t)q->n_header;
  char *at = put(c->text, q->method, strlen(q->method), &c->method);
  at = put(at, q->url, strlen(q->url), &c->url);
  at = put(at, q->pointer ? q->pointer : "", q->pointer ? strlen(q->pointer) : 0, &c->pointer);
  at = put(at, q->body, q->body_len, &c->body);
  c->body_len = q->body_len;
  for (size_t i = 0; i < q->n_header; i++) at = put(at, q->header[i], strlen(q->header[i]), &ignored);
  if (!q->pointer) c->pointer = NULL;
  return c;
}

struct http_call *http_begin(struct http *h, const struct http_ask *q, void (*wake)(void *ctx), void *ctx) {
  struct http_call *c = call_new(h, q);
  c->wake = wake;
  c->ctx = ctx;
  pthread_mutex_lock(&h->mu);
  bool ok = start(h), first = !h->poked;
  if (ok) {
    *h->in_tail = c;
    h->in_tail = &c->next_in;
    h->poked = true;
  }
  pthread_mutex_unlock(&h->mu);
  if (ok && first) poke(h);
  if (!ok) fetch_refuse(c, HTTP_UNABLE, "no thread can be made for it");
  return c;
}

struct http_answer *http_done(struct http_call *c) { return atomic_load(&c->done) ? &c->answer : NULL; }

void http_end(struct http_call *c) {
  if (!c) return;
  struct http *h = c->h;
  pthread_mutex_lock(&h->mu);
  bool started = h->started, first = !h->poked;
  c->given_up = true;
  if (started) {
    c->next_over = h->over;
    h->over = c;
    h->poked = true;
  }
  pthread_mutex_unlock(&h->mu);
  if (started && first) poke(h);
  if (!started) fetch_drop(c);
}
