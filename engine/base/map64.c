/* A hash map from ids to pointers: a power of two of slots, linear probing, at most three quarters full.
 * Owner: one struct, one thread; the values stay the caller's. Never shrinks, never leaves a tombstone. */
#include "map64.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "mem.h"

enum { FIRST_CAP = 16 };

/* Murmur3's final mix: ids are dense, their low bits alone would form long runs. */
static size_t home(const struct map64 *m, int64_t key) {
  uint64_t h = (uint64_t)key;
  h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
  h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
  return (size_t)(h ^ h >> 33) & (m->cap - 1);
}

/* The slot of the key, or the free one where it belongs. The map has slots. */
static struct map64_slot *seek(const struct map64 *m, int64_t key) {
  size_t i = home(m, key);
  while (m->slot[i].key != key && m->slot[i].key != 0) i = (i + 1) & (m->cap - 1);
  return &m->slot[i];
}

static void grow(struct map64 *m) {
  struct map64 old = *m;
  m->cap = old.cap ? old.cap * 2 : FIRST_CAP;
  m->slot = wr_calloc(m->cap, sizeof *m->slot);
  for (size_t i = 0; i < old.cap; i++)
    if (old.slot[i].key) *seek(m, old.slot[i].key) = old.slot[i];
  free(old.slot);
}

void map64_done(struct map64 *m) {
  free(m->slot);
  *m = (struct map64)MAP64_INIT;
}

void *map64_get(const struct map64 *m, int64_t key) {
  return m->n == 0 || key == 0 ? NULL : seek(m, key)->val; /* a free slot has no value */
}

void *map64_put(struct map64 *m, int64_t key, void *val) {
  wr_assert(key != 0 && val);
  if (m->n >= m->cap / 4 * 3) grow(m);
  struct map64_slot *s = seek(m, key);
  void *was = s->val;
  if (!s->key) m->n++;
  *s = (struct map64_slot){key, val};
  return was;
}

void *map64_del(struct map64 *m, int64_t key) {
  if (m->n == 0 || key == 0) return NULL;
  struct map64_slot *s = seek(m, key);
  if (!s->key) return NULL;
  void *was = s->val;
  size_t mask = m->cap - 1, hole = (size_t)(s - m->slot);
  /* Each entry that follows in the run moves into the hole, unless its home lies behind the hole. */
  for (size_t i = (hole + 1) & mask; m->slot[i].key; i = (i + 1) & mask) {
    if (((i - home(m, m->slot[i].key)) & mask) < ((i - hole) & mask)) continue;
    m->slot[hole] = m->slot[i];
    hole = i;
  }
  m->slot[hole] = (struct map64_slot){0, NULL};
  m->n--;
  return was;
}

static void *linked(const void *val, size_t link_at) {
  void *next;
  memcpy(&next, (const char *)val + link_at, sizeof next);
  return next;
}

void map64_unchain(struct map64 *m, int64_t key, void *val, size_t link_at) {
  void *at = map64_get(m, key), *next = linked(val, link_at);
  if (at != val) {
    while (linked(at, link_at) != val) at = linked(at, link_at);
    memcpy((char *)at + link_at, &next, sizeof next);
  } else if (next) (void)map64_put(m, key, next);
  else (void)map64_del(m, key);
}

const struct map64_slot *map64_next(const struct map64 *m, size_t *i) {
  while (*i < m->cap)
    if (m->slot[(*i)++].key) return &m->slot[*i - 1];
  return NULL;
}

int wr_by_id(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

size_t wr_distinct(void *v, size_t n, size_t size) {
  char *p = v;
  size_t k = 0;
  if (n > 1) qsort(v, n, size, wr_by_id);
  for (size_t i = 0; i < n; i++) {
    if (k > 0 && wr_by_id(p + (k - 1) * size, p + i * size) == 0) continue;
    if (k != i) memcpy(p + k * size, p + i * size, size);
    k++;
  }
  return k;
}
