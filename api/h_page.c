/* /openapi.json, /swagger-ui.html and the files of that page. They are open to everyone, because they hold no data. All of them
 * lie in the program (page_files.h) and are sent from there: no disk, no store, no runner, no memory of a request's own. Any API
 * thread. What never happens: a script in the page that is not one of these files, or a request of the page to another server.
 * The browser refuses both, as the page's Content-Security-Policy says. */
#include <string.h>
#include <strings.h>
#include "call.h"

#define PAGE_POLICY \
  "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " \
  "base-uri 'none'; form-action 'self'; frame-ancestors 'none'\r\nReferrer-Policy: no-referrer\r\n"

/* ---- what the client says ---- */

/* "gzip", and its weight is not 0, as in "gzip;q=0.000". s: a member of the list and what follows it. */
static bool member_takes_gzip(const char *s) {
  s += strspn(s, " ");
  if (strncasecmp(s, "gzip", 4) != 0) return false;
  s += 4 + strspn(s + 4, " ");
  if (*s != ';') return *s == ',' || *s == '\0';
  s += 1 + strspn(s + 1, " ");
  if (strncasecmp(s, "q=", 2) != 0) return false;
  s += 2 + strspn(s + 2, "0.");
  return *s >= '1' && *s <= '9';
}

/* Whoever names gzip gets it; everybody else, "*" too, gets the file as it is, which is always right. */
static bool takes_gzip(const struct gate_in *in) {
  const char *s = gate_header(in, "Accept-Encoding", NULL);
  while (s && *s) {
    if (member_takes_gzip(s)) return true;
    s += strcspn(s, ",");
    s += *s == ',';
  }
  return false;
}

/* One value of If-None-Match: "*", or a list of quoted tags, each perhaps with W/ in front. tag: with its quotes. */
static bool names_tag(const char *s, const char *tag) {
  size_t n = strlen(tag);
  s += strspn(s, " ");
  if (*s == '*') return true;
  for (;;) {
    s += strspn(s, " ,");
    if (strncmp(s, "W/", 2) == 0) s += 2;
    if (*s != '"') return false;
    if (strncmp(s, tag, n) == 0) return true;
    s += 1 + strcspn(s + 1, "\"");
    s += *s == '"';
  }
}

static bool has_it(const struct gate_in *in, const char *tag) {
  for (size_t i = 0; i < in->n; i++)
    if (strcasecmp(in->header[i].name, "If-None-Match") == 0 && names_tag(in->header[i].value, tag)) return true;
  return false;
}

/* ---- the answer ---- */

static const struct page_file *find_file(const char *path) {
  for (size_t i = 0; i < n_page_files; i++)
    if (strcmp(page_files[i].path, path) == 0) return &page_files[i];
  return NULL;
}

enum wr_rc h_page(struct call *c) {
  const struct page_file *f = find_file(c->path);
  const struct gate_in *in = &c->http->in;
  if (!f) return call_fail(c, WR_NOT_FOUND, "The API page has no such file.");
  bool gzip = takes_gzip(in);
  char tag[80];
  snprintf(tag, sizeof tag, "\"%s%s\"", f->tag, gzip ? "-gzip" : ""); /* two contents, so two tags */
  struct buf *headers = &c->http->scratch->text;
  buf_clear(headers);
  buf_printf(headers, "Cache-Control: no-cache\r\nETag: %s\r\nVary: Accept-Encoding\r\n%s%s", tag,
             gzip ? "Content-Encoding: gzip\r\n" : "", strncmp(f->type, "text/html", 9) == 0 ? PAGE_POLICY : "");
  c->fixed = (struct http_fixed){.status = has_it(in, tag) ? 304 : 200, .type = f->type, .headers = headers->data,
                                 .data = gzip ? f->gzip : f->plain, .n = gzip ? f->n_gzip : f->n_plain};
  return WR_OK;
}
