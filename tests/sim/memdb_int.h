/* Private to the in-memory database: transactions and the calls between its two files. */
#ifndef MEMDB_INT_H
#define MEMDB_INT_H
#include "memstore.h"

enum tx_state { TX_OPEN, TX_PENDING };
struct mem_tx {
  struct mem_tx *next;
  struct memdb *db;
  struct mem_store *owner;           /* NULL: its connection is gone */
  int64_t me;
  enum tx_state state;
  bool written, will_commit;
  int64_t touched, settle_at;
  struct batch b;                    /* a deep copy in mem */
  struct arena mem;
};

struct mem_store {
  struct store s;
  struct memdb *db;
  void *node;
  struct mem_tx *tx;
  int64_t wary_until;                /* as in mysql_held.c */
  bool cut;                          /* the server ended the transaction under way */
  int64_t me, queues_at;             /* queues_at: version of the queues when the transaction began */
  int64_t next_id[ID__N], end_id[ID__N];
  struct arena texts;                /* of reads, until the transaction ends */
};

struct mem_tx *tx_open(struct mem_store *s);
void tx_end(struct mem_tx *tx);                  /* releases the locks and frees tx */
bool get_lock(struct mem_store *s, struct mem_tx **lock);   /* false: in vain */
void drop_notes(struct memdb *db);
void tx_apply(struct mem_tx *tx);                /* commits rows, receipt and lease, then ends tx */
bool tx_key_held(const struct mem_store *s, const char *key);  /* another transaction is writing it */
bool tx_async_key_held(const struct mem_store *s, const char *key, int64_t scope);
enum store_rc mem_gate(struct mem_store *s, enum mem_call what, const struct batch *b);   /* memstore.c */
/* memjobs.c */
STORE_OP(job_lock) mem_job_lock; STORE_OP(job_find) mem_job_find; STORE_OP(job_tasks) mem_job_tasks; STORE_OP(job_keys) mem_job_keys; STORE_OP(live_jobs) mem_live_jobs;
STORE_OP(tree) mem_tree; STORE_OP(children) mem_children;
void trees_apply(struct memdb *db, const struct batch *b);
void jobs_copy(struct mem_tx *tx, const struct batch *b);
void jobs_unlock(struct memdb *db, const struct mem_tx *tx);
enum store_rc jobs_check_rows(const struct mem_store *s, const struct batch *b);
void jobs_apply(struct memdb *db, const struct batch *b);
void jobs_free(struct memdb *db);
enum store_rc tx_write(struct mem_store *s, struct batch *b);
enum mem_fate mem_ask(struct mem_store *s, enum mem_call what, const struct batch *b);
enum store_rc mem_fault(enum mem_fate f);        /* of MEM_RETRY .. MEM_BAD */
/* memrival.c: rows that this batch would wait for. OK = none; STALE = they are marked in b. Then what a wait in vain shows. */
enum store_rc rival_ask(struct mem_store *s, struct batch *b);
enum store_rc rival_waited(struct mem_store *s);
bool rival_wary(const struct mem_store *s);
bool rival_free(const struct mem_store *s, const struct mem_tx *lock);
#endif
