/* Private to the spawner's program: how its files stand to each other.
 *
 *   program.c   from the exec to the first guard      guard.c     guard, spare, and what each is in its first moments
 *   seed.c      what it is told at its start          spawner.c   the spawner's loop
 *   gate.c      starts that wait for a place          launch.c    one start, from the packet to the exec
 *   child.c     the child's half of that              pads.c      where it runs until its exec
 *   strays.c    what attempts leave behind            workdir.c   the private directory of an attempt
 *   reap.c      children, and how they are ended      former.c    processes that hold the directory's lock
 *   fds.c       packets with descriptors              context_file.c   what an attempt gets from an earlier one
 *   rehearsal.c, caps.c, oom.c   tried, kept and set for tasks of other users
 *
 * Every process here has one thread. */
#ifndef SPAWNER_INT_H
#define SPAWNER_INT_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "err.h"
#include "found.h"
#include "mem.h"
#include "reap.h"
#include "seed.h"
#include "spawner_wire.h"
#include "strays.h"
#include "workdir.h"

/* ---- gate.c: starts that wait for a place ---- */
struct gated {
  struct gated *next;
  int64_t since_us;
  size_t n;                          /* bytes of the packet: m and the text behind it */
  int fd[SW_FDS], n_fd;
  struct sw_start m;
};
struct gate { struct gated *head, **tail; size_t n; };
void gate_init(struct gate *g);
/* Copies the packet and takes its descriptors. */
void gate_put(struct gate *g, const struct sw_start *m, size_t n, const int *fd, int n_fd, int64_t now_us);
struct gated *gate_take(struct gate *g);                 /* the oldest; NULL = none */
struct gated *gate_recall(struct gate *g, int64_t id);   /* the one with this id; NULL = it does not wait */
void gated_free(struct gated *w);                        /* closes its descriptors */

/* ---- child.c: from clone to exec ---- */
enum { CHILD_FDS = 4 };
struct child_plan {
  char *const *argv, *const *env;
  const char *const *program;        /* paths to try, in order, NULL-terminated */
  const char *cwd;                   /* NULL = the spawner's */
  int umask;
  const struct found *found;
  uint64_t mark;                     /* of its processes: see strays.h */
  int fd[CHILD_FDS], n_fd;           /* its 0, 1, 2, and 3 where it asked for that */
  int program_fd;                    /* the file that is executed, in place of `program`; 0 = none */
  struct sw_limit *limit; uint32_t n_limit;
  int set_user; uint32_t uid, gid; const uint32_t *group; uint32_t n_group;
  pid_t parent;
  _Atomic int alone;                 /* out: of the spawner's memory and files the child needs only this plan from now on */
  int step, err;                     /* out: where it failed */
};
/* Runs in the child on the spawner's memory; returns only to _exit. */
int child_main(void *plan);

/* ---- launch.c: one start ---- */
#define LAUNCH_SLOW_US 10000000      /* from clone to exec; what takes longer is killed, and its attempt has failed */
struct pads { struct pad *first; size_t slow; };   /* pads.h */
struct launcher {
  struct arena arena;                /* of the start under way; the caller resets it */
  struct pads pads;
  struct strays *strays;             /* processes that were killed and have not ended yet */
  pid_t pid;                         /* the spawner's */
  struct sw_page *page;
  const struct run_as *run_as;
  const struct found *found;         /* as it was before any task could speak */
};
/* n: bytes of the packet. The text lies behind m, or in text_fd. */
bool launch_plan(struct launcher *l, struct child_plan *p, struct sw_start *m, size_t n, int text_fd);
bool launch_allowed(const struct launcher *l, struct child_plan *p);
/* dir, context: names in run_path. */
void launch_dir(struct launcher *l, struct child_plan *p, uint32_t n_env, const char *run_path, const char *dir,
                const char *context);
/* The path of that file in run_path becomes the last argument. */
void launch_script(struct launcher *l, struct child_plan *p, uint32_t n_argv, const char *run_path, const char *script);
/* Its pid, or -1 with p->step and p->err set. A child that is slow to exec is found by pads_of(). */
pid_t launch(struct launcher *l, struct child_plan *p);
void launch_failure(const struct child_plan *p, int32_t *step, int32_t *err);   /* of a child that did not come to its exec */

/* ---- former.c: processes of a killed server that hold the lock of a data directory ---- */
void former_wake(int lock);                              /* continues stopped ones, so that they see that they must end */
bool former_names(int lock, char *out, size_t n);        /* "weir-guard (12), .."; false: none that this process may inspect */

/* ---- guard.c, spawner.c: the processes ---- */
void spawner_null_files(int null);       /* 0-3 */
void spawner_say(int kind, enum wr_rc rc, const char *text, int fd);
/* Makes a spare that is a child of this process. Returns the node's end of its socket, -1 = none. */
int spawner_spare_below(const struct spawner_seed *seed, pid_t *pid);
_Noreturn void spawner_loop(const struct spawner_seed *seed, int spare);
_Noreturn void spawner_main(struct spawner_seed seed);
/* What ps shows, by both of its names. */
void spawner_called(const char *name);
#endif
