/* States of nodes and flows, and the rules: states.h. */
#include "states.h"

static const char *const node_name[NODE__N] = {
#define X(n, v, f, s) [NODE_##n] = #n,
  NODE_STATES(X)
#undef X
};
static const char *const node_word[NODE__N] = {
#define X(n, v, f, s) [NODE_##n] = s,
  NODE_STATES(X)
#undef X
};
static const char *const flow_name[FLOW__N] = {
#define X(n, v, f, s) [FLOW_##n] = #n,
  FLOW_STATES(X)
#undef X
};
static const char *const flow_word[FLOW__N] = {
#define X(n, v, f, s) [FLOW_##n] = s,
  FLOW_STATES(X)
#undef X
};
const char *node_state_name(enum node_state s) { return (unsigned)s < NODE__N ? node_name[s] : "?"; }
const char *node_state_status(enum node_state s) { return (unsigned)s < NODE__N ? node_word[s] : "?"; }
const char *flow_state_name(enum flow_state s) { return (unsigned)s < FLOW__N && flow_name[s] ? flow_name[s] : "?"; }
const char *flow_state_status(enum flow_state s) { return (unsigned)s < FLOW__N && flow_word[s] ? flow_word[s] : "?"; }

enum ruling rule_all_success(uint32_t n_parent, uint32_t ok, uint32_t fail, uint32_t skip) {
  if (fail > 0 || skip > 0) return VERDICT_FALSE;
  return ok == n_parent ? VERDICT_TRUE : VERDICT_UNKNOWN;
}

enum ruling rule_complete(uint32_t n, uint32_t need, uint32_t ok, uint32_t bad) {
  if (ok >= need) return VERDICT_TRUE;
  return n - bad < need ? VERDICT_FALSE : VERDICT_UNKNOWN;
}
