/* The queue of hints: "task instance 123 of flow instance 7 is ready". A hint may be lost, repeated or reordered, and the whole
 * queue may be flushed at any time: that costs latency, never work.
 *
 * It joins nodes by Redis: LPUSH on weir:{prefix}:q:{queue}:{priority}, blocking pop by one poller connection, own pusher
 * connection; nudges on a list per node in the same blocking pop. A node alone needs none: its hints stay in the runner. push:
 * the caller's one pusher thread. depth: any thread. pop: one poller thread. The process ignores SIGPIPE. Nobody else may be
 * inside push, nudge, wake or depth when queue_close() is called; a pop may. */
#ifndef QUEUE_H
#define QUEUE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "err.h"
#include "health.h"

struct hint { int64_t ti, fi; };   /* fi 0 = stand-alone; ti 0 = a nudge */
#define HINT_QUEUED (1LL << 62)    /* in fi: the task's user, group, priority or cost is not the default */
struct queue;
#define QUEUE_MAX_HINTS 100000     /* max_hints 0 means this */
#define QUEUE_PREFIX_MAX 64        /* of A-Z a-z 0-9 _ . -, NULL or "" = "default" */

/* redis://[:pw@]host:port/db or redis+unix://PATH; memory: is no queue, *out is NULL. prefix separates installations on one
 * Redis; incarnation names the nudge list. Opening never waits for a Redis that is away: it connects when first used. */
enum wr_rc queue_open(const char *url, const char *prefix, size_t max_hints, struct queue **out, struct wr_err *err) WR_MUST;
void queue_set_node(struct queue *q, int64_t incarnation);
void queue_close(struct queue *q);   /* wakes and ends a pop under way */

/* false: some were not pushed (full, or Redis away): the reconciler sends them later. Returns at once while Redis is known to be
 * away. */
bool queue_push(struct queue *q, const struct hint *h, size_t n);
/* Up to n hints, oldest first; waits at most wait_us when there is none (queue_wake ends the wait). Returns how many;
 * 0 also when the queue is away (*away set): the caller waits wait_us before it calls again. */
size_t queue_pop(struct queue *q, struct hint *out, size_t n, int64_t wait_us, bool *away);
void queue_wake(struct queue *q);          /* the pop under way, else the next one, returns at once */
/* For a poller with no free slot: looks for a nudge only, waits at most wait_us for it. queue_wake ends the wait. *away as
 * for queue_pop(): the caller waits before it calls again. */
bool queue_pop_nudge(struct queue *q, int64_t wait_us, bool *away);
/* No more pops will come, and none is under way. What the queue keeps for this poller goes back: hints popped and not handed
 * out, and hints that a pop still open at Redis brings. From here on no hint can reach this process. Waits, bounded. */
void queue_pop_end(struct queue *q);
/* Is it this node's turn to look for lost hints? Of all nodes of a kind on this queue, one has the turn for for_us. A node that
 * dies meanwhile holds up the next one no longer than that. For the poller, between two pops. Bounded. */
bool queue_turn(struct queue *q, uint32_t kind, int64_t for_us);
/* Asks the node to look at its wishes now (cancel, pause, drain). Lossy. */
bool queue_nudge(struct queue *q, int64_t incarnation);
/* Can hints be sent and popped? As far as it is known: by the last dial, push or pop. Never blocks. */
void queue_health(struct queue *q, struct health_part *out);
/* Hints waiting, as far as known without asking: 0 means "none that we know of". Never blocks. */
size_t queue_depth(struct queue *q);
#endif
