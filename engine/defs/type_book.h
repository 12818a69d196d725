/* Task types that some node has registered, as last read from the store: what a node knows of types that it cannot run itself.
 * Names are known for good; whether a type cleans up may change with a newer version of it, so it is read again.
 *
 * Owner: the cache of definitions. Any thread. Two looks at most are under way: one of the runner's thread, which never waits
 * for others, and one of all other threads, who wait for it and take its result.
 * What never happens: a read of the store under the lock; a name that is forgotten; a look that failed and counts as one; a look
 * that overwrites what became known after it had begun. */
#ifndef TYPE_BOOK_H
#define TYPE_BOOK_H
#include <pthread.h>
#include <stdatomic.h>
#include "store.h"

struct type_entry { char *name; bool cleans_up; uint64_t at; };   /* at: of the look or the registration that said so */
struct type_look { bool under_way; uint64_t n_done; struct wr_err err; };   /* err: of the last one that ended */
struct type_book {
  pthread_mutex_t mu;                /* leaf */
  pthread_cond_t done;               /* a look has ended */
  struct type_entry *v; size_t n, cap;   /* by name */
  uint64_t at;                       /* grows with each look that begins and each registration */
  struct type_look look[2];          /* [1]: the runner's */
  _Atomic int64_t read_us;           /* when the last look that succeeded began, monotonic; 0 = never */
  _Atomic uint64_t changes;
};
void book_init(struct type_book *b);
void book_done(struct type_book *b);
/* Is the type known? *cleans_up: what is known of it. */
bool book_find(struct type_book *b, const char *name, bool *cleans_up);
void book_note(struct type_book *b, const struct known_type *t);   /* registered by this node */
/* Not read within the last second. Without a lock. */
bool book_due(struct type_book *b);
/* Reads all types where that is due. OK: no more than a second old. Whoever waits for the look of another thread waits no longer
 * than for a reader, then BUSY. r: of this thread, taken before, so that no look waits for a reader that a waiting thread has. */
enum wr_rc book_look(struct type_book *b, struct reader *r, bool runner, struct wr_err *err) WR_MUST;
/* Grows when a type becomes known or is known for something else. A number noted BEFORE book_find() says when to ask again. */
static inline uint64_t book_changes(const struct type_book *b) { return atomic_load_explicit(&b->changes, memory_order_acquire); }
#endif
