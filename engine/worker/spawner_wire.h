/* Private to the worker: what a node and its spawner say to each other, in packets on one SOCK_SEQPACKET pair.
 * Both are the same binary, forked, so structs travel as they are.
 *
 *   node -> spawner:  START (output[, stderr, when it is apart][, stdin][, text] go along as descriptors)   KILL   RECALL   LOOK
 *                     ACTIVATE
 *                     SPARE: make another, which is answered by READY again
 *   spawner -> node:  READY (with the socket of its successor) or REFUSED, once;  EXIT, exactly once for each START; before
 *                     it STARTED, when the START asked for it. Up to SW_REPORTS of these two share a packet
 *   spare -> node:    HELLO, once; woken it is a guard, whose spawner says READY
 *
 * The node's end closed = the node is dead: the spawner kills all it has and ends. */
#ifndef SPAWNER_WIRE_H
#define SPAWNER_WIRE_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "err.h"
#include "found.h"
#include "mem.h"
#include "strays.h"
#include "workdir.h"

/* Shared memory of the node and all its spawners: the deadline moves with every batch, too often for a packet. */
struct sw_page {
  _Atomic int64_t deadline_us;       /* CLOCK_BOOTTIME; nothing starts after it and all is killed at it */
  _Atomic uint32_t slots;            /* attempts at once; a START beyond it waits (gate.c). 0 = no bound */
  _Atomic int64_t gate_wait_us;      /* one that waits longer goes back: another node may have it */
  _Atomic uint64_t turns;            /* of the spawner: one that stands while something is asked for does not move */
  _Atomic int64_t begun;             /* id of the newest START that waits no more; starts are begun in their order */
};

enum sw_kind { SW_START = 1, SW_KILL, SW_RECALL, SW_LOOK, SW_ACTIVATE, SW_READY, SW_REFUSED, SW_HELLO, SW_STARTED, SW_EXIT, SW_STUCK, SW_SPARE, SW_SLAY };
enum { SW_LIMITS = 16, SW_INLINE = 48 * 1024, SW_FDS = 4, SW_REPORTS = 32 };
enum { SW_STDIN = 1, SW_TEXT_FD = 2, SW_CWD = 4, SW_USER = 8, SW_TELL = 16, SW_APART = 32 };  /* sw_start.flags; TELL: send STARTED */

struct sw_limit { uint32_t resource; uint64_t soft, hard; };
/* Followed, in the packet or (SW_TEXT_FD) in the last descriptor, by text_bytes of text: n_group group ids (uint32_t),
 * then NUL-terminated: [cwd], argv, env. */
struct sw_start {
  uint32_t kind, flags;
  int64_t id, ti;                    /* ti, epoch: of the attempt, for the list of those that never started */
  uint32_t epoch;
  uint32_t uid, gid, n_group;        /* SW_USER */
  int32_t umask;                     /* -1 = that with which the server was started */
  uint32_t n_argv, n_env, n_limit;
  uint64_t text_bytes;
  struct sw_limit limit[SW_LIMITS];
};
struct sw_kill { uint32_t kind; int32_t force; int64_t id, grace_us; };
enum { SW_SLAY_MAX = 64 };
struct sw_slay { uint32_t kind, n; pid_t pid[SW_SLAY_MAX]; };   /* node -> spare, which answers with a plain SLAY when they are killed */
struct sw_plain { uint32_t kind; int32_t pid; int32_t rc; char text[244]; };   /* rc: of REFUSED, an enum wr_rc. READY, REFUSED, HELLO, RECALL, LOOK, ACTIVATE */

/* At what a start failed. WAITED: at nothing, it waited too long for a place or was called back before it had one. */
enum sw_step { STEP_NONE, STEP_FORK, STEP_DEADLINE, STEP_REQUEST, STEP_SESSION, STEP_FILES, STEP_LIMIT, STEP_USER, STEP_CWD,
               STEP_PRCTL, STEP_EXEC, STEP_INTERPRETER, STEP_WAITED, STEP_NOT_ALLOWED, STEP_WORKDIR, STEP_DISTURBED, STEP_HANGS };
enum { SW_ASKED = 1, SW_LATE = 2 };  /* sw_exit.flags: a TERM or KILL of ours came first; the deadline killed it */
struct sw_exit {                     /* EXIT; of STARTED: kind, id, start_us */
  uint32_t kind, flags;
  int64_t id;
  int32_t step, err;                 /* step != 0: it did not start; errno */
  int32_t status;                    /* of wait4 */
  int64_t start_us, run_us;          /* CLOCK_MONOTONIC when it was forked, 0 = never; how long its process lived */
  int64_t utime_us, stime_us, maxrss_kib;
  char name[16];                     /* STUCK: id, or 0 = unknown; status = a pid that SIGKILL does not end, err = its state */
  int32_t output, fd;                /* enum workdir_output. OUTPUT_FILE: a descriptor goes along, in the order of the reports of a
                                        packet; spawner_recv() puts it here */
};

/* ---- gate.c: starts that wait for a place ---- */
struct gated {
  struct gated *next;
  int64_t since_us;
  size_t n;                          /* bytes of the packet: m and the text behind it */
  int fd[SW_FDS], n_fd;
  struct sw_start m;
};
#define GATE_WAIT_US 100000
struct gate { struct gated *head, **tail; size_t n; };
void gate_init(struct gate *g);
/* Copies the packet and takes its descriptors. */
void gate_put(struct gate *g, const struct sw_start *m, size_t n, const int *fd, int n_fd, int64_t now_us);
struct gated *gate_take(struct gate *g);                 /* the oldest; NULL = none */
struct gated *gate_recall(struct gate *g, int64_t id);   /* that one; NULL = it does not wait */
void gated_free(struct gated *w);                        /* closes its descriptors */

/* ---- child.c: from clone to exec ---- */
struct child_plan {
  char *const *argv, *const *env;
  const char *const *program;        /* paths to try, in order, NULL-terminated */
  const char *cwd;                   /* NULL = the spawner's */
  int umask;
  const struct found *found;
  uint64_t mark;                     /* of its processes: see strays.h */
  int fd[3];
  struct sw_limit *limit; uint32_t n_limit;
  int set_user; uint32_t uid, gid; const uint32_t *group; uint32_t n_group;
  pid_t parent;
  _Atomic int alone;                 /* out, through shared memory: it needs nothing of the spawner's but this and what it points to */
  int step, err;                     /* out: where it failed */
};
/* Runs in the child on the spawner's memory; returns only to _exit. */
int child_main(void *plan);

/* ---- launch.c: one start ---- */
#define LAUNCH_SLOW_US 10000000      /* from clone to exec; what takes longer is killed, and its attempt has failed */
struct pads { struct pad *first; size_t slow; };   /* pads.h */
struct launcher {
  struct arena arena;                /* of the start under way; whoever calls resets it */
  struct pads pads;
  struct strays *strays;             /* who was killed, and has not ended yet */
  pid_t pid;                         /* the spawner's */
  struct sw_page *page;
  const struct run_as *run_as;
  const struct found *found;         /* as it was before any task could speak */
};
/* n: bytes of the packet. The text lies behind m, or in text_fd. */
bool launch_plan(struct launcher *l, struct child_plan *p, struct sw_start *m, size_t n, int text_fd);
bool launch_allowed(const struct launcher *l, struct child_plan *p);
void launch_dir(struct launcher *l, struct child_plan *p, uint32_t n_env, const char *run_path, const char *name);
/* Its pid, or -1 with p->step and p->err set. It may be slow to exec: pads_of() knows it then. */
pid_t launch(struct launcher *l, struct child_plan *p);
void launch_failure(const struct child_plan *p, int32_t *step, int32_t *err);   /* of a child that did not come to its exec */

/* ---- reap.c: who are the children of this process ---- */
/* The pids of all children of this process's first thread (where orphans arrive), those too that are dead but not waited
 * for. Stays with the process that called it first. */
void reap_children(struct kids *k);
/* Kills it and its group: a fork bomb loses to one signal that reaches all of it at once. */
void reap_slay(pid_t pid, pid_t *group);   /* *group: the last one that was killed, is not killed again */
/* Its name, and its state as /proc has it; '?' = unknown. */
char reap_state(pid_t pid, char name[16]);
/* The number that its attempt was given, 0 = none that can be read. */
bool reap_user(pid_t pid, uint32_t *uid);      /* of whoever it runs as, whether it may be looked into or not */
uint64_t reap_mark(pid_t pid);
/* Kills and reaps what a dead spawner left to this process: children in another session than its own (every attempt
 * lives in one of its own). Returns how many still live; never blocks. */
/* slay: kills all of them, NULL = reap_slay() each. marked: only what carries the mark of an attempt; a host may have other children.
 * A process that lowers its own limit of file locks has none: what is marked then is the rest of its tree. */
typedef void slay_fn(void *ctx, const pid_t *pid, size_t n);
size_t reap_debris(bool marked, slay_fn *slay, void *ctx);

/* ---- former.c: who holds the lock of a data directory, of those of a server that was killed ---- */
void former_wake(int lock);                              /* continues those that are stopped: they see then that they are to end */
bool former_names(int lock, char *out, size_t n);        /* "weir-guard (12), .."; false: none that this process may look into */

/* ---- guard.c, spawner.c: the processes ---- */
#define LOCK_NAME "lock"
enum { LOCK_PID_BYTES = 12 };        /* DATA/lock: the node's pid, blanks, a newline; behind it "ti epoch" lines of what never started */
enum { SPAWNER_FIRST, SPAWNER_SPARE };
enum { FD_SOCK = 3, FD_LOCK = 4, FD_NULL = 5, FD_RUN = 6 };
void spawner_null_files(int null);       /* 0-2 */
void spawner_say(int kind, enum wr_rc rc, const char *text, int fd);
/* run -1 = to be made */
struct spawner_seed { int role, sock, lock, run; const char *run_path; struct sw_page *page; const struct run_as *run_as; struct found found; };
/* A spare that is a child of this process. Returns the node's end of its socket, -1 = none. */
int spawner_spare_below(const struct spawner_seed *seed, pid_t *pid);
_Noreturn void spawner_loop(const struct spawner_seed *seed, int spare);
/* The calling thread runs briefly and rarely: it asks to be let in at once rather than to run long, so that a free place is
 * filled before a busy neighbour has used up its turn. Worth 5 % of the starts a second on two cores. */
void spawner_prompt(void);
_Noreturn void spawner_main(struct spawner_seed seed);

/* ---- spawner_link.c: the node's end ---- */
struct spawner {
  int sock, spare;                   /* -1 = none */
  pid_t guard, pid, spare_pid;       /* the spawner's parent, child of the node; the spawner, as READY told; the next guard */
  struct sw_page *page;
  const struct run_as *run_as;       /* who its children may be; `own` = made here, for want of another */
  struct run_as *own;
  uid_t uid;                         /* the spawner's, whatever the node becomes after */
  char *run_path;                    /* DATA/run, absolute */
  dev_t lock_dev; ino_t lock_ino;    /* the file whose lock the processes hold */
  struct never_started *never; size_t n_never, cap_never;
};
/* 0, or errno. EAGAIN: nothing was sent, try again when the socket is writable. fds stay the caller's. */
int spawner_send(struct spawner *s, const void *p, size_t n, const int *fds, int n_fd);
/* One message of the active spawner: its size; 0 = it is dead; -1 = none now. A READY's socket becomes the spare; descriptors of
 * an EXIT's reports are in these, and the caller's. */
ssize_t spawner_recv(struct spawner *s, void *p, size_t n);
/* The active spawner is dead. Has its guard, or this process where that is dead too, cleared up after it? Never blocks; to be
 * asked until it is true. Then spawner_next() wakes the spare: 0 or -1. */
bool spawner_cleared(struct spawner *s);
int spawner_next(struct spawner *s);
/* SIGKILL for guard and spawner: it does not move. By the spare where this process may not. */
void spawner_kill(struct spawner *s);
void spawner_end(struct spawner *s); /* the process, its spare and s end; waits for the last child */
#endif
