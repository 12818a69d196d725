/* The seam (cursor.h) on SQLite: statements of sq_sql, prepared when first used and kept as long as the connection. The thread
 * that has the connection; several cursors of different statements may be open at once. */
#include "sqlite_priv.h"
#include "sqlite_own.h"

const char *const sq_sql[] = {
  QUERIES(QUERY_TEXT, IN_SQ)
  SQ_OWN_READ(QUERY_TEXT)
  SQ_OWN_DEF(QUERY_TEXT)
};
const size_t sq_sql_n = sizeof sq_sql / sizeof *sq_sql;
_Static_assert(sizeof sq_sql / sizeof *sq_sql == OWN__END, "the names and the texts are of one list");

static struct sq_conn *conn_of(struct db *db) { return (struct sq_conn *)db; }

/* NULL: *e says why. */
static sqlite3_stmt *ready(struct db *db, size_t q, int *e) {
  struct sq_conn *c = conn_of(db);
  *e = !c->db && c->late ? sq_conn_open(c, c->late, SQ_READ, sq_sql, sq_sql_n) : SQLITE_OK;
  sqlite3_stmt *st = *e == SQLITE_OK ? sq_stmt(c, q) : NULL;
  if (!st && *e == SQLITE_OK) *e = sqlite3_errcode(c->db);
  if (!st) c->failed = true;
  return st;
}

/* A statement may name fewer values than are given: the rest is for other statements of the same kind. */
static void bind(sqlite3_stmt *st, const struct arg *arg, size_t n) {
  int named = sqlite3_bind_parameter_count(st);
  for (int i = 0; i < named && (size_t)i < n; i++) {
    const struct arg *a = &arg[i];
    if (a->kind == 'i' || a->kind == 'd') sqlite3_bind_int64(st, i + 1, a->i);
    else if (a->kind == 't') sqlite3_bind_text64(st, i + 1, a->s, a->n, SQLITE_STATIC, SQLITE_UTF8);
    else if (a->kind == 'b') sqlite3_bind_blob64(st, i + 1, a->s, a->n, SQLITE_STATIC);
    else sqlite3_bind_null(st, i + 1);
  }
}

static void select_rows(struct db *db, struct cursor *c, enum query q, const struct arg *arg, size_t n) {
  c->db = db;
  c->id = NULL;
  c->st = ready(db, q, &c->err);
  if (c->st) bind(c->st, arg, n);
}

static void select_ids(struct db *db, struct cursor *c, enum query q, const int64_t *id, size_t n) {
  c->db = db;
  c->id = id;
  c->n_id = n;
  c->st = ready(db, q, &c->err);
}

/* One id after the other; each has one row at most, so a row is the last of its id. */
static bool next_of_ids(struct cursor *c) {
  for (; c->n_id; c->n_id--) {
    if ((c->err = sqlite3_reset(c->st))) break;
    sq_int(c->st, 1, *c->id++);
    if (sqlite3_step(c->st) != SQLITE_ROW) continue;
    c->n_id--;
    return true;
  }
  if (!c->err) c->err = sqlite3_reset(c->st);
  c->st = NULL;
  return false;
}

static bool next_row(struct cursor *c) {
  if (!c->st || !(c->id ? next_of_ids(c) : sqlite3_step(c->st) == SQLITE_ROW)) return false;
  sq_cells(c->st, c->cell);
  return true;
}

static int end_rows(struct cursor *c) {
  if (c->st) c->err = sqlite3_reset(c->st);
  if (c->err) conn_of(c->db)->failed = true;
  return c->err;
}

static int run(struct db *db, enum query q, const struct arg *arg, size_t n) {
  int e;
  sqlite3_stmt *st = ready(db, q, &e);
  if (!st) return e;
  bind(st, arg, n);
  return sq_run(st);
}

static enum wr_rc error_of(struct db *db, int e, struct wr_err *err) { return sq_err(conn_of(db), e, err); }

static enum wr_rc view(struct db *db, bool on, struct wr_err *err) {
  int e;
  sqlite3_stmt *st = ready(db, on ? OWN_BEGIN : OWN_COMMIT, &e);
  if (st) e = sq_run(st);
  if (e) conn_of(db)->failed = true;
  return sq_err(conn_of(db), e, err);
}

const struct db_ops sq_db_ops = {.select = select_rows, .select_ids = select_ids, .next = next_row, .done = end_rows, .run = run,
                                 .err = error_of, .view = view, .duplicate = SQLITE_CONSTRAINT_PRIMARYKEY};
