/* What both SQL stores have in common beside the seam (cursor.h): members of store_ops that are the same in both, and what the
 * definition writer needs of its database. Private to engine/store; the stores of tests that have no SQL do not use it. */
#ifndef STORE_SQL_H
#define STORE_SQL_H
#include "cursor.h"
#include "store_backend.h"

/* ---- readers: def_read.c; any thread with a reader of its own ---- */
enum wr_rc sql_reader_task(struct reader *r, int64_t task_id, int64_t version, struct task_def **out, struct wr_err *err) WR_MUST;
enum wr_rc sql_reader_flow(struct reader *r, int64_t flow_id, int64_t version, struct flow_def **out, struct wr_err *err) WR_MUST;
enum wr_rc sql_reader_tasks(struct reader *r, const int64_t *ids, size_t n, struct task_def **out, struct wr_err *err) WR_MUST;
enum wr_rc sql_reader_heads(struct reader *r, enum head_kind kind, const int64_t *ids, size_t n, struct def_head *out,
                            struct wr_err *err) WR_MUST;

/* ---- the definition writer: any thread, one at a time between enter and leave ---- */
struct def_ops {
  enum wr_rc (*enter)(struct store *s, struct wr_err *err);   /* then store.def is this thread's, and open */
  void (*leave)(struct store *s);
  enum wr_rc (*begin)(struct store *s, struct wr_err *err);
  /* COMMIT when rc is WR_OK, else ROLLBACK; returns the outcome. */
  enum wr_rc (*end)(struct store *s, enum wr_rc rc, struct wr_err *err);
  bool (*again)(struct store *s, enum wr_rc rc);              /* after end(): a new transaction may do better. NULL: never */
  enum wr_rc (*ids)(struct store *s, enum id_kind kind, uint32_t n, int64_t *first, struct wr_err *err);   /* in a transaction */
  enum wr_rc (*raise)(struct store *s, struct wr_err *err);   /* definitions.version; inside a transaction */
  enum wr_rc (*raise_queues)(struct store *s, struct wr_err *err);    /* the same, and queues_version */
  enum wr_rc (*drop_notes)(struct store *s, struct wr_err *err);      /* all; NULL: the store has none */
};
#define DEF_TRIES 3       /* of a transaction that met a deadlock or a lock wait */

/* def_write.c */
/* Does job in a transaction of the definition writer, again while that may help. Any thread. */
typedef enum wr_rc def_inside(struct store *s, void *job, struct wr_err *err);
enum wr_rc def_do(struct store *s, def_inside *inside, void *job, struct wr_err *err) WR_MUST;
/* Inside of that: the row of the limits of a type is as `is` says, NULL: there is none (queues.c). */
enum wr_rc type_limits_put(struct store *s, const char *type, const struct type_limits *is, struct wr_err *err) WR_MUST;
enum wr_rc sql_save_task(struct store *s, struct task_def *t, int64_t expect_version, struct key_write *key,
                         struct wr_err *err) WR_MUST;
enum wr_rc sql_delete_task(struct store *s, int64_t task_id, struct wr_err *err) WR_MUST;
enum wr_rc sql_delete_flow(struct store *s, int64_t flow_id, struct wr_err *err) WR_MUST;
/* Reads version and time of creation of a task or flow, and locks its row. NOT_FOUND: there is none. STALE: expect is neither -1
 * nor the version. */
struct def_known { int64_t version, create_us; };
enum wr_rc def_known(struct store *s, enum head_kind what, int64_t id, int64_t expect, struct def_known *out,
                     struct wr_err *err) WR_MUST;
/* The rows that publish a version of a flow. plan: of def_plan(). */
struct def_plan;
struct flow_head { int64_t flow_id, version, node_base, now_us; const struct flow_def *f; const struct def_plan *plan; };
enum wr_rc def_flow_publish(struct store *s, const struct flow_head *h, struct wr_err *err) WR_MUST;

/* ---- idempotency keys: keys.c ---- */
bool key_row_of(const struct cell *c, struct key_row *r);   /* of KEY_COLS; false: the row is damaged */
/* The definition writer's, in its transaction. def_key_free: KEY_REUSED when the key (NULL = none) is there. def_key_put: writes
 * the key's row, which says what the key made. */
enum wr_rc def_key_free(struct store *s, const struct key_write *key, struct wr_err *err) WR_MUST;
enum wr_rc def_key_put(struct store *s, struct key_write *key, int64_t id, int64_t version, struct wr_err *err) WR_MUST;

/* ---- the token: token.c ---- */
enum wr_rc token_row_read(struct db *db, struct store_token *t, struct wr_err *err) WR_MUST;
int token_row_write(struct db *db, enum query q, const struct store_token *t) WR_MUST;   /* 0 or the backend's number */
#endif
