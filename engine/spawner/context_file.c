/* See context_file.h. */
#include "context_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"
#include "wr_limits.h"

enum { COPY_BYTES = 64 * 1024 };

static bool copy(int to, int from) {
  static char b[COPY_BYTES]; /* this process has one thread and small stacks */
  ssize_t n = 0;
  for (off_t at = 0; at < LIMIT_CONTEXT_BYTES && (n = pread(from, b, sizeof b, at)) > 0; at += n)
    if (write(to, b, (size_t)n) != n) return false;
  return n >= 0;
}

/* The descriptor may write although the mode lets nobody do so. The owner changes last. */
static bool fill(const struct workdirs *d, const struct context_file *f, int fd, int from) {
  if (fchmod(fd, 0400) || (from >= 0 && !copy(fd, from))) return false;
  return f->uid == d->me || fchown(fd, f->uid, f->gid) == 0;
}

static bool make(struct workdirs *d, struct context_file *f, int from) {
  struct stat st;
  if (!workdir_name(d, f->name)) return false;
  f->name[0] = 'x'; /* no directory begins with that */
  int fd = openat(d->fd, f->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
  if (fd < 0) return false;
  bool ok = fill(d, f, fd, from) && fstat(fd, &st) == 0;
  int err = errno;
  close(fd);
  if (ok) f->changed = st.st_ctim;
  else unlinkat(d->fd, f->name, 0);
  errno = err;
  return ok;
}

/* The time of the last change moves with every write, link, mode and owner. */
static bool is_untouched(const struct workdirs *d, const struct context_file *f) {
  struct stat st;
  return fstatat(d->fd, f->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) && st.st_size == 0 &&
         st.st_ctim.tv_sec == f->changed.tv_sec && st.st_ctim.tv_nsec == f->changed.tv_nsec;
}

static struct context_file *take_kept(struct workdirs *d, uint32_t uid, uint32_t gid) {
  struct context_file **at = &d->idle_file, *f;
  while ((f = *at) && (f->uid != uid || f->gid != gid)) at = &f->next;
  if (f) *at = f->next;
  return f;
}

struct context_file *context_file_take(struct workdirs *d, uint32_t uid, uint32_t gid, int from) {
  struct context_file *f = from < 0 ? take_kept(d, uid, gid) : NULL;
  if (f) return f;
  f = wr_new(struct context_file);
  f->uid = uid;
  f->gid = gid;
  if (make(d, f, from)) return f;
  int err = errno;
  free(f);
  errno = err;
  return NULL;
}

void context_file_end(struct workdirs *d, struct context_file *f) {
  if (!f) return;
  if (is_untouched(d, f)) {
    f->next = d->idle_file;
    d->idle_file = f;
    return;
  }
  unlinkat(d->fd, f->name, 0);
  free(f);
}

void context_files_trim(struct workdirs *d) {
  for (struct context_file *f; (f = d->idle_file);) {
    d->idle_file = f->next;
    unlinkat(d->fd, f->name, 0);
    free(f);
  }
}
