/* Logs of attempts: the part of store.h that the log thread writes and the API reads. Included by store.h, which has its types.
 * What never happens: a log passes through the runner's writer, or a byte stands in two places. */
#ifndef STORE_LOGS_H
#define STORE_LOGS_H

/* Log bytes of an attempt from offset, at most n, appended to out; *size: bytes there are. */
enum wr_rc reader_log(struct reader *r, int64_t ti, uint32_t epoch, int64_t offset, size_t n, struct buf *out, int64_t *size,
                      struct wr_err *err) WR_MUST;

/* Of one stream alone (WX_STDOUT, WX_STDERR of the ABI): offset and *size count the bytes of this stream only. */
enum wr_rc reader_log_stream(struct reader *r, int64_t ti, uint32_t epoch, uint8_t stream, int64_t offset, size_t n,
                             struct buf *out, int64_t *size, struct wr_err *err) WR_MUST;

/* The attempts that have rows in the log, ascending, each with how many bytes it has (stream 0: all, else those of one stream). A
 * log that equals the result has none (LOG_IS_RESULT). */
typedef int log_size_fn(void *ctx, uint32_t epoch, int64_t size);
enum wr_rc reader_log_sizes(struct reader *r, int64_t ti, uint8_t stream, log_size_fn *fn, void *ctx, struct wr_err *err) WR_MUST;

/* ---- the writer: its own thread, its own connection or file ---- */
struct logs;
struct log_chunk {
  int64_t ti;
  uint32_t epoch;
  uint32_t seq;
  uint8_t stream;
  int64_t offset, time_us;
  const char *data;
  size_t n;
};
enum wr_rc logs_open(struct store *s, struct logs **out, struct wr_err *err) WR_MUST;
void logs_close(struct logs *l);
/* One transaction: all chunks or none, durable on OK. A chunk is named by (ti, epoch, seq, offset), and a chunk whose name is
 * stored already changes nothing. So the caller writes the same chunks again, unchanged, until the answer is OK or the caller
 * gives up. RETRY, NO_SPACE, DOWN: no chunk counts as stored. After a lost COMMIT they may be stored all the same, so only the
 * same chunks, or chunks with later offsets, may follow, never others in their place. BAD: no repeat will store these chunks.
 * Never UNKNOWN. */
enum store_rc logs_write(struct logs *l, const struct log_chunk *c, size_t n) WR_MUST;
const char *logs_why(const struct logs *l);       /* as store_why(); the log thread */

/* ---- what attempts report while they run: the log thread, the same connection; each call is a commit of its own ---- */
/* Keeps the context of a running attempt; the last one is kept. Durable on OK. FENCED: (epoch, owner) is not the attempt that
 * runs, so nothing changed. A server compares with the task's row in the same statement. SQLite, whose one process knows its
 * own attempts, refuses only an epoch below the one that reported last. RETRY, NO_SPACE, DOWN: not stored as far as is known;
 * the same call may be made again. BAD: no repeat will store it. Never UNKNOWN. */
enum store_rc logs_put_context(struct logs *l, int64_t ti, uint32_t epoch, int64_t owner, int64_t now_us, const char *text,
                               size_t len) WR_MUST;
/* The same of several, ascending by ti and epoch, in one transaction: OK, or the answer of the first that was not stored,
 * and then none is. fenced: out, with OK. */
struct context_put { int64_t ti, owner; uint32_t epoch; const char *text; size_t len; bool fenced; };
enum store_rc logs_put_contexts(struct logs *l, int64_t now_us, struct context_put *v, size_t n) WR_MUST;
/* Keeps the progress of n attempts, each ti once, ascending: whole rows, the last one wins. Those that are fenced (as above;
 * the end of the attempt does not count as such) change nothing and are no error. One transaction. Answers as above, but
 * FENCED. */
enum store_rc logs_put_progress(struct logs *l, const struct progress_row *row, size_t n) WR_MUST;
/* Deletes log, context and progress of a task that is deleted (batch.gone), a part at a time: at most LIMIT_DROP_CHUNKS
 * chunks of log in a call. *more: call again. May be repeated, also for a ti that has nothing. */
enum store_rc logs_drop(struct logs *l, int64_t ti, bool *more) WR_MUST;
/* Deleted tasks of which something may be left, because a node died before it had done all of the above: those after `after`,
 * ascending, n at most. Without SQL: none. */
enum wr_rc reader_gone(struct reader *r, int64_t after, int64_t *out, size_t n, size_t *n_out, struct wr_err *err) WR_MUST;
#endif
