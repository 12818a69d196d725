/* The built-in executors. */
#ifndef EXECUTORS_BUILTIN_H
#define EXECUTORS_BUILTIN_H
#include "weir_executor.h"
extern const wx_ops executor_echo, executor_wait, executor_exception, executor_shell;
/* NULL-terminated, in the order of messages ("Known types: ..."). */
extern const wx_ops *const executors_builtin[];
const wx_ops *executor_find(const char *name);   /* NULL = unknown; exact match */
#endif
