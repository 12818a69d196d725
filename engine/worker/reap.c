/* The children of this process, and the end of those a dead spawner left behind.
 *
 * /proc/self/task/TID/children lists them in order of arrival and nothing leaves that list but by our own wait, so one
 * reading is exact for all that were there when it began. Kernels without that file: all of /proc is looked through; a
 * process that changes its parent meanwhile is found by the parent it had, which is a child of ours itself. Any thread
 * that may wait for the children; nothing here blocks. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mem.h"
#include "spawner_wire.h"

struct pids { pid_t *v; size_t n, cap; };

static void add(struct pids *l, long pid) { *WR_PUSH(l->v, l->n, l->cap) = (pid_t)pid; }

/* "12 345 " in pieces of any size. */
static bool from_children(struct pids *l) {
  char path[64], b[4096];
  snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  long pid = 0;
  for (ssize_t n; (n = read(fd, b, sizeof b)) > 0;) {
    for (ssize_t i = 0; i < n; i++) {
      if (b[i] >= '0' && b[i] <= '9') {
        pid = pid * 10 + (b[i] - '0');
      } else if (pid) {
        add(l, pid);
        pid = 0;
      }
    }
  }
  if (pid) add(l, pid);
  close(fd);
  return true;
}

/* "12 (any name) S 1 ...": the parent stands behind the last parenthesis. */
static long parent_of(long pid) {
  char path[64], b[512];
  snprintf(path, sizeof path, "/proc/%ld/stat", pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  ssize_t n = read(fd, b, sizeof b - 1);
  close(fd);
  if (n <= 0) return 0;
  b[n] = '\0';
  const char *p = strrchr(b, ')');
  return p && strlen(p) > 4 ? strtol(p + 4, NULL, 10) : 0;
}

static void from_proc(struct pids *l) {
  DIR *d = opendir("/proc");
  if (!d) return;
  long me = getpid();
  for (struct dirent *e; (e = readdir(d));) {
    long pid = strtol(e->d_name, NULL, 10);
    if (pid > 0 && parent_of(pid) == me) add(l, pid);
  }
  closedir(d);
}

void reap_children(pid_t **v, size_t *n, size_t *cap) {
  struct pids l = {*v, *n, *cap};
  if (!from_children(&l)) from_proc(&l);
  *v = l.v;
  *n = l.n;
  *cap = l.cap;
}

void reap_slay(pid_t pid) {
  pid_t group = getpgid(pid);
  kill(pid, SIGKILL);
  if (group > 1 && group != getpgrp()) kill(-group, SIGKILL);
}

size_t reap_debris(void) {
  struct pids l = {0};
  size_t alive = 0;
  pid_t session = getsid(0);
  for (bool again = true; again;) { /* reaping one may bring us its children */
    again = false;
    alive = l.n = 0;
    reap_children(&l.v, &l.n, &l.cap);
    for (size_t i = 0; i < l.n; i++) {
      if (getsid(l.v[i]) == session) continue;
      reap_slay(l.v[i]);
      if (waitpid(l.v[i], NULL, WNOHANG) == l.v[i]) again = true;
      else alive++;
    }
  }
  free(l.v);
  return alive;
}
