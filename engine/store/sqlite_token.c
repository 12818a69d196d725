/* The token of the installation on SQLite: claimed by the definition writer (under def_lock), changed by `weir token` in a
 * process of its own, which waits for the write lock of SQLite like any writer. What never happens: a look that makes a
 * database. */
#include "migrate.h"
#include "sqlite_priv.h"

enum wr_rc sq_claim_token(struct store *st, struct store_token *t, struct wr_err *err) {
  enum wr_rc rc = sq_def_ops.enter(st, err);
  if (rc) return rc;
  rc = sq_def_ops.begin(st, err);
  if (!rc) {
    int e = token_row_write(st->def, Q_TOKEN_CLAIM, t);
    rc = e ? sq_err(&sq_of(st)->def, e, err) : token_row_read(st->def, t, err);
    rc = sq_def_ops.end(st, rc, err);
  }
  sq_def_ops.leave(st);
  return rc;
}

/* ---- from outside ---- */
#define TOKEN_SINCE 2  /* the first schema that has a place for it */

/* Notes the schema of the database, which is told before the schema of its log. */
static void note_schema(void *ctx, const struct migrate_told *t) {
  int64_t *schema = ctx;
  if (*schema < 0) *schema = t->from;
}

/* Checks that there is a schema that we may use, and a place for the token in it. *place false: the database is older, and is
 * left as it is. */
static enum wr_rc look_for_place(const char *path, const struct store_token *set, bool *place, struct wr_err *err) {
  int64_t schema = -1;
  const struct store_opts o = {.url = path};
  enum wr_rc rc = sq_look_at_schema(path, &(struct migrate_watch){.how = MIGRATE_LOOK, .tell = note_schema, .ctx = &schema},
                                    false, err);
  *place = schema >= TOKEN_SINCE;
  if (!rc && schema == 0) rc = wr_err_set(err, WR_NOT_FOUND, "There is no database in %.160s.", path);
  if (rc || *place || !set) return rc;
  *place = true;
  return sqlite_store_migrate(&o, path, &(struct migrate_watch){.how = MIGRATE_APPLY}, err);
}

enum wr_rc sqlite_token_at(const char *path, const struct store_token *set, struct store_token *was, struct wr_err *err) {
  struct sq_conn c = {.base.ops = &sq_db_ops};
  bool place;
  *was = (struct store_token){0};
  enum wr_rc rc = look_for_place(path, set, &place, err);
  if (rc || !place) return rc;
  int e = sq_conn_open(&c, path, SQ_WRITE, sq_sql, sq_sql_n);
  if (e != SQLITE_OK) return sq_start_err(&c, path, e, err);
  rc = token_row_read(&c.base, was, err);
  if (!rc && set) {
    e = token_row_write(&c.base, Q_TOKEN_SET, set);
    /* After an I/O error its commit may stand in the WAL. */
    rc = (e & 0xff) == SQLITE_IOERR ? wr_err_set(err, WR_OUTCOME_UNKNOWN, NULL) : sq_err(&c, e, err);
  }
  sq_conn_close(&c);
  return rc;
}
