/* Heads as raw bytes: where they end, whether their lines are sound, which are probes, and that what is cut up here is what
 * the gate takes. Pure; deterministic. */
#include "unit.h"
#include <string.h>
#include "head.h"

static int length(const char *s) { return head_length(s, strlen(s), 0); }

static void ends(void **st) {
  (void)st;
  static const struct { const char *text; int n; } v[] = {
    {"", 0}, {"GET / HTTP/1.1\r\n", 0}, {"GET / HTTP/1.1\r\n\r", 0}, {"GET / HTTP/1.1\r\n\r\n", 18}, {"GET / HTTP/1.1\r\n\r\nmore", 18},
    {"a\n\nb", 3}, {"a\r\n\r\n", 5}, {"\r\n\r\n", 4}, {"\n\n", 2}, {"\r\n", 0}, {"a\n\r\n", 0}, {"a\r\n\n", 4}, {"a\tb", -1}, {"a\x01", -1},
    {"a\x7f", -1}, {"\x16\x03\x01", -1}, {"a\xff", 0}, {"a\r\n\r\n\x01", 5}};
  for (size_t i = 0; i < sizeof v / sizeof *v; i++)
    if (length(v[i].text) != v[i].n) fail_msg("%zu: %d", i, length(v[i].text));
  /* Whatever arrives first: never an end that the whole does not have. */
  static const char whole[] = "POST /flow HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
  for (size_t n = 0; n < sizeof whole - 1; n++) assert_int_equal(head_length(whole, n, n ? n - 1 : 0), 0);
  for (size_t seen = 0; seen < sizeof whole - 1; seen++) /* wherever the last look ended */
    assert_int_equal(head_length(whole, sizeof whole - 1, seen), sizeof whole - 1);
}

static void sound(void **st) {
  (void)st;
  static const char *const good[] = {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n"};
  static const char *const bad[] = {
    "\r\n\r\n", "\r\nGET / HTTP/1.1\r\n\r\n", " GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\n\n", "GET / HTTP/1.1\r\nA: b\n\r\n\r\n",
    "GET / HTTP/1.1\r\rA: b\r\n\r\n", "GET / HTTP/1.1\n\rA: b\r\n\r\n", "GET / HTTP/1.1\r A: b\r\n\r\n", "GET / HTTP/1.1\r\n A: b\r\n\r\n",
    "GET / HTTP/1.1\r\nA: b\rC: d\r\n\r\n", "GET / HTTP/1.1\r\r\n\r\n", "GET / HTTP/1.1\r\nA: b\r\n", "GET / HTTP/1.1\r\nA: b\r\n\r\nx"};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++)
    if (!head_sound(good[i], strlen(good[i]))) fail_msg("good %zu", i);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (head_sound(bad[i], strlen(bad[i]))) fail_msg("bad %zu", i);
}

static int64_t body(const char *headers) {
  char text[512];
  int n = snprintf(text, sizeof text, "POST /flow HTTP/1.1\r\nHost: a\r\n%s\r\n", headers);
  return head_body(text, (size_t)n);
}

static void bodies(void **st) {
  (void)st;
  assert_int_equal(body(""), 0);
  assert_int_equal(body("Content-Length: 17\r\n"), 17);
  assert_int_equal(body("content-length:17  \r\n"), 17);
  assert_int_equal(body("Content-Length: 0\r\n"), 0);
  static const char *const none[] = {"Content-Length: x\r\n", "Content-Length: -1\r\n", "Content-Length:\r\n", "Content-Length: 1,2\r\n",
                                     "Content-Length: 99999999999999999999\r\n", "Transfer-Encoding: chunked\r\n",
                                     "Content-Length: 5\r\nExpect: 100-continue\r\n", "Content-Length: 5\nX: y\r\n"};
  for (size_t i = 0; i < sizeof none / sizeof *none; i++)
    if (body(none[i]) != -1) fail_msg("%s", none[i]);
}

static void probes(void **st) {
  (void)st;
  static const struct { const char *first; enum head_probe is; } v[] = {
    {"GET /livez HTTP/1.1", HEAD_LIVEZ}, {"HEAD /livez HTTP/1.1", HEAD_LIVEZ}, {"GET /readyz HTTP/1.0", HEAD_READYZ},
    {"GET /readyz?x=1 HTTP/1.1", HEAD_READYZ}, {"GET /livezz HTTP/1.1", HEAD_NO_PROBE}, {"GET /livez/ HTTP/1.1", HEAD_NO_PROBE},
    {"POST /livez HTTP/1.1", HEAD_NO_PROBE}, {"get /livez HTTP/1.1", HEAD_NO_PROBE}, {"GET /flow HTTP/1.1", HEAD_NO_PROBE},
    {"GET  /livez HTTP/1.1", HEAD_NO_PROBE}, {"GET http://a/livez HTTP/1.1", HEAD_NO_PROBE}, {"GET /live%7a HTTP/1.1", HEAD_NO_PROBE}};
  char text[256];
  for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
    int n = snprintf(text, sizeof text, "%s\r\nHost: a\r\n\r\n", v[i].first);
    if (head_probe(text, (size_t)n) != v[i].is) fail_msg("%s", v[i].first);
  }
  static const char *const not[] = {"Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n", "X: y\n\r\n"};
  for (size_t i = 0; i < sizeof not / sizeof *not; i++) {
    int n = snprintf(text, sizeof text, "GET /livez HTTP/1.1\r\nHost: a\r\n%s\r\n", not[i]);
    assert_int_equal(head_probe(text, (size_t)n), HEAD_NO_PROBE);
  }
}

/* What passes the gate after this cut has the same words. */
static void cuts(void **st) {
  (void)st;
  struct gate_header h[LIMIT_HEADERS];
  struct gate_in in;
  struct gate_out out;
  char good[] = "GET /readyz?a=b HTTP/1.1\r\nHost: localhost:1\r\nX:  y  \r\nConnection: close\r\n\r\n";
  assert_true(head_cut(good, sizeof good - 1, h, &in));
  assert_int_equal(gate_framing(&in, &out, NULL), WR_OK);
  assert_string_equal(in.method, "GET");
  assert_string_equal(in.target, "/readyz");
  assert_string_equal(in.query, "a=b");
  assert_string_equal(in.version, "1.1");
  assert_int_equal(in.n, 3);
  assert_string_equal(gate_header(&in, "host", NULL), "localhost:1");
  assert_false(out.keep_alive);
  char bare[] = "GET /livez HTTP/1.0\r\n\r\n";
  assert_true(head_cut(bare, sizeof bare - 1, h, &in));
  assert_int_equal(gate_framing(&in, &out, NULL), WR_OK);
  static const char *const cut_off[] = {"GET /livez HTTP/2.0\r\nHost: a\r\n\r\n", "GET /livez\r\n\r\n", "GET /livez HTTP/1.1 \r\n\r\n",
                                        "GET /livez HTTP/1.1\r\nnone\r\n\r\n", "GET  /livez HTTP/1.1\r\n\r\n"};
  static const char *const gated[] = {"GET /livez HTTP/1.1\r\n\r\n", "GET /livez HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
                                      "GET /livez HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", "GET /livez HTTP/1.1\r\nHost: a\r\n X: y\r\n\r\n",
                                      "GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"};
  char text[256];
  for (size_t i = 0; i < sizeof cut_off / sizeof *cut_off; i++) {
    int n = snprintf(text, sizeof text, "%s", cut_off[i]);
    if (head_cut(text, (size_t)n, h, &in)) fail_msg("%s", cut_off[i]);
  }
  for (size_t i = 0; i < sizeof gated / sizeof *gated; i++) {
    int n = snprintf(text, sizeof text, "%s", gated[i]);
    if (head_cut(text, (size_t)n, h, &in) && gate_framing(&in, &out, NULL) == WR_OK) fail_msg("%s", gated[i]);
  }
}

static void many(void **st) {
  (void)st;
  struct gate_header h[LIMIT_HEADERS];
  struct gate_in in;
  for (int n = LIMIT_HEADERS - 1; n <= LIMIT_HEADERS + 1; n++) {
    char text[2048];
    size_t at = (size_t)snprintf(text, sizeof text, "GET /livez HTTP/1.1\r\n");
    for (int i = 0; i < n; i++) at += (size_t)snprintf(text + at, sizeof text - at, "X-%d: y\r\n", i);
    at += (size_t)snprintf(text + at, sizeof text - at, "\r\n");
    assert_int_equal(head_cut(text, at, h, &in), n <= LIMIT_HEADERS);
  }
}

int main(void) {
  const struct CMUnitTest t[] = {cmocka_unit_test(ends), cmocka_unit_test(sound), cmocka_unit_test(bodies), cmocka_unit_test(probes),
                                 cmocka_unit_test(cuts), cmocka_unit_test(many)};
  return cmocka_run_group_tests(t, NULL, NULL);
}
