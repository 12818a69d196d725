/* EXCEPTION: fails with its content as the error. Ends inside start(); no state. */
#include "weir_executor.h"

static int exception_check(const wx_lib *lib, const char *content, const char *config, int *code, char *err, size_t err_n) {
  (void)content;
  return lib->no_config(config, code, err, err_n);
}

static int exception_start(const wx_host *h, wx_exec *x, char *err, size_t err_n) {
  (void)err;
  (void)err_n;
  const char *text = h->task(x)->content;
  if (!text || !*text) text = "Internal Exception.";
  h->done(x, &(wx_result){.size = sizeof(wx_result), .end = WX_FAIL, .error = text, .exit_code = -1});
  return 0;
}

static const wx_ops exception = {.abi = WX_ABI, .size = sizeof(wx_ops), .name = "EXCEPTION", .slot = WX_SLOT_ASYNC,
                                 .check_with = exception_check, .start = exception_start, .flags = WX_INSTANT | WX_NO_PARAMS};

WX_EXECUTOR(exception) { return &exception; }
