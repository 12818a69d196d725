/* URLs of tasks, read strictly: what this reader and the HTTP library could read in two ways is refused. Pure, any thread; no
 * name is looked up. What never happens: another scheme than http and https, a user in the URL, an address in an unusual form,
 * a host with bytes that somebody decodes. */
#ifndef HTTP_URL_H
#define HTTP_URL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "net_addr.h"

enum { URL_HOST_MAX = 253, URL_WHY = 160 };
struct http_url {
  bool tls, literal;               /* literal: addr is the host; else it is a name */
  char host[URL_HOST_MAX + 1];     /* lower case; an IPv6 address without its brackets */
  struct net_addr addr;
  uint16_t port;
  size_t path;                     /* where path or query begin in the text; its length when there are none */
};
/* 0, or -1 with why not, a clause without a stop: "its scheme is not http or https". */
int url_read(const char *s, struct http_url *out, char why[URL_WHY]);
bool url_same_origin(const struct http_url *a, const struct http_url *b);
/* Where a header Location leads that came with an answer of `base`: its text, at most LIMIT_URL_BYTES, without a fragment and
 * with the "." and ".." of its path resolved (RFC 3986, 5.2.4).
 * malloc'ed; NULL: it is too long or no URL reference. Whether it may be asked is url_read()'s to say. */
char *url_join(const char *base, const struct http_url *at, const char *location);
#endif
