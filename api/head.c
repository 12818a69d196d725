/* The head of a request: see head.h. */
#include "head.h"
#include <string.h>
#include <strings.h>
#include "text.h"

int head_length(const char *p, size_t n, size_t seen) {
  enum { BACK = 3 }; /* how far back the end of the head may have begun */
  for (size_t i = seen > BACK ? seen - BACK : 0; i < n; i++) {
    unsigned char c = (unsigned char)p[i];
    if (c == '\n') {
      if (i + 1 < n && p[i + 1] == '\n') return (int)i + 2;
      if (i > 0 && p[i - 1] == '\r' && i + 2 < n && p[i + 1] == '\r' && p[i + 2] == '\n') return (int)i + 3;
    } else if (c != '\r' && (c < 32 || c == 127)) {
      return -1;
    }
  }
  return 0;
}

static bool graph(char c) { return c > ' ' && c < 127; }

/* The next line without its end, which must be CRLF. NULL: there is none, or it is not sound. */
static const char *next_line(const char **p, const char *end, size_t *n) {
  const char *line = *p, *lf = memchr(line, '\n', (size_t)(end - line));
  if (!lf || lf == line || lf[-1] != '\r') return NULL;
  *n = (size_t)(lf - 1 - line);
  if (memchr(line, '\r', *n)) return NULL;
  *p = lf + 1;
  return line;
}

bool head_sound(const char *p, size_t n) {
  const char *end = p + n, *line;
  size_t len, k = 0;
  while (p < end) {
    line = next_line(&p, end, &len);
    if (!line) return false;
    if (len == 0) return p == end && k > 0;
    if (k < 2 && !graph(*line)) return false; /* of later lines the gate sees that they are folded */
    k++;
  }
  return false;
}

/* The value of a header line when it has that name. */
static const char *value_of(const char *line, size_t n, const char *name, size_t *len) {
  size_t k = strlen(name);
  if (n <= k || line[k] != ':' || strncasecmp(line, name, k) != 0) return NULL;
  const char *v = line + k + 1, *end = line + n;
  while (v < end && *v == ' ') v++;
  while (end > v && end[-1] == ' ') end--;
  *len = (size_t)(end - v);
  return v;
}

int64_t head_body(const char *p, size_t n) {
  const char *end = p + n, *line, *v;
  size_t len, k;
  int64_t bytes = 0;
  while ((line = next_line(&p, end, &len)) && len > 0) {
    if (value_of(line, len, "Transfer-Encoding", &k) || value_of(line, len, "Expect", &k)) return -1;
    v = value_of(line, len, "Content-Length", &k);
    if (v && (k == 0 || *v < '0' || *v > '9' || !text_i64(v, k, &bytes))) return -1;
  }
  return line ? bytes : -1;
}

enum head_probe head_probe(const char *p, size_t n) {
  size_t at = n > 4 && memcmp(p, "GET ", 4) == 0 ? 4 : n > 5 && memcmp(p, "HEAD ", 5) == 0 ? 5 : 0;
  static const char *const path[] = {[HEAD_LIVEZ] = "/livez", [HEAD_READYZ] = "/readyz"};
  for (int i = HEAD_LIVEZ; at > 0 && i <= HEAD_READYZ; i++) {
    size_t k = strlen(path[i]);
    if (n <= at + k || memcmp(p + at, path[i], k) != 0 || (p[at + k] != ' ' && p[at + k] != '?')) continue;
    return head_sound(p, n) && head_body(p, n) == 0 ? (enum head_probe)i : HEAD_NO_PROBE;
  }
  return HEAD_NO_PROBE;
}

/* Ends the word at *p, which must be followed by `by`, and moves *p behind it. NULL: `by` does not follow. */
static char *head_word(char **p, char *end, char by) {
  char *w = *p, *stop = w;
  while (stop < end && graph(*stop)) stop++;
  if (stop == end || stop == w || *stop != by) return NULL;
  *stop = '\0';
  *p = stop + 1;
  return w;
}

static bool cut_header(char **at, char *end, struct gate_header *h) {
  char *p = *at, *colon = memchr(p, ':', (size_t)(end - p)), *cr = memchr(p, '\r', (size_t)(end - p));
  if (!colon || !cr || colon > cr) return false;
  *colon = cr[0] = cr[1] = '\0';
  h->name = p;
  for (p = colon + 1; *p == ' '; p++) {}
  h->value = p;
  *at = cr + 2;
  return true;
}

bool head_cut(char *p, size_t n, struct gate_header header[LIMIT_HEADERS], struct gate_in *out) {
  if (!head_sound(p, n)) return false;
  char *end = p + n, *version, *query;
  *out = (struct gate_in){.header = header};
  out->method = head_word(&p, end, ' ');
  char *target = out->method ? head_word(&p, end, ' ') : NULL;
  version = target ? head_word(&p, end, '\r') : NULL;
  if (!version || (strcmp(version, "HTTP/1.1") != 0 && strcmp(version, "HTTP/1.0") != 0)) return false;
  *p++ = '\0';
  query = strchr(target, '?');
  if (query) *query++ = '\0';
  out->target = target;
  out->query = query;
  out->version = version + 5;
  while (p < end - 2) {
    if (out->n == LIMIT_HEADERS || !cut_header(&p, end, &header[out->n])) return false;
    out->n++;
  }
  end[-1] = '\0';
  return true;
}
