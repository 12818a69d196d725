/* Which addresses a task may be connected to: see http_client.h. The rules are fixed before the first request; what is refused
 * whatever they say only grows. Any thread. */
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "http_int.h"
#include "text.h"

enum wr_rc http_allow(struct http *h, const char *rule, struct wr_err *err) {
  struct net_rule r;
  char q[WR_QUOTE_MAX];
  if (!net_rule_read(rule, &r))
    return wr_err_set(err, WR_BAD_REQUEST, "http-allow: %s is not CIDR[:PORT], as in 10.0.0.0/8, 127.0.0.1/32:8080, fd00::/8:*.",
                      wr_err_quote(q, rule, strlen(rule)));
  if (h->n_rule == LIMIT_HTTP_RULES)
    return wr_err_set(err, WR_BAD_REQUEST, "http-allow: there are more than %d rules.", LIMIT_HTTP_RULES);
  *WR_PUSH(h->rule, h->n_rule, h->cap_rule) = r;
  return WR_OK;
}

static bool is_there(const struct http *h, const char *host, uint16_t port) {
  for (size_t i = 0; i < h->n_refused; i++) {
    const char *known = h->refused[i].host;
    if (h->refused[i].port == port && (known && host ? strcmp(known, host) == 0 : known == host)) return true;
  }
  return false;
}

/* They are the node's own few, so there is room; an end is better than an address that is left open. */
void http_refuse(struct http *h, const char *host, uint16_t port) {
  struct refused r = {.host = wr_strdup(host), .port = port};
  r.literal = host && net_read(host, strlen(host), &r.addr);
  pthread_mutex_lock(&h->mu);
  bool known = is_there(h, host, port), room = h->n_refused < REFUSED_MAX;
  if (room && !known) h->refused[h->n_refused++] = r;
  pthread_mutex_unlock(&h->mu);
  wr_assert(room || known);
  if (known) free(r.host);
}

/* No reader of URLs of the store or the queue is needed for this: too much is refused rather than too little. */
void http_refuse_url(struct http *h, const char *url, uint16_t usual_port) {
  const char *from = strstr(url, "://");
  char host[URL_HOST_MAX + 1];
  int64_t port = usual_port;
  if (!from || memmem(url, (size_t)(from - url), "unix", 4)) return;
  from += 3;
  size_t n = strcspn(from, "/?#");
  for (const char *at; (at = memchr(from, '@', n));) n -= (size_t)(at + 1 - from), from = at + 1;
  bool bracket = n > 0 && *from == '[';
  if (bracket) from++, n--;
  size_t len = 0;
  while (len < n && from[len] != (bracket ? ']' : ':')) len++;
  const char *colon = memchr(from + len, ':', n - len);
  if (colon) (void)text_i64(colon + 1, (size_t)(from + n - colon - 1), &port);
  if (len > URL_HOST_MAX || port < 1 || port > 65535) return; /* nobody could connect to it */
  memcpy(host, from, len);
  host[len] = '\0';
  http_refuse(h, len ? host : "localhost", (uint16_t)port);
}

size_t gate_refused(struct http *h) {
  pthread_mutex_lock(&h->mu);
  size_t n = h->n_refused;
  pthread_mutex_unlock(&h->mu);
  return n;
}

static bool of_this_machine(const struct net_addr *a) {
  struct ifaddrs *list = NULL;
  bool found = net_loopback(a);
  if (found) return true;
  if (getifaddrs(&list) != 0) return true; /* it cannot be ruled out */
  for (const struct ifaddrs *i = list; i && !found; i = i->ifa_next) {
    struct net_addr own;
    uint16_t port;
    if (!i->ifa_addr) continue;
    socklen_t len = i->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    found = net_of_sockaddr(i->ifa_addr, len, &own, &port) && net_same(&own, a);
  }
  freeifaddrs(list);
  return found;
}

static bool unspecified(const struct net_addr *a) {
  static const uint8_t none[16];
  struct net_addr p = net_plain(a);
  return memcmp(p.b, none, p.v6 ? 16 : 4) == 0;
}

/* Who listens at one address of loopback is reached at others, too: 127.0.0.0/8, ::1, the unspecified ones, each also as
 * IPv4-mapped. Which of them it bound is not known here, so all of them are one place. */
bool gate_same_place(const struct net_addr *own, const struct net_addr *a) {
  return net_same(own, a) || (net_loopback(own) && net_loopback(a));
}

bool refused_is(const struct refused *r, const struct net_addr *a, uint16_t port) {
  if (r->port != port) return false;
  if (!r->host || (r->literal && unspecified(&r->addr))) return of_this_machine(a);
  return r->literal && gate_same_place(&r->addr, a);
}

/* ---- other members ---- */

void http_own_addresses(void (*fn)(void *ctx, const char *address), void *ctx) {
  struct ifaddrs *list = NULL;
  char text[NET_TEXT];
  if (getifaddrs(&list) != 0) return;
  for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
    struct net_addr own;
    uint16_t port;
    if (!i->ifa_addr) continue;
    socklen_t len = i->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
    if (net_of_sockaddr(i->ifa_addr, len, &own, &port)) fn(ctx, net_text(&own, text));
  }
  freeifaddrs(list);
}

bool http_is_loopback(const char *address, size_t n) {
  struct net_addr a;
  return net_read(address, n, &a) && net_loopback(&a);
}

bool http_is_address(const char *s) {
  struct net_addr a;
  return net_read(s, strlen(s), &a) && !unspecified(&a);
}

/* What is no address is left out: a member says addresses. */
void http_refuse_members(struct http *h, const struct http_listener *v, size_t n) {
  struct member_at *now = wr_calloc(n + 1, sizeof *now), *was;
  size_t k = 0;
  for (size_t i = 0; i < n; i++) {
    now[k].port = v[i].port;
    k += net_read(v[i].address, strlen(v[i].address), &now[k].addr);
  }
  pthread_mutex_lock(&h->mu);
  was = h->member;
  h->member = now;
  h->n_member = k;
  pthread_mutex_unlock(&h->mu);
  free(was);
}

bool gate_is_member(struct http *h, const struct net_addr *a, uint16_t port) {
  bool found = false;
  pthread_mutex_lock(&h->mu);
  for (size_t i = 0; i < h->n_member && !found; i++) {
    const struct member_at *m = &h->member[i];
    found = m->port == port && gate_same_place(&m->addr, a);
  }
  pthread_mutex_unlock(&h->mu);
  return found;
}

const char *gate_closed(const struct http *h, const struct net_addr *a, uint16_t port, char why[HTTP_WHY]) {
  char text[NET_TEXT];
  const char *special = net_special(a);
  bool open = !special;
  for (size_t i = 0; i < h->n_rule && !open; i++) open = net_rule_opens(&h->rule[i], a, port);
  if (open) return NULL;
  snprintf(why, HTTP_WHY, "the address %s, port %u, is closed (%s); whoever runs the server can open it with --http-allow",
           net_text(a, text), port, special);
  return why;
}

int http_check_url(struct http *h, const char *url, char why[URL_WHY]) {
  struct http_url u;
  char text[HTTP_WHY];
  if (url_read(url, &u, why)) return -1;
  if (!u.literal) return 0;
  const char *closed = gate_closed(h, &u.addr, u.port, text);
  size_t n = gate_refused(h);
  for (size_t i = 0; i < n && !closed; i++)
    if (refused_is(&h->refused[i], &u.addr, u.port)) closed = "it is an address of the server itself, its store or its queue";
  if (!closed && gate_is_member(h, &u.addr, u.port)) closed = "a member of the cluster listens there";
  if (!closed) return 0;
  (void)text_cut(why, closed, URL_WHY - 1);
  return -1;
}

/* ---- headers ---- */

static bool is_token(const char *s) {
  size_t n = strlen(s);
  static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  return n > 0 && n <= 128 && strspn(s, token) == n;
}

/* Framing, connection and the host are the client's; the key and the fence are Weir's. */
static bool is_ours(const char *name) {
  static const char *const ours[] = {"Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Upgrade", "TE",
                                     "Trailer", "Expect", "HTTP2-Settings", "Idempotency-Key"};
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
    if (strcasecmp(name, ours[i]) == 0) return true;
  return strncasecmp(name, "Proxy-", 6) == 0 || strncasecmp(name, "X-Weir-", 7) == 0;
}

const char *http_header_flaw(const char *name, const char *value, size_t n) {
  if (!is_token(name)) return "is no name of a header";
  if (is_ours(name)) return "is set by Weir itself";
  if (strlen(name) + n > LIMIT_HTTP_HEADER_BYTES) return "is too long";
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)value[i] < ' ' ? value[i] != '\t' : value[i] == 0x7f) return "has a value with control characters";
  return NULL;
}
