/* The file of a program: program_file.h. It goes from folder to folder by descriptors, one name at a time, so nothing that
 * changes meanwhile leads it elsewhere. */
#include "program_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#define OPENSSL_SUPPRESS_DEPRECATED /* evp.h has names that are banned here */
#include <openssl/sha.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "err.h"
#include "executor_post.h"

enum { PART_BYTES = 256, READ_BYTES = 65536, SHA_BYTES = 32, SHOWN_BYTES = 280 };
struct place { char *why; size_t n; };   /* where the sentence goes */

__attribute__((format(printf, 2, 3))) static int no(const struct place *p, const char *fmt, ...) {
  va_list ap;
  va_start(ap, fmt);
  vsnprintf(p->why, p->n, fmt, ap);
  va_end(ap);
  return -1;
}

/* One name in a folder. Without openat2() (Linux before 5.6, some sandboxes) the name cannot lead elsewhere either: it has no
 * '/', is not "..", and is no link (O_NOFOLLOW). */
static int open_in(int dir, const char *name, int flags) {
  struct open_how how = {.flags = (uint64_t)(flags | O_NOFOLLOW | O_CLOEXEC),
                         .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
  int fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof how);
  if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return fd;
  return openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC);
}

/* Whoever owns a file may change its mode, so the owner counts as one who writes. */
static int check_writers(const struct stat *st, const char *what, const struct place *p) {
  if (st->st_uid != 0 && st->st_uid != geteuid()) return no(p, "%s belongs to another user than root and the server's.", what);
  if (st->st_mode & (S_IWGRP | S_IWOTH)) return no(p, "%s may be written by others than root and the server's user.", what);
  return 0;
}

static int cannot(const struct place *p, const char *what) {
  int e = errno;
  if (e == ENOENT) return no(p, "%s does not exist.", what);
  if (e == ELOOP || e == EXDEV) return no(p, "%s is a symbolic link.", what);
  if (e == ENOTDIR) return no(p, "%s is no folder, or is a symbolic link.", what);
  return no(p, "%s cannot be opened: %s.", what, strerrordesc_np(e));
}

static int check_file(int fd, const char *what, struct stat *st, const struct place *p) {
  if (fstat(fd, st)) return no(p, "%s cannot be looked at.", what);
  if (S_ISLNK(st->st_mode)) return no(p, "%s is a symbolic link.", what);
  if (!S_ISREG(st->st_mode)) return no(p, "%s is no regular file.", what);
  if (st->st_mode & (S_ISUID | S_ISGID)) return no(p, "%s is setuid or setgid.", what);
  if (!(st->st_mode & (S_IXUSR | S_IXGRP | S_IXOTH))) return no(p, "%s is not executable.", what);
  return check_writers(st, what, p);
}

/* First without opening it: a pipe or a device would notice. */
static int open_program(int dir, const char *name, const char *what, struct stat *st, const struct place *p) {
  int look = open_in(dir, name, O_PATH);
  if (look < 0) return cannot(p, what);
  int rc = check_file(look, what, st, p);
  close(look);
  if (rc) return -1;
  int fd = open_in(dir, name, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return errno == EACCES ? no(p, "%s cannot be read by the server's user.", what) : cannot(p, what);
  if (!check_file(fd, what, st, p)) return fd;
  close(fd);
  return -1;
}

static int check_folder(int fd, const char *what, const struct place *p) {
  struct stat st;
  if (fstat(fd, &st)) return no(p, "%s cannot be looked at.", what);
  if (!S_ISDIR(st.st_mode)) return no(p, "%s is no folder, or is a symbolic link.", what);
  return check_writers(&st, what, p);
}

/* name: below dir, of the form that program_path_form() lets pass. */
static int open_below(const char *dir, const char *name, struct stat *st, const struct place *p) {
  char what[512], part[PART_BYTES];
  snprintf(what, sizeof what, "The folder %.300s", dir);
  int at = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (at < 0) return cannot(p, what);
  for (const char *rest = name;;) {
    size_t n = strcspn(rest, "/");
    if (check_folder(at, what, p) || n >= sizeof part) break;
    memcpy(part, rest, n);
    part[n] = '\0';
    int shown = (int)(rest - name) + (int)n;
    snprintf(what, sizeof what, "%.200s/%.*s", dir, shown < SHOWN_BYTES ? shown : SHOWN_BYTES, name);
    int next = rest[n] ? open_in(at, part, O_PATH | O_DIRECTORY) : open_program(at, part, what, st, p);
    if (next < 0 && rest[n]) (void)cannot(p, what);
    close(at);
    if (next < 0 || !rest[n]) return next;
    at = next;
    rest += n + 1;
  }
  close(at);
  return -1;
}

static bool lies_in(const char *dir, const char *name) {
  char path[4096 + 512];
  struct stat st;
  return snprintf(path, sizeof path, "%s/%s", dir, name) < (int)sizeof path && lstat(path, &st) == 0;
}

static int open_any(const struct program_dirs *d, const char *path, struct stat *st, const struct place *p) {
  if (!d || d->n == 0) return no(p, "This node has no --executor-dir.");
  if (!program_path_form(path, strlen(path))) return no(p, "location names no program.");
  for (size_t i = 0; i < d->n; i++) {
    const char *dir = d->dir[i], *name = path;
    if (*path == '/' && !program_path_below(path, dir)) continue;
    if (*path == '/') name = path + (strcmp(dir, "/") == 0 ? 1 : strlen(dir) + 1);
    if (*path == '/' || lies_in(dir, name)) return open_below(dir, name, st, p);
  }
  if (*path == '/') return no(p, "The program is not below an --executor-dir of this node.");
  return no(p, "There is no such program below an --executor-dir of this node.");
}

int program_open(const struct program_dirs *d, const char *path, struct file_mark *mark, char *why, size_t why_n) {
  struct stat st = {0};
  int fd = open_any(d, path, &st, &(struct place){why, why_n});
  *mark = (struct file_mark){(uint64_t)st.st_dev, (uint64_t)st.st_ino, (uint64_t)st.st_size,
                             st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec,
                             st.st_ctim.tv_sec * 1000000000LL + st.st_ctim.tv_nsec};
  return fd;
}

static bool digest(int fd, unsigned char out[SHA_BYTES]) {
  unsigned char b[READ_BYTES];
  ssize_t n = -1;
  off_t at = 0;
  SHA256_CTX c;
  bool ok = SHA256_Init(&c) == 1;
  while (ok && (n = pread(fd, b, sizeof b, at)) > 0) ok = SHA256_Update(&c, b, (size_t)n) == 1, at += n;
  return ok && n == 0 && SHA256_Final(out, &c) == 1;
}

bool program_is(int fd, const char *sha256, int64_t most, char *why, size_t why_n) {
  const struct place p = {why, why_n};
  unsigned char is[SHA_BYTES];
  char hex[2 * SHA_BYTES + 1];
  struct stat st;
  if (fstat(fd, &st) || st.st_size > most) return no(&p, "The program is too large for its sha256 to be checked."), false;
  if (!digest(fd, is)) return no(&p, "The program cannot be read."), false;
  for (int i = 0; i < SHA_BYTES; i++) snprintf(hex + 2 * i, 3, "%02x", is[i]);
  if (strcmp(hex, sha256) == 0) return true;
  return no(&p, "The program has another sha256: %s.", hex), false;
}
