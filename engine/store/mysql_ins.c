/* One flow instance, its nodes and tasks, read back for the API. A reader's thread. Rows are found by the arithmetic of
 * ids: a run has a first node id and a first task id, a node is the first + its index. */
#include <stdlib.h>
#include "ins_rows.h"
#include "map64.h"
#include "mysql_rd.h"

enum { FETCH = 200 };   /* rows of several runs fetched at once */

enum wr_rc my_reader_flow_ins(struct reader *rd, int64_t fi, flow_row_fn *fn, void *ctx, struct wr_err *err) {
  struct my_rows q;
  struct flow_row row;
  unsigned e = my_select(&my_reader_of(rd)->c, &q, "SELECT " MY_FLOW_COLS ", h.flow_name FROM task_flow_ins i LEFT JOIN task_flow_history h "
                         "ON h.flow_id=i.flow_id AND h.flow_version=i.flow_version WHERE i.fi_id=?", MY_ARGS(my_ai(fi)));
  if (e) return my_err(e, err);
  bool found = my_next(&q);
  if (found) {
    my_get_flow(q.cell, &row, NULL);
    row.flow_name = my_str(&q.cell[MY_FLOW_NAME], NULL);
    (void)fn(ctx, &row); /* it was the only one */
  }
  enum wr_rc rc = my_rd_end(&q, WR_OK, err);
  return rc || found ? rc : no_such(err, "flow instance", fi);
}

/* ---- nodes ---- */
/* Of the runs up to run_no: each has one base. */
static enum wr_rc span_read(struct my_reader *r, int64_t fi, uint32_t run_no, struct span *s, struct wr_err *err) {
  struct my_rows q;
  unsigned e = my_select(&r->c, &q, "SELECT i.bases, h.n_node_ins FROM task_flow_ins i JOIN task_flow_history h ON h.flow_id=i.flow_id "
                         "AND h.flow_version=i.flow_version WHERE i.fi_id=?", MY_ARGS(my_ai(fi)));
  if (e) return my_err(e, err);
  bool found = my_next(&q);
  if (found) span_add(s, my_str(&q.cell[0], NULL));
  if (found) span_nodes(s, my_int(&q.cell[1]));
  if (s->n_base > run_no) s->n_base = run_no;
  enum wr_rc rc = my_rd_end(&q, WR_OK, err);
  return rc || found ? rc : no_such(err, "flow instance", fi);
}

/* A page under way. */
struct show { const struct page *p; node_row_fn *fn; void *ctx; bool more; };

/* limit rows after offset of lo..hi. */
static enum wr_rc show_range(struct my_reader *r, int64_t lo, int64_t hi, struct show *w, struct wr_err *err) {
  struct my_rows q;
  struct node_row row;
  int64_t offset = w->p->offset > INT64_MAX ? INT64_MAX : (int64_t)w->p->offset;
  unsigned e = my_select(&r->c, &q, "SELECT " MY_NODE_COLS " FROM task_node_ins FORCE INDEX(PRIMARY) WHERE ni_id BETWEEN ? AND ? ORDER BY ni_id "
                         "LIMIT ? OFFSET ?", MY_ARGS(my_ai(lo), my_ai(hi), my_ai((int64_t)w->p->limit + 1), my_ai(offset)));
  if (e) return my_err(e, err);
  for (uint32_t i = 0; my_next(&q); i++) {
    w->more = i == w->p->limit;
    if (w->more) break;
    my_get_node(q.cell, &row, NULL);
    if (w->fn(w->ctx, &row)) break;
  }
  return my_rd_end(&q, WR_OK, err);
}

/* Several runs: which rows there are, as (index, run), then the page of them. */
static enum wr_rc places_read(struct my_reader *r, const struct span *s, struct places *out, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  for (size_t run = 0; run < s->n_base && !rc; run++) {
    struct my_rows q;
    int64_t lo = s->base[run].ni;
    unsigned e = my_select(&r->c, &q, "SELECT ni_id FROM task_node_ins FORCE INDEX(PRIMARY) WHERE ni_id BETWEEN ? AND ? ORDER BY ni_id",
                           MY_ARGS(my_ai(lo), my_ai(lo + s->n - 1)));
    if (e) return my_err(e, err);
    while (my_next(&q)) places_add(out, (uint32_t)(my_int(&q.cell[0]) - lo), run);
    rc = my_rd_end(&q, WR_OK, err);
  }
  places_sort(out);
  return rc;
}

/* Up to FETCH rows by one IN list; shown in the order of the places. The list holds integers only. */
static enum wr_rc show_some(struct my_reader *r, const struct span *s, const struct place *v, size_t n, struct show *w, bool *stop,
                            struct wr_err *err) {
  struct node_row row[FETCH];
  struct my_cell c[MY_COLS];
  struct arena texts;
  struct sql q = {0};
  size_t got = 0;
  sql_str(&q, "SELECT " MY_NODE_COLS " FROM task_node_ins FORCE INDEX(PRIMARY) WHERE ni_id IN(");
  for (size_t i = 0; i < n; i++) {
    sql_sep(&q, i, ",");
    sql_i64(&q, place_ni(s, &v[i]));
  }
  sql_str(&q, ")ORDER BY ni_id");
  unsigned e = my_query(&r->c, q.b.data, q.b.len);
  MYSQL_RES *res = e ? NULL : mysql_store_result(r->c.m);
  sql_done(&q);
  if (!e && !res) e = my_fail(&r->c, mysql_errno(r->c.m));
  if (e) return my_err(e, err);
  arena_init(&texts, 0);
  for (MYSQL_ROW line; got < n && (line = mysql_fetch_row(res)); got++) {
    my_cells(res, line, c);
    my_get_node(c, &row[got], &texts);
  }
  for (size_t i = 0; i < n && !*stop; i++) {
    struct node_row key = {.ni = place_ni(s, &v[i])}, *hit = bsearch(&key, row, got, sizeof *row, wr_by_id);
    if (hit) *stop = w->fn(w->ctx, hit) != 0;
  }
  mysql_free_result(res);
  arena_done(&texts);
  return WR_OK;
}

static enum wr_rc show_places(struct my_reader *r, const struct span *s, const struct places *v, struct show *w, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  bool stop = false;
  if (w->p->offset >= v->n) return WR_OK;
  size_t end = v->n - w->p->offset > w->p->limit ? (size_t)w->p->offset + w->p->limit : v->n;
  w->more = end < v->n;
  for (size_t i = w->p->offset; i < end && !rc && !stop; i += FETCH)
    rc = show_some(r, s, &v->v[i], end - i < FETCH ? end - i : FETCH, w, &stop, err);
  return rc;
}

static enum wr_rc one_run(struct my_reader *r, const struct span *s, struct show *w, int64_t *total, struct wr_err *err) {
  int64_t lo = s->n_base ? s->base[0].ni : 1, hi = s->n_base ? lo + s->n - 1 : 0;
  enum wr_rc rc = show_range(r, lo, hi, w, err);
  if (rc || !w->p->want_total) return rc;
  return my_rd_int(r, "SELECT COUNT(*) FROM task_node_ins FORCE INDEX(PRIMARY) WHERE ni_id BETWEEN ? AND ?", MY_ARGS(my_ai(lo), my_ai(hi)),
                   total, err);
}

enum wr_rc my_reader_nodes(struct reader *rd, int64_t fi, uint32_t run_no, bool all_runs, const struct page *p, node_row_fn *fn,
                           void *ctx, bool *more, int64_t *total, struct wr_err *err) {
  struct my_reader *r = my_reader_of(rd);
  struct span s = {0};
  struct places v = {0};
  struct show w = {p, fn, ctx, false};
  *total = -1;
  enum wr_rc rc = span_read(r, fi, run_no, &s, err);
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
  return rc;
}

enum wr_rc my_reader_node(struct reader *rd, int64_t ni, node_row_fn *fn, void *ctx, struct wr_err *err) {
  struct my_rows q;
  struct node_row row;
  unsigned e = my_select(&my_reader_of(rd)->c, &q, "SELECT " MY_NODE_COLS " FROM task_node_ins WHERE ni_id=?", MY_ARGS(my_ai(ni)));
  if (e) return my_err(e, err);
  bool found = my_next(&q);
  if (found) {
    my_get_node(q.cell, &row, NULL);
    (void)fn(ctx, &row);
  }
  enum wr_rc rc = my_rd_end(&q, WR_OK, err);
  return rc || found ? rc : no_such(err, "node instance", ni);
}

/* ---- tasks ---- */
/* *found: how many there are. */
static enum wr_rc show_tasks(struct my_reader *r, struct id_range v, task_row_fn *fn, void *ctx, size_t *found, struct wr_err *err) {
  struct my_rows q;
  struct task_row row;
  *found = 0;
  unsigned e = my_select(&r->c, &q, "SELECT " MY_TASK_COLS " FROM task_ins FORCE INDEX(PRIMARY) WHERE ti_id BETWEEN ? AND ? ORDER BY ti_id",
                         MY_ARGS(my_ai(v.lo), my_ai(v.hi)));
  if (e) return my_err(e, err);
  while (my_next(&q)) {
    ++*found;
    my_get_task(q.cell, &row, NULL);
    if (fn(ctx, &row)) break;
  }
  return my_rd_end(&q, WR_OK, err);
}

/* First and last task id of a node instance. */
static enum wr_rc node_tasks(struct my_reader *r, int64_t ni, struct id_range *v, struct wr_err *err) {
  struct my_rows q;
  *v = (struct id_range){1, 0};
  unsigned e = my_select(&r->c, &q, "SELECT d.task_at, d.n_task, i.bases, h.n_node_ins FROM task_node_ins n JOIN task_node d ON d.node_id=n.node_id "
                         "JOIN task_flow_ins i ON i.fi_id=n.fi_id JOIN task_flow_history h ON h.flow_id=i.flow_id AND "
                         "h.flow_version=i.flow_version WHERE n.ni_id=?", MY_ARGS(my_ai(ni)));
  if (e) return my_err(e, err);
  bool found = my_next(&q);
  if (found) *v = span_tasks(my_str(&q.cell[2], NULL), my_int(&q.cell[3]), ni, my_int(&q.cell[0]), my_int(&q.cell[1]));
  enum wr_rc rc = my_rd_end(&q, WR_OK, err);
  return rc || found ? rc : no_such(err, "node instance", ni);
}

enum wr_rc my_reader_node_tasks(struct reader *rd, int64_t ni, task_row_fn *fn, void *ctx, struct wr_err *err) {
  struct my_reader *r = my_reader_of(rd);
  struct id_range v;
  size_t found;
  enum wr_rc rc = node_tasks(r, ni, &v, err);
  return rc ? rc : show_tasks(r, v, fn, ctx, &found, err);
}

enum wr_rc my_reader_task_ins(struct reader *rd, int64_t ti, task_row_fn *fn, void *ctx, struct wr_err *err) {
  size_t found;
  enum wr_rc rc = show_tasks(my_reader_of(rd), (struct id_range){ti, ti}, fn, ctx, &found, err);
  return rc || found ? rc : no_such(err, "task instance", ti);
}

enum wr_rc my_reader_attempts(struct reader *rd, int64_t ti, attempt_row_fn *fn, void *ctx, struct wr_err *err) {
  struct my_rows q;
  unsigned e = my_select(&my_reader_of(rd)->c, &q, "SELECT ti_id, epoch, owner, start_time, end_time, why, error_msg, "
                         "exit_code, `signal` FROM task_attempt WHERE ti_id=? ORDER BY epoch", MY_ARGS(my_ai(ti)));
  if (e) return my_err(e, err);
  while (my_next(&q)) {
    struct attempt_row row = {
      .ti = my_int(&q.cell[0]), .epoch = (uint32_t)my_int(&q.cell[1]), .owner = my_int(&q.cell[2]), .start_us = my_us(&q.cell[3]),
      .end_us = my_us(&q.cell[4]), .why = my_str(&q.cell[5], NULL), .error = my_str(&q.cell[6], NULL),
      .exit_code = q.cell[7].kind == MY_NULL ? -1 : (int32_t)my_int(&q.cell[7]), .signal = (int32_t)my_int(&q.cell[8])};
    if (fn(ctx, &row)) break;
  }
  return my_rd_end(&q, WR_OK, err);
}
