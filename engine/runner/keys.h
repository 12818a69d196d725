/* Idempotency keys of a batch: they are looked up together before anything is locked, and written with the rows that they stand
 * for. A key that one request of a batch takes is known to the requests after it.
 *
 * Two requests with one key never both start: in one batch the second sees the first, on one node the next batch sees the
 * row, and between nodes the store's unique index lets one batch through. A batch without keys costs nothing here.
 * The runner thread's. What never happens: a key without the rows of its request, or rows without their key. */
#ifndef RUNNER_KEYS_H
#define RUNNER_KEYS_H
#include "env.h"
#include "event.h"
#include "store.h"

/* The first three are what store_keys() says. KEY_HELD: another node writes that key just now. KEY_NEW: a request of this batch
 * took it. */
enum key_state { KEY_FREE, KEY_KNOWN, KEY_HELD, KEY_NEW };
struct batch_key { struct key_write w; enum key_state state; };
struct keys { struct env *env; struct batch_key *v; size_t n; };  /* of the batch, ascending, in env->mem */

void keys_init(struct keys *k, struct env *env);
void keys_forget(struct keys *k);                                    /* the batch is over */
void keys_check(const struct keys *k);  /* aborts when a fact above does not hold; debug builds and tests */
/* Looks up the keys of the events e[0..n). */
enum store_rc keys_load(struct keys *k, const struct ev *e, size_t n) WR_MUST;
/* True: the request of e is replayed, refused, or put off, and nothing is left to be done. *first_id, when it is replayed: of
 * what was made. */
bool keys_answer(const struct keys *k, struct ev *e, int64_t *first_id);
/* q makes a job: its key stands for that. */
static inline bool keys_job(const struct req *q) { return q->job && q->job->op == JOB_OP_MAKE; }
void keys_take(struct keys *k, const struct req *q, int64_t first_id, uint32_t n);    /* q made these rows */
#endif
