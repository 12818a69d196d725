/* WAIT: ends after the time that its content says, never earlier; after ten seconds when it has no content. A cancel ends it at
 * once. One timer of the host, no other state. */
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

static int wait_start(const wx_host *h, wx_exec *x, char *err, size_t err_n) {
  int64_t us;
  if (wait_time(h->lib, h->task(x)->content, &us, err, err_n)) return -1;
  if (us == 0) wait_timer(h, x);
  else h->timer(x, h->now_us(x) + us + 1); /* now_us() is cut to the microsecond: one more, or it ends a fraction early */
  return 0;
}

static void wait_cancel(const wx_host *h, wx_exec *x, int how) {
  (void)how;
  h->done(x, &(wx_result){.size = sizeof(wx_result), .end = WX_FAIL, .error = "Canceled.", .exit_code = -1});
}

static const wx_ops wait = {.abi = WX_ABI, .size = sizeof(wx_ops), .name = "WAIT", .slot = WX_SLOT_ASYNC,
                            .check_with = wait_check, .start = wait_start, .timer = wait_timer, .cancel = wait_cancel,
                            .flags = WX_NO_PARAMS};

WX_EXECUTOR(wait) { return &wait; }
