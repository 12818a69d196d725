/* What the load clients share. A benchmark has nothing to repair: what goes wrong ends it with a message. Any thread. */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H
#include <stdint.h>

_Noreturn void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int64_t now_us(void);                                        /* CLOCK_MONOTONIC */
#endif
