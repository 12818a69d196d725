/* How many tasks of each queue run, as answers about limits need it: read by one thread, and only while somebody
 * asks why a task of a limited queue waits; as often as that costs little, and once a second at least.
 *
 * Any thread. What never happens: a read under the lock; a second reader of a thread that holds one; more than COUNTS_MAX
 * queues in memory (then it is not known). */
#ifndef CLIENT_COUNTS_H
#define CLIENT_COUNTS_H
#include "last_read.h"
#include "store.h"

enum { COUNTS_MAX = 100000 };
struct queue_count { const char *user, *group; int64_t n; };
struct count_set { struct read_set base; bool whole; struct queue_count *v; size_t n, cap; };
struct counts { struct last_read last; _Atomic int64_t fresh_us; };

void counts_init(struct counts *c);
void counts_end(struct counts *c);
/* The caller holds no reader. NULL: it is not known now. */
struct defs;
struct count_set *counts_get(struct counts *c, struct store *s, struct defs *d);   /* d NULL: of stand-alone tasks alone */
void counts_put(struct count_set *set);
/* Of a row of a queue: "" is any user, or any group. Of a type: QUEUE_OF_TYPE and its name. */
int64_t counts_running(const struct count_set *set, const char *user, const char *group);
#endif
