/* Logs of attempts: the part of store.h that the log thread writes and the API reads. Included by store.h, which has its types.
 * What never happens: a log passes through the runner's writer, or a byte stands in two places. */
#ifndef STORE_LOGS_H
#define STORE_LOGS_H

/* Log bytes of an attempt (0 = the newest that has a log) from offset, at most n, appended to out; *size: bytes there are. */
enum wr_rc reader_log(struct reader *r, int64_t ti, uint32_t epoch, int64_t offset, size_t n, struct buf *out, int64_t *size,
                      struct wr_err *err) WR_MUST;

/* Of one stream alone (WX_STDOUT, WX_STDERR of the ABI): offset and *size count the bytes of this stream only. */
enum wr_rc reader_log_stream(struct reader *r, int64_t ti, uint32_t epoch, uint8_t stream, int64_t offset, size_t n,
                             struct buf *out, int64_t *size, struct wr_err *err) WR_MUST;

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
#endif
