/* See oom.h. Raising a score needs no right but the one to the file, which belongs to the process's user, or to root where its
 * program may not be read. */
#include "oom.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/fsuid.h>
#include <unistd.h>

enum { MORE = 500, MAX = 1000 };

int oom_score_of_tasks(void) {
  char b[16] = "";
  int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
  ssize_t n = fd >= 0 ? read(fd, b, sizeof b - 1) : -1;
  if (fd >= 0) close(fd);
  if (n <= 0) return -1;
  int score = (int)strtol(b, NULL, 10) + MORE;
  return score > MAX ? MAX : score < 0 ? 0 : score;
}

void oom_score(pid_t pid, int score, uint32_t uid, uint32_t me) {
  char path[40], b[16];
  if (score < 0) return;
  snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)pid);
  if (uid != me) setfsuid(uid);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (uid != me) setfsuid(me);
  if (fd < 0 && uid != me) fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  int n = snprintf(b, sizeof b, "%d", score);
  (void)!write(fd, b, (size_t)n);
  close(fd);
}
