/* See http_url.h. */
#include "http_url.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "mem.h"
#include "text.h"
#include "wr_limits.h"

#define NO(...) (snprintf(why, URL_WHY, __VA_ARGS__), -1)

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_alnum(char c) { return is_digit(c) || (c >= 'a' && c <= 'z'); }

/* Visible ASCII, as RFC 3986 wants it. A backslash is a slash for some readers. */
static bool clean(const char *s, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (s[i] <= ' ' || s[i] >= 0x7f || s[i] == '\\') return false;
  return true;
}

/* Readers of addresses take "0x7f000001", "2130706433" and "127.1" for one: a host whose last label is a number is an address. */
static bool ends_in_number(const char *host) {
  const char *dot = strrchr(host, '.'), *last = dot ? dot + 1 : host;
  if (last[0] == '0' && last[1] == 'x') return true;
  while (is_digit(*last)) last++;
  return *last == '\0';
}

static int read_name(struct http_url *u, char why[URL_WHY]) {
  size_t label = 0;
  for (const char *p = u->host; *p; p++) {
    if (*p != '.' && !is_alnum(*p) && *p != '-' && *p != '_') return NO("its host has characters that no name of a host has");
    label = *p == '.' ? 0 : label + 1;
    if ((*p == '.' && (p == u->host || p[-1] == '.')) || label > 63) return NO("its host is no name of a host");
  }
  if (label == 0) return NO("its host is empty or ends with a dot");
  if (!ends_in_number(u->host)) return 0;
  if (!net_read(u->host, strlen(u->host), &u->addr)) return NO("its host is an address in an unusual form");
  u->literal = true;
  return 0;
}

static int read_host(const char *s, size_t n, bool bracket, struct http_url *u, char why[URL_WHY]) {
  if (n > URL_HOST_MAX) return NO("its host is longer than %d characters", URL_HOST_MAX);
  for (size_t i = 0; i < n; i++) u->host[i] = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] + 32) : s[i];
  u->host[n] = '\0';
  if (!bracket) return read_name(u, why);
  u->literal = true;
  return net_read(u->host, n, &u->addr) && u->addr.v6 ? 0 : NO("its host is no IPv6 address");
}

static int read_port(const char *s, size_t n, struct http_url *u, char why[URL_WHY]) {
  int64_t port;
  u->port = u->tls ? 443 : 80;
  if (n == 0) return 0;
  if (s[0] != ':' || !text_i64(s + 1, n - 1, &port) || port < 1 || port > 65535)
    return NO("its port is no number from 1 to 65535");
  u->port = (uint16_t)port;
  return 0;
}

int url_read(const char *s, struct http_url *u, char why[URL_WHY]) {
  size_t n = strlen(s);
  *u = (struct http_url){0};
  if (n > LIMIT_URL_BYTES) return NO("it is longer than %d bytes", LIMIT_URL_BYTES);
  u->tls = strncasecmp(s, "https://", 8) == 0;
  if (!u->tls && strncasecmp(s, "http://", 7) != 0) return NO("its scheme is not http or https");
  if (!clean(s, n)) return NO("it has blanks, backslashes or characters that are not ASCII; write them as %%XX");
  const char *from = s + (u->tls ? 8 : 7);
  size_t len = strcspn(from, "/?#");
  if (memchr(from, '@', len)) return NO("it names a user; give credentials in a header");
  if (strchr(from, '#')) return NO("it has a fragment (#), which is never sent");
  u->path = (size_t)(from - s) + len;
  bool bracket = *from == '[';
  if (bracket) from++, len--;
  size_t host = 0;
  while (host < len && from[host] != (bracket ? ']' : ':')) host++;
  if (bracket && host == len) return NO("its host is no IPv6 address");
  if (read_host(from, host, bracket, u, why)) return -1;
  return read_port(from + host + bracket, len - host - bracket, u, why);
}

bool url_same_origin(const struct http_url *a, const struct http_url *b) {
  return a->tls == b->tls && a->port == b->port && strcmp(a->host, b->host) == 0;
}

static bool has_scheme(const char *s) {
  const char *p = s;
  while (is_alnum((char)(*p | 32)) || (p > s && (*p == '+' || *p == '-' || *p == '.'))) p++;
  return p > s && *p == ':';
}

/* How much of the base stands before the reference. */
static size_t kept_of(const char *base, const struct http_url *at, const char *to) {
  size_t path_end = at->path + strcspn(base + at->path, "?");
  if (has_scheme(to)) return 0;
  if (to[0] == '/' && to[1] == '/') return at->tls ? 6 : 5;
  if (to[0] == '/') return at->path;
  if (to[0] == '?' || to[0] == '\0') return path_end;
  while (path_end > at->path && base[path_end - 1] != '/') path_end--;
  return path_end;
}

/* "." and ".." of a path, RFC 3986 5.2.4: a server need not resolve them itself. s begins with the path's first slash; what is
 * behind the path is kept. */
static void remove_dots(char *s) {
  size_t n = strcspn(s, "?"), out = 0;
  for (size_t at = 0, len; at < n; at += len) {
    len = 1 + strcspn(s + at + 1, "/?"); /* of a segment with the slash before it */
    bool one = len == 2 && s[at + 1] == '.', two = len == 3 && s[at + 1] == '.' && s[at + 2] == '.';
    if (two) {
      while (out > 0 && s[--out] != '/') {}
    }
    size_t keep = !one && !two ? len : at + len == n; /* the last one leaves its slash */
    memmove(s + out, s + at, keep);
    out += keep;
  }
  memmove(s + out, s + n, strlen(s + n) + 1);
}

/* The path that the reference brings, or is joined with; a query alone leaves that of the base as it is. */
static void resolve_dots(char *url, const char *to) {
  char *from = strstr(url, "://");
  if (!from || to[0] == '?' || to[0] == '#') return;
  from += 3 + strcspn(from + 3, "/?");
  if (*from == '/') remove_dots(from);
}

char *url_join(const char *base, const struct http_url *at, const char *to) {
  size_t keep = kept_of(base, at, to), n = strcspn(to, "#");
  bool slash = keep == at->path && to[0] != '/' && to[0] != '?' && !has_scheme(to); /* "http://host" + "x" */
  if (!clean(to, n) || keep + slash + n > LIMIT_URL_BYTES || (n == 0 && *to == '\0')) return NULL;
  struct buf b = BUF_INIT;
  buf_add(&b, base, keep);
  if (slash) buf_ch(&b, '/');
  buf_add(&b, to, n);
  resolve_dots(b.data, to);
  return b.data;
}
