/* See net_addr.h. The tables are IANA's special-purpose registries, the wider range where two lie side by side. */
#include "net_addr.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include "text.h"

struct range { uint8_t b[16]; uint8_t bits; const char *what; };

static const struct range ranges4[] = {
  {{0}, 8, "this network"}, {{10}, 8, "private"}, {{100, 64}, 10, "shared"}, {{127}, 8, "loopback"},
  {{169, 254}, 16, "link-local"}, {{172, 16}, 12, "private"}, {{192, 0, 0}, 24, "reserved"}, {{192, 0, 2}, 24, "documentation"},
  {{192, 31, 196}, 24, "reserved"}, {{192, 52, 193}, 24, "reserved"}, {{192, 88, 99}, 24, "6to4 relay"},
  {{192, 168}, 16, "private"}, {{192, 175, 48}, 24, "reserved"}, {{198, 18}, 15, "benchmarking"},
  {{198, 51, 100}, 24, "documentation"}, {{203, 0, 113}, 24, "documentation"}, {{224}, 4, "multicast"}, {{240}, 4, "reserved"}};

/* The last one is all that is not 2000::/3: see net_special(). */
static const struct range ranges6[] = {
  {{0}, 127, "loopback"}, {{[10] = 0xff, [11] = 0xff}, 96, "IPv4-mapped"}, {{0}, 96, "IPv4-compatible"},
  {{0x00, 0x64, 0xff, 0x9b}, 32, "NAT64"}, {{0xfc}, 7, "unique local"}, {{0xfe, 0x80}, 10, "link-local"},
  {{0xfe, 0xc0}, 10, "site-local"}, {{0xff}, 8, "multicast"}, {{0x20, 0x01}, 23, "reserved (Teredo among it)"},
  {{0x20, 0x01, 0x0d, 0xb8}, 32, "documentation"}, {{0x20, 0x02}, 16, "6to4"}, {{0x26, 0x20, 0x00, 0x4f, 0x80}, 48, "reserved"},
  {{0x3f, 0xff}, 20, "documentation"}};

static bool in_range(const uint8_t *a, const uint8_t *net, unsigned bits) {
  unsigned whole = bits / 8, rest = bits % 8;
  if (memcmp(a, net, whole) != 0) return false;
  return rest == 0 || ((a[whole] ^ net[whole]) & (0xff << (8 - rest)) & 0xff) == 0;
}

const char *net_special(const struct net_addr *a) {
  const struct range *r = a->v6 ? ranges6 : ranges4;
  size_t n = a->v6 ? sizeof ranges6 / sizeof *ranges6 : sizeof ranges4 / sizeof *ranges4;
  for (size_t i = 0; i < n; i++)
    if (in_range(a->b, r[i].b, r[i].bits)) return r[i].what;
  return a->v6 && (a->b[0] & 0xe0) != 0x20 ? "reserved" : NULL;
}

struct net_addr net_plain(const struct net_addr *a) {
  struct net_addr out = *a;
  static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
  if (!a->v6 || memcmp(a->b, mapped, sizeof mapped) != 0) return out;
  out = (struct net_addr){.v6 = false};
  memcpy(out.b, a->b + 12, 4);
  return out;
}

bool net_loopback(const struct net_addr *from) {
  struct net_addr a = net_plain(from);
  static const uint8_t none[16];
  if (!a.v6) return a.b[0] == 127 || memcmp(a.b, none, 4) == 0;
  return memcmp(a.b, none, 15) == 0 && a.b[15] <= 1;
}

bool net_same(const struct net_addr *x, const struct net_addr *y) {
  struct net_addr a = net_plain(x), b = net_plain(y);
  return a.v6 == b.v6 && memcmp(a.b, b.b, a.v6 ? 16 : 4) == 0;
}

/* One of four decimal parts: 0 to 255, no sign, no leading zero. */
static bool read_part(const char **s, const char *end, uint8_t *out) {
  unsigned v = 0;
  const char *from = *s;
  while (*s < end && **s >= '0' && **s <= '9' && *s - from < 4) v = v * 10 + (unsigned)(*(*s)++ - '0');
  size_t n = (size_t)(*s - from);
  *out = (uint8_t)v;
  return n > 0 && n < 4 && v < 256 && !(n > 1 && *from == '0');
}

static bool read4(const char *s, size_t n, struct net_addr *out) {
  const char *end = s + n;
  *out = (struct net_addr){.v6 = false};
  for (int i = 0; i < 4; i++) {
    if (i > 0 && (s == end || *s++ != '.')) return false;
    if (!read_part(&s, end, &out->b[i])) return false;
  }
  return s == end;
}

bool net_read(const char *s, size_t n, struct net_addr *out) {
  char text[INET6_ADDRSTRLEN];
  if (!memchr(s, ':', n)) return read4(s, n, out);
  if (n >= sizeof text) return false;
  memcpy(text, s, n);
  text[n] = '\0';
  *out = (struct net_addr){.v6 = true};
  return strlen(text) == n && inet_pton(AF_INET6, text, out->b) == 1;
}

bool net_of_sockaddr(const struct sockaddr *sa, socklen_t len, struct net_addr *out, uint16_t *port) {
  struct sockaddr_in a4;
  struct sockaddr_in6 a6;
  *out = (struct net_addr){.v6 = sa->sa_family == AF_INET6};
  if (sa->sa_family == AF_INET && len >= sizeof a4) {
    memcpy(&a4, sa, sizeof a4);
    memcpy(out->b, &a4.sin_addr, 4);
    *port = ntohs(a4.sin_port);
    return true;
  }
  if (sa->sa_family != AF_INET6 || len < sizeof a6) return false;
  memcpy(&a6, sa, sizeof a6);
  memcpy(out->b, &a6.sin6_addr, 16);
  *port = ntohs(a6.sin6_port);
  return true;
}

/* ---- rules ---- */

static bool read_port(const char *s, int32_t *port) {
  int64_t v;
  if (strcmp(s, "*") == 0) return *port = NET_PORTS_ALL, true;
  if (!text_i64(s, strlen(s), &v) || v < 1 || v > 65535) return false;
  *port = (int32_t)v;
  return true;
}

/* Behind the address: "", "/BITS", ":PORT", "/BITS:PORT". */
static bool read_rest(const char *s, struct net_rule *out) {
  unsigned most = out->net.v6 ? 128 : 32;
  int64_t bits = most;
  if (*s == '/') {
    size_t n = strcspn(++s, ":");
    if (!text_i64(s, n, &bits) || bits < 0 || bits > most) return false;
    s += n;
  }
  out->bits = (uint8_t)bits;
  out->port = NET_PORTS_WEB;
  return *s == '\0' || (*s == ':' && read_port(s + 1, &out->port));
}

bool net_rule_read(const char *text, struct net_rule *out) {
  bool bracket = *text == '[';
  if (bracket) text++;
  size_t n = strcspn(text, bracket ? "]" : "/");
  /* without brackets and a width, the port of an IPv4 address begins at the only colon */
  const char *colon = memchr(text, ':', n);
  if (!bracket && colon && !memchr(colon + 1, ':', n - (size_t)(colon + 1 - text))) n = (size_t)(colon - text);
  if (!net_read(text, n, &out->net) || (bracket && (!out->net.v6 || text[n] != ']'))) return false;
  return read_rest(text + n + bracket, out);
}

bool net_rule_opens(const struct net_rule *r, const struct net_addr *a, uint16_t port) {
  bool fits = r->port == NET_PORTS_ALL || r->port == port || (r->port == NET_PORTS_WEB && (port == 80 || port == 443));
  return fits && r->net.v6 == a->v6 && in_range(a->b, r->net.b, r->bits);
}

const char *net_text(const struct net_addr *a, char out[NET_TEXT]) {
  return inet_ntop(a->v6 ? AF_INET6 : AF_INET, a->b, out, NET_TEXT) ? out : "?";
}
