/* Definitions as the API answers them: S2's shapes, written straight into a buffer.
 *
 * What is written can be posted back: def_task_parse() and def_flow_parse() take it as it is. A field whose value is
 * absent is left out; times are those of clock_s2(). Any thread. */
#ifndef MODEL_DEF_JSON_H
#define MODEL_DEF_JSON_H
#include "def.h"
#include "mem.h"

void def_task_write(struct buf *out, const struct task_def *t);

/* The newest version of a task that a node refers to. Borrowed: until the next call or the end of def_flow_write().
 * NULL = not there any more; then only its taskId is shown. */
typedef const struct task_def *def_task_of(void *ctx, int64_t task_id);
void def_flow_write(struct buf *out, const struct flow_def *f, def_task_of *task, void *ctx);
/* The same without flowNodes: for lists. */
void def_flow_write_head(struct buf *out, const struct flow_def *f);
#endif
