/* One line that a task's program reports (descriptor 3): JSON to values. Pure, any thread, no allocation: the line itself is the
 * memory. A line costs one pass over its bytes, whatever stands in it.
 *
 * What never happens: a read or a write beyond the line; recursion; a line that is half taken. */
#ifndef REPORT_LINE_H
#define REPORT_LINE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum report_kind { REPORT_PROGRESS, REPORT_CONTEXT, REPORT_RESULT, REPORT_FAIL, REPORT_AGAIN, REPORT_LOG };
enum { SAYS_TOTAL = 1, SAYS_DONE = 2, SAYS_UNIT = 4, SAYS_MESSAGE = 8 };
#define REPORT_COUNT_MAX 9007199254740992LL /* 2^53: exact in every JSON reader */

struct report_text { const char *s; size_t n; };  /* no NUL behind it; it may contain some, unless it is said otherwise */

struct report {
  enum report_kind kind;
  struct report_text text;         /* CONTEXT (without NUL), RESULT, LOG; FAIL: its message, s NULL = none */
  bool final;                      /* FAIL: retry is false */
  int64_t after_us;                /* AGAIN; -1 = not said */
  unsigned says;                   /* PROGRESS: SAYS_.., the rest is not there */
  int64_t total, done;             /* -1 = null: not known any more */
  struct report_text unit, message;   /* without NUL */
};

/* The texts of a report point into the line, which is changed. NULL: *out holds it. Else why it is no report, without a full
 * stop; *out is undefined then. The newline is not part of the line. */
const char *report_read(char *line, size_t n, struct report *out);
#endif
