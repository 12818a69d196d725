/* Prepared statements: one place that binds values and reads rows. Each connection keeps the MY_STMTS newest ones, so a
 * list that is asked again is not prepared again. Used by the thread that owns the connection. */
#include "mysql_priv.h"
#include <errmsg.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"

struct my_stmt {
  char *sql;
  MYSQL_STMT *st;
  uint8_t order[CELLS_MAX]; /* which given value each of its own takes */
  unsigned n_col;
  MYSQL_BIND bind[CELLS_MAX];
  int64_t num[CELLS_MAX];
  MYSQL_TIME time[CELLS_MAX];
  unsigned long len[CELLS_MAX];
  my_bool null[CELLS_MAX], cut[CELLS_MAX];
  struct buf text;          /* of the row that was read last */
};

static void stmt_free(struct my_stmt *s) {
  if (!s) return;
  mysql_stmt_close(s->st);
  buf_done(&s->text);
  free(s->sql);
  free(s);
}

void my_stmts_close(struct my_conn *c) {
  for (unsigned i = 0; i < MY_STMTS; i++) {
    stmt_free(c->stmt[i]);
    c->stmt[i] = NULL;
  }
}

static bool is_int(enum enum_field_types t) {
  return t == MYSQL_TYPE_TINY || t == MYSQL_TYPE_SHORT || t == MYSQL_TYPE_INT24 || t == MYSQL_TYPE_LONG ||
         t == MYSQL_TYPE_LONGLONG || t == MYSQL_TYPE_YEAR;
}
static bool is_time(enum enum_field_types t) { return t == MYSQL_TYPE_DATETIME || t == MYSQL_TYPE_TIMESTAMP; }

/* Integers and times are bound to their own room; texts to none: their length comes first, then room is made. */
static bool bind_result(struct my_stmt *s) {
  MYSQL_RES *meta = mysql_stmt_result_metadata(s->st);
  s->n_col = meta ? mysql_num_fields(meta) : 0;
  wr_assert(s->n_col <= CELLS_MAX);
  for (unsigned i = 0; i < s->n_col; i++) {
    enum enum_field_types t = mysql_fetch_field_direct(meta, i)->type;
    MYSQL_BIND *b = &s->bind[i];
    *b = (MYSQL_BIND){.length = &s->len[i], .is_null = &s->null[i], .error = &s->cut[i]};
    if (is_int(t)) b->buffer_type = MYSQL_TYPE_LONGLONG, b->buffer = &s->num[i], b->buffer_length = sizeof s->num[i];
    else if (is_time(t)) b->buffer_type = MYSQL_TYPE_DATETIME, b->buffer = &s->time[i], b->buffer_length = sizeof s->time[i];
    else b->buffer_type = MYSQL_TYPE_BLOB;
  }
  if (meta) mysql_free_result(meta);
  return !s->n_col || !mysql_stmt_bind_result(s->st, s->bind);
}

/* As the server takes it: ? for ?3. The given values may be used in any order, twice, or not at all. */
static bool prepare(struct my_stmt *s, const char *sql) {
  struct buf b = BUF_INIT;
  for (unsigned n = 0; *sql; sql++) {
    buf_ch(&b, *sql);
    if (*sql != '?') continue;
    unsigned number = 0;
    for (; sql[1] >= '0' && sql[1] <= '9'; sql++) number = number * 10 + (unsigned)(sql[1] - '0');
    wr_assert(n < CELLS_MAX && number <= CELLS_MAX);
    s->order[n] = (uint8_t)(number ? number - 1 : n);
    n++;
  }
  bool ok = !mysql_stmt_prepare(s->st, b.data, b.len);
  buf_done(&b);
  return ok;
}

static struct my_stmt *prepared(struct my_conn *c, const char *sql) {
  for (unsigned i = 0; i < MY_STMTS; i++)
    if (c->stmt[i] && strcmp(c->stmt[i]->sql, sql) == 0) return c->stmt[i];
  struct my_stmt *s = wr_new(struct my_stmt);
  s->sql = wr_strdup(sql);
  s->st = mysql_stmt_init(c->m);
  if (!s->st || !prepare(s, sql) || !bind_result(s)) {
    unsigned e = s->st ? mysql_stmt_errno(s->st) : CR_OUT_OF_MEMORY;
    if (s->st) stmt_free(s);
    else free(s->sql), free(s);
    my_fail(c, e);
    return NULL;
  }
  unsigned at = c->stmt_at++ % MY_STMTS;
  stmt_free(c->stmt[at]);
  return c->stmt[at] = s;
}

/* ---- parameters ---- */
struct bound {
  MYSQL_BIND bind[CELLS_MAX];
  unsigned long len[CELLS_MAX];
  char time[CELLS_MAX][CLOCK_SQL_LEN];
  int64_t num[CELLS_MAX];
};

static void *writable(const void *p) { /* the library asks for a pointer it never writes through */
  union { const void *in; void *out; } u = {p};
  return u.out;
}

static void bind_param(struct bound *p, unsigned i, const struct arg *a) {
  MYSQL_BIND *b = &p->bind[i];
  *b = (MYSQL_BIND){.length = &p->len[i]};
  switch (a->kind) {
    case 'i':
      p->num[i] = a->i;
      b->buffer_type = MYSQL_TYPE_LONGLONG, b->buffer = &p->num[i];
      break;
    case 'd':
      clock_sql(p->time[i], a->i);
      b->buffer_type = MYSQL_TYPE_STRING, b->buffer = p->time[i], p->len[i] = CLOCK_SQL_LEN - 1;
      break;
    case 't': case 'b':
      b->buffer_type = a->kind == 't' ? MYSQL_TYPE_STRING : MYSQL_TYPE_BLOB;
      b->buffer = writable(a->s), p->len[i] = a->n;
      break;
    default:
      b->buffer_type = MYSQL_TYPE_NULL;
  }
  b->buffer_length = p->len[i];
}

static struct my_stmt *execute(struct my_conn *c, const char *sql, const struct arg *arg, size_t n) {
  struct bound p;
  if (!c->m) return c->err = CR_SERVER_LOST, NULL;
  if (!my_in_time(c, true)) return NULL;
  struct my_stmt *s = prepared(c, sql);
  if (!s || !my_in_time(c, true)) return NULL;
  unsigned named = (unsigned)mysql_stmt_param_count(s->st);
  size_t bytes = 0;
  for (unsigned i = 0; i < named; i++) {
    wr_assert(s->order[i] < n);
    bytes += arg[s->order[i]].n;
  }
  if (my_too_large(c, bytes)) return NULL;
  for (unsigned i = 0; i < named; i++) bind_param(&p, i, &arg[s->order[i]]);
  c->sent_us = clock_mono_us();
  if ((named && mysql_stmt_bind_param(s->st, p.bind)) || mysql_stmt_execute(s->st)) {
    my_fail(c, mysql_stmt_errno(s->st));
    return NULL;
  }
  my_heard(c);
  return s;
}

unsigned my_run(struct my_conn *c, uint64_t *affected, const char *sql, const struct arg *arg, size_t n) {
  struct my_stmt *s = execute(c, sql, arg, n);
  if (!s) return c->err;
  if (affected) *affected = mysql_stmt_affected_rows(s->st);
  return 0;
}

/* ---- rows ---- */
unsigned my_select(struct my_conn *c, struct cursor *r, const char *sql, const struct arg *arg, size_t n) {
  r->db = &c->base;
  r->sql = NULL;
  r->st = execute(c, sql, arg, n);
  r->err = r->st ? 0 : (int)c->err;
  return (unsigned)r->err;
}

static int64_t time_us(const MYSQL_TIME *t) {
  char s[CLOCK_SQL_LEN];
  int64_t us = 0;
  int n = snprintf(s, sizeof s, "%04u-%02u-%02u %02u:%02u:%02u.%06lu", t->year % 10000, t->month % 100, t->day % 100,
                   t->hour % 100, t->minute % 100, t->second % 100, t->second_part % 1000000);
  return n > 0 && clock_parse_sql(s, (size_t)n, &us) ? us : 0;
}

/* Copies a text column to its place in s->text. */
static bool fetch_text(struct my_stmt *s, unsigned i, struct cell *cell) {
  unsigned long len = s->len[i];
  char *to = buf_reserve(&s->text, len + 1);
  MYSQL_BIND b = {.buffer_type = MYSQL_TYPE_BLOB, .buffer = to, .buffer_length = len, .length = &len};
  if (len && mysql_stmt_fetch_column(s->st, &b, i, 0)) return false;
  to[len] = '\0';
  *cell = (struct cell){CELL_TEXT, NULL, len, (int64_t)s->text.len}; /* the place; the buffer may still move */
  s->text.len += len + 1;
  return true;
}

static bool take_row(struct my_stmt *s, struct cell *cell) {
  buf_clear(&s->text);
  for (unsigned i = 0; i < s->n_col; i++) {
    enum enum_field_types t = s->bind[i].buffer_type;
    if (s->null[i]) cell[i] = (struct cell){CELL_NULL, NULL, 0, 0};
    else if (t == MYSQL_TYPE_LONGLONG) cell[i] = (struct cell){CELL_INT, NULL, 0, s->num[i]};
    else if (t == MYSQL_TYPE_DATETIME) cell[i] = (struct cell){CELL_INT, NULL, 0, time_us(&s->time[i])};
    else if (!fetch_text(s, i, &cell[i])) return false;
  }
  for (unsigned i = 0; i < s->n_col; i++)
    if (cell[i].kind == CELL_TEXT) cell[i].s = s->text.data + cell[i].i;
  return true;
}

bool my_next(struct cursor *r) {
  struct my_stmt *s = r->st;
  struct my_conn *c = (struct my_conn *)r->db;
  if (r->err || !s) return false;
  if (!my_in_time(c, false)) return r->err = (int)c->err, r->st = NULL, false;
  int rc = mysql_stmt_fetch(s->st);
  if ((rc == 0 || rc == MYSQL_DATA_TRUNCATED) && take_row(s, r->cell)) return true;
  if (rc != MYSQL_NO_DATA) r->err = (int)my_fail(c, mysql_stmt_errno(s->st));
  if (r->err && !c->m) r->st = NULL; /* it went with the connection */
  return false;
}

unsigned my_done(struct cursor *r) {
  struct my_stmt *s = r->st;
  if (s) mysql_stmt_free_result(s->st);
  r->st = NULL;
  return (unsigned)r->err;
}
