/* Which users a SHELL task may run as: see run_as.h. */
#include "run_as.h"
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "wr_limits.h"
#include "mem.h"

enum { ENTRY_MAX_BYTES = 1 << 20 };

/* ---- the system's users ---- */

static void fill(struct run_as_user *out, const char *name, const char *home, uid_t uid, gid_t gid) {
  *out = (struct run_as_user){.name = wr_strdup(name), .home = wr_strdup(home), .uid = uid, .gid = gid};
}

void run_as_user_done(struct run_as_user *u) {
  free(u->name);
  free(u->home);
  free(u->group);
  *u = (struct run_as_user){0};
}

static bool read_groups(struct run_as_user *u) {
  for (int n = 64; n <= LIMIT_USER_GROUPS; n *= 2) {
    int got = n;
    u->group = wr_realloc(u->group, (size_t)n * sizeof *u->group);
    if (getgrouplist(u->name, u->gid, u->group, &got) < 0) continue;
    u->n_group = (size_t)got;
    return true;
  }
  return false;
}

/* By name, or by uid where there is none. An entry with many members is long. */
static bool user_look(const char *name, uid_t uid, struct run_as_user *out) {
  struct passwd pw, *found = NULL;
  int rc = ERANGE;
  char *b = NULL;
  for (size_t n = 4096; rc == ERANGE && n <= ENTRY_MAX_BYTES; n *= 2) {
    b = wr_realloc(b, n);
    rc = name ? getpwnam_r(name, &pw, b, n, &found) : getpwuid_r(uid, &pw, b, n, &found);
  }
  if (found) fill(out, pw.pw_name, pw.pw_dir, pw.pw_uid, pw.pw_gid);
  free(b);
  return found != NULL;
}

bool run_as_look(const char *name, struct run_as_user *out) {
  if (!user_look(name, 0, out)) return false;
  if (read_groups(out)) return true;
  run_as_user_done(out);
  return false;
}

/* Its groups are not read: a process that is this user already changes nothing to become it. */
void run_as_self(struct run_as_user *out) {
  char number[24];
  uid_t me = geteuid();
  snprintf(number, sizeof number, "%u", (unsigned)me);
  if (!user_look(NULL, me, out)) fill(out, number, "/", me, getegid()); /* a container knows no name for it */
  out->gid = getegid();
}

/* ---- the list ---- */

static bool in_group_0(const struct run_as_user *u) {
  if (u->gid == 0) return true;
  for (size_t i = 0; i < u->n_group; i++)
    if (u->group[i] == 0) return true;
  return false;
}

static enum wr_rc fail_user(struct wr_err *err, const char *opt, const struct run_as_user *u, const char *why) {
  char q[WR_QUOTE_MAX];
  return wr_err_set(err, WR_SHELL_NOT_ALLOWED, "%s %s: %s", opt, wr_err_quote(q, u->name, strlen(u->name)), why);
}

/* May the newest entry stand on the list? */
static enum wr_rc check(const struct run_as *p, const struct run_as_opts *o, const char *opt, struct wr_err *err) {
  const struct run_as_user *u = &p->v[p->n - 1];
  if (!o->can_change && u->uid != o->self)
    return fail_user(err, opt, u, "only a server that root starts can run tasks as another user.");
  if (u->uid == (uid_t)-1 || u->gid == (gid_t)-1) return fail_user(err, opt, u, "its number means \"no change\" to the kernel.");
  if (o->personal) return WR_OK;
  if (u->uid == 0) return fail_user(err, opt, u, "SHELL tasks run as root (uid 0) only with --dev: name another user.");
  if (in_group_0(u))
    return fail_user(err, opt, u,
                     "a user of root's group (0) runs SHELL tasks only with --dev: name another, or take it out of that group.");
  if (u->uid != o->self || o->shell == RUN_AS_ON || p->n == 1) return WR_OK; /* the usual one: names_itself() */
  return fail_user(err, opt, u,
                   "it is the server's own user, whose tasks can read its token and database. "
                   "Name another, or accept that with --shell on.");
}

static enum wr_rc add_named(struct run_as *p, const struct run_as_opts *o, const char *opt, const char *name,
                            struct wr_err *err) {
  char q[WR_QUOTE_MAX];
  struct run_as_user u = {0};
  if (!(o->look ? o->look : run_as_look)(name, &u))
    return wr_err_set(err, WR_BAD_REQUEST, "%s: there is no user %s.", opt, wr_err_quote(q, name, strlen(name)));
  free(u.name); /* as it was asked for: a definition has to say it in the same way */
  u.name = wr_strdup(name);
  *WR_PUSH(p->v, p->n, p->cap) = u;
  p->own |= u.uid == o->self;
  return check(p, o, opt, err);
}

/* No user is named: tasks run as the server's own user, where that is accepted. */
static enum wr_rc add_own(struct run_as *p, const struct run_as_opts *o, struct wr_err *err) {
  struct run_as_user u;
  run_as_self(&u);
  if (u.uid != o->self) { /* only the server becomes that user; the spawner has to change to it for each task */
    struct run_as_user other;
    if (!user_look(NULL, o->self, &other) || !read_groups(&other))
      return run_as_user_done(&u),
             wr_err_set(err, WR_SHELL_NOT_ALLOWED, "--shell on: the server's user %u has no name here.", (unsigned)o->self);
    run_as_user_done(&u);
    u = other;
  }
  p->own = true;
  *WR_PUSH(p->v, p->n, p->cap) = u;
  if (!o->personal && u.uid == 0)
    return wr_err_set(err, WR_SHELL_NOT_ALLOWED, "SHELL tasks do not run as root: give --run-as USER.");
  if (!o->personal && in_group_0(&u))
    return wr_err_set(err, WR_SHELL_NOT_ALLOWED, "SHELL tasks do not run in root's group (0): give --run-as USER.");
  return WR_OK;
}

/* With --shell auto, naming only the server's own user does not ask for SHELL. */
static bool names_itself(const struct run_as *p, const struct run_as_opts *o) {
  return o->user && !o->personal && o->shell == RUN_AS_AUTO && p->n == 1 && p->v[0].uid == o->self && o->self != 0;
}

static void clear(struct run_as *p) {
  for (size_t i = 0; i < p->n; i++) run_as_user_done(&p->v[i]);
  p->n = 0;
  p->own = false;
}

static enum wr_rc make(struct run_as *p, const struct run_as_opts *o, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  bool own = o->personal || o->shell == RUN_AS_ON;
  if (o->n_also >= LIMIT_RUN_AS) return wr_err_set(err, WR_BAD_REQUEST, "--run-as-also: at most %d users.", LIMIT_RUN_AS - 1);
  if (!o->user && !own) {
    return o->n_also == 0 ? WR_OK : wr_err_set(err, WR_BAD_REQUEST, "--run-as-also: name the usual user too, with --run-as.");
  }
  rc = o->user ? add_named(p, o, "--run-as", o->user, err) : add_own(p, o, err);
  if (!rc && names_itself(p, o)) {
    clear(p);
    p->why_off = "--run-as names the server's own user, whose tasks can read its token and database: "
                 "name another, or accept that with --shell on";
    return WR_OK;
  }
  for (size_t i = 0; i < o->n_also && !rc; i++) rc = add_named(p, o, "--run-as-also", o->also[i], err);
  return rc;
}

void run_as_free(struct run_as *p) {
  if (!p) return;
  clear(p);
  free(p->v);
  free(p);
}

enum wr_rc run_as_new(const struct run_as_opts *o, struct run_as **out, struct wr_err *err) {
  struct run_as *p = wr_new(struct run_as);
  enum wr_rc rc = o->shell == RUN_AS_OFF ? WR_OK : make(p, o, err);
  if (rc) run_as_free(p), p = NULL;
  *out = p;
  return rc;
}

/* ---- questions ---- */

const struct run_as_user *run_as_find(const struct run_as *p, const char *name) {
  if (!name) return p->n ? &p->v[0] : NULL;
  for (size_t i = 0; i < p->n; i++)
    if (strcmp(p->v[i].name, name) == 0) return &p->v[i];
  return NULL;
}

enum run_as_why run_as_allows(const struct run_as *p, const char *name) {
  if (p->n == 0) return RUN_AS_SHELL_OFF;
  return run_as_find(p, name) ? RUN_AS_ALLOWED : RUN_AS_NOT_LISTED;
}

const char *run_as_text(enum run_as_why why, const char *name, char *out, size_t n) {
  char q[WR_QUOTE_MAX];
  if (why == RUN_AS_NOT_LISTED && (strcmp(name, "root") == 0 || strcmp(name, "0") == 0)) /* no option of a service would help */
    snprintf(out, n,
             "SHELL tasks do not run as root (uid 0) or in its group (0), save where a node with --dev lists it: "
             "name another user in taskConfig.user.");
  else if (why == RUN_AS_NOT_LISTED)
    snprintf(out, n, "This node does not run SHELL tasks as %s (see --run-as-also).", wr_err_quote(q, name, strlen(name)));
  else snprintf(out, n, "%s", why == RUN_AS_SHELL_OFF ? "SHELL is off on this node (see --run-as and --shell)." : "");
  return out;
}

static bool holds(const struct run_as_user *u, const gid_t *group, size_t n) {
  for (size_t i = 0; i < n; i++) {
    size_t k = 0;
    while (k < u->n_group && u->group[k] != group[i]) k++;
    if (k == u->n_group && group[i] != u->gid) return false;
  }
  return true;
}

bool run_as_enters(const struct run_as *p, uid_t uid, gid_t gid, const gid_t *group, size_t n_group) {
  for (size_t i = 0; i < p->n; i++) {
    const struct run_as_user *u = &p->v[i];
    if (u->uid == uid && u->gid == gid && holds(u, group, n_group)) return true;
  }
  return false;
}
