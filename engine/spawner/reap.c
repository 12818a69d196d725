/* The children of this process, and the end of those that a dead spawner left behind.
 *
 * /proc/self/task/TID/children lists them in order of arrival. Only our own wait removes one from that list, so one reading is
 * exact for all children that were there when it began. Where the kernel has no such file, all of /proc is read. A process that
 * changes its parent meanwhile is found through its former parent, which is a child of ours itself. Any thread that may wait for
 * the children; nothing here blocks. */
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
#include "spawner_int.h"

enum { PID_TEXT = 16 };

static void kids_add(struct kids *k, long pid) { *WR_PUSH(k->v, k->n, k->cap) = (pid_t)pid; }

static int children_file(void) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
  return open(path, O_RDONLY | O_CLOEXEC);
}

/* "12 345 " in pieces of any size; a piece that left room for another pid was the last one. */
static void from_children(struct kids *k) {
  char b[4096];
  long pid = 0;
  off_t at = 0;
  for (ssize_t n = sizeof b; n > (ssize_t)sizeof b - PID_TEXT && (n = pread(k->file, b, sizeof b, at)) > 0; at += n) {
    for (ssize_t i = 0; i < n; i++) {
      if (b[i] >= '0' && b[i] <= '9') {
        pid = pid * 10 + (b[i] - '0');
      } else if (pid) {
        kids_add(k, pid);
        pid = 0;
      }
    }
  }
  if (pid) kids_add(k, pid);
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

static void from_proc(struct kids *k) {
  DIR *d = opendir("/proc");
  if (!d) return;
  long me = getpid();
  for (struct dirent *e; (e = readdir(d));) {
    long pid = strtol(e->d_name, NULL, 10);
    if (pid > 0 && parent_of(pid) == me) kids_add(k, pid);
  }
  closedir(d);
}

void reap_children(struct kids *k) {
  if (k->file == -2) k->file = children_file();
  k->n = 0;
  if (k->file >= 0) from_children(k);
  else from_proc(k);
}

void reap_slay(pid_t pid, pid_t *last) {
  pid_t group = getpgid(pid);
  kill(pid, SIGKILL);
  if (group <= 1 || group == getpgrp() || group == *last) return;
  kill(-group, SIGKILL);
  *last = group;
}

static ssize_t read_of(pid_t pid, const char *what, char *b, size_t n) {
  char path[64];
  snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, what);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  ssize_t got = read(fd, b, n - 1);
  close(fd);
  b[got > 0 ? got : 0] = '\0';
  return got;
}

uint64_t reap_mark(pid_t pid) {
  static const char word[] = "Max file locks";
  char b[4096];
  const char *at = read_of(pid, "limits", b, sizeof b) > 0 ? strstr(b, word) : NULL;
  return at ? strtoull(at + sizeof word - 1, NULL, 10) : 0; /* "unlimited" is 0 */
}

bool reap_user(pid_t pid, uint32_t *uid) {
  static const char word[] = "\nUid:\t"; /* a name that holds a line end is shown with an escape */
  char b[4096];
  const char *at = read_of(pid, "status", b, sizeof b) > 0 ? strstr(b, word) : NULL;
  if (at) *uid = (uint32_t)strtoul(at + sizeof word - 1, NULL, 10);
  return at != NULL;
}

char reap_state(pid_t pid, char name[16]) {
  char b[512];
  *name = '\0';
  if (read_of(pid, "stat", b, sizeof b) <= 0) return '?';
  char *open = strchr(b, '('), *shut = strrchr(b, ')');
  if (!open || !shut || shut[1] != ' ') return '?';
  *shut = '\0';
  snprintf(name, 16, "%.15s", open + 1);
  return shut[2];
}

static void slay_each(void *ctx, const pid_t *pid, size_t n) {
  pid_t group = 0;
  (void)ctx;
  for (size_t i = 0; i < n; i++) reap_slay(pid[i], &group);
}

static bool is_debris(pid_t pid, enum debris which, uint64_t mine) {
  uint64_t mark = which == DEBRIS_MARKED ? reap_mark(pid) : 0;
  return which == DEBRIS_ALL || (mark >= MARK_BASE && mark != mine);
}

size_t reap_debris(enum debris which, slay_fn *slay, void *ctx) {
  struct kids k = KIDS_INIT;
  size_t alive = 0;
  pid_t session = getsid(0);
  uint64_t mine = which == DEBRIS_MARKED ? reap_mark(getpid()) : 0;
  for (bool again = true; again;) { /* reaping one may bring us its children */
    size_t n = 0;
    again = false;
    alive = 0;
    reap_children(&k);
    for (size_t i = 0; i < k.n; i++)
      if (getsid(k.v[i]) != session && is_debris(k.v[i], which, mine)) k.v[n++] = k.v[i];
    if (n > 0) (slay ? slay : slay_each)(ctx, k.v, n); /* all of them before any is waited for */
    for (size_t i = 0; i < n; i++) {
      if (waitpid(k.v[i], NULL, WNOHANG) == k.v[i]) again = true;
      else alive++;
    }
  }
  if (k.file >= 0) close(k.file);
  free(k.v);
  return alive;
}
