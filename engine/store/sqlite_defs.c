/* The definition writer's transactions on SQLite (struct def_ops). Any thread, one at a time under def_lock; each transaction
 * waits for its turn with the runner. What never happens: an id that is given twice. */
#include "sqlite_own.h"
#include "sqlite_priv.h"
#include "text.h"

static enum wr_rc def_enter(struct store *st, struct wr_err *err) {
  struct sq *s = sq_of(st);
  if (!turn_take(&s->def_lock, sq_until(s))) return wr_err_set(err, WR_BUSY, NULL);
  int e = sq_open_def(s);
  if (e == SQLITE_OK) return WR_OK;
  turn_give(&s->def_lock);
  return sq_err(&s->def, e, err);
}

static void def_leave(struct store *st) { turn_give(&sq_of(st)->def_lock); }

static enum wr_rc def_begin(struct store *st, struct wr_err *err) {
  struct sq *s = sq_of(st);
  int e = sq_open_def(s); /* a former transaction may have closed it */
  if (e != SQLITE_OK) return sq_err(&s->def, e, err);
  sq_turn_lock(&s->turn);
  e = sq_run(sq_stmt(&s->def, OWN_BEGIN_WRITE));
  if (e == SQLITE_OK) return WR_OK;
  sq_turn_unlock(&s->turn);
  return sq_err(&s->def, e, err);
}

/* After an unknown outcome the ids may be in use, and the raised version counts: a version too new costs one look, a version too
 * old is wrong. */
static void def_settle(struct sq *s, bool perhaps_stored) {
  for (int k = 0; k < ID__N; k++) {
    if (s->given_id[k] == 0) continue; /* among them the runner's kinds, which its thread alone counts */
    if (perhaps_stored) s->next_id[k] += s->given_id[k];
    s->given_id[k] = 0;
  }
  if (perhaps_stored) s->defs += s->raised;
  if (perhaps_stored && s->raised_queues) s->queues = s->defs;
  s->raised = s->raised_queues = false;
  sq_turn_unlock(&s->turn);
}

static enum wr_rc def_rollback(struct sq *s, enum wr_rc rc) {
  if (!sqlite3_get_autocommit(s->def.db)) (void)sq_run(sq_stmt(&s->def, OWN_ROLLBACK));
  if (!sqlite3_get_autocommit(s->def.db)) sq_conn_close(&s->def); /* closing rolls back */
  def_settle(s, false);
  return rc;
}

static enum wr_rc def_end(struct store *st, enum wr_rc rc, struct wr_err *err) {
  struct sq *s = sq_of(st);
  if (rc) return def_rollback(s, rc);
  int e = sq_run(sq_stmt(&s->def, OWN_COMMIT));
  if (e == SQLITE_OK) {
    def_settle(s, true);
    return sq_files_there(s) ? WR_OK : wr_err_set(err, WR_OUTCOME_UNKNOWN, NULL);
  }
  if (sq_rc(&s->def, e) != STORE_DOWN) return def_rollback(s, sq_err(&s->def, e, err));
  sq_conn_close(&s->def);
  def_settle(s, true);
  return wr_err_set(err, WR_OUTCOME_UNKNOWN, NULL);
}

static enum wr_rc def_raise(struct store *st, struct wr_err *err) {
  struct sq *s = sq_of(st);
  s->raised = true;
  return db_run(st->def, (enum query)OWN_RAISE, ARGS(arg_i(s->defs + 1)), err);
}

static enum wr_rc def_raise_queues(struct store *st, struct wr_err *err) {
  struct sq *s = sq_of(st);
  s->raised = s->raised_queues = true;
  return db_run(st->def, (enum query)OWN_RAISE_QUEUES, ARGS(arg_i(s->defs + 1)), err);
}

static enum wr_rc def_ids(struct store *st, enum id_kind kind, uint32_t n, int64_t *first, struct wr_err *err) {
  struct sq *s = sq_of(st);
  *first = s->next_id[kind] + s->given_id[kind];
  if (*first > WR_ID_MAX - (int64_t)n) return sq_err(&s->def, SQLITE_TOOBIG, err);
  s->given_id[kind] += n;
  return db_run(st->def, (enum query)OWN_IDS, ARGS(arg_text(sq_id_name[kind]), arg_i(*first + n)), err);
}

const struct def_ops sq_def_ops = {.enter = def_enter, .leave = def_leave, .begin = def_begin, .end = def_end, .ids = def_ids,
                                   .raise = def_raise, .raise_queues = def_raise_queues};
