/* See found.h. Call it before there is any other thread: the mask of new files belongs to the whole process. */
#include "found.h"

#include <string.h>

void found_take(struct found *f) {
  struct sigaction sa;
  memset(f, 0, sizeof *f);
  f->umask = umask(077);
  umask(f->umask);
  getrlimit(RLIMIT_NOFILE, &f->files);
  getrlimit(RLIMIT_CORE, &f->core);
  sigemptyset(&f->ignored);
  sigemptyset(&f->blocked);
  sigprocmask(SIG_SETMASK, NULL, &f->blocked);
  for (int i = 1; i < NSIG; i++)
    if (sigaction(i, NULL, &sa) == 0 && sa.sa_handler == SIG_IGN) sigaddset(&f->ignored, i);
  f->taken = true;
}
