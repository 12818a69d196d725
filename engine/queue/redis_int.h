/* Private to the Redis queue: its struct, its connections (redis_link.c), its lists (redis_lists.c), its commands (redis.c). */
#ifndef QUEUE_REDIS_INT_H
#define QUEUE_REDIS_INT_H
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include "clock.h"
#include "cond.h"
#include "queue_backend.h"

enum {
  CONNECT_US = 1000000,      /* the lookup of its name, connect(2), and each answer of the handshake */
  COMMAND_US = 2000000,      /* any other answer; a blocking pop has this much beyond its own time-out */
  FIRST_DIAL_US = 250000,    /* how long a push or a hasty pop waits for a dial that has not failed yet */
  BACKOFF_MIN_US = 20000,
  BACKOFF_MAX_US = 2000000,
  EMPTY_AFTER_US = 5000,     /* a pop without an answer for this long: the list is empty */
  BAD_LOG_US = 10000000,
  PUSH_CHUNK = 1000,         /* hints per push */
  POP_MAX = 1024,            /* hints per pop */
  POP_SINGLE = 64,           /* the same where there is no BLMPOP */
  REPLY_BYTES = 1 << 20,     /* unread bytes of one connection */
  POP_MIN_US = 5000,         /* the least wait for an answer, whatever the caller asked for */
  NUDGE_LOOK_US = 200000,    /* how often a node without a free slot looks for nudges */
  HINT_BYTES = 44,           /* "ti:fi", and "q" behind it: HINT_QUEUED */
  KEY_BYTES = QUEUE_PREFIX_MAX + 64,
  LIST_BYTES = QUEUE_PREFIX_MAX + 16 + HINT_CLASS_BYTES,
  GEN_BYTES = 24,
  WAKE_BYTES = KEY_BYTES + GEN_BYTES,
  SHA_BYTES = 41,            /* of a script, as text */
  MINE_MAX = 512,            /* lists that one poller pops */
  LENGTHS_MOST = 1024,       /* lists whose length is told */
  NUDGE_TTL_S = 60,
  WHY_BYTES = 128,
  END_US = 500000,           /* for each answer once the poller has ended: a stop does not wait for a Redis that hangs */
};

struct link {
  redisContext *c;           /* belongs to its user; NULL = away */
  redisContext *fresh;       /* from here on under mu: made, not taken yet */
  bool wanted, failed;       /* failed: the dial of this outage did not work */
  bool refused;              /* it answers a dial but no command: a dial alone proves nothing; redis_lists_prove() */
  unsigned tries;
  int64_t at_us;             /* no dial before this time */
  int64_t client;            /* the number of c or of fresh at the server; 0 = not known */
};

struct mine { uint16_t list; char *key; };

struct redis_queue {
  struct queue base;
  struct redis_where where;
  struct queue_of of;
  char prefix[QUEUE_PREFIX_MAX + 1], list[KEY_BYTES], set[KEY_BYTES], gen_key[KEY_BYTES], wake_keys[KEY_BYTES];
  size_t max;
  _Atomic int64_t node;
  pthread_t dialer;
  pthread_mutex_t mu;        /* guards links (see there), woken, closing, popping, dial_fd; may be taken under push_mu */
  pthread_cond_t cv;
  bool woken, closing;
  unsigned popping;
  bool told;                 /* the log has the line that Redis is away: one line per outage, whichever connection met it */
  char why[WHY_BYTES];
  int dial_fd;               /* -1, or what the dialer is connecting: shut down by close */
  int wake_fd;               /* readable exactly while woken or closing */
  pthread_mutex_t push_mu;   /* the right to use the push connection, and guards `sha`; held over I/O of bounded time */
  struct link push, pop;
  char sha[SHA_BYTES];       /* of the script that pushes; "" = not known to the server */
  _Atomic size_t known;      /* what depth tells: the list that was pushed to, or how many lists of ours are not empty */
  atomic_bool lists_stale;   /* what this node can run has changed */
  atomic_bool blocked;       /* the poller waits at an empty list */
  /* Of the poller: */
  struct hint *spare;        /* popped, not handed out yet */
  size_t spare_at, n_spare;
  bool nudged, no_blmpop;
  struct mine *mine; size_t n_mine, cap_mine, turn;   /* lists that it pops; the one whose turn it is */
  char gen[GEN_BYTES];       /* of the set of lists, as it was read last */
  bool lists_woken;          /* somebody has changed that set since */
  int64_t lists_us;          /* when that was */
  unsigned owed, asked;      /* replies to come of the pop under way; hints it may bring */
  bool first;                /* the next reply is the blocking one */
  unsigned nth;              /* single pops that were answered: they go round the lists */
  int64_t dead_us;           /* when that reply must have come */
  uint64_t bad;              /* malformed hints since bad_us */
  int64_t bad_us;
};

static inline int64_t redis_after(int64_t wait_us) {
  int64_t now = clock_mono_us();
  if (wait_us <= 0) return now;
  return wait_us > INT64_MAX - now ? INT64_MAX : now + wait_us;
}

/* The next reply by until_us; wake_fd (or -1) ends the wait. Data that has come is preferred to everything else. */
enum await { GOT, TIMED_OUT, WOKEN, BROKEN };
enum await redis_await(redisContext *c, int64_t until_us, int wake_fd, redisReply **out);
bool redis_flush(redisContext *c);
bool redis_append(redisContext *c, int argc, const char **argv);

/* The connection, or NULL when it is away. Waits for a dial that has not failed yet, at most wait_us; woken ends it. */
redisContext *redis_link_get(struct redis_queue *q, struct link *l, int64_t wait_us, const bool *woken);
void redis_link_good(struct redis_queue *q, struct link *l);   /* a command has worked */
/* Drops the connection. One that broke after good use is dialed again at once, and callers may wait for that: a Redis that
 * was restarted is not away. */
enum loss { LOSS_BROKEN, LOSS_AWAY };
void redis_link_lost(struct redis_queue *q, struct link *l, enum loss loss, const char *why);
/* The push connection, under push_mu. False or NULL: it is gone. */
bool redis_push_send(struct redis_queue *q, bool appended);
redisReply *redis_push_reply(struct redis_queue *q, int64_t until_us);
bool redis_push_count(struct redis_queue *q, int64_t until_us, long long *out);
bool redis_hint_read(const char *s, size_t n, struct hint *out);   /* list is left alone */
void redis_hint_text(char out[HINT_BYTES], const struct hint *h);

/* ---- redis_lists.c ---- */
void redis_lists_init(struct redis_queue *q, const char *install);
void redis_lists_done(struct redis_queue *q);
/* Under push_mu: up to PUSH_CHUNK hints of one list, by LPUSH or RPUSH. False: the connection is gone. */
bool redis_lists_push(struct redis_queue *q, const char *how, const struct hint *h, size_t n, int64_t wait_us, size_t *sent);
/* Dialer, with a connection that nobody else has: would a push be taken now? False: why not. */
bool redis_lists_prove(const struct redis_queue *q, redisContext *c, char why[WHY_BYTES]);
/* Poller, no pop under way: which lists it pops, when that is to be read again. NULL, or what is wrong. */
const char *redis_lists_look(struct redis_queue *q, redisContext *c);
void redis_lists_wake_key(const struct redis_queue *q, char out[WAKE_BYTES]);
size_t redis_lists_keys(const struct redis_queue *q, const char **argv);   /* in their turn; argv: MINE_MAX */
bool redis_lists_find(const struct redis_queue *q, const char *key, uint16_t *list);
bool redis_forget(struct queue *base, const int64_t *ti, size_t n);
bool redis_lengths(struct queue *base, hints_each *each, void *to);

void *redis_dialer(void *arg);                                  /* the dialer's thread, until closing */
#endif
