/* The files of a SQLite store: which file system they lie on, who may use them, and whether they are still there.
 *
 * PATH.lock is held from the start to the end of the process, and names its data directory. A server that is killed leaves
 * children for a moment, whose spawner holds the lock of that directory until the last one is reaped: so the next server waits
 * for that lock, even when its own data directory is another one.
 *
 * sqlite_whole.c looks whether they are as long as they should be.
 *
 * What never happens: two servers on one file, by whatever name, even when somebody has removed the lock's file; an answer for a
 * write into a file that has no name any more; a wait for another server (it is refused at once). */
#include "sqlite_priv.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>
#include "clock.h"
#include "log.h"
#include "text.h"

#define LINKS_MAX 40           /* as many as the kernel follows */
#define CHILDREN_US 10000000   /* children of a killed server are killed at once; reaping takes as long as the kernel does */

/* ---- the file system: locks and mmap of the WAL index must work as on a local disk ---- */
static const struct { uint32_t magic; const char *name; } remote_fs[] = {
  {0x6969, "NFS"}, {0x517B, "SMB"}, {0xFF534D42, "CIFS"}, {0xFE534D42, "SMB"}, {0x00C36400, "Ceph"}, {0x5346414F, "AFS"},
  {0x01021997, "9P"}, {0x0BD00BD0, "Lustre"}, {0x7461636F, "OCFS2"}, {0x01161970, "GFS2"}, {0x786F4256, "vboxsf"},
};
static const char *const remote_fuse[] = {
  "fuse.sshfs", "fuse.s3fs", "fuse.rclone", "fuse.gcsfuse", "fuse.glusterfs", "fuse.ceph-fuse"
};
#define FUSE_MAGIC 0x65735546u

/* The type of a FUSE mount is only told by mountinfo: "36 35 0:47 / /mnt rw - fuse.sshfs host: rw". */
static const char *fuse_remote(dev_t dev) {
  char line[4096], want[32];
  const char *found = NULL;
  FILE *f = fopen("/proc/self/mountinfo", "re");
  if (!f) return NULL;
  snprintf(want, sizeof want, " %u:%u ", major(dev), minor(dev));
  while (!found && fgets(line, sizeof line, f)) {
    const char *type = strstr(line, " - ");
    if (!strstr(line, want) || !type) continue;
    for (size_t i = 0; i < sizeof remote_fuse / sizeof *remote_fuse; i++)
      if (!strncmp(type + 3, remote_fuse[i], strlen(remote_fuse[i]))) found = remote_fuse[i];
  }
  fclose(f);
  return found;
}

static enum wr_rc check_fs(int fd, const char *path, struct wr_err *err) {
  struct statfs fs;
  struct stat st;
  const char *name = NULL;
  if (fstatfs(fd, &fs) != 0 || fstat(fd, &st) != 0) return WR_OK;
  for (size_t i = 0; i < sizeof remote_fs / sizeof *remote_fs; i++)
    if ((uint32_t)fs.f_type == remote_fs[i].magic) name = remote_fs[i].name;
  if ((uint32_t)fs.f_type == FUSE_MAGIC) name = fuse_remote(st.st_dev);
  if (!name) return WR_OK;
  return wr_err_set(err, WR_STORE_REFUSED, "%.120s is on a network file system, %s. SQLite needs a local disk.", path, name);
}

/* links: how many more links are followed. */
static char *true_path(const char *path, int links) {
  char *whole = realpath(path, NULL);
  if (whole) return whole;
  const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
  char *folder = wr_memdup0(slash ? path : ".", slash ? (size_t)(slash - path + (slash == path)) : 1);
  char *at = realpath(folder, NULL), to[4096];
  struct buf b = BUF_INIT, next = BUF_INIT;
  if (at) buf_printf(&b, "%s%s%s", at, at[1] ? "/" : "", base);
  else buf_str(&b, path);
  ssize_t n = links > 0 ? readlink(b.data, to, sizeof to - 1) : -1;
  if (n > 0) buf_printf(&next, "%s%s%.*s", *to == '/' ? "" : at ? at : folder, *to == '/' ? "" : "/", (int)n, to);
  free(folder);
  free(at);
  if (n <= 0) return b.data;
  buf_done(&b);
  whole = true_path(next.data, links - 1);
  buf_done(&next);
  return whole;
}

/* The one name of the file, whatever links or working directory lead to it: the lock hangs on this name. A link to a file that is
 * not there is followed too, for SQLite makes that file. When the folder is not there, the path stays as it is: opening it will
 * say so. */
char *sq_true_path(const char *path) { return true_path(path, LINKS_MAX); }

/* ---- the process lock: a line with the pid, a line with the data directory ---- */
struct holder { int64_t pid; char home[4096]; };

static void read_holder(int fd, struct holder *h) {
  char text[sizeof h->home + 32];
  ssize_t got = pread(fd, text, sizeof text - 1, 0);
  *h = (struct holder){.pid = 0};
  if (got <= 0) return;
  text[got] = '\0';
  char *home = strchr(text, '\n');
  size_t n = home ? (size_t)(home - text) : (size_t)got;
  if (!text_i64(text, n, &h->pid)) h->pid = 0;
  if (home) snprintf(h->home, sizeof h->home, "%.*s", (int)strcspn(home + 1, "\n"), home + 1);
}

static void write_holder(int fd, const char *home) {
  struct buf b = BUF_INIT;
  buf_printf(&b, "%ld\n%s\n", (long)getpid(), home ? home : "");
  /* Without these lines a refusal does not name the process, and the next server does not wait for children. */
  if (ftruncate(fd, 0) != 0 || pwrite(fd, b.data, b.len, 0) != (ssize_t)b.len) log_warn("store.lock_file", L_INT("errno", errno));
  buf_done(&b);
}

static enum wr_rc held(int fd, const char *path, struct wr_err *err) {
  struct holder h;
  read_holder(fd, &h);
  if (h.pid > 0)
    return wr_err_set(err, WR_STORE_REFUSED, "%.120s is in use by another process (pid %lld).", path, (long long)h.pid);
  return wr_err_set(err, WR_STORE_REFUSED, "%.120s is in use by another process.", path);
}

static int open_home_lock(const char *home, struct stat *st) {
  struct buf b = BUF_INIT;
  buf_printf(&b, "%s/lock", home);
  int fd = open(b.data, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  buf_done(&b);
  if (fd >= 0 && fstat(fd, st) != 0) {
    close(fd);
    fd = -1;
  }
  return fd;
}

/* Waits until the last child of the former server is reaped. The directory of that server may be gone, or be our own, whose lock
 * our own spawner holds. */
static enum wr_rc wait_for_children(struct sq *s, const struct holder *h, struct wr_err *err) {
  struct stat theirs, ours;
  int fd = h->home[0] ? open_home_lock(h->home, &theirs) : -1;
  if (fd < 0) return WR_OK;
  int mine = s->home ? open_home_lock(s->home, &ours) : -1;
  bool same = mine >= 0 && ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino;
  if (mine >= 0) close(mine);
  int64_t until = clock_mono_us() + CHILDREN_US;
  bool free_now = same;
  while (!free_now && !(free_now = flock(fd, LOCK_SH | LOCK_NB) == 0) && clock_mono_us() < until)
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
  close(fd);
  return free_now ? WR_OK : wr_err_set(err, WR_STORE_REFUSED,
                                       "%.80s: tasks of its former server still run (data directory %.80s).", s->path, h->home);
}

enum wr_rc sq_check_kind(const char *path, struct wr_err *err) {
  struct stat st;
  bool there = stat(path, &st) == 0;
  if (!there && errno == ENOENT)
    return wr_err_set(err, WR_NOT_FOUND, "There is no database %.140s: name it with --data or --store. "
                      "A server makes it at its first start.", path);
  if (!there) return wr_err_set(err, WR_DB_UNAVAILABLE, "%.120s cannot be opened: %s.", path, strerror(errno));
  if (S_ISDIR(st.st_mode)) return wr_err_set(err, WR_STORE_REFUSED, "%.120s is a directory.", path);
  return S_ISREG(st.st_mode) ? WR_OK : wr_err_set(err, WR_STORE_REFUSED, "%.120s is not a file.", path);
}

bool sq_in_use(const char *path) {
  struct buf b = BUF_INIT;
  buf_printf(&b, "%s.lock", path);
  int fd = open(b.data, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  buf_done(&b);
  bool held = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0;
  if (fd >= 0) close(fd);
  return held;
}

enum wr_rc sq_take_lock(struct sq *s, struct wr_err *err) {
  struct buf b = BUF_INIT;
  struct stat st;
  struct holder former;
  const char *const file[] = {s->path, s->log_path};
  for (int i = 0; i < 2; i++) {
    enum wr_rc kind = sq_check_kind(file[i], err);
    if (kind && kind != WR_NOT_FOUND) return kind;
  }
  if (stat(s->path, &st) == 0 && st.st_nlink > 1)
    return wr_err_set(err, WR_STORE_REFUSED, "%.120s has another name too (a hard link), by which a second server could use it. "
                      "Remove one.", s->path);
  buf_printf(&b, "%s.lock", s->path);
  s->lock_fd = open(b.data, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
  int e = errno;
  buf_done(&b);
  if (s->lock_fd < 0 && e == ENOENT)
    return wr_err_set(err, WR_DB_UNAVAILABLE, "%.120s cannot be opened: %s. Make its directory first.", s->path, strerror(e));
  if (s->lock_fd < 0)
    return wr_err_set(err, WR_DB_UNAVAILABLE, "%.120s.lock cannot be opened: %s.", s->path, strerror(e));
  enum wr_rc rc = check_fs(s->lock_fd, s->path, err);
  if (rc) return rc;
  if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) return held(s->lock_fd, s->path, err);
  read_holder(s->lock_fd, &former);
  rc = wait_for_children(s, &former, err);
  if (rc) return rc;
  write_holder(s->lock_fd, s->home);
  return WR_OK;
}

/* ---- are they still there? ---- */
/* Beside the database: its WAL; the index of the WAL, without which another program that opens the database makes a second one,
 * and each believes that it is alone; the lock, without which a second server is let in. */
static const char *const tail[SQ_FILES] = {"", "-wal", "-shm", ".lock", "-log", [SQ_LOG_WAL] = "-log-wal", "-log-shm"};

static bool file_look(const struct sq *s, int i, struct stat *st) {
  char path[4200];
  int n = snprintf(path, sizeof path, "%s%s", s->path, tail[i]);
  return n > 0 && (size_t)n < sizeof path && stat(path, st) == 0;
}

/* The kernel tells of each name that comes and goes in their folder. To ask it at each commit costs a microsecond. A stat()
 * of files that are being written costs ten times that: from Linux 6.13 on, each write that follows one dirties the inode. */
static void watch_folder(struct sq *s) {
  char *folder = wr_memdup0(s->path, (size_t)(strrchr(s->path, '/') - s->path + 1));
  s->notify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (s->notify_fd >= 0 &&
      inotify_add_watch(s->notify_fd, folder, IN_CREATE | IN_DELETE | IN_MOVE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR) < 0) {
    close(s->notify_fd);
    s->notify_fd = -1; /* then each commit looks at the files themselves */
  }
  free(folder);
}

/* files_mu held: a thread that reads an event has looked at the files before the next thread asks. */
static bool something_moved(struct sq *s) {
  char event[4096] __attribute__((aligned(8)));
  return s->notify_fd < 0 || read(s->notify_fd, event, sizeof event) > 0;
}

enum wr_rc sq_files_know(struct sq *s, struct wr_err *err) {
  watch_folder(s);
  sq_whole_begin(s);
  for (int i = 0; i < SQ_FILES; i++) {
    struct stat st;
    if (file_look(s, i, &st)) s->file[i] = (struct sq_file){st.st_dev, st.st_ino};
    else if (i == 0) return wr_err_set(err, WR_DB_UNAVAILABLE, "%.120s is gone.", s->path);
  }
  return WR_OK;
}

/* The number of a file is known from the first look on: a WAL may be made later than the database is opened. A file that cannot
 * be looked at is not gone: somebody may have shut a folder above to this user. */
static bool there(struct sq *s, int i) {
  struct stat st;
  struct sq_file *f = &s->file[i];
  if (i >= SQ_LOG_WAL && !s->log_writers) return true; /* SQLite itself makes and removes them then */
  bool found = file_look(s, i, &st);
  if (!found && errno != ENOENT && errno != ENOTDIR) return true;
  if (f->ino == 0 && found) *f = (struct sq_file){st.st_dev, st.st_ino};
  return f->ino == 0 || (found && st.st_dev == f->dev && st.st_ino == f->ino && st.st_nlink > 0);
}

/* Gives up for good, and logs it once. */
static bool give_up(struct sq *s, const char *end, const char *how) {
  char why[200];
  if (atomic_exchange(&s->files_gone, true)) return false;
  snprintf(why, sizeof why, "%.120s%s %s", s->path, end, how);
  log_error("store.file_gone", L_STR("why", why));
  if (s->gone) s->gone(s->gone_ctx, why);
  return false;
}

/* all: a folder above theirs may have been renamed, which the kernel does not report. */
static bool look_at_files(struct sq *s, bool all) {
  if (atomic_load(&s->files_gone)) return false;
  pthread_mutex_lock(&s->files_mu);
  int bad = something_moved(s) || all ? 0 : SQ_FILES;
  while (bad < SQ_FILES && there(s, bad)) bad++;
  pthread_mutex_unlock(&s->files_mu);
  return bad == SQ_FILES || give_up(s, tail[bad], "was removed or replaced.");
}

void sq_files_logs(struct sq *s, bool open) {
  pthread_mutex_lock(&s->files_mu);
  s->log_writers += open ? 1 : -1;
  for (int i = SQ_LOG_WAL; i < SQ_FILES; i++) s->file[i] = (struct sq_file){0};
  pthread_mutex_unlock(&s->files_mu);
}

bool sq_files_there(struct sq *s) { return look_at_files(s, false); }

bool sq_files_look(struct sq *s) {
  if (!look_at_files(s, true)) return false;
  const char *cut = sq_whole_look(s);
  return !cut || give_up(s, cut, "was cut: it is shorter than what was written.");
}
