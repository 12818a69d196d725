/* The token of the installation: its hash and where it lies. Read by readers, claimed by the definition writer (under def_lock),
 * changed by `weir token` in a process of its own, which waits for the write lock of SQLite like any writer. What never happens:
 * the token itself in a row; a database that is made by looking for one. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "clock.h"
#include "migrate.h"
#include "sqlite_def.h"
#include "sqlite_rd.h"

static void get_token(sqlite3_stmt *q, struct store_token *t) {
  const char *hash = sq_col_text(q, 0, NULL), *host = sq_col_text(q, 1, NULL);
  *t = (struct store_token){0};
  if (hash && strlen(hash) == STORE_TOKEN_CHARS) snprintf(t->hash, sizeof t->hash, "%s", hash);
  if (host) snprintf(t->host, sizeof t->host, "%s", host);
}

static int put_token(sqlite3_stmt *w, const struct store_token *t) {
  if (!w) return SQLITE_ERROR;
  sq_text(w, 1, t->hash);
  sq_text(w, 2, t->host);
  sq_int(w, 3, clock_wall_us());
  return sq_run(w);
}

enum wr_rc sq_reader_token(struct reader *rd, struct store_token *out, struct wr_err *err) {
  struct sq_reader *r = sq_reader_of(rd);
  *out = (struct store_token){0};
  sqlite3_stmt *q = sq_rd(r, RD_TOKEN, err);
  if (!q) return r->why;
  if (sqlite3_step(q) == SQLITE_ROW) get_token(q, out);
  return sq_rd_end(r, q, err);
}

static int look(struct sq_conn *c, size_t stmt, struct store_token *out) {
  sqlite3_stmt *q = sq_stmt(c, stmt);
  *out = (struct store_token){0};
  if (!q) return sqlite3_errcode(c->db);
  if (sqlite3_step(q) == SQLITE_ROW) get_token(q, out);
  return sqlite3_reset(q);
}

enum wr_rc sq_claim_token(struct store *st, struct store_token *t, struct wr_err *err) {
  struct sq *s = sq_of(st);
  if (!turn_take(&s->def_lock, sq_until(s))) return wr_err_set(err, WR_BUSY, NULL);
  enum wr_rc rc = sq_def_begin(s, err);
  if (!rc) {
    int sql = put_token(sq_stmt(&s->def, DEF_TOKEN_CLAIM), t);
    if (sql == SQLITE_OK) sql = look(&s->def, DEF_TOKEN, t);
    rc = sql == SQLITE_OK ? sq_def_commit(s, err) : sq_def_fail(s, WR_OK, sql, err);
  }
  turn_give(&s->def_lock);
  return rc;
}

/* ---- from outside ---- */
#define TOKEN_SINCE 2  /* the first schema that has a place for it */

/* That of the database, which is told before that of its log. */
static void note_schema(void *ctx, const struct migrate_told *t) {
  int64_t *schema = ctx;
  if (*schema < 0) *schema = t->from;
}

/* There is a schema that we may use, and a place in it. *place false: the database is older, and is left as it is. */
static enum wr_rc look_for_place(const char *path, const struct store_token *set, bool *place, struct wr_err *err) {
  int64_t schema = -1;
  const struct store_opts o = {.url = path};
  enum wr_rc rc = sq_look_at_schema(path, &(struct migrate_watch){MIGRATE_LOOK, note_schema, &schema}, err);
  *place = schema >= TOKEN_SINCE;
  if (!rc && schema == 0) rc = wr_err_set(err, WR_NOT_FOUND, "There is no database in %.160s.", path);
  if (rc || *place || !set) return rc;
  *place = true;
  return sqlite_store_migrate(&o, path, &(struct migrate_watch){.how = MIGRATE_APPLY}, err);
}

enum { AT_LOOK, AT_SET, AT__N };
static const char *const at_sql[AT__N] = {[AT_LOOK] = SQ_TOKEN, [AT_SET] = SQ_TOKEN_SET};

enum wr_rc sqlite_token_at(const char *path, const struct store_token *set, struct store_token *was, struct wr_err *err) {
  struct sq_conn c;
  bool place;
  *was = (struct store_token){0};
  enum wr_rc seen = look_for_place(path, set, &place, err);
  if (seen || !place) return seen;
  int rc = sq_conn_open(&c, path, SQ_WRITE, at_sql, AT__N);
  if (rc != SQLITE_OK) return sq_err(&c, rc, err);
  rc = look(&c, AT_LOOK, was);
  bool sent = rc == SQLITE_OK && set;
  if (sent) rc = put_token(sq_stmt(&c, AT_SET), set);
  /* After an I/O error its commit may stand in the WAL. */
  enum wr_rc wr = sent && (rc & 0xff) == SQLITE_IOERR ? wr_err_set(err, WR_OUTCOME_UNKNOWN, NULL) : sq_err(&c, rc, err);
  sq_conn_close(&c);
  return wr;
}
