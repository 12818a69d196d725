/* The file of a program that was registered as an executor: found below the folders that the node's owner named, and checked.
 *
 * No state; any thread. It opens files, so it waits for a file system that hangs: the folders must be on a local disk.
 * What never happens: a link that is followed below a folder; a file or a folder that anybody but root and the server's user may
 * write; a name looked up twice: what was checked is what the descriptor is. */
#ifndef WORKER_PROGRAM_FILE_H
#define WORKER_PROGRAM_FILE_H
#include <sys/types.h>
#include "added.h"

struct program_dirs { const char *const *dir; size_t n; };   /* absolute, without a '/' at the end; borrowed */
/* path: absolute, below one of them, or relative to the first that has it. A descriptor to read and to execute; -1 with a
 * sentence in why. mark: of the file. */
int program_open(const struct program_dirs *d, const char *path, struct file_mark *mark, char *why, size_t why_n);
/* sha256: 64 hex digits. False with a sentence: it is another, or the file is larger than `most` bytes. It reads the whole
 * file. */
bool program_is(int fd, const char *sha256, int64_t most, char *why, size_t why_n);
static inline bool same_mark(const struct file_mark *a, const struct file_mark *b) {
  return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}
#endif
