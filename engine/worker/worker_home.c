/* Is the lock of the data directory still the file that our spawner holds? If that file were missing or replaced, a second node
 * would be let in: it would take this node and its children for dead, and start again what still runs. Loop thread only.
 *
 * The kernel tells of each name that comes and goes in the directory, so nothing is looked at without a cause. Where the kernel
 * cannot (no descriptor is left for that), the file is looked at every LOOK_US. */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "spawner_link.h"
#include "worker_int.h"

#define LOOK_US 5000000

/* A file that cannot be looked at is not gone: somebody may have shut a folder above to this user. */
static bool in_place(const struct worker *w) {
  struct stat st;
  char path[4200];
  snprintf(path, sizeof path, "%s/" LOCK_NAME, w->dir); /* by its path: the directory may have been moved, or removed */
  if (stat(path, &st)) return errno != ENOENT && errno != ENOTDIR;
  return st.st_dev == w->spawner->lock_dev && st.st_ino == w->spawner->lock_ino;
}

static void home_look(struct worker *w) {
  char why[HEALTH_WHY_BYTES];
  if (w->home.gone || in_place(w)) return;
  w->home.gone = true;
  snprintf(why, sizeof why, "%.100s/" LOCK_NAME " was removed or replaced: another server could use this directory.", w->dir);
  if (w->o.gone) w->o.gone(w->o.ctx, why);
}

static void on_event(struct worker *w, struct source *s) {
  char events[4096] __attribute__((aligned(8)));
  while (read(s->fd, events, sizeof events) > 0) {}
  home_look(w);
}

static void look_due(struct worker *w, struct timer *t) {
  home_look(w);
  worker_timer(w, t, clock_mono_us() + LOOK_US);
}

void home_setup(struct worker *w) {
  struct source *s = &w->home.src;
  *s = (struct source){on_event, inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
  if (s->fd >= 0 && inotify_add_watch(s->fd, w->dir, IN_DELETE | IN_MOVE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR) < 0)
    home_cleanup(w);
  w->home.look.fire = look_due;
  if (s->fd >= 0) worker_watch(w, s, EPOLLIN);
  else worker_timer(w, &w->home.look, clock_mono_us() + LOOK_US);
  home_look(w);
}

void home_cleanup(struct worker *w) {
  if (w->home.src.fd >= 0) close(w->home.src.fd);
  w->home.src.fd = -1;
}
