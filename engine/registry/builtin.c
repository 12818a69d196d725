/* The executors that are built into the program, put into a registry. Their order is the one in messages ("Known types: ..").
 * Each is a file of executors/, compiled with a symbol of its own (WX_EXECUTOR); but for HTTP, whose client is the registry's. */
#include "http_task.h"
#include "registry.h"

const wx_ops *weir_executor_echo(void);
const wx_ops *weir_executor_wait(void);
const wx_ops *weir_executor_exception(void);
const wx_ops *weir_executor_shell(void);

static void end_http(void *http) { http_free(http); }

void registry_add_builtins(struct registry *r) {
  struct http *client = http_new();
  const wx_ops http = http_type(client);
  const wx_ops *const ops[] = {weir_executor_echo(), weir_executor_wait(), weir_executor_exception(), weir_executor_shell(), &http};
  struct wr_err err;
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
    enum wr_rc rc = registry_add(r, ops[i], &err);
    wr_assert(rc == WR_OK);
  }
  registry_own(r, client, end_http);
  registry_set_http(r, client);
}
