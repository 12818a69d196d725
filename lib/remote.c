/* A handle whose URL is that of a server: the same calls, by HTTP. It submits, steers, looks and waits; no task runs here.
 *
 * Any thread: each call takes a connection that is idle, or makes one. What never happens: a call that waits longer than its
 * time; an answer that is kept beyond ANSWER_BYTES; a request that may have been done counted as not done (OUTCOME_UNKNOWN); an
 * answer of another shape taken for one of Weir's. */
#include "remote.h"
#ifdef WEIR_REMOTE
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "cond.h"
#include "json_out.h"
#include "wr_limits.h"

enum { ANSWER_BYTES = 256 << 20, IDLE_MOST = 64 };
#define WAIT_US 50000000LL
#define ANSWER_US 1000000          /* for the answer itself, once the time of a wait is over */
#define AGAIN_US 500000

struct remote {
  char *url, *token;
  int64_t request_us;
  atomic_bool ending;               /* set under mu */
  pthread_cond_t ends;
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
  cond_mono(&r->ends);
  return r;
}

void remote_end(struct remote *r) {
  pthread_mutex_lock(&r->mu);
  atomic_store(&r->ending, true);
  pthread_cond_broadcast(&r->ends);
  pthread_mutex_unlock(&r->mu);
}

void remote_free(struct remote *r) {
  if (!r) return;
  while (r->n_idle > 0) curl_easy_cleanup(r->idle[--r->n_idle]);
  pthread_cond_destroy(&r->ends);
  pthread_mutex_destroy(&r->mu);
  free(r->url);
  free(r->token);
  free(r);
}

/* ---- one request ---- */

static CURL *take_curl(struct remote *r) {
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

static bool only_reads(const struct outgoing *q) { return strcmp(q->method, "GET") == 0; }

/* libcurl asks this at least once a second. */
static int is_over(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d) {
  (void)a, (void)b, (void)c, (void)d;
  return atomic_load(&((struct remote *)ctx)->ending);
}

static void prepare(struct remote *r, CURL *c, const struct outgoing *q, struct curl_slist *head, struct buf *url,
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
  curl_easy_setopt(c, CURLOPT_PROXY, ""); /* nobody stands between who has the token and the server */
  /* libcurl sends a request again by itself when a kept connection ends without an answer. A change is sent once. */
  if (!only_reads(q)) curl_easy_setopt(c, CURLOPT_FRESH_CONNECT, 1L);
  if (only_reads(q)) { /* it ends with the handle; what changes something does not: nobody would know what became of it */
    curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, is_over);
    curl_easy_setopt(c, CURLOPT_XFERINFODATA, r);
    curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L);
  }
  if (!q->body) return;
  curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(q->body));
  curl_easy_setopt(c, CURLOPT_POSTFIELDS, q->body);
}

static enum wr_rc closes(struct wr_err *err) { return wr_err_set(err, WR_DRAINING, "The handle closes."); }

/* Before a connection stands nothing was sent; behind that nobody knows. */
static enum wr_rc lost(CURLcode e, const struct outgoing *q, struct wr_err *err) {
  bool unsent = e == CURLE_COULDNT_CONNECT || e == CURLE_COULDNT_RESOLVE_HOST || e == CURLE_URL_MALFORMAT ||
                e == CURLE_UNSUPPORTED_PROTOCOL;
  if (e == CURLE_ABORTED_BY_CALLBACK) return closes(err);
  return wr_err_set(err, unsent || only_reads(q) ? WR_DB_UNAVAILABLE : WR_OUTCOME_UNKNOWN, "The server does not answer: %.180s.",
                    curl_easy_strerror(e));
}

/* The bytes of the answer; its status. */
static enum wr_rc send_ask(struct remote *r, const struct outgoing *q, struct buf *out, long *status, struct wr_err *err) {
  if (only_reads(q) && atomic_load(&r->ending)) return closes(err);
  struct curl_slist *head = curl_slist_append(NULL, "Content-Type: application/json");
  struct buf url = BUF_INIT, auth = BUF_INIT;
  CURL *c = take_curl(r);
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

enum wr_rc remote_odd(const char *method, struct wr_err *err) {
  enum wr_rc rc = strcmp(method, "GET") == 0 ? WR_INTERNAL : WR_OUTCOME_UNKNOWN;
  return wr_err_set(err, rc, "The server's answer cannot be read: it is none of this version of Weir.");
}

/* A refusal as the server said it. One that no Weir said comes from something on the way, which may have passed a change on. */
static enum wr_rc refused(const char *method, const json_t *answer, long status, struct wr_err *err) {
  const char *code = json_string_value(json_object_get(answer, "code")), *text = json_string_value(json_object_get(answer,
      "message"));
  int n = code ? (int)strtol(code, NULL, 10) : 0;
  if (n / 100 != status && status >= 500 && strcmp(method, "GET") != 0) return remote_odd(method, err);
  if (n / 100 != status) n = status >= 500 ? WR_DB_UNAVAILABLE : WR_BAD_REQUEST;
  return wr_err_set(err, (enum wr_rc)n, "%.200s", text ? text : "The server's answer cannot be read.");
}

/* What a success holds; NULL: it is no answer of Weir, or of another shape than is wanted. */
static json_t *data_of(const json_t *answer, json_type want) {
  const char *code = json_string_value(json_object_get(answer, "code"));
  json_t *data = json_object_get(answer, "data");
  return code && strcmp(code, "200") == 0 && data && json_typeof(data) == want ? data : NULL;
}

/* The whole answer, a reference, also when it is a refusal; its data, NULL then. */
static enum wr_rc ask_whole(struct remote *r, const struct outgoing *q, json_type want, json_t **answer, json_t **data,
                            struct wr_err *err) {
  struct buf out = BUF_INIT;
  long status = 0;
  enum wr_rc rc = send_ask(r, q, &out, &status, err);
  *answer = rc ? NULL : json_loadb(out.data ? out.data : "", out.len, JSON_ALLOW_NUL, NULL);
  *data = data_of(*answer, want);
  if (!rc && status != 200) rc = refused(q->method, *answer, status, err);
  else if (!rc && !*data) rc = remote_odd(q->method, err);
  buf_done(&out);
  return rc;
}

static enum wr_rc ask(struct remote *r, const struct outgoing *q, json_type want, json_t **data, struct wr_err *err) {
  json_t *answer, *got;
  enum wr_rc rc = ask_whole(r, q, want, &answer, &got, err);
  if (!rc && data) *data = json_incref(got);
  json_decref(answer);
  return rc;
}

enum wr_rc remote_ask(struct remote *r, const char *method, const char *path, const json_t *body, json_type want, json_t **data,
                      struct wr_err *err) {
  char *text = body ? json_text(body, 0) : NULL;
  const struct outgoing q = {method, path, text, r->request_us};
  enum wr_rc rc = ask(r, &q, want, data, err);
  free(text);
  return rc;
}

enum wr_rc remote_page(struct remote *r, const char *path, json_t **rows, char after[REMOTE_AFTER], struct wr_err *err) {
  const struct outgoing q = {"GET", path, NULL, r->request_us};
  json_t *answer, *data;
  enum wr_rc rc = ask_whole(r, &q, JSON_ARRAY, &answer, &data, err);
  const char *at = json_string_value(json_object_get(json_object_get(answer, "page"), "after"));
  snprintf(after, REMOTE_AFTER, "%s", !rc && at ? at : "");
  if (!rc) *rows = json_incref(data);
  json_decref(answer);
  return rc;
}

/* A route whose answer is bytes. */
enum wr_rc remote_bytes(struct remote *r, const char *path, struct buf *out, struct wr_err *err) {
  const struct outgoing q = {"GET", path, NULL, r->request_us};
  long status = 0;
  enum wr_rc rc = send_ask(r, &q, out, &status, err);
  if (rc || status == 200) return rc;
  json_t *answer = json_loadb(out->data ? out->data : "", out->len, JSON_ALLOW_NUL, NULL);
  rc = refused(q.method, answer, status, err);
  json_decref(answer);
  return rc;
}

void remote_path(struct buf *b, const char *s) {
  for (; *s; s++)
    if ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') || strchr("-_.~", *s)) buf_ch(b, *s);
    else buf_printf(b, "%%%02X", (unsigned)(unsigned char)*s);
}

/* ---- waiting ---- */

/* The task as it is then, and whether it has ended. */
static enum wr_rc wait_once(struct remote *r, int64_t id, int64_t wait_us, json_t **task, bool *ended, struct wr_err *err) {
  char path[80];
  snprintf(path, sizeof path, "/monitor/task/%lld?wait=%lld.%06lld", (long long)id, (long long)(wait_us / 1000000),
           (long long)(wait_us % 1000000));
  const struct outgoing q = {"GET", path, NULL, wait_us + (r->request_us < ANSWER_US ? r->request_us : ANSWER_US)};
  enum wr_rc rc = ask(r, &q, JSON_OBJECT, task, err);
  const char *word = json_string_value(json_object_get(*task, "execStatus"));
  *ended = word && (strcmp(word, "SUCCESS") == 0 || strcmp(word, "FAILED") == 0);
  return rc || *ended || (word && strcmp(word, "RUNNING") == 0) ? rc : remote_odd(q.method, err);
}

/* Until the server may be asked again. */
static void pause_until(struct remote *r, int64_t at_us) {
  pthread_mutex_lock(&r->mu);
  while (!atomic_load(&r->ending) && cond_until(&r->ends, &r->mu, at_us)) {}
  pthread_mutex_unlock(&r->mu);
}

/* The server answers when the task has ended, or after WAIT_US; so it is asked again. A server that is away for a moment (503,
 * 507) does not end the wait; one that answers what cannot be read does, and so does the end of the handle. */
enum wr_rc remote_wait(struct remote *r, int64_t id, int64_t until_us, json_t **task, bool *ended, struct wr_err *err) {
  for (;;) {
    int64_t began = clock_mono_us(), left = until_us > began ? until_us - began : 0;
    *task = NULL;
    enum wr_rc rc = wait_once(r, id, left < WAIT_US ? left : WAIT_US, task, ended, err);
    bool over = rc ? wr_err_status(rc) <= 500 || atomic_load(&r->ending) : *ended;
    if (over || clock_mono_us() >= until_us) return rc;
    json_decref(*task);
    pause_until(r, began + AGAIN_US < until_us ? began + AGAIN_US : until_us);
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
void remote_end(struct remote *r) { (void)r; }
static enum wr_rc none(struct wr_err *err) { return wr_err_set(err, WR_NO_ROUTE, NULL); }
enum wr_rc remote_odd(const char *method, struct wr_err *err) {
  (void)method;
  return none(err);
}
enum wr_rc remote_ask(struct remote *r, const char *method, const char *path, const json_t *body, json_type want, json_t **data,
                      struct wr_err *err) {
  (void)r;
  (void)method;
  (void)path;
  (void)body;
  (void)want;
  (void)data;
  return none(err);
}
enum wr_rc remote_page(struct remote *r, const char *path, json_t **rows, char after[REMOTE_AFTER], struct wr_err *err) {
  (void)r;
  (void)path;
  (void)rows;
  (void)after;
  return none(err);
}
enum wr_rc remote_bytes(struct remote *r, const char *path, struct buf *out, struct wr_err *err) {
  (void)r;
  (void)path;
  (void)out;
  return none(err);
}
void remote_path(struct buf *b, const char *s) { buf_str(b, s); }
enum wr_rc remote_wait(struct remote *r, int64_t id, int64_t until_us, json_t **task, bool *ended, struct wr_err *err) {
  (void)r;
  (void)id;
  (void)until_us;
  (void)task;
  (void)ended;
  return none(err);
}
#endif
