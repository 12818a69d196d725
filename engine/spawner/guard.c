/* What stands around a spawner: its guard, the next guard ("weir-spare"), the lock on the data directory; and what each of them
 * does in the first moments after the fork. See spawner.c for why there are three. Each of these processes has one thread, and
 * holds nothing of the node's but its end of a socket.
 *
 * What never happens: a lock that is free while anything of the former node lives; a wait without end for it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "caps.h"
#include "err.h"
#include "fds.h"
#include "rehearsal.h"
#include "spawner_int.h"

enum { FORK_AGAIN_MS = 20 };
#define LOCK_WAIT_US 1700000       /* a second server on a directory is refused within two seconds */

void spawner_say(int kind, enum wr_rc rc, const char *text, int fd) {
  struct sw_plain m = {.kind = (uint32_t)kind, .pid = getpid(), .rc = (int32_t)rc};
  snprintf(m.text, sizeof m.text, "%s", text);
  if (fds_send(FD_SOCK, &m, sizeof m, &fd, fd >= 0 ? 1 : 0, MSG_NOSIGNAL) < 0) _exit(1);
}

static void on_alarm(int sig) { (void)sig; }

/* Returns 0, or -1 when a former spawner, or another node, still has it after that time. */
static int take_lock(void) {
  if (flock(FD_LOCK, LOCK_EX | LOCK_NB) == 0) return 0;
  former_wake(FD_LOCK);
  struct sigaction sa = {.sa_handler = on_alarm}; /* no SA_RESTART: the alarm interrupts flock() */
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGALRM);
  sigaction(SIGALRM, &sa, NULL);
  sigprocmask(SIG_UNBLOCK, &set, NULL);
  /* The timer repeats, in case the first alarm comes before flock(). */
  struct itimerval t = {{0, 100000}, {LOCK_WAIT_US / 1000000, LOCK_WAIT_US % 1000000}};
  setitimer(ITIMER_REAL, &t, NULL);
  int rc = flock(FD_LOCK, LOCK_EX);
  t = (struct itimerval){0};
  setitimer(ITIMER_REAL, &t, NULL);
  sigprocmask(SIG_BLOCK, &set, NULL);
  signal(SIGALRM, SIG_DFL);
  return rc;
}

static _Noreturn void refuse_start(enum wr_rc rc, const char *text) {
  spawner_say(SW_REFUSED, rc, text, -1);
  _exit(1);
}

static void lock_or_refuse(void) {
  char pid[LOCK_PID_BYTES + 1] = "";
  if (take_lock() == 0) {
    int n = snprintf(pid, sizeof pid, "%-*d\n", LOCK_PID_BYTES - 1, (int)getppid());
    if (pwrite(FD_LOCK, pid, (size_t)n, 0) != n) refuse_start(WR_NO_SPACE, "The data directory cannot be written.");
    return;
  }
  ssize_t n = pread(FD_LOCK, pid, sizeof pid - 1, 0);
  pid[n > 0 ? strcspn(pid, " \n") : 0] = '\0';
  char text[244], left[80];
  pid_t node = (pid_t)strtol(pid, NULL, 10);
  if (node > 0 && kill(node, 0) && errno == ESRCH && former_names(FD_LOCK, left, sizeof left))
    snprintf(text, sizeof text, "A server that was killed (pid %s) left processes that hold this data directory: %s. "
             "Continue them with kill -CONT, or end them with kill -KILL.", pid, left);
  else
    snprintf(text, sizeof text,
             "Another Weir process (pid %s) uses this data directory: stop it, or name another one with --data.",
             *pid ? pid : "unknown");
  refuse_start(WR_IN_USE, text);
}

/* Under the lock. */
static void make_run_dir(const char *path) {
  char text[160];
  int fd = workdirs_make(path);
  if (fd < 0) {
    snprintf(text, sizeof text, "Cannot make the directory %.90s: %s.", path, strerrordesc_np(errno));
    refuse_start(WR_NO_SPACE, text);
  }
  if (fd == FD_RUN) return;
  dup3(fd, FD_RUN, O_CLOEXEC);
  close(fd);
}

static void rehearse_or_refuse(const struct spawner_seed *seed) {
  char text[244];
  if (!rehearse(seed->run_as, FD_RUN, seed->run_path, text, sizeof text)) refuse_start(WR_FORBIDDEN, text);
}

/* A process that others stopped goes on when its parent dies, and sees that it must end. So a guard goes on when its node is
 * killed. A spawner goes on when its guard dies; while the guard lives, the guard continues it. A fork does not pass this on. */
static void tie(void) { prctl(PR_SET_PDEATHSIG, SIGCONT, 0, 0, 0); }

/* A process that inherits a session keyring holds the keys in it, whatever user the process becomes. The keys of the user who
 * started the server are not for tasks. So a fresh keyring takes the place of the inherited one: every task may search it, and no
 * task may leave anything in it for another. A task that wants a keyring of its own joins one. */
static void leave_keys(void) {
  enum { POSSESSOR_SEARCH = 0x08000000 };
  long ring = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);
  if (ring > 0 && syscall(SYS_keyctl, KEYCTL_SETPERM, ring, POSSESSOR_SEARCH) == 0) return;
  if (errno == ENOSYS || errno == EPERM || geteuid() != 0) return; /* no keys here, or they belong to the tasks' own user */
  refuse_start(WR_FORBIDDEN, "The spawner cannot leave the session keyring of the user who started it.");
}

/* Nothing of the node's stays open, and no signal of the node's terminal gets here. */
static void settle_in(struct spawner_seed *seed) {
  tie();
  int sock = fcntl(seed->sock, F_DUPFD_CLOEXEC, 16), lock = fcntl(seed->lock, F_DUPFD_CLOEXEC, 16);
  int null = fcntl(open("/dev/null", O_RDWR | O_CLOEXEC), F_DUPFD_CLOEXEC, 16);
  int run = seed->run < 0 ? -1 : fcntl(seed->run, F_DUPFD_CLOEXEC, 16);
  if (sock < 0 || lock < 0 || null < 0) _exit(1);
  spawner_null_files(null);
  dup3(sock, FD_SOCK, O_CLOEXEC);
  dup3(lock, FD_LOCK, O_CLOEXEC);
  dup3(null, FD_NULL, O_CLOEXEC);
  if (run >= 0) dup3(run, FD_RUN, O_CLOEXEC);
  syscall(SYS_close_range, (unsigned)(run >= 0 ? FD_RUN : FD_NULL) + 1, ~0U, 0U);
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, NULL);
  for (int i = 1; i < NSIG; i++) /* all are blocked here */
    signal(i, i != SIGCHLD && found_ignored(&seed->found, i) ? SIG_IGN : SIG_DFL);
  umask(077);
  struct rlimit core;
  if (getrlimit(RLIMIT_CORE, &core) == 0) core.rlim_cur = 0, setrlimit(RLIMIT_CORE, &core);
}

/* Tries again and again while there is no room for a process, because a node whose spawner died needs this one. This process ends
 * when the node does. A failure of the first spawner's fork is reported at once: -1. */
static pid_t fork_at_last(const struct spawner_seed *seed) {
  struct pollfd p = {.fd = FD_SOCK}; /* it reports only the node's end */
  for (;;) {
    pid_t pid = fork();
    if (pid >= 0 || seed->role == SPAWNER_FIRST) return pid;
    atomic_fetch_add(&seed->page->turns, 1); /* the node sees that this process does not hang */
    if (poll(&p, 1, FORK_AGAIN_MS) > 0) _exit(1);
  }
}

static struct spawner_seed spare_seed(const struct spawner_seed *seed, int sock) {
  struct spawner_seed s = *seed;
  s.role = SPAWNER_SPARE;
  s.sock = sock;
  s.lock = FD_LOCK;
  s.run = FD_RUN;
  return s;
}

/* Forks twice, so that the spare becomes a child of the node and not of this process, which is no subreaper yet. Returns the
 * node's end of the spare's socket, -1 = none. */
static int make_spare(const struct spawner_seed *seed) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) return -1;
  pid_t pid = fork_at_last(seed);
  if (pid == 0) {
    if (fork_at_last(seed) != 0) _exit(0);
    spawner_main(spare_seed(seed, pair[1]));
  }
  if (pid > 0) waitpid(pid, NULL, 0);
  close(pair[1]);
  return pair[0];
}

/* For a node that gave up the right to kill these processes. The node is their parent and has not waited for them, so the pids
 * are still theirs. */
static void slay_for(const struct sw_slay *m) {
  pid_t group = 0;
  for (uint32_t i = 0; i < m->n && i < SW_SLAY_MAX; i++) reap_slay(m->pid[i], &group);
  spawner_say(SW_SLAY, WR_OK, "", -1);
}

static void be_spare(void) {
  spawner_called("weir-spare");
  spawner_say(SW_HELLO, WR_OK, "", -1);
  union { struct sw_plain plain; struct sw_slay slay; } m;
  struct fds none;
  for (;;) {
    ssize_t n = fds_recv(FD_SOCK, &m, sizeof m, 0, 0, &none);
    if (n <= 0) _exit(0);
    uint32_t kind = none.cut ? 0 : sw_asked(&m, (size_t)n);
    if (kind == SW_ACTIVATE) return;
    if (kind == SW_SLAY) slay_for(&m.slay);
  }
}

int spawner_spare_below(const struct spawner_seed *seed, pid_t *pid) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) return -1;
  *pid = fork();
  if (*pid == 0) spawner_main(spare_seed(seed, pair[1]));
  close(pair[1]);
  if (*pid > 0) return pair[0];
  *pid = 0;
  close(pair[0]);
  return -1;
}

/* Waits for the end of its spawner, then for the end of all processes that the spawner leaves. */
static _Noreturn void be_guard(pid_t spawner, const struct run_as *run_as) {
  const struct timespec patience = {0, 20000000}; /* an orphan may come without a signal */
  sigset_t set;
  (void)caps_for_guard(run_as); /* if this fails, the guard has the rights of the spawner */
  close(FD_SOCK); /* so that the node sees its end when the spawner goes */
  syscall(SYS_close_range, (unsigned)FD_NULL + 1, ~0U, 0U); /* and so that the spare sees the end of the node */
  for (int status; waitpid(spawner, &status, WUNTRACED) == spawner && WIFSTOPPED(status);)
    kill(spawner, SIGCONT); /* somebody stopped it, and it has deadlines to keep */
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  while (reap_debris(DEBRIS_ALL, NULL, NULL) > 0) sigtimedwait(&set, NULL, &patience);
  _exit(0);
}

/* Returns in the spawner. */
static void fork_from_guard(const struct spawner_seed *seed) {
  if (setsid() < 0) _exit(1);
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); /* for the guard; a fork does not pass it on */
  pid_t pid = fork_at_last(seed);
  if (pid < 0) _exit(1);
  if (pid > 0) be_guard(pid, seed->run_as);
  tie();
  spawner_called("weir-spawner");
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

_Noreturn void spawner_main(struct spawner_seed seed) {
  settle_in(&seed);
  if (seed.role == SPAWNER_FIRST) {
    lock_or_refuse();
    leave_keys(); /* spares inherit what this and the next calls change */
    make_run_dir(seed.run_path);
    if (caps_for_spawner(seed.run_as)) refuse_start(WR_FORBIDDEN, "The spawner cannot give up root's rights.");
    rehearse_or_refuse(&seed);
  } else {
    be_spare();
    spawner_called("weir-guard"); /* before the next spare is made, so that the two are told apart */
  }
  int spare = make_spare(&seed);
  fork_from_guard(&seed);
  spawner_loop(&seed, spare);
}
