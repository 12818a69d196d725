/* See strays.h. */
#include "strays.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "mem.h"
#include "spawner_wire.h"

bool strays_known(const struct strays *s, pid_t pid) { return map64_get(&s->by_pid, pid) != NULL; }

void strays_add(struct strays *s, pid_t pid, int64_t now_us) {
  struct stray *x = wr_new(struct stray);
  char path[32];
  struct stat st;
  uint64_t mark = reap_mark(pid);
  snprintf(path, sizeof path, "/proc/%d", (int)pid);
  *x = (struct stray){.pid = pid, .uid = stat(path, &st) == 0 ? st.st_uid : STRAY_ANYBODY, .since_us = now_us,
                      .owner = mark >= MARK_BASE ? (int64_t)(mark - MARK_BASE) : 0};
  map64_put(&s->by_pid, pid, x);
}

bool strays_reaped(struct strays *s, pid_t pid) {
  struct stray *x = map64_get(&s->by_pid, pid);
  if (!x) return false;
  map64_del(&s->by_pid, pid);
  free(x);
  return true;
}
