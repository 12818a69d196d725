/* The runner's transactions: begin, the rows of a batch, the receipt, commit, and what to do when its answer is lost.
 * The runner's thread and connection. A transaction is made while `turn` is held, so no statement waits for a lock.
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
static enum store_rc fail(struct sq *s, int rc) { return sq_rc(&s->run, rc == SQLITE_OK ? sqlite3_errcode(s->run.db) : rc); }

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
  return fail(s, rc);
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
static bool runners(int kind) { return kind == ID_FI || kind == ID_NI || kind == ID_TI || kind == ID_INCARNATION; }

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

/* ---- flows ---- */
/* A flow starts only in its current version and not when it was deleted. Both change only under `turn`. */
static int guard(struct sq *s, const struct flow_row *r, bool *ok) {
  sqlite3_stmt *q = sq_stmt(&s->run, RUN_GUARD);
  if (!q) return SQLITE_ERROR;
  sq_int(q, 1, r->flow_id);
  sq_int(q, 2, r->flow_version);
  *ok = sqlite3_step(q) == SQLITE_ROW;
  return sqlite3_reset(q);
}

static int flow_insert(struct sq *s, const struct flow_row *r, int64_t version) {
  sqlite3_stmt *w = sq_stmt(&s->run, RUN_FLOW_INSERT);
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, r->fi);
  sq_int(w, 2, version);
  sq_int(w, 3, r->state);
  sq_int(w, 4, r->flow_id);
  sq_int(w, 5, r->flow_version);
  sq_int(w, 6, r->wish);
  sq_int(w, 7, r->run_no);
  sq_int(w, 8, r->live);
  sq_int(w, 9, r->failed);
  sq_int0(w, 10, r->start_us);
  sq_int0(w, 11, r->end_us);
  sq_int0(w, 12, r->due_us);
  sq_int0(w, 13, r->update_us);
  sq_text(w, 14, r->bases ? r->bases : "");
  sq_text(w, 15, r->more);
  sq_text(w, 16, r->error && *r->error ? r->error : NULL);
  sq_text(w, 17, r->params);
  sq_int0(w, 18, r->create_us);
  return sq_run(w);
}

static int flow_update(struct sq *s, const struct flow_write *f, int64_t version, enum run_stmt which) {
  const struct flow_row *r = &f->row;
  sqlite3_stmt *w = sq_stmt(&s->run, which);
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, r->fi);
  sq_int(w, 2, version);
  sq_int(w, 3, r->wish);
  sq_int(w, 4, r->run_no);
  sq_int(w, 5, r->live);
  sq_int(w, 6, r->failed);
  sq_int0(w, 7, r->end_us);
  sq_int0(w, 8, r->update_us);
  sq_int0(w, 9, r->due_us);
  sq_text(w, 10, r->bases);
  sq_text(w, 11, r->more);
  sq_int(w, 12, f->expect);
  sq_int(w, 13, r->state);
  sq_int0(w, 14, r->start_us);
  if (which == RUN_FLOW_FULL) sq_text(w, 15, r->error);
  return sq_run(w);
}

static enum store_rc put_flow(struct sq *s, struct flow_write *f, int64_t version) {
  int rc = SQLITE_OK;
  bool ok = true;
  f->stale = false;
  if (f->op == ROW_INSERT) {
    rc = guard(s, &f->row, &ok);
    if (rc == SQLITE_OK && ok) rc = flow_insert(s, &f->row, version);
  } else {
    /* Most updates leave the state as it is; then the indices are not touched. */
    ok = false;
    if (!flow_final(f->row.state) && !f->row.error) {
      rc = flow_update(s, f, version, RUN_FLOW_SHORT);
      ok = sqlite3_changes(s->run.db) == 1;
    }
    if (rc == SQLITE_OK && !ok) {
      rc = flow_update(s, f, version, RUN_FLOW_FULL);
      ok = sqlite3_changes(s->run.db) == 1;
    }
  }
  if (rc != SQLITE_OK) return fail(s, rc);
  f->stale = !ok;
  return ok ? STORE_OK : STORE_STALE;
}

/* ---- nodes ---- */
static bool node_starts(const struct node_row *r) {
  return !r->fail && !r->skip && !r->t_ok && !r->t_bad && !r->t_canceled && !r->skip_edges && !r->end_us && !r->error;
}

static int node_insert(struct sq *s, const struct node_row *r) {
  bool starts = node_starts(r);
  sqlite3_stmt *w = sq_stmt(&s->run, starts ? RUN_NODE_START : RUN_NODE_INSERT);
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, r->ni);
  sq_int(w, 2, r->state);
  sq_int(w, 3, r->ok);
  sq_int(w, 4, r->t_open);
  sq_int0(w, 5, r->start_us);
  sq_int0(w, 6, r->update_us);
  sq_int(w, 7, r->fi);
  sq_int(w, 8, r->node_id);
  sq_int(w, 9, r->run_no);
  sq_int0(w, 10, r->create_us);
  if (starts) return sq_run(w);
  sq_int(w, 11, r->fail);
  sq_int(w, 12, r->skip);
  sq_int(w, 13, r->t_ok);
  sq_int(w, 14, r->t_bad);
  sq_int(w, 15, r->t_canceled);
  sq_int0(w, 16, r->end_us);
  sq_text(w, 17, r->error);
  sq_int(w, 18, (int64_t)r->skip_edges);
  return sq_run(w);
}

/* "" clears an error text; NULL leaves what is there. */
static bool clears(const char *error) { return error && !*error; }

static bool node_ends_plain(const struct node_row *r) {
  return clears(r->error) && !r->fail && !r->skip && !r->t_bad && !r->t_open && !r->t_canceled && !r->skip_edges;
}

static int node_update(struct sq *s, const struct node_row *r) {
  bool plain = node_ends_plain(r);
  sqlite3_stmt *w = sq_stmt(&s->run, plain ? RUN_NODE_END_PLAIN : RUN_NODE_UPDATE);
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, r->ni);
  sq_int(w, 2, r->state);
  sq_int(w, 3, r->ok);
  sq_int(w, 6, r->t_ok);
  sq_int0(w, 9, r->start_us);
  sq_int0(w, 10, r->end_us);
  sq_int0(w, 11, r->update_us);
  if (plain) return sq_run(w);
  sq_int(w, 4, r->fail);
  sq_int(w, 5, r->skip);
  sq_int(w, 7, r->t_bad);
  sq_int(w, 8, r->t_open);
  sq_text(w, 12, r->error);
  sq_int(w, 13, r->t_canceled);
  sq_int(w, 14, (int64_t)r->skip_edges);
  return sq_run(w);
}

/* The row is not there: the sender of the batch relies on something that is not so, and must not go on. */
enum store_rc sq_missing(const char *what, int64_t id) {
  log_error("store.row_missing", L_STR("table", what), L_INT("id", id));
  return STORE_BAD;
}

static enum store_rc put_node(struct sq *s, const struct node_write *n) {
  int rc = n->op == ROW_INSERT ? node_insert(s, &n->row) : node_update(s, &n->row);
  if (rc != SQLITE_OK) return fail(s, rc);
  return sqlite3_changes(s->run.db) == 1 ? STORE_OK : sq_missing("task_node_ins", n->row.ni);
}

/* ---- tasks ---- */
static void bind_output(sqlite3_stmt *w, int i, const struct task_row *r) {
  if (r->result) sqlite3_bind_blob64(w, i, r->result, r->result_len, SQLITE_STATIC);
  else sqlite3_bind_null(w, i);
  sq_int(w, i + 1, r->log);
}

static void bind_tail(sqlite3_stmt *w, int i, const struct task_row *r) {
  sq_text(w, i, r->error);
  bind_output(w, i + 1, r);
  if (r->exit_code == -1) sqlite3_bind_null(w, i + 3);
  else sq_int(w, i + 3, r->exit_code);
  sq_int(w, i + 4, r->signal);
  sq_int(w, i + 5, r->utime_us);
  sq_int(w, i + 6, r->stime_us);
  sq_int(w, i + 7, r->maxrss_kib);
  sq_int(w, i + 8, r->log_bytes);
  sq_int(w, i + 9, r->log_lost);
  sq_int(w, i + 10, r->log_lost_why);
}

static bool task_starts(const struct task_row *r) {
  return !r->end_us && !r->t.end_as && !r->t.losses && !r->t.cancel_requested && !r->t.due_us && !r->error && !r->result &&
         !r->log && r->exit_code == -1 && !r->signal && !r->params && !r->t.phase && !r->t.resume && !r->t.again;
}

/* A row that is written with a new epoch was claimed, and only this node claims for itself. */
static int64_t claimed_by(const struct sq *s, const struct task *t) { return t->owner ? t->owner : s->me; }

static int task_insert(struct sq *s, const struct task_row *r) {
  bool starts = task_starts(r);
  sqlite3_stmt *w = sq_stmt(&s->run, starts ? RUN_TASK_START : RUN_TASK_INSERT);
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, r->ti);
  sq_int0(w, 2, r->ni);
  sq_int0(w, 3, r->fi);
  sq_int0(w, 4, r->task_id);
  sq_int0(w, 5, r->create_us);
  sq_int0(w, 6, r->update_us);
  sq_int(w, 7, r->t.state);
  sq_int(w, 8, r->t.epoch);
  sq_int(w, 9, r->t.tries);
  sq_int(w, 10, r->t.epoch ? claimed_by(s, &r->t) : r->t.owner);
  sq_int0(w, 11, r->t.start_us);
  sq_int(w, 12, r->t.version);
  if (starts) return sq_run(w);
  sq_int0(w, 13, r->end_us);
  sq_int(w, 14, r->t.end_as);
  sq_int(w, 15, r->t.losses);
  sq_int(w, 16, r->t.cancel_requested);
  sq_int0(w, 17, r->t.due_us);
  bind_tail(w, 18, r);
  sq_text(w, 29, r->params);
  sq_int(w, 30, r->t.phase);
  sq_int(w, 31, r->t.resume);
  sq_int(w, 32, r->t.again);
  return sq_run(w);
}

/* The end of a task that ran without a process and met no trouble. */
static bool task_ends_plain(const struct task_write *t) {
  const struct task_row *r = &t->row;
  return t->finish && task_final(r->t.state) && clears(r->error) && !r->t.end_as && !r->t.losses && !r->t.cancel_requested &&
         !r->t.due_us && !r->t.phase && !r->t.resume && !r->t.again && r->exit_code == -1 && !r->signal && !r->utime_us &&
         !r->stime_us && !r->maxrss_kib && !r->log_lost && !r->log_lost_why;
}

static enum run_stmt task_update_stmt(const struct task_write *t) {
  if (task_ends_plain(t)) return t->expect_state < 0 ? RUN_TASK_END_PLAIN : RUN_TASK_END_ALONE;
  return t->finish ? RUN_TASK_FINISH : t->row.error ? RUN_TASK_ERROR : RUN_TASK_UPDATE;
}

static int task_update(struct sq *s, const struct task_write *t) {
  const struct task_row *r = &t->row;
  enum run_stmt which = task_update_stmt(t);
  sqlite3_stmt *w = sq_stmt(&s->run, which);
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, r->ti);
  sq_int(w, 2, r->t.state);
  sq_int(w, 6, r->t.epoch);
  sq_int(w, 7, r->t.tries);
  sq_int(w, 8, claimed_by(s, &r->t));
  sq_int0(w, 9, r->t.start_us);
  sq_int0(w, 11, r->update_us);
  sq_int0(w, 12, r->end_us);
  if (which != RUN_TASK_END_PLAIN) {
    sq_int(w, 13, t->expect_state);
    sq_int(w, 14, t->expect_epoch);
  }
  if (which == RUN_TASK_END_PLAIN || which == RUN_TASK_END_ALONE) {
    bind_output(w, 16, r);
    sq_int(w, 23, r->log_bytes);
    return sq_run(w);
  }
  sq_int(w, 3, r->t.end_as);
  sq_int(w, 4, r->t.losses);
  sq_int(w, 5, r->t.cancel_requested);
  sq_int0(w, 10, r->t.due_us);
  sq_int(w, 26, r->t.phase);
  sq_int(w, 27, r->t.resume);
  sq_int(w, 28, r->t.again);
  if (t->finish) bind_tail(w, 15, r);
  else if (r->error) sq_text(w, 15, r->error);
  return sq_run(w);
}

/* task_alone holds what runs outside of any flow and has not ended. */
static int alone(struct sq *s, const struct task_write *t) {
  bool live = !task_final(t->row.t.state);
  if (t->row.ni || task_begins(t) != live) return SQLITE_OK;
  sqlite3_stmt *w = sq_stmt(&s->run, live ? RUN_ALONE_INSERT : RUN_ALONE_DELETE);
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, t->row.ti);
  if (live) sq_int(w, 2, t->row.task_id);
  return sq_run(w);
}

static enum store_rc put_task(struct sq *s, struct task_write *t) {
  t->stale = false;
  int rc = t->op == ROW_INSERT ? task_insert(s, &t->row) : task_update(s, t);
  if (rc == SQLITE_OK && sqlite3_changes(s->run.db) != 1) {
    if (t->expect_state < 0) return sq_missing("task_ins", t->row.ti);
    t->stale = true;
    return STORE_STALE;
  }
  if (rc == SQLITE_OK) rc = alone(s, t);
  if (rc == SQLITE_OK && t->clear_result && !t->row.result) rc = sq_run_id(s, RUN_TASK_CLEAR, t->row.ti);
  return rc == SQLITE_OK ? STORE_OK : fail(s, rc);
}

static enum store_rc put_attempt(struct sq *s, const struct attempt_row *r) {
  sqlite3_stmt *w = sq_stmt(&s->run, RUN_ATTEMPT);
  if (!w) return fail(s, SQLITE_ERROR);
  sq_int(w, 1, r->ti);
  sq_int(w, 2, r->epoch);
  sq_int(w, 3, r->owner);
  sq_int0(w, 4, r->start_us);
  sq_int0(w, 5, r->end_us);
  sq_text(w, 6, r->why);
  sq_text(w, 7, r->error);
  if (r->exit_code < 0) sqlite3_bind_null(w, 8);
  else sq_int(w, 8, r->exit_code);
  sq_int0(w, 9, r->signal);
  sq_int(w, 10, r->run_no ? r->run_no : 1);
  int rc = sq_run(w);
  return rc == SQLITE_OK ? STORE_OK : fail(s, rc);
}

/* ---- a batch ---- */
/* A node that has left, or never joined, writes nothing. */
static enum store_rc fence(struct sq *s, int64_t batch_id) {
  sqlite3_stmt *w = sq_stmt(&s->run, RUN_FENCE);
  if (!w) return fail(s, SQLITE_ERROR);
  sq_int(w, 1, s->me);
  sq_int(w, 2, batch_id);
  int rc = sq_run(w);
  if (rc != SQLITE_OK) return fail(s, rc);
  return sqlite3_changes(s->run.db) == 1 ? STORE_OK : STORE_FENCED;
}

static enum store_rc put_batch(struct sq *s, struct batch *b) {
  enum store_rc rc = sq_put_keys(s, b), stale = STORE_OK;
  for (size_t i = 0; i < b->n_flow && rc == STORE_OK; i++) { /* goes on, so that all stale flows are told at once */
    rc = put_flow(s, &b->flow[i], b->id);
    if (rc == STORE_STALE) stale = rc, rc = STORE_OK;
  }
  if (rc == STORE_OK) rc = stale;
  for (size_t i = 0; i < b->n_node && rc == STORE_OK; i++) rc = put_node(s, &b->node[i]);
  for (size_t i = 0; i < b->n_task && rc == STORE_OK; i++) {
    rc = put_task(s, &b->task[i]);
    if (rc == STORE_STALE) stale = rc, rc = STORE_OK;
  }
  if (rc == STORE_OK) rc = stale;
  for (size_t i = 0; i < b->n_attempt && rc == STORE_OK; i++) rc = put_attempt(s, &b->attempt[i]);
  if (rc == STORE_OK) rc = sq_put_gone(s, b);
  if (rc == STORE_OK) rc = sq_put_async(s, b);
  if (rc == STORE_OK) rc = sq_put_whose(s, b);
  if (rc == STORE_OK) rc = sq_put_rates(s, b);
  if (rc != STORE_OK) return rc;
  int sql = put_ids(s);
  return sql == SQLITE_OK ? fence(s, b->id) : fail(s, sql);
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
  sq_int(old, 1, me - 1000); /* enough to look at, never many */
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
    rc = fail(s, sql);
    sq_rollback(st);
    return rc;
  }
  rc = sq_commit(st);
  if (rc == STORE_UNKNOWN) return STORE_DOWN; /* a member that nobody speaks for: the next node marks it DEAD */
  if (rc == STORE_OK) *incarnation = s->me = me;
  return rc;
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
    if (trouble) sq_text(w, 3, trouble);
    sql = sq_run(w);
  }
  if (sql != SQLITE_OK) {
    rc = fail(s, sql);
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

enum store_rc sq_reap(struct store *st, uint32_t *n) {
  (void)st;
  *n = 0;
  return STORE_OK;
}

bool sq_reconciler(struct store *st) {
  (void)st;
  return true;
}
