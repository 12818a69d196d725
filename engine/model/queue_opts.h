/* What a node's command line says about the choice among waiting tasks. A value; its texts live as long as the node. */
#ifndef MODEL_QUEUE_OPTS_H
#define MODEL_QUEUE_OPTS_H
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include "queue_name.h"

/* A task that waits, as a policy sees it. type, name, key: NULL = not known, or none. running_*: on this node. */
struct candidate {
  int64_t ti, since_us;
  const char *user, *group, *type, *name, *key;
  int32_t priority, cpu, running_user, running_group;
};
/* The host's own choice among them, in place of shares, priorities and turns. The runner's thread asks: pick() must not block. It
 * returns an index, or -1: none now. `on` may change at any time. */
struct queue_policy { atomic_bool on; void *ctx; long (*pick)(void *ctx, const struct candidate *v, size_t n); };

struct queue_opts {
  int64_t cpu_budget;             /* the sum of cpuOverhead that may run at once, a core is 100; 0 = no limit */
  int64_t cost_wait_us;           /* so long may a task wait for the budget; then the node lets the budget drain for it */
  int64_t ageing_us;              /* each so long a task waits, its priority rises by one; 0 = it does not rise */
  double max_load;                /* 1-minute load over cores, above it nothing starts; 0 = off */
  int64_t min_free_bytes;         /* MemAvailable, below it nothing starts; 0 = off */
  const struct queue_name *serves; size_t n_serves;   /* 0 = every queue */
  struct queue_policy *policy;    /* NULL = none is possible */
  const char *serves_text;        /* the same as text, for the other nodes; NULL = every queue */
};
#endif
