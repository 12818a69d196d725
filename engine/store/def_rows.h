/* Definitions from rows: what every backend does with the columns it has read. Private to engine/store; any thread; the
 * columns are borrowed and copied. */
#ifndef STORE_DEF_ROWS_H
#define STORE_DEF_ROWS_H
#include "store.h"

/* A task of its own from one whose texts are borrowed, derived. */
enum wr_rc def_row_task(const struct task_def *row, struct task_def **out, struct wr_err *err) WR_MUST;
/* A flow with room for n nodes. */
struct flow_def *def_row_flow(const struct flow_def *row, int64_t n);
/* Node i. type: START, TASK or END; ids: "1,2" or NULL; tasks: JSON of n_tasks bytes or NULL. */
struct def_node_cols { int64_t node_id; const char *key, *type, *ids, *tasks, *config; size_t n_tasks; };
enum wr_rc def_row_node(struct flow_def *f, uint32_t i, const struct def_node_cols *c, struct wr_err *err) WR_MUST;
/* Edges come grouped by node, parents in the order of mention. Begin with last = UINT32_MAX. false: not of this flow. */
struct def_edges { struct flow_def *f; uint32_t last; size_t cap; };
bool def_row_edge(struct def_edges *e, int64_t node_id, int64_t prev_id);
enum wr_rc def_row_broken(const struct flow_def *f, struct wr_err *err);
#endif
