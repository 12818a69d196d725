/* The processes that a killed server left and that still hold the lock on the data directory: guard, spawner, spare. They end by
 * themselves, unless they are stopped, or wait for a process that does not die. The guard of a starting server asks for them
 * once, before it has given up any right. It finds only processes that it may inspect. Nothing here blocks and nothing is killed,
 * because the lock may belong to a live server. Stopped processes of such a server are continued too, which does no harm. */
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "spawner_int.h"

/* Is the process one of these? Its state as /proc has it, 0 = no. */
static char state_of(pid_t pid, const struct stat *lock, char name[16]) {
  char path[64];
  struct stat st;
  char state = reap_state(pid, name);
  bool same = false;
  if (strncmp(name, "weir-", 5) != 0 || pid == getpid()) return 0;
  for (int fd = FD_LOCK - 1; fd <= FD_LOCK && !same; fd++) { /* where an older version has it, and this one */
    snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
    same = stat(path, &st) == 0 && st.st_dev == lock->st_dev && st.st_ino == lock->st_ino;
  }
  return same ? state : 0;
}

static void each(int lock, void (*take)(void *ctx, pid_t pid, const char *name, char state), void *ctx) {
  struct stat st;
  char name[16], state;
  DIR *d = fstat(lock, &st) ? NULL : opendir("/proc");
  if (!d) return;
  for (struct dirent *e; (e = readdir(d));) {
    pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
    if (pid > 0 && (state = state_of(pid, &st, name)) && state != 'Z') take(ctx, pid, name, state);
  }
  closedir(d);
}

static void go_on(void *ctx, pid_t pid, const char *name, char state) {
  (void)ctx;
  (void)name;
  if (state == 'T' || state == 't') kill(pid, SIGCONT);
}

void former_wake(int lock) { each(lock, go_on, NULL); }

struct names { char *out; size_t n, at; };

static void put_former(void *ctx, pid_t pid, const char *name, char state) {
  struct names *x = ctx;
  char one[48];
  (void)state;
  int n = snprintf(one, sizeof one, "%s%s (%d)", x->at ? ", " : "", name, (int)pid);
  if (x->at + (size_t)n >= x->n) return;
  memcpy(x->out + x->at, one, (size_t)n + 1);
  x->at += (size_t)n;
}

bool former_names(int lock, char *out, size_t n) {
  struct names x = {out, n, 0};
  each(lock, put_former, &x);
  return x.at > 0;
}
