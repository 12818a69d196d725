/* The node's care for its spawner: its pulse, its death, the two processes that stand by (guard and spare), and its successor.
 * Loop thread only. How the processes stand to each other: spawner.c.
 *
 * A dead spawner: its children die of their death signal. Their orphans go to its guard, or to this process if the guard is dead
 * too, and are killed and reaped. When none is left, the attempts end as LOST and the spare is woken. New starts wait meanwhile.
 *
 * A dead guard: a spawner that runs already cannot get a new parent. The spawner ends when nothing runs below it, and the spare
 * takes its place. On a node that is never idle starts are held back for HOLD_US now and then, so that short attempts end.
 *
 * What never happens: a wait without limit for a process that others may stop. A process that is woken, or that is to end, is
 * continued too. A process that does not move for PULSE_MAX_US is killed. When that does not help, or no spare is left to wake,
 * the node ends. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "spawner_link.h"
#include "worker_int.h"

enum { PACKETS_A_TURN = 64 };
#define DEBRIS_RETRY_US 2000
#define PULSE_US 1000000
#define PULSE_MAX_US 5000000
#define SPARE_AGAIN_US 1000000
#define HOLD_EVERY_US 5000000
#define HOLD_US 1000000

/* ---- the pulse ---- */

static void end_useless(struct worker *w) {
  log_error("worker.no_spawner", L_STR("effect", "no process can be started any more; the node ends"));
  trouble_begin(w, TROUBLE_SPAWNER, "There is no process left that could start tasks.");
  if (w->o.useless) w->o.useless(w->o.ctx);
}

/* A spawner that has been asked and does not turn for PULSE_MAX_US is stopped, or hangs. While attempts run it is asked each
 * PULSE_US. */
void minder_asked(struct worker *w) {
  struct minder *k = &w->minder;
  k->last = atomic_load(&w->spawner->page->turns);
  if (k->pulse.it.pos || k->lost) return;
  k->turns = k->last;
  k->pulse_us = clock_mono_us();
  worker_timer(w, &k->pulse, k->pulse_us + PULSE_US);
}

static void pulse_due(struct worker *w, struct timer *t) {
  struct minder *k = &w->minder;
  int64_t now = clock_mono_us();
  if (k->lost) return;
  if (atomic_load(&w->spawner->page->turns) != k->last) { /* it moved after the last packet */
    if (w->kids.n && !k->holding) child_look(w); /* ends are due: with all slots taken nothing else would ask it */
    return;
  }
  worker_timer(w, t, now + PULSE_US);
  if (k->turns != k->last) { /* it moved, and was asked again */
    k->turns = k->last;
    k->pulse_us = now;
  }
  if (now - k->pulse_us < PULSE_MAX_US) return;
  trouble_begin(w, TROUBLE_SPAWNER, "The process that starts tasks does not move; it is replaced.");
  spawner_kill(w->spawner);
  if (now - k->pulse_us < 2 * PULSE_MAX_US) return;
  worker_timer(w, t, 0); /* we may not kill it: it is another user's, and there is no spare that may */
  end_useless(w);
}

/* ---- the two that stand by ---- */

static void unwatch(struct watched *x) {
  if (x->src.fd >= 0) close(x->src.fd);
  x->src.fd = -1;
}

static void watch_process(struct worker *w, struct watched *x, pid_t pid, void (*dead)(struct worker *, struct source *)) {
  if (x->src.fd >= 0 && x->pid == pid) return;
  unwatch(x);
  x->pid = pid;
  int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
  if (fd < 0) return;
  x->src = (struct source){dead, fd};
  worker_watch(w, &x->src, EPOLLIN);
}

/* An event of this turn may belong to the process that was watched before. */
static bool is_dead(const struct watched *x) {
  struct pollfd p = {.fd = x->src.fd, .events = POLLIN};
  return poll(&p, 1, 0) > 0;
}

static void spare_died(struct worker *w, struct source *s) {
  struct minder *k = &w->minder;
  (void)s;
  if (!is_dead(&k->spare)) return;
  if (w->spawner->spare >= 0) close(w->spawner->spare);
  log_warn("worker.spare_died", L_INT("pid", k->spare.pid), L_STR("effect", "another one is made"));
  w->spawner->spare = w->spawner->spare_pid = -1;
  waitpid(k->spare.pid, NULL, WNOHANG);
  unwatch(&k->spare);
  child_say(w, SW_SPARE);
}

/* The spawner could make no spare, or the spare that it made did not speak. */
static void spare_again(struct worker *w, struct timer *t) {
  (void)t;
  if (!w->minder.lost && w->spawner->spare < 0) child_say(w, SW_SPARE);
}

static void release(struct worker *w) {
  w->minder.holding = false;
  worker_timer(w, &w->minder.hold, 0);
}

static void clear_debris(struct worker *w, struct timer *t);

static void lose(struct worker *w, const char *why) {
  struct minder *k = &w->minder;
  trouble_begin(w, TROUBLE_SPAWNER, why); /* until the next one is ready, however long that takes */
  k->link.fd = -1; /* spawner_cleared() closes the socket: it leaves the epoll set */
  k->lost = true;
  k->lost_us = clock_mono_us();
  k->unguarded = false;
  release(w);
  clear_debris(w, &k->debris);
}

/* Starts that wait here are for the next spawner. */
void minder_settle(struct worker *w) {
  const struct minder *k = &w->minder;
  if (!k->unguarded || w->kids.n > k->held || k->lost || w->draining || w->spawner->spare < 0) return;
  lose(w, "The process that starts tasks is being replaced.");
}

/* Starts are held back for HOLD_US, then let through for HOLD_EVERY_US. */
static void hold_due(struct worker *w, struct timer *t) {
  struct minder *k = &w->minder;
  if (!k->unguarded || k->lost) return;
  if (!k->holding) child_recall(w); /* before `holding` is set, because this packet would end it */
  k->holding = !k->holding;
  worker_timer(w, t, clock_mono_us() + (k->holding ? HOLD_US : HOLD_EVERY_US));
  if (k->holding) return;
  child_send_waiting(w);
  minder_settle(w);
  if (w->kids.n) child_look(w); /* the pulse rested meanwhile */
}

void minder_release(struct worker *w) {
  if (!w->minder.holding) return;
  hold_due(w, &w->minder.hold);
}

static void guard_died(struct worker *w, struct source *s) {
  struct minder *k = &w->minder;
  (void)s;
  if (!is_dead(&k->guard)) return;
  unwatch(&k->guard);
  if (k->lost) return; /* it died with its spawner, which is being dealt with */
  waitpid(k->guard.pid, NULL, WNOHANG);
  w->spawner->guard = -1;
  k->unguarded = true;
  log_warn("worker.guard_died", L_INT("pid", k->guard.pid),
           L_STR("effect", "it is replaced, with the spawner, when no process runs"));
  worker_timer(w, &k->hold, clock_mono_us() + HOLD_EVERY_US);
  minder_settle(w);
}

static void watch_both(struct worker *w) {
  watch_process(w, &w->minder.spare, w->spawner->spare_pid, spare_died);
  watch_process(w, &w->minder.guard, w->spawner->guard, guard_died);
}

/* ---- death ---- */

static void on_link(struct worker *w, struct source *s);

static void wake_spare(struct worker *w) {
  struct minder *k = &w->minder;
  k->lost = false;
  if (spawner_next(w->spawner)) {
    end_useless(w);
  } else {
    k->link = (struct source){on_link, w->spawner->sock};
    worker_watch(w, &k->link, EPOLLIN);
    watch_both(w);
    minder_asked(w); /* it may have been stopped in its sleep */
    k->pulse_us = clock_mono_us(); /* the time that the former spawner did not move does not count for this one */
    k->turns = k->last;
  }
  child_send_waiting(w); /* without a spawner they are dropped, and their attempts end in clear_debris() */
}

static void clear_debris(struct worker *w, struct timer *t) {
  struct minder *k = &w->minder;
  if (!spawner_cleared(w->spawner)) {
    int64_t now = clock_mono_us();
    if (now - k->lost_us >= PULSE_MAX_US)
      trouble_begin(w, TROUBLE_SPAWNER, "What the process that started tasks has left does not end.");
    worker_timer(w, t, now + DEBRIS_RETRY_US);
    return;
  }
  child_lose_orphans(w);
  wake_spare(w);
  if (w->spawner->sock >= 0) return;
  child_orphan_all(w);
  child_lose_orphans(w);
}

static void spawner_died(struct worker *w) {
  log_warn("worker.spawner_died", L_INT("pid", w->spawner->pid), L_INT("attempts", w->kids.n));
  unwatch(&w->minder.guard);
  child_forget_waiting(w);
  child_orphan_all(w);
  lose(w, "The process that starts tasks has died; another one takes its place.");
}

/* ---- what it says ---- */

static void ready(struct worker *w) {
  trouble_end(w, TROUBLE_SPAWNER);
  watch_both(w);
  if (w->spawner->spare < 0) worker_timer(w, &w->minder.spare_again, clock_mono_us() + SPARE_AGAIN_US);
}

static void on_link(struct worker *w, struct source *s) {
  union { struct sw_exit report[SW_REPORTS]; struct sw_plain plain; } m;
  uint32_t kind;
  child_send_waiting(w);
  for (int i = 0; i < PACKETS_A_TURN && s->fd >= 0; i++) {
    ssize_t n = spawner_recv(w->spawner, &m, sizeof m, &kind);
    if (n < 0) return;
    if (n == 0) {
      spawner_died(w);
      return;
    }
    if (kind == SW_READY) ready(w);
    if (kind != SW_EXIT && kind != SW_STARTED && kind != SW_STUCK) continue;
    for (size_t k = 0; k < (size_t)n / sizeof *m.report; k++) child_report(w, &m.report[k]);
    if ((size_t)n < sizeof m.report) return; /* more would have come with these */
  }
}

/* ---- open and close ---- */

void minder_init(struct worker *w) { w->minder.link.fd = w->minder.spare.src.fd = w->minder.guard.src.fd = -1; }

void minder_setup(struct worker *w) {
  struct minder *k = &w->minder;
  k->pulse.fire = pulse_due;
  k->debris.fire = clear_debris;
  k->spare_again.fire = spare_again;
  k->hold.fire = hold_due;
  k->link = (struct source){on_link, w->spawner->sock};
  if (k->link.fd < 0) return;
  worker_watch(w, &k->link, EPOLLIN);
  ready(w);
}

void minder_cleanup(struct worker *w) {
  unwatch(&w->minder.spare);
  unwatch(&w->minder.guard);
  if (w->minder.lost) (void)spawner_cleared(w->spawner);
  spawner_end(w->spawner);
}
