/* Asks the runner and waits for its answer, on the caller's thread. What the request points to is shared with the runner, which
 * may come back to it much later than the caller.
 *
 * Any thread. What never happens: a wait beyond until_us; an answer that is taken for a refusal though the rows may be stored
 * (OUTCOME_UNKNOWN). */
#ifndef CLIENT_ASK_RUNNER_H
#define CLIENT_ASK_RUNNER_H
#include <stdatomic.h>
#include "runner.h"

/* What a request points to. It begins the struct that it is part of. */
struct load { atomic_uint refs; void (*free)(struct load *l); };
void load_unref(struct load *l);

struct ask_opts {
  struct runner *runner;
  int64_t until_us;               /* CLOCK_MONOTONIC */
  const atomic_bool *ending;      /* the node ends soon; NULL = it is never said */
  const char *key;                /* Idempotency-Key, at most LIMIT_KEY_CHARS; NULL = none */
  const uint8_t *key_hash;        /* KEY_HASH_BYTES */
};
/* q->rc is the answer. load: NULL = q points to nothing but `start`; else what stands there counts only when the answer is
 * WR_OK, or a refusal of the runner. */
void ask_runner(const struct ask_opts *o, struct req *q, struct load *load);
#endif
