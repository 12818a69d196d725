/* The definition writer's transactions on MariaDB and MySQL (struct def_ops). Any thread, one at a time under def_mu. The
 * connection holds a named lock, so there is one writer at a time in the cluster. A batch that starts a flow holds the flow's row
 * shared, so a save or a delete of the flow waits for the batch, and the batch waits for them. */
#include "mysql_priv.h"

/* Each wait on the way in is bounded: for the thread before this one, for a connection, for the writer of another node. */
static enum wr_rc def_enter(struct store *st, struct wr_err *err) {
  struct my *s = my_of(st);
  char text[160];
  bool found;
  int64_t got = 0;
  if (!turn_take(&s->def_mu, my_until(s))) return wr_err_set(err, WR_BUSY, NULL);
  unsigned e = my_conn_ready(&s->def);
  snprintf(text, sizeof text, "SELECT GET_LOCK(" MY_LOCK_NAME("define") ", %u)", s->def.io_s - 1);
  if (!e) e = my_query_int(&s->def, text, &got, &found);
  if (!e && got == 1) return WR_OK;
  enum wr_rc rc = e ? my_conn_err(&s->def, e, err) : wr_err_set(err, WR_BUSY, NULL);
  turn_give(&s->def_mu);
  return rc;
}

static void def_leave(struct store *st) {
  struct my *s = my_of(st);
  bool found;
  int64_t v;
  if (s->def.m) /* if it fails, the connection and the lock are gone */
    (void)my_query_int(&s->def, "SELECT RELEASE_LOCK(" MY_LOCK_NAME("define") ")", &v, &found);
  turn_give(&s->def_mu);
}

static enum wr_rc def_begin(struct store *st, struct wr_err *err) {
  struct my_conn *c = &my_of(st)->def;
  unsigned e = my_exec(c, "START TRANSACTION");
  if (e) return my_err(e, err);
  c->err = 0; /* from here on an error belongs to this transaction */
  return WR_OK;
}

static enum wr_rc def_end(struct store *st, enum wr_rc rc, struct wr_err *err) {
  struct my_conn *c = &my_of(st)->def;
  if (rc) {
    unsigned why = c->err;
    if (c->m && my_exec(c, "ROLLBACK")) my_conn_close(c);
    c->err = why;
    return rc;
  }
  if (!my_exec(c, "COMMIT")) return WR_OK;
  my_conn_close(c);
  return wr_err_set(err, WR_OUTCOME_UNKNOWN, NULL);
}

/* The transaction was rolled back for reasons that a new one may not meet. */
static bool def_again(struct store *st, enum wr_rc rc) {
  const struct my_conn *c = &my_of(st)->def;
  return rc == WR_DB_UNAVAILABLE && c->m && my_rc(c->err) == STORE_RETRY;
}

static enum wr_rc def_raise(struct store *st, struct wr_err *err) {
  struct my *s = my_of(st);
  unsigned e = my_exec(&s->def, "UPDATE definitions SET version=version+1 WHERE one=1");
  atomic_store(&s->defs_moved, true); /* also when it is rolled back: one look too many costs nothing */
  return e ? my_err(e, err) : WR_OK;
}

static enum wr_rc def_raise_queues(struct store *st, struct wr_err *err) {
  struct my *s = my_of(st);
  unsigned e = my_exec(&s->def, "UPDATE definitions SET queues_version=version+1, version=version+1 WHERE one=1");
  atomic_store(&s->defs_moved, true);
  return e ? my_err(e, err) : WR_OK;
}

static enum wr_rc def_drop_notes(struct store *st, struct wr_err *err) {
  unsigned e = my_exec(&my_of(st)->def, "DELETE FROM task_counted");
  return e ? my_err(e, err) : WR_OK;
}

const struct def_ops my_def_ops = {.enter = def_enter, .leave = def_leave, .begin = def_begin, .end = def_end, .again = def_again,
                                   .ids = my_def_ids, .raise = def_raise,
                                   .raise_queues = def_raise_queues, .drop_notes = def_drop_notes};
