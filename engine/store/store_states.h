/* States alone, without the rest of their rows: what those who wait ask. The part of store.h that is included by it alone. */
#ifndef STORE_STATES_H
#define STORE_STATES_H

/* How many nodes of the instance have ended, each by its newest row up to run run_no; *n: how many it has. */
enum wr_rc reader_nodes_ended(struct reader *r, int64_t fi, uint32_t run_no, int64_t *ended, int64_t *n,
                              struct wr_err *err) WR_MUST;
/* The states of many instances at once; ids: ascending, each once. Those that do not exist are left out; out: ascending.
 * INS_TASK_LOG: log_top says where the newest log ends (0 on a store of one process). */
enum ins_kind { INS_FLOW, INS_TASK, INS_TASK_LOG, INS_JOB };
struct ins_state { int64_t id; uint8_t state; uint32_t epoch; int64_t log_top; };
enum wr_rc reader_states(struct reader *r, enum ins_kind kind, const int64_t *ids, size_t n, struct ins_state *out, size_t *n_out,
                         struct wr_err *err) WR_MUST;
#endif
