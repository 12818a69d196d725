/* From this process to its spawner's program: see spawner_link.h for which program that is. Any thread, beside any others:
 * between vfork and exec only bare calls are made, with all signals blocked.
 *
 * What never happens: a descriptor, an argument, a variable or a page of memory of this process that reaches the program, but for
 * 0-2 and the three descriptors that it is given. */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/memfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "seed.h"
#include "spawner_image.h"
#include "spawner_link.h"

#ifndef MFD_EXEC /* Linux 6.3 */
#define MFD_EXEC 0x10U
#endif
#define FD_FOLDER "/proc/self/fd/"
enum { FD_PATH = sizeof FD_FOLDER + 12 };
enum { ABOVE = 16 };               /* descriptors from here on are out of the way of those with fixed places */

/* The image as a file in memory; -1 with errno. Older kernels do not know the wish to execute it. */
static int image_file(void) {
  int fd = memfd_create("weir-spawner", MFD_CLOEXEC | MFD_EXEC);
  if (fd < 0 && errno == EINVAL) fd = memfd_create("weir-spawner", MFD_CLOEXEC);
  for (size_t at = 0; fd >= 0 && at < sizeof spawner_image;) {
    ssize_t n = write(fd, spawner_image + at, sizeof spawner_image - at);
    if (n > 0) at += (size_t)n;
    else close(fd), fd = -1;
  }
  return fd;
}

/* The image's whole pages stay in the program's file until the next start, and need no memory of this process. */
static void image_unmap(void) {
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)spawner_image;
  uintptr_t first = (at + page - 1) / page * page, end = (at + sizeof spawner_image) / page * page;
  if (first < end) (void)madvise((void *)first, end - first, MADV_DONTNEED);
}

/* "/proc/self/fd/N", without the library. */
static void name_file(char path[FD_PATH], int fd) {
  char digit[12];
  size_t n = 0, at = sizeof FD_FOLDER - 1;
  memcpy(path, FD_FOLDER, at);
  do digit[n++] = (char)('0' + fd % 10);
  while ((fd /= 10) > 0);
  while (n > 0) path[at++] = digit[--n];
  path[at] = '\0';
}

/* Returns only when the file cannot be executed. The second way is for callers to whom execveat() is not known or not allowed:
 * valgrind, some sandboxes. It needs /proc. When both ways fail, errno is that of the first, which names the cause. */
static void execute(int image, char *const *argv) {
  char *const env[] = {NULL};
  char path[FD_PATH];
  syscall(SYS_execveat, image, "", argv, env, AT_EMPTY_PATH);
  int why = errno;
  name_file(path, image);
  execve(path, argv, env);
  errno = why;
}

/* In the child, on our memory but with files of its own. */
static _Noreturn void become_program(int program, char *const *argv, const int given[3], volatile int *why) {
  int fd[3], image = fcntl(program, F_DUPFD_CLOEXEC, ABOVE);
  bool ok = image >= 0;
  for (int i = 0; i < 3 && ok; i++) ok = (fd[i] = fcntl(given[i], F_DUPFD_CLOEXEC, ABOVE)) >= 0;
  for (int i = 0; i < 3 && ok; i++) ok = dup2(fd[i], FD_SOCK + i) >= 0;
  for (int own = 3; own < FD_SOCK; own++) close(own);
  if (ok) {
    syscall(SYS_close_range, (unsigned)FD_SEED + 1, ~0U, CLOSE_RANGE_CLOEXEC); /* if it fails: the program closes them itself */
    execute(image, argv);
  }
  *why = errno;
  _exit(127);
}
_Static_assert(FD_LOCK == FD_SOCK + 1 && FD_SEED == FD_SOCK + 2, "given[] is in the order of its places");

static pid_t start(int program, char *const *argv, const int given[3]) {
  sigset_t all, was;
  volatile int why = 0;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &was);
  pid_t pid = vfork();
  if (pid == 0) become_program(program, argv, given, &why);
  if (pid < 0) why = errno;
  pthread_sigmask(SIG_SETMASK, &was, NULL);
  if (pid > 0 && why) waitpid(pid, NULL, 0);
  errno = why;
  return why ? -1 : pid;
}

pid_t spawner_exec_file(const char *file, int sock, int lock, int seed) {
  char name[] = "weir-spawner";
  char *const alone[] = {name, NULL};
  const int given[3] = {sock, lock, seed};
  int fd = open(file, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  pid_t pid = start(fd, alone, given);
  int why = errno;
  close(fd);
  return errno = why, pid;
}

pid_t spawner_exec(const char *program, int sock, int lock, int seed) {
  char name[] = "weir-spawner", verb[] = "spawner";
  char *const alone[] = {name, NULL}, *const with_verb[] = {name, verb, NULL};
  const int given[3] = {sock, lock, seed};
  int fd = image_file();
  pid_t pid = fd >= 0 ? start(fd, alone, given) : -1;
  int why = errno;
  if (fd >= 0) close(fd);
  image_unmap();
  if (pid > 0 || !program || (why != EACCES && why != EPERM && why != ENOSYS)) return errno = why, pid;
  fd = open(program, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  pid = start(fd, with_verb, given);
  why = errno;
  close(fd);
  return errno = why, pid;
}
