/* A load client's HTTP/1.1: keep-alive over a loopback socket, one request at a time per connection, no proxies, no TLS.
 *
 * A call ends the program with a message when the server does not behave: a benchmark has nothing to repair. One thread. */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include "load.h"

/* buf: bytes of the answer so far; answered_us: when the last answer was whole. */
struct http_conn { int fd; char *buf; size_t len, cap; int64_t answered_us; };
struct http_server { char host[64]; int port; };

void http_parse_server(const char *addr_port, struct http_server *out);
void http_open(struct http_conn *c, const struct http_server *s);
void http_close(struct http_conn *c);
void http_send(struct http_conn *c, const char *bytes, size_t n);
/* Reads the bytes that have come. Returns the status once the whole answer is there, else 0. *body points into buf. */
int http_receive(struct http_conn *c, const char **body, size_t *n);
/* "METHOD PATH HTTP/1.1" with the body (NULL = none); caller frees. */
char *http_request(const struct http_server *s, const char *method, const char *path, const char *body, size_t *n);
/* One call from start to end; status 200 or death. The whole answer as JSON. */
json_t *http_call(struct http_conn *c, const struct http_server *s, const char *method, const char *path, const char *body);
#endif
