/* Instances read back from the store and written as the answer's data: what /exec and /monitor share. */
#ifndef API_INSTANCE_H
#define API_INSTANCE_H
#include "call.h"
#include "rows.h"

/* What is kept of a flow row to read what belongs to it. */
struct instance {
  struct flow_row row;        /* texts are owned by `text` */
  struct arena text;
  struct flow_def *def;       /* the flow's version; NULL = not known any more */
};
/* NOT_FOUND: "Flow instance 7 does not exist." Always followed by instance_done(). The caller holds no reader: a thread
 * that asks for a second reader may wait for ever for others that do the same. */
enum wr_rc instance_load(struct call *c, int64_t fi, struct instance *out) WR_MUST;
void instance_done(struct instance *in);

/* A task row with its texts in an arena. */
void instance_keep_task(struct arena *a, const struct task_row *row, struct task_row *out);

/* data = the fields of a flow instance; changed: NULL = not shown. */
enum wr_rc instance_flow(struct call *c, int64_t fi, const bool *changed) WR_MUST;
enum instance_form { INSTANCE_PLAIN, INSTANCE_HISTORY };
enum wr_rc instance_task(struct call *c, int64_t ti, enum instance_form form, const bool *changed) WR_MUST;
#endif
