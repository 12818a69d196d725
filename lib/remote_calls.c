/* The calls of weir.h on a server: bodies and answers of docs/reference/api.md. Any thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "json_out.h"
#include "remote.h"
#include "wr_limits.h"

/* ---- a task out of its JSON ---- */

static const char *text(struct box *b, const json_t *o, const char *name) {
  const char *s = json_string_value(json_object_get(o, name));
  return s && *s ? arena_strdup(&b->text, s) : NULL;
}

static int64_t number(const json_t *o, const char *name, int64_t none) {
  const json_t *v = json_object_get(o, name);
  return json_is_integer(v) ? json_integer_value(v) : none;
}

static int64_t when(const json_t *o, const char *name) {
  const char *s = json_string_value(json_object_get(o, name));
  int64_t us = 0;
  return s && clock_parse(s, strlen(s), &us) ? us : 0;
}

static void from_progress(struct box *b, const json_t *p) {
  b->t.total = number(p, "total", -1);
  b->t.done = number(p, "done", -1);
  b->t.speed = json_number_value(json_object_get(p, "speed"));
  b->t.unit = text(b, p, "unit");
  b->t.message = text(b, p, "message");
}

static int digit(char c) {
  static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const char *at = c ? strchr(all, c) : NULL;
  return at ? (int)(at - all) : -1;
}

/* A result that is no UTF-8. */
static void from_base64(struct box *b, const char *s) {
  char *out = arena_alloc(&b->text, strlen(s) / 4 * 3 + 4);
  uint32_t bits = 0;
  int n = 0;
  for (; digit(*s) >= 0; s++) {
    bits = bits << 6 | (uint32_t)digit(*s);
    n += 6;
    if (n < 8) continue;
    n -= 8;
    out[b->t.result_len++] = (char)(bits >> n);
  }
  out[b->t.result_len] = '\0';
  b->t.result = out;
}

static void from_result(struct box *b, const json_t *o) {
  const json_t *v = json_object_get(o, "result");
  const char *base64 = json_string_value(json_object_get(o, "resultBase64"));
  if (json_is_string(v)) {
    b->t.result_len = json_string_length(v);
    b->t.result = arena_memdup0(&b->text, json_string_value(v), b->t.result_len);
  } else if (base64) {
    from_base64(b, base64);
  }
}

static weir_task_t *task_of(const json_t *o) {
  struct box *b = box_new();
  weir_task_t *t = &b->t;
  enum task_shown shown;
  *t = (weir_task_t){.size = sizeof *t, .id = number(o, "tiId", 0), .type = text(b, o, "taskType"), .name = text(b, o,
      "taskName"),
                     .key = text(b, o, "taskKey"), .user = text(b, o, "user"), .group = text(b, o, "group"),
                     .state_name = text(b, o, "state"), .error = text(b, o, "errorMsg"), .host = text(b, o, "host"),
                     .why = text(b, o, "why"), .why_text = text(b, o, "whyText"),
                     .context_len = (size_t)number(o, "contextBytes", 0), .attempt = (int32_t)number(o, "attempt", 0),
                     .run_no = (int32_t)number(o, "runNo", 0), .failures = (int32_t)number(o, "failures", 0),
                     .losses = (int32_t)number(o, "losses", 0), .priority = (int32_t)number(o, "priority", 0),
                     .cpu_overhead = (int32_t)number(o, "cpuOverhead", 0), .exit_code = (int32_t)number(o, "exitCode", -1),
                     .created_us = when(o, "createdAt"), .start_at_us = when(o, "startAt"), .started_us = when(o, "startedAt"),
                     .ended_us = when(o, "endedAt")};
  if (!t->user) t->user = "";
  if (!t->group) t->group = "";
  if (!t->state_name) t->state_name = "";
  t->state = shown_named(t->state_name, &shown) ? shown_state(shown) : WEIR_STATE_FAILED;
  if (t->state != WEIR_STATE_FINISHED && t->state != WEIR_STATE_FAILED) t->ended_us = 0;
  const json_t *given = json_object_get(o, "params");
  char *params = given ? json_text(given, JSON_SORT_KEYS) : NULL;
  t->params = arena_strdup(&b->text, params);
  free(params);
  from_progress(b, json_object_get(o, "progress"));
  from_result(b, o);
  return t;
}

static enum wr_rc add_context(struct remote *r, weir_task_t *t, struct wr_err *err) {
  struct buf out = BUF_INIT;
  char path[64];
  if (t->context_len == 0) return WR_OK;
  snprintf(path, sizeof path, "/monitor/task/%lld/context", (long long)t->id);
  enum wr_rc rc = remote_bytes(r, path, &out, err);
  if (!rc) {
    t->context = arena_memdup0(&((struct box *)t)->text, out.data ? out.data : "", out.len);
    t->context_len = out.len;
  }
  buf_done(&out);
  return rc == WR_NOT_FOUND ? WR_OK : rc;
}

/* Takes o. */
static int hand_out(weir_t *h, json_t *o, weir_task_t **out) {
  struct wr_err err = {0};
  weir_task_t *t = task_of(o);
  json_decref(o);
  enum wr_rc rc = out ? add_context(h->remote, t, &err) : WR_OK;
  if (rc || !out) weir_task_free(t);
  else *out = t;
  return rc ? failed(h, &err) : WEIR_OK;
}

/* ---- the calls ---- */

int remote_create(weir_t *h, json_t *body, size_t n, int64_t *ids) {
  struct wr_err err = {0};
  json_t *data = NULL;
  enum wr_rc rc = remote_ask(h->remote, "POST", "/exec/tasks", body, &data, &err);
  if (!rc && json_array_size(data) != n) rc = wr_err_set(&err, WR_OUTCOME_UNKNOWN, "The server's answer cannot be read.");
  for (size_t i = 0; i < n && !rc && ids; i++) ids[i] = json_integer_value(json_array_get(data, i));
  json_decref(data);
  return rc ? failed(h, &err) : WEIR_OK;
}

int remote_wish(weir_t *h, const char *method, int64_t id, const char *wish, const json_t *body) {
  struct wr_err err = {0};
  char path[80];
  snprintf(path, sizeof path, "/exec/task-ins/%lld%s", (long long)id, wish);
  enum wr_rc rc = remote_ask(h->remote, method, path, body, NULL, &err);
  return rc ? failed(h, &err) : WEIR_OK;
}

int remote_get(weir_t *h, int64_t id, weir_task_t **out) {
  struct wr_err err = {0};
  json_t *data = NULL;
  char path[64];
  snprintf(path, sizeof path, "/monitor/task/%lld", (long long)id);
  enum wr_rc rc = remote_ask(h->remote, "GET", path, NULL, &data, &err);
  return rc ? failed(h, &err) : hand_out(h, data, out);
}

int remote_until(weir_t *h, int64_t id, int64_t until_us, weir_task_t **out) {
  struct wr_err err = {0};
  json_t *task = NULL;
  enum wr_rc rc = remote_wait(h->remote, id, until_us, &task, &err);
  if (rc) return failed(h, &err);
  const char *word = json_string_value(json_object_get(task, "execStatus"));
  bool live = word && strcmp(word, "RUNNING") == 0;
  int got = hand_out(h, task, out);
  return got || !live ? got : fail(h, WEIR_ERR_TIMEOUT, WR_BUSY, "The task has not ended in time.");
}

/* Its states, as the API names them. */
static void add_states(struct buf *path, const weir_filter_t *f) {
  uint32_t wanted = shown_wanted(f);
  if (!wanted) return;
  buf_str(path, "&state=");
  for (enum task_shown s = SHOWN_CREATED; s < SHOWN__N; s++)
    if (wanted & 1u << s) buf_printf(path, "%s%s", path->data[path->len - 1] == '=' ? "" : ",", shown_name(s));
}

static void add_text(struct buf *path, const char *name, const char *value) {
  if (!value) return;
  buf_printf(path, "&%s=", name);
  remote_path(path, value);
}

struct listed { weir_task_t **v; size_t n, cap; int64_t fit; };

static void keep(struct listed *l, const weir_filter_t *f, const json_t *o) {
  const char *type = json_string_value(json_object_get(o, "taskType"));
  bool fits = f->n_types == 0;
  for (size_t i = 0; i < f->n_types && type && !fits; i++) fits = strcmp(f->types[i], type) == 0;
  if (!fits) return;
  int64_t at = l->fit++;
  if (at < f->offset || (f->limit >= 0 && at - f->offset >= f->limit)) return;
  struct box *b = (struct box *)task_of(o);
  b->t.params = b->t.result = NULL;
  if (json_object_get(o, "resultBytes")) b->t.result_len = (size_t)number(o, "resultBytes", 0);
  *WR_PUSH(l->v, l->n, l->cap) = &b->t;
}

/* Page by page. */
static enum wr_rc find(weir_t *h, const weir_filter_t *f, bool total, struct listed *l, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  bool more = true;
  for (int64_t at = 0; more && !rc; at += LIMIT_PAGE) {
    struct buf path = BUF_INIT;
    json_t *data = NULL;
    buf_printf(&path, "/monitor/task?limit=%d&offset=%lld", LIMIT_PAGE, (long long)at);
    add_text(&path, "user", f->user);
    add_text(&path, "group", f->group);
    if (f->n_types == 1) add_text(&path, "type", f->types[0]);
    add_states(&path, f);
    rc = remote_ask(h->remote, "GET", path.data, NULL, &data, err);
    more = json_array_size(data) == LIMIT_PAGE && (total || f->limit < 0 || l->fit - f->offset < f->limit);
    for (size_t i = 0; i < json_array_size(data); i++) keep(l, f, json_array_get(data, i));
    json_decref(data);
    buf_done(&path);
  }
  return rc;
}

int remote_list(weir_t *h, const weir_filter_t *f, weir_task_t ***out, size_t *n, int64_t *total) {
  struct wr_err err = {0};
  struct listed l = {0};
  enum wr_rc rc = find(h, f, total != NULL, &l, &err);
  if (rc) {
    weir_list_free(l.v, l.n);
    return failed(h, &err);
  }
  *out = l.v;
  *n = l.n;
  if (total) *total = l.fit;
  return WEIR_OK;
}

int remote_log(weir_t *h, int64_t id, int attempt, int64_t offset, char *buf, size_t cap, size_t *got) {
  struct wr_err err = {0};
  struct buf out = BUF_INIT;
  char path[128], which[24] = "all";
  if (attempt >= 0) snprintf(which, sizeof which, "%d", attempt);
  size_t most = cap < LIMIT_LOG_READ_BYTES ? cap : LIMIT_LOG_READ_BYTES;
  if (most == 0) return WEIR_OK;
  snprintf(path, sizeof path, "/monitor/task/%lld/log?offset=%lld&limit=%zu%s%s", (long long)id, (long long)offset, most,
           attempt ? "&attempt=" : "", attempt ? which : "");
  enum wr_rc rc = remote_bytes(h->remote, path, &out, &err);
  if (rc == WR_BAD_RANGE) rc = WR_OK; /* there are no more so far */
  else if (!rc && out.len) memcpy(buf, out.data, *got = out.len < most ? out.len : most);
  buf_done(&out);
  return rc ? failed(h, &err) : WEIR_OK;
}

int remote_queue(weir_t *h, const json_t *body) {
  struct wr_err err = {0};
  enum wr_rc rc = remote_ask(h->remote, "POST", "/queue", body, NULL, &err);
  return rc ? failed(h, &err) : WEIR_OK;
}

int remote_queue_delete(weir_t *h, const char *user, const char *group) {
  struct wr_err err = {0};
  struct buf path = BUF_INIT;
  buf_str(&path, "/queue?user=");
  remote_path(&path, user ? user : "");
  buf_str(&path, "&group=");
  remote_path(&path, group ? group : "");
  enum wr_rc rc = remote_ask(h->remote, "DELETE", path.data, NULL, NULL, &err);
  buf_done(&path);
  return rc ? failed(h, &err) : WEIR_OK;
}
