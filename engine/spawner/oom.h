/* When memory is short, the kernel should kill tasks before the node. So each task begins with the spawner's own score + 500.
 * Spawner process only. The spawner writes the score when exec is over: before that the child is on the spawner's memory, and the
 * write would change the spawner's score. */
#ifndef OOM_H
#define OOM_H
#include <stdint.h>
#include <sys/types.h>
int oom_score_of_tasks(void);                             /* -1 = that of this process cannot be read */
/* me: the user of this process, to which it comes back. A process that has ended already is no error. */
void oom_score(pid_t pid, int score, uint32_t uid, uint32_t me);
#endif
