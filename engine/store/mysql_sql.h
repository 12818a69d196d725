/* Text of statements: integers, times and escaped literals appended to a buffer. Private to engine/store/mysql*.c.
 * The one place where a value becomes part of SQL text; everything else binds. One owner, one thread. */
#ifndef MYSQL_SQL_H
#define MYSQL_SQL_H
#include "mysql_lib.h"
#include "mem.h"

struct sql { struct buf b; };   /* zero-initialise */
void sql_done(struct sql *q);
static inline void sql_clear(struct sql *q) { buf_clear(&q->b); }
/* Constant text of the program, never data. */
static inline void sql_str(struct sql *q, const char *s) { buf_str(&q->b, s); }
static inline void sql_ch(struct sql *q, char c) { buf_ch(&q->b, c); }
static inline void sql_i64(struct sql *q, int64_t v) { buf_i64(&q->b, v); }
void sql_i64_0(struct sql *q, int64_t v);                      /* 0 = NULL */
void sql_us(struct sql *q, int64_t us);                        /* DATETIME(6), 0 = NULL */
#define SQL_NEVER "TIMESTAMP'1970-01-01 00:00:00'"                      /* what a column named .._at holds for "not yet" */
void sql_at(struct sql *q, int64_t us);                        /* DATETIME(6), 0 = SQL_NEVER */
/* Escaped for the character set of m's connection, in quotes; NULL = NULL. */
void sql_text(struct sql *q, MYSQL *m, const char *s);
void sql_blob(struct sql *q, MYSQL *m, const void *p, size_t n);
void sql_ids(struct sql *q, const int64_t *id, size_t n);      /* 1,2,3 */
/* "name=v, name=v" and such: a separator before all but the first. */
static inline void sql_sep(struct sql *q, size_t i, const char *sep) {
  if (i) buf_str(&q->b, sep);
}
#endif
