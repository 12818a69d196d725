/* The raw ceiling of a store: the rows of Weir's batches, written by a program that does nothing else.
 *
 * A step writes what one step of a chain writes: its task and node are finished, the next node and task are inserted and claimed.
 * A batch of them also raises `heads` flow rows and the receipt of the node, then commits. Same schema, same columns. */
#ifndef BENCH_LIMIT_H
#define BENCH_LIMIT_H
#include <stdbool.h>
#include <stdint.h>
#include "load.h"

struct shape { int64_t steps, batch, heads, flows; };   /* flows: inserted along the way; 0 = one flow, inserted before */
#define LIMIT_FINAL_EVERY 5     /* with `flows`, a flow has this many steps: every fifth raise of a head ends a flow */

char *read_file(const char *path);

/* Both: seconds for all steps; opening, schema and the rows of the first batch are not counted. */
double limit_sqlite(const char *file, const char *schema, const struct shape *s);
/* where: key=value words: host port user password socket. Uses and drops the database weir_bench_limit. */
double limit_mysql(char **where, int n, const char *schema, const struct shape *s);
#endif
