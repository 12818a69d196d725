/* The worker's loop thread: mailbox, epoll, timers; and the calls of worker.h, which only put something into the mailbox.
 *
 * One turn: what descriptors brought, what the log thread did, what the mailbox holds, timers that are due; then all that
 * ended goes back in one done(). The loop never blocks but in epoll_wait(); it does not wake without a cause. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"
#include "cond.h"
#include "log_place.h"
#include "prompt.h"
#include "spawner_link.h"
#include "analyst.h"
#include "worker_parting.h"

enum { EVENTS = 64 };

/* ---- epoll and timers ---- */

static void control(struct worker *w, int op, struct source *s, uint32_t events) {
  struct epoll_event e = {.events = events, .data.ptr = s};
  wr_assert(epoll_ctl(w->epoll, op, s->fd, &e) == 0);
}

void worker_watch(struct worker *w, struct source *s, uint32_t events) { control(w, EPOLL_CTL_ADD, s, events); }
void worker_rewatch(struct worker *w, struct source *s, uint32_t events) { control(w, EPOLL_CTL_MOD, s, events); }

void worker_timer(struct worker *w, struct timer *t, int64_t at_us) {
  if (at_us) heap_push(&w->timers, &t->it, at_us);
  else heap_remove(&w->timers, &t->it);
}

static void set_timer(int fd, int64_t at_us) { /* INT64_MAX = off */
  struct itimerspec t = {0};
  if (at_us < 1) at_us = 1; /* 0 would be off */
  if (at_us != INT64_MAX) t.it_value = mono_at(at_us);
  timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL);
}

static void arm_clock(struct worker *w) {
  struct heap_item *top = heap_top(&w->timers);
  int64_t at = top ? top->at : INT64_MAX;
  if (at == w->clock_armed_us) return;
  w->clock_armed_us = at;
  set_timer(w->clock.fd, at);
}

/* The deadline grows with every batch of the runner. So the timer is left where it is, and the deadline is read again when the
 * timer fires. */
static void arm_boot(struct worker *w) {
  int64_t at = atomic_load(&w->deadline_us);
  if (at >= w->boot_armed_us || w->live.n + w->later.n == 0) return;
  w->boot_armed_us = at;
  set_timer(w->boot.fd, at);
}

static void swallow(int fd) {
  uint64_t n;
  ssize_t ignored = read(fd, &n, sizeof n); /* EAGAIN: somebody was quicker */
  (void)ignored;
}

/* From here on a poke writes again. All that was put somewhere before is looked at in this turn: the news, then the mailbox. */
static void on_mail(struct worker *w, struct source *s) {
  swallow(s->fd);
  pthread_mutex_lock(&w->lock);
  w->poked = false;
  pthread_mutex_unlock(&w->lock);
}

static void on_clock(struct worker *w, struct source *s) {
  swallow(s->fd);
  w->clock_armed_us = INT64_MAX;
}

static void on_boot(struct worker *w, struct source *s) {
  swallow(s->fd);
  w->boot_armed_us = INT64_MAX;
  if (clock_boot_us() >= atomic_load(&w->deadline_us)) exec_lose_all(w, "The node's lease is over.");
}

static void ring_timers(struct worker *w) {
  struct heap_item *it = heap_top(&w->timers);
  if (!it) return;
  int64_t now = clock_mono_us();
  for (; it && it->at <= now; it = heap_top(&w->timers)) {
    heap_remove(&w->timers, it);
    struct timer *t = (struct timer *)it;
    t->fire(w, t);
  }
}

/* ---- the mailbox ---- */

static void poke_locked(struct worker *w) {
  if (w->poked) return;
  w->poked = true;
  eventfd_write(w->mail.fd, 1);
}

void worker_poke(struct worker *w) {
  pthread_mutex_lock(&w->lock);
  poke_locked(w);
  pthread_mutex_unlock(&w->lock);
}

static void stop_one(struct worker *w, const struct cancel *c) {
  if (later_cancel(w, c->ti, c->epoch)) return;
  struct wx_exec *x = map64_get(&w->live, c->ti);
  if (!x || x->a->epoch != c->epoch) return;
  if (c->why == STOP_FENCED) exec_lose(x, "Its task was deleted.");
  else if (!x->stop) exec_stop(x, c->why ? c->why : STOP_CANCEL, WX_CANCEL_ASK);
  else if (c->why) exec_stop_for(x, c->why);
}

/* Starts before cancels: a cancel may be meant for one of these starts. */
static void read_mail(struct worker *w) {
  pthread_mutex_lock(&w->lock);
  struct attempt *in = w->in, *dead = w->dead_in, *next;
  struct cancel *cancel = w->cancel;
  size_t n_cancel = w->n_cancel;
  bool drain = w->want_drain && !w->draining, lose = w->want_kill, look = w->want_look;
  w->drain_grace_us = w->want_grace_us;
  w->in = w->dead_in = NULL;
  w->in_tail = &w->in;
  w->cancel = NULL;
  w->n_cancel = w->cap_cancel = 0;
  int back = w->want_back;
  w->want_kill = w->want_look = false;
  w->want_back = BACK_NONE;
  w->stopping = w->stop;
  pthread_mutex_unlock(&w->lock);

  if (look) child_look(w);
  if (lose) exec_lose_all(w, "The node lost its lease.");
  for (; dead; dead = next) next = dead->next, exec_refuse(w, dead, ATTEMPT_HANDBACK, "The node lost its lease.");
  if (drain) {
    w->draining = true;
    w->drain_until_us = clock_mono_us() + w->drain_grace_us +
                        (w->drain_grace_us / 2 < DRAIN_REST_US ? w->drain_grace_us / 2 : DRAIN_REST_US);
    exec_hand_back_all(w);
  }
  for (; in; in = next) next = in->next, exec_start(w, in);
  if (back == BACK_WAITING) exec_hand_back_waiting(w);
  if (back == BACK_ALL) exec_hand_back_all(w);
  for (size_t i = 0; i < n_cancel; i++) stop_one(w, &cancel[i]);
  free(cancel);
  exec_woken(w);
  partings_mail(w);
}

/* ---- giving back ---- */

void worker_give_back(struct worker *w, struct attempt *a) {
  if (a->parting) {
    parting_over(w, a);
    return;
  }
  w->n_done++;
  a->next = NULL;
  *w->done_tail = a;
  w->done_tail = &a->next;
}

/* Attempts count as running until done() has returned, so somebody always knows of each. */
static void deliver(struct worker *w) {
  uint32_t n = w->n_done + partings_ended(w);
  if (!n) return;
  struct attempt *list = w->done;
  w->done = NULL;
  w->done_tail = &w->done;
  if (list) w->o.done(w->o.ctx, list);
  pthread_mutex_lock(&w->lock);
  w->running -= n;
  if (w->running == 0) pthread_cond_broadcast(&w->idle);
  pthread_mutex_unlock(&w->lock);
  w->n_done = 0;
}

/* ---- the loop ---- */

static void turn(struct worker *w) {
  struct epoll_event e[EVENTS];
  arm_clock(w);
  arm_boot(w);
  int n = epoll_wait(w->epoll, e, EVENTS, -1);
  for (int i = 0; i < n; i++) {
    struct source *s = e[i].data.ptr;
    if (s->fd >= 0) s->ready(w, s); /* closed by an earlier one of this turn */
  }
  logger_news(w);
  keeper_news(w);
  read_mail(w);
  ring_timers(w);
  exec_sweep(w);
  child_sweep(w);
  deliver(w);
}

static void *run_loop(void *arg) {
  struct worker *w = arg;
  spawner_prompt();
  while (!w->stopping) turn(w);
  return NULL;
}

static bool listen_to(struct worker *w, struct source *s, int fd, void (*ready)(struct worker *, struct source *)) {
  *s = (struct source){.ready = ready, .fd = fd};
  if (fd < 0) return false;
  worker_watch(w, s, EPOLLIN);
  return true;
}

static enum wr_rc open_fds(struct worker *w, struct wr_err *err) {
  w->epoll = epoll_create1(EPOLL_CLOEXEC);
  if (w->epoll < 0) return wr_err_errno(err, "Cannot make the worker's event loop");
  bool ok = listen_to(w, &w->mail, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), on_mail);
  ok = ok && listen_to(w, &w->clock, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK), on_clock);
  ok = ok && listen_to(w, &w->boot, timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK), on_boot);
  return ok ? WR_OK : wr_err_errno(err, "Cannot make the worker's timers");
}

/* Signals are for the main thread. */
static enum wr_rc start_threads(struct worker *w, struct wr_err *err) {
  sigset_t all, was;
  sigfillset(&all);
  sigdelset(&all, SIGBUS); /* the thread that causes it must not block it: otherwise its handler would not run */
  pthread_sigmask(SIG_SETMASK, &all, &was);
  if (w->o.keeps) w->keeper = keeper_new(w); /* before the thread that looks at it */
  if (w->o.analysis) w->analyst = analyst_new(w);
  w->logger = logger_new(w);
  errno = w->logger ? log_thread(&w->thread, NULL, run_loop, w) : EAGAIN;
  bool ok = errno == 0;
  pthread_sigmask(SIG_SETMASK, &was, NULL);
  if (ok) return WR_OK;
  return wr_err_set(err, WR_INTERNAL, "Cannot start the worker's threads: %s. Raise the limit of processes (ulimit -u).",
                    strerrordesc_np(errno));
}

static void worker_free(struct worker *w) {
  partings_free(w->partings);
  logger_free(w->logger);
  keeper_free(w->keeper);
  analyst_free(w->analyst);
  child_cleanup(w);
  const int fd[] = {w->mail.fd, w->clock.fd, w->boot.fd, w->epoll};
  for (size_t i = 0; i < sizeof fd / sizeof *fd; i++)
    if (fd[i] >= 0) close(fd[i]);
  exec_free_unused(w);
  heap_done(&w->timers);
  map64_done(&w->live);
  map64_done(&w->kids);
  map64_done(&w->later);
  troubles_done(w);
  free(w->cancel);
  pthread_mutex_destroy(&w->lock);
  pthread_cond_destroy(&w->idle);
  free(w);
}

enum wr_rc worker_open(const struct worker_opts *o, struct worker **out, struct wr_err *err) {
  struct worker *w = wr_new(struct worker);
  w->o = *o;
  w->spawner = o->spawner;
  w->mail.fd = w->clock.fd = w->boot.fd = w->epoll = w->dir_fd = w->home.src.fd = -1;
  w->partings = partings_new();
  minder_init(w);
  w->boot_armed_us = w->clock_armed_us = INT64_MAX;
  troubles_init(w);
  reports_setup(w);
  w->in_tail = &w->in;
  w->done_tail = &w->done;
  w->out_tail = &w->out;
  atomic_init(&w->deadline_us, INT64_MAX);
  pthread_mutex_init(&w->lock, NULL);
  pthread_cond_init(&w->idle, NULL);
  enum wr_rc rc = open_fds(w, err);
  if (rc == WR_OK) rc = child_setup(w, err);
  if (rc == WR_OK) rc = start_threads(w, err);
  if (rc == WR_OK) *out = w;
  else worker_free(w);
  return rc;
}

/* ---- calls from any thread ---- */

void worker_start(struct worker *w, struct attempt *list) {
  if (!list) return;
  pthread_mutex_lock(&w->lock);
  bool alone = !list->next && !w->want_drain && !w->want_kill;
  pthread_mutex_unlock(&w->lock);
  if (alone && exec_instant(w, list)) { /* a lone step of a chain: this saves two changes of threads */
    w->o.done(w->o.ctx, list);
    return;
  }
  pthread_mutex_lock(&w->lock);
  *w->in_tail = list;
  for (struct attempt *a = list; a; a = a->next) {
    w->running++;
    w->in_tail = &a->next;
  }
  poke_locked(w);
  pthread_mutex_unlock(&w->lock);
}

void worker_stop(struct worker *w, int64_t ti, uint32_t epoch, enum task_stop why) {
  pthread_mutex_lock(&w->lock);
  *WR_PUSH(w->cancel, w->n_cancel, w->cap_cancel) = (struct cancel){ti, epoch, why};
  poke_locked(w);
  pthread_mutex_unlock(&w->lock);
}

void worker_set_deadline(struct worker *w, int64_t boot_us) {
  int64_t was = atomic_exchange(&w->deadline_us, boot_us);
  if (w->spawner) atomic_store(&w->spawner->page->deadline_us, boot_us);
  if (boot_us >= was) return;
  pthread_mutex_lock(&w->lock);
  w->want_look = true; /* rare: timers must move */
  poke_locked(w);
  pthread_mutex_unlock(&w->lock);
}

void worker_drain(struct worker *w, int64_t grace_us) {
  pthread_mutex_lock(&w->lock);
  w->want_grace_us = grace_us > 0 ? grace_us : 0;
  w->want_drain = true;
  poke_locked(w);
  while (w->running) pthread_cond_wait(&w->idle, &w->lock);
  pthread_mutex_unlock(&w->lock);
}

void worker_hand_back(struct worker *w, bool all) {
  pthread_mutex_lock(&w->lock);
  if (w->want_back != BACK_ALL) w->want_back = all ? BACK_ALL : BACK_WAITING;
  poke_locked(w);
  pthread_mutex_unlock(&w->lock);
}

void worker_kill_all(struct worker *w) {
  pthread_mutex_lock(&w->lock);
  *w->in_tail = w->dead_in;
  w->dead_in = w->in;
  w->in = NULL;
  w->in_tail = &w->in;
  w->want_kill = true;
  poke_locked(w);
  pthread_mutex_unlock(&w->lock);
}

void worker_close(struct worker *w) {
  if (!w) return;
  worker_drain(w, 0);
  pthread_mutex_lock(&w->lock);
  w->stop = true;
  poke_locked(w);
  pthread_mutex_unlock(&w->lock);
  pthread_join(w->thread, NULL);
  worker_free(w);
}

