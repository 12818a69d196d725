/* The answers to requests: each is answered in bounded time, whatever the store does (ledger.h).
 *
 * While the runner's thread turns it answers by itself: at once when the store is known to be away, else after request_us.
 * While the thread is inside a call of the store, the client takes its request back. The runner thread's, but req_fail().
 * What never happens: "nothing was stored" for a request that was sent to the store, or one that is sent after that word. */
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
  size_t in_doubt;                    /* events->v[0 .. in_doubt) are in a batch whose COMMIT is not resolved */
};

void answers_init(struct answers *a, const struct env *env, struct mailbox *mail, struct watch *watch, struct events *events, struct later *later,
                  int64_t request_us);
void req_fail(struct req *q, enum wr_rc code, const char *text);   /* sets rc and err; text NULL: that of the code */

void answers_turn(struct answers *a);                              /* those that have waited long enough, or must not wait */
void answers_refuse(struct answers *a, enum wr_rc code);           /* all that were not sent */
void answers_done(struct answers *a, size_t n);                    /* the batch of events->v[0 .. n) is through: all that it answers */
bool answers_send(struct answers *a, size_t n);                    /* it is sent now; false: not with one that was taken back */
void answers_hold(struct answers *a, size_t n);                    /* it was rolled back */
void answers_end(struct answers *a);                               /* the runner ends: whoever still waits is told what is known */
#endif
