/* Private to the Redis queue: its struct, its connections (redis_link.c) and its commands (redis.c). */
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
  PUSH_CHUNK = 500,          /* hints per LPUSH */
  POP_MAX = 1024,            /* hints per pop */
  POP_SINGLE = 64,           /* the same where there is no BLMPOP */
  REPLY_BYTES = 1 << 20,     /* unread bytes of one connection */
  POP_MIN_US = 5000,         /* the least wait for an answer, whatever the caller asked for */
  NUDGE_LOOK_US = 200000,    /* how often a node without a free slot looks for nudges */
  HINT_BYTES = 44,           /* "ti:fi", and "q" behind it: HINT_QUEUED */
  KEY_BYTES = QUEUE_PREFIX_MAX + 64,
  NUDGE_TTL_S = 60,
  WHY_BYTES = 128,
  END_US = 500000,           /* for each answer once the poller has ended: a stop does not wait for a Redis that hangs */
};

struct link {
  redisContext *c;           /* belongs to its user; NULL = away */
  redisContext *fresh;       /* from here on under mu: made, not taken yet */
  bool wanted, failed;       /* failed: the dial of this outage did not work */
  bool refused;              /* it answers a dial but no command: a dial alone does not prove that it is back */
  unsigned tries;
  int64_t at_us;             /* no dial before this time */
  int64_t client;            /* the number of c or of fresh at the server; 0 = not known */
};

struct redis_queue {
  struct queue base;
  struct redis_where where;
  char prefix[QUEUE_PREFIX_MAX + 1], list[KEY_BYTES];
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
  pthread_mutex_t push_mu;   /* the right to use the push connection, and guards `seen`; held over I/O of bounded time */
  struct link push, pop;
  size_t seen;               /* length of the list after our last command */
  _Atomic size_t known;      /* the same as depth tells it */
  atomic_bool blocked;       /* the poller waits at an empty list */
  /* Of the poller: */
  struct hint *spare;        /* popped, not handed out yet */
  size_t spare_at, n_spare;
  bool nudged, no_blmpop;
  unsigned owed, asked;      /* replies to come of the pop under way; hints it may bring */
  bool first;                /* the next reply is the blocking one */
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
void *redis_dialer(void *arg);                                  /* the dialer's thread, until closing */
#endif
