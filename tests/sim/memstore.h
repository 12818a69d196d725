/* A database in memory, for tests: one struct memdb, and one struct store on it for each simulated node.
 *
 * It keeps what store.h promises: rows change only by a commit, whole and at once; a flow head is locked from lock() or
 * write() until the transaction ends; reads see committed rows; the fence is checked last and holds the node's row. Mode
 * single is like SQLite (one process, no leases), mode cluster like a server (leases, ids in blocks, connections that die).
 * Every call first asks hooks.call(), which decides its fate and may switch to another node meanwhile. One thread.
 * What never happens: a fault that the real stores could not have, or half a batch. */
#ifndef MEMSTORE_H
#define MEMSTORE_H
#include "map64.h"
#include "store_backend.h"

struct memdb;
enum mem_call {
  MEM_IDS, MEM_JOIN, MEM_LEAVE, MEM_BEGIN, MEM_LOCK, MEM_READ, MEM_WRITE, MEM_COMMIT, MEM_RESOLVE, MEM_RENEW, MEM_REAP,
  MEM_SCAN, MEM_DEFS, MEM_WAIT, MEM__N
};
extern const char *const mem_call_name[MEM__N];

enum mem_fate {
  MEM_GO,
  MEM_RETRY, MEM_DOWN, MEM_NO_SPACE, MEM_BAD, /* nothing is done, and the call answers this */
  MEM_LOST_DONE, MEM_LOST_UNDONE,             /* COMMIT only: done or not, the answer is lost */
  MEM_LATE_DONE, MEM_LATE_UNDONE              /* the same, but decided later; the locks are held until then */
};

struct mem_hooks {
  void *ctx;
  /* Called before the effect of a call of this node. b: the batch, for MEM_WRITE and MEM_COMMIT. MEM_WAIT: the call waits for a
   * lock. */
  enum mem_fate (*call)(void *ctx, void *node, enum mem_call what, const struct batch *b);
  /* b is about to be applied by `me`; the old rows are still there. */
  void (*commit)(void *ctx, int64_t me, const struct batch *b);
  /* b was applied. node NULL: no node hears of it, because the connection was lost. */
  void (*committed)(void *ctx, int64_t me, const struct batch *b);
  /* A batch that no correct runner sends: an insert of a row that exists, an update of one that does not, a delete of one that
   * the batch does not update. */
  void (*broken)(void *ctx, const char *what, int64_t id);
  /* The clocks of a node; NULL = all are the database's. */
  void (*clocks)(void *ctx, void *node, int64_t *wall, int64_t *boot);
};

/* Rows as committed. Texts are the database's own. */
struct mem_whose { struct mem_whose *next; struct whose_row r; };
struct mem_flow { struct flow_row r; struct mem_whose *whose; struct mem_tx *lock; };
struct mem_node { struct node_row r; struct mem_tx *lock; };   /* lock: of a stranger only, because a node is locked with its flow */
struct mem_task { struct task_row r; struct mem_tx *lock; int64_t queued_at;   /* when it became QUEUED */
                  struct mem_task *gone;
                  struct mem_task *newer, *older; uint8_t list;                /* while it is QUEUED: its place in memdb.queued */
                  uint32_t handed_back;                                        /* rows of task_attempt that say HANDBACK */
                  uint8_t slot1; };                                            /* the oracle's: 1 + its slot, once that is known */
struct mem_async { struct async_row r; };                      /* under the lock of its task */
struct mem_job { struct job_row r; struct mem_tx *lock; bool deleted; };        /* a deleted one stays, as of queues */
struct mem_note { char *user, *group; };                       /* the task counts under limits, as far as its own row says so */
/* state: LIVE, DEAD or GONE. wish: what anybody wishes of it; read: what its node has read of that last. */
struct mem_member { int64_t me, lease_until, last_batch; enum member_state state; struct mem_tx *lock; struct drain_wish wish, read; };

struct mem_queue { struct queue_row r; struct mem_tx *lock; bool deleted; };  /* a deleted one stays: a node may wait for its lock */

/* Idempotency keys, as committed. */
struct mem_key { char *key; struct key_row row; };

struct mem_text { char *json; int64_t node_base; };
struct mem_def { struct mem_text *v; size_t n, cap; bool deleted, held; };  /* v[version - 1] */

struct memdb {
  struct mem_hooks hooks;
  bool single;
  int64_t now_us;                    /* the database's clock; set by the test */
  int64_t newest;                    /* the newest time in a row */
  int64_t lease_us;
  int64_t next_id[ID__N];
  int64_t defs_version, queues_version;
  struct mem_queue **queue;          /* ascending by id; ids begin at 1 */
  size_t n_queue, cap_queue;
  struct mem_def *tasks, *flows;     /* [id - 1] */
  size_t n_tasks, cap_tasks, n_flows, cap_flows;
  struct map64 flow, node, task;     /* fi, ni, ti -> row */
  struct map64 async;                /* ti -> row, of stand-alone tasks */
  struct map64 job;                  /* job_id -> row */
  struct map64 tree;                 /* ti -> struct tree_row */
  bool analyses;                     /* every third saved task has an analyzer */
  struct map64 note;                 /* ti -> struct mem_note */
  struct mem_task *gone;             /* deleted ones: another node may wait for the lock of one */
  size_t n_queued;                   /* tasks that are QUEUED */
  struct mem_queued { struct mem_task *first, *last; } queued[1 + SLOT__N]; /* these, longest first: new ones, then by 1 + slot */
  size_t n_live, n_wait;             /* flows and tasks that are not final; those of them that wait for a user */
  struct map64 member;
  struct mem_key *key; size_t n_key, cap_key;
  int64_t max_ti, max_fi;
  bool drains;                       /* somebody may wish that a member drains; else members have no wishes */
  bool made_up;  /* some nodes grow when they start, some tasks choose among out-edges; no definition can say so yet */
  size_t n_attempt;                  /* rows of task_attempt */
  const struct mem_store *asker;     /* the node that looks for lost hints now */
  int64_t pulse;                     /* transactions that were committed */
  struct mem_tx *txs;                /* all transactions, open and undecided */
  struct mem_tx *stranger;           /* memrival.c: the one whose locks are in the way; it is not in txs */
  bool closed[3];                    /* tables into which nothing can be inserted: enum mem_row */
  uint8_t (*slot_of)(const char *type);
};

struct memdb *memdb_new(const struct mem_hooks *h, bool single, int64_t lease_us, uint8_t (*slot_of)(const char *type));
void memdb_free(struct memdb *db);
struct store *memdb_connect(struct memdb *db, void *node);
/* The clock has moved: cuts connections that idle in a transaction for L/4, and decides late commits. */
void memdb_tick(struct memdb *db);

/* A session of a stranger: it locks rows and keeps them until memdb_release(), which gives all of them back. */
enum mem_row { MEM_ROW_FLOW, MEM_ROW_NODE, MEM_ROW_TASK, MEM_ROW_MEMBER, MEM_ROW_DEF, MEM_ROW_QUEUE };
bool memdb_hold(struct memdb *db, enum mem_row what, int64_t id);     /* false: the row does not exist, or is in use */
void memdb_hold_table(struct memdb *db, enum mem_row what);  /* flows, nodes or tasks: all rows; nothing can be inserted */
void memdb_release(struct memdb *db);

/* A QUEUED task goes from one of the lists to the end of another. */
void memdb_queued_move(struct memdb *db, struct mem_task *t, uint8_t list);

struct mem_flow *memdb_flow(const struct memdb *db, int64_t fi);
struct mem_node *memdb_node(const struct memdb *db, int64_t ni);
struct mem_task *memdb_task(const struct memdb *db, int64_t ti);
struct mem_async *memdb_async(const struct memdb *db, int64_t ti);
const struct tree_row *memdb_tree(const struct memdb *db, int64_t ti);   /* NULL: it has none */
struct mem_job *memdb_job(const struct memdb *db, int64_t job_id);
const struct mem_note *memdb_note(const struct memdb *db, int64_t ti);   /* NULL: it is not noted */
struct mem_whose *memdb_whose(const struct mem_flow *f, int64_t ti);   /* ti 0: of all its tasks. NULL = nothing was said */
/* The task with this taskKey, committed; NULL: nobody has it. */
const struct mem_async *memdb_async_key(const struct memdb *db, const char *key, int64_t scope);
struct mem_member *memdb_member(const struct memdb *db, int64_t me);
const struct key_row *memdb_key(const struct memdb *db, const char *key);   /* NULL: the key was not used so far */
/* Definitions, as POST bodies. id 0 = a new one. Returns the id, 0 when a transaction holds it just now. */
int64_t memdb_save_task(struct memdb *db, int64_t id, const char *json);
int64_t memdb_save_flow(struct memdb *db, int64_t id, const char *json, uint32_t n_node);
bool memdb_delete_flow(struct memdb *db, int64_t id);   /* false: instances of it are live, or being made */
/* A queue: the row of this pair is replaced (but for its bucket) or made. False: a transaction has it, now or (of a single process)
 * some transaction is under way. */
bool memdb_set_queue(struct memdb *db, const struct queue_row *r);
bool memdb_delete_queue(struct memdb *db, const char *user, const char *group);  /* false also when there is none */
struct mem_queue *memdb_queue(const struct memdb *db, int64_t queue_id);          /* NULL: there is none */
/* A flow definition as the store would read it: a new reference. */
struct flow_def *memdb_flow_def(struct memdb *db, int64_t id, int64_t version);
struct task_def *memdb_task_def(struct memdb *db, int64_t id, int64_t version);
#endif
