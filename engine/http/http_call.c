/* One request, on the client's thread.
 *
 *   begun -> [name looked up] -> addresses checked -> [waits for a connection] -> sent -> read -> over
 *
 * The address that is connected is one that was checked here: libcurl is told which (CONNECT_TO), and the socket is made for no
 * other (open_socket()). What never happens: libcurl looks up a name, follows a redirect, asks a proxy, keeps a cookie. */
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "clock.h"
#include "http_int.h"

/* The macros of curl.h would check types that a table of calls does not show. */
#undef curl_easy_setopt
#undef curl_easy_getinfo
#define SET(c, option, value) ((void)(c)->h->curl->curl_easy_setopt((c)->easy, (option), (value)))

/* ---- its address ---- */

void fetch_refuse(struct http_call *c, enum http_flaw flaw, const char *why) {
  c->answer.flaw = flaw;
  (void)snprintf(c->answer.why, sizeof c->answer.why, "%s", why);
  client_over(c);
}

static size_t take_addresses(const struct addresses *from, uint16_t port, struct net_addr out[RESOLVE_MAX]) {
  size_t n = 0;
  for (size_t i = 0; i < from->n; i++) {
    uint16_t none;
    if (net_of_sockaddr((const struct sockaddr *)&from->a[i].at, from->a[i].len, &out[n], &none)) n++;
  }
  (void)port;
  return n;
}

/* Those of ours that have this port, and are names: their addresses go from the list. */
static enum name_state drop_own(struct http_call *c, int64_t now, struct net_addr *v, size_t *n) {
  struct http *h = c->h;
  size_t n_refused = gate_refused(h);
  for (size_t i = 0; i < n_refused; i++) {
    const struct refused *r = &h->refused[i];
    const struct addresses *a;
    const char *why;
    if (!r->host || r->literal || r->port != c->u.port) continue;
    enum name_state s = names_get(h->names, r->host, now, &a, &why);
    if (s != NAME_KNOWN) return s;
    struct net_addr own[RESOLVE_MAX];
    size_t n_own = take_addresses(a, 0, own), kept = 0;
    for (size_t k = 0; k < *n; k++) {
      bool is = false;
      for (size_t j = 0; j < n_own && !is; j++) is = gate_same_place(&own[j], &v[k]);
      if (!is) v[kept++] = v[k];
    }
    *n = kept;
  }
  return NAME_KNOWN;
}

/* Keeps those that may be connected. why: of the first that may not. */
static void keep_open(struct http_call *c, const struct net_addr *v, size_t n, char why[HTTP_WHY]) {
  struct http *h = c->h;
  size_t n_refused = gate_refused(h);
  c->n_addr = c->i_addr = 0;
  for (size_t i = 0; i < n && c->n_addr < CALL_ADDRESSES; i++) {
    char text[HTTP_WHY];
    const char *closed = gate_closed(h, &v[i], c->u.port, text);
    if (!closed && gate_is_member(h, &v[i], c->u.port)) closed = "a member of the cluster listens there";
    for (size_t k = 0; k < n_refused && !closed; k++)
      if (refused_is(&h->refused[k], &v[i], c->u.port)) closed = "it is an address of the server itself, its store or its queue";
    if (!closed) c->addr[c->n_addr++] = v[i];
    else if (!*why) (void)snprintf(why, HTTP_WHY, "%s", closed);
  }
}

static void wait_for_name(struct http_call *c, int64_t now) {
  if (c->state == CALL_NAMING) return;
  c->state = CALL_NAMING;
  c->since_us = now;
  calls_add(&c->h->naming, c);
}

static void addressed(struct http_call *c, struct net_addr *v, size_t n, int64_t now) {
  char why[HTTP_WHY] = "";
  size_t was = n;
  enum name_state s = drop_own(c, now, v, &n);
  if (s == NAME_WAITS) {
    wait_for_name(c, now);
    return;
  }
  calls_leave(c);
  if (s == NAME_KNOWN) keep_open(c, v, n, why);
  else snprintf(why, sizeof why, "it may be an address of the store or the queue, whose names are not known now");
  if (c->n_addr == 0) {
    if (!*why && was > 0) snprintf(why, sizeof why, "it is an address of the server itself, its store or its queue");
    fetch_refuse(c, HTTP_BLOCKED, *why ? why : "its host has no address");
    return;
  }
  c->state = CALL_WAITING;
  calls_add(&c->h->waiting, c);
}

void fetch_named(struct http_call *c) {
  int64_t now = clock_mono_us();
  struct net_addr v[RESOLVE_MAX];
  const struct addresses *a;
  const char *why;
  if (c->u.literal) {
    v[0] = c->u.addr;
    addressed(c, v, 1, now);
    return;
  }
  enum name_state s = names_get(c->h->names, c->u.host, now, &a, &why);
  if (s == NAME_KNOWN) {
    addressed(c, v, take_addresses(a, c->u.port, v), now);
  } else if (s == NAME_WAITS) {
    wait_for_name(c, now);
  } else {
    char text[HTTP_WHY];
    snprintf(text, sizeof text, "the name %.100s was not found: %.100s", c->u.host, why);
    calls_leave(c);
    fetch_refuse(c, HTTP_NO_ANSWER, text);
  }
}

void fetch_begin(struct http_call *c) {
  char why[URL_WHY];
  if (!c->h->curl) fetch_refuse(c, HTTP_UNABLE, c->h->unable);
  else if (url_read(c->url, &c->u, why)) fetch_refuse(c, HTTP_BLOCKED, why);
  else fetch_named(c);
}

/* ---- what libcurl calls ---- */

/* The last gate: whatever led here, no other address is connected than the one that was checked. */
static curl_socket_t open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *to) {
  struct http_call *c = ctx;
  struct net_addr a;
  uint16_t port;
  char why[HTTP_WHY];
  bool ok = purpose == CURLSOCKTYPE_IPCXN && net_of_sockaddr(&to->addr, (socklen_t)to->addrlen, &a, &port);
  ok = ok && port == c->u.port && a.v6 == c->addr[c->i_addr].v6 && net_same(&a, &c->addr[c->i_addr]);
  if (!ok || gate_closed(c->h, &a, port, why)) return CURL_SOCKET_BAD;
  return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

static size_t on_header(char *p, size_t size, size_t n, void *ctx) {
  struct http_call *c = ctx;
  return answer_line(&c->answer, p, size * n) ? size * n : 0;
}

/* False: it has to wait for one. */
static bool want_place(struct http_call *c, bool vast) {
  struct http *h = c->h;
  struct call_list *places = vast ? &h->vast : &h->holding, *queue = vast ? &h->vast_paused : &h->paused;
  if (c->place == places || c->place == &h->vast) return true;
  bool free_one = queue->n == 0 && client_has_room(h, places);
  c->since_us = clock_mono_us();
  room_take(free_one ? places : queue, c);
  c->silenced = !free_one;
  return free_one;
}

static size_t most(const struct http_call *c) { return c->may_be_vast ? LIMIT_ANALYSIS_BYTES : LIMIT_HTTP_ANSWER_BYTES; }

static size_t on_body(char *p, size_t size, size_t n, void *ctx) {
  struct http_call *c = ctx;
  struct http_answer *a = &c->answer;
  size_t more = size * n;
  if (a->len + more > most(c)) {
    a->flaw = HTTP_TOO_LARGE;
    return CURL_WRITEFUNC_ERROR;
  }
  if (a->len + more > LIMIT_HTTP_SMALL_BYTES && !want_place(c, a->len + more > LIMIT_HTTP_ANSWER_BYTES))
    return CURL_WRITEFUNC_PAUSE;
  if (a->len + more + 1 > c->cap) a->body = wr_grow(a->body, &c->cap, a->len + more + 1, 1);
  memcpy(a->body + a->len, p, more);
  a->len += more;
  a->body[a->len] = '\0';
  return more;
}

/* ---- on the wire ---- */

static const char *header_of(const char *at) { return at + strlen(at) + 1; }

static struct curl_slist *add(struct http_call *c, struct curl_slist *list, const char *text) {
  struct curl_slist *more = c->h->curl->curl_slist_append(list, text);
  wr_assert(more); /* NULL: no memory */
  return more;
}

static void set_headers(struct http_call *c) {
  const char *p = c->body + c->body_len + 1;
  char to[NET_TEXT + 16], text[NET_TEXT];
  bool typed = false;
  for (uint32_t i = 0; i < c->n_header; i++, p = header_of(p)) {
    c->headers = add(c, c->headers, p);
    typed = typed || strncasecmp(p, "Content-Type:", 13) == 0;
  }
  c->headers = add(c, c->headers, "Expect:"); /* what libcurl would add by itself, it leaves out */
  if (!typed) c->headers = add(c, c->headers, "Content-Type:");
  const struct net_addr *a = &c->addr[c->i_addr];
  snprintf(to, sizeof to, a->v6 ? "::[%s]:" : "::%s:", net_text(a, text));
  c->connect_to = add(c, NULL, to);
  SET(c, CURLOPT_HTTPHEADER, c->headers);
  SET(c, CURLOPT_CONNECT_TO, c->connect_to);
}

static bool only_reads(const struct http_call *c) { return strcmp(c->method, "GET") == 0 || strcmp(c->method, "HEAD") == 0; }

static void set_method(struct http_call *c) {
  bool sends = c->body_len > 0 || c->method[0] == 'P';     /* POST, PUT, PATCH: also nothing is something */
  bool head = strcmp(c->method, "HEAD") == 0;
  if (head) SET(c, CURLOPT_NOBODY, 1L);
  else SET(c, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)most(c)); /* of HEAD the length is another's */
  if (sends) {
    SET(c, CURLOPT_POST, 1L);
    SET(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->body_len);
    SET(c, CURLOPT_POSTFIELDS, c->body);
  }
  if (!head) SET(c, CURLOPT_CUSTOMREQUEST, c->method);
}

static void set_bounds(struct http_call *c) {
  SET(c, CURLOPT_NOSIGNAL, 1L);
  SET(c, CURLOPT_PROTOCOLS_STR, "http,https");
  SET(c, CURLOPT_FOLLOWLOCATION, 0L);
  SET(c, CURLOPT_PROXY, "");           /* none, whatever the environment says */
  SET(c, CURLOPT_NOPROXY, "*");
  SET(c, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
  SET(c, CURLOPT_PATH_AS_IS, 1L);
  SET(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  SET(c, CURLOPT_BUFFERSIZE, 2048L);
  SET(c, CURLOPT_CONNECTTIMEOUT_MS, (long)(CONNECT_US / 1000));
  if (c->limit_us) SET(c, CURLOPT_TIMEOUT_MS, (long)(c->limit_us / 1000));
  SET(c, CURLOPT_USERAGENT, "weir");
}

/* libcurl sends a request again by itself when a kept connection ends without an answer: what may change something is sent once.
 * And it looks through all connections for one to use again, and for the oldest one when it keeps one more: with thousands of
 * busy ones that is most of its work, and in vain. */
static void set_reuse(struct http_call *c) {
  bool crowded = c->h->n_active >= IDLE_CONNECTIONS;
  if (crowded || !only_reads(c)) SET(c, CURLOPT_FRESH_CONNECT, 1L);
  if (crowded) SET(c, CURLOPT_FORBID_REUSE, 1L);
}

void fetch_send(struct http_call *c) {
  struct http *h = c->h;
  calls_leave(c);
  c->easy = h->curl->curl_easy_init();
  wr_assert(c->easy);
  SET(c, CURLOPT_PRIVATE, c);
  SET(c, CURLOPT_URL, c->url);
  set_bounds(c);
  set_reuse(c);
  set_method(c);
  set_headers(c);
  SET(c, CURLOPT_OPENSOCKETFUNCTION, open_socket);
  SET(c, CURLOPT_OPENSOCKETDATA, c);
  SET(c, CURLOPT_HEADERFUNCTION, on_header);
  SET(c, CURLOPT_HEADERDATA, c);
  SET(c, CURLOPT_WRITEFUNCTION, on_body);
  SET(c, CURLOPT_WRITEDATA, c);
  c->state = CALL_ACTIVE;
  h->n_active++;
  wr_assert(h->curl->curl_multi_add_handle(h->multi, c->easy) == CURLM_OK);
}

/* A whole answer keeps its place until it was taken over. The smaller ones of analyzers do not: they may wait for the analyst,
 * and there are LIMIT_ANALYSES_AT_ONCE of them at most. */
static void take_off(struct http_call *c) {
  struct http *h = c->h;
  if (c->place == &h->paused || c->place == &h->vast_paused || (c->place == &h->holding && c->may_be_vast)) room_leave(c);
  calls_leave(c);
  if (!c->easy) return;
  (void)h->curl->curl_multi_remove_handle(h->multi, c->easy);
  h->curl->curl_easy_cleanup(c->easy);
  h->curl->curl_slist_free_all(c->headers);
  h->curl->curl_slist_free_all(c->connect_to);
  c->easy = NULL;
  c->headers = c->connect_to = NULL;
  h->n_active--;
}

static void forget_answer(struct http_call *c) {
  answer_done(&c->answer);
  c->cap = 0;
}

/* Of a line of the head that is longer than it reads (100 KiB) libcurl says what it says of a want of memory; a
 * newer one has a code of its own, which older headers do not know. */
enum { LINE_TOO_LARGE = 100 };
static bool line_too_long(CURLcode rc) { return rc == CURLE_OUT_OF_MEMORY || (int)rc == LINE_TOO_LARGE; }

static void read_end(struct http_call *c, CURLcode rc) {
  struct http_answer *a = &c->answer;
  long status = 0;
  curl_off_t after = 0;
  const struct curl_calls *curl = c->h->curl;
  (void)curl->curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
  (void)curl->curl_easy_getinfo(c->easy, CURLINFO_RETRY_AFTER, &after);
  a->status = (int)status;
  a->retry_us = after < 0 ? 0 : after > LIMIT_TIME_US / 1000000 ? LIMIT_TIME_US : (int64_t)after * 1000000;
  if (rc == CURLE_FILESIZE_EXCEEDED) a->flaw = HTTP_TOO_LARGE;
  if (a->flaw == HTTP_TOO_LARGE) snprintf(a->why, sizeof a->why, "the answer is larger than %zu bytes", most(c));
  if (rc == CURLE_OK || a->flaw) return;
  a->flaw = line_too_long(rc) ? HTTP_BAD_HEADER : HTTP_NO_ANSWER;
  if (line_too_long(rc)) snprintf(a->why, sizeof a->why, "a line of the answer's head is too long, or there is no memory for it");
  else snprintf(a->why, sizeof a->why, "%s", curl->curl_easy_strerror(rc));
}

void fetch_ended(struct http_call *c, CURLcode rc) {
  bool another = rc == CURLE_COULDNT_CONNECT && c->i_addr + 1 < c->n_addr && !c->answer.flaw;
  if (!another) read_end(c, rc);
  take_off(c);
  if (another) {
    room_leave(c);
    forget_answer(c);
    c->i_addr++;
    c->state = CALL_WAITING;
    calls_add(&c->h->waiting, c);
    return;
  }
  if (c->pointer && c->answer.flaw == HTTP_ANSWERED) answer_pick(&c->answer, c->pointer);
  client_over(c);
}

void fetch_drop(struct http_call *c) {
  take_off(c);
  room_leave(c);
  answer_done(&c->answer);
  free(c);
}

/* ---- who waits too long ---- */

static void look_at_names(struct http *h, int64_t now) {
  for (struct http_call *c = h->naming.first, *next; c; c = next) {
    next = c->next;
    if (now - c->since_us < LOOKUP_US) continue;
    calls_leave(c);
    fetch_refuse(c, HTTP_NO_ANSWER, "its name was not resolved in time");
  }
}

/* One that is whole keeps its place for whoever reads it. */
static void look_at_places(struct call_list *places, const struct call_list *queue, int64_t now_us) {
  for (struct http_call *c = places->first, *next; c && queue->n > 0; c = next) {
    next = c->next_place;
    if (now_us - c->since_us < PLACE_US || c->state == CALL_OVER) continue;
    take_off(c);
    room_leave(c);
    fetch_refuse(c, HTTP_NO_ANSWER, "its answer is large and came too slowly while others waited for room");
  }
}

void fetch_look(struct http *h, int64_t now_us) {
  look_at_names(h, now_us);
  look_at_places(&h->holding, &h->paused, now_us);
  look_at_places(&h->vast, &h->vast_paused, now_us);
}
