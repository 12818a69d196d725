/* Whose tasks of flows are (store_whose.h), in the runner's packet, under the lock of their flow. The runner's thread and
 * connection. What never happens: a row of a flow whose own row does not say that there are any. */
#include "mysql_run.h"
#include <stdlib.h>
#include <string.h>

static void put_name(struct my *s, const char *name) { sql_blob(&s->sql, s->run.m, name, name ? strlen(name) : 0); }

static void put_whose(struct my *s, const struct whose_row *r) {
  struct sql *q = &s->sql;
  sql_ch(q, '('), sql_i64(q, r->fi);
  sql_ch(q, ','), sql_i64(q, r->ti);
  sql_ch(q, ','), put_name(s, r->user);
  sql_ch(q, ','), put_name(s, r->group);
  if (r->has_priority) sql_ch(q, ','), sql_i64(q, r->priority);
  else sql_str(q, ",NULL");
  sql_ch(q, ')');
}

enum store_rc write_whose(struct my *s, struct batch *b) {
  for (size_t i = 0; i < b->n_whose;) {
    enum store_rc rc = run_statement(s, b, WANT_NOTHING, 0, 0);
    if (rc) return rc;
    size_t n = 0, from = s->sql.b.len;
    sql_str(&s->sql, "INSERT INTO flow_queue(fi_id,ti_id,user_name,group_name,priority)VALUES");
    for (; i < b->n_whose && n < PUT_ROWS && (n == 0 || s->sql.b.len - from < s->run.packet / 2); i++) {
      sql_sep(&s->sql, n++, ",");
      put_whose(s, &b->whose[i]);
    }
    sql_str(&s->sql, "ON DUPLICATE KEY UPDATE user_name=VALUES(user_name),group_name=VALUES(group_name),"
                     "priority=VALUES(priority)");
  }
  return STORE_OK;
}

enum store_rc my_whose(struct store *st, int64_t fi, struct arena *a, struct whose_row **out, size_t *n) {
  struct my *s = my_of(st);
  struct cell c[CELLS_MAX];
  MYSQL_RES *res;
  *n = 0;
  *out = NULL;
  my_select_begin(s);
  sql_str(&s->sql, "SELECT fi_id,ti_id,user_name,group_name,priority FROM flow_queue FORCE INDEX(PRIMARY) WHERE fi_id=");
  sql_i64(&s->sql, fi);
  sql_str(&s->sql, " ORDER BY ti_id");
  unsigned e = my_select_tx(s, &res);
  if (e) return my_run_fail(s, e);
  *out = arena_alloc(a, ((size_t)mysql_num_rows(res) + 1) * sizeof **out);
  for (MYSQL_ROW row; (row = mysql_fetch_row(res)); ++*n) {
    my_cells(res, row, c);
    whose_of_cells(c, &(*out)[*n], a);
  }
  mysql_free_result(res);
  return STORE_OK;
}
