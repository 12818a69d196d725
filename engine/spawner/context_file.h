/* A file that an attempt gets, LIMIT_CONTEXT_BYTES of it at most: a script that is too long for an argument, and the file at
 * WEIR_CONTEXT: DATA/run/x<random>, 0400, of the task's user, with what an earlier attempt left for this one. It is
 * there for every attempt, empty for most of them. Spawner process only.
 *
 * Owner: the spawner makes it before the fork and takes it back when the last process of the attempt is dead. An empty one that
 * nobody changed is kept for the next attempt of the same user, so a start without context makes no file. Any other is removed.
 * It stands beside the attempt's directory, which a task may empty, in a folder where only the spawner makes and removes names.
 *
 * What never happens: a link that is followed; bytes of one attempt in the file of another. */
#ifndef CONTEXT_FILE_H
#define CONTEXT_FILE_H
#include "workdir.h"

struct context_file { struct context_file *next; uint32_t uid, gid; struct timespec changed; char name[WORKDIR_NAME]; };
/* from: a file with the context, -1 = empty. NULL with errno. */
struct context_file *context_file_take(struct workdirs *d, uint32_t uid, uint32_t gid, int from);
void context_file_end(struct workdirs *d, struct context_file *f);     /* NULL is fine */
void context_files_trim(struct workdirs *d);                           /* removes the kept ones */
#endif
