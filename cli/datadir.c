/* The data directory: see datadir.h. */
#include "datadir.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "mem.h"

/* What a server makes there. */
static const char *const ours[] = {"lock", "id", "weir.token", "weir.token.old", "weir.token.host",
  "weir.db", "weir.db-wal", "weir.db-shm", "weir.db-journal", "weir.db.lock",
  "weir.db-log", "weir.db-log-wal", "weir.db-log-shm", "weir.db-log-journal"};
enum { N_OURS = sizeof ours / sizeof *ours };

static enum wr_rc fail_dir(struct wr_err *err, const char *path, const char *why) {
  return wr_err_set(err, WR_FORBIDDEN, "The data directory %.140s %s", path, why);
}

/* mkdir -p. Others may only pass through the last part, so that a task's user reaches its own folder in it. */
static enum wr_rc make(const char *path, const struct identity *id, struct wr_err *err) {
  char *p = wr_strdup(path);
  for (char *s = p + 1; *s; s++) {
    if (*s != '/') continue;
    *s = 0;
    /* whatever the umask, tasks' users must pass. A failure shows at the last part */
    if (mkdir(p, 0755) == 0) (void)!chmod(p, 0755);
    *s = '/';
  }
  int failed = mkdir(p, 0700) != 0 ? errno : 0;
  bool made = !failed;
  if (made && id->becomes && lchown(p, id->user.uid, id->user.gid) != 0) failed = errno;
  if (made && !failed && chmod(p, 0711) != 0) failed = errno; /* whatever the umask */
  free(p);
  if (!failed || failed == EEXIST) return WR_OK;
  return wr_err_set(err, WR_NO_SPACE, "The data directory %.150s cannot be made: %s. Name another one with --data.", path,
                    strerrordesc_np(failed));
}

/* A folder of root's may be given away only when a server has used it already. */
static bool was_a_servers(int at) {
  struct stat st;
  return fstatat(at, "lock", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_uid == 0;
}

static enum wr_rc check(const char *path, int at, const struct identity *id, struct wr_err *err) {
  struct stat st, again, link;
  char why[200];
  if (fstat(at, &st) != 0 || stat(path, &again) != 0 || lstat(path, &link) != 0)
    return fail_dir(err, path, "cannot be looked at.");
  if (st.st_dev != again.st_dev || st.st_ino != again.st_ino) return fail_dir(err, path, "was replaced meanwhile; start again.");
  if (S_ISLNK(link.st_mode) && link.st_uid != 0 && link.st_uid != geteuid() && link.st_uid != st.st_uid)
    return fail_dir(err, path, "is a link that another user has made.");
  if (st.st_mode & 022) {
    snprintf(why, sizeof why, "can be written by others: chmod go-w %.120s", path);
    return fail_dir(err, path, why);
  }
  if (id->personal || st.st_uid == id->user.uid) return WR_OK;
  if (st.st_uid == 0 && id->becomes && was_a_servers(at) && fchown(at, id->user.uid, id->user.gid) == 0) return WR_OK;
  if (st.st_uid == 0 && !id->becomes) return WR_OK; /* an attempt to write shows at once whether it can be written */
  snprintf(why, sizeof why, "does not belong to user %.32s: chown %.32s %.100s", id->user.name, id->user.name, path);
  return fail_dir(err, path, why);
}

enum wr_rc datadir_open(const char *path, const struct identity *id, struct wr_err *err) {
  enum wr_rc rc = make(path, id, err);
  if (rc) return rc;
  int at = open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
  if (at < 0)
    return wr_err_set(err, WR_FORBIDDEN, "The data directory %.150s cannot be opened: %s.", path, strerrordesc_np(errno));
  rc = check(path, at, id, err);
  close(at);
  return rc;
}

/* A file with a second link is left alone: it would make another file of root's the user's. */
static bool hand_over(int at, const char *name, const struct run_as_user *u) {
  struct stat st;
  int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT || errno == ELOOP; /* whoever needs the file reports it */
  bool mine = fstat(fd, &st) == 0 && st.st_uid == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
  bool ok = !mine || fchown(fd, u->uid, u->gid) == 0;
  close(fd);
  return ok;
}

enum wr_rc datadir_hand_over(const char *path, const struct identity *id, struct wr_err *err) {
  if (!id->becomes) return WR_OK;
  int at = open(path, O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC);
  bool ok = at >= 0;
  for (size_t i = 0; i < N_OURS && ok; i++) ok = hand_over(at, ours[i], &id->user);
  int why = errno;
  if (at >= 0) close(at);
  return ok ? WR_OK : wr_err_set(err, WR_FORBIDDEN, "The files of the data directory cannot be given to user %.64s: %s.",
                                 id->user.name, strerrordesc_np(why));
}
