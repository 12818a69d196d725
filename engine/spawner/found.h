/* The settings that a process was started with and changes for itself: its children get them back. A value; taken once, before
 * any change. */
#ifndef FOUND_H
#define FOUND_H
#include <signal.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/stat.h>

struct found { bool taken; mode_t umask; struct rlimit files, core; sigset_t ignored, blocked; };
void found_take(struct found *f);
static inline bool found_ignored(const struct found *f, int sig) { return f->taken && sigismember(&f->ignored, sig) == 1; }
#endif
