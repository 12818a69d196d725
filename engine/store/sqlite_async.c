/* Async rows of the runner, inside its transaction: written, deleted with their tasks, read by number or by taskKey. There is
 * no rival between a look at a key and its insert, for every writer waits for `turn`. The runner's thread and connection.
 *
 * Most rows have nothing but a name and a type, and are written by a statement that binds no more. What never happens: a row
 * of a task that is not there; a taskKey that two tasks have. */
#include "sqlite_priv.h"
#include "sqlite_run.h"

/* ---- writing ---- */
/* What both an insert and an update bind. */
static void bind_control(sqlite3_stmt *w, const struct async_row *r) {
  sq_text(w, 5, r->user ? r->user : "");
  sq_text(w, 6, r->group ? r->group : "");
  sq_int(w, 7, r->priority);
  sq_int(w, 8, r->cpu);
  sq_int0(w, 9, r->start_at_us);
  sq_int(w, 10, r->run_no ? r->run_no : 1);
  sq_int(w, 11, r->run_epoch);
}

static void bind_context(sqlite3_stmt *w, const struct async_row *r) {
  if (r->context) sqlite3_bind_text64(w, 12, r->context, r->context_len, SQLITE_STATIC, SQLITE_UTF8);
  else sqlite3_bind_null(w, 12);
  sq_int(w, 13, r->context ? (int64_t)r->context_len : 0);
  sq_int(w, 14, r->context_epoch);
}

static int async_insert(struct sq *s, const struct async_row *r) {
  bool few = async_plain(r);
  sqlite3_stmt *w = sq_stmt(&s->run, few ? RUN_ASYNC_PLAIN : RUN_ASYNC_INSERT);
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, r->ti);
  sq_int(w, 2, r->create_us);
  sq_text(w, 3, r->name);
  sq_text(w, 4, r->type);
  if (few) return sq_run(w);
  bind_control(w, r);
  bind_context(w, r);
  sq_text(w, 15, r->key);
  if (r->key) sqlite3_bind_blob(w, 16, r->hash, KEY_HASH_BYTES, SQLITE_STATIC);
  else sqlite3_bind_null(w, 16);
  sq_text(w, 17, r->config);
  sq_text(w, 18, r->content);
  sq_int0(w, 19, r->job);
  sq_int(w, 20, r->scope);
  sq_int0(w, 21, r->parent);
  sq_int0(w, 22, r->root);
  sq_int(w, 23, r->depth);
  return sq_run(w);
}

/* The list of its job has it. */
static int job_insert(struct sq *s, const struct async_row *r) {
  sqlite3_stmt *w = sq_stmt(&s->run, RUN_JOB_TASK);
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, r->job);
  sq_int(w, 2, r->ti);
  return sq_run(w);
}

static int child_insert(struct sq *s, const struct async_row *r) {
  sqlite3_stmt *w = sq_stmt(&s->run, RUN_CHILD);
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, r->parent);
  sq_int(w, 2, r->ti);
  return sq_run(w);
}

static int async_update(struct sq *s, const struct async_row *r) {
  sqlite3_stmt *w = sq_stmt(&s->run, r->context ? RUN_ASYNC_CONTEXT : RUN_ASYNC_UPDATE);
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, r->ti);
  bind_control(w, r);
  if (r->context) bind_context(w, r);
  return sq_run(w);
}

enum store_rc sq_put_async(struct sq *s, const struct batch *b) {
  for (size_t i = 0; i < b->n_async; i++) {
    const struct async_write *a = &b->async[i];
    int rc = a->op == ROW_INSERT ? async_insert(s, &a->row) : async_update(s, &a->row);
    if (rc == SQLITE_CONSTRAINT_UNIQUE) return STORE_RETRY; /* the taskKey is there */
    if (rc != SQLITE_OK) return sq_rc(&s->run, rc);
    if (sqlite3_changes(s->run.db) != 1) return sq_missing("task_async", a->row.ti);
    if (a->op == ROW_INSERT && a->row.job) rc = job_insert(s, &a->row);
    if (rc == SQLITE_OK && a->op == ROW_INSERT && a->row.parent) rc = child_insert(s, &a->row);
    if (rc != SQLITE_OK) return sq_rc(&s->run, rc);
  }
  return STORE_OK;
}

size_t sq_dropped_take(struct sq *s, int64_t *ti, size_t most) {
  size_t n = 0;
  pthread_mutex_lock(&s->dropped.mu);
  while (n < most && s->dropped.n > 0) ti[n++] = s->dropped.v[--s->dropped.n];
  pthread_mutex_unlock(&s->dropped.mu);
  return n;
}

void sq_dropped_put(struct sq *s, int64_t ti) {
  pthread_mutex_lock(&s->dropped.mu);
  if (s->dropped.n < LIMIT_FORGETS) *WR_PUSH(s->dropped.v, s->dropped.n, s->dropped.cap) = ti;
  pthread_mutex_unlock(&s->dropped.mu);
}

/* Tasks of which nothing is left. A batch that deletes others takes them with it; else the checkpoint thread does. A row that
 * stays all the same is found by the next start. */
static int gone_over(struct sq *s) {
  int64_t ti[64];
  size_t n;
  int rc = SQLITE_OK;
  do {
    n = sq_dropped_take(s, ti, sizeof ti / sizeof *ti);
    for (size_t i = 0; i < n && rc == SQLITE_OK; i++) rc = sq_run_id(s, RUN_GONE_OVER, ti[i]);
  } while (n > 0 && rc == SQLITE_OK);
  return rc;
}

/* The batch has updated the task before, so it is there. Rows of task_async and task_alone may be missing: the task may be
 * final. */
enum store_rc sq_put_gone(struct sq *s, const struct batch *b) {
  static const enum run_stmt part[] = {RUN_GONE_LEFT, RUN_GONE_OF_JOB, RUN_GONE_CHILD, RUN_GONE_TREE, RUN_GONE_ASYNC,
                                       RUN_ALONE_DELETE, RUN_GONE_ATTEMPT, RUN_GONE_TASK};
  int over = b->n_gone > 0 ? gone_over(s) : SQLITE_OK;
  if (over != SQLITE_OK) return sq_rc(&s->run, over);
  for (size_t i = 0; i < b->n_gone; i++) {
    int rc = SQLITE_OK;
    for (size_t k = 0; k < sizeof part / sizeof *part && rc == SQLITE_OK; k++) rc = sq_run_id(s, (int)part[k], b->gone[i]);
    if (rc != SQLITE_OK) return sq_rc(&s->run, rc);
    if (sqlite3_changes(s->run.db) != 1) return sq_missing("task_ins", b->gone[i]);
  }
  return STORE_OK;
}

/* ---- reading ---- */
enum store_rc sq_async(struct store *st, const int64_t *ti, size_t n, struct async_row *out, size_t *n_out) {
  struct sq *s = sq_of(st);
  struct cell c[CELLS_MAX];
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_ASYNC);
  *n_out = 0;
  if (!q) return sq_rc(&s->run, sqlite3_errcode(s->run.db));
  for (size_t i = 0; i < n; i++) {
    sq_int(q, 1, ti[i]);
    if (sqlite3_step(q) == SQLITE_ROW) {
      sq_cells(q, c);
      ins_row_async(c, &out[(*n_out)++], &s->texts);
    }
    int rc = sqlite3_reset(q);
    if (rc != SQLITE_OK) return sq_rc(&s->run, rc);
  }
  return STORE_OK;
}

enum store_rc sq_async_keys(struct store *st, const struct key_name *key, size_t n, struct async_key *out, uint8_t *got) {
  struct sq *s = sq_of(st);
  struct cell c[CELLS_MAX];
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_ASYNC_KEY);
  if (!q) return sq_rc(&s->run, sqlite3_errcode(s->run.db));
  for (size_t i = 0; i < n; i++) {
    sq_text(q, 1, key[i].key);
    sq_int(q, 2, key[i].scope);
    got[i] = sqlite3_step(q) == SQLITE_ROW;
    if (got[i]) sq_cells(q, c);
    bool whole = !got[i] || ins_row_hash(&c[1], out[i].hash);
    if (got[i]) out[i].ti = cell_i64(&c[0]);
    int rc = sqlite3_reset(q);
    if (rc != SQLITE_OK || !whole) return sq_rc(&s->run, rc != SQLITE_OK ? rc : SQLITE_CORRUPT);
  }
  return STORE_OK;
}
