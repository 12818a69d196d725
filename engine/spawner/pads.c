/* See pads.h. */
#include "pads.h"

#include <stddef.h>

struct pad *pads_take(struct pads *s, uint32_t uid) {
  struct pad **at = &s->first, *free_one = NULL;
  int kept = 0;
  for (struct pad *p; (p = *at); at = &p->next) {
    if (p->pid || atomic_load(&p->tid) != 0) kept += p->uid == uid;
    else if (!free_one) free_one = p;
  }
  if (kept >= PADS_A_USER) return NULL;
  if (!free_one) *at = free_one = wr_new(struct pad);
  arena_done(&free_one->arena); /* left by a child that hung */
  free_one->uid = uid;
  return free_one;
}

void pads_slow(struct pads *s, struct pad *p, pid_t pid, struct arena *a, int64_t until_us) {
  p->pid = pid;
  p->until_us = until_us;
  p->arena = *a;
  arena_init(a, 0);
  s->slow++;
}

struct pad *pads_of(const struct pads *s, pid_t pid) {
  struct pad *p = s->slow ? s->first : NULL;
  while (p && p->pid != pid) p = p->next;
  return p;
}

void pads_done(struct pads *s, struct pad *p) {
  p->pid = 0;
  s->slow--;
  if (atomic_load(&p->tid) == 0) arena_done(&p->arena);
}
