/* What `weir run` says at the end: one JSON object or a few lines. Pure but for the output. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H
#include "defs.h"
#include "follow.h"
#include "wfformat.h"
struct replay { uint32_t tasks, slots; int64_t makespan_us, critical_us, work_us, bound_us; };
/* The figures of a recorded workflow that was run; f is that run. */
struct replay replay_of(const struct follow *f, const struct wf *w, uint32_t slots);
void report_flow(FILE *to, const struct follow *f);
/* With the tasks of each node, their results and the ends of their logs. */
enum wr_rc report_flow_json(FILE *to, const struct follow *f, struct defs *defs, struct wr_err *err) WR_MUST;
void report_refusal_json(FILE *to, const struct wr_err *err);
void report_replay(FILE *to, const struct follow *f, const struct replay *r);
void report_replay_json(FILE *to, const struct follow *f, const struct replay *r);
#endif
