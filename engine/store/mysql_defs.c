/* The definition writer: transactions, tasks, deletes. Any thread, one at a time under def_mu, and one in the cluster at a
 * time: its connection holds a named lock. What starts a flow holds the flow's row shared, so a save or a delete of it
 * waits for the batch, and the batch for it.
 *
 * What never happens: a version that comes twice; a delete of what a live instance uses; a change without a new
 * definitions.version in the same transaction. */
#include "mysql_priv.h"
#include <errmsg.h>
#include <mysqld_error.h>
#include <time.h>
#include "clock.h"

#define TRIES 3           /* of a transaction that met a deadlock or a lock wait */

/* ---- transactions ---- */
/* Each wait on the way in is bounded: for the thread before this one, for a connection, for the writer of another node. */
enum wr_rc my_def_enter(struct my *s, struct wr_err *err) {
  char text[160];
  bool found;
  int64_t got = 0;
  if (!turn_take(&s->def_mu, my_until(s))) return wr_err_set(err, WR_BUSY, NULL);
  unsigned e = my_conn_ready(&s->def);
  snprintf(text, sizeof text, "SELECT GET_LOCK(CONCAT('weir.define.', IF(CHAR_LENGTH(DATABASE())<=48, DATABASE(), MD5(DATABASE()))), %u)",
           s->def.io_s - 1);
  if (!e) e = my_query_int(&s->def, text, &got, &found);
  if (!e && got == 1) return WR_OK;
  enum wr_rc rc = e ? my_conn_err(&s->def, e, err) : wr_err_set(err, WR_BUSY, NULL);
  turn_give(&s->def_mu);
  return rc;
}

void my_def_leave(struct my *s) {
  bool found;
  int64_t v;
  if (s->def.m) (void)my_query_int(&s->def, "SELECT RELEASE_LOCK(CONCAT('weir.define.', IF(CHAR_LENGTH(DATABASE())<=48, DATABASE(), "
                                   "MD5(DATABASE()))))", &v, &found); /* if it fails, the connection and the lock are gone */
  turn_give(&s->def_mu);
}

enum wr_rc my_tx_begin(struct my_conn *c, struct wr_err *err) {
  unsigned e = my_exec(c, "START TRANSACTION");
  return e ? my_err(e, err) : WR_OK;
}

enum wr_rc my_tx_end(struct my_conn *c, enum wr_rc rc, struct wr_err *err) {
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
bool my_tx_again(const struct my_conn *c, enum wr_rc rc) {
  return rc == WR_DB_UNAVAILABLE && c->m && my_rc(c->err) == STORE_RETRY;
}

enum wr_rc my_defs_raise(struct my *s, struct wr_err *err) {
  unsigned e = my_exec(&s->def, "UPDATE definitions SET version=version+1 WHERE one=1");
  atomic_store(&s->defs_moved, true); /* also when it is rolled back: one look too many costs nothing */
  return e ? my_err(e, err) : WR_OK;
}

enum wr_rc my_def_known(struct my *s, enum my_def what, int64_t id, int64_t expect, struct my_known *out, struct wr_err *err) {
  static const char *const sql[] = {
    [MY_DEF_TASK] = "SELECT task_version, create_time FROM task WHERE task_id=? AND deleted=0 FOR UPDATE",
    [MY_DEF_FLOW] = "SELECT flow_version, create_time FROM task_flow WHERE flow_id=? AND deleted=0 FOR UPDATE"};
  const char *word = what == MY_DEF_TASK ? "task" : "flow";
  struct my_rows r;
  unsigned e = my_select(&s->def, &r, sql[what], MY_ARGS(my_ai(id)));
  bool found = !e && my_next(&r);
  if (found) *out = (struct my_known){my_int(&r.cell[0]), my_us(&r.cell[1])};
  if (!e) e = my_done(&r);
  if (e) return my_err(e, err);
  if (!found) return wr_err_set(err, WR_NOT_FOUND, "There is no %s %lld.", word, (long long)id);
  if (expect != -1 && expect != out->version)
    return wr_err_set(err, WR_STALE, "The %s has version %lld, not %lld.", word, (long long)out->version, (long long)expect);
  return WR_OK;
}

/* ---- tasks ---- */
/* now: the numbers and times it will have. */
static enum wr_rc task_next(struct my *s, const struct task_def *t, int64_t expect, struct task_def *now, struct wr_err *err) {
  int64_t us = store_now(&s->base);
  struct my_known old = {0, us};
  enum wr_rc rc = t->task_id ? my_def_known(s, MY_DEF_TASK, t->task_id, expect, &old, err) : WR_OK;
  if (t->task_id) now->task_id = t->task_id;
  now->version = old.version + 1;
  now->create_us = old.create_us;
  now->update_us = us > old.create_us ? us : old.create_us;
  return rc;
}

static unsigned task_rows(struct my *s, const struct task_def *t, const struct task_def *now) {
  unsigned e;
  if (now->version == 1)
    e = my_run(&s->def, NULL, "INSERT INTO task (task_id, task_version, task_name, task_description, task_type, task_config, task_content, "
               "update_time, update_user, create_time, create_user) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
               MY_ARGS(my_ai(now->task_id), my_ai(now->version), my_at(t->name), my_at(t->description), my_at(t->type), my_at(t->config),
                       my_at(t->content), my_ad(now->update_us), my_at(t->update_user), my_ad(now->create_us), my_at(t->create_user)));
  else
    e = my_run(&s->def, NULL, "UPDATE task SET task_version=?, task_name=?, task_description=?, task_type=?, task_config=?, task_content=?, "
               "update_time=?, update_user=? WHERE task_id=?",
               MY_ARGS(my_ai(now->version), my_at(t->name), my_at(t->description), my_at(t->type), my_at(t->config), my_at(t->content),
                       my_ad(now->update_us), my_at(t->update_user), my_ai(now->task_id)));
  if (e) return e;
  return my_run(&s->def, NULL, "INSERT INTO task_history (task_id, task_version, task_name, task_description, task_type, task_config, "
                "task_content, update_time, update_user) VALUES (?,?,?,?,?,?,?,?,?)",
                MY_ARGS(my_ai(now->task_id), my_ai(now->version), my_at(t->name), my_at(t->description), my_at(t->type), my_at(t->config),
                        my_at(t->content), my_ad(now->update_us), my_at(t->update_user)));
}

struct save { struct task_def *t; int64_t expect; struct key_write *key; };

static enum wr_rc save_task(struct my *s, const struct save *v, struct task_def *now, struct wr_err *err) {
  enum wr_rc rc = my_tx_begin(&s->def, err);
  if (rc) return rc;
  rc = my_def_key_free(s, v->key, err);
  if (!rc) rc = task_next(s, v->t, v->expect, now, err);
  unsigned e = rc ? 0 : task_rows(s, v->t, now);
  if (e) rc = my_err(e, err);
  if (!rc) rc = my_def_key_put(s, v->key, now->task_id, now->version, err);
  if (!rc) rc = my_defs_raise(s, err);
  return my_tx_end(&s->def, rc, err);
}

enum wr_rc my_save_task(struct store *st, struct task_def *t, int64_t expect_version, struct key_write *key, struct wr_err *err) {
  struct my *s = my_of(st);
  const struct save v = {t, expect_version, key};
  struct task_def now = {0};
  enum wr_rc rc = my_def_enter(s, err);
  if (rc) return rc;
  if (!t->task_id) rc = my_def_ids(s, ID_TASK, 1, &now.task_id, err);
  int tries = TRIES;
  if (!rc) do rc = save_task(s, &v, &now, err);
  while (my_tx_again(&s->def, rc) && --tries);
  my_def_leave(s);
  if (rc) return rc;
  t->task_id = now.task_id;
  t->version = now.version;
  t->create_us = now.create_us;
  t->update_us = now.update_us;
  return WR_OK;
}

/* ---- deletes: rows stay, instances stay readable ---- */
/* ACTIVE when the count is not zero. */
static enum wr_rc no_live(struct my *s, const char *sql, int64_t id, struct wr_err *err) {
  struct my_rows r;
  long long n = 0;
  unsigned e = my_select(&s->def, &r, sql, MY_ARGS(my_ai(id)));
  if (!e && my_next(&r)) n = my_int(&r.cell[0]);
  if (!e) e = my_done(&r);
  if (e) return my_err(e, err);
  return n == 0 ? WR_OK : wr_err_set(err, WR_ACTIVE, "It has %lld active run%s. Cancel %s first.", n, n == 1 ? "" : "s",
                                     n == 1 ? "it" : "them");
}

/* IN_USE names up to five flows. */
static enum wr_rc no_users(struct my *s, int64_t task_id, struct wr_err *err) {
  struct my_rows r;
  struct buf b = BUF_INIT;
  int n = 0;
  unsigned e = my_select(&s->def, &r, "SELECT DISTINCT u.flow_id FROM task_use u JOIN task_flow f ON f.flow_id=u.flow_id AND f.deleted=0 "
                         "JOIN task_flow_history h ON h.flow_id=f.flow_id AND h.flow_version=f.flow_version AND h.node_base=u.node_base "
                         "WHERE u.task_id=? ORDER BY u.flow_id LIMIT 6", MY_ARGS(my_ai(task_id)));
  for (; !e && my_next(&r); n++) {
    if (n < 5) buf_printf(&b, "%s%lld", n ? ", " : "", (long long)my_int(&r.cell[0]));
    else buf_str(&b, " and more");
  }
  if (!e) e = my_done(&r);
  enum wr_rc rc = e ? my_err(e, err) : WR_OK;
  if (!rc && n) rc = wr_err_set(err, WR_IN_USE, "Task %lld is used by flow%s %s.", (long long)task_id, n == 1 ? "" : "s", b.data);
  buf_done(&b);
  return rc;
}

/* The version goes up before anything is looked at: a batch that starts the task has either committed, then it is seen,
 * or finds the new version. */
static enum wr_rc delete_task(struct my *s, int64_t id, struct wr_err *err) {
  struct my_known old;
  enum wr_rc rc = my_tx_begin(&s->def, err);
  if (rc) return rc;
  rc = my_def_known(s, MY_DEF_TASK, id, -1, &old, err);
  if (!rc) rc = no_users(s, id, err);
  if (!rc) rc = my_defs_raise(s, err);
  if (!rc) rc = no_live(s, "SELECT COUNT(*) FROM task_alone WHERE task_id=?", id, err);
  unsigned e = rc ? 0 : my_run(&s->def, NULL, "UPDATE task SET deleted=1, update_time=UTC_TIMESTAMP(6) WHERE task_id=?", MY_ARGS(my_ai(id)));
  if (e) rc = my_err(e, err);
  return my_tx_end(&s->def, rc, err);
}

static enum wr_rc delete_flow(struct my *s, int64_t id, struct wr_err *err) {
  struct my_known old;
  enum wr_rc rc = my_tx_begin(&s->def, err);
  if (rc) return rc;
  rc = my_def_known(s, MY_DEF_FLOW, id, -1, &old, err);
  if (!rc) rc = no_live(s, "SELECT COUNT(*) FROM task_flow_ins FORCE INDEX(task_flow_ins_flow) WHERE flow_id=? AND state IN (1,2,3)", id, err);
  unsigned e = rc ? 0 : my_run(&s->def, NULL, "UPDATE task_flow SET deleted=1, update_time=UTC_TIMESTAMP(6) WHERE flow_id=?", MY_ARGS(my_ai(id)));
  if (e) rc = my_err(e, err);
  if (!rc) rc = my_defs_raise(s, err);
  return my_tx_end(&s->def, rc, err);
}

typedef enum wr_rc delete_fn(struct my *s, int64_t id, struct wr_err *err);

static enum wr_rc deleted(struct my *s, delete_fn *fn, int64_t id, struct wr_err *err) {
  enum wr_rc rc = my_def_enter(s, err);
  if (rc) return rc;
  int tries = TRIES;
  do rc = fn(s, id, err);
  while (my_tx_again(&s->def, rc) && --tries);
  my_def_leave(s);
  return rc;
}

enum wr_rc my_delete_task(struct store *st, int64_t task_id, struct wr_err *err) { return deleted(my_of(st), delete_task, task_id, err); }
enum wr_rc my_delete_flow(struct store *st, int64_t flow_id, struct wr_err *err) { return deleted(my_of(st), delete_flow, flow_id, err); }
