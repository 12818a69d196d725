/* Bindings of statements that write row after row. SQLite keeps what is bound until something else is; the rows of a batch
 * differ in few columns; so a value that is bound already is not bound again: a compare costs a tenth of a binding, and
 * most of a step's 41 bindings are spared. The runner's thread and connection. Private to sqlite_rows.c.
 *
 * What never happens: a statement that is bound here and elsewhere, for then `same` would not be true. */
#ifndef SQLITE_BOUND_H
#define SQLITE_BOUND_H
#include "sqlite_priv.h"

enum { BOUND_MAX = 34 };  /* parameters of a statement, and one since they count from 1 */
struct sq_bound {
  sqlite3_stmt *st;
  uint64_t same, null;    /* by parameter: v is bound; NULL is bound */
  int64_t v[BOUND_MAX];
};

/* Ready to be bound; NULL when it cannot be prepared, as sq_stmt(). */
struct sq_bound *sq_bound(struct sq_conn *c, size_t i);

static inline void bound_int(struct sq_bound *b, int i, int64_t v) {
  uint64_t bit = UINT64_C(1) << i;
  if ((b->same & bit) && b->v[i] == v) return;
  b->null &= ~bit;
  b->same = sqlite3_bind_int64(b->st, i, v) == SQLITE_OK ? b->same | bit : b->same & ~bit;
  b->v[i] = v;
}

static inline void bound_null(struct sq_bound *b, int i) {
  uint64_t bit = UINT64_C(1) << i;
  if (b->null & bit) return;
  b->same &= ~bit;
  b->null = sqlite3_bind_null(b->st, i) == SQLITE_OK ? b->null | bit : b->null & ~bit;
}

static inline void bound_int0(struct sq_bound *b, int i, int64_t v) {  /* 0 is NULL */
  if (v) bound_int(b, i, v);
  else bound_null(b, i);
}

/* Texts and blobs live until the statement has run: they are bound each time, and NULL is not. */
static inline void bound_text(struct sq_bound *b, int i, const char *s) {
  if (s) b->null &= ~(UINT64_C(1) << i), b->same &= ~(UINT64_C(1) << i), sq_text(b->st, i, s);
  else bound_null(b, i);
}
static inline void bound_blob(struct sq_bound *b, int i, const void *p, size_t n) {
  if (p) b->null &= ~(UINT64_C(1) << i), b->same &= ~(UINT64_C(1) << i), sqlite3_bind_blob64(b->st, i, p, n, SQLITE_STATIC);
  else bound_null(b, i);
}
#endif
