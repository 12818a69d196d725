/* The node's end of the spawner: starts the first one, talks to it, buries it and wakes the next. spawner_start() is called by
 * the opener of a node; all else by the worker's loop thread, which then owns it. Only spawner_start() and spawner_end() block,
 * and the meeting with a fresh spare, for HELLO_MS. All these waits have limits, because others may stop any of the processes
 * again and again. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "fds.h"
#include "log.h"
#include "mem.h"
#include "own.h"
#include "run_as.h"
#include "seed.h"
#include "spawner_link.h"
#include "worker.h"

enum { NEVER_BYTES = 4096 };
enum { PATIENCE_MS = 500, READY_MS = 30000, HELLO_MS = 500, SLAY_MS = 200, GUARD_END_MS = 10000, SPARE_END_MS = 2000 };

int spawner_send(struct spawner *s, const void *p, size_t n, const int *fds, int n_fd) {
  if (s->sock < 0) return EPIPE;
  if (fds_send(s->sock, p, n, fds, (size_t)n_fd, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return 0;
  return errno == ETOOMANYREFS || errno == ENOBUFS || errno == EINTR ? EAGAIN : errno;
}

/* One packet, if there is one: its size; 0 = the other end is closed; -1 = none. */
static ssize_t receive(int sock, void *p, size_t n, size_t room, struct fds *fds) {
  ssize_t got = fds_recv(sock, p, n, MSG_DONTWAIT, room, fds);
  return got >= 0 ? got : errno == EAGAIN ? -1 : 0;
}

/* One packet that is a struct sw_plain, and its kind; 0 = it is something else, or there is none. */
static uint32_t receive_plain(int sock, struct sw_plain *m, size_t room, struct fds *fds) {
  ssize_t n = receive(sock, m, sizeof *m, room, fds);
  return n == (ssize_t)sizeof *m ? m->kind : 0;
}

/* A spare says its pid before anything else; it was forked before its socket was sent. If somebody stopped it before it spoke, it
 * is not taken, and ends when it is continued. */
static void meet_spare(struct spawner *s, int fd) {
  struct sw_plain m;
  struct fds none;
  struct pollfd p = {.fd = fd, .events = POLLIN};
  if (poll(&p, 1, HELLO_MS) > 0 && receive_plain(fd, &m, 0, &none) == SW_HELLO) {
    s->spare = fd;
    s->spare_pid = m.pid;
  } else {
    close(fd);
  }
}

/* The spawner is ready, and has sent the socket of its spare, if it has one. */
static void take_ready(struct spawner *s, const struct sw_plain *m, struct fds *fds) {
  s->pid = m->pid;
  fds_close(fds, 1);
  if (fds->n) meet_spare(s, fds->v[0]);
}

/* When this process ran out of descriptors for one of them, the rest go without. */
static void hand_out(struct sw_exit *r, size_t n, struct fds *fds) {
  size_t k = 0;
  for (size_t i = 0; i < n; i++) r[i].fd = r[i].output == OUTPUT_FILE && k < fds->n ? fds->v[k++] : -1;
  fds_close(fds, k);
}

ssize_t spawner_recv(struct spawner *s, void *p, size_t n, uint32_t *kind) {
  struct fds fds;
  ssize_t got = receive(s->sock, p, n, SW_REPORTS, &fds);
  *kind = got > 0 ? sw_told(p, (size_t)got) : 0;
  if (*kind == SW_READY) take_ready(s, p, &fds);
  else if (*kind == SW_EXIT || *kind == SW_STARTED || *kind == SW_STUCK) hand_out(p, (size_t)got / sizeof(struct sw_exit), &fds);
  else fds_close(&fds, 0);
  return got;
}

/* Closes our end of the socket. The spawner is dead, or it sees now that it must end. A stopped one is continued. */
static void hang_up(struct spawner *s) {
  if (s->sock >= 0) close(s->sock);
  s->sock = -1;
  if (s->guard > 0) kill(s->guard, SIGCONT); /* the guard continues its spawner */
  else if (s->pid > 0) kill(s->pid, SIGCONT);
}

static bool gone(pid_t *pid) {
  if (*pid > 0 && waitpid(*pid, NULL, WNOHANG) == 0) return false;
  *pid = -1;
  return true;
}

/* A guard ends when its spawner and all that was below it have ended. The spawner is our child only if its guard died first. A
 * process that is left behind keeps the lock until our own end continues it; then it ends too. */
static void await_guard(struct spawner *s) {
  bool ended = false;
  for (int ms = 0; ms < GUARD_END_MS && !(ended = gone(&s->guard) && gone(&s->pid)); ms++) {
    hang_up(s);
    poll(NULL, 0, 1);
  }
  hang_up(s);
  if (!ended)
    log_error("worker.left_behind", L_INT("guard", s->guard), L_INT("spawner", s->pid),
              L_STR("effect", "they hold the data directory until they end"));
  s->guard = s->pid = -1;
}

/* Has the spare kill them. False: the spare has not answered in time, and is continued in case it was stopped. */
static bool slay_by_spare(struct spawner *s, const struct sw_slay *m, int64_t until_us) {
  struct sw_plain answer;
  struct fds none;
  struct pollfd p = {.fd = s->spare, .events = POLLIN};
  int64_t left = until_us - clock_mono_us();
  if (send(s->spare, m, sizeof *m, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof *m &&
      poll(&p, 1, left > 0 ? (int)(left / 1000) + 1 : 0) > 0)
    return receive_plain(s->spare, &answer, 0, &none) == SW_SLAY;
  kill(s->spare_pid, SIGCONT);
  return false;
}

/* This process may have given up the right to kill the processes that it inherits; the spare has that right. A call takes SLAY_MS
 * at most, however many there are; the rest have their turn at the next call. */
static void slay(void *ctx, const pid_t *pid, size_t n) {
  struct spawner *s = ctx;
  int64_t until = clock_mono_us() + SLAY_MS * 1000;
  pid_t group = 0;
  if (geteuid() == s->uid || s->spare < 0) {
    for (size_t i = 0; i < n; i++) reap_slay(pid[i], &group);
    return;
  }
  for (size_t at = 0; at < n; at += SW_SLAY_MAX) {
    struct sw_slay m = {.kind = SW_SLAY, .n = n - at < SW_SLAY_MAX ? (uint32_t)(n - at) : SW_SLAY_MAX};
    memcpy(m.pid, pid + at, m.n * sizeof *pid);
    if (!slay_by_spare(s, &m, until)) return;
  }
}

bool spawner_cleared(struct spawner *s) {
  hang_up(s);
  return gone(&s->guard) && gone(&s->pid) && reap_debris(DEBRIS_MARKED, slay, s) == 0;
}

void spawner_kill(struct spawner *s) {
  pid_t both[2];
  size_t n = 0;
  if (s->guard > 0) both[n++] = s->guard; /* it has another session than we, and its spawner is in its group */
  if (s->pid > 0) both[n++] = s->pid;
  slay(s, both, n);
}

int spawner_next(struct spawner *s) {
  const struct sw_plain m = {.kind = SW_ACTIVATE};
  if (s->spare < 0) return -1;
  s->sock = s->spare;
  s->guard = s->spare_pid;
  s->spare = s->spare_pid = -1;
  kill(s->guard, SIGCONT); /* others may have stopped it in its sleep */
  if (spawner_send(s, &m, sizeof m, NULL, 0) == 0) return 0;
  await_guard(s);
  return -1;
}

/* Nobody waits for anything that the spare holds, so it is killed. A spare that somebody stopped would otherwise keep the lock on
 * the data directory. */
static void end_spare(struct spawner *s) {
  if (s->spare < 0) return;
  close(s->spare);
  if (kill(s->spare_pid, SIGKILL)) kill(s->spare_pid, SIGCONT); /* of another user: within one session a SIGCONT is allowed */
  for (int ms = 0; ms < SPARE_END_MS && waitpid(s->spare_pid, NULL, WNOHANG) == 0; ms++) poll(NULL, 0, 1);
}

static void spawner_free(struct spawner *s) {
  if (s->page) munmap(s->page, SEED_PAGE_BYTES);
  free(s->never);
  run_as_free(s->own);
  free(s->run_path);
  free(s);
}

void spawner_end(struct spawner *s) {
  if (!s) return;
  await_guard(s); /* first, because a spawner that was stopped early may still hold the node's end of its spare */
  end_spare(s);
  spawner_free(s);
}

/* ---- the first one ---- */

static enum wr_rc choose_users(struct spawner *s, const struct run_as *given, struct wr_err *err) {
  const struct run_as_opts mine = {.personal = true, .self = geteuid()};
  enum wr_rc rc = given ? WR_OK : run_as_new(&mine, &s->own, err);
  s->run_as = given ? given : s->own;
  s->uid = geteuid();
  return rc;
}

static enum wr_rc open_lock(const char *dir, int *fd, struct wr_err *err) {
  if (mkdir(dir, 0700) && errno != EEXIST) return wr_err_errno(err, "Cannot make the data directory");
  *fd = own_open(dir, LOCK_NAME, O_RDWR | O_CREAT, err);
  return *fd < 0 ? err->code : WR_OK;
}

/* Ends and orphans are found in /proc; the pids of another namespace would be those of strangers. */
static enum wr_rc check_proc(struct wr_err *err) {
  char b[32];
  ssize_t n = readlink("/proc/self", b, sizeof b - 1);
  b[n > 0 ? n : 0] = '\0';
  if (n > 0 && strtol(b, NULL, 10) == getpid()) return WR_OK;
  if (n <= 0)
    return wr_err_set(err, WR_INTERNAL, "There is no /proc: mount it (mount -t proc proc /proc), or start with --shell off.");
  return wr_err_set(err, WR_INTERNAL, "/proc is that of another process namespace: mount one of this (mount -t proc proc /proc), "
                                      "or start with --shell off.");
}

/* Absolute, because tasks are told this path and may be in any directory. */
static enum wr_rc name_run_dir(struct spawner *s, const char *data_dir, struct wr_err *err) {
  char *dir = realpath(data_dir, NULL);
  if (!dir) return wr_err_errno(err, "Cannot find the data directory");
  struct buf b = BUF_INIT;
  buf_printf(&b, "%s/run", dir);
  s->run_path = b.data;
  free(dir);
  return WR_OK;
}

/* Waits for the spawner's READY. It comes when the spawner has the lock. */
static enum wr_rc await_ready(struct spawner *s, struct wr_err *err) {
  struct sw_plain m = {0};
  struct fds fds;
  struct pollfd p = {.fd = s->sock, .events = POLLIN};
  if (poll(&p, 1, PATIENCE_MS) == 0)
    log_warn("worker.waiting", L_STR("for", "the process that used this data directory, or its last child, to end"));
  uint32_t kind = poll(&p, 1, READY_MS) > 0 ? receive_plain(s->sock, &m, 1, &fds) : 0;
  if (kind == SW_READY) {
    take_ready(s, &m, &fds);
    return WR_OK;
  }
  await_guard(s);
  m.text[sizeof m.text - 1] = '\0';
  if (kind == SW_REFUSED) return wr_err_set(err, (enum wr_rc)m.rc, "%s", m.text);
  return wr_err_set(err, WR_INTERNAL, "The spawner did not start.");
}

/* The lock, the seed and the other end of the socket go to the program; seed is the file of s->page. */
static enum wr_rc exec_first(struct spawner *s, const struct spawner_opts *o, int lock, int seed, struct wr_err *err) {
  struct spawner_seed what = {.run_path = s->run_path, .run_as = s->run_as};
  int pair[2];
  if (o->found) what.found = *o->found;
  else found_take(&what.found);
  if (seed_write(seed, &what)) return wr_err_errno(err, "Cannot write the spawner's seed");
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair)) return wr_err_errno(err, "Cannot make the spawner's socket");
  s->guard = o->helper ? spawner_exec_file(o->helper, pair[1], lock, seed) : spawner_exec(o->program, pair[1], lock, seed);
  int why = errno;
  close(pair[1]);
  s->sock = pair[0];
  if (s->guard > 0) return await_ready(s, err);
  close(pair[0]);
  errno = why;
  return wr_err_errno(err, "Cannot start the spawner");
}

static void first_page(struct sw_page *p) {
  atomic_init(&p->deadline_us, INT64_MAX);
  atomic_init(&p->slots, 0);
  atomic_init(&p->gate_wait_us, GATE_WAIT_US);
  atomic_init(&p->begun, 0);
  atomic_init(&p->turns, 0);
}

/* Under the lock; the list is the next one's from now on. */
static void read_never(struct spawner *s, int lock) {
  char b[NEVER_BYTES];
  ssize_t n = pread(lock, b, sizeof b - 1, LOCK_PID_BYTES);
  b[n > 0 ? n : 0] = '\0';
  for (char *at = b, *end; *at; at = end) {
    struct never_started v = {.ti = strtoll(at, &end, 10)};
    v.epoch = (uint32_t)strtoul(end, &end, 10);
    if (*end != '\n') break;
    *WR_PUSH(s->never, s->n_never, s->cap_never) = v;
    end++;
  }
  if (n > 0 && ftruncate(lock, LOCK_PID_BYTES)) s->n_never = 0; /* otherwise each start would read them again */
}

const struct never_started *spawner_never_started(const struct spawner *s, size_t *n) {
  *n = s->n_never;
  return s->never;
}

/* Attempts are marked by a limit that hardly anybody lowers for another reason. */
static void warn_unmarked(void) {
  struct rlimit l;
  if (getrlimit(RLIMIT_LOCKS, &l) != 0 || l.rlim_max >= 2 * MARK_BASE) return;
  log_warn("worker.unmarked",
           L_STR("why", "the limit of file locks is lowered (ulimit -x): processes do not show whose they are, and what a killed "
                        "spawner and its guard leave behind is not killed"));
}

/* This process must take in the processes that a dead spawner leaves, and the spare. The host decides that, because then all
 * orphans of the host come to this process too. */
static enum wr_rc check_host(struct wr_err *err) {
  int takes = 0;
  if (prctl(PR_GET_CHILD_SUBREAPER, &takes, 0, 0, 0) == 0 && takes) return WR_OK;
  return wr_err_set(err, WR_INTERNAL, "This process does not take in orphans: call prctl(PR_SET_CHILD_SUBREAPER, 1) before a "
                                      "node is to run tasks in it.");
}

static enum wr_rc remember_lock(struct spawner *s, int lock, const char *dir, struct wr_err *err) {
  struct stat st;
  enum wr_rc rc = own_same(lock, dir, LOCK_NAME, err); /* otherwise it locks a file that nobody else would find */
  if (rc == WR_OK && fstat(lock, &st)) rc = wr_err_errno(err, "Cannot look at the lock of the data directory");
  if (rc) return rc;
  s->lock_dev = st.st_dev;
  s->lock_ino = st.st_ino;
  read_never(s, lock);
  return WR_OK;
}

enum wr_rc spawner_start(const struct spawner_opts *o, struct spawner **out, struct wr_err *err) {
  struct spawner *s = wr_new(struct spawner);
  s->sock = s->spare = s->guard = s->pid = s->spare_pid = -1;
  int lock = -1, seed = -1;
  enum wr_rc rc = check_host(err);
  if (rc == WR_OK) rc = choose_users(s, o->run_as, err);
  if (rc == WR_OK && (seed = seed_new(&s->page)) < 0) rc = wr_err_errno(err, "Cannot make the spawner's page");
  if (rc == WR_OK) first_page(s->page);
  if (rc == WR_OK) rc = open_lock(o->data_dir, &lock, err);
  if (rc == WR_OK) rc = name_run_dir(s, o->data_dir, err);
  if (rc == WR_OK && !o->no_tasks) rc = check_proc(err);
  if (rc == WR_OK && !o->no_tasks) warn_unmarked();
  if (rc == WR_OK) rc = exec_first(s, o, lock, seed, err);
  bool runs = rc == WR_OK;
  if (runs) rc = remember_lock(s, lock, o->data_dir, err);
  if (lock >= 0) close(lock);
  if (seed >= 0) close(seed);
  if (rc == WR_OK) *out = s;
  else if (runs) spawner_end(s);
  else spawner_free(s);
  return rc;
}
