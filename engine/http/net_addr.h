/* Addresses that a task may be connected to. Pure: no name is looked up here, no socket is made. Any thread.
 *
 * All that is not plainly public is special (loopback, link-local, private, shared, multicast, reserved, documentation, and the
 * IPv6 forms that carry an IPv4 address), and a special one is closed unless a rule opens it. What never happens: an unusual
 * way to write an address (decimal, octal, hexadecimal, three parts) that is taken for one; a special range that is left out
 * because IPv6 has grown: of IPv6 only 2000::/3 without its special parts is public. */
#ifndef NET_ADDR_H
#define NET_ADDR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct net_addr { bool v6; uint8_t b[16]; };      /* IPv4 in the first four */

/* "127.0.0.1" with exactly four decimal parts and no leading zero, or an IPv6 address without brackets and zone. */
bool net_read(const char *s, size_t n, struct net_addr *out);
bool net_of_sockaddr(const struct sockaddr *sa, socklen_t len, struct net_addr *out, uint16_t *port);
/* Which special range it is in, in words; NULL = it is public. */
const char *net_special(const struct net_addr *a);
bool net_loopback(const struct net_addr *a);      /* or unspecified: a connect to 0.0.0.0 or :: is one to this machine */
/* ::ffff:1.2.3.4 becomes 1.2.3.4, which is where it leads. */
struct net_addr net_plain(const struct net_addr *a);
bool net_same(const struct net_addr *a, const struct net_addr *b);

/* CIDR[:PORT]: "10.0.0.0/8" (ports 80 and 443), "127.0.0.1/32:8080", "fd00::/8:*"; an address alone is a range of one, IPv6 then
 * in brackets when a port follows. */
enum { NET_PORTS_WEB = 0, NET_PORTS_ALL = -1 };
struct net_rule { struct net_addr net; uint8_t bits; int32_t port; };
bool net_rule_read(const char *text, struct net_rule *out);
bool net_rule_opens(const struct net_rule *r, const struct net_addr *a, uint16_t port);
enum { NET_TEXT = 64 };
const char *net_text(const struct net_addr *a, char out[NET_TEXT]);
#endif
