/* A packet under way: statements, and what each must answer. Private to mysql_async.c, mysql_batch.c, mysql_held.c,
 * mysql_jobs.c, mysql_keys.c, mysql_load.c, mysql_put.c and mysql_queue.c; the runner's thread. */
#ifndef MYSQL_RUN_H
#define MYSQL_RUN_H
#include "mysql_priv.h"

#define PUT_ROWS 500    /* rows of one statement */

enum want {
  WANT_NOTHING,         /* any answer without rows */
  WANT_ROWS,            /* n rows found */
  WANT_DUPS,            /* an upsert that found n of its rows */
  WANT_HEAD,            /* flow[at]: one row, else stale */
  WANT_HEADS,           /* (fi_id, version): those of flow[at .. at+n) that expect one */
  WANT_TASK,            /* task[at]: one row, else stale */
  WANT_TASKS,           /* (ti_id, epoch, state): those of task[at .. at+n) that expect them */
  WANT_GUARD,           /* (flow_id, flow_version): of the inserts in flow[at .. at+n), those that may start */
  WANT_KEYS,            /* n rows inserted, else a rival won */
  WANT_UNIQUE,          /* n rows inserted; the error "duplicate": a rival won */
  WANT_DEFS,            /* (version): as at the beginning */
  WANT_FENCE            /* one row, else fenced or definitions changed */
};
struct my_want { enum want kind; size_t at, n; };

/* Begins a statement of the packet, sending what is there when it grows too large. 0 or the code that ends the batch. */
enum store_rc run_statement(struct my *s, struct batch *b, enum want kind, size_t at, size_t n) WR_MUST;

/* mysql_keys.c: looks for n keys, ascending, of one table. cols: the key first; found: fills out[i], of that size, from the
 * cells. */
struct my_asked;
struct my_key_table {
  const char *from, *key, *cols;
  size_t size;
  void (*found)(const struct cell *c, const struct my_asked *k, size_t i);
};
/* scoped: the column key_scope must be `scope`. */
struct my_asked {
  const struct my_key_table *t; const char *const *key; size_t n;
  void *out; uint8_t *got;
  bool scoped; int64_t scope;
};
enum store_rc my_keys_look(struct my *s, const struct my_asked *all) WR_MUST;

/* mysql_keys.c: idempotency keys of the batch, behind the guards and before the heads (the order of locks). */
enum store_rc write_keys(struct my *s, struct batch *b) WR_MUST;

/* mysql_async.c: behind the tasks and attempts. */
enum store_rc write_gone(struct my *s, struct batch *b) WR_MUST;
enum store_rc write_whose(struct my *s, struct batch *b) WR_MUST;         /* mysql_whose.c */
enum store_rc write_async(struct my *s, struct batch *b) WR_MUST;

/* mysql_jobs.c: behind the keys; behind the async rows. */
enum store_rc write_jobs(struct my *s, struct batch *b) WR_MUST;
enum store_rc write_job_tasks(struct my *s, struct batch *b) WR_MUST;
enum store_rc write_trees(struct my *s, struct batch *b) WR_MUST;
enum store_rc write_children(struct my *s, struct batch *b) WR_MUST;

/* mysql_queue.c: behind the tasks. */
enum store_rc write_rates(struct my *s, struct batch *b) WR_MUST;
enum store_rc write_notes(struct my *s, struct batch *b) WR_MUST;
/* mysql_node.c: notes the ranges of ids in which live tasks of flows are. How many of v[0 .. n) one statement looks at; *last: up
 * to which id. */
unsigned my_live_ranges(struct my *s, struct sweep *w);
size_t my_live_share(const struct id_range *v, size_t n, int64_t after, int64_t *last);

/* mysql_load.c: a read inside the transaction, which it opens when none is: what my_select_begin() has begun in s->sql. */
void my_select_begin(struct my *s);
unsigned my_select_tx(struct my *s, MYSQL_RES **res);

/* mysql_held.c. my_wary: a wait for a lock was in vain, so for a while rows are asked for before they are written. my_ask_held:
 * OK: every row that is there was free and is locked now. STALE: other rows are marked, and the transaction is rolled back. */
void my_wary(struct my *s);
bool my_is_wary(const struct my *s);
enum store_rc my_ask_held(struct my *s, struct batch *b) WR_MUST;

/* Rows of one table, ascending by key. finish: task_ins with what the end of an attempt leaves. */
enum put_table { PUT_FLOW, PUT_NODE, PUT_TASK, PUT_FINISH };
struct put_rows { const void **v; size_t n, cap; };
void put_row(struct put_rows *r, const void *row);
enum store_rc put_inserts(struct my *s, struct batch *b, enum put_table t, const struct put_rows *ins) WR_MUST;
/* Rows must be there. Equal updates become one UPDATE .. IN (..), the rest one upsert. */
enum store_rc put_updates(struct my *s, struct batch *b, enum put_table t, const struct put_rows *upd) WR_MUST;
/* "UPDATE t SET .. WHERE key=.." for one row; the caller may add to the condition. */
void put_single(struct my *s, struct batch *b, enum put_table t, const void *row);
#endif
