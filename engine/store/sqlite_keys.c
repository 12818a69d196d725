/* Idempotency keys: looked up and written by the runner (its thread and connection), by the definition writer (under
 * def_lock), read by readers. Each inside its transaction: there is no rival between the look and the insert, for every
 * writer waits for `turn`. Old keys go with those that come, twice as many at a time, so the table stays bounded without
 * a timer. What never happens: a change of a key that is there. */
#include <string.h>
#include "limits.h"
#include "sqlite_def.h"
#include "sqlite_rd.h"
#include "sqlite_run.h"

static int get_key(sqlite3_stmt *q, struct key_row *r) {
  *r = (struct key_row){.kind = (uint8_t)sq_col(q, 1), .first_id = sq_col(q, 2), .n = (uint32_t)sq_col(q, 3), .create_us = sq_col(q, 4)};
  if (sqlite3_column_bytes(q, 0) != KEY_HASH_BYTES) return SQLITE_CORRUPT;
  memcpy(r->hash, sqlite3_column_blob(q, 0), KEY_HASH_BYTES);
  return SQLITE_OK;
}

/* ---- the runner's ---- */
enum store_rc sq_keys(struct store *st, const char *const *key, size_t n, struct key_row *out, uint8_t *got) {
  struct sq *s = sq_of(st);
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_KEY);
  if (!q) return sq_rc(&s->run, sqlite3_errcode(s->run.db));
  for (size_t i = 0; i < n; i++) {
    sq_text(q, 1, key[i]);
    got[i] = sqlite3_step(q) == SQLITE_ROW;
    int bad = got[i] ? get_key(q, &out[i]) : SQLITE_OK, rc = sqlite3_reset(q);
    if (rc != SQLITE_OK || bad != SQLITE_OK) return sq_rc(&s->run, rc != SQLITE_OK ? rc : bad);
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

/* ---- the definition writer's ---- */
enum wr_rc sq_def_key_free(struct sq *s, const struct key_write *key, struct wr_err *err) {
  if (!key) return WR_OK;
  sqlite3_stmt *q = sq_stmt(&s->def, DEF_KEY);
  if (!q) return sq_err(&s->def, SQLITE_ERROR, err);
  sq_text(q, 1, key->key);
  bool there = sqlite3_step(q) == SQLITE_ROW;
  int rc = sqlite3_reset(q);
  if (rc != SQLITE_OK) return sq_err(&s->def, rc, err);
  return there ? wr_err_set(err, WR_KEY_REUSED, NULL) : WR_OK;
}

int sq_def_key_put(struct sq *s, struct key_write *key, int64_t id, int64_t version) {
  if (!key) return SQLITE_OK;
  key->row.first_id = id;
  key->row.n = (uint32_t)version;
  int rc = put_key(sq_stmt(&s->def, DEF_KEY_INSERT), key);
  return rc == SQLITE_OK ? delete_old(sq_stmt(&s->def, DEF_KEYS_OLD), key->row.create_us, 1) : rc;
}

/* ---- a reader's ---- */
enum wr_rc sq_reader_key(struct reader *rd, const char *key, struct key_row *out, struct wr_err *err) {
  struct sq_reader *r = sq_reader_of(rd);
  sqlite3_stmt *q = sq_rd(r, RD_KEY, err);
  if (!q) return r->why;
  sq_text(q, 1, key);
  bool there = sqlite3_step(q) == SQLITE_ROW;
  int bad = there ? get_key(q, out) : SQLITE_OK;
  enum wr_rc rc = sq_rd_end(r, q, err);
  if (rc == WR_OK && bad != SQLITE_OK) rc = sq_err(&r->c, bad, err);
  if (rc == WR_OK && !there) rc = wr_err_set(err, WR_NOT_FOUND, NULL);
  return rc;
}
