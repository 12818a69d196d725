/* The troubles of one node, as it tells them to the others of its cluster: why it starts no process just now, which attempts
 * SIGKILL does not end, which flows it has set aside. A value; as text it stands in the node's own row (engine_node.trouble).
 *
 * Any thread. What never happens: a text of more than LIMIT_NODE_TROUBLE_BYTES, however much goes wrong: what is beyond the
 * lists is counted. A text that this version does not know reads as no trouble at all. */
#ifndef MODEL_NODE_TROUBLE_H
#define MODEL_NODE_TROUBLE_H
#include <stdbool.h>
#include <stdint.h>
#include "health.h"
#include "mem.h"
#include "wr_limits.h"

enum { NODE_STUCK_MAX = 64, NODE_ASIDE_MAX = 100, PROCESS_NAME_BYTES = 16, NODE_LOAD_BYTES = 160 };

/* Processes of an attempt that SIGKILL has not ended within ten seconds: how many, and one of them. */
struct stuck_attempt { int64_t ti, pid; uint32_t epoch, n; char name[PROCESS_NAME_BYTES]; };
struct node_trouble {
  char starts[HEALTH_WHY_BYTES];      /* why it could not make its newest start; "" = it could */
  /* it makes no start before this time, by the clock of whoever fills it in; in a text, by the shared clock */
  int64_t starts_until_us;
  struct stuck_attempt stuck[NODE_STUCK_MAX]; uint32_t n_stuck;
  int64_t aside[NODE_ASIDE_MAX]; uint32_t n_aside;
  /* What holds tasks back here although nothing goes wrong. cpu_used: told only while the budget holds something back, for it
   * moves with every start of a task that has a cost. */
  int64_t cpu_budget, cpu_used;       /* budget 0 = not told: none, or its node tells nothing of it */
  int64_t cpu_kept_for;               /* the task for which the budget drains: no other that costs anything starts; 0 = none */
  char load[NODE_LOAD_BYTES];         /* why it starts nothing just now, for the middle of a sentence; "" = it does */
  char serves[LIMIT_SERVES_BYTES + 1];/* as --queues has it; "" = every queue */
};

/* ASCII; nothing when there is no trouble. Replaces what is in out. */
void node_trouble_write(const struct node_trouble *t, struct buf *out);
/* False: the text is "", or not one of these; *out has no trouble then. */
bool node_trouble_read(const char *text, struct node_trouble *out);
/* The attempt among the stuck; NULL = it is not. */
const struct stuck_attempt *node_trouble_stuck(const struct node_trouble *t, int64_t ti, uint32_t epoch);
bool node_trouble_aside(const struct node_trouble *t, int64_t fi);
#endif
