/* Names of hosts into addresses, in bounded time: getaddrinfo(3) has no bound of its own, and a DNS server that does not answer
 * holds its caller for as long as resolv.conf says. Any thread.
 *
 * A name is looked up anew each time, by a thread that ends with the lookup. A caller that asks for the same name meanwhile waits
 * for the same lookup. What never happens: a wait beyond the time given, a lookup for an address in figures, more than
 * LIMIT_LOOKUPS of these threads. */
#ifndef RESOLVE_H
#define RESOLVE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define RESOLVE_MAX 8          /* addresses of one name; more are not tried */
struct address { struct sockaddr_storage at; socklen_t len; };
struct addresses { size_t n; struct address a[RESOLVE_MAX]; };
/* Waits until until_us on the monotonic clock. Returns NULL when `out` holds addresses, at least one; else a constant text that
 * says why not. */
const char *resolve(const char *host, uint16_t port, int64_t until_us, struct addresses *out);
/* One lookup on the caller's thread, without a bound: for threads that may hang. The port is 0. As resolve(). */
const char *resolve_here(const char *host, struct addresses *out);
/* The address in figures, without its port. */
#define ADDRESS_TEXT 64
const char *address_text(const struct address *a, char out[ADDRESS_TEXT]);
#endif
