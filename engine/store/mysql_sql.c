/* Literals. Pure but for the connection, which only names the character set; any thread that owns q and m. */
#include "mysql_sql.h"
#include "clock.h"
#include <string.h>

void sql_done(struct sql *q) { buf_done(&q->b); }

void sql_i64_0(struct sql *q, int64_t v) {
  if (v) buf_i64(&q->b, v);
  else buf_add(&q->b, "NULL", 4);
}

/* A typed literal is converted once, where it is read; a string is converted for each row it goes into. */
static void put_time(struct sql *q, int64_t us, const char *zero) {
  if (!us) {
    buf_str(&q->b, zero);
    return;
  }
  buf_str(&q->b, "TIMESTAMP'");
  char *p = buf_reserve(&q->b, CLOCK_SQL_LEN + 1);
  clock_sql(p, us);
  p[CLOCK_SQL_LEN - 1] = '\'';
  q->b.len += CLOCK_SQL_LEN;
}

void sql_us(struct sql *q, int64_t us) { put_time(q, us, "NULL"); }
void sql_at(struct sql *q, int64_t us) { put_time(q, us, SQL_NEVER); }

/* mysql_real_escape_string() writes at most 2n + 1 bytes. It fails only when the server changed the character set
 * behind our back: then no literal is written, and the server refuses the statement. */
static void escaped(struct sql *q, MYSQL *m, const char *s, size_t n) {
  char *p = buf_reserve(&q->b, 2 * n + 3);
  unsigned long len = mysql_real_escape_string(m, p + 1, s, n);
  if (len == (unsigned long)-1) return;
  p[0] = p[len + 1] = '\'';
  q->b.len += len + 2;
}

void sql_text(struct sql *q, MYSQL *m, const char *s) {
  if (s) escaped(q, m, s, strlen(s));
  else buf_add(&q->b, "NULL", 4);
}

void sql_blob(struct sql *q, MYSQL *m, const void *p, size_t n) {
  if (!p) {
    buf_add(&q->b, "NULL", 4);
    return;
  }
  buf_add(&q->b, "_binary", 7);
  escaped(q, m, p, n);
}

void sql_ids(struct sql *q, const int64_t *id, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if (i) buf_ch(&q->b, ',');
    buf_i64(&q->b, id[i]);
  }
}
