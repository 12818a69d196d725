/* WAIT: ends after the time that its content says, never earlier; after ten seconds when it has no content. A cancel ends it at
 * once; a pause or a planned stop too, and what is left is its context, from which the next attempt goes on. One timer of the
 * host; when that rings is its only state. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "weir_executor.h"

#define WAIT_DEFAULT_US 10000000LL
#define WAIT_MAX_US (7 * 86400 * 1000000LL)

static int wait_time(const wx_lib *lib, const char *content, int64_t *us, char *err, size_t err_n) {
  *us = WAIT_DEFAULT_US;
  if (!content || !*content || lib->duration(content, strlen(content), WAIT_MAX_US, us)) return 0;
  char q[WX_QUOTE_BYTES];
  snprintf(err, err_n, "%s is not a time such as 2, 0.5, 500ms, 2s or 5m, from 0 to 7 days.",
           lib->quote(q, content, strlen(content)));
  return -1;
}

static int wait_check(const wx_lib *lib, const char *content, const char *config, int *code, char *err, size_t err_n) {
  int64_t us;
  *code = WX_OUT_OF_RANGE;
  return wait_time(lib, content, &us, err, err_n) ? -1 : lib->no_config(config, code, err, err_n);
}

static void wait_timer(const wx_host *h, wx_exec *x) {
  h->done(x, &(wx_result){.size = sizeof(wx_result), .end = WX_OK, .exit_code = -1});
}

_Static_assert(sizeof(void *) >= sizeof(int64_t), "a pointer has room for a time");
static int64_t rings_at(const wx_host *h, wx_exec *x) { return (int64_t)(intptr_t)*h->data(x); }

/* A context that is no time was not made here, and says nothing. */
static int wait_start(const wx_host *h, wx_exec *x, char *err, size_t err_n) {
  const wx_task *t = h->task(x);
  int64_t us;
  bool left = t->context_len > 0 && h->lib->duration(t->context, t->context_len, WAIT_MAX_US, &us);
  if (!left && wait_time(h->lib, t->content, &us, err, err_n)) return -1;
  if (us == 0) return wait_timer(h, x), 0;
  int64_t at = h->now_us(x) + us + 1; /* now_us() is cut to the microsecond: one more, or it ends a fraction early */
  *h->data(x) = (void *)(intptr_t)at;
  h->timer(x, at);
  return 0;
}

static void keep_what_is_left(const wx_host *h, wx_exec *x) {
  char text[32];
  int64_t us = rings_at(h, x) - 1 - h->now_us(x); /* without the one above: what is left is never more than there was */
  if (us < 0) us = 0;
  int n = snprintf(text, sizeof text, "%lld.%06llds", (long long)(us / 1000000), (long long)(us % 1000000));
  (void)h->note(x, WX_NOTE_CONTEXT, 0, text, (size_t)n);
}

static void wait_cancel(const wx_host *h, wx_exec *x, int how) {
  int why = h->stop_reason(x);
  bool goes_on = why == WX_STOP_PAUSE || why == WX_STOP_SHUTDOWN;
  (void)how;
  if (goes_on) keep_what_is_left(h, x);
  h->done(x, &(wx_result){.size = sizeof(wx_result), .end = WX_FAIL, .error = goes_on ? "Stopped." : "Canceled.",
                          .exit_code = -1});
}

static const wx_ops wait = {.abi = WX_ABI, .size = sizeof(wx_ops), .name = "WAIT", .slot = WX_SLOT_ASYNC,
                            .check_with = wait_check, .start = wait_start, .timer = wait_timer, .cancel = wait_cancel,
                            .flags = WX_NO_PARAMS | WX_CONTEXT};

WX_EXECUTOR(wait) { return &wait; }
