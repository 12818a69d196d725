/* One flow instance, its nodes and tasks, read back for the API. Read-only; a reader's thread. Rows are found by the
 * arithmetic of ids: a run has a first node id and a first task id, a node is the first + its index. */
#include <stdlib.h>
#include "ins_rows.h"
#include "sqlite_rd.h"

enum wr_rc sq_reader_flow_ins(struct reader *rd, int64_t fi, flow_row_fn *fn, void *ctx, struct wr_err *err) {
  struct sq_reader *r = sq_reader_of(rd);
  struct flow_row row;
  sqlite3_stmt *q = sq_rd(r, RD_FLOW_INS, err);
  if (!q) return r->why;
  sq_int(q, 1, fi);
  bool found = sqlite3_step(q) == SQLITE_ROW;
  if (found) {
    sq_get_flow(q, &row, NULL);
    row.flow_name = sq_col_text(q, SQ_FLOW_NAME, NULL);
    (void)fn(ctx, &row); /* it was the only one */
  }
  enum wr_rc rc = sq_rd_end(r, q, err);
  return rc || found ? rc : no_such(err, "flow instance", fi);
}

/* ---- nodes ---- */
/* Of the runs up to run_no: each has one base. */
static enum wr_rc span_read(struct sq_reader *r, int64_t fi, uint32_t run_no, struct span *s, struct wr_err *err) {
  sqlite3_stmt *q = sq_rd(r, RD_INS_SPAN, err);
  if (!q) return r->why;
  sq_int(q, 1, fi);
  bool found = sqlite3_step(q) == SQLITE_ROW;
  if (found) span_add(s, sq_col_text(q, 0, NULL));
  if (found) span_nodes(s, sq_col(q, 1));
  if (s->n_base > run_no) s->n_base = run_no;
  enum wr_rc rc = sq_rd_end(r, q, err);
  return rc || found ? rc : no_such(err, "flow instance", fi);
}

/* A page under way. */
struct show { const struct page *p; node_row_fn *fn; void *ctx; bool more, stop; };

/* limit rows after offset of lo..hi. */
static enum wr_rc show_range(struct sq_reader *r, int64_t lo, int64_t hi, struct show *w, struct wr_err *err) {
  struct node_row row;
  sqlite3_stmt *q = sq_rd(r, RD_INS_NODES, err);
  if (!q) return r->why;
  sq_int(q, 1, lo);
  sq_int(q, 2, hi);
  sq_int(q, 3, (int64_t)w->p->limit + 1);
  sq_int(q, 4, w->p->offset > INT64_MAX ? INT64_MAX : (int64_t)w->p->offset);
  for (uint32_t i = 0; !w->stop && sqlite3_step(q) == SQLITE_ROW; i++) {
    w->more = i == w->p->limit;
    if (w->more) break;
    sq_get_node(q, &row, NULL);
    w->stop = w->fn(w->ctx, &row) != 0;
  }
  return sq_rd_end(r, q, err);
}

static enum wr_rc count_range(struct sq_reader *r, int64_t lo, int64_t hi, int64_t *total, struct wr_err *err) {
  sqlite3_stmt *q = sq_rd(r, RD_INS_NODES_N, err);
  if (!q) return r->why;
  sq_int(q, 1, lo);
  sq_int(q, 2, hi);
  if (sqlite3_step(q) == SQLITE_ROW) *total = sq_col(q, 0);
  return sq_rd_end(r, q, err);
}

/* Several runs: which rows there are, as (index, run), then the page of them one by one. */
static enum wr_rc places_read(struct sq_reader *r, const struct span *s, struct places *out, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  sqlite3_stmt *q = sq_rd(r, RD_INS_NODE_IDS, err);
  if (!q) return r->why;
  for (size_t run = 0; run < s->n_base && !rc; run++) {
    sq_int(q, 1, s->base[run].ni);
    sq_int(q, 2, s->base[run].ni + s->n - 1);
    while (sqlite3_step(q) == SQLITE_ROW) places_add(out, (uint32_t)(sq_col(q, 0) - s->base[run].ni), run);
    rc = sq_rd_end(r, q, err);
  }
  places_sort(out);
  return rc;
}

static enum wr_rc show_places(struct sq_reader *r, const struct span *s, const struct places *v, struct show *w, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  const struct page one = {.limit = 1};
  struct show each = {&one, w->fn, w->ctx, false, false};
  for (size_t i = w->p->offset; i < v->n && i - w->p->offset < w->p->limit && !rc && !each.stop; i++) {
    int64_t ni = place_ni(s, &v->v[i]);
    rc = show_range(r, ni, ni, &each, err);
  }
  w->more = w->p->offset < v->n && v->n - w->p->offset > w->p->limit;
  return rc;
}

static enum wr_rc one_run(struct sq_reader *r, const struct span *s, struct show *w, int64_t *total, struct wr_err *err) {
  int64_t lo = s->n_base ? s->base[0].ni : 1, hi = s->n_base ? lo + s->n - 1 : 0;
  enum wr_rc rc = show_range(r, lo, hi, w, err);
  return !rc && w->p->want_total ? count_range(r, lo, hi, total, err) : rc;
}

enum wr_rc sq_reader_nodes(struct reader *rd, int64_t fi, uint32_t run_no, bool all_runs, const struct page *p, node_row_fn *fn,
                           void *ctx, bool *more, int64_t *total, struct wr_err *err) {
  struct sq_reader *r = sq_reader_of(rd);
  struct span s = {0};
  struct places v = {0};
  struct show w = {p, fn, ctx, false, false};
  *total = -1;
  enum wr_rc rc = sq_rd_snapshot(r, err);
  if (rc) return rc;
  rc = span_read(r, fi, run_no, &s, err);
  if (!rc && s.n_base <= 1) rc = one_run(r, &s, &w, total, err);
  else if (!rc) {
    rc = places_read(r, &s, &v, err);
    if (!all_runs) places_newest(&v);
    if (!rc) rc = show_places(r, &s, &v, &w, err);
    if (p->want_total) *total = (int64_t)v.n;
  }
  *more = w.more;
  free(v.v);
  free(s.base);
  return sq_rd_release(r, rc, err);
}

enum wr_rc sq_reader_node(struct reader *rd, int64_t ni, node_row_fn *fn, void *ctx, struct wr_err *err) {
  struct sq_reader *r = sq_reader_of(rd);
  struct node_row row;
  sqlite3_stmt *q = sq_rd(r, RD_INS_NODES, err);
  if (!q) return r->why;
  sq_int(q, 1, ni);
  sq_int(q, 2, ni);
  sq_int(q, 3, 1);
  sq_int(q, 4, 0);
  bool found = sqlite3_step(q) == SQLITE_ROW;
  if (found) {
    sq_get_node(q, &row, NULL);
    (void)fn(ctx, &row);
  }
  enum wr_rc rc = sq_rd_end(r, q, err);
  return rc || found ? rc : no_such(err, "node instance", ni);
}

/* ---- tasks ---- */
/* *found: how many there are. */
static enum wr_rc show_tasks(struct sq_reader *r, struct id_range v, task_row_fn *fn, void *ctx, size_t *found, struct wr_err *err) {
  struct task_row row;
  *found = 0;
  sqlite3_stmt *q = sq_rd(r, RD_INS_TASKS, err);
  if (!q) return r->why;
  sq_int(q, 1, v.lo);
  sq_int(q, 2, v.hi);
  while (sqlite3_step(q) == SQLITE_ROW) {
    ++*found;
    sq_get_task(q, &row, NULL);
    if (fn(ctx, &row)) break;
  }
  return sq_rd_end(r, q, err);
}

/* First and last task id of a node instance. */
static enum wr_rc node_tasks(struct sq_reader *r, int64_t ni, struct id_range *v, struct wr_err *err) {
  *v = (struct id_range){1, 0};
  sqlite3_stmt *q = sq_rd(r, RD_NODE_SPAN, err);
  if (!q) return r->why;
  sq_int(q, 1, ni);
  bool found = sqlite3_step(q) == SQLITE_ROW;
  if (found) *v = span_tasks(sq_col_text(q, 2, NULL), sq_col(q, 3), ni, sq_col(q, 0), sq_col(q, 1));
  enum wr_rc rc = sq_rd_end(r, q, err);
  return rc || found ? rc : no_such(err, "node instance", ni);
}

enum wr_rc sq_reader_node_tasks(struct reader *rd, int64_t ni, task_row_fn *fn, void *ctx, struct wr_err *err) {
  struct sq_reader *r = sq_reader_of(rd);
  struct id_range v;
  size_t found;
  enum wr_rc rc = node_tasks(r, ni, &v, err);
  return rc ? rc : show_tasks(r, v, fn, ctx, &found, err);
}

enum wr_rc sq_reader_task_ins(struct reader *rd, int64_t ti, task_row_fn *fn, void *ctx, struct wr_err *err) {
  size_t found;
  enum wr_rc rc = show_tasks(sq_reader_of(rd), (struct id_range){ti, ti}, fn, ctx, &found, err);
  return rc || found ? rc : no_such(err, "task instance", ti);
}

enum wr_rc sq_reader_offers(struct reader *rd, node_offer_fn *fn, void *ctx, struct wr_err *err) {
  struct sq_reader *r = sq_reader_of(rd);
  sqlite3_stmt *q = sq_rd(r, RD_OFFERS, err);
  if (!q) return r->why;
  while (sqlite3_step(q) == SQLITE_ROW) {
    struct node_offer o = {sq_col(q, 0), sq_col_text(q, 1, NULL), sq_col_text(q, 2, NULL), sq_col_text(q, 3, NULL), sq_col(q, 4),
                           sq_col_text(q, 5, NULL)};
    if (fn(ctx, &o)) break;
  }
  return sq_rd_end(r, q, err);
}

enum wr_rc sq_reader_attempts(struct reader *rd, int64_t ti, attempt_row_fn *fn, void *ctx, struct wr_err *err) {
  struct sq_reader *r = sq_reader_of(rd);
  sqlite3_stmt *q = sq_rd(r, RD_ATTEMPTS, err);
  if (!q) return r->why;
  sq_int(q, 1, ti);
  while (sqlite3_step(q) == SQLITE_ROW) {
    struct attempt_row row = {
      .ti = sq_col(q, 0), .epoch = (uint32_t)sq_col(q, 1), .owner = sq_col(q, 2), .start_us = sq_col(q, 3),
      .end_us = sq_col(q, 4), .why = sq_col_text(q, 5, NULL), .error = sq_col_text(q, 6, NULL),
      .exit_code = sqlite3_column_type(q, 7) == SQLITE_NULL ? -1 : (int32_t)sq_col(q, 7), .signal = (int32_t)sq_col(q, 8)};
    if (fn(ctx, &row)) break;
  }
  return sq_rd_end(r, q, err);
}
