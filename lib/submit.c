/* Specs into one request to the runner. What many specs have in common (type, content, config, whose it is) is checked once and
 * then found again: a program makes thousands of tasks that differ in little. Any thread.
 *
 * What never happens: a spec that is checked by other rules than the body of POST /exec/task; one task with the definition of
 * another. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "async.h"
#include "clock.h"
#include "def_env.h"
#include "json_out.h"
#include "remote.h"
#include "submit_load.h"
#include "text.h"

/* ---- shapes ---- */

/* The newest of each hash. One with a longer key is checked anew for each spec, so that they stay below 2 MiB. */
enum { SHAPES = 64, SHAPE_KEY_MOST = 8192 };
struct shape { struct buf key; struct task_def *def; struct queue_spec *queue; };
struct shapes { pthread_mutex_t mu; struct shape v[SHAPES]; };

struct shapes *shapes_new(void) {
  struct shapes *s = wr_new(struct shapes);
  pthread_mutex_init(&s->mu, NULL);
  return s;
}

static void shape_clear(struct shape *s) {
  buf_done(&s->key);
  def_task_unref(s->def);
  free(s->queue);
  *s = (struct shape){0};
}

void shapes_free(struct shapes *s) {
  if (!s) return;
  for (int i = 0; i < SHAPES; i++) shape_clear(&s->v[i]);
  pthread_mutex_destroy(&s->mu);
  free(s);
}

static void key_text(struct buf *b, const char *s) {
  buf_add(b, s ? "+" : "-", 1);
  if (s) buf_add(b, s, strlen(s) + 1);
}

/* Two specs of one key have one definition and one queue. */
static void shape_key(const weir_spec_t *s, struct buf *b) {
  const int32_t number[] = {s->priority, s->cpu_overhead, s->attempts};
  key_text(b, s->type);
  key_text(b, s->name);
  key_text(b, s->content);
  key_text(b, s->config);
  key_text(b, s->user);
  key_text(b, s->group);
  buf_add(b, number, sizeof number);
}

static struct shape *shape_of(struct shapes *all, const struct buf *key) {
  return &all->v[text_fnv(TEXT_FNV, key->data, key->len) % SHAPES];
}

static struct queue_spec *queue_copy(const struct queue_spec *q) {
  if (!q) return NULL;
  size_t nu = q->user ? strlen(q->user) + 1 : 0, ng = q->group ? strlen(q->group) + 1 : 0;
  struct queue_spec *c = wr_malloc(sizeof *c + nu + ng);
  char *at = (char *)(c + 1);
  *c = *q;
  if (nu) c->user = memcpy(at, q->user, nu);
  if (ng) c->group = memcpy(at + nu, q->group, ng);
  return c;
}

/* ---- the body that a spec stands for ---- */

static enum wr_rc put_text(json_t *body, const char *name, const char *text, struct wr_err *err) {
  char path[64];
  if (!text) return WR_OK;
  json_t *v = json_string(text);
  if (v && json_object_set_new(body, name, v) == 0) return WR_OK;
  snprintf(path, sizeof path, "/%s", name);
  return wr_err_at(err, WR_BAD_UTF8, path, "%s is not valid UTF-8.", name);
}

/* Says which text is wrong. */
static enum wr_rc text_of(const char *name, enum wr_rc rc, struct wr_err *err) {
  const struct wr_err why = *err;
  return wr_err_set(err, rc, "%s: %.200s", name, why.msg);
}

static enum wr_rc put_json(json_t *body, const char *name, const char *text, struct wr_err *err) {
  json_t *v = NULL;
  if (!text) return WR_OK;
  enum wr_rc rc = json_load_strict(text, strlen(text), LIMIT_JSON_VALUES, &v, err);
  if (rc) return text_of(name, rc, err);
  (void)json_object_set_new(body, name, v);
  return WR_OK;
}

static void put_number(json_t *body, const char *name, int64_t v) {
  if (v) (void)json_object_set_new(body, name, json_integer(v));
}

static void put_attempts(json_t *body, int32_t attempts) {
  if (attempts == 0) return;
  if (!json_object_get(body, "taskConfig")) (void)json_object_set_new(body, "taskConfig", json_object());
  (void)json_object_set_new(json_object_get(body, "taskConfig"), "attempts", json_integer(attempts));
}

/* All that the definition and the queue are made of. */
static enum wr_rc shape_body(const weir_spec_t *s, json_t *body, struct wr_err *err) {
  enum wr_rc rc = put_text(body, "taskType", s->type, err);
  if (!rc) rc = put_text(body, "taskName", s->name, err);
  if (!rc) rc = put_text(body, "taskContent", s->content, err);
  if (!rc) rc = put_json(body, "taskConfig", s->config, err);
  if (!rc) put_attempts(body, s->attempts);
  if (!rc) rc = put_text(body, "user", s->user, err);
  if (!rc) rc = put_text(body, "group", s->group, err);
  put_number(body, "priority", s->priority);
  put_number(body, "cpuOverhead", s->cpu_overhead);
  return rc;
}

/* The rest of what POST /exec/task would have got: for the hash of a key. */
static enum wr_rc rest_body(const weir_spec_t *s, json_t *body, struct wr_err *err) {
  char at[CLOCK_RFC_LEN];
  enum wr_rc rc = put_json(body, "params", s->params, err);
  if (!rc) rc = put_text(body, "context", s->context, err);
  if (!rc) rc = put_text(body, "taskKey", s->key, err);
  if (s->hold) (void)json_object_set_new(body, "autoRun", json_false());
  if (s->delay_ms) (void)json_object_set_new(body, "delay", json_real((double)s->delay_ms / 1000));
  if (s->start_at_us) clock_rfc3339(at, s->start_at_us), (void)json_object_set_new(body, "startAt", json_string(at));
  return rc;
}

/* ---- one spec ---- */

static struct def_env env_of(weir_t *h, struct def_site *site) {
  *site = (struct def_site){h->view.store, h->view.executors, true, NULL, h->view.defs};
  return def_env_at(site);
}

/* Everything at once, as the API does: for a spec with a key or a context. */
static enum wr_rc read_whole(weir_t *h, struct submit *to, uint32_t i, const weir_spec_t *s, struct wr_err *err) {
  struct def_site site;
  struct def_env env = env_of(h, &site);
  json_t *body = json_object();
  enum wr_rc rc = shape_body(s, body, err);
  if (!rc) rc = rest_body(s, body, err);
  if (!rc) rc = submit_read(to, i, body, -1, 0, &env, err);
  json_decref(body);
  return rc;
}

static enum wr_rc make_shape(weir_t *h, const weir_spec_t *s, struct shape *out, struct wr_err *err) {
  struct def_site site;
  struct def_env env = env_of(h, &site);
  struct async_post p = {0};
  json_t *body = json_object();
  enum wr_rc rc = shape_body(s, body, err);
  if (!rc) rc = async_parse(body, ASYNC_INLINE, &env, -1, &p, err);
  if (!rc) {
    out->def = def_task_ref(p.def);
    out->queue = queue_copy(p.spec->queue);
  }
  async_post_done(&p);
  json_decref(body);
  return rc;
}

/* Takes key. */
static enum wr_rc take_shape(weir_t *h, const weir_spec_t *s, struct buf *key, struct async_post *p, struct wr_err *err) {
  struct shape fresh = {0}, *at = shape_of(h->shapes, key);
  pthread_mutex_lock(&h->shapes->mu);
  bool hit = at->def && at->key.len == key->len && memcmp(at->key.data, key->data, key->len) == 0;
  if (hit) p->def = def_task_ref(at->def), p->spec->queue = queue_copy(at->queue);
  pthread_mutex_unlock(&h->shapes->mu);
  if (hit) return WR_OK;
  enum wr_rc rc = make_shape(h, s, &fresh, err);
  if (rc) return shape_clear(&fresh), rc;
  p->def = def_task_ref(fresh.def);
  p->spec->queue = queue_copy(fresh.queue);
  if (key->len > SHAPE_KEY_MOST) return shape_clear(&fresh), WR_OK;
  fresh.key = *key;
  *key = (struct buf)BUF_INIT;
  pthread_mutex_lock(&h->shapes->mu);
  struct shape old = *at;
  *at = fresh;
  pthread_mutex_unlock(&h->shapes->mu);
  shape_clear(&old);
  return WR_OK;
}

static enum wr_rc read_params(const char *text, char **out, struct wr_err *err) {
  json_t *v = NULL;
  enum wr_rc rc = text ? json_load_strict(text, strlen(text), LIMIT_JSON_VALUES, &v, err) : WR_OK;
  if (rc) return text_of("params", rc, err);
  if (v) rc = def_params_parse(v, "/params", out, err);
  json_decref(v);
  return rc;
}

static enum wr_rc read_plain(weir_t *h, struct submit *to, uint32_t i, const weir_spec_t *s, struct wr_err *err) {
  struct async_post *p = &to->post[i];
  struct buf key = BUF_INIT;
  *p = (struct async_post){.spec = wr_new(struct async_spec)};
  p->spec->hold = s->hold != 0;
  p->spec->delay_us = s->delay_ms * 1000;
  p->spec->start_at_us = s->start_at_us;
  shape_key(s, &key);
  enum wr_rc rc = take_shape(h, s, &key, p, err);
  buf_done(&key);
  if (!rc) rc = read_params(s->params, &p->params, err);
  if (!rc) submit_take(to, i, 0);
  return rc;
}

/* Where nothing else looks at it. */
static enum wr_rc check_spec(const weir_spec_t *s, struct wr_err *err) {
  if (!s->type) return wr_err_at(err, WR_WRONG_TYPE, "/type", "The spec has no type.");
  if (s->hold != 0 && s->hold != 1) return wr_err_at(err, WR_OUT_OF_RANGE, "/hold", "hold is 0 or 1.");
  if (s->delay_ms < 0 || s->delay_ms > LIMIT_DELAY_US / 1000)
    return wr_err_at(err, WR_OUT_OF_RANGE, "/delay_ms", "delay_ms must be from 0 to 365 days.");
  if (s->start_at_us < 0 || s->start_at_us > CLOCK_LAST_US)
    return wr_err_at(err, WR_OUT_OF_RANGE, "/start_at_us", "start_at_us must be from 1970 to the end of the year 9999.");
  if (s->delay_ms && s->start_at_us)
    return wr_err_at(err, WR_OUT_OF_RANGE, "/delay_ms", "delay_ms and start_at_us both say when it starts; give one of them.");
  if (s->hold && (s->delay_ms || s->start_at_us))
    return wr_err_at(err, WR_OUT_OF_RANGE, "/hold", "A task that is held has no time to start.");
  if (s->attempts < 0) return wr_err_at(err, WR_OUT_OF_RANGE, "/attempts", "attempts must not be negative.");
  return WR_OK;
}

static enum wr_rc read_one(weir_t *h, struct submit *s, uint32_t i, const weir_spec_t *given, struct wr_err *err) {
  weir_spec_t spec = {0};
  enum wr_rc rc = SIZED(spec, given, "spec", err);
  if (!rc) rc = check_spec(&spec, err);
  if (rc) return rc;
  return spec.key || spec.context ? read_whole(h, s, i, &spec, err) : read_plain(h, s, i, &spec, err);
}

/* ---- all of them ---- */

/* Says which of several is wrong. */
static enum wr_rc spec_of(size_t n, size_t i, struct wr_err *err) {
  const struct wr_err why = *err;
  if (n > 1) (void)wr_err_at(err, why.code, why.path, "spec[%zu]: %.200s", i, why.msg);
  return why.code;
}

static enum wr_rc send_all(weir_t *h, struct submit *s, struct wr_err *err) {
  const struct ask_opts o = {.runner = h->view.runner, .until_us = call_until(h), .ending = &h->ending};
  struct req q = {.kind = REQ_EXEC_TASK, .task = s->task, .n_task = s->n};
  ask_runner(&o, &q, &s->load);
  *err = q.err;
  err->code = q.rc;
  return q.rc;
}

/* By HTTP: the same bodies. */
static int create_there(weir_t *h, const weir_spec_t *const *spec, size_t n, int64_t *ids) {
  struct wr_err err = {0};
  json_t *all = json_array(), *body = json_pack("{s:o}", "tasks", all);
  enum wr_rc rc = WR_OK;
  for (size_t i = 0; i < n && !rc; i++) {
    weir_spec_t s = {0};
    json_t *one = json_object();
    (void)json_array_append_new(all, one);
    rc = SIZED(s, spec[i], "spec", &err);
    if (!rc) rc = check_spec(&s, &err);
    if (!rc) rc = shape_body(&s, one, &err);
    if (!rc) rc = rest_body(&s, one, &err);
    if (rc) rc = spec_of(n, i, &err);
  }
  int sent = rc ? failed(h, &err) : remote_create(h, body, n, ids);
  json_decref(body);
  return sent;
}

int weir_create_many(weir_t *h, const weir_spec_t *const *spec, size_t n, int64_t *ids) {
  struct wr_err err = {0};
  if (n < 1 || n > LIMIT_SUBMITS)
    return fail(h, WEIR_ERR_INVALID, WR_TOO_LARGE, "1 to %d tasks can be made at once.", LIMIT_SUBMITS);
  if (!spec) return fail(h, WEIR_ERR_INVALID, WR_WRONG_TYPE, "There are no specs.");
  if (h->remote) return create_there(h, spec, n, ids);
  if (!enter(h)) return WEIR_ERR_UNAVAILABLE;
  struct submit *s = submit_new((uint32_t)n);
  enum wr_rc rc = WR_OK;
  for (uint32_t i = 0; i < n && !rc; i++)
    if ((rc = read_one(h, s, i, spec[i], &err)) != WR_OK) rc = spec_of(n, i, &err);
  if (!rc) rc = send_all(h, s, &err);
  for (uint32_t i = 0; i < n && !rc && ids; i++) ids[i] = s->task[i].ti;
  load_unref(&s->load);
  leave(h);
  return rc ? failed(h, &err) : WEIR_OK;
}

int weir_create(weir_t *h, const weir_spec_t *spec, int64_t *id) { return weir_create_many(h, &spec, 1, id); }
