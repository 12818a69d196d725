/* What a task's user needs, tried as that user before the node says that it listens. Called once, at the first start, by the
 * process that becomes the guard. */
#ifndef REHEARSAL_H
#define REHEARSAL_H
#include <stdbool.h>
#include "run_as.h"

/* Can every user of the list, other than the user of this process, reach a directory of its own in run (DATA/run, opened) by the
 * path that its tasks are told, and write there? False: text names the user and the folder, and says what to type. */
bool rehearse(const struct run_as *p, int run, const char *path, char *text, size_t n);
#endif
