/* What is true of every store, on every backend. A backend's test says how to open a store, and adds its own facts.
 *
 * Facts share one database unless they are FRESH, so they look only at what they made. Nothing here measures time. */
#ifndef FACTS_H
#define FACTS_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "def.h"
#include "wr_limits.h"
#include "store.h"
#include "text.h"

struct backend {
  struct store *(*fresh)(void);   /* a new, empty database */
  struct store *(*again)(void);   /* the newest database of fresh(), after the store was closed */
  char *(*ask)(bool log, const char *sql); /* beside the store: each row of the answer as "a|b|\n", NULL as "-". log: of the logs */
  bool several;                   /* again() also works while the store is open: there may be more than one member at a time */
};
extern const struct backend *facts_backend;

/* A member of the store, with a clock of its own that only rises. */
struct world { struct store *s; int64_t me, now; uint32_t batches; };
void world_fresh(struct world *w);    /* opens and joins */
void world_again(struct world *w);    /* closes without leaving, opens the same, joins */
struct world world_second(struct world *w);   /* another node of the same database: only in facts for several */
void world_end(struct world *w);      /* leaves and closes */
int64_t world_now(struct world *w);   /* later than all before */
int64_t world_batch_id(struct world *w);

struct fact { const char *name; void (*run)(struct world *w); bool fresh, several; };
#define FACT(f) {#f, f, false, false}
#define FACT_FRESH(f) {#f, f, true, false}
#define FACT_SEVERAL(f) {#f, f, false, true}
extern const struct fact facts_rows[], facts_batch[], facts_live[], facts_defs[], facts_lists[], facts_ins[], facts_logs[], facts_keys[], facts_token[], facts_async[], facts_alone[], facts_reports[], facts_views[], facts_queues[], facts_executors[], facts_jobs[], facts_trees[];
extern const size_t n_facts_rows, n_facts_batch, n_facts_live, n_facts_defs, n_facts_lists, n_facts_ins, n_facts_logs, n_facts_keys, n_facts_token, n_facts_async, n_facts_alone,
  n_facts_reports, n_facts_views, n_facts_queues, n_facts_executors, n_facts_jobs, n_facts_trees;
/* Runs more[0..n), which open their own stores, then all facts: one group, so one TAP plan. */
int facts_run(const char *name, const struct backend *b, const struct CMUnitTest *more, size_t n);

/* ---- definitions ---- */
#define NODE(key) "{'nodeKey':'" key "','tasks':[{'taskName':'t','taskType':'ECHO'}]}"
struct flow_def *flow_parse(const char *name, const char *nodes);               /* nodes: inside of flowNodes, ' for " */
struct flow_def *flow_save(struct world *w, const char *name, const char *nodes); /* parsed and saved; a reference */
int64_t task_save(struct world *w, const char *name, const char *type);

/* ---- batches ---- */
/* Begins, writes, commits. Returns the first answer that is not OK, with everything rolled back. */
enum store_rc batch_do(struct world *w, struct batch *b);
/* A running instance of f: ids for its nodes and tasks, and its row. `params` may be NULL. */
struct started { int64_t fi, ni, ti, version, flow_id, flow_version; char bases[400]; };
struct started flow_start(struct world *w, const struct flow_def *f);
struct flow_row flow_row_of(struct world *w, const struct started *s);         /* as it is after flow_start() */
struct node_row node_row_of(struct world *w, const struct started *s, int64_t node_id, uint32_t index);
struct task_row task_row_of(struct world *w, const struct started *s, uint32_t node, uint32_t task);
struct task_row alone_row_of(struct world *w, int64_t task_id);                /* stand-alone, QUEUED, with a new id */
enum store_rc put_flow(struct world *w, enum row_op op, int64_t expect, const struct flow_row *r);
enum store_rc put_node(struct world *w, enum row_op op, const struct node_row *r);
enum store_rc put_task(struct world *w, enum row_op op, const struct task_row *r);     /* UPDATE: not a finish, unchecked */
enum store_rc put_finish(struct world *w, const struct task_row *r);
void flow_end(struct world *w, struct started *s, uint8_t state);              /* writes a final state */
#define OK(x) assert_string_equal(store_rc_name(x), "OK")
#define IS(x, rc) assert_string_equal(store_rc_name(x), store_rc_name(rc))
#define WR(x) do { struct wr_err e_; wr_err_clear(&e_); enum wr_rc r_ = (x); if (r_) fail_msg("%d", (int)r_); } while (0)

/* ---- reading, through the runner's side; texts are copied and never freed by the caller ---- */
struct flow_row flow_get(struct world *w, int64_t fi);   /* must be there */
struct node_row node_get(struct world *w, int64_t ni);
struct task_row task_get(struct world *w, int64_t ti);
void flow_same(const struct flow_row *a, const struct flow_row *b);
void node_same(const struct node_row *a, const struct node_row *b);
void task_same(const struct task_row *a, const struct task_row *b);

/* ---- reading, through a reader; each opens and puts back its own ---- */
struct reader *reader_of(struct world *w);
struct ids { int64_t v[2100]; uint32_t run[2100]; size_t n; bool more; int64_t total; size_t stop_after; };
int ids_flow(void *ctx, const struct flow_row *r);
int ids_node(void *ctx, const struct node_row *r);
int ids_task(void *ctx, const struct task_row *r);
int ids_task_def(void *ctx, const struct task_def *t);
int ids_flow_def(void *ctx, const struct flow_def *f);
void ids_are(const struct ids *got, const int64_t *want, size_t n);
#define ANY {.state = -1}
/* One page; everything must be OK. */
struct ids list_ins(struct world *w, const struct list_filter *f, struct page p);
struct ids list_flows(struct world *w, const struct list_filter *f, struct page p);
struct ids list_tasks(struct world *w, const struct list_filter *f, struct page p);
struct ids list_nodes(struct world *w, int64_t fi, bool all_runs, struct page p);
struct ids list_nodes_of(struct world *w, int64_t fi, uint32_t run_no, bool all_runs, struct page p); /* up to that run */
#endif
