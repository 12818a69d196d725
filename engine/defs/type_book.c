/* Known task types: see type_book.h. A sorted list: types are few. */
#include "type_book.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "cond.h"
#include "mem.h"

#define AGAIN_US 1000000
#define WAIT_US 2000000   /* for another thread's look: as long as for a reader */

void book_init(struct type_book *b) {
  *b = (struct type_book){0};
  pthread_mutex_init(&b->mu, NULL);
  cond_mono(&b->done);
}

void book_done(struct type_book *b) {
  for (size_t i = 0; i < b->n; i++) free(b->v[i].name);
  free(b->v);
  pthread_cond_destroy(&b->done);
  pthread_mutex_destroy(&b->mu);
}

/* ---- entries; the lock is held ---- */

/* The place of the name, or where it would stand. */
static size_t place(const struct type_book *b, const char *name) {
  size_t lo = 0, hi = b->n;
  while (lo < hi) {
    size_t mid = (lo + hi) / 2;
    if (strcmp(b->v[mid].name, name) < 0) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

static struct type_entry *entry(const struct type_book *b, const char *name) {
  size_t i = place(b, name);
  return i < b->n && strcmp(b->v[i].name, name) == 0 ? &b->v[i] : NULL;
}

static void insert(struct type_book *b, const struct known_type *t, uint64_t at) {
  size_t i = place(b, t->name);
  (void)WR_PUSH(b->v, b->n, b->cap);
  memmove(b->v + i + 1, b->v + i, (b->n - 1 - i) * sizeof *b->v);
  b->v[i] = (struct type_entry){wr_strdup(t->name), t->cleans_up, at};
}

/* The count grows after the change: whoever sees the new number finds what it stands for. */
static void put_type(struct type_book *b, const struct known_type *t, uint64_t at) {
  struct type_entry *e = entry(b, t->name);
  if (e && e->at > at) return;
  bool same = e && e->cleans_up == t->cleans_up;
  if (e) e->cleans_up = t->cleans_up, e->at = at;
  else insert(b, t, at);
  if (!same) atomic_fetch_add_explicit(&b->changes, 1, memory_order_release);
}

/* ---- what is known ---- */

bool book_find(struct type_book *b, const char *name, bool *cleans_up) {
  pthread_mutex_lock(&b->mu);
  const struct type_entry *e = entry(b, name);
  *cleans_up = e && e->cleans_up;
  pthread_mutex_unlock(&b->mu);
  return e != NULL;
}

void book_note(struct type_book *b, const struct known_type *t) {
  pthread_mutex_lock(&b->mu);
  put_type(b, t, ++b->at);
  pthread_mutex_unlock(&b->mu);
}

bool book_due(struct type_book *b) {
  int64_t read_us = atomic_load(&b->read_us);
  return read_us == 0 || clock_mono_us() - read_us >= AGAIN_US;
}

/* ---- looks ---- */

struct notes { struct type_book *b; uint64_t at; };

static int note(void *ctx, const struct known_type *t) {
  const struct notes *n = ctx;
  pthread_mutex_lock(&n->b->mu);
  put_type(n->b, t, n->at);
  pthread_mutex_unlock(&n->b->mu);
  return 0;
}

/* The lock is held, but not while it reads. */
static void look(struct type_book *b, struct type_look *l, struct reader *r) {
  struct notes notes = {b, ++b->at};
  struct wr_err err = {0};
  int64_t now = clock_mono_us();
  l->under_way = true;
  pthread_mutex_unlock(&b->mu);
  enum wr_rc rc = reader_known_types(r, note, &notes, &err);
  pthread_mutex_lock(&b->mu);
  err.code = rc;
  *l = (struct type_look){false, l->n_done + 1, err};
  if (rc == WR_OK) atomic_store(&b->read_us, now);
  pthread_cond_broadcast(&b->done);
}

/* The lock is held. false: it has not ended in time. */
static bool wait_for(struct type_book *b, const struct type_look *l) {
  uint64_t n = l->n_done;
  int64_t until = clock_mono_us() + WAIT_US, mine = store_until();
  if (mine && mine < until) until = mine;
  for (bool in_time = true; l->n_done == n && in_time;) in_time = cond_until(&b->done, &b->mu, until);
  return l->n_done != n;
}

enum wr_rc book_look(struct type_book *b, struct reader *r, bool runner, struct wr_err *err) {
  struct type_look *l = &b->look[runner];
  struct wr_err end = {0};
  pthread_mutex_lock(&b->mu);
  if (l->under_way) {
    if (wait_for(b, l)) end = l->err;
    else (void)wr_err_set(&end, WR_BUSY, NULL);
  } else if (book_due(b)) {
    look(b, l, r);
    end = l->err;
  }
  pthread_mutex_unlock(&b->mu);
  if (end.code) *err = end;
  return end.code;
}
