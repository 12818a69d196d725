/* Facts of definitions: saved, versioned, read back, deleted. */
#include "facts.h"
#include "mem.h"

static struct task_def *task_new(const char *name, const char *type) {
  struct task_def *t = wr_new(struct task_def);
  atomic_init(&t->refs, 1);
  t->name = wr_strdup(name);
  t->type = wr_strdup(type);
  return t;
}

static struct task_def *task_read(struct world *w, int64_t id, int64_t version) {
  struct task_def *t = NULL;
  struct wr_err err;
  struct reader *r = reader_of(w);
  if (reader_task(r, id, version, &t, &err)) fail_msg("%s", err.msg);
  reader_put(r);
  return t;
}

static struct flow_def *flow_read(struct world *w, int64_t id, int64_t version) {
  struct flow_def *f = NULL;
  struct wr_err err;
  struct reader *r = reader_of(w);
  if (reader_flow(r, id, version, &f, &err)) fail_msg("%s", err.msg);
  reader_put(r);
  return f;
}

static enum wr_rc task_rc(struct world *w, int64_t id, int64_t version) {
  struct task_def *t = NULL;
  struct wr_err err;
  struct reader *r = reader_of(w);
  enum wr_rc rc = reader_task(r, id, version, &t, &err);
  reader_put(r);
  if (t) def_task_unref(t);
  return rc;
}

static enum wr_rc flow_rc(struct world *w, int64_t id, int64_t version) {
  struct flow_def *f = NULL;
  struct wr_err err;
  struct reader *r = reader_of(w);
  enum wr_rc rc = reader_flow(r, id, version, &f, &err);
  reader_put(r);
  if (f) def_flow_unref(f);
  return rc;
}

static int64_t defs_version(struct world *w) {
  int64_t v = 0;
  OK(store_begin(w->s, &v));
  store_rollback(w->s);
  return v;
}

static void set(char **p, const char *s) {
  free(*p);
  *p = wr_strdup(s);
}

#define SAME_TEXT(a, b) do { if ((a) && (b)) assert_string_equal(a, b); else assert_true((a) == (b)); } while (0)

static void def_ids_start_at_one(struct world *w) {
  struct flow_def *f = flow_save(w, "f", "{'nodeType':'START'}," NODE("a") ",{'nodeType':'END'}");
  assert_int_equal(task_save(w, "t", "ECHO"), 1);
  assert_int_equal(task_save(w, "t", "ECHO"), 2);
  assert_int_equal(f->flow_id, 1);
  assert_int_equal(f->node_base, 1);
  struct flow_def *g = flow_save(w, "f", NODE("a"));
  assert_int_equal(g->flow_id, 2);
  assert_int_equal(g->node_base, 4);
  def_flow_unref(f);
  def_flow_unref(g);
}

static void def_ids_go_on_after_a_reopen(struct world *w) {
  int64_t t = task_save(w, "t", "ECHO");
  struct flow_def *f = flow_save(w, "f", NODE("a") "," NODE("b"));
  world_again(w);
  assert_true(task_save(w, "t", "ECHO") > t);
  struct flow_def *g = flow_save(w, "f", NODE("a"));
  assert_true(g->flow_id > f->flow_id);
  assert_true(g->node_base > f->node_base + 1);
  def_flow_unref(f);
  def_flow_unref(g);
}

static void task_reads_back(struct world *w) {
  struct wr_err err;
  struct task_def *t = task_new("naïve 'name' 😀", "SHELL");
  set(&t->description, "what\nit does");
  set(&t->content, "echo \"$X\" '100%' \\ _");
  set(&t->config, "{\"attempts\":3,\"timeout\":\"5s\"}");
  set(&t->create_user, "ann");
  set(&t->update_user, "bob");
  WR(store_save_task(w->s, t, -1, NULL, &err));
  assert_int_equal(t->version, 1);
  assert_true(t->create_us > 0 && t->update_us == t->create_us);
  struct task_def *g = task_read(w, t->task_id, 0);
  assert_int_equal(g->task_id, t->task_id);
  assert_int_equal(g->version, 1);
  assert_string_equal(g->name, t->name);
  assert_string_equal(g->description, t->description);
  assert_string_equal(g->type, t->type);
  assert_string_equal(g->content, t->content);
  assert_string_equal(g->config, t->config);
  assert_string_equal(g->create_user, "ann");
  assert_string_equal(g->update_user, "bob");
  assert_int_equal(g->create_us, t->create_us);
  assert_int_equal(g->update_us, t->update_us);
  assert_int_equal(g->deleted, 0);
  assert_int_equal(g->policy.attempts, 3); /* derived */
  assert_int_equal(g->timeout_us, 5000000);
  def_task_unref(g);
  def_task_unref(t);
}

static void task_absent_texts_stay_absent(struct world *w) {
  struct task_def *g = task_read(w, task_save(w, "t", "ECHO"), 0);
  assert_null(g->description);
  assert_null(g->content);
  assert_null(g->config);
  assert_null(g->create_user);
  assert_int_equal(g->policy.attempts, 1);
  def_task_unref(g);
}

static void task_of_the_greatest_size(struct world *w) {
  struct wr_err err;
  struct task_def *t = task_new("big", "SHELL");
  t->content = wr_malloc(LIMIT_CONTENT_BYTES + 1);
  memset(t->content, 'x', LIMIT_CONTENT_BYTES);
  t->content[LIMIT_CONTENT_BYTES] = '\0';
  WR(store_save_task(w->s, t, -1, NULL, &err));
  struct task_def *g = task_read(w, t->task_id, 0);
  assert_string_equal(g->content, t->content);
  def_task_unref(g);
  def_task_unref(t);
}

static void task_versions_are_kept(struct world *w) {
  struct wr_err err;
  struct task_def *t = task_new("one", "ECHO");
  WR(store_save_task(w->s, t, -1, NULL, &err));
  int64_t created = t->create_us;
  set(&t->name, "two");
  set(&t->type, "WAIT");
  set(&t->content, "2s");
  WR(store_save_task(w->s, t, -1, NULL, &err));
  assert_int_equal(t->version, 2);
  assert_int_equal(t->create_us, created);
  assert_true(t->update_us >= created);
  struct task_def *one = task_read(w, t->task_id, 1), *two = task_read(w, t->task_id, 2), *now = task_read(w, t->task_id, 0);
  assert_string_equal(one->name, "one");
  assert_string_equal(one->type, "ECHO");
  assert_null(one->content);
  assert_int_equal(one->version, 1);
  assert_int_equal(one->create_us, created);
  assert_string_equal(two->content, "2s");
  assert_string_equal(now->name, "two");
  assert_int_equal(now->version, 2);
  assert_int_equal(task_rc(w, t->task_id, 3), WR_NOT_FOUND);
  def_task_unref(one);
  def_task_unref(two);
  def_task_unref(now);
  def_task_unref(t);
}

static void task_save_checks_the_version(struct world *w) {
  struct wr_err err;
  struct task_def *t = task_new("t", "ECHO");
  WR(store_save_task(w->s, t, -1, NULL, &err));
  WR(store_save_task(w->s, t, 1, NULL, &err));
  assert_int_equal(store_save_task(w->s, t, 1, NULL, &err), WR_STALE);
  assert_non_null(strstr(err.msg, "2")); /* the sentence names both */
  assert_non_null(strstr(err.msg, "1"));
  assert_int_equal(t->version, 2); /* a refusal changes nothing */
  struct task_def *g = task_read(w, t->task_id, 0);
  assert_int_equal(g->version, 2);
  def_task_unref(g);
  def_task_unref(t);
}

static void task_unknown_is_not_found(struct world *w) {
  struct wr_err err;
  struct task_def *t = task_new("t", "ECHO");
  t->task_id = WR_ID_MAX - 4;
  assert_int_equal(store_save_task(w->s, t, -1, NULL, &err), WR_NOT_FOUND);
  assert_int_equal(store_delete_task(w->s, t->task_id, &err), WR_NOT_FOUND);
  assert_int_equal(task_rc(w, t->task_id, 0), WR_NOT_FOUND);
  assert_int_equal(task_rc(w, t->task_id, 1), WR_NOT_FOUND);
  def_task_unref(t);
}

static void task_delete_is_soft(struct world *w) {
  struct wr_err err;
  struct task_def *t = task_new("t", "ECHO");
  WR(store_save_task(w->s, t, -1, NULL, &err));
  WR(store_delete_task(w->s, t->task_id, &err));
  struct task_def *g = task_read(w, t->task_id, 0), *v = task_read(w, t->task_id, 1);
  assert_true(g->deleted);
  assert_true(v->deleted);
  assert_string_equal(g->name, "t");
  assert_int_equal(store_delete_task(w->s, t->task_id, &err), WR_NOT_FOUND);
  assert_int_equal(store_save_task(w->s, t, -1, NULL, &err), WR_NOT_FOUND);
  struct reader *r = reader_of(w);
  size_t none;
  assert_int_equal(reader_tasks_exist(r, &t->task_id, 1, &none, &err), WR_NO_SUCH_TASK);
  reader_put(r);
  def_task_unref(g);
  def_task_unref(v);
  def_task_unref(t);
}

static void task_in_use_names_the_flows(struct world *w) {
  struct wr_err err;
  char nodes[256], id[32];
  int64_t t = task_save(w, "t", "ECHO"), other = task_save(w, "o", "ECHO");
  snprintf(nodes, sizeof nodes, "{'nodeKey':'a','taskIds':'%lld,%lld'},{'nodeKey':'b','taskIds':'%lld'}", (long long)other, (long long)t,
           (long long)t);
  struct flow_def *f = flow_save(w, "f", nodes), *g = flow_save(w, "g", nodes);
  assert_int_equal(store_delete_task(w->s, t, &err), WR_IN_USE);
  snprintf(id, sizeof id, "%lld", (long long)f->flow_id);
  assert_non_null(strstr(err.msg, id));
  snprintf(id, sizeof id, "%lld", (long long)g->flow_id);
  assert_non_null(strstr(err.msg, id));
  struct flow_def *f2 = flow_parse("f", NODE("a")); /* a new version without the task: only the current version counts */
  f2->flow_id = f->flow_id;
  WR(store_save_flow(w->s, f2, -1, NULL, &err));
  assert_int_equal(store_delete_task(w->s, t, &err), WR_IN_USE);
  WR(store_delete_flow(w->s, g->flow_id, &err));
  WR(store_delete_task(w->s, t, &err));
  def_flow_unref(f);
  def_flow_unref(f2);
  def_flow_unref(g);
}

static void task_in_use_by_many_flows(struct world *w) {
  struct wr_err err;
  char nodes[64];
  int64_t t = task_save(w, "t", "ECHO");
  snprintf(nodes, sizeof nodes, "{'nodeKey':'a','taskIds':'%lld'}", (long long)t);
  for (int i = 0; i < 9; i++) def_flow_unref(flow_save(w, "f", nodes));
  assert_int_equal(store_delete_task(w->s, t, &err), WR_IN_USE);
  assert_true(strlen(err.msg) < 200);
}

static void task_with_live_instance_is_active(struct world *w) {
  struct wr_err err;
  int64_t t = task_save(w, "t", "ECHO");
  struct task_row r = alone_row_of(w, t);
  OK(put_task(w, ROW_INSERT, &r));
  assert_int_equal(store_delete_task(w->s, t, &err), WR_ACTIVE);
  r.t.state = TASK_SUCCESS;
  OK(put_finish(w, &r));
  WR(store_delete_task(w->s, t, &err));
}

/* ---- flows ---- */
static void flow_reads_back(struct world *w) {
  struct wr_err err;
  char nodes[900];
  int64_t t1 = task_save(w, "t1", "ECHO"), t2 = task_save(w, "t2", "ECHO");
  snprintf(nodes, sizeof nodes,
           "{'nodeType':'START','nodeKey':'S'},{'nodeKey':'a','prevNodes':['S'],'taskIds':'%lld,%lld','complete':'all','rest':'cancel'},"
           "{'nodeKey':'b','prevNodes':['S'],'tasks':[{'taskName':'x','taskType':'SHELL','taskContent':'echo \\\\ 1'},{'taskName':'y','taskType':'ECHO'}]},"
           "{'nodeKey':'c','prevNodes':['b','a'],'tasks':[{'taskName':'z','taskType':'WAIT','taskConfig':{'attempts':2}}],'attempts':4},"
           "{'nodeType':'END','nodeKey':'E','prevNodes':['c']}",
           (long long)t1, (long long)t2);
  struct flow_def *f = flow_parse("flöw 'n'", nodes);
  f->description = wr_strdup("d\"q");
  f->config = wr_strdup("{\"onFailure\":\"cancel\",\"timeout\":\"90s\"}");
  f->create_user = wr_strdup("ann");
  f->update_user = wr_strdup("bob");
  WR(store_save_flow(w->s, f, -1, NULL, &err));
  assert_int_equal(f->version, 1);
  for (uint32_t i = 0; i < f->n; i++) assert_int_equal(f->node[i].node_id, f->node_base + i);
  struct flow_def *g = flow_read(w, f->flow_id, 0);
  assert_int_equal(g->flow_id, f->flow_id);
  assert_int_equal(g->version, 1);
  assert_string_equal(g->name, f->name);
  assert_string_equal(g->description, f->description);
  assert_string_equal(g->config, f->config);
  assert_string_equal(g->create_user, "ann");
  assert_string_equal(g->update_user, "bob");
  assert_int_equal(g->create_us, f->create_us);
  assert_int_equal(g->update_us, f->update_us);
  assert_int_equal(g->node_us, f->node_us);
  assert_int_equal(g->node_base, f->node_base);
  assert_int_equal(g->on_failure, FLOW_CANCEL);
  assert_int_equal(g->timeout_us, 90000000);
  assert_int_equal(g->n, f->n);
  for (uint32_t i = 0; i < f->n; i++) {
    const struct node_def *x = &f->node[i], *y = &g->node[i];
    assert_int_equal(y->node_id, x->node_id);
    assert_int_equal(y->type, x->type);
    assert_string_equal(y->key, x->key);
    SAME_TEXT(y->config, x->config);
    assert_int_equal(y->n_task_id, x->n_task_id);
    if (x->n_task_id) assert_memory_equal(y->task_id, x->task_id, x->n_task_id * sizeof *x->task_id);
    assert_int_equal(y->n_task, x->n_task);
    for (uint32_t k = 0; k < x->n_task; k++) {
      assert_string_equal(y->task[k]->name, x->task[k]->name);
      assert_string_equal(y->task[k]->type, x->task[k]->type);
      SAME_TEXT(y->task[k]->content, x->task[k]->content);
      SAME_TEXT(y->task[k]->config, x->task[k]->config);
    }
    assert_int_equal(y->n_parent, x->n_parent); /* in the order of mention: c names b first */
    if (x->n_parent) assert_memory_equal(y->parent, x->parent, x->n_parent * sizeof *x->parent);
    assert_int_equal(y->need, x->need);
    assert_int_equal(y->rest, x->rest);
  }
  assert_int_equal(g->dag->n, 3);
  assert_int_equal(g->dag->n_task, 5);
  assert_int_equal(g->dag->n_edge, f->dag->n_edge);
  assert_memory_equal(g->dag->child, f->dag->child, f->dag->child_at[f->dag->n + 1] * sizeof(uint32_t));
  def_flow_unref(f);
  def_flow_unref(g);
}

static void flow_versions_are_kept(struct world *w) {
  struct wr_err err;
  struct flow_def *f = flow_save(w, "one", NODE("a") "," NODE("b"));
  struct flow_def *f2 = flow_parse("two", NODE("c"));
  f2->flow_id = f->flow_id;
  f2->config = wr_strdup("{\"onFailure\":\"stop_new\"}");
  WR(store_save_flow(w->s, f2, -1, NULL, &err));
  assert_int_equal(f2->version, 2);
  assert_int_equal(f2->create_us, f->create_us);
  assert_true(f2->node_base > f->node_base + 1);
  struct flow_def *a = flow_read(w, f->flow_id, 1), *b = flow_read(w, f->flow_id, 2), *now = flow_read(w, f->flow_id, 0);
  assert_string_equal(a->name, "one");
  assert_int_equal(a->n, 2);
  assert_int_equal(a->version, 1);
  assert_int_equal(a->node_base, f->node_base);
  assert_null(a->config);
  assert_int_equal(a->on_failure, FLOW_CONTINUE);
  assert_string_equal(b->name, "two");
  assert_int_equal(b->on_failure, FLOW_STOP_NEW);
  assert_string_equal(b->node[0].key, "c");
  assert_int_equal(now->version, 2);
  assert_int_equal(now->n, 1);
  assert_int_equal(flow_rc(w, f->flow_id, 3), WR_NOT_FOUND);
  def_flow_unref(a);
  def_flow_unref(b);
  def_flow_unref(now);
  def_flow_unref(f);
  def_flow_unref(f2);
}

static void flow_save_checks_the_version(struct world *w) {
  struct wr_err err;
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  WR(store_save_flow(w->s, f, 1, NULL, &err));
  assert_int_equal(store_save_flow(w->s, f, 1, NULL, &err), WR_STALE);
  assert_non_null(strstr(err.msg, "2"));
  assert_non_null(strstr(err.msg, "1"));
  assert_int_equal(f->version, 2);
  assert_int_equal(flow_rc(w, f->flow_id, 3), WR_NOT_FOUND);
  def_flow_unref(f);
}

static void flow_unknown_is_not_found(struct world *w) {
  struct wr_err err;
  struct flow_def *f = flow_parse("f", NODE("a"));
  f->flow_id = WR_ID_MAX - 4;
  assert_int_equal(store_save_flow(w->s, f, -1, NULL, &err), WR_NOT_FOUND);
  assert_int_equal(store_delete_flow(w->s, f->flow_id, &err), WR_NOT_FOUND);
  assert_int_equal(flow_rc(w, f->flow_id, 0), WR_NOT_FOUND);
  def_flow_unref(f);
}

static void flow_delete_is_soft(struct world *w) {
  struct wr_err err;
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  assert_int_equal(store_delete_flow(w->s, f->flow_id, &err), WR_ACTIVE);
  flow_end(w, &s, FLOW_FAILED);
  WR(store_delete_flow(w->s, f->flow_id, &err));
  struct flow_def *g = flow_read(w, f->flow_id, 0), *v = flow_read(w, f->flow_id, 1);
  assert_true(g->deleted);
  assert_true(v->deleted);
  assert_int_equal(g->n, 1);
  assert_int_equal(store_delete_flow(w->s, f->flow_id, &err), WR_NOT_FOUND);
  assert_int_equal(store_save_flow(w->s, f, -1, NULL, &err), WR_NOT_FOUND);
  const struct list_filter of = {.state = -1, .flow_id = f->flow_id};
  assert_int_equal(list_ins(w, &of, (struct page){.limit = 9}).n, 1); /* its instances stay */
  def_flow_unref(f);
  def_flow_unref(g);
  def_flow_unref(v);
}

static void flow_of_many_chunks(struct world *w) {
  enum { N = 6000 };
  struct wr_err err;
  struct buf nodes = BUF_INIT;
  for (int i = 0; i < N; i++) buf_printf(&nodes, "%s{'nodeKey':'k%d','tasks':[{'taskName':'t','taskType':'ECHO'}]}", i ? "," : "", i);
  buf_printf(&nodes, ",{'nodeKey':'join','prevNodes':[");
  for (int i = 0; i < N; i++) buf_printf(&nodes, "%s'k%d'", i ? "," : "", N - 1 - i);
  buf_str(&nodes, "],'tasks':[{'taskName':'t','taskType':'ECHO'}]}");
  struct flow_def *f = flow_save(w, "wide", nodes.data);
  struct flow_def *g = flow_read(w, f->flow_id, 0);
  assert_int_equal(g->n, N + 1);
  assert_int_equal(g->dag->n_edge, f->dag->n_edge);
  for (uint32_t i = 0; i < N; i++) assert_string_equal(g->node[i].key, f->node[i].key);
  assert_int_equal(g->node[N].n_parent, N);
  for (uint32_t i = 0; i < N; i++) assert_int_equal(g->node[N].parent[i], N - 1 - i);
  WR(store_save_flow(w->s, f, 1, NULL, &err));
  struct flow_def *h = flow_read(w, f->flow_id, 0), *old = flow_read(w, f->flow_id, 1);
  assert_int_equal(h->version, 2);
  assert_int_equal(h->n, N + 1);
  assert_int_equal(old->n, N + 1);
  assert_int_not_equal(h->node_base, old->node_base);
  buf_done(&nodes);
  def_flow_unref(f);
  def_flow_unref(g);
  def_flow_unref(h);
  def_flow_unref(old);
}

static void flow_without_tasks(struct world *w) {
  struct flow_def *f = flow_save(w, "empty", "{'nodeType':'START'},{'nodeType':'END'}");
  struct flow_def *g = flow_read(w, f->flow_id, 0);
  assert_int_equal(g->n, 2);
  assert_int_equal(g->dag->n, 0);
  assert_int_equal(g->node[0].type, NODE_TYPE_START);
  assert_int_equal(g->node[1].type, NODE_TYPE_END);
  def_flow_unref(f);
  def_flow_unref(g);
}

static void every_change_raises_the_definitions_version(struct world *w) {
  struct wr_err err;
  int64_t was = defs_version(w), now;
  int64_t t = task_save(w, "t", "ECHO");
  assert_true((now = defs_version(w)) > was), was = now;
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  assert_true((now = defs_version(w)) > was), was = now;
  WR(store_save_flow(w->s, f, -1, NULL, &err));
  assert_true((now = defs_version(w)) > was), was = now;
  WR(store_delete_flow(w->s, f->flow_id, &err));
  assert_true((now = defs_version(w)) > was), was = now;
  WR(store_delete_task(w->s, t, &err));
  assert_true((now = defs_version(w)) > was), was = now;
  assert_int_equal(store_delete_task(w->s, t, &err), WR_NOT_FOUND);
  assert_int_equal(store_save_flow(w->s, f, -1, NULL, &err), WR_NOT_FOUND);
  assert_int_equal(defs_version(w), was);
  def_flow_unref(f);
}

static void definitions_are_written_beside_a_batch(struct world *w) {
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  struct started s = flow_start(w, f);
  struct flow_row r = flow_get(w, s.fi);
  int64_t t = task_save(w, "between", "ECHO");
  OK(put_flow(w, ROW_UPDATE, s.version, &r));
  struct task_def *g = task_read(w, t, 0);
  assert_string_equal(g->name, "between");
  def_task_unref(g);
  def_flow_unref(f);
}

static void many_tasks_at_once(struct world *w) {
  struct wr_err err;
  int64_t a = task_save(w, "a", "ECHO"), b = task_save(w, "b", "WAIT");
  const int64_t ids[3] = {a, WR_ID_MAX - 3, b};
  struct task_def *out[3];
  struct reader *r = reader_of(w);
  WR(reader_tasks(r, ids, 3, out, &err));
  assert_string_equal(out[0]->name, "a");
  assert_null(out[1]);
  assert_string_equal(out[2]->type, "WAIT");
  WR(reader_tasks(r, ids, 0, out, &err));
  reader_put(r);
  def_task_unref(out[0]);
  def_task_unref(out[2]);
}

static void tasks_exist_names_the_missing(struct world *w) {
  struct wr_err err;
  int64_t a = task_save(w, "a", "ECHO"), b = task_save(w, "b", "ECHO");
  const int64_t good[2] = {a, b}, bad[3] = {a, b, 9007199254740123};
  struct reader *r = reader_of(w);
  size_t which = 9;
  WR(reader_tasks_exist(r, good, 2, &which, &err));
  WR(reader_tasks_exist(r, good, 0, &which, &err));
  assert_int_equal(reader_tasks_exist(r, bad, 3, &which, &err), WR_NO_SUCH_TASK);
  assert_int_equal(which, 2);
  assert_non_null(strstr(err.msg, "9007199254740123"));
  reader_put(r);
}

static void heads_of_many_at_once(struct world *w) {
  enum { MANY = 64 }; /* more than a statement may take at a time */
  struct wr_err err;
  int64_t ids[MANY + 2];
  struct def_head head[MANY + 2];
  for (int i = 0; i < MANY; i++) ids[i + 1] = task_save(w, "t", "ECHO");
  ids[0] = WR_ID_MAX - 3;
  ids[MANY + 1] = ids[MANY];
  struct task_def *t = task_read(w, ids[2], 0);
  WR(store_save_task(w->s, t, -1, NULL, &err));
  WR(store_delete_task(w->s, ids[3], &err));
  struct flow_def *f = flow_save(w, "f", NODE("a"));
  WR(store_save_flow(w->s, f, -1, NULL, &err));
  WR(store_delete_flow(w->s, f->flow_id, &err));
  struct reader *r = reader_of(w);
  WR(reader_heads(r, HEAD_TASK, ids, MANY + 2, head, &err));
  assert_int_equal(head[0].version, 0);
  for (int i = 1; i <= MANY + 1; i++) {
    assert_int_equal(head[i].version, i == 2 ? 2 : 1);
    assert_int_equal(head[i].deleted, i == 3);
  }
  ids[1] = f->flow_id;
  WR(reader_heads(r, HEAD_FLOW, ids, 2, head, &err));
  assert_int_equal(head[0].version, 0);
  assert_int_equal(head[1].version, 2);
  assert_true(head[1].deleted);
  reader_put(r);
  def_task_unref(t);
  def_flow_unref(f);
}

const struct fact facts_defs[] = {
  FACT_FRESH(def_ids_start_at_one), FACT_FRESH(def_ids_go_on_after_a_reopen), FACT(task_reads_back), FACT(task_absent_texts_stay_absent),
  FACT(task_of_the_greatest_size), FACT(task_versions_are_kept), FACT(task_save_checks_the_version), FACT(task_unknown_is_not_found),
  FACT(task_delete_is_soft), FACT(task_in_use_names_the_flows), FACT(task_in_use_by_many_flows), FACT(task_with_live_instance_is_active),
  FACT(flow_reads_back), FACT(flow_versions_are_kept), FACT(flow_save_checks_the_version), FACT(flow_unknown_is_not_found),
  FACT(flow_delete_is_soft), FACT(flow_of_many_chunks), FACT(flow_without_tasks), FACT(every_change_raises_the_definitions_version),
  FACT(definitions_are_written_beside_a_batch), FACT(many_tasks_at_once), FACT(tasks_exist_names_the_missing),
  FACT(heads_of_many_at_once),
};
const size_t n_facts_defs = sizeof facts_defs / sizeof *facts_defs;
