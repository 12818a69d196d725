/* What an attempt says while it runs: one sink for all notes, from the executor by note() or from its child by a pipe.
 *
 *   log        -> worker_log.c, which keeps it up to its cap
 *   progress, context, result   -> dropped, until something asks for them. They are checked as if they were kept, so that a
 *                 sender meets the later limits now. This is the place to keep one; then no caller has to change.
 *
 * Loop thread only. What never happens: a note that is kept beyond its limit; one after the end of its attempt; a wait. */
#include "wr_limits.h"
#include "worker_int.h"

/* The most bytes that one note of a kind can have; 0: there is no such kind. A log has a cap as a whole, not for each piece. */
static size_t note_most(int kind) {
  switch (kind) {
  case WX_NOTE_LOG: return SIZE_MAX;
  case WX_NOTE_PROGRESS: case WX_NOTE_CONTEXT: return LIMIT_NOTE_BYTES;
  case WX_NOTE_RESULT: return LIMIT_RESULT_BYTES;
  default: return 0;
  }
}

static int log_note(struct wx_exec *x, int stream, const void *p, size_t n) {
  if (stream < WX_STDOUT || stream > WX_SYSTEM) return -1;
  if (n == 0) return 0;
  if (!x->log) x->log = xlog_new(x->w->logger, x, x->log_cap);
  if (!xlog_add(x->log, (uint8_t)stream, p, n) && x->child) child_pause(x);
  return 0;
}

int exec_note(struct wx_exec *x, int kind, int stream, const void *p, size_t n) {
  size_t most = note_most(kind);
  if (x->ended || most == 0 || n > most) return -1;
  return kind == WX_NOTE_LOG ? log_note(x, stream, p, n) : 0;
}
