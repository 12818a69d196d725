/* What attempts leave behind: children of the spawner that are no main child of a running attempt. Spawner process only.
 *
 * Each process of an attempt carries its number as the limit of file locks, for which the kernel has kept no count since 2.4. All
 * processes that it makes inherit the number, whatever session they take, and anybody may read it. So the end of an attempt waits
 * for its own processes only. A program that lowers the limit has no number, or the number of an earlier attempt. With a number
 * it counts for that attempt if it can have processes of this user; without one it counts for all attempts of its user, for ten
 * seconds. */
#ifndef STRAYS_H
#define STRAYS_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "map64.h"

struct kids { pid_t *v; size_t n, cap; int file; };  /* file: kept open between two readings; -2 = not yet tried */
#define KIDS_INIT {.file = -2}
enum { STRAYS_A_TURN = 256 };             /* killed before packets and deadlines are looked at again */
#define STRAY_ANYBODY UINT32_MAX          /* a /proc that hides others (hidepid) does not say whose it is */
struct stray { pid_t pid; uint32_t uid; int64_t owner, since_us; bool told; };   /* owner 0 = unknown */
struct strays { struct kids kids; struct map64 by_pid; bool more; };
#define STRAYS_INIT {.kids = KIDS_INIT}
bool strays_known(const struct strays *s, pid_t pid);
void strays_add(struct strays *s, pid_t pid, int64_t now_us);
bool strays_reaped(struct strays *s, pid_t pid);        /* false: it was none */
#endif
