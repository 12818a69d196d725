/* Saving a flow: nodes and edges in transactions of CHUNK_ROWS, the row that publishes them in the last one. So a flow of
 * 200,000 nodes stops the runner for a few milliseconds at a time. Under def_lock. A save that is cut off leaves rows that
 * nobody reads: their node ids are never given again, and a version names its nodes by their ids. */
#include <stdlib.h>
#include "clock.h"
#include "def_rows.h"
#include "sqlite_def.h"

enum { CHUNK_ROWS = 4000 };

struct save {
  struct sq *s;
  struct flow_def *f;
  struct sq_known old;      /* version 0: a new flow */
  int64_t expect;           /* version it must have, -1 = any */
  struct key_write *key;    /* NULL = none */
  int64_t flow_id, version, node_base, now_us;
  struct def_plan plan;
  /* how far it is */
  bool begun;               /* the first transaction is committed: flow_id, version, node_base stand */
  uint32_t node, edge;      /* node: the row to write next; edge: parents of it that are written */
  bool node_done;           /* its row is, its edges are not all */
  uint32_t task_at;
  size_t use_at;
  struct buf text;
};

/* ---- rows ---- */
static const char *const type_word[] = {[NODE_TYPE_START] = "START", [NODE_TYPE_TASK] = "TASK", [NODE_TYPE_END] = "END"};

static int put_node(struct save *v, const struct node_def *n) {
  sqlite3_stmt *w = sq_stmt(&v->s->def, DEF_NODE);
  if (!w) return SQLITE_ERROR;
  char *tasks = def_inline_text(n);
  buf_clear(&v->text);
  for (uint32_t k = 0; k < n->n_task_id; k++) {
    if (k) buf_ch(&v->text, ',');
    buf_i64(&v->text, n->task_id[k]);
  }
  sq_int(w, 1, v->node_base + v->node);
  sq_int(w, 2, v->flow_id);
  sq_int(w, 3, v->version);
  sq_text(w, 4, n->key);
  sq_text(w, 5, type_word[n->type]);
  sq_text(w, 6, n->n_task_id ? v->text.data : NULL);
  sq_text(w, 7, tasks);
  sq_text(w, 8, n->config);
  sq_int0(w, 9, n->n_parent ? v->node_base + n->parent[0] : 0);
  sq_int(w, 10, v->task_at);
  sq_int(w, 11, def_node_tasks(n));
  sq_int(w, 12, v->now_us);
  int rc = sq_run(w);
  free(tasks);
  return rc;
}

static int put_edge(struct save *v, const struct node_def *n) {
  sqlite3_stmt *w = sq_stmt(&v->s->def, DEF_EDGE);
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, v->flow_id);
  sq_int(w, 2, v->version);
  sq_int(w, 3, v->node_base + v->node);
  sq_int(w, 4, v->edge);
  sq_int(w, 5, v->node_base + n->parent[v->edge]);
  return sq_run(w);
}

static int put_use(struct save *v) {
  sqlite3_stmt *w = sq_stmt(&v->s->def, DEF_USE);
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, v->plan.use[v->use_at]);
  sq_int(w, 2, v->flow_id);
  sq_int(w, 3, v->node_base);
  return sq_run(w);
}

/* The next row of all; false when there is none. */
static bool put_next(struct save *v, int *rc) {
  if (v->node < v->f->n) {
    const struct node_def *n = &v->f->node[v->node];
    if (!v->node_done) *rc = put_node(v, n), v->node_done = true;
    else *rc = put_edge(v, n), v->edge++;
    if (v->edge < n->n_parent) return true;
    v->task_at += def_node_tasks(n);
    v->node++;
    v->edge = 0;
    v->node_done = false;
    return true;
  }
  if (v->use_at >= v->plan.n_use) return false;
  *rc = put_use(v);
  v->use_at++;
  return true;
}

static int put_head(struct save *v, enum def_stmt which) {
  sqlite3_stmt *w = sq_stmt(&v->s->def, which);
  if (!w) return SQLITE_ERROR;
  sq_int(w, 1, v->flow_id);
  sq_int(w, 2, v->version);
  sq_text(w, 3, v->f->name);
  sq_text(w, 4, v->f->description);
  sq_int(w, 5, v->now_us);
  sq_text(w, 6, v->f->update_user);
  if (which == DEF_FLOW_INSERT) sq_text(w, 7, v->f->create_user);
  if (which == DEF_FLOW_HISTORY) {
    sq_text(w, 7, v->f->config);
    sq_int(w, 8, v->node_base);
    sq_int(w, 9, v->f->n);
    sq_int(w, 10, v->plan.n_node_ins);
    sq_int(w, 11, v->plan.n_task_ins);
  }
  return sq_run(w);
}

/* ---- transactions ---- */
/* In the first one: what version it becomes, and ids that are gone from now on. */
static enum wr_rc first(struct save *v, struct wr_err *err) {
  struct sq *s = v->s;
  v->flow_id = v->f->flow_id;
  enum wr_rc rc = sq_def_key_free(s, v->key, err);
  if (!rc && v->flow_id) rc = sq_def_known(s, DEF_FLOW, v->flow_id, v->expect, &v->old, err);
  if (rc) return rc;
  int sql = v->flow_id ? SQLITE_OK : sq_def_ids(s, ID_FLOW, 1, &v->flow_id);
  if (sql == SQLITE_OK) sql = sq_def_ids(s, ID_NODE, v->f->n, &v->node_base);
  v->version = v->old.version + 1;
  v->now_us = store_now(&s->base);
  if (v->now_us < v->old.create_us) v->now_us = v->old.create_us;
  return sql == SQLITE_OK ? WR_OK : sq_err(&s->def, sql, err);
}

/* One transaction. *last: everything is written and published. */
static enum wr_rc chunk(struct save *v, bool *last, struct wr_err *err) {
  struct sq *s = v->s;
  int sql = SQLITE_OK;
  *last = false;
  enum wr_rc rc = sq_def_begin(s, err);
  if (rc) return rc;
  if (!v->begun && (rc = first(v, err)) != WR_OK) return sq_def_fail(s, rc, SQLITE_OK, err);
  for (int left = CHUNK_ROWS; left > 0 && sql == SQLITE_OK && !*last; left--) *last = !put_next(v, &sql);
  if (sql == SQLITE_OK && *last && (rc = sq_def_key_free(s, v->key, err)) != WR_OK) return sq_def_fail(s, rc, SQLITE_OK, err);
  if (sql == SQLITE_OK && *last) sql = sq_def_key_put(s, v->key, v->flow_id, v->version);
  if (sql == SQLITE_OK && *last) sql = put_head(v, DEF_FLOW_HISTORY);
  if (sql == SQLITE_OK && *last) sql = put_head(v, v->old.version ? DEF_FLOW_UPDATE : DEF_FLOW_INSERT);
  if (sql != SQLITE_OK) return sq_def_fail(s, WR_OK, sql, err);
  rc = *last ? sq_def_publish(s, err) : sq_def_commit(s, err);
  if (v->begun || (rc && rc != WR_OUTCOME_UNKNOWN)) return rc;
  v->begun = true;
  sq_def_take(s, ID_NODE, v->f->n);
  if (!v->old.version) sq_def_take(s, ID_FLOW, 1);
  return rc;
}

static enum wr_rc save_flow(struct sq *s, struct flow_def *f, int64_t expect, struct key_write *key, struct wr_err *err) {
  struct save v = {.s = s, .f = f, .expect = expect, .key = key};
  bool last = false;
  v.plan = def_plan(f);
  enum wr_rc rc = WR_OK;
  while (!rc && !last) rc = chunk(&v, &last, err);
  free(v.plan.use);
  buf_done(&v.text);
  if (rc) return rc;
  def_saved(f, v.flow_id, v.version, v.node_base, v.old.version ? v.old.create_us : v.now_us, v.now_us);
  return WR_OK;
}

enum wr_rc sq_save_flow(struct store *st, struct flow_def *f, int64_t expect_version, struct key_write *key, struct wr_err *err) {
  struct sq *s = sq_of(st);
  if (!turn_take(&s->def_lock, sq_until(s))) return wr_err_set(err, WR_BUSY, NULL);
  enum wr_rc rc = save_flow(s, f, expect_version, key, err);
  turn_give(&s->def_lock);
  return rc;
}
