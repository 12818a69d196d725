/* What the MySQL/MariaDB files share. Private to engine/store/mysql*.c, the only files that know libmariadb.
 *
 * Connections: the runner's (its thread only, multi-statement packets), one for id blocks (under ids_mu), one of the
 * definition writer (under def_mu), up to MY_READERS read-only ones, one of the log writer. All are opened when first
 * used and again after they broke, but never inside a transaction: a transaction belongs to one connection.
 *
 * What never happens: an automatic reconnect; user text in a statement other than through sql_text()/sql_blob() or as a
 * bound value; SQL, a value of a row or the password in an answer or a log line. */
#ifndef MYSQL_PRIV_H
#define MYSQL_PRIV_H
#include <pthread.h>
#include <stdatomic.h>
#include "ins_rows.h"
#include "mysql_conn.h"
#include "mysql_sql.h"
#include "reader_pool.h"
#include "sql.h"
#include "turn.h"

#define MY_READERS 8           /* besides the runner's */
#define MY_TABLES "('schema_version','id_block','definitions','task','task_history','task_flow','task_flow_history'," \
  "'task_node','task_node_edge','task_use','installation','task_flow_ins','task_node_ins','task_ins','task_alone'," \
  "'task_attempt','engine_node','task_log','idempotency','task_async','task_context','task_progress','task_type'," \
  "'task_gone','flow_queue','task_queue','task_counted','task_executor','job','job_task','task_child','task_tree','analyzer')"
#define MY_N_TABLES 33
#define MY_LOCK_NAME(what) "CONCAT('weir." what ".', IF(CHAR_LENGTH(DATABASE())<=48, DATABASE(), MD5(DATABASE())))"
#define MY_IN_MAX 500   /* ids in one IN list: MariaDB turns lists of 1,000 into a join, which may scan */

/* ---- the store ---- */
struct my_ids { int64_t next, end; uint32_t block; };  /* next .. end-1 are taken and not used; block: how many to take next */

struct my_reader { struct reader base; struct my_conn c; };

struct my_want;           /* mysql_batch.c: what a statement of a packet must answer */

struct my {
  struct store base;
  struct my_url url;
  int64_t lease_us, request_us;
  bool relaxed;
  _Atomic int64_t away_until; /* mono clock: until then no request tries to connect again */
  int64_t me;             /* incarnation, 0 = not joined; written by the runner's thread before others start */
  /* the runner's */
  struct my_conn run;
  bool in_tx;
  bool reconciles;        /* this connection holds the named lock */
  int64_t forget_us;      /* boot time of the next look for rows of members to be forgotten */
  int64_t defs, queues;   /* definitions.version and queues_version as of the newest packet */
  bool defs_known;
  atomic_bool defs_moved; /* the definition writer of this process raised it */
  int64_t batch;          /* id of the batch under way */
  struct sql sql;
  struct my_want *want;
  size_t n_want, cap_want;
  struct arena texts;     /* of rows read in this transaction */
  int64_t wary_until;     /* mono clock: mysql_held.c */
  struct sweep live;      /* id ranges that the pass under way still looks at */
  int64_t flows_end;      /* the last flow of a pass over live flows: the newest when the pass came to the end; 0 = not yet */
  uint32_t keys_written;  /* since old ones were deleted last */
  /* ids */
  pthread_mutex_t ids_mu;
  struct my_conn side;
  struct my_ids id[ID__N];
  /* the definition writer's */
  struct turn def_mu;
  struct my_conn def;
  struct sql def_sql;
  struct reader_pool readers;
};
static inline struct my *my_of(struct store *s) { return (struct my *)s; }
static inline struct my_reader *my_reader_of(struct reader *r) { return (struct my_reader *)r; }

int64_t my_until(const struct my *s); /* CLOCK_MONOTONIC: until then a request waits for another one */
/* mysql_defs.c. Its ids() is in mysql.c: ids without the runner's codes. */
extern const struct def_ops my_def_ops;
enum wr_rc my_def_ids(struct store *, enum id_kind, uint32_t, int64_t *, struct wr_err *) WR_MUST;

enum wr_rc my_open_err(const struct my_conn *c, unsigned e, struct wr_err *err); /* at the start: in the server's own words */
/* mysql_migrate.c: brings the database to the schema of this program. s->run is connected. */
struct migrate_watch;
enum wr_rc my_migrate_up(struct my *s, const struct migrate_watch *w, struct wr_err *err);

/* ---- members of the ops table, by file ---- */
/* mysql.c */
STORE_OP(ids) my_ids;
/* mysql_node.c */
STORE_OP(join) my_join; STORE_OP(leave) my_leave; STORE_OP(renew) my_renew; STORE_OP(tell) my_tell;
STORE_OP(wish) my_wish; STORE_OP(reap) my_reap;
STORE_OP(reconciler) my_reconciler; STORE_OP(asker) my_asker;
/* At the start: true, after a pause, when the same may be tried again, because another transaction was in the way or a connection
 * was lost. False when nobody is there, or until_us is over. */
#define MY_START_US 10000000
bool my_again(unsigned e, int64_t until_us);
STORE_OP(pulse) my_pulse; STORE_OP(live_tasks) my_live_tasks; STORE_OP(live_flows) my_live_flows;
/* mysql_batch.c */
STORE_OP(begin) my_begin; STORE_OP(write) my_write; STORE_OP(commit) my_commit; STORE_OP(rollback) my_rollback;
STORE_OP(resolve) my_resolve;
enum store_rc my_told(struct my *s, unsigned e);      /* my_rc() of error e of the runner's connection; keeps its sentence */
enum store_rc my_run_fail(struct my *s, unsigned e);  /* ends the transaction after error e; the code for it */
/* mysql_keys.c */
STORE_OP(keys) my_keys;
/* mysql_token.c */
STORE_OP(claim_token) my_claim_token;
/* mysql_load.c */
STORE_OP(lock) my_lock; STORE_OP(nodes) my_nodes; STORE_OP(node_range) my_node_range; STORE_OP(tasks) my_tasks;
STORE_OP(task_range) my_task_range;
/* mysql_flow.c */
STORE_OP(save_flow) my_save_flow;
/* mysql_read.c */
STORE_OP(reader_get) my_reader_get; STORE_OP(reader_put) my_reader_put;
void my_readers_close(struct my *);
/* mysql_list.c */
STORE_OP(ins_page) my_ins_page;
/* mysql_logs.c */
STORE_OP(logs_open) my_logs_open; STORE_OP(logs_close) my_logs_close; STORE_OP(logs_write) my_logs_write;
STORE_OP(logs_put_contexts) my_logs_put_contexts; STORE_OP(logs_put_progress) my_logs_put_progress;
STORE_OP(logs_drop) my_logs_drop;
/* mysql_async.c */
STORE_OP(async) my_async; STORE_OP(async_keys) my_async_keys; STORE_OP(whose) my_whose;
/* mysql_jobs.c; live_jobs: mysql_node.c */
STORE_OP(job_lock) my_job_lock; STORE_OP(job_find) my_job_find; STORE_OP(job_tasks) my_job_tasks; STORE_OP(job_keys) my_job_keys;
STORE_OP(live_jobs) my_live_jobs;
STORE_OP(tree) my_tree; STORE_OP(children) my_children;   /* mysql_trees.c */
/* mysql_queue.c */
STORE_OP(queues) my_queues; STORE_OP(queue_lock) my_queue_lock; STORE_OP(running) my_running; STORE_OP(counted) my_counted;
#endif
