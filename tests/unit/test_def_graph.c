/* Unit tests of a flow's edges: keys, cycles and reach by brute force, mutated bodies, big flows. One thread; deterministic. */
#include "flow_env.h"

/* ---- keys ---- */
static void test_default_keys(void **st) {
  (void)st;
  struct flow_def *f = flow("{'nodeType':'START'},{'taskIds':'1'},{'nodeKey':'n4','taskIds':'1'},{'taskIds':'1'},{'nodeKey':'n05','taskIds':'1'},"
                            "{'nodeKey':'n6','taskIds':'1'},{'taskIds':'1'}");
  static const char *const want[] = {"n1", "n2", "n4", "n5", "n05", "n6", "n7"};
  for (int i = 0; i < 7; i++) assert_string_equal(f->node[i].key, want[i]);
  def_flow_unref(f);
  for (int round = 0; round < 300; round++) { /* against the plain rule: the next free name, tried one by one */
    uint32_t n = 1 + rnd(12), have[12] = {0}, expect[12];
    bool used[200] = {false};
    struct buf b = BUF_INIT;
    for (uint32_t i = 0; i < n; i++) {
      uint32_t k = 1 + rnd(25);
      if (rnd(2) && !used[k]) used[have[i] = k] = true;
      if (have[i]) buf_printf(&b, "%s{'nodeKey':'n%u','taskIds':'1'}", i ? "," : "", have[i]);
      else buf_str(&b, i ? ",{'taskIds':'1'}" : "{'taskIds':'1'}");
    }
    for (uint32_t i = 0; i < n; i++) {
      expect[i] = have[i] ? have[i] : i + 1;
      while (!have[i] && used[expect[i]]) expect[i]++;
      used[expect[i]] = true;
    }
    f = flow(b.data);
    for (uint32_t i = 0; i < n; i++) {
      char key[16];
      snprintf(key, sizeof key, "n%u", expect[i]);
      assert_string_equal(f->node[i].key, key);
    }
    def_flow_unref(f);
    buf_done(&b);
  }
}

/* ---- brute force ---- */
enum { BF = 6 };
struct graph { uint32_t n; bool start, end; bool edge[BF + 2][BF + 2], reach[BF + 2][BF + 2]; }; /* n = START, n + 1 = END */

static void graph_random(struct graph *g) {
  *g = (struct graph){.n = 1 + rnd(BF), .start = rnd(2), .end = rnd(2)};
  uint32_t density = 1 + rnd(8);
  for (uint32_t i = 0; i < g->n; i++)
    for (uint32_t k = 0; k < g->n; k++) g->edge[i][k] = rnd(10) < density && (i < k || rnd(6) == 0);
  for (uint32_t i = 0; i < g->n; i++) {
    g->edge[g->n][i] = g->start && rnd(2);
    g->edge[i][g->n + 1] = g->end && rnd(2);
  }
  uint32_t all = g->n + 2;
  memcpy(g->reach, g->edge, sizeof g->edge);
  for (uint32_t k = 0; k < all; k++)
    for (uint32_t i = 0; i < all; i++)
      for (uint32_t j = 0; j < all; j++) g->reach[i][j] |= g->reach[i][k] && g->reach[k][j];
}

static enum wr_rc graph_verdict(const struct graph *g) {
  for (uint32_t i = 0; i < g->n; i++)
    if (g->reach[i][i]) return WR_CYCLE;
  for (uint32_t i = 0; i < g->n; i++)
    if ((g->start && !g->reach[g->n][i]) || (g->end && !g->reach[i][g->n + 1])) return WR_UNREACHABLE;
  return WR_OK;
}

static char *graph_body(const struct graph *g) {
  struct buf b = BUF_INIT;
  static const char names[] = "abcdef";
  if (g->start) buf_str(&b, "{'nodeType':'START','nodeKey':'S'},");
  for (uint32_t i = 0; i < g->n; i++) {
    buf_printf(&b, "%s{'nodeKey':'%c','taskIds':'1','prevNodes':[", i ? "," : "", names[i]);
    const char *comma = "";
    for (uint32_t k = 0; k <= g->n; k++) {
      if (!g->edge[k][i]) continue;
      buf_printf(&b, "%s'%c'", comma, k == g->n ? 'S' : names[k]);
      comma = ",";
    }
    buf_str(&b, "]}");
  }
  if (!g->end) return b.data;
  buf_str(&b, ",{'nodeType':'END','prevNodes':[");
  const char *comma = "";
  for (uint32_t k = 0; k < g->n; k++) {
    if (!g->edge[k][g->n + 1]) continue;
    buf_printf(&b, "%s'%c'", comma, names[k]);
    comma = ",";
  }
  buf_str(&b, "]}");
  return b.data;
}

/* "Cycle: a -> b -> a.": every arrow is an edge, and it ends where it began. */
static void cycle_check(const struct graph *g, const char *msg) {
  assert_memory_equal(msg, "Cycle: ", 7);
  const char *first = msg + 7, *p = first;
  for (; memcmp(p + 1, " -> ", 4) == 0; p += 5) assert_true(g->edge[p[0] - 'a'][p[5] - 'a']);
  assert_true(p > first && *p == *first);
  assert_string_equal(p + 1, ".");
}

static void test_brute_force(void **st) {
  (void)st;
  size_t seen[3] = {0};
  for (int round = 0; round < 20000; round++) {
    struct graph g;
    struct flow_post p;
    struct wr_err err;
    struct buf b = BUF_INIT;
    graph_random(&g);
    char *nodes = graph_body(&g);
    buf_printf(&b, "{'flowName':'f','flowNodes':[%s]}", nodes);
    enum wr_rc want = graph_verdict(&g), rc = parse(b.data, &p, &err);
    expect_err(b.data, rc, &err, want, NULL, NULL);
    seen[want == WR_OK ? 0 : want == WR_CYCLE ? 1 : 2]++;
    if (rc == WR_CYCLE) cycle_check(&g, err.msg);
    if (rc == WR_OK) {
      const struct dag *d = p.def->dag;
      assert_int_equal(d->n, g.n);
      for (uint32_t i = 0; i < g.n; i++)
        for (uint32_t k = 0; k < g.n; k++) {
          bool found = false;
          for (uint32_t c = d->child_at[i]; c < d->child_at[i + 1]; c++) found |= d->child[c] == k;
          assert_int_equal(found, g.edge[i][k]);
        }
      round_trip(p.def);
    }
    def_flow_unref(p.def);
    free(nodes);
    buf_done(&b);
  }
  assert_true(seen[0] > 500 && seen[1] > 500 && seen[2] > 500);
}

/* ---- mutations ---- */
static json_t *junk(void) {
  switch (rnd(12)) {
  case 0: return json_null();
  case 1: return json_integer((json_int_t)rnd(5) - 1);
  case 2: return json_real(0.5);
  case 3: return json_array();
  case 4: return json_object();
  case 5: return json_true();
  case 6: return json_string("1,2");
  case 7: return json_string("all");
  case 8: return json_string("n2");
  case 9: return json_pack("[s,s]", "n1", "b");
  case 10: return json_pack("[{s:s,s:s}]", "taskName", "x", "taskType", "ECHO");
  default: return json_string("5s");
  }
}

/* One to three fields of one to three nodes get any value. What still parses must survive the way out and back. */
static void test_mutations(void **st) {
  (void)st;
  static const char *const field[] = {"nodeType", "nodeKey", "prevNodes", "taskIds", "tasks", "complete", "rest", "attempts", "backoff",
                                      "timeout", "nodeId", "x"};
  size_t fine = 0, refused = 0;
  for (int round = 0; round < 20000; round++) {
    json_t *v = json_of("{'flowName':'f','flowNodes':[{'taskIds':'1,2','complete':2},{'nodeKey':'b','tasks':[{'taskName':'x',"
                        "'taskType':'ECHO'}]},{'taskIds':'3','rest':'cancel'},{'nodeType':'END'}]}");
    struct flow_post p;
    struct wr_err err;
    for (uint32_t k = rnd(3) + 1; k-- > 0;) {
      json_t *n = json_array_get(json_object_get(v, "flowNodes"), rnd(4));
      const char *f = field[rnd(sizeof field / sizeof *field)];
      if (rnd(4) == 0) json_object_del(n, f);
      else json_object_set_new(n, f, junk());
    }
    enum wr_rc rc = parse_json(v, &p, &err);
    if (rc) {
      assert_true(err.code == rc && err.msg[0] && wr_err_status(rc) == 422);
      refused++;
    } else {
      round_trip(p.def);
      fine++;
    }
    def_flow_unref(p.def);
    json_decref(v);
  }
  assert_true(fine > 500 && refused > 500);
}

/* ---- big ones ---- */
enum { BIG = 100000 };

static struct flow_def *big(const char *form, uint32_t n) {
  struct buf b = BUF_INIT;
  buf_str(&b, "{\"flowName\":\"big\",\"flowNodes\":[");
  for (uint32_t i = 0; i < n; i++) {
    buf_str(&b, i ? ",{\"nodeKey\":\"k" : "{\"nodeKey\":\"k");
    buf_i64(&b, i);
    buf_str(&b, "\",\"tasks\":[{\"taskName\":\"t\",\"taskType\":\"ECHO\",\"taskContent\":\"hello\"}]");
    if (strcmp(form, "fan") == 0) buf_str(&b, i == 0 ? "" : i == n - 1 ? ",\"prevNodes\":[\"k0\"" : ",\"prevNodes\":[\"k0\"]");
    if (strcmp(form, "fan") == 0 && i == n - 1) {
      for (uint32_t k = 1; k < n - 1; k++) buf_printf(&b, ",\"k%u\"", k);
      buf_ch(&b, ']');
    }
    buf_ch(&b, '}');
  }
  buf_str(&b, "]}");
  json_t *v = NULL;
  struct wr_err err;
  struct flow_post p;
  assert_int_equal(json_load_strict(b.data, b.len, LIMIT_FLOW_JSON_VALUES, &v, &err), WR_OK);
  expect_err("big", parse_json(v, &p, &err), &err, WR_OK, NULL, NULL);
  json_decref(v);
  buf_done(&b);
  return p.def;
}

static void test_big_chain(void **st) {
  (void)st;
  struct flow_def *f = big("chain", BIG);
  assert_int_equal(world.type_calls, 1); /* all tasks are one */
  assert_int_equal(f->dag->n, BIG);
  assert_int_equal(f->dag->n_edge, BIG - 1);
  for (uint32_t i = 1; i < BIG; i++) {
    assert_int_equal(f->dag->child[f->dag->child_at[i - 1]], i);
    assert_ptr_equal(f->ref[i].inl, f->ref[0].inl);
  }
  round_trip(f);
  def_flow_unref(f);
}

static void test_big_fan(void **st) {
  (void)st;
  struct flow_def *f = big("fan", BIG);
  assert_int_equal(f->dag->n_edge, BIG - 1 + BIG - 2);
  assert_int_equal(f->dag->node[BIG - 1].n_parent, BIG - 1);
  assert_int_equal(f->dag->child_at[1] - f->dag->child_at[0], BIG - 1);
  round_trip(f);
  def_flow_unref(f);
}

/* The names that the program would give are all taken by the second half: looking for a free one must stay linear. */
static void test_big_keys_taken(void **st) {
  (void)st;
  json_t *v = json_of("{'flowName':'f','flowNodes':[]}"), *nodes = json_object_get(v, "flowNodes"), *plain = json_of("{'taskIds':'1'}");
  struct wr_err err;
  struct flow_post p;
  for (int i = 0; i < BIG; i++) json_array_append(nodes, plain);
  for (int i = 1; i <= BIG; i++) {
    char key[16];
    snprintf(key, sizeof key, "n%d", i);
    json_t *n = json_deep_copy(plain);
    json_object_set_new(n, "nodeKey", json_string(key));
    json_array_append_new(nodes, n);
  }
  assert_int_equal(parse_json(v, &p, &err), WR_OK);
  assert_string_equal(p.def->node[0].key, "n100001");
  assert_string_equal(p.def->node[BIG - 1].key, "n200000");
  def_flow_unref(p.def);
  json_decref(v);
  json_decref(plain);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_default_keys), cmocka_unit_test(test_brute_force), cmocka_unit_test(test_mutations),
      cmocka_unit_test(test_big_chain), cmocka_unit_test(test_big_fan), cmocka_unit_test(test_big_keys_taken)};
  return cmocka_run_group_tests_name("def_graph", tests, NULL, NULL);
}
