/* May this node start tasks, as busy as its machine is? Reads /proc at most once a second, and nothing at all where neither
 * --max-load nor --min-free-memory is given. A machine that does not tell allows. Any thread; no thread of its own.
 * What never happens: a lock is held over a read. */
#ifndef RUNNER_LOAD_H
#define RUNNER_LOAD_H
#include <stdbool.h>
#include <stddef.h>
#include "queue_opts.h"

/* False: why holds what it is about, with the numbers, for the middle of a sentence ("" when true). NODE_LOAD_BYTES are
 * enough. */
bool load_allows(const struct queue_opts *o, char *why, size_t n);

/* Its parts, pure. < 0: the text does not say. */
double load_of(const char *loadavg);             /* the first number of /proc/loadavg */
int64_t load_free(const char *meminfo);          /* MemAvailable of /proc/meminfo, in bytes */
bool load_judge(const struct queue_opts *o, double load_per_core, int64_t free_bytes, char *why, size_t n);
#endif
