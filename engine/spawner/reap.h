/* The children of this process, and the end of those that a dead spawner left behind. Spawner, guard, spare, and the node's
 * loop. */
#ifndef REAP_H
#define REAP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "strays.h"

/* The pids of all children of this process's first thread (where orphans arrive), also those that are dead but not waited for.
 * Only the process that called it first may use it. */
void reap_children(struct kids *k);
/* Kills the process and its group: a fork bomb loses to one signal that reaches all of it at once. */
void reap_slay(pid_t pid, pid_t *group);       /* *group: the group that was killed last; it is not killed twice */
/* Its name, and its state as /proc has it; '?' = unknown. */
char reap_state(pid_t pid, char name[16]);
bool reap_user(pid_t pid, uint32_t *uid);      /* the user it runs as, also of a process that we may not inspect */
/* The mark of its attempt (strays.h); 0 = it has none, or none that can be read. */
uint64_t reap_mark(pid_t pid);

/* Which children a process may have beside those that a spawner left to it. DEBRIS_ALL: a guard, which has no others.
 * DEBRIS_MARKED: a host, which has others; only children that carry the mark of an attempt are killed. A host that is itself a
 * task of another node has a mark already, which its own children inherit: children with that mark are its own. A process that
 * lowers its own limit of file locks takes its mark off; then only the rest of its tree is marked. */
enum debris { DEBRIS_ALL, DEBRIS_MARKED };
typedef void slay_fn(void *ctx, const pid_t *pid, size_t n);
/* Kills and reaps what a dead spawner left to this process: children in another session than its own (every attempt lives in one
 * of its own). slay: kills all of them, NULL = reap_slay() each. Returns how many still live; never blocks. */
size_t reap_debris(enum debris which, slay_fn *slay, void *ctx);
#endif
