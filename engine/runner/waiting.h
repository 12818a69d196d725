/* What waits on this node for a slot, and which of it is next. One entry for each task that is QUEUED, could not be claimed at
 * once and whose hint came to this node.
 *
 *   queues.h: which user, which group -> in the group the lane of the highest priority, aged -> the flow whose turn it is -> its
 *   oldest task
 *
 * A lane holds tasks of one priority and of one cost, so that a dear task holds up no cheap one (with very many different costs:
 * of one class of costs, 1, 2-3, 4-7, ..). A line is what one flow instance has in a lane; stand-alone tasks are one line
 * together. Lines take turns. The age of a flow's line counts from its last turn: so a small flow waits one turn beside a large
 * one, however old the large one is. A queue whose order is "fifo" has one line.
 *
 * With a policy of the host (struct queue_policy) all tasks come here, and it is asked which of the first OFFER_EACH of each
 * group that has room is next, at most OFFER_MOST. The budget drains for nobody then. When it says "none", it is asked again in
 * the next turn, and there is one after each batch.
 *
 * The bytes of all this are bounded. A group may hold at most as much as is left for all others, so that a group with 100,000
 * tasks leaves room for one with 3. What finds no room stays in the rows: the reconciler finds it again, once its group has run
 * empty.
 *
 * The runner thread's. What never happens: a task is here twice; an entry is picked that a limit holds back; memory grows beyond
 * `most`. */
#ifndef RUNNER_WAITING_H
#define RUNNER_WAITING_H
#include "queue.h"
#include "queues.h"

enum { OFFER_EACH = 16, OFFER_MOST = 1024 };
struct entry;
struct offers;
struct waiting {
  struct queues *q;
  struct entry *v; uint32_t n_v; size_t cap_v; uint32_t unused;   /* entries; a list of those that are free */
  struct map64 by_ti;                 /* ti -> number of its entry, from 1 */
  size_t bytes[SLOT__N], most;        /* most: of each class */
  bool dry[SLOT__N];                  /* an entry found no room, and a group has run empty since: others may find room */
  bool short_of[SLOT__N];             /* an entry found no room */
  struct map64 told;                  /* for a policy: ti -> struct told */
  struct offers *offers;              /* room for what it is asked; NULL = it was never asked */
  bool none[SLOT__N];                 /* it wants none in this turn */
  bool odd;                           /* it was said that it gave a wrong index */
};
/* since_us: when it became QUEUED. type, name, key: for a policy; NULL = not known, or none. list: of its hint, hint_lists.h. */
struct waits { int64_t ti, fi; struct queue_view of; int64_t since_us; const char *type, *name, *key;
               uint16_t list; };

void waiting_init(struct waiting *w, struct queues *q, size_t most_bytes);
void waiting_done(struct waiting *w);
void waiting_check(const struct waiting *w);
/* False: there is no room. A task that is here already is moved to where it belongs now. */
bool waiting_add(struct waiting *w, enum slot_class s, const struct waits *t);
bool waiting_drop(struct waiting *w, int64_t ti);     /* false: it is not here */
static inline bool waiting_has(const struct waiting *w, int64_t ti) { return map64_get(&w->by_ti, ti) != NULL; }
static inline uint32_t waiting_count(const struct waiting *w, int s) { return w->q->n[s]; }
/* Something waits that nothing known holds back. */
static inline bool waiting_open(const struct waiting *w, int s) { return w->q->order[s].n > 0; }
/* The same, or a limit has let go since. */
static inline bool waiting_some(const struct waiting *w, int s) {
  return !w->none[s] && (waiting_open(w, s) || (w->q->ripe && w->q->n[s] > 0));
}
size_t waiting_room(const struct waiting *w, int s);    /* bytes */
/* The next one, taken out; it is held (queues_hold) where that counts. False: nothing may start now. */
bool waiting_pick(struct waiting *w, enum slot_class s, struct hint *out);
/* Takes out up to n, in no order: they go to other nodes. */
size_t waiting_give(struct waiting *w, enum slot_class s, struct hint *out, size_t n);
/* The queue rows have changed: a group whose order is another now is put in order again. */
void waiting_ordered(struct waiting *w);
#endif
