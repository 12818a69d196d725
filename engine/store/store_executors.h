/* Executors and result analyzers that were registered at run time (task_executor, analyzer: `kind`). Part of store.h, which alone
 * includes it. One row for each version that there ever was; a row never changes but for being the current one no more. A change
 * raises definitions.version, so that a batch that was decided by older rows is refused as stale, and a number of changes, by
 * which every member sees that there is something to read.
 *
 * The limits of a type are a row of task_queue that is written, and deleted, in the same transaction (QUEUE_OF_TYPE).
 *
 * What a member offers stands in its own row of engine_node, as a text that only that member writes. */
#ifndef STORE_EXECUTORS_H
#define STORE_EXECUTORS_H
#include "added_kind.h"

/* id: NULL = none; an analyzer has none. body: canonical JSON of all that was asked for. Texts are borrowed. */
struct executor_row { enum added_kind kind; const char *type, *id, *body; int64_t version, create_us, update_us; bool current; };

/* ---- the definition writer: any thread ---- */
/* Registers row->type; version and times are filled in. The same body as the current version has: that one, and nothing is
 * written but the key. Another body: EXISTS unless `replace`. EXISTS too when a node has registered a type of that name
 * (task_type), or when another type has that id. TOO_LARGE: there are LIMIT_ADDED_TYPES, or LIMIT_ADDED_ROWS of all versions.
 * key: as in store_save_task(); it keeps the version. */
struct type_limits { int64_t max_running, rate_count, rate_per_us; };   /* -1 = none; the last two both or none */
struct executor_put { bool replace; struct key_write *key; const struct type_limits *limits; /* NULL = none */ };
enum wr_rc store_executor_save(struct store *s, struct executor_row *row, const struct executor_put *how,
                               struct wr_err *err) WR_MUST;
/* No version is current any more. NOT_FOUND; IN_USE: tasks, flows or live tasks use it (of an analyzer executors, too); the
 * sentence names one. */
enum wr_rc store_executor_delete(struct store *s, enum added_kind kind, const char *type, struct wr_err *err) WR_MUST;
/* Writes what the member offers into its row, if it is LIVE. */
enum wr_rc store_executors_tell(struct store *s, int64_t incarnation, const char *text, struct wr_err *err) WR_MUST;

/* ---- readers ---- */
struct reader;
/* The number of changes: it grows with each of the changes above. 0 on a store without SQL. */
enum wr_rc reader_executors_version(struct reader *r, enum added_kind kind, int64_t *out, struct wr_err *err) WR_MUST;
typedef int executor_fn(void *ctx, const struct executor_row *row);   /* return 0 to go on */
/* The current versions, by type. */
enum wr_rc reader_executors(struct reader *r, enum added_kind kind, executor_fn *fn, void *ctx, struct wr_err *err) WR_MUST;
/* One version, current or not; 0 = the current one. NOT_FOUND. */
enum wr_rc reader_executor(struct reader *r, enum added_kind kind, const char *type, int64_t version, executor_fn *fn, void *ctx,
                           struct wr_err *err) WR_MUST;
#endif
