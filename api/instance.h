/* Instances read back from the store and written as the answer's data: what /exec and /monitor share. */
#ifndef API_INSTANCE_H
#define API_INSTANCE_H
#include "call.h"
#include "rows.h"
#include "task_read.h"
#include "whose.h"

/* What is kept of a flow row to read what belongs to it. */
struct instance {
  struct flow_row row;        /* texts are owned by `text` */
  struct arena text;
  struct flow_def *def;       /* the flow's version; NULL = not known any more */
  struct whose *whose;        /* NULL = nobody has said whose its tasks are, beside their definitions */
};
/* NOT_FOUND: "Flow instance 7 does not exist." Always followed by instance_done(). The caller holds no reader: a thread
 * that asks for a second reader may wait for ever for others that do the same. */
enum wr_rc instance_load(struct call *c, int64_t fi, struct instance *out) WR_MUST;
void instance_done(struct instance *in);

/* The number of the run that made this row; 0 = not known. */
uint32_t instance_run_no(const char *bases, int64_t ti);

/* data = the fields of an instance; changed: NULL = not shown. */
enum wr_rc instance_task(struct call *c, int64_t ti, enum task_form form, const bool *changed) WR_MUST;

/* The same in two steps, for a row that may be gone when it is written. task_read_done() follows in every case. */
enum wr_rc instance_read_task(struct call *c, int64_t ti, enum task_form form, struct task_read *out) WR_MUST;
enum wr_rc instance_write_task(struct call *c, const struct task_read *in, const bool *changed) WR_MUST;

/* The same of what a request of this call has just stored: storing may have taken most of its time, so reading back has half of
 * the request's time on top. A failure to read it is no failure to store it: OUTCOME_UNKNOWN says so. */
enum wr_rc instance_tell_flow(struct call *c, int64_t fi, const bool *changed) WR_MUST;
enum wr_rc instance_tell_task(struct call *c, int64_t ti, const bool *changed) WR_MUST;
#endif
