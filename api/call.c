/* One request: see call.h. */
#include "call.h"
#include <malloc.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "def.h"
#include "wr_limits.h"
#include "log.h"
#include "meant.h"
#include "text.h"

#define BODY_US 10000000
#define BODY_US_PER_MIB 1000000
#define LOG_EVERY_US 10000000

/* ---- errors ---- */

enum wr_rc call_fail(struct call *c, enum wr_rc code, const char *fmt, ...) {
  char msg[256];
  va_list ap;
  if (!fmt) return wr_err_set(&c->err, code, NULL);
  va_start(ap, fmt);
  vsnprintf(msg, sizeof msg, fmt, ap);
  va_end(ap);
  return wr_err_set(&c->err, code, "%s", msg);
}

enum wr_rc call_missing(struct call *c, const char *what) {
  return call_fail(c, WR_NOT_FOUND, "%s %lld does not exist.", what, (long long)c->id);
}

/* 507 and 503 come in thousands: each of the two gets at most one line every LOG_EVERY_US, with the number of refusals since the
 * last line. */
static void log_refusal(struct api *a, const struct http_req *q, int status, const struct wr_err *err) {
  struct said *s = &a->said[status == 507];
  int64_t now = clock_mono_us(), last = atomic_load(&s->at_us);
  atomic_fetch_add(&s->n, 1);
  if ((last != 0 && now - last < LOG_EVERY_US) || !atomic_compare_exchange_strong(&s->at_us, &last, now)) return;
  log_warn("http.refused", L_INT("n", atomic_exchange(&s->n, 0)), L_INT("code", err->code), L_STR("request", q->id),
           L_STR("why", err->msg));
}

/* won: the state that a 409 names; NULL = none. */
static void send_error(struct api *a, struct http_req *q, const struct wr_err *err, const char *headers, const char *won,
                       const struct health *h) {
  int status = wr_err_status(err->code);
  char all[256];
  snprintf(all, sizeof all, "%s%s%s", headers, status == 503 ? "Retry-After: 1\r\n" : "",
           status == 401 ? "WWW-Authenticate: Bearer\r\n" : "");
  http_out_again(q);
  answer_error(http_out(q), err, &(struct answer_more){q->id, won, h});
  if ((status == 503 && !h) || status == 507) log_refusal(a, q, status, err);
  else if (status >= 500 && status != 503)
    log_error("http.failed", L_STR("request", q->id), L_INT("code", err->code), L_STR("error", err->msg));
  http_send(q, status, "application/json", all);
}

void call_refuse(void *api, struct http_req *q, const struct wr_err *err) {
  send_error(api, q, err, err->code == WR_METHOD ? "Allow: GET, HEAD, POST, DELETE\r\n" : "", NULL, NULL);
}

/* ---- the body ---- */

int64_t call_deadline(const struct call *c) { return c->http->since_us + c->api->o.request_us; }

enum wr_rc call_turn(struct call *c, struct turn *t, const char *busy) {
  return turn_take(t, call_deadline(c)) ? WR_OK : call_fail(c, WR_BUSY, "%s", busy);
}

/* The body is read: only its parse, which makes a large tree, waits for others, on a few threads. */
static enum wr_rc large_begin(struct call *c) {
  struct api *a = c->api;
  static const char busy[] = "Other large bodies are being handled. Try again.";
  bool room = atomic_fetch_add(&a->n_large, 1) <= LIMIT_LARGE_WAITING;
  enum wr_rc rc = room ? call_turn(c, &a->large, busy) : call_fail(c, WR_BUSY, busy);
  if (rc != WR_OK) atomic_fetch_sub(&a->n_large, 1);
  return rc;
}

static void large_end(struct call *c) {
  buf_done(&c->http->scratch->body);
  turn_give(&c->api->large);
  atomic_fetch_sub(&c->api->n_large, 1);
  malloc_trim(0); /* a tree of two million values is not kept for the next one */
}

static enum wr_rc read_body(struct call *c, size_t limit) {
  int64_t length = c->http->framing.length;
  enum wr_rc rc = length > 0 && (uint64_t)length <= limit ? gate_body(&c->http->in, &c->err) : WR_OK;
  if (rc != WR_OK) return rc;
  int64_t bytes = length >= 0 ? length : (int64_t)limit;
  rc = http_body(c->http, limit, BODY_US + (bytes >> 20) * BODY_US_PER_MIB, &c->err);
  if (rc == WR_OK && length < 0 && c->http->scratch->body.len > 0) rc = gate_body(&c->http->in, &c->err);
  return rc;
}

static enum wr_rc parse_body(struct call *c) {
  const struct buf *b = &c->http->scratch->body;
  if (b->len == 0) return c->route->body == BODY_REQUIRED ? call_fail(c, WR_BODY_MISSING, NULL) : WR_OK;
  size_t values = c->route->flags & ROUTE_LARGE ? LIMIT_FLOW_JSON_VALUES : LIMIT_JSON_VALUES;
  return json_load_strict(b->data, b->len, values, &c->body, &c->err);
}

/* Until when the handler may read the store: a request with a body has its time from when the body is there; a flow of a
 * hundred thousand nodes has what it takes. */
static int64_t read_until(const struct call *c) {
  if (c->route->flags & ROUTE_LARGE) return 0;
  return c->route->body == BODY_NONE ? call_deadline(c) : clock_mono_us() + c->api->o.request_us;
}

/* Probes are answered by threads that may not wait, and ask nothing of the node but its health. */
static bool come_in(struct call *c) { return c->route->flags & ROUTE_ALWAYS || door_in(&c->api->door, call_deadline(c)); }

static enum wr_rc no_node(struct call *c) {
  return call_fail(c, WR_DB_UNAVAILABLE, "This process has no node just now. Try again.");
}

static enum wr_rc run_handler(struct call *c) {
  c->out = http_out(c->http);
  answer_open(c->out);
  if (!come_in(c)) return no_node(c);
  store_deadline(read_until(c));
  enum wr_rc rc = c->route->fn(c);
  store_deadline(0);
  if (!(c->route->flags & ROUTE_ALWAYS)) door_out(&c->api->door);
  return rc;
}

static size_t body_limit(const struct route *r) {
  return r->flags & ROUTE_LARGE ? LIMIT_FLOW_BODY_BYTES : r->flags & ROUTE_TASK ? LIMIT_TASK_BODY_BYTES : LIMIT_BODY_BYTES;
}

static enum wr_rc body_and_handler(struct call *c) {
  if (c->route->body == BODY_NONE) return run_handler(c); /* a body is not read: the connection closes */
  enum wr_rc rc = read_body(c, body_limit(c->route));
  if (rc != WR_OK) return rc;
  bool large = c->http->scratch->body.len > LIMIT_BODY_BYTES;
  if (large) rc = large_begin(c);
  if (rc != WR_OK) return rc;
  rc = parse_body(c);
  if (rc == WR_OK && (c->route->flags & ROUTE_KEYED)) rc = key_read(c);
  if (rc == WR_OK) rc = run_handler(c);
  json_decref(c->body);
  c->body = NULL;
  if (large) large_end(c);
  return rc;
}

/* ---- the way ---- */

static enum wr_rc admit(struct call *c, char allow[64]) {
  char path[GATE_PATH_MAX];
  const char *id = NULL;
  const struct gate_in *in = &c->http->in;
  enum wr_rc rc = gate_path(in->target, path, &c->err);
  if (rc == WR_OK) rc = gate_host(in, &c->api->hosts, &c->err);
  if (rc != WR_OK) return rc;
  rc = routes_find(in->method, path, &c->route, &id, allow, 64);
  if (rc != WR_OK) return call_fail(c, rc, NULL);
  if (c->http->crowded && !(c->route->flags & ROUTE_ALWAYS)) return call_fail(c, WR_BUSY, NULL);
  rc = gate_origin(in, &c->err);
  if (rc == WR_OK) rc = auth_check(&c->api->auth, in, c->route->role, &c->err);
  if (rc != WR_OK) return rc;
  if ((c->route->flags & ROUTE_CHANGES) && atomic_load(&c->api->draining)) return call_fail(c, WR_DRAINING, NULL);
  if (c->route->flags & ROUTE_FILE) snprintf(c->path, sizeof c->path, "%.63s", path);
  else if (c->route->flags & ROUTE_NAME) snprintf(c->name, sizeof c->name, "%s", id);
  else if (id && !text_id(id, strcspn(id, "/"), &c->id)) return call_fail(c, WR_BAD_ID, NULL);
  return query_string(&c->q, in->query, c->route->query, c->route->most, &c->err);
}

/* What was shown goes on: its connection waits for the end. False: there is no descriptor for that; then it is answered now. */
static bool park(struct call *c) {
  const struct call_wait *w = &c->wait;
  if (!w->w || !w->live) return false;
  if (!w->show) {
    struct buf head = BUF_INIT;
    http_stream_head(c->http, c->type, c->headers, &head);
    bool ok = waiter_give_log(w->w, c->http, &w->follow, &head);
    buf_done(&head);
    return ok;
  }
  struct call_kept k = {.show = w->show, .route = c->route, .id = c->id, .q = c->q, .replayed = c->page.replayed};
  return waiter_give(w->w, c->http, c->q.wait_us, &k);
}

static void send_answer(struct call *c) {
  if (c->fixed.status) {
    http_send_fixed(c->http, &c->fixed);
    return;
  }
  if (!c->type) answer_close(c->out, &c->page);
  http_send(c->http, 200, c->type ? c->type : "application/json", c->headers);
}

void call_handle(void *api, struct http_req *q) {
  struct call c = {.api = api, .http = q, .page = {.total = -1}};
  char allow[64] = "";
  wr_err_clear(&c.err);
  query_init(&c.q);
  enum wr_rc rc = admit(&c, allow);
  if (rc == WR_OK) rc = body_and_handler(&c);
  if (rc == WR_OK && park(&c)) return;
  waiter_free(c.wait.w);
  if (rc == WR_OK) {
    send_answer(&c);
    return;
  }
  if (c.err.code != rc) wr_err_set(&c.err, rc, NULL);
  if (rc == WR_METHOD) snprintf(c.headers, sizeof c.headers, "Allow: %s\r\n", allow);
  send_error(api, q, &c.err, c.headers, c.won, c.has_health ? &c.health : NULL);
}

/* ---- waiting ---- */

static bool waits(const struct call *c) { return c->q.wait_us > 0 && !waits_ending(c->api->o.waits); }

static struct waiter *the_waiter(struct call *c, enum wait_kind kind) {
  if (!c->wait.w) c->wait.w = waiter_new(c->api->o.waits, kind);
  return c->wait.w;
}

void call_watch(struct call *c, enum wait_kind kind, int64_t id) { waiter_watch(the_waiter(c, kind), id); }

enum wr_rc call_place(struct call *c, enum wait_kind kind) {
  if (kind != WAIT_LOG && !waits(c)) return WR_OK;
  if (waiter_place(the_waiter(c, kind), c->http->http)) return WR_OK;
  return call_fail(c, WR_BUSY, "As many requests wait or follow a log as may (--wait-share). Ask without that, or later.");
}

enum wr_rc call_wait(struct call *c, enum wait_kind kind, int64_t id, handler_fn *show) {
  c->id = id;
  c->wait.show = show;
  if (!waits(c)) return show(c);
  call_watch(c, kind, id);
  struct query q = c->q;
  enum wr_rc rc = show(c);
  c->q = q;
  return rc == WR_OK && c->wait.live ? call_place(c, kind) : rc;
}

static enum wr_rc show_again(struct call *c, handler_fn *show) {
  if (!door_in(&c->api->door, call_deadline(c))) return no_node(c);
  store_deadline(call_deadline(c));
  enum wr_rc rc = show(c);
  store_deadline(0);
  door_out(&c->api->door);
  return rc;
}

enum again call_again(struct api *a, struct http_req *q, const struct call_kept *k, bool last) {
  struct call c = {.api = a, .http = q, .route = k->route, .id = k->id, .q = k->q};
  c.page = (struct answer_page){.total = -1, .replayed = k->replayed};
  enum wr_rc rc = WR_OK;
  wr_err_clear(&c.err);
  c.out = http_out(q);
  answer_open(c.out);
  if (clock_mono_us() < call_deadline(&c)) rc = show_again(&c, k->show);
  else rc = call_fail(&c, WR_DB_UNAVAILABLE, NULL);
  if (rc == WR_OK && c.wait.live && !last) return AGAIN_LIVE;
  if (rc != WR_OK && wr_err_status(rc) == 503 && !last) return AGAIN_AWAY;
  if (rc == WR_OK) send_answer(&c);
  else send_error(a, q, &c.err, "", NULL, NULL);
  return AGAIN_ANSWERED;
}

/* ---- for handlers ---- */

struct reader *call_reader(struct call *c) {
  struct reader *r = reader_get(c->api->o.store, &c->err);
  if (!r && c->err.code == WR_OK) (void)call_fail(c, WR_DB_UNAVAILABLE, NULL);
  return r;
}

/* ---- asking the runner ---- */

enum wr_rc call_post(struct call *c, struct req *q, struct load *load) {
  bool keyed = c->key[0] && (q->kind == REQ_START || q->kind == REQ_EXEC_TASK);
  const struct ask_opts o = {.runner = c->api->o.runner, .until_us = call_deadline(c), .ending = &c->api->draining,
                             .key = keyed ? c->key : NULL, .key_hash = c->key_hash};
  ask_runner(&o, q, load);
  c->page.replayed = q->replayed;
  c->won = q->state;
  if (q->rc == WR_OK) return WR_OK;
  c->err = q->err;
  if (c->err.code != q->rc) wr_err_set(&c->err, q->rc, NULL);
  return q->rc;
}

static const char *type_name(json_type t) {
  switch (t) {
  case JSON_OBJECT: return "an object";
  case JSON_ARRAY: return "an array";
  case JSON_STRING: return "a string";
  case JSON_INTEGER: return "an integer";
  case JSON_REAL: return "a number";
  case JSON_TRUE: case JSON_FALSE: return "true or false";
  case JSON_NULL: break;
  }
  return "null";
}

static enum wr_rc unknown_field(struct call *c, const char *key, const char *path, const struct body_field *f, size_t n) {
  const char *name[MEANT_MAX];
  char quoted[WR_QUOTE_MAX], all[MEANT_LIST];
  for (size_t i = 0; i < n; i++) name[i] = f[i].name;
  const char *near = meant(key, name, n), *q = wr_err_quote(quoted, key, strlen(key));
  if (near) return wr_err_at(&c->err, WR_UNKNOWN_FIELD, path, "Unknown field %s. Did you mean \"%s\"?", q, near);
  if (n == 0) return wr_err_at(&c->err, WR_UNKNOWN_FIELD, path, "Unknown field %s. This body takes no fields.", q);
  return wr_err_at(&c->err, WR_UNKNOWN_FIELD, path, "Unknown field %s.%s", q, meant_list(all, key, name, n));
}

enum wr_rc call_fields(struct call *c, const json_t *obj, const char *path, const struct body_field *f, size_t n, json_t **v) {
  json_t *o = (json_t *)(uintptr_t)obj, *val; /* iterating changes nothing */
  const char *key;
  char at[sizeof c->err.path];
  for (size_t i = 0; i < n; i++) v[i] = NULL;
  json_object_foreach(o, key, val) {
    size_t i = 0;
    while (i < n && strcmp(f[i].name, key) != 0) i++;
    text_pointer(at, sizeof at, path, key);
    if (i == n) return unknown_field(c, key, at, f, n);
    if (json_typeof(val) != f[i].type) return wr_err_at(&c->err, WR_WRONG_TYPE, at, "%s must be %s.", key, type_name(f[i].type));
    v[i] = val;
  }
  for (size_t i = 0; i < n; i++) {
    snprintf(at, sizeof at, "%s/%s", path, f[i].name);
    if (f[i].required && !v[i]) return wr_err_at(&c->err, WR_WRONG_TYPE, at, "%s must be %s.", f[i].name, type_name(f[i].type));
  }
  return WR_OK;
}

enum wr_rc call_list(struct call *c, const char *name, size_t most, json_t **out) {
  const struct body_field field = {name, JSON_ARRAY, true};
  char path[64];
  enum wr_rc rc = call_fields(c, c->body, "", &field, 1, out);
  if (rc != WR_OK || json_array_size(*out) <= most) return rc;
  snprintf(path, sizeof path, "/%s", name);
  rc = wr_err_at(&c->err, WR_TOO_LARGE, path, "More than %zu %s.", most, name);
  c->err.limit = (int64_t)most;
  c->err.got = (int64_t)json_array_size(*out);
  return rc;
}
