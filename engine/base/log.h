/* Log lines on stderr, or elsewhere (log_place.h): a constant event name and typed fields, one line each, one write(2) each.
 * Any thread. User text is escaped; no secret is ever a field. Format: logfmt (default) or JSON. */
#ifndef WR_LOG_H
#define WR_LOG_H
#include <stdbool.h>
#include <stdint.h>
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_LOGFMT, LOG_JSON };
struct log_field { const char *key; const char *str; int64_t num; };
/* A function, since gcc refuses to compare an array with NULL. */
static inline struct log_field log_str_(const char *k, const char *s) { return (struct log_field){k, s ? s : "", 0}; }
#define L_STR(k, s) log_str_((k), (s))
#define L_INT(k, v) ((struct log_field){(k), 0, (int64_t)(v)})
void log_setup(enum log_level level, enum log_format format); /* before threads */
bool log_is_json(void);
/* The same as log_write(), whatever the level: for lines that somebody asked for by starting the program. */
void log_always(enum log_level level, const char *event, const struct log_field *f, int n);
void log_write(enum log_level level, const char *event, const struct log_field *f, int n);
#define LOG_FIELDS_(...) \
  (struct log_field[]){__VA_ARGS__}, (int)(sizeof((struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))
#define log_error(ev, ...) log_write(LOG_ERROR, ev, LOG_FIELDS_(__VA_ARGS__))
#define log_warn(ev, ...) log_write(LOG_WARN, ev, LOG_FIELDS_(__VA_ARGS__))
#define log_info(ev, ...) log_write(LOG_INFO, ev, LOG_FIELDS_(__VA_ARGS__))
#define log_debug(ev, ...) log_write(LOG_DEBUG, ev, LOG_FIELDS_(__VA_ARGS__))
#endif
