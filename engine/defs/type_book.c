/* Known task types: see type_book.h. A sorted list: types are few. */
#include "type_book.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "mem.h"

#define AGAIN_US 1000000

void book_init(struct type_book *b) {
  *b = (struct type_book){0};
  pthread_mutex_init(&b->mu, NULL);
}

void book_done(struct type_book *b) {
  for (size_t i = 0; i < b->n; i++) free(b->v[i].name);
  free(b->v);
  pthread_mutex_destroy(&b->mu);
}

/* The lock is held. The place of the name, or where it would stand. */
static size_t place(const struct type_book *b, const char *name) {
  size_t lo = 0, hi = b->n;
  while (lo < hi) {
    size_t mid = (lo + hi) / 2;
    if (strcmp(b->v[mid].name, name) < 0) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

bool book_find(struct type_book *b, const char *name, bool *cleans_up) {
  pthread_mutex_lock(&b->mu);
  size_t i = place(b, name);
  bool known = i < b->n && strcmp(b->v[i].name, name) == 0;
  *cleans_up = known && b->v[i].cleans_up;
  pthread_mutex_unlock(&b->mu);
  return known;
}

bool book_due(struct type_book *b) {
  int64_t now = clock_mono_us();
  pthread_mutex_lock(&b->mu);
  bool due = b->read_us == 0 || now - b->read_us >= AGAIN_US;
  if (due) b->read_us = now;
  pthread_mutex_unlock(&b->mu);
  return due;
}

void book_note(struct type_book *b, const struct known_type *t) {
  pthread_mutex_lock(&b->mu);
  size_t i = place(b, t->name);
  bool known = i < b->n && strcmp(b->v[i].name, t->name) == 0;
  if (!known) {
    (void)WR_PUSH(b->v, b->n, b->cap);
    memmove(b->v + i + 1, b->v + i, (b->n - 1 - i) * sizeof *b->v);
    b->v[i].name = wr_strdup(t->name);
  }
  b->v[i].cleans_up = t->cleans_up;
  pthread_mutex_unlock(&b->mu);
}

static int note(void *ctx, const struct known_type *t) {
  book_note(ctx, t);
  return 0;
}

enum wr_rc book_read(struct type_book *b, struct reader *r, struct wr_err *err) { return reader_known_types(r, note, b, err); }
