/* The runner's transactions: begin, a batch (its rows: sqlite_rows.c), the receipt, commit, and what to do when the answer of a
 * commit is lost. The runner's thread and connection. A transaction is made while `turn` is held, so no statement waits for a
 * lock.
 *
 * What never happens: half a batch; an id that comes twice, whatever was rolled back; a batch of a node that has left. */
#include "migrate.h"
#include "sqlite_priv.h"
#include <stdio.h>
#include <string.h>
#include "clock.h"
#include "log.h"
#include "sqlite_run.h"
#include "text.h"

const char *const sq_run_sql[] = {
#define X(n, s) [n] = s,
  RUN_STMTS(X)
#undef X
};
const size_t sq_run_sql_n = RUN__N;

/* ---- transactions ---- */
enum store_rc sq_fail(struct sq *s, int rc) { return sq_rc(&s->run, rc == SQLITE_OK ? sqlite3_errcode(s->run.db) : rc); }

int sq_run_id(struct sq *s, int stmt, int64_t id) {
  sqlite3_stmt *w = sq_stmt(&s->run, (size_t)stmt);
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, id);
  return sq_run(w);
}

static enum store_rc gone(struct sq *s) {
  snprintf(s->base.why, sizeof s->base.why, "%.140s, or a file beside it, was removed, replaced or cut.", s->path);
  return STORE_DOWN;
}

static enum store_rc txn_begin(struct sq *s) {
  if (s->in_tx) return STORE_OK;
  arena_reset(&s->texts);
  if (!sq_files_there(s)) return gone(s);
  sq_turn_lock(&s->turn);
  int rc = s->run.db ? SQLITE_OK : sq_open_run(s);
  if (rc == SQLITE_OK) rc = sq_run(sq_stmt(&s->run, RUN_BEGIN));
  s->in_tx = rc == SQLITE_OK;
  memcpy(s->sent_id, s->saved_id, sizeof s->sent_id);
  if (s->in_tx) return STORE_OK;
  sq_turn_unlock(&s->turn);
  return sq_fail(s, rc);
}

static void end(struct sq *s) {
  s->in_tx = false;
  sq_turn_unlock(&s->turn);
  arena_reset(&s->texts);
}

void sq_rollback(struct store *st) {
  struct sq *s = sq_of(st);
  if (!s->in_tx) return;
  /* SQLite may have rolled back already; if it cannot, the connection is of no use. */
  if (!sqlite3_get_autocommit(s->run.db) && sq_run(sq_stmt(&s->run, RUN_ROLLBACK)) != SQLITE_OK &&
      !sqlite3_get_autocommit(s->run.db))
    sq_conn_close(&s->run);
  end(s);
}

enum store_rc sq_begin(struct store *st, int64_t *defs) {
  struct sq *s = sq_of(st);
  enum store_rc rc = txn_begin(s);
  if (rc == STORE_OK) *defs = s->defs;
  return rc;
}

enum store_rc sq_commit(struct store *st) {
  struct sq *s = sq_of(st);
  wr_assert(s->in_tx);
  int rc = sq_run(sq_stmt(&s->run, RUN_COMMIT));
  if (rc == SQLITE_OK) {
    memcpy(s->saved_id, s->sent_id, sizeof s->saved_id);
    end(s);
    if (sq_files_there(s)) return STORE_OK;
    (void)gone(s);
    return STORE_UNKNOWN; /* it stands in a file that nobody will open again */
  }
  enum store_rc out = sq_rc(&s->run, rc);
  if (out == STORE_DOWN) { /* the commit record may stand in the WAL, unsynced: only a new transaction settles it */
    sq_conn_close(&s->run);
    end(s);
    return STORE_UNKNOWN;
  }
  sq_rollback(st);
  return out;
}

/* Writing to the own row overwrites whatever a failed commit left behind in the WAL: after this commit the answer is final. */
enum store_rc sq_resolve(struct store *st, int64_t batch_id, bool *committed) {
  struct sq *s = sq_of(st);
  enum store_rc rc = txn_begin(s);
  if (rc) return STORE_RETRY;
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_RECEIPT), *w = sq_stmt(&s->run, RUN_SETTLE);
  int sql = q && w ? SQLITE_OK : SQLITE_ERROR;
  if (sql == SQLITE_OK) {
    sq_int(q, 1, s->me);
    *committed = sqlite3_step(q) == SQLITE_ROW && sq_col(q, 0) == batch_id;
    sql = sqlite3_reset(q);
    sq_int(w, 1, s->me);
  }
  if (sql == SQLITE_OK) sql = sq_run(w);
  if (sql == SQLITE_OK) sql = sq_run(sq_stmt(&s->run, RUN_COMMIT));
  if (sql == SQLITE_OK) end(s);
  else sq_rollback(st);
  return sql == SQLITE_OK ? STORE_OK : STORE_RETRY;
}

/* ---- ids ---- */
/* Only the definition writer gives ids of definitions, under a lock of its own. */
static bool runners(int kind) {
  return kind == ID_FI || kind == ID_NI || kind == ID_TI || kind == ID_INCARNATION || kind == ID_JOB;
}

enum store_rc sq_ids(struct store *st, enum id_kind kind, uint32_t n, int64_t *first) {
  struct sq *s = sq_of(st);
  if (!runners((int)kind)) return STORE_BAD;
  if (s->next_id[kind] > WR_ID_MAX - (int64_t)n)
    return snprintf(s->base.why, sizeof s->base.why, STORE_NO_IDS, sq_id_name[kind]), STORE_BAD;
  *first = s->next_id[kind];
  s->next_id[kind] += n;
  return STORE_OK;
}

static int put_ids(struct sq *s) {
  int rc = SQLITE_OK;
  for (int k = 0; k < ID__N && rc == SQLITE_OK; k++) {
    if (!runners(k) || s->saved_id[k] == s->next_id[k]) continue;
    sqlite3_stmt *w = sq_stmt(&s->run, RUN_IDS);
    if (!w) return SQLITE_ERROR;
    sq_text(w, 1, sq_id_name[k]);
    sq_int(w, 2, s->sent_id[k] = s->next_id[k]);
    rc = sq_run(w);
  }
  return rc;
}

/* ---- a batch ---- */
/* A node that has left, or never joined, writes nothing. */
static enum store_rc fence(struct sq *s, int64_t batch_id) {
  sqlite3_stmt *w = sq_stmt(&s->run, RUN_FENCE);
  if (!w) return sq_fail(s, SQLITE_ERROR);
  sq_int(w, 1, s->me);
  sq_int(w, 2, batch_id);
  int rc = sq_run(w);
  if (rc != SQLITE_OK) return sq_fail(s, rc);
  return sqlite3_changes(s->run.db) == 1 ? STORE_OK : STORE_FENCED;
}

static enum store_rc put_batch(struct sq *s, struct batch *b) {
  enum store_rc rc = sq_put_keys(s, b), stale = STORE_OK;
  if (rc == STORE_OK) rc = sq_put_jobs(s, b);
  for (size_t i = 0; i < b->n_flow && rc == STORE_OK; i++) { /* goes on, so that all stale flows are told at once */
    rc = sq_put_flow(s, &b->flow[i], b->id);
    if (rc == STORE_STALE) stale = rc, rc = STORE_OK;
  }
  if (rc == STORE_OK) rc = stale;
  for (size_t i = 0; i < b->n_node && rc == STORE_OK; i++) rc = sq_put_node(s, &b->node[i]);
  for (size_t i = 0; i < b->n_task && rc == STORE_OK; i++) {
    rc = sq_put_task(s, &b->task[i]);
    if (rc == STORE_STALE) stale = rc, rc = STORE_OK;
  }
  if (rc == STORE_OK) rc = stale;
  for (size_t i = 0; i < b->n_attempt && rc == STORE_OK; i++) rc = sq_put_attempt(s, &b->attempt[i]);
  for (size_t i = 0; i < b->n_said && rc == STORE_OK; i++) rc = sq_put_said(s, &b->said[i]);
  if (rc == STORE_OK) rc = sq_put_gone(s, b);
  if (rc == STORE_OK) rc = sq_put_async(s, b);
  if (rc == STORE_OK) rc = sq_put_trees(s, b);
  if (rc == STORE_OK) rc = sq_put_whose(s, b);
  if (rc == STORE_OK) rc = sq_put_rates(s, b);
  if (rc != STORE_OK) return rc;
  int sql = put_ids(s);
  return sql == SQLITE_OK ? fence(s, b->id) : sq_fail(s, sql);
}

enum store_rc sq_write(struct store *st, struct batch *b) {
  struct sq *s = sq_of(st);
  enum store_rc rc = txn_begin(s);
  if (rc == STORE_OK) rc = put_batch(s, b);
  if (rc != STORE_OK) sq_rollback(st);
  return rc;
}

/* ---- membership: the process lock proves that every former member is dead ---- */
/* The clock starts at the newest time that is stored, or at the wall clock when that is later, and goes on with the boot clock.
 * Few rows may hold the newest time: the newest row of each table, the live rows, and the stop of the former server. */
static int64_t start_clock(struct sq *s) {
  int64_t boot = clock_boot_us(), us = clock_wall_us();
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_NEWEST);
  if (q && sqlite3_step(q) == SQLITE_ROW && sq_col(q, 0) > us) {
    log_warn("clock.behind", L_INT("by_us", sq_col(q, 0) - us), L_STR("effect", "times go on from the newest one stored"));
    us = sq_col(q, 0);
  }
  if (q) sqlite3_reset(q);
  shared_clock_read(&s->base.clock, us, boot, boot);
  return us;
}

static int join_rows(struct sq *s, const struct node_info *info, int64_t me) {
  sqlite3_stmt *dead = sq_stmt(&s->run, RUN_NODES_DEAD), *old = sq_stmt(&s->run, RUN_NODES_OLD), *w = sq_stmt(&s->run, RUN_JOIN);
  if (!dead || !old || !w) return SQLITE_ERROR;
  int64_t now = start_clock(s);
  sq_int(dead, 1, now);
  int rc = sq_run(dead);
  sq_int(old, 1, now - LIMIT_MEMBER_AGE_US);
  sq_int(old, 2, me - LIMIT_MEMBERS);
  if (rc == SQLITE_OK) rc = sq_run(old);
  sq_int(w, 1, me);
  sq_text(w, 2, info->host ? info->host : "");
  sq_int(w, 3, info->pid);
  sq_int(w, 4, info->slots);
  sq_text(w, 5, info->roles ? info->roles : "");
  sq_int(w, 6, now);
  sq_text(w, 7, info->types ? info->types : "");
  sq_text(w, 8, info->users ? info->users : "");
  sq_int(w, 9, schema_newest(&schema_sqlite));
  sq_text(w, 10, info->labels ? info->labels : "");
  sq_text(w, 11, info->version ? info->version : "");
  sq_int(w, 12, info->drain_at_us);
  sq_int(w, 13, info->drain_stop_us);
  if (rc == SQLITE_OK) rc = sq_run(w);
  return rc == SQLITE_OK ? put_ids(s) : rc;
}

enum store_rc sq_join(struct store *st, const struct node_info *info, int64_t *incarnation) {
  struct sq *s = sq_of(st);
  int64_t me;
  enum store_rc rc = sq_ids(st, ID_INCARNATION, 1, &me);
  if (rc == STORE_OK) rc = txn_begin(s);
  if (rc != STORE_OK) return rc;
  int sql = join_rows(s, info, me);
  if (sql != SQLITE_OK) {
    rc = sq_fail(s, sql);
    sq_rollback(st);
    return rc;
  }
  rc = sq_commit(st);
  if (rc == STORE_UNKNOWN) return STORE_DOWN; /* a member that nobody speaks for: the next node marks it DEAD */
  if (rc == STORE_OK) *incarnation = s->me = me;
  return rc;
}

static void bind_told(sqlite3_stmt *w, const char *trouble, const struct member_figures *f) {
  sq_text(w, 3, trouble);
  sq_int(w, 4, f->running);
  sq_int(w, 5, f->slots_used);
  sq_int(w, 6, f->cpu_budget);
  sq_int(w, 7, f->cpu_used);
  sq_int(w, 8, f->load_percent);
  sq_int(w, 9, f->drain_seen_us);
}

/* Changes this node's row, in a transaction of its own. */
static enum store_rc own_row(struct store *st, enum run_stmt what, const char *trouble) {
  struct sq *s = sq_of(st);
  enum store_rc rc = txn_begin(s);
  if (rc != STORE_OK) return rc;
  sqlite3_stmt *w = sq_stmt(&s->run, what);
  int sql = SQLITE_ERROR;
  if (w) {
    sq_int(w, 1, s->me);
    sq_int(w, 2, store_now(&s->base));
    if (trouble) bind_told(w, trouble, &s->base.told);
    sql = sq_run(w);
  }
  if (sql != SQLITE_OK) {
    rc = sq_fail(s, sql);
    sq_rollback(st);
    return rc;
  }
  rc = sq_commit(st);
  return rc == STORE_UNKNOWN ? STORE_DOWN : rc;
}

enum store_rc sq_leave(struct store *st) {
  struct sq *s = sq_of(st);
  enum store_rc rc = s->me ? own_row(st, RUN_LEAVE, NULL) : STORE_OK;
  if (rc == STORE_OK) s->me = 0;
  return rc;
}

/* SQLite has no lease to renew: the write shows that rows can be written. */
enum store_rc sq_renew(struct store *st) { return sq_of(st)->me ? own_row(st, RUN_RENEW, NULL) : STORE_FENCED; }
enum store_rc sq_tell(struct store *st, const char *trouble) {
  return sq_of(st)->me ? own_row(st, RUN_TELL, trouble) : STORE_FENCED;
}

enum store_rc sq_wish(struct store *st, struct drain_wish *out) {
  struct sq *s = sq_of(st);
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_WISH);
  if (!q) return sq_fail(s, SQLITE_ERROR);
  sq_int(q, 1, s->me);
  int sql = sqlite3_step(q);
  if (sql == SQLITE_ROW) *out = (struct drain_wish){sq_col(q, 0), sq_col(q, 1)};
  sqlite3_reset(q);
  return sql == SQLITE_ROW || sql == SQLITE_DONE ? STORE_OK : sq_fail(s, sql);
}

enum store_rc sq_reap(struct store *st, uint32_t *n) {
  (void)st;
  *n = 0;
  return STORE_OK;
}

bool sq_reconciler(struct store *st) {
  (void)st;
  return true;
}
