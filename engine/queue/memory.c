/* The queue of one process: a ring under a mutex. Owned by the process that opened it.
 *
 * Any thread may push, nudge, wake and ask the depth; one poller pops. Nothing here does I/O, and no call but pop
 * ever waits for longer than the mutex. The ring grows by doubling up to the bound and is given back when it is empty. */
#include <pthread.h>
#include <stdlib.h>

#include "clock.h"
#include "cond.h"
#include "mem.h"
#include "queue_backend.h"

enum { RING_FIRST = 64, RING_KEEP = 4096 };

struct memory_queue {
  struct queue base;
  pthread_mutex_t mu;            /* guards everything below */
  pthread_cond_t cv;
  struct hint *ring;
  size_t cap, head, n, max;      /* cap is 0 or a power of two */
  int64_t node;
  bool nudged, woken, closing;
  unsigned popping;
};

static struct memory_queue *self(struct queue *q) { return (struct memory_queue *)q; }

static void memory_set_node(struct queue *base, int64_t incarnation) {
  struct memory_queue *q = self(base);
  pthread_mutex_lock(&q->mu);
  q->node = incarnation;
  pthread_mutex_unlock(&q->mu);
}

/* Room for `need` hints in a ring that starts at 0. */
static void ring_grow(struct memory_queue *q, size_t need) {
  size_t cap = q->cap ? q->cap : RING_FIRST;
  while (cap < need) cap *= 2;
  if (cap == q->cap) return;
  struct hint *ring = wr_malloc(cap * sizeof *ring);
  for (size_t i = 0; i < q->n; i++) ring[i] = q->ring[(q->head + i) & (q->cap - 1)];
  free(q->ring);
  q->ring = ring;
  q->cap = cap;
  q->head = 0;
}

static bool memory_push(struct queue *base, const struct hint *h, size_t n) {
  struct memory_queue *q = self(base);
  pthread_mutex_lock(&q->mu);
  size_t room = q->max - q->n, todo = n < room ? n : room;
  if (todo) ring_grow(q, q->n + todo);
  for (size_t i = 0; i < todo; i++) q->ring[(q->head + q->n + i) & (q->cap - 1)] = h[i];
  q->n += todo;
  if (todo) pthread_cond_broadcast(&q->cv);
  pthread_mutex_unlock(&q->mu);
  return todo == n;
}

static size_t ring_take(struct memory_queue *q, struct hint *out, size_t n) {
  size_t got = n < q->n ? n : q->n;
  for (size_t i = 0; i < got; i++) out[i] = q->ring[(q->head + i) & (q->cap - 1)];
  q->head = q->cap ? (q->head + got) & (q->cap - 1) : 0;
  q->n -= got;
  if (q->n == 0 && q->cap > RING_KEEP) {
    free(q->ring);
    q->ring = NULL;
    q->cap = q->head = 0;
  }
  return got;
}

/* One wait of the poller; false: its time is over, or it was woken. */
static bool wait_more(struct memory_queue *q, int64_t until_us) {
  if (q->woken || q->closing) return false;
  int64_t now = clock_mono_us();
  if (now >= until_us) return false;
  (void)cond_until(&q->cv, &q->mu, until_us);
  return true;
}

static int64_t deadline(int64_t wait_us) {
  int64_t now = clock_mono_us();
  if (wait_us <= 0) return now;
  return wait_us > INT64_MAX - now ? INT64_MAX : now + wait_us;
}

static void pop_leave(struct memory_queue *q) {
  q->woken = false;
  q->popping--;
  if (q->closing) pthread_cond_broadcast(&q->cv);
}

static size_t memory_pop(struct queue *base, struct hint *out, size_t n, int64_t wait_us, bool *away) {
  struct memory_queue *q = self(base);
  int64_t until = deadline(wait_us);
  size_t got = 0;
  *away = false;
  pthread_mutex_lock(&q->mu);
  q->popping++;
  while (q->n == 0 && !q->nudged && wait_more(q, until)) {}
  if (q->nudged) {
    q->nudged = false;
    out[got++] = (struct hint){0, 0};
  }
  if (!q->closing) got += ring_take(q, out + got, n - got);
  pop_leave(q);
  pthread_mutex_unlock(&q->mu);
  return got;
}

static bool memory_pop_nudge(struct queue *base, int64_t wait_us, bool *away) {
  (void)away; /* never */
  struct memory_queue *q = self(base);
  int64_t until = deadline(wait_us);
  pthread_mutex_lock(&q->mu);
  q->popping++;
  while (!q->nudged && wait_more(q, until)) {}
  bool nudged = q->nudged;
  q->nudged = false;
  pop_leave(q);
  pthread_mutex_unlock(&q->mu);
  return nudged;
}

static void memory_wake(struct queue *base) {
  struct memory_queue *q = self(base);
  pthread_mutex_lock(&q->mu);
  q->woken = true;
  pthread_cond_broadcast(&q->cv);
  pthread_mutex_unlock(&q->mu);
}

/* Only this process listens: a nudge for any other node is lost, as nudges may be. */
static bool memory_nudge(struct queue *base, int64_t incarnation) {
  struct memory_queue *q = self(base);
  pthread_mutex_lock(&q->mu);
  bool mine = incarnation == q->node;
  if (mine) {
    q->nudged = true;
    pthread_cond_broadcast(&q->cv);
  }
  pthread_mutex_unlock(&q->mu);
  return mine;
}

static size_t memory_depth(struct queue *base) {
  struct memory_queue *q = self(base);
  pthread_mutex_lock(&q->mu);
  size_t n = q->n;
  pthread_mutex_unlock(&q->mu);
  return n;
}

static void memory_close(struct queue *base) {
  struct memory_queue *q = self(base);
  pthread_mutex_lock(&q->mu);
  q->closing = true;
  pthread_cond_broadcast(&q->cv);
  while (q->popping) pthread_cond_wait(&q->cv, &q->mu);
  pthread_mutex_unlock(&q->mu);
  pthread_cond_destroy(&q->cv);
  pthread_mutex_destroy(&q->mu);
  free(q->ring);
  free(q);
}

const struct queue_ops queue_memory_ops = {
    .set_node = memory_set_node, .close = memory_close, .push = memory_push, .pop = memory_pop,
    .pop_nudge = memory_pop_nudge, .wake = memory_wake, .nudge = memory_nudge, .depth = memory_depth,
};

struct queue *queue_memory_new(size_t max_hints) {
  struct memory_queue *q = wr_new(struct memory_queue);
  q->base.ops = &queue_memory_ops;
  q->max = max_hints;
  pthread_mutex_init(&q->mu, NULL);
  cond_mono(&q->cv);
  return &q->base;
}
