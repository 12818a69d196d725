/* What whoever looks at instances needs of a node: the API, and a library's host. A value; all that it points to is borrowed. */
#ifndef CLIENT_VIEW_H
#define CLIENT_VIEW_H

struct store;
struct defs;
struct runner;
struct registry;
struct offers;
struct view {
  struct store *store;
  struct defs *defs;
  struct runner *runner;
  const struct registry *executors;
  struct offers *offers;          /* its owner's: offers_init() */
};
#endif
