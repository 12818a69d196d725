/* The store: the only truth. Three faces with their own threads:
 *
 *   struct store   the runner's writer: one thread, one transaction at a time, multi-row writes (store_*)
 *   struct store   the API's writer of definitions and of the token: any thread, one at a time inside (store_save_task(),
 *                  store_save_flow(), store_delete_task(), store_delete_flow(), store_claim_token())
 *   struct reader  read-only, for API lists and for loading definitions; one per thread at a time (reader_*)
 *
 * All SQL lives below this header; nobody above knows which database it is. One conformance suite runs on every backend. Ids are
 * arithmetic: a run of a flow has base ids, a node's row is base.ni + its index, a task's base.ti + its index. */
#ifndef STORE_H
#define STORE_H
#include <stdbool.h>
#include "attempt.h"
#include "mem.h"
#include "run.h"

enum store_rc {
  STORE_OK,
  STORE_RETRY,     /* nothing was written; drop caches and do the batch again (deadlock, lost connection, lock wait) */
  STORE_STALE,     /* rolled back: a head's version was not the expected one (flow_write.stale), somebody else has locked rows
                      (.held), or a wait for a lock was in vain (then the next try marks the rows as held) */
  STORE_UNKNOWN,   /* COMMIT was sent and its answer is lost: ask store_resolve() */
  STORE_FENCED,    /* this node is DEAD: stop everything, join again */
  STORE_BAD,       /* a row is refused for good (too long, constraint): halve the batch */
  STORE_NO_SPACE,  /* disk or table full; nothing was written */
  STORE_DOWN       /* no connection now; nothing was written */
};
const char *store_rc_name(enum store_rc rc);

enum id_kind { ID_TASK, ID_FLOW, ID_NODE, ID_FI, ID_NI, ID_TI, ID_INCARNATION, ID_JOB, ID__N };

/* ---- rows ---- */
enum row_op { ROW_INSERT, ROW_UPDATE };

struct flow_row {                 /* task_flow_ins */
  int64_t fi, flow_id, flow_version, version;
  uint8_t state, wish;
  uint32_t run_no, live, failed;
  int64_t create_us, start_us, end_us, update_us, due_us;   /* 0 = NULL */
  const char *error;              /* NULL = none (read), keep (update) */
  const char *params;             /* JSON text or NULL; insert and read only */
  const char *bases;              /* "ni:ti,ni:ti", one pair per run */
  const char *more;               /* NULL = nothing waits */
  const char *flow_name;          /* reader only */
};
struct flow_write {
  enum row_op op;
  int64_t expect;                 /* UPDATE: version the row must have; 0 = locked by store_lock(), do not check */
  bool stale;                     /* out */
  bool held;                      /* out: somebody else has locked the row of its definition, or rows written here for it */
  struct flow_row row;            /* UPDATE writes version state wish run_no live failed start end update due bases more,
                                     and error when not NULL. INSERT also checks that the flow exists, is not deleted and has
                                     this version now; else `stale` and STORE_STALE */
};
struct node_row {                 /* task_node_ins */
  int64_t ni, fi, node_id;
  uint32_t run_no;
  uint8_t state;
  uint32_t ok, fail, skip, t_ok, t_bad, t_open, t_canceled;   /* t_canceled: of t_bad */
  int64_t create_us, start_us, end_us, update_us;
  uint64_t skip_edges;            /* run_node.skip_edges */
  const char *error;              /* NULL = keep on update */
};
struct node_write { enum row_op op; struct node_row row; };  /* UPDATE: all but fi node_id run_no create */
struct task_row {                 /* task_ins */
  int64_t ti, ni, fi;             /* ni = fi = 0 (NULL in the table): stand-alone */
  int64_t task_id;                /* 0 (NULL) = inline */
  int64_t create_us, update_us, end_us;
  struct task t;                  /* all; owner is read as 0 but in RUNNING, PAUSING, CANCELING, resume but in PAUSING, PAUSED;
                                     an UPDATE keeps what the row has of `again`, unless it is more than 0 or a new run begins */
  int64_t ran_by;                 /* read only: who runs it or ran it last, 0 = nobody so far. A write keeps it: whoever claims
                                     (raises the epoch) is the new one, the owner given or else this node */
  const char *error;              /* NULL = keep on update */
  const char *result; size_t result_len;  /* NULL = keep on update */
  uint8_t log;                    /* enum attempt_log */
  int32_t exit_code, signal;      /* exit_code -1 = NULL; less: minus the HTTP status that an analyzer looks at */
  int64_t utime_us, stime_us, maxrss_kib, log_bytes, log_lost;
  uint8_t log_lost_why;           /* enum log_lost */
  const char *params;             /* stand-alone: JSON text or NULL; insert and read only */
  uint32_t executor;              /* version of its executor when it was made, 0 = none; insert and read only */
};
/* What wishes change while the state stays: resume in PAUSING, the others in CANCELING; else 0, and not looked at. */
struct task_wished { uint8_t resume, phase, end_as; };
static inline struct task_wished task_wished(const struct task *t) {
  if (t->state == TASK_PAUSING) return (struct task_wished){.resume = t->resume};
  if (t->state == TASK_CANCELING) return (struct task_wished){.phase = (uint8_t)t->phase, .end_as = (uint8_t)t->end_as};
  return (struct task_wished){0};
}
struct task_write {
  enum row_op op;
  bool finish;                    /* UPDATE also writes result log exit_code signal utime stime maxrss log_bytes log_lost(_why) */
  int64_t expect_epoch;           /* stand-alone UPDATE: epoch and state must be as read, else STALE (its row is its own lock) */
  int expect_state;               /* -1 = do not check (tasks of a flow: the flow row is locked) */
  struct task_wished expect_wished;   /* the same of a task that stops: another node may have taken a wish since the read */
  bool clear_result, analysed;    /* UPDATE: a result of NULL clears what is there; phase and again are written, 0 or not */
  const char *new_result; size_t new_result_len;   /* UPDATE without `finish`: in place of the result; NULL = keep */
  bool stale, held;               /* out; held, of a stand-alone task: somebody else has locked its row */
  struct task_row row;
};
struct attempt_row {              /* task_attempt: an attempt that ended and was followed by another; written again, it stays */
  int64_t ti; uint32_t epoch; int64_t owner;
  int64_t start_us, end_us;
  const char *why;                /* FAIL LOST TIMEOUT HANDBACK PAUSED NOT_NOW */
  const char *error;
  int32_t exit_code, signal;      /* of its process; -1 and 0 = NULL */
  uint32_t run_no; uint8_t said;  /* of the run that it was part of, 0 is written as 1; said: read alone (store_trees.h) */
};
/* An idempotency key and what its first request made: rows first_id .. first_id + n - 1. It never changes, and is deleted when it
 * is older than LIMIT_KEY_AGE_US. */
#define KEY_HASH_BYTES 32
enum key_kind { KEY_STARTS = 1, KEY_TASK_INS, KEY_TASK, KEY_FLOW, KEY_EXECUTOR, KEY_JOB, KEY_ANALYZER }; /* id; n = version */
struct key_row { uint8_t hash[KEY_HASH_BYTES]; uint8_t kind; int64_t first_id; uint32_t n; int64_t create_us; };
struct key_write { const char *key; struct key_row row; };  /* 1 to LIMIT_KEY_CHARS visible ASCII characters */
#include "store_whose.h"
#include "store_async.h" /* what only a stand-alone task has */
#include "store_queues.h" /* queues, and what counts in them */
#include "store_jobs.h" /* and trees */
struct batch {
  int64_t id;                     /* unique: incarnation << 32 | counter; becomes `version` and the receipt */
  struct flow_write *flow; size_t n_flow;         /* ascending fi */
  struct node_write *node; size_t n_node;         /* ascending ni */
  struct task_write *task; size_t n_task;         /* ascending ti */
  struct attempt_row *attempt; size_t n_attempt; const struct attempt_said *said; size_t n_said;
  struct key_write *key; size_t n_key;      /* ascending by strcmp(), each once; a key that is there already: STORE_RETRY */
  struct async_write *async; size_t n_async;      /* ascending ti; see store_async.h */
  const struct whose_row *whose; size_t n_whose; const struct tree_row *tree; size_t n_tree;  /* each replaces the one there is */
  const int64_t *gone; size_t n_gone;             /* ascending ti: stand-alone tasks that are deleted; see store_async.h */
  struct job_write *job; size_t n_job;            /* ascending job_id, each once; locked by store_job_lock(), or new */
  const struct queue_rate *rate; size_t n_rate;   /* ascending queue_id, each once; see store_queues.h */
  const struct count_note *note; size_t n_note;   /* ascending ti, each once; tasks that count. Not for a store of one process */
  const int64_t *unnote; size_t n_unnote;         /* ascending ti: tasks that do not count, noted or not */
};

/* ---- the runner's writer ---- */
struct store;
struct store_opts {
  const char *url;                /* sqlite:PATH, mysql://user:pw@host:port/db?socket=PATH */
  int64_t lease_us;               /* L; 0 = 60 s */
  bool relaxed;                   /* durability=relaxed: warn instead of refusing */
  int64_t request_us;             /* about how long a reader or a save waits for the store; 0 = 10 s */
  const char *home;               /* the data directory, whose lock is held while children live; NULL = none */
  /* Called once, on any thread, when the files were removed or replaced: nothing can be stored any more, and the call is to end
   * the process. NULL = no call. Every answer from then on is DOWN or UNKNOWN. */
  void (*gone)(void *ctx, const char *why);
  void *gone_ctx;
  bool (*stopping)(void *ctx);    /* asked while a start changes the schema, which can take long: true = stop. NULL = no call */
  void *stopping_ctx;
};
struct store_ops;                 /* backends fill it; see store_backend.h */
/* Opens; makes the schema in an empty database; refuses a database that is not weir's or may forget commits. err: a sentence. */
enum wr_rc store_open(const struct store_opts *o, struct store **out, struct wr_err *err) WR_MUST;
void store_close(struct store *s);
/* True: one process owns the database (SQLite): no leases, no rival, whole runs are loaded. */
bool store_single(const struct store *s);
/* 8 hex digits, drawn at random when the database was made, so that no two databases share them. Valid as long as the store. */
enum { STORE_ID_BYTES = 8 };
const char *store_id(const struct store *s);
/* One sentence about the newest answer to the runner that was not OK: the cause, and the way out where there is one. No SQL,
 * no value of a row, no password. "" = all was well so far. The runner's thread; valid until the next call. */
const char *store_why(const struct store *s);
/* How many batches in a row broke the connection that carried them (each of them STORE_RETRY); a batch that is stored, or
 * refused by an answer, sets the count to 0. Two or more while the server is there: one of the batch's rows may be the cause
 * (halve the batch). */
uint32_t store_lost_streak(const struct store *s);
/* The time that all nodes of this database share (base/shared_clock.h), now or at boot_us; any thread. Renewals read it anew. */
int64_t store_now(struct store *s);
int64_t store_time(struct store *s, int64_t boot_us, int64_t wall_us);
/* n ids in a row; own transaction on a server. Kept in blocks in memory. */
enum store_rc store_ids(struct store *s, enum id_kind kind, uint32_t n, int64_t *first) WR_MUST;

struct node_info;                 /* store_members.h */
/* Registers this process as LIVE: a new incarnation. The lock of its home proves that former nodes of this home are dead, with
 * their children. So they are marked DEAD at once, and nobody waits for the end of their leases. */
enum store_rc store_join(struct store *s, const struct node_info *info, int64_t *incarnation) WR_MUST;
enum store_rc store_leave(struct store *s) WR_MUST;   /* clean stop: state GONE */

/* A batch: [store_begin .. reads with locks ..] store_write store_commit, or store_rollback at any time.
 * begin: opens a transaction when locks are needed; reads definitions.version into *defs. */
enum store_rc store_begin(struct store *s, int64_t *defs) WR_MUST;
/* Locks flow heads (SKIP LOCKED), ascending. got[i]: 1 = locked and out[i] filled, 0 = no such row, 2 = held elsewhere.
 * Texts in out are valid until the transaction ends. */
enum store_rc store_lock(struct store *s, const int64_t *fi, size_t n, struct flow_row *out, uint8_t *got) WR_MUST;
/* By primary key; rows that do not exist are left out; *n_out rows. Ranges are inclusive. Texts as above. */
enum store_rc store_nodes(struct store *s, const int64_t *ni, size_t n, struct node_row *out, size_t *n_out) WR_MUST;
enum store_rc store_node_range(struct store *s, int64_t lo, int64_t hi, struct node_row *out, size_t cap, size_t *n_out) WR_MUST;
enum store_rc store_tasks(struct store *s, const int64_t *ti, size_t n, struct task_row *out, size_t *n_out) WR_MUST;
enum store_rc store_task_range(struct store *s, int64_t lo, int64_t hi, struct task_row *out, size_t cap, size_t *n_out) WR_MUST;
/* Idempotency keys, ascending by strcmp(), each once; before store_lock(). got[i]: 1 = out[i] filled, 0 = not used so far,
 * 2 = another node is writing it just now. Nothing is locked: the row is final, and store_write() refuses a second one. */
enum store_rc store_keys(struct store *s, const char *const *key, size_t n, struct key_row *out, uint8_t *got) WR_MUST;
/* Async rows by primary key; those that do not exist are left out; *n_out rows, ascending. Texts as above. `context` is not read
 * (reader_context() does), context_len tells how long it is. */
enum store_rc store_async(struct store *s, const int64_t *ti, size_t n, struct async_row *out, size_t *n_out) WR_MUST;
/* By taskKey, ascending by scope, then by strcmp(); else as store_keys(). */
enum store_rc store_async_keys(struct store *s, const struct key_name *k, size_t n, struct async_key *out, uint8_t *got) WR_MUST;
/* Sends all rows and the fence (renews the lease). STALE and FENCED have rolled back already. */
enum store_rc store_write(struct store *s, struct batch *b) WR_MUST;
enum store_rc store_commit(struct store *s) WR_MUST;
void store_rollback(struct store *s);
/* After UNKNOWN: did batch id commit? A locking read of this node's own receipt; RETRY = ask again later. */
enum store_rc store_resolve(struct store *s, int64_t batch_id, bool *committed) WR_MUST;

#include "store_live.h" /* leases, live rows */
#include "store_members.h" /* members as they are shown, and what is wished of them */
/* ---- definitions ---- */
/* Saves, and fills in id, version and times of *t or *f (of a flow node_base, too). The nodes and edges of a flow are written in
 * chunks, the row that publishes them last.
 * key (NULL = none): one save for this key. The caller gives hash, kind and create_us; first_id and n are filled in and stored
 * with the key. KEY_REUSED: the key is there already (reader_key() tells what it made), and nothing was saved. */
enum wr_rc store_save_task(struct store *s, struct task_def *t, int64_t expect_version, struct key_write *key,
                           struct wr_err *err) WR_MUST;
enum wr_rc store_save_flow(struct store *s, struct flow_def *f, int64_t expect_version, struct key_write *key,
                           struct wr_err *err) WR_MUST;
enum wr_rc store_delete_task(struct store *s, int64_t task_id, struct wr_err *err) WR_MUST;   /* 404, 409 IN_USE, ACTIVE */
enum wr_rc store_delete_flow(struct store *s, int64_t flow_id, struct wr_err *err) WR_MUST;   /* 404, 409 ACTIVE */

/* ---- readers ---- */
struct reader;
enum reader_whose { READER_ANY, READER_RUNNER };
struct reader *reader_get(struct store *s, struct wr_err *err);  /* from the pool; NULL: err is set (503) */
/* The reader that the runner alone uses, so that the runner never waits behind others. */
struct reader *reader_of_runner(struct store *s, struct wr_err *err);
void reader_put(struct reader *r);
/* The time by which all that this thread asks of readers must be done; CLOCK_MONOTONIC, 0 = as long as each statement may take.
 * On a server no statement begins when less than half of request_us is left, so that the last wait ends in time, and no wait for
 * a row begins after the deadline. */
void store_deadline(int64_t mono_us);
int64_t store_until(void);   /* this thread's, 0 = none */
/* An idempotency key. NOT_FOUND when it is free, or under way elsewhere. */
enum wr_rc reader_key(struct reader *r, const char *key, struct key_row *out, struct wr_err *err) WR_MUST;
/* version 0 = the newest. NOT_FOUND when there is none; a deleted one is returned with `deleted`. flow: compiled. */
enum wr_rc reader_task(struct reader *r, int64_t task_id, int64_t version, struct task_def **out, struct wr_err *err) WR_MUST;
enum wr_rc reader_flow(struct reader *r, int64_t flow_id, int64_t version, struct flow_def **out, struct wr_err *err) WR_MUST;
/* Newest versions of many tasks at once; out[i] NULL when there is none. */
enum wr_rc reader_tasks(struct reader *r, const int64_t *ids, size_t n, struct task_def **out, struct wr_err *err) WR_MUST;
/* Of many at once: the newest version, 0 = there is none. */
enum head_kind { HEAD_TASK, HEAD_FLOW };
struct def_head { int64_t version; bool deleted; };
enum wr_rc reader_heads(struct reader *r, enum head_kind kind, const int64_t *ids, size_t n, struct def_head *out,
                        struct wr_err *err) WR_MUST;
/* NO_SUCH_TASK when a task is not there or is deleted; *bad: the index of the first such id. */
enum wr_rc reader_tasks_exist(struct reader *r, const int64_t *ids, size_t n, size_t *bad, struct wr_err *err) WR_MUST;

#include "store_types.h" /* task types that nodes have registered; executors of POST /executor */
#include "store_lists.h" /* definitions and instances for the API */
#include "store_alone.h" /* stand-alone tasks: lists, async rows, what attempts reported */
#include "store_flow_look.h"
#include "store_states.h"
#include "store_logs.h"
#endif
