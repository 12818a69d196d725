/* The temporary directory of `weir run`: see run_dir.h. What never happens: the directory of a live run, or of another
 * user, is touched; a symbolic link is followed on the way down. */
#include "run_dir.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME "weir-run-"          /* and six characters of chance */
#define UNLOCKED "weir-new-"      /* its name until it is locked: a sweep never looks at such a name */
#define NAME_LEN 15
#define DEPTH_MAX 64
#define SWEEP_MAX 64              /* removed at one start */

/* Removes the directory `at`/name with all that is in it. What cannot be removed stays. */
static void remove_tree(int at, const char *name, int depth) {
  int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
  if (!dir) {
    if (fd >= 0) close(fd);
    return;
  }
  for (struct dirent *e; (e = readdir(dir));) {
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    if (unlinkat(fd, e->d_name, 0) != 0 && errno == EISDIR && depth < DEPTH_MAX) remove_tree(fd, e->d_name, depth + 1);
  }
  closedir(dir);
  (void)unlinkat(at, name, AT_REMOVEDIR);
}

static bool try_lock(int fd) { return flock(fd, LOCK_EX | LOCK_NB) == 0; }

/* True when the lock of the directory is free, and so is the spawner's lock in it. */
static bool is_dead(int at, const char *name) {
  struct stat st;
  int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), lock;
  if (fd < 0) return false;
  bool dead = fstat(fd, &st) == 0 && st.st_uid == geteuid() && try_lock(fd);
  if (dead && (lock = openat(fd, "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC)) >= 0) {
    dead = try_lock(lock);
    close(lock);
  } else if (dead && errno != ENOENT) {
    dead = false;
  }
  close(fd);
  return dead;
}

static void sweep(const char *tmp) {
  DIR *dir = opendir(tmp);
  if (!dir) return;
  int n = 0;
  for (struct dirent *e; n < SWEEP_MAX && (e = readdir(dir));) {
    if (strncmp(e->d_name, NAME, sizeof NAME - 1) != 0 || strlen(e->d_name) != NAME_LEN || !is_dead(dirfd(dir), e->d_name))
      continue;
    remove_tree(dirfd(dir), e->d_name, 0);
    n++;
  }
  closedir(dir);
}

static enum wr_rc no_dir(struct run_dir *d, struct wr_err *err) {
  if (d->path[0]) rmdir(d->path);
  d->path[0] = 0;
  return wr_err_set(err, WR_NO_SPACE, "No temporary directory can be made: %s; see TMPDIR.", strerror(errno));
}

enum wr_rc run_dir_make(struct run_dir *d, struct wr_err *err) {
  const char *tmp = getenv("TMPDIR");
  char name[sizeof d->path];
  if (!tmp || !*tmp) tmp = "/tmp";
  sweep(tmp);
  errno = ENAMETOOLONG;
  int n = snprintf(d->path, sizeof d->path, "%s/" UNLOCKED "XXXXXX", tmp);
  if (n >= (int)sizeof d->path || !mkdtemp(d->path)) {
    d->path[0] = 0;
    return no_dir(d, err);
  }
  d->lock = open(d->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (d->lock < 0 || !try_lock(d->lock)) return no_dir(d, err);
  snprintf(name, sizeof name, "%s/" NAME "%s", tmp, d->path + n - 6);
  if (renameat2(AT_FDCWD, d->path, AT_FDCWD, name, RENAME_NOREPLACE) != 0 && rename(d->path, name) != 0) return no_dir(d, err);
  memcpy(d->path, name, sizeof name);
  chmod(d->path, 0711); /* a run-as user gets through to its WEIR_OUTPUT; nobody may list it */
  return WR_OK;
}

void run_dir_remove(struct run_dir *d) {
  if (!d->path[0]) return;
  remove_tree(AT_FDCWD, d->path, 0);
  d->path[0] = 0;
}
