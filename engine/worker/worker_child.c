/* The child process of an attempt, seen from the node: the request to the spawner, the pipes, the exit, the result that the child
 * wrote. Loop thread only. What happens when the spawner dies: worker_spawner.c.
 *
 * The node keeps the writing ends of the pipes open too, so a child that closes its output causes no event. Pipes are watched
 * only from WATCH_US after the fork on, so a child that runs for a millisecond wakes the loop only by its exit.
 * When the exit is reported the whole tree is dead; what stands in the pipes is read without waiting, and nothing more can come.
 * The file of its result comes with the report, opened by the spawner, which makes and removes the attempt's directory. Its
 * descriptor 3 is one pipe more, whose bytes are for worker_report.c.
 *
 * Places are counted by the spawner: a START sent now may wait at its gate; that of an analysis takes no place.
 * An attempt that was not forked in the end
 * (STEP_WAITED) goes back to the queue. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "wr_limits.h"
#include "log.h"
#include "spawner_link.h"
#include "text.h"
#include "worker_int.h"

enum { READS_AT_END = 4096 };
#define WATCH_US 20000

enum { PIPE_OUT, PIPE_ERR, PIPE_REPORTS, PIPES };   /* OUT for all output, unless ERR is apart */
struct pipe { struct source src; int wr; bool nonblock; struct child *c; };
struct child {
  int64_t id;                    /* of its START */
  struct wx_exec *x;
  struct child *next;            /* buried */
  struct child *young_prev, *young_next;
  struct pipe pipe[PIPES];       /* fd -1 = there is none */
  bool watched;                  /* its pipes are in the epoll set; else it is among the young */
  bool paused, orphaned;         /* its pipes are not read; its spawner is dead */
  bool hushed;                   /* PIPE_REPORTS is not read */
  int64_t grace_us;
  uint32_t limited;              /* limits that its definition sets, bits of RLIMIT_* */
  char *program, *cwd, *user;    /* for the error text */
};

/* ---- packets ---- */

static void packet_free(struct packet *p) {
  for (int i = p->kept; i < p->n_fd; i++) close(p->fd[i]);
  free(p);
}

static void want_room(struct worker *w) {
  if (w->minder.link.fd >= 0) worker_rewatch(w, &w->minder.link, EPOLLIN | (w->out && !w->minder.holding ? EPOLLOUT : 0u));
}

static bool is_start(const void *p) { return *(const uint32_t *)p == SW_START; }

void child_send_waiting(struct worker *w) {
  if (!w->out || w->minder.lost || w->minder.holding) return;
  for (struct packet *p; (p = w->out);) {
    if (spawner_send(w->spawner, p->data, p->n, p->fd, p->n_fd) == EAGAIN) break;
    if (!(w->out = p->next)) w->out_tail = &w->out; /* another error: its death is seen when the socket is read */
    w->minder.held -= is_start(p->data);
    packet_free(p);
  }
  want_room(w);
}

void child_forget_waiting(struct worker *w) {
  for (struct packet *p; (p = w->out);) {
    w->out = p->next;
    packet_free(p);
  }
  w->out_tail = &w->out;
  w->minder.held = 0;
}

/* Takes the descriptors behind the first `kept`, which are the child's pipes. Packets leave in order; they stay here while there
 * is no room or no spawner. A packet about a running attempt is not held back. */
static void send_packet(struct worker *w, const void *p, size_t n, const int *fd, int n_fd, int kept) {
  if (!is_start(p)) minder_release(w);
  minder_asked(w);
  if (!w->out && !w->minder.lost && !w->minder.holding && spawner_send(w->spawner, p, n, fd, n_fd) != EAGAIN) {
    for (int i = kept; i < n_fd; i++) close(fd[i]);
    return;
  }
  struct packet *k = wr_malloc(sizeof *k + n);
  *k = (struct packet){.n = n, .n_fd = n_fd, .kept = kept};
  memcpy(k->data, p, n);
  if (n_fd) memcpy(k->fd, fd, (size_t)n_fd * sizeof *fd);
  *w->out_tail = k;
  w->out_tail = &k->next;
  w->minder.held += is_start(p);
  want_room(w);
}

void child_say(struct worker *w, int kind) {
  const struct sw_plain m = {.kind = (uint32_t)kind};
  if (w->spawner && !w->minder.lost) send_packet(w, &m, sizeof m, NULL, 0, 0);
}

void child_look(struct worker *w) { child_say(w, SW_LOOK); }
void child_recall(struct worker *w) { child_say(w, SW_RECALL); }

void child_kill(struct wx_exec *x, int how) {
  struct worker *w = x->w;
  const struct child *c = x->child;
  if (c->orphaned) return; /* is being killed */
  const struct sw_kill m = {.kind = SW_KILL, .force = how == WX_CANCEL_FORCE, .id = c->id,
                            .grace_us = w->draining ? w->drain_grace_us : c->grace_us};
  send_packet(w, &m, sizeof m, NULL, 0, 0);
}

/* ---- pipes ---- */

static bool is_report(const struct pipe *p) { return p == &p->c->pipe[PIPE_REPORTS]; }
static uint32_t wanted(const struct pipe *p) { return p->c->paused || (is_report(p) && p->c->hushed) ? 0 : EPOLLIN; }

static void take_bytes(struct pipe *p, char *bytes, size_t n) {
  struct child *c = p->c;
  if (!is_report(p)) (void)exec_note(c->x, WX_NOTE_LOG, p == &c->pipe[PIPE_ERR] ? WX_STDERR : WX_STDOUT, bytes, n);
  else if (!reports_bytes(c->x, bytes, n)) child_read_reports(c->x, false);
}

/* Never waits, although a task can open its own end and read it too. Most attempts write nothing: their pipe costs one call.
 * Returns how many bytes there were, at most `most`. */
static size_t read_pipe(struct pipe *p, size_t most) {
  struct worker *w = p->c->x->w;
  int there = 0;
  if (!p->nonblock) {
    if (ioctl(p->src.fd, FIONREAD, &there) || there == 0 || fcntl(p->src.fd, F_SETFL, O_NONBLOCK)) return 0;
    p->nonblock = true;
  }
  ssize_t n = read(p->src.fd, w->scratch, most < sizeof w->scratch ? most : sizeof w->scratch);
  if (n > 0) take_bytes(p, w->scratch, (size_t)n);
  return n > 0 ? (size_t)n : 0;
}

static void on_pipe(struct worker *w, struct source *s) {
  struct pipe *p = (struct pipe *)s;
  (void)w;
  if (wanted(p)) read_pipe(p, SIZE_MAX);
}
_Static_assert(offsetof(struct pipe, src) == 0, "a source is its pipe");

static void watch_again(struct pipe *p) {
  if (p->c->watched && p->src.fd >= 0) worker_rewatch(p->c->x->w, &p->src, wanted(p));
}

static void pause_pipes(struct child *c, bool paused) {
  if (c->paused == paused) return;
  c->paused = paused;
  for (int i = 0; i < PIPES; i++) watch_again(&c->pipe[i]);
}

void child_read_reports(struct wx_exec *x, bool yes) {
  struct child *c = x->child;
  if (!c || c->hushed != yes) return;
  c->hushed = !yes;
  watch_again(&c->pipe[PIPE_REPORTS]);
}

bool child_unread(const struct wx_exec *x) {
  const struct child *c = x->child;
  int there = 0;
  return c && (c->paused || c->hushed || (ioctl(c->pipe[PIPE_REPORTS].src.fd, FIONREAD, &there) == 0 && there > 0));
}

/* The tree is dead. Of its reports only what stands there now is its own: somebody else may have got the descriptor. */
static void read_rest(struct child *c) {
  for (int i = PIPE_OUT; i <= PIPE_ERR; i++)
    for (int k = 0; k < READS_AT_END && c->pipe[i].src.fd >= 0 && read_pipe(&c->pipe[i], SIZE_MAX);) k++;
  struct pipe *p = &c->pipe[PIPE_REPORTS];
  int there = 0;
  if (ioctl(p->src.fd, FIONREAD, &there)) return;
  for (size_t left = (size_t)there, n; left && (n = read_pipe(p, left)) > 0;) left -= n;
}

void child_pause(struct wx_exec *x) { pause_pipes(x->child, true); }

void child_resume(struct wx_exec *x) {
  if (x->child) pause_pipes(x->child, false);
}

/* ---- the young: pipes that are not watched yet, oldest first ---- */

static void young_add(struct worker *w, struct child *c) {
  c->young_prev = w->young_last;
  c->young_next = NULL;
  if (w->young_last) w->young_last->young_next = c;
  else w->young = c;
  w->young_last = c;
  if (!w->watch.it.pos) worker_timer(w, &w->watch, clock_mono_us() + WATCH_US);
}

static void young_del(struct worker *w, struct child *c) {
  if (c->young_prev) c->young_prev->young_next = c->young_next;
  else w->young = c->young_next;
  if (c->young_next) c->young_next->young_prev = c->young_prev;
  else w->young_last = c->young_prev;
}

static void watch_pipes(struct worker *w, struct child *c) {
  c->watched = true;
  for (int i = 0; i < PIPES; i++)
    if (c->pipe[i].src.fd >= 0) worker_watch(w, &c->pipe[i].src, wanted(&c->pipe[i]));
}

/* Rings every WATCH_US while there are any. Those that had begun by the previous ring are watched now: a child that waits at the
 * gate, or has just left it, needs no look. */
static void watch_due(struct worker *w, struct timer *t) {
  for (struct child *c; (c = w->young) && c->id <= w->watch_id;) {
    young_del(w, c);
    watch_pipes(w, c);
  }
  w->watch_id = atomic_load(&w->spawner->page->begun);
  if (w->young) worker_timer(w, t, clock_mono_us() + WATCH_US);
}

/* ---- a child's pipes and memory ---- */

static int open_pipes(struct child *c, bool apart) {
  for (int i = 0; i < PIPES; i++) {
    int fd[2];
    if (i == PIPE_ERR && !apart) continue;
    if (pipe2(fd, O_CLOEXEC)) return -1;
    c->pipe[i] = (struct pipe){{on_pipe, fd[0]}, fd[1], false, c};
  }
  return 0;
}

static void close_pipes(struct child *c) {
  for (int i = 0; i < PIPES; i++) {
    if (c->pipe[i].src.fd >= 0) close(c->pipe[i].src.fd);
    if (c->pipe[i].wr >= 0) close(c->pipe[i].wr);
    c->pipe[i].src.fd = c->pipe[i].wr = -1;
  }
}

static void bury(struct worker *w, struct child *c) {
  close_pipes(c);
  c->next = w->buried;
  w->buried = c;
}

void child_sweep(struct worker *w) {
  for (struct child *c; (c = w->buried);) {
    w->buried = c->next;
    free(c->program);
    free(c->cwd);
    free(c->user);
    free(c);
  }
}

/* ---- start ---- */

static int memory_file(const void *p, size_t n) {
  int fd = memfd_create("weir", MFD_CLOEXEC);
  for (size_t at = 0; fd >= 0 && at < n;) {
    ssize_t k = write(fd, (const char *)p + at, n - at);
    if (k > 0) at += (size_t)k;
    else close(fd), fd = -1;
  }
  if (fd >= 0) lseek(fd, 0, SEEK_SET);
  return fd;
}

static void add_text(struct buf *b, const char *s) { buf_add(b, s, strlen(s) + 1); }

static void add_pair(struct buf *b, const char *name, const char *value) {
  buf_str(b, name);
  buf_ch(b, '=');
  add_text(b, value);
}

static bool has(const char *const *env, const char *name) {
  size_t n = strlen(name);
  for (; *env; env++)
    if (strncmp(*env, name, n) == 0 && (*env)[n] == '=') return true;
  return false;
}

/* The executor's environment, and what only the host knows; the spawner adds the attempt's directory. Returns how many. */
static uint32_t add_env(struct buf *b, const struct wx_exec *x, const wx_spawn *sp, const struct run_as_user *u) {
  static const char *const none[] = {NULL};
  const char *const *env = sp->env ? sp->env : none;
  char number[24];
  uint32_t n = 4;
  for (const char *const *e = env; *e; e++, n++) add_text(b, *e);
  if (!has(env, "HOME")) add_pair(b, "HOME", u->home), n++;
  if (!has(env, "USER")) add_pair(b, "USER", u->name), n++;
  snprintf(number, sizeof number, "%" PRIu32, x->task.attempt);
  add_pair(b, "WEIR_RUN_KEY", x->task.run_key);
  add_pair(b, "WEIR_ATTEMPT", number);
  add_pair(b, "WEIR_FENCE", x->task.fence);
  add_text(b, "WEIR_REPORT_FD=3");
  return n;
}

/* Sets a limit for a task of another user than the server's, unless its definition sets one. */
static void add_limit(struct sw_start *m, uint32_t resource, uint64_t most) {
  for (uint32_t i = 0; i < m->n_limit; i++)
    if (m->limit[i].resource == resource) return;
  if (m->n_limit < SW_LIMITS) m->limit[m->n_limit++] = (struct sw_limit){resource, most, most};
}

/* Members that the executor's own header did not know count as 0. */
static const char *script_of(const wx_spawn *sp) {
  return sp->size >= offsetof(wx_spawn, program) && sp->script && sp->script_len ? sp->script : NULL;
}

/* A descriptor, -1 = none. */
static int program_of(const wx_spawn *sp) {
  return sp->size >= offsetof(wx_spawn, program) + sizeof sp->program ? sp->program - 1 : -1;
}

/* The header stays first in b; SW_TEXT_FD and the descriptor are decided by the size. */
static void build(struct buf *b, const struct wx_exec *x, const wx_spawn *sp, const struct run_as_user *u) {
  struct sw_start m = {.kind = SW_START, .id = x->child->id, .ti = x->a->ti, .epoch = x->a->epoch, .n_limit = sp->n_rlimit,
                       .umask = sp->umask};
  for (uint32_t i = 0; i < sp->n_rlimit; i++)
    m.limit[i] = (struct sw_limit){(uint32_t)sp->rlimit[i].resource, sp->rlimit[i].soft, sp->rlimit[i].hard};
  buf_add(b, &m, sizeof m);
  if (u->uid != x->w->euid) {
    m.flags |= SW_USER;
    m.uid = u->uid;
    m.gid = u->gid;
    m.n_group = (uint32_t)u->n_group;
    add_limit(&m, RLIMIT_NPROC, LIMIT_TASK_PROCESSES);
    add_limit(&m, RLIMIT_FSIZE, LIMIT_TASK_FILE_BYTES);
    buf_add(b, u->group, m.n_group * sizeof *u->group);
  }
  if (sp->cwd) {
    m.flags |= SW_CWD;
    add_text(b, sp->cwd);
  }
  for (const char *const *a = sp->argv; *a; a++, m.n_argv++) add_text(b, *a);
  m.n_env = add_env(b, x, sp, u);
  m.text_bytes = b->len - sizeof m;
  m.flags |= SW_NOTES;
  if (x->a->analysis) m.flags |= SW_BESIDE;
  if (sp->apart) m.flags |= SW_APART;
  if (sp->stdin_len) m.flags |= SW_STDIN;
  if (x->task.context_len) m.flags |= SW_CONTEXT;
  if (program_of(sp) >= 0) m.flags |= SW_PROGRAM;
  else if (script_of(sp)) m.flags |= SW_SCRIPT;
  if (x->a->timeout_us || x->a->heartbeat_us || x->w->troubles.pause_us) m.flags |= SW_TELL;
  if (m.text_bytes > SW_INLINE) m.flags |= SW_TEXT_FD;
  memcpy(b->data, &m, sizeof m);
}

/* The descriptors that go along. */
struct along { int fd[SW_FDS], n; };

/* One more, a file in memory; false with errno. */
static bool add_file(struct along *a, const void *p, size_t n) {
  int fd = memory_file(p, n);
  if (fd >= 0) a->fd[a->n++] = fd;
  return fd >= 0;
}

/* A descriptor of the same file. */
static bool add_copy(struct along *a, int of) {
  int fd = fcntl(of, F_DUPFD_CLOEXEC, 0);
  if (fd >= 0) a->fd[a->n++] = fd;
  return fd >= 0;
}

/* Sends the START; -1 with errno: no descriptor or no memory for it. */
static int request(struct wx_exec *x, const wx_spawn *sp, const struct run_as_user *u) {
  struct child *c = x->child;
  struct buf b = BUF_INIT;
  struct along a = {.n = 0};
  build(&b, x, sp, u);
  size_t n = b.len, head = sizeof(struct sw_start);
  for (int i = 0; i < PIPES; i++)
    if (c->pipe[i].wr >= 0) a.fd[a.n++] = c->pipe[i].wr;
  int kept = a.n;
  bool ok = !sp->stdin_len || add_file(&a, sp->stdin_data, sp->stdin_len);
  ok = ok && (!x->task.context_len || add_file(&a, x->task.context, x->task.context_len));
  ok = ok && (program_of(sp) >= 0 || !script_of(sp) || add_file(&a, sp->script, sp->script_len));
  ok = ok && (program_of(sp) < 0 || add_copy(&a, program_of(sp)));
  if (ok && n - head > SW_INLINE) {
    ok = add_file(&a, b.data + head, n - head);
    n = head;
  }
  if (ok) send_packet(x->w, b.data, n, a.fd, a.n, kept);
  while (!ok && a.n > kept) close(a.fd[--a.n]);
  buf_done(&b);
  return ok ? 0 : -1;
}

/* Nothing began: it goes back without a count, and this node pauses. */
static int not_made(struct wx_exec *x, const char *why, char *err, size_t err_n) {
  x->never = true;
  start_failed(x->w, why);
  return snprintf(err, err_n, "%s", why), -1;
}

static struct child *child_new(struct wx_exec *x, const wx_spawn *sp, const struct run_as_user *u) {
  struct worker *w = x->w;
  struct child *c = wr_new(struct child);
  *c = (struct child){.id = ++w->last_id, .x = x, .program = wr_strdup(sp->argv[0]), .cwd = wr_strdup(sp->cwd),
                      .user = wr_strdup(u->name), .grace_us = sp->grace_us < 0 ? GRACE_DEFAULT_US : sp->grace_us};
  for (uint32_t i = 0; i < sp->n_rlimit; i++) c->limited |= 1u << sp->rlimit[i].resource;
  for (int i = 0; i < PIPES; i++) c->pipe[i] = (struct pipe){.src.fd = -1, .wr = -1, .c = c};
  return c;
}

static int spawn(struct wx_exec *x, const wx_spawn *sp, char *err, size_t err_n) {
  struct worker *w = x->w;
  const char *off = w->o.why_no_spawner && w->o.shell_allowed ? w->o.why_no_spawner : "SHELL is off on this node.";
  if (!w->o.shell_allowed || !w->spawner) return snprintf(err, err_n, "%s", off), -1;
  if (w->spawner->sock < 0 && !w->minder.lost) return not_made(x, "The spawner of this node is gone.", err, err_n);
  wr_assert(sp->n_rlimit <= SW_LIMITS);
  const struct run_as_user *u = run_as_find(w->spawner->run_as, sp->user);
  if (!u) return run_as_text(run_as_allows(w->spawner->run_as, sp->user), sp->user, err, err_n), -1;
  struct child *c = child_new(x, sp, u);
  x->child = c;
  if (open_pipes(c, sp->apart) || request(x, sp, u)) {
    x->child = NULL;
    bury(w, c);
    return not_made(x, "This node has no descriptor or memory left to start a process.", err, err_n);
  }
  if (x->a->analysis) watch_pipes(w, c); /* its id says nothing of those before it */
  else young_add(w, c);
  map64_put(&w->kids, c->id, c);
  x->log_cap = sp->log_cap;
  return 0;
}

int child_spawn(struct wx_exec *x, const wx_spawn *sp, char *err, size_t err_n) {
  int rc = spawn(x, sp, err, err_n), program = program_of(sp);
  if (program >= 0) close(program);
  return rc;
}

/* ---- the result ---- */

/* A plain file of the attempt, whose writers are all dead. */
static char *read_output(int fd, size_t most, wx_exit *e) {
  struct stat st;
  if (fstat(fd, &st) || st.st_size < 0 || (size_t)st.st_size > most) {
    e->output_error = 1;
    return NULL;
  }
  size_t got = 0, size = (size_t)st.st_size;
  char *p = wr_malloc(size + 1);
  for (ssize_t n; got < size && (n = pread(fd, p + got, size - got, (off_t)got)) > 0;) got += (size_t)n;
  p[got] = '\0';
  e->output = p;
  e->output_len = got;
  return p;
}

static char *take_output(const struct sw_exit *m, size_t most, wx_exit *e) {
  if (m->output == OUTPUT_NONE) return NULL;
  e->output_error = m->output == OUTPUT_LARGE ? 1 : m->output == OUTPUT_ODD ? 2 : 0;
  if (m->output != OUTPUT_FILE || m->fd < 0) return NULL;
  char *p = read_output(m->fd, most, e);
  close(m->fd);
  return p;
}

/* ---- end ---- */

#define WHOLE_PATH 440            /* two of them and the words around fit into LIMIT_ERROR_BYTES */

/* The text itself when it can be shown as it is; else quoted and cut. */
static const char *shown(char q[WR_QUOTE_MAX], const char *s) {
  size_t n = strlen(s);
  return n < WHOLE_PATH && text_utf8(s, n) && !text_has_control(s, n) ? s : wr_err_quote(q, s, n);
}

/* Which file it was that could not be started: a bare name is looked for in PATH, any other relative path in cwd. */
static void exec_error(const struct child *c, const char *program, const char *why, int err, char *b, size_t n) {
  char q[WR_QUOTE_MAX];
  if (!strchr(c->program, '/'))
    snprintf(b, n, "Cannot start %s: %s%s.", program, why, err == ENOENT ? " (in any folder of PATH)" : "");
  else if (c->program[0] != '/' && c->cwd) snprintf(b, n, "Cannot start %s in %s: %s.", program, shown(q, c->cwd), why);
  else snprintf(b, n, "Cannot start %s: %s.", program, why);
}

static void start_error(const struct child *c, const struct sw_exit *m, char *b, size_t n) {
  char q[WR_QUOTE_MAX];
  const char *why = strerrordesc_np(m->err), *program = shown(q, c->program);
  if (!why) why = "unknown error";
  switch ((enum sw_step)m->step) {
    case STEP_CWD: snprintf(b, n, "Cannot change to directory %s: %s.", shown(q, c->cwd), why); break;
    case STEP_USER: snprintf(b, n, "Cannot become user %s: %s.", shown(q, c->user), why); break;
    case STEP_LIMIT: snprintf(b, n, "Cannot set the limits: %s.", why); break;
    case STEP_EXEC: exec_error(c, program, why, m->err, b, n); break;
    case STEP_INTERPRETER:
      snprintf(b, n, "Cannot start %s: what its first line names does not exist (does it end in a carriage return?).", program);
      break;
    case STEP_DEADLINE: snprintf(b, n, "The node's lease is over."); break;
    case STEP_WAITED: *b = '\0'; break; /* it is handed back */
    case STEP_NOT_ALLOWED: snprintf(b, n, "This node's spawner starts nothing as user %s.", shown(q, c->user)); break;
    case STEP_HANGS:
      if (m->err == EBUSY)
        snprintf(b, n, "Cannot start %s: too many starts of its user hang on a file system that does not answer.", program);
      else snprintf(b, n, "Cannot start %s: the file system of its directory or its file does not answer.", program);
      break;
    case STEP_WORKDIR: snprintf(b, n, "Cannot make a task's directory in %s: %s.", c->x->w->spawner->run_path, why); break;
    case STEP_DISTURBED: snprintf(b, n, "Cannot start %s: another process stopped it each time.", program); break;
    case STEP_NONE: case STEP_FORK: case STEP_REQUEST: case STEP_SESSION: case STEP_FILES: case STEP_PRCTL:
      snprintf(b, n, "Cannot prepare a process for %s: %s.", program, why);
  }
}

/* May another try succeed? Not when the task met a limit of its own. */
static bool passes(const struct child *c, int err) {
  switch (err) {
    case ENFILE: case ETXTBSY: return true;
    case EAGAIN: return !(c->limited & 1u << RLIMIT_NPROC);
    case EMFILE: return !(c->limited & 1u << RLIMIT_NOFILE);
    case ENOMEM: return !(c->limited & (1u << RLIMIT_AS | 1u << RLIMIT_DATA | 1u << RLIMIT_STACK));
    default: return false;
  }
}

/* Did nothing of the attempt begin, because of this node or of a state that passes? Then another start may do better. */
static bool never_began(const struct child *c, const struct sw_exit *m) {
  switch ((enum sw_step)m->step) {
    case STEP_NONE: return false;
    case STEP_WAITED: case STEP_DEADLINE: return true;
    case STEP_FORK: case STEP_REQUEST: case STEP_SESSION: case STEP_FILES: case STEP_PRCTL: case STEP_WORKDIR: return true;
    case STEP_HANGS: return m->err == EBUSY;
    case STEP_LIMIT: case STEP_USER: case STEP_NOT_ALLOWED: case STEP_CWD: case STEP_EXEC: case STEP_INTERPRETER:
    case STEP_DISTURBED: break;
  }
  return passes(c, m->err);
}

/* Ends that are not the task's doing: nothing began (HANDBACK), or it may have begun and was cut short (LOST, class INFRA). */
static void judge(const struct child *c, const struct sw_exit *m, const char *error) {
  struct wx_exec *x = c->x;
  bool busy = (m->step == STEP_EXEC && m->err == ETXTBSY) || (m->step == STEP_HANGS && m->err == EBUSY);
  x->worn = busy ? x->a->tries >= BUSY_TRIES : m->step == STEP_HANGS;
  x->never = !x->worn && never_began(c, m);
  /* EAGAIN of an exec: the user has as many processes as it may have */
  x->again = !x->never ? 0 : busy ? BUSY_TRIES : m->step == STEP_EXEC && m->err == EAGAIN ? AGAIN_TRIES : 0;
  if (!x->never && !x->lost && m->flags & SW_LATE) x->lost = "The node's lease is over.";
  if (c->orphaned || m->step == STEP_WAITED || m->step == STEP_DEADLINE || x->again) return; /* tells nothing about the node */
  if (x->never) start_failed(x->w, error);
  else start_made(x->w);
}

static void finish(struct child *c, const struct sw_exit *m) {
  struct wx_exec *x = c->x;
  struct worker *w = x->w;
  char text[LIMIT_ERROR_BYTES] = "";
  wx_exit e = {.size = sizeof e, .failed_step = m->step, .exit_code = -1, .utime_us = m->utime_us,
               .stime_us = m->stime_us, .maxrss_kib = m->maxrss_kib};
  read_rest(c);
  char *output = take_output(m, exec_result_bytes(x), &e);
  reports_last(x, &e);
  if (m->step) {
    start_error(c, m, text, sizeof text);
    e.error = text;
  } else if (WIFSIGNALED(m->status)) {
    e.signal = WTERMSIG(m->status);
  } else {
    e.exit_code = WEXITSTATUS(m->status);
  }
  if (!(m->flags & SW_ASKED)) x->handback = false; /* it ended by itself */
  x->a->asked = m->flags & SW_ASKED;
  judge(c, m, text);
  map64_del(&w->kids, c->id);
  stuck_end(w, c->id);
  if (!c->watched) young_del(w, c);
  x->a->run_us = m->run_us;
  x->child = NULL;
  bury(w, c);
  minder_settle(w);
  exec_child_done(x, &e);
  free(output);
}

/* ---- the spawner is dead ---- */

static struct child *an_orphan(struct worker *w) {
  const struct map64_slot *m;
  for (size_t i = 0; (m = map64_next(&w->kids, &i));)
    if (((struct child *)m->val)->orphaned) return m->val;
  return NULL;
}

void child_orphan_all(struct worker *w) {
  const struct map64_slot *m;
  for (size_t i = 0; (m = map64_next(&w->kids, &i));) ((struct child *)m->val)->orphaned = true;
}

/* All children that the dead spawner started, and those that wait for a spawner that will never come. */
void child_lose_orphans(struct worker *w) {
  int64_t begun = atomic_load(&w->spawner->page->begun);
  for (struct child *c; (c = an_orphan(w));) {
    if (c->id <= begun) c->x->lost = "The spawner of this node died.";
    finish(c, &(struct sw_exit){.step = c->id <= begun ? STEP_NONE : STEP_WAITED, .flags = SW_ASKED, .status = SIGKILL});
  }
}

/* ---- what it reports ---- */

static void note_stuck(const struct child *c, const struct sw_exit *m) {
  const char state[2] = {(char)m->err};
  log_error("worker.unkillable", L_INT("pid", m->status), L_STR("name", m->name), L_STR("state", state),
            L_INT("task", c ? c->x->a->ti : 0), L_INT("attempt", c ? c->x->a->epoch : 0),
            L_STR("effect", "SIGKILL does not end it; its attempt does not end before it does"));
}

void child_report(struct worker *w, const struct sw_exit *m) {
  struct child *c = map64_get(&w->kids, m->id);
  if (m->kind == SW_STUCK) {
    note_stuck(c, m);
    if (c) stuck_add(w, c->id, c->x->a, m);
    return;
  }
  if (!c && m->kind == SW_EXIT && m->fd >= 0) close(m->fd);
  if (!c) return;
  if (m->kind == SW_STARTED) start_made(w), exec_limit(c->x, m->start_us);
  else if (m->kind == SW_EXIT) finish(c, m);
}

/* ---- open and close ---- */

enum wr_rc child_setup(struct worker *w, struct wr_err *err) {
  w->watch.fire = watch_due;
  w->euid = w->spawner ? w->spawner->uid : geteuid();
  w->dir = realpath(w->o.data_dir, NULL);
  if (!w->dir) return wr_err_errno(err, "Cannot find the data directory");
  w->dir_fd = open(w->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (w->dir_fd < 0) return wr_err_errno(err, "Cannot open the data directory");
  if (!w->spawner) return WR_OK;
  atomic_store(&w->spawner->page->slots, w->o.process_slots);
  minder_setup(w);
  home_setup(w);
  return WR_OK;
}

void child_cleanup(struct worker *w) {
  child_sweep(w);
  child_forget_waiting(w);
  minder_cleanup(w);
  home_cleanup(w);
  if (w->dir_fd >= 0) close(w->dir_fd);
  free(w->dir);
}
