/* The threads on which routines run. As many routines run at once as there are slots; one that waits for other tasks gives its
 * slot back meanwhile, so there may be more threads than slots. A thread is made when it is needed, and stays.
 *
 * The order of slots: a routine that goes on after a wait comes first, then attempts in the order in which they came, past
 * those whose type is at its concurrency. What never happens: more routines run than slots, but for those that are to stop or
 * were given up; a thread that takes a signal of the process; the lock held over a routine or a call of the node. */
#include <signal.h>
#include <stdlib.h>
#include "lib_int.h"
#include "log_place.h"
#include "mem.h"

enum { LENT_MOST = 1000 };          /* attempts that wait for the concurrency of their types, with their slots lent */

/* orphan: pool_end() does not wait for it, and has counted it. */
struct pool_thread { struct pool_thread *next; struct pool *p; pthread_t id; bool given_up, orphan; };
struct pool {
  weir_t *h;
  size_t stack;
  pthread_mutex_t mu;               /* guards the rest; leaf */
  pthread_cond_t work, turn;        /* idle threads; routines that wait for their slot */
  struct pool_thread *thread;
  struct weir_attempt_s *first, **end;
  uint32_t slots, running, resuming, idle, wakes, lent;   /* idle: nobody has woken them yet */
  uint32_t coming;                  /* threads that were woken or made, and have not looked yet */
  bool ending;
  uint32_t orphans;                 /* threads that stay behind pool_end(), and that call itself: who makes it 0 frees the pool */
};

static _Thread_local struct weir_attempt_s *current;

bool in_routine(void) { return current != NULL; }
const struct stopper *current_stop(void) { return current ? &current->stop : NULL; }

struct pool *pool_new(weir_t *h, uint32_t slots, size_t stack) {
  struct pool *p = wr_new(struct pool);
  p->h = h;
  p->slots = slots;
  p->stack = stack;
  p->end = &p->first;
  pthread_mutex_init(&p->mu, NULL);
  pthread_cond_init(&p->work, NULL);
  pthread_cond_init(&p->turn, NULL);
  return p;
}

static void pool_free(struct pool *p) {
  for (struct pool_thread *t; (t = p->thread);) {
    p->thread = t->next;
    free(t);
  }
  pthread_cond_destroy(&p->turn);
  pthread_cond_destroy(&p->work);
  pthread_mutex_destroy(&p->mu);
  free(p);
}

/* ---- the lock is held ---- */

static bool limited(const struct weir_attempt_s *a) {
  return a->type->t.concurrency > 0 && a->type->running >= (uint32_t)a->type->t.concurrency;
}

/* The next attempt that may begin, off the list. */
static struct weir_attempt_s *pick(struct pool *p) {
  if (p->running >= p->slots || p->resuming > 0) return NULL;
  for (struct weir_attempt_s **at = &p->first, *a; (a = *at); at = &a->next) {
    if (limited(a)) continue;
    *at = a->next;
    if (p->end == &a->next) p->end = at;
    a->waits = false;
    p->running++;
    a->type->running++;
    return a;
  }
  return NULL;
}

static bool is_first_free(const struct pool *p) {
  if (p->running >= p->slots || p->resuming > 0) return false;
  for (const struct weir_attempt_s *a = p->first; a; a = a->next)
    if (!limited(a)) return true;
  return false;
}

static void *run_thread(void *arg);

/* All signals but those that a thread causes itself are the process's. */
static bool thread_make(struct pool *p) {
  struct pool_thread *t = wr_new(struct pool_thread);
  pthread_attr_t attr;
  sigset_t all, was;
  sigfillset(&all);
  const int own[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&all, own[i]);
  t->p = p;
  pthread_attr_init(&attr);
  if (p->stack) (void)pthread_attr_setstacksize(&attr, p->stack); /* refused = the system's default */
  pthread_sigmask(SIG_SETMASK, &all, &was);
  bool ok = log_thread(&t->id, &attr, run_thread, t) == 0;
  pthread_sigmask(SIG_SETMASK, &was, NULL);
  pthread_attr_destroy(&attr);
  if (!ok) return free(t), false;
  t->next = p->thread;
  p->thread = t;
  return true;
}

/* Something may begin: somebody shall look. False: nobody can. Behind pool_end() no thread is made: none would be waited for.
 * One at a time is on its way, and sends for the next one when it has found something: so routines that take less time than a
 * thread that comes do not wake, or make, one each. */
static bool kick(struct pool *p) {
  if (!is_first_free(p) || p->ending || p->coming > 0) return true;
  if (p->idle > 0) {
    p->idle--;
    p->wakes++;
    p->coming++;
    pthread_cond_signal(&p->work);
    return true;
  }
  if (!thread_make(p)) return p->running > 0;
  p->coming++;
  return true;
}

/* Routines that wait for their slot come first; false: there are none. */
static bool slot_back(struct pool *p) {
  p->running--;
  if (p->resuming > 0) pthread_cond_signal(&p->turn);
  return p->resuming > 0;
}

/* ---- asking the runner, without the lock ---- */

static void lend_runner(struct pool *p, int32_t n) {
  if (!enter(p->h)) return;
  runner_lend(p->h->view.runner, SLOT_PROCESS, n);
  leave(p->h);
}

/* ---- a thread ---- */

/* The lock is held before and afterwards. The slot comes back last: if this thread still had something to do, another one
 * would be made for the slot meanwhile. */
static void run_one(struct pool_thread *t, struct weir_attempt_s *a) {
  struct pool *p = t->p;
  bool lent = a->lent;
  a->lent = false;
  a->thread = t;
  if (lent) p->lent--;
  pthread_mutex_unlock(&p->mu);
  if (lent) lend_runner(p, -1);
  current = a;
  attempt_run(a);
  current = NULL;
  pthread_mutex_lock(&p->mu);
  a->thread = NULL;
  pthread_mutex_unlock(&p->mu);
  struct lib_type *type = a->type;
  bool slotless = a->slotless;
  attempt_unref(a);
  pthread_mutex_lock(&p->mu);
  type->running--;
  if (!slotless) (void)slot_back(p); /* nobody is woken for it: this thread itself looks next what may begin */
}

static void *run_thread(void *arg) {
  struct pool_thread *t = arg;
  struct pool *p = t->p;
  pthread_mutex_lock(&p->mu);
  p->coming--;
  while (!t->orphan) {
    struct weir_attempt_s *a = pick(p);
    if (a) {
      (void)kick(p);
      run_one(t, a);
      t->given_up = false; /* it has come back */
      continue;
    }
    if (p->ending) break;
    p->idle++;
    while (p->wakes == 0 && !p->ending) pthread_cond_wait(&p->work, &p->mu);
    if (p->wakes > 0) p->wakes--, p->coming--;
  }
  bool last = t->orphan && --p->orphans == 0;
  pthread_mutex_unlock(&p->mu);
  if (last) {
    weir_t *h = p->h;
    pool_free(p);
    if (!h->stuck) h->free(h);
  }
  return NULL;
}

/* ---- from outside ---- */

/* The lock is held. Takes out those that can be waited for; the rest are the orphans, each counted once. */
static struct pool_thread *part(struct pool *p) {
  struct pool_thread *ends = NULL, *t;
  for (struct pool_thread **at = &p->thread; (t = *at);) {
    if (t->given_up) {
      t->orphan = true;
      p->orphans++;
      pthread_detach(t->id);
      at = &t->next;
    } else {
      *at = t->next;
      t->next = ends;
      ends = t;
    }
  }
  return ends;
}

uint32_t pool_given_up(struct pool *p) {
  uint32_t n = 0;
  pthread_mutex_lock(&p->mu);
  for (const struct pool_thread *t = p->thread; t; t = t->next) n += t->given_up;
  pthread_mutex_unlock(&p->mu);
  return n;
}

/* An orphan may come back while this waits for the others, so this call counts as one of them until it is through. */
uint32_t pool_end(struct pool *p) {
  pthread_mutex_lock(&p->mu);
  p->ending = true;
  p->orphans = 1;
  pthread_cond_broadcast(&p->work);
  struct pool_thread *ends = part(p);
  pthread_mutex_unlock(&p->mu);
  for (struct pool_thread *t; (t = ends);) {
    ends = t->next;
    pthread_join(t->id, NULL);
    free(t);
  }
  pthread_mutex_lock(&p->mu);
  uint32_t left = --p->orphans;
  pthread_mutex_unlock(&p->mu);
  if (left == 0) pool_free(p);
  return left;
}

bool pool_add(struct pool *p, struct weir_attempt_s *a) {
  pthread_mutex_lock(&p->mu);
  a->next = NULL;
  a->waits = true;
  *p->end = a;
  p->end = &a->next;
  bool ok = kick(p);
  pthread_mutex_unlock(&p->mu);
  return ok;
}

bool pool_take_back(struct pool *p, struct weir_attempt_s *a, enum take_back how) {
  pthread_mutex_lock(&p->mu);
  bool mine = a->waits && !(how == TAKE_UNLIMITED && limited(a));
  struct weir_attempt_s **at = &p->first;
  while (mine && *at != a) at = &(*at)->next;
  if (mine) {
    *at = a->next;
    if (p->end == &a->next) p->end = at;
    a->waits = false;
  }
  bool lent = mine && a->lent;
  if (lent) p->lent--, a->lent = false;
  pthread_mutex_unlock(&p->mu);
  if (lent) lend_runner(p, -1);
  if (mine) attempt_unref(a); /* the thread's, which none will be */
  return mine;
}

bool pool_lend_limited(struct pool *p, struct weir_attempt_s *a) {
  if (pthread_rwlock_tryrdlock(&p->h->life)) return false;
  pthread_mutex_lock(&p->mu);
  bool lends = a->waits && !a->lent && limited(a) && p->lent < LENT_MOST;
  if (lends) a->lent = true, p->lent++;
  pthread_mutex_unlock(&p->mu);
  if (lends && p->h->node) runner_lend(p->h->view.runner, SLOT_PROCESS, 1);
  pthread_rwlock_unlock(&p->h->life);
  return true;
}

/* What the task costs goes with the slot. */
static void lend_both(struct pool *p, const struct weir_attempt_s *a, bool lent) {
  if (!enter(p->h)) return;
  runner_lend_cost(p->h->view.runner, a->id, lent);
  runner_lend(p->h->view.runner, SLOT_PROCESS, lent ? 1 : -1);
  leave(p->h);
}

void pool_lend(struct pool *p, struct weir_attempt_s *a) {
  pthread_mutex_lock(&p->mu);
  bool had = !a->slotless;
  a->slotless = true;
  if (had && !slot_back(p)) (void)kick(p);
  pthread_mutex_unlock(&p->mu);
  lend_both(p, a, true);
}

void pool_resume(struct pool *p, struct weir_attempt_s *a) {
  lend_both(p, a, false);
  pthread_mutex_lock(&p->mu);
  p->resuming++;
  while (p->running >= p->slots && atomic_load(&a->stop.reason) == WEIR_STOP_NONE) pthread_cond_wait(&p->turn, &p->mu);
  p->resuming--;
  if (p->running < p->slots && !a->thread->given_up) {
    p->running++;
    a->slotless = false;
  }
  if (p->resuming > 0) pthread_cond_signal(&p->turn);
  else (void)kick(p);
  pthread_mutex_unlock(&p->mu);
}

void pool_look(struct pool *p) {
  pthread_mutex_lock(&p->mu);
  if (p->resuming > 0) pthread_cond_broadcast(&p->turn);
  pthread_mutex_unlock(&p->mu);
}

void pool_give_up(struct pool *p, struct weir_attempt_s *a) {
  pthread_mutex_lock(&p->mu);
  if (a->thread) a->thread->given_up = true;
  bool goes_on = atomic_load(&a->stop.reason) == WEIR_STOP_FENCED; /* the node, which gives its slot to another one */
  if (goes_on && a->thread && !a->slotless) {
    a->slotless = true;
    if (!slot_back(p)) (void)kick(p);
  }
  pthread_mutex_unlock(&p->mu);
}
