/* Instances in rows: their columns, the arithmetic of their ids, and the filters of their lists, the same for every backend.
 * Private to engine/store; no I/O; any thread. */
#ifndef STORE_INS_ROWS_H
#define STORE_INS_ROWS_H
#include "cursor.h"
#include "store.h"

/* Rows of FLOW_COLS, NODE_COLS, TASK_COLS: what stands in which column, whoever reads it. I(n): an integer, U(n): a time, T(n): a
 * text. SQLite's runner reads its columns one by one, which is a tenth faster than to make cells of them (sqlite_load.c). */
#define FLOW_ROW(I, U, T) { \
  .fi = I(0), .flow_id = I(1), .flow_version = I(2), .version = I(3), .state = fit_u8(I(4)), .wish = fit_u8(I(5)), \
  .run_no = fit_u32(I(6)), .live = fit_u32(I(7)), .failed = fit_u32(I(8)), .create_us = U(9), .start_us = U(10), \
  .end_us = U(11), .update_us = U(12), .due_us = U(13), .error = T(14), .params = T(15), .bases = T(16), .more = T(17)}
#define NODE_ROW(I, U, T) { \
  .ni = I(0), .fi = I(1), .node_id = I(2), .run_no = fit_u32(I(3)), .state = fit_u8(I(4)), .ok = fit_u32(I(5)), \
  .fail = fit_u32(I(6)), .skip = fit_u32(I(7)), .t_ok = fit_u32(I(8)), .t_bad = fit_u32(I(9)), .t_open = fit_u32(I(10)), \
  .create_us = U(11), .start_us = U(12), .end_us = U(13), .update_us = U(14), .error = T(15), .t_canceled = fit_u32(I(16)), \
  .skip_edges = (uint64_t)I(17)}
#define TASK_ROW(I, U, T, N) { /* but for result; N(n): an integer that is -1 when NULL */ \
  .ti = I(0), .ni = I(1), .fi = I(2), .task_id = I(3), .create_us = U(4), .update_us = U(5), .end_us = U(6), \
  .t = {.state = fit_u8(I(7)), .end_as = fit_u8(I(8)), .losses = fit_u8(I(9)), .cancel_requested = fit_u8(I(10)), \
        .phase = fit_u8(I(29)), .resume = task_stops(fit_u8(I(7))) ? fit_u8(I(30)) : 0, .again = fit_u8(I(31)), \
        .epoch = fit_u32(I(11)), .tries = fit_u32(I(12)), .owner = task_owned(fit_u8(I(7))) ? I(13) : 0, .start_us = U(14), \
        .due_us = U(15), .version = I(16)}, \
  .error = T(17), .log = fit_u8(I(19)), .exit_code = fit_i32(N(20)), .signal = fit_i32(I(21)), .utime_us = I(22), \
  .stime_us = I(23), .maxrss_kib = I(24), .log_bytes = I(25), .params = T(26), .log_lost = I(27), \
  .log_lost_why = fit_u8(I(28)), .ran_by = I(13), .executor = fit_u32(I(32))}
/* An attempt stops, or has stopped, because it was asked to: only then `resume` counts. */
static inline bool task_stops(uint8_t state) { return state == TASK_PAUSING || state == TASK_PAUSED; }
/* In these states somebody runs it. The row of any other still says who ran it last. */
static inline bool task_owned(uint8_t state) {
  return state == TASK_RUNNING || state == TASK_PAUSING || state == TASK_CANCELING;
}
#define STATES_OWNED "(4,6,8)"   /* the same in SQL */
_Static_assert(TASK_RUNNING == 4 && TASK_PAUSING == 6 && TASK_CANCELING == 8, "STATES_OWNED");
_Static_assert(TASK_QUEUED == 3 && TASK_FAILED == 10 && PHASE_RUN == 0 && TASK_CREATED == 1 && TASK_BLOCKED == 2 &&
               TASK_RETRY_WAIT == 5 && TASK_PAUSED == 7, "QUEUE_COUNTS, QUEUE_USE");
/* A stand-alone task that becomes live: task_alone gets a row. A final one that is run again says what it was. */
static inline bool task_begins(const struct task_write *t) {
  return t->op == ROW_INSERT || (t->expect_state >= TASK_FINAL_MIN && !task_final(t->row.t.state));
}
enum { FLOW_NAME_CELL = 18, TASK_RESULT_CELL = 18, TASK_LENGTH_CELL = 33 };   /* FLOW_NAME_CELL: of the column behind FLOW_COLS;
                                                                                 TASK_LENGTH_CELL: behind TASK_SHOWN */
/* A row from its cells. a: texts are copied into this arena; NULL: they stay in the cells. */
void ins_row_flow(const struct cell *c, struct flow_row *r, struct arena *a);
void ins_row_node(const struct cell *c, struct node_row *r, struct arena *a);
void ins_row_task(const struct cell *c, struct task_row *r, struct arena *a);
void ins_row_async(const struct cell *c, struct async_row *r, struct arena *a);   /* of ASYNC_COLS */
void whose_of_cells(const struct cell *c, struct whose_row *out, struct arena *a);   /* of Q_WHOSE */
void ins_row_job(const struct cell *c, struct job_row *r, struct arena *a);   /* of JOB_COLS; jobs.c */
void ins_row_tree(const struct cell *c, struct tree_row *r);   /* of TREE_COLS */
bool async_plain(const struct async_row *r);                    /* nothing beside a name and a type is to be inserted */
void ins_row_queue(const struct cell *c, struct queue_row *r, struct arena *a);   /* of QUEUE_COLS */
void ins_row_running(const struct cell *c, struct running_row *r, struct arena *a);     /* of RUNNING_ALONE; a: not NULL */
/* Rows that were gathered, in an array of the arena, ascending by ti. Frees v. */
struct running_row *running_keep(struct running_row *v, size_t n, struct arena *a);
/* The hash of a key. False: the row is damaged. */
bool ins_row_hash(const struct cell *c, uint8_t hash[KEY_HASH_BYTES]);

/* The ids of an instance: n node ids from base[run].ni on for each run. */
struct span { struct run_base *base; size_t n_base, cap; int64_t n; };
void span_add(struct span *s, const char *bases);
void span_nodes(struct span *s, int64_t n);      /* how many nodes a run has; an impossible number counts as none */
/* First and last task id of node instance ni, whose node has n_task tasks from task_at on. lo > hi: ni is of no run. */
struct id_range { int64_t lo, hi; };
struct id_range span_tasks(const char *bases, int64_t n_node, int64_t ni, int64_t task_at, int64_t n_task);

/* Where live rows may be: the id ranges that a pass has noted, none overlapping another. Zero-initialise. */
struct sweep { struct id_range *v; size_t n, cap; };
void sweep_add(struct sweep *w, int64_t lo, int64_t hi);
void sweep_id(struct sweep *w, int64_t id);   /* one id; those that come in their order take one range, not one each */
void sweep_runs(struct sweep *w, const char *bases, int64_t n_task);   /* the tasks of every run */
void sweep_sort(struct sweep *w);       /* sorts; ranges that overlap become one */
void sweep_join(struct sweep *w);       /* sorts; neighbours become one range */
void sweep_cut(struct sweep *w, int64_t last);   /* of sorted ranges: drops what is beyond last, an id in one of them */
void sweep_done(struct sweep *w);
size_t sweep_find(const struct sweep *w, int64_t after);   /* of sorted ranges: the first that may hold an id beyond after */

/* Which node rows there are in several runs, ordered by (index, run). */
struct place { uint32_t index, run; };
struct places { struct place *v; size_t n, cap; };
void places_add(struct places *p, uint32_t index, size_t run);
void places_sort(struct places *p);
void places_newest(struct places *p);   /* of sorted places: the newest run of each index stays */
static inline int64_t place_ni(const struct span *s, const struct place *p) { return s->base[p->run].ni + p->index; }

/* States a filter asks for, ascending; returns how many. */
enum { FILTER_STATES = FLOW__N - FLOW_RUNNING };
int filter_states(const struct list_filter *f, int out[FILTER_STATES]);
static inline int64_t page_offset(const struct page *p) { return p->offset > INT64_MAX / 4 ? INT64_MAX / 4 : (int64_t)p->offset; }
static inline bool filter_timed(const struct list_filter *f) { return f->from_us || f->to_us; }
/* ?1 to ?4 of a statement that looks at the instances of one state. */
enum { FILTER_ARGS = 4 };
void filter_args(const struct list_filter *f, int state, struct arg arg[FILTER_ARGS]);
/* A list with f->fi has one row or none: a flow_row_fn that shows it when it fits the filter and the page. */
struct list_one { const struct list_filter *f; const struct page *p; flow_row_fn *fn; void *ctx; bool hit; };
int list_one_row(void *one, const struct flow_row *row);

enum wr_rc no_such(struct wr_err *err, const char *what, int64_t id);
#endif
