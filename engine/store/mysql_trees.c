/* Trees of tasks (store_trees.h), in the runner's packet. The runner's thread and connection. */
#include "mysql_run.h"
#include <stdlib.h>

static void put_tree(struct my *s, const struct tree_row *r) {
  buf_printf(&s->sql.b, "(%lld,%u,%u,%u,", (long long)r->ti, r->verdict, r->ignore, r->wish);
  if (r->pass) sql_i64(&s->sql, r->pass_at);
  else sql_str(&s->sql, "NULL");
  buf_printf(&s->sql.b, ",%lld,%lld,%lld,%lld)", (long long)r->total, (long long)r->live, (long long)r->failed,
             (long long)r->known);
}

enum store_rc write_trees(struct my *s, struct batch *b) {
  for (size_t i = 0; i < b->n_tree;) {
    enum store_rc rc = run_statement(s, b, WANT_NOTHING, 0, 0);
    if (rc) return rc;
    sql_str(&s->sql, "INSERT INTO task_tree(" TREE_COLS ")VALUES");
    for (size_t n = 0; i < b->n_tree && n < PUT_ROWS; i++) {
      sql_sep(&s->sql, n++, ",");
      put_tree(s, &b->tree[i]);
    }
    sql_str(&s->sql, "ON DUPLICATE KEY UPDATE verdict=VALUES(verdict),child_failure=VALUES(child_failure),wish=VALUES(wish),"
                     "pass_at=VALUES(pass_at),n_total=VALUES(n_total),n_live=VALUES(n_live),n_failed=VALUES(n_failed),"
                     "n_known=VALUES(n_known)");
  }
  return STORE_OK;
}

/* The list of each task has those that this batch makes for it. */
enum store_rc write_children(struct my *s, struct batch *b) {
  for (size_t i = 0, n = 0; i < b->n_async; n = 0) {
    for (; i < b->n_async && n < PUT_ROWS; i++) {
      const struct async_write *a = &b->async[i];
      if (a->op != ROW_INSERT || !a->row.parent) continue;
      enum store_rc rc = n == 0 ? run_statement(s, b, WANT_UNIQUE, 0, 0) : STORE_OK;
      if (rc) return rc;
      if (n == 0) sql_str(&s->sql, "INSERT INTO task_child(parent_ti,ti_id)VALUES");
      sql_sep(&s->sql, n++, ",");
      buf_printf(&s->sql.b, "(%lld,%lld)", (long long)a->row.parent, (long long)a->row.ti);
    }
    if (n > 0) s->want[s->n_want - 1].n = n;
  }
  return STORE_OK;
}

enum store_rc my_tree(struct store *st, int64_t ti, struct tree_row *out, bool *got) {
  struct my *s = my_of(st);
  struct cell c[CELLS_MAX];
  MYSQL_RES *res = NULL;
  my_select_begin(s);
  buf_printf(&s->sql.b, "SELECT " TREE_COLS " FROM task_tree FORCE INDEX(PRIMARY) WHERE ti_id=%lld", (long long)ti);
  unsigned e = my_select_tx(s, &res);
  if (e) return my_run_fail(s, e);
  MYSQL_ROW row = mysql_fetch_row(res);
  *got = row != NULL;
  if (row) {
    my_cells(res, row, c);
    ins_row_tree(c, out);
  }
  mysql_free_result(res);
  return STORE_OK;
}

enum store_rc my_children(struct store *st, int64_t parent, int64_t after_ti, int64_t *ti, size_t n, size_t *n_out) {
  struct my *s = my_of(st);
  struct cell c[CELLS_MAX];
  MYSQL_RES *res = NULL;
  *n_out = 0;
  my_select_begin(s);
  buf_printf(&s->sql.b, "SELECT ti_id FROM task_child FORCE INDEX(PRIMARY) WHERE parent_ti=%lld AND ti_id>%lld ORDER BY ti_id "
             "LIMIT %zu", (long long)parent, (long long)after_ti, n);
  unsigned e = my_select_tx(s, &res);
  if (e) return my_run_fail(s, e);
  for (MYSQL_ROW row; *n_out < n && (row = mysql_fetch_row(res));) {
    my_cells(res, row, c);
    ti[(*n_out)++] = cell_i64(&c[0]);
  }
  mysql_free_result(res);
  return STORE_OK;
}
