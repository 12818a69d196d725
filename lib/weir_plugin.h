/* weir_plugin.h - what a shared object exports for `weir server --plugin FILE.so`: its task types, and a policy of its own. A
 * program that opens a handle with "plugin=FILE.so" loads the same; it stands where `server` is said here.
 *
 * One symbol is looked up: `weir_plugin`. A missing symbol, another abi, or a type name that is taken ends the start of the
 * server. The routines get the same calls of weir.h for their attempt as in a process of their own; the server finds those in
 * itself. There is no weir_t for them.
 *
 * The file is a regular file that not everybody may write. It is loaded once, when the server starts, with the rights that the
 * server keeps, and is never unloaded. Routines run on threads of the server; none may change what belongs to the process. */
#ifndef WEIR_PLUGIN_H
#define WEIR_PLUGIN_H
#include "weir.h"
#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_PLUGIN_ABI 1

typedef struct {
  size_t size;
  int32_t abi;                       /* WEIR_PLUGIN_ABI */
  const char *name;
  const weir_type_t *types;
  size_t n_types;
  /* As in weir_set_policy(), for all that the server starts; NULL = none. One plug-in at most has it. */
  long (*pick)(const weir_candidate_t *const *, size_t n, void *user);
  void *user;                        /* for pick() */
} weir_plugin_t;
extern WEIR_API const weir_plugin_t weir_plugin;

#ifdef __cplusplus
}
#endif
#endif
