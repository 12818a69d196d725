/* Binary min-heap of intrusive entries ordered by (at, seq): timers. Entries keep their index, so that removing
 * any entry is O(log n). Only the array of pointers is allocated. One owner, one thread. */
#ifndef WR_HEAP_H
#define WR_HEAP_H
#include <stddef.h>
#include <stdint.h>
struct heap_item { int64_t at; uint64_t seq; size_t pos; }; /* pos 0 = not in a heap; zero-initialise */
struct heap { struct heap_item **v; size_t n, cap; uint64_t seq; };
#define HEAP_INIT {0}
void heap_done(struct heap *h);
void heap_push(struct heap *h, struct heap_item *it, int64_t at); /* moves an entry that is already in */
void heap_remove(struct heap *h, struct heap_item *it);           /* does nothing when it is not in */
struct heap_item *heap_top(const struct heap *h);                 /* NULL when empty */
struct heap_item *heap_pop(struct heap *h);
#endif
