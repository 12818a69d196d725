/* Idempotency keys of the runner: looked up and written inside its transaction. There is no rival between the look and the
 * insert, for every writer waits for `turn`. keys.c has the keys of others.
 * What never happens: a change of a key that is there. */
#include "wr_limits.h"
#include "sqlite_priv.h"
#include "sqlite_run.h"

enum store_rc sq_keys(struct store *st, const char *const *key, size_t n, struct key_row *out, uint8_t *got) {
  struct sq *s = sq_of(st);
  struct cell c[CELLS_MAX];
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_KEY);
  if (!q) return sq_rc(&s->run, sqlite3_errcode(s->run.db));
  for (size_t i = 0; i < n; i++) {
    sq_text(q, 1, key[i]);
    got[i] = sqlite3_step(q) == SQLITE_ROW;
    if (got[i]) sq_cells(q, c);
    bool whole = !got[i] || key_row_of(c, &out[i]);
    int rc = sqlite3_reset(q);
    if (rc != SQLITE_OK || !whole) return sq_rc(&s->run, rc != SQLITE_OK ? rc : SQLITE_CORRUPT);
  }
  return STORE_OK;
}

static int put_key(sqlite3_stmt *w, const struct key_write *k) {
  if (!w) return SQLITE_ERROR;
  sq_text(w, 1, k->key);
  sqlite3_bind_blob(w, 2, k->row.hash, KEY_HASH_BYTES, SQLITE_STATIC);
  sq_int(w, 3, k->row.kind);
  sq_int(w, 4, k->row.first_id);
  sq_int(w, 5, k->row.n);
  sq_int(w, 6, k->row.create_us);
  return sq_run(w);
}

static int delete_old(sqlite3_stmt *w, int64_t now_us, size_t came) {
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, now_us - LIMIT_KEY_AGE_US);
  sq_int(w, 2, 2 * (int64_t)came);
  return sq_run(w);
}

enum store_rc sq_put_keys(struct sq *s, const struct batch *b) {
  int rc = SQLITE_OK;
  for (size_t i = 0; i < b->n_key && rc == SQLITE_OK; i++) rc = put_key(sq_stmt(&s->run, RUN_KEY_INSERT), &b->key[i]);
  if (rc == SQLITE_CONSTRAINT_PRIMARYKEY) return STORE_RETRY;
  if (rc == SQLITE_OK && b->n_key > 0) rc = delete_old(sq_stmt(&s->run, RUN_KEYS_OLD), b->key[0].row.create_us, b->n_key);
  return sq_rc(&s->run, rc);
}
