/* Task types that some node has registered, as last read from the store: what a node knows of types that it cannot run itself.
 *
 * Owner: the cache of definitions. Any thread. What never happens: a read of the store under the lock; a name that is
 * forgotten; more than one look a second for a name that nobody has registered. */
#ifndef TYPE_BOOK_H
#define TYPE_BOOK_H
#include <pthread.h>
#include "store.h"

struct type_entry { char *name; bool cleans_up; };
struct type_book {
  pthread_mutex_t mu;                /* leaf */
  struct type_entry *v; size_t n, cap;   /* by name */
  int64_t read_us;                   /* when the last look began, monotonic; 0 = never */
};
void book_init(struct type_book *b);
void book_done(struct type_book *b);
/* Is the type known? *cleans_up: what is known of it. */
bool book_find(struct type_book *b, const char *name, bool *cleans_up);
void book_note(struct type_book *b, const struct known_type *t);
/* May be looked up anew: not within the last second. The caller then reads. */
bool book_due(struct type_book *b);
enum wr_rc book_read(struct type_book *b, struct reader *r, struct wr_err *err) WR_MUST;
#endif
