/* taskKeys of a batch: the names that callers gave to their stand-alone tasks. Those that the batch may take are looked up
 * together before anything is locked. A name that one request of a batch takes is known to the requests after it.
 *
 * Two submits with one name never both make a task: in one batch the second sees the first, on one node the next batch sees the
 * row, and between nodes the store's unique index lets one batch through. A batch without names costs nothing here.
 * The runner thread's. What never happens: a name that was not looked up is taken. */
#ifndef RUNNER_ALONE_KEYS_H
#define RUNNER_ALONE_KEYS_H
#include "env.h"
#include "event.h"
#include "keys.h"
#include "store.h"

/* state: KEY_NEW = a request of this batch has made the task. ti, hash: unless it is free. */
struct alone_key { struct key_name of; int64_t ti; uint8_t hash[KEY_HASH_BYTES]; enum key_state state; };
struct alone_keys { struct env *env; struct alone_key *v; size_t n; };   /* ascending, in env->mem */

void alone_keys_init(struct alone_keys *k, struct env *env);
void alone_keys_forget(struct alone_keys *k);                            /* the batch is over */
void alone_keys_check(const struct alone_keys *k);  /* aborts when a fact above does not hold; debug builds and tests */
/* Looks up the names in the events e[0..n). */
enum store_rc alone_keys_load(struct alone_keys *k, const struct ev *e, size_t n) WR_MUST;
/* The entry of t's name; NULL: it has none. */
struct alone_key *alone_key_of(const struct alone_keys *k, const struct req_task *t);
/* The task with this name was made by t. */
void alone_key_take(struct alone_key *key, const struct req_task *t);
static inline bool alone_key_same(const struct alone_key *key, const struct req_task *t) {
  return memcmp(key->hash, t->spec->hash, KEY_HASH_BYTES) == 0;
}
#endif
