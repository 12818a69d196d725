/* The two threads between the runner and the lists of hints of one slot class in Redis, so that neither waits for the other:
 *
 *   pusher  takes ready hints and nudges from the runner and sends them. A hint for which there is no room in Redis
 *           (--max-queued) is held here, behind those of its list that are held already, and sent as the lists drain: so
 *           their order stays. What cannot be sent at all, or held (PUSH_MAX), is forgotten, and the runner is told: it finds
 *           the task in the rows again. What is held dies with its node: those who pop nothing look into the rows
 *   poller  sleeps until this node has a free slot, then pops as many hints as may run and gives them to the runner. When the
 *           lists of what it can run are empty it takes what is held here, so that a Redis full of others' hints stops nobody.
 *           When it finds none, or Redis is away, it says so to the runner, which asks the rows
 *
 * (Without Redis there is neither: tasks wait in the runner.) pump_push, pump_nudge, pump_free: any thread,
 * never block. What never happens: a pop for which there is no slot, a lock held over I/O, a loop without a pause while Redis
 * is away, a hint that stays in a node that has stopped. */
#ifndef NODE_PUMP_H
#define NODE_PUMP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "mem.h"
#include "queue.h"
#include "runner.h"

struct pump;
enum pump_nudges { PUMP_HINTS_ONLY, PUMP_NUDGES };  /* does the poller look for nudges while no slot is free? */
/* Starts the pusher. Borrows the queue. */
enum wr_rc pump_new(struct queue *q, enum slot_class slot, enum pump_nudges nudges, struct pump **out,
                    struct wr_err *err) WR_MUST;
/* The runner to tell of lost hints, for as long as the pump lives. Before the runner's thread starts. */
void pump_attach(struct pump *p, struct runner *r);
/* Starts the poller, on a node with slots. After pump_attach(). Nodes that can run the same tasks are of one kind. */
enum wr_rc pump_poll(struct pump *p, uint32_t kind, struct wr_err *err) WR_MUST;
bool pump_push(struct pump *p, const struct hint *h, size_t n);
void pump_nudge(struct pump *p, int64_t incarnation);
/* The runner's report after a turn: attempts it may still take. Runner thread. */
void pump_free(struct pump *p, uint32_t slots);
/* No more pops; returns when the poller is gone and what it had popped is back in the list. */
void pump_stop_poll(struct pump *p);
void pump_health(struct pump *p, struct health_part *out);   /* any thread */
/* Hints that wait and that nobody has to look for: in Redis, as far as it is known, or held here. Any thread, never blocks. */
size_t pump_depth(struct pump *p);
/* Sends what waits (as far as Redis answers), then ends the threads. NULL is fine. */
void pump_close(struct pump *p);
#endif
