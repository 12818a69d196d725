/* What a server answered about one thing, on standard output: the JSON itself, or every field on a line of its own. Main thread.
 * What never happens: a field that is left out because this program does not know it. */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H
#include <jansson.h>
#include "config.h"

/* one: a reference that this frees. -o of c says how. */
void show_one(const struct config *c, json_t *one);
#endif
