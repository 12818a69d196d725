/* Queues: whose tasks may start, and whose turn it is. A queue is a pair of user and group; each task is in one. A row of
 * `task_queue` limits all tasks that it matches (`struct limit`).
 *
 *   struct queues -- users, by their share -- groups of a user, by their share -- what waits in the group (waiting.h)
 *
 * Shares: each start costs its user max(1, cpuOverhead/100) divided by the user's weight, and its group the same; who has paid
 * the least is next (start-time fair queueing). Who comes anew begins at what the one served last has paid and one start, so
 * nobody saves up while idle. The classes of slots have shares of their own, because a WAIT takes nothing from a SHELL.
 *
 * A user or a group that a limit holds back leaves the order and stands in the list of that limit until there may be room again.
 * So a held queue costs the others nothing.
 *
 * A type that was registered at run time may have a limit, too (POST /executor): a row whose user is QUEUE_OF_TYPE. Each task is
 * then under its queues' limits and under that of its type. A type holds back lanes of groups, and nothing else of these groups.
 *
 * What counts: a task is held (`struct hold`) from the moment this node picks it until its hint has come to nothing or its
 * attempt has ended. Holds are made only where something counts them or may come to: a row that limits, a cost, a name, a
 * registered type. What other nodes run (`foreign`) is read from the rows: under the locks of the limits in each batch that
 * claims, and now and then for a new look. While there are rows that limit, each node notes what it runs (store_queues.h), so
 * that others know whose its tasks are.
 *
 * The runner thread's. What never happens: a start beyond a limit that this node knows; a hold outlives its attempt; a name is
 * kept that neither waits nor runs. */
#ifndef RUNNER_QUEUES_H
#define RUNNER_QUEUES_H
#include "admission.h"
#include "async.h"
#include "env.h"
#include "heap.h"
#include "map64.h"
#include "queue_opts.h"
#include "store.h"

enum held_by { HELD_NOT, HELD_PAUSED, HELD_LIMIT, HELD_RATE, HELD_COSTLY, HELD_CPU };

/* A row of task_queue. */
struct kind;
struct limit {
  struct limit *same;                 /* of the same hash */
  int64_t queue_id;
  char *user, *group;
  int64_t max_running;                /* -1 = none */
  int64_t count, each_us;             /* the bucket: `count` starts, one comes back each `each_us`; 0 = no rate */
  int32_t weight, order;              /* 0 = not set; -1 = not set */
  bool paused, of_type;               /* of_type: `group` is a task type, and what it holds back are lanes */
  uint32_t held, foreign, picked;     /* tasks of this node; of others; of this node's those that are not claimed yet */
  int64_t rate_us, rate_stored_us;    /* the time at which the bucket is full; the same in the row */
  int64_t since_us;                   /* wall time since when this node knows it with this rate */
  bool seen;                          /* the row is still there: queues_load() */
  uint64_t locked;                    /* the batch that has its row locked, or is about to: env.batch_no */
  bool rate_dirty;                    /* this batch has changed it */
  bool ripe;                          /* there may be room for what it holds back */
  int64_t ripe_at;                    /* wall time at which a rate lets one start; INT64_MAX = it does not wait for a time */
  struct heap kept;                   /* what it holds back; who has paid the least comes first */
  size_t at;                          /* place in queues.blockers, from 1; 0 = it holds nothing back */
};

/* Do other nodes use up the same room? Then its row is locked by each batch that starts something under it. */
static inline bool limit_is_shared(const struct limit *l) { return l->max_running >= 0 || l->count > 0; }

/* What a limit holds back. */
enum kept_what { KEPT_PLACE, KEPT_PERSON, KEPT_LANE };
struct kept { struct heap_item at; struct limit *by; enum kept_what what; };

/* A task type that was registered at run time, as a limit may name it. It stays until the node ends. */
struct kind { struct kind *same; char *type; struct limit *limit; /* NULL = none */ };

struct place;
/* The first member of a lane (waiting.c): tasks of one type, if that is limited. */
struct lane_head { struct kept kept; struct place *of; enum slot_class slot; struct kind *kind; /* NULL = any */ };
struct lane;
struct place {                        /* a group of a user */
  struct kept kept;                   /* first: a limit knows its members by it */
  struct person *user;
  struct place *next, *prev;          /* of the same user */
  struct place *same; int64_t hash;   /* of the same hash */
  char *group;
  struct limit *limit[4];             /* (user, group), (user, ""), ("", group), ("", ""): NULL = no such row */
  struct heap_item turn[SLOT__N];
  int64_t paid[SLOT__N];
  uint32_t n[SLOT__N];                /* tasks that wait */
  struct lane **lane[SLOT__N]; uint32_t n_lane[SLOT__N], cap_lane[SLOT__N];
  uint32_t n_shut[SLOT__N];           /* lanes that the limit of a type holds back */
  struct map64 lines;                 /* of flows: fi -> the first of its lines */
  uint32_t n_held;
  size_t bytes[SLOT__N];              /* of all that waits here */
  bool short_of[SLOT__N];             /* something of it found no room */
  bool is_fifo;
};
struct person {                       /* a user */
  struct kept kept;                   /* first */
  struct person *same;                /* of the same hash */
  char *name;
  int64_t hash;
  struct place *places;
  struct heap_item turn[SLOT__N];
  struct heap order[SLOT__N];         /* its groups that have something that may start */
  int64_t paid[SLOT__N], clock[SLOT__N];
};
/* kind: NULL = its type was not registered at run time. lent: its cost does not count. untold: its type is not known, so it
 * counts under the limit of each type. paid_us: its claim has paid the rates that it is under, then; 0 = not known. */
struct hold {
  struct place *at;
  struct kind *kind;
  int64_t paid_us;
  int32_t cpu;
  uint16_t running;
  bool picked, lent, untold;
};

static inline int32_t hold_cost(const struct hold *h) { return h->lent ? 0 : h->cpu; }

struct queues {
  struct env *env;
  struct queue_opts opts;
  int64_t version, defs_version;      /* of the rows as last read; of the definitions then; 1 = no row was ever written */
  int64_t look_us;                    /* boot time of the next look at rows outside a batch */
  int64_t wary_us;                    /* boot time until which tasks that are made lock no rows */
  bool asked, loaded;                 /* somebody has changed a queue; the machine has too much to do */
  bool owes, unsure;                  /* the first row has come: what runs here is to be noted; others have not done so yet */
  struct limit **row; size_t n_row, cap_row;
  struct map64 limits, people, places; /* by the hash of their names */
  struct limit *everything;           /* ("", ""), or NULL */
  struct map64 kinds;                 /* by the hash of their names */
  uint32_t untold;                    /* holds whose type is not known */
  struct limit cpu;                   /* holds back what the budget has no room for; no row */
  struct limit **blockers; size_t n_blockers, cap_blockers;
  bool ripe, rates;                   /* one of them is; this batch has changed the rate of a row */
  int64_t rate_at;                    /* wall time at which one of them may be */
  struct heap order[SLOT__N];         /* people that have something that may start */
  int64_t clock[SLOT__N];
  uint32_t n[SLOT__N];                /* tasks that wait */
  uint32_t open[SLOT__N];             /* the same, or 0 while everything that waits is held back */
  struct map64 holds;                 /* ti -> struct hold */
  int64_t cpu_used;
  struct { int64_t ti, since_us; } dear;  /* the oldest task that the budget has no room for */
  bool drains;                        /* the budget is kept for it */
  /* Of the batch under way: what has moved, and from where; what is held without having waited. */
  struct queue_moved { int64_t ti; char *user, *group; struct kind *kind; int32_t cpu; } *moved; size_t n_moved, cap_moved;
  int64_t *fresh; size_t n_fresh, cap_fresh;
  uint64_t salt;                      /* of hashes: nobody outside can make names collide */
};

void queues_init(struct queues *q, struct env *env, const struct queue_opts *opts);
void queues_done(struct queues *q);
void queues_check(const struct queues *q);            /* debug builds and tests */

/* ---- rows ---- */
/* In force from now on. running: what counts now; all of it, or what other nodes run. user NULL: it is not known whose that one
 * is, so it counts everywhere. */
void queues_load(struct queues *q, const struct queue_row *row, size_t n);
void queues_running(struct queues *q, const struct running_row *row, size_t n);
/* Notes of all that runs here, those of types among them, unsorted; returns how many there are. Names are valid until the next
 * change. */
size_t queues_notes(const struct queues *q, struct count_note *out, size_t n);
/* All rows that match: of the group, of the user, of that group of all users, of everything; NULL = there is none. */
void queues_limits(const struct queues *q, const char *user, const char *group, struct limit *out[4]);
/* NULL: type is NULL, or nothing limits it. */
struct kind *queues_limited_kind(struct queues *q, const char *type);
bool queues_kind_holds(const struct queues *q, const struct kind *k);   /* its type may not start now */
static inline bool queues_policy(const struct queues *q) { return q->opts.policy && atomic_load(&q->opts.policy->on); }
static inline bool queues_limit(const struct queues *q) { return q->n_row > 0; }

/* ---- who ---- */
struct place *queues_place(struct queues *q, const char *user, const char *group);   /* made when it is not there */
void queues_leave(struct queues *q, struct place *p);  /* frees it, when nothing waits or runs there */
static inline bool person_is_idle(const struct person *u) { return u->places == NULL; }
bool queues_serves(const struct queues *q, const char *user, const char *group);     /* --queues */

/* ---- may it start? ---- */
enum held_by queues_ask(const struct queues *q, const struct place *p, int64_t ti, int32_t cpu, struct limit **by);
/* The start of a task costs its group and its user their share. */
void queues_pay(struct queues *q, struct place *p, enum slot_class s, int32_t cpu);

/* ---- what counts ---- */
bool queues_counts(const struct queues *q, const struct queue_view *of);  /* must a start of such a task be held? */
void queues_hold(struct queues *q, struct place *p, struct kind *kind, int64_t ti, int32_t cpu);   /* picked */
const struct hold *queues_held(const struct queues *q, int64_t ti);
/* A task that has not waited here: true when it may start now; then it is held until the batch is over, or its attempt. Where
 * other nodes work on the store, this batch must have locked its limits. */
bool queues_home(struct queues *q, const struct queue_view *of, int64_t ti);
/* It was picked as of that type. False: it is of another one, which is limited. */
bool queues_is_of(struct queues *q, int64_t ti, const char *type);
/* The claim of a held task is in the batch under way: its rates are paid. False: no room any more (others were faster). */
bool queues_claim(struct queues *q, int64_t ti);
/* Its attempt comes back in the batch under way and has never begun: the rates that it has paid get that start back. Where
 * other nodes work on the store, only those whose limits this batch has locked. */
void queues_unpaid(struct queues *q, int64_t ti);
void queues_release(struct queues *q, int64_t ti);        /* picked, and its hint has come to nothing */
void queues_started(struct queues *q, int64_t ti);        /* its claim is committed */
void queues_ended(struct queues *q, int64_t ti);          /* an attempt of it has ended */
void queues_lend(struct queues *q, int64_t ti, bool lent);   /* its attempt waits for other tasks, or goes on */
/* A task that counts is in another queue from now on; when the batch does not commit, it is where it was. elsewhere: another
 * node runs it. */
void queues_move(struct queues *q, int64_t ti, const char *user, const char *group, bool elsewhere);
void queues_reset(struct queues *q);                      /* this node was fenced: it holds nothing any more */
/* The rates that this batch has changed. */
size_t queues_rates(const struct queues *q, struct queue_rate *out, size_t n);
void queues_batch_over(struct queues *q, bool committed);

/* ---- order ---- */
/* Something of p may wait: takes its place in the order */
void queues_enter(struct queues *q, struct place *p, enum slot_class s);
void queues_wake(struct queues *q);                       /* limits that have room again let go of what they hold back */
void queues_keep(struct queues *q, struct kept *k, struct limit *by);      /* the group, user or lane waits for that limit */
void queues_lane_gone(struct queues *q, struct lane_head *l);   /* of its place, in which it does not count any more */
void queues_let_go(struct queues *q, struct kept *k);
int64_t queues_next(const struct queues *q);              /* wall time at which a rate lets one start; INT64_MAX */
/* The budget has no room for ti, which waits since then: the oldest such task is what the budget drains for, in the end. */
void queues_dear(struct queues *q, int64_t ti, int64_t since_us);
void queues_dear_gone(struct queues *q);
#endif
