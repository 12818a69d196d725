/* The cache of definitions: compiled flows and task versions, shared by the API threads and the runner. A room of its own
 * below both: it knows the store, and neither of them.
 *
 * Versions are immutable, so an entry stays valid for ever; only "which is the newest" changes, with definitions.version. But for
 * what is known of types: when a node registers one, or another one does, entries are read again.
 * After such a change the cache asks for the newest version numbers, many in one statement. It reads only definitions with a
 * new version.
 *
 * Owner: whoever composes the node (defs_new, defs_free). It borrows the store, which outlives it. An entry is reference
 * counted: the caller unrefs what defs_flow() and defs_task() give. That stays valid after the entry has left the cache.
 * Entries that nobody else holds leave when the cache is full.
 *
 * Threads: defs_flow() and defs_task() any; defs_bind() the runner's only. The runner's thread says so by a defs_version
 * >= 0. It reads through a reader of its own, so that it never waits for one of the API's readers.
 * What never happens: the mutex held over I/O; a version read twice while it is in the cache. */
#ifndef DEFS_H
#define DEFS_H
#include "exec_book.h"
#include "store.h"
#include "wr_limits.h"
struct defs;
struct registry;
struct defs *defs_new(struct store *s, uint8_t (*slot_of)(const char *type));
/* Slots and executors of task versions come from this registry, and slot_of is not asked. When the registry changes, versions are
 * read again. Borrowed; before any other thread. */
void defs_executors(struct defs *d, const struct registry *types);
/* The part of --cache-memory that is for definitions; the rest is for runs. cache_bytes 0 = LIMIT_CACHE_BYTES. */
static inline size_t defs_share(int64_t cache_bytes) { return (size_t)(cache_bytes ? cache_bytes : LIMIT_CACHE_BYTES) / 4; }
void defs_limit(struct defs *d, size_t bytes);  /* before any thread; else defs_share(0) */
void defs_free(struct defs *d);
size_t defs_bytes(struct defs *d);              /* what it holds, about; any thread */
/* Says whether this node can run a task. Asked once for each version when it is read. Set before any other thread; without it all
 * tasks can run. */
typedef bool can_run_fn(void *ctx, const struct task_def *t);
void defs_can_run(struct defs *d, can_run_fn *can, void *ctx);
/* The list of its hints, asked as often; without it all go to the shared one. */
typedef uint16_t list_of_fn(void *ctx, const struct task_def *t);
void defs_list_of(struct defs *d, list_of_fn *list, void *ctx);
/* Newest version when version is 0. defs_version: of the caller's transaction, or -1 = look now (API). NOT_FOUND. */
enum wr_rc defs_flow(struct defs *d, int64_t flow_id, int64_t version, int64_t defs_version, struct flow_def **out,
                     struct wr_err *err) WR_MUST;
enum wr_rc defs_task(struct defs *d, int64_t task_id, int64_t version, int64_t defs_version, struct task_def **out,
                     struct wr_err *err) WR_MUST;
/* The same of one version (not 0), read with the caller's reader when it is not in the cache. Any thread that holds one. */
enum wr_rc defs_flow_by(struct defs *d, struct reader *r, int64_t flow_id, int64_t version, struct flow_def **out,
                        struct wr_err *err) WR_MUST;
enum wr_rc defs_task_by(struct defs *d, struct reader *r, int64_t task_id, int64_t version, struct task_def **out,
                        struct wr_err *err) WR_MUST;
/* Fills in what this node knows of a definition that is not of this cache: class of slots, executor, whether it can run here,
 * whether its type cleans up. version: of its executor, which its instance has; 0 = the newest. t is nobody else's yet. The
 * runner's thread. It may have to look into the store: when that fails, nothing is filled in. */
enum wr_rc defs_place(struct defs *d, struct task_def *t, int64_t version, struct wr_err *err) WR_MUST;
/* The class of slots of that version of an executor; that of the newest when it is not there any more. The runner's thread;
 * it may have to look into the store. */
enum wr_rc defs_slot(struct defs *d, const char *type, int64_t version, uint8_t *slot, struct wr_err *err) WR_MUST;
/* The analyzer of an instance of t that has that version of its executor (0: of none that was registered). NULL: none. */
const struct analyzer *defs_analyzer_of(const struct defs *d, const struct task_def *t, int64_t version);
/* Can this node call it, as far as the node's clerk knows? One that was registered and is not known here is called: the call
 * looks into the store. Any thread. */
bool defs_analyzer_here(const struct defs *d, const struct analyzer *a);
/* The one of that name as this node knows it, without a look; NULL = it does not. Any thread. */
const struct executor *defs_analyzer_known(const struct defs *d, const char *name);
/* This node has registered it: no look is needed. Any thread. */
void defs_type_learn(struct defs *d, const char *type, bool cleans_up);
/* Executors that were registered at run time become entries of `types`, the registry of defs_executors(), and analyzers entries
 * of one of their own (NULL = there are none). Before any other thread. */
void defs_added(struct defs *d, struct registry *types, struct registry *analyzers, const struct added_host *host);
/* One was registered or deleted here: this node knows it, and has told what it offers, when this is back. Any thread. */
void defs_added_ask(struct defs *d, int64_t until_us);
/* A type that the registry lacks may have been registered elsewhere a moment ago: looks at once. *out NULL: it was not. Any
 * thread; the caller holds no reader. */
enum wr_rc defs_added_find(struct defs *d, const char *type, const struct executor **out, struct wr_err *err) WR_MUST;
/* The same of an analyzer. */
enum wr_rc defs_analyzer_find(struct defs *d, const char *name, const struct executor **out, struct wr_err *err) WR_MUST;
const wx_ops *defs_added_ops(const struct defs *d, enum added_mode mode);   /* NULL = there are none here */
/* The node's rules let a URL be asked, as far as the URL itself says; false with a clause. Any thread. */
bool defs_added_may_ask(const struct defs *d, const char *url, char *why, size_t why_n);
/* Reads what is new of them. look: any thread that holds a reader; since: the runner's thread, in a batch of that version. */
enum wr_rc defs_added_look(struct defs *d, struct reader *r, struct wr_err *err) WR_MUST;
enum wr_rc defs_added_since(struct defs *d, int64_t defs_version, struct wr_err *err) WR_MUST;
/* A former version that an instance is pinned to is known from now on. The runner's thread. NOT_FOUND. */
enum wr_rc defs_added_version(struct defs *d, const char *type, int64_t version, struct wr_err *err) WR_MUST;
/* The version of the type that is current now; 0 = it was not registered at run time. Any thread. */
int64_t defs_added_now(const struct defs *d, const struct task_def *t);
/* The type of a placed definition is known: one of this node, or one that some node has registered. Any thread. */
bool defs_knows(struct defs *d, const struct task_def *t);
/* Grows when what this node can run is not what it was: what is kept of definitions is old. Any thread. */
uint64_t defs_types(const struct defs *d);
/* Has any node ever registered the type? Looks into the store when it is not known and the last look began a second ago or
 * earlier; who comes during a look waits for it. Not OK: nobody could look (the store is away, or busy), so nothing is known. Any
 * thread; the caller holds no reader. */
enum wr_rc defs_type_known(struct defs *d, const char *type, bool *known, struct wr_err *err) WR_MUST;
/* Policies and versions of every task index of f as of defs_version; owned by the cache entry of f, valid until the
 * next defs_bind of f with a newer version. Runner thread only. */
enum wr_rc defs_bind(struct defs *d, struct flow_def *f, int64_t defs_version, const struct task_bind **out,
                     struct wr_err *err) WR_MUST;
#endif
