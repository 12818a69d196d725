/* A hash map from non-zero int64_t ids to pointers: open addressing, one owner, one thread. */
#ifndef WR_MAP64_H
#define WR_MAP64_H
#include <stddef.h>
#include <stdint.h>
struct map64_slot { int64_t key; void *val; };
struct map64 { struct map64_slot *slot; size_t cap, n; };
#define MAP64_INIT {0}
void  map64_done(struct map64 *m);
void *map64_get(const struct map64 *m, int64_t key);            /* NULL when absent */
void *map64_put(struct map64 *m, int64_t key, void *val);       /* val not NULL; returns the former value or NULL */
void *map64_del(struct map64 *m, int64_t key);                  /* returns what was there or NULL */
/* A value may be the first of a chain: all that have its key, linked by a pointer that stands link_at bytes into each. What
 * map64_put() returned is the next of the new first one. Takes val out of its chain; it must be there. */
void  map64_unchain(struct map64 *m, int64_t key, void *val, size_t link_at);
/* Iteration: size_t i = 0; while ((s = map64_next(m, &i))) ...; no change to the map meanwhile. */
const struct map64_slot *map64_next(const struct map64 *m, size_t *i);
/* The order of ids, for qsort() and bsearch(): of int64_t, and of structs that begin with one. */
int wr_by_id(const void *a, const void *b);
/* Sorts v by id and keeps one element of each id; returns how many that are. size: of an element. */
size_t wr_distinct(void *v, size_t n, size_t size);
#endif
