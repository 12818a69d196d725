/* Partings: worker_parting.h. */
#include "worker_parting.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "log.h"
#include "wr_limits.h"

#define LEFT_US 10000000           /* the wait for what was left */
#define TOLD_US 6000000            /* the wait for the executor, which has a bound of its own */

struct parting { struct timer t; struct parting *next; struct attempt *a; struct wx_exec *x; };

struct partings {
  struct attempt *in, **in_tail;   /* under worker.lock */
  size_t n, bytes;                 /* the same: all that are not over */
  struct attempt *wait, **wait_tail;
  struct parting *going; size_t n_going;
  struct attempt *over;
};

struct partings *partings_new(void) {
  struct partings *p = wr_new(struct partings);
  p->in_tail = &p->in;
  p->wait_tail = &p->wait;
  return p;
}

void partings_free(struct partings *p) {
  if (!p) return;
  for (struct attempt *a; (a = p->in);) p->in = a->next, attempt_free(a);
  free(p);
}

/* Its definition may be nobody else's any more. */
static size_t bytes_of(const struct attempt *a) {
  const char *text[] = {a->def->content, a->def->config, a->key};
  size_t n = sizeof *a + sizeof *a->def;
  for (size_t i = 0; i < sizeof text / sizeof *text; i++) n += text[i] ? strlen(text[i]) + 1 : 0;
  return n;
}

/* ---- in; any thread ---- */

/* Under the lock. */
static bool room_for(const struct worker *w, size_t bytes) {
  const struct partings *p = w->partings;
  return w->keeper && !w->want_drain && p->n < LIMIT_PARTINGS && p->bytes + bytes <= LIMIT_PARTING_BYTES;
}

/* Under the lock. */
static bool take(struct worker *w, struct attempt *a) {
  struct partings *p = w->partings;
  size_t bytes = bytes_of(a);
  if (!room_for(w, bytes)) return false;
  p->n++;
  p->bytes += bytes;
  w->running++;
  a->next = NULL;
  *p->in_tail = a;
  p->in_tail = &a->next;
  return true;
}

static void not_told(const struct attempt *a, const char *why) {
  log_warn("worker.not_told", L_INT("task", a->ti), L_STR("why", why),
           L_STR("effect", "what works for the task behind its URL is not told that the task has ended"));
}

static void forget(struct worker *w, struct attempt *a) {
  if (a->forget) worker_forget(w, a->ti);
  attempt_free(a);
}

void worker_part(struct worker *w, struct attempt *list) {
  for (struct attempt *a; (a = list);) {
    list = a->next;
    pthread_mutex_lock(&w->lock);
    bool taken = take(w, a);
    pthread_mutex_unlock(&w->lock);
    if (taken) continue;
    not_told(a, "too many are waiting to be told, or this member stops");
    forget(w, a);
  }
  worker_poke(w);
}

/* ---- the loop ---- */

/* Its attempt is over; what was asked for it finds nobody. */
static void leave(struct worker *w, struct parting *g) {
  struct partings *p = w->partings;
  struct parting **at = &p->going;
  while (*at != g) at = &(*at)->next;
  *at = g->next;
  p->n_going--;
  worker_timer(w, &g->t, 0);
  g->a->next = p->over;
  p->over = g->a;
  free(g);
}

static void give_up(struct worker *w, struct parting *g, const char *why) {
  if (g->x) {
    exec_lose(g->x, why);
    return;
  }
  g->a->error = wr_strdup(why);
  leave(w, g);
}

static void due(struct worker *w, struct timer *t) { give_up(w, (struct parting *)t, "it took too long"); }
_Static_assert(offsetof(struct parting, t) == 0, "a timer is its parting");

static void begin(struct worker *w, struct attempt *a) {
  struct partings *p = w->partings;
  struct parting *g = wr_new(struct parting);
  *g = (struct parting){.t.fire = due, .next = p->going, .a = a};
  p->going = g;
  p->n_going++;
  worker_timer(w, &g->t, clock_mono_us() + LEFT_US);
  keeper_recall(w->keeper, a->ti, a->epoch);
}

static void begin_some(struct worker *w) {
  struct partings *p = w->partings;
  for (struct attempt *a; p->n_going < LIMIT_PARTINGS_AT_ONCE && !w->draining && (a = p->wait);) {
    p->wait = a->next;
    if (!p->wait) p->wait_tail = &p->wait;
    begin(w, a);
  }
}

static void end_with_grace(struct worker *w) {
  struct partings *p = w->partings;
  for (struct attempt *a; (a = p->wait);) {
    p->wait = a->next;
    a->error = wr_strdup("this member stops");
    a->next = p->over;
    p->over = a;
  }
  p->wait_tail = &p->wait;
  int64_t end = clock_mono_us() + w->drain_grace_us;
  for (struct parting *g = p->going; g; g = g->next)
    if (end < g->t.it.at) worker_timer(w, &g->t, end);
}

void partings_mail(struct worker *w) {
  struct partings *p = w->partings;
  pthread_mutex_lock(&w->lock);
  if (p->in) {
    *p->wait_tail = p->in;
    p->wait_tail = p->in_tail;
    p->in = NULL;
    p->in_tail = &p->in;
  }
  pthread_mutex_unlock(&w->lock);
  if (w->draining) end_with_grace(w);
  else begin_some(w);
}

bool parting_recalled(struct worker *w, int64_t ti, uint32_t epoch, enum log_rc rc, struct attempt_left *left) {
  struct parting *g = w->partings->going;
  while (g && (g->x || g->a->ti != ti || g->a->epoch != epoch)) g = g->next;
  if (!g) return false;
  g->a->left = left;
  if (rc == LOG_STORED && left && left->context_len) {
    worker_timer(w, &g->t, clock_mono_us() + TOLD_US);
    g->x = exec_part(w, g->a);
    if (g->x) return true;
    g->a->error = wr_strdup("its task type is not known here");
  } else if (rc != LOG_STORED) {
    g->a->error = wr_strdup("what its attempts left cannot be read now");
  }
  leave(w, g);
  return true;
}

void parting_over(struct worker *w, struct attempt *a) {
  struct parting *g = w->partings->going;
  while (g->a != a) g = g->next;
  leave(w, g);
}

uint32_t partings_ended(struct worker *w) {
  struct partings *p = w->partings;
  struct attempt *list = p->over;
  size_t bytes = 0;
  uint32_t n = 0;
  if (!list) return 0;
  p->over = NULL;
  for (struct attempt *a; (a = list); n++) {
    list = a->next;
    bytes += bytes_of(a);
    if (a->error) not_told(a, a->error);
    forget(w, a);
  }
  pthread_mutex_lock(&w->lock);
  p->n -= n;
  p->bytes -= bytes;
  pthread_mutex_unlock(&w->lock);
  begin_some(w);
  return n;
}
