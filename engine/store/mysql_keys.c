/* Idempotency keys of the runner, its thread and connection; keys.c has the keys of others.
 *
 * The unique index decides between two nodes: the node that inserts second waits for the first, then finds its row ignored, and
 * does its batch again. A key whose first request is under way elsewhere is recognised earlier, by a read that sees uncommitted
 * rows: a frozen node that holds a key must not hold up the batches of all others.
 *
 * What never happens: a change of a key that is there; a lock taken by a look. */
#include "mysql_run.h"
#include <stdlib.h>
#include <string.h>
#include "wr_limits.h"

#define OLD_EVERY 256u    /* keys written between two deletes of old ones, so that nodes seldom meet there */

/* ---- looking ---- */
static void keys_where(struct my *s, const struct my_asked *k) {
  buf_printf(&s->sql.b, " FROM %s WHERE ", k->t->from);
  if (k->scoped) buf_printf(&s->sql.b, "key_scope=%lld AND ", (long long)k->scope);
  buf_printf(&s->sql.b, "%s IN(", k->t->key);
  for (size_t i = 0; i < k->n; i++) {
    sql_sep(&s->sql, i, ",");
    sql_text(&s->sql, s->run.m, k->key[i]);
  }
  sql_ch(&s->sql, ')');
}

static int by_key(const void *want, const void *at) { return strcmp(want, *(const char *const *)at); }

static size_t key_place(const struct my_asked *k, const char *key) {
  const char *const *at = bsearch(key, k->key, k->n, sizeof *k->key, by_key);
  return at ? (size_t)(at - k->key) : k->n;
}

/* One result: names only (held, as far as is known), or whole rows. */
static unsigned keys_result(struct my *s, const struct my_asked *k) {
  struct cell c[CELLS_MAX];
  MYSQL_RES *res = mysql_store_result(s->run.m);
  if (!res) return mysql_errno(s->run.m) ? my_fail(&s->run, mysql_errno(s->run.m)) : 0;
  bool whole = mysql_num_fields(res) > 1;
  for (MYSQL_ROW row; (row = mysql_fetch_row(res));) {
    my_cells(res, row, c);
    size_t i = key_place(k, cell_text(&c[0], NULL));
    if (i == k->n) continue;
    k->got[i] = whole ? 1 : 2;
    if (whole) k->t->found(c, k, i);
  }
  mysql_free_result(res);
  return 0;
}

/* Inside a transaction the isolation level is fixed: a key under way elsewhere is not seen then, and the insert waits for it.
 * */
static unsigned keys_look(struct my *s, const struct my_asked *k) {
  sql_clear(&s->sql);
  if (!s->in_tx) {
    buf_printf(&s->sql.b, "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED;SELECT %s", k->t->key);
    keys_where(s, k);
    sql_ch(&s->sql, ';');
  }
  buf_printf(&s->sql.b, "SELECT %s", k->t->cols);
  keys_where(s, k);
  unsigned e = my_query(&s->run, s->sql.b.data, s->sql.b.len);
  for (int more = 0; !e && more == 0;) {
    e = keys_result(s, k);
    more = e ? -1 : mysql_next_result(s->run.m);
    if (more > 0) e = my_fail(&s->run, mysql_errno(s->run.m));
  }
  return e;
}

enum store_rc my_keys_look(struct my *s, const struct my_asked *all) {
  memset(all->got, 0, all->n);
  for (size_t i = 0; i < all->n; i += MY_IN_MAX) {
    struct my_asked k = {all->t, all->key + i, all->n - i < MY_IN_MAX ? all->n - i : MY_IN_MAX,
                         (char *)all->out + i * all->t->size, all->got + i, all->scoped, all->scope};
    unsigned e = keys_look(s, &k);
    if (e) return my_run_fail(s, e);
  }
  return STORE_OK;
}

static void found_row(const struct cell *c, const struct my_asked *k, size_t i) {
  bool fits = key_row_of(&c[1], (struct key_row *)k->out + i);
  wr_assert(fits); /* BINARY(32) */
}

enum store_rc my_keys(struct store *st, const char *const *key, size_t n, struct key_row *out, uint8_t *got) {
  static const struct my_key_table t = {"idempotency FORCE INDEX(PRIMARY)", "idem_key", "idem_key," KEY_COLS,
                                        sizeof *out, found_row};
  return my_keys_look(my_of(st), &(struct my_asked){&t, key, n, out, got, false, 0});
}

/* ---- writing ---- */
static void key_text(struct my *s, const struct key_write *k) {
  struct sql *q = &s->sql;
  sql_ch(q, '('), sql_text(q, s->run.m, k->key);
  sql_ch(q, ','), sql_blob(q, s->run.m, k->row.hash, KEY_HASH_BYTES);
  sql_ch(q, ','), sql_i64(q, k->row.kind);
  sql_ch(q, ','), sql_i64(q, k->row.first_id);
  sql_ch(q, ','), sql_i64(q, k->row.n);
  sql_ch(q, ','), sql_us(q, k->row.create_us);
  sql_ch(q, ')');
}

/* Deletes twice as many old keys as came since the last time, so the table stays bounded without a timer. */
static enum store_rc keys_delete_old(struct my *s, struct batch *b) {
  s->keys_written += (uint32_t)b->n_key;
  if (s->keys_written < OLD_EVERY) return STORE_OK;
  enum store_rc rc = run_statement(s, b, WANT_NOTHING, 0, 0);
  if (rc) return rc;
  sql_str(&s->sql, "DELETE FROM idempotency WHERE create_time<");
  sql_us(&s->sql, b->key[0].row.create_us - LIMIT_KEY_AGE_US);
  sql_str(&s->sql, " ORDER BY create_time LIMIT ");
  sql_i64(&s->sql, 2 * (int64_t)s->keys_written);
  s->keys_written = 0;
  return STORE_OK;
}

enum store_rc write_keys(struct my *s, struct batch *b) {
  for (size_t i = 0; i < b->n_key;) {
    size_t n = b->n_key - i < PUT_ROWS ? b->n_key - i : PUT_ROWS;
    enum store_rc rc = run_statement(s, b, WANT_KEYS, 0, n);
    if (rc) return rc;
    sql_str(&s->sql, "INSERT IGNORE INTO idempotency(idem_key," KEY_COLS ")VALUES");
    for (size_t k = 0; k < n; k++, i++) {
      sql_sep(&s->sql, k, ",");
      key_text(s, &b->key[i]);
    }
  }
  return b->n_key > 0 ? keys_delete_old(s, b) : STORE_OK;
}
