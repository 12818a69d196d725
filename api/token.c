/* The token's file: see token.h. */
#include "token.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "clock.h"
#include "own.h"
#include "text.h"

#define OLD_FILE "weir.token.old"
#define NOTE_FILE "weir.token.host"
#define TURN_AGAIN_US 10000

static enum wr_rc fail_token(struct wr_err *err, const char *dir, const char *why) {
  return wr_err_set(err, WR_FORBIDDEN, "The token file %.160s/" TOKEN_FILE ": %s", dir, why);
}

static void hex(char *out, const unsigned char *p, size_t n) {
  for (size_t i = 0; i < n; i++) snprintf(out + 2 * i, 3, "%02x", p[i]);
}

/* The hash is that of the digits themselves, so that `sha256sum` of them says the same. */
static void hash_of(struct bearer *t) {
  unsigned char h[AUTH_HASH_BYTES];
  SHA256((const unsigned char *)t->text, AUTH_TOKEN_LEN, h);
  hex(t->hash, h, sizeof h);
}

void token_new(struct bearer *t) {
  unsigned char key[AUTH_TOKEN_LEN / 2];
  rand_secret(key, sizeof key);
  hex(t->text, key, sizeof key);
  hash_of(t);
}

/* False: text is no token. */
static bool token_of(struct bearer *t, const char *text) {
  if (strlen(text) != AUTH_TOKEN_LEN || strspn(text, "0123456789abcdef") != AUTH_TOKEN_LEN) return false;
  memcpy(t->text, text, sizeof t->text);
  hash_of(t);
  return true;
}

static enum wr_rc read_token(const char *dir, const char *name, struct bearer *t, struct wr_err *err) {
  struct stat st;
  char text[AUTH_TOKEN_LEN + 3];
  int fd = own_open(dir, name, O_RDONLY, err);
  if (fd < 0) return err->code;
  ssize_t n = fstat(fd, &st) == 0 ? read(fd, text, sizeof text - 1) : -1;
  close(fd);
  if (n < 0) return fail_token(err, dir, "it cannot be read.");
  if (st.st_mode & 077) return fail_token(err, dir, "others may read it; chmod 600.");
  text[n] = '\0';
  text[strcspn(text, "\n")] = '\0';
  return token_of(t, text) ? WR_OK : fail_token(err, dir, "not 64 hexadecimal digits; remove it to get a new one.");
}

enum wr_rc token_read(const char *dir, struct bearer *t, struct wr_err *err) { return read_token(dir, TOKEN_FILE, t, err); }

/* The file looks as if the folder's owner had made it: `weir token rotate` may be root. */
static enum wr_rc write_file(const char *dir, const char *name, const char *text, struct wr_err *err) {
  char path[PATH_MAX];
  struct stat st;
  snprintf(path, sizeof path, "%s/%s", dir, name);
  (void)unlink(path); /* left by a rotation that was cut off */
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return fail_token(err, dir, strerrordesc_np(errno));
  bool ok = geteuid() != 0 || (stat(dir, &st) == 0 && fchown(fd, st.st_uid, st.st_gid) == 0);
  errno = ok ? ENOSPC : errno; /* a write that is cut short does not set it */
  ok = ok && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && fsync(fd) == 0;
  int why = errno;
  if (close(fd) != 0 && ok) ok = false, why = errno;
  if (ok) return WR_OK;
  (void)unlink(path);
  return fail_token(err, dir, strerrordesc_np(why));
}

static void sync_dir(const char *dir) {
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  (void)fsync(fd);
  close(fd);
}

struct pair { char from[PATH_MAX], to[PATH_MAX]; };
static void paths(struct pair *p, const char *dir, const char *from, const char *to) {
  snprintf(p->from, sizeof p->from, "%s/%s", dir, from);
  snprintf(p->to, sizeof p->to, "%s/%s", dir, to);
}

int token_turn(const char *dir, int64_t wait_us, struct wr_err *err) {
  int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    (void)fail_token(err, dir, strerrordesc_np(errno));
    return -1;
  }
  int64_t end = clock_mono_us() + wait_us;
  while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK && clock_mono_us() < end) {
      usleep(TURN_AGAIN_US);
      continue;
    }
    (void)fail_token(err, dir, errno == EWOULDBLOCK ? "another rotation does not end; try again." : strerrordesc_np(errno));
    close(fd);
    return -1;
  }
  return fd;
}

enum wr_rc token_prepare(const char *dir, const struct bearer *t, struct wr_err *err) {
  char line[AUTH_TOKEN_LEN + 2];
  snprintf(line, sizeof line, "%s\n", t->text);
  return write_file(dir, TOKEN_NEXT_FILE, line, err);
}

enum wr_rc token_place(const char *dir, bool replace, struct wr_err *err) {
  struct pair p;
  paths(&p, dir, TOKEN_NEXT_FILE, TOKEN_FILE);
  int rc = replace ? rename(p.from, p.to) : link(p.from, p.to);
  if (rc != 0) return fail_token(err, dir, strerrordesc_np(errno));
  if (!replace) (void)unlink(p.from);
  paths(&p, dir, NOTE_FILE, NOTE_FILE);
  (void)unlink(p.from); /* the token lies here now */
  sync_dir(dir);
  return WR_OK;
}

void token_drop(const char *dir) {
  struct pair p;
  paths(&p, dir, TOKEN_NEXT_FILE, TOKEN_NEXT_FILE);
  (void)unlink(p.from);
}

static void set_aside(const char *dir) {
  struct pair p;
  paths(&p, dir, TOKEN_FILE, OLD_FILE);
  (void)rename(p.from, p.to); /* when no file is there, there is nothing to do */
}

void token_here(const char *dir, char out[256]) {
  char host[65] = "", *whole = realpath(dir, NULL);
  gethostname(host, sizeof host - 1);
  snprintf(out, 256, "%s:%.180s", host, whole ? whole : dir);
  free(whole);
}

/* A failure does no harm: `weir token show` then has to ask the database. */
static void note(const char *dir, const char *at) {
  struct wr_err err;
  struct pair p;
  paths(&p, dir, NOTE_FILE ".new", NOTE_FILE);
  if (write_file(dir, NOTE_FILE ".new", at, &err) == WR_OK) (void)!rename(p.from, p.to);
}

void token_noted(const char *dir, char out[256]) {
  struct wr_err err;
  int fd = own_open(dir, NOTE_FILE, O_RDONLY, &err);
  ssize_t n = fd >= 0 ? read(fd, out, 255) : 0;
  if (fd >= 0) close(fd);
  out[n > 0 ? n : 0] = '\0';
  if (!text_utf8(out, strlen(out)) || text_has_control(out, strlen(out))) out[0] = '\0';
}

bool token_settle(const char *dir, const struct store_token *t) {
  struct bearer file;
  struct wr_err err;
  enum wr_rc rc = token_read(dir, &file, &err);
  if (rc == WR_OK && strcmp(file.hash, t->hash) == 0) return true;
  if (read_token(dir, TOKEN_NEXT_FILE, &file, &err) == WR_OK && strcmp(file.hash, t->hash) == 0)
    return token_place(dir, true, &err) == WR_OK;
  if (rc == WR_OK) set_aside(dir); /* a file that cannot be read just now may be the right one */
  if (rc == WR_OK || rc == WR_NOT_FOUND) note(dir, t->host);
  return false;
}
