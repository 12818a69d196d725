/* Waiters: see wait.h. Threads: the ward, which alone touches parked connections and frees waiters that were given away, and
 * WORKERS that read the store. The lock guards the lists and the maps; nothing under it can wait. */
#include "wait.h"
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "call.h"
#include "clock.h"
#include "cond.h"
#include "heap.h"
#include "log_place.h"
#include "map64.h"
#include "wr_limits.h"

enum { WORKERS = 4, EVENTS = 64 };
#define LOOK_US 500000        /* between two looks at what other nodes have done */
#define SEND_US 60000000      /* a client that takes nothing for so long is gone */
#define AWAY_US 1000000       /* what could not be read is tried again after this */
#define STOP_WAIT_US 2000000

struct waiter {
  struct heap_item due;             /* the ward's: when it looks again, whatever happens */
  struct waits *ws;
  enum wait_kind kind;
  int64_t id;
  /* under the lock: */
  struct waiter *next_same, *prev_same; /* others of this kind and id */
  struct waiter *next;              /* in the list of those that come in, or of the work */
  struct waiter *next_woken;
  bool placed, parked, woken, in_woken; /* parked: it is idle in the ward; woken: it shall be looked at */
  uint32_t seen_epoch;              /* of a log: what the last look saw */
  int64_t seen_top;
  /* its owner's: */
  struct http_parked conn;
  int64_t until_us;                 /* CLOCK_MONOTONIC: its time */
  int64_t not_before_us;            /* no look before */
  struct buf rest;                  /* to be sent, from `sent` on */
  size_t sent;
  bool polled, last, hurry, more;   /* last: nothing comes behind rest. hurry: its time is up. more: look again at once */
  struct call_kept kept;
  struct log_at follow;
};

struct list { struct waiter *first, **end; };

struct waits {
  struct waits_opts o;
  struct api *api;
  int ep, wake;
  pthread_mutex_t lock;             /* guards all but heap */
  pthread_cond_t work_there;
  struct map64 map[WAIT__N];        /* id: the first waiter of it */
  struct list in, work;
  struct waiter *woken;
  uint32_t n_placed, n_given;       /* given: waiters that are not the requests' any more */
  bool look_wanted, looking, ending, stop;
  atomic_uint n;                    /* waiters */
  _Atomic int64_t rest_bytes;       /* of all answers that are not sent yet */
  struct heap heap;                 /* the ward's */
  int64_t look_us;                  /* the ward's: when the next look begins */
  pthread_t thread[WORKERS + 1];
  int n_thread;
};

static void list_add(struct list *l, struct waiter *w) {
  w->next = NULL;
  *l->end = w;
  l->end = &w->next;
}

static struct waiter *list_take(struct list *l) {
  struct waiter *w = l->first;
  if (!w) return NULL;
  l->first = w->next;
  if (!l->first) l->end = &l->first;
  return w;
}

static void signal_ward(struct waits *ws) {
  uint64_t one = 1;
  ssize_t ignored = write(ws->wake, &one, sizeof one);
  (void)ignored;
}

/* ---- who waits for what; any thread ---- */

struct waiter *waiter_new(struct waits *ws, enum wait_kind kind) {
  struct waiter *w = wr_new(struct waiter);
  w->ws = ws;
  w->kind = kind;
  w->conn.fd = -1;
  atomic_fetch_add(&ws->n, 1);
  return w;
}

void waiter_watch(struct waiter *w, int64_t id) {
  struct waits *ws = w->ws;
  pthread_mutex_lock(&ws->lock);
  w->id = id;
  w->next_same = map64_put(&ws->map[w->kind], id, w);
  if (w->next_same) w->next_same->prev_same = w;
  pthread_mutex_unlock(&ws->lock);
}

static void leave_map(struct waiter *w) {
  if (w->id == 0) return;
  struct map64 *m = &w->ws->map[w->kind];
  if (w->next_same) w->next_same->prev_same = w->prev_same;
  if (w->prev_same) w->prev_same->next_same = w->next_same;
  else if (w->next_same) map64_put(m, w->id, w->next_same);
  else map64_del(m, w->id);
}

void waiter_free(struct waiter *w) {
  if (!w) return;
  pthread_mutex_lock(&w->ws->lock);
  leave_map(w);
  if (w->placed) w->ws->n_placed--;
  pthread_mutex_unlock(&w->ws->lock);
  atomic_fetch_sub(&w->ws->n, 1);
  atomic_fetch_sub(&w->ws->rest_bytes, (int64_t)w->rest.len);
  buf_done(&w->rest);
  free(w);
}

bool waiter_place(struct waiter *w, const struct http *h) {
  struct waits *ws = w->ws;
  uint64_t most = (uint64_t)http_connections(h) * ws->o.percent / 100;
  pthread_mutex_lock(&ws->lock);
  if (!w->placed && !ws->ending && ws->n_placed < most) {
    w->placed = true;
    ws->n_placed++;
  }
  bool placed = w->placed;
  pthread_mutex_unlock(&ws->lock);
  return placed;
}

bool waits_ending(struct waits *ws) {
  pthread_mutex_lock(&ws->lock);
  bool e = ws->ending;
  pthread_mutex_unlock(&ws->lock);
  return e;
}

/* To the ward: from a request's thread or from a worker. */
static void give(struct waiter *w, bool first) {
  struct waits *ws = w->ws;
  pthread_mutex_lock(&ws->lock);
  list_add(&ws->in, w);
  if (first) ws->n_given++;
  pthread_mutex_unlock(&ws->lock);
  signal_ward(ws);
}

bool waiter_give(struct waiter *w, struct http_req *q, int64_t wait_us, const struct call_kept *k) {
  if (!http_park(q, &w->conn)) return false;
  w->until_us = clock_mono_us() + wait_us;
  w->kept = *k;
  give(w, true);
  return true;
}

bool waiter_give_log(struct waiter *w, struct http_req *q, const struct log_at *f, const struct buf *head) {
  if (!http_park(q, &w->conn)) return false;
  w->until_us = clock_mono_us() + w->ws->o.follow_us;
  w->follow = *f;
  w->more = true;
  buf_add(&w->rest, head->data, head->len);
  atomic_fetch_add(&w->ws->rest_bytes, (int64_t)head->len);
  give(w, true);
  return true;
}

/* ---- who wakes them; any thread, nothing here waits ---- */

/* The lock is held. True: the ward must be told. */
static bool wake_locked(struct waiter *w) {
  w->woken = true;
  if (!w->parked || w->in_woken) return false;
  w->in_woken = true;
  w->next_woken = w->ws->woken;
  w->ws->woken = w;
  return true;
}

static bool wake_all_locked(struct waits *ws, enum wait_kind kind, int64_t id) {
  bool tell = false;
  for (struct waiter *w = map64_get(&ws->map[kind], id); w; w = w->next_same) tell |= wake_locked(w);
  return tell;
}

static void watch_wake(struct waits *ws, enum wait_kind one, enum wait_kind two, int64_t id) {
  pthread_mutex_lock(&ws->lock);
  bool tell = wake_all_locked(ws, one, id);
  if (two != one) tell |= wake_all_locked(ws, two, id);
  pthread_mutex_unlock(&ws->lock);
  if (tell) signal_ward(ws);
}

static bool watch_any(void *ctx) { return atomic_load_explicit(&((struct waits *)ctx)->n, memory_order_relaxed) > 0; }
static void watch_flow(void *ctx, int64_t fi) { watch_wake(ctx, WAIT_FLOW, WAIT_FLOW, fi); }
static void watch_task(void *ctx, int64_t ti) { watch_wake(ctx, WAIT_TASK, WAIT_LOG, ti); }
static void watch_job(void *ctx, int64_t job_id) { watch_wake(ctx, WAIT_JOB, WAIT_JOB, job_id); }
static void watch_log(void *ctx, int64_t ti) { watch_wake(ctx, WAIT_LOG, WAIT_LOG, ti); }

struct watcher waits_watcher(struct waits *ws) {
  return (struct watcher){.ctx = ws, .waits = watch_any, .flow = watch_flow, .task = watch_task, .log = watch_log,
                          .job = watch_job};
}

/* ---- the look at what other nodes have done; a worker ---- */

struct look { struct waits *ws; enum wait_kind kind; int64_t *id; size_t n; struct ins_state *found; size_t n_found; };

static void look_ids(struct look *l) {
  size_t at = 0;
  const struct map64_slot *s;
  pthread_mutex_lock(&l->ws->lock);
  const struct map64 *m = &l->ws->map[l->kind];
  l->id = wr_calloc(m->n + 1, sizeof *l->id);
  while ((s = map64_next(m, &at))) l->id[l->n++] = s->key;
  pthread_mutex_unlock(&l->ws->lock);
  qsort(l->id, l->n, sizeof *l->id, wr_by_id);
  l->found = wr_calloc(l->n + 1, sizeof *l->found);
}

static bool is_news(struct waiter *w, const struct ins_state *s) {
  if (!s) return true; /* it is gone */
  if (w->kind == WAIT_FLOW) return flow_final((enum flow_state)s->state);
  if (w->kind == WAIT_JOB) return job_final((enum job_state)s->state);
  if (task_final((enum task_state)s->state)) return true;
  if (w->kind == WAIT_TASK) return false;
  bool grown = w->seen_epoch != s->epoch || w->seen_top != s->log_top;
  w->seen_epoch = s->epoch;
  w->seen_top = s->log_top;
  return grown;
}

static void look_tell(struct look *l) {
  bool tell = false;
  pthread_mutex_lock(&l->ws->lock);
  for (size_t i = 0; i < l->n; i++) {
    const struct ins_state *s = bsearch(&l->id[i], l->found, l->n_found, sizeof *l->found, wr_by_id);
    for (struct waiter *w = map64_get(&l->ws->map[l->kind], l->id[i]); w; w = w->next_same)
      if (is_news(w, s)) tell |= wake_locked(w);
  }
  pthread_mutex_unlock(&l->ws->lock);
  if (tell) signal_ward(l->ws);
}

static void look_inside(struct waits *ws) {
  static const enum ins_kind kind[WAIT__N] = {[WAIT_FLOW] = INS_FLOW, [WAIT_TASK] = INS_TASK, [WAIT_LOG] = INS_TASK_LOG,
                                               [WAIT_JOB] = INS_JOB};
  struct wr_err err;
  store_deadline(clock_mono_us() + ws->api->o.request_us);
  for (int k = 0; k < WAIT__N; k++) {
    struct look l = {.ws = ws, .kind = (enum wait_kind)k};
    look_ids(&l);
    struct reader *r = l.n > 0 ? reader_get(ws->api->o.store, &err) : NULL;
    if (r && reader_states(r, kind[k], l.id, l.n, l.found, &l.n_found, &err) == WR_OK) look_tell(&l);
    if (r) reader_put(r);
    free(l.id);
    free(l.found);
  }
  store_deadline(0);
}

static void look(struct waits *ws) {
  if (!door_in(&ws->api->door, clock_mono_us() + ws->api->o.request_us)) return;
  look_inside(ws);
  door_out(&ws->api->door);
}

/* ---- one waiter at work; a worker ---- */

static bool rest_room(struct waits *ws, size_t n) {
  if (atomic_fetch_add(&ws->rest_bytes, (int64_t)n) + (int64_t)n <= LIMIT_WAITING_BYTES) return true;
  atomic_fetch_sub(&ws->rest_bytes, (int64_t)n);
  return false;
}

static bool put_rest(struct http_req *q, const void *p, size_t n) {
  struct waiter *w = q->put_ctx;
  if (!rest_room(w->ws, n)) return false;
  buf_add(&w->rest, p, n);
  return true;
}

static void resume(struct waiter *w, struct http_thread *t, struct http_req *q) {
  http_resume(t, &w->conn, q);
  q->put = put_rest;
  q->put_ctx = w;
  if (w->hurry && w->until_us < q->since_us) q->since_us = w->until_us;
}

static void work_answer(struct waiter *w, struct http_thread *t) {
  struct http_req q;
  struct wr_err err;
  resume(w, t, &q);
  enum again again = call_again(w->ws->api, &q, &w->kept, w->hurry);
  w->not_before_us = again == AGAIN_AWAY ? clock_mono_us() + AWAY_US : 0;
  if (again != AGAIN_ANSWERED) return;
  w->last = true;
  if (w->rest.len == 0) { /* other answers, which their clients do not read, take all the room */
    resume(w, t, &q);
    (void)wr_err_set(&err, WR_BUSY, "Other answers take all the memory there is for them. Try again.");
    call_refuse(w->ws->api, &q, &err);
  }
  w->conn.keep = q.keep && w->rest.len > 0;
}

/* A piece as the client reads it. */
static void put_piece(struct waiter *w, const struct buf *piece) {
  char head[24];
  int n = snprintf(head, sizeof head, "%zx\r\n", piece->len);
  size_t all = piece->len + (w->conn.chunks ? (size_t)n + 2 : 0);
  if (piece->len == 0) return;
  atomic_fetch_add(&w->ws->rest_bytes, (int64_t)all); /* each follower has one piece at most */
  if (w->conn.chunks) buf_add(&w->rest, head, (size_t)n);
  buf_add(&w->rest, piece->data, piece->len);
  if (w->conn.chunks) buf_add(&w->rest, "\r\n", 2);
}

static void work_log(struct waiter *w, struct buf *piece) {
  struct waits *ws = w->ws;
  buf_clear(piece);
  enum log_then then = log_step(ws->api, w->id, &w->follow, piece);
  put_piece(w, piece);
  w->more = then == FOLLOW_MORE;
  w->not_before_us = then == FOLLOW_AWAY ? clock_mono_us() + AWAY_US : 0;
  if (then != FOLLOW_OVER && (then == FOLLOW_MORE || !w->hurry)) return;
  w->last = true;
  if (!w->conn.chunks) return;
  buf_str(&w->rest, "0\r\n\r\n");
  atomic_fetch_add(&ws->rest_bytes, 5);
}

struct errand { struct waiter *w; bool look; };

static bool next_errand(struct waits *ws, struct errand *j) {
  *j = (struct errand){0};
  pthread_mutex_lock(&ws->lock);
  while (!ws->work.first && !(ws->look_wanted && !ws->looking) && !ws->stop) pthread_cond_wait(&ws->work_there, &ws->lock);
  bool stop = ws->stop;
  j->w = list_take(&ws->work);
  if (!j->w && !stop) {
    j->look = ws->looking = true;
    ws->look_wanted = false;
  }
  pthread_mutex_unlock(&ws->lock);
  return !stop;
}

static void *worker_run(void *p) {
  struct waits *ws = p;
  struct http_thread *t = thread_make();
  struct buf piece = BUF_INIT;
  struct errand j;
  while (next_errand(ws, &j)) {
    if (j.look) {
      look(ws);
      pthread_mutex_lock(&ws->lock);
      ws->looking = false;
      pthread_mutex_unlock(&ws->lock);
      continue;
    }
    if (j.w->kind == WAIT_LOG) work_log(j.w, &piece);
    else work_answer(j.w, t);
    give(j.w, false);
  }
  buf_done(&piece);
  thread_free(t);
  return NULL;
}

/* ---- the ward ---- */

static void unpoll(struct waiter *w) {
  if (w->polled) epoll_ctl(w->ws->ep, EPOLL_CTL_DEL, w->conn.fd, NULL);
  w->polled = false;
  heap_remove(&w->ws->heap, &w->due);
}

static void poll_until(struct waiter *w, uint32_t events, int64_t at_us) {
  struct epoll_event ev = {.events = events | EPOLLONESHOT, .data.ptr = w};
  if (epoll_ctl(w->ws->ep, EPOLL_CTL_ADD, w->conn.fd, &ev) == 0) w->polled = true;
  else at_us = 0;
  heap_push(&w->ws->heap, &w->due, at_us);
}

/* It waits no longer: its connection goes on, or ends. */
static void dismiss(struct waiter *w, bool gone) {
  struct waits *ws = w->ws;
  unpoll(w);
  if (gone) close(w->conn.fd);
  else http_unpark(&w->conn);
  waiter_free(w);
  pthread_mutex_lock(&ws->lock);
  ws->n_given--;
  pthread_mutex_unlock(&ws->lock);
}

static void to_work(struct waiter *w) {
  struct waits *ws = w->ws;
  unpoll(w);
  w->more = false;
  pthread_mutex_lock(&ws->lock);
  w->woken = false;
  list_add(&ws->work, w);
  pthread_mutex_unlock(&ws->lock);
  pthread_cond_signal(&ws->work_there);
}

/* False: the connection is gone. */
static bool send_rest(struct waiter *w) {
  while (w->sent < w->rest.len) {
    ssize_t n = send(w->conn.fd, w->rest.data + w->sent, w->rest.len - w->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN;
    w->sent += (size_t)n;
  }
  atomic_fetch_sub(&w->ws->rest_bytes, (int64_t)w->rest.len);
  buf_done(&w->rest);
  w->sent = 0;
  return true;
}

/* Idle from now on, unless it was woken meanwhile. */
static void park(struct waiter *w, int64_t now) {
  struct waits *ws = w->ws;
  bool away = w->not_before_us > now;
  pthread_mutex_lock(&ws->lock);
  bool look_now = (w->woken || w->more) && !away;
  w->parked = !look_now && !away;
  pthread_mutex_unlock(&ws->lock);
  if (look_now) to_work(w);
  else poll_until(w, EPOLLRDHUP, away && w->not_before_us < w->until_us ? w->not_before_us : w->until_us);
}

/* What next, for one that is with the ward and idle in no list? */
static void tend(struct waiter *w, int64_t now) {
  if (!send_rest(w)) dismiss(w, true);
  else if (w->rest.len > 0) poll_until(w, EPOLLOUT, now + SEND_US);
  else if (w->last) dismiss(w, false);
  else if (w->hurry) to_work(w);
  else park(w, now);
}

/* Takes it out of the idle ones. False: it is in the list of the woken, and its turn comes. */
static bool seize(struct waiter *w) {
  pthread_mutex_lock(&w->ws->lock);
  bool ok = !w->in_woken;
  if (ok) w->parked = false;
  pthread_mutex_unlock(&w->ws->lock);
  return ok;
}

/* Its client has closed, or only says that it sends no more: then it still gets an answer, now. */
static void on_event(struct waiter *w, uint32_t events, int64_t now) {
  if (!seize(w)) return;
  unpoll(w);
  bool gone = events & (EPOLLHUP | EPOLLERR) || (events & EPOLLRDHUP && w->kind == WAIT_LOG);
  if (gone) {
    dismiss(w, true);
    return;
  }
  if (events & EPOLLRDHUP) w->hurry = true, w->conn.keep = false;
  tend(w, now);
}

static void take_in(struct waits *ws, int64_t now) {
  for (;;) {
    pthread_mutex_lock(&ws->lock);
    struct waiter *w = list_take(&ws->in);
    bool ending = ws->ending;
    pthread_mutex_unlock(&ws->lock);
    if (!w) return;
    if (ending) w->hurry = true;
    tend(w, now);
  }
}

static void take_woken(struct waits *ws) {
  for (;;) {
    pthread_mutex_lock(&ws->lock);
    struct waiter *w = ws->woken;
    if (w) {
      ws->woken = w->next_woken;
      w->in_woken = w->parked = false;
    }
    pthread_mutex_unlock(&ws->lock);
    if (!w) return;
    to_work(w);
  }
}

static void time_is_up(struct waiter *w, int64_t now) {
  heap_remove(&w->ws->heap, &w->due);
  if (!seize(w)) return;
  unpoll(w);
  if (w->rest.len > 0) {
    dismiss(w, true);
    return;
  }
  w->hurry = now >= w->until_us;
  w->not_before_us = 0;
  to_work(w);
}

static struct waiter *top(const struct waits *ws) { return (struct waiter *)heap_top(&ws->heap); }
_Static_assert(offsetof(struct waiter, due) == 0, "top()");

static void expire(struct waits *ws, int64_t now) {
  for (struct waiter *w; (w = top(ws)) && w->due.at <= now;) time_is_up(w, now);
}

/* The server stops: the time of all who are idle is up. Those who are at work, or in a list, are told in take_in(). */
static void end_all(struct waits *ws, int64_t now) {
  struct waiter **idle = wr_calloc(ws->heap.n + 1, sizeof *idle);
  size_t n = 0;
  for (size_t i = 0; i < ws->heap.n; i++) idle[n++] = (struct waiter *)ws->heap.v[i];
  for (size_t i = 0; i < n; i++) {
    idle[i]->until_us = now;
    idle[i]->hurry = true;
    if (idle[i]->rest.len == 0 && seize(idle[i])) to_work(idle[i]);
  }
  free(idle);
}

/* A look at the store, when somebody waits and others may have written. */
static void want_look(struct waits *ws, int64_t now) {
  if (now < ws->look_us || ws->api->single) return;
  ws->look_us = now + LOOK_US;
  pthread_mutex_lock(&ws->lock);
  ws->look_wanted = ws->n_given > 0;
  pthread_mutex_unlock(&ws->lock);
  pthread_cond_signal(&ws->work_there);
}

static int ward_sleep_ms(const struct waits *ws, int64_t now) {
  const struct waiter *w = top(ws);
  int64_t at = w ? w->due.at : INT64_MAX;
  if (atomic_load(&ws->n) > 0 && !ws->api->single && ws->look_us < at) at = ws->look_us;
  return at == INT64_MAX ? -1 : at <= now ? 0 : (int)((at - now) / 1000) + 1;
}

static bool ward_ended(struct waits *ws, bool *ending) {
  pthread_mutex_lock(&ws->lock);
  bool over = ws->stop;
  *ending = ws->ending;
  pthread_mutex_unlock(&ws->lock);
  return over;
}

static void *ward_run(void *p) {
  struct waits *ws = p;
  struct epoll_event ev[EVENTS];
  bool ending, told = false;
  while (!ward_ended(ws, &ending)) {
    int n = epoll_wait(ws->ep, ev, EVENTS, ward_sleep_ms(ws, clock_mono_us()));
    int64_t now = clock_mono_us();
    for (int i = 0; i < n; i++) {
      uint64_t count;
      if (ev[i].data.ptr) on_event(ev[i].data.ptr, ev[i].events, now);
      else if (read(ws->wake, &count, sizeof count) < 0) continue;
    }
    take_in(ws, now);
    take_woken(ws);
    expire(ws, now);
    if (ending && !told) end_all(ws, now), told = true;
    want_look(ws, now);
  }
  return NULL;
}

/* ---- start and stop ---- */

struct waits *waits_new(const struct waits_opts *o) {
  struct waits *ws = wr_new(struct waits);
  ws->o = *o;
  ws->ep = ws->wake = -1;
  ws->in.end = &ws->in.first;
  ws->work.end = &ws->work.first;
  pthread_mutex_init(&ws->lock, NULL);
  pthread_cond_init(&ws->work_there, NULL);
  return ws;
}

enum wr_rc waits_start(struct waits *ws, struct api *a, struct wr_err *err) {
  struct epoll_event ev = {.events = EPOLLIN};
  int failed = 0;
  ws->api = a;
  ws->ep = epoll_create1(EPOLL_CLOEXEC);
  ws->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (ws->ep < 0 || ws->wake < 0 || epoll_ctl(ws->ep, EPOLL_CTL_ADD, ws->wake, &ev) != 0)
    return wr_err_set(err, WR_INTERNAL, "The API cannot start: %s.", strerror(errno));
  for (int i = 0; i <= WORKERS && !failed; i++) {
    failed = log_thread(&ws->thread[i], NULL, i == 0 ? ward_run : worker_run, ws);
    if (failed) break;
    pthread_setname_np(ws->thread[i], i == 0 ? "weir-ward" : "weir-wait");
    ws->n_thread++;
  }
  if (!failed) return WR_OK;
  return wr_err_set(err, WR_INTERNAL, "The API cannot start its threads: %s. Raise the limit of processes (ulimit -u).",
                    strerror(failed));
}

void waits_drain(struct waits *ws) {
  pthread_mutex_lock(&ws->lock);
  ws->ending = true;
  pthread_mutex_unlock(&ws->lock);
  if (ws->wake >= 0) signal_ward(ws);
}

static bool all_gone(struct waits *ws) {
  pthread_mutex_lock(&ws->lock);
  bool gone = ws->n_given == 0;
  pthread_mutex_unlock(&ws->lock);
  return gone;
}

/* Those whose answer did not go out in time. */
static void close_rest(struct waits *ws) {
  take_woken(ws);
  for (struct waiter *w; (w = top(ws));) dismiss(w, true);
  for (struct waiter *w; (w = list_take(&ws->in));) dismiss(w, true);
  for (struct waiter *w; (w = list_take(&ws->work));) dismiss(w, true);
}

void waits_stop(struct waits *ws) {
  int64_t end = clock_mono_us() + STOP_WAIT_US;
  waits_drain(ws);
  while (ws->n_thread > 0 && !all_gone(ws) && clock_mono_us() < end) usleep(1000);
  pthread_mutex_lock(&ws->lock);
  ws->stop = true;
  pthread_cond_broadcast(&ws->work_there);
  pthread_mutex_unlock(&ws->lock);
  if (ws->wake >= 0) signal_ward(ws);
  for (int i = 0; i < ws->n_thread; i++) pthread_join(ws->thread[i], NULL);
  ws->n_thread = 0;
  close_rest(ws);
}

void waits_free(struct waits *ws) {
  if (!ws) return;
  if (ws->ep >= 0) close(ws->ep);
  if (ws->wake >= 0) close(ws->wake);
  for (int k = 0; k < WAIT__N; k++) map64_done(&ws->map[k]);
  heap_done(&ws->heap);
  pthread_cond_destroy(&ws->work_there);
  pthread_mutex_destroy(&ws->lock);
  free(ws);
}
