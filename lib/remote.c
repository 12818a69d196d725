/* A handle whose URL is that of a server: the same calls, by HTTP. It submits, steers, looks and waits; no task runs here.
 *
 * Any thread: each call takes a connection that is idle, or makes one. What never happens: a call that waits longer than its
 * time; an answer that is kept beyond ANSWER_BYTES; a request that may have been done counted as not done (OUTCOME_UNKNOWN). */
#include "remote.h"
#ifdef WEIR_REMOTE
#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "json_out.h"
#include "wr_limits.h"

enum { ANSWER_BYTES = 256 << 20, IDLE_MOST = 64 };
#define WAIT_US 50000000LL
#define AGAIN_US 500000

struct remote {
  char *url, *token;
  int64_t request_us;
  pthread_mutex_t mu;               /* guards these; leaf */
  CURL *idle[IDLE_MOST];
  int n_idle;
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static void begin_library(void) { (void)curl_global_init(CURL_GLOBAL_DEFAULT); }

struct remote *remote_new(const char *url, const char *token, int64_t request_us) {
  struct remote *r = wr_new(struct remote);
  size_t n = strlen(url);
  while (n > 0 && url[n - 1] == '/') n--;
  pthread_once(&once, begin_library);
  r->url = wr_memdup0(url, n);
  r->token = wr_strdup(token);
  r->request_us = request_us;
  pthread_mutex_init(&r->mu, NULL);
  return r;
}

void remote_free(struct remote *r) {
  if (!r) return;
  while (r->n_idle > 0) curl_easy_cleanup(r->idle[--r->n_idle]);
  pthread_mutex_destroy(&r->mu);
  free(r->url);
  free(r->token);
  free(r);
}

/* ---- one request ---- */

static CURL *take(struct remote *r) {
  pthread_mutex_lock(&r->mu);
  CURL *c = r->n_idle > 0 ? r->idle[--r->n_idle] : NULL;
  pthread_mutex_unlock(&r->mu);
  return c ? c : curl_easy_init();
}

static void give(struct remote *r, CURL *c) {
  curl_easy_reset(c); /* its connection stays */
  pthread_mutex_lock(&r->mu);
  bool room = r->n_idle < IDLE_MOST;
  if (room) r->idle[r->n_idle++] = c;
  pthread_mutex_unlock(&r->mu);
  if (!room) curl_easy_cleanup(c);
}

static size_t more(char *p, size_t size, size_t n, void *out) {
  struct buf *b = out;
  if (b->len + size * n > ANSWER_BYTES) return 0;
  buf_add(b, p, size * n);
  return size * n;
}

/* What is sent; body NULL = none. us: what it may take. */
struct outgoing { const char *method, *path, *body; int64_t us; };

static void prepare(const struct remote *r, CURL *c, const struct outgoing *q, struct curl_slist *head, struct buf *url,
                    struct buf *out) {
  buf_printf(url, "%s%s", r->url, q->path);
  curl_easy_setopt(c, CURLOPT_URL, url->data);
  curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method);
  curl_easy_setopt(c, CURLOPT_HTTPHEADER, head);
  curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)(q->us / 1000));
  curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, more);
  curl_easy_setopt(c, CURLOPT_WRITEDATA, out);
  if (!q->body) return;
  curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(q->body));
  curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body);
}

/* Before a connection stands nothing was sent; behind that nobody knows. */
static enum wr_rc lost(CURLcode e, const struct outgoing *q, struct wr_err *err) {
  bool unsent = e == CURLE_COULDNT_CONNECT || e == CURLE_COULDNT_RESOLVE_HOST || e == CURLE_URL_MALFORMAT ||
                e == CURLE_UNSUPPORTED_PROTOCOL;
  bool reads = strcmp(q->method, "GET") == 0;
  return wr_err_set(err, unsent || reads ? WR_DB_UNAVAILABLE : WR_OUTCOME_UNKNOWN, "The server does not answer: %.180s.",
                    curl_easy_strerror(e));
}

/* The bytes of the answer; its status. */
static enum wr_rc send_ask(struct remote *r, const struct outgoing *q, struct buf *out, long *status, struct wr_err *err) {
  struct curl_slist *head = curl_slist_append(NULL, "Content-Type: application/json");
  struct buf url = BUF_INIT, auth = BUF_INIT;
  CURL *c = take(r);
  if (!c) return curl_slist_free_all(head), wr_err_set(err, WR_BUSY, NULL);
  head = curl_slist_append(head, "Expect:");
  if (r->token) buf_printf(&auth, "Authorization: Bearer %s", r->token), head = curl_slist_append(head, auth.data);
  prepare(r, c, q, head, &url, out);
  CURLcode e = curl_easy_perform(c);
  (void)curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, status);
  give(r, c);
  curl_slist_free_all(head);
  buf_done(&url);
  buf_done(&auth);
  return e == CURLE_OK ? WR_OK : lost(e, q, err);
}

/* A refusal as the server said it. */
static enum wr_rc refused(const json_t *answer, long status, struct wr_err *err) {
  const char *code = json_string_value(json_object_get(answer, "code")), *text = json_string_value(json_object_get(answer,
      "message"));
  int n = code ? (int)strtol(code, NULL, 10) : 0;
  if (n / 100 != status) n = status >= 500 ? WR_DB_UNAVAILABLE : WR_BAD_REQUEST; /* it is no Weir that answers */
  return wr_err_set(err, (enum wr_rc)n, "%.200s", text ? text : "The server's answer cannot be read.");
}

enum wr_rc remote_ask(struct remote *r, const char *method, const char *path, const json_t *body, json_t **data,
                      struct wr_err *err) {
  char *text = body ? json_text(body, 0) : NULL;
  struct outgoing q = {method, path, text, r->request_us};
  struct buf out = BUF_INIT;
  long status = 0;
  enum wr_rc rc = send_ask(r, &q, &out, &status, err);
  json_t *answer = rc ? NULL : json_loadb(out.data ? out.data : "", out.len, 0, NULL);
  if (!rc && status != 200) rc = refused(answer, status, err);
  else if (!rc && !answer) rc = wr_err_set(err, WR_OUTCOME_UNKNOWN, "The server's answer cannot be read.");
  if (!rc && data) *data = json_incref(json_object_get(answer, "data"));
  json_decref(answer);
  buf_done(&out);
  free(text);
  return rc;
}

/* A route whose answer is bytes. */
enum wr_rc remote_bytes(struct remote *r, const char *path, struct buf *out, struct wr_err *err) {
  const struct outgoing q = {"GET", path, NULL, r->request_us};
  long status = 0;
  enum wr_rc rc = send_ask(r, &q, out, &status, err);
  if (rc || status == 200) return rc;
  json_t *answer = json_loadb(out->data ? out->data : "", out->len, 0, NULL);
  rc = refused(answer, status, err);
  json_decref(answer);
  return rc;
}

void remote_path(struct buf *b, const char *s) {
  for (; *s; s++)
    if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || strchr("-_.~", *s)) buf_ch(b, *s);
    else buf_printf(b, "%%%02X", (unsigned)(unsigned char)*s);
}

/* ---- waiting ---- */

static enum wr_rc wait_once(struct remote *r, int64_t id, int64_t wait_us, json_t **task, struct wr_err *err) {
  char path[80];
  snprintf(path, sizeof path, "/monitor/task/%lld?wait=%lld.%06lld", (long long)id, (long long)(wait_us / 1000000),
           (long long)(wait_us % 1000000));
  const struct outgoing q = {"GET", path, NULL, r->request_us + wait_us};
  struct buf out = BUF_INIT;
  long status = 0;
  enum wr_rc rc = send_ask(r, &q, &out, &status, err);
  json_t *answer = rc ? NULL : json_loadb(out.data ? out.data : "", out.len, 0, NULL);
  if (!rc && status != 200) rc = refused(answer, status, err);
  if (!rc) *task = json_incref(json_object_get(answer, "data"));
  json_decref(answer);
  buf_done(&out);
  return rc;
}

/* The server answers when the task has ended, or after WAIT_US; so it is asked again. A server that is away for a moment does not
 * end the wait. */
enum wr_rc remote_wait(struct remote *r, int64_t id, int64_t until_us, json_t **task, struct wr_err *err) {
  for (;;) {
    int64_t began = clock_mono_us(), left = until_us > began ? until_us - began : 0;
    *task = NULL;
    enum wr_rc rc = wait_once(r, id, left < WAIT_US ? left : WAIT_US, task, err);
    const char *word = json_string_value(json_object_get(*task, "execStatus"));
    bool over = rc ? wr_err_status(rc) < 500 : !word || strcmp(word, "RUNNING") != 0;
    if (over || clock_mono_us() >= until_us) return rc;
    json_decref(*task);
    if (clock_mono_us() - began < AGAIN_US) (void)poll(NULL, 0, AGAIN_US / 1000);
  }
}

#else
/* Nothing opens a handle of a server. */
struct remote *remote_new(const char *url, const char *token, int64_t request_us) {
  (void)url;
  (void)token;
  (void)request_us;
  return NULL;
}
void remote_free(struct remote *r) { (void)r; }
static enum wr_rc none(struct wr_err *err) { return wr_err_set(err, WR_NO_ROUTE, NULL); }
enum wr_rc remote_ask(struct remote *r, const char *method, const char *path, const json_t *body, json_t **data,
                      struct wr_err *err) {
  (void)r;
  (void)method;
  (void)path;
  (void)body;
  (void)data;
  return none(err);
}
enum wr_rc remote_bytes(struct remote *r, const char *path, struct buf *out, struct wr_err *err) {
  (void)r;
  (void)path;
  (void)out;
  return none(err);
}
void remote_path(struct buf *b, const char *s) { buf_str(b, s); }
enum wr_rc remote_wait(struct remote *r, int64_t id, int64_t until_us, json_t **task, struct wr_err *err) {
  (void)r;
  (void)id;
  (void)until_us;
  (void)task;
  return none(err);
}
#endif
