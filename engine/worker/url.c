/* Mode `url`: the task is posted to a URL, and what that answers is its end. The contract with the URL is that of http_task.h;
 * what is this file's is the request: the same JSON that a program gets on its stdin, with the headers of the config.
 *
 * The loop's thread, but for the check of a config (any) and url_offer() (the clerk's).
 * What never happens: a value of a secret header in the body; a redirect that is followed; another status than 200 that is a
 * success. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "added_ops.h"
#include "executor_post.h"
#include "http_task.h"
#include "worker_int.h"

/* Fields of taskConfig that would be silently without effect. All others but headers are the site's own. */
static const char *refused(const json_t *config) {
  if (json_object_get(config, "onDelete")) return "onDelete is for SHELL tasks: what runs behind a URL has none.";
  if (json_object_get(config, "heartbeatTimeout"))
    return "heartbeatTimeout is for tasks that report while they run, and a URL reports nothing.";
  return NULL;
}

static int url_check(const wx_lib *lib, void *user, const char *content, const char *config, int *code, char *err, size_t err_n) {
  struct http_spec s = {0};
  (void)lib, (void)user, (void)content;
  json_t *all = config ? json_loads(config, 0, NULL) : NULL;
  const json_t *headers = json_object_get(all, "headers");
  const char *why = refused(all);
  int rc = why ? -1 : 0;
  if (why) *code = WX_UNKNOWN_FIELD, snprintf(err, err_n, "%s", why);
  arena_init(&s.a, 0);
  if (!rc && headers) rc = http_spec_headers(&s, headers, code, err, err_n);
  http_spec_done(&s);
  json_decref(all);
  return rc;
}

char *url_of(const struct added *a) {
  json_t *location = a->location ? json_loads(a->location, 0, NULL) : NULL;
  char *url = wr_strdup(json_string_value(json_array_get(location, 0)));
  json_decref(location);
  return url;
}

bool url_offer(const struct added *a, char *why, size_t why_n) {
  char flaw[URL_WHY] = "it is not there", *url = url_of(a);
  bool may = url && a->http && http_check_url(a->http, url, flaw) == 0;
  if (!may) snprintf(why, why_n, "The URL may not be asked from this member: %s.", flaw);
  free(url);
  return may;
}

static int fill(struct http_spec *s, const struct wx_exec *x, const struct added *a, char *err, size_t err_n) {
  char *config = config_over(x->task.config, a->config), *shown = config_masked(config), *url = url_of(a);
  struct buf body = BUF_INIT;
  static const int ok[] = {200};
  int code = 0, rc = 0;
  json_t *all = config ? json_loads(config, 0, NULL) : NULL;
  const json_t *headers = json_object_get(all, "headers");
  if (headers) rc = http_spec_headers(s, headers, &code, err, err_n);
  s->content_type = s->content_type ? NULL : "Content-Type: application/json";
  if (x->task.cleanup != 2) added_request(&body, x, shown); /* a parting sends none */
  s->method = "POST";
  s->url = arena_strdup(&s->a, url ? url : "");
  s->body = arena_memdup0(&s->a, body.data ? body.data : "", body.len);
  s->body_len = body.len;
  s->status = arena_alloc(&s->a, sizeof ok);
  memcpy(s->status, ok, sizeof ok);
  s->n_status = 1;
  buf_done(&body);
  json_decref(all);
  free(url);
  free(shown);
  free(config);
  return rc;
}

static int url_start(const wx_host *h, wx_exec *x, char *err, size_t err_n) {
  const struct added *a = h->user(x);
  struct http_spec s = {0};
  arena_init(&s.a, 2048);
  int rc = fill(&s, x, a, err, err_n);
  if (!rc) return http_task_start(h, x, a->http, &s);
  http_spec_done(&s);
  return rc;
}

const wx_ops added_url_ops = {.abi = WX_ABI, .size = sizeof(wx_ops), .name = "url", .slot = WX_SLOT_ASYNC, .start = url_start,
                              .timer = http_task_timer, .cancel = http_task_cancel, .release = http_task_release,
                              .flags = WX_CONTEXT | WX_PARTS, .woken = http_task_woken, .noted = http_task_noted,
                              .check_own = url_check};
