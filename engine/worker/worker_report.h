/* What attempts report, inside the worker: the loop's side (worker_report.c) and the way to the store and back (worker_kept.c).
 * Included by worker_int.h. All calls are the loop's, but for keeper_turn(). */
#ifndef WORKER_REPORT_H
#define WORKER_REPORT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "weir_executor.h"
#include "worker_loop.h"

struct worker;
struct attempt_left;
struct reports;
struct keeper;
struct progress;

/* What worker_report.c knows of all attempts that report. */
struct reporters {
  struct reports *waiting;         /* their descriptor is not read: no place for a long line, or too many contexts on their way */
  struct reports *large;           /* in the middle of a long line, the oldest first; n_large of them */
  uint32_t n_large;
  struct timer patience;           /* runs while one waits for a place */
};

/* ---- worker_report.c ---- */
/* Bytes of descriptor 3; p is changed. False: read no more for now; child_read_reports() is called when there is room. */
bool reports_bytes(struct wx_exec *x, char *p, size_t n);
/* No more bytes come: the last line counts too. Fills what it said of its end. */
void reports_last(struct wx_exec *x, wx_exit *e);
void reports_begin(struct wx_exec *x, const struct attempt_left *left);   /* it goes on where another one stopped */
int reports_note(struct wx_exec *x, int kind, const void *p, size_t n);   /* of an executor; -1: it is not taken */
void reports_result(struct wx_exec *x);        /* the attempt has ended; a result that it noted counts if it has no other */
/* True: something is on its way; exec_reports_over() comes. May be called again. */
bool reports_end(struct wx_exec *x);
void reports_stored(struct wx_exec *x);        /* it is there */
void reports_hurry(struct wx_exec *x);         /* the node stops, or its task is lost: its end waits no longer than that allows */
void reports_free(struct wx_exec *x);
void reports_room(struct worker *w);           /* those that wait are looked at again */
void reports_setup(struct worker *w);

/* ---- worker_kept.c ---- */
/* One attempt's contexts and progress, of which the newest is stored. The loop's calls. */
struct kept *kept_new(struct keeper *k, struct wx_exec *x);
void kept_context(struct kept *q, const char *text, size_t n);
void kept_progress(struct kept *q, const struct progress *p, int64_t at_us);
void kept_end(struct kept *q);                 /* no more comes; reports_stored() is called when all is stored */
void kept_leave(struct kept *q);               /* its attempt waits no longer */
uint64_t keeper_stored(const struct keeper *k);   /* how many contexts so far: does it move? */
bool keeper_crowded(struct keeper *k);         /* true: read no more contexts; reports_room() is called when there is room */
void keeper_recall(struct keeper *k, int64_t ti, uint32_t epoch);   /* later_recalled() is called with the answer */
void keeper_news(struct worker *w);            /* loop: what the log thread has done */
struct keeper *keeper_new(struct worker *w);
void keeper_free(struct keeper *k);            /* the log thread has ended */
bool keeper_turn(struct keeper *k);            /* log thread: stores all that waits. True: there is news */
#endif
