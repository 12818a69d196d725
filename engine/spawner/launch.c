/* One start, in the spawner: the plan that a packet asks for, the check whether it is allowed, the clone, and the wait for its
 * exec. Spawner process only; the child's half is child.c.
 *
 * What never happens: a start after the deadline of the shared page, or as a user who is not on the list, whatever the node asks
 * for; a wait without limit for a child that others may stop; a wait for a directory or a program that is slow to come. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bare.h"
#include "clock.h"
#include "mem.h"
#include "pads.h"
#include "run_as.h"
#include "spawner_int.h"

enum { TEXT_MAX = 64 << 20, TRIES = 3 };
#define LOOK_US 5000               /* from clone to exec; after that we look why it takes so long */
#define TURN_US 50000              /* how long we wait for an `alone` child that lacks only its turn on a CPU */
#define EXEC_WAIT_US 1000000       /* the longest wait, also for a child that still shares our files; the scheduler never ran it,
                                      so it is handed back */
#define LAUNCHING 1U

#ifdef __SANITIZE_THREAD__ /* its clone() leaves what the child needs on our stack, and we do not stand still */
int __clone(int (*main)(void *), void *stack, int flags, void *arg, ...);
#define clone __clone
#endif

/* 0-3 are /dev/null in this process. The child of a start shares its table of files at first, and changes them there. */
void spawner_null_files(int null) {
  for (int i = 0; i < FD_OWN; i++) dup2(null, i);
}

/* n NUL-terminated texts from *at on; NULL when they do not fit. */
static char **split(struct arena *a, char **at, const char *end, uint32_t n) {
  char **v = arena_alloc(a, (n + 1) * sizeof *v);
  for (uint32_t i = 0; i < n; i++) {
    char *nul = *at < end ? memchr(*at, 0, (size_t)(end - *at)) : NULL;
    if (!nul) return NULL;
    v[i] = *at;
    *at = nul + 1;
  }
  v[n] = NULL;
  return v;
}

static const char *path_of(char *const *env) {
  for (; *env; env++)
    if (strncmp(*env, "PATH=", 5) == 0) return *env + 5;
  return "/usr/local/bin:/usr/bin:/bin";
}

/* The files to try for argv[0], as execvp would. */
static const char *const *programs(struct arena *a, const char *name, char *const *env) {
  const char *path = path_of(env);
  size_t n = 2, i = 0;
  for (const char *c = path; *c; c++) n += *c == ':';
  const char **v = arena_alloc(a, n * sizeof *v);
  if (strchr(name, '/') || !*name) {
    v[i++] = name;
  } else {
    for (const char *dir = path, *end; ; dir = end + 1) {
      end = strchrnul(dir, ':');
      size_t len = (size_t)(end - dir);
      char *file = arena_alloc(a, len + strlen(name) + 3);
      memcpy(file, len ? dir : ".", len ? len : 1);
      file[len ? len : 1] = '/';
      memcpy(file + (len ? len : 1) + 1, name, strlen(name) + 1);
      v[i++] = file;
      if (!*end) break;
    }
  }
  v[i] = NULL;
  return v;
}

/* The text of a start: behind it in the packet, or in a file. NULL: it is not there. */
static char *text_of(struct launcher *l, const struct sw_start *m, size_t inline_bytes, int text_fd) {
  if (m->text_bytes > TEXT_MAX) return NULL;
  char *text = arena_alloc(&l->arena, m->text_bytes);
  if (!(m->flags & SW_TEXT_FD)) {
    if (inline_bytes != m->text_bytes) return NULL;
    memcpy(text, m + 1, inline_bytes);
    return text;
  }
  for (size_t got = 0; got < m->text_bytes;) {
    ssize_t n = pread(text_fd, text + got, m->text_bytes - got, (off_t)got);
    if (n <= 0) return NULL;
    got += (size_t)n;
  }
  return text;
}

/* Adds what the node cannot know: the paths of the attempt's directory and of its context. */
void launch_dir(struct launcher *l, struct child_plan *p, uint32_t n_env, const char *run_path, const char *dir,
                const char *context) {
  size_t n = strlen(run_path) + WORKDIR_NAME + sizeof "WEIR_OUTPUT=//output";
  char **v = arena_alloc(&l->arena, (n_env + 4) * sizeof *v), *b = arena_alloc(&l->arena, 3 * n);
  memcpy(v, p->env, n_env * sizeof *v);
  snprintf(b, n, "WEIR_WORKDIR=%s/%s", run_path, dir);
  snprintf(b + n, n, "WEIR_OUTPUT=%s/%s/output", run_path, dir);
  snprintf(b + 2 * n, n, "WEIR_CONTEXT=%s/%s", run_path, context);
  for (uint32_t i = 0; i < 3; i++) v[n_env + i] = b + i * n;
  v[n_env + 3] = NULL;
  p->env = v;
}

void launch_script(struct launcher *l, struct child_plan *p, uint32_t n_argv, const char *run_path, const char *script) {
  size_t n = strlen(run_path) + WORKDIR_NAME + sizeof "/";
  char **v = arena_alloc(&l->arena, (n_argv + 2) * sizeof *v);
  memcpy(v, p->argv, n_argv * sizeof *v);
  snprintf(v[n_argv] = arena_alloc(&l->arena, n), n, "%s/%s", run_path, script);
  v[n_argv + 1] = NULL;
  p->argv = v;
}

bool launch_plan(struct launcher *l, struct child_plan *p, struct sw_start *m, size_t n, int text_fd) {
  char *text = text_of(l, m, n - sizeof *m, text_fd);
  if (!text) return false;
  char *at = text, *end = text + m->text_bytes;
  if (m->n_limit > SW_LIMITS || m->n_group > m->text_bytes / sizeof(uint32_t) || m->n_argv == 0) return false;
  if (m->n_argv > m->text_bytes || m->n_env > m->text_bytes) return false;
  uint32_t *group = arena_alloc(&l->arena, m->n_group * sizeof *group); /* aligned */
  memcpy(group, at, m->n_group * sizeof *group);
  at += m->n_group * sizeof *group;
  char **cwd = split(&l->arena, &at, end, m->flags & SW_CWD ? 1 : 0);
  char **argv = cwd ? split(&l->arena, &at, end, m->n_argv) : NULL;
  char **env = argv ? split(&l->arena, &at, end, m->n_env) : NULL;
  if (!env) return false;
  p->argv = argv;
  p->env = env;
  p->cwd = *cwd;
  p->program = programs(&l->arena, argv[0], env);
  p->umask = m->umask >= 0 ? m->umask : (int)l->found->umask;
  p->found = l->found;
  p->mark = MARK_BASE + (uint64_t)m->id;
  p->limit = m->limit;
  p->n_limit = m->n_limit;
  p->set_user = m->flags & SW_USER;
  p->uid = m->uid;
  p->gid = m->gid;
  p->group = group;
  p->n_group = m->n_group;
  return true;
}

/* ENOENT for a file that is there means that the interpreter in its first line is missing. */
void launch_failure(const struct child_plan *p, int32_t *step, int32_t *err) {
  *step = p->step;
  *err = p->err;
  if (p->program_fd && p->step == STEP_EXEC && p->err == ENOENT) {
    *step = STEP_INTERPRETER;
    return;
  }
  if (p->step == STEP_EXEC && p->err == ENOENT && p->program[0][0] == '/' && !p->program[1] &&
      access(p->program[0], F_OK) == 0)
    *step = STEP_INTERPRETER;
}

/* The kernel clears the word and wakes us when the child leaves our memory, by exec or by its end. */
static bool has_left(_Atomic uint32_t *tid, int64_t us) {
  for (int64_t end = clock_mono_us() + us, left = us; atomic_load(tid) != 0; left = end - clock_mono_us()) {
    if (left <= 0) return false;
    const struct timespec t = {left / 1000000, left % 1000000 * 1000};
    (void)bare_wait(tid, LAUNCHING, &t);
  }
  return true;
}

/* This wait is bounded, unlike that of vfork: other processes of its user may stop the child between setresuid() and exec(), and
 * its program may be on a slow file system. A child that is `alone` is waited for only while it lacks nothing but its turn. */
enum outcome { LEFT, SLOW, STOPPED, STARVED };
static enum outcome await_exec(struct pad *pad, pid_t pid) {
  char name[16];
  for (int64_t end = clock_mono_us() + EXEC_WAIT_US, turn = end - EXEC_WAIT_US + TURN_US;;) {
    if (has_left(&pad->tid, LOOK_US)) return LEFT;
    char state = reap_state(pid, name);
    int64_t now = clock_mono_us();
    if (state == 'T' || state == 't') return STOPPED;
    if (atomic_load(&pad->plan.alone) && (state != 'R' || now >= turn)) return SLOW;
    if (now >= end) return STARVED;
  }
}

/* A killed child usually leaves the pad at once. */
static void get_rid(struct launcher *l, struct pad *pad, pid_t pid) {
  kill(pid, SIGKILL);
  if (has_left(&pad->tid, TURN_US)) waitpid(pid, NULL, __WALL);
  else strays_add(l->strays, pid, clock_mono_us());
}

/* Gives the pipes to the task's user, so that the task can open its own output by name (/dev/stderr). */
static void give_pipes(const struct child_plan *p) {
  for (int i = 1; p->set_user && i < p->n_fd; i++)
    if (i != 2 || p->fd[2] != p->fd[1]) (void)!fchown(p->fd[i], p->uid, p->gid); /* if this fails, only that is not possible */
}

static pid_t fail(struct child_plan *p, enum sw_step step, int err) {
  p->step = (int)step;
  p->err = err;
  return -1;
}

static pid_t try_once(struct launcher *l, struct child_plan *plan) {
  struct pad *pad = pads_take(&l->pads, plan->set_user ? plan->uid : geteuid());
  if (!pad) return fail(plan, STEP_HANGS, EBUSY);
  pad->plan = *plan;
  atomic_store(&pad->tid, LAUNCHING);
  enum { FLAGS = CLONE_VM | CLONE_FILES | CLONE_CHILD_CLEARTID | SIGCHLD };
  pid_t pid = clone(child_main, pad->stack + sizeof pad->stack, FLAGS, &pad->plan, NULL, NULL, &pad->tid);
  if (pid < 0) {
    atomic_store(&pad->tid, 0);
    return fail(plan, STEP_FORK, errno);
  }
  enum outcome how = await_exec(pad, pid);
  spawner_null_files(FD_NULL);
  if (how == SLOW) {
    pads_slow(&l->pads, pad, pid, &l->arena, clock_mono_us() + LAUNCH_SLOW_US);
  } else if (how != LEFT) {
    get_rid(l, pad, pid);
    return how == STOPPED ? fail(plan, STEP_DISTURBED, EINTR) : fail(plan, STEP_FORK, ETIMEDOUT);
  } else if (pad->plan.step) { /* written by the child, before it ended */
    waitpid(pid, NULL, __WALL);
    launch_failure(&pad->plan, &plan->step, &plan->err);
    return -1;
  }
  return pid;
}

/* A child that other processes of its user stop at each try has failed: they could as well have killed it later. */
pid_t launch(struct launcher *l, struct child_plan *plan) {
  pid_t pid = -1;
  plan->parent = l->pid;
  if (clock_boot_us() >= atomic_load(&l->page->deadline_us)) return fail(plan, STEP_DEADLINE, 0);
  give_pipes(plan);
  for (int i = 0; i < TRIES && (i == 0 || (pid < 0 && plan->step == STEP_DISTURBED)); i++) {
    plan->step = 0;
    pid = try_once(l, plan);
  }
  return pid;
}

/* Checked here, whatever the node checked before: somebody may have gained control of the node. */
bool launch_allowed(const struct launcher *l, struct child_plan *p) {
  uid_t uid = p->set_user ? p->uid : geteuid();
  if (run_as_enters(l->run_as, uid, p->set_user ? p->gid : getegid(), p->group, p->set_user ? p->n_group : 0)) return true;
  p->step = STEP_NOT_ALLOWED;
  return false;
}
