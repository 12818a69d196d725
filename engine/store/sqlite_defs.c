/* The definition writer: tasks, deletes, and the transactions that sqlite_flow.c uses too. Any thread, one at a time under
 * def_lock; each transaction waits for its turn with the runner. What never happens: a version that comes twice, a delete
 * of what a live instance uses, a change without a new definitions.version. */
#include <stdlib.h>
#include "clock.h"
#include "sqlite_def.h"
#include "text.h"

const char *const sq_def_sql[] = {
#define X(n, s) [n] = s,
  DEF_STMTS(X)
#undef X
};
const size_t sq_def_sql_n = DEF__N;

/* ---- transactions ---- */
enum wr_rc sq_def_begin(struct sq *s, struct wr_err *err) {
  int rc = sq_open_def(s);
  if (rc != SQLITE_OK) return sq_err(&s->def, rc, err);
  sq_turn_lock(&s->turn);
  rc = sq_run(sq_stmt(&s->def, DEF_BEGIN));
  if (rc == SQLITE_OK) return WR_OK;
  sq_turn_unlock(&s->turn);
  return sq_err(&s->def, rc, err);
}

enum wr_rc sq_def_fail(struct sq *s, enum wr_rc rc, int sql, struct wr_err *err) {
  if (sql != SQLITE_OK) rc = sq_err(&s->def, sql, err);
  if (!sqlite3_get_autocommit(s->def.db)) (void)sq_run(sq_stmt(&s->def, DEF_ROLLBACK));
  if (!sqlite3_get_autocommit(s->def.db)) sq_conn_close(&s->def); /* closing rolls back */
  sq_turn_unlock(&s->turn);
  return rc;
}

enum wr_rc sq_def_commit(struct sq *s, struct wr_err *err) {
  int rc = sq_run(sq_stmt(&s->def, DEF_COMMIT));
  if (rc == SQLITE_OK) {
    sq_turn_unlock(&s->turn);
    return sq_files_there(s) ? WR_OK : wr_err_set(err, WR_OUTCOME_UNKNOWN, NULL);
  }
  if (sq_rc(&s->def, rc) != STORE_DOWN) return sq_def_fail(s, WR_OK, rc, err);
  sq_conn_close(&s->def);
  sq_turn_unlock(&s->turn);
  return wr_err_set(err, WR_OUTCOME_UNKNOWN, NULL);
}

enum wr_rc sq_def_publish(struct sq *s, struct wr_err *err) {
  sqlite3_stmt *w = sq_stmt(&s->def, DEF_RAISE);
  if (!w) return sq_def_fail(s, WR_OK, SQLITE_ERROR, err);
  int64_t v = s->defs + 1;
  sq_int(w, 1, v);
  int rc = sq_run(w);
  if (rc != SQLITE_OK) return sq_def_fail(s, WR_OK, rc, err);
  s->defs = v; /* also when the outcome is unknown: too new a number costs one look, too old a one is wrong */
  return sq_def_commit(s, err);
}

int sq_def_ids(struct sq *s, enum id_kind kind, uint32_t n, int64_t *first) {
  sqlite3_stmt *w = sq_stmt(&s->def, DEF_IDS);
  if (!w) return SQLITE_ERROR;
  if (s->next_id[kind] > WR_ID_MAX - (int64_t)n) return SQLITE_TOOBIG;
  *first = s->next_id[kind];
  sq_text(w, 1, sq_id_name[kind]);
  sq_int(w, 2, *first + n);
  return sq_run(w);
}

void sq_def_take(struct sq *s, enum id_kind kind, uint32_t n) { s->next_id[kind] += n; }

enum wr_rc sq_def_known(struct sq *s, enum def_stmt which, int64_t id, int64_t expect, struct sq_known *out, struct wr_err *err) {
  const char *what = which == DEF_TASK ? "task" : "flow";
  sqlite3_stmt *q = sq_stmt(&s->def, which);
  if (!q) return sq_err(&s->def, SQLITE_ERROR, err);
  sq_int(q, 1, id);
  int found = sqlite3_step(q) == SQLITE_ROW;
  if (found) *out = (struct sq_known){sq_col(q, 0), sq_col(q, 1)};
  int rc = sqlite3_reset(q);
  if (rc != SQLITE_OK) return sq_err(&s->def, rc, err);
  if (!found) return wr_err_set(err, WR_NOT_FOUND, "There is no %s %lld.", what, (long long)id);
  if (expect != -1 && expect != out->version)
    return wr_err_set(err, WR_STALE, "The %s has version %lld, not %lld.", what, (long long)out->version, (long long)expect);
  return WR_OK;
}

/* ---- tasks ---- */
static int task_row(struct sq *s, enum def_stmt which, const struct task_def *t, const struct task_def *now) {
  sqlite3_stmt *w = sq_stmt(&s->def, which);
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, now->task_id);
  sq_int(w, 2, now->version);
  sq_text(w, 3, t->name);
  sq_text(w, 4, t->description);
  sq_text(w, 5, t->type);
  sq_text(w, 6, t->config);
  sq_text(w, 7, t->content);
  sq_int(w, 8, now->update_us);
  sq_text(w, 9, t->update_user);
  if (which == DEF_TASK_INSERT) sq_text(w, 10, t->create_user);
  return sq_run(w);
}

/* now: the numbers and times it will have. */
static enum wr_rc task_next(struct sq *s, const struct task_def *t, int64_t expect, struct task_def *now, struct wr_err *err) {
  int64_t us = store_now(&s->base);
  if (!t->task_id) {
    int sql = sq_def_ids(s, ID_TASK, 1, &now->task_id);
    now->version = 1;
    now->create_us = now->update_us = us;
    return sql == SQLITE_OK ? WR_OK : sq_err(&s->def, sql, err);
  }
  struct sq_known old = {0};
  enum wr_rc rc = sq_def_known(s, DEF_TASK, t->task_id, expect, &old, err);
  now->task_id = t->task_id;
  now->version = old.version + 1;
  now->create_us = old.create_us;
  now->update_us = us > old.create_us ? us : old.create_us;
  return rc;
}

static enum wr_rc save_task(struct sq *s, struct task_def *t, int64_t expect, struct key_write *key, struct wr_err *err) {
  struct task_def now = {0};
  enum wr_rc rc = sq_def_begin(s, err);
  if (rc) return rc;
  rc = sq_def_key_free(s, key, err);
  if (!rc) rc = task_next(s, t, expect, &now, err);
  if (rc) return sq_def_fail(s, rc, SQLITE_OK, err);
  int sql = task_row(s, t->task_id ? DEF_TASK_UPDATE : DEF_TASK_INSERT, t, &now);
  if (sql == SQLITE_OK) sql = task_row(s, DEF_TASK_HISTORY, t, &now);
  if (sql == SQLITE_OK) sql = sq_def_key_put(s, key, now.task_id, now.version);
  if (sql != SQLITE_OK) return sq_def_fail(s, WR_OK, sql, err);
  rc = sq_def_publish(s, err);
  /* After an unknown outcome the id may be in use. */
  if (!t->task_id && (!rc || rc == WR_OUTCOME_UNKNOWN)) sq_def_take(s, ID_TASK, 1);
  if (rc) return rc;
  t->task_id = now.task_id;
  t->version = now.version;
  t->create_us = now.create_us;
  t->update_us = now.update_us;
  return WR_OK;
}

enum wr_rc sq_save_task(struct store *st, struct task_def *t, int64_t expect_version, struct key_write *key, struct wr_err *err) {
  struct sq *s = sq_of(st);
  if (!turn_take(&s->def_lock, sq_until(s))) return wr_err_set(err, WR_BUSY, NULL);
  enum wr_rc rc = save_task(s, t, expect_version, key, err);
  turn_give(&s->def_lock);
  return rc;
}

/* ---- deletes: rows stay, instances stay readable ---- */
static int soft_delete(struct sq *s, enum def_stmt which, int64_t id) {
  sqlite3_stmt *w = sq_stmt(&s->def, which);
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, id);
  sq_int(w, 2, store_now(&s->base));
  return sq_run(w);
}

/* ACTIVE when the count of `which` is not zero. */
static enum wr_rc no_live(struct sq *s, enum def_stmt which, int64_t id, struct wr_err *err) {
  sqlite3_stmt *q = sq_stmt(&s->def, which);
  if (!q) return sq_err(&s->def, SQLITE_ERROR, err);
  sq_int(q, 1, id);
  long long n = sqlite3_step(q) == SQLITE_ROW ? sq_col(q, 0) : 0;
  int rc = sqlite3_reset(q);
  if (rc != SQLITE_OK) return sq_err(&s->def, rc, err);
  return n == 0 ? WR_OK : wr_err_set(err, WR_ACTIVE, "It has %lld active run%s. Cancel %s first.", n, n == 1 ? "" : "s",
                                     n == 1 ? "it" : "them");
}

/* IN_USE names up to five flows. */
static enum wr_rc no_users(struct sq *s, int64_t task_id, struct wr_err *err) {
  sqlite3_stmt *q = sq_stmt(&s->def, DEF_TASK_USERS);
  if (!q) return sq_err(&s->def, SQLITE_ERROR, err);
  struct buf b = BUF_INIT;
  int n = 0;
  sq_int(q, 1, task_id);
  for (; sqlite3_step(q) == SQLITE_ROW; n++) {
    if (n < 5) buf_printf(&b, "%s%lld", n ? ", " : "", (long long)sq_col(q, 0));
    else buf_str(&b, " and more");
  }
  int sql = sqlite3_reset(q);
  enum wr_rc rc = WR_OK;
  if (sql != SQLITE_OK) rc = sq_err(&s->def, sql, err);
  else if (n) rc = wr_err_set(err, WR_IN_USE, "Task %lld is used by flow%s %s.", (long long)task_id, n == 1 ? "" : "s", b.data);
  buf_done(&b);
  return rc;
}

static enum wr_rc delete_task(struct sq *s, int64_t id, struct wr_err *err) {
  struct sq_known old;
  enum wr_rc rc = sq_def_begin(s, err);
  if (rc) return rc;
  rc = sq_def_known(s, DEF_TASK, id, -1, &old, err);
  if (!rc) rc = no_users(s, id, err);
  if (!rc) rc = no_live(s, DEF_TASK_LIVE, id, err);
  int sql = rc ? SQLITE_OK : soft_delete(s, DEF_TASK_DELETE, id);
  return rc || sql != SQLITE_OK ? sq_def_fail(s, rc, sql, err) : sq_def_publish(s, err);
}

static enum wr_rc delete_flow(struct sq *s, int64_t id, struct wr_err *err) {
  struct sq_known old;
  enum wr_rc rc = sq_def_begin(s, err);
  if (rc) return rc;
  rc = sq_def_known(s, DEF_FLOW, id, -1, &old, err);
  if (!rc) rc = no_live(s, DEF_FLOW_LIVE, id, err);
  int sql = rc ? SQLITE_OK : soft_delete(s, DEF_FLOW_DELETE, id);
  return rc || sql != SQLITE_OK ? sq_def_fail(s, rc, sql, err) : sq_def_publish(s, err);
}

enum wr_rc sq_delete_task(struct store *st, int64_t task_id, struct wr_err *err) {
  struct sq *s = sq_of(st);
  if (!turn_take(&s->def_lock, sq_until(s))) return wr_err_set(err, WR_BUSY, NULL);
  enum wr_rc rc = delete_task(s, task_id, err);
  turn_give(&s->def_lock);
  return rc;
}

enum wr_rc sq_delete_flow(struct store *st, int64_t flow_id, struct wr_err *err) {
  struct sq *s = sq_of(st);
  if (!turn_take(&s->def_lock, sq_until(s))) return wr_err_set(err, WR_BUSY, NULL);
  enum wr_rc rc = delete_flow(s, flow_id, err);
  turn_give(&s->def_lock);
  return rc;
}
