/* The requests that a runner has taken and not answered yet, in the order in which they came: where each of them stands,
 * and whether the client that sent it still waits.
 *
 * A request and all that it points to belongs to the runner from ledger_post() until its done() was called. A client that has
 * waited long enough takes its request back. A request that was not sent to the store by then is never sent, so its client knows
 * that nothing was stored. A request that was sent may be stored. This also holds while the runner's thread is inside a call of
 * the store that does not come back, because the client's own thread asks.
 *
 * The ledger has no lock of its own: the lock of the mailbox guards it. What never happens: I/O, an allocation, or a request in
 * two places. */
#ifndef RUNNER_LEDGER_H
#define RUNNER_LEDGER_H
#include "runner.h"

enum req_place {
  REQ_NOWHERE,      /* it belongs to the client: never posted, or answered */
  REQ_MAIL,         /* in the mailbox: the runner's thread has not seen it */
  REQ_HELD,         /* an event that waits, or in a batch that is being made */
  REQ_SENT          /* in the batch that was sent to the store */
};

struct ledger {
  struct req *head, *tail;      /* all of them, oldest first */
  struct req *mail;             /* the first that the runner's thread has not seen; it has seen none after it */
  size_t n, most;
  size_t n_back;                /* taken back by their clients, but still held by the runner */
};

void ledger_init(struct ledger *l, size_t most);
bool ledger_post(struct ledger *l, struct req *q, int64_t boot_us);    /* false: it is full */
/* Takes the mail: a list by `next`, valid while the lock is held. Its requests are REQ_HELD from now on. */
struct req *ledger_take(struct ledger *l);
enum req_back ledger_back(struct ledger *l, struct req *q);
/* false: the client of q has taken it back, so it must not be sent. */
bool ledger_send(struct ledger *l, struct req *q);
void ledger_hold(struct req *q);                                       /* the batch that q was sent with was rolled back */
void ledger_done(struct ledger *l, struct req *q);                     /* q leaves the ledger; the caller then calls q->done() */
/* When the oldest was posted; INT64_MAX = there is none. */
int64_t ledger_oldest(const struct ledger *l);
void ledger_check(const struct ledger *l);                             /* aborts when a fact above does not hold */
#endif
