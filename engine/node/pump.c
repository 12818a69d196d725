/* Pusher and poller: see pump.h. One mutex per direction, never held over I/O. */
#include "pump.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "cond.h"
#include "log_place.h"

#define PUSH_MAX 400000           /* hints that wait to be sent, held ones too; beyond it they are left to the reconciler */
#define PUSH_AT_ONCE 1000
#define HELD_MIN_US 10000         /* Redis is full: next try after, doubled up to HELD_MAX_US while nothing goes */
#define HELD_MAX_US 100000
#define HELD_SMALL 4096           /* room for so many held hints of a list is kept */
#define POP_MAX 500
#define POP_WAIT_US 700000        /* a pop that finds nothing ends then: to notice a hanging Redis, to look for lost hints */
#define TURN_US 600000            /* how long one node alone looks for lost hints */
#define NUDGE_WAIT_US 30000000    /* with no slot free there is nothing to look for */
#define AWAY_MIN_US 100000        /* Redis is away: next try after, doubled up to AWAY_MAX_US, jittered */
#define AWAY_MAX_US 1000000
#define REFUSED_US 5000000        /* pushes are refused (a full Redis still pops): so long the queue counts as away, too */
#define EMPTY_US 20000            /* a pop that finds nothing for this long: the list is empty */

/* Hints of one list that found no room, in their order. */
struct held { struct hint *v; size_t at, n, cap; };

struct pump {
  struct queue *q;
  struct runner *runner;          /* NULL until pump_attach() */
  enum slot_class slot;
  enum pump_nudges nudges;
  uint32_t kind;
  pthread_t pusher, poller;
  bool has_pusher, has_poller;
  atomic_bool polls;              /* it has, or had, a poller */
  /* pusher */
  pthread_mutex_t out_lock;
  pthread_cond_t out_cond;
  struct hint *out; size_t n_out, cap_out;  /* ti 0 = nudge of incarnation fi */
  bool out_stop;
  struct held *held;              /* by list; NULL: nothing was ever held */
  size_t n_held;
  _Atomic size_t depth;           /* what others need not look for: all that is held, or, with a poller, what it could take */
  int64_t held_at, held_pause;    /* the pusher's: no try before it, CLOCK_MONOTONIC; the pause then */
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

static struct held *held_of(struct pump *p, uint16_t list) {
  return p->held && p->held[list].n > 0 ? &p->held[list] : NULL;
}

static void held_less(struct pump *p, struct held *h, size_t n) {
  h->at += n;
  h->n -= n;
  p->n_held -= n;
  if (!atomic_load(&p->polls)) atomic_store(&p->depth, p->n_held);
  if (h->n > 0) return;
  h->at = 0;
  if (h->cap <= HELD_SMALL) return;
  free(h->v);
  *h = (struct held){0};
}

static void hold(struct pump *p, const struct hint *v, size_t n) {
  pthread_mutex_lock(&p->out_lock);
  if (!p->held) p->held = wr_calloc(LIMIT_HINT_CLASSES + 1, sizeof *p->held);
  struct held *h = &p->held[v->list];
  if (h->at > 0 && h->at + h->n + n > h->cap) {
    memmove(h->v, h->v + h->at, h->n * sizeof *v);
    h->at = 0;
  }
  h->v = wr_grow(h->v, &h->cap, h->at + h->n + n, sizeof *v);
  memcpy(h->v + h->at + h->n, v, n * sizeof *v);
  if (p->n_held == 0) p->held_at = clock_mono_us() + (p->held_pause = HELD_MIN_US);
  h->n += n;
  p->n_held += n;
  if (!atomic_load(&p->polls)) atomic_store(&p->depth, p->n_held);
  pthread_mutex_unlock(&p->out_lock);
}

/* Takes the first of a list that is held; they are out of it until those that were not sent come back. */
static size_t held_take(struct pump *p, uint16_t list, struct hint *out, size_t most) {
  pthread_mutex_lock(&p->out_lock);
  struct held *h = held_of(p, list);
  size_t n = !h ? 0 : h->n < most ? h->n : most;
  if (n > 0) memcpy(out, h->v + h->at, n * sizeof *out);
  if (n > 0) held_less(p, h, n);
  pthread_mutex_unlock(&p->out_lock);
  return n;
}

/* Back in front. The poller may have taken some that stood behind them meanwhile. */
static void held_back(struct pump *p, const struct hint *v, size_t n) {
  struct held old;
  if (n == 0) return;
  pthread_mutex_lock(&p->out_lock);
  old = p->held[v->list];
  p->n_held -= old.n;
  p->held[v->list] = (struct held){0};
  pthread_mutex_unlock(&p->out_lock);
  hold(p, v, n);
  if (old.n > 0) hold(p, old.v + old.at, old.n);
  free(old.v);
}

static bool is_held(struct pump *p, uint16_t list) {
  pthread_mutex_lock(&p->out_lock);
  bool yes = p->n_held > 0 && held_of(p, list) != NULL;
  pthread_mutex_unlock(&p->out_lock);
  return yes;
}

static void held_lost(struct pump *p) {
  pthread_mutex_lock(&p->out_lock);
  for (size_t i = 0; p->n_held > 0 && i <= LIMIT_HINT_CLASSES; i++)
    if (p->held[i].n > 0) held_less(p, &p->held[i], p->held[i].n);
  pthread_mutex_unlock(&p->out_lock);
}

/* False: Redis does not take them. */
static bool send_list(struct pump *p, const struct hint *h, size_t n) {
  size_t sent = 0;
  if (!is_held(p, h->list) && queue_push(p->q, h, n, &sent) == QUEUE_AWAY) return false;
  if (sent < n) hold(p, h + sent, n - sent);
  return true;
}

/* Takes out of h[0..n) the hints of the first one's list; the others stay in their order. */
static size_t pick_list(struct hint *h, size_t *n, struct hint *out) {
  size_t k = 0, got = 0;
  uint16_t list = h->list;
  for (size_t i = 0; i < *n; i++) {
    if (h[i].list == list) out[got++] = h[i];
    else h[k++] = h[i];
  }
  *n = k;
  return got;
}

/* Hints and nudges in the order in which they came, as far as they are of one list. False: away, so some are lost. */
static bool send_out(struct pump *p, struct hint *h, size_t n) {
  struct hint same[PUSH_AT_ONCE];
  for (size_t i = 0, k; i < n; i += k) {
    k = 1;
    if (h[i].ti == 0) {
      (void)queue_nudge(p->q, h[i].fi); /* lossy by contract */
      continue;
    }
    while (i + k < n && k < PUSH_AT_ONCE && h[i + k].ti != 0) k++;
    for (size_t left = k; left > 0;) {
      size_t m = pick_list(h + i, &left, same);
      if (!send_list(p, same, m)) return false;
    }
  }
  return true;
}

/* As much of one list as goes. */
static enum queue_push send_held_list(struct pump *p, uint16_t list, bool *some) {
  struct hint h[PUSH_AT_ONCE];
  enum queue_push how = QUEUE_SENT;
  for (size_t n; how == QUEUE_SENT && (n = held_take(p, list, h, PUSH_AT_ONCE)) > 0;) {
    size_t sent = 0;
    how = queue_push(p->q, h, n, &sent);
    *some |= sent > 0;
    held_back(p, h + sent, n - sent);
  }
  return how;
}

/* What is held, when it is time. False: away. */
static bool send_held(struct pump *p) {
  bool some = false;
  pthread_mutex_lock(&p->out_lock);
  bool due = p->n_held > 0 && clock_mono_us() >= p->held_at;
  pthread_mutex_unlock(&p->out_lock);
  if (!due) return true;
  for (uint16_t i = 0; i <= LIMIT_HINT_CLASSES; i++)
    if (is_held(p, i) && send_held_list(p, i, &some) == QUEUE_AWAY) return false;
  p->held_pause = some ? HELD_MIN_US : p->held_pause * 2 < HELD_MAX_US ? p->held_pause * 2 : HELD_MAX_US;
  p->held_at = clock_mono_us() + p->held_pause;
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
    bool due = false;
    while (p->n_out == 0 && !p->out_stop && !due) {
      if (p->n_held == 0) pthread_cond_wait(&p->out_cond, &p->out_lock);
      else due = !cond_until(&p->out_cond, &p->out_lock, p->held_at);
    }
    if (p->n_out == 0 && !due) break;
    struct hint *v = p->out;
    size_t n = p->n_out, c = p->cap_out;
    p->out = mine;
    p->cap_out = cap;
    p->n_out = 0;
    pthread_mutex_unlock(&p->out_lock);
    bool sent = send_out(p, v, n) && send_held(p);
    if (!sent) held_lost(p);
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
  bool fits = !p->out_stop && p->n_out + p->n_held + n <= PUSH_MAX;
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
  struct hint h = {0, incarnation, 0};
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

/* What is held here of the lists that this node pops; takes up to n of it. */
static size_t own_held(struct pump *p, struct hint *out, size_t n) {
  size_t got = 0, all = 0;
  pthread_mutex_lock(&p->out_lock);
  for (uint16_t i = 0; p->n_held > 0 && i <= LIMIT_HINT_CLASSES; i++) {
    struct held *h = held_of(p, i);
    if (!h || !queue_pops(p->q, i)) continue;
    size_t k = h->n < n - got ? h->n : n - got;
    if (k > 0) memcpy(out + got, h->v + h->at, k * sizeof *out);
    got += k;
    all += h->n - k;
    held_less(p, h, k);
  }
  atomic_store(&p->depth, all);
  pthread_mutex_unlock(&p->out_lock);
  return got;
}

/* One pop for n free slots. The runner is told of an empty list, because the list may have been lost. It is told the first time
 * after hints came, after no slot was free or after Redis was away. Then it is told whenever it is this node's turn, because
 * another node may have died or frozen with a hint that it popped. */
static void pop_hints(struct pump *p, uint32_t n, bool *told, bool *away) {
  struct hint h[POP_MAX];
  size_t most = n < POP_MAX ? n : POP_MAX;
  (void)own_held(p, h, 0);
  bool held = atomic_load(&p->depth) > 0;
  size_t got = queue_pop(p->q, h, most, *told && !held ? POP_WAIT_US : EMPTY_US, away);
  if (got == 0 && !*away) got = own_held(p, h, most);
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

size_t pump_depth(struct pump *p) { return queue_depth(p->q) + atomic_load(&p->depth); }

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
  atomic_store(&p->polls, true);
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
  for (size_t i = 0; p->held && i <= LIMIT_HINT_CLASSES; i++) free(p->held[i].v);
  free(p->held);
  free(p->out);
  free(p);
}
