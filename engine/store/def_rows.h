/* Definitions from rows: what every backend does with the columns it has read. Private to engine/store; any thread; the
 * columns are borrowed and copied. */
#ifndef STORE_DEF_ROWS_H
#define STORE_DEF_ROWS_H
#include "store.h"

/* A task of its own from one whose texts are borrowed, derived. */
enum wr_rc def_row_task(const struct task_def *row, struct task_def **out, struct wr_err *err) WR_MUST;
/* A flow with room for n nodes. */
struct flow_def *def_row_flow(const struct flow_def *row, int64_t n); /* NULL: the row cannot be, so it is damaged */
/* Node i. type: START, TASK or END; ids: "1,2" or NULL; tasks: JSON of n_tasks bytes or NULL. */
struct def_node_cols { int64_t node_id; const char *key, *type, *ids, *tasks, *config; size_t n_tasks; };
enum wr_rc def_row_node(struct flow_def *f, uint32_t i, const struct def_node_cols *c, struct wr_err *err) WR_MUST;
/* Edges come grouped by node, parents in the order of mention. Begin with last = UINT32_MAX. false: not of this flow. */
struct def_edges { struct flow_def *f; uint32_t last; size_t cap; };
bool def_row_edge(struct def_edges *e, int64_t node_id, int64_t prev_id);
enum wr_rc def_row_broken(const struct flow_def *f, struct wr_err *err);

/* The other way: what a flow to be saved has in all. use: the distinct task ids, ascending; the caller frees it. */
struct def_plan { uint32_t n_node_ins, n_task_ins; int64_t *use; size_t n_use, cap_use; };
struct def_plan def_plan(const struct flow_def *f);
static inline uint32_t def_node_tasks(const struct node_def *n) { return n->type == NODE_TYPE_TASK ? n->n_task_id + n->n_task : 0; }
/* It is saved: the ids and times it has now. create_us: of its first version. */
void def_saved(struct flow_def *f, int64_t flow_id, int64_t version, int64_t node_base, int64_t create_us, int64_t now_us);
#endif
