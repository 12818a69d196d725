/* What an attempt says while it runs: one sink for all notes of its executor, and for the output of its child.
 *
 *   log                         -> worker_log.c, which keeps it up to its cap
 *   progress, context, result   -> worker_report.c
 *
 * Who brings more than the log's store takes has to wait: a child because its pipe is not read, a routine of this process because
 * its executor asks here first.
 *
 * Loop thread only. What never happens: a note that is kept beyond its limit; one after the end of its attempt; a wait. */
#include "added_ops.h"
#include "worker_int.h"

static struct xlog *log_of(struct wx_exec *x) {
  if (!x->log) x->log = xlog_new(x->w->logger, x, x->log_cap);
  return x->log;
}

static int log_note(struct wx_exec *x, int stream, const void *p, size_t n) {
  if (stream < WX_STDOUT || stream > WX_SYSTEM) return -1;
  if (n == 0) return 0;
  if (x->a->analysis) return analysis_heard(x, p, n), 0;
  if (!xlog_add(log_of(x), (uint8_t)stream, p, n) && x->child) child_pause(x);
  return 0;
}

int exec_note(struct wx_exec *x, int kind, int stream, const void *p, size_t n) {
  if (x->ended) return -1;
  return kind == WX_NOTE_LOG ? log_note(x, stream, p, n) : reports_note(x, kind, p, n);
}

/* Who asks has something to log. So there is a log from now on, also when those of others leave it no room: it hears of some. */
int exec_log_behind(struct wx_exec *x) { return !x->ended && !x->a->analysis && xlog_behind(log_of(x)); }
