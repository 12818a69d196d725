/* POST /flow: what is accepted has a graph without cycle in which every node has its place, is written so that it parses
 * again to the same text and graph, and survives the store and an update. */
#include <stdlib.h>
#include <string.h>
#include "def_json.h"
#include "fuzz.h"
#include "wr_limits.h"
#include "text.h"

static json_t *load(const char *text, size_t n) {
  json_t *v = NULL;
  struct wr_err err;
  return json_load_strict(text, n, LIMIT_FLOW_JSON_VALUES, &v, &err) ? NULL : v;
}

/* ---- the graph ---- */

/* Takes away what has no parent left, until nothing is left: there is no cycle, and every node can be reached. */
static void check_order(const struct dag *d) {
  uint32_t *left = wr_calloc((size_t)d->n + 1, sizeof *left), *order = wr_calloc((size_t)d->n + 1, sizeof *order);
  uint32_t head = 0, tail = 0;
  for (uint32_t i = 0; i < d->n; i++) left[i] = d->node[i].n_parent;
  for (uint32_t k = d->child_at[d->n]; k < d->child_at[d->n + 1]; k++) {
    wr_assert(left[d->child[k]] == 0);
    order[tail++] = d->child[k];
  }
  while (head < tail) {
    uint32_t u = order[head++];
    for (uint32_t k = d->child_at[u]; k < d->child_at[u + 1]; k++)
      if (--left[d->child[k]] == 0) order[tail++] = d->child[k];
  }
  wr_assert(tail == d->n);
  free(left);
  free(order);
}

static void check_dag(const struct dag *d) {
  uint32_t tasks = 0, edges = 0;
  for (uint32_t i = 0; i < d->n; i++) {
    const struct dag_node *v = &d->node[i];
    wr_assert(v->task_at == tasks && v->n_task >= 1 && v->need >= 1 && v->need <= v->n_task && v->rest <= REST_CANCEL);
    tasks += v->n_task;
    edges += v->n_parent;
  }
  wr_assert(tasks == d->n_task && edges == d->n_edge && d->child_at[0] == 0);
  for (uint32_t i = 0; i <= d->n; i++) {
    wr_assert(d->child_at[i] <= d->child_at[i + 1]);
    for (uint32_t k = d->child_at[i]; k < d->child_at[i + 1]; k++)
      wr_assert(d->child[k] < d->n && d->child[k] != i && (k == d->child_at[i] || d->child[k - 1] < d->child[k]));
  }
  check_order(d);
}

static void same_dag(const struct dag *a, const struct dag *b) {
  wr_assert(a->n == b->n && a->n_task == b->n_task && a->n_edge == b->n_edge);
  wr_assert(a->on_failure == b->on_failure && a->timeout_us == b->timeout_us);
  for (uint32_t i = 0; i < a->n; i++) {
    const struct dag_node *x = &a->node[i], *y = &b->node[i];
    wr_assert(x->n_task == y->n_task && x->need == y->need && x->n_parent == y->n_parent && x->rest == y->rest);
  }
  wr_assert(memcmp(a->child_at, b->child_at, ((size_t)a->n + 2) * sizeof *a->child_at) == 0);
  wr_assert(memcmp(a->child, b->child, a->child_at[a->n + 1] * sizeof *a->child) == 0);
}

/* ---- the definition ---- */

static int by_key(const void *a, const void *b) { return strcmp(*(const char *const *)a, *(const char *const *)b); }

static void check_keys(const struct flow_def *f) {
  const char **key = wr_calloc((size_t)f->n + 1, sizeof(const char *));
  for (uint32_t i = 0; i < f->n; i++) {
    key[i] = f->node[i].key;
    wr_assert(text_node_key(key[i], strlen(key[i])));
  }
  qsort(key, f->n, sizeof *key, by_key);
  for (uint32_t i = 1; i < f->n; i++) wr_assert(strcmp(key[i - 1], key[i]) != 0);
  free(key);
}

static void check_refs(const struct flow_def *f) {
  static const struct task_def plain = {.policy = {.attempts = 1, .backoff_base_us = 1, .backoff_cap_us = 1, .backoff_factor = 1}};
  for (uint32_t i = 0; i < f->dag->n_task; i++) {
    const struct task_ref *ref = &f->ref[i];
    wr_assert((ref->task_id != 0) != (ref->inl != NULL));
    const struct task_def *t = ref->inl ? ref->inl : &plain;
    struct task_policy p = def_policy(ref, t);
    int64_t timeout_us = def_timeout_us(ref, t);
    wr_assert(p.attempts >= 1 && p.attempts <= LIMIT_ATTEMPTS && p.backoff_base_us > 0 && p.backoff_base_us <= p.backoff_cap_us);
    wr_assert(p.backoff_cap_us <= LIMIT_TIME_US && p.backoff_factor >= 1 && timeout_us >= 0 && timeout_us <= LIMIT_TIME_US);
  }
}

static void check_def(const struct flow_def *f) {
  wr_assert(f->n <= LIMIT_NODES && f->dag && f->dag->n <= f->n);
  for (uint32_t i = 0; i < f->dag->n; i++) wr_assert(f->node[f->dag_node[i]].type == NODE_TYPE_TASK);
  check_dag(f->dag);
  check_keys(f);
  check_refs(f);
}

/* Every other task is still there. */
static const struct task_def *task_of(void *ctx, int64_t id) {
  static char name[] = "a \"task\"", type[] = "ECHO";
  static struct task_def t;
  (void)ctx;
  if (id % 2) return NULL;
  t = (struct task_def){.task_id = id, .version = 3, .name = name, .type = type, .create_us = 1000000, .update_us = 2000000};
  return &t;
}

static void round_trip(const struct flow_def *f) {
  struct buf one = {0}, two = {0};
  struct flow_post p;
  struct wr_err err;
  def_flow_write(&one, f, task_of, NULL);
  json_t *v = load(one.data, one.len);
  wr_assert(v);
  enum wr_rc rc = def_flow_parse(v, &fuzz_env, &p, &err);
  wr_assert(rc == WR_OK && p.def->dag);
  p.def->version = f->version;
  p.def->flow_id = f->flow_id;
  def_flow_write(&two, p.def, task_of, NULL);
  wr_assert(one.len == two.len && memcmp(one.data, two.data, one.len) == 0);
  same_dag(f->dag, p.def->dag);
  buf_done(&one);
  buf_done(&two);
  json_decref(v);
  def_flow_unref(p.def);
}

/* Inline tasks go through the text that the store keeps, then everything derived is made anew. */
static void stored(struct flow_def *f) {
  struct dag *was = dag_ref(f->dag);
  struct wr_err err;
  for (uint32_t i = 0; i < f->n; i++) {
    struct node_def *n = &f->node[i], back = {0};
    char *text = def_inline_text(n);
    wr_assert((text != NULL) == (n->n_task > 0));
    if (!text) continue;
    enum wr_rc rc = def_inline_parse(&back, text, strlen(text), &err);
    wr_assert(rc == WR_OK && back.n_task == n->n_task);
    for (uint32_t k = 0; k < n->n_task; k++) def_task_unref(n->task[k]);
    free(n->task);
    free(text);
    n->task = back.task;
  }
  enum wr_rc rc = def_flow_compile(f, &err);
  wr_assert(rc == WR_OK);
  same_dag(was, f->dag);
  dag_unref(was);
  check_def(f);
}

/* As an update of a flow of two nodes; what it leaves open is kept. */
static void update(const struct flow_post *p) {
  static const char body[] = "{\"flowName\":\"old\",\"onFailure\":\"cancel\",\"timeout\":9,\"flowNodes\":"
                             "[{\"taskIds\":\"1,2\",\"complete\":\"all\"},{\"tasks\":[{\"taskType\":\"ECHO\"}],\"attempts\":2}]}";
  json_t *v = load(body, sizeof body - 1);
  struct flow_post old;
  struct flow_def *out = NULL;
  struct wr_err err;
  enum wr_rc rc = def_flow_parse(v, &fuzz_env, &old, &err);
  wr_assert(rc == WR_OK);
  old.def->flow_id = 7;
  old.def->version = 1;
  rc = def_flow_merge(p, old.def, &out, &err);
  if (rc) {
    fuzz_check_err(rc, &err);
  } else {
    wr_assert(out->flow_id == 7 && out->name && out->n == ((p->has & DEF_HAS_NODES) ? p->def->n : 2));
    check_def(out);
    if (out->n) round_trip(out);
    def_flow_unref(out);
  }
  def_flow_unref(old.def);
  json_decref(v);
}

int fuzz_flow(const uint8_t *data, size_t n) {
  json_t *v = load((const char *)data, n);
  struct flow_post p;
  struct wr_err err;
  if (!v) return 0;
  wr_err_clear(&err);
  enum wr_rc rc = def_flow_parse(v, &fuzz_env, &p, &err);
  wr_assert((rc == WR_OK) == (p.def != NULL));
  if (rc) {
    fuzz_check_err(rc, &err);
  } else {
    update(&p);
    wr_assert((p.def->dag != NULL) == ((p.has & DEF_HAS_NODES) != 0));
    if (p.def->dag) {
      check_def(p.def);
      if (p.def->name) round_trip(p.def);
      stored(p.def);
    }
    def_flow_unref(p.def);
  }
  json_decref(v);
  return 0;
}
