/* The response side of the HTTP client, and the URLs that answers lead to: header lines, what a pointer picks, where a Location
 * goes. What is kept is bounded; what is taken for a URL has one reading. Data: a pointer, a body, header lines, each behind a NUL. */
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"
#include "http_answer.h"
#include "http_url.h"
#include "mem.h"
#include "text.h"
#include "wr_limits.h"
#include "pointer.h"

static char *part(const uint8_t **p, size_t *n, size_t *len) {
  const uint8_t *end = memchr(*p, '\0', *n);
  *len = end ? (size_t)(end - *p) : *n;
  char *out = wr_memdup0(*p, *len);
  size_t used = *len + (end != NULL);
  *p += used;
  *n -= used;
  return out;
}

/* A host that was read has one reading: writing it down and reading it again gives the same. */
static void check_url(const char *s) {
  struct http_url u, again;
  char why[URL_WHY] = "", text[URL_HOST_MAX + 64];
  if (url_read(s, &u, why)) {
    wr_assert(*why);
    return;
  }
  wr_assert(strlen(s) <= LIMIT_URL_BYTES && !strchr(u.host, '@') && !strchr(u.host, '%') && *u.host && u.port > 0);
  bool v6 = strchr(u.host, ':') != NULL;
  (void)snprintf(text, sizeof text, v6 ? "%s://[%s]:%u/" : "%s://%s:%u/", u.tls ? "https" : "http", u.host, u.port);
  wr_assert(url_read(text, &again, why) == 0 && url_same_origin(&u, &again) && u.literal == again.literal);
  wr_assert(!u.literal || net_same(&u.addr, &again.addr));
}

static void check_lines(struct http_answer *a, const uint8_t *p, size_t n) {
  static const char base[] = "http://base.test/a/b?c";
  struct http_url at;
  char why[URL_WHY];
  while (n > 0) {
    const uint8_t *end = memchr(p, '\n', n);
    size_t len = end ? (size_t)(end - p) + 1 : n;
    if (!answer_line(a, (const char *)p, len)) break;
    p += len;
    n -= len;
  }
  wr_assert(a->head_lines <= LIMIT_HTTP_HEAD_LINES + 1);
  wr_assert((a->flaw == HTTP_ANSWERED) == (*a->why == '\0'));
  if (!a->location) return;
  wr_assert(strlen(a->location) <= LIMIT_URL_BYTES && url_read(base, &at, why) == 0);
  char *to = url_join(base, &at, a->location);
  if (to) wr_assert(strlen(to) <= LIMIT_URL_BYTES && !strpbrk(to, "\r\n \t#")), check_url(to);
  free(to);
}

int fuzz_answer(const uint8_t *data, size_t n) {
  struct http_answer a = {0};
  struct http_wanted w = {.polling = n % 2, .follows = n % 3 == 0};
  size_t len;
  char *pointer = part(&data, &n, &len);
  check_url(pointer);
  a.body = part(&data, &n, &a.len);
  a.status = a.len ? 200 + (unsigned char)a.body[0] % 400 : 0;
  check_lines(&a, data, n);
  if (pointer_form(pointer)) {
    answer_pick(&a, pointer);
    wr_assert(!a.picked != !a.pick_why && a.picked_len <= LIMIT_RESULT_BYTES);
    wr_assert(!a.picked || text_utf8(a.picked, a.picked_len));
  }
  enum http_next next = answer_next(&a, &w);
  wr_assert(next != NEXT_REDIRECT || (a.location && w.follows));
  wr_assert(next != NEXT_POLL || a.status == 202);
  free(pointer);
  answer_done(&a);
  return 0;
}
