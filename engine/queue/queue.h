/* The queue of hints: "task instance 123 of flow instance 7 is ready". A hint may be lost, repeated or reordered, and the whole
 * queue may be flushed at any time: that costs latency, never work.
 *
 * It joins nodes by Redis. Each class of tasks has a list of its own (hint_lists.h), and a poller pops the lists of what its node
 * can run. All lists of an installation together hold max_hints at most: one script counts and pushes, so no two nodes use the
 * same room. A sixteenth of that room is kept for short lists, so that a class that nobody runs shuts out no other.
 *
 * One poller connection pops, one pusher connection does the rest; nudges come on a list per node in the same blocking pop. A
 * node alone needs none: its hints stay in the runner. push: the caller's one pusher thread. depth, lengths: any thread. pop: one
 * poller thread. The process ignores SIGPIPE. Nobody else may be inside push, nudge, wake, lengths, forget or depth when
 * queue_close() is called; a pop may. */
#ifndef QUEUE_H
#define QUEUE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "err.h"
#include "health.h"
#include "hint_lists.h"

/* fi 0 = stand-alone; ti 0 = a nudge; list: where it goes, or came from */
struct hint { int64_t ti, fi; uint16_t list; };
#define HINT_QUEUED (1LL << 62)    /* in fi: the task's user, group, priority or cost is not the default */
struct queue;
#define QUEUE_PREFIX_MAX 64        /* of A-Z a-z 0-9 _ . -, NULL or "" = "default" */

/* redis://[:pw@]host:port/db or redis+unix://PATH; memory: is no queue, *out is NULL. prefix separates installations on one
 * Redis; incarnation names the nudge list. Opening never waits for a Redis that is away: it connects when first used.
 * max_hints 0: LIMIT_MAX_QUEUED. */
enum wr_rc queue_open(const char *url, const char *prefix, size_t max_hints, struct queue **out, struct wr_err *err) WR_MUST;
void queue_set_node(struct queue *q, int64_t incarnation);
void queue_close(struct queue *q);   /* wakes and ends a pop under way */

/* Which lists there are, and which of them this process pops. Without it: the shared list alone. */
struct queue_of {
  const char *install;             /* queues with one such prefix share max_hints; borrowed during the call */
  struct hint_lists *lists;        /* borrowed for the life of the queue, as ctx is */
  void *ctx;
  bool (*runs)(void *ctx, const char *type, const char *labels);   /* poller thread; labels "" = none */
  size_t (*own)(void *ctx, uint16_t *out, size_t most);            /* lists that it pops although nobody has used them yet */
};
void queue_lists(struct queue *q, const struct queue_of *of);   /* before anything else uses the queue */
/* What this node can run has changed: the next pop looks. Any thread, never blocks. */
void queue_lists_changed(struct queue *q);

/* Hints of one list. *sent: how many of the first of them are in it. SENT: all; FULL: there is no room for more just now;
 * AWAY: Redis does not take them: the rows have what was not sent. Returns at once while Redis is known to be away. */
enum queue_push { QUEUE_SENT, QUEUE_FULL, QUEUE_AWAY };
enum queue_push queue_push(struct queue *q, const struct hint *h, size_t n, size_t *sent);
/* Up to n hints, oldest of their list first; waits at most wait_us when there is none (queue_wake ends the wait). Lists take
 * turns. Returns how many; 0 also when the queue is away (*away set): the caller waits wait_us before it calls again. */
size_t queue_pop(struct queue *q, struct hint *out, size_t n, int64_t wait_us, bool *away);
/* Does the poller pop that list? As it knew last; the poller. */
bool queue_pops(struct queue *q, uint16_t list);
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
/* Do hints wait that this node can pop? As far as known without asking: 0 means "none that we know of", else there are as many
 * or more. Never blocks. */
size_t queue_depth(struct queue *q);
/* How long each list of the installation is. name: of its class. False: Redis does not say. Waits as a push does. */
bool queue_lengths(struct queue *q, hints_each *each, void *to);
/* Takes the hints of these stand-alone tasks, ascending, out of all lists of the installation, also those that nobody pops.
 * False: Redis does not say. Waits as a push does, for each thousand hints that there are. */
bool queue_forget(struct queue *q, const int64_t *ti, size_t n);
#endif
