/* Jobs in the runner's transaction: read by number or key, written. There is no rival, so nothing is locked: every writer waits
 * for `turn`. The runner's thread and connection. */
#include "sqlite_priv.h"
#include "sqlite_run.h"

static enum store_rc failed(struct sq *s) { return sq_rc(&s->run, sqlite3_errcode(s->run.db)); }

enum store_rc sq_job_lock(struct store *st, const int64_t *id, size_t n, struct job_row *out, uint8_t *got) {
  struct sq *s = sq_of(st);
  struct cell c[CELLS_MAX];
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_JOB);
  if (!q) return failed(s);
  for (size_t i = 0; i < n; i++) {
    sq_int(q, 1, id[i]);
    got[i] = sqlite3_step(q) == SQLITE_ROW;
    if (got[i]) sq_cells(q, c);
    if (got[i]) ins_row_job(c, &out[i], &s->texts);
    int rc = sqlite3_reset(q);
    if (rc != SQLITE_OK) return sq_rc(&s->run, rc);
  }
  return STORE_OK;
}

enum store_rc sq_job_find(struct store *st, const char *key, int64_t *id, uint8_t hash[KEY_HASH_BYTES]) {
  struct sq *s = sq_of(st);
  struct cell c[CELLS_MAX];
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_JOB_KEY);
  *id = 0;
  if (!q) return failed(s);
  sq_text(q, 1, key);
  bool whole = true;
  if (sqlite3_step(q) == SQLITE_ROW) {
    sq_cells(q, c);
    *id = cell_i64(&c[0]);
    whole = ins_row_hash(&c[1], hash);
  }
  int rc = sqlite3_reset(q);
  return sq_rc(&s->run, rc == SQLITE_OK && !whole ? SQLITE_CORRUPT : rc);
}

/* The numbers that a statement of two or three values finds. */
static enum store_rc numbers(struct sq *s, sqlite3_stmt *q, int64_t *out, size_t n, size_t *n_out) {
  *n_out = 0;
  if (!q) return failed(s);
  while (*n_out < n && sqlite3_step(q) == SQLITE_ROW) out[(*n_out)++] = sq_col(q, 0);
  return sq_rc(&s->run, sqlite3_reset(q));
}

enum store_rc sq_job_tasks(struct store *st, int64_t id, int64_t after_ti, int64_t *ti, size_t n, size_t *n_out) {
  struct sq *s = sq_of(st);
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_JOB_TASKS);
  if (q) sq_int(q, 1, id), sq_int(q, 2, after_ti), sq_int(q, 3, (int64_t)n);
  return numbers(s, q, ti, n, n_out);
}

enum store_rc sq_job_keys(struct store *st, const char *from, const char *to, int64_t *id, size_t n, size_t *n_out) {
  struct sq *s = sq_of(st);
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_JOB_KEYS);
  if (q) sq_text(q, 1, from), sq_text(q, 2, to), sq_int(q, 3, (int64_t)n);
  return numbers(s, q, id, n, n_out);
}

enum store_rc sq_live_jobs(struct store *st, int64_t after_id, int64_t *id, size_t n, size_t *n_out) {
  struct sq *s = sq_of(st);
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_JOB_PASSES);
  if (q) sq_int(q, 1, after_id), sq_int(q, 2, (int64_t)n);
  return numbers(s, q, id, n, n_out);
}

/* ---- writing ---- */
static void bind_job(sqlite3_stmt *w, const struct job_row *r, int64_t version) {
  sq_int(w, 1, r->job_id);
  sq_int(w, 2, version);
  sq_int(w, 3, r->j.state);
  sq_int(w, 4, r->j.wish);
  sq_int(w, 5, r->j.how);
  sq_int(w, 6, r->j.closed);
  sq_int(w, 7, r->j.ignore);
  if (r->j.pass) sq_int(w, 8, r->j.pass_at);
  else sqlite3_bind_null(w, 8);
  for (int i = 0; i < JOB__CLASSES; i++) sq_int(w, 9 + i, r->j.count[i]);
  sq_int(w, 17, r->j.executions);
  sq_int(w, 18, r->j.timeouts);
  sq_int(w, 19, r->j.losses);
  sq_int0(w, 20, r->end_us);
  sq_int(w, 21, r->update_us);
  sq_int(w, 22, r->j.gone_tasks);
  sq_int(w, 23, r->j.gone_attempts);
}

static int put_one(struct sq *s, const struct job_write *j, int64_t version) {
  const struct job_row *r = &j->row;
  if (j->gone) return sq_run_id(s, RUN_JOB_DELETE, r->job_id);
  sqlite3_stmt *w = sq_stmt(&s->run, j->op == ROW_INSERT ? RUN_JOB_INSERT : RUN_JOB_UPDATE);
  if (!w) return SQLITE_ERROR;
  bind_job(w, r, version);
  if (j->op == ROW_UPDATE) return sq_run(w);
  sq_int(w, 24, r->create_us);
  sqlite3_bind_blob(w, 25, r->hash, KEY_HASH_BYTES, SQLITE_STATIC);
  sq_text(w, 26, r->key);
  sq_text(w, 27, r->name);
  return sq_run(w);
}

enum store_rc sq_put_jobs(struct sq *s, const struct batch *b) {
  for (size_t i = 0; i < b->n_job; i++) {
    int rc = put_one(s, &b->job[i], b->id);
    if (rc == SQLITE_CONSTRAINT_UNIQUE) return STORE_RETRY; /* the key is there */
    if (rc != SQLITE_OK) return sq_rc(&s->run, rc);
    if (sqlite3_changes(s->run.db) != 1) return sq_missing("job", b->job[i].row.job_id);
  }
  return STORE_OK;
}
