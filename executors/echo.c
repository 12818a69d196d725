/* ECHO: its content is its result and its log. Ends inside start(); no state, no system call. */
#include <string.h>

#include "weir_executor.h"

static int echo_check(const wx_lib *lib, const char *content, const char *config, int *code, char *err, size_t err_n) {
  (void)content;
  return lib->no_config(config, code, err, err_n);
}

static int echo_start(const wx_host *h, wx_exec *x, char *err, size_t err_n) {
  (void)err;
  (void)err_n;
  const char *text = h->task(x)->content;
  if (!text) text = "";
  h->done(x, &(wx_result){.size = sizeof(wx_result), .end = WX_OK, .result = text, .result_len = strlen(text),
                          .log_is_result = 1, .exit_code = -1});
  return 0;
}

static const wx_ops echo = {.abi = WX_ABI, .size = sizeof(wx_ops), .name = "ECHO", .slot = WX_SLOT_ASYNC,
                            .check_with = echo_check, .start = echo_start, .flags = WX_INSTANT | WX_NO_PARAMS};

WX_EXECUTOR(echo) { return &echo; }
