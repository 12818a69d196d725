/* The gate in front of a forgiving HTTP parser: whatever that parser makes of the bytes, a request that passes the gate is
 * one that a strict reader of RFC 9112 takes for the same request, with the same end. Else two readers of one connection
 * would not agree where the next request begins. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "fuzz.h"
#include "gate.h"
#include "head.h"
#include "wr_limits.h"
#include "mem.h"
#include "text.h"

enum { MAX_HEADERS = 64, SLACK = 8 };

/* ---- the forgiving parser ---- */

struct forgiving { char *buf; struct gate_header header[MAX_HEADERS]; struct gate_in in; size_t n; };

static bool graph(char c) { return c > 32 && c < 127; }
static bool blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* Bytes up to the empty line, 0 = there is none. Both kinds of line end will do. */
static size_t head_bytes(const char *s, size_t n) {
  for (size_t i = 0; i < n; i++) {
    if ((unsigned char)s[i] < 128 && s[i] != '\r' && s[i] != '\n' && (s[i] < 32 || s[i] > 126)) return 0;
    if (i + 1 < n && s[i] == '\n' && s[i + 1] == '\n') return i + 2;
    if (i + 3 < n && memcmp(s + i, "\r\n\r\n", 4) == 0) return i + 4;
  }
  return 0;
}

/* Ends the word and goes to the next one over any white space. */
static bool word(char **p, bool last) {
  while (graph(**p)) ++*p;
  if (last ? **p != '\r' && **p != '\n' : **p != ' ') return false;
  do *(*p)++ = '\0';
  while (blank(**p));
  return last || graph(**p);
}

/* Name, spaces, colon, blanks, value, line end of either kind. False: refused. *more: another line may follow. */
static bool line(char **at, struct gate_header *h, bool *more) {
  char *p = *at;
  h->name = p;
  while (graph(*p) && *p != ':') p++;
  while (*p == ' ') *p++ = '\0';
  if (*p != ':') return false;
  *p++ = '\0';
  while (*p == ' ' || *p == '\t') p++;
  h->value = p;
  while (*p && *p != '\r' && *p != '\n') p++;
  if (*p == '\r') {
    *p++ = '\0';
    if (*p != '\n') return false;
  }
  *more = *p != '\0';
  if (*more) *p++ = '\0';
  *at = p;
  *more = *more && *p != '\r' && *p != '\n';
  return true;
}

static bool headers(struct forgiving *f, char *p) {
  bool more = true;
  while (more && f->in.n < MAX_HEADERS && graph(*p) && *p != ':')
    if (!line(&p, &f->header[f->in.n++], &more)) return false;
  f->in.header = f->header;
  return true;
}

static bool known(const char *method) {
  static const char *const v[] = {"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "CONNECT", "PATCH", "PROPFIND", "MKCOL"};
  size_t i = 0;
  while (i < sizeof v / sizeof *v && strcmp(v[i], method) != 0) i++;
  return i < sizeof v / sizeof *v;
}

/* Cuts the request up in place, as the library does. */
static bool forgive(struct forgiving *f, const char *s, size_t n) {
  f->n = head_bytes(s, n);
  if (f->n == 0) return false;
  f->buf = wr_malloc(f->n + SLACK);
  memset(f->buf, 'x', f->n + SLACK); /* what stands behind it is not the request's */
  memcpy(f->buf, s, f->n);
  f->buf[f->n - 1] = '\0';
  char *p = f->buf;
  f->in.method = p;
  if (!graph(*p) || !word(&p, false)) return false;
  char *target = p;
  f->in.target = p;
  if (!word(&p, false)) return false;
  f->in.version = p;
  if (!word(&p, true) || strncmp(f->in.version, "HTTP/", 5) != 0 || !known(f->in.method)) return false;
  f->in.version += 5;
  char *query = strchr(target, '?');
  if (query) *query++ = '\0';
  f->in.query = query;
  return headers(f, p);
}

/* ---- the strict reader ---- */

struct strict { size_t used, n_header, n_host; int64_t length; bool ok; };

static size_t tchars(const char *s, size_t n) {
  size_t i = 0;
  while (i < n && graph(s[i]) && !strchr("\"(),/:;<=>?@[\\]{}", s[i])) i++;
  return i;
}

static bool named(const char *s, size_t n, const char *name) { return strlen(name) == n && strncasecmp(s, name, n) == 0; }

/* What the header says about the end of the body; any doubt is a refusal. */
static bool body_header(struct strict *r, const char *name, size_t n_name, const char *v, size_t n, bool v11) {
  bool length = named(name, n_name, "Content-Length"), chunked = named(name, n_name, "Transfer-Encoding");
  r->n_host += named(name, n_name, "Host");
  if (!length && !chunked) return true;
  if (r->length != 0 || (chunked && (!v11 || !named(v, n, "chunked")))) return false;
  if (chunked) {
    r->length = GATE_CHUNKED;
    return true;
  }
  for (size_t i = 0; i < n; i++)
    if (v[i] < '0' || v[i] > '9') return false;
  if (n == 0 || !text_i64(v, n, &r->length)) return false;
  if (r->length == 0) r->length = INT64_MIN; /* seen, and zero */
  return true;
}

/* Length of the line at s without its CRLF; n + 1 when it has none. */
static size_t crlf(const char *s, size_t n) {
  const char *end = memmem(s, n, "\r\n", 2);
  return end ? (size_t)(end - s) : n + 1;
}

static bool first_line(const char *s, size_t n, bool *v11) {
  size_t m = tchars(s, n);
  if (m == 0 || m >= n || s[m] != ' ') return false;
  const char *end = memchr(s + m + 1, ' ', n - m - 1);
  if (!end || end == s + m + 1) return false;
  for (const char *p = s + m + 1; p < end; p++)
    if (!graph(*p)) return false;
  size_t left = n - (size_t)(end + 1 - s);
  *v11 = left == 8 && memcmp(end + 1, "HTTP/1.1", 8) == 0;
  return left >= 5 && memcmp(end + 1, "HTTP/", 5) == 0;
}

static struct strict read_strict(const char *s, size_t n) {
  struct strict r = {0}, bad = {0};
  bool v11;
  size_t len = crlf(s, n);
  if (len > n || !first_line(s, len, &v11)) return bad;
  for (size_t at = len + 2;; at += len + 2) {
    len = crlf(s + at, n - at);
    if (len > n - at) return bad;
    if (len == 0) {
      r.used = at + 2;
      break;
    }
    size_t name = tchars(s + at, len), from = name + 1, to = len;
    if (name == 0 || name >= len || s[at + name] != ':' || memchr(s + at, '\n', len) || memchr(s + at, '\r', len)) return bad;
    while (from < to && s[at + from] == ' ') from++;
    while (to > from && s[at + to - 1] == ' ') to--;
    if (!body_header(&r, s + at, name, s + at + from, to - from, v11)) return bad;
    r.n_header++;
  }
  r.ok = r.n_host <= 1 && (r.n_host == 1 || !v11);
  if (r.length == INT64_MIN) r.length = 0;
  return r;
}

static void check_strict(const char *s, size_t n, const struct forgiving *f, const struct gate_out *out) {
  struct strict r = read_strict(s, n);
  wr_assert(r.ok && r.used == f->n && r.n_header == f->in.n && r.length == out->length);
}

/* ---- the rest of the gate ---- */

static void check_path(const char *target) {
  char out[GATE_PATH_MAX + 8];
  struct wr_err err;
  memset(out, 0x5A, sizeof out);
  enum wr_rc rc = gate_path(target, out, &err);
  wr_assert(memcmp(out + GATE_PATH_MAX, "\x5A\x5A\x5A\x5A", 4) == 0);
  if (rc) {
    fuzz_check_err(rc, &err);
    return;
  }
  wr_assert(out[0] == '/' && out[1] && strlen(out) < GATE_PATH_MAX && strlen(out) <= strlen(target));
  wr_assert(!strstr(out, "//") && !strstr(out, "/./") && !strstr(out, "/../") && out[strlen(out) - 1] != '/');
}

static void check_who(const struct gate_in *in) {
  static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
  struct wr_err err;
  size_t n = 0;
  enum wr_rc rc = gate_host(in, &(struct gate_hosts){names, 3, false}, &err);
  const char *host = gate_header(in, "Host", &n);
  if (rc) fuzz_check_err(rc, &err);
  else wr_assert(!host || strncasecmp(host, "localhost", 9) == 0 || strncmp(host, "127.0.0.1", 9) == 0 || strncmp(host, "[::1]", 5) == 0);
  if ((rc = gate_host(in, &(struct gate_hosts){names, 3, true}, &err))) fuzz_check_err(rc, &err);
  if ((rc = gate_origin(in, &err))) fuzz_check_err(rc, &err);
  if ((rc = gate_body(in, &err))) fuzz_check_err(rc, &err);
}

/* The cut that the front makes of a probe: a request that passes the gate after it is a strict reader's request as well. */
static void check_cut(const char *s, size_t n) {
  struct gate_header header[LIMIT_HEADERS];
  struct gate_in in;
  struct gate_out out;
  int head = head_length(s, n, 0);
  if (head <= 0) return;
  char *copy = wr_memdup0(s, (size_t)head);
  if (head_cut(copy, (size_t)head, header, &in) && known(in.method) && gate_framing(&in, &out, NULL) == WR_OK) {
    struct strict r = read_strict(s, n);
    wr_assert(r.ok && r.used == (size_t)head && r.n_header == in.n && r.length == out.length);
    wr_assert(head_probe(s, (size_t)head) == HEAD_NO_PROBE || out.length == 0);
  }
  free(copy);
}

int fuzz_gate(const uint8_t *data, size_t n) {
  const char *s = (const char *)data;
  struct forgiving f = {0};
  check_cut(s, n);
  if (forgive(&f, s, n)) {
    struct gate_out out;
    struct wr_err err;
    enum wr_rc rc = gate_framing(&f.in, &out, &err);
    wr_assert(head_length(s, n, 0) == (int)f.n && head_length(s, n, f.n - 1) == (int)f.n);
    if (rc) {
      fuzz_check_err(rc, &err);
    } else if (head_sound(s, f.n)) { /* the raw lines are looked at too: what the library erased shows there */
      /* The library saw no header, be it that it could not read the first: no body then, and nothing comes after. */
      if (f.in.n == 0) wr_assert(out.length == 0 && !out.keep_alive);
      else check_strict(s, n, &f, &out);
      wr_assert(f.n <= LIMIT_HEADER_BYTES && f.in.n < LIMIT_HEADERS);
      check_who(&f.in);
    }
    check_path(f.in.target);
  }
  free(f.buf);
  return 0;
}
