/* Jobs as readers see them (store_jobs.h), the same on every store; any thread with a reader of its own. */
#include "ins_rows.h"
#include "sql.h"

void ins_row_job(const struct cell *c, struct job_row *r, struct arena *a) {
  *r = (struct job_row){
    .job_id = cell_i64(&c[0]), .version = cell_i64(&c[1]),
    .j = {.state = cell_u8(&c[2]), .wish = cell_u8(&c[3]), .how = cell_u8(&c[4]), .closed = cell_u8(&c[5]),
          .ignore = cell_u8(&c[6]), .pass = !cell_null(&c[7]), .pass_at = cell_i64(&c[7]),
          .executions = cell_i64(&c[16]), .timeouts = cell_i64(&c[17]),
          .losses = cell_i64(&c[18])},
    .create_us = cell_us(&c[19]), .end_us = cell_us(&c[20]), .update_us = cell_us(&c[21]), .key = cell_text(&c[23], a),
    .name = cell_text(&c[24], a)};
  r->j.gone_tasks = cell_i64(&c[25]);
  r->j.gone_attempts = cell_i64(&c[26]);
  for (int i = 0; i < JOB__CLASSES; i++) r->j.count[i] = cell_i64(&c[8 + i]);
  (void)ins_row_hash(&c[22], r->hash);
}

enum wr_rc reader_job(struct reader *r, int64_t id, struct arena *a, struct job_row *out, struct wr_err *err) {
  struct cursor c;
  db_select(r->db, &c, Q_JOB, ARGS(arg_i(id)));
  bool found = cursor_next(&c);
  if (found) ins_row_job(c.cell, out, a);
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  return rc || found ? rc : no_such(err, "job", id);
}

enum wr_rc reader_tree(struct reader *r, int64_t ti, struct tree_row *out, bool *got, struct wr_err *err) {
  struct cursor c;
  db_select(r->db, &c, Q_TREE, ARGS(arg_i(ti)));
  *got = cursor_next(&c);
  if (*got) ins_row_tree(c.cell, out);
  return cursor_end(&c, WR_OK, err);
}

enum wr_rc reader_list_jobs(struct reader *r, const struct page *p, struct arena *a, struct job_row *out, size_t *n_out,
                            int64_t *total, struct wr_err *err) {
  struct cursor c;
  *n_out = 0, *total = -1;
  db_select(r->db, &c, Q_JOBS, ARGS(arg_i(p->limit), arg_i(page_offset(p))));
  while (*n_out < p->limit && cursor_next(&c)) ins_row_job(c.cell, &out[(*n_out)++], a);
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  return rc || !p->want_total ? rc : db_int(r->db, Q_JOBS_N, NULL, 0, total, err);
}
