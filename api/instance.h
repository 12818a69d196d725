/* Instances read back from the store and written as the answer's data: what /exec and /monitor share. */
#ifndef API_INSTANCE_H
#define API_INSTANCE_H
#include "call.h"
#include "flow_read.h"
#include "rows.h"
#include "task_read.h"
#include "whose.h"

/* NOT_FOUND: "Flow instance 7 does not exist." Always followed by flow_read_done(). The caller holds no reader: a thread
 * that asks for a second reader may wait for ever for others that do the same. */
enum wr_rc instance_load(struct call *c, int64_t fi, struct flow_read *out) WR_MUST;

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
