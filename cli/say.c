/* Sentences for whoever starts the program: see say.h. */
#include "say.h"
#include <stdlib.h>
#include <string.h>
#include "mem.h"
#include "text.h"

void say(enum log_level level, const char *event, const char *key, const char *prefix, const char *value) {
  const struct log_field f = L_STR(key ? key : "", value);
  if (log_is_json()) {
    log_always(level, event, &f, key != NULL);
    return;
  }
  char *plain = wr_strdup(value);
  plain[text_plain(plain, strlen(plain), '?')] = '\0';
  fprintf(stderr, "%s%s\n", prefix, plain);
  free(plain);
}

void say_warning(const char *text) { say(LOG_WARN, "warning", "text", "warning: ", text); }

void say_json(FILE *to, const char *s, size_t n) {
  size_t len;
  uint32_t cp;
  while (n > 0) {
    size_t good = text_control_at(s, n, &len, &cp);
    fwrite(s, 1, good, to);
    if (good == n) return;
    if (cp < 0x7F || cp > 0xFFFF) fwrite(s + good, 1, len, to); /* between the values: an end of a line */
    else fprintf(to, "\\u%04x", (unsigned)cp);
    s += good + len;
    n -= good + len;
  }
}
