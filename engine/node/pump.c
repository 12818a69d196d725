/* Pusher and poller: see pump.h. One mutex per direction, never held over I/O. */
#include "pump.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "cond.h"
#include "log_place.h"

#define PUSH_MAX 200000           /* hints that wait to be sent; beyond it they are left to the reconciler */
#define PUSH_AT_ONCE 1000
#define POP_MAX 500
#define POP_WAIT_US 700000        /* a pop that finds nothing ends then: to notice a hanging Redis, to look for lost hints */
#define TURN_US 600000            /* how long one node alone looks for lost hints */
#define NUDGE_WAIT_US 30000000    /* with no slot free there is nothing to look for */
#define AWAY_MIN_US 100000        /* Redis is away: next try after, doubled up to AWAY_MAX_US, jittered */
#define AWAY_MAX_US 1000000
#define REFUSED_US 5000000        /* pushes are refused (a full Redis still pops): so long the queue counts as away, too */
#define EMPTY_US 20000            /* a pop that finds nothing for this long: the list is empty */

struct pump {
  struct queue *q;
  struct runner *runner;          /* NULL until pump_attach() */
  enum slot_class slot;
  enum pump_nudges nudges;
  uint32_t kind;
  pthread_t pusher, poller;
  bool has_pusher, has_poller;
  /* pusher */
  pthread_mutex_t out_lock;
  pthread_cond_t out_cond;
  struct hint *out; size_t n_out, cap_out;  /* ti 0 = nudge of incarnation fi */
  bool out_stop;
  _Atomic int64_t refused_until;  /* CLOCK_MONOTONIC; set by the pusher, read by the poller */
  /* poller */
  pthread_mutex_t in_lock;
  pthread_cond_t in_cond;
  uint32_t free;                  /* slots as last reported, 0 while hints of ours are under way */
  uint32_t reports;               /* reports to come before one counts again; > 0 = hints are under way */
  bool nudging;                   /* the poller looks for nudges: to be woken when a slot is free */
  bool in_stop;
};

/* ---- pusher ---- */

/* Hints and nudges in the order in which they came. False: full or away, so some are lost. */
static bool send_out(struct queue *q, const struct hint *h, size_t n) {
  for (size_t i = 0, k; i < n; i += k) {
    k = 1;
    if (h[i].ti == 0) {
      (void)queue_nudge(q, h[i].fi); /* lossy by contract */
      continue;
    }
    while (i + k < n && k < PUSH_AT_ONCE && h[i + k].ti != 0) k++;
    if (!queue_push(q, &h[i], k)) return false;
  }
  return true;
}

/* A list that is full is well: its hints are popped. */
static bool is_well(struct queue *q) {
  struct health_part part = {0};
  queue_health(q, &part);
  return part.ok;
}

static void *push_main(void *arg) {
  struct pump *p = arg;
  struct hint *mine = NULL;
  size_t cap = 0;
  pthread_mutex_lock(&p->out_lock);
  for (;;) {
    while (p->n_out == 0 && !p->out_stop) pthread_cond_wait(&p->out_cond, &p->out_lock);
    if (p->n_out == 0) break;
    struct hint *v = p->out;
    size_t n = p->n_out, c = p->cap_out;
    p->out = mine;
    p->cap_out = cap;
    p->n_out = 0;
    pthread_mutex_unlock(&p->out_lock);
    bool sent = send_out(p->q, v, n);
    atomic_store(&p->refused_until, sent || is_well(p->q) ? 0 : clock_mono_us() + REFUSED_US);
    if (!sent && p->runner) runner_hints_lost(p->runner, p->slot);
    mine = v;
    cap = c;
    pthread_mutex_lock(&p->out_lock);
  }
  pthread_mutex_unlock(&p->out_lock);
  free(mine);
  return NULL;
}

static bool hand_over(struct pump *p, const struct hint *h, size_t n) {
  pthread_mutex_lock(&p->out_lock);
  bool fits = !p->out_stop && p->n_out + n <= PUSH_MAX;
  if (fits) {
    p->out = wr_grow(p->out, &p->cap_out, p->n_out + n, sizeof *p->out);
    memcpy(p->out + p->n_out, h, n * sizeof *h);
    p->n_out += n;
    pthread_cond_signal(&p->out_cond);
  }
  pthread_mutex_unlock(&p->out_lock);
  return fits;
}

bool pump_push(struct pump *p, const struct hint *h, size_t n) { return hand_over(p, h, n); }

void pump_nudge(struct pump *p, int64_t incarnation) {
  struct hint h = {0, incarnation};
  (void)hand_over(p, &h, 1); /* lossy by contract */
}

/* ---- poller ---- */

/* A report from before the runner took our last hints would let us pop twice for one slot. An empty mailbox shows that the runner
 * has taken them. When the mailbox is never empty, the second report after the hints counts. */
void pump_free(struct pump *p, uint32_t slots) {
  bool wake = false;
  pthread_mutex_lock(&p->in_lock);
  if (p->reports) p->reports--;
  if (p->reports == 0 || !runner_pending(p->runner)) {
    p->reports = 0;
    wake = slots && p->nudging;
    p->free = slots;
    pthread_cond_signal(&p->in_cond);
  }
  pthread_mutex_unlock(&p->in_lock);
  if (wake) queue_wake(p->q);
}

enum poll { POLL_STOP, POLL_HINTS, POLL_NUDGE };

static enum poll wait_free(struct pump *p, uint32_t *n) {
  pthread_mutex_lock(&p->in_lock);
  while (!p->in_stop && p->free == 0 && (p->reports > 0 || p->nudges == PUMP_HINTS_ONLY))
    pthread_cond_wait(&p->in_cond, &p->in_lock);
  *n = p->free;
  enum poll what = p->in_stop ? POLL_STOP : p->free ? POLL_HINTS : POLL_NUDGE;
  p->nudging = what == POLL_NUDGE;
  pthread_mutex_unlock(&p->in_lock);
  return what;
}

/* Sleeps, or returns at once when told to stop. */
static void nap(struct pump *p, int64_t us) {
  int64_t at = clock_mono_us() + us;
  pthread_mutex_lock(&p->in_lock);
  while (!p->in_stop && cond_until(&p->in_cond, &p->in_lock, at)) {}
  pthread_mutex_unlock(&p->in_lock);
}

static void deliver(struct pump *p, const struct hint *h, size_t n) {
  pthread_mutex_lock(&p->in_lock);
  p->free = 0;
  p->reports = 2;
  runner_post_hints(p->runner, p->slot, h, n); /* inside the lock: no report comes between */
  pthread_mutex_unlock(&p->in_lock);
}

static bool is_stopping(struct pump *p) {
  pthread_mutex_lock(&p->in_lock);
  bool yes = p->in_stop;
  pthread_mutex_unlock(&p->in_lock);
  return yes;
}

/* One pop for n free slots. The runner is told of an empty list, because the list may have been lost. It is told the first time
 * after hints came, after no slot was free or after Redis was away. Then it is told whenever it is this node's turn, because
 * another node may have died or frozen with a hint that it popped. */
static void pop_hints(struct pump *p, uint32_t n, bool *told, bool *away) {
  struct hint h[POP_MAX];
  size_t got = queue_pop(p->q, h, n < POP_MAX ? n : POP_MAX, *told ? POP_WAIT_US : EMPTY_US, away);
  if (got) deliver(p, h, got);
  if (got || *away) *told = false;
  else if (!is_stopping(p) && (!*told || queue_turn(p->q, p->kind, TURN_US))) {
    *told = true;
    runner_no_hints(p->runner, p->slot);
  }
}

static void *poll_main(void *arg) {
  struct pump *p = arg;
  int64_t pause = AWAY_MIN_US;
  uint64_t rnd;
  uint32_t n;
  bool told = false, was_away = false;
  rand_secret(&rnd, sizeof rnd);
  for (enum poll what; (what = wait_free(p, &n)) != POLL_STOP;) {
    bool away = false;
    if (what == POLL_HINTS) {
      pop_hints(p, n, &told, &away);
    } else {
      told = false;
      if (queue_pop_nudge(p->q, NUDGE_WAIT_US, &away)) runner_nudge(p->runner);
    }
    bool useless = away || clock_mono_us() < atomic_load(&p->refused_until); /* what cannot be sent cannot be popped by anyone */
    if (useless != was_away) runner_queue_away(p->runner, p->slot, was_away = useless);
    if (!away) {
      pause = AWAY_MIN_US;
      continue;
    }
    nap(p, pause / 2 + (int64_t)(rand_next(&rnd) % (uint64_t)pause));
    if (pause < AWAY_MAX_US) pause *= 2;
  }
  return NULL;
}

void pump_stop_poll(struct pump *p) {
  if (!p->has_poller) return;
  pthread_mutex_lock(&p->in_lock);
  p->in_stop = true;
  pthread_cond_signal(&p->in_cond);
  pthread_mutex_unlock(&p->in_lock);
  queue_wake(p->q);
  pthread_join(p->poller, NULL);
  p->has_poller = false;
  queue_pop_end(p->q);
}

void pump_health(struct pump *p, struct health_part *out) { queue_health(p->q, out); }

/* ---- life ---- */

enum wr_rc pump_new(struct queue *q, enum slot_class slot, enum pump_nudges nudges, struct pump **out, struct wr_err *err) {
  struct pump *p = wr_new(struct pump);
  p->q = q;
  p->slot = slot;
  p->nudges = nudges;
  pthread_mutex_init(&p->out_lock, NULL);
  pthread_mutex_init(&p->in_lock, NULL);
  cond_mono(&p->out_cond);
  cond_mono(&p->in_cond);
  *out = p;
  if (log_thread(&p->pusher, NULL, push_main, p) != 0) return wr_err_set(err, WR_INTERNAL, "No thread can be started.");
  p->has_pusher = true;
  return WR_OK;
}

void pump_attach(struct pump *p, struct runner *r) {
  pthread_mutex_lock(&p->out_lock);
  p->runner = r;
  pthread_mutex_unlock(&p->out_lock);
}

enum wr_rc pump_poll(struct pump *p, uint32_t kind, struct wr_err *err) {
  p->kind = kind;
  if (log_thread(&p->poller, NULL, poll_main, p) != 0) return wr_err_set(err, WR_INTERNAL, "No thread can be started.");
  p->has_poller = true;
  return WR_OK;
}

void pump_close(struct pump *p) {
  if (!p) return;
  pump_stop_poll(p);
  if (p->has_pusher) {
    pthread_mutex_lock(&p->out_lock);
    p->out_stop = true;
    pthread_cond_signal(&p->out_cond);
    pthread_mutex_unlock(&p->out_lock);
    pthread_join(p->pusher, NULL);
  }
  pthread_mutex_destroy(&p->out_lock);
  pthread_mutex_destroy(&p->in_lock);
  pthread_cond_destroy(&p->out_cond);
  pthread_cond_destroy(&p->in_cond);
  free(p->out);
  free(p);
}
