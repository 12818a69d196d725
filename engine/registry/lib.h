/* The table of help that every executor gets, at save time and while it runs. Constant; any thread. */
#ifndef REGISTRY_LIB_H
#define REGISTRY_LIB_H
#include "weir_executor.h"
extern const wx_lib executor_lib;
#endif
