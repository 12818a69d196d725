/* Rows of instances as the API shows them: S2's fields and ours beside them. Any thread. */
#ifndef API_ROWS_H
#define API_ROWS_H
#include "answer.h"
#include "async.h"
#include "defs.h"
#include "store.h"

/* The fields of a flow instance, without brackets: more may follow. row->flow_name may be NULL. */
void row_flow_fields(struct buf *b, const struct flow_row *row);
/* The fields of a node instance except its tasks, without brackets. n NULL = its definition is not known any more. */
void row_node_fields(struct buf *b, const struct node_row *row, const struct node_def *n);
/* A whole node instance, its tasks as counts. def: its flow's version; NULL = not known any more. */
void row_node(struct buf *b, const struct node_row *row, const struct flow_def *def);
/* def: the version that ran, NULL = not known any more. brief: without a result above this size, for lists. */
#define ROW_BRIEF_RESULT 65536
enum row_form { ROW_BRIEF, ROW_FULL };
/* What does not stand in its row. alone: of a stand-alone task, else NULL; run_no: of a task of a node, 0 = not known. */
struct flow_read;
struct row_beside {
  const struct async_row *alone; uint32_t run_no; const char *host; /* NULL = not known */
  const struct flow_read *of;   /* its flow instance; NULL = none */
  const struct registry *types; /* for what its executor says where an inline task says nothing */
};
void row_task_fields(struct buf *b, const struct task_row *row, const struct task_def *def, const struct row_beside *beside,
                     enum row_form form);
void row_tree(struct buf *b, const struct tree_row *t);     /* what its analyzer said, what it added; NULL: nothing */
struct why_said;
void row_why(struct buf *b, const struct why_said *said);   /* NULL: nothing */
void row_attempt(struct buf *b, const struct attempt_row *row, const char *host);
#endif
