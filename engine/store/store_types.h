/* Task types that nodes have registered beside those that are built in (task_type). Part of store.h, which alone includes it. A
 * row is written before the first task of its type, and stays. */
#ifndef STORE_TYPES_H
#define STORE_TYPES_H

struct known_type { const char *name; bool cleans_up; };
/* The definition writer's: any thread, one at a time. All or none; durable on OK. A type that is known keeps its row, with the
 * newer cleans_up. EXISTS: an executor of that name was registered at run time. Never called on a store without SQL. */
enum wr_rc store_know_types(struct store *s, const struct known_type *v, size_t n, struct wr_err *err) WR_MUST;
/* All of them by name, at most LIMIT_KNOWN_TYPES. Texts are borrowed. On a store without SQL: none. Return 0 to go on. */
typedef int known_type_fn(void *ctx, const struct known_type *t);
enum wr_rc reader_known_types(struct reader *r, known_type_fn *fn, void *ctx, struct wr_err *err) WR_MUST;
#include "store_executors.h"
#endif
