/* Recorded scientific workflows (WfCommons WfFormat, https://wfcommons.org) as flows of WAIT tasks.
 *
 * Reads schema 1.5 (workflow.specification + workflow.execution) and the older ones (workflow.tasks or workflow.jobs
 * with the run time inside). The graph is the union of parents and children. A file names them by id, or by name where there
 * is no such id. The result is a body of POST /flow, so all checks of flows hold for it too. Pure. */
#ifndef CLI_WFFORMAT_H
#define CLI_WFFORMAT_H
#include <jansson.h>
#include <stdint.h>
#include "err.h"

struct wf {
  json_t *body;        /* of POST /flow */
  uint32_t n;          /* tasks in the order of the file; flowNodes has the same order (a START may stand before them) */
  int64_t *run_us;     /* scaled run times */
  int64_t work_us;     /* their sum */
};
enum wr_rc wf_load(const json_t *doc, double scale, struct wf *out, struct wr_err *err) WR_MUST;
void wf_done(struct wf *w);
#endif
