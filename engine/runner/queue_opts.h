#ifndef RUNNER_QUEUE_OPTS_H
#define RUNNER_QUEUE_OPTS_H
#include <stddef.h>
#include <stdint.h>
struct queue_name { const char *user, *group; };
struct queue_opts { int64_t cpu_budget, cost_wait_us, ageing_us; double max_load; int64_t min_free_bytes; const struct queue_name *serves; size_t n_serves; };
#endif
