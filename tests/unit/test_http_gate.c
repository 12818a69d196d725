/* The gate against requests as civetweb leaves them: cut up in place by the same forgiving rules (cut(), below), so that
 * what the library skips shows as a gap. The same bytes go through the real library in tests/api/test_framing.py. */
#include "unit.h"
#include <stdlib.h>
#include <string.h>
#include "auth.h"
#include "gate.h"
#include "wr_limits.h"
#include "query.h"

static char raw[LIMIT_HEADER_BYTES * 2];
static struct gate_header header[64];

/* Ends the word at p, skips the white space behind it. */
static char *word(char *p) {
  while (*p > ' ') p++;
  while (*p == ' ' || *p == '\r' || *p == '\n') *p++ = '\0';
  return p;
}

/* As parse_http_request() of the library does it: at most 64 headers, a line that begins with a blank ends them. */
static struct gate_in cut(const char *text) {
  struct gate_in in = {.header = header};
  size_t n = strlen(text);
  assert_true(n + 4 < sizeof raw);
  memset(raw, 0, sizeof raw);
  memcpy(raw, text, n);
  raw[n - 1] = '\0';
  char *p = raw;
  in.method = p;
  in.target = p = word(p);
  in.version = p = word(p);
  in.version += 5;
  p = word(p);
  char *query = strchr((char *)(uintptr_t)in.target, '?');
  if (query) *query++ = '\0';
  in.query = query;
  while (in.n < 64 && *p > ' ') {
    struct gate_header *h = &header[in.n++];
    h->name = p;
    while (*p != ':' && *p > ' ') p++;
    while (*p == ' ') *p++ = '\0';
    *p++ = '\0';
    while (*p == ' ') p++;
    h->value = p;
    while (*p && *p != '\r' && *p != '\n') p++;
    if (*p == '\r') *p++ = '\0';
    if (*p == '\n') *p++ = '\0';
    if (*p == '\r' || *p == '\n') break;
  }
  return in;
}

static enum wr_rc framing(const char *text, struct gate_out *out) {
  struct gate_in in = cut(text);
  return gate_framing(&in, out, NULL);
}

#define REQ(headers) "POST /flow HTTP/1.1\r\nHost: a\r\n" headers "\r\n"

static void good(void **s) {
  (void)s;
  struct gate_out o;
  assert_int_equal(framing("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n", &o), WR_OK);
  assert_int_equal(o.length, 0);
  assert_true(o.keep_alive);
  assert_int_equal(framing(REQ("Content-Length: 17\r\n"), &o), WR_OK);
  assert_int_equal(o.length, 17);
  assert_int_equal(framing(REQ("Content-Length:0\r\nX:\r\nY:  b  \r\n"), &o), WR_OK);
  assert_int_equal(framing("GET /flow?limit=5&a=%20 HTTP/1.1\r\nHost: a\r\n\r\n", &o), WR_OK);
  assert_int_equal(framing(REQ("Transfer-Encoding: Chunked\r\n"), &o), WR_OK);
  assert_int_equal(o.length, GATE_CHUNKED);
  assert_false(o.keep_alive);
  assert_int_equal(framing("GET / HTTP/1.0\r\n\r\n", &o), WR_OK);
  assert_false(o.keep_alive);
  assert_int_equal(framing("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", &o), WR_OK);
  assert_true(o.keep_alive);
  assert_int_equal(framing(REQ("Connection: close\r\n"), &o), WR_OK);
  assert_false(o.keep_alive);
  assert_int_equal(framing(REQ("Connection: keep-alive\r\nConnection: close\r\n"), &o), WR_OK);
  assert_false(o.keep_alive);
  assert_int_equal(framing(REQ("Expect: 100-continue\r\nContent-Length: 1\r\n"), &o), WR_OK);
  assert_true(o.expect);
}

static void bad_framing(void **s) {
  (void)s;
  static const char *const bad[] = {
    REQ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    REQ("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
    REQ("Content-Length: 5\r\nContent-Length: 5\r\n"),
    REQ("Content-Length: 5\r\ncontent-length: 6\r\n"),
    REQ("Content-Length: 3abc\r\n"), REQ("Content-Length: -1\r\n"), REQ("Content-Length: +5\r\n"), REQ("Content-Length:\r\n"),
    REQ("Content-Length: 5, 5\r\n"), REQ("Content-Length: 0x5\r\n"), REQ("Content-Length: 1e3\r\n"),
    REQ("Content-Length: 99999999999999999999999\r\n"), REQ("Content-Length: 9223372036854775808\r\n"),
    REQ("Transfer-Encoding: gzip, chunked\r\n"), REQ("Transfer-Encoding: identity\r\n"), REQ("Transfer-Encoding:\r\n"),
    REQ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
    "POST /flow HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
    REQ("X: a\r\n b\r\nContent-Length: 5\r\n"),            /* folded line */
    REQ("Content-Length : 5\r\n"), REQ("Content-Length  :5\r\n"),
    REQ("Content-Length: 5\nX: y\r\n"),                    /* bare LF */
    REQ("X: y\n"),
    REQ("X(: y\r\n"), REQ("X\"Y: y\r\n"),
    "POST  /flow HTTP/1.1\r\nHost: a\r\n\r\n", "POST /flow  HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /flow HTTP/1.1 \r\nHost: a\r\n\r\n", "POST /flow HTTP/1.1\r\n Host: a\r\n\r\n",
    "POST /flow HTTP/1.1\nHost: a\r\n\r\n",
    REQ("Expect: 100-continue\r\nExpect: 100-continue\r\n"), REQ("Content-Encoding: identity\r\ncontent-encoding: gzip\r\n"),
    REQ("Sec-Fetch-Site: none\r\nSec-Fetch-Site: cross-site\r\n"),
    "GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nX: y\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
  };
  struct gate_out o;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (framing(bad[i], &o) != WR_BAD_FRAMING) fail_msg("accepted: %s", bad[i]);
}

static void targets(void **s) {
  (void)s;
  static const char *const good[] = {"/flow", "http://a/flow", "HTTP://a:80/flow", "/a@b", "http://a/b@c", "http://a"};
  static const char *const bad[] = {"*", "flow", "http://u@a/flow", "http://u:p@a/flow", "https://a/flow", "ws://a/flow", "x:/flow",
                                    "http:///flow", "http:/flow", "a:80"};
  struct gate_out o;
  char text[256];
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", good[i]);
    if (framing(text, &o) != WR_OK) fail_msg("refused: %s", good[i]);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", bad[i]);
    if (framing(text, &o) != WR_BAD_REQUEST) fail_msg("accepted: %s", bad[i]);
  }
}

static void many_headers(void **s) {
  (void)s;
  for (int n = 60; n < 70; n++) {
    char text[4096] = "GET / HTTP/1.1\r\nHost: a\r\n";
    size_t at = strlen(text);
    for (int i = 1; i < n; i++) at += (size_t)snprintf(text + at, sizeof text - at, "X-%d: y\r\n", i);
    snprintf(text + at, sizeof text - at, "\r\n");
    struct gate_out o;
    assert_int_equal(framing(text, &o), n < LIMIT_HEADERS ? WR_OK : WR_BAD_FRAMING);
  }
}

static void header_bytes(void **s) {
  (void)s;
  for (int more = -1; more <= 1; more++) {
    static const char first[] = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    char text[LIMIT_HEADER_BYTES + 64];
    size_t n = (size_t)(LIMIT_HEADER_BYTES + more) - 4;
    memset(text, 'x', sizeof text);
    memcpy(text, first, sizeof first - 1);
    memcpy(text + n, "\r\n\r\n", 5);
    struct gate_out o;
    struct wr_err err;
    struct gate_in in = cut(text);
    assert_int_equal(gate_framing(&in, &o, &err), more > 0 ? WR_HEADERS_TOO_LARGE : WR_OK);
    if (more > 0) assert_int_equal(err.got, LIMIT_HEADER_BYTES + 1);
  }
}

static void paths(void **s) {
  (void)s;
  static const struct { const char *in, *out; enum wr_rc rc; } v[] = {
    {"/flow/7", "/flow/7", WR_OK}, {"/fl%6Fw/7", "/flow/7", WR_OK}, {"/flow/%EF%BC%99", "/flow/\xEF\xBC\x99", WR_OK},
    {"/flow/", NULL, WR_NO_ROUTE}, {"//flow", NULL, WR_NO_ROUTE}, {"/flow//7", NULL, WR_NO_ROUTE}, {"/", NULL, WR_NO_ROUTE},
    {"/flow/.", NULL, WR_NO_ROUTE}, {"/flow/..", NULL, WR_NO_ROUTE}, {"/flow/../task", NULL, WR_NO_ROUTE},
    {"/flow/%2e%2e", NULL, WR_NO_ROUTE}, {"/flow%2f7", NULL, WR_NO_ROUTE}, {"/flow/%5c", NULL, WR_NO_ROUTE},
    {"/flow/%0a", NULL, WR_NO_ROUTE}, {"flow", NULL, WR_NO_ROUTE},
    {"/flow/%00", NULL, WR_BAD_REQUEST}, {"/flow%00b", NULL, WR_BAD_REQUEST}, {"/flow/%", NULL, WR_BAD_REQUEST},
    {"/flow/%4", NULL, WR_BAD_REQUEST}, {"/flow/%zz", NULL, WR_BAD_REQUEST},
  };
  char out[GATE_PATH_MAX];
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    enum wr_rc rc = gate_path(v[i].in, out, NULL);
    if (rc != v[i].rc) fail_msg("%s: %d", v[i].in, rc);
    if (v[i].out) assert_string_equal(out, v[i].out);
  }
  char lengthy[GATE_PATH_MAX + 8];
  memset(lengthy, 'a', sizeof lengthy);
  lengthy[0] = '/';
  lengthy[GATE_PATH_MAX - 1] = '\0';
  assert_int_equal(gate_path(lengthy, out, NULL), WR_OK);
  lengthy[GATE_PATH_MAX - 1] = 'a';
  lengthy[GATE_PATH_MAX] = '\0';
  assert_int_equal(gate_path(lengthy, out, NULL), WR_NO_ROUTE);
}

static struct gate_in with(const char *method, const struct gate_header *h, size_t n) {
  return (struct gate_in){.method = method, .target = "/", .version = "1.1", .header = h, .n = n};
}

static enum wr_rc host(const char *value, bool any) {
  static const char *const names[] = {"localhost", "127.0.0.1", "[::1]", "weir.example"};
  struct gate_header h = {"host", value};
  struct gate_in in = with("GET", &h, 1);
  return gate_host(&in, &(struct gate_hosts){names, 4, any}, NULL);
}

static void hosts(void **s) {
  (void)s;
  static const char *const good_host[] = {"localhost", "LOCALHOST:8088", "127.0.0.1:1", "[::1]", "[::1]:8088", "weir.example"};
  static const char *const bad_host[] = {"", "evil.example", "localhost.evil.example", "localhost:", "localhost:x", "localhost:0",
                                         "localhost:65536", "127.0.0.1.evil", "[::1", "[::1]x", ":8088", "a localhost", "10.0.0.1"};
  for (size_t i = 0; i < sizeof good_host / sizeof *good_host; i++) assert_int_equal(host(good_host[i], false), WR_OK);
  for (size_t i = 0; i < sizeof bad_host / sizeof *bad_host; i++) assert_int_equal(host(bad_host[i], false), WR_WRONG_HOST);
  assert_int_equal(host("10.0.0.1:80", true), WR_OK);
  assert_int_equal(host("evil.example", true), WR_WRONG_HOST);
  assert_int_equal(host("1.2.3.", true), WR_WRONG_HOST);
}

static enum wr_rc origin(const char *method, const char *value, const char *site) {
  struct gate_header h[3] = {{"Host", "localhost:8088"}};
  size_t n = 1;
  if (value) h[n++] = (struct gate_header){"Origin", value};
  if (site) h[n++] = (struct gate_header){"Sec-Fetch-Site", site};
  struct gate_in in = with(method, h, n);
  return gate_origin(&in, NULL);
}

static void origins(void **s) {
  (void)s;
  assert_int_equal(origin("POST", NULL, NULL), WR_OK);
  assert_int_equal(origin("POST", "http://localhost:8088", "same-origin"), WR_OK);
  assert_int_equal(origin("POST", NULL, "none"), WR_OK);
  assert_int_equal(origin("GET", "http://evil.example", "cross-site"), WR_OK);
  assert_int_equal(origin("POST", "https://localhost:8088", NULL), WR_OK);
  static const char *const scheme[] = {"x://localhost:8088", "ws://localhost:8088", "file://localhost:8088", "http:///localhost:8088",
                                       "http://u@localhost:8088", "http://", "://localhost:8088", "xhttp://localhost:8088", ""};
  for (size_t i = 0; i < sizeof scheme / sizeof *scheme; i++) assert_int_equal(origin("POST", scheme[i], NULL), WR_CROSS_SITE);
  assert_int_equal(origin("POST", "http://evil.example", NULL), WR_CROSS_SITE);
  assert_int_equal(origin("DELETE", "null", NULL), WR_CROSS_SITE);
  assert_int_equal(origin("POST", "http://localhost:3000", NULL), WR_CROSS_SITE);
  assert_int_equal(origin("POST", NULL, "cross-site"), WR_CROSS_SITE);
  assert_int_equal(origin("POST", "http://localhost:8088", "same-site"), WR_CROSS_SITE);
}

static enum wr_rc content(const char *type, const char *encoding) {
  struct gate_header h[2];
  size_t n = 0;
  if (type) h[n++] = (struct gate_header){"Content-Type", type};
  if (encoding) h[n++] = (struct gate_header){"Content-Encoding", encoding};
  struct gate_in in = with("POST", h, n);
  return gate_body(&in, NULL);
}

static void contents(void **s) {
  (void)s;
  assert_int_equal(content("application/json", NULL), WR_OK);
  assert_int_equal(content("Application/JSON; charset=utf-8", "identity"), WR_OK);
  static const char *const bad[] = {NULL, "", "text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded",
                                    "application/jsonx", "text/html; application/json"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) assert_int_equal(content(bad[i], NULL), WR_WRONG_CONTENT_TYPE);
  assert_int_equal(content("application/json", "gzip"), WR_ENCODING);
}

static void tokens(void **s) {
  (void)s;
  static struct auth a = {.lock = PTHREAD_MUTEX_INITIALIZER, .len = AUTH_TOKEN_LEN};
  static const char hash[] = "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"; /* SHA-256 of 64 a */
  for (unsigned i = 0; i < AUTH_HASH_BYTES; i++) {
    const char two[] = {hash[2 * i], hash[2 * i + 1], 0};
    a.hash[i] = (unsigned char)strtol(two, NULL, 16);
  }
  char right[AUTH_TOKEN_LEN + 8] = "Bearer ", other[sizeof right];
  memset(right + 7, 'a', AUTH_TOKEN_LEN);
  memcpy(other, right, sizeof other);
  other[AUTH_TOKEN_LEN + 6] = 'b';
  const struct { const char *value; enum wr_rc rc; } v[] = {
    {right, WR_OK}, {other, WR_UNAUTHENTICATED}, {"Bearer nothing", WR_UNAUTHENTICATED}, {"", WR_UNAUTHENTICATED},
    {right + 7, WR_UNAUTHENTICATED}, {"Basic YTph", WR_UNAUTHENTICATED}, {"Bearer ", WR_UNAUTHENTICATED}};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    struct gate_header h[2] = {{"authorization", v[i].value}, {"Authorization", v[i].value}};
    struct gate_in in = with("GET", h, 1), twice = with("GET", h, 2), none = with("GET", h, 0);
    assert_int_equal(auth_check(&a, &in, ROLE_VIEWER, NULL), v[i].rc);
    assert_int_equal(auth_check(&a, &twice, ROLE_VIEWER, NULL), WR_UNAUTHENTICATED);
    assert_int_equal(auth_check(&a, &none, ROLE_VIEWER, NULL), WR_UNAUTHENTICATED);
    assert_int_equal(auth_check(&a, &none, ROLE_NONE, NULL), WR_OK);
  }
}

static void queries(void **s) {
  (void)s;
  const unsigned all = Q_FLOW_ID | Q_FI_ID | Q_STATUS | Q_STATE | Q_FROM | Q_TO | Q_PAGE;
  static const struct { const char *text; enum wr_rc rc; } v[] = {
    {"", WR_OK}, {"&&", WR_OK}, {"flowId=7&limit=500&offset=0&total=true", WR_OK}, {"status=CANCELED", WR_OK}, {"status=FAILED&state=CANCELED", WR_OK},
    {"status=CANCELED&state=RUNNING", WR_BAD_FILTER}, {"state=RUNNING&status=CANCELED", WR_BAD_FILTER},
    {"from=2022-04-24+19:30:04", WR_OK}, {"from=2022-04-24T19:30:04%2B02:00", WR_OK}, {"to=2022-04-24T19:30:04+02:00", WR_OK},
    {"flowName=x", WR_BAD_FILTER}, {"flowId", WR_BAD_FILTER}, {"flowId=", WR_BAD_FILTER}, {"flowId=0", WR_BAD_FILTER},
    {"flowId=1%27", WR_BAD_FILTER}, {"flowId=1&flowId=1", WR_BAD_FILTER}, {"status=DONE", WR_BAD_FILTER}, {"status=running", WR_BAD_FILTER},
    {"from=yesterday", WR_BAD_FILTER}, {"total=1", WR_BAD_FILTER}, {"flowId=%4", WR_BAD_FILTER}, {"nodes=false", WR_BAD_FILTER},
    {"limit=0", WR_BAD_PAGE}, {"limit=-1", WR_BAD_PAGE}, {"limit=501", WR_BAD_PAGE}, {"limit=1000000000", WR_BAD_PAGE},
    {"limit=1e2", WR_BAD_PAGE}, {"offset=-1", WR_BAD_PAGE}, {"offset=x", WR_BAD_PAGE}, {"offset=99999999999999999999", WR_BAD_PAGE},
  };
  struct query q;
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    query_init(&q);
    enum wr_rc rc = query_string(&q, v[i].text, all, LIMIT_PAGE, NULL);
    if (rc != v[i].rc) fail_msg("%s: %d", v[i].text, rc);
  }
  query_init(&q);
  assert_int_equal(query_string(&q, "status=FAILED&limit=3", all, LIMIT_PAGE, NULL), WR_OK);
  assert_int_equal(q.status, 3);
  assert_int_equal(q.state, -1);
  assert_int_equal(q.limit, 3);
}

int main(void) {
  const struct CMUnitTest t[] = {cmocka_unit_test(good), cmocka_unit_test(bad_framing), cmocka_unit_test(targets), cmocka_unit_test(many_headers),
                                 cmocka_unit_test(header_bytes), cmocka_unit_test(paths), cmocka_unit_test(hosts),
                                 cmocka_unit_test(origins), cmocka_unit_test(contents), cmocka_unit_test(tokens), cmocka_unit_test(queries)};
  return cmocka_run_group_tests(t, NULL, NULL);
}
