/* The raw HTTP of the load client: see http.h. */
#include "http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { READ_BYTES = 65536, HEAD_MAX = 65536 };

void http_parse_server(const char *addr_port, struct http_server *out) {
  const char *colon = strrchr(addr_port, ':');
  if (!colon || (size_t)(colon - addr_port) >= sizeof out->host) die("not ADDR:PORT: %s", addr_port);
  memcpy(out->host, addr_port, (size_t)(colon - addr_port));
  out->host[colon - addr_port] = 0;
  out->port = (int)strtol(colon + 1, NULL, 10);
}

void http_open(struct http_conn *c, const struct http_server *s) {
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)s->port)};
  int on = 1;
  *c = (struct http_conn){.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (c->fd < 0 || inet_pton(AF_INET, s->host, &to.sin_addr) != 1) die("no socket for %s", s->host);
  if (connect(c->fd, (const struct sockaddr *)&to, sizeof to) != 0) die("connect: %s", strerror(errno));
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void http_close(struct http_conn *c) {
  close(c->fd);
  free(c->buf);
  *c = (struct http_conn){.fd = -1};
}

void http_send(struct http_conn *c, const char *bytes, size_t n) {
  c->len = 0;
  while (n) {
    ssize_t w = send(c->fd, bytes, n, MSG_NOSIGNAL);
    if (w < 0 && errno == EINTR) continue;
    if (w <= 0) die("send: %s", strerror(errno));
    bytes += w;
    n -= (size_t)w;
  }
}

/* True when the answer is whole. Only Content-Length is understood, because Weir sends nothing else. */
static int whole(const struct http_conn *c, const char **body, size_t *n) {
  const char *end = memmem(c->buf, c->len, "\r\n\r\n", 4);
  if (!end) {
    if (c->len > HEAD_MAX) die("the head of an answer is too long");
    return 0;
  }
  const char *length = strcasestr(c->buf, "\r\nContent-Length:");
  if (!length || length > end) die("an answer without Content-Length");
  *n = strtoul(length + 17, NULL, 10);
  *body = end + 4;
  if ((size_t)(*body - c->buf) + *n > c->len) return 0;
  if (c->len < 12 || strncmp(c->buf, "HTTP/1.", 7) != 0) die("not an HTTP answer");
  return (int)strtol(c->buf + 9, NULL, 10);
}

int http_receive(struct http_conn *c, const char **body, size_t *n) {
  if (c->cap < c->len + READ_BYTES + 1) {
    c->cap = 2 * c->cap + READ_BYTES + 1;
    c->buf = realloc(c->buf, c->cap);
    if (!c->buf) die("no memory");
  }
  ssize_t got = recv(c->fd, c->buf + c->len, c->cap - c->len - 1, 0);
  if (got < 0 && errno == EINTR) return 0;
  if (got <= 0) die("the server closed the connection: %s", got ? strerror(errno) : "end of file");
  c->len += (size_t)got;
  c->buf[c->len] = 0;
  return whole(c, body, n);
}

char *http_request(const struct http_server *s, const char *method, const char *path, const char *body, size_t *n) {
  char *out = NULL;
  int len = asprintf(&out, "%s %s HTTP/1.1\r\nHost: %s:%d\r\n%sContent-Length: %zu\r\n\r\n%s", method, path, s->host, s->port,
                     body ? "Content-Type: application/json\r\n" : "", body ? strlen(body) : 0, body ? body : "");
  if (len < 0) die("no memory");
  *n = (size_t)len;
  return out;
}

json_t *http_call(struct http_conn *c, const struct http_server *s, const char *method, const char *path, const char *body) {
  size_t n;
  int status;
  const char *answer;
  char *bytes = http_request(s, method, path, body, &n);
  http_send(c, bytes, n);
  free(bytes);
  while ((status = http_receive(c, &answer, &n)) == 0) {}
  c->answered_us = now_us();
  if (status != 200) die("%s %s: %d %.*s", method, path, status, n > 500 ? 500 : (int)n, answer);
  json_error_t e;
  json_t *j = json_loadb(answer, n, 0, &e);
  if (!j) die("%s %s: the answer is not JSON: %s", method, path, e.text);
  return j;
}
