/* The rows of a batch inside the runner's transaction: flow instances, node instances, task instances, attempts. The runner's
 * thread and connection.
 *
 * Most rows begin and end alike, and have statements with constants in place of what is 0. What never happens: a row that is
 * changed although it is not what the batch relies on (STALE), or written where none was read (BAD). */
#include "sqlite_bound.h"
#include "log.h"
#include "sqlite_run.h"

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
  struct sq_bound *w = sq_bound(&s->run, RUN_FLOW_INSERT);
  if (!w) return SQLITE_ERROR;
  bound_int(w, 1, r->fi);
  bound_int(w, 2, version);
  bound_int(w, 3, r->state);
  bound_int(w, 4, r->flow_id);
  bound_int(w, 5, r->flow_version);
  bound_int(w, 6, r->wish);
  bound_int(w, 7, r->run_no);
  bound_int(w, 8, r->live);
  bound_int(w, 9, r->failed);
  bound_int0(w, 10, r->start_us);
  bound_int0(w, 11, r->end_us);
  bound_int0(w, 12, r->due_us);
  bound_int0(w, 13, r->update_us);
  bound_text(w, 14, r->bases ? r->bases : "");
  bound_text(w, 15, r->more);
  bound_text(w, 16, r->error && *r->error ? r->error : NULL);
  bound_text(w, 17, r->params);
  bound_int0(w, 18, r->create_us);
  return sq_run(w->st);
}

static int flow_update(struct sq *s, const struct flow_write *f, int64_t version, enum run_stmt which) {
  const struct flow_row *r = &f->row;
  struct sq_bound *w = sq_bound(&s->run, which);
  if (!w) return SQLITE_ERROR;
  bound_int(w, 1, r->fi);
  bound_int(w, 2, version);
  bound_int(w, 3, r->wish);
  bound_int(w, 4, r->run_no);
  bound_int(w, 5, r->live);
  bound_int(w, 6, r->failed);
  bound_int0(w, 7, r->end_us);
  bound_int0(w, 8, r->update_us);
  bound_int0(w, 9, r->due_us);
  bound_text(w, 10, r->bases);
  bound_text(w, 11, r->more);
  bound_int(w, 12, f->expect);
  bound_int(w, 13, r->state);
  bound_int0(w, 14, r->start_us);
  if (which == RUN_FLOW_FULL) bound_text(w, 15, r->error);
  return sq_run(w->st);
}

enum store_rc sq_put_flow(struct sq *s, struct flow_write *f, int64_t version) {
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
  if (rc != SQLITE_OK) return sq_fail(s, rc);
  f->stale = !ok;
  return ok ? STORE_OK : STORE_STALE;
}

/* ---- nodes ---- */
static bool node_starts(const struct node_row *r) {
  return !r->fail && !r->skip && !r->t_ok && !r->t_bad && !r->t_canceled && !r->skip_edges && !r->end_us && !r->error;
}

static int node_insert(struct sq *s, const struct node_row *r) {
  bool starts = node_starts(r);
  struct sq_bound *w = sq_bound(&s->run, starts ? RUN_NODE_START : RUN_NODE_INSERT);
  if (!w) return SQLITE_ERROR;
  bound_int(w, 1, r->ni);
  bound_int(w, 2, r->state);
  bound_int(w, 3, r->ok);
  bound_int(w, 4, r->t_open);
  bound_int0(w, 5, r->start_us);
  bound_int0(w, 6, r->update_us);
  bound_int(w, 7, r->fi);
  bound_int(w, 8, r->node_id);
  bound_int(w, 9, r->run_no);
  bound_int0(w, 10, r->create_us);
  if (starts) return sq_run(w->st);
  bound_int(w, 11, r->fail);
  bound_int(w, 12, r->skip);
  bound_int(w, 13, r->t_ok);
  bound_int(w, 14, r->t_bad);
  bound_int(w, 15, r->t_canceled);
  bound_int0(w, 16, r->end_us);
  bound_text(w, 17, r->error);
  bound_int(w, 18, (int64_t)r->skip_edges);
  return sq_run(w->st);
}

/* "" clears an error text; NULL leaves what is there. */
static bool clears(const char *error) { return error && !*error; }

static bool node_ends_plain(const struct node_row *r) {
  return clears(r->error) && !r->fail && !r->skip && !r->t_bad && !r->t_open && !r->t_canceled && !r->skip_edges;
}

static int node_update(struct sq *s, const struct node_row *r) {
  bool plain = node_ends_plain(r);
  struct sq_bound *w = sq_bound(&s->run, plain ? RUN_NODE_END_PLAIN : RUN_NODE_UPDATE);
  if (!w) return SQLITE_ERROR;
  bound_int(w, 1, r->ni);
  bound_int(w, 2, r->state);
  bound_int(w, 3, r->ok);
  bound_int(w, 6, r->t_ok);
  bound_int0(w, 9, r->start_us);
  bound_int0(w, 10, r->end_us);
  bound_int0(w, 11, r->update_us);
  if (plain) return sq_run(w->st);
  bound_int(w, 4, r->fail);
  bound_int(w, 5, r->skip);
  bound_int(w, 7, r->t_bad);
  bound_int(w, 8, r->t_open);
  bound_text(w, 12, r->error);
  bound_int(w, 13, r->t_canceled);
  bound_int(w, 14, (int64_t)r->skip_edges);
  return sq_run(w->st);
}

/* The row is not there: the sender of the batch relies on something that is not so, and must not go on. */
enum store_rc sq_missing(const char *what, int64_t id) {
  log_error("store.row_missing", L_STR("table", what), L_INT("id", id));
  return STORE_BAD;
}

enum store_rc sq_put_node(struct sq *s, const struct node_write *n) {
  int rc = n->op == ROW_INSERT ? node_insert(s, &n->row) : node_update(s, &n->row);
  if (rc != SQLITE_OK) return sq_fail(s, rc);
  return sqlite3_changes(s->run.db) == 1 ? STORE_OK : sq_missing("task_node_ins", n->row.ni);
}

/* ---- tasks ---- */
static void bind_output(struct sq_bound *w, int i, const struct task_row *r) {
  bound_blob(w, i, r->result, r->result_len);
  bound_int(w, i + 1, r->log);
}

static void bind_tail(struct sq_bound *w, int i, const struct task_row *r) {
  bound_text(w, i, r->error);
  bind_output(w, i + 1, r);
  if (r->exit_code == -1) bound_null(w, i + 3);
  else bound_int(w, i + 3, r->exit_code);
  bound_int(w, i + 4, r->signal);
  bound_int(w, i + 5, r->utime_us);
  bound_int(w, i + 6, r->stime_us);
  bound_int(w, i + 7, r->maxrss_kib);
  bound_int(w, i + 8, r->log_bytes);
  bound_int(w, i + 9, r->log_lost);
  bound_int(w, i + 10, r->log_lost_why);
}

static bool task_starts(const struct task_row *r) {
  return !r->end_us && !r->t.end_as && !r->t.losses && !r->t.cancel_requested && !r->t.due_us && !r->error && !r->result &&
         !r->log && r->exit_code == -1 && !r->signal && !r->params && !r->t.phase && !r->t.resume && !r->t.again &&
         !r->executor;
}

/* A row that is written with a new epoch was claimed, and only this node claims for itself. */
static int64_t claimed_by(const struct sq *s, const struct task *t) { return t->owner ? t->owner : s->me; }

static int task_insert(struct sq *s, const struct task_row *r) {
  bool starts = task_starts(r);
  struct sq_bound *w = sq_bound(&s->run, starts ? RUN_TASK_START : RUN_TASK_INSERT);
  if (!w) return SQLITE_ERROR;
  bound_int(w, 1, r->ti);
  bound_int0(w, 2, r->ni);
  bound_int0(w, 3, r->fi);
  bound_int0(w, 4, r->task_id);
  bound_int0(w, 5, r->create_us);
  bound_int0(w, 6, r->update_us);
  bound_int(w, 7, r->t.state);
  bound_int(w, 8, r->t.epoch);
  bound_int(w, 9, r->t.tries);
  bound_int(w, 10, r->t.epoch ? claimed_by(s, &r->t) : r->t.owner);
  bound_int0(w, 11, r->t.start_us);
  bound_int(w, 12, r->t.version);
  if (starts) return sq_run(w->st);
  bound_int0(w, 13, r->end_us);
  bound_int(w, 14, r->t.end_as);
  bound_int(w, 15, r->t.losses);
  bound_int(w, 16, r->t.cancel_requested);
  bound_int0(w, 17, r->t.due_us);
  bind_tail(w, 18, r);
  bound_text(w, 29, r->params);
  bound_int(w, 30, r->t.phase);
  bound_int(w, 31, r->t.resume);
  bound_int(w, 32, r->t.again);
  bound_int(w, 33, r->executor);
  return sq_run(w->st);
}

/* The end of a task that ran without a process and met no trouble. This node ran it: a file has one node at a time. */
static bool task_ends_plain(const struct task_write *t) {
  const struct task_row *r = &t->row;
  return t->finish && r->t.state == TASK_SUCCESS && clears(r->error) && !r->t.end_as && !r->t.losses && !r->t.cancel_requested &&
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
  struct sq_bound *w = sq_bound(&s->run, which);
  if (!w) return SQLITE_ERROR;
  bound_int(w, 1, r->ti);
  bound_int(w, 2, r->t.state);
  bound_int(w, 6, r->t.epoch);
  bound_int(w, 7, r->t.tries);
  bound_int(w, 8, claimed_by(s, &r->t));
  bound_int0(w, 9, r->t.start_us);
  bound_int0(w, 11, r->update_us);
  bound_int0(w, 12, r->end_us);
  if (which != RUN_TASK_END_PLAIN) {
    bound_int(w, 13, t->expect_state);
    bound_int(w, 14, t->expect_epoch);
  }
  if (which == RUN_TASK_END_PLAIN || which == RUN_TASK_END_ALONE) {
    bind_output(w, 16, r);
    bound_int(w, 23, r->log_bytes);
    return sq_run(w->st);
  }
  bound_int(w, 3, r->t.end_as);
  bound_int(w, 4, r->t.losses);
  bound_int(w, 5, r->t.cancel_requested);
  bound_int0(w, 10, r->t.due_us);
  bound_int(w, 26, r->t.phase);
  bound_int(w, 27, r->t.resume);
  bound_int(w, 28, r->t.again);
  if (t->finish) bind_tail(w, 15, r);
  else if (r->error) bound_text(w, 15, r->error);
  return sq_run(w->st);
}

/* task_alone holds what runs outside of any flow and has not ended. */
static int alone(struct sq *s, const struct task_write *t) {
  bool live = !task_final(t->row.t.state);
  if (t->row.ni || task_begins(t) != live) return SQLITE_OK;
  if (!live) return sq_run_id(s, RUN_ALONE_DELETE, t->row.ti);
  struct sq_bound *w = sq_bound(&s->run, RUN_ALONE_INSERT);
  if (!w) return SQLITE_ERROR;
  bound_int(w, 1, t->row.ti);
  bound_int(w, 2, t->row.task_id);
  return sq_run(w->st);
}

static int new_result(struct sq *s, const struct task_write *t) {
  struct sq_bound *w = sq_bound(&s->run, RUN_TASK_RESULT);
  if (!w) return SQLITE_ERROR;
  bound_int(w, 1, t->row.ti);
  bound_blob(w, 2, t->new_result, t->new_result_len);
  return sq_run(w->st);
}

enum store_rc sq_put_task(struct sq *s, struct task_write *t) {
  t->stale = false;
  int rc = t->op == ROW_INSERT ? task_insert(s, &t->row) : task_update(s, t);
  if (rc == SQLITE_OK && sqlite3_changes(s->run.db) != 1) {
    if (t->expect_state < 0) return sq_missing("task_ins", t->row.ti);
    t->stale = true;
    return STORE_STALE;
  }
  if (rc == SQLITE_OK) rc = alone(s, t);
  if (rc == SQLITE_OK && t->clear_result && !t->row.result) rc = sq_run_id(s, RUN_TASK_CLEAR, t->row.ti);
  if (rc == SQLITE_OK && t->new_result) rc = new_result(s, t);
  return rc == SQLITE_OK ? STORE_OK : sq_fail(s, rc);
}

enum store_rc sq_put_said(struct sq *s, const struct attempt_said *a) {
  sqlite3_stmt *w = sq_stmt(&s->run, RUN_ATTEMPT_SAID);
  if (!w) return sq_fail(s, SQLITE_ERROR);
  sq_int(w, 1, a->ti);
  sq_int(w, 2, a->epoch);
  sq_int(w, 3, a->said);
  sq_text(w, 4, a->message);
  int rc = sq_run(w);
  return rc == SQLITE_OK ? STORE_OK : sq_fail(s, rc);
}

enum store_rc sq_put_attempt(struct sq *s, const struct attempt_row *r) {
  struct sq_bound *w = sq_bound(&s->run, RUN_ATTEMPT);
  if (!w) return sq_fail(s, SQLITE_ERROR);
  bound_int(w, 1, r->ti);
  bound_int(w, 2, r->epoch);
  bound_int(w, 3, r->owner);
  bound_int0(w, 4, r->start_us);
  bound_int0(w, 5, r->end_us);
  bound_text(w, 6, r->why);
  bound_text(w, 7, r->error);
  if (r->exit_code < 0) bound_null(w, 8);
  else bound_int(w, 8, r->exit_code);
  bound_int0(w, 9, r->signal);
  bound_int(w, 10, r->run_no ? r->run_no : 1);
  int rc = sq_run(w->st);
  return rc == SQLITE_OK ? STORE_OK : sq_fail(s, rc);
}
