/* Lists: definitions, and flow instances by every filter of /monitor/flow. Newest first. Read-only; a reader's thread.
 *
 * Flow instances: for each wanted state there is one range of an index, in order of (start_time, fi_id); a page is their
 * merge, so its cost depends on offset + limit, never on how much history there is. The rows are fetched afterwards, in
 * the same snapshot. start_time is the time of acceptance, so this is the order of creation; what has not started yet
 * would come first. */
#include <string.h>
#include "ins_rows.h"
#include "sqlite_rd.h"

/* ---- definitions ---- */
/* %name% with the signs of LIKE taken as they are; NULL for no name. */
static const char *like(struct buf *b, const char *name) {
  if (!name) return NULL;
  buf_ch(b, '%');
  for (; *name; name++) {
    if (*name == '%' || *name == '_' || *name == '\\') buf_ch(b, '\\');
    buf_ch(b, *name);
  }
  buf_ch(b, '%');
  return b->data;
}

static void bind_page(sqlite3_stmt *q, const struct page *p) {
  sq_int(q, 3, (int64_t)p->limit + 1); /* one beyond tells whether there is more */
  sq_int(q, 4, p->offset > INT64_MAX ? INT64_MAX : (int64_t)p->offset);
}

static enum wr_rc count_defs(struct sq_reader *r, enum rd_stmt which, const char *name, const struct list_filter *f,
                             int64_t *total, struct wr_err *err) {
  sqlite3_stmt *q = sq_rd(r, which, err);
  if (!q) return r->why;
  sq_text(q, 1, name);
  if (which == RD_FLOWS_N) sq_int(q, 2, f->flow_id);
  else sq_text(q, 2, f->type);
  if (sqlite3_step(q) == SQLITE_ROW) *total = sq_col(q, 0);
  return sq_rd_end(r, q, err);
}

enum wr_rc sq_list_tasks(struct reader *rd, const struct list_filter *f, const struct page *p, task_def_fn *fn, void *ctx,
                         bool *more, int64_t *total, struct wr_err *err) {
  struct sq_reader *r = sq_reader_of(rd);
  struct buf b = BUF_INIT;
  enum wr_rc rc = WR_OK;
  struct task_def t;
  *more = false, *total = -1;
  sqlite3_stmt *q = sq_rd(r, f->type ? RD_TASKS_TYPE : RD_TASKS, err);
  if (!q) return r->why;
  const char *name = like(&b, f->name_like);
  sq_text(q, 1, name);
  if (f->type) sq_text(q, 2, f->type);
  bind_page(q, p);
  for (uint32_t i = 0; sqlite3_step(q) == SQLITE_ROW; i++) {
    if (i == p->limit) *more = true;
    if (i == p->limit) break;
    sq_rd_task(q, &t);
    if (fn(ctx, &t)) break;
  }
  rc = sq_rd_end(r, q, err);
  if (!rc && p->want_total) rc = count_defs(r, RD_TASKS_N, name, f, total, err);
  buf_done(&b);
  return rc;
}

enum wr_rc sq_list_flows(struct reader *rd, const struct list_filter *f, const struct page *p, flow_def_fn *fn, void *ctx,
                         bool *more, int64_t *total, struct wr_err *err) {
  struct sq_reader *r = sq_reader_of(rd);
  struct buf b = BUF_INIT;
  enum wr_rc rc = WR_OK;
  struct flow_def d;
  *more = false, *total = -1;
  sqlite3_stmt *q = sq_rd(r, RD_FLOWS, err);
  if (!q) return r->why;
  const char *name = like(&b, f->name_like);
  sq_text(q, 1, name);
  sq_int(q, 2, f->flow_id);
  bind_page(q, p);
  for (uint32_t i = 0; sqlite3_step(q) == SQLITE_ROW; i++) {
    if (i == p->limit) *more = true;
    if (i == p->limit) break;
    sq_rd_flow(q, &d);
    if (fn(ctx, &d)) break;
  }
  rc = sq_rd_end(r, q, err);
  if (!rc && p->want_total) rc = count_defs(r, RD_FLOWS_N, name, f, total, err);
  buf_done(&b);
  return rc;
}

/* ---- flow instances ---- */
struct stream { sqlite3_stmt *q; int64_t start, fi; bool open; };
struct merge { struct sq_reader *r; struct stream v[FILTER_STATES]; int n; };

static enum wr_rc bind_filter(struct sq_reader *r, enum rd_stmt which, const struct list_filter *f, int state, sqlite3_stmt **q,
                              struct wr_err *err) {
  *q = sq_rd(r, which, err);
  if (!*q) return r->why;
  if (f->flow_id) sq_int(*q, 1, f->flow_id);
  sq_int(*q, 2, state);
  if (!filter_timed(f)) return WR_OK;
  sq_int(*q, 3, f->from_us);
  sq_int(*q, 4, f->to_us ? f->to_us : INT64_MAX);
  return WR_OK;
}

static void stream_next(struct stream *s) {
  s->open = sqlite3_step(s->q) == SQLITE_ROW;
  if (!s->open) return;
  s->start = sqlite3_column_type(s->q, 0) == SQLITE_NULL ? INT64_MAX : sq_col(s->q, 0);
  s->fi = sq_col(s->q, 1);
}

static enum wr_rc merge_open(struct merge *m, const struct list_filter *f, struct wr_err *err) {
  static const enum rd_stmt first[2][2] = {{RD_S_ALL, RD_S_ALL_TIME}, {RD_S_FLOW, RD_S_FLOW_TIME}};
  int state[FILTER_STATES], n = filter_states(f, state);
  for (int i = 0; i < n; i++) {
    enum rd_stmt which = (enum rd_stmt)((int)first[f->flow_id != 0][filter_timed(f)] + i);
    enum wr_rc rc = bind_filter(m->r, which, f, state[i], &m->v[i].q, err);
    if (rc) return rc;
    stream_next(&m->v[m->n++]);
  }
  return WR_OK;
}

/* The newest of all heads; 0 at the end. */
static int64_t merge_next(struct merge *m) {
  struct stream *best = NULL;
  for (int i = 0; i < m->n; i++) {
    struct stream *s = &m->v[i];
    if (!s->open) continue;
    if (!best || s->start > best->start || (s->start == best->start && s->fi > best->fi)) best = s;
  }
  if (!best) return 0;
  int64_t fi = best->fi;
  stream_next(best);
  return fi;
}

static enum wr_rc merge_close(struct merge *m, enum wr_rc rc, struct wr_err *err) {
  for (int i = 0; i < m->n; i++) {
    enum wr_rc end = sq_rd_end(m->r, m->v[i].q, rc ? NULL : err);
    if (!rc) rc = end;
  }
  return rc;
}

/* The row of fi. *go is cleared when fn has had enough. */
static enum wr_rc show(struct sq_reader *r, int64_t fi, flow_row_fn *fn, void *ctx, bool *go, struct wr_err *err) {
  struct flow_row row;
  sqlite3_stmt *q = sq_rd(r, RD_FLOW_INS, err);
  if (!q) return r->why;
  sq_int(q, 1, fi);
  if (sqlite3_step(q) == SQLITE_ROW) {
    sq_get_flow(q, &row, NULL);
    row.flow_name = sq_col_text(q, SQ_FLOW_NAME, NULL);
    *go = fn(ctx, &row) == 0;
  }
  return sq_rd_end(r, q, err);
}

static enum wr_rc count_ins(struct sq_reader *r, const struct list_filter *f, int64_t *total, struct wr_err *err) {
  static const enum rd_stmt which[2][2] = {{RD_N_ALL, RD_N_ALL_TIME}, {RD_N_FLOW, RD_N_FLOW_TIME}};
  int state[FILTER_STATES], n = filter_states(f, state);
  *total = 0;
  for (int i = 0; i < n; i++) {
    sqlite3_stmt *q;
    enum wr_rc rc = bind_filter(r, which[f->flow_id != 0][filter_timed(f)], f, state[i], &q, err);
    if (rc) return rc;
    if (sqlite3_step(q) == SQLITE_ROW) *total += sq_col(q, 0);
    rc = sq_rd_end(r, q, err);
    if (rc) return rc;
  }
  return WR_OK;
}

struct show { const struct page *p; flow_row_fn *fn; void *ctx; bool more, go; };

static enum wr_rc list_merged(struct sq_reader *r, const struct list_filter *f, struct show *w, struct wr_err *err) {
  struct merge m = {.r = r};
  int64_t fi = 1;
  enum wr_rc rc = merge_open(&m, f, err);
  for (uint64_t i = 0; !rc && i < w->p->offset && fi; i++) fi = merge_next(&m);
  for (uint32_t i = 0; !rc && w->go && fi && (fi = merge_next(&m)); i++) {
    w->more = i == w->p->limit;
    if (w->more) break;
    rc = show(r, fi, w->fn, w->ctx, &w->go, err);
  }
  return merge_close(&m, rc, err);
}

enum wr_rc sq_list_flow_ins(struct reader *rd, const struct list_filter *f, const struct page *p, flow_row_fn *fn, void *ctx,
                            bool *more, int64_t *total, struct wr_err *err) {
  struct sq_reader *r = sq_reader_of(rd);
  struct show w = {p, fn, ctx, false, true};
  *more = false, *total = -1;
  if (f->fi) {
    struct list_one o = {f, p, fn, ctx, false};
    enum wr_rc rc = show(r, f->fi, list_one_row, &o, &w.go, err);
    if (p->want_total) *total = o.hit;
    return rc;
  }
  enum wr_rc rc = sq_rd_snapshot(r, err);
  if (rc) return rc;
  rc = list_merged(r, f, &w, err);
  *more = w.more;
  if (!rc && p->want_total) rc = count_ins(r, f, total, err);
  return sq_rd_release(r, rc, err);
}
