/* POST /task: what is accepted has a sound policy, is written so that it parses again to the same, and survives the
 * store and an update. */
#include <stdlib.h>
#include <string.h>
#include "def_json.h"
#include "fuzz.h"
#include "wr_limits.h"
#include "text.h"

static json_t *load(const char *text, size_t n) {
  json_t *v = NULL;
  struct wr_err err;
  return json_load_strict(text, n, LIMIT_JSON_VALUES, &v, &err) ? NULL : v;
}

static bool same_text(const char *a, const char *b) { return a == b || (a && b && strcmp(a, b) == 0); }

static void check_policy(const struct task_def *t) {
  const struct task_policy *p = &t->policy;
  wr_assert(p->attempts >= 1 && p->attempts <= LIMIT_ATTEMPTS);
  wr_assert(p->backoff_base_us > 0 && p->backoff_base_us <= p->backoff_cap_us && p->backoff_cap_us <= LIMIT_TIME_US);
  wr_assert(p->backoff_factor >= 1 && p->backoff_factor <= 100);
  wr_assert(p->jitter <= JITTER_NONE && p->on_lost <= ON_LOST_FAIL && p->slot < SLOT__N);
  wr_assert(t->timeout_us >= 0 && t->timeout_us <= LIMIT_TIME_US);
  wr_assert(t->policy.queue_timeout_us >= 0 && t->policy.queue_timeout_us <= LIMIT_TIME_US);
  for (uint32_t n = 1; n <= p->attempts; n++) {
    int64_t us = task_backoff(p, n, n);
    wr_assert(us >= 0 && us <= p->backoff_cap_us);
  }
}

static void check_same(const struct task_def *a, const struct task_def *b) {
  wr_assert(same_text(a->name, b->name) && same_text(a->type, b->type) && same_text(a->content, b->content));
  wr_assert(same_text(a->description, b->description) && same_text(a->config, b->config));
  wr_assert(memcmp(&a->policy.attempts, &b->policy.attempts, sizeof a->policy.attempts) == 0);
  wr_assert(a->policy.backoff_base_us == b->policy.backoff_base_us && a->policy.backoff_cap_us == b->policy.backoff_cap_us);
  wr_assert(a->policy.backoff_factor >= b->policy.backoff_factor && a->policy.backoff_factor <= b->policy.backoff_factor);
  wr_assert(a->policy.jitter == b->policy.jitter && a->policy.on_lost == b->policy.on_lost);
  wr_assert(a->timeout_us == b->timeout_us && a->policy.queue_timeout_us == b->policy.queue_timeout_us);
}

static void round_trip(const struct task_def *t) {
  struct buf one = {0}, two = {0};
  struct task_post p;
  struct wr_err err;
  def_task_write(&one, t);
  json_t *v = load(one.data, one.len);
  wr_assert(v);
  enum wr_rc rc = def_task_parse(v, &fuzz_env, &p, &err);
  wr_assert(rc == WR_OK && p.def);
  def_task_write(&two, p.def);
  wr_assert(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
  check_same(t, p.def);
  buf_done(&one);
  buf_done(&two);
  def_task_unref(p.def);
  json_decref(v);
}

/* The store keeps the plain fields. */
static void stored(struct task_def *t) {
  struct wr_err err;
  struct task_def was = {.policy = t->policy, .timeout_us = t->timeout_us};
  was.name = t->name, was.type = t->type, was.content = t->content, was.description = t->description, was.config = t->config;
  t->timeout_us = -1;
  enum wr_rc rc = def_task_derive(t, &err);
  wr_assert(rc == WR_OK);
  check_same(t, &was);
}

static void update(const struct task_post *p) {
  static char name[] = "old", type[] = "ECHO", content[] = "text", config[] = "{\"attempts\":3}";
  struct task_def old = {.task_id = 7, .version = 1, .name = name, .type = type, .content = content, .config = config};
  struct task_def *out = NULL;
  struct wr_err err;
  enum wr_rc rc = def_task_merge(p, &old, &fuzz_env, &out, &err);
  if (rc) {
    fuzz_check_err(rc, &err);
    return;
  }
  wr_assert(out->task_id == 7 && out->name && out->type);
  check_policy(out);
  out->task_id = out->version = 0; /* with an id it would be read as an update again */
  round_trip(out);
  def_task_unref(out);
}

static void params(const json_t *v) {
  char *text = NULL;
  struct wr_err err;
  enum wr_rc rc = def_params_parse(v, "/params", &text, &err);
  if (rc) fuzz_check_err(rc, &err);
  if (!text) return;
  json_t *back = load(text, strlen(text));
  wr_assert(rc == WR_OK && json_equal(back, v) && strlen(text) <= LIMIT_PARAMS_BYTES);
  json_decref(back);
  free(text);
}

int fuzz_task(const uint8_t *data, size_t n) {
  json_t *v = load((const char *)data, n);
  struct task_post p;
  struct wr_err err;
  if (!v) return 0;
  wr_err_clear(&err);
  enum wr_rc rc = def_task_parse(v, &fuzz_env, &p, &err);
  wr_assert((rc == WR_OK) == (p.def != NULL));
  if (rc) {
    fuzz_check_err(rc, &err);
  } else {
    update(&p);
    if (!p.task_id) {
      wr_assert(p.def->name && p.def->type);
      check_policy(p.def);
      round_trip(p.def);
      stored(p.def);
    }
    def_task_unref(p.def);
  }
  params(v);
  json_decref(v);
  return 0;
}
