/* See http_task.h. */
#include "http_task.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "json_out.h"
#include "text.h"
#include "wr_limits.h"

#define POLL_FIRST_US 500000       /* between polls, where the answer does not say; doubles */
#define POLL_MOST_US 10000000
#define DELETE_US 5000000          /* how long the end of a stopped attempt waits for the DELETE of its Location */
enum { SNIPPET = 200 };

enum phase { ASKING, STORING, WAITING, DELETING };

struct http_task {
  const wx_host *h;
  wx_exec *x;
  struct http *client;
  struct http_call *call;
  struct http_spec spec;
  char *at;                        /* where a redirect led; NULL = spec.url */
  bool elsewhere;                  /* that is another origin: none of the user's headers goes there */
  char *location;                  /* NULL = none. It is polled once it is stored */
  char *next_location;             /* on its way to the store */
  uint32_t noted;                  /* contexts so far */
  int redirects;
  enum phase phase;
  bool parting;                    /* the task has ended: its Location is told, and nothing else is asked */
  int64_t delay_us, wait_us;
};

static struct http_task *of(const wx_host *h, wx_exec *x) { return *h->data(x); }

void http_spec_done(struct http_spec *s) { arena_done(&s->a); }

/* ---- the end ---- */

static void drop_call(struct http_task *t) {
  http_end(t->call);
  t->call = NULL;
}

static void done(struct http_task *t, const wx_result *r) {
  t->h->timer(t->x, 0);
  t->h->done(t->x, r);
  drop_call(t); /* r may point into its answer */
}

/* No call, and so no answer, is there any more when this returns. */
static void end(struct http_task *t, int how, const char *error) {
  done(t, &(wx_result){.size = sizeof(wx_result), .end = how, .error = error, .exit_code = -1, .status = -1});
}

/* An answer is the end, and it is no success: what it says is kept for an analyzer. */
static void end_answered(struct http_task *t, const struct http_answer *a, int how, const char *error) {
  bool whole = a->flaw == HTTP_ANSWERED;
  done(t, &(wx_result){.size = sizeof(wx_result), .end = how, .error = error, .exit_code = -1, .status = a->status,
                       .result = !whole ? NULL : a->body ? a->body : "", .result_len = whole ? a->len : 0});
}

/* ---- asking ---- */

static void wake(void *ctx) {
  struct http_task *t = ctx;
  t->h->wake(t->x);
}

static const char *const *headers(struct http_task *t, struct arena *a, bool body, size_t *n) {
  const struct http_spec *s = &t->spec;
  const wx_task *task = t->h->task(t->x);
  const char **v = arena_alloc(a, (s->n_header + 4) * sizeof *v);
  struct buf b = BUF_INIT;
  *n = 0;
  for (size_t i = 0; i < s->n_header && (!t->elsewhere || t->location); i++)
    if (body || strncasecmp(s->header[i], "Content-", 8) != 0) v[(*n)++] = s->header[i];
  if (body && s->content_type) v[(*n)++] = s->content_type;
  buf_printf(&b, "Idempotency-Key: %s:%u", task->run_key, task->first_try + task->failed);
  v[(*n)++] = arena_strdup(a, b.data);
  buf_clear(&b);
  buf_printf(&b, "X-Weir-Fence: %s", task->fence);
  v[(*n)++] = arena_strdup(a, b.data);
  buf_clear(&b);
  buf_printf(&b, "X-Weir-Attempt: %u", task->attempt);
  v[(*n)++] = arena_strdup(a, b.data);
  buf_done(&b);
  return v;
}

static void ask(struct http_task *t, const char *method, const char *url, bool body, int64_t limit_us) {
  struct arena a;
  const struct http_spec *s = &t->spec;
  struct http_ask q = {.method = method, .url = url, .limit_us = limit_us};
  arena_init(&a, 512);
  if (body && s->body) q.body = s->body, q.body_len = s->body_len;
  q.pointer = limit_us ? NULL : s->pointer;
  q.header = headers(t, &a, body && s->body, &q.n_header);
  drop_call(t);
  t->call = http_begin(t->client, &q, wake, t);
  arena_done(&a);
}

static void ask_again(struct http_task *t) {
  t->phase = ASKING;
  if (t->location) ask(t, "GET", t->location, false, 0);
  else ask(t, t->spec.method, t->at ? t->at : t->spec.url, true, 0);
}

static void wait_then_ask(struct http_task *t, const struct http_answer *a) {
  if (!t->delay_us) t->delay_us = POLL_FIRST_US;
  int64_t us = a->has_retry && a->retry_us > 0 ? a->retry_us : t->delay_us;
  if (!a->has_retry || a->retry_us == 0) t->delay_us = t->delay_us * 2 < POLL_MOST_US ? t->delay_us * 2 : POLL_MOST_US;
  t->phase = WAITING;
  drop_call(t);
  t->h->timer(t->x, t->h->now_us(t->x) + us);
}

/* ---- a Location that is polled ---- */

/* What the next attempt needs to go on. It is for this run of the task, and for this try: a later one asks anew. */
static bool note_location(struct http_task *t, const char *location) {
  const wx_task *task = t->h->task(t->x);
  json_t *v = json_pack("{ss, sI, sI}", "location", location, "attempt", (json_int_t)task->attempt, "failed",
                        (json_int_t)task->failed);
  char *text = v ? json_text(v, 0) : NULL;
  bool ok = text && t->h->note(t->x, WX_NOTE_CONTEXT, 0, text, strlen(text)) == 0;
  if (ok) t->noted++;
  free(text);
  json_decref(v);
  return ok;
}

static void blocked(struct http_task *t, const char *what, const char *why) {
  char text[HTTP_WHY + 64];
  snprintf(text, sizeof text, "URL_BLOCKED: %s %s.", what, why);
  end(t, WX_FATAL, text);
}

/* What it answered with leads to the scheme, host and port of the task's URL, wherever a redirect led. NULL: the attempt has
 * ended. */
static char *polled_location(struct http_task *t, const char *to) {
  const char *base = t->location ? t->location : t->at ? t->at : t->spec.url;
  struct http_url u, at, own;
  char why[URL_WHY] = "";
  (void)url_read(t->spec.url, &own, why);
  (void)url_read(base, &at, why);
  char *joined = url_join(base, &at, to);
  if (!joined) snprintf(why, sizeof why, "it is no URL");
  else if (url_read(joined, &u, why) == 0 && !url_same_origin(&u, &own))
    snprintf(why, sizeof why, "it is not at the scheme, host and port of the request");
  else if (!*why) return joined;
  free(joined);
  blocked(t, "The Location of the answer 202:", why);
  return NULL;
}

static void on_accepted(struct http_task *t, const struct http_answer *a) {
  char *to = NULL;
  if (a->location && !(to = polled_location(t, a->location))) return; /* it has ended, and the answer with it */
  if (!to || (t->location && strcmp(t->location, to) == 0)) {
    free(to);
    wait_then_ask(t, a);
    return;
  }
  t->wait_us = a->has_retry && a->retry_us > 0 ? a->retry_us : POLL_FIRST_US;
  t->delay_us = 0;
  free(t->next_location);
  t->next_location = to;
  t->phase = STORING;
  drop_call(t);
  if (!note_location(t, to)) end(t, WX_FAIL, "The Location of the answer 202 could not be kept.");
}

void http_task_noted(const wx_host *h, wx_exec *x, uint32_t count, int answer) {
  struct http_task *t = of(h, x);
  if (t->phase != STORING || count < t->noted) return;
  if (answer == WX_KEPT_FENCED) {
    end(t, WX_LOST, "Another attempt of the task is at work.");
  } else if (answer != WX_KEPT) {
    end(t, WX_FAIL, "The Location of the answer 202 could not be stored.");
  } else {
    free(t->location);
    t->location = t->next_location;
    t->next_location = NULL;
    t->phase = WAITING;
    h->timer(x, h->now_us(x) + t->wait_us);
  }
}

/* What an earlier attempt of this run and this try left: the text of its Location, malloc'ed; NULL = nothing. A context that
 * came with the submit is none, whatever it says: whoever starts a task would choose where the headers of its executor go. */
static char *left_location(const wx_task *task) {
  char *out = NULL;
  json_t *v = task->context_len && task->context_own ? json_loadb(task->context, task->context_len, 0, NULL) : NULL;
  const char *at = json_string_value(json_object_get(v, "location"));
  const json_t *attempt = json_object_get(v, "attempt"), *failed = json_object_get(v, "failed");
  bool mine = json_is_integer(attempt) && json_integer_value(attempt) > (json_int_t)task->before &&
              json_is_integer(failed) && json_integer_value(failed) == (json_int_t)task->failed;
  bool newer = task->cleanup == 2 && json_integer_value(attempt) > (json_int_t)task->attempt; /* it was run again meanwhile */
  if (at && mine && !newer && strlen(at) <= LIMIT_URL_BYTES) out = wr_strdup(at);
  json_decref(v);
  return out;
}

/* ---- answers ---- */

static void on_redirect(struct http_task *t, const struct http_answer *a) {
  const char *base = t->at ? t->at : t->spec.url;
  struct http_url from, to;
  char why[URL_WHY] = "";
  (void)url_read(base, &from, why);
  char *joined = url_join(base, &from, a->location);
  bool ok = joined && url_read(joined, &to, why) == 0;
  if (!joined) snprintf(why, sizeof why, "it is no URL");
  if (ok && from.tls && !to.tls) ok = false, snprintf(why, sizeof why, "it leads from https to http");
  if (!ok) {
    free(joined);
    blocked(t, "A redirect cannot be followed:", why);
    return;
  }
  if (!url_same_origin(&from, &to)) t->elsewhere = true;
  t->redirects++;
  free(t->at);
  t->at = joined;
  ask_again(t);
}

static const char *snippet(const struct http_answer *a, char out[SNIPPET + 64]) {
  char q[WR_QUOTE_MAX];
  size_t n = a->len < SNIPPET ? a->len : SNIPPET;
  *out = '\0';
  if (n > 0) snprintf(out, SNIPPET + 64, " It says %s.", wr_err_quote(q, a->body, n));
  return out;
}

static void on_failure(struct http_task *t, const struct http_answer *a, int how) {
  static const char *const symbol[] = {[HTTP_ANSWERED] = "", [HTTP_BLOCKED] = "URL_BLOCKED: ",
                                       [HTTP_TOO_LARGE] = "RESPONSE_TOO_LARGE: ",
                                       [HTTP_BAD_HEADER] = "BAD_HEADER: ", [HTTP_NO_ANSWER] = "", [HTTP_UNABLE] = ""};
  char text[1024], more[SNIPPET + 64];
  const char *what = t->location ? "The Location" : "The URL";
  if (a->flaw == HTTP_NO_ANSWER) snprintf(text, sizeof text, "%s gave no answer: %s%s", what, a->why, text_stop(a->why));
  else if (a->flaw) snprintf(text, sizeof text, "%s%s%s", symbol[a->flaw], a->why, text_stop(a->why));
  else snprintf(text, sizeof text, "%s answered %d.%s", what, a->status, snippet(a, more));
  if (answer_came(a)) end_answered(t, a, how, text);
  else end(t, how, text);
}

static void on_success(struct http_task *t, const struct http_answer *a) {
  wx_result r = {.size = sizeof r, .end = WX_OK, .exit_code = -1, .status = a->status};
  char text[HTTP_WHY];
  if (t->spec.pointer && !a->picked) {
    snprintf(text, sizeof text, "pointer: %s.", a->pick_why ? a->pick_why : "the answer has nothing there");
    end_answered(t, a, WX_FAIL, text);
    return;
  }
  r.result = t->spec.pointer ? a->picked : a->body ? a->body : "";
  r.result_len = t->spec.pointer ? a->picked_len : a->len;
  done(t, &r);
}

static void on_answer(struct http_task *t, const struct http_answer *a) {
  const struct http_spec *s = &t->spec;
  const struct http_wanted w = {.status = s->status, .n_status = s->n_status, .polling = t->location != NULL,
                                .follows = s->redirects > 0};
  switch (answer_next(a, &w)) {
  case NEXT_OK: on_success(t, a); break;
  case NEXT_FAIL: on_failure(t, a, WX_FAIL); break;
  case NEXT_FATAL: on_failure(t, a, WX_FATAL); break;
  case NEXT_POLL: on_accepted(t, a); break;
  case NEXT_AGAIN: wait_then_ask(t, a); break;
  case NEXT_REDIRECT:
    if (t->redirects < s->redirects) on_redirect(t, a);
    else end_answered(t, a, WX_FAIL, "The URL redirects more often than `redirects` allows.");
    break;
  }
}

/* ---- a Location that is told to stop ---- */

static void ask_delete(struct http_task *t, const char *to) {
  t->phase = DELETING;
  ask(t, "DELETE", to, false, DELETE_US);
  t->h->timer(t->x, t->h->now_us(t->x) + DELETE_US);
}

/* answer NULL: none came. Whatever it says, it was told. */
static void deleted(struct http_task *t, const struct http_answer *a) {
  if (!t->parting) end(t, WX_FAIL, "Canceled.");
  else if (!a) end(t, WX_FAIL, "The Location gave no answer to DELETE in time.");
  else if (a->flaw) on_failure(t, a, WX_FAIL);
  else end(t, WX_OK, NULL);
}

/* ---- members of the table ---- */

void http_task_woken(const wx_host *h, wx_exec *x) {
  struct http_task *t = of(h, x);
  const struct http_answer *a = t->call ? http_done(t->call) : NULL;
  if (!a) return;
  if (t->phase == DELETING) deleted(t, a);
  else if (t->phase == ASKING) on_answer(t, a);
}

void http_task_timer(const wx_host *h, wx_exec *x) {
  struct http_task *t = of(h, x);
  if (t->phase == WAITING) ask_again(t);
  else if (t->phase == DELETING) deleted(t, NULL);
}

int http_task_start(const wx_host *h, wx_exec *x, struct http *client, struct http_spec *s) {
  struct http_task *t = wr_new(struct http_task);
  *h->data(x) = t;
  t->h = h;
  t->x = x;
  t->client = client;
  t->spec = *s;
  char *left = left_location(h->task(x));
  char *to = left ? polled_location(t, left) : NULL;
  free(left);
  if (left && !to) return 0;
  t->location = to;
  t->parting = h->task(x)->cleanup == 2;
  if (!t->parting) ask_again(t);
  else if (to) ask_delete(t, to);
  else end(t, WX_OK, NULL);
  return 0;
}

/* A stop for good tells whoever works behind the Location; it goes on by itself in all other cases, for the next attempt. */
void http_task_cancel(const wx_host *h, wx_exec *x, int how) {
  struct http_task *t = of(h, x);
  int why = h->stop_reason(x);
  bool for_good = why == WX_STOP_CANCEL || why == WX_STOP_DELETE || why == WX_STOP_TIMEOUT;
  const char *to = t->location ? t->location : t->next_location;
  (void)how;
  if (why == WX_STOP_FENCED) {
    end(t, WX_LOST, "Its task is not this node's any more.");
  } else if (!for_good || !to) {
    end(t, WX_FAIL, for_good ? "Canceled." : "Stopped.");
  } else if (t->phase != DELETING) {
    ask_delete(t, to);
  }
}

void http_task_release(const wx_host *h, wx_exec *x) {
  struct http_task *t = of(h, x);
  if (!t) return;
  drop_call(t);
  http_spec_done(&t->spec);
  free(t->at);
  free(t->location);
  free(t->next_location);
  free(t);
}
