/* The calls of weir.h on a server: bodies and answers of docs/reference/api.md. Any thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "json_out.h"
#include "remote.h"
#include "wr_limits.h"

/* ---- a task out of its JSON ---- */

/* A member that is not there, or null, is none. One of another shape makes all of it odd, and nothing of it is handed out. */
struct from { const json_t *o; struct box *b; bool odd; };

static const json_t *member(const struct from *f, const char *name) {
  const json_t *v = json_object_get(f->o, name);
  return json_is_null(v) ? NULL : v;
}

static const char *text(struct from *f, const char *name) {
  const json_t *v = member(f, name);
  const char *s = json_string_value(v);
  f->odd |= v && !s;
  return s && *s ? arena_strdup(&f->b->text, s) : NULL;
}

/* From min on, or `none` where there is none. */
static int64_t number(struct from *f, const char *name, int64_t none, int64_t min, int64_t max) {
  const json_t *v = member(f, name);
  int64_t n = json_integer_value(v);
  if (!v) return none;
  f->odd |= !json_is_integer(v) || n < min || n > max;
  return n;
}

static int32_t small(struct from *f, const char *name, int32_t none) {
  return (int32_t)number(f, name, none, INT32_MIN, INT32_MAX);
}

static size_t length(struct from *f, const char *name) { return (size_t)number(f, name, 0, 0, INT64_MAX); }

static int64_t when(struct from *f, const char *name) {
  const json_t *v = member(f, name);
  const char *s = json_string_value(v);
  int64_t us = 0;
  if (!v) return 0;
  f->odd |= !s || !clock_parse(s, strlen(s), &us);
  return us;
}

static void from_progress(struct from *f) {
  weir_task_t *t = &f->b->t;
  struct from p = {member(f, "progress"), f->b, false};
  const json_t *speed = member(&p, "speed");
  t->total = number(&p, "total", -1, 0, INT64_MAX);
  t->done = number(&p, "done", -1, 0, INT64_MAX);
  t->speed = json_number_value(speed);
  t->unit = text(&p, "unit");
  t->message = text(&p, "message");
  f->odd |= p.odd || (p.o && !json_is_object(p.o)) || (speed && !json_is_number(speed));
}

static int digit(char c) {
  static const char all[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const char *at = c ? strchr(all, c) : NULL;
  return at ? (int)(at - all) : -1;
}

/* A result that is no UTF-8. */
static void from_base64(struct from *f, const char *s) {
  weir_task_t *t = &f->b->t;
  char *out = arena_alloc(&f->b->text, strlen(s) / 4 * 3 + 4);
  uint32_t bits = 0;
  int n = 0;
  for (; digit(*s) >= 0; s++) {
    bits = bits << 6 | (uint32_t)digit(*s);
    n += 6;
    if (n < 8) continue;
    n -= 8;
    out[t->result_len++] = (char)(bits >> n);
  }
  f->odd |= s[strspn(s, "=")] != '\0';
  out[t->result_len] = '\0';
  t->result = out;
}

static void from_result(struct from *f) {
  weir_task_t *t = &f->b->t;
  const json_t *v = member(f, "result"), *base64 = member(f, "resultBase64");
  f->odd |= (v && !json_is_string(v)) || (base64 && !json_is_string(base64));
  if (f->odd) return;
  if (v) {
    t->result_len = json_string_length(v);
    t->result = arena_memdup0(&f->b->text, json_string_value(v), t->result_len);
  } else if (base64) {
    from_base64(f, json_string_value(base64));
  }
}

static void from_state(struct from *f) {
  weir_task_t *t = &f->b->t;
  enum task_shown s = SHOWN_NONE;
  const char *word = text(f, "state");
  f->odd |= !word || !shown_named(word, &s);
  if (f->odd) return;
  t->state_name = shown_name(s);
  t->state = shown_state(s);
}

static void from_params(struct from *f) {
  const json_t *given = json_object_get(f->o, "params");
  char *params = given ? json_text(given, JSON_SORT_KEYS) : NULL;
  f->b->t.params = arena_strdup(&f->b->text, params);
  free(params);
}

static void from_members(struct from *f) {
  weir_task_t *t = &f->b->t;
  t->id = number(f, "tiId", 0, 1, INT64_MAX);
  t->type = text(f, "taskType");
  t->name = text(f, "taskName");
  t->key = text(f, "taskKey");
  t->user = text(f, "user");
  t->group = text(f, "group");
  t->error = text(f, "errorMsg");
  t->host = text(f, "host");
  t->why = text(f, "why");
  t->why_text = text(f, "whyText");
  t->context_len = length(f, "contextBytes");
  t->attempt = small(f, "attempt", 0);
  t->run_no = small(f, "runNo", 0);
  t->failures = small(f, "failures", 0);
  t->losses = small(f, "losses", 0);
  t->priority = small(f, "priority", 0);
  t->cpu_overhead = small(f, "cpuOverhead", 0);
  t->exit_code = small(f, "exitCode", -1);
  t->created_us = when(f, "createdAt");
  t->start_at_us = when(f, "startAt");
  t->started_us = when(f, "startedAt");
  t->ended_us = when(f, "endedAt");
  if (!t->user) t->user = "";
  if (!t->group) t->group = "";
}

/* NULL: it is no task of this version of Weir; what is not known is not guessed. */
static weir_task_t *task_of(const json_t *o) {
  struct from f = {o, box_new(), false};
  weir_task_t *t = &f.b->t;
  from_members(&f);
  from_state(&f);
  from_params(&f);
  from_progress(&f);
  from_result(&f);
  if (f.odd || t->id < 1) return weir_task_free(t), NULL;
  if (t->state != WEIR_STATE_FINISHED && t->state != WEIR_STATE_FAILED) t->ended_us = 0;
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

/* Of task id. out NULL: only whether it is one. */
static enum wr_rc hand_out(weir_t *h, int64_t id, const json_t *o, weir_task_t **out, struct wr_err *err) {
  weir_task_t *t = task_of(o);
  enum wr_rc rc = !t || t->id != id ? remote_odd("GET", err) : out ? add_context(h->remote, t, err) : WR_OK;
  if (rc || !out) weir_task_free(t);
  else *out = t;
  return rc;
}

/* ---- the calls: each between enter() and leave() ---- */

static int done(weir_t *h, enum wr_rc rc, const struct wr_err *err) {
  leave(h);
  return rc ? failed(h, err) : WEIR_OK;
}

/* As many ids as were wanted. */
static bool take_ids(const json_t *data, size_t n, int64_t *ids) {
  bool all = json_array_size(data) == n;
  for (size_t i = 0; i < n && all; i++) all = json_integer_value(json_array_get(data, i)) >= 1;
  for (size_t i = 0; i < n && all && ids; i++) ids[i] = json_integer_value(json_array_get(data, i));
  return all;
}

int remote_create(weir_t *h, json_t *body, size_t n, int64_t *ids) {
  struct wr_err err = {0};
  json_t *data = NULL;
  if (!enter(h)) return WEIR_ERR_UNAVAILABLE;
  enum wr_rc rc = remote_ask(h->remote, "POST", "/exec/tasks", body, JSON_ARRAY, &data, &err);
  if (!rc && !take_ids(data, n, ids)) rc = remote_odd("POST", &err);
  json_decref(data);
  return done(h, rc, &err);
}

int remote_wish(weir_t *h, const char *method, int64_t id, const char *wish, const json_t *body) {
  struct wr_err err = {0};
  char path[80];
  if (!enter(h)) return WEIR_ERR_UNAVAILABLE;
  snprintf(path, sizeof path, "/exec/task-ins/%lld%s", (long long)id, wish);
  return done(h, remote_ask(h->remote, method, path, body, JSON_OBJECT, NULL, &err), &err);
}

int remote_get(weir_t *h, int64_t id, weir_task_t **out) {
  struct wr_err err = {0};
  json_t *data = NULL;
  char path[64];
  if (!enter(h)) return WEIR_ERR_UNAVAILABLE;
  snprintf(path, sizeof path, "/monitor/task/%lld", (long long)id);
  enum wr_rc rc = remote_ask(h->remote, "GET", path, NULL, JSON_OBJECT, &data, &err);
  if (!rc) rc = hand_out(h, id, data, out, &err);
  json_decref(data);
  return done(h, rc, &err);
}

int remote_until(weir_t *h, int64_t id, int64_t until_us, weir_task_t **out) {
  struct wr_err err = {0};
  json_t *task = NULL;
  bool ended = false;
  if (!enter(h)) return WEIR_ERR_UNAVAILABLE;
  enum wr_rc rc = remote_wait(h->remote, id, until_us, &task, &ended, &err);
  if (!rc) rc = hand_out(h, id, task, out, &err);
  json_decref(task);
  int answer = done(h, rc, &err);
  return answer || ended ? answer : fail(h, WEIR_ERR_TIMEOUT, WR_BUSY, "The task has not ended in time.");
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

/* False: it is no task. */
static bool keep(struct listed *l, const weir_filter_t *f, const json_t *o) {
  weir_task_t *t = task_of(o);
  const json_t *bytes = json_object_get(o, "resultBytes");
  if (!t) return false;
  int64_t at = shown_type(f, t->type) ? l->fit++ : -1;
  if (at < f->offset || (f->limit >= 0 && at - f->offset >= f->limit)) return weir_task_free(t), true;
  t->params = t->result = NULL;
  if (json_integer_value(bytes) > 0) t->result_len = (size_t)json_integer_value(bytes);
  *WR_PUSH(l->v, l->n, l->cap) = t;
  return true;
}

static enum wr_rc keep_all(struct listed *l, const weir_filter_t *f, const json_t *page, struct wr_err *err) {
  for (size_t i = 0; i < json_array_size(page); i++)
    if (!keep(l, f, json_array_get(page, i))) return remote_odd("GET", err);
  return WR_OK;
}

/* Page by page. */
static enum wr_rc find_tasks(weir_t *h, const weir_filter_t *f, bool total, struct listed *l, struct wr_err *err) {
  enum wr_rc rc = WR_OK;
  char after[REMOTE_AFTER] = "9007199254740991.9007199254740991"; /* before the newest */
  for (bool more = true; more && !rc;) {
    struct buf path = BUF_INIT;
    json_t *data = NULL;
    buf_printf(&path, "/monitor/task?limit=%d&after=%s", LIMIT_PAGE, after);
    add_text(&path, "user", f->user);
    add_text(&path, "group", f->group);
    if (f->n_types == 1) add_text(&path, "type", f->types[0]);
    add_states(&path, f);
    rc = remote_page(h->remote, path.data, &data, after, err);
    if (!rc) rc = keep_all(l, f, data, err);
    more = *after && (total || f->limit < 0 || l->fit - f->offset < f->limit);
    json_decref(data);
    buf_done(&path);
  }
  return rc;
}

int remote_list(weir_t *h, const weir_filter_t *f, weir_task_t ***out, size_t *n, int64_t *total) {
  struct wr_err err = {0};
  struct listed l = {0};
  if (!enter(h)) return WEIR_ERR_UNAVAILABLE;
  enum wr_rc rc = find_tasks(h, f, total != NULL, &l, &err);
  if (rc) {
    weir_list_free(l.v, l.n);
    return done(h, rc, &err);
  }
  *out = l.v;
  *n = l.n;
  if (total) *total = l.fit;
  return done(h, rc, &err);
}

int remote_log(weir_t *h, int64_t id, int attempt, int64_t offset, char *buf, size_t cap, size_t *got) {
  struct wr_err err = {0};
  struct buf out = BUF_INIT;
  char path[128], which[24] = "all";
  if (attempt >= 0) snprintf(which, sizeof which, "%d", attempt);
  size_t most = cap < LIMIT_LOG_READ_BYTES ? cap : LIMIT_LOG_READ_BYTES;
  if (most == 0) { /* the same answers, without a byte */
    weir_task_t *t = NULL;
    int rc = remote_get(h, id, &t);
    weir_task_free(t);
    return rc;
  }
  if (!enter(h)) return WEIR_ERR_UNAVAILABLE;
  snprintf(path, sizeof path, "/monitor/task/%lld/log?offset=%lld&limit=%zu%s%s", (long long)id, (long long)offset, most,
           attempt ? "&attempt=" : "", attempt ? which : "");
  enum wr_rc rc = remote_bytes(h->remote, path, &out, &err);
  if (rc == WR_BAD_RANGE) rc = WR_OK; /* there are no more so far */
  else if (!rc && out.len) memcpy(buf, out.data, *got = out.len < most ? out.len : most);
  buf_done(&out);
  return done(h, rc, &err);
}

int remote_queue(weir_t *h, const json_t *body) {
  struct wr_err err = {0};
  if (!enter(h)) return WEIR_ERR_UNAVAILABLE;
  return done(h, remote_ask(h->remote, "POST", "/queue", body, JSON_OBJECT, NULL, &err), &err);
}

int remote_queue_delete(weir_t *h, const char *user, const char *group) {
  struct wr_err err = {0};
  struct buf path = BUF_INIT;
  if (!enter(h)) return WEIR_ERR_UNAVAILABLE;
  buf_str(&path, "/queue?user=");
  remote_path(&path, user ? user : "");
  buf_str(&path, "&group=");
  remote_path(&path, group ? group : "");
  enum wr_rc rc = remote_ask(h->remote, "DELETE", path.data, NULL, JSON_OBJECT, NULL, &err);
  buf_done(&path);
  return done(h, rc, &err);
}
