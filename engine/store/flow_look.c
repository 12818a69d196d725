/* Live tasks of live flows, for readers: store_flow_look.h. Ranges of ids that lie close together are read as one, because a
 * flow that has ended between two live ones costs less than a statement. */
#include <stdlib.h>
#include "ins_rows.h"
#include "map64.h"
#include "sql.h"

#define GAP 2000   /* ids between two ranges that are read as one */

struct flow_look { struct flow_at *v; size_t n, cap, most; struct sweep ranges; int64_t after; struct arena text; };

struct flow_look *flow_look_new(size_t most) {
  struct flow_look *l = wr_new(struct flow_look);
  l->most = most;
  arena_init(&l->text, 0);
  return l;
}

void flow_look_free(struct flow_look *l) {
  if (!l) return;
  sweep_done(&l->ranges);
  arena_done(&l->text);
  free(l->v);
  free(l);
}

static void bridge(struct sweep *w) {
  size_t k = 0;
  sweep_sort(w);
  for (size_t i = 1; i < w->n; i++) {
    if (w->v[i].lo - w->v[k].hi <= GAP) w->v[k].hi = w->v[i].hi;
    else w->v[++k] = w->v[i];
  }
  if (w->n) w->n = k + 1;
}

enum wr_rc reader_flow_look(struct reader *r, struct flow_look *l, bool *whole, struct wr_err *err) {
  struct cursor c;
  *whole = true;
  if (!r->db) return WR_OK;
  db_select(r->db, &c, Q_FLOWS_LIVE, ARGS(arg_i((int64_t)l->most + 1)));
  while (cursor_next(&c) && (*whole = l->n < l->most)) {
    struct flow_at *f = WR_PUSH(l->v, l->n, l->cap);
    *f = (struct flow_at){cell_i64(&c.cell[0]), cell_i64(&c.cell[1]), cell_i64(&c.cell[2]),
                          (cell_i64(&c.cell[3]) & RUN_WHOSE_BIT) != 0, cell_text(&c.cell[4], &l->text)};
    if (!f->bases) f->bases = "";
    sweep_runs(&l->ranges, f->bases, cell_i64(&c.cell[5]));
  }
  if (l->n > 1) qsort(l->v, l->n, sizeof *l->v, wr_by_id);
  bridge(&l->ranges);
  return cursor_end(&c, WR_OK, err);
}

const struct flow_at *flow_look_find(const struct flow_look *l, int64_t fi) {
  return l->n ? bsearch(&fi, l->v, l->n, sizeof *l->v, wr_by_id) : NULL;
}

static enum flow_task_is what_it_is(const struct cell *c) {
  if (cell_i64(&c[2]) == TASK_QUEUED) return FLOW_TASK_QUEUED;
  return cell_i64(&c[3]) ? FLOW_TASK_COUNTS : FLOW_TASK_BLOCKED;
}

static enum wr_rc read_range(struct reader *r, const struct id_range *v, int64_t after, struct flow_task *out, size_t cap,
                             size_t *n, struct wr_err *err) {
  struct cursor c;
  int64_t lo = v->lo > after ? v->lo : after + 1;
  db_select(r->db, &c, Q_FLOW_TASKS, ARGS(arg_i(lo), arg_i(v->hi), arg_i((int64_t)(cap - *n))));
  while (*n < cap && cursor_next(&c)) {
    out[(*n)++] = (struct flow_task){cell_i64(&c.cell[0]), cell_i64(&c.cell[1]), cell_i64(&c.cell[4]), cell_i64(&c.cell[5]),
                                     cell_us(&c.cell[6]), what_it_is(c.cell)};
  }
  return cursor_end(&c, WR_OK, err);
}

enum wr_rc reader_flow_tasks(struct reader *r, struct flow_look *l, struct flow_task *out, size_t cap, size_t *n,
                             struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  *n = 0;
  for (size_t i = sweep_find(&l->ranges, l->after); i < l->ranges.n && *n < cap && !rc; i++) {
    rc = read_range(r, &l->ranges.v[i], l->after, out, cap, n, err);
    if (*n < cap) l->after = l->ranges.v[i].hi;
  }
  if (*n == cap) l->after = out[*n - 1].ti;
  return rc;
}
