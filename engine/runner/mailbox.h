/* The runner's mailbox: what other threads say waits here until the runner's turn takes it, and the runner's thread sleeps on
 * it. Requests are bounded (the ledger); results, timeouts and hints have room that was reserved when their attempt
 * was claimed or their hint was popped, so they are never refused.
 *
 * One mutex guards all of it, the ledger too; `wake` is signalled by the first post after the runner's thread has taken the mail.
 * Any thread posts; the runner's thread takes and sleeps.
 * What never happens: the mutex is held over I/O, or two threads take. */
#ifndef RUNNER_MAILBOX_H
#define RUNNER_MAILBOX_H
#include <pthread.h>
#include "event.h"
#include "ledger.h"

/* What pollers and pushers say of the queue; bits are classes of slots. */
struct queue_news { uint8_t empty, lost, away, back; bool rows; };  /* bits by class; rows: of task_queue, were written */
/* The attempt of that task waits for others and gives its cost back meanwhile (lent), or goes on. */
struct cost_lent { int64_t ti; bool lent; };

struct mailbox {
  pthread_mutex_t mu;
  pthread_cond_t wake;
  bool posted;                        /* something came since the last turn */
  bool draining, stopping;
  int64_t stop_at;                    /* the latest end, when stopping; CLOCK_MONOTONIC */
  struct ledger reqs;                 /* requests that are not answered yet; those not taken stand last */
  struct attempt *results, **results_tail;
  struct events box;                  /* hints and timeouts */
  bool nudged, wished;                /* look at live rows; at this node's own row */
  struct queue_news queue;
  struct cost_lent *lent; size_t n_lent, cap_lent;   /* at most two for each attempt that runs */
};

void mailbox_init(struct mailbox *m, size_t most_requests);
void mailbox_done(struct mailbox *m);

/* ---- any thread ---- */
void mailbox_wake(struct mailbox *m);                             /* nothing new, but a turn is due */
void mailbox_results(struct mailbox *m, struct attempt *list);    /* takes the list */
void mailbox_add(struct mailbox *m, const struct ev *e);
void mailbox_nudge(struct mailbox *m);
void mailbox_wish(struct mailbox *m);
void mailbox_queue(struct mailbox *m, struct queue_news news);
void mailbox_lend(struct mailbox *m, int64_t ti, bool lent);
void mailbox_drain(struct mailbox *m);
void mailbox_stop(struct mailbox *m, int64_t at_mono_us);
/* May the request wait? WR_OK, WR_DRAINING, `store` (what the store's state says), or WR_BUSY: the mailbox is full. */
enum wr_rc mailbox_request(struct mailbox *m, struct req *q, int64_t boot_us, enum wr_rc store);
enum req_back mailbox_take_back(struct mailbox *m, struct req *q);
/* ---- the ledger of requests, by the runner thread ----
 * A request keeps its place there until it is answered, so that requests that wait for the store count against the limit too.
 * All requests of the batch under way change under one lock, because every answered client soon takes this lock again with its
 * next request. */
void mailbox_answered(struct mailbox *m, struct req *q);                    /* q leaves */
bool mailbox_batch_sent(struct mailbox *m, const struct events *l);         /* false: a client has taken one of them back */
void mailbox_batch_undone(struct mailbox *m, const struct events *l);       /* the batch was rolled back */
bool mailbox_batch_over(struct mailbox *m, const struct events *l);         /* the answered ones leave; true: there are some */
int64_t mailbox_oldest(struct mailbox *m, bool *back);                      /* post time, INT64_MAX = none; some are back */

bool mailbox_waits(struct mailbox *m);
void mailbox_check(struct mailbox *m);  /* aborts when a fact above does not hold; debug builds and tests */

/* ---- the runner's thread ---- */
/* lent: to be freed */
struct mail { bool nudged, wished, draining; struct queue_news queue; struct cost_lent *lent; size_t n_lent; };
/* Appends what came: results first (they free slots), then hints and timeouts, then requests. */
void mailbox_take(struct mailbox *m, struct events *to, struct mail *out);
void mailbox_sleep(struct mailbox *m, int64_t until_boot_us);     /* or until something is posted; INT64_MAX = only then */
/* The runner is stopping, and may end: everything posted is stored (`all`: everything taken is), or cannot be stored, or the time
 * is over. */
bool mailbox_may_end(struct mailbox *m, bool all, bool store_well);
#endif
