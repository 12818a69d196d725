/* The contract of a task behind a URL (docs/reference/api.md, "HTTP"), as the calls of an executor: a request,
 * its 202 with a Location that is polled, Retry-After, redirects, the end. The type HTTP is made of it, and so is every executor
 * that is a URL: what differs is the request that start() hands in.
 *
 *   asking -> [202: the Location is stored] -> waiting <-> asking (a poll) -> done
 *   told to stop for good, with a Location: asking it to DELETE -> done
 *   a parting (WX_PARTS: the task has ended between two attempts): a Location that was left is asked to DELETE -> done
 *
 * All calls are the worker's loop's, but for the wake of the client. What never happens: a Location that is polled before it is
 * stored with the attempt; a second request of a try that has a Location, also after its node was lost; a wait on the loop. */
#ifndef HTTP_TASK_H
#define HTTP_TASK_H
#include <jansson.h>
#include "http_client.h"
#include "mem.h"
#include "weir_executor.h"

/* What is asked; all texts in `a`. */
struct http_spec {
  struct arena a;
  const char *method, *url, *pointer, *body;  /* pointer, body NULL = none */
  size_t body_len;
  const char **header; size_t n_header;       /* "Name: value" of the user's */
  const char *content_type;                   /* of body, where the user gives none */
  int *status; size_t n_status;
  int redirects;
};
void http_spec_done(struct http_spec *s);
/* Adds the lines of an object of texts; once. content_type is "" then if there is one among them. 0, or -1 with a code of the ABI
 * and a sentence. Any thread. */
int http_spec_headers(struct http_spec *s, const json_t *headers, int *code, char *err, size_t err_n);
/* Takes the spec. */
int http_task_start(const wx_host *h, wx_exec *x, struct http *client, struct http_spec *s);
/* Members of wx_ops. */
void http_task_timer(const wx_host *h, wx_exec *x);
void http_task_cancel(const wx_host *h, wx_exec *x, int how);
void http_task_release(const wx_host *h, wx_exec *x);
void http_task_woken(const wx_host *h, wx_exec *x);
void http_task_noted(const wx_host *h, wx_exec *x, uint32_t count, int answer);

/* The type HTTP; its user is the client. */
wx_ops http_type(struct http *client);
#endif
