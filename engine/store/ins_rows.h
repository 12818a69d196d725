/* Instances in rows: the arithmetic of their ids, and the filters of their lists, the same for every backend. Private to
 * engine/store; no I/O; any thread. */
#ifndef STORE_INS_ROWS_H
#define STORE_INS_ROWS_H
#include "store.h"

/* The ids of an instance: n node ids from base[run].ni on for each run. */
struct span { struct run_base *base; size_t n_base, cap; int64_t n; };
void span_add(struct span *s, const char *bases);
void span_nodes(struct span *s, int64_t n);      /* how many a run has; what cannot be counts as none */
/* First and last task id of node instance ni: its node has n_task tasks from task_at on; lo > hi when it is of no run. */
struct id_range { int64_t lo, hi; };
struct id_range span_tasks(const char *bases, int64_t n_node, int64_t ni, int64_t task_at, int64_t n_task);

/* Where live rows may be: the id ranges that a pass has noted, none overlapping another. Zero-initialise. */
struct sweep { struct id_range *v; size_t n, cap; };
void sweep_add(struct sweep *w, int64_t lo, int64_t hi);
void sweep_runs(struct sweep *w, const char *bases, int64_t n_task);   /* the tasks of every run */
void sweep_sort(struct sweep *w);
void sweep_join(struct sweep *w);       /* sorts; neighbours become one range */
void sweep_cut(struct sweep *w, int64_t last);   /* of sorted ones: it ends with that id, which is in one of them */
void sweep_done(struct sweep *w);
size_t sweep_find(const struct sweep *w, int64_t after);   /* of sorted ones: the first that may hold an id beyond after */

/* Which node rows there are in several runs, ordered by (index, run). */
struct place { uint32_t index, run; };
struct places { struct place *v; size_t n, cap; };
void places_add(struct places *p, uint32_t index, size_t run);
void places_sort(struct places *p);
void places_newest(struct places *p);   /* of sorted ones: the newest run of each index stays */
static inline int64_t place_ni(const struct span *s, const struct place *p) { return s->base[p->run].ni + p->index; }

/* States a filter asks for, ascending; returns how many. */
enum { FILTER_STATES = FLOW__N - FLOW_RUNNING };
int filter_states(const struct list_filter *f, int out[FILTER_STATES]);
static inline bool filter_timed(const struct list_filter *f) { return f->from_us || f->to_us; }
/* A list with f->fi has one row or none: a flow_row_fn that shows it when it fits the filter and the page. */
struct list_one { const struct list_filter *f; const struct page *p; flow_row_fn *fn; void *ctx; bool hit; };
int list_one_row(void *one, const struct flow_row *row);

enum wr_rc no_such(struct wr_err *err, const char *what, int64_t id);
#endif
