/* /monitor/task/{id}/log: the kept bytes of one attempt, or of all in order; as a page, or followed while the task runs. Bytes,
 * not the envelope. Any API thread; the pieces of a log that is followed: the threads of the waiters.
 *
 * A task's row is read before its log: when the row says that an attempt is over, the log that is read then is whole.
 * What never happens: a follower has more than LIMIT_FOLLOW_BYTES in memory. */
#include <stdlib.h>
#include "call.h"
#include "clock.h"
#include "log_part.h"
#include "task.h"
#include "weir_executor.h"
#include "wr_limits.h"

enum { FOLLOW_ATTEMPTS = 100 };   /* without a byte between them: at most these in one step */

/* ---- one page ---- */

static enum wr_rc read_row(struct call *c, struct reader *r, struct log_row *row) {
  enum wr_rc rc = log_row_read(r, c->id, row, &c->err);
  if (rc == WR_NOT_FOUND) return call_missing(c, "Task instance");
  if (rc == WR_OK && c->q.attempt > row->epoch)
    return call_fail(c, WR_NOT_FOUND, "Attempt %lld does not exist.", (long long)c->q.attempt);
  return rc;
}

static enum wr_rc in_range(struct call *c, int64_t size) {
  if (c->q.offset <= size) return WR_OK;
  enum wr_rc rc = call_fail(c, WR_BAD_RANGE, NULL);
  c->err.limit = size;
  c->err.got = c->q.offset;
  return rc;
}

static void say_size(struct call *c, int64_t size) {
  c->type = "text/plain; charset=utf-8";
  snprintf(c->headers, sizeof c->headers, "X-Log-Size: %lld\r\nX-Log-Offset: %lld\r\n", (long long)size, (long long)c->q.offset);
}

static enum wr_rc one_page(struct call *c, struct reader *r, const struct log_row *row, int64_t *size) {
  const struct log_piece_wish p = {c->id, (uint32_t)c->q.attempt, c->q.stream, c->q.offset, (size_t)c->q.limit};
  return c->q.all_attempts ? log_read_all(r, row, &p, c->out, size, &c->err) : log_read_piece(r, row, &p, c->out, size, &c->err);
}

/* ---- followed ---- */

/* Where it begins: in the attempt that was asked for, else in the newest; of all attempts, where the offset lies. */
static enum wr_rc find_start(struct call *c, struct reader *r, const struct log_row *row, struct log_at *f, int64_t *size) {
  *f = (struct log_at){c->q.attempt ? (uint32_t)c->q.attempt : row->epoch, c->q.offset, c->q.stream};
  if (!c->q.all_attempts) {
    const struct log_piece_wish p = {c->id, f->epoch, f->stream, 0, 0};
    return f->epoch ? log_read_piece(r, row, &p, c->out, size, &c->err) : WR_OK; /* 0: no attempt has begun */
  }
  struct log_parts p = {0};
  enum wr_rc rc = log_parts_read(r, row, c->id, c->q.stream, &p, &c->err);
  size_t i = 0;
  *size = p.size;
  while (i + 1 < p.n && f->offset >= p.v[i].size) f->offset -= p.v[i++].size;
  if (p.n > 0) f->epoch = p.v[i].epoch;
  free(p.v);
  return rc;
}

static enum wr_rc start_follow(struct call *c, struct reader *r, const struct log_row *row, struct log_at *f) {
  int64_t size = 0;
  enum wr_rc rc = find_start(c, r, row, f, &size);
  if (rc == WR_OK) rc = in_range(c, size);
  if (rc == WR_OK) say_size(c, size);
  return rc;
}

/* The next bytes of the attempt at hand, or the step to the next attempt. */
static enum wr_rc step(struct reader *r, int64_t ti, const struct log_row *row, struct log_at *f, struct buf *out,
                       enum log_then *then, struct wr_err *err) {
  const struct log_piece_wish p = {ti, f->epoch, f->stream, f->offset, LIMIT_FOLLOW_BYTES};
  int64_t size;
  size_t was = out->len;
  enum wr_rc rc = f->epoch ? log_read_piece(r, row, &p, out, &size, err) : WR_OK;
  if (rc != WR_OK) return rc;
  f->offset += (int64_t)(out->len - was);
  if (out->len > was) *then = FOLLOW_MORE;
  else if (f->epoch < row->epoch) *f = (struct log_at){f->epoch + 1, 0, f->stream}, *then = FOLLOW_MORE;
  else *then = row->over ? FOLLOW_OVER : FOLLOW_WAIT;
  return WR_OK;
}

enum log_then log_step(struct api *a, int64_t ti, struct log_at *f, struct buf *out) {
  struct buf text = BUF_INIT;
  struct log_row row = {.text = &text};
  struct wr_err err;
  enum log_then then = FOLLOW_MORE;
  if (!door_in(&a->door, clock_mono_us() + a->o.request_us)) return FOLLOW_AWAY;
  store_deadline(clock_mono_us() + a->o.request_us);
  struct reader *r = reader_get(a->o.store, &err);
  enum wr_rc rc = r ? log_row_read(r, ti, &row, &err) : WR_DB_UNAVAILABLE;
  for (int i = 0; rc == WR_OK && then == FOLLOW_MORE && out->len == 0 && i < FOLLOW_ATTEMPTS; i++)
    rc = step(r, ti, &row, f, out, &then, &err);
  if (r) reader_put(r);
  store_deadline(0);
  door_out(&a->door);
  buf_done(&text);
  return rc == WR_OK ? then : rc == WR_NOT_FOUND ? FOLLOW_OVER : FOLLOW_AWAY;
}

/* ---- the route ---- */

/* HEAD has no bytes that could be followed. */
static bool follows(const struct call *c) {
  return c->q.follow && strcmp(c->http->in.method, "HEAD") != 0 && !waits_ending(c->api->o.waits);
}

static enum wr_rc follow(struct call *c, struct reader *r, const struct log_row *row) {
  struct log_at *f = &c->wait.follow;
  enum wr_rc rc = start_follow(c, r, row, f);
  if (rc != WR_OK) return rc;
  c->wait.live = true;
  return call_place(c, WAIT_LOG);
}

enum wr_rc h_mon_log(struct call *c) {
  struct log_row row = {.text = &c->http->scratch->text};
  int64_t size = 0;
  if (!(c->q.has & Q_LIMIT)) c->q.limit = LIMIT_LOG_READ_BYTES;
  if (c->q.follow && (c->q.has & Q_LIMIT)) return call_fail(c, WR_BAD_PAGE, "limit has no meaning with follow: all bytes come.");
  bool on = follows(c);
  if (on) call_watch(c, WAIT_LOG, c->id);
  struct reader *r = call_reader(c);
  if (!r) return c->err.code;
  http_out_again(c->http);
  enum wr_rc rc = read_row(c, r, &row);
  if (rc == WR_OK && on) rc = follow(c, r, &row);
  else if (rc == WR_OK) rc = one_page(c, r, &row, &size);
  reader_put(r);
  if (rc != WR_OK || on) return rc;
  rc = in_range(c, size);
  if (rc == WR_OK) say_size(c, size);
  return rc;
}
