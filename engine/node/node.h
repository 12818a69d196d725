/* One node of Weir, composed: store, registry of executors, definitions, queue, runner, worker, pumps and log
 * sink. `weir server` puts an API in front of it, `weir run` a flow file, a library its host.
 *
 * Owner: whoever opens it. One thread makes and ends it; what it hands out may be used by any thread as the parts' own
 * headers say. Order of things: node_spawner() first, then node_open(), which takes the spawner. At the end the node takes no
 * more work (drain) and hands running attempts back; their results are committed, the node leaves, and all is closed.
 *
 * The process belongs to the host. What a process has only once is the host's to set, before node_open(): limits, the
 * allocator, handlers of signals, the log's level and sink, the seed of JSON objects, the user that it is. The threads of a
 * node have all signals blocked but SIGBUS, whatever the host's threads block; so a broken pipe or a file that is too large is
 * an error for them and does not end the process.
 *
 * What never happens: a state outside of struct node; a process made before node_spawner(); a child that survives node_close();
 * an exit of the process: `gone` and `useless` tell the host, which decides. */
#ifndef NODE_H
#define NODE_H
#include "defs.h"
#include "health.h"
#include "mem.h"
#include "run_as.h"
#include "runner.h"
#include "store.h"
#include "worker.h"

enum { NODE_API = 1, NODE_RUNNER = 2, NODE_WORKER = 4 };
/* Most process attempts that are claimed before they have a slot; and where all of them are routines: those wait in a list, not
 * at the spawner's gate, and may be over so soon that a batch of 128 costs more than they do. */
enum { NODE_AHEAD = 128, NODE_AHEAD_ROUTINES = 512 };
enum node_gone { NODE_GONE_LOCK, NODE_GONE_STORE };
struct registry;
struct node_opts {
  const char *store, *queue, *prefix, *data;
  const char *roles_text;
  uint32_t max_queued;                        /* hints in the queue, at most; 0 = the default */
  uint32_t max_depth;                         /* as in runner.h */
  const char *labels, *version;               /* "A,B" (labels.h), NULL = none; of this program */
  unsigned roles;
  int64_t lease_us;
  uint32_t slots, async_slots;                /* attempts at once, per class */
  const char *program;                        /* as in spawner_opts (worker.h): where to find a weir, if need be */
  const char *helper, *why_no_spawner;        /* as in spawner_opts and worker_opts */
  const char *tools;                          /* the folder of weir, with which the PATH of SHELL tasks ends; NULL = not known */
  struct run_as *run_as;                      /* whom SHELL tasks may run as here; NULL: this node runs none itself */
  const char *const *http_allow; size_t n_http_allow;  /* CIDR[:PORT] each (http_client.h); borrowed */
  int64_t cache_bytes, request_us, stop_us;
  struct queue_opts queues;                   /* as in runner.h; borrowed */
  const char *const *executor_dir; size_t n_executor_dir;   /* below which registered programs are; absolute, no '/' at the end */
  bool own_only;                              /* as in runner.h */
  bool routines;                              /* types of add_types() take process slots, also where SHELL is off */
  /* Adds the host's own types to those that are built in, before anything else looks at them; NULL = none. */
  enum wr_rc (*add_types)(void *ctx, struct registry *r, struct wr_err *err);
  enum { NODE_STRICT, NODE_RELAXED } durability;
  enum { NODE_SHELL_OFF, NODE_SHELL_ON } shell;
  void *ctx;
  void (*changed)(void *ctx);                 /* runner thread, after each turn; NULL = none */
  void (*flow_done)(void *ctx, int64_t fi, enum flow_state state);  /* runner thread, after the commit; NULL = none */
  const struct watcher *watcher;              /* as in runner.h; NULL = nobody waits */
  /* The lock of the data directory, or a file of the database, was removed or replaced: what is done from now on may be done
   * twice, or lost. The host ends this process at once, as if it were killed. Any thread; not NULL. */
  void (*gone)(void *ctx, enum node_gone what, const char *why);
  /* No process can be started any more: the host stops this node. node_failed() says so from then on. Any thread; NULL = none. */
  void (*useless)(void *ctx);
  /* Is the process to stop? Asked by the thread that opens the node, while it changes the schema of the store. NULL = no. */
  bool (*stopping)(void *ctx);
};
struct node;

/* It runs tasks, or it calls analyzers that may be programs below its own folders: it needs a spawner, and users to run as. */
static inline bool node_starts_programs(const struct node_opts *o) {
  bool calls = (o->roles & (NODE_API | NODE_RUNNER)) != 0 && o->n_executor_dir > 0 && o->shell == NODE_SHELL_ON;
  return (o->roles & NODE_WORKER) != 0 || calls;
}

/* How many of them this node claims. */
uint32_t node_ahead(const struct node_opts *o);

/* Starts the spawner of a node that starts programs; for other nodes *out is NULL. Before the host gives up any right that
 * tasks need (root). found: what tasks get back (found.h), NULL = as this process is now. */
struct found;
enum wr_rc node_spawner(const struct node_opts *o, const struct found *found, struct spawner **out, struct wr_err *err) WR_MUST;
/* Takes the spawner, also on failure. NULL: this node starts no processes, and needs no directory of its own; `data` is then any
 * folder, for a file without a name. o is borrowed for the life of the node. */
enum wr_rc node_open(const struct node_opts *o, struct spawner *spawner, struct node **out, struct wr_err *err) WR_MUST;
/* No new work from now on. When it returns, running attempts have been handed back (TERM, KILL after grace_us). The runner
 * still answers. */
void node_drain(struct node *n, int64_t grace_us);
/* After node_drain(), once nobody posts any more: commits what waits, leaves the store. Waits for a store that is away.
 * False: the store does not answer; others take over once the lease is over. NULL is fine. */
bool node_leave(struct node *n);
/* Leaves, unless that was done, and ends all. NULL is fine. False: a thread of the node is inside a call of the store that does
 * not come back; then node, options and watcher stay in use until the process ends. */
bool node_close(struct node *n);
/* After that false: waits until the thread has come back, however long that takes, and ends all. */
void node_bury(struct node *n);

void node_health(struct node *n, struct health *out);   /* any thread; waits RUNNER_HEALTH_WAIT_US at most */
enum hints_told node_hints(struct node *n, hints_each *each, void *to);   /* any thread; waits for Redis, bounded */
/* No hint of these tasks, ascending, stands in Redis any more. False: it does not say. Any thread; waits for Redis, bounded. */
bool node_forget(struct node *n, const int64_t *ti, size_t n_ti);
bool node_failed(const struct node *n);                 /* the node ends because it could not go on */
struct store *node_store(const struct node *n);
struct defs *node_defs(const struct node *n);
const struct registry *node_executors(const struct node *n);
struct runner *node_runner(const struct node *n);
/* Its own API listens there: no task may ask it. address: figures, 0.0.0.0 = all of this machine. Any thread. */
void node_listens(struct node *n, const char *address, uint16_t port);
#endif
