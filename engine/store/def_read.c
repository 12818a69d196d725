/* Definitions read back: tasks, flows, and only their newest versions. A reader's thread; read-only. */
#include <string.h>
#include "def_rows.h"
#include "sql.h"

/* ---- tasks ---- */
enum wr_rc sql_reader_task(struct reader *r, int64_t task_id, int64_t version, struct task_def **out, struct wr_err *err) {
  struct cursor c;
  enum wr_rc rc = WR_OK;
  *out = NULL;
  db_select(r->db, &c, version ? Q_TASK_AT : Q_TASK, ARGS(arg_i(task_id), arg_i(version)));
  if (cursor_next(&c)) rc = def_row_task(c.cell, out, err);
  rc = cursor_end(&c, rc, err);
  if (rc && *out) {
    def_task_unref(*out);
    *out = NULL;
  }
  return rc || *out ? rc : wr_err_set(err, WR_NOT_FOUND, "Task %lld does not exist.", (long long)task_id);
}

static enum wr_rc tasks_found(struct cursor *c, const int64_t *ids, size_t n, struct task_def **out, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  while (!rc && cursor_next(c)) {
    struct task_def *t = NULL;
    rc = def_row_task(c->cell, &t, err);
    for (size_t i = 0; i < n && t; i++)
      if (ids[i] == t->task_id && !out[i]) out[i] = def_task_ref(t);
    if (t) def_task_unref(t);
  }
  return cursor_end(c, rc, err);
}

#define IDS_SOME 100   /* at a time: each row is searched for among this many ids */

enum wr_rc sql_reader_tasks(struct reader *r, const int64_t *ids, size_t n, struct task_def **out, struct wr_err *err) {
  struct cursor c;
  enum wr_rc rc = WR_OK;
  memset(out, 0, n * sizeof *out);
  for (size_t i = 0; i < n && !rc; i += IDS_SOME) {
    size_t some = n - i < IDS_SOME ? n - i : IDS_SOME;
    db_select_ids(r->db, &c, Q_TASKS_BY, ids + i, some);
    rc = tasks_found(&c, ids + i, some, out + i, err);
  }
  for (size_t i = 0; i < n && rc; i++) {
    if (out[i]) def_task_unref(out[i]);
    out[i] = NULL;
  }
  return rc;
}

enum wr_rc sql_reader_heads(struct reader *r, enum head_kind kind, const int64_t *ids, size_t n, struct def_head *out,
                            struct wr_err *err) {
  struct cursor c;
  enum wr_rc rc = WR_OK;
  memset(out, 0, n * sizeof *out);
  for (size_t at = 0; at < n && !rc; at += IDS_SOME) {
    size_t end = n - at < IDS_SOME ? n : at + IDS_SOME;
    db_select_ids(r->db, &c, kind == HEAD_TASK ? Q_TASK_HEADS : Q_FLOW_HEADS, ids + at, end - at);
    while (cursor_next(&c)) {
      const struct def_head head = {cell_i64(&c.cell[1]), cell_i64(&c.cell[2]) != 0};
      int64_t id = cell_i64(&c.cell[0]);
      for (size_t i = at; i < end; i++)
        if (ids[i] == id) out[i] = head;
    }
    rc = cursor_end(&c, WR_OK, err);
  }
  return rc;
}

/* ---- flows ---- */
static enum wr_rc flow_nodes_read(struct reader *r, struct flow_def *f, struct wr_err *err) {
  struct cursor c;
  enum wr_rc rc = WR_OK;
  uint32_t i = 0;
  db_select(r->db, &c, Q_NODES, ARGS(arg_i(f->node_base), arg_i(f->node_base + f->n - 1)));
  for (; !rc && i < f->n && cursor_next(&c); i++) rc = def_row_node(f, i, c.cell, err);
  rc = cursor_end(&c, rc, err);
  return rc || i == f->n ? rc : def_row_broken(f, err);
}

static enum wr_rc flow_edges_read(struct reader *r, struct flow_def *f, struct wr_err *err) {
  struct def_edges e = {.f = f, .last = UINT32_MAX};
  struct cursor c;
  bool whole = true;
  db_select(r->db, &c, Q_EDGES, ARGS(arg_i(f->flow_id), arg_i(f->version), arg_i(f->node_base), arg_i(f->node_base + f->n - 1)));
  while (whole && cursor_next(&c)) whole = def_row_edge(&e, cell_i64(&c.cell[0]), cell_i64(&c.cell[1]));
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  return rc || whole ? rc : def_row_broken(f, err);
}

static enum wr_rc flow_head_read(struct reader *r, int64_t flow_id, int64_t version, struct flow_def **out, struct wr_err *err) {
  struct cursor c;
  *out = NULL;
  db_select(r->db, &c, Q_FLOW, ARGS(arg_i(flow_id), arg_i(version)));
  bool found = cursor_next(&c);
  if (found) *out = def_row_flow(c.cell);
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  if (!rc && found && !*out) return wr_err_set(err, WR_INTERNAL, "The stored flow %lld is not whole.", (long long)flow_id);
  if (!rc && !*out) rc = wr_err_set(err, WR_NOT_FOUND, "Flow %lld does not exist.", (long long)flow_id);
  return rc;
}

/* A version never changes once its head is there, so the three reads need no common view. */
enum wr_rc sql_reader_flow(struct reader *r, int64_t flow_id, int64_t version, struct flow_def **out, struct wr_err *err) {
  struct flow_def *f;
  enum wr_rc rc = flow_head_read(r, flow_id, version, &f, err);
  if (!rc) rc = flow_nodes_read(r, f, err);
  if (!rc) rc = flow_edges_read(r, f, err);
  if (!rc) rc = def_flow_compile(f, err);
  *out = rc ? NULL : f;
  if (rc && f) def_flow_unref(f);
  return rc;
}
