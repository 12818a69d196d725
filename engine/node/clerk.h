/* The clerk of a node: reads which executors were registered at run time, checks which of them this node can run, which
 * analyzers it can call, and tells that in the node's row. A thread of its own, because files and the store may keep it waiting.
 *
 * On a store with other nodes it looks once a second: one number. On a store of one process it looks when it is asked. Files are
 * checked when something has changed, when a start has met another file than the one that was checked, and every CHECK_US.
 *
 * Owner: the node. clerk_host() is for the cache of definitions, before any other thread; clerk_start() when the runner is there.
 * What never happens: a type that is offered before its file was checked; a wait for the clerk on the runner's or the worker's
 * thread. */
#ifndef NODE_CLERK_H
#define NODE_CLERK_H
#include "defs.h"
#include "node.h"
#include "program_file.h"

struct clerk;
struct clerk_opts {
  struct store *store;              /* all borrowed */
  struct defs *defs;
  struct registry *types;
  struct program_dirs dirs;
  struct http *http;
  const char *why_none;             /* why this node runs no registered executor at all; NULL = it may */
  const char *why_no_program;       /* the same of programs */
  const char *why_no_call;          /* why it calls no analyzer that is a program; NULL = it may */
  const char *labels;               /* this node's (labels.h); NULL = none */
  struct registry *analyzers;       /* those that were registered; NULL = this node calls none */
  const struct run_as *run_as;      /* whom their programs may run as; NULL = anybody */
};
struct clerk *clerk_new(const struct clerk_opts *o);
struct added_host clerk_host(struct clerk *c);
/* The API of this node listens there: the other members are told, and do not ask it for tasks. Any thread, once. */
void clerk_listens(struct clerk *c, const char *address, uint16_t port);
/* The first look, before there is a thread: what was registered before this node began. Nothing when the store is away. */
void clerk_first(struct clerk *c);
enum wr_rc clerk_start(struct clerk *c, struct runner *r, struct wr_err *err) WR_MUST;
/* Waits for the look under way, as long as the store lets it wait. */
void clerk_stop(struct clerk *c);       /* NULL is fine; from here on ask() of clerk_host() comes back at once */
void clerk_free(struct clerk *c);       /* NULL is fine; stopped, and nobody has clerk_host() any more */
#endif
