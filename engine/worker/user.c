/* User names to numbers, groups and home. Loop thread only; what was read is kept for a minute, so a flood of attempts
 * asks the name service once. The answer may block when that service is a network's; a local file does not. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "worker_int.h"

#define KEEP_US 60000000
enum { GROUPS_MAX = 65536, NAME_BUF = 16384 };

static void user_free(struct user *u) {
  free(u->key);
  free(u->name);
  free(u->home);
  free(u->group);
  free(u);
}

/* NULL name: whoever we are, also when no file knows it. */
static struct user *read_user(const char *name) {
  char b[NAME_BUF], number[24];
  struct passwd pw, *found = NULL;
  uid_t me = geteuid();
  if (name) getpwnam_r(name, &pw, b, sizeof b, &found);
  else getpwuid_r(me, &pw, b, sizeof b, &found);
  if (!found && name) return NULL;
  if (!found) {
    snprintf(number, sizeof number, "%u", (unsigned)me);
    char root[] = "/";
    pw = (struct passwd){.pw_name = number, .pw_dir = root, .pw_uid = me, .pw_gid = getegid()};
  }
  struct user *u = wr_new(struct user);
  u->key = wr_strdup(name ? name : "");
  u->name = wr_strdup(pw.pw_name);
  u->home = wr_strdup(pw.pw_dir);
  u->uid = pw.pw_uid;
  u->gid = pw.pw_gid;
  if (name && u->uid != me) {
    int n = 64;
    for (; n <= GROUPS_MAX; n *= 2) {
      u->group = wr_realloc(u->group, (size_t)n * sizeof *u->group);
      u->n_group = n;
      if (getgrouplist(u->name, u->gid, u->group, &u->n_group) >= 0) break;
    }
    if (n > GROUPS_MAX) u->n_group = 0;
  }
  u->read_us = clock_mono_us();
  return u;
}

const struct user *user_find(struct users *us, const char *name) {
  for (struct user **at = &us->list; *at; at = &(*at)->next) {
    struct user *u = *at;
    if (strcmp(u->key, name ? name : "") != 0) continue;
    if (u->read_us + KEEP_US > clock_mono_us()) return u;
    *at = u->next;
    user_free(u);
    break;
  }
  struct user *u = read_user(name);
  if (!u) return NULL;
  u->next = us->list;
  return us->list = u;
}

void users_done(struct users *us) {
  for (struct user *u; (u = us->list);) {
    us->list = u->next;
    user_free(u);
  }
}
