/* Idempotency keys of readers and of the definition writer; those of the runner are in sqlite_keys.c and mysql_keys.c. New keys
 * delete old ones, twice as many at a time, so the table stays bounded without a timer.
 * What never happens: a change of a key that is there. */
#include "ins_rows.h"
#include "wr_limits.h"
#include "sql.h"

bool key_row_of(const struct cell *c, struct key_row *r) {
  *r = (struct key_row){.kind = cell_u8(&c[1]), .first_id = cell_i64(&c[2]), .n = cell_u32(&c[3]), .create_us = cell_us(&c[4])};
  return ins_row_hash(&c[0], r->hash);
}

static enum wr_rc key_read(struct db *db, const char *key, struct key_row *out, bool *there, struct wr_err *err) {
  struct cursor c;
  db_select(db, &c, Q_KEY, ARGS(arg_text(key)));
  *there = cursor_next(&c);
  bool whole = !*there || key_row_of(c.cell, out);
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  return rc || whole ? rc : wr_err_set(err, WR_INTERNAL, "A stored idempotency key is not whole.");
}

enum wr_rc reader_key(struct reader *r, const char *key, struct key_row *out, struct wr_err *err) {
  bool there;
  enum wr_rc rc = key_read(r->db, key, out, &there, err);
  return rc || there ? rc : wr_err_set(err, WR_NOT_FOUND, NULL);
}

enum wr_rc def_key_free(struct store *s, const struct key_write *key, struct wr_err *err) {
  struct key_row row;
  bool there = false;
  enum wr_rc rc = key ? key_read(s->def, key->key, &row, &there, err) : WR_OK;
  return rc || !there ? rc : wr_err_set(err, WR_KEY_REUSED, NULL);
}

enum wr_rc def_key_put(struct store *s, struct key_write *key, int64_t id, int64_t version, struct wr_err *err) {
  if (!key) return WR_OK;
  struct key_row *r = &key->row;
  r->first_id = id;
  r->n = (uint32_t)version;
  const struct arg arg[] = {arg_text(key->key), arg_bytes(r->hash, KEY_HASH_BYTES), arg_i(r->kind), arg_i(id), arg_i(version),
                            arg_us(r->create_us)};
  int e = s->def->ops->run(s->def, Q_KEY_INSERT, arg, sizeof arg / sizeof *arg);
  if (e == s->def->ops->duplicate) return wr_err_set(err, WR_KEY_REUSED, NULL);
  if (e) return s->def->ops->err(s->def, e, err);
  return db_run(s->def, Q_KEYS_OLD, ARGS(arg_us(r->create_us - LIMIT_KEY_AGE_US), arg_i(2)), err);
}
