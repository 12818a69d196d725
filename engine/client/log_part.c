/* Logs as they are read, by attempts: see log_part.h. */
#include "log_part.h"
#include <stdlib.h>
#include "attempt.h"
#include "task.h"
#include "weir_executor.h"

static int find_log(void *ctx, const struct task_row *row) {
  struct log_row *p = ctx;
  p->log = row->log;
  p->over = task_final(row->t.state);
  p->epoch = task_attempt_of(row->t.epoch); /* an analysis has no log */
  buf_clear(p->text);
  if (row->log == LOG_IS_RESULT && row->result) buf_add(p->text, row->result, row->result_len);
  return 0;
}

enum wr_rc log_read_piece(struct reader *r, const struct log_row *row, const struct log_piece_wish *p, struct buf *out,
                          int64_t *size, struct wr_err *err) {
  uint32_t epoch = p->epoch ? p->epoch : row->epoch;
  *size = 0;
  if (row->log == LOG_IS_RESULT && epoch == row->epoch) {
    if (p->stream == WX_STDERR) return WR_OK;
    *size = (int64_t)row->text->len;
    if (p->offset >= *size) return WR_OK;
    size_t n = row->text->len - (size_t)p->offset;
    buf_add(out, row->text->data + p->offset, n < p->n ? n : p->n);
    return WR_OK;
  }
  if (p->stream) return reader_log_stream(r, p->ti, epoch, p->stream, p->offset, p->n, out, size, err);
  return reader_log(r, p->ti, epoch, p->offset, p->n, out, size, err);
}

enum wr_rc log_row_read(struct reader *r, int64_t ti, struct log_row *row, struct wr_err *err) {
  return reader_task_ins(r, ti, find_log, row, err);
}

/* ---- all attempts, one behind the other ---- */

static int keep_part(void *ctx, uint32_t epoch, int64_t size) {
  struct log_parts *p = ctx;
  *WR_PUSH(p->v, p->n, p->cap) = (struct log_part){epoch, size};
  p->size += size;
  return 0;
}

enum wr_rc log_parts_read(struct reader *r, const struct log_row *row, int64_t ti, uint8_t stream, struct log_parts *out,
                          struct wr_err *err) {
  enum wr_rc rc = reader_log_sizes(r, ti, stream, keep_part, out, err);
  if (rc == WR_OK && row->log == LOG_IS_RESULT && stream != WX_STDERR) keep_part(out, row->epoch, (int64_t)row->text->len);
  return rc;
}

enum wr_rc log_read_all(struct reader *r, const struct log_row *row, const struct log_piece_wish *w, struct buf *out,
                        int64_t *size, struct wr_err *err) {
  struct log_parts p = {0};
  enum wr_rc rc = log_parts_read(r, row, w->ti, w->stream, &p, err);
  int64_t at = w->offset;
  size_t left = w->n;
  *size = p.size;
  for (size_t i = 0; i < p.n && rc == WR_OK && left > 0; at -= p.v[i++].size) {
    if (at >= p.v[i].size) continue;
    int64_t from = at > 0 ? at : 0, part = p.v[i].size - from, grown;
    const struct log_piece_wish piece = {w->ti, p.v[i].epoch, w->stream, from, part < (int64_t)left ? (size_t)part : left};
    rc = log_read_piece(r, row, &piece, out, &grown, err);
    left -= piece.n;
  }
  free(p.v);
  return rc;
}
