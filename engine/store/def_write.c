/* The definition writer: tasks and deletes, and what saves of flows share. Any thread, one at a time in the whole cluster, which
 * each database ensures in its own way (struct def_ops). sqlite_flow.c and mysql_flow.c write the rows of a flow's nodes.
 *
 * What never happens: a version that comes twice; a delete of what a live instance uses; a change without a new
 * definitions.version in the same transaction. */
#include "def_rows.h"
#include "sql.h"

/* ---- what there is ---- */
enum wr_rc def_known(struct store *s, enum head_kind what, int64_t id, int64_t expect, struct def_known *out,
                     struct wr_err *err) {
  const char *word = what == HEAD_TASK ? "task" : "flow";
  struct cursor c;
  db_select(s->def, &c, what == HEAD_TASK ? Q_TASK_KNOWN : Q_FLOW_KNOWN, ARGS(arg_i(id)));
  bool found = cursor_next(&c);
  if (found) *out = (struct def_known){cell_i64(&c.cell[0]), cell_us(&c.cell[1])};
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  if (rc) return rc;
  if (!found) return wr_err_set(err, WR_NOT_FOUND, "There is no %s %lld.", word, (long long)id);
  if (expect != -1 && expect != out->version)
    return wr_err_set(err, WR_STALE, "The %s has version %lld, not %lld.", word, (long long)out->version, (long long)expect);
  return WR_OK;
}

/* ACTIVE when the count is not zero. */
static enum wr_rc no_live_runs(struct store *s, enum query count, int64_t id, struct wr_err *err) {
  int64_t n = 0;
  enum wr_rc rc = db_int(s->def, count, ARGS(arg_i(id)), &n, err);
  if (rc || n == 0) return rc;
  return wr_err_set(err, WR_ACTIVE, "It has %lld active run%s. Cancel %s first.", (long long)n, n == 1 ? "" : "s",
                    n == 1 ? "it" : "them");
}

/* IN_USE names up to five flows. */
static enum wr_rc no_users(struct store *s, int64_t task_id, struct wr_err *err) {
  struct cursor c;
  struct buf b = BUF_INIT;
  int n = 0;
  db_select(s->def, &c, Q_TASK_USERS, ARGS(arg_i(task_id)));
  for (; cursor_next(&c); n++) {
    if (n < 5) buf_printf(&b, "%s%lld", n ? ", " : "", (long long)cell_i64(&c.cell[0]));
    else buf_str(&b, " and more");
  }
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  if (!rc && n)
    rc = wr_err_set(err, WR_IN_USE, "Task %lld is used by flow%s %s.", (long long)task_id, n == 1 ? "" : "s", b.data);
  buf_done(&b);
  return rc;
}

/* ---- one transaction, repeated while a repeat may do better ---- */
struct def_job {
  int64_t id;               /* of what is deleted */
  struct task_def *t;       /* what is saved */
  int64_t expect;           /* version it must have, -1 = any */
  struct key_write *key;    /* NULL = none */
  struct task_def now;      /* the numbers and times that the task will have; task_id: as soon as it was given */
};

static enum wr_rc def_transaction(struct store *s, def_inside *inside, void *job, struct wr_err *err) {
  enum wr_rc rc = s->def_ops->begin(s, err);
  return rc ? rc : s->def_ops->end(s, inside(s, job, err), err);
}

enum wr_rc def_do(struct store *s, def_inside *inside, void *job, struct wr_err *err) {
  enum wr_rc rc = s->def_ops->enter(s, err);
  if (rc) return rc;
  int tries = DEF_TRIES;
  do rc = def_transaction(s, inside, job, err);
  while (s->def_ops->again && s->def_ops->again(s, rc) && --tries);
  s->def_ops->leave(s);
  return rc;
}

/* ---- tasks ---- */
static enum wr_rc task_next(struct store *s, struct def_job *j, struct wr_err *err) {
  int64_t us = store_now(s);
  struct def_known old = {0, us};
  enum wr_rc rc = WR_OK;
  if (j->t->task_id) rc = def_known(s, HEAD_TASK, j->now.task_id = j->t->task_id, j->expect, &old, err);
  else if (!j->now.task_id) rc = s->def_ops->ids(s, ID_TASK, 1, &j->now.task_id, err);
  j->now.version = old.version + 1;
  j->now.create_us = old.create_us;
  j->now.update_us = us > old.create_us ? us : old.create_us;
  return rc;
}

static enum wr_rc task_put(struct store *s, const struct def_job *j, struct wr_err *err) {
  const struct task_def *t = j->t, *now = &j->now;
  const struct arg arg[] = {
    arg_i(now->task_id), arg_i(now->version), arg_text(t->name), arg_text(t->description), arg_text(t->type),
    arg_text(t->config), arg_text(t->content), arg_us(now->update_us), arg_text(t->update_user), arg_us(now->create_us),
    arg_text(t->create_user)};
  size_t n = sizeof arg / sizeof *arg;
  enum wr_rc rc = db_run(s->def, now->version == 1 ? Q_TASK_INSERT : Q_TASK_UPDATE, arg, n, err);
  return rc ? rc : db_run(s->def, Q_TASK_HISTORY, arg, n, err);
}

static enum wr_rc task_save(struct store *s, void *job, struct wr_err *err) {
  struct def_job *j = job;
  enum wr_rc rc = def_key_free(s, j->key, err);
  if (!rc) rc = task_next(s, j, err);
  if (!rc) rc = task_put(s, j, err);
  if (!rc) rc = def_key_put(s, j->key, j->now.task_id, j->now.version, err);
  return rc ? rc : s->def_ops->raise(s, err);
}

enum wr_rc sql_save_task(struct store *s, struct task_def *t, int64_t expect_version, struct key_write *key, struct wr_err *err) {
  struct def_job j = {.t = t, .expect = expect_version, .key = key};
  enum wr_rc rc = def_do(s, task_save, &j, err);
  if (rc) return rc;
  t->task_id = j.now.task_id;
  t->version = j.now.version;
  t->create_us = j.now.create_us;
  t->update_us = j.now.update_us;
  return WR_OK;
}

/* ---- flows ---- */
enum wr_rc def_flow_publish(struct store *s, const struct flow_head *h, struct wr_err *err) {
  const struct flow_def *f = h->f;
  const struct arg arg[] = {
    arg_i(h->flow_id), arg_i(h->version), arg_text(f->name), arg_text(f->description), arg_us(h->now_us),
    arg_text(f->update_user), arg_text(f->create_user), arg_text(f->config), arg_i(h->node_base), arg_i(f->n),
    arg_i(h->plan->n_node_ins), arg_i(h->plan->n_task_ins)};
  size_t n = sizeof arg / sizeof *arg;
  enum wr_rc rc = db_run(s->def, Q_FLOW_HISTORY, arg, n, err);
  return rc ? rc : db_run(s->def, h->version == 1 ? Q_FLOW_INSERT : Q_FLOW_UPDATE, arg, n, err);
}

/* ---- deletes: rows stay, instances stay readable ---- */
/* The version goes up before the first look: a batch that starts the task has either committed and is seen here, or it finds the
 * new version. */
static enum wr_rc task_delete(struct store *s, void *job, struct wr_err *err) {
  struct def_job *j = job;
  struct def_known old;
  enum wr_rc rc = def_known(s, HEAD_TASK, j->id, -1, &old, err);
  if (!rc) rc = no_users(s, j->id, err);
  if (!rc) rc = s->def_ops->raise(s, err);
  if (!rc) rc = no_live_runs(s, Q_TASK_LIVE, j->id, err);
  return rc ? rc : db_run(s->def, Q_TASK_DELETE, ARGS(arg_i(j->id), arg_us(store_now(s))), err);
}

/* A batch that starts the flow holds the flow's row shared (on a server) or waits for its turn (SQLite), so either the delete or
 * the batch sees the other. */
static enum wr_rc flow_delete(struct store *s, void *job, struct wr_err *err) {
  struct def_job *j = job;
  struct def_known old;
  enum wr_rc rc = def_known(s, HEAD_FLOW, j->id, -1, &old, err);
  if (!rc) rc = no_live_runs(s, Q_FLOW_LIVE, j->id, err);
  if (!rc) rc = db_run(s->def, Q_FLOW_DELETE, ARGS(arg_i(j->id), arg_us(store_now(s))), err);
  return rc ? rc : s->def_ops->raise(s, err);
}

enum wr_rc sql_delete_task(struct store *s, int64_t task_id, struct wr_err *err) {
  struct def_job j = {.id = task_id};
  return def_do(s, task_delete, &j, err);
}

enum wr_rc sql_delete_flow(struct store *s, int64_t flow_id, struct wr_err *err) {
  struct def_job j = {.id = flow_id};
  return def_do(s, flow_delete, &j, err);
}
