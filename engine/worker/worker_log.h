/* Logs of attempts (worker_log.c), for the rest of the worker. The loop's calls where nothing else is said. */
#ifndef WORKER_LOG_H
#define WORKER_LOG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "worker.h"

struct logger;
struct worker;
struct wx_exec;
struct xlog;

struct log_sum { int64_t stored, lost; enum log_lost why; };

struct logger *logger_new(struct worker *w);
void logger_free(struct logger *l);         /* writes what there is, ends the thread */
/* cap < 0: the default; 0: nothing is kept. One attempt's log; the loop's calls. */
struct xlog *xlog_new(struct logger *l, struct wx_exec *x, int64_t cap);
bool xlog_add(struct xlog *g, uint8_t stream, const void *p, size_t n);  /* false: too much is under way, stop reading */
bool xlog_behind(struct xlog *g);           /* true: the same, before anything is added */
bool xlog_stalled(const struct xlog *g);    /* somebody was told so, and there was no room since */
void xlog_end(struct xlog *g);              /* no more; exec_log_over() is called when it is stored */
/* It has grown since it was asked last; patient: or the store is away. */
bool xlog_moves(struct xlog *g, bool patient);
struct log_sum xlog_leave(struct xlog *g);    /* its attempt waits no longer: what its row says */
void logger_news(struct worker *w);         /* loop: what the log thread has done */
void logger_wake(struct logger *l);         /* any thread: the keeper has work for the log thread */
/* Log thread: calls once() until its answer is not AGAIN, or until the node has been ending for long enough. *doubt: one of the
 * answers was AGAIN. most_us: the longest time; INT64_MAX = none. */
enum log_rc logger_until(struct logger *l, enum log_rc (*once)(void *), void *arg, int64_t most_us, bool *doubt);
/* Of the log thread: a while. False: the node ends, and no other try is in time. */
bool logger_nap(struct logger *l, int64_t us);
#endif
