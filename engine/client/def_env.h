/* What definitions ask of their surroundings (struct def_env of the model): which types are known, which tasks exist.
 * For whoever knows both the store and the executors: the API, and `weir run` without a server. Any thread. */
#ifndef CLIENT_DEF_ENV_H
#define CLIENT_DEF_ENV_H
#include <stdbool.h>
#include "def.h"
#include "defs.h"
#include "run_as.h"
#include "store.h"

struct registry;
struct def_site {
  struct store *store;    /* both borrowed */
  const struct registry *executors;
  bool shell_allowed;     /* else a SHELL task is refused with SHELL_NOT_ALLOWED */
  const struct run_as *run_as;  /* whom SHELL tasks may run as; NULL: this node runs none itself, so another node decides */
  struct defs *defs;      /* knows the types of other nodes; NULL: there are no others */
};
/* Borrows the site. */
struct def_env def_env_at(struct def_site *site);
#endif
