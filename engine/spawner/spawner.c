/* The spawner: a program of its own, started before anything else, that does every fork and exec of a node.
 *
 * One thread, no lock, no connection. It holds the flock on DATA/lock until its own last child is reaped. Each attempt is
 * one child, a session and process group of its own, and a subreaper: daemons of a running attempt stay in its tree.
 * When that child ends, what is left of its tree becomes ours. So every child of this process that is not the main child
 * of a running attempt belongs to an attempt that has ended, and is killed; an exit is reported only when none is left.
 *
 *   places: at most page->slots attempts at once, but for those that the node starts beside them (calls of analyzers, which
 *   have a bound of their own there); further starts wait at the gate (gate.c), not for long. Those starts take the
 *   places that become free, so the node need not hear of each end at once. Reports are gathered meanwhile: one packet for
 *   several saves the node and its database most of the work per attempt. A report never waits longer than HOLD_US, and it does
 *   not wait when the gate could be empty before the node's answer is here.
 *
 *   ties: each process is continued (SIGCONT) when its parent dies, because others may have stopped it.
 *
 *   guard: the spawner's parent ("weir-guard"), a subreaper that only outlives its spawner and kills what the spawner leaves.
 *   Node, guard and spawner each clear up after the other two, so a child survives only if all three are killed. A guard that
 *   dies alone is replaced together with its spawner. Guard and spawner have a session of their own, so no signal to the node's
 *   group reaches them.
 *
 *   successor: a guard forks the next guard ("weir-spare") before it forks its spawner. The spare sleeps on a socket of its own,
 *   whose other end goes to the node. A threaded node must not fork. So when spawner and guard have ended, the node kills what it
 *   may have inherited (the node is a subreaper too) and wakes the spare, which makes its own successor first. All of them share
 *   the descriptor of the lock, so the lock is never free in between.
 *
 *   dead node: its socket closes. The spawner kills everything, then it ends, and its guard ends too.
 *
 * What never happens: a start after the deadline of the shared page; a signal to a pid that was reaped already (a main
 * child is forgotten when it is reaped); waiting for one child while others need care. Only a start holds the loop up, as vfork
 * does, but not for a slow directory or program: see launch.c. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "context_file.h"
#include "err.h"
#include "fds.h"
#include "heap.h"
#include "map64.h"
#include "mem.h"
#include "oom.h"
#include "pads.h"
#include "prompt.h"
#include "spawner_int.h"

enum { PACKETS_A_TURN = 32 };
#define HOLD_US 10000
enum { HOLD_PART = 3 };            /* held reports are at most a third of the waiting starts: these last until the answer */
#define PATIENCE_MAX_US 600000000
#define IDLE_DIRS_US 1000000       /* directories made ahead stay for this long while nothing runs */
#define STUCK_US 10000000          /* after SIGKILL; a process that lives longer is named */
#define LOOK_US 1000000            /* while something that was killed lives */
#define SLOW_LOOK_US 20000         /* while a start is slow */
#define BROOM_STOP_US 1000000      /* how long a stop waits for the broom; the next start sweeps the rest */

struct proc {                    /* an attempt, from its fork to its report */
  struct heap_item kill_at;      /* end of its grace */
  struct proc *next;
  pid_t pid;
  struct workdir *dir;
  struct context_file *context, *script;   /* script: NULL = it needs none */
  uint32_t uid;
  int64_t killed_us, ended_us;   /* its SIGKILL; the end of its main child */
  bool beside;                   /* it takes no place */
  bool told, held;               /* told: the node knows that it does not die. held: processes of it live */
  bool recount;                  /* it, or one of its tree, has died since the last hunt: others of the tree may be ours now */
  size_t unseen;                 /* so many of the children that came before its end have not been looked at yet */
  struct sw_exit report;
};

struct spawn {
  int epoll, chld, grace, deadline;
  struct sw_page *page;
  int64_t armed_us;              /* deadline the timer stands at */
  bool dying, stuffed;           /* the node is dead; its socket is full */
  struct map64 by_id, by_pid;    /* running */
  struct heap kills;
  struct proc *ended;            /* reaped; their trees may still live */
  size_t n_ended, n_beside;      /* beside: of both, those that take no place */
  struct gate gate;
  struct sw_exit *out;           /* to be reported: out[sent .. n_out) */
  size_t sent, n_out, cap_out;
  int64_t out_since_us;          /* when the first of them came */
  int64_t now_us;                /* of this turn, monotonic */
  struct launcher launcher;
  struct strays strays;
  pid_t spare;                   /* the guard to be, when it was made here; 0 = none */
  const struct spawner_seed *seed;
  size_t n_killed;               /* running main children that a SIGKILL was sent to */
  struct workdirs dirs;
  int oom_score;                 /* of what runs here */
  int64_t idle_us, dying_us;     /* when the last attempt ended; when the node died */
};

/* ---- reports ---- */

static void watch_sock(struct spawn *s) {
  struct epoll_event e = {.events = EPOLLIN | (s->stuffed ? EPOLLOUT : 0u), .data.fd = FD_SOCK};
  epoll_ctl(s->epoll, EPOLL_CTL_MOD, FD_SOCK, &e);
}

/* Reports may be held while the places that became free are taken again and more starts wait for the next ones. */
static bool may_hold(const struct spawn *s) {
  return s->gate.n >= HOLD_PART * s->n_out && s->now_us - s->out_since_us < HOLD_US && !s->dying;
}

/* Sends the files of results along, and closes them unless the packet has to be sent again. errno as of sendmsg(). */
static ssize_t send_reports(struct sw_exit *r, size_t n) {
  int fd[SW_REPORTS];
  size_t n_fd = 0;
  for (size_t i = 0; i < n; i++)
    if (r[i].output == OUTPUT_FILE) fd[n_fd++] = r[i].fd;
  ssize_t rc = fds_send(FD_SOCK, r, n * sizeof *r, fd, n_fd, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (rc < 0 && (errno == EAGAIN || errno == ETOOMANYREFS)) return rc;
  for (size_t i = 0; i < n_fd; i++) close(fd[i]);
  return rc;
}

static void flush(struct spawn *s) {
  bool was = s->stuffed, crowded = false;
  if (s->n_out == 0 || (!was && may_hold(s))) return;
  s->stuffed = false;
  while (s->sent < s->n_out && !s->stuffed && !crowded) {
    size_t n = s->n_out - s->sent < SW_REPORTS ? s->n_out - s->sent : SW_REPORTS;
    ssize_t rc = send_reports(s->out + s->sent, n);
    if (rc < 0 && errno == EAGAIN && !s->dying) s->stuffed = true;
    else if (rc < 0 && errno == ETOOMANYREFS && !s->dying) crowded = true; /* more descriptors under way than one user may have */
    else s->sent += n; /* any other error: the node is gone, so the reports are dropped */
  }
  if (s->sent == s->n_out) s->sent = s->n_out = 0;
  if (crowded) s->out_since_us = s->now_us;
  if (was != s->stuffed) watch_sock(s);
}

static void report(struct spawn *s, const struct sw_exit *r) {
  if (s->n_out == 0) s->out_since_us = s->now_us;
  *WR_PUSH(s->out, s->n_out, s->cap_out) = *r;
}

/* Reports a start that never began: it had no place in time, or was called back. */
static void report_waited(struct spawn *s, struct gated *g, uint32_t flags) {
  report(s, &(struct sw_exit){.kind = SW_EXIT, .flags = flags, .id = g->m.id, .step = STEP_WAITED});
  gated_free(g);
}

/* Called before all running attempts are killed: no waiting start may take a place that becomes free by that. */
static void recall_all(struct spawn *s) {
  for (struct gated *g; (g = gate_take(&s->gate));) report_waited(s, g, SW_ASKED);
}

/* ---- killing ---- */

static void set_timer(int fd, int64_t at_us) { /* 0 = off */
  struct itimerspec t = {.it_value = {.tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000}};
  timerfd_settime(fd, TFD_TIMER_ABSTIME, &t, NULL);
}

static void drain(int fd) {
  char b[8 * sizeof(struct signalfd_siginfo)];
  while (read(fd, b, sizeof b) == (ssize_t)sizeof b) {}
}

static void arm_grace(struct spawn *s) {
  struct heap_item *top = heap_top(&s->kills);
  set_timer(s->grace, top ? (top->at > 0 ? top->at : 1) : 0);
}

static void kill_proc(struct spawn *s, struct proc *p) {
  heap_remove(&s->kills, &p->kill_at);
  p->report.flags |= SW_ASKED;
  if (!p->killed_us) p->killed_us = clock_mono_us(), s->n_killed++;
  kill(-p->pid, SIGKILL);
  kill(p->pid, SIGKILL); /* in case it is before its setsid() */
}

static void kill_all(struct spawn *s, uint32_t flags) {
  const struct map64_slot *m;
  for (size_t i = 0; (m = map64_next(&s->by_id, &i));) {
    struct proc *p = m->val;
    p->report.flags |= flags;
    kill_proc(s, p);
  }
}

/* The ladder: TERM now, KILL after the grace. A stopped group must run to see the TERM. */
static void on_kill(struct spawn *s, const struct sw_kill *m) {
  struct gated *g = gate_recall(&s->gate, m->id);
  if (g) {
    report_waited(s, g, SW_ASKED);
    return;
  }
  struct proc *p = map64_get(&s->by_id, m->id);
  siginfo_t over = {0}; /* ended, and not waited for yet: it did not end by a TERM of ours */
  if (!p || (waitid(P_PID, (id_t)p->pid, &over, WEXITED | WNOHANG | WNOWAIT) == 0 && over.si_pid)) return;
  if (m->force || m->grace_us == 0) {
    kill_proc(s, p);
  } else {
    int64_t at = clock_mono_us() + m->grace_us;
    if (!p->kill_at.pos || at < p->kill_at.at) heap_push(&s->kills, &p->kill_at, at);
    p->report.flags |= SW_ASKED;
    kill(-p->pid, SIGTERM);
    kill(-p->pid, SIGCONT);
  }
  arm_grace(s);
}

static void on_grace(struct spawn *s) {
  int64_t now = clock_mono_us();
  for (struct heap_item *it; (it = heap_top(&s->kills)) && it->at <= now;) kill_proc(s, (struct proc *)it);
  arm_grace(s);
}
_Static_assert(offsetof(struct proc, kill_at) == 0, "a heap_item is its proc");

/* A deadline nearly always grows. So the timer is left where it is, and the deadline is read again when the timer fires. */
static void arm_deadline(struct spawn *s) {
  int64_t at = atomic_load(&s->page->deadline_us);
  if (at >= s->armed_us) return;
  s->armed_us = at;
  set_timer(s->deadline, at > 0 ? at : 1);
}

static void on_deadline(struct spawn *s) {
  s->armed_us = INT64_MAX;
  set_timer(s->deadline, 0);
  if (clock_boot_us() >= atomic_load(&s->page->deadline_us)) kill_all(s, SW_LATE);
  else if (s->by_id.n) arm_deadline(s);
}

/* ---- ends ---- */

static int64_t tv_us(struct timeval t) { return t.tv_sec * 1000000LL + t.tv_usec; }

/* Its main child runs no more. */
static void forget_main(struct spawn *s, struct proc *p) {
  heap_remove(&s->kills, &p->kill_at);
  s->n_killed -= p->killed_us != 0;
  map64_del(&s->by_id, p->report.id);
  map64_del(&s->by_pid, p->pid);
  s->idle_us = s->now_us;
}

/* It was slow to start, and perhaps never started. */
static void end_slow(struct spawn *s, struct proc *p) {
  struct pad *pad = pads_of(&s->launcher.pads, p->pid);
  if (!pad) return;
  if (pad->plan.step) launch_failure(&pad->plan, &p->report.step, &p->report.err);
  pads_done(&s->launcher.pads, pad);
}

static void main_ended(struct spawn *s, struct proc *p, int status, const struct rusage *ru) {
  end_slow(s, p);
  p->report.status = status;
  p->report.utime_us = tv_us(ru->ru_utime);
  p->report.stime_us = tv_us(ru->ru_stime);
  p->report.maxrss_kib = ru->ru_maxrss;
  p->report.run_us = clock_mono_us() - p->report.start_us;
  forget_main(s, p);
  p->ended_us = s->now_us;
  p->recount = true;
  p->next = s->ended;
  s->ended = p;
  s->n_ended++;
}

/* Names a process that SIGKILL does not end; its attempt keeps its place. */
static void tell_stuck(struct spawn *s, pid_t pid, int64_t id) {
  struct sw_exit r = {.kind = SW_STUCK, .id = id, .status = pid};
  r.err = reap_state(pid, r.name);
  report(s, &r);
}

static void tell_stuck_mains(struct spawn *s) {
  const struct map64_slot *m;
  for (size_t i = 0; s->n_killed && (m = map64_next(&s->by_id, &i));) {
    struct proc *p = m->val;
    if (!p->killed_us || p->told || s->now_us - p->killed_us < STUCK_US) continue;
    p->told = true;
    tell_stuck(s, p->pid, p->report.id);
  }
}

/* A stray belongs to the attempt of its mark, unless no process of that attempt can have its user. A stray that took its mark off
 * belongs, for a while, to any attempt of its user that ended before the stray was seen. */
static bool is_of(const struct spawn *s, const struct stray *x, const struct proc *p) {
  bool same = p->uid == x->uid || x->uid == STRAY_ANYBODY;
  if (x->owner) return p->report.id == x->owner && (same || p->uid == 0);
  return same && x->since_us >= p->ended_us && s->now_us - x->since_us < STUCK_US;
}

/* The children of the stray come to us. */
static void stray_died(struct spawn *s, pid_t pid) {
  const struct stray *x = map64_get(&s->strays.by_pid, pid);
  for (struct proc *p = x ? s->ended : NULL; p; p = p->next) p->recount |= is_of(s, x, p);
}

static void on_child(struct spawn *s) {
  struct rusage ru;
  int status;
  drain(s->chld);
  for (pid_t pid; (pid = wait4(-1, &status, WNOHANG | __WALL, &ru)) > 0;) {
    if (pid == s->spare) s->spare = 0; /* its number may come again */
    stray_died(s, pid);
    if (workdirs_reaped(&s->dirs, pid) || strays_reaped(&s->strays, pid)) continue;
    struct proc *p = map64_get(&s->by_pid, pid);
    if (p) main_ended(s, p, status, &ru); /* the rest of its tree, if any, is ours now: see hunt() */
  }
}

/* New children stand at the end of the list, so a flood of them does not keep an attempt from its end: the attempt waits for
 * those that stood there when it died, or when the last seen process of its tree died. Where the list has no order, the attempt
 * waits for all of them. */
static void count_unseen(struct spawn *s, size_t seen, size_t more) {
  for (struct proc *p = s->ended; p; p = p->next) {
    size_t left = p->recount || s->strays.kids.file < 0 ? more : p->unseen > seen ? p->unseen - seen : 0;
    p->unseen = left < more ? left : more;
    p->recount = false;
  }
}

/* Kills the children of this process that are no main child of a running attempt, at most STRAYS_A_TURN in one turn. */
static void hunt(struct spawn *s) {
  struct strays *st = &s->strays;
  reap_children(&st->kids);
  pid_t group = 0;
  size_t n = 0, more = 0;
  for (size_t i = 0; i < st->kids.n; i++) {
    pid_t pid = st->kids.v[i];
    if (map64_get(&s->by_pid, pid) || pid == s->dirs.broom || pid == s->spare || strays_known(st, pid)) continue;
    if (n == STRAYS_A_TURN) {
      more++;
      continue;
    }
    n++;
    strays_add(st, pid, s->now_us);
    reap_slay(pid, &group);
  }
  st->more = more > 0;
  count_unseen(s, n, more);
}

static void hold(struct spawn *s, const struct stray *x) {
  for (struct proc *p = s->ended; p; p = p->next)
    if (is_of(s, x, p)) p->held = true;
}

static void hold_ended(struct spawn *s) {
  const struct map64_slot *m;
  for (struct proc *p = s->ended; p; p = p->next) p->held = p->unseen > 0;
  for (size_t i = 0; (m = map64_next(&s->strays.by_pid, &i));) {
    struct stray *x = m->val;
    hold(s, x);
    if (x->told || s->now_us - x->since_us < STUCK_US) continue;
    x->told = true;
    tell_stuck(s, x->pid, x->owner);
  }
}

/* The last process of the attempt is dead. */
static void end_proc(struct spawn *s, struct proc *p) {
  enum workdir_output what;
  p->report.fd = workdir_end(&s->dirs, p->dir, &what);
  p->report.output = (int32_t)what;
  context_file_end(&s->dirs, p->context);
  context_file_end(&s->dirs, p->script);
  report(s, &p->report);
  s->n_beside -= p->beside;
  free(p);
}

/* Ends this process when no process of any attempt is left. It waits a little for the broom; the next start removes the rest. */
static void end_when_swept(struct spawn *s) {
  if (s->by_id.n || s->ended) return;
  workdirs_trim(&s->dirs);
  workdirs_sweep(&s->dirs, s->now_us);
  if (s->dirs.broom == 0 || s->now_us - s->dying_us > BROOM_STOP_US) _exit(0);
}

static void settle_ends(struct spawn *s) {
  tell_stuck_mains(s);
  if (!s->ended && !s->dying && s->strays.by_pid.n == 0) return;
  hunt(s);
  hold_ended(s);
  for (struct proc **at = &s->ended, *p; (p = *at);) {
    if (p->held) {
      at = &p->next;
      continue;
    }
    *at = p->next;
    s->n_ended--;
    end_proc(s, p);
  }
  if (s->dying && s->strays.by_pid.n == 0) end_when_swept(s);
}

/* ---- starts ---- */

/* The descriptors of a START by what they are; -1 = there is none. */
struct given { int out, err, notes, in, context, script, program, text; };

/* Its directory, its context and its script, or none of them. */
static bool give_files(struct spawn *s, const struct sw_start *m, struct child_plan *plan, const struct given *g,
                       struct proc *p) {
  bool other = m->flags & SW_USER;
  uint32_t uid = other ? m->uid : s->dirs.me, gid = other ? m->gid : getegid();
  p->uid = uid;
  p->dir = workdir_take(&s->dirs, uid, gid);
  p->context = p->dir ? context_file_take(&s->dirs, uid, gid, g->context) : NULL;
  p->script = p->context && g->script >= 0 ? context_file_take(&s->dirs, uid, gid, g->script) : NULL;
  if (p->context && (p->script || g->script < 0)) return true;
  plan->step = STEP_WORKDIR;
  plan->err = errno;
  context_file_end(&s->dirs, p->context);
  if (p->dir) workdir_back(&s->dirs, p->dir);
  return false;
}

/* Nobody saw them. */
static void take_files_back(struct spawn *s, struct proc *p) {
  workdir_back(&s->dirs, p->dir);
  context_file_end(&s->dirs, p->context);
  context_file_end(&s->dirs, p->script);
}

static bool give(const struct sw_start *m, const int *fd, int n_fd, struct given *g) {
  int i = 0;
  const unsigned f = m->flags;
  const int want = 1 + !!(f & SW_APART) + !!(f & SW_NOTES) + !!(f & SW_STDIN) + !!(f & SW_CONTEXT) + !!(f & SW_SCRIPT) +
                   !!(f & SW_PROGRAM) + !!(f & SW_TEXT_FD);
  if (n_fd != want || (f & SW_SCRIPT && f & SW_PROGRAM)) return false;
  g->out = fd[i++];
  g->err = f & SW_APART ? fd[i++] : g->out;
  g->notes = f & SW_NOTES ? fd[i++] : -1;
  g->in = f & SW_STDIN ? fd[i++] : -1;
  g->context = f & SW_CONTEXT ? fd[i++] : -1;
  g->script = f & SW_SCRIPT ? fd[i++] : -1;
  g->program = f & SW_PROGRAM ? fd[i++] : 0;
  g->text = f & SW_TEXT_FD ? fd[i++] : -1;
  return true;
}

static void on_start(struct spawn *s, struct sw_start *m, size_t n, const int *fd, int n_fd) {
  bool beside = m->flags & SW_BESIDE;
  if (!beside) atomic_store(&s->page->begun, m->id);
  struct launcher *l = &s->launcher;
  struct child_plan plan = {.step = STEP_REQUEST, .err = EINVAL};
  struct sw_exit r = {.kind = SW_EXIT, .id = m->id, .fd = -1};
  struct given g;
  struct proc own = {0};
  bool may = give(m, fd, n_fd, &g) && launch_plan(l, &plan, m, n, g.text) && launch_allowed(l, &plan);
  bool ready = may && give_files(s, m, &plan, &g, &own);
  pid_t pid = -1;
  if (ready) {
    launch_dir(l, &plan, m->n_env, s->dirs.path, own.dir->name, own.context->name);
    if (own.script) launch_script(l, &plan, m->n_argv, s->dirs.path, own.script->name);
    plan.step = plan.err = 0;
    plan.fd[0] = g.in >= 0 ? g.in : STDIN_FILENO;
    plan.fd[1] = g.out;
    plan.fd[2] = g.err;
    plan.fd[3] = g.notes;
    plan.n_fd = g.notes >= 0 ? 4 : 3;
    plan.program_fd = g.program;
    r.start_us = clock_mono_us();
    pid = launch(l, &plan);
  }
  bool slow = pid > 0 && pads_of(&l->pads, pid);
  if (slow || plan.step) s->now_us = clock_mono_us();
  arena_reset(&l->arena);
  if (pid < 0) {
    r.step = plan.step;
    r.err = plan.err;
    if (ready) take_files_back(s, &own);
    report(s, &r);
    return;
  }
  if (m->flags & SW_TELL) report(s, &(struct sw_exit){.kind = SW_STARTED, .id = r.id, .start_us = r.start_us});
  struct proc *p = wr_new(struct proc);
  *p = own;
  p->pid = pid;
  p->beside = beside;
  s->n_beside += beside;
  if (!slow) oom_score(pid, s->oom_score, p->uid, s->dirs.me);
  p->report = r;
  map64_put(&s->by_id, r.id, p);
  map64_put(&s->by_pid, pid, p);
  arm_deadline(s);
}

/* ---- starts that are slow ---- */

/* The program has not run and will not run, even if the child cannot die. So the attempt has failed now. */
static void give_up(struct spawn *s, struct pad *pad, struct proc *p) {
  kill(p->pid, SIGKILL);
  strays_add(&s->strays, p->pid, s->now_us);
  forget_main(s, p);
  take_files_back(s, p);
  p->report.step = STEP_HANGS;
  p->report.err = ETIMEDOUT;
  report(s, &p->report);
  s->n_beside -= p->beside;
  free(p);
  pads_done(&s->launcher.pads, pad);
}

/* The score is written after the exec: before it the child is on our memory, and the write would change our own score. */
static void look_at_slow(struct spawn *s) {
  for (struct pad *pad = s->launcher.pads.slow ? s->launcher.pads.first : NULL; pad; pad = pad->next) {
    struct proc *p = pad->pid ? map64_get(&s->by_pid, pad->pid) : NULL;
    if (!p) continue;
    if (atomic_load(&pad->tid) != 0) {
      if (s->now_us >= pad->until_us) give_up(s, pad, p);
    } else if (!pad->plan.step) { /* else it ends at once */
      oom_score(p->pid, s->oom_score, p->uid, s->dirs.me);
      pads_done(&s->launcher.pads, pad);
    }
  }
}

/* An attempt whose tree still lives keeps its place. */
static bool room(const struct spawn *s) {
  uint32_t slots = atomic_load(&s->page->slots);
  return slots == 0 || s->by_id.n + s->n_ended - s->n_beside < slots;
}

static void open_gate(struct spawn *s) {
  for (struct gated *g; s->gate.n && room(s); gated_free(g)) {
    g = gate_take(&s->gate);
    on_start(s, &g->m, g->n, g->fd, g->n_fd);
  }
  while (s->gate.n && s->now_us - s->gate.head->since_us >= atomic_load(&s->page->gate_wait_us))
    report_waited(s, gate_take(&s->gate), 0);
}

/* ---- the socket ---- */

/* The node is dead, so its starts do not count any more. The next node learns from the lock's file which attempts never started;
 * where the file cannot be written, these are lost like the rest. */
static void node_died(struct spawn *s) {
  struct buf b = BUF_INIT;
  s->dying = true;
  s->dying_us = s->now_us;
  epoll_ctl(s->epoll, EPOLL_CTL_DEL, FD_SOCK, NULL);
  for (struct gated *g; (g = gate_take(&s->gate)); gated_free(g)) buf_printf(&b, "%lld %u\n", (long long)g->m.ti, g->m.epoch);
  kill_all(s, 0);
  bool empty = ftruncate(FD_LOCK, LOCK_PID_BYTES) == 0;
  if (empty && b.len > 0 && pwrite(FD_LOCK, b.data, b.len, LOCK_PID_BYTES) != (ssize_t)b.len)
    (void)!ftruncate(FD_LOCK, LOCK_PID_BYTES);
  buf_done(&b);
}

/* The former spare was killed. The new one is our child until we end; then the guard's, and at last the child of the node, which
 * wakes it. */
static void make_another_spare(struct spawn *s) {
  int fd = spawner_spare_below(s->seed, &s->spare);
  spawner_say(SW_READY, WR_OK, "", fd);
  if (fd >= 0) close(fd);
}

_Static_assert((int)SW_FDS <= FDS_MAX && (int)SW_REPORTS <= FDS_MAX, "a packet has room for what a START and what reports bring");

/* True when the packet cost little, so that the next one may be looked at before the children are. */
static bool on_packet(struct spawn *s) {
  static union { struct sw_start start; struct sw_kill kill; char room[sizeof(struct sw_start) + SW_INLINE]; } m;
  struct fds f;
  ssize_t n = fds_recv(FD_SOCK, &m, sizeof m, MSG_DONTWAIT, SW_FDS, &f);
  if (n < 0 && errno == EAGAIN) return false;
  if (n <= 0) {
    node_died(s);
    return false;
  }
  uint32_t kind = sw_asked(&m, (size_t)n);
  if (f.cut) fds_close(&f, 0); /* a START without descriptors is refused */
  if (kind == SW_START && !(m.start.flags & SW_BESIDE) && (s->gate.n || !room(s))) {
    gate_put(&s->gate, &m.start, (size_t)n, f.v, (int)f.n, s->now_us);
    return true;
  }
  if (kind == SW_START) on_start(s, &m.start, (size_t)n, f.v, (int)f.n);
  else if (kind == SW_KILL) on_kill(s, &m.kill);
  else if (kind == SW_RECALL) recall_all(s);
  else if (kind == SW_LOOK) arm_deadline(s);
  else if (kind == SW_SPARE) make_another_spare(s);
  fds_close(&f, 0);
  return kind != SW_START;
}

/* ---- the process ---- */

static void watch(struct spawn *s, int fd) {
  struct epoll_event e = {.events = EPOLLIN, .data.fd = fd};
  epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e);
}

/* A freed place is filled before its end is reported. */
static void settle(struct spawn *s) {
  look_at_slow(s);
  settle_ends(s);
  open_gate(s);
  flush(s);
  if (!s->dying) workdirs_sweep(&s->dirs, s->now_us); /* the broom may have come back */
  if (workdirs_keep(&s->dirs) && s->by_id.n == 0 && s->now_us - s->idle_us >= IDLE_DIRS_US) workdirs_trim(&s->dirs);
}

static void soonest(int64_t *at, int64_t other) {
  if (other < *at) *at = other;
}

/* Milliseconds until something has waited enough: a report, a gated start, unused directories; -1 = there is nothing. */
static int patience(const struct spawn *s) {
  int64_t at = INT64_MAX;
  if (s->n_out && !s->stuffed) soonest(&at, s->out_since_us + HOLD_US);
  if (s->gate.n) soonest(&at, s->gate.head->since_us + atomic_load(&s->page->gate_wait_us));
  if (workdirs_keep(&s->dirs) && s->by_id.n == 0) soonest(&at, s->idle_us + IDLE_DIRS_US);
  if (s->strays.more) return 0;
  if (s->launcher.pads.slow) soonest(&at, s->now_us + SLOW_LOOK_US);
  if (s->strays.by_pid.n || s->n_killed) soonest(&at, s->now_us + LOOK_US);
  if (s->dying && s->dirs.broom) soonest(&at, s->dying_us + BROOM_STOP_US + 1000);
  if (at == INT64_MAX) return -1;
  int64_t left = at - clock_mono_us();
  return left <= 0 ? 0 : left > PATIENCE_MAX_US ? PATIENCE_MAX_US / 1000 : (int)((left + 999) / 1000);
}

/* Ends first: a freed place is worth more than a new start. */
static void turn(struct spawn *s) {
  struct epoll_event e[4];
  int n = epoll_wait(s->epoll, e, 4, patience(s));
  bool sock = false, chld = false;
  s->now_us = clock_mono_us();
  atomic_fetch_add_explicit(&s->page->turns, 1, memory_order_relaxed);
  for (int i = 0; i < n; i++) {
    if (e[i].data.fd == s->chld) chld = true;
    else if (e[i].data.fd == FD_SOCK) sock = true;
    else drain(e[i].data.fd);
    if (e[i].data.fd == s->grace) on_grace(s);
    if (e[i].data.fd == s->deadline) on_deadline(s);
  }
  if (chld) on_child(s);
  settle(s);
  if (!sock || s->dying) return;
  for (int i = 0; i < PACKETS_A_TURN && on_packet(s); i++) {}
  settle(s);
}

/* Runs in the spawner's process, when the guard and the spare are made. */
_Noreturn void spawner_loop(const struct spawner_seed *seed, int spare) {
  static struct spawn s;
  s = (struct spawn){.page = seed->page, .seed = seed, .strays = STRAYS_INIT, .armed_us = INT64_MAX};
  s.launcher = (struct launcher){.pid = getpid(), .page = seed->page, .run_as = seed->run_as, .found = &seed->found,
                                 .strays = &s.strays};
  gate_init(&s.gate);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  s.epoll = epoll_create1(EPOLL_CLOEXEC);
  s.chld = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  s.grace = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
  s.deadline = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
  if (s.epoll < 0 || s.chld < 0 || s.grace < 0 || s.deadline < 0) _exit(1);
  arena_init(&s.launcher.arena, 0);
  watch(&s, FD_SOCK);
  watch(&s, s.chld);
  watch(&s, s.grace);
  watch(&s, s.deadline);
  workdirs_init(&s.dirs, FD_RUN, seed->run_path);
  s.oom_score = oom_score_of_tasks();
  s.now_us = clock_mono_us();
  workdirs_sweep(&s.dirs, s.now_us);
  spawner_prompt();
  spawner_say(SW_READY, WR_OK, "", spare);
  if (spare >= 0) close(spare);
  for (;;) turn(&s);
}
