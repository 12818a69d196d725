/* What the program says to whoever starts it, on stderr: a plain sentence or, with --log-format json, a line like all others.
 * Any thread. Unlike a line of the log it is never left out, whatever --log-level says. */
#ifndef CLI_SAY_H
#define CLI_SAY_H
#include <stdio.h>
#include "log.h"

/* Plain: "<prefix><value>", whose control characters are shown as ?. JSON: the event, with the value under that key (NULL:
 * without one). */
void say(enum log_level level, const char *event, const char *key, const char *prefix, const char *value);
void say_warning(const char *text);
/* JSON on standard output. What JSON need not escape and a terminal may obey (DEL, C1, what turns the direction of text) is
 * written as \uXXXX, which is the same JSON. s holds whole characters. */
void say_json(FILE *to, const char *s, size_t n);
#endif
