/* Executors, or analyzers, that were registered at run time, as last read from the store: entries of a
 * registry of the node. A look reads one number, and the rows only when that has changed.
 *
 * Owner: the cache of definitions. Any thread that holds a reader. What never happens: a read of the store under the lock; an
 * older look that overwrites what a newer one has found; an entry that is made twice. */
#ifndef EXEC_BOOK_H
#define EXEC_BOOK_H
#include <pthread.h>
#include <stdatomic.h>
#include "added.h"
#include "store.h"

/* What the node has to say. ops: what runs an executor of that mode here. make: fills in what is the node's of a. ask: the node
 * looks and says what it offers, now; back when that is done, or at until_us (CLOCK_MONOTONIC). may_ask: what the URL itself
 * says, false with a clause. */
struct added_host {
  const wx_ops *(*ops)(enum added_mode mode);
  void (*make)(void *ctx, struct added *a);
  void (*ask)(void *ctx, int64_t until_us);
  bool (*may_ask)(void *ctx, const char *url, char *why, size_t why_n);
  void *ctx;
};
struct exec_book {
  pthread_mutex_t mu;               /* leaf, but for the registry's own */
  enum added_kind kind;             /* analyzers have a registry of their own: their names are no task types */
  _Atomic int64_t seen;             /* the number of changes of what is known; 0 = nothing was read */
  struct registry *types;           /* NULL = there are none */
  struct added_host host;
};
void exec_book_init(struct exec_book *b, enum added_kind kind);
void exec_book_done(struct exec_book *b);
enum wr_rc exec_book_look(struct exec_book *b, struct reader *r, struct wr_err *err) WR_MUST;
/* That version is known from now on, too. NOT_FOUND. */
enum wr_rc exec_book_version(struct exec_book *b, struct reader *r, const char *type, int64_t version,
                             struct wr_err *err) WR_MUST;
#endif
