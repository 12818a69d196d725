/* Requests to a server: see client.h. libcurl is loaded when the first one is made, so that no other verb has it in memory. */
#include "client.h"
#include <stdlib.h>
#include <string.h>
#include "json_out.h"
#include "mem.h"
#include "say.h"
#include "wr_limits.h"
#ifdef WEIR_REMOTE
#include <arpa/inet.h>
#include <errno.h>
#include <unistd.h>
#include "curl_link.h"
#include "token.h"

enum { ANSWER_BYTES = 64 << 20 };
#define CONNECT_MS 10000L
#define ANSWER_MS 90000L   /* an answer may wait for its end, and is then still to be made */
_Static_assert(ANSWER_MS * 1000 >= LIMIT_WAIT_US + 2 * CONNECT_MS * 1000, "the server ends a wait first");

struct client {
  CURL *curl;
  struct curl_slist *head;
  char *url;
  enum { TOKEN_NONE, TOKEN_OF_ENV, TOKEN_OF_FILE, TOKEN_OF_DATA } from;   /* what it sends, for who is told that it is wrong */
  char data[160];   /* where weir.token was looked for; "" = nowhere: the server is on another machine, or a file was named */
};

static const struct curl_calls *lib;

static enum wr_rc load(struct wr_err *err) {
  const char *why;
  lib = curl_calls(&why);
  return lib ? WR_OK : wr_err_set(err, WR_INTERNAL, "This verb needs libcurl: %s", why);
}

/* ---- the token ---- */

/* http://127..., http://localhost, http://[::1], with a port or not. */
static bool on_this_machine(const char *url) {
  const char *host = strstr(url, "://");
  char name[64];
  struct in_addr a;
  if (!host) return false;
  host += 3;
  if (strncmp(host, "[::1]", 5) == 0 && (!host[5] || strchr(":/", host[5]))) return true;
  if (strcspn(host, "@") < strcspn(host, "/")) return false;
  snprintf(name, sizeof name, "%.*s", (int)strcspn(host, ":/"), host);
  return strcmp(name, "localhost") == 0 || (inet_pton(AF_INET, name, &a) == 1 && ntohl(a.s_addr) >> 24 == 127);
}

/* The first word of a file. False: it cannot be read. */
static bool read_word(const char *file, char *out, size_t n) {
  FILE *f = fopen(file, "re");
  if (!f) return false;
  size_t got = fread(out, 1, n - 1, f);
  fclose(f);
  out[got] = '\0';
  out[strcspn(out, " \t\r\n")] = '\0';
  return true;
}

/* The name of the file is not shown: whoever takes it for the token itself has a secret there. */
static enum wr_rc read_named(const char *file, char *out, size_t n, struct wr_err *err) {
  if (!read_word(file, out, n))
    return wr_err_set(err, WR_BAD_REQUEST, "--token-file: the file cannot be read: %s. It is the name of a file that holds "
                      "the token; the token itself is WEIR_TOKEN's.", strerrordesc_np(errno));
  if (*out) return WR_OK;
  return wr_err_set(err, WR_BAD_REQUEST, "--token-file: the file is empty.");
}

static enum wr_rc find_token(const struct config *c, struct client *k, char *out, size_t n, struct wr_err *err) {
  const char *env = getenv("WEIR_TOKEN"), *file = config_text(c, OPT_TOKEN_FILE), *data = config_text(c, OPT_DATA);
  char path[4096];
  *out = '\0';
  if (env && *env) {
    if (strlen(env) >= n || strpbrk(env, "\r\n")) return wr_err_set(err, WR_BAD_REQUEST, "WEIR_TOKEN is no token.");
    snprintf(out, n, "%s", env);
    k->from = TOKEN_OF_ENV;
    return WR_OK;
  }
  if (file) k->from = TOKEN_OF_FILE;
  if (file) return read_named(file, out, n, err);
  if (!on_this_machine(k->url)) return WR_OK;
  snprintf(k->data, sizeof k->data, "%s", data ? data : "/var/lib/weir");
  snprintf(path, sizeof path, "%s/" TOKEN_FILE, data ? data : "/var/lib/weir");
  if (read_word(path, out, n) && *out) k->from = TOKEN_OF_DATA; /* a server with --dev has none */
  return WR_OK;
}

/* The server is the one who said no; what to do here is said instead of its sentence. */
static enum wr_rc no_token(const struct client *k, enum wr_rc rc, struct wr_err *err) {
  static const char *const sent[] = {[TOKEN_OF_ENV] = "WEIR_TOKEN", [TOKEN_OF_FILE] = "the file of --token-file"};
  char at[256] = "";
  if (k->from == TOKEN_OF_ENV || k->from == TOKEN_OF_FILE)
    return wr_err_set(err, rc, "The server does not take the token of %s. `weir token show --data DIR` prints the right "
                      "one, on the node where it lies.", sent[k->from]);
  if (k->from == TOKEN_OF_DATA)
    return wr_err_set(err, rc, "The server does not take the token in %.60s/" TOKEN_FILE ": name the server's own --data, "
                      "or its token with WEIR_TOKEN or --token-file FILE.", k->data);
  if (*k->data) token_noted(k->data, at);
  if (*at)
    return wr_err_set(err, rc, "The server wants its token, which lies on %.90s: set WEIR_TOKEN to it, or name a copy with "
                      "--token-file FILE.", at);
  return wr_err_set(err, rc, "The server wants its token: set WEIR_TOKEN, name its file with --token-file FILE, or for a "
                    "server on this machine its data directory with --data DIR%s%.50s%s.",
                    *k->data ? " (none can be read in " : "", k->data, *k->data ? ")" : "");
}

/* ---- a request ---- */

enum wr_rc client_open(const struct config *c, struct client **out, struct wr_err *err) {
  const char *url = config_text(c, OPT_SERVER);
  char token[256], line[300];
  size_t n = strlen(url);
  *out = NULL;
  if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
    return wr_err_set(err, WR_BAD_REQUEST, "--server: expected a URL that begins with http:// or https://.");
  if (strcspn(strstr(url, "://") + 3, "@") < strcspn(strstr(url, "://") + 3, "/"))
    return wr_err_set(err, WR_BAD_REQUEST, "--server: no user and no password belong there: the token is WEIR_TOKEN's.");
  struct client *k = wr_new(struct client);
  while (n > 0 && url[n - 1] == '/') n--;
  k->url = wr_memdup0(url, n);
  enum wr_rc rc = find_token(c, k, token, sizeof token, err);
  if (!rc) rc = load(err);
  if (rc) {
    client_close(k);
    return rc;
  }
  k->curl = lib->curl_easy_init();
  k->head = lib->curl_slist_append(NULL, "Content-Type: application/json");
  k->head = lib->curl_slist_append(k->head, "Expect:");
  if (*token) {
    snprintf(line, sizeof line, "Authorization: Bearer %s", token);
    k->head = lib->curl_slist_append(k->head, line);
  }
  *out = k;
  if (k->curl) return WR_OK;
  client_close(k);
  *out = NULL;
  return wr_err_set(err, WR_BUSY, NULL);
}

void client_close(struct client *k) {
  if (!k) return;
  if (k->curl) lib->curl_easy_cleanup(k->curl);
  if (k->head) lib->curl_slist_free_all(k->head); /* without one the library may not be there */
  free(k->url);
  free(k);
}

static size_t more(char *p, size_t size, size_t n, void *out) {
  struct buf *b = out;
  if (b->len + size * n > ANSWER_BYTES) return 0;
  buf_add(b, p, size * n);
  return size * n;
}

/* Before a connection stands nothing was sent; behind that nobody knows what became of a change. */
static enum wr_rc lost(CURLcode e, const char *method, const char *url, struct wr_err *err) {
  bool unsent = e == CURLE_COULDNT_CONNECT || e == CURLE_COULDNT_RESOLVE_HOST || e == CURLE_URL_MALFORMAT ||
                e == CURLE_UNSUPPORTED_PROTOCOL || e == CURLE_PEER_FAILED_VERIFICATION || strcmp(method, "GET") == 0;
  return wr_err_set(err, unsent ? WR_DB_UNAVAILABLE : WR_OUTCOME_UNKNOWN, "The server %.120s does not answer: %.100s.", url,
                    lib->curl_easy_strerror(e));
}

static enum wr_rc read_answer(const struct client *k, const struct buf *out, long status, json_t **data, struct wr_err *err) {
  json_t *answer = json_loadb(out->data ? out->data : "", out->len, JSON_ALLOW_NUL, NULL);
  const char *code = json_string_value(json_object_get(answer, "code"));
  const char *text = json_string_value(json_object_get(answer, "message"));
  json_t *got = json_object_get(answer, "data");
  int n = code ? (int)strtol(code, NULL, 10) : 0;
  enum wr_rc rc = WR_OK;
  if (status == 200 && code && strcmp(code, "200") == 0 && got) *data = json_incref(got);
  else if (n == WR_UNAUTHENTICATED && status == 401) rc = no_token(k, WR_UNAUTHENTICATED, err);
  else if (n == WR_NO_ROUTE && status == 404)
    rc = wr_err_set(err, WR_DB_UNAVAILABLE, "The server has no such path: --server is the address alone, as in http://HOST:8088. "
                    "If it is, the server is of an older version.");
  else if (status != 200 && n / 100 == status)
    rc = wr_err_set(err, (enum wr_rc)n, "%.240s", text ? text : wr_err_text((enum wr_rc)n));
  else rc = wr_err_set(err, WR_DB_UNAVAILABLE, "What answers there (HTTP %ld) is no server of this version of Weir.", status);
  json_decref(answer);
  return rc;
}

enum wr_rc client_ask(struct client *k, const char *method, const char *path, const json_t *body, json_t **data,
                      struct wr_err *err) {
  struct buf url = BUF_INIT, out = BUF_INIT;
  char *text = body ? json_text(body, 0) : NULL;
  long status = 0;
  *data = NULL;
  lib->curl_easy_reset(k->curl); /* its connection stays */
  buf_printf(&url, "%s%s", k->url, path);
  lib->curl_easy_setopt(k->curl, CURLOPT_URL, url.data);
  lib->curl_easy_setopt(k->curl, CURLOPT_NOSIGNAL, 1L);
  lib->curl_easy_setopt(k->curl, CURLOPT_PROTOCOLS_STR, "http,https");
  lib->curl_easy_setopt(k->curl, CURLOPT_CUSTOMREQUEST, method);
  lib->curl_easy_setopt(k->curl, CURLOPT_HTTPHEADER, k->head);
  lib->curl_easy_setopt(k->curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
  lib->curl_easy_setopt(k->curl, CURLOPT_TIMEOUT_MS, ANSWER_MS);
  lib->curl_easy_setopt(k->curl, CURLOPT_WRITEFUNCTION, more);
  lib->curl_easy_setopt(k->curl, CURLOPT_WRITEDATA, &out);
  if (text || strcmp(method, "POST") == 0) {
    lib->curl_easy_setopt(k->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(text ? strlen(text) : 0));
    lib->curl_easy_setopt(k->curl, CURLOPT_POSTFIELDS, text ? text : "");
  }
  CURLcode e = lib->curl_easy_perform(k->curl);
  (void)lib->curl_easy_getinfo(k->curl, CURLINFO_RESPONSE_CODE, &status);
  enum wr_rc rc = e == CURLE_OK ? read_answer(k, &out, status, data, err) : lost(e, method, k->url, err);
  buf_done(&url);
  buf_done(&out);
  free(text);
  return rc;
}

#else
enum wr_rc client_open(const struct config *c, struct client **out, struct wr_err *err) {
  (void)c;
  *out = NULL;
  return wr_err_set(err, WR_INTERNAL, "This weir was built without libcurl, and talks to no server.");
}
void client_close(struct client *k) { (void)k; }
enum wr_rc client_ask(struct client *k, const char *method, const char *path, const json_t *body, json_t **data,
                      struct wr_err *err) {
  (void)k, (void)method, (void)path, (void)body;
  *data = NULL;
  return wr_err_set(err, WR_INTERNAL, NULL);
}
#endif

enum wr_rc client_list(struct client *k, const char *path, json_t **all, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  *all = json_array();
  for (size_t at = 0, got = LIMIT_PAGE; !rc && got == LIMIT_PAGE; at += got) {
    struct buf b = BUF_INIT;
    json_t *page;
    buf_printf(&b, "%s?limit=%d&offset=%zu", path, LIMIT_PAGE, at);
    rc = client_ask(k, "GET", b.data, NULL, &page, err);
    got = json_array_size(page);
    if (!rc) json_array_extend(*all, page);
    json_decref(page);
    buf_done(&b);
  }
  if (!rc) return WR_OK;
  json_decref(*all);
  *all = NULL;
  return rc;
}

void client_print(const json_t *data) {
  char *s = json_text(data, JSON_INDENT(2));
  say_json(stdout, s ? s : "null", s ? strlen(s) : 4);
  putchar('\n');
  free(s);
}

enum wr_rc client_only(const struct config *c, enum opt_id id, const char *verb, const char *word, struct wr_err *err) {
  bool here = c->n_args > 0 && strcmp(c->args[0], word) == 0;
  if (here || c->v[id].from != FROM_FLAG) return WR_OK;
  return wr_err_set(err, WR_BAD_REQUEST, "--%s is for `weir %s %s`.", opt_table[id].name, verb, word);
}

enum exit_code client_exit(enum wr_rc rc) {
  int status = wr_err_status(rc);
  if (rc == WR_OK) return EXIT_OK;
  if (rc == WR_BAD_REQUEST) return EXIT_USAGE;
  if (rc == WR_OUTCOME_UNKNOWN) return EXIT_RUN_FAILED;
  return status == 404 ? EXIT_NOT_FOUND : status >= 500 ? EXIT_UNREACHABLE : EXIT_REFUSED;
}
