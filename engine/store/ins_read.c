/* One flow instance, its nodes and tasks, read back for the API; and the members that live. Read-only; a reader's thread. Rows
 * are found by the arithmetic of ids: a run has a first node id and a first task id, a node is the first + its index. */
#include <stdlib.h>
#include "ins_rows.h"
#include "map64.h"
#include "sql.h"

enum { FETCH = 200 };   /* rows of several runs fetched at once */

enum wr_rc reader_flow_ins(struct reader *r, int64_t fi, flow_row_fn *fn, void *ctx, struct wr_err *err) {
  struct cursor c;
  struct flow_row row;
  db_select(r->db, &c, Q_FLOW_INS, ARGS(arg_i(fi)));
  bool found = cursor_next(&c);
  if (found) {
    ins_row_flow(c.cell, &row, NULL);
    row.flow_name = cell_text(&c.cell[FLOW_NAME_CELL], NULL);
    (void)fn(ctx, &row); /* the only row, so its answer does not matter */
  }
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  return rc || found ? rc : no_such(err, "flow instance", fi);
}

/* ---- nodes ---- */
/* The node ids of the runs up to run_no: each run has one base. */
static enum wr_rc span_read(struct reader *r, int64_t fi, uint32_t run_no, struct span *s, struct wr_err *err) {
  struct cursor c;
  db_select(r->db, &c, Q_INS_SPAN, ARGS(arg_i(fi)));
  bool found = cursor_next(&c);
  if (found) span_add(s, cell_text(&c.cell[0], NULL));
  if (found) span_nodes(s, cell_i64(&c.cell[1]));
  if (s->n_base > run_no) s->n_base = run_no;
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  return rc || found ? rc : no_such(err, "flow instance", fi);
}

/* A page under way. */
struct node_page { const struct page *p; node_row_fn *fn; void *ctx; bool more; };

/* The page, from the rows lo..hi. */
static enum wr_rc show_range(struct reader *r, int64_t lo, int64_t hi, struct node_page *w, struct wr_err *err) {
  struct cursor c;
  struct node_row row;
  db_select(r->db, &c, Q_INS_NODES, ARGS(arg_i(lo), arg_i(hi), arg_i((int64_t)w->p->limit + 1), arg_i(page_offset(w->p))));
  for (uint32_t i = 0; cursor_next(&c); i++) {
    w->more = i == w->p->limit;
    if (w->more) break;
    ins_row_node(c.cell, &row, NULL);
    if (w->fn(w->ctx, &row)) break;
  }
  return cursor_end(&c, WR_OK, err);
}

/* Of several runs: notes which rows there are, as (index, run); the page is cut from these. */
static enum wr_rc places_read(struct reader *r, const struct span *s, struct places *out, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  for (size_t run = 0; run < s->n_base && !rc; run++) {
    struct cursor c;
    int64_t lo = s->base[run].ni;
    db_select(r->db, &c, Q_INS_NODE_IDS, ARGS(arg_i(lo), arg_i(lo + s->n - 1)));
    while (cursor_next(&c)) places_add(out, (uint32_t)(cell_i64(&c.cell[0]) - lo), run);
    rc = cursor_end(&c, WR_OK, err);
  }
  places_sort(out);
  return rc;
}

/* Up to FETCH rows, shown in the order of the places. */
static enum wr_rc show_some(struct reader *r, const struct span *s, const struct place *v, size_t n, struct node_page *w,
                            bool *stop, struct wr_err *err) {
  struct node_row row[FETCH];
  int64_t id[FETCH];
  struct arena texts;
  struct cursor c;
  size_t got = 0;
  for (size_t i = 0; i < n; i++) id[i] = place_ni(s, &v[i]);
  arena_init(&texts, 0);
  db_select_ids(r->db, &c, Q_INS_NODES_BY, id, n);
  while (got < n && cursor_next(&c)) ins_row_node(c.cell, &row[got++], &texts);
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  qsort(row, got, sizeof *row, wr_by_id);
  for (size_t i = 0; i < n && !rc && !*stop; i++) {
    struct node_row key = {.ni = id[i]}, *hit = bsearch(&key, row, got, sizeof *row, wr_by_id);
    if (hit) *stop = w->fn(w->ctx, hit) != 0;
  }
  arena_done(&texts);
  return rc;
}

static enum wr_rc show_places(struct reader *r, const struct span *s, const struct places *v, struct node_page *w,
                              struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  bool stop = false;
  if (w->p->offset >= v->n) return WR_OK;
  size_t end = v->n - w->p->offset > w->p->limit ? (size_t)w->p->offset + w->p->limit : v->n;
  w->more = end < v->n;
  for (size_t i = w->p->offset; i < end && !rc && !stop; i += FETCH)
    rc = show_some(r, s, &v->v[i], end - i < FETCH ? end - i : FETCH, w, &stop, err);
  return rc;
}

static enum wr_rc one_run(struct reader *r, const struct span *s, struct node_page *w, int64_t *total, struct wr_err *err) {
  int64_t lo = s->n_base ? s->base[0].ni : 1, hi = s->n_base ? lo + s->n - 1 : 0;
  enum wr_rc rc = show_range(r, lo, hi, w, err);
  return !rc && w->p->want_total ? db_int(r->db, Q_INS_NODES_N, ARGS(arg_i(lo), arg_i(hi)), total, err) : rc;
}

enum wr_rc reader_nodes(struct reader *r, int64_t fi, uint32_t run_no, bool all_runs, const struct page *p, node_row_fn *fn,
                        void *ctx, bool *more, int64_t *total, struct wr_err *err) {
  struct span s = {0};
  struct places v = {0};
  struct node_page w = {p, fn, ctx, false};
  *total = -1;
  enum wr_rc rc = db_view(r->db, err);
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
  return db_view_end(r->db, rc, err);
}

/* Of several runs: a node's newest row counts, so the runs are read from the first to the last. */
static enum wr_rc ended_of_runs(struct reader *r, const struct span *s, int64_t *ended, struct wr_err *err) {
  uint8_t *over = wr_calloc((size_t)s->n + 1, 1);
  enum wr_rc rc = WR_OK;
  for (size_t run = 0; run < s->n_base && !rc; run++) {
    struct cursor c;
    int64_t lo = s->base[run].ni;
    db_select(r->db, &c, Q_INS_NODE_STATES, ARGS(arg_i(lo), arg_i(lo + s->n - 1)));
    while (cursor_next(&c)) over[cell_i64(&c.cell[0]) - lo] = cell_i64(&c.cell[1]) >= NODE_FINAL_MIN;
    rc = cursor_end(&c, WR_OK, err);
  }
  for (int64_t i = 0; i < s->n; i++) *ended += over[i];
  free(over);
  return rc;
}

enum wr_rc reader_nodes_ended(struct reader *r, int64_t fi, uint32_t run_no, int64_t *ended, int64_t *n, struct wr_err *err) {
  struct span s = {0};
  *ended = *n = 0;
  enum wr_rc rc = db_view(r->db, err);
  if (rc) return rc;
  rc = span_read(r, fi, run_no, &s, err);
  *n = s.n;
  if (!rc && s.n_base == 1) {
    int64_t lo = s.base[0].ni;
    rc = db_int(r->db, Q_INS_NODES_OVER, ARGS(arg_i(lo), arg_i(lo + s.n - 1), arg_i(NODE_FINAL_MIN)), ended, err);
  } else if (!rc) {
    rc = ended_of_runs(r, &s, ended, err);
  }
  free(s.base);
  return db_view_end(r->db, rc, err);
}

enum wr_rc reader_states(struct reader *r, enum ins_kind kind, const int64_t *ids, size_t n, struct ins_state *out, size_t *n_out,
                         struct wr_err *err) {
  static const enum query q[] = {[INS_FLOW] = Q_FLOW_STATES, [INS_TASK] = Q_TASK_STATES, [INS_TASK_LOG] = Q_TASK_TOPS,
                                  [INS_JOB] = Q_JOB_STATES};
  struct cursor c;
  *n_out = 0;
  db_select_ids(r->db, &c, q[kind], ids, n);
  while (*n_out < n && cursor_next(&c))
    out[(*n_out)++] = (struct ins_state){cell_i64(&c.cell[0]), cell_u8(&c.cell[1]), cell_u32(&c.cell[2]), cell_i64(&c.cell[3])};
  qsort(out, *n_out, sizeof *out, wr_by_id);
  return cursor_end(&c, WR_OK, err);
}

enum wr_rc reader_node(struct reader *r, int64_t ni, node_row_fn *fn, void *ctx, struct wr_err *err) {
  struct cursor c;
  struct node_row row;
  db_select(r->db, &c, Q_INS_NODES, ARGS(arg_i(ni), arg_i(ni), arg_i(1), arg_i(0)));
  bool found = cursor_next(&c);
  if (found) {
    ins_row_node(c.cell, &row, NULL);
    (void)fn(ctx, &row);
  }
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  return rc || found ? rc : no_such(err, "node instance", ni);
}

/* ---- tasks ---- */
/* *found: how many there are. */
static enum wr_rc show_tasks(struct reader *r, struct id_range v, task_row_fn *fn, void *ctx, size_t *found,
                             struct wr_err *err) {
  struct cursor c;
  struct task_row row;
  *found = 0;
  db_select(r->db, &c, Q_INS_TASKS, ARGS(arg_i(v.lo), arg_i(v.hi)));
  while (cursor_next(&c)) {
    ++*found;
    ins_row_task(c.cell, &row, NULL);
    if (fn(ctx, &row)) break;
  }
  return cursor_end(&c, WR_OK, err);
}

/* First and last task id of a node instance. */
static enum wr_rc node_tasks(struct reader *r, int64_t ni, struct id_range *v, struct wr_err *err) {
  struct cursor c;
  *v = (struct id_range){1, 0};
  db_select(r->db, &c, Q_NODE_SPAN, ARGS(arg_i(ni)));
  bool found = cursor_next(&c);
  if (found) *v = span_tasks(cell_text(&c.cell[2], NULL), cell_i64(&c.cell[3]), ni, cell_i64(&c.cell[0]), cell_i64(&c.cell[1]));
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  return rc || found ? rc : no_such(err, "node instance", ni);
}

enum wr_rc reader_node_tasks(struct reader *r, int64_t ni, task_row_fn *fn, void *ctx, struct wr_err *err) {
  struct id_range v;
  size_t found;
  enum wr_rc rc = node_tasks(r, ni, &v, err);
  return rc ? rc : show_tasks(r, v, fn, ctx, &found, err);
}

enum wr_rc reader_task_ins(struct reader *r, int64_t ti, task_row_fn *fn, void *ctx, struct wr_err *err) {
  size_t found;
  enum wr_rc rc = show_tasks(r, (struct id_range){ti, ti}, fn, ctx, &found, err);
  return rc || found ? rc : no_such(err, "task instance", ti);
}

enum wr_rc reader_attempts(struct reader *r, int64_t ti, attempt_row_fn *fn, void *ctx, struct wr_err *err) {
  struct cursor c;
  db_select(r->db, &c, Q_ATTEMPTS, ARGS(arg_i(ti)));
  while (cursor_next(&c)) {
    struct attempt_row row = {
      .ti = cell_i64(&c.cell[0]), .epoch = cell_u32(&c.cell[1]), .owner = cell_i64(&c.cell[2]), .start_us = cell_us(&c.cell[3]),
      .end_us = cell_us(&c.cell[4]), .why = cell_text(&c.cell[5], NULL), .error = cell_text(&c.cell[6], NULL),
      .exit_code = cell_null(&c.cell[7]) ? -1 : fit_i32(cell_i64(&c.cell[7])), .signal = fit_i32(cell_i64(&c.cell[8])),
      .run_no = cell_u32(&c.cell[9]), .said = cell_u8(&c.cell[10])};
    if (fn(ctx, &row)) break;
  }
  return cursor_end(&c, WR_OK, err);
}

/* ---- members ---- */
enum wr_rc reader_offers(struct reader *r, node_offer_fn *fn, void *ctx, struct wr_err *err) {
  struct cursor c;
  db_select(r->db, &c, Q_OFFERS, NULL, 0);
  while (cursor_next(&c)) {
    struct node_offer o = {cell_i64(&c.cell[0]), cell_text(&c.cell[1], NULL), cell_text(&c.cell[2], NULL),
                           cell_text(&c.cell[3], NULL), cell_i64(&c.cell[4]), cell_text(&c.cell[5], NULL),
                           cell_text(&c.cell[6], NULL), cell_i64(&c.cell[7]) != 0, cell_text(&c.cell[8], NULL),
                           cell_text(&c.cell[9], NULL)};
    if (fn(ctx, &o)) break;
  }
  return cursor_end(&c, WR_OK, err);
}
