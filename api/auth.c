/* The token: see auth.h. */
#include "auth.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>
#include "clock.h"

static enum wr_rc fail(struct wr_err *err, const struct auth *a, const char *what) {
  return wr_err_set(err, WR_INTERNAL, "The token file %.160s: %s", a->path, what);
}

static bool hexadecimal(const char *s) { return strspn(s, "0123456789abcdef") == AUTH_TOKEN_LEN && s[AUTH_TOKEN_LEN] == '\0'; }

static enum wr_rc token_read(struct auth *a, int fd, struct wr_err *err) {
  struct stat st;
  char text[AUTH_TOKEN_LEN + 2];
  if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) return fail(err, a, "not a file.");
  if (st.st_mode & 077) return fail(err, a, "others may read it; chmod 600.");
  ssize_t n = read(fd, text, sizeof text - 1);
  if (n < AUTH_TOKEN_LEN) return fail(err, a, "too short; remove it to get a new one.");
  text[n] = '\0';
  if (text[n - 1] == '\n') text[n - 1] = '\0';
  if (!hexadecimal(text)) return fail(err, a, "not 64 hexadecimal digits; remove it to get a new one.");
  memcpy(a->token, text, sizeof a->token);
  return WR_OK;
}

/* Complete under another name first: two servers that start at once agree on one token. */
static enum wr_rc token_make(struct auth *a, struct wr_err *err) {
  unsigned char key[AUTH_TOKEN_LEN / 2];
  char text[AUTH_TOKEN_LEN + 2], tmp[sizeof a->path + 24];
  rand_secret(key, sizeof key);
  for (size_t i = 0; i < sizeof key; i++) snprintf(text + 2 * i, 3, "%02x", key[i]);
  text[AUTH_TOKEN_LEN] = '\n';
  snprintf(tmp, sizeof tmp, "%s.%ld", a->path, (long)getpid());
  int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return fail(err, a, strerror(errno));
  bool ok = write(fd, text, sizeof text - 1) == (ssize_t)sizeof text - 1 && fsync(fd) == 0;
  ok = close(fd) == 0 && ok;
  if (ok && link(tmp, a->path) != 0 && errno != EEXIST) ok = false;
  int why = errno;
  (void)unlink(tmp);
  return ok ? WR_OK : fail(err, a, strerror(why));
}

enum wr_rc auth_load(struct auth *a, const char *dir, struct wr_err *err) {
  *a = (struct auth){0};
  int n = snprintf(a->path, sizeof a->path, "%s/weir.token", dir);
  if (n < 0 || n >= (int)sizeof a->path) return fail(err, a, "the path is too long.");
  if (mkdir(dir, 0700) != 0 && errno != EEXIST) return fail(err, a, strerror(errno));
  for (int i = 0; i < 2; i++) {
    int fd = open(a->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0) {
      enum wr_rc rc = token_read(a, fd, err);
      close(fd);
      return rc;
    }
    if (errno != ENOENT) return fail(err, a, strerror(errno));
    enum wr_rc rc = token_make(a, err);
    if (rc != WR_OK) return rc;
  }
  return fail(err, a, "vanished.");
}

enum wr_rc auth_check(const struct auth *a, const struct gate_in *in, enum role need, struct wr_err *err) {
  if (need == ROLE_NONE || a->open) return WR_OK;
  char given[AUTH_TOKEN_LEN] = {0};
  size_t n = 0;
  const char *v = gate_header(in, "Authorization", &n);
  bool form = v && n == strlen("Bearer ") + AUTH_TOKEN_LEN && strncasecmp(v, "Bearer ", 7) == 0 &&
              gate_count(in, "Authorization") == 1;
  if (form) memcpy(given, v + 7, sizeof given);
  unsigned char diff = 0;
  for (size_t i = 0; i < sizeof given; i++) diff |= (unsigned char)(given[i] ^ a->token[i]);
  if (!form || diff != 0) return wr_err_set(err, WR_UNAUTHENTICATED, NULL);
  return WR_OK;
}
