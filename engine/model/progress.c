/* See progress.h. */
#include "progress.h"

#include <string.h>

#include "text.h"

#define SECOND_US 1000000
#define STILL 0.0005               /* a speed below this one is shown as 0, and it is 0 */

void progress_begin(struct progress *p, int64_t start_us) {
  *p = (struct progress){.total = -1, .done = -1, .start_us = start_us};
}

/* Cut at a character, with a mark. */
static void keep_text(char *out, const char *s, size_t n, size_t max) {
  char copy[LIMIT_MESSAGE_BYTES + 8]; /* longer than any of them, so that a cut is seen */
  size_t m = n < sizeof copy - 1 ? n : sizeof copy - 1;
  memcpy(copy, s, m);
  copy[m] = '\0';
  (void)text_cut(out, copy, max);
}

void progress_goes_on(struct progress *p, int64_t total, int64_t done, const char *unit, const char *message) {
  p->total = total;
  p->done = done;
  p->from = p->mark = done > 0 ? done : 0;
  if (unit) keep_text(p->unit, unit, strlen(unit), LIMIT_UNIT_BYTES);
  if (message) keep_text(p->message, message, strlen(message), LIMIT_MESSAGE_BYTES);
}

bool progress_second(struct progress *p, int64_t now_us) {
  int64_t full = now_us > p->start_us ? (now_us - p->start_us) / SECOND_US : 0, more = full - p->seconds;
  double was = p->speed, units = p->done > p->mark ? (double)(p->done - p->mark) : 0;
  if (more <= 0) return false;
  /* All that was reported since the last full second was reported in the one after it: a report counts the seconds first. */
  p->speed = p->seconds == 0 ? units : (p->speed + units) / 2;
  p->seconds = full;
  p->mark = p->done > 0 ? p->done : 0;
  while (--more > 0 && p->speed >= STILL) p->speed /= 2;
  if (p->speed < STILL) p->speed = 0;
  return p->speed < was || p->speed > was;
}

void progress_report(struct progress *p, const struct report *r, int64_t now_us) {
  (void)progress_second(p, now_us);
  if (r->says & SAYS_TOTAL) p->total = r->total;
  if (r->says & SAYS_UNIT) keep_text(p->unit, r->unit.s, r->unit.n, LIMIT_UNIT_BYTES);
  if (r->says & SAYS_MESSAGE) keep_text(p->message, r->message.s, r->message.n, LIMIT_MESSAGE_BYTES);
  if (!(r->says & SAYS_DONE)) return;
  p->done = r->done;
  int64_t done = r->done > 0 ? r->done : 0;
  if (done < p->mark) p->mark = done; /* a step back is no progress, and what follows it is */
  if (done < p->from) p->from = 0;    /* it began anew */
}

void progress_end(struct progress *p, int64_t now_us) {
  int64_t us = now_us > p->start_us ? now_us - p->start_us : 1;
  double units = p->done > p->from ? (double)(p->done - p->from) : 0;
  p->speed = units * SECOND_US / (double)us;
}

double progress_eta(int64_t total, int64_t done, double speed) {
  if (total < 0 || !(speed > 0)) return -1;
  int64_t left = total - (done > 0 ? done : 0);
  return left > 0 ? (double)left / speed : 0;
}
