/* See workdir.h. */
#include "workdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "context_file.h"
#include "wr_limits.h"
#include "mem.h"

enum { SWEEP_INLINE = 64, SWEEP_ALL = 1 << 30, DEPTH_MAX = 32, ID_BYTES = 16, BROOM_NICE = 10 };
#define BROOM_MAX_US 60000000
/* Work that takes a while is the broom's: to free this many bytes, of one file or of several; to walk through a directory that
 * was once this large, because an empty directory keeps its blocks and even rmdir() reads them all. */
#define SWEEP_BYTES (64 << 20)
#define SWEEP_DIR_BYTES (1 << 20)
/* The time of its last change that a fresh directory is given: any entry made in it or removed from it replaces that time by the
 * clock's. */
static const struct timespec untouched = {.tv_sec = 1};

static bool is_broom;              /* this process */

/* A change of user clears the death signal. */
static void as(uint32_t uid) {
  setfsuid(uid);
  if (is_broom) prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* the next spawner sweeps again */
}

/* ---- removal ---- */

struct broom { uint32_t uid; int top; int budget; int64_t bytes; unsigned moved; };

static bool clear(struct broom *b, int fd, uint32_t uid, int depth);

/* Only root can make a directory that belongs to another user. If one stands in a task's directory, it was moved there, and the
 * rights of its owner are not used: the task itself could not remove it. Tasks of root may give theirs to any user. */
static uint32_t rights(const struct broom *b, uint32_t owner) { return b->uid == 0 ? owner : b->uid; }

/* Opens it with the rights of its own owner; where the way is barred to that owner, with those of the directory's owner. */
static int open_below(int dir, const char *name, uint32_t owner, uint32_t dir_owner) {
  enum { HOW = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
  as(owner);
  int fd = openat(dir, name, HOW);
  if (fd < 0 && errno == EACCES && fchmodat(dir, name, 0700, 0) == 0) fd = openat(dir, name, HOW);
  as(dir_owner);
  return fd >= 0 ? fd : openat(dir, name, HOW);
}

static bool remove_dir(struct broom *b, int dir, const char *name, uint32_t dir_owner, int depth) {
  struct stat st;
  if (unlinkat(dir, name, AT_REMOVEDIR) == 0) return true;
  if (errno != ENOTEMPTY && errno != EEXIST) return false;
  if (depth == DEPTH_MAX) { /* deeper than descriptors reach: its turn comes at the top */
    char up[24];
    uint64_t r = 0;
    (void)!getrandom(&r, sizeof r, 0); /* a name that no task can have taken */
    snprintf(up, sizeof up, "%016llx", (unsigned long long)r);
    bool ok = renameat(dir, name, b->top, up) == 0;
    b->moved += ok;
    return ok;
  }
  if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW)) return false;
  uint32_t who = rights(b, st.st_uid);
  int fd = open_below(dir, name, who, dir_owner);
  if (fd < 0) return false;
  bool ok = clear(b, fd, who, depth + 1);
  as(dir_owner);
  return unlinkat(dir, name, AT_REMOVEDIR) == 0 && ok;
}

/* Judges a file by its blocks on the disk too, because a file system may report a size of 0. */
static bool slow(struct broom *b, const struct stat *st) {
  if (S_ISDIR(st->st_mode)) return st->st_size > SWEEP_DIR_BYTES;
  int64_t bytes = st->st_blocks * 512 > st->st_size ? st->st_blocks * 512 : st->st_size;
  if (S_ISREG(st->st_mode) && st->st_nlink == 1) b->bytes += bytes;
  return b->bytes > SWEEP_BYTES;
}

static bool remove_one(struct broom *b, int dir, const char *name, uint32_t dir_owner, int depth) {
  struct stat st;
  if (--b->budget < 0) return false;
  if (b->budget < SWEEP_INLINE && fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && slow(b, &st)) return false;
  if (unlinkat(dir, name, 0) == 0) return true;
  return errno == EISDIR && remove_dir(b, dir, name, dir_owner, depth);
}

/* Empties the directory; takes fd. False: something is left. */
static bool clear(struct broom *b, int fd, uint32_t uid, int depth) {
  as(uid);
  (void)!fchmod(fd, 0700);
  DIR *d = fdopendir(fd);
  if (!d) return close(fd), false;
  bool ok = true;
  for (struct dirent *e; b->budget > 0 && (e = readdir(d));) {
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
    if (!remove_one(b, fd, e->d_name, uid, depth)) ok = false;
  }
  if (b->budget <= 0) ok = false;
  closedir(d);
  return ok;
}

/* One directory of DATA/run with all that is in it. Directories that stood too deep have moved up and are met in a further
 * round. */
static bool remove_tree(const struct workdirs *d, const char *name, uint32_t uid, int budget) {
  struct broom b = {.uid = uid, .budget = budget};
  struct stat st;
  unsigned moved = 0;
  if (budget <= SWEEP_INLINE && fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && slow(&b, &st)) return false;
  do {
    moved = b.moved;
    int fd = open_below(d->fd, name, uid, d->me);
    if (fd < 0) break;
    b.top = fd;
    int walk = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (walk < 0) {
      as(uid);
      walk = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (walk >= 0) clear(&b, walk, uid, 0);
    close(fd);
    as(d->me);
  } while (b.moved != moved);
  return unlinkat(d->fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
}

/* ---- the broom ---- */

static void doom(struct workdirs *d, const char *name, uint32_t uid) {
  struct doomed *x = wr_new(struct doomed);
  x->uid = uid;
  snprintf(x->name, sizeof x->name, "%s", name);
  x->next = d->doomed;
  d->doomed = x;
}

/* Nothing else is ever in DATA/run; a name too long for ours is left alone. */
static void doom_all(struct workdirs *d) {
  DIR *dir = fdopendir(openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return;
  for (struct dirent *e; (e = readdir(dir));) {
    struct stat st;
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || strlen(e->d_name) >= WORKDIR_NAME) continue;
    if (fstatat(d->fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
    bool folder = S_ISDIR(st.st_mode), large = folder && st.st_size > SWEEP_DIR_BYTES;
    if (!large && unlinkat(d->fd, e->d_name, folder ? AT_REMOVEDIR : 0) == 0) continue;
    if (folder) doom(d, e->d_name, st.st_uid);
  }
  closedir(dir);
}

/* Nothing of the spawner's stays open in it but the folder, so that the node sees the spawner's end. */
static _Noreturn void be_broom(struct workdirs *d) {
  prctl(PR_SET_NAME, "weir-broom", 0, 0, 0);
  is_broom = true;
  as(d->me);
  if (getppid() != d->parent) _exit(0);
  (void)setpriority(PRIO_PROCESS, 0, BROOM_NICE);
  dup2(d->fd, 3);
  d->fd = 3;
  syscall(SYS_close_range, 4U, ~0U, 0U);
  for (struct doomed *x = d->doomed; x; x = x->next) remove_tree(d, x->name, x->uid, SWEEP_ALL);
  _exit(0);
}

static void forget_swept(struct workdirs *d) {
  for (struct doomed *x; (x = d->swept);) {
    d->swept = x->next;
    free(x);
  }
}

/* Puts what was swept in vain behind what came meanwhile, so that quick removals do not wait for slow ones. */
static void doom_again(struct workdirs *d) {
  struct doomed **end = &d->doomed;
  while (*end) end = &(*end)->next;
  *end = d->swept;
  d->swept = NULL;
}

void workdirs_sweep(struct workdirs *d, int64_t now_us) {
  if (d->broom > 0 && now_us - d->broom_us > BROOM_MAX_US) {
    d->late = true;
    kill(d->broom, SIGKILL);
  }
  if (d->broom > 0 || !d->doomed) return;
  d->parent = getpid();
  pid_t pid = fork();
  if (pid == 0) be_broom(d);
  if (pid < 0) return; /* tried again at the next end */
  d->broom = pid;
  d->broom_us = now_us;
  d->late = false;
  d->swept = d->doomed;
  d->doomed = NULL;
}

bool workdirs_reaped(struct workdirs *d, pid_t pid) {
  if (pid != d->broom) return false;
  d->broom = 0;
  if (d->late) doom_again(d); /* its time was too short */
  forget_swept(d);            /* the next spawner meets again what the broom cannot remove */
  return true;
}

/* ---- one directory ---- */

static int make_and_open(const char *path) {
  if (mkdir(path, 0711) && errno != EEXIST) return -1;
  return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* A root that has given up its rights over files can make nothing in the folder of another user, but that owner can. */
static int as_owner_of_folder(const char *path) {
  struct stat st;
  char *folder = wr_memdup0(path, (size_t)(strrchr(path, '/') - path));
  bool there = stat(folder, &st) == 0;
  free(folder);
  if (!there) return -1;
  setfsuid(st.st_uid);
  int fd = make_and_open(path), err = errno;
  setfsuid(geteuid());
  errno = err;
  return fd;
}

int workdirs_make(const char *path) {
  struct stat st;
  int fd = make_and_open(path);
  if (fd < 0 && errno == EACCES) fd = as_owner_of_folder(path);
  if (fd < 0) return -1;
  bool ours = fstat(fd, &st) == 0 && (st.st_uid == geteuid() || fchown(fd, geteuid(), getegid()) == 0);
  if (ours && fchmod(fd, 0711) == 0) return fd;
  close(fd);
  return -1;
}

/* Is DATA/run at the path that tasks are told? A folder that cannot be looked at is not gone. */
static bool in_place(const struct workdirs *d) {
  struct stat there, ours;
  if (stat(d->path, &there)) return errno != ENOENT && errno != ENOTDIR;
  return fstat(d->fd, &ours) || (there.st_dev == ours.st_dev && there.st_ino == ours.st_ino);
}

/* Somebody removed or moved DATA/run: a new one takes its place, and its descriptor. The kept directories went with the old
 * one. */
static bool put_back(struct workdirs *d) {
  if (in_place(d)) return true;
  workdirs_trim(d);
  int fd = workdirs_make(d->path);
  bool ok = fd >= 0 && dup3(fd, d->fd, O_CLOEXEC) >= 0;
  int err = errno;
  if (fd >= 0) close(fd);
  errno = err;
  return ok;
}

void workdirs_init(struct workdirs *d, int fd, const char *path) {
  *d = (struct workdirs){.fd = fd, .path = path, .me = geteuid()};
  (void)put_back(d); /* if it fails, each start reports that */
  doom_all(d);
}

bool workdir_name(struct workdirs *d, char name[WORKDIR_NAME]) {
  if (d->n_random < ID_BYTES && getrandom(d->random, sizeof d->random, 0) == (ssize_t)sizeof d->random)
    d->n_random = sizeof d->random;
  if (d->n_random < ID_BYTES) return false;
  d->n_random -= ID_BYTES;
  for (int i = 0; i < ID_BYTES; i++) {
    uint8_t c = d->random[d->n_random + (size_t)i];
    name[2 * i] = "0123456789abcdef"[c >> 4];
    name[2 * i + 1] = "0123456789abcdef"[c & 15];
  }
  name[2 * ID_BYTES] = '\0';
  return true;
}

/* The owner changes last: only we may set its time. */
static bool make(struct workdirs *d, struct workdir *w) {
  const struct timespec at[2] = {untouched, untouched};
  struct stat st;
  if (!workdir_name(d, w->name) || mkdirat(d->fd, w->name, 0700)) return false;
  bool ok = utimensat(d->fd, w->name, at, AT_SYMLINK_NOFOLLOW) == 0;
  if (w->uid != d->me) ok = ok && fchownat(d->fd, w->name, w->uid, w->gid, AT_SYMLINK_NOFOLLOW) == 0;
  ok = ok && fstatat(d->fd, w->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
  if (ok) {
    w->changed = st.st_ctim;
    return true;
  }
  int err = errno;
  unlinkat(d->fd, w->name, AT_REMOVEDIR);
  errno = err;
  return false;
}

static bool same_time(struct timespec a, struct timespec b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; }

static bool is_untouched(const struct workdirs *d, const struct workdir *w) {
  struct stat st;
  return fstatat(d->fd, w->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && same_time(st.st_mtim, untouched) &&
         same_time(st.st_ctim, w->changed) && st.st_uid == w->uid && (st.st_mode & 07777) == 0700;
}

static struct workdir *take_kept(struct workdirs *d, uint32_t uid, uint32_t gid) {
  struct workdir **at = &d->idle, *w;
  while ((w = *at) && (w->uid != uid || w->gid != gid)) at = &w->next;
  if (!w) return NULL;
  *at = w->next;
  d->n_idle--;
  return w;
}

struct workdir *workdir_take(struct workdirs *d, uint32_t uid, uint32_t gid) {
  if (!put_back(d)) return NULL;
  for (struct workdir *w; (w = take_kept(d, uid, gid)); free(w))
    if (is_untouched(d, w)) return w; /* else somebody removed it, or changed it, while nobody used it */
  struct workdir *w = wr_new(struct workdir);
  w->uid = uid;
  w->gid = gid;
  if (make(d, w)) return w;
  int err = errno;
  free(w);
  errno = err;
  return NULL;
}

void workdir_back(struct workdirs *d, struct workdir *w) {
  w->next = d->idle;
  d->idle = w;
  d->n_idle++;
}

/* Never follows a link, never waits: not for the writer of a pipe, nor for the holder of a lease on the file. */
static int open_output(int dir, uint32_t uid, enum workdir_output *what) {
  enum { HOW = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC };
  struct stat st;
  *what = OUTPUT_NONE;
  int fd = openat(dir, "output", HOW);
  if (fd < 0 && errno == EACCES && fchmodat(dir, "output", 0400, 0) == 0) fd = openat(dir, "output", HOW);
  if (fd < 0 && errno == ENOENT) return -1;
  *what = OUTPUT_ODD;
  if (fd < 0) return -1;
  if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == uid && st.st_nlink == 1)
    *what = st.st_size > LIMIT_ANALYSIS_BYTES ? /* the worker knows which limit holds */ OUTPUT_LARGE : OUTPUT_FILE;
  if (*what == OUTPUT_FILE) return fd;
  close(fd);
  return -1;
}

int workdir_end(struct workdirs *d, struct workdir *w, enum workdir_output *what) {
  *what = OUTPUT_NONE;
  if (is_untouched(d, w)) {
    workdir_back(d, w);
    return -1;
  }
  int out = -1, dir = open_below(d->fd, w->name, w->uid, d->me);
  if (dir >= 0) {
    as(w->uid);
    out = open_output(dir, w->uid, what);
    close(dir);
    as(d->me);
  }
  if (!remove_tree(d, w->name, w->uid, SWEEP_INLINE)) doom(d, w->name, w->uid);
  free(w);
  return out;
}

void workdirs_trim(struct workdirs *d) {
  context_files_trim(d);
  for (struct workdir *w; (w = d->idle);) {
    d->idle = w->next;
    unlinkat(d->fd, w->name, AT_REMOVEDIR);
    free(w);
  }
  d->n_idle = 0;
}
