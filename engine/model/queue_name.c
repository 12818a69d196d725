/* Names of queues from text: see queue_name.h. */
#include "queue_name.h"
#include "text.h"
#include "wr_limits.h"

static bool decoded(const char *s, size_t n, struct arena *a, const char **out) {
  char *name = arena_alloc(a, n + 1);
  *out = name;
  if (!text_unpercent(name, s, n)) return false;
  size_t len = strlen(name);
  return text_utf8(name, len) && !text_has_control(name, len) && text_utf8_len(name, len) <= LIMIT_QUEUE_NAME_CHARS;
}

static enum wr_rc refuse_name(const char *what, const char *s, size_t n, struct wr_err *err) {
  char q[WR_QUOTE_MAX];
  return wr_err_set(err, WR_BAD_REQUEST, "%s: %s is not a queue: expected USER/GROUP, with commas between several, each name at "
                    "most %d characters, and %%2F for a / or %%2C for a comma within a name.", what, wr_err_quote(q, s, n),
                    LIMIT_QUEUE_NAME_CHARS);
}

enum wr_rc queue_names_parse(const char *what, const char *text, struct arena *a, struct queue_name **out, size_t *n,
                             struct wr_err *err) {
  size_t most = 1, got = 0;
  if (strlen(text) > LIMIT_SERVES_BYTES)
    return wr_err_set(err, WR_BAD_REQUEST, "%s: the list has %zu bytes, at most %d are allowed.", what, strlen(text),
                      LIMIT_SERVES_BYTES);
  for (const char *p = text; *p; p++) most += *p == ',';
  *out = arena_alloc(a, most * sizeof **out);
  for (const char *p = text;; p++) {
    size_t len = strcspn(p, ",");
    const char *slash = memchr(p, '/', len);
    size_t user = slash ? (size_t)(slash - p) : 0;
    struct queue_name *q = &(*out)[got++];
    if (!slash || memchr(slash + 1, '/', len - user - 1) || !decoded(p, user, a, &q->user) ||
        !decoded(slash + 1, len - user - 1, a, &q->group))
      return refuse_name(what, p, len, err);
    p += len;
    if (!*p) break;
  }
  *n = got;
  return WR_OK;
}
