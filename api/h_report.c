/* /monitor/task/{id}/progress and /context, and their fields in a task's answer: see h_report.h. Reads only, through one reader.
 * Any API thread. */
#include "h_report.h"
#include <string.h>
#include "call.h"
#include "clock.h"
#include "progress.h"

/* An async row is there for stand-alone tasks only. Of a task of a node nothing was given, and it has one run. */
struct given { uint32_t run_epoch, context_epoch; size_t context_len; };

static struct given given_of(const struct async_row *a) {
  return a ? (struct given){a->run_epoch, a->context_epoch, a->context_len} : (struct given){0, 0, 0};
}

static bool has_progress(const struct report_row *row, struct given g) {
  return row->has_progress && row->progress.epoch > g.run_epoch;
}

static void number(struct buf *b, const char *name, double v) {
  j_key(b, name);
  buf_printf(b, "%.3f", v);
}

/* running: an attempt runs, so something is left of it. */
static void progress_members(struct buf *b, const struct progress_row *p, bool running) {
  char at[CLOCK_RFC_LEN];
  double eta = running ? progress_eta(p->total, p->done, p->speed) : -1;
  if (p->total >= 0) j_i64(b, "total", p->total);
  if (p->done >= 0) j_i64(b, "done", p->done);
  if (p->unit && *p->unit) j_text(b, "unit", p->unit);
  if (p->message && *p->message) j_text(b, "message", p->message);
  if (p->speed >= 0) number(b, "speed", p->speed);
  if (eta >= 0) number(b, "eta", eta);
  clock_rfc3339(at, p->at_us);
  j_text(b, "at", at);
}

static void report_members(struct buf *b, const struct report_row *row, const struct task *t, struct given g) {
  if (has_progress(row, g)) {
    j_key(b, "progress");
    j_open(b, '{');
    progress_members(b, &row->progress, t->owner != 0);
    j_close(b, '}');
  }
  j_i64(b, "contextBytes", (int64_t)(row->context_epoch > g.context_epoch ? row->context_len : g.context_len));
}

void report_fields(struct buf *b, const struct report_row *row, const struct task *t, const struct async_row *async) {
  report_members(b, row, t, given_of(async));
}

/* ---- the routes ---- */

static int keep_state(void *ctx, const struct task_row *row) {
  *(struct task *)ctx = row->t;
  return 0;
}

static int keep_given(void *ctx, const struct async_row *row) {
  *(struct given *)ctx = given_of(row);
  return 0;
}

static enum wr_rc read_state(struct call *c, struct reader *r, struct task *t) {
  enum wr_rc rc = reader_task_ins(r, c->id, keep_state, t, &c->err);
  return rc == WR_NOT_FOUND ? call_missing(c, "Task instance") : rc;
}

static enum wr_rc write_progress(struct call *c, struct reader *r, struct arena *a) {
  struct task t = {0};
  struct given g = {0};
  struct report_row row;
  enum wr_rc rc = read_state(c, r, &t);
  if (!rc) rc = reader_async(r, c->id, keep_given, &g, &c->err);
  if (rc == WR_NOT_FOUND && t.state) rc = WR_OK; /* of a node */
  if (!rc) rc = reader_reports(r, &c->id, 1, &row, a, &c->err);
  if (rc) return rc;
  if (!has_progress(&row, g))
    return call_fail(c, WR_NOT_FOUND, "Task instance %lld has not reported any progress.", (long long)c->id);
  j_open(c->out, '{');
  progress_members(c->out, &row.progress, t.owner != 0);
  j_close(c->out, '}');
  return WR_OK;
}

enum wr_rc h_mon_progress(struct call *c) {
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  struct arena a;
  arena_init(&a, 0);
  enum wr_rc rc = write_progress(c, r, &a);
  arena_done(&a);
  reader_put(r);
  return rc;
}

/* The text itself, not the envelope. */
enum wr_rc h_mon_context(struct call *c) {
  struct task t = {0};
  uint32_t epoch;
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  http_out_again(c->http);
  enum wr_rc rc = read_state(c, r, &t);
  if (!rc) rc = reader_context(r, c->id, c->out, &epoch, &c->err);
  reader_put(r);
  if (rc == WR_NOT_FOUND && t.state) return call_fail(c, rc, "Task instance %lld has no context.", (long long)c->id);
  if (!rc) c->type = "text/plain; charset=utf-8";
  return rc;
}
