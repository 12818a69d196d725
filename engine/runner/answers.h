/* The answers to requests: each request is answered in bounded time, whatever the store does (ledger.h).
 *
 * The runner's thread answers in each turn: at once when the store is known to be away, else after request_us. While that thread
 * is inside a call of the store, the client takes its request back. The runner thread's, except req_fail().
 * What never happens: "nothing was stored" is said of a request that was sent to the store, or of one that is sent afterwards. */
#ifndef RUNNER_ANSWERS_H
#define RUNNER_ANSWERS_H
#include "env.h"
#include "later.h"
#include "mailbox.h"
#include "watch.h"

struct answers {
  const struct env *env;
  struct mailbox *mail;
  struct watch *watch;
  struct events *events;
  struct later *later;
  int64_t request_us;
};

void answers_init(struct answers *a, const struct env *env, struct mailbox *mail, struct watch *watch, struct events *events,
                  struct later *later, int64_t request_us);
void req_fail(struct req *q, enum wr_rc code, const char *text);   /* sets rc and err; text NULL: the text of the code */

void answers_turn(struct answers *a);  /* answers requests that have waited long enough, or must not wait */
void answers_refuse(struct answers *a, enum wr_rc code);           /* answers all requests that were not sent */
/* Of the batch under way, events->v[0 .. taken): */
void answers_done(struct answers *a);                              /* the batch is over: answers its requests */
bool answers_send(struct answers *a);                              /* before it is sent; false: a request in it was taken back */
void answers_hold(struct answers *a);                              /* it was rolled back */
void answers_end(struct answers *a);  /* the runner ends: tells each client that still waits what is known */
#endif
