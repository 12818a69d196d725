/* What attempts reported, async rows by number or taskKey, and members by number, for readers. A reader's thread. The log
 * thread writes reports (sqlite_logs.c, mysql_logs.c), so in SQLite they are in the file of the logs. What never happens: a
 * report of a former run shown without its epoch; a text of a row used after the next one. */
#include <stdlib.h>
#include <string.h>
#include "ins_rows.h"
#include "map64.h"
#include "reports.h"
#include "sql.h"

int64_t speed_micro(double speed) {
  double v = speed * 1e6;
  return v < (double)INT64_MAX ? (int64_t)v : INT64_MAX;
}

/* ---- async rows ---- */
enum wr_rc reader_async(struct reader *r, int64_t ti, async_row_fn *fn, void *ctx, struct wr_err *err) {
  struct cursor c;
  struct async_row row;
  db_select(r->db, &c, Q_ASYNC, ARGS(arg_i(ti)));
  bool found = cursor_next(&c);
  if (found) {
    ins_row_async(c.cell, &row, NULL);
    (void)fn(ctx, &row); /* the only row, so its answer does not matter */
  }
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  return rc || found ? rc : no_such(err, "stand-alone task", ti);
}

/* ---- reports ---- */
static int64_t or_less(const struct cell *c) { return cell_null(c) ? -1 : cell_i64(c); }

static void progress_row_of(const struct cell *c, struct progress_row *p, struct arena *a) {
  int64_t speed = or_less(&c[5]);
  *p = (struct progress_row){
    .ti = cell_i64(&c[0]), .epoch = cell_u32(&c[1]), .at_us = cell_us(&c[2]), .total = or_less(&c[3]), .done = or_less(&c[4]),
    .speed = speed < 0 ? -1 : (double)speed / 1e6, .unit = cell_text(&c[6], a), .message = cell_text(&c[7], a)};
}

/* Where an id stands among those that were asked for, in the order of their ids; and the time that its attempts took. told: the
 * newest one is history already, and own_us stands there. */
struct asked { int64_t ti; size_t at; int64_t ran_us, own_us; bool runs, told; };
struct asking { const int64_t *ti; size_t n; struct asked *v; struct report_row *out; };

static struct asked *asked_of(const struct asking *k, int64_t ti) { return bsearch(&ti, k->v, k->n, sizeof *k->v, wr_by_id); }
static struct report_row *report_of(const struct asking *k, int64_t ti) {
  const struct asked *hit = asked_of(k, ti);
  return hit ? &k->out[hit->at] : NULL;
}

static enum wr_rc read_sizes(struct reader *r, const struct asking *k, struct wr_err *err) {
  struct cursor c;
  db_select_ids(r->log, &c, Q_CONTEXT_SIZES, k->ti, k->n);
  while (cursor_next(&c)) {
    struct report_row *out = report_of(k, cell_i64(&c.cell[0]));
    if (out) out->context_epoch = cell_u32(&c.cell[1]), out->context_len = cell_u32(&c.cell[2]);
  }
  return cursor_end(&c, WR_OK, err);
}

static enum wr_rc read_progress(struct reader *r, const struct asking *k, struct arena *a, struct wr_err *err) {
  struct cursor c;
  db_select_ids(r->log, &c, Q_PROGRESS, k->ti, k->n);
  while (cursor_next(&c)) {
    struct report_row *out = report_of(k, cell_i64(&c.cell[0]));
    if (out && !out->has_progress) progress_row_of(c.cell, &out->progress, a);
    if (out) out->has_progress = true;
  }
  return cursor_end(&c, WR_OK, err);
}

static void add_time(struct asked *k, const struct cell *c) {
  int64_t start = cell_us(&c[2]), end = cell_us(&c[3]), history = cell_null(&c[4]) ? 0 : cell_i64(&c[4]);
  k->runs = task_owned(fit_u8(cell_i64(&c[1])));
  k->told = cell_i64(&c[5]) != 0;
  k->own_us = start > 0 && end > start ? end - start : 0;
  k->ran_us = history > 0 ? history : 0;
}

/* Of a task that does not run, the speed is what is done in the time of all attempts of its run. */
static void over_all(struct progress_row *p, const struct asked *k) {
  int64_t us = k->ran_us + (k->told ? 0 : k->own_us);
  if (!k->runs && us > 0 && p->done >= 0) p->speed = (double)p->done * 1e6 / (double)us;
}

static enum wr_rc read_times(struct reader *r, const struct asking *k, struct wr_err *err) {
  int64_t *ti = wr_calloc(k->n, sizeof *ti);
  size_t n = 0;
  enum wr_rc rc = WR_OK;
  struct cursor c;
  for (size_t i = 0; i < k->n; i++)
    if (k->out[k->v[i].at].has_progress) ti[n++] = k->v[i].ti;
  if (n > 0) {
    db_select_ids(r->db, &c, Q_RUN_TIMES, ti, n);
    while (cursor_next(&c)) {
      struct asked *hit = asked_of(k, cell_i64(&c.cell[0]));
      if (hit) add_time(hit, c.cell);
    }
    rc = cursor_end(&c, WR_OK, err);
  }
  for (size_t i = 0; i < n && rc == WR_OK; i++) over_all(&report_of(k, ti[i])->progress, asked_of(k, ti[i]));
  free(ti);
  return rc;
}

enum wr_rc reader_reports(struct reader *r, const int64_t *ti, size_t n, struct report_row *out, struct arena *a,
                          struct wr_err *err) {
  struct asking k = {ti, n, wr_calloc(n + 1, sizeof *k.v), out};
  for (size_t i = 0; i < n; i++) k.v[i] = (struct asked){.ti = ti[i], .at = i}, out[i] = (struct report_row){.context_epoch = 0};
  if (n > 1) qsort(k.v, n, sizeof *k.v, wr_by_id);
  enum wr_rc rc = n ? read_sizes(r, &k, err) : WR_OK;
  if (!rc && n) rc = read_progress(r, &k, a, err);
  if (!rc && n) rc = read_times(r, &k, err);
  free(k.v);
  return rc;
}

/* ---- the context of an attempt to come ---- */
/* The first row: epoch, text. The text replaces what is in out when its epoch is more than *epoch. */
static enum wr_rc context_of(struct db *db, enum query q, int64_t ti, struct buf *out, int64_t *epoch, struct wr_err *err) {
  struct cursor c;
  db_select(db, &c, q, ARGS(arg_i(ti)));
  if (cursor_next(&c) && !cell_null(&c.cell[1]) && cell_i64(&c.cell[0]) > *epoch) {
    buf_clear(out);
    buf_add(out, c.cell[1].s, c.cell[1].n);
    *epoch = cell_i64(&c.cell[0]);
  }
  return cursor_end(&c, WR_OK, err);
}

enum wr_rc reader_context(struct reader *r, int64_t ti, struct buf *out, uint32_t *epoch, struct wr_err *err) {
  struct buf text = BUF_INIT;
  int64_t newest = -1;
  enum wr_rc rc = context_of(r->db, Q_ASYNC_CONTEXT, ti, &text, &newest, err);
  if (!rc) rc = context_of(r->log, Q_CONTEXT, ti, &text, &newest, err);
  if (!rc && newest >= 0) buf_add(out, text.data, text.len);
  *epoch = newest > 0 ? fit_u32(newest) : 0;
  buf_done(&text);
  return rc || newest >= 0 ? rc : wr_err_set(err, WR_NOT_FOUND, "Task instance %lld has no context.", (long long)ti);
}

/* ---- deleted tasks ---- */
enum wr_rc reader_gone(struct reader *r, int64_t after, int64_t *out, size_t n, size_t *n_out, struct wr_err *err) {
  struct cursor c;
  *n_out = 0;
  if (!r->db) return WR_OK;
  db_select(r->db, &c, Q_GONE, ARGS(arg_i(after), arg_i((int64_t)n)));
  while (*n_out < n && cursor_next(&c)) out[(*n_out)++] = cell_i64(&c.cell[0]);
  return cursor_end(&c, WR_OK, err);
}

/* ---- members ---- */
enum wr_rc reader_member(struct reader *r, int64_t incarnation, char host[256], bool *dead, struct wr_err *err) {
  struct cursor c;
  db_select(r->db, &c, Q_MEMBER, ARGS(arg_i(incarnation)));
  bool found = cursor_next(&c);
  if (found) {
    const char *s = cell_text(&c.cell[0], NULL);
    snprintf(host, 256, "%s", s ? s : "");
    *dead = cell_i64(&c.cell[1]) != 0;
  }
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  return rc || found ? rc : no_such(err, "node", incarnation);
}
