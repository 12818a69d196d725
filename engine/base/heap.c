/* Binary min-heap of intrusive entries, first by time, then in order of arrival.
 * Owner: the heap owns its array only; the entries are the caller's. One thread.
 * Never touches an entry that is not in it; heap_done() does not touch the entries at all (they may be gone). */
#include "heap.h"

#include <stdbool.h>
#include <stdlib.h>

#include "err.h"
#include "mem.h"

static bool before(const struct heap_item *a, const struct heap_item *b) {
  return a->at != b->at ? a->at < b->at : a->seq < b->seq;
}

/* Positions count from one: children of p are 2p and 2p + 1, and 0 says "nowhere". */
static void place(struct heap *h, size_t pos, struct heap_item *it) {
  h->v[pos - 1] = it;
  it->pos = pos;
}

static void sift_up(struct heap *h, size_t pos, struct heap_item *it) {
  for (; pos > 1 && before(it, h->v[pos / 2 - 1]); pos /= 2) place(h, pos, h->v[pos / 2 - 1]);
  place(h, pos, it);
}

static void sift_down(struct heap *h, size_t pos, struct heap_item *it) {
  for (size_t kid; (kid = 2 * pos) <= h->n; pos = kid) {
    if (kid < h->n && before(h->v[kid], h->v[kid - 1])) kid++;
    if (!before(h->v[kid - 1], it)) break;
    place(h, pos, h->v[kid - 1]);
  }
  place(h, pos, it);
}

static void settle(struct heap *h, size_t pos, struct heap_item *it) {
  if (pos > 1 && before(it, h->v[pos / 2 - 1])) sift_up(h, pos, it);
  else sift_down(h, pos, it);
}

static void check_in(const struct heap *h, const struct heap_item *it) {
  wr_assert(it->pos <= h->n && h->v[it->pos - 1] == it); /* else it is in another heap */
}

void heap_done(struct heap *h) {
  free(h->v);
  *h = (struct heap)HEAP_INIT;
}

void heap_push(struct heap *h, struct heap_item *it, int64_t at) {
  if (it->pos) check_in(h, it);
  it->at = at;
  it->seq = ++h->seq; /* an entry that moves goes behind its equals */
  if (it->pos) {
    settle(h, it->pos, it);
    return;
  }
  h->v = wr_grow(h->v, &h->cap, h->n + 1, sizeof(struct heap_item *));
  h->n++;
  sift_up(h, h->n, it);
}

void heap_remove(struct heap *h, struct heap_item *it) {
  if (!it->pos) return;
  check_in(h, it);
  size_t pos = it->pos;
  struct heap_item *last = h->v[--h->n];
  it->pos = 0;
  if (last != it) settle(h, pos, last);
}

struct heap_item *heap_top(const struct heap *h) { return h->n ? h->v[0] : NULL; }

struct heap_item *heap_pop(struct heap *h) {
  struct heap_item *it = heap_top(h);
  if (it) heap_remove(h, it);
  return it;
}
