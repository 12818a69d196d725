/* Whose the tasks of a flow instance are, as far as somebody said so beside their definitions: its start, or a wish about one
 * task. Part of store.h, which alone includes it.
 *
 * Most flows have no such row, and nobody asks for one: the row of a flow that has any says so (run.whose, in flow_row.wish). */
#ifndef STORE_WHOSE_H
#define STORE_WHOSE_H

struct store;
struct reader;
struct whose_row {
  int64_t fi, ti;                 /* ti 0: all tasks of the flow that do not say it themselves */
  const char *user, *group;       /* NULL = not said */
  int32_t priority; bool has_priority;
};
/* Of one flow, ascending by ti; the runner's thread, in a batch that has locked the flow. *out and its texts stand in `a`. */
enum store_rc store_whose(struct store *s, int64_t fi, struct arena *a, struct whose_row **out, size_t *n) WR_MUST;
/* The same for readers: what holds for all, and rows of tasks lo..hi. Texts are borrowed. Return 0 to go on. */
typedef int whose_row_fn(void *ctx, const struct whose_row *row);
whose_row_fn whose_hear;          /* ctx: a struct whose, which is told what the row says */
enum wr_rc reader_whose(struct reader *r, int64_t fi, int64_t lo, int64_t hi, whose_row_fn *fn, void *ctx,
                        struct wr_err *err) WR_MUST;
#endif
