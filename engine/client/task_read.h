/* One task instance with all that stands beside its row: what it is, what its attempts reported, its history. A reader's
 * thread; texts are kept in an arena. */
#ifndef CLIENT_TASK_READ_H
#define CLIENT_TASK_READ_H
#include <stdbool.h>
#include "mem.h"
#include "store.h"

enum task_form { TASK_PLAIN, TASK_HISTORY, TASK_CONTENT };   /* with its attempts; with the content of an inline one */
struct task_read {
  struct task_row row;
  struct async_row alone; bool is_alone;
  bool with_history, with_content;
  struct attempt_row *attempt; size_t n, cap;
  struct tree_row tree; bool has_tree;   /* it was analysed */
  struct report_row report;     /* what its attempts reported */
  struct arena text;
};
/* NOT_FOUND: "Task instance 7 does not exist." task_read_done() follows in every case. */
enum wr_rc task_read(struct reader *r, int64_t ti, enum task_form form, struct task_read *out, struct wr_err *err) WR_MUST;
void task_read_none(struct task_read *out);     /* nothing was read */
void task_read_done(struct task_read *in);

/* Trees of a list: wanted row by row, read in one statement, or in none where nothing was analysed. */
struct tree_list { struct tree_row *v; size_t n, cap; };
void tree_list_want(struct tree_list *l, const struct task_row *row);
enum wr_rc tree_list_read(struct reader *r, struct tree_list *l, struct wr_err *err) WR_MUST;
const struct tree_row *tree_list_get(const struct tree_list *l, int64_t ti);   /* NULL = it has none */

/* A task row with its texts in an arena; the same for what stands beside it. */
void task_keep_row(struct arena *a, const struct task_row *row, struct task_row *out);
void task_keep_async(struct arena *a, const struct async_row *row, struct async_row *out);
/* While an attempt runs, its row does not say how much of its output is stored: the log does. log_bytes -1: it cannot be read. */
void task_live_log(struct reader *r, struct task_row *row);
#endif
