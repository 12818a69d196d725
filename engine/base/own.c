/* Files that must be ours: see own.h. */
#include "own.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static enum wr_rc fail_own(struct wr_err *err, const char *dir, const char *name, const char *why) {
  return wr_err_set(err, WR_FORBIDDEN, "%.140s/%s: %s", dir, name, why);
}

static enum wr_rc check(int at, int fd, const char *dir, const char *name, struct wr_err *err) {
  struct stat st, folder, path;
  if (fstat(fd, &st) != 0 || fstat(at, &folder) != 0) return fail_own(err, dir, name, strerrordesc_np(errno));
  if (!S_ISREG(st.st_mode)) return fail_own(err, dir, name, "not a plain file; remove it.");
  if (st.st_uid != 0 && st.st_uid != geteuid() && st.st_uid != folder.st_uid)
    return fail_own(err, dir, name, "it belongs to another user; remove it, or give it to this one.");
  if (st.st_mode & 022) return fail_own(err, dir, name, "others may write it; chmod 600.");
  if (fstatat(at, name, &path, AT_SYMLINK_NOFOLLOW) != 0 || path.st_dev != st.st_dev || path.st_ino != st.st_ino)
    return fail_own(err, dir, name, "it was replaced meanwhile; start again.");
  return WR_OK;
}

int own_open(const char *dir, const char *name, int flags, struct wr_err *err) {
  int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd = -1;
  if (at >= 0) fd = openat(at, name, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
  if (fd < 0) {
    int e = errno;
    if (at >= 0) close(at);
    if (at >= 0 && e == ENOENT) (void)wr_err_set(err, WR_NOT_FOUND, "%.140s/%s: it is not there.", dir, name);
    else if (at >= 0 && (e == ELOOP || e == ENXIO || e == EISDIR)) (void)fail_own(err, dir, name, "not a plain file; remove it.");
    else (void)wr_err_set(err, WR_FORBIDDEN, "%.140s/%s: %s.", dir, name, strerrordesc_np(e));
    return -1;
  }
  enum wr_rc rc = check(at, fd, dir, name, err);
  close(at);
  if (rc == WR_OK) return fd;
  close(fd);
  return -1;
}

enum wr_rc own_same(int fd, const char *dir, const char *name, struct wr_err *err) {
  int at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (at < 0) return fail_own(err, dir, name, strerrordesc_np(errno));
  enum wr_rc rc = check(at, fd, dir, name, err);
  close(at);
  return rc;
}
