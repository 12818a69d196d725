/* SQLite: connections, statements, error codes, rows, the fair lock and the ops table. No policy, no thread of its own. */
#include "sqlite_bound.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "log.h"

#define BUSY_MS 2000      /* how long SQLite waits for a lock; a request still has time to be answered then */
#define SAY_AGAIN_US 60000000
enum { SQ_WHY = sizeof ((struct store *)0)->why };

/* ---- connections ---- */
static int set_up(struct sq_conn *c, enum sq_open how) {
  sqlite3_extended_result_codes(c->db, 1);
  sqlite3_busy_timeout(c->db, BUSY_MS); /* a recovery, a snapshot or somebody's shell may hold a lock */
  sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, (int *)NULL);
  sqlite3_db_config(c->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, (int *)NULL);
  int rc = sq_exec(c, "PRAGMA foreign_keys=OFF; PRAGMA cell_size_check=ON; PRAGMA temp_store=MEMORY");
  if (rc == SQLITE_OK && (how == SQ_READ || how == SQ_LOOK)) return sq_exec(c, "PRAGMA query_only=ON");
  if (rc == SQLITE_OK)
    rc = sq_exec(c, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0; "
                    "PRAGMA journal_size_limit=67108864");
  return rc;
}

int sq_conn_open(struct sq_conn *c, const char *path, enum sq_open how, const char *const *sql, size_t n) {
  int flags = SQLITE_OPEN_NOMUTEX | (how == SQ_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE) |
              (how == SQ_CREATE ? SQLITE_OPEN_CREATE : 0);
  *c = (struct sq_conn){.base = c->base, .sql = sql, .n = n, .told = c->told, .late = c->late, .failed = c->failed};
  int rc = sqlite3_open_v2(path, &c->db, flags, NULL);
  if (rc == SQLITE_OK) rc = set_up(c, how);
  if (rc != SQLITE_OK) {
    int cause = c->db ? sqlite3_system_errno(c->db) : 0;
    sq_conn_close(c);
    c->cause = cause;
    return rc;
  }
  c->st = wr_calloc(n + 1, sizeof *c->st);
  return SQLITE_OK;
}

void sq_conn_close(struct sq_conn *c) {
  for (size_t i = 0; c->st && i < c->n; i++) sqlite3_finalize(c->st[i]);
  free(c->st);
  free(c->bound);
  sqlite3_close(c->db);
  *c = (struct sq_conn){.base = c->base, .sql = c->sql, .n = c->n, .told = c->told, .late = c->late, .failed = c->failed};
}

sqlite3_stmt *sq_stmt(struct sq_conn *c, size_t i) {
  wr_assert(i < c->n);
  if (!c->st[i]) (void)sqlite3_prepare_v3(c->db, c->sql[i], -1, SQLITE_PREPARE_PERSISTENT, &c->st[i], NULL);
  return c->st[i]; /* NULL: sqlite3_errcode() keeps the reason */
}

struct sq_bound *sq_bound(struct sq_conn *c, size_t i) {
  sqlite3_stmt *st = sq_stmt(c, i);
  if (!st) return NULL;
  if (!c->bound) c->bound = wr_calloc(c->n, sizeof *c->bound);
  c->bound[i].st = st;
  return &c->bound[i];
}

int sq_run(sqlite3_stmt *st) {
  if (!st) return SQLITE_ERROR;
  sqlite3_step(st);
  return sqlite3_reset(st);
}

int sq_exec(struct sq_conn *c, const char *text) { return sqlite3_exec(c->db, text, NULL, NULL, NULL); }

int64_t sq_number(struct sq_conn *c, const char *sql, int *rc) {
  sqlite3_stmt *st = NULL;
  int64_t v = -1;
  *rc = sqlite3_prepare_v2(c->db, sql, -1, &st, NULL);
  if (*rc == SQLITE_OK && (*rc = sqlite3_step(st)) == SQLITE_ROW) v = sq_col(st, 0);
  sqlite3_finalize(st);
  if (*rc == SQLITE_ROW || *rc == SQLITE_DONE) *rc = SQLITE_OK;
  return v;
}

/* ---- error codes: an error is the data's fault only when this table says STORE_BAD ---- */
#define REFUSED "The database refuses a value."
#define LOCKED "Another program holds the lock of %s."
#define DAMAGED "%s is damaged. Restore it from a backup."
static const struct { int code; enum store_rc rc; const char *words; } known[] = {  /* words: %s is the file */
  {SQLITE_CONSTRAINT, STORE_BAD, REFUSED}, {SQLITE_TOOBIG, STORE_BAD, "A value is larger than the database takes."},
  {SQLITE_MISMATCH, STORE_BAD, REFUSED},
  {SQLITE_BUSY, STORE_RETRY, LOCKED}, {SQLITE_LOCKED, STORE_RETRY, LOCKED},
  {SQLITE_NOMEM, STORE_RETRY, "There is no memory left."}, {SQLITE_INTERRUPT, STORE_RETRY, "A statement was stopped."},
  {SQLITE_FULL, STORE_NO_SPACE, "There is no space left for %s."},
  {SQLITE_CORRUPT, STORE_DOWN, DAMAGED}, {SQLITE_NOTADB, STORE_DOWN, DAMAGED},
  {SQLITE_FORMAT, STORE_DOWN, DAMAGED}, {SQLITE_READONLY, STORE_DOWN, "%s cannot be written: it is read-only."},
  {SQLITE_PERM, STORE_DOWN, "%s cannot be opened: its mode does not allow it."},
  {SQLITE_CANTOPEN, STORE_DOWN, "%s cannot be opened."},
  {SQLITE_IOERR, STORE_DOWN, "%s cannot be read or written: the disk reports an error."},
  {SQLITE_PROTOCOL, STORE_RETRY, LOCKED},
};
enum { N_KNOWN = sizeof known / sizeof *known };

static size_t err_find(int rc) {
  size_t i = 0;
  while (i < N_KNOWN && known[i].code != (rc & 0xff)) i++;
  return i;
}

/* The file system is full; several codes say so. SHMSIZE means that the index of the WAL cannot grow; SQLite keeps no errno of
 * it. */
static bool no_space(const struct sq_conn *c, int rc) {
  int e = c->db ? sqlite3_system_errno(c->db) : c->cause;
  return (rc & 0xff) == SQLITE_FULL || rc == SQLITE_IOERR_SHMSIZE ||
         ((rc & 0xff) == SQLITE_IOERR && (e == ENOSPC || e == EDQUOT || e == EFBIG));
}

bool sq_damaged(int rc) { return (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB || (rc & 0xff) == SQLITE_FORMAT; }

static enum store_rc meaning(const struct sq_conn *c, int rc) {
  size_t i = err_find(rc);
  if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE) return STORE_OK;
  if (no_space(c, rc)) return STORE_NO_SPACE;
  return i < N_KNOWN ? known[i].rc : STORE_DOWN;
}

/* file NULL: the path that the connection has. */
static void words(const struct sq_conn *c, const char *file, int rc, char *out, size_t n) {
  size_t i = err_find(no_space(c, rc) ? SQLITE_FULL : rc);
  const char *at = i < N_KNOWN ? strstr(known[i].words, "%s") : NULL;
  if (!file) file = c->db ? sqlite3_db_filename(c->db, "main") : NULL;
  if (!file || !*file) file = "The database";
  if (i == N_KNOWN) snprintf(out, n, "%.120s: %.60s (code %d).", file, c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc), rc);
  else if (!at) snprintf(out, n, "%s", known[i].words);
  else snprintf(out, n, "%.*s%.120s%s", (int)(at - known[i].words), known[i].words, file, at + 2);
}

/* A connection that met an error is replaced, and the new one does not know what was logged. So the same error is logged once in
 * SAY_AGAIN_US for all connections together. */
static void complain(struct sq_conn *c, int rc) {
  const char *file = c->db ? sqlite3_db_filename(c->db, "main") : NULL;
  static _Atomic int64_t said_us;
  static _Atomic int said;
  int64_t now = clock_mono_us();
  if (c->said == rc) return;
  c->said = rc;
  if (atomic_exchange(&said, rc) == rc && now - atomic_load(&said_us) < SAY_AGAIN_US) return;
  atomic_store(&said_us, now);
  log_warn("store.sqlite", L_STR("file", file ? file : ""), L_INT("code", rc),
           L_STR("message", c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc)));
}

enum store_rc sq_rc(struct sq_conn *c, int rc) {
  enum store_rc out = meaning(c, rc);
  if (out == STORE_OK) return out;
  if (c->told) words(c, NULL, rc, c->told, SQ_WHY);
  if (out == STORE_DOWN) complain(c, rc);
  return out;
}

enum wr_rc sq_err(struct sq_conn *c, int rc, struct wr_err *err) {
  char why[SQ_WHY];
  switch (meaning(c, rc)) {
  case STORE_OK: return WR_OK;
  case STORE_NO_SPACE: return wr_err_set(err, WR_NO_SPACE, "The disk of the database is full.");
  case STORE_RETRY: return wr_err_set(err, WR_BUSY, NULL);
  case STORE_BAD: complain(c, rc); return wr_err_set(err, WR_INTERNAL, NULL);
  case STORE_STALE: case STORE_UNKNOWN: case STORE_FENCED: case STORE_DOWN: default: break;
  }
  complain(c, rc);
  words(c, NULL, rc, why, sizeof why);
  return wr_err_set(err, WR_DB_UNAVAILABLE, "%s Nothing was stored.", why);
}

/* At the start the sentence is for an operator, who has to set something right: it names the file, and has SQLite's own words
 * where we have none. A fault that no waiting mends is refused. */
enum wr_rc sq_start_err(struct sq_conn *c, const char *path, int rc, struct wr_err *err) {
  char why[SQ_WHY];
  enum store_rc means = meaning(c, rc);
  if (means == STORE_OK || means == STORE_NO_SPACE) return sq_err(c, rc, err);
  if (means == STORE_BAD || (rc & 0xff) == SQLITE_ERROR)
    return wr_err_set(err, WR_STORE_REFUSED, "%.100s: the database says: %.120s (code %d).", path,
                      c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc), rc);
  words(c, path, rc, why, sizeof why);
  if (sq_damaged(rc) || (rc & 0xff) == SQLITE_READONLY) return wr_err_set(err, WR_STORE_REFUSED, "%s", why);
  if ((rc & 0xff) == SQLITE_CANTOPEN && c->cause)
    return wr_err_set(err, WR_DB_UNAVAILABLE, "%.120s cannot be opened: %s.", path, strerror(c->cause));
  return wr_err_set(err, WR_DB_UNAVAILABLE, "%s", why);
}

/* ---- rows ---- */
/* Within one thread a value needs no protection, and its kind costs no second call. */
void sq_cells(sqlite3_stmt *st, struct cell *c) {
  int n = sqlite3_data_count(st);
  wr_assert(n <= CELLS_MAX);
  for (int i = 0; i < n; i++, c++) {
    sqlite3_value *v = sqlite3_column_value(st, i);
    switch (sqlite3_value_type(v)) {
    case SQLITE_INTEGER:
      c->kind = CELL_INT, c->i = sqlite3_value_int64(v);
      break;
    case SQLITE_TEXT:
      c->kind = CELL_TEXT, c->s = (const char *)sqlite3_value_text(v), c->n = (size_t)sqlite3_value_bytes(v);
      break;
    case SQLITE_BLOB:
      c->kind = CELL_TEXT, c->s = sqlite3_value_blob(v), c->n = (size_t)sqlite3_value_bytes(v);
      break;
    default:
      c->kind = CELL_NULL;
    }
    if (c->kind == CELL_TEXT && !c->s) c->s = "", c->n = 0; /* a blob of no bytes */
  }
}

/* ---- the fair lock ---- */
void sq_turn_lock(struct sq_turn *t) {
  pthread_mutex_lock(&t->mu);
  uint64_t mine = t->next++;
  while (t->now != mine) pthread_cond_wait(&t->cond, &t->mu);
  pthread_mutex_unlock(&t->mu);
}

void sq_turn_unlock(struct sq_turn *t) {
  pthread_mutex_lock(&t->mu);
  if (++t->now != t->next) pthread_cond_broadcast(&t->cond);
  pthread_mutex_unlock(&t->mu);
}

/* ---- the table ---- */
static bool single(const struct store *s) {
  (void)s;
  return true;
}

const struct store_ops sq_ops = {
  .abi = STORE_ABI, .size = sizeof(struct store_ops),
  .close = sq_close, .single = single, .ids = sq_ids, .join = sq_join, .leave = sq_leave, .begin = sq_begin, .lock = sq_lock,
  .nodes = sq_nodes, .node_range = sq_node_range, .tasks = sq_tasks, .task_range = sq_task_range, .write = sq_write,
  .commit = sq_commit, .rollback = sq_rollback, .resolve = sq_resolve, .renew = sq_renew, .tell = sq_tell,
  .wish = sq_wish, .reap = sq_reap,
  .live_tasks = sq_live_tasks, .live_flows = sq_live_flows, .reconciler = sq_reconciler,
  .save_task = sql_save_task, .save_flow = sq_save_flow, .delete_task = sql_delete_task, .delete_flow = sql_delete_flow,
  .reader_get = sq_reader_get, .reader_put = sq_reader_put,
  .reader_task = sql_reader_task, .reader_flow = sql_reader_flow, .reader_tasks = sql_reader_tasks,
  .reader_heads = sql_reader_heads, .ins_page = sq_ins_page,
  .logs_open = sq_logs_open, .logs_close = sq_logs_close, .logs_write = sq_logs_write,
  .logs_put_contexts = sq_logs_put_contexts, .logs_put_progress = sq_logs_put_progress,
  .logs_drop = sq_logs_drop, .whose = sq_whose, .async = sq_async, .async_keys = sq_async_keys,
  .job_lock = sq_job_lock, .job_find = sq_job_find, .job_tasks = sq_job_tasks, .job_keys = sq_job_keys, .live_jobs = sq_live_jobs,
  .tree = sq_tree, .children = sq_children,
  .queues = sq_queues, .queue_lock = sq_queue_lock, .running = sq_running,
  .keys = sq_keys, .claim_token = sq_claim_token,
};
