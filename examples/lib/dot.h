/* The dot product of two vectors as a task (S4's first example): content "1 2 3 * 4 5 6", result "32". After each component it keeps
 * how far it is, so a pause, a stop of the process, or a failure loses nothing. */
#ifndef DOT_H
#define DOT_H
#include <math.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir.h>

/* user: what a test changes. pause_ms: how long a component takes. fail_at: the component that fails once; -1 = none. */
struct dot { int pause_ms; volatile int fail_at; };

/* Adds to the text in `to`, which has room for `size` bytes; what does not fit is left out. */
static void add(char *to, size_t size, const char *format, ...) {
  size_t n = strlen(to);
  va_list args;
  va_start(args, format);
  vsnprintf(to + n, size - n, format, args);
  va_end(args);
}

/* The next number of *s, or NAN at its end. */
static double next_number(const char **s) {
  char *end;
  double v = strtod(*s, &end);
  if (end == *s) return NAN;
  *s = end;
  return v;
}

/* Sleeps, but not beyond a stop. */
static int stopped_within(weir_attempt_t *a, int ms) {
  struct pollfd p = {.fd = weir_attempt_stop_fd(a), .events = POLLIN};
  return poll(&p, 1, ms) > 0;
}

static int dot_run(weir_attempt_t *a, void *user) {
  struct dot *d = user;
  const char *x = weir_attempt_content(a), *y = x ? strchr(x, '*') : NULL, *context = weir_attempt_context(a, NULL);
  int done = 0;
  double sum = 0;
  char text[64];
  if (!y++) return weir_report_error(a, "The content must be \"X X .. * Y Y ..\".", 0), WEIR_PHASE_FAILED;
  if (context) sscanf(context, "%d %lf", &done, &sum);
  for (int i = 0;; i++) {
    double u = next_number(&x), v = next_number(&y);
    if (isnan(u) || isnan(v)) break;
    if (i < done) continue; /* an earlier attempt did that */
    if (stopped_within(a, d->pause_ms)) return WEIR_PHASE_NORMAL;
    if (i == d->fail_at) {
      d->fail_at = -1;
      weir_report_error(a, "This component was to fail.", 0);
      return WEIR_PHASE_FAILED;
    }
    sum += u * v;
    snprintf(text, sizeof text, "%d %.17g", i + 1, sum);
    if (weir_report_context(a, text, strlen(text)) == WEIR_ERR_FENCED) return WEIR_PHASE_NORMAL;
    weir_report_progress(a, i + 1, -1, "components", NULL);
  }
  snprintf(text, sizeof text, "%.17g", sum);
  weir_report_result(a, text, strlen(text));
  return WEIR_PHASE_FINISHED;
}

/* Ends the program with a sentence when something is not as it must be. */
static void must(int ok, const char *what, weir_t *h) {
  if (ok) return;
  fprintf(stderr, "%s: %s\n", what, h ? weir_error(h) : "");
  exit(1);
}

/* Waits until the task has that state of S4, and lets go of what it saw. */
static void await_state(weir_t *h, int64_t id, int state) {
  for (int i = 0; i < 2000; i++) {
    weir_task_t *t = NULL;
    must(weir_get(h, id, &t) == WEIR_OK, "get", h);
    int is = t->state == state;
    weir_task_free(t);
    if (is) return;
    poll(NULL, 0, 5);
  }
  must(0, "the task does not come into its state", NULL);
}
#endif
