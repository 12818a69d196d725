/* Whose tasks of flows are, for readers: store_whose.h. Any thread. */
#include "ins_rows.h"
#include "sql.h"
#include "whose.h"

void whose_of_cells(const struct cell *c, struct whose_row *out, struct arena *a) {
  *out = (struct whose_row){.fi = cell_i64(&c[0]), .ti = cell_i64(&c[1]), .user = cell_text(&c[2], a),
                            .group = cell_text(&c[3], a), .has_priority = !cell_null(&c[4])};
  if (out->has_priority) out->priority = (int32_t)cell_i64(&c[4]);
}

int whose_hear(void *ctx, const struct whose_row *row) {
  (void)whose_say(ctx, row->ti, &(struct queue_spec){.user = row->user, .group = row->group, .priority = row->priority,
                                                     .has_priority = row->has_priority});
  return 0;
}

enum wr_rc reader_whose(struct reader *r, int64_t fi, int64_t lo, int64_t hi, whose_row_fn *fn, void *ctx, struct wr_err *err) {
  struct cursor c;
  struct whose_row row;
  int go_on = 0;
  if (!r->db) return WR_OK;
  db_select(r->db, &c, Q_WHOSE, ARGS(arg_i(fi), arg_i(lo), arg_i(hi)));
  while (go_on == 0 && cursor_next(&c)) {
    whose_of_cells(c.cell, &row, NULL);
    go_on = fn(ctx, &row);
  }
  return cursor_end(&c, WR_OK, err);
}
