/* The executors that are built into the program, put into a registry. Their order is the one in messages ("Known types: ..").
 * Each is a file of executors/, compiled with a symbol of its own (WX_EXECUTOR). */
#include "registry.h"

const wx_ops *weir_executor_echo(void);
const wx_ops *weir_executor_wait(void);
const wx_ops *weir_executor_exception(void);
const wx_ops *weir_executor_shell(void);

void registry_add_builtins(struct registry *r) {
  const wx_ops *const ops[] = {weir_executor_echo(), weir_executor_wait(), weir_executor_exception(), weir_executor_shell()};
  struct wr_err err;
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
    enum wr_rc rc = registry_add(r, ops[i], &err);
    wr_assert(rc == WR_OK);
  }
}

const wx_ops *registry_shell(void) { return weir_executor_shell(); }
