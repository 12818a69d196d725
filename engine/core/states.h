/* The states of nodes and flows with their words, and the two rules that decide a node. Pure; any thread. What never happens: a
 * stored number gets another meaning. */
#ifndef CORE_STATES_H
#define CORE_STATES_H
#include <stdbool.h>
#include <stdint.h>

/* X(name, stored number, final, S2's word) */
#define NODE_STATES(X)           \
  X(NONE, 0, 0, "RUNNING")       \
  X(WAITING, 1, 0, "RUNNING")    \
  X(RUNNING, 2, 0, "RUNNING")    \
  X(SUCCESS, 3, 1, "SUCCESS")    \
  X(FAILED, 4, 1, "FAILED")      \
  X(SKIPPED, 5, 1, "SUCCESS")    \
  X(UPSTREAM_FAILED, 6, 1, "FAILED") \
  X(CANCELED, 7, 1, "FAILED")
enum node_state {
#define X(n, v, f, s) NODE_##n = v,
  NODE_STATES(X)
#undef X
  NODE__N
};
#define NODE_FINAL_MIN NODE_SUCCESS
static inline bool node_final(enum node_state s) { return s >= NODE_FINAL_MIN; }
const char *node_state_name(enum node_state s);
const char *node_state_status(enum node_state s);

#define FLOW_STATES(X)           \
  X(RUNNING, 1, 0, "RUNNING")    \
  X(PAUSED, 2, 0, "RUNNING")     \
  X(CANCELING, 3, 0, "RUNNING")  \
  X(SUCCESS, 4, 1, "SUCCESS")    \
  X(FAILED, 5, 1, "FAILED")      \
  X(CANCELED, 6, 1, "FAILED")
enum flow_state {
#define X(n, v, f, s) FLOW_##n = v,
  FLOW_STATES(X)
#undef X
  FLOW__N
};
static inline bool flow_final(enum flow_state s) { return s >= FLOW_SUCCESS; }
const char *flow_state_name(enum flow_state s);
const char *flow_state_status(enum flow_state s);

/* Why nothing new starts any more. Stored. The first wish stands, except that a user's cancel replaces STOP. */
enum wish { WISH_NONE, WISH_STOP, WISH_CANCEL, WISH_FAIL, WISH_TIMEOUT };

enum token { TOKEN_OK, TOKEN_FAIL, TOKEN_SKIP };
enum ruling { VERDICT_UNKNOWN, VERDICT_TRUE, VERDICT_FALSE };
/* The trigger rule all_success over n_parent in-edges. */
enum ruling rule_all_success(uint32_t n_parent, uint32_t ok, uint32_t fail, uint32_t skip);
/* The completion rule: need of n tasks, of which ok succeeded and bad ended otherwise. */
enum ruling rule_complete(uint32_t n, uint32_t need, uint32_t ok, uint32_t bad);
#endif
