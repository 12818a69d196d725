/* Sentences for whoever starts the program: see say.h. */
#include "say.h"
#include <stdio.h>

void say(enum log_level level, const char *event, const char *key, const char *prefix, const char *value) {
  const struct log_field f = L_STR(key ? key : "", value);
  if (log_is_json()) log_always(level, event, &f, key != NULL);
  else fprintf(stderr, "%s%s\n", prefix, value);
}

void say_warning(const char *text) { say(LOG_WARN, "warning", "text", "warning: ", text); }
