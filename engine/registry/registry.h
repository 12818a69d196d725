/* The registry of executors: the task types that a node knows, each in one version or more. This room is below model, runner,
 * worker and API, because all of these ask it what a type is.
 *
 * Owner: the composer of a node (registry_new, registry_free), who hands it to all rooms that need it. No registry is global: two
 * nodes in one process may know different types. The registry owns its entries and the plugins that it loaded.
 *
 * Threads: registry_add() and plugin_load() one at a time, at any moment; registry_free() last; everything else any thread,
 * without a lock.
 *
 * What never happens: an entry that changes (but `retired`), moves or goes before registry_free(). So a pointer to an entry may
 * be kept as long
 * as the registry lives. Definitions keep theirs (task_def.executor), and the start of an attempt looks nothing up. A member that
 * the executor's own header did not know is 0 in the entry, whatever bytes follow the executor's table. */
#ifndef REGISTRY_H
#define REGISTRY_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "err.h"
#include "weir_executor.h"

struct added;
/* One version of a task type. */
struct executor {
  wx_ops ops;                       /* a copy; its texts and calls are the executor's */
  int64_t version;                  /* 1 or more */
  struct added *added;              /* it was registered at run time (added.h); NULL = it was not */
  struct executor *_Atomic next;    /* the registry's */
  _Atomic bool retired;             /* of an added one: no version to be found as the newest */
};

struct registry;
struct registry *registry_new(void);
void registry_free(struct registry *r);     /* NULL is fine. Nobody may hold an entry any more */
/* Checks and copies the table. The code and texts that it points to must outlive the registry. A name has each version once. */
enum wr_rc registry_add(struct registry *r, const wx_ops *ops, struct wr_err *err) WR_MUST;
const wx_ops *registry_shell(void);         /* SHELL's calls, for a type that lets SHELL do its work */
void registry_add_builtins(struct registry *r);   /* ECHO, WAIT, EXCEPTION, SHELL; once, before anything else */

/* Gives the registry a thing that entries point into: registry_free() calls end(thing) after the entries are gone. */
void registry_own(struct registry *r, void *thing, void (*end)(void *thing));

/* Exact name; version 0 = the newest that is not retired. NULL = there is none. */
const struct executor *registry_find(const struct registry *r, const char *name, int64_t version);
/* The newest version of each name, in the order in which names were added: prev NULL = the first one; NULL = no more. */
const struct executor *registry_next(const struct registry *r, const struct executor *prev);
/* A number that grows with every registry_add(): a cache that noted it BEFORE it looked something up knows when to look again. */
uint64_t registry_changes(const struct registry *r);
void registry_changed(struct registry *r);  /* what can run here is not what it was */

/* Which of the node's slots an attempt takes (enum slot_class of the core, whose numbers are those of the ABI). */
static inline uint8_t executor_slot(const struct executor *x) {
  return x && x->ops.slot == WX_SLOT_PROCESS ? WX_SLOT_PROCESS : WX_SLOT_ASYNC;
}

/* The executor's own check of a task at save time: 0, or -1 with a code of the API and a sentence. Pure, any thread. */
int executor_check(const struct executor *x, const char *content, const char *config, enum wr_rc *code, char *err, size_t err_n);
#endif
