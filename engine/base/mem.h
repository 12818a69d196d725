/* Memory: arenas and growable buffers. One owner, one thread each; no hidden current arena.
 *
 * Small bounded objects: wr_new() and friends. They abort when memory is gone. Anything whose size a user or the
 * network decides is checked against a named limit before it is allocated here. */
#ifndef WR_MEM_H
#define WR_MEM_H
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

void *wr_malloc(size_t n);              /* never NULL */
void *wr_calloc(size_t n, size_t size); /* zeroed, never NULL, overflow checked */
void *wr_realloc(void *p, size_t n);    /* never NULL */
char *wr_strdup(const char *s);         /* NULL gives NULL */
char *wr_memdup0(const void *p, size_t n); /* n bytes and a NUL */
#define wr_new(type) ((type *)wr_calloc(1, sizeof(type)))

/* Makes room for need elements of size bytes: doubles. Returns the (moved) array. */
void *wr_grow(void *p, size_t *cap, size_t need, size_t size);
#define WR_PUSH(arr, n, cap) ((arr) = wr_grow((arr), &(cap), (n) + 1, sizeof *(arr)), &(arr)[(n)++])

/* Arena: freed as a whole. Pointers stay valid until reset or done. */
struct arena { struct arena_chunk *head; size_t chunk_bytes; };
void  arena_init(struct arena *a, size_t chunk_bytes); /* 0 = 16 KiB; nothing is allocated yet */
void *arena_alloc(struct arena *a, size_t n);          /* 16-byte aligned, not zeroed */
void *arena_zalloc(struct arena *a, size_t n);
char *arena_strdup(struct arena *a, const char *s);    /* NULL gives NULL */
char *arena_memdup0(struct arena *a, const void *p, size_t n);
void  arena_reset(struct arena *a); /* frees all but one chunk */
void  arena_done(struct arena *a);

/* Growable byte buffer; data is NUL-terminated once anything was added (the NUL is not in len). */
struct buf { char *data; size_t len, cap; };
#define BUF_INIT {0}
void buf_done(struct buf *b);
void buf_clear(struct buf *b);
char *buf_grow(struct buf *b, size_t more);   /* what buf_reserve() does when there is no room */

/* Room for more bytes behind len; returns that place. Inline, because keys, rows and answers are built of short pieces. */
static inline char *buf_reserve(struct buf *b, size_t more) {
  return more < b->cap - b->len ? b->data + b->len : buf_grow(b, more);
}
static inline void buf_add(struct buf *b, const void *p, size_t n) {
  char *to = buf_reserve(b, n);
  if (n) memcpy(to, p, n);
  to[n] = '\0';
  b->len += n;
}
static inline void buf_str(struct buf *b, const char *s) { buf_add(b, s, strlen(s)); }
static inline void buf_ch(struct buf *b, char c) { buf_add(b, &c, 1); }
void buf_i64(struct buf *b, int64_t v);
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#endif
