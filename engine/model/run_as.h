/* Which users a SHELL task may run as on this node: a list that the command line names and nobody else can change.
 *
 * Made once, before any thread and before the spawner is started, so that the spawner has a copy of its own that no task and no
 * node can reach; immutable after, any thread. Names are looked up at that moment only: a user that is made or changed later
 * counts from the next start on. Asked at three places: where a definition is saved, where a node claims, and in the spawner.
 *
 * What never happens: uid 0, group 0 or the server's own user on the list of a service, unless --shell on accepts the last; a
 * user that is named by a definition alone. */
#ifndef RUN_AS_H
#define RUN_AS_H
#include <stdbool.h>
#include <sys/types.h>
#include "err.h"

struct run_as_user { char *name, *home; uid_t uid; gid_t gid; gid_t *group; size_t n_group; };  /* group: all, gid too */
struct run_as {
  struct run_as_user *v; size_t n, cap;   /* v[0]: for a task that names no user. n = 0: SHELL is off */
  bool own;                               /* the server's own user is on the list */
  const char *why_off;                    /* a notice for whoever starts the server; NULL = none */
};

enum run_as_wish { RUN_AS_AUTO, RUN_AS_ON, RUN_AS_OFF };
struct run_as_opts {
  enum run_as_wish shell;
  const char *user;                       /* --run-as, NULL = none */
  const char *const *also; size_t n_also; /* --run-as-also */
  bool personal;                          /* --dev, `weir run`: one person's own machine and own risk */
  uid_t self;                             /* the user that the server will be */
  bool can_change;                        /* the spawner may become others */
  /* Fills in all but the name; false = there is no such user. NULL: the system's users. */
  bool (*look)(const char *name, struct run_as_user *out);
};
/* NULL and an error where a name does not exist or may not be on the list. */
enum wr_rc run_as_new(const struct run_as_opts *o, struct run_as **out, struct wr_err *err) WR_MUST;
void run_as_free(struct run_as *p);

enum run_as_why { RUN_AS_ALLOWED, RUN_AS_SHELL_OFF, RUN_AS_NOT_LISTED };
/* May a task that asks for this user (NULL = it asks for none) run here? */
enum run_as_why run_as_allows(const struct run_as *p, const char *name);
/* The entry of that user, or NULL where it is not allowed. */
const struct run_as_user *run_as_find(const struct run_as *p, const char *name);
/* One sentence for a refusal. Returns out. */
const char *run_as_text(enum run_as_why why, const char *name, char *out, size_t n);
/* The last line of defence: is a process with these ids a user of the list? It may have fewer groups than the user, never
 * others. */
bool run_as_enters(const struct run_as *p, uid_t uid, gid_t gid, const gid_t *group, size_t n_group);
/* Whoever this process is now, with its present group. */
void run_as_self(struct run_as_user *out);
void run_as_user_done(struct run_as_user *u);
/* The system's entry of a name with its groups, or false. */
bool run_as_look(const char *name, struct run_as_user *out);
#endif
