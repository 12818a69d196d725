/* Where the state of an installation lies, for the verbs that work beside a server: its data directory and its store. Main
 * thread. */
#ifndef CLI_PLACE_H
#define CLI_PLACE_H
#include <stdbool.h>
#include "config.h"

struct place { const char *data, *store; char url[512]; bool known; };  /* known: the store was named, or its file is there */
/* --data and --store, or what a server takes when they are not given. p is not to be copied. */
enum wr_rc place_of(const struct config *c, struct place *p, struct wr_err *err) WR_MUST;
/* Becomes the owner of the data directory, so that files that are made there do not stand in the way of the server. */
enum wr_rc place_take(const struct place *p, struct wr_err *err) WR_MUST;
#endif
