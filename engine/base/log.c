/* Log lines on stderr, logfmt or JSON.
 * Any thread: each line is built on the stack of its caller and written once. Owns the format, set before threads.
 * Never allocates, never changes errno, never lets user text break a line or reach the terminal unescaped. */
#include "log.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "log_place.h"
#include "utf8.h"

/* 4096 = PIPE_BUF: a write of this size to a pipe is never mixed with another's. The tail holds the mark and the end. */
enum { LINE_BYTES = 4096, TAIL_BYTES = 32, STR_BYTES = 1024, ESC_BYTES = 12 };

struct line { char b[LINE_BYTES]; size_t len; };

static _Atomic enum log_format g_format = LOG_LOGFMT;

void log_setup(enum log_level level, enum log_format format) {
  log_place_process(level);
  g_format = format;
}

/* The caller has checked the room. */
static void line_put(struct line *l, const char *s, size_t n) {
  memcpy(l->b + l->len, s, n);
  l->len += n;
}

static bool room(const struct line *l, size_t n) { return l->len + n + TAIL_BYTES <= LINE_BYTES; }

/* One sequence of user text as it may stand between quotes. Returns the bytes used of s, *n the bytes in e. */
static size_t escape_one(const char *s, size_t left, char e[ESC_BYTES], size_t *n) {
  uint32_t cp;
  size_t used = utf8_next(s, left, &cp);
  if (used == 0) {
    memcpy(e, "\xEF\xBF\xBD", *n = 3); /* U+FFFD: JSON must stay UTF-8 */
    return 1;
  }
  if (cp == '"' || cp == '\\') *n = (size_t)snprintf(e, ESC_BYTES, "\\%c", (char)cp);
  else if (cp == '\n') *n = (size_t)snprintf(e, ESC_BYTES, "\\n");
  else if (cp == '\t') *n = (size_t)snprintf(e, ESC_BYTES, "\\t");
  else if (utf8_is_control(cp)) *n = (size_t)snprintf(e, ESC_BYTES, "\\u%04x", (unsigned)cp);
  else memcpy(e, s, *n = used);
  return used;
}

static bool is_plain(const char *s) {
  size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:/@+-");
  return n > 0 && s[n] == '\0';
}

/* A string value, cut with "..." when it or the line gets too long. */
static void put_str(struct line *l, const char *s) {
  size_t n = strnlen(s, STR_BYTES + 4), i = 0, en; /* 4: a sequence across the limit is still seen whole */
  if (g_format == LOG_LOGFMT && n <= STR_BYTES && is_plain(s) && room(l, n)) {
    line_put(l, s, n);
    return;
  }
  line_put(l, "\"", 1);
  while (i < n) {
    char e[ESC_BYTES];
    size_t used = escape_one(s + i, n - i, e, &en);
    if (i + used > STR_BYTES || !room(l, en + 4)) {
      line_put(l, "...", 3);
      break;
    }
    line_put(l, e, en);
    i += used;
  }
  line_put(l, "\"", 1);
}

static void put_key(struct line *l, const char *key, size_t n) {
  bool first = l->len == 0;
  if (g_format == LOG_JSON) {
    line_put(l, first ? "{\"" : ",\"", 2);
    line_put(l, key, n);
    line_put(l, "\":", 2);
  } else {
    if (!first) line_put(l, " ", 1);
    line_put(l, key, n);
    line_put(l, "=", 1);
  }
}

/* False when the line has no room for it. */
static bool put_field(struct line *l, const struct log_field *f) {
  size_t n = strnlen(f->key, LINE_BYTES);
  if (!room(l, n + 32)) return false; /* 32: separators and a number, or quotes and the mark */
  put_key(l, f->key, n);
  if (f->str) {
    put_str(l, f->str);
  } else {
    char num[24];
    line_put(l, num, (size_t)snprintf(num, sizeof num, "%lld", (long long)f->num));
  }
  return true;
}

static void put_end(struct line *l, bool cut) {
  if (cut) {
    put_key(l, "cut", 3);
    line_put(l, "1", 1);
  }
  if (g_format == LOG_JSON) line_put(l, "}", 1);
  line_put(l, "\n", 1);
}

bool log_is_json(void) { return g_format == LOG_JSON; }

void log_write(enum log_level level, const char *event, const struct log_field *f, int n) {
  if ((int)level <= atomic_load(&log_most) && log_place_takes(level)) log_always(level, event, f, n);
}

void log_always(enum log_level level, const char *event, const struct log_field *f, int n) {
  static const char *const name[] = {"error", "warn", "info", "debug"};
  int saved = errno;
  char ts[CLOCK_RFC_LEN];
  clock_rfc3339(ts, clock_wall_us());
  const struct log_field lead[] = {L_STR("ts", ts), L_STR("level", name[level]), L_STR("event", event)};
  struct line l;
  l.len = 0;
  bool cut = false;
  for (int i = 0; i < 3 && !cut; i++) cut = !put_field(&l, &lead[i]);
  for (int i = 0; i < n && !cut; i++) cut = !put_field(&l, &f[i]);
  put_end(&l, cut);
  log_place_put(level, l.b, l.len);
  errno = saved;
}
