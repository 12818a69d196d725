/* The log of a task instance: the kept bytes of one attempt, or of all in their order with nothing between them. A reader's
 * thread.
 *
 * A task's row is read before its log: when the row says that an attempt is over, the log that is read then is whole. */
#ifndef CLIENT_LOG_PART_H
#define CLIENT_LOG_PART_H
#include <stdbool.h>
#include "mem.h"
#include "store.h"

/* What the row says of the log. text: the result, which is the log when `log` says so; NULL = not wanted. */
struct log_row { uint8_t log; bool over; uint32_t epoch; struct buf *text; };
/* Fills row but for `text`, which is filled only if it holds the log. NOT_FOUND. */
enum wr_rc log_row_read(struct reader *r, int64_t ti, struct log_row *row, struct wr_err *err) WR_MUST;

/* A part of the log, as it is wanted. epoch 0: of the newest attempt, which may have said nothing yet. */
struct log_piece_wish { int64_t ti; uint32_t epoch; uint8_t stream; int64_t offset; size_t n; };
enum wr_rc log_read_piece(struct reader *r, const struct log_row *row, const struct log_piece_wish *p, struct buf *out,
                          int64_t *size, struct wr_err *err) WR_MUST;

struct log_part { uint32_t epoch; int64_t size; };
struct log_parts { struct log_part *v; size_t n, cap; int64_t size; /* of all */ };
/* v is malloc'ed. stream 0: all of them together. */
enum wr_rc log_parts_read(struct reader *r, const struct log_row *row, int64_t ti, uint8_t stream, struct log_parts *out,
                          struct wr_err *err) WR_MUST;
/* Of all attempts; the epoch of w is not looked at. */
enum wr_rc log_read_all(struct reader *r, const struct log_row *row, const struct log_piece_wish *w, struct buf *out,
                        int64_t *size, struct wr_err *err) WR_MUST;
#endif
