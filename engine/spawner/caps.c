/* See caps.h. */
#include "caps.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { WORDS = _LINUX_CAPABILITY_U32S_3 };

static bool may_be_root(const struct run_as *p) {
  for (size_t i = 0; i < p->n; i++)
    if (p->v[i].uid == 0) return true;
  return false;
}

/* A container may lack the right to do this. That is harmless: a process that gains nothing by exec cannot get a right through
 * the bounding set alone. */
static void narrow_bounds(uint32_t keep) {
  for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
    if (cap >= 32 || !(keep & 1U << cap)) (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
}

static int narrow(const struct run_as *p, uint32_t keep) {
  struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct d[WORDS];
  if (may_be_root(p)) return 0;
  if (syscall(SYS_capget, &head, d)) return -1;
  narrow_bounds(keep);
  (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  for (int i = 0; i < WORDS; i++) {
    d[i].permitted &= i == 0 ? keep : 0;
    d[i].effective = d[i].permitted;
    d[i].inheritable = 0;
  }
  return (int)syscall(SYS_capset, &head, d);
}

int caps_for_spawner(const struct run_as *p) {
  return narrow(p, 1U << CAP_SETUID | 1U << CAP_SETGID | 1U << CAP_KILL | 1U << CAP_CHOWN);
}

int caps_for_guard(const struct run_as *p) { return narrow(p, 1U << CAP_KILL); }
