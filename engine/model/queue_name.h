/* Names of queues: a user and a group, as `--queues` lists them and as a node tells them to the others. As in rows of queues,
 * "" is any user, or any group. Pure; any thread.
 *
 * As text: USER/GROUP, with commas between. Any byte of a name may be written as %XX, and its own / comma and % must be. */
#ifndef MODEL_QUEUE_NAME_H
#define MODEL_QUEUE_NAME_H
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include "err.h"
#include "mem.h"

struct queue_name { const char *user, *group; };   /* never NULL */

/* True: the queue (user, group) is of one of them; of none at all: every queue is. */
static inline bool queue_served(const struct queue_name *v, size_t n, const char *user, const char *group) {
  for (size_t i = 0; i < n; i++)
    if ((!*v[i].user || strcmp(v[i].user, user) == 0) && (!*v[i].group || strcmp(v[i].group, group) == 0)) return true;
  return n == 0;
}
/* *out and the names are the arena's. BAD_REQUEST, with a sentence that begins with `what`. */
enum wr_rc queue_names_parse(const char *what, const char *text, struct arena *a, struct queue_name **out, size_t *n,
                             struct wr_err *err) WR_MUST;
#endif
