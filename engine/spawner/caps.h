/* What a spawner started by root keeps of root's rights. Single-threaded processes only: spawner, guard, spare.
 *
 * It changes to the users of tasks (setuid, setgid), kills what they leave (kill), and gives a directory away (chown). Files of
 * tasks are opened with the rights of their owners (workdir.c), so nothing here reads or writes past permissions. Where tasks
 * may be root (--dev), they are to be what root is, and nothing is given up. */
#ifndef CAPS_H
#define CAPS_H
#include "run_as.h"

/* Permitted, effective, inheritable, ambient, bounding: never more than this process has. 0, or -1 with errno. */
int caps_for_spawner(const struct run_as *p);
int caps_for_guard(const struct run_as *p);    /* kill alone */
#endif
