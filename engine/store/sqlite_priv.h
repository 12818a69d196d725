/* What the SQLite files share. Private to engine/store/sqlite*.c.
 *
 * Connections: one of the runner's thread, one of the definition writer (under def_lock), one of the checkpoint thread,
 * up to SQ_READERS read-only ones, one of the log writer in a file of its own. Each is used by one thread at a time and
 * opened NOMUTEX. Every write transaction of the main file is made while `turn` is held, so SQLite never has to wait
 * for a lock of its own. Lock order: def_lock < turn < everything else (leaves).
 *
 * What never happens: SQL text built from data; a message of SQLite in an answer; a write to PATH from a reader. */
#ifndef SQLITE_PRIV_H
#define SQLITE_PRIV_H
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <time.h>
#include <sqlite3.h>
#include "ins_rows.h"
#include "reader_pool.h"
#include "sql.h"
#include "turn.h"

#define SQ_READERS 4           /* besides the runner's */

/* ---- a connection and its statements, prepared when first used ---- */
struct sq_conn {
  struct db base;           /* sqlite_cursor.c; for connections whose statements are sq_sql */
  sqlite3 *db;
  const char *const *sql;
  size_t n;
  sqlite3_stmt **st;
  struct sq_bound *bound;   /* sqlite_bound.h; NULL until the first is asked for */
  char *told;               /* 200 bytes for the sentence of sq_rc(), or NULL; kept when it is closed */
  int said;                 /* the code that was logged last: a lasting fault is one line */
  const char *late;         /* the path, when the first statement opens it to read; NULL = sq_conn_open() opens it */
  bool failed;              /* a statement of the seam met an error */
  int cause;                /* errno of an open that failed, 0 = not known */
};

enum sq_open { SQ_WRITE, SQ_CREATE, SQ_READ, SQ_LOOK };  /* LOOK: reads, and unlike READ leaves no new file behind */
/* An SQLite result code. The connection is closed again when it failed. */
int sq_conn_open(struct sq_conn *c, const char *path, enum sq_open how, const char *const *sql, size_t n);
void sq_conn_close(struct sq_conn *c);            /* a closed one is fine */
/* Ready to be bound; NULL when it cannot be prepared: the code is sqlite3_errcode(). */
sqlite3_stmt *sq_stmt(struct sq_conn *c, size_t i);
int sq_run(sqlite3_stmt *st);                     /* one step of a statement without rows, reset; NULL = the error of prepare */
int sq_exec(struct sq_conn *c, const char *text); /* constant text only */
int64_t sq_number(struct sq_conn *c, const char *sql, int *rc); /* first column of the first row; -1 = there is none */

/* ---- error codes ---- */
enum store_rc sq_rc(struct sq_conn *c, int rc);   /* of anything but COMMIT; logs what only an operator can cure */
bool sq_damaged(int rc);                          /* the file is not what SQLite wrote */
enum wr_rc sq_err(struct sq_conn *c, int rc, struct wr_err *err);
/* As sq_err(), at the start: names the path, for an operator. */
enum wr_rc sq_start_err(struct sq_conn *c, const char *path, int rc, struct wr_err *err);

/* ---- binding and reading: 0 is NULL where the name ends in 0 ---- */
static inline void sq_int(sqlite3_stmt *st, int i, int64_t v) { sqlite3_bind_int64(st, i, v); }
static inline void sq_int0(sqlite3_stmt *st, int i, int64_t v) {
  if (v) sqlite3_bind_int64(st, i, v);
  else sqlite3_bind_null(st, i);
}
static inline void sq_text(sqlite3_stmt *st, int i, const char *s) {   /* NULL = NULL */
  sqlite3_bind_text(st, i, s, -1, SQLITE_STATIC);
}
static inline int64_t sq_col(sqlite3_stmt *st, int i) { return sqlite3_column_int64(st, i); }
static inline const char *sq_col_text(sqlite3_stmt *st, int i) { return (const char *)sqlite3_column_text(st, i); }
/* The row that st stands on; its cells are SQLite's own until the next step. At most CELLS_MAX columns. */
void sq_cells(sqlite3_stmt *st, struct cell *c);

/* ---- a fair lock: who came first goes first ---- */
struct sq_turn { pthread_mutex_t mu; pthread_cond_t cond; uint64_t next, now; };
void sq_turn_lock(struct sq_turn *t);
void sq_turn_unlock(struct sq_turn *t);

/* ---- the checkpoint thread: moves the WAL into the database so that no commit has to ---- */
struct sq_ckpt {
  struct sq_conn conn;
  pthread_t thread;
  bool started;
  pthread_mutex_t mu;       /* guards what follows */
  pthread_cond_t cond;
  bool stop;
  int pages;                /* in the WAL after the newest commit */
  int mark;                 /* of them, seen by the newest pass */
  int step;                 /* so many more wake it */
  bool moved, look;         /* there was a commit since the newest look at the files; somebody wants one now */
};

struct sq_reader { struct reader base; struct sq_conn c, log; };  /* one that failed is not used again */

#include "sqlite_files.h"
struct sq {
  struct store base;
  char *path, *log_path, *home;
  int lock_fd, notify_fd;         /* -1 = none; notify_fd: inotify, read under files_mu */
  int64_t request_us, look_us;
  pthread_mutex_t files_mu;
  struct sq_file file[SQ_FILES];  /* ino 0 = not seen yet; under files_mu */
  int log_writers;                /* under files_mu */
  atomic_bool files_gone;
  void (*gone)(void *ctx, const char *why);
  void *gone_ctx;
  struct sq_turn turn;
  /* the runner's */
  struct sq_conn run;
  struct arena texts;       /* of rows read in this transaction */
  bool in_tx;
  int64_t me;               /* incarnation, 0 = not joined */
  struct sweep tasks, flows;  /* live rows of one pass of the reconciler: found when it starts, read in pages */
  /* the definition writer's */
  struct turn def_lock;
  struct sq_conn def;
  int64_t given_id[ID__N];  /* so many of each kind, in the transaction under way */
  bool raised, raised_queues;   /* definitions.version, queues_version, in the transaction under way */
  /* ids: FI NI TI JOB INCARNATION belong to the runner, TASK FLOW NODE to def_lock.
   * sent: in the transaction under way; saved: committed (both of the runner only) */
  int64_t next_id[ID__N], sent_id[ID__N], saved_id[ID__N];
  int64_t defs, queues;     /* definitions.version, queues_version; guarded by turn */
  struct { pthread_mutex_t mu; int64_t *v; size_t n, cap; } dropped;   /* tasks of task_gone of which nothing is left; mu: leaf */
  struct sq_ckpt ckpt;
  struct sq_whole whole;
  struct reader_pool readers;
};
static inline struct sq *sq_of(struct store *s) { return (struct sq *)s; }
static inline struct sq_reader *sq_reader_of(struct reader *r) { return (struct sq_reader *)r; }

/* sq_run_sql: statements of the runner's connection (sqlite_batch.c, sqlite_load.c). sq_sql: statements of readers and of the
 * definition writer, first those of queries.h, then SQLite's own (sqlite_own.h). */
extern const char *const sq_run_sql[];
extern const size_t sq_run_sql_n;
extern const char *const sq_sql[];
extern const size_t sq_sql_n;
extern const struct db_ops sq_db_ops;
extern const char *const sq_id_name[ID__N];

/* ---- sqlite_open.c ---- */
int sq_open_run(struct sq *s);                    /* (re)opens the runner's connection */
int sq_open_def(struct sq *s);                    /* opens the definition writer's when it is not */
STORE_OP(close) sq_close;
int64_t sq_until(const struct sq *s);             /* CLOCK_MONOTONIC: until then a request waits for another one */
/* ---- sqlite_migrate.c ---- */
struct migrate_watch;
/* Makes what is not there, and brings database and log to the schema of this program. The store is ours (sq_take_lock()). */
enum wr_rc sq_migrate_files(struct sq *s, const struct migrate_watch *w, struct wr_err *err);
/* MIGRATE_LOOK; without the lock. ahead: also whether these files could be changed. */
enum wr_rc sq_look_at_schema(const char *path, const struct migrate_watch *w, bool ahead, struct wr_err *err);
/* ---- sqlite_ckpt.c ---- */
size_t sq_dropped_take(struct sq *s, int64_t *ti, size_t most);   /* any thread, as the next */
void sq_dropped_put(struct sq *s, int64_t ti);
void sq_ckpt_look(struct sq *s);                  /* any thread: looks at the files at once */
enum wr_rc sq_ckpt_start(struct sq *s, struct wr_err *err);
void sq_ckpt_stop(struct sq *s);
void sq_ckpt_watch(struct sq *s, struct sq_conn *c); /* commits on c wake the thread when there is enough to do */

extern const struct store_ops sq_ops;
/* ---- members of the ops table, by file ---- */
/* sqlite_batch.c */
STORE_OP(ids) sq_ids; STORE_OP(join) sq_join; STORE_OP(leave) sq_leave; STORE_OP(begin) sq_begin; STORE_OP(write) sq_write;
STORE_OP(commit) sq_commit; STORE_OP(rollback) sq_rollback; STORE_OP(resolve) sq_resolve; STORE_OP(renew) sq_renew;
STORE_OP(tell) sq_tell; STORE_OP(wish) sq_wish; STORE_OP(reap) sq_reap; STORE_OP(reconciler) sq_reconciler;
enum store_rc sq_fail(struct sq *s, int rc);                      /* sq_rc() of the runner's connection; 0: its last code */
int sq_run_id(struct sq *s, int stmt, int64_t id);                /* of sqlite_run.h: a statement whose one value is an id */
/* sqlite_rows.c: inside the transaction */
enum store_rc sq_put_flow(struct sq *s, struct flow_write *f, int64_t version);
enum store_rc sq_put_node(struct sq *s, const struct node_write *n);
enum store_rc sq_put_task(struct sq *s, struct task_write *t);
enum store_rc sq_put_said(struct sq *s, const struct attempt_said *a);
enum store_rc sq_put_attempt(struct sq *s, const struct attempt_row *r);
enum store_rc sq_missing(const char *what, int64_t id);
/* sqlite_async.c */
STORE_OP(async) sq_async; STORE_OP(async_keys) sq_async_keys;
enum store_rc sq_put_async(struct sq *s, const struct batch *b);  /* inside the transaction, as the next */
enum store_rc sq_put_gone(struct sq *s, const struct batch *b);
/* sqlite_jobs.c */
STORE_OP(job_lock) sq_job_lock; STORE_OP(job_find) sq_job_find; STORE_OP(job_tasks) sq_job_tasks; STORE_OP(job_keys) sq_job_keys;
STORE_OP(live_jobs) sq_live_jobs;
STORE_OP(tree) sq_tree; STORE_OP(children) sq_children;   /* sqlite_trees.c */
enum store_rc sq_put_trees(struct sq *s, const struct batch *b);
enum store_rc sq_put_jobs(struct sq *s, const struct batch *b);   /* inside the transaction */
/* sqlite_queue.c */
STORE_OP(queues) sq_queues; STORE_OP(queue_lock) sq_queue_lock; STORE_OP(running) sq_running;
enum store_rc sq_put_rates(struct sq *s, const struct batch *b);  /* inside the transaction */
/* sqlite_whose.c */
STORE_OP(whose) sq_whose;
enum store_rc sq_put_whose(struct sq *s, const struct batch *b);
/* sqlite_keys.c */
STORE_OP(keys) sq_keys;
enum store_rc sq_put_keys(struct sq *s, const struct batch *b);   /* inside the transaction */
/* sqlite_token.c */
STORE_OP(claim_token) sq_claim_token;
/* sqlite_load.c */
STORE_OP(lock) sq_lock; STORE_OP(nodes) sq_nodes; STORE_OP(node_range) sq_node_range; STORE_OP(tasks) sq_tasks;
STORE_OP(task_range) sq_task_range; STORE_OP(live_tasks) sq_live_tasks; STORE_OP(live_flows) sq_live_flows;
/* sqlite_defs.c, sqlite_flow.c */
extern const struct def_ops sq_def_ops;
STORE_OP(save_flow) sq_save_flow;
/* sqlite_read.c */
STORE_OP(reader_get) sq_reader_get; STORE_OP(reader_put) sq_reader_put;
void sq_readers_close(struct sq *);
/* sqlite_list.c */
STORE_OP(ins_page) sq_ins_page;
/* sqlite_logs.c */
STORE_OP(logs_open) sq_logs_open; STORE_OP(logs_close) sq_logs_close; STORE_OP(logs_write) sq_logs_write;
STORE_OP(logs_put_contexts) sq_logs_put_contexts; STORE_OP(logs_put_progress) sq_logs_put_progress;
STORE_OP(logs_drop) sq_logs_drop;
#endif
