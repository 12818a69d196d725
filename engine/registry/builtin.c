/* The executors that are built into the program, put into a registry. Their order is that of messages ("Known types: ..."). */
#include "registry.h"

extern const wx_ops executor_echo, executor_wait, executor_exception, executor_shell;

void registry_add_builtins(struct registry *r) {
  static const wx_ops *const ops[] = {&executor_echo, &executor_wait, &executor_exception, &executor_shell};
  struct wr_err err;
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
    enum wr_rc rc = registry_add(r, ops[i], EXECUTOR_BUILTIN, &err);
    wr_assert(rc == WR_OK);
  }
}
