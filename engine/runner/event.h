/* An event is something that happens to a flow or a task. One list holds all events that wait: every part of the runner appends,
 * and the batch takes from the front (batch.c). This is the lowest room of the runner: it knows no other part. The runner
 * thread's.
 * What never happens: an event leaves the list before its batch has committed, or before its request was answered. */
#ifndef RUNNER_EVENT_H
#define RUNNER_EVENT_H
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "attempt.h"
#include "mem.h"
#include "runner.h"

enum ev_kind { EV_RESULT, EV_TIMEOUT, EV_REQ, EV_HINT, EV_DUE, EV_LOST, EV_STRAY, EV_FLOW_TIMEOUT, EV_MORE,
               EV_JOB /* the pass of a job goes on */,
               EV_TREE, /* what a task has added follows it, or lets it end */
               EV_TREES /* the trees below the tasks of a flow, behind `job`, follow its pause, or its end */ };

/* Where a hint comes from decides where it goes when its task cannot be claimed here. */
enum hint_from {
  HINT_POPPED,        /* by a poller: it waits here */
  HINT_MARKED,        /* the same, of a task whose queue, priority or cost is known from its row only */
  HINT_PULLED,        /* the next one of those that wait here, class `slot`: the same */
  HINT_RESENT,        /* the reconciler found its row, which is old enough for another hint: into the queue */
  HINT_RESENT_EARLY,  /* the same, but earlier than its age says, because the lists are empty */
  HINT_REFILL,        /* found to fill the queues of the classes `refill`: into the queue, or nowhere */
  HINT_ROWS           /* this node found the row and wants the task itself: nowhere */
};

/* What becomes of an event once its batch has committed. */
enum ev_then {
  THEN_OVER,
  THEN_LATER,         /* its flow is held elsewhere: the event comes again after a pause */
  THEN_AGAIN,         /* its flow only has to be read: the event comes again with the next batch */
  THEN_KEPT           /* its flow is set aside: quarantine.c keeps the event */
};

/* How often an event had to wait, and how it comes again: later.c. */
struct ev_wait {
  int64_t at_us;      /* boot time */
  uint8_t times;
  bool alone;         /* it is tried alone, in a batch of its own: it failed with others too often */
};

struct ev {
  enum ev_kind kind;
  uint8_t from, slot, refill;         /* EV_HINT: enum hint_from */
  uint8_t then;                       /* enum ev_then */
  bool handback;                      /* EV_LOST: the attempt never started, which is no loss */
  uint16_t list;                      /* EV_HINT, popped: the list that it was in */
  bool slotless;                      /* EV_RESULT: its slot was given back while its flow was set aside */
  int64_t fi, ti, owner;              /* fi 0: a stand-alone task */
  int64_t job;                        /* EV_JOB, whose fi and ti are 0 */
  uint32_t epoch;
  struct attempt *a;                  /* EV_RESULT; the event owns it */
  struct spare *spare;                /* what `a` really says, while a failure stands in for it: quarantine.h */
  struct req *q;                      /* EV_REQ; NULL once it was answered in doubt */
  struct ev_wait wait;
};

/* The key of the cached run in which an event takes place: its flow, or its stand-alone task. */
static inline int64_t run_key(int64_t fi, int64_t ti) { return fi != 0 ? fi : -ti; }
static inline int64_t ev_key(const struct ev *e) { return run_key(e->fi, e->ti); }

/* The request of e is answered when the batch is over. */
static inline bool ev_answers(const struct ev *e) { return e->q && e->then == THEN_OVER; }

void ev_stand_in(struct ev *e, const char *error);   /* a failure with this text stands in for the result of e, until restored */
void ev_restore(struct ev *e);                       /* e says again what its attempt said; nothing stood in: no change */
void ev_free(struct ev *e);                          /* what e owns */

/* Events that wait, in order. The batch works on the front of one such list (`events` in runner_int.h). The last two members are
 * 0 in every other list, and batch.c alone writes them. */
struct events {
  struct ev *v; size_t n, cap;
  size_t taken;       /* v[0 .. taken) are in the batch under way */
  bool in_doubt;      /* it is not known whether that batch has committed: its events stay where they are */
};
void events_remove(struct events *l, size_t n);      /* v[0 .. n); the caller has taken what they own */
void events_done(struct events *l);
void events_check(const struct events *l);           /* between two turns; aborts when a fact above does not hold */
static inline void events_add(struct events *l, struct ev e) { *WR_PUSH(l->v, l->n, l->cap) = e; }
static inline size_t events_held(const struct events *l) { return l->in_doubt ? l->taken : 0; }  /* that many cannot leave */
#endif
