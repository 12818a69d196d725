/* The worker: one event loop thread that runs attempts through their executors, ten thousand at once; the spawner
 * process behind it does every fork and exec; a log thread writes output while it runs.
 *
 * Ownership: worker_start() takes attempts. Each comes back through done() exactly once, in a list: on the loop thread, or inside
 * worker_start() when it is alone and of an instant kind (ECHO, EXCEPTION). Threads: worker_start() and worker_cancel() may be
 * called on any thread and never block. Nothing here knows SQL: logs go out through worker_opts.log_write(). */
#ifndef WORKER_H
#define WORKER_H
#include <stdbool.h>
#include "attempt.h"
#include "health.h"

struct worker;
struct spawner;
struct registry;

/* Starts the spawner: a program of its own, which inherits no memory, no variable, no argument and no descriptor of this
 * process. It takes flock on DATA/lock (waits less than 2 s for a former spawner's last child) and holds it until its own last
 * child is reaped. Call it at any time, but before the host gives up the rights that tasks need (root). This process must be a
 * child subreaper (prctl), because the processes that a dead spawner leaves become its children; otherwise the call is refused.
 * Of its children only those of attempts are killed.
 *
 * Which program that is: spawner_link.h. */
struct run_as;
struct found;
struct spawner_opts {
  const char *data_dir;
  const struct run_as *run_as;      /* who its children may be (run_as.h), fixed from now on; NULL = the user of this process. It
                                       outlives the spawner */
  const struct found *found;        /* what its children get back (found.h); NULL = as this process is now */
  const char *program;              /* a weir, for kernels that execute nothing out of memory; NULL = none */
  const char *helper;               /* a weir-spawner of this build, to be started in place of the image; NULL = the image */
  bool no_tasks;                    /* SHELL is off, /proc may be anything */
};
enum wr_rc spawner_start(const struct spawner_opts *o, struct spawner **out, struct wr_err *err) WR_MUST;
/* The attempts that the former node on this directory had claimed and its spawner never started: the dying spawner wrote them
 * into the file of the lock that it still held. Valid until worker_close(). */
const struct never_started *spawner_never_started(const struct spawner *s, size_t *n);

struct log_piece { int64_t ti; uint32_t epoch, seq; uint8_t stream; int64_t offset, time_us; char *data; size_t n; };
enum { LOG_BATCH_PIECES = 256 };
/* AGAIN: the outcome is not known, or nothing can be written just now; the same pieces come again. FENCED: of a context alone. */
enum log_rc { LOG_STORED, LOG_AGAIN, LOG_NO_SPACE, LOG_REFUSED, LOG_FENCED };

/* How what attempts report is kept and found again (worker_kept.c). All are called by the log thread; blocking. */
struct kept_progress {
  int64_t ti, owner, at_us;
  uint32_t epoch;
  int64_t total, done;              /* -1 = not known */
  double speed;
  const char *unit, *message;       /* borrowed; "" = not known */
};
struct kept_context { int64_t ti, owner; uint32_t epoch; const char *text; size_t n; bool fenced; /* out */ };
enum { CONTEXT_BATCH = 100 };
struct worker_keeps {
  /* The last good context of the task, durable on STORED. FENCED: the attempt is not the one that runs; nothing changed. */
  enum log_rc (*context)(void *ctx, int64_t ti, uint32_t epoch, int64_t owner, const char *text, size_t n);
  /* Several, ascending by ti and epoch, at most CONTEXT_BATCH: all or none. NULL: they come one by one. */
  enum log_rc (*contexts)(void *ctx, struct kept_context *v, size_t n);
  /* Each ti once, ascending, at most LOG_BATCH_PIECES. Those of attempts that do not run any more change nothing. */
  enum log_rc (*progress)(void *ctx, const struct kept_progress *v, size_t n);
  /* What the next attempt of the task gets: *out malloc'ed, NULL = nothing. */
  enum log_rc (*recall)(void *ctx, int64_t ti, struct attempt_left **out);
  /* Deletes the log, the context and the progress of a task that is deleted, a part at a time. *more: call again. */
  enum log_rc (*forget)(void *ctx, int64_t ti, bool *more);
};
/* What analyses ask of the node. All are called by the analyst's threads, two at once; blocking. */
struct evidence;
struct executor;
struct worker_analysis {
  /* What was stored of that attempt; STORED: *out owns memory. `failed` is not looked at. AGAIN: not now. */
  enum log_rc (*evidence)(void *ctx, int64_t ti, uint32_t epoch, struct evidence *out);
  /* The current version of a registered analyzer; *out NULL: there is none. */
  enum wr_rc (*find)(void *ctx, const char *name, const struct executor **out, struct wr_err *err);
  struct def_env (*env)(void *ctx);   /* for the tasks that an answer adds */
};
struct worker_opts {
  struct spawner *spawner;          /* taken; NULL = no SHELL (attempts that spawn end FATAL) */
  const struct registry *executors; /* for an attempt whose definition does not name its executor; borrowed */
  const char *data_dir;             /* attempts' own directories live in DATA/run */
  bool shell_allowed;
  /* A sentence for tasks that would start a process where there is no spawner; NULL = the usual */
  const char *why_no_spawner;
  uint32_t process_slots;           /* children at once; process attempts beyond it wait at the spawner's gate, 100 ms at
                                       most, and are handed back then. 0 = no bound */
  void *ctx;
  void (*done)(void *ctx, struct attempt *list);   /* ended attempts, linked by next; ownership goes back */
  /* Its run timeout is over: the runner makes it CANCELING durably, then calls worker_cancel(). Loop thread. */
  void (*timed_out)(void *ctx, int64_t fi, int64_t ti, uint32_t epoch);
  /* Process attempts are not to be given to this node before boot_us: it could not start one. Loop thread; NULL = nothing. */
  void (*pause)(void *ctx, int64_t boot_us);
  /* There is no spawner and none can be started: this process is of no more use. Loop thread; NULL = nothing. */
  void (*useless)(void *ctx);
  /* The lock of the data directory was removed or replaced: this process is to end at once, as if it were killed. Loop thread;
   * NULL = nothing. */
  void (*gone)(void *ctx, const char *why);
  /* What worker_trouble() says has changed. Any thread, never blocks; NULL = nothing. */
  void (*news)(void *ctx);
  /* Log thread: writes n pieces, at most LOG_BATCH_PIECES, durably and all or none. Blocking. A piece that is written twice
   * stands once. */
  enum log_rc (*log_write)(void *ctx, const struct log_piece *v, size_t n);
  bool logs_apart;                  /* rows may be stored while logs are not: an ended task waits less for its log */
  const char *(*log_why)(void *ctx);   /* the cause of the last AGAIN. Log thread; NULL = not known */
  const struct worker_keeps *keeps; /* NULL: what attempts report is checked and dropped, and nothing is left for the next one */
  const struct worker_analysis *analysis;   /* NULL: it calls no analyzers, and hands such attempts back */
  struct backlog *backlog;          /* where results are counted from done() on; borrowed, NULL = nowhere */
  const char *tools;                /* the folder of `weir`, with which the PATH of SHELL tasks ends; NULL = not known */
};
enum wr_rc worker_open(const struct worker_opts *o, struct worker **out, struct wr_err *err) WR_MUST;
/* Takes the whole list. deadline: CLOCK_BOOTTIME us after which none may start and all die; INT64_MAX = none. */
void worker_start(struct worker *w, struct attempt *list);
void worker_set_deadline(struct worker *w, int64_t boot_us);
/* Asks the attempt (ti, epoch) to stop. A process gets TERM, then KILL when its grace is over, whatever the reason. Unknown =
 * nothing. Asked once more, it only learns the newer reason. STOP_NONE: the reason is not known; one that it knows stays.
 * STOP_FENCED: KILL at once, whatever it was asked before; it comes back as LOST. */
void worker_stop(struct worker *w, int64_t ti, uint32_t epoch, enum task_stop why);
/* The task was deleted: what its attempts logged and reported is deleted by and by. Any thread; never blocks. A call that is lost
 * with the process leaves rows that no route shows, under a number that is never used again. */
void worker_forget(struct worker *w, int64_t ti);
static inline void worker_cancel(struct worker *w, int64_t ti, uint32_t epoch) { worker_stop(w, ti, epoch, STOP_CANCEL); }
/* Takes partings (attempt.h): each tells once who works for its task elsewhere, and is gone; one with `forget` forgets its
 * task then. Bounded: those beyond the bound are logged, and not told. Any thread; never blocks. */
void worker_part(struct worker *w, struct attempt *list);
/* No new starts; every running attempt ends: children TERM, KILL after grace_us; they come back as HANDBACK (those that
 * end by themselves meanwhile: as they end). Returns when the last has come back through done(). */
void worker_drain(struct worker *w, int64_t grace_us);
/* Attempts that were taken and have not started come back as HANDBACK; all: those that run too, as in worker_drain(), but each
 * with its own grace. What is started later runs as ever. Any thread; never blocks. */
void worker_hand_back(struct worker *w, bool all);
/* Kills everything at once (fenced): all come back as LOST. Does not wait. */
void worker_kill_all(struct worker *w);
/* Can this node start processes? `why` names the cause. Any thread; never waits. */
void worker_health(struct worker *w, struct health_part *out);
/* Is there room for what attempts say, and does the store take it? The same. */
void worker_log_health(struct worker *w, struct health_part *room, struct health_part *store);
/* What goes wrong with processes, starts_until_us in CLOCK_BOOTTIME; the rest of *out is left as it is. The same. */
struct node_trouble;
void worker_trouble(struct worker *w, struct node_trouble *out);
void worker_close(struct worker *w);   /* after drain: stops threads, ends the spawner */
#endif
