/* How many tasks of flows are in each queue: read from the rows of live flows, page by page; whose a task is says its flow's
 * start, a wish, or its definition. Stand-alone tasks are counted by the store itself (reader_list_queues()).
 *
 * Those whose type was registered at run time are counted once more, in QUEUE_OF_TYPE and the type.
 *
 * Any thread that holds no reader. `whole` is false when not all was counted: there are more queues than FLOW_COUNTS_MAX, or
 * more flows than the caller lets it look at. What never happens: more than these in memory; two readers of one thread. */
#ifndef CLIENT_FLOW_COUNTS_H
#define CLIENT_FLOW_COUNTS_H
#include "map64.h"
#include "store.h"

enum { FLOW_COUNTS_MAX = 100000 };
struct defs;
struct flow_count { struct flow_count *same; const char *user, *group; int64_t queued, running, blocked, since_us; };
struct flow_counts { struct flow_count **v; size_t n, cap; struct map64 by; struct arena text; bool whole; };
/* v ends up sorted by user and group, byte by byte. flow_counts_done() follows in every case. */
enum wr_rc flow_counts_read(struct store *s, struct defs *d, size_t most_flows, struct flow_counts *out,
                            struct wr_err *err) WR_MUST;
void flow_counts_done(struct flow_counts *c);
#endif
