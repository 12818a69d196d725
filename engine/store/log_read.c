/* Logs of attempts, read back: the whole log, or one stream of it, from an offset on. Read-only; a reader's thread. Each
 * database writes them in its own way (sqlite_logs.c, mysql_logs.c). */
#include "attempt.h"
#include "sql.h"

/* What is wanted, and what there is. */
struct log_want { int64_t ti; uint32_t epoch; int64_t offset; size_t left; struct buf *out; int64_t *size; bool done; };

/* Adds the part of a piece (it begins at `at`) that lies in the wanted range. */
static void log_add(struct log_want *w, const struct cell *c, int64_t at) {
  int64_t len = (int64_t)cell_bytes(c), skip = w->offset > at ? w->offset - at : 0;
  if (skip >= len) return;
  size_t k = (size_t)(len - skip) < w->left ? (size_t)(len - skip) : w->left;
  buf_add(w->out, c->s + skip, k);
  w->left -= k;
}

static int64_t log_want_end(const struct log_want *w) {
  return w->left > (size_t)(INT64_MAX - w->offset) ? INT64_MAX : w->offset + (int64_t)w->left;
}

/* A log that equals the result is kept only there. */
static enum wr_rc log_of_result(struct reader *r, struct log_want *w, struct wr_err *err) {
  struct cursor c;
  db_select(r->db, &c, Q_RESULT_LOG, ARGS(arg_i(w->ti), arg_i(LOG_IS_RESULT), arg_i(w->epoch)));
  if (cursor_next(&c)) {
    w->done = true;
    *w->size = (int64_t)cell_bytes(&c.cell[0]);
    log_add(w, &c.cell[0], 0);
  }
  return cursor_end(&c, WR_OK, err);
}

/* Pieces do not overlap. So only the last piece that begins before the offset can reach it. */
static enum wr_rc log_pieces(struct reader *r, struct log_want *w, struct wr_err *err) {
  struct cursor c;
  int64_t first = 0;
  enum wr_rc rc = db_int(r->log, Q_LOG_FIRST, ARGS(arg_i(w->ti), arg_i(w->epoch), arg_i(w->offset)), &first, err);
  if (rc) return rc;
  db_select(r->log, &c, Q_LOG_PIECES, ARGS(arg_i(w->ti), arg_i(w->epoch), arg_i(first), arg_i(log_want_end(w))));
  while (w->left && cursor_next(&c)) log_add(w, &c.cell[1], cell_i64(&c.cell[0]));
  return cursor_end(&c, WR_OK, err);
}

/* The lengths come first and say where the wanted pieces are: a log may be a gigabyte. */
static enum wr_rc log_stream(struct reader *r, struct log_want *w, uint8_t stream, struct wr_err *err) {
  struct cursor c;
  int64_t at = 0, first = -1, last = -1, first_at = 0, end = log_want_end(w);
  db_select(r->log, &c, Q_LOG_LENGTHS, ARGS(arg_i(w->ti), arg_i(w->epoch), arg_i(stream)));
  for (int64_t n; cursor_next(&c); at += n) {
    n = cell_i64(&c.cell[1]);
    if (at + n <= w->offset || at >= end) continue;
    last = cell_i64(&c.cell[0]);
    if (first < 0) first = last, first_at = at;
  }
  enum wr_rc rc = cursor_end(&c, WR_OK, err);
  *w->size = at;
  if (rc || first < 0) return rc;
  db_select(r->log, &c, Q_LOG_STREAM, ARGS(arg_i(w->ti), arg_i(w->epoch), arg_i(stream), arg_i(first), arg_i(last)));
  for (; w->left && cursor_next(&c); first_at += (int64_t)cell_bytes(&c.cell[0])) log_add(w, &c.cell[0], first_at);
  return cursor_end(&c, WR_OK, err);
}

/* stream 0 = all. */
static enum wr_rc log_of_rows(struct reader *r, struct log_want *w, uint8_t stream, struct wr_err *err) {
  if (stream) return log_stream(r, w, stream, err);
  enum wr_rc rc = db_int(r->log, Q_LOG_SIZE, ARGS(arg_i(w->ti), arg_i(w->epoch)), w->size, err);
  return rc || w->left == 0 ? rc : log_pieces(r, w, err);
}

enum wr_rc reader_log(struct reader *r, int64_t ti, uint32_t epoch, int64_t offset, size_t n, struct buf *out, int64_t *size,
                      struct wr_err *err) {
  struct log_want w = {ti, epoch, offset, n, out, size, false};
  *size = 0;
  enum wr_rc rc = log_of_result(r, &w, err);
  return rc || w.done ? rc : log_of_rows(r, &w, 0, err);
}

enum wr_rc reader_log_stream(struct reader *r, int64_t ti, uint32_t epoch, uint8_t stream, int64_t offset, size_t n,
                             struct buf *out, int64_t *size, struct wr_err *err) {
  struct log_want w = {ti, epoch, offset, n, out, size, false};
  *size = 0;
  return log_of_rows(r, &w, stream, err);
}

enum wr_rc reader_log_sizes(struct reader *r, int64_t ti, uint8_t stream, log_size_fn *fn, void *ctx, struct wr_err *err) {
  struct cursor c;
  db_select(r->log, &c, stream ? Q_LOG_STREAM_SIZES : Q_LOG_SIZES, ARGS(arg_i(ti), arg_i(stream)));
  while (cursor_next(&c))
    if (fn(ctx, cell_u32(&c.cell[0]), cell_i64(&c.cell[1]))) break;
  return cursor_end(&c, WR_OK, err);
}
