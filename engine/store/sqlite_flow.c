/* Saving a flow: nodes and edges in transactions of CHUNK_ROWS, the row that publishes them in the last one. So a flow of
 * 200,000 nodes stops the runner for a few milliseconds at a time. Under def_lock. A save that is cut off leaves rows that
 * nobody reads: their node ids are never given again, and a version names its nodes by their ids. */
#include <stdlib.h>
#include "def_rows.h"
#include "sqlite_own.h"
#include "sqlite_priv.h"

enum { CHUNK_ROWS = 4000 };

struct save {
  struct sq *s;
  struct flow_def *f;
  struct def_known old;     /* version 0: a new flow */
  int64_t expect;           /* version it must have, -1 = any */
  struct key_write *key;    /* NULL = none */
  int64_t flow_id, version, node_base, now_us;
  struct def_plan plan;
  /* how far it is */
  bool begun;               /* the first transaction is committed: flow_id, version, node_base stand */
  uint32_t node, edge;      /* node: the row to write next; edge: so many of its parents are written */
  bool node_done;           /* the node's row is written, not yet all its edges */
  uint32_t task_at;
  size_t use_at;
  struct buf text;
};

/* ---- rows ---- */
static const char *const type_word[] = {[NODE_TYPE_START] = "START", [NODE_TYPE_TASK] = "TASK", [NODE_TYPE_END] = "END"};

static enum wr_rc save_row(struct save *v, enum own_stmt which, const struct arg *arg, size_t n, struct wr_err *err) {
  return db_run(v->s->base.def, (enum query)which, arg, n, err);
}

static enum wr_rc save_node(struct save *v, const struct node_def *n, struct wr_err *err) {
  char *tasks = def_inline_text(n);
  buf_clear(&v->text);
  for (uint32_t k = 0; k < n->n_task_id; k++) {
    if (k) buf_ch(&v->text, ',');
    buf_i64(&v->text, n->task_id[k]);
  }
  enum wr_rc rc = save_row(v, OWN_NODE, ARGS(
    arg_i(v->node_base + v->node), arg_i(v->flow_id), arg_i(v->version), arg_text(n->key), arg_text(type_word[n->type]),
    arg_text(n->n_task_id ? v->text.data : NULL), arg_text(tasks), arg_text(n->config),
    arg_i0(n->n_parent ? v->node_base + n->parent[0] : 0), arg_i(v->task_at), arg_i(def_node_tasks(n)), arg_us(v->now_us)), err);
  free(tasks);
  return rc;
}

static enum wr_rc save_edge(struct save *v, const struct node_def *n, struct wr_err *err) {
  return save_row(v, OWN_EDGE, ARGS(arg_i(v->flow_id), arg_i(v->version), arg_i(v->node_base + v->node), arg_i(v->edge),
                                    arg_i(v->node_base + n->parent[v->edge])), err);
}

static enum wr_rc save_use(struct save *v, struct wr_err *err) {
  return save_row(v, OWN_USE, ARGS(arg_i(v->plan.use[v->use_at]), arg_i(v->flow_id), arg_i(v->node_base)), err);
}

/* The next row of all; false when there is none. */
static bool save_next(struct save *v, enum wr_rc *rc, struct wr_err *err) {
  if (v->node < v->f->n) {
    const struct node_def *n = &v->f->node[v->node];
    if (!v->node_done) *rc = save_node(v, n, err), v->node_done = true;
    else *rc = save_edge(v, n, err), v->edge++;
    if (v->edge < n->n_parent) return true;
    v->task_at += def_node_tasks(n);
    v->node++;
    v->edge = 0;
    v->node_done = false;
    return true;
  }
  if (v->use_at >= v->plan.n_use) return false;
  *rc = save_use(v, err);
  v->use_at++;
  return true;
}

/* ---- transactions ---- */
/* In the first transaction: decides which version the flow becomes, and takes ids, which are used up from now on. */
static enum wr_rc save_first(struct save *v, struct wr_err *err) {
  struct store *s = &v->s->base;
  v->flow_id = v->f->flow_id;
  enum wr_rc rc = def_key_free(s, v->key, err);
  if (!rc && v->flow_id) rc = def_known(s, HEAD_FLOW, v->flow_id, v->expect, &v->old, err);
  else if (!rc) rc = sq_def_ops.ids(s, ID_FLOW, 1, &v->flow_id, err);
  if (!rc) rc = sq_def_ops.ids(s, ID_NODE, v->f->n, &v->node_base, err);
  v->version = v->old.version + 1;
  v->now_us = store_now(s);
  if (v->now_us < v->old.create_us) v->now_us = v->old.create_us;
  return rc;
}

/* In the last transaction. */
static enum wr_rc save_publish(struct save *v, struct wr_err *err) {
  struct store *s = &v->s->base;
  const struct flow_head h = {v->flow_id, v->version, v->node_base, v->now_us, v->f, &v->plan};
  enum wr_rc rc = def_key_free(s, v->key, err);
  if (!rc) rc = def_key_put(s, v->key, v->flow_id, v->version, err);
  if (!rc) rc = def_flow_publish(s, &h, err);
  return rc ? rc : sq_def_ops.raise(s, err);
}

/* One transaction. *last: everything is written and published. */
static enum wr_rc save_chunk(struct save *v, bool *last, struct wr_err *err) {
  *last = false;
  enum wr_rc rc = sq_def_ops.begin(&v->s->base, err);
  if (rc) return rc;
  if (!v->begun) rc = save_first(v, err);
  for (int left = CHUNK_ROWS; !rc && left > 0 && !*last; left--) *last = !save_next(v, &rc, err);
  if (!rc && *last) rc = save_publish(v, err);
  rc = sq_def_ops.end(&v->s->base, rc, err);
  v->begun |= rc == WR_OK || rc == WR_OUTCOME_UNKNOWN;
  return rc;
}

enum wr_rc sq_save_flow(struct store *st, struct flow_def *f, int64_t expect_version, struct key_write *key, struct wr_err *err) {
  struct save v = {.s = sq_of(st), .f = f, .expect = expect_version, .key = key};
  bool last = false;
  enum wr_rc rc = sq_def_ops.enter(st, err);
  if (rc) return rc;
  v.plan = def_plan(f);
  while (!rc && !last) rc = save_chunk(&v, &last, err);
  sq_def_ops.leave(st);
  free(v.plan.use);
  buf_done(&v.text);
  if (rc) return rc;
  def_saved(f, v.flow_id, v.version, v.node_base, v.old.version ? v.old.create_us : v.now_us, v.now_us);
  return WR_OK;
}
