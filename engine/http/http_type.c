/* HTTP: one request to a URL that the task names, by the contract of http_task.h. taskConfig is data: nothing in it is replaced
 * by parameters, and no header or URL is made of them. check() is pure, but for the rules of the node that it asks; it may run on
 * any thread. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "http_task.h"
#include "json_out.h"
#include "meant.h"
#include "wr_limits.h"
#include "pointer.h"

typedef int field_fn(struct http_spec *s, const json_t *v, const struct wx_refusal *r);

static int read_url(struct http_spec *s, const json_t *v, const struct wx_refusal *r) {
  if (!json_is_string(v)) return wx_refuse(r, WX_BAD_TYPE, "url must be a text.");
  s->url = arena_strdup(&s->a, json_string_value(v));
  return 0;
}

static int read_method(struct http_spec *s, const json_t *v, const struct wx_refusal *r) {
  static const char *const known[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
  if (!json_is_string(v)) return wx_refuse(r, WX_BAD_TYPE, "method must be a text.");
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcmp(known[i], json_string_value(v)) == 0) return s->method = known[i], 0;
  return wx_refuse(r, WX_OUT_OF_RANGE, "method must be GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS, in capitals.");
}

static int read_header(struct http_spec *s, const char *name, const json_t *v, const struct wx_refusal *r) {
  char q[WR_QUOTE_MAX];
  wr_err_quote(q, name, strlen(name));
  if (!json_is_string(v)) return wx_refuse(r, WX_BAD_TYPE, "headers: %s must be a text.", q);
  const char *value = json_string_value(v), *flaw = http_header_flaw(name, value, json_string_length(v));
  if (flaw) return wx_refuse(r, WX_OUT_OF_RANGE, "BAD_HEADER: headers: %s %s.", q, flaw);
  size_t n = strlen(name) + strlen(value) + 3;
  char *line = arena_alloc(&s->a, n);
  /* a value of nothing: libcurl sends a header without one when it ends with a semicolon */
  if (*value) (void)snprintf(line, n, "%s: %s", name, value);
  else (void)snprintf(line, n, "%s;", name);
  s->header[s->n_header++] = line;
  if (strcasecmp(name, "Content-Type") == 0) s->content_type = "";
  return 0;
}

static int read_headers(struct http_spec *s, const json_t *v, const struct wx_refusal *r) {
  const char *name;
  const json_t *value;
  if (!json_is_object(v)) return wx_refuse(r, WX_BAD_TYPE, "headers must be an object of texts.");
  size_t n = json_object_size(v);
  if (n > LIMIT_HTTP_HEADERS) return wx_refuse(r, WX_OUT_OF_RANGE, "headers has more than %d names.", LIMIT_HTTP_HEADERS);
  s->header = arena_alloc(&s->a, (n + 1) * sizeof *s->header);
  json_t *all = (json_t *)(uintptr_t)v; /* iterating changes nothing */
  for (void *at = json_object_iter(all); at; at = json_object_iter_next(all, at)) {
    name = json_object_iter_key(at);
    value = json_object_iter_value(at);
    if (read_header(s, name, value, r)) return -1;
  }
  return 0;
}

int http_spec_headers(struct http_spec *s, const json_t *headers, int *code, char *err, size_t err_n) {
  return read_headers(s, headers, &(struct wx_refusal){code, err, err_n});
}

static int read_body(struct http_spec *s, const json_t *v, const struct wx_refusal *r) {
  char *text = json_is_string(v) ? NULL : json_text(v, 0);
  (void)r;
  s->body_len = text ? strlen(text) : json_string_length(v);
  s->body = arena_memdup0(&s->a, text ? text : json_string_value(v), s->body_len);
  bool given = s->content_type && !*s->content_type;
  if (!given) s->content_type = text ? "Content-Type: application/json" : "Content-Type: text/plain; charset=utf-8";
  free(text);
  return 0;
}

static int read_status(struct http_spec *s, const json_t *v, const struct wx_refusal *r) {
  size_t n = json_array_size(v);
  if (!json_is_array(v)) return wx_refuse(r, WX_BAD_TYPE, "status must be an array of numbers.");
  if (n < 1 || n > LIMIT_HTTP_STATUSES)
    return wx_refuse(r, WX_OUT_OF_RANGE, "status must have 1 to %d numbers.", LIMIT_HTTP_STATUSES);
  s->status = arena_alloc(&s->a, n * sizeof *s->status);
  for (size_t i = 0; i < n; i++) {
    const json_t *one = json_array_get(v, i);
    if (!json_is_integer(one)) return wx_refuse(r, WX_BAD_TYPE, "status must be an array of numbers.");
    json_int_t x = json_integer_value(one);
    if (x < 200 || x > 599) return wx_refuse(r, WX_OUT_OF_RANGE, "status: a number is not from 200 to 599.");
    s->status[s->n_status++] = (int)x;
  }
  return 0;
}

static int read_pointer(struct http_spec *s, const json_t *v, const struct wx_refusal *r) {
  if (!json_is_string(v)) return wx_refuse(r, WX_BAD_TYPE, "pointer must be a text.");
  s->pointer = arena_strdup(&s->a, json_string_value(v));
  return pointer_form(s->pointer) ? 0 : wx_refuse(r, WX_OUT_OF_RANGE, "pointer is no JSON pointer such as /items/0/name.");
}

static int read_redirects(struct http_spec *s, const json_t *v, const struct wx_refusal *r) {
  if (!json_is_integer(v)) return wx_refuse(r, WX_BAD_TYPE, "redirects must be a number.");
  json_int_t n = json_integer_value(v);
  if (n < 0 || n > LIMIT_HTTP_REDIRECTS)
    return wx_refuse(r, WX_OUT_OF_RANGE, "redirects must be from 0 to %d.", LIMIT_HTTP_REDIRECTS);
  s->redirects = (int)n;
  return 0;
}

/* ---- all of it ---- */

static int read_field(struct http_spec *s, const char *key, const json_t *v, const struct wx_refusal *r) {
  static const char *const known[] = {"url", "method", "headers", "body", "status", "pointer", "redirects",
                                      "attempts", "backoff", "timeout", "queueTimeout", "onLost", "queue", "labels",
                                      "analyzer", "analyzerAttempts", "analyzerTimeout", "childFailure", "runTimeout"};
  static field_fn *const read[] = {read_url, read_method, read_headers, read_body, read_status, read_pointer, read_redirects};
  const size_t n = sizeof known / sizeof *known;
  char q[WR_QUOTE_MAX], all[MEANT_LIST];
  for (size_t i = 0; i < sizeof read / sizeof *read; i++)
    if (strcmp(key, known[i]) == 0) return read[i](s, v, r);
  for (size_t i = sizeof read / sizeof *read; i < n; i++)
    if (strcmp(key, known[i]) == 0) return 0; /* the model's, which it has read */
  const char *near = meant(key, known, n);
  wr_err_quote(q, key, strlen(key));
  if (near) return wx_refuse(r, WX_UNKNOWN_FIELD, "taskConfig has no field %s; did you mean %s?", q, near);
  return wx_refuse(r, WX_UNKNOWN_FIELD, "taskConfig has no field %s.%s", q, meant_list(all, key, known, n));
}

static int check_whole(struct http *client, struct http_spec *s, const struct wx_refusal *r) {
  char why[URL_WHY];
  bool reads = strcmp(s->method, "GET") == 0 || strcmp(s->method, "HEAD") == 0;
  if (!s->url || !*s->url) return wx_refuse(r, WX_OUT_OF_RANGE, "HTTP needs a URL: taskConfig.url, or taskContent.");
  if (http_check_url(client, s->url, why)) return wx_refuse(r, WX_URL_BLOCKED, "The URL may not be asked: %s.", why);
  if (reads && s->body) return wx_refuse(r, WX_OUT_OF_RANGE, "body is not for GET and HEAD; set method.");
  return reads || !s->redirects ? 0 : wx_refuse(r, WX_OUT_OF_RANGE, "redirects is for GET and HEAD.");
}

/* headers stand before body: who gives a Content-Type is known then. */
static int read_config(struct http *client, const char *content, const json_t *cfg, struct http_spec *s,
                       const struct wx_refusal *r) {
  s->method = "GET";
  const json_t *headers = json_object_get(cfg, "headers");
  if (headers && read_headers(s, headers, r)) return -1;
  json_t *all = (json_t *)(uintptr_t)cfg; /* iterating changes nothing */
  for (void *at = json_object_iter(all); at; at = json_object_iter_next(all, at)) {
    const char *key = json_object_iter_key(at);
    if (strcmp(key, "headers") != 0 && read_field(s, key, json_object_iter_value(at), r)) return -1;
  }
  if (!s->url && content) s->url = arena_strdup(&s->a, content);
  if (s->content_type && !*s->content_type) s->content_type = NULL;
  return check_whole(client, s, r);
}

static int read_spec(struct http *client, const char *content, const char *config, struct http_spec *s,
                     const struct wx_refusal *r) {
  *s = (struct http_spec){0};
  arena_init(&s->a, 512);
  json_t *cfg = config ? json_loads(config, JSON_REJECT_DUPLICATES, NULL) : json_object();
  int rc = json_is_object(cfg) ? read_config(client, content, cfg, s, r)
                               : wx_refuse(r, WX_BAD_TYPE, "taskConfig must be an object.");
  json_decref(cfg);
  if (rc) http_spec_done(s);
  return rc;
}

static int type_check(const wx_lib *lib, void *client, const char *content, const char *config, int *code, char *err,
                      size_t err_n) {
  struct http_spec s;
  (void)lib;
  int rc = read_spec(client, content, config, &s, &(struct wx_refusal){code, err, err_n});
  if (!rc) http_spec_done(&s);
  return rc;
}

static int type_start(const wx_host *h, wx_exec *x, char *err, size_t err_n) {
  const wx_task *t = h->task(x);
  struct http *client = h->user(x);
  struct http_spec s;
  char why[HTTP_WHY];
  int code = 0;
  int rc = read_spec(client, t->content, t->config, &s, &(struct wx_refusal){&code, why, sizeof why});
  if (!rc) return http_task_start(h, x, client, &s);
  snprintf(err, err_n, "%s%s", code == WX_URL_BLOCKED ? "URL_BLOCKED: " : "", why);
  return -1;
}

wx_ops http_type(struct http *client) {
  return (wx_ops){.abi = WX_ABI, .size = sizeof(wx_ops), .name = "HTTP", .slot = WX_SLOT_ASYNC, .start = type_start,
                  .timer = http_task_timer, .cancel = http_task_cancel, .release = http_task_release,
                  .flags = WX_NO_PARAMS | WX_CONTEXT | WX_PARTS, .user = client, .woken = http_task_woken,
                  .noted = http_task_noted, .check_own = type_check};
}
