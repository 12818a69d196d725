/* What attempts report on its way to the store, and what they left on its way back to the next attempt. The loop only puts the
 * newest value in its place; the log thread stores it, with the connection of the logs.
 *
 *   loop:  kept_context(), kept_progress() replace what waits -> in
 *   log:   in -> stored -> news, when the loop asked for it or when that was the end
 *   loop:  keeper_recall() -> asks -> log thread: read -> answers -> later_recalled()
 *   any:   worker_forget() -> gone -> log thread: deletes, FORGET_AT_ONCE tasks in each turn
 *
 * Contexts of one turn of the log thread share commits. A context is stored once for each turn at most, so a task that reports
 * faster than the store writes costs the store no more. Memory: two contexts of an attempt, one that waits and
 * one that is being written; beyond LIMIT_LOG_WAITING_BYTES of all attempts the loop reads no more (keeper_crowded()).
 *
 * A struct kept is the loop's from kept_new() to kept_end(), but for the part under keeper.lock. After the END the log thread
 * puts it on `news`, and the loop frees it. While there is no room a context waits, and is tried again, unless a newer one
 * comes. What never happens: an older context is stored after a newer one; an attempt ends before its last context is stored,
 * unless the store is away for longer than the attempt waits. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "progress.h"
#include "wr_limits.h"
#include "worker_int.h"

enum { FORGET_AT_ONCE = 16 };      /* logs of others are written in between */
#define RECALL_US 5000000          /* how long the log thread tries to read what was left */
#define FULL_US 500000             /* until contexts are tried again for which there was no room */

struct context { char *text; size_t n; };
struct put { struct kept *q; struct context c; };

struct kept {
  struct keeper *k;
  struct wx_exec *x;               /* loop: NULL = its attempt does not wait */
  int64_t ti, owner;
  uint32_t epoch;
  bool wants;                      /* its executor asks to be told; never changes */
  /* under keeper.lock: */
  struct kept *next;               /* on `in`, then on `news` */
  bool queued, ending;
  struct context context;          /* text NULL = none waits */
  struct kept *next_told; bool told;   /* on keeper.told: its executor learns the answer */
  enum log_rc answer; uint32_t answered;   /* of that executor: what became of the first so many contexts */
  uint32_t put_in;                 /* contexts so far */
  bool moved;                      /* progress is newer than what is stored */
  int64_t at_us;
  struct progress progress;
  /* log thread, of one turn: */
  struct kept *turn;
  uint32_t taken;                  /* contexts up to the one that is being written */
  bool put, last;                  /* its progress is to be written; that was the END */
  int64_t put_at_us;
  struct progress putting;
};

struct recall { struct recall *next; int64_t ti; uint32_t epoch; enum log_rc rc; struct attempt_left *left; };

struct keeper {
  struct worker *w;
  pthread_mutex_t lock;            /* guards in, news, asks, answers, gone, and their part of each kept; leaf */
  struct kept *in, **in_tail, *news, *told;
  struct recall *asks, **asks_tail, *answers;
  int64_t *gone; size_t n_gone, cap_gone;   /* deleted tasks, LIMIT_FORGETS at most */
  _Atomic int64_t waiting;         /* bytes of contexts that wait or are being written */
  _Atomic uint64_t stored;         /* contexts */
  atomic_bool call;                /* the loop wants to know when there is room again */
  atomic_bool room;                /* there is */
  /* log thread: */
  struct kept **row; size_t n_row, cap_row;
  struct put *put; size_t n_put, cap_put;   /* contexts of this turn */
  bool full;                       /* there was no room for some of them, which wait */
};

/* ---- the loop ---- */

struct kept *kept_new(struct keeper *k, struct wx_exec *x) {
  struct kept *q = wr_new(struct kept);
  q->k = k;
  q->x = x;
  q->ti = x->a->ti;
  q->epoch = x->a->epoch;
  q->owner = x->a->owner;
  q->wants = x->ops->noted != NULL;
  return q;
}

/* Under the lock. */
static void queue(struct kept *q) {
  struct keeper *k = q->k;
  if (q->queued) return;
  q->queued = true;
  q->next = NULL;
  *k->in_tail = q;
  k->in_tail = &q->next;
}

void kept_context(struct kept *q, const char *text, size_t n) {
  struct keeper *k = q->k;
  struct context c = {wr_memdup0(text, n), n};
  pthread_mutex_lock(&k->lock);
  struct context former = q->context;
  q->context = c;
  q->put_in++;
  queue(q);
  pthread_mutex_unlock(&k->lock);
  atomic_fetch_add(&k->waiting, (int64_t)n - (former.text ? (int64_t)former.n : 0));
  free(former.text);
  logger_wake(k->w->logger);
}

void kept_progress(struct kept *q, const struct progress *p, int64_t at_us) {
  struct keeper *k = q->k;
  pthread_mutex_lock(&k->lock);
  q->progress = *p;
  q->at_us = at_us;
  q->moved = true;
  queue(q);
  pthread_mutex_unlock(&k->lock);
  logger_wake(k->w->logger);
}

void kept_end(struct kept *q) {
  struct keeper *k = q->k;
  pthread_mutex_lock(&k->lock);
  q->ending = true;
  queue(q);
  pthread_mutex_unlock(&k->lock);
  logger_wake(k->w->logger);
}

void kept_leave(struct kept *q) { q->x = NULL; }

static bool crowded(const struct keeper *k) { return atomic_load(&k->waiting) >= LIMIT_LOG_WAITING_BYTES; }

bool keeper_crowded(struct keeper *k) {
  if (!crowded(k)) return false;
  atomic_store(&k->call, true);
  return crowded(k); /* look again: the log thread may have looked at `call` in between */
}

uint64_t keeper_stored(const struct keeper *k) { return atomic_load(&k->stored); }

void keeper_recall(struct keeper *k, int64_t ti, uint32_t epoch) {
  struct recall *r = wr_new(struct recall);
  r->ti = ti;
  r->epoch = epoch;
  pthread_mutex_lock(&k->lock);
  *k->asks_tail = r;
  k->asks_tail = &r->next;
  pthread_mutex_unlock(&k->lock);
  logger_wake(k->w->logger);
}

static void kept_free(struct kept *q) {
  free(q->context.text);
  free(q);
}

/* A struct kept that is on both lists is freed only after this. */
static void tell_noted(struct keeper *k, struct kept *list) {
  for (struct kept *q = list, *next; q; q = next) {
    pthread_mutex_lock(&k->lock);
    next = q->next_told;
    q->told = false;
    uint32_t count = q->answered;
    int answer = q->answer == LOG_STORED ? WX_KEPT : q->answer == LOG_FENCED ? WX_KEPT_FENCED : WX_KEPT_NOT;
    pthread_mutex_unlock(&k->lock);
    if (q->x) exec_noted(q->x, count, answer);
  }
}

void keeper_news(struct worker *w) {
  struct keeper *k = w->keeper;
  if (!k) return;
  pthread_mutex_lock(&k->lock);
  struct kept *over = k->news, *told = k->told;
  struct recall *answer = k->answers;
  k->news = k->told = NULL;
  k->answers = NULL;
  pthread_mutex_unlock(&k->lock);
  tell_noted(k, told);
  for (struct kept *next; over; over = next) {
    next = over->next;
    if (over->x) reports_stored(over->x);
    kept_free(over);
  }
  for (struct recall *next; answer; answer = next) {
    next = answer->next;
    later_recalled(w, answer->ti, answer->epoch, answer->rc, answer->left);
    free(answer);
  }
  if (atomic_exchange(&k->room, false)) reports_room(w);
}

void worker_forget(struct worker *w, int64_t ti) {
  struct keeper *k = w->keeper;
  if (!k) return;
  pthread_mutex_lock(&k->lock);
  bool room = k->n_gone < LIMIT_FORGETS;
  if (room) *WR_PUSH(k->gone, k->n_gone, k->cap_gone) = ti;
  pthread_mutex_unlock(&k->lock);
  if (room) logger_wake(w->logger);
  else log_warn("worker.not_forgotten", L_INT("task", ti), L_STR("effect", "its log stays, but no route shows it"));
}

/* ---- the log thread ---- */

struct put_context { struct worker *w; const struct kept *q; struct context c; };

static enum log_rc put_context(void *arg) {
  const struct put_context *p = arg;
  return p->w->o.keeps->context(p->w->o.ctx, p->q->ti, p->q->epoch, p->q->owner, p->c.text, p->c.n);
}

/* True: the loop has something to do. */
static bool tell(struct keeper *k, struct kept *q, enum log_rc rc) {
  if (!q->wants) return false;
  pthread_mutex_lock(&k->lock);
  q->answer = rc;
  q->answered = q->taken;
  if (!q->told) {
    q->told = true;
    q->next_told = k->told;
    k->told = q;
  }
  pthread_mutex_unlock(&k->lock);
  return true;
}

static void context_over(struct keeper *k, struct context c) {
  atomic_fetch_sub(&k->waiting, (int64_t)c.n);
  atomic_fetch_add(&k->stored, 1);
  free(c.text);
}

/* There is no room now. Takes c. False: the node ends before there could be. */
static bool wait_for_room(struct keeper *k, struct kept *q, struct context c) {
  if (!k->full) trouble_begin(k->w, TROUBLE_DISK, "no room for the contexts of tasks");
  if (!k->full && !logger_nap(k->w->logger, FULL_US)) return false; /* once a turn */
  k->full = true;
  pthread_mutex_lock(&k->lock);
  bool newer = q->context.text != NULL;
  if (!newer) q->context = c;
  queue(q);
  q->last = false;
  pthread_mutex_unlock(&k->lock);
  if (newer) context_over(k, c);
  return true;
}

/* The last good one stays where this one cannot be stored. Takes c. True: the loop has something to do. */
static bool write_context(struct keeper *k, struct kept *q, struct context c) {
  struct put_context p = {k->w, q, c};
  bool doubt = false;
  enum log_rc rc = logger_until(k->w->logger, put_context, &p, INT64_MAX, &doubt);
  if (rc == LOG_NO_SPACE && wait_for_room(k, q, c)) return tell(k, q, rc);
  if (rc == LOG_STORED) trouble_end(k->w, TROUBLE_DISK);
  if (rc != LOG_STORED && rc != LOG_FENCED)
    log_warn("worker.context_lost", L_INT("task", q->ti), L_INT("attempt", q->epoch), L_INT("bytes", (int64_t)c.n),
             L_STR("effect", "the context before it stays"));
  context_over(k, c);
  return tell(k, q, rc);
}

static int by_attempt(const void *a, const void *b) {
  const struct kept *x = ((const struct put *)a)->q, *y = ((const struct put *)b)->q;
  if (x->ti != y->ti) return x->ti < y->ti ? -1 : 1;
  return x->epoch < y->epoch ? -1 : x->epoch > y->epoch;
}

struct put_some { struct worker *w; struct kept_context *v; size_t n; };

static enum log_rc put_some(void *arg) {
  const struct put_some *p = arg;
  return p->w->o.keeps->contexts(p->w->o.ctx, p->v, p->n);
}

/* In one commit; one after the other where that does not work. */
static bool write_some(struct keeper *k, const struct put *put, size_t n) {
  struct kept_context v[CONTEXT_BATCH];
  bool news = false, doubt = false;
  for (size_t i = 0; i < n; i++)
    v[i] = (struct kept_context){.ti = put[i].q->ti, .owner = put[i].q->owner, .epoch = put[i].q->epoch, .text = put[i].c.text,
                                 .n = put[i].c.n};
  bool all = n > 1 && k->w->o.keeps->contexts &&
             logger_until(k->w->logger, put_some, &(struct put_some){k->w, v, n}, INT64_MAX, &doubt) == LOG_STORED;
  for (size_t i = 0; i < n; i++) {
    if (all) context_over(k, put[i].c), news |= tell(k, put[i].q, v[i].fenced ? LOG_FENCED : LOG_STORED);
    else news |= write_context(k, put[i].q, put[i].c);
  }
  return news;
}

/* At a planned stop thousands leave one at once. True: the loop has something to do. */
static bool write_contexts(struct keeper *k) {
  bool news = false;
  if (k->n_put > 1) qsort(k->put, k->n_put, sizeof *k->put, by_attempt);
  for (size_t i = 0, n; i < k->n_put; i += n) {
    size_t bytes = k->put[i].c.n;
    for (n = 1; n < CONTEXT_BATCH && i + n < k->n_put && bytes + k->put[i + n].c.n <= LIMIT_CONTEXT_BYTES; n++)
      bytes += k->put[i + n].c.n;
    news |= write_some(k, k->put + i, n);
  }
  k->n_put = 0;
  return news;
}

struct put_progress { struct worker *w; const struct kept_progress *v; size_t n; };

static enum log_rc put_progress(void *arg) {
  const struct put_progress *p = arg;
  return p->w->o.keeps->progress(p->w->o.ctx, p->v, p->n);
}

/* Of one task, the newest attempt last. */
static int by_task(const void *a, const void *b) {
  const struct kept *x = *(struct kept *const *)a, *y = *(struct kept *const *)b;
  if (x->ti != y->ti) return x->ti < y->ti ? -1 : 1;
  return x->epoch < y->epoch ? -1 : x->epoch > y->epoch;
}

static void write_progress(struct keeper *k) {
  struct kept_progress v[LOG_BATCH_PIECES];
  if (k->n_row) qsort(k->row, k->n_row, sizeof *k->row, by_task);
  size_t n = 0;
  for (size_t i = 0; i < k->n_row; i++) {
    const struct kept *q = k->row[i];
    const struct progress *p = &q->putting;
    bool former = i + 1 < k->n_row && k->row[i + 1]->ti == q->ti;
    if (!former)
      v[n++] = (struct kept_progress){.ti = q->ti, .owner = q->owner, .at_us = q->put_at_us, .epoch = q->epoch, .total = p->total,
                                      .done = p->done, .speed = p->speed, .unit = p->unit, .message = p->message};
    if (n == 0 || (n < LOG_BATCH_PIECES && i + 1 < k->n_row)) continue;
    bool doubt = false;
    (void)logger_until(k->w->logger, put_progress, &(struct put_progress){k->w, v, n}, INT64_MAX, &doubt); /* a newer one comes */
    n = 0;
  }
  k->n_row = 0;
}

/* Takes what waits of it. */
static struct context take_context(struct keeper *k, struct kept *q) {
  pthread_mutex_lock(&k->lock);
  struct context c = q->context;
  q->context = (struct context){NULL, 0};
  q->taken = q->put_in;
  q->queued = false;
  q->last = q->ending;
  q->put = q->moved;
  q->moved = false;
  if (q->put) {
    q->putting = q->progress;
    q->put_at_us = q->at_us;
  }
  pthread_mutex_unlock(&k->lock);
  return c;
}

struct ask { struct worker *w; struct recall *r; };

/* Whatever the reason is, a start without what was left for it would be worse than a later one. */
static enum log_rc recall(void *arg) {
  const struct ask *a = arg;
  enum log_rc rc = a->w->o.keeps->recall(a->w->o.ctx, a->r->ti, &a->r->left);
  return rc == LOG_STORED ? LOG_STORED : LOG_AGAIN;
}

/* While the store is away, only the first one waits for it. */
static struct recall *read_left(struct keeper *k, struct recall *list) {
  struct recall *answers = NULL;
  int64_t patience = RECALL_US;
  for (struct recall *next; list; list = next) {
    bool doubt = false;
    next = list->next;
    list->rc = logger_until(k->w->logger, recall, &(struct ask){k->w, list}, patience, &doubt);
    if (list->rc != LOG_STORED) patience = 0;
    list->next = answers;
    answers = list;
  }
  return answers;
}

static void answer(struct keeper *k, struct recall *list) {
  pthread_mutex_lock(&k->lock);
  for (struct recall *r; (r = list);) {
    list = r->next;
    r->next = k->answers;
    k->answers = r;
  }
  pthread_mutex_unlock(&k->lock);
}

struct forget { struct worker *w; int64_t ti; bool more; };

static enum log_rc forget_part(void *arg) {
  struct forget *f = arg;
  return f->w->o.keeps->forget(f->w->o.ctx, f->ti, &f->more);
}

static void forget_task(struct keeper *k, int64_t ti) {
  struct forget f = {k->w, ti, true};
  bool doubt = false;
  enum log_rc rc = LOG_STORED;
  while (f.more && rc == LOG_STORED) {
    f.more = false;
    rc = logger_until(k->w->logger, forget_part, &f, INT64_MAX, &doubt);
  }
  if (rc != LOG_STORED)
    log_warn("worker.not_forgotten", L_INT("task", ti), L_STR("effect", "its log stays, but no route shows it"));
}

static void forget_some(struct keeper *k) {
  int64_t ti[FORGET_AT_ONCE];
  size_t n = 0;
  pthread_mutex_lock(&k->lock);
  while (n < FORGET_AT_ONCE && k->n_gone > 0) ti[n++] = k->gone[--k->n_gone];
  bool left = k->n_gone > 0;
  pthread_mutex_unlock(&k->lock);
  for (size_t i = 0; i < n; i++) forget_task(k, ti[i]);
  if (left) logger_wake(k->w->logger);
}

bool keeper_turn(struct keeper *k) {
  pthread_mutex_lock(&k->lock);
  struct kept *list = k->in;
  struct recall *asks = k->asks;
  k->in = NULL;
  k->in_tail = &k->in;
  k->asks = NULL;
  k->asks_tail = &k->asks;
  for (struct kept *q = list; q; q = q->next) q->turn = q->next; /* `next` is free for the queue again */
  pthread_mutex_unlock(&k->lock);
  bool news = asks != NULL;
  k->full = false;
  for (struct kept *q = list; q; q = q->turn) {
    struct context c = take_context(k, q);
    if (c.text) *WR_PUSH(k->put, k->n_put, k->cap_put) = (struct put){q, c};
    if (q->put) *WR_PUSH(k->row, k->n_row, k->cap_row) = q;
  }
  news |= write_contexts(k);
  write_progress(k);
  answer(k, read_left(k, asks));
  forget_some(k);
  pthread_mutex_lock(&k->lock);
  for (struct kept *q = list, *next; q; q = next) {
    next = q->turn;
    if (!q->last) continue;
    q->next = k->news;
    k->news = q;
    news = true;
  }
  pthread_mutex_unlock(&k->lock);
  if (!crowded(k) && atomic_exchange(&k->call, false)) atomic_store(&k->room, true), news = true;
  if (k->full) logger_wake(k->w->logger);
  return news;
}

/* ---- open and close ---- */

struct keeper *keeper_new(struct worker *w) {
  struct keeper *k = wr_new(struct keeper);
  k->w = w;
  k->in_tail = &k->in;
  k->asks_tail = &k->asks;
  pthread_mutex_init(&k->lock, NULL);
  return k;
}

/* Attempts that waited no longer have left theirs here. */
void keeper_free(struct keeper *k) {
  if (!k) return;
  for (struct kept *q; (q = k->news);) k->news = q->next, kept_free(q);
  for (struct kept *q; (q = k->in);) k->in = q->next, kept_free(q); /* there was no room for theirs */
  for (struct recall *r; (r = k->answers);) {
    k->answers = r->next;
    free(r->left);
    free(r);
  }
  pthread_mutex_destroy(&k->lock);
  free(k->gone);
  free(k->row);
  free(k->put);
  free(k);
}
