/* What happens between clone and exec: the child half of the spawner.
 *
 * It runs on the spawner's memory and files (CLONE_VM | CLONE_FILES) on a stack of its own (pads.h). The spawner stands still
 * until the child is `alone`. It usually waits for the exec too, but not when a directory or a program is slow to load. So the
 * child makes bare system calls only, allocates and locks nothing, and writes only plan->alone, ->step and ->err, by which the
 * spawner learns what failed. Once alone, it does not even write errno. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bare.h"
#include "spawner_int.h"

/* Sanitizers keep shadow state of a stack that never unwinds here. */
#define BARE __attribute__((no_sanitize("address", "undefined", "thread")))

/* The program's file becomes the last one. It is closed by the exec, but for a script: run(). */
BARE static int with_program(const struct child_plan *p) {
  unsigned own = (unsigned)p->n_fd, at = (unsigned)p->program_fd;
  if (syscall(SYS_close_range, own, at - 1, CLOSE_RANGE_UNSHARE)) return -1; /* from here on the table is this child's */
  if (syscall(SYS_close_range, at + 1, ~0U, 0)) return -1;
  if (dup3((int)at, (int)own, O_CLOEXEC) < 0) return -1;
  return close((int)at);
}

/* The table of files is still the spawner's, which stands still and puts its own 0-3 back. Leaving the table with these
 * alone copies four files; a full copy would begin with the files of all starts that wait at the gate. */
BARE static int files(const struct child_plan *p) {
  for (int i = 0; i < p->n_fd; i++)
    if (dup2(p->fd[i], i) < 0) return -1; /* the spawner's 0-3 are open, so none of fd[] is one of those that come later */
  if (p->program_fd) return with_program(p);
  return (int)syscall(SYS_close_range, (unsigned)p->n_fd, ~0U, CLOSE_RANGE_UNSHARE);
}

/* Sets the limits that this process was started with, then the mark, then the limits of the definition. These never go above a
 * hard limit, even if the spawner is root, and there is no core file where the node was started without. */
BARE static int limits(const struct child_plan *p) {
  const struct rlimit mark = {p->mark, p->mark};
  if (p->found->taken && (setrlimit(RLIMIT_NOFILE, &p->found->files) || setrlimit(RLIMIT_CORE, &p->found->core))) return -1;
  (void)setrlimit(RLIMIT_LOCKS, &mark); /* this process was started with less: the child has no mark */
  for (uint32_t i = 0; i < p->n_limit; i++) {
    struct rlimit l = {p->limit[i].soft, p->limit[i].hard}, now;
    if (getrlimit((__rlimit_resource_t)p->limit[i].resource, &now)) return -1;
    if (p->limit[i].resource == RLIMIT_CORE) now.rlim_max = now.rlim_cur;
    if (l.rlim_max > now.rlim_max) l.rlim_max = now.rlim_max;
    if (l.rlim_cur > l.rlim_max) l.rlim_cur = l.rlim_max;
    if (setrlimit((__rlimit_resource_t)p->limit[i].resource, &l)) return -1;
  }
  return 0;
}

/* Does not use the library's calls, which would change every thread of the process that owns this memory. */
BARE static int become(const struct child_plan *p) {
  if (!p->set_user) return 0;
  if (syscall(SYS_setgroups, (size_t)p->n_group, p->group)) return -1;
  if (syscall(SYS_setresgid, p->gid, p->gid, p->gid)) return -1;
  return (int)syscall(SYS_setresuid, p->uid, p->uid, p->uid);
}

/* ---- alone: errno is the spawner's ---- */

/* Makes the child a subreaper, so that daemons of a running attempt stay in its tree; orphans of an ended one go to the spawner.
 * Called after become(), because a change of user clears the death signal. */
BARE static long ties(const struct child_plan *p) {
  long rc = bare_call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (!rc) rc = bare_call(SYS_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  if (!rc) rc = bare_call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (rc || bare_call(SYS_getppid, 0, 0, 0, 0, 0) == p->parent) return rc;
  return -ESRCH; /* it died before the tie was made */
}

/* The very file that was checked, wherever its name leads by now. The interpreter of a script opens it by /dev/fd, so that one
 * descriptor must outlive the exec; the kernel says ENOENT when it would not. */
BARE static long run_file(const struct child_plan *p) {
  long rc = bare_call(SYS_execveat, p->n_fd, (long)"", (long)p->argv, (long)p->env, AT_EMPTY_PATH);
  if (rc != -ENOENT || bare_call(SYS_fcntl, p->n_fd, F_SETFD, 0, 0, 0)) return rc;
  return bare_call(SYS_execveat, p->n_fd, (long)"", (long)p->argv, (long)p->env, AT_EMPTY_PATH);
}

BARE static long run(const struct child_plan *p) {
  enum { SIGNAL_BYTES = 8 };
  bare_call(SYS_umask, p->umask, 0, 0, 0, 0); /* its own: CLONE_FS is not asked for */
  if (found_ignored(p->found, SIGCHLD)) { /* the spawner itself needs it */
    const long ignore[8] = {(long)SIG_IGN}; /* as the kernel lays it out: the handler comes first, the rest is zero */
    bare_call(SYS_rt_sigaction, SIGCHLD, (long)ignore, 0, SIGNAL_BYTES, 0);
  }
  bare_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&p->found->blocked, 0, SIGNAL_BYTES, 0);
  if (p->program_fd) return run_file(p);
  long rc = -ENOENT, denied = 0;
  for (const char *const *path = p->program; *path; path++) {
    rc = bare_call(SYS_execve, (long)*path, (long)p->argv, (long)p->env, 0, 0);
    if (rc == -EACCES) denied = rc;
    else if (rc != -ENOENT && rc != -ENOTDIR) return rc;
  }
  return denied ? denied : rc;
}

BARE int child_main(void *plan) {
  struct child_plan *p = plan;
  int step = STEP_NONE;
  if (setsid() < 0) step = STEP_SESSION;
  else if (files(p)) step = STEP_FILES;
  else if (limits(p)) step = STEP_LIMIT;
  else if (become(p)) step = STEP_USER;
  long rc = step ? -errno : 0;
  if (!step) {
    atomic_store(&p->alone, 1);
    rc = p->cwd ? bare_call(SYS_chdir, (long)p->cwd, 0, 0, 0, 0) : 0;
    if (rc) step = STEP_CWD;
    else if ((rc = ties(p))) step = STEP_PRCTL;
    else rc = run(p), step = STEP_EXEC;
  }
  p->err = (int)-rc;
  p->step = step;
  for (;;) bare_call(SYS_exit_group, 127, 0, 0, 0, 0);
}
