/* Lists: definitions, and flow instances by every filter of /monitor/flow. Newest first. A reader's thread.
 *
 * Flow instances: for each wanted state there is one range of an index, in order of (start_at, fi_id), each read backwards
 * up to the end of the page; their merge is the page, and only its rows are fetched. So the cost depends on offset + limit,
 * never on how much history there is. What has not started yet comes first. */
#include <stdio.h>
#include <string.h>
#include "ins_rows.h"
#include "mysql_rd.h"

/* ---- definitions ---- */
/* Names match in either case of A to Z and of no other letter, as on SQLite. Of the server's character sets tis620 has only
 * those letters in two cases, so the bytes are compared as if they were written in it. */
#define FOLDED(x) "LOWER(CONVERT(CAST(" x " AS BINARY) USING tis620)) COLLATE tis620_bin"
/* Types are compared byte by byte: = alone takes a blank at the end for nothing. */
#define SAME_TYPE "t.task_type=? AND LENGTH(t.task_type)=LENGTH(?)"

/* %name% with the signs of LIKE taken as they are; everything for no name. */
static const char *like(struct buf *b, const char *name) {
  buf_ch(b, '%');
  for (; name && *name; name++) {
    if (*name == '%' || *name == '_' || *name == '\\') buf_ch(b, '\\');
    buf_ch(b, *name);
  }
  if (name) buf_ch(b, '%');
  return b->data;
}

static int64_t small(uint64_t offset) { return offset > INT64_MAX / 4 ? INT64_MAX / 4 : (int64_t)offset; }

#define TASK_COLS "SELECT " MY_RD_TASK_COLS ", t.create_user, t.create_time, t.deleted FROM task t"
#define TASK_LIKE " t.deleted=0 AND " FOLDED("t.task_name") " LIKE " FOLDED("?")
#define PAGE " LIMIT ? OFFSET ?"

enum wr_rc my_list_tasks(struct reader *rd, const struct list_filter *f, const struct page *p, task_def_fn *fn, void *ctx,
                         bool *more, int64_t *total, struct wr_err *err) {
  struct my_reader *r = my_reader_of(rd);
  struct my_rows q;
  struct buf b = BUF_INIT;
  struct task_def t;
  *more = false, *total = -1;
  const char *name = like(&b, f->name_like);
  int64_t limit = (int64_t)p->limit + 1, offset = small(p->offset); /* one beyond tells whether there is more */
  unsigned e = f->type ? my_select(&r->c, &q, TASK_COLS " FORCE INDEX(task_list_type) WHERE " SAME_TYPE " AND" TASK_LIKE
                                   " ORDER BY t.task_id DESC" PAGE, MY_ARGS(my_at(f->type), my_at(f->type), my_at(name), my_ai(limit), my_ai(offset)))
                       : my_select(&r->c, &q, TASK_COLS " FORCE INDEX(task_list) WHERE" TASK_LIKE " ORDER BY t.task_id DESC" PAGE,
                                   MY_ARGS(my_at(name), my_ai(limit), my_ai(offset)));
  for (uint32_t i = 0; !e && my_next(&q); i++) {
    if (i == p->limit) *more = true;
    if (i == p->limit) break;
    my_rd_task(q.cell, &t);
    if (fn(ctx, &t)) break;
  }
  enum wr_rc rc = e ? my_err(e, err) : my_rd_end(&q, WR_OK, err);
  if (!rc && p->want_total)
    rc = my_rd_int(r, "SELECT COUNT(*) FROM task t WHERE (? IS NULL OR (" SAME_TYPE ")) AND" TASK_LIKE,
                   MY_ARGS(my_at(f->type), my_at(f->type), my_at(f->type), my_at(name)), total, err);
  buf_done(&b);
  return rc;
}

#define FLOW_LIKE " f.deleted=0 AND " FOLDED("f.flow_name") " LIKE " FOLDED("?") " AND (?=0 OR f.flow_id=?)"

enum wr_rc my_list_flows(struct reader *rd, const struct list_filter *f, const struct page *p, flow_def_fn *fn, void *ctx,
                         bool *more, int64_t *total, struct wr_err *err) {
  struct my_reader *r = my_reader_of(rd);
  struct my_rows q;
  struct buf b = BUF_INIT;
  struct flow_def d;
  *more = false, *total = -1;
  const char *name = like(&b, f->name_like);
  unsigned e = my_select(&r->c, &q, "SELECT STRAIGHT_JOIN " MY_RD_FLOW_COLS " FROM task_flow f FORCE INDEX(task_flow_list) JOIN task_flow_history h "
                         "ON h.flow_id=f.flow_id AND h.flow_version=f.flow_version WHERE" FLOW_LIKE " ORDER BY f.flow_id DESC" PAGE,
                         MY_ARGS(my_at(name), my_ai(f->flow_id), my_ai(f->flow_id), my_ai((int64_t)p->limit + 1), my_ai(small(p->offset))));
  for (uint32_t i = 0; !e && my_next(&q); i++) {
    if (i == p->limit) *more = true;
    if (i == p->limit) break;
    my_rd_flow(q.cell, &d);
    if (fn(ctx, &d)) break;
  }
  enum wr_rc rc = e ? my_err(e, err) : my_rd_end(&q, WR_OK, err);
  if (!rc && p->want_total)
    rc = my_rd_int(r, "SELECT COUNT(*) FROM task_flow f WHERE" FLOW_LIKE, MY_ARGS(my_at(name), my_ai(f->flow_id), my_ai(f->flow_id)),
                   total, err);
  buf_done(&b);
  return rc;
}

/* ---- flow instances ---- */
#define END_OF_TIME 253402300799999999LL   /* 9999-12-31 23:59:59.999999 */

/* A statement made of one range per state, and its values. Its text depends on the kind of filter only, so it stays prepared. */
struct ranges { struct buf sql; struct my_arg arg[MY_COLS]; size_t n; };

static void range_where(struct ranges *g, const struct list_filter *f, int state) {
  buf_str(&g->sql, f->flow_id ? " FROM task_flow_ins FORCE INDEX(task_flow_ins_flow) WHERE flow_id=? AND state="
                              : " FROM task_flow_ins FORCE INDEX(task_flow_ins_state) WHERE state=");
  buf_i64(&g->sql, state);
  if (f->flow_id) g->arg[g->n++] = my_ai(f->flow_id);
  if (!filter_timed(f)) return;
  buf_str(&g->sql, " AND start_at BETWEEN ? AND ?");
  g->arg[g->n++] = my_ad(f->from_us > 0 ? f->from_us : 1);
  g->arg[g->n++] = my_ad(f->to_us > 0 && f->to_us < END_OF_TIME ? f->to_us : END_OF_TIME);
}

static void stream(struct ranges *g, const struct list_filter *f, int state, const char *only, int64_t rows) {
  buf_str(&g->sql, g->sql.len ? " UNION ALL (SELECT fi_id, start_at" : "(SELECT fi_id, start_at");
  range_where(g, f, state);
  buf_str(&g->sql, only);
  buf_str(&g->sql, " DESC LIMIT ?)");
  g->arg[g->n++] = my_ai(rows);
}

/* The rows of one range of a known length, newest first. */
static void streams(struct ranges *g, const struct list_filter *f, int64_t rows) {
  int state[FILTER_STATES], n = filter_states(f, state);
  for (int i = 0; i < n; i++) {
    if (!filter_timed(f)) stream(g, f, state[i], " AND start_at=" SQL_NEVER " ORDER BY fi_id", rows);
    stream(g, f, state[i], filter_timed(f) ? " ORDER BY start_at DESC, fi_id" : " AND start_at>" SQL_NEVER " ORDER BY start_at DESC, fi_id", rows);
  }
}

static enum wr_rc count_ins(struct my_reader *r, const struct list_filter *f, int64_t *total, struct wr_err *err) {
  int state[FILTER_STATES], n = filter_states(f, state);
  enum wr_rc rc = WR_OK;
  *total = 0;
  for (int i = 0; i < n && !rc; i++) {
    struct ranges g = {.n = 0};
    int64_t count = 0;
    buf_str(&g.sql, "SELECT COUNT(*)");
    range_where(&g, f, state[i]);
    rc = my_rd_int(r, g.sql.data, g.arg, g.n, &count, err);
    *total += count;
    buf_done(&g.sql);
  }
  return rc;
}

static void show(const struct my_rows *q, flow_row_fn *fn, void *ctx, bool *go) {
  struct flow_row row;
  my_get_flow(q->cell, &row, NULL);
  row.flow_name = my_str(&q->cell[MY_FLOW_NAME], NULL);
  *go = fn(ctx, &row) == 0;
}

#define NEWEST "start_at=" SQL_NEVER " DESC, v.start_at DESC, v.fi_id DESC"

static enum wr_rc list_merged(struct my_reader *r, const struct list_filter *f, const struct page *p, flow_row_fn *fn, void *ctx,
                              bool *more, struct wr_err *err) {
  struct ranges g = {.n = 0};
  struct my_rows q;
  struct buf sql = BUF_INIT;
  bool go = true;
  streams(&g, f, small(p->offset) + p->limit + 1);
  buf_printf(&sql, "SELECT STRAIGHT_JOIN " MY_FLOW_COLS ", h.flow_name FROM (SELECT fi_id, start_at FROM (%s) v ORDER BY v." NEWEST " LIMIT ? OFFSET ?) v "
             "JOIN task_flow_ins i ON i.fi_id=v.fi_id LEFT JOIN task_flow_history h ON h.flow_id=i.flow_id AND h.flow_version=i.flow_version "
             "ORDER BY v." NEWEST, g.sql.data);
  g.arg[g.n++] = my_ai((int64_t)p->limit + 1);
  g.arg[g.n++] = my_ai(small(p->offset));
  unsigned e = my_select(&r->c, &q, sql.data, g.arg, g.n);
  for (uint32_t i = 0; !e && go && my_next(&q); i++) {
    *more = i == p->limit;
    if (*more) break;
    show(&q, fn, ctx, &go);
  }
  buf_done(&sql);
  buf_done(&g.sql);
  return e ? my_err(e, err) : my_rd_end(&q, WR_OK, err);
}

enum wr_rc my_list_flow_ins(struct reader *rd, const struct list_filter *f, const struct page *p, flow_row_fn *fn, void *ctx,
                            bool *more, int64_t *total, struct wr_err *err) {
  struct my_reader *r = my_reader_of(rd);
  int state[FILTER_STATES];
  *more = false, *total = -1;
  if (f->fi) {
    struct list_one o = {f, p, fn, ctx, false};
    enum wr_rc rc = my_reader_flow_ins(rd, f->fi, list_one_row, &o, err);
    if (rc == WR_NOT_FOUND) rc = WR_OK;
    if (!rc && p->want_total) *total = o.hit;
    return rc;
  }
  enum wr_rc rc = filter_states(f, state) ? list_merged(r, f, p, fn, ctx, more, err) : WR_OK;
  return !rc && p->want_total ? count_ins(r, f, total, err) : rc;
}
