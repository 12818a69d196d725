/* One start, in the spawner: the plan that a packet asks for, whether it may be, the clone, and the wait for its exec. Spawner
 * process only; the child's half is child.c.
 *
 * What never happens: a start after the deadline of the shared page, or as a user who is not on the list, whatever the node
 * says; a wait without limit for a child that others may stop. */
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
#include "run_as.h"
#include "spawner_wire.h"

enum { STACK_BYTES = 64 * 1024, TEXT_MAX = 64 << 20 };
#define EXEC_WAIT_US 1000000       /* from clone to exec; what takes longer is killed and handed back */
#define STOP_WAIT_US 50000         /* the same, of one that was stopped */
#define LAUNCHING 1U

/* For the child of the next fork, which finds its files in this process's table and changes them there. */
void spawner_null_files(int null) {
  for (int i = 0; i < 3; i++) dup2(null, i);
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

/* What the node cannot know: where its directory is. */
void launch_dir(struct launcher *l, struct child_plan *p, uint32_t n_env, const char *run_path, const char *name) {
  size_t n = strlen(run_path) + WORKDIR_NAME + sizeof "WEIR_OUTPUT=//output";
  char **v = arena_alloc(&l->arena, (n_env + 3) * sizeof *v), *b = arena_alloc(&l->arena, 2 * n);
  memcpy(v, p->env, n_env * sizeof *v);
  snprintf(b, n, "WEIR_WORKDIR=%s/%s", run_path, name);
  snprintf(b + n, n, "WEIR_OUTPUT=%s/%s/output", run_path, name);
  v[n_env] = b;
  v[n_env + 1] = b + n;
  v[n_env + 2] = NULL;
  p->env = v;
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

/* ENOENT of a file that is there: what its first line names is not. */
static void refine(struct child_plan *p) {
  if (p->step == STEP_EXEC && p->err == ENOENT && p->program[0][0] == '/' && !p->program[1] &&
      access(p->program[0], F_OK) == 0)
    p->step = STEP_INTERPRETER;
}

/* Bounded, unlike vfork: others of its user may stop it between setresuid() and exec(). The kernel clears the word and wakes us
 * when the child leaves our memory, by exec or by its end. */
static bool await_exec(_Atomic uint32_t *tid, int64_t us) {
  for (int64_t end = clock_mono_us() + us, left = us; atomic_load(tid) != 0; left = end - clock_mono_us()) {
    if (left <= 0) return false;
    const struct timespec t = {left / 1000000, left % 1000000 * 1000};
    (void)bare_wait(tid, LAUNCHING, &t);
  }
  return true;
}

static bool is_stopped(pid_t pid) {
  char name[16], state = reap_state(pid, name);
  return state == 'T' || state == 't';
}

/* Killed, it lets go at once; one that hangs in exec beyond that keeps this stack, and the node learns of a dead spawner. */
static void disturbed(struct child_plan *plan, pid_t pid, _Atomic uint32_t *tid) {
  kill(pid, SIGKILL);
  if (!await_exec(tid, EXEC_WAIT_US)) _exit(1);
  waitpid(pid, NULL, __WALL);
  spawner_null_files(FD_NULL);
  plan->step = STEP_DISTURBED;
  plan->err = ETIMEDOUT;
}

/* Returns the pid, or -1 with plan->step and ->err set. */
pid_t launch(struct launcher *l, struct child_plan *plan) {
  static char stack[STACK_BYTES] __attribute__((aligned(64)));
  static _Atomic uint32_t tid;
  plan->parent = l->pid;
  if (clock_boot_us() >= atomic_load(&l->page->deadline_us)) {
    plan->step = STEP_DEADLINE;
    return -1;
  }
  atomic_store(&tid, LAUNCHING);
  pid_t pid = clone(child_main, stack + sizeof stack, CLONE_VM | CLONE_FILES | CLONE_CHILD_CLEARTID | SIGCHLD, plan, NULL, NULL, &tid);
  if (pid < 0) {
    plan->step = STEP_FORK;
    plan->err = errno;
  } else if (!await_exec(&tid, STOP_WAIT_US) && (is_stopped(pid) || !await_exec(&tid, EXEC_WAIT_US))) {
    disturbed(plan, pid, &tid);
    return -1;
  } else if (plan->step) { /* written by the child, before it ended */
    waitpid(pid, NULL, __WALL);
    refine(plan);
    pid = -1;
  }
  spawner_null_files(FD_NULL);
  return pid;
}

/* Whatever the node says: it may have been talked into it. */
bool launch_allowed(const struct launcher *l, struct child_plan *p) {
  uid_t uid = p->set_user ? p->uid : geteuid();
  if (run_as_enters(l->run_as, uid, p->set_user ? p->gid : getegid(), p->group, p->set_user ? p->n_group : 0)) return true;
  p->step = STEP_NOT_ALLOWED;
  return false;
}
