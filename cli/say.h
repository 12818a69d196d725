/* What the program says to whoever starts it, on stderr: a plain sentence or, with --log-format json, a line like all others.
 * Any thread. Unlike a line of the log it is never left out, whatever --log-level says. */
#ifndef CLI_SAY_H
#define CLI_SAY_H
#include "log.h"

/* Plain: "<prefix><value>". JSON: the event, with the value under that key (NULL: without one). */
void say(enum log_level level, const char *event, const char *key, const char *prefix, const char *value);
void say_warning(const char *text);
#endif
