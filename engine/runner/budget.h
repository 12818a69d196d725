/* How many bytes a cache holds and may hold, and in which order its entries were used. An entry embeds a struct budget_item and
 * states its size. When the cache holds too much, its owner goes through the entries from the oldest on and drops those that
 * nothing pins. A budget also keeps an average of the sizes of recent entries, so that the owner knows how many more the cache
 * can take at once.
 * One owner, one thread. What never happens: an entry is removed with another size than it was counted with (budget_grow() counts
 * growth). */
#ifndef RUNNER_BUDGET_H
#define RUNNER_BUDGET_H
#include <stdbool.h>
#include <stddef.h>
#include "err.h"
#include "wr_limits.h"

struct budget_item { struct budget_item *older, *newer; size_t bytes; };
/* ends.older: the newest entry; ends.newer: the oldest. size: the average of recent entries. */
struct budget { struct budget_item ends; size_t bytes, most, size; };

static inline void budget_init(struct budget *b, size_t most) {
  b->ends = (struct budget_item){&b->ends, &b->ends, 0};
  b->bytes = 0;
  b->most = most;
  b->size = LIMIT_PARAMS_BYTES / 2; /* no entry is known yet: assume one with many parameters */
}
static inline void budget_unlink_(struct budget_item *it) {
  it->older->newer = it->newer;
  it->newer->older = it->older;
}
static inline void budget_newest_(struct budget *b, struct budget_item *it) {
  it->older = b->ends.older;
  it->newer = &b->ends;
  it->older->newer = it;
  b->ends.older = it;
}
static inline void budget_add(struct budget *b, struct budget_item *it, size_t bytes) {
  budget_newest_(b, it);
  it->bytes = bytes;
  b->bytes += bytes;
  b->size = b->size / 8 * 7 + bytes / 8 + 1;
}
/* The number of further entries that fit into a quarter of the budget, but at least `least`. */
static inline size_t budget_room(const struct budget *b, size_t least) {
  size_t n = b->most / 4 / b->size;
  return n > least ? n : least;
}
static inline void budget_use(struct budget *b, struct budget_item *it) { /* the entry was used just now */
  budget_unlink_(it);
  budget_newest_(b, it);
}
static inline void budget_grow(struct budget *b, struct budget_item *it, size_t by) {
  it->bytes += by;
  b->bytes += by;
}
static inline void budget_remove(struct budget *b, struct budget_item *it) {
  budget_unlink_(it);
  b->bytes -= it->bytes;
}
static inline bool budget_over(const struct budget *b) { return b->bytes > b->most; }
/* Aborts when the order and the sum do not agree; debug builds and tests. */
static inline void budget_check(const struct budget *b) {
  size_t bytes = 0;
  for (const struct budget_item *it = b->ends.older; it != &b->ends; it = it->older) {
    wr_assert(it->older->newer == it);
    bytes += it->bytes;
  }
  wr_assert(bytes == b->bytes);
}
/* From the oldest: for (it = budget_oldest(b); it; it = next) { next = budget_newer(b, it); .. } */
static inline struct budget_item *budget_oldest(struct budget *b) { return b->ends.newer == &b->ends ? NULL : b->ends.newer; }
static inline struct budget_item *budget_newer(struct budget *b, struct budget_item *it) {
  return it->newer == &b->ends ? NULL : it->newer;
}
#endif
