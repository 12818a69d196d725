/* A page of flow instances, newest first. Read-only; a reader's thread.
 *
 * For each wanted state there is one range of an index, in order of (start_time, fi_id); a page is their merge, so its cost
 * depends on offset + limit, never on how much history there is. The rows are fetched afterwards, in the same view. start_time is
 * the time of acceptance, so this is the order of creation; what has not started yet would come first. */
#include "ins_rows.h"
#include "sqlite_own.h"
#include "sqlite_priv.h"

struct stream { struct cursor c; int64_t start, fi; bool open; };
struct merge { struct stream v[FILTER_STATES]; int n; };

static void stream_next(struct stream *s) {
  s->open = cursor_next(&s->c);
  if (!s->open) return;
  s->start = cell_null(&s->c.cell[0]) ? INT64_MAX : cell_us(&s->c.cell[0]);
  s->fi = cell_i64(&s->c.cell[1]);
}

static void merge_open(struct merge *m, struct reader *r, const struct list_filter *f) {
  static const enum own_stmt first[2][2] = {{OWN_ALL, OWN_ALL_TIME}, {OWN_FLOW, OWN_FLOW_TIME}};
  int state[FILTER_STATES], n = filter_states(f, state);
  for (m->n = 0; m->n < n; m->n++) {
    struct arg arg[FILTER_ARGS];
    filter_args(f, state[m->n], arg);
    db_select(r->db, &m->v[m->n].c, (enum query)((int)first[f->flow_id != 0][filter_timed(f)] + m->n), arg, FILTER_ARGS);
    stream_next(&m->v[m->n]);
  }
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
  for (int i = 0; i < m->n; i++) rc = cursor_end(&m->v[i].c, rc, err);
  return rc;
}

/* *go is cleared when the caller has had enough. */
struct shown { flow_row_fn *fn; void *ctx; bool go; };
static int show_row(void *ctx, const struct flow_row *row) {
  struct shown *w = ctx;
  w->go = w->fn(w->ctx, row) == 0;
  return 0;
}

enum wr_rc sq_ins_page(struct reader *r, const struct list_filter *f, const struct page *p, flow_row_fn *fn, void *ctx,
                       bool *more, struct wr_err *err) {
  struct merge m; /* large: its cells need no zeroes */
  struct shown w = {fn, ctx, true};
  enum wr_rc rc = WR_OK;
  int64_t fi = 1;
  merge_open(&m, r, f);
  for (uint64_t i = 0; i < p->offset && fi; i++) fi = merge_next(&m);
  for (uint32_t i = 0; !rc && w.go && fi && (fi = merge_next(&m)); i++) {
    *more = i == p->limit;
    if (*more) break;
    rc = reader_flow_ins(r, fi, show_row, &w, err);
    if (rc == WR_NOT_FOUND) rc = WR_OK;
  }
  return merge_close(&m, rc, err);
}
