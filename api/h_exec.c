/* /exec of flows: starts, re-runs, cancels, pauses. Each is one request to the runner, answered after its commit. A start is
 * answered from the request itself, without a read: it is the hot path. A run that an earlier request with its key made is read
 * back. A re-run takes no key: the state of the run decides. Any API thread. */
#include <stdlib.h>
#include <string.h>
#include "call.h"
#include "instance.h"
#include "wr_limits.h"
#include "text.h"

static enum wr_rc read_id(struct call *c, const json_t *v, const char *path, int64_t *out) {
  *out = v ? json_integer_value(v) : 0;
  if (!v || (*out >= 1 && *out <= WR_ID_MAX)) return WR_OK;
  return wr_err_at(&c->err, WR_OUT_OF_RANGE, path, "%s must be an id.", path + 1);
}

static enum wr_rc read_params(struct call *c, const json_t *v, const char *path, struct params **out) {
  char *text = NULL;
  enum wr_rc rc = v ? def_params_parse(v, path, &text, &c->err) : WR_OK;
  *out = rc == WR_OK && text ? params_new(text) : NULL;
  free(text);
  return rc;
}

static enum wr_rc show_flow(struct call *c) { return instance_tell_flow(c, c->id, NULL); }

/* ---- one flow ---- */

struct whose_given { json_t *user, *group, *priority; };   /* NULL = not given */

static enum wr_rc answer_start(struct call *c, const struct req_start *st) {
  struct flow_def *def = NULL;
  enum wr_rc rc = defs_flow(c->api->o.defs, st->flow_id, st->flow_version, -1, &def, &c->err);
  if (rc != WR_OK || !def->dag || def->dag->n == 0) { /* a flow without nodes has ended already */
    def_flow_unref(def);
    wr_err_clear(&c->err);
    return instance_tell_flow(c, st->fi, NULL);
  }
  struct flow_row row = {.fi = st->fi, .flow_id = st->flow_id, .flow_version = st->flow_version, .flow_name = def->name,
                         .state = FLOW_RUNNING, .run_no = 1, .create_us = st->create_us, .start_us = st->create_us,
                         .update_us = st->create_us, .params = st->params ? st->params->text : NULL};
  j_open(c->out, '{');
  row_flow_fields(c->out, &row);
  j_close(c->out, '}');
  def_flow_unref(def);
  return WR_OK;
}

/* Shared with the runner. */
struct whose_load { struct load load; struct queue_spec *queue; };

static void free_whose(struct load *l) {
  struct whose_load *w = (struct whose_load *)(void *)l;
  free(w->queue);
  free(w);
}

/* *out NULL: nobody says whose its tasks are. */
static enum wr_rc read_whose(struct call *c, const struct whose_given *g, struct whose_load **out) {
  struct queue_spec *q = NULL;
  json_t *obj = json_object();
  *out = NULL;
  if (g->user) (void)json_object_set(obj, "user", g->user);
  if (g->group) (void)json_object_set(obj, "group", g->group);
  if (g->priority) (void)json_object_set(obj, "priority", g->priority);
  enum wr_rc rc = queue_parse(obj, QUEUE_OF_ASK, &q, &c->err);
  json_decref(obj);
  if (rc != WR_OK || !q) return rc;
  struct whose_load *w = *out = wr_new(struct whose_load);
  *w = (struct whose_load){.load = {.free = free_whose}, .queue = q};
  atomic_init(&w->load.refs, 1);
  return WR_OK;
}

static enum wr_rc start_flow(struct call *c, const json_t *params, const struct whose_given *g) {
  struct req_start st = {.flow_id = c->id};
  struct whose_load *whose = NULL;
  enum wr_rc rc = read_params(c, params, "/params", &st.params);
  if (rc == WR_OK && (g->user || g->group || g->priority)) rc = read_whose(c, g, &whose);
  if (whose) st.queue = whose->queue;
  if (rc == WR_OK) rc = call_place(c, WAIT_FLOW);
  struct req q = {.kind = REQ_START, .start = &st, .n_start = 1};
  if (rc == WR_OK) rc = call_post(c, &q, whose ? &whose->load : NULL);
  if (rc == WR_OK) rc = q.replayed || c->wait.w ? call_wait(c, WAIT_FLOW, st.fi, show_flow) : answer_start(c, &st);
  params_unref(st.params);
  if (whose) load_unref(&whose->load);
  return rc;
}

static enum wr_rc rerun_flow(struct call *c, const json_t *fi, const json_t *ni) {
  struct req q = {.kind = REQ_RERUN, .flow_id = c->id};
  struct flow_def *def = NULL;
  enum wr_rc rc = defs_flow(c->api->o.defs, c->id, 0, -1, &def, &c->err); /* 404 of the flow before 409 of the instance */
  def_flow_unref(def);
  if (rc == WR_NOT_FOUND) return call_missing(c, "Flow");
  if (rc == WR_OK) rc = read_id(c, fi, "/fiId", &q.fi);
  if (rc == WR_OK) rc = read_id(c, ni, "/niId", &q.ni);
  if (rc == WR_OK) rc = call_place(c, WAIT_FLOW);
  if (rc == WR_OK) rc = call_post(c, &q, NULL);
  return rc == WR_OK ? call_wait(c, WAIT_FLOW, q.fi, show_flow) : rc;
}

enum wr_rc h_exec_flow(struct call *c) {
  enum { PARAMS, FI, NI, USER, GROUP, PRIORITY, N };
  static const struct body_field field[N] = {{"params", JSON_OBJECT, false}, {"fiId", JSON_INTEGER, false},
                                             {"niId", JSON_INTEGER, false}, {"user", JSON_STRING, false},
                                             {"group", JSON_STRING, false},
                                             {"priority", JSON_INTEGER, false}};
  json_t *v[N] = {0};
  enum wr_rc rc = c->body ? call_fields(c, c->body, "", field, N, v) : WR_OK;
  if (rc != WR_OK) return rc;
  if (v[NI] && !v[FI]) return wr_err_at(&c->err, WR_WRONG_NODE, "/niId", "niId needs the fiId that it belongs to.");
  if (v[FI] && v[PARAMS]) return wr_err_at(&c->err, WR_UNKNOWN_FIELD, "/params", "A re-run keeps the parameters of its start.");
  for (int i = USER; v[FI] && i <= PRIORITY; i++) {
    char path[24];
    snprintf(path, sizeof path, "/%s", field[i].name);
    if (v[i]) return wr_err_at(&c->err, WR_UNKNOWN_FIELD, path, "A re-run keeps %s of its start.", field[i].name);
  }
  return v[FI] ? rerun_flow(c, v[FI], v[NI]) : start_flow(c, v[PARAMS], &(struct whose_given){v[USER], v[GROUP], v[PRIORITY]});
}

/* ---- many flows ---- */

static enum wr_rc read_start(struct call *c, const json_t *item, size_t i, struct req_start *out) {
  static const struct body_field field[] = {{"flowId", JSON_INTEGER, true}, {"params", JSON_OBJECT, false}};
  json_t *v[2];
  char path[64];
  snprintf(path, sizeof path, "/starts/%zu", i);
  if (!json_is_object(item)) return wr_err_at(&c->err, WR_WRONG_TYPE, path, "A start must be an object.");
  enum wr_rc rc = call_fields(c, item, path, field, 2, v);
  if (rc != WR_OK) return rc;
  snprintf(path, sizeof path, "/starts/%zu/flowId", i);
  out->flow_id = json_integer_value(v[0]);
  if (out->flow_id < 1 || out->flow_id > WR_ID_MAX) return wr_err_at(&c->err, WR_OUT_OF_RANGE, path, "flowId must be an id.");
  snprintf(path, sizeof path, "/starts/%zu/params", i);
  return read_params(c, v[1], path, &out->params);
}

static enum wr_rc post_starts(struct call *c, struct req_start *st, size_t n) {
  struct req q = {.kind = REQ_START, .start = st, .n_start = (uint32_t)n};
  enum wr_rc rc = n > 0 || c->key[0] ? call_post(c, &q, NULL) : WR_OK;
  if (rc != WR_OK) return rc;
  buf_ch(c->out, '[');
  for (size_t i = 0; i < n; i++) {
    if (i) buf_ch(c->out, ',');
    buf_i64(c->out, st[i].fi);
  }
  buf_ch(c->out, ']');
  return WR_OK;
}

enum wr_rc h_exec_flows(struct call *c) {
  json_t *starts;
  enum wr_rc rc = call_list(c, "starts", LIMIT_STARTS, &starts);
  if (rc != WR_OK) return rc;
  size_t n = json_array_size(starts);
  struct req_start *st = wr_calloc(n + 1, sizeof *st);
  for (size_t i = 0; i < n && rc == WR_OK; i++) rc = read_start(c, json_array_get(starts, i), i, &st[i]);
  if (rc == WR_OK) rc = post_starts(c, st, n);
  for (size_t i = 0; i < n; i++) params_unref(st[i].params);
  free(st);
  return rc;
}

/* ---- cancel, pause, resume ---- */

enum wr_rc h_cancel_flow(struct call *c) {
  struct req q = {.kind = REQ_CANCEL_FLOW, .fi = c->id};
  enum wr_rc rc = c->body ? call_fields(c, c->body, "", NULL, 0, NULL) : WR_OK;
  if (rc == WR_OK) rc = call_post(c, &q, NULL);
  return rc == WR_OK ? instance_tell_flow(c, c->id, &q.changed) : rc;
}

enum wr_rc h_pause_flow(struct call *c) {
  static const struct body_field field[] = {{"mode", JSON_STRING, false}};
  json_t *mode = NULL;
  enum wr_rc rc = c->body ? call_fields(c, c->body, "", field, 1, &mode) : WR_OK;
  if (rc != WR_OK) return rc;
  const char *word = mode ? json_string_value(mode) : "soft";
  struct req q = {.kind = REQ_PAUSE_FLOW, .fi = c->id, .checkpoint = strcmp(word, "checkpoint") == 0};
  if (!q.checkpoint && strcmp(word, "soft") != 0)
    return wr_err_at(&c->err, WR_OUT_OF_RANGE, "/mode", "mode must be soft or checkpoint.");
  rc = call_post(c, &q, NULL);
  return rc == WR_OK ? instance_tell_flow(c, c->id, &q.changed) : rc;
}

enum wr_rc h_resume_flow(struct call *c) {
  struct req q = {.kind = REQ_RESUME_FLOW, .fi = c->id};
  enum wr_rc rc = c->body ? call_fields(c, c->body, "", NULL, 0, NULL) : WR_OK;
  if (rc == WR_OK) rc = call_post(c, &q, NULL);
  return rc == WR_OK ? instance_tell_flow(c, c->id, &q.changed) : rc;
}
