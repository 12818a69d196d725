/* Allocation that cannot fail, arenas and growable buffers.
 * Owner: whoever called; one thread for each object. Never returns NULL: out of memory ends the process. */
#include "mem.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"

enum { ALIGN = 16, CHUNK_DEFAULT = 16384, GROW_FIRST = 8, BUF_FIRST = 64 };

static _Noreturn void out_of_memory(void) {
  static const char msg[] = "weir: out of memory\n";
  ssize_t ignored = write(STDERR_FILENO, msg, sizeof msg - 1); /* stdio might allocate */
  (void)ignored;
  abort();
}

static size_t add_size(size_t a, size_t b) {
  size_t sum;
  if (__builtin_add_overflow(a, b, &sum)) out_of_memory();
  return sum;
}

void *wr_malloc(size_t n) {
  void *p = malloc(n ? n : 1);
  if (!p) out_of_memory();
  return p;
}

void *wr_calloc(size_t n, size_t size) {
  if (n == 0 || size == 0) n = size = 1;
  void *p = calloc(n, size);
  if (!p) out_of_memory();
  return p;
}

void *wr_realloc(void *p, size_t n) {
  p = realloc(p, n ? n : 1);
  if (!p) out_of_memory();
  return p;
}

char *wr_strdup(const char *s) { return s ? wr_memdup0(s, strlen(s)) : NULL; }

char *wr_memdup0(const void *p, size_t n) {
  char *d = wr_malloc(add_size(n, 1));
  if (n) memcpy(d, p, n);
  d[n] = '\0';
  return d;
}

void *wr_grow(void *p, size_t *cap, size_t need, size_t size) {
  if (need <= *cap) return p;
  size_t want = *cap > SIZE_MAX / 2 ? need : *cap * 2, bytes;
  if (want < GROW_FIRST) want = GROW_FIRST;
  if (want < need) want = need;
  if (__builtin_mul_overflow(want, size, &bytes)) out_of_memory();
  p = wr_realloc(p, bytes);
  *cap = want;
  return p;
}

/* ---- arena ---- */

struct arena_chunk {
  struct arena_chunk *next;
  size_t used, size;
  alignas(ALIGN) char data[];
};

void arena_init(struct arena *a, size_t chunk_bytes) {
  a->head = NULL;
  a->chunk_bytes = chunk_bytes ? chunk_bytes : CHUNK_DEFAULT;
}

/* A chunk with room for n. A big one goes behind the head, whose rest stays in use. */
static struct arena_chunk *chunk_add(struct arena *a, size_t n) {
  bool big = n > a->chunk_bytes;
  size_t size = big ? n : a->chunk_bytes;
  struct arena_chunk *c = wr_malloc(add_size(sizeof *c, size));
  c->used = 0;
  c->size = size;
  struct arena_chunk **at = big && a->head ? &a->head->next : &a->head;
  c->next = *at;
  *at = c;
  return c;
}

void *arena_alloc(struct arena *a, size_t n) {
  n = add_size(n ? n : 1, ALIGN - 1) & ~(size_t)(ALIGN - 1);
  struct arena_chunk *c = a->head;
  if (!c || c->size - c->used < n) c = chunk_add(a, n);
  void *p = c->data + c->used;
  c->used += n;
  return p;
}

void *arena_zalloc(struct arena *a, size_t n) { return memset(arena_alloc(a, n), 0, n); }

char *arena_strdup(struct arena *a, const char *s) { return s ? arena_memdup0(a, s, strlen(s)) : NULL; }

char *arena_memdup0(struct arena *a, const void *p, size_t n) {
  char *d = arena_alloc(a, add_size(n, 1));
  if (n) memcpy(d, p, n);
  d[n] = '\0';
  return d;
}

static void chunks_free(struct arena_chunk *c, const struct arena_chunk *keep) {
  while (c) {
    struct arena_chunk *next = c->next;
    if (c != keep) free(c);
    c = next;
  }
}

void arena_reset(struct arena *a) {
  /* Keep a chunk of the usual size if there is any: a single big request must not hold its memory for ever. */
  struct arena_chunk *keep = a->head;
  while (keep && keep->size != a->chunk_bytes) keep = keep->next;
  if (!keep) keep = a->head;
  chunks_free(a->head, keep);
  a->head = keep;
  if (!keep) return;
  keep->next = NULL;
  keep->used = 0;
}

void arena_done(struct arena *a) {
  chunks_free(a->head, NULL);
  a->head = NULL;
}

/* ---- buffer ---- */

void buf_done(struct buf *b) {
  free(b->data);
  *b = (struct buf)BUF_INIT;
}

void buf_clear(struct buf *b) {
  b->len = 0;
  if (b->data) b->data[0] = '\0';
}

char *buf_grow(struct buf *b, size_t more) {
  size_t need = add_size(add_size(b->len, more), 1);
  b->data = wr_grow(b->data, &b->cap, need < BUF_FIRST ? BUF_FIRST : need, 1);
  b->data[b->len] = '\0';
  return b->data + b->len;
}

void buf_i64(struct buf *b, int64_t v) {
  char tmp[20]; /* "-9223372036854775808" */
  char *p = tmp + sizeof tmp;
  uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;
  do *--p = (char)('0' + u % 10);
  while (u /= 10);
  if (v < 0) *--p = '-';
  buf_add(b, p, (size_t)(tmp + sizeof tmp - p));
}

void buf_printf(struct buf *b, const char *fmt, ...) {
  char *to = buf_reserve(b, 0);
  va_list ap, again;
  va_start(ap, fmt);
  va_copy(again, ap);
  size_t room = b->cap - b->len;
  int n = vsnprintf(to, room, fmt, ap);
  wr_assert(n >= 0);
  if ((size_t)n >= room) {
    to = buf_reserve(b, (size_t)n);
    n = vsnprintf(to, (size_t)n + 1, fmt, again);
    wr_assert(n >= 0);
  }
  va_end(again);
  va_end(ap);
  b->len += (size_t)n;
}
