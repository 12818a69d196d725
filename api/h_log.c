/* /monitor/task/{id}/log: the kept bytes of one attempt, or of all in order; as a page, or followed while the task runs. Bytes,
 * not the envelope. Any API thread; the pieces of a log that is followed: the threads of the waiters.
 *
 * A task's row is read before its log: when the row says that an attempt is over, the log that is read then is whole.
 * What never happens: a follower has more than LIMIT_FOLLOW_BYTES in memory. */
#include <stdlib.h>
#include "call.h"
#include "clock.h"
#include "task.h"
#include "weir_executor.h"
#include "wr_limits.h"

enum { FOLLOW_ATTEMPTS = 100 };   /* without a byte between them: at most these in one step */

/* What the row says of the log. text: the result, which is the log when `log` says so; NULL = not wanted. */
struct log_row { uint8_t log; bool over; uint32_t epoch; struct buf *text; };

static int find_log(void *ctx, const struct task_row *row) {
  struct log_row *p = ctx;
  p->log = row->log;
  p->over = task_final(row->t.state);
  p->epoch = row->t.epoch;
  buf_clear(p->text);
  if (row->log == LOG_IS_RESULT && row->result) buf_add(p->text, row->result, row->result_len);
  return 0;
}

/* A part of the log, as it is wanted. epoch 0: of the newest attempt that has one. */
struct piece { int64_t ti; uint32_t epoch; uint8_t stream; int64_t offset; size_t n; };

static enum wr_rc read_piece(struct reader *r, const struct log_row *row, const struct piece *p, struct buf *out, int64_t *size,
                             struct wr_err *err) {
  *size = 0;
  if (row->log == LOG_IS_RESULT && (p->epoch == 0 || p->epoch == row->epoch)) {
    if (p->stream == WX_STDERR) return WR_OK;
    *size = (int64_t)row->text->len;
    if (p->offset >= *size) return WR_OK;
    size_t n = row->text->len - (size_t)p->offset;
    buf_add(out, row->text->data + p->offset, n < p->n ? n : p->n);
    return WR_OK;
  }
  if (p->stream) return reader_log_stream(r, p->ti, p->epoch, p->stream, p->offset, p->n, out, size, err);
  return reader_log(r, p->ti, p->epoch, p->offset, p->n, out, size, err);
}

/* ---- all attempts, one behind the other ---- */

struct log_part { uint32_t epoch; int64_t size; };
struct log_parts { struct log_part *v; size_t n, cap; int64_t size; /* of all */ };

static int keep_part(void *ctx, uint32_t epoch, int64_t size) {
  struct log_parts *p = ctx;
  *WR_PUSH(p->v, p->n, p->cap) = (struct log_part){epoch, size};
  p->size += size;
  return 0;
}

static enum wr_rc read_parts(struct call *c, struct reader *r, const struct log_row *row, struct log_parts *out) {
  enum wr_rc rc = reader_log_sizes(r, c->id, c->q.stream, keep_part, out, &c->err);
  if (rc == WR_OK && row->log == LOG_IS_RESULT && c->q.stream != WX_STDERR) keep_part(out, row->epoch, (int64_t)row->text->len);
  return rc;
}

static enum wr_rc read_all(struct call *c, struct reader *r, const struct log_row *row, int64_t *size) {
  struct log_parts p = {0};
  enum wr_rc rc = read_parts(c, r, row, &p);
  int64_t at = c->q.offset;
  size_t left = (size_t)c->q.limit;
  *size = p.size;
  for (size_t i = 0; i < p.n && rc == WR_OK && left > 0; at -= p.v[i++].size) {
    if (at >= p.v[i].size) continue;
    int64_t from = at > 0 ? at : 0, part = p.v[i].size - from, grown;
    const struct piece piece = {c->id, p.v[i].epoch, c->q.stream, from, part < (int64_t)left ? (size_t)part : left};
    rc = read_piece(r, row, &piece, c->out, &grown, &c->err);
    left -= piece.n;
  }
  free(p.v);
  return rc;
}

/* ---- one page ---- */

static enum wr_rc read_row(struct call *c, struct reader *r, struct log_row *row) {
  enum wr_rc rc = reader_task_ins(r, c->id, find_log, row, &c->err);
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
  const struct piece p = {c->id, (uint32_t)c->q.attempt, c->q.stream, c->q.offset, (size_t)c->q.limit};
  return c->q.all_attempts ? read_all(c, r, row, size) : read_piece(r, row, &p, c->out, size, &c->err);
}

/* ---- followed ---- */

/* Where it begins: in the attempt that was asked for, else in the newest; of all attempts, where the offset lies. */
static enum wr_rc find_start(struct call *c, struct reader *r, const struct log_row *row, struct log_at *f, int64_t *size) {
  *f = (struct log_at){c->q.attempt ? (uint32_t)c->q.attempt : row->epoch, c->q.offset, c->q.stream};
  if (!c->q.all_attempts) {
    const struct piece p = {c->id, f->epoch, f->stream, 0, 0};
    return f->epoch ? read_piece(r, row, &p, c->out, size, &c->err) : WR_OK; /* 0: no attempt has begun */
  }
  struct log_parts p = {0};
  enum wr_rc rc = read_parts(c, r, row, &p);
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
  const struct piece p = {ti, f->epoch, f->stream, f->offset, LIMIT_FOLLOW_BYTES};
  int64_t size;
  size_t was = out->len;
  enum wr_rc rc = f->epoch ? read_piece(r, row, &p, out, &size, err) : WR_OK;
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
  store_deadline(clock_mono_us() + a->o.request_us);
  struct reader *r = reader_get(a->o.store, &err);
  enum wr_rc rc = r ? reader_task_ins(r, ti, find_log, &row, &err) : WR_DB_UNAVAILABLE;
  for (int i = 0; rc == WR_OK && then == FOLLOW_MORE && out->len == 0 && i < FOLLOW_ATTEMPTS; i++)
    rc = step(r, ti, &row, f, out, &then, &err);
  if (r) reader_put(r);
  store_deadline(0);
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
