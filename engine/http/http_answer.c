/* See http_answer.h. */
#include "http_answer.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "json_find.h"
#include "mem.h"
#include "text.h"
#include "wr_limits.h"

void answer_done(struct http_answer *a) {
  free(a->body);
  free(a->location);
  free(a->picked);
  *a = (struct http_answer){0};
}

/* ---- the head ---- */

static bool flawed(struct http_answer *a, enum http_flaw flaw, const char *why) {
  a->flaw = flaw;
  snprintf(a->why, sizeof a->why, "%s", why);
  return false;
}

/* The value of "Name: value" without blanks around it; NULL = another header. */
static const char *value_of(const char *p, size_t n, const char *name, size_t *len) {
  size_t m = strlen(name);
  if (n <= m || strncasecmp(p, name, m) != 0 || p[m] != ':') return NULL;
  for (p += m + 1, n -= m + 1; n > 0 && (*p == ' ' || *p == '\t'); p++) n--;
  while (n > 0 && strchr(" \t\r\n", p[n - 1]) && p[n - 1]) n--;
  *len = n;
  return p;
}

/* Another answer begins: that before it was a 1xx. */
static void begin(struct http_answer *a) {
  free(a->location);
  a->location = NULL;
  a->has_retry = false;
}

bool answer_line(struct http_answer *a, const char *p, size_t n) {
  size_t len;
  a->head_bytes += n;
  if (++a->head_lines > LIMIT_HTTP_HEAD_LINES || a->head_bytes > LIMIT_HTTP_HEAD_BYTES)
    return flawed(a, HTTP_BAD_HEADER, "the answer has more headers than are read");
  if (memchr(p, '\0', n)) return flawed(a, HTTP_BAD_HEADER, "a header of the answer contains NUL");
  if (n > 5 && memcmp(p, "HTTP/", 5) == 0) begin(a);
  const char *v = value_of(p, n, "Location", &len);
  if (v && len > LIMIT_URL_BYTES) return flawed(a, HTTP_BAD_HEADER, "the Location of the answer is too long");
  if (v && a->location && (strlen(a->location) != len || memcmp(a->location, v, len) != 0))
    return flawed(a, HTTP_BAD_HEADER, "the answer has two Locations");
  if (v && !a->location) a->location = wr_memdup0(v, len);
  if (value_of(p, n, "Retry-After", &len)) a->has_retry = true;
  return true;
}

/* ---- JSON pointer ---- */

/* A text is taken as it is meant, all else as it is written but for the blanks. */
static void take(struct http_answer *a, const char *s, size_t n) {
  if (s[0] != '"') {
    a->picked = wr_malloc(n + 1);
    a->picked_len = json_squeeze(s, n, a->picked);
    a->picked[a->picked_len] = '\0';
    return;
  }
  json_t *v = json_loadb(s, n, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
  if (v) a->picked = wr_memdup0(json_string_value(v), a->picked_len = json_string_length(v));
  else a->pick_why = "there is no memory for what is there";
  json_decref(v);
}

void answer_pick(struct http_answer *a, const char *pointer) {
  static const char *const why[] = {[JSON_ABSENT] = "the answer has nothing there", [JSON_BROKEN] = "the answer is not JSON",
                                    [JSON_TOO_DEEP] = "the answer is nested too deeply"};
  size_t from, n;
  const char *body = a->body ? a->body : "";
  enum json_found rc = json_find(body, a->len, pointer, &from, &n);
  a->pick_why = NULL;
  if (rc == JSON_THERE) take(a, body + from, n);
  else a->pick_why = why[rc];
}

/* ---- what follows ---- */

bool answer_came(const struct http_answer *a) {
  return a->status > 0 && (a->flaw == HTTP_ANSWERED || a->flaw == HTTP_TOO_LARGE);
}

bool answer_final(int status) { return status >= 400 && status < 500 && status != 408 && status != 425 && status != 429; }

static bool is_wanted(const struct http_wanted *w, int status) {
  for (size_t i = 0; i < w->n_status; i++)
    if (w->status[i] == status) return true;
  return w->n_status == 0 && status >= 200 && status < 300;
}

static bool leads_on(int status) { return status == 301 || status == 302 || status == 303 || status == 307 || status == 308; }

enum http_next answer_next(const struct http_answer *a, const struct http_wanted *w) {
  if (a->flaw == HTTP_BLOCKED) return NEXT_FATAL;
  if (a->flaw) return NEXT_FAIL;
  if (a->status == 202 && (a->location || w->polling)) return NEXT_POLL;
  if (is_wanted(w, a->status)) return NEXT_OK;
  if ((a->status == 429 || a->status == 503) && a->has_retry) return NEXT_AGAIN;
  if (leads_on(a->status) && a->location && w->follows && !w->polling) return NEXT_REDIRECT;
  return answer_final(a->status) ? NEXT_FATAL : NEXT_FAIL;
}
