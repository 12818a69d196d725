/* A flow instance as it is shown, and what it knows of its tasks: their definitions, whose they are, the number of their run.
 *
 * The answering thread's own; whoever made one ends it. What never happens: a second reader is taken while one is held. */
#ifndef CLIENT_FLOW_READ_H
#define CLIENT_FLOW_READ_H
#include "async.h"
#include "store.h"

struct defs;
struct task_def;
struct flow_def;
struct whose;
struct flow_read {
  struct flow_row row;        /* texts are owned by `text` */
  struct arena text;
  struct flow_def *def;       /* the flow's version; NULL = not known (any more) */
  struct whose *whose;        /* NULL = nobody has said whose its tasks are, beside their definitions */
};
void flow_read_none(struct flow_read *out);   /* of a stand-alone task */
/* NOT_FOUND: "Flow instance 7 does not exist." Without its definition. flow_read_done() follows in every case. */
enum wr_rc flow_read(struct reader *r, int64_t fi, struct flow_read *out, struct wr_err *err) WR_MUST;
void flow_read_def(struct flow_read *in, struct defs *d);   /* the caller holds no reader */
void flow_read_done(struct flow_read *in);

uint32_t flow_run_no(const char *bases, int64_t ti);   /* of the run that made this row; 0 = not known */
/* A reference. NULL = the definition is gone. An inline one is found by its place among the tasks of the run of row->ti. */
struct task_def *flow_task_def(struct defs *d, const struct task_row *row, const struct flow_def *f, const char *bases);
/* Whose it is and what it costs: by its own row (alone), or by what was said of it and by its definition. Each may be NULL. Texts
 * are borrowed. */
struct queue_view flow_task_queue(const struct flow_read *in, const struct async_row *alone, int64_t ti,
                                  const struct task_def *def);
#endif
