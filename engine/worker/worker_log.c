/* Logs of attempts: from the loop thread, which only gathers bytes, to the log thread, which does all that may block.
 *
 *   loop:  output -> pending (at most 64 KiB or one second) -> queue. Output stays in the order in which it came, unless a task
 *          with two streams changes between them all the time. Then each stream gathers for itself: otherwise every byte would be
 *          a piece and a row
 *   log:   queue -> the first quarter of the cap is written as it comes, the rest goes round in a ring, an unlinked file
 *          in the data directory; at the end comes a line that says how many bytes are missing, then what the ring kept.
 *          Pieces of all attempts that wait are written by one call (group commit). A ring may hold most of a GiB: it goes out in
 *          slices, by turns with the queue and with other rings, so it delays no other log by more than one slice.
 *
 * Offsets are those of stored bytes, without a gap: what could not be written is counted and replaced by a line that says so.
 * A write is made again with the same pieces when its outcome is not known, or when it cannot be made just now. A piece that is
 * written twice is stored once, so nothing overlaps, and nothing is dropped while the store is away.
 *
 * A struct xlog is the loop's until xlog_end(), but for the part under "log thread". After the END the log thread puts it on
 * `news` when it is done, and the loop frees it.
 *
 * Memory is bounded: beyond UNDER_WAY bytes of one attempt, or LIMIT_LOG_WAITING_BYTES of all, the child's pipe is not read, and
 * the child waits; an executor that asks (log_behind()) is told so, and keeps its text. At the end of an attempt the rest is
 * taken all the same; bytes beyond twice that limit are dropped, and counted. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "cond.h"
#include "log_place.h"
#include "wr_limits.h"
#include "worker_int.h"

enum { STREAMS = 4, CHANGES = 64 };
enum { PIECE_BYTES = 256 };        /* memory that a piece takes beside its bytes, about */
enum { SHIP_BYTES = 64 * 1024, UNDER_WAY = 512 * 1024, BATCH_BYTES = 4 << 20, RUNS = 512 };
#define AGAIN_FIRST_US 5000
#define AGAIN_MAX_US 500000
#define AGAIN_SAID_US 2000000     /* a wait of this length is reported */
#define AGAIN_AT_END_US 1000000   /* a node that ends tries for this long */

struct run { int64_t at; uint8_t stream; };  /* ring bytes from `at` on came from that stream */

struct xlog {
  struct timer ship;             /* loop: pending goes out */
  struct logger *l;
  struct wx_exec *x;             /* loop: NULL = its attempt does not wait */
  struct { struct buf b; int64_t time_us; } pending[STREAMS];
  uint8_t stream, changes;       /* the stream that wrote last; how often the stream changed, CHANGES at most */
  bool stalled;                  /* loop: nothing more is taken now */
  atomic_bool call;              /* the loop wants news when there is room again */
  _Atomic int64_t under_way, stored, dropped;   /* dropped: by the loop, not yet counted by the log thread */
  _Atomic int64_t kept;          /* stored, or on the way there: what its log will have, if nothing more is lost */
  _Atomic int64_t lost_all; _Atomic int lost_why;   /* for its row */
  struct xlog *news;             /* these three under logger.lock */
  bool in_news, over;
  struct xlog *told;             /* loop: news taken, and whether it was the last */
  bool dead;
  int64_t moved, end_us;         /* loop: what was stored when it last looked; when it began to wait for the END */
  uint32_t n_stored;             /* the same of all logs: how many writes */
  _Atomic int64_t ring_left;     /* after the END: bytes of the ring that are in no slice yet; changes under logger.lock */
  atomic_bool late;              /* its attempt waits no longer and has counted ring_left as lost: it is left out */
  /* log thread: */
  int64_t ti;
  uint32_t epoch, seq;
  int64_t cap, head, offset, lost;   /* lost: not yet said in the log */
  int64_t gap;                   /* within one batch: see one_by_one() */
  int ring;                      /* file, -1 = none yet */
  bool ring_bad;
  int64_t ring_n;                /* all bytes that went into the ring, also those that were overwritten */
  int64_t ring_at;               /* after the END: how far it has gone out */
  struct msg *last;              /* the END, while the ring goes out */
  struct xlog *next_ring;
  struct run run[RUNS];
  size_t n_run;
};

struct msg { struct msg *next; struct xlog *g; char *data; size_t n; int64_t time_us; uint8_t stream; bool end; };

/* The log that a piece belongs to. says: for a line about missing bytes, how many it reports; else 0. */
struct origin { struct xlog *g; int64_t says; };

struct logger {
  struct worker *w;
  pthread_t thread;
  pthread_mutex_t lock;          /* guards in, news, stop, woken; leaf */
  pthread_cond_t more, ending;
  struct msg *in, **in_tail;
  struct xlog *news;
  bool stop, woken;              /* woken: the keeper has work */
  int64_t stop_us;               /* since when */
  bool away; int64_t try_us;     /* log thread: the store did not take what it was given last; how long that call took */
  _Atomic int64_t waiting;       /* bytes of all attempts on their way */
  _Atomic uint32_t n_stored;     /* writes that were stored */
  /* log thread: the batch; own = to be freed with it */
  struct log_piece *piece; struct origin *from; size_t n, cap, cap_from, bytes;
  char **own; size_t n_own, cap_own;
  struct xlog *rings, **rings_tail;  /* log thread: logs that have ended, but for their rings */
};

/* ---- loop side ---- */

static void post(struct xlog *g, uint8_t stream, bool end) {
  struct msg *m = wr_new(struct msg);
  struct buf *b = &g->pending[stream].b;
  *m = (struct msg){.g = g, .data = b->data, .n = b->len, .time_us = g->pending[stream].time_us, .stream = stream, .end = end};
  atomic_fetch_add(&g->under_way, (int64_t)m->n + PIECE_BYTES);
  atomic_fetch_add(&g->l->waiting, PIECE_BYTES);
  atomic_fetch_add(&g->kept, (int64_t)m->n);
  *b = (struct buf)BUF_INIT;
  struct logger *l = g->l;
  pthread_mutex_lock(&l->lock);
  *l->in_tail = m;
  l->in_tail = &m->next;
  pthread_cond_signal(&l->more);
  pthread_mutex_unlock(&l->lock);
}

/* Returns how many streams had something. The stream that wrote last goes last. */
static int post_all(struct xlog *g, bool end) {
  int n = 0;
  for (uint8_t i = 1; i <= STREAMS; i++) {
    uint8_t stream = (uint8_t)((g->stream + i) % STREAMS);
    bool last = end && i == STREAMS;
    if (!g->pending[stream].b.len && !last) continue;
    post(g, stream, last);
    n++;
  }
  worker_timer(g->l->w, &g->ship, 0);
  return n;
}

static void ship_due(struct worker *w, struct timer *t) {
  struct xlog *g = (struct xlog *)t;
  (void)w;
  if (post_all(g, false) < 2) g->changes = 0;
}
_Static_assert(offsetof(struct xlog, ship) == 0, "a ship timer is its xlog");

struct xlog *xlog_new(struct logger *l, struct wx_exec *x, int64_t cap) {
  struct xlog *g = wr_new(struct xlog);
  g->ship.fire = ship_due;
  g->l = l;
  g->x = x;
  g->ti = x->a->ti;
  g->epoch = x->a->epoch;
  g->cap = cap >= 0 ? cap : LIMIT_LOG_BYTES;
  g->head = g->cap / 4;
  g->ring = -1;
  return g;
}

static bool crowded(const struct xlog *g) {
  return atomic_load(&g->under_way) >= UNDER_WAY || atomic_load(&g->l->waiting) >= LIMIT_LOG_WAITING_BYTES;
}

/* Asks for news when there is room to take more. The news comes with a message of its own: the pending bytes, or an
 * empty one when nothing is on the way. */
static void stall(struct xlog *g) {
  g->stalled = true;
  atomic_store(&g->call, true);
  if (post_all(g, false) == 0 && atomic_load(&g->under_way) == 0) post(g, g->stream, false);
}

bool xlog_behind(struct xlog *g) {
  if (g->stalled || !crowded(g)) return g->stalled;
  stall(g);
  if (!crowded(g)) g->stalled = false; /* look again: the call may have come in between */
  return g->stalled;
}

bool xlog_stalled(const struct xlog *g) { return g->stalled; }

bool xlog_add(struct xlog *g, uint8_t stream, const void *p, size_t n) {
  if (n == 0) return true;
  if (atomic_load(&g->l->waiting) >= 2 * LIMIT_LOG_WAITING_BYTES) {
    atomic_fetch_add(&g->dropped, (int64_t)n);
    if (!g->stalled) stall(g);
    return false;
  }
  struct buf *b = &g->pending[stream].b;
  if (g->stream != stream && g->changes < CHANGES) {
    g->changes++;
    post_all(g, false);
  }
  g->stream = stream;
  if (!b->len) g->pending[stream].time_us = clock_wall_us();
  if (!g->ship.it.pos) worker_timer(g->l->w, &g->ship, clock_mono_us() + LOG_SHIP_US);
  buf_add(b, p, n);
  atomic_fetch_add(&g->l->waiting, (int64_t)n);
  if (b->len >= SHIP_BYTES) post_all(g, false);
  return !xlog_behind(g);
}

void xlog_end(struct xlog *g) { post_all(g, true); }

/* What is stored and lost so far. */
static struct log_sum xlog_sum(const struct xlog *g) {
  struct log_sum sum = {atomic_load(&g->stored), atomic_load(&g->lost_all) + atomic_load(&g->dropped),
                        (enum log_lost)atomic_load(&g->lost_why)};
  if (sum.lost && sum.why == LOG_LOST_NONE) sum.why = LOG_LOST_STORE_FAILED;
  return sum;
}

/* We wait for a log that grows, but not for ever; and for a store that takes no log at all, where the end of the task could not
 * be stored either. */
bool xlog_moves(struct xlog *g, bool patient) {
  int64_t now = clock_mono_us(), all = atomic_load(&g->stored) + atomic_load(&g->lost_all);
  uint32_t n = atomic_load(&g->l->n_stored);
  if (!g->end_us) g->end_us = now;
  bool away = patient && !g->l->w->o.logs_apart && n == g->n_stored;
  bool moves = (all > g->moved || away) && now - g->end_us < LOG_ALL_US;
  g->moved = all;
  g->n_stored = n;
  return moves;
}

/* What is left in its ring is lost then, and is reported as lost. Bytes on their way count as stored: they wait only for the
 * store. */
struct log_sum xlog_leave(struct xlog *g) {
  pthread_mutex_lock(&g->l->lock);
  int64_t left = atomic_load(&g->ring_left);
  struct log_sum sum = xlog_sum(g);
  int64_t kept = atomic_load(&g->kept), most = kept < g->cap ? kept : g->cap;
  if (most > sum.stored) sum.stored = most;
  if (left > 0) atomic_store(&g->late, true);
  pthread_mutex_unlock(&g->l->lock);
  g->x = NULL;
  sum.lost += left;
  if (left > 0 && sum.why < LOG_LOST_STORE_FAILED) sum.why = LOG_LOST_STORE_FAILED;
  return sum;
}

static void tell(struct xlog *g) {
  struct wx_exec *x = g->x;
  if (g->dead) {
    if (x) exec_log_over(x, xlog_sum(g));
    free(g);
  } else if (g->stalled) {
    g->stalled = false;
    if (x) exec_log_room(x);
  }
}

void logger_news(struct worker *w) {
  struct logger *l = w->logger;
  pthread_mutex_lock(&l->lock);
  struct xlog *list = NULL;
  for (struct xlog *g; (g = l->news); list = g) {
    l->news = g->news;
    g->in_news = false; /* from here on it may be put there again */
    g->dead = g->over;
    g->told = list;
  }
  pthread_mutex_unlock(&l->lock);
  for (struct xlog *next; list; list = next) {
    next = list->told;
    tell(list);
  }
}

/* ---- log thread: the batch ---- */

/* The lock is held. False: the node has been ending for long enough, or will have when a call like the last one is over. */
static bool in_time(const struct logger *l) {
  return !l->stop || clock_mono_us() + l->try_us < l->stop_us + AGAIN_AT_END_US;
}

bool logger_nap(struct logger *l, int64_t us) {
  int64_t at = clock_mono_us() + us;
  pthread_mutex_lock(&l->lock);
  while (!l->stop && cond_until(&l->ending, &l->lock, at)) {}
  bool more = in_time(l);
  if (more && l->stop) (void)cond_until(&l->ending, &l->lock, at);
  pthread_mutex_unlock(&l->lock);
  return more;
}

/* A call of a store that is away may take seconds, so what is left at the end is not tried piece by piece. */
static bool in_vain(struct logger *l) {
  pthread_mutex_lock(&l->lock);
  bool yes = l->away && !in_time(l);
  pthread_mutex_unlock(&l->lock);
  return yes;
}

static void say_they_wait(struct worker *w) {
  char why[HEALTH_WHY_BYTES];
  const char *cause = w->o.log_why ? w->o.log_why(w->o.ctx) : "";
  snprintf(why, sizeof why, "The logs of tasks wait, and so do tasks with much output%s%s", *cause ? ": " : ".", cause);
  trouble_begin(w, TROUBLE_LOGS, why);
}

enum log_rc logger_until(struct logger *l, enum log_rc (*once)(void *), void *arg, int64_t most_us, bool *doubt) {
  enum log_rc rc = LOG_AGAIN;
  int64_t began = clock_mono_us(), spent = 0;
  if (in_vain(l)) return LOG_AGAIN;
  for (int64_t us = AGAIN_FIRST_US; rc == LOG_AGAIN; us = us * 2 < AGAIN_MAX_US ? us * 2 : AGAIN_MAX_US) {
    int64_t from = clock_mono_us();
    rc = once(arg);
    l->try_us = clock_mono_us() - from;
    l->away = rc == LOG_AGAIN;
    if (!l->away) break;
    *doubt = true;
    spent = clock_mono_us() - began;
    if (spent >= AGAIN_SAID_US) say_they_wait(l->w);
    if (spent >= most_us || !logger_nap(l, us)) break;
  }
  if (rc != LOG_AGAIN) trouble_end(l->w, TROUBLE_LOGS);
  return rc;
}

struct pieces { struct worker *w; const struct log_piece *v; size_t n; };

static enum log_rc write_once(void *arg) {
  const struct pieces *p = arg;
  return p->w->o.log_write(p->w->o.ctx, p->v, p->n);
}

/* *doubt: some of the pieces may be stored although the answer is not STORED. */
static enum log_rc write_some(struct logger *l, const struct log_piece *v, size_t n, bool *doubt) {
  struct worker *w = l->w;
  struct pieces p = {w, v, n};
  enum log_rc rc = w->o.log_write ? logger_until(l, write_once, &p, INT64_MAX, doubt) : LOG_REFUSED;
  if (rc == LOG_STORED) trouble_end(w, TROUBLE_DISK), atomic_fetch_add(&l->n_stored, 1);
  if (rc == LOG_NO_SPACE) trouble_begin(w, TROUBLE_DISK, "no room for the logs of tasks");
  return rc;
}

static void count(struct xlog *g, int64_t bytes, enum log_lost why) {
  atomic_fetch_add(&g->lost_all, bytes);
  if ((int)why > atomic_load(&g->lost_why)) atomic_store(&g->lost_why, (int)why);
}

/* Bytes that a line reports were counted when they were lost; they only have to be reported again. When it is in doubt what is
 * stored, the place is not used again. */
static void written(struct logger *l, size_t i, enum log_rc rc, bool doubt) {
  const struct origin *o = &l->from[i];
  int64_t n = (int64_t)l->piece[i].n;
  if (rc == LOG_STORED) {
    if (o->says) atomic_fetch_add(&o->g->kept, n);
    atomic_fetch_add(&o->g->stored, n);
    return;
  }
  if (!o->says) atomic_fetch_sub(&o->g->kept, n);
  if (!doubt) o->g->offset -= n;
  o->g->lost += o->says ? o->says : n;
  count(o->g, o->says ? 0 : n, rc == LOG_NO_SPACE ? LOG_LOST_DISK_FULL : LOG_LOST_STORE_FAILED);
}

/* One piece of the batch is refused for good. The others are written, and later pieces of the same log leave no gap. */
static void one_by_one(struct logger *l) {
  for (size_t i = 0; i < l->n; i++) {
    struct xlog *g = l->from[i].g;
    l->piece[i].offset -= g->gap;
    bool doubt = false;
    enum log_rc rc = write_some(l, &l->piece[i], 1, &doubt);
    if (rc != LOG_STORED && !doubt) g->gap += (int64_t)l->piece[i].n;
    written(l, i, rc, doubt);
  }
  for (size_t i = 0; i < l->n; i++) l->from[i].g->gap = 0;
}

static void flush(struct logger *l) {
  if (l->n == 0) return;
  bool doubt = false;
  enum log_rc rc = write_some(l, l->piece, l->n, &doubt);
  if (rc == LOG_REFUSED && l->n > 1 && !doubt) one_by_one(l);
  else
    for (size_t i = 0; i < l->n; i++) written(l, i, rc, doubt);
  for (size_t i = 0; i < l->n_own; i++) free(l->own[i]);
  l->n = l->n_own = l->bytes = 0;
}

static void push(struct xlog *g, uint8_t stream, int64_t time_us, char *data, size_t n, int64_t says) {
  struct logger *l = g->l;
  *WR_PUSH(l->from, l->n, l->cap_from) = (struct origin){g, says};
  l->n--; /* the two arrays share their count */
  *WR_PUSH(l->piece, l->n, l->cap) = (struct log_piece){.ti = g->ti, .epoch = g->epoch, .seq = ++g->seq, .stream = stream,
                                                        .offset = g->offset, .time_us = time_us, .data = data, .n = n};
  g->offset += (int64_t)n;
  l->bytes += n;
}

static void push_own(struct xlog *g, uint8_t stream, int64_t time_us, char *data, size_t n, int64_t says) {
  struct logger *l = g->l;
  push(g, stream, time_us, data, n, says);
  *WR_PUSH(l->own, l->n_own, l->cap_own) = data;
}

static void left_out(struct xlog *g, int64_t bytes, enum log_lost why) {
  struct buf b = BUF_INIT;
  buf_printf(&b, "\n[weir: %" PRId64 " bytes left out here: %s]\n", bytes, log_lost_name(why));
  push_own(g, WX_SYSTEM, clock_wall_us(), b.data, b.len, bytes);
}

/* Says what a log lost, before anything more of that log. */
static void confess(struct xlog *g) {
  int64_t dropped = atomic_exchange(&g->dropped, 0);
  if (dropped) count(g, dropped, LOG_LOST_STORE_FAILED);
  int64_t lost = g->lost + dropped;
  if (!lost) return;
  g->lost = 0;
  left_out(g, lost, (enum log_lost)atomic_load(&g->lost_why));
}

static void log_add(struct xlog *g, uint8_t stream, int64_t time_us, char *data, size_t n) {
  confess(g);
  push(g, stream, time_us, data, n, 0);
  if (g->l->n == LOG_BATCH_PIECES) flush(g->l);
}

/* ---- log thread: the ring ---- */

static int open_ring(struct worker *w) {
  int fd = openat(w->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd >= 0) return fd;
  char name[32]; /* a file system without unnamed files */
  uint64_t r;
  rand_secret(&r, sizeof r);
  snprintf(name, sizeof name, "log.%016" PRIx64, r);
  fd = openat(w->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd >= 0) unlinkat(w->dir_fd, name, 0);
  return fd;
}

static void note_run(struct xlog *g, uint8_t stream, int64_t size) {
  size_t gone = 0;
  while (gone + 1 < g->n_run && g->run[gone + 1].at <= g->ring_n - size) gone++;
  g->n_run -= gone;
  memmove(g->run, g->run + gone, g->n_run * sizeof *g->run);
  if (g->n_run && g->run[g->n_run - 1].stream == stream) return;
  if (g->n_run == RUNS) memmove(g->run + 1, g->run + 2, (--g->n_run - 1) * sizeof *g->run); /* the oldest two become one */
  g->run[g->n_run++] = (struct run){g->ring_n, stream};
}

static bool write_at(int fd, const char *p, size_t n, int64_t at) {
  for (ssize_t k; n; p += k, n -= (size_t)k, at += k)
    if ((k = pwrite(fd, p, n, at)) <= 0) return false;
  return true;
}

static void ring_put(struct xlog *g, uint8_t stream, const char *p, size_t n) {
  int64_t size = g->cap - g->head;
  atomic_fetch_sub(&g->kept, (int64_t)n);
  if (size == 0) { /* of a log that keeps nothing */
    g->ring_n += (int64_t)n;
    return;
  }
  if (g->ring < 0 && !g->ring_bad) g->ring_bad = (g->ring = open_ring(g->l->w)) < 0;
  note_run(g, stream, size);
  if ((int64_t)n > size) {
    p += n - (size_t)size;
    g->ring_n += (int64_t)n - size;
    n = (size_t)size;
  }
  size_t place = (size_t)(g->ring_n % size), first = (size_t)size - place < n ? (size_t)size - place : n;
  g->ring_n += (int64_t)n;
  if (g->ring_bad) return;
  g->ring_bad = !write_at(g->ring, p, first, (int64_t)place) || !write_at(g->ring, p + first, n - first, 0);
}

/* The stream of byte `at`, and how far it goes. */
static uint8_t run_of(const struct xlog *g, int64_t at, int64_t *end) {
  size_t i = 0;
  while (i + 1 < g->n_run && g->run[i + 1].at <= at) i++;
  *end = i + 1 < g->n_run ? g->run[i + 1].at : g->ring_n;
  return g->run[i].stream;
}

static void omit(struct xlog *g, int64_t bytes, enum log_lost why) {
  count(g, bytes, why);
  left_out(g, bytes, why);
}

/* The END: reports what the ring does not hold; the rest goes out in slices. */
static void ring_begin(struct xlog *g) {
  int64_t size = g->cap - g->head, kept = g->ring_n < size ? g->ring_n : size;
  if (g->ring_bad) kept = 0;
  if (g->ring_n > kept) omit(g, g->ring_n - kept, g->ring_bad ? LOG_LOST_DISK_FULL : LOG_LOST_LIMIT);
  g->ring_at = g->ring_n - kept;
  atomic_store(&g->ring_left, kept);
}

/* One piece; false: it cannot be read. */
static bool ring_piece(struct xlog *g, int64_t now) {
  int64_t size = g->cap - g->head, end, place = g->ring_at % size;
  uint8_t stream = run_of(g, g->ring_at, &end);
  int64_t n = end - g->ring_at;
  if (n > size - place) n = size - place;
  if (n > SHIP_BYTES) n = SHIP_BYTES;
  char *p = wr_malloc((size_t)n);
  if (pread(g->ring, p, (size_t)n, place) != n) {
    free(p);
    return false;
  }
  atomic_fetch_add(&g->kept, n);
  push_own(g, stream, now, p, (size_t)n, 0);
  g->ring_at += n;
  return true;
}

/* False: its attempt has counted it as lost, or the node has been ending for long enough. */
static bool ring_claim(struct xlog *g, int64_t bytes) {
  struct logger *l = g->l;
  pthread_mutex_lock(&l->lock);
  bool ok = !atomic_load(&g->late) && (!l->stop || clock_mono_us() < l->stop_us + AGAIN_AT_END_US);
  atomic_store(&g->ring_left, ok ? atomic_load(&g->ring_left) - bytes : 0);
  pthread_mutex_unlock(&l->lock);
  return ok;
}

/* True: that was the last of it. */
static bool ring_slice(struct xlog *g) {
  struct logger *l = g->l;
  int64_t now = clock_wall_us(), left = g->ring_n - g->ring_at, end = g->ring_at + (left < BATCH_BYTES ? left : BATCH_BYTES);
  enum log_lost why = LOG_LOST_NONE;
  if (!ring_claim(g, end - g->ring_at)) why = LOG_LOST_STORE_FAILED;
  for (bool ok = true; !why && ok && g->ring_at < end && l->n < LOG_BATCH_PIECES - 2;)
    if (!(ok = ring_piece(g, now))) why = LOG_LOST_DISK_ERROR;
  atomic_store(&g->ring_left, why ? 0 : g->ring_n - g->ring_at); /* the slice is shorter where its pieces are */
  if (why) omit(g, g->ring_n - g->ring_at, why);
  flush(l);
  return why || g->ring_at >= g->ring_n;
}

/* ---- log thread: the queue ---- */

static void msg_take(struct msg *m) {
  struct xlog *g = m->g;
  size_t head = 0;
  if (m->n && g->ring_n == 0 && g->offset + g->lost < g->head) {
    int64_t room = g->head - g->offset - g->lost;
    head = room < (int64_t)m->n ? (size_t)room : m->n;
    log_add(g, m->stream, m->time_us, m->data, head);
  }
  if (m->n > head) ring_put(g, m->stream, m->data + head, m->n - head);
  if (m->end && g->ring_n) {
    confess(g);
    ring_begin(g);
  }
}

static void put_news(struct logger *l, struct xlog *g, bool over) {
  pthread_mutex_lock(&l->lock);
  g->over = g->over || over;
  if (!g->in_news) {
    g->in_news = true;
    g->news = l->news;
    l->news = g;
  }
  pthread_mutex_unlock(&l->lock);
}

static bool finish(struct logger *l, struct msg *m) {
  struct xlog *g = m->g;
  atomic_fetch_sub(&g->under_way, (int64_t)m->n + PIECE_BYTES);
  atomic_fetch_sub(&l->waiting, (int64_t)m->n + PIECE_BYTES);
  bool news = m->end || atomic_exchange(&g->call, false);
  if (news) put_news(l, g, m->end);
  free(m->data);
  free(m);
  return news;
}

/* An END waits for the ring. */
static bool goes_on(struct logger *l, struct msg *m) {
  struct xlog *g = m->g;
  if (!m->end || g->ring_at >= g->ring_n) return false;
  g->last = m;
  g->next_ring = NULL;
  *l->rings_tail = g;
  l->rings_tail = &g->next_ring;
  return true;
}

static void ring_close(struct xlog *g) {
  if (g->ring >= 0) close(g->ring);
  g->ring = -1;
}

/* Returns whether there is news. */
static bool ring_turn(struct logger *l) {
  struct xlog *g = l->rings;
  if (!g) return false;
  if (!(l->rings = g->next_ring)) l->rings_tail = &l->rings;
  bool over = ring_slice(g);
  if (!over) {
    (void)goes_on(l, g->last);
    return false;
  }
  confess(g);
  flush(l);
  ring_close(g);
  return finish(l, g->last);
}

static bool work(struct logger *l, struct msg *list) {
  for (struct msg *m = list; m; m = m->next) {
    msg_take(m);
    if (l->bytes >= BATCH_BYTES || l->n >= LOG_BATCH_PIECES - 3) flush(l); /* the next may bring marks, too */
  }
  flush(l);
  for (struct msg *m = list; m; m = m->next) {
    if (m->end) confess(m->g);
    if (l->n == LOG_BATCH_PIECES) flush(l);
  }
  flush(l);
  bool news = false;
  for (struct msg *next; list; list = next) {
    next = list->next;
    if (goes_on(l, list)) continue;
    if (list->end) ring_close(list->g);
    news |= finish(l, list);
  }
  return news;
}

static void *run_logger(void *arg) {
  struct logger *l = arg;
  for (bool stop = false; !stop;) {
    pthread_mutex_lock(&l->lock);
    while (!l->in && !l->stop && !l->rings && !l->woken) pthread_cond_wait(&l->more, &l->lock);
    struct msg *list = l->in;
    l->in = NULL;
    l->in_tail = &l->in;
    l->woken = false;
    stop = l->stop && !list && !l->rings;
    pthread_mutex_unlock(&l->lock);
    bool news = l->w->keeper && keeper_turn(l->w->keeper); /* first: contexts are few, and somebody waits for them */
    news |= work(l, list);
    news |= ring_turn(l);
    if (news) worker_poke(l->w);
  }
  return NULL;
}

void logger_wake(struct logger *l) {
  pthread_mutex_lock(&l->lock);
  l->woken = true;
  pthread_cond_signal(&l->more);
  pthread_mutex_unlock(&l->lock);
}

struct logger *logger_new(struct worker *w) {
  struct logger *l = wr_new(struct logger);
  l->w = w;
  l->in_tail = &l->in;
  l->rings_tail = &l->rings;
  pthread_mutex_init(&l->lock, NULL);
  pthread_cond_init(&l->more, NULL);
  cond_mono(&l->ending);
  if (log_thread(&l->thread, NULL, run_logger, l) == 0) return l;
  free(l);
  return NULL;
}

/* The loop is over: logs that came too late for their attempts are freed here. The keeper is still there. */
void logger_free(struct logger *l) {
  if (!l) return;
  pthread_mutex_lock(&l->lock);
  l->stop = true;
  l->stop_us = clock_mono_us();
  pthread_cond_signal(&l->more);
  pthread_cond_signal(&l->ending);
  pthread_mutex_unlock(&l->lock);
  pthread_join(l->thread, NULL);
  for (struct xlog *g; (g = l->news);) {
    l->news = g->news;
    if (g->over) free(g);
  }
  pthread_mutex_destroy(&l->lock);
  pthread_cond_destroy(&l->more);
  pthread_cond_destroy(&l->ending);
  free(l->piece);
  free(l->from);
  free(l->own);
  free(l);
}
