/* One node of Weir, wired: store, definitions, queue, runner, worker, pump and log sink. `weir server` puts an API in
 * front of it, `weir run` a flow file. Main thread makes and ends it; what it hands out may be used by any thread as
 * the parts' own headers say.
 *
 * Order of things: the spawner is forked before any thread or connection exists, so node_prepare() comes first of all;
 * at the end nothing is taken, then running attempts are handed back, then their results committed, then the node
 * leaves. What never happens: a child that survives node_close(). */
#ifndef CLI_NODE_H
#define CLI_NODE_H
#include "def_env.h"
#include "defs.h"
#include "health.h"
#include "identity.h"
#include "mem.h"
#include "run_as.h"
#include "runner.h"
#include "store.h"
#include "worker.h"

enum { NODE_API = 1, NODE_RUNNER = 2, NODE_WORKER = 4 };
struct node_opts {
  const char *store, *queue, *prefix, *data;
  const char *roles_text;
  unsigned roles;
  int64_t lease_us;
  uint32_t slots, async_slots;                /* attempts at once, per class */
  struct identity who;                        /* whom node_prepare() becomes */
  struct run_as *run_as;                      /* who SHELL tasks may be here; NULL: this node runs none itself */
  int64_t cache_bytes, request_us, stop_us;
  bool own_only;                              /* as in runner.h */
  enum { NODE_STRICT, NODE_RELAXED } durability;
  enum { NODE_SHELL_OFF, NODE_SHELL_ON } shell;
  void *ctx;
  void (*changed)(void *ctx);                 /* runner thread, after each turn; NULL = none */
  void (*flow_done)(void *ctx, int64_t fi, enum flow_state state);  /* runner thread, after the commit; NULL = none */
};
struct node;

/* Before any thread: makes or checks the data directory, forks the spawner (worker role), blocks the signals that
 * signals_wait() takes, sets limits for the threads to come, and gives up root for o->who. */
enum wr_rc node_prepare(const struct node_opts *o, struct spawner **spawner, struct wr_err *err) WR_MUST;
/* Takes the spawner, also on failure. o is borrowed for the life of the node. */
enum wr_rc node_open(const struct node_opts *o, struct spawner *spawner, struct node **out, struct wr_err *err) WR_MUST;
/* No new work from now on; running attempts are handed back (TERM, KILL after grace_us) when it returns. The runner
 * still answers. */
void node_drain(struct node *n, int64_t grace_us);
/* After node_drain() and when nobody posts any more: commits what waits, leaves the store. Waits for a store that is away.
 * NULL is fine. */
void node_leave(struct node *n);
/* Leaves, unless that was done, and ends all. NULL is fine. */
void node_close(struct node *n);

/* From now on its files may go: this process removes them itself, and is about to end. */
void node_leaves_nothing(void);
void node_health(struct node *n, struct health *out);   /* any thread; waits RUNNER_HEALTH_WAIT_US at most */
bool node_failed(const struct node *n);                 /* it ends because it could not go on */
struct store *node_store(const struct node *n);
struct defs *node_defs(const struct node *n);
struct runner *node_runner(const struct node *n);

/* For the definition parser (def_env.h). */
struct def_site node_def_site(const struct node *n);

uint32_t node_cores(void);
#endif
