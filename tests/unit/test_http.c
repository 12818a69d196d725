/* The HTTP client: tables of addresses, URLs, headers and answers; and the client itself against a small server, with names that
 * a test resolves. */
#include "unit.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "attempt.h"
#include "http_client.h"
#include "mem.h"
#include "resolve.h"
#include "wr_limits.h"
#include "pointer.h"

static struct net_addr addr(const char *s) {
  struct net_addr a;
  assert_true(net_read(s, strlen(s), &a));
  return a;
}

static void test_special(void **st) {
  (void)st;
  static const char *const special[] = {
    "0.0.0.0", "0.255.255.255", "10.0.0.0", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.0.0.1", "127.255.255.255", "169.254.169.254",
    "172.16.0.0", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.0.0", "192.168.255.255", "198.18.0.1", "198.19.255.255",
    "198.51.100.1", "203.0.113.255", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "::2", "::127.0.0.1",
    "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::1", "64:ff9b:1::1", "100::1", "fc00::1", "fdff::1", "fe80::1", "febf::1", "fec0::1", "ff02::1",
    "2001::1", "2001:1ff::1", "2001:db8::1", "2002::1", "2002:7f00:1::", "3fff::1", "4000::1", "1fff::1", "5f00::1", "e000::1"};
  static const char *const plain[] = {"1.0.0.0", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255",
    "128.0.0.0", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0", "192.167.255.255", "192.169.0.0", "198.17.255.255",
    "198.20.0.0", "223.255.255.255", "2000::1", "2001:200::1", "2001:4860:4860::8888", "2003::1", "2606:4700::1", "3ffe::1"};
  for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
    struct net_addr a = addr(special[i]);
    if (!net_special(&a)) fail_msg("%s counts as public", special[i]);
  }
  for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
    struct net_addr a = addr(plain[i]);
    if (net_special(&a)) fail_msg("%s counts as %s", plain[i], net_special(&a));
  }
}

static void test_read_address(void **st) {
  (void)st;
  static const char *const bad[] = {"", "1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.256", "1.2.3.4 ", " 1.2.3.4", "0x7f.0.0.1", "1..2.3", "+1.2.3.4",
                                    "1.2.3.0000", ":::", "1::2::3", "::1%eth0", "[::1]", "::g", "12345::"};
  struct net_addr a;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (net_read(bad[i], strlen(bad[i]), &a)) fail_msg("\"%s\" was read", bad[i]);
  struct net_addr mapped = addr("::ffff:127.0.0.1"), v4 = addr("127.0.0.1"), none = addr("0.0.0.0");
  assert_true(net_same(&mapped, &v4) && net_loopback(&mapped) && net_loopback(&none));
}

static void test_rules(void **st) {
  (void)st;
  static const struct { const char *rule, *address; uint16_t port; bool opens; } v[] = {
    {"10.0.0.0/8", "10.1.2.3", 80, true}, {"10.0.0.0/8", "10.1.2.3", 443, true}, {"10.0.0.0/8", "10.1.2.3", 8080, false},
    {"10.0.0.0/8:*", "10.1.2.3", 1, true}, {"10.0.0.0/8:8080", "10.1.2.3", 8080, true}, {"10.0.0.0/8:8080", "10.1.2.3", 80, false},
    {"10.0.0.0/8", "11.0.0.1", 80, false}, {"127.0.0.1:90", "127.0.0.1", 90, true}, {"127.0.0.1", "127.0.0.2", 80, false},
    {"172.16.0.0/12", "172.31.9.9", 80, true}, {"172.16.0.0/12", "172.32.0.0", 80, false}, {"0.0.0.0/0:*", "127.0.0.1", 9, true},
    {"127.0.0.0/8:*", "::ffff:127.0.0.1", 80, false}, {"::1/128:90", "::1", 90, true}, {"[::1]:90", "::1", 90, true}, {"[fd00::]/8:*", "fd12::1", 7, true},
    {"fd00::/8", "fe00::1", 80, false}, {"0.0.0.0/0:*", "::1", 80, false}, {"::1", "::1", 443, true}};
  static const char *const bad[] = {"", "/", "/8", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/8:", "10.0.0.0/8:0", "10.0.0.0/8:65536", "10.0.0.0/-1",
                                    "10.0.0.0/8:80:80", "[10.0.0.0]/8", "[::1", "::1]:80", "localhost", "10.0.0.0/8:http", "10.0.0.0/8 ", "010.0.0.0/8"};
  struct net_rule r;
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    struct net_addr a = addr(v[i].address);
    assert_true(net_rule_read(v[i].rule, &r));
    if (net_rule_opens(&r, &a, v[i].port) != v[i].opens) fail_msg("%s for %s:%u", v[i].rule, v[i].address, v[i].port);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (net_rule_read(bad[i], &r)) fail_msg("the rule \"%s\" was read", bad[i]);
}

static void test_urls(void **st) {
  (void)st;
  static const struct { const char *url, *host; uint16_t port; bool tls, literal; } good[] = {
    {"http://a", "a", 80, false, false}, {"HTTPS://Ex-Ample.COM:8443/p?q=1", "ex-ample.com", 8443, true, false}, {"http://1.2.3.4/", "1.2.3.4", 80, false, true},
    {"http://[2001:DB8::1]:81/x", "2001:db8::1", 81, false, true}, {"http://a?x", "a", 80, false, false}, {"http://a_b.c/%41", "a_b.c", 80, false, false},
    {"http://1a.2b/", "1a.2b", 80, false, false}, {"http://a/@x", "a", 80, false, false}};
  static const char *const bad[] = {"", "a", "//a/", "http:/a", "http:a", "https//a", "ftp://a/", "file:///x", "gopher://a", "http://", "http:///x", "http://?x", "http://:80/",
    "http://u@a/", "http://u:p@a/", "http://@a/", "http://a:/", "http://a:0/", "http://a:65536/", "http://a:8x/", "http://a:-1/", "http://a:80:80/", "http://a b/",
    "http://a/ b", "http://a\\b/", "http://a/\\b", "http://a\t/", "http://a\n/", "http://\xc3\xa4/", "http://%61/", "http://a#f", "http://a/#f", "http://a./", "http://.a/",
    "http://a..b/", "http://0x7f000001/", "http://2130706433/", "http://127.1/", "http://0177.0.0.1/", "http://1.2.3.4.5/", "http://127.0.0.1./", "http://0X7F.1/", "http://1/",
    "http://a.0x1/", "http://[::1/", "http://::1/", "http://[1.2.3.4]/", "http://[::1%25lo]/", "http://[]/", "http://[::1]x/", "http://[::1]:x/", "http://a[b]/", "http://a,b/"};
  struct http_url u;
  char why[URL_WHY];
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    if (url_read(good[i].url, &u, why)) fail_msg("%s: %s", good[i].url, why);
    assert_string_equal(u.host, good[i].host);
    assert_true(u.port == good[i].port && u.tls == good[i].tls && u.literal == good[i].literal);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    *why = '\0';
    if (!url_read(bad[i], &u, why)) fail_msg("\"%s\" was read as host %s", bad[i], u.host);
    assert_true(*why);
  }
}

static void test_join(void **st) {
  (void)st;
  static const struct { const char *base, *to, *out; } v[] = {
    {"http://a/b/c?q", "d", "http://a/b/d"}, {"http://a/b/c?q", "/d?e", "http://a/d?e"}, {"http://a", "d", "http://a/d"}, {"http://a?q", "d", "http://a/d"},
    {"http://a/b?q", "?z", "http://a/b?z"}, {"https://a/b", "//c/d", "https://c/d"}, {"http://a/b", "https://c:1/", "https://c:1/"}, {"http://a/b", "d#f", "http://a/d"},
    {"http://a/b", "file:///x", "file:///x"}, {"http://a/b/", "../c", "http://a/c"},
    {"http://a/b/c/d;p?q", "../g", "http://a/b/g"}, {"http://a/b/c/d;p?q", ".", "http://a/b/c/"}, {"http://a/b/c/d;p?q", "..", "http://a/b/"},
    {"http://a/b/c/d;p?q", "./g?y/./x/../z", "http://a/b/c/g?y/./x/../z"}, {"http://a/b/c/d;p?q", "../../../../g", "http://a/g"}, {"http://a/b/c/d;p?q", "/./g", "http://a/g"},
    {"http://a/b/c/d;p?q", "/../g/../h/./", "http://a/h/"}, {"http://a/b/c/d;p?q", "g.", "http://a/b/c/g."}, {"http://a/b/c/d;p?q", "..g/.h/...", "http://a/b/c/..g/.h/..."},
    {"http://a/b/c/d;p?q", "g;x=1/../y", "http://a/b/c/y"}, {"http://a/b/c/d;p?q", "//h/x/../y", "http://h/y"}, {"http://a/b/c", "https://h:1/x/../y?../z", "https://h:1/y?../z"},
    {"http://a/b/c", "https://h?../z", "https://h?../z"}, {"http://a", "..", "http://a/"}, {"http://a/b//c", "../d", "http://a/b/d"}, {"http://a/b", "/x//../y", "http://a/x/y"},
    {"http://a/x/../b", "?q", "http://a/x/../b?q"}, {"http://a/b/c", "%2e%2e/d", "http://a/b/%2e%2e/d"}, {"http://a/b/c", "/..", "http://a/"}, {"http://a/b", "", NULL}, {"http://a/b", "a b", NULL}, {"http://a/b", "\x01", NULL}};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    struct http_url u;
    char why[URL_WHY];
    assert_int_equal(url_read(v[i].base, &u, why), 0);
    char *out = url_join(v[i].base, &u, v[i].to);
    if (v[i].out) assert_string_equal(out, v[i].out);
    else assert_null(out);
    free(out);
  }
}

static void test_headers(void **st) {
  (void)st;
  static const char *const ours[] = {"Host", "host", "Content-Length", "TRANSFER-ENCODING", "Connection", "Proxy-Authorization", "x-weir-attempt", "Idempotency-Key", "TE", "Expect",
                                     "", "a b", "a:", "a\r", "\xc3\xa4"};
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++) assert_non_null(http_header_flaw(ours[i], "x", 1));
  assert_non_null(http_header_flaw("A", "x\r\nB: y", 7));
  assert_non_null(http_header_flaw("A", "x\n", 2));
  assert_non_null(http_header_flaw("A", "x\0y", 3));
  assert_null(http_header_flaw("Authorization", "Bearer \tx \xc3\xa4", 12));
}

/* ---- answers ---- */

static bool line(struct http_answer *a, const char *s) { return answer_line(a, s, strlen(s)); }

static void test_lines(void **st) {
  (void)st;
  struct http_answer a = {0};
  assert_true(line(&a, "HTTP/1.1 103 Early\r\n") && line(&a, "Location: /early\r\n") && line(&a, "HTTP/1.1 202 OK\r\n") && line(&a, "retry-AFTER: 3\r\n"));
  assert_null(a.location);
  assert_true(line(&a, "LOCATION: \t /x \r\n") && line(&a, "Location: /x\r\n") && a.has_retry);
  assert_string_equal(a.location, "/x");
  assert_false(line(&a, "Location: /y\r\n"));
  assert_int_equal(a.flaw, HTTP_BAD_HEADER);
  answer_done(&a);
  assert_false(answer_line(&a, "A: \0b\r\n", 8));
  answer_done(&a);
  for (int i = 0; i < LIMIT_HTTP_HEAD_LINES; i++) assert_true(line(&a, "A: b\r\n"));
  assert_false(line(&a, "A: b\r\n"));
  answer_done(&a);
}

static void test_pick(void **st) {
  (void)st;
  static const struct { const char *body, *pointer, *out; } v[] = {
    {"{\"a\":1}", "", "{\"a\":1}"}, {"{\"a\":[1,{\"b\":\"x\"}]}", "/a/1/b", "x"}, {"{\"a/b\":{\"~\":null}}", "/a~1b/~0", "null"}, {"{\"\":true}", "/", "true"},
    {"[1]", "/01", NULL}, {"[1]", "/-", NULL}, {"[1]", "/1", NULL}, {"[1]", "/0/0", NULL}, {"{\"a\":1}", "/b", NULL}, {"nonsense", "", NULL}, {"", "", NULL}, {"\"t\"", "", "t"}};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    struct http_answer a = {.body = wr_strdup(v[i].body), .len = strlen(v[i].body)};
    answer_pick(&a, v[i].pointer);
    if (v[i].out) assert_string_equal(a.picked, v[i].out);
    else assert_true(!a.picked && a.pick_why);
    answer_done(&a);
  }
  assert_true(pointer_form("") && pointer_form("/a~0~1") && !pointer_form("a") && !pointer_form("/~") && !pointer_form("/~2"));
}

static void test_next(void **st) {
  (void)st;
  char to[] = "/x";
  static const int only[] = {404, 503};
  const struct http_wanted usual = {0}, some = {.status = only, .n_status = 2}, polls = {.polling = true}, follows = {.follows = true};
  const struct { struct http_answer a; const struct http_wanted *w; enum http_next next; } v[] = {
    {{.status = 200}, &usual, NEXT_OK}, {{.status = 299}, &usual, NEXT_OK}, {{.status = 202}, &usual, NEXT_OK}, {{.status = 202, .location = to}, &usual, NEXT_POLL},
    {{.status = 202}, &polls, NEXT_POLL}, {{.status = 200}, &some, NEXT_FAIL}, {{.status = 404}, &some, NEXT_OK}, {{.status = 503, .has_retry = true}, &some, NEXT_OK},
    {{.status = 503, .has_retry = true}, &usual, NEXT_AGAIN}, {{.status = 429, .has_retry = true}, &polls, NEXT_AGAIN}, {{.status = 503}, &usual, NEXT_FAIL},
    {{.status = 500, .has_retry = true}, &usual, NEXT_FAIL}, {{.status = 429}, &usual, NEXT_FAIL}, {{.status = 408}, &usual, NEXT_FAIL}, {{.status = 425}, &usual, NEXT_FAIL},
    {{.status = 400}, &usual, NEXT_FATAL}, {{.status = 404}, &polls, NEXT_FATAL}, {{.status = 499}, &usual, NEXT_FATAL}, {{.status = 302, .location = to}, &usual, NEXT_FAIL},
    {{.status = 302, .location = to}, &follows, NEXT_REDIRECT}, {{.status = 302}, &follows, NEXT_FAIL}, {{.status = 304, .location = to}, &follows, NEXT_FAIL},
    {{.flaw = HTTP_BLOCKED}, &usual, NEXT_FATAL}, {{.flaw = HTTP_NO_ANSWER, .status = 200}, &usual, NEXT_FAIL}, {{.flaw = HTTP_TOO_LARGE, .status = 200}, &usual, NEXT_FAIL}};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) assert_int_equal(answer_next(&v[i].a, v[i].w), v[i].next);
}

/* ---- the client ---- */

struct place { int fd; uint16_t port; pthread_t thread; size_t size; char head[4096]; };   /* size 0: "hi" */

static void *serve_one(void *arg) {
  struct place *p = arg;
  int fd = accept(p->fd, NULL, NULL);
  ssize_t n = read(fd, p->head, sizeof p->head - 1);
  p->head[n > 0 ? n : 0] = '\0';
  char *out = wr_calloc(1, p->size + 128);
  size_t head = (size_t)snprintf(out, 128, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", p->size ? p->size : 2);
  if (p->size) memset(out + head, 'x', p->size);
  else memcpy(out + head, "hi", 2);
  size_t all = head + (p->size ? p->size : 2);
  for (size_t at = 0; at < all; at += (size_t)n) assert_true((n = write(fd, out + at, all - at)) > 0);
  free(out);
  close(fd);
  return NULL;
}

static void place_open(struct place *p) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t n = sizeof at;
  p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(p->fd, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(listen(p->fd, 4), 0);
  assert_int_equal(getsockname(p->fd, (struct sockaddr *)&at, &n), 0);
  p->port = ntohs(at.sin_port);
  pthread_create(&p->thread, NULL, serve_one, p);
}

static void place_close(struct place *p) {
  pthread_join(p->thread, NULL);
  close(p->fd);
}

static atomic_int lookups;

static void put_v4(struct addresses *out, const char *s) {
  struct sockaddr_in a = {.sin_family = AF_INET};
  inet_pton(AF_INET, s, &a.sin_addr);
  memcpy(&out->a[out->n].at, &a, sizeof a);
  out->a[out->n++].len = sizeof a;
}

/* flip.test is another address each time; both.test is two. */
static const char *look_up(const char *host, struct addresses *out) {
  int n = atomic_fetch_add(&lookups, 1);
  out->n = 0;
  if (strcmp(host, "none.test") == 0) return "no such name";
  if (strcmp(host, "flip.test") == 0) put_v4(out, n % 2 == 0 ? "127.0.0.1" : "127.0.0.9");
  else put_v4(out, strcmp(host, "private.test") == 0 || strcmp(host, "both.test") == 0 ? "10.0.0.1" : "127.0.0.1");
  if (strcmp(host, "both.test") == 0) put_v4(out, "127.0.0.1");
  return NULL;
}

static void wake(void *ctx) { eventfd_write(*(int *)ctx, 1); }

/* The text of the flaw or the body; the caller frees. */
static char *get(struct http *h, const char *url, enum http_flaw want) {
  int fd = eventfd(0, EFD_CLOEXEC);
  struct pollfd p = {.fd = fd, .events = POLLIN};
  struct http_call *c = http_begin(h, &(struct http_ask){.method = "GET", .url = url}, wake, &fd);
  assert_int_equal(poll(&p, 1, 60000), 1);
  struct http_answer *a = http_done(c);
  assert_non_null(a);
  if (a->flaw != want) fail_msg("%s: flaw %d, %s", url, a->flaw, a->why);
  char *out = wr_strdup(a->flaw ? a->why : a->body);
  http_end(c);
  close(fd);
  return out;
}

static struct http *client(const struct place *p) {
  char rule[64];
  struct wr_err err;
  struct http *h = http_new();
  http_lookup(h, look_up);
  snprintf(rule, sizeof rule, "127.0.0.1/32:%u", p->port);
  assert_int_equal(http_allow(h, rule, &err), WR_OK);
  return h;
}

static void asks(const char *host, enum http_flaw want, const char *text) {
  struct place p = {0};
  char url[64];
  place_open(&p);
  struct http *h = client(&p);
  snprintf(url, sizeof url, "http://%s:%u/", host, p.port);
  char *got = get(h, url, want);
  if (!strstr(got, text)) fail_msg("%s: %s", url, got);
  free(got);
  if (want) free(get(h, (snprintf(url, sizeof url, "http://127.0.0.1:%u/", p.port), url), HTTP_ANSWERED)); /* ends its thread */
  place_close(&p);
  if (!want) assert_non_null(strstr(p.head, "Host: "));
  http_free(h);
}

static void test_names(void **st) {
  (void)st;
  asks("good.test", HTTP_ANSWERED, "hi");
  asks("private.test", HTTP_BLOCKED, "10.0.0.1");
  asks("both.test", HTTP_ANSWERED, "hi");
  asks("none.test", HTTP_NO_ANSWER, "no such name");
  asks("127.0.0.2", HTTP_BLOCKED, "127.0.0.2");
}

/* The address that was checked is the one that is asked: there is no second lookup that could say another. */
static void test_pinned(void **st) {
  (void)st;
  atomic_store(&lookups, 0);
  asks("flip.test", HTTP_ANSWERED, "hi");
  assert_int_equal(atomic_load(&lookups), 1);
}

static void test_own(void **st) {
  (void)st;
  struct http *h = http_new();
  struct wr_err err;
  char why[URL_WHY], url[64];
  http_lookup(h, look_up);
  assert_int_equal(http_allow(h, "127.0.0.0/8:*", &err), WR_OK);
  assert_int_equal(http_allow(h, "0.0.0.0/32:*", &err), WR_OK);
  assert_int_equal(http_allow(h, "::/0:*", &err), WR_OK);
  assert_int_equal(http_allow(h, "192.168.0.0/16:*", &err), WR_OK);
  http_refuse(h, "192.168.7.7", 8087);
  http_refuse(h, "127.0.0.1", 8088);
  http_refuse(h, "::1", 8090);
  static const struct http_listener members[] = {{"127.0.0.1", 9001}, {"0.0.0.0", 9002}, {"::", 9003}, {"192.168.7.8", 9004}, {"::ffff:127.0.0.3", 9005}};
  http_refuse_members(h, members, sizeof members / sizeof *members);
  http_refuse(h, "0.0.0.0", 8089);
  http_refuse_url(h, "mysql://u:p@w@good.test/db", 3306);
  http_refuse_url(h, "redis://127.0.0.5:7000/0", 6379);
  http_refuse_url(h, "redis+unix:///tmp/x", 6379);
  http_refuse_url(h, "sqlite:/x", 3306);
  http_refuse_url(h, "memory:", 6379);
  static const struct { const char *at; int rc; } v[] = {{"127.0.0.1:8088", -1}, {"0.0.0.0:8088", -1}, {"127.0.0.2:8088", -1}, {"127.0.0.1:8089", -1}, {"127.0.0.7:8089", -1},
                                                         {"127.0.0.5:7000", -1}, {"127.0.0.5:6379", 0}, {"127.0.0.1:90", 0},
    {"127.0.0.6:7000", -1}, {"[::ffff:127.0.0.6]:7000", -1}, {"[::1]:7000", -1}, {"[::]:8088", -1}, {"[::ffff:127.9.9.9]:8088", -1}, {"[::ffff:0.0.0.0]:8088", -1},
    {"127.3.3.3:8090", -1}, {"[::ffff:127.0.0.2]:8090", -1}, {"[::ffff:127.0.0.2]:91", 0}, {"192.168.7.7:8087", -1}, {"[::ffff:192.168.7.7]:8087", -1},
    {"192.168.7.9:8087", 0}, {"127.0.0.1:8087", 0}, {"192.168.7.7:8088", 0},
    {"127.0.0.2:9001", -1}, {"[::ffff:127.0.0.2]:9001", -1}, {"[::1]:9001", -1}, {"0.0.0.0:9001", -1}, {"127.0.0.2:9002", -1}, {"127.0.0.2:9003", -1}, {"[::1]:9003", -1},
    {"127.0.0.2:9004", 0}, {"192.168.7.8:9004", -1}, {"[::ffff:192.168.7.8]:9004", -1}, {"192.168.7.8:9001", 0}, {"127.0.0.1:9005", -1}};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    snprintf(url, sizeof url, "http://%s/", v[i].at);
    if (http_check_url(h, url, why) != v[i].rc) fail_msg("%s", url);
  }
  free(get(h, "http://127.0.0.1:3306/", HTTP_BLOCKED)); /* the store has a name, which is looked up */
  free(get(h, "http://good.test:3306/", HTTP_BLOCKED));
  free(get(h, "http://good.test:8088/", HTTP_BLOCKED));
  http_free(h);
}

static struct http_call *begin(struct http *h, struct place *p, size_t size, int *fd) {
  char url[64];
  *p = (struct place){.size = size};
  place_open(p);
  snprintf(url, sizeof url, "http://127.0.0.1:%u/", p->port);
  return http_begin(h, &(struct http_ask){.method = "GET", .url = url}, wake, fd);
}

/* Several answers of nobody else: what would come by itself has come then. */
static void small_ones(struct http *h) {
  for (int i = 0; i < 5; i++) {
    struct place p;
    int fd = eventfd(0, EFD_CLOEXEC);
    struct pollfd woken = {.fd = fd, .events = POLLIN};
    struct http_call *c = begin(h, &p, 0, &fd);
    assert_int_equal(poll(&woken, 1, 60000), 1);
    assert_string_equal(http_done(c)->body, "hi");
    http_end(c);
    place_close(&p);
    close(fd);
  }
}

static void comes(struct http_call *c, struct place *p, int fd) {
  struct pollfd woken = {.fd = fd, .events = POLLIN};
  assert_int_equal(poll(&woken, 1, 60000), 1);
  assert_int_equal(http_done(c)->flaw, HTTP_ANSWERED);
  assert_int_equal(http_done(c)->len, p->size);
  place_close(p);
  close(fd);
}

static void room(void *ctx) { http_room(*(struct http **)ctx); }

/* A large answer is read while those that were read and those that wait to be stored leave room for it. Small ones never wait. */
static void test_backlog(void **st) {
  (void)st;
  struct http *h = http_new();
  struct wr_err err;
  assert_int_equal(http_allow(h, "127.0.0.1/32:*", &err), WR_OK);
  struct backlog b = {.most = LIMIT_HTTP_ANSWER_BYTES, .room = room, .ctx = &h};
  struct place one, two;
  int fd_one = eventfd(0, EFD_CLOEXEC), fd_two = eventfd(0, EFD_CLOEXEC);
  http_backlog(h, &b);
  struct attempt *a = wr_new(struct attempt);
  attempt_weighs(a, &b, 1);
  struct http_call *first = begin(h, &one, 100000, &fd_one);
  small_ones(h);
  assert_null(http_done(first));   /* one result waits to be stored */
  attempt_free(a);
  comes(first, &one, fd_one);
  struct http_call *second = begin(h, &two, 100000, &fd_two);
  small_ones(h);
  assert_null(http_done(second));  /* nobody has taken the first one over */
  http_end(first);
  comes(second, &two, fd_two);
  http_end(second);
  assert_int_equal(atomic_load(&b.bytes), 0);
  http_free(h);
}

/* What an attempt weighs is told when it goes, and only to whoever found no room. */
static void count_room(void *ctx) { ++*(int *)ctx; }
static void test_weights(void **st) {
  (void)st;
  int told = 0;
  struct backlog b = {.most = 10, .room = count_room, .ctx = &told};
  struct attempt *a = wr_new(struct attempt), *other = wr_new(struct attempt);
  attempt_weighs(a, &b, 6);
  attempt_weighs(other, &b, 3);
  assert_true(backlog_room(&b, 1));
  attempt_weighs(a, &b, 4);
  assert_int_equal(told, 0);
  assert_false(backlog_room(&b, 4));
  attempt_weighs(a, NULL, 0);
  assert_int_equal(told, 1);
  attempt_free(other);
  attempt_free(a);
  assert_int_equal(told, 1);
  assert_int_equal(atomic_load(&b.bytes), 0);
}

/* Calls that are given up at any moment are never told of. */
static void test_given_up(void **st) {
  (void)st;
  struct http *h = http_new();
  http_lookup(h, look_up);
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  eventfd_t n;
  for (int i = 0; i < 200; i++) {
    struct http_call *c = http_begin(h, &(struct http_ask){.method = "GET", .url = i % 2 ? "http://good.test:1/" : "http://10.0.0.1/"}, wake, &fd);
    http_end(c);
    (void)eventfd_read(fd, &n);
  }
  http_free(h);
  assert_int_equal(eventfd_read(fd, &n), -1);
  close(fd);
}

int main(void) {
  const struct CMUnitTest tests[] = {
    cmocka_unit_test(test_special), cmocka_unit_test(test_read_address), cmocka_unit_test(test_rules), cmocka_unit_test(test_urls), cmocka_unit_test(test_join),
    cmocka_unit_test(test_headers), cmocka_unit_test(test_lines), cmocka_unit_test(test_pick), cmocka_unit_test(test_next), cmocka_unit_test(test_names),
    cmocka_unit_test(test_pinned), cmocka_unit_test(test_own), cmocka_unit_test(test_backlog), cmocka_unit_test(test_weights), cmocka_unit_test(test_given_up)};
  return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
