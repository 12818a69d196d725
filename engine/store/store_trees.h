/* Trees: tasks that the verdict about another task has added. Part of store.h; store_jobs.h includes it.
 *
 * Who is whose stands in the async row and never changes; task_child lists what a task has added, and a row of it comes and goes
 * with the async row. What a task has because it was analysed stands in a row of task_tree, written under the lock of its tree:
 * the job, or where there is none a row among those of jobs whose id is minus that of the first task (protocol.md, rule 39).
 * Nothing lists that row. It goes with its task. */
#ifndef STORE_TREES_H
#define STORE_TREES_H

struct store;
struct reader;
enum { TREE_IGNORE = 1,           /* childFailure: ignore */
       TREE_FORMER = 2 };         /* what it added in former runs does not change `failed`: its newest verdict named none of it */
struct tree_row {
  int64_t ti;                     /* the first member, as in other rows */
  uint8_t verdict;                /* enum task_said, of the newest one */
  uint8_t ignore;                 /* TREE_ */
  uint8_t wish;                   /* enum job_wish, of what it added */
  bool pass; int64_t pass_at;     /* the wish is being carried out: it has come to this task */
  int64_t total, live, failed, known;
};
/* What the analyzer said of an attempt whose row is there already. said: enum task_said; message NULL: its error stays. */
struct attempt_said { int64_t ti; uint32_t epoch; uint8_t said; const char *message; };
/* ---- the runner's writer, inside a batch ---- */
/* *got: whether there is a row. */
enum store_rc store_tree(struct store *s, int64_t ti, struct tree_row *out, bool *got) WR_MUST;
/* Up to n tasks behind after_ti that the task has added, ascending. */
enum store_rc store_children(struct store *s, int64_t parent, int64_t after_ti, int64_t *ti, size_t n, size_t *n_out) WR_MUST;
/* ---- readers ---- */
/* False in *got: there is no row. */
enum wr_rc reader_tree(struct reader *r, int64_t ti, struct tree_row *out, bool *got, struct wr_err *err) WR_MUST;
/* The same of many, in one statement. v: `ti` is set, ascending; what has no row stays as it is. */
enum wr_rc reader_trees(struct reader *r, struct tree_row *v, size_t n, struct wr_err *err) WR_MUST;
#endif
