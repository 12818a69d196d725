/* Saving a flow: nodes, edges and uses in transactions of CHUNK_ROWS, then one that publishes them under the lock of the
 * flow's row. So a flow of 200,000 nodes never makes one huge transaction, and starts of the old version go on meanwhile.
 * Under def_mu and the named lock. A save that is cut off leaves rows that nobody reads: their node ids are never given
 * again, and a version names its nodes by their ids. */
#include "mysql_priv.h"
#include <stdlib.h>
#include <string.h>
#include "def_rows.h"

enum { CHUNK_ROWS = 4000, STATEMENT_ROWS = 500 };

struct save {
  struct my *s;
  struct flow_def *f;
  struct def_known old;     /* version 0: a new flow */
  int64_t expect;           /* version it must have, -1 = any */
  struct key_write *key;    /* NULL = none */
  int64_t flow_id, version, node_base, now_us;
  struct def_plan plan;
  uint32_t task_at;
  size_t rows;              /* in the transaction under way */
  bool sent;                /* a statement whose answer is not read: the next one is written meanwhile */
};

/* ---- one multi-row statement at a time; a transaction ends when it holds enough ---- */
static unsigned chunk_answer(struct save *v) {
  bool sent = v->sent;
  v->sent = false;
  return sent ? my_answer(&v->s->def) : 0;
}

static enum wr_rc chunk_end(struct save *v, enum wr_rc rc, struct wr_err *err) {
  if (!v->rows) return rc;
  unsigned e = chunk_answer(v);
  if (e && rc == WR_OK) rc = my_err(e, err);
  v->rows = 0;
  return my_def_ops.end(&v->s->base, rc, err);
}

static enum wr_rc chunk_flush(struct save *v, size_t *n, struct wr_err *err) {
  struct my_conn *c = &v->s->def;
  enum wr_rc rc = WR_OK;
  if (!*n) return WR_OK;
  if (!v->rows) rc = my_def_ops.begin(&v->s->base, err);
  if (rc) return rc;
  unsigned e = chunk_answer(v);
  if (!e) e = my_send(c, v->s->def_sql.b.data, v->s->def_sql.b.len);
  v->sent = !e;
  v->rows += *n;
  *n = 0;
  sql_clear(&v->s->def_sql);
  return !e && v->rows < CHUNK_ROWS ? WR_OK : chunk_end(v, e ? my_err(e, err) : WR_OK, err);
}

/* Before a row: sends the statement under way when it is long enough, and begins one when none is under way. */
static enum wr_rc chunk_row(struct save *v, size_t *n, const char *insert, struct wr_err *err) {
  struct sql *q = &v->s->def_sql;
  enum wr_rc rc = *n >= STATEMENT_ROWS || q->b.len > v->s->def.packet ? chunk_flush(v, n, err) : WR_OK;
  if (*n == 0) sql_clear(q);
  sql_str(q, *n ? "," : insert);
  ++*n;
  return rc;
}

/* ---- rows ---- */
static const char *const type_word[] = {[NODE_TYPE_START] = "'START'", [NODE_TYPE_TASK] = "'TASK'", [NODE_TYPE_END] = "'END'"};

static void node_ids(struct sql *q, const struct node_def *n) {
  if (!n->n_task_id) {
    sql_str(q, "NULL");
    return;
  }
  sql_ch(q, '\'');
  sql_ids(q, n->task_id, n->n_task_id);
  sql_ch(q, '\'');
}

static void node_text(struct save *v, uint32_t i) {
  const struct node_def *n = &v->f->node[i];
  struct sql *q = &v->s->def_sql;
  MYSQL *m = v->s->def.m;
  char *tasks = def_inline_text(n);
  sql_ch(q, '('), sql_i64(q, v->node_base + i);
  sql_ch(q, ','), sql_i64(q, v->flow_id);
  sql_ch(q, ','), sql_i64(q, v->version);
  sql_ch(q, ','), sql_text(q, m, n->key);
  sql_ch(q, ','), sql_str(q, type_word[n->type]);
  sql_ch(q, ','), node_ids(q, n);
  sql_ch(q, ','), sql_text(q, m, tasks);
  sql_ch(q, ','), sql_text(q, m, n->config);
  sql_ch(q, ','), sql_i64_0(q, n->n_parent ? v->node_base + n->parent[0] : 0);
  sql_ch(q, ','), sql_i64(q, v->task_at);
  sql_ch(q, ','), sql_i64(q, def_node_tasks(n));
  sql_ch(q, ','), sql_us(q, v->now_us);
  sql_ch(q, ','), sql_us(q, v->now_us);
  sql_ch(q, ')');
  v->task_at += def_node_tasks(n);
  free(tasks);
}

static enum wr_rc save_nodes(struct save *v, struct wr_err *err) {
  static const char insert[] = "INSERT INTO task_node(node_id,flow_id,flow_version,node_key,node_type,task_ids,tasks,config,"
                               "prev_node,task_at,n_task,create_time,update_time)VALUES";
  size_t n = 0;
  for (uint32_t i = 0; i < v->f->n; i++) {
    enum wr_rc rc = chunk_row(v, &n, insert, err);
    if (rc) return rc;
    node_text(v, i);
  }
  return chunk_flush(v, &n, err);
}

static enum wr_rc save_edges(struct save *v, struct wr_err *err) {
  struct sql *q = &v->s->def_sql;
  size_t n = 0;
  for (uint32_t i = 0; i < v->f->n; i++) {
    const struct node_def *d = &v->f->node[i];
    for (uint32_t k = 0; k < d->n_parent; k++) {
      enum wr_rc rc = chunk_row(v, &n, "INSERT INTO task_node_edge(flow_id,flow_version,node_id,pos,prev_node)VALUES", err);
      if (rc) return rc;
      sql_ch(q, '('), sql_i64(q, v->flow_id);
      sql_ch(q, ','), sql_i64(q, v->version);
      sql_ch(q, ','), sql_i64(q, v->node_base + i);
      sql_ch(q, ','), sql_i64(q, k);
      sql_ch(q, ','), sql_i64(q, v->node_base + d->parent[k]);
      sql_ch(q, ')');
    }
  }
  return chunk_flush(v, &n, err);
}

static enum wr_rc save_uses(struct save *v, struct wr_err *err) {
  struct sql *q = &v->s->def_sql;
  size_t n = 0;
  for (size_t i = 0; i < v->plan.n_use; i++) {
    enum wr_rc rc = chunk_row(v, &n, "INSERT INTO task_use(task_id,flow_id,node_base)VALUES", err);
    if (rc) return rc;
    sql_ch(q, '('), sql_i64(q, v->plan.use[i]);
    sql_ch(q, ','), sql_i64(q, v->flow_id);
    sql_ch(q, ','), sql_i64(q, v->node_base);
    sql_ch(q, ')');
  }
  return chunk_flush(v, &n, err);
}

/* ---- the save ---- */
/* Decides which version the flow becomes. Its ids are used up from now on. */
static enum wr_rc save_first(struct save *v, struct wr_err *err) {
  struct store *s = &v->s->base;
  v->flow_id = v->f->flow_id;
  enum wr_rc rc = def_key_free(s, v->key, err); /* before anything is written; save_publish() finds out for good */
  if (rc) return rc;
  if (v->flow_id) {
    rc = my_def_ops.begin(s, err);
    if (!rc) rc = my_def_ops.end(s, def_known(s, HEAD_FLOW, v->flow_id, v->expect, &v->old, err), err);
  } else {
    rc = my_def_ids(s, ID_FLOW, 1, &v->flow_id, err);
  }
  if (!rc && v->f->n) rc = my_def_ids(s, ID_NODE, v->f->n, &v->node_base, err);
  v->version = v->old.version + 1;
  v->now_us = store_now(s);
  if (v->now_us < v->old.create_us) v->now_us = v->old.create_us;
  return rc;
}

/* Under the lock of the flow's row, which batches that start the flow hold shared. */
static enum wr_rc save_publish(struct save *v, struct wr_err *err) {
  struct store *s = &v->s->base;
  const struct flow_head h = {v->flow_id, v->version, v->node_base, v->now_us, v->f, &v->plan};
  struct def_known now;
  enum wr_rc rc = my_def_ops.begin(s, err);
  if (rc) return rc;
  if (v->old.version) rc = def_known(s, HEAD_FLOW, v->flow_id, v->old.version, &now, err);
  if (!rc) rc = def_flow_publish(s, &h, err);
  if (!rc) rc = def_key_put(s, v->key, v->flow_id, v->version, err);
  if (!rc) rc = my_def_ops.raise(s, err);
  return my_def_ops.end(s, rc, err);
}

static enum wr_rc save_all(struct save *v, struct wr_err *err) {
  int tries = DEF_TRIES;
  v->plan = def_plan(v->f);
  enum wr_rc rc = save_first(v, err);
  if (!rc) rc = save_nodes(v, err);
  if (!rc) rc = save_edges(v, err);
  if (!rc) rc = save_uses(v, err);
  rc = chunk_end(v, rc, err);
  if (rc == WR_OUTCOME_UNKNOWN) rc = wr_err_set(err, WR_DB_UNAVAILABLE, NULL); /* nothing was published: nothing was stored */
  if (rc) return rc;
  do rc = save_publish(v, err);
  while (my_def_ops.again(&v->s->base, rc) && --tries);
  return rc;
}

enum wr_rc my_save_flow(struct store *st, struct flow_def *f, int64_t expect_version, struct key_write *key, struct wr_err *err) {
  struct save v = {.s = my_of(st), .f = f, .expect = expect_version, .key = key};
  enum wr_rc rc = my_def_ops.enter(st, err);
  if (rc) return rc;
  rc = save_all(&v, err);
  if (v.s->def_sql.b.cap > v.s->def.packet) sql_done(&v.s->def_sql); /* one large flow is no reason to keep its text */
  my_def_ops.leave(st);
  free(v.plan.use);
  if (rc) return rc;
  def_saved(f, v.flow_id, v.version, v.node_base, v.old.version ? v.old.create_us : v.now_us, v.now_us);
  return WR_OK;
}
