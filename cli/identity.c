/* Who the server is: see identity.h. */
#include "identity.h"
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "mem.h"

/* ---- finding it ---- */

static enum wr_rc named(const char *name, struct identity *id, struct wr_err *err) {
  char q[WR_QUOTE_MAX];
  wr_err_quote(q, name, strlen(name));
  if (id->personal) return wr_err_set(err, WR_FORBIDDEN, "--user: with --dev the server stays whoever starts it.");
  if (!run_as_look(name, &id->user)) return wr_err_set(err, WR_BAD_REQUEST, "--user: there is no user %s.", q);
  if (geteuid() == 0 || id->user.uid == geteuid()) return WR_OK;
  return wr_err_set(err, WR_FORBIDDEN, "--user: only root can become user %s.", q);
}

/* A user that has only a number is good enough: the server then has the folder's group alone. */
static void owner(const struct stat *st, struct run_as_user *u) {
  const struct passwd *pw = getpwuid(st->st_uid);
  char *name = pw ? wr_strdup(pw->pw_name) : NULL, number[24];
  if (!name || !run_as_look(name, u) || u->uid != st->st_uid) {
    run_as_user_done(u);
    snprintf(number, sizeof number, "%u", (unsigned)st->st_uid);
    *u = (struct run_as_user){.name = wr_strdup(number), .home = wr_strdup("/"), .uid = st->st_uid, .gid = st->st_gid};
  }
  free(name);
}

enum wr_rc identity_find(const char *user, const char *data, bool personal, struct identity *id, struct wr_err *err) {
  struct stat st;
  *id = (struct identity){.personal = personal};
  enum wr_rc rc = WR_OK;
  if (user) rc = named(user, id, err);
  else if (!personal && geteuid() == 0 && data && stat(data, &st) == 0 && st.st_uid != 0) owner(&st, &id->user);
  else run_as_self(&id->user);
  id->becomes = !rc && geteuid() == 0 && id->user.uid != 0;
  if (rc) identity_done(id);
  return rc;
}

void identity_done(struct identity *id) { run_as_user_done(&id->user); }

/* ---- becoming it ---- */

/* All three sets: a service manager may have asked for some capabilities to stay. */
static int drop_capabilities(void) {
  struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct none[2] = {0};
  return (int)syscall(SYS_capset, &head, none);
}

/* No way may lead back to root. */
static bool holds(const struct run_as_user *u) {
  uid_t r, e, s;
  gid_t rg, eg, sg;
  if (getresuid(&r, &e, &s) != 0 || r != u->uid || e != u->uid || s != u->uid) return false;
  if (getresgid(&rg, &eg, &sg) != 0 || rg != u->gid || eg != u->gid || sg != u->gid) return false;
  return setuid(0) != 0 && seteuid(0) != 0 && setresuid((uid_t)-1, 0, (uid_t)-1) != 0;
}

static enum wr_rc become(const struct run_as_user *u, struct wr_err *err) {
  const gid_t *group = u->n_group ? u->group : &u->gid;
  bool ok = setgroups(u->n_group ? u->n_group : 1, group) == 0 && setresgid(u->gid, u->gid, u->gid) == 0 &&
            setresuid(u->uid, u->uid, u->uid) == 0 && drop_capabilities() == 0;
  int why = errno;
  if (ok && holds(u)) return WR_OK;
  return wr_err_set(err, WR_FORBIDDEN, "The server cannot become user %.64s: %s.", u->name,
                    ok ? "root could be had again" : strerrordesc_np(why));
}

enum wr_rc identity_take(const struct identity *id, struct wr_err *err) {
  enum wr_rc rc = id->becomes ? become(&id->user, err) : WR_OK;
  if (rc || id->personal) return rc;
  /* Its memory holds the token's hash and passwords: no core file of it, no look into /proc/PID by a task of the same user. */
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0) return WR_OK;
  return wr_err_set(err, WR_FORBIDDEN, "The kernel refuses to close this process to others: %s.", strerrordesc_np(errno));
}
