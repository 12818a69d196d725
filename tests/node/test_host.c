/* A node in a process that is not its own: what is one for the whole process stays as the host has it, no process is made before
 * one asks, two nodes stand side by side, and the host hears what it has to decide. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../spawner/harness.h"
#include "../unit/unit.h"
#include "node.h"

#ifdef __SANITIZE_THREAD__ /* has a thread of its own that blocks all signals, for good */
#define THREAD_OF_SANITIZER true
#else
#define THREAD_OF_SANITIZER false
#endif

static char dir[2][80];
static char store[2][120];
static const char *gone_why;
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void on_gone(void *ctx, enum node_gone what, const char *why) {
  (void)ctx;
  pthread_mutex_lock(&mu);
  gone_why = what == NODE_GONE_LOCK ? strdup(why) : "another file";
  pthread_cond_signal(&changed);
  pthread_mutex_unlock(&mu);
}

static struct node_opts opts(int i, unsigned roles) {
  return (struct node_opts){.store = store[i], .queue = "memory:", .prefix = "t", .data = dir[i], .roles = roles,
                            .roles_text = "runner", .lease_us = 60000000, .slots = 2, .async_slots = 10, .shell = NODE_SHELL_ON, .gone = on_gone};
}

/* What node_open() and node_close() must leave alone. */
struct host {
  void (*handler[NSIG])(int);
  uint64_t blocked;
  struct rlimit limit[RLIM_NLIMITS];
  mode_t mask;
  size_t stack;
  int reaper;
};

static void look(struct host *h) {
  pthread_attr_t a;
  struct sigaction sa;
  sigset_t blocked;
  memset(h, 0, sizeof *h);
  for (int i = 1; i < NSIG; i++)
    if (sigaction(i, NULL, &sa) == 0) h->handler[i] = sa.sa_handler;
  pthread_sigmask(SIG_SETMASK, NULL, &blocked);
  for (int i = 1; i < NSIG; i++) h->blocked |= (uint64_t)(sigismember(&blocked, i) == 1) << (i - 1);
  for (int i = 0; i < RLIM_NLIMITS; i++) getrlimit((__rlimit_resource_t)i, &h->limit[i]);
  umask(h->mask = umask(077));
  pthread_getattr_default_np(&a);
  pthread_attr_getstacksize(&a, &h->stack);
  pthread_attr_destroy(&a);
  prctl(PR_GET_CHILD_SUBREAPER, &h->reaper, 0, 0, 0);
}

/* False: the thread has ended. */
static bool blocked_by(const char *thread, uint64_t *set) {
  char path[300], b[4096];
  snprintf(path, sizeof path, "/proc/self/task/%s/status", thread);
  FILE *f = fopen(path, "r");
  size_t n = f ? fread(b, 1, sizeof b - 1, f) : 0;
  if (f) fclose(f);
  b[n] = '\0';
  const char *at = strstr(b, "SigBlk:");
  if (at) *set = strtoull(at + 7, NULL, 16);
  return at != NULL;
}

/* Every thread but this one. */
static int deaf_threads(void) {
  char me[24];
  int n = 0;
  snprintf(me, sizeof me, "%d", (int)getpid());
  DIR *d = opendir("/proc/self/task");
  for (struct dirent *e; (e = readdir(d));) {
    if (*e->d_name == '.' || strcmp(e->d_name, me) == 0) continue;
    uint64_t set;
    bool lives;
    /* The library blocks all signals while a thread begins or ends. */
    while ((lives = blocked_by(e->d_name, &set)) && set >> (SIGBUS - 1) & 1 && !THREAD_OF_SANITIZER) sched_yield();
    if (!lives || (THREAD_OF_SANITIZER && set >> (SIGBUS - 1) & 1)) continue;
    for (int sig = 1; sig < 32; sig++)
      if (sig != SIGBUS && sig != SIGKILL && sig != SIGSTOP && !(set >> (sig - 1) & 1))
        fail_msg("thread %s takes signal %d", e->d_name, sig);
    n++;
  }
  closedir(d);
  return n;
}

static bool childless(void) { return waitpid(-1, NULL, WNOHANG) < 0; }

static void test_process_is_the_hosts(void **st) {
  struct host before, within, after;
  struct wr_err err = {0};
  struct spawner *s;
  struct node *n;
  (void)st;
  const struct node_opts o = opts(0, NODE_RUNNER | NODE_WORKER);
  assert_true(childless());
  look(&before);
  assert_int_equal(node_spawner(&o, NULL, &s, &err), WR_OK);
  if (node_open(&o, s, &n, &err)) fail_msg("%s", err.msg);
  look(&within);
  assert_memory_equal(&within, &before, sizeof before);
  assert_true(deaf_threads() >= 3);
  node_drain(n, 0);
  node_close(n);
  look(&after);
  assert_memory_equal(&after, &before, sizeof before);
  assert_true(childless());
}

static void test_no_process_unasked(void **st) {
  struct wr_err err = {0};
  struct spawner *s;
  struct node *n;
  (void)st;
  const struct node_opts o = opts(0, NODE_RUNNER);
  assert_int_equal(node_spawner(&o, NULL, &s, &err), WR_OK);
  assert_null(s);
  if (node_open(&o, s, &n, &err)) fail_msg("%s", err.msg);
  assert_true(childless());
  node_drain(n, 0);
  node_close(n);
}

static void test_two(void **st) {
  struct wr_err err = {0};
  struct spawner *s[2];
  struct node *n[2];
  struct node_opts o[2];
  (void)st;
  for (int i = 0; i < 2; i++) {
    o[i] = opts(i, NODE_RUNNER | NODE_WORKER);
    assert_int_equal(node_spawner(&o[i], NULL, &s[i], &err), WR_OK);
    if (node_open(&o[i], s[i], &n[i], &err)) fail_msg("%s", err.msg);
  }
  for (int i = 0; i < 2; i++) {
    struct health h;
    node_health(n[i], &h);
    assert_true(h.store.ok && h.processes.ok);
    node_drain(n[i], 0);
    node_close(n[i]);
  }
  assert_true(childless());
}

/* Who does not take in orphans is told so, and nothing is made. */
static void test_no_reaper(void **st) {
  struct wr_err err = {0};
  struct spawner *s;
  (void)st;
  const struct node_opts o = opts(0, NODE_RUNNER | NODE_WORKER);
  prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
  assert_int_equal(node_spawner(&o, NULL, &s, &err), WR_INTERNAL);
  assert_non_null(strstr(err.msg, "PR_SET_CHILD_SUBREAPER"));
  assert_true(childless());
  h_host();
}

/* It is the host who ends the process, or does not. */
static void test_lock_gone(void **st) {
  struct wr_err err = {0};
  struct spawner *s;
  struct node *n;
  char lock[120];
  (void)st;
  const struct node_opts o = opts(0, NODE_RUNNER | NODE_WORKER);
  assert_int_equal(node_spawner(&o, NULL, &s, &err), WR_OK);
  if (node_open(&o, s, &n, &err)) fail_msg("%s", err.msg);
  snprintf(lock, sizeof lock, "%s/lock", dir[0]);
  assert_int_equal(unlink(lock), 0);
  pthread_mutex_lock(&mu);
  while (!gone_why) pthread_cond_wait(&changed, &mu);
  pthread_mutex_unlock(&mu);
  assert_non_null(strstr(gone_why, "was removed or replaced"));
  node_drain(n, 0);
  node_close(n);
}

int main(void) {
  h_dir();
  h_host();
  for (int i = 0; i < 2; i++) {
    snprintf(dir[i], sizeof dir[i], "%s/%d", H.dir, i);
    snprintf(store[i], sizeof store[i], "sqlite:%s/weir.db", dir[i]);
    if (mkdir(dir[i], 0711)) return 1;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_process_is_the_hosts), cmocka_unit_test(test_no_process_unasked),
                                     cmocka_unit_test(test_two), cmocka_unit_test(test_no_reaper), cmocka_unit_test(test_lock_gone)};
  int rc = cmocka_run_group_tests_name("host", tests, NULL, NULL);
  h_remove();
  return rc;
}
