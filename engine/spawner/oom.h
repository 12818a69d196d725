/* Short of memory, the kernel is to end tasks before the node: each begins with the spawner's own score + 500. Spawner process
 * only. The spawner writes it when exec is over: before that the child is on the spawner's memory, and the write would change the
 * spawner's score. */
#ifndef OOM_H
#define OOM_H
#include <stdint.h>
#include <sys/types.h>
int oom_score_of_tasks(void);                             /* -1 = that of this process cannot be read */
/* me: the user of this process, to which it comes back. It is no fault if the process has ended already. */
void oom_score(pid_t pid, int score, uint32_t uid, uint32_t me);
#endif
