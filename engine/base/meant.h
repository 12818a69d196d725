/* "Did you mean ..": which known name an unknown one was meant to be. Pure; any thread. */
#ifndef MEANT_H
#define MEANT_H
#include <stddef.h>

#define MEANT_MAX 48           /* known names at once */
/* One of name[n]: the name for what `key` means in a definition of another engine (Airflow, Argo, Dagu, DolphinScheduler,
 * Temporal and their like), else the name that is nearest by spelling. NULL = no name comes near. */
const char *meant(const char *key, const char *const *name, size_t n);
/* For a key that no name comes near: writes " Known here: a, b, c." into out, as many names as fit, with ", ..." if some are left
 * out. Writes "" for a key that is no word (a long one), or when no name is known. Returns out. */
enum { MEANT_LIST = 180, MEANT_WORD = 40 };
const char *meant_list(char out[MEANT_LIST], const char *key, const char *const *name, size_t n);
#endif
