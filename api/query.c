/* Filters and paging: see query.h. */
#include "query.h"
#include <string.h>
#include "clock.h"
#include "mem.h"
#include "run.h"
#include "text.h"
#include "weir_executor.h"

enum kind { KIND_INT, KIND_TEXT, KIND_BOOL };
struct value { const char *s; size_t n; int64_t max_limit; };
struct param {
  const char *name;
  uint64_t bit;
  enum kind kind;
  enum wr_rc code;
  const char *allowed;
  bool (*set)(struct query *, const struct value *);
};

static bool set_flow_id(struct query *q, const struct value *v) { return text_id(v->s, v->n, &q->flow_id); }
static bool set_fi(struct query *q, const struct value *v) { return text_id(v->s, v->n, &q->fi); }

static bool value_is(const struct value *v, const char *w) { return strlen(w) == v->n && memcmp(v->s, w, v->n) == 0; }

/* The name of one exact state. */
static bool state_word(struct query *q, const struct value *v) {
  q->state = -1;
  for (int s = FLOW_RUNNING; s < FLOW__N; s++)
    if (value_is(v, flow_state_name((enum flow_state)s))) q->state = s;
  return q->state >= 0;
}
/* status= may have asked for a state already. */
static bool set_state(struct query *q, const struct value *v) { return q->state < 0 && state_word(q, v); }
static bool set_task_state(struct query *q, const struct value *v) {
  q->state = -1;
  for (int s = TASK_CREATED; s < TASK__N; s++)
    if (value_is(v, task_state_name((enum task_state)s))) q->state = s;
  return q->state >= 0;
}

static bool set_stream(struct query *q, const struct value *v) {
  q->stream = value_is(v, "stdout") ? WX_STDOUT : value_is(v, "stderr") ? WX_STDERR : 0;
  return q->stream != 0;
}

/* S2's three words mean all states that they stand for. Any other word is an exact state, unless state= asked for one. */
static bool set_status(struct query *q, const struct value *v) {
  static const char *const s2[] = {"RUNNING", "SUCCESS", "FAILED"};
  q->status = 0;
  for (int i = 0; i < 3; i++)
    if (value_is(v, s2[i])) q->status = i + 1;
  return q->status != 0 || (!(q->has & Q_STATE) && state_word(q, v));
}

/* In a query string a plus sign arrives as a blank, where RFC 3339 may have one only in front of the offset. */
static bool parse_time(const struct value *v, int64_t *out) {
  char s[64];
  if (clock_parse(v->s, v->n, out)) return true;
  if (v->n >= sizeof s) return false;
  memcpy(s, v->s, v->n);
  char *t = memchr(s, 'T', v->n), *blank = t ? memchr(t, ' ', v->n - (size_t)(t - s)) : NULL;
  if (!blank) return false;
  *blank = '+';
  return clock_parse(s, v->n, out);
}

/* "2026-11-27": its first second, or its last. */
static bool parse_date(const struct value *v, const char *time, int64_t *out) {
  char s[32];
  return v->n == 10 && clock_parse(s, (size_t)snprintf(s, sizeof s, "%.10s %s", v->s, time), out);
}

/* 0 would mean "not given". Nothing ran before 1970, so all times before it count as one moment. */
static bool set_time(int64_t *out, const struct value *v, const char *of_date) {
  if (!parse_time(v, out) && !parse_date(v, of_date, out)) return false;
  if (*out < 1) *out = 1;
  return true;
}
static bool set_from(struct query *q, const struct value *v) { return set_time(&q->from_us, v, "00:00:00"); }

/* S2's form names whole seconds, as startTime shows them: the whole second belongs to the range. For a date, the whole day. */
static bool set_to(struct query *q, const struct value *v) {
  bool ok = set_time(&q->to_us, v, "23:59:59");
  if (ok && (v->n == 10 || v->s[10] == ' ')) q->to_us += 999999;
  return ok;
}

static bool set_limit(struct query *q, const struct value *v) {
  return text_i64(v->s, v->n, &q->limit) && q->limit >= 1 && q->limit <= v->max_limit;
}
static bool set_offset(struct query *q, const struct value *v) {
  return text_i64(v->s, v->n, &q->offset) && q->offset >= 0 && q->offset <= WR_ID_MAX;
}

static bool set_bool(bool *out, const struct value *v) {
  *out = value_is(v, "true");
  return *out || value_is(v, "false");
}
static bool set_total(struct query *q, const struct value *v) { return set_bool(&q->total, v); }
static bool set_nodes(struct query *q, const struct value *v) {
  bool nodes = true, ok = set_bool(&nodes, v);
  q->no_nodes = !nodes;
  return ok;
}

static bool copy(char *out, size_t room, const struct value *v) {
  if (v->n == 0 || v->n >= room || memchr(v->s, '\0', v->n) || !text_utf8(v->s, v->n)) return false;
  memcpy(out, v->s, v->n);
  out[v->n] = '\0';
  return true;
}
/* The limit counts characters, as does the limit of the names that it is compared with. */
static bool set_name(struct query *q, const struct value *v) {
  size_t chars = 0;
  for (size_t i = 0; i < v->n; i++) chars += ((unsigned char)v->s[i] & 0xC0) != 0x80;
  return chars <= LIMIT_NAME_CHARS && copy(q->name, sizeof q->name, v);
}
static bool set_type(struct query *q, const struct value *v) { return copy(q->type, sizeof q->type, v); }
/* A user or a group may be "". */
static bool copy_or_empty(char *out, size_t room, const struct value *v) {
  out[0] = '\0';
  return v->n == 0 || copy(out, room, v);
}
static bool set_user(struct query *q, const struct value *v) { return copy_or_empty(q->user, sizeof q->user, v); }
static bool set_group(struct query *q, const struct value *v) { return copy_or_empty(q->group, sizeof q->group, v); }

/* A star at the end: every key that begins so. */
static bool set_task_key(struct query *q, const struct value *v) {
  struct value key = *v;
  q->key_prefix = v->n > 0 && v->s[v->n - 1] == '*';
  key.n -= q->key_prefix;
  for (size_t i = 0; i < key.n; i++)
    if (key.s[i] <= ' ' || key.s[i] > '~') return false;
  q->key[0] = '\0';
  return (q->key_prefix && key.n == 0) || copy(q->key, sizeof q->key, &key);
}
/* A place that a page named: the number of its last row, and when that was made. */
static bool set_after(struct query *q, const struct value *v) {
  const char *dot = memchr(v->s, '.', v->n);
  return dot && text_id(v->s, (size_t)(dot - v->s), &q->after_ti) &&
         text_id(dot + 1, v->n - (size_t)(dot - v->s) - 1, &q->after_us);
}
static bool set_job_id(struct query *q, const struct value *v) { return text_id(v->s, v->n, &q->job_id); }
static bool set_parent(struct query *q, const struct value *v) { return text_id(v->s, v->n, &q->parent); }
static bool set_task_id(struct query *q, const struct value *v) { return text_id(v->s, v->n, &q->task_id); }
static bool set_alone(struct query *q, const struct value *v) {
  bool alone = true, ok = set_bool(&alone, v);
  q->every_task = !alone;
  return ok;
}
static bool set_all(struct query *q, const struct value *v) { return set_bool(&q->all, v); }
static bool set_force(struct query *q, const struct value *v) { return set_bool(&q->force, v); }
static bool set_clean_up(struct query *q, const struct value *v) {
  bool on = true, ok = set_bool(&on, v);
  q->no_clean_up = !on;
  return ok;
}

/* Words of shown states between commas; a second `state` adds to the first. */
static bool set_task_states(struct query *q, const struct value *v) {
  const char *s = v->s, *end = v->s + v->n;
  for (;;) {
    const char *comma = memchr(s, ',', (size_t)(end - s));
    struct value word = {s, (size_t)((comma ? comma : end) - s), 0};
    int found = -1;
    for (int i = SHOWN_CREATED; i < SHOWN__N && found < 0; i++)
      if (value_is(&word, shown_name((enum task_shown)i))) found = i;
    if (found < 0) return false;
    q->states |= 1u << found;
    if (!comma) return true;
    s = comma + 1;
  }
}

static bool set_task_status(struct query *q, const struct value *v) {
  q->status = value_is(v, "RUNNING") ? 1 : value_is(v, "SUCCESS") ? 2 : value_is(v, "FAILED") ? 3 : 0;
  return q->status != 0;
}

/* S0's routes: seconds; the id that start answered, or its number alone. An id that is none is that of no task. */
static bool set_alive(struct query *q, const struct value *v) {
  return text_i64(v->s, v->n, &q->alive) && q->alive >= 0 && q->alive <= LIMIT_TIME_US / 1000000;
}
static bool set_s0_task(struct query *q, const struct value *v) {
  size_t skip = v->n > strlen(S0_TASK) && memcmp(v->s, S0_TASK, strlen(S0_TASK)) == 0 ? strlen(S0_TASK) : 0;
  if (text_id(v->s + skip, v->n - skip, &q->ti)) return true;
  q->ti = 0;
  wr_err_quote(q->no_task, v->s, v->n);
  return true;
}

static bool set_runs(struct query *q, const struct value *v) {
  q->all_runs = value_is(v, "all");
  return q->all_runs || value_is(v, "newest");
}
static bool set_attempt(struct query *q, const struct value *v) {
  q->all_attempts = value_is(v, "all");
  if (q->all_attempts) return true;
  return text_i64(v->s, v->n, &q->attempt) && q->attempt >= 1 && q->attempt <= UINT32_MAX;
}

static bool set_follow(struct query *q, const struct value *v) { return set_bool(&q->follow, v); }
/* Seconds as figures, with or without a fraction: no unit, no sign, no exponent. */
static bool set_wait(struct query *q, const struct value *v) {
  size_t dots = 0, digits = 0;
  for (size_t i = 0; i < v->n; i++) dots += v->s[i] == '.', digits += v->s[i] >= '0' && v->s[i] <= '9';
  return dots <= 1 && digits + dots == v->n && text_duration(v->s, v->n, LIMIT_WAIT_US, &q->wait_us);
}

static const struct param params[] = {
  {"flowId", Q_FLOW_ID, KIND_INT, WR_BAD_FILTER, "an id", set_flow_id},
  {"fiId", Q_FI_ID, KIND_INT, WR_BAD_FILTER, "an id", set_fi},
  {"status", Q_STATUS, KIND_TEXT, WR_BAD_FILTER, "one of RUNNING, SUCCESS, FAILED, PAUSED, CANCELING, CANCELED", set_status},
  {"state", Q_STATE, KIND_TEXT, WR_BAD_FILTER, "one of RUNNING, PAUSED, CANCELING, SUCCESS, FAILED, CANCELED", set_state},
  {"state", Q_TASK_STATE, KIND_TEXT, WR_BAD_FILTER,
   "one of CREATED, BLOCKED, QUEUED, RUNNING, RETRY_WAIT, PAUSING, PAUSED, CANCELING, SUCCESS, FAILED, TIMEOUT, CANCELED, DEAD",
   set_task_state},
  {"from", Q_FROM, KIND_TEXT, WR_BAD_FILTER, "YYYY-MM-DD, YYYY-MM-DD HH:MM:SS or RFC 3339", set_from},
  {"to", Q_TO, KIND_TEXT, WR_BAD_FILTER, "YYYY-MM-DD, YYYY-MM-DD HH:MM:SS or RFC 3339", set_to},
  {"limit", Q_LIMIT, KIND_INT, WR_BAD_PAGE, NULL, set_limit},
  {"offset", Q_OFFSET, KIND_INT, WR_BAD_PAGE, NULL, set_offset},
  {"total", Q_TOTAL, KIND_BOOL, WR_BAD_FILTER, "true or false", set_total},
  {"name", Q_NAME, KIND_TEXT, WR_BAD_FILTER, "1 to 128 characters", set_name},
  {"type", Q_TYPE, KIND_TEXT, WR_BAD_FILTER, "a task type", set_type},
  {"nodes", Q_NODES, KIND_BOOL, WR_BAD_FILTER, "true or false", set_nodes},
  {"runs", Q_RUNS, KIND_TEXT, WR_BAD_FILTER, "newest or all", set_runs},
  {"attempt", Q_ATTEMPT, KIND_INT, WR_BAD_FILTER, "1 to 4294967295, or all", set_attempt},
  {"stream", Q_STREAM, KIND_TEXT, WR_BAD_FILTER, "stdout or stderr", set_stream},
  {"follow", Q_FOLLOW, KIND_BOOL, WR_BAD_FILTER, "true or false", set_follow},
  {"wait", Q_WAIT, KIND_TEXT, WR_BAD_FILTER, "0 to 60 seconds, as in 30 or 0.5", set_wait},
  {"user", Q_USER, KIND_TEXT, WR_BAD_FILTER, "at most 128 characters, UTF-8 without NUL", set_user},
  {"group", Q_GROUP, KIND_TEXT, WR_BAD_FILTER, "at most 128 characters, UTF-8 without NUL", set_group},
  {"taskKey", Q_TASK_KEY, KIND_TEXT, WR_BAD_FILTER, "1 to 128 visible ASCII characters, or the first of them and *",
   set_task_key},
  {"taskId", Q_TASK_ID, KIND_INT, WR_BAD_FILTER, "an id", set_task_id},
  {"jobId", Q_JOB_ID, KIND_INT, WR_BAD_FILTER, "an id", set_job_id},
  {"parentTiId", Q_PARENT, KIND_INT, WR_BAD_FILTER, "an id", set_parent},
  {"after", Q_AFTER, KIND_TEXT, WR_BAD_PAGE, "what page.after of an answer said", set_after},
  {"alone", Q_ALONE, KIND_BOOL, WR_BAD_FILTER, "true or false", set_alone},
  {"status", Q_TASK_STATUS, KIND_TEXT, WR_BAD_FILTER, "one of RUNNING, SUCCESS, FAILED", set_task_status},
  {"state", Q_TASK_STATES, KIND_TEXT, WR_BAD_FILTER,
   "one or more, with commas, of CREATED, BLOCKED, QUEUED, RUNNING, RETRY_WAIT, PAUSING, PAUSED, CANCELING, SUCCESS, FAILED, "
   "TIMEOUT, CANCELED, DEAD, DELETING, DELETE_FAILED, ANALYZING, "
   "WAITING_CHILDREN", set_task_states},
  {"all", Q_ALL, KIND_BOOL, WR_BAD_FILTER, "true or false", set_all},
  {"force", Q_FORCE, KIND_BOOL, WR_BAD_FILTER, "true or false", set_force},
  {"cleanup", Q_CLEAN_UP, KIND_BOOL, WR_BAD_FILTER, "true or false", set_clean_up},
  {"alivetime", Q_ALIVE, KIND_INT, WR_BAD_REQUEST, "whole seconds, 0 to 604800", set_alive},
  {"taskId", Q_S0_TASK, KIND_TEXT, WR_BAD_REQUEST, "a task", set_s0_task},
};
enum { N_PARAM = sizeof params / sizeof *params };

void query_init(struct query *q) {
  *q = (struct query){.state = -1, .limit = LIMIT_PAGE_DEFAULT};
}

static const struct param *param_find(const char *name, size_t n, uint64_t allowed) {
  for (size_t i = 0; i < N_PARAM; i++)
    if ((params[i].bit & allowed) && strlen(params[i].name) == n && memcmp(params[i].name, name, n) == 0) return &params[i];
  return NULL;
}

static enum wr_rc unknown(const char *name, size_t n, uint64_t allowed, enum wr_rc code, struct wr_err *err) {
  char list[160] = "", quoted[WR_QUOTE_MAX];
  for (size_t i = 0, at = 0; i < N_PARAM; i++)
    if (params[i].bit & allowed) at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", at ? ", " : "", params[i].name);
  return wr_err_set(err, code, "Unknown name %s. Allowed: %s.", wr_err_quote(quoted, name, n), list[0] ? list : "none");
}

static enum wr_rc param_set(struct query *q, const struct param *p, const struct value *v, struct wr_err *err) {
  char path[40];
  q->has |= p->bit;
  if (p->set(q, v)) return WR_OK;
  snprintf(path, sizeof path, "/%s", p->name);
  if (p->allowed) return wr_err_at(err, p->code, path, "%s must be %s.", p->name, p->allowed);
  return wr_err_at(err, p->code, path, "limit must be 1 to %lld, offset 0 or more.", (long long)v->max_limit);
}

/* ---- the query string ---- */

/* Percent and plus; false when a %-sequence is broken. */
static bool decode(struct buf *out, const char *s, size_t n) {
  buf_clear(out);
  for (size_t i = 0; i < n; i++) {
    char c = s[i] == '+' ? ' ' : s[i];
    if (c == '%') {
      int byte = text_percent(s + i, n - i);
      if (byte < 0) return false;
      c = (char)byte;
      i += 2;
    }
    buf_ch(out, c);
  }
  if (out->len == 0) buf_reserve(out, 1)[0] = '\0';
  return true;
}

static enum wr_rc pair(struct query *q, const char *s, size_t n, uint64_t allowed, int64_t max_limit, struct wr_err *err) {
  const char *eq = memchr(s, '=', n);
  size_t n_name = eq ? (size_t)(eq - s) : n;
  const struct param *p = param_find(s, n_name, allowed);
  if (!p) return unknown(s, n_name, allowed, WR_BAD_FILTER, err);
  if ((q->has & p->bit) && p->bit != Q_TASK_STATES) return wr_err_set(err, WR_BAD_FILTER, "%s appears twice.", p->name);
  struct buf b = BUF_INIT;
  enum wr_rc rc;
  if (!decode(&b, eq ? eq + 1 : s + n, eq ? n - n_name - 1 : 0))
    rc = wr_err_set(err, WR_BAD_FILTER, "%s has a wrong %%-sequence.", p->name);
  else rc = param_set(q, p, &(struct value){b.data, b.len, max_limit}, err);
  buf_done(&b);
  return rc;
}

enum wr_rc query_string(struct query *q, const char *raw, uint64_t allowed, int64_t max_limit, struct wr_err *err) {
  if (!raw) return WR_OK;
  while (*raw) {
    size_t n = strcspn(raw, "&");
    if (n > 0) {
      enum wr_rc rc = pair(q, raw, n, allowed, max_limit, err);
      if (rc != WR_OK) return rc;
    }
    raw += n + (raw[n] == '&');
  }
  return WR_OK;
}

/* ---- the body ---- */

static bool right_type(const json_t *v, enum kind k) {
  return k == KIND_INT ? json_is_integer(v) : k == KIND_BOOL ? json_is_boolean(v) : json_is_string(v);
}

static enum wr_rc member(struct query *q, const struct param *p, const json_t *v, int64_t max_limit, struct wr_err *err) {
  static const char *const an[] = {"an integer", "a string", "true or false"};
  char path[40], number[24];
  snprintf(path, sizeof path, "/%s", p->name);
  if (!right_type(v, p->kind)) return wr_err_at(err, WR_WRONG_TYPE, path, "%s must be %s.", p->name, an[p->kind]);
  struct value val = {json_is_true(v) ? "true" : "false", json_is_true(v) ? 4 : 5, max_limit};
  if (p->kind == KIND_TEXT) {
    val.s = json_string_value(v);
    val.n = json_string_length(v);
  } else if (p->kind == KIND_INT) {
    val.n = (size_t)snprintf(number, sizeof number, "%lld", (long long)json_integer_value(v));
    val.s = number;
  }
  return param_set(q, p, &val, err);
}

enum wr_rc query_body(struct query *q, const json_t *body, uint64_t allowed, int64_t max_limit, struct wr_err *err) {
  json_t *obj = (json_t *)(uintptr_t)body; /* iterating changes nothing */
  const char *key;
  char path[sizeof err->path];
  json_t *v;
  json_object_foreach(obj, key, v) {
    const struct param *p = param_find(key, strlen(key), allowed);
    if (!p) {
      enum wr_rc rc = unknown(key, strlen(key), allowed, WR_UNKNOWN_FIELD, err);
      return wr_err_at(err, rc, text_pointer(path, sizeof path, "", key), "%s", err->msg);
    }
    enum wr_rc rc = member(q, p, v, max_limit, err);
    if (rc != WR_OK) return rc;
  }
  return WR_OK;
}
