/* The face of the queue: URL and prefix are parsed here, everything else goes to the backend.
 *
 * Any thread, as queue.h says. Nothing here waits, and no message ever holds a password. */
#include "queue_backend.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "text.h"

enum { REDIS_PORT = 6379, PATH_LIMIT = 107, HOST_LIMIT = 255, SECRET_LIMIT = 512, DB_LIMIT = 65535 };

void redis_where_done(struct redis_where *w) {
  if (w->password) explicit_bzero(w->password, strlen(w->password));
  free(w->path);
  free(w->host);
  free(w->user);
  free(w->password);
  *w = (struct redis_where){0};
}

/* Percent-decoded copy; NULL when an escape is broken or stands for NUL, or when it is too long. */
static char *percent_decode(const char *s, size_t n) {
  if (n > 3 * SECRET_LIMIT) return NULL;
  char *out = wr_malloc(n + 1);
  if (text_unpercent(out, s, n)) return out;
  free(out);
  return NULL;
}

/* "[user][:password]@" in front of the rest; moves *s behind it. */
static bool parse_credentials(const char **s, struct redis_where *w) {
  const char *at = strrchr(*s, '@');
  if (!at) return true;
  const char *colon = memchr(*s, ':', (size_t)(at - *s));
  const char *user_end = colon ? colon : at;
  if (user_end > *s && !(w->user = percent_decode(*s, (size_t)(user_end - *s)))) return false;
  if (colon && !(w->password = percent_decode(colon + 1, (size_t)(at - colon - 1)))) return false;
  *s = at + 1;
  return colon != NULL; /* a user without a password says nothing to Redis */
}

static bool parse_number(const char *s, size_t n, int64_t min, int64_t max, int *out) {
  int64_t v;
  if (!text_i64(s, n, &v) || v < min || v > max) return false;
  *out = (int)v;
  return true;
}

/* host[:port][/db] or [v6]:port/db */
static bool parse_tcp(const char *s, struct redis_where *w) {
  if (!parse_credentials(&s, w)) return false;
  size_t n = strcspn(s, "/");
  const char *db = s[n] ? s + n + 1 : "";
  const char *host = s, *host_end = memchr(s, ':', n);
  if (*s == '[') {
    host = s + 1;
    host_end = memchr(s, ']', n);
    if (!host_end) return false;
  }
  const char *rest = !host_end ? s + n : *s == '[' ? host_end + 1 : host_end;
  size_t len = (size_t)((host_end ? host_end : s + n) - host);
  if (len == 0 || len > HOST_LIMIT) return false;
  w->port = REDIS_PORT;
  if (rest < s + n && (*rest != ':' || !parse_number(rest + 1, (size_t)(s + n - rest - 1), 1, 65535, &w->port))) return false;
  if (*db && !parse_number(db, strlen(db), 0, DB_LIMIT, &w->db)) return false;
  w->host = wr_memdup0(host, len);
  return true;
}

/* [:password@]/path[?db=N] */
static bool parse_unix(const char *s, struct redis_where *w) {
  if (*s != '/' && !parse_credentials(&s, w)) return false;
  size_t n = strcspn(s, "?");
  if (*s != '/' || n > PATH_LIMIT) return false;
  if (s[n]) {
    const char *q = s + n + 1;
    if (strncmp(q, "db=", 3) != 0 || !parse_number(q + 3, strlen(q + 3), 0, DB_LIMIT, &w->db)) return false;
  }
  w->path = wr_memdup0(s, n);
  return true;
}

static bool prefix_ok(const char *s) {
  size_t n = strlen(s);
  return n >= 1 && n <= QUEUE_PREFIX_MAX &&
         strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == n;
}

enum wr_rc queue_open(const char *url, const char *prefix, size_t max_hints, struct queue **out, struct wr_err *err) {
  static const char tcp[] = "redis://", sock[] = "redis+unix://";
  struct redis_where w = {0};
  bool ok;
  *out = NULL;
  if (max_hints == 0) max_hints = LIMIT_MAX_QUEUED;
  if (!prefix || !*prefix) prefix = "default";
  if (!prefix_ok(prefix)) return wr_err_set(err, WR_BAD_NAME, "The queue prefix must be 1 to 64 of A-Z a-z 0-9 _ . -");
  if (strcmp(url, "memory:") == 0) return WR_OK;
  if (strncmp(url, tcp, sizeof tcp - 1) == 0) ok = parse_tcp(url + sizeof tcp - 1, &w);
  else if (strncmp(url, sock, sizeof sock - 1) == 0) ok = parse_unix(url + sizeof sock - 1, &w);
  else ok = false;
  if (ok) return queue_redis_new(&w, prefix, max_hints, out, err);
  redis_where_done(&w);
  return wr_err_set(err, WR_BAD_REQUEST,
                    "The queue must be memory: or redis://[:password@]host[:port][/db] or redis+unix:///path.");
}

void queue_set_node(struct queue *q, int64_t incarnation) { q->ops->set_node(q, incarnation); }
void queue_lists(struct queue *q, const struct queue_of *of) { q->ops->lists(q, of); }
void queue_lists_changed(struct queue *q) { q->ops->lists_changed(q); }
bool queue_pops(struct queue *q, uint16_t list) { return q->ops->pops(q, list); }
bool queue_lengths(struct queue *q, hints_each *each, void *to) { return q->ops->lengths(q, each, to); }
bool queue_forget(struct queue *q, const int64_t *ti, size_t n) { return q->ops->forget(q, ti, n); }
enum queue_push queue_push(struct queue *q, const struct hint *h, size_t n, size_t *sent) {
  *sent = 0;
  return n == 0 ? QUEUE_SENT : q->ops->push(q, h, n, sent);
}
bool queue_pop_nudge(struct queue *q, int64_t wait_us, bool *away) {
  *away = false;
  return q->ops->pop_nudge(q, wait_us, away);
}
void queue_pop_end(struct queue *q) { q->ops->pop_end(q); }
bool queue_turn(struct queue *q, uint32_t kind, int64_t for_us) { return q->ops->turn(q, kind, for_us); }
void queue_health(struct queue *q, struct health_part *out) {
  *out = (struct health_part){.ok = true};
  q->ops->health(q, out);
}
void queue_wake(struct queue *q) { q->ops->wake(q); }
bool queue_nudge(struct queue *q, int64_t incarnation) { return q->ops->nudge(q, incarnation); }
size_t queue_depth(struct queue *q) { return q->ops->depth(q); }

size_t queue_pop(struct queue *q, struct hint *out, size_t n, int64_t wait_us, bool *away) {
  *away = false;
  return n == 0 ? 0 : q->ops->pop(q, out, n, wait_us, away);
}

void queue_close(struct queue *q) {
  if (q) q->ops->close(q);
}
