/* Jobs as readers see them (store_jobs.h), the same on every store; any thread with a reader of its own. */
#include "ins_rows.h"
#include "map64.h"
#include "sql.h"
#include "wr_limits.h"
#include <stdlib.h>

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

enum wr_rc reader_trees(struct reader *r, struct tree_row *v, size_t n, struct wr_err *err) {
  struct cursor c;
  if (n == 0) return WR_OK;
  int64_t *ti = wr_calloc(n, sizeof *ti);
  for (size_t i = 0; i < n; i++) ti[i] = v[i].ti;
  db_select_ids(r->db, &c, Q_TREES, ti, n);
  while (cursor_next(&c)) {
    const int64_t id = cell_i64(&c.cell[0]);
    struct tree_row *at = bsearch(&id, v, n, sizeof *v, wr_by_id);
    if (at) ins_row_tree(c.cell, at);
  }
  free(ti);
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

/* ---- what is left of one that is deleted ---- */

enum { IDS_AT_ONCE = 1000 };
enum { LEFT_RUNS = 1, LEFT_QUEUED = 2 };   /* of Q_JOB_LEFT */

static void add_left(struct job_left *out, const struct cell *c, const struct job_look *how) {
  int64_t is = cell_i64(&c[1]), n = cell_i64(&c[2]);
  out->tasks += n;
  out->attempts += task_attempt_of((uint32_t)cell_i64(&c[3])); /* its analyses are none */
  if (is == LEFT_QUEUED) out->hints += n;
  if (is != LEFT_RUNS) return;
  enum job_runs_in in = how->runs_in(how->ctx, cell_text(&c[0], NULL));
  if (in == JOB_RUNS_PROCESS) out->processes += n;
  if (in == JOB_RUNS_URL) out->unconfirmed += n;
}

/* How many of these have a row; each counts once, whatever the statement yields of it. */
static enum wr_rc count_ids(struct db *db, enum query q, const int64_t *ti, size_t n, int64_t *out, struct wr_err *err) {
  struct cursor c;
  int64_t last = 0;
  db_select_ids(db, &c, q, ti, n);
  while (cursor_next(&c)) {
    *out += cell_i64(&c.cell[0]) != last;
    last = cell_i64(&c.cell[0]);
  }
  return cursor_end(&c, WR_OK, err);
}

/* A page of tasks behind ti[0..n); given: those whose submit gave a context, which stands in the row. */
static enum wr_rc next_ids(struct reader *r, int64_t id, int64_t *ti, size_t *n, int64_t *given, struct wr_err *err) {
  struct cursor c;
  db_select(r->db, &c, Q_JOB_IDS, ARGS(arg_i(id), arg_i(*n ? ti[*n - 1] : 0), arg_i(IDS_AT_ONCE)));
  while (*n < LIMIT_JOB_LOOK && cursor_next(&c)) {
    ti[(*n)++] = cell_i64(&c.cell[0]);
    *given += cell_i64(&c.cell[1]);
  }
  return cursor_end(&c, WR_OK, err);
}

enum wr_rc reader_job_left(struct reader *r, int64_t id, const struct job_look *how, struct job_left *out, int64_t *ti, size_t *n,
                           struct wr_err *err) {
  struct cursor c;
  int64_t *all = ti ? ti : wr_calloc(LIMIT_JOB_LOOK, sizeof *all);
  size_t got = 0;
  *out = (struct job_left){0};
  db_select(r->db, &c, Q_JOB_LEFT, ARGS(arg_i(id)));
  while (cursor_next(&c)) add_left(out, c.cell, how);
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  for (size_t before = 1; !rc && before != got && got < LIMIT_JOB_LOOK;) {
    before = got;
    rc = next_ids(r, id, all, &got, &out->contexts, err);
    if (!rc && got > before) rc = count_ids(r->db, Q_IDS_STRAY, all + before, got - before, &out->children, err);
    if (!rc && got > before) rc = count_ids(r->log, Q_IDS_LOG, all + before, got - before, &out->logs, err);
    if (!rc && got > before) rc = count_ids(r->log, Q_CONTEXT_SIZES, all + before, got - before, &out->contexts, err);
  }
  if (n) *n = got;
  if (!ti) free(all);
  return rc;
}

enum wr_rc reader_job_rows(struct reader *r, const int64_t *ti, size_t n, struct job_left *out, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  *out = (struct job_left){0};
  for (size_t i = 0, k; !rc && i < n; i += k) {
    k = n - i < IDS_AT_ONCE ? n - i : IDS_AT_ONCE;
    const struct { struct db *db; enum query q; int64_t *to; } look[] = {
      {r->db, Q_IDS_TASK, &out->tasks}, {r->db, Q_IDS_ALONE, &out->tasks}, {r->db, Q_IDS_ASYNC, &out->tasks},
      {r->db, Q_IDS_ATTEMPT, &out->attempts}, {r->db, Q_IDS_TREE, &out->tasks},
      {r->db, Q_IDS_CHILD, &out->children}, {r->log, Q_IDS_LOG, &out->logs}, {r->log, Q_CONTEXT_SIZES, &out->contexts},
      {r->log, Q_PROGRESS, &out->contexts}};
    for (size_t q = 0; !rc && q < sizeof look / sizeof *look; q++)
      rc = count_ids(look[q].db, look[q].q, ti + i, k, look[q].to, err);
  }
  return rc;
}
