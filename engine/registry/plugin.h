/* Executors that are not built in: shared objects that export the one symbol of the ABI.
 *
 * Owner: the registry, which keeps a plugin loaded until registry_free(). Thread: as registry_add(); it reads the file, so it
 * may wait for a disk. What never happens: a plugin that stays loaded though it was refused; a symbol of a plugin that another
 * plugin, or this program, is bound to (RTLD_LOCAL); a missing symbol that is found out later than here (RTLD_NOW).
 *
 * A plugin is code of this process from the moment it is loaded: the caller must have checked who may write to its file. */
#ifndef REGISTRY_PLUGIN_H
#define REGISTRY_PLUGIN_H
#include "registry.h"

/* path: absolute, so that no search path decides what is loaded. */
enum wr_rc plugin_load(struct registry *r, const char *path, struct wr_err *err) WR_MUST;
#endif
