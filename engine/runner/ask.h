/* Private to the runner: what it knows of a queue that may have lost hints, and those of tasks that others must run
 * (runner_ask.c). The runner thread's, but struct ask_mail, which waits in the mailbox. */
#ifndef RUNNER_ASK_H
#define RUNNER_ASK_H
#include "queue.h"

/* What pollers and pushers say of the queue; bits are classes of slots. Under mu until the turn takes it. */
struct ask_mail { uint8_t empty, lost, away, back; };

/* Hints of tasks that this node cannot run: back to the queue after a while, for a node that can. */
#define OTHERS_MAX 64
struct others { struct { struct hint h; uint8_t slot; int64_t at; } v[OTHERS_MAX]; size_t n; };

/* Looking into the rows for what the queue has lost: runner_ask.c. */
struct ask {
  uint8_t empty, away;                /* reported: lists that may have been lost; the queue cannot be reached */
  int64_t push_at, claim_at;          /* boot times: no such look before */
  int64_t pause_us, claim_us;         /* between two of them */
  enum { ASK_NONE, ASK_PUSH, ASK_CLAIM } what;  /* the look under way */
  uint8_t classes;                    /* of ASK_PUSH */
  uint8_t full;                       /* classes that had no slot free */
  bool young, wrapped, found;         /* it has seen rows QUEUED just now; gone past the last row; something to claim */
  bool waits;                         /* it has seen rows that were QUEUED for longer */
  bool calm;                          /* the newest look saw none at all */
  int64_t pulse;                      /* of the store, before that look */
  int64_t stale_us, stale_until;      /* with that pulse it is not worth another one before */
  int64_t next; uint32_t sent;        /* of ASK_PUSH: where the next one begins, for this one has sent as many as one may; so many so far */
  int64_t denied_us;                  /* since when another node looks; 0 = none does */
  uint8_t alone;                      /* classes for which this node takes from the rows meanwhile */
  int64_t began, at, from, top;       /* boot time; cursor; where it began; the greatest id seen so far */
};
#endif
