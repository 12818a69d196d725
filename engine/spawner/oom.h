/* Short of memory, the kernel is to end tasks before the node: each begins with the spawner's own score + 500. Spawner process
 * only. Written by the spawner when exec is over: before, the child is on the spawner's memory, whose score it would change. */
#ifndef OOM_H
#define OOM_H
#include <stdint.h>
#include <sys/types.h>
int oom_score_of_tasks(void);                             /* -1 = that of this process cannot be read */
/* me: the user of this process, to which it comes back. One that has ended already is no fault. */
void oom_score(pid_t pid, int score, uint32_t uid, uint32_t me);
#endif
