/* The private directory of an attempt: DATA/run/<random>, 0700, of the task's user. Spawner process only.
 *
 * Owner: the spawner makes it before the fork and takes it back when the last process of the attempt is dead. A directory that
 * nobody touched (no entry was made or removed, mode and owner are ours) is kept for the next attempt of the same user; any other
 * is removed as a tree: here if that is little work, else by a process of its own, the broom. Directories that a former spawner
 * left are removed in the same way. Everything inside is opened and removed with the rights of the attempt's user. DATA/run
 * itself is made again when somebody takes it away; attempts that run then have lost theirs.
 *
 * What never happens: a link that is followed, a wait for a file (pipe, lease), a removal that holds the spawner up for more
 * than SWEEP_INLINE entries, SWEEP_BYTES or a directory that was large, a directory that two users get one after the other. */
#ifndef WORKDIR_H
#define WORKDIR_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

enum { WORKDIR_NAME = 33 };
struct workdir { struct workdir *next; uint32_t uid, gid; struct timespec changed; char name[WORKDIR_NAME]; };
struct context_file;               /* context_file.h */
struct doomed { struct doomed *next; uint32_t uid; char name[WORKDIR_NAME]; };
struct workdirs {
  int fd;                          /* DATA/run */
  const char *path;                /* the same, absolute; borrowed */
  uint32_t me;                     /* the user of this process */
  struct workdir *idle; size_t n_idle;
  struct context_file *idle_file;  /* empty ones, which nobody has */
  struct doomed *doomed, *swept;   /* swept: given to the broom */
  pid_t broom, parent;             /* 0 = none; who made it */
  int64_t broom_us;                /* when it began */
  bool late;                       /* it was killed, because it took too long */
  uint8_t random[256]; size_t n_random;
};

/* What stands at WEIR_OUTPUT. */
enum workdir_output { OUTPUT_NONE, OUTPUT_FILE, OUTPUT_LARGE, OUTPUT_ODD };

/* Makes DATA/run where it is not there, and makes it ours. Returns its descriptor, or -1 with errno. */
int workdirs_make(const char *path);
/* Takes fd; everything that stands in that folder is to be removed from now on. */
void workdirs_init(struct workdirs *d, int fd, const char *path);
struct workdir *workdir_take(struct workdirs *d, uint32_t uid, uint32_t gid);   /* NULL, errno */
/* Takes w; no process of the attempt lives. Returns the opened file of its result, -1 = none or *what says why not. */
int workdir_end(struct workdirs *d, struct workdir *w, enum workdir_output *what);
bool workdir_name(struct workdirs *d, char name[WORKDIR_NAME]);   /* that nobody can have taken; false: no random bytes */
/* The attempt never began, so nobody saw its directory. */
void workdir_back(struct workdirs *d, struct workdir *w);
/* Removes the kept directories and files. */
void workdirs_trim(struct workdirs *d);
/* Starts the broom when there is something for it and none is at work; ends a broom that takes too long; the next one goes on. */
void workdirs_sweep(struct workdirs *d, int64_t now_us);
bool workdirs_reaped(struct workdirs *d, pid_t pid);    /* true: that was the broom */
static inline bool workdirs_keep(const struct workdirs *d) { return d->idle || d->idle_file; }
static inline bool workdirs_busy(const struct workdirs *d) { return d->broom > 0 || d->doomed; }
#endif
