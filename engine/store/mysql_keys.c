/* Idempotency keys: looked up and written by the runner (its thread and connection) and by the definition writer (under
 * def_mu), read by readers.
 *
 * The unique index decides between two nodes: who inserts second waits for the first, then finds its row ignored, and the
 * batch is done again. A key whose first request is under way elsewhere is told apart before that, by a read that sees
 * what is not committed: a frozen node that holds one must not hold the batches of all others.
 *
 * What never happens: a change of a key that is there; a lock taken by a look. */
#include "mysql_rd.h"
#include "mysql_run.h"
#include <mysqld_error.h>
#include <stdlib.h>
#include <string.h>
#include "limits.h"

#define OLD_EVERY 256u    /* keys written between two deletes of old ones, so that nodes seldom meet there */

/* ---- looking ---- */
struct keys { const char *const *key; size_t n; struct key_row *out; uint8_t *got; };

#define COLS "hash,kind,first_id,n,create_time"
static void get_key(const struct my_cell *c, struct key_row *r) {
  *r = (struct key_row){.kind = (uint8_t)my_int(&c[1]), .first_id = my_int(&c[2]), .n = (uint32_t)my_int(&c[3]), .create_us = my_us(&c[4])};
  wr_assert(c[0].n == KEY_HASH_BYTES); /* BINARY(32) */
  memcpy(r->hash, c[0].s, KEY_HASH_BYTES);
}

static void put_in(struct my *s, const struct keys *k) {
  sql_str(&s->sql, " FROM idempotency FORCE INDEX(PRIMARY) WHERE idem_key IN(");
  for (size_t i = 0; i < k->n; i++) {
    sql_sep(&s->sql, i, ",");
    sql_text(&s->sql, s->run.m, k->key[i]);
  }
  sql_ch(&s->sql, ')');
}

static int by_key(const void *want, const void *at) { return strcmp(want, *(const char *const *)at); }

static size_t place(const struct keys *k, const char *key) {
  const char *const *at = bsearch(key, k->key, k->n, sizeof *k->key, by_key);
  return at ? (size_t)(at - k->key) : k->n;
}

/* One result: names only (held, as far as is known), or whole rows. */
static unsigned read_result(struct my *s, const struct keys *k) {
  struct my_cell c[MY_COLS];
  MYSQL_RES *res = mysql_store_result(s->run.m);
  if (!res) return mysql_errno(s->run.m) ? my_fail(&s->run, mysql_errno(s->run.m)) : 0;
  bool whole = mysql_num_fields(res) > 1;
  for (MYSQL_ROW row; (row = mysql_fetch_row(res));) {
    my_cells(res, row, c);
    size_t i = place(k, my_str(&c[0], NULL));
    if (i == k->n) continue;
    k->got[i] = whole ? 1 : 2;
    if (!whole) continue;
    get_key(&c[1], &k->out[i]);
  }
  mysql_free_result(res);
  return 0;
}

/* Inside a transaction its level stands: then a key under way elsewhere is not seen, and the insert waits for it. */
static unsigned look(struct my *s, const struct keys *k) {
  sql_clear(&s->sql);
  if (!s->in_tx) {
    sql_str(&s->sql, "SET TRANSACTION ISOLATION LEVEL READ UNCOMMITTED;SELECT idem_key");
    put_in(s, k);
    sql_ch(&s->sql, ';');
  }
  sql_str(&s->sql, "SELECT idem_key," COLS);
  put_in(s, k);
  unsigned e = my_query(&s->run, s->sql.b.data, s->sql.b.len);
  for (int more = 0; !e && more == 0;) {
    e = read_result(s, k);
    more = e ? -1 : mysql_next_result(s->run.m);
    if (more > 0) e = my_fail(&s->run, mysql_errno(s->run.m));
  }
  return e;
}

enum store_rc my_keys(struct store *st, const char *const *key, size_t n, struct key_row *out, uint8_t *got) {
  struct my *s = my_of(st);
  memset(got, 0, n);
  for (size_t i = 0; i < n; i += MY_IN_MAX) {
    struct keys k = {key + i, n - i < MY_IN_MAX ? n - i : MY_IN_MAX, out + i, got + i};
    unsigned e = look(s, &k);
    if (e) return my_run_fail(s, e);
  }
  return STORE_OK;
}

/* ---- writing ---- */
static void put_key(struct my *s, const struct key_write *k) {
  struct sql *q = &s->sql;
  sql_ch(q, '('), sql_text(q, s->run.m, k->key);
  sql_ch(q, ','), sql_blob(q, s->run.m, k->row.hash, KEY_HASH_BYTES);
  sql_ch(q, ','), sql_i64(q, k->row.kind);
  sql_ch(q, ','), sql_i64(q, k->row.first_id);
  sql_ch(q, ','), sql_i64(q, k->row.n);
  sql_ch(q, ','), sql_us(q, k->row.create_us);
  sql_ch(q, ')');
}

/* Twice as many as came since the last time: the table stays bounded without a timer. */
static enum store_rc delete_old(struct my *s, struct batch *b) {
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
    sql_str(&s->sql, "INSERT IGNORE INTO idempotency(idem_key," COLS ")VALUES");
    for (size_t k = 0; k < n; k++, i++) {
      sql_sep(&s->sql, k, ",");
      put_key(s, &b->key[i]);
    }
  }
  return b->n_key > 0 ? delete_old(s, b) : STORE_OK;
}

/* ---- the definition writer's ---- */
enum wr_rc my_def_key_free(struct my *s, const struct key_write *key, struct wr_err *err) {
  struct my_rows q;
  if (!key) return WR_OK;
  unsigned e = my_select(&s->def, &q, "SELECT 1 FROM idempotency WHERE idem_key=?", MY_ARGS(my_at(key->key)));
  bool there = !e && my_next(&q);
  if (!e) e = my_done(&q);
  if (e) return my_err(e, err);
  return there ? wr_err_set(err, WR_KEY_REUSED, NULL) : WR_OK;
}

enum wr_rc my_def_key_put(struct my *s, struct key_write *key, int64_t id, int64_t version, struct wr_err *err) {
  if (!key) return WR_OK;
  key->row.first_id = id;
  key->row.n = (uint32_t)version;
  unsigned e = my_run(&s->def, NULL, "INSERT INTO idempotency (idem_key," COLS ") VALUES (?,?,?,?,?,?)",
                      MY_ARGS(my_at(key->key), my_ab(key->row.hash, KEY_HASH_BYTES), my_ai(key->row.kind), my_ai(id), my_ai(version),
                              my_ad(key->row.create_us)));
  if (e == ER_DUP_ENTRY) return wr_err_set(err, WR_KEY_REUSED, NULL);
  if (!e) e = my_run(&s->def, NULL, "DELETE FROM idempotency WHERE create_time<? ORDER BY create_time LIMIT 2",
                     MY_ARGS(my_ad(key->row.create_us - LIMIT_KEY_AGE_US)));
  return e ? my_err(e, err) : WR_OK;
}

/* ---- a reader's ---- */
enum wr_rc my_reader_key(struct reader *rd, const char *key, struct key_row *out, struct wr_err *err) {
  struct my_rows q;
  unsigned e = my_select(&my_reader_of(rd)->c, &q, "SELECT " COLS " FROM idempotency WHERE idem_key=?", MY_ARGS(my_at(key)));
  if (e) return my_err(e, err);
  bool there = my_next(&q);
  if (there) get_key(q.cell, out);
  enum wr_rc rc = my_rd_end(&q, WR_OK, err);
  return rc == WR_OK && !there ? wr_err_set(err, WR_NOT_FOUND, NULL) : rc;
}
