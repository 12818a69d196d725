/* What a runner knows about its store: can rows be written now? If not: why, and since when?
 *
 *   well  -> away   no connection: at once. Only "try again" or a commit of unknown outcome: after WATCH_PATIENCE_US
 *   well  -> full   no space: at once
 *   any   -> well   a write succeeded
 *
 * A call of the store that does not come back counts too: a thread that asks sees how long the call has been under way, so that
 * the truth is told while the runner's thread is stuck in the call.
 *
 * A request that waits while no other request is stored counts as a failure too. Whatever the reason, the store takes no
 * commands.
 *
 * What is shown and logged does not flap. The turn to ill is logged once, with its cause, and so is the turn back. A store that
 * fails again after it was back for less than WATCH_FLAP_US is flapping: it must stay well for some time before it is shown as
 * well. This time grows with each relapse, and the log line of the turn back tells how many relapses there were. Requests are
 * admitted by the state of the store, not by what is shown.
 *
 * The runner's thread reports; any thread asks. There is one mutex inside, and reports that change nothing do not take it. The
 * watch has no clock of its own: boot times come with the calls. What never happens: I/O under the mutex. */
#ifndef RUNNER_WATCH_H
#define RUNNER_WATCH_H
#include <pthread.h>
#include <stdatomic.h>
#include "health.h"
#include "store.h"

#define WATCH_PATIENCE_US 1000000     /* after this long with nothing but failures that may pass, the store is away */
#define WATCH_STUCK_US 1500000        /* while a call takes longer than this, the store is not well */
#define WATCH_REFUSE_US 4000000       /* while a call takes longer than this, new requests are refused */
#define WATCH_SLOW_US 2000000         /* a request has waited this long and none was stored: the store is not well */
#define WATCH_FRESH_US 1000000        /* a write younger than this shows that the store is well */
#define WATCH_DOUBT_US 250000         /* a failure older than that may be over: a refused client may ask for a new look */
#define WATCH_FLAP_US 60000000        /* a store that was back for less than this, and is ill again, is flapping */
#define WATCH_STEADY_MIN_US 2000000   /* a flapping store must be well for this long; doubled with each relapse */
#define WATCH_STEADY_MAX_US 16000000

enum watch_state { WATCH_WELL, WATCH_AWAY, WATCH_FULL };
struct watch {
  pthread_mutex_t mu;
  pthread_cond_t news;                /* a report came while somebody had asked */
  _Atomic int64_t ok_us;              /* newest write that succeeded */
  _Atomic int64_t busy_us;            /* when the call of the store began that is under way; 0 = there is none */
  _Atomic int64_t took_us, slow_us;   /* when a request was last taken; since when one waits and none is taken, 0 = not so */
  atomic_bool ill;                    /* some member below must be changed by the next good write */
  enum watch_state state;
  int64_t bad_us, last_us;            /* first and last failure since the newest good write; 0 = none */
  bool stuck;                         /* a thread was told that a call does not come back */
  bool asked;                         /* somebody wants to know: a write is due */
  uint64_t reports;
  enum watch_state shown;
  int64_t down_us, back_us;           /* when `shown` turned to ill, and back; 0 = never */
  int64_t well_us;                    /* since when the store is well but still shown as ill; 0 = not so */
  int64_t steady_us;                  /* the store is shown as well when it has been well for this long */
  uint32_t relapses;
  char why[HEALTH_WHY_BYTES];
};

void watch_init(struct watch *w, int64_t boot_us);
void watch_done(struct watch *w);
void watch_check(struct watch *w);                    /* aborts when `shown` and `state` do not agree; debug builds and tests */

/* ---- the runner's thread ---- */
void watch_busy(struct watch *w, int64_t boot_us);    /* a call of the store begins */
void watch_idle(struct watch *w);
void watch_ok(struct watch *w, int64_t boot_us);      /* a write succeeded */
void watch_took(struct watch *w, int64_t boot_us);    /* a request was stored, or refused for what the rows say */
void watch_waits(struct watch *w, int64_t since_us);  /* when the oldest that waits was posted; INT64_MAX = none waits long */
/* A call failed with rc. why: the store's own words; NULL or "" = it has none. */
void watch_failed(struct watch *w, int64_t boot_us, enum store_rc rc, const char *why);
bool watch_asked(struct watch *w);                    /* a write is due, because somebody asked or the store is not well */

bool watch_hurried(const struct watch *w);            /* somebody doubts that the store is still ill: the pause is over */

/* ---- any thread ---- */
/* The store was ill a while ago: asks for a new look, unless somebody has asked already. True: wake the runner's thread. */
bool watch_doubt(struct watch *w, int64_t boot_us);
enum watch_state watch_state(const struct watch *w);
/* May a request wait? WR_OK, or the code that refuses it. */
enum wr_rc watch_admits(const struct watch *w, int64_t boot_us);
/* Asks for a write when there was none lately. True: wake the runner's thread. */
bool watch_ask(struct watch *w, int64_t boot_us);
void watch_wait(struct watch *w, int64_t us);         /* waits until a report comes, at most for us */
void watch_health(struct watch *w, int64_t boot_us, struct health_part *store, struct health_part *disk);
#endif
