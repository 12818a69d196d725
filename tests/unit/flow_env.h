/* What the tests of flows share: bodies in short, and the way out and back. */
#ifndef FLOW_ENV_H
#define FLOW_ENV_H
#include "model_env.h"

static inline enum wr_rc parse_json(const json_t *v, struct flow_post *p, struct wr_err *err) {
  wr_err_clear(err);
  world = (struct world){0};
  enum wr_rc rc = def_flow_parse(v, &env, p, err);
  assert_true((rc == WR_OK) == (p->def != NULL));
  return rc;
}

static inline enum wr_rc parse(const char *body, struct flow_post *p, struct wr_err *err) {
  json_t *v = json_of(body);
  enum wr_rc rc = parse_json(v, p, err);
  json_decref(v);
  return rc;
}

static inline struct flow_post good(const char *body) {
  struct flow_post p;
  struct wr_err err;
  expect_err(body, parse(body, &p, &err), &err, WR_OK, NULL, NULL);
  return p;
}

/* nodes: the inside of flowNodes */
static inline struct flow_def *flow(const char *nodes) {
  struct buf b = BUF_INIT;
  buf_printf(&b, "{'flowName':'f','flowNodes':[%s]}", nodes);
  struct flow_post p = good(b.data);
  buf_done(&b);
  return p.def;
}

static inline void bad(const char *body, enum wr_rc code, const char *path, const char *words) {
  struct flow_post p;
  struct wr_err err;
  expect_err(body, parse(body, &p, &err), &err, code, path, words);
}

static inline void bad_nodes(const char *nodes, enum wr_rc code, const char *path, const char *words) {
  struct buf b = BUF_INIT;
  buf_printf(&b, "{'flowName':'f','flowNodes':[%s]}", nodes);
  bad(b.data, code, path, words);
  buf_done(&b);
}

#define ECHO "'tasks':[{'taskName':'t','taskType':'ECHO'}]"
#define N(key, rest) "{'nodeKey':'" key "'," ECHO rest "}"
#define P(list) ",'prevNodes':[" list "]"
#define START "{'nodeType':'START','nodeKey':'S'}"

/* ---- writing ---- */
static inline const struct task_def *task_of(void *ctx, int64_t id) {
  struct task_def *t = ctx;
  if (id > 3) return NULL;
  t[id].task_id = id;
  return &t[id];
}

static inline struct task_def *tasks(void) {
  static struct task_def t[4];
  static char name[3][16] = {"first task1", "wait task1", "exception task1"}, type[3][16] = {"ECHO", "WAIT", "EXCEPTION"};
  for (int i = 0; i < 3; i++) t[i + 1] = (struct task_def){.name = name[i], .type = type[i], .version = 1, .create_us = 1e15, .update_us = 1e15};
  return t;
}

static inline char *written(const struct flow_def *f) {
  struct buf b = BUF_INIT;
  def_flow_write(&b, f, task_of, tasks());
  return b.data;
}

/* What is written parses again, to the same text and the same graph. */
static inline void round_trip(const struct flow_def *f) {
  char *one = written(f);
  json_t *v = NULL;
  struct wr_err err;
  struct flow_post p;
  if (json_load_strict(one, strlen(one), LIMIT_FLOW_JSON_VALUES, &v, &err)) fail_msg("%s: %s", one, err.msg);
  expect_err(one, parse_json(v, &p, &err), &err, WR_OK, NULL, NULL);
  p.def->flow_id = f->flow_id;
  p.def->version = f->version;
  p.def->create_us = f->create_us;
  p.def->update_us = f->update_us;
  p.def->node_us = f->node_us;
  p.def->node_base = f->node_base;
  char *two = written(p.def);
  assert_string_equal(one, two);
  assert_int_equal(p.def->dag->n, f->dag->n);
  assert_int_equal(p.def->dag->n_edge, f->dag->n_edge);
  assert_memory_equal(p.def->dag->child, f->dag->child, f->dag->child_at[f->dag->n + 1] * sizeof(uint32_t));
  free(one);
  free(two);
  json_decref(v);
  def_flow_unref(p.def);
}
#endif
