/* Private to the worker: the loop's own structures. Everything here belongs to the loop thread, except what stands under `lock`
 * and the log thread's side in worker_log.c.
 *
 *   worker.c        mailbox, epoll loop, timers, the calls of worker.h
 *   worker_exec.c   one attempt: start, the host table of the executor ABI, end
 *   worker_child.c  its child process: request, pipes, exit, result
 *   worker_spawner.c  the spawner's pulse and death, guard and spare
 *   worker_later.c  attempts that are not started yet, because something must end first
 *   worker_parting.c  tasks that have ended, whose work behind a URL is told to stop
 *   worker_home.c   is the lock of the data directory still there
 *   worker_note.c   what an attempt says while it runs, by kinds
 *   worker_report.c what it reports: lines of descriptor 3, progress, how it wants to end
 *   worker_kept.c   contexts and progress on their way to the store and back
 *   worker_log.c    the log thread: pieces, cap, ring
 *   analysis.c      one call of an analyzer; analyst.c the threads that read, think and parse for it
 *   worker_trouble.c  why this node cannot start processes just now; the pause after a start that failed
 *   spawner_link.c  the node's end of the spawner; spawner_exec.c its program (engine/spawner) */
#ifndef WORKER_INT_H
#define WORKER_INT_H
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>
#include "health.h"
#include "heap.h"
#include "map64.h"
#include "mem.h"
#include "node_trouble.h"
#include "registry.h"
#include "run_as.h"
#include "spawner_wire.h"
#include "worker.h"
#include "worker_log.h"
#include "worker_loop.h"
#include "worker_report.h"

enum { PIPE_READ_BYTES = 64 * 1024, FENCE_BYTES = 240 };
#define LOG_SHIP_US 1000000        /* how long output waits for more, at most */
#define DRAIN_REST_US 2500000      /* at a planned stop: what contexts get beyond the grace of programs, at most half of it */
#define LOG_LAST_US 3000000        /* how long an ended attempt waits for a log that does not grow */
#define LOG_ALL_US 60000000        /* the same for a log that grows, about */
#define GRACE_DEFAULT_US 10000000

/* A process that only has to live; readable = it is dead. */
struct watched { struct source src; pid_t pid; };

/* What worker_spawner.c knows of the spawner and the two that stand by. */
struct minder {
  struct source link;              /* the spawner's socket */
  struct watched spare, guard;
  struct timer debris, pulse, spare_again, hold;   /* pulse: runs while it was asked for something and has not moved since */
  uint64_t turns, last; int64_t pulse_us;          /* of the pulse */
  int64_t lost_us;
  size_t held;                     /* STARTs in w->out */
  bool lost;                       /* its children are being killed; starts wait until that is done */
  bool unguarded;                  /* its guard died: it is replaced when nothing runs */
  bool holding;                    /* starts wait, so that nothing runs soon */
};

/* What worker_home.c knows of the lock of the data directory. */
struct home { struct source src; struct timer look; bool gone; };

struct child;

/* One attempt under way: what the ABI calls wx_exec. */
struct wx_exec {
  struct timer timer, limit, wait; /* the executor's; run timeout; last log piece */
  struct timer beat;               /* it has reported nothing for as long as it may: rings about then, not before */
  int64_t beat_us;                 /* monotonic: its newest report, or its start */
  struct worker *w;
  struct attempt *a;
  const wx_ops *ops;               /* of an entry of the registry */
  void *data;
  wx_task task;
  struct child *child;             /* NULL = has none, or it ended */
  struct xlog *log;                /* NULL = said nothing */
  struct reports *reports;         /* NULL = reported nothing */
  int64_t begun_us;                /* monotonic; of a process: of its fork, or a little before */
  struct wx_exec *next;            /* on w->ended, or free */
  bool ended;                      /* done() was called */
  bool woken; struct wx_exec *next_woken;   /* under worker.lock: on worker.woken */
  bool queued;                     /* on w->ended */
  enum task_stop stop;              /* it was asked to stop; the newest reason */
  bool log_ending;                 /* xlog_end() was called */
  const char *lost;                /* why it comes back as LOST, whatever the executor said; NULL = it does not */
  bool silent;                     /* it was told to stop because it reported nothing: LOST unless it ended by itself */
  bool handback;                   /* comes back as HANDBACK unless it ended by itself with success */
  bool worn;                       /* every try to start it failed for as long as we wait; the cause need not be the task */
  bool never;                      /* it never began, for no fault of its own: comes back as HANDBACK, whatever else was asked */
  bool log_is_result;
  uint32_t again;                  /* it is started once more, later, but not more often than this; 0 = it is not */
  int64_t log_cap;                 /* < 0 = default */
  char fence[FENCE_BYTES];         /* last: not zeroed */
};

/* What goes wrong just now: starts fail; the spawner does not move (these two are about processes); logs have no room, because
 * the disk is full; logs wait for their store. */
enum trouble { TROUBLE_START, TROUBLE_SPAWNER, TROUBLE_DISK, TROUBLE_LOGS, TROUBLE__N };
struct troubles {
  pthread_mutex_t lock;            /* guards these three; leaf */
  struct health_part now[TROUBLE__N];
  int64_t held_us;                 /* = until_us */
  struct map64 stuck;              /* id of a START -> struct stuck_attempt; each has a slot, which bounds them */
  struct timer quiet;              /* loop: these */
  int64_t pause_us, until_us;      /* of the pause under way or the last one; its end, boot time */
};

/* A packet for the spawner that its socket had no room for. fd[0 .. kept) are pipes of a child. */
struct packet { struct packet *next; size_t n; int fd[SW_FDS], n_fd, kept; char data[]; };
struct cancel { int64_t ti; uint32_t epoch; enum task_stop why; };

struct worker {
  struct worker_opts o;
  char *dir;                       /* the data directory, absolute */
  int dir_fd, epoll;
  pthread_t thread;
  struct source mail, clock, boot;

  pthread_mutex_t lock;            /* guards the mailbox, `running`; leaf: nothing is called under it */
  pthread_cond_t idle;             /* running became 0 */
  struct attempt *in, **in_tail;   /* to be started */
  struct attempt *dead_in;         /* not started yet when worker_kill_all() came */
  struct cancel *cancel; size_t n_cancel, cap_cancel;
  struct wx_exec *woken;           /* by other threads: their executors are called */
  bool poked, want_drain, want_kill, want_look, stop;
  enum { BACK_NONE, BACK_WAITING, BACK_ALL } want_back;
  int64_t want_grace_us;
  uint32_t running;                /* from worker_start() until done() has returned */

  _Atomic int64_t deadline_us;
  int64_t boot_armed_us, clock_armed_us;
  struct heap timers;
  struct map64 live;               /* ti -> wx_exec */
  struct map64 kids;               /* id of a START -> child */
  struct map64 later;              /* ti -> attempt that is not started yet: worker_later.c */
  struct troubles troubles;
  struct wx_exec *ended, *unused;
  struct child *young, *young_last; struct timer watch;   /* children whose pipes are not watched yet */
  int64_t watch_id;                /* of the newest child that had begun when `watch` rang last */
  struct attempt *done, **done_tail; uint32_t n_done;
  bool draining, stopping;
  int64_t drain_grace_us, drain_until_us;   /* KILL after TERM; until then an end waits for its context to be stored */

  struct spawner *spawner;         /* the pointer and its page never change: any thread */
  uid_t euid;                      /* the spawner's: its children have it without a change */
  int64_t last_id;
  struct child *buried;            /* ended this turn: an event of this turn may still name their sources */
  struct packet *out, **out_tail;
  struct minder minder;
  struct home home;
  struct logger *logger;
  struct keeper *keeper;           /* NULL = nothing is kept */
  struct analyst *analyst;         /* NULL = it calls no analyzers */
  struct partings *partings;
  struct reporters reporters;
  char scratch[PIPE_READ_BYTES];
};

/* ---- worker.c; more in worker_loop.h ---- */
void worker_give_back(struct worker *w, struct attempt *a);              /* ended: goes out at the end of the turn */

/* ---- worker_exec.c ---- */
void exec_start(struct worker *w, struct attempt *a);
/* Runs it to its end on the calling thread, whichever that is; false: it is not of an instant kind, or its time is over. */
bool exec_instant(struct worker *w, struct attempt *a);
/* Ends an attempt that never got to its executor. error NULL = none. */
void exec_refuse(struct worker *w, struct attempt *a, enum attempt_end end, const char *error);
void exec_stop(struct wx_exec *x, enum task_stop why, int how);
void exec_stop_for(struct wx_exec *x, enum task_stop why);   /* it was told to stop before, for another reason */
void exec_sweep(struct worker *w);          /* all on w->ended: waits for their logs, then gives them back */
void exec_lose(struct wx_exec *x, const char *why);          /* kills it; it comes back as LOST */
void exec_lose_all(struct worker *w, const char *why);      /* kills all; they come back as LOST */
void exec_hand_back_waiting(struct worker *w);   /* those that have not started come back as HANDBACK */
void exec_hand_back_all(struct worker *w);  /* asks all to end; they come back as HANDBACK */
void exec_free_unused(struct worker *w);
void exec_child_done(struct wx_exec *x, const wx_exit *e);
void exec_wake(struct wx_exec *x);          /* any thread, under a leaf: woken() of its table follows on the loop */
void exec_woken(struct worker *w);          /* calls those whom other threads woke */
void exec_noted(struct wx_exec *x, uint32_t count, int answer);   /* so many contexts that it noted are decided: WX_KEPT_* */
void exec_log_over(struct wx_exec *x, struct log_sum sum);   /* how much of its log is stored, and how much is not; finishes it */
void exec_log_room(struct wx_exec *x);       /* its log takes more again */
void exec_reports_over(struct wx_exec *x);   /* what it reported is stored, or is not waited for any more; finishes it */
void exec_limit(struct wx_exec *x, int64_t from_us);   /* its run and heartbeat timeouts count from then on, monotonic */
static inline size_t exec_result_bytes(const struct wx_exec *x) {   /* the most that a result of it may have */
  return x->a->analysis ? LIMIT_ANALYSIS_BYTES : LIMIT_RESULT_BYTES;
}
static inline void exec_beat(struct wx_exec *x, int64_t now_us) { x->beat_us = now_us; }   /* it has reported something */

/* ---- worker_note.c ---- */
/* What an attempt says while it runs (WX_NOTE_*, copied); -1: it is not taken. */
int exec_note(struct wx_exec *x, int kind, int stream, const void *p, size_t n);
int exec_log_behind(struct wx_exec *x);     /* 1: its log takes no more for now; exec_log_room() is called when it does */

/* ---- worker_child.c ---- */
int child_spawn(struct wx_exec *x, const wx_spawn *sp, char *err, size_t err_n);
void child_kill(struct wx_exec *x, int how);
void child_pause(struct wx_exec *x);        /* its log is behind: read no more for now */
void child_resume(struct wx_exec *x);
bool child_unread(const struct wx_exec *x);             /* there may be reports that nobody has read */
void child_read_reports(struct wx_exec *x, bool yes);   /* its descriptor 3 is read, or left alone */
enum wr_rc child_setup(struct worker *w, struct wr_err *err);   /* the spawner's socket */
void child_cleanup(struct worker *w);
void child_look(struct worker *w);          /* tells the spawner that the deadline moved back */
void child_recall(struct worker *w);        /* attempts that wait for a place come back, because all is about to be killed */
void child_sweep(struct worker *w);         /* end of turn: frees the buried */

void child_say(struct worker *w, int kind);  /* an enum sw_kind without more; nothing when there is no spawner */
void child_send_waiting(struct worker *w);
void child_forget_waiting(struct worker *w);
void child_orphan_all(struct worker *w);
void child_lose_orphans(struct worker *w);  /* they end: as LOST, or as HANDBACK if they never began */
struct sw_exit;
void child_report(struct worker *w, const struct sw_exit *m);

/* ---- worker_spawner.c ---- */
void minder_init(struct worker *w);
void minder_setup(struct worker *w);        /* w->spawner is there */
void minder_cleanup(struct worker *w);      /* ends the spawner */
void minder_asked(struct worker *w);        /* the spawner has something to do, so it must move */
void minder_settle(struct worker *w);       /* a child has ended: is this the moment for another guard? */
void minder_release(struct worker *w);      /* starts are held back no longer */

/* ---- worker_home.c ---- */
void home_setup(struct worker *w);          /* w->spawner and w->dir are there */
void home_cleanup(struct worker *w);

/* ---- worker_later.c ---- */
void later_former(struct worker *w, struct attempt *a);       /* starts when the former attempt of that task has ended here */
void later_former_ended(struct worker *w, int64_t ti);
enum { BUSY_SAID = 8, AGAIN_TRIES = 9, BUSY_TRIES = 19 };     /* logged; ten seconds; a minute */
bool later_busy(struct worker *w, struct attempt *a, uint32_t tries);   /* starts a little later; false: no try is left */
void later_left(struct worker *w, struct attempt *a);         /* starts when what was left for it has been read */
void later_recalled(struct worker *w, int64_t ti, uint32_t epoch, enum log_rc rc, struct attempt_left *left);   /* takes left */
bool later_cancel(struct worker *w, int64_t ti, uint32_t epoch);  /* false: it does not wait here */
void later_recall(struct worker *w);                          /* all of them come back as HANDBACK */

/* ---- worker_trouble.c ---- */
void troubles_init(struct worker *w);
void troubles_done(struct worker *w);
void trouble_begin(struct worker *w, enum trouble what, const char *why);   /* any thread; logged when it turns */
void trouble_end(struct worker *w, enum trouble what);
void start_failed(struct worker *w, const char *why);         /* loop: this node could not make a start; it pauses */
void start_made(struct worker *w);
struct sw_exit;
/* SIGKILL does not end a process of the attempt. */
void stuck_add(struct worker *w, int64_t id, const struct attempt *a, const struct sw_exit *m);
void stuck_end(struct worker *w, int64_t id);                 /* it has ended, whatever it was */
#endif
