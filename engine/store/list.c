/* Lists: definitions, and flow instances by every filter of /monitor/flow. Newest first. A reader's thread; read-only.
 *
 * A page of flow instances is merged from ranges of an index in each database's own way (sqlite_list.c, mysql_list.c), so that
 * its cost depends on offset + limit and never on how much history there is. */
#include "def_rows.h"
#include "ins_rows.h"
#include "sql.h"

/* ---- definitions ---- */
/* %name%, where the signs of LIKE stand for themselves; NULL for no name. */
static const char *name_pattern(struct buf *b, const char *name) {
  if (!name) return NULL;
  buf_ch(b, '%');
  for (; *name; name++) {
    if (*name == '%' || *name == '_' || *name == '\\') buf_ch(b, '\\');
    buf_ch(b, *name);
  }
  buf_ch(b, '%');
  return b->data;
}

/* ?1 to ?4 of a list of definitions. One row beyond the page tells whether there is more. */
enum { PAGE_ARGS = 4 };
static void page_args(const char *name, struct arg second, const struct page *p, struct arg arg[PAGE_ARGS]) {
  arg[0] = arg_text(name);
  arg[1] = second;
  arg[2] = arg_i((int64_t)p->limit + 1);
  arg[3] = arg_i(page_offset(p));
}

enum wr_rc reader_list_tasks(struct reader *r, const struct list_filter *f, const struct page *p, task_def_fn *fn, void *ctx,
                             bool *more, int64_t *total, struct wr_err *err) {
  struct buf b = BUF_INIT;
  struct arg arg[PAGE_ARGS];
  struct cursor c;
  struct task_def t;
  *more = false, *total = -1;
  page_args(name_pattern(&b, f->name_like), arg_text(f->type), p, arg);
  db_select(r->db, &c, f->type ? Q_TASKS_TYPE : Q_TASKS, arg, PAGE_ARGS);
  for (uint32_t i = 0; cursor_next(&c); i++) {
    *more = i == p->limit;
    if (*more) break;
    def_row_task_show(c.cell, &t);
    if (fn(ctx, &t)) break;
  }
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  if (!rc && p->want_total) rc = db_int(r->db, Q_TASKS_N, arg, PAGE_ARGS, total, err);
  buf_done(&b);
  return rc;
}

enum wr_rc reader_list_flows(struct reader *r, const struct list_filter *f, const struct page *p, flow_def_fn *fn, void *ctx,
                             bool *more, int64_t *total, struct wr_err *err) {
  struct buf b = BUF_INIT;
  struct arg arg[PAGE_ARGS];
  struct cursor c;
  struct flow_def d;
  *more = false, *total = -1;
  page_args(name_pattern(&b, f->name_like), arg_i(f->flow_id), p, arg);
  db_select(r->db, &c, Q_FLOWS, arg, PAGE_ARGS);
  for (uint32_t i = 0; cursor_next(&c); i++) {
    *more = i == p->limit;
    if (*more) break;
    def_row_flow_show(c.cell, &d);
    if (fn(ctx, &d)) break;
  }
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  if (!rc && p->want_total) rc = db_int(r->db, Q_FLOWS_N, arg, PAGE_ARGS, total, err);
  buf_done(&b);
  return rc;
}

/* ---- flow instances ---- */
static enum wr_rc ins_count(struct reader *r, const struct list_filter *f, int64_t *total, struct wr_err *err) {
  static const enum query which[2][2] = {{Q_N_ALL, Q_N_ALL_TIME}, {Q_N_FLOW, Q_N_FLOW_TIME}};
  int state[FILTER_STATES], n = filter_states(f, state);
  enum wr_rc rc = WR_OK;
  *total = 0;
  for (int i = 0; i < n && !rc; i++) {
    struct arg arg[FILTER_ARGS];
    int64_t count = 0;
    filter_args(f, state[i], arg);
    rc = db_int(r->db, which[f->flow_id != 0][filter_timed(f)], arg, FILTER_ARGS, &count, err);
    *total += count;
  }
  return rc;
}

/* The list of one given instance: one row or none. */
static enum wr_rc ins_one(struct reader *r, const struct list_filter *f, const struct page *p, flow_row_fn *fn, void *ctx,
                          int64_t *total, struct wr_err *err) {
  struct list_one o = {f, p, fn, ctx, false};
  enum wr_rc rc = reader_flow_ins(r, f->fi, list_one_row, &o, err);
  if (rc == WR_NOT_FOUND) rc = WR_OK;
  if (!rc && p->want_total) *total = o.hit;
  return rc;
}

enum wr_rc reader_list_flow_ins(struct reader *r, const struct list_filter *f, const struct page *p, flow_row_fn *fn, void *ctx,
                                bool *more, int64_t *total, struct wr_err *err) {
  *more = false, *total = -1;
  if (f->fi) return ins_one(r, f, p, fn, ctx, total, err);
  enum wr_rc rc = db_view(r->db, err);
  if (rc) return rc;
  rc = r->ops->ins_page(r, f, p, fn, ctx, more, err);
  if (!rc && p->want_total) rc = ins_count(r, f, total, err);
  return db_view_end(r->db, rc, err);
}
