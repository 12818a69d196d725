/* Lists and single rows of definitions and instances, for the API. Part of store.h, which alone includes it. Any thread with a
 * reader of its own. */
#ifndef STORE_LISTS_H
#define STORE_LISTS_H

struct page { uint32_t limit; uint64_t offset; bool want_total; };
struct list_filter {
  int64_t flow_id, fi;            /* 0 = any */
  int state;                      /* exact state number, -1 = any */
  int status;                     /* 0 any, 1 RUNNING, 2 SUCCESS, 3 FAILED */
  int64_t from_us, to_us;         /* on start_time, inclusive; 0 = open */
  const char *name_like;          /* substring of the name, NULL = any; tasks and flows */
  const char *type;               /* tasks */
};
/* Callbacks get one row each; texts are valid during the call. Return 0 to go on. *total is set when asked, else -1.
 * *more: rows exist beyond the page. */
typedef int flow_row_fn(void *ctx, const struct flow_row *row);
typedef int node_row_fn(void *ctx, const struct node_row *row);
typedef int task_row_fn(void *ctx, const struct task_row *row);
typedef int attempt_row_fn(void *ctx, const struct attempt_row *row);
typedef int task_def_fn(void *ctx, const struct task_def *t);
typedef int flow_def_fn(void *ctx, const struct flow_def *f);  /* without nodes */
enum wr_rc reader_list_tasks(struct reader *r, const struct list_filter *f, const struct page *p, task_def_fn *fn, void *ctx,
                             bool *more, int64_t *total, struct wr_err *err) WR_MUST;
enum wr_rc reader_list_flows(struct reader *r, const struct list_filter *f, const struct page *p, flow_def_fn *fn, void *ctx,
                             bool *more, int64_t *total, struct wr_err *err) WR_MUST;
enum wr_rc reader_list_flow_ins(struct reader *r, const struct list_filter *f, const struct page *p, flow_row_fn *fn, void *ctx,
                                bool *more, int64_t *total, struct wr_err *err) WR_MUST;   /* newest first: create_time, fi */
enum wr_rc reader_flow_ins(struct reader *r, int64_t fi, flow_row_fn *fn, void *ctx, struct wr_err *err) WR_MUST;
/* Nodes of an instance in flowNodes order, up to run run_no, which the caller has read in the flow's row: a re-run meanwhile
 * changes nothing. all_runs: the rows of every run, else the newest row of each node. */
enum wr_rc reader_nodes(struct reader *r, int64_t fi, uint32_t run_no, bool all_runs, const struct page *p, node_row_fn *fn,
                        void *ctx, bool *more, int64_t *total, struct wr_err *err) WR_MUST;
enum wr_rc reader_node(struct reader *r, int64_t ni, node_row_fn *fn, void *ctx, struct wr_err *err) WR_MUST;
enum wr_rc reader_node_tasks(struct reader *r, int64_t ni, task_row_fn *fn, void *ctx, struct wr_err *err) WR_MUST;
enum wr_rc reader_task_ins(struct reader *r, int64_t ti, task_row_fn *fn, void *ctx, struct wr_err *err) WR_MUST;
enum wr_rc reader_attempts(struct reader *r, int64_t ti, attempt_row_fn *fn, void *ctx, struct wr_err *err) WR_MUST;
#endif
