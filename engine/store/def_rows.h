/* Definitions from rows: what every backend does with the columns it has read. Private to engine/store; any thread; the
 * columns are borrowed and copied. */
#ifndef STORE_DEF_ROWS_H
#define STORE_DEF_ROWS_H
#include "cursor.h"
#include "store.h"

/* Plain fields of a row of Q_TASK.., Q_FLOW..; texts borrowed. */
void def_row_task_show(const struct cell *c, struct task_def *t);
void def_row_flow_show(const struct cell *c, struct flow_def *f);
/* A task with texts of its own, and with all that def_task_derive() adds. */
enum wr_rc def_row_task(const struct cell *c, struct task_def **out, struct wr_err *err) WR_MUST;
/* A flow with room for its nodes. NULL: the row is damaged. */
struct flow_def *def_row_flow(const struct cell *c);
/* Node i: a row of Q_NODES. */
enum wr_rc def_row_node(struct flow_def *f, uint32_t i, const struct cell *c, struct wr_err *err) WR_MUST;
/* Edges come grouped by node, parents in the order of mention. Begin with last = UINT32_MAX. false: no edge of this flow. */
struct def_edges { struct flow_def *f; uint32_t last; size_t cap; };
bool def_row_edge(struct def_edges *e, int64_t node_id, int64_t prev_id);
enum wr_rc def_row_broken(const struct flow_def *f, struct wr_err *err);

/* For a save: the totals of a flow. use: the distinct task ids, ascending; the caller frees it. */
struct def_plan { uint32_t n_node_ins, n_task_ins; int64_t *use; size_t n_use, cap_use; };
struct def_plan def_plan(const struct flow_def *f);
static inline uint32_t def_node_tasks(const struct node_def *n) {
  return n->type == NODE_TYPE_TASK ? n->n_task_id + n->n_task : 0;
}
/* After a save: sets the ids and times that the flow has now. create_us: of its first version. */
void def_saved(struct flow_def *f, int64_t flow_id, int64_t version, int64_t node_base, int64_t create_us, int64_t now_us);
#endif
