/* Private to the runner: its struct and the calls between its files. The runner thread owns all but the mailbox. */
#ifndef RUNNER_INT_H
#define RUNNER_INT_H
#include <pthread.h>
#include <stdatomic.h>
#include "ask.h"
#include "cached.h"
#include "clock.h"
#include "defs.h"
#include "heap.h"
#include "ledger.h"
#include "limits.h"
#include "log.h"
#include "map64.h"
#include "mem.h"
#include "runner.h"
#include "shared_clock.h"
#include "tell.h"
#include "timers.h"
#include "watch.h"

#define RENEW_PART 6                  /* a renewal each lease/6 */
#define RETRY_MAX_US 2000000          /* longest pause while the store is away */
#define ALONE_AFTER 3                 /* what comes in a batch of its own counts from here */
#define PUT_OFF_MOST (ALONE_AFTER + 14)   /* the longest pause between its tries: 16 s */
#define ISOLATE_AFTER 3               /* tries of a batch that ended with RETRY, while renewals come through */
#define RUNS_SHARE(bytes) ((bytes) / 4 * 3)   /* of --cache-memory: runs and lone tasks; the rest is the definitions' */
#define LOAD_LEAST 32                 /* flows, and tasks without one, that a batch may load however large they seem */
#define WHOLE_NODES 1000              /* of a larger flow only the nodes that are needed are read, on a single-process store too */
#define PAGE 1000                     /* rows of one look of the reconciler */
#define SHARED_FOR 8                  /* batches that find a shared flow as it was, until it is thought ours alone */
#define CHILDREN_AHEAD 64             /* of a node that may end: read with it */
#define HINT_AGE_US 10000000          /* a QUEUED row this old gets its hint again */

/* An idempotency key among the events of this batch. The first three are what store_keys() says. */
enum key_state { KEY_FREE, KEY_KNOWN, KEY_HELD, KEY_NEW };  /* HELD: by another node just now; NEW: of this batch */
struct batch_key { struct key_write w; enum key_state state; };

enum ev_kind { EV_RESULT, EV_TIMEOUT, EV_REQ, EV_HINT, EV_DUE, EV_LOST, EV_FLOW_TIMEOUT, EV_MORE };
struct ev {
  enum ev_kind kind;
  int64_t fi, ti, owner;
  uint32_t epoch;
  struct attempt *a;                  /* EV_RESULT */
  struct spare *spare;                /* what `a` really says, while a failure stands in for it: runner_aside.c */
  struct req *q;                      /* EV_REQ */
  bool pulled; uint8_t slot;          /* EV_HINT: from the memory queue of that class */
  bool rows;                          /* EV_HINT: this node took it from the rows for itself: with no slot left it is forgotten */
  bool again;                         /* EV_HINT: from the rows, not from the queue, outside the turns of hint_due() */
  uint8_t refill;                     /* EV_HINT: only to fill the queues of these classes, bits; 0 = it counts anyway */
  bool handback;                      /* EV_LOST: it never started, which is no loss */
  bool slotless;                      /* EV_RESULT: its slot was given back while its flow was set aside */
  bool keep;                          /* its flow is set aside */
  bool at_once;                       /* deferred, but only to be read anew */
  bool alone;                         /* it comes in a batch of its own: it failed with others too often */
  uint8_t put_off;                    /* so often */
  int64_t again_us;                   /* in later[]: boot time */
  bool defer;                         /* its flow is held elsewhere, or must be loaded: next time */
};

struct runner {
  struct runner_opts o;
  struct store *s;
  bool single;
  int64_t me;
  int64_t own_fi;                     /* o.own_only: the flow that was started here last; 0 = none so far */
  int64_t wall_us, boot_us;           /* of this turn; wall is the time that all nodes share and never runs backwards */

  /* mailbox: mu guards it; wake is signalled when it was empty */
  pthread_mutex_t mu;
  pthread_cond_t wake;
  pthread_t thread;
  bool posted, draining, stopping;
  int64_t stop_at;                    /* stopping: then at the latest; CLOCK_MONOTONIC */
  struct ledger reqs;                 /* requests that are not answered yet, those in the mailbox last */
  struct attempt *res_head, **res_tail;
  struct ev *box; size_t n_box, cap_box;       /* hints and timeouts */
  bool nudged;
  struct ask_mail asks;
  struct runner_stats stats;
  struct watch watch;                 /* has a lock of its own */

  /* the runner thread's */
  struct ev *ev; size_t n_ev, cap_ev; /* what waits, in order */
  size_t n_take;                      /* events of the batch under way: ev[0 .. n_take-1] */
  size_t limit;                       /* most events of the next batch; halved by STORE_BAD */
  struct ev *later; size_t n_later, cap_later;  /* deferred; each comes back in ev[] at its time */
  struct waits { int64_t fi, ti; enum ev_kind kind; } *waits; size_t n_waits; /* those of them that rows tell, sorted; of this page, in mem */
  int64_t *held; size_t n_held;       /* flows that another node holds, ascending; of this batch, in mem */
  struct task_row *ahead; size_t n_ahead;       /* stand-alone tasks read ahead, ascending; of this batch, in mem */
  struct attempt *starts, **starts_tail;        /* made for this batch, given out after its commit */
  struct map64 runs, solos, inflight;           /* inflight: ti -> epoch of what the worker has */
  struct map64 aside;                           /* fi -> struct aside; changed under mu */
  struct budget cache;                /* live.used and solo.used, which have two orders: each of its own kind */
  struct budget lone;
  struct timers timers, flow_timers;  /* by ti; by fi */
  struct live **more; size_t n_more, cap_more;
  int64_t *parked; size_t n_parked, cap_parked; /* flows that were on `more` and left the cache: their turn comes when there is room */
  uint32_t used[SLOT__N];
  int64_t run_avg_us, turn_avg_us;    /* of process attempts; of turns that came one after the other: runner_ahead.c */
  bool turned;                        /* the last turn left something in the mailbox: the next comes at once */
  uint32_t over[SLOT__N];             /* claimed beyond what may be: results pay this back before they free a slot */
  struct run_ctx c;                   /* c.free: slots that are free, results of this batch included */
  _Atomic int64_t hold_until[SLOT__N];  /* runner_hold(): any thread writes */
  bool hold[SLOT__N];                 /* hints wait: what becomes ready goes behind them */
  struct effects eff;
  struct solo **dirty; size_t n_dirty, cap_dirty;
  struct batch b; size_t cap_bf, cap_bn, cap_bt, cap_ba, cap_bk;
  struct batch_key *key; size_t n_key;  /* in mem, ascending */
  struct arena mem;                   /* of the batch */
  uint64_t batch_no, batch_seq;
  int64_t defs_version;
  bool unknown;                       /* the batch's COMMIT is to be resolved */
  int64_t again_us, pause_us;         /* store away: boot time of the next try */
  uint32_t n_retry; int64_t retry_us; /* batches in a row that ended with RETRY; boot time of the first */
  int64_t sent_us;                    /* boot time before the batch with the newest renewal was sent */
  int64_t seen_us, contact_us;        /* boot times: of the newest renewal, and since when there was no gap between them */
  int64_t renew_at, reconcile_at;     /* boot times; INT64_MAX = not needed */
  int64_t clock_at;                   /* boot time: a renewal is due, whatever batches have renewed, to read the shared clock */
  struct clock_watch steps;           /* of this node's wall clock, which decides nothing */
  int64_t scan_ti, scan_fi;           /* reconciler's cursors; -1 = not scanning */
  int64_t scan_began, scan_gap;       /* boot time of the scan; time since the one before, and a bit */
  bool recovering, scan_again, look_again, refused, scan_all;
  struct ask ask;
  struct others others;
  struct tell tell;
  struct map64 anew, anew_next;       /* flows at whose rows this scan, and the next, looks as after a start */
  bool due_wanted, scan_due;          /* timers are asked for; this scan sets them */
  bool resend;                        /* this node is the one that sends hints again */
  bool full[SLOT__N]; uint8_t refill; /* the queue in memory has refused hints; classes to be refilled, bits */
  bool scan_fill; uint8_t filling;    /* the scan is a refill; of these classes still, none of which was full since it began */
};

/* runner_load.c */
struct live *live_get(const struct runner *r, int64_t fi);
bool loads_solo(const struct runner *r, const struct ev *e); /* the event reads the row of a task without a flow */
struct live *live_use(struct runner *r, int64_t fi);  /* the same, and the batch depends on it */
void live_touch(struct runner *r, struct live *l);
struct live *live_add(struct runner *r, struct run *run, struct flow_def *def, struct params *params);
void live_more(struct runner *r, struct live *l);     /* it goes on in slices: its turn comes with the batches that follow */
void live_drop(struct runner *r, struct live *l);
void live_drop_touched(struct runner *r);
void live_evict(struct runner *r);
static inline struct live *live_of(struct budget_item *it) { return (struct live *)(void *)it; }
/* The one that was used last, and so on: those of the batch under way stand in front. */
static inline struct live *live_newest(struct runner *r) { return r->cache.ends.older == &r->cache.ends ? NULL : live_of(r->cache.ends.older); }
static inline struct live *live_older(struct runner *r, struct live *l) { return l->used.older == &r->cache.ends ? NULL : live_of(l->used.older); }
/* Locks and loads what the events ev[0..n) need and is not cached. */
enum store_rc load_batch(struct runner *r, size_t n);
enum store_rc load_nodes(struct runner *r, struct live *l, const uint32_t *node, size_t n);
enum store_rc load_solo(struct runner *r, int64_t ti, struct solo **out);
void solo_drop(struct runner *r, struct solo *s);
void solo_keep(struct runner *r, struct solo *s);       /* into the cache */
void solo_free(struct solo *s);

/* runner_keys.c */
enum store_rc keys_load(struct runner *r, size_t n);   /* of the events ev[0..n); before any lock */
bool key_answers(struct runner *r, struct ev *e);      /* replayed, refused or deferred: there is nothing left to do */
void key_take(struct runner *r, const struct req *q, int64_t first_id, uint32_t n); /* it made these rows */
void key_rows(struct runner *r);                       /* new ones into the batch */

/* runner_req.c: one event each; RETRY etc. ends the batch */
enum store_rc do_event(struct runner *r, struct ev *e);
enum store_rc do_more(struct runner *r, struct live *l);

/* runner_batch.c */
enum store_rc batch_write(struct runner *r);         /* rows of the effects -> store_write, store_commit */
void batch_after(struct runner *r);                  /* COMMIT is OK: let it be seen */
void batch_undo(struct runner *r);                   /* it is not: forget all of it */

/* runner_lease.c */
enum wr_rc lease_join(struct runner *r, struct wr_err *err);
void lease_ok(struct runner *r);                     /* a batch or renewal committed */
enum store_rc lease_turn(struct runner *r);          /* renew, reap, reconcile when due */
void lease_fenced(struct runner *r);
int64_t lease_next(const struct runner *r);
void lease_look(struct runner *r, uint8_t slot);     /* a hint was not pushed: the reconciler will */
void lease_again(struct runner *r);                  /* look at every row now, those that a scan under way has passed too */
void lease_timers(struct runner *r);                 /* the same; for the timers that were dropped */
void lease_recover(struct runner *r, int64_t fi);    /* the same; at those of this flow as after a start */
void lease_refill(struct runner *r, uint8_t slot);   /* the queue in memory has refused some, and is empty now */

/* runner_ask.c */
void ask_init(struct runner *r);
void ask_mail(struct runner *r, const struct ask_mail *m);
enum store_rc ask_turn(struct runner *r);            /* a page, when one is due */
void ask_stop(struct runner *r);
void ask_elsewhere(struct runner *r, const struct ev *e, uint8_t slot);  /* the hint of a task that this node cannot run */
int64_t ask_next(const struct runner *r);

/* runner_ahead.c */
void ahead_init(struct runner *r);
void ahead_result(struct runner *r, const struct attempt *a);  /* a result is stored */
void ahead_turn(struct runner *r, int64_t boot_us);            /* a turn begins; r->boot_us is still that of the last */
uint32_t ahead_count(const struct runner *r);
uint32_t ahead_few(const struct runner *r);                     /* fewer claims than that can wait for the next result */

/* runner_later.c */
void put_off(struct runner *r, struct ev *e);         /* its turn comes again; it leaves ev[] by the caller's hand */
void put_off_alone(struct runner *r);                 /* ev[0] comes again in a batch of its own, longer after each time */
void put_off_briefly(struct runner *r);               /* the same, a second later at most */
void put_off_held(struct runner *r, size_t n);        /* of ev[0 .. n): those whose rows of this batch are held elsewhere */
void apart(struct runner *r, size_t n);               /* ev[0 .. n) come one by one */
void take_later(struct runner *r);
int64_t later_next(const struct runner *r);
void later_look(struct runner *r);                    /* notes what waits, for: */
void ev_found(struct runner *r, struct ev e);         /* it was found in the rows: added, unless the same waits already */

/* runner_aside.c */
bool aside_now(const struct runner *r, int64_t fi);   /* its events do not count just now */
void aside_put(struct runner *r, int64_t fi);
void aside_keep(struct runner *r, const struct ev *e);  /* takes e->a */
bool result_replace(const struct runner *r, struct ev *e);    /* refused too often: true when a failure now stands in for it */
void result_restore(struct ev *e);                            /* that was not stored either */
void result_forget(struct ev *e);
void aside_turn(struct runner *r);                    /* those whose time is over are tried again; trials may be over */
int64_t aside_next(const struct runner *r);
void aside_committed(struct runner *r, int64_t fi);
void aside_done(struct runner *r);

/* runner_reqs.c */
int64_t runner_now(const struct runner *r);                       /* boot time, not that of the turn */
void beat(struct runner *r);                                      /* a call of the store begins now */
void req_fail(struct req *q, enum wr_rc code, const char *text);
void req_answer(struct runner *r, struct req *q);                 /* it is no more the runner's */
void reqs_done(struct runner *r);                                 /* the same for all that the batch answers */
void reqs_refuse(struct runner *r, enum wr_rc code);              /* all that were not sent */
void reqs_turn(struct runner *r);                                 /* those that have waited long enough, or must not wait */
bool reqs_send(struct runner *r);                                 /* the batch is sent now; false: not with one that was taken back */
void reqs_hold(struct runner *r);                                 /* the batch was rolled back */
void reqs_end(struct runner *r);

/* runner.c */
void mail_posted(struct runner *r);                               /* mu held */
void store_failed(struct runner *r, enum store_rc rc);            /* a call ended with rc: pause, and say so when it lasts */
enum store_rc defs_store_rc(enum wr_rc rc);                       /* of a definition that could not be read */
void ev_add(struct runner *r, struct ev e);
void ev_remove(struct runner *r, size_t n);
void stats_count(struct runner *r, uint64_t *stat);                     /* one more, in r->stats */
void attempt_gone(struct runner *r, const struct ev *e);          /* the attempt of e has ended */
void attempt_slot(struct runner *r, const struct attempt *a);     /* its slot is free again */
#endif
