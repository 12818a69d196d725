/* SQLite: connections, statements, error codes, rows, the fair lock and the ops table. No policy, no thread of its own. */
#include "sqlite_priv.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "log.h"

#define BUSY_MS 2000      /* then it is the caller's to wait: a request has an answer by then */
#define SAY_AGAIN_US 60000000
enum { SQ_WHY = sizeof ((struct store *)0)->why };

/* ---- connections ---- */
static int set_up(struct sq_conn *c, enum sq_open how) {
  sqlite3_extended_result_codes(c->db, 1);
  sqlite3_busy_timeout(c->db, BUSY_MS); /* a file just recovered, a snapshot just taken, or somebody's shell */
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
  *c = (struct sq_conn){.sql = sql, .n = n, .told = c->told};
  int rc = sqlite3_open_v2(path, &c->db, flags, NULL);
  if (rc == SQLITE_OK) rc = set_up(c, how);
  if (rc != SQLITE_OK) {
    sq_conn_close(c);
    return rc;
  }
  c->st = wr_calloc(n + 1, sizeof *c->st);
  return SQLITE_OK;
}

void sq_conn_close(struct sq_conn *c) {
  for (size_t i = 0; c->st && i < c->n; i++) sqlite3_finalize(c->st[i]);
  free(c->st);
  sqlite3_close(c->db);
  *c = (struct sq_conn){.sql = c->sql, .n = c->n, .told = c->told};
}

sqlite3_stmt *sq_stmt(struct sq_conn *c, size_t i) {
  wr_assert(i < c->n);
  if (!c->st[i]) (void)sqlite3_prepare_v3(c->db, c->sql[i], -1, SQLITE_PREPARE_PERSISTENT, &c->st[i], NULL);
  return c->st[i]; /* NULL: sqlite3_errcode() keeps the reason */
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

/* ---- error codes: an error is the data's fault only when it stands here as such ---- */
static const struct { int code; enum store_rc rc; const char *words; } known[] = {  /* words: %s is the file */
  {SQLITE_CONSTRAINT, STORE_BAD, "The database refuses a value."}, {SQLITE_TOOBIG, STORE_BAD, "A value is larger than the database takes."},
  {SQLITE_MISMATCH, STORE_BAD, "The database refuses a value."},
  {SQLITE_BUSY, STORE_RETRY, "Another program holds the lock of %s."}, {SQLITE_LOCKED, STORE_RETRY, "Another program holds the lock of %s."},
  {SQLITE_NOMEM, STORE_RETRY, "There is no memory left."}, {SQLITE_INTERRUPT, STORE_RETRY, "A statement was stopped."},
  {SQLITE_FULL, STORE_NO_SPACE, "There is no space left for %s."},
  {SQLITE_CORRUPT, STORE_DOWN, "%s is damaged. Restore it from a backup."}, {SQLITE_NOTADB, STORE_DOWN, "%s is damaged. Restore it from a backup."},
  {SQLITE_FORMAT, STORE_DOWN, "%s is damaged. Restore it from a backup."}, {SQLITE_READONLY, STORE_DOWN, "%s cannot be written: it is read-only."},
  {SQLITE_PERM, STORE_DOWN, "%s cannot be opened: its mode does not allow it."}, {SQLITE_CANTOPEN, STORE_DOWN, "%s cannot be opened."},
  {SQLITE_IOERR, STORE_DOWN, "%s cannot be read or written: the disk reports an error."}, {SQLITE_PROTOCOL, STORE_RETRY, "Another program holds the lock of %s."},
};
enum { N_KNOWN = sizeof known / sizeof *known };

static size_t find(int rc) {
  size_t i = 0;
  while (i < N_KNOWN && known[i].code != (rc & 0xff)) i++;
  return i;
}

/* The file system is full, in whichever words it says so. */
static bool no_space(const struct sq_conn *c, int rc) {
  int e = c->db ? sqlite3_system_errno(c->db) : 0;
  return (rc & 0xff) == SQLITE_FULL || ((rc & 0xff) == SQLITE_IOERR && (e == ENOSPC || e == EDQUOT || e == EFBIG));
}

bool sq_damaged(int rc) { return (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB || (rc & 0xff) == SQLITE_FORMAT; }

static enum store_rc meaning(const struct sq_conn *c, int rc) {
  size_t i = find(rc);
  if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE) return STORE_OK;
  if (no_space(c, rc)) return STORE_NO_SPACE;
  return i < N_KNOWN ? known[i].rc : STORE_DOWN;
}

static void words(const struct sq_conn *c, int rc, char *out, size_t n) {
  size_t i = find(no_space(c, rc) ? SQLITE_FULL : rc);
  const char *file = c->db ? sqlite3_db_filename(c->db, "main") : NULL, *at = i < N_KNOWN ? strstr(known[i].words, "%s") : NULL;
  if (!file || !*file) file = "The database";
  if (i == N_KNOWN) snprintf(out, n, "%.120s: %.60s (code %d).", file, c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc), rc);
  else if (!at) snprintf(out, n, "%s", known[i].words);
  else snprintf(out, n, "%.*s%.120s%s", (int)(at - known[i].words), known[i].words, file, at + 2);
}

/* A connection that met an error is replaced, and forgets what it said: the same of all together is said once in a while. */
static void complain(struct sq_conn *c, int rc) {
  const char *file = c->db ? sqlite3_db_filename(c->db, "main") : NULL;
  static _Atomic int64_t said_us;
  static _Atomic int said;
  int64_t now = clock_mono_us();
  if (c->said == rc) return;
  c->said = rc;
  if (atomic_exchange(&said, rc) == rc && now - atomic_load(&said_us) < SAY_AGAIN_US) return;
  atomic_store(&said_us, now);
  log_warn("store.sqlite", L_STR("file", file ? file : ""), L_INT("code", rc), L_STR("message", c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc)));
}

enum store_rc sq_rc(struct sq_conn *c, int rc) {
  enum store_rc out = meaning(c, rc);
  if (out == STORE_OK) return out;
  if (c->told) words(c, rc, c->told, SQ_WHY);
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
  words(c, rc, why, sizeof why);
  return wr_err_set(err, WR_DB_UNAVAILABLE, "%s Nothing was stored.", why);
}

/* ---- rows ---- */
const char *sq_col_text(sqlite3_stmt *st, int i, struct arena *a) {
  const char *s = (const char *)sqlite3_column_text(st, i);
  if (!s || !a) return s;
  return arena_memdup0(a, s, (size_t)sqlite3_column_bytes(st, i));
}

void sq_get_flow(sqlite3_stmt *st, struct flow_row *r, struct arena *a) {
  *r = (struct flow_row){
    .fi = sq_col(st, 0), .flow_id = sq_col(st, 1), .flow_version = sq_col(st, 2), .version = sq_col(st, 3),
    .state = (uint8_t)sq_col(st, 4), .wish = (uint8_t)sq_col(st, 5), .run_no = (uint32_t)sq_col(st, 6),
    .live = (uint32_t)sq_col(st, 7), .failed = (uint32_t)sq_col(st, 8), .create_us = sq_col(st, 9), .start_us = sq_col(st, 10),
    .end_us = sq_col(st, 11), .update_us = sq_col(st, 12), .due_us = sq_col(st, 13), .error = sq_col_text(st, 14, a),
    .params = sq_col_text(st, 15, a), .bases = sq_col_text(st, 16, a), .more = sq_col_text(st, 17, a)};
}

void sq_get_node(sqlite3_stmt *st, struct node_row *r, struct arena *a) {
  *r = (struct node_row){
    .ni = sq_col(st, 0), .fi = sq_col(st, 1), .node_id = sq_col(st, 2), .run_no = (uint32_t)sq_col(st, 3),
    .state = (uint8_t)sq_col(st, 4), .ok = (uint32_t)sq_col(st, 5), .fail = (uint32_t)sq_col(st, 6),
    .skip = (uint32_t)sq_col(st, 7), .t_ok = (uint32_t)sq_col(st, 8), .t_bad = (uint32_t)sq_col(st, 9),
    .t_open = (uint32_t)sq_col(st, 10), .create_us = sq_col(st, 11), .start_us = sq_col(st, 12), .end_us = sq_col(st, 13),
    .update_us = sq_col(st, 14), .error = sq_col_text(st, 15, a), .t_canceled = (uint32_t)sq_col(st, 16)};
}

void sq_get_task(sqlite3_stmt *st, struct task_row *r, struct arena *a) {
  *r = (struct task_row){
    .ti = sq_col(st, 0), .ni = sq_col(st, 1), .fi = sq_col(st, 2), .task_id = sq_col(st, 3), .create_us = sq_col(st, 4),
    .update_us = sq_col(st, 5), .end_us = sq_col(st, 6),
    .t = {.state = (uint8_t)sq_col(st, 7), .end_as = (uint8_t)sq_col(st, 8), .losses = (uint8_t)sq_col(st, 9),
          .cancel_requested = (uint8_t)sq_col(st, 10), .epoch = (uint32_t)sq_col(st, 11), .tries = (uint32_t)sq_col(st, 12),
          .owner = sq_col(st, 13), .start_us = sq_col(st, 14), .due_us = sq_col(st, 15), .version = sq_col(st, 16)},
    .error = sq_col_text(st, 17, a), .log = (uint8_t)sq_col(st, 19),
    .exit_code = sqlite3_column_type(st, 20) == SQLITE_NULL ? -1 : (int32_t)sq_col(st, 20), .signal = (int32_t)sq_col(st, 21),
    .utime_us = sq_col(st, 22), .stime_us = sq_col(st, 23), .maxrss_kib = sq_col(st, 24), .log_bytes = sq_col(st, 25),
    .params = sq_col_text(st, 26, a), .log_lost = sq_col(st, 27), .log_lost_why = (uint8_t)sq_col(st, 28)};
  if (sqlite3_column_type(st, 18) == SQLITE_NULL) return;
  const void *p = sqlite3_column_blob(st, 18); /* NULL also for zero bytes */
  r->result_len = (size_t)sqlite3_column_bytes(st, 18);
  r->result = !p ? "" : a ? arena_memdup0(a, p, r->result_len) : p;
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
  .commit = sq_commit, .rollback = sq_rollback, .resolve = sq_resolve, .renew = sq_renew, .tell = sq_tell, .reap = sq_reap,
  .live_tasks = sq_live_tasks, .live_flows = sq_live_flows, .reconciler = sq_reconciler,
  .save_task = sq_save_task, .save_flow = sq_save_flow, .delete_task = sq_delete_task, .delete_flow = sq_delete_flow,
  .reader_get = sq_reader_get, .reader_put = sq_reader_put, .reader_defs_version = sq_reader_defs_version,
  .reader_task = sq_reader_task, .reader_flow = sq_reader_flow, .reader_tasks = sq_reader_tasks,
  .reader_heads = sq_reader_heads, .reader_list_tasks = sq_list_tasks, .reader_list_flows = sq_list_flows,
  .reader_list_flow_ins = sq_list_flow_ins, .reader_flow_ins = sq_reader_flow_ins, .reader_nodes = sq_reader_nodes,
  .reader_node = sq_reader_node, .reader_node_tasks = sq_reader_node_tasks, .reader_task_ins = sq_reader_task_ins,
  .reader_offers = sq_reader_offers, .reader_attempts = sq_reader_attempts, .reader_log_stream = sq_reader_log_stream, .reader_log = sq_reader_log,
  .logs_open = sq_logs_open, .logs_close = sq_logs_close, .logs_write = sq_logs_write,
  .keys = sq_keys, .reader_key = sq_reader_key, .reader_token = sq_reader_token, .claim_token = sq_claim_token,
};
