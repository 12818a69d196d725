/* WAIT: ends after the time its content says, never before it; ten seconds when there is none. A cancel ends it at
 * once. One timer of the host, no other state. */
#include <string.h>

#include "conf.h"
#include "limits.h"
#include "text.h"
#include "weir_executor.h"

#define WAIT_DEFAULT_US 10000000LL

static int wait_time(const char *content, int64_t *us, const struct refusal *r) {
  *us = WAIT_DEFAULT_US;
  if (!content || !*content) return 0;
  if (text_duration(content, strlen(content), LIMIT_TIME_US, us)) return 0;
  char q[WR_QUOTE_MAX];
  return refuse(r, WR_OUT_OF_RANGE, "%s is not a time such as 2, 0.5, 500ms, 2s or 5m, from 0 to 7 days.",
                wr_err_quote(q, content, strlen(content)));
}

static int wait_check(const char *content, const char *config, int *code, char *err, size_t err_n) {
  const struct refusal r = {code, err, err_n};
  int64_t us;
  if (wait_time(content, &us, &r)) return -1;
  return refuse_config(&r, config);
}

static void wait_timer(const wx_host *h, wx_exec *x) {
  h->done(x, &(wx_result){.size = sizeof(wx_result), .end = WX_OK, .exit_code = -1});
}

static int wait_start(const wx_host *h, wx_exec *x, char *err, size_t err_n) {
  int64_t us;
  if (wait_time(h->task(x)->content, &us, &(struct refusal){NULL, err, err_n})) return -1;
  if (us == 0) wait_timer(h, x);
  else h->timer(x, h->now_us(x) + us + 1); /* now_us() is cut to the microsecond: one more, or it ends a fraction early */
  return 0;
}

static void wait_cancel(const wx_host *h, wx_exec *x, int how) {
  (void)how;
  h->done(x, &(wx_result){.size = sizeof(wx_result), .end = WX_FAIL, .error = "Canceled.", .exit_code = -1});
}

extern const wx_ops executor_wait;
const wx_ops executor_wait = {.abi = WX_ABI, .size = sizeof(wx_ops), .name = "WAIT", .slot = WX_SLOT_ASYNC,
                              .check = wait_check, .start = wait_start, .timer = wait_timer, .cancel = wait_cancel,
                              .flags = WX_NO_PARAMS};
