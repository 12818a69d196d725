/* See strays.h. */
#include "strays.h"

#include <stdlib.h>

#include "mem.h"
#include "spawner_int.h"

bool strays_known(const struct strays *s, pid_t pid) { return map64_get(&s->by_pid, pid) != NULL; }

void strays_add(struct strays *s, pid_t pid, int64_t now_us) {
  struct stray *x = wr_new(struct stray);
  uint64_t mark = reap_mark(pid);
  uint32_t uid = STRAY_ANYBODY;
  (void)reap_user(pid, &uid);
  *x = (struct stray){.pid = pid, .uid = uid, .since_us = now_us, .owner = mark >= MARK_BASE ? (int64_t)(mark - MARK_BASE) : 0};
  map64_put(&s->by_pid, pid, x);
}

bool strays_reaped(struct strays *s, pid_t pid) {
  struct stray *x = map64_get(&s->by_pid, pid);
  if (!x) return false;
  map64_del(&s->by_pid, pid);
  free(x);
  return true;
}
