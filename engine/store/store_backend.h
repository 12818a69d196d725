/* What a backend of store.h fills in. Private to engine/store and to test backends (memory, faulty); nobody above includes it.
 *
 * A backend's own struct begins with struct store (reader, logs). A member has the name and the contract of the function of
 * store.h that calls it. A function that SQL stores do alike has no member: shared code does it over the connection of a reader
 * (sql.h). New members go to the end; `size` says how many a backend knows, `abi` changes when a member changes its meaning. */
#ifndef STORE_BACKEND_H
#define STORE_BACKEND_H
#include "shared_clock.h"
#include "store.h"
#include "store_token.h"

#define STORE_ABI 6
/* For store_why(); %s: the kind. */
#define STORE_NO_IDS "No number is left for a new %s: `next` in table id_block is at its end."

struct store_ops {
  uint32_t abi, size;             /* STORE_ABI, sizeof(struct store_ops) */

  /* the runner's writer */
  void (*close)(struct store *s);
  bool (*single)(const struct store *s);
  enum store_rc (*ids)(struct store *s, enum id_kind kind, uint32_t n, int64_t *first);
  enum store_rc (*join)(struct store *s, const struct node_info *info, int64_t *incarnation);
  enum store_rc (*leave)(struct store *s);
  enum store_rc (*begin)(struct store *s, int64_t *defs);
  enum store_rc (*lock)(struct store *s, const int64_t *fi, size_t n, struct flow_row *out, uint8_t *got);
  enum store_rc (*nodes)(struct store *s, const int64_t *ni, size_t n, struct node_row *out, size_t *n_out);
  enum store_rc (*node_range)(struct store *s, int64_t lo, int64_t hi, struct node_row *out, size_t cap, size_t *n_out);
  enum store_rc (*tasks)(struct store *s, const int64_t *ti, size_t n, struct task_row *out, size_t *n_out);
  enum store_rc (*task_range)(struct store *s, int64_t lo, int64_t hi, struct task_row *out, size_t cap, size_t *n_out);
  enum store_rc (*write)(struct store *s, struct batch *b);
  enum store_rc (*commit)(struct store *s);
  void (*rollback)(struct store *s);
  enum store_rc (*resolve)(struct store *s, int64_t batch_id, bool *committed);
  enum store_rc (*renew)(struct store *s);
  enum store_rc (*reap)(struct store *s, uint32_t *n);
  enum store_rc (*live_tasks)(struct store *s, int64_t after_ti, struct live_task *out, size_t n, size_t *n_out);
  enum store_rc (*live_flows)(struct store *s, int64_t after_fi, struct live_flow *out, size_t n, size_t *n_out);
  bool (*reconciler)(struct store *s);
  /* definitions: any thread */
  enum wr_rc (*save_task)(struct store *s, struct task_def *t, int64_t expect_version, struct key_write *key, struct wr_err *err);
  enum wr_rc (*save_flow)(struct store *s, struct flow_def *f, int64_t expect_version, struct key_write *key, struct wr_err *err);
  enum wr_rc (*delete_task)(struct store *s, int64_t task_id, struct wr_err *err);
  enum wr_rc (*delete_flow)(struct store *s, int64_t flow_id, struct wr_err *err);
  /* readers */
  struct reader *(*reader_get)(struct store *s, enum reader_whose whose, struct wr_err *err);
  void (*reader_put)(struct reader *r);
  enum wr_rc (*reader_task)(struct reader *r, int64_t task_id, int64_t version, struct task_def **out, struct wr_err *err);
  enum wr_rc (*reader_flow)(struct reader *r, int64_t flow_id, int64_t version, struct flow_def **out, struct wr_err *err);
  enum wr_rc (*reader_tasks)(struct reader *r, const int64_t *ids, size_t n, struct task_def **out, struct wr_err *err);
  enum wr_rc (*reader_heads)(struct reader *r, enum head_kind kind, const int64_t *ids, size_t n, struct def_head *out,
                             struct wr_err *err);
  /* logs */
  enum wr_rc (*logs_open)(struct store *s, struct logs **out, struct wr_err *err);
  void (*logs_close)(struct logs *l);
  enum store_rc (*logs_write)(struct logs *l, const struct log_chunk *c, size_t n);
  /* idempotency; may be NULL in test backends that get no keys: none is found, none is kept */
  enum store_rc (*keys)(struct store *s, const char *const *key, size_t n, struct key_row *out, uint8_t *got);
  bool (*asker)(struct store *s, bool take);      /* NULL: there is no rival */
  enum store_rc (*pulse)(struct store *s, int64_t *out);   /* NULL where asker is */
  /* only SQL stores have these; their other readers are shared code */
  enum wr_rc (*claim_token)(struct store *s, struct store_token *t, struct wr_err *err);
  /* A page of reader_list_flow_ins() when it has more than one row to look for; inside a view, when there is one. */
  enum wr_rc (*ins_page)(struct reader *r, const struct list_filter *f, const struct page *p, flow_row_fn *fn, void *ctx,
                         bool *more, struct wr_err *err);
  enum store_rc (*tell)(struct store *s, const char *trouble); /* NULL: renew is called instead */
  /* async rows; may be NULL in test backends that get none */
  enum store_rc (*async)(struct store *s, const int64_t *ti, size_t n, struct async_row *out, size_t *n_out);
  enum store_rc (*async_keys)(struct store *s, const struct key_name *key, size_t n, struct async_key *out, uint8_t *got);
  /* reports; NULL where no log can be opened */
  enum store_rc (*logs_put_contexts)(struct logs *l, int64_t now_us, struct context_put *v, size_t n);
  enum store_rc (*logs_put_progress)(struct logs *l, const struct progress_row *row, size_t n);
  enum store_rc (*logs_drop)(struct logs *l, int64_t ti, bool *more);
  /* queues; may be NULL in test backends that have none: no row, nothing that counts */
  enum store_rc (*queues)(struct store *s, int64_t known_version, int64_t *version, struct arena *a, struct queue_row **rows,
                          size_t *n);
  enum store_rc (*queue_lock)(struct store *s, const int64_t *id, size_t n, int64_t *rate_at);
  enum store_rc (*running)(struct store *s, struct arena *a, struct running_row **out, size_t *n);
  enum store_rc (*counted)(struct store *s, struct arena *a, struct running_row **out, size_t *n);  /* NULL: of one process */
  /* may be NULL in test backends whose flows say nothing */
  enum store_rc (*whose)(struct store *s, int64_t fi, struct arena *a, struct whose_row **out, size_t *n);
  enum store_rc (*wish)(struct store *s, struct drain_wish *out);   /* NULL: nothing is ever wished */
  /* jobs; may be NULL in test backends that have none */
  enum store_rc (*job_lock)(struct store *s, const int64_t *id, size_t n, struct job_row *out, uint8_t *got);
  enum store_rc (*job_find)(struct store *s, const char *key, int64_t *id, uint8_t hash[KEY_HASH_BYTES]);
  enum store_rc (*job_tasks)(struct store *s, int64_t id, int64_t after_ti, int64_t *ti, size_t n, size_t *n_out);
  enum store_rc (*job_keys)(struct store *s, const char *from, const char *to, int64_t *id, size_t n, size_t *n_out);
  enum store_rc (*tree)(struct store *s, int64_t ti, struct tree_row *out, bool *got);
  enum store_rc (*children)(struct store *s, int64_t parent, int64_t after_ti, int64_t *ti, size_t n, size_t *n_out);
  enum store_rc (*live_jobs)(struct store *s, int64_t after_id, int64_t *id, size_t n, size_t *n_out);
};
/* STORE_OP(ids) f; declares f as what the member `ids` points to. */
#define STORE_OP(member) __typeof__(*((struct store_ops *)0)->member)
/* id: of the database, 8 hex digits; filled in by the backend when it opens. */
struct db;
struct def_ops;
struct store {
  const struct store_ops *ops;
  char why[200];
  uint32_t lost_streak;
  char id[STORE_ID_BYTES + 1];
  struct shared_clock clock;
  struct member_figures told;     /* goes out with the next tell() */
  /* of SQL stores (sql.h), else NULL: the definition writer's connection, and what it needs of its database */
  struct db *def;
  const struct def_ops *def_ops;
};
/* db, log: the connections for rows and for logs. NULL in a store without SQL: then a reader can do only what is in its ops. */
struct reader {
  const struct store_ops *ops;
  struct store *s;
  struct db *db, *log;
  struct reader *next;
  enum reader_whose whose;
};
struct logs   { const struct store_ops *ops; char why[200]; };

/* What the functions of a scheme are given. rest: the path behind `sqlite:`; for every other scheme the whole URL. */
struct migrate_watch;
typedef enum wr_rc store_open_fn(const struct store_opts *o, const char *rest, struct store **out, struct wr_err *err);
typedef enum wr_rc store_migrate_fn(const struct store_opts *o, const char *rest, const struct migrate_watch *w,
                                    struct wr_err *err);
typedef enum wr_rc store_token_fn(const char *rest, const struct store_token *set, struct store_token *was, struct wr_err *err);
store_open_fn sqlite_store_open, mysql_store_open;
store_migrate_fn sqlite_store_migrate, mysql_store_migrate;
store_token_fn sqlite_token_at, mysql_token_at;

/* A further scheme ("memstore" for memstore:...), for tests; before any thread. The text is borrowed. */
void store_register(const char *scheme, store_open_fn *open);
#endif
