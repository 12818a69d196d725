/* How far an attempt is, and how fast: the last values that it reported, and the speed worked out from them. Pure: the caller
 * gives the time, monotonic microseconds. One owner, one thread.
 *
 * Speed: each full second since the start of the attempt is a sample, the units that were reported in it. The first sample is the
 * speed; then each makes it half old, half new. What was done before the attempt began does not count, nor does a step back. */
#ifndef PROGRESS_H
#define PROGRESS_H
#include <stdbool.h>
#include <stdint.h>
#include "report_line.h"
#include "wr_limits.h"

struct progress {
  int64_t total, done;             /* -1 = not known */
  double speed;                    /* units a second */
  char unit[LIMIT_UNIT_BYTES + 1], message[LIMIT_MESSAGE_BYTES + 1];
  /* of the meter: */
  int64_t start_us, seconds;       /* of the attempt; how many full ones are counted */
  int64_t from, mark;              /* done when it began; done at the end of the last full second */
};

void progress_begin(struct progress *p, int64_t start_us);
/* What an earlier attempt reported: values that this one leaves out stay, and its units are not this one's. -1, NULL = not
 * known. */
void progress_goes_on(struct progress *p, int64_t total, int64_t done, const char *unit, const char *message);
/* A report of REPORT_PROGRESS. Texts that are too long are cut. */
void progress_report(struct progress *p, const struct report *r, int64_t now_us);
/* Counts the seconds that are full; call it at least once before the values are looked at. True: the speed has changed. */
bool progress_second(struct progress *p, int64_t now_us);
/* The attempt has ended: the speed is that of all its time. (A reader shows that of all attempts of the run: reports.c.) */
void progress_end(struct progress *p, int64_t now_us);
/* Does the speed change by itself? */
static inline bool progress_moves(const struct progress *p) { return p->speed > 0 || p->done > p->mark; }
/* Seconds left, from what a row says; < 0 = not known. */
double progress_eta(int64_t total, int64_t done, double speed);
#endif
