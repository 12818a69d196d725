/* A page of flow instances, newest first. A reader's thread.
 *
 * For each wanted state there is one range of an index, in order of (start_at, fi_id), each read backwards up to the end of the
 * page; their merge is the page, and only its rows are fetched. So the cost depends on offset + limit, never on how much history
 * there is. What has not started yet comes first. */
#include "ins_rows.h"
#include "mysql_priv.h"

/* Values of the statement, behind those of filter_args(): rows of each range, of the page, before it. */
enum { ARG_EACH = FILTER_ARGS, ARG_LIMIT, ARG_OFFSET, N_ARGS };
#define EACH "?5"
#define LIMIT_OFFSET " LIMIT ?6 OFFSET ?7"

static void range_text(struct buf *b, const struct list_filter *f, int state, const char *only) {
  buf_str(b, b->len ? " UNION ALL (SELECT fi_id, start_at FROM task_flow_ins" : "(SELECT fi_id, start_at FROM task_flow_ins");
  buf_str(b, f->flow_id ? " FORCE INDEX(task_flow_ins_flow) WHERE flow_id=?1 AND state="
                        : " FORCE INDEX(task_flow_ins_state) WHERE state=");
  buf_i64(b, state);
  buf_str(b, filter_timed(f) ? IN_TIME(IN_MY) : "");
  buf_str(b, only);
  buf_str(b, " DESC LIMIT " EACH ")");
}

/* The ranges, each of a known length, newest first. The text depends on the kind of filter only, so it stays prepared. */
static void ranges_text(struct buf *b, const struct list_filter *f) {
  int state[FILTER_STATES], n = filter_states(f, state);
  for (int i = 0; i < n; i++) {
    if (!filter_timed(f)) range_text(b, f, state[i], " AND start_at=" SQL_NEVER " ORDER BY fi_id");
    range_text(b, f, state[i], filter_timed(f) ? " ORDER BY start_at DESC, fi_id"
                                               : " AND start_at>" SQL_NEVER " ORDER BY start_at DESC, fi_id");
  }
}

#define NEWEST "start_at=" SQL_NEVER " DESC, v.start_at DESC, v.fi_id DESC"

enum wr_rc my_ins_page(struct reader *r, const struct list_filter *f, const struct page *p, flow_row_fn *fn, void *ctx,
                       bool *more, struct wr_err *err) {
  struct buf ranges = BUF_INIT, sql = BUF_INIT;
  struct arg arg[N_ARGS];
  struct cursor c;
  struct flow_row row;
  ranges_text(&ranges, f);
  if (!ranges.len) return WR_OK; /* no state fits */
  filter_args(f, 0, arg);
  arg[ARG_EACH] = arg_i(page_offset(p) + p->limit + 1);
  arg[ARG_LIMIT] = arg_i((int64_t)p->limit + 1);
  arg[ARG_OFFSET] = arg_i(page_offset(p));
  buf_printf(&sql, "SELECT STRAIGHT_JOIN " FLOW_COLS(IN_MY) ", h.flow_name "
             "FROM (SELECT fi_id, start_at FROM (%s) v ORDER BY v." NEWEST LIMIT_OFFSET ") v "
             "JOIN task_flow_ins i ON i.fi_id=v.fi_id "
             "LEFT JOIN task_flow_history h ON h.flow_id=i.flow_id AND h.flow_version=i.flow_version "
             "ORDER BY v." NEWEST, ranges.data);
  (void)my_select(&my_reader_of(r)->c, &c, sql.data, arg, N_ARGS);
  for (uint32_t i = 0; cursor_next(&c); i++) {
    *more = i == p->limit;
    if (*more) break;
    ins_row_flow(c.cell, &row, NULL);
    row.flow_name = cell_text(&c.cell[FLOW_NAME_CELL], NULL);
    if (fn(ctx, &row)) break;
  }
  buf_done(&sql);
  buf_done(&ranges);
  return cursor_end(&c, WR_OK, err);
}
