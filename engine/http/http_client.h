/* The HTTP client of a node: one thread, libcurl's multi interface, thousands of requests at once. For tasks of type HTTP, for
 * executors and analyzers behind URLs: whoever asks something that a user has named.
 *
 * Threads: http_new(), http_allow() before the first request, http_free() after the last; http_refuse() and the rest any. The
 * thread is made by the first request; threads that resolve names, LIMIT_LOOKUPS at most, live while there are names to resolve.
 *
 * What never happens: a connection to an address that was not checked (the address that is connected is the checked one, and the
 * socket is made for no other); one to a special address that no rule opens; one to our own API, store or queue; a proxy, a
 * cookie, a user of a URL; an answer beyond LIMIT_HTTP_ANSWER_BYTES; a redirect that is followed here (its answer is the answer);
 * a call that waits. Memory: of an answer LIMIT_HTTP_SMALL_BYTES, and LIMIT_HTTP_LARGE places for larger ones; without a place it
 * is not read on. Beyond LIMIT_HTTP_ANSWER_BYTES (`vast`) LIMIT_ANALYSIS_LARGE places. A place is held until http_end(), and none
 * is given while what has a place, and the results that wait to be stored, would be more than the backlog takes. */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H
#include <stdbool.h>
#include "err.h"
#include "http_answer.h"
#include "http_url.h"

struct http;
struct http *http_new(void);
void http_free(struct http *h);          /* nobody has a call any more. NULL is fine */
/* Large answers are read while it has room; http_room() when it may have some again. Before the first request, and any thread. */
struct backlog;
void http_backlog(struct http *h, struct backlog *b);
void http_room(struct http *h);
/* CIDR[:PORT], as in --http-allow. */
enum wr_rc http_allow(struct http *h, const char *rule, struct wr_err *err) WR_MUST;
/* The addresses at which other members listen, in place of those of the last call: refused as our own are. Any thread. */
struct http_listener { char address[64]; uint16_t port; };
enum { HTTP_LISTENERS_MAX = 4096 };
void http_refuse_members(struct http *h, const struct http_listener *v, size_t n);
/* fn is called with each address of this machine, as text. */
void http_own_addresses(void (*fn)(void *ctx, const char *address), void *ctx);
bool http_is_loopback(const char *address, size_t n);
bool http_is_address(const char *s);           /* of one machine alone: no name, and not any address */
/* An address of our own, which no rule opens: a name, an address, or NULL = every address of this machine. */
void http_refuse(struct http *h, const char *host, uint16_t port);
/* The same of "scheme://user:pw@host:port/..", where it has a host. */
void http_refuse_url(struct http *h, const char *url, uint16_t usual_port);
/* What the URL itself says: 0, or -1 with why not (a clause). A name is looked up only when it is asked. */
int http_check_url(struct http *h, const char *url, char why[URL_WHY]);

/* All texts are copied. header: "Name: value" each, checked by the caller (http_header_ok()). */
struct http_ask {
  const char *method, *url;
  const char *const *header; size_t n_header;
  const char *body; size_t body_len;     /* NULL = none */
  const char *pointer;                   /* a JSON pointer: answer_pick() is done on the client's thread; NULL = none */
  int64_t limit_us;                      /* the whole request; 0 = no limit but that of its caller */
  bool vast;                             /* its answer may have LIMIT_ANALYSIS_BYTES, with a place of its own kind */
};
struct http_call;
/* wake(ctx) is called once, from any thread, when the answer is there, and not after http_end(). It may take a lock, a leaf. */
struct http_call *http_begin(struct http *h, const struct http_ask *ask, void (*wake)(void *ctx), void *ctx);
/* NULL: it is not there yet. Valid until http_end(). */
struct http_answer *http_done(struct http_call *c);
void http_end(struct http_call *c);      /* gives it up, or back. Never blocks. NULL is fine */

/* "Name: value" may be sent: a token, then visible text, and none of the headers that are not the task's. NULL, or why not. */
const char *http_header_flaw(const char *name, const char *value, size_t value_len);
/* For tests: who looks up names in place of getaddrinfo(). Before the first request. */
struct addresses;
typedef const char *lookup_fn(const char *host, struct addresses *out);
void http_lookup(struct http *h, lookup_fn *fn);
#endif
