/* The seam (cursor.h) on MariaDB and MySQL: statements of queries.h are prepared (mysql_stmt.c), those with a list of ids are
 * plain text, whose only values are integers. One cursor at a time per connection; the thread that has it. */
#include "mysql_priv.h"
#include <mysqld_error.h>

static const char *const text[] = {QUERIES(QUERY_TEXT, IN_MY)};

static struct my_conn *conn_of(struct db *db) { return (struct my_conn *)db; }

static void select_rows(struct db *db, struct cursor *c, enum query q, const struct arg *arg, size_t n) {
  (void)my_select(conn_of(db), c, text[q], arg, n);
}

static void select_ids(struct db *db, struct cursor *c, enum query q, const int64_t *id, size_t n) {
  c->db = db;
  c->st = NULL;
  c->sql = text[q];
  c->id = id;
  c->n_id = n;
  c->err = 0;
}

/* c->st: the rows of the next ids, NULL after an error. */
static void list_ask(struct cursor *c) {
  struct my_conn *conn = conn_of(c->db);
  struct sql q = {0};
  size_t n = c->n_id < MY_IN_MAX ? c->n_id : MY_IN_MAX;
  sql_str(&q, c->sql);
  sql_str(&q, " IN(");
  sql_ids(&q, c->id, n);
  sql_ch(&q, ')');
  unsigned e = my_query(conn, q.b.data, q.b.len);
  c->st = e ? NULL : mysql_store_result(conn->m);
  if (!e && !c->st) e = my_fail(conn, mysql_errno(conn->m));
  c->err = (int)e;
  c->id += n;
  c->n_id -= n;
  sql_done(&q);
}

static bool list_next(struct cursor *c) {
  for (MYSQL_ROW row;;) {
    if (!c->st && c->n_id && !c->err) list_ask(c);
    if (!c->st) return false;
    if ((row = mysql_fetch_row(c->st))) {
      my_cells(c->st, row, c->cell);
      return true;
    }
    mysql_free_result(c->st);
    c->st = NULL;
  }
}

static bool next_row(struct cursor *c) { return c->sql ? list_next(c) : my_next(c); }

static int end_rows(struct cursor *c) {
  if (!c->sql) return (int)my_done(c);
  if (c->st) mysql_free_result(c->st);
  return c->err;
}

static int run(struct db *db, enum query q, const struct arg *arg, size_t n) {
  return (int)my_run(conn_of(db), NULL, text[q], arg, n);
}

static enum wr_rc error_of(struct db *db, int e, struct wr_err *err) {
  (void)db;
  return my_err((unsigned)e, err);
}

const struct db_ops my_db_ops = {.select = select_rows, .select_ids = select_ids, .next = next_row, .done = end_rows, .run = run,
                                 .err = error_of, .duplicate = ER_DUP_ENTRY};
