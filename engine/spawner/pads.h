/* Where a child runs between clone and exec: a stack, what it is to do, and the word that the kernel clears when the child has
 * left our memory. Spawner process only.
 *
 * Owner: the spawner. A plain start has its pad for the time of one call. A slow start (its directory or program takes long to
 * come) keeps its pad, with the memory that its plan points to, and the spawner goes on meanwhile. A child that hangs where not
 * even SIGKILL reaches it (a file system whose server does not answer) keeps its pad until the kernel lets go of it; it dies
 * before it runs one more instruction of ours.
 *
 * What never happens: two children on one pad, more than PADS_A_USER pads that one user has. */
#ifndef PADS_H
#define PADS_H
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "mem.h"
#include "spawner_int.h"

enum { PAD_STACK_BYTES = 64 * 1024, PADS_A_USER = 16 };
struct pad {
  struct pad *next;
  _Atomic uint32_t tid;            /* 0 = nobody runs on it */
  uint32_t uid;
  pid_t pid;                       /* of a slow child that is waited for, 0 = none */
  int64_t until_us;                /* it is waited for until then */
  struct arena arena;              /* what its plan points to */
  struct child_plan plan;
  char stack[PAD_STACK_BYTES];
};

/* NULL: that user has too many. */
struct pad *pads_take(struct pads *s, uint32_t uid);
/* The child of the pad is slow: takes the arena, leaves an empty one. */
void pads_slow(struct pads *s, struct pad *p, pid_t pid, struct arena *a, int64_t until_us);
struct pad *pads_of(const struct pads *s, pid_t pid);    /* the pad of a slow child; NULL = it is not slow */
/* The child is no longer waited for: it has left, or is given up. */
void pads_done(struct pads *s, struct pad *p);
#endif
