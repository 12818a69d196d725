/* Private to the built-in executors: how check() says no. Pure, any thread. */
#ifndef EXECUTORS_CONF_H
#define EXECUTORS_CONF_H
#include <stddef.h>
#include "err.h"

/* Where a refusal goes; borrowed from the caller of check() or start(). code may be NULL. */
struct refusal { int *code; char *err; size_t err_n; };
/* Writes code and sentence; returns -1, so that a check can `return refuse(...)`. */
int refuse(const struct refusal *r, enum wr_rc code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* 0 when config is NULL or {}; else 42202 with the first key. */
int refuse_config(const struct refusal *r, const char *config);
#endif
