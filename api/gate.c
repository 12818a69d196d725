/* The gate: see gate.h. Pure; any thread; nothing is allocated, nothing of the input is changed. */
#include "gate.h"
#include <string.h>
#include <strings.h>
#include "wr_limits.h"
#include "text.h"

static size_t trimmed(const char *s) {
  size_t n = strlen(s);
  while (n > 0 && s[n - 1] == ' ') n--;
  return n;
}

const char *gate_header(const struct gate_in *in, const char *name, size_t *n) {
  for (size_t i = 0; i < in->n; i++) {
    if (strcasecmp(in->header[i].name, name) != 0) continue;
    if (n) *n = trimmed(in->header[i].value);
    return in->header[i].value;
  }
  return NULL;
}

size_t gate_count(const struct gate_in *in, const char *name) {
  size_t n = 0;
  for (size_t i = 0; i < in->n; i++) n += strcasecmp(in->header[i].name, name) == 0;
  return n;
}

static bool is(const char *s, size_t n, const char *word) { return strlen(word) == n && strncasecmp(s, word, n) == 0; }

/* ---- framing ---- */

static bool token(const char *s) {
  if (!*s) return false;
  for (; *s; s++) {
    bool alnum = (*s >= '0' && *s <= '9') || (*s >= 'A' && *s <= 'Z') || (*s >= 'a' && *s <= 'z');
    if (!alnum && !strchr("!#$%&'*+-.^_`|~", *s)) return false;
  }
  return true;
}

/* One blank between the words of the first line, CRLF behind it. */
static bool first_line(const struct gate_in *in) {
  const char *p = in->method + strlen(in->method);
  if (p + 1 != in->target) return false;
  p = in->target + strlen(in->target);
  if (in->query) {
    if (p + 1 != in->query) return false;
    p = in->query + strlen(in->query);
  }
  if (p + 1 + strlen("HTTP/") != in->version) return false;
  return in->n == 0 || in->version + strlen(in->version) + 2 == in->header[0].name;
}

/* The colon stands directly behind the name, CRLF behind each value, and the empty line behind the last one: no folded line, and
 * no header that did not fit. */
static bool header_lines(const struct gate_in *in) {
  for (size_t i = 0; i < in->n; i++) {
    const struct gate_header *h = &in->header[i];
    if (!token(h->name)) return false;
    for (const char *p = h->name + strlen(h->name) + 1; p < h->value; p++)
      if (*p != ' ') return false;
    const char *end = h->value + strlen(h->value);
    if (i + 1 < in->n && end + 2 != in->header[i + 1].name) return false;
    if (i + 1 == in->n && (end[1] != '\0' || end[2] != '\r' || end[3] != '\0')) return false;
  }
  return true;
}

static enum wr_rc body_length(const struct gate_in *in, struct gate_out *out, struct wr_err *err) {
  size_t n_len = gate_count(in, "Content-Length"), n_te = gate_count(in, "Transfer-Encoding"), n = 0;
  if (n_len + n_te > 1) return wr_err_set(err, WR_BAD_FRAMING, NULL);
  if (n_te) {
    const char *v = gate_header(in, "Transfer-Encoding", &n);
    if (!is(v, n, "chunked") || strcmp(in->version, "1.1") != 0) return wr_err_set(err, WR_BAD_FRAMING, NULL);
    out->length = GATE_CHUNKED;
    return WR_OK;
  }
  out->length = 0;
  if (n_len == 0) return WR_OK;
  const char *v = gate_header(in, "Content-Length", &n);
  if (n == 0 || *v < '0' || *v > '9' || !text_i64(v, n, &out->length)) return wr_err_set(err, WR_BAD_FRAMING, NULL);
  return WR_OK;
}

/* A second header of these would be dropped unread, or another reader would take it for the one that counts. Connection and
 * Upgrade are lists; the readers of Content-Type, Origin, Authorization and Idempotency-Key refuse two with their own codes. */
static bool doubled(const struct gate_in *in) {
  static const char *const once[] = {"Expect", "Content-Encoding", "Sec-Fetch-Site"};
  for (size_t i = 0; i < sizeof once / sizeof *once; i++)
    if (gate_count(in, once[i]) > 1) return true;
  return false;
}

/* A path, or "http://host/path": no other scheme, and no user in front of the host. The library and gate_host() check it. */
static bool target_form(const char *target) {
  if (*target == '/') return true;
  if (strncasecmp(target, "http://", 7) != 0) return false;
  size_t n = strcspn(target + 7, "/");
  return n > 0 && !memchr(target + 7, '@', n);
}

static void wishes(const struct gate_in *in, struct gate_out *out) {
  size_t n = 0;
  const char *v = gate_header(in, "Connection", &n);
  bool v11 = strcmp(in->version, "1.1") == 0;
  /* civetweb keeps the connection when its first Connection header has keep-alive among its options: ours is the
   * narrower rule, so that what the answer says is what happens. */
  out->keep_alive = v ? gate_count(in, "Connection") == 1 && is(v, n, "keep-alive") : v11;
  if (gate_count(in, "Upgrade") > 0 || out->length == GATE_CHUNKED) out->keep_alive = false;
  v = gate_header(in, "Expect", &n);
  out->expect = v11 && v && is(v, n, "100-continue");
}

enum wr_rc gate_framing(const struct gate_in *in, struct gate_out *out, struct wr_err *err) {
  *out = (struct gate_out){0};
  const char *last = in->n ? in->header[in->n - 1].value : in->version;
  /* Checked first, because header_lines() looks three bytes behind the end: the buffer is larger than this limit. */
  size_t bytes = (size_t)(last - in->method) + strlen(last) + 4;
  if (bytes > LIMIT_HEADER_BYTES) {
    enum wr_rc rc = wr_err_set(err, WR_HEADERS_TOO_LARGE, NULL);
    if (err) err->limit = LIMIT_HEADER_BYTES, err->got = (int64_t)bytes;
    return rc;
  }
  if (in->n >= LIMIT_HEADERS || !first_line(in) || !header_lines(in) || doubled(in)) return wr_err_set(err, WR_BAD_FRAMING, NULL);
  if (!target_form(in->target))
    return wr_err_set(err, WR_BAD_REQUEST, "The target of the request must be a path of this server.");
  size_t hosts = gate_count(in, "Host");
  if (hosts > 1 || (hosts == 0 && strcmp(in->version, "1.1") == 0))
    return wr_err_set(err, WR_BAD_FRAMING, "A request must have one Host header. Connection closed.");
  enum wr_rc rc = body_length(in, out, err);
  if (rc == WR_OK) wishes(in, out);
  return rc;
}

/* ---- path ---- */

/* Empty, "." and ".." segments; what stands before the first '/' must be nothing. */
static bool odd_segments(const char *path) {
  if (*path != '/') return true;
  for (const char *s = path + 1;; s++) {
    size_t n = strcspn(s, "/");
    if (n == 0 || (n == 1 && *s == '.') || (n == 2 && s[0] == '.' && s[1] == '.')) return true;
    s += n;
    if (!*s) return false;
  }
}

enum wr_rc gate_path(const char *target, char out[GATE_PATH_MAX], struct wr_err *err) {
  size_t n = 0;
  bool odd = false;
  for (const char *s = target; *s; s++) {
    char c = *s;
    if (c == '%') {
      int byte = text_percent(s, strnlen(s, 3));
      if (byte <= 0) return wr_err_set(err, WR_BAD_REQUEST, "The path has a wrong %%-sequence.");
      c = (char)byte;
      s += 2;
      if (strchr("/.\\", c) || (unsigned char)c < 0x20) odd = true;
    }
    if (n + 1 < GATE_PATH_MAX) out[n] = c;
    n++;
  }
  if (n + 1 > GATE_PATH_MAX) odd = true;
  out[n < GATE_PATH_MAX ? n : GATE_PATH_MAX - 1] = '\0';
  if (odd || odd_segments(out)) return wr_err_set(err, WR_NO_ROUTE, NULL);
  return WR_OK;
}

/* ---- who may ask ---- */

/* "name", "name:80", "[::1]:80": length of the name; 0 when it is not of that form. */
static size_t host_name_len(const char *s, size_t n) {
  size_t name = 0;
  if (n > 0 && s[0] == '[') {
    while (name < n && s[name] != ']') name++;
    name++;
  } else {
    while (name < n && s[name] != ':') name++;
  }
  if (name == 0 || name > n) return 0;
  int64_t port;
  if (name < n && (s[name] != ':' || !text_i64(s + name + 1, n - name - 1, &port) || port < 1 || port > 65535)) return 0;
  return name;
}

static bool ipv4_literal(const char *s, size_t n) {
  int dots = 0;
  for (size_t i = 0, digits = 0; i < n; i++) {
    if (s[i] == '.') {
      if (digits == 0) return false;
      dots++, digits = 0;
    } else if (s[i] < '0' || s[i] > '9' || ++digits > 3) {
      return false;
    }
  }
  return dots == 3 && n > 0 && s[n - 1] != '.';
}

enum wr_rc gate_host(const struct gate_in *in, const struct gate_hosts *hosts, struct wr_err *err) {
  size_t n = 0;
  const char *v = gate_header(in, "Host", &n);
  if (!v) return WR_OK;
  n = host_name_len(v, n);
  for (size_t i = 0; n > 0 && i < hosts->n; i++)
    if (is(v, n, hosts->name[i])) return WR_OK;
  if (hosts->any && ipv4_literal(v, n)) return WR_OK;
  return wr_err_set(err, WR_WRONG_HOST, NULL);
}

static bool safe(const char *method) { return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0; }

enum wr_rc gate_origin(const struct gate_in *in, struct wr_err *err) {
  if (safe(in->method)) return WR_OK;
  size_t n = 0, n_host = 0;
  const char *site = gate_header(in, "Sec-Fetch-Site", &n);
  if (site && !is(site, n, "same-origin") && !is(site, n, "none")) return wr_err_set(err, WR_CROSS_SITE, NULL);
  const char *origin = gate_header(in, "Origin", &n), *host = gate_header(in, "Host", &n_host);
  if (!origin) return WR_OK;
  size_t scheme = n > 7 && strncasecmp(origin, "http://", 7) == 0 ? 7 : n > 8 && strncasecmp(origin, "https://", 8) == 0 ? 8 : 0;
  if (!scheme || !host || gate_count(in, "Origin") > 1) return wr_err_set(err, WR_CROSS_SITE, NULL);
  if (n - scheme != n_host || strncasecmp(origin + scheme, host, n_host) != 0) return wr_err_set(err, WR_CROSS_SITE, NULL);
  return WR_OK;
}

enum wr_rc gate_body(const struct gate_in *in, struct wr_err *err) {
  size_t n = 0;
  const char *v = gate_header(in, "Content-Encoding", &n);
  if (v && !is(v, n, "identity")) return wr_err_set(err, WR_ENCODING, NULL);
  v = gate_header(in, "Content-Type", &n);
  if (!v || gate_count(in, "Content-Type") > 1) return wr_err_set(err, WR_WRONG_CONTENT_TYPE, NULL);
  size_t type = 0;
  while (type < n && v[type] != ';' && v[type] != ' ') type++;
  if (!is(v, type, "application/json")) return wr_err_set(err, WR_WRONG_CONTENT_TYPE, NULL);
  return WR_OK;
}
