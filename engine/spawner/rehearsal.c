/* See rehearsal.h. A child becomes the user, as the child of an attempt does, because only then do the user's groups count
 * too. */
#include "rehearsal.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAME "rehearsal"
enum { TRY_S = 10 };

static _Noreturn void say(int fd, const char *text) {
  (void)!write(fd, text, strlen(text));
  _exit(1);
}

static _Noreturn void cannot_pass(int fd, const struct run_as_user *u, const char *folder, int err) {
  char text[244];
  snprintf(text, sizeof text, "User %.32s, who runs tasks, may not pass through %.100s: %.40s (chmod o+x).", u->name, folder,
           strerrordesc_np(err));
  say(fd, text);
}

/* Tries each folder of the path by itself, so that the folder that bars the way is named. */
static void walk(int fd, const struct run_as_user *u, const char *path) {
  char *b = strdup(path);
  for (char *at = b; b && (at = strchr(at + 1, '/'));) {
    *at = '\0';
    if (chdir(b)) cannot_pass(fd, u, b, errno);
    *at = '/';
  }
  if (!b || chdir(b)) cannot_pass(fd, u, path, errno);
  free(b);
}

static _Noreturn void be_user(int fd, const struct run_as_user *u, const char *path) {
  char text[244];
  const char *what = "become it";
  signal(SIGALRM, SIG_DFL); /* a file system that does not answer must not hold up the start for ever */
  alarm(TRY_S);
  if (setgroups(u->n_group, u->group) == 0 && setresgid(u->gid, u->gid, u->gid) == 0 && setresuid(u->uid, u->uid, u->uid) == 0) {
    walk(fd, u, path);
    what = "write there";
    int file = chdir(NAME) ? -1 : open("output", O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file >= 0 && write(file, "x", 1) == 1 && unlink("output") == 0) _exit(0);
  }
  snprintf(text, sizeof text, "User %.32s, who runs tasks, cannot be served in %.90s: to %s failed: %.40s.", u->name, path, what,
           strerrordesc_np(errno));
  say(fd, text);
}

static bool try_one(const struct run_as_user *u, const char *path, char *text, size_t n) {
  int pipe_fd[2], status = 1;
  if (pipe2(pipe_fd, O_CLOEXEC)) return snprintf(text, n, "Cannot make a pipe: %s.", strerrordesc_np(errno)), false;
  pid_t pid = fork();
  if (pid == 0) be_user(pipe_fd[1], u, path);
  int err = errno;
  close(pipe_fd[1]);
  ssize_t got = 0;
  while (pid > 0 && (got = read(pipe_fd[0], text, n - 1)) < 0 && errno == EINTR) {}
  text[got > 0 ? got : 0] = '\0';
  close(pipe_fd[0]);
  if (pid < 0) return snprintf(text, n, "Cannot fork: %s.", strerrordesc_np(err)), false;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
    snprintf(text, n, "User %.32s, who runs tasks, got no answer from %.90s within %d s.", u->name, path, TRY_S);
  else if (status && !*text) snprintf(text, n, "Nothing can be run as user %.32s.", u->name);
  return status == 0;
}

bool rehearse(const struct run_as *p, int run, const char *path, char *text, size_t n) {
  bool ok = true;
  for (size_t i = 0; i < p->n && ok; i++) {
    const struct run_as_user *u = &p->v[i];
    if (u->uid == geteuid()) continue;
    (void)unlinkat(run, NAME, AT_REMOVEDIR); /* left by a start that was killed here */
    if (mkdirat(run, NAME, 0700) || fchownat(run, NAME, u->uid, u->gid, AT_SYMLINK_NOFOLLOW)) {
      snprintf(text, n, "Cannot make a directory for user %.32s in %.90s: %s.", u->name, path, strerrordesc_np(errno));
      ok = false;
    } else {
      ok = try_one(u, path, text, n);
    }
    (void)unlinkat(run, NAME, AT_REMOVEDIR);
  }
  return ok;
}
